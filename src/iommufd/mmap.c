/* SPDX-License-Identifier: MIT */
/*
 * Pages of a driver that programs map through the context's descriptor (spec 03 section 11). They are in the context's
 * memory file, each region at an offset of its own, so that the host's kernel serves the mapping; what we decide is who
 * may, and that the owner of a region stays while it is mapped anywhere.
 *
 * The host tells when the last mapping *and descriptor* of a file have gone, not when one range of it has. So a region
 * that was mapped once counts as mapped until somebody wants to know better (mmap_settle()), and then all processes'
 * mappings are looked through.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/os.h"
#include "iommufd/context.h"
#include "iommufd/viommu.h"
#include "mem/kept.h"
#include "mem/vma.h"

struct mmap_region {
	struct object *owner; /* borrowed: it frees us */
	u64 offset, size;
	struct kept_map *memory;
	bool mapped;	       /* maybe: then the owner has a user more */
	struct list_link link; /* context->regions, by offset */
};

/* A page stays free between two, so that the host never joins mappings of both into one. */
static u64 find_offset(const struct context *context, u64 size, struct list_link **ret_before)
{
	struct mmap_region *region;
	u64 offset = PAGE_SIZE;

	list_for_each(region, &context->regions, link) {
		if (region->offset > offset && region->offset - offset > size)
			break;
		offset = region->offset + region->size + PAGE_SIZE;
	}
	*ret_before = &region->link;
	return offset;
}

/* The file reaches as far as the last region. */
static int make_room(struct context *context, u64 size, struct why *why)
{
	const struct mmap_region *region;
	int memfd;

	list_for_each(region, &context->regions, link)
		size = max_u64(size, region->offset + region->size);
	if (context->file.memfd >= 0)
		return os_resize(context->file.memfd, size, why);
	memfd = os_memfd(context->file.ops->kind, size, why);
	if (memfd >= 0)
		context->file.memfd = memfd;
	return memfd < 0 ? memfd : 0;
}

static int map_region(struct context *context, struct mmap_region *region, struct why *why)
{
	char name[KEPT_NAME], text[CONTEXT_TEXT];
	int err;

	context_describe(context, text);
	snprintf(name, sizeof(name), "%.40s at %#llx", text, (unsigned long long)region->offset);
	err = kept_map_new(context->iommufd, name, context->file.memfd, region->offset, region->size, &region->memory,
			   why);
	if (err == 0)
		kept_expect(region->memory, region->offset + region->size);
	return err;
}

/* Linux: drivers/iommu/iommufd/driver.c:_iommufd_alloc_mmap() */
int mmap_region_new(struct object *owner, u64 size, struct mmap_region **ret, u64 *ret_offset, void **ret_memory,
		    struct why *why)
{
	struct context *context = owner->context;
	struct mmap_region *region = alloc_new(struct mmap_region, why);
	struct list_link *before;
	int err;

	assert(size && is_aligned(size, PAGE_SIZE));
	if (!region)
		return -why->err;
	region->owner = owner;
	region->size = size;
	region->offset = find_offset(context, size, &before);
	err = make_room(context, region->offset + size, why);
	if (err == 0)
		err = map_region(context, region, why);
	if (err < 0) {
		free(region);
		return err;
	}
	list_insert_between(&region->link, before->previous, before);
	*ret = region;
	*ret_offset = region->offset;
	*ret_memory = kept_memory(region->memory);
	return 0;
}

void mmap_region_free(struct mmap_region *region)
{
	struct context *context;

	if (!region)
		return;
	assert(!region->mapped);
	context = region->owner->context;
	kept_map_free(region->memory);
	/* Whoever gets the offset next finds zeroes. Closed, the file has no memory that anybody could map. */
	if (context->file.memfd >= 0)
		os_punch(context->file.memfd, region->offset, region->size);
	list_remove(&region->link);
	free(region);
}

void context_close_file(struct context *context)
{
	struct mmap_region *region;

	list_for_each(region, &context->regions, link)
		kept_expect(region->memory, 0);
	os_close(context->file.memfd);
	context->file.memfd = -1;
}

static bool is_mapped(const struct mmap_region *region)
{
	/* Of a file that was closed nothing is: with the last descriptor its last mapping has gone. */
	return memfd_is_mapped(region->owner->context->file.memfd, region->offset, region->size,
			       kept_memory(region->memory));
}

void mmap_settle(const struct object *owner)
{
	struct mmap_region *region;

	list_for_each(region, &owner->context->regions, link) {
		if (region->owner != owner || !region->mapped || is_mapped(region))
			continue;
		region->mapped = false;
		object_unuse(region->owner);
	}
}

/* Linux: drivers/iommu/iommufd/main.c:iommufd_fops_mmap() */
int context_mmap(struct file *file, u64 offset, u64 size, int prot, int flags, struct why *why)
{
	const struct context *context = iommufd_context_of(file);
	int sharing = flags & MAP_TYPE;
	struct mmap_region *region;
	char text[CONTEXT_TEXT];

	context_describe(context, text);
	if (sharing != MAP_SHARED && sharing != MAP_SHARED_VALIDATE)
		return refuse(why, MMAP_SHARING, "%#llx of %s can only be mapped MAP_SHARED",
			      (unsigned long long)offset, text);
	if (prot & PROT_EXEC)
		return refuse(why, MMAP_EXECUTE, "%#llx of %s cannot be executed", (unsigned long long)offset, text);
	list_for_each(region, &context->regions, link) {
		if (region->offset != offset || region->size != align_up(size, PAGE_SIZE))
			continue;
		if (!region->mapped)
			object_use(region->owner);
		region->mapped = true;
		return 0;
	}
	return refuse(why, MMAP_NOTHING, "%s has nothing of %#llx bytes to map at %#llx", text,
		      (unsigned long long)size, (unsigned long long)offset);
}
