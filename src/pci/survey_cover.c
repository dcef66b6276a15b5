/* SPDX-License-Identifier: MIT */
/* Which IOMMUs the machine has, whom they cover, and which IOVAs are not free. */
#include "pci/survey_steps.h"

static void find_platform(struct pci_survey *survey)
{
	for (size_t i = 0; i < survey->count && survey->platform == PLATFORM_UNKNOWN; i++) {
		const struct pci_function *function = survey->facts[i].function;

		if (survey_vendor(function) == 0x1022 && survey_class(function) == 0x0806)
			survey->platform = PLATFORM_AMD;
		else if (survey_vendor(function) == 0x8086 && !function->parent && survey_class(function) == 0x0600)
			survey->platform = PLATFORM_INTEL;
	}
}

/* AMD firmware does not list the slot that holds the IOMMU itself, with the root complex beside it. */
static bool beside_the_iommu(const struct pci_survey *survey, const struct pci_facts *facts)
{
	struct pci_addr addr = facts->function->addr;

	if (survey->platform != PLATFORM_AMD || facts->function->parent || facts->is_virtual)
		return false;
	for (unsigned number = 0; number < 8; number++) {
		const struct pci_facts *other;

		addr.devfn = pci_devfn(pci_device_number(addr), number);
		other = survey_facts_at(survey, addr);
		if (other && survey_class(other->function) == 0x0806)
			return true;
	}
	return false;
}

static bool is_intel_graphics(const struct pci_function *function)
{
	return survey_vendor(function) == 0x8086 && survey_class(function) >> 8 == 0x03 &&
	       pci_addr_key(function->addr) == (2 << 3);
}

/* Integrated graphics has an IOMMU of its own, listed first. */
static void number_units(struct pci_survey *survey)
{
	struct pci_facts *graphics = survey_facts_at(survey, (struct pci_addr){.devfn = 2 << 3});

	if (survey->units_said || survey->platform != PLATFORM_INTEL || !graphics ||
	    !is_intel_graphics(graphics->function))
		return;
	for (size_t i = 0; i < survey->count; i++)
		survey->facts[i].function->unit = &survey->facts[i] != graphics;
}

/* What the IOMMU driver of the platform reserves in every group (spec 01 section 8), where nothing was said. */
static int assume_regions(struct pci_survey *survey, struct why *why)
{
	int err;

	if (survey->nregions || (survey->platform != PLATFORM_INTEL && survey->platform != PLATFORM_AMD))
		return 0;
	err = pci_survey_region(survey, 0xfee00000, 0xfeefffff, "msi", PCI_GROUP_UNSAID,
				"the MSI window of x86 platforms", why);
	if (err == 0 && survey->platform == PLATFORM_AMD)
		err = pci_survey_region(survey, 0xfd00000000, 0xffffffffff, "reserved", PCI_GROUP_UNSAID,
					"the HyperTransport window of AMD platforms", why);
	if (err < 0)
		return err;
	/* A host that was read itself has no more to show. */
	return pci_survey_remark(survey, REMARK_MISSING, 0,
				 survey->see_all ? NULL : "grep . /sys/kernel/iommu_groups/*/reserved_regions", why,
				 "memory that the firmware keeps for a device (%s) is not in such a source",
				 survey->platform == PLATFORM_AMD ? "IVMD" : "RMRR");
}

int survey_find_coverage(struct pci_survey *survey, struct why *why)
{
	bool beside = false;
	int err;

	find_platform(survey);
	number_units(survey);
	survey->acs_unarmed = !survey->says_groups;
	for (size_t i = 0; i < survey->count; i++) {
		struct pci_facts *facts = &survey->facts[i];

		if (survey->says_groups && !(facts->gaps & PCI_GAP_GROUP))
			facts->function->untranslated = facts->host_group == PCI_GROUP_UNSAID;
		else
			facts->function->untranslated = beside_the_iommu(survey, facts);
		beside |= facts->function->untranslated;
	}
	err = assume_regions(survey, why);
	if (err < 0 || survey->says_groups)
		return err;
	return pci_survey_remark(survey, REMARK_ASSUMPTION, 0, NULL, why,
				 "no IOMMU groups are shown; taken for granted that the IOMMU is on and covers every "
				 "function%s",
				 beside ? " but those of its own slot" : "");
}
