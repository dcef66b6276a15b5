/* SPDX-License-Identifier: MIT */
/*
 * Function reset, and the hot reset of everything on a bus: spec 05 sections 6 and 13.
 *
 * A reset puts a function's registers at their power-on values; the system then writes back what it had set up: BARs,
 * COMMAND, link and message control. So a program sees its device in D0, silent, but with its interrupts still enabled.
 *
 * A bus reset hits every function below the bridge. Whoever asks for it must own them all: each is bound to vfio-pci,
 * and its group is among the group files given. Owning a group proves its closed devices too. Who has the device by its
 * character device gives no files: then all must belong to its iommufd, itself or by a sibling of its group. Here too
 * all is decided before the first function is touched.
 *
 * A device that no function reset works on "needs reset" from its close on, until the bus is idle and can be reset
 * whole.
 */
#include "base/alloc.h"
#include "iommu/attach.h"
#include "iommufd/device.h"
#include "vfio/group.h"
#include "vfio/ioctl.h"
#include "vfio/pci.h"

#define EXP_DEVCAP_FLR	 0x10000000u /* PCI Express Base 5.0 section 7.5.3.3 */
#define EXP_DEVCTL_FLR	 0x8000
#define AF_TP_FLR	 0x03 /* Advanced Features ECN: both bits */
#define PM_NO_SOFT_RESET 0x0008

/* ---- one function ---- */

/* Functions that share the bus; those outside every IOMMU group are not known here. */
static unsigned count_on_bus(const struct iommu *iommu, const struct pci_function *bridge)
{
	const struct iommu_group *group;
	const struct iommu_device *device;
	unsigned count = 0;

	list_for_each(group, &iommu->groups, link)
		list_for_each(device, &group->devices, group_link)
			count += device->function && device->function->parent == bridge;
	return count;
}

/* Some method works: its own of an emulated device, FLR, the conventional FLR, a trip through D3hot, or a bus reset
 * that hits nobody else. */
bool function_can_reset(const struct vfio_device *device)
{
	const struct pci_function *function = device->function;
	const u8 *config = function->config;

	if (device->soft)
		return true;
	if (function->cap_pcie && get_u32(config + function->cap_pcie + 4) & EXP_DEVCAP_FLR)
		return true;
	if (function->cap_af && (config[function->cap_af + 3] & AF_TP_FLR) == AF_TP_FLR)
		return true;
	if (function->cap_pm && !(get_u16(config + function->cap_pm + 4) & PM_NO_SOFT_RESET))
		return true;
	return function->parent && count_on_bus(device->vfio->iommu, function->parent) == 1;
}

static void restore_word(struct pci_function *function, const u8 *saved, unsigned offset)
{
	pci_config_write(function, (u16)offset, 2, get_u16(saved + offset));
}

static void restore_exp(struct pci_function *function, const u8 *saved)
{
	unsigned at = function->cap_pcie;

	pci_config_write(function, (u16)(at + 8), 2, get_u16(saved + at + 8) & (u32)~EXP_DEVCTL_FLR);
	restore_word(function, saved, at + 16); /* link control */
	if ((get_u16(saved + at + 2) & 0xf) >= 2)
		restore_word(function, saved, at + 40); /* device control 2 */
}

/* Address, data and masks before the bit that switches it on. */
static void restore_msi(struct pci_function *function, const u8 *saved)
{
	unsigned at = function->cap_msi;
	unsigned last = get_u16(saved + at + 2) & 0x80 ? 16 : 12;

	for (unsigned offset = 4; offset <= last; offset += 4)
		pci_config_write(function, (u16)(at + offset), 4, get_u32(saved + at + offset));
	restore_word(function, saved, at + 2);
}

void function_restore(struct pci_function *function, const u8 saved[static CONFIG_SIZE])
{
	pci_function_restore(function);
	pci_config_write(function, PCI_CACHE_LINE, 1, saved[PCI_CACHE_LINE]);
	pci_config_write(function, PCI_LATENCY, 1, saved[PCI_LATENCY]);
	if (function->cap_pcie)
		restore_exp(function, saved);
	if (function->cap_msi)
		restore_msi(function, saved);
	if (function->cap_msix)
		restore_word(function, saved, function->cap_msix + 2u);
	/* drivers/pci/ats.c:pci_restore_pasid_state(), pci_restore_ats_state() */
	if (function->cap_pasid)
		restore_word(function, saved, function->cap_pasid + 6u);
	if (function->cap_ats)
		restore_word(function, saved, function->cap_ats + 6u);
	restore_word(function, saved, PCI_COMMAND);
}

void function_reset(struct pci_function *function)
{
	u8 saved[CONFIG_SIZE];

	memcpy(saved, function->config, sizeof(saved));
	pci_function_reset(function);
	function_restore(function, saved);
}

void session_reset(struct pci_session *session)
{
	dmabufs_revoke(session, true);
	function_reset(session->function);
	migration_reset(session);
	backing_update(session); /* D0 again */
	dmabufs_revoke(session, session->revoked);
}

/* Without an IOMMU nobody has to be told. */
int device_function_reset(struct iommu_device *device, struct pci_function *function, struct why *why)
{
	int err = device ? iommu_reset_prepare(device, why) : 0;

	if (err < 0)
		return err;
	function_reset(function);
	if (device)
		iommu_reset_done(device);
	return 0;
}

long pci_device_reset(struct file *file, struct client *client, const union vfio_head *head, u64 arg, struct why *why)
{
	struct pci_session *session = pci_session_of(file);
	int err;

	if (!session->can_reset)
		return refuse(why, DEVICE_NOT_RESETTABLE,
			      "%s has no function-level reset, keeps its state in D3hot and shares its bus",
			      session->device->name);
	err = iommu_reset_prepare(session->device->iommu, why);
	if (err < 0)
		return err;
	session_reset(session);
	iommu_reset_done(session->device->iommu);
	session->device->needs_reset = false;
	return 0;
}

/* ---- hot reset ---- */

/* Every function a reset of the bus hits, by address. */
struct affected {
	const struct iommu_device **devices; /* owned */
	unsigned count;
};

static int by_address(const void *a, const void *b)
{
	const struct iommu_device *const *left = a, *const *right = b;
	u64 x = pci_addr_key((*left)->function->addr), y = pci_addr_key((*right)->function->addr);

	return x < y ? -1 : x > y;
}

static unsigned collect(const struct iommu *iommu, const struct pci_function *bridge,
			const struct iommu_device **devices)
{
	const struct iommu_group *group;
	const struct iommu_device *device;
	unsigned count = 0;

	list_for_each(group, &iommu->groups, link) {
		list_for_each(device, &group->devices, group_link) {
			if (!device->function || !pci_is_below(device->function, bridge))
				continue;
			if (devices)
				devices[count] = device;
			count++;
		}
	}
	return count;
}

static int affected_init(const struct vfio_device *device, struct affected *ret, struct why *why)
{
	const struct iommu *iommu = device->vfio->iommu;
	const struct pci_function *bridge = device->function->parent;

	if (!bridge)
		return refuse(why, HOT_RESET_IMPOSSIBLE, "%s is on a root bus, which cannot be reset", device->name);
	ret->count = collect(iommu, bridge, NULL);
	ret->devices = alloc_array(ret->count, sizeof(ret->devices[0]), why);
	if (!ret->devices)
		return -why->err;
	collect(iommu, bridge, ret->devices);
	qsort(ret->devices, ret->count, sizeof(ret->devices[0]), by_address);
	return 0;
}

static struct vfio_device *bound_to_vfio(const struct vfio *vfio, const struct iommu_device *device)
{
	struct vfio_device *found;

	list_for_each(found, &vfio->devices, link)
		if (found->iommu == device)
			return found;
	return NULL;
}

/*
 * What a device's owner in iommufd is told of another (drivers/vfio/iommufd.c:vfio_iommufd_get_dev_id()): its id there;
 * 0, it is ours by its group; -1, it is not.
 */
static s32 device_id(const struct vfio *vfio, const struct iommu_device *device, const struct context *context)
{
	const struct vfio_device *bound = bound_to_vfio(vfio, device);

	if (!bound)
		return VFIO_PCI_DEVID_NOT_OWNED;
	if (vfio_iommufd_context(bound) == context)
		return (s32)vfio_iommufd_id(bound);
	return context_has_group(context, device->group) ? VFIO_PCI_DEVID_OWNED : VFIO_PCI_DEVID_NOT_OWNED;
}

static void describe_affected(const struct vfio_device *device, const struct iommu_device *affected,
			      struct vfio_pci_hot_reset_info *info, struct vfio_pci_dependent_device *ret)
{
	struct pci_addr addr = affected->function->addr;
	s32 id = affected->group->id;

	if (!device->opened->by_group) {
		id = device_id(device->vfio, affected, vfio_iommufd_context(device));
		if (id == VFIO_PCI_DEVID_NOT_OWNED)
			info->flags &= ~(u32)VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	}
	*ret = (struct vfio_pci_dependent_device){
		.group_id = (u32)id,
		.segment = (u16)addr.segment,
		.bus = addr.bus,
		.devfn = addr.devfn,
	};
}

/* The array, if there is room for it, then the head; without room the flags stay 0. */
static long write_affected(const struct vfio_device *device, const struct affected *affected, struct client *client,
			   u64 arg, struct vfio_pci_hot_reset_info *info, struct why *why)
{
	_memory_ struct vfio_pci_dependent_device *entries = alloc_array(affected->count, sizeof(entries[0]), why);
	int err;

	if (!entries)
		return -why->err;
	if (!device->opened->by_group)
		info->flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	for (unsigned i = 0; i < affected->count; i++)
		describe_affected(device, affected->devices[i], info, &entries[i]);
	err = client_write(client, arg + sizeof(*info), entries, affected->count * sizeof(entries[0]), why);
	return err < 0 ? err : client_write(client, arg, info, sizeof(*info), why);
}

long pci_get_hot_reset_info(struct file *file, struct client *client, const union vfio_head *head, u64 arg,
			    struct why *why)
{
	const struct vfio_device *device = pci_session_of(file)->device;
	struct vfio_pci_hot_reset_info info = {.argsz = head->argsz};
	u32 room = (u32)((head->argsz - sizeof(info)) / sizeof(struct vfio_pci_dependent_device));
	struct affected affected = {};
	_memory_ const struct iommu_device **devices = NULL;
	int err = affected_init(device, &affected, why);

	if (err < 0)
		return err;
	devices = affected.devices;
	info.count = affected.count;
	if (room >= info.count)
		return write_affected(device, &affected, client, arg, &info, why);
	err = client_write(client, arg, &info, sizeof(info), why);
	if (err < 0)
		return err;
	return refuse(why, HOT_RESET_ARRAY, "a reset of the bus of %s hits %u devices, the array has room for %u",
		      device->name, info.count, room);
}

/* The descriptors as groups; the array is the caller's, count long. */
static int decode_groups(struct client *client, u64 address, unsigned count, const struct vfio_group **groups,
			 struct why *why)
{
	for (unsigned i = 0; i < count; i++) {
		struct file *file;
		s32 fd;
		int err = client_read(client, address + i * sizeof(fd), &fd, sizeof(fd), why);

		if (err == 0)
			err = client->ops->find_file(client, fd, &file, why);
		if (err < 0)
			return err;
		if (!file || file->ops != &group_file_ops)
			return refuse(why, HOT_RESET_NOT_GROUP, "descriptor %d is a %s, no group", fd,
				      file ? file->ops->kind : "file of the host");
		groups[i] = group_of_file(file)->group;
	}
	return 0;
}

static bool among(const struct vfio_group *const *groups, unsigned count, const struct vfio_group *group)
{
	for (unsigned i = 0; i < count; i++)
		if (groups[i] == group)
			return true;
	return false;
}

/* All in one hand at all: what another driver has cannot be reset. */
static int decode_drivers(const struct vfio *vfio, const struct affected *affected, struct why *why)
{
	char name[PCI_ADDR_TEXT];

	for (unsigned i = 0; i < affected->count; i++) {
		const struct iommu_device *device = affected->devices[i];

		pci_addr_print(device->function->addr, name);
		if (!bound_to_vfio(vfio, device))
			return refuse(why, HOT_RESET_NOT_VFIO, "the reset hits %s, which is bound to %s", name,
				      device->driver ? device->driver : "no driver");
	}
	return 0;
}

static int decode_owned(const struct vfio *vfio, const struct affected *affected,
			const struct vfio_group *const *groups, unsigned count, struct why *why)
{
	for (unsigned i = 0; i < affected->count; i++) {
		const struct vfio_device *device = bound_to_vfio(vfio, affected->devices[i]);

		if (!among(groups, count, device->group))
			return refuse(why, HOT_RESET_NOT_OWNED,
				      "the reset hits %s of group %d, which is not among the %u given", device->name,
				      device->group->id, count);
	}
	return 0;
}

/* The same of a device that is bound: what it hits must be its iommufd's. */
static int decode_owned_by(const struct vfio *vfio, const struct affected *affected, const struct context *context,
			   struct why *why)
{
	char who[CONTEXT_TEXT], owner[OWNER_TEXT];

	for (unsigned i = 0; i < affected->count; i++) {
		const struct iommu_device *device = affected->devices[i];

		if (device_id(vfio, device, context) == VFIO_PCI_DEVID_NOT_OWNED)
			return refuse(why, HOT_RESET_NOT_OWNED, "the reset hits %s, which is not in %s but has %s",
				      device->name, context_describe(context, who),
				      device->group->owner ? iommu_describe_owner(device->group, owner) : "nobody");
	}
	return 0;
}

static void perform_hot_reset(const struct vfio *vfio, const struct affected *affected)
{
	for (unsigned i = 0; i < affected->count; i++) {
		struct vfio_device *device = bound_to_vfio(vfio, affected->devices[i]);

		if (device->session)
			session_reset(device->session);
		else
			function_reset(device->function);
		device->needs_reset = false;
	}
}

void reset_idle_set(struct vfio_device *device)
{
	_memory_ const struct iommu_device **devices = NULL;
	struct affected affected = {};
	struct why ignored; /* also without memory the device just stays in need of a reset */

	if (affected_init(device, &affected, &ignored) < 0)
		return;
	devices = affected.devices;
	for (unsigned i = 0; i < affected.count; i++) {
		const struct vfio_device *other = bound_to_vfio(device->vfio, devices[i]);

		if (!other || other->session)
			return;
	}
	perform_hot_reset(device->vfio, &affected);
}

static int decode_hot_reset(const struct vfio_device *device, const struct vfio_pci_hot_reset *reset,
			    struct affected *ret, struct why *why)
{
	bool by_group = device->opened->by_group;
	int err;

	if (reset->flags)
		return refuse(why, HOT_RESET_ARGUMENT, "flags %#x of the reset of %s: none are known", reset->flags,
			      device->name);
	if (by_group && !reset->count)
		return refuse(why, HOT_RESET_ARGUMENT, "%s was opened through group %d: its descriptor must be given",
			      device->name, device->group->id);
	if (!by_group && reset->count)
		return refuse(why, HOT_RESET_ARGUMENT, "%s is bound to an iommufd: no descriptors are given, not %u",
			      device->name, reset->count);
	err = affected_init(device, ret, why);
	if (err < 0)
		return err;
	if (reset->count > ret->count)
		return refuse(why, HOT_RESET_ARGUMENT, "%u groups are given, the reset of %s hits %u devices",
			      reset->count, device->name, ret->count);
	return 0;
}

/* Spec 05 section 13: the descriptors are looked at before anything they should prove. */
static int decode_proof(const struct vfio_device *device, const struct vfio_pci_hot_reset *reset,
			const struct affected *affected, struct client *client, u64 address, struct why *why)
{
	_memory_ const struct vfio_group **groups = alloc_array(reset->count + 1ull, sizeof(groups[0]), why);
	int err = groups ? decode_groups(client, address, reset->count, groups, why) : -why->err;

	if (err == 0)
		err = decode_drivers(device->vfio, affected, why);
	if (err < 0)
		return err;
	if (device->opened->by_group)
		return decode_owned(device->vfio, affected, groups, reset->count, why);
	return decode_owned_by(device->vfio, affected, vfio_iommufd_context(device), why);
}

long pci_hot_reset(struct file *file, struct client *client, const union vfio_head *head, u64 arg, struct why *why)
{
	const struct vfio_device *device = pci_session_of(file)->device;
	const struct vfio_pci_hot_reset *reset = (const void *)head;
	_memory_ const struct iommu_device **devices = NULL;
	struct affected affected = {};
	int err = decode_hot_reset(device, reset, &affected, why);

	devices = affected.devices;
	if (err == 0)
		err = decode_proof(device, reset, &affected, client, arg + sizeof(*reset), why);
	if (err < 0)
		return err;
	perform_hot_reset(device->vfio, &affected);
	return 0;
}
