/* SPDX-License-Identifier: MIT */
/* What devices are attached to, as spec 02 sections 5.1 to 5.3 and 03 section 7 say. Siblings: device_siblings.c. */
#include "iommu/port.h"
#include "tests/fixtures/assign_room.h"

#define MSI 0xfee00000u /* reserved by the first unit */

static struct domain *domain_of(const struct assign_room *self, unsigned index, u32 pasid)
{
	return pasid ? dma_port_pasid_domain(self->core[index]->port, pasid) : dma_port_domain(self->core[index]->port);
}

/* Unknown, of another kind, or nothing at all: not even a claim is looked at. */
ASSIGN_TEST(device_attach, refuses_what_is_no_page_table)
{
	assign_bind(self, 0);
	EXPECT_NO(OBJECT_MISSING, assign_attach(self, 0, 0, 0));
	EXPECT_NO(OBJECT_MISSING, assign_attach(self, 0, 0, 77));
	EXPECT_NO(OBJECT_MISSING, assign_replace(self, 0, 0, 77));
	EXPECT_NO(PT_KIND, assign_attach(self, 0, 0, self->device[0]->object.id));
	EXPECT_SUBSTR("0000:02:00.0 cannot be attached to DEVICE 1", self->why.text);
	EXPECT_NO(PT_KIND, assign_replace(self, 0, 0, self->device[0]->object.id));
}

ASSIGN_TEST(device_attach, an_ioas_makes_a_domain_that_goes_with_its_last_device)
{
	u32 ioas = assign_ioas(self), hwpt;

	assign_bind(self, 0);
	assign_bind(self, 3);
	hwpt = (u32)ASSERT_YES(assign_attach(self, 0, 0, ioas));
	assert_int_equal(hwpt, 3 + 1);
	assert_int_equal(assign_users(self, hwpt), 1);
	assert_int_equal(assign_users(self, ioas), 1);
	assert_int_equal(self->device[0]->object.users, 2);
	EXPECT_SUBSTR("HWPT 4 of IOAS 1 of ", domain_of(self, 0, 0)->name);
	/* A device of another group gets the same. */
	assert_int_equal(ASSERT_YES(assign_attach(self, 3, 0, ioas)), hwpt);
	assert_int_equal(assign_users(self, hwpt), 2);
	assert_ptr_equal(domain_of(self, 3, 0), domain_of(self, 0, 0));
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, hwpt));
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, ioas));
	assign_detach(self, 0, 0);
	assert_true(assign_has(self, hwpt));
	assert_ptr_equal(domain_of(self, 0, 0), self->group->blocking_domain);
	assign_detach(self, 3, 0);
	assert_false(assign_has(self, hwpt));
	assert_int_equal(assign_users(self, ioas), 0);
	/* Nothing attached: nothing happens. */
	assign_detach(self, 3, 0);
	assign_detach(self, 3, 5);
	ASSERT_YES(assign_destroy(self, ioas));
}

ASSIGN_TEST(device_attach, one_that_was_allocated_is_never_chosen_and_stays)
{
	u32 ioas = assign_ioas(self), hwpt, chosen;

	assign_bind(self, 0);
	assign_bind(self, 3);
	hwpt = assign_hwpt(self, 0, ioas, 0);
	chosen = (u32)ASSERT_YES(assign_attach(self, 3, 0, ioas));
	assert_int_not_equal(chosen, hwpt);
	assert_int_equal(ASSERT_YES(assign_attach(self, 0, 0, hwpt)), hwpt);
	EXPECT_NO(OBJECT_IN_USE, assign_destroy(self, hwpt));
	assign_detach(self, 0, 0);
	assert_true(assign_has(self, hwpt));
	ASSERT_YES(assign_destroy(self, hwpt));
}

/* The far device is behind another unit, of the same driver: what it refuses decides. */
static int choosy_attach(struct iommu_device *device, struct domain *domain, struct domain *old, struct why *why)
{
	if (domain->kind != DOMAIN_PAGING || domain->last_iova >> 39 == 0 || device->unit->width > 39)
		return 0;
	if (toy.fail)
		return refuse(why, IDS_EXHAUSTED, "%s has no domain id left", device->name);
	return refuse(why, DOMAIN_INCOMPATIBLE, "%s cannot walk a table of %u bits", device->name, 48);
}

ASSIGN_TEST(device_attach, another_domain_is_tried_after_einval_and_after_nothing_else)
{
	u32 ioas = assign_ioas(self), wide, narrow;

	toy.driver.attach = choosy_attach;
	assign_bind(self, 0);
	assign_bind(self, 3);
	assign_bind(self, 4);
	wide = (u32)ASSERT_YES(assign_attach(self, 0, 0, ioas));
	toy.fail = 1;
	EXPECT_NO(IDS_EXHAUSTED, assign_attach(self, 4, 0, ioas));
	assert_int_equal(assign_attached(self, 4, 0), 0);
	toy.fail = 0;
	narrow = (u32)ASSERT_YES(assign_attach(self, 4, 0, ioas));
	assert_int_not_equal(narrow, wide);
	/* The oldest that will do. */
	assert_int_equal(ASSERT_YES(assign_attach(self, 3, 0, ioas)), wide);
	assign_detach(self, 0, 0);
	assign_detach(self, 3, 0);
	assert_false(assign_has(self, wide));
	assert_int_equal(ASSERT_YES(assign_attach(self, 3, 0, ioas)), narrow);
	/* An HWPT is what it is: nothing else is tried. */
	wide = assign_hwpt(self, 0, ioas, 0);
	assign_detach(self, 4, 0);
	EXPECT_NO(DOMAIN_INCOMPATIBLE, assign_attach(self, 4, 0, wide));
}

ASSIGN_TEST(device_attach, a_device_is_attached_once_and_replaced_while_it_is)
{
	u32 first = assign_ioas(self), second = assign_ioas(self), old, new;

	assign_bind(self, 0);
	EXPECT_NO(NOT_ATTACHED, assign_replace(self, 0, 0, first));
	EXPECT_SUBSTR("0000:02:00.0", self->why.text);
	old = (u32)ASSERT_YES(assign_attach(self, 0, 0, first));
	EXPECT_NO(ATTACHED_ALREADY, assign_attach(self, 0, 0, first));
	EXPECT_NO(ATTACHED_ALREADY, assign_attach(self, 0, 0, second));
	EXPECT_NO(ATTACHED_ALREADY, assign_attach(self, 0, 0, old));
	/* To what it is: nothing happens. */
	assert_int_equal(ASSERT_YES(assign_replace(self, 0, 0, first)), old);
	assert_int_equal(ASSERT_YES(assign_replace(self, 0, 0, old)), old);
	assert_int_equal(assign_users(self, old), 1);
	new = (u32)ASSERT_YES(assign_replace(self, 0, 0, second));
	assert_int_equal(assign_attached(self, 0, 0), new);
	assert_false(assign_has(self, old));
	assert_int_equal(assign_users(self, first), 0);
	assert_int_equal(self->device[0]->object.users, 2);
	assert_true(assign_reserved(self, second, MSI));
	assert_false(assign_reserved(self, first, MSI));
}

ASSIGN_TEST(device_attach, regions_of_each_attached_device_are_reserved)
{
	u32 ioas = assign_ioas(self), hwpt;

	assign_bind(self, 0);
	assign_bind(self, 3);
	hwpt = assign_hwpt(self, 0, ioas, IOMMU_HWPT_ALLOC_PASID);
	assert_false(assign_reserved(self, ioas, MSI));
	/* Interrupts carry no PASID. */
	ASSERT_YES(assign_attach(self, 0, 5, hwpt));
	assert_false(assign_reserved(self, ioas, MSI));
	ASSERT_YES(assign_attach(self, 0, 0, hwpt));
	assert_true(assign_reserved(self, ioas, MSI + 0xfffff));
	ASSERT_YES(assign_attach(self, 3, 0, hwpt));
	assign_detach(self, 0, 5);
	assign_detach(self, 0, 0);
	assert_true(assign_reserved(self, ioas, MSI));
	assign_detach(self, 3, 0);
	assert_false(assign_reserved(self, ioas, MSI));
	self->unit->regions[0].kind = RESERVED_DIRECT_RELAXABLE;
	ASSERT_YES(assign_attach(self, 0, 0, hwpt));
	assert_false(assign_reserved(self, ioas, MSI));
}

ASSIGN_TEST(device_attach, a_failed_attach_or_replace_leaves_all_as_it_was)
{
	u32 ioas = assign_ioas(self), other = assign_ioas(self), plain, pasid;

	assign_bind(self, 0);
	plain = assign_hwpt(self, 0, other, 0);
	pasid = assign_hwpt(self, 0, ioas, IOMMU_HWPT_ALLOC_PASID);
	ASSERT_YES(assign_attach(self, 0, 5, pasid));
	EXPECT_NO(PASID_INCOMPATIBLE, assign_attach(self, 0, 0, plain));
	assert_false(assign_reserved(self, other, MSI));
	assert_int_equal(assign_users(self, plain), 0);
	ASSERT_YES(assign_attach(self, 0, 0, pasid));
	EXPECT_NO(PASID_INCOMPATIBLE, assign_replace(self, 0, 0, plain));
	assert_false(assign_reserved(self, other, MSI));
	assert_true(assign_reserved(self, ioas, MSI));
	assert_int_equal(assign_attached(self, 0, 0), pasid);
	assert_int_equal(assign_users(self, pasid), 2);
	/* Within one IOAS, Linux would lose the regions here. */
	plain = assign_hwpt(self, 0, ioas, 0);
	EXPECT_NO(PASID_INCOMPATIBLE, assign_replace(self, 0, 0, plain));
	assert_true(assign_reserved(self, ioas, MSI));
	/* And a whole attach that is only refused by the hardware's driver. */
	assign_detach(self, 0, 0);
	assign_detach(self, 0, 5);
	assert_int_equal(iommu_reset_prepare(self->core[0], &self->why), 0);
	EXPECT_NO(GROUP_RECOVERING, assign_attach(self, 0, 0, plain));
	EXPECT_NO(GROUP_RECOVERING, assign_attach(self, 0, 0, ioas));
	assert_false(assign_reserved(self, ioas, MSI));
	assert_int_equal(assign_users(self, ioas), 2);
	iommu_reset_done(self->core[0]);
}

ASSIGN_TEST(device_attach, pasids_need_a_domain_made_for_them)
{
	u32 ioas = assign_ioas(self), plain, pasid, second;

	assign_bind(self, 0);
	EXPECT_NO(PASID_INCOMPATIBLE, assign_attach(self, 0, 5, ioas));
	assert_int_equal(assign_users(self, ioas), 0);
	plain = assign_hwpt(self, 0, ioas, 0);
	pasid = assign_hwpt(self, 0, ioas, IOMMU_HWPT_ALLOC_PASID);
	second = assign_hwpt(self, 0, ioas, IOMMU_HWPT_ALLOC_PASID);
	EXPECT_NO(PASID_INCOMPATIBLE, assign_attach(self, 0, 5, plain));
	ASSERT_YES(assign_attach(self, 0, 0, plain));
	EXPECT_NO(PASID_INCOMPATIBLE, assign_attach(self, 0, 5, pasid));
	EXPECT_SUBSTR("HWPT", self->why.text);
	ASSERT_YES(assign_replace(self, 0, 0, pasid));
	assert_int_equal(ASSERT_YES(assign_attach(self, 0, 5, pasid)), pasid);
	assert_int_equal(assign_users(self, pasid), 2);
	assert_int_equal(self->device[0]->object.users, 3);
	EXPECT_NO(ATTACHED_ALREADY, assign_attach(self, 0, 5, pasid));
	EXPECT_NO(ATTACHED_ALREADY, assign_attach(self, 0, 5, second));
	EXPECT_NO(ATTACHED_ALREADY, assign_attach(self, 0, 5, plain));
	EXPECT_NO(NOT_ATTACHED, assign_replace(self, 0, 6, second));
	EXPECT_NO(PASID_TOO_LARGE, assign_attach(self, 0, TOY_PASIDS, second));
	assert_int_equal(ASSERT_YES(assign_replace(self, 0, 5, second)), second);
	assert_ptr_equal(domain_of(self, 0, 5), assign_find_hwpt(self, second)->domain);
	assert_ptr_equal(domain_of(self, 0, 0), assign_find_hwpt(self, pasid)->domain);
	/* Without PASID it may go first, or stay. */
	assign_detach(self, 0, 0);
	assert_int_equal(assign_attached(self, 0, 5), second);
	EXPECT_NO(PASID_INCOMPATIBLE, assign_attach(self, 0, 0, ioas));
	assign_detach(self, 0, 5);
	ASSERT_YES(assign_attach(self, 0, 0, ioas));
}

ASSIGN_TEST(device_attach, coherent_domains_are_made_for_devices_that_need_them)
{
	u32 ioas = assign_ioas(self), hwpt;

	toy.enforces = true;
	assign_bind(self, 0);
	hwpt = (u32)ASSERT_YES(assign_attach(self, 0, 0, ioas));
	assert_true(hwpt_paging_of(assign_find_hwpt(self, hwpt))->enforces_coherency);
	toy.breaks_promise = true;
	assign_bind(self, 4);
	toy.driver.attach = choosy_attach;
	EXPECT_NO(COHERENCY_BROKEN, assign_attach(self, 4, 0, ioas));
	assert_int_equal(assign_users(self, ioas), 1);
	toy.driver.attach = NULL;
}

ASSIGN_TEST(device_attach, windows_for_interrupts_are_of_one_kind)
{
	u32 ioas = assign_ioas(self);

	self->unit->regions[1] = (struct reserved_region){0x8000000, 0x80fffff, RESERVED_SW_MSI};
	self->unit->nregions = 2;
	assign_bind(self, 0);
	EXPECT_NO(MSI_WINDOWS_MIXED, assign_attach(self, 0, 0, ioas));
	EXPECT_SUBSTR("0000:02:00.0", self->why.text);
	assert_false(assign_reserved(self, ioas, MSI));
	self->unit->nregions = 1;
}

/* ---- faults ---- */

static u32 fault_queue(struct assign_room *self, u32 *fd)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};

	ASSERT_YES(assign_ask(self, IOMMU_FAULT_QUEUE_ALLOC, &cmd));
	*fd = cmd.out_fault_fd;
	return cmd.out_fault_id;
}

static u32 faulting(struct assign_room *self, u32 ioas, u32 fault, u32 flags)
{
	struct iommu_hwpt_alloc cmd = assign_hwpt_cmd(self, 0, ioas, flags | IOMMU_HWPT_FAULT_ID_VALID);

	cmd.fault_id = fault;
	ASSERT_YES(assign_ask(self, IOMMU_HWPT_ALLOC, &cmd));
	return cmd.out_hwpt_id;
}

ASSIGN_TEST(device_attach, a_fault_queue_lets_all_members_ask_for_pages)
{
	u32 ioas = assign_ioas(self), fd, fault = fault_queue(self, &fd), hwpt, plain;

	assign_bind(self, 0);
	hwpt = faulting(self, ioas, fault, IOMMU_HWPT_ALLOC_PASID);
	plain = assign_hwpt(self, 0, ioas, IOMMU_HWPT_ALLOC_PASID);
	assert_null(self->core[0]->requests);
	ASSERT_YES(assign_attach(self, 0, 0, hwpt));
	assert_non_null(self->core[0]->requests);
	assert_non_null(self->core[2]->requests);
	ASSERT_YES(assign_attach(self, 0, 5, hwpt));
	ASSERT_YES(assign_replace(self, 0, 0, plain));
	/* The PASID still has somebody who answers. */
	assert_non_null(self->core[0]->requests);
	assign_detach(self, 0, 5);
	assert_null(self->core[0]->requests);
	assert_null(self->core[2]->requests);
	/* A member that cannot ask refuses for all. */
	self->core[1]->function->cap_pri = 0;
	EXPECT_NO(PAGE_NO_PRI, assign_replace(self, 0, 0, hwpt));
	EXPECT_SUBSTR("0000:02:00.1", self->why.text);
	assert_null(self->core[0]->requests);
	assert_int_equal(assign_attached(self, 0, 0), plain);
	EXPECT_NO(PAGE_NO_PRI, assign_attach(self, 0, 5, hwpt));
	self->core[1]->function->cap_pri = 0x120;
}

ASSIGN_TEST(device_attach, what_only_the_first_is_asked_comes_in_linuxs_order)
{
	u32 ioas = assign_ioas(self), fd, fault = fault_queue(self, &fd), hwpt, pasid;

	assign_bind(self, 0);
	hwpt = faulting(self, ioas, fault, 0);
	pasid = assign_hwpt(self, 0, ioas, IOMMU_HWPT_ALLOC_PASID);
	ASSERT_YES(assign_attach(self, 0, 5, pasid));
	/* A virtual function; then the PASIDs; then the hardware's driver. */
	self->core[0]->function->physical = self->core[2]->function;
	self->core[1]->function->cap_pri = 0;
	EXPECT_NO(VF_PAGE_REQUESTS, assign_attach(self, 0, 0, hwpt));
	self->core[0]->function->physical = NULL;
	EXPECT_NO(PASID_INCOMPATIBLE, assign_attach(self, 0, 0, hwpt));
	assign_detach(self, 0, 5);
	EXPECT_NO(PAGE_NO_PRI, assign_attach(self, 0, 0, hwpt));
	/* The same when it is to be replaced. */
	ASSERT_YES(assign_attach(self, 0, 0, pasid));
	ASSERT_YES(assign_attach(self, 0, 5, pasid));
	self->core[0]->function->physical = self->core[2]->function;
	EXPECT_NO(VF_PAGE_REQUESTS, assign_replace(self, 0, 0, hwpt));
	self->core[0]->function->physical = NULL;
	EXPECT_NO(PASID_INCOMPATIBLE, assign_replace(self, 0, 0, hwpt));
	assign_detach(self, 0, 5);
	EXPECT_NO(PAGE_NO_PRI, assign_replace(self, 0, 0, hwpt));
	self->core[1]->function->cap_pri = 0x120;
	ASSERT_YES(assign_replace(self, 0, 0, hwpt));
}

/* ---- every step fails ---- */

static u32 sweep_first, sweep_second;

static int attach_and_replace(struct why *why)
{
	struct assign_room *self = assign_current;
	u32 pt = sweep_first;
	int err = iommufd_device_attach(self->device[0], 0, &pt, why);

	iommufd_check(&self->base->iommufd);
	assert_true(err == 0 || assign_users(self, sweep_first) == 0);
	if (err == 0) {
		pt = sweep_second;
		err = iommufd_device_replace(self->device[0], 0, &pt, why);
		iommufd_check(&self->base->iommufd);
		assert_true(assign_reserved(self, err == 0 ? sweep_second : sweep_first, MSI));
		assert_false(assign_reserved(self, err == 0 ? sweep_first : sweep_second, MSI));
	}
	iommufd_device_detach(self->device[0], 0);
	assert_int_equal(assign_users(self, sweep_first), 0);
	assert_int_equal(assign_users(self, sweep_second), 0);
	assert_int_equal(self->device[0]->object.users, 1);
	return err;
}

ASSIGN_TEST(device_attach, every_step_may_fail)
{
	sweep_first = assign_ioas(self);
	sweep_second = assign_ioas(self);
	assign_bind(self, 0);
	SWEEP_FAILURES(attach_and_replace);
}

static int attach_pasids(struct why *why)
{
	struct assign_room *self = assign_current;
	u32 pt = sweep_first;
	int err = iommufd_device_attach(self->device[0], 5, &pt, why);

	iommufd_check(&self->base->iommufd);
	pt = sweep_first;
	if (err == 0)
		err = iommufd_device_attach(self->device[1], 5, &pt, why);
	pt = sweep_second;
	if (err == 0)
		err = iommufd_device_replace(self->device[1], 5, &pt, why);
	iommufd_check(&self->base->iommufd);
	iommufd_device_detach(self->device[0], 5);
	iommufd_device_detach(self->device[1], 5);
	assert_int_equal(assign_users(self, sweep_first), 0);
	assert_int_equal(assign_users(self, sweep_second), 0);
	assert_null(self->core[0]->requests);
	return err;
}

ASSIGN_TEST(device_attach, every_step_with_pasids_and_faults_may_fail)
{
	u32 ioas = assign_ioas(self), fd, fault = fault_queue(self, &fd);

	assign_bind(self, 0);
	assign_bind(self, 1);
	sweep_first = faulting(self, ioas, fault, IOMMU_HWPT_ALLOC_PASID);
	sweep_second = faulting(self, ioas, fault, IOMMU_HWPT_ALLOC_PASID);
	SWEEP_FAILURES(attach_pasids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(device_attach, refuses_what_is_no_page_table),
		CASE(device_attach, an_ioas_makes_a_domain_that_goes_with_its_last_device),
		CASE(device_attach, one_that_was_allocated_is_never_chosen_and_stays),
		CASE(device_attach, another_domain_is_tried_after_einval_and_after_nothing_else),
		CASE(device_attach, a_device_is_attached_once_and_replaced_while_it_is),
		CASE(device_attach, regions_of_each_attached_device_are_reserved),
		CASE(device_attach, a_failed_attach_or_replace_leaves_all_as_it_was),
		CASE(device_attach, pasids_need_a_domain_made_for_them),
		CASE(device_attach, coherent_domains_are_made_for_devices_that_need_them),
		CASE(device_attach, windows_for_interrupts_are_of_one_kind),
		CASE(device_attach, a_fault_queue_lets_all_members_ask_for_pages),
		CASE(device_attach, what_only_the_first_is_asked_comes_in_linuxs_order),
		CASE(device_attach, every_step_may_fail),
		CASE(device_attach, every_step_with_pasids_and_faults_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
