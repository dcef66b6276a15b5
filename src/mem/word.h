/* SPDX-License-Identifier: MIT */
/*
 * Words of a program's memory that it changes while hardware looks at them: the entries of tables. A word is 8 bytes,
 * aligned, and is read whole.
 */
#ifndef MEM_WORD_H
#define MEM_WORD_H

#include "mem/frames.h"

/* The word at that offset of the extent; false when the memory is no longer there. Any thread, inside a gate. */
bool extent_load(const struct extent *extent, u64 offset, u64 *ret);

/*
 * Makes it `wanted` if it is `expected`; *ret_done says whether it was. One step where we have the memory mapped
 * (a shared file's, our own process's). Of another process's private memory there is none: it is looked at, and the
 * bytes that differ are written right after that; what the program writes to just these bytes in the microsecond
 * between is lost.
 */
bool extent_exchange(const struct extent *extent, u64 offset, u64 expected, u64 wanted, bool *ret_done);

#endif
