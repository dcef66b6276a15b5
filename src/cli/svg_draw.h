/* SPDX-License-Identifier: MIT */
/* Writes the parts of a picture; svg.c puts them together. Nothing here fails but the writing. */
#ifndef CLI_SVG_DRAW_H
#define CLI_SVG_DRAW_H

#include "cli/svg_layout.h"
#include "cli/svg_text.h"

/* Groups of several functions take turns; the eighth and the first differ by their numbers only. */
#define SVG_COLOURS 7

/* A rectangle whose looks are those of `style`, a class of the style sheet. */
void svg_put_rect(FILE *to, const char *style, int x, int y, int width, int height);

/* Text from x on (style's anchor may say otherwise); y is its base line. */
void svg_put_text(FILE *to, const char *style, int x, int y, const char *text);

/* The sign of a weak link, 10 pixels wide. */
void svg_put_warning(FILE *to, int x, int y);

void svg_draw_lines(const struct svg_layout *layout, FILE *to);
void svg_draw_frames(const struct svg_layout *layout, FILE *to);
void svg_draw_boxes(const struct svg_layout *layout, FILE *to);

/* What the signs mean, and which groups have several functions. to: NULL only measures. Returns its height. */
int svg_legend(const struct svg_layout *layout, int x, int y, int width, FILE *to);

/* "c3": how boxes of that group look; `group` may be of enum svg_group. */
const char *svg_style_of(const struct svg_tree *tree, int group);

#endif
