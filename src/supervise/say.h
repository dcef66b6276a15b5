/* SPDX-License-Identifier: MIT */
/* Tells the user what was refused: a line on stderr beside the program's own, and the run's journal file. */
#ifndef SUPERVISE_SAY_H
#define SUPERVISE_SAY_H

#include <pthread.h>
#include <stdio.h>

#include "base/journal.h"

struct say {
	pthread_mutex_t lock; /* any thread may be refused something */
	bool quiet, json;
	FILE *out;		   /* borrowed: stderr */
	FILE *journal;		   /* owned; NULL: none */
	struct journal_entry last; /* under lock: what was printed last, and how often again since */
	unsigned repeats;
};

/* journal_path may be NULL. HOST_FAILED when the file cannot be made. */
int say_init(struct say *say, bool quiet, bool json, const char *journal_path, struct why *why);
void say_fini(struct say *say); /* says how often the last refusal came again */

/* A journal listener; context is the say. */
void say_entry(void *context, const struct journal_entry *entry);

#endif
