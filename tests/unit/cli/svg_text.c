/* SPDX-License-Identifier: MIT */
#include "cli/svg_text.h"

#include "tests/helpers.h"

static void expect_written(const char *text, const char *expected)
{
	char *written = NULL;
	size_t size;
	FILE *to = open_memstream(&written, &size);

	assert_non_null(to);
	svg_text_write(text, to);
	fclose(to);
	assert_string_equal(written, expected);
	free(written);
}

#define BAD "\xef\xbf\xbd"

TEST(svg_text, markup_is_escaped)
{
	expect_written("a<b>&amp;c\"'", "a&lt;b&gt;&amp;amp;c\"'");
	expect_written("]]>", "]]&gt;");
}

TEST(svg_text, what_cannot_be_shown_is_replaced)
{
	expect_written("a\nb\x7f\x1b", "a" BAD "b" BAD BAD);
	expect_written("\xc2\x85|\xc2\xad", BAD "|" BAD);	  /* C1 control, soft hyphen */
	expect_written("\xe2\x80\xae|\xe4\xb8\xad", BAD "|" BAD); /* right-to-left override, a wide letter */
	expect_written("\xff|\x80|\xc0\x80", BAD "|" BAD "|" BAD BAD);
	expect_written("\xe0\x81\x81", BAD BAD BAD); /* overlong */
	expect_written("\xed\xa0\x80", BAD);	     /* surrogate */
	expect_written("\xe2\x80", BAD BAD);	     /* cut off */
	expect_written("\xf0\x9f\x98\x80", BAD);
}

TEST(svg_text, letters_of_europe_are_shown)
{
	expect_written("K\xc3\xb6ln \xce\xb1 \xd0\xb6 \xe2\x80\x93 \xe2\x84\xa2",
		       "K\xc3\xb6ln \xce\xb1 \xd0\xb6 \xe2\x80\x93 \xe2\x84\xa2");
}

TEST(svg_text, widths_grow_with_text_and_size)
{
	assert_int_equal(svg_text_width("", SVG_PLAIN, 11), 0);
	assert_int_equal(svg_text_width("00:01.0", SVG_MONO, 100), 7 * 61);
	assert_true(svg_text_width("WWW", SVG_PLAIN, 11) > svg_text_width("iii", SVG_PLAIN, 11));
	assert_true(svg_text_width("abc", SVG_BOLD, 11) > svg_text_width("abc", SVG_PLAIN, 11));
	assert_int_equal(svg_text_width("\xff", SVG_PLAIN, 100), svg_text_width("\xc3\xb6", SVG_PLAIN, 100));
}

TEST(svg_text, cut_text_fits_and_says_that_it_is_cut)
{
	static const char text[] = "NVMe: Samsung PM9A1 \xd0\xb6\xd0\xb6\xd0\xb6";
	char fit[64];

	for (unsigned width = 0; width < 300; width++) {
		svg_text_cut(text, SVG_PLAIN, 11, width, fit, sizeof(fit));
		assert_true(svg_text_width(fit, SVG_PLAIN, 11) <= width);
		if (strcmp(fit, text) != 0 && *fit)
			EXPECT_SUBSTR("\xe2\x80\xa6", fit);
		assert_null(strstr(fit, " \xe2\x80\xa6"));
	}
	assert_string_equal(fit, text);
}

TEST(svg_text, cut_text_fits_its_room)
{
	char fit[16];

	for (size_t room = 1; room <= sizeof(fit); room++) {
		memset(fit, 'x', sizeof(fit));
		svg_text_cut("\xd0\xb6\xd0\xb6\xd0\xb6\xd0\xb6\xd0\xb6\xd0\xb6\xd0\xb6", SVG_PLAIN, 11, 1000, fit,
			     room);
		assert_true(strnlen(fit, sizeof(fit)) < room);
	}
	assert_string_equal(fit, "\xd0\xb6\xd0\xb6\xd0\xb6\xd0\xb6\xd0\xb6\xd0\xb6\xd0\xb6");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(svg_text, markup_is_escaped),
		CASE(svg_text, what_cannot_be_shown_is_replaced),
		CASE(svg_text, letters_of_europe_are_shown),
		CASE(svg_text, widths_grow_with_text_and_size),
		CASE(svg_text, cut_text_fits_and_says_that_it_is_cut),
		CASE(svg_text, cut_text_fits_its_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
