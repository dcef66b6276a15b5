/* SPDX-License-Identifier: MIT */
/*
 * Where room is. Areas do not overlap, so each hole lies before an area, or behind the last. An area knows the size of
 * the hole before it, and the largest of its subtree: a search goes only where something is large enough.
 *
 * Sizes are kept as 16-bit classes, so that an index costs an area nothing but its padding: 1024 classes for each power
 * of two, rounded up. A hole may thus be up to a thousandth smaller than its class says; then the search goes on.
 */
#include "iommu/holes.h"

#define CLASS_BITS 10

/* Monotone: a hole of at least `size` bytes never has a lower class than size. */
static u16 class_of(u64 size)
{
	unsigned shift;
	u64 rounded;

	if (size < BIT(CLASS_BITS + 1))
		return (u16)size;
	shift = 63 - __builtin_clzll(size) - CLASS_BITS;
	/* May be one more than the power of two has classes: that is the first of the next. */
	rounded = (size >> shift) + ((size & (BIT(shift) - 1)) != 0);
	return (u16)((shift << CLASS_BITS) + rounded);
}

static struct area *area_of(struct itree_node *node)
{
	return container_of(node, struct area, node);
}

static bool summarize(struct itree_node *node)
{
	struct area *area = area_of(node);
	u16 largest = area->hole;

	for (int side = 0; side < 2; side++)
		if (node->child[side] && area_of(node->child[side])->largest_hole > largest)
			largest = area_of(node->child[side])->largest_hole;
	if (largest == area->largest_hole)
		return false;
	area->largest_hole = largest;
	return true;
}

/* Of the hole between two neighbours; below may be NULL. */
static u16 class_between(const struct itree_node *below, const struct itree_node *above)
{
	return class_of(above->start - (below ? below->last + 1 : 0));
}

static void set_hole(struct itree *areas, struct itree_node *node, const struct itree_node *below)
{
	u16 hole = class_between(below, node);

	if (hole == area_of(node)->hole)
		return;
	area_of(node)->hole = hole;
	itree_changed(areas, node);
}

void holes_insert(struct itree *areas, struct area *area)
{
	struct itree_node *above = itree_following(&area->node);

	set_hole(areas, &area->node, itree_previous(&area->node));
	if (above)
		set_hole(areas, above, &area->node);
}

void holes_remove(struct itree *areas, struct area *area)
{
	struct itree_node *above = itree_following(&area->node);

	if (above)
		set_hole(areas, above, itree_previous(&area->node));
}

void space_index_holes(struct space *space)
{
	assert(space->areas.count == 0);
	space->areas.summarize = summarize;
}

/*
 * The lowest area of the subtree that starts above from and has a hole of that class. Recursion is as deep as the tree;
 * where all areas start above from, it goes straight to what it finds.
 */
static struct itree_node *find(struct itree_node *node, u64 from, u16 class)
{
	struct itree_node *found;

	while (node && area_of(node)->largest_hole >= class) {
		if (node->start > from) {
			found = find(node->child[0], from, class);
			if (found)
				return found;
			if (area_of(node)->hole >= class)
				return node;
		}
		node = node->child[1];
	}
	return NULL;
}

/* [start, last] cut off below from; false when less than size is left. */
static bool fits(u64 start, u64 last, u64 from, u64 size, u64 *ret_start, u64 *ret_last)
{
	start = max_u64(start, from);
	if (start > last || last - start < size - 1)
		return false;
	*ret_start = start;
	*ret_last = last;
	return true;
}

bool space_next_hole(const struct space *space, u64 from, u64 size, u64 *ret_start, u64 *ret_last)
{
	const struct itree_node *node, *below;
	u16 class = class_of(size);

	for (u64 at = from; (node = find(space->areas.root, at, class)); at = node->start) {
		below = itree_previous(node);
		if (fits(below ? below->last + 1 : 0, node->start - 1, from, size, ret_start, ret_last))
			return true;
	}
	below = itree_at_or_below(&space->areas, UINT64_MAX);
	if (below && below->last == UINT64_MAX)
		return false;
	return fits(below ? below->last + 1 : 0, UINT64_MAX, from, size, ret_start, ret_last);
}

void holes_check(const struct itree *areas)
{
	const struct itree_node *node, *below = NULL;

	itree_for_each(node, areas, 0, UINT64_MAX) {
		assert(area_of((struct itree_node *)(uintptr_t)node)->hole == class_between(below, node));
		below = node;
	}
	(void)below;
}
