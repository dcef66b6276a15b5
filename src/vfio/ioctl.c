/* SPDX-License-Identifier: MIT */
#include "vfio/ioctl.h"

#include "vfio/container.h"
#include "vfio/device.h"
#include "vfio/group.h"
#include "vfio/migration.h"

const struct vfio_ioctl vfio_ioctls[] = {
#define VFIO_IOCTL(kind, name, type, min, handler) {VFIO_KIND_##kind, name, #name, sizeof(type), min, handler},
#include "vfio/ioctls.def"
#undef VFIO_IOCTL
};
const unsigned vfio_nioctls = ARRAY_SIZE(vfio_ioctls);

#define VFIO_IOCTL(kind, name, type, min, handler)                                                                     \
	_Static_assert((min) <= sizeof(union vfio_head), "the head of " #name " fits");
#include "vfio/ioctls.def"
#undef VFIO_IOCTL

const struct vfio_ioctl *vfio_ioctl_find(enum vfio_kind kind, unsigned cmd)
{
	for (unsigned i = 0; i < vfio_nioctls; i++)
		if (vfio_ioctls[i].kind == kind && vfio_ioctls[i].cmd == cmd)
			return &vfio_ioctls[i];
	return NULL;
}

long vfio_ioctl_dispatch(enum vfio_kind kind, struct file *file, struct client *client, unsigned cmd, u64 arg,
			 struct why *why)
{
	const struct vfio_ioctl *row = vfio_ioctl_find(kind, cmd);
	union vfio_head head = {};
	int err;

	if (!row)
		return refuse(why, IOCTL_UNKNOWN, "a %s file has no request %#x", file->ops->kind, cmd);
	if (row->min) {
		err = client_read(client, arg, &head, row->min, why);
		if (err < 0)
			return err;
		if (head.argsz < row->min)
			return refuse(why, ARGSZ_SHORT, "%s: argsz is %u, at least %u are needed", row->name,
				      head.argsz, row->min);
	}
	return row->handler(file, client, &head, arg, why);
}

static const struct vfio_ioctl *find_for_file(const struct file *file, unsigned cmd)
{
	const struct vfio_ioctl *row;

	if (file->ops == &group_file_ops)
		return vfio_ioctl_find(VFIO_KIND_GROUP, cmd);
	if (file->ops == &device_file_ops)
		return device_file_request(file, cmd);
	if (file->ops == &transfer_file_ops)
		return transfer_file_is_saving(file) ? vfio_ioctl_find(VFIO_KIND_TRANSFER, cmd) : NULL;
	if (file->ops != &container_file_ops)
		return NULL;
	row = vfio_ioctl_find(VFIO_KIND_CONTAINER, cmd);
	return row ? row : vfio_ioctl_find(VFIO_KIND_TYPE1, cmd);
}

const char *vfio_ioctl_name(const struct file *file, unsigned int cmd)
{
	const struct vfio_ioctl *row = find_for_file(file, cmd);

	return row ? row->name : NULL;
}
