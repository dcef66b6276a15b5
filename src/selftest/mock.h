/* SPDX-License-Identifier: MIT */
/*
 * The mock IOMMU and its devices (spec 06 section 8.2). Nothing of it does DMA: a device is attached, asks for pages
 * and tells events when a request says so, and "caches" are words that invalidations clear.
 */
#ifndef SELFTEST_MOCK_H
#define SELFTEST_MOCK_H

#include "iommufd/device.h"
#include "iommufd/viommu.h"
#include "selftest/abi.h"
#include "selftest/selftest.h"

struct mock_device {
	struct selftest *selftest; /* borrowed */
	struct iommu_device *core; /* owned: alone in its group */
	u32 number;
	u32 flags; /* MOCK_FLAGS_DEVICE_... */
	u32 cache[MOCK_DEV_CACHE_NUM];
	bool fail_1024;	       /* the next attach of IOMMU_TEST_PASID_RESERVED fails */
	unsigned fault_users;  /* attachments whose page requests somebody answers */
	struct domain *domain; /* without PASID; borrowed */
	struct viommu *viommu; /* whose nested domain that is; borrowed; NULL: of none */
	u64 virt_id;	       /* there */
};

/* domain->extra of nested domains. */
struct mock_nested {
	struct viommu *viommu; /* borrowed; NULL: made on the parent directly */
	u32 iotlb[MOCK_NESTED_DOMAIN_IOTLB_NUM];
};

struct mock_hw_queue;

struct mock_viommu {
	struct viommu viommu;				       /* first */
	struct domain *parent;				       /* borrowed */
	struct mmap_region *region;			       /* owned; NULL: it was made without data */
	struct mock_hw_queue *queues[IOMMU_TEST_HW_QUEUE_MAX]; /* borrowed */
};

extern const struct iommu_driver mock_driver;

/* viommu.c: what of the driver is about virtual IOMMUs. */
size_t mock_viommu_size(struct iommu_device *device, u32 type);
int mock_viommu_init(struct viommu *viommu, struct domain *parent, const struct user_data *data, struct why *why);
void mock_viommu_destroy(struct viommu *viommu);
int mock_viommu_alloc_nested(struct viommu *viommu, u32 flags, const struct user_data *data, struct domain **ret,
			     struct why *why);
int mock_viommu_invalidate(struct viommu *viommu, struct user_array *array, struct why *why);
size_t mock_hw_queue_size(struct viommu *viommu, u32 type);
int mock_hw_queue_init(struct hw_queue *queue, u32 index, u64 physical, struct why *why);
void mock_hw_queue_destroy(struct hw_queue *queue);

/* driver.c */
int mock_nested_new(struct domain *parent, const struct iommu_unit *unit, struct viommu *viommu, u32 flags,
		    const struct user_data *data, struct domain **ret, struct why *why);
/* One entry of an invalidation of words 0 to last: FLAGS_UNKNOWN (EOPNOTSUPP), MOCK_INDEX (EINVAL). */
int mock_refuse_words(u32 flags, u32 index, u32 last, const char *what, struct why *why);
void mock_clear_words(u32 *words, u32 count, u32 flags, u32 index);

/* device.c: a new one, in a new group that nobody owns; OUT_OF_MEMORY, MOCK_FLAGS (EINVAL). */
int mock_device_new(struct selftest *selftest, u32 flags, struct mock_device **ret, struct why *why);
struct mock_device *mock_device_free(struct mock_device *device); /* unbound; NULL is legal; returns NULL */

static inline struct mock_device *mock_device_of(const struct iommu_device *core)
{
	return core->unit && core->unit->driver == &mock_driver ? core->driver_data : NULL;
}

static inline struct mock_nested *mock_nested_of(const struct domain *domain)
{
	return domain->kind == DOMAIN_NESTED && domain->driver == &mock_driver ? domain->extra : NULL;
}

static inline bool domain_is_mock_paging(const struct domain *domain)
{
	return domain->kind == DOMAIN_PAGING && domain->driver == &mock_driver;
}

#endif
