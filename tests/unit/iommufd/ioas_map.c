/* SPDX-License-Identifier: MIT */
/* MAP, COPY and UNMAP: every refusal, in the order Linux gives them, and what the domains have afterwards. */
#include "iommufd/ioas.h"

#include "tests/fixtures/ioas_room.h"

/* ---- MAP: refusals ---- */

static long map_raw(struct iommufd_room *self, struct iommu_ioas_map map)
{
	map.size = sizeof(map);
	return iommufd_ask(self, IOMMU_IOAS_MAP, &map);
}

/* Each request has everything wrong from one step of the decoding on. */
IOAS_TEST(map, refusals_in_their_order)
{
	struct iommu_ioas_map map = {
		.flags = 8,
		.ioas_id = 9,
		.__reserved = 1,
		.user_va = UINT64_MAX,
		.length = UINT64_MAX,
		.iova = UINT64_MAX,
	};

	EXPECT_REFUSED(FLAGS_UNKNOWN, self->why, map_raw(self, map));
	map.flags = 0;
	EXPECT_REFUSED(RESERVED_SET, self->why, map_raw(self, map));
	map.__reserved = 0;
	EXPECT_REFUSED(RANGE_OVERFLOWS, self->why, map_raw(self, map));
	map.iova = 0;
	EXPECT_REFUSED(RANGE_OVERFLOWS, self->why, map_raw(self, map));
	map.length = 2;
	EXPECT_REFUSED(IOAS_MAP_FLAGS, self->why, map_raw(self, map));
	map.flags = IOAS_R;
	EXPECT_REFUSED(OBJECT_MISSING, self->why, map_raw(self, map));
	map.ioas_id = 1;
	EXPECT_REFUSED(RANGE_OVERFLOWS, self->why, map_raw(self, map));
	EXPECT_SUBSTR("address 0xffffffffffffffff", self->why.text);
	/* The end of a range is its first byte behind: 2^64 is too far. */
	map.length = 1;
	EXPECT_REFUSED(RANGE_OVERFLOWS, self->why, map_raw(self, map));
	map.length = 0;
	EXPECT_REFUSED(IOAS_RANGE_EMPTY, self->why, map_raw(self, map));
	map.user_va = 0;
	map.length = UINT64_MAX - 1;
	EXPECT_REFUSED(IOAS_RANGE_EMPTY, self->why, map_raw(self, map));
}

IOAS_TEST(map, fixed_refusals_in_their_order)
{
	struct domain *domain = domain_join(self, 1);
	struct ioas *ioas = ioas_by_id(self, 1);
	u8 *memory = pages_of_memory(2);

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_reserve(ioas, 0x20000, 0x20fff, NULL, &self->why));
	/* The length, before the iova. */
	EXPECT_REFUSED(IOAS_MISALIGNED, self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE + 1, 1));
	EXPECT_SUBSTR("length 0x1001", self->why.text);
	EXPECT_REFUSED(IOAS_MISALIGNED, self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, UINT64_MAX - 1));
	EXPECT_SUBSTR("iova 0xfffffffffffffffe", self->why.text);
	EXPECT_REFUSED(RANGE_OVERFLOWS, self->why,
		       ioas_map_at(self, 1, IOAS_RW, memory, 2 * PAGE_SIZE, align_down(UINT64_MAX, PAGE_SIZE)));
	EXPECT_REFUSED(IOAS_RESERVED, self->why, ioas_map_at(self, 1, IOAS_RW, memory, 17 * PAGE_SIZE, 0x10000));
	EXPECT_SUBSTR("[0x20000, 0x20fff]", self->why.text);
	EXPECT_REFUSED(IOVA_MAPPED, self->why, ioas_map_at(self, 1, IOAS_RW, memory + 1, 16 * PAGE_SIZE, 0x10000));
	/* The source, after the iova. */
	EXPECT_REFUSED(IOAS_MISALIGNED, self->why, ioas_map_at(self, 1, IOAS_RW, memory + 1, PAGE_SIZE, 0x30000));
	EXPECT_SUBSTR("byte 0x1 of a page", self->why.text);
	/* The memory, at last. */
	EXPECT_REFUSED(CLIENT_FAULT, self->why, ioas_map_at(self, 1, IOAS_RW, (u8 *)PAGE_SIZE, PAGE_SIZE, 0x30000));
	assert_int_equal(ioas->space.areas.count, 1);
	assert_int_equal(self->room.client->pinned_bytes, PAGE_SIZE);
	domain_leave(domain);
	munmap(memory, 2 * PAGE_SIZE);
}

/* The neighbours of a mapping are free, every overlap is refused. */
IOAS_TEST(map, overlaps_of_all_kinds)
{
	static const struct {
		u64 start, pages;
		bool free;
	} places[] = {
		{0x0f000, 1, true},  {0x0f000, 2, false}, {0x10000, 1, false}, {0x11000, 1, false},
		{0x10000, 3, false}, {0x0f000, 4, false}, {0x12000, 1, true},  {0x11000, 2, false},
	};
	u8 *memory = pages_of_memory(4);

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 2 * PAGE_SIZE, 0x10000));
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		u64 size = places[i].pages * PAGE_SIZE;

		if (!places[i].free) {
			EXPECT_REFUSED(IOVA_MAPPED, self->why,
				       ioas_map_at(self, 1, IOAS_RW, memory, size, places[i].start));
			continue;
		}
		ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, size, places[i].start));
		assert_int_equal(ioas_unmap_range(self, 1, places[i].start, size), size);
	}
	munmap(memory, 4 * PAGE_SIZE);
}

IOAS_TEST(map, without_a_domain_nothing_is_looked_at)
{
	struct domain *domain;

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, (u8 *)PAGE_SIZE, PAGE_SIZE, 0x10000));
	/* Any byte, any length, up to the last byte of all. */
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, (u8 *)0x1234567, 1, 0x20001));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, (u8 *)0x1234567, 3, UINT64_MAX - 2));
	/* More than there could be frames for. */
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, NULL, BIT(62), BIT(62)));
	assert_int_equal(self->room.client->pinned_bytes, 0);
	assert_int_equal(ioas_unmap_range(self, 1, BIT(62), BIT(62)), BIT(62));
	assert_int_equal(ioas_unmap_range(self, 1, 0x20001, 1), 1);
	assert_int_equal(ioas_unmap_range(self, 1, UINT64_MAX - 2, 3), 3);
	EXPECT_REFUSED(CLIENT_FAULT, self->why, domain_try(self, ioas_by_id(self, 1), &domain, &self->why));
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), PAGE_SIZE);
}

/* The second half is missing: nothing of the first is left. */
IOAS_TEST(map, memory_that_ends_half_way)
{
	struct domain *domain = domain_join(self, 1);
	u8 *memory = pages_of_memory(4);

	munmap(memory + 2 * PAGE_SIZE, 2 * PAGE_SIZE);
	EXPECT_REFUSED(CLIENT_FAULT, self->why, ioas_map_at(self, 1, IOAS_RW, memory, 4 * PAGE_SIZE, 0x10000));
	assert_null(ioas_area_at(ioas_by_id(self, 1), 0x10000));
	assert_true(isolde_pt_iova_to_phys(domain->pt, 0x10000) == 0);
	assert_int_equal(self->room.client->pinned_bytes, 0);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 2 * PAGE_SIZE, 0x10000));
	domain_leave(domain);
	munmap(memory, 2 * PAGE_SIZE);
}

IOAS_TEST(map, read_only_memory_may_only_be_read)
{
	struct domain *domain = domain_join(self, 1);
	u8 *memory = pages_of_memory(1);

	memory[0] = 5;
	mprotect(memory, PAGE_SIZE, PROT_READ);
	EXPECT_REFUSED(CLIENT_FAULT, self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x10000));
	EXPECT_REFUSED(CLIENT_FAULT, self->why, ioas_map_at(self, 1, IOAS_W, memory, PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, memory, PAGE_SIZE, 0x10000));
	device_use(self, domain);
	assert_true(device_reads(self, 0x10000, 5));
	assert_false(device_writes(self, 0x10000, 6));
	device_use(self, NULL);
	domain_leave(domain);
	munmap(memory, PAGE_SIZE);
}

IOAS_TEST(map, devices_reach_it_at_once_and_not_after_unmap)
{
	struct domain *domain = domain_join(self, 1);
	u8 *memory = pages_of_memory(2);
	u64 iova = 0;

	device_use(self, domain);
	ASSERT_OK(self->why, ioas_map(self, 1, IOAS_RW, memory, 2 * PAGE_SIZE, &iova));
	memory[PAGE_SIZE + 7] = 77;
	assert_true(device_reads(self, iova + PAGE_SIZE + 7, 77));
	assert_true(device_writes(self, iova + 1, 78));
	assert_int_equal(memory[1], 78);
	assert_int_equal(ioas_unmap_range(self, 1, iova, 2 * PAGE_SIZE), 2 * PAGE_SIZE);
	assert_false(device_reads(self, iova + PAGE_SIZE + 7, 77));
	/* What the program has unmapped itself is gone for the device, too; that ends no process. */
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 2 * PAGE_SIZE, iova));
	munmap(memory, 2 * PAGE_SIZE);
	assert_false(device_reads(self, iova, 0));
	assert_int_equal(self->room.fault.reason, DMA_FAULT_MEMORY);
	device_use(self, NULL);
	domain_leave(domain);
}

IOAS_TEST(map, a_domain_that_joins_has_what_was_mapped_before)
{
	struct domain *first, *second;
	u8 *memory = pages_of_memory(1);

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x10000));
	first = domain_join(self, 1);
	assert_int_equal(self->room.client->pinned_bytes, PAGE_SIZE);
	second = domain_join(self, 1);
	assert_int_equal(self->room.client->pinned_bytes, PAGE_SIZE);
	device_use(self, second);
	assert_true(device_writes(self, 0x10000, 9));
	assert_int_equal(memory[0], 9);
	domain_leave(first);
	assert_true(device_writes(self, 0x10000, 10));
	assert_int_equal(self->room.client->pinned_bytes, PAGE_SIZE);
	device_use(self, NULL);
	domain_leave(second);
	assert_int_equal(self->room.client->pinned_bytes, 0);
	munmap(memory, PAGE_SIZE);
}

/* Areas before the one that cannot be pinned are let go again. */
IOAS_TEST(map, a_domain_joins_with_all_or_nothing)
{
	struct ioas *ioas = ioas_by_id(self, 1);
	struct domain *domain;
	u8 *memory = pages_of_memory(2);

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory + PAGE_SIZE, PAGE_SIZE, 0x20000));
	munmap(memory + PAGE_SIZE, PAGE_SIZE);
	EXPECT_REFUSED(CLIENT_FAULT, self->why, domain_try(self, ioas, &domain, &self->why));
	assert_int_equal(self->room.client->pinned_bytes, 0);
	assert_int_equal(ioas->reserved.count, 0);
	assert_int_equal(ioas_unmap_range(self, 1, 0x20000, PAGE_SIZE), PAGE_SIZE);
	domain_leave(domain_join(self, 1));
	munmap(memory, PAGE_SIZE);
}

/* Where the mapper's memory has become inaccessible, what another domain has pinned can still be shared. */
IOAS_TEST(map, what_is_pinned_goes_into_further_domains)
{
	struct domain *first, *second;
	u8 *memory = pages_of_memory(1);

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x10000));
	first = domain_join(self, 1);
	munmap(memory, PAGE_SIZE);
	second = domain_join(self, 1);
	domain_leave(first);
	domain_leave(second);
	EXPECT_REFUSED(CLIENT_FAULT, self->why, domain_try(self, ioas_by_id(self, 1), &first, &self->why));
}

/* ---- chosen IOVAs ---- */

IOAS_TEST(choose, keeps_the_alignment_of_length_and_source)
{
	struct ioas *ioas = ioas_by_id(self, 1);

	for (u64 size = 1; size < 0x4000000; size = size * 3 + 1) {
		for (u64 address = 0; address < 0x4000000; address = address * 5 + 0x600) {
			u64 wanted = 1, iova = 0;

			while (wanted < size)
				wanted <<= 1;
			wanted = min_u64(wanted, 0x200000);
			if (address)
				wanted = min_u64(wanted, address & -address);
			ASSERT_OK(self->why, ioas_choose_iova(ioas, address, size, &iova, &self->why));
			assert_true(iova >= PAGE_SIZE);
			assert_int_equal(iova % wanted, 0);
			assert_int_equal(iova % PAGE_SIZE, (wanted < PAGE_SIZE ? iova : address) % PAGE_SIZE);
		}
	}
}

IOAS_TEST(choose, takes_the_first_that_fits)
{
	struct ioas *ioas = ioas_by_id(self, 1);
	u64 iova;

	ASSERT_OK(self->why, ioas_choose_iova(ioas, 0, PAGE_SIZE, &iova, &self->why));
	assert_int_equal(iova, PAGE_SIZE);
	ASSERT_OK(self->why, ioas_reserve(ioas, 0, 0x1fff, NULL, &self->why));
	ASSERT_OK(self->why, ioas_reserve(ioas, 0x3000, 0x5fff, NULL, &self->why));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, NULL, PAGE_SIZE, 0x6000));
	ASSERT_OK(self->why, ioas_choose_iova(ioas, 0, PAGE_SIZE, &iova, &self->why));
	assert_int_equal(iova, 0x2000);
	ASSERT_OK(self->why, ioas_choose_iova(ioas, 0, 2 * PAGE_SIZE, &iova, &self->why));
	assert_int_equal(iova, 0x8000);
	ASSERT_OK(self->why, ioas_choose_iova(ioas, 0x1000, 2 * PAGE_SIZE, &iova, &self->why));
	assert_int_equal(iova, 0x7000);
}

IOAS_TEST(choose, stays_in_what_is_allowed)
{
	/* The first two touch, and so are one. */
	const struct iommu_iova_range ranges[] = {{0x100000, 0x101fff}, {0x102000, 0x103fff}, {0x300000, 0x30ffff}};
	struct ioas *ioas = ioas_by_id(self, 1);
	u64 iova = 0;

	ASSERT_OK(self->why, ioas_allow(self, 1, ranges, 3));
	ASSERT_OK(self->why, ioas_choose_iova(ioas, 0, 4 * PAGE_SIZE, &iova, &self->why));
	assert_int_equal(iova, 0x100000);
	ASSERT_OK(self->why, ioas_map(self, 1, IOAS_R, (u8 *)0x1000, 2 * PAGE_SIZE, &iova));
	assert_int_equal(iova, 0x100000);
	ASSERT_OK(self->why, ioas_choose_iova(ioas, 0, 4 * PAGE_SIZE, &iova, &self->why));
	assert_int_equal(iova, 0x300000);
	EXPECT_REFUSED(IOVA_NONE_FREE, self->why, ioas_choose_iova(ioas, 0, 17 * PAGE_SIZE, &iova, &self->why));
	EXPECT_SUBSTR("ALLOW_IOVAS", self->why.text);
	/* Fixed ones may lie outside. */
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, NULL, PAGE_SIZE, 0x900000));
	/* One range holds all of 64 bits, but not its first and last page. */
	ASSERT_OK(self->why, ioas_allow(self, 1, (struct iommu_iova_range[]){{0, UINT64_MAX}}, 1));
	ASSERT_OK(self->why, ioas_choose_iova(ioas, 0, PAGE_SIZE, &iova, &self->why));
	assert_int_equal(iova, PAGE_SIZE);
	ASSERT_OK(self->why, ioas_allow(self, 1, (struct iommu_iova_range[]){{0, PAGE_SIZE - 1}}, 1));
	EXPECT_REFUSED(IOVA_NONE_FREE, self->why, ioas_choose_iova(ioas, 0, 1, &iova, &self->why));
}

IOAS_TEST(choose, refusals_in_their_order)
{
	struct domain *domain = domain_join(self, 1);
	struct ioas *ioas = ioas_by_id(self, 1);
	u64 iova = 0;

	EXPECT_REFUSED(RANGE_OVERFLOWS, self->why, ioas_choose_iova(ioas, 0, 0, &iova, &self->why));
	EXPECT_REFUSED(RANGE_OVERFLOWS, self->why, ioas_choose_iova(ioas, 1, UINT64_MAX / 2, &iova, &self->why));
	EXPECT_REFUSED(IOAS_MISALIGNED, self->why, ioas_choose_iova(ioas, 0x800, PAGE_SIZE, &iova, &self->why));
	EXPECT_REFUSED(IOVA_NONE_FREE, self->why, ioas_choose_iova(ioas, 0, BIT(50), &iova, &self->why));
	domain_leave(domain);
	ASSERT_OK(self->why, ioas_reserve(ioas, 1, UINT64_MAX - 1, NULL, &self->why));
	EXPECT_REFUSED(IOVA_NONE_FREE, self->why, ioas_choose_iova(ioas, 0, 1, &iova, &self->why));
	EXPECT_SUBSTR("outside of what is reserved", self->why.text);
}

/* ---- UNMAP ---- */

IOAS_TEST(unmap, refusals_in_their_order)
{
	EXPECT_REFUSED(OBJECT_MISSING, self->why, ioas_unmap_range(self, 9, UINT64_MAX, UINT64_MAX));
	EXPECT_REFUSED(RANGE_OVERFLOWS, self->why, ioas_unmap_range(self, 1, UINT64_MAX, 0));
	EXPECT_REFUSED(RANGE_OVERFLOWS, self->why, ioas_unmap_range(self, 1, 1, UINT64_MAX));
	EXPECT_REFUSED(IOAS_RANGE_EMPTY, self->why, ioas_unmap_range(self, 1, 0, 0));
	EXPECT_REFUSED(RANGE_OVERFLOWS, self->why, ioas_unmap_range(self, 1, 3, UINT64_MAX - 1));
	EXPECT_REFUSED(AREA_MISSING, self->why, ioas_unmap_range(self, 1, 0, UINT64_MAX - 1));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, NULL, 2 * PAGE_SIZE, 0x10000));
	EXPECT_REFUSED(AREA_STRADDLES, self->why, ioas_unmap_range(self, 1, 0x10000, PAGE_SIZE));
	EXPECT_REFUSED(AREA_STRADDLES, self->why, ioas_unmap_range(self, 1, 0x11000, PAGE_SIZE));
	EXPECT_REFUSED(AREA_STRADDLES, self->why, ioas_unmap_range(self, 1, 0x10001, 2 * PAGE_SIZE));
	EXPECT_SUBSTR("[0x10000, 0x11fff]", self->why.text);
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX - 1), 2 * PAGE_SIZE);
}

IOAS_TEST(unmap, everything_is_no_failure_when_it_is_nothing)
{
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), 0);
	for (u64 i = 1; i < 100; i++)
		ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, NULL, i, i << 20));
	/* Lengths are added up, gaps are not. */
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), 99 * 50);
	assert_int_equal(ioas_unmap_range(self, 1, 0, UINT64_MAX), 0);
}

/* What goes before the mapping that cannot go is gone. */
IOAS_TEST(unmap, stops_at_the_first_that_sticks_out)
{
	struct domain *domain = domain_join(self, 1);
	struct ioas *ioas = ioas_by_id(self, 1);
	u8 *memory = pages_of_memory(2);

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 2 * PAGE_SIZE, 0x11000));
	EXPECT_REFUSED(AREA_STRADDLES, self->why, ioas_unmap_range(self, 1, 0, 0x12000));
	assert_null(ioas_area_at(ioas, 0x10000));
	assert_non_null(ioas_area_at(ioas, 0x11000));
	assert_int_equal(self->room.client->pinned_bytes, 2 * PAGE_SIZE);
	domain_leave(domain);
	munmap(memory, 2 * PAGE_SIZE);
}

/* ---- COPY ---- */

IOAS_TEST(copy, refusals_in_their_order)
{
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = 8,
		.dst_ioas_id = 9,
		.src_ioas_id = 9,
		.dst_iova = UINT64_MAX,
		.src_iova = UINT64_MAX,
	};

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, NULL, 0x1000, 0x10000));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_R, NULL, 0x1000, 0x12000));
	EXPECT_DENIED(FLAGS_UNKNOWN, IOMMU_IOAS_COPY, &copy);
	copy.flags = FIXED;
	EXPECT_DENIED(RANGE_OVERFLOWS, IOMMU_IOAS_COPY, &copy);
	copy.dst_iova = 0;
	EXPECT_DENIED(RANGE_OVERFLOWS, IOMMU_IOAS_COPY, &copy);
	copy.src_iova = 0x10fff;
	EXPECT_DENIED(IOAS_MAP_FLAGS, IOMMU_IOAS_COPY, &copy);
	copy.flags |= IOAS_RW;
	EXPECT_DENIED(OBJECT_MISSING, IOMMU_IOAS_COPY, &copy);
	copy.src_ioas_id = 1;
	EXPECT_DENIED(IOAS_RANGE_EMPTY, IOMMU_IOAS_COPY, &copy);
	copy.length = UINT64_MAX - 1;
	EXPECT_DENIED(RANGE_OVERFLOWS, IOMMU_IOAS_COPY, &copy);
	copy.length = 2;
	EXPECT_DENIED(AREA_MISSING, IOMMU_IOAS_COPY, &copy);
	EXPECT_SUBSTR("0x11000", self->why.text);
	copy.length = 1;
	EXPECT_DENIED(OBJECT_MISSING, IOMMU_IOAS_COPY, &copy);
	copy.dst_ioas_id = ioas_room_alloc(self);
	EXPECT_DENIED(COPY_READ_ONLY, IOMMU_IOAS_COPY, &copy);
	copy.flags = FIXED | IOAS_R;
	ASSERT_ASKED(IOMMU_IOAS_COPY, &copy);
}

/* One area for each of the source, at any byte where no domain asks for more. */
IOAS_TEST(copy, spans_mappings_that_touch)
{
	u8 *memory = pages_of_memory(3);
	u32 other = ioas_room_alloc(self);
	struct ioas *ioas = ioas_by_id(self, other);
	struct domain *domain;
	u64 iova = 0x40000;

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory + 2 * PAGE_SIZE, PAGE_SIZE, 0x11000));
	ASSERT_OK(self->why, ioas_copy(self, FIXED | IOAS_R, other, &iova, 1, 0x10000, 2 * PAGE_SIZE));
	assert_int_equal(ioas->space.areas.count, 2);
	iova = 0x60001;
	ASSERT_OK(self->why, ioas_copy(self, FIXED | IOAS_R, other, &iova, 1, 0x10fff, 2));
	assert_int_equal(ioas->space.areas.count, 4);
	EXPECT_REFUSED(ALIGNMENT_MAPPED, self->why, domain_try(self, ioas, &domain, &self->why));
	assert_int_equal(ioas_unmap_range(self, other, 0x60001, 2), 2);
	domain = domain_join(self, other);
	device_use(self, domain);
	memory[2 * PAGE_SIZE] = 33;
	assert_true(device_reads(self, 0x41000, 33));
	/* The source may go: the pages stay. */
	ASSERT_OK(self->why, ioas_destroy(self, 1));
	assert_true(device_reads(self, 0x41000, 33));
	assert_int_equal(self->room.client->pinned_bytes, 2 * PAGE_SIZE);
	device_use(self, NULL);
	domain_leave(domain);
	munmap(memory, 3 * PAGE_SIZE);
}

/* However many domains and IOASes have a page, it is pinned once. */
IOAS_TEST(copy, pages_are_charged_once)
{
	struct client *client = self->room.client;
	struct domain *first = domain_join(self, 1), *second;
	u32 other = ioas_room_alloc(self);
	u8 *memory = pages_of_memory(4);
	u64 iova = 0x40000;

	second = domain_join(self, other);
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, 4 * PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_copy(self, FIXED | IOAS_RW, other, &iova, 1, 0x10000, 4 * PAGE_SIZE));
	iova = 0x50000;
	ASSERT_OK(self->why, ioas_copy(self, FIXED | IOAS_RW, 1, &iova, 1, 0x11000, 2 * PAGE_SIZE));
	assert_int_equal(client->pinned_bytes, 4 * PAGE_SIZE);
	assert_int_equal(ioas_unmap_range(self, other, 0x40000, 4 * PAGE_SIZE), 4 * PAGE_SIZE);
	assert_int_equal(client->pinned_bytes, 4 * PAGE_SIZE);
	/* What is left is two pages in the middle. */
	assert_int_equal(ioas_unmap_range(self, 1, 0x10000, 4 * PAGE_SIZE), 4 * PAGE_SIZE);
	assert_int_equal(client->pinned_bytes, 2 * PAGE_SIZE);
	iova = 0x60000;
	ASSERT_OK(self->why, ioas_copy(self, FIXED | IOAS_RW, other, &iova, 1, 0x51000, PAGE_SIZE));
	assert_int_equal(client->pinned_bytes, 2 * PAGE_SIZE);
	assert_int_equal(ioas_unmap_range(self, 1, 0x50000, 2 * PAGE_SIZE), 2 * PAGE_SIZE);
	assert_int_equal(client->pinned_bytes, PAGE_SIZE);
	/* Two maps of the same memory are two. */
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x10000));
	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, memory, PAGE_SIZE, 0x11000));
	assert_int_equal(client->pinned_bytes, 3 * PAGE_SIZE);
	domain_leave(first);
	domain_leave(second);
	assert_int_equal(client->pinned_bytes, 0);
	munmap(memory, 4 * PAGE_SIZE);
}

IOAS_TEST(copy, into_a_chosen_place_of_the_same_ioas)
{
	u64 iova = 0;

	ASSERT_OK(self->why, ioas_map_at(self, 1, IOAS_RW, (u8 *)0x200000, BIT(21), BIT(22)));
	ASSERT_OK(self->why, ioas_copy(self, IOAS_R, 1, &iova, 1, BIT(22), BIT(21)));
	assert_int_equal(iova, BIT(21));
	ASSERT_OK(self->why, ioas_copy(self, IOAS_R, 1, &iova, 1, BIT(21), BIT(22)));
	assert_int_equal(iova, 3 * BIT(21));
	/* A read-only copy is no source of a writable one's pages: those were mapped for writing. */
	ASSERT_OK(self->why, ioas_copy(self, IOAS_RW, 1, &iova, 1, BIT(21), PAGE_SIZE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(map, refusals_in_their_order),
		CASE(map, fixed_refusals_in_their_order),
		CASE(map, overlaps_of_all_kinds),
		CASE(map, without_a_domain_nothing_is_looked_at),
		CASE(map, memory_that_ends_half_way),
		CASE(map, read_only_memory_may_only_be_read),
		CASE(map, devices_reach_it_at_once_and_not_after_unmap),
		CASE(map, a_domain_that_joins_has_what_was_mapped_before),
		CASE(map, a_domain_joins_with_all_or_nothing),
		CASE(map, what_is_pinned_goes_into_further_domains),
		CASE(choose, keeps_the_alignment_of_length_and_source),
		CASE(choose, takes_the_first_that_fits),
		CASE(choose, stays_in_what_is_allowed),
		CASE(choose, refusals_in_their_order),
		CASE(unmap, refusals_in_their_order),
		CASE(unmap, everything_is_no_failure_when_it_is_nothing),
		CASE(unmap, stops_at_the_first_that_sticks_out),
		CASE(copy, refusals_in_their_order),
		CASE(copy, spans_mappings_that_touch),
		CASE(copy, pages_are_charged_once),
		CASE(copy, into_a_chosen_place_of_the_same_ioas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
