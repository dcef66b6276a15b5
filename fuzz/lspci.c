/* SPDX-License-Identifier: MIT */
/*
 * Any text as lspci's: refused with a place in it, or a machine whose groups can be computed. The first byte says
 * whether there is a list of ids.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pci/survey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char list[] = "8086  Intel Corporation\n"
			   "\t1901  PCIe Controller (x16)\n"
			   "\t10c9  82576 Gigabit Network Connection\n"
			   "1022  Advanced Micro Devices, Inc. [AMD]\n"
			   "C 02  Network controller\n"
			   "\t00  Ethernet controller\n"
			   "C 06  Bridge\n"
			   "\t00  Host bridge\n"
			   "\t04  PCI bridge\n";

static void expect(bool condition)
{
	if (!condition)
		abort();
}

static void check_refusal(const struct why *why)
{
	unsigned line;

	expect(why->code == WHY_DUMP_INVALID);
	expect(sscanf(why->text, "fuzz.txt:%u: ", &line) == 1 && line);
}

/* What finish promises: parents before children, each where its address says; and that remarks can be shown. */
static void check_survey(const struct pci_survey *survey)
{
	expect(survey->count && survey->topology.count == survey->count);
	for (size_t i = 0; i < survey->count; i++) {
		const struct pci_function *function = survey->facts[i].function;

		expect(function->index == i);
		expect(!function->parent || function->parent->index < i);
		expect(pci_topology_find(&survey->topology, function->addr) == function);
		expect(survey->facts[i].line);
	}
	for (size_t i = 0; i < survey->nremarks; i++)
		for (const char *c = survey->remarks[i].text; *c; c++)
			expect(*c >= ' ' && *c <= '~');
}

/* Less than holds of machines that were built: here a port may be outside of what an IOMMU covers. */
static void check_groups(const struct pci_survey *survey)
{
	struct pci_grouping *grouping = NULL;
	struct why why = WHY_INIT;

	expect(pci_grouping_compute(&survey->topology, NULL, &grouping, &why) == 0);
	expect(grouping->count == survey->count);
	for (size_t i = 0; i < grouping->count; i++) {
		const struct pci_merge *merge = &grouping->merges[i];
		char text[PCI_REASON_TEXT];

		expect(grouping->group[i] < grouping->ngroups);
		expect((grouping->group[i] < 0) == survey->facts[i].function->untranslated);
		expect(merge->rule == MERGE_FOUNDED || grouping->group[merge->with->index] == grouping->group[i]);
		expect(strlen(pci_merge_reason(grouping, merge, text)) < PCI_REASON_TEXT);
	}
	pci_grouping_free(grouping);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pci_survey *survey = NULL;
	struct pci_ids *ids = NULL;
	struct why why = WHY_INIT;

	if (!size)
		return 0;
	if (*data & 1)
		expect(pci_ids_parse(list, sizeof(list) - 1, &ids, &why) == 0);
	if (pci_read_lspci((const char *)data + 1, size - 1, "fuzz.txt", ids, &survey, &why) < 0) {
		expect(!survey);
		check_refusal(&why);
	} else {
		check_survey(survey);
		check_groups(survey);
		pci_survey_free(survey);
	}
	pci_ids_free(ids);
	return 0;
}
