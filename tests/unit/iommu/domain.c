/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <sys/mman.h>

#include "tests/fixtures/iommu_room.h"

#define GB 0x40000000ull

TEST(domain, maps_are_areas_and_go_as_they_came)
{
	struct iommu_room *room = room_new();
	struct area *area;

	ASSERT_OK(room->why,
		  domain_map(room->domain, 0x100000, 0x3000, room->client, 0x1000, ROOM_RW, 0x3000, &area, &room->why));
	assert_ptr_equal(domain_area_at(room->domain, 0x102fff), area);
	assert_null(domain_area_at(room->domain, 0x103000));
	assert_int_equal(room->client->locked_bytes, 0x3000);
	domain_check(room->domain);
	domain_unmap(room->domain, area);
	assert_null(domain_area_at(room->domain, 0x100000));
	assert_int_equal(room->client->locked_bytes, 0);
	domain_trim(room->domain);
	assert_int_equal(isolde_pt_memory(room->domain->pt), PAGE_SIZE);
	room_free(room);
}

TEST(domain, overlap_is_refused_with_both_ranges)
{
	struct iommu_room *room = room_new();
	struct area *area;

	room_map(room, 0x100000, room, 0x3000, ROOM_RW);
	EXPECT_REFUSED(
		IOVA_MAPPED, room->why,
		domain_map(room->domain, 0x102000, 0x2000, room->client, 0x1000, ROOM_RW, 0x2000, &area, &room->why));
	EXPECT_SUBSTR("[0x102000, 0x103fff] overlaps the mapping [0x100000, 0x102fff]", room->why.text);
	assert_int_equal(room->client->locked_bytes, 0);
	room_free(room);
}

TEST(domain, the_units_width_is_the_limit_when_the_table_could_do_more)
{
	struct iommu_room *room = room_new();
	struct iommu_unit narrow = *room->unit;
	struct domain *domain;
	struct area *area;

	narrow.width = 39;
	ASSERT_OK(room->why, domain_new(&room->iommu, &narrow, DOMAIN_PAGING, &domain, &room->why));
	ASSERT_OK(room->why,
		  domain_map(domain, BIT(39) - 0x1000, 0x1000, room->client, 0x1000, ROOM_RW, 0, &area, &room->why));
	EXPECT_REFUSED(IOVA_BEYOND_TABLE, room->why,
		       domain_map(domain, BIT(39), 0x1000, room->client, 0x1000, ROOM_RW, 0, &area, &room->why));
	EXPECT_SUBSTR("0x7fffffffff", room->why.text);
	EXPECT_REFUSED(IOVA_BEYOND_TABLE, room->why,
		       domain_map(room->domain, BIT(48), 0x1000, room->client, 0x1000, ROOM_RW, 0, &area, &room->why));
	domain_check(domain);
	assert_null(domain_free(domain)); /* with what is mapped */
	assert_null(domain_free(NULL));
	room_free(room);
}

TEST(domain, large_mappings_use_large_leaves_whatever_the_clients_address)
{
	struct iommu_room *room = room_new();
	struct isolde_pt_walk walk;

	room_map(room, 4 * GB, (void *)0x12345000, 2 * GB, ROOM_RW);
	assert_int_equal(isolde_pt_walk(room->domain->pt, 5 * GB, ISOLDE_PT_READ, &walk), ISOLDE_PT_OK);
	assert_int_equal(walk.leaf_size, GB);
	room_map(room, 8 * GB + 0x200000, (void *)0x12345000, 0x400000, ROOM_RW);
	assert_int_equal(isolde_pt_walk(room->domain->pt, 8 * GB + 0x200000, ISOLDE_PT_READ, &walk), ISOLDE_PT_OK);
	assert_int_equal(walk.leaf_size, 0x200000);
	room_free(room);
}

TEST(domain, the_nearest_mapping_is_described_from_either_side)
{
	struct iommu_room *room = room_new();
	char text[120];

	space_describe_nearest(room->domain->space, 0x5000, text, sizeof(text));
	assert_string_equal(text, "nothing is mapped");
	room_map(room, 0x10000, room, 0x1000, ROOM_RW);
	room_map(room, 0x20000, room, 0x1000, ISOLDE_PT_READ);
	space_describe_nearest(room->domain->space, 0x5000, text, sizeof(text));
	assert_string_equal(text, "the nearest mapping is [0x10000, 0x10fff] (read-write), 0xb000 above");
	space_describe_nearest(room->domain->space, 0x11000, text, sizeof(text));
	assert_string_equal(text, "the nearest mapping is [0x10000, 0x10fff] (read-write), 0x1 below");
	space_describe_nearest(room->domain->space, 0x1ffff, text, sizeof(text));
	assert_string_equal(text, "the nearest mapping is [0x20000, 0x20fff] (read-only), 0x1 above");
	space_describe_nearest(room->domain->space, 0x20010, text, sizeof(text));
	assert_string_equal(text, "the nearest mapping is [0x20000, 0x20fff] (read-only)");
	space_describe_nearest(room->domain->space, UINT64_MAX, text, sizeof(text));
	EXPECT_SUBSTR("[0x20000, 0x20fff]", text);
	room_free(room);
}

static struct iommu_room *swept;

/* Pages on both sides of a table's border, so that several tables are needed. */
static int map_across_a_border(struct why *why)
{
	size_t memory = isolde_pt_memory(swept->domain->pt);
	struct area *area = NULL;
	int ret = domain_map(swept->domain, GB - 0x1000, 0x2000, swept->client, (uintptr_t)swept & PAGE_MASK, ROOM_RW,
			     0x2000, &area, why);

	domain_check(swept->domain);
	if (ret == 0)
		domain_unmap(swept->domain, area);
	domain_trim(swept->domain);
	assert_int_equal(isolde_pt_memory(swept->domain->pt), memory);
	assert_int_equal(swept->client->locked_bytes, 0);
	assert_int_equal(swept->iommu.frames.extents.count, 0);
	assert_int_equal(swept->domain->space->areas.count, 0);
	return ret;
}

TEST(domain, every_failure_of_a_map_changes_nothing)
{
	swept = room_new();
	SWEEP_FAILURES(map_across_a_border);
	room_free(swept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(domain, maps_are_areas_and_go_as_they_came),
		CASE(domain, overlap_is_refused_with_both_ranges),
		CASE(domain, the_units_width_is_the_limit_when_the_table_could_do_more),
		CASE(domain, large_mappings_use_large_leaves_whatever_the_clients_address),
		CASE(domain, the_nearest_mapping_is_described_from_either_side),
		CASE(domain, every_failure_of_a_map_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
