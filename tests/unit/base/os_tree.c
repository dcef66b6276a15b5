/* SPDX-License-Identifier: MIT */
/* Trees that somebody else made: no link is followed, nothing but folders and regular files is opened. */
#include "tests/helpers.h"

#include <errno.h>
#include <fcntl.h>

#include "base/os.h"
#include "tests/fixtures/sysfs_tree.h"

static struct sysfs_tree tree;
static int root;

static int setup(void **state)
{
	sysfs_tree_make(&tree);
	sysfs_tree_text(&tree, "a/b/file", "contents");
	sysfs_tree_link(&tree, "link", "a");
	sysfs_tree_link(&tree, "a/up", "..");
	sysfs_tree_fifo(&tree, "fifo");
	sysfs_tree_link(&tree, "zero", "/dev/zero");
	root = os_folder_root(tree.path);
	return root < 0;
}

static int teardown(void **state)
{
	os_close(root);
	sysfs_tree_remove(&tree);
	return 0;
}

TEST(os_tree, folders_are_found_downwards_and_never_through_links)
{
	int folder = os_folder_open(root, "a//b/");

	assert_true(folder >= 0);
	assert_true(os_folder_has(folder, "file"));
	assert_false(os_folder_has(folder, "other"));
	assert_int_equal(fcntl(folder, F_GETFD), FD_CLOEXEC);
	os_close(folder);
	assert_int_equal(os_folder_open(root, "link/b"), -ENOTDIR);
	assert_int_equal(os_folder_open(root, "a/up/a"), -ENOTDIR);
	assert_int_equal(os_folder_open(root, "a/../a"), -ELOOP);
	assert_int_equal(os_folder_open(root, "fifo"), -ENOTDIR);
	assert_int_equal(os_folder_open(root, "a/b/file"), -ENOTDIR);
	assert_int_equal(os_folder_open(root, "a/c"), -ENOENT);
	assert_int_equal(os_folder_root("/no/such/folder"), -ENOENT);
}

TEST(os_tree, names_longer_than_names_can_be_are_refused)
{
	char path[400];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(os_folder_open(root, path), -ENAMETOOLONG);
}

TEST(os_tree, only_regular_files_are_read_and_no_more_than_asked)
{
	int folder = os_folder_open(root, "a/b");
	char text[16] = "";

	assert_int_equal(os_folder_read(folder, "file", text, sizeof(text)), 8);
	assert_memory_equal(text, "contents", 8);
	assert_int_equal(os_folder_read(folder, "file", text, 3), 3);
	assert_int_equal(os_folder_read(folder, "other", text, sizeof(text)), -ENOENT);
	assert_int_equal(os_folder_read(root, "fifo", text, sizeof(text)), -EINVAL);
	assert_int_equal(os_folder_read(root, "zero", text, sizeof(text)), -EINVAL);
	assert_int_equal(os_folder_read(root, "a", text, sizeof(text)), -EINVAL);
	os_close(folder);
}

TEST(os_tree, links_are_text)
{
	char text[16];

	assert_int_equal(os_folder_link(root, "zero", text, sizeof(text)), 9);
	assert_string_equal(text, "/dev/zero");
	assert_int_equal(os_folder_link(root, "zero", text, 9), -ENAMETOOLONG);
	assert_int_equal(os_folder_link(root, "a", text, sizeof(text)), -EINVAL);
}

TEST(os_tree, lists_have_every_name)
{
	void *list = os_folder_list(root, "");
	unsigned count = 0;

	assert_non_null(list);
	while (os_folder_next(list))
		count++;
	os_folder_done(list);
	assert_int_equal(count, 4);
	assert_null(os_folder_list(root, "link"));
	os_folder_done(NULL);
}

TEST(os_tree, the_kernel_has_a_release)
{
	char text[OS_RELEASE_TEXT];
	unsigned major, minor;

	os_release(text);
	assert_int_equal(sscanf(text, "%u.%u", &major, &minor), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(os_tree, folders_are_found_downwards_and_never_through_links),
		CASE(os_tree, names_longer_than_names_can_be_are_refused),
		CASE(os_tree, only_regular_files_are_read_and_no_more_than_asked),
		CASE(os_tree, links_are_text),
		CASE(os_tree, lists_have_every_name),
		CASE(os_tree, the_kernel_has_a_release),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
