/* SPDX-License-Identifier: MIT */
/*
 * Where tables come from. Without an allocator of the caller's, from chunks of the heap: aligned_alloc() of one table
 * would waste almost another, and cost more than filling it. A freed table waits for the next; chunks go with the whole
 * table. They grow with what is in use, so that an eighth is idle at most.
 */
#include <stdlib.h>

#include "pt/format.h"

enum { CHUNK_TABLES_MAX = 64 };

struct pt_chunk {
	struct pt_chunk *next;
	void *memory; /* owned */
};

static void lock(struct pt_pool *pool)
{
	while (atomic_flag_test_and_set_explicit(&pool->lock, memory_order_acquire))
		;
}

static void unlock(struct pt_pool *pool)
{
	atomic_flag_clear_explicit(&pool->lock, memory_order_release);
}

static void push(struct pt_pool *pool, void *table)
{
	memcpy(table, &pool->free, sizeof(pool->free));
	pool->free = table;
}

static void *pop(struct pt_pool *pool)
{
	void *table = pool->free;

	memcpy(&pool->free, table, sizeof(pool->free));
	return table;
}

static bool pool_fill(struct pt_pool *pool, size_t granule)
{
	size_t count = max_u64(1, min_u64(CHUNK_TABLES_MAX, pool->handed_out / 8));
	struct pt_chunk *chunk = malloc(sizeof(*chunk));
	char *memory = chunk ? aligned_alloc(granule, count * granule) : NULL;

	if (!memory) {
		free(chunk);
		return false;
	}
	*chunk = (struct pt_chunk){.next = pool->chunks, .memory = memory};
	pool->chunks = chunk;
	while (count--)
		push(pool, memory + count * granule);
	return true;
}

static void *pool_take(struct pt_pool *pool, size_t granule)
{
	void *table = NULL;

	lock(pool);
	if (pool->free || pool_fill(pool, granule)) {
		table = pop(pool);
		pool->handed_out++;
	}
	unlock(pool);
	return table;
}

void pt_pool_fini(struct isolde_pt *pt)
{
	struct pt_chunk *chunk;

	while ((chunk = pt->pool.chunks)) {
		pt->pool.chunks = chunk->next;
		free(chunk->memory);
		free(chunk);
	}
}

void *pt_table_new(struct isolde_pt *pt, size_t size)
{
	if (pt->memory.allocate)
		return pt->memory.allocate(pt->memory.context, size, size);
	return size == pt->granule ? pool_take(&pt->pool, size) : aligned_alloc(size, size);
}

void pt_table_free(struct isolde_pt *pt, void *table, size_t size)
{
	if (pt->memory.allocate) {
		pt->memory.release(pt->memory.context, table, size);
	} else if (size == pt->granule) {
		lock(&pt->pool);
		push(&pt->pool, table);
		pt->pool.handed_out--;
		unlock(&pt->pool);
	} else {
		free(table);
	}
}

u64 pt_table_address(const struct isolde_pt *pt, const void *table)
{
	return pt->memory.address ? pt->memory.address(pt->memory.context, table) : (u64)(uintptr_t)table;
}

void *pt_table_at(const struct isolde_pt *pt, u64 address, size_t size)
{
	return pt->memory.table ? pt->memory.table(pt->memory.context, address, size) : (void *)(uintptr_t)address;
}

entry_t *pt_locate(const struct isolde_pt *pt, u64 address, bool write)
{
	return pt_table_at(pt, address, sizeof(entry_t));
}

/* Of somebody else's table, nothing that memory.table() does not vouch for. */
entry_t *pt_locate_adopted(const struct isolde_pt *pt, u64 address, bool write)
{
	return pt->memory.table ? pt->memory.table(pt->memory.context, address, sizeof(entry_t)) : NULL;
}

/*
 * Tables that wait are chained by their first entries. Hardware and readers may still look there: what they find is the
 * address of memory aligned as a table is, whose low bits are those of an entry that is not present, in every format.
 */
static u64 chain_value(const struct isolde_pt *pt, void *next)
{
	u64 value = (uintptr_t)next;

	return pt->memory.big_endian ? __builtin_bswap64(value) : value;
}

void pt_table_discard(struct isolde_pt *pt, void *table, struct isolde_pt_gather *gather)
{
	atomic_fetch_sub_explicit(&pt->bytes, pt->granule, memory_order_relaxed);
	if (!gather) {
		pt_table_free(pt, table, pt->granule);
		return;
	}
	atomic_store_explicit((entry_t *)table, chain_value(pt, gather->first), memory_order_relaxed);
	gather->first = table;
	gather->tables++;
}

void isolde_pt_gather_drain(struct isolde_pt *pt, struct isolde_pt_gather *gather)
{
	while (gather->tables) {
		entry_t *table = gather->first;
		u64 next = atomic_load_explicit(table, memory_order_relaxed);

		gather->first = (void *)(uintptr_t)(pt->memory.big_endian ? __builtin_bswap64(next) : next);
		gather->tables--;
		pt_table_free(pt, table, pt->granule);
	}
	*gather = (struct isolde_pt_gather)ISOLDE_PT_GATHER_INIT;
}
