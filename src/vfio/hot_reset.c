/* SPDX-License-Identifier: MIT */
/*
 * The hot reset of everything on a bus: spec 05 section 13.
 *
 * A bus reset hits every function below the bridge, whoever has it. Linux knows of those that are reset together: the
 * functions of one bus that vfio-pci has (its dev_set). All that is hit must be among them, and be the caller's; then
 * all is decided before the first function is touched. INFO tells a caller who came by a group of groups, and one who
 * came by a device's own node of devices.
 *
 * A device that no function reset works on "needs reset" from its close on, until the bus is idle and can be reset
 * whole.
 */
#include "vfio/hot_reset.h"

#include "base/alloc.h"
#include "iommu/iommu.h"
#include "iommufd/device.h"
#include "pci/reset.h"
#include "vfio/group.h"
#include "vfio/ioctl.h"
#include "vfio/pci.h"

/* ---- what is hit ---- */

static int by_address(const void *a, const void *b)
{
	const struct affected *left = a, *right = b;
	u64 x = pci_addr_key(left->function->addr), y = pci_addr_key(right->function->addr);

	return x < y ? -1 : x > y;
}

static const struct iommu_device *find_iommu(const struct iommu *iommu, const struct pci_function *function)
{
	const struct iommu_group *group;
	const struct iommu_device *device;

	list_for_each(group, &iommu->groups, link)
		list_for_each(device, &group->devices, group_link)
			if (device->function == function)
				return device;
	return NULL;
}

static struct vfio_device *find_bound(const struct vfio *vfio, const struct pci_function *function)
{
	struct vfio_device *device;

	list_for_each(device, &vfio->devices, link)
		if (device->function == function)
			return device;
	return NULL;
}

/* Linux: drivers/vfio/pci/vfio_pci_core.c:vfio_pci_core_register_device(). A virtual function is alone. */
static bool reset_together(const struct vfio_device *a, const struct vfio_device *b)
{
	return a == b ||
	       (!a->function->physical && !b->function->physical && a->function->parent == b->function->parent);
}

static struct affected describe(const struct vfio_device *asker, const struct pci_function *function)
{
	struct vfio_device *bound = find_bound(asker->vfio, function);

	return (struct affected){
		.function = function,
		.iommu = bound ? bound->iommu : find_iommu(asker->vfio->iommu, function),
		.device = bound && reset_together(asker, bound) ? bound : NULL,
	};
}

static unsigned collect(const struct vfio_device *asker, struct affected *ret)
{
	const struct pci_function *bridge = pci_bus_bridge(asker->function), *function;
	unsigned count = 0;

	list_for_each(function, &asker->vfio->topology->functions, link) {
		if (!pci_bus_reset_hits(bridge, function))
			continue;
		if (ret)
			ret[count] = describe(asker, function);
		count++;
	}
	return count;
}

static int decode_bus(const struct vfio_device *asker, struct why *why)
{
	const struct pci_function *bridge = pci_bus_bridge(asker->function), *obstacle;
	const struct pci_quirk *quirk;
	char name[PCI_ADDR_TEXT];

	if (!bridge)
		return refuse(why, HOT_RESET_IMPOSSIBLE, "%s is on a %s, which cannot be reset", asker->name,
			      asker->function->parent ? "bus of virtual functions alone" : "root bus");
	obstacle = pci_bus_reset_obstacle(asker->vfio->topology, bridge);
	if (!obstacle)
		return 0;
	quirk = pci_reset_quirk_of(obstacle, RESET_WAY_BUS);
	pci_addr_print(obstacle->addr, name);
	return refuse(why, HOT_RESET_IMPOSSIBLE, "the bus of %s is never reset, because of %s (quirk %s: %s)",
		      asker->name, name, quirk->name, quirk->text);
}

int affected_init(struct affected_set *set, struct vfio_device *asker, struct why *why)
{
	int err = decode_bus(asker, why);

	*set = (struct affected_set){.asker = asker};
	if (err < 0)
		return err;
	set->at = alloc_array(collect(asker, NULL), sizeof(set->at[0]), why);
	if (!set->at)
		return -why->err;
	set->count = collect(asker, set->at);
	qsort(set->at, set->count, sizeof(set->at[0]), by_address);
	return 0;
}

void affected_fini(struct affected_set *set)
{
	free(set->at);
	set->at = NULL;
}

static void affected_fini_pointer(struct affected_set *set)
{
	affected_fini(set);
}
#define _affected_ __attribute__((cleanup(affected_fini_pointer)))

s32 affected_id(const struct affected *affected, const struct context *context)
{
	if (!affected->device)
		return VFIO_PCI_DEVID_NOT_OWNED;
	if (vfio_iommufd_context(affected->device) == context)
		return (s32)vfio_iommufd_id(affected->device);
	return context_has_group(context, affected->iommu->group) ? VFIO_PCI_DEVID_OWNED : VFIO_PCI_DEVID_NOT_OWNED;
}

/* ---- INFO ---- */

/* Of a caller who came by a group: a device without one cannot be told of. */
static int decode_groups(const struct affected_set *set, struct why *why)
{
	char name[PCI_ADDR_TEXT];

	for (unsigned i = 0; i < set->count; i++)
		if (!set->at[i].iommu)
			return refuse(why, HOT_RESET_NO_GROUP, "a reset of the bus of %s hits %s, which has no group",
				      set->asker->name, pci_addr_print(set->at[i].function->addr, name));
	return 0;
}

static void describe_affected(const struct affected_set *set, const struct affected *affected,
			      struct vfio_pci_hot_reset_info *info, struct vfio_pci_dependent_device *ret)
{
	struct pci_addr addr = affected->function->addr;
	s32 id;

	if (set->asker->opened->by_group)
		id = affected->iommu->group->id;
	else
		id = affected_id(affected, vfio_iommufd_context(set->asker));
	if (!set->asker->opened->by_group && id == VFIO_PCI_DEVID_NOT_OWNED)
		info->flags &= ~(u32)VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	*ret = (struct vfio_pci_dependent_device){
		.group_id = (u32)id,
		.segment = (u16)addr.segment,
		.bus = addr.bus,
		.devfn = addr.devfn,
	};
}

/* The array, if there is room for it, then the head; without room the flags stay 0. */
static long write_affected(const struct affected_set *set, struct client *client, u64 arg,
			   struct vfio_pci_hot_reset_info *info, struct why *why)
{
	bool by_group = set->asker->opened->by_group;
	_memory_ struct vfio_pci_dependent_device *entries = alloc_array(set->count, sizeof(entries[0]), why);
	int err = entries ? 0 : -why->err;

	if (err == 0 && by_group)
		err = decode_groups(set, why);
	if (err < 0)
		return err;
	if (!by_group)
		info->flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	for (unsigned i = 0; i < set->count; i++)
		describe_affected(set, &set->at[i], info, &entries[i]);
	err = client_write(client, arg + sizeof(*info), entries, set->count * sizeof(entries[0]), why);
	return err < 0 ? err : client_write(client, arg, info, sizeof(*info), why);
}

long pci_get_hot_reset_info(struct file *file, struct client *client, const union vfio_head *head, u64 arg,
			    struct why *why)
{
	struct vfio_device *device = pci_session_of(file)->device;
	struct vfio_pci_hot_reset_info info = {.argsz = head->argsz};
	u32 room = (u32)((head->argsz - sizeof(info)) / sizeof(struct vfio_pci_dependent_device));
	_affected_ struct affected_set set = {};
	int err = affected_init(&set, device, why);

	if (err < 0)
		return err;
	info.count = set.count;
	if (room >= info.count)
		return write_affected(&set, client, arg, &info, why);
	err = client_write(client, arg, &info, sizeof(info), why);
	if (err < 0)
		return err;
	return refuse(why, HOT_RESET_ARRAY, "a reset of the bus of %s hits %u devices, the array has room for %u",
		      device->name, info.count, room);
}

/* ---- RESET ---- */

static void perform_hot_reset(const struct affected_set *set)
{
	for (unsigned i = 0; i < set->count; i++)
		if (set->at[i].device->session)
			low_power_resume(set->at[i].device->session);
	for (unsigned i = 0; i < set->count; i++) {
		struct vfio_device *device = set->at[i].device;

		if (device->session)
			session_reset(device->session);
		else
			bound_reset(device);
		device->needs_reset = false;
	}
	for (unsigned i = 0; i < set->count; i++)
		if (set->at[i].device->session)
			low_power_suspend(set->at[i].device->session);
}

void reset_idle_set(struct vfio_device *device)
{
	_affected_ struct affected_set set = {};
	bool needed = false;
	struct why ignored; /* also without memory the device just stays in need of a reset */

	if (affected_init(&set, device, &ignored) < 0)
		return;
	for (unsigned i = 0; i < set.count; i++) {
		if (!set.at[i].device || set.at[i].device->session || device_is_locked(set.at[i].device))
			return;
		needed |= set.at[i].device->needs_reset;
	}
	if (needed)
		perform_hot_reset(&set);
}

/* Linux has devices by their own node prove nothing, and those by their group something. */
static int decode_count(const struct vfio_device *device, unsigned count, struct why *why)
{
	bool by_group = device->opened->by_group;

	if (!device->vfio->linux_hot_reset)
		return 0;
	if (by_group && !count)
		return refuse(why, HOT_RESET_ARGUMENT, "%s was opened through group %d: its descriptor must be given",
			      device->name, device->group->id);
	if (!by_group && count)
		return refuse(why, HOT_RESET_ARGUMENT, "%s is bound to an iommufd: no descriptors are given, not %u",
			      device->name, count);
	return 0;
}

static int decode_hot_reset(struct vfio_device *device, const struct vfio_pci_hot_reset *reset,
			    struct affected_set *ret, struct why *why)
{
	int err;

	if (reset->flags)
		return refuse(why, HOT_RESET_ARGUMENT, "flags %#x of the reset of %s: none are known", reset->flags,
			      device->name);
	err = decode_count(device, reset->count, why);
	if (err == 0)
		err = affected_init(ret, device, why);
	if (err < 0)
		return err;
	if (reset->count > ret->count)
		return refuse(why, HOT_RESET_ARGUMENT, "%u descriptors are given, the reset of %s hits %u devices",
			      reset->count, device->name, ret->count);
	return 0;
}

/* All that is hit is vfio-pci's. */
static int decode_locks(const struct affected_set *set, struct why *why)
{
	int err = 0;

	for (unsigned i = 0; i < set->count && err == 0; i++)
		err = device_decode_lock(set->at[i].device, why);
	return err < 0 ? why_context(why, "resetting the bus of %s", set->asker->name) : 0;
}

long pci_hot_reset(struct file *file, struct client *client, const union vfio_head *head, u64 arg, struct why *why)
{
	struct vfio_device *device = pci_session_of(file)->device;
	const struct vfio_pci_hot_reset *reset = (const void *)head;
	_affected_ struct affected_set set = {};
	int err = decode_hot_reset(device, reset, &set, why);

	if (err == 0)
		err = hot_reset_decode_proof(&set, reset, client, arg + sizeof(*reset), why);
	if (err == 0)
		err = decode_locks(&set, why);
	if (err < 0)
		return err;
	perform_hot_reset(&set);
	return 0;
}
