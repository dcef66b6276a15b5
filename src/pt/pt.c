/* SPDX-License-Identifier: MIT */
/* The generic entry points: one switch, then the format's own. */
#include <errno.h>

#include "pt/format.h"

uint64_t isolde_pt_page_sizes(const struct isolde_pt *pt)
{
	return pt->page_sizes;
}

unsigned isolde_pt_flags(const struct isolde_pt *pt)
{
	return pt->flags;
}

uint64_t isolde_pt_first_iova(const struct isolde_pt *pt)
{
	return pt->first;
}

uint64_t isolde_pt_last_iova(const struct isolde_pt *pt)
{
	return pt->first + pt->span;
}

uint64_t isolde_pt_root(const struct isolde_pt *pt, unsigned *ret_levels)
{
	u64 top = atomic_load_explicit(&pt->top, memory_order_acquire);

	*ret_levels = pt_top_levels(top);
	return pt_top_root(top);
}

size_t isolde_pt_memory(const struct isolde_pt *pt)
{
	return atomic_load_explicit(&pt->bytes, memory_order_relaxed);
}

int isolde_pt_map(struct isolde_pt *pt, uint64_t iova, uint64_t physical, uint64_t size, unsigned flags,
		  struct isolde_pt_gather *gather)
{
	switch (pt->kind) {
#define CASE_MAP(name)                                                                                                 \
	case PT_##name:                                                                                                \
		return isolde_pt_##name##_map(pt, iova, physical, size, flags, gather);
		PT_KINDS(CASE_MAP)
	default:
		return -EINVAL;
	}
}

int isolde_pt_unmap(struct isolde_pt *pt, uint64_t iova, uint64_t size, struct isolde_pt_gather *gather,
		    uint64_t *ret_removed)
{
	switch (pt->kind) {
#define CASE_UNMAP(name)                                                                                               \
	case PT_##name:                                                                                                \
		return isolde_pt_##name##_unmap(pt, iova, size, gather, ret_removed);
		PT_KINDS(CASE_UNMAP)
	default:
		return -EINVAL;
	}
}

uint64_t isolde_pt_iova_to_phys(const struct isolde_pt *pt, uint64_t iova)
{
	switch (pt->kind) {
#define CASE_PHYS(name)                                                                                                \
	case PT_##name:                                                                                                \
		return isolde_pt_##name##_iova_to_phys(pt, iova);
		PT_KINDS(CASE_PHYS)
	default:
		return 0;
	}
}

enum isolde_pt_fault isolde_pt_walk(const struct isolde_pt *pt, uint64_t iova, unsigned access,
				    struct isolde_pt_walk *ret)
{
	switch (pt->kind) {
#define CASE_WALK(name)                                                                                                \
	case PT_##name:                                                                                                \
		return isolde_pt_##name##_walk(pt, iova, access, ret);
		PT_KINDS(CASE_WALK)
	default:
		return ISOLDE_PT_TABLE;
	}
}

/* ---- not on the map path: through the format's table of operations ---- */

static bool bad_range(const struct isolde_pt *pt, u64 iova, u64 size)
{
	return !size || !is_aligned(iova | size, pt->granule) || pt_beyond(pt, iova, size);
}

size_t isolde_pt_trim(struct isolde_pt *pt, uint64_t iova, uint64_t size, struct isolde_pt_gather *gather)
{
	if (pt->adopted || bad_range(pt, iova, size))
		return 0;
	return pt->ops->trim(pt, iova, iova + size - 1, gather);
}

static int read_dirty(struct isolde_pt *pt, u64 iova, u64 size, u64 page_size, unsigned flags,
		      const struct dirty_sink *sink, struct isolde_pt_gather *gather)
{
	if (!(pt->features & ISOLDE_PT_DIRTY))
		return -EOPNOTSUPP;
	if (!atomic_load_explicit(&pt->tracking, memory_order_relaxed) && !pt->adopted)
		return -EINVAL;
	if (!page_size || page_size & (page_size - 1) || page_size < pt->granule || flags & ~ISOLDE_PT_NO_CLEAR ||
	    !size || !is_aligned(iova | size, page_size))
		return -EINVAL;
	if (pt_beyond(pt, iova, size))
		return -ERANGE;
	pt->ops->read_dirty(pt, iova, iova + size - 1, !(flags & ISOLDE_PT_NO_CLEAR), sink, gather);
	return 0;
}

int isolde_pt_read_dirty(struct isolde_pt *pt, uint64_t iova, uint64_t size, uint64_t page_size, unsigned flags,
			 uint64_t *bitmap, struct isolde_pt_gather *gather)
{
	const struct dirty_sink sink = {.bitmap = bitmap,
					.page_shift = page_size ? (unsigned)__builtin_ctzll(page_size) : 0};

	return read_dirty(pt, iova, size, page_size, flags, &sink, gather);
}

int isolde_pt_visit_dirty(struct isolde_pt *pt, uint64_t iova, uint64_t size, unsigned flags,
			  isolde_pt_dirty_visit *visit, void *context, struct isolde_pt_gather *gather)
{
	const struct dirty_sink sink = {.visit = visit, .context = context};

	return read_dirty(pt, iova, size, pt->granule, flags, &sink, gather);
}

void isolde_pt_check(const struct isolde_pt *pt)
{
	if (!pt->adopted)
		pt->ops->check(pt);
}
