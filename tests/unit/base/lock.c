/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "base/lock.h"
#include "base/os.h"

TEST(lock, ranks_may_be_taken_upwards_and_again)
{
	struct mutex machine, journal;
	struct gate dma, other_dma;

	mutex_init(&machine, RANK_MACHINE);
	gate_init(&dma, RANK_DMA);
	gate_init(&other_dma, RANK_DMA);
	mutex_init(&journal, RANK_JOURNAL);
	for (int i = 0; i < 2; i++) {
		mutex_lock(&machine);
		gate_enter(&dma);
		mutex_lock(&journal);
		assert_held(RANK_MACHINE);
		assert_held(RANK_DMA);
		assert_held(RANK_JOURNAL);
		/* Given back in any order. */
		mutex_unlock(&machine);
		gate_leave(&dma);
		mutex_unlock(&journal);
		/* Many gates may be stopped, and one many times. */
		gate_stop(&dma);
		gate_stop(&other_dma);
		gate_stop(&dma);
		assert_held(RANK_DMA);
		gate_start(&dma);
		gate_start(&dma);
		assert_held(RANK_DMA);
		gate_start(&other_dma);
	}
	mutex_fini(&machine);
	gate_fini(&dma);
	gate_fini(&other_dma);
	mutex_fini(&journal);
}

TEST(lock, a_lower_or_the_same_rank_asserts)
{
	struct mutex machine, device, other_device;
	struct gate dma, other_dma;

	mutex_init(&machine, RANK_MACHINE);
	mutex_init(&device, RANK_DEVICE);
	mutex_init(&other_device, RANK_DEVICE);
	gate_init(&dma, RANK_DMA);
	gate_init(&other_dma, RANK_DMA);
	mutex_lock(&device);
	EXPECT_ABORT(mutex_lock(&machine));
	EXPECT_ABORT(mutex_lock(&other_device));
	mutex_unlock(&device);
	gate_enter(&dma);
	EXPECT_ABORT(gate_enter(&other_dma));
	EXPECT_ABORT(gate_stop(&other_dma));
	EXPECT_ABORT(mutex_lock(&device));
	gate_leave(&dma);
	gate_stop(&dma);
	EXPECT_ABORT(gate_enter(&other_dma));
	EXPECT_ABORT(mutex_lock(&device));
	gate_start(&dma);
	mutex_fini(&machine);
	mutex_fini(&device);
	mutex_fini(&other_device);
	gate_fini(&dma);
	gate_fini(&other_dma);
}

TEST(lock, asserting_a_lock_not_held_asserts)
{
	struct mutex machine;

	mutex_init(&machine, RANK_MACHINE);
	EXPECT_ABORT(assert_held(RANK_MACHINE));
	mutex_lock(&machine);
	assert_held(RANK_MACHINE);
	EXPECT_ABORT(assert_held(RANK_DEVICE));
	mutex_unlock(&machine);
	EXPECT_ABORT(assert_held(RANK_MACHINE));
	mutex_fini(&machine);
}

struct shared {
	struct mutex mutex;
	struct gate gate;
	pthread_cond_t changed;
	u64 count;	      /* under mutex */
	u64 low, high;	      /* inside the gate or while it is stopped; always equal */
	u64 unequal_readings; /* under mutex */
};

static void shared_init(struct shared *shared)
{
	*shared = (struct shared){.count = 0};
	mutex_init(&shared->mutex, RANK_DEVICE);
	gate_init(&shared->gate, RANK_DMA);
	condition_init(&shared->changed);
}

static void shared_fini(struct shared *shared)
{
	pthread_cond_destroy(&shared->changed);
	gate_fini(&shared->gate);
	mutex_fini(&shared->mutex);
}

static void *work(void *context)
{
	struct shared *shared = context;

	for (int i = 0; i < 2000; i++) {
		bool equal;

		gate_enter(&shared->gate);
		equal = shared->low == shared->high;
		gate_leave(&shared->gate);
		mutex_lock(&shared->mutex);
		shared->count++;
		shared->unequal_readings += !equal;
		/* Whoever stops a gate has a lower lock, which keeps others from stopping it. */
		gate_stop(&shared->gate);
		shared->low++;
		shared->high++;
		gate_start(&shared->gate);
		pthread_cond_signal(&shared->changed);
		mutex_unlock(&shared->mutex);
	}
	return NULL;
}

TEST(lock, excludes_other_threads)
{
	struct shared shared;
	pthread_t threads[3];

	shared_init(&shared);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, &shared), 0);
	mutex_lock(&shared.mutex);
	while (shared.count < 6000)
		mutex_wait(&shared.mutex, &shared.changed);
	assert_held(RANK_DEVICE);
	assert_int_equal(shared.low, 6000);
	assert_int_equal(shared.unequal_readings, 0);
	mutex_unlock(&shared.mutex);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	shared_fini(&shared);
}

static volatile sig_atomic_t looking, looks, free_looks, upper_looks;

/* ThreadSanitizer calls a handler when it likes: also when all is over. */
static void look(int number)
{
	if (!looking)
		return;
	looks++;
	free_looks += lock_is_free_to_take(RANK_DEVICE);
	upper_looks += lock_is_free_to_take(RANK_JOURNAL);
}

/* The host gives the mutex back before the wait returns, and takes it after it began. */
TEST(lock, who_waits_with_a_lock_may_have_it)
{
	struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	struct shared shared;

	shared_init(&shared);
	signal(SIGALRM, look);
	mutex_lock(&shared.mutex);
	looking = true;
	setitimer(ITIMER_REAL, &often, NULL);
	while (!looks)
		mutex_wait_ms(&shared.mutex, &shared.changed, 30);
	looking = false;
	setitimer(ITIMER_REAL, &never, NULL);
	mutex_unlock(&shared.mutex);
	signal(SIGALRM, SIG_DFL);
	assert_int_equal(free_looks, 0);
	assert_int_equal(upper_looks, looks);
	assert_true(lock_is_free_to_take(RANK_DEVICE));
	shared_fini(&shared);
}

TEST(lock, timed_wait_says_when_time_has_passed)
{
	struct shared shared;
	u64 before = os_clock_ns();

	shared_init(&shared);
	mutex_lock(&shared.mutex);
	/* Waking up early for no reason is allowed; running out of time is what must come, and not before it has. */
	while (mutex_wait_ms(&shared.mutex, &shared.changed, 20))
		before = os_clock_ns();
	assert_true(os_clock_ns() - before >= 20000000);
	assert_held(RANK_DEVICE);
	mutex_unlock(&shared.mutex);
	shared_fini(&shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(lock, ranks_may_be_taken_upwards_and_again), CASE(lock, a_lower_or_the_same_rank_asserts),
		CASE(lock, asserting_a_lock_not_held_asserts),	  CASE(lock, excludes_other_threads),
		CASE(lock, timed_wait_says_when_time_has_passed), CASE(lock, who_waits_with_a_lock_may_have_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
