/* SPDX-License-Identifier: MIT */
/* Text that came from outside: made safe for a terminal, JSON and XML before anything else sees it. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

/* In place: control characters, and bytes that are no UTF-8 (RFC 3629), become '?'. Returns text. */
char *text_clean(char *text);

#endif
