/* SPDX-License-Identifier: MIT */
/*
 * A first walk over a file, event by event, before libyaml loads it as a whole. It takes quadratic time for nested
 * brackets (each token asks every open one whether it may still become a key) and for anchors (each is compared with
 * all before): a mebibyte of either would keep it busy for minutes.
 */
#include "base/alloc.h"
#include "machine/yaml.h"

enum { NESTING_MAX = 600, BRACKETS_MAX = 100, ANCHORS_MAX = 256 };

struct bounds {
	unsigned depth, brackets, anchors, documents; /* depth: those with brackets too */
};

static bool is_start(const yaml_event_t *event)
{
	return event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT;
}

static bool is_last(const yaml_event_t *event)
{
	return event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT;
}

static bool has_brackets(const yaml_event_t *event)
{
	return event->type == YAML_SEQUENCE_START_EVENT ? event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE
							: event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
}

/* Inside of brackets there are only more of them. */
static void count_nesting(struct bounds *bounds, const yaml_event_t *event)
{
	bounds->depth += is_start(event);
	bounds->depth -= is_last(event);
	if (is_start(event))
		bounds->brackets += bounds->brackets || has_brackets(event);
	else if (is_last(event) && bounds->brackets)
		bounds->brackets--;
}

static bool has_anchor(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor;
	default:
		return false;
	}
}

static int check_event(struct yaml_reader *reader, struct bounds *bounds, const yaml_event_t *event)
{
	const yaml_node_t place = {.start_mark = event->start_mark};

	count_nesting(bounds, event);
	bounds->anchors += has_anchor(event);
	if (bounds->brackets > BRACKETS_MAX)
		return yaml_refuse(reader, &place, "lists and mappings in brackets are nested more than %d deep",
				   BRACKETS_MAX);
	if (bounds->depth > NESTING_MAX)
		return yaml_refuse(reader, &place, "lists and mappings are nested more than %d deep", NESTING_MAX);
	if (bounds->anchors > ANCHORS_MAX)
		return yaml_refuse(reader, &place, "a machine file has at most %d anchors", ANCHORS_MAX);
	/* The mark of "---" itself helps less than that of what follows it. */
	if (bounds->documents > 1)
		return yaml_refuse(reader, &place, "a machine file is one YAML document; here a second one begins");
	bounds->documents += event->type == YAML_DOCUMENT_START_EVENT;
	return 0;
}

static int check_events(struct yaml_reader *reader, yaml_parser_t *parser)
{
	struct bounds bounds = {.depth = 0};
	yaml_event_type_t type;
	int err;

	do {
		yaml_event_t event;

		if (!yaml_parser_parse(parser, &event))
			return yaml_refuse_syntax(reader, parser);
		type = event.type;
		err = check_event(reader, &bounds, &event);
		yaml_event_delete(&event);
	} while (err == 0 && type != YAML_STREAM_END_EVENT);
	return err;
}

int yaml_check_bounds(struct yaml_reader *reader, const char *text, size_t size)
{
	yaml_parser_t parser;
	int err;

	if (!fallible() || !yaml_parser_initialize(&parser))
		return yaml_refuse_memory(reader);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	err = check_events(reader, &parser);
	yaml_parser_delete(&parser);
	return err;
}
