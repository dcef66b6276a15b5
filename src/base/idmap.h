/* SPDX-License-Identifier: MIT */
/*
 * Small dense id -> pointer map. The lowest free id is given out. A reserved id is taken but finds nothing until it is
 * published: objects become visible when they can no longer fail.
 */
#ifndef BASE_IDMAP_H
#define BASE_IDMAP_H

#include "base/bits.h"
#include "base/why.h"

struct idmap {
	void **slots;
	u32 size;
	u32 limit; /* ids are below this; 0 means UINT32_MAX */
	u32 run_first,
		run_beyond; /* ids from the one up to before the other are taken: no need to look at them again */
};

#define IDMAP_INIT                                                                                                     \
	{                                                                                                              \
		.slots = NULL                                                                                          \
	}

/* 0 and the lowest free id >= first in *ret_id, or OUT_OF_MEMORY / IDS_EXHAUSTED. */
int idmap_reserve(struct idmap *map, u32 first, u32 *ret_id, struct why *why);
void idmap_publish(struct idmap *map, u32 id, void *object); /* cannot fail; id was reserved */
void idmap_abandon(struct idmap *map, u32 id);		     /* reserved or published id becomes free */
void idmap_bury(struct idmap *map, u32 id);	   /* a free id below the map's size is never given out again */
void *idmap_find(const struct idmap *map, u32 id); /* NULL if free or only reserved */

/* The first published id >= *id, which is updated; NULL when there is none. For iteration: start with 0, then ++. */
void *idmap_next(const struct idmap *map, u32 *id);

void idmap_fini(struct idmap *map); /* asserts that nothing is published */

#endif
