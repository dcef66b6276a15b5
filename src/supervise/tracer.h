/* SPDX-License-Identifier: MIT */
/*
 * Traces the processes that map precise register pages, and carries out what they do there (machine/precise.h). One
 * thread does all of it: the kernel lets only the tracing thread ask. It starts with the first such mapping; from then
 * on it is also the one that reaps the room's processes, because a wait elsewhere would take stops away from it.
 */
#ifndef SUPERVISE_TRACER_H
#define SUPERVISE_TRACER_H

#include "machine/machine.h"

struct tracer;

/* A call of mmap(2) that the machine has allowed, of a file with precise pages in that range. */
struct tracer_mapping {
	u64 host_device, inode; /* of the memory file */
	int fd;			/* the caller's */
	int prot;
	u64 offset, size;
};

int tracer_start(struct machine *machine, pid_t program, struct tracer **ret, struct why *why);
/* The room is empty, or what is left of it goes on untraced. NULL is legal. */
void tracer_stop(struct tracer *tracer);

/* To poll: readable once the program has ended; then its wait status. */
int tracer_events(const struct tracer *tracer);
int tracer_status(struct tracer *tracer);

/*
 * From now on the thread's process is traced, and as soon as its call returns, precise pages are put in their places
 * before it goes on. The call must be let go then. PAGE_TRACED.
 */
int tracer_expect(struct tracer *tracer, pid_t thread, const struct tracer_mapping *mapping, struct why *why);

/* Is the thread's mmap(2) one of ours, or waited for by us? It must be let go. */
bool tracer_injects(struct tracer *tracer, pid_t thread);

#endif
