/* SPDX-License-Identifier: MIT */
/*
 * What devices wrote through an HWPT: HWPT_SET_DIRTY_TRACKING and HWPT_GET_DIRTY_BITMAP (spec 03 section 8).
 *
 * A leaf that was written through stands for all of its pages.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "iommufd/hwpt.h"
#include "iommufd/ioctl.h"
#include "mem/bitmap.h"

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

/* ---- reading ---- */

static void visit(void *context, u64 start, u64 last)
{
	client_bitmap_set(context, start, last);
}

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
 * A bitmap that cannot be written is no failure for Linux, but nothing is read then (it pins the bitmap first, and
 * drops what iova_bitmap_for_each() says).
 */
static int read_bitmap(struct request *request, const struct iommu_hwpt_get_dirty_bitmap *get,
		       const struct hwpt_paging *hwpt, struct why *why)
{
	struct client_bitmap *bitmap = alloc_new(struct client_bitmap, why);

	if (!bitmap)
		return -why->err;
	bitmap->client = request->client;
	bitmap->address = get->data;
	bitmap->iova = get->iova;
	bitmap->shift = (unsigned)__builtin_ctzll(get->page_size);
	if (get->length &&
	    client_bitmap_writable(request->client, get->data, ((get->length - 1) >> bitmap->shift) + 1)) {
		domain_read_dirty(hwpt->hwpt.domain, get->iova, get->iova + get->length - 1,
				  !(get->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR), visit, bitmap);
		client_bitmap_flush(bitmap);
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
