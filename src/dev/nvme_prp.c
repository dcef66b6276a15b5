/* SPDX-License-Identifier: MIT */
/*
 * A command's data pointer (NVMe 1.4 section 4.3). PRP1 may begin anywhere in a page; what follows are whole pages.
 * A list runs to the last slot of the memory page it begins in, and need not begin at the page's start: QEMU passes
 * lists at an offset. Where more entries are needed than fit, the last slot points to the next list.
 *
 * Every value is the driver's. 0 is an address like any other. A chain is followed for a few hops only, so that
 * lists of one slot each, pointing at one another, do not keep us here.
 */
#include "dev/nvme.h"

enum { PRP_HOPS = 8 };

static void segment_add(struct nvme *nvme, u64 iova, u8 *buffer, u64 size)
{
	struct dma_segment *last = nvme->nsegments ? &nvme->segments[nvme->nsegments - 1] : NULL;

	/* Neighbours in memory are one segment; but the space does not wrap. */
	if (last && last->iova + last->size == iova && iova) {
		last->size += size;
		return;
	}
	assert(nvme->nsegments < NVME_MAX_SEGMENTS);
	nvme->segments[nvme->nsegments++] = (struct dma_segment){.iova = iova, .buffer = buffer, .size = size};
}

/* Reads one list, or as much as is needed of it; *ret_count entries are in nvme->prp_list. */
static u16 list_read(struct nvme *nvme, u64 list, u64 needed, u64 *ret_count)
{
	u64 page = BIT(nvme->page_shift);
	u64 slots = (page - (list & (page - 1))) / sizeof(u64);
	u64 count = min_u64(slots, needed);

	if (!is_aligned(list, sizeof(u64)))
		return NVME_INVALID_PRP_OFFSET;
	if (dma_read(nvme->port, list, nvme->prp_list, count * sizeof(u64)) != DMA_OK)
		return NVME_DATA_TRANSFER_ERROR;
	*ret_count = count;
	return NVME_SUCCESS;
}

/* Takes the first count entries of nvme->prp_list; *buffer and *size move on. */
static u16 list_take(struct nvme *nvme, u64 count, u8 **buffer, u64 *size)
{
	u64 page = BIT(nvme->page_shift);

	for (u64 i = 0; i < count; i++) {
		u64 part = min_u64(page, *size);

		if (!is_aligned(nvme->prp_list[i], page))
			return NVME_INVALID_PRP_OFFSET;
		segment_add(nvme, nvme->prp_list[i], *buffer, part);
		*buffer += part;
		*size -= part;
	}
	return NVME_SUCCESS;
}

static u16 list_decode(struct nvme *nvme, u64 list, u8 *buffer, u64 size)
{
	u64 page = BIT(nvme->page_shift);

	for (unsigned hop = 0; hop < PRP_HOPS; hop++) {
		u64 needed = (size + page - 1) >> nvme->page_shift, count = 0;
		u16 status = list_read(nvme, list, needed, &count);
		bool chained = count < needed;

		if (!status)
			status = list_take(nvme, chained ? count - 1 : count, &buffer, &size);
		if (status || !chained)
			return status;
		list = nvme->prp_list[count - 1];
	}
	return NVME_INVALID_PRP_OFFSET;
}

u16 nvme_prp_decode(struct nvme *nvme, const struct nvme_command *command, void *buffer, u64 size)
{
	u64 page = BIT(nvme->page_shift);
	u64 first = min_u64(size, page - (command->prp1 & (page - 1)));
	u8 *rest = (u8 *)buffer + first;

	assert(size && size <= NVME_MAX_TRANSFER);
	nvme->nsegments = 0;
	if (!is_aligned(command->prp1, sizeof(u32)))
		return NVME_INVALID_PRP_OFFSET;
	segment_add(nvme, command->prp1, buffer, first);
	size -= first;
	if (!size)
		return NVME_SUCCESS;
	if (size > page)
		return list_decode(nvme, command->prp2, rest, size);
	if (!is_aligned(command->prp2, page))
		return NVME_INVALID_PRP_OFFSET;
	segment_add(nvme, command->prp2, rest, size);
	return NVME_SUCCESS;
}

u16 nvme_transfer(struct nvme *nvme, const struct nvme_command *command, void *buffer, u64 size,
		  enum dma_direction direction)
{
	u16 status = nvme_prp_decode(nvme, command, buffer, size);
	enum dma_result result;

	if (status)
		return status;
	result = direction == DMA_READ ? dma_readv(nvme->port, nvme->segments, nvme->nsegments)
				       : dma_writev(nvme->port, nvme->segments, nvme->nsegments);
	return result == DMA_OK ? NVME_SUCCESS : NVME_DATA_TRANSFER_ERROR;
}
