/* SPDX-License-Identifier: MIT */
/*
 * Interval tree: intrusive nodes [start, last], ordered by start, augmented with the largest last of each subtree.
 * Intervals may overlap. A zero-initialised node is not in any tree. No locks; the owner brings one. Nodes are small,
 * for there may be millions: what balances the tree is computed from a node's range and address instead of stored.
 */
#ifndef BASE_ITREE_H
#define BASE_ITREE_H

#include "base/bits.h"

struct itree_node {
	u64 start, last;	   /* set by the caller before itree_insert(), constant while in the tree */
	struct itree_node *parent; /* the root's is itself; NULL: in no tree */
	struct itree_node *child[2];
	u64 subtree_last;
};

struct itree {
	struct itree_node *root;
	size_t count;
	/*
	 * What the owner keeps for a subtree: computes it for node from node itself and its children (NULL, or done),
	 * and says whether it is another than before. NULL: nothing.
	 */
	bool (*summarize)(struct itree_node *node);
};

#define ITREE_INIT                                                                                                     \
	{                                                                                                              \
		.root = NULL                                                                                           \
	}

static inline bool itree_linked(const struct itree_node *node)
{
	return node->parent;
}

void itree_insert(struct itree *tree, struct itree_node *node);
void itree_remove(struct itree *tree, struct itree_node *node); /* node must be in tree */

/* The same where no two nodes overlap: one node is looked at per level, where the others look at two. */
struct itree_node *itree_lowest(const struct itree *tree, u64 start, u64 last);

/* What the owner keeps of node alone has changed. Only with summarize. */
void itree_changed(struct itree *tree, struct itree_node *node);

/* The lowest node that overlaps [start, last], and the next one after node that does; NULL when there is none. */
struct itree_node *itree_first(const struct itree *tree, u64 start, u64 last);
struct itree_node *itree_next(const struct itree_node *node, u64 start, u64 last);

/* The node with the largest start that is <= where, or the smallest start that is > where; NULL if none. */
struct itree_node *itree_at_or_below(const struct itree *tree, u64 where);
struct itree_node *itree_above(const struct itree *tree, u64 where);

/* The lowest run of [from, last] that no node overlaps; false: there is none. */
bool itree_gap(const struct itree *tree, u64 from, u64 last, u64 *ret_start, u64 *ret_last);

/* The neighbours of node in order; NULL: none. */
struct itree_node *itree_previous(const struct itree_node *node);
struct itree_node *itree_following(const struct itree_node *node);

/* Does it overlap neither neighbour? Where no others overlap, it then overlaps none. */
bool itree_stands_alone(const struct itree_node *node);

/* Asserts order, heap priorities, augmentation and count; for machine_check(). */
void itree_check(const struct itree *tree);

/* Every node overlapping [start, last] in ascending order; the body may not remove node. */
#define itree_for_each(node, tree, start, last)                                                                        \
	for ((node) = itree_first(tree, start, last); (node); (node) = itree_next(node, start, last))

#endif
