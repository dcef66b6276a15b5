/* SPDX-License-Identifier: MIT */
/*
 * What an IOMMU driver does for iommufd beyond attaching domains: what it tells of its hardware, domains with data of
 * its own, nested ones, invalidation, virtual IOMMUs (spec 03 sections 5.1, 6, 9, 11; 06 section 5). Reached through
 * iommu_driver.user, which the core never looks into. A NULL member: the driver does not do that.
 */
#ifndef IOMMUFD_DRIVER_H
#define IOMMUFD_DRIVER_H

#include "iommu/domain.h"
#include "isolde/abi/iommufd.h"
#include "mem/client.h"

struct hw_queue;
struct hwpt_paging;
struct vdevice;
struct viommu;

/* A driver's structure in the program's memory. */
struct user_data {
	struct client *client;
	u32 type; /* 0: none was given */
	u32 size;
	u64 address;
};

/*
 * Copies it: USER_DATA_TYPE (EINVAL) another type than `type`, USER_DATA_SIZE (EINVAL) less than `min` or more than
 * `size` bytes, CLIENT_FAULT. Zero behind what was given.
 */
int user_data_read(const struct user_data *data, u32 type, size_t min, void *to, size_t size, struct why *why);
/* Copies an answer back, at most as much as was given. */
int user_data_write(const struct user_data *data, const void *from, size_t size, struct why *why);

/* Entries of an invalidation request. The driver counts in `done` what it has fully processed, also when it fails. */
struct user_array {
	struct client *client;
	u32 type, entry_size, count;
	u64 address;
	u32 done;
};

/* Entry `index`; USER_DATA_TYPE, USER_DATA_SIZE, CLIENT_FAULT as above. */
int user_array_read(const struct user_array *array, u32 index, u32 type, size_t min, void *to, size_t size,
		    struct why *why);
/*
 * All entries, of `size` bytes each in `to`, by the rules of requests: what is not given is zero, what is beyond must
 * be (FIELD_UNKNOWN, E2BIG). USER_DATA_TYPE, USER_DATA_SIZE: there are none (EINVAL), CLIENT_FAULT.
 */
int user_array_read_all(const struct user_array *array, u32 type, void *to, size_t size, struct why *why);

struct iommufd_driver {
	/* Can its MSI messages reach nobody else's interrupts (IRQ remapping, an ITS)? NULL: always. */
	bool (*msi_isolated)(const struct iommu_device *device);
	/* Can the device keep translations (ATS)? NULL: if it has the capability. */
	bool (*ats_capable)(const struct iommu_device *device);

	/*
	 * *type is what was asked for (0: whatever there is) and becomes what it is; fills at most `size` bytes of
	 * data, answers its full length. HW_INFO_TYPE (EOPNOTSUPP).
	 */
	int (*hw_info)(struct iommu_device *device, u32 *type, void *data, size_t size, struct why *why);
	/* Of one device; NULL: as its unit says (iommu_unit_capable()). */
	bool (*dirty_capable)(const struct iommu_device *device);
	bool (*coherency_enforceable)(const struct iommu_device *device);

	/* A paging domain in space; flags: IOMMU_HWPT_ALLOC_*. Refuses flags and data it cannot take (EOPNOTSUPP). */
	int (*alloc_paging)(struct iommu_device *device, struct space *space, u32 flags, const struct user_data *data,
			    struct domain **ret, struct why *why);
	int (*alloc_nested)(struct iommu_device *device, struct domain *parent, u32 flags, const struct user_data *data,
			    struct domain **ret, struct why *why);
	/* A new domain, before anything is mapped, shall enforce coherency; false: it cannot. NULL: they all do. */
	bool (*enforce_coherency)(struct domain *domain);
	int (*invalidate)(struct domain *nested, struct user_array *array, struct why *why);

	/* Bytes of the driver's viommu of that type (struct viommu first); 0: it has none. */
	size_t (*viommu_size)(struct iommu_device *device, u32 type);
	int (*viommu_init)(struct viommu *viommu, struct domain *parent, const struct user_data *data, struct why *why);
	void (*viommu_destroy)(struct viommu *viommu);
	int (*viommu_alloc_nested)(struct viommu *viommu, u32 flags, const struct user_data *data, struct domain **ret,
				   struct why *why);
	int (*viommu_invalidate)(struct viommu *viommu, struct user_array *array, struct why *why);
	size_t (*vdevice_size)(struct viommu *viommu); /* NULL: sizeof(struct vdevice) */
	int (*vdevice_init)(struct vdevice *vdevice, struct why *why);
	void (*vdevice_destroy)(struct vdevice *vdevice);
	/* Bytes of the driver's hw_queue of that type; 0: it has none. */
	size_t (*hw_queue_size)(struct viommu *viommu, u32 type);
	int (*hw_queue_init)(struct hw_queue *queue, u32 index, u64 physical, struct why *why);
	void (*hw_queue_destroy)(struct hw_queue *queue);
	bool mock; /* Linux's selftest: binds without isolated MSI, does not keep the context */
};

/* What a unit's driver does for iommufd; one that says nothing makes plain paging domains. */
const struct iommufd_driver *iommufd_driver_of(const struct iommu_driver *driver);
bool iommufd_dirty_capable(const struct iommu_device *device);
bool iommufd_coherency_enforceable(const struct iommu_device *device);

#endif
