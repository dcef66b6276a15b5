/* SPDX-License-Identifier: MIT */
/* Devices behind a guest's own tables: VT-d's first stage, one for a device or a PASID. Others: nested_contexts.c. */
#include "iommu/dma_log.h"
#include "tests/fixtures/guest.h"

#define IOVA 0x7f0000001000ull
#define DATA (GUEST_BASE + GUEST_DATA)

/* A first-stage table of the guest, and what its VMM makes of it. */
static struct isolde_pt *x86_table(struct guest *guest)
{
	return guest_table(guest, (struct isolde_pt_config){.format = ISOLDE_PT_X86_64,
							    .half = ISOLDE_PT_BOTH,
							    .features = ISOLDE_PT_DIRTY});
}

static struct nested_setup setup_of(const struct isolde_pt *pt)
{
	struct nested_setup setup = {.format = ISOLDE_PT_X86_64, .stage1 = {.kind = STAGE1_TABLES}};
	unsigned levels;

	setup.stage1.tables[0].config = (struct isolde_pt_config){
		.format = ISOLDE_PT_X86_64, .half = ISOLDE_PT_BOTH, .features = ISOLDE_PT_DIRTY};
	setup.stage1.tables[0].root = isolde_pt_root(pt, &levels);
	return setup;
}

static void map(struct isolde_pt *pt, u64 iova, u64 address, u64 size, unsigned flags)
{
	assert_int_equal(isolde_pt_map(pt, iova, address, size, flags, NULL), 0);
}

static void unmap(struct isolde_pt *pt, u64 iova, u64 size)
{
	assert_int_equal(isolde_pt_unmap(pt, iova, size, NULL, NULL), 0);
}

/* One device behind one table. */
struct scene {
	struct guest guest;
	struct isolde_pt *pt;
	struct domain *nested;
};

static void scene_begin(struct scene *scene, enum guest_memory kind, unsigned abilities)
{
	struct nested_setup setup;

	guest_init(&scene->guest, &guest_intel, abilities, kind);
	scene->pt = x86_table(&scene->guest);
	/* As a guest that cares has it: clean until hardware says otherwise. */
	assert_int_equal(isolde_pt_set_dirty(scene->pt, true), 0);
	map(scene->pt, IOVA, DATA, PAGE_SIZE, GUEST_RW);
	map(scene->pt, IOVA + PAGE_SIZE, DATA + 5 * PAGE_SIZE, PAGE_SIZE, ISOLDE_PT_READ);
	map(scene->pt, IOVA + 2 * PAGE_SIZE, GUEST_BASE + GUEST_SIZE, PAGE_SIZE, GUEST_RW);
	memcpy(scene->guest.memory + GUEST_DATA, "ab", 2);
	scene->guest.memory[GUEST_DATA + 5 * PAGE_SIZE] = 'c';
	setup = setup_of(scene->pt);
	guest_settle(&scene->guest, kind);
	scene->nested = guest_nested(&scene->guest, &setup);
	guest_attach(&scene->guest, scene->nested);
}

static void scene_finish(struct scene *scene)
{
	guest_detach(&scene->guest, scene->nested);
	isolde_pt_free(scene->pt);
	guest_fini(&scene->guest);
}

TEST(nested, devices_reach_memory_through_both_stages)
{
	for (enum guest_memory kind = GUEST_FILE; kind <= GUEST_OTHER; kind++) {
		struct scene scene;
		struct guest *guest = &scene.guest;

		scene_begin(&scene, kind, 0);
		assert_int_equal(guest_dma_read(guest, 0, IOVA + 1), 'b');
		assert_int_equal(guest_dma_read(guest, 0, IOVA + PAGE_SIZE), 'c');
		guest_dma_write(guest, 0, IOVA + 7, 'x');
		assert_int_equal(guest_dma_read(guest, 0, IOVA + 7), 'x');
		assert_int_equal(guest->child ? 0 : 'x', guest->memory[GUEST_DATA + 7]);
		guest_expect_fault(guest, 0, IOVA + PAGE_SIZE, DMA_WRITE, DMA_FAULT_PERMISSION,
				   "the user's page table forbids it");
		guest_expect_fault(guest, 0, IOVA - 1, DMA_READ, DMA_FAULT_NOT_PRESENT,
				   "not mapped in the user's page table");
		guest_expect_fault(guest, 0, BIT(60), DMA_READ, DMA_FAULT_ADDRESS, "beyond what the user's");
		guest_expect_fault(guest, 0, IOVA + 2 * PAGE_SIZE + 0x123, DMA_READ, DMA_FAULT_SECOND_STAGE,
				   "leads to 0x40800123, which the parent with 1 mappings does not allow");
		scene_finish(&scene);
	}
}

/* x86-64: bits 5 and 6 of a leaf. */
static u64 leaf_of(const struct scene *scene, u64 iova)
{
	struct isolde_pt_walk walk;

	assert_int_equal(isolde_pt_walk(scene->pt, iova, 0, &walk), ISOLDE_PT_OK);
	return walk.entry;
}

TEST(nested, hardware_marks_the_guests_entries)
{
	struct scene scene;

	/* Of another process's memory we have no view here; see the next test. */
	for (enum guest_memory kind = GUEST_FILE; kind <= GUEST_OWN; kind++) {
		scene_begin(&scene, kind, 0);
		assert_int_equal(leaf_of(&scene, IOVA) & BIT(6), 0);
		guest_dma_read(&scene.guest, 0, IOVA);
		assert_int_equal(leaf_of(&scene, IOVA) & (BIT(5) | BIT(6)), BIT(5));
		guest_dma_write(&scene.guest, 0, IOVA, 1);
		assert_int_equal(leaf_of(&scene, IOVA) & (BIT(5) | BIT(6)), BIT(5) | BIT(6));
		scene_finish(&scene);
	}
}

TEST(nested, entries_in_another_process_are_marked_there)
{
	struct scene scene;
	u64 word = 0, offset = 0;
	struct iovec local = {&word, sizeof(word)}, remote = {.iov_len = sizeof(word)};

	scene_begin(&scene, GUEST_OTHER, 0);
	/* Where the leaf is, in our copy of what was built. */
	while ((get_u64(scene.guest.memory + offset) & (MASK(51, 12) | BIT(0))) != (DATA | BIT(0)))
		offset += sizeof(word);
	remote.iov_base = scene.guest.memory + offset;
	assert_true(client_dma_read(scene.guest.client, &local, 1, &remote, 1));
	assert_int_equal(word & BIT(6), 0);
	guest_dma_write(&scene.guest, 0, IOVA, 1);
	assert_true(client_dma_read(scene.guest.client, &local, 1, &remote, 1));
	assert_int_equal(word & (MASK(51, 12) | BIT(6) | BIT(5)), DATA | BIT(6) | BIT(5));
	scene_finish(&scene);
}

/* ---- what is kept, and what is forgotten ---- */

TEST(nested, translations_are_kept_until_the_user_invalidates)
{
	struct scene scene;
	struct guest *guest = &scene.guest;

	scene_begin(&scene, GUEST_FILE, 0);
	assert_int_equal(guest_dma_read(guest, 0, IOVA), 'a');
	unmap(scene.pt, IOVA, PAGE_SIZE);
	map(scene.pt, IOVA, DATA + 5 * PAGE_SIZE, PAGE_SIZE, ISOLDE_PT_READ);
	assert_int_equal(guest_dma_read(guest, 0, IOVA), 'a');
	nested_flush(scene.nested, IOVA + PAGE_SIZE, UINT64_MAX);
	assert_int_equal(guest_dma_read(guest, 0, IOVA), 'a');
	nested_flush(scene.nested, IOVA, IOVA);
	assert_int_equal(guest_dma_read(guest, 0, IOVA), 'c');
	unmap(scene.pt, IOVA, PAGE_SIZE);
	nested_flush_asid(guest->parent, ANY_ASID, 0, UINT64_MAX);
	guest_expect_fault(guest, 0, IOVA, DMA_READ, DMA_FAULT_NOT_PRESENT, "not mapped");
	scene_finish(&scene);
}

TEST(nested, any_address_of_a_large_leaf_stands_for_all_of_it)
{
	struct scene scene;
	struct guest *guest = &scene.guest;

	scene_begin(&scene, GUEST_FILE, 0);
	map(scene.pt, BIT(30), DATA, 0x200000, ISOLDE_PT_READ);
	assert_int_equal(guest_dma_read(guest, 0, BIT(30) + 5 * PAGE_SIZE), 'c');
	unmap(scene.pt, BIT(30), 0x200000);
	nested_flush(scene.nested, BIT(30) + 0x100000, BIT(30) + 0x100fff);
	guest_expect_fault(guest, 0, BIT(30) + 5 * PAGE_SIZE, DMA_READ, DMA_FAULT_NOT_PRESENT, "not mapped");
	scene_finish(&scene);
}

TEST(nested, what_the_parent_unmaps_is_out_of_reach)
{
	struct scene scene;
	struct guest *guest = &scene.guest;

	scene_begin(&scene, GUEST_FILE, 0);
	assert_int_equal(guest_dma_read(guest, 0, IOVA), 'a');
	guest_unmap(guest);
	guest_expect_fault(guest, 0, IOVA, DMA_READ, DMA_FAULT_SECOND_STAGE, "nothing is mapped");
	guest_map(guest);
	assert_int_equal(guest_dma_read(guest, 0, IOVA), 'a');
	unmap(scene.pt, IOVA, PAGE_SIZE);
	map(scene.pt, IOVA, DATA + 5 * PAGE_SIZE, PAGE_SIZE, ISOLDE_PT_READ);
	assert_int_equal(guest_dma_read(guest, 0, IOVA), 'a');
	domain_flush(guest->parent);
	assert_int_equal(guest_dma_read(guest, 0, IOVA), 'c');
	scene_finish(&scene);
}

TEST(nested, memory_that_is_gone_is_a_fault)
{
	struct scene scene;
	struct guest *guest = &scene.guest;

	scene_begin(&scene, GUEST_OTHER, 0);
	kill(guest->child, SIGKILL);
	waitpid(guest->child, NULL, 0);
	guest->child = 0;
	guest_expect_fault(guest, 0, IOVA, DMA_READ, DMA_FAULT_MEMORY, "no longer there");
	scene_finish(&scene);
}

/* ---- PASIDs: each has a domain of its own ---- */

TEST(nested, each_pasid_has_its_own_table)
{
	struct isolde_pt *pts[2];
	struct domain *nested[2];
	struct guest guest;

	guest_init(&guest, &guest_intel, 0, GUEST_FILE);
	for (u32 i = 0; i < 2; i++) {
		struct nested_setup setup;

		pts[i] = x86_table(&guest);
		map(pts[i], IOVA, DATA + i * PAGE_SIZE, PAGE_SIZE, GUEST_RW);
		setup = setup_of(pts[i]);
		nested[i] = guest_nested(&guest, &setup);
		ASSERT_OK(guest.why, iommu_attach_pasid(nested[i], guest.device, 5 + i, NULL, &guest.why));
	}
	guest.memory[GUEST_DATA] = 1;
	guest.memory[GUEST_DATA + PAGE_SIZE] = 2;
	assert_int_equal(guest_dma_read(&guest, 5, IOVA), 1);
	assert_int_equal(guest_dma_read(&guest, 6, IOVA), 2);
	guest_expect_fault(&guest, 7, IOVA, DMA_READ, DMA_FAULT_BLOCKED, "attached to no domain");
	/* Of one domain only. */
	unmap(pts[0], IOVA, PAGE_SIZE);
	unmap(pts[1], IOVA, PAGE_SIZE);
	nested_flush(nested[0], 0, UINT64_MAX);
	guest_expect_fault(&guest, 5, IOVA, DMA_READ, DMA_FAULT_NOT_PRESENT, "PASID 5");
	assert_int_equal(guest_dma_read(&guest, 6, IOVA), 2);
	nested_flush_device(guest.parent, guest.device, 6, IOVA, IOVA);
	guest_expect_fault(&guest, 6, IOVA, DMA_READ, DMA_FAULT_NOT_PRESENT, "PASID 6");
	for (u32 i = 0; i < 2; i++) {
		iommu_detach_pasid(guest.device, 5 + i);
		domain_free(nested[i]);
		isolde_pt_free(pts[i]);
	}
	guest_fini(&guest);
}

/* ---- kinds of setup ---- */

TEST(nested, a_blocked_or_bypassed_stage_1_needs_no_table)
{
	const struct nested_setup abort_setup = {.format = ISOLDE_PT_X86_64, .stage1 = {.kind = STAGE1_ABORT}};
	const struct nested_setup bypass_setup = {.format = ISOLDE_PT_X86_64, .stage1 = {.kind = STAGE1_BYPASS}};
	struct domain *nested;
	struct guest guest;

	guest_init(&guest, &guest_intel, 0, GUEST_FILE);
	nested = guest_nested(&guest, &abort_setup);
	guest_attach(&guest, nested);
	guest_expect_fault(&guest, 0, DATA, DMA_READ, DMA_FAULT_BLOCKED, "blocks it");
	guest_detach(&guest, nested);
	nested = guest_nested(&guest, &bypass_setup);
	guest_attach(&guest, nested);
	guest.memory[GUEST_DATA] = 9;
	assert_int_equal(guest_dma_read(&guest, 0, DATA), 9);
	guest_expect_fault(&guest, 0, 0x1000, DMA_READ, DMA_FAULT_SECOND_STAGE, "leads to 0x1000");
	guest_expect_fault(&guest, 0, UINT64_MAX, DMA_READ, DMA_FAULT_SECOND_STAGE, "leads to 0xffffffffffffffff");
	guest_unmap(&guest);
	guest_expect_fault(&guest, 0, DATA, DMA_READ, DMA_FAULT_SECOND_STAGE, "nothing is mapped");
	guest_detach(&guest, nested);
	guest_fini(&guest);
}

/* Whatever a user says of it, only its own requests suffer. */
TEST(nested, a_root_that_cannot_be_is_a_fault)
{
	static const u64 roots[] = {GUEST_BASE + 8, BIT(62), GUEST_BASE + GUEST_SIZE, 0};
	static const enum dma_fault_reason reasons[] = {DMA_FAULT_CONTEXT, DMA_FAULT_SECOND_STAGE,
							DMA_FAULT_SECOND_STAGE, DMA_FAULT_SECOND_STAGE};
	struct scene scene;

	scene_begin(&scene, GUEST_FILE, 0);
	for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
		struct nested_setup setup = setup_of(scene.pt);

		guest_detach(&scene.guest, scene.nested);
		setup.stage1.tables[0].root = roots[i];
		scene.nested = guest_nested(&scene.guest, &setup);
		guest_attach(&scene.guest, scene.nested);
		guest_expect_fault(&scene.guest, 0, IOVA, DMA_READ, reasons[i], "the user's table");
	}
	scene_finish(&scene);
}

/* ---- dirty tracking of the parent ---- */

static void count_pages(void *context, uint64_t start, uint64_t last)
{
	u64 *pages = context;

	*pages += (last - start + 1) / PAGE_SIZE;
}

static u64 dirty_pages(struct guest *guest, u64 start, u64 last)
{
	u64 pages = 0;

	domain_read_dirty(guest->parent, start, last, true, count_pages, &pages);
	return pages;
}

TEST(nested, the_parent_sees_what_was_written_through_it)
{
	struct scene scene;
	struct guest *guest = &scene.guest;

	scene_begin(&scene, GUEST_FILE, DOMAIN_FOR_DIRTY);
	guest_unmap(guest);
	guest->space.small_leaves = true;
	guest_map(guest);
	ASSERT_OK(guest->why, domain_set_dirty(guest->parent, true, &guest->why));
	guest_dma_read(guest, 0, IOVA + PAGE_SIZE);
	assert_int_equal(dirty_pages(guest, 0, UINT64_MAX), 0);
	for (unsigned i = 0; i < 3; i++) {
		guest_dma_read(guest, 0, IOVA);
		guest_dma_write(guest, 0, IOVA, 1);
		assert_int_equal(dirty_pages(guest, DATA, DATA + 0x3fffff), 1);
		/* And the page of the entry that was marked as dirty itself. */
		assert_int_equal(dirty_pages(guest, GUEST_BASE, DATA - 1), i == 0);
	}
	assert_int_equal(dirty_pages(guest, DATA, DATA + 0x3fffff), 0);
	scene_finish(&scene);
}

/* ---- tables that change under a transfer ---- */

/* More pages than one batch of pieces, and than the IOTLB has places for. */
enum { LONG_PAGES = 400, BATCH_PAGES = 128 };

#define LONG_IOVA 0x7f0000200000ull

static u64 long_page(unsigned i)
{
	return DATA + 2ull * i * PAGE_SIZE;
}

/* The first page of the range is the table that maps the range; the others follow nobody. The table's address. */
static u64 map_long(struct scene *scene)
{
	u64 table;

	map(scene->pt, LONG_IOVA + PAGE_SIZE, long_page(1), PAGE_SIZE, GUEST_RW);
	table = GUEST_BASE + scene->guest.tables - PAGE_SIZE;
	assert_true(guest_word(&scene->guest, table + 8) & 1);
	map(scene->pt, LONG_IOVA, table, PAGE_SIZE, GUEST_RW);
	for (unsigned i = 2; i < LONG_PAGES; i++)
		map(scene->pt, LONG_IOVA + i * PAGE_SIZE, long_page(i), PAGE_SIZE, GUEST_RW);
	return table;
}

static void note_first(void *context, u64 start, u64 last)
{
	u64 *first = context;

	*first = min_u64(*first, start);
}

/* With what the device writes first it takes away the translations of the rest: the transfer ends there. */
TEST(nested, what_a_transfer_takes_away_from_itself_is_a_fault)
{
	const struct dma_log_range range = {LONG_IOVA, LONG_IOVA + LONG_PAGES * PAGE_SIZE - 1};
	u8 *bytes = malloc(LONG_PAGES * PAGE_SIZE);
	const struct dma_segment segment = {LONG_IOVA, bytes, LONG_PAGES * PAGE_SIZE};
	u64 table, written = UINT64_MAX;
	struct dma_log *log = NULL;
	struct dma_fault fault;
	struct scene scene;
	struct guest *guest = &scene.guest;

	scene_begin(&scene, GUEST_FILE, 0);
	table = map_long(&scene);
	ASSERT_OK(guest->why, dma_log_new(&range, 1, PAGE_SHIFT, &log, &guest->why));
	dma_port_set_log(guest->device->port, log);
	memset(bytes, 0, PAGE_SIZE);
	memset(bytes + PAGE_SIZE, 'x', (LONG_PAGES - 1) * PAGE_SIZE);
	assert_int_equal(dma_request(guest->device->port, 0, &segment, 1, DMA_WRITE, &fault), DMA_FAULT);
	assert_int_equal(fault.reason, DMA_FAULT_NOT_PRESENT);
	/* The page that the first batch had no room for is known since then. */
	assert_true(fault.iova == LONG_IOVA + (BATCH_PAGES + 1) * PAGE_SIZE);
	assert_int_equal(guest_word(guest, table + 8), 0);
	assert_int_equal(*(u8 *)guest_at(guest, long_page(BATCH_PAGES - 1)), 'x');
	assert_int_equal(*(u8 *)guest_at(guest, long_page(BATCH_PAGES)), 0);
	dma_port_set_log(guest->device->port, NULL);
	dma_log_read(log, range.start, range.last, note_first, &written);
	assert_true(written == LONG_IOVA);
	dma_log_free(log);
	free(bytes);
	scene_finish(&scene);
}

/* ---- making one ---- */

static struct guest *swept;

static int make_nested(struct why *why)
{
	const struct nested_setup setup = {.format = ISOLDE_PT_X86_64};
	struct domain *nested = NULL;
	int err = domain_new_nested(swept->parent, &setup, &nested, why);

	assert_int_equal(swept->parent->users, err == 0);
	if (err == 0) {
		err = iommu_attach_group(nested, swept->group, why);
		if (err == 0)
			iommu_detach_group(swept->group);
	}
	domain_free(nested);
	assert_int_equal(swept->parent->users, 0);
	assert_true(list_empty(&swept->parent->children));
	return err;
}

TEST(nested, failures_to_make_one_leave_nothing_behind)
{
	struct guest guest;

	guest_init(&guest, &guest_intel, 0, GUEST_FILE);
	swept = &guest;
	SWEEP_FAILURES(make_nested);
	guest_fini(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(nested, devices_reach_memory_through_both_stages),
		CASE(nested, hardware_marks_the_guests_entries),
		CASE(nested, entries_in_another_process_are_marked_there),
		CASE(nested, translations_are_kept_until_the_user_invalidates),
		CASE(nested, any_address_of_a_large_leaf_stands_for_all_of_it),
		CASE(nested, what_the_parent_unmaps_is_out_of_reach),
		CASE(nested, memory_that_is_gone_is_a_fault),
		CASE(nested, each_pasid_has_its_own_table),
		CASE(nested, a_blocked_or_bypassed_stage_1_needs_no_table),
		CASE(nested, a_root_that_cannot_be_is_a_fault),
		CASE(nested, the_parent_sees_what_was_written_through_it),
		CASE(nested, what_a_transfer_takes_away_from_itself_is_a_fault),
		CASE(nested, failures_to_make_one_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
