/* SPDX-License-Identifier: MIT */
/*
 * A device bound to a context (spec 03 sections 5 and 7, 02 section 5, 06 section 3): for VFIO and for whoever else
 * hands devices to user space. Its group is owned by the context from bind to unbind.
 */
#ifndef IOMMUFD_DEVICE_H
#define IOMMUFD_DEVICE_H

#include "iommu/attachment.h"
#include "iommufd/context.h"

struct hwpt;
struct ioas;
struct vdevice;

struct iommufd_device {
	struct object object;	   /* first; one user: the driver that bound it, and one for each attachment */
	struct iommu_device *core; /* borrowed */
	bool enforces_coherency;   /* device_iommu_capable(ENFORCE_CACHE_COHERENCY) */
	bool keeps_context;	   /* mock devices do not */
	struct list attached;	   /* struct device_attachment, owned: one per PASID it is attached at */
	struct vdevice *vdevice;   /* borrowed; NULL: none */
	u64 msi_pages;		   /* of context->sw_msi, by number: where its interrupts are sent */
	struct list_link link;	   /* context->devices, by age */
};

/* What the devices of a group are attached by at one PASID. Made for the first of them; goes with the last. */
struct device_handle {
	struct attach_handle core;     /* first */
	struct hwpt *hwpt;	       /* used once for each device */
	struct iommufd_device *device; /* borrowed: one of those attached, at first the first */
};

struct device_attachment {
	u32 pasid;
	struct device_handle *handle; /* owned together with the group's other devices at that PASID */
	struct list_link link;	      /* device->attached */
};

extern const struct object_class device_class;

/* MSI_NOT_ISOLATED (EPERM): the IOMMU of a member would let it raise interrupts of others. For VFIO's containers, too.
 */
int iommufd_check_interrupts(const struct iommu_group *group, struct why *why);

/*
 * Order: DEVICE_NOT_COHERENT (EINVAL; also behind no IOMMU, which promises nothing), MSI_NOT_ISOLATED (EPERM; not for a
 * mock), the claim of its group (own.h), ids. The id is published when this returns.
 */
int iommufd_device_bind(struct context *context, struct iommu_device *core, struct iommufd_device **ret,
			struct why *why);
/* Nothing is attached any more. Its vdevice goes first, leaving a tombstone. */
void iommufd_device_unbind(struct iommufd_device *device);

/*
 * pasid 0: requests without one. *pt_id: an IOAS (a domain that fits is found or made), or a HWPT; on success that of
 * the HWPT now used. OBJECT_MISSING (ENOENT), PT_KIND (EINVAL), then spec 02 section 5.1.
 */
int iommufd_device_attach(struct iommufd_device *device, u32 pasid, u32 *pt_id, struct why *why);
int iommufd_device_replace(struct iommufd_device *device, u32 pasid, u32 *pt_id, struct why *why);
void iommufd_device_detach(struct iommufd_device *device, u32 pasid); /* not attached: nothing happens */

/* What it is attached to at that PASID; NULL: nothing. */
struct hwpt *iommufd_device_hwpt(const struct iommufd_device *device, u32 pasid);

/* Is a device of that group bound in the context? (VFIO hot reset.) */
bool context_has_group(const struct context *context, const struct iommu_group *group);
/* The bound device for a core device in that context; NULL: it is not bound there. */
struct iommufd_device *context_device(const struct context *context, const struct iommu_device *core);
int iommufd_device_find(struct context *context, u32 id, struct iommufd_device **ret, struct why *why);

/*
 * Interrupt messages of a device whose IOMMU translates them, too (a SW_MSI region): the IOVA that stands for the page
 * of the interrupt controller at `doorbell`, the same in every domain of the context, mapped from now on wherever its
 * group is attached. Without such a region, or not attached: doorbell itself. MSI_PAGES_FULL (EOVERFLOW),
 * OUT_OF_MEMORY.
 */
int iommufd_device_msi(struct iommufd_device *device, u64 doorbell, u64 *ret_iova, struct why *why);

/* ---- inside iommufd ---- */

/* device_attach.c: one HWPT, as spec 02 sections 5.1 to 5.3 say. Attached, it uses the HWPT and the device. */
int device_attach_hwpt(struct iommufd_device *device, u32 pasid, struct hwpt *hwpt, struct why *why);
int device_replace_hwpt(struct iommufd_device *device, u32 pasid, struct hwpt *hwpt, struct why *why);
/* Every device of the group that is attached at that PASID, by age: start with NULL; NULL ends. */
struct iommufd_device *device_next_attached(const struct context *context, const struct iommu_group *group, u32 pasid,
					    const struct iommufd_device *after);
struct device_attachment *device_attachment_at(const struct iommufd_device *device, u32 pasid); /* NULL: none */

/* sw_msi.c: all pages that devices of the group use, into what it is about to be attached to. */
struct hwpt_paging;
int sw_msi_install(const struct iommufd_device *device, struct hwpt_paging *hwpt, struct why *why);
void sw_msi_fini(struct context *context);

#endif
