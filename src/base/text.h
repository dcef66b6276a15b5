/* SPDX-License-Identifier: MIT */
/* Text that came from outside. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#define UUID_LENGTH 36 /* characters of its text */
#define UUID_SIZE   16 /* bytes of its value */

/*
 * Makes text safe for a terminal, JSON and XML, before anything else sees it. In place: control characters, and bytes
 * that are no UTF-8 (RFC 3629), become '?'. Returns text.
 */
char *text_clean(char *text);

/* Whether text begins with a UUID, digits of either case; its bytes then, in the order of the text, are in ret. */
bool text_uuid(const char *text, uint8_t ret[static UUID_SIZE]);

#endif
