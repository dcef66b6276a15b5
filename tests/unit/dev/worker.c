/* SPDX-License-Identifier: MIT */
#include "tests/fixtures/patience.h"
#include "tests/helpers.h"

#include "base/os.h"
#include "dev/worker.h"

struct job {
	struct worker worker;
	unsigned wanted, done, looks; /* under the worker's lock */
};

static bool work(void *model)
{
	struct job *job = model;

	assert_held(RANK_DEVICE);
	job->looks++;
	if (job->done == job->wanted)
		return false;
	job->done++;
	return true;
}

static void want(struct job *job, unsigned more)
{
	worker_lock(&job->worker);
	job->wanted += more;
	worker_wake(&job->worker);
	worker_unlock(&job->worker);
}

static unsigned read_locked(struct job *job, const unsigned *value)
{
	unsigned ret;

	worker_lock(&job->worker);
	ret = *value;
	worker_unlock(&job->worker);
	return ret;
}

static bool await_done(struct job *job, unsigned done)
{
	for (u64 start = os_clock_ns(); os_clock_ns() - start < PATIENCE_NS; os_yield())
		if (read_locked(job, &job->done) == done)
			return true;
	return false;
}

TEST(worker, sleeps_until_it_is_woken)
{
	struct job job = {.done = 0};

	worker_init(&job.worker, WORKER_SLEEPS, work, &job);
	worker_start(&job.worker);
	for (unsigned i = 1; i <= 1000; i++) {
		want(&job, 1);
		if (i % 100 == 0)
			assert_true(await_done(&job, i));
	}
	assert_true(await_done(&job, 1000));
	os_sleep_ns(20000000);
	/* A piece of work, and at most one look in vain, per wake. */
	assert_true(read_locked(&job, &job.looks) <= 2001);
	worker_fini(&job.worker);
}

TEST(worker, looks_by_itself)
{
	struct job job = {.done = 0};

	worker_init(&job.worker, WORKER_LOOKS, work, &job);
	worker_start(&job.worker);
	worker_lock(&job.worker);
	job.wanted = 5;
	worker_unlock(&job.worker);
	assert_true(await_done(&job, 5));
	worker_fini(&job.worker);
}

TEST(worker, stops_and_starts_again)
{
	static const enum worker_rest rests[] = {WORKER_LOOKS, WORKER_SLEEPS};

	for (unsigned i = 0; i < ARRAY_SIZE(rests); i++) {
		struct job job = {.done = 0};

		worker_init(&job.worker, rests[i], work, &job);
		worker_stop(&job.worker);
		for (unsigned n = 1; n <= 20; n++) {
			worker_start(&job.worker);
			want(&job, 1);
			assert_true(await_done(&job, n));
			worker_stop(&job.worker);
		}
		/* Nobody works now; what is wanted meanwhile is done after the next start. */
		want(&job, 7);
		os_sleep_ns(5000000);
		assert_int_equal(read_locked(&job, &job.done), 20);
		worker_start(&job.worker);
		assert_true(await_done(&job, 27));
		worker_fini(&job.worker);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(worker, sleeps_until_it_is_woken),
		CASE(worker, looks_by_itself),
		CASE(worker, stops_and_starts_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
