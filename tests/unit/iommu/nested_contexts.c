/* SPDX-License-Identifier: MIT */
/* Guests whose own tables say what each PASID is: SMMUv3's context descriptors, AMD's GCR3 tables. */
#include "tests/fixtures/guest.h"

#define DATA (GUEST_BASE + GUEST_DATA)
#define IOVA 0x12345000ull
#define HIGH 0xffffff8000001000ull /* in an upper half of 39 bits */

static struct isolde_pt *table_of(struct guest *guest, struct isolde_pt_config config, u64 iova, u64 page)
{
	struct isolde_pt *pt = guest_table(guest, config);

	assert_int_equal(isolde_pt_map(pt, iova, DATA + page * 0x10000, 0x10000, GUEST_RW, NULL), 0);
	guest->memory[GUEST_DATA + page * 0x10000] = (u8)page;
	return pt;
}

static u64 root_of(const struct isolde_pt *pt)
{
	unsigned levels;

	return isolde_pt_root(pt, &levels);
}

/* ---- SMMUv3 ---- */

#define CD_VALID  BIT(31)
#define CD_AA64	  BIT(41)
#define CD_EPD0	  BIT(14)
#define CD_EPD1	  BIT(30)
#define CD_48_BIT (16 | 5ull << 32) /* T0SZ, IPS */
#define CD_USUAL  (CD_VALID | CD_AA64 | CD_EPD1 | CD_48_BIT)

enum { ABORT = 0, BYPASS = 4, STAGE1 = 5 };

static const struct isolde_pt_config arm = {.format = ISOLDE_PT_ARM64_S1};

/* The stream table entry of a guest: what the driver makes a setup of. */
static struct nested_setup ste_setup(u64 config, u64 contexts, u64 format, u64 ssid_bits, u64 without)
{
	return (struct nested_setup){
		.format = ISOLDE_PT_ARM64_S1,
		.find = smmu_find_context,
		.words = {BIT(0) | config << 1 | format << 4 | contexts | ssid_bits << 59, without, guest_smmu.idr[0],
			  guest_smmu.idr[5]},
	};
}

static void put_cd(struct guest *guest, u64 address, u64 control, u64 asid, u64 lower, u64 upper)
{
	u8 *cd = guest_at(guest, address);

	put_u64(cd, control | asid << 48);
	put_u64(cd + 8, lower);
	put_u64(cd + 16, upper);
}

static struct domain *attach_ste(struct guest *guest, struct nested_setup setup)
{
	struct domain *nested = guest_nested(guest, &setup);

	guest_attach(guest, nested);
	return nested;
}

TEST(smmu, stream_entries_abort_bypass_or_lead_to_contexts)
{
	struct domain *nested;
	struct guest guest;
	struct nested_setup invalid = ste_setup(BYPASS, 0, 0, 0, 0);

	guest_init(&guest, &guest_smmu, 0, GUEST_FILE);
	nested = attach_ste(&guest, ste_setup(ABORT, 0, 0, 0, 0));
	guest_expect_fault(&guest, 0, DATA, DMA_READ, DMA_FAULT_BLOCKED, "blocks it");
	guest_detach(&guest, nested);
	invalid.words[0] &= ~BIT(0);
	nested = attach_ste(&guest, invalid);
	guest_expect_fault(&guest, 0, DATA, DMA_READ, DMA_FAULT_BLOCKED, "blocks it");
	guest_detach(&guest, nested);
	nested = attach_ste(&guest, ste_setup(BYPASS, 0, 0, 0, 0));
	guest.memory[GUEST_DATA] = 3;
	assert_int_equal(guest_dma_read(&guest, 0, DATA), 3);
	/* With a PASID as well: there is no table that could tell them apart. */
	assert_int_equal(guest_dma_read(&guest, 9, DATA), 3);
	guest_detach(&guest, nested);
	guest_fini(&guest);
}

/* With one context for all, or one for each PASID in one of three forms of table. */
static void check_contexts(u64 format, u64 ssid_bits)
{
	u64 leaf = format == 2 ? 1024 : 64, contexts, first, other;
	u32 pasid = ssid_bits ? (u32)BIT(ssid_bits) - 1 : 0;
	struct isolde_pt *tables[2];
	struct domain *nested;
	struct guest guest;

	guest_init(&guest, &guest_smmu, 0, GUEST_FILE);
	tables[0] = table_of(&guest, arm, IOVA & ~0xffffull, 1);
	tables[1] = table_of(&guest, arm, IOVA & ~0xffffull, 2);
	contexts = first = guest_alloc(&guest, format ? 0x4000 : (BIT(ssid_bits) + 1) * 64);
	other = contexts + pasid * 64;
	/* One that the entry does not reach. */
	if (!format)
		put_cd(&guest, other + 64, CD_USUAL, 3, root_of(tables[0]), 0);
	if (format && ssid_bits) {
		first = guest_alloc(&guest, leaf * 64);
		other = pasid < leaf ? first : guest_alloc(&guest, leaf * 64);
		first = align_up(first, 0x1000);
		put_u64(guest_at(&guest, contexts), first | 1);
		put_u64(guest_at(&guest, contexts + pasid / leaf * 8), align_up(other, 0x1000) | 1);
		other = align_up(other, 0x1000) + pasid % leaf * 64;
	}
	put_cd(&guest, other, CD_USUAL, 2, root_of(tables[1]), 0);
	put_cd(&guest, first, CD_USUAL, 1, root_of(tables[0]), 0);
	nested = attach_ste(&guest, ste_setup(STAGE1, contexts, format, ssid_bits, 2));
	assert_int_equal(guest_dma_read(&guest, 0, IOVA & ~0xffffull), 1);
	if (ssid_bits) {
		assert_int_equal(guest_dma_read(&guest, pasid, IOVA & ~0xffffull), 2);
		guest_expect_fault(&guest, pasid - 1, IOVA, DMA_READ, DMA_FAULT_CONTEXT, "no valid entry");
	}
	guest_expect_fault(&guest, pasid + 1, IOVA, DMA_READ, DMA_FAULT_CONTEXT, "no valid entry");
	guest_detach(&guest, nested);
	isolde_pt_free(tables[0]);
	isolde_pt_free(tables[1]);
	guest_fini(&guest);
}

TEST(smmu, contexts_are_found_in_each_form_of_table)
{
	check_contexts(0, 0);
	check_contexts(0, 5);
	check_contexts(1, 5);
	check_contexts(1, 8);
	check_contexts(2, 8);
	check_contexts(2, 11);
	/* Without PASIDs there is one context, whatever the form. */
	check_contexts(1, 0);
}

/* One context in a linear table of two, at contexts. */
struct scene {
	struct guest guest;
	struct isolde_pt *pt;
	struct domain *nested;
	u64 contexts;
};

static void scene_begin(struct scene *scene, u64 ssid_bits, u64 without)
{
	guest_init(&scene->guest, &guest_smmu, 0, GUEST_FILE);
	scene->pt = table_of(&scene->guest, arm, IOVA & ~0xffffull, 1);
	scene->contexts = guest_alloc(&scene->guest, BIT(ssid_bits) * 64);
	put_cd(&scene->guest, scene->contexts, CD_USUAL, 7, root_of(scene->pt), 0);
	scene->nested = attach_ste(&scene->guest, ste_setup(STAGE1, scene->contexts, 0, ssid_bits, without));
}

static void scene_finish(struct scene *scene)
{
	guest_detach(&scene->guest, scene->nested);
	isolde_pt_free(scene->pt);
	guest_fini(&scene->guest);
}

TEST(smmu, requests_without_pasid_abort_bypass_or_are_context_0)
{
	struct scene scene;

	scene_begin(&scene, 2, 0);
	guest_expect_fault(&scene.guest, 0, IOVA, DMA_READ, DMA_FAULT_BLOCKED, "blocks it");
	scene_finish(&scene);
	scene_begin(&scene, 2, 1);
	assert_int_equal(guest_dma_read(&scene.guest, 0, DATA + 0x10000), 1);
	scene_finish(&scene);
	scene_begin(&scene, 2, 2);
	assert_int_equal(guest_dma_read(&scene.guest, 0, IOVA & ~0xffffull), 1);
	scene_finish(&scene);
	scene_begin(&scene, 0, 1);
	assert_int_equal(guest_dma_read(&scene.guest, 0, IOVA & ~0xffffull), 1);
	scene_finish(&scene);
}

/* Each is wrong in one thing. */
TEST(smmu, contexts_that_hardware_would_not_take_are_faults)
{
	static const u64 controls[] = {
		CD_USUAL & ~CD_VALID, CD_USUAL & ~CD_AA64,  CD_USUAL | CD_EPD0,	 CD_USUAL - 1,
		CD_USUAL + 24,	      CD_USUAL | 3ull << 6, CD_USUAL & ~CD_EPD1, /* T1SZ is 0 */
	};

	for (size_t i = 0; i < ARRAY_SIZE(controls); i++) {
		struct scene scene;

		scene_begin(&scene, 0, 0);
		put_cd(&scene.guest, scene.contexts, controls[i], 7, root_of(scene.pt), 0);
		guest_expect_fault(&scene.guest, 0, IOVA, DMA_READ, DMA_FAULT_CONTEXT, "no valid entry");
		/* What is wrong is not kept. */
		put_cd(&scene.guest, scene.contexts, CD_USUAL, 7, root_of(scene.pt), 0);
		assert_int_equal(guest_dma_read(&scene.guest, 0, IOVA & ~0xffffull), 1);
		scene_finish(&scene);
	}
}

TEST(smmu, a_context_that_lies_nowhere_is_a_fault_of_stage_2)
{
	struct domain *nested;
	struct guest guest;

	guest_init(&guest, &guest_smmu, 0, GUEST_FILE);
	nested = attach_ste(&guest, ste_setup(STAGE1, 0x1000, 0, 0, 0));
	guest_expect_fault(&guest, 0, IOVA, DMA_READ, DMA_FAULT_SECOND_STAGE, "leads to 0x1000");
	guest_detach(&guest, nested);
	nested = attach_ste(&guest, ste_setup(STAGE1, MASK(51, 6), 0, 0, 0));
	guest_expect_fault(&guest, 0, IOVA, DMA_READ, DMA_FAULT_SECOND_STAGE, "leads to 0xfffffffffffc0");
	guest_detach(&guest, nested);
	guest_fini(&guest);
}

/* Two tables, granules and sizes; the lower one may be switched off. */
TEST(smmu, a_context_has_two_halves)
{
	const struct isolde_pt_config upper_config = {
		.format = ISOLDE_PT_ARM64_S1, .input_bits = 39, .granule = 0x4000, .half = ISOLDE_PT_UPPER};
	u64 both = CD_VALID | CD_AA64 | CD_48_BIT | 25ull << 16 | 1ull << 22; /* T1SZ, TG1: 16 KiB */
	struct isolde_pt *upper;
	struct scene scene;

	scene_begin(&scene, 0, 0);
	upper = table_of(&scene.guest, upper_config, HIGH & ~0xffffull, 2);
	put_cd(&scene.guest, scene.contexts, both, 7, root_of(scene.pt), root_of(upper));
	assert_int_equal(guest_dma_read(&scene.guest, 0, IOVA & ~0xffffull), 1);
	assert_int_equal(guest_dma_read(&scene.guest, 0, HIGH & ~0xffffull), 2);
	guest_expect_fault(&scene.guest, 0, BIT(50), DMA_READ, DMA_FAULT_ADDRESS, "beyond what");
	guest_expect_fault(&scene.guest, 0, ~BIT(50), DMA_READ, DMA_FAULT_ADDRESS, "beyond what");
	put_cd(&scene.guest, scene.contexts, both | CD_EPD0, 7, root_of(scene.pt), root_of(upper));
	nested_forget_context(scene.guest.parent, scene.guest.device, ANY_PASID);
	assert_int_equal(guest_dma_read(&scene.guest, 0, HIGH & ~0xffffull), 2);
	guest_expect_fault(&scene.guest, 0, IOVA, DMA_READ, DMA_FAULT_NOT_PRESENT, "not mapped");
	isolde_pt_free(upper);
	scene_finish(&scene);
}

TEST(smmu, tables_may_be_big_endian)
{
	struct isolde_pt_config config = arm;
	struct isolde_pt *pt;
	struct scene scene;

	scene_begin(&scene, 0, 0);
	config.memory.big_endian = true;
	pt = table_of(&scene.guest, config, IOVA & ~0xffffull, 2);
	put_cd(&scene.guest, scene.contexts, CD_USUAL | BIT(15), 7, root_of(pt), 0);
	assert_int_equal(guest_dma_read(&scene.guest, 0, IOVA & ~0xffffull), 2);
	isolde_pt_free(pt);
	scene_finish(&scene);
}

/* Hardware that updates flags does so only where the context says so. */
TEST(smmu, dirty_flags_are_written_if_the_context_says_so)
{
	const struct isolde_pt_config config = {.format = ISOLDE_PT_ARM64_S1, .features = ISOLDE_PT_DIRTY};
	u64 bitmap = 0, page = IOVA & ~0xffffull;
	struct isolde_pt *pt;
	struct scene scene;

	scene_begin(&scene, 0, 0);
	pt = table_of(&scene.guest, config, page, 2);
	assert_int_equal(isolde_pt_set_dirty(pt, true), 0);
	put_cd(&scene.guest, scene.contexts, CD_USUAL, 7, root_of(pt), 0);
	assert_int_equal(guest_dma_read(&scene.guest, 0, page), 2);
	guest_expect_fault(&scene.guest, 0, page, DMA_WRITE, DMA_FAULT_PERMISSION, "forbids it");
	put_cd(&scene.guest, scene.contexts, CD_USUAL | BIT(42) | BIT(43), 7, root_of(pt), 0);
	nested_forget_context(scene.guest.parent, scene.guest.device, 0);
	guest_dma_write(&scene.guest, 0, page, 5);
	assert_int_equal(isolde_pt_read_dirty(pt, page, 0x10000, 0x10000, 0, &bitmap, NULL), 0);
	assert_int_equal(bitmap, 1);
	isolde_pt_free(pt);
	scene_finish(&scene);
}

/* ---- what is kept of contexts ---- */

TEST(smmu, contexts_are_kept_until_the_user_invalidates)
{
	u64 page = IOVA & ~0xffffull;
	struct isolde_pt *other;
	struct scene scene;
	struct guest *guest = &scene.guest;

	scene_begin(&scene, 3, 2);
	other = table_of(guest, arm, page, 2);
	put_cd(guest, scene.contexts + 3 * 64, CD_USUAL, 8, root_of(scene.pt), 0);
	assert_int_equal(guest_dma_read(guest, 0, page), 1);
	assert_int_equal(guest_dma_read(guest, 3, page), 1);
	put_cd(guest, scene.contexts, CD_USUAL, 7, root_of(other), 0);
	put_cd(guest, scene.contexts + 3 * 64, CD_USUAL, 8, root_of(other), 0);
	/* Translations are not contexts. */
	nested_flush_asid(guest->parent, ANY_ASID, 0, UINT64_MAX);
	assert_int_equal(guest_dma_read(guest, 0, page), 1);
	assert_int_equal(guest_dma_read(guest, 3, page), 1);
	nested_forget_context(guest->parent, guest->device, 3);
	assert_int_equal(guest_dma_read(guest, 0, page), 1);
	assert_int_equal(guest_dma_read(guest, 3, page), 2);
	nested_forget_context(guest->parent, guest->device, 0);
	assert_int_equal(guest_dma_read(guest, 0, page), 2);
	isolde_pt_free(other);
	scene_finish(&scene);
}

TEST(smmu, translations_are_forgotten_by_asid)
{
	u64 page = IOVA & ~0xffffull;
	struct isolde_pt *other;
	struct scene scene;
	struct guest *guest = &scene.guest;

	scene_begin(&scene, 3, 2);
	other = table_of(guest, arm, page, 2);
	put_cd(guest, scene.contexts + 3 * 64, CD_USUAL, 8, root_of(other), 0);
	assert_int_equal(guest_dma_read(guest, 0, page), 1);
	assert_int_equal(guest_dma_read(guest, 3, page), 2);
	isolde_pt_unmap(scene.pt, page, 0x10000, NULL, NULL);
	isolde_pt_unmap(other, page, 0x10000, NULL, NULL);
	nested_flush_asid(guest->parent, 8, 0, UINT64_MAX);
	assert_int_equal(guest_dma_read(guest, 0, page), 1);
	guest_expect_fault(guest, 3, page, DMA_READ, DMA_FAULT_NOT_PRESENT, "PASID 3");
	nested_flush_device(guest->parent, guest->device, 0, page, page);
	guest_expect_fault(guest, 0, page, DMA_READ, DMA_FAULT_NOT_PRESENT, "not mapped");
	isolde_pt_free(other);
	scene_finish(&scene);
}

/* A device may use any number of them; what is known of the oldest is forgotten. */
TEST(smmu, many_pasids_take_turns)
{
	u64 page = IOVA & ~0xffffull;
	struct scene scene;

	scene_begin(&scene, 8, 2);
	for (u32 pasid = 1; pasid < 256; pasid++)
		put_cd(&scene.guest, scene.contexts + pasid * 64, CD_USUAL, pasid, root_of(scene.pt), 0);
	for (unsigned round = 0; round < 3; round++)
		for (u32 pasid = 1; pasid < 256; pasid++)
			assert_int_equal(guest_dma_read(&scene.guest, pasid, page), 1);
	assert_true(scene.guest.device->port->nguests <= 64);
	assert_int_equal(list_length(&scene.guest.device->port->guests), scene.guest.device->port->nguests);
	scene_finish(&scene);
}

/* ---- AMD ---- */

#define GIOV BIT(54)

static const struct isolde_pt_config guest_v2 = {
	.format = ISOLDE_PT_X86_64, .half = ISOLDE_PT_BOTH, .features = ISOLDE_PT_DIRTY};

static struct nested_setup dte_setup(u64 table, u64 levels, u64 flags, u64 five)
{
	return (struct nested_setup){
		.format = ISOLDE_PT_X86_64,
		.find = amd_find_context,
		.words = {BIT(0) | BIT(55) | flags | (levels - 1) << 56 | (table >> 12 & 7) << 58,
			  (table >> 15 & 0xffff) << 16 | table >> 31 << 43, five << 54},
		.uncached = true,
	};
}

/* GCR3 tables for two PASIDs, as many levels of them as that. */
static u64 gcr3_tables(struct guest *guest, unsigned levels, u32 pasid, u64 root)
{
	u64 top = guest_alloc(guest, PAGE_SIZE * 2), table;

	top = table = align_up(top, PAGE_SIZE);
	for (unsigned level = levels; --level;) {
		u64 next = align_up(guest_alloc(guest, PAGE_SIZE * 2), PAGE_SIZE);

		put_u64(guest_at(guest, table + (pasid >> 9 * level & 511) * 8), next | 1);
		table = next;
	}
	put_u64(guest_at(guest, table + (pasid & 511) * 8), root | 1);
	return top;
}

static void check_gcr3(unsigned levels, u32 pasid)
{
	struct domain *nested;
	struct isolde_pt *pt;
	struct guest guest;

	guest_init(&guest, &guest_amd, 0, GUEST_FILE);
	pt = table_of(&guest, guest_v2, 0x7fff00010000, 3);
	nested = attach_ste(&guest, dte_setup(gcr3_tables(&guest, levels, pasid, root_of(pt)), levels, GIOV, 0));
	assert_int_equal(guest_dma_read(&guest, pasid, 0x7fff00010000), 3);
	guest_expect_fault(&guest, pasid + 1, 0x7fff00010000, DMA_READ, DMA_FAULT_CONTEXT, "no valid entry");
	guest_expect_fault(&guest, 0xfffff, 0x7fff00010000, DMA_READ, DMA_FAULT_CONTEXT, "no valid entry");
	guest_detach(&guest, nested);
	isolde_pt_free(pt);
	guest_fini(&guest);
}

TEST(amd, gcr3_tables_have_up_to_three_levels)
{
	check_gcr3(1, 300);
	check_gcr3(2, 0x2f00a);
	check_gcr3(3, 0xa1234);
}

TEST(amd, requests_without_pasid_are_those_of_pasid_0_or_bypass)
{
	struct domain *nested;
	struct isolde_pt *pt;
	struct guest guest;
	u64 table;

	guest_init(&guest, &guest_amd, 0, GUEST_FILE);
	pt = table_of(&guest, guest_v2, 0x10000, 3);
	guest.memory[GUEST_DATA + 4 * 0x10000] = 4;
	/* The upper half of the table is where its highest addresses without sign are. */
	assert_int_equal(isolde_pt_map(pt, 0xffff800000010000, DATA + 4 * 0x10000, 0x10000, GUEST_RW, NULL), 0);
	table = gcr3_tables(&guest, 1, 0, root_of(pt));
	nested = attach_ste(&guest, dte_setup(table, 1, GIOV, 0));
	assert_int_equal(guest_dma_read(&guest, 0, 0x10000), 3);
	assert_int_equal(guest_dma_read(&guest, 0, 0x800000010000), 4);
	guest_expect_fault(&guest, 0, 0xffff800000010000, DMA_READ, DMA_FAULT_ADDRESS, "beyond what");
	guest_detach(&guest, nested);
	nested = attach_ste(&guest, dte_setup(table, 1, 0, 0));
	assert_int_equal(guest_dma_read(&guest, 0, DATA + 3 * 0x10000), 3);
	guest_expect_fault(&guest, 0, 0x10000, DMA_READ, DMA_FAULT_SECOND_STAGE, "leads to 0x10000");
	guest_detach(&guest, nested);
	isolde_pt_free(pt);
	guest_fini(&guest);
}

TEST(amd, an_entry_that_names_no_table_has_none)
{
	struct nested_setup setup;
	struct domain *nested;
	struct isolde_pt *pt;
	struct guest guest;

	guest_init(&guest, &guest_amd, 0, GUEST_FILE);
	pt = table_of(&guest, guest_v2, 0x10000, 3);
	setup = dte_setup(gcr3_tables(&guest, 1, 1, root_of(pt)), 1, 0, 0);
	setup.words[0] &= ~BIT(55);
	nested = attach_ste(&guest, setup);
	guest_expect_fault(&guest, 1, 0x10000, DMA_READ, DMA_FAULT_CONTEXT, "no valid entry");
	guest_detach(&guest, nested);
	isolde_pt_free(pt);
	guest_fini(&guest);
}

TEST(amd, tables_may_have_five_levels)
{
	const struct isolde_pt_config config = {
		.format = ISOLDE_PT_X86_64, .input_bits = 57, .half = ISOLDE_PT_BOTH, .features = ISOLDE_PT_DIRTY};
	struct domain *nested;
	struct isolde_pt *pt;
	struct guest guest;

	guest_init(&guest, &guest_amd, 0, GUEST_FILE);
	pt = table_of(&guest, config, BIT(55), 3);
	nested = attach_ste(&guest, dte_setup(gcr3_tables(&guest, 1, 1, root_of(pt)), 1, GIOV, 1));
	assert_int_equal(guest_dma_read(&guest, 1, BIT(55)), 3);
	guest_detach(&guest, nested);
	isolde_pt_free(pt);
	guest_fini(&guest);
}

/* Linux 7.2 gives its user no way to invalidate, so hardware that kept anything would be wrong. */
TEST(amd, nothing_is_kept)
{
	struct isolde_pt *pts[2];
	struct domain *nested;
	struct guest guest;
	u64 table;

	guest_init(&guest, &guest_amd, 0, GUEST_FILE);
	pts[0] = table_of(&guest, guest_v2, 0x10000, 3);
	pts[1] = table_of(&guest, guest_v2, 0x10000, 4);
	table = gcr3_tables(&guest, 1, 5, root_of(pts[0]));
	nested = attach_ste(&guest, dte_setup(table, 1, GIOV, 0));
	assert_int_equal(guest_dma_read(&guest, 5, 0x10000), 3);
	assert_int_equal(isolde_pt_unmap(pts[0], 0x10000, 0x10000, NULL, NULL), 0);
	guest_expect_fault(&guest, 5, 0x10000, DMA_READ, DMA_FAULT_NOT_PRESENT, "not mapped");
	put_u64(guest_at(&guest, table + 5 * 8), root_of(pts[1]) | 1);
	assert_int_equal(guest_dma_read(&guest, 5, 0x10000), 4);
	guest_detach(&guest, nested);
	isolde_pt_free(pts[0]);
	isolde_pt_free(pts[1]);
	guest_fini(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(smmu, stream_entries_abort_bypass_or_lead_to_contexts),
		CASE(smmu, contexts_are_found_in_each_form_of_table),
		CASE(smmu, requests_without_pasid_abort_bypass_or_are_context_0),
		CASE(smmu, contexts_that_hardware_would_not_take_are_faults),
		CASE(smmu, a_context_that_lies_nowhere_is_a_fault_of_stage_2),
		CASE(smmu, a_context_has_two_halves),
		CASE(smmu, tables_may_be_big_endian),
		CASE(smmu, dirty_flags_are_written_if_the_context_says_so),
		CASE(smmu, contexts_are_kept_until_the_user_invalidates),
		CASE(smmu, translations_are_forgotten_by_asid),
		CASE(smmu, many_pasids_take_turns),
		CASE(amd, gcr3_tables_have_up_to_three_levels),
		CASE(amd, requests_without_pasid_are_those_of_pasid_0_or_bypass),
		CASE(amd, an_entry_that_names_no_table_has_none),
		CASE(amd, tables_may_have_five_levels),
		CASE(amd, nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
