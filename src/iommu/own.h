/* SPDX-License-Identifier: MIT */
/*
 * Who may use a group's DMA (spec 02 sections 2 to 4): kernel drivers that use the DMA API (counted, owner NULL), one
 * owner in user space (counted too), or nobody. Separate entry points with separate predicates; none takes a mode.
 *
 * may_...() are the predicates by themselves: they fill why with who is in the way and change nothing. Where Linux only
 * warns about a caller's mistake, they say no, and the call behind them asserts that they would not have.
 */
#ifndef IOMMU_OWN_H
#define IOMMU_OWN_H

#include "iommu/iommu.h"

/*
 * A driver that uses the DMA API is about to probe, or is gone. GROUP_UNSETTLED (EPROBE_DEFER): no default domain yet;
 * GROUP_OWNED, GROUP_PRIVATE, GROUP_PASIDS (EBUSY) name the owner, or the driver with a domain or PASIDs of its own.
 */
int iommu_use_default_domain(struct iommu_device *device, const char *driver, struct why *why);
void iommu_unuse_default_domain(struct iommu_device *device);
/* UNUSE_UNCOUNTED, UNUSE_PASIDS (EINVAL). */
int iommu_may_unuse(const struct iommu_device *device, struct why *why);

/*
 * A VFIO container takes the whole group, once. OWNER_MISSING (EINVAL); GROUP_NOT_VIABLE (EPERM) names the devices and
 * drivers in the way, GROUP_CLAIMED (EPERM) the owner, the same one included; GROUP_DOMAIN_BUSY, GROUP_PASIDS_BUSY
 * (EBUSY) what is still attached though nobody is counted; GROUP_RECOVERING (EBUSY) the member that is being reset;
 * GROUP_NEEDS_DIRECT (EINVAL) the one that needs memory of the firmware.
 */
int iommu_group_claim(struct iommu_group *group, const struct owner *owner, struct why *why);
void iommu_group_release(struct iommu_group *group);

/*
 * An iommufd context takes the device's group, or counts one more if it has it already: then nothing is looked at.
 * Otherwise as above, and DEVICE_NO_IOMMU (ENODEV).
 */
int iommu_device_claim(struct iommu_device *device, const struct owner *owner, struct why *why);
/* The device stays attached to whatever the group has until the last release. */
void iommu_device_release(struct iommu_device *device);

/* Only the first half of a claim: is nobody else counted? */
int iommu_group_may_claim(const struct iommu_group *group, struct why *why);
/* RELEASE_UNOWNED, RELEASE_PASIDS, RELEASE_ATTACHED (EINVAL): to a domain with a handle. One without is dropped. */
int iommu_may_release(const struct iommu_group *group, struct why *why);
int iommu_may_release_device(const struct iommu_device *device, struct why *why);

bool iommu_group_claimed(const struct iommu_group *group); /* owner_count != 0, kernel drivers included */

#define OWNER_TEXT 128

/* "VFIO group 7 of qemu-io (pid 1234)", or the drivers: "0000:02:00.1 is bound to e1000e, 0000:02:00.2 to igb". */
const char *iommu_describe_owner(const struct iommu_group *group, char text[static OWNER_TEXT]);

#endif
