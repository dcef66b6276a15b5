/* SPDX-License-Identifier: MIT */
#include "machine/files.h"

#include "tests/fixtures/holder.h"
#include "tests/fixtures/patience.h"
#include "tests/helpers.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/os.h"

/* A file that writes down when it died. */
struct probe {
	struct file file;
	unsigned *released; /* counts; the caller's */
	unsigned *order;    /* receives the count at that moment; may be NULL */
};

static void probe_release(struct file *file)
{
	struct probe *probe = container_of(file, struct probe, file);

	if (probe->order)
		*probe->order = *probe->released;
	++*probe->released;
	os_close(file->memfd);
	free(probe);
}

static const struct file_ops probe_ops = {.kind = "probe", .release = probe_release};

static struct probe *probe_new(unsigned *released)
{
	struct probe *probe = calloc(1, sizeof(*probe));

	file_init(&probe->file, &probe_ops, "/dev/probe", S_IFCHR | 0600, 0);
	probe->released = released;
	return probe;
}

struct fixture {
	struct files *files;
	struct probe *probe;
	unsigned released;
	int fd;
	struct why why;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	ASSERT_OK(f->why, files_new(&f->files, &f->why));
	f->probe = probe_new(&f->released);
	f->probe->file.memfd = (int)ASSERT_OK(f->why, os_memfd("probe", 2 * PAGE_SIZE, &f->why));
	f->fd = (int)ASSERT_OK(f->why, files_describe(f->files, &f->probe->file, &f->why));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	files_close_all(f->files);
	assert_int_equal(f->released, 1);
	files_free(f->files);
	free(f);
	return 0;
}

#define TEST_F(name)                                                                                                   \
	static void files_##name##_body(struct fixture *f);                                                            \
	static void files_##name(void **state)                                                                         \
	{                                                                                                              \
		files_##name##_body(*state);                                                                           \
	}                                                                                                              \
	static void files_##name##_body(struct fixture *f)
#define CASE_F(name) cmocka_unit_test_setup_teardown(files_##name, setup, teardown)

static unsigned drained(struct fixture *f)
{
	files_drain(f->files);
	return f->released;
}

/* What the supervisor does: sleeps until something happened. False when it never does. */
static bool wait_released(struct fixture *f)
{
	struct pollfd events = {.fd = files_events(f->files), .events = POLLIN};

	while (!f->released) {
		if (poll(&events, 1, PATIENCE_MS) != 1)
			return false;
		files_drain(f->files);
	}
	return true;
}

static void kill_holder(pid_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static struct file *find(struct fixture *f, int fd)
{
	struct stat stat;

	assert_int_equal(fstat(fd, &stat), 0);
	return files_find(f->files, stat.st_dev, stat.st_ino);
}

TEST_F(a_file_dies_with_its_only_descriptor)
{
	assert_int_equal(drained(f), 0);
	close(f->fd);
	assert_int_equal(drained(f), 1);
	assert_null(files_next(f->files, NULL));
}

TEST_F(it_is_found_by_what_fstat_says_of_any_copy)
{
	int copy = dup(f->fd);
	int other = (int)ASSERT_OK(f->why, os_memfd("other", 0, &f->why));

	assert_ptr_equal(find(f, f->fd), &f->probe->file);
	assert_ptr_equal(find(f, copy), &f->probe->file);
	assert_null(find(f, other));
	assert_true(files_has(f->files, &f->probe->file));
	assert_ptr_equal(files_next(f->files, NULL), &f->probe->file);
	assert_null(files_next(f->files, &f->probe->file));
	close(other);
	close(copy);
	close(f->fd);
	assert_int_equal(drained(f), 1);
}

TEST_F(a_dup_keeps_it_alive)
{
	int copy = dup(f->fd);

	close(f->fd);
	assert_int_equal(drained(f), 0);
	close(copy);
	assert_int_equal(drained(f), 1);
}

TEST_F(a_forked_child_keeps_it_alive)
{
	pid_t child = fork_holder();

	close(f->fd);
	assert_int_equal(drained(f), 0);
	kill_holder(child);
	assert_int_equal(drained(f), 1);
}

static void send_fd(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec byte = {.iov_base = "x", .iov_len = 1};
	struct msghdr message = {
		.msg_iov = &byte, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	assert_int_equal(sendmsg(socket, &message, 0), 1);
}

static int receive_fd(int socket)
{
	char control[CMSG_SPACE(sizeof(int))], data;
	struct iovec byte = {.iov_base = &data, .iov_len = 1};
	struct msghdr message = {
		.msg_iov = &byte, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	int fd;

	assert_int_equal(recvmsg(socket, &message, MSG_CMSG_CLOEXEC), 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

TEST_F(a_descriptor_in_a_socket_keeps_it_alive)
{
	int sockets[2], received;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	send_fd(sockets[0], f->fd);
	close(f->fd);
	assert_int_equal(drained(f), 0);
	received = receive_fd(sockets[1]);
	assert_ptr_equal(find(f, received), &f->probe->file);
	assert_int_equal(drained(f), 0);
	close(received);
	assert_int_equal(drained(f), 1);
	close(sockets[0]);
	close(sockets[1]);
}

TEST_F(one_that_nobody_received_dies_with_the_socket)
{
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	send_fd(sockets[0], f->fd);
	close(f->fd);
	close(sockets[0]);
	assert_int_equal(drained(f), 0);
	close(sockets[1]);
	assert_true(wait_released(f));
}

TEST_F(a_mapping_outlives_the_descriptor)
{
	char *page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);

	assert_ptr_not_equal(page, MAP_FAILED);
	close(f->fd);
	page[0] = 1;
	assert_int_equal(drained(f), 0);
	munmap(page, PAGE_SIZE);
	assert_int_equal(drained(f), 1);
}

TEST_F(half_of_a_mapping_is_enough_to_live)
{
	char *pages = mmap(NULL, 2 * PAGE_SIZE, PROT_READ, MAP_SHARED, f->fd, 0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	close(f->fd);
	munmap(pages, PAGE_SIZE);
	assert_int_equal(drained(f), 0);
	munmap(pages + PAGE_SIZE, PAGE_SIZE);
	assert_int_equal(drained(f), 1);
}

TEST_F(a_killed_child_with_a_mapping_lets_go)
{
	char *page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	pid_t child = fork_holder();

	munmap(page, PAGE_SIZE);
	close(f->fd);
	assert_int_equal(drained(f), 0);
	kill_holder(child);
	assert_true(wait_released(f));
}

TEST_F(one_of_two_descriptions_is_enough_to_live)
{
	int second = (int)ASSERT_OK(f->why, files_describe(f->files, &f->probe->file, &f->why));

	close(f->fd);
	assert_int_equal(drained(f), 0);
	close(second);
	assert_int_equal(drained(f), 1);
}

TEST_F(two_descriptions_closed_back_to_back_are_two_deaths)
{
	int second = (int)ASSERT_OK(f->why, files_describe(f->files, &f->probe->file, &f->why));

	/* The host merges the two events into one. */
	close(f->fd);
	close(second);
	assert_int_equal(drained(f), 1);
}

/* The lock of the one that has ended goes when nobody looks often any more, and no event comes of that. */
TEST_F(a_lock_that_goes_late_is_noticed)
{
	int second = (int)ASSERT_OK(f->why, files_describe(f->files, &f->probe->file, &f->why));
	struct pollfd events = {.fd = files_events(f->files), .events = POLLIN};
	struct flock unlock = {.l_type = F_UNLCK};

	close(f->fd);
	for (unsigned i = 0; i < 505; i++) {
		assert_int_equal(poll(&events, 1, PATIENCE_MS), 1);
		assert_int_equal(drained(f), 0);
	}
	assert_int_equal(fcntl(second, F_OFD_SETLK, &unlock), 0);
	assert_true(wait_released(f));
	close(second);
}

/* Whoever makes requests all the time does not put the next look off. */
TEST_F(a_lock_that_goes_late_is_noticed_by_who_is_busy)
{
	int second = (int)ASSERT_OK(f->why, files_describe(f->files, &f->probe->file, &f->why));
	struct flock unlock = {.l_type = F_UNLCK};
	u64 start = os_clock_ns();

	close(f->fd);
	while (os_clock_ns() - start < 1500000000)
		assert_int_equal(drained(f), 0);
	assert_int_equal(fcntl(second, F_OFD_SETLK, &unlock), 0);
	for (start = os_clock_ns(); !drained(f);)
		assert_true(os_clock_ns() - start < PATIENCE_NS);
	close(second);
}

TEST_F(a_description_made_while_an_event_is_queued_lives)
{
	int second;

	close(f->fd);
	second = (int)ASSERT_OK(f->why, files_describe(f->files, &f->probe->file, &f->why));
	assert_int_equal(drained(f), 0);
	close(second);
	assert_int_equal(drained(f), 1);
}

TEST_F(a_reopened_copy_is_not_what_counts)
{
	char path[32];
	int copy;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	copy = open(path, O_RDWR);
	assert_true(copy >= 0);
	close(copy);
	assert_int_equal(drained(f), 0);
	assert_int_equal(drained(f), 0);
	close(f->fd);
	assert_int_equal(drained(f), 1);
}

static unsigned long queue_limit(void)
{
	FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	unsigned long events = 0;

	assert_non_null(limit);
	assert_int_equal(fscanf(limit, "%lu", &events), 1);
	fclose(limit);
	return events;
}

static void open_and_close(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	close(fd);
}

/* A program opens and closes two others by turns, which the host does not merge, while nobody reads. */
TEST_F(a_close_that_the_host_has_dropped_is_noticed)
{
	unsigned long limit = queue_limit();
	unsigned released = 0;
	int others[2];

	for (unsigned i = 0; i < 2; i++)
		others[i] = (int)ASSERT_OK(f->why, files_describe(f->files, &probe_new(&released)->file, &f->why));
	for (unsigned long i = 0; i <= limit; i++)
		open_and_close(others[i % 2]);
	close(f->fd);
	assert_int_equal(drained(f), 1);
	assert_int_equal(released, 0);
	close(others[0]);
	close(others[1]);
	files_drain(f->files);
	assert_int_equal(released, 2);
}

TEST_F(a_description_that_was_not_given_leaves_no_trace)
{
	unsigned released = 0;
	struct probe *probe = probe_new(&released);
	int fd = (int)ASSERT_OK(f->why, files_describe(f->files, &probe->file, &f->why));

	/* It had no memory file; it got one. */
	assert_ptr_equal(find(f, fd), &probe->file);
	close(fd);
	files_undescribe(f->files, &probe->file);
	files_drain(f->files);
	assert_int_equal(released, 0);
	assert_false(files_has(f->files, &probe->file));
	/* The caller has it still and may try again. */
	fd = (int)ASSERT_OK(f->why, files_describe(f->files, &probe->file, &f->why));
	close(fd);
	files_drain(f->files);
	assert_int_equal(released, 1);
	assert_int_equal(drained(f), 0);
	close(f->fd);
}

TEST_F(a_second_one_that_was_not_given_leaves_the_first)
{
	int second = (int)ASSERT_OK(f->why, files_describe(f->files, &f->probe->file, &f->why));

	close(second);
	files_undescribe(f->files, &f->probe->file);
	assert_int_equal(drained(f), 0);
	close(f->fd);
	assert_int_equal(drained(f), 1);
}

TEST_F(the_end_of_a_machine_closes_the_newest_first)
{
	unsigned order[3], released = 0;
	int fds[3];

	for (int i = 0; i < 3; i++) {
		struct probe *probe = probe_new(&released);

		probe->order = &order[i];
		fds[i] = (int)ASSERT_OK(f->why, files_describe(f->files, &probe->file, &f->why));
	}
	files_close_all(f->files);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(order[i], 2 - i);
		close(fds[i]);
	}
	close(f->fd);
	files_drain(f->files);
}

/* The child's close races with our look at the lock; none may be missed. */
static void race_once(void)
{
	struct fixture *f;
	pid_t child;
	int second;

	setup((void **)&f);
	second = (int)ASSERT_OK(f->why, files_describe(f->files, &f->probe->file, &f->why));
	child = fork();
	if (child == 0) {
		close(f->fd);
		close(second);
		_exit(0);
	}
	close(f->fd);
	close(second);
	assert_true(wait_released(f));
	assert_int_equal(waitpid(child, NULL, 0), child);
	teardown((void **)&f);
}

TEST(files, no_close_in_another_process_is_missed)
{
	for (int i = 0; i < 100; i++)
		race_once();
}

static int live_and_die(struct why *why)
{
	unsigned released = 0;
	struct probe *probe = probe_new(&released);
	struct files *files;
	int fd, err;

	err = files_new(&files, why);
	if (err < 0) {
		free(probe);
		return err;
	}
	fd = files_describe(files, &probe->file, why);
	if (fd < 0) {
		/* Still ours, in no table. */
		assert_null(files_next(files, NULL));
		probe_release(&probe->file);
		files_free(files);
		return fd;
	}
	close(fd);
	files_drain(files);
	assert_int_equal(released, 1);
	files_free(files);
	return 0;
}

TEST(files, every_step_may_fail)
{
	SWEEP_FAILURES(live_and_die);
	files_free(NULL);
}

static int describe_again(struct why *why)
{
	struct fixture *f;
	int fd, ret;

	fail_nth_arm(0);
	setup((void **)&f);
	fail_nth_arm(2);
	fd = files_describe(f->files, &f->probe->file, why);
	ret = fail_nth_fired() ? 0 : -1;
	fail_nth_arm(0);
	assert_true(fd < 0);
	assert_int_equal(drained(f), 0);
	close(f->fd);
	assert_int_equal(drained(f), 1);
	teardown((void **)&f);
	return ret;
}

TEST(files, a_failed_second_description_leaves_the_first)
{
	struct why why = WHY_INIT;

	assert_int_equal(describe_again(&why), 0);
	assert_int_equal(why.code, WHY_HOST_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_F(a_file_dies_with_its_only_descriptor),
		CASE_F(it_is_found_by_what_fstat_says_of_any_copy),
		CASE_F(a_dup_keeps_it_alive),
		CASE_F(a_forked_child_keeps_it_alive),
		CASE_F(a_descriptor_in_a_socket_keeps_it_alive),
		CASE_F(one_that_nobody_received_dies_with_the_socket),
		CASE_F(a_mapping_outlives_the_descriptor),
		CASE_F(half_of_a_mapping_is_enough_to_live),
		CASE_F(a_killed_child_with_a_mapping_lets_go),
		CASE_F(one_of_two_descriptions_is_enough_to_live),
		CASE_F(two_descriptions_closed_back_to_back_are_two_deaths),
		CASE_F(a_lock_that_goes_late_is_noticed),
		CASE_F(a_lock_that_goes_late_is_noticed_by_who_is_busy),
		CASE_F(a_description_made_while_an_event_is_queued_lives),
		CASE_F(a_reopened_copy_is_not_what_counts),
		CASE_F(a_close_that_the_host_has_dropped_is_noticed),
		CASE_F(a_description_that_was_not_given_leaves_no_trace),
		CASE_F(a_second_one_that_was_not_given_leaves_the_first),
		CASE_F(the_end_of_a_machine_closes_the_newest_first),
		CASE(files, no_close_in_another_process_is_missed),
		CASE(files, every_step_may_fail),
		CASE(files, a_failed_second_description_leaves_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
