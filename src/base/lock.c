/* SPDX-License-Identifier: MIT */
#include "base/lock.h"

#include <errno.h>
#include <time.h>

#include "base/bits.h"

/* One bit per rank this thread holds. */
static _Thread_local unsigned held;
/* Those it waits with: at some moments of that it has them. */
static _Thread_local unsigned awaited;
/* How often this thread has stopped gates, which are all of one rank. */
static _Thread_local unsigned stopped;

static void rank_enter(enum lock_rank rank)
{
	assert(held >> rank == 0);
	held |= 1u << rank;
}

static void rank_leave(enum lock_rank rank)
{
	assert(held & 1u << rank);
	held &= ~(1u << rank);
}

/* A handler of signals may look in between. */
static void wait_begins(enum lock_rank rank)
{
	awaited |= 1u << rank;
	atomic_signal_fence(memory_order_seq_cst);
	rank_leave(rank);
}

static void wait_is_over(enum lock_rank rank)
{
	rank_enter(rank);
	atomic_signal_fence(memory_order_seq_cst);
	awaited &= ~(1u << rank);
}

bool lock_is_free_to_take(enum lock_rank rank)
{
	return (held | awaited) >> rank == 0;
}

void assert_held(enum lock_rank rank)
{
	assert(held & 1u << rank);
}

/*
 * A model's lock is wanted by the driver's threads while the model's own has it for a few microseconds at a time: to
 * spin that long is cheaper than to sleep and be woken (threefold for small copies, bench/copy.c). The other locks are
 * rarely waited for, and an adaptive mutex takes a nanosecond more.
 */
static int kind_of(enum lock_rank rank)
{
	return rank == RANK_DEVICE ? PTHREAD_MUTEX_ADAPTIVE_NP : PTHREAD_MUTEX_NORMAL;
}

void mutex_init(struct mutex *mutex, enum lock_rank rank)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, kind_of(rank));
	pthread_mutex_init(&mutex->raw, &attributes);
	pthread_mutexattr_destroy(&attributes);
	mutex->rank = rank;
}

void mutex_fini(struct mutex *mutex)
{
	pthread_mutex_destroy(&mutex->raw);
}

void mutex_lock(struct mutex *mutex)
{
	rank_enter(mutex->rank);
	pthread_mutex_lock(&mutex->raw);
}

void mutex_unlock(struct mutex *mutex)
{
	pthread_mutex_unlock(&mutex->raw);
	rank_leave(mutex->rank);
}

void condition_init(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

void mutex_wait(struct mutex *mutex, pthread_cond_t *condition)
{
	wait_begins(mutex->rank);
	pthread_cond_wait(condition, &mutex->raw);
	wait_is_over(mutex->rank);
}

bool mutex_wait_ms(struct mutex *mutex, pthread_cond_t *condition, unsigned timeout_ms)
{
	struct timespec until;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	wait_begins(mutex->rank);
	err = pthread_cond_timedwait(condition, &mutex->raw, &until);
	wait_is_over(mutex->rank);
	return err != ETIMEDOUT;
}

void gate_init(struct gate *gate, enum lock_rank rank)
{
	mutex_init(&gate->mutex, rank);
	pthread_cond_init(&gate->opened, NULL);
	atomic_init(&gate->stops, 0);
}

void gate_fini(struct gate *gate)
{
	assert(!atomic_load(&gate->stops));
	pthread_cond_destroy(&gate->opened);
	mutex_fini(&gate->mutex);
}

void gate_enter(struct gate *gate)
{
	mutex_lock(&gate->mutex);
	/* Waiting gives the mutex to whoever stops us: a busy device must not starve the program's unmap. */
	while (atomic_load_explicit(&gate->stops, memory_order_relaxed))
		mutex_wait(&gate->mutex, &gate->opened);
}

void gate_leave(struct gate *gate)
{
	mutex_unlock(&gate->mutex);
}

/* The mutex is not kept, so that any number of gates can be stopped; having had it once is enough. */
void gate_stop(struct gate *gate)
{
	if (!stopped++)
		rank_enter(gate->mutex.rank);
	if (atomic_fetch_add(&gate->stops, 1))
		return;
	pthread_mutex_lock(&gate->mutex.raw);
	pthread_mutex_unlock(&gate->mutex.raw);
}

void gate_start(struct gate *gate)
{
	/* Only we count here now. While it stays stopped nobody wakes up, and no lock is needed to say so. */
	if (atomic_load_explicit(&gate->stops, memory_order_relaxed) > 1) {
		atomic_fetch_sub(&gate->stops, 1);
	} else {
		pthread_mutex_lock(&gate->mutex.raw);
		atomic_store(&gate->stops, 0);
		pthread_cond_broadcast(&gate->opened);
		pthread_mutex_unlock(&gate->mutex.raw);
	}
	if (!--stopped)
		rank_leave(gate->mutex.rank);
}
