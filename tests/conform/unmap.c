/* SPDX-License-Identifier: MIT */
/* IOAS_UNMAP (spec 03 section 3.7). */
#include "tests/conform/conform.h"

enum { BASE = 0x2000000 };

/* Three areas: two pages, a gap, a page, directly behind it two more. */
struct three {
	int fd;
	u32 ioas, hwpt;
	char *buffer;
};

static struct three three_new(void)
{
	struct three t = {.fd = iommu(), .buffer = memory(8 * PAGE)};

	t.ioas = new_ioas(t.fd);
	if (have_mock())
		t.hwpt = new_mock(t.fd, t.ioas, 0).hwpt;
	EXPECT(0, map_at(t.fd, t.ioas, t.buffer, 2 * PAGE, BASE));
	EXPECT(0, map_at(t.fd, t.ioas, t.buffer + 2 * PAGE, PAGE, BASE + 4 * PAGE));
	EXPECT(0, map_at(t.fd, t.ioas, t.buffer + 3 * PAGE, 2 * PAGE, BASE + 5 * PAGE));
	return t;
}

TEST(unmap_is_refused_in_this_order)
{
	const struct {
		const char *what;
		bool nobody;
		u64 iova, length;
		answer expected;
	} rows[] = {
		{"no IOAS", true, TOP, TOP, -ENOENT},
		{"everything of no IOAS", true, 0, TOP, -ENOENT},
		{"the last iova", false, TOP, 0, -EOVERFLOW},
		{"the largest length", false, 1, TOP, -EOVERFLOW},
		{"no length", false, BASE, 0, -EINVAL},
		{"no length at the top", false, TOP - 1, 0, -EINVAL},
		{"a range that wraps", false, BASE, TOP - PAGE, -EOVERFLOW},
		{"beyond 2^64", false, TOP - 1, 3, -EOVERFLOW},
		{"nothing there", false, BASE + 2 * PAGE, 2 * PAGE, -ENOENT},
		{"the gap and a byte", false, BASE + 2 * PAGE, 2 * PAGE + 1, -ENOENT},
		{"a first page", false, BASE, PAGE, -ENOENT},
		{"a second page", false, BASE + PAGE, PAGE, -ENOENT},
		{"all but the first byte", false, BASE + 1, 2 * PAGE, -ENOENT},
		{"all but the last byte", false, BASE, 2 * PAGE - 1, -ENOENT},
		{"the last of one and another", false, BASE + PAGE, 6 * PAGE, -ENOENT},
	};
	struct three t = three_new();

	FOR_EACH(row, rows)
	{
		about("%s", row->what);
		EXPECT(row->expected, unmap(t.fd, row->nobody ? NOBODY : t.ioas, row->iova, row->length));
	}
	about("all three are still there");
	EXPECT(5 * PAGE, unmap(t.fd, t.ioas, 0, TOP));
}

TEST(whole_areas_are_counted_without_the_gaps)
{
	struct three t = three_new();

	EXPECT(3 * PAGE, unmap(t.fd, t.ioas, BASE - 100, 5 * PAGE + 100));
	EXPECT(2 * PAGE, unmap(t.fd, t.ioas, BASE, 100 * PAGE));
	EXPECT(-ENOENT, unmap(t.fd, t.ioas, BASE, 100 * PAGE));
}

TEST(everything_may_be_nothing)
{
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	EXPECT(0, unmap(fd, ioas, 0, TOP));
	EXPECT(-ENOENT, unmap(fd, ioas, 0, TOP - 1));
}

/* What was removed before the area that sticks out stays removed, and nobody tells how much that was. */
TEST(what_comes_before_an_area_that_sticks_out_is_gone)
{
	struct three t = three_new();
	struct iommu_ioas_unmap request = {
		.size = sizeof(request), .ioas_id = t.ioas, .iova = BASE, .length = 6 * PAGE};

	EXPECT(-ENOENT, ask(t.fd, IOMMU_IOAS_UNMAP, &request));
	EXPECT_EQUAL(6 * PAGE, request.length);
	EXPECT(-ENOENT, unmap(t.fd, t.ioas, BASE, 5 * PAGE));
	EXPECT(2 * PAGE, unmap(t.fd, t.ioas, BASE, 7 * PAGE));
}

TEST(an_answer_that_cannot_be_given_leaves_nothing_mapped)
{
	struct three t = three_new();
	const struct iommu_ioas_unmap request = {
		.size = sizeof(request), .ioas_id = t.ioas, .iova = BASE, .length = 2 * PAGE};

	EXPECT(-EFAULT, ask_read_only(t.fd, IOMMU_IOAS_UNMAP, &request, sizeof(request)));
	EXPECT(-ENOENT, unmap(t.fd, t.ioas, BASE, 2 * PAGE));
}

TEST(a_device_no_longer_reaches_what_was_unmapped)
{
	struct three t = three_new();

	need_mock();
	EXPECT(0, check_refs(t.fd, t.buffer, 5 * PAGE, 1));
	EXPECT(PAGE, unmap(t.fd, t.ioas, BASE + 4 * PAGE, PAGE));
	EXPECT(0, check_refs(t.fd, t.buffer, 2 * PAGE, 1));
	EXPECT(0, check_refs(t.fd, t.buffer + 2 * PAGE, PAGE, 0));
	EXPECT(0, check_refs(t.fd, t.buffer + 3 * PAGE, 2 * PAGE, 1));
	EXPECT(-EINVAL, check_maps(t.fd, t.hwpt, BASE + 4 * PAGE, PAGE, t.buffer + 2 * PAGE));
	EXPECT(0, check_maps(t.fd, t.hwpt, BASE, 2 * PAGE, t.buffer));
	EXPECT(0, check_maps(t.fd, t.hwpt, BASE + 5 * PAGE, 2 * PAGE, t.buffer + 3 * PAGE));
}

TEST(a_place_can_be_mapped_again_at_once)
{
	struct three t = three_new();

	for (unsigned i = 0; i < 50; i++) {
		EXPECT(2 * PAGE, unmap(t.fd, t.ioas, BASE, 2 * PAGE));
		EXPECT(0, map_at(t.fd, t.ioas, t.buffer + (i % 6) * PAGE, 2 * PAGE, BASE));
	}
}

TEST(the_last_byte_but_one_can_be_mapped_and_unmapped)
{
	char *buffer = memory(PAGE);
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	EXPECT(0, map_at(fd, ioas, buffer, 2, TOP - 1));
	EXPECT(2, unmap(fd, ioas, TOP - 1, 2));
	EXPECT(0, map_at(fd, ioas, buffer, PAGE, TOP - PAGE + 1));
	EXPECT(PAGE, unmap(fd, ioas, 0, TOP));
}

SUITE(unmap, CASE(unmap_is_refused_in_this_order), CASE(whole_areas_are_counted_without_the_gaps),
      CASE(everything_may_be_nothing), CASE(what_comes_before_an_area_that_sticks_out_is_gone),
      CASE(an_answer_that_cannot_be_given_leaves_nothing_mapped), CASE(a_device_no_longer_reaches_what_was_unmapped),
      CASE(a_place_can_be_mapped_again_at_once), CASE(the_last_byte_but_one_can_be_mapped_and_unmapped));
