/* SPDX-License-Identifier: MIT */
/*
 * "Physical" memory: what I/O page tables point to.
 *
 * An extent is a run of physical frames that stands for a run of a client's addresses. Its physical start is congruent
 * with the wanted IOVA modulo 1 GiB, so that the largest leaves of a table always fit. Physical addresses are ours
 * alone; 0 is never used, so that iova_to_phys() can say "nothing" with 0 as Linux does.
 *
 * Making and freeing an extent may take long (it may map the client's file), putting it among the frames does not.
 * Hence two steps. All need machine.lock; frames_insert() and frames_remove() besides that nobody is in frames_find()
 * on another thread (iommu/domain.h: domain_stop()).
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
	u8 *direct;		/* our own mapping of the client's shared file (mem/shared.h); NULL: copy by process */
};

struct frames {
	struct itree extents;
	u64 cursor; /* next fit starts here */
};

void frames_init(struct frames *frames);
void frames_fini(struct frames *frames); /* asserts that no extent is left */

/*
 * An extent of size bytes (page multiples) for the client's address. Its frames, still its own secret, are congruent
 * with iova modulo 1 GiB (or modulo the largest power of two <= size, if smaller). It charges `charged` bytes to the
 * client. OUT_OF_MEMORY, FRAMES_EXHAUSTED or MEMLOCK_EXCEEDED.
 */
int extent_new(const struct frames *frames, struct client *client, u64 address, u64 iova, u64 size, u64 charged,
	       struct extent **ret, struct why *why);
void extent_free(struct extent *extent); /* not among the frames (any more); NULL is legal */

void frames_insert(struct frames *frames, struct extent *extent); /* before the next extent_new() */
void frames_remove(struct frames *frames, struct extent *extent);

/* The extent that holds the physical address; NULL if none. */
struct extent *frames_find(const struct frames *frames, u64 physical);

DEFINE_FREE(extent)

static inline u64 extent_physical(const struct extent *extent)
{
	return extent->node.start;
}

static inline u64 extent_size(const struct extent *extent)
{
	return extent->node.last - extent->node.start + 1;
}

#endif
