/* SPDX-License-Identifier: MIT */
#include "cli/inspect_text.h"

#include <stdbool.h>
#include <string.h>

static bool is_nested(const json_t *value)
{
	return json_is_object(value) || json_is_array(value);
}

static void print_plain(const json_t *value, FILE *out)
{
	if (json_is_string(value))
		fputs(json_string_value(value), out);
	else if (json_is_integer(value))
		fprintf(out, "%lld", (long long)json_integer_value(value));
	else
		fputs(json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "none", out);
}

/* "domain_is_default" as words. */
static void print_name(const char *name, FILE *out)
{
	for (; *name; name++)
		putc(*name == '_' ? ' ' : *name, out);
}

static void indent(unsigned depth, FILE *out)
{
	fprintf(out, "%*s", (int)depth * 2, "");
}

static void print_object(const json_t *object, unsigned depth, FILE *out);

/* Plain values on the line of the name, others each on a line below. */
static void print_array(const json_t *array, unsigned depth, FILE *out)
{
	const json_t *value;
	size_t i;

	if (json_array_size(array) == 0)
		fputs(" none", out);
	json_array_foreach(array, i, value) if (!is_nested(value))
	{
		putc(' ', out);
		print_plain(value, out);
	}
	putc('\n', out);
	json_array_foreach(array, i, value) if (json_is_object(value))
	{
		indent(depth + 1, out);
		print_object(value, depth + 1, out);
	}
}

/* The line has begun. What is not, or no, is left out: it says what there is. */
static void print_object(const json_t *object, unsigned depth, FILE *out)
{
	const char *name, *between = "";
	json_t *member;

	json_object_foreach((json_t *)object, name,
			    member) if (!is_nested(member) && !json_is_null(member) && !json_is_false(member))
	{
		fputs(between, out);
		print_name(name, out);
		if (!json_is_true(member)) {
			putc(' ', out);
			print_plain(member, out);
		}
		between = ", ";
	}
	putc('\n', out);
	json_object_foreach((json_t *)object, name, member)
	{
		if (!is_nested(member))
			continue;
		indent(depth + 1, out);
		print_name(name, out);
		putc(':', out);
		if (json_is_array(member)) {
			print_array(member, depth + 1, out);
		} else {
			putc(' ', out);
			print_object(member, depth + 1, out);
		}
	}
}

void inspect_text(const json_t *document, FILE *out)
{
	print_object(document, 0, out);
}
