/* SPDX-License-Identifier: MIT */
/*
 * Dirty pages of a type 1 container. Linux knows which pages were written only where a driver pins them one by one. A
 * group with real DMA pins everything, so every mapped page counts as dirty, each time anew; and type 1 has no other
 * groups here. What remains is the bitmap's shape: one bit a page, from a base, the first word of each mapping ORed to
 * what the program has there, the following ones written whole.
 */
#include "vfio/ioctl.h"
#include "vfio/type1.h"

#define DIRTY_FLAGS                                                                                                    \
	(VFIO_IOMMU_DIRTY_PAGES_FLAG_START | VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP | VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP)

#define BITMAP_SIZE_MAX BIT(28)
#define WORDS		512 /* copied at a time */

static u64 bitmap_bytes(u64 pages)
{
	return align_up(pages, 64) / 8;
}

int type1_check_bitmap(const struct vfio_bitmap *bitmap, u64 size, struct why *why)
{
	u64 pages;

	if (!bitmap->pgsize)
		return refuse(why, BITMAP_PAGE_SIZE, "the bitmap has pages of 0 bytes, only %#llx can be had",
			      (unsigned long long)PAGE_SIZE);
	pages = size >> __builtin_ctzll(bitmap->pgsize);
	if (pages && bitmap->size && bitmap->size <= BITMAP_SIZE_MAX && pages <= BITMAP_SIZE_MAX * 8 &&
	    bitmap->size >= bitmap_bytes(pages))
		return 0;
	return refuse(why, BITMAP_SIZE, "%#llx pages need a bitmap of %#llx bytes, %#llx are given and %#llx the most",
		      (unsigned long long)pages, (unsigned long long)bitmap_bytes(min_u64(pages, BIT(60))),
		      (unsigned long long)bitmap->size, (unsigned long long)BITMAP_SIZE_MAX);
}

/* Bits [first, first + count) of word, count at least 1. */
static u64 word_bits(u64 word, u64 first, u64 count)
{
	u64 low = max_u64(first, word * 64) - word * 64;
	u64 high = min_u64(first + count - 1, word * 64 + 63) - word * 64;

	return MASK(high, low);
}

int type1_report_dirty(const struct type1 *type1, struct client *client, const struct vfio_bitmap *bitmap, u64 base,
		       const struct mapping *mapping, struct why *why)
{
	u64 page = type1_page_size(type1), address = (u64)(uintptr_t)bitmap->data;
	u64 first = (mapping->node.start - base) / page, count = mapping_size(mapping) / page;
	u64 word = first / 64, last_word = (first + count - 1) / 64, present = 0;
	u64 words[WORDS];
	int err;

	if (first % 64) {
		err = client_read(client, address + word * 8, &present, sizeof(present), why);
		if (err < 0)
			return err;
		present &= MASK(first % 64 - 1, 0);
	}
	while (word <= last_word) {
		u64 n = min_u64(WORDS, last_word - word + 1);

		for (u64 i = 0; i < n; i++)
			words[i] = word_bits(word + i, first, count);
		words[0] |= present;
		present = 0;
		err = client_write(client, address + word * 8, words, n * 8, why);
		if (err < 0)
			return err;
		word += n;
	}
	return 0;
}

static int decode_get(const struct type1 *type1, const struct vfio_iommu_type1_dirty_bitmap_get *get, struct why *why)
{
	unsigned long long iova = get->iova, size = get->size;
	u64 page = type1_page_size(type1);
	int err;

	if (!size)
		return refuse(why, DIRTY_RANGE, "the range at iova %#llx has size 0", iova);
	if (range_overflows(iova, size))
		return refuse(why, RANGE_OVERFLOWS, "%#llx bytes from iova %#llx pass 2^64", size, iova);
	err = type1_check_bitmap(&get->bitmap, size, why);
	if (err < 0)
		return err;
	if (get->bitmap.pgsize != page)
		return refuse(why, BITMAP_PAGE_SIZE, "the bitmap has pages of %#llx bytes, only %#llx can be had",
			      (unsigned long long)get->bitmap.pgsize, (unsigned long long)page);
	if (!is_aligned(iova | size, page))
		return refuse(why, DIRTY_RANGE, "iova %#llx or size %#llx is no multiple of the page size, %#llx", iova,
			      size, (unsigned long long)page);
	if (!type1->tracking)
		return refuse(why, DIRTY_NOT_TRACKED, "VFIO_IOMMU_DIRTY_PAGES has not started on this container");
	return type1_check_bisection(type1, iova, iova + size - 1, why);
}

static int get_bitmap(const struct type1 *type1, struct client *client, u32 argsz, u64 arg, struct why *why)
{
	struct vfio_iommu_type1_dirty_bitmap_get get;
	struct itree_node *node;
	int err;

	if (argsz < sizeof(struct vfio_iommu_type1_dirty_bitmap) + sizeof(get))
		return refuse(why, ARGSZ_SHORT, "VFIO_IOMMU_DIRTY_PAGES GET_BITMAP: argsz is %u, not %zu", argsz,
			      sizeof(struct vfio_iommu_type1_dirty_bitmap) + sizeof(get));
	err = client_read(client, arg + sizeof(struct vfio_iommu_type1_dirty_bitmap), &get, sizeof(get), why);
	if (err == 0)
		err = decode_get(type1, &get, why);
	if (err < 0)
		return err;
	itree_for_each(node, &type1->mappings, get.iova, get.iova + get.size - 1) {
		const struct mapping *mapping = container_of(node, struct mapping, node);

		err = type1_report_dirty(type1, client, &get.bitmap, get.iova, mapping, why);
		if (err < 0)
			return err;
	}
	return 0;
}

static int decode_dirty(const struct vfio_iommu_type1_dirty_bitmap *dirty, struct why *why)
{
	if (dirty->argsz < sizeof(*dirty))
		return refuse(why, ARGSZ_SHORT, "VFIO_IOMMU_DIRTY_PAGES: argsz is %u, at least %zu are needed",
			      dirty->argsz, sizeof(*dirty));
	if (dirty->flags & ~(u32)DIRTY_FLAGS || __builtin_popcount(dirty->flags) != 1)
		return refuse(why, DIRTY_FLAGS, "flags %#x are not exactly one of START, STOP and GET_BITMAP",
			      dirty->flags);
	return 0;
}

long type1_dirty_pages(struct file *file, struct client *client, const union vfio_head *head, u64 arg, struct why *why)
{
	struct type1 *type1 = type1_of_file(file);
	struct vfio_iommu_type1_dirty_bitmap dirty;
	int err;

	if (!type1->v2)
		return refuse(why, DIRTY_VERSION, "the container's IOMMU type is %d, not TYPE1v2", VFIO_TYPE1_IOMMU);
	err = client_read(client, arg, &dirty, sizeof(dirty), why);
	if (err == 0)
		err = decode_dirty(&dirty, why);
	if (err < 0)
		return err;
	if (dirty.flags & VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP)
		return get_bitmap(type1, client, dirty.argsz, arg, why);
	type1->tracking = dirty.flags & VFIO_IOMMU_DIRTY_PAGES_FLAG_START;
	return 0;
}
