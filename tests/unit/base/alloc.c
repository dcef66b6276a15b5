/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

TEST(alloc, the_nth_step_fails_once)
{
	fail_nth_arm(2);
	assert_true(fallible());
	assert_false(fail_nth_fired());
	assert_false(fallible());
	assert_true(fail_nth_fired());
	assert_true(fallible());
	fail_nth_arm(0);
}

TEST(alloc, a_count_goes_on_where_it_was_left)
{
	unsigned left;

	fail_nth_arm(3);
	assert_true(fallible());
	left = fail_nth_left();
	assert_int_equal(left, 2);
	fail_nth_arm(0);
	assert_true(fallible() && fallible() && fallible());
	fail_nth_arm(left);
	assert_true(fallible());
	assert_false(fallible());
	assert_int_equal(fail_nth_left(), 0);
	fail_nth_arm(0);
}

TEST(alloc, a_failing_step_leaves_an_array_as_it_was)
{
	struct why why = WHY_INIT;
	int *array = NULL;
	size_t room = 0;

	fail_nth_arm(1);
	EXPECT_REFUSED(OUT_OF_MEMORY, why, alloc_grow((void **)&array, &room, 0, sizeof(*array), &why));
	assert_null(array);
	assert_int_equal(room, 0);
	ASSERT_OK(why, alloc_grow((void **)&array, &room, 0, sizeof(*array), &why));
	array[0] = 7;
	ASSERT_OK(why, alloc_grow((void **)&array, &room, room, sizeof(*array), &why));
	assert_int_equal(array[0], 7);
	free(array);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(alloc, the_nth_step_fails_once),
		CASE(alloc, a_count_goes_on_where_it_was_left),
		CASE(alloc, a_failing_step_leaves_an_array_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
