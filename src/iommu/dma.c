/* SPDX-License-Identifier: MIT */
/*
 * The data path. A request is a vector of segments; each is translated leaf by leaf into pieces (a run of a client's
 * memory), then the pieces move with as few system calls as possible. Nothing moves before everything is translated.
 * No allocation here: pieces are gathered in batches on the stack, and a vector that needs more than one batch is
 * translated once without moving first.
 *
 * All inside the gate of the port, so that an unmap, which stops it, returns only when no transfer sees its pages.
 */
#include "iommu/dma.h"

#include <sys/uio.h>

#include "iommu/port.h"
#include "iommu/stage1.h"
#include "mem/guard.h"

enum { BATCH = 128 };

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

static bool continues(const struct piece *piece, const struct extent *extent, u64 offset)
{
	return piece->extent == extent && piece->offset + piece->size == offset;
}

/*
 * Fills batch from the cursor on. Returns 0, or a fault reason plus one with *ret_iova the address. Contiguous leaves
 * of one segment become one piece; segments are never joined, so that their order is the order of the stores.
 */
static int gather(struct dma_context *context, const struct dma_segment *segments, unsigned nsegments,
		  unsigned permission, struct cursor *cursor, struct batch *batch, u64 *ret_iova)
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
			reason = dma_translate(context, iova, permission, &entry);
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
	struct client *client = piece->extent->client;

	if (client && !client_memory_lives(client, piece_address(piece)))
		return false;
	return direction == DMA_READ ? guard_copy(piece->local, remote, piece->size)
				     : guard_copy(remote, piece->local, piece->size);
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
static int transfer(struct dma_context *context, const struct dma_segment *segments, unsigned nsegments,
		    enum dma_direction direction, u64 *ret_iova)
{
	unsigned permission = direction == DMA_READ ? ISOLDE_PT_READ : ISOLDE_PT_WRITE;
	struct cursor cursor = {0, 0};
	struct batch batch;
	int reason = gather(context, segments, nsegments, permission, &cursor, &batch, ret_iova);

	/* More than one batch: the rest is translated too before the first moves, then gathered again. */
	for (struct cursor ahead = cursor; !reason && ahead.segment < nsegments;)
		reason = gather(context, segments, nsegments, permission, &ahead, &batch, ret_iova);
	if (reason)
		return reason;
	if (cursor.segment < nsegments) {
		cursor = (struct cursor){0, 0};
		gather(context, segments, nsegments, permission, &cursor, &batch, ret_iova);
	}
	for (;;) {
		if (!move(&batch, direction, ret_iova))
			return DMA_FAULT_MEMORY + 1;
		if (cursor.segment == nsegments)
			return 0;
		gather(context, segments, nsegments, permission, &cursor, &batch, ret_iova);
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

static void describe(struct dma_fault *fault, const struct dma_context *context, const struct dma_segment *segments,
		     unsigned nsegments)
{
	struct domain *domain = context ? context->domain : NULL;

	if (context && fault->reason == DMA_FAULT_SECOND_STAGE)
		fault->second = context->port->second;
	dma_fault_describe(fault, domain, wanted_from(segments, nsegments, fault->iova));
	if (domain && domain->fault)
		domain->fault(domain->fault_context, fault);
}

/* A PASID that was never attached is blocked like one whose domain was taken away. */
enum dma_result dma_request(struct dma_port *port, u32 pasid, const struct dma_segment *segments, unsigned nsegments,
			    enum dma_direction direction, struct dma_fault *ret_fault)
{
	struct dma_context *context;
	u64 total = 0, iova = nsegments ? segments[0].iova : 0;
	int reason;

	assert(port->function);
	if (!(pci_command(port->function) & PCI_COMMAND_MASTER))
		return DMA_NOT_MASTER;
	for (unsigned i = 0; i < nsegments; i++)
		total += segments[i].size;
	gate_enter(&port->gate);
	context = dma_port_context(port, pasid);
	if (!context)
		context = stage1_guest(port, pasid);
	reason = context ? transfer(context, segments, nsegments, direction, &iova) : DMA_FAULT_BLOCKED + 1;
	if (reason) {
		*ret_fault = (struct dma_fault){
			.function = port->function,
			.pasid = pasid,
			.iova = iova,
			.direction = direction,
			.reason = (enum dma_fault_reason)(reason - 1),
		};
		describe(ret_fault, context, segments, nsegments);
		dma_count(&port->faults, 1);
	} else {
		dma_count(direction == DMA_READ ? &port->bytes_read : &port->bytes_written, total);
	}
	gate_leave(&port->gate);
	if (reason && port->iommu->fault)
		port->iommu->fault(port->iommu->fault_context, ret_fault);
	return reason ? DMA_FAULT : DMA_OK;
}

enum dma_result dma_readv_pasid(struct dma_port *port, u32 pasid, const struct dma_segment *segments,
				unsigned nsegments)
{
	struct dma_fault fault;

	return dma_request(port, pasid, segments, nsegments, DMA_READ, &fault);
}

enum dma_result dma_writev_pasid(struct dma_port *port, u32 pasid, const struct dma_segment *segments,
				 unsigned nsegments)
{
	struct dma_fault fault;

	return dma_request(port, pasid, segments, nsegments, DMA_WRITE, &fault);
}

enum dma_result dma_readv(struct dma_port *port, const struct dma_segment *segments, unsigned nsegments)
{
	return dma_readv_pasid(port, 0, segments, nsegments);
}

enum dma_result dma_writev(struct dma_port *port, const struct dma_segment *segments, unsigned nsegments)
{
	return dma_writev_pasid(port, 0, segments, nsegments);
}

enum dma_result dma_read(struct dma_port *port, u64 iova, void *buffer, size_t size)
{
	return dma_readv(port, &(struct dma_segment){iova, buffer, size}, 1);
}

enum dma_result dma_write(struct dma_port *port, u64 iova, const void *buffer, size_t size)
{
	return dma_writev(port, &(struct dma_segment){iova, (void *)(uintptr_t)buffer, size}, 1);
}
