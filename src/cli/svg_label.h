/* SPDX-License-Identifier: MIT */
/* The words of a picture, short enough for its boxes; the sentences are in the tooltips. */
#ifndef CLI_SVG_LABEL_H
#define CLI_SVG_LABEL_H

#include "cli/svg_tree.h"

#define SVG_LABEL 320

/* "Ethernet: Intel 82574L Gigabit Network Connection", "root port". Returns text. */
const char *svg_describe(const struct svg_tree *tree, const struct pci_function *function, char text[static SVG_LABEL]);

/* First and second line of a box, and what its chip says. */
const char *svg_heading(const struct svg_node *node, char text[static SVG_LABEL]);
const char *svg_subject(const struct svg_tree *tree, const struct svg_node *node, char text[static SVG_LABEL]);
const char *svg_chip(const struct svg_node *node, char text[static SVG_LABEL]);

/* "alias 7", or "" when the function is the only one of its set. */
const char *svg_alias(const struct svg_tree *tree, const struct svg_node *node, char text[static SVG_LABEL]);

/* "no ACS capability": what a function is to blame for. */
const char *svg_accuse(const struct svg_tree *tree, const struct svg_blame *blame, char text[static SVG_LABEL]);

/* What the box is marked with; NULL: nothing. */
const struct svg_blame *svg_box_blame(const struct svg_tree *tree, const struct svg_node *node);

/* What the slot that starts with `first` is marked with: the first of its functions that is to blame; NULL: nothing. */
const struct svg_blame *svg_slot_blame(const struct svg_tree *tree, const struct svg_node *first);

/* The next function of the slot, virtual ones left out; NULL at its end. */
const struct svg_node *svg_next_in_slot(const struct svg_node *node);

#endif
