/* SPDX-License-Identifier: MIT */
/*
 * "Physical" memory: what I/O page tables point to.
 *
 * An extent is a run of physical frames that stands for a run of a client's addresses. Its physical start is congruent
 * with the wanted IOVA modulo 1 GiB, so that the largest leaves of a table always fit. Physical addresses are ours
 * alone; 0 is never used, so that iova_to_phys() can say "nothing" with 0 as Linux does.
 *
 * Locking: frames_* that change need iommu.dma for writing; frames_find() needs it for reading.
 */
#ifndef MEM_FRAMES_H
#define MEM_FRAMES_H

#include "base/itree.h"
#include "mem/charge.h"

#define PHYSICAL_BITS 52 /* the widest address all table formats can hold */

struct extent {
	struct itree_node node; /* physical start and last */
	struct client *client;	/* ref */
	u64 address;		/* in the client, of the first byte */
	struct charge charge;	/* what the client pays for it */
};

struct frames {
	struct itree extents;
	u64 cursor; /* next fit starts here */
};

void frames_init(struct frames *frames);
void frames_fini(struct frames *frames); /* asserts that no extent is left */

/*
 * Allocates an extent of size bytes (page multiples) for the client's address, congruent with iova modulo 1 GiB (or
 * modulo the largest power of two <= size, if smaller). OUT_OF_MEMORY or FRAMES_EXHAUSTED.
 */
int frames_alloc(struct frames *frames, struct client *client, u64 address, u64 iova, u64 size, struct extent **ret,
		 struct why *why);
void frames_release(struct frames *frames, struct extent *extent); /* NULL is legal */

/* The extent that holds the physical address; NULL if none. */
struct extent *frames_find(const struct frames *frames, u64 physical);

static inline u64 extent_physical(const struct extent *extent)
{
	return extent->node.start;
}

static inline u64 extent_size(const struct extent *extent)
{
	return extent->node.last - extent->node.start + 1;
}

#endif
