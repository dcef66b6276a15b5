/* SPDX-License-Identifier: MIT */
/*
 * The interval tree against a flat array. The input is a list of four-byte steps: what to do, to which node, start and
 * length. The model answers every question by looking at all nodes.
 */
#include "base/itree.h"

#include <stdlib.h>

#define NODES 32

struct step {
	u8 action, node, start, length;
};

struct model {
	struct itree tree;
	struct itree_node nodes[NODES];
	u64 serial[NODES]; /* of the insertion; 0: not in the tree */
	u64 serials;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): it must also hold in a build without assertions. */
static void expect(bool truth)
{
	if (!truth)
		abort();
}

/* Half of the steps play at the bottom of the 64-bit space, half at its top. */
static u64 start_of(const struct step *step)
{
	return step->action & 0x80 ? UINT64_MAX - step->start : step->start;
}

static u64 last_of(const struct step *step)
{
	return start_of(step) + min_u64(step->length, UINT64_MAX - start_of(step));
}

static bool is_before(const struct model *model, unsigned a, unsigned b)
{
	if (model->nodes[a].start != model->nodes[b].start)
		return model->nodes[a].start < model->nodes[b].start;
	return model->serial[a] < model->serial[b];
}

/* How many nodes overlap, by looking at each; and each that does must come after the one before it in the tree's walk.
 */
static void ask_overlaps(struct model *model, u64 start, u64 last)
{
	const struct itree_node *node, *before = NULL;
	size_t expected = 0, walked = 0;

	for (unsigned i = 0; i < NODES; i++)
		expected += model->serial[i] &&
			    ranges_overlap(model->nodes[i].start, model->nodes[i].last, start, last);
	itree_for_each(node, &model->tree, start, last) {
		expect(ranges_overlap(node->start, node->last, start, last));
		expect(!before || is_before(model, (unsigned)(before - model->nodes), (unsigned)(node - model->nodes)));
		before = node;
		walked++;
	}
	expect(walked == expected);
}

static void ask_neighbours(struct model *model, u64 where)
{
	const struct itree_node *below = NULL, *above = NULL;

	for (unsigned i = 0; i < NODES; i++) {
		const struct itree_node *node = &model->nodes[i];

		if (!model->serial[i])
			continue;
		if (node->start <= where && (!below || is_before(model, (unsigned)(below - model->nodes), i)))
			below = node;
		if (node->start > where && (!above || is_before(model, i, (unsigned)(above - model->nodes))))
			above = node;
	}
	expect(itree_at_or_below(&model->tree, where) == below);
	expect(itree_above(&model->tree, where) == above);
}

static void toggle(struct model *model, unsigned index, u64 start, u64 last)
{
	struct itree_node *node = &model->nodes[index];

	if (model->serial[index]) {
		itree_remove(&model->tree, node);
		model->serial[index] = 0;
		return;
	}
	node->start = start;
	node->last = last;
	model->serial[index] = ++model->serials;
	itree_insert(&model->tree, node);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model model = {.serials = 0};

	for (; size >= sizeof(struct step); size -= sizeof(struct step), data += sizeof(struct step)) {
		struct step step;

		memcpy(&step, data, sizeof(step));
		if (step.action & 1)
			toggle(&model, step.node % NODES, start_of(&step), last_of(&step));
		itree_check(&model.tree);
		ask_overlaps(&model, start_of(&step), last_of(&step));
		ask_neighbours(&model, start_of(&step));
	}
	return 0;
}
