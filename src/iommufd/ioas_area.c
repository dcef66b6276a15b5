/* SPDX-License-Identifier: MIT */
/*
 * An area that enters an IOAS is pinned, then in the space, then in each domain; one that leaves goes the other way.
 * Without a domain it is only in the space.
 */
#include "iommufd/ioas_area.h"

#include "iommufd/access.h"
#include "iommufd/iommufd.h"

int area_fill(struct ioas_area *area, struct domain *domain, struct why *why)
{
	return area->area.permission & AREA_WITHDRAWN ? 0 : domain_fill(domain, &area->area, why);
}

void area_clear(struct ioas_area *area, struct domain *domain)
{
	if (!(area->area.permission & AREA_WITHDRAWN))
		domain_clear(domain, &area->area);
}

int area_pin(struct ioas *ioas, struct ioas_area *area, struct why *why)
{
	struct iommufd *iommufd = ioas_iommufd(ioas);
	struct pages *pages = area_pages(area);
	int err = pages_cover(iommufd, pages, area_span(area), why);

	if (err < 0)
		return err;
	/* Congruent: the pages' first byte would be so far below the area's. */
	err = pages_frame(iommufd, pages, area->area.node.start - area->area.offset, why);
	if (err < 0)
		pages_uncover(iommufd, pages, area_span(area));
	return err;
}

void area_unpin(struct ioas *ioas, struct ioas_area *area)
{
	pages_uncover(ioas_iommufd(ioas), area_pages(area), area_span(area));
}

static bool has_domains(const struct ioas *ioas)
{
	return !list_empty(&ioas->space.domains);
}

/* In each domain or, on failure, in none. */
static int fill_domains(struct ioas *ioas, struct ioas_area *area, struct why *why)
{
	struct domain *domain, *undo;

	list_for_each(domain, &ioas->space.domains, of_space) {
		int err = area_fill(area, domain, why);

		if (err == 0)
			continue;
		list_for_each(undo, &ioas->space.domains, of_space) {
			if (undo == domain)
				break;
			area_clear(area, undo);
		}
		return err;
	}
	return 0;
}

static int enter(struct ioas *ioas, struct ioas_area *area, struct why *why)
{
	int err = ioas_view_new(ioas, area, why);

	if (err < 0)
		return err;
	err = has_domains(ioas) ? area_pin(ioas, area, why) : 0;
	if (err < 0) {
		ioas_view_free(area);
		return err;
	}
	space_insert(&ioas->space, &area->area);
	err = fill_domains(ioas, area, why);
	if (err == 0)
		return 0;
	space_remove(&ioas->space, &area->area);
	area_unpin(ioas, area);
	ioas_view_free(area);
	return err;
}

/* No device reaches it any more when this returns. */
static void leave(struct ioas *ioas, struct ioas_area *area)
{
	struct domain *domain;

	space_stop(&ioas->space);
	list_for_each(domain, &ioas->space.domains, of_space)
		area_clear(area, domain);
	space_remove(&ioas->space, &area->area);
	space_start(&ioas->space);
	if (has_domains(ioas))
		area_unpin(ioas, area);
	ioas_view_free(area);
}

/* ---- map ---- */

static int decode_fixed(const struct ioas *ioas, u64 iova, u64 size, struct why *why)
{
	const struct itree_node *taken;
	char name[OBJECT_TEXT];

	if (!is_aligned(iova, ioas->alignment))
		return refuse(why, IOAS_MISALIGNED, "iova 0x%llx: %s needs a multiple of 0x%llx",
			      (unsigned long long)iova, ioas_name(ioas, name), (unsigned long long)ioas->alignment);
	if (range_overflows(iova, size))
		return refuse(why, RANGE_OVERFLOWS, "0x%llx bytes from iova 0x%llx pass 2^64", (unsigned long long)size,
			      (unsigned long long)iova);
	taken = itree_first(&ioas->reserved, iova, iova + size - 1);
	if (taken)
		return refuse(why, IOAS_RESERVED, "[0x%llx, 0x%llx] touches [0x%llx, 0x%llx], which is reserved in %s",
			      (unsigned long long)iova, (unsigned long long)(iova + size - 1),
			      (unsigned long long)taken->start, (unsigned long long)taken->last, ioas_name(ioas, name));
	taken = itree_lowest(&ioas->space.areas, iova, iova + size - 1);
	if (taken)
		return refuse(why, IOVA_MAPPED, "[0x%llx, 0x%llx] overlaps the mapping [0x%llx, 0x%llx] of %s",
			      (unsigned long long)iova, (unsigned long long)(iova + size - 1),
			      (unsigned long long)taken->start, (unsigned long long)taken->last, ioas_name(ioas, name));
	return 0;
}

static int decode_iova(const struct ioas *ioas, const struct slice *first, u64 size, bool fixed, u64 *iova,
		       struct why *why)
{
	char name[OBJECT_TEXT];

	if (!size || !is_aligned(size, ioas->alignment))
		return refuse(why, IOAS_MISALIGNED, "length 0x%llx: %s needs a multiple of 0x%llx",
			      (unsigned long long)size, ioas_name(ioas, name), (unsigned long long)ioas->alignment);
	if (fixed)
		return decode_fixed(ioas, *iova, size, why);
	return ioas_choose_iova(ioas, first->pages->extent.address + first->offset, size, iova, why);
}

static int decode_slice(const struct ioas *ioas, const struct slice *slice, unsigned permission, struct why *why)
{
	u64 in_page = slice->offset & ~PAGE_MASK;
	char name[OBJECT_TEXT];

	if (permission & ISOLDE_PT_WRITE && !slice->pages->writable)
		return refuse(why, COPY_READ_ONLY, "the pages at 0x%llx were mapped without WRITEABLE",
			      (unsigned long long)(slice->pages->extent.address + slice->offset));
	if (!is_aligned(in_page, ioas->alignment))
		return refuse(why, IOAS_MISALIGNED,
			      "the source begins at byte 0x%llx of a page: %s needs a multiple of 0x%llx",
			      (unsigned long long)in_page, ioas_name(ioas, name), (unsigned long long)ioas->alignment);
	return 0;
}

static int decode_slices(const struct ioas *ioas, const struct slice *slices, size_t count, unsigned permission,
			 bool fixed, u64 *iova, struct why *why)
{
	u64 size = 0;
	int err;

	for (size_t i = 0; i < count; i++)
		size += slices[i].size;
	err = decode_iova(ioas, &slices[0], size, fixed, iova, why);
	for (size_t i = 0; err == 0 && i < count; i++)
		err = decode_slice(ioas, &slices[i], permission, why);
	return err;
}

/* The first `entered` of the areas are in the IOAS. */
static void undo_slices(struct ioas *ioas, struct slice *slices, size_t count, size_t entered)
{
	for (size_t i = count; i-- > 0;) {
		if (!slices[i].area)
			continue;
		if (i < entered)
			leave(ioas, slices[i].area);
		area_free(ioas_iommufd(ioas), slices[i].area);
	}
}

int ioas_map_slices(struct ioas *ioas, struct slice *slices, size_t count, unsigned permission, bool fixed, u64 *iova,
		    struct why *why)
{
	u64 chosen = *iova, at;
	size_t entered = 0;
	int err = decode_slices(ioas, slices, count, permission, fixed, &chosen, why);

	at = chosen;
	for (size_t i = 0; err == 0 && i < count; i++) {
		struct area *area;

		err = area_new(slices[i].pages, &slices[i].area, why);
		if (err < 0)
			break;
		area = &slices[i].area->area;
		area->node.start = at;
		area->node.last = at + slices[i].size - 1;
		area->offset = slices[i].offset;
		area->permission = permission | (slices[i].pages->revoked ? AREA_WITHDRAWN : 0);
		at += slices[i].size;
	}
	for (; err == 0 && entered < count; entered += err == 0)
		err = enter(ioas, slices[entered].area, why);
	if (err < 0) {
		undo_slices(ioas, slices, count, entered);
		return err;
	}
	*iova = chosen;
	return 0;
}

/* ---- unmap ---- */

#define ROUNDS 100 /* in which accesses may let go of an area; Linux gives up then, too */

/* Whoever has pages of the area pinned is asked to unpin them. */
static int wait_for_accesses(struct ioas *ioas, struct ioas_area *area, struct why *why)
{
	struct area *range = &area->area;
	char name[OBJECT_TEXT];

	area->prevent_access = true;
	for (unsigned round = 0; area->pins && round <= ROUNDS; round++)
		accesses_unmap(ioas, range->node.start, area_size(range));
	if (!area->pins)
		return 0;
	return refuse(why, AREA_PINNED, "[0x%llx, 0x%llx] of %s: %u pinned ranges are left after %u requests to unpin",
		      (unsigned long long)range->node.start, (unsigned long long)range->node.last,
		      ioas_name(ioas, name), area->pins, ROUNDS + 1);
}

static int decode_unmap(const struct ioas *ioas, const struct ioas_area *area, u64 start, u64 last, struct why *why)
{
	const struct itree_node *node = &area->area.node;
	char name[OBJECT_TEXT];

	if (area->locks)
		return refuse(why, AREA_LOCKED, "[0x%llx, 0x%llx] of %s holds the memory of %u hw_queue%s",
			      (unsigned long long)node->start, (unsigned long long)node->last, ioas_name(ioas, name),
			      area->locks, area->locks == 1 ? "" : "s");
	if (node->start < start || node->last > last)
		return refuse(why, AREA_STRADDLES, "[0x%llx, 0x%llx] of %s is not wholly inside [0x%llx, 0x%llx]",
			      (unsigned long long)node->start, (unsigned long long)node->last, ioas_name(ioas, name),
			      (unsigned long long)start, (unsigned long long)last);
	return 0;
}

int ioas_unmap(struct ioas *ioas, u64 start, u64 last, u64 *ret_removed, struct why *why)
{
	struct itree_node *node;

	*ret_removed = 0;
	while ((node = itree_lowest(&ioas->space.areas, start, last))) {
		struct ioas_area *area = ioas_area_of(node);
		u64 area_last = node->last;
		int err = decode_unmap(ioas, area, start, last, why);

		if (err == 0 && area->pins)
			err = wait_for_accesses(ioas, area, why);
		if (err < 0)
			return err;
		*ret_removed += area_size(&area->area);
		leave(ioas, area);
		area_free(ioas_iommufd(ioas), area);
		if (area_last >= last)
			break;
		start = area_last + 1;
	}
	return 0;
}

/* ---- cut ---- */

static int decode_cut(const struct ioas *ioas, const struct ioas_area *area, u64 iova, struct why *why)
{
	const struct itree_node *node = &area->area.node;
	u64 upper = iova + 1, upper_offset = area->area.offset + (upper - node->start);
	char name[OBJECT_TEXT];

	ioas_name(ioas, name);
	if (area->prevent_access)
		return refuse(why, CUT_BUSY, "[0x%llx, 0x%llx] of %s is being unmapped",
			      (unsigned long long)node->start, (unsigned long long)node->last, name);
	if (area_pages(area)->kind == PAGES_BUFFER)
		return refuse(why, CUT_BUFFER, "[0x%llx, 0x%llx] of %s is of a dma-buf",
			      (unsigned long long)node->start, (unsigned long long)node->last, name);
	if (!is_aligned(upper, ioas->alignment) || !is_aligned(upper_offset & ~PAGE_MASK, ioas->alignment))
		return refuse(why, CUT_MISALIGNED, "[0x%llx, 0x%llx] of %s cannot be cut at 0x%llx, aligned to 0x%llx",
			      (unsigned long long)node->start, (unsigned long long)node->last, name,
			      (unsigned long long)upper, (unsigned long long)ioas->alignment);
	if (area->pins)
		return refuse(why, CUT_PINNED, "[0x%llx, 0x%llx] of %s: %u ranges are pinned in it",
			      (unsigned long long)node->start, (unsigned long long)node->last, name, area->pins);
	if (has_domains(ioas) && !ioas->huge_pages_off)
		return refuse(why, CUT_HUGE, "[0x%llx, 0x%llx] of %s may be in huge pages",
			      (unsigned long long)node->start, (unsigned long long)node->last, name);
	return 0;
}

/* A copy of the area that shows [start, last] of it. Pinned, where that one is: its pages are, so only memory lacks. */
static int new_part(struct ioas *ioas, const struct ioas_area *area, u64 start, u64 last, struct ioas_area **ret,
		    struct why *why)
{
	struct ioas_area *part;
	int err = area_new(area_pages(area), &part, why);

	if (err < 0)
		return err;
	part->area.node.start = start;
	part->area.node.last = last;
	part->area.offset = area->area.offset + (start - area->area.node.start);
	part->area.permission = area->area.permission;
	err = has_domains(ioas) ? area_pin(ioas, part, why) : 0;
	if (err < 0) {
		area_free(ioas_iommufd(ioas), part);
		return err;
	}
	*ret = part;
	return 0;
}

/* Tables need no change: their leaves are single pages, or there are none. */
int ioas_cut(struct ioas *ioas, u64 iova, struct why *why)
{
	struct ioas_area *area = ioas_area_at(ioas, iova), *lower, *upper;
	int err;

	if (!area || iova == area->area.node.start || iova == area->area.node.last)
		return 0;
	err = decode_cut(ioas, area, iova, why);
	if (err == 0)
		err = new_part(ioas, area, area->area.node.start, iova, &lower, why);
	if (err < 0)
		return err;
	err = new_part(ioas, area, iova + 1, area->area.node.last, &upper, why);
	if (err < 0) {
		if (has_domains(ioas))
			area_unpin(ioas, lower);
		area_free(ioas_iommufd(ioas), lower);
		return err;
	}
	space_stop(&ioas->space);
	space_remove(&ioas->space, &area->area);
	space_insert(&ioas->space, &lower->area);
	space_insert(&ioas->space, &upper->area);
	space_start(&ioas->space);
	if (has_domains(ioas))
		area_unpin(ioas, area);
	area_free(ioas_iommufd(ioas), area);
	return 0;
}
