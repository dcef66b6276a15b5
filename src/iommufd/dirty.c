/* SPDX-License-Identifier: MIT */
/*
 * What devices wrote through an HWPT: HWPT_SET_DIRTY_TRACKING and HWPT_GET_DIRTY_BITMAP (spec 03 section 8).
 *
 * A leaf that was written through stands for all of its pages. Bits are only ever set in the program's bitmap, a part
 * of it at a time: bits of neighbouring leaves are gathered first.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "iommufd/hwpt.h"
#include "iommufd/ioctl.h"

/* Linux: drivers/iommu/iommufd/hw_pagetable.c:iommufd_hwpt_set_dirty_tracking() */
long ioctl_hwpt_set_dirty_tracking(struct request *request, struct why *why)
{
	const struct iommu_hwpt_set_dirty_tracking *set = &request->command->ioctl_hwpt_set_dirty_tracking_command;
	struct hwpt_paging *hwpt;
	int err = refuse_unknown_flags(request, set->flags, IOMMU_HWPT_DIRTY_TRACKING_ENABLE, why);

	if (err == 0)
		err = hwpt_paging_find(request->context, set->hwpt_id, &hwpt, why);
	if (err < 0)
		return err;
	return domain_set_dirty(hwpt->hwpt.domain, set->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE, why);
}

/* ---- the program's bitmap ---- */

/* A part of the bitmap that bits are gathered in; bit n is of the pages from iova + (n << shift) on. */
struct bitmap {
	struct client *client;
	u64 address;
	u64 iova;
	unsigned shift;
	u64 window; /* which byte of the bitmap bytes[0] is */
	u8 bytes[PAGE_SIZE];
	size_t used; /* bytes of it that may have bits; 0: none */
};

/* It was looked at before that it can be written; a thread that takes it away since has itself to thank. */
static void flush(struct bitmap *bitmap)
{
	u8 present[PAGE_SIZE];
	struct why ignored;

	if (!bitmap->used)
		return;
	if (client_read(bitmap->client, bitmap->address + bitmap->window, present, bitmap->used, &ignored) == 0) {
		for (size_t i = 0; i < bitmap->used; i++)
			present[i] |= bitmap->bytes[i];
		client_write(bitmap->client, bitmap->address + bitmap->window, present, bitmap->used, &ignored);
	}
	memset(bitmap->bytes, 0, bitmap->used);
	bitmap->used = 0;
}

static void move_window(struct bitmap *bitmap, u64 byte)
{
	if (bitmap->used && byte - bitmap->window < sizeof(bitmap->bytes))
		return;
	flush(bitmap);
	bitmap->window = byte;
}

/* Bits [first, last], ascending from call to call. */
static void set_bits(struct bitmap *bitmap, u64 first, u64 last)
{
	while (first <= last) {
		u64 byte = first / 8, piece_last = min_u64(last, byte * 8 + 7);

		move_window(bitmap, byte);
		if (first == byte * 8 && last - first >= 7) {
			u64 whole = min_u64((last + 1) / 8 - byte, bitmap->window + sizeof(bitmap->bytes) - byte);

			memset(bitmap->bytes + (byte - bitmap->window), 0xff, whole);
			piece_last = first + whole * 8 - 1;
			byte += whole - 1;
		} else {
			bitmap->bytes[byte - bitmap->window] |= (u8)MASK(piece_last % 8, first % 8);
		}
		bitmap->used = byte - bitmap->window + 1;
		first = piece_last + 1;
	}
}

static void visit(void *context, u64 start, u64 last)
{
	struct bitmap *bitmap = context;

	set_bits(bitmap, (start - bitmap->iova) >> bitmap->shift, (last - bitmap->iova) >> bitmap->shift);
}

/* ---- reading ---- */

/* Linux: drivers/iommu/iommufd/io_pagetable.c:iommufd_check_iova_range() */
static int check_range(const struct iommu_hwpt_get_dirty_bitmap *get, u64 alignment, struct why *why)
{
	u64 iova = get->iova, beyond;

	if (__builtin_add_overflow(iova, get->length - 1, &beyond))
		return refuse(why, BITMAP_OVERFLOW, "%#llx bytes from IOVA %#llx on", (unsigned long long)get->length,
			      (unsigned long long)iova);
	beyond++;
	if ((iova | beyond) & (alignment - 1))
		return refuse(why, BITMAP_RANGE, "%#llx bytes from IOVA %#llx on: pages have %#llx",
			      (unsigned long long)get->length, (unsigned long long)iova, (unsigned long long)alignment);
	if (!get->page_size)
		return refuse(why, BITMAP_RANGE, "bits of [%#llx, ...) that stand for pages of 0 bytes",
			      (unsigned long long)iova);
	if ((iova | beyond) & (get->page_size - 1))
		return refuse(why, BITMAP_RANGE, "%#llx bytes from IOVA %#llx on, with bits for pages of %#llx",
			      (unsigned long long)get->length, (unsigned long long)iova,
			      (unsigned long long)get->page_size);
	return 0;
}

static int refuse_incapable(const struct hwpt_paging *hwpt, struct why *why)
{
	char text[OBJECT_TEXT];

	if (hwpt->hwpt.domain->abilities & DOMAIN_FOR_DIRTY)
		return 0;
	return refuse(why, DIRTY_INCAPABLE, "%s was not allocated with DIRTY_TRACKING",
		      object_describe(&hwpt->hwpt.object, text));
}

/*
 * What cannot be told must not be forgotten: a bitmap that cannot be written is no failure for Linux, but nothing is
 * read then (it pins the bitmap first, and drops what iova_bitmap_for_each() says).
 */
static bool is_writable(struct client *client, u64 address, u64 nbits)
{
	struct why ignored;

	return client_check_range(client, address, (nbits + 7) / 8, true, &ignored) == 0;
}

static int read_bitmap(struct request *request, const struct iommu_hwpt_get_dirty_bitmap *get,
		       const struct hwpt_paging *hwpt, struct why *why)
{
	struct bitmap *bitmap = alloc_new(struct bitmap, why);

	if (!bitmap)
		return -why->err;
	bitmap->client = request->client;
	bitmap->address = get->data;
	bitmap->iova = get->iova;
	bitmap->shift = (unsigned)__builtin_ctzll(get->page_size);
	if (get->length && is_writable(request->client, get->data, ((get->length - 1) >> bitmap->shift) + 1)) {
		domain_read_dirty(hwpt->hwpt.domain, get->iova, get->iova + get->length - 1,
				  !(get->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR), visit, bitmap);
		flush(bitmap);
	}
	free(bitmap);
	return 0;
}

/* Linux: drivers/iommu/iommufd/hw_pagetable.c:iommufd_hwpt_get_dirty_bitmap() */
long ioctl_hwpt_get_dirty_bitmap(struct request *request, struct why *why)
{
	const struct iommu_hwpt_get_dirty_bitmap *get = &request->command->ioctl_hwpt_get_dirty_bitmap_command;
	struct hwpt_paging *hwpt;
	int err = refuse_unknown_flags(request, get->flags, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, why);

	if (err == 0)
		err = refuse_reserved_field(request, get->__reserved, why);
	if (err == 0)
		err = hwpt_paging_find(request->context, get->hwpt_id, &hwpt, why);
	if (err == 0)
		err = check_range(get, hwpt->ioas->alignment, why);
	if (err == 0)
		err = refuse_incapable(hwpt, why);
	return err < 0 ? err : read_bitmap(request, get, hwpt, why);
}
