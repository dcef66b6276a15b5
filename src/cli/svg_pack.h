/* SPDX-License-Identifier: MIT */
/*
 * How close boxes can be: what is small moves up beside the large subtree of its neighbour. A bridge is level with the
 * first function below it, so lines from bridges to buses never cross.
 */
#ifndef CLI_SVG_PACK_H
#define CLI_SVG_PACK_H

#include "cli/svg_tree.h"

/* The slot after that of `first`; NULL at the end of the list. */
struct svg_node *svg_next_slot(const struct svg_node *first);

/* Stacks the functions of a slot: their y becomes relative to the first. */
void svg_stack(struct svg_node *first, struct svg_shape *ret);

void svg_move(struct svg_node *first, int move); /* the functions of a slot */

/* How far down `added` has to go to be below shape, `gap` pixels in the first column. */
int svg_fit(const struct svg_shape *shape, const struct svg_shape *added, int gap);

/* shape with added, moved down so far. */
void svg_merge(struct svg_shape *shape, const struct svg_shape *added, int move);

/*
 * The shapes of all subtrees, into the nodes: y becomes relative to the bridge above. A bus that would make a tree
 * deeper than SVG_DEEPEST, or too tall, continues elsewhere; how many do is returned.
 */
size_t svg_pack(struct svg_tree *tree);

#endif
