/* SPDX-License-Identifier: MIT */
/* A process's own addresses (spec 06 section 1), with real DMA. */
#include "tests/fixtures/core_room.h"

static u8 memory[PAGE_SIZE] __attribute__((aligned(4096)));

static struct sva_bond *bind(struct core_room *core, struct iommu_device *device)
{
	struct sva_bond *bond = NULL;

	ASSERT_OK(core->why, iommu_sva_bind(device, core->room->client, &bond, &core->why));
	return bond;
}

CORE_TEST(sva, a_device_uses_the_addresses_of_the_process)
{
	struct sva_bond *bond = bind(core, core->first);
	const u32 pasid = iommu_sva_pasid(bond);
	u8 byte = 0x5a;
	const struct dma_segment segment = {(uintptr_t)memory + 17, &byte, 1};
	const struct dma_segment beyond = {BIT(47), &byte, 1}, nothing = {0x1000, &byte, 1};

	assert_int_equal(dma_writev_pasid(core->first->port, pasid, &segment, 1), DMA_OK);
	assert_int_equal(memory[17], 0x5a);
	byte = 0;
	assert_int_equal(dma_readv_pasid(core->first->port, pasid, &segment, 1), DMA_OK);
	assert_int_equal(byte, 0x5a);
	assert_int_equal(dma_readv_pasid(core->first->port, pasid, &beyond, 1), DMA_FAULT);
	assert_int_equal(core->room->fault.reason, DMA_FAULT_ADDRESS);
	assert_int_equal(dma_readv_pasid(core->first->port, pasid, &nothing, 1), DMA_FAULT);
	assert_int_equal(core->room->fault.reason, DMA_FAULT_MEMORY);
	assert_true(iommu_sva_unbind(bond));
	assert_int_equal(dma_readv_pasid(core->first->port, pasid, &segment, 1), DMA_FAULT);
}

CORE_TEST(sva, a_process_has_one_pasid_for_all_devices_until_it_is_gone)
{
	struct sva_bond *bond = bind(core, core->first), *other = bind(core, core->alone);
	u32 pasid = iommu_sva_pasid(bond), next;

	assert_int_equal(iommu_sva_pasid(other), pasid);
	assert_ptr_not_equal(bond, other);
	assert_true(iommu_sva_unbind(bond));
	assert_true(iommu_sva_unbind(other));
	/* Not at unbind. */
	ASSERT_OK(core->why, iommu_alloc_pasid(core->first, &next, &core->why));
	assert_int_not_equal(next, pasid);
	assert_int_equal(iommu_sva_pasid(bind(core, core->first)), pasid);
	iommu_sva_forget(core->iommu, core->room->client);
	assert_null(iommu_pasid_slot(core->group, pasid));
	ASSERT_OK(core->why, iommu_alloc_pasid(core->first, &next, &core->why));
	assert_int_equal(next, pasid);
	iommu_sva_forget(core->iommu, core->room->client);
}

/* The group has one attachment at that PASID: a sibling counts on the same. */
CORE_TEST(sva, bonds_are_counted_siblings_included)
{
	struct sva_bond *bond = bind(core, core->first);

	assert_ptr_equal(bind(core, core->first), bond);
	assert_ptr_equal(bind(core, core->third), bond);
	assert_int_equal(list_length(&core->group->pasids), 1);
	assert_false(iommu_sva_unbind(bond));
	assert_false(iommu_sva_unbind(bond));
	/* The one that bound first may leave. */
	iommu_device_remove(core->third);
	ASSERT_OK(core->why,
		  iommu_device_add(core->group, core->room->unit, &core->function, &core->third, &core->why));
	assert_true(iommu_sva_unbind(bond));
	assert_true(list_empty(&core->group->pasids));
}

CORE_TEST(sva, who_cannot_is_named)
{
	struct sva_bond *bond = NULL;
	struct client *client = core->room->client;
	u32 pasid;

	EXPECT_REFUSED(DEVICE_NO_IOMMU, core->why,
		       iommu_sva_bind(core_emulated(core, NULL), client, &bond, &core->why));
	EXPECT_SUBSTR("mdev-7", core->why.text);
	core->alone->max_pasids = 0;
	EXPECT_REFUSED(PASID_NONE_FREE, core->why, iommu_sva_bind(core->alone, client, &bond, &core->why));
	EXPECT_SUBSTR("0000:01:00.0", core->why.text);
	core->alone->max_pasids = 2;
	ASSERT_OK(core->why, iommu_alloc_pasid(core->first, &pasid, &core->why));
	EXPECT_REFUSED(PASID_NONE_FREE, core->why, iommu_sva_bind(core->alone, client, &bond, &core->why));
	assert_int_equal(iommu_sva_pasid(bind(core, core->first)), 2);
	EXPECT_REFUSED(SVA_PASID_LIMIT, core->why, iommu_sva_bind(core->alone, client, &bond, &core->why));
	EXPECT_SUBSTR("0000:01:00.0 has PASIDs below 2; the process has 2", core->why.text);
}

CORE_TEST(sva, a_pasid_that_means_something_else_is_busy_before_the_hardware_is_asked)
{
	struct sva_bond *bond = NULL;
	const u32 pasid = iommu_sva_pasid(bind(core, core->first));

	ASSERT_OK(core->why, iommu_attach_pasid(core->u, core->alone, pasid, NULL, &core->why));
	script_driver.lacks_sva = true;
	EXPECT_REFUSED(PASID_TAKEN, core->why, iommu_sva_bind(core->alone, core->room->client, &bond, &core->why));
	EXPECT_SUBSTR("IOAS 1 of qemu-io", core->why.text);
	iommu_detach_pasid(core->alone, pasid);
	EXPECT_REFUSED(SVA_UNSUPPORTED, core->why, iommu_sva_bind(core->alone, core->room->client, &bond, &core->why));
	EXPECT_SUBSTR("dmar0", core->why.text);
	script_driver.lacks_sva = false;
	script_set(1);
	EXPECT_REFUSED(IDS_EXHAUSTED, core->why, iommu_sva_bind(core->alone, core->room->client, &bond, &core->why));
	script_set(0);
	bind(core, core->alone);
	iommu_check(core->iommu);
}

/* Identity: an IOVA is the physical address of a frame, for as long as somebody has it mapped. */
CORE_TEST(sva, an_identity_domain_reaches_frames_that_are_mapped)
{
	struct domain *identity = NULL;
	struct area *area;
	u64 physical;
	u8 byte = 0;

	memory[5] = 0x77;
	ASSERT_OK(core->why, domain_map(core->u, 0x10000, PAGE_SIZE, core->room->client, (uintptr_t)memory,
					ISOLDE_PT_READ, 0, &area, &core->why));
	physical = isolde_pt_iova_to_phys(core->u->pt, 0x10000);
	ASSERT_OK(core->why, domain_new(core->iommu, core->room->unit, DOMAIN_IDENTITY, &identity, &core->why));
	ASSERT_OK(core->why, iommu_attach_group(identity, core->group, &core->why));
	assert_int_equal(dma_read(core->first->port, physical + 5, &byte, 1), DMA_OK);
	assert_int_equal(byte, 0x77);
	domain_unmap(core->u, area);
	assert_int_equal(dma_read(core->first->port, physical + 5, &byte, 1), DMA_FAULT);
	assert_int_equal(core->room->fault.reason, DMA_FAULT_NOT_PRESENT);
	iommu_detach_group(core->group);
	domain_free(identity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(sva, a_device_uses_the_addresses_of_the_process),
		CASE(sva, a_process_has_one_pasid_for_all_devices_until_it_is_gone),
		CASE(sva, bonds_are_counted_siblings_included),
		CASE(sva, who_cannot_is_named),
		CASE(sva, a_pasid_that_means_something_else_is_busy_before_the_hardware_is_asked),
		CASE(sva, an_identity_domain_reaches_frames_that_are_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
