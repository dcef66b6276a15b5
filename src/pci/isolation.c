/* SPDX-License-Identifier: MIT */
/*
 * Groups as Linux makes them (spec 01 section 4): functions in the order they are probed; each joins the first group
 * that one of the phases finds, or founds one.
 *
 *	A	walk up the bridges that put their own id on its requests; the last one, P, is what the IOMMU sees
 *	B	from P upward: below a port that cannot redirect, everything is one group with that port
 *	C	functions of P's bus that share an id with it by quirk
 *	D	functions of P's slot that, like P, are not isolated from each other
 *
 * Every join leaves a merge with the component to blame. Linux walks to the root for each function; here what a walk
 * from a function upward would find is remembered, so that the whole takes time linear in the number of functions.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "pci/alias.h"
#include "pci/grouping.h"

/* Since each IOMMU that registers looks for its devices on its own, units number their groups one after the other. */
#define PROBED_BY_UNIT PCI_KERNEL(6, 1)

struct visited {
	u64 devfns[4];
};

static int group_of(const struct grouping_work *work, const struct pci_function *function)
{
	return work->grouping->group[function->index];
}

static bool isolates(const struct grouping_work *work, const struct pci_function *function)
{
	return work->grouping->traits[function->index].isolates;
}

static void find_weak_links(struct grouping_work *work)
{
	for (size_t i = 0; i < work->grouping->count; i++) {
		const struct pci_function *function = work->functions[i];

		if (!isolates(work, function))
			work->weak[i] = function;
		else if (function->parent)
			work->weak[i] = work->weak[function->parent->index];
		if (function->parent && work->weak[function->parent->index])
			work->weak_bridge[i] = function->parent->index + 1;
	}
}

static int join(struct grouping_work *work, enum merge_rule rule, const struct pci_function *function,
		const struct pci_function *with, const struct pci_function *over)
{
	work->grouping->merges[function->index] =
		(struct pci_merge){.rule = rule, .function = function, .with = with, .over = over};
	return group_of(work, with);
}

static const struct pci_function *grouped_sibling(const struct grouping_work *work, const struct pci_function *p,
						  struct visited *visited);

/* Phase C: p itself or one it shares ids with, that has a group; NULL if none. Each devfn is visited once. */
static const struct pci_function *grouped_alias(const struct grouping_work *work, const struct pci_function *p,
						struct visited *visited)
{
	u64 *word = &visited->devfns[p->addr.devfn / 64], bit = BIT(p->addr.devfn % 64);
	struct bus_range bus;

	if (*word & bit)
		return NULL;
	*word |= bit;
	if (group_of(work, p) >= 0)
		return p;
	bus = bus_of(work, p);
	for (size_t i = bus.first; bus.quirks && i < bus.after; i++) {
		const struct pci_function *other = work->by_slot[i], *found;

		if (other == p || !share_id(work, p, other))
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
static const struct pci_function *grouped_sibling(const struct grouping_work *work, const struct pci_function *p,
						  struct visited *visited)
{
	struct bus_range slot;

	if (!p->multifunction || isolates(work, p))
		return NULL;
	slot = slot_of(work, p);
	for (size_t i = slot.first; i < slot.after; i++) {
		const struct pci_function *sibling = work->by_slot[i], *found;

		if (sibling == p || isolates(work, sibling))
			continue;
		found = grouped_alias(work, sibling, visited);
		if (found)
			return found;
	}
	return NULL;
}

/*
 * Follows a chain of id_bridge or weak_bridge from *p to its end, or to the first that has a group; that becomes *p.
 * True if it has a group.
 */
static bool finds_group_above(const struct grouping_work *work, const u32 *chain, const struct pci_function **p)
{
	u32 at = (*p)->index;
	bool found = false;

	while (!found && chain[at]) {
		at = chain[at] - 1;
		found = work->grouping->group[at] >= 0;
	}
	*p = work->functions[at];
	return found;
}

/* The group of a function: the phases in order; -1 to found a new one. */
static int find_group(struct grouping_work *work, const struct pci_function *function)
{
	const struct pci_function *p = function->dma_device ? function->dma_device : function, *found;
	struct visited visited = {};

	if (group_of(work, p) >= 0)
		return join(work, MERGE_ALIAS_DMA, function, p, p);
	if (finds_group_above(work, work->id_bridge, &p))
		return join(work, MERGE_ALIAS_BRIDGE, function, p, p);
	if (finds_group_above(work, work->weak_bridge, &p))
		return join(work, MERGE_NO_ACS_UPSTREAM, function, p, work->weak[p->index]);
	found = grouped_alias(work, p, &visited);
	if (found)
		return join(work, MERGE_ALIAS_QUIRK, function, found, p);
	found = grouped_sibling(work, p, &visited);
	return found ? join(work, MERGE_NO_ACS_SIBLING, function, found, p) : -1;
}

static void probe(struct grouping_work *work, const struct pci_function *function)
{
	struct pci_grouping *grouping = work->grouping;
	int group;

	if (function->untranslated)
		return;
	group = find_group(work, function);
	grouping->group[function->index] = group >= 0 ? group : grouping->ngroups++;
}

/* The order of probing: as enumerated, or one unit after the other. */
static void order_probes(struct grouping_work *work, bool by_unit)
{
	size_t at[257] = {}; /* where the next one of each unit goes; counted one unit too high at first */

	for (size_t i = 0; by_unit && i < work->grouping->count; i++)
		at[work->functions[i]->unit + 1]++;
	for (unsigned unit = 1; unit < 256; unit++)
		at[unit] += at[unit - 1];
	for (size_t i = 0; i < work->grouping->count; i++)
		work->probed[at[by_unit ? work->functions[i]->unit : 0]++] = (u32)i;
}

int pci_grouping_compute(const struct pci_topology *topology, const struct pci_rules *rules, struct pci_grouping **ret,
			 struct why *why)
{
	struct grouping_work work = {.grouping = NULL};
	int err = grouping_work_init(&work, topology, rules, why);

	if (err == 0) {
		find_alias_sets(&work);
		find_weak_links(&work);
		order_probes(&work, pci_rules_kernel(rules) >= PROBED_BY_UNIT);
		for (size_t i = 0; i < work.grouping->count; i++)
			probe(&work, work.functions[work.probed[i]]);
		*ret = work.grouping;
	}
	grouping_work_fini(&work);
	return err;
}
