/* SPDX-License-Identifier: MIT */
/*
 * Queues and texts under plain system calls, as programs in the room make them: the test is a room of its own, and its
 * threads and children are the programs.
 */
#include "supervise/serve.h"

#include "tests/fixtures/holder.h"
#include "tests/fixtures/patience.h"
#include "tests/fixtures/toy_queue.h"
#include "tests/helpers.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "machine/files.h"
#include "supervise/room.h"

struct fixture {
	struct machine *machine;
	struct file_server *server;
	struct toy_queue *toy;
	unsigned released;
	int fd;
	struct why why;
};

/* What the room gave, for all tests; each has a server and a mount of its own. */
static int make_room(void **state)
{
	struct why why = WHY_INIT;

	if (room_unshare(&why) == 0 && room_mount_tree(&why) >= 0)
		return 0;
	fprintf(stderr, "SKIP: %s\n", why.text);
	exit(getenv("ISOLDE_MUST_WORK") ? 1 : 77);
}

static int install(struct fixture *f, struct file *file)
{
	int fd;

	mutex_lock(&f->machine->lock);
	fd = file_server_add(f->server, file, &f->why);
	if (fd == 0)
		fd = files_describe(f->machine->files, file, &f->why);
	mutex_unlock(&f->machine->lock);
	return fd;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct description *description;
	int fd, root;

	ASSERT_OK(f->why, description_load("default", &description, &f->why));
	ASSERT_OK(f->why, machine_new(description, &f->machine, &f->why));
	fd = (int)ASSERT_OK(f->why, room_mount_served(&root, &f->why));
	ASSERT_OK(f->why, file_server_start(f->machine, NULL, fd, root, &f->server, &f->why));
	f->toy = toy_queue_new(&f->released);
	f->fd = (int)ASSERT_OK(f->why, install(f, &f->toy->file));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->fd >= 0)
		close(f->fd);
	machine_handle_closes(f->machine);
	assert_int_equal(f->released, 1);
	machine_check(f->machine);
	file_server_stop(f->server);
	machine_free(f->machine);
	free(f);
	return 0;
}

#define TEST_F(name)                                                                                                   \
	static void serve_##name##_body(struct fixture *f);                                                            \
	static void serve_##name(void **state)                                                                         \
	{                                                                                                              \
		serve_##name##_body(*state);                                                                           \
	}                                                                                                              \
	static void serve_##name##_body(struct fixture *f)
#define CASE_F(name) cmocka_unit_test_setup_teardown(serve_##name, setup, teardown)

#define EXPECT_ERRNO(expected, call)                                                                                   \
	do {                                                                                                           \
		errno = 0;                                                                                             \
		assert_int_equal((long)(call), -1);                                                                    \
		assert_int_equal(errno, expected);                                                                     \
	} while (0)

static short polled(int fd, short events, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};

	return poll(&poll_fd, 1, timeout_ms) < 0 ? -1 : poll_fd.revents;
}

TEST_F(records_come_back_by_plain_read_and_write)
{
	u32 records[3] = {1, 2, 3}, got[3] = {0};

	assert_int_equal(read(f->fd, got, 12), 0);
	assert_int_equal(write(f->fd, records, 12), 12);
	assert_int_equal(read(f->fd, got, 8), 8);
	assert_int_equal(got[1], 2);
	/* The position of the description has moved, if it has one: the queue does not care. */
	assert_int_equal(write(f->fd, records, 4), 4);
	assert_int_equal(read(f->fd, got, 12), 8);
	assert_int_equal(got[0], 3);
}

TEST_F(errnos_are_the_queues_own)
{
	u32 record = 0;

	EXPECT_ERRNO(EINVAL, read(f->fd, &record, 3));
	EXPECT_ERRNO(ESPIPE, write(f->fd, &record, 3));
	EXPECT_ERRNO(ESPIPE, pread(f->fd, &record, 4, 0));
	EXPECT_ERRNO(ESPIPE, pwrite(f->fd, &record, 4, 0));
	EXPECT_ERRNO(ESPIPE, lseek(f->fd, 0, SEEK_SET));
	EXPECT_ERRNO(ENOTTY, ioctl(f->fd, _IO(';', 100), 0));
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ, MAP_SHARED, f->fd, 0), MAP_FAILED);
}

/* The memory of a request's argument, as the supervisor reads it with the lock held that the worker needs. */
TEST_F(a_mapping_of_it_has_nothing_to_read)
{
	void *memory = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_PRIVATE, f->fd, 0);
	char byte;
	struct iovec local = {&byte, 1}, remote = {memory, 1};
	u32 record = 1;
	ssize_t got;

	assert_ptr_not_equal(memory, MAP_FAILED);
	/* The host thinks that it has a size now. */
	assert_int_equal(write(f->fd, &record, 4), 4);
	mutex_lock(&f->machine->lock);
	got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
	mutex_unlock(&f->machine->lock);
	assert_int_equal(got, -1);
	munmap(memory, PAGE_SIZE);
}

TEST_F(refusals_name_the_reader)
{
	struct journal_entry entry;
	u32 record;

	EXPECT_ERRNO(EINVAL, read(f->fd, &record, 3));
	assert_true(journal_read(&f->machine->journal, journal_last_serial(&f->machine->journal), &entry));
	assert_int_equal(entry.pid, getpid());
	assert_string_equal(entry.request, "read anon_inode:[toy]");
	EXPECT_SUBSTR("not 3", entry.why.text);
}

TEST_F(large_reads_arrive_whole)
{
	static u8 large[1 << 20];
	u32 record = 5;

	assert_int_equal(write(f->fd, &record, 4), 4);
	/* A page less than the most the host hands over at once, wherever it begins. */
	assert_int_equal(read(f->fd, large, sizeof(large) - PAGE_SIZE), 4);
	EXPECT_ERRNO(ESPIPE, read(f->fd, large, sizeof(large) - PAGE_SIZE - 1));
}

TEST_F(poll_and_select_see_what_holds)
{
	u32 records[TOY_RECORDS + 1] = {0};
	fd_set readable;

	assert_int_equal(polled(f->fd, POLLIN | POLLOUT, 0), POLLOUT);
	assert_int_equal(polled(f->fd, POLLIN, 20), 0);
	assert_int_equal(write(f->fd, records, sizeof(records)), 4 * TOY_RECORDS);
	assert_int_equal(polled(f->fd, POLLIN | POLLOUT, -1), POLLIN);
	FD_ZERO(&readable);
	FD_SET(f->fd, &readable);
	assert_int_equal(select(f->fd + 1, &readable, NULL, NULL, NULL), 1);
	assert_int_equal(read(f->fd, records, 4), 4);
	assert_int_equal(polled(f->fd, POLLRDNORM | POLLWRNORM, 0), POLLRDNORM | POLLWRNORM);
}

static void *write_soon(void *argument)
{
	struct fixture *f = argument;
	u32 record = 7;

	os_sleep_ns(20 * 1000000);
	return write(f->fd, &record, 4) == 4 ? NULL : f;
}

static void join(pthread_t thread)
{
	void *failed;

	pthread_join(thread, &failed);
	assert_null(failed);
}

/* Whoever is not woken waits until the test is ended. */
TEST_F(whoever_polls_is_woken)
{
	pthread_t writer;

	pthread_create(&writer, NULL, write_soon, f);
	assert_int_equal(polled(f->fd, POLLIN, -1), POLLIN);
	join(writer);
}

/* Edge triggered: only a wake brings the second event. */
TEST_F(epoll_is_woken_at_each_edge)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	pthread_t writer;
	u32 record;

	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, f->fd, &event), 0);
	assert_int_equal(epoll_wait(epoll, &event, 1, 10), 0);
	for (int i = 0; i < 3; i++) {
		pthread_create(&writer, NULL, write_soon, f);
		assert_int_equal(epoll_wait(epoll, &event, 1, -1), 1);
		assert_int_equal(read(f->fd, &record, 4), 4);
		join(writer);
	}
	close(epoll);
}

/* A device's thread wakes without machine.lock, or with it; here the test does. */
TEST_F(a_wake_under_the_machines_lock_does_no_harm)
{
	pthread_t writer;

	pthread_create(&writer, NULL, write_soon, f);
	for (int i = 0; i < 1000; i++) {
		mutex_lock(&f->machine->lock);
		file_wake(&f->toy->file);
		mutex_unlock(&f->machine->lock);
		polled(f->fd, POLLIN, 0);
	}
	assert_int_equal(polled(f->fd, POLLIN, -1), POLLIN);
	join(writer);
}

static void *write_many(void *argument)
{
	struct fixture *f = argument;

	for (u32 i = 0; i < 5000; i++)
		while (write(f->fd, &i, 4) == 0)
			if (polled(f->fd, POLLOUT, -1) != POLLOUT)
				return f;
	return NULL;
}

TEST_F(no_wake_is_lost)
{
	pthread_t writer;
	u32 got;

	pthread_create(&writer, NULL, write_many, f);
	for (u32 i = 0; i < 5000; i++) {
		assert_int_equal(polled(f->fd, POLLIN, -1), POLLIN);
		assert_int_equal(read(f->fd, &got, 4), 4);
		assert_int_equal(got, i);
	}
	join(writer);
}

static unsigned released_now(struct fixture *f)
{
	mutex_lock(&f->machine->lock);
	files_drain(f->machine->files);
	mutex_unlock(&f->machine->lock);
	return f->released;
}

/* No waiting anywhere: the file is gone at the next request. */
TEST_F(it_dies_with_the_last_descriptor_of_any_process)
{
	pid_t child = fork_holder();
	int copy = dup(f->fd);

	close(f->fd);
	assert_int_equal(released_now(f), 0);
	close(copy);
	assert_int_equal(released_now(f), 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(released_now(f), 1);
	f->fd = -1;
}

TEST_F(a_reader_that_is_killed_in_poll_leaves_nothing)
{
	pid_t child = fork();

	if (child == 0) {
		polled(f->fd, POLLIN, -1);
		_exit(1);
	}
	os_sleep_ns(20 * 1000000);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	file_wake(&f->toy->file);
	assert_int_equal(polled(f->fd, POLLIN, 0), 0);
}

TEST_F(it_is_found_by_what_fstat_says)
{
	struct stat status;

	assert_int_equal(fstat(f->fd, &status), 0);
	assert_ptr_equal(machine_find_file(f->machine, status.st_dev, status.st_ino), &f->toy->file);
}

TEST_F(its_name_tells_that_it_is_ours)
{
	char path[32], name[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	assert_true(readlink(path, name, sizeof(name) - 1) > 0);
	assert_int_equal(strncmp(name, SERVED_PREFIX, strlen(SERVED_PREFIX)), 0);
}

/* A description without our lock would not count. */
TEST_F(nobody_else_opens_it)
{
	char path[32];
	int status;
	pid_t child;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	child = fork();
	if (child == 0)
		_exit(open(path, O_RDWR) < 0 ? errno : 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), ENXIO);
}

TEST_F(many_come_and_go)
{
	unsigned released = 0;

	for (int i = 0; i < 300; i++) {
		struct toy_queue *toy = toy_queue_new(&released);
		int fd = (int)ASSERT_OK(f->why, install(f, &toy->file));
		u32 record = (u32)i;

		assert_int_equal(write(fd, &record, 4), 4);
		assert_int_equal(read(fd, &record, 4), 4);
		close(fd);
		released_now(f);
		assert_int_equal(released, i + 1);
	}
	/* The host forgets them soon, all but the one that is open. */
	for (int i = 0; i < PATIENCE_MS / 10 && file_server_count(f->server) > 1; i++)
		os_sleep_ns(10 * 1000000);
	assert_int_equal(file_server_count(f->server), 1);
}

TEST_F(nothing_is_left_when_it_cannot_be_given)
{
	unsigned released = 0, n;
	bool fired = true;
	int fd = -1;

	for (n = 1; fired; n++) {
		struct toy_queue *toy = toy_queue_new(&released);

		fail_nth_arm(n);
		fd = install(f, &toy->file);
		fired = fail_nth_fired();
		fail_nth_arm(0);
		if (fd < 0)
			toy->file.ops->release(&toy->file);
	}
	assert_true(fd >= 0);
	close(fd);
	released_now(f);
	assert_int_equal(released, n - 1);
}

/* A program passed it to somebody outside, who holds it when the room ends. */
TEST_F(an_outsider_finds_it_disconnected)
{
	u32 record = 1;

	file_server_stop(f->server);
	f->server = NULL;
	EXPECT_ERRNO(ENOTCONN, read(f->fd, &record, 4));
	file_wake(&f->toy->file);
}

/* A text is read at any offset, and what is written to it is told where. */
struct note {
	struct file file;
	char text[64];
};

static s64 note_read(struct file *file, u64 offset, void *buffer, size_t size, struct why *why)
{
	struct note *note = container_of(file, struct note, file);
	size_t length = strlen(note->text);

	if (offset >= length)
		return 0;
	size = min_u64(size, length - offset);
	memcpy(buffer, note->text + offset, size);
	return (s64)size;
}

static s64 note_write(struct file *file, u64 offset, const void *buffer, size_t size, struct why *why)
{
	struct note *note = container_of(file, struct note, file);

	if (offset + size >= sizeof(note->text))
		return refuse(why, FILE_OPERATION, "the note has no room for %zu bytes at %llu", size,
			      (unsigned long long)offset);
	memcpy(note->text + offset, buffer, size);
	return (s64)size;
}

static void note_release(struct file *file)
{
	os_close(file->memfd);
	free(container_of(file, struct note, file));
}

TEST_F(texts_have_positions)
{
	static const struct file_ops ops = {
		.kind = "note", .text = true, .read = note_read, .write = note_write, .release = note_release};
	struct note *note = calloc(1, sizeof(*note));
	char got[64] = "";
	int fd;

	file_init(&note->file, &ops, "/proc/note", 0600, 0);
	fd = (int)ASSERT_OK(f->why, install(f, &note->file));
	assert_int_equal(pwrite(fd, "hello world", 11, 0), 11);
	assert_int_equal(pread(fd, got, 5, 6), 5);
	assert_string_equal(got, "world");
	assert_int_equal(read(fd, got, 6), 6);
	assert_int_equal(read(fd, got, 6), 5);
	assert_memory_equal(got, "world", 5);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(read(fd, got, 64), 11);
	EXPECT_ERRNO(EINVAL, pwrite(fd, got, 64, 0));
	assert_int_equal(polled(fd, POLLIN | POLLOUT, 0), POLLIN | POLLOUT);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_F(records_come_back_by_plain_read_and_write),
		CASE_F(errnos_are_the_queues_own),
		CASE_F(a_mapping_of_it_has_nothing_to_read),
		CASE_F(refusals_name_the_reader),
		CASE_F(large_reads_arrive_whole),
		CASE_F(poll_and_select_see_what_holds),
		CASE_F(whoever_polls_is_woken),
		CASE_F(epoll_is_woken_at_each_edge),
		CASE_F(a_wake_under_the_machines_lock_does_no_harm),
		CASE_F(no_wake_is_lost),
		CASE_F(it_dies_with_the_last_descriptor_of_any_process),
		CASE_F(a_reader_that_is_killed_in_poll_leaves_nothing),
		CASE_F(it_is_found_by_what_fstat_says),
		CASE_F(its_name_tells_that_it_is_ours),
		CASE_F(nobody_else_opens_it),
		CASE_F(many_come_and_go),
		CASE_F(nothing_is_left_when_it_cannot_be_given),
		CASE_F(an_outsider_finds_it_disconnected),
		CASE_F(texts_have_positions),
	};

	return cmocka_run_group_tests(tests, make_room, NULL);
}
