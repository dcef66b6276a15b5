/* SPDX-License-Identifier: MIT */
/* Types of default domains: spec 01 sections 9 and 10. */
#include "tests/fixtures/core_room.h"

static enum group_type wishes[3];

/* By the function number. */
static enum group_type wish(const struct iommu_device *device)
{
	return wishes[device->function->addr.devfn & 7];
}

static void set_wishes(enum group_type first, enum group_type second, enum group_type third)
{
	wishes[0] = first;
	wishes[1] = second;
	wishes[2] = third;
	script_driver.preference = wish;
}

static void expect_type(const struct core_room *core, const char *type)
{
	assert_string_equal(iommu_group_type(core->group), type);
	assert_ptr_equal(dma_port_domain(core->second->port), core->group->domain);
	iommu_check(core->iommu);
}

CORE_TEST(default_domain, every_type_can_be_had_and_auto_goes_back)
{
	static const enum group_type order[] = {TYPE_IDENTITY, TYPE_DMA,      TYPE_DMA_FQ, TYPE_DMA,
						TYPE_IDENTITY, TYPE_IDENTITY, TYPE_DMA_FQ, TYPE_IDENTITY};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		ASSERT_OK(core->why, iommu_group_set_type(core->group, order[i], &core->why));
		expect_type(core, group_type_name(order[i]));
		assert_ptr_equal(core->group->domain, core->group->default_domain);
	}
	ASSERT_OK(core->why, iommu_group_set_type(core->group, TYPE_AUTO, &core->why));
	expect_type(core, "DMA-FQ");
	/* The same type: nobody is asked, nothing moves. */
	script_set(1);
	ASSERT_OK(core->why, iommu_group_set_type(core->group, TYPE_DMA_FQ, &core->why));
	ASSERT_OK(core->why, iommu_group_set_type(core->group, TYPE_AUTO, &core->why));
	assert_int_equal(script.calls, 0);
}

CORE_TEST(default_domain, a_flush_queue_is_added_whoever_uses_the_group)
{
	struct domain *before;

	ASSERT_OK(core->why, iommu_group_set_type(core->group, TYPE_DMA, &core->why));
	before = core->group->default_domain;
	core_bind(core, core->first, "nvme");
	EXPECT_REFUSED(GROUP_TYPE_IN_USE, core->why, iommu_group_set_type(core->group, TYPE_DMA, &core->why));
	EXPECT_SUBSTR("0000:02:00.0 is bound to nvme", core->why.text);
	/* Even where the hardware insists on DMA: the upgrade in place does not ask. */
	set_wishes(TYPE_DMA, TYPE_DMA, TYPE_DMA);
	ASSERT_OK(core->why, iommu_group_set_type(core->group, TYPE_DMA_FQ, &core->why));
	expect_type(core, "DMA-FQ");
	assert_ptr_equal(core->group->default_domain, before);
	EXPECT_REFUSED(GROUP_TYPE_IN_USE, core->why, iommu_group_set_type(core->group, TYPE_DMA_FQ, &core->why));
}

CORE_TEST(default_domain, what_a_unit_insists_on_is_all_there_is)
{
	set_wishes(TYPE_AUTO, TYPE_DMA, TYPE_AUTO);
	EXPECT_REFUSED(GROUP_TYPE_UNSUPPORTED, core->why, iommu_group_set_type(core->group, TYPE_IDENTITY, &core->why));
	EXPECT_SUBSTR("group 0 cannot have identity: dmar0, before 0000:02:00.1, insists on DMA", core->why.text);
	/* Compared exactly: DMA-FQ is not DMA. */
	EXPECT_REFUSED(GROUP_TYPE_UNSUPPORTED, core->why, iommu_group_set_type(core->group, TYPE_DMA_FQ, &core->why));
	ASSERT_OK(core->why, iommu_group_set_type(core->group, TYPE_AUTO, &core->why));
	expect_type(core, "DMA");
	/* In a conflict untranslated wins, whoever comes first. */
	set_wishes(TYPE_DMA, TYPE_IDENTITY, TYPE_DMA);
	ASSERT_OK(core->why, iommu_group_set_type(core->group, TYPE_AUTO, &core->why));
	expect_type(core, "identity");
	EXPECT_REFUSED(GROUP_TYPE_UNSUPPORTED, core->why, iommu_group_set_type(core->group, TYPE_DMA, &core->why));
	EXPECT_SUBSTR("0000:02:00.1, insists on identity", core->why.text);
}

CORE_TEST(default_domain, hardware_that_cannot_pass_through_insists_on_dma)
{
	struct iommu_unit old = {.name = "dmar1", .format = ISOLDE_PT_VTDSS, .width = 48}, *unit;
	struct pci_function function = {.addr = {0, 3, 0}};
	struct iommu_device *device;
	struct iommu_group *group;

	ASSERT_OK(core->why, iommu_unit_add(core->iommu, &old, &unit, &core->why));
	ASSERT_OK(core->why, iommu_group_add(core->iommu, &group, &core->why));
	EXPECT_REFUSED(GROUP_TYPE_UNSETTLED, core->why, iommu_group_set_type(group, TYPE_DMA, &core->why));
	EXPECT_SUBSTR("group 2", core->why.text);
	assert_string_equal(iommu_group_type(group), "unknown");
	ASSERT_OK(core->why, iommu_device_add(group, unit, &function, &device, &core->why));
	ASSERT_OK(core->why, iommu_group_choose_default(group, &core->why));
	assert_string_equal(iommu_group_type(group), "DMA");
	EXPECT_REFUSED(GROUP_TYPE_UNSUPPORTED, core->why, iommu_group_set_type(group, TYPE_IDENTITY, &core->why));
	EXPECT_SUBSTR("dmar1", core->why.text);
	iommu_device_remove(device);
}

CORE_TEST(default_domain, a_private_domain_of_nobody_is_replaced)
{
	ASSERT_OK(core->why, iommu_attach_group_handle(core->u, core->group, &core->handle, &core->why));
	ASSERT_OK(core->why, iommu_group_set_type(core->group, TYPE_IDENTITY, &core->why));
	expect_type(core, "identity");
	assert_int_equal(core->u->users, 0);
	assert_null(core->group->handle);
	ASSERT_OK(core->why, iommu_device_attach(core->first, 0, core->u, &core->handle, &core->why));
	EXPECT_REFUSED(GROUP_TYPE_IN_USE, core->why, iommu_group_set_type(core->group, TYPE_DMA, &core->why));
	EXPECT_SUBSTR("IOAS 1 of qemu-io", core->why.text);
}

CORE_TEST(default_domain, the_nth_member_refuses_and_the_old_type_stays)
{
	struct domain *before = core->group->default_domain;

	for (unsigned n = 0; n < 3; n++) {
		script_set(BIT(n));
		EXPECT_REFUSED(IDS_EXHAUSTED, core->why, iommu_group_set_type(core->group, TYPE_IDENTITY, &core->why));
		assert_ptr_equal(core->group->default_domain, before);
		expect_type(core, "DMA-FQ");
	}
	/* Members with a domain of their alias set stay where they are. */
	script_set(0);
	core->iommu->options.alias_domains = true;
	core->third->alias_set = 7;
	ASSERT_OK(core->why, iommu_attach_alias_set(core->u, core->third, &core->why));
	script_set(0);
	ASSERT_OK(core->why, iommu_group_set_type(core->group, TYPE_IDENTITY, &core->why));
	assert_int_equal(script.calls, 2);
	assert_ptr_equal(dma_port_domain(core->third->port), core->u);
	iommu_detach_alias_set(core->third);
	assert_ptr_equal(dma_port_domain(core->third->port), core->group->default_domain);
}

CORE_TEST(default_domain, an_empty_group_has_no_type_to_change)
{
	struct domain *held = core->single->default_domain;
	struct iommu_group empty = {.id = 9, .iommu = core->iommu, .default_domain = held};

	list_init(&empty.devices);
	list_init(&empty.attachments);
	EXPECT_REFUSED(GROUP_TYPE_IN_USE, core->why, iommu_group_set_type(&empty, TYPE_IDENTITY, &core->why));
	EXPECT_SUBSTR("group 9 has no devices", core->why.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(default_domain, every_type_can_be_had_and_auto_goes_back),
		CASE(default_domain, a_flush_queue_is_added_whoever_uses_the_group),
		CASE(default_domain, what_a_unit_insists_on_is_all_there_is),
		CASE(default_domain, hardware_that_cannot_pass_through_insists_on_dma),
		CASE(default_domain, a_private_domain_of_nobody_is_replaced),
		CASE(default_domain, the_nth_member_refuses_and_the_old_type_stays),
		CASE(default_domain, an_empty_group_has_no_type_to_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
