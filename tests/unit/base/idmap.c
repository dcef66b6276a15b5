/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include "base/idmap.h"

static char objects[64];

static u32 reserve(struct idmap *map, u32 first)
{
	struct why why = WHY_INIT;
	u32 id = UINT32_MAX;

	ASSERT_OK(why, idmap_reserve(map, first, &id, &why));
	return id;
}

TEST(idmap, gives_the_lowest_free_id)
{
	struct idmap map = IDMAP_INIT;

	for (u32 i = 0; i < 40; i++)
		assert_int_equal(reserve(&map, 0), i);
	idmap_abandon(&map, 7);
	idmap_abandon(&map, 30);
	assert_int_equal(reserve(&map, 0), 7);
	assert_int_equal(reserve(&map, 0), 30);
	assert_int_equal(reserve(&map, 0), 40);
	idmap_fini(&map);
}

/* Against the plain way: from the first id on, one after the other. */
TEST(idmap, gives_the_lowest_free_id_whatever_came_before)
{
	struct idmap map = IDMAP_INIT;
	bool taken[64] = {};
	u32 random = 1;

	for (unsigned i = 0; i < 5000; i++) {
		u32 first = (random = random * 1664525 + 1013904223) >> 24 & 3, id = (random >> 16) % 64,
		    lowest = first;

		if (taken[id] && random & 0x100) {
			idmap_abandon(&map, id);
			taken[id] = false;
			continue;
		}
		while (lowest < 64 && taken[lowest])
			lowest++;
		if (lowest == 64)
			continue;
		assert_int_equal(reserve(&map, first), lowest);
		taken[lowest] = true;
	}
	idmap_fini(&map);
}

TEST(idmap, starts_at_the_first_id_asked_for)
{
	struct idmap map = IDMAP_INIT;

	assert_int_equal(reserve(&map, 1), 1);
	assert_int_equal(reserve(&map, 1000), 1000);
	assert_int_equal(reserve(&map, 0), 0);
	assert_int_equal(reserve(&map, 1000), 1001);
	idmap_fini(&map);
}

TEST(idmap, reserved_id_finds_nothing_until_it_is_published)
{
	struct idmap map = IDMAP_INIT;
	u32 id = reserve(&map, 3), next = 0;

	assert_null(idmap_find(&map, id));
	assert_null(idmap_next(&map, &next));
	idmap_publish(&map, id, &objects[0]);
	assert_ptr_equal(idmap_find(&map, id), &objects[0]);
	idmap_abandon(&map, id);
	assert_null(idmap_find(&map, id));
	idmap_fini(&map);
}

TEST(idmap, unknown_ids_find_nothing)
{
	struct idmap map = IDMAP_INIT;

	assert_null(idmap_find(&map, 0));
	reserve(&map, 0);
	assert_null(idmap_find(&map, 1));
	assert_null(idmap_find(&map, UINT32_MAX));
	idmap_fini(&map);
}

TEST(idmap, iteration_visits_published_objects_in_order)
{
	struct idmap map = IDMAP_INIT;
	u32 expected = 0;

	for (u32 i = 0; i < 64; i++) {
		assert_int_equal(reserve(&map, 0), i);
		if (i % 3 == 0)
			idmap_publish(&map, i, &objects[i]);
	}
	for (u32 id = 0; idmap_next(&map, &id); id++, expected += 3) {
		assert_int_equal(id, expected);
		assert_ptr_equal(idmap_find(&map, id), &objects[id]);
	}
	assert_int_equal(expected, 66);
	for (u32 id = 0; idmap_next(&map, &id); id++)
		idmap_abandon(&map, id);
	idmap_fini(&map);
}

TEST(idmap, limit_is_refused)
{
	struct idmap map = {.limit = 20};
	struct why why = WHY_INIT;
	u32 id = 77;

	for (u32 i = 0; i < 20; i++)
		assert_int_equal(reserve(&map, 0), i);
	EXPECT_REFUSED(IDS_EXHAUSTED, why, idmap_reserve(&map, 2, &id, &why));
	EXPECT_SUBSTR("2 to 19", why.text);
	assert_int_equal(id, 77);
	assert_int_equal(map.size, 20);
	EXPECT_REFUSED(IDS_EXHAUSTED, why, idmap_reserve(&map, 20, &id, &why));
	idmap_abandon(&map, 19);
	assert_int_equal(reserve(&map, 0), 19);
	idmap_fini(&map);
	assert_int_equal(map.limit, 20);
}

static int fill(struct why *why)
{
	struct idmap map = IDMAP_INIT;
	u32 id;
	int err = 0;

	for (u32 i = 0; i < 100 && !err; i++) {
		u32 before = map.size;

		err = idmap_reserve(&map, 0, &id, why);
		if (err)
			assert_int_equal(map.size, before);
		else
			assert_int_equal(id, i);
	}
	idmap_fini(&map);
	return err;
}

TEST(idmap, survives_every_failing_allocation)
{
	SWEEP_FAILURES(fill);
}

TEST(idmap, out_of_memory_is_refused)
{
	struct idmap map = IDMAP_INIT;
	struct why why = WHY_INIT;
	u32 id;

	fail_nth_arm(1);
	EXPECT_REFUSED(OUT_OF_MEMORY, why, idmap_reserve(&map, 0, &id, &why));
	fail_nth_arm(0);
	EXPECT_SUBSTR("16 slots", why.text);
	idmap_fini(&map);
}

TEST(idmap, misuse_asserts)
{
	struct idmap map = IDMAP_INIT;
	u32 id = reserve(&map, 0);

	EXPECT_ABORT(idmap_publish(&map, id + 1, &objects[0]));
	EXPECT_ABORT(idmap_publish(&map, id, NULL));
	EXPECT_ABORT(idmap_abandon(&map, id + 1));
	EXPECT_ABORT(idmap_abandon(&map, 1000));
	EXPECT_ABORT(idmap_publish(&map, id, &objects[0]); idmap_fini(&map));
	idmap_fini(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(idmap, gives_the_lowest_free_id),
		CASE(idmap, gives_the_lowest_free_id_whatever_came_before),
		CASE(idmap, starts_at_the_first_id_asked_for),
		CASE(idmap, reserved_id_finds_nothing_until_it_is_published),
		CASE(idmap, unknown_ids_find_nothing),
		CASE(idmap, iteration_visits_published_objects_in_order),
		CASE(idmap, limit_is_refused),
		CASE(idmap, survives_every_failing_allocation),
		CASE(idmap, out_of_memory_is_refused),
		CASE(idmap, misuse_asserts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
