/* SPDX-License-Identifier: MIT */
/* Units, groups and their members. Groups are made once, at boot; ids are given in that order, as Linux does. */
#include "iommu/iommu.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "iommu/domain.h"
#include "iommu/port.h"

void iommu_init(struct iommu *iommu)
{
	*iommu = (struct iommu){.next_group_id = 0};
	rwlock_init(&iommu->dma, RANK_DMA);
	frames_init(&iommu->frames);
	list_init(&iommu->units);
	list_init(&iommu->groups);
}

static void device_free(struct iommu_device *device)
{
	dma_port_free(device->port);
	free(device);
}

static void group_free(struct iommu_group *group)
{
	struct iommu_device *device, *following;

	assert(group->owner == NULL);
	list_for_each_safe(device, following, &group->devices, group_link) {
		list_remove(&device->group_link);
		device_free(device);
	}
	assert(group->domain == group->default_domain);
	if (group->default_domain)
		group->default_domain->users--;
	if (group->blocking_domain)
		group->blocking_domain->users--;
	domain_free(group->default_domain);
	domain_free(group->blocking_domain);
	list_remove(&group->link);
	free(group);
}

void iommu_fini(struct iommu *iommu)
{
	struct iommu_group *group, *next_group;
	struct iommu_unit *unit, *next_unit;

	list_for_each_safe(group, next_group, &iommu->groups, link)
		group_free(group);
	list_for_each_safe(unit, next_unit, &iommu->units, link) {
		list_remove(&unit->link);
		free(unit);
	}
	frames_fini(&iommu->frames);
	rwlock_fini(&iommu->dma);
}

int iommu_unit_add(struct iommu *iommu, const struct iommu_unit *description, struct iommu_unit **ret, struct why *why)
{
	struct iommu_unit *unit = alloc_new(struct iommu_unit, why);

	assert(description->width > PAGE_SHIFT && description->width <= 64);
	assert(description->nregions <= UNIT_REGIONS);
	if (!unit)
		return -why->err;
	*unit = *description;
	unit->link = (struct list_link){.next = NULL};
	list_append(&iommu->units, &unit->link);
	*ret = unit;
	return 0;
}

int iommu_group_add(struct iommu *iommu, struct iommu_unit *unit, struct iommu_group **ret, struct why *why)
{
	struct iommu_group *group = alloc_new(struct iommu_group, why);
	int err;

	if (!group)
		return -why->err;
	err = domain_new(iommu, unit, DOMAIN_PAGING, &group->default_domain, why);
	if (err < 0) {
		free(group);
		return err;
	}
	group->default_domain->users++;
	group->domain = group->default_domain;
	group->iommu = iommu;
	group->id = iommu->next_group_id++;
	list_init(&group->devices);
	list_append(&iommu->groups, &group->link);
	*ret = group;
	return 0;
}

int iommu_device_add(struct iommu_group *group, struct iommu_unit *unit, struct pci_function *function,
		     struct iommu_device **ret, struct why *why)
{
	struct iommu_device *device = alloc_new(struct iommu_device, why);
	int err;

	if (!device)
		return -why->err;
	err = dma_port_new(group->iommu, function, group->domain, &device->port, why);
	if (err < 0) {
		free(device);
		return err;
	}
	device->function = function;
	device->unit = unit;
	device->group = group;
	list_append(&group->devices, &device->group_link);
	group->ndevices++;
	*ret = device;
	return 0;
}

struct iommu_group *iommu_group_find(const struct iommu *iommu, int id)
{
	struct iommu_group *group;

	list_for_each(group, &iommu->groups, link)
		if (group->id == id)
			return group;
	return NULL;
}

const char *iommu_group_type(const struct iommu_group *group)
{
	/* Debian's kernels translate lazily (CONFIG_IOMMU_DEFAULT_DMA_LAZY). */
	return group->default_domain->kind == DOMAIN_PAGING ? "DMA-FQ" : "blocked";
}

const char *reserved_kind_name(enum reserved_kind kind)
{
	static const char *const names[] = {
		[RESERVED_DIRECT] = "direct",	  [RESERVED_DIRECT_RELAXABLE] = "direct-relaxable",
		[RESERVED_RESERVED] = "reserved", [RESERVED_MSI] = "msi",
		[RESERVED_SW_MSI] = "msi", /* sysfs makes no difference */
	};

	return names[kind];
}

static int compare_regions(const void *a, const void *b)
{
	const struct reserved_region *left = a, *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return (int)left->kind - (int)right->kind;
}

/* Overlapping or adjacent regions of one kind become one; kinds never mix. Returns the new count. */
static unsigned merge_regions(struct reserved_region *regions, unsigned count)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < count; i++) {
		unsigned same = kept;

		while (same > 0 && regions[same - 1].kind != regions[i].kind)
			same--;
		/* start - 1 does not wrap: where start is 0, the region before it begins at 0 too. */
		if (same > 0 && (!regions[i].start || regions[i].start - 1 <= regions[same - 1].last))
			regions[same - 1].last = max_u64(regions[same - 1].last, regions[i].last);
		else
			regions[kept++] = regions[i];
	}
	return kept;
}

unsigned iommu_group_regions(const struct iommu_group *group, struct reserved_region *ret, unsigned max)
{
	const struct iommu_device *device;
	unsigned count = 0;

	list_for_each(device, &group->devices, group_link) {
		/* Members add the same regions, mostly; sorting and merging folds them. */
		for (unsigned i = 0; i < device->unit->nregions && count < max; i++)
			ret[count++] = device->unit->regions[i];
		for (u64 rest = device->region_set; rest && count < max; rest &= rest - 1)
			ret[count++] = device->regions[__builtin_ctzll(rest)];
		qsort(ret, count, sizeof(ret[0]), compare_regions);
		count = merge_regions(ret, count);
	}
	return count;
}

static unsigned dma_api_drivers(const struct iommu_group *group)
{
	const struct iommu_device *device;
	unsigned drivers = 0;

	list_for_each(device, &group->devices, group_link)
		drivers += device->dma_api_driver != NULL;
	return drivers;
}

static void group_check(const struct iommu_group *group)
{
	const struct iommu_device *device;

	/* Spec 02 section 10: 1, 2, 3 (by count), 4, 9, 10. */
	assert(group->owner_count > 0 || group->owner == NULL);
	assert(!group->owner || group->domain != group->default_domain);
	assert(group->owner || group->owner_count == dma_api_drivers(group));
	assert(!group->owner || dma_api_drivers(group) == 0);
	assert(group->domain->users > 0);
	assert(group->ndevices == list_length(&group->devices));
	list_for_each(device, &group->devices, group_link) {
		assert(device->group == group);
		assert(dma_port_domain(device->port) == group->domain);
		assert(!device->dma_api_driver || device->driver);
	}
	domain_check(group->domain);
	domain_check(group->default_domain);
	assert(group->default_domain->areas.count == 0);
}

void iommu_check(const struct iommu *iommu)
{
	const struct iommu_group *group;

	list_for_each(group, &iommu->groups, link)
		group_check(group);
	itree_check(&iommu->frames.extents);
}
