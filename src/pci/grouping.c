/* SPDX-License-Identifier: MIT */
/* Memory of the computation, and the functions by bus and slot. */
#include "pci/grouping.h"

#include <stdlib.h>

#include "base/alloc.h"

/* Within a slot as they were enumerated, which is how Linux looks at them: virtual functions come last. */
static int by_slot(const void *a, const void *b)
{
	const struct pci_function *first = *(const struct pci_function *const *)a;
	const struct pci_function *second = *(const struct pci_function *const *)b;
	u64 x = pci_addr_key(first->addr) >> 3, y = pci_addr_key(second->addr) >> 3;

	if (x == y)
		return first->index < second->index ? -1 : first->index > second->index;
	return x < y ? -1 : 1;
}

static u64 bus_key(const struct pci_function *function)
{
	return pci_addr_key(function->addr) >> 8;
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
	grouping->traits = alloc_array(count + 1, sizeof(struct pci_traits), why);
	if (!grouping->traits)
		return -why->err;
	for (size_t i = 0; i < count; i++)
		grouping->group[i] = grouping->alias_set[i] = -1;
	*ret = take(grouping);
	return 0;
}

static int work_allocate(struct grouping_work *work, size_t count, struct why *why)
{
	struct {
		void *at;
		size_t size;
	} const arrays[] = {
		{&work->functions, sizeof(void *)}, {&work->by_slot, sizeof(void *)},
		{&work->weak, sizeof(void *)},	    {&work->buses, sizeof(struct bus_range)},
		{&work->bus, sizeof(u32)},	    {&work->probed, sizeof(u32)},
		{&work->id_bridge, sizeof(u32)},    {&work->weak_bridge, sizeof(u32)},
		{&work->leader, sizeof(u32)},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(arrays); i++) {
		void *memory = alloc_array(count + 1, arrays[i].size, why);

		if (!memory)
			return -why->err;
		memcpy(arrays[i].at, &memory, sizeof(memory));
	}
	return 0;
}

static void number_buses(struct grouping_work *work)
{
	const struct pci_function *previous = NULL;
	struct bus_range *bus = NULL;

	for (size_t i = 0; i < work->grouping->count; i++) {
		const struct pci_function *function = work->by_slot[i];

		if (!previous || bus_key(previous) != bus_key(function)) {
			bus = &work->buses[work->nbuses++];
			bus->first = i;
		}
		bus->after = i + 1;
		bus->quirks |= work->grouping->traits[function->index].uses_other_ids;
		work->bus[function->index] = (u32)(work->nbuses - 1);
		previous = function;
	}
}

int grouping_work_init(struct grouping_work *work, const struct pci_topology *topology, const struct pci_rules *rules,
		       struct why *why)
{
	const struct pci_function *function;
	int err = work_allocate(work, topology->count, why);
	u32 i = 0;

	if (err == 0)
		err = grouping_new(topology->count, &work->grouping, why);
	if (err < 0)
		return err;
	list_for_each(function, &topology->functions, link) {
		assert(function->index == i);
		work->functions[i] = work->by_slot[i] = function;
		work->leader[i] = i;
		pci_traits_of(function, rules, &work->grouping->traits[i]);
		i++;
	}
	assert(i == topology->count);
	qsort(work->by_slot, i, sizeof(work->by_slot[0]), by_slot);
	number_buses(work);
	return 0;
}

void grouping_work_fini(struct grouping_work *work)
{
	free(work->functions);
	free(work->by_slot);
	free(work->bus);
	free(work->probed);
	free(work->buses);
	free(work->id_bridge);
	free(work->weak_bridge);
	free(work->weak);
	free(work->leader);
}

struct bus_range slot_of(const struct grouping_work *work, const struct pci_function *function)
{
	struct bus_range bus = bus_of(work, function), slot;
	unsigned number = pci_device_number(function->addr);
	size_t after = bus.after;

	/* The first of the bus that is not in a lower slot. */
	while (bus.first < after) {
		size_t middle = bus.first + (after - bus.first) / 2;

		if (pci_device_number(work->by_slot[middle]->addr) < number)
			bus.first = middle + 1;
		else
			after = middle;
	}
	slot = (struct bus_range){.first = bus.first, .after = bus.first};
	while (slot.after < bus.after && pci_device_number(work->by_slot[slot.after]->addr) == number)
		slot.after++;
	return slot;
}

#define FORGET(array, index, count)                                                                                    \
	memmove((array) + (index), (array) + (index) + 1, ((count) - (index)-1) * sizeof(*(array)))

/* Whoever joined the group by it is there by itself now. */
void pci_grouping_forget(struct pci_grouping *grouping, const struct pci_function *function)
{
	u32 index = function->index;

	FORGET(grouping->group, index, grouping->count);
	FORGET(grouping->alias_set, index, grouping->count);
	FORGET(grouping->merges, index, grouping->count);
	FORGET(grouping->traits, index, grouping->count);
	grouping->count--;
	for (size_t i = 0; i < grouping->count; i++) {
		struct pci_merge *merge = &grouping->merges[i];

		if (merge->with == function || merge->over == function)
			*merge = (struct pci_merge){.rule = MERGE_FOUNDED};
	}
}

void pci_grouping_free(struct pci_grouping *grouping)
{
	if (!grouping)
		return;
	free(grouping->group);
	free(grouping->alias_set);
	free(grouping->merges);
	free(grouping->traits);
	free(grouping);
}
