/* SPDX-License-Identifier: MIT */
/*
 * The data path. A request is a vector of segments; each is translated leaf by leaf into pieces (a run of a client's
 * memory), then the pieces move with as few system calls as possible. Nothing moves before everything is translated.
 * No allocation here: pieces are gathered in batches on the stack, and a vector that needs more than one batch is
 * translated once without moving first.
 *
 * All under iommu->dma for reading, so that an unmap, which writes, returns only when no transfer sees its pages.
 */
#include "iommu/dma.h"

#include <stdlib.h>
#include <sys/uio.h>

#include "base/alloc.h"
#include "iommu/port.h"
#include "mem/shared.h"

enum { TLB_ENTRIES = 256, BATCH = 128 };

struct tlb_entry {
	u64 start, last;       /* IOVAs of the leaf; start > last: empty */
	struct extent *extent; /* borrowed; valid while generation is the domain's */
	u64 physical;	       /* of start */
	u64 generation;
	unsigned permission;
};

struct dma_port {
	struct iommu *iommu;		     /* borrowed */
	const struct pci_function *function; /* borrowed */
	struct domain *domain;		     /* borrowed; under iommu->dma */
	_Atomic u64 bytes_read, bytes_written, iotlb_hits, walks, faults;
	struct tlb_entry tlb[TLB_ENTRIES];
};

/* A run of memory of one client and its counterpart in the device. */
struct piece {
	struct extent *extent;
	u64 iova;
	u64 offset; /* in the extent */
	u8 *local;
	size_t size;
};

struct batch {
	struct piece piece[BATCH];
	unsigned count;
};

/* Where gathering goes on: segment index and bytes of it done. */
struct cursor {
	unsigned segment;
	size_t done;
};

int dma_port_new(struct iommu *iommu, const struct pci_function *function, struct domain *domain, struct dma_port **ret,
		 struct why *why)
{
	struct dma_port *port = alloc_new(struct dma_port, why);

	if (!port)
		return -why->err;
	port->iommu = iommu;
	port->function = function;
	dma_port_set_domain(port, domain);
	*ret = port;
	return 0;
}

void dma_port_free(struct dma_port *port)
{
	free(port);
}

void dma_port_set_domain(struct dma_port *port, struct domain *domain)
{
	port->domain = domain;
	for (unsigned i = 0; i < TLB_ENTRIES; i++)
		port->tlb[i] = (struct tlb_entry){.start = 1, .last = 0};
}

struct domain *dma_port_domain(const struct dma_port *port)
{
	return port->domain;
}

struct dma_counters dma_port_counters(const struct dma_port *port)
{
	return (struct dma_counters){
		.bytes_read = atomic_load_explicit(&port->bytes_read, memory_order_relaxed),
		.bytes_written = atomic_load_explicit(&port->bytes_written, memory_order_relaxed),
		.iotlb_hits = atomic_load_explicit(&port->iotlb_hits, memory_order_relaxed),
		.walks = atomic_load_explicit(&port->walks, memory_order_relaxed),
		.faults = atomic_load_explicit(&port->faults, memory_order_relaxed),
	};
}

/* One thread at a time counts, any may look. */
static void count(_Atomic u64 *counter, u64 amount)
{
	u64 before = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, before + amount, memory_order_relaxed);
}

static struct tlb_entry *tlb_slot(struct dma_port *port, u64 iova)
{
	return &port->tlb[(iova >> PAGE_SHIFT) % TLB_ENTRIES];
}

/* The walk of the domain's table, remembered in slot. 0, or the reason it failed plus one. */
static int walk(struct dma_port *port, u64 iova, unsigned permission, struct tlb_entry *slot)
{
	static const int reasons[] = {
		[ISOLDE_PT_NOT_PRESENT] = DMA_FAULT_NOT_PRESENT + 1,
		[ISOLDE_PT_PERMISSION] = DMA_FAULT_PERMISSION + 1,
		[ISOLDE_PT_ADDRESS] = DMA_FAULT_ADDRESS + 1,
		[ISOLDE_PT_RESERVED] = DMA_FAULT_TABLE + 1,
		[ISOLDE_PT_ACCESS_FLAG] = DMA_FAULT_PERMISSION + 1,
		[ISOLDE_PT_OUTPUT] = DMA_FAULT_TABLE + 1,
		[ISOLDE_PT_TABLE] = DMA_FAULT_TABLE + 1,
	};
	const struct domain *domain = port->domain;
	struct isolde_pt_walk found;
	enum isolde_pt_fault fault;
	struct extent *extent;

	if (domain->kind == DOMAIN_BLOCKING)
		return DMA_FAULT_BLOCKED + 1;
	if (iova > domain->last_iova)
		return DMA_FAULT_ADDRESS + 1;
	count(&port->walks, 1);
	fault = isolde_pt_walk(domain->pt, iova, permission, &found);
	if (fault != ISOLDE_PT_OK)
		return reasons[fault];
	extent = frames_find(&port->iommu->frames, found.physical);
	if (!extent)
		return DMA_FAULT_TABLE + 1;
	*slot = (struct tlb_entry){
		.start = align_down(iova, found.leaf_size),
		.last = iova | (found.leaf_size - 1),
		.physical = align_down(found.physical, found.leaf_size),
		.extent = extent,
		.generation = domain->generation,
		.permission = found.permission,
	};
	return 0;
}

static int translate(struct dma_port *port, u64 iova, unsigned permission, const struct tlb_entry **ret)
{
	struct tlb_entry *slot = tlb_slot(port, iova);

	*ret = slot;
	if (iova >= slot->start && iova <= slot->last && slot->generation == port->domain->generation &&
	    (slot->permission & permission) == permission) {
		count(&port->iotlb_hits, 1);
		return 0;
	}
	return walk(port, iova, permission, slot);
}

static bool continues(const struct piece *piece, const struct extent *extent, u64 offset)
{
	return piece->extent == extent && piece->offset + piece->size == offset;
}

/*
 * Fills batch from the cursor on. Returns 0, or a fault reason plus one with *ret_iova the address. Contiguous leaves
 * of one segment become one piece; segments are never joined, so that their order is the order of the stores.
 */
static int gather(struct dma_port *port, const struct dma_segment *segments, unsigned nsegments, unsigned permission,
		  struct cursor *cursor, struct batch *batch, u64 *ret_iova)
{
	for (batch->count = 0; cursor->segment < nsegments; cursor->segment++, cursor->done = 0) {
		const struct dma_segment *segment = &segments[cursor->segment];

		while (cursor->done < segment->size) {
			struct piece *last = batch->count ? &batch->piece[batch->count - 1] : NULL;
			u64 iova = segment->iova + cursor->done;
			const struct tlb_entry *entry;
			u64 offset, size;
			int reason;

			*ret_iova = iova;
			if (iova < segment->iova)
				return DMA_FAULT_ADDRESS + 1;
			reason = translate(port, iova, permission, &entry);
			if (reason)
				return reason;
			size = min_u64(segment->size - cursor->done, entry->last - iova + 1);
			offset = entry->physical + (iova - entry->start) - extent_physical(entry->extent);
			if (last && cursor->done && continues(last, entry->extent, offset)) {
				last->size += size;
			} else {
				if (batch->count == BATCH)
					return 0;
				batch->piece[batch->count++] = (struct piece){
					entry->extent, iova, offset, (u8 *)segment->buffer + cursor->done, size};
			}
			cursor->done += size;
		}
	}
	return 0;
}

static u64 piece_address(const struct piece *piece)
{
	return piece->extent->address + piece->offset;
}

static bool move_direct(const struct piece *piece, enum dma_direction direction)
{
	u8 *remote = piece->extent->direct + piece->offset;

	if (!client_memory_lives(piece->extent->client, piece_address(piece)))
		return false;
	return direction == DMA_READ ? shared_copy(piece->local, remote, piece->size)
				     : shared_copy(remote, piece->local, piece->size);
}

/* Moves the pieces of one client's process memory from `from` on in one call; returns how many, 0 for failure. */
static unsigned move_by_process(const struct batch *batch, unsigned from, enum dma_direction direction)
{
	struct client *client = batch->piece[from].extent->client;
	struct iovec local[BATCH], remote[BATCH];
	unsigned n = 0;
	bool moved;

	for (unsigned i = from; i < batch->count; i++, n++) {
		const struct piece *piece = &batch->piece[i];

		if (piece->extent->direct || piece->extent->client != client)
			break;
		local[n] = (struct iovec){piece->local, piece->size};
		remote[n] = (struct iovec){(void *)(uintptr_t)piece_address(piece), piece->size};
	}
	moved = direction == DMA_READ ? client_dma_read(client, local, n, remote, n)
				      : client_dma_write(client, local, n, remote, n);
	return moved ? n : 0;
}

/* A call for several pieces failed: the IOVA of the first page that cannot be read, or else of the first piece. */
static u64 find_lost_page(const struct batch *batch, unsigned from)
{
	for (unsigned i = from; i < batch->count && !batch->piece[i].extent->direct; i++) {
		const struct piece *piece = &batch->piece[i];

		for (u64 at = 0; at < piece->size;
		     at = align_down(piece->iova + at, PAGE_SIZE) + PAGE_SIZE - piece->iova) {
			u8 byte;
			struct iovec local = {&byte, 1};
			struct iovec remote = {(void *)(uintptr_t)(piece_address(piece) + at), 1};

			if (!client_dma_read(piece->extent->client, &local, 1, &remote, 1))
				return piece->iova + at;
		}
	}
	return batch->piece[from].iova;
}

/* Moves the pieces in order; false and the IOVA when the client's memory has gone. */
static bool move(const struct batch *batch, enum dma_direction direction, u64 *ret_iova)
{
	for (unsigned i = 0, n; i < batch->count; i += n) {
		const struct piece *piece = &batch->piece[i];

		n = piece->extent->direct ? move_direct(piece, direction) : move_by_process(batch, i, direction);
		if (n)
			continue;
		*ret_iova = piece->extent->direct ? piece->iova : find_lost_page(batch, i);
		return false;
	}
	return true;
}

/* Translates and moves; a reason plus one and the address when it faults. */
static int transfer(struct dma_port *port, const struct dma_segment *segments, unsigned nsegments,
		    enum dma_direction direction, u64 *ret_iova)
{
	unsigned permission = direction == DMA_READ ? ISOLDE_PT_READ : ISOLDE_PT_WRITE;
	struct cursor cursor = {0, 0};
	struct batch batch;
	int reason = gather(port, segments, nsegments, permission, &cursor, &batch, ret_iova);

	/* More than one batch: the rest is translated too before the first moves, then gathered again. */
	for (struct cursor ahead = cursor; !reason && ahead.segment < nsegments;)
		reason = gather(port, segments, nsegments, permission, &ahead, &batch, ret_iova);
	if (reason)
		return reason;
	if (cursor.segment < nsegments) {
		cursor = (struct cursor){0, 0};
		gather(port, segments, nsegments, permission, &cursor, &batch, ret_iova);
	}
	for (;;) {
		if (!move(&batch, direction, ret_iova))
			return DMA_FAULT_MEMORY + 1;
		if (cursor.segment == nsegments)
			return 0;
		gather(port, segments, nsegments, permission, &cursor, &batch, ret_iova);
	}
}

/* What of the segment that holds iova the device wanted from there on. */
static u64 wanted_from(const struct dma_segment *segments, unsigned nsegments, u64 iova)
{
	for (unsigned i = 0; i < nsegments; i++)
		if (iova - segments[i].iova < segments[i].size)
			return segments[i].size - (iova - segments[i].iova);
	return 0;
}

static enum dma_result run(struct dma_port *port, const struct dma_segment *segments, unsigned nsegments,
			   enum dma_direction direction)
{
	struct dma_fault fault;
	u64 total = 0, iova = 0;
	int reason;

	if (!(pci_command(port->function) & PCI_COMMAND_MASTER))
		return DMA_NOT_MASTER;
	for (unsigned i = 0; i < nsegments; i++)
		total += segments[i].size;
	rwlock_read(&port->iommu->dma);
	reason = transfer(port, segments, nsegments, direction, &iova);
	if (reason) {
		fault = (struct dma_fault){port->function, iova, direction, (enum dma_fault_reason)(reason - 1)};
		dma_fault_describe(&fault, port->domain, wanted_from(segments, nsegments, iova));
	}
	rwlock_unlock(&port->iommu->dma);
	if (reason) {
		count(&port->faults, 1);
		if (port->iommu->fault)
			port->iommu->fault(port->iommu->fault_context, &fault);
		return DMA_FAULT;
	}
	count(direction == DMA_READ ? &port->bytes_read : &port->bytes_written, total);
	return DMA_OK;
}

enum dma_result dma_readv(struct dma_port *port, const struct dma_segment *segments, unsigned nsegments)
{
	return run(port, segments, nsegments, DMA_READ);
}

enum dma_result dma_writev(struct dma_port *port, const struct dma_segment *segments, unsigned nsegments)
{
	return run(port, segments, nsegments, DMA_WRITE);
}

enum dma_result dma_read(struct dma_port *port, u64 iova, void *buffer, size_t size)
{
	return dma_readv(port, &(struct dma_segment){iova, buffer, size}, 1);
}

enum dma_result dma_write(struct dma_port *port, u64 iova, const void *buffer, size_t size)
{
	return dma_writev(port, &(struct dma_segment){iova, (void *)(uintptr_t)buffer, size}, 1);
}
