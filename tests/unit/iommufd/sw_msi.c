/* SPDX-License-Identifier: MIT */
/* Pages of interrupt controllers, where the IOMMU translates messages: spec 03 section 7.4. */
#include "iommu/dma.h"
#include "tests/fixtures/assign_room.h"

#define WINDOW	 0x8000000u
#define DOORBELL 0x8080040u

static void make_window(struct assign_room *self)
{
	self->unit->regions[0] = (struct reserved_region){WINDOW, WINDOW + 0xfffff, RESERVED_SW_MSI};
	self->unit->nregions = 1;
	self->other_unit->regions[0] = (struct reserved_region){WINDOW * 2, WINDOW * 2 + 0xfffff, RESERVED_SW_MSI};
	self->other_unit->nregions = 1;
}

static u64 message(struct assign_room *self, unsigned index, u64 doorbell)
{
	u64 iova = 0;

	ASSERT_YES(iommufd_device_msi(self->device[index], doorbell, &iova, &self->why));
	iommufd_check(&self->base->iommufd);
	return iova;
}

static u64 target(const struct assign_room *self, u32 hwpt, u64 iova)
{
	return isolde_pt_iova_to_phys(assign_find_hwpt(self, hwpt)->domain->pt, iova);
}

ASSIGN_TEST(sw_msi, pages_are_the_same_in_every_domain_the_group_comes_to)
{
	u32 first = assign_ioas(self), second = assign_ioas(self), hwpt, other;

	make_window(self);
	assign_bind(self, 0);
	assign_bind(self, 1);
	assign_bind(self, 3);
	assign_bind(self, 4);
	/* Not attached, or no window: the message goes where it says. */
	assert_int_equal(message(self, 0, DOORBELL), DOORBELL);
	hwpt = (u32)ASSERT_YES(assign_attach(self, 0, 0, first));
	assert_true(assign_reserved(self, first, WINDOW));
	assert_int_equal(target(self, hwpt, WINDOW), 0);
	assert_int_equal(message(self, 0, DOORBELL), WINDOW + 0x40);
	assert_int_equal(target(self, hwpt, WINDOW + 0x40), DOORBELL);
	/* The same page, of the same controller. A sibling's go through the group's domain, attached or not. */
	assert_int_equal(message(self, 1, DOORBELL + 4), WINDOW + 0x44);
	assert_int_equal(message(self, 1, DOORBELL + PAGE_SIZE), WINDOW + PAGE_SIZE + 0x40);
	/* Another group's pages, in the same order for all; another window is counted from its own start. */
	ASSERT_YES(assign_attach(self, 3, 0, second));
	assert_int_equal(message(self, 3, DOORBELL + 2 * PAGE_SIZE), WINDOW + 2 * PAGE_SIZE + 0x40);
	assert_int_equal(message(self, 3, DOORBELL), WINDOW + 0x40);
	ASSERT_YES(assign_attach(self, 4, 0, second));
	assert_int_equal(message(self, 4, DOORBELL), 2 * WINDOW + 0x40);
	/* What the group uses is there before it moves, and nothing else. */
	other = assign_hwpt(self, 0, first, 0);
	ASSERT_YES(assign_replace(self, 0, 0, other));
	assert_int_equal(target(self, other, WINDOW + 0x40), DOORBELL);
	assert_int_equal(target(self, other, WINDOW + PAGE_SIZE), (DOORBELL & PAGE_MASK) + PAGE_SIZE);
	assert_int_equal(target(self, other, WINDOW + 2 * PAGE_SIZE), 0);
	/* Messages carry no PASID. */
	other = assign_hwpt(self, 0, first, IOMMU_HWPT_ALLOC_PASID);
	assign_detach(self, 0, 0);
	ASSERT_YES(assign_attach(self, 0, 5, other));
	assert_int_equal(target(self, other, WINDOW + 0x40), 0);
	assign_detach(self, 0, 5);
	hwpt = (u32)ASSERT_YES(assign_attach(self, 1, 0, second));
	assert_int_equal(target(self, hwpt, WINDOW + PAGE_SIZE), (DOORBELL & PAGE_MASK) + PAGE_SIZE);
}

ASSIGN_TEST(sw_msi, a_windowless_device_is_left_alone)
{
	u32 ioas = assign_ioas(self);

	assign_bind(self, 0);
	ASSERT_YES(assign_attach(self, 0, 0, ioas));
	assert_int_equal(message(self, 0, DOORBELL), DOORBELL);
	assert_true(list_empty(&self->context->sw_msi));
}

ASSIGN_TEST(sw_msi, a_context_has_64_pages)
{
	u32 ioas = assign_ioas(self);
	u64 iova = 0;

	make_window(self);
	assign_bind(self, 0);
	ASSERT_YES(assign_attach(self, 0, 0, ioas));
	for (u64 i = 0; i < 64; i++)
		assert_int_equal(message(self, 0, DOORBELL + i * PAGE_SIZE), WINDOW + 0x40 + i * PAGE_SIZE);
	EXPECT_NO(MSI_PAGES_FULL, iommufd_device_msi(self->device[0], DOORBELL + 64 * PAGE_SIZE, &iova, &self->why));
	EXPECT_SUBSTR("/dev/iommu of ", self->why.text);
	assert_int_equal(message(self, 0, DOORBELL), WINDOW + 0x40);
}

ASSIGN_TEST(sw_msi, data_does_not_go_where_messages_go)
{
	u32 ioas = assign_ioas(self), word = 0;

	make_window(self);
	assign_bind(self, 0);
	ASSERT_YES(assign_attach(self, 0, 0, ioas));
	message(self, 0, DOORBELL);
	assert_int_equal(dma_write(self->core[0]->port, WINDOW, &word, 4), DMA_FAULT);
	assert_int_equal(self->base->room.fault.reason, DMA_FAULT_REGISTERS);
	EXPECT_SUBSTR("interrupt controller", self->base->room.fault.text);
	assert_int_equal(dma_write(self->core[0]->port, WINDOW + PAGE_SIZE, &word, 4), DMA_FAULT);
	assert_int_equal(self->base->room.fault.reason, DMA_FAULT_NOT_PRESENT);
}

/* A page stays in its domain when the device leaves. The window is the program's again then, but not there. */
ASSIGN_TEST(sw_msi, a_mapping_does_not_replace_what_a_device_left_behind)
{
	static u8 memory[2 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	u32 first = assign_ioas(self), hwpt;
	struct object *object;
	struct ioas *ioas;
	u64 iova = WINDOW - PAGE_SIZE;

	make_window(self);
	assign_bind(self, 0);
	hwpt = assign_hwpt(self, 0, first, 0);
	ASSERT_YES(assign_attach(self, 0, 0, hwpt));
	message(self, 0, DOORBELL);
	assign_detach(self, 0, 0);
	object = object_peek(self->context, first, &ioas_class);
	assert_non_null(object);
	ioas = ioas_of(object);
	EXPECT_NO(IOVA_MAPPED, ioas_map_user(ioas, self->base->room.client, (uintptr_t)memory, sizeof(memory),
					     ISOLDE_PT_READ, true, &iova, &self->why));
	EXPECT_SUBSTR("interrupt controller", self->why.text);
	iommufd_check(&self->base->iommufd);
	assert_int_equal(target(self, hwpt, WINDOW - PAGE_SIZE), 0);
	assert_int_equal(target(self, hwpt, WINDOW + 0x40), DOORBELL);
	/* Beside it there is room, and a device that comes back finds all as it was. */
	ASSERT_YES(ioas_map_user(ioas, self->base->room.client, (uintptr_t)memory, PAGE_SIZE, ISOLDE_PT_READ, true,
				 &iova, &self->why));
	ASSERT_YES(assign_attach(self, 0, 0, hwpt));
	assert_int_equal(message(self, 0, DOORBELL), WINDOW + 0x40);
}

/* What no table of the format can name, or no table is wide enough for. */
ASSIGN_TEST(sw_msi, a_page_that_cannot_be_mapped_is_refused)
{
	u32 ioas = assign_ioas(self);
	u64 iova = 0;

	make_window(self);
	self->other_unit->regions[0] = (struct reserved_region){BIT(39), BIT(39) + 0xfffff, RESERVED_SW_MSI};
	assign_bind(self, 0);
	assign_bind(self, 4);
	ASSERT_YES(assign_attach(self, 0, 0, ioas));
	EXPECT_NO(REGISTERS_BEYOND, iommufd_device_msi(self->device[0], BIT(60), &iova, &self->why));
	ASSERT_YES(assign_attach(self, 4, 0, assign_ioas(self)));
	EXPECT_NO(IOVA_BEYOND_TABLE, iommufd_device_msi(self->device[4], DOORBELL, &iova, &self->why));
}

static int attach_and_message(struct why *why)
{
	struct assign_room *self = assign_current;
	u32 pt = 1;
	u64 iova;
	int err = iommufd_device_attach(self->device[0], 0, &pt, why);

	if (err == 0)
		err = iommufd_device_msi(self->device[0], DOORBELL, &iova, why);
	iommufd_check(&self->base->iommufd);
	iommufd_device_detach(self->device[0], 0);
	return err;
}

ASSIGN_TEST(sw_msi, every_step_may_fail)
{
	make_window(self);
	assign_ioas(self);
	assign_bind(self, 0);
	SWEEP_FAILURES(attach_and_message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(sw_msi, pages_are_the_same_in_every_domain_the_group_comes_to),
		CASE(sw_msi, a_windowless_device_is_left_alone),
		CASE(sw_msi, a_context_has_64_pages),
		CASE(sw_msi, data_does_not_go_where_messages_go),
		CASE(sw_msi, a_mapping_does_not_replace_what_a_device_left_behind),
		CASE(sw_msi, a_page_that_cannot_be_mapped_is_refused),
		CASE(sw_msi, every_step_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
