/* SPDX-License-Identifier: MIT */
/*
 * From the functions a reader found to a topology: order, bridges above, virtual functions, slots, VMD, coverage.
 */
#include <stdlib.h>

#include "base/text.h"
#include "pci/survey_steps.h"

static int by_address(const void *a, const void *b)
{
	u64 x = pci_addr_key(((const struct pci_facts *)a)->function->addr);
	u64 y = pci_addr_key(((const struct pci_facts *)b)->function->addr);

	return x < y ? -1 : x > y;
}

struct pci_facts *survey_facts_at(const struct pci_survey *survey, struct pci_addr addr)
{
	struct pci_function wanted = {.addr = addr};
	struct pci_facts key = {.function = &wanted};

	return survey->count == 0 ? NULL : bsearch(&key, survey->facts, survey->count, sizeof(key), by_address);
}

/* qsort is not stable, so which of two equal addresses stays is decided by line. */
static int drop_doubles(struct pci_survey *survey, struct why *why)
{
	size_t kept = 0;

	for (size_t i = 0; i < survey->count; i++) {
		struct pci_facts *facts = &survey->facts[i], *before = kept ? &survey->facts[kept - 1] : NULL;
		char bdf[PCI_ADDR_TEXT];
		int err;

		if (!before || !pci_addr_equal(before->function->addr, facts->function->addr)) {
			survey->facts[kept++] = *facts;
			continue;
		}
		err = pci_survey_remark(survey, REMARK_WARNING, facts->line, NULL, why,
					"%s is there twice; one of them is used",
					pci_addr_print(facts->function->addr, bdf));
		if (err < 0)
			return err;
		if (facts->line < before->line) {
			struct pci_facts swap = *before;

			*before = *facts;
			*facts = swap;
		}
		pci_function_fini(facts->function);
		free(facts->function);
		free(facts->name);
		free(facts->driver);
		facts->function = NULL;
		facts->name = facts->driver = NULL;
	}
	survey->count = kept;
	return 0;
}

static bool same_slot(const struct pci_facts *a, const struct pci_facts *b)
{
	return pci_addr_key(a->function->addr) >> 3 == pci_addr_key(b->function->addr) >> 3;
}

/* A slot with more than one function has only multifunction ones; virtual functions never are (spec 01 section 3.2). */
static void mark_multifunction(struct pci_survey *survey)
{
	struct pci_facts *previous = NULL;

	for (size_t i = 0; i < survey->count; i++) {
		struct pci_facts *facts = &survey->facts[i];

		if (facts->is_virtual) {
			facts->function->multifunction = false;
			continue;
		}
		if (previous && same_slot(previous, facts)) {
			pci_set_multifunction(previous->function);
			pci_set_multifunction(facts->function);
			previous->gaps &= ~(unsigned)PCI_GAP_HEADER;
			facts->gaps &= ~(unsigned)PCI_GAP_HEADER;
		}
		previous = facts;
	}
}

static void clean_words(struct pci_survey *survey)
{
	for (size_t i = 0; i < survey->count; i++) {
		if (survey->facts[i].name)
			text_clean(survey->facts[i].name);
		if (survey->facts[i].driver)
			text_clean(survey->facts[i].driver);
	}
}

int pci_survey_finish(struct pci_survey *survey, struct why *why)
{
	int err;

	clean_words(survey);
	if (survey->count)
		qsort(survey->facts, survey->count, sizeof(survey->facts[0]), by_address);
	err = drop_doubles(survey, why);
	if (err == 0)
		err = survey_find_virtual(survey, why);
	if (err == 0)
		err = survey_link(survey, why);
	if (err == 0)
		mark_multifunction(survey);
	if (err == 0)
		err = survey_find_vmd(survey, why);
	if (err == 0)
		err = survey_assume_capabilities(survey, why);
	if (err == 0)
		err = survey_find_coverage(survey, why);
	return err < 0 ? err : survey_enumerate(survey, why);
}
