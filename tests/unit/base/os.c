/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/os.h"

static int memfd(u64 size)
{
	struct why why = WHY_INIT;

	return (int)ASSERT_OK(why, os_memfd("test", size, &why));
}

TEST(os, memory_file_is_sparse_and_mapped_where_asked)
{
	const u64 far_away = 1ull << 40;
	int fd = memfd(far_away + PAGE_SIZE);
	struct why why = WHY_INIT;
	u8 *memory = os_map_shared(fd, far_away, PAGE_SIZE, &why), byte = 0;
	struct stat status;

	assert_non_null(memory);
	memory[7] = 42;
	assert_int_equal(pread(fd, &byte, 1, (off_t)far_away + 7), 1);
	assert_int_equal(byte, 42);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, far_away + PAGE_SIZE);
	assert_true(status.st_blocks <= 8);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	os_unmap(memory, PAGE_SIZE);
	os_close(fd);
}

TEST(os, punched_pages_read_as_zero)
{
	int fd = memfd(3 * PAGE_SIZE);
	struct why why = WHY_INIT;
	u8 *memory = os_map_shared(fd, 0, 3 * PAGE_SIZE, &why);

	assert_non_null(memory);
	memset(memory, 0xff, 3 * PAGE_SIZE);
	os_punch(fd, PAGE_SIZE, PAGE_SIZE);
	assert_int_equal(memory[PAGE_SIZE - 1], 0xff);
	assert_int_equal(memory[PAGE_SIZE], 0);
	assert_int_equal(memory[2 * PAGE_SIZE - 1], 0);
	assert_int_equal(memory[2 * PAGE_SIZE], 0xff);
	os_unmap(memory, 3 * PAGE_SIZE);
	os_close(fd);
}

TEST(os, host_failures_name_the_call)
{
	struct why why = WHY_INIT;
	int fd = memfd(PAGE_SIZE), read_only = open("/dev/null", O_RDONLY);

	EXPECT_REFUSED(HOST_FAILED, why, os_resize(read_only, PAGE_SIZE, &why));
	EXPECT_SUBSTR("4096 bytes: Invalid argument", why.text);
	assert_null(os_map_shared(fd, 1, PAGE_SIZE, &why));
	assert_int_equal(why.err, EINVAL);
	os_unmap(NULL, PAGE_SIZE);
	os_close(-1);
	os_close(read_only);
	os_close(fd);
}

static int make_and_map(struct why *why)
{
	int fd = os_memfd("test", PAGE_SIZE, why);
	void *memory;

	if (fd < 0)
		return fd;
	memory = os_map_shared(fd, 0, PAGE_SIZE, why);
	os_unmap(memory, PAGE_SIZE);
	os_close(fd);
	return memory ? 0 : -why->err;
}

TEST(os, survives_every_failing_call)
{
	SWEEP_FAILURES(make_and_map);
}

TEST(os, poller_names_who_is_readable)
{
	struct why why = WHY_INIT;
	int poller = (int)ASSERT_OK(why, os_poller(&why)), first = eventfd(0, EFD_CLOEXEC),
	    second = eventfd(1, EFD_CLOEXEC);

	ASSERT_OK(why, os_poller_add(poller, first, &first, &why));
	assert_null(os_poller_next(poller));
	ASSERT_OK(why, os_poller_add(poller, second, &second, &why));
	assert_ptr_equal(os_poller_next(poller), &second);
	EXPECT_REFUSED(HOST_FAILED, why, os_poller_add(poller, first, &first, &why));
	assert_int_equal(why.err, EEXIST);
	os_poller_remove(poller, second);
	assert_null(os_poller_next(poller));
	os_poller_remove(poller, second);
	os_eventfd_signal(first);
	assert_ptr_equal(os_poller_next(poller), &first);
	os_close(first);
	os_close(second);
	os_close(poller);
}

static int poll_nothing(struct why *why)
{
	int poller = os_poller(why), fd, err;

	if (poller < 0)
		return poller;
	fd = eventfd(0, EFD_CLOEXEC);
	err = os_poller_add(poller, fd, &fd, why);
	os_close(fd);
	os_close(poller);
	return err;
}

TEST(os, poller_that_cannot_be_made_is_refused)
{
	SWEEP_FAILURES(poll_nothing);
}

TEST(os, clocks_go_forward_and_a_sleep_lasts)
{
	u64 before = os_clock_ns();

	os_sleep_ns(2000000);
	assert_true(os_clock_ns() - before >= 2000000);
	/* Later than 2020: the wall clock counts from 1970. */
	assert_true(os_wall_clock_ns() / 1000000000 > 1577836800);
	assert_true(os_online_cpus() >= 1);
}

static void *note_signals(void *argument)
{
	sigset_t *blocked = argument;

	pthread_sigmask(SIG_BLOCK, NULL, blocked);
	return argument;
}

TEST(os, thread_takes_no_signals)
{
	struct why why = WHY_INIT;
	pthread_t thread;
	sigset_t blocked;
	void *returned;

	ASSERT_OK(why, os_thread_start(&thread, note_signals, &blocked, &why));
	assert_int_equal(pthread_join(thread, &returned), 0);
	assert_ptr_equal(returned, &blocked);
	assert_false(sigismember(&blocked, SIGBUS));
	assert_true(sigismember(&blocked, SIGINT) && sigismember(&blocked, SIGUSR1) && sigismember(&blocked, SIGCHLD));
}

static int start_and_join(struct why *why)
{
	pthread_t thread;
	sigset_t blocked;
	int err = os_thread_start(&thread, note_signals, &blocked, why);

	if (err == 0)
		pthread_join(thread, NULL);
	return err;
}

TEST(os, thread_that_cannot_start_is_refused)
{
	SWEEP_FAILURES(start_and_join);
}

TEST(os, file_access_is_all_or_nothing)
{
	char path[] = "/tmp/isolde-os.XXXXXX";
	u8 written[600], back[600];
	struct os_file file;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1000), 0);
	os_close(fd);
	fd = os_file_open(path, &file);
	assert_true(fd >= 0);
	assert_true(file.regular);
	assert_int_equal(file.size, 1000);
	memset(written, 0x5a, sizeof(written));
	assert_true(os_file_write(fd, 400, written, 600));
	assert_true(os_file_read(fd, 400, back, 600));
	assert_memory_equal(written, back, 600);
	assert_false(os_file_read(fd, 401, back, 600));
	assert_true(os_file_flush(fd));
	os_close(fd);
	unlink(path);
	assert_int_equal(os_file_open(path, &file), -ENOENT);
	fd = os_file_open("/dev/null", &file);
	assert_true(fd >= 0);
	assert_false(file.regular);
	os_close(fd);
}

/* The signal of that limit would end this process. */
TEST(os, a_limit_on_files_is_an_error_and_no_signal)
{
	struct rlimit before, low;
	struct why why = WHY_INIT;
	sigset_t pending;
	int fd = memfd(0);

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	low = (struct rlimit){1 << 20, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	EXPECT_REFUSED(HOST_FAILED, why, os_resize(fd, 1ull << 30, &why));
	assert_non_null(strstr(why.text, "ulimit"));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	sigpending(&pending);
	assert_false(sigismember(&pending, SIGXFSZ));
	close(fd);
}

TEST(os, a_task_is_told_of)
{
	static const char made_up[] =
		"Name:\ta\\nUid:\t7\nUmask:\t0022\nState:\tR (running)\nSigIgn:\t8000000000000001\nUid:\t1\t2\n";
	char text[OS_STATUS_TEXT];

	os_task_status(getpid(), text);
	assert_int_equal(os_status_number(text, "Tgid", 10), getpid());
	assert_int_equal(os_status_number(text, "PPid", 10), getppid());
	assert_int_equal(*os_status_value(text, "State"), 'R');
	os_task_status(-1, text);
	assert_string_equal(text, "");
	assert_string_equal(os_status_value(text, "State"), "");
	assert_string_equal(os_status_value(made_up, "Uid"), "1\t2\n");
	assert_string_equal(os_status_value(made_up, "Sig"), "");
	assert_int_equal(os_status_number(made_up, "SigIgn", 16), 0x8000000000000001);
	assert_int_equal(os_status_number(made_up, "Name", 10), 0);
	assert_int_equal(os_status_number(made_up, "VmLck", 10), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(os, memory_file_is_sparse_and_mapped_where_asked),
		CASE(os, punched_pages_read_as_zero),
		CASE(os, host_failures_name_the_call),
		CASE(os, survives_every_failing_call),
		CASE(os, poller_names_who_is_readable),
		CASE(os, poller_that_cannot_be_made_is_refused),
		CASE(os, clocks_go_forward_and_a_sleep_lasts),
		CASE(os, thread_takes_no_signals),
		CASE(os, thread_that_cannot_start_is_refused),
		CASE(os, file_access_is_all_or_nothing),
		CASE(os, a_task_is_told_of),
		CASE(os, a_limit_on_files_is_an_error_and_no_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
