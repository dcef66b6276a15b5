/* SPDX-License-Identifier: MIT */
/*
 * Reading YAML by tables of keys, with the place of every complaint. libyaml parses; libcyaml would check a schema too,
 * but tells where an error is only through a log callback.
 */
#ifndef MACHINE_YAML_H
#define MACHINE_YAML_H

#include <yaml.h>

#include "base/bits.h"
#include "base/why.h"

struct yaml_reader {
	yaml_document_t document;
	const char *file; /* its name, for messages */
	struct why *why;
};

/* One key of a mapping and who reads its value into target. */
struct yaml_key {
	const char *name;
	int (*read)(struct yaml_reader *reader, yaml_node_t *value, void *target);
};

/* Parses size bytes; MACHINE_FILE with the place of a syntax error. yaml_reader_fini() in any case but failure. */
int yaml_reader_init(struct yaml_reader *reader, const char *text, size_t size, const char *file, struct why *why);
void yaml_reader_fini(struct yaml_reader *reader);

/* Refuses what would take too long to load: deep nesting, many anchors; and a second document. Syntax errors too. */
int yaml_check_bounds(struct yaml_reader *reader, const char *text, size_t size);

int yaml_refuse_memory(struct yaml_reader *reader);
int yaml_refuse_syntax(struct yaml_reader *reader, const yaml_parser_t *parser); /* what the parser says went wrong */

/* MACHINE_FILE: "FILE:LINE:COLUMN: ..." of the node; returns -EINVAL. */
int yaml_refuse(struct yaml_reader *reader, const yaml_node_t *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Reads a mapping; `what` is "a device" in "unknown key "rolle" in a device; did you mean "role"?". */
int yaml_read_mapping(struct yaml_reader *reader, yaml_node_t *node, const struct yaml_key *keys, size_t nkeys,
		      const char *what, void *target);

/* Calls each for every item of a sequence. */
int yaml_read_sequence(struct yaml_reader *reader, yaml_node_t *node, const char *what,
		       int (*each)(struct yaml_reader *reader, yaml_node_t *item, void *target), void *target);

/* A scalar's text; refuses other nodes and texts with a NUL inside. */
int yaml_text(struct yaml_reader *reader, const yaml_node_t *node, const char **ret);
/* ... that fits size bytes with its terminator. */
int yaml_copy(struct yaml_reader *reader, const yaml_node_t *node, char *ret, size_t size);
int yaml_number(struct yaml_reader *reader, const yaml_node_t *node, u64 max, u64 *ret);
int yaml_hex(struct yaml_reader *reader, const yaml_node_t *node, u64 max, u64 *ret);
int yaml_bool(struct yaml_reader *reader, const yaml_node_t *node, bool *ret);
/* "128K", "1M", "4096" */
int yaml_size(struct yaml_reader *reader, const yaml_node_t *node, u64 *ret);

/* Reads "128K" at text; false when it is no size. */
bool parse_size(const char *text, u64 *ret);

#endif
