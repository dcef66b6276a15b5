/* SPDX-License-Identifier: MIT */
#include "cli/explanation.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"

static int allocate(struct explanation *explanation, size_t count, struct why *why)
{
	explanation->functions = alloc_array(count + 1, sizeof(explanation->functions[0]), why);
	if (!explanation->functions)
		return -why->err;
	explanation->by_group = alloc_array(count + 1, sizeof(explanation->by_group[0]), why);
	if (!explanation->by_group)
		return -why->err;
	explanation->first = alloc_array((size_t)explanation->grouping->ngroups + 2, sizeof(size_t), why);
	return explanation->first ? 0 : -why->err;
}

/* Counting sort; functions stay in enumeration order within their group. */
static void sort_by_group(struct explanation *explanation)
{
	const struct pci_grouping *grouping = explanation->grouping;
	size_t *first = explanation->first;
	size_t ngroups = (size_t)grouping->ngroups;

	for (size_t i = 0; i < grouping->count; i++)
		first[grouping->group[i] < 0 ? ngroups + 1 : (size_t)grouping->group[i] + 1]++;
	for (size_t group = 1; group <= ngroups; group++)
		first[group] += first[group - 1];
	/* Now first[g + 1] is where group g ends; filling from the back makes first[g + 1] where it starts. */
	first[ngroups + 1] = grouping->count;
	for (size_t i = grouping->count; i-- > 0;) {
		size_t *at = &first[grouping->group[i] < 0 ? ngroups + 1 : (size_t)grouping->group[i] + 1];

		explanation->by_group[--*at] = explanation->functions[i];
	}
	memmove(first, first + 1, (ngroups + 1) * sizeof(first[0]));
}

int explanation_init(struct explanation *explanation, const struct pci_survey *survey, struct pci_rules *rules,
		     struct names *names, struct why *why)
{
	const struct pci_function *function;
	int err;

	*explanation = (struct explanation){.survey = survey, .rules = rules, .names = names};
	err = pci_grouping_compute(&survey->topology, rules, &explanation->grouping, why);
	if (err == 0)
		err = allocate(explanation, survey->count, why);
	if (err < 0)
		return err;
	list_for_each(function, &survey->topology.functions, link)
		explanation->functions[function->index] = function;
	sort_by_group(explanation);
	return 0;
}

void explanation_fini(struct explanation *explanation)
{
	pci_rules_free(explanation->rules);
	pci_grouping_free(explanation->grouping);
	free(explanation->functions);
	free(explanation->by_group);
	free(explanation->first);
}

int explanation_find(const struct explanation *explanation, const char *text, const struct pci_function **ret,
		     struct why *why)
{
	struct pci_addr addr;

	if (!pci_addr_parse(text, &addr))
		return refuse(why, DRIVER_DEVICE_UNKNOWN,
			      "\"%.40s\" is no address of a function: 0000:07:00.0, or 07:00.0", text);
	*ret = pci_topology_find(&explanation->survey->topology, addr);
	return *ret ? 0
		    : refuse(why, DRIVER_DEVICE_UNKNOWN, "there is no device \"%.40s\" in %.100s", text,
			     explanation->survey->source);
}

int group_of(const struct explanation *explanation, const struct pci_function *function)
{
	return explanation->grouping->group[function->index];
}

size_t group_size(const struct explanation *explanation, int group)
{
	return explanation->first[group + 1] - explanation->first[group];
}

const struct pci_facts *facts_of(const struct explanation *explanation, const struct pci_function *function)
{
	return &explanation->survey->facts[function->index];
}

const char *name_of(const struct explanation *explanation, const struct pci_function *function,
		    char text[static NAME_TEXT])
{
	const struct pci_facts *facts = facts_of(explanation, function);
	const u8 *config = function->config;

	if (facts->name)
		snprintf(text, NAME_TEXT, "%s", facts->name);
	else
		names_device(explanation->names, get_u16(config + PCI_CLASS), get_u16(config + PCI_VENDOR_ID),
			     get_u16(config + PCI_DEVICE_ID), text, NAME_TEXT);
	return text_clean(text); /* a name may have been cut inside a character */
}

const char *assumed_of(const struct explanation *explanation, const struct pci_function *function)
{
	const struct pci_traits *traits = &explanation->grouping->traits[function->index];
	const struct pci_quirk *const quirks[] = {traits->acs_quirk, traits->alias_quirk, traits->bridge_quirk};

	for (unsigned i = 0; i < ARRAY_SIZE(quirks); i++)
		if (quirks[i] && quirks[i]->assumes)
			return quirks[i]->assumes;
	return NULL;
}

static const char *alone_because(const struct explanation *explanation, const struct pci_function *function)
{
	const struct pci_traits *traits = &explanation->grouping->traits[function->index];

	if (function->parent && function->multifunction && traits->isolates)
		return "alone: every port above it redirects (ACS), and it is isolated from its siblings in the slot";
	if (function->parent)
		return "alone: every port above it redirects (ACS), so its requests meet the IOMMU before anybody else";
	if (function->multifunction && traits->isolates)
		return "alone: it is isolated from its siblings in the slot, and nothing is above it";
	return "alone: nothing is above it and it reaches no other function by itself";
}

const char *sentence_of(const struct explanation *explanation, const struct pci_function *function,
			char text[static SENTENCE_TEXT])
{
	const struct pci_merge *merge = &explanation->grouping->merges[function->index];
	const struct pci_traits *traits = &explanation->grouping->traits[function->index];
	int group = group_of(explanation, function);

	if (group < 0)
		return "no group: no IOMMU covers it";
	if (merge->rule != MERGE_FOUNDED)
		return pci_merge_reason(explanation->grouping, merge, text);
	if (group_size(explanation, group) > 1)
		return "the first of its group; the others joined it";
	if (!traits->acs_quirk)
		return alone_because(explanation, function);
	snprintf(text, SENTENCE_TEXT, "%s (quirk %s: %s)", alone_because(explanation, function),
		 traits->acs_quirk->name, traits->acs_quirk->text);
	return text;
}
