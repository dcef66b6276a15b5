/* SPDX-License-Identifier: MIT */
#include "machine/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

/* What is quoted from a file may hold anything. */
static void make_printable(char *text)
{
	for (char *c = text; *c; c++)
		if (!isprint((unsigned char)*c) || *c == '%')
			*c = '?';
}

static int refuse_at_mark(struct yaml_reader *reader, yaml_mark_t mark, const char *text)
{
	return refuse(reader->why, MACHINE_FILE, "%.70s:%zu:%zu: %s", reader->file, mark.line + 1, mark.column + 1,
		      text);
}

int yaml_refuse_memory(struct yaml_reader *reader)
{
	return refuse(reader->why, OUT_OF_MEMORY, "no memory to parse %.100s", reader->file);
}

static bool at_tab(const yaml_parser_t *parser)
{
	return parser->buffer.pointer < parser->buffer.last && *parser->buffer.pointer == '\t';
}

int yaml_refuse_syntax(struct yaml_reader *reader, const yaml_parser_t *parser)
{
	char text[120];

	if (parser->error == YAML_MEMORY_ERROR)
		return yaml_refuse_memory(reader);
	/* The reader of bytes knows only an offset. */
	if (parser->error == YAML_READER_ERROR)
		snprintf(text, sizeof(text), "%s at byte %zu", parser->problem, parser->problem_offset);
	else if (parser->error == YAML_SCANNER_ERROR && at_tab(parser))
		snprintf(text, sizeof(text), "a tab: YAML is indented with spaces");
	else
		snprintf(text, sizeof(text), "%s", parser->problem ? parser->problem : "this is not YAML");
	make_printable(text);
	return refuse_at_mark(reader, parser->error == YAML_READER_ERROR ? parser->mark : parser->problem_mark, text);
}

int yaml_reader_init(struct yaml_reader *reader, const char *text, size_t size, const char *file, struct why *why)
{
	yaml_parser_t parser;
	int err;

	reader->file = file;
	reader->why = why;
	err = yaml_check_bounds(reader, text, size);
	if (err < 0)
		return err;
	if (!fallible() || !yaml_parser_initialize(&parser))
		return yaml_refuse_memory(reader);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	if (!yaml_parser_load(&parser, &reader->document))
		err = yaml_refuse_syntax(reader, &parser);
	yaml_parser_delete(&parser);
	return err;
}

void yaml_reader_fini(struct yaml_reader *reader)
{
	yaml_document_delete(&reader->document);
}

int yaml_refuse(struct yaml_reader *reader, const yaml_node_t *node, const char *format, ...)
{
	char text[160];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	make_printable(text);
	return refuse_at_mark(reader, node ? node->start_mark : (yaml_mark_t){0}, text);
}

/* Edits that turn a into b, counted up to a small limit by the usual table; names are short. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[32], rows = (unsigned)strlen(a), columns = (unsigned)strlen(b);

	if (rows > 24 || columns > 24)
		return 99;
	for (unsigned j = 0; j <= columns; j++)
		row[j] = j;
	for (unsigned i = 1; i <= rows; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= columns; j++) {
			unsigned above = row[j], change = diagonal + (a[i - 1] != b[j - 1]);

			row[j] = (unsigned)min_u64(min_u64(above + 1, row[j - 1] + 1), change);
			diagonal = above;
		}
	}
	return row[columns];
}

static int refuse_key(struct yaml_reader *reader, const yaml_node_t *node, const char *name,
		      const struct yaml_key *keys, size_t nkeys, const char *what)
{
	const char *closest = NULL;
	unsigned best = 3;

	for (size_t i = 0; i < nkeys; i++) {
		unsigned edits = distance(name, keys[i].name);

		if (edits < best) {
			best = edits;
			closest = keys[i].name;
		}
	}
	if (closest)
		return yaml_refuse(reader, node, "unknown key \"%.40s\" in %s; did you mean \"%s\"?", name, what,
				   closest);
	return yaml_refuse(reader, node, "unknown key \"%.40s\" in %s", name, what);
}

static yaml_node_t *node_of(struct yaml_reader *reader, int index)
{
	return yaml_document_get_node(&reader->document, index);
}

static const struct yaml_key *find_key(const struct yaml_key *keys, size_t nkeys, const char *name)
{
	for (size_t i = 0; i < nkeys; i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

int yaml_read_mapping(struct yaml_reader *reader, yaml_node_t *node, const struct yaml_key *keys, size_t nkeys,
		      const char *what, void *target)
{
	u64 seen = 0;

	assert(nkeys <= 64);
	if (!node || node->type != YAML_MAPPING_NODE)
		return yaml_refuse(reader, node, "%s is a mapping: \"key: value\" lines", what);
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		yaml_node_t *name_node = node_of(reader, pair->key);
		const struct yaml_key *key;
		const char *name = "";
		int err = yaml_text(reader, name_node, &name);

		if (err < 0)
			return err;
		key = find_key(keys, nkeys, name);
		if (!key)
			return refuse_key(reader, name_node, name, keys, nkeys, what);
		if (seen & BIT(key - keys))
			return yaml_refuse(reader, name_node, "key \"%s\" a second time in %s", name, what);
		seen |= BIT(key - keys);
		err = key->read(reader, node_of(reader, pair->value), target);
		if (err < 0)
			return err;
	}
	return 0;
}

int yaml_read_sequence(struct yaml_reader *reader, yaml_node_t *node, const char *what,
		       int (*each)(struct yaml_reader *reader, yaml_node_t *item, void *target), void *target)
{
	int err = 0;

	if (!node || node->type != YAML_SEQUENCE_NODE)
		return yaml_refuse(reader, node, "%s is a list: \"- item\" lines, or [item, item]", what);
	for (yaml_node_item_t *item = node->data.sequence.items.start; err == 0 && item < node->data.sequence.items.top;
	     item++)
		err = each(reader, node_of(reader, *item), target);
	return err;
}

int yaml_text(struct yaml_reader *reader, const yaml_node_t *node, const char **ret)
{
	if (!node || node->type != YAML_SCALAR_NODE)
		return yaml_refuse(reader, node, "a single value belongs here");
	if (strlen((const char *)node->data.scalar.value) != node->data.scalar.length)
		return yaml_refuse(reader, node, "a NUL character cannot be part of a value");
	*ret = (const char *)node->data.scalar.value;
	return 0;
}

int yaml_copy(struct yaml_reader *reader, const yaml_node_t *node, char *ret, size_t size)
{
	const char *text = "";
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	if (strlen(text) >= size)
		return yaml_refuse(reader, node, "\"%.40s\" is longer than %zu characters", text, size - 1);
	strcpy(ret, text);
	return 0;
}

static int number_in(struct yaml_reader *reader, const yaml_node_t *node, int base, u64 max, u64 *ret)
{
	const char *text = "";
	unsigned long long value;
	char *after;
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	errno = 0;
	value = strtoull(text, &after, base);
	if (!isalnum((unsigned char)text[0]) || *after || errno || value > max)
		return yaml_refuse(reader, node, "\"%.40s\" is not a %snumber up to %llu", text,
				   base == 16 ? "hexadecimal " : "", (unsigned long long)max);
	*ret = value;
	return 0;
}

int yaml_number(struct yaml_reader *reader, const yaml_node_t *node, u64 max, u64 *ret)
{
	return number_in(reader, node, 0, max, ret);
}

int yaml_hex(struct yaml_reader *reader, const yaml_node_t *node, u64 max, u64 *ret)
{
	return number_in(reader, node, 16, max, ret);
}

int yaml_bool(struct yaml_reader *reader, const yaml_node_t *node, bool *ret)
{
	const char *text = "";
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	*ret = strcmp(text, "true") == 0;
	if (!*ret && strcmp(text, "false") != 0)
		return yaml_refuse(reader, node, "\"%.40s\" is neither true nor false", text);
	return 0;
}

bool parse_size(const char *text, u64 *ret)
{
	static const char units[] = "KMGT";
	unsigned long long value;
	const char *unit;
	char *after;

	errno = 0;
	value = strtoull(text, &after, 0);
	if (!isdigit((unsigned char)text[0]) || errno)
		return false;
	*ret = value;
	if (!*after)
		return true;
	unit = strchr(units, *after);
	if (!unit || after[1] || value > UINT64_MAX >> (10 * (unit - units + 1)))
		return false;
	*ret = value << (10 * (unit - units + 1));
	return true;
}

int yaml_size(struct yaml_reader *reader, const yaml_node_t *node, u64 *ret)
{
	const char *text = "";
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	if (!parse_size(text, ret))
		return yaml_refuse(reader, node, "\"%.40s\" is not a size: 4096, 128K, 1M", text);
	return 0;
}
