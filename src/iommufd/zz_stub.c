#include <stdlib.h>
#include "iommufd/device.h"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
int iommufd_device_bind(struct context *context, struct iommu_device *core, struct iommufd_device **ret, struct why *why) { return refuse(why, OUT_OF_MEMORY, "stubbed"); }
void iommufd_device_unbind(struct iommufd_device *device) { abort(); }
int iommufd_device_attach(struct iommufd_device *device, u32 pasid, u32 *pt_id, struct why *why) { abort(); }
int iommufd_device_replace(struct iommufd_device *device, u32 pasid, u32 *pt_id, struct why *why) { abort(); }
void iommufd_device_detach(struct iommufd_device *device, u32 pasid) { abort(); }
bool context_has_group(const struct context *context, const struct iommu_group *group) { abort(); }
