/* SPDX-License-Identifier: MIT */
/*
 * DEVICE_FEATURE DMA_BUF: a range of a BAR as a dma-buf, so that another device's DMA reaches these registers (spec 05
 * section 15). It is taken back while the registers are not there: memory off, D3, low power, a reset; and for good
 * when the session ends, though its descriptor may live on.
 */
#include <fcntl.h>

#include "base/alloc.h"
#include "vfio/pci.h"

#define RANGES 65536u /* more than anybody has; Linux's kmalloc() has a limit too */

struct pci_dmabuf {
	struct shared_buffer buffer; /* first */
	struct list_link link;	     /* session->dmabufs, until that ends */
};

static void dmabuf_free(struct shared_buffer *buffer)
{
	struct pci_dmabuf *dmabuf = container_of(buffer, struct pci_dmabuf, buffer);

	list_remove(&dmabuf->link);
	free(dmabuf);
}

static const struct buffer_ops dmabuf_ops = {.exporter = "vfio-pci", .free = dmabuf_free};

void dmabufs_revoke(struct pci_session *session, bool revoked)
{
	struct pci_dmabuf *dmabuf;

	list_for_each(dmabuf, &session->dmabufs, link)
		if (dmabuf->buffer.revoked != revoked)
			buffer_revoke(&dmabuf->buffer, revoked);
}

void dmabufs_drop(struct pci_session *session)
{
	dmabufs_revoke(session, true);
	while (!list_empty(&session->dmabufs)) {
		struct pci_dmabuf *dmabuf = list_first(&session->dmabufs, struct pci_dmabuf, link);

		dmabuf->buffer.memory = NULL;
		list_remove(&dmabuf->link);
	}
}

static int decode_region(const struct pci_session *session, const struct vfio_device_feature_dma_buf *request,
			 struct why *why)
{
	const char *name = session->device->name;
	u32 bar = request->region_index;

	if (!request->nr_ranges || request->flags)
		return refuse(why, DMABUF_ARGUMENT, "a dma-buf of %u ranges with flags %#x of %s", request->nr_ranges,
			      request->flags, name);
	if (bar >= PCI_BARS || !bar_size(session->function, bar))
		return refuse(why, DMABUF_NO_BAR, "%s has no BAR %u", name, bar);
	return 0;
}

static int read_ranges(struct client *client, u64 address, u32 count, struct vfio_region_dma_range **ret,
		       struct why *why)
{
	size_t size = count * sizeof(**ret);
	int err;

	if (count > RANGES)
		return refuse(why, OUT_OF_MEMORY, "a dma-buf of %u ranges; there are at most %u", count, RANGES);
	*ret = alloc_zero(size, why);
	if (!*ret)
		return -why->err;
	err = client_read(client, address, *ret, size, why);
	if (err < 0) {
		free(*ret);
		*ret = NULL;
	}
	return err;
}

static int decode_shape(const struct vfio_region_dma_range *ranges, u32 count, u64 *ret_size, struct why *why)
{
	u64 size = 0;

	for (u32 i = 0; i < count; i++) {
		const struct vfio_region_dma_range *range = &ranges[i];

		if (!range->length || !is_aligned(range->offset | range->length, PAGE_SIZE))
			return refuse(why, DMABUF_RANGE, "range %u of %u: %#llx bytes at %#llx are not whole pages", i,
				      count, (unsigned long long)range->length, (unsigned long long)range->offset);
		/* The highest bit too: Linux keeps it for itself. */
		if (size + range->length < size || (size + range->length) >> 63)
			return refuse(why, DMABUF_RANGE, "the %u ranges have more bytes than there are", count);
		size += range->length;
	}
	*ret_size = size;
	return 0;
}

/* DMA to a precise page would have to be calls of the model. Better none than one that nobody notices. */
static int refuse_precise(const struct pci_session *session, unsigned bar, const struct vfio_region_dma_range *range,
			  struct why *why)
{
	u64 start = ((u64)bar << REGION_SHIFT) + range->offset;
	struct file_run run;

	if (!pci_precise_run(session, start, start + range->length - 1, &run))
		return 0;
	return refuse(why, DMABUF_NOT_MEMORY,
		      "the page at %#llx of BAR %u of %s is no memory: each access to it reaches the device",
		      (unsigned long long)(run.start & (BIT(REGION_SHIFT) - 1)), bar, session->device->name);
}

/* As addresses of the bus, where Linux adds them up. */
static int decode_place(const struct pci_session *session, unsigned bar, const struct vfio_region_dma_range *ranges,
			u32 count, struct why *why)
{
	const struct pci_bar *slot = &session->function->bars[bar];
	int err = 0;

	if (!session->shared[bar])
		return refuse(why, DMABUF_NOT_MEMORY, "BAR %u of %s is no memory", bar, session->device->name);
	for (u32 i = 0; i < count; i++) {
		u64 start = slot->address + ranges[i].offset;

		if (start < slot->address || start + ranges[i].length < start)
			return refuse(why, DMABUF_OVERFLOW, "range %u of BAR %u of %s passes the last address", i, bar,
				      session->device->name);
		if (start + ranges[i].length > slot->address + slot->size)
			return refuse(why, DMABUF_RANGE, "range %u passes the %#llx bytes of BAR %u of %s", i,
				      (unsigned long long)slot->size, bar, session->device->name);
	}
	for (u32 i = 0; err == 0 && i < count; i++)
		err = refuse_precise(session, bar, &ranges[i], why);
	return err;
}

/* The range may be taken back at any time and is one: an IOMMU can import it. */
static long export(struct pci_session *session, struct client *client,
		   const struct vfio_device_feature_dma_buf *request, const struct vfio_region_dma_range *first,
		   u64 size, struct why *why)
{
	struct pci_dmabuf *dmabuf = alloc_new(struct pci_dmabuf, why);
	int fd;

	if (!dmabuf)
		return -why->err;
	buffer_init(&dmabuf->buffer, &dmabuf_ops,
		    (u8 *)kept_memory(session->shared[request->region_index]) + first->offset, size);
	dmabuf->buffer.importable = request->nr_ranges == 1;
	dmabuf->buffer.revoked = session->revoked;
	fd = client->ops->install_file(client, &dmabuf->buffer.file, request->open_flags & O_CLOEXEC, why);
	if (fd < 0) {
		close_descriptor(&dmabuf->buffer.file.memfd);
		free(dmabuf);
		return fd;
	}
	list_append(&session->dmabufs, &dmabuf->link);
	return fd;
}

long dmabuf_get(struct pci_session *session, struct client *client, u64 data, struct why *why)
{
	_memory_ struct vfio_region_dma_range *ranges = NULL;
	struct vfio_device_feature_dma_buf request;
	u64 size = 0;
	int err = client_read(client, data, &request, sizeof(request), why);

	if (err == 0)
		err = decode_region(session, &request, why);
	if (err == 0)
		err = read_ranges(client, data + sizeof(request), request.nr_ranges, &ranges, why);
	if (err == 0)
		err = decode_shape(ranges, request.nr_ranges, &size, why);
	if (err == 0)
		err = decode_place(session, request.region_index, ranges, request.nr_ranges, why);
	return err < 0 ? err : export(session, client, &request, &ranges[0], size, why);
}
