/* SPDX-License-Identifier: MIT */
#include "supervise/failnth.h"

#include "tests/helpers.h"

struct fixture {
	struct failures failures;
	struct file *file;
	struct why why;
};

#define SELF getpid()

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	failures_init(&f->failures);
	ASSERT_OK(f->why, failures_file(&f->failures, SELF, SELF, &f->file, &f->why));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->file->ops->release(f->file);
	failures_fini(&f->failures);
	free(f);
	return 0;
}

#define TEST_F(name)                                                                                                   \
	static void failnth_##name##_body(struct fixture *f);                                                          \
	static void failnth_##name(void **state)                                                                       \
	{                                                                                                              \
		failnth_##name##_body(*state);                                                                         \
	}                                                                                                              \
	static void failnth_##name##_body(struct fixture *f)
#define CASE_F(name) cmocka_unit_test_setup_teardown(failnth_##name, setup, teardown)

static s64 put(struct fixture *f, const char *text)
{
	return f->file->ops->write(f->file, 0, text, strlen(text), &f->why);
}

static const char *got(struct fixture *f)
{
	static char text[32];

	text[ASSERT_OK(f->why, f->file->ops->read(f->file, 0, text, sizeof(text) - 1, &f->why))] = '\0';
	return text;
}

/* How many of `steps` fallible steps succeed in a request of that thread. */
static unsigned request(struct fixture *f, pid_t thread, unsigned steps)
{
	unsigned good = 0;

	failures_enter(&f->failures, thread);
	while (steps--)
		good += fallible();
	failures_leave(&f->failures, thread);
	return good;
}

TEST_F(the_count_goes_on_over_requests)
{
	assert_string_equal(got(f), "0\n");
	ASSERT_OK(f->why, put(f, "5"));
	assert_int_equal(request(f, SELF, 3), 3);
	assert_string_equal(got(f), "2\n");
	assert_int_equal(request(f, SELF, 0), 0);
	assert_int_equal(request(f, SELF, 4), 3);
	assert_string_equal(got(f), "0\n");
	assert_int_equal(request(f, SELF, 100), 100);
}

TEST_F(it_is_that_threads_alone)
{
	ASSERT_OK(f->why, put(f, "1\n"));
	assert_int_equal(request(f, 1, 3), 3);
	assert_true(fallible());
	assert_int_equal(request(f, SELF, 3), 2);
}

TEST_F(zero_takes_it_back)
{
	ASSERT_OK(f->why, put(f, "1"));
	ASSERT_OK(f->why, put(f, "0"));
	assert_int_equal(request(f, SELF, 3), 3);
}

TEST_F(it_takes_numbers_only)
{
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, put(f, "x"));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, put(f, "-1"));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, put(f, "1 2"));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, put(f, ""));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, put(f, "99999999999"));
	EXPECT_REFUSED(ATTRIBUTE_VALUE, f->why, put(f, "0000000000000000000000001"));
	EXPECT_SUBSTR("fail-nth", f->why.text);
	assert_string_equal(got(f), "0\n");
	assert_int_equal(ASSERT_OK(f->why, put(f, "0x10\n")), 5);
	assert_string_equal(got(f), "16\n");
}

/* Numbers of threads are used again. */
TEST_F(who_has_ended_leaves_no_count)
{
	pid_t child = fork();
	struct file *file;

	if (child == 0)
		_exit(0);
	ASSERT_OK(f->why, failures_file(&f->failures, child, child, &file, &f->why));
	ASSERT_OK(f->why, file->ops->write(file, 0, "3", 1, &f->why));
	assert_int_equal(waitpid(child, NULL, 0), child);
	ASSERT_OK(f->why, put(f, "1"));
	assert_int_equal(request(f, child, 5), 5);
	file->ops->release(file);
}

TEST(failnth, rooms_without_it_count_nothing)
{
	fail_nth_arm(0);
	failures_enter(NULL, SELF);
	assert_true(fallible());
	failures_leave(NULL, SELF);
	assert_int_equal(COUNTED(NULL, SELF, 42), 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_F(the_count_goes_on_over_requests),
		CASE_F(it_is_that_threads_alone),
		CASE_F(zero_takes_it_back),
		CASE_F(it_takes_numbers_only),
		CASE_F(who_has_ended_leaves_no_count),
		CASE(failnth, rooms_without_it_count_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
