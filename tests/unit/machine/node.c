/* SPDX-License-Identifier: MIT */
#include "machine/node.h"

#include "tests/helpers.h"

static const struct node_ops no_ops = {0};

/* a/b/c (attribute), a/link -> b, x/y/far -> a/b, dev/null */
static struct node *small_tree(struct why *why)
{
	struct node *root, *a, *b, *x, *y, *dev;

	if (node_root(&root, why) < 0)
		return NULL;
	if (node_directory(root, "a", &a, why) < 0 || node_directory(a, "b", &b, why) < 0 ||
	    node_attribute(b, "c", 0444, &no_ops, NULL, NULL, why) < 0 || node_link(a, "link", "b", why) < 0 ||
	    node_directory(root, "x", &x, why) < 0 || node_directory(x, "y", &y, why) < 0 ||
	    node_link_to(y, "far", b, why) < 0 || node_directory(root, "dev", &dev, why) < 0 ||
	    node_device(dev, "null", 0666, 259, why) < 0) {
		node_remove(root);
		return NULL;
	}
	return root;
}

TEST(node, paths_lead_to_nodes_and_back)
{
	struct why why = WHY_INIT;
	struct node *root = small_tree(&why);
	char path[64];

	assert_string_equal(node_path(node_at(root, "a/b/c"), path, sizeof(path)), "a/b/c");
	assert_string_equal(node_path(root, path, sizeof(path)), "");
	assert_ptr_equal(node_at(root, "/a//b/./c"), node_at(root, "a/b/../b/c"));
	assert_ptr_equal(node_at(root, ""), root);
	assert_ptr_equal(node_at(root, ".."), root);
	assert_null(node_at(root, "a/b/d"));
	assert_null(node_at(root, "a/b/c/d"));
	assert_null(node_at(root, "an-entry-with-a-name-that-is-longer-than-every-name-of-a-node"));
	node_remove(root);
}

TEST(node, links_are_relative_as_in_sysfs)
{
	struct why why = WHY_INIT;
	struct node *root = small_tree(&why);
	struct node *far = node_at(root, "x/y/far");

	assert_int_equal(far->kind, NODE_LINK);
	assert_string_equal(far->target, "../../a/b");
	ASSERT_OK(why, node_link_to(node_at(root, "a"), "here", node_at(root, "a/b"), &why));
	assert_string_equal(node_at(root, "a/here")->target, "b");
	ASSERT_OK(why, node_link_to(node_at(root, "a/b"), "up", node_at(root, "a"), &why));
	assert_string_equal(node_at(root, "a/b/up")->target, "../../a");
	assert_ptr_equal(node_walk(root, "a/b/up"), node_at(root, "a"));
	node_remove(root);
}

TEST(node, walk_follows_links_but_not_for_ever)
{
	struct why why = WHY_INIT;
	struct node *root = small_tree(&why);

	assert_ptr_equal(node_walk(root, "x/y/far/c"), node_at(root, "a/b/c"));
	assert_ptr_equal(node_walk(root, "a/link/c"), node_at(root, "a/b/c"));
	assert_null(node_at(root, "x/y/far/c"));
	ASSERT_OK(why, node_link(root, "loop", "loop", &why));
	assert_null(node_walk(root, "loop"));
	ASSERT_OK(why, node_link(root, "dangling", "nowhere/at/all", &why));
	assert_null(node_walk(root, "dangling"));
	node_remove(root);
}

TEST(node, withdrawn_nodes_are_not_found_and_come_back)
{
	struct why why = WHY_INIT;
	struct node *root = small_tree(&why);
	struct node *b = node_at(root, "a/b");

	node_withdraw(b);
	assert_null(node_at(root, "a/b"));
	assert_null(node_walk(root, "x/y/far"));
	node_check(root);
	node_publish(b);
	assert_ptr_equal(node_walk(root, "x/y/far"), b);
	node_check(root);
	node_withdraw(b);
	node_remove(b);
	node_remove(root);
}

TEST(node, every_inode_is_its_own)
{
	struct why why = WHY_INIT;
	struct node *root = small_tree(&why);
	struct node *c = node_at(root, "a/b/c");
	u64 inode = c->inode;

	node_remove(c);
	ASSERT_OK(why, node_attribute(node_at(root, "a/b"), "c", 0444, &no_ops, NULL, NULL, &why));
	assert_true(node_at(root, "a/b/c")->inode > inode);
	node_remove(root);
}

TEST(node, a_second_child_of_the_name_is_a_bug)
{
	struct why why = WHY_INIT;
	struct node *root = small_tree(&why), *second;

	EXPECT_ABORT(node_directory(root, "a", &second, &why));
	node_remove(root);
	node_remove(NULL);
}

static int build(struct why *why)
{
	struct node *root = small_tree(why);

	node_remove(root);
	return root ? 0 : -why->err;
}

TEST(node, every_allocation_may_fail)
{
	SWEEP_FAILURES(build);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(node, paths_lead_to_nodes_and_back),
		CASE(node, links_are_relative_as_in_sysfs),
		CASE(node, walk_follows_links_but_not_for_ever),
		CASE(node, withdrawn_nodes_are_not_found_and_come_back),
		CASE(node, every_inode_is_its_own),
		CASE(node, a_second_child_of_the_name_is_a_bug),
		CASE(node, every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
