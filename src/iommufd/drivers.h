/* SPDX-License-Identifier: MIT */
/* What the drivers of real IOMMUs (iommu/kind.h) do for iommufd: driver_*.c. */
#ifndef IOMMUFD_DRIVERS_H
#define IOMMUFD_DRIVERS_H

#include "base/alloc.h"
#include "iommufd/viommu.h"

extern const struct iommufd_driver vtd_user_driver, amd_user_driver, smmu_user_driver;

/* Makes them known to the core's drivers. */
void iommufd_drivers_init(struct iommu *iommu);

/* ---- for driver_*.c ---- */

/* hw_info for whoever has one type of answer: HW_INFO_TYPE (EOPNOTSUPP), or the length of info. */
int hw_info_answer(const struct iommu_device *device, u32 *type, u32 own_type, const void *info, size_t info_size,
		   void *data, size_t size, struct why *why);

/* alloc_paging: flags are what the domain is for; HWPT_FLAGS (EOPNOTSUPP): other flags, data. */
int alloc_paging_by_flags(struct iommu_device *device, struct space *space, u32 flags, const struct user_data *data,
			  struct domain **ret, struct why *why);

#endif
