/* SPDX-License-Identifier: MIT */
#ifndef CLI_INSPECT_TEXT_H
#define CLI_INSPECT_TEXT_H

#include <jansson.h>
#include <stdio.h>

/*
 * The document of a room for people: each object a line with its plain members, what nests indented below. Knows no
 * names, so that whatever a room tells is shown.
 */
void inspect_text(const json_t *document, FILE *out);

#endif
