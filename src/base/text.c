/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include "base/bits.h"

/* What a first byte promises: how many follow, and the least code point that needs so many. */
static unsigned following_bytes(u8 first, u32 *ret_bits, u32 *ret_least)
{
	static const u32 least[] = {0, 0x80, 0x800, 0x10000};
	unsigned count = first < 0x80 ? 0 : first >= 0xf0 && first < 0xf8 ? 3 : first >= 0xe0 ? 2 : 1;

	*ret_bits = first < 0x80 ? first : first & (0x3fu >> count);
	*ret_least = least[count];
	return count;
}

/* Bytes of the character at text; 0 when there is none that may be shown. */
static unsigned character_at(const char *text)
{
	u8 first = (u8)*text;
	u32 point, least;
	unsigned count = following_bytes(first, &point, &least);

	if (first < 0x20 || first == 0x7f || (first >= 0x80 && first < 0xc2) || first >= 0xf5)
		return 0;
	for (unsigned i = 1; i <= count; i++) {
		if (((u8)text[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | ((u8)text[i] & 0x3f);
	}
	/* 0x80 to 0x9f are control characters too; surrogates are no characters; nor is what XML forbids. */
	if (point < least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ||
	    (point >= 0x80 && point < 0xa0) || point == 0xfffe || point == 0xffff)
		return 0;
	return count + 1;
}

char *text_clean(char *text)
{
	for (char *at = text; *at;) {
		unsigned bytes = character_at(at);

		if (!bytes)
			*at = '?';
		at += bytes ? bytes : 1;
	}
	return text;
}

static u8 hex_digit(char digit)
{
	return (u8)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
}

bool text_uuid(const char *text, u8 ret[static UUID_SIZE])
{
	static const char shape[UUID_LENGTH + 1] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	unsigned digits = 0;

	for (unsigned i = 0; i < UUID_LENGTH; i++) {
		if (!text[i] || (shape[i] == '-' ? text[i] != '-' : !strchr("0123456789abcdefABCDEF", text[i])))
			return false;
		if (shape[i] == '-')
			continue;
		ret[digits / 2] = (u8)(ret[digits / 2] << 4 | hex_digit(text[i]));
		digits++;
	}
	return true;
}
