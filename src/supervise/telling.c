/* SPDX-License-Identifier: MIT */
#include "supervise/telling.h"

#include <ctype.h>
#include <stdlib.h>

static struct telling *telling_of(struct describer *describer)
{
	return container_of(describer, struct telling, describer);
}

/* Takes value, also when it cannot be added. */
static void add(struct telling *telling, const char *name, json_t *value)
{
	json_t *to = telling->depth <= TELLING_DEPTH ? telling->open[telling->depth - 1] : NULL;
	int err;

	/* Something around it was dropped already. */
	if (!to) {
		json_decref(value);
		telling->failed = true;
		return;
	}
	err = name ? json_object_set_new(to, name, value) : json_array_append_new(to, value);
	if (err < 0)
		telling->failed = true;
}

/* What nests is open until its end, counted also where there is no room for it. */
static void begin(struct describer *describer, const char *name, json_t *value)
{
	struct telling *telling = telling_of(describer);

	if (telling->failed) {
		json_decref(value);
		value = NULL;
	} else {
		add(telling, name, value);
	}
	if (telling->failed)
		value = NULL;
	if (telling->depth < TELLING_DEPTH)
		telling->open[telling->depth] = value;
	else
		telling->failed = true;
	telling->depth++;
}

static void begin_object(struct describer *describer, const char *name)
{
	begin(describer, name, json_object());
}

static void begin_array(struct describer *describer, const char *name)
{
	begin(describer, name, json_array());
}

static void close_it(struct describer *describer)
{
	struct telling *telling = telling_of(describer);

	assert(telling->depth > 1);
	telling->depth--;
}

static void number(struct describer *describer, const char *name, u64 value)
{
	add(telling_of(describer), name, json_integer((json_int_t)min_u64(value, INT64_MAX)));
}

static void flag(struct describer *describer, const char *name, bool value)
{
	add(telling_of(describer), name, json_boolean(value));
}

/* A program may have any name; JSON takes no broken UTF-8. */
static json_t *plain(const char *text)
{
	char *copy = strdup(text);
	json_t *value;

	for (char *c = copy; c && *c; c++)
		if (!isascii((unsigned char)*c) || iscntrl((unsigned char)*c))
			*c = '?';
	value = copy ? json_string(copy) : NULL;
	free(copy);
	return value;
}

static void text(struct describer *describer, const char *name, const char *words)
{
	json_t *value = words ? json_string(words) : json_null();

	add(telling_of(describer), name, value ? value : plain(words));
}

void telling_init(struct telling *telling, u64 mappings)
{
	static const struct describer_ops ops = {.object = begin_object,
						 .array = begin_array,
						 .close = close_it,
						 .number = number,
						 .flag = flag,
						 .text = text};

	*telling = (struct telling){.describer = {.ops = &ops, .mappings = mappings}};
	telling->open[0] = json_object();
	telling->failed = !telling->open[0];
	telling->depth = 1;
}

char *telling_finish(struct telling *telling)
{
	char *text = NULL;

	assert(telling->depth == 1);
	if (!telling->failed)
		text = json_dumps(telling->open[0], JSON_COMPACT);
	json_decref(telling->open[0]);
	*telling = (struct telling){.depth = 0};
	return text;
}
