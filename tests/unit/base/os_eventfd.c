/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include "base/os.h"
#include "tests/fixtures/patience.h"

#define FULL (UINT64_MAX - 1)

static u64 take(int fd)
{
	u64 count = 0;

	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	return count;
}

static void add(int fd, u64 count)
{
	assert_int_equal(write(fd, &count, sizeof(count)), sizeof(count));
}

TEST(os_eventfd, signals_add_up)
{
	int fd = eventfd(0, EFD_CLOEXEC), one_by_one = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE | EFD_NONBLOCK);

	/* More than the host takes at a time. */
	for (unsigned i = 0; i < 1000; i++)
		os_eventfd_signal(fd);
	assert_int_equal(take(fd), 1000);
	os_eventfd_signal(one_by_one);
	os_eventfd_signal(one_by_one);
	assert_int_equal(take(one_by_one), 1);
	assert_int_equal(take(one_by_one), 1);
	assert_false(os_eventfd_consume(one_by_one));
	os_close(one_by_one);
	os_close(fd);
}

/* As fs/eventfd.c:eventfd_signal() does: one more than write(2) gets to, and then no more. */
TEST(os_eventfd, signalling_a_full_counter_does_not_block)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	add(fd, FULL);
	os_eventfd_signal(fd);
	os_eventfd_signal(fd);
	assert_true(take(fd) == UINT64_MAX);
	os_eventfd_signal(fd);
	assert_int_equal(take(fd), 1);
	os_close(fd);
}

TEST(os_eventfd, an_event_is_consumed_once)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	assert_false(os_eventfd_consume(fd));
	os_eventfd_signal(fd);
	os_eventfd_signal(fd);
	assert_true(os_eventfd_consume(fd));
	assert_false(os_eventfd_consume(fd));
	os_close(fd);
}

/* A child of fork() has none of its parent's means, and does it by a thread. */
TEST(os_eventfd, a_child_signals_too)
{
	int fd = eventfd(0, EFD_CLOEXEC), status;
	struct pollfd event = {.fd = fd, .events = POLLIN};
	pid_t child;

	os_eventfd_signal(fd);
	assert_int_equal(take(fd), 1);
	child = fork();
	if (child == 0) {
		u64 count = 0;

		os_eventfd_signal(fd);
		if (poll(&event, 1, PATIENCE_MS) != 1 || read(fd, &count, sizeof(count)) != sizeof(count) || count != 1)
			_exit(1);
		count = FULL;
		if (write(fd, &count, sizeof(count)) != sizeof(count))
			_exit(2);
		os_eventfd_signal(fd);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	os_close(fd);
}

struct contest {
	int fd;
	atomic_ulong ours, theirs; /* rounds */
	atomic_bool over, left, failed;
};

static void *take_all(void *argument)
{
	struct contest *contest = argument;

	u64 count;

	while (!atomic_load(&contest->over)) {
		if (read(contest->fd, &count, sizeof(count)) != sizeof(count))
			atomic_store(&contest->failed, true);
		atomic_fetch_add(&contest->theirs, 1);
	}
	return NULL;
}

/* Somebody else takes the count between two calls of ours: whoever waits for the next one waits for us. */
TEST(os_eventfd, consuming_what_another_takes_does_not_block)
{
	struct contest contest = {.fd = eventfd(0, EFD_CLOEXEC)};
	unsigned consumed = 0;
	pthread_t taker;

	assert_int_equal(pthread_create(&taker, NULL, take_all, &contest), 0);
	/* On a busy host the other one may be late. */
	for (unsigned i = 0; i < 200000 || !consumed || !atomic_load(&contest.theirs); i++) {
		add(contest.fd, 1);
		consumed += os_eventfd_consume(contest.fd);
	}
	atomic_store(&contest.over, true);
	add(contest.fd, 1);
	pthread_join(taker, NULL);
	assert_false(contest.failed);
	os_close(contest.fd);
}

/* Reads only when the other side has gone on: if that waits for us, both do so for ever. */
static void *fill(void *argument)
{
	struct contest *contest = argument;
	const u64 full = FULL;

	while (!atomic_load(&contest->over)) {
		unsigned long before = atomic_load(&contest->ours);

		if (write(contest->fd, &full, sizeof(full)) != sizeof(full))
			atomic_store(&contest->failed, true);
		while (atomic_load(&contest->ours) < before + 2 && !atomic_load(&contest->over))
			;
		os_eventfd_consume(contest->fd);
		atomic_fetch_add(&contest->theirs, 1);
	}
	atomic_store(&contest->left, true);
	return NULL;
}

static void *signal_without_end(void *argument)
{
	struct contest *contest = argument;

	while (!atomic_load(&contest->over)) {
		os_eventfd_signal(contest->fd);
		atomic_fetch_add(&contest->ours, 1);
	}
	return NULL;
}

/* Somebody else fills the counter between two calls of ours, and reads no more. */
TEST(os_eventfd, signalling_what_another_fills_does_not_block)
{
	struct contest contest = {.fd = eventfd(0, EFD_CLOEXEC)};
	pthread_t filler, signaller;
	unsigned idle = 0;

	assert_int_equal(pthread_create(&signaller, NULL, signal_without_end, &contest), 0);
	assert_int_equal(pthread_create(&filler, NULL, fill, &contest), 0);
	while (idle < PATIENCE_MS && atomic_load(&contest.theirs) < 300) {
		unsigned long ours = atomic_load(&contest.ours), theirs = atomic_load(&contest.theirs);

		os_sleep_ns(1000000);
		idle = ours == atomic_load(&contest.ours) ? idle + 1 : 0;
		/* The filler, too, waits for room; then ours are what is in the counter. */
		if (!idle && theirs == atomic_load(&contest.theirs) && ours + 4 < atomic_load(&contest.ours))
			os_eventfd_consume(contest.fd);
	}
	assert_true(idle < PATIENCE_MS);
	atomic_store(&contest.over, true);
	pthread_join(signaller, NULL);
	while (!atomic_load(&contest.left)) {
		os_eventfd_consume(contest.fd);
		os_sleep_ns(1000000);
	}
	pthread_join(filler, NULL);
	assert_false(contest.failed);
	os_close(contest.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(os_eventfd, signals_add_up),
		CASE(os_eventfd, signalling_a_full_counter_does_not_block),
		CASE(os_eventfd, an_event_is_consumed_once),
		CASE(os_eventfd, a_child_signals_too),
		CASE(os_eventfd, consuming_what_another_takes_does_not_block),
		CASE(os_eventfd, signalling_what_another_fills_does_not_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
