/* SPDX-License-Identifier: MIT */
/*
 * Part of pt/template.h: unmap, trim, free, check.
 *
 * Unmap, too, decides first: it looks at every entry of the range before it clears one. A table that the range covers
 * whole is taken out with all below; one that it covers in part keeps its place, even when that leaves it empty.
 */
#ifndef PT_TEMPLATE_UNMAP_H
#define PT_TEMPLATE_UNMAP_H

#include "pt/template_base.h"

/* The whole of an entry's subtree is mapped. */
static bool subtree_full(const struct isolde_pt *pt, u64 entry, unsigned level, const bool plain);

static always_inline bool slots_full(const struct isolde_pt *pt, const entry_t *slot, size_t count, const bool plain)
{
	if (plain)
		return run_full(slot, count);
	for (size_t i = 0; i < count; i++)
		if (!load(&slot[i], false))
			return false;
	return true;
}

static bool table_full(const struct isolde_pt *pt, const entry_t *table, unsigned level, const bool plain)
{
	if (level == 0)
		return slots_full(pt, table, TABLE_ENTRIES, plain);
	for (size_t i = 0; i < TABLE_ENTRIES; i++)
		if (!subtree_full(pt, load(&table[i], swaps(pt, plain)), level, plain))
			return false;
	return true;
}

static bool subtree_full(const struct isolde_pt *pt, u64 entry, unsigned level, const bool plain)
{
	if (!entry)
		return false;
	return !is_table(entry, level) || table_full(pt, table_below(pt, entry, plain), level - 1, plain);
}

/* The leaf this entry belongs to, as the address of its first byte and its last. */
static always_inline u64 leaf_start(u64 iova, u64 entry, unsigned level)
{
	return iova & ~(leaf_size_of(entry, level) - 1);
}

/* Finds the leaf that maps iova; 0 when none does. */
static u64 find_leaf(const struct isolde_pt *pt, u64 iova, unsigned *ret_level, const bool plain)
{
	u64 top = load_top(pt);
	unsigned level = pt_top_levels(top) - 1;
	entry_t *slot = root_of(pt, top, plain) + root_index(pt, iova, level);

	for (;; level--) {
		u64 entry = load(slot, swaps(pt, plain));

		*ret_level = level;
		if (!is_table(entry, level))
			return entry;
		slot = table_below(pt, entry, plain) + index_at(iova, level - 1);
	}
}

/* Leaves side by side, from start on, of the entries that [start, last] has whole. */
static always_inline size_t leaves_ahead(const struct isolde_pt *pt, const entry_t *slot, unsigned level, u64 start,
					 u64 last, const bool plain)
{
	size_t most = is_aligned(start, level_size(level)) ? (size_t)((last - start + 1) >> level_shift(level)) : 0;
	size_t count = 0;

	for (; count < most; count++) {
		u64 entry = load(&slot[count], swaps(pt, plain));

		if (!entry || is_table(entry, level))
			break;
	}
	return count;
}

/* 0 when all of [start, last] is mapped. */
static int plan_unmap(const struct isolde_pt *pt, entry_t *table, unsigned level, bool root, u64 start, u64 last,
		      const bool plain)
{
	entry_t *slot = slot_of(pt, table, start, level, root);
	size_t count = (size_t)((last >> level_shift(level)) - (start >> level_shift(level))) + 1;

	if (level == 0)
		return slots_full(pt, slot, count, plain) ? 0 : -ENOENT;
	for (;;) {
		size_t leaves = leaves_ahead(pt, slot, level, start, last, plain);
		u64 piece = leaves ? start + (leaves << level_shift(level)) - 1 : piece_last(start, last, level);
		u64 entry = load(slot, swaps(pt, plain));
		int err;

		if (!entry)
			return -ENOENT;
		if (is_table(entry, level)) {
			err = plan_unmap(pt, table_below(pt, entry, plain), level - 1, false, start, piece, plain);
			if (err < 0)
				return err;
		}
		if (piece == last)
			return 0;
		slot += leaves ? leaves : 1;
		start = piece + 1;
	}
}

static always_inline void clear(const struct isolde_pt *pt, entry_t *slot, size_t count)
{
	run_store(slot, count, 0, 0);
}

/* A table nobody can reach any more, and all tables below it. */
static void discard_table(struct isolde_pt *pt, entry_t *table, unsigned level, struct isolde_pt_gather *gather,
			  const bool plain)
{
	for (size_t i = 0; level && i < TABLE_ENTRIES; i++) {
		u64 entry = load(&table[i], swaps(pt, plain));

		if (is_table(entry, level))
			discard_table(pt, table_below(pt, entry, plain), level - 1, gather, plain);
	}
	pt_table_discard(pt, table, gather);
}

/* Clears what was planned; returns the lowest level that had leaves in it. */
static unsigned perform_unmap(struct isolde_pt *pt, entry_t *table, unsigned level, bool root, u64 start, u64 last,
			      struct isolde_pt_gather *gather, const bool plain)
{
	entry_t *slot = slot_of(pt, table, start, level, root);
	unsigned lowest = level;

	if (level == 0) {
		clear(pt, slot, (size_t)((last - start) >> level_shift(0)) + 1);
		return 0;
	}
	for (;;) {
		size_t leaves = leaves_ahead(pt, slot, level, start, last, plain);
		u64 piece = leaves ? start + (leaves << level_shift(level)) - 1 : piece_last(start, last, level);
		u64 entry = load(slot, swaps(pt, plain));
		unsigned below = level;

		if (leaves) {
			clear(pt, slot, leaves);
		} else if (whole_table(start, piece, level - 1)) {
			store(slot, 0, swaps(pt, plain));
			discard_table(pt, table_below(pt, entry, plain), level - 1, gather, plain);
			below = 0;
		} else {
			below = perform_unmap(pt, table_below(pt, entry, plain), level - 1, false, start, piece, gather,
					      plain);
		}
		lowest = below < lowest ? below : lowest;
		if (piece == last)
			return lowest;
		slot += leaves ? leaves : 1;
		start = piece + 1;
	}
}

static always_inline int unmap_any_as(struct isolde_pt *pt, u64 start, u64 last, struct isolde_pt_gather *gather,
				      u64 *ret_last, const bool plain)
{
	u64 top = load_top(pt);
	entry_t *root = root_of(pt, top, plain);
	unsigned level;
	u64 entry;
	int err;

	if (!within_top(top, last))
		return -ENOENT;
	entry = find_leaf(pt, start, &level, plain);
	if (entry && leaf_start(start, entry, level) != start)
		return -EINVAL;
	err = plan_unmap(pt, root, pt_top_levels(top) - 1, true, start, last, plain);
	if (err < 0)
		return err;
	entry = find_leaf(pt, last, &level, plain);
	last |= leaf_size_of(entry, level) - 1;
	level = perform_unmap(pt, root, pt_top_levels(top) - 1, true, start, last, gather, plain);
	if (gather)
		pt_gather_add(gather, start, last, level_size(level));
	*ret_last = last;
	return 0;
}

static __attribute__((noinline)) int unmap_any(struct isolde_pt *pt, u64 start, u64 last,
					       struct isolde_pt_gather *gather, u64 *ret_last)
{
	if (pt->adopted)
		return -EPERM;
	if (pt->plain)
		return unmap_any_as(pt, start, last, gather, ret_last, true);
	return unmap_any_as(pt, start, last, gather, ret_last, false);
}

/* Is this entry inside a leaf of several entries, not at the start, or not at the last? */
static always_inline bool inside_run(u64 iova, u64 entry, unsigned level, bool last)
{
	u64 size = leaf_size_of(entry, level);

	return ((last ? iova + 1 : iova) & (size - 1)) != 0;
}

/*
 * The short way: leaves of one table, whole, and not all of it. False when it is not so simple; then nothing is
 * decided.
 */
static always_inline bool unmap_short(struct isolde_pt *pt, u64 start, u64 last, struct isolde_pt_gather *gather)
{
	u64 top = load_top(pt);
	unsigned at = pt_top_levels(top) - 1;
	entry_t *slot = (entry_t *)(uintptr_t)pt_top_root(top) + root_index(pt, start, at);
	size_t count;
	u64 entry;

	if (!within_top(top, last))
		return false;
	for (;; at--) {
		entry = load(slot, false);
		if (!is_table(entry, at))
			break;
		slot = (entry_t *)(uintptr_t)entry_table(entry) + index_at(start, at - 1);
	}
	count = (size_t)((last - start) >> level_shift(at)) + 1;
	if ((start ^ last) >= table_span(at) || !is_aligned(start | (last + 1), level_size(at)))
		return false;
	if (at && count > 1)
		return false;
	if (!run_full(slot, count))
		return false;
	if (FORMAT_RUNS &&
	    (inside_run(start, entry, at, false) || inside_run(last, load(slot + count - 1, false), at, true)))
		return false;
	clear(pt, slot, count);
	if (gather)
		pt_gather_add(gather, start, last, level_size(at));
	return true;
}

static always_inline int unmap(struct isolde_pt *pt, u64 iova, u64 size, struct isolde_pt_gather *gather,
			       u64 *ret_removed)
{
	u64 last = iova + size - 1;
	int err = 0;

	if (unlikely(!size || !is_aligned(iova | size, level_size(0))))
		return -EINVAL;
	if (unlikely(pt_beyond(pt, iova, size)))
		return -ERANGE;
	if (unlikely(!pt->plain || !unmap_short(pt, iova, last, gather)))
		err = unmap_any(pt, iova, last, gather, &last);
	if (ret_removed && err == 0)
		*ret_removed = last - iova + 1;
	return err;
}

/* ---- trim ---- */

static size_t trim_table(struct isolde_pt *pt, entry_t *table, unsigned level, bool root, u64 start, u64 last,
			 struct isolde_pt_gather *gather, const bool plain)
{
	size_t freed = 0;

	for (entry_t *slot = slot_of(pt, table, start, level, root); level; slot++) {
		u64 piece = piece_last(start, last, level);
		u64 entry = load(slot, swaps(pt, plain));

		if (is_table(entry, level)) {
			entry_t *below = table_below(pt, entry, plain);

			freed += trim_table(pt, below, level - 1, false, start, piece, gather, plain);
			if (table_empty(below)) {
				store(slot, 0, swaps(pt, plain));
				pt_table_discard(pt, below, gather);
				freed++;
				if (gather)
					pt_gather_add(gather, start, piece, 0);
			}
		}
		if (piece == last)
			break;
		start = piece + 1;
	}
	return freed;
}

static size_t trim(struct isolde_pt *pt, u64 start, u64 last, struct isolde_pt_gather *gather)
{
	u64 top = load_top(pt);
	unsigned level = pt_top_levels(top) - 1;

	if (!within_top(top, start))
		return 0;
	if (!within_top(top, last))
		last = table_span(level);
	if (pt->plain)
		return trim_table(pt, root_of(pt, top, true), level, true, start, last, gather, true);
	return trim_table(pt, root_of(pt, top, false), level, true, start, last, gather, false);
}

/* ---- free and check ---- */

static void free_below(struct isolde_pt *pt, entry_t *table, unsigned level, size_t entries)
{
	for (size_t i = 0; level && i < entries; i++) {
		u64 entry = load(&table[i], swaps(pt, false));

		if (is_table(entry, level)) {
			entry_t *below = table_below(pt, entry, false);

			free_below(pt, below, level - 1, TABLE_ENTRIES);
			pt_table_free(pt, below, TABLE_SIZE);
		}
	}
}

static void free_tables(struct isolde_pt *pt)
{
	u64 top = load_top(pt);
	entry_t *root = root_of(pt, top, false);

	free_below(pt, root, pt_top_levels(top) - 1, root_entries(pt));
	pt_table_free(pt, root, pt->root_size);
}

/* The entries of a leaf follow each other. */
static void check_run(const struct isolde_pt *pt, const entry_t *table, size_t index, unsigned level)
{
	u64 entry = load(&table[index], swaps(pt, false));
	size_t first = FORMAT_RUNS ? align_down(index, 1ull << leaf_run(entry, level)) : index;
	u64 head = load(&table[first], swaps(pt, false));
	u64 expected = head + (FORMAT_RUN_STEPS ? leaf_step(level) * (index - first) : 0);

	assert(leaf_cleaned(leaf_used(entry, true)) == leaf_cleaned(leaf_used(expected, true)));
	(void)expected;
}

static size_t check_table(const struct isolde_pt *pt, const entry_t *table, unsigned level, size_t entries)
{
	size_t bytes = 0;

	for (size_t i = 0; i < entries; i++) {
		u64 entry = load(&table[i], swaps(pt, false));

		if (!entry_present(entry, level)) {
			assert(entry == 0);
			continue;
		}
		assert(entry_fault(pt, entry, level) == ISOLDE_PT_OK);
		if (is_table(entry, level)) {
			assert(entry_next_level(entry, level) == level - 1);
			bytes += TABLE_SIZE + check_table(pt, table_below(pt, entry, false), level - 1, TABLE_ENTRIES);
		} else {
			assert(pt->page_sizes & leaf_size_of(entry, level));
			check_run(pt, table, i, level);
		}
	}
	return bytes;
}

static void check(const struct isolde_pt *pt)
{
	u64 top = load_top(pt);
	size_t bytes = pt->root_size +
		       check_table(pt, root_of(pt, top, false), pt_top_levels(top) - 1, root_entries(pt));

	assert(bytes == atomic_load_explicit(&pt->bytes, memory_order_relaxed));
	(void)bytes;
}

#endif
