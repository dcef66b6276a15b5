/* SPDX-License-Identifier: MIT */
/* The text of one write(2) to an attribute, read as Linux's sysfs reads it. */
#ifndef MACHINE_TEXT_H
#define MACHINE_TEXT_H

#include "base/bits.h"
#include "base/why.h"
#include "machine/node.h"

/* A terminated copy, as the kernel hands a write to a store function: at most a page, cut at the first NUL. */
struct text {
	char bytes[NODE_TEXT + 1];
	size_t length;
};

void text_take(struct text *text, const char *bytes, size_t size);

/* Equal but for one trailing newline. */
bool text_is(const struct text *text, const char *word);

/* A number in C notation with at most one trailing newline, nothing else. */
bool text_number(const struct text *text, u64 *ret);
/* Both refuse anything else with ATTRIBUTE_VALUE, naming the attribute. */
/* Linux's way to read a yes or no: y, t, 1 or on; n, f, 0 or off. Only the letters that decide count. */
int text_yes(const struct text *text, const struct node *node, bool *ret, struct why *why);
int text_flag(const struct text *text, const struct node *node, bool *ret, struct why *why);
int text_unsigned(const struct text *text, const struct node *node, u64 *ret, struct why *why);

/* The first line's beginning, fit for a message: no control characters, no quotes, no percent signs. */
#define TEXT_SAMPLE 48
const char *text_sample(const char *bytes, char sample[static TEXT_SAMPLE]);

#endif
