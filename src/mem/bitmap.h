/* SPDX-License-Identifier: MIT */
/*
 * A bitmap in a client's memory, as programs give one to be told of pages: bit n stands for the 2^shift bytes from
 * iova + (n << shift) on. Bits are only ever set there, a part at a time: those of neighbouring ranges are gathered
 * first.
 */
#ifndef MEM_BITMAP_H
#define MEM_BITMAP_H

#include "mem/client.h"

struct client_bitmap {
	struct client *client; /* borrowed */
	u64 address;	       /* of the bitmap */
	u64 iova;	       /* of its first bit */
	unsigned shift;
	u64 window; /* which byte of the bitmap bytes[0] is */
	u8 bytes[PAGE_SIZE];
	size_t used; /* bytes of it that may have bits; 0: none */
};

/* Can nbits bits there be set? What cannot be told must not be forgotten, so whoever tells and forgets asks first. */
bool client_bitmap_writable(struct client *client, u64 address, u64 nbits);

/*
 * IOVAs [start, last], which the bitmap covers; ascending from call to call. What it does not reach because a thread of
 * the program has unmapped it meanwhile is lost.
 */
void client_bitmap_set(struct client_bitmap *bitmap, u64 start, u64 last);
void client_bitmap_flush(struct client_bitmap *bitmap); /* after the last */

#endif
