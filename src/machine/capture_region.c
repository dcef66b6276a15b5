/* SPDX-License-Identifier: MIT */
/* Reserved regions of a survey, which are told by group: those of every group are the unit's, others a device's. */
#include <stdlib.h>

#include "base/alloc.h"
#include "machine/capturing.h"

/* The first function with each of the host's groups stands for it. */
struct first_of_group {
	int group;
	u32 index;
};

struct regions {
	struct capture *capture;
	const struct pci_region **sorted; /* owned: what is alike side by side */
	size_t count;
	struct first_of_group *groups; /* owned: by group */
	size_t ngroups;
	unsigned of_unit, of_devices; /* different ones that were written down */
};

static int by_group(const void *a, const void *b)
{
	const struct first_of_group *left = a, *right = b;

	if (left->group != right->group)
		return left->group < right->group ? -1 : 1;
	return left->index < right->index ? -1 : left->index > right->index;
}

static void list_groups(struct regions *regions)
{
	const struct pci_survey *survey = regions->capture->survey;
	struct first_of_group *groups = regions->groups;
	size_t count = 0;

	for (size_t i = 0; i < survey->count; i++)
		if (survey->facts[i].host_group != PCI_GROUP_UNSAID)
			groups[count++] = (struct first_of_group){survey->facts[i].host_group, (u32)i};
	qsort(groups, count, sizeof(*groups), by_group);
	for (size_t i = 0; i < count; i++)
		if (!regions->ngroups || groups[regions->ngroups - 1].group != groups[i].group)
			groups[regions->ngroups++] = groups[i];
}

static int compare(const struct pci_region *a, const struct pci_region *b)
{
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->last != b->last)
		return a->last < b->last ? -1 : 1;
	return strcmp(a->kind, b->kind);
}

static int by_value(const void *a, const void *b)
{
	const struct pci_region *left = *(const struct pci_region *const *)a;
	const struct pci_region *right = *(const struct pci_region *const *)b;
	int order = compare(left, right);

	if (order)
		return order;
	return left->group < right->group ? -1 : left->group > right->group;
}

/* Does every group have the region? Of one for all, the group is unsaid, which sorts first. */
static bool is_everywhere(const struct regions *regions, size_t first, size_t after)
{
	size_t groups = 1;

	if (regions->sorted[first]->group == PCI_GROUP_UNSAID)
		return true;
	for (size_t i = first + 1; i < after; i++)
		groups += regions->sorted[i]->group != regions->sorted[i - 1]->group;
	return groups >= regions->ngroups;
}

static void give_to_device(struct regions *regions, const struct pci_region *region)
{
	const struct first_of_group key = {.group = region->group};
	const struct first_of_group *found = NULL;
	struct capture *capture = regions->capture;
	size_t first = 0, after = regions->ngroups;
	size_t index = (size_t)(region - capture->survey->regions);

	while (first < after) {
		size_t middle = first + (after - first) / 2;

		found = &regions->groups[middle];
		if (found->group < key.group)
			first = middle + 1;
		else
			after = middle;
	}
	if (first == regions->ngroups || regions->groups[first].group != key.group)
		return;
	found = &regions->groups[first];
	capture->next_region[index] = capture->places[found->index].first_region;
	capture->places[found->index].first_region = (u32)index + 1;
}

static void take_run(struct regions *regions, size_t first, size_t after)
{
	struct capture *capture = regions->capture;
	const struct pci_region *region = regions->sorted[first];

	if (region->start > region->last || !region->last)
		return;
	if (is_everywhere(regions, first, after)) {
		if (regions->of_unit++ < UNIT_REGIONS)
			capture->of_machine[region - capture->survey->regions] = true;
		else
			capture->lost_regions = true;
		return;
	}
	if (regions->of_devices++ >= MACHINE_REGIONS) {
		capture->lost_regions = true;
		return;
	}
	for (size_t i = after; i-- > first;)
		if (i == first || regions->sorted[i]->group != regions->sorted[i - 1]->group)
			give_to_device(regions, regions->sorted[i]);
}

/* From the highest to the lowest, since each device's list grows at its head. */
static void take_all(struct regions *regions)
{
	size_t after = regions->count;

	while (after > 0) {
		size_t first = after - 1;

		while (first > 0 && compare(regions->sorted[first - 1], regions->sorted[first]) == 0)
			first--;
		take_run(regions, first, after);
		after = first;
	}
}

static int allocate(struct regions *regions, struct why *why)
{
	struct capture *capture = regions->capture;

	regions->sorted = alloc_array(regions->count + 1, sizeof(*regions->sorted), why);
	if (regions->sorted)
		regions->groups = alloc_array(capture->survey->count + 1, sizeof(*regions->groups), why);
	if (regions->groups)
		capture->next_region = alloc_array(regions->count + 1, sizeof(u32), why);
	if (capture->next_region)
		capture->of_machine = alloc_array(regions->count + 1, sizeof(bool), why);
	return capture->of_machine ? 0 : -why->err;
}

int capture_find_regions(struct capture *capture, struct why *why)
{
	struct regions regions = {.capture = capture, .count = capture->survey->nregions};
	int err = allocate(&regions, why);

	if (err == 0) {
		for (size_t i = 0; i < regions.count; i++)
			regions.sorted[i] = &capture->survey->regions[i];
		qsort(regions.sorted, regions.count, sizeof(*regions.sorted), by_value);
		list_groups(&regions);
		take_all(&regions);
	}
	free(regions.sorted);
	free(regions.groups);
	return err;
}

void capture_region(struct sheet *sheet, const struct pci_region *region)
{
	static const char *const kinds[] = {"direct", "direct-relaxable", "msi"};
	const char *kind = "reserved";

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(region->kind, kinds[i]) == 0)
			kind = kinds[i];
	sheet_put(sheet, "{start: 0x%llx, last: 0x%llx, kind: %s}", (unsigned long long)region->start,
		  (unsigned long long)region->last, kind);
}
