/* SPDX-License-Identifier: MIT */
/* Which IOVA is chosen when the caller leaves it open (spec 03 section 3.6), against the rule written down once more.
 */
#include "tests/conform/conform.h"

typedef struct iommu_iova_range range;

enum { MOST_HOLES = 64 };

/* What is free of one IOAS, ascending; and where choice looks. */
struct model {
	range holes[MOST_HOLES];
	unsigned nholes;
	range allowed[4];
	unsigned nallowed; /* 0: everything */
	u64 smallest;	   /* alignment */
};

static u64 power_up(u64 value)
{
	u64 power = 1;

	while (power < value)
		power *= 2;
	return power;
}

static u64 wanted_alignment(u64 address, u64 length)
{
	u64 alignment = power_up(length);

	if (address && (address & -address) < alignment)
		alignment = address & -address;
	return alignment < 2 * MIB ? alignment : 2 * MIB;
}

/* The lowest place in the range, or 0. */
static u64 place_in(range within, u64 address, u64 length, u64 alignment)
{
	u64 place = ((within.start + alignment - 1) & -alignment) | address % PAGE;

	return place < within.last && within.last - place >= length - 1 ? place : 0;
}

static u64 place_in_holes(const struct model *model, range allowed, u64 address, u64 length)
{
	u64 alignment = wanted_alignment(address, length), found = place_in(allowed, address, length, alignment);

	if (!found)
		return 0;
	allowed.start = found;
	for (unsigned i = 0; i < model->nholes; i++) {
		range both = model->holes[i];

		if (both.start < allowed.start)
			both.start = allowed.start;
		if (both.last > allowed.last)
			both.last = allowed.last;
		found = both.start <= both.last ? place_in(both, address, length, alignment) : 0;
		if (found)
			return found;
	}
	return 0;
}

static u64 place(const struct model *model, u64 address, u64 length)
{
	u64 found = 0;

	if (!model->nallowed)
		return place_in_holes(model, (range){PAGE, TOP - PAGE}, address, length);
	for (unsigned i = 0; !found && i < model->nallowed; i++)
		found = place_in_holes(model, model->allowed[i], address, length);
	return found;
}

static void fill(struct model *model, u64 start, u64 last)
{
	for (unsigned i = 0; i < model->nholes; i++) {
		range hole = model->holes[i];

		if (start < hole.start || last > hole.last)
			continue;
		EXPECT_TRUE(model->nholes < MOST_HOLES);
		memmove(&model->holes[i + 2], &model->holes[i + 1], (model->nholes - i - 1) * sizeof(range));
		model->holes[i] = (range){hole.start, start - 1};
		model->holes[i + 1] = (range){last + 1, hole.last};
		model->nholes++;
		return;
	}
	EXPECT_TRUE(false);
}

struct wish {
	u64 offset, length; /* in the buffer */
};

/* The buffer begins at a multiple of 2 MiB, so that offsets say what an address is aligned to. */
static const struct wish wishes[] = {
	{0, PAGE},
	{0, 2 * PAGE},
	{0, PAGE},
	{PAGE, PAGE},
	{PAGE, 8 * PAGE},
	{2 * PAGE, 16 * PAGE},
	{0, 3 * PAGE},
	{0, MIB},
	{0, 2 * MIB},
	{PAGE, MIB},
	{512 * KIB, MIB},
	{0, 3 * MIB},
	{4 * PAGE, 7 * PAGE},
	{0, 100 * PAGE},
	{64 * KIB, PAGE},
	{64 * KIB, 64 * KIB},
	{0, 2 * PAGE},
	{8 * PAGE, 2 * MIB},
};

static const struct wish odd_wishes[] = {
	{1, 1}, {0, 1}, {100, 1}, {2048, 2048}, {PAGE - 1, 2}, {3, 5000}, {512, 512}, {0, 4095}, {PAGE + 256, 256},
};

static char *aligned_buffer(void)
{
	char *buffer = reserve(8 * MIB);

	return buffer + (-(uintptr_t)buffer & (2 * MIB - 1));
}

static void check_wishes(int fd, u32 ioas, struct model *model, const struct wish *list, unsigned count)
{
	char *buffer = aligned_buffer(); /* nothing is there, and nothing is pinned */

	for (unsigned i = 0; i < count; i++) {
		u64 address = (uintptr_t)buffer + list[i].offset, expected = place(model, address, list[i].length);

		about("wish %u: %#llx bytes from %#llx", i, (unsigned long long)list[i].length,
		      (unsigned long long)list[i].offset);
		EXPECT_TRUE(expected);
		EXPECT_EQUAL(expected, map_somewhere(fd, ioas, (void *)address, list[i].length));
		fill(model, expected, expected + list[i].length - 1);
	}
}

TEST(the_lowest_place_aligned_as_length_and_address_are)
{
	struct model model = {.holes = {{1, TOP}}, .nholes = 1};
	int fd = iommu();

	check_wishes(fd, new_ioas(fd), &model, wishes, COUNT(wishes));
}

/* As a real 7.2 kernel answered the probe. */
TEST(the_first_two_of_two_pages_are_at_0x2000_and_0x4000)
{
	char *buffer = aligned_buffer();
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	EXPECT_EQUAL(0x2000, map_somewhere(fd, ioas, buffer, 2 * PAGE));
	EXPECT_EQUAL(0x4000, map_somewhere(fd, ioas, buffer, 2 * PAGE));
}

TEST(the_offset_in_a_page_is_kept)
{
	struct model model = {.holes = {{1, TOP}}, .nholes = 1};
	int fd = iommu();

	check_wishes(fd, new_ioas(fd), &model, odd_wishes, COUNT(odd_wishes));
}

TEST(areas_and_reservations_are_avoided)
{
	struct model model = {.holes = {{1, TOP}}, .nholes = 1};
	int fd = iommu();
	u32 ioas = new_ioas(fd);
	char *buffer = aligned_buffer();

	need_mock();
	EXPECT(0, map_at(fd, ioas, buffer, 3 * PAGE, 0x2000));
	fill(&model, 0x2000, 0x4fff);
	EXPECT(0, reserve_iova(fd, ioas, 0x8000, 0x1800));
	fill(&model, 0x8000, 0x97ff);
	EXPECT(0, reserve_iova(fd, ioas, 0x100000, 0x100001));
	fill(&model, 0x100000, 0x200000);
	check_wishes(fd, ioas, &model, wishes, COUNT(wishes));
}

TEST(allowed_ranges_are_searched_in_their_order)
{
	/* 64 KiB, 1 MiB that is not aligned, and a lot. */
	const range allowed[] = {{0x1001000, 0x10fffff + 0x1000}, {0x40000000, 0x7fffffff}, {0x10000, 0x1ffff}};
	const range ascending[] = {{0x10000, 0x1ffff}, {0x1001000, 0x10fffff + 0x1000}, {0x40000000, 0x7fffffff}};
	struct model model = {.holes = {{1, TOP}}, .nholes = 1, .nallowed = COUNT(ascending)};
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	memcpy(model.allowed, ascending, sizeof(ascending));
	EXPECT(0, allow(fd, ioas, allowed, COUNT(allowed)));
	check_wishes(fd, ioas, &model, wishes, COUNT(wishes));
}

TEST(neighbouring_allowed_ranges_are_one)
{
	const range allowed[] = {{0x10000, 0x17fff}, {0x18000, 0x1ffff}};
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	EXPECT(0, allow(fd, ioas, allowed, 2));
	EXPECT_EQUAL(0x10000, map_somewhere(fd, ioas, aligned_buffer(), 0x10000));
}

static answer choose(int fd, u32 ioas, const void *address, u64 length)
{
	return ASK(fd, IOMMU_IOAS_MAP, iommu_ioas_map, .flags = RW, .ioas_id = ioas, .user_va = (uintptr_t)address,
		   .length = length);
}

TEST(without_a_place_there_is_no_space)
{
	const range allowed = {0x10000, 0x1ffff};
	char *buffer = aligned_buffer();
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	EXPECT(0, allow(fd, ioas, &allowed, 1));
	EXPECT(-ENOSPC, choose(fd, ioas, buffer, 0x10001));
	EXPECT(-ENOSPC, choose(fd, ioas, buffer, 0x20000));
	EXPECT(0, choose(fd, ioas, buffer, 0xf000));
	EXPECT(-ENOSPC, choose(fd, ioas, buffer, 0x2000));
	EXPECT(0, choose(fd, ioas, buffer, 0x1000));
	EXPECT(-ENOSPC, choose(fd, ioas, buffer, 0x1000));
	EXPECT(0, map_at(fd, ioas, buffer, PAGE, 0x30000)); /* fixed ones may be elsewhere */
}

/* A single byte that is free is never chosen: the place must lie before the last byte of the hole. */
TEST(a_place_may_not_be_the_last_byte_of_a_hole)
{
	const range allowed = {0x10000, 0x10001};
	char *buffer = aligned_buffer();
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	EXPECT(0, allow(fd, ioas, &allowed, 1));
	EXPECT(0, map_at(fd, ioas, buffer, 1, 0x10000));
	EXPECT(-ENOSPC, choose(fd, ioas, buffer + 1, 1));
	EXPECT(1, unmap(fd, ioas, 0x10000, 1));
	EXPECT(0, choose(fd, ioas, buffer, 1));
}

TEST(the_first_and_the_last_page_are_never_chosen)
{
	const range low = {0, 0xfff}, last = {TOP - 0xfff, TOP};
	char *buffer = aligned_buffer();
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	EXPECT(0, allow(fd, ioas, &low, 1));
	EXPECT(-ENOSPC, choose(fd, ioas, buffer, 1));
	EXPECT(0, allow(fd, ioas, &last, 1));
	EXPECT(-ENOSPC, choose(fd, ioas, buffer, 1));
	EXPECT(0, map_at(fd, ioas, buffer, PAGE, 0));
	EXPECT(0, map_at(fd, ioas, buffer, PAGE - 1, TOP - 0xfff));
}

TEST(nearly_everything_reserved_leaves_no_space)
{
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	need_mock();
	EXPECT(0, reserve_iova(fd, ioas, 0x6000, 0xffffffffffff8001));
	EXPECT(-ENOSPC, choose(fd, ioas, aligned_buffer(), 0x5000));
	EXPECT(0, choose(fd, ioas, aligned_buffer(), 0x2000));
}

TEST(with_a_device_lengths_are_whole_pages_of_its_tables)
{
	struct model model = {.holes = {{MOCK_FIRST, MOCK_LAST}}, .nholes = 1};
	char *buffer = memory(2 * MIB);
	int fd = iommu();
	u32 ioas = new_ioas(fd);

	need_mock();
	new_mock(fd, ioas, 0);
	for (u64 length = 2048; length <= MIB; length *= 2) {
		u64 expected = place(&model, (uintptr_t)buffer, length);

		about("%#llx bytes", (unsigned long long)length);
		EXPECT(-EINVAL, choose(fd, ioas, buffer, length - 1));
		EXPECT(-EINVAL, choose(fd, ioas, buffer, length + 1024));
		EXPECT(-EINVAL, choose(fd, ioas, buffer + 1024, length));
		EXPECT_EQUAL(expected, map_somewhere(fd, ioas, buffer, length));
		fill(&model, expected, expected + length - 1);
	}
}

TEST(copies_and_files_are_placed_by_the_offset_of_their_source)
{
	int fd = iommu(), file = new_file(16 * PAGE);
	u32 ioas = new_ioas(fd), other = new_ioas(fd);
	struct iommu_ioas_map_file request = {
		.size = sizeof(request), .flags = RW, .ioas_id = ioas, .fd = file, .length = 8 * PAGE};
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy), .flags = RW, .dst_ioas_id = other, .src_ioas_id = ioas, .length = 4 * PAGE};

	EXPECT(0, ask(fd, IOMMU_IOAS_MAP_FILE, &request)); /* from 0: as aligned as the length is */
	EXPECT_EQUAL(8 * PAGE, request.iova);
	copy.src_iova = request.iova + 2 * PAGE;
	request.start = 2 * PAGE;
	EXPECT(0, ask(fd, IOMMU_IOAS_MAP_FILE, &request));
	EXPECT_EQUAL(16 * PAGE, request.iova);
	request.length = PAGE;
	request.start = 512;
	EXPECT(0, ask(fd, IOMMU_IOAS_MAP_FILE, &request));
	EXPECT_EQUAL(PAGE + 512, request.iova);
	EXPECT(0, ask(fd, IOMMU_IOAS_COPY, &copy));
	EXPECT_EQUAL(2 * PAGE, copy.dst_iova);
	EXPECT(0, ask(fd, IOMMU_IOAS_COPY, &copy));
	EXPECT_EQUAL(6 * PAGE, copy.dst_iova);
}

SUITE(iova, CASE(the_lowest_place_aligned_as_length_and_address_are),
      CASE(the_first_two_of_two_pages_are_at_0x2000_and_0x4000), CASE(the_offset_in_a_page_is_kept),
      CASE(areas_and_reservations_are_avoided), CASE(allowed_ranges_are_searched_in_their_order),
      CASE(neighbouring_allowed_ranges_are_one), CASE(without_a_place_there_is_no_space),
      CASE(a_place_may_not_be_the_last_byte_of_a_hole), CASE(the_first_and_the_last_page_are_never_chosen),
      CASE(nearly_everything_reserved_leaves_no_space), CASE(with_a_device_lengths_are_whole_pages_of_its_tables),
      CASE(copies_and_files_are_placed_by_the_offset_of_their_source));
