/* SPDX-License-Identifier: MIT */
/* Which table a domain gets from which kind of unit, and which attaches their drivers refuse. */
#include "iommu/kind.h"

#include "iommu/dma.h"
#include "iommu/own.h"
#include "iommu/pasid.h"
#include "pci/caps.h"
#include "tests/fixtures/self_client.h"
#include "tests/helpers.h"

#define INTEL_SCALABLE                                                                                                 \
	(INTEL_ECAP_PASS_THROUGH | INTEL_ECAP_SNOOP_CONTROL | INTEL_ECAP_SCALABLE | INTEL_ECAP_SECOND_STAGE |          \
	 INTEL_ECAP_PASID | INTEL_ECAP_SECOND_DIRTY | INTEL_ECAP_COHERENT_WALK)
#define AMD_NESTING (AMD_EFR_GUEST | AMD_EFR_GIO)
#define PASIDS_LOG2 10

static const struct iommu_unit intel_old = {.name = "dmar0", .width = 39};
static const struct iommu_unit intel = {
	.name = "dmar1", .width = 48, .ecap = INTEL_SCALABLE, .max_pasids = 1 << PASIDS_LOG2};
static const struct iommu_unit intel_nesting = {
	.name = "dmar2",
	.width = 48,
	.cap = INTEL_CAP_GIGABYTES,
	.ecap = INTEL_SCALABLE | INTEL_ECAP_FIRST_STAGE | INTEL_ECAP_NESTING,
	.max_pasids = 1 << PASIDS_LOG2,
};
static const struct iommu_unit amd = {
	.name = "ivhd0",
	.kind = KIND_AMD,
	.width = 64,
	.efr = AMD_NESTING | AMD_EFR_DIRTY,
	.efr2 = AMD_EFR2_GCR3_PHYSICAL,
	.max_pasids = (1 << PASIDS_LOG2) - 1,
};
static const struct iommu_unit amd_v2 = {.name = "ivhd1",
					 .kind = KIND_AMD,
					 .format = ISOLDE_PT_X86_64,
					 .width = 48,
					 .max_pasids = (1 << PASIDS_LOG2) - 1};
static const struct iommu_unit smmu = {
	.name = "smmu3.0x0000000009050000",
	.kind = KIND_SMMU,
	.width = 48,
	.idr = {SMMU_IDR0_STAGE1 | SMMU_IDR0_STAGE2 | SMMU_IDR0_COHERENT | 2 << 6},
	.max_pasids = 1 << PASIDS_LOG2,
};
static const struct iommu_unit smmu_16k = {
	.name = "smmu3.0x0000000009060000",
	.kind = KIND_SMMU,
	.width = 48,
	.granule = 0x4000,
	.idr = {SMMU_IDR0_STAGE2 | SMMU_IDR0_COHERENT},
};
static const struct iommu_unit riscv = {.name = "riscv-iommu@0000:00:01.0", .kind = KIND_RISCV, .width = 48};

#define NESTING DOMAIN_FOR_NESTING
#define DIRTY	DOMAIN_FOR_DIRTY
#define PASID	DOMAIN_FOR_PASIDS
#define NONE	ISOLDE_PT_FORMATS /* refused */

#define PAGES_X86 (BIT(12) | BIT(21) | BIT(30))
/* The engine has runs of entries only where it has the entry: none of 512 GiB, so none of its multiples. */
#define AMD_PAGES (MASK(38, 12) | MASK(51, 48))

static const struct {
	const struct iommu_unit *unit;
	unsigned abilities;
	enum isolde_pt_format format;
	unsigned bits;
	u64 page_sizes;
} tables[] = {
	{&intel_old, 0, ISOLDE_PT_VTDSS, 39, PAGES_X86},
	{&intel_old, PASID, ISOLDE_PT_VTDSS, 39, PAGES_X86},
	{&intel_old, DIRTY, NONE},
	{&intel_old, NESTING, NONE},
	{&intel, 0, ISOLDE_PT_VTDSS, 48, PAGES_X86},
	{&intel, DIRTY | PASID, ISOLDE_PT_VTDSS, 48, PAGES_X86},
	{&intel, NESTING, NONE},
	{&intel_nesting, 0, ISOLDE_PT_X86_64, 47, PAGES_X86},
	{&intel_nesting, PASID, ISOLDE_PT_X86_64, 47, PAGES_X86},
	{&intel_nesting, DIRTY, ISOLDE_PT_VTDSS, 48, PAGES_X86},
	{&intel_nesting, NESTING, ISOLDE_PT_VTDSS, 48, PAGES_X86},
	{&intel_nesting, NESTING | DIRTY | PASID, ISOLDE_PT_VTDSS, 48, PAGES_X86},
	{&amd, 0, ISOLDE_PT_AMDV1, 64, AMD_PAGES},
	{&amd, DIRTY | NESTING, ISOLDE_PT_AMDV1, 64, AMD_PAGES},
	{&amd, PASID, ISOLDE_PT_X86_64, 47, PAGES_X86},
	{&amd, PASID | DIRTY, NONE},
	{&amd_v2, 0, ISOLDE_PT_X86_64, 47, PAGES_X86},
	{&amd_v2, DIRTY, NONE},
	{&amd_v2, NESTING, NONE},
	{&smmu, 0, ISOLDE_PT_ARM64_S1, 48, PAGES_X86},
	{&smmu, DIRTY | PASID, ISOLDE_PT_ARM64_S1, 48, PAGES_X86},
	{&smmu, NESTING, ISOLDE_PT_ARM64_S2, 48, PAGES_X86},
	{&smmu, NESTING | DIRTY, NONE},
	{&smmu, NESTING | PASID, NONE},
	{&smmu_16k, 0, ISOLDE_PT_ARM64_S2, 48, BIT(14) | BIT(25)},
	{&smmu_16k, PASID, NONE},
	{&riscv, 0, ISOLDE_PT_RISCV_S1, 47, BIT(12) | BIT(16) | BIT(21) | BIT(30) | BIT(39)},
	{&riscv, PASID, NONE},
};

TEST(kind, tables_suit_what_a_domain_is_for)
{
	struct why why = WHY_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		struct iommu_unit *unit;
		struct domain *domain;
		struct space space;
		struct iommu iommu;

		iommu_init(&iommu);
		ASSERT_OK(why, iommu_unit_add(&iommu, tables[i].unit, &unit, &why));
		space_init(&space, &iommu);
		if (tables[i].format == NONE) {
			EXPECT_REFUSED(DOMAIN_ABILITY, why,
				       domain_new_for(&space, unit, tables[i].abilities, &domain, &why));
			EXPECT_SUBSTR(unit->name, why.text);
		} else {
			ASSERT_OK(why, domain_new_for(&space, unit, tables[i].abilities, &domain, &why));
			if (domain->format != tables[i].format || domain->last_iova != MASK(tables[i].bits - 1, 0) ||
			    domain_page_sizes(domain) != tables[i].page_sizes)
				fail_msg("row %zu: format %d, last 0x%llx, pages 0x%llx", i, domain->format,
					 (unsigned long long)domain->last_iova,
					 (unsigned long long)domain_page_sizes(domain));
			if (!tables[i].abilities)
				assert_int_equal(unit->last_iova, domain->last_iova);
			domain_free(domain);
		}
		space_fini(&space);
		iommu_fini(&iommu);
	}
}

TEST(kind, abilities_follow_from_registers)
{
	static const struct {
		const struct iommu_unit *unit;
		bool coherent, enforces, dirty;
	} rows[] = {
		{&intel_old, true, false, false}, {&intel, true, true, true}, {&amd, true, true, true},
		{&amd_v2, true, true, false},	  {&smmu, true, false, true}, {&smmu_16k, true, false, false},
		{&riscv, true, false, false},
	};
	struct why why = WHY_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct iommu_unit *unit;
		struct iommu iommu;

		iommu_init(&iommu);
		ASSERT_OK(why, iommu_unit_add(&iommu, rows[i].unit, &unit, &why));
		assert_int_equal(iommu_unit_capable(unit, CAP_COHERENT), rows[i].coherent);
		assert_int_equal(iommu_unit_capable(unit, CAP_ENFORCE_COHERENCY), rows[i].enforces);
		assert_int_equal(iommu_unit_capable(unit, CAP_DIRTY), rows[i].dirty);
		unit->incoherent = true;
		assert_int_equal(iommu_unit_capable(unit, CAP_COHERENT), unit->kind != KIND_RISCV);
		iommu_fini(&iommu);
	}
}

/* ---- attaching ---- */

/* Two units, a device with PASIDs behind each; the first one's group is claimed. */
struct pair {
	struct iommu iommu;
	struct space space;
	struct iommu_unit *units[2];
	struct pci_function functions[2];
	struct iommu_group *groups[2];
	struct iommu_device *devices[2];
	struct owner owner;
	struct why why;
};

static const char *describe(const struct owner *owner, char *text, size_t size)
{
	return strncpy(text, "the test of kinds", size);
}

static void pair_init(struct pair *pair, const struct iommu_unit *first, const struct iommu_unit *second)
{
	const struct iommu_unit *units[] = {first, second};
	const struct pci_identity identity = {.vendor = 0x1b36, .device = 0x10, .class_code = 0x010802};

	memset(pair, 0, sizeof(*pair));
	pair->owner.describe = describe;
	iommu_init(&pair->iommu);
	space_init(&pair->space, &pair->iommu);
	for (u8 i = 0; i < 2; i++) {
		struct pci_function *function = &pair->functions[i];

		ASSERT_OK(pair->why, iommu_unit_add(&pair->iommu, units[i], &pair->units[i], &pair->why));
		pci_function_init(function, (struct pci_addr){0, i, 0}, &identity);
		pci_add_pcie(function, PCIE_ENDPOINT, 0, true);
		pci_add_pasid(function, 20);
		ASSERT_OK(pair->why, iommu_group_add(&pair->iommu, &pair->groups[i], &pair->why));
		ASSERT_OK(pair->why,
			  iommu_device_add(pair->groups[i], pair->units[i], function, &pair->devices[i], &pair->why));
		ASSERT_OK(pair->why, iommu_group_choose_default(pair->groups[i], &pair->why));
		ASSERT_OK(pair->why, iommu_group_claim(pair->groups[i], &pair->owner, &pair->why));
	}
}

static void pair_fini(struct pair *pair)
{
	iommu_check(&pair->iommu);
	for (unsigned i = 0; i < 2; i++)
		iommu_group_release(pair->groups[i]);
	space_fini(&pair->space);
	iommu_fini(&pair->iommu);
	for (unsigned i = 0; i < 2; i++)
		pci_function_fini(&pair->functions[i]);
}

static struct domain *domain_of(struct pair *pair, unsigned unit, unsigned abilities)
{
	struct domain *domain = NULL;

	ASSERT_OK(pair->why, domain_new_for(&pair->space, pair->units[unit], abilities, &domain, &pair->why));
	return domain;
}

/* A domain of the second unit, for that, is nothing for a device behind the first. */
static void expect_incompatible(const struct iommu_unit *first, const struct iommu_unit *second, unsigned abilities,
				const char *reason)
{
	struct domain *domain;
	struct pair pair;

	pair_init(&pair, first, second);
	domain = domain_of(&pair, 1, abilities);
	EXPECT_REFUSED(DOMAIN_INCOMPATIBLE, pair.why, iommu_attach_group(domain, pair.groups[0], &pair.why));
	EXPECT_SUBSTR(reason, pair.why.text);
	EXPECT_SUBSTR(first->name, pair.why.text);
	ASSERT_OK(pair.why, iommu_attach_group(domain, pair.groups[1], &pair.why));
	iommu_detach_group(pair.groups[1]);
	domain_free(domain);
	pair_fini(&pair);
}

TEST(kind, a_unit_refuses_domains_that_its_hardware_cannot_have)
{
	struct iommu_unit wide = intel_old, no_dirty = amd, no_snoop = intel;

	expect_incompatible(&intel_old, &intel, DIRTY, "marks no pages as dirty");
	expect_incompatible(&intel, &intel_nesting, NESTING, "does not nest");
	expect_incompatible(&intel, &intel_nesting, 0, "walks no first-stage tables");
	wide.width = 48;
	expect_incompatible(&intel_old, &wide, 0, "has narrower addresses");
	no_snoop.ecap &= ~INTEL_ECAP_SNOOP_CONTROL;
	expect_incompatible(&no_snoop, &intel, 0, "cannot force snooping");
	no_dirty.efr &= ~AMD_EFR_DIRTY;
	expect_incompatible(&no_dirty, &amd, DIRTY, "marks no pages as dirty");
	expect_incompatible(&smmu, &smmu, 0, "is another SMMU");
}

TEST(kind, units_of_one_shape_share_domains_but_smmus_do_not)
{
	struct domain *domain;
	struct pair pair;

	pair_init(&pair, &amd, &amd);
	assert_true(iommu_units_alike(pair.units[0], pair.units[1]));
	domain = domain_of(&pair, 0, DIRTY);
	ASSERT_OK(pair.why, iommu_attach_group(domain, pair.groups[0], &pair.why));
	ASSERT_OK(pair.why, iommu_attach_group(domain, pair.groups[1], &pair.why));
	iommu_detach_group(pair.groups[0]);
	iommu_detach_group(pair.groups[1]);
	domain_free(domain);
	pair_fini(&pair);
	pair_init(&pair, &smmu, &smmu);
	assert_false(iommu_units_alike(pair.units[0], pair.units[1]));
	assert_true(iommu_units_alike(pair.units[0], pair.units[0]));
	pair_fini(&pair);
}

TEST(kind, amd_has_pasids_for_shared_addresses_only)
{
	struct domain *domain;
	struct pair pair;

	pair_init(&pair, &amd, &amd);
	domain = domain_of(&pair, 0, PASID);
	assert_int_equal(pair.devices[0]->max_pasids, (1 << PASIDS_LOG2) - 1);
	EXPECT_REFUSED(PASID_UNSUPPORTED, pair.why, iommu_attach_pasid(domain, pair.devices[0], 5, NULL, &pair.why));
	EXPECT_SUBSTR("ivhd0", pair.why.text);
	domain_free(domain);
	pair_fini(&pair);
}

TEST(kind, smmu_pasids_need_a_stage_1_everywhere)
{
	struct domain *stage1, *stage2;
	struct pair pair;

	pair_init(&pair, &smmu, &smmu);
	stage1 = domain_of(&pair, 0, PASID);
	stage2 = domain_of(&pair, 0, NESTING);
	EXPECT_REFUSED(DOMAIN_INCOMPATIBLE, pair.why, iommu_attach_pasid(stage2, pair.devices[0], 5, NULL, &pair.why));
	EXPECT_SUBSTR("this is a stage 2", pair.why.text);
	EXPECT_REFUSED(DOMAIN_INCOMPATIBLE, pair.why, iommu_attach_pasid(stage1, pair.devices[1], 5, NULL, &pair.why));
	ASSERT_OK(pair.why, iommu_attach_pasid(stage1, pair.devices[0], 5, NULL, &pair.why));
	EXPECT_REFUSED(STAGE_PASIDS, pair.why, iommu_attach_group(stage2, pair.groups[0], &pair.why));
	EXPECT_SUBSTR("PASID 5", pair.why.text);
	ASSERT_OK(pair.why, iommu_attach_group(stage1, pair.groups[0], &pair.why));
	iommu_detach_group(pair.groups[0]);
	iommu_detach_pasid(pair.devices[0], 5);
	ASSERT_OK(pair.why, iommu_attach_group(stage2, pair.groups[0], &pair.why));
	EXPECT_REFUSED(DOMAIN_INCOMPATIBLE, pair.why, iommu_attach_pasid(stage1, pair.devices[0], 5, NULL, &pair.why));
	EXPECT_SUBSTR("beside a stage 1 only", pair.why.text);
	iommu_detach_group(pair.groups[0]);
	domain_free(stage1);
	domain_free(stage2);
	pair_fini(&pair);
}

/* ---- areas ---- */

TEST(kind, areas_must_suit_the_table)
{
	struct client *client = self_client_new(getpid());
	struct domain *domain;
	struct area *area;
	struct pair pair;

	pair_init(&pair, &smmu_16k, &intel_nesting);
	ASSERT_OK(pair.why, domain_new(&pair.iommu, pair.units[0], DOMAIN_PAGING, &domain, &pair.why));
	EXPECT_REFUSED(AREA_MISALIGNED, pair.why,
		       domain_map(domain, 0x4000, 0x1000, client, 0x1000, ISOLDE_PT_READ, 0, &area, &pair.why));
	EXPECT_SUBSTR("0x4000 bytes", pair.why.text);
	ASSERT_OK(pair.why, domain_map(domain, 0x4000, 0x4000, client, 0x1000, ISOLDE_PT_READ, 0, &area, &pair.why));
	/* Frames are within what the narrowest unit can address. */
	assert_true(area->extent->node.last < BIT(48));
	domain_free(domain);
	domain = domain_of(&pair, 1, NESTING);
	area = &(struct area){.node = {0x1000, 0x1fff}, .permission = ISOLDE_PT_READ};
	area->extent = &(struct extent){.node = {BIT(30), BIT(30) + 0xfff}};
	EXPECT_REFUSED(AREA_READ_ONLY, pair.why, domain_fill(domain, area, &pair.why));
	EXPECT_SUBSTR("[0x1000, 0x1fff]", pair.why.text);
	domain_free(domain);
	client_put(client);
	pair_fini(&pair);
}

/* DMA works whatever the format. */
TEST(kind, devices_reach_memory_through_each_kind_of_table)
{
	static const struct iommu_unit *const units[] = {&intel_old, &intel, &intel_nesting, &amd,
							 &amd_v2,    &smmu,  &smmu_16k,	     &riscv};
	static u8 memory[4 * 0x4000] __attribute__((aligned(0x4000)));
	struct client *client = self_client_new(getpid());

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		struct domain *domain;
		struct area *area;
		struct pair pair;
		u8 byte = 0;

		pair_init(&pair, units[i], units[i]);
		pci_config_write(&pair.functions[0], PCI_COMMAND, 2, PCI_COMMAND_MASTER);
		ASSERT_OK(pair.why, domain_new(&pair.iommu, pair.units[0], DOMAIN_PAGING, &domain, &pair.why));
		ASSERT_OK(pair.why, iommu_attach_group(domain, pair.groups[0], &pair.why));
		ASSERT_OK(pair.why, domain_map(domain, 0x7fff0000, sizeof(memory), client, (uintptr_t)memory,
					       ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0, &area, &pair.why));
		domain_check(domain);
		memory[0x8123] = (u8)(i + 1);
		assert_int_equal(dma_read(pair.devices[0]->port, 0x7fff8123, &byte, 1), DMA_OK);
		assert_int_equal(byte, i + 1);
		assert_int_equal(dma_write(pair.devices[0]->port, 0x7fff9000, &byte, 1), DMA_OK);
		assert_int_equal(memory[0x9000], i + 1);
		domain_unmap(domain, area);
		assert_int_equal(dma_read(pair.devices[0]->port, 0x7fff8123, &byte, 1), DMA_FAULT);
		iommu_detach_group(pair.groups[0]);
		domain_free(domain);
		pair_fini(&pair);
	}
	client_put(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(kind, tables_suit_what_a_domain_is_for),
		CASE(kind, abilities_follow_from_registers),
		CASE(kind, a_unit_refuses_domains_that_its_hardware_cannot_have),
		CASE(kind, units_of_one_shape_share_domains_but_smmus_do_not),
		CASE(kind, amd_has_pasids_for_shared_addresses_only),
		CASE(kind, smmu_pasids_need_a_stage_1_everywhere),
		CASE(kind, areas_must_suit_the_table),
		CASE(kind, devices_reach_memory_through_each_kind_of_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
