/* SPDX-License-Identifier: MIT */
/*
 * Alias sets: found by joining the ends of edges (a bridge and what it speaks for, two functions that share an id), so
 * the result does not depend on any order.
 */
#include "pci/alias.h"

static u32 leader_of(struct grouping_work *work, u32 index)
{
	while (work->leader[index] != index) {
		work->leader[index] = work->leader[work->leader[index]];
		index = work->leader[index];
	}
	return index;
}

static void join_aliases(struct grouping_work *work, u32 a, u32 b)
{
	u32 first = leader_of(work, a), second = leader_of(work, b);

	work->leader[max_u64(first, second)] = (u32)min_u64(first, second);
}

/* Parents come first, so theirs is known. */
static const struct pci_function *first_id_bridge(const struct grouping_work *work, const struct pci_function *function)
{
	const struct pci_function *bridge = function->parent;

	if (!bridge)
		return NULL;
	switch (work->grouping->traits[bridge->index].ids) {
	case BRIDGE_IDS_ROOT:
		return NULL;
	case BRIDGE_IDS_SECONDARY:
	case BRIDGE_IDS_OWN:
		return bridge;
	case BRIDGE_IDS_PASS:
		break;
	}
	return work->id_bridge[bridge->index];
}

static void join_neighbours(struct grouping_work *work, const struct pci_function *function)
{
	struct bus_range bus = bus_of(work, function);

	for (size_t i = bus.first; i < bus.after; i++)
		if (share_id(work, function, work->by_address[i]))
			join_aliases(work, function->index, work->by_address[i]->index);
}

static void join_edges(struct grouping_work *work, const struct pci_function *function)
{
	if (work->id_bridge[function->index])
		join_aliases(work, function->index, work->id_bridge[function->index]->index);
	if (function->dma_device)
		join_aliases(work, function->index, function->dma_device->index);
	if (work->grouping->traits[function->index].uses_other_ids)
		join_neighbours(work, function);
}

void find_alias_sets(struct grouping_work *work)
{
	struct pci_grouping *grouping = work->grouping;

	for (size_t i = 0; i < grouping->count; i++) {
		work->id_bridge[i] = first_id_bridge(work, work->functions[i]);
		join_edges(work, work->functions[i]);
	}
	/* The leader is the first member, so its number is there when the others ask for it. */
	for (size_t i = 0; i < grouping->count; i++) {
		u32 leader = leader_of(work, (u32)i);

		grouping->alias_set[i] = leader == i ? grouping->nalias_sets++ : grouping->alias_set[leader];
	}
}
