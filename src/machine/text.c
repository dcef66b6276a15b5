/* SPDX-License-Identifier: MIT */
#include "machine/text.h"

#include <ctype.h>
#include <stdlib.h>

void text_take(struct text *text, const char *bytes, size_t size)
{
	text->length = strnlen(bytes, min_u64(size, NODE_TEXT));
	memcpy(text->bytes, bytes, text->length);
	text->bytes[text->length] = '\0';
}

bool text_is(const struct text *text, const char *word)
{
	size_t length = strlen(word);

	return strncmp(text->bytes, word, length) == 0 &&
	       (text->length == length || (text->length == length + 1 && text->bytes[length] == '\n'));
}

bool text_number(const struct text *text, u64 *ret)
{
	char *rest;

	if (!isdigit((unsigned char)text->bytes[0]))
		return false;
	*ret = strtoull(text->bytes, &rest, 0);
	return *rest == '\0' || strcmp(rest, "\n") == 0;
}

int text_unsigned(const struct text *text, const struct node *node, u64 *ret, struct why *why)
{
	char sample[TEXT_SAMPLE];

	if (text_number(text, ret))
		return 0;
	return refuse(why, ATTRIBUTE_VALUE, "%s takes a number, not \"%s\"", node->name,
		      text_sample(text->bytes, sample));
}

int text_flag(const struct text *text, const struct node *node, bool *ret, struct why *why)
{
	u64 value = 0;
	int err = text_unsigned(text, node, &value, why);

	if (err == 0)
		*ret = value != 0;
	return err;
}

int text_yes(const struct text *text, const struct node *node, bool *ret, struct why *why)
{
	const char *letter = text->bytes + (tolower((unsigned char)text->bytes[0]) == 'o');
	const char *no = letter == text->bytes ? "nf0" : "f", *yes = letter == text->bytes ? "yt1" : "n";
	int decides = tolower((unsigned char)*letter);
	char sample[TEXT_SAMPLE];

	if (!decides || (!strchr(no, decides) && !strchr(yes, decides)))
		return refuse(why, ATTRIBUTE_VALUE, "%s takes Y or N, not \"%s\"", node->name,
			      text_sample(text->bytes, sample));
	*ret = strchr(yes, decides) != NULL;
	return 0;
}

const char *text_sample(const char *bytes, char sample[static TEXT_SAMPLE])
{
	size_t i;

	for (i = 0; i < TEXT_SAMPLE - 1 && bytes[i] && bytes[i] != '\n'; i++) {
		char c = bytes[i];

		sample[i] = isprint((unsigned char)c) && c != '%' && c != '"' && c != '\\' ? c : '?';
	}
	sample[i] = '\0';
	return sample;
}
