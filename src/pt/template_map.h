/* SPDX-License-Identifier: MIT */
/*
 * Part of pt/template.h: map.
 *
 * Map decides before it does. The plan proves that the range is free and counts the tables it needs; these are
 * reserved; what follows cannot fail. Tables are shared with other writers, so a new one is linked empty, by
 * compare-and-swap, and filled in place; the loser of a race puts its own back and uses the winner's. Only a table that
 * the range covers whole has no other writer: that one is filled first and linked then.
 */
#ifndef PT_TEMPLATE_MAP_H
#define PT_TEMPLATE_MAP_H

#include "pt/template_base.h"
#include "pt/template_reserve.h"

/* The bits of leaves this table may make that divide both addresses and are not larger than what is left. */
static always_inline u64 sizes_fitting(const struct isolde_pt *pt, u64 start, u64 last, u64 physical)
{
	u64 address = start | physical, left = last - start + 1;
	u64 aligned = address ? (address & -address) << 1 : 0;
	u64 small = left ? 1ull << (63 - __builtin_clzll(left)) << 1 : 0;

	return pt->page_sizes & (aligned - 1) & (small - 1);
}

/* Of [start, last], in one table, the last of what takes leaves of this level from start on; start - 1: nothing. */
static always_inline u64 leaves_last(const struct isolde_pt *pt, unsigned level, u64 start, u64 last, u64 physical)
{
	u64 count = (last - start + 1) >> level_shift(level);

	if (level == 0)
		return last;
	if (!(pt->leaf_levels >> level & 1) || !is_aligned(start | physical, level_size(level)))
		return start - 1;
	return start + (count << level_shift(level)) - 1;
}

/* No leaf below: nothing, or tables that have become empty. */
static bool subtree_free(const struct isolde_pt *pt, u64 entry, unsigned level, const bool plain)
{
	const entry_t *table;

	if (!entry)
		return true;
	if (!is_table(entry, level))
		return false;
	table = table_below(pt, entry, plain);
	if (level == 1)
		return table_empty(table);
	for (size_t i = 0; i < TABLE_ENTRIES; i++)
		if (!subtree_free(pt, load(&table[i], swaps(pt, plain)), level - 1, plain))
			return false;
	return true;
}

/* The entries that leaves of this level would take: free, or tables that have become empty. */
static bool way_free(const struct isolde_pt *pt, const entry_t *slot, unsigned level, u64 start, u64 last,
		     const bool plain)
{
	size_t count = (size_t)((last - start) >> level_shift(level)) + 1;

	if (run_free(slot, count))
		return true;
	for (size_t i = 0; i < count; i++)
		if (!subtree_free(pt, load(&slot[i], swaps(pt, plain)), level, plain))
			return false;
	return true;
}

/*
 * False when a page of [start, last] is mapped; else adds to *tables how many new ones mapping it takes. table is NULL
 * where it would be one of those.
 */
static bool plan(const struct isolde_pt *pt, entry_t *table, unsigned level, bool root, u64 start, u64 last,
		 u64 physical, size_t *tables, const bool plain)
{
	for (;;) {
		entry_t *slot = table ? slot_of(pt, table, start, level, root) : NULL;
		u64 piece = leaves_last(pt, level, start, last, physical), entry;

		if (piece != start - 1) {
			if (slot && !way_free(pt, slot, level, start, piece, plain))
				return false;
		} else {
			piece = piece_last(start, last, level);
			entry = slot ? load(slot, swaps(pt, plain)) : 0;
			if (entry && !is_table(entry, level))
				return false;
			*tables += !entry;
			if (!plan(pt, entry ? table_below(pt, entry, plain) : NULL, level - 1, false, start, piece,
				  physical, tables, plain))
				return false;
		}
		if (piece == last)
			return true;
		physical += piece - start + 1;
		start = piece + 1;
	}
}

/* What perform needs everywhere. */
struct mapping {
	struct isolde_pt *pt;
	u64 bits;
	struct reserve reserve;
	struct isolde_pt_gather *gather;
};

/* Leaves of one entry each, count of them. */
static always_inline void fill(const struct isolde_pt *pt, entry_t *slot, size_t count, u64 entry, u64 step,
			       const bool plain)
{
	if (swaps(pt, plain))
		run_store_swapped(slot, count, entry, step);
	else
		run_store(slot, count, entry, step);
}

/* `count` leaves of 2^run entries each. */
static always_inline void fill_runs(const struct isolde_pt *pt, entry_t *slot, size_t count, u64 entry, unsigned level,
				    unsigned run, const bool plain)
{
	if (FORMAT_RUN_STEPS || !run) {
		fill(pt, slot, count << run, entry, leaf_step(level), plain);
		return;
	}
	for (; count; count--, slot += (size_t)1 << run, entry += leaf_step(level) << run)
		fill(pt, slot, (size_t)1 << run, entry, 0, plain);
}

/*
 * How many leaves of this size follow each other before a larger one fits: up to the border of the next larger size
 * that both addresses reach together, or as far as it goes.
 */
static always_inline u64 same_size(const struct isolde_pt *pt, unsigned level, u64 start, u64 left, u64 physical,
				   unsigned shift)
{
	u64 apart = start ^ physical, together = (apart & -apart) - 1;
	u64 larger = pt->page_sizes & table_span(level) & (~0ull << shift << 1) & (apart ? together << 1 | 1 : ~0ull);
	u64 border = larger ? (larger & -larger) - (start & ((larger & -larger) - 1)) : left;

	return min_u64(left, border) >> shift;
}

/* All of [start, last] is free, in one table, and to be mapped with leaves of this level, in runs where they fit. */
static always_inline void fill_leaves(const struct isolde_pt *pt, u64 bits, entry_t *slot, unsigned level, u64 start,
				      u64 last, u64 physical, const bool plain)
{
	if (!FORMAT_RUNS || !(pt->features & ISOLDE_PT_CONTIGUOUS)) {
		fill(pt, slot, (size_t)((last - start) >> level_shift(level)) + 1, leaf_entry(bits, physical, level, 0),
		     leaf_step(level), plain);
		return;
	}
	for (;;) {
		u64 sizes = sizes_fitting(pt, start, last, physical) & table_span(level);
		unsigned shift = 63 - (unsigned)__builtin_clzll(sizes), run = shift - level_shift(level);
		u64 count = same_size(pt, level, start, last - start + 1, physical, shift);

		fill_runs(pt, slot, count, leaf_entry(bits, physical, level, run), level, run, plain);
		if (count << shift == last - start + 1)
			return;
		slot += count << run;
		start += count << shift;
		physical += count << shift;
	}
}

/* The subtree is free; its tables go. */
static void discard_subtree(struct isolde_pt *pt, u64 entry, unsigned level, struct isolde_pt_gather *gather,
			    const bool plain)
{
	entry_t *table;

	if (!is_table(entry, level))
		return;
	table = table_below(pt, entry, plain);
	for (size_t i = 0; level > 1 && i < TABLE_ENTRIES; i++)
		discard_subtree(pt, load(&table[i], swaps(pt, plain)), level - 1, gather, plain);
	pt_table_discard(pt, table, gather);
}

static void perform(struct mapping *m, entry_t *table, unsigned level, bool root, u64 start, u64 last, u64 physical,
		    const bool plain);

/* A table that other writers may use, or the one they put there. */
static entry_t *link_table(struct mapping *m, entry_t *slot, unsigned level, const bool plain)
{
	struct isolde_pt *pt = m->pt;
	entry_t *table = reserve_take(&m->reserve);

	memset((void *)table, 0, TABLE_SIZE);
	if (exchange(slot, 0, table_entry(pt_table_address(pt, table), level), swaps(pt, plain))) {
		atomic_fetch_add_explicit(&pt->bytes, TABLE_SIZE, memory_order_relaxed);
		return table;
	}
	reserve_put(&m->reserve, table);
	return table_below(pt, load(slot, swaps(pt, plain)), plain);
}

static void perform_below(struct mapping *m, entry_t *slot, unsigned level, u64 start, u64 last, u64 physical,
			  const bool plain)
{
	struct isolde_pt *pt = m->pt;
	u64 entry = load(slot, swaps(pt, plain));
	entry_t *table;

	if (!entry && whole_table(start, last, level - 1)) {
		table = reserve_take(&m->reserve);
		/* At the bottom every entry is about to be stored. */
		if (level > 1)
			memset((void *)table, 0, TABLE_SIZE);
		perform(m, table, level - 1, false, start, last, physical, plain);
		atomic_fetch_add_explicit(&pt->bytes, TABLE_SIZE, memory_order_relaxed);
		store(slot, table_entry(pt_table_address(pt, table), level), swaps(pt, plain));
		return;
	}
	table = entry ? table_below(pt, entry, plain) : link_table(m, slot, level, plain);
	perform(m, table, level - 1, false, start, last, physical, plain);
}

/* Empty tables in the place of leaves to come. */
static void clear_way(struct mapping *m, entry_t *slot, unsigned level, u64 start, u64 last, const bool plain)
{
	size_t count = (size_t)((last - start) >> level_shift(level)) + 1;

	if (run_free(slot, count))
		return;
	for (size_t i = 0; i < count; i++) {
		u64 entry = load(&slot[i], swaps(m->pt, plain));

		if (!entry)
			continue;
		store(&slot[i], 0, swaps(m->pt, plain));
		discard_subtree(m->pt, entry, level, m->gather, plain);
		if (m->gather)
			pt_gather_add(m->gather, start + (i << level_shift(level)),
				      start + ((i + 1) << level_shift(level)) - 1, 0);
	}
}

/* Maps what was planned, in a table of this level. A new bottom table is garbage until then, and never read. */
static void perform(struct mapping *m, entry_t *table, unsigned level, bool root, u64 start, u64 last, u64 physical,
		    const bool plain)
{
	struct isolde_pt *pt = m->pt;

	for (;;) {
		entry_t *slot = slot_of(pt, table, start, level, root);
		u64 piece = leaves_last(pt, level, start, last, physical);

		if (piece != start - 1) {
			if (level)
				clear_way(m, slot, level, start, piece, plain);
			fill_leaves(pt, m->bits, slot, level, start, piece, physical, plain);
		} else {
			piece = piece_last(start, last, level);
			perform_below(m, slot, level, start, piece, physical, plain);
		}
		if (piece == last)
			return;
		physical += piece - start + 1;
		start = piece + 1;
	}
}

/* ---- levels on top ---- */

static unsigned levels_for(u64 last)
{
	unsigned levels = 1;

	while (last > table_span(levels - 1))
		levels++;
	return levels;
}

/* Plans as if roots of `levels` down to those of top were there, with the old root under their first entries. */
static bool plan_grown(const struct isolde_pt *pt, u64 top, unsigned levels, u64 start, u64 last, u64 physical,
		       size_t *tables, const bool plain)
{
	u64 below = level_size(levels - 1), piece;

	if (levels == pt_top_levels(top))
		return plan(pt, root_of(pt, top, plain), levels - 1, true, start, last, physical, tables, plain);
	if (start < below) {
		piece = min_u64(last, below - 1);
		if (!plan_grown(pt, top, levels - 1, start, piece, physical, tables, plain))
			return false;
		if (piece == last)
			return true;
		physical += below - start;
		start = below;
	}
	return plan(pt, NULL, levels - 1, false, start, last, physical, tables, plain);
}

/* One level on top, unless another writer has put it there. */
static void grow_once(struct mapping *m, u64 top, const bool plain)
{
	struct isolde_pt *pt = m->pt;
	unsigned levels = pt_top_levels(top);
	entry_t *root = reserve_take(&m->reserve);

	memset((void *)root, 0, TABLE_SIZE);
	store(root, table_entry(pt_top_root(top), levels), swaps(pt, plain));
	if (atomic_compare_exchange_strong_explicit(&pt->top, &top, pt_table_address(pt, root) | (levels + 1),
						    memory_order_acq_rel, memory_order_acquire))
		atomic_fetch_add_explicit(&pt->bytes, TABLE_SIZE, memory_order_relaxed);
	else
		reserve_put(&m->reserve, root);
}

static void grow(struct mapping *m, u64 last, const bool plain)
{
	for (;;) {
		u64 top = load_top(m->pt);

		if (within_top(top, last))
			return;
		grow_once(m, top, plain);
	}
}

/* ---- map ---- */

static always_inline int map_any_as(struct isolde_pt *pt, u64 start, u64 last, u64 physical, u64 bits,
				    struct isolde_pt_gather *gather, const bool plain)
{
	struct mapping m = {.pt = pt, .bits = bits, .gather = gather};
	u64 top = load_top(pt);
	unsigned levels = within_top(top, last) ? pt_top_levels(top) : levels_for(last);
	size_t tables = levels - pt_top_levels(top);
	bool free = FORMAT_GROWS ? plan_grown(pt, top, levels, start, last, physical, &tables, plain)
				 : plan(pt, root_of(pt, top, plain), levels - 1, true, start, last, physical, &tables,
					plain);
	int err;

	if (!free)
		return -EADDRINUSE;
	err = reserve_fill(pt, &m.reserve, tables);
	if (err < 0)
		return err;
	if (FORMAT_GROWS)
		grow(&m, last, plain);
	top = load_top(pt);
	perform(&m, root_of(pt, top, plain), pt_top_levels(top) - 1, true, start, last, physical, plain);
	reserve_drop(pt, &m.reserve);
	return 0;
}

static __attribute__((noinline)) int map_any(struct isolde_pt *pt, u64 start, u64 last, u64 physical, u64 bits,
					     struct isolde_pt_gather *gather)
{
	if (pt->adopted)
		return -EPERM;
	if (pt->plain)
		return map_any_as(pt, start, last, physical, bits, gather, true);
	return map_any_as(pt, start, last, physical, bits, gather, false);
}

/* The level of the leaves when [start, last] takes only those of one. */
static always_inline unsigned level_of_leaves(const struct isolde_pt *pt, u64 bits)
{
	unsigned level = 0;

	while (pt->leaf_levels >> (level + 1) & 1 && is_aligned(bits, level_size(level + 1)))
		level++;
	return level;
}

/*
 * The short way: all leaves belong into one table that is there already, and nothing is in their places. False when it
 * is not so simple.
 */
static always_inline bool map_short(struct isolde_pt *pt, u64 start, u64 last, u64 physical, u64 bits)
{
	unsigned level = level_of_leaves(pt, start | physical | (last + 1));
	u64 top = load_top(pt);
	unsigned at = pt_top_levels(top) - 1;
	entry_t *slot = (entry_t *)(uintptr_t)pt_top_root(top) + root_index(pt, start, at);

	if ((start ^ last) > table_span(level) || at < level || !within_top(top, last))
		return false;
	for (; at > level; at--) {
		u64 entry = load(slot, false);

		if (!is_table(entry, at))
			return false;
		slot = (entry_t *)(uintptr_t)entry_table(entry) + index_at(start, at - 1);
	}
	if (!run_free(slot, (size_t)((last - start) >> level_shift(level)) + 1))
		return false;
	fill_leaves(pt, bits, slot, level, start, last, physical, true);
	return true;
}

static always_inline int map(struct isolde_pt *pt, u64 iova, u64 physical, u64 size, unsigned flags,
			     struct isolde_pt_gather *gather)
{
	u64 bits = flags < PT_FLAGS_N ? pt->leaf_bits[flags] : 0;
	u64 last = iova + size - 1;

	if (unlikely(!size || !is_aligned(iova | physical | size, level_size(0)) || !bits))
		return -EINVAL;
	if (unlikely(pt_beyond(pt, iova, size) || physical > pt->output_last || size - 1 > pt->output_last - physical))
		return -ERANGE;
	if (likely(pt->plain && map_short(pt, iova, last, physical, bits)))
		return 0;
	return map_any(pt, iova, last, physical, bits, gather);
}

#endif
