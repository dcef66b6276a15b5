/* SPDX-License-Identifier: MIT */
/* Part of pt/template.h: tables, indices, entries in memory. */
#ifndef PT_TEMPLATE_BASE_H
#define PT_TEMPLATE_BASE_H

#include <errno.h>

#include "pt/run.h"

enum {
	INDEX_BITS = FORMAT_GRANULE_SHIFT - 3,
	TABLE_ENTRIES = 1 << INDEX_BITS,
	TABLE_SIZE = TABLE_ENTRIES * 8,
};

static always_inline unsigned level_shift(unsigned level)
{
	return FORMAT_GRANULE_SHIFT + INDEX_BITS * level;
}

static always_inline u64 level_size(unsigned level)
{
	return 1ull << level_shift(level);
}

/* Of what a whole table of this level spans, less one: the sixth level of AMD v1 spans more than 64 bits. */
static always_inline u64 table_span(unsigned level)
{
	return level_shift(level + 1) < 64 ? level_size(level + 1) - 1 : ~0ull;
}

static always_inline size_t index_at(u64 iova, unsigned level)
{
	return (iova >> level_shift(level)) & (TABLE_ENTRIES - 1);
}

static always_inline size_t root_index(const struct isolde_pt *pt, u64 iova, unsigned level)
{
	return (iova >> level_shift(level)) & pt->root_mask;
}

/* The root's index of the first page of a range, a table's of any. */
static always_inline entry_t *slot_of(const struct isolde_pt *pt, entry_t *table, u64 iova, unsigned level, bool root)
{
	return table + (root ? root_index(pt, iova, level) : index_at(iova, level));
}

/* The last address of [start, last] that is under the same entry of this level as start. */
static always_inline u64 piece_last(u64 start, u64 last, unsigned level)
{
	return min_u64(last, start | (level_size(level) - 1));
}

/* Does [start, last] have all that a table of this level spans? */
static always_inline bool whole_table(u64 start, u64 last, unsigned level)
{
	return last - start == table_span(level);
}

static always_inline bool swaps(const struct isolde_pt *pt, const bool plain)
{
	return !plain && pt->memory.big_endian;
}

/* Of tables that we own: there is memory. */
static always_inline entry_t *table_of(const struct isolde_pt *pt, u64 address, size_t size, const bool plain)
{
	return plain ? (entry_t *)(uintptr_t)address : pt_table_at(pt, address, size);
}

static always_inline entry_t *table_below(const struct isolde_pt *pt, u64 entry, const bool plain)
{
	return table_of(pt, entry_table(entry), TABLE_SIZE, plain);
}

static always_inline u64 load_top(const struct isolde_pt *pt)
{
	return atomic_load_explicit(&pt->top, memory_order_acquire);
}

static always_inline entry_t *root_of(const struct isolde_pt *pt, u64 top, const bool plain)
{
	return table_of(pt, pt_top_root(top), pt->root_size, plain);
}

/* False for what a table that has not grown yet does not span. */
static always_inline bool within_top(u64 top, u64 last)
{
	return !FORMAT_GROWS || last <= table_span(pt_top_levels(top) - 1);
}

static always_inline bool is_table(u64 entry, unsigned level)
{
	return level > 0 && entry_present(entry, level) && entry_is_table(entry, level);
}

/* The bytes of the leaf that this entry belongs to. */
static always_inline u64 leaf_size_of(u64 entry, unsigned level)
{
	return level_size(level) << (FORMAT_RUNS ? leaf_run(entry, level) : 0);
}

static bool table_empty(const entry_t *table)
{
	return run_free(table, TABLE_ENTRIES);
}

static size_t root_entries(const struct isolde_pt *pt)
{
	return pt->root_size / sizeof(entry_t);
}

/* Skipping levels (AMD 48882 section 2.2.3): the bits of the IOVA that would index them must be zero. */
static always_inline bool skipped_bits(u64 iova, unsigned level, unsigned next)
{
	return next + 1 != level && iova & (table_span(level - 1) & ~table_span(next));
}

#endif
