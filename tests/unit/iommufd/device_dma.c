/* SPDX-License-Identifier: MIT */
/*
 * Every mapping is real: a device behind each attached domain reaches memory at once, and nothing after an unmap or a
 * detach.
 */
#include "iommu/dma.h"
#include "tests/fixtures/assign_room.h"

#define IOVA 0x200000u

static u8 first_memory[2 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u8 second_memory[2 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static enum dma_result write_byte(const struct assign_room *self, unsigned index, u32 pasid, u64 iova, u8 byte)
{
	const struct dma_segment segment = {iova, &byte, 1};

	return dma_writev_pasid(self->core[index]->port, pasid, &segment, 1);
}

static void expect_reach(struct assign_room *self, unsigned index, u32 pasid, u64 iova, const u8 *where)
{
	static u8 value;

	assert_int_equal(write_byte(self, index, pasid, iova, ++value), DMA_OK);
	assert_int_equal(*where, value);
}

static void expect_fault(struct assign_room *self, unsigned index, u32 pasid, u64 iova, enum dma_fault_reason reason)
{
	assert_int_equal(write_byte(self, index, pasid, iova, 0xff), DMA_FAULT);
	assert_int_equal(self->base->room.fault.reason, reason);
}

ASSIGN_TEST(device_dma, reaches_what_is_mapped_before_and_after_the_attach)
{
	u32 ioas = assign_ioas(self);

	assign_bind(self, 0);
	expect_fault(self, 0, 0, IOVA, DMA_FAULT_BLOCKED);
	assign_map(self, ioas, IOVA, first_memory, PAGE_SIZE, ROOM_RW);
	ASSERT_YES(assign_attach(self, 0, 0, ioas));
	expect_reach(self, 0, 0, IOVA + 5, first_memory + 5);
	expect_fault(self, 0, 0, IOVA + PAGE_SIZE, DMA_FAULT_NOT_PRESENT);
	/* Names that a person knows. */
	EXPECT_SUBSTR("0000:02:00.0", self->base->room.fault.text);
	assign_map(self, ioas, IOVA + PAGE_SIZE, second_memory, PAGE_SIZE, ROOM_RW);
	expect_reach(self, 0, 0, IOVA + PAGE_SIZE, second_memory);
	assign_unmap(self, ioas, IOVA, IOVA + PAGE_SIZE - 1);
	expect_fault(self, 0, 0, IOVA + 5, DMA_FAULT_NOT_PRESENT);
	expect_reach(self, 0, 0, IOVA + PAGE_SIZE, second_memory);
	assign_detach(self, 0, 0);
	expect_fault(self, 0, 0, IOVA + PAGE_SIZE, DMA_FAULT_BLOCKED);
}

ASSIGN_TEST(device_dma, permissions_are_those_of_the_map)
{
	u32 ioas = assign_ioas(self);
	u8 byte = 0;

	assign_bind(self, 0);
	ASSERT_YES(assign_attach(self, 0, 0, ioas));
	assign_map(self, ioas, IOVA, first_memory, PAGE_SIZE, ISOLDE_PT_READ);
	assign_map(self, ioas, IOVA + PAGE_SIZE, first_memory, PAGE_SIZE, ISOLDE_PT_WRITE);
	first_memory[0] = 77;
	assert_int_equal(dma_read(self->core[0]->port, IOVA, &byte, 1), DMA_OK);
	assert_int_equal(byte, 77);
	expect_fault(self, 0, 0, IOVA, DMA_FAULT_PERMISSION);
	expect_reach(self, 0, 0, IOVA + PAGE_SIZE, first_memory);
	assert_int_equal(dma_read(self->core[0]->port, IOVA + PAGE_SIZE, &byte, 1), DMA_FAULT);
}

/* Two units, so two domains of one IOAS; and siblings, whose group has one domain whoever is attached. */
ASSIGN_TEST(device_dma, all_devices_of_an_ioas_see_the_same)
{
	u32 ioas = assign_ioas(self), own;

	assign_bind(self, 0);
	assign_bind(self, 1);
	assign_bind(self, 4);
	own = assign_hwpt(self, 4, ioas, 0);
	ASSERT_YES(assign_attach(self, 0, 0, ioas));
	ASSERT_YES(assign_attach(self, 4, 0, own));
	assert_int_not_equal(assign_attached(self, 0, 0), own);
	assign_map(self, ioas, IOVA, first_memory, PAGE_SIZE, ROOM_RW);
	expect_reach(self, 0, 0, IOVA, first_memory);
	expect_reach(self, 4, 0, IOVA, first_memory);
	expect_reach(self, 1, 0, IOVA, first_memory); /* not attached, but of the group */
	ASSERT_YES(assign_attach(self, 1, 0, ioas));
	assign_detach(self, 0, 0);
	expect_reach(self, 0, 0, IOVA, first_memory); /* the other one keeps it */
	assign_unmap(self, ioas, IOVA, IOVA + PAGE_SIZE - 1);
	expect_fault(self, 0, 0, IOVA, DMA_FAULT_NOT_PRESENT);
	expect_fault(self, 4, 0, IOVA, DMA_FAULT_NOT_PRESENT);
	assign_detach(self, 1, 0);
	expect_fault(self, 0, 0, IOVA, DMA_FAULT_BLOCKED);
	expect_fault(self, 1, 0, IOVA, DMA_FAULT_BLOCKED);
	expect_fault(self, 4, 0, IOVA, DMA_FAULT_NOT_PRESENT);
}

ASSIGN_TEST(device_dma, a_replacement_is_seen_whole_and_by_all)
{
	u32 first = assign_ioas(self), second = assign_ioas(self);

	assign_bind(self, 0);
	assign_bind(self, 1);
	assign_map(self, first, IOVA, first_memory, PAGE_SIZE, ROOM_RW);
	assign_map(self, second, IOVA, second_memory, PAGE_SIZE, ROOM_RW);
	assign_map(self, second, 2 * IOVA, first_memory, PAGE_SIZE, ROOM_RW);
	ASSERT_YES(assign_attach(self, 0, 0, first));
	ASSERT_YES(assign_attach(self, 1, 0, first));
	expect_reach(self, 1, 0, IOVA, first_memory);
	ASSERT_YES(assign_replace(self, 0, 0, second));
	expect_reach(self, 0, 0, IOVA, second_memory);
	expect_reach(self, 1, 0, IOVA, second_memory);
	expect_reach(self, 1, 0, 2 * IOVA, first_memory);
	/* Nothing of the old one is left that could be reached. */
	assert_int_equal(assign_users(self, first), 0);
	ASSERT_YES(assign_destroy(self, first));
	expect_reach(self, 1, 0, 2 * IOVA, first_memory);
}

ASSIGN_TEST(device_dma, a_pasid_is_a_world_of_its_own)
{
	u32 first = assign_ioas(self), second = assign_ioas(self), own, other;

	assign_bind(self, 0);
	own = assign_hwpt(self, 0, first, IOMMU_HWPT_ALLOC_PASID);
	other = assign_hwpt(self, 0, second, IOMMU_HWPT_ALLOC_PASID);
	assign_map(self, first, IOVA, first_memory, PAGE_SIZE, ROOM_RW);
	assign_map(self, second, IOVA, second_memory, PAGE_SIZE, ROOM_RW);
	expect_fault(self, 0, 5, IOVA, DMA_FAULT_BLOCKED);
	ASSERT_YES(assign_attach(self, 0, 0, own));
	ASSERT_YES(assign_attach(self, 0, 5, other));
	expect_reach(self, 0, 0, IOVA, first_memory);
	expect_reach(self, 0, 5, IOVA, second_memory);
	expect_fault(self, 0, 6, IOVA, DMA_FAULT_BLOCKED);
	ASSERT_YES(assign_replace(self, 0, 5, own));
	expect_reach(self, 0, 5, IOVA, first_memory);
	assign_detach(self, 0, 0);
	expect_fault(self, 0, 0, IOVA, DMA_FAULT_BLOCKED);
	expect_reach(self, 0, 5, IOVA, first_memory);
	assign_unmap(self, first, IOVA, IOVA + PAGE_SIZE - 1);
	expect_fault(self, 0, 5, IOVA, DMA_FAULT_NOT_PRESENT);
	assign_detach(self, 0, 5);
	expect_fault(self, 0, 5, IOVA, DMA_FAULT_BLOCKED);
}

/*
 * Attaching comes before filling when it is an attach, after it when it is a replacement: that decides which of two
 * failures the program hears of. Whatever it is, the device reaches what it reached before.
 */
ASSIGN_TEST(device_dma, memory_that_is_not_there_stops_an_attach_or_a_replacement)
{
	u32 first = assign_ioas(self), second = assign_ioas(self);
	u8 *gone = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assign_bind(self, 0);
	assign_map(self, first, IOVA, first_memory, PAGE_SIZE, ROOM_RW);
	assign_map(self, second, IOVA, second_memory, PAGE_SIZE, ROOM_RW);
	assign_map(self, second, 2 * IOVA, gone, PAGE_SIZE, ROOM_RW);
	munmap(gone, PAGE_SIZE);
	EXPECT_NO(CLIENT_FAULT, assign_attach(self, 0, 0, second));
	expect_fault(self, 0, 0, IOVA, DMA_FAULT_BLOCKED);
	assert_int_equal(assign_users(self, second), 0);
	assert_false(assign_reserved(self, second, 0xfee00000));
	ASSERT_YES(iommu_reset_prepare(self->core[0], &self->why));
	EXPECT_NO(GROUP_RECOVERING, assign_attach(self, 0, 0, second));
	iommu_reset_done(self->core[0]);
	ASSERT_YES(assign_attach(self, 0, 0, first));
	EXPECT_NO(CLIENT_FAULT, assign_replace(self, 0, 0, second));
	ASSERT_YES(iommu_reset_prepare(self->core[0], &self->why));
	EXPECT_NO(CLIENT_FAULT, assign_replace(self, 0, 0, second));
	iommu_reset_done(self->core[0]);
	expect_reach(self, 0, 0, IOVA, first_memory);
	assert_false(assign_reserved(self, second, 0xfee00000));
	assert_int_equal(assign_users(self, second), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(device_dma, reaches_what_is_mapped_before_and_after_the_attach),
		CASE(device_dma, permissions_are_those_of_the_map),
		CASE(device_dma, all_devices_of_an_ioas_see_the_same),
		CASE(device_dma, a_replacement_is_seen_whole_and_by_all),
		CASE(device_dma, a_pasid_is_a_world_of_its_own),
		CASE(device_dma, memory_that_is_not_there_stops_an_attach_or_a_replacement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
