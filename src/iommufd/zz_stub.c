#include <stdlib.h>
#include "iommufd/device.h"
#include "iommufd/ioas.h"
#include "iommufd/access.h"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
int iommufd_device_bind(struct context *context, struct iommu_device *core, struct iommufd_device **ret, struct why *why) { abort(); }
void iommufd_device_unbind(struct iommufd_device *device) { abort(); }
int iommufd_device_attach(struct iommufd_device *device, u32 pasid, u32 *pt_id, struct why *why) { abort(); }
int iommufd_device_replace(struct iommufd_device *device, u32 pasid, u32 *pt_id, struct why *why) { abort(); }
void iommufd_device_detach(struct iommufd_device *device, u32 pasid) { abort(); }
u32 access_id(const struct access *access) { abort(); }
int ioas_new(struct context *context, struct ioas **ret, struct why *why) { abort(); }
int ioas_find(struct context *context, u32 id, struct ioas **ret, struct why *why) { abort(); }
int ioas_map_user(struct ioas *ioas, struct client *client, u64 address, u64 size, unsigned permission, bool fixed, u64 *iova, struct why *why) { abort(); }
int ioas_unmap(struct ioas *ioas, u64 start, u64 last, u64 *ret_removed, struct why *why) { abort(); }
int ioas_cut(struct ioas *ioas, u64 start, u64 last, struct why *why) { abort(); }
int ioas_disable_huge_pages(struct ioas *ioas, struct why *why) { abort(); }
u64 ioas_page_sizes(const struct ioas *ioas) { abort(); }
bool ioas_hole(const struct ioas *ioas, u64 from, u64 *ret_start, u64 *ret_last) { abort(); }
int access_create(struct context *context, const struct access_ops *ops, void *data, struct access **ret, struct why *why) { abort(); }
void access_destroy(struct access *access) { abort(); }
int access_attach(struct access *access, u32 ioas_id, struct why *why) { abort(); }
int access_replace(struct access *access, u32 ioas_id, struct why *why) { abort(); }
void access_detach(struct access *access) { abort(); }
int access_pin(struct access *access, u64 iova, u64 size, unsigned flags, struct page_identity *pages, struct why *why) { abort(); }
void access_unpin(struct access *access, u64 iova, u64 size) { abort(); }
int access_rw(struct access *access, u64 iova, void *buffer, u64 size, unsigned flags, struct why *why) { abort(); }
bool context_has_group(const struct context *context, const struct iommu_group *group) { abort(); }
