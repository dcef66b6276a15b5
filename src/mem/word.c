/* SPDX-License-Identifier: MIT */
#include "mem/word.h"

#include "mem/guard.h"

/* Where we have it mapped; NULL: nowhere. */
static u64 *mapped_word(const struct extent *extent, u64 offset)
{
	struct client *client = extent->client;

	assert(is_aligned(offset, sizeof(u64)) && offset < extent_size(extent));
	if (extent->direct)
		return (u64 *)(void *)(extent->direct + offset);
	return client->own ? (u64 *)(uintptr_t)(extent->address + offset) : NULL;
}

/* A mapping of ours stays. */
static bool is_gone(const struct extent *extent, u64 offset)
{
	return !extent->direct && !client_memory_lives(extent->client, extent->address + offset);
}

enum { TRIES = 16 };

/* The host copies bytes; a word that was copied twice with the same result was not caught in between. */
static bool load_by_process(const struct extent *extent, u64 offset, u64 *ret)
{
	const struct iovec remote = {(void *)(uintptr_t)(extent->address + offset), sizeof(u64)};
	const struct iovec twice[] = {remote, remote};

	for (unsigned i = 0; i < TRIES; i++) {
		u64 words[2];
		struct iovec local = {words, sizeof(words)};

		if (!client_dma_read(extent->client, &local, 1, twice, 2))
			return false;
		*ret = words[1];
		if (words[0] == words[1])
			break;
	}
	return true;
}

bool extent_load(const struct extent *extent, u64 offset, u64 *ret)
{
	const u64 *word = mapped_word(extent, offset);

	if (!word)
		return load_by_process(extent, offset, ret);
	return !is_gone(extent, offset) && guard_load(word, ret);
}

/* The bytes that differ, and what is between them. */
static bool store_by_process(const struct extent *extent, u64 offset, u64 before, u64 after)
{
	u64 changed = before ^ after;
	unsigned first = (unsigned)__builtin_ctzll(changed) / 8, last = 7 - (unsigned)__builtin_clzll(changed) / 8;
	const struct iovec local = {(u8 *)&after + first, last - first + 1};
	const struct iovec remote = {(void *)(uintptr_t)(extent->address + offset + first), last - first + 1};

	return client_dma_write(extent->client, &local, 1, &remote, 1);
}

bool extent_exchange(const struct extent *extent, u64 offset, u64 expected, u64 wanted, bool *ret_done)
{
	u64 *word = mapped_word(extent, offset), now = 0;

	if (word)
		return !is_gone(extent, offset) && guard_exchange(word, expected, wanted, ret_done);
	if (!load_by_process(extent, offset, &now))
		return false;
	*ret_done = now == expected;
	return now != expected || wanted == expected || store_by_process(extent, offset, expected, wanted);
}
