/* SPDX-License-Identifier: MIT */
/*
 * What an iommufd has of an open device: a DEVICE when it is hardware, an ACCESS when it is emulated (spec 03 section
 * 5, 04 section 6, 06 sections 3, 4 and 6). With a container there is neither.
 */
#ifndef VFIO_IOMMUFD_H
#define VFIO_IOMMUFD_H

#include "base/itree.h"
#include "base/why.h"

struct access;
struct context;
struct iommufd_device;
struct vfio_device;

struct device_iommufd {
	struct iommufd_device *device; /* owned; NULL: not bound, or emulated */
	struct access *access;	       /* owned; NULL: not bound, or hardware */
	bool attached;		       /* by a call without PASID */
	struct itree pasids;	       /* struct attached_pasid, owned: by calls with one, 0 included */
};

/* The device is closed. What iommufd_device_bind() or access_create() refuse; nothing has changed then. */
int vfio_iommufd_bind(struct vfio_device *device, struct context *context, struct why *why);
/* Leaves the PASIDs, then what is without, then the context, which may go with it. Not bound: nothing happens. */
void vfio_iommufd_unbind(struct vfio_device *device);

bool vfio_iommufd_bound(const struct vfio_device *device);
u32 vfio_iommufd_id(const struct vfio_device *device);			/* of the object; it is bound */
struct context *vfio_iommufd_context(const struct vfio_device *device); /* NULL: not bound */

/*
 * To an IOAS or a HWPT; what is attached already is replaced. *pt_id becomes that of the HWPT in use (of an emulated
 * device it must be an IOAS, and stays).
 */
int vfio_iommufd_attach(struct vfio_device *device, u32 *pt_id, struct why *why);
void vfio_iommufd_detach(struct vfio_device *device); /* not attached: nothing happens */

/* The same for one PASID; hardware only. PASID_BEYOND (ENOSPC) when it is above 2^31 - 1. */
int vfio_iommufd_attach_pasid(struct vfio_device *device, u32 pasid, u32 *pt_id, struct why *why);
void vfio_iommufd_detach_pasid(struct vfio_device *device, u32 pasid);

/*
 * The device is about to send interrupt messages: where the IOMMU translates these, too, they find the interrupt
 * controller from now on. Not bound, not attached or no such IOMMU: nothing happens. What iommufd_device_msi() refuses.
 */
int vfio_iommufd_prepare_messages(struct vfio_device *device, struct why *why);

void vfio_iommufd_check(const struct vfio_device *device);

#endif
