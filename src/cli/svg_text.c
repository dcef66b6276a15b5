/* SPDX-License-Identifier: MIT */
#include "cli/svg_text.h"

#include <string.h>

#include "base/bits.h"

#define REPLACEMENT 0xfffdu
#define ELLIPSIS    "\xe2\x80\xa6"

/*
 * Advance widths of U+0020 to U+007E in hundredths of the size, rounded up: the larger of DejaVu Sans and Liberation
 * Sans (which is as wide as Arial and Helvetica). So text ends where it should at the latest, whichever font is there.
 */
static const u8 widths[2][95] = {
	[SVG_PLAIN] = {32, 41, 46, 84, 64, 95, 78, 28, 39,  39, 50, 84, 32, 37, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64,
		       64, 64, 34, 34, 84, 84, 84, 56, 102, 69, 69, 73, 77, 67, 62, 78, 76, 30, 50, 67, 56, 87, 75, 79,
		       67, 79, 73, 67, 62, 74, 69, 99, 69,  67, 69, 39, 34, 39, 84, 56, 50, 62, 64, 55, 64, 62, 36, 64,
		       64, 28, 28, 58, 28, 98, 64, 62, 64,  64, 42, 53, 40, 64, 60, 82, 60, 60, 53, 64, 34, 64, 84},
	[SVG_BOLD] = {35, 46,  53, 84, 70, 101, 88, 31,	 46, 46, 53, 84, 38, 42,  38, 37, 70, 70,  70,
		      70, 70,  70, 70, 70, 70,	70, 40,	 40, 84, 84, 84, 62, 100, 78, 77, 74, 83,  69,
		      69, 83,  84, 38, 56, 78,	64, 100, 84, 85, 74, 85, 77, 72,  69, 82, 78, 111, 78,
		      73, 73,  46, 37, 46, 84,	56, 50,	 68, 72, 60, 72, 68, 44,  72, 72, 35, 35,  67,
		      35, 105, 72, 69, 72, 72,	50, 60,	 48, 72, 66, 93, 65, 66,  59, 72, 37, 72,  84},
};

#define WIDEST	   113 /* of the letters beyond ASCII that are shown; digraphs such as U+01F1 are not */
#define MONO_WIDTH 61  /* DejaVu Sans Mono 60.2, Courier and its like 60.0 */

/* Letters and signs of which we know that they are one narrow column and do not change what is around them. */
static bool is_shown(u32 letter)
{
	return (letter >= 0x20 && letter < 0x7f) || (letter >= 0xa0 && letter < 0x180 && letter != 0xad) ||
	       (letter >= 0x386 && letter < 0x3cf) || (letter >= 0x400 && letter < 0x460) ||
	       (letter >= 0x2010 && letter < 0x2023) || letter == 0x2026 || letter == 0x2122;
}

/* Bytes that the lead byte promises; 0 when it is none. */
static unsigned length_of(u8 lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead < 0xe0)
		return 2;
	if (lead >= 0xe0 && lead < 0xf0)
		return 3;
	return lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
}

/*
 * The letter at text, REPLACEMENT if it is not to be shown; *ret_length is how many bytes it takes, at least 1. What is
 * overlong or a surrogate is not told from other letters that are not shown.
 */
static u32 letter_at(const char *text, unsigned *ret_length)
{
	static const u8 lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	unsigned length = length_of((u8)*text);
	u32 letter;

	*ret_length = 1;
	if (length == 0)
		return REPLACEMENT;
	letter = (u8)*text & lead_bits[length];
	for (unsigned i = 1; i < length; i++) {
		if (((u8)text[i] & 0xc0) != 0x80)
			return REPLACEMENT;
		letter = letter << 6 | ((u8)text[i] & 0x3f);
	}
	/* An overlong form of three or four bytes could pass for a letter; two bytes cannot be overlong here. */
	if (length > 2 && letter < (length == 3 ? 0x800u : 0x10000u))
		return REPLACEMENT;
	*ret_length = length;
	return is_shown(letter) ? letter : REPLACEMENT;
}

static unsigned letter_width(u32 letter, enum svg_font font)
{
	if (font == SVG_MONO && letter < 0x7f)
		return MONO_WIDTH;
	return letter < 0x7f ? widths[font][letter - 0x20] : WIDEST;
}

static unsigned to_pixels(unsigned hundredths, unsigned size)
{
	return (hundredths * size + 99) / 100;
}

unsigned svg_text_width(const char *text, enum svg_font font, unsigned size)
{
	unsigned width = 0, length;

	for (; *text; text += length)
		width += letter_width(letter_at(text, &length), font);
	return to_pixels(width, size);
}

const char *svg_text_cut(const char *text, enum svg_font font, unsigned size, unsigned width, char *to, size_t room)
{
	unsigned used = 0, length;
	size_t at = 0, cut = 0; /* cut: where the ellipsis would go */

	for (; text[at]; at += length) {
		used += letter_width(letter_at(text + at, &length), font);
		if (to_pixels(used, size) > width || at + length >= room)
			break;
		if (to_pixels(used + WIDEST, size) <= width && at + length + sizeof(ELLIPSIS) <= room)
			cut = at + length;
	}
	if (!text[at])
		cut = at;
	while (text[at] && cut && text[cut - 1] == ' ')
		cut--;
	memcpy(to, text, cut);
	strcpy(to + cut, text[at] && cut ? ELLIPSIS : "");
	return to;
}

static void write_letter(u32 letter, const char *bytes, unsigned length, FILE *to)
{
	switch (letter) {
	case '<':
		fputs("&lt;", to);
		break;
	case '>':
		fputs("&gt;", to);
		break;
	case '&':
		fputs("&amp;", to);
		break;
	case REPLACEMENT:
		fputs("\xef\xbf\xbd", to);
		break;
	default:
		fwrite(bytes, 1, length, to);
	}
}

void svg_text_write(const char *text, FILE *to)
{
	unsigned length;

	for (; *text; text += length) {
		u32 letter = letter_at(text, &length);

		write_letter(letter, text, length, to);
	}
}
