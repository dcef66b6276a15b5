/* SPDX-License-Identifier: MIT */
/*
 * Where everything goes: from left to right with the depth, a box level with the first of what is below it. A bus that
 * would make the tree too deep or too tall is drawn elsewhere and only named there. Root buses and those buses are cut
 * between slots into panels side by side, so that the whole is about as wide as a screen.
 */
#ifndef CLI_SVG_LAYOUT_H
#define CLI_SVG_LAYOUT_H

#include "cli/svg_tree.h"

enum {
	SVG_BOX_HEIGHT = 38,
	SVG_LABEL_HEIGHT = 17, /* what a weak link adds to its box */
	SVG_GUTTER = 68,       /* between the box of a bridge and what is below it */
	SVG_BAR = 22,	       /* from a bus to the boxes on it */
	SVG_FRAME = 6,	       /* from a box to the frame of its slot */
	SVG_FRAME_HEAD = 19,   /* the same, above */
	SVG_SLOT_GAP = 10,
	SVG_BUS_GAP = 24,
	SVG_BOX_GAP = 4,
	SVG_INDENT = 16, /* of virtual functions */
	SVG_HEADER = 30, /* of a bus at the left */
	SVG_PANEL_GAP = 44,
	SVG_BUS_SIZE = 13, /* letters */
	SVG_HEADING_SIZE = 12,
	SVG_TEXT_SIZE = 11,
};

/* A bus at the left of a panel, or the rest of it. */
struct svg_bus {
	struct svg_node *above;		/* NULL: a root bus */
	struct svg_node *first, *after; /* of those on it here */
	size_t number;			/* as in svg_node.continues; 0: a root bus */
	bool continued;
	int x, y; /* of its header */
};

struct svg_layout {
	struct svg_tree tree;
	int box_width;
	struct svg_bus *buses; /* owned: in the order they are drawn */
	size_t nbuses;
	int width, height; /* of all of it, which starts at 0, 0 */
};

int svg_layout_init(struct svg_layout *layout, const struct explanation *explanation, struct why *why);
void svg_layout_fini(struct svg_layout *layout); /* also after svg_layout_init() failed */

/* The middle of a box, where its line to the bus goes. */
static inline int svg_middle(const struct svg_node *node)
{
	return node->y + SVG_BOX_HEIGHT / 2;
}

#endif
