/* SPDX-License-Identifier: MIT */
/*
 * The journal: the last refusals of a machine, who asked what and why not. Feeds `isolde why`, the line on stderr and
 * the library. Any thread may append.
 */
#ifndef BASE_JOURNAL_H
#define BASE_JOURNAL_H

#include "base/bits.h"
#include "base/lock.h"
#include "base/why.h"

#define JOURNAL_ENTRIES 256 /* enough for the story of one failed start; older ones go to the file `run` keeps */

struct journal_entry {
	u64 serial;	  /* 1, 2, ... never reused */
	u64 time_ns;	  /* CLOCK_REALTIME */
	int pid;	  /* of the program; 0 for the machine itself (a DMA fault) */
	char program[16]; /* its comm */
	char request[96]; /* "VFIO_GROUP_SET_CONTAINER /dev/vfio/7", "write driver/nvme/bind", "DMA" */
	struct why why;
};

struct journal {
	struct mutex lock;
	struct journal_entry ring[JOURNAL_ENTRIES]; /* under lock */
	u64 appended;				    /* under lock */
	/* Called after each append, without locks of the journal; may be NULL. entry is a copy. */
	void (*listener)(void *context, const struct journal_entry *entry);
	void *listener_context;
};

void journal_init(struct journal *journal);
void journal_fini(struct journal *journal);

/* Appends a copy of why; never fails and never blocks on the host. */
void journal_append(struct journal *journal, int pid, const char *program, const char *request, const struct why *why);

/* Copies the entry with that serial; false if it is not there (any more). */
bool journal_read(struct journal *journal, u64 serial, struct journal_entry *ret);
u64 journal_last_serial(struct journal *journal); /* 0 when empty */

/*
 * Copies the oldest entry still there whose serial is above `after`; false: there is none. Between the two serials lie
 * those that were overwritten.
 */
bool journal_next(struct journal *journal, u64 after, struct journal_entry *ret);

#endif
