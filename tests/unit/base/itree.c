/* SPDX-License-Identifier: MIT */
/* The tree against a stupid model: an array of intervals that is searched from one side to the other. */
#include "tests/helpers.h"

#include "base/itree.h"

#define NODES 64

struct model_node {
	struct itree_node node;
	u64 serial; /* of its insertion; 0: not in the tree */
};

struct model {
	struct itree tree;
	struct model_node nodes[NODES];
	u64 serial;
};

/* Ordered by start; among equal starts by insertion. */
static bool is_before(const struct model_node *a, const struct model_node *b)
{
	if (a->node.start != b->node.start)
		return a->node.start < b->node.start;
	return a->serial < b->serial;
}

/* The lowest node after `after` (NULL: of all) that overlaps [start, last]. */
static struct itree_node *model_first(struct model *model, const struct model_node *after, u64 start, u64 last)
{
	struct model_node *found = NULL;

	for (struct model_node *m = model->nodes; m < model->nodes + NODES; m++) {
		if (!m->serial || !ranges_overlap(m->node.start, m->node.last, start, last))
			continue;
		if ((!after || is_before(after, m)) && (!found || is_before(m, found)))
			found = m;
	}
	return found ? &found->node : NULL;
}

static struct itree_node *model_at_or_below(struct model *model, u64 where)
{
	struct model_node *found = NULL;

	for (struct model_node *m = model->nodes; m < model->nodes + NODES; m++)
		if (m->serial && m->node.start <= where && (!found || is_before(found, m)))
			found = m;
	return found ? &found->node : NULL;
}

static struct itree_node *model_above(struct model *model, u64 where)
{
	struct model_node *found = NULL;

	for (struct model_node *m = model->nodes; m < model->nodes + NODES; m++)
		if (m->serial && m->node.start > where && (!found || is_before(m, found)))
			found = m;
	return found ? &found->node : NULL;
}

static void compare(struct model *model, u64 start, u64 last)
{
	const struct model_node *after = NULL;
	struct itree_node *node;
	size_t inside = 0;

	itree_check(&model->tree);
	itree_for_each(node, &model->tree, start, last) {
		assert_ptr_equal(node, model_first(model, after, start, last));
		after = container_of(node, struct model_node, node);
		inside++;
	}
	assert_null(model_first(model, after, start, last));
	assert_true(inside <= model->tree.count);
	assert_ptr_equal(itree_at_or_below(&model->tree, start), model_at_or_below(model, start));
	assert_ptr_equal(itree_above(&model->tree, last), model_above(model, last));
}

static u64 below(u64 *state, u64 limit)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (*state >> 33) % limit;
}

/* Inserts the node, or removes it when it is there. */
static void toggle(struct model *model, struct model_node *m, u64 start, u64 last)
{
	if (m->serial) {
		itree_remove(&model->tree, &m->node);
		m->serial = 0;
		return;
	}
	m->node.start = start;
	m->node.last = last;
	m->serial = ++model->serial;
	itree_insert(&model->tree, &m->node);
}

/* base moves the whole play to one side of the 64-bit space. */
static void play(u64 seed, u64 base, u64 space, u64 longest)
{
	struct model model = {.serial = 0};

	for (int step = 0; step < 3000; step++) {
		u64 start = base + below(&seed, space);
		u64 last = start + min_u64(below(&seed, longest), UINT64_MAX - start);
		size_t linked = 0;

		toggle(&model, &model.nodes[below(&seed, NODES)], start, last);
		for (int i = 0; i < NODES; i++)
			linked += model.nodes[i].serial != 0;
		assert_int_equal(model.tree.count, linked);
		start = base + below(&seed, space);
		compare(&model, start, start + min_u64(below(&seed, longest), UINT64_MAX - start));
	}
}

TEST(itree, agrees_with_a_plain_array)
{
	play(1, 0, 1000, 40);
	play(2, 0, 50, 10);
	play(3, 0, 1000000, 1000000);
	play(4, 0, 8, 1);
}

TEST(itree, agrees_at_the_top_of_the_64_bit_space)
{
	play(5, UINT64_MAX - 999, 1000, 2000);
}

TEST(itree, empty_tree_finds_nothing)
{
	struct itree tree = ITREE_INIT;

	assert_null(itree_first(&tree, 0, UINT64_MAX));
	assert_null(itree_at_or_below(&tree, UINT64_MAX));
	assert_null(itree_above(&tree, 0));
	itree_check(&tree);
}

TEST(itree, whole_space_overlaps_everything)
{
	struct itree tree = ITREE_INIT;
	struct itree_node all = {.start = 0, .last = UINT64_MAX};

	itree_insert(&tree, &all);
	assert_ptr_equal(itree_first(&tree, UINT64_MAX, UINT64_MAX), &all);
	assert_ptr_equal(itree_first(&tree, 0, 0), &all);
	assert_null(itree_next(&all, 0, UINT64_MAX));
	itree_remove(&tree, &all);
	assert_false(itree_linked(&all));
	assert_null(tree.root);
}

static unsigned depth_of(const struct itree_node *node)
{
	unsigned left, right;

	if (!node)
		return 0;
	left = depth_of(node->child[0]);
	right = depth_of(node->child[1]);
	return 1 + (left > right ? left : right);
}

TEST(itree, ascending_insertion_stays_balanced)
{
	static struct itree_node nodes[10000];
	struct itree tree = ITREE_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		nodes[i] = (struct itree_node){.start = i * PAGE_SIZE, .last = i * PAGE_SIZE + PAGE_SIZE - 1};
		itree_insert(&tree, &nodes[i]);
	}
	itree_check(&tree);
	assert_true(depth_of(tree.root) < 50);
}

/* Kept for each subtree: how many of its nodes are marked, in the low bits of a field of our own. */
struct marked {
	struct itree_node node;
	unsigned marks, own;
};

static bool count_marks(struct itree_node *node)
{
	struct marked *marked = container_of(node, struct marked, node);
	unsigned marks = marked->own;

	for (int side = 0; side < 2; side++)
		if (node->child[side])
			marks += container_of(node->child[side], struct marked, node)->marks;
	if (marks == marked->marks)
		return false;
	marked->marks = marks;
	return true;
}

TEST(itree, what_the_owner_keeps_of_subtrees_follows)
{
	static struct marked nodes[500];
	struct itree tree = {.summarize = count_marks};
	unsigned total = 0;

	srand(3);
	for (unsigned step = 0; step < 20000; step++) {
		struct marked *node = &nodes[(unsigned)rand() % ARRAY_SIZE(nodes)];

		if (!itree_linked(&node->node)) {
			node->node.start = (u64)rand();
			node->node.last = node->node.start + (u64)rand();
			itree_insert(&tree, &node->node);
			total += node->own;
		} else if (rand() & 1) {
			itree_remove(&tree, &node->node);
			total -= node->own;
		} else {
			total -= node->own;
			node->own = (unsigned)rand() % 3;
			total += node->own;
			itree_changed(&tree, &node->node);
		}
		if (tree.root)
			assert_int_equal(container_of(tree.root, struct marked, node)->marks, total);
		if (step % 50 == 0)
			itree_check(&tree);
	}
	itree_check(&tree);
}

TEST(itree, neighbours_are_next_in_order)
{
	static struct itree_node nodes[300];
	struct itree tree = ITREE_INIT;
	const struct itree_node *node, *before = NULL;
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		nodes[i] = (struct itree_node){.start = i * 7919 % 1009, .last = 2000};
		itree_insert(&tree, &nodes[i]);
	}
	itree_for_each(node, &tree, 0, UINT64_MAX) {
		assert_ptr_equal(itree_previous(node), before);
		if (before)
			assert_ptr_equal(itree_following(before), node);
		before = node;
		count++;
	}
	assert_null(itree_following(before));
	assert_int_equal(count, ARRAY_SIZE(nodes));
}

/* Overlapping intervals over 64 places, against looking at each place. */
TEST(itree, the_lowest_of_disjoint_intervals)
{
	static struct itree_node nodes[64];
	struct itree tree = ITREE_INIT;

	srand(7);
	assert_null(itree_lowest(&tree, 0, UINT64_MAX));
	for (unsigned step = 0; step < 4000; step++) {
		unsigned i = (unsigned)rand() % ARRAY_SIZE(nodes);
		u64 start = (u64)rand() % 700, last = start + (u64)rand() % 30;

		if (itree_linked(&nodes[i])) {
			itree_remove(&tree, &nodes[i]);
		} else {
			nodes[i] = (struct itree_node){.start = i * 10, .last = i * 10 + (u64)rand() % 10};
			itree_insert(&tree, &nodes[i]);
		}
		assert_ptr_equal(itree_lowest(&tree, start, last), itree_first(&tree, start, last));
	}
}

TEST(itree, gaps_are_what_no_interval_covers)
{
	static struct itree_node nodes[12];

	srand(5);
	for (unsigned round = 0; round < 2000; round++) {
		u64 base = round % 2 ? UINT64_MAX - 63 : 0, start = 0, last = 0, from, to;
		struct itree tree = ITREE_INIT;
		bool covered[64] = {}, found;
		unsigned count = (unsigned)rand() % ARRAY_SIZE(nodes);

		for (unsigned i = 0; i < count; i++) {
			u64 low = (u64)rand() % 64, high = low + (u64)rand() % (64 - low) / 2;

			nodes[i] = (struct itree_node){.start = base + low, .last = base + high};
			itree_insert(&tree, &nodes[i]);
			for (u64 at = low; at <= high; at++)
				covered[at] = true;
		}
		from = (u64)rand() % 64;
		to = from + (u64)rand() % (64 - from);
		found = itree_gap(&tree, base + from, base + to, &start, &last);
		while (from <= to && covered[from])
			from++;
		assert_int_equal(found, from <= to);
		if (!found)
			continue;
		assert_true(start == base + from);
		while (from < to && !covered[from + 1])
			from++;
		assert_true(last == base + from);
	}
}

TEST(itree, check_sees_a_node_changed_in_the_tree)
{
	struct itree tree = ITREE_INIT;
	struct itree_node low = {.start = 0, .last = 9}, high = {.start = 10, .last = 19};

	itree_insert(&tree, &low);
	itree_insert(&tree, &high);
	EXPECT_ABORT(low.start = 11; low.last = 12; itree_check(&tree));
	EXPECT_ABORT(tree.root->subtree_last++; itree_check(&tree));
	EXPECT_ABORT(tree.count++; itree_check(&tree));
}

TEST(itree, double_insertion_and_removal_assert)
{
	struct itree tree = ITREE_INIT;
	struct itree_node node = {.start = 1, .last = 2}, loose = {.start = 3, .last = 4};
	struct itree_node backwards = {.start = 2, .last = 1};

	itree_insert(&tree, &node);
	EXPECT_ABORT(itree_insert(&tree, &node));
	EXPECT_ABORT(itree_remove(&tree, &loose));
	EXPECT_ABORT(itree_insert(&tree, &backwards));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(itree, agrees_with_a_plain_array),
		CASE(itree, agrees_at_the_top_of_the_64_bit_space),
		CASE(itree, empty_tree_finds_nothing),
		CASE(itree, whole_space_overlaps_everything),
		CASE(itree, ascending_insertion_stays_balanced),
		CASE(itree, what_the_owner_keeps_of_subtrees_follows),
		CASE(itree, neighbours_are_next_in_order),
		CASE(itree, the_lowest_of_disjoint_intervals),
		CASE(itree, gaps_are_what_no_interval_covers),
		CASE(itree, check_sees_a_node_changed_in_the_tree),
		CASE(itree, double_insertion_and_removal_assert),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
