/* SPDX-License-Identifier: MIT */
/*
 * Part of pt/template.h: what hardware does for one access.
 *
 * An entry's own faults (not present, reserved, beyond the output) are found on the way down, permissions at the leaf.
 * Accessed and dirty bits are written when the access is granted, with compare-and-swap: an entry that has changed in
 * the meantime means that the walk begins again, as hardware's does.
 */
#ifndef PT_TEMPLATE_WALK_H
#define PT_TEMPLATE_WALK_H

#include "pt/template_base.h"

enum { ACCESS = ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_EXECUTE };

/* The way to a leaf. */
struct path {
	u64 address[PT_LEVELS_MAX]; /* of the entry, by level; 0 where a level was skipped */
	u64 entry[PT_LEVELS_MAX];
	unsigned top;
};

static always_inline u64 physical_of(u64 iova, u64 entry, unsigned level)
{
	return leaf_physical(entry, level) | (iova & (leaf_reach(entry, level) - 1));
}

/*
 * Down to the last entry: a leaf, or what faults, in *ret_entry and *ret_level. *ret_through is what the tables permit.
 */
static always_inline enum isolde_pt_fault descend(const struct isolde_pt *pt, u64 iova, u64 *ret_entry,
						  unsigned *ret_level, u64 *ret_through, struct path *path,
						  const bool plain)
{
	u64 top = load_top(pt), address = pt_top_root(top), entry, through = WALK_BEGIN;
	unsigned level = pt_top_levels(top) - 1, next;
	size_t index = root_index(pt, iova, level);
	enum isolde_pt_fault fault;

	*ret_entry = 0;
	*ret_level = level;
	if (!within_top(top, iova))
		return ISOLDE_PT_NOT_PRESENT;
	for (;; level = next, index = index_at(iova, level)) {
		entry_t *slot = plain ? (entry_t *)(uintptr_t)address + index
				      : pt->locate(pt, address + index * sizeof(entry_t), false);

		*ret_level = level;
		if (!plain && !slot) {
			*ret_entry = 0;
			return ISOLDE_PT_TABLE;
		}
		entry = load(slot, swaps(pt, plain));
		*ret_entry = entry;
		if (unlikely(!entry_present(entry, level)))
			return ISOLDE_PT_NOT_PRESENT;
		fault = entry_fault(pt, entry, level);
		if (unlikely(fault != ISOLDE_PT_OK))
			return fault;
		if (path) {
			path->address[level] = address + index * sizeof(entry_t);
			path->entry[level] = entry;
		}
		if (!is_table(entry, level))
			break;
		next = entry_next_level(entry, level);
		if (skipped_bits(iova, level, next))
			return ISOLDE_PT_NOT_PRESENT;
		through = walk_through(through, entry);
		address = entry_table(entry);
	}
	*ret_through = through;
	return ISOLDE_PT_OK;
}

/* Writes one entry as the access leaves it; OK when that took nothing, or was done. */
static always_inline bool update(const struct isolde_pt *pt, u64 address, u64 entry, u64 used, const bool plain,
				 enum isolde_pt_fault *ret)
{
	entry_t *slot;

	if (used == entry)
		return true;
	if (!plain && pt->change)
		return pt->change(pt, address, swaps(pt, plain) ? __builtin_bswap64(entry) : entry,
				  swaps(pt, plain) ? __builtin_bswap64(used) : used, ret);
	slot = plain ? (entry_t *)(uintptr_t)address : pt->locate(pt, address, true);
	if (!slot) {
		*ret = ISOLDE_PT_TABLE;
		return true;
	}
	return exchange(slot, entry, used, swaps(pt, plain));
}

/* False: an entry has changed, walk again. Levels that were skipped have no entry; a table may well be at address 0. */
static bool update_path(const struct isolde_pt *pt, const struct path *path, unsigned leaf, bool write,
			const bool plain, enum isolde_pt_fault *ret)
{
	for (unsigned level = path->top; level > leaf && *ret == ISOLDE_PT_OK; level--)
		if (path->entry[level] &&
		    !update(pt, path->address[level], path->entry[level], table_used(path->entry[level]), plain, ret))
			return false;
	return *ret != ISOLDE_PT_OK ||
	       update(pt, path->address[leaf], path->entry[leaf], leaf_used(path->entry[leaf], write), plain, ret);
}

static always_inline void answer(struct isolde_pt_walk *ret, u64 iova, u64 entry, unsigned level, unsigned granted)
{
	*ret = (struct isolde_pt_walk){
		.physical = physical_of(iova, entry, level),
		.leaf_size = leaf_size_of(entry, level),
		.permission = granted,
		.level = level,
		.entry = entry,
		.address = iova,
	};
}

/* Of an access that found its leaf. */
static always_inline enum isolde_pt_fault judge(const struct isolde_pt *pt, u64 entry, unsigned access,
						unsigned granted)
{
	bool denied = access & ACCESS & ~granted, refused = access & ACCESS && leaf_refuses(pt, entry, access);

	if (refused && (FORMAT_ACCESS_FIRST || !denied))
		return ISOLDE_PT_ACCESS_FLAG;
	return denied ? ISOLDE_PT_PERMISSION : ISOLDE_PT_OK;
}

static always_inline enum isolde_pt_fault walk_as(const struct isolde_pt *pt, u64 iova, unsigned access,
						  struct isolde_pt_walk *ret, struct path *path, const bool plain)
{
	enum isolde_pt_fault fault;
	u64 entry, through = 0;
	unsigned level, granted = 0;

	fault = descend(pt, iova, &entry, &level, &through, path, plain);
	if (fault == ISOLDE_PT_OK) {
		granted = walk_grants(pt, through, entry, access);
		fault = judge(pt, entry, access, granted);
	}
	if (likely(fault == ISOLDE_PT_OK))
		answer(ret, iova, entry, level, granted & ~FORMAT_GRANTS_UNSAID);
	else
		*ret = (struct isolde_pt_walk){.level = level, .entry = entry, .address = iova};
	return fault;
}

/* The walk that writes accessed and dirty bits. */
static always_inline enum isolde_pt_fault walk_updating(const struct isolde_pt *pt, u64 iova, unsigned access,
							struct isolde_pt_walk *ret, const bool plain)
{
	enum isolde_pt_fault fault;
	struct path path;

	do {
		path = (struct path){.top = pt_top_levels(load_top(pt)) - 1};
		fault = walk_as(pt, iova, access, ret, &path, plain);
		if (fault != ISOLDE_PT_OK)
			return fault;
	} while (!update_path(pt, &path, ret->level, access & ISOLDE_PT_WRITE, plain, &fault));
	if (fault != ISOLDE_PT_OK)
		*ret = (struct isolde_pt_walk){.level = ret->level, .entry = ret->entry, .address = iova};
	return fault;
}

static __attribute__((noinline)) enum isolde_pt_fault walk_slow(const struct isolde_pt *pt, u64 iova, unsigned access,
								struct isolde_pt_walk *ret)
{
	bool updates = pt->features & ISOLDE_PT_DIRTY && access & ACCESS;

	if (pt->plain)
		return updates ? walk_updating(pt, iova, access, ret, true)
			       : walk_as(pt, iova, access, ret, NULL, true);
	return updates ? walk_updating(pt, iova, access, ret, false) : walk_as(pt, iova, access, ret, NULL, false);
}

static always_inline enum isolde_pt_fault walk(const struct isolde_pt *pt, u64 iova, unsigned access,
					       struct isolde_pt_walk *ret)
{
	if (unlikely(iova - pt->first > pt->span)) {
		*ret = (struct isolde_pt_walk){.address = iova};
		return ISOLDE_PT_ADDRESS;
	}
	if (unlikely(!pt->plain || pt->features & ISOLDE_PT_DIRTY))
		return walk_slow(pt, iova, access, ret);
	return walk_as(pt, iova, access, ret, NULL, true);
}

static always_inline u64 iova_to_phys(const struct isolde_pt *pt, u64 iova)
{
	u64 entry, through;
	unsigned level;
	enum isolde_pt_fault fault;

	if (unlikely(iova - pt->first > pt->span))
		return 0;
	if (likely(pt->plain))
		fault = descend(pt, iova, &entry, &level, &through, NULL, true);
	else
		fault = descend(pt, iova, &entry, &level, &through, NULL, false);
	return likely(fault == ISOLDE_PT_OK) ? physical_of(iova, entry, level) : 0;
}

#endif
