/* SPDX-License-Identifier: MIT */
#include "mem/shared.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "mem/guard.h"
#include "tests/fixtures/self_client.h"
#include "tests/helpers.h"

static u8 *map_file(int fd, size_t size, int protection)
{
	u8 *memory = mmap(NULL, size, protection, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

static int memory_file(size_t size)
{
	int fd = memfd_create("shared", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static void exit_with_42(int number)
{
	_exit(42);
}

/* First, because our handler is installed once. The host program's own handler still gets the signals that are its. */
TEST(shared, a_sigbus_that_is_not_ours_goes_to_who_was_there_before)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct client *client = self_client_new(getpid());
		int fd = memory_file(PAGE_SIZE);
		u8 *memory = map_file(fd, PAGE_SIZE, PROT_READ | PROT_WRITE), byte;
		u8 *direct;

		signal(SIGBUS, exit_with_42);
		direct = shared_map(client, (uintptr_t)memory, PAGE_SIZE);
		if (ftruncate(fd, 0) < 0 || guard_copy(&byte, direct, 1))
			_exit(1);
		memory[0] = 1;
		_exit(2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

TEST(shared, files_are_mapped_directly_and_survive_truncation)
{
	struct client *client = self_client_new(getpid());
	int fd = memory_file(2 * PAGE_SIZE);
	u8 *memory = map_file(fd, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE), *direct, byte = 0;

	direct = shared_map(client, (uintptr_t)memory + PAGE_SIZE, PAGE_SIZE);
	assert_non_null(direct);
	assert_true(guard_copy(direct + 5, "y", 1));
	assert_int_equal(memory[PAGE_SIZE + 5], 'y');
	assert_int_equal(ftruncate(fd, PAGE_SIZE), 0);
	assert_false(guard_copy(&byte, direct + 5, 1));
	assert_false(guard_copy(direct + 5, &byte, 1));
	assert_int_equal(ftruncate(fd, 2 * PAGE_SIZE), 0);
	assert_true(guard_copy(&byte, direct + 5, 1));
	assert_int_equal(byte, 0);
	shared_unmap(direct, PAGE_SIZE);
	shared_unmap(NULL, PAGE_SIZE);
	munmap(memory, 2 * PAGE_SIZE);
	close(fd);
	client_put(client);
}

TEST(shared, anything_else_is_left_to_copying_by_process)
{
	struct client *client = self_client_new(getpid());
	int fd = memory_file(2 * PAGE_SIZE);
	u8 *writable = map_file(fd, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE);
	u8 *readable = map_file(fd, PAGE_SIZE, PROT_READ);
	u8 *private = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	u8 *nameless = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_null(shared_map(client, (uintptr_t)readable, PAGE_SIZE));
	assert_null(shared_map(client, (uintptr_t) private, PAGE_SIZE));
	assert_null(shared_map(client, (uintptr_t)nameless, PAGE_SIZE));
	/* More than the mapping has, and a file that nobody has open any more. */
	munmap(writable + PAGE_SIZE, PAGE_SIZE);
	assert_null(shared_map(client, (uintptr_t)writable, 2 * PAGE_SIZE));
	close(fd);
	assert_null(shared_map(client, (uintptr_t)writable, PAGE_SIZE));
	munmap(writable, PAGE_SIZE);
	munmap(readable, PAGE_SIZE);
	munmap(private, PAGE_SIZE);
	munmap(nameless, PAGE_SIZE);
	client_put(client);
}

TEST(shared, our_mapping_keeps_no_lock_of_the_clients_file)
{
	struct client *client = self_client_new(getpid());
	int fd = memory_file(PAGE_SIZE), second;
	u8 *memory = map_file(fd, PAGE_SIZE, PROT_READ | PROT_WRITE), *direct;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	second = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	direct = shared_map(client, (uintptr_t)memory, PAGE_SIZE);
	assert_non_null(direct);
	assert_int_equal(flock(second, LOCK_EX | LOCK_NB), -1);
	munmap(memory, PAGE_SIZE);
	close(fd);
	assert_int_equal(flock(second, LOCK_EX | LOCK_NB), 0);
	shared_unmap(direct, PAGE_SIZE);
	close(second);
	client_put(client);
}

TEST(shared, a_child_s_file_is_reached_through_its_descriptor)
{
	int fd = memory_file(PAGE_SIZE), ready[2], stop[2], status;
	u8 *memory = map_file(fd, PAGE_SIZE, PROT_READ | PROT_WRITE), *direct, byte;
	struct client *client;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(stop), 0);
	child = fork();
	if (child == 0) {
		close(stop[1]);
		_exit(write(ready[1], "x", 1) != 1 || read(stop[0], &byte, 1) < 0 || memory[7] != 'c');
	}
	/* Only the child has it now, at the address the fork gave it. */
	close(fd);
	munmap(memory, PAGE_SIZE);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	client = self_client_new(child);
	direct = shared_map(client, (uintptr_t)memory, PAGE_SIZE);
	assert_non_null(direct);
	assert_true(guard_copy(direct + 7, "c", 1));
	close(stop[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	shared_unmap(direct, PAGE_SIZE);
	close(stop[0]);
	close(ready[0]);
	close(ready[1]);
	client_put(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(shared, a_sigbus_that_is_not_ours_goes_to_who_was_there_before),
		CASE(shared, files_are_mapped_directly_and_survive_truncation),
		CASE(shared, anything_else_is_left_to_copying_by_process),
		CASE(shared, our_mapping_keeps_no_lock_of_the_clients_file),
		CASE(shared, a_child_s_file_is_reached_through_its_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
