/* SPDX-License-Identifier: MIT */
/* A slice of a physical IOMMU given to a VM, and what belongs to it (spec 03 section 11). Drivers embed these first. */
#ifndef IOMMUFD_VIOMMU_H
#define IOMMUFD_VIOMMU_H

#include "iommufd/device.h"
#include "iommufd/driver.h"
#include "iommufd/eventq.h"
#include "iommufd/hwpt.h"

struct viommu {
	struct object object; /* first */
	u32 type;
	struct iommu_unit *unit;	     /* borrowed: the instance it is a slice of */
	const struct iommufd_driver *driver; /* of unit */
	struct hwpt_paging *parent;	     /* used */
	struct list vdevices;		     /* struct vdevice */
	struct list queues;		     /* struct veventq */
};

struct vdevice {
	struct object object;	       /* first */
	struct viommu *viommu;	       /* used */
	struct iommufd_device *device; /* borrowed: it outlives us */
	u64 virt_id;
	struct list_link link; /* viommu->vdevices */
};

struct hw_queue {
	struct object object;  /* first */
	struct viommu *viommu; /* used */
	struct access *access; /* owned, internal: it locks the range in the IOAS */
	bool locked;
	u32 type;
	u64 iova, size; /* of the queue's memory */
};

struct veventq {
	struct eventq eventq;  /* first */
	struct viommu *viommu; /* used */
	u32 type, depth;
	u32 nevents;	       /* in events, at most depth */
	u32 sequence;	       /* of the next event */
	struct list events;    /* struct vevent (veventq.c), owned, in order */
	bool lost;	       /* behind them is the mark */
	u32 lost_sequence;     /* of the last event that was lost */
	struct list_link link; /* viommu->queues */
};

extern const struct object_class viommu_class, vdevice_class, veventq_class, hw_queue_class;

int viommu_find(struct context *context, u32 id, struct viommu **ret, struct why *why);
/* Its device goes: the id never means anything again. NULL is legal. */
void vdevice_bury(struct vdevice *vdevice);

/* ---- for drivers (spec 06 section 5) ---- */

struct vdevice *viommu_find_vdevice(const struct viommu *viommu, u64 virt_id); /* NULL: none */
/* VDEVICE_MISSING (ENOENT): the device has none on this viommu. */
int viommu_virt_id(const struct viommu *viommu, const struct iommu_device *device, u64 *ret, struct why *why);
/* EVENT_EMPTY (EINVAL), EVENT_NO_QUEUE (EOPNOTSUPP), OUT_OF_MEMORY (counted as lost). A full queue: lost, 0. */
int viommu_report_event(struct viommu *viommu, u32 type, const void *data, size_t size, struct why *why);
/* b cannot be destroyed while a exists. DEPEND_SELF (EINVAL): they are the same. */
int hw_queue_depend(struct hw_queue *a, struct hw_queue *b, struct why *why);
void hw_queue_undepend(struct hw_queue *a, struct hw_queue *b);

/* ---- pages of a driver that programs may map (mmap.c) ---- */

struct mmap_region;
/*
 * Publishes `size` bytes of zeroed memory at an offset of its own in the context's file; *ret_memory is our side of it.
 * Every mapping uses owner. OUT_OF_MEMORY, a refusal of the host.
 */
int mmap_region_new(struct object *owner, u64 size, struct mmap_region **ret, u64 *ret_offset, void **ret_memory,
		    struct why *why);
void mmap_region_free(struct mmap_region *region); /* no mapping is left; NULL is legal */

#endif
