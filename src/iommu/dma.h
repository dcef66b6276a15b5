/* SPDX-License-Identifier: MIT */
/*
 * The bus-master port: what a device may do. A device model knows its PCI function and this; never who drives it.
 *
 * Every transfer is translated page by page through the I/O page table of the domain the function's group is attached
 * to, or through the port's IOTLB, which holds results of such walks until they are invalidated. Any thread; one
 * after the other per port.
 */
#ifndef IOMMU_DMA_H
#define IOMMU_DMA_H

#include "base/bits.h"

struct dma_port;

enum dma_result {
	DMA_OK,
	DMA_NOT_MASTER, /* bus mastering is off: the request never left the device */
	DMA_FAULT,	/* the IOMMU refused it, or the memory behind it is gone; a fault was recorded */
};

enum dma_direction { DMA_READ, DMA_WRITE }; /* as the device sees it: DMA_READ fetches from memory */

enum dma_fault_reason {
	DMA_FAULT_BLOCKED,	/* the group is attached to no domain that maps anything */
	DMA_FAULT_NOT_PRESENT,	/* the IOVA is not mapped */
	DMA_FAULT_PERMISSION,	/* mapped, but not for this direction */
	DMA_FAULT_ADDRESS,	/* the IOVA is beyond the table's width */
	DMA_FAULT_MEMORY,	/* translated, but the program's memory is no longer there */
	DMA_FAULT_TABLE,	/* the table has a reserved bit set */
	DMA_FAULT_REGISTERS,	/* mapped to an interrupt controller's page, which takes messages and no data */
	DMA_FAULT_CONTEXT,	/* the user's table of PASIDs has no valid entry for the request */
	DMA_FAULT_SECOND_STAGE, /* the user's table, or the page it names, lies where the domain below has nothing */
};

struct pci_function;

struct dma_fault {
	const struct pci_function *function;
	u32 pasid;  /* 0: without */
	u64 iova;   /* the first that failed */
	u64 second; /* DMA_FAULT_SECOND_STAGE: the address that was looked for below */
	enum dma_direction direction;
	enum dma_fault_reason reason;
	char text[240]; /* a sentence with all of that and the nearest mapping */
};

struct dma_segment {
	u64 iova;
	void *buffer; /* the device's side */
	size_t size;
};

enum dma_result dma_read(struct dma_port *port, u64 iova, void *buffer, size_t size);
enum dma_result dma_write(struct dma_port *port, u64 iova, const void *buffer, size_t size);

/*
 * Several segments in order, as few system calls as possible; at most 2 GiB - 4 KiB in all. All are translated before
 * the first byte moves; on DMA_FAULT for a translation nothing has moved, unless the tables are a guest's, which
 * changed them meanwhile. Writes become visible in order of the segments: a completion entry whose phase bit is a
 * segment of its own, last, is seen whole or not at all.
 */
enum dma_result dma_readv(struct dma_port *port, const struct dma_segment *segments, unsigned count);
enum dma_result dma_writev(struct dma_port *port, const struct dma_segment *segments, unsigned count);

/* The same with a PASID on each request; 0 is without. One that is attached to nothing faults. */
enum dma_result dma_readv_pasid(struct dma_port *port, u32 pasid, const struct dma_segment *segments, unsigned count);
enum dma_result dma_writev_pasid(struct dma_port *port, u32 pasid, const struct dma_segment *segments, unsigned count);

/* Either direction; *ret_fault is filled with DMA_FAULT. */
enum dma_result dma_request(struct dma_port *port, u32 pasid, const struct dma_segment *segments, unsigned count,
			    enum dma_direction direction, struct dma_fault *ret_fault);

/*
 * From one IOVA to another. As a read into the device's buffer and then a write from it, also where the ranges overlap;
 * but memory that we reach ourselves is moved once, and then the buffer is not used. On DMA_FAULT ret_fault->direction
 * says which of both it was, and a read that faults has written nothing.
 */
enum dma_result dma_copy(struct dma_port *port, u32 pasid, u64 destination, u64 source, void *buffer, size_t size,
			 struct dma_fault *ret_fault);

/* Totals since the port was made, for `inspect` and for tests that prove the walk. */
struct dma_counters {
	u64 bytes_read, bytes_written, iotlb_hits, walks, invalidations, faults;
};
struct dma_counters dma_port_counters(const struct dma_port *port);

#endif
