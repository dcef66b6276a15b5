/* SPDX-License-Identifier: MIT */
/* What iommufd gets of AMD's IOMMU: hardware information, virtual IOMMUs, device table entries of a guest. */
#include "tests/fixtures/vendor_room.h"

#define IOVA 0x12345000ull

static const struct iommu_unit amd = {
	.name = "ivhd0",
	.kind = KIND_AMD,
	.width = 64,
	.efr = AMD_EFR_GUEST | AMD_EFR_GIO | AMD_EFR_DIRTY | 0x5ull << 32,
	.efr2 = AMD_EFR2_GCR3_PHYSICAL,
	.max_pasids = (1 << 6) - 1,
};

#define DTE_VALID BIT(0)
#define DTE_GUEST BIT(55)
#define DTE_GIOV  BIT(54)

/* A guest's entry with a GCR3 table of one level. */
static struct iommu_hwpt_amd_guest entry_of(u64 table, u16 id)
{
	struct iommu_hwpt_amd_guest entry = {
		.dte = {DTE_VALID | DTE_GUEST | DTE_GIOV | (table >> 12 & 7) << 58,
			(table >> 15 & 0xffff) << 16 | table >> 31 << 43 | id},
	};

	return entry;
}

VENDOR_TEST(amd, hardware_information_is_its_features, amd)
{
	struct iommu_hw_info_amd info;

	assert_int_equal(vendor_hw_info(self, 0, &info, sizeof(info)), IOMMU_HW_INFO_TYPE_AMD);
	assert_int_equal(info.efr, amd.efr);
	assert_int_equal(info.efr2, amd.efr2);
	vendor_expect_no_info(self, IOMMU_HW_INFO_TYPE_INTEL_VTD);
}

/* Flags that Linux's driver does not take together, and those that need hardware. */
VENDOR_TEST(amd, flags_choose_the_table, amd)
{
	static const struct {
		u32 flags;
		enum isolde_pt_format format;
	} rows[] = {
		{0, ISOLDE_PT_AMDV1},
		{IOMMU_HWPT_ALLOC_PASID, ISOLDE_PT_X86_64},
		{IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING, ISOLDE_PT_AMDV1},
	};
	struct iommu_hwpt_alloc cmd;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cmd = vendor_hwpt(self, 0, self->ioas, rows[i].flags, 0, NULL, 0);
		ASSERT_OK(self->why, vendor_ask(self, IOMMU_HWPT_ALLOC, &cmd));
		assert_int_equal(hwpt_of(object_peek(self->context, cmd.out_hwpt_id, NULL))->domain->format,
				 rows[i].format);
		vendor_destroy(self, cmd.out_hwpt_id);
	}
	cmd = vendor_hwpt(self, 0, self->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID, 0, NULL, 0);
	EXPECT_VENDOR_NO(DOMAIN_ABILITY, IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_SUBSTR("in this combination", self->why.text);
}

VENDOR_TEST(amd, nested_domains_are_made_on_virtual_iommus_of_any_type, amd)
{
	struct iommu_hwpt_amd_guest entry = entry_of(VENDOR_BASE, 7);
	u32 parent = vendor_parent(self, 0), viommu, nested;
	struct iommu_hwpt_alloc cmd = vendor_hwpt(self, 0, parent, 0, IOMMU_HWPT_DATA_AMD_GUEST, &entry, sizeof(entry));
	struct iommu_viommu_alloc alloc = {.size = sizeof(alloc), .dev_id = vendor_dev(self, 0), .hwpt_id = parent};

	EXPECT_VENDOR_NO(HWPT_NO_NESTING, IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_VENDOR_NO(VIOMMU_TYPE, IOMMU_VIOMMU_ALLOC, &alloc);
	viommu = vendor_viommu(self, 0, 4711, parent);
	nested = vendor_nested(self, viommu, IOMMU_HWPT_DATA_AMD_GUEST, &entry, sizeof(entry));
	assert_int_equal(self->iommu.amd_guest_ids, 1);
	vendor_destroy(self, nested);
	assert_int_equal(self->iommu.amd_guest_ids, 0);
	vendor_destroy(self, viommu);
	vendor_destroy(self, parent);
}

VENDOR_TEST(amd, entries_are_refused_in_linuxs_order, amd)
{
	struct iommu_hwpt_amd_guest entry = entry_of(VENDOR_BASE, 7);
	u32 parent = vendor_parent(self, 0), viommu = vendor_viommu(self, 0, 1, parent);
	struct iommu_hwpt_alloc cmd = vendor_hwpt(self, 0, viommu, 0, IOMMU_HWPT_DATA_VTD_S1, &entry, 31);

	EXPECT_VENDOR_NO(HWPT_DATA_TYPE, IOMMU_HWPT_ALLOC, &cmd);
	cmd.data_type = IOMMU_HWPT_DATA_AMD_GUEST;
	EXPECT_VENDOR_NO(USER_DATA_SIZE, IOMMU_HWPT_ALLOC, &cmd);
	cmd.data_len = sizeof(entry);
	/* All of it is wrong; one thing after the other is mended. */
	entry = (struct iommu_hwpt_amd_guest){.dte = {DTE_VALID | DTE_GUEST | BIT(9) | 3ull << 56, 0, 2ull << 54}};
	EXPECT_VENDOR_NO(AMD_ENTRY_INVALID, IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_SUBSTR("host's part", self->why.text);
	entry.dte[0] ^= BIT(9) ^ BIT(12);
	EXPECT_VENDOR_NO(AMD_ENTRY_INVALID, IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_SUBSTR("host's part", self->why.text);
	entry.dte[0] ^= BIT(12);
	EXPECT_VENDOR_NO(AMD_ENTRY_INVALID, IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_SUBSTR("no GCR3 table", self->why.text);
	entry.dte[1] = BIT(16);
	EXPECT_VENDOR_NO(AMD_ENTRY_INVALID, IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_SUBSTR("paging mode 2", self->why.text);
	entry.dte[2] = 1ull << 54;
	EXPECT_VENDOR_NO(AMD_ENTRY_INVALID, IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_SUBSTR("4 levels", self->why.text);
	entry.dte[0] &= ~(3ull << 56);
	EXPECT_VENDOR_NO(AMD_NO_FIVE_LEVELS, IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_SUBSTR("ivhd0", self->why.text);
	self->units[0]->efr |= 1ull << 12;
	ASSERT_OK(self->why, vendor_ask(self, IOMMU_HWPT_ALLOC, &cmd));
	vendor_destroy(self, cmd.out_hwpt_id);
	/* What is not valid needs no table. */
	entry.dte[0] = DTE_GUEST;
	entry.dte[1] = 0;
	ASSERT_OK(self->why, vendor_ask(self, IOMMU_HWPT_ALLOC, &cmd));
	vendor_destroy(self, cmd.out_hwpt_id);
	vendor_destroy(self, viommu);
	vendor_destroy(self, parent);
}

VENDOR_TEST(amd, domain_ids_of_guests_are_few_and_shared_within_a_guest, amd)
{
	struct iommu_hwpt_amd_guest entry = entry_of(VENDOR_BASE, 7);
	u32 parent = vendor_parent(self, 0), viommus[2], nested[4];
	struct iommu_hwpt_alloc cmd;

	for (unsigned i = 0; i < 2; i++)
		viommus[i] = vendor_viommu(self, 0, 1, parent);
	for (unsigned i = 0; i < 4; i++)
		nested[i] = vendor_nested(self, viommus[i / 2], IOMMU_HWPT_DATA_AMD_GUEST, &entry, sizeof(entry));
	assert_int_equal(self->iommu.amd_guest_ids, 2);
	self->iommu.amd_guest_ids += AMD_DOMAIN_IDS - 2;
	cmd = vendor_hwpt(self, 0, viommus[0], 0, IOMMU_HWPT_DATA_AMD_GUEST, &entry, sizeof(entry));
	entry = entry_of(VENDOR_BASE, 8);
	EXPECT_VENDOR_NO(AMD_IDS_EXHAUSTED, IOMMU_HWPT_ALLOC, &cmd);
	EXPECT_SUBSTR("id 8", self->why.text);
	entry = entry_of(VENDOR_BASE, 7);
	ASSERT_OK(self->why, vendor_ask(self, IOMMU_HWPT_ALLOC, &cmd));
	vendor_destroy(self, cmd.out_hwpt_id);
	self->iommu.amd_guest_ids -= AMD_DOMAIN_IDS - 2;
	for (unsigned i = 0; i < 4; i++)
		vendor_destroy(self, nested[i]);
	for (unsigned i = 0; i < 2; i++)
		vendor_destroy(self, viommus[i]);
	vendor_destroy(self, parent);
}

VENDOR_TEST(amd, a_guests_pasids_are_walked_and_nothing_is_kept, amd)
{
	u64 gcr3 = align_up(vendor_table(self, 2 * PAGE_SIZE), PAGE_SIZE), roots[2];
	struct isolde_pt *pts[] = {vendor_pt(self, ISOLDE_PT_X86_64, IOVA, 3, &roots[0]),
				   vendor_pt(self, ISOLDE_PT_X86_64, IOVA, 4, &roots[1])};
	struct iommu_hwpt_amd_guest entry = entry_of(gcr3, 7);
	u32 parent = vendor_parent(self, 0), viommu = vendor_viommu(self, 0, 1, parent), nested;
	struct iommu_hwpt_invalidate cmd;

	put_u64(vendor_at(self, gcr3), roots[0] | 1);
	put_u64(vendor_at(self, gcr3 + 5 * 8), roots[1] | 1);
	nested = vendor_nested(self, viommu, IOMMU_HWPT_DATA_AMD_GUEST, &entry, sizeof(entry));
	vendor_attach(self, 0, 0, nested);
	assert_int_equal(vendor_read(self, 0, 0, IOVA), 3);
	assert_int_equal(vendor_read(self, 0, 5, IOVA), 4);
	assert_int_equal(vendor_read(self, 0, 6, IOVA), 255);
	vendor_remap(pts[1], IOVA, 5);
	self->memory[VENDOR_DATA + 5 * PAGE_SIZE] = 5;
	assert_int_equal(vendor_read(self, 0, 5, IOVA), 5);
	cmd = vendor_invalidate(viommu, 0, NULL, 0, 0);
	EXPECT_VENDOR_NO(INVALIDATE_UNSUPPORTED, IOMMU_HWPT_INVALIDATE, &cmd);
	vendor_detach(self, 0, 0);
	vendor_destroy(self, nested);
	vendor_destroy(self, viommu);
	vendor_destroy(self, parent);
	isolde_pt_free(pts[0]);
	isolde_pt_free(pts[1]);
}

static struct vendor_room *swept;
static u32 swept_viommu;

static int alloc_nested(struct why *why)
{
	struct iommu_hwpt_amd_guest entry = entry_of(VENDOR_BASE, 7);
	struct iommu_hwpt_alloc cmd = vendor_hwpt(swept, 0, swept_viommu, 0, IOMMU_HWPT_DATA_AMD_GUEST, &entry,
						  sizeof(entry));
	long ret = vendor_ask(swept, IOMMU_HWPT_ALLOC, &cmd);

	*why = swept->why;
	if (ret == 0)
		vendor_drop(swept, cmd.out_hwpt_id);
	assert_int_equal(object_peek(swept->context, swept_viommu, NULL)->users, 0);
	assert_int_equal(swept->iommu.amd_guest_ids, 0);
	return (int)ret;
}

VENDOR_TEST(amd, failures_to_make_a_nested_one_leave_nothing_behind, amd)
{
	u32 parent = vendor_parent(self, 0);

	swept = self;
	swept_viommu = vendor_viommu(self, 0, 1, parent);
	SWEEP_FAILURES(alloc_nested);
	vendor_destroy(self, swept_viommu);
	vendor_destroy(self, parent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(amd, hardware_information_is_its_features),
		CASE(amd, flags_choose_the_table),
		CASE(amd, nested_domains_are_made_on_virtual_iommus_of_any_type),
		CASE(amd, entries_are_refused_in_linuxs_order),
		CASE(amd, domain_ids_of_guests_are_few_and_shared_within_a_guest),
		CASE(amd, a_guests_pasids_are_walked_and_nothing_is_kept),
		CASE(amd, failures_to_make_a_nested_one_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
