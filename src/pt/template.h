/* SPDX-License-Identifier: MIT */
/*
 * Map, unmap and walk for one format, whose fmt_NAME.h was included before (see pt/format.h). No include guard: each
 * format's source includes it once and gets its own copy.
 *
 * Tables have 512 entries of 64 bits in 4 KiB of memory; a range is worked off recursively, one "piece" per entry.
 *
 * Invariant: no table below the root is empty. Map decides before it does: one pass proves that the range is free and
 * counts the tables it needs, these are reserved, and what follows cannot fail. A leaf therefore never replaces a
 * table, nothing is ever split, and a walker beside a map that fails never saw any of it. Unmap frees the tables it
 * empties. Entries are published with release order after what they point to.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"

enum { TABLE_ENTRIES = 512 };

typedef _Atomic u64 entry_t;

struct table {
	entry_t entry[TABLE_ENTRIES];
};

static u64 level_size(unsigned level)
{
	return PAGE_SIZE << (9 * level);
}

static unsigned index_at(u64 iova, unsigned level)
{
	return (unsigned)(iova >> (PAGE_SHIFT + 9 * level)) & (TABLE_ENTRIES - 1);
}

/* The last address of [start, last] that is under the same entry of this level as start. */
static u64 piece_last(u64 start, u64 last, unsigned level)
{
	return min_u64(last, start | (level_size(level) - 1));
}

static u64 load(const entry_t *entry)
{
	return atomic_load_explicit(entry, memory_order_acquire);
}

static void publish(entry_t *entry, u64 value)
{
	atomic_store_explicit(entry, value, memory_order_release);
}

static bool table_empty(const struct table *table)
{
	for (unsigned i = 0; i < TABLE_ENTRIES; i++)
		if (load(&table->entry[i]))
			return false;
	return true;
}

static struct table *table_new(void)
{
	struct table *table = fallible() ? aligned_alloc(PAGE_SIZE, sizeof(*table)) : NULL;

	if (table)
		memset(table, 0, sizeof(*table));
	return table;
}

static void table_free_below(struct table *table, unsigned level)
{
	for (unsigned i = 0; level > 0 && i < TABLE_ENTRIES; i++) {
		u64 entry = load(&table->entry[i]);

		if (entry_present(entry) && !entry_is_leaf(entry, level))
			table_free_below(entry_table(entry), level - 1);
	}
	free(table);
}

static bool template_init(struct isolde_pt *pt)
{
	pt->root = table_new();
	pt->tables = pt->root != NULL;
	return pt->root != NULL;
}

static void template_fini(struct isolde_pt *pt)
{
	if (pt->root)
		table_free_below(pt->root, FORMAT_LEVELS - 1);
}

/* Tables reserved for one map, chained by their first entries. */
struct reserve {
	struct table *first;
	size_t count;
};

static struct table *reserve_take(struct reserve *reserve)
{
	struct table *table = reserve->first;

	assert(reserve->count > 0);
	reserve->first = (struct table *)(uintptr_t)load(&table->entry[0]);
	reserve->count--;
	publish(&table->entry[0], 0);
	return table;
}

static void reserve_drop(struct reserve *reserve)
{
	while (reserve->count)
		free(reserve_take(reserve));
}

static bool reserve_fill(struct reserve *reserve, size_t wanted)
{
	while (reserve->count < wanted) {
		struct table *table = table_new();

		if (!table) {
			reserve_drop(reserve);
			return false;
		}
		publish(&table->entry[0], (uintptr_t)reserve->first);
		reserve->first = table;
		reserve->count++;
	}
	return true;
}

/* Would a leaf at this level map from start on, and no further than last? */
static bool leaf_fits(u64 start, u64 last, u64 physical, unsigned level)
{
	u64 size = level_size(level);

	return FORMAT_LEAF_LEVELS & 1u << level && is_aligned(start | physical, size) && last - start == size - 1;
}

/*
 * Decides: false when a page of [start, last] is mapped; else adds to *tables how many new ones mapping it takes. table
 * is NULL where it would be one of those.
 */
static bool plan_map(const struct table *table, unsigned level, u64 start, u64 last, u64 physical, size_t *tables)
{
	for (;;) {
		u64 piece = piece_last(start, last, level);
		u64 entry = table ? load(&table->entry[index_at(start, level)]) : 0;
		const struct table *below = NULL;

		if (entry_present(entry)) {
			if (entry_is_leaf(entry, level))
				return false;
			below = entry_table(entry);
		}
		if (!below && !leaf_fits(start, piece, physical, level))
			++*tables;
		/* A new table of pages needs none below. */
		if ((below || (level > 1 && !leaf_fits(start, piece, physical, level))) &&
		    !plan_map(below, level - 1, start, piece, physical, tables))
			return false;
		if (piece == last)
			return true;
		physical += piece - start + 1;
		start = piece + 1;
	}
}

/* Does what was planned. A new table is filled before it is linked. */
static void perform_map(struct table *table, unsigned level, u64 start, u64 last, u64 physical, unsigned permission,
			struct reserve *reserve)
{
	for (;;) {
		u64 piece = piece_last(start, last, level);
		entry_t *slot = &table->entry[index_at(start, level)];
		u64 entry = load(slot);

		if (!entry_present(entry) && leaf_fits(start, piece, physical, level)) {
			publish(slot, entry_of_leaf(physical, level, permission));
		} else {
			struct table *below = entry_present(entry) ? entry_table(entry) : reserve_take(reserve);

			perform_map(below, level - 1, start, piece, physical, permission, reserve);
			if (!entry_present(entry))
				publish(slot, entry_of_table(below));
		}
		if (piece == last)
			return;
		physical += piece - start + 1;
		start = piece + 1;
	}
}

static int template_map(struct isolde_pt *pt, u64 iova, u64 physical, u64 size, unsigned permission)
{
	struct reserve reserve = {.first = NULL};
	u64 last = iova + size - 1;
	size_t wanted = 0;

	if (!plan_map(pt->root, FORMAT_LEVELS - 1, iova, last, physical, &wanted))
		return -EADDRINUSE;
	if (!reserve_fill(&reserve, wanted))
		return -ENOMEM;
	perform_map(pt->root, FORMAT_LEVELS - 1, iova, last, physical, permission, &reserve);
	assert(reserve.count == 0);
	pt->tables += wanted;
	return 0;
}

/* Removes the leaves of [start, last] and the tables that are empty then. A hole ends it: *ret_hole is set. */
static u64 unmap_table(struct isolde_pt *pt, struct table *table, unsigned level, u64 start, u64 last, bool *ret_hole)
{
	u64 removed = 0;

	for (;;) {
		u64 piece = piece_last(start, last, level);
		entry_t *slot = &table->entry[index_at(start, level)];
		u64 entry = load(slot);

		if (!entry_present(entry)) {
			*ret_hole = true;
		} else if (entry_is_leaf(entry, level)) {
			publish(slot, 0);
			removed += level_size(level);
		} else {
			removed += unmap_table(pt, entry_table(entry), level - 1, start, piece, ret_hole);
			if (table_empty(entry_table(entry))) {
				publish(slot, 0);
				free(entry_table(entry));
				pt->tables--;
			}
		}
		if (piece == last || *ret_hole)
			return removed;
		start = piece + 1;
	}
}

static u64 template_unmap(struct isolde_pt *pt, u64 iova, u64 size)
{
	bool hole = false;

	return unmap_table(pt, pt->root, FORMAT_LEVELS - 1, iova, iova + size - 1, &hole);
}

/* What an access gets is what all levels permit. */
static enum isolde_pt_fault template_walk(const struct isolde_pt *pt, u64 iova, unsigned permission,
					  struct isolde_pt_walk *ret)
{
	unsigned granted = ISOLDE_PT_READ | ISOLDE_PT_WRITE;
	const struct table *table = pt->root;

	for (unsigned level = FORMAT_LEVELS - 1;; level--) {
		u64 entry = load(&table->entry[index_at(iova, level)]);

		if (!entry_present(entry))
			return ISOLDE_PT_NOT_PRESENT;
		if (entry_reserved(entry, level))
			return ISOLDE_PT_RESERVED;
		granted &= entry_permission(entry);
		if (!entry_is_leaf(entry, level)) {
			table = entry_table(entry);
			continue;
		}
		if (permission & ~granted)
			return ISOLDE_PT_PERMISSION;
		ret->leaf_size = level_size(level);
		ret->physical = entry_physical(entry, level) | (iova & (ret->leaf_size - 1));
		ret->permission = granted;
		return ISOLDE_PT_OK;
	}
}

static size_t check_table(const struct table *table, unsigned level)
{
	size_t tables = 1;

	for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
		u64 entry = load(&table->entry[i]);

		if (!entry_present(entry)) {
			assert(entry == 0);
			continue;
		}
		assert(!entry_reserved(entry, level));
		if (entry_is_leaf(entry, level)) {
			assert(FORMAT_LEAF_LEVELS & 1u << level);
			assert(is_aligned(entry_physical(entry, level), level_size(level)));
		} else {
			assert(level > 0);
			assert(!table_empty(entry_table(entry)));
			tables += check_table(entry_table(entry), level - 1);
		}
	}
	return tables;
}

static void template_check(const struct isolde_pt *pt)
{
	size_t tables = check_table(pt->root, FORMAT_LEVELS - 1);

	assert(tables == pt->tables);
	(void)tables;
}

/* Level n has leaves of 4 KiB << 9n. */
#define PT_TEMPLATE_LEAF(level) (FORMAT_LEAF_LEVELS & 1u << (level) ? PAGE_SIZE << 9 * (level) : 0)

#define PT_TEMPLATE_OPS                                                                                                \
	{                                                                                                              \
		.page_sizes = PT_TEMPLATE_LEAF(0) | PT_TEMPLATE_LEAF(1) | PT_TEMPLATE_LEAF(2) | PT_TEMPLATE_LEAF(3),   \
		.input_bits = FORMAT_INPUT_BITS, .output_bits = FORMAT_OUTPUT_BITS, .init = template_init,             \
		.fini = template_fini, .map = template_map, .unmap = template_unmap, .walk = template_walk,            \
		.check = template_check,                                                                               \
	}
