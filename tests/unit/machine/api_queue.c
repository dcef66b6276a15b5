/* SPDX-License-Identifier: MIT */
/* Queues as an embedding program uses them: read, write, poll. */
#include "isolde/isolde.h"

#include "tests/fixtures/told.h"
#include "tests/fixtures/toy_queue.h"

#include <fcntl.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdatomic.h>

#include "machine/api.h"
#include "machine/machine.h"

struct fixture {
	struct isolde_machine *machine;
	struct toy_queue *toy;
	unsigned released;
	atomic_uint looks;
	int fd;
	struct isolde_why why;
	struct why expected;
};

static long told(struct fixture *f, long ret)
{
	return told_as(&f->expected, &f->why, ret);
}

#define OK(call) ASSERT_OK(f->expected, told(f, call))

/* As an ioctl would give it to us. */
static int install(struct fixture *f, struct file *file)
{
	struct machine *machine = f->machine->machine;
	int fd;

	mutex_lock(&machine->lock);
	fd = f->machine->client.ops->install_file(&f->machine->client, file, true, &f->expected);
	mutex_unlock(&machine->lock);
	return fd;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	OK(isolde_machine_new(NULL, &f->machine, &f->why));
	f->toy = toy_queue_new(&f->released);
	f->toy->looks = &f->looks;
	f->fd = (int)ASSERT_OK(f->expected, install(f, &f->toy->file));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->fd >= 0)
		isolde_close(f->machine, f->fd);
	assert_int_equal(f->released, 1);
	isolde_machine_check(f->machine);
	isolde_machine_free(f->machine);
	free(f);
	return 0;
}

#define TEST_F(name)                                                                                                   \
	static void queue_##name##_body(struct fixture *f);                                                            \
	static void queue_##name(void **state)                                                                         \
	{                                                                                                              \
		queue_##name##_body(*state);                                                                           \
	}                                                                                                              \
	static void queue_##name##_body(struct fixture *f)
#define CASE_F(name) cmocka_unit_test_setup_teardown(queue_##name, setup, teardown)

#define READ(buffer, size)  isolde_read(f->machine, f->fd, buffer, size, &f->why)
#define WRITE(buffer, size) isolde_write(f->machine, f->fd, buffer, size, &f->why)
#define POLL(events, ms)    isolde_poll(f->machine, f->fd, events, ms, &f->why)

TEST_F(what_was_written_is_read_again_and_again_from_the_front)
{
	u32 record[3] = {1, 2, 3}, got[3] = {0};

	assert_int_equal(OK(READ(got, 12)), 0);
	assert_int_equal(OK(WRITE(record, 12)), 12);
	assert_int_equal(OK(READ(got, 8)), 8);
	assert_int_equal(got[1], 2);
	assert_int_equal(OK(READ(got, 8)), 4);
	assert_int_equal(got[0], 3);
}

TEST_F(sizes_are_the_queues_own_to_judge)
{
	u32 record = 1;

	EXPECT_REFUSED(FILE_OPERATION, f->expected, told(f, READ(&record, 0)));
	EXPECT_REFUSED(FILE_STREAM, f->expected, told(f, READ(&record, 5)));
	EXPECT_REFUSED(FILE_STREAM, f->expected, told(f, WRITE(&record, 3)));
}

TEST_F(it_has_no_positions_and_takes_no_ioctls)
{
	u32 record = 1;

	EXPECT_REFUSED(FILE_STREAM, f->expected, told(f, isolde_pread(f->machine, f->fd, &record, 4, 0, &f->why)));
	EXPECT_SUBSTR("anon_inode:[toy]", f->why.text);
	EXPECT_REFUSED(FILE_STREAM, f->expected, told(f, isolde_pwrite(f->machine, f->fd, &record, 4, 0, &f->why)));
	EXPECT_REFUSED(IOCTL_UNKNOWN, f->expected,
		       told(f, isolde_ioctl(f->machine, f->fd, VFIO_GET_API_VERSION, NULL, &f->why)));
}

TEST_F(poll_says_what_holds_now)
{
	u32 records[TOY_RECORDS + 1] = {0};

	assert_int_equal(OK(POLL(POLLIN | POLLOUT, 0)), POLLOUT);
	assert_int_equal(OK(POLL(POLLIN, 0)), 0);
	assert_int_equal(OK(WRITE(records, sizeof(records))), 4 * TOY_RECORDS);
	assert_int_equal(OK(POLL(POLLIN | POLLOUT, -1)), POLLIN);
	OK(READ(records, 4));
	assert_int_equal(OK(POLL(POLLIN | POLLOUT, 1000)), POLLIN | POLLOUT);
}

TEST_F(poll_waits_as_long_as_it_was_told)
{
	u64 before = os_clock_ns();

	assert_int_equal(OK(POLL(POLLIN, 30)), 0);
	assert_true(os_clock_ns() - before >= 30 * 1000000);
}

/* Once the poll has begun. */
static void *write_soon(void *argument)
{
	struct fixture *f = argument;
	u32 record = 7;
	struct isolde_why why;

	while (!atomic_load(&f->looks))
		os_sleep_ns(1000000);
	isolde_write(f->machine, f->fd, &record, 4, &why);
	return NULL;
}

/* Whoever is not woken waits until the test is ended. */
TEST_F(poll_is_woken_when_the_queue_says_so)
{
	pthread_t writer;

	pthread_create(&writer, NULL, write_soon, f);
	assert_int_equal(OK(POLL(POLLIN, -1)), POLLIN);
	pthread_join(writer, NULL);
}

/* Twenty thousand times: no wake may get lost between looking and sleeping. */
static void *write_many(void *argument)
{
	struct fixture *f = argument;

	for (u32 i = 0; i < 20000; i++) {
		struct isolde_why why;

		while (isolde_write(f->machine, f->fd, &i, 4, &why) == 0)
			isolde_poll(f->machine, f->fd, POLLOUT, -1, &why);
	}
	return NULL;
}

TEST_F(no_wake_is_lost)
{
	pthread_t writer;
	u32 got;

	pthread_create(&writer, NULL, write_many, f);
	for (u32 i = 0; i < 20000; i++) {
		assert_int_equal(OK(POLL(POLLIN, -1)), POLLIN);
		assert_int_equal(OK(READ(&got, 4)), 4);
		assert_int_equal(got, i);
	}
	pthread_join(writer, NULL);
}

/* Once the poll has begun: before, it would be of no descriptor at all. */
static void *close_when_polled(void *argument)
{
	struct fixture *f = argument;

	while (!atomic_load(&f->looks))
		os_sleep_ns(1000000);
	isolde_close(f->machine, f->fd);
	return NULL;
}

/* Linux lets such a poll wait for what never comes. */
TEST_F(a_poll_ends_with_the_file)
{
	pthread_t closer;

	pthread_create(&closer, NULL, close_when_polled, f);
	EXPECT_REFUSED(FILE_CLOSED, f->expected, told(f, POLL(POLLIN, -1)));
	pthread_join(closer, NULL);
	f->fd = -1;
}

TEST_F(other_files_are_always_ready_and_go_on_where_they_are)
{
	int container = (int)OK(isolde_open(f->machine, "/dev/vfio/vfio", O_RDWR, &f->why));
	char byte = 0;

	assert_int_equal(OK(isolde_poll(f->machine, container, POLLIN | POLLOUT, -1, &f->why)), POLLIN | POLLOUT);
	EXPECT_REFUSED(FILE_OPERATION, f->expected, told(f, isolde_read(f->machine, container, &byte, 1, &f->why)));
	EXPECT_REFUSED(FILE_OPERATION, f->expected, told(f, isolde_write(f->machine, container, &byte, 1, &f->why)));
	assert_int_equal(isolde_close(f->machine, container), 0);
	EXPECT_REFUSED(FD_BAD, f->expected, told(f, isolde_read(f->machine, container, &byte, 1, &f->why)));
	EXPECT_REFUSED(FD_BAD, f->expected, told(f, isolde_write(f->machine, container, &byte, 1, &f->why)));
	EXPECT_REFUSED(FD_BAD, f->expected, told(f, isolde_poll(f->machine, container, POLLIN, 0, &f->why)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_F(what_was_written_is_read_again_and_again_from_the_front),
		CASE_F(sizes_are_the_queues_own_to_judge),
		CASE_F(it_has_no_positions_and_takes_no_ioctls),
		CASE_F(poll_says_what_holds_now),
		CASE_F(poll_waits_as_long_as_it_was_told),
		CASE_F(poll_is_woken_when_the_queue_says_so),
		CASE_F(no_wake_is_lost),
		CASE_F(a_poll_ends_with_the_file),
		CASE_F(other_files_are_always_ready_and_go_on_where_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
