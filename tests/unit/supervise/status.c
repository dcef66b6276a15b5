/* SPDX-License-Identifier: MIT */
#include "supervise/status.h"

#include "tests/fixtures/self_client.h"
#include "tests/helpers.h"

#include <fcntl.h>

static const char host[] =
	"Name:\tprog\nVmPeak:\t    3096 kB\nVmLck:\t      12 kB\nVmPin:\t       0 kB\nVmHWM:\t     900 kB\n";

static const char *with(const char *text, u64 pinned, u64 locked)
{
	static char changed[STATUS_TEXT];
	size_t length;

	snprintf(changed, sizeof(changed), "%s", text);
	length = status_add(changed, pinned, locked);
	assert_int_equal(length, strlen(changed));
	return changed;
}

TEST(status, both_numbers_grow_and_nothing_else_changes)
{
	assert_string_equal(with(host, 0, 0), host);
	assert_string_equal(
		with(host, 4096, 0),
		"Name:\tprog\nVmPeak:\t    3096 kB\nVmLck:\t      12 kB\nVmPin:\t       4 kB\nVmHWM:\t     900 kB\n");
	assert_string_equal(
		with(host, 8192, 1 << 20),
		"Name:\tprog\nVmPeak:\t    3096 kB\nVmLck:\t    1036 kB\nVmPin:\t       8 kB\nVmHWM:\t     900 kB\n");
	/* Wider than its column, as the kernel prints it. */
	assert_string_equal(with(host, 1ull << 50, 0), "Name:\tprog\nVmPeak:\t    3096 kB\nVmLck:\t      12 "
						       "kB\nVmPin:\t1099511627776 kB\nVmHWM:\t     900 kB\n");
}

TEST(status, a_process_without_memory_has_no_such_lines)
{
	assert_string_equal(with("Name:\tVmPin:\nState:\tZ (zombie)\n", 4096, 4096),
			    "Name:\tVmPin:\nState:\tZ (zombie)\n");
}

TEST(status, a_text_that_is_full_stays_as_it_is)
{
	static char full[STATUS_TEXT];

	snprintf(full, sizeof(full), "\nVmPin:\t0 kB\n%*s", (int)(STATUS_TEXT - 1 - strlen("\nVmPin:\t0 kB\n")), "x");
	assert_int_equal(status_add(full, 4096, 0), STATUS_TEXT - 1);
}

static size_t read_all(struct file *file, char *text, size_t piece)
{
	struct why why;
	size_t used = 0;
	s64 got;

	while ((got = ASSERT_OK(why, file->ops->read(file, used, text + used, piece, &why))) > 0)
		used += (size_t)got;
	text[used] = '\0';
	return used;
}

/* As stdio reads: in pieces, between which the text may not change. */
TEST(status, the_text_is_made_when_reading_begins)
{
	char first[STATUS_TEXT + 64], again[STATUS_TEXT + 64], path[32];
	struct client *client = self_client_new(getpid());
	struct why why = WHY_INIT;
	struct file *file;

	snprintf(path, sizeof(path), "/proc/%d/status", getpid());
	ASSERT_OK(why, status_file(client, path, &file, &why));
	client->pinned_bytes = 4 << 10;
	ASSERT_OK(why, file->ops->read(file, 0, first, 64, &why));
	client->pinned_bytes = 8 << 10;
	first[ASSERT_OK(why, file->ops->read(file, 64, first, STATUS_TEXT, &why))] = '\0';
	EXPECT_SUBSTR("\nVmPin:\t       4 kB\n", first);
	read_all(file, again, 100);
	EXPECT_SUBSTR("\nVmPin:\t       8 kB\n", again);
	EXPECT_SUBSTR("\nVmLck:\t", again);
	/* Another program has taken the process over: its memory is not pinned. */
	atomic_store(&client->gone, true);
	read_all(file, again, 100);
	EXPECT_SUBSTR("\nVmPin:\t       0 kB\n", again);
	client->pinned_bytes = 0;
	client_put(client);
	file->ops->release(file);
}

TEST(status, of_a_process_that_has_ended_is_refused)
{
	struct client *client = self_client_new(getpid());
	struct why why = WHY_INIT;
	char path[32], text[64];
	struct file *file;
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	snprintf(path, sizeof(path), "/proc/%d/status", child);
	ASSERT_OK(why, status_file(client, path, &file, &why));
	EXPECT_REFUSED(PROCESS_GONE, why, file->ops->read(file, 0, text, sizeof(text), &why));
	EXPECT_SUBSTR(path, why.text);
	client_put(client);
	file->ops->release(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(status, both_numbers_grow_and_nothing_else_changes),
		CASE(status, a_process_without_memory_has_no_such_lines),
		CASE(status, a_text_that_is_full_stays_as_it_is),
		CASE(status, the_text_is_made_when_reading_begins),
		CASE(status, of_a_process_that_has_ended_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
