/* SPDX-License-Identifier: MIT */
/*
 * The handler may run in the middle of anything, so it takes no lock: maps are in a list that only grows (a place is
 * used again, never freed), and each has a version, odd while it changes. The map that an access of ours lies in does
 * not change meanwhile; the versions are for the others, which are looked at on the way.
 */
#include "mem/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/os.h"
#include "mem/guard.h"

struct kept_map {
	struct kept_map *next; /* never changes once it is in the list */
	atomic_uint version;
	_Atomic u64 start, size; /* size 0: nobody's */
	_Atomic u64 offset;
	atomic_int fd;
	_Atomic u64 file_size;
	atomic_bool cut; /* and grown back */
	bool used, said; /* under `changing` */
	const void *owner;
	char name[KEPT_NAME];
};

static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;
static struct kept_map *_Atomic maps;
/* Somebody may have something to say: spares who asks the list. */
static atomic_bool unsaid;

/* ---- in the handler ---- */

struct place {
	u64 start, size, offset, file_size;
	int fd;
};

static bool look(const struct kept_map *map, struct place *ret)
{
	unsigned version = atomic_load(&map->version);

	*ret = (struct place){
		.start = atomic_load(&map->start),
		.size = atomic_load(&map->size),
		.offset = atomic_load(&map->offset),
		.file_size = atomic_load(&map->file_size),
		.fd = atomic_load(&map->fd),
	};
	return version % 2 == 0 && atomic_load(&map->version) == version;
}

static int allocate_page(int fd, u64 page)
{
	int err;

	/* A stop, say, may come before it, also here, where no signal does. */
	do
		err = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)page, PAGE_SIZE);
	while (err < 0 && errno == EINTR);
	return err;
}

/* Is there a page, or can there be one? The host may have no memory for it. 0 where the file ends before it. */
static ssize_t read_page(int fd, u64 page)
{
	u8 byte;

	return allocate_page(fd, page) < 0 ? -1 : pread(fd, &byte, 1, (off_t)page);
}

/* A page that cannot come back from swap is bad; a hole is not. */
static ssize_t replace_page(int fd, u64 page)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)page, PAGE_SIZE) < 0)
		return -1;
	return read_page(fd, page);
}

/*
 * Long enough already: another thread was faster, and what has been stored since must stay. It may be cut again at any
 * moment, also while we look: then it is not the page's fault.
 */
static bool grow_back(const struct place *place, u64 address)
{
	u64 page = place->offset + align_down(address - place->start, PAGE_SIZE);
	ssize_t found = read_page(place->fd, page);

	/* For want of memory nothing is replaced: what is in it may come back yet. */
	if (found < 0 && errno != ENOMEM && errno != ENOSPC)
		found = replace_page(place->fd, page);
	return found > 0 || (found == 0 && ftruncate(place->fd, (off_t)place->file_size) == 0);
}

static bool restore(struct kept_map *map, u64 address)
{
	struct place place;

	if (!look(map, &place) || !place.file_size || address - place.start >= place.size ||
	    !grow_back(&place, address))
		return false;
	atomic_store(&map->cut, true);
	atomic_store(&unsaid, true);
	return true;
}

bool kept_restore(const void *address)
{
	int before = errno;
	struct kept_map *map = atomic_load(&maps);

	while (map && !restore(map, (uintptr_t)address))
		map = map->next;
	errno = before;
	return map != NULL;
}

/* ---- outside of it ---- */

static void change(struct kept_map *map, const struct place *place)
{
	atomic_fetch_add(&map->version, 1);
	atomic_store(&map->start, place->start);
	atomic_store(&map->size, place->size);
	atomic_store(&map->offset, place->offset);
	atomic_store(&map->file_size, place->file_size);
	atomic_store(&map->fd, place->fd);
	atomic_fetch_add(&map->version, 1);
}

static bool has_news(const struct kept_map *map)
{
	return atomic_load(&map->cut) && !map->said;
}

/* Under `changing`. One that has something to say stays until it is heard. */
static struct kept_map *find_free(void)
{
	struct kept_map *map = atomic_load(&maps);

	while (map && (map->used || has_news(map)))
		map = map->next;
	return map;
}

static struct kept_map *take_place(struct why *why)
{
	struct kept_map *map = find_free();

	if (map)
		return map;
	map = alloc_new(struct kept_map, why);
	if (!map)
		return NULL;
	map->next = atomic_load(&maps);
	atomic_store(&maps, map);
	return map;
}

int kept_map_new(const void *owner, const char *name, int fd, u64 offset, u64 size, struct kept_map **ret,
		 struct why *why)
{
	void *memory = os_map_shared(fd, offset, size, why);
	struct kept_map *map;

	if (!memory)
		return -why->err;
	guard_install();
	pthread_mutex_lock(&changing);
	map = take_place(why);
	if (map) {
		map->used = true;
		map->said = false;
		map->owner = owner;
		snprintf(map->name, sizeof(map->name), "%s", name);
		atomic_store(&map->cut, false);
		change(map, &(struct place){.start = (uintptr_t)memory, .size = size, .offset = offset, .fd = fd});
	}
	pthread_mutex_unlock(&changing);
	if (!map) {
		os_unmap(memory, size);
		return -why->err;
	}
	*ret = map;
	return 0;
}

void kept_map_free(struct kept_map *map)
{
	u64 size;
	void *memory;

	if (!map)
		return;
	memory = kept_memory(map);
	size = atomic_load(&map->size);
	pthread_mutex_lock(&changing);
	change(map, &(struct place){.fd = -1});
	map->used = false;
	pthread_mutex_unlock(&changing);
	os_unmap(memory, size);
}

void *kept_memory(const struct kept_map *map)
{
	return map ? (void *)(uintptr_t)atomic_load(&map->start) : NULL;
}

void kept_expect(struct kept_map *map, u64 file_size)
{
	if (map)
		atomic_store(&map->file_size, file_size);
}

/* Under `changing`. */
static bool find_cut(const void *owner, char name[static KEPT_NAME])
{
	bool found = false, others = false;

	for (struct kept_map *map = atomic_load(&maps); map; map = map->next) {
		if (!has_news(map))
			continue;
		if (found || map->owner != owner) {
			others = true;
			continue;
		}
		found = map->said = true;
		memcpy(name, map->name, KEPT_NAME);
	}
	if (others)
		atomic_store(&unsaid, true);
	return found;
}

bool kept_next_cut(const void *owner, char name[static KEPT_NAME])
{
	bool found;

	if (!atomic_load(&unsaid))
		return false;
	pthread_mutex_lock(&changing);
	/* Before looking: who has news after that says so again. */
	atomic_store(&unsaid, false);
	found = find_cut(owner, name);
	pthread_mutex_unlock(&changing);
	return found;
}
