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

/* Ours whatever becomes of the client, as pinned pages are. */
static bool move_direct(const struct piece *piece, enum dma_direction direction)
{
	u8 *remote = piece->extent->direct + piece->offset;

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

/* Moves batch by batch, the first of which is there; *ret_moved: some may have moved, whatever comes then. */
static int move_batches(struct dma_context *context, const struct dma_segment *segments, unsigned nsegments,
			enum dma_direction direction, struct cursor *cursor, struct batch *batch, u64 *ret_iova,
			bool *ret_moved)
{
	unsigned permission = direction == DMA_READ ? ISOLDE_PT_READ : ISOLDE_PT_WRITE;

	for (;;) {
		int reason;

		*ret_moved = true;
		if (!move(batch, direction, ret_iova))
			return DMA_FAULT_MEMORY + 1;
		if (cursor->segment == nsegments)
			return 0;
		reason = gather(context, segments, nsegments, permission, cursor, batch, ret_iova);
		if (reason)
			return reason;
	}
}

/*
 * Translates and moves; a reason plus one and the address when it faults. What could be translated at first may be gone
 * when its turn comes: a guest's tables are its own memory, which other processors of it change, and this very device.
 */
static int transfer(struct dma_context *context, const struct dma_segment *segments, unsigned nsegments,
		    enum dma_direction direction, u64 *ret_iova, bool *ret_moved)
{
	unsigned permission = direction == DMA_READ ? ISOLDE_PT_READ : ISOLDE_PT_WRITE;
	struct cursor cursor = {0, 0};
	struct batch batch;
	int reason = gather(context, segments, nsegments, permission, &cursor, &batch, ret_iova);

	/* More than one batch: the rest is translated too before the first moves, then gathered again. */
	for (struct cursor ahead = cursor; !reason && ahead.segment < nsegments;)
		reason = gather(context, segments, nsegments, permission, &ahead, &batch, ret_iova);
	if (!reason && cursor.segment < nsegments) {
		cursor = (struct cursor){0, 0};
		reason = gather(context, segments, nsegments, permission, &cursor, &batch, ret_iova);
	}
	return reason ? reason
		      : move_batches(context, segments, nsegments, direction, &cursor, &batch, ret_iova, ret_moved);
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

static struct dma_context *find_context(struct dma_port *port, u32 pasid)
{
	struct dma_context *context = dma_port_context(port, pasid);

	return context ? context : stage1_guest(port, pasid);
}

/* A PASID that was never attached is blocked like one whose domain was taken away. */
enum dma_result dma_request(struct dma_port *port, u32 pasid, const struct dma_segment *segments, unsigned nsegments,
			    enum dma_direction direction, struct dma_fault *ret_fault)
{
	struct dma_context *context;
	u64 total = 0, iova = nsegments ? segments[0].iova : 0;
	bool moved = false;
	int reason;

	assert(port->function);
	if (!(pci_command(port->function) & PCI_COMMAND_MASTER))
		return DMA_NOT_MASTER;
	for (unsigned i = 0; i < nsegments; i++)
		total += segments[i].size;
	gate_enter(&port->gate);
	context = find_context(port, pasid);
	reason = context ? transfer(context, segments, nsegments, direction, &iova, &moved) : DMA_FAULT_BLOCKED + 1;
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
	/* Of what faulted on the way some may have been written. */
	if (port->log && direction == DMA_WRITE && moved)
		dma_log_note(port->log, segments, nsegments);
	gate_leave(&port->gate);
	if (reason && port->iommu->fault)
		port->iommu->fault(port->iommu->fault_context, ret_fault);
	return reason ? DMA_FAULT : DMA_OK;
}

/* ---- copies ---- */

/* The whole of a range, if one batch can hold it. */
static bool gather_range(struct dma_context *context, const struct dma_segment *range, unsigned permission,
			 struct batch *batch)
{
	struct cursor cursor = {0, 0};
	u64 iova;

	return gather(context, range, 1, permission, &cursor, batch, &iova) == 0 && cursor.segment == 1;
}

/* Where it is in our own address space; NULL: it is elsewhere, or no longer anywhere. */
static u8 *reach(const struct piece *piece)
{
	const struct client *client = piece->extent->client;

	if (piece->extent->direct)
		return piece->extent->direct + piece->offset;
	/* What it executed since has other memory at its addresses. */
	if (!client->own || atomic_load_explicit(&client->gone, memory_order_acquire) ||
	    atomic_load_explicit(&client->execed, memory_order_acquire))
		return NULL;
	return (u8 *)(uintptr_t)piece_address(piece);
}

/* False when that cannot be; some may have moved. */
static bool copy_reachable(const struct batch *destination, const struct batch *source)
{
	size_t written = 0, read = 0; /* of the pieces number d and s */
	unsigned d = 0, s = 0;

	while (d < destination->count && s < source->count) {
		size_t size = min_u64(destination->piece[d].size - written, source->piece[s].size - read);
		u8 *to = reach(&destination->piece[d]), *from = reach(&source->piece[s]);

		if (!to || !from)
			return false;
		to += written;
		from += read;
		if ((to < from + size && from < to + size) || !guard_copy(to, from, size))
			return false;
		written += size;
		read += size;
		if (written == destination->piece[d].size)
			d++, written = 0;
		if (read == source->piece[s].size)
			s++, read = 0;
	}
	return true;
}

/* In one step, where both sides are in our own address space. False: something is in the way, whatever it is. */
static bool copy_directly(struct dma_port *port, u32 pasid, const struct dma_segment *destination,
			  const struct dma_segment *source)
{
	struct dma_context *context;
	struct batch to, from;
	bool found, copied;

	if (destination->iova - source->iova < source->size || source->iova - destination->iova < source->size)
		return false;
	gate_enter(&port->gate);
	context = find_context(port, pasid);
	found = context && gather_range(context, source, ISOLDE_PT_READ, &from) &&
		gather_range(context, destination, ISOLDE_PT_WRITE, &to);
	copied = found && copy_reachable(&to, &from);
	/* Half of it may have been written when something was in the way. */
	if (found && port->log)
		dma_log_note(port->log, destination, 1);
	if (copied) {
		dma_count(&port->bytes_read, source->size);
		dma_count(&port->bytes_written, source->size);
	}
	gate_leave(&port->gate);
	return copied;
}

/* What cannot be done directly is done by the buffer, which finds out what is wrong, if anything is. */
enum dma_result dma_copy(struct dma_port *port, u32 pasid, u64 destination, u64 source, void *buffer, size_t size,
			 struct dma_fault *ret_fault)
{
	const struct dma_segment to = {destination, buffer, size}, from = {source, buffer, size};
	enum dma_result result;

	assert(port->function);
	if (!(pci_command(port->function) & PCI_COMMAND_MASTER))
		return DMA_NOT_MASTER;
	if (copy_directly(port, pasid, &to, &from))
		return DMA_OK;
	result = dma_request(port, pasid, &from, 1, DMA_READ, ret_fault);
	return result == DMA_OK ? dma_request(port, pasid, &to, 1, DMA_WRITE, ret_fault) : result;
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
