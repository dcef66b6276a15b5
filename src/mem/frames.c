/* SPDX-License-Identifier: MIT */
/*
 * Next fit over the tree of extents: the cursor moves up through 2^52 bytes and comes round, so that a fit is usually
 * the first try and a physical address is not reused soon (a stale translation hits nothing rather than a stranger).
 */
#include "mem/frames.h"

#include "mem/shared.h"

#define FIRST_PHYSICAL BIT(30) /* 0 means "nothing"; nothing is near it either */

void frames_init(struct frames *frames)
{
	*frames = (struct frames){.extents = ITREE_INIT, .cursor = FIRST_PHYSICAL, .last = MASK(PHYSICAL_BITS - 1, 0)};
}

void frames_fini(struct frames *frames)
{
	assert(frames->extents.root == NULL);
}

void frames_limit(struct frames *frames, unsigned bits)
{
	assert(frames->extents.count == 0);
	if (bits)
		frames->last = min_u64(frames->last, MASK(bits - 1, 0));
}

/* The largest power of two that is <= size, at most 1 GiB: leaves of a table are no larger. */
static u64 alignment_for(u64 size)
{
	return min_u64(BIT(63 - __builtin_clzll(size)), BIT(30));
}

/* The lowest address >= from that is congruent with iova modulo alignment. */
static u64 congruent_at_or_above(u64 from, u64 iova, u64 alignment)
{
	u64 start = align_down(from, alignment) | (iova & (alignment - 1));

	return start < from ? start + alignment : start;
}

/* A free run in [from, last]; 0 when there is none. */
static u64 find_fit(const struct frames *frames, u64 from, u64 last, u64 iova, u64 size)
{
	u64 alignment = alignment_for(size);

	for (;;) {
		u64 start = congruent_at_or_above(from, iova, alignment);
		struct itree_node *taken;

		if (start > last || size - 1 > last - start)
			return 0;
		taken = itree_lowest(&frames->extents, start, start + size - 1);
		if (!taken)
			return start;
		from = taken->last + 1;
	}
}

static u64 find_frames(const struct frames *frames, u64 iova, u64 size, struct why *why)
{
	u64 start = find_fit(frames, frames->cursor, frames->last, iova, size);

	if (!start)
		start = find_fit(frames, FIRST_PHYSICAL, frames->last, iova, size);
	if (!start)
		refuse(why, FRAMES_EXHAUSTED, "no free run of 0x%llx bytes among the machine's 0x%llx",
		       (unsigned long long)size, (unsigned long long)frames->last + 1);
	return start;
}

int extent_init(struct extent *extent, const struct frames *frames, u64 iova, u64 size, struct why *why)
{
	u64 start = find_frames(frames, iova, size, why);

	if (!start)
		return -why->err;
	*extent = (struct extent){.node = {.start = start, .last = start + size - 1}};
	return 0;
}

void extent_set_client(struct extent *extent, struct client *client, u64 address)
{
	extent->client = client_get(client);
	extent->address = address;
	extent->direct = shared_map(client, address, extent_size(extent));
}

/* The client may have put another file there meanwhile. */
void extent_share(struct extent *extent, const struct extent *other)
{
	void *again;

	assert(extent->client && extent_size(extent) == extent_size(other));
	again = other->direct ? shared_map_again(other->direct, extent_size(extent)) : NULL;
	if (!again)
		return;
	shared_unmap(extent->direct, extent_size(extent));
	extent->direct = again;
}

void extent_fini(struct extent *extent)
{
	assert(!itree_linked(&extent->node));
	if (extent->client)
		shared_unmap(extent->direct, extent_size(extent));
	client_put(extent->client);
}

void frames_insert(struct frames *frames, struct extent *extent)
{
	itree_insert(&frames->extents, &extent->node);
	assert(itree_stands_alone(&extent->node));
	frames->cursor = extent->node.last + 1;
}

void frames_remove(struct frames *frames, struct extent *extent)
{
	itree_remove(&frames->extents, &extent->node);
}

struct extent *frames_find(const struct frames *frames, u64 physical)
{
	struct itree_node *node = itree_at_or_below(&frames->extents, physical);

	if (!node || node->last < physical)
		return NULL;
	return container_of(node, struct extent, node);
}
