/* SPDX-License-Identifier: MIT */
/*
 * Entries side by side: look at, store and clear many at once, two per instruction where the compiler has vectors.
 *
 * Readers load single entries atomically beside these stores. A vector of two is stored as two aligned 64-bit halves
 * that are never torn: x86-64 (SDM 3A section 9.1.1: aligned quadwords; vectors may be split only between them) and
 * AArch64 (Arm ARM section B2.2.1: SIMD elements of 64 bits are single-copy atomic when aligned). Elsewhere, and under
 * ThreadSanitizer, which cannot know, they are stored one by one.
 */
#ifndef PT_RUN_H
#define PT_RUN_H

#include "pt/format.h"

static always_inline u64 load(const entry_t *slot, const bool swap)
{
	u64 entry = atomic_load_explicit(slot, memory_order_acquire);

	return swap ? __builtin_bswap64(entry) : entry;
}

static always_inline void store(entry_t *slot, u64 entry, const bool swap)
{
	atomic_store_explicit(slot, swap ? __builtin_bswap64(entry) : entry, memory_order_release);
}

/* False when the slot is not `expected` any more. */
static always_inline bool exchange(entry_t *slot, u64 expected, u64 entry, const bool swap)
{
	u64 found = swap ? __builtin_bswap64(expected) : expected;

	return atomic_compare_exchange_strong_explicit(slot, &found, swap ? __builtin_bswap64(entry) : entry,
						       memory_order_acq_rel, memory_order_acquire);
}

#if (defined(__x86_64__) || defined(__aarch64__)) && !defined(__SANITIZE_THREAD__)
#define RUN_VECTORS 1
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef RUN_VECTORS
#define RUN_VECTORS 0
#endif
#endif
#else
#define RUN_VECTORS 0
#endif

#if RUN_VECTORS
typedef u64 pair __attribute__((vector_size(16), may_alias));
enum { PAIRS_AT_ONCE = 4 };

/* Entries before the first that can be stored as a pair. */
static always_inline size_t run_head(const entry_t *slot, size_t count)
{
	return (uintptr_t)slot & sizeof(u64) && count ? 1 : 0;
}

static always_inline bool run_free(const entry_t *slot, size_t count)
{
	size_t i = run_head(slot, count);
	pair seen = {i ? load(slot, false) : 0, 0};

	for (; i + 2 <= count; i += 2)
		seen |= *(const pair *)(const void *)(slot + i);
	if (i < count)
		seen[1] |= load(slot + i, false);
	return (seen[0] | seen[1]) == 0;
}

static always_inline bool run_full(const entry_t *slot, size_t count)
{
	size_t i = run_head(slot, count);
	pair all = {i ? entry_fold(load(slot, false)) : ~0ull, ~0ull};

	for (; i + 2 <= count; i += 2)
		all &= entry_fold(*(const pair *)(const void *)(slot + i));
	if (i < count)
		all[1] &= entry_fold(load(slot + i, false));
	return all[0] & all[1] & FORMAT_ALWAYS;
}

static always_inline void run_store(entry_t *slot, size_t count, u64 entry, u64 step)
{
	size_t i = run_head(slot, count);
	pair now, next = {2 * step, 2 * step};

	/* What the caller wrote before is seen by whoever sees an entry. */
	atomic_thread_fence(memory_order_release);
	if (i) {
		store(slot, entry, false);
		entry += step;
	}
	now = (pair){entry, entry + step};
	for (; i + 2 * PAIRS_AT_ONCE <= count; i += 2 * PAIRS_AT_ONCE) {
		pair *to = (pair *)(void *)(slot + i);

		for (unsigned n = 0; n < PAIRS_AT_ONCE; n++, now += next)
			to[n] = now;
	}
	for (; i + 2 <= count; i += 2, now += next)
		*(pair *)(void *)(slot + i) = now;
	if (i < count)
		store(slot + i, now[0], false);
}
#else
static always_inline bool run_free(const entry_t *slot, size_t count)
{
	u64 seen = 0;

	for (size_t i = 0; i < count; i++)
		seen |= load(slot + i, false);
	return seen == 0;
}

static always_inline bool run_full(const entry_t *slot, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!load(slot + i, false))
			return false;
	return true;
}

static always_inline void run_store(entry_t *slot, size_t count, u64 entry, u64 step)
{
	for (size_t i = 0; i < count; i++, entry += step)
		store(slot + i, entry, false);
}
#endif

static always_inline void run_store_swapped(entry_t *slot, size_t count, u64 entry, u64 step)
{
	for (size_t i = 0; i < count; i++, entry += step)
		store(slot + i, entry, true);
}

#endif
