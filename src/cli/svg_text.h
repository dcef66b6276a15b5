/* SPDX-License-Identifier: MIT */
/*
 * Text in a picture: what of it can be shown, how wide it may get, and how it is written into XML. Nothing else writes
 * text that came from outside, so this is the only place that escapes.
 */
#ifndef CLI_SVG_TEXT_H
#define CLI_SVG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum svg_font { SVG_PLAIN, SVG_BOLD, SVG_MONO };

/* Upper bound of its width in pixels in the fonts that the picture names, at a size in pixels. */
unsigned svg_text_width(const char *text, enum svg_font font, unsigned size);

/*
 * Copies text into to, as much as is at most `width` pixels wide, with "..." as one sign where something had to go; ""
 * when nothing but that sign would fit. room is that of to. Returns to.
 */
const char *svg_text_cut(const char *text, enum svg_font font, unsigned size, unsigned width, char *to, size_t room);

/*
 * Writes text as XML character data. Control characters, invalid UTF-8, and letters outside of the Latin, Greek and
 * Cyrillic scripts, whose widths cannot be told, become U+FFFD.
 */
void svg_text_write(const char *text, FILE *to);

#endif
