/* SPDX-License-Identifier: MIT */
/*
 * Groups as Linux makes them (spec 01 section 4): functions in enumeration order; each joins the first group that one
 * of the phases finds, or founds one.
 *
 *	A	walk up the bridges that put their own id on its requests; the last one, P, is what the IOMMU sees
 *	B	from P upward: below a port that cannot redirect, everything is one group with that port
 *	C	functions of P's bus that share an id with it by quirk
 *	D	functions of P's slot that, like P, are not isolated from each other
 *
 * Every join leaves a merge with the component to blame. Alias sets are kept beside: functions whose requests may carry
 * one id at the IOMMU. They are found by joining ends of edges, so that the result does not depend on any order.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "pci/topology.h"

DEFINE_FREE(pci_grouping)

#define BUS_FUNCTIONS 256
#define NOWHERE	      SIZE_MAX

struct place {
	u32 key; /* of the address */
	u32 index;
};

struct work {
	struct pci_grouping *grouping;
	const struct pci_function **functions; /* owned: by index */
	struct place *places;		       /* owned: sorted by key */
	u32 *leader;			       /* owned: towards the first of the alias set, by index */
	bool quirks;			       /* some function uses other ids */
};

static void work_fini(struct work *work)
{
	free(work->functions);
	free(work->places);
	free(work->leader);
}

static int by_key(const void *a, const void *b)
{
	u32 x = ((const struct place *)a)->key, y = ((const struct place *)b)->key;

	return x < y ? -1 : x > y;
}

static size_t index_at(const struct work *work, struct pci_addr addr)
{
	struct place wanted = {.key = pci_addr_key(addr)};
	const struct place *found = bsearch(&wanted, work->places, work->grouping->count, sizeof(wanted), by_key);

	return found ? found->index : NOWHERE;
}

static const struct pci_function *function_at(const struct work *work, struct pci_addr addr)
{
	size_t index = index_at(work, addr);

	return index == NOWHERE ? NULL : work->functions[index];
}

static int group_of(const struct work *work, const struct pci_function *function)
{
	return work->grouping->group[index_at(work, function->addr)];
}

/* ---- alias sets ---- */

/* Does this bridge pass requests from below on under its own id, or its secondary bus's? (spec 01 section 2, step 4) */
static bool takes_over_ids(const struct pci_function *bridge)
{
	if (!pci_is_pcie(bridge))
		return true;
	return pcie_type(bridge) == PCIE_TO_PCI_BRIDGE || pcie_type(bridge) == PCI_TO_PCIE_BRIDGE;
}

static u32 leader_of(struct work *work, u32 index)
{
	while (work->leader[index] != index) {
		work->leader[index] = work->leader[work->leader[index]];
		index = work->leader[index];
	}
	return index;
}

static void join_aliases(struct work *work, size_t a, size_t b)
{
	u32 first = leader_of(work, (u32)a), second = leader_of(work, (u32)b);

	work->leader[max_u64(first, second)] = (u32)min_u64(first, second);
}

static void join_neighbours(struct work *work, size_t index)
{
	const struct pci_function *function = work->functions[index];
	struct pci_addr addr = function->addr;

	for (unsigned devfn = 0; devfn < BUS_FUNCTIONS; devfn++) {
		size_t other;

		addr.devfn = (u8)devfn;
		other = index_at(work, addr);
		if (other != NOWHERE && pci_share_id(function, work->functions[other]))
			join_aliases(work, index, other);
	}
}

static void find_alias_sets(struct work *work)
{
	struct pci_grouping *grouping = work->grouping;

	for (size_t i = 0; i < grouping->count; i++) {
		for (const struct pci_function *bridge = work->functions[i]->parent; bridge; bridge = bridge->parent)
			if (takes_over_ids(bridge))
				join_aliases(work, i, index_at(work, bridge->addr));
		if (work->quirks)
			join_neighbours(work, i);
	}
	/* The leader is the first member, so its number is there when the others ask for it. */
	for (size_t i = 0; i < grouping->count; i++) {
		u32 leader = leader_of(work, (u32)i);

		grouping->alias_set[i] = leader == i ? grouping->nalias_sets++ : grouping->alias_set[leader];
	}
}

/* ---- isolation groups ---- */

static int join(struct work *work, enum merge_rule rule, const struct pci_function *function,
		const struct pci_function *with, const struct pci_function *over)
{
	struct pci_merge *merge = &work->grouping->merges[work->grouping->nmerges++];

	*merge = (struct pci_merge){.rule = rule, .function = function, .with = with, .over = over};
	pci_merge_describe(merge);
	return group_of(work, with);
}

/* The first bridge from `bridge` up to the root that cannot redirect; NULL when the whole path can. */
static const struct pci_function *weak_link(const struct pci_function *bridge)
{
	for (; bridge; bridge = bridge->parent)
		if (!pci_acs_isolates(bridge))
			return bridge;
	return NULL;
}

/* Devfns looked at by one search. */
struct visited {
	bool devfn[BUS_FUNCTIONS];
};

static const struct pci_function *grouped_sibling(const struct work *work, const struct pci_function *p,
						  struct visited *visited);

/* Phase C: p itself or one it shares ids with, that has a group; NULL if none. Each devfn is visited once. */
static const struct pci_function *grouped_alias(const struct work *work, const struct pci_function *p,
						struct visited *visited)
{
	struct pci_addr addr = p->addr;

	if (visited->devfn[p->addr.devfn])
		return NULL;
	visited->devfn[p->addr.devfn] = true;
	if (group_of(work, p) >= 0)
		return p;
	for (unsigned devfn = 0; work->quirks && devfn < BUS_FUNCTIONS; devfn++) {
		const struct pci_function *other, *found;

		addr.devfn = (u8)devfn;
		other = function_at(work, addr);
		if (!other || other == p || !pci_share_id(p, other))
			continue;
		found = grouped_alias(work, other, visited);
		if (!found)
			found = grouped_sibling(work, other, visited);
		if (found)
			return found;
	}
	return NULL;
}

/* Phase D: a function of p's slot that is not isolated from p either, and has a group; NULL if none. */
static const struct pci_function *grouped_sibling(const struct work *work, const struct pci_function *p,
						  struct visited *visited)
{
	struct pci_addr addr = p->addr;

	if (!p->multifunction || pci_acs_isolates(p))
		return NULL;
	for (unsigned number = 0; number < 8; number++) {
		const struct pci_function *sibling, *found;

		addr.devfn = pci_devfn(pci_device_number(p->addr), number);
		sibling = function_at(work, addr);
		if (!sibling || sibling == p || pci_acs_isolates(sibling))
			continue;
		found = grouped_alias(work, sibling, visited);
		if (found)
			return found;
	}
	return NULL;
}

/* The group of a function: the phases in order; -1 to found a new one. */
static int find_group(struct work *work, const struct pci_function *function)
{
	const struct pci_function *p = function, *bridge, *found;
	struct visited visited = {};

	for (bridge = function->parent; bridge; bridge = bridge->parent) {
		if (!takes_over_ids(bridge))
			continue;
		p = bridge;
		if (group_of(work, p) >= 0)
			return join(work, MERGE_ALIAS_BRIDGE, function, p, p);
	}
	for (bridge = p->parent; bridge; bridge = bridge->parent) {
		const struct pci_function *weak = weak_link(bridge);

		if (!weak)
			break;
		p = bridge;
		if (group_of(work, p) >= 0)
			return join(work, MERGE_NO_ACS_UPSTREAM, function, p, weak);
	}
	found = grouped_alias(work, p, &visited);
	if (found)
		return join(work, MERGE_ALIAS_QUIRK, function, found, p);
	found = grouped_sibling(work, p, &visited);
	return found ? join(work, MERGE_NO_ACS_SIBLING, function, found, p) : -1;
}

static void find_groups(struct work *work, bool (*translated)(const struct pci_function *))
{
	struct pci_grouping *grouping = work->grouping;

	for (size_t i = 0; i < grouping->count; i++) {
		int group;

		if (translated && !translated(work->functions[i]))
			continue;
		group = find_group(work, work->functions[i]);
		grouping->group[i] = group >= 0 ? group : grouping->ngroups++;
	}
}

/* ---- putting it together ---- */

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

static int work_init(struct work *work, const struct pci_topology *topology, struct why *why)
{
	const struct pci_function *function;
	u32 i = 0;

	work->functions = alloc_array(topology->count + 1, sizeof(work->functions[0]), why);
	if (!work->functions)
		return -why->err;
	work->places = alloc_array(topology->count + 1, sizeof(work->places[0]), why);
	if (!work->places)
		return -why->err;
	work->leader = alloc_array(topology->count + 1, sizeof(work->leader[0]), why);
	if (!work->leader)
		return -why->err;
	list_for_each(function, &topology->functions, link) {
		work->functions[i] = function;
		work->places[i] = (struct place){pci_addr_key(function->addr), i};
		work->leader[i] = i;
		work->quirks |= function->uses_other_ids;
		i++;
	}
	assert(i == topology->count);
	qsort(work->places, i, sizeof(work->places[0]), by_key);
	return 0;
}

int pci_grouping_compute(const struct pci_topology *topology, bool (*translated)(const struct pci_function *),
			 struct pci_grouping **ret, struct why *why)
{
	struct work work = {.grouping = NULL};
	int err = work_init(&work, topology, why);

	if (err == 0)
		err = grouping_new(topology->count, &work.grouping, why);
	if (err == 0) {
		find_alias_sets(&work);
		find_groups(&work, translated);
		*ret = work.grouping;
	}
	work_fini(&work);
	return err;
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
