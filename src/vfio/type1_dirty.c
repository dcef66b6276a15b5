/* SPDX-License-Identifier: MIT */
/*
 * Dirty pages of a type 1 container. Linux knows which pages were written only where a driver pins them one by one, or
 * has bytes moved for it. A group with real DMA pins everything, so while there is one every page counts as dirty, each
 * time anew; and when the last one leaves, once more. Without one it is what emulated devices pinned and wrote: a
 * bitmap for each mapping, which holds what is dirty since it was told last, and always what is pinned.
 *
 * What the program gets has one bit a page, from a base; the first word of each mapping is ORed to what the program has
 * there, the following ones are written whole.
 */
#include "base/alloc.h"
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
	u64 address = (u64)(uintptr_t)bitmap->data, pages;

	if (!client_could_have(address, bitmap->size))
		return refuse(why, BITMAP_ADDRESS, "no program can have a bitmap of %#llx bytes at %#llx",
			      (unsigned long long)bitmap->size, (unsigned long long)address);
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

/* ---- what is dirty ---- */

static u64 pages_of(const struct mapping *mapping)
{
	return mapping_size(mapping) / PAGE_SIZE;
}

static void set_bits(u64 *bits, u64 first, u64 last)
{
	for (u64 word = first / 64; word <= last / 64; word++)
		bits[word] |= MASK(min_u64(last, word * 64 + 63) % 64, max_u64(first, word * 64) % 64);
}

void type1_mark_dirty(struct mapping *mapping, u64 start, u64 last)
{
	if (mapping->dirty)
		set_bits(mapping->dirty, (start - mapping->node.start) / PAGE_SIZE,
			 (last - mapping->node.start) / PAGE_SIZE);
}

static void mark_pins(struct mapping *mapping)
{
	struct itree_node *node;

	itree_for_each(node, &mapping->pins, 0, UINT64_MAX)
		type1_mark_dirty(mapping, node->start, node->start + PAGE_SIZE - 1);
}

int type1_track(const struct type1 *type1, struct mapping *mapping, struct why *why)
{
	u64 pages = mapping_size(mapping) / type1_page_size(type1);
	char text[MAPPING_DESCRIPTION];

	if (pages > INT32_MAX)
		return refuse(why, DIRTY_TOO_LARGE, "the mapping %s has %#llx pages, %#x can be tracked",
			      mapping_describe(mapping, text), (unsigned long long)pages, INT32_MAX);
	mapping->dirty = alloc_array(pages_of(mapping) / 64 + 1, sizeof(mapping->dirty[0]), why);
	if (!mapping->dirty)
		return -why->err;
	mark_pins(mapping);
	return 0;
}

static void untrack(struct mapping *mapping)
{
	free(mapping->dirty);
	mapping->dirty = NULL;
}

static void track_none(struct type1 *type1)
{
	struct itree_node *node;

	itree_for_each(node, &type1->mappings, 0, UINT64_MAX)
		untrack(container_of(node, struct mapping, node));
	type1->tracking = false;
}

static int track_all(struct type1 *type1, struct why *why)
{
	struct itree_node *node;

	if (type1->tracking)
		return 0;
	itree_for_each(node, &type1->mappings, 0, UINT64_MAX) {
		int err = type1_track(type1, container_of(node, struct mapping, node), why);

		if (err < 0) {
			track_none(type1);
			return err;
		}
	}
	type1->tracking = true;
	return 0;
}

/* Told: what is dirty from now on is what is pinned. */
static void begin_anew(struct mapping *mapping)
{
	memset(mapping->dirty, 0, (pages_of(mapping) / 64 + 1) * sizeof(mapping->dirty[0]));
	mark_pins(mapping);
}

/* ---- what the program gets ---- */

/* A mapping's bits as the program counts them: `scale` of our pages are one of its. */
struct view {
	const u64 *bits; /* NULL: all are set */
	u64 count;	 /* of its pages */
	unsigned scale;	 /* a power of 2, at most 64 */
};

static bool any_bit(const u64 *bits, u64 first, unsigned count)
{
	return bits[first / 64] & MASK(first % 64 + count - 1, first % 64);
}

/* Bits [64 * word, 64 * word + 63] of a view; those beyond its end are 0. */
static u64 view_word(const struct view *view, u64 word)
{
	u64 left = word < align_up(view->count, 64) / 64 ? min_u64(view->count - word * 64, 64) : 0, value = 0;

	if (!left)
		return 0;
	if (!view->bits)
		return MASK(left - 1, 0);
	if (view->scale == 1)
		return view->bits[word] & MASK(left - 1, 0);
	for (u64 bit = 0; bit < left; bit++)
		value |= (u64)any_bit(view->bits, (word * 64 + bit) * view->scale, view->scale) << bit;
	return value;
}

/* The same, counted from a place that is `shift` bits earlier. */
static u64 shifted_word(const struct view *view, u64 word, unsigned shift)
{
	u64 value = view_word(view, word) << shift;

	return shift && word ? value | view_word(view, word - 1) >> (64 - shift) : value;
}

static struct view view_of(const struct type1 *type1, const struct mapping *mapping)
{
	u64 page = type1_page_size(type1);

	return (struct view){
		.bits = list_empty(&type1->domains) ? mapping->dirty : NULL,
		.count = mapping_size(mapping) / page,
		.scale = (unsigned)(page / PAGE_SIZE),
	};
}

int type1_report_dirty(const struct type1 *type1, struct client *client, const struct vfio_bitmap *bitmap, u64 base,
		       const struct mapping *mapping, struct why *why)
{
	struct view view = view_of(type1, mapping);
	u64 first = (mapping->node.start - base) / type1_page_size(type1);
	u64 address = (u64)(uintptr_t)bitmap->data + first / 64 * 8;
	u64 total = align_up(first % 64 + view.count, 64) / 64, present = 0, words[WORDS];
	int err;

	if (first % 64) {
		err = client_read(client, address, &present, sizeof(present), why);
		if (err < 0)
			return err;
	}
	for (u64 done = 0; done < total; done += WORDS) {
		u64 n = min_u64(WORDS, total - done);

		for (u64 i = 0; i < n; i++)
			words[i] = shifted_word(&view, done + i, first % 64);
		words[0] |= present;
		present = 0;
		err = client_write(client, address + done * 8, words, n * 8, why);
		if (err < 0)
			return err;
	}
	return 0;
}

/* ---- the request ---- */

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

static int get_bitmap(struct type1 *type1, struct client *client, u32 argsz, u64 arg, struct why *why)
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
		struct mapping *mapping = container_of(node, struct mapping, node);

		err = type1_report_dirty(type1, client, &get.bitmap, get.iova, mapping, why);
		if (err < 0)
			return err;
		begin_anew(mapping);
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
	if (dirty.flags & VFIO_IOMMU_DIRTY_PAGES_FLAG_START)
		return track_all(type1, why);
	track_none(type1);
	return 0;
}
