/* SPDX-License-Identifier: MIT */
/*
 * How long to look away? A driver that was busy a moment ago is likely to be back at once, one that has been silent for
 * long will not mind a little more. So the thread keeps looking for a short while, yielding the processor to whoever
 * wants it (the driver, most likely), then sleeps a sixteenth of the silence so far, at least 5 us and at most 2 ms:
 * the answer is late by a few per cent of the time the driver took itself, and an idle controller costs next to
 * nothing. A thread that is woken stays awake for the same short while: a driver that hands out work piece by piece
 * then pays no system call for each, which would be more than most of the work.
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

static bool is_called(struct worker *worker)
{
	return atomic_load(&worker->woken) || atomic_load(&worker->stop);
}

static void sleep_until_called(struct worker *worker)
{
	for (u64 since = os_clock_ns(); !is_called(worker) && os_clock_ns() - since < SPIN_NS;)
		os_yield();
	mutex_lock(&worker->lock);
	while (!is_called(worker)) {
		worker->asleep = true;
		mutex_wait(&worker->lock, &worker->wake);
		worker->asleep = false;
	}
	mutex_unlock(&worker->lock);
}

/* One piece of work. */
static bool work(struct worker *worker)
{
	bool progress;

	/* A mutex is not fair, and we would be back before a control thread has woken up. */
	while (atomic_load(&worker->waiting))
		os_yield();
	mutex_lock(&worker->lock);
	atomic_store(&worker->woken, false);
	progress = worker->work(worker->model);
	mutex_unlock(&worker->lock);
	return progress;
}

static void *thread(void *argument)
{
	struct worker *worker = argument;
	u64 active = os_clock_ns();

	while (!atomic_load(&worker->stop)) {
		if (work(worker))
			active = os_clock_ns();
		else if (worker->rest == WORKER_SLEEPS)
			sleep_until_called(worker);
		else
			look_away(worker, os_clock_ns(), active);
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
	atomic_store(&worker->woken, true);
	if (worker->asleep)
		pthread_cond_signal(&worker->wake);
}

void worker_hurry(struct worker *worker)
{
	atomic_store(&worker->hurry, os_clock_ns() + HURRY_NS);
}
