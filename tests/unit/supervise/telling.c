/* SPDX-License-Identifier: MIT */
#include "supervise/telling.h"

#include "tests/helpers.h"

struct fixture {
	struct telling telling;
	struct describer *to;
};

static void setup(struct fixture *f)
{
	telling_init(&f->telling, 0);
	f->to = &f->telling.describer;
}

static void expect(struct fixture *f, const char *expected)
{
	char *text = telling_finish(&f->telling);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

TEST(telling, values_keep_their_order_and_kind)
{
	struct fixture f;

	setup(&f);
	describe_number(f.to, "z", 7);
	describe_flag(f.to, "a", true);
	describe_text(f.to, "none", NULL);
	describe_text(f.to, "text", "a \"quoted\" one");
	describe_address(f.to, "last", UINT64_MAX);
	describe_format(f.to, "made", "%d of %s", 3, "four");
	expect(&f,
	       "{\"z\":7,\"a\":true,\"none\":null,\"text\":\"a \\\"quoted\\\" one\",\"last\":\"0xffffffffffffffff\","
	       "\"made\":\"3 of four\"}");
}

TEST(telling, objects_and_arrays_nest)
{
	struct fixture f;

	setup(&f);
	describe_array(f.to, "list");
	describe_number(f.to, NULL, 1);
	describe_object(f.to, NULL);
	describe_text(f.to, "x", "y");
	describe_array(f.to, "empty");
	describe_end(f.to);
	describe_end(f.to);
	describe_end(f.to);
	describe_object(f.to, "after");
	describe_end(f.to);
	expect(&f, "{\"list\":[1,{\"x\":\"y\",\"empty\":[]}],\"after\":{}}");
}

/* A program names itself as it likes. */
TEST(telling, names_that_are_no_utf8_are_shown_all_the_same)
{
	struct fixture f;

	setup(&f);
	describe_text(f.to, "name", "caf\xe9\n");
	describe_text(f.to, "good", "caf\xc3\xa9");
	expect(&f, "{\"name\":\"caf??\",\"good\":\"caf\xc3\xa9\"}");
}

TEST(telling, numbers_beyond_json_stop_at_its_largest)
{
	struct fixture f;

	setup(&f);
	describe_number(f.to, "n", UINT64_MAX);
	expect(&f, "{\"n\":9223372036854775807}");
}

TEST(telling, what_nests_too_deep_is_not_told_in_half)
{
	struct fixture f;

	setup(&f);
	for (int i = 0; i < 2 * TELLING_DEPTH; i++)
		describe_object(f.to, "deeper");
	describe_number(f.to, "n", 1);
	for (int i = 0; i < 2 * TELLING_DEPTH; i++)
		describe_end(f.to);
	describe_number(f.to, "after", 1);
	assert_null(telling_finish(&f.telling));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(telling, values_keep_their_order_and_kind),
		CASE(telling, objects_and_arrays_nest),
		CASE(telling, names_that_are_no_utf8_are_shown_all_the_same),
		CASE(telling, numbers_beyond_json_stop_at_its_largest),
		CASE(telling, what_nests_too_deep_is_not_told_in_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
