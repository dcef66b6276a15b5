/* SPDX-License-Identifier: MIT */
#include "mem/frames.h"

#include <sys/mman.h>

#include "tests/fixtures/self_client.h"
#include "tests/helpers.h"

#define GB 0x40000000ull

static struct extent *add(struct frames *frames, struct client *client, u64 iova, u64 size)
{
	struct extent *extent = calloc(1, sizeof(*extent));
	struct why why = WHY_INIT;

	assert_non_null(extent);
	ASSERT_OK(why, extent_init(extent, frames, iova, size, &why));
	extent_set_client(extent, client, 0x1000);
	frames_insert(frames, extent);
	itree_check(&frames->extents);
	return extent;
}

static void drop(struct frames *frames, struct extent *extent)
{
	frames_remove(frames, extent);
	extent_fini(extent);
	free(extent);
}

TEST(frames, physical_addresses_suit_the_largest_leaves)
{
	struct client *client = self_client_new(getpid());
	struct frames frames;
	struct extent *page, *large, *huge;

	frames_init(&frames);
	page = add(&frames, client, 0x5000, PAGE_SIZE);
	large = add(&frames, client, 0x12345000, 0x600000);
	huge = add(&frames, client, 7 * GB + 0x3000, 3 * GB);
	assert_int_equal(extent_size(page), PAGE_SIZE);
	assert_int_equal(extent_physical(large) & 0x3fffff, 0x12345000 & 0x3fffff);
	assert_int_equal(extent_physical(huge) & (GB - 1), 0x3000);
	drop(&frames, large);
	drop(&frames, page);
	drop(&frames, huge);
	frames_fini(&frames);
	client_put(client);
}

TEST(frames, an_address_is_found_in_its_extent_only)
{
	struct client *client = self_client_new(getpid());
	struct frames frames;
	struct extent *first, *second;

	frames_init(&frames);
	assert_null(frames_find(&frames, 0));
	first = add(&frames, client, 0x5000, PAGE_SIZE);
	second = add(&frames, client, 0x5000, 2 * PAGE_SIZE);
	assert_ptr_equal(frames_find(&frames, extent_physical(first) + 0xfff), first);
	assert_ptr_equal(frames_find(&frames, extent_physical(second)), second);
	assert_null(frames_find(&frames, extent_physical(first) - 1));
	assert_null(frames_find(&frames, second->node.last + 1));
	assert_true(extent_physical(first) != 0);
	drop(&frames, first);
	assert_null(frames_find(&frames, second->node.start - 1));
	drop(&frames, second);
	frames_fini(&frames);
	client_put(client);
}

TEST(frames, they_are_used_again_when_the_top_is_reached)
{
	struct client *client = self_client_new(getpid());
	struct extent *extents[3], none;
	struct why why = WHY_INIT;
	struct frames frames;
	u64 quarter = BIT(50);

	frames_init(&frames);
	for (unsigned i = 0; i < 3; i++)
		extents[i] = add(&frames, client, 0, quarter);
	/* The lowest GiB is not given out, so a fourth quarter is not there. */
	EXPECT_REFUSED(FRAMES_EXHAUSTED, why, extent_init(&none, &frames, 0, quarter, &why));
	EXPECT_REFUSED(FRAMES_EXHAUSTED, why, extent_init(&none, &frames, 0, BIT(60), &why));
	drop(&frames, extents[0]);
	extents[0] = add(&frames, client, 0, quarter);
	assert_true(extent_physical(extents[0]) < extent_physical(extents[1]));
	for (unsigned i = 0; i < 3; i++)
		drop(&frames, extents[i]);
	frames_fini(&frames);
	client_put(client);
}

TEST(frames, an_address_just_freed_is_not_the_next_given_out)
{
	struct client *client = self_client_new(getpid());
	struct frames frames;
	struct extent *extent;
	u64 before;

	frames_init(&frames);
	extent = add(&frames, client, 0, PAGE_SIZE);
	before = extent_physical(extent);
	drop(&frames, extent);
	extent = add(&frames, client, 0, PAGE_SIZE);
	assert_int_not_equal(extent_physical(extent), before);
	drop(&frames, extent);
	frames_fini(&frames);
	client_put(client);
}

/* What a mapping has been pinned to stays, though the client has mapped another file over it since. */
TEST(frames, a_later_extent_shows_the_same_file)
{
	struct client *client = self_client_new(getpid());
	int first = memfd_create("first", MFD_CLOEXEC), second = memfd_create("second", MFD_CLOEXEC);
	struct extent before, after;
	struct why why = WHY_INIT;
	struct frames frames;
	u8 *memory;

	assert_int_equal(ftruncate(first, PAGE_SIZE), 0);
	assert_int_equal(ftruncate(second, PAGE_SIZE), 0);
	memory = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, first, 0);
	frames_init(&frames);
	ASSERT_OK(why, extent_init(&before, &frames, 0, PAGE_SIZE, &why));
	extent_set_client(&before, client, (uintptr_t)memory);
	assert_ptr_equal(mmap(memory, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, second, 0), memory);
	ASSERT_OK(why, extent_init(&after, &frames, 0, PAGE_SIZE, &why));
	extent_set_client(&after, client, (uintptr_t)memory);
	memory[0] = 2;
	assert_int_equal(*(u8 *)after.direct, 2);
	extent_share(&after, &before);
	*(u8 *)before.direct = 1;
	assert_int_equal(*(u8 *)after.direct, 1);
	assert_int_equal(memory[0], 2);
	extent_fini(&after);
	extent_fini(&before);
	frames_fini(&frames);
	munmap(memory, PAGE_SIZE);
	close(first);
	close(second);
	client_put(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(frames, physical_addresses_suit_the_largest_leaves),
		CASE(frames, an_address_is_found_in_its_extent_only),
		CASE(frames, they_are_used_again_when_the_top_is_reached),
		CASE(frames, an_address_just_freed_is_not_the_next_given_out),
		CASE(frames, a_later_extent_shows_the_same_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
