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

/* The first bridge from this one up to the root that cannot redirect; NULL when the whole path can. */
static const struct pci_function *weak_link(const struct grouping_work *work, const struct pci_function *bridge)
{
	return work->weak[bridge->index];
}

static void find_weak_links(struct grouping_work *work)
{
	for (size_t i = 0; i < work->grouping->count; i++) {
		const struct pci_function *function = work->functions[i];

		if (!isolates(work, function))
			work->weak[i] = function;
		else if (function->parent)
			work->weak[i] = work->weak[function->parent->index];
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
		const struct pci_function *other = work->by_address[i], *found;

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
		const struct pci_function *sibling = work->by_address[i], *found;

		if (sibling == p || isolates(work, sibling))
			continue;
		found = grouped_alias(work, sibling, visited);
		if (found)
			return found;
	}
	return NULL;
}

/* Phase A: follows the bridges that put their ids on the requests of *p, which becomes the last of them. */
static bool joins_alias_bridge(const struct grouping_work *work, const struct pci_function **p)
{
	const struct pci_function *bridge;

	while ((bridge = work->id_bridge[(*p)->index])) {
		*p = bridge;
		if (group_of(work, bridge) >= 0)
			return true;
	}
	return false;
}

/* The group of a function: the phases in order; -1 to found a new one. */
static int find_group(struct grouping_work *work, const struct pci_function *function)
{
	const struct pci_function *p = function->dma_device ? function->dma_device : function, *found;
	struct visited visited = {};

	if (group_of(work, p) >= 0)
		return join(work, MERGE_ALIAS_DMA, function, p, p);
	if (joins_alias_bridge(work, &p))
		return join(work, MERGE_ALIAS_BRIDGE, function, p, p);
	for (const struct pci_function *bridge = p->parent; bridge; bridge = bridge->parent) {
		const struct pci_function *weak = weak_link(work, bridge);

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

static void probe(struct grouping_work *work, const struct pci_function *function)
{
	struct pci_grouping *grouping = work->grouping;
	int group;

	if (function->untranslated)
		return;
	group = find_group(work, function);
	grouping->group[function->index] = group >= 0 ? group : grouping->ngroups++;
}

static void find_groups(struct grouping_work *work, bool by_unit)
{
	unsigned last = by_unit ? work->last_unit : 0;

	for (unsigned unit = 0; unit <= last; unit++)
		for (size_t i = 0; i < work->grouping->count; i++)
			if (!by_unit || work->functions[i]->unit == unit)
				probe(work, work->functions[i]);
}

int pci_grouping_compute(const struct pci_topology *topology, const struct pci_rules *rules, struct pci_grouping **ret,
			 struct why *why)
{
	struct grouping_work work = {.grouping = NULL};
	int err = grouping_work_init(&work, topology, rules, why);

	if (err == 0) {
		find_alias_sets(&work);
		find_weak_links(&work);
		find_groups(&work, pci_rules_kernel(rules) >= PROBED_BY_UNIT);
		*ret = work.grouping;
	}
	grouping_work_fini(&work);
	return err;
}
