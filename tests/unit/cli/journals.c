/* SPDX-License-Identifier: MIT */
#include "cli/journals.h"

#include "tests/helpers.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
	char runtime[64], directory[96];
	char path[JOURNAL_PATH], latest[JOURNAL_PATH];
	struct why why;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->runtime, "/tmp/isolde-journals.XXXXXX");
	assert_non_null(mkdtemp(f->runtime));
	snprintf(f->directory, sizeof(f->directory), "%s/isolde", f->runtime);
	setenv("XDG_RUNTIME_DIR", f->runtime, 1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", f->runtime);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

#define TEST_F(name)                                                                                                   \
	static void journals_##name##_body(struct fixture *f);                                                         \
	static void journals_##name(void **state)                                                                      \
	{                                                                                                              \
		journals_##name##_body(*state);                                                                        \
	}                                                                                                              \
	static void journals_##name##_body(struct fixture *f)
#define CASE_F(name) cmocka_unit_test_setup_teardown(journals_##name, setup, teardown)

static void touch(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static unsigned count_files(const char *directory)
{
	DIR *stream = opendir(directory);
	unsigned count = 0;

	while (readdir(stream))
		count++;
	closedir(stream);
	return count - 2;
}

TEST_F(the_directory_is_made_for_us_alone)
{
	struct stat stat;

	ASSERT_OK(f->why, journals_new_path(f->path, &f->why));
	assert_int_equal(lstat(f->directory, &stat), 0);
	assert_int_equal(stat.st_mode & 07777, 0700);
	assert_memory_equal(f->path, f->directory, strlen(f->directory));
}

TEST_F(the_latest_run_is_found)
{
	EXPECT_REFUSED(JOURNAL_MISSING, f->why, journals_latest(f->latest, &f->why));
	ASSERT_OK(f->why, journals_new_path(f->path, &f->why));
	EXPECT_REFUSED(JOURNAL_MISSING, f->why, journals_latest(f->latest, &f->why));
	EXPECT_SUBSTR(f->directory, f->why.text);
	for (int i = 0; i < 3; i++) {
		ASSERT_OK(f->why, journals_new_path(f->path, &f->why));
		touch(f->path);
		ASSERT_OK(f->why, journals_latest(f->latest, &f->why));
		assert_string_equal(f->latest, f->path);
	}
}

TEST_F(only_the_latest_eight_stay)
{
	char other[128];

	ASSERT_OK(f->why, journals_new_path(f->path, &f->why));
	snprintf(other, sizeof(other), "%s/note", f->directory);
	touch(other);
	for (int i = 0; i < JOURNALS_KEPT + 3; i++) {
		ASSERT_OK(f->why, journals_new_path(f->path, &f->why));
		touch(f->path);
	}
	assert_int_equal(count_files(f->directory), JOURNALS_KEPT + 1);
	assert_int_equal(access(other, F_OK), 0);
}

TEST_F(what_others_could_write_is_refused)
{
	assert_int_equal(mkdir(f->directory, 0700), 0);
	assert_int_equal(chmod(f->directory, 0777), 0);
	EXPECT_REFUSED(RUNTIME_DIRECTORY, f->why, journals_new_path(f->path, &f->why));
	EXPECT_REFUSED(RUNTIME_DIRECTORY, f->why, journals_latest(f->latest, &f->why));
	EXPECT_SUBSTR("0777", f->why.text);
}

TEST_F(a_link_in_its_place_is_refused)
{
	assert_int_equal(symlink("/etc", f->directory), 0);
	EXPECT_REFUSED(RUNTIME_DIRECTORY, f->why, journals_new_path(f->path, &f->why));
	EXPECT_SUBSTR("no directory", f->why.text);
}

TEST_F(somebody_elses_is_refused)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(mkdir(f->directory, 0700), 0);
	assert_int_equal(chown(f->directory, 12345, 12345), 0);
	EXPECT_REFUSED(RUNTIME_DIRECTORY, f->why, journals_new_path(f->path, &f->why));
	EXPECT_SUBSTR("12345", f->why.text);
}

static void expect_the_usual_place(struct fixture *f)
{
	char usual[64];

	snprintf(usual, sizeof(usual), "/tmp/isolde-%u", getuid());
	ASSERT_OK(f->why, runtime_directory(f->path, &f->why));
	assert_string_equal(f->path, usual);
}

TEST_F(a_runtime_directory_that_is_not_there_is_passed_over)
{
	setenv("XDG_RUNTIME_DIR", "/tmp/isolde-no-such-directory", 1);
	expect_the_usual_place(f);
	setenv("XDG_RUNTIME_DIR", "run", 1);
	expect_the_usual_place(f);
}

/* What `su` leaves in the environment. */
TEST_F(a_runtime_directory_of_another_user_is_passed_over)
{
	if (geteuid() == 0)
		assert_int_equal(chown(f->runtime, 12345, 12345), 0);
	else
		setenv("XDG_RUNTIME_DIR", "/root", 1);
	expect_the_usual_place(f);
}

TEST_F(one_that_is_open_to_all_will_do)
{
	if (geteuid() == 0)
		assert_int_equal(chown(f->runtime, 12345, 12345), 0);
	assert_int_equal(chmod(f->runtime, 01777), 0);
	ASSERT_OK(f->why, runtime_directory(f->path, &f->why));
	assert_string_equal(f->path, f->directory);
}

/* Without the sticky bit anybody could put another directory in the place of ours. */
TEST_F(one_where_anybody_may_rename_is_passed_over)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(f->runtime, 12345, 12345), 0);
	assert_int_equal(chmod(f->runtime, 0777), 0);
	expect_the_usual_place(f);
}

TEST_F(what_cannot_be_made_is_the_hosts_refusal)
{
	setenv("XDG_RUNTIME_DIR", "/proc/self", 1);
	EXPECT_REFUSED(HOST_FAILED, f->why, journals_new_path(f->path, &f->why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_F(the_directory_is_made_for_us_alone),
		CASE_F(the_latest_run_is_found),
		CASE_F(only_the_latest_eight_stay),
		CASE_F(what_others_could_write_is_refused),
		CASE_F(a_link_in_its_place_is_refused),
		CASE_F(somebody_elses_is_refused),
		CASE_F(a_runtime_directory_that_is_not_there_is_passed_over),
		CASE_F(a_runtime_directory_of_another_user_is_passed_over),
		CASE_F(one_that_is_open_to_all_will_do),
		CASE_F(one_where_anybody_may_rename_is_passed_over),
		CASE_F(what_cannot_be_made_is_the_hosts_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
