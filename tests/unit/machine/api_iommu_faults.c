/* SPDX-License-Identifier: MIT */
/* include/isolde/iommu.h, call by call: PASIDs, the process's addresses, page requests, resets, types, failures. */
#include "tests/fixtures/api_room.h"

/* ---- PASIDs ---- */

TEST_F(pasids)
{
	u32 pasid = 0;

	master(f->nvme);
	OK(map(f, 0x10000, f->memory, PAGE_SIZE, ISOLDE_MAP_READ | ISOLDE_MAP_WRITE));
	OK(isolde_pasid_alloc(f->nvme, &pasid, &f->why));
	assert_int_equal(pasid, 1);
	EXPECT_REFUSED(PASID_ZERO, f->expected, told(f, isolde_attach_pasid(f->domain, f->nvme, 0, NULL, &f->why)));
	EXPECT_REFUSED(PASID_TOO_LARGE, f->expected,
		       told(f, isolde_attach_pasid(f->domain, f->nvme, 64, NULL, &f->why)));
	NAMES(NVME);
	OK(isolde_attach_pasid(f->domain, f->nvme, pasid, NULL, &f->why));
	OK(isolde_dma_write(f->nvme, pasid, 0x10000, "x", 1, &f->why));
	EXPECT_REFUSED(DMA_FAULT, f->expected, told(f, isolde_dma_write(f->nvme, 0, 0x10000, "x", 1, &f->why)));
	EXPECT_REFUSED(PASID_TAKEN, f->expected, told(f, isolde_attach_pasid(f->other, f->nvme, pasid, NULL, &f->why)));
	OK(isolde_replace_pasid(f->other, f->nvme, pasid, f->handle, &f->why));
	EXPECT_REFUSED(HANDLE_REUSED, f->expected,
		       told(f, isolde_replace_pasid(f->domain, f->nvme, pasid, f->handle, &f->why)));
	EXPECT_REFUSED(HANDLE_BUSY, f->expected, told(f, isolde_handle_free(f->handle, &f->why)));
	NAMES("PASID 1");
	EXPECT_REFUSED(DMA_FAULT, f->expected, told(f, isolde_dma_write(f->nvme, pasid, 0x10000, "x", 1, &f->why)));
	NAMES("with PASID 1");
	OK(isolde_detach_pasid(f->nvme, pasid, &f->why));
	OK(isolde_detach_pasid(f->nvme, pasid, &f->why));
	OK(isolde_attach(f->domain, f->nvme, pasid, f->handle, &f->why));
	EXPECT_REFUSED(ATTACHED_BY_DEVICE, f->expected, told(f, isolde_detach_pasid(f->nvme, pasid, &f->why)));
	EXPECT_REFUSED(ATTACHED_BY_DEVICE, f->expected,
		       told(f, isolde_replace_pasid(f->other, f->nvme, pasid, f->second_handle, &f->why)));
	isolde_detach(f->nvme, pasid);
	isolde_pasid_free(f->machine, pasid);
	isolde_pasid_free(f->machine, pasid);
	isolde_pasid_free(f->machine, 12345);
	f->nvme->core->max_pasids = 0;
	EXPECT_REFUSED(PASID_NONE_FREE, f->expected, told(f, isolde_pasid_alloc(f->nvme, &pasid, &f->why)));
}

/* A program in the room unbinds the driver while its PASIDs are attached: refused, not a crash. */
TEST_F(a_driver_with_pasids_cannot_be_unbound_behind_its_back)
{
	struct isolde_driver driver = {.size = sizeof(driver), .name = "mine"};

	OK(isolde_driver_bind(f->nvme, &driver, &f->why));
	OK(isolde_attach_pasid(f->domain, f->nvme, 3, NULL, &f->why));
	EXPECT_REFUSED(UNUSE_PASIDS, f->expected,
		       told(f, isolde_attribute_write(f->machine, "sys/bus/pci/drivers/mine/unbind", NVME, strlen(NVME),
						      &f->why)));
	NAMES("mine leaves " NVME);
	EXPECT_REFUSED(UNUSE_PASIDS, f->expected, told(f, isolde_driver_unbind(f->nvme, &f->why)));
	isolde_machine_check(f->machine);
	OK(isolde_detach_pasid(f->nvme, 3, &f->why));
	OK(isolde_attribute_write(f->machine, "sys/bus/pci/drivers/mine/unbind", NVME, strlen(NVME), &f->why));
}

TEST_F(virtual_pasids)
{
	struct isolde_driver driver = {.size = sizeof(driver), .name = "dma-only", .intent = ISOLDE_INTENT_DMA};

	OK(isolde_driver_bind(f->nvme, &driver, &f->why));
	EXPECT_REFUSED(INTENT_NO_ENQCMD, f->expected, told(f, isolde_enqcmd_set(f->nvme, 1, 5, &f->why)));
	NAMES("DMA with its requester id");
	OK(isolde_driver_unbind(f->nvme, &f->why));
	OK(isolde_enqcmd_set(f->nvme, 1, 5, &f->why));
	EXPECT_REFUSED(PASID_TAKEN, f->expected, told(f, isolde_enqcmd_set(f->nvme, 1, 6, &f->why)));
	isolde_enqcmd_clear(f->nvme, 1);
	isolde_enqcmd_clear(f->nvme, 1);
	OK(isolde_enqcmd_set(f->nvme, 1, 6, &f->why));
	isolde_enqcmd_clear(f->nvme, 1);
}

TEST_F(the_processs_own_addresses)
{
	u32 pasid = 0, again = 0;

	master(f->nic);
	OK(isolde_sva_bind(f->nic, &pasid, &f->why));
	OK(isolde_sva_bind(f->nic_b, &again, &f->why));
	assert_int_equal(pasid, again);
	OK(isolde_dma_write(f->nic, pasid, (uintptr_t)f->memory + 3, "sva", 4, &f->why));
	assert_string_equal((char *)f->memory + 3, "sva");
	/* Each counts its own: one too many of this one does not take the sibling's. */
	isolde_sva_unbind(f->nic_b);
	isolde_sva_unbind(f->nic_b);
	OK(isolde_dma_write(f->nic, pasid, (uintptr_t)f->memory, "y", 1, &f->why));
	isolde_sva_unbind(f->nic);
	EXPECT_REFUSED(DMA_FAULT, f->expected,
		       told(f, isolde_dma_write(f->nic, pasid, (uintptr_t)f->memory, "y", 1, &f->why)));
	isolde_sva_unbind(f->nic);
	/* One that is left is taken back with the machine. */
	OK(isolde_sva_bind(f->nic, &again, &f->why));
	assert_int_equal(pasid, again);
}

TEST_F(alias_sets)
{
	EXPECT_REFUSED(ALIAS_OFF, f->expected, told(f, isolde_attach_alias_set(f->domain, f->nic, &f->why)));
	NAMES(NIC);
	f->machine->machine->iommu.options.alias_domains = true;
	OK(isolde_attach_alias_set(f->domain, f->nic, &f->why));
	/* Two functions with requester ids of their own: two sets. */
	assert_ptr_equal(f->nic->core->own_domain, f->domain->core);
	assert_null(f->nic_b->core->own_domain);
	isolde_machine_check(f->machine);
	isolde_detach_alias_set(f->nic);
	isolde_detach_alias_set(f->nic);
}

TEST_F(what_is_no_hardware)
{
	struct isolde_device *mdev = NULL;
	struct isolde_driver driver = {.size = sizeof(driver), .name = "vgpu", .intent = ISOLDE_INTENT_SOFTWARE};
	struct isolde_domain *domain = NULL;
	u8 byte = 0;

	OK(isolde_device_emulate(f->machine, "mdev-7", f->nvme, &mdev, &f->why));
	assert_true(isolde_device_group(mdev) >= 0);
	assert_int_equal(isolde_device_max_pasids(mdev), 0);
	OK(isolde_driver_bind(mdev, &driver, &f->why));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected, told(f, isolde_domain_new(mdev, "none", &domain, &f->why)));
	NAMES("mdev-7");
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected, told(f, isolde_attach_device(f->domain, mdev, &f->why)));
	EXPECT_REFUSED(DOMAIN_FOREIGN, f->expected, told(f, isolde_attach_group(f->domain, mdev, &f->why)));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected,
		       told(f, isolde_replace_group_handle(f->domain, mdev, f->handle, &f->why)));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected, told(f, isolde_attach(f->domain, mdev, 0, NULL, &f->why)));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected, told(f, isolde_attach_pasid(f->domain, mdev, 3, NULL, &f->why)));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected, told(f, isolde_group_claim(mdev, f->owner, &f->why)));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected, told(f, isolde_device_claim(mdev, f->owner, &f->why)));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected, told(f, isolde_sva_bind(mdev, &(u32){0}, &f->why)));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, f->expected, told(f, isolde_dma_read(mdev, 0, 0, &byte, 1, &f->why)));
	EXPECT_REFUSED(PAGE_NO_PRI, f->expected, told(f, isolde_page_enable(mdev, NULL, NULL, &f->why)));
	OK(isolde_reset_prepare(mdev, &f->why));
	isolde_reset_done(mdev);
	isolde_detach(mdev, 0);
	isolde_sva_unbind(mdev);
	isolde_machine_check(f->machine);
	OK(isolde_driver_unbind(mdev, &f->why));
}

/* ---- page requests, end to end ---- */

struct ears {
	unsigned count;
	struct isolde_page_request last;
	enum isolde_page_answer answer;
};

static void listen(void *context, const struct isolde_page_request *last, enum isolde_page_answer answer)
{
	struct ears *ears = context;

	ears->count++;
	ears->last = *last;
	ears->answer = answer;
}

static int ask(struct fixture *f, u64 iova, u16 group, bool last)
{
	const struct isolde_page_request request = {
		.iova = iova, .flags = ISOLDE_MAP_WRITE, .group = group, .last = last};

	return isolde_page_request(f->nvme, &request, &f->why);
}

TEST_F(a_device_asks_for_a_page_and_the_driver_maps_it)
{
	struct isolde_page_group *group;
	const struct isolde_page_request *requests;
	struct ears ears = {};
	size_t count = 0;

	master(f->nvme);
	EXPECT_REFUSED(PAGE_NO_PRI, f->expected, told(f, ask(f, 0x10000, 7, true)));
	OK(isolde_page_enable(f->nvme, listen, &ears, &f->why));
	EXPECT_REFUSED(PAGE_ENABLED, f->expected, told(f, isolde_page_enable(f->nvme, listen, &ears, &f->why)));
	EXPECT_REFUSED(PAGE_NO_HANDLER, f->expected, told(f, ask(f, 0x10000, 7, true)));
	expect_journal(f, "page_request", WHY_PAGE_NO_HANDLER);
	assert_int_equal(ears.answer, ISOLDE_PAGE_INVALID);
	OK(isolde_attach_group_handle(f->domain, f->nvme, f->handle, &f->why));
	EXPECT_REFUSED(PAGE_NO_HANDLER, f->expected, told(f, ask(f, 0x10000, 7, true))); /* nobody reads it yet */
	isolde_handle_accept_pages(f->handle);
	assert_null(isolde_handle_next_pages(f->handle));
	OK(ask(f, 0x10000, 7, false));
	OK(ask(f, 0x11000, 7, true));
	group = isolde_handle_next_pages(f->handle);
	assert_non_null(group);
	assert_null(isolde_handle_next_pages(f->handle));
	requests = isolde_page_group_requests(group, &count);
	assert_int_equal(count, 2);
	assert_int_equal(requests[0].iova, 0x10000);
	assert_int_equal(requests[1].iova, 0x11000);
	assert_int_equal(requests[1].flags, ISOLDE_MAP_WRITE);
	assert_true(requests[1].last);
	OK(map(f, requests[0].iova, f->memory, 2 * PAGE_SIZE, ISOLDE_MAP_READ | ISOLDE_MAP_WRITE));
	isolde_page_group_answer(group, ISOLDE_PAGE_SUCCESS);
	assert_int_equal(ears.count, 3);
	assert_int_equal(ears.answer, ISOLDE_PAGE_SUCCESS);
	assert_int_equal(ears.last.iova, 0x11000);
	assert_int_equal(ears.last.group, 7);
	OK(isolde_dma_write(f->nvme, 0, 0x10ffe, "page", 4, &f->why));
	assert_memory_equal(f->memory + 0xffe, "page", 4);
	isolde_page_disable(f->nvme);
	isolde_page_disable(f->nvme);
	OK(isolde_detach_group(f->nvme, &f->why));
}

TEST_F(what_a_driver_took_ends_with_the_attachment)
{
	struct isolde_page_group *taken, *second;
	struct ears ears = {};
	size_t count = 1;

	isolde_handle_accept_pages(f->handle);
	OK(isolde_page_enable(f->nvme, listen, &ears, &f->why));
	OK(isolde_attach_group_handle(f->domain, f->nvme, f->handle, &f->why));
	OK(ask(f, 0x1000, 1, true));
	OK(ask(f, 0x2000, 2, true));
	OK(ask(f, 0x3000, 3, true));
	taken = isolde_handle_next_pages(f->handle);
	second = isolde_handle_next_pages(f->handle);
	isolde_machine_check(f->machine);
	/* Taken or not: the core answers all three. */
	OK(isolde_detach_group(f->nvme, &f->why));
	assert_int_equal(ears.count, 3);
	assert_int_equal(ears.answer, ISOLDE_PAGE_INVALID);
	assert_null(isolde_page_group_requests(taken, &count));
	assert_int_equal(count, 0);
	assert_null(isolde_handle_next_pages(f->handle));
	isolde_page_group_answer(taken, ISOLDE_PAGE_SUCCESS);
	/* In whatever order: the handle first, what was taken from it after. */
	OK(isolde_handle_free(f->handle, &f->why));
	isolde_page_group_answer(second, ISOLDE_PAGE_SUCCESS);
	assert_int_equal(ears.count, 3);
	OK(isolde_handle_new(f->machine, &f->handle, &f->why));
	/* Enabled still: the machine's end takes it back. */
	EXPECT_REFUSED(PAGE_NO_HANDLER, f->expected, told(f, ask(f, 0x4000, 4, true)));
}

/* ---- reset, types ---- */

TEST_F(a_reset_blocks_one_device_and_freezes_its_group)
{
	master(f->nvme);
	OK(isolde_attach_group(f->domain, f->nvme, &f->why));
	OK(map(f, 0x10000, f->memory, PAGE_SIZE, ISOLDE_MAP_READ | ISOLDE_MAP_WRITE));
	isolde_reset_done(f->nvme); /* never prepared */
	OK(isolde_reset_prepare(f->nvme, &f->why));
	EXPECT_REFUSED(DMA_FAULT, f->expected, told(f, isolde_dma_write(f->nvme, 0, 0x10000, "x", 1, &f->why)));
	EXPECT_REFUSED(GROUP_RECOVERING, f->expected,
		       told(f, isolde_replace_group_handle(f->other, f->nvme, f->handle, &f->why)));
	NAMES(NVME);
	isolde_machine_check(f->machine);
	isolde_reset_done(f->nvme);
	isolde_reset_done(f->nvme);
	OK(isolde_dma_write(f->nvme, 0, 0x10000, "x", 1, &f->why));
	OK(isolde_detach_group(f->nvme, &f->why));
}

TEST_F(the_type_of_an_owned_group_is_fixed_and_its_owner_named)
{
	char path[64];

	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/type", isolde_device_group(f->nvme));
	OK(isolde_device_claim(f->nvme, f->owner, &f->why));
	EXPECT_REFUSED(GROUP_TYPE_IN_USE, f->expected,
		       told(f, isolde_attribute_write(f->machine, path, "identity", 8, &f->why)));
	NAMES("the test's driver");
	OK(isolde_device_release(f->nvme, &f->why));
	OK(isolde_attribute_write(f->machine, path, "identity\n", 9, &f->why));
	isolde_machine_check(f->machine);
	/* An owner's domain is its own, whatever the default. */
	OK(isolde_device_claim(f->nvme, f->owner, &f->why));
	OK(isolde_attach_group(f->domain, f->nvme, &f->why));
	isolde_machine_check(f->machine);
	OK(isolde_group_release(f->nvme, &f->why));
}

/* ---- failures ---- */

/* A driver's life up to its first DMA, with everything taken back again; false when a step of it failed. */
static bool live(struct fixture *f, const char *name)
{
	struct isolde_driver driver = {.size = sizeof(driver), .name = name, .intent = ISOLDE_INTENT_DMA};
	struct isolde_domain *domain = NULL;
	struct isolde_handle *handle = NULL;
	struct isolde_device *mdev;
	u32 pasid;
	bool bound = isolde_driver_bind(f->nvme, &driver, &f->why) == 0;
	bool lived = bound && isolde_domain_new(f->nvme, "swept", &domain, &f->why) == 0 &&
		     isolde_handle_new(f->machine, &handle, &f->why) == 0 &&
		     isolde_attach(domain, f->nvme, 0, handle, &f->why) == 0 &&
		     isolde_domain_map(domain, 0x10000, f->memory, PAGE_SIZE, ISOLDE_MAP_READ, &f->why) == 0 &&
		     isolde_page_enable(f->nvme, listen, &(struct ears){0}, &f->why) == 0 &&
		     isolde_sva_bind(f->nvme, &pasid, &f->why) == 0 &&
		     isolde_device_emulate(f->machine, "swept", f->nvme, &mdev, &f->why) == 0;

	isolde_machine_check(f->machine);
	isolde_sva_unbind(f->nvme);
	isolde_page_disable(f->nvme);
	isolde_detach(f->nvme, 0);
	assert_int_equal(isolde_handle_free(handle, NULL), 0);
	assert_int_equal(isolde_domain_free(domain, NULL), 0);
	if (bound)
		assert_int_equal(isolde_driver_unbind(f->nvme, NULL), 0);
	isolde_machine_check(f->machine);
	return lived;
}

TEST_F(a_life_may_fail_at_any_step_and_leaves_nothing)
{
	char name[16];
	unsigned n;

	for (n = 1; n < 200; n++) {
		bool lived;

		snprintf(name, sizeof(name), "swept-%u", n);
		fail_nth_arm(n);
		lived = live(f, name);
		if (!fail_nth_fired())
			break;
		fail_nth_arm(0);
		if (!lived)
			assert_int_equal(f->why.err, ENOMEM);
	}
	fail_nth_arm(0);
	assert_in_range(n, 20, 199);
	assert_false(isolde_group_claimed(f->nvme));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_F(pasids),
		CASE_F(a_driver_with_pasids_cannot_be_unbound_behind_its_back),
		CASE_F(virtual_pasids),
		CASE_F(the_processs_own_addresses),
		CASE_F(alias_sets),
		CASE_F(what_is_no_hardware),
		CASE_F(a_device_asks_for_a_page_and_the_driver_maps_it),
		CASE_F(what_a_driver_took_ends_with_the_attachment),
		CASE_F(a_reset_blocks_one_device_and_freezes_its_group),
		CASE_F(the_type_of_an_owned_group_is_fixed_and_its_owner_named),
		CASE_F(a_life_may_fail_at_any_step_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
