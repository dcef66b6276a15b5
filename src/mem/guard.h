/* SPDX-License-Identifier: MIT */
/*
 * Memory that may not be there: a file that somebody truncates, a program's address in our own process. What has gone
 * is an answer here, not a signal that ends us. Copies are plain stores in ascending order, and nothing the sanitizers
 * look at: what a device reads may be a program's freed memory.
 */
#ifndef MEM_GUARD_H
#define MEM_GUARD_H

#include <signal.h>

#include "base/bits.h"

/* Before the first of the others, and now and then: the program may have put handlers of its own in place of ours. */
void guard_install(void);

/*
 * Asked about each SIGBUS, SIGSEGV and SIGILL of the program that no guarded access has met: 0 when the program can go
 * on with what is in context now, else the signal to hand on, which *info describes. It is called in the handler: with
 * these signals open again, so that guarded accesses may be made, and errno kept.
 */
typedef int guard_asked(int signal, siginfo_t *info, void *context);

/* From now on; there is one. */
void guard_ask(guard_asked *asked);

/* Copies size bytes; false when some byte of either side was not there (earlier ones may have moved). */
bool guard_copy(void *to, const void *from, size_t size);

/* One aligned word, whole: others may change it at any time. false when it was not there. */
bool guard_load(const u64 *from, u64 *ret);
/* Makes it `wanted` if it is `expected`; *ret_done says whether it was. */
bool guard_exchange(u64 *at, u64 expected, u64 wanted, bool *ret_done);

/*
 * Is each page of [address, address + size) there, and may it be read, or written? What was not yet touched is given
 * memory, as by the program's own first access; nothing changes its contents.
 */
bool guard_touch(u64 address, u64 size, bool write);

#endif
