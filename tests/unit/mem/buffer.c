/* SPDX-License-Identifier: MIT */
#include "mem/buffer.h"

#include "tests/helpers.h"

static unsigned freed, told;

static void count_free(struct shared_buffer *buffer)
{
	freed++;
}

static void count_revoked(struct buffer_importer *importer)
{
	told++;
}

static const struct buffer_ops ops = {"test", count_free};

static void start(struct shared_buffer *buffer)
{
	static u8 memory[PAGE_SIZE];

	freed = told = 0;
	buffer_init(buffer, &ops, memory, sizeof(memory));
	buffer->importable = true;
}

TEST(buffer, importers_keep_it_beyond_its_descriptors)
{
	struct buffer_importer first = {.revoked = count_revoked}, second = first;
	struct shared_buffer buffer;
	struct why why = WHY_INIT;

	start(&buffer);
	assert_ptr_equal(buffer_of_file(&buffer.file), &buffer);
	ASSERT_OK(why, buffer_import(&buffer, &first, &why));
	ASSERT_OK(why, buffer_import(&buffer, &second, &why));
	buffer.file.ops->release(&buffer.file);
	buffer_let_go(&first);
	buffer_let_go(&first);
	assert_int_equal(freed, 0);
	buffer_let_go(&second);
	assert_int_equal(freed, 1);
}

TEST(buffer, who_imports_hears_that_it_was_taken_away)
{
	struct buffer_importer first = {.revoked = count_revoked}, second = first, third = first;
	struct shared_buffer buffer;
	struct why why = WHY_INIT;

	start(&buffer);
	ASSERT_OK(why, buffer_import(&buffer, &first, &why));
	ASSERT_OK(why, buffer_import(&buffer, &second, &why));
	buffer_revoke(&buffer, true);
	assert_int_equal(told, 2);
	EXPECT_REFUSED(BUFFER_REVOKED, why, buffer_import(&buffer, &third, &why));
	EXPECT_SUBSTR("test has taken back", why.text);
	buffer_revoke(&buffer, false);
	assert_int_equal(told, 2);
	ASSERT_OK(why, buffer_import(&buffer, &third, &why));
	buffer_let_go(&first);
	buffer_let_go(&second);
	buffer_let_go(&third);
	buffer.file.ops->release(&buffer.file);
	assert_int_equal(freed, 1);
}

TEST(buffer, some_kinds_are_not_for_iommus)
{
	struct buffer_importer importer = {.revoked = count_revoked};
	struct file other = {.ops = NULL};
	struct shared_buffer buffer;
	struct why why = WHY_INIT;

	start(&buffer);
	buffer.importable = false;
	EXPECT_REFUSED(BUFFER_KIND, why, buffer_import(&buffer, &importer, &why));
	EXPECT_REFUSED(IOCTL_UNKNOWN, why, buffer.file.ops->ioctl(&buffer.file, NULL, 1, 0, &why));
	assert_null(buffer_of_file(&other));
	assert_null(buffer_of_file(NULL));
	buffer_let_go(&importer);
	buffer.file.ops->release(&buffer.file);
	assert_int_equal(freed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(buffer, importers_keep_it_beyond_its_descriptors),
		CASE(buffer, who_imports_hears_that_it_was_taken_away),
		CASE(buffer, some_kinds_are_not_for_iommus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
