/* SPDX-License-Identifier: MIT */
/* A treap: ordered by start as a search tree, by a random priority as a heap, so it is balanced whatever comes in. */
#include "base/itree.h"

/*
 * Never two the same in one tree, since addresses differ, and nobody can choose them all; so as good as random. The
 * multipliers are odd numbers without pattern, the shifts bring high bits down.
 */
static u64 priority(const struct itree_node *node)
{
	u64 x = (uintptr_t)node * 0x9e3779b97f4a7c15 ^ node->start * 0xc2b2ae3d27d4eb4f ^ node->last;

	x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
	return x ^ x >> 32;
}

static u64 largest_last(const struct itree_node *node)
{
	u64 last = node->last;

	for (int side = 0; side < 2; side++)
		if (node->child[side])
			last = max_u64(last, node->child[side]->subtree_last);
	return last;
}

static bool is_root(const struct itree_node *node)
{
	return node->parent == node;
}

/* True when node's subtree is another than before. */
static bool update(const struct itree *tree, struct itree_node *node)
{
	u64 last = largest_last(node);
	bool changed = last != node->subtree_last;

	node->subtree_last = last;
	if (tree->summarize && tree->summarize(node))
		changed = true;
	return changed;
}

/* From node up, as far as something changes. */
static void update_upwards(const struct itree *tree, struct itree_node *node)
{
	while (update(tree, node) && !is_root(node))
		node = node->parent;
}

void itree_changed(struct itree *tree, struct itree_node *node)
{
	assert(tree->summarize && itree_linked(node));
	update_upwards(tree, node);
}

/* Puts new where old hangs; new may be NULL. */
static void replace_child(struct itree *tree, struct itree_node *old, struct itree_node *new)
{
	struct itree_node *parent = old->parent;

	if (is_root(old)) {
		tree->root = new;
		parent = new;
	} else {
		parent->child[parent->child[1] == old] = new;
	}
	if (new)
		new->parent = parent;
}

/* Moves node's child on that side above it; the order of starts stays. */
static void rotate_up(struct itree *tree, struct itree_node *node, int side)
{
	struct itree_node *child = node->child[side];
	struct itree_node *middle = child->child[!side];

	replace_child(tree, node, child);
	child->child[!side] = node;
	node->parent = child;
	node->child[side] = middle;
	if (middle)
		middle->parent = node;
	update(tree, node);
	update(tree, child);
}

static void link_as_leaf(struct itree *tree, struct itree_node *node)
{
	struct itree_node **slot = &tree->root;

	node->parent = node;
	while (*slot) {
		node->parent = *slot;
		node->parent->subtree_last = max_u64(node->parent->subtree_last, node->last);
		/* Equal starts keep the order of their insertion. */
		slot = &node->parent->child[node->start >= node->parent->start];
	}
	*slot = node;
}

void itree_insert(struct itree *tree, struct itree_node *node)
{
	u64 mine;

	assert(!itree_linked(node));
	assert(node->start <= node->last);
	node->child[0] = node->child[1] = NULL;
	node->subtree_last = node->last;
	tree->count++;
	link_as_leaf(tree, node);
	if (tree->summarize) {
		tree->summarize(node);
		if (!is_root(node))
			update_upwards(tree, node->parent);
	}
	mine = priority(node);
	while (!is_root(node) && priority(node->parent) < mine)
		rotate_up(tree, node->parent, node->parent->child[1] == node);
}

void itree_remove(struct itree *tree, struct itree_node *node)
{
	struct itree_node *parent;

	assert(itree_linked(node));
	assert(tree->count > 0);
	/* Down to where at most one child is left, which then takes the node's place. */
	while (node->child[0] && node->child[1])
		rotate_up(tree, node, priority(node->child[1]) > priority(node->child[0]));
	parent = is_root(node) ? NULL : node->parent;
	replace_child(tree, node, node->child[0] ? node->child[0] : node->child[1]);
	if (parent)
		update_upwards(tree, parent);
	node->parent = node->child[0] = node->child[1] = NULL;
	tree->count--;
}

/* The lowest node of this subtree that overlaps [start, last]. */
static struct itree_node *first_in(struct itree_node *node, u64 start, u64 last)
{
	while (node && node->subtree_last >= start) {
		struct itree_node *left = node->child[0];

		/*
		 * Something on the left reaches start. If the lowest such node does not overlap, it begins beyond last,
		 * and so does all that follows: the answer is on the left or nowhere.
		 */
		if (left && left->subtree_last >= start)
			node = left;
		else if (node->start > last)
			return NULL;
		else if (node->last >= start)
			return node;
		else
			node = node->child[1];
	}
	return NULL;
}

struct itree_node *itree_first(const struct itree *tree, u64 start, u64 last)
{
	return first_in(tree->root, start, last);
}

struct itree_node *itree_next(const struct itree_node *node, u64 start, u64 last)
{
	struct itree_node *found = first_in(node->child[1], start, last);

	while (!found && !is_root(node)) {
		bool from_left = node->parent->child[0] == node;

		node = node->parent;
		if (!from_left)
			continue;
		if (node->start > last)
			return NULL;
		if (node->last >= start)
			return (struct itree_node *)node;
		found = first_in(node->child[1], start, last);
	}
	return found;
}

struct itree_node *itree_lowest(const struct itree *tree, u64 start, u64 last)
{
	struct itree_node *below = NULL, *above = NULL, *node = tree->root;

	while (node) {
		if (node->start <= start) {
			below = node;
			node = node->child[1];
		} else {
			above = node;
			node = node->child[0];
		}
	}
	if (below && below->last >= start)
		return below;
	return above && above->start <= last ? above : NULL;
}

struct itree_node *itree_at_or_below(const struct itree *tree, u64 where)
{
	struct itree_node *found = NULL;

	for (struct itree_node *node = tree->root; node; node = node->child[node->start <= where])
		if (node->start <= where)
			found = node;
	return found;
}

struct itree_node *itree_above(const struct itree *tree, u64 where)
{
	struct itree_node *found = NULL;

	for (struct itree_node *node = tree->root; node; node = node->child[node->start <= where])
		if (node->start > where)
			found = node;
	return found;
}

bool itree_gap(const struct itree *tree, u64 from, u64 last, u64 *ret_start, u64 *ret_last)
{
	const struct itree_node *node;

	while ((node = itree_first(tree, from, from))) {
		if (node->last >= last)
			return false;
		from = node->last + 1;
	}
	node = itree_above(tree, from);
	*ret_start = from;
	*ret_last = node && node->start <= last ? node->start - 1 : last;
	return true;
}

/* The way from node to its neighbour on that side. */
static struct itree_node *neighbour(const struct itree_node *node, int side)
{
	const struct itree_node *next = node->child[side];

	if (next) {
		while (next->child[!side])
			next = next->child[!side];
		return (struct itree_node *)next;
	}
	while (!is_root(node) && node->parent->child[side] == node)
		node = node->parent;
	return is_root(node) ? NULL : node->parent;
}

struct itree_node *itree_previous(const struct itree_node *node)
{
	return neighbour(node, 0);
}

struct itree_node *itree_following(const struct itree_node *node)
{
	return neighbour(node, 1);
}

bool itree_stands_alone(const struct itree_node *node)
{
	const struct itree_node *below = neighbour(node, 0), *above = neighbour(node, 1);

	return (!below || below->last < node->start) && (!above || above->start > node->last);
}

/* Recursion is as deep as the tree: some 2 ln(count). */
static size_t check_subtree(const struct itree *tree, struct itree_node *node, const struct itree_node *parent,
			    u64 lowest, u64 highest)
{
	if (!node)
		return 0;
	assert(node->parent == (parent ? parent : node));
	assert(node->start <= node->last);
	assert(node->start >= lowest && node->start <= highest);
	assert(!parent || priority(parent) >= priority(node));
	assert(node->subtree_last == largest_last(node));
	assert(!tree->summarize || !tree->summarize(node));
	return check_subtree(tree, node->child[0], node, lowest, node->start) + 1 +
	       check_subtree(tree, node->child[1], node, node->start, highest);
}

void itree_check(const struct itree *tree)
{
	size_t count = check_subtree(tree, tree->root, NULL, 0, UINT64_MAX);

	assert(count == tree->count);
	(void)count;
}
