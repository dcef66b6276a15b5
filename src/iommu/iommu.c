/* SPDX-License-Identifier: MIT */
/* Units, groups and their members, at boot and hot-plugged. Group ids are the lowest free ones, as in Linux. */
#include "iommu/iommu.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommu/attachment.h"
#include "iommu/default_domain.h"
#include "iommu/intent.h"
#include "iommu/kind.h"
#include "iommu/pasid.h"
#include "iommu/port.h"

static void group_free(struct iommu_group *group);

void iommu_init(struct iommu *iommu)
{
	*iommu = (struct iommu){.global_pasids = {.limit = PASIDS}};
	iommu->drivers[KIND_INTEL] = intel_driver;
	iommu->drivers[KIND_AMD] = amd_driver;
	iommu->drivers[KIND_SMMU] = smmu_driver;
	iommu->drivers[KIND_RISCV] = riscv_driver;
	frames_init(&iommu->frames);
	list_init(&iommu->identities);
	list_init(&iommu->units);
	list_init(&iommu->groups);
	list_init(&iommu->untranslated);
	list_init(&iommu->processes);
}

void iommu_fini(struct iommu *iommu)
{
	struct iommu_group *group, *next_group;
	struct iommu_unit *unit, *next_unit;
	struct dma_port *port, *next_port;

	list_for_each_safe(group, next_group, &iommu->groups, link) {
		unsigned left = group->ndevices;

		if (!left)
			group_free(group);
		/* The last one takes the group along. */
		while (left--)
			iommu_device_remove(list_first(&group->devices, struct iommu_device, group_link));
	}
	list_for_each_safe(unit, next_unit, &iommu->units, link) {
		list_remove(&unit->link);
		free(unit);
	}
	list_for_each_safe(port, next_port, &iommu->untranslated, of_iommu) {
		list_remove(&port->of_iommu);
		dma_port_free(port);
	}
	assert(list_empty(&iommu->processes));
	idmap_fini(&iommu->global_pasids);
	assert(list_empty(&iommu->identities));
	frames_fini(&iommu->frames);
}

int iommu_unit_add(struct iommu *iommu, const struct iommu_unit *description, struct iommu_unit **ret, struct why *why)
{
	struct iommu_unit *unit = alloc_new(struct iommu_unit, why);
	struct domain_shape shape;
	int err;

	assert(description->width > PAGE_SHIFT && description->width <= 64);
	assert(description->nregions <= UNIT_REGIONS);
	if (!unit)
		return -why->err;
	*unit = *description;
	unit->driver = unit->driver ? unit->driver : &iommu->drivers[unit->kind];
	err = iommu_unit_shape(unit, 0, &shape, why);
	assert(err == 0);
	(void)err;
	unit->format = shape.table.format;
	unit->last_iova = shape.last_iova;
	frames_limit(&iommu->frames, shape.table.output_bits);
	unit->link = (struct list_link){.next = NULL};
	list_append(&iommu->units, &unit->link);
	*ret = unit;
	return 0;
}

/* ---- groups ---- */

/* The link before which a group with the lowest free id goes. */
static struct list_link *lowest_gap(struct iommu *iommu, int *ret_id)
{
	struct iommu_group *group;

	*ret_id = 0;
	list_for_each(group, &iommu->groups, link) {
		if (group->id != *ret_id)
			return &group->link;
		++*ret_id;
	}
	return &iommu->groups.head;
}

int iommu_group_add(struct iommu *iommu, struct iommu_group **ret, struct why *why)
{
	struct iommu_group *group = alloc_new(struct iommu_group, why);
	struct list_link *gap;

	if (!group)
		return -why->err;
	gap = lowest_gap(iommu, &group->id);
	group->iommu = iommu;
	list_init(&group->devices);
	list_init(&group->pasids);
	list_init(&group->attachments);
	list_insert_between(&group->link, gap->previous, gap);
	*ret = group;
	return 0;
}

static void group_free(struct iommu_group *group)
{
	assert(!group->owner && !group->owner_count && list_empty(&group->devices));
	assert(group->domain == group->default_domain && !group->recovering);
	if (group->domain)
		group->domain->users--;
	assert(list_empty(&group->pasids) && list_empty(&group->attachments));
	if (group->default_domain == group->blocking_domain && group->default_domain)
		group->default_domain->users--;
	else
		drop_core_domain(group->default_domain);
	drop_core_domain(group->blocking_domain);
	list_remove(&group->link);
	free(group);
}

void iommu_group_remove(struct iommu_group *group)
{
	group_free(group);
}

struct iommu_group *iommu_group_find(const struct iommu *iommu, int id)
{
	struct iommu_group *group;

	list_for_each(group, &iommu->groups, link)
		if (group->id == id)
			return group;
	return NULL;
}

struct iommu_unit *iommu_group_unit(const struct iommu_group *group)
{
	const struct iommu_device *first = list_first(&group->devices, struct iommu_device, group_link);

	return first ? first->unit : NULL;
}

/* ---- devices ---- */

/*
 * What both the function's capability and its unit can (PCI Express Base 5.0 section 7.8.8.2); whether they are
 * switched on is not asked (Linux: iommu.c:dev_iommu_get_max_pasids()).
 */
static u32 max_pasids_of(const struct pci_function *function, const struct iommu_unit *unit)
{
	u32 width;

	function = pci_pasid_function(function);
	if (!function->cap_pasid || unit->driver->lacks_pasids)
		return 0;
	width = get_u16(function->config + function->cap_pasid + 4) >> 8 & 0x1f;
	return (u32)min_u64(unit->max_pasids, 1ull << min_u64(width, 20));
}

static struct iommu_device *device_new(const char *name, struct why *why)
{
	struct iommu_device *device = alloc_new(struct iommu_device, why);

	if (device) {
		snprintf(device->name, sizeof(device->name), "%s", name);
		device->intent = INTENT_UNDECLARED;
		list_init(&device->enqcmd);
	}
	return device;
}

static void device_free(struct iommu_device *device)
{
	dma_port_free(device->port);
	free(device->pasids_off);
	free(device);
}

/* Into the domain that the group has already, whoever's it is. */
static int device_enter(struct iommu_device *device, struct why *why)
{
	struct iommu_group *group = device->group;
	int err = group->domain ? member_attach(device, group->domain, NULL, why) : 0;

	if (err < 0)
		return err;
	dma_port_set_domain(device->port, group->domain);
	list_append(&group->devices, &device->group_link);
	group->ndevices++;
	return 0;
}

int iommu_device_plug(struct iommu_group *group, struct iommu_unit *unit, struct pci_function *function,
		      const struct iommu_device_facts *facts, struct iommu_device **ret, struct why *why)
{
	char bdf[PCI_ADDR_TEXT];
	struct iommu_device *device = device_new(pci_addr_print(function->addr, bdf), why);
	int err;

	if (!device)
		return -why->err;
	device->function = function;
	device->unit = unit;
	device->group = group;
	device->alias_set = facts->alias_set;
	device->regions = facts->regions;
	device->region_set = facts->region_set;
	device->max_pasids = max_pasids_of(function, unit);
	err = dma_port_new(group->iommu, function, &device->port, why);
	if (err == 0)
		err = device_enter(device, why);
	if (err < 0) {
		device_free(device);
		return err;
	}
	*ret = device;
	return 0;
}

int iommu_device_add(struct iommu_group *group, struct iommu_unit *unit, struct pci_function *function,
		     struct iommu_device **ret, struct why *why)
{
	const struct iommu_device_facts facts = {.alias_set = 0};

	return iommu_device_plug(group, unit, function, &facts, ret, why);
}

int iommu_platform_add(struct iommu_group *group, struct iommu_unit *unit, const struct iommu_platform_facts *facts,
		       struct iommu_device **ret, struct why *why)
{
	struct iommu_device *device = device_new(facts->name, why);
	int err;

	if (!device)
		return -why->err;
	device->unit = unit;
	device->group = group;
	device->driver_data = facts->driver_data;
	device->max_pasids = unit->driver->lacks_pasids ? 0 : (u32)min_u64(unit->max_pasids, facts->max_pasids);
	err = dma_port_new(group->iommu, NULL, &device->port, why);
	if (err == 0)
		err = device_enter(device, why);
	if (err < 0) {
		device_free(device);
		return err;
	}
	*ret = device;
	return 0;
}

int iommu_emulated_add(struct iommu *iommu, const char *name, const struct iommu_device *parent,
		       struct iommu_device **ret, struct why *why)
{
	struct iommu_device *device = device_new(name, why);
	int err;

	if (!device)
		return -why->err;
	err = iommu_group_add(iommu, &device->group, why);
	if (err < 0) {
		free(device);
		return err;
	}
	device->parent = parent;
	list_append(&device->group->devices, &device->group_link);
	device->group->ndevices++;
	*ret = device;
	return 0;
}

int iommu_untranslated_add(struct iommu *iommu, const char *name, struct iommu_device **ret, struct why *why)
{
	return iommu_emulated_add(iommu, name, NULL, ret, why);
}

int iommu_untranslated_port(struct iommu *iommu, const struct pci_function *function, struct dma_port **ret,
			    struct why *why)
{
	struct dma_port *port;
	int err = dma_port_new(iommu, function, &port, why);

	if (err < 0)
		return err;
	list_append(&iommu->untranslated, &port->of_iommu);
	*ret = port;
	return 0;
}

void iommu_untranslated_forget(struct iommu *iommu, const struct pci_function *function)
{
	struct dma_port *port, *next;

	list_for_each_safe(port, next, &iommu->untranslated, of_iommu) {
		if (port->function != function)
			continue;
		list_remove(&port->of_iommu);
		dma_port_free(port);
	}
}

static void device_leave(struct iommu_device *device)
{
	struct iommu_group *group = device->group;
	const struct pasid_slot *slot;

	if (!device->port)
		return;
	list_for_each(slot, &group->pasids, link)
		dma_port_drop_pasid(device->port, slot->pasid);
	dma_port_set_domain(device->port, NULL);
}

void iommu_device_remove(struct iommu_device *device)
{
	struct iommu_group *group = device->group;

	assert(!device->dma_api_driver && !device->claims && !device->own_domain && !device->requests);
	assert(!attachments_have(device));
	iommu_undeclare(device);
	if (device->blocked)
		group->recovering--;
	device_leave(device);
	list_remove(&device->group_link);
	group->ndevices--;
	device_free(device);
	if (!group->ndevices)
		group_free(group);
}

/* ---- what sysfs shows ---- */

const char *reserved_kind_name(enum reserved_kind kind)
{
	static const char *const names[] = {
		[RESERVED_DIRECT] = "direct",	  [RESERVED_DIRECT_RELAXABLE] = "direct-relaxable",
		[RESERVED_RESERVED] = "reserved", [RESERVED_MSI] = "msi",
		[RESERVED_SW_MSI] = "msi", /* sysfs makes no difference */
	};

	return names[kind];
}

const struct reserved_region *iommu_device_region(const struct iommu_device *device, unsigned index)
{
	u64 rest = device->region_set;

	if (!device->unit)
		return NULL;
	if (index < device->unit->nregions)
		return &device->unit->regions[index];
	for (index -= device->unit->nregions; rest && index; index--)
		rest &= rest - 1;
	return rest ? &device->regions[__builtin_ctzll(rest)] : NULL;
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
		const struct reserved_region *region;

		/* Members add the same regions, mostly; sorting and merging folds them. */
		for (unsigned i = 0; count < max && (region = iommu_device_region(device, i)); i++)
			ret[count++] = *region;
		qsort(ret, count, sizeof(ret[0]), compare_regions);
		count = merge_regions(ret, count);
	}
	return count;
}
