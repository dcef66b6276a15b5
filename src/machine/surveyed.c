/* SPDX-License-Identifier: MIT */
/* A machine file as one more source of a survey: what it says of its devices besides their registers. */
#include "base/alloc.h"
#include "machine/description.h"

/* The words are in the order of the functions. */
static int add_words(const struct description *description, struct pci_survey *survey, struct why *why)
{
	const struct function_description *words;
	struct pci_facts *facts = survey->facts;

	list_for_each(words, &description->functions, link) {
		facts->is_virtual = words->is_virtual;
		if (words->physical)
			facts->physical = words->physical->addr;
		facts->driver_said = true;
		if (*words->driver) {
			facts->driver = alloc_string(words->driver, why);
			if (!facts->driver)
				return -why->err;
		}
		facts++;
	}
	return 0;
}

/* Regions are told by group: by those that a room of the machine will have. */
static int add_device_regions(const struct description *description, struct pci_survey *survey, struct why *why)
{
	const struct function_description *words;
	struct pci_grouping *grouping;
	int err = pci_grouping_compute(&survey->topology, NULL, &grouping, why);

	if (err < 0)
		return err;
	list_for_each(words, &description->functions, link) {
		int group = grouping->group[words->index];

		survey->facts[words->index].host_group = group >= 0 ? group : PCI_GROUP_UNSAID;
		for (u64 rest = group >= 0 ? words->regions : 0; rest && err == 0; rest &= rest - 1) {
			const struct reserved_region *region = &description->regions[__builtin_ctzll(rest)];

			err = pci_survey_region(survey, region->start, region->last, reserved_kind_name(region->kind),
						group, "the machine file", why);
		}
	}
	pci_grouping_free(grouping);
	return err;
}

/* The one that every chipset has goes without saying. */
static bool has_usual_regions(const struct description *description)
{
	const struct reserved_region *only = description->iommu.regions;

	return !description->nregions && description->iommu.nregions == 1 && only->start == 0xfee00000 &&
	       only->last == 0xfeefffff && only->kind == RESERVED_MSI;
}

static int add_regions(const struct description *description, struct pci_survey *survey, struct why *why)
{
	int err = 0;

	if (!description->iommu.present || has_usual_regions(description))
		return 0;
	for (unsigned i = 0; i < description->iommu.nregions && err == 0; i++) {
		const struct reserved_region *region = &description->iommu.regions[i];

		err = pci_survey_region(survey, region->start, region->last, reserved_kind_name(region->kind),
					PCI_GROUP_UNSAID, "the machine file", why);
	}
	return err < 0 || !description->nregions ? err : add_device_regions(description, survey, why);
}

int description_survey(const struct description *description, const char *source, struct pci_survey **ret,
		       struct why *why)
{
	_free_(pci_survey) struct pci_survey *survey = NULL;
	struct pci_topology topology;
	int err = topology_build(description, &topology, why);

	if (err < 0)
		return err;
	err = pci_survey_new(source, &survey, why);
	if (err == 0)
		err = pci_survey_adopt(survey, &topology, why);
	pci_topology_fini(&topology);
	if (err == 0)
		err = add_words(description, survey, why);
	if (err == 0)
		err = add_regions(description, survey, why);
	if (err == 0)
		*ret = take(survey);
	return err;
}
