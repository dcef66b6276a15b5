/* SPDX-License-Identifier: MIT */
/* The table of requests (ioctls.def) and what all of them share: finding the row, copying the head of the argument in.
 */
#ifndef VFIO_IOCTL_H
#define VFIO_IOCTL_H

#include "isolde/abi/vfio.h"
#include "mem/file.h"

/*
 * Which file a request belongs to. A container has two: its own, and those of its IOMMU backend. A device's file has
 * those of all devices, those that only vfio-pci answers, and those of its character device alone. A transfer is the
 * stream of a migration, as it is read.
 */
enum vfio_kind {
	VFIO_KIND_CONTAINER,
	VFIO_KIND_TYPE1,
	VFIO_KIND_GROUP,
	VFIO_KIND_DEVICE,
	VFIO_KIND_PCI,
	VFIO_KIND_CDEV,
	VFIO_KIND_TRANSFER,
	VFIO_KINDS,
};

/* Bytes of a structure up to and including a field: what argsz must be at least. */
#define THROUGH(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))

struct vfio_no_argument {
};

/* The largest head any row has; zeroed behind what was copied. */
union vfio_head {
	u32 argsz;
	u8 bytes[48];
	u64 align;
};

/*
 * One request. head holds the first `min` bytes of the argument, argsz checked; arg is the argument itself. Returns
 * what ioctl(2) would, or -errno.
 */
typedef long vfio_handler(struct file *file, struct client *client, const union vfio_head *head, u64 arg,
			  struct why *why);

struct vfio_ioctl {
	enum vfio_kind kind;
	unsigned cmd;
	const char *name;
	unsigned size, min; /* of the structure; min 0: the handler copies for itself */
	vfio_handler *handler;
};

extern const struct vfio_ioctl vfio_ioctls[];
extern const unsigned vfio_nioctls;

const struct vfio_ioctl *vfio_ioctl_find(enum vfio_kind kind, unsigned cmd); /* NULL if unknown */

/* Finds the row, copies the head in, calls the handler. IOCTL_UNKNOWN (ENOTTY), ARGSZ_SHORT (EINVAL), CLIENT_FAULT. */
long vfio_ioctl_dispatch(enum vfio_kind kind, struct file *file, struct client *client, unsigned cmd, u64 arg,
			 struct why *why);

/* The handlers, by the names in the table. */
#define VFIO_IOCTL(kind, name, type, min, handler) vfio_handler handler;
#include "vfio/ioctls.def"
#undef VFIO_IOCTL

#endif
