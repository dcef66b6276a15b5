/* SPDX-License-Identifier: MIT */
/*
 * A model's thread and its lock. The thread lives while a driver has the device open and does the model's work, a
 * bounded piece at a time, so that a control thread that wants the lock never waits long.
 */
#ifndef DEV_WORKER_H
#define DEV_WORKER_H

#include <stdatomic.h>

#include "base/bits.h"
#include "base/lock.h"

enum worker_rest {
	WORKER_LOOKS,  /* registers change without a word: it looks again and again, the less often the longer nothing
			  was */
	WORKER_SLEEPS, /* until worker_wake() */
};

struct worker {
	struct mutex lock;	   /* RANK_DEVICE; all of the model is under it */
	bool (*work)(void *model); /* under lock; true: there was something to do, so there may be more */
	void *model;		   /* borrowed */
	enum worker_rest rest;
	pthread_cond_t wake; /* with lock */
	bool asleep;	     /* under lock: waits for wake */
	atomic_bool woken;   /* there is work, as far as anybody said; set under lock */
	bool unattended;     /* under lock: the host gave no thread, so nothing will be done */

	pthread_t thread;
	bool threaded;	     /* thread runs; changed by worker_start() and worker_stop() only */
	atomic_bool stop;    /* the thread is to leave */
	atomic_uint waiting; /* control threads that want the lock: the thread stands back */
	atomic_ullong hurry; /* until then (os_clock_ns) a driver is likely to spin on us */
};

void worker_init(struct worker *worker, enum worker_rest rest, bool (*work)(void *model), void *model);
void worker_fini(struct worker *worker); /* stops it */
void worker_start(struct worker *worker);
void worker_stop(struct worker *worker); /* legal without a thread */

/* For control threads: the thread makes way. */
void worker_lock(struct worker *worker);
void worker_unlock(struct worker *worker);

/* There is something to do; under lock. */
void worker_wake(struct worker *worker);
/* A driver is about to look at its registers all the time: for a while the answer must not take long. Any thread. */
void worker_hurry(struct worker *worker);

#endif
