/* SPDX-License-Identifier: MIT */
/* The window around a reset (spec 02 section 8). */
#include "tests/fixtures/core_room.h"

static struct domain *place(const struct iommu_device *device)
{
	return dma_port_domain(device->port);
}

CORE_TEST(recover, only_the_device_that_is_reset_is_blocked)
{
	struct domain *blocking;

	ASSERT_OK(core->why, iommu_attach_group(core->u, core->group, &core->why));
	ASSERT_OK(core->why, iommu_attach_pasid(core->v, core->first, 3, NULL, &core->why));
	ASSERT_OK(core->why, iommu_reset_prepare(core->second, &core->why));
	blocking = core->group->blocking_domain;
	assert_non_null(blocking);
	assert_ptr_equal(place(core->second), blocking);
	assert_null(dma_port_pasid_domain(core->second->port, 3));
	assert_ptr_equal(place(core->first), core->u);
	assert_ptr_equal(dma_port_pasid_domain(core->first->port, 3), core->v);
	assert_ptr_equal(core->group->domain, core->u);
	iommu_check(core->iommu);
	iommu_reset_done(core->second);
	assert_ptr_equal(place(core->second), core->u);
	assert_ptr_equal(dma_port_pasid_domain(core->second->port, 3), core->v);
	assert_int_equal(core->group->recovering, 0);
}

CORE_TEST(recover, resets_nest)
{
	ASSERT_OK(core->why, iommu_reset_prepare(core->second, &core->why));
	script_set(1);
	ASSERT_OK(core->why, iommu_reset_prepare(core->second, &core->why));
	assert_int_equal(script.calls, 0);
	assert_int_equal(core->group->recovering, 1);
	iommu_reset_done(core->second);
	assert_true(core->second->blocked);
	script_set(0);
	iommu_reset_done(core->second);
	assert_false(core->second->blocked);
	EXPECT_ABORT(iommu_reset_done(core->second));
}

CORE_TEST(recover, two_members_at_a_time)
{
	ASSERT_OK(core->why, iommu_reset_prepare(core->second, &core->why));
	ASSERT_OK(core->why, iommu_reset_prepare(core->first, &core->why));
	assert_int_equal(core->group->recovering, 2);
	iommu_check(core->iommu);
	iommu_reset_done(core->second);
	EXPECT_REFUSED(GROUP_RECOVERING, core->why, iommu_attach_group(core->u, core->group, &core->why));
	EXPECT_SUBSTR("0000:02:00.0 of group 0 is being reset", core->why.text);
	iommu_reset_done(core->first);
	ASSERT_OK(core->why, iommu_attach_group(core->u, core->group, &core->why));
}

CORE_TEST(recover, without_ats_nothing_happens)
{
	core->second->function->cap_ats = 0;
	ASSERT_OK(core->why, iommu_reset_prepare(core->second, &core->why));
	assert_int_equal(core->group->recovering, 0);
	assert_null(core->group->blocking_domain);
	iommu_reset_done(core->second);
}

CORE_TEST(recover, a_driver_that_refuses_stops_the_reset)
{
	script_set(1);
	EXPECT_REFUSED(IDS_EXHAUSTED, core->why, iommu_reset_prepare(core->second, &core->why));
	assert_int_equal(core->second->reset_depth, 0);
	assert_int_equal(core->group->recovering, 0);
	assert_ptr_equal(place(core->second), core->group->default_domain);
	iommu_check(core->iommu);
}

/* Firmware's memory is out of reach for a moment; Linux resets such a device all the same. */
CORE_TEST(recover, memory_of_the_firmware_does_not_stop_a_reset)
{
	struct iommu_unit *unit = core->room->unit;

	unit->regions[unit->nregions++] = (struct reserved_region){0x7a000000, 0x7affffff, RESERVED_DIRECT};
	ASSERT_OK(core->why, iommu_reset_prepare(core->second, &core->why));
	iommu_reset_done(core->second);
	assert_ptr_equal(place(core->second), core->group->default_domain);
}

CORE_TEST(recover, in_a_blocked_group_nobody_is_asked)
{
	ASSERT_OK(core->why, iommu_device_claim(core->first, core->owner, &core->why));
	script_set(UINT64_MAX);
	ASSERT_OK(core->why, iommu_reset_prepare(core->second, &core->why));
	/* The owner may count one more meanwhile, and give all of it back. */
	ASSERT_OK(core->why, iommu_device_claim(core->second, core->owner, &core->why));
	iommu_reset_done(core->second);
	assert_int_equal(script.calls, 0);
	assert_false(core->second->stranded);
	iommu_check(core->iommu);
}

CORE_TEST(recover, what_must_succeed_passes_the_blocked_member_over)
{
	ASSERT_OK(core->why, iommu_device_claim(core->first, core->owner, &core->why));
	ASSERT_OK(core->why, iommu_attach_group(core->u, core->group, &core->why));
	ASSERT_OK(core->why, iommu_attach_pasid(core->v, core->first, 3, NULL, &core->why));
	ASSERT_OK(core->why, iommu_reset_prepare(core->second, &core->why));
	script_set(0);
	iommu_detach_pasid(core->first, 3);
	iommu_detach_group(core->group);
	iommu_device_release(core->first);
	assert_int_equal(script.calls, 2 + 2); /* not the one in reset */
	assert_ptr_equal(place(core->second), core->group->blocking_domain);
	assert_ptr_equal(place(core->first), core->group->default_domain);
	iommu_check(core->iommu);
	iommu_reset_done(core->second);
	assert_ptr_equal(place(core->second), core->group->default_domain);
}

CORE_TEST(recover, who_cannot_come_back_stays_blocked)
{
	ASSERT_OK(core->why, iommu_attach_group(core->u, core->group, &core->why));
	ASSERT_OK(core->why, iommu_attach_pasid(core->v, core->first, 3, NULL, &core->why));
	ASSERT_OK(core->why, iommu_reset_prepare(core->second, &core->why));
	script_set(BIT(0) | BIT(1));
	iommu_reset_done(core->second);
	assert_true(core->second->stranded);
	assert_ptr_equal(place(core->second), core->group->blocking_domain);
	assert_null(dma_port_pasid_domain(core->second->port, 3));
	assert_int_equal(core->group->recovering, 0);
	iommu_check(core->iommu);
	/* The next reset that ends well, or the next domain, brings it back. */
	script_set(0);
	ASSERT_OK(core->why, iommu_reset_prepare(core->second, &core->why));
	iommu_reset_done(core->second);
	assert_ptr_equal(place(core->second), core->u);
	assert_ptr_equal(dma_port_pasid_domain(core->second->port, 3), core->v);
}

CORE_TEST(recover, a_device_may_leave_in_the_middle)
{
	ASSERT_OK(core->why, iommu_attach_pasid(core->v, core->first, 3, NULL, &core->why));
	ASSERT_OK(core->why, iommu_reset_prepare(core->third, &core->why));
	iommu_device_remove(core->third);
	assert_int_equal(core->group->recovering, 0);
	iommu_check(core->iommu);
	ASSERT_OK(core->why,
		  iommu_device_add(core->group, core->room->unit, &core->function, &core->third, &core->why));
	ASSERT_OK(core->why, iommu_attach_group(core->u, core->group, &core->why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(recover, only_the_device_that_is_reset_is_blocked),
		CASE(recover, resets_nest),
		CASE(recover, two_members_at_a_time),
		CASE(recover, without_ats_nothing_happens),
		CASE(recover, a_driver_that_refuses_stops_the_reset),
		CASE(recover, memory_of_the_firmware_does_not_stop_a_reset),
		CASE(recover, in_a_blocked_group_nobody_is_asked),
		CASE(recover, what_must_succeed_passes_the_blocked_member_over),
		CASE(recover, who_cannot_come_back_stays_blocked),
		CASE(recover, a_device_may_leave_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
