/* SPDX-License-Identifier: MIT */
#include "cli/svg_pack.h"

#include "cli/svg_label.h"
#include "cli/svg_layout.h"

#define TALLEST 2400 /* pixels of what is below one bridge */

struct svg_node *svg_next_slot(const struct svg_node *first)
{
	struct svg_node *node = first->next;

	while (node && !node->begins_slot)
		node = node->next;
	return node;
}

int svg_fit(const struct svg_shape *shape, const struct svg_shape *added, int gap)
{
	int move = 0;

	for (int i = 0; i < shape->columns && i < added->columns; i++) {
		int least = shape->bottom[i] + (i ? SVG_SLOT_GAP : gap) - added->top[i];

		move = least > move ? least : move;
	}
	return move;
}

void svg_merge(struct svg_shape *shape, const struct svg_shape *added, int move)
{
	for (int i = 0; i < added->columns; i++) {
		if (i == shape->columns)
			shape->top[shape->columns++] = added->top[i] + move;
		shape->bottom[i] = added->bottom[i] + move;
	}
}

/* A box with what is below it, which is one column further right. */
static void shape_of(const struct svg_node *node, struct svg_shape *ret)
{
	const struct svg_shape *below = &node->shape;

	*ret = (struct svg_shape){.columns = 1, .bottom = {node->height}};
	if (node->continues) {
		/* Only a word of where. */
		ret->bottom[ret->columns++] = SVG_BOX_HEIGHT;
		return;
	}
	for (int i = 0; i < below->columns; i++) {
		ret->top[ret->columns] = below->top[i];
		ret->bottom[ret->columns++] = below->bottom[i];
	}
}

void svg_stack(struct svg_node *first, struct svg_shape *ret)
{
	const struct svg_node *after = svg_next_slot(first);

	*ret = (struct svg_shape){.columns = 0};
	for (struct svg_node *node = first; node != after; node = node->next) {
		struct svg_shape shape;

		shape_of(node, &shape);
		node->y = svg_fit(ret, &shape, SVG_BOX_GAP);
		svg_merge(ret, &shape, node->y);
	}
	if (first->framed) {
		ret->top[0] -= SVG_FRAME_HEAD;
		ret->bottom[0] += SVG_FRAME;
	}
}

void svg_move(struct svg_node *first, int move)
{
	const struct svg_node *after = svg_next_slot(first);

	for (struct svg_node *node = first; node != after; node = node->next)
		node->y += move;
}

static void pack_below(struct svg_node *bridge)
{
	bridge->shape.columns = 0;
	for (struct svg_node *slot = bridge->below.first; slot; slot = svg_next_slot(slot)) {
		struct svg_shape shape;
		int move;

		svg_stack(slot, &shape);
		move = svg_fit(&bridge->shape, &shape, SVG_SLOT_GAP);
		svg_merge(&bridge->shape, &shape, move);
		svg_move(slot, move);
	}
}

static bool is_too_large(const struct svg_shape *shape)
{
	if (shape->columns == SVG_DEEPEST)
		return true;
	for (int i = 0; i < shape->columns; i++)
		if (shape->bottom[i] > TALLEST)
			return true;
	return false;
}

/* Backwards, so that what is below comes first. */
size_t svg_pack(struct svg_tree *tree)
{
	size_t elsewhere = 0;

	for (size_t i = tree->count; i-- > 0;) {
		struct svg_node *node = &tree->nodes[i];

		node->height = SVG_BOX_HEIGHT + (svg_box_blame(tree, node) ? SVG_LABEL_HEIGHT : 0);
		pack_below(node);
		node->continues = is_too_large(&node->shape);
		elsewhere += node->continues;
	}
	return elsewhere;
}
