/* SPDX-License-Identifier: MIT */
#include "iommufd/drivers.h"

void iommufd_drivers_init(struct iommu *iommu)
{
	iommu->drivers[KIND_INTEL].user = &vtd_user_driver;
	iommu->drivers[KIND_AMD].user = &amd_user_driver;
	iommu->drivers[KIND_SMMU].user = &smmu_user_driver;
	/* RISC-V's does nothing for user space (Linux 7.2: drivers/iommu/riscv/iommu.c). */
}

int hw_info_answer(const struct iommu_device *device, u32 *type, u32 own_type, const void *info, size_t info_size,
		   void *data, size_t size, struct why *why)
{
	if (*type != IOMMU_HW_INFO_TYPE_DEFAULT && *type != own_type)
		return refuse(why, HW_INFO_TYPE, "%s (%s), which %s is behind, tells type %u, not %#x",
			      device->unit->name, device->unit->driver->name, device->name, own_type, *type);
	assert(info_size <= size);
	memcpy(data, info, info_size);
	*type = own_type;
	return (int)info_size;
}

int alloc_paging_by_flags(struct iommu_device *device, struct space *space, u32 flags, const struct user_data *data,
			  struct domain **ret, struct why *why)
{
	const u32 known = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_PASID;
	unsigned abilities = (flags & IOMMU_HWPT_ALLOC_NEST_PARENT ? DOMAIN_FOR_NESTING : 0) |
			     (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING ? DOMAIN_FOR_DIRTY : 0) |
			     (flags & IOMMU_HWPT_ALLOC_PASID ? DOMAIN_FOR_PASIDS : 0);

	if (flags & ~known)
		return refuse(why, HWPT_FLAGS, "flags %#x for a domain of %s", flags, device->name);
	if (data)
		return refuse(why, HWPT_FLAGS, "%s, which %s is behind, takes no data for its own tables, of type %#x",
			      device->unit->name, device->name, data->type);
	return domain_new_for(space, device->unit, abilities, ret, why);
}
