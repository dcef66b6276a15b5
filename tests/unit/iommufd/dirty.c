/* SPDX-License-Identifier: MIT */
/* Dirty tracking: spec 03 section 8, by real DMA through a real table. */
#include "iommu/dma.h"
#include "tests/fixtures/assign_room.h"

#define IOVA  0x200000u
#define PAGES 64u

static u8 memory[PAGES * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

struct tracked {
	u32 ioas, hwpt;
};

static struct tracked tracked_new(struct assign_room *self)
{
	struct tracked tracked;

	toy.dirty = true;
	assign_bind(self, 0);
	tracked.ioas = assign_ioas(self);
	tracked.hwpt = assign_hwpt(self, 0, tracked.ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	assign_map(self, tracked.ioas, IOVA, memory, sizeof(memory), ROOM_RW);
	ASSERT_YES(assign_attach(self, 0, 0, tracked.hwpt));
	return tracked;
}

static long track(struct assign_room *self, u32 hwpt, u32 flags)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {sizeof(cmd), flags, hwpt, 0};

	return assign_ask(self, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}

static struct iommu_hwpt_get_dirty_bitmap get_cmd(u32 hwpt, void *bitmap)
{
	return (struct iommu_hwpt_get_dirty_bitmap){.size = sizeof(struct iommu_hwpt_get_dirty_bitmap),
						    .hwpt_id = hwpt,
						    .iova = IOVA,
						    .length = PAGES * PAGE_SIZE,
						    .page_size = PAGE_SIZE,
						    .data = (uintptr_t)bitmap};
}

/* The first 64 pages. */
static u64 read_dirty(struct assign_room *self, u32 hwpt, u32 flags)
{
	u64 bitmap = 0;
	struct iommu_hwpt_get_dirty_bitmap cmd = get_cmd(hwpt, &bitmap);

	cmd.flags = flags;
	ASSERT_YES(assign_ask(self, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd));
	return bitmap;
}

static void device_writes(struct assign_room *self, unsigned page, unsigned size)
{
	static const u8 zeroes[2 * PAGE_SIZE];

	assert_int_equal(dma_write(self->core[0]->port, IOVA + page * PAGE_SIZE, zeroes, size), DMA_OK);
}

ASSIGN_TEST(dirty, refuses_in_linuxs_order)
{
	struct tracked tracked = tracked_new(self);
	u32 plain = assign_hwpt(self, 0, tracked.ioas, 0);
	struct iommu_hwpt_get_dirty_bitmap cmd = get_cmd(77, NULL);

	EXPECT_NO(FLAGS_UNKNOWN, track(self, 77, 2));
	EXPECT_NO(OBJECT_MISSING, track(self, 77, 1));
	EXPECT_NO(OBJECT_MISSING, track(self, tracked.ioas, 1));
	EXPECT_NO(DIRTY_INCAPABLE, track(self, plain, 0));
	cmd.flags = 2;
	cmd.__reserved = 1;
	EXPECT_ASKED_NO(FLAGS_UNKNOWN, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
	cmd.flags = 0;
	EXPECT_ASKED_NO(RESERVED_SET, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
	cmd.__reserved = 0;
	EXPECT_ASKED_NO(OBJECT_MISSING, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
	cmd.hwpt_id = plain;
	cmd.iova = UINT64_MAX - 6;
	cmd.length = 8;
	cmd.page_size = 0;
	EXPECT_ASKED_NO(BITMAP_OVERFLOW, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
	cmd.length = 0;
	EXPECT_ASKED_NO(BITMAP_OVERFLOW, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
	cmd.length = 7;
	EXPECT_ASKED_NO(BITMAP_RANGE, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
	EXPECT_SUBSTR("0x1000", self->why.text);
	cmd.iova = IOVA;
	cmd.length = PAGE_SIZE;
	EXPECT_ASKED_NO(BITMAP_RANGE, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
	cmd.page_size = 8;
	cmd.length = PAGE_SIZE + 8;
	EXPECT_ASKED_NO(BITMAP_RANGE, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
	cmd.length = PAGE_SIZE;
	cmd.page_size = 2 * PAGE_SIZE;
	EXPECT_ASKED_NO(BITMAP_RANGE, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
	cmd.page_size = PAGE_SIZE;
	EXPECT_ASKED_NO(DIRTY_INCAPABLE, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
	EXPECT_SUBSTR("HWPT_PAGING", self->why.text);
	/* Where there is no bitmap, nothing is told, and nothing forgotten. */
	cmd.hwpt_id = tracked.hwpt;
	ASSERT_YES(assign_ask(self, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd));
}

ASSIGN_TEST(dirty, what_the_device_wrote_while_it_was_tracked)
{
	struct tracked tracked = tracked_new(self);
	u8 word[4];

	device_writes(self, 1, 1);
	assert_int_equal(read_dirty(self, tracked.hwpt, 0), 0);
	ASSERT_YES(track(self, tracked.hwpt, 1));
	assert_int_equal(read_dirty(self, tracked.hwpt, 0), 0);
	device_writes(self, 3, PAGE_SIZE + 1);
	assert_int_equal(dma_read(self->core[0]->port, IOVA + 9 * PAGE_SIZE, word, 4), DMA_OK);
	device_writes(self, 63, 1);
	assert_true(read_dirty(self, tracked.hwpt, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) ==
		    (BIT(3) | BIT(4) | BIT(63)));
	assert_true(read_dirty(self, tracked.hwpt, 0) == (BIT(3) | BIT(4) | BIT(63)));
	assert_int_equal(read_dirty(self, tracked.hwpt, 0), 0);
	/* A cached translation marks again. */
	device_writes(self, 3, 1);
	assert_int_equal(read_dirty(self, tracked.hwpt, 0), BIT(3));
	/* To begin again is to forget. */
	device_writes(self, 5, 1);
	ASSERT_YES(track(self, tracked.hwpt, 1));
	assert_int_equal(read_dirty(self, tracked.hwpt, 0), 0);
	device_writes(self, 5, 1);
	ASSERT_YES(track(self, tracked.hwpt, 0));
	ASSERT_YES(track(self, tracked.hwpt, 0));
	device_writes(self, 6, 1);
	assert_int_equal(read_dirty(self, tracked.hwpt, 0), 0);
}

ASSIGN_TEST(dirty, bits_are_only_set_and_only_those_of_the_range)
{
	struct tracked tracked = tracked_new(self);
	u8 bitmap[16];
	struct iommu_hwpt_get_dirty_bitmap cmd = get_cmd(tracked.hwpt, bitmap + 3);

	ASSERT_YES(track(self, tracked.hwpt, 1));
	for (unsigned i = 8; i < 40; i++)
		device_writes(self, i, 1);
	memset(bitmap, 0x40, sizeof(bitmap));
	/* At an odd address, from page 10 to 37. */
	cmd.iova = IOVA + 10 * PAGE_SIZE;
	cmd.length = 28 * PAGE_SIZE;
	ASSERT_YES(assign_ask(self, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd));
	assert_memory_equal(bitmap, "\x40\x40\x40\xff\xff\xff\x4f\x40\x40", 9);
	/* The others have not been told yet. */
	assert_true(read_dirty(self, tracked.hwpt, 0) == (BIT(8) | BIT(9) | BIT(38) | BIT(39)));
}

ASSIGN_TEST(dirty, bits_stand_for_as_much_as_the_program_says)
{
	struct tracked tracked = tracked_new(self);
	u8 small[PAGES * 8];
	u64 large = 0;
	struct iommu_hwpt_get_dirty_bitmap cmd;

	ASSERT_YES(track(self, tracked.hwpt, 1));
	device_writes(self, 2, 1);
	device_writes(self, 17, 1);
	cmd = get_cmd(tracked.hwpt, &large);
	cmd.flags = IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR;
	cmd.page_size = 16 * PAGE_SIZE;
	ASSERT_YES(assign_ask(self, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd));
	assert_int_equal(large, 3);
	/* 64 bits, that is eight bytes, for each page. */
	memset(small, 0, sizeof(small));
	cmd = get_cmd(tracked.hwpt, small);
	cmd.page_size = 64;
	ASSERT_YES(assign_ask(self, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd));
	for (unsigned i = 0; i < sizeof(small); i++)
		assert_int_equal(small[i], i / 8 == 2 || i / 8 == 17 ? 0xff : 0);
}

/* A huge leaf is all dirty; a range that cuts it gets its part, and leaves the mark. */
ASSIGN_TEST(dirty, a_leaf_stands_for_all_its_pages)
{
	u64 size = BIT(21), bits[BIT(21) / PAGE_SIZE / 64];
	struct tracked tracked = tracked_new(self);
	struct iommu_hwpt_get_dirty_bitmap cmd = get_cmd(tracked.hwpt, bits);
	u8 *huge = aligned_alloc(size, size), one = 1;

	memset(huge, 0, size);
	assign_map(self, tracked.ioas, size * 4, huge, size, ROOM_RW);
	ASSERT_YES(track(self, tracked.hwpt, 1));
	assert_int_equal(dma_write(self->core[0]->port, size * 4 + 12345, &one, 1), DMA_OK);
	memset(bits, 0, sizeof(bits));
	cmd.iova = size * 4 + 128 * PAGE_SIZE;
	cmd.length = 64 * PAGE_SIZE;
	ASSERT_YES(assign_ask(self, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd));
	assert_true(bits[0] == UINT64_MAX && bits[1] == 0);
	memset(bits, 0, sizeof(bits));
	cmd.iova = size * 4;
	cmd.length = size;
	ASSERT_YES(assign_ask(self, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd));
	for (unsigned i = 0; i < ARRAY_SIZE(bits); i++)
		assert_true(bits[i] == UINT64_MAX);
	memset(bits, 0, sizeof(bits));
	ASSERT_YES(assign_ask(self, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd));
	assert_int_equal(bits[0], 0);
	assign_unmap(self, tracked.ioas, size * 4, size * 5 - 1);
	free(huge);
}

/*
 * More bits than are gathered at a time, some of them in one go: a page, a huge leaf right behind it, pages with clean
 * ones between them, and one far away.
 */
static const u64 far_pages[] = {1, 6, 30000};

static bool is_written(u64 offset)
{
	if (offset < BIT(21) + PAGE_SIZE)
		return true;
	for (unsigned i = 0; i < ARRAY_SIZE(far_pages); i++)
		if (offset / PAGE_SIZE == 513 + far_pages[i])
			return true;
	return false;
}

ASSIGN_TEST(dirty, long_bitmaps_are_written_in_parts)
{
	u64 huge_at = BIT(30), length = BIT(28), bytes = length / 64 / 8;
	struct tracked tracked = tracked_new(self);
	u8 *bitmap = calloc(1, bytes), *huge = aligned_alloc(BIT(21), BIT(21)), one = 1;
	struct iommu_hwpt_get_dirty_bitmap cmd = get_cmd(tracked.hwpt, bitmap);

	memset(huge, 0, BIT(21));
	assign_map(self, tracked.ioas, huge_at - PAGE_SIZE, memory, PAGE_SIZE, ROOM_RW);
	assign_map(self, tracked.ioas, huge_at, huge, BIT(21), ROOM_RW);
	for (unsigned i = 0; i < ARRAY_SIZE(far_pages); i++)
		assign_map(self, tracked.ioas, huge_at + BIT(21) + far_pages[i] * PAGE_SIZE, memory, PAGE_SIZE,
			   ROOM_RW);
	ASSERT_YES(track(self, tracked.hwpt, 1));
	assert_int_equal(dma_write(self->core[0]->port, huge_at - 1, &one, 1), DMA_OK);
	assert_int_equal(dma_write(self->core[0]->port, huge_at, &one, 1), DMA_OK);
	for (unsigned i = 0; i < ARRAY_SIZE(far_pages); i++)
		assert_int_equal(dma_write(self->core[0]->port, huge_at + BIT(21) + far_pages[i] * PAGE_SIZE, &one, 1),
				 DMA_OK);
	cmd.iova = huge_at - PAGE_SIZE;
	cmd.length = length;
	cmd.page_size = 64;
	ASSERT_YES(assign_ask(self, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd));
	for (u64 i = 0; i < bytes; i++)
		assert_int_equal(bitmap[i], is_written(i * 64 * 8) ? 0xff : 0);
	free(huge);
	free(bitmap);
}

ASSIGN_TEST(dirty, a_bitmap_that_cannot_be_written_costs_nothing)
{
	struct tracked tracked = tracked_new(self);
	void *readonly = room_read_only(PAGE_SIZE);
	struct iommu_hwpt_get_dirty_bitmap cmd = get_cmd(tracked.hwpt, readonly);

	ASSERT_YES(track(self, tracked.hwpt, 1));
	device_writes(self, 3, 1);
	ASSERT_YES(assign_ask(self, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd));
	assert_int_equal(read_dirty(self, tracked.hwpt, 0), BIT(3));
	room_free_read_only(readonly, PAGE_SIZE);
	/* Nothing mapped is nothing written; nothing asked is nothing. */
	cmd = get_cmd(tracked.hwpt, memory);
	cmd.iova = BIT(40);
	ASSERT_YES(assign_ask(self, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd));
	cmd.iova = cmd.length = 0;
	ASSERT_YES(assign_ask(self, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd));
}

static int read_once(struct why *why)
{
	struct assign_room *self = assign_current;
	u64 bitmap = 0;
	struct iommu_hwpt_get_dirty_bitmap cmd = get_cmd(4 - 1, &bitmap);
	long err;

	device_writes(self, 3, 1);
	err = assign_ask(self, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
	*why = self->why;
	/* Not told: not forgotten. */
	assert_int_equal(bitmap, err == 0 ? BIT(3) : 0);
	return (int)err;
}

ASSIGN_TEST(dirty, every_step_may_fail)
{
	struct tracked tracked = tracked_new(self);

	assert_int_equal(tracked.hwpt, 3);
	ASSERT_YES(track(self, tracked.hwpt, 1));
	SWEEP_FAILURES(read_once);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(dirty, refuses_in_linuxs_order),
		CASE(dirty, what_the_device_wrote_while_it_was_tracked),
		CASE(dirty, bits_are_only_set_and_only_those_of_the_range),
		CASE(dirty, bits_stand_for_as_much_as_the_program_says),
		CASE(dirty, a_leaf_stands_for_all_its_pages),
		CASE(dirty, long_bitmaps_are_written_in_parts),
		CASE(dirty, a_bitmap_that_cannot_be_written_costs_nothing),
		CASE(dirty, every_step_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
