/* SPDX-License-Identifier: MIT */
/* What iommufd gets of Intel's IOMMU: hardware information, first-stage tables of a guest, their invalidation. */
#include "tests/fixtures/vendor_room.h"

#define IOVA 0x7f0000001000ull

static const struct iommu_unit intel = {
	.name = "dmar0",
	.width = 48,
	.cap = INTEL_CAP_GIGABYTES | 0x1234,
	.ecap = INTEL_ECAP_PASS_THROUGH | INTEL_ECAP_SCALABLE | INTEL_ECAP_FIRST_STAGE | INTEL_ECAP_SECOND_STAGE |
		INTEL_ECAP_SNOOP_CONTROL | INTEL_ECAP_NESTING | INTEL_ECAP_PASID | INTEL_ECAP_SECOND_DIRTY |
		INTEL_ECAP_COHERENT_WALK,
	.max_pasids = 1 << 20,
};
static const struct iommu_unit legacy = {.name = "dmar0", .width = 48};

VENDOR_TEST(vtd, hardware_information_is_its_registers, intel)
{
	struct iommu_hw_info_vtd info;

	assert_int_equal(vendor_hw_info(self, 0, &info, sizeof(info)), IOMMU_HW_INFO_TYPE_INTEL_VTD);
	assert_int_equal(info.flags, IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17);
	assert_int_equal(info.cap_reg, intel.cap);
	assert_int_equal(info.ecap_reg, intel.ecap);
	vendor_hw_info(self, IOMMU_HW_INFO_TYPE_INTEL_VTD, &info, sizeof(info));
	vendor_expect_no_info(self, IOMMU_HW_INFO_TYPE_AMD);
	EXPECT_SUBSTR("dmar0", self->why.text);
}

static u32 alloc_format(struct vendor_room *self, u32 flags, enum isolde_pt_format *ret)
{
	struct iommu_hwpt_alloc cmd = vendor_hwpt(self, 0, self->ioas, flags, 0, NULL, 0);
	struct object *object;

	ASSERT_OK(self->why, vendor_ask(self, IOMMU_HWPT_ALLOC, &cmd));
	object = object_peek(self->context, cmd.out_hwpt_id, NULL);
	*ret = hwpt_of(object)->domain->format;
	return cmd.out_hwpt_id;
}

VENDOR_TEST(vtd, flags_choose_the_table, intel)
{
	static const struct {
		u32 flags;
		enum isolde_pt_format format;
	} rows[] = {
		{0, ISOLDE_PT_X86_64},
		{IOMMU_HWPT_ALLOC_PASID, ISOLDE_PT_X86_64},
		{IOMMU_HWPT_ALLOC_DIRTY_TRACKING, ISOLDE_PT_VTDSS},
		{IOMMU_HWPT_ALLOC_NEST_PARENT, ISOLDE_PT_VTDSS},
		{IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING, ISOLDE_PT_VTDSS},
	};
	struct iommu_hwpt_alloc cmd;
	u64 data = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		enum isolde_pt_format format;
		u32 id = alloc_format(self, rows[i].flags, &format);

		assert_int_equal(format, rows[i].format);
		vendor_destroy(self, id);
	}
	cmd = vendor_hwpt(self, 0, self->ioas, 0, IOMMU_HWPT_DATA_VTD_S1, &data, sizeof(data));
	EXPECT_VENDOR_NO(HWPT_FLAGS, IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_SUBSTR("dmar0", self->why.text);
}

VENDOR_TEST(vtd, legacy_hardware_cannot_nest, legacy)
{
	struct iommu_hwpt_alloc cmd = vendor_hwpt(self, 0, self->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, NULL, 0);

	EXPECT_VENDOR_NO(DOMAIN_ABILITY, IOMMU_HWPT_ALLOC, &cmd);
	cmd.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	EXPECT_VENDOR_NO(HWPT_NO_DIRTY, IOMMU_HWPT_ALLOC, &cmd);
}

/* A parent's device may be behind one that nests, the nested domain's behind one that does not. */
VENDOR_TEST(vtd, nested_domains_are_refused_in_linuxs_order, intel)
{
	struct iommu_hwpt_vtd_s1 table = {.addr_width = 48};
	u8 longer[sizeof(table) + 1] = {};
	u32 parent = vendor_parent(self, 0), plain;
	enum isolde_pt_format format;
	struct iommu_hwpt_alloc cmd;

	cmd = vendor_hwpt(self, 1, parent, IOMMU_HWPT_ALLOC_PASID, 77, longer, 8);
	self->units[1]->ecap &= ~INTEL_ECAP_NESTING;
	EXPECT_VENDOR_NO(HWPT_NO_NESTING, IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_SUBSTR("dmar1", self->why.text);
	cmd = vendor_hwpt(self, 0, parent, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 77, longer, 8);
	EXPECT_VENDOR_NO(HWPT_FLAGS, IOMMU_HWPT_ALLOC, &cmd);
	cmd.flags = 0;
	EXPECT_VENDOR_NO(HWPT_DATA_TYPE, IOMMU_HWPT_ALLOC, &cmd);
	cmd.data_type = IOMMU_HWPT_DATA_VTD_S1;
	EXPECT_VENDOR_NO(USER_DATA_SIZE, IOMMU_HWPT_ALLOC, &cmd);
	cmd.data_len = sizeof(table) + 1;
	EXPECT_VENDOR_NO(USER_DATA_SIZE, IOMMU_HWPT_ALLOC, &cmd);
	cmd.data_len = sizeof(table);
	cmd.data_uptr = 1;
	EXPECT_VENDOR_NO(CLIENT_FAULT, IOMMU_HWPT_ALLOC, &cmd);
	plain = alloc_format(self, 0, &format);
	cmd = vendor_hwpt(self, 0, plain, 0, IOMMU_HWPT_DATA_VTD_S1, &table, sizeof(table));
	EXPECT_VENDOR_NO(HWPT_NO_PARENT, IOMMU_HWPT_ALLOC, &cmd);
	vendor_destroy(self, plain);
	vendor_destroy(self, parent);
}

/* The core asks for less than the driver: a table made for nesting may still be no second stage. */
VENDOR_TEST(vtd, only_second_stage_tables_are_parents, intel)
{
	struct iommu_hwpt_vtd_s1 table = {.addr_width = 48};
	u32 parent = vendor_parent(self, 0);
	struct domain *domain = hwpt_of(object_peek(self->context, parent, NULL))->domain;
	struct iommu_hwpt_alloc cmd = vendor_hwpt(self, 0, parent, 0, IOMMU_HWPT_DATA_VTD_S1, &table, sizeof(table));

	domain->abilities = 0;
	EXPECT_VENDOR_NO(HWPT_NO_PARENT, IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_SUBSTR("no second-stage table", self->why.text);
	domain->abilities = DOMAIN_FOR_NESTING;
	vendor_destroy(self, parent);
}

VENDOR_TEST(vtd, what_hardware_cannot_walk_is_refused_at_attach, intel)
{
	static const struct iommu_hwpt_vtd_s1 tables[] = {
		{.addr_width = 39},
		{.addr_width = 57},
		{.addr_width = 48, .flags = IOMMU_VTD_S1_SRE},
		{.addr_width = 48, .flags = IOMMU_VTD_S1_EAFE},
	};
	u32 parent = vendor_parent(self, 0);

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		u32 nested = vendor_nested(self, parent, IOMMU_HWPT_DATA_VTD_S1, &tables[i], sizeof(tables[i]));

		EXPECT_REFUSED(NESTED_TABLE_UNSUPPORTED, self->why,
			       iommufd_device_attach(self->device[0], 0, &nested, &self->why));
		EXPECT_SUBSTR("dmar0", self->why.text);
		vendor_destroy(self, nested);
	}
	self->units[0]->cap |= INTEL_CAP_FIVE_LEVELS;
	self->units[0]->ecap |= INTEL_ECAP_SUPERVISOR | INTEL_ECAP_EXTENDED_A;
	for (size_t i = 1; i < ARRAY_SIZE(tables); i++) {
		u32 nested = vendor_nested(self, parent, IOMMU_HWPT_DATA_VTD_S1, &tables[i], sizeof(tables[i]));

		vendor_attach(self, 0, 0, nested);
		vendor_detach(self, 0, 0);
		vendor_destroy(self, nested);
	}
	vendor_destroy(self, parent);
}

VENDOR_TEST(vtd, parents_take_no_read_only_areas, intel)
{
	u32 parent = vendor_parent(self, 0);
	struct iommu_ioas_map map = {.size = sizeof(map),
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
				     .ioas_id = self->ioas,
				     .user_va = (uintptr_t)self->memory,
				     .length = PAGE_SIZE,
				     .iova = 0x1000};

	EXPECT_VENDOR_NO(AREA_READ_ONLY, IOMMU_IOAS_MAP, &map);
	vendor_destroy(self, parent);
	ASSERT_OK(self->why, vendor_ask(self, IOMMU_IOAS_MAP, &map));
}

/* ---- DMA and invalidation ---- */

struct scene {
	struct isolde_pt *pt;
	u32 parent, nested;
};

static struct scene scene_of(struct vendor_room *self)
{
	struct iommu_hwpt_vtd_s1 table = {.addr_width = 48};
	struct scene scene;

	scene.pt = vendor_pt(self, ISOLDE_PT_X86_64, IOVA, 3, (u64 *)&table.pgtbl_addr);
	self->memory[VENDOR_DATA + 4 * PAGE_SIZE] = 4;
	scene.parent = vendor_parent(self, 0);
	scene.nested = vendor_nested(self, scene.parent, IOMMU_HWPT_DATA_VTD_S1, &table, sizeof(table));
	return scene;
}

static void scene_fini(struct vendor_room *self, struct scene *scene)
{
	vendor_destroy(self, scene->nested);
	vendor_destroy(self, scene->parent);
	isolde_pt_free(scene->pt);
}

static long invalidate(struct vendor_room *self, u32 id, u64 addr, u64 npages, u32 flags)
{
	struct iommu_hwpt_vtd_s1_invalidate entry = {.addr = addr, .npages = npages, .flags = flags};
	struct iommu_hwpt_invalidate cmd = vendor_invalidate(id, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, &entry,
							     sizeof(entry), 1);

	return vendor_ask(self, IOMMU_HWPT_INVALIDATE, &cmd);
}

VENDOR_TEST(vtd, a_guests_table_is_walked_and_invalidated, intel)
{
	static const struct {
		u64 addr, npages;
		u32 flags;
	} all[] = {{IOVA, 1, IOMMU_VTD_INV_FLAGS_LEAF}, {0, UINT64_MAX, 0}, {IOVA - PAGE_SIZE, 2, 0}, {0, BIT(40), 0}};
	struct scene scene = scene_of(self);
	u8 page = 3;

	vendor_attach(self, 0, 0, scene.nested);
	assert_int_equal(vendor_read(self, 0, 0, IOVA), 3);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		u8 next = page ^ 7;

		vendor_remap(scene.pt, IOVA, next);
		assert_int_equal(vendor_read(self, 0, 0, IOVA), page);
		ASSERT_OK(self->why, invalidate(self, scene.nested, IOVA + PAGE_SIZE, 1, 0));
		assert_int_equal(vendor_read(self, 0, 0, IOVA), page);
		ASSERT_OK(self->why, invalidate(self, scene.nested, all[i].addr, all[i].npages, all[i].flags));
		assert_int_equal(vendor_read(self, 0, 0, IOVA), next);
		page = next;
	}
	vendor_detach(self, 0, 0);
	assert_int_equal(vendor_read(self, 0, 0, IOVA), 255);
	scene_fini(self, &scene);
}

VENDOR_TEST(vtd, invalidations_count_what_was_done, intel)
{
	struct scene scene = scene_of(self);
	struct iommu_hwpt_vtd_s1_invalidate entries[3] = {
		{.addr = IOVA, .npages = 1}, {.addr = 0, .npages = 1}, {.addr = 1, .npages = 1}};
	struct iommu_hwpt_invalidate cmd;

#define EXPECT_DONE(code, count)                                                                                       \
	cmd = vendor_invalidate(scene.nested, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, entries, sizeof(entries[0]), 3);      \
	EXPECT_VENDOR_NO(code, IOMMU_HWPT_INVALIDATE, &cmd);                                                           \
	assert_int_equal(cmd.entry_num, count)

	EXPECT_DONE(INVALIDATE_RANGE, 2);
	entries[2] = (struct iommu_hwpt_vtd_s1_invalidate){.addr = PAGE_SIZE, .npages = UINT64_MAX};
	EXPECT_DONE(INVALIDATE_RANGE, 2);
	entries[1].flags = 2;
	EXPECT_DONE(INVALIDATE_FLAGS, 1);
	entries[0].__reserved = 1;
	EXPECT_DONE(INVALIDATE_FLAGS, 0);
	cmd = vendor_invalidate(scene.nested, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, NULL, 0, 0);
	EXPECT_VENDOR_NO(USER_DATA_TYPE, IOMMU_HWPT_INVALIDATE, &cmd);
	cmd.data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1;
	ASSERT_OK(self->why, vendor_ask(self, IOMMU_HWPT_INVALIDATE, &cmd));
	cmd = vendor_invalidate(scene.nested, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, entries, 16, 1);
	EXPECT_VENDOR_NO(USER_DATA_SIZE, IOMMU_HWPT_INVALIDATE, &cmd);
	scene_fini(self, &scene);
}

VENDOR_TEST(vtd, pasids_have_tables_of_their_own, intel)
{
	struct iommu_hwpt_vtd_s1 table = {.addr_width = 48};
	struct scene scene = scene_of(self);
	struct isolde_pt *pt = vendor_pt(self, ISOLDE_PT_X86_64, IOVA, 5, (u64 *)&table.pgtbl_addr);
	struct iommu_hwpt_alloc cmd = vendor_hwpt(self, 0, scene.parent, IOMMU_HWPT_ALLOC_PASID, IOMMU_HWPT_DATA_VTD_S1,
						  &table, sizeof(table));

	ASSERT_OK(self->why, vendor_ask(self, IOMMU_HWPT_ALLOC, &cmd));
	vendor_attach(self, 0, 9, cmd.out_hwpt_id);
	assert_int_equal(vendor_read(self, 0, 9, IOVA), 5);
	assert_int_equal(vendor_read(self, 0, 0, IOVA), 255);
	vendor_detach(self, 0, 9);
	vendor_destroy(self, cmd.out_hwpt_id);
	scene_fini(self, &scene);
	isolde_pt_free(pt);
}

/* ---- every step may fail ---- */

static struct vendor_room *swept;
static u32 swept_parent;

static int alloc_nested(struct why *why)
{
	const struct iommu_hwpt_vtd_s1 table = {.addr_width = 48};
	struct iommu_hwpt_alloc cmd = vendor_hwpt(swept, 0, swept_parent, 0, IOMMU_HWPT_DATA_VTD_S1, &table,
						  sizeof(table));
	long ret = vendor_ask(swept, IOMMU_HWPT_ALLOC, &cmd);

	*why = swept->why;
	if (ret == 0)
		vendor_drop(swept, cmd.out_hwpt_id);
	assert_int_equal(object_peek(swept->context, swept_parent, NULL)->users, 0);
	return (int)ret;
}

VENDOR_TEST(vtd, failures_to_make_a_nested_one_leave_nothing_behind, intel)
{
	swept = self;
	swept_parent = vendor_parent(self, 0);
	SWEEP_FAILURES(alloc_nested);
	vendor_destroy(self, swept_parent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(vtd, hardware_information_is_its_registers),
		CASE(vtd, flags_choose_the_table),
		CASE(vtd, legacy_hardware_cannot_nest),
		CASE(vtd, nested_domains_are_refused_in_linuxs_order),
		CASE(vtd, only_second_stage_tables_are_parents),
		CASE(vtd, what_hardware_cannot_walk_is_refused_at_attach),
		CASE(vtd, parents_take_no_read_only_areas),
		CASE(vtd, a_guests_table_is_walked_and_invalidated),
		CASE(vtd, invalidations_count_what_was_done),
		CASE(vtd, pasids_have_tables_of_their_own),
		CASE(vtd, failures_to_make_a_nested_one_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
