/* SPDX-License-Identifier: MIT */
#include "cli/svg_layout.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "cli/svg_label.h"
#include "cli/svg_pack.h"
#include "cli/svg_text.h"

enum {
	MOST_PANELS = 8,
	NARROWEST = 256, /* box */
	WIDEST = 2000,	 /* of several panels: one scrolls down, not sideways */
};

/* ---- sizes ---- */

static int width_of(const struct svg_tree *tree, const struct svg_node *node)
{
	enum svg_font font = node->kind == SVG_FUNCTION ? SVG_MONO : SVG_BOLD;
	char heading[SVG_LABEL], chip[SVG_LABEL], alias[SVG_LABEL];
	int width;

	svg_heading(node, heading);
	width = (int)svg_text_width(heading, font, SVG_HEADING_SIZE);
	width += (int)svg_text_width(svg_chip(node, chip), SVG_BOLD, SVG_TEXT_SIZE);
	width += (int)svg_text_width(svg_alias(tree, node, alias), SVG_PLAIN, SVG_TEXT_SIZE);
	return width + 46 + (node->is_virtual ? SVG_INDENT : 0);
}

static void measure_boxes(struct svg_layout *layout)
{
	layout->box_width = NARROWEST;
	for (size_t i = 0; i < layout->tree.count; i++) {
		int width = width_of(&layout->tree, &layout->tree.nodes[i]);

		if (width > layout->box_width)
			layout->box_width = width;
	}
}

/* ---- buses ---- */

static bool same_bus(const struct svg_node *a, const struct svg_node *b)
{
	struct pci_addr x = a->function->addr, y = b->function->addr;

	return a->kind != SVG_REST && b->kind != SVG_REST && x.segment == y.segment && x.bus == y.bus;
}

static size_t count_root_buses(const struct svg_tree *tree)
{
	size_t count = 0;

	for (const struct svg_node *node = tree->roots.first; node; node = node->next)
		count += !node->next || !same_bus(node, node->next);
	return count;
}

/* Root buses first, then those that are drawn elsewhere, in the order of their bridges. */
static void find_buses(const struct svg_tree *tree, struct svg_bus *buses)
{
	struct svg_node *first = tree->roots.first;
	struct svg_bus *bus = buses;
	size_t number = 0;

	for (struct svg_node *node = first; node; node = node->next) {
		if (node->next && same_bus(node, node->next))
			continue;
		*bus++ = (struct svg_bus){.first = first, .after = node->next};
		first = node->next;
	}
	for (size_t i = 0; i < tree->count; i++) {
		struct svg_node *node = &tree->nodes[i];

		if (!node->continues)
			continue;
		node->continues = ++number;
		*bus++ = (struct svg_bus){.above = node, .first = node->below.first, .number = number};
	}
}

/* ---- panels ---- */

struct flow {
	const struct svg_layout *layout;
	int limit;		/* height of a panel; a slot taller than that has its own */
	struct svg_bus *to;	/* NULL: only measures */
	size_t count;		/* of pieces of buses */
	int x;			/* of the panel */
	struct svg_shape shape; /* what is in it */
	int width, height;	/* of all so far */
};

static int panel_width(const struct flow *flow)
{
	int columns = flow->shape.columns;

	return SVG_BAR + SVG_FRAME + columns * (flow->layout->box_width + SVG_GUTTER) - SVG_GUTTER + SVG_FRAME;
}

static int lowest(const struct svg_shape *shape)
{
	int bottom = 0;

	for (int i = 0; i < shape->columns; i++)
		bottom = shape->bottom[i] > bottom ? shape->bottom[i] : bottom;
	return bottom;
}

/* The columns of bus and the frame of its first slot start below the header, which is below all that is there. */
static int start_of(const struct flow *flow, const struct svg_shape *slot)
{
	int start = flow->shape.columns ? lowest(&flow->shape) + SVG_BUS_GAP : 0, over = 0;

	for (int i = 0; i < slot->columns; i++)
		over = slot->top[i] < over ? slot->top[i] : over;
	return start + SVG_HEADER - over;
}

static void new_panel(struct flow *flow)
{
	flow->x += panel_width(flow) + SVG_PANEL_GAP;
	flow->shape.columns = 0;
}

static void start_piece(struct flow *flow, const struct svg_bus *bus, struct svg_node *first)
{
	if (flow->to) {
		struct svg_bus *piece = &flow->to[flow->count];

		*piece = *bus;
		piece->first = first;
		piece->continued = first != bus->first;
		piece->x = flow->x;
		piece->y = flow->shape.columns ? lowest(&flow->shape) + SVG_BUS_GAP : 0;
	}
	flow->count++;
}

static void place(const struct flow *flow, struct svg_node *slot, int y)
{
	const struct svg_node *after = svg_next_slot(slot);

	svg_move(slot, y);
	for (struct svg_node *node = slot; node != after; node = node->next)
		node->x = flow->x + SVG_BAR + SVG_FRAME;
}

static void flow_slot(struct flow *flow, const struct svg_bus *bus, struct svg_node *slot)
{
	bool starts = slot == bus->first;
	struct svg_shape shape;
	int y;

	svg_stack(slot, &shape);
	y = starts ? start_of(flow, &shape) : svg_fit(&flow->shape, &shape, SVG_SLOT_GAP);
	if (flow->shape.columns && y + lowest(&shape) > flow->limit) {
		if (flow->to && !starts)
			flow->to[flow->count - 1].after = slot;
		new_panel(flow);
		y = start_of(flow, &shape);
		starts = true;
	}
	if (starts)
		start_piece(flow, bus, slot);
	svg_merge(&flow->shape, &shape, y);
	if (flow->to)
		place(flow, slot, y);
	flow->width = flow->x + panel_width(flow);
	flow->height = lowest(&flow->shape) > flow->height ? lowest(&flow->shape) : flow->height;
}

static struct flow flow_all(const struct svg_layout *layout, const struct svg_bus *buses, size_t count, int limit,
			    struct svg_bus *to)
{
	struct flow flow = {.layout = layout, .limit = limit, .to = to};

	for (size_t i = 0; i < count; i++)
		for (struct svg_node *slot = buses[i].first; slot != buses[i].after; slot = svg_next_slot(slot))
			flow_slot(&flow, &buses[i], slot);
	return flow;
}

/* How far from 8 to 5, the shape of most screens; 1000 is that shape. */
static u64 misshape(const struct flow *flow)
{
	u64 width = (u64)flow->width * 5 + 1, height = (u64)flow->height * 8 + 1;

	return max_u64(width, height) * 1000 / min_u64(width, height);
}

static int best_limit(const struct svg_layout *layout, const struct svg_bus *buses, size_t count)
{
	struct flow best = flow_all(layout, buses, count, INT32_MAX, NULL);
	int total = best.height;

	for (int panels = 2; panels <= MOST_PANELS; panels++) {
		/* An eighth more, as slots do not fill a panel to the brim. */
		struct flow flow = flow_all(layout, buses, count, total / panels * 9 / 8, NULL);

		if (flow.width <= WIDEST && misshape(&flow) < misshape(&best))
			best = flow;
	}
	return best.limit;
}

/* Slots at the left have their places; the others follow their bridges, which come before them. */
static void finish(struct svg_layout *layout)
{
	for (size_t i = 0; i < layout->tree.count; i++) {
		struct svg_node *node = &layout->tree.nodes[i];
		const struct svg_node *above = node->above;

		if (above && !above->continues) {
			node->x = above->x + layout->box_width + SVG_GUTTER;
			node->y += above->y;
		}
		node->width = layout->box_width;
	}
	for (size_t i = 0; i < layout->tree.count; i++) {
		struct svg_node *node = &layout->tree.nodes[i];

		node->x += node->is_virtual ? SVG_INDENT : 0;
		node->width -= node->is_virtual ? SVG_INDENT : 0;
	}
}

static int arrange(struct svg_layout *layout, struct svg_bus *buses, size_t count, struct why *why)
{
	int limit = best_limit(layout, buses, count);
	struct flow flow = flow_all(layout, buses, count, limit, NULL);

	layout->buses = alloc_array(flow.count + 1, sizeof(layout->buses[0]), why);
	if (!layout->buses)
		return -why->err;
	flow = flow_all(layout, buses, count, limit, layout->buses);
	finish(layout);
	layout->nbuses = flow.count;
	layout->width = flow.width;
	layout->height = flow.height;
	return 0;
}

int svg_layout_init(struct svg_layout *layout, const struct explanation *explanation, struct why *why)
{
	_memory_ struct svg_bus *buses = NULL;
	size_t count;
	int err;

	*layout = (struct svg_layout){.box_width = NARROWEST};
	err = svg_tree_init(&layout->tree, explanation, why);
	if (err < 0)
		return err;
	measure_boxes(layout);
	count = svg_pack(&layout->tree) + count_root_buses(&layout->tree);
	buses = alloc_array(count + 1, sizeof(buses[0]), why);
	if (!buses)
		return -why->err;
	find_buses(&layout->tree, buses);
	return arrange(layout, buses, count, why);
}

void svg_layout_fini(struct svg_layout *layout)
{
	svg_tree_fini(&layout->tree);
	free(layout->buses);
}
