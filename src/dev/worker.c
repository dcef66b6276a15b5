/* SPDX-License-Identifier: MIT */
/*
 * How long to look away? A driver that was busy a moment ago is likely to be back at once, one that has been silent for
 * long will not mind a little more. So the thread keeps looking for a short while, yielding the processor to whoever
 * wants it (the driver, most likely), then sleeps a sixteenth of the silence so far, at least 5 us and at most 2 ms:
 * the answer is late by a few per cent of the time the driver took itself, and an idle controller costs next to
 * nothing.
 */
#include "dev/worker.h"

#include "base/os.h"

enum {
	SPIN_NS = 100000,
	SLEEP_MIN_NS = 5000,
	SLEEP_MAX_NS = 2000000, /* waking costs 10 us on a virtual host: half a per cent of a core */
	SLEEP_HURRY_NS = 50000, /* at most, while a driver is likely to spin */
	HURRY_NS = 500000000,
};

void worker_init(struct worker *worker, enum worker_rest rest, bool (*work)(void *model), void *model)
{
	*worker = (struct worker){.rest = rest, .work = work, .model = model};
	mutex_init(&worker->lock, RANK_DEVICE);
	pthread_cond_init(&worker->wake, NULL);
}

void worker_fini(struct worker *worker)
{
	worker_stop(worker);
	pthread_cond_destroy(&worker->wake);
	mutex_fini(&worker->lock);
}

static void look_away(struct worker *worker, u64 now, u64 active)
{
	u64 silence = now - active;
	u64 longest = now < atomic_load_explicit(&worker->hurry, memory_order_relaxed) ? SLEEP_HURRY_NS : SLEEP_MAX_NS;

	if (silence < SPIN_NS)
		os_yield();
	else
		os_sleep_ns(min_u64(max_u64(silence / 16, SLEEP_MIN_NS), longest));
}

/* One piece of work; without any, and with nothing to look at, the lock is given up until there is some. */
static bool work(struct worker *worker)
{
	bool progress;

	/* A mutex is not fair, and we would be back before a control thread has woken up. */
	while (atomic_load(&worker->waiting))
		os_yield();
	mutex_lock(&worker->lock);
	worker->woken = false;
	progress = worker->work(worker->model);
	while (!progress && worker->rest == WORKER_SLEEPS && !worker->woken && !atomic_load(&worker->stop))
		mutex_wait(&worker->lock, &worker->wake);
	mutex_unlock(&worker->lock);
	return progress;
}

static void *thread(void *argument)
{
	struct worker *worker = argument;
	u64 active = os_clock_ns();

	while (!atomic_load(&worker->stop)) {
		bool progress = work(worker);
		u64 now;

		if (worker->rest == WORKER_SLEEPS)
			continue;
		now = os_clock_ns();
		if (progress)
			active = now;
		else
			look_away(worker, now, active);
	}
	return NULL;
}

void worker_start(struct worker *worker)
{
	struct why why = WHY_INIT;

	assert(!worker->threaded);
	worker_hurry(worker);
	atomic_store(&worker->stop, false);
	worker->threaded = os_thread_start(&worker->thread, thread, worker, &why) == 0;
	if (worker->threaded)
		return;
	worker_lock(worker);
	worker->unattended = true;
	worker_unlock(worker);
}

void worker_stop(struct worker *worker)
{
	if (worker->threaded) {
		worker_lock(worker);
		atomic_store(&worker->stop, true);
		pthread_cond_signal(&worker->wake);
		worker_unlock(worker);
		pthread_join(worker->thread, NULL);
	}
	worker->threaded = worker->unattended = false;
}

void worker_lock(struct worker *worker)
{
	atomic_fetch_add(&worker->waiting, 1);
	mutex_lock(&worker->lock);
	atomic_fetch_sub(&worker->waiting, 1);
}

void worker_unlock(struct worker *worker)
{
	mutex_unlock(&worker->lock);
}

void worker_wake(struct worker *worker)
{
	assert_held(RANK_DEVICE);
	worker->woken = true;
	pthread_cond_signal(&worker->wake);
}

void worker_hurry(struct worker *worker)
{
	atomic_store(&worker->hurry, os_clock_ns() + HURRY_NS);
}
