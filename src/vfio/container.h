/* SPDX-License-Identifier: MIT */
/*
 * A container: an address space for the DMA of several groups. Its file and its groups each keep it alive; without
 * groups it can do nothing, and when the last one leaves it forgets its IOMMU and all mappings.
 */
#ifndef VFIO_CONTAINER_H
#define VFIO_CONTAINER_H

#include "vfio/vfio.h"

struct type1;

struct container {
	struct file file;
	struct vfio *vfio;     /* borrowed */
	struct list groups;    /* vfio_group, the most recent first */
	struct type1 *backend; /* owned; NULL until SET_IOMMU */
	bool noiommu;	       /* what its groups are; they do not mix */
	bool noiommu_set;      /* by SET_IOMMU; then there is nothing that maps */
	bool open;	       /* the file still has descriptors */
};

extern const struct file_ops container_file_ops;

static inline struct container *container_of_file(struct file *file)
{
	return container_of(file, struct container, file);
}

static inline bool container_has_backend(const struct container *container)
{
	return container->backend || container->noiommu_set;
}

/* SET_CONTAINER: claims the group for VFIO, attaches it to the backend if there is one. */
int container_attach(struct container *container, struct vfio_group *group, struct client *client, struct why *why);
/* The group leaves; the container may be gone when this returns. */
void container_detach(struct vfio_group *group);

void container_check(const struct container *container);

#endif
