/* SPDX-License-Identifier: MIT */
/*
 * Which pages a device has written: what VFIO's DMA_LOGGING features tell. The device notes it itself, in its port,
 * whatever its PASIDs mean; without a log that is one look at a pointer for each transfer.
 */
#ifndef IOMMU_DMA_LOG_H
#define IOMMU_DMA_LOG_H

#include "base/cleanup.h"
#include "base/why.h"
#include "iommu/dma.h"

enum { DMA_LOG_RANGES = 256 };

struct dma_log_range {
	u64 start, last;
};

struct dma_log;

/*
 * Notes writes in the ranges, which are ascending and do not overlap, count at most DMA_LOG_RANGES. In pages of
 * 2^shift bytes, from 4 KiB to 1 GiB, or of more where the ranges together had too many of them. OUT_OF_MEMORY.
 */
int dma_log_new(const struct dma_log_range *ranges, unsigned count, unsigned shift, struct dma_log **ret,
		struct why *why);
void dma_log_free(struct dma_log *log); /* no port has it; NULL is legal */
DEFINE_FREE(dma_log)

unsigned dma_log_shift(const struct dma_log *log);

/* From now on the port notes into log, which is borrowed; NULL: nowhere. When this returns nobody uses the old one. */
void dma_port_set_log(struct dma_port *port, struct dma_log *log);

/* Inside the port's gate, after the bytes have moved: who reads the page after hearing of it must find them. */
void dma_log_note(struct dma_log *log, const struct dma_segment *segments, unsigned count);

/*
 * Tells of written pages in [start, last], ascending, and forgets those that lie in it whole. Any thread; a transfer
 * that is under way is told of next time.
 */
void dma_log_read(struct dma_log *log, u64 start, u64 last, void (*visit)(void *context, u64 start, u64 last),
		  void *context);

#endif
