/* SPDX-License-Identifier: MIT */
#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local unsigned fail_countdown;
static _Thread_local bool fail_fired;

bool fallible(void)
{
	if (!fail_countdown || --fail_countdown)
		return true;
	fail_fired = true;
	return false;
}

void fail_nth_arm(unsigned n)
{
	fail_countdown = n;
	fail_fired = false;
}

bool fail_nth_fired(void)
{
	return fail_fired;
}

unsigned fail_nth_left(void)
{
	return fail_countdown;
}

/* calloc() of today's glibc passes by the cache that makes small allocations cheap. */
static void *zeroed(size_t size)
{
	void *memory;

	if (size > 1024)
		return calloc(1, size);
	memory = malloc(size);
	return memory ? memset(memory, 0, size) : NULL;
}

void *alloc_zero(size_t size, struct why *why)
{
	void *memory = fallible() ? zeroed(size) : NULL;

	if (!memory)
		refuse(why, OUT_OF_MEMORY, "no memory for %zu bytes", size);
	return memory;
}

void *alloc_array(size_t count, size_t size, struct why *why)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total)) {
		refuse(why, OUT_OF_MEMORY, "no memory for %zu objects of %zu bytes", count, size);
		return NULL;
	}
	return alloc_zero(total, why);
}

int alloc_grow(void **array, size_t *room, size_t count, size_t size, struct why *why)
{
	size_t wanted = *room ? *room * 2 : 32;
	void *larger;

	if (count < *room)
		return 0;
	larger = alloc_array(wanted, size, why);
	if (!larger)
		return -why->err;
	if (count)
		memcpy(larger, *array, count * size);
	free(*array);
	*array = larger;
	*room = wanted;
	return 0;
}

char *alloc_string(const char *text, struct why *why)
{
	size_t size = strlen(text) + 1;
	char *copy = alloc_zero(size, why);

	if (copy)
		memcpy(copy, text, size);
	return copy;
}
