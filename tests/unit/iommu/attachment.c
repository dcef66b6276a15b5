/* SPDX-License-Identifier: MIT */
/* Device by device, spec 02 section 5: counting, siblings, replacing, reserved regions, PASIDs. */
#include "tests/fixtures/core_room.h"

static void map(struct core_room *core, struct domain *domain, u64 iova)
{
	struct area *area;

	ASSERT_OK(core->why,
		  domain_map(domain, iova, PAGE_SIZE, core->room->client, 0x1000, ROOM_RW, 0, &area, &core->why));
}

static void attach(struct core_room *core, struct iommu_device *device, struct domain *domain)
{
	ASSERT_OK(core->why, iommu_device_attach(device, 0, domain, &core->handle, &core->why));
	iommu_check(core->iommu);
}

CORE_TEST(attachment, siblings_with_one_domain_are_counted)
{
	ASSERT_OK(core->why, iommu_device_claim(core->first, core->owner, &core->why));
	attach(core, core->first, core->u);
	script_set(1); /* the second moves nothing, so nobody is asked */
	attach(core, core->second, core->u);
	assert_int_equal(script.calls, 0);
	assert_ptr_equal(iommu_device_domain(core->first, 0), core->u);
	assert_null(iommu_device_domain(core->third, 0));
	/* In whichever order they go: only the last one blocks the group. */
	script_set(0);
	assert_false(iommu_device_detach(core->first, 0));
	assert_ptr_equal(dma_port_domain(core->first->port), core->u);
	assert_null(iommu_device_domain(core->first, 0));
	iommu_check(core->iommu);
	assert_true(iommu_device_detach(core->second, 0));
	assert_ptr_equal(core->group->domain, core->group->blocking_domain);
	assert_int_equal(core->u->users, 0);
	assert_false(iommu_device_detach(core->second, 0));
	assert_false(iommu_device_detach(core->first, 3));
}

CORE_TEST(attachment, a_sibling_elsewhere_is_named_with_its_ioas)
{
	attach(core, core->first, core->u);
	EXPECT_REFUSED(ATTACHED_ELSEWHERE, core->why,
		       iommu_device_attach(core->second, 0, core->v, &core->other_handle, &core->why));
	EXPECT_SUBSTR("0000:02:00.1 cannot be attached to IOAS 2 of qemu-io", core->why.text);
	EXPECT_SUBSTR("0000:02:00.0 of the same group 0 is attached to IOAS 1 of qemu-io", core->why.text);
	/* This device before its sibling: EBUSY, not EINVAL. */
	EXPECT_REFUSED(ATTACHED_ALREADY, core->why,
		       iommu_device_attach(core->first, 0, core->v, &core->other_handle, &core->why));
	EXPECT_SUBSTR("0000:02:00.0 is attached to IOAS 1", core->why.text);
	EXPECT_REFUSED(ATTACHED_ALREADY, core->why,
		       iommu_device_attach(core->first, 0, core->u, &core->other_handle, &core->why));
	assert_int_equal(core->v->users, 0);
	assert_ptr_equal(core->group->domain, core->u);
}

CORE_TEST(attachment, a_replacement_moves_the_whole_group)
{
	attach(core, core->first, core->u);
	attach(core, core->second, core->u);
	EXPECT_REFUSED(NOT_ATTACHED, core->why,
		       iommu_device_replace(core->third, 0, core->v, &core->other_handle, &core->why));
	EXPECT_SUBSTR("0000:02:00.2", core->why.text);
	EXPECT_REFUSED(NOT_ATTACHED, core->why,
		       iommu_device_replace(core->alone, 0, core->v, &core->other_handle, &core->why));
	ASSERT_OK(core->why, iommu_device_replace(core->second, 0, core->v, &core->other_handle, &core->why));
	assert_ptr_equal(iommu_device_domain(core->first, 0), core->v);
	assert_ptr_equal(dma_port_domain(core->third->port), core->v);
	assert_int_equal(core->u->users, 0);
	iommu_check(core->iommu);
	/* To what it is: nothing happens, the handle stays. */
	ASSERT_OK(core->why, iommu_device_replace(core->first, 0, core->v, &core->handle, &core->why));
	assert_ptr_equal(core->group->handle, &core->other_handle);
	script_set(BIT(1));
	EXPECT_REFUSED(IDS_EXHAUSTED, core->why,
		       iommu_device_replace(core->first, 0, core->u, &core->handle, &core->why));
	assert_ptr_equal(iommu_device_domain(core->second, 0), core->v);
	assert_ptr_equal(core->group->handle, &core->other_handle);
}

CORE_TEST(attachment, regions_that_the_device_needs_must_be_free)
{
	map(core, core->u, 0xfee00000);
	EXPECT_REFUSED(RESERVED_MAPPED, core->why,
		       iommu_device_attach(core->first, 0, core->u, &core->handle, &core->why));
	EXPECT_SUBSTR("0000:02:00.0 needs [0xfee00000, 0xfeefffff] (msi)", core->why.text);
	EXPECT_SUBSTR("maps [0xfee00000, 0xfee00fff]", core->why.text);
	assert_int_equal(core->u->users, 0);
	assert_true(list_empty(&core->group->attachments));
	/* Not at a PASID: those requests are no interrupts. */
	ASSERT_OK(core->why, iommu_device_attach(core->first, 3, core->u, &core->third_handle, &core->why));
	/* Each sibling is asked when it comes, and all when they move. */
	attach(core, core->second, core->v);
	map(core, core->v, 0xfee01000);
	EXPECT_REFUSED(RESERVED_MAPPED, core->why,
		       iommu_device_attach(core->first, 0, core->v, &core->other_handle, &core->why));
	EXPECT_REFUSED(RESERVED_MAPPED, core->why,
		       iommu_device_replace(core->second, 0, core->u, &core->other_handle, &core->why));
	EXPECT_SUBSTR("0000:02:00.1", core->why.text);
	assert_ptr_equal(iommu_device_domain(core->second, 0), core->v);
}

CORE_TEST(attachment, relaxable_regions_are_ignored_and_nested_domains_map_in_their_parent)
{
	struct domain *nested = core_nested(core, core->u);

	core->room->unit->regions[0].kind = RESERVED_DIRECT_RELAXABLE;
	map(core, core->u, 0xfee00000);
	attach(core, core->first, core->u);
	assert_true(iommu_device_detach(core->first, 0));
	core->room->unit->regions[0].kind = RESERVED_SW_MSI;
	EXPECT_REFUSED(RESERVED_MAPPED, core->why,
		       iommu_device_attach(core->first, 0, nested, &core->handle, &core->why));
	EXPECT_SUBSTR("the guest's table 5", core->why.text);
	domain_free(nested);
}

CORE_TEST(attachment, a_domain_not_made_for_pasids_stays_away_from_them)
{
	core->v->pasid_compatible = false;
	EXPECT_REFUSED(PASID_INCOMPATIBLE, core->why,
		       iommu_device_attach(core->first, 3, core->v, &core->handle, &core->why));
	EXPECT_SUBSTR("IOAS 2 of qemu-io", core->why.text);
	/* Without PASID on such a domain: no PASID, whatever its domain. */
	attach(core, core->first, core->v);
	EXPECT_REFUSED(PASID_INCOMPATIBLE, core->why,
		       iommu_device_attach(core->first, 3, core->u, &core->other_handle, &core->why));
	EXPECT_SUBSTR("0000:02:00.0 cannot have PASID 3", core->why.text);
	ASSERT_OK(core->why, iommu_device_replace(core->first, 0, core->u, &core->other_handle, &core->why));
	ASSERT_OK(core->why, iommu_device_attach(core->first, 3, core->u, &core->third_handle, &core->why));
	/* And the other way round. */
	EXPECT_REFUSED(PASID_INCOMPATIBLE, core->why,
		       iommu_device_replace(core->first, 0, core->v, &core->handle, &core->why));
	EXPECT_REFUSED(PASID_INCOMPATIBLE, core->why,
		       iommu_device_replace(core->first, 3, core->v, &core->handle, &core->why));
	assert_true(iommu_device_detach(core->first, 0));
	EXPECT_REFUSED(PASID_INCOMPATIBLE, core->why,
		       iommu_device_attach(core->second, 0, core->v, &core->handle, &core->why));
}

CORE_TEST(attachment, pasids_are_counted_like_the_rest)
{
	ASSERT_OK(core->why, iommu_device_attach(core->first, 3, core->u, &core->handle, &core->why));
	ASSERT_OK(core->why, iommu_device_attach(core->second, 3, core->u, &core->handle, &core->why));
	EXPECT_REFUSED(ATTACHED_ALREADY, core->why,
		       iommu_device_attach(core->first, 3, core->v, &core->handle, &core->why));
	EXPECT_REFUSED(ATTACHED_ELSEWHERE, core->why,
		       iommu_device_attach(core->third, 3, core->v, &core->handle, &core->why));
	assert_ptr_equal(dma_port_pasid_domain(core->third->port, 3), core->u);
	ASSERT_OK(core->why, iommu_device_replace(core->first, 3, core->v, &core->other_handle, &core->why));
	assert_ptr_equal(dma_port_pasid_domain(core->second->port, 3), core->v);
	iommu_check(core->iommu);
	assert_false(iommu_device_detach(core->first, 3));
	assert_true(iommu_device_detach(core->second, 3));
	assert_null(iommu_pasid_slot(core->group, 3));
}

CORE_TEST(attachment, a_virtual_function_cannot_have_its_page_requests_answered)
{
	struct page_handler pages = {.handle = NULL};
	struct pci_function physical = {.cap_pri = 0x120};

	core->alone->function->physical = &physical;
	core->alone->function->cap_pri = 0;
	core->handle.pages = &pages;
	EXPECT_REFUSED(VF_PAGE_REQUESTS, core->why,
		       iommu_device_attach(core->alone, 0, core->u, &core->handle, &core->why));
	EXPECT_SUBSTR("0000:01:00.0 is a virtual function", core->why.text);
	EXPECT_REFUSED(VF_PAGE_REQUESTS, core->why,
		       iommu_device_attach(core->alone, 3, core->u, &core->handle, &core->why));
	physical.cap_pri = 0;
	ASSERT_OK(core->why, iommu_device_attach(core->alone, 0, core->u, &core->handle, &core->why));
	core->handle.pages = NULL;
	assert_true(iommu_device_detach(core->alone, 0));
	physical.cap_pri = 0x120;
	ASSERT_OK(core->why, iommu_device_attach(core->alone, 0, core->u, &core->handle, &core->why));
	core->alone->function->physical = NULL;
}

CORE_TEST(attachment, without_a_handle_there_is_no_replacement)
{
	ASSERT_OK(core->why, iommu_device_attach(core->first, 0, core->u, NULL, &core->why));
	EXPECT_REFUSED(HANDLE_MISSING, core->why, iommu_device_replace(core->first, 0, core->v, NULL, &core->why));
	ASSERT_OK(core->why, iommu_device_replace(core->first, 0, core->v, &core->handle, &core->why));
}

CORE_TEST(attachment, calls_for_groups_are_warned_and_releases_refused)
{
	ASSERT_OK(core->why, iommu_device_claim(core->first, core->owner, &core->why));
	ASSERT_OK(core->why, iommu_may_bypass(core->group, 0, &core->why));
	ASSERT_OK(core->why, iommu_device_attach(core->first, 0, core->u, NULL, &core->why));
	EXPECT_REFUSED(ATTACHED_BY_DEVICE, core->why, iommu_may_bypass(core->group, 0, &core->why));
	EXPECT_SUBSTR("0000:02:00.0", core->why.text);
	EXPECT_SUBSTR("IOAS 1 of qemu-io", core->why.text);
	ASSERT_OK(core->why, iommu_may_bypass(core->group, 3, &core->why));
	EXPECT_REFUSED(RELEASE_ATTACHED, core->why, iommu_may_release_device(core->first, &core->why));
	iommu_device_detach(core->first, 0);
	EXPECT_REFUSED(DOMAIN_ATTACHED, core->why, ({
			       ASSERT_OK(core->why, iommu_attach_group(core->v, core->group, &core->why));
			       iommu_device_attach(core->first, 0, core->u, NULL, &core->why);
		       }));
	assert_true(list_empty(&core->group->attachments));
}

CORE_TEST(attachment, no_hardware_no_attachment)
{
	struct iommu_device *mdev = core_emulated(core, core->first);

	EXPECT_REFUSED(DEVICE_NO_IOMMU, core->why, iommu_device_attach(mdev, 0, core->u, NULL, &core->why));
	EXPECT_SUBSTR("mdev-7", core->why.text);
	EXPECT_REFUSED(DEVICE_NO_IOMMU, core->why, iommu_device_replace(mdev, 3, core->u, &core->handle, &core->why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(attachment, siblings_with_one_domain_are_counted),
		CASE(attachment, a_sibling_elsewhere_is_named_with_its_ioas),
		CASE(attachment, a_replacement_moves_the_whole_group),
		CASE(attachment, regions_that_the_device_needs_must_be_free),
		CASE(attachment, relaxable_regions_are_ignored_and_nested_domains_map_in_their_parent),
		CASE(attachment, a_domain_not_made_for_pasids_stays_away_from_them),
		CASE(attachment, pasids_are_counted_like_the_rest),
		CASE(attachment, a_virtual_function_cannot_have_its_page_requests_answered),
		CASE(attachment, without_a_handle_there_is_no_replacement),
		CASE(attachment, calls_for_groups_are_warned_and_releases_refused),
		CASE(attachment, no_hardware_no_attachment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
