/* SPDX-License-Identifier: MIT */
/*
 * Part of pt/template.h: which pages were written. Hardware may write a bit while we clear it, and of a leaf of several
 * entries any one; so a leaf is dirty when one of its entries is, and each is cleared with compare-and-swap.
 */
#ifndef PT_TEMPLATE_DIRTY_H
#define PT_TEMPLATE_DIRTY_H

#include "pt/template_base.h"

struct dirty {
	struct isolde_pt *pt;
	u64 start, last; /* of the whole request */
	const struct dirty_sink *sink;
	struct isolde_pt_gather *gather;
	bool clear;
};

static void mark_bits(u64 *bitmap, u64 first, u64 final)
{
	for (u64 n = first; n <= final; n++) {
		if (n % 64 == 0 && final - n >= 63) {
			bitmap[n / 64] = ~0ull;
			n += 63;
		} else {
			bitmap[n / 64] |= BIT(n % 64);
		}
	}
}

static void mark_dirty(const struct dirty *d, u64 start, u64 last)
{
	const struct dirty_sink *sink = d->sink;

	start = max_u64(start, d->start);
	last = min_u64(last, d->last);
	if (sink->visit)
		sink->visit(sink->context, start, last);
	else
		mark_bits(sink->bitmap, (start - d->start) >> sink->page_shift, (last - d->start) >> sink->page_shift);
}

static void clean_entry(const struct isolde_pt *pt, entry_t *slot)
{
	for (;;) {
		u64 entry = load(slot, swaps(pt, false));

		if (!leaf_dirty(entry) || exchange(slot, entry, leaf_cleaned(entry), swaps(pt, false)))
			return;
	}
}

static entry_t *dirty_slot(const struct dirty *d, u64 address)
{
	return d->pt->plain ? (entry_t *)(uintptr_t)address : d->pt->locate(d->pt, address, d->clear);
}

static bool leaf_written(const struct dirty *d, u64 address, size_t entries)
{
	for (size_t i = 0; i < entries; i++) {
		entry_t *slot = dirty_slot(d, address + i * sizeof(*slot));

		if (slot && leaf_dirty(load(slot, swaps(d->pt, false))))
			return true;
	}
	return false;
}

/* One leaf, whose first entry is at this address. */
static void read_leaf(const struct dirty *d, u64 address, u64 start, u64 last, size_t entries)
{
	if (!leaf_written(d, address, entries))
		return;
	mark_dirty(d, start, last);
	if (!d->clear || start < d->start || last > d->last)
		return;
	for (size_t i = 0; i < entries; i++) {
		entry_t *slot = dirty_slot(d, address + i * sizeof(*slot));

		if (slot)
			clean_entry(d->pt, slot);
	}
	if (d->gather)
		pt_gather_add(d->gather, start, last, 0);
}

/* The leaf at this address maps start; returns the last byte of it that the request has. */
static u64 read_entry(const struct dirty *d, u64 address, u64 entry, unsigned level, u64 start, u64 piece)
{
	size_t entries = FORMAT_RUNS ? (size_t)1 << leaf_run(entry, level) : 1;
	u64 size = leaf_size_of(entry, level), begins = start & ~(size - 1);
	u64 before = (start - begins) >> level_shift(level);

	read_leaf(d, address - before * sizeof(entry_t), begins, begins + size - 1, entries);
	return max_u64(piece, min_u64(d->last, begins + size - 1));
}

static void read_table(const struct dirty *d, u64 table, unsigned level, bool root, u64 start, u64 last)
{
	const struct isolde_pt *pt = d->pt;

	for (;;) {
		u64 address = table + sizeof(entry_t) * (root ? root_index(pt, start, level) : index_at(start, level));
		entry_t *slot = dirty_slot(d, address);
		u64 entry = slot ? load(slot, swaps(pt, false)) : 0;
		u64 piece = piece_last(start, last, level);

		if (entry_present(entry, level) && entry_fault(pt, entry, level) == ISOLDE_PT_OK) {
			unsigned next = is_table(entry, level) ? entry_next_level(entry, level) : level;

			if (next == level)
				piece = min_u64(last, read_entry(d, address, entry, level, start, piece));
			else if (!skipped_bits(start, level, next))
				read_table(d, entry_table(entry), next, false, start,
					   min_u64(piece, start | table_span(next)));
		}
		if (piece == last)
			return;
		start = piece + 1;
	}
}

static void read_dirty(struct isolde_pt *pt, u64 start, u64 last, bool clear, const struct dirty_sink *sink,
		       struct isolde_pt_gather *gather)
{
	struct dirty d = {pt, start, last, sink, gather, clear};
	u64 top = load_top(pt);
	unsigned level = pt_top_levels(top) - 1;

	if (!within_top(top, start))
		return;
	if (!within_top(top, last))
		last = table_span(level);
	read_table(&d, pt_top_root(top), level, true, start, last);
}

static void clean_table(struct isolde_pt *pt, entry_t *table, unsigned level, size_t entries)
{
	for (size_t i = 0; i < entries; i++) {
		u64 entry = load(&table[i], swaps(pt, false));

		if (is_table(entry, level))
			clean_table(pt, table_below(pt, entry, false), level - 1, TABLE_ENTRIES);
		else if (entry)
			clean_entry(pt, &table[i]);
	}
}

static void clean(struct isolde_pt *pt)
{
	u64 top = load_top(pt);

	clean_table(pt, root_of(pt, top, false), pt_top_levels(top) - 1, root_entries(pt));
}

#endif
