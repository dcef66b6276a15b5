/* SPDX-License-Identifier: MIT */
#include "tests/conform/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/describe.h"

struct teller {
	struct describer describer;
	FILE *lines;
	unsigned depth;
};

static struct teller *teller_of(struct describer *describer)
{
	return container_of(describer, struct teller, describer);
}

static void indent(struct teller *teller, const char *name)
{
	fprintf(teller->lines, "%*s%s ", (int)teller->depth, "", name ? name : "-");
}

static void tell_group(struct describer *describer, const char *name)
{
	struct teller *teller = teller_of(describer);

	indent(teller, name);
	fputc('\n', teller->lines);
	teller->depth++;
}

static void tell_close(struct describer *describer)
{
	teller_of(describer)->depth--;
}

static void tell_number(struct describer *describer, const char *name, u64 value)
{
	struct teller *teller = teller_of(describer);

	indent(teller, name);
	fprintf(teller->lines, "%llu\n", (unsigned long long)value);
}

static void tell_flag(struct describer *describer, const char *name, bool value)
{
	tell_number(describer, name, value);
}

static void tell_text(struct describer *describer, const char *name, const char *text)
{
	struct teller *teller = teller_of(describer);

	/*
	 * Why a device nobody owns has its DMA blocked: what undid a request had no memory to give it back to the
	 * kernel. The next request about it mends that.
	 */
	if (name && strcmp(name, "parked") == 0)
		return;
	indent(teller, name);
	fprintf(teller->lines, "%s\n", text ? text : "(none)");
}

char *state_text(struct machine *machine)
{
	static const struct describer_ops ops = {
		.object = tell_group,
		.array = tell_group,
		.close = tell_close,
		.number = tell_number,
		.flag = tell_flag,
		.text = tell_text,
	};
	struct teller teller = {.describer = {.ops = &ops, .mappings = 100000}};
	char *text = NULL;
	size_t size;

	teller.lines = open_memstream(&text, &size);
	if (!teller.lines)
		abort();
	machine_inspect(machine, &teller.describer);
	fclose(teller.lines);
	return text;
}

bool state_differs(const char **one, const char **other)
{
	const char *left = *one, *right = *other;

	for (size_t i = 0; left[i] == right[i]; i++) {
		if (!left[i])
			return false;
		if (left[i] == '\n') {
			*one = left + i + 1;
			*other = right + i + 1;
		}
	}
	return true;
}
