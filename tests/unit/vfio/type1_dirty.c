/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/mman.h>

#include "tests/fixtures/room.h"

#define IOCTL(fd, cmd, arg) room_ioctl(room, fd, cmd, (const void *)(uintptr_t)(arg))
#define MAP(iova, size)	    room_map(room, container, memory, iova, size, 3)
#define PAGE		    4096ull
#define START		    VFIO_IOMMU_DIRTY_PAGES_FLAG_START
#define STOP		    VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP
#define GET		    VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP

static u8 memory[256 * PAGE] __attribute__((aligned(4096)));

struct get_request {
	struct vfio_iommu_type1_dirty_bitmap head;
	struct vfio_iommu_type1_dirty_bitmap_get get;
};

struct unmap_request {
	struct vfio_iommu_type1_dma_unmap head;
	struct vfio_bitmap bitmap;
};

static int container_of_type(struct room *room, int type)
{
	int container = room_open_container(room), group = room_open_group(room, ROOM_NVME);

	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container));
	ASSERT_OK(room->why, IOCTL(container, VFIO_SET_IOMMU, type));
	return container;
}

static long dirty(struct room *room, int container, u32 argsz, u32 flags)
{
	struct vfio_iommu_type1_dirty_bitmap request = {.argsz = argsz, .flags = flags};

	return IOCTL(container, VFIO_IOMMU_DIRTY_PAGES, &request);
}

static long get(struct room *room, int container, u64 iova, u64 size, u64 pgsize, u64 *bits, u64 bytes)
{
	struct get_request request = {
		.head = {sizeof(request), GET},
		.get = {iova, size, {pgsize, bytes, (void *)bits}},
	};

	return IOCTL(container, VFIO_IOMMU_DIRTY_PAGES, &request);
}

TEST(type1_dirty, only_type1v2_has_them)
{
	struct room *room = room_new();
	int container = container_of_type(room, VFIO_TYPE1_IOMMU);

	EXPECT_REFUSED(DIRTY_VERSION, room->why, dirty(room, container, 8, START));
	/* Before the argument is even looked at. */
	EXPECT_REFUSED(DIRTY_VERSION, room->why, IOCTL(container, VFIO_IOMMU_DIRTY_PAGES, NULL));
	room_free(room);
}

TEST(type1_dirty, one_flag_at_a_time)
{
	struct room *room = room_new();
	int container = container_of_type(room, VFIO_TYPE1v2_IOMMU);

	EXPECT_REFUSED(CLIENT_FAULT, room->why, IOCTL(container, VFIO_IOMMU_DIRTY_PAGES, NULL));
	EXPECT_REFUSED(ARGSZ_SHORT, room->why, dirty(room, container, 7, START));
	EXPECT_REFUSED(DIRTY_FLAGS, room->why, dirty(room, container, 8, 0));
	EXPECT_REFUSED(DIRTY_FLAGS, room->why, dirty(room, container, 8, START | STOP));
	EXPECT_REFUSED(DIRTY_FLAGS, room->why, dirty(room, container, 8, 8));
	ASSERT_OK(room->why, dirty(room, container, 8, STOP));
	ASSERT_OK(room->why, dirty(room, container, 8, START));
	ASSERT_OK(room->why, dirty(room, container, 8, START));
	EXPECT_REFUSED(ARGSZ_SHORT, room->why, dirty(room, container, 8, GET));
	room_free(room);
}

TEST(type1_dirty, bitmaps_it_refuses)
{
	struct room *room = room_new();
	int container = container_of_type(room, VFIO_TYPE1v2_IOMMU);
	u64 bits[4] = {};

	ASSERT_OK(room->why, MAP(4 * PAGE, 4 * PAGE));
	EXPECT_REFUSED(DIRTY_NOT_TRACKED, room->why, get(room, container, 0, 64 * PAGE, PAGE, bits, 8));
	ASSERT_OK(room->why, dirty(room, container, 8, START));
	EXPECT_REFUSED(DIRTY_RANGE, room->why, get(room, container, 0, 0, PAGE, bits, 8));
	EXPECT_REFUSED(RANGE_OVERFLOWS, room->why, get(room, container, UINT64_MAX, PAGE, PAGE, bits, 8));
	EXPECT_REFUSED(BITMAP_ADDRESS, room->why, get(room, container, 0, PAGE, 0, (void *)BIT(63), 0));
	EXPECT_SUBSTR("0x8000000000000000", room->why.text);
	EXPECT_REFUSED(BITMAP_ADDRESS, room->why, get(room, container, 0, PAGE, PAGE, bits, UINT64_MAX));
	EXPECT_REFUSED(BITMAP_SIZE, room->why, get(room, container, 0, 65 * PAGE, PAGE, bits, 8));
	EXPECT_REFUSED(BITMAP_SIZE, room->why, get(room, container, 0, 64 * PAGE, PAGE, bits, 0));
	EXPECT_REFUSED(BITMAP_SIZE, room->why, get(room, container, 0, PAGE, PAGE, bits, (1ull << 28) + 8));
	EXPECT_REFUSED(BITMAP_SIZE, room->why, get(room, container, 0, 1ull << 63, PAGE, bits, 1ull << 28));
	EXPECT_REFUSED(BITMAP_PAGE_SIZE, room->why, get(room, container, 0, PAGE, 0, bits, 8));
	EXPECT_REFUSED(BITMAP_PAGE_SIZE, room->why, get(room, container, 0, 1 << 21, 1 << 21, bits, 8));
	EXPECT_REFUSED(DIRTY_RANGE, room->why, get(room, container, 1, PAGE, PAGE, bits, 8));
	EXPECT_REFUSED(UNMAP_BISECTS, room->why, get(room, container, 5 * PAGE, 10 * PAGE, PAGE, bits, 8));
	EXPECT_REFUSED(UNMAP_BISECTS, room->why, get(room, container, 0, 5 * PAGE, PAGE, bits, 8));
	EXPECT_REFUSED(CLIENT_FAULT, room->why, get(room, container, 0, 64 * PAGE, PAGE, (void *)PAGE, 8));
	room_free(room);
}

/* Every mapped page, each time; the first word of a mapping is ORed, the ones behind it are written. */
TEST(type1_dirty, every_mapped_page_is_dirty)
{
	struct room *room = room_new();
	int container = container_of_type(room, VFIO_TYPE1v2_IOMMU);
	u64 bits[4] = {1, 2, 0, 0x55};

	ASSERT_OK(room->why, MAP(4 * PAGE, 4 * PAGE));
	ASSERT_OK(room->why, MAP(60 * PAGE, 8 * PAGE));
	ASSERT_OK(room->why, MAP(128 * PAGE, 64 * PAGE));
	ASSERT_OK(room->why, dirty(room, container, 8, START));
	for (unsigned i = 0; i < 2; i++) {
		ASSERT_OK(room->why, get(room, container, 0, 192 * PAGE, PAGE, bits, 24));
		assert_int_equal(bits[0], 0xf0000000000000f1);
		assert_int_equal(bits[1], 0xf);
		assert_int_equal(bits[2], UINT64_MAX);
		assert_int_equal(bits[3], 0x55);
	}
	/* The first bit is the page at iova. */
	memset(bits, 0, sizeof(bits));
	ASSERT_OK(room->why, get(room, container, 60 * PAGE, 8 * PAGE, PAGE, bits, 8));
	assert_int_equal(bits[0], 0xff);
	room_free(room);
}

TEST(type1_dirty, large_bitmaps_come_in_pieces)
{
	struct room *room = room_new();
	int container = container_of_type(room, VFIO_TYPE1v2_IOMMU);
	u64 pages = 64 * 1024 + 3, *bits = calloc(1100, 8);
	void *large = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			   0);

	ASSERT_OK(room->why, room_map(room, container, large, PAGE, pages * PAGE, 3));
	ASSERT_OK(room->why, dirty(room, container, 8, START));
	ASSERT_OK(room->why, get(room, container, 0, (pages + 1) * PAGE, PAGE, bits, 1100 * 8));
	assert_int_equal(bits[0], UINT64_MAX - 1);
	for (unsigned i = 1; i < 1024; i++)
		assert_int_equal(bits[i], UINT64_MAX);
	assert_int_equal(bits[1024], 0xf);
	assert_int_equal(bits[1025], 0);
	munmap(large, pages * PAGE);
	free(bits);
	room_free(room);
}

TEST(type1_dirty, unmap_reports_before_it_removes)
{
	struct room *room = room_new();
	int container = container_of_type(room, VFIO_TYPE1v2_IOMMU);
	u64 bits = 0;
	struct unmap_request request = {
		.head = {.argsz = sizeof(request), .flags = 1, .iova = 0, .size = 64 * PAGE},
		.bitmap = {.pgsize = PAGE, .size = 8, .data = (void *)&bits},
	};

	ASSERT_OK(room->why, MAP(4 * PAGE, 4 * PAGE));
	EXPECT_REFUSED(DIRTY_NOT_TRACKED, room->why, IOCTL(container, VFIO_IOMMU_UNMAP_DMA, &request));
	ASSERT_OK(room->why, dirty(room, container, 8, START));
	request.head.argsz = sizeof(request) - 1;
	EXPECT_REFUSED(ARGSZ_SHORT, room->why, IOCTL(container, VFIO_IOMMU_UNMAP_DMA, &request));
	request.head.argsz = sizeof(request);
	request.bitmap.size = 4;
	EXPECT_REFUSED(BITMAP_SIZE, room->why, IOCTL(container, VFIO_IOMMU_UNMAP_DMA, &request));
	request.bitmap.data = (void *)BIT(63);
	EXPECT_REFUSED(BITMAP_ADDRESS, room->why, IOCTL(container, VFIO_IOMMU_UNMAP_DMA, &request));
	request.bitmap.data = (void *)&bits;
	request.bitmap.size = 8;
	request.bitmap.pgsize = 1 << 21;
	request.head.size = 2 << 20;
	EXPECT_REFUSED(BITMAP_PAGE_SIZE, room->why, IOCTL(container, VFIO_IOMMU_UNMAP_DMA, &request));
	request.bitmap.pgsize = PAGE;
	request.head.size = 64 * PAGE;
	ASSERT_OK(room->why, IOCTL(container, VFIO_IOMMU_UNMAP_DMA, &request));
	assert_int_equal(request.head.size, 4 * PAGE);
	assert_int_equal(bits, 0xf0);
	assert_int_equal(room->client->locked_bytes, 0);
	/* A bitmap that cannot be written ends the unmap where it is. */
	ASSERT_OK(room->why, MAP(4 * PAGE, 4 * PAGE));
	request.head.size = 64 * PAGE;
	request.bitmap.data = (void *)PAGE;
	EXPECT_REFUSED(CLIENT_FAULT, room->why, IOCTL(container, VFIO_IOMMU_UNMAP_DMA, &request));
	assert_int_equal(room->client->locked_bytes, 4 * PAGE);
	room_free(room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(type1_dirty, only_type1v2_has_them),	 CASE(type1_dirty, one_flag_at_a_time),
		CASE(type1_dirty, bitmaps_it_refuses),		 CASE(type1_dirty, every_mapped_page_is_dirty),
		CASE(type1_dirty, large_bitmaps_come_in_pieces), CASE(type1_dirty, unmap_reports_before_it_removes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
