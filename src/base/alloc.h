/* SPDX-License-Identifier: MIT */
/*
 * Allocation that can be made to fail on demand.
 *
 * Every fallible step counts: allocations here, and whatever else calls fallible(). A test arms the counter with
 * fail_nth_arm(n) and the n-th step of this thread fails; it sweeps n = 1, 2, ... until nothing fails any more.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/why.h"

/* Zeroed memory of size bytes; NULL with why filled (OUT_OF_MEMORY). Free with free(). */
void *alloc_zero(size_t size, struct why *why) __attribute__((malloc, alloc_size(1)));

/* alloc_zero() for count objects, with the multiplication checked. */
void *alloc_array(size_t count, size_t size, struct why *why) __attribute__((malloc, alloc_size(1, 2)));

/*
 * Room for one more than `count` objects of size bytes in *array, which doubles when it is full; the new half is zero.
 * On failure all stays as it was.
 */
int alloc_grow(void **array, size_t *room, size_t count, size_t size, struct why *why);

/* A copy of text; NULL with why filled. */
char *alloc_string(const char *text, struct why *why) __attribute__((malloc));

#define alloc_new(type, why) ((type *)alloc_zero(sizeof(type), (why)))

/* One fallible step that is no allocation: false when fail-nth hits it. */
bool fallible(void);

/* The n-th fallible step of this thread from now on fails, once; 0 disarms. */
void fail_nth_arm(unsigned n);

/* True when the armed failure has happened since fail_nth_arm(). */
bool fail_nth_fired(void);

/* What to arm with to go on where this thread is; 0: it is not armed, or has fired. */
unsigned fail_nth_left(void);

#endif
