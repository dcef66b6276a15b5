/* SPDX-License-Identifier: MIT */
/*
 * An access as a file of the program's: what an emulated device would do with an IOAS, by request. Its descriptor is
 * its name, in whatever context; the last one destroys it. What it has pinned is a list of items, which unmap shortens.
 */
#include "iommufd/access.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/os.h"
#include "iommufd/ioas.h"
#include "selftest/mock.h"
#include "selftest/ops.h"

/* Linux would warn of larger allocations. */
#define LENGTH_MAX BIT(24)

/* One range that is pinned. */
struct item {
	u64 iova, length;
	u32 id;
	struct list_link link; /* test_access->items */
};

struct test_access {
	struct file file;      /* first */
	struct access *access; /* owned */
	bool pins;
	struct list items; /* struct item, owned */
	u32 next_id;
};

static struct test_access *test_access_of(struct file *file)
{
	return container_of(file, struct test_access, file);
}

static void item_free(struct test_access *self, struct item *item)
{
	access_unpin(self->access, item->iova, item->length);
	list_remove(&item->link);
	free(item);
}

/* Also by what unmaps, for the whole area. */
static void let_go(void *data, u64 iova, u64 size)
{
	struct test_access *self = data;
	struct item *item, *following;

	list_for_each_safe(item, following, &self->items, link)
		if (ranges_overlap(iova, iova + size - 1, item->iova, item->iova + item->length - 1))
			item_free(self, item);
}

static const struct access_ops pinning_ops = {.needs_pin_pages = true, .unmap = let_go};
static const struct access_ops plain_ops = {.unmap = let_go};

/* ---- the file ---- */

static void access_file_release(struct file *file)
{
	struct test_access *self = test_access_of(file);

	let_go(self, 0, UINT64_MAX);
	access_destroy(self->access);
	os_close(file->memfd);
	free(self);
}

static long access_file_ioctl(struct file *file, struct client *client, unsigned int cmd, u64 arg, struct why *why)
{
	return refuse(why, IOCTL_UNKNOWN, "an access has no requests: ask the context, with this descriptor in id");
}

static const struct file_ops access_file_ops = {
	.kind = "test access",
	.ioctl = access_file_ioctl,
	.release = access_file_release,
};

#define MODE_READ_WRITE 0600

static int access_file_new(struct request *request, struct iommu_test_cmd *command, struct test_access **ret,
			   struct why *why)
{
	struct test_access *self = alloc_new(struct test_access, why);
	int err;

	if (!self)
		return -why->err;
	file_init(&self->file, &access_file_ops, "anon_inode:[iommufd_test_staccess]", MODE_READ_WRITE, 0);
	list_init(&self->items);
	self->pins = command->create_access.flags & MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES;
	err = access_create(request->context, self->pins ? &pinning_ops : &plain_ops, self, &self->access, why);
	if (err == 0)
		err = access_attach(self->access, command->id, why);
	if (err < 0) {
		access_file_release(&self->file);
		return err;
	}
	*ret = self;
	return 0;
}

/* Linux: drivers/iommu/iommufd/selftest.c:iommufd_test_create_access() */
long test_create_access(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
			struct why *why)
{
	struct test_access *self;
	int fd, err = refuse_unknown_flags(request, command->create_access.flags,
					   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES, why);

	if (err == 0)
		err = access_file_new(request, command, &self, why);
	if (err < 0)
		return err;
	/* A program that cannot be answered gets no descriptor. */
	err = request_answer(request, why);
	fd = err < 0 ? err : request->client->ops->install_file(request->client, &self->file, true, why);
	if (fd < 0) {
		access_file_release(&self->file);
		return fd;
	}
	command->create_access.out_access_fd = (u32)fd;
	return request_answer(request, why);
}

/* Whatever is wrong with a descriptor, Linux calls it by one name. */
static int find_access(struct request *request, u32 fd, struct test_access **ret, struct why *why)
{
	struct why ignored;
	struct file *file = NULL;

	if (request->client->ops->find_file(request->client, (int)fd, &file, &ignored) < 0 || !file ||
	    file->ops != &access_file_ops)
		return refuse(why, TEST_ACCESS_FD, "descriptor %d is no access", (int)fd);
	*ret = test_access_of(file);
	return 0;
}

long test_access_replace_ioas(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
			      struct why *why)
{
	struct test_access *self;
	int err = find_access(request, command->id, &self, why);

	return err < 0 ? err : access_replace(self->access, command->access_replace_ioas.ioas_id, why);
}

static int refuse_length(u64 length, struct why *why)
{
	if (length <= LENGTH_MAX)
		return 0;
	return refuse(why, TEST_LENGTH, "0x%llx bytes at once, at most 0x%llx", (unsigned long long)length,
		      (unsigned long long)LENGTH_MAX);
}

u64 test_iova(const struct ioas *ioas, u64 numbers)
{
	const struct itree_node *node;
	u32 nth = (u32)numbers;

	if (!ioas)
		return 0;
	itree_for_each(node, &ioas->space.areas, 0, UINT64_MAX)
		if (nth-- == 0)
			return node->start + (numbers >> 32);
	return 0;
}

static u64 iova_of(const struct test_access *self, u64 iova, u32 flags)
{
	return flags & MOCK_FLAGS_ACCESS_SYZ ? test_iova(access_ioas(self->access), iova) : iova;
}

/* ---- pinning ---- */

/* Are those the pages under address? 0: nobody wants to know. */
static int compare_pages(struct client *client, u64 address, const struct page_identity *pages, u64 npages,
			 struct why *why)
{
	for (u64 i = 0; i < npages; i++, address += PAGE_SIZE) {
		struct page_identity expected;
		int err = client_page_identity(client, address, &expected, why);

		if (err < 0)
			return err;
		if (!page_identity_equal(&expected, &pages[i]))
			return refuse(why, TEST_OTHER_PAGE, "page %llu that was pinned is not the one at 0x%llx",
				      (unsigned long long)i, (unsigned long long)address);
	}
	return 0;
}

static int add_item(struct test_access *self, struct request *request, struct iommu_test_cmd *command, u64 iova,
		    struct why *why)
{
	struct item *item = alloc_new(struct item, why);
	int err;

	if (!item)
		return -why->err;
	*item = (struct item){.iova = iova, .length = command->access_pages.length, .id = self->next_id};
	command->access_pages.out_access_pages_id = item->id;
	err = request_answer(request, why);
	if (err < 0) {
		free(item);
		return err;
	}
	self->next_id++;
	list_append(&self->items, &item->link);
	return 0;
}

static int pin(struct test_access *self, struct request *request, struct iommu_test_cmd *command,
	       struct page_identity *pages, u64 iova, u64 npages, struct why *why)
{
	u64 length = command->access_pages.length, address = command->access_pages.uptr;
	unsigned flags = command->access_pages.flags & MOCK_FLAGS_ACCESS_WRITE ? ACCESS_WRITE : ACCESS_READ;
	int err = access_pin(self->access, iova, length, flags, pages, why);

	if (err < 0)
		return err;
	if (address)
		err = compare_pages(request->client, address - (iova & ~PAGE_MASK), pages, npages, why);
	if (err == 0)
		err = add_item(self, request, command, iova, why);
	if (err < 0)
		access_unpin(self->access, iova, length);
	return err;
}

/* Linux: drivers/iommu/iommufd/selftest.c:iommufd_test_access_pages() */
long test_access_pages(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
		       struct why *why)
{
	struct page_identity *pages;
	struct test_access *self;
	u64 iova, npages;
	int err = refuse_length(command->access_pages.length, why);

	if (err == 0)
		err = refuse_unknown_flags(request, command->access_pages.flags,
					   MOCK_FLAGS_ACCESS_WRITE | MOCK_FLAGS_ACCESS_SYZ, why);
	if (err == 0)
		err = find_access(request, command->id, &self, why);
	if (err == 0 && !self->pins)
		err = refuse(why, TEST_ACCESS_PLAIN, "descriptor %u is an access that was made without NEEDS_PIN_PAGES",
			     command->id);
	if (err < 0)
		return err;
	iova = iova_of(self, command->access_pages.iova, command->access_pages.flags);
	npages = (align_up(iova + command->access_pages.length, PAGE_SIZE) - align_down(iova, PAGE_SIZE)) / PAGE_SIZE;
	pages = alloc_array(npages + 1, sizeof(*pages), why);
	if (!pages)
		return -why->err;
	err = pin(self, request, command, pages, iova, npages, why);
	free(pages);
	return err;
}

long test_destroy_access_pages(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
			       struct why *why)
{
	u32 id = command->destroy_access_pages.access_pages_id;
	struct test_access *self;
	struct item *item;
	int err = find_access(request, command->id, &self, why);

	if (err < 0)
		return err;
	list_for_each(item, &self->items, link) {
		if (item->id != id)
			continue;
		item_free(self, item);
		return 0;
	}
	return refuse(why, TEST_ITEM_MISSING, "the access of descriptor %u has no pages with id %u", command->id, id);
}

/* ---- reading and writing ---- */

static int move(struct test_access *self, struct request *request, const struct iommu_test_cmd *command, void *buffer,
		struct why *why)
{
	u32 flags = command->access_rw.flags;
	u64 address = command->access_rw.uptr, length = command->access_rw.length;
	bool write = flags & MOCK_ACCESS_RW_WRITE;
	u64 iova = iova_of(self, command->access_rw.iova, flags);
	int err = write ? client_read(request->client, address, buffer, length, why) : 0;

	if (err == 0)
		err = access_rw(self->access, request->client, iova, buffer, length,
				(write ? ACCESS_WRITE : ACCESS_READ) |
					(flags & MOCK_ACCESS_RW_SLOW_PATH ? ACCESS_SLOW : 0),
				why);
	return err < 0 || write ? err : client_write(request->client, address, buffer, length, why);
}

/* Linux: drivers/iommu/iommufd/selftest.c:iommufd_test_access_rw() */
long test_access_rw(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command, struct why *why)
{
	struct test_access *self;
	void *buffer;
	int err = refuse_length(command->access_rw.length, why);

	if (err == 0)
		err = refuse_unknown_flags(request, command->access_rw.flags,
					   MOCK_ACCESS_RW_WRITE | MOCK_ACCESS_RW_SLOW_PATH | MOCK_FLAGS_ACCESS_SYZ,
					   why);
	if (err == 0)
		err = find_access(request, command->id, &self, why);
	if (err < 0)
		return err;
	buffer = alloc_zero(max_u64(command->access_rw.length, 1), why);
	if (!buffer)
		return -why->err;
	err = move(self, request, command, buffer, why);
	free(buffer);
	return err;
}
