/* SPDX-License-Identifier: MIT */
/*
 * Threads of this process that wait for queues (isolde_poll). All are woken by any of them and look again: a library
 * has few who wait.
 */
#ifndef MACHINE_WAITING_H
#define MACHINE_WAITING_H

#include "base/lock.h"
#include "mem/file.h"

struct waiting {
	struct file_watcher watcher; /* for each queue of this process */
	struct mutex lock;
	pthread_cond_t woken;
	u64 wakes; /* under lock */
};

void waiting_init(struct waiting *waiting);
void waiting_fini(struct waiting *waiting);

/* Look at the queues between the two: no wake gets lost. Neither is called under a lock. */
u64 waiting_mark(struct waiting *waiting);
/* Until a wake since mark, or for timeout_ms (-1: no limit); may return early. */
void waiting_sleep(struct waiting *waiting, u64 mark, int timeout_ms);

#endif
