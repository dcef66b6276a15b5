/* SPDX-License-Identifier: MIT */
/* The requests that map, copy and unmap (spec 03 sections 3.5, 3.7, 3.8). */
#include <stdlib.h>

#include "base/alloc.h"
#include "iommufd/ioas_area.h"
#include "iommufd/ioctl.h"
#include "iommufd/iommufd.h"

#define MAP_FLAGS ((u32)(IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE))

static unsigned permission_of(u32 flags)
{
	return (flags & IOMMU_IOAS_MAP_READABLE ? ISOLDE_PT_READ : 0) |
	       (flags & IOMMU_IOAS_MAP_WRITEABLE ? ISOLDE_PT_WRITE : 0);
}

/* Steps 1 to 3; the numbers are IOVAs and the length. */
static int decode_flags(const struct request *request, u32 flags, u64 iova, u64 other_iova, u64 length, struct why *why)
{
	int err = refuse_unknown_flags(request, flags, MAP_FLAGS, why);

	if (err < 0)
		return err;
	if (iova == UINT64_MAX || other_iova == UINT64_MAX || length == UINT64_MAX)
		return refuse(why, RANGE_OVERFLOWS, "%s: an iova or the length is 2^64 - 1", request->name);
	if (!permission_of(flags))
		return refuse(why, IOAS_MAP_FLAGS, "%s: flags 0x%x are neither WRITEABLE nor READABLE", request->name,
			      flags);
	return 0;
}

static struct pages_maker maker_of(const struct ioas *ioas, struct client *client, unsigned permission)
{
	return (struct pages_maker){
		.iommufd = ioas_iommufd(ioas),
		.client = client,
		.charge_mode = ioas->object.context->charge_mode,
		.writable = permission & ISOLDE_PT_WRITE,
	};
}

/* The bytes [offset, offset + size) of the pages, whose reference is given up. */
static int map_pages(struct ioas *ioas, struct pages *pages, u64 offset, u64 size, unsigned permission, bool fixed,
		     u64 *iova, struct why *why)
{
	struct slice slice = {.pages = pages, .offset = offset, .size = size};
	int err = ioas_map_slices(ioas, &slice, 1, permission, fixed, iova, why);

	pages_put(ioas_iommufd(ioas), pages);
	return err;
}

/* ---- MAP ---- */

int ioas_map_user(struct ioas *ioas, struct client *client, u64 address, u64 size, unsigned permission, bool fixed,
		  u64 *iova, struct why *why)
{
	struct pages_maker maker = maker_of(ioas, client, permission);
	struct pages *pages;
	u64 beyond;
	int err;

	/* drivers/iommu/iommufd/pages.c:iopt_alloc_user_pages(): 2^64 itself is too far. */
	if (__builtin_add_overflow(address, size, &beyond))
		return refuse(why, RANGE_OVERFLOWS, "0x%llx bytes from address 0x%llx reach 2^64",
			      (unsigned long long)size, (unsigned long long)address);
	err = pages_new_user(&maker, address, size, &pages, why);
	if (err < 0)
		return err;
	return map_pages(ioas, pages, address & ~PAGE_MASK, size, permission, fixed, iova, why);
}

long ioctl_ioas_map(struct request *request, struct why *why)
{
	struct iommu_ioas_map *map = &request->command->ioctl_ioas_map_command;
	u64 iova = map->iova;
	struct ioas *ioas;
	int err = refuse_unknown_flags(request, map->flags, MAP_FLAGS, why);

	if (err == 0)
		err = refuse_reserved_field(request, map->__reserved, why);
	if (err == 0)
		err = decode_flags(request, map->flags, iova, 0, map->length, why);
	if (err == 0)
		err = ioas_find(request->context, map->ioas_id, &ioas, why);
	if (err == 0)
		err = ioas_map_user(ioas, request->client, map->user_va, map->length, permission_of(map->flags),
				    map->flags & IOMMU_IOAS_MAP_FIXED_IOVA, &iova, why);
	if (err < 0)
		return err;
	map->iova = iova;
	return request_answer(request, why);
}

/* ---- MAP_FILE ---- */

/* The client's descriptor as a file that pages may come from; *ret NULL: it is the machine's, which is no memory. */
static int open_file(struct iommufd *iommufd, struct client *client, int fd, bool ours, struct memory_file **ret,
		     struct why *why)
{
	*ret = NULL;
	if (ours)
		return 0;
	fd = client->ops->get_descriptor(client, fd, why);
	return fd < 0 ? fd : memory_file_get(&iommufd->files, fd, ret, why);
}

static int new_file_pages(const struct pages_maker *maker, int fd, u64 start, u64 size, struct pages **ret,
			  struct why *why)
{
	struct client *client = maker->client;
	struct shared_buffer *buffer;
	struct memory_file *memory;
	struct file *file;
	int err = client->ops->find_file(client, fd, &file, why);

	if (err < 0)
		return err;
	buffer = buffer_of_file(file);
	if (buffer)
		return pages_new_buffer(maker, buffer, start, size, ioas_buffer_revoked, ret, why);
	err = open_file(maker->iommufd, client, fd, file != NULL, &memory, why);
	return err < 0 ? err : pages_new_file(maker, memory, start, size, ret, why);
}

static int map_file(struct request *request, struct ioas *ioas, const struct iommu_ioas_map_file *map, u64 *iova,
		    struct why *why)
{
	unsigned permission = permission_of(map->flags);
	struct pages_maker maker = maker_of(ioas, request->client, permission);
	struct pages *pages;
	int err;

	if (!map->length)
		return refuse(why, IOAS_RANGE_EMPTY, "no bytes of the file that is descriptor %d", map->fd);
	if (range_overflows(map->start, map->length))
		return refuse(why, RANGE_OVERFLOWS, "0x%llx bytes from 0x%llx of the file pass 2^64",
			      (unsigned long long)map->length, (unsigned long long)map->start);
	err = new_file_pages(&maker, map->fd, map->start, map->length, &pages, why);
	if (err < 0)
		return err;
	return map_pages(ioas, pages, map->start & ~PAGE_MASK, map->length, permission,
			 map->flags & IOMMU_IOAS_MAP_FIXED_IOVA, iova, why);
}

long ioctl_ioas_map_file(struct request *request, struct why *why)
{
	struct iommu_ioas_map_file *map = &request->command->ioctl_ioas_map_file_command;
	u64 iova = map->iova;
	struct ioas *ioas;
	int err = decode_flags(request, map->flags, iova, 0, map->length, why);

	if (err == 0)
		err = ioas_find(request->context, map->ioas_id, &ioas, why);
	if (err == 0)
		err = map_file(request, ioas, map, &iova, why);
	if (err < 0)
		return err;
	map->iova = iova;
	return request_answer(request, why);
}

/* ---- COPY ---- */

struct slices {
	struct slice *at; /* owned */
	size_t count, room;
};

/* What the gapless run of areas that holds [iova, iova + size) shows there. */
static int gather_slices(const struct ioas *ioas, u64 iova, u64 size, struct slices *ret, struct why *why)
{
	char name[OBJECT_TEXT];

	if (!size)
		return refuse(why, IOAS_RANGE_EMPTY, "no bytes are to be copied from iova 0x%llx of %s",
			      (unsigned long long)iova, ioas_name(ioas, name));
	if (range_overflows(iova, size))
		return refuse(why, RANGE_OVERFLOWS, "0x%llx bytes from iova 0x%llx pass 2^64", (unsigned long long)size,
			      (unsigned long long)iova);
	for (u64 done = 0; done < size; done += ret->at[ret->count++].size) {
		const struct ioas_area *area = ioas_area_at(ioas, iova + done);
		u64 offset;
		int err;

		if (!area)
			return refuse(why, AREA_MISSING, "nothing is mapped at 0x%llx of %s, in [0x%llx, 0x%llx]",
				      (unsigned long long)(iova + done), ioas_name(ioas, name),
				      (unsigned long long)iova, (unsigned long long)(iova + size - 1));
		err = alloc_grow((void **)&ret->at, &ret->room, ret->count, sizeof(ret->at[0]), why);
		if (err < 0)
			return err;
		offset = iova + done - area->area.node.start;
		ret->at[ret->count] = (struct slice){
			.pages = area_pages(area),
			.offset = area->area.offset + offset,
			.size = min_u64(size - done, area_size(&area->area) - offset),
		};
	}
	return 0;
}

static int copy(struct request *request, const struct iommu_ioas_copy *copy, u64 *iova, struct why *why)
{
	struct slices slices = {.at = NULL};
	struct ioas *from, *to;
	int err = ioas_find(request->context, copy->src_ioas_id, &from, why);

	if (err == 0)
		err = gather_slices(from, copy->src_iova, copy->length, &slices, why);
	if (err == 0)
		err = ioas_find(request->context, copy->dst_ioas_id, &to, why);
	if (err == 0)
		err = ioas_map_slices(to, slices.at, slices.count, permission_of(copy->flags),
				      copy->flags & IOMMU_IOAS_MAP_FIXED_IOVA, iova, why);
	free(slices.at);
	return err;
}

#define COPY_TEST_IOVA BIT(16)

/* Linux: drivers/iommu/iommufd/selftest.c:iommufd_test_syz_conv_iova_id() */
static void convert_test_iova(struct request *request, struct iommu_ioas_copy *command)
{
	const struct iommufd *iommufd = request->context->iommufd;
	struct why ignored;
	struct ioas *ioas;

	if (!iommufd->test_iova || !(command->flags & COPY_TEST_IOVA))
		return;
	command->flags &= ~(u32)COPY_TEST_IOVA;
	if (ioas_find(request->context, command->src_ioas_id, &ioas, &ignored) == 0)
		command->src_iova = iommufd->test_iova(ioas, command->src_iova);
}

long ioctl_ioas_copy(struct request *request, struct why *why)
{
	struct iommu_ioas_copy *command = &request->command->ioctl_ioas_copy_command;
	u64 iova = command->dst_iova;
	int err;

	convert_test_iova(request, command);
	err = decode_flags(request, command->flags, iova, command->src_iova, command->length, why);

	if (err == 0)
		err = copy(request, command, &iova, why);
	if (err < 0)
		return err;
	command->dst_iova = iova;
	return request_answer(request, why);
}

/* ---- UNMAP ---- */

static int decode_unmap_range(const struct iommu_ioas_unmap *unmap, struct why *why)
{
	unsigned long long iova = unmap->iova, length = unmap->length;

	if (iova == UINT64_MAX || length == UINT64_MAX)
		return refuse(why, RANGE_OVERFLOWS,
			      "iova 0x%llx or length 0x%llx is 2^64 - 1, but not both make all of it", iova, length);
	if (!length)
		return refuse(why, IOAS_RANGE_EMPTY, "no bytes are to be unmapped at iova 0x%llx", iova);
	if (range_overflows(iova, length))
		return refuse(why, RANGE_OVERFLOWS, "0x%llx bytes from iova 0x%llx pass 2^64", length, iova);
	return 0;
}

static int unmap_range(struct ioas *ioas, const struct iommu_ioas_unmap *unmap, u64 *ret_removed, struct why *why)
{
	u64 last = unmap->iova + unmap->length - 1;
	char name[OBJECT_TEXT];
	int err = decode_unmap_range(unmap, why);

	if (err == 0)
		err = ioas_unmap(ioas, unmap->iova, last, ret_removed, why);
	if (err == 0 && !*ret_removed)
		return refuse(why, AREA_MISSING, "nothing is mapped in [0x%llx, 0x%llx] of %s",
			      (unsigned long long)unmap->iova, (unsigned long long)last, ioas_name(ioas, name));
	return err;
}

long ioctl_ioas_unmap(struct request *request, struct why *why)
{
	struct iommu_ioas_unmap *unmap = &request->command->ioctl_ioas_unmap_command;
	struct ioas *ioas;
	u64 removed;
	int err = ioas_find(request->context, unmap->ioas_id, &ioas, why);

	if (err < 0)
		return err;
	if (unmap->iova == 0 && unmap->length == UINT64_MAX)
		err = ioas_unmap(ioas, 0, UINT64_MAX, &removed, why);
	else
		err = unmap_range(ioas, unmap, &removed, why);
	if (err < 0)
		return err;
	unmap->length = removed;
	return request_answer(request, why);
}
