/* SPDX-License-Identifier: MIT */
/* A dma-buf of ordinary memory, which its exporter takes away and gives back by request. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "mem/buffer.h"
#include "selftest/ops.h"

#define BUFFER_SIZE_MAX (512 * PAGE_SIZE)

static void test_buffer_free(struct shared_buffer *buffer)
{
	free(buffer->memory);
	free(buffer);
}

static const struct buffer_ops test_buffer_ops = {.exporter = "iommufd's selftest", .free = test_buffer_free};

static int test_buffer_new(u64 size, struct shared_buffer **ret, struct why *why)
{
	struct shared_buffer *buffer = alloc_new(struct shared_buffer, why);
	u8 *memory;

	if (!buffer)
		return -why->err;
	memory = fallible() ? aligned_alloc(PAGE_SIZE, size) : NULL;
	if (!memory) {
		free(buffer);
		return refuse(why, OUT_OF_MEMORY, "no memory for a dma-buf of 0x%llx bytes", (unsigned long long)size);
	}
	memset(memory, 0, size);
	buffer_init(buffer, &test_buffer_ops, memory, size);
	buffer->importable = true;
	*ret = buffer;
	return 0;
}

/* Linux: drivers/iommu/iommufd/selftest.c:iommufd_test_dmabuf_get() */
long test_dmabuf_get(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
		     struct why *why)
{
	u64 size = align_up(command->dmabuf_get.length, PAGE_SIZE);
	struct client *client = request->client;
	struct shared_buffer *buffer;
	int err;

	if (!size || size > BUFFER_SIZE_MAX)
		return refuse(why, TEST_BUFFER_SIZE, "a buffer of 0x%x bytes, at most 0x%llx can be had",
			      command->dmabuf_get.length, (unsigned long long)BUFFER_SIZE_MAX);
	err = test_buffer_new(size, &buffer, why);
	if (err < 0)
		return err;
	err = client->ops->install_file(client, &buffer->file, command->dmabuf_get.open_flags & O_CLOEXEC, why);
	if (err < 0) {
		close_descriptor(&buffer->file.memfd);
		test_buffer_free(buffer);
	}
	return err;
}

/* Linux: drivers/iommu/iommufd/selftest.c:iommufd_test_dmabuf_revoke() */
long test_dmabuf_revoke(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
			struct why *why)
{
	struct client *client = request->client;
	int fd = command->dmabuf_revoke.dmabuf_fd;
	struct shared_buffer *buffer;
	struct file *file = NULL;
	int err = client->ops->find_file(client, fd, &file, why);

	if (err < 0)
		return err;
	buffer = file ? buffer_of_file(file) : NULL;
	if (!buffer)
		return refuse(why, TEST_NO_BUFFER, "descriptor %d is no dma-buf", fd);
	if (buffer->ops != &test_buffer_ops)
		return refuse(why, TEST_OTHER_BUFFER, "the dma-buf of descriptor %d is of %s", fd,
			      buffer->ops->exporter);
	buffer_revoke(buffer, command->dmabuf_revoke.revoked);
	return 0;
}
