/* SPDX-License-Identifier: MIT */
#include "mem/kept.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/os.h"
#include "mem/guard.h"
#include "tests/helpers.h"

#define OFFSET	  (1ull << 40)
#define SIZE	  (4 * PAGE_SIZE)
#define FILE_SIZE (OFFSET + SIZE)

static const char owner, other;

static int new_file(void)
{
	struct why why = WHY_INIT;

	return (int)ASSERT_OK(why, os_memfd("kept", FILE_SIZE, &why));
}

static struct kept_map *map_file(const char *name, int fd)
{
	struct why why = WHY_INIT;
	struct kept_map *map = NULL;

	ASSERT_OK(why, kept_map_new(&owner, name, fd, OFFSET, SIZE, &map, &why));
	kept_expect(map, FILE_SIZE);
	return map;
}

static void cut(int fd, u64 size)
{
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
}

static u64 size_of(int fd)
{
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	return (u64)status.st_size;
}

static void expect_cut(const char *name)
{
	char told[KEPT_NAME];

	assert_true(kept_next_cut(&owner, told));
	assert_string_equal(told, name);
}

static void expect_no_cut(void)
{
	char told[KEPT_NAME];

	assert_false(kept_next_cut(&owner, told));
}

TEST(kept, a_file_that_is_cut_grows_back_at_the_next_access)
{
	int fd = new_file();
	struct kept_map *map = map_file("registers", fd);
	volatile u64 *memory = kept_memory(map);
	char told[KEPT_NAME];

	memory[3] = 1;
	memory[3 * PAGE_SIZE / 8] = 2;
	expect_no_cut();
	cut(fd, 0);
	expect_no_cut();
	assert_int_equal(memory[3], 0);
	assert_true(size_of(fd) == FILE_SIZE);
	memory[3] = 5;
	assert_int_equal(memory[3], 5);
	/* Not all of it. */
	cut(fd, OFFSET + PAGE_SIZE);
	memory[3 * PAGE_SIZE / 8] = 7;
	assert_int_equal(memory[3 * PAGE_SIZE / 8], 7);
	assert_int_equal(memory[3], 5);
	/* Told once, to whose it is. */
	assert_false(kept_next_cut(&other, told));
	expect_cut("registers");
	cut(fd, 0);
	assert_int_equal(memory[3], 0);
	expect_no_cut();
	kept_map_free(map);
	os_close(fd);
}

TEST(kept, guarded_accesses_find_it_too)
{
	int fd = new_file();
	struct kept_map *map = map_file("registers", fd);
	u64 bytes[2] = {1, 2};

	cut(fd, 0);
	assert_true(guard_copy(bytes, kept_memory(map), sizeof(bytes)));
	assert_int_equal(bytes[0] | bytes[1], 0);
	cut(fd, 0);
	assert_true(guard_copy(kept_memory(map), bytes, sizeof(bytes)));
	kept_map_free(map);
	expect_cut("registers");
	os_close(fd);
}

/* What was found out before it went is told all the same, and the place is free after that. */
TEST(kept, news_outlive_the_map)
{
	int fd = new_file();
	struct kept_map *first = map_file("first", fd), *second = map_file("second", fd);

	cut(fd, 0);
	*(volatile u8 *)kept_memory(first) = 1;
	cut(fd, 0);
	*(volatile u8 *)kept_memory(second) = 1;
	kept_map_free(first);
	kept_map_free(second);
	first = map_file("third", fd);
	assert_true(first != second);
	for (unsigned i = 0; i < 2; i++) {
		char told[KEPT_NAME];

		assert_true(kept_next_cut(&owner, told));
		assert_true(strcmp(told, "first") == 0 || strcmp(told, "second") == 0);
	}
	expect_no_cut();
	kept_map_free(first);
	assert_null(kept_memory(NULL));
	kept_map_free(NULL);
	kept_expect(NULL, 1);
	os_close(fd);
}

static void exit_with_42(int number)
{
	_exit(42);
}

static int status_of(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* A file that we have cut ourselves: whoever is at it then is wrong, and whoever handles signals hears of it. */
TEST(kept, what_is_not_expected_does_not_come_back)
{
	int fd = new_file();
	pid_t child = fork();

	if (child == 0) {
		struct kept_map *map;

		signal(SIGBUS, exit_with_42);
		map = map_file("registers", fd);
		kept_expect(map, 0);
		cut(fd, 0);
		*(volatile u8 *)kept_memory(map) = 1;
		_exit(1);
	}
	assert_int_equal(status_of(child), 42);
	os_close(fd);
}

/* Another's file in the embedding program. */
TEST(kept, other_faults_go_to_who_handled_them_before)
{
	int fd = new_file();
	pid_t child = fork();

	if (child == 0) {
		u8 *theirs = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		struct kept_map *map;

		signal(SIGBUS, exit_with_42);
		map = map_file("registers", fd);
		cut(fd, 0);
		*(volatile u8 *)kept_memory(map) = 1;
		*(volatile u8 *)theirs = 1;
		cut(fd, 0);
		*(volatile u8 *)theirs = 1;
		_exit(1);
	}
	assert_int_equal(status_of(child), 42);
	os_close(fd);
}

struct life {
	int fd, other;
	atomic_bool over;
	struct kept_map *map;
	atomic_ulong loads, lost;
	atomic_bool failed;
};

static void *load(void *argument)
{
	struct life *life = argument;
	u64 word;

	/* Guarded, because that is what ThreadSanitizer does not look at. */
	while (!atomic_load(&life->over))
		atomic_fetch_add(guard_load(kept_memory(life->map), &word) ? &life->loads : &life->lost, 1);
	return NULL;
}

static void *come_and_go(void *argument)
{
	struct life *life = argument;
	struct why why = WHY_INIT;

	while (!atomic_load(&life->over)) {
		struct kept_map *maps[2] = {NULL};

		for (unsigned i = 0; i < 2; i++) {
			if (kept_map_new(&owner, "some", life->other, OFFSET, SIZE, &maps[i], &why) == 0)
				kept_expect(maps[i], FILE_SIZE);
			else
				atomic_store(&life->failed, true);
		}
		kept_map_free(maps[0]);
		kept_map_free(maps[1]);
	}
	return NULL;
}

TEST(kept, threads_go_on_while_it_is_cut_and_others_come_and_go)
{
	struct life life = {.fd = new_file(), .other = new_file()};
	pthread_t threads[3];

	life.map = map_file("registers", life.fd);
	assert_int_equal(pthread_create(&threads[0], NULL, load, &life), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, load, &life), 0);
	assert_int_equal(pthread_create(&threads[2], NULL, come_and_go, &life), 0);
	for (unsigned i = 0; i < 600; i++) {
		cut(life.fd, 0);
		/* And back, as if nothing had been. */
		if (i % 3 == 0)
			cut(life.fd, FILE_SIZE);
		os_yield();
	}
	while (atomic_load(&life.loads) < 1000)
		os_yield();
	atomic_store(&life.over, true);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(life.lost, 0);
	assert_false(life.failed);
	assert_true(size_of(life.other) == FILE_SIZE);
	os_close(life.other);
	kept_map_free(life.map);
	expect_cut("registers");
	expect_no_cut();
	os_close(life.fd);
}

static int make_one(struct why *why)
{
	struct kept_map *map[3] = {NULL};
	int fd = os_memfd("kept", FILE_SIZE, why), err = fd < 0 ? fd : 0;

	for (unsigned i = 0; err == 0 && i < 3; i++)
		err = kept_map_new(&owner, "one", fd, OFFSET, SIZE, &map[i], why);
	for (unsigned i = 0; i < 3; i++)
		kept_map_free(map[i]);
	os_close(fd);
	return err;
}

TEST(kept, survives_every_failing_call)
{
	SWEEP_FAILURES(make_one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: later ones find places that are there. */
		CASE(kept, survives_every_failing_call),
		CASE(kept, a_file_that_is_cut_grows_back_at_the_next_access),
		CASE(kept, guarded_accesses_find_it_too),
		CASE(kept, news_outlive_the_map),
		CASE(kept, what_is_not_expected_does_not_come_back),
		CASE(kept, other_faults_go_to_who_handled_them_before),
		CASE(kept, threads_go_on_while_it_is_cut_and_others_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
