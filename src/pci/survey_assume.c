/* SPDX-License-Identifier: MIT */
/* What the source leaves open is settled the way most machines are, with a remark that says so. */
#include <stdio.h>

#include "pci/survey_steps.h"

#define VMD_SEGMENT 0x10000 /* the first that Linux gives to buses behind VMD */

/* ---- VMD ---- */

static bool is_vmd(const struct pci_facts *facts)
{
	static const u16 devices[] = {0x201d, 0x28c0, 0x467f, 0x4c3d, 0x7d0b, 0x9a0b, 0xa77f, 0xad0b, 0xb06f, 0xb60b};
	const u8 *config = facts->function->config;

	if (facts->name && strstr(facts->name, "Volume Management Device"))
		return true;
	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++)
		if (survey_vendor(facts->function) == 0x8086 && get_u16(config + PCI_DEVICE_ID) == devices[i])
			return true;
	return false;
}

/* The next VMD endpoint from *index on, which moves behind it. */
static struct pci_function *next_vmd(struct pci_survey *survey, size_t *index)
{
	while (*index < survey->count) {
		struct pci_facts *facts = &survey->facts[(*index)++];

		if (facts->function->addr.segment < VMD_SEGMENT && is_vmd(facts))
			return facts->function;
	}
	return NULL;
}

static int assume_vmd(struct pci_survey *survey, const struct pci_facts *facts, const struct pci_function *vmd,
		      struct why *why)
{
	char bdf[PCI_ADDR_TEXT];

	if (!vmd)
		return pci_survey_remark(survey, REMARK_WARNING, facts->line, survey_see_all(survey), why,
					 "segment %04x looks like one behind Intel VMD, but no VMD device is there",
					 facts->function->addr.segment);
	return pci_survey_remark(survey, REMARK_ASSUMPTION, facts->line, NULL, why,
				 "segment %04x is taken to be behind the VMD device %s", facts->function->addr.segment,
				 pci_addr_print(vmd->addr, bdf));
}

/* Segments and endpoints are both numbered in the order the driver met them. */
int survey_find_vmd(struct pci_survey *survey, struct why *why)
{
	struct pci_function *vmd = NULL;
	size_t next = 0;
	u32 segment = 0;
	int err = 0;

	for (size_t i = 0; i < survey->count && err == 0; i++) {
		struct pci_facts *facts = &survey->facts[i], *said;

		if (facts->vmd_said) {
			said = survey_facts_at(survey, facts->vmd);
			facts->function->dma_device = said ? said->function : NULL;
			continue;
		}
		if (facts->function->addr.segment < VMD_SEGMENT)
			continue;
		if (facts->function->addr.segment != segment) {
			segment = facts->function->addr.segment;
			vmd = next_vmd(survey, &next);
			err = assume_vmd(survey, facts, vmd, why);
		}
		facts->function->dma_device = vmd;
	}
	return err;
}

/* ---- capabilities that were not shown ---- */

static bool is_pci_bridge_class(const struct pci_function *function)
{
	return survey_class(function) == 0x0604 || pci_is_bridge(function);
}

/* What a function at its place usually is. Chipset glue on the root bus is conventional. */
static void assume_type(struct pci_function *function)
{
	const struct pci_function *parent = function->parent;
	bool below_port = parent && pci_is_pcie(parent);
	enum pcie_type above = below_port ? pcie_type(parent) : PCIE_ENDPOINT;

	if (parent && (!below_port || above == PCIE_TO_PCI_BRIDGE))
		return;
	if (is_pci_bridge_class(function))
		pci_add_pcie(function,
			     !parent			   ? PCIE_ROOT_PORT
			     : above == PCIE_UPSTREAM_PORT ? PCIE_DOWNSTREAM_PORT
							   : PCIE_UPSTREAM_PORT,
			     0, false);
	else if (parent)
		pci_add_pcie(function, PCIE_ENDPOINT, 0, false);
	else if (survey_class(function) >> 8 != 0x06 && survey_class(function) != 0x0c05 &&
		 survey_class(function) != 0x0806)
		pci_add_pcie(function, PCIE_RC_ENDPOINT, 0, false);
}

static int assume_types(struct pci_survey *survey, struct why *why)
{
	const struct pci_facts *first = NULL;
	char bdf[PCI_ADDR_TEXT];
	unsigned count = 0;

	for (size_t i = 0; i < survey->count; i++) {
		struct pci_facts *facts = &survey->facts[i];

		if (!(facts->gaps & PCI_GAP_CAPS) || pci_is_pcie(facts->function))
			continue;
		assume_type(facts->function);
		first = first ? first : facts;
		count++;
	}
	if (!count)
		return 0;
	return pci_survey_remark(survey, REMARK_ASSUMPTION, first->line, survey_see_all(survey), why,
				 "the capabilities of %u function%s not shown (first: %s); each is taken as what "
				 "is usual at its place (PCI Express below a port), without ACS",
				 count, count > 1 ? "s were" : " was", pci_addr_print(first->function->addr, bdf));
}

static int remark_extended(struct pci_survey *survey, struct why *why)
{
	const struct pci_facts *first = NULL;
	char bdf[PCI_ADDR_TEXT];
	unsigned count = 0;

	for (size_t i = 0; i < survey->count; i++) {
		const struct pci_facts *facts = &survey->facts[i];

		if ((facts->gaps & (PCI_GAP_CAPS | PCI_GAP_EXT_CAPS)) != PCI_GAP_EXT_CAPS ||
		    !pci_is_pcie(facts->function))
			continue;
		first = first ? first : facts;
		count++;
	}
	if (!count)
		return 0;
	return pci_survey_remark(survey, REMARK_ASSUMPTION, first->line, survey_see_all(survey), why,
				 "the extended capabilities of %u function%s not shown (first: %s); taken to have "
				 "no ACS",
				 count, count > 1 ? "s were" : " was", pci_addr_print(first->function->addr, bdf));
}

static int remark_buses(struct pci_survey *survey, struct why *why)
{
	const struct pci_facts *first = NULL;
	char bdf[PCI_ADDR_TEXT];
	unsigned count = 0;

	for (size_t i = 0; i < survey->count; i++) {
		if (!(survey->facts[i].gaps & PCI_GAP_BUSES))
			continue;
		first = first ? first : &survey->facts[i];
		count++;
	}
	if (!count)
		return 0;
	return pci_survey_remark(survey, REMARK_MISSING, first->line, survey_see_all(survey), why,
				 "%u bridge%s not say which bus is below (first: %s), so what is there is not known",
				 count, count > 1 ? "s do" : " does", pci_addr_print(first->function->addr, bdf));
}

int survey_assume_capabilities(struct pci_survey *survey, struct why *why)
{
	int err = assume_types(survey, why);

	if (err == 0)
		err = remark_extended(survey, why);
	return err < 0 ? err : remark_buses(survey, why);
}
