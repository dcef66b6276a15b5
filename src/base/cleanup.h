/* SPDX-License-Identifier: MIT */
/*
 * Cleanup by attribute, hand-over by name.
 *
 *	_free_(foo) struct foo *f = NULL;	freed by foo_free() on every way out
 *	*ret = take(f);				... unless it was handed over
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

/* Makes _free_(noun) usable; noun_free(NULL) must be legal. */
#define DEFINE_FREE(noun)                                                                                              \
	static inline void noun##_free_pointer(struct noun **pointer)                                                  \
	{                                                                                                              \
		noun##_free(*pointer);                                                                                 \
	}

#define _free_(noun) __attribute__((cleanup(noun##_free_pointer)))

static inline void free_memory(void *pointer)
{
	free(*(void **)pointer);
}

static inline void close_descriptor(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define _memory_ __attribute__((cleanup(free_memory)))	    /* any malloc()ed pointer */
#define _close_	 __attribute__((cleanup(close_descriptor))) /* an int; -1 is "none" */

#define take(pointer)                                                                                                  \
	({                                                                                                             \
		__typeof__(pointer) taken_ = (pointer);                                                                \
		(pointer) = NULL;                                                                                      \
		taken_;                                                                                                \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#endif
