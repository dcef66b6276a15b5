/* SPDX-License-Identifier: MIT */
#include "base/lock.h"

#include <errno.h>
#include <time.h>

#include "base/bits.h"

/* One bit per rank this thread holds. */
static _Thread_local unsigned held;

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

void assert_held(enum lock_rank rank)
{
	assert(held & 1u << rank);
}

void mutex_init(struct mutex *mutex, enum lock_rank rank)
{
	pthread_mutex_init(&mutex->raw, NULL);
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

void mutex_wait(struct mutex *mutex, pthread_cond_t *condition)
{
	rank_leave(mutex->rank);
	pthread_cond_wait(condition, &mutex->raw);
	rank_enter(mutex->rank);
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
	rank_leave(mutex->rank);
	err = pthread_cond_timedwait(condition, &mutex->raw, &until);
	rank_enter(mutex->rank);
	return err != ETIMEDOUT;
}

void rwlock_init(struct rwlock *lock, enum lock_rank rank)
{
	pthread_rwlockattr_t attributes;

	pthread_rwlockattr_init(&attributes);
	/* A busy device must not starve the program's unmap. */
	pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&lock->raw, &attributes);
	pthread_rwlockattr_destroy(&attributes);
	lock->rank = rank;
}

void rwlock_fini(struct rwlock *lock)
{
	pthread_rwlock_destroy(&lock->raw);
}

void rwlock_read(struct rwlock *lock)
{
	rank_enter(lock->rank);
	pthread_rwlock_rdlock(&lock->raw);
}

void rwlock_write(struct rwlock *lock)
{
	rank_enter(lock->rank);
	pthread_rwlock_wrlock(&lock->raw);
}

void rwlock_unlock(struct rwlock *lock)
{
	pthread_rwlock_unlock(&lock->raw);
	rank_leave(lock->rank);
}
