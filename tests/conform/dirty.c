/* SPDX-License-Identifier: MIT */
/* Dirty tracking (spec 03 section 8). The mock's device "writes" with MOCK_DIRTY. */
#include <sys/mman.h>

#include "tests/conform/conform.h"

enum { PAGES = 64 };

struct tracked {
	int fd;
	u32 ioas, hwpt, plain; /* with dirty tracking, without */
	struct mock mock;
	char *buffer;
};

static struct tracked tracked_new(void)
{
	struct tracked t = {.fd = iommu()};

	need_mock();
	t.ioas = new_ioas(t.fd);
	t.mock = new_mock(t.fd, t.ioas, 0);
	t.buffer = memory(PAGES * PAGE);
	/* One by one: what is mapped at once may be one large leaf, and is dirty as a whole. */
	for (u64 i = 0; i < PAGES; i++)
		EXPECT(0, map_at(t.fd, t.ioas, t.buffer + i * PAGE, PAGE, MOCK_FIRST + i * PAGE));
	t.hwpt = (u32)WORKS(alloc_hwpt(t.fd, t.mock.idev, t.ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING));
	t.plain = (u32)WORKS(alloc_hwpt(t.fd, t.mock.idev, t.ioas, 0));
	return t;
}

static answer track(const struct tracked *t, u32 hwpt, u32 flags)
{
	return ASK(t->fd, IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, .hwpt_id = hwpt, .flags = flags,
		   .__reserved = 1); /* not looked at */
}

static answer mark(const struct tracked *t, u64 iova, u64 length, u64 page_size, const void *bitmap)
{
	struct mock_request request = {
		.op = MOCK_DIRTY, .id = t->hwpt, .words = {0, iova, length, page_size, (uintptr_t)bitmap}};
	answer got = ask_mock(t->fd, &request);

	return got == 0 ? (answer)request.words[5] : got;
}

static answer get(const struct tracked *t, u64 iova, u64 length, u64 page_size, void *bitmap, u32 flags)
{
	return ASK(t->fd, IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, .hwpt_id = t->hwpt, .flags = flags,
		   .iova = iova, .length = length, .page_size = page_size, .data = (uintptr_t)bitmap);
}

TEST(set_is_refused_in_this_order)
{
	struct tracked t = tracked_new();

	EXPECT(-EOPNOTSUPP, track(&t, NOBODY, 2));
	EXPECT(-ENOENT, track(&t, NOBODY, 1));
	EXPECT(-ENOENT, track(&t, t.ioas, 0));
	EXPECT(-EOPNOTSUPP, track(&t, t.plain, 1));
	EXPECT(-EOPNOTSUPP, track(&t, t.plain, 0));
	EXPECT(0, track(&t, t.hwpt, 0));
	EXPECT(0, track(&t, t.hwpt, 1));
	EXPECT(0, track(&t, t.hwpt, 1));
	EXPECT(0, track(&t, t.hwpt, 0));
}

TEST(get_is_refused_in_this_order)
{
	static const struct {
		const char *what;
		u32 flags, reserved;
		int target; /* 0: nobody, 1: without dirty tracking, 2: with */
		u64 iova, length, page_size;
		answer expected;
	} rows[] = {
		{"an unknown flag", 2, 0, 0, TOP, TOP, 0, -EOPNOTSUPP},
		{"a reserved field", 0, 1, 0, TOP, TOP, 0, -EOPNOTSUPP},
		{"nobody", 0, 0, 0, TOP, TOP, 0, -ENOENT},
		{"a range that wraps", 0, 0, 1, TOP, 2, 0, -EOVERFLOW},
		{"a range that wraps twice", 0, 0, 1, MOCK_FIRST, TOP, 0, -EOVERFLOW},
		{"an odd iova", 0, 0, 1, MOCK_FIRST + 1, PAGE, 0, -EINVAL},
		{"an odd length", 0, 0, 1, MOCK_FIRST, 100, 0, -EINVAL},
		{"pages of nothing", 0, 0, 1, MOCK_FIRST, PAGE, 0, -EINVAL},
		{"an iova within a page", 0, 0, 1, MOCK_FIRST + 2048, PAGE, PAGE, -EINVAL},
		{"a length of half a page", 0, 0, 1, MOCK_FIRST, 2048, PAGE, -EINVAL},
		{"a domain without", 0, 0, 1, MOCK_FIRST, PAGE, PAGE, -EOPNOTSUPP},
		{"half pages", 0, 0, 2, MOCK_FIRST, 2048, 2048, 0},
		{"where nothing is mapped", 0, 0, 2, 0x40000000, PAGE, PAGE, 0},
		{"everything", IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, 0, 2, MOCK_FIRST, PAGES * PAGE, PAGE, 0},
	};
	struct tracked t = tracked_new();
	u64 bitmap[PAGES] = {0};

	FOR_EACH(row, rows)
	{
		const u32 ids[] = {NOBODY, t.plain, t.hwpt};

		about("%s", row->what);
		EXPECT(row->expected,
		       ASK(t.fd, IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, .flags = row->flags,
			   .__reserved = row->reserved, .hwpt_id = ids[row->target], .iova = row->iova,
			   .length = row->length, .page_size = row->page_size, .data = (uintptr_t)bitmap));
	}
}

TEST(marks_are_told_once)
{
	struct tracked t = tracked_new();
	const u64 written = 0x8000000000000105;
	u64 bitmap = 0;

	EXPECT(0, track(&t, t.hwpt, 1));
	EXPECT(0, get(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &bitmap, 0));
	EXPECT_EQUAL(0, bitmap);
	EXPECT(4, mark(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &written));
	EXPECT(0, get(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &bitmap, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR));
	EXPECT_EQUAL(written, bitmap);
	bitmap = 0;
	EXPECT(0, get(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &bitmap, 0));
	EXPECT_EQUAL(written, bitmap);
	bitmap = 0;
	EXPECT(0, get(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &bitmap, 0));
	EXPECT_EQUAL(0, bitmap);
}

TEST(bits_are_set_and_never_cleared)
{
	struct tracked t = tracked_new();
	const u64 written = 2;
	u64 bitmap = 0x10;

	EXPECT(0, track(&t, t.hwpt, 1));
	EXPECT(1, mark(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &written));
	EXPECT(0, get(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &bitmap, 0));
	EXPECT_EQUAL(0x12, bitmap);
}

TEST(a_part_of_the_range_is_told_and_cleared_alone)
{
	struct tracked t = tracked_new();
	const u64 written = 0xf0;
	u64 bitmap = 0;

	EXPECT(0, track(&t, t.hwpt, 1));
	EXPECT(4, mark(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &written));
	EXPECT(0, get(&t, MOCK_FIRST + 5 * PAGE, 2 * PAGE, PAGE, &bitmap, 0));
	EXPECT_EQUAL(3, bitmap); /* bit 0 is the first page of the range */
	bitmap = 0;
	EXPECT(0, get(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &bitmap, 0));
	EXPECT_EQUAL(0x90, bitmap);
}

TEST(a_bit_may_stand_for_many_pages_and_a_page_for_many_bits)
{
	struct tracked t = tracked_new();
	const u64 written = 1 << 9;
	u64 bitmap[4] = {0};

	EXPECT(0, track(&t, t.hwpt, 1));
	EXPECT(1, mark(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &written));
	EXPECT(0, get(&t, MOCK_FIRST, PAGES * PAGE, 8 * PAGE, bitmap, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR));
	EXPECT_EQUAL(2, bitmap[0]);
	bitmap[0] = 0;
	EXPECT(0, get(&t, MOCK_FIRST, PAGES * PAGE, MOCK_PAGE, bitmap, 0));
	EXPECT_TRUE(bitmap[0] & 0xc0000);
	EXPECT_TRUE(bitmap[1] == 0);
}

TEST(a_bitmap_may_begin_at_any_byte)
{
	for (unsigned offset = 0; offset < 9; offset++) {
		struct tracked t = tracked_new();
		u8 *bytes = (u8 *)memory(2 * PAGE) + PAGE - 5 + offset; /* across a page's end, too */
		const u64 written = 0x8100000000000081;
		u64 bitmap;

		about("at byte %u", offset);
		EXPECT(0, track(&t, t.hwpt, 1));
		EXPECT(4, mark(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &written));
		EXPECT(0, get(&t, MOCK_FIRST, PAGES * PAGE, PAGE, bytes, 0));
		memcpy(&bitmap, bytes, sizeof(bitmap));
		EXPECT_EQUAL(written, bitmap);
		EXPECT_EQUAL(0, bytes[-1]);
		EXPECT_EQUAL(0, bytes[8]);
		drop(t.fd);
	}
}

TEST(to_enable_is_to_begin_anew)
{
	struct tracked t = tracked_new();
	const u64 written = 6;
	u64 bitmap = 0;

	EXPECT(0, track(&t, t.hwpt, 1));
	EXPECT(2, mark(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &written));
	EXPECT(0, track(&t, t.hwpt, 1));
	EXPECT(0, get(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &bitmap, 0));
	EXPECT_EQUAL(0, bitmap);
}

TEST(nothing_is_marked_while_tracking_is_off)
{
	struct tracked t = tracked_new();
	const u64 written = 6;
	u64 bitmap = 0;

	EXPECT(-EINVAL, mark(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &written));
	EXPECT(0, track(&t, t.hwpt, 1));
	EXPECT(0, track(&t, t.hwpt, 0));
	EXPECT(-EINVAL, mark(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &written));
	EXPECT(0, get(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &bitmap, 0));
	EXPECT_EQUAL(0, bitmap);
}

/* What becomes of the bitmap is not told. */
TEST(a_bitmap_that_cannot_be_written_is_no_error)
{
	struct tracked t = tracked_new();
	const u64 written = 6;
	char *nowhere = reserve(PAGE);

	EXPECT(0, track(&t, t.hwpt, 1));
	EXPECT(2, mark(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &written));
	EXPECT(0, get(&t, MOCK_FIRST, PAGES * PAGE, PAGE, nowhere, 0));
	EXPECT(0, get(&t, MOCK_FIRST, PAGES * PAGE, PAGE, NULL, 0));
}

TEST(a_hole_ends_the_search_without_an_error)
{
	struct tracked t = tracked_new();
	const u64 written = TOP;
	u64 bitmap[2] = {0};

	EXPECT(0, map_at(t.fd, t.ioas, t.buffer, 2 * PAGE, MOCK_FIRST + (PAGES + 8) * PAGE));
	EXPECT(0, track(&t, t.hwpt, 1));
	EXPECT(64, mark(&t, MOCK_FIRST, PAGES * PAGE, PAGE, &written));
	EXPECT(0, get(&t, MOCK_FIRST, 2 * PAGES * PAGE, PAGE, bitmap, 0));
	EXPECT_EQUAL(TOP, bitmap[0]);
}

TEST(marking_is_refused_in_this_order)
{
	struct tracked t = tracked_new();
	const u64 written = 6;
	u32 hwpt = t.hwpt;

	t.hwpt = NOBODY;
	EXPECT(-EINVAL, mark(&t, MOCK_FIRST, PAGE, 0, &written));
	EXPECT(-EINVAL, mark(&t, MOCK_FIRST, 0, PAGE, &written));
	EXPECT(-EINVAL, mark(&t, MOCK_FIRST + 1, PAGE, PAGE, &written));
	EXPECT(-EINVAL, mark(&t, MOCK_FIRST, PAGE + 1, PAGE, &written));
	EXPECT(-EINVAL, mark(&t, MOCK_FIRST, PAGE, PAGE, NULL));
	EXPECT(-EOVERFLOW, mark(&t, 0, 1ul << 40, PAGE, &written));
	EXPECT(-ENOENT, mark(&t, MOCK_FIRST, PAGE, PAGE, &written));
	t.hwpt = t.plain;
	EXPECT(-EINVAL, mark(&t, MOCK_FIRST, PAGE, PAGE, &written));
	t.hwpt = hwpt;
	EXPECT(0, track(&t, t.hwpt, 1));
	EXPECT(-EFAULT, mark(&t, MOCK_FIRST, PAGE, PAGE, reserve(PAGE)));
}

SUITE(dirty, CASE(set_is_refused_in_this_order), CASE(get_is_refused_in_this_order), CASE(marks_are_told_once),
      CASE(bits_are_set_and_never_cleared), CASE(a_part_of_the_range_is_told_and_cleared_alone),
      CASE(a_bit_may_stand_for_many_pages_and_a_page_for_many_bits), CASE(a_bitmap_may_begin_at_any_byte),
      CASE(to_enable_is_to_begin_anew), CASE(nothing_is_marked_while_tracking_is_off),
      CASE(a_bitmap_that_cannot_be_written_is_no_error), CASE(a_hole_ends_the_search_without_an_error),
      CASE(marking_is_refused_in_this_order));
