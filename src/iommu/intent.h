/* SPDX-License-Identifier: MIT */
/*
 * What drivers declare at bind, and what of it an attach would contradict. Linux knows no such declaration; with
 * options.strict_intent the core refuses, without it all of this is silent.
 */
#ifndef IOMMU_INTENT_H
#define IOMMU_INTENT_H

#include "iommu/domain.h"

/*
 * A driver has the device from now on. INTENT_CONTRADICTORY (EINVAL): DMA of a driver that says it does none, or
 * ENQCMD without PASIDs. intent: enum intent, at least one.
 */
int iommu_declare(struct iommu_device *device, const char *driver, unsigned intent, struct why *why);
void iommu_undeclare(struct iommu_device *device);

/*
 * Shared work queues: the program puts a virtual PASID on its command, the CPU looks up which one goes out (Intel SDM,
 * ENQCMD; the table is the owner's). INTENT_NO_ENQCMD (EINVAL): the driver did not say so; PASID_TAKEN (EBUSY).
 */
int iommu_enqcmd_set(struct iommu_device *device, u32 virtual_pasid, u32 pasid, struct why *why);
void iommu_enqcmd_clear(struct iommu_device *device, u32 virtual_pasid); /* not there: nothing happens */
bool iommu_enqcmd_translate(const struct iommu_device *device, u32 virtual_pasid, u32 *ret_pasid);

/* "DMA with PASIDs, ENQCMD"; returns text. */
#define INTENT_TEXT 96
const char *intent_describe(unsigned intent, char text[static INTENT_TEXT]);

/* ---- inside the core: 0, or a refusal when strict ---- */

/* pasid 0: the group's requests without one. Every member's driver is asked. */
int intent_check_group(const struct iommu_group *group, const struct domain *domain, u32 pasid, struct why *why);
int intent_check(const struct iommu_device *device, const struct domain *domain, u32 pasid, struct why *why);

#endif
