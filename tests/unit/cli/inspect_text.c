/* SPDX-License-Identifier: MIT */
#include "cli/inspect_text.h"

#include "tests/helpers.h"

static void expect(const char *document, const char *expected)
{
	json_t *value = json_loads(document, 0, NULL);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(value);
	inspect_text(value, out);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
	json_decref(value);
}

TEST(inspect_text, a_line_says_what_there_is)
{
	expect("{\"id\":3,\"owner\":null,\"open\":true,\"busy\":false,\"owner_count\":0,\"name\":\"x y\"}",
	       "id 3, open, owner count 0, name x y\n");
}

TEST(inspect_text, what_nests_is_indented)
{
	expect("{\"groups\":[{\"id\":1,\"domain\":{\"kind\":\"paging\",\"pasids\":[]}},{\"id\":2}],\"words\":[\"a\",7],"
	       "\"of\":{}}",
	       "\n"
	       "  groups:\n"
	       "    id 1\n"
	       "      domain: kind paging\n"
	       "        pasids: none\n"
	       "    id 2\n"
	       "  words: a 7\n"
	       "  of: \n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(inspect_text, a_line_says_what_there_is),
		CASE(inspect_text, what_nests_is_indented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
