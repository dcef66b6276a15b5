/* SPDX-License-Identifier: MIT */
/* What iommufd gets of an SMMUv3: hardware information, virtual SMMUs, stream table entries and commands of a guest. */
#include "tests/fixtures/vendor_room.h"

#define IOVA 0x12345000ull

static const struct iommu_unit smmu = {
	.name = "smmu3.0x0000000009050000",
	.kind = KIND_SMMU,
	.width = 48,
	.idr = {SMMU_IDR0_STAGE1 | SMMU_IDR0_STAGE2 | SMMU_IDR0_COHERENT | 2 << 6, 8 << 6, 0, SMMU_IDR3_FORCE_WB, 0,
		5 | BIT(4)},
	.iidr = 0x43b,
	.aidr = 3,
	.max_pasids = 1 << 8,
};

enum { ABORT = 0, BYPASS = 4, STAGE1 = 5 };

static struct iommu_hwpt_arm_smmuv3 entry_of(u64 config, u64 contexts, u64 ssid_bits)
{
	/* Requests without PASID are those of substream 0. */
	return (struct iommu_hwpt_arm_smmuv3){.ste = {BIT(0) | config << 1 | contexts | ssid_bits << 59, 2}};
}

VENDOR_TEST(smmu, hardware_information_is_its_registers, smmu)
{
	struct iommu_hw_info_arm_smmuv3 info;

	assert_int_equal(vendor_hw_info(self, 0, &info, sizeof(info)), IOMMU_HW_INFO_TYPE_ARM_SMMUV3);
	assert_int_equal(info.flags, 0);
	assert_memory_equal(info.idr, smmu.idr, sizeof(info.idr));
	assert_int_equal(info.iidr, 0x43b);
	assert_int_equal(info.aidr, 3);
	vendor_expect_no_info(self, IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV);
}

VENDOR_TEST(smmu, virtual_ones_need_hardware_that_nests, smmu)
{
	u32 parent = vendor_parent(self, 0);
	struct iommu_viommu_alloc cmd = {.size = sizeof(cmd),
					 .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3 + 1,
					 .dev_id = vendor_dev(self, 0),
					 .hwpt_id = parent};

	EXPECT_VENDOR_NO(VIOMMU_TYPE, IOMMU_VIOMMU_ALLOC, &cmd);
	cmd.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3;
	self->units[0]->idr[3] = 0;
	EXPECT_VENDOR_NO(VIOMMU_TYPE, IOMMU_VIOMMU_ALLOC, &cmd);
	self->units[0]->idr[3] = SMMU_IDR3_FORCE_WB;
	self->units[0]->idr[0] ^= SMMU_IDR0_STAGE1;
	EXPECT_VENDOR_NO(VIOMMU_TYPE, IOMMU_VIOMMU_ALLOC, &cmd);
	self->units[0]->idr[0] ^= SMMU_IDR0_STAGE1;
	/* A parent is of one SMMU, the virtual one of the same. */
	cmd.dev_id = vendor_dev(self, 1);
	EXPECT_VENDOR_NO(VIOMMU_UNIT, IOMMU_VIOMMU_ALLOC, &cmd);
	EXPECT_SUBSTR("smmu3.0x0000000009050001", self->why.text);
	vendor_destroy(self, parent);
}

VENDOR_TEST(smmu, entries_are_refused_in_linuxs_order, smmu)
{
	static const struct {
		u64 words[2];
		const char *text;
	} wrong[] = {
		{{BIT(0) | BIT(52), 0}, "bits that are the host's"}, {{BIT(0), BIT(19)}, "bits that are the host's"},
		{{BIT(0) | 6 << 1, 0}, "configuration 6"},	     {{BIT(0) | BYPASS << 1, 2ull << 28}, "EATS 2"},
		{{BIT(0) | STAGE1 << 1, 3ull << 28}, "EATS 3"},
	};
	struct iommu_hwpt_arm_smmuv3 entry = entry_of(BYPASS, 0, 0);
	u32 parent = vendor_parent(self, 0), viommu = vendor_viommu(self, 0, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, parent);
	struct iommu_hwpt_alloc cmd = vendor_hwpt(self, 0, viommu, IOMMU_HWPT_ALLOC_PASID, IOMMU_HWPT_DATA_VTD_S1,
						  &entry, 15);

	EXPECT_VENDOR_NO(HWPT_FLAGS, IOMMU_HWPT_ALLOC, &cmd);
	cmd.flags = 0;
	EXPECT_VENDOR_NO(USER_DATA_TYPE, IOMMU_HWPT_ALLOC, &cmd);
	cmd.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3;
	EXPECT_VENDOR_NO(USER_DATA_SIZE, IOMMU_HWPT_ALLOC, &cmd);
	cmd.data_len = sizeof(entry);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		memcpy(entry.ste, wrong[i].words, sizeof(entry.ste));
		EXPECT_VENDOR_NO(SMMU_ENTRY_INVALID, IOMMU_HWPT_ALLOC, &cmd);
		EXPECT_SUBSTR(wrong[i].text, self->why.text);
		/* What is not valid is looked at no further. */
		entry.ste[0] &= ~BIT(0);
		ASSERT_OK(self->why, vendor_ask(self, IOMMU_HWPT_ALLOC, &cmd));
		vendor_attach(self, 0, 0, cmd.out_hwpt_id);
		assert_int_equal(vendor_read(self, 0, 0, VENDOR_BASE), 255);
		vendor_detach(self, 0, 0);
		vendor_destroy(self, cmd.out_hwpt_id);
	}
	vendor_destroy(self, viommu);
	vendor_destroy(self, parent);
}

VENDOR_TEST(smmu, only_devices_with_contexts_need_a_vdevice, smmu)
{
	struct iommu_hwpt_arm_smmuv3 bypass = entry_of(BYPASS, 0, 0), stage1 = entry_of(STAGE1, VENDOR_BASE, 0);
	u32 parent = vendor_parent(self, 0), viommu = vendor_viommu(self, 0, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, parent);
	u32 nested = vendor_nested(self, viommu, IOMMU_HWPT_DATA_ARM_SMMUV3, &bypass, sizeof(bypass)), vdevice;

	self->memory[VENDOR_DATA] = 9;
	vendor_attach(self, 0, 0, nested);
	assert_int_equal(vendor_read(self, 0, 0, VENDOR_BASE + VENDOR_DATA), 9);
	vendor_detach(self, 0, 0);
	vendor_destroy(self, nested);
	nested = vendor_nested(self, viommu, IOMMU_HWPT_DATA_ARM_SMMUV3, &stage1, sizeof(stage1));
	EXPECT_REFUSED(VDEVICE_MISSING, self->why,
		       iommufd_device_attach(self->device[0], 0, &(u32){nested}, &self->why));
	vdevice = vendor_vdevice(self, 0, viommu, 5);
	vendor_attach(self, 0, 0, nested);
	vendor_detach(self, 0, 0);
	vendor_destroy(self, vdevice);
	vendor_destroy(self, nested);
	vendor_destroy(self, viommu);
	vendor_destroy(self, parent);
}

VENDOR_TEST(smmu, a_device_with_several_streams_is_no_vdevice, smmu)
{
	const struct pci_identity identity = {.vendor = 0x104c, .device = 0x8240, .class_code = 0x060400};
	u32 parent = vendor_parent(self, 0), viommu = vendor_viommu(self, 0, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, parent);
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd), .viommu_id = viommu, .dev_id = vendor_dev(self, 0), .virt_id = 5};
	struct pci_function bridge = {};

	pci_function_init(&bridge, (struct pci_addr){0, 7, 0}, &identity);
	pci_add_pcie(&bridge, PCIE_TO_PCI_BRIDGE, 0, false);
	self->functions[0].parent = &bridge;
	EXPECT_VENDOR_NO(SMMU_STREAMS, IOMMU_VDEVICE_ALLOC, &cmd);
	EXPECT_SUBSTR(self->core[0]->name, self->why.text);
	self->functions[0].parent = NULL;
	ASSERT_OK(self->why, vendor_ask(self, IOMMU_VDEVICE_ALLOC, &cmd));
	pci_function_fini(&bridge);
	vendor_destroy(self, cmd.out_vdevice_id);
	vendor_destroy(self, viommu);
	vendor_destroy(self, parent);
}

/* ---- commands ---- */

#define STREAM 5
#define ASID   7

enum { CFGI_CD = 5, CFGI_CD_ALL = 6, NH_ALL = 0x10, NH_ASID, NH_VA, NH_VAA, NSNH_ALL = 0x30, ATC_INV = 0x40 };

/* A guest whose context 0 and 3 are of one table, with two ASIDs. */
struct scene {
	struct isolde_pt *pt;
	u64 contexts, root;
	u32 parent, viommu, vdevice, nested;
};

static void put_cd(struct vendor_room *self, u64 address, u64 asid, u64 root)
{
	put_u64(vendor_at(self, address), BIT(31) | BIT(41) | BIT(30) | 16 | 5ull << 32 | asid << 48);
	put_u64(vendor_at(self, address + 8), root);
}

static struct scene scene_of(struct vendor_room *self)
{
	struct scene scene = {.contexts = vendor_table(self, 8 * 64)};
	struct iommu_hwpt_arm_smmuv3 entry = entry_of(STAGE1, scene.contexts, 3);

	scene.pt = vendor_pt(self, ISOLDE_PT_ARM64_S1, IOVA, 3, &scene.root);
	for (u8 page = 0; page < 8; page++)
		self->memory[VENDOR_DATA + page * PAGE_SIZE] = page;
	put_cd(self, scene.contexts, ASID, scene.root);
	put_cd(self, scene.contexts + 3 * 64, ASID + 1, scene.root);
	scene.parent = vendor_parent(self, 0);
	scene.viommu = vendor_viommu(self, 0, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, scene.parent);
	scene.vdevice = vendor_vdevice(self, 0, scene.viommu, STREAM);
	scene.nested = vendor_nested(self, scene.viommu, IOMMU_HWPT_DATA_ARM_SMMUV3, &entry, sizeof(entry));
	vendor_attach(self, 0, 0, scene.nested);
	return scene;
}

static void scene_fini(struct vendor_room *self, struct scene *scene)
{
	vendor_detach(self, 0, 0);
	vendor_destroy(self, scene->nested);
	vendor_destroy(self, scene->vdevice);
	vendor_destroy(self, scene->viommu);
	vendor_destroy(self, scene->parent);
	isolde_pt_free(scene->pt);
}

static long command(struct vendor_room *self, u32 viommu, u64 low, u64 high)
{
	struct iommu_viommu_arm_smmuv3_invalidate entry = {.cmd = {low, high}};
	struct iommu_hwpt_invalidate cmd = vendor_invalidate(viommu, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, &entry,
							     sizeof(entry), 1);

	return vendor_ask(self, IOMMU_HWPT_INVALIDATE, &cmd);
}

/* What each command forgets: the translation without PASID, and the one with PASID 3. */
static const struct {
	u64 low, high;
	bool first, third;
} translations[] = {
	{NH_ALL, 0, true, true},
	{NSNH_ALL, 0, true, true},
	{NH_ASID | (u64)ASID << 48, 0, true, false},
	{NH_ASID | (u64)(ASID + 1) << 48, 0, false, true},
	{NH_VA | (u64)ASID << 48, IOVA, true, false},
	{NH_VA | (u64)ASID << 48, IOVA | 1, true, false}, /* leaves only */
	{NH_VA | (u64)ASID << 48, IOVA + PAGE_SIZE, false, false},
	{NH_VAA, IOVA, true, true},
	/* Ranges: (NUM + 1) << SCALE granules; without a granule there is none. */
	{NH_VAA | 1 << 12 | 2 << 20, (IOVA - 7 * PAGE_SIZE) | 1 << 10, true, true},
	{NH_VAA | 1 << 12 | 2 << 20, (IOVA - 8 * PAGE_SIZE) | 1 << 10, false, false},
	{NH_VAA | 1 << 12 | 2 << 20, IOVA - 7 * PAGE_SIZE, false, false},
	{NH_VAA | 31 << 12 | 31 << 20, 3 << 10, true, true},
	{ATC_INV | (u64)STREAM << 32, IOVA, true, false},
	{ATC_INV | (u64)STREAM << 32 | BIT(11) | 3 << 12, IOVA, false, true},
	{ATC_INV | (u64)STREAM << 32 | BIT(9), IOVA, true, true},
	{ATC_INV | (u64)STREAM << 32, (IOVA & ~0x7fffull) | 3, true, false},
	{ATC_INV | (u64)STREAM << 32 | BIT(9), 52, true, true},
	{CFGI_CD | (u64)STREAM << 32, 0, true, false},
	{CFGI_CD | (u64)STREAM << 32 | 3 << 12, 0, false, true},
	{CFGI_CD_ALL | (u64)STREAM << 32, 0, true, true},
};

VENDOR_TEST(smmu, commands_forget_translations, smmu)
{
	struct scene scene = scene_of(self);

	for (size_t i = 0; i < ARRAY_SIZE(translations); i++) {
		u8 page = (u8)(i % 8), next = page ^ 1;

		ASSERT_OK(self->why, command(self, scene.viommu, NH_ALL, 0));
		vendor_remap(scene.pt, IOVA, page);
		assert_int_equal(vendor_read(self, 0, 0, IOVA), page);
		assert_int_equal(vendor_read(self, 0, 3, IOVA), page);
		vendor_remap(scene.pt, IOVA, next);
		ASSERT_OK(self->why, command(self, scene.viommu, translations[i].low, translations[i].high));
		if (vendor_read(self, 0, 0, IOVA) != (translations[i].first ? next : page) ||
		    vendor_read(self, 0, 3, IOVA) != (translations[i].third ? next : page))
			fail_msg("command %zu: %u without PASID, %u with PASID 3, of %u and %u", i,
				 vendor_read(self, 0, 0, IOVA), vendor_read(self, 0, 3, IOVA), page, next);
	}
	scene_fini(self, &scene);
}

VENDOR_TEST(smmu, commands_forget_contexts, smmu)
{
	struct scene scene = scene_of(self);
	u64 other;
	struct isolde_pt *pt = vendor_pt(self, ISOLDE_PT_ARM64_S1, IOVA, 6, &other);

	assert_int_equal(vendor_read(self, 0, 0, IOVA), 3);
	assert_int_equal(vendor_read(self, 0, 3, IOVA), 3);
	put_cd(self, scene.contexts, ASID, other);
	put_cd(self, scene.contexts + 3 * 64, ASID, other);
	ASSERT_OK(self->why, command(self, scene.viommu, NH_ALL, 0));
	ASSERT_OK(self->why, command(self, scene.viommu, ATC_INV | (u64)STREAM << 32 | BIT(9), 52));
	assert_int_equal(vendor_read(self, 0, 0, IOVA), 3);
	ASSERT_OK(self->why, command(self, scene.viommu, CFGI_CD | (u64)STREAM << 32 | 3 << 12, 0));
	assert_int_equal(vendor_read(self, 0, 0, IOVA), 3);
	assert_int_equal(vendor_read(self, 0, 3, IOVA), 6);
	ASSERT_OK(self->why, command(self, scene.viommu, CFGI_CD_ALL | (u64)STREAM << 32, 0));
	assert_int_equal(vendor_read(self, 0, 0, IOVA), 6);
	scene_fini(self, &scene);
	isolde_pt_free(pt);
}

VENDOR_TEST(smmu, commands_stop_at_the_first_bad_one, smmu)
{
	struct scene scene = scene_of(self);
	struct iommu_viommu_arm_smmuv3_invalidate entries[4] = {
		{.cmd = {NH_ALL}},
		{.cmd = {ATC_INV | (u64)STREAM << 32}},
		{.cmd = {ATC_INV | (u64)(STREAM + 1) << 32}},
		{.cmd = {0x46}}, /* a sync */
	};
	struct iommu_hwpt_invalidate cmd;

#define EXPECT_DONE(code, done)                                                                                        \
	cmd = vendor_invalidate(scene.viommu, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, entries, sizeof(entries[0]),    \
				4);                                                                                    \
	EXPECT_VENDOR_NO(code, IOMMU_HWPT_INVALIDATE, &cmd);                                                           \
	assert_int_equal(cmd.entry_num, done)

	EXPECT_DONE(SMMU_COMMAND_INVALID, 2);
	EXPECT_SUBSTR("stream 0x6", self->why.text);
	entries[2].cmd[0] = CFGI_CD | (u64)STREAM << 32;
	EXPECT_DONE(SMMU_COMMAND_INVALID, 3);
	EXPECT_SUBSTR("0x46", self->why.text);
	entries[0].cmd[0] = 0;
	EXPECT_DONE(SMMU_COMMAND_INVALID, 0);
	cmd = vendor_invalidate(scene.viommu, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, NULL, 0, 0);
	EXPECT_VENDOR_NO(USER_DATA_SIZE, IOMMU_HWPT_INVALIDATE, &cmd);
	cmd = vendor_invalidate(scene.viommu, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, entries, sizeof(entries[0]), 1);
	EXPECT_VENDOR_NO(USER_DATA_TYPE, IOMMU_HWPT_INVALIDATE, &cmd);
	/* Nested domains themselves have no such call here. */
	cmd = vendor_invalidate(scene.nested, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, entries, sizeof(entries[0]), 1);
	EXPECT_VENDOR_NO(INVALIDATE_UNSUPPORTED, IOMMU_HWPT_INVALIDATE, &cmd);
	scene_fini(self, &scene);
}

VENDOR_TEST(smmu, pasids_of_the_host_and_a_guests_contexts_exclude_each_other, smmu)
{
	struct scene scene = scene_of(self);
	struct iommu_hwpt_alloc cmd = vendor_hwpt(self, 0, self->ioas, IOMMU_HWPT_ALLOC_PASID, 0, NULL, 0);

	ASSERT_OK(self->why, vendor_ask(self, IOMMU_HWPT_ALLOC, &cmd));
	EXPECT_REFUSED(PASID_INCOMPATIBLE, self->why,
		       iommufd_device_attach(self->device[0], 3, &(u32){cmd.out_hwpt_id}, &self->why));
	vendor_destroy(self, cmd.out_hwpt_id);
	scene_fini(self, &scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(smmu, hardware_information_is_its_registers),
		CASE(smmu, virtual_ones_need_hardware_that_nests),
		CASE(smmu, entries_are_refused_in_linuxs_order),
		CASE(smmu, only_devices_with_contexts_need_a_vdevice),
		CASE(smmu, a_device_with_several_streams_is_no_vdevice),
		CASE(smmu, commands_forget_translations),
		CASE(smmu, commands_forget_contexts),
		CASE(smmu, commands_stop_at_the_first_bad_one),
		CASE(smmu, pasids_of_the_host_and_a_guests_contexts_exclude_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
