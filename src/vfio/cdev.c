/* SPDX-License-Identifier: MIT */
/*
 * The character device of a device (spec 04 section 6). Whoever opens it has a file that can do one thing: BIND it to
 * an iommufd, which claims the device for that context and opens it. From then on the file is as one from the device's
 * group, and ATTACH says where its DMA goes. There is no UNBIND: the last close is.
 */
#include "base/os.h"
#include "iommufd/iommufd.h"
#include "vfio/group.h"
#include "vfio/ioctl.h"
#include "vfio/pci.h"

static struct vfio_device *find_by_index(const struct vfio *vfio, unsigned index)
{
	struct vfio_device *device;

	list_for_each(device, &vfio->devices, link)
		if (device->index == index)
			return device;
	return NULL;
}

int vfio_cdev_open(struct vfio *vfio, unsigned index, struct client *client, struct file **ret, struct why *why)
{
	struct vfio_device *device = find_by_index(vfio, index);
	struct device_file *file;
	int err;

	if (!device || vfio_device_untranslated(device))
		return refuse(why, DEVICE_UNKNOWN, "no device is vfio%u%s", index,
			      device ? " by a node of its own: it is behind no IOMMU" : "");
	if (device->hidden)
		return refuse(why, DEVICE_LEAVING, "%s is being unbound from vfio-pci", device->name);
	err = device_file_new(device, false, client, &file, why);
	if (err < 0)
		return err;
	*ret = &file->file;
	return 0;
}

/* ---- BIND ---- */

#define BIND_MIN THROUGH(struct vfio_device_bind_iommufd, out_devid)

/* Unlike other requests of VFIO this one may be longer than we know, with nothing but zeroes there. */
static int read_bind(struct client *client, u64 arg, struct vfio_device_bind_iommufd *ret, struct why *why)
{
	u32 argsz;
	int err = client_read(client, arg, &argsz, sizeof(argsz), why);

	if (err < 0)
		return err;
	if (argsz < BIND_MIN)
		return refuse(why, ARGSZ_SHORT, "VFIO_DEVICE_BIND_IOMMUFD: argsz is %u, at least %zu are needed", argsz,
			      BIND_MIN);
	return client_read_struct(client, arg, argsz, ret, sizeof(*ret), why);
}

static int decode_bind_arguments(const struct device_file *file, const struct vfio_device_bind_iommufd *bind,
				 struct why *why)
{
	const struct vfio_device *device = file->device;
	const struct vfio_group *group = device->group;
	u32 unknown = bind->flags & ~(u32)VFIO_DEVICE_BIND_FLAG_TOKEN;

	if (bind->iommufd < 0)
		return refuse(why, BIND_ARGUMENT, "binding %s: %d is no descriptor", device->name, bind->iommufd);
	if (unknown)
		return refuse(why, BIND_ARGUMENT, "binding %s: flags %#x are unknown", device->name, unknown);
	if (file->by_group)
		return refuse(why, OPENED_BY_GROUP, "%s was opened through group %d and cannot be bound to an iommufd",
			      device->name, group->id);
	if (group->opened)
		return refuse(why, GROUP_FILE_OPEN, "binding %s: /dev/vfio/%d is open in %s", device->name, group->id,
			      group->opened->opener);
	if (device_file_granted(file))
		return refuse(why, BIND_REPEATED, "%s is bound already, by this very descriptor, as object %u",
			      device->name, vfio_iommufd_id(device));
	return 0;
}

/* mdevs know no token. */
static int decode_token(const struct vfio_device *device, struct client *client,
			const struct vfio_device_bind_iommufd *bind, struct why *why)
{
	u8 token[VF_TOKEN_SIZE];
	int err;

	if (!(bind->flags & VFIO_DEVICE_BIND_FLAG_TOKEN))
		return vf_token_match(device, NULL, why);
	if (device->soft)
		return refuse(why, VF_TOKEN_UNWANTED, "%s is emulated: no function that it could be virtual to",
			      device->name);
	err = client_read(client, bind->token_uuid_ptr, token, sizeof(token), why);
	if (err < 0)
		return err;
	return vf_token_match(device, token, why);
}

static int decode_context(const struct vfio_device *device, struct client *client, int fd, struct context **ret,
			  struct why *why)
{
	struct file *file;
	int err = client->ops->find_file(client, fd, &file, why);

	if (err < 0)
		return err;
	*ret = iommufd_context_of(file);
	if (!*ret)
		return refuse(why, NOT_AN_IOMMUFD, "binding %s: descriptor %d is a %s, no iommufd", device->name, fd,
			      file ? file->ops->kind : "file of the host");
	if (device->opened)
		return refuse(why, DEVICE_OPENED, "binding %s: it is open in %s already", device->name,
			      device->opened->opener);
	return 0;
}

static int decode_bind(const struct device_file *file, struct client *client, u64 arg, struct context **ret,
		       struct why *why)
{
	struct vfio_device_bind_iommufd bind;
	int err = read_bind(client, arg, &bind, why);

	if (err == 0)
		err = decode_bind_arguments(file, &bind, why);
	if (err == 0)
		err = decode_token(file->device, client, &bind, why);
	return err < 0 ? err : decode_context(file->device, client, bind.iommufd, ret, why);
}

/* The id goes out before anything of the device changes: a program that cannot take it has bound nothing. */
static int answer_id(const struct vfio_device *device, struct client *client, u64 arg, struct why *why)
{
	u32 id = vfio_iommufd_id(device);

	return client_write(client, arg + offsetof(struct vfio_device_bind_iommufd, out_devid), &id, sizeof(id), why);
}

long device_bind_iommufd(struct file *file, struct client *client, const union vfio_head *head, u64 arg,
			 struct why *why)
{
	struct device_file *opened = device_file_of(file);
	struct vfio_device *device = opened->device;
	_free_(pci_session) struct pci_session *session = NULL;
	struct context *context = NULL;
	struct why ignored;
	int err = decode_bind(opened, client, arg, &context, why);

	if (err < 0)
		return err;
	err = vfio_iommufd_bind(device, context, why);
	if (err < 0)
		return why_context(why, "binding %s", device->name);
	err = device_decode_open(device, why);
	if (err == 0)
		err = pci_session_new(device, opened, &session, why);
	if (err == 0)
		err = answer_id(device, client, arg, why);
	if (err < 0) {
		vfio_iommufd_unbind(device);
		os_resize(file->memfd, 0, &ignored);
		return err;
	}
	pci_session_begin(take(session));
	return 0;
}

/* ---- ATTACH and DETACH ---- */

/* The PASID, if flags say that there is one, at the end of the structure. */
struct pasid_argument {
	bool given;
	u32 pasid;
};

static int decode_pasid(const struct vfio_device *device, struct client *client, const union vfio_head *head, u64 arg,
			u32 offset, struct pasid_argument *ret, struct why *why)
{
	u32 flags = get_u32(head->bytes + sizeof(head->argsz));

	_Static_assert(VFIO_DEVICE_ATTACH_PASID == VFIO_DEVICE_DETACH_PASID, "one flag for both");
	if (flags & ~(u32)VFIO_DEVICE_ATTACH_PASID)
		return refuse(why, ATTACH_FLAGS, "%s: flags %#x are unknown", device->name,
			      flags & ~(u32)VFIO_DEVICE_ATTACH_PASID);
	ret->given = flags;
	if (!ret->given)
		return 0;
	if (device->soft)
		return refuse(why, EMULATED_PASID, "%s is emulated, no request of it has a PASID", device->name);
	if (head->argsz < offset + sizeof(ret->pasid))
		return refuse(why, ARGSZ_SHORT, "%s: argsz is %u, with a PASID %zu are needed", device->name,
			      head->argsz, offset + sizeof(ret->pasid));
	return client_read(client, arg + offset, &ret->pasid, sizeof(ret->pasid), why);
}

static int attach(struct vfio_device *device, const struct pasid_argument *argument, u32 *pt_id, struct why *why)
{
	int err = argument->given ? vfio_iommufd_attach_pasid(device, argument->pasid, pt_id, why)
				  : vfio_iommufd_attach(device, pt_id, why);

	return err < 0 ? why_context(why, "attaching %s", device->name) : 0;
}

long device_attach_pt(struct file *file, struct client *client, const union vfio_head *head, u64 arg, struct why *why)
{
	struct vfio_device *device = device_file_of(file)->device;
	const struct vfio_device_attach_iommufd_pt *request = (const void *)head;
	struct pasid_argument argument = {};
	u32 pt_id = request->pt_id;
	int err = decode_pasid(device, client, head, arg, offsetof(struct vfio_device_attach_iommufd_pt, pasid),
			       &argument, why);

	if (err == 0)
		err = attach(device, &argument, &pt_id, why);
	if (err < 0)
		return err;
	err = client_write(client, arg + offsetof(struct vfio_device_attach_iommufd_pt, pt_id), &pt_id, sizeof(pt_id),
			   why);
	/* As Linux: it is the attachment without PASID that goes, even when this was one with, or a replacement. */
	if (err < 0)
		vfio_iommufd_detach(device);
	return err;
}

long device_detach_pt(struct file *file, struct client *client, const union vfio_head *head, u64 arg, struct why *why)
{
	struct vfio_device *device = device_file_of(file)->device;
	struct pasid_argument argument = {};
	int err = decode_pasid(device, client, head, arg, offsetof(struct vfio_device_detach_iommufd_pt, pasid),
			       &argument, why);

	if (err < 0)
		return err;
	if (argument.given)
		vfio_iommufd_detach_pasid(device, argument.pasid);
	else
		vfio_iommufd_detach(device);
	return 0;
}
