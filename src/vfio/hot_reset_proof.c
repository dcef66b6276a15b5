/* SPDX-License-Identifier: MIT */
/*
 * Who may reset a bus (docs/hot-reset.md).
 *
 * Linux 7.2: who came by a group gives group files, each of which proves all devices of its group, open or not; who
 * came by a device's own node gives nothing, and all must belong to its iommufd. So one who has one function by its
 * group and its sibling by its node cannot reset either. Here an array may hold files of both kinds, whichever way the
 * caller came: a file of an open device proves that device, and by the same argument as Linux's devid 0 all others of
 * its IOMMU group, whose DMA is in the same hands. The empty array leaves it to the kernel what the caller owns: what
 * its own iommufd or container has. Groups without an IOMMU keep nothing together and imply nothing.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "iommu/own.h"
#include "iommufd/context.h"
#include "vfio/group.h"
#include "vfio/hot_reset.h"

/* What one descriptor stands for; nothing, if it is a device's that is not open. */
struct proof {
	const struct vfio_group *group;
	const struct vfio_device *device;
};

/* ---- the descriptors ---- */

static int refuse_kind(const struct vfio *vfio, int fd, const struct file *file, struct why *why)
{
	return refuse(why, HOT_RESET_NOT_GROUP, "descriptor %d is a %s, no group%s", fd,
		      file ? file->ops->kind : "file of the host", vfio->linux_hot_reset ? "" : " and no device");
}

static int decode_file(const struct vfio *vfio, struct client *client, int fd, struct proof *ret, struct why *why)
{
	struct file *file;
	int err = client->ops->find_file(client, fd, &file, why);

	if (err < 0)
		return err;
	if (file && file->ops == &group_file_ops)
		*ret = (struct proof){.group = group_of_file(file)->group};
	else if (file && file->ops == &device_file_ops && !vfio->linux_hot_reset)
		*ret = (struct proof){.device = device_file_granted(device_file_of(file)) ? device_of_file(file)
											  : NULL};
	else
		return refuse_kind(vfio, fd, file, why);
	return 0;
}

/* All are copied before the first is looked at. */
static int decode_files(const struct vfio *vfio, struct client *client, u64 address, unsigned count, struct proof *ret,
			struct why *why)
{
	_memory_ s32 *fds = alloc_array(count + 1ull, sizeof(fds[0]), why);
	int err = fds ? client_read(client, address, fds, count * sizeof(fds[0]), why) : -why->err;

	for (unsigned i = 0; err == 0 && i < count; i++)
		err = decode_file(vfio, client, fds[i], &ret[i], why);
	return err;
}

/* ---- who owns what ---- */

static bool proves(const struct proof *proof, const struct vfio_device *device)
{
	if (proof->group)
		return proof->group == device->group;
	return proof->device && (proof->device == device ||
				 (device->group->kind == GROUP_REAL && proof->device->group == device->group));
}

/* An iommufd or container of the asker's has it. */
static bool implied(const struct vfio_device *asker, const struct affected *affected)
{
	const struct vfio_device *device = affected->device;
	const struct vfio_group *group = device->group, *own = asker->group;

	if (device == asker)
		return true;
	if (vfio_iommufd_bound(asker))
		return affected_id(affected, vfio_iommufd_context(asker)) != VFIO_PCI_DEVID_NOT_OWNED;
	if (group->kind == GROUP_NOIOMMU && !device->opened)
		return false;
	return (own->container && group->container == own->container) ||
	       (own->context && group->context == own->context);
}

struct proofs {
	const struct affected_set *set;
	struct proof *at;
	unsigned count;
};

static bool proven(const struct proofs *proofs, const struct affected *affected)
{
	if (!affected->device)
		return false;
	if (!proofs->count)
		return implied(proofs->set->asker, affected);
	for (unsigned i = 0; i < proofs->count; i++)
		if (proves(&proofs->at[i], affected->device))
			return true;
	return false;
}

/* ---- saying who else has it ---- */

#define HOLDER_TEXT 160

static const char *driver_of(const struct vfio *vfio, const struct affected *affected)
{
	if (affected->iommu)
		return affected->iommu->driver;
	return vfio->listener && vfio->listener->driver_of
		       ? vfio->listener->driver_of(vfio->listener_context, affected->function)
		       : NULL;
}

static void describe_open(const struct vfio_device *device, char text[static HOLDER_TEXT])
{
	const char *opener = device->opened->opener;
	const struct context *context = vfio_iommufd_context(device);

	if (device->opened->by_group)
		snprintf(text, HOLDER_TEXT, "open by group %d in %s", device->group->id, opener);
	else if (context && strcmp(context->opener, opener) != 0)
		snprintf(text, HOLDER_TEXT, "open by its node in %s, bound to that of %s", opener, context->opener);
	else
		snprintf(text, HOLDER_TEXT, "open by its node in %s", opener);
}

static void describe_closed(const struct vfio_device *device, char text[static HOLDER_TEXT])
{
	const struct device_file *unbound = list_first(&device->files, struct device_file, link);
	const struct vfio_group *group = device->group;
	char owner[OWNER_TEXT];

	if (unbound)
		snprintf(text, HOLDER_TEXT, "not bound by %s, who has its node open", unbound->opener);
	else if (group->opened)
		snprintf(text, HOLDER_TEXT, "closed, group %d is open in %s", group->id, group->opened->opener);
	else if (group->iommu->owner)
		snprintf(text, HOLDER_TEXT, "closed, group %d is held by %s", group->id,
			 iommu_describe_owner(group->iommu, owner));
	else
		snprintf(text, HOLDER_TEXT, "closed, nobody has group %d", group->id);
}

static void describe_holder(const struct vfio *vfio, const struct affected *affected, char text[static HOLDER_TEXT])
{
	const char *driver = driver_of(vfio, affected);

	if (affected->device && affected->device->opened)
		describe_open(affected->device, text);
	else if (affected->device)
		describe_closed(affected->device, text);
	else if (driver && strcmp(driver, "vfio-pci") == 0)
		snprintf(text, HOLDER_TEXT, "bound to vfio-pci, but not reset together with it%s",
			 affected->function->physical ? ": a virtual function" : "");
	else
		snprintf(text, HOLDER_TEXT, "bound to %s", driver ? driver : "no driver");
}

/* A list in a sentence, for as long as there is room. */
struct list_text {
	char bytes[200];
	size_t used;
	unsigned listed;
};

static bool list_add(struct list_text *list, const char *name, const char *holder)
{
	/* Room for "; and N more". */
	size_t room = sizeof(list->bytes) - list->used - sizeof("; and 4294967295 more");
	int length = snprintf(list->bytes + list->used, room, "%s%s (%s)", list->used ? ", " : "", name, holder);

	if ((size_t)length >= room) {
		list->bytes[list->used] = '\0';
		return false;
	}
	list->used += (size_t)length;
	list->listed++;
	return true;
}

static int refuse_as(bool outside, const struct vfio_device *asker, const char *text, struct why *why)
{
	if (outside)
		return refuse(why, HOT_RESET_NOT_VFIO, "reset of %s hits %s", asker->name, text);
	return refuse(why, HOT_RESET_NOT_OWNED, "reset of %s hits %s", asker->name, text);
}

/* What the sentence has no room for follows it in the journal. */
static void remark(const struct affected_set *set, bool outside, struct client *client, const char *name,
		   const char *holder)
{
	const struct vfio *vfio = set->asker->vfio;
	char text[HOLDER_TEXT + PCI_ADDR_TEXT + 32];
	struct why more;

	if (!vfio->listener || !vfio->listener->remark)
		return;
	snprintf(text, sizeof(text), "%s as well (%s)", name, holder);
	refuse_as(outside, set->asker, text, &more);
	vfio->listener->remark(vfio->listener_context, client, "VFIO_DEVICE_PCI_HOT_RESET", &more);
}

/* Every function that is not proven, with who has it. */
static int refuse_unproven(const struct proofs *proofs, bool outside, struct client *client, struct why *why)
{
	const struct affected_set *set = proofs->set;
	char holder[HOLDER_TEXT], name[PCI_ADDR_TEXT];
	struct list_text list = {};
	unsigned more = 0;

	for (unsigned i = 0; i < set->count; i++) {
		if (proven(proofs, &set->at[i]))
			continue;
		describe_holder(set->asker->vfio, &set->at[i], holder);
		pci_addr_print(set->at[i].function->addr, name);
		if (!more && list_add(&list, name, holder))
			continue;
		more++;
		remark(set, outside, client, name, holder);
	}
	if (more)
		snprintf(list.bytes + list.used, sizeof(list.bytes) - list.used, "; and %u more", more);
	return refuse_as(outside, set->asker, list.bytes, why);
}

/* Linux looks at all whether they can be owned, and only then whether they are. */
static int decode_proven(const struct proofs *proofs, struct client *client, struct why *why)
{
	const struct affected_set *set = proofs->set;
	bool outside = false, all = true;

	for (unsigned i = 0; i < set->count; i++) {
		outside |= !set->at[i].device;
		all &= proven(proofs, &set->at[i]);
	}
	return all ? 0 : refuse_unproven(proofs, outside, client, why);
}

int hot_reset_decode_proof(const struct affected_set *set, const struct vfio_pci_hot_reset *reset,
			   struct client *client, u64 address, struct why *why)
{
	_memory_ struct proof *at = alloc_array(reset->count + 1ull, sizeof(at[0]), why);
	const struct proofs proofs = {set, at, reset->count};
	int err = at ? decode_files(set->asker->vfio, client, address, reset->count, at, why) : -why->err;

	return err < 0 ? err : decode_proven(&proofs, client, why);
}
