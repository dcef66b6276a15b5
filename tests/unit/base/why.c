/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include <errno.h>

TEST(why, refusal_carries_code_errno_and_text)
{
	struct why why = WHY_INIT;

	assert_int_equal(refuse(&why, OUT_OF_MEMORY, "no memory for %d bytes", 12), -ENOMEM);
	assert_int_equal(why.code, WHY_OUT_OF_MEMORY);
	assert_int_equal(why.err, ENOMEM);
	assert_string_equal(why.text, "no memory for 12 bytes");
	assert_string_equal(why.func, __func__);
}

TEST(why, host_failure_says_what_the_host_said)
{
	struct why why = WHY_INIT;

	EXPECT_REFUSED(HOST_FAILED, why, refuse_host(&why, ENOENT, "open(%s)", "/dev/fuse"));
	assert_int_equal(why.err, ENOENT);
	assert_string_equal(why.text, "open(/dev/fuse): No such file or directory");
}

TEST(why, context_goes_in_front_and_keeps_the_code)
{
	struct why why = WHY_INIT;

	refuse(&why, OUT_OF_MEMORY, "no memory");
	assert_int_equal(why_context(&why, "binding %s", "0000:01:00.0"), -ENOMEM);
	assert_string_equal(why.text, "binding 0000:01:00.0: no memory");
	assert_int_equal(why.code, WHY_OUT_OF_MEMORY);
}

TEST(why, long_texts_are_cut_not_overrun)
{
	struct why why = WHY_INIT;
	char long_name[500];

	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	refuse_host(&why, ENOENT, "open(%s)", long_name);
	why_context(&why, "%s", long_name);
	assert_int_equal(strlen(why.text), sizeof(why.text) - 1);
}

TEST(why, every_code_has_a_name_an_errno_and_a_hint)
{
	for (unsigned code = WHY_NONE + 1; code < WHY_CODES; code++) {
		assert_true(strlen(why_code_name(code)) > 3);
		assert_true(strlen(why_code_name(code)) < 32);
		assert_true(strlen(why_code_hint(code)) > 8);
		assert_true(strlen(why_code_site(code)) > 3);
		assert_true(why_code_errno(code) > 0);
		assert_int_equal(why_code_from_name(why_code_name(code)), code);
	}
	assert_int_equal(why_code_from_name("NO_SUCH_CODE"), WHY_NONE);
}

TEST(why, fail_nth_refuses_the_nth_allocation)
{
	struct why why = WHY_INIT;
	void *first, *second;

	fail_nth_arm(2);
	first = alloc_zero(8, &why);
	assert_non_null(first);
	second = alloc_zero(8, &why);
	assert_null(second);
	assert_true(fail_nth_fired());
	assert_int_equal(why.code, WHY_OUT_OF_MEMORY);
	fail_nth_arm(0);
	free(first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(why, refusal_carries_code_errno_and_text),	      CASE(why, host_failure_says_what_the_host_said),
		CASE(why, context_goes_in_front_and_keeps_the_code),  CASE(why, long_texts_are_cut_not_overrun),
		CASE(why, every_code_has_a_name_an_errno_and_a_hint), CASE(why, fail_nth_refuses_the_nth_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
