/* SPDX-License-Identifier: MIT */
/* What is different for an emulated device: in an iommufd, in a container. */
#ifndef VFIO_EMULATED_H
#define VFIO_EMULATED_H

#include "vfio/device.h"

int vfio_emulated_bind(struct vfio_device *device, struct context *context, struct why *why);
void vfio_emulated_unbind(struct vfio_device *device);
/* OBJECT_MISSING (ENOENT) for a HWPT: it must be an IOAS. */
int vfio_emulated_attach(struct vfio_device *device, u32 ioas_id, struct why *why);
void vfio_emulated_detach(struct vfio_device *device);

/* Opened through a group with a container, and closed again; not entered: nothing happens. */
void vfio_emulated_enter(struct vfio_device *device, struct type1 *type1);
void vfio_emulated_leave(struct vfio_device *device);

#endif
