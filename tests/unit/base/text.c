/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include "base/text.h"

static void expect(const char *from, const char *to)
{
	char text[64];

	snprintf(text, sizeof(text), "%s", from);
	assert_string_equal(text_clean(text), to);
	assert_string_equal(text_clean(text), to);
}

TEST(text, what_can_be_shown_stays)
{
	expect("", "");
	expect("Intel Corporation 8th Gen ~", "Intel Corporation 8th Gen ~");
	expect("Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7 \xf4\x8f\xbf\xbd",
	       "Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7 \xf4\x8f\xbf\xbd");
}

TEST(text, control_characters_do_not)
{
	expect("a\033[2Jb\nc\td\x7f", "a?[2Jb?c?d?");
	expect("\xc2\x9b"
	       "1m",
	       "??1m");
}

TEST(text, nor_does_what_is_no_utf8)
{
	expect("\x80", "?");
	expect("caf\xe9 x", "caf? x");
	expect("\xc0\xaf", "??");
	expect("\xe0\x80\xaf", "???");
	expect("\xed\xa0\x80", "???");
	expect("\xf4\x90\x80\x80", "????");
	expect("\xff\xfe", "??");
	expect("\xef\xbf\xbf", "???");
	expect("cut \xe2\x82", "cut ??");
}

TEST(text, every_pair_of_bytes_ends_clean)
{
	for (unsigned a = 1; a < 256; a++)
		for (unsigned b = 1; b < 256; b++) {
			char text[] = {(char)a, (char)b, 0}, again[3];

			memcpy(again, text_clean(text), sizeof(again));
			assert_string_equal(text_clean(again), text);
			assert_true((u8)text[0] >= 0x20 && (u8)text[0] != 0x7f);
		}
}

TEST(text, a_uuid_is_read_in_the_order_of_its_text)
{
	static const u8 value[UUID_SIZE] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
					    0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};
	static const char good[] = "01234567-89ab-CDEF-fedc-BA9876543210";
	u8 read[UUID_SIZE];

	assert_true(text_uuid(good, read));
	assert_memory_equal(read, value, sizeof(value));
	assert_true(text_uuid("01234567-89ab-cdef-fedc-ba9876543210 and more", read));
	assert_memory_equal(read, value, sizeof(value));
	for (unsigned i = 0; i < UUID_LENGTH; i++) {
		char bad[sizeof(good)];

		memcpy(bad, good, sizeof(bad));
		bad[i] = 'g';
		assert_false(text_uuid(bad, read));
		bad[i] = '\0';
		assert_false(text_uuid(bad, read));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(text, a_uuid_is_read_in_the_order_of_its_text),
		CASE(text, what_can_be_shown_stays),
		CASE(text, control_characters_do_not),
		CASE(text, nor_does_what_is_no_utf8),
		CASE(text, every_pair_of_bytes_ends_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
