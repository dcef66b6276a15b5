/* SPDX-License-Identifier: MIT */
/*
 * Groups as Linux makes them (spec 01 section 4): functions in enumeration order; each joins the first group that one
 * of the phases finds, or founds one.
 *
 *	A	walk up the bridges that put their own id on its requests; the last one, P, is what the IOMMU sees
 *	B	from P upward: below a port that cannot redirect, everything is one group with that port
 *	D	functions of P's slot that, like P, are not isolated from each other
 *
 * (Phase C, ids borrowed by quirk, needs the tables that come with the full rule set.) Every join leaves a merge with
 * the component to blame. Alias sets are kept beside: functions whose requests carry one id at the IOMMU.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "pci/caps.h"
#include "pci/topology.h"

DEFINE_FREE(pci_grouping)

struct work {
	const struct pci_topology *topology;
	struct pci_grouping *grouping;
	const struct pci_function **functions; /* by index */
	bool (*translated)(const struct pci_function *);
};

static size_t index_of(const struct work *work, const struct pci_function *function)
{
	for (size_t i = 0; i < work->grouping->count; i++)
		if (work->functions[i] == function)
			return i;
	assert(false);
	return 0;
}

static int group_of(const struct work *work, const struct pci_function *function)
{
	return work->grouping->group[index_of(work, function)];
}

/* Does this bridge pass requests from below on under its own id, or its secondary bus's? (spec 01 section 2, step 4) */
static bool takes_over_ids(const struct pci_function *bridge)
{
	if (!pci_is_pcie(bridge))
		return true;
	return pcie_type(bridge) == PCIE_TO_PCI_BRIDGE || pcie_type(bridge) == PCI_TO_PCIE_BRIDGE;
}

static const struct pci_function *topmost_alias(const struct pci_function *function)
{
	const struct pci_function *alias = function;

	for (const struct pci_function *bridge = function->parent; bridge; bridge = bridge->parent)
		if (takes_over_ids(bridge))
			alias = bridge;
	return alias;
}

static void record(struct work *work, enum merge_rule rule, const struct pci_function *function,
		   const struct pci_function *with, const struct pci_function *over)
{
	struct pci_merge *merge = &work->grouping->merges[work->grouping->nmerges++];
	char me[PCI_ADDR_TEXT], other[PCI_ADDR_TEXT], blamed[PCI_ADDR_TEXT];

	*merge = (struct pci_merge){.rule = rule, .function = function, .with = with, .over = over};
	pci_addr_print(function->addr, me);
	pci_addr_print(with->addr, other);
	pci_addr_print(over->addr, blamed);
	switch (rule) {
	case MERGE_ALIAS_BRIDGE:
		snprintf(merge->reason, sizeof(merge->reason),
			 "%s is behind the conventional bridge %s, which passes its requests on under its own id", me,
			 blamed);
		break;
	case MERGE_NO_ACS_UPSTREAM:
		snprintf(merge->reason, sizeof(merge->reason),
			 "%s is below %s, which %s: requests may turn round there without passing the IOMMU", me,
			 blamed, over->cap_acs ? "has ACS redirection switched off" : "has no ACS capability");
		break;
	case MERGE_NO_ACS_SIBLING:
		snprintf(merge->reason, sizeof(merge->reason),
			 "%s and %s are functions of one device without ACS: they may reach each other inside it", me,
			 other);
		break;
	case MERGE_ALIAS_QUIRK:
		snprintf(merge->reason, sizeof(merge->reason), "%s uses the id of %s", me, other);
		break;
	}
}

/* The first bridge from `bridge` up to the root that cannot redirect; NULL when the whole path can. */
static const struct pci_function *weak_link(const struct pci_function *bridge)
{
	for (; bridge; bridge = bridge->parent)
		if (!pci_acs_isolates(bridge))
			return bridge;
	return NULL;
}

static bool same_slot(const struct pci_function *a, const struct pci_function *b)
{
	return a->addr.segment == b->addr.segment && a->addr.bus == b->addr.bus &&
	       pci_device_number(a->addr) == pci_device_number(b->addr);
}

/* Phase D. A sibling with a group that is not isolated from p either; NULL if none. */
static const struct pci_function *joined_sibling(const struct work *work, const struct pci_function *p)
{
	if (!p->multifunction || pci_acs_isolates(p))
		return NULL;
	for (size_t i = 0; i < work->grouping->count; i++) {
		const struct pci_function *sibling = work->functions[i];

		if (sibling != p && same_slot(sibling, p) && !pci_acs_isolates(sibling) &&
		    work->grouping->group[i] >= 0)
			return sibling;
	}
	return NULL;
}

/* The group of a function: phases A, B and D in order; -1 to found a new one. */
static int find_group(struct work *work, const struct pci_function *function)
{
	const struct pci_function *p = topmost_alias(function), *weak, *sibling;

	if (p != function && group_of(work, p) >= 0) {
		record(work, MERGE_ALIAS_BRIDGE, function, p, p);
		return group_of(work, p);
	}
	for (const struct pci_function *bridge = p->parent; bridge; bridge = bridge->parent) {
		weak = weak_link(bridge);
		if (!weak)
			break;
		p = bridge;
		if (group_of(work, p) >= 0) {
			record(work, MERGE_NO_ACS_UPSTREAM, function, p, weak);
			return group_of(work, p);
		}
	}
	sibling = joined_sibling(work, p);
	if (!sibling)
		return -1;
	record(work, MERGE_NO_ACS_SIBLING, function, sibling, p);
	return group_of(work, sibling);
}

/* Alias sets are named by the topmost alias, which is enumerated before what it hides. */
static void find_alias_set(struct work *work, size_t index)
{
	struct pci_grouping *grouping = work->grouping;
	const struct pci_function *top = topmost_alias(work->functions[index]);

	if (top == work->functions[index])
		grouping->alias_set[index] = grouping->nalias_sets++;
	else
		grouping->alias_set[index] = grouping->alias_set[index_of(work, top)];
}

static void compute(struct work *work)
{
	struct pci_grouping *grouping = work->grouping;

	for (size_t i = 0; i < grouping->count; i++) {
		int group;

		find_alias_set(work, i);
		if (work->translated && !work->translated(work->functions[i]))
			continue;
		group = find_group(work, work->functions[i]);
		grouping->group[i] = group >= 0 ? group : grouping->ngroups++;
	}
}

static int grouping_new(size_t count, struct pci_grouping **ret, struct why *why)
{
	_free_(pci_grouping) struct pci_grouping *grouping = alloc_new(struct pci_grouping, why);

	if (!grouping)
		return -why->err;
	grouping->count = count;
	grouping->group = alloc_array(count + 1, sizeof(int), why);
	if (!grouping->group)
		return -why->err;
	grouping->alias_set = alloc_array(count + 1, sizeof(int), why);
	if (!grouping->alias_set)
		return -why->err;
	grouping->merges = alloc_array(count + 1, sizeof(struct pci_merge), why);
	if (!grouping->merges)
		return -why->err;
	for (size_t i = 0; i < count; i++)
		grouping->group[i] = grouping->alias_set[i] = -1;
	*ret = take(grouping);
	return 0;
}

int pci_grouping_compute(const struct pci_topology *topology, bool (*translated)(const struct pci_function *),
			 struct pci_grouping **ret, struct why *why)
{
	_memory_ const struct pci_function **functions = alloc_array(topology->count + 1, sizeof(*functions), why);
	struct pci_function *function;
	struct work work = {.topology = topology, .functions = functions, .translated = translated};
	size_t count = 0;
	int err;

	if (!functions)
		return -why->err;
	list_for_each(function, &topology->functions, link)
		functions[count++] = function;
	err = grouping_new(count, &work.grouping, why);
	if (err < 0)
		return err;
	compute(&work);
	*ret = work.grouping;
	return 0;
}

void pci_grouping_free(struct pci_grouping *grouping)
{
	if (!grouping)
		return;
	free(grouping->group);
	free(grouping->alias_set);
	free(grouping->merges);
	free(grouping);
}

const char *merge_rule_name(enum merge_rule rule)
{
	static const char *const names[] = {
		[MERGE_ALIAS_BRIDGE] = "alias-bridge",
		[MERGE_NO_ACS_UPSTREAM] = "no-acs-upstream",
		[MERGE_NO_ACS_SIBLING] = "no-acs-sibling",
		[MERGE_ALIAS_QUIRK] = "alias-quirk",
	};

	return names[rule];
}
