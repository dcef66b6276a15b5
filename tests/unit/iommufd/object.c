/* SPDX-License-Identifier: MIT */
/* Ids, users, the end of a context, with objects of the test's own. */
#include "iommufd/object.h"

#include <errno.h>

#include "tests/fixtures/iommufd_room.h"

static unsigned freed[8];
static unsigned nfreed;

struct thing {
	struct object object;
	struct thing *needs; /* used */
};

static void thing_free(struct object *object)
{
	struct thing *thing = object_entry(object, struct thing, object);

	freed[nfreed++] = object->id;
	if (thing->needs)
		object_unuse(&thing->needs->object);
	object_fini(object);
	free(thing);
}

static void thing_describe(const struct object *object, char *text, size_t size)
{
	snprintf(text, size, " of the test");
}

static const struct object_class thing_class = {"thing", .free = thing_free, .describe = thing_describe};
static const struct object_class kept_class = {"kept thing", .kept = true, .free = thing_free};

static struct thing *thing_new(struct iommufd_room *self, const struct object_class *class, struct thing *needs)
{
	struct thing *thing = calloc(1, sizeof(*thing));

	ASSERT_OK(self->why, object_init(&thing->object, class, self->context, &self->why));
	thing->needs = needs;
	if (needs)
		object_use(&needs->object);
	object_publish(&thing->object);
	return thing;
}

static long destroy(struct iommufd_room *self, u32 id)
{
	struct iommu_destroy cmd = {sizeof(cmd), id};

	return iommufd_ask(self, IOMMU_DESTROY, &cmd);
}

IOMMUFD_TEST(object, ids_count_from_one_and_the_lowest_free_one_is_next)
{
	struct thing *first = thing_new(self, &thing_class, NULL), *second = thing_new(self, &thing_class, NULL);

	nfreed = 0;
	assert_int_equal(first->object.id, 1);
	assert_int_equal(second->object.id, 2);
	ASSERT_OK(self->why, destroy(self, 1));
	assert_int_equal(thing_new(self, &thing_class, NULL)->object.id, 1);
	assert_int_equal(thing_new(self, &thing_class, NULL)->object.id, 3);
}

IOMMUFD_TEST(object, what_is_used_stays)
{
	struct thing *first = thing_new(self, &thing_class, NULL), *second = thing_new(self, &thing_class, first);

	nfreed = 0;
	EXPECT_REFUSED(OBJECT_IN_USE, self->why, destroy(self, first->object.id));
	EXPECT_SUBSTR("thing 1 of the test has 1 user", self->why.text);
	ASSERT_OK(self->why, destroy(self, second->object.id));
	ASSERT_OK(self->why, destroy(self, 1));
	EXPECT_REFUSED(OBJECT_MISSING, self->why, destroy(self, 1));
	EXPECT_REFUSED(OBJECT_MISSING, self->why, destroy(self, 0));
	EXPECT_REFUSED(OBJECT_MISSING, self->why, destroy(self, UINT32_MAX));
}

IOMMUFD_TEST(object, a_drivers_object_is_not_the_programs_to_destroy)
{
	struct thing *thing = thing_new(self, &kept_class, NULL);

	nfreed = 0;
	EXPECT_REFUSED(OBJECT_KEPT, self->why, destroy(self, thing->object.id));
	EXPECT_SUBSTR("kept thing 1", self->why.text);
	thing_free(&thing->object);
}

IOMMUFD_TEST(object, nobody_finds_what_is_not_published_or_of_another_kind)
{
	struct thing *thing = calloc(1, sizeof(*thing));
	struct object *found = NULL;

	nfreed = 0;
	ASSERT_OK(self->why, object_init(&thing->object, &thing_class, self->context, &self->why));
	assert_true(context_has_objects(self->context));
	EXPECT_REFUSED(OBJECT_MISSING, self->why, object_find(self->context, 1, &thing_class, &found, &self->why));
	object_publish(&thing->object);
	ASSERT_OK(self->why, object_find(self->context, 1, &thing_class, &found, &self->why));
	assert_ptr_equal(found, &thing->object);
	EXPECT_REFUSED(OBJECT_MISSING, self->why, object_find(self->context, 1, &kept_class, &found, &self->why));
	EXPECT_SUBSTR("id 1 is no kept thing, but thing 1 of the test", self->why.text);
}

IOMMUFD_TEST(object, a_tombstone_is_never_an_id_again)
{
	struct thing *thing = thing_new(self, &thing_class, NULL);

	object_fini_tombstone(&thing->object);
	free(thing);
	assert_false(context_has_objects(self->context));
	EXPECT_REFUSED(OBJECT_MISSING, self->why, destroy(self, 1));
	nfreed = 0;
	assert_int_equal(thing_new(self, &thing_class, NULL)->object.id, 2);
}

IOMMUFD_TEST(object, a_context_ends_leaf_first_and_when_nothing_keeps_it)
{
	struct thing *root = thing_new(self, &thing_class, NULL), *stem = thing_new(self, &thing_class, root);

	thing_new(self, &thing_class, stem);
	nfreed = 0;
	context_get(self->context);
	self->file->ops->release(self->file);
	self->file = NULL;
	assert_int_equal(nfreed, 0);
	assert_int_equal(list_length(&self->iommufd.contexts), 1);
	context_put(self->context);
	assert_int_equal(nfreed, 3);
	assert_int_equal(freed[0], 3);
	assert_int_equal(freed[1], 2);
	assert_int_equal(freed[2], 1);
	assert_true(list_empty(&self->iommufd.contexts));
}

TEST(object, every_step_may_fail)
{
	struct iommufd_room *self = iommufd_room_new();

	for (unsigned n = 1; n < 100; n++) {
		struct object object = {};
		bool fired;
		int err;

		fail_nth_arm(n);
		err = object_init(&object, &thing_class, self->context, &self->why);
		fired = fail_nth_fired();
		fail_nth_arm(0);
		object_fini(&object);
		iommufd_check(&self->iommufd);
		if (!fired)
			break;
		assert_int_equal(err, -ENOMEM);
	}
	iommufd_room_free(self);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(object, ids_count_from_one_and_the_lowest_free_one_is_next),
		CASE(object, what_is_used_stays),
		CASE(object, a_drivers_object_is_not_the_programs_to_destroy),
		CASE(object, nobody_finds_what_is_not_published_or_of_another_kind),
		CASE(object, a_tombstone_is_never_an_id_again),
		CASE(object, a_context_ends_leaf_first_and_when_nothing_keeps_it),
		CASE(object, every_step_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
