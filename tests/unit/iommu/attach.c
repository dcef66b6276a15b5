/* SPDX-License-Identifier: MIT */
/* Moving members: all or none, putting back, what must succeed; private domains, alias sets, hotplug. */
#include "tests/fixtures/core_room.h"

#include <errno.h>

static struct domain *place(const struct iommu_device *device)
{
	return dma_port_domain(device->port);
}

static void expect_places(const struct core_room *core, const struct domain *first, const struct domain *second,
			  const struct domain *third)
{
	assert_ptr_equal(place(core->first), first);
	assert_ptr_equal(place(core->second), second);
	assert_ptr_equal(place(core->third), third);
	iommu_check(core->iommu);
}

CORE_TEST(attach, the_nth_member_refuses_and_all_are_back)
{
	const struct domain *old = core->group->default_domain;

	for (unsigned n = 0; n < 3; n++) {
		script_set(BIT(n));
		EXPECT_REFUSED(IDS_EXHAUSTED, core->why, iommu_attach_group(core->u, core->group, &core->why));
		assert_int_equal(script.calls, 2 * n + 1); /* each that had agreed is asked to go back */
		expect_places(core, old, old, old);
		assert_int_equal(core->u->users, 0);
	}
}

CORE_TEST(attach, a_member_that_cannot_go_back_is_blocked_until_the_next_domain)
{
	const struct domain *old = core->group->default_domain;

	/* 0: first, 1: second refuses, 2: first refuses its old domain too. There is no blocking domain yet. */
	script_set(BIT(1) | BIT(2));
	EXPECT_REFUSED(IDS_EXHAUSTED, core->why, iommu_attach_group(core->u, core->group, &core->why));
	assert_true(core->first->stranded);
	expect_places(core, NULL, old, old);
	/* Somebody makes one, here for a claim that fails: it is where the stranded one is from then on. */
	core->room->unit->regions[0].kind = RESERVED_DIRECT;
	EXPECT_REFUSED(GROUP_NEEDS_DIRECT, core->why, iommu_group_claim(core->group, core->owner, &core->why));
	assert_non_null(core->group->blocking_domain);
	expect_places(core, core->group->blocking_domain, old, old);
	ASSERT_OK(core->why, iommu_attach_group(core->u, core->group, &core->why));
	assert_false(core->first->stranded);
	expect_places(core, core->u, core->u, core->u);
}

CORE_TEST(attach, a_stranded_member_is_parked_on_the_blocking_domain)
{
	struct domain *blocking;

	ASSERT_OK(core->why, iommu_group_claim(core->group, core->owner, &core->why));
	ASSERT_OK(core->why, iommu_attach_group(core->u, core->group, &core->why));
	blocking = core->group->blocking_domain;
	script_set(BIT(2) | BIT(3));
	EXPECT_REFUSED(IDS_EXHAUSTED, core->why,
		       iommu_replace_group_handle(core->group, core->v, &core->handle, &core->why));
	expect_places(core, blocking, core->u, core->u);
	assert_true(core->first->stranded);
	assert_null(core->group->handle);
}

CORE_TEST(attach, what_must_succeed_parks_who_cannot_follow)
{
	struct domain *blocking;

	ASSERT_OK(core->why, iommu_group_claim(core->group, core->owner, &core->why));
	ASSERT_OK(core->why, iommu_attach_group(core->u, core->group, &core->why));
	blocking = core->group->blocking_domain;
	/* Release: the second member refuses its default domain. The group is free all the same. */
	script_set(BIT(1));
	iommu_group_release(core->group);
	assert_null(core->group->owner);
	assert_int_equal(core->group->owner_count, 0);
	assert_ptr_equal(core->group->domain, core->group->default_domain);
	expect_places(core, core->group->default_domain, blocking, core->group->default_domain);
	assert_int_equal(core->u->users, 0);
	/* To the blocking domain itself: where else should it go. */
	script_set(0);
	ASSERT_OK(core->why, iommu_group_claim(core->group, core->owner, &core->why));
	ASSERT_OK(core->why, iommu_attach_group(core->u, core->group, &core->why));
	script_set(BIT(0));
	iommu_detach_group(core->group);
	expect_places(core, blocking, blocking, blocking);
}

CORE_TEST(attach, a_claim_that_fails_half_way_leaves_the_group_free)
{
	for (unsigned n = 0; n < 3; n++) {
		script_set(BIT(n));
		EXPECT_REFUSED(IDS_EXHAUSTED, core->why, iommu_device_claim(core->first, core->owner, &core->why));
		assert_null(core->group->owner);
		assert_int_equal(core->group->owner_count, 0);
		assert_int_equal(core->first->claims, 0);
		expect_places(core, core->group->default_domain, core->group->default_domain,
			      core->group->default_domain);
	}
}

CORE_TEST(attach, a_replacement_shows_no_domain_in_between)
{
	ASSERT_OK(core->why, iommu_group_claim(core->group, core->owner, &core->why));
	ASSERT_OK(core->why, iommu_attach_group_handle(core->u, core->group, &core->handle, &core->why));
	assert_ptr_equal(core->handle.domain, core->u);
	ASSERT_OK(core->why, iommu_replace_group_handle(core->group, core->v, &core->other_handle, &core->why));
	assert_int_equal(core->u->users, 0);
	assert_ptr_equal(core->group->handle, &core->other_handle);
	expect_places(core, core->v, core->v, core->v);
	iommu_detach_group_handle(core->group);
	assert_null(core->group->handle);
	assert_ptr_equal(core->group->domain, core->group->blocking_domain);
}

CORE_TEST(attach, the_plain_hardware_takes_no_domain_of_another_make)
{
	script_driver.attach = NULL;
	EXPECT_REFUSED(DOMAIN_FOREIGN, core->why,
		       iommu_replace_group_handle(core->group, core->foreign, &core->handle, &core->why));
	EXPECT_SUBSTR("0000:02:00.0 cannot have IOAS 3 of qemu-io", core->why.text);
	expect_places(core, core->group->default_domain, core->group->default_domain, core->group->default_domain);
}

CORE_TEST(attach, no_hardware_no_domain)
{
	struct iommu_device *mdev = core_emulated(core, core->first);

	EXPECT_REFUSED(DOMAIN_FOREIGN, core->why, iommu_attach_group(core->u, mdev->group, &core->why));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, core->why, iommu_attach_device(core->u, mdev, &core->why));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, core->why,
		       iommu_replace_group_handle(mdev->group, core->u, &core->handle, &core->why));
	EXPECT_REFUSED(DEVICE_NO_IOMMU, core->why, iommu_group_claim(mdev->group, core->owner, &core->why));
	EXPECT_SUBSTR("group 2", core->why.text);
	ASSERT_OK(core->why, iommu_reset_prepare(mdev, &core->why));
	iommu_reset_done(mdev);
}

CORE_TEST(attach, only_what_is_attached_to_a_device_alone_can_be_detached_from_it)
{
	EXPECT_REFUSED(NOT_ATTACHED, core->why, iommu_may_detach_device(core->u, core->alone, &core->why));
	EXPECT_SUBSTR("0000:01:00.0 is not attached to IOAS 1 of qemu-io", core->why.text);
	ASSERT_OK(core->why, iommu_attach_device(core->u, core->alone, &core->why));
	EXPECT_REFUSED(NOT_ATTACHED, core->why, iommu_may_detach_device(core->v, core->alone, &core->why));
	ASSERT_OK(core->why, iommu_attach_group(core->v, core->group, &core->why));
	EXPECT_REFUSED(NOT_ATTACHED, core->why, iommu_may_detach_device(core->v, core->first, &core->why));
	ASSERT_OK(core->why, iommu_may_detach_device(core->u, core->alone, &core->why));
	iommu_detach_device(core->alone);
	assert_ptr_equal(core->single->domain, core->single->default_domain);
}

/* ---- private domains: the count of users, not of devices ---- */

CORE_TEST(attach, the_only_user_of_a_shared_group_may_have_a_private_domain)
{
	struct why *why = &core->why;

	core->iommu->options.private_domains = true;
	EXPECT_REFUSED(GROUP_SHARED_USERS, *why, iommu_attach_device(core->u, core->first, why));
	EXPECT_SUBSTR("nobody", why->text);
	core_bind(core, core->first, "mlx5_core");
	core_bind(core, core->second, "e1000e");
	EXPECT_REFUSED(GROUP_SHARED_USERS, *why, iommu_attach_device(core->u, core->first, why));
	EXPECT_SUBSTR("0000:02:00.1 to e1000e", why->text);
	iommu_unuse_default_domain(core->second);
	core->second->driver = NULL;
	/* Counted is the one, attaching would be another. */
	EXPECT_REFUSED(GROUP_SHARED_USERS, *why, iommu_attach_device(core->u, core->second, why));
	EXPECT_SUBSTR("0000:02:00.0 is bound to mlx5_core", why->text);
	ASSERT_OK(*why, iommu_attach_device(core->u, core->first, why));
	expect_places(core, core->u, core->u, core->u);
	EXPECT_REFUSED(GROUP_PRIVATE, *why, iommu_use_default_domain(core->second, "e1000e", why));
	EXPECT_SUBSTR("IOAS 1 of qemu-io", why->text);
	ASSERT_OK(*why, iommu_may_detach_device(core->u, core->first, why));
	iommu_detach_device(core->first);
	core_bind(core, core->second, "e1000e");
}

CORE_TEST(attach, an_owner_is_no_user_with_a_private_domain)
{
	core->iommu->options.private_domains = true;
	ASSERT_OK(core->why, iommu_device_claim(core->first, core->owner, &core->why));
	EXPECT_REFUSED(GROUP_SHARED_USERS, core->why, iommu_attach_device(core->u, core->first, &core->why));
	EXPECT_SUBSTR("qemu-io (pid 1234)", core->why.text);
}

/* ---- alias sets: first and second are one, third another ---- */

static void make_alias_sets(struct core_room *core)
{
	core->iommu->options.alias_domains = true;
	core->first->alias_set = core->second->alias_set = 4;
	core->third->alias_set = 7;
}

CORE_TEST(attach, an_alias_set_has_a_domain_while_the_rest_stays)
{
	struct why *why = &core->why;
	struct domain *standard = core->group->default_domain;

	EXPECT_REFUSED(ALIAS_OFF, *why, iommu_attach_alias_set(core->u, core->first, why));
	EXPECT_SUBSTR("0000:02:00.0", why->text);
	make_alias_sets(core);
	ASSERT_OK(*why, iommu_attach_alias_set(core->u, core->first, why));
	expect_places(core, core->u, core->u, standard);
	assert_int_equal(core->u->users, 2);
	ASSERT_OK(*why, iommu_attach_alias_set(core->v, core->third, why));
	expect_places(core, core->u, core->u, core->v);
	EXPECT_REFUSED(DOMAIN_ATTACHED, *why, iommu_attach_alias_set(core->v, core->second, why));
	EXPECT_REFUSED(DOMAIN_ATTACHED, *why, iommu_attach_group(core->v, core->group, why));
	EXPECT_SUBSTR("0000:02:00.0", why->text);
	EXPECT_REFUSED(DOMAIN_ATTACHED, *why, iommu_replace_group_handle(core->group, core->v, &core->handle, why));
	EXPECT_REFUSED(GROUP_DOMAIN_BUSY, *why, iommu_group_claim(core->group, core->owner, why));
	EXPECT_SUBSTR("3 of its devices", why->text);
	iommu_detach_alias_set(core->second);
	expect_places(core, standard, standard, core->v);
	iommu_detach_alias_set(core->second);
	iommu_detach_alias_set(core->third);
	assert_int_equal(core->u->users + core->v->users, 0);
}

CORE_TEST(attach, user_space_has_whole_groups_whatever_the_alias_sets)
{
	make_alias_sets(core);
	ASSERT_OK(core->why, iommu_group_claim(core->group, core->owner, &core->why));
	EXPECT_REFUSED(ALIAS_OWNED, core->why, iommu_attach_alias_set(core->u, core->first, &core->why));
	EXPECT_SUBSTR("qemu-io (pid 1234)", core->why.text);
}

CORE_TEST(attach, alias_sets_follow_the_rules_of_all_domains)
{
	make_alias_sets(core);
	EXPECT_REFUSED(DEVICE_NO_IOMMU, core->why,
		       iommu_attach_alias_set(core->u, core_emulated(core, NULL), &core->why));
	EXPECT_REFUSED(DOMAIN_FOREIGN, core->why, iommu_attach_alias_set(core->foreign, core->first, &core->why));
	ASSERT_OK(core->why, iommu_reset_prepare(core->third, &core->why));
	EXPECT_REFUSED(GROUP_RECOVERING, core->why, iommu_attach_alias_set(core->u, core->first, &core->why));
	EXPECT_SUBSTR("0000:02:00.2", core->why.text);
	iommu_reset_done(core->third);
	ASSERT_OK(core->why, iommu_attach_group(core->v, core->group, &core->why));
	EXPECT_REFUSED(DOMAIN_ATTACHED, core->why, iommu_attach_alias_set(core->u, core->first, &core->why));
	EXPECT_SUBSTR("IOAS 2 of qemu-io", core->why.text);
}

CORE_TEST(attach, an_alias_set_moves_whole_or_not_at_all)
{
	struct domain *standard = core->group->default_domain;

	make_alias_sets(core);
	script_set(BIT(1));
	EXPECT_REFUSED(IDS_EXHAUSTED, core->why, iommu_attach_alias_set(core->u, core->first, &core->why));
	assert_int_equal(script.calls, 3);
	expect_places(core, standard, standard, standard);
	script_set(BIT(1) | BIT(2));
	EXPECT_REFUSED(IDS_EXHAUSTED, core->why, iommu_attach_alias_set(core->u, core->first, &core->why));
	expect_places(core, NULL, standard, standard);
}

CORE_TEST(attach, detaching_an_alias_set_does_not_unblock_who_is_reset)
{
	struct domain *standard = core->group->default_domain;

	make_alias_sets(core);
	ASSERT_OK(core->why, iommu_attach_alias_set(core->u, core->first, &core->why));
	ASSERT_OK(core->why, iommu_reset_prepare(core->first, &core->why));
	expect_places(core, core->group->blocking_domain, core->u, standard);
	iommu_detach_alias_set(core->second);
	expect_places(core, core->group->blocking_domain, standard, standard);
	iommu_reset_done(core->first);
	expect_places(core, standard, standard, standard);
	ASSERT_OK(core->why, iommu_attach_alias_set(core->u, core->first, &core->why));
	ASSERT_OK(core->why, iommu_reset_prepare(core->first, &core->why));
	iommu_reset_done(core->first);
	expect_places(core, core->u, core->u, standard);
	/* Back to the group's: who refuses is blocked. */
	script_set(BIT(0));
	iommu_detach_alias_set(core->first);
	expect_places(core, core->group->blocking_domain, standard, standard);
}

CORE_TEST(attach, a_driver_on_another_drivers_alias_set_is_refused_by_name)
{
	make_alias_sets(core);
	core_bind(core, core->first, "mlx5_core");
	ASSERT_OK(core->why, iommu_attach_alias_set(core->u, core->first, &core->why));
	EXPECT_REFUSED(GROUP_PRIVATE, core->why, iommu_use_default_domain(core->second, "e1000e", &core->why));
	EXPECT_SUBSTR("IOAS 1 of qemu-io", core->why.text);
	/* The other set is where it always was. */
	core_bind(core, core->third, "igb");
}

/* ---- hotplug (spec 02 section 9) ---- */

static struct iommu_device *plug(struct core_room *core, struct pci_function *function)
{
	struct pci_identity identity = {.vendor = 0x1b36, .device = 0x10, .class_code = 0x010802};
	struct iommu_device *device;

	pci_function_init(function, (struct pci_addr){0, 2, pci_devfn(0, 3)}, &identity);
	ASSERT_OK(core->why, iommu_device_add(core->group, core->room->unit, function, &device, &core->why));
	return device;
}

static void plug_and_pull(struct core_room *core, const struct domain *expected)
{
	struct pci_function function = {};
	struct iommu_device *device = plug(core, &function);

	assert_ptr_equal(place(device), expected);
	assert_int_equal(core->group->ndevices, 4);
	iommu_check(core->iommu);
	iommu_device_remove(device);
	pci_function_fini(&function);
	assert_int_equal(core->group->ndevices, 3);
	iommu_check(core->iommu);
}

CORE_TEST(attach, a_device_plugged_in_gets_what_its_group_has_in_every_state)
{
	plug_and_pull(core, core->group->default_domain);
	core_bind(core, core->first, "nvme");
	plug_and_pull(core, core->group->default_domain);
	ASSERT_OK(core->why, iommu_attach_group(core->u, core->group, &core->why));
	plug_and_pull(core, core->u);
	core_group_reset(core->group);
	ASSERT_OK(core->why, iommu_device_claim(core->first, core->owner, &core->why));
	plug_and_pull(core, core->group->blocking_domain);
	ASSERT_OK(core->why, iommu_attach_group(core->u, core->group, &core->why));
	ASSERT_OK(core->why, iommu_attach_pasid(core->v, core->first, 5, &core->handle, &core->why));
	ASSERT_OK(core->why, iommu_reset_prepare(core->second, &core->why));
	plug_and_pull(core, core->u);
}

CORE_TEST(attach, a_newcomer_of_an_owned_group_is_refused_to_drivers_and_open_to_the_owner)
{
	struct pci_function function = {};
	struct iommu_device *device;

	ASSERT_OK(core->why, iommu_device_claim(core->first, core->owner, &core->why));
	ASSERT_OK(core->why, iommu_attach_pasid(core->v, core->first, 5, &core->handle, &core->why));
	device = plug(core, &function);
	device->max_pasids = CORE_PASIDS;
	EXPECT_REFUSED(GROUP_OWNED, core->why, iommu_use_default_domain(device, "nvme", &core->why));
	EXPECT_SUBSTR("nvme cannot have 0000:02:00.3", core->why.text);
	/* It has none of the group's PASIDs: as in Linux. */
	assert_null(dma_port_pasid_domain(device->port, 5));
	ASSERT_OK(core->why, iommu_device_claim(device, core->owner, &core->why));
	iommu_device_release(device);
	iommu_device_remove(device);
	pci_function_fini(&function);
}

CORE_TEST(attach, a_newcomer_that_needs_direct_memory_stays_out_of_a_blocked_group)
{
	struct pci_identity identity = {.vendor = 0x1b36, .device = 0x10, .class_code = 0x010802};
	const struct reserved_region regions[] = {{0x7b000000, 0x7bffffff, RESERVED_DIRECT_RELAXABLE},
						  {0x7a000000, 0x7affffff, RESERVED_DIRECT}};
	struct iommu_device_facts facts = {.regions = regions, .region_set = BIT(0) | BIT(1)};
	struct iommu_device *device = NULL;
	struct pci_function function = {};

	ASSERT_OK(core->why, iommu_device_claim(core->first, core->owner, &core->why));
	pci_function_init(&function, (struct pci_addr){0, 2, pci_devfn(0, 3)}, &identity);
	EXPECT_REFUSED(DEVICE_NEEDS_DIRECT, core->why,
		       iommu_device_plug(core->group, core->room->unit, &function, &facts, &device, &core->why));
	EXPECT_SUBSTR("0000:02:00.3", core->why.text);
	assert_int_equal(core->group->ndevices, 3);
	/* The relaxable one is in nobody's way. */
	facts.region_set = BIT(0);
	ASSERT_OK(core->why, iommu_device_plug(core->group, core->room->unit, &function, &facts, &device, &core->why));
	iommu_device_remove(device);
	pci_function_fini(&function);
	iommu_check(core->iommu);
}

CORE_TEST(attach, a_newcomer_whose_driver_refuses_is_in_no_group)
{
	struct pci_function function = {.addr = {0, 2, pci_devfn(0, 3)}};
	struct iommu_device *device = NULL;

	script_set(BIT(0));
	EXPECT_REFUSED(IDS_EXHAUSTED, core->why,
		       iommu_device_add(core->group, core->room->unit, &function, &device, &core->why));
	assert_null(device);
	assert_int_equal(core->group->ndevices, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(attach, the_nth_member_refuses_and_all_are_back),
		CASE(attach, a_member_that_cannot_go_back_is_blocked_until_the_next_domain),
		CASE(attach, a_stranded_member_is_parked_on_the_blocking_domain),
		CASE(attach, what_must_succeed_parks_who_cannot_follow),
		CASE(attach, a_claim_that_fails_half_way_leaves_the_group_free),
		CASE(attach, a_replacement_shows_no_domain_in_between),
		CASE(attach, the_plain_hardware_takes_no_domain_of_another_make),
		CASE(attach, no_hardware_no_domain),
		CASE(attach, only_what_is_attached_to_a_device_alone_can_be_detached_from_it),
		CASE(attach, the_only_user_of_a_shared_group_may_have_a_private_domain),
		CASE(attach, an_owner_is_no_user_with_a_private_domain),
		CASE(attach, an_alias_set_has_a_domain_while_the_rest_stays),
		CASE(attach, user_space_has_whole_groups_whatever_the_alias_sets),
		CASE(attach, alias_sets_follow_the_rules_of_all_domains),
		CASE(attach, an_alias_set_moves_whole_or_not_at_all),
		CASE(attach, detaching_an_alias_set_does_not_unblock_who_is_reset),
		CASE(attach, a_driver_on_another_drivers_alias_set_is_refused_by_name),
		CASE(attach, a_device_plugged_in_gets_what_its_group_has_in_every_state),
		CASE(attach, a_newcomer_of_an_owned_group_is_refused_to_drivers_and_open_to_the_owner),
		CASE(attach, a_newcomer_that_needs_direct_memory_stays_out_of_a_blocked_group),
		CASE(attach, a_newcomer_whose_driver_refuses_is_in_no_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
