/* SPDX-License-Identifier: MIT */
/* A describer (base/describe.h) that makes JSON. */
#ifndef SUPERVISE_TELLING_H
#define SUPERVISE_TELLING_H

#include <jansson.h>

#include "base/describe.h"

enum { TELLING_DEPTH = 24 };

struct telling {
	struct describer describer;
	json_t *open[TELLING_DEPTH]; /* the first is owned, each other by the one before */
	unsigned depth;
	bool failed; /* no memory, or nested too deep: what was told is not whole */
};

void telling_init(struct telling *telling, u64 mappings); /* an object has begun */

/* The text, compact, to be freed; NULL when it could not be made. Ends telling. */
char *telling_finish(struct telling *telling);

#endif
