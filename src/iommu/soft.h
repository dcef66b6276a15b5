/* SPDX-License-Identifier: MIT */
/*
 * Software memory: what an emulated device has in place of a bus-master port. It has no requester id, so no domain
 * translates for it: whoever drives it looks the addresses up in the address space of whoever has the device (spec 06
 * section 4). As with the port, a device does not know who that is. Control threads only, under machine.lock.
 */
#ifndef IOMMU_SOFT_H
#define IOMMU_SOFT_H

#include "iommu/dma.h"

struct soft_memory;

enum {
	SOFT_WRITE = 1 << 0,
	SOFT_PINNED = 1 << 1, /* the range was pinned: those very pages, whatever the program has there since */
};

/* A refusal has been told to whoever reads journals; the device is only told that there was one. */
struct soft_memory_ops {
	/* Copies between buffer and the addresses; DMA_FAULT: not all of it, perhaps a part. */
	enum dma_result (*move)(struct soft_memory *memory, u64 iova, void *buffer, u64 size, unsigned flags);
	/* Keeps the pages that hold the range, for SOFT_PINNED, until unpin() with the same range. All or nothing. */
	enum dma_result (*pin)(struct soft_memory *memory, u64 iova, u64 size, unsigned flags);
	void (*unpin)(struct soft_memory *memory, u64 iova, u64 size);
};

struct soft_memory {
	const struct soft_memory_ops *ops; /* of whoever drives it; NULL: nobody, and every transfer is DMA_FAULT */
	void *driver;
	/*
	 * The device's: [iova, iova + size) means nothing from now on. It unpins all that intersects it before this
	 * returns. NULL: it never pins, and cannot.
	 */
	void (*unmapped)(void *device, u64 iova, u64 size);
	void *device;
};

static inline enum dma_result soft_move(struct soft_memory *memory, u64 iova, void *buffer, u64 size, unsigned flags)
{
	return memory->ops ? memory->ops->move(memory, iova, buffer, size, flags) : DMA_FAULT;
}

static inline enum dma_result soft_pin(struct soft_memory *memory, u64 iova, u64 size, unsigned flags)
{
	return memory->ops ? memory->ops->pin(memory, iova, size, flags) : DMA_FAULT;
}

/* Something is pinned, so somebody drives it. */
static inline void soft_unpin(struct soft_memory *memory, u64 iova, u64 size)
{
	memory->ops->unpin(memory, iova, size);
}

#endif
