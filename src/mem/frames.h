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
 * on another thread (iommu/space.h: iommu_insert_frames()).
 */
#ifndef MEM_FRAMES_H
#define MEM_FRAMES_H

#include "base/itree.h"
#include "mem/client.h"

#define PHYSICAL_BITS 52 /* the widest address all table formats can hold */

/*
 * What stands behind the frames is the owner's to say between extent_init() and frames_insert(), and later while nobody
 * can see them: memory of a client, by address, and then perhaps also our own mapping of the same; or memory that is
 * nobody's (of a file, of a device), which `direct` alone reaches and the owner outlives.
 */
struct extent {
	struct itree_node node; /* physical start and last */
	struct client *client;	/* ref; NULL: the memory is no client's */
	u64 address;		/* in the client, of the first byte */
	u8 *direct;		/* with a client: owned, of its shared file (mem/shared.h), or NULL: copy by process */
};

struct frames {
	struct itree extents;
	u64 cursor; /* next fit starts here */
	u64 last;
};

void frames_init(struct frames *frames);
void frames_fini(struct frames *frames); /* asserts that no extent is left */

/* No frame is beyond that many bits from now on (0: no matter); before the first extent. */
void frames_limit(struct frames *frames, unsigned bits);

/*
 * Gives extent a run of size bytes (page multiples) of frames, still its own secret, that are congruent with iova
 * modulo 1 GiB (or modulo the largest power of two <= size, if smaller); all else is zero. FRAMES_EXHAUSTED.
 */
int extent_init(struct extent *extent, const struct frames *frames, u64 iova, u64 size, struct why *why);
/* It stands for the client's address from now on; as direct memory, if that can be. Cannot fail. */
void extent_set_client(struct extent *extent, struct client *client, u64 address);
/* The client may have gone: what another extent of the same memory has of it by a mapping of ours, this one has, too.
 */
void extent_share(struct extent *extent, const struct extent *other);
void extent_fini(struct extent *extent); /* not among the frames (any more) */

void frames_insert(struct frames *frames, struct extent *extent); /* before the next extent_init() */
void frames_remove(struct frames *frames, struct extent *extent);

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
