/* SPDX-License-Identifier: MIT */
#include "mem/word.h"

#include <pthread.h>
#include <sys/mman.h>

#include "mem/guard.h"
#include "mem/shared.h"
#include "tests/fixtures/holder.h"
#include "tests/fixtures/self_client.h"
#include "tests/helpers.h"

#define SIZE (2 * PAGE_SIZE)

/* A way to the words of some memory; the first one is 5. */
struct way {
	const char *name;
	struct client *client;
	pid_t child; /* 0: none */
	int fd;	     /* of the file, -1: there is none */
	u8 *memory;  /* as this process has it; in the child at the same place */
	struct extent extent;
};

static u8 *anonymous(void)
{
	u8 *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	memory[0] = 5;
	return memory;
}

static struct way own_memory(void)
{
	struct way way = {.name = "own", .client = self_client_new(getpid()), .fd = -1, .memory = anonymous()};

	guard_install();
	way.extent = (struct extent){.client = way.client, .address = (uintptr_t)way.memory};
	return way;
}

static struct way other_process(void)
{
	struct way way = {.name = "other", .fd = -1, .memory = anonymous()};

	way.child = fork_holder();
	way.client = self_client_new(way.child);
	way.extent = (struct extent){.client = way.client, .address = (uintptr_t)way.memory};
	return way;
}

static struct way shared_file(void)
{
	struct way way = {.name = "file", .fd = memfd_create("word", MFD_CLOEXEC)};

	assert_int_equal(ftruncate(way.fd, SIZE), 0);
	way.memory = shared_map_file(way.fd, 0, SIZE, true);
	assert_non_null(way.memory);
	way.memory[0] = 5;
	way.extent.direct = way.memory;
	return way;
}

static void way_fini(struct way *way)
{
	if (way->child) {
		kill(way->child, SIGKILL);
		waitpid(way->child, NULL, 0);
	}
	if (way->fd >= 0)
		close(way->fd);
	munmap(way->memory, SIZE);
	client_put(way->client);
}

/* The second page is no longer there. */
static void cut_off(struct way *way)
{
	if (way->fd >= 0)
		assert_int_equal(ftruncate(way->fd, PAGE_SIZE), 0);
	else if (!way->child)
		munmap(way->memory + PAGE_SIZE, PAGE_SIZE);
	else
		way->extent.address = 0; /* nobody has the first pages */
}

static struct way (*const ways[])(void) = {own_memory, other_process, shared_file};

static u64 load(const struct way *way, u64 offset)
{
	u64 word = ~0ull;

	if (!extent_load(&way->extent, offset, &word))
		fail_msg("%s: no word at 0x%llx", way->name, (unsigned long long)offset);
	return word;
}

static bool exchange(const struct way *way, u64 offset, u64 expected, u64 wanted)
{
	bool done = false;

	if (!extent_exchange(&way->extent, offset, expected, wanted, &done))
		fail_msg("%s: no word at 0x%llx", way->name, (unsigned long long)offset);
	return done;
}

TEST(word, is_changed_only_from_what_it_is)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct way way = ways[i]();

		way.extent.node.last = SIZE - 1;
		assert_int_equal(load(&way, 0), 5);
		assert_false(exchange(&way, 0, 6, 7));
		assert_int_equal(load(&way, 0), 5);
		assert_true(exchange(&way, 0, 5, 0x1234567890abcdef));
		assert_int_equal(load(&way, 0), 0x1234567890abcdef);
		assert_true(exchange(&way, 0, 0x1234567890abcdef, 0x1234567891abcdef));
		assert_int_equal(load(&way, 0), 0x1234567891abcdef);
		assert_true(exchange(&way, 0, 0x1234567891abcdef, 0x1234567891abcdef));
		assert_int_equal(load(&way, 8), 0);
		assert_true(exchange(&way, SIZE - 8, 0, BIT(63)));
		assert_int_equal(load(&way, SIZE - 8), BIT(63));
		way_fini(&way);
	}
}

TEST(word, what_has_gone_is_an_answer)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct way way = ways[i]();
		u64 word;
		bool done;

		way.extent.node.last = SIZE - 1;
		cut_off(&way);
		assert_false(extent_load(&way.extent, PAGE_SIZE, &word));
		assert_false(extent_exchange(&way.extent, PAGE_SIZE, 0, 1, &done));
		way_fini(&way);
	}
}

/* ---- while the program changes it, too ---- */

enum { ROUNDS = 100000 };

static void *count_up(void *word)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		__atomic_fetch_add((u64 *)word, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* Bits above are ours, the count below is the program's: neither loses anything. */
TEST(word, no_change_of_the_program_is_lost_where_we_have_the_memory)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i += 2) {
		struct way way = ways[i]();
		u64 ours = 0, word;
		pthread_t thread;

		way.extent.node.last = SIZE - 1;
		assert_int_equal(pthread_create(&thread, NULL, count_up, way.memory), 0);
		while (ours < ROUNDS / 10) {
			word = load(&way, 0);
			assert_int_equal(word >> 32, ours);
			if (exchange(&way, 0, word, word + BIT(32)))
				ours++;
		}
		pthread_join(thread, NULL);
		word = load(&way, 0);
		assert_int_equal(word & MASK(31, 0), ROUNDS + 5);
		assert_int_equal(word >> 32, ours);
		way_fini(&way);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: between two tests cmocka puts its own signal handlers in place of ours, which come once. */
		CASE(word, what_has_gone_is_an_answer),
		CASE(word, is_changed_only_from_what_it_is),
		CASE(word, no_change_of_the_program_is_lost_where_we_have_the_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
