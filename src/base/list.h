/* SPDX-License-Identifier: MIT */
/*
 * Intrusive, circular, doubly linked list. A link not in any list points at itself or is all zero; both are "unlinked".
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/bits.h"

struct list_link {
	struct list_link *next, *previous;
};

struct list {
	struct list_link head;
};

#define LIST_INIT(list)                                                                                                \
	{                                                                                                              \
		.head = {.next = &(list).head, .previous = &(list).head }                                              \
	}

static inline void list_init(struct list *list)
{
	list->head.next = list->head.previous = &list->head;
}

static inline bool list_empty(const struct list *list)
{
	return list->head.next == &list->head;
}

static inline bool list_linked(const struct list_link *link)
{
	return link->next && link->next != link;
}

static inline void list_insert_between(struct list_link *link, struct list_link *previous, struct list_link *next)
{
	assert(!list_linked(link));
	link->previous = previous;
	link->next = next;
	previous->next = link;
	next->previous = link;
}

static inline void list_append(struct list *list, struct list_link *link)
{
	list_insert_between(link, list->head.previous, &list->head);
}

static inline void list_prepend(struct list *list, struct list_link *link)
{
	list_insert_between(link, &list->head, list->head.next);
}

/* Legal for an unlinked link. */
static inline void list_remove(struct list_link *link)
{
	if (!list_linked(link))
		return;
	link->previous->next = link->next;
	link->next->previous = link->previous;
	link->next = link->previous = NULL;
}

static inline size_t list_length(const struct list *list)
{
	size_t n = 0;

	for (const struct list_link *link = list->head.next; link != &list->head; link = link->next)
		n++;
	return n;
}

#define list_entry(link, type, member) container_of(link, type, member)

#define list_first(list, type, member) (list_empty(list) ? NULL : list_entry((list)->head.next, type, member))

/* The body may not remove entry; list_for_each_safe allows it. */
#define list_for_each(entry, list, member)                                                                             \
	for ((entry) = list_entry((list)->head.next, __typeof__(*(entry)), member); &(entry)->member != &(list)->head; \
	     (entry) = list_entry((entry)->member.next, __typeof__(*(entry)), member))

#define list_for_each_safe(entry, following, list, member)                                                             \
	for ((entry) = list_entry((list)->head.next, __typeof__(*(entry)), member),                                    \
	    (following) = list_entry((entry)->member.next, __typeof__(*(entry)), member);                              \
	     &(entry)->member != &(list)->head;                                                                        \
	     (entry) = (following), (following) = list_entry((following)->member.next, __typeof__(*(entry)), member))

#endif
