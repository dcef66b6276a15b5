/* SPDX-License-Identifier: MIT */
#include "cli/run_options.h"

#include "tests/helpers.h"

#include <getopt.h>

#include "cli/verbs.h"

static int parse(struct run_request *ret, struct why *why, char *const *words)
{
	static char *argv[80]; /* the request points to it */
	int argc = 0;

	argv[argc++] = "run";
	for (; *words; words++)
		argv[argc++] = *words;
	argv[argc] = NULL;
	optind = 0;
	return run_options_parse(argc, argv, ret, why);
}

#define PARSE(...) parse(&request, &why, (char *const[]){__VA_ARGS__, NULL})

TEST(options, those_of_run_end_where_the_program_begins)
{
	struct run_request request;
	struct why why = WHY_INIT;

	ASSERT_OK(why, PARSE("--bind", "vfio-pci=0000:01:00.0", "-b", "vfio-pci=02:00.0", "--disk=01:00.0=x.img", "-q",
			     "ls", "-l", "--json"));
	assert_string_equal(request.machine, "default");
	assert_int_equal(request.nbinds, 2);
	assert_string_equal(request.binds[1], "vfio-pci=02:00.0");
	assert_int_equal(request.ndisks, 1);
	assert_string_equal(request.disks[0], "01:00.0=x.img");
	assert_true(request.quiet);
	assert_false(request.json);
	assert_false(request.selftest);
	assert_string_equal(request.argv[0], "ls");
	assert_string_equal(request.argv[2], "--json");
	assert_null(request.argv[3]);
}

TEST(options, two_dashes_end_them_too)
{
	struct run_request request;
	struct why why = WHY_INIT;

	ASSERT_OK(why, PARSE("--machine", "x.yaml", "--json", "--selftest", "--", "--quiet"));
	assert_true(request.selftest);
	assert_string_equal(request.machine, "x.yaml");
	assert_true(request.json);
	assert_false(request.quiet);
	assert_string_equal(request.argv[0], "--quiet");
}

TEST(options, help_needs_no_program)
{
	struct run_request request;
	struct why why = WHY_INIT;

	ASSERT_OK(why, PARSE("--help"));
	assert_true(request.help);
}

TEST(options, malformed_ones_are_refused_by_name)
{
	struct run_request request;
	struct why why = WHY_INIT;

	EXPECT_REFUSED(OPTION_INVALID, why, PARSE("--bnid", "x", "true"));
	EXPECT_SUBSTR("--bnid", why.text);
	EXPECT_REFUSED(OPTION_INVALID, why, PARSE("-q", "-x", "true"));
	EXPECT_SUBSTR("-x", why.text);
	EXPECT_REFUSED(OPTION_INVALID, why, PARSE("--disk"));
	EXPECT_SUBSTR("--disk needs a value", why.text);
	EXPECT_REFUSED(OPTION_INVALID, why, PARSE("--quiet"));
	EXPECT_SUBSTR("no program", why.text);
	EXPECT_REFUSED(BIND_MALFORMED, why, PARSE("--bind", "0000:01:00.0=vfio-pci", "true"));
	EXPECT_SUBSTR("0000:01:00.0=vfio-pci", why.text);
	EXPECT_REFUSED(BIND_MALFORMED, why, PARSE("--bind", "vfio-pci", "true"));
	EXPECT_REFUSED(BIND_MALFORMED, why, PARSE("--bind", "vfio-pci=0000:01:00.0 ", "true"));
	EXPECT_REFUSED(BIND_MALFORMED, why, PARSE("--bind", "=0000:01:00.0", "true"));
}

TEST(options, there_is_an_end_to_disks)
{
	char *words[RUN_ASSIGNMENTS + 3];
	struct run_request request;
	struct why why = WHY_INIT;

	for (int i = 0; i <= RUN_ASSIGNMENTS; i++)
		words[i] = "-d01:00.0=x";
	words[RUN_ASSIGNMENTS + 1] = "true";
	words[RUN_ASSIGNMENTS + 2] = NULL;
	EXPECT_REFUSED(OPTION_INVALID, why, parse(&request, &why, words));
	EXPECT_SUBSTR("--disk", why.text);
	ASSERT_OK(why, parse(&request, &why, words + 1));
	assert_int_equal(request.ndisks, RUN_ASSIGNMENTS);
}

TEST(options, a_slip_finds_the_word_that_was_meant)
{
	const char *const verbs[] = {"run", "explain", "why", "machine", "doctor", NULL};

	assert_string_equal(nearest_word("exlpain", verbs), "explain");
	assert_string_equal(nearest_word("rum", verbs), "run");
	assert_string_equal(nearest_word("doktor", verbs), "doctor");
	assert_null(nearest_word("frobnicate", verbs));
	assert_null(nearest_word("x", (const char *const[]){NULL}));
	assert_null(nearest_word("a-word-that-is-longer-than-all-of-those-that-anybody-would-type", verbs));
}

TEST(options, unknown_codes_and_verbs_are_refused_with_a_guess)
{
	const char *const verbs[] = {"run", "explain", NULL};
	struct why why = WHY_INIT;
	enum why_code code;

	ASSERT_OK(why, code_named("OPTION_INVALID", &code, &why));
	assert_int_equal(code, WHY_OPTION_INVALID);
	EXPECT_REFUSED(CODE_UNKNOWN, why, code_named("OPTION_INVALLID", &code, &why));
	EXPECT_SUBSTR("did you mean OPTION_INVALID?", why.text);
	EXPECT_REFUSED(CODE_UNKNOWN, why, code_named("", &code, &why));
	EXPECT_REFUSED(VERB_UNKNOWN, why, refuse_verb("rnu", verbs, &why));
	EXPECT_SUBSTR("\"run\"", why.text);
	EXPECT_REFUSED(VERB_UNKNOWN, why, refuse_verb("frobnicate", verbs, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(options, those_of_run_end_where_the_program_begins),
		CASE(options, two_dashes_end_them_too),
		CASE(options, help_needs_no_program),
		CASE(options, malformed_ones_are_refused_by_name),
		CASE(options, there_is_an_end_to_disks),
		CASE(options, a_slip_finds_the_word_that_was_meant),
		CASE(options, unknown_codes_and_verbs_are_refused_with_a_guess),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
