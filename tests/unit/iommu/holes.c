/* SPDX-License-Identifier: MIT */
/* The index of holes against a sorted array. */
#include "iommu/holes.h"

#include "tests/helpers.h"

#define AREAS 200

struct set {
	struct iommu iommu;
	struct space space;
	struct extent extent; /* behind all areas: nobody looks */
	struct area areas[AREAS];
	u64 random;
};

static u64 next_random(struct set *set)
{
	set->random ^= set->random << 13;
	set->random ^= set->random >> 7;
	set->random ^= set->random << 17;
	return set->random;
}

static void set_init(struct set *set, u64 seed)
{
	memset(set, 0, sizeof(*set));
	list_init(&set->iommu.identities);
	space_init(&set->space, &set->iommu);
	space_index_holes(&set->space);
	set->extent.node.last = UINT64_MAX - 1;
	set->random = seed * 0x9e3779b97f4a7c15 + 1;
}

static void set_fini(struct set *set)
{
	for (unsigned i = 0; i < AREAS; i++)
		if (itree_linked(&set->areas[i].node))
			space_remove(&set->space, &set->areas[i]);
	space_fini(&set->space);
}

static void put(struct set *set, unsigned i, u64 start, u64 last)
{
	set->areas[i].node.start = start;
	set->areas[i].node.last = last;
	set->areas[i].extent = &set->extent;
	space_insert(&set->space, &set->areas[i]);
}

/* As the index should answer, by looking at each hole in turn. */
static bool look(const struct set *set, u64 from, u64 size, u64 *ret_start, u64 *ret_last)
{
	for (u64 at = from;;) {
		const struct itree_node *taken = NULL, *above = NULL;

		for (unsigned i = 0; i < AREAS; i++) {
			const struct itree_node *node = &set->areas[i].node;

			if (!itree_linked(node))
				continue;
			if (node->start <= at && node->last >= at)
				taken = node;
			else if (node->start > at && (!above || node->start < above->start))
				above = node;
		}
		if (taken) {
			if (taken->last == UINT64_MAX)
				return false;
			at = taken->last + 1;
			continue;
		}
		*ret_start = at;
		*ret_last = above ? above->start - 1 : UINT64_MAX;
		if (*ret_last - at >= size - 1)
			return true;
		if (!above)
			return false;
		at = above->start;
	}
}

static void compare(struct set *set, u64 from, u64 size)
{
	u64 start = 0, last = 0, wanted_start = 0, wanted_last = 0;
	bool found = space_next_hole(&set->space, from, size, &start, &last);

	assert_int_equal(found, look(set, from, size, &wanted_start, &wanted_last));
	if (!found)
		return;
	assert_true(start == wanted_start);
	assert_true(last == wanted_last);
}

/* Numbers of all magnitudes, or small ones so that neighbours touch and holes have the same size. */
static u64 draw(struct set *set, bool crowded)
{
	u64 value = next_random(set);

	return crowded ? value % 1000 : value >> (value & 63);
}

static void live(u64 seed, bool crowded, u64 base)
{
	struct set set;

	set_init(&set, seed);
	for (unsigned step = 0; step < 3000; step++) {
		unsigned i = (unsigned)(next_random(&set) % AREAS);
		u64 start = base + draw(&set, crowded), last = start + draw(&set, crowded) / 16;

		if (itree_linked(&set.areas[i].node))
			space_remove(&set.space, &set.areas[i]);
		else if (start <= last && start >= base && !itree_first(&set.space.areas, start, last) &&
			 last - start < UINT64_MAX - 1)
			put(&set, i, start, last);
		itree_check(&set.space.areas);
		holes_check(&set.space.areas);
		compare(&set, base + draw(&set, crowded), 1 + draw(&set, crowded) / 8);
		compare(&set, 0, 1 + draw(&set, crowded) / 8);
	}
	set_fini(&set);
}

TEST(holes, agree_with_looking_at_each)
{
	for (u64 seed = 1; seed <= 6; seed++)
		live(seed, false, 0);
}

TEST(holes, agree_where_areas_are_close)
{
	for (u64 seed = 1; seed <= 6; seed++)
		live(seed, true, seed % 2 ? 0 : 0x12345678);
}

TEST(holes, agree_at_the_top_of_the_64_bit_space)
{
	for (u64 seed = 1; seed <= 6; seed++)
		live(seed, true, UINT64_MAX - 999);
}

TEST(holes, the_whole_space_is_one_hole_or_none)
{
	u64 start = 1, last = 0;
	struct set set;

	set_init(&set, 1);
	assert_true(space_next_hole(&set.space, 0, UINT64_MAX, &start, &last));
	assert_true(start == 0 && last == UINT64_MAX);
	assert_true(space_next_hole(&set.space, UINT64_MAX, 1, &start, &last));
	assert_false(space_next_hole(&set.space, UINT64_MAX, 2, &start, &last));
	put(&set, 0, 1, UINT64_MAX - 1);
	assert_true(space_next_hole(&set.space, 0, 1, &start, &last));
	assert_true(start == 0 && last == 0);
	assert_true(space_next_hole(&set.space, 1, 1, &start, &last));
	assert_true(start == UINT64_MAX && last == UINT64_MAX);
	assert_false(space_next_hole(&set.space, 0, 2, &start, &last));
	set_fini(&set);
}

/* Sizes of one class: the index leads to holes that are a little too small, and the search passes on. */
TEST(holes, sizes_that_differ_by_less_than_a_class)
{
	struct set set;
	u64 at = 0;

	set_init(&set, 1);
	for (unsigned i = 0; i < AREAS; i++) {
		at += BIT(40) + i;
		put(&set, i, at, at);
		at++;
	}
	for (u64 extra = 0; extra <= AREAS; extra++)
		compare(&set, 0, BIT(40) + extra);
	set_fini(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(holes, agree_with_looking_at_each),
		CASE(holes, agree_where_areas_are_close),
		CASE(holes, agree_at_the_top_of_the_64_bit_space),
		CASE(holes, the_whole_space_is_one_hole_or_none),
		CASE(holes, sizes_that_differ_by_less_than_a_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
