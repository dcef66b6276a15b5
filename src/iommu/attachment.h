/* SPDX-License-Identifier: MIT */
/*
 * The device-centric form of attach, for the layers that show devices to user space (spec 02 section 5). A group has
 * one domain, but each of its devices is attached by itself: the first one moves the group, others with the same domain
 * are counted, others with another are refused by the sibling's name. The group goes with its last device.
 */
#ifndef IOMMU_ATTACHMENT_H
#define IOMMU_ATTACHMENT_H

#include "iommu/pasid.h"

/*
 * pasid 0 is the device's own requests. In this order: DEVICE_NO_IOMMU (ENODEV), ATTACHED_ALREADY (EBUSY): this device
 * is; ATTACHED_ELSEWHERE (EINVAL): a sibling is attached to another domain; RESERVED_MAPPED (EADDRINUSE): a region the
 * device cannot do without is mapped there; PASID_INCOMPATIBLE (EINVAL); then what attach says. handle is used by the
 * first device only.
 */
int iommu_device_attach(struct iommu_device *device, u32 pasid, struct domain *domain, struct attach_handle *handle,
			struct why *why);
/*
 * The predicates of attach in two halves, for the layer that does more in between (iommufd reserves regions): up to
 * ATTACHED_ELSEWHERE; and what only the first device of a group is asked, also of a replacement: VF_PAGE_REQUESTS and
 * PASID_INCOMPATIBLE (EINVAL).
 */
int iommu_device_may_join(const struct iommu_device *device, u32 pasid, const struct domain *domain, struct why *why);
int iommu_device_may_lead(const struct iommu_device *device, u32 pasid, const struct domain *domain,
			  const struct attach_handle *handle, struct why *why);

/* NOT_ATTACHED (EINVAL) */
int iommu_device_replace(struct iommu_device *device, u32 pasid, struct domain *domain, struct attach_handle *handle,
			 struct why *why);
/* True when it was the last, so that the handle is free again. Not attached: nothing happens, false. */
bool iommu_device_detach(struct iommu_device *device, u32 pasid);

/* What this device is attached to; NULL: nothing. */
struct domain *iommu_device_domain(const struct iommu_device *device, u32 pasid);

/*
 * The calls for whole groups (iommu/attach.h, iommu/pasid.h) do not look here: who mixes both asks first.
 * ATTACHED_BY_DEVICE (EBUSY) names the device that is attached by itself.
 */
int iommu_may_bypass(const struct iommu_group *group, u32 pasid, struct why *why);

bool attachments_have(const struct iommu_device *device); /* at any PASID */
void attachments_check(const struct iommu_group *group);

#endif
