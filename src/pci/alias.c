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
static u32 first_id_bridge(const struct grouping_work *work, const struct pci_function *function)
{
	const struct pci_function *bridge = function->parent;

	if (!bridge)
		return 0;
	switch (work->grouping->traits[bridge->index].ids) {
	case BRIDGE_IDS_ROOT:
		return 0;
	case BRIDGE_IDS_SECONDARY:
	case BRIDGE_IDS_OWN:
		return bridge->index + 1;
	case BRIDGE_IDS_PASS:
		break;
	}
	return work->id_bridge[bridge->index];
}

/* One more user of this id of the bus: one alias set with those before. users: 1 + index; 0 none. */
static void join_users(struct grouping_work *work, u32 users[static 256], unsigned devfn, u32 index)
{
	if (users[devfn])
		join_aliases(work, users[devfn] - 1, index);
	else
		users[devfn] = index + 1;
}

static bool is_within(const u64 ids[static 4], const u64 outer[static 4])
{
	for (unsigned i = 0; i < 4; i++)
		if (ids[i] & ~outer[i])
			return false;
	return true;
}

/*
 * Those that use one id: the function it belongs to, and others by quirk. It may belong to nobody: two that use it are
 * no aliases to Linux, which asks only whether one uses the other's, but the IOMMU cannot tell them apart either.
 */
static void join_bus(struct grouping_work *work, const struct bus_range *bus)
{
	/* All ids of one function, which are joined to it: mostly the next one uses no others. */
	u64 joined[4] = {};
	u32 users[256] = {}, to = 0;

	for (size_t i = bus->first; i < bus->after; i++) {
		const struct pci_function *function = work->by_slot[i];
		const struct pci_traits *traits = &work->grouping->traits[function->index];

		join_users(work, users, function->addr.devfn, function->index);
		if (!traits->uses_other_ids)
			continue;
		if (is_within(traits->other_ids, joined)) {
			join_aliases(work, to, function->index);
			continue;
		}
		for (unsigned word = 0; word < ARRAY_SIZE(traits->other_ids); word++)
			for (u64 left = traits->other_ids[word]; left; left &= left - 1)
				join_users(work, users, word * 64 + (unsigned)__builtin_ctzll(left), function->index);
		memcpy(joined, traits->other_ids, sizeof(joined));
		joined[function->addr.devfn / 64] |= BIT(function->addr.devfn % 64);
		to = function->index;
	}
}

static void join_edges(struct grouping_work *work, const struct pci_function *function)
{
	if (work->id_bridge[function->index])
		join_aliases(work, function->index, work->id_bridge[function->index] - 1);
	if (function->dma_device)
		join_aliases(work, function->index, function->dma_device->index);
}

void find_alias_sets(struct grouping_work *work)
{
	struct pci_grouping *grouping = work->grouping;

	for (size_t i = 0; i < grouping->count; i++) {
		work->id_bridge[i] = first_id_bridge(work, work->functions[i]);
		join_edges(work, work->functions[i]);
	}
	for (size_t i = 0; i < work->nbuses; i++)
		if (work->buses[i].quirks)
			join_bus(work, &work->buses[i]);
	/* The leader is the first member, so its number is there when the others ask for it. */
	for (size_t i = 0; i < grouping->count; i++) {
		u32 leader = leader_of(work, (u32)i);

		grouping->alias_set[i] = leader == i ? grouping->nalias_sets++ : grouping->alias_set[leader];
	}
}
