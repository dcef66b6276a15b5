/* SPDX-License-Identifier: MIT */
#include "cli/svg_layout.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "cli/svg_label.h"
#include "cli/svg_text.h"

enum {
	DEEPEST = 7,	/* columns of a tree */
	TALLEST = 2400, /* pixels of what is below one bridge */
	MOST_PANELS = 8,
	NARROWEST = 256, /* box */
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

static int space_before(const struct svg_node *node, bool at_top)
{
	if (!node->begins_slot)
		return SVG_BOX_GAP;
	return (at_top ? 0 : SVG_SLOT_GAP) + (node->framed ? SVG_FRAME_HEAD : 0);
}

static int space_after(const struct svg_node *node)
{
	return node->framed && (!node->next || node->next->begins_slot) ? SVG_FRAME : 0;
}

/* How far down the neighbours from first up to after go, with all that is below them. */
static int extent_of(const struct svg_node *first, const struct svg_node *after, int *ret_depth)
{
	int extent = 0;

	*ret_depth = 0;
	for (const struct svg_node *node = first; node != after; node = node->next) {
		extent += space_before(node, node == first) + node->extent + space_after(node);
		*ret_depth = node->depth > *ret_depth ? node->depth : *ret_depth;
	}
	return extent;
}

/* Backwards, so that what is below is measured first. Returns how many buses go elsewhere. */
static size_t measure_subtrees(struct svg_layout *layout)
{
	size_t elsewhere = 0;

	for (size_t i = layout->tree.count; i-- > 0;) {
		struct svg_node *node = &layout->tree.nodes[i];
		bool blamed = svg_box_blame(&layout->tree, node);
		int depth, extent = extent_of(node->below.first, NULL, &depth);

		node->height = SVG_BOX_HEIGHT + (blamed ? SVG_LABEL_HEIGHT : 0);
		node->continues = depth >= DEEPEST || extent > TALLEST;
		elsewhere += node->continues;
		node->depth = node->continues ? 2 : depth + 1;
		node->extent = node->continues || extent < node->height ? node->height : extent;
	}
	return elsewhere;
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
	int limit;		  /* height of a panel; a slot taller than that has its own */
	struct svg_bus *to;	  /* NULL: only measures */
	size_t count;		  /* of pieces of buses */
	int x, y, depth;	  /* of the panel; where the next slot goes; columns used */
	int width, height, total; /* so far, of all; total: as if in one panel */
};

static int panel_width(const struct flow *flow)
{
	if (!flow->depth)
		return 0;
	return SVG_BAR + flow->depth * (flow->layout->box_width + SVG_GUTTER) - SVG_GUTTER + SVG_FRAME;
}

static const struct svg_node *next_slot(const struct svg_node *node, const struct svg_node *after)
{
	do
		node = node->next;
	while (node != after && !node->begins_slot);
	return node;
}

static void place(const struct svg_layout *layout, struct svg_node *first, const struct svg_node *after, int x, int y)
{
	for (struct svg_node *node = first; node != after; node = node->next) {
		int indent = node->is_virtual ? SVG_INDENT : 0;

		y += space_before(node, node == first);
		node->x = x + indent;
		node->y = y;
		node->width = layout->box_width - indent;
		if (!node->continues)
			place(layout, node->below.first, NULL, x + layout->box_width + SVG_GUTTER, y);
		y += node->extent + space_after(node);
	}
}

static void new_panel(struct flow *flow)
{
	flow->x += panel_width(flow) + SVG_PANEL_GAP;
	flow->y = flow->depth = 0;
}

/* A piece of a bus starts with the slot of `first`. */
static void start_piece(struct flow *flow, const struct svg_bus *bus, struct svg_node *first)
{
	if (flow->to) {
		flow->to[flow->count] = *bus;
		flow->to[flow->count].first = first;
		flow->to[flow->count].continued = first != bus->first;
		flow->to[flow->count].x = flow->x;
		flow->to[flow->count].y = flow->y;
	}
	flow->count++;
	flow->y += SVG_HEADER;
}

static void flow_bus(struct flow *flow, const struct svg_bus *bus)
{
	for (struct svg_node *slot = bus->first; slot != bus->after;) {
		struct svg_node *after = (struct svg_node *)next_slot(slot, bus->after);
		int depth, extent = extent_of(slot, after, &depth);
		bool starts = slot == bus->first;

		if (flow->y && flow->y + (starts ? SVG_SLOT_GAP + SVG_HEADER : 0) + extent > flow->limit) {
			if (flow->to && !starts)
				flow->to[flow->count - 1].after = slot;
			new_panel(flow);
			starts = true;
		}
		if (starts) {
			flow->y += flow->y ? SVG_SLOT_GAP : 0;
			start_piece(flow, bus, slot);
		}
		if (flow->to)
			place(flow->layout, slot, after, flow->x + SVG_BAR + SVG_FRAME, flow->y);
		flow->y += extent + SVG_SLOT_GAP;
		flow->total += extent + SVG_SLOT_GAP;
		flow->depth = depth > flow->depth ? depth : flow->depth;
		flow->height = flow->y > flow->height ? flow->y : flow->height;
		flow->width = flow->x + panel_width(flow);
		slot = after;
	}
}

static struct flow flow_all(const struct svg_layout *layout, const struct svg_bus *buses, size_t count, int limit,
			    struct svg_bus *to)
{
	struct flow flow = {.layout = layout, .limit = limit, .to = to};

	for (size_t i = 0; i < count; i++)
		flow_bus(&flow, &buses[i]);
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
	int total = best.total + (int)count * (SVG_HEADER + SVG_SLOT_GAP);

	for (int panels = 2; panels <= MOST_PANELS; panels++) {
		/* A sixteenth more, as slots do not fill a panel to the brim. */
		struct flow flow = flow_all(layout, buses, count, total / panels * 17 / 16, NULL);

		if (misshape(&flow) < misshape(&best))
			best = flow;
	}
	return best.limit;
}

static int arrange(struct svg_layout *layout, struct svg_bus *buses, size_t count, struct why *why)
{
	int limit = best_limit(layout, buses, count);
	struct flow flow = flow_all(layout, buses, count, limit, NULL);

	layout->buses = alloc_array(flow.count + 1, sizeof(layout->buses[0]), why);
	if (!layout->buses)
		return -why->err;
	flow = flow_all(layout, buses, count, limit, layout->buses);
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
	count = measure_subtrees(layout) + count_root_buses(&layout->tree);
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
