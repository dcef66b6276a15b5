/* SPDX-License-Identifier: MIT */
/* Dirty pages of type 1 containers (spec 04 section 7.5): with DMA, that is all of them, always. */
#include "tests/conform/vfio.h"

enum {
	START = VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
	STOP = VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP,
	GET = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
};

#define BASE 0x100000ul

static int container_of_type(int type)
{
	struct names names = the_device();

	return enter_group(&names, type).container;
}

static answer track(int container, u32 argsz, u32 flags)
{
	struct vfio_iommu_type1_dirty_bitmap request = {.argsz = argsz, .flags = flags};

	return ask(container, VFIO_IOMMU_DIRTY_PAGES, &request);
}

struct get_request {
	struct vfio_iommu_type1_dirty_bitmap head;
	struct vfio_iommu_type1_dirty_bitmap_get get;
};

static answer get(int container, u64 iova, u64 size, u64 pgsize, void *bits, u64 bytes)
{
	struct get_request request = {{sizeof(request), GET}, {iova, size, {pgsize, bytes, bits}}};

	return ask(container, VFIO_IOMMU_DIRTY_PAGES, &request);
}

TEST(the_first_type_has_none)
{
	int container = container_of_type(VFIO_TYPE1_IOMMU);

	EXPECT(-EACCES, track(container, 7, ~0u));
	EXPECT(-EACCES, ask(container, VFIO_IOMMU_DIRTY_PAGES, NULL));
}

/* A request without a flag looks for its lowest bit, and finds what the processor makes of that. */
TEST(requests_are_refused_in_this_order)
{
	int container = container_of_type(VFIO_TYPE1v2_IOMMU);

	EXPECT(-EFAULT, ask(container, VFIO_IOMMU_DIRTY_PAGES, NULL));
	EXPECT(-EINVAL, track(container, 7, START));
	EXPECT(-EINVAL, track(container, 8, START | 8));
	EXPECT(-EINVAL, track(container, 8, START | STOP));
	EXPECT(-EINVAL, track(container, 8, STOP | GET));
	EXPECT(-EINVAL, track(container, 8, START | STOP | GET));
	EXPECT(0, track(container, 8, STOP));
	EXPECT(0, track(container, 8, START));
	EXPECT(0, track(container, 8, START));
	EXPECT(0, track(container, 8, STOP));
	EXPECT(0, track(container, 8, STOP));
	EXPECT(-EINVAL, track(container, 8, GET));
	EXPECT(-EINVAL, track(container, sizeof(struct get_request) - 1, GET));
}

TEST(a_bitmap_is_refused_in_this_order)
{
	const u64 top = 0ul - PAGE, most = 1ul << 28;
	u64 word = 0;
	const struct {
		u64 iova, size, pgsize, bytes;
		void *data;
		int err;
	} rows[] = {
		{1, 0, 0, 0, NULL, EINVAL},
		{top, PAGE + 1, PAGE, 8, NULL, EOVERFLOW},
		{top, 2 * PAGE, PAGE, 8, &word, EOVERFLOW},
		{BASE, 2 * PAGE, PAGE, 8, (void *)0xffff800000000000, EINVAL}, /* no program's */
		{0, PAGE, PAGE, 8, (void *)0xffff800000000000, EINVAL},
		{0, PAGE, PAGE, 8, (void *)(1ul << 57), EINVAL},
		{0, PAGE, PAGE, 16, (void *)(0ul - 8), EINVAL}, /* around the top */
		{1, PAGE - 1, PAGE, 8, &word, EINVAL},		/* no page at all */
		{1, PAGE + 1, PAGE, 0, &word, EINVAL},
		{1, 64 * PAGE, PAGE, 7, &word, EINVAL},
		{0, 65 * PAGE, PAGE, 8, &word, EINVAL},
		{0, PAGE, PAGE, most + 1, &word, EINVAL},
		{0, 1ul << 62, PAGE, most, &word, EINVAL},
		{0, 2 * PAGE, 2 * PAGE, 8, &word, EINVAL}, /* not the smallest page */
		{0, 1024, 512, 8, &word, EINVAL},
		{1, PAGE, PAGE, 8, &word, EINVAL},
		{0, PAGE + 1, PAGE, 8, &word, EINVAL},
		{BASE, PAGE, PAGE, 8, &word, EINVAL}, /* not tracking; then: half of a mapping */
		{BASE + PAGE, PAGE, PAGE, 8, &word, EINVAL},
		{BASE - PAGE, 2 * PAGE, PAGE, 8, &word, EINVAL},
	};
	int container = container_of_type(VFIO_TYPE1v2_IOMMU);

	EXPECT(0, type1_map(container, memory(2 * PAGE), BASE, 2 * PAGE));
	for (unsigned tracking = 0; tracking < 2; tracking++) {
		FOR_EACH(row, rows)
		{
			about("row %d, tracking: %u", (int)(row - rows), tracking);
			EXPECT(-row->err, get(container, row->iova, row->size, row->pgsize, row->data, row->bytes));
		}
		about(NULL);
		EXPECT(tracking ? 0 : -EINVAL, get(container, BASE, 2 * PAGE, PAGE, &word, 8));
		EXPECT(0, track(container, 8, START));
	}
	EXPECT(-EFAULT, get(container, BASE, 2 * PAGE, PAGE, NULL, 8));
	EXPECT(0, get(container, 0, PAGE, PAGE, NULL, 8)); /* nothing there to be told */
}

/* Where a mapping begins inside a word, that word is ORed to; the others are written. */
TEST(bits_are_ored_from_the_word_where_a_mapping_begins)
{
	int container = container_of_type(VFIO_TYPE1v2_IOMMU);
	void *pages = memory(130 * PAGE);
	u64 bits[4];

	EXPECT(0, track(container, 8, START));
	EXPECT(0, type1_map(container, pages, BASE, 130 * PAGE));
	memset(bits, 0xff, sizeof(bits));
	EXPECT(0, get(container, BASE, 192 * PAGE, PAGE, bits, 24));
	EXPECT_EQUAL(~0ul, bits[0]);
	EXPECT_EQUAL(~0ul, bits[1]);
	EXPECT_EQUAL(3, bits[2]);
	EXPECT_EQUAL(~0ul, bits[3]);
	memset(bits, 0, sizeof(bits));
	bits[0] = 0xff5;
	EXPECT(0, get(container, BASE - 4 * PAGE, 192 * PAGE, PAGE, bits, sizeof(bits)));
	EXPECT_EQUAL(~0ul << 4 | 5, bits[0]);
	EXPECT_EQUAL(~0ul, bits[1]);
	EXPECT_EQUAL(0x3f, bits[2]);
	/* Told anew each time: DMA needs no call. Behind the mapping Linux has left what it shifted there before. */
	memset(bits, 0, sizeof(bits));
	EXPECT(0, get(container, BASE, 192 * PAGE, PAGE, bits, 24));
	EXPECT_EQUAL(~0ul, bits[1]);
	EXPECT_EQUAL(3, bits[2] & 3);
}

TEST(neighbours_share_a_word)
{
	int container = container_of_type(VFIO_TYPE1v2_IOMMU);
	u8 *pages = memory(3 * PAGE);
	u64 word = 1ul << 63;

	EXPECT(0, type1_map(container, pages, BASE + PAGE, PAGE));
	EXPECT(0, type1_map(container, pages, BASE + 3 * PAGE, 3 * PAGE));
	EXPECT(0, track(container, 8, START));
	EXPECT(0, get(container, BASE, 64 * PAGE, PAGE, &word, 8));
	EXPECT_EQUAL(1ul << 63 | 0x3a, word);
}

struct unmap_request {
	struct vfio_iommu_type1_dma_unmap unmap;
	struct vfio_bitmap bitmap;
};

static answer unmap_dirty(int container, u64 iova, u64 *size, u64 pgsize, void *bits, u64 bytes)
{
	struct unmap_request request = {{sizeof(request), VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, iova, *size},
					{pgsize, bytes, bits}};
	answer got = ask(container, VFIO_IOMMU_UNMAP_DMA, &request);

	*size = request.unmap.size;
	return got;
}

TEST(an_unmap_may_tell_them_last)
{
	int container = container_of_type(VFIO_TYPE1v2_IOMMU);
	u8 *pages = memory(3 * PAGE);
	u64 word = 0, size = 2 * PAGE;

	EXPECT(0, type1_map(container, pages, BASE, 2 * PAGE));
	EXPECT(0, type1_map(container, pages, BASE + 2 * PAGE, PAGE));
	EXPECT(-EINVAL, unmap_dirty(container, BASE, &size, 0, &word, 8));
	EXPECT(-EINVAL, unmap_dirty(container, BASE, &size, PAGE, &word, 7));
	EXPECT(-EINVAL, unmap_dirty(container, BASE, &size, PAGE, &word, 8)); /* not tracking */
	EXPECT(0, track(container, 8, START));
	EXPECT(-EINVAL, unmap_dirty(container, BASE, &size, 2 * PAGE, &word, 8));
	EXPECT(-EINVAL, unmap_dirty(container, BASE + PAGE, &size, PAGE, &word, 8)); /* would cut it */
	EXPECT(-EFAULT, unmap_dirty(container, BASE, &size, PAGE, NULL, 8));
	EXPECT_EQUAL(2 * PAGE, size);
	EXPECT(0, unmap_dirty(container, BASE, &size, PAGE, &word, 8));
	EXPECT_EQUAL(2 * PAGE, size);
	EXPECT_EQUAL(3, word);
	size = 16 * PAGE;
	EXPECT(0, unmap_dirty(container, BASE, &size, PAGE, &word, 8));
	EXPECT_EQUAL(PAGE, size);
	EXPECT_EQUAL(7, word);
	size = 16 * PAGE;
	EXPECT(0, unmap_dirty(container, BASE, &size, PAGE, NULL, 8));
	EXPECT_EQUAL(0, size);
	size = 16 * PAGE; /* at addresses that no program has, even of nothing */
	EXPECT(-EINVAL, unmap_dirty(container, BASE, &size, PAGE, (void *)0xffff800000000000, 8));
	EXPECT(-EINVAL, unmap_dirty(container, BASE, &size, PAGE, (void *)(0ul - 8), 16));
}

SUITE(tracking, CASE(the_first_type_has_none), CASE(requests_are_refused_in_this_order),
      CASE(a_bitmap_is_refused_in_this_order), CASE(bits_are_ored_from_the_word_where_a_mapping_begins),
      CASE(neighbours_share_a_word), CASE(an_unmap_may_tell_them_last));
