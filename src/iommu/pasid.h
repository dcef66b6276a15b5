/* SPDX-License-Identifier: MIT */
/*
 * Domains of a group's PASIDs (spec 02 section 3.8). The group has one per PASID; every member with PASIDs gets it.
 * Neither ownership nor the domain without PASID is looked at.
 */
#ifndef IOMMU_PASID_H
#define IOMMU_PASID_H

#include "iommu/attach.h"

#define PASIDS 0x100000u /* 20 bits */

struct pasid_slot {
	u32 pasid;
	struct domain *domain;
	struct attach_handle *handle; /* borrowed; NULL: attached without */
	struct list_link link;	      /* group->pasids, ascending */
};

/*
 * DEVICE_NO_IOMMU (ENODEV); PASID_UNSUPPORTED (EOPNOTSUPP): the unit cannot; DOMAIN_FOREIGN, PASID_ZERO (EINVAL);
 * GROUP_RECOVERING (EBUSY); PASID_TOO_LARGE (EINVAL) names the member with too few; PASID_TAKEN (EBUSY). handle may
 * be NULL. Members without PASIDs are passed over. PASID_DISABLED (EINVAL): a member has PASIDs that are switched off
 * (iommu_device.pasids_off); a remark of a success where the unit's driver does not look.
 */
int iommu_attach_pasid(struct domain *domain, struct iommu_device *device, u32 pasid, struct attach_handle *handle,
		       struct why *why);
/* Besides: HANDLE_MISSING (EINVAL), PASID_EMPTY (EINVAL), HANDLE_REUSED (EINVAL). The old one stays on failure. */
int iommu_replace_pasid(struct domain *domain, struct iommu_device *device, u32 pasid, struct attach_handle *handle,
			struct why *why);
void iommu_detach_pasid(struct iommu_device *device, u32 pasid); /* nothing there: nothing happens */

struct pasid_slot *iommu_pasid_slot(const struct iommu_group *group, u32 pasid); /* NULL: free */

/*
 * The handle of an attachment; pasid 0 is the one without. kind: DOMAIN_ANY or what its domain must be.
 * HANDLE_NONE (ENOENT), HANDLE_KIND (EBUSY).
 */
int iommu_find_handle(const struct iommu_group *group, u32 pasid, enum domain_kind kind, struct attach_handle **ret,
		      struct why *why);

/* System-wide, for one device: PASID_NONE_FREE (ENOSPC) when it has none, or all below its limit are taken. */
int iommu_alloc_pasid(struct iommu_device *device, u32 *ret, struct why *why);
void iommu_free_pasid(struct iommu *iommu, u32 pasid); /* free already: nothing happens */

/* ---- inside the core ---- */

int refuse_pasids_off(const struct iommu_device *device, struct why *why);
void group_detach_pasid(struct iommu_group *group, u32 pasid);
/* The domain of each PASID is taken from, or given to, one member; it is being reset. */
void pasids_park(struct iommu_device *device);
void pasids_resume(struct iommu_device *device);

#endif
