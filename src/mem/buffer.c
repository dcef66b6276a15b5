/* SPDX-License-Identifier: MIT */
#include "mem/buffer.h"

#include <unistd.h>

static struct shared_buffer *buffer_from(struct file *file)
{
	return container_of(file, struct shared_buffer, file);
}

static void put(struct shared_buffer *buffer)
{
	assert(buffer->users > 0);
	if (--buffer->users)
		return;
	assert(list_empty(&buffer->importers));
	buffer->ops->free(buffer);
}

static long buffer_ioctl(struct file *file, struct client *client, unsigned int cmd, u64 arg, struct why *why)
{
	return refuse(why, IOCTL_UNKNOWN, "a dma-buf of %s has no request %#x", buffer_from(file)->ops->exporter, cmd);
}

static void release(struct file *file)
{
	close_descriptor(&file->memfd);
	file->memfd = -1;
	put(buffer_from(file));
}

/* No exporter here shows its memory to processors. Linux: drivers/dma-buf/dma-buf.c:dma_buf_mmap_internal() */
static int buffer_mmap(struct file *file, u64 offset, u64 size, int prot, int flags, struct why *why)
{
	return refuse(why, BUFFER_UNMAPPABLE, "a dma-buf of %s is for devices, not for mmap(2)",
		      buffer_from(file)->ops->exporter);
}

static const struct file_ops buffer_file_ops = {
	.kind = "dma-buf",
	.ioctl = buffer_ioctl,
	.mmap = buffer_mmap,
	.release = release,
};

void buffer_init(struct shared_buffer *buffer, const struct buffer_ops *ops, u8 *memory, u64 size)
{
	*buffer = (struct shared_buffer){.ops = ops, .memory = memory, .size = size, .users = 1};
	file_init(&buffer->file, &buffer_file_ops, "/dmabuf:", 0600, 0);
	list_init(&buffer->importers);
}

struct shared_buffer *buffer_of_file(struct file *file)
{
	return file && file->ops == &buffer_file_ops ? buffer_from(file) : NULL;
}

int buffer_import(struct shared_buffer *buffer, struct buffer_importer *importer, struct why *why)
{
	if (!buffer->importable)
		return refuse(why, BUFFER_KIND, "the dma-buf of %s cannot be taken back from an IOMMU",
			      buffer->ops->exporter);
	if (buffer->revoked)
		return refuse(why, BUFFER_REVOKED, "%s has taken back the memory of its dma-buf",
			      buffer->ops->exporter);
	buffer->users++;
	importer->buffer = buffer;
	list_append(&buffer->importers, &importer->link);
	return 0;
}

void buffer_let_go(struct buffer_importer *importer)
{
	struct shared_buffer *buffer = importer->buffer;

	if (!buffer)
		return;
	importer->buffer = NULL;
	list_remove(&importer->link);
	put(buffer);
}

void buffer_revoke(struct shared_buffer *buffer, bool revoked)
{
	struct buffer_importer *importer;

	buffer->revoked = revoked;
	if (revoked)
		list_for_each(importer, &buffer->importers, link)
			importer->revoked(importer);
}
