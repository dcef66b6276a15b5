/* SPDX-License-Identifier: MIT */
#include "base/idmap.h"

#include <stdlib.h>

#include "base/alloc.h"

#define FIRST_SIZE 16

/* What a slot holds between idmap_reserve() and idmap_publish(); its address is all that counts. */
static const char reserved_mark;

static void *reserved(void)
{
	return (void *)&reserved_mark;
}

static u32 limit_of(const struct idmap *map)
{
	return map->limit ? map->limit : UINT32_MAX;
}

/* Room for id, which is below the limit. */
static int grow(struct idmap *map, u32 id, struct why *why)
{
	u64 size = max_u64(map->size, FIRST_SIZE);
	void **slots;

	while (size <= id)
		size *= 2;
	size = min_u64(size, limit_of(map));
	slots = alloc_array(size, sizeof(*slots), why);
	if (!slots)
		return why_context(why, "an id map of %llu slots", (unsigned long long)size);
	if (map->slots)
		memcpy(slots, map->slots, map->size * sizeof(*slots));
	free(map->slots);
	map->slots = slots;
	map->size = (u32)size;
	return 0;
}

int idmap_reserve(struct idmap *map, u32 first, u32 *ret_id, struct why *why)
{
	u32 id = first == map->run_first ? (u32)max_u64(first, map->run_beyond) : first;
	int err;

	while (id < map->size && map->slots[id])
		id++;
	if (id >= limit_of(map))
		return refuse(why, IDS_EXHAUSTED, "all ids from %u to %u are taken", first, limit_of(map) - 1);
	if (id >= map->size) {
		err = grow(map, id, why);
		if (err < 0)
			return err;
	}
	map->slots[id] = reserved();
	map->run_first = first;
	map->run_beyond = id + 1;
	*ret_id = id;
	return 0;
}

void idmap_publish(struct idmap *map, u32 id, void *object)
{
	assert(object);
	assert(id < map->size);
	assert(map->slots[id] == reserved());
	map->slots[id] = object;
}

void idmap_abandon(struct idmap *map, u32 id)
{
	assert(id < map->size);
	assert(map->slots[id]);
	map->slots[id] = NULL;
	if (id >= map->run_first && id < map->run_beyond)
		map->run_beyond = id;
}

void idmap_bury(struct idmap *map, u32 id)
{
	assert(id < map->size);
	assert(!map->slots[id]);
	map->slots[id] = reserved();
}

void *idmap_find(const struct idmap *map, u32 id)
{
	if (id >= map->size || map->slots[id] == reserved())
		return NULL;
	return map->slots[id];
}

void *idmap_next(const struct idmap *map, u32 *id)
{
	for (; *id < map->size; ++*id) {
		void *object = idmap_find(map, *id);

		if (object)
			return object;
	}
	return NULL;
}

void idmap_fini(struct idmap *map)
{
	u32 id = 0;

	assert(!idmap_next(map, &id));
	free(map->slots);
	*map = (struct idmap){.limit = map->limit};
	(void)id;
}
