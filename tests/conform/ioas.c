/* SPDX-License-Identifier: MIT */
/* IOAS_ALLOC, IOVA_RANGES, ALLOW_IOVAS, reservations (spec 03 sections 3.1 to 3.4). */
#include <sys/mman.h>

#include "tests/conform/conform.h"

typedef struct iommu_iova_range range;

static answer ask_ranges(int fd, u32 ioas, const range *ranges, u32 *count)
{
	struct iommu_ioas_iova_ranges request = {
		.size = sizeof(request), .ioas_id = ioas, .num_iovas = *count, .allowed_iovas = (uintptr_t)ranges};
	answer got = ask(fd, IOMMU_IOAS_IOVA_RANGES, &request);

	*count = request.num_iovas;
	return got;
}

TEST(alloc_knows_no_flags)
{
	const u32 flags[] = {1, 2, 0x80000000, ~0u};
	int fd = iommu();

	FOR_EACH(flag, flags)
	EXPECT(-EOPNOTSUPP, ASK(fd, IOMMU_IOAS_ALLOC, iommu_ioas_alloc, .flags = *flag));
	EXPECT_EQUAL(1, new_ioas(fd));
}

TEST(an_empty_ioas_reaches_everything_byte_by_byte)
{
	int fd = iommu();
	struct iommu_ioas_iova_ranges request = {.size = sizeof(request), .ioas_id = new_ioas(fd), .num_iovas = 3};
	range ranges[3] = {{7, 7}, {7, 7}, {7, 7}};

	request.allowed_iovas = (uintptr_t)ranges;
	EXPECT(0, ask(fd, IOMMU_IOAS_IOVA_RANGES, &request));
	EXPECT_EQUAL(1, request.num_iovas);
	EXPECT_EQUAL(1, request.out_iova_alignment);
	EXPECT_EQUAL(0, ranges[0].start);
	EXPECT_EQUAL(TOP, ranges[0].last);
	EXPECT_EQUAL(7, ranges[1].start); /* not there, not written */
}

/* As a real 7.2 kernel answered the probe: the number and the alignment come all the same. */
TEST(too_small_an_array_is_told_how_many_there_are)
{
	int fd = iommu();
	struct iommu_ioas_iova_ranges request = {.size = sizeof(request), .ioas_id = new_ioas(fd)};

	EXPECT(-EMSGSIZE, ask(fd, IOMMU_IOAS_IOVA_RANGES, &request));
	EXPECT_EQUAL(1, request.num_iovas);
	EXPECT_EQUAL(1, request.out_iova_alignment);
}

TEST(ranges_are_refused_in_this_order)
{
	int fd = iommu();
	u32 ioas = new_ioas(fd);
	range *nowhere = reserve(PAGE), *half = (range *)((char *)memory(PAGE) + PAGE) - 1;

	EXPECT(-EOPNOTSUPP, ASK(fd, IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, .ioas_id = NOBODY, .__reserved = 1,
				.num_iovas = 1, .allowed_iovas = (uintptr_t)nowhere));
	EXPECT(-ENOENT, ASK(fd, IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, .ioas_id = NOBODY, .num_iovas = 1,
			    .allowed_iovas = (uintptr_t)nowhere));
	EXPECT(-EFAULT, ask_ranges(fd, ioas, nowhere, &(u32){1}));
	EXPECT(-EFAULT, ask_ranges(fd, ioas, NULL, &(u32){1}));
	EXPECT(-EMSGSIZE, ask_ranges(fd, ioas, nowhere, &(u32){0})); /* nothing is written there */
	EXPECT(0, ask_ranges(fd, ioas, half, &(u32){2}));	     /* one range, one place used */
}

TEST(mappings_and_allowed_ranges_do_not_change_the_ranges)
{
	const range allowed = {0x100000, 0x1fffff};
	char *buffer = memory(PAGE);
	int fd = iommu();
	u32 ioas = new_ioas(fd), count = 4;
	range ranges[4];

	EXPECT(0, map_at(fd, ioas, buffer, PAGE, 0x4000));
	EXPECT(0, allow(fd, ioas, &allowed, 1));
	EXPECT(0, ask_ranges(fd, ioas, ranges, &count));
	EXPECT_EQUAL(1, count);
	EXPECT_EQUAL(0, ranges[0].start);
	EXPECT_EQUAL(TOP, ranges[0].last);
}

TEST(reservations_cut_the_ranges)
{
	const range expected[] = {{0, 0xffff}, {0x12000, 0x13fff}, {0x15001, TOP - 1}};
	int fd = iommu();
	u32 ioas = new_ioas(fd), count = 8;
	range ranges[8];

	need_mock();
	EXPECT(0, reserve_iova(fd, ioas, 0x10000, 0x2000));
	EXPECT(0, reserve_iova(fd, ioas, 0x14000, 0x1001));
	EXPECT(0, reserve_iova(fd, ioas, 0x14800, 0x10)); /* they may overlap */
	EXPECT(0, reserve_iova(fd, ioas, TOP, 1));
	EXPECT(0, ask_ranges(fd, ioas, ranges, &count));
	EXPECT_EQUAL(COUNT(expected), count);
	for (u32 i = 0; i < count; i++) {
		about("range %u", i);
		EXPECT_EQUAL(expected[i].start, ranges[i].start);
		EXPECT_EQUAL(expected[i].last, ranges[i].last);
	}
}

TEST(what_fits_of_the_ranges_is_written)
{
	range *last = (range *)((char *)memory(PAGE) + PAGE) - 1;
	int fd = iommu();
	u32 ioas = new_ioas(fd), count = 1;

	need_mock();
	EXPECT(0, reserve_iova(fd, ioas, 0x10000, 0x1000));
	EXPECT(-EMSGSIZE, ask_ranges(fd, ioas, last, &count));
	EXPECT_EQUAL(2, count);
	EXPECT_EQUAL(0, last->start);
	EXPECT_EQUAL(0xffff, last->last);
	count = 2;
	EXPECT(-EFAULT, ask_ranges(fd, ioas, last, &count)); /* the second does not fit into the page */
}

TEST(where_all_is_reserved_there_are_no_ranges)
{
	int fd = iommu();
	u32 ioas = new_ioas(fd), count = 0;

	need_mock();
	EXPECT(0, reserve_iova(fd, ioas, 0, 1ull << 63));
	EXPECT(0, reserve_iova(fd, ioas, 1ull << 63, 1ull << 63));
	EXPECT(0, ask_ranges(fd, ioas, NULL, &count));
	EXPECT_EQUAL(0, count);
}

TEST(a_mock_device_reaches_its_aperture_in_half_pages)
{
	int fd = iommu();
	u32 ioas = new_ioas(fd), count = 4;
	struct mock mock;
	range ranges[4];

	need_mock();
	mock = new_mock(fd, ioas, 0);
	EXPECT(0, ask_ranges(fd, ioas, ranges, &count));
	EXPECT_EQUAL(1, count);
	EXPECT_EQUAL(MOCK_FIRST, ranges[0].start);
	EXPECT_EQUAL(MOCK_LAST, ranges[0].last);
	EXPECT_EQUAL(MOCK_PAGE, alignment_of(fd, ioas));
	EXPECT(0, destroy(fd, mock.stdev));
	EXPECT(0, ask_ranges(fd, ioas, ranges, &count));
	EXPECT_EQUAL(TOP, ranges[0].last);
	EXPECT_EQUAL(1, alignment_of(fd, ioas));
}

/* ---- allowed ranges ---- */

TEST(allow_is_refused_in_this_order)
{
	range *behind = (range *)((char *)memory(PAGE) + PAGE);
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	EXPECT(-EOPNOTSUPP, ASK(fd, IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, .ioas_id = NOBODY, .__reserved = 1,
				.num_iovas = 1));
	EXPECT(-ENOENT, allow(fd, NOBODY, NULL, 1));
	EXPECT(-EFAULT, allow(fd, ioas, NULL, 1));
	behind[-1] = (range){0x1000, 0x1fff};
	EXPECT(-EFAULT, allow(fd, ioas, behind - 1, 2));
	behind[-1] = (range){0x1000, 0xfff};
	EXPECT(-EINVAL, allow(fd, ioas, behind - 1, 2)); /* entry by entry */
	behind[-1] = (range){0x1000, 0x1000};
	EXPECT(-EINVAL, allow(fd, ioas, behind - 1, 1)); /* a single byte is none */
	behind[-1] = (range){0, 0};
	EXPECT(-EINVAL, allow(fd, ioas, behind - 1, 1));
}

TEST(allowed_ranges_may_not_overlap_each_other)
{
	const range overlaps[][2] = {
		{{0x1000, 0x1fff}, {0x1fff, 0x2fff}},
		{{0x1000, 0x1fff}, {0x1000, 0x1fff}},
		{{0x1000, 0x1fff}, {0, TOP}},
		{{0x1000, 0x4fff}, {0x2000, 0x2fff}},
	};
	const range neighbours[] = {{0x2000, 0x2fff}, {0x1000, 0x1fff}, {TOP - 1, TOP}};
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	for (u32 i = 0; i < COUNT(overlaps); i++) {
		about("pair %u", i);
		EXPECT(-EINVAL, allow(fd, ioas, overlaps[i], 2));
	}
	EXPECT(0, allow(fd, ioas, neighbours, 3));
}

TEST(allowed_ranges_and_reservations_exclude_each_other)
{
	const range touching[] = {{0x8000, 0x8fff}, {0x11000, 0x20000}};
	const range clear = {0x12000, 0x20000};
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	need_mock();
	EXPECT(0, reserve_iova(fd, ioas, 0x10000, 0x2000));
	EXPECT(-EADDRINUSE, allow(fd, ioas, touching, 2));
	EXPECT(0, allow(fd, ioas, &clear, 1));
	EXPECT(-EADDRINUSE, reserve_iova(fd, ioas, 0x20000, 0x1000));
	EXPECT(0, reserve_iova(fd, ioas, 0x20001, 0x1000));
	EXPECT(0, allow(fd, ioas, NULL, 0));
	EXPECT(0, reserve_iova(fd, ioas, 0x20000, 0x1000));
}

/* All or nothing: the old ones stay when the new ones are refused. */
TEST(refused_ranges_leave_those_before)
{
	const range good = {0x100000, 0x10ffff}, bad[] = {{0x200000, 0x20ffff}, {5, 5}};
	const range reserved[] = {{0x200000, 0x20ffff}, {0x40000, 0x40001}};
	char *buffer = memory(PAGE);
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	need_mock();
	EXPECT(0, reserve_iova(fd, ioas, 0x40000, 0x1000));
	EXPECT(0, allow(fd, ioas, &good, 1));
	EXPECT(-EINVAL, allow(fd, ioas, bad, 2));
	EXPECT(-EADDRINUSE, allow(fd, ioas, reserved, 2));
	EXPECT_EQUAL(0x100000, map_somewhere(fd, ioas, buffer, PAGE));
}

TEST(a_device_whose_aperture_lacks_an_allowed_range_cannot_attach)
{
	const range low = {0x100000, MOCK_FIRST}, inside = {MOCK_FIRST, MOCK_LAST};
	int fd = iommu();
	u32 ioas = new_ioas(fd);
	struct mock mock;

	need_mock();
	EXPECT(0, allow(fd, ioas, &low, 1));
	EXPECT(-EADDRINUSE, try_mock(fd, ioas, 0, &mock));
	EXPECT(0, allow(fd, ioas, &inside, 1));
	new_mock(fd, ioas, 0);
	EXPECT(-EADDRINUSE, allow(fd, ioas, &low, 1));
}

TEST(a_device_whose_aperture_lacks_an_area_cannot_attach)
{
	char *buffer = memory(PAGE);
	int fd = iommu();
	u32 ioas = new_ioas(fd);
	struct mock mock;

	need_mock();
	EXPECT(0, map_at(fd, ioas, buffer, PAGE, MOCK_FIRST - PAGE));
	EXPECT(-EADDRINUSE, try_mock(fd, ioas, 0, &mock));
	EXPECT(PAGE, unmap(fd, ioas, MOCK_FIRST - PAGE, PAGE));
	new_mock(fd, ioas, 0);
}

/* Half a page fits the mock's tables, a quarter does not. */
TEST(a_device_whose_pages_are_larger_than_an_area_cannot_attach)
{
	const struct {
		u64 iova, length, offset;
		bool fits;
	} rows[] = {
		{MOCK_FIRST, PAGE, 0, true},	     {MOCK_FIRST + 2048, 2048, 2048, true},
		{MOCK_FIRST + 1024, 2048, 0, false}, {MOCK_FIRST, 1024, 0, false},
		{MOCK_FIRST, 2048, 1024, false},     {MOCK_FIRST, 2049, 0, false},
	};
	char *buffer = memory(2 * PAGE);
	int fd = iommu();

	need_mock();
	FOR_EACH(row, rows)
	{
		u32 ioas = new_ioas(fd);
		struct mock mock;

		about("%#llx bytes at %#llx from %#llx", (unsigned long long)row->length, (unsigned long long)row->iova,
		      (unsigned long long)row->offset);
		EXPECT(0, map_at(fd, ioas, buffer + row->offset, row->length, row->iova));
		EXPECT(row->fits ? 0 : -EADDRINUSE, try_mock(fd, ioas, 0, &mock));
		EXPECT_EQUAL(row->fits ? MOCK_PAGE : 1, alignment_of(fd, ioas));
	}
}

TEST(reservations_are_refused_in_this_order)
{
	char *buffer = memory(PAGE);
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	need_mock();
	EXPECT(-EINVAL, reserve_iova(fd, NOBODY, 0, 0));
	EXPECT(-EOVERFLOW, reserve_iova(fd, NOBODY, 2, TOP));
	EXPECT(-ENOENT, reserve_iova(fd, NOBODY, 1, TOP));
	EXPECT(0, map_at(fd, ioas, buffer, PAGE, 0x4000));
	EXPECT(-EADDRINUSE, reserve_iova(fd, ioas, 0x4fff, 1));
	EXPECT(0, reserve_iova(fd, ioas, 0x5000, 1));
	EXPECT(0, reserve_iova(fd, ioas, 0x3fff, 1));
}

SUITE(ioas, CASE(alloc_knows_no_flags), CASE(an_empty_ioas_reaches_everything_byte_by_byte),
      CASE(too_small_an_array_is_told_how_many_there_are), CASE(ranges_are_refused_in_this_order),
      CASE(mappings_and_allowed_ranges_do_not_change_the_ranges), CASE(reservations_cut_the_ranges),
      CASE(what_fits_of_the_ranges_is_written), CASE(where_all_is_reserved_there_are_no_ranges),
      CASE(a_mock_device_reaches_its_aperture_in_half_pages), CASE(allow_is_refused_in_this_order),
      CASE(allowed_ranges_may_not_overlap_each_other), CASE(allowed_ranges_and_reservations_exclude_each_other),
      CASE(refused_ranges_leave_those_before), CASE(a_device_whose_aperture_lacks_an_allowed_range_cannot_attach),
      CASE(a_device_whose_aperture_lacks_an_area_cannot_attach),
      CASE(a_device_whose_pages_are_larger_than_an_area_cannot_attach), CASE(reservations_are_refused_in_this_order));
