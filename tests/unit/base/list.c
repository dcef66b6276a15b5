/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include "base/list.h"

struct item {
	int number;
	struct list_link link;
};

static struct item *item(struct item *items, int number)
{
	items[number] = (struct item){.number = number};
	return &items[number];
}

/* The list holds exactly these numbers, whichever way one goes. */
static void expect(struct list *list, const int *numbers, size_t count)
{
	struct list_link *link = &list->head;
	struct item *entry;
	size_t i = 0;

	assert_int_equal(list_length(list), count);
	assert_int_equal(list_empty(list), count == 0);
	list_for_each(entry, list, link)
		assert_int_equal(entry->number, numbers[i++]);
	assert_int_equal(i, count);
	while (i--) {
		link = link->previous;
		assert_int_equal(list_entry(link, struct item, link)->number, numbers[i]);
	}
	assert_ptr_equal(link->previous, &list->head);
}

TEST(list, keeps_the_order_of_append_and_prepend)
{
	struct list list = LIST_INIT(list);
	struct item items[4];

	expect(&list, NULL, 0);
	assert_null(list_first(&list, struct item, link));
	list_append(&list, &item(items, 1)->link);
	list_append(&list, &item(items, 2)->link);
	list_prepend(&list, &item(items, 0)->link);
	list_append(&list, &item(items, 3)->link);
	expect(&list, (int[]){0, 1, 2, 3}, 4);
	assert_ptr_equal(list_first(&list, struct item, link), &items[0]);
}

TEST(list, removal_is_legal_for_an_unlinked_link)
{
	struct list list = LIST_INIT(list);
	struct list_link to_itself = {.next = &to_itself, .previous = &to_itself};
	struct item items[3];

	for (int i = 0; i < 3; i++)
		list_append(&list, &item(items, i)->link);
	assert_true(list_linked(&items[1].link));
	list_remove(&items[1].link);
	assert_false(list_linked(&items[1].link));
	list_remove(&items[1].link);
	list_remove(&to_itself);
	expect(&list, (int[]){0, 2}, 2);
	list_append(&list, &items[1].link);
	expect(&list, (int[]){0, 2, 1}, 3);
}

TEST(list, safe_iteration_allows_removal)
{
	struct list list;
	struct item items[6], *entry, *following;

	list_init(&list);
	for (int i = 0; i < 6; i++)
		list_append(&list, &item(items, i)->link);
	list_for_each_safe(entry, following, &list, link)
		if (entry->number % 2 == 0)
			list_remove(&entry->link);
	expect(&list, (int[]){1, 3, 5}, 3);
	list_for_each_safe(entry, following, &list, link)
		list_remove(&entry->link);
	expect(&list, NULL, 0);
}

TEST(list, double_insertion_asserts)
{
	struct list list = LIST_INIT(list);
	struct item items[2];

	list_append(&list, &item(items, 0)->link);
	list_append(&list, &item(items, 1)->link);
	EXPECT_ABORT(list_append(&list, &items[0].link));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(list, keeps_the_order_of_append_and_prepend),
		CASE(list, removal_is_legal_for_an_unlinked_link),
		CASE(list, safe_iteration_allows_removal),
		CASE(list, double_insertion_asserts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
