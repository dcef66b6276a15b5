/* SPDX-License-Identifier: MIT */
/*
 * A device bound to a context (spec 03 sections 5 and 7, 02 section 5, 06 section 3): for VFIO and for whoever else
 * hands devices to user space. Its group is owned by the context from bind to unbind.
 */
#ifndef IOMMUFD_DEVICE_H
#define IOMMUFD_DEVICE_H

#include "iommu/attachment.h"
#include "iommufd/context.h"

struct vdevice;

struct iommufd_device {
	struct object object;	   /* first; one user: the driver that bound it */
	struct iommu_device *core; /* borrowed */
	bool enforces_coherency;   /* device_iommu_capable(ENFORCE_CACHE_COHERENCY) */
	bool keeps_context;	   /* mock devices do not */
	struct list attached;	   /* struct device_attachment, owned: one per PASID it is attached at */
	struct vdevice *vdevice;   /* borrowed; NULL: none */
};

extern const struct object_class device_class;

/*
 * Order: DEVICE_NOT_COHERENT (EINVAL), DEVICE_NO_IOMMU (ENODEV), MSI_NOT_ISOLATED (EPERM; not for a mock), the claim of
 * its group (own.h), ids. The id is published when this returns.
 */
int iommufd_device_bind(struct context *context, struct iommu_device *core, struct iommufd_device **ret,
			struct why *why);
/* Nothing is attached any more. Its vdevice goes first, leaving a tombstone. */
void iommufd_device_unbind(struct iommufd_device *device);

/*
 * pasid 0: requests without one. *pt_id: an IOAS (a domain that fits is found or made), or a HWPT; on success that of
 * the HWPT now used. PT_UNKNOWN (ENOENT), PT_KIND (EINVAL), then spec 02 section 5.1.
 */
int iommufd_device_attach(struct iommufd_device *device, u32 pasid, u32 *pt_id, struct why *why);
int iommufd_device_replace(struct iommufd_device *device, u32 pasid, u32 *pt_id, struct why *why);
void iommufd_device_detach(struct iommufd_device *device, u32 pasid); /* not attached: nothing happens */

/* What it is attached to at that PASID; NULL: nothing. */
struct hwpt;
struct hwpt *iommufd_device_hwpt(const struct iommufd_device *device, u32 pasid);

/* Is a device of that group bound in the context? (VFIO hot reset.) */
bool context_has_group(const struct context *context, const struct iommu_group *group);
/* The bound device for a core device in that context; NULL: it is not bound there. */
struct iommufd_device *context_device(const struct context *context, const struct iommu_device *core);

#endif
