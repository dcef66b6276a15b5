/* SPDX-License-Identifier: MIT */
/* The journal as an embedding program reads it. */
#include "isolde/isolde.h"

#include "tests/fixtures/told.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/journal.h"
#include "base/os.h"

struct fixture {
	struct isolde_machine *machine;
	struct isolde_why why;
	struct why expected;
	u64 cursor;
	struct isolde_journal_entry entry;
};

static void init(struct fixture *f)
{
	/* One function of two: the group is not viable, which is a remark. */
	static const char *const binds[] = {"vfio-pci=0000:02:00.0", NULL};
	struct isolde_machine_options options = {.size = sizeof(options), .binds = binds};

	*f = (struct fixture){.entry.size = sizeof(f->entry)};
	assert_int_equal(isolde_machine_new(&options, &f->machine, &f->why), 0);
	while (isolde_journal_next(f->machine, &f->cursor, &f->entry, &f->why) == 1)
		;
}

static void fini(struct fixture *f)
{
	isolde_machine_check(f->machine);
	isolde_machine_free(f->machine);
}

/* A refusal that names the number. */
static void be_refused(struct isolde_machine *machine, int number)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%d", number);
	assert_int_equal(isolde_open(machine, path, O_RDWR, NULL), -ENOENT);
}

static int next(struct fixture *f)
{
	return isolde_journal_next(f->machine, &f->cursor, &f->entry, &f->why);
}

TEST(api_journal, says_who_asked_what_when_and_why_not)
{
	u64 before = os_wall_clock_ns();
	struct isolde_why given;
	struct fixture f;
	u64 cursor;

	init(&f);
	cursor = f.cursor;
	assert_int_equal(isolde_open(f.machine, "/dev/vfio/1000", O_RDWR, &given), -ENOENT);
	assert_int_equal(next(&f), 1);
	assert_int_equal(f.why.err, 0);
	assert_int_equal(f.cursor, cursor + 1);
	assert_int_equal(f.entry.size, sizeof(f.entry));
	assert_int_equal(f.entry.serial, f.cursor);
	assert_int_equal(f.entry.lost, 0);
	assert_true(f.entry.time_ns >= before && f.entry.time_ns <= os_wall_clock_ns());
	assert_int_equal(f.entry.pid, getpid());
	assert_true(*f.entry.program);
	assert_string_equal(f.entry.request, "open /dev/vfio/1000");
	assert_int_equal(f.entry.why.err, ENOENT);
	assert_string_equal(f.entry.why.code, "NODE_MISSING");
	assert_string_equal(f.entry.why.text, given.text);
	assert_ptr_equal(f.entry.why.hint, given.hint);
	assert_ptr_equal(f.entry.why.site, given.site);
	fini(&f);
}

TEST(api_journal, nothing_newer_changes_nothing)
{
	struct isolde_journal_entry before;
	struct fixture f;
	u64 cursor;

	init(&f);
	memset(&f.entry, 0x55, sizeof(f.entry));
	f.entry.size = sizeof(f.entry);
	before = f.entry;
	cursor = f.cursor;
	assert_int_equal(next(&f), 0);
	assert_int_equal(f.cursor, cursor);
	assert_memory_equal(&f.entry, &before, sizeof(before));
	f.cursor = UINT64_MAX;
	assert_int_equal(next(&f), 0);
	assert_int_equal(f.cursor, UINT64_MAX);
	fini(&f);
}

/* A success that Linux keeps silent about. */
TEST(api_journal, has_remarks_too)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	char path[96], text[16];
	struct fixture f;
	int id = 0, fd;

	init(&f);
	do
		snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/devices/0000:02:00.0/vendor", id);
	while (isolde_attribute_read(f.machine, path, text, sizeof(text), NULL) < 0 && id++ < 64);
	snprintf(path, sizeof(path), "/dev/vfio/%d", id);
	fd = isolde_open(f.machine, path, O_RDWR, NULL);
	assert_true(fd >= 0);
	while (next(&f) == 1)
		;
	assert_int_equal(isolde_ioctl(f.machine, fd, VFIO_GROUP_GET_STATUS, &status, NULL), 0);
	assert_int_equal(next(&f), 1);
	assert_string_equal(f.entry.why.code, "GROUP_NOT_VIABLE");
	assert_int_equal(f.entry.why.err, EPERM);
	EXPECT_SUBSTR("0000:02:00.1", f.entry.why.text);
	isolde_close(f.machine, fd);
	fini(&f);
}

TEST(api_journal, says_how_many_were_overwritten)
{
	struct fixture f;
	u64 first;

	init(&f);
	first = f.cursor + 1;
	for (int i = 0; i < JOURNAL_ENTRIES + 44; i++)
		be_refused(f.machine, 1000 + i);
	assert_int_equal(next(&f), 1);
	assert_int_equal(f.entry.serial, first + 44);
	assert_int_equal(f.entry.lost, 44);
	assert_string_equal(f.entry.request, "open /dev/vfio/1044");
	for (int i = 45; i < JOURNAL_ENTRIES + 44; i++) {
		char request[64];

		snprintf(request, sizeof(request), "open /dev/vfio/%d", 1000 + i);
		assert_int_equal(next(&f), 1);
		assert_int_equal(f.entry.lost, 0);
		assert_string_equal(f.entry.request, request);
	}
	assert_int_equal(next(&f), 0);
	/* Another reader begins with the oldest. */
	f.cursor = 0;
	assert_int_equal(next(&f), 1);
	assert_int_equal(f.entry.serial, first + 44);
	assert_int_equal(f.entry.lost, first + 43);
	fini(&f);
}

TEST(api_journal, takes_entries_of_older_and_newer_headers)
{
	struct {
		struct isolde_journal_entry known;
		u64 of_the_future[2];
	} newer = {.known.size = sizeof(newer), .of_the_future = {1, 2}};
	struct fixture f;
	u64 cursor;

	init(&f);
	cursor = f.cursor;
	be_refused(f.machine, 1000);
	for (size_t size = 0; size < sizeof(f.entry); size += 8) {
		f.entry.size = size;
		EXPECT_REFUSED(OPTIONS_SIZE, f.expected, told_as(&f.expected, &f.why, next(&f)));
		assert_int_equal(f.cursor, cursor);
	}
	f.entry.size = PAGE_SIZE + 1;
	EXPECT_REFUSED(OPTIONS_SIZE, f.expected, told_as(&f.expected, &f.why, next(&f)));
	assert_int_equal(isolde_journal_next(f.machine, &f.cursor, &newer.known, NULL), 1);
	assert_int_equal(newer.known.size, sizeof(newer));
	assert_string_equal(newer.known.request, "open /dev/vfio/1000");
	assert_int_equal(newer.of_the_future[0], 0);
	assert_int_equal(newer.of_the_future[1], 0);
	fini(&f);
}

enum { WRITERS = 2, READERS = 2, EACH = 600 };

static struct shared {
	struct isolde_machine *machine;
	u64 first; /* the cursor before all of it */
	atomic_uint writing;
	atomic_ullong read, lost, wrong;
} * shared;

static void *write_journal(void *argument)
{
	for (int i = 0; i < EACH; i++)
		be_refused(shared->machine, 1000 + i);
	atomic_fetch_sub(&shared->writing, 1);
	return argument;
}

/* In a thread, which must not leave it. */
static void expect(bool holds)
{
	atomic_fetch_add(&shared->wrong, !holds);
}

static void read_some(struct isolde_journal_entry *entry, u64 *cursor)
{
	u64 before = *cursor;

	while (isolde_journal_next(shared->machine, cursor, entry, NULL) == 1) {
		int number;

		expect(entry->serial == before + 1 + entry->lost);
		expect(*cursor == entry->serial);
		/* Of one piece. */
		expect(sscanf(entry->request, "open /dev/vfio/%d", &number) == 1);
		expect(strstr(entry->why.text, entry->request + strlen("open ")));
		atomic_fetch_add(&shared->read, 1);
		atomic_fetch_add(&shared->lost, entry->lost);
		before = *cursor;
	}
}

static void *read_journal(void *argument)
{
	struct isolde_journal_entry entry = {.size = sizeof(entry)};
	u64 cursor = shared->first;
	bool more = true;

	while (more) {
		more = atomic_load(&shared->writing) > 0;
		read_some(&entry, &cursor);
	}
	return argument;
}

/* What was read and what was lost is what was written, for each reader. */
TEST(api_journal, any_thread_may_read)
{
	pthread_t threads[WRITERS + READERS];
	struct fixture f;

	init(&f);
	shared = &(struct shared){.machine = f.machine, .first = f.cursor, .writing = WRITERS};
	for (int i = 0; i < WRITERS + READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i < WRITERS ? write_journal : read_journal, NULL),
				 0);
	for (int i = 0; i < WRITERS + READERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(shared->wrong, 0);
	assert_int_equal(shared->read + shared->lost, READERS * WRITERS * EACH);
	assert_true(shared->read >= READERS);
	fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(api_journal, says_who_asked_what_when_and_why_not),
		CASE(api_journal, nothing_newer_changes_nothing),
		CASE(api_journal, has_remarks_too),
		CASE(api_journal, says_how_many_were_overwritten),
		CASE(api_journal, takes_entries_of_older_and_newer_headers),
		CASE(api_journal, any_thread_may_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
