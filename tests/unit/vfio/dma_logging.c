/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/mman.h>

#include "tests/fixtures/room.h"
#include "tests/fixtures/toy_mover.h"

#define SET VFIO_DEVICE_FEATURE_SET
#define GET VFIO_DEVICE_FEATURE_GET

#define PAGES 64ull
#define IOVA  (1ull << 24)

struct fixture {
	struct room *room;
	struct toy_mover toy;
	struct room_device opened;
	struct dma_port *port;
	u8 *memory; /* PAGES, at IOVA */
};

static struct fixture *setup(void)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct iommu_device *device;

	f->room = room_new();
	device = room_device(f->room, ROOM_NARROW);
	toy_mover_init(&f->toy, device->function, false);
	f->opened = room_open_device(f->room, ROOM_NARROW, VFIO_TYPE1v2_IOMMU);
	f->port = device->port;
	f->memory = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_OK(f->room->why, room_map(f->room, f->opened.container, f->memory, IOVA, PAGES * PAGE_SIZE,
					 VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE));
	room_set_config(f->room, f->opened.device, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	return f;
}

static void teardown(struct fixture *f)
{
	struct pci_function *function = room_device(f->room, ROOM_NARROW)->function;

	room_close_device(f->room, &f->opened);
	function->model = NULL;
	function->migration = NULL;
	room_free(f->room);
	munmap(f->memory, PAGES * PAGE_SIZE);
	free(f);
}

typedef struct vfio_device_feature_dma_logging_range range;

static long start_with(struct fixture *f, u64 page_size, u64 count, const range *ranges, u64 *ret_page_size)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_dma_logging_control control;
	} request = {
		{sizeof(request), SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START},
		{.page_size = page_size, .num_ranges = (u32)count, .ranges = (uintptr_t)ranges},
	};
	long ret = room_ioctl(f->room, f->opened.device, VFIO_DEVICE_FEATURE, &request);

	*ret_page_size = request.control.page_size;
	return ret;
}

static long start(struct fixture *f, u64 page_size, u64 count, const range *ranges)
{
	return start_with(f, page_size, count, ranges, &page_size);
}

static long stop(struct fixture *f)
{
	struct vfio_device_feature request = {sizeof(request), SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP};

	return room_ioctl(f->room, f->opened.device, VFIO_DEVICE_FEATURE, &request);
}

static long report(struct fixture *f, u64 iova, u64 length, u64 page_size, void *bitmap)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_dma_logging_report report;
	} request = {{sizeof(request), GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT},
		     {iova, length, page_size, (uintptr_t)bitmap}};

	return room_ioctl(f->room, f->opened.device, VFIO_DEVICE_FEATURE, &request);
}

/* Of all memory, 4 KiB a bit. */
static u64 reported(struct fixture *f)
{
	u64 bits = 0;

	ASSERT_OK(f->room->why, report(f, IOVA, PAGES * PAGE_SIZE, PAGE_SIZE, &bits));
	return bits;
}

static void device_writes(struct fixture *f, u64 page, u64 size)
{
	u8 data[3 * PAGE_SIZE] = {0};

	assert_int_equal(dma_write(f->port, IOVA + page * PAGE_SIZE + 7, data, size), DMA_OK);
}

static const range everything = {IOVA, PAGES *PAGE_SIZE};

TEST(dma_logging, writes_are_told_once)
{
	struct fixture *f = setup();
	u8 data[64];
	u64 bits = 1ull << 60;

	device_writes(f, 1, 1);
	ASSERT_OK(f->room->why, start(f, PAGE_SIZE, 1, &everything));
	assert_int_equal(reported(f), 0);
	device_writes(f, 2, 1);
	device_writes(f, 5, PAGE_SIZE);
	device_writes(f, 61, 2 * PAGE_SIZE);
	/* Reads are none, and what faults has written nothing. */
	assert_int_equal(dma_read(f->port, IOVA + 40 * PAGE_SIZE, data, sizeof(data)), DMA_OK);
	assert_int_equal(dma_write(f->port, IOVA - 1, data, 2), DMA_FAULT);
	/* Bits that were set stay. */
	ASSERT_OK(f->room->why, report(f, IOVA, PAGES * PAGE_SIZE, PAGE_SIZE, &bits));
	assert_int_equal(bits, 1ull << 60 | 1 << 2 | 3 << 5 | 7ull << 61);
	assert_int_equal(reported(f), 0);
	teardown(f);
}

TEST(dma_logging, copies_are_writes)
{
	struct fixture *f = setup();
	u8 buffer[PAGE_SIZE];
	struct dma_fault fault;

	ASSERT_OK(f->room->why, start(f, PAGE_SIZE, 1, &everything));
	memset(f->memory, 7, PAGE_SIZE);
	assert_int_equal(dma_copy(f->port, 0, IOVA + 10 * PAGE_SIZE, IOVA, buffer, PAGE_SIZE, &fault), DMA_OK);
	assert_int_equal(f->memory[10 * PAGE_SIZE], 7);
	assert_int_equal(reported(f), 1 << 10);
	assert_int_equal(dma_copy(f->port, 0, IOVA + PAGE_SIZE / 2, IOVA, buffer, PAGE_SIZE, &fault), DMA_OK);
	assert_int_equal(reported(f), 3);
	teardown(f);
}

TEST(dma_logging, ranges_are_all_that_is_logged)
{
	struct fixture *f = setup();
	const range ranges[] = {{IOVA + 32 * PAGE_SIZE, 8 * PAGE_SIZE}, {IOVA, 0}, {IOVA, 2 * PAGE_SIZE}};
	u32 few = 0;

	ASSERT_OK(f->room->why, start(f, PAGE_SIZE, 3, ranges));
	for (u64 page = 0; page < 64; page++)
		device_writes(f, page, 1);
	/* In larger pages, and only of some. */
	ASSERT_OK(f->room->why, report(f, IOVA + 36 * PAGE_SIZE, 16 * PAGE_SIZE, 2 * PAGE_SIZE, &few));
	assert_int_equal(few, 3);
	assert_int_equal(reported(f), 0xfull << 32 | 3);
	teardown(f);
}

TEST(dma_logging, start_judges_its_ranges)
{
	struct fixture *f = setup();
	range many[257], overlapping[] = {{0, 4 * PAGE_SIZE}, {8 * PAGE_SIZE, PAGE_SIZE}, {3 * PAGE_SIZE, PAGE_SIZE}};

	for (unsigned i = 0; i < 257; i++)
		many[i] = (range){i * PAGE_SIZE, PAGE_SIZE};
	EXPECT_REFUSED(LOGGING_NO_RANGES, f->room->why, start(f, 1, 0, NULL));
	EXPECT_REFUSED(LOGGING_MANY_RANGES, f->room->why, start(f, PAGE_SIZE, 257, NULL));
	EXPECT_REFUSED(CLIENT_FAULT, f->room->why, start(f, PAGE_SIZE, 256, NULL));
	EXPECT_REFUSED(LOGGING_RANGE, f->room->why, start(f, PAGE_SIZE, 1, &(range){100, PAGE_SIZE}));
	EXPECT_REFUSED(LOGGING_RANGE, f->room->why, start(f, PAGE_SIZE, 1, &(range){PAGE_SIZE, 100}));
	/* Aligned comes before beyond, beyond before overlapping; each range is looked at alone. */
	EXPECT_REFUSED(LOGGING_RANGE, f->room->why, start(f, PAGE_SIZE, 1, &(range){1, UINT64_MAX}));
	EXPECT_REFUSED(LOGGING_OVERFLOW, f->room->why, start(f, PAGE_SIZE, 1, &(range){0ull - PAGE_SIZE, PAGE_SIZE}));
	EXPECT_REFUSED(LOGGING_RANGE, f->room->why, start(f, PAGE_SIZE, 3, overlapping));
	EXPECT_SUBSTR("overlaps", f->room->why.text);
	ASSERT_OK(f->room->why, start(f, PAGE_SIZE, 256, many));
	EXPECT_REFUSED(LOGGING_ACTIVE, f->room->why, start(f, PAGE_SIZE, 1, many));
	ASSERT_OK(f->room->why, stop(f));
	ASSERT_OK(f->room->why, stop(f));
	teardown(f);
}

TEST(dma_logging, the_page_size_is_answered)
{
	struct fixture *f = setup();
	u64 page_size;

	ASSERT_OK(f->room->why, start_with(f, 1, 1, &everything, &page_size));
	assert_int_equal(page_size, PAGE_SIZE);
	stop(f);
	ASSERT_OK(f->room->why, start_with(f, 0, 1, &(range){0, 0}, &page_size));
	assert_int_equal(page_size, PAGE_SIZE);
	stop(f);
	ASSERT_OK(f->room->why, start_with(f, 1 << 16, 1, &everything, &page_size));
	assert_int_equal(page_size, 1 << 16);
	device_writes(f, 17, 1);
	assert_int_equal(reported(f), 0xffffull << 16);
	stop(f);
	ASSERT_OK(f->room->why, start_with(f, PAGE_SIZE, 1, &(range){0, 1ull << 63}, &page_size));
	assert_int_equal(page_size, 1ull << 32);
	teardown(f);
}

TEST(dma_logging, reports_judge_their_arguments)
{
	struct fixture *f = setup();
	u64 bits = 0;

	/* In that order. */
	EXPECT_REFUSED(LOGGING_PAGE_SIZE, f->room->why, report(f, UINT64_MAX, 2, 2048, &bits));
	EXPECT_REFUSED(LOGGING_PAGE_SIZE, f->room->why, report(f, UINT64_MAX, 2, 5000, &bits));
	EXPECT_REFUSED(LOGGING_OVERFLOW, f->room->why, report(f, UINT64_MAX, 2, 4096, &bits));
	EXPECT_REFUSED(LOGGING_INACTIVE, f->room->why, report(f, IOVA, PAGE_SIZE, 4096, &bits));
	ASSERT_OK(f->room->why, start(f, PAGE_SIZE, 1, &everything));
	device_writes(f, 0, 1);
	ASSERT_OK(f->room->why, report(f, IOVA, 0, 4096, &bits));
	/* As Linux: no failure. What was not told is told next time. */
	ASSERT_OK(f->room->why, report(f, IOVA, PAGES * PAGE_SIZE, 4096, NULL));
	assert_int_equal(reported(f), 1);
	teardown(f);
}

TEST(dma_logging, ends_with_the_session)
{
	struct fixture *f = setup();

	ASSERT_OK(f->room->why, start(f, PAGE_SIZE, 1, &everything));
	/* Not by a reset. */
	ASSERT_OK(f->room->why, room_ioctl(f->room, f->opened.device, VFIO_DEVICE_RESET, NULL));
	EXPECT_REFUSED(LOGGING_ACTIVE, f->room->why, start(f, PAGE_SIZE, 1, &everything));
	room_close_device(f->room, &f->opened);
	f->opened = room_open_device(f->room, ROOM_NARROW, VFIO_TYPE1v2_IOMMU);
	EXPECT_REFUSED(LOGGING_INACTIVE, f->room->why, report(f, IOVA, PAGE_SIZE, 4096, NULL));
	teardown(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(dma_logging, writes_are_told_once),	  CASE(dma_logging, copies_are_writes),
		CASE(dma_logging, ranges_are_all_that_is_logged), CASE(dma_logging, start_judges_its_ranges),
		CASE(dma_logging, the_page_size_is_answered),	  CASE(dma_logging, reports_judge_their_arguments),
		CASE(dma_logging, ends_with_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
