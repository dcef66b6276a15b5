/* SPDX-License-Identifier: MIT */
/* Devices that are no PCI functions, a driver that blocks by default, tables with a shape of the driver's. */
#include "tests/fixtures/core_room.h"

/* A group of its own behind a unit whose driver is told of everything. */
struct bench {
	struct core_room *core;
	struct iommu_unit *unit;
	struct iommu_group *group;
	struct iommu_device *device;
	struct domain *u, *v;
	struct attach_handle handle;
};

static struct {
	unsigned attached, detached;
	bool can_ask;
	u32 pasid;
	struct domain *old;
} told;

static int told_attach(struct iommu_device *device, u32 pasid, struct domain *domain, struct domain *old,
		       struct why *why)
{
	told.attached++;
	return fallible() ? 0 : refuse(why, OUT_OF_MEMORY, "%s: no memory in the driver", device->name);
}

static void told_detach(struct iommu_device *device, u32 pasid, struct domain *old)
{
	told.detached++;
	told.pasid = pasid;
	told.old = old;
}

static bool can_ask(const struct iommu_device *device)
{
	return told.can_ask;
}

static const struct iommu_driver blocking_driver = {
	.name = "mock",
	.asks_pages = can_ask,
	.attach_pasid = told_attach,
	.detach_pasid = told_detach,
	.blocks_by_default = true,
	.nested_format = ISOLDE_PT_FORMATS,
};

static void bench_new(struct bench *bench, struct core_room *core, u32 max_pasids)
{
	const struct iommu_unit unit = {
		.name = "mock0", .driver = &blocking_driver, .width = 48, .max_pasids = 1 << 20};
	const struct iommu_platform_facts facts = {.name = "mock3", .max_pasids = max_pasids};

	*bench = (struct bench){.core = core};
	memset(&told, 0, sizeof(told));
	ASSERT_OK(core->why, iommu_unit_add(core->iommu, &unit, &bench->unit, &core->why));
	ASSERT_OK(core->why, iommu_group_add(core->iommu, &bench->group, &core->why));
	ASSERT_OK(core->why, iommu_platform_add(bench->group, bench->unit, &facts, &bench->device, &core->why));
	ASSERT_OK(core->why, iommu_group_choose_default(bench->group, &core->why));
	ASSERT_OK(core->why, domain_new(core->iommu, bench->unit, DOMAIN_PAGING, &bench->u, &core->why));
	ASSERT_OK(core->why, domain_new(core->iommu, bench->unit, DOMAIN_PAGING, &bench->v, &core->why));
}

static void bench_free(struct bench *bench)
{
	iommu_check(bench->core->iommu);
	iommu_device_remove(bench->device);
	domain_free(bench->u);
	domain_free(bench->v);
}

CORE_TEST(platform, is_blocked_from_the_first_moment_and_by_one_domain)
{
	struct bench bench;

	bench_new(&bench, core, 0);
	assert_int_equal(bench.group->default_domain->kind, DOMAIN_BLOCKING);
	assert_ptr_equal(bench.group->default_domain, bench.group->blocking_domain);
	assert_ptr_equal(bench.group->domain, bench.group->blocking_domain);
	assert_string_equal(iommu_group_type(bench.group), "blocked");
	EXPECT_REFUSED(GROUP_TYPE_UNSUPPORTED, core->why, iommu_group_set_type(bench.group, TYPE_DMA, &core->why));
	EXPECT_SUBSTR("mock0", core->why.text);
	EXPECT_REFUSED(GROUP_TYPE_UNSUPPORTED, core->why, iommu_group_set_type(bench.group, TYPE_DMA_FQ, &core->why));
	bench_free(&bench);
}

CORE_TEST(platform, is_claimed_attached_detached_and_released)
{
	struct bench bench;

	bench_new(&bench, core, 0);
	ASSERT_OK(core->why, iommu_device_claim(bench.device, core->owner, &core->why));
	iommu_check(core->iommu);
	EXPECT_REFUSED(GROUP_CLAIMED, core->why, iommu_device_claim(bench.device, core->stranger, &core->why));
	ASSERT_OK(core->why, iommu_device_attach(bench.device, 0, bench.u, &bench.handle, &core->why));
	assert_ptr_equal(bench.group->domain, bench.u);
	EXPECT_REFUSED(DOMAIN_FOREIGN, core->why,
		       iommu_device_attach(core->alone, 0, bench.u, &core->handle, &core->why));
	iommu_check(core->iommu);
	assert_true(iommu_device_detach(bench.device, 0));
	assert_ptr_equal(bench.group->domain, bench.group->blocking_domain);
	iommu_device_release(bench.device);
	assert_ptr_equal(bench.group->domain, bench.group->blocking_domain);
	bench_free(&bench);
}

CORE_TEST(platform, driver_hears_when_a_pasid_is_taken_back)
{
	struct bench bench;

	bench_new(&bench, core, 8);
	assert_int_equal(bench.device->max_pasids, 8);
	EXPECT_REFUSED(PASID_TOO_LARGE, core->why,
		       iommu_device_attach(bench.device, 8, bench.u, &bench.handle, &core->why));
	ASSERT_OK(core->why, iommu_device_attach(bench.device, 5, bench.u, &bench.handle, &core->why));
	assert_int_equal(told.attached, 1);
	assert_int_equal(told.detached, 0);
	iommu_check(core->iommu);
	assert_true(iommu_device_detach(bench.device, 5));
	assert_int_equal(told.detached, 1);
	assert_int_equal(told.pasid, 5);
	assert_ptr_equal(told.old, bench.u);
	/* What is not there is not taken back. */
	iommu_detach_pasid(bench.device, 5);
	assert_int_equal(told.detached, 1);
	bench_free(&bench);
}

static void no_answer(void *context, const struct page_request *last, enum page_answer answer)
{
}

CORE_TEST(platform, asks_for_pages_if_its_driver_says_so)
{
	struct bench bench;

	bench_new(&bench, core, 1);
	told.can_ask = true;
	ASSERT_OK(core->why, iommu_enable_page_requests(bench.device, no_answer, NULL, &core->why));
	iommu_disable_page_requests(bench.device);
	told.can_ask = false;
	EXPECT_REFUSED(PAGE_NO_PRI, core->why, iommu_enable_page_requests(bench.device, no_answer, NULL, &core->why));
	ASSERT_OK(core->why, iommu_reset_prepare(bench.device, &core->why));
	assert_false(bench.device->blocked);
	iommu_reset_done(bench.device);
	bench_free(&bench);
}

CORE_TEST(platform, strict_intents_know_of_no_capability)
{
	struct bench bench;

	bench_new(&bench, core, 0);
	core->iommu->options.strict_intent = true;
	bench.device->intent = INTENT_PASID;
	EXPECT_REFUSED(INTENT_NO_PASID_TLPS, core->why,
		       iommu_device_attach(bench.device, 1, bench.u, &bench.handle, &core->why));
	core->iommu->options.strict_intent = false;
	bench_free(&bench);
}

CORE_TEST(platform, driver_chooses_table_and_aperture)
{
	const struct domain_shape shape = {
		.table = {.format = ISOLDE_PT_AMDV1, .granule = 2048, .input_bits = 32},
		.first_iova = 0x100000,
		.last_iova = 0x1fffff,
	};
	struct bench bench;
	struct domain *domain = NULL;
	struct space space;
	struct area *area;

	bench_new(&bench, core, 0);
	space_init(&space, core->iommu);
	ASSERT_OK(core->why, domain_new_shaped(&space, bench.unit, &shape, &domain, &core->why));
	assert_int_equal(isolde_pt_page_sizes(domain->pt) & -isolde_pt_page_sizes(domain->pt), 2048);
	domain_check(domain);
	domain_free(domain);
	space_fini(&space);

	/* A domain's own space takes the same calls. */
	bench.u->first_iova = 0x100000;
	EXPECT_REFUSED(IOVA_BEYOND_TABLE, core->why,
		       domain_map(bench.u, 0xff000, 0x2000, core->room->client, 0x10000, ISOLDE_PT_READ, 0, &area,
				  &core->why));
	EXPECT_SUBSTR("0x100000", core->why.text);
	bench_free(&bench);
}

static struct core_room *swept;

static int build_and_take_down(struct why *why)
{
	const struct iommu_unit unit = {.name = "mock0", .driver = &blocking_driver, .width = 48, .max_pasids = 8};
	const struct iommu_platform_facts facts = {.name = "mock3", .max_pasids = 8};
	struct iommu_device *device = NULL;
	struct iommu_group *group = NULL;
	struct iommu_unit *added = NULL;
	int err = iommu_unit_add(swept->iommu, &unit, &added, why);

	if (err == 0)
		err = iommu_group_add(swept->iommu, &group, why);
	if (err < 0)
		return err;
	err = iommu_platform_add(group, added, &facts, &device, why);
	if (err < 0) {
		iommu_group_remove(group);
		return err;
	}
	err = iommu_group_choose_default(group, why);
	iommu_check(swept->iommu);
	iommu_device_remove(device);
	return err;
}

CORE_TEST(platform, survives_every_failure)
{
	swept = core;
	SWEEP_FAILURES(build_and_take_down);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(platform, is_blocked_from_the_first_moment_and_by_one_domain),
		CASE(platform, is_claimed_attached_detached_and_released),
		CASE(platform, driver_hears_when_a_pasid_is_taken_back),
		CASE(platform, asks_for_pages_if_its_driver_says_so),
		CASE(platform, strict_intents_know_of_no_capability),
		CASE(platform, driver_chooses_table_and_aperture),
		CASE(platform, survives_every_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
