/* SPDX-License-Identifier: MIT */
/*
 * An IOMMU group as VFIO shows it: there as long as vfio-pci has a device of it, or as long as its file is open. One
 * opener at a time: with a container the file counts as open until its own descriptors and those of its devices are
 * gone; with an iommufd in the place of a container devices live on without it.
 */
#ifndef VFIO_GROUP_H
#define VFIO_GROUP_H

#include "vfio/vfio.h"

struct container;
struct context;
struct group_file;

/* Linux: enum vfio_group_type. */
enum group_kind {
	GROUP_REAL,
	GROUP_EMULATED, /* of one emulated device */
	GROUP_NOIOMMU,	/* of one function that no IOMMU covers: /dev/vfio/noiommu-N */
};

struct vfio_group {
	struct owner owner; /* what owns the IOMMU group while a container is set */
	struct vfio *vfio;  /* borrowed */
	int id;
	unsigned minor;
	enum group_kind kind;
	struct iommu_group *iommu;	 /* borrowed; NULL once vfio-pci has no device of it any more */
	unsigned ndevices;		 /* bound to vfio-pci */
	struct group_file *opened;	 /* owned; NULL when nobody has the group */
	struct container *container;	 /* kept alive by us; NULL when none is set */
	struct context *context;	 /* an iommufd that was set in place of one; kept alive by us */
	struct list_link container_link; /* container->groups */
	struct list_link link;		 /* vfio->groups, while iommu is set */
};

struct group_file {
	struct file file;
	struct vfio_group *group; /* kept alive by us */
	unsigned users;		  /* one for the descriptors, one for each device that holds us */
	bool open;		  /* the descriptors are not gone yet */
	char opener[CLIENT_DESCRIPTION];
};

extern const struct file_ops group_file_ops;

static inline struct group_file *group_of_file(struct file *file)
{
	return container_of(file, struct group_file, file);
}

struct vfio_group *group_find(const struct vfio *vfio, int id); /* NULL if none */

/* The group of a device that vfio-pci probes; made, and its name told, with the first one. */
int group_enter(struct vfio *vfio, struct iommu_group *iommu, enum group_kind kind, struct vfio_group **ret,
		struct why *why);
void group_leave(struct vfio_group *group); /* may free it */

/* "/dev/vfio/7", "/dev/vfio/noiommu-7" */
#define GROUP_PATH 32
const char *group_path(const struct vfio_group *group, char text[static GROUP_PATH]);
/* Linux asks at each step that brings a group without an IOMMU nearer to its device. NO_IOMMU_PRIVILEGE (EPERM). */
int group_privileged(const struct vfio_group *group, struct client *client, struct why *why);

/* An open device keeps the group's file. */
void group_file_get(struct group_file *file);
void group_file_put(struct group_file *file);

void group_check(const struct vfio_group *group);

#endif
