/* SPDX-License-Identifier: MIT */
/* PASIDs (spec 02 section 3.8), with real DMA through them; PASIDs of the whole machine. */
#include "tests/fixtures/core_room.h"

static u8 memory[4 * PAGE_SIZE] __attribute__((aligned(4096)));

static void map(struct core_room *core, struct domain *domain, u64 iova, const void *at, unsigned permission)
{
	struct area *area;

	ASSERT_OK(core->why, domain_map(domain, iova, PAGE_SIZE, core->room->client, (uintptr_t)at, permission, 0,
					&area, &core->why));
}

static enum dma_result fetch(struct iommu_device *device, u32 pasid, u64 iova, u8 *ret)
{
	const struct dma_segment segment = {iova, ret, 1};

	return dma_readv_pasid(device->port, pasid, &segment, 1);
}

static void expect_byte(struct iommu_device *device, u32 pasid, u64 iova, u8 expected)
{
	u8 byte = 0;

	assert_int_equal(fetch(device, pasid, iova, &byte), DMA_OK);
	assert_int_equal(byte, expected);
}

CORE_TEST(pasid, each_pasid_is_an_address_space_of_its_own)
{
	u8 byte;

	memory[0] = 0x11;
	memory[PAGE_SIZE] = 0x22;
	map(core, core->u, 0x10000, memory, ROOM_RW);
	map(core, core->v, 0x10000, memory + PAGE_SIZE, ISOLDE_PT_READ);
	ASSERT_OK(core->why, iommu_attach_pasid(core->u, core->first, 3, NULL, &core->why));
	ASSERT_OK(core->why, iommu_attach_pasid(core->v, core->first, 4, &core->handle, &core->why));
	for (unsigned round = 0; round < 2; round++) { /* by a walk, then from the IOTLB */
		expect_byte(core->first, 3, 0x10000, 0x11);
		expect_byte(core->second, 4, 0x10000, 0x22);
	}
	assert_int_equal(fetch(core->first, 5, 0x10000, &byte), DMA_FAULT);
	EXPECT_SUBSTR("0000:02:00.0 with PASID 5", core->room->fault.text);
	EXPECT_SUBSTR("attached to no domain", core->room->fault.text);
	assert_int_equal(core->room->fault.pasid, 5);
	assert_int_equal(fetch(core->first, 0, 0x10000, &byte), DMA_FAULT);
	assert_int_equal(dma_writev_pasid(core->second->port, 4, &(struct dma_segment){0x10000, &byte, 1}, 1),
			 DMA_FAULT);
	assert_int_equal(core->room->fault.reason, DMA_FAULT_PERMISSION);
	/* Replaced: what was cached is forgotten. */
	ASSERT_OK(core->why, iommu_replace_pasid(core->u, core->first, 4, &core->other_handle, &core->why));
	expect_byte(core->second, 4, 0x10000, 0x11);
	iommu_check(core->iommu);
	iommu_detach_pasid(core->third, 4);
	assert_int_equal(fetch(core->second, 4, 0x10000, &byte), DMA_FAULT);
	expect_byte(core->first, 3, 0x10000, 0x11);
	iommu_detach_pasid(core->third, 4); /* nothing there: nothing happens */
}

CORE_TEST(pasid, members_without_pasids_are_passed_over)
{
	core->second->max_pasids = 0;
	ASSERT_OK(core->why, iommu_attach_pasid(core->u, core->first, 3, NULL, &core->why));
	assert_int_equal(script.calls, 2);
	assert_null(dma_port_pasid_domain(core->second->port, 3));
	assert_ptr_equal(dma_port_pasid_domain(core->third->port, 3), core->u);
	iommu_check(core->iommu);
}

/* As in Linux: with no member that has PASIDs the attach is only written down, whatever the number. */
CORE_TEST(pasid, a_group_without_pasids_records_any)
{
	core->first->max_pasids = core->second->max_pasids = core->third->max_pasids = 0;
	ASSERT_OK(core->why, iommu_attach_pasid(core->u, core->first, UINT32_MAX, NULL, &core->why));
	ASSERT_OK(core->why, iommu_attach_pasid(core->u, core->first, 7, NULL, &core->why));
	assert_int_equal(script.calls, 0);
	assert_int_equal(core->u->users, 2);
	EXPECT_REFUSED(PASID_TAKEN, core->why, iommu_attach_pasid(core->u, core->second, UINT32_MAX, NULL, &core->why));
	EXPECT_SUBSTR("4294967295", core->why.text);
	iommu_check(core->iommu);
	iommu_detach_pasid(core->first, UINT32_MAX);
}

CORE_TEST(pasid, the_limit_is_each_members)
{
	core->second->max_pasids = 1; /* the capability's width may be 0 */
	EXPECT_REFUSED(PASID_TOO_LARGE, core->why, iommu_attach_pasid(core->u, core->first, 1, NULL, &core->why));
	EXPECT_SUBSTR("0000:02:00.1 of group 0 has PASIDs below 1; 1 is none of them", core->why.text);
}

CORE_TEST(pasid, the_nth_member_refuses_and_none_has_it)
{
	for (unsigned n = 0; n < 3; n++) {
		script_set(BIT(n));
		EXPECT_REFUSED(IDS_EXHAUSTED, core->why, iommu_attach_pasid(core->u, core->first, 3, NULL, &core->why));
		assert_null(iommu_pasid_slot(core->group, 3));
		assert_null(dma_port_context(core->first->port, 3));
		assert_null(dma_port_context(core->second->port, 3));
		assert_int_equal(core->u->users, 0);
		iommu_check(core->iommu);
	}
}

CORE_TEST(pasid, the_nth_member_refuses_a_replacement_and_all_keep_the_old_one)
{
	ASSERT_OK(core->why, iommu_attach_pasid(core->u, core->first, 3, &core->handle, &core->why));
	for (unsigned n = 0; n < 3; n++) {
		script_set(BIT(n));
		EXPECT_REFUSED(IDS_EXHAUSTED, core->why,
			       iommu_replace_pasid(core->v, core->first, 3, &core->other_handle, &core->why));
		assert_int_equal(script.calls, 2 * n + 1);
		assert_ptr_equal(iommu_pasid_slot(core->group, 3)->domain, core->u);
		assert_ptr_equal(iommu_pasid_slot(core->group, 3)->handle, &core->handle);
		assert_ptr_equal(dma_port_pasid_domain(core->first->port, 3), core->u);
		assert_int_equal(core->v->users, 0);
		iommu_check(core->iommu);
	}
	/* The same domain: only the handle changes, and nobody is asked. */
	script_set(1);
	ASSERT_OK(core->why, iommu_replace_pasid(core->u, core->first, 3, &core->other_handle, &core->why));
	assert_int_equal(script.calls, 0);
	assert_ptr_equal(iommu_pasid_slot(core->group, 3)->handle, &core->other_handle);
	assert_int_equal(core->u->users, 1);
}

CORE_TEST(pasid, handles_are_found_by_pasid_and_kind)
{
	struct attach_handle *found = NULL;

	EXPECT_REFUSED(HANDLE_NONE, core->why, iommu_find_handle(core->group, 0, DOMAIN_ANY, &found, &core->why));
	EXPECT_SUBSTR("group 0", core->why.text);
	ASSERT_OK(core->why, iommu_attach_pasid(core->u, core->first, 3, NULL, &core->why));
	EXPECT_REFUSED(HANDLE_NONE, core->why, iommu_find_handle(core->group, 3, DOMAIN_ANY, &found, &core->why));
	ASSERT_OK(core->why, iommu_attach_pasid(core->u, core->first, 4, &core->handle, &core->why));
	ASSERT_OK(core->why, iommu_attach_group_handle(core->v, core->group, &core->other_handle, &core->why));
	ASSERT_OK(core->why, iommu_find_handle(core->group, 4, DOMAIN_PAGING, &found, &core->why));
	assert_ptr_equal(found, &core->handle);
	ASSERT_OK(core->why, iommu_find_handle(core->group, 0, DOMAIN_ANY, &found, &core->why));
	assert_ptr_equal(found, &core->other_handle);
	EXPECT_REFUSED(HANDLE_KIND, core->why, iommu_find_handle(core->group, 4, DOMAIN_SVA, &found, &core->why));
	EXPECT_SUBSTR("PASID 4 of group 0 is attached to a paging domain, not a SVA one", core->why.text);
}

CORE_TEST(pasid, global_pasids_are_below_the_devices_limit)
{
	u32 pasid, first;

	core->first->max_pasids = 3;
	ASSERT_OK(core->why, iommu_alloc_pasid(core->first, &first, &core->why));
	assert_int_equal(first, 1);
	ASSERT_OK(core->why, iommu_alloc_pasid(core->alone, &pasid, &core->why));
	assert_int_equal(pasid, 2);
	EXPECT_REFUSED(PASID_NONE_FREE, core->why, iommu_alloc_pasid(core->first, &pasid, &core->why));
	EXPECT_SUBSTR("below 3, the limit of 0000:02:00.0", core->why.text);
	iommu_free_pasid(core->iommu, first);
	iommu_free_pasid(core->iommu, first);
	iommu_free_pasid(core->iommu, UINT32_MAX);
	ASSERT_OK(core->why, iommu_alloc_pasid(core->first, &pasid, &core->why));
	assert_int_equal(pasid, 1);
	core->first->max_pasids = 0;
	EXPECT_REFUSED(PASID_NONE_FREE, core->why, iommu_alloc_pasid(core->first, &pasid, &core->why));
	EXPECT_SUBSTR("0000:02:00.0 has no PASIDs", core->why.text);
}

CORE_TEST(pasid, how_many_a_device_has_is_in_its_capability_and_its_unit)
{
	static const struct {
		u32 unit, width, expected;
	} cases[] = {{0, 20, 0}, {64, 5, 32}, {64, 20, 64}, {BIT(20), 20, BIT(20)}, {BIT(20), 31, BIT(20)}, {64, 0, 1}};
	struct pci_identity identity = {.vendor = 0x1b36, .device = 0x10, .class_code = 0x010802};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pci_function function = {};
		struct iommu_device *device;

		pci_function_init(&function, (struct pci_addr){0, 2, pci_devfn(0, 4)}, &identity);
		function.cap_pasid = 0x140;
		function.config[0x140 + 5] = (u8)cases[i].width;
		core->room->unit->max_pasids = cases[i].unit;
		ASSERT_OK(core->why, iommu_device_add(core->group, core->room->unit, &function, &device, &core->why));
		assert_int_equal(device->max_pasids, cases[i].expected);
		iommu_device_remove(device);
		pci_function_fini(&function);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pasid, each_pasid_is_an_address_space_of_its_own),
		CASE(pasid, members_without_pasids_are_passed_over),
		CASE(pasid, a_group_without_pasids_records_any),
		CASE(pasid, the_limit_is_each_members),
		CASE(pasid, the_nth_member_refuses_and_none_has_it),
		CASE(pasid, the_nth_member_refuses_a_replacement_and_all_keep_the_old_one),
		CASE(pasid, handles_are_found_by_pasid_and_kind),
		CASE(pasid, global_pasids_are_below_the_devices_limit),
		CASE(pasid, how_many_a_device_has_is_in_its_capability_and_its_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
