/* SPDX-License-Identifier: MIT */
#include "mem/memory_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "mem/guard.h"
#include "mem/vma.h"
#include "tests/fixtures/self_client.h"
#include "tests/helpers.h"

static int new_memfd(u64 size)
{
	int fd = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static struct memory_file *get(struct list *files, int fd)
{
	struct memory_file *file = NULL;
	struct why why = WHY_INIT;

	ASSERT_OK(why, memory_file_get(files, dup(fd), &file, &why));
	return file;
}

TEST(memory_file, one_for_all_descriptors_of_a_file)
{
	struct list files = LIST_INIT(files);
	int fd = new_memfd(PAGE_SIZE), other = new_memfd(PAGE_SIZE);
	struct memory_file *first = get(&files, fd), *second = get(&files, fd), *third = get(&files, other);

	assert_ptr_equal(first, second);
	assert_ptr_not_equal(first, third);
	assert_int_equal(list_length(&files), 2);
	memory_file_put(first);
	memory_file_put(third);
	assert_int_equal(list_length(&files), 1);
	memory_file_put(second);
	memory_file_put(NULL);
	assert_true(list_empty(&files));
	close(fd);
	close(other);
}

TEST(memory_file, only_memory_that_is_there_can_be_pinned)
{
	struct list files = LIST_INIT(files);
	int fd = new_memfd(2 * PAGE_SIZE + 1), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct memory_file *file = get(&files, fd), *device = get(&files, null);
	struct why why = WHY_INIT;

	ASSERT_OK(why, memory_file_check(file, 0, 2 * PAGE_SIZE, &why));
	/* The third page is there in part, which is not enough. */
	EXPECT_REFUSED(FILE_TOO_SHORT, why, memory_file_check(file, PAGE_SIZE, 2 * PAGE_SIZE, &why));
	EXPECT_SUBSTR("size is 0x2001", why.text);
	assert_int_equal(ftruncate(fd, 3 * PAGE_SIZE), 0);
	ASSERT_OK(why, memory_file_check(file, PAGE_SIZE, 2 * PAGE_SIZE, &why));
	EXPECT_REFUSED(FILE_NOT_MEMORY, why, memory_file_check(device, 0, PAGE_SIZE, &why));
	assert_false(memory_file_huge(file));
	memory_file_put(file);
	memory_file_put(device);
	close(fd);
	close(null);
}

TEST(memory_file, a_window_serves_all_that_is_within_it)
{
	struct list files = LIST_INIT(files);
	int fd = new_memfd(4 * PAGE_SIZE);
	struct memory_file *file = get(&files, fd);
	struct file_window *first, *second, *larger;
	struct why why = WHY_INIT;
	u8 byte = 0;

	ASSERT_OK(why, file_window_get(file, PAGE_SIZE, &first, &why));
	ASSERT_OK(why, file_window_get(file, 4 * PAGE_SIZE, &second, &why));
	assert_ptr_equal(first, second);
	ASSERT_OK(why, file_window_get(file, 5 * PAGE_SIZE, &larger, &why));
	assert_ptr_not_equal(first, larger);
	assert_int_equal(pwrite(fd, "x", 1, 3 * PAGE_SIZE), 1);
	assert_true(guard_copy(&byte, larger->memory + 3 * PAGE_SIZE, 1));
	assert_int_equal(byte, 'x');
	assert_false(guard_copy(&byte, larger->memory + 4 * PAGE_SIZE, 1));
	file_window_put(second);
	assert_true(guard_copy(first->memory, "y", 1));
	file_window_put(first);
	file_window_put(larger);
	file_window_put(NULL);
	assert_int_equal(file->users, 1);
	memory_file_put(file);
	close(fd);
}

/* The program's descriptor may be read-only; its locks are its own. */
TEST(memory_file, what_the_descriptor_allows_does_not_matter)
{
	struct list files = LIST_INIT(files);
	int fd = new_memfd(PAGE_SIZE), readable;
	struct file_window *window;
	struct memory_file *file;
	struct why why = WHY_INIT;
	char path[32];
	u8 byte = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	readable = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(readable, LOCK_EX), 0);
	file = get(&files, readable);
	close(readable);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	ASSERT_OK(why, file_window_get(file, PAGE_SIZE, &window, &why));
	assert_true(guard_copy(window->memory, "z", 1));
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 'z');
	file_window_put(window);
	memory_file_put(file);
	close(fd);
}

TEST(memory_file, sealed_files_are_mapped_for_reading)
{
	struct list files = LIST_INIT(files);
	int fd = new_memfd(PAGE_SIZE);
	struct file_window *window;
	struct memory_file *file;
	struct why why = WHY_INIT;
	u8 byte = 1;

	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	file = get(&files, fd);
	ASSERT_OK(why, file_window_get(file, PAGE_SIZE, &window, &why));
	assert_true(guard_copy(&byte, window->memory, 1));
	assert_int_equal(byte, 0);
	assert_false(guard_copy(window->memory, &byte, 1));
	file_window_put(window);
	memory_file_put(file);
	close(fd);
}

TEST(memory_file, a_shared_mapping_has_a_file_behind_it)
{
	struct list files = LIST_INIT(files);
	struct client *client = self_client_new(getpid());
	int fd = new_memfd(PAGE_SIZE);
	u8 *shared = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	u8 *private = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
	struct memory_file *file = NULL, *again = NULL;
	struct why why = WHY_INIT;
	struct vma vma;

	assert_true(vma_find(client, (uintptr_t) private, &vma));
	ASSERT_OK(why, memory_file_behind(&files, client, &vma, &file, &why));
	assert_null(file);
	assert_true(vma_find(client, (uintptr_t)shared, &vma));
	ASSERT_OK(why, memory_file_behind(&files, client, &vma, &file, &why));
	assert_non_null(file);
	ASSERT_OK(why, memory_file_behind(&files, client, &vma, &again, &why));
	assert_ptr_equal(file, again);
	memory_file_put(file);
	memory_file_put(again);
	munmap(shared, PAGE_SIZE);
	munmap(private, PAGE_SIZE);
	close(fd);
	client_put(client);
}

/* A file of a disk is no memory: it is reached by process. */
TEST(memory_file, other_files_behind_mappings_are_left_alone)
{
	struct list files = LIST_INIT(files);
	struct client *client = self_client_new(getpid());
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	u8 *memory = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	struct memory_file *file = NULL;
	struct why why = WHY_INIT;
	struct vma vma;

	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_true(vma_find(client, (uintptr_t)memory, &vma));
	ASSERT_OK(why, memory_file_behind(&files, client, &vma, &file, &why));
	if (file)
		assert_true(file->fd >= 0); /* the tests lie on tmpfs */
	memory_file_put(file);
	assert_true(list_empty(&files));
	munmap(memory, PAGE_SIZE);
	close(fd);
	client_put(client);
}

/* Shared memory without a name or descriptor outlives its process, for those who may look. */
TEST(memory_file, anonymous_shared_memory_can_be_held)
{
	struct list files = LIST_INIT(files);
	struct client *client = self_client_new(getpid());
	u8 *memory = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct memory_file *file = NULL;
	struct file_window *window;
	struct why why = WHY_INIT;
	struct vma vma;
	u8 byte = 0;

	memory[3] = 'a';
	assert_true(vma_find(client, (uintptr_t)memory, &vma));
	ASSERT_OK(why, memory_file_behind(&files, client, &vma, &file, &why));
	munmap(memory, PAGE_SIZE);
	if (!file && geteuid() != 0)
		skip();
	assert_non_null(file);
	ASSERT_OK(why, file_window_get(file, PAGE_SIZE, &window, &why));
	assert_true(guard_copy(&byte, window->memory + 3, 1));
	assert_int_equal(byte, 'a');
	file_window_put(window);
	memory_file_put(file);
	client_put(client);
}

static int swept_fd;

static int map_a_window(struct why *why)
{
	struct list files = LIST_INIT(files);
	struct file_window *window = NULL;
	struct memory_file *file = NULL;
	int err = memory_file_get(&files, dup(swept_fd), &file, why);

	if (err == 0)
		err = file_window_get(file, PAGE_SIZE, &window, why);
	file_window_put(window);
	memory_file_put(file);
	assert_true(list_empty(&files));
	return err;
}

TEST(memory_file, each_step_may_fail)
{
	swept_fd = new_memfd(PAGE_SIZE);
	SWEEP_FAILURES(map_a_window);
	close(swept_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(memory_file, one_for_all_descriptors_of_a_file),
		CASE(memory_file, only_memory_that_is_there_can_be_pinned),
		CASE(memory_file, a_window_serves_all_that_is_within_it),
		CASE(memory_file, what_the_descriptor_allows_does_not_matter),
		CASE(memory_file, sealed_files_are_mapped_for_reading),
		CASE(memory_file, a_shared_mapping_has_a_file_behind_it),
		CASE(memory_file, other_files_behind_mappings_are_left_alone),
		CASE(memory_file, anonymous_shared_memory_can_be_held),
		CASE(memory_file, each_step_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
