/* SPDX-License-Identifier: MIT */
/* What several domains share: areas, and the extents behind them. */
#include "iommu/space.h"

#include <sys/mman.h>

#include "base/os.h"
#include "mem/shared.h"
#include "tests/fixtures/iommu_room.h"

#define SIZE  0x400000ull
#define PAGES (SIZE / PAGE_SIZE)

/* Two spaces of two domains each, one on the pair and one on the single device; a file of SIZE bytes behind an extent.
 */
struct set {
	struct iommu_room *room;
	struct space spaces[2];
	struct domain *domains[4]; /* 0, 1 of the first space */
	struct extent extent;
	struct area areas[2];
	int fd;
	u8 *memory;
};

static void set_new(struct set *set)
{
	memset(set, 0, sizeof(*set));
	set->room = room_new();
	for (unsigned i = 0; i < 4; i++) {
		if (i % 2 == 0)
			space_init(&set->spaces[i / 2], &set->room->iommu);
		ASSERT_OK(set->room->why,
			  domain_new_in(&set->spaces[i / 2], set->room->unit, &set->domains[i], &set->room->why));
	}
	set->fd = memfd_create("space", MFD_CLOEXEC);
	assert_int_equal(ftruncate(set->fd, SIZE), 0);
	set->memory = shared_map_file(set->fd, 0, SIZE, true);
	assert_non_null(set->memory);
	ASSERT_OK(set->room->why,
		  extent_init(&set->extent, &set->room->iommu.frames, 0x40000000, SIZE, &set->room->why));
	set->extent.direct = set->memory;
	iommu_insert_frames(&set->room->iommu, &set->extent);
	ASSERT_OK(set->room->why, iommu_group_claim(set->room->pair, &set->room->owner, &set->room->why));
	ASSERT_OK(set->room->why, iommu_group_claim(set->room->single, &set->room->owner, &set->room->why));
}

static void set_free(struct set *set)
{
	for (unsigned i = 0; i < 4; i++) {
		domain_check(set->domains[i]);
		iommu_check(&set->room->iommu);
	}
	iommu_group_release(set->room->pair);
	iommu_group_release(set->room->single);
	for (unsigned i = 0; i < 4; i++)
		domain_free(set->domains[i]);
	space_fini(&set->spaces[0]);
	space_fini(&set->spaces[1]);
	iommu_remove_frames(&set->room->iommu, &set->extent);
	extent_fini(&set->extent);
	shared_unmap(set->memory, SIZE);
	close(set->fd);
	room_free(set->room);
}

static struct area area_of(struct set *set, u64 iova, u64 offset, u64 size, unsigned permission)
{
	return (struct area){
		.node = {.start = iova, .last = iova + size - 1},
		.extent = &set->extent,
		.offset = offset,
		.permission = permission,
	};
}

static void put(struct set *set, unsigned space, struct area *area)
{
	struct domain *domain;

	space_insert(&set->spaces[space], area);
	list_for_each(domain, &set->spaces[space].domains, of_space) {
		ASSERT_OK(set->room->why, domain_fill(domain, area, &set->room->why));
	}
}

static void drop(struct set *set, unsigned space, struct area *area)
{
	struct domain *domain;

	space_stop(&set->spaces[space]);
	list_for_each(domain, &set->spaces[space].domains, of_space)
		domain_clear(domain, area);
	space_remove(&set->spaces[space], area);
	space_start(&set->spaces[space]);
}

static void attach(struct set *set, unsigned pair, unsigned single)
{
	ASSERT_OK(set->room->why, iommu_attach_group(set->domains[pair], set->room->pair, &set->room->why));
	ASSERT_OK(set->room->why, iommu_attach_group(set->domains[single], set->room->single, &set->room->why));
}

static u8 read_byte(const struct iommu_device *device, u64 iova)
{
	u8 byte = 0;

	assert_int_equal(dma_read(device->port, iova, &byte, 1), DMA_OK);
	return byte;
}

TEST(space, its_domains_have_the_same_areas)
{
	struct set set;
	u8 byte;

	set_new(&set);
	set.areas[0] = area_of(&set, 0x10000, 0, SIZE, ROOM_RW);
	put(&set, 0, &set.areas[0]);
	attach(&set, 0, 1);
	set.memory[0x3210] = 5;
	assert_int_equal(read_byte(set.room->first, 0x13210), 5);
	assert_int_equal(read_byte(set.room->alone, 0x13210), 5);
	assert_int_equal(dma_write(set.room->second->port, 0x10000 + SIZE - 2, "ab", 2), DMA_OK);
	assert_memory_equal(set.memory + SIZE - 2, "ab", 2);
	domain_check(set.domains[1]);
	drop(&set, 0, &set.areas[0]);
	assert_int_equal(dma_read(set.room->first->port, 0x13210, &byte, 1), DMA_FAULT);
	assert_int_equal(dma_read(set.room->alone->port, 0x13210, &byte, 1), DMA_FAULT);
	set_free(&set);
}

TEST(space, areas_of_two_spaces_show_parts_of_one_extent)
{
	struct set set;
	u8 byte;

	set_new(&set);
	set.areas[0] = area_of(&set, 0x7f000, 0x200000, 0x1000, ROOM_RW);
	set.areas[1] = area_of(&set, 0x40000000, 0x1000, SIZE - 0x1000, ISOLDE_PT_READ);
	put(&set, 0, &set.areas[0]);
	put(&set, 1, &set.areas[1]);
	attach(&set, 0, 2);
	assert_int_equal(dma_write(set.room->first->port, 0x7f010, "x", 1), DMA_OK);
	assert_int_equal(set.memory[0x200010], 'x');
	assert_int_equal(read_byte(set.room->alone, 0x40000000 + 0x200010 - 0x1000), 'x');
	assert_int_equal(dma_write(set.room->alone->port, 0x40000000, "x", 1), DMA_FAULT);
	assert_int_equal(set.room->fault.reason, DMA_FAULT_PERMISSION);
	/* What is beside the part is not to be seen through it. */
	assert_int_equal(dma_read(set.room->first->port, 0x80000, &byte, 1), DMA_FAULT);
	domain_check(set.domains[0]);
	domain_check(set.domains[2]);
	drop(&set, 0, &set.areas[0]);
	assert_int_equal(read_byte(set.room->alone, 0x40000000 + 0x200010 - 0x1000), 'x');
	drop(&set, 1, &set.areas[1]);
	set_free(&set);
}

TEST(space, memory_of_a_file_that_was_cut_off_is_a_fault_and_names_no_program)
{
	struct set set;
	u8 byte;

	set_new(&set);
	set.areas[0] = area_of(&set, 0x10000, 0, SIZE, ROOM_RW);
	put(&set, 0, &set.areas[0]);
	attach(&set, 0, 1);
	assert_int_equal(ftruncate(set.fd, PAGE_SIZE), 0);
	assert_int_equal(dma_read(set.room->first->port, 0x10000, &byte, 1), DMA_OK);
	assert_int_equal(dma_read(set.room->first->port, 0x11000, &byte, 1), DMA_FAULT);
	assert_int_equal(set.room->fault.reason, DMA_FAULT_MEMORY);
	EXPECT_SUBSTR("the file no longer has", set.room->fault.text);
	drop(&set, 0, &set.areas[0]);
	set_free(&set);
}

static u64 leaf_size(const struct domain *domain, u64 iova)
{
	struct isolde_pt_walk walk;

	assert_int_equal(isolde_pt_walk(domain->pt, iova, 0, &walk), ISOLDE_PT_OK);
	return walk.leaf_size;
}

TEST(space, leaves_are_large_unless_it_wants_small_ones)
{
	struct set set;

	set_new(&set);
	set.spaces[1].small_leaves = true;
	set.areas[0] = area_of(&set, 0x40000000, 0, SIZE, ROOM_RW);
	set.areas[1] = area_of(&set, 0x40000000, 0, SIZE, ROOM_RW);
	put(&set, 0, &set.areas[0]);
	put(&set, 1, &set.areas[1]);
	assert_int_equal(leaf_size(set.domains[0], 0x40200000), 0x200000);
	assert_int_equal(leaf_size(set.domains[2], 0x40200000), PAGE_SIZE);
	domain_check(set.domains[2]);
	drop(&set, 0, &set.areas[0]);
	drop(&set, 1, &set.areas[1]);
	set_free(&set);
}

TEST(space, an_area_beyond_a_domains_table_is_refused)
{
	struct set set;

	set_new(&set);
	set.areas[0] = area_of(&set, BIT(48) - PAGE_SIZE, 0, 2 * PAGE_SIZE, ROOM_RW);
	space_insert(&set.spaces[0], &set.areas[0]);
	EXPECT_REFUSED(IOVA_BEYOND_TABLE, set.room->why, domain_fill(set.domains[0], &set.areas[0], &set.room->why));
	space_remove(&set.spaces[0], &set.areas[0]);
	set_free(&set);
}

static struct set *swept;

/* Across the border of two tables, leaf by leaf: what was filled is taken back. */
static int fill_small(struct why *why)
{
	size_t memory = isolde_pt_memory(swept->domains[0]->pt);
	int ret;

	swept->areas[0] = area_of(swept, 0x3fe00000, 0, SIZE, ROOM_RW);
	space_insert(&swept->spaces[0], &swept->areas[0]);
	ret = domain_fill(swept->domains[0], &swept->areas[0], why);
	if (ret == 0) {
		domain_check(swept->domains[0]);
		domain_clear(swept->domains[0], &swept->areas[0]);
	}
	space_remove(&swept->spaces[0], &swept->areas[0]);
	for (u64 page = 0; page < PAGES; page++)
		assert_int_equal(isolde_pt_iova_to_phys(swept->domains[0]->pt, 0x3fe00000 + page * PAGE_SIZE), 0);
	domain_trim(swept->domains[0]);
	assert_int_equal(isolde_pt_memory(swept->domains[0]->pt), memory);
	return ret;
}

TEST(space, a_failed_fill_leaves_no_entry_and_no_table)
{
	struct set set;

	set_new(&set);
	set.spaces[0].small_leaves = true;
	swept = &set;
	SWEEP_FAILURES(fill_small);
	set_free(&set);
}

/* A sparse program cannot make the tables grow without end. */
TEST(space, empty_tables_are_looked_for_when_they_are_many)
{
	struct set set;
	size_t most = 0;

	set_new(&set);
	for (u64 i = 0; i < 2000; i++) {
		set.areas[0] = area_of(&set, i << 30, 0, PAGE_SIZE, ROOM_RW);
		put(&set, 0, &set.areas[0]);
		drop(&set, 0, &set.areas[0]);
		if (isolde_pt_memory(set.domains[0]->pt) > most)
			most = isolde_pt_memory(set.domains[0]->pt);
	}
	assert_true(most < 0x100000);
	assert_true(most > 0x10000);
	set_free(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: between two tests cmocka puts its own signal handlers in place of ours, which come once. */
		CASE(space, memory_of_a_file_that_was_cut_off_is_a_fault_and_names_no_program),
		CASE(space, its_domains_have_the_same_areas),
		CASE(space, areas_of_two_spaces_show_parts_of_one_extent),
		CASE(space, leaves_are_large_unless_it_wants_small_ones),
		CASE(space, an_area_beyond_a_domains_table_is_refused),
		CASE(space, a_failed_fill_leaves_no_entry_and_no_table),
		CASE(space, empty_tables_are_looked_for_when_they_are_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
