/* SPDX-License-Identifier: MIT */
#include "machine/waiting.h"

static void wake(struct file_watcher *watcher)
{
	struct waiting *waiting = container_of(watcher, struct waiting, watcher);

	mutex_lock(&waiting->lock);
	waiting->wakes++;
	pthread_cond_broadcast(&waiting->woken);
	mutex_unlock(&waiting->lock);
}

void waiting_init(struct waiting *waiting)
{
	waiting->watcher.woken = wake;
	mutex_init(&waiting->lock, RANK_WATCH);
	condition_init(&waiting->woken);
}

void waiting_fini(struct waiting *waiting)
{
	pthread_cond_destroy(&waiting->woken);
	mutex_fini(&waiting->lock);
}

u64 waiting_mark(struct waiting *waiting)
{
	u64 mark;

	mutex_lock(&waiting->lock);
	mark = waiting->wakes;
	mutex_unlock(&waiting->lock);
	return mark;
}

void waiting_sleep(struct waiting *waiting, u64 mark, int timeout_ms)
{
	mutex_lock(&waiting->lock);
	if (waiting->wakes != mark)
		;
	else if (timeout_ms < 0)
		mutex_wait(&waiting->lock, &waiting->woken);
	else
		mutex_wait_ms(&waiting->lock, &waiting->woken, (unsigned)timeout_ms);
	mutex_unlock(&waiting->lock);
}
