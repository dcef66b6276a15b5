/* SPDX-License-Identifier: MIT */
/*
 * Where a mapping goes when the program leaves it open: Linux's rule, first fit from below with an alignment that lets
 * huge pages be used (drivers/iommu/iommufd/io_pagetable.c:iopt_alloc_iova()), on an index of holes instead of a walk.
 */
#include "iommufd/ioas.h"

#define LARGEST_ALIGNMENT BIT(21) /* a huge page of the CPU */

struct wish {
	u64 size, alignment;
	u64 page_offset; /* of the source: kept, so that pages of both sides match */
};

/* The first address in [start, last] that will do and has room; where one byte is left there never is, as in Linux. */
static bool fits(const struct wish *wish, u64 start, u64 last, u64 *ret)
{
	u64 aligned;

	if (__builtin_add_overflow(start, wish->alignment - 1, &aligned))
		return false;
	aligned = align_down(aligned, wish->alignment) | wish->page_offset;
	if (aligned >= last || last - aligned < wish->size - 1)
		return false;
	*ret = aligned;
	return true;
}

/* In [start, last], where nothing is mapped, outside of what is reserved. */
static bool fits_unreserved(const struct ioas *ioas, const struct wish *wish, u64 start, u64 last, u64 *ret)
{
	u64 free_start, free_last;

	while (itree_gap(&ioas->reserved, start, last, &free_start, &free_last)) {
		if (fits(wish, free_start, free_last, ret))
			return true;
		if (free_last == last)
			break;
		start = free_last + 1;
	}
	return false;
}

/* In [start, last], which is allowed. */
static bool fits_allowed(const struct ioas *ioas, const struct wish *wish, u64 start, u64 last, u64 *ret)
{
	u64 from, hole_start, hole_last;

	if (!fits(wish, start, last, &from))
		return false;
	while (from <= last && space_next_hole(&ioas->space, from, wish->size, &hole_start, &hole_last)) {
		if (hole_start > last)
			break;
		if (fits_unreserved(ioas, wish, hole_start, min_u64(hole_last, last), ret))
			return true;
		if (hole_last >= last)
			break;
		from = hole_last + 1;
	}
	return false;
}

/* The next run of allowed addresses at or above from; those that touch are one. */
static bool next_allowed(const struct ioas *ioas, u64 from, u64 *ret_start, u64 *ret_last)
{
	const struct itree_node *node = itree_first(&ioas->allowed, from, UINT64_MAX - PAGE_SIZE);

	if (!node)
		return false;
	*ret_start = max_u64(node->start, from);
	while (node) {
		*ret_last = node->last;
		node = itree_following(node);
		if (node && (*ret_last == UINT64_MAX || node->start != *ret_last + 1))
			node = NULL;
	}
	*ret_last = min_u64(*ret_last, UINT64_MAX - PAGE_SIZE);
	return true;
}

static bool choose(const struct ioas *ioas, const struct wish *wish, u64 *ret)
{
	u64 start = PAGE_SIZE, last = UINT64_MAX - PAGE_SIZE;

	if (!ioas->allowed.root)
		return fits_allowed(ioas, wish, start, last, ret);
	for (u64 from = PAGE_SIZE; from <= UINT64_MAX - PAGE_SIZE && next_allowed(ioas, from, &start, &last);
	     from = last + 1)
		if (fits_allowed(ioas, wish, start, last, ret))
			return true;
	return false;
}

int ioas_choose_iova(const struct ioas *ioas, u64 address, u64 size, u64 *ret, struct why *why)
{
	struct wish wish = {.size = size, .page_offset = address & ~PAGE_MASK};
	char name[OBJECT_TEXT];

	if (!size || size >= UINT64_MAX / 2)
		return refuse(why, RANGE_OVERFLOWS, "no IOVA can be chosen for 0x%llx bytes", (unsigned long long)size);
	wish.alignment = min_u64(power_of_two_from(size), LARGEST_ALIGNMENT);
	if (address)
		wish.alignment = min_u64(wish.alignment, address & -address);
	if (wish.alignment < ioas->alignment)
		return refuse(why, IOAS_MISALIGNED,
			      "0x%llx bytes of address 0x%llx can be aligned to 0x%llx, %s needs 0x%llx",
			      (unsigned long long)size, (unsigned long long)address, (unsigned long long)wish.alignment,
			      ioas_name(ioas, name), (unsigned long long)ioas->alignment);
	if (choose(ioas, &wish, ret))
		return 0;
	return refuse(why, IOVA_NONE_FREE, "%s has no room for 0x%llx bytes aligned to 0x%llx: %zu mappings, %s",
		      ioas_name(ioas, name), (unsigned long long)size, (unsigned long long)wish.alignment,
		      ioas->space.areas.count,
		      ioas->allowed.root ? "in what ALLOW_IOVAS allows" : "outside of what is reserved");
}
