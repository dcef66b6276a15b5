/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include <pthread.h>

#include "base/journal.h"
#include "base/os.h"

static void append(struct journal *journal, int number)
{
	struct why why = WHY_INIT;

	refuse(&why, OUT_OF_MEMORY, "no memory for object %d", number);
	journal_append(journal, number, "qemu-io", "VFIO_IOMMU_MAP_DMA", &why);
}

static int setup(void **state)
{
	struct why why;
	struct journal *journal = alloc_new(struct journal, &why);

	if (!journal)
		return -1;
	journal_init(journal);
	*state = journal;
	return 0;
}

static int teardown(void **state)
{
	journal_fini(*state);
	free(*state);
	return 0;
}

TEST(journal, is_empty_at_first)
{
	struct journal_entry entry;

	assert_int_equal(journal_last_serial(*state), 0);
	assert_false(journal_read(*state, 0, &entry));
	assert_false(journal_read(*state, 1, &entry));
}

TEST(journal, keeps_who_asked_what_and_why_not)
{
	u64 before = os_wall_clock_ns();
	struct journal_entry entry;

	append(*state, 42);
	assert_int_equal(journal_last_serial(*state), 1);
	assert_true(journal_read(*state, 1, &entry));
	assert_int_equal(entry.serial, 1);
	assert_int_equal(entry.pid, 42);
	assert_true(entry.time_ns >= before && entry.time_ns <= os_wall_clock_ns());
	assert_string_equal(entry.program, "qemu-io");
	assert_string_equal(entry.request, "VFIO_IOMMU_MAP_DMA");
	assert_int_equal(entry.why.code, WHY_OUT_OF_MEMORY);
	assert_string_equal(entry.why.text, "no memory for object 42");
}

TEST(journal, forgets_the_oldest_and_never_reuses_a_serial)
{
	struct journal_entry entry;

	for (int i = 1; i <= JOURNAL_ENTRIES + 3; i++)
		append(*state, i);
	assert_int_equal(journal_last_serial(*state), JOURNAL_ENTRIES + 3);
	for (u64 serial = 0; serial <= 3; serial++)
		assert_false(journal_read(*state, serial, &entry));
	for (int i = 4; i <= JOURNAL_ENTRIES + 3; i++) {
		assert_true(journal_read(*state, (u64)i, &entry));
		assert_int_equal(entry.pid, i);
	}
	assert_false(journal_read(*state, JOURNAL_ENTRIES + 4, &entry));
}

TEST(journal, cuts_long_names)
{
	struct why why = WHY_INIT;
	struct journal_entry entry;
	char long_name[200];

	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	refuse(&why, OUT_OF_MEMORY, "no memory for 1 byte");
	journal_append(*state, 1, long_name, long_name, &why);
	assert_true(journal_read(*state, 1, &entry));
	assert_int_equal(strlen(entry.program), sizeof(entry.program) - 1);
	assert_int_equal(strlen(entry.request), sizeof(entry.request) - 1);
}

TEST(journal, is_read_on_from_a_serial)
{
	struct journal_entry entry;
	u64 at = 0, read = 0;

	assert_false(journal_next(*state, 0, &entry));
	for (int i = 1; i <= JOURNAL_ENTRIES; i++)
		append(*state, i);
	assert_true(journal_next(*state, 0, &entry));
	assert_int_equal(entry.serial, 1);
	append(*state, JOURNAL_ENTRIES + 1);
	append(*state, JOURNAL_ENTRIES + 2);
	for (; journal_next(*state, at, &entry); at = entry.serial) {
		assert_int_equal(entry.serial, at ? at + 1 : 3);
		assert_int_equal(entry.pid, entry.serial);
		read++;
	}
	assert_int_equal(read, JOURNAL_ENTRIES);
	assert_int_equal(at, JOURNAL_ENTRIES + 2);
	assert_false(journal_next(*state, at + 1, &entry));
	assert_false(journal_next(*state, UINT64_MAX, &entry));
}

/* Reads the entry back, which deadlocks if the listener is called with the lock held. */
static void listen(void *context, const struct journal_entry *entry)
{
	struct journal *journal = context;
	struct journal_entry again;

	assert_true(journal_read(journal, entry->serial, &again));
	assert_int_equal(again.pid, entry->pid);
	assert_string_equal(again.why.text, entry->why.text);
	assert_int_equal(journal_last_serial(journal), entry->serial);
}

TEST(journal, listener_hears_each_entry_without_locks)
{
	struct journal *journal = *state;

	journal->listener = listen;
	journal->listener_context = journal;
	append(journal, 1);
	append(journal, 2);
	assert_int_equal(journal_last_serial(journal), 2);
}

static void *append_many(void *journal)
{
	for (int i = 0; i < 1000; i++)
		append(journal, i);
	return NULL;
}

TEST(journal, any_thread_may_append)
{
	pthread_t threads[3];
	struct journal_entry entry;

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, append_many, *state), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(journal_last_serial(*state), 3000);
	for (u64 serial = 3000; serial > 3000 - JOURNAL_ENTRIES; serial--) {
		assert_true(journal_read(*state, serial, &entry));
		assert_int_equal(entry.serial, serial);
	}
}

#define JOURNAL_CASE(name) cmocka_unit_test_setup_teardown(journal_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOURNAL_CASE(is_empty_at_first),
		JOURNAL_CASE(keeps_who_asked_what_and_why_not),
		JOURNAL_CASE(forgets_the_oldest_and_never_reuses_a_serial),
		JOURNAL_CASE(cuts_long_names),
		JOURNAL_CASE(is_read_on_from_a_serial),
		JOURNAL_CASE(listener_hears_each_entry_without_locks),
		JOURNAL_CASE(any_thread_may_append),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
