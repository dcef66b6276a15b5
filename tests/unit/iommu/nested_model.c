/* SPDX-License-Identifier: MIT */
/*
 * Random lives of a guest with tables of its own against a flat model: for each page of IOVAs which page of the guest
 * it is, for each page of the guest which of the host. The model predicts each DMA, each fault, and what is dirty in
 * both stages; one table for the device, one for each PASID, contexts of an SMMU, GCR3 tables of AMD.
 *
 * ISOLDE_ROUNDS lives of 600 steps for each kind, from seed ISOLDE_SEED on.
 */
#include "tests/fixtures/guest.h"

#define SLOTS	 64 /* pages of IOVAs in each context */
#define PAGES	 32 /* of the guest that are no tables */
#define FRAMES	 48 /* of the host behind them */
#define CONTEXTS 3
#define STEPS	 600
#define IOVA	 0x20000000ull
#define DATA	 (GUEST_BASE + GUEST_DATA)

enum { MISSING = -1 };

enum kind { VTD_DEVICE, VTD_PASIDS, SMMU, AMD, KINDS_OF_LIFE };

struct context {
	struct isolde_pt *pt;  /* the guest's */
	struct domain *domain; /* VT-d: its own */
	int target[SLOTS];     /* page of the guest, or MISSING */
	bool writable[SLOTS], dirty[SLOTS];
};

struct page {
	struct area area;
	bool mapped, writable, dirty;
	unsigned frame;
};

struct life {
	struct guest guest;
	enum kind kind;
	bool tracks; /* the parent does */
	struct area tables;
	struct page pages[PAGES];
	struct context contexts[CONTEXTS];
	unsigned ncontexts;
	struct domain *nested; /* of the device, where there is one for all contexts */
	u8 frames[FRAMES];
	u64 random;
};

static unsigned outcomes[8]; /* by reason + 1 */

static unsigned draw(struct life *life, unsigned below)
{
	life->random ^= life->random << 13;
	life->random ^= life->random >> 7;
	life->random ^= life->random << 17;
	return (unsigned)(life->random >> 20) % below;
}

static u32 pasid_of(const struct life *life, unsigned context)
{
	return life->kind == VTD_PASIDS ? context + 1 : context;
}

/* ---- the guest's side ---- */

/* What a guest must do after each change of its tables. */
static void invalidate(struct life *life, unsigned context, u64 start, u64 last)
{
	switch (life->kind) {
	case VTD_DEVICE:
	case VTD_PASIDS:
		nested_flush(life->contexts[context].domain, start, last);
		break;
	case SMMU:
		if (draw(life, 2))
			nested_flush_asid(life->guest.parent, context + 10, start, last);
		else
			nested_flush_device(life->guest.parent, life->guest.device, pasid_of(life, context), start,
					    last);
		break;
	default:
		break;
	}
}

static u64 iova_of(unsigned slot)
{
	return IOVA + slot * PAGE_SIZE;
}

static void step_map(struct life *life)
{
	unsigned c = draw(life, life->ncontexts), slot = draw(life, SLOTS), page = draw(life, PAGES);
	struct context *context = &life->contexts[c];
	bool writable = draw(life, 3);

	for (unsigned count = 1 + draw(life, 6); count && slot < SLOTS && page < PAGES; count--, slot++, page++) {
		if (context->target[slot] != MISSING)
			return;
		assert_int_equal(isolde_pt_map(context->pt, iova_of(slot), DATA + page * PAGE_SIZE, PAGE_SIZE,
					       writable ? GUEST_RW : ISOLDE_PT_READ, NULL),
				 0);
		context->target[slot] = (int)page;
		context->writable[slot] = writable;
		context->dirty[slot] = false;
	}
}

static void step_unmap(struct life *life)
{
	unsigned c = draw(life, life->ncontexts), first = draw(life, SLOTS), slot = first;
	struct context *context = &life->contexts[c];

	for (unsigned count = 1 + draw(life, 4); count && slot < SLOTS && context->target[slot] != MISSING; count--) {
		assert_int_equal(isolde_pt_unmap(context->pt, iova_of(slot), PAGE_SIZE, NULL, NULL), 0);
		context->target[slot++] = MISSING;
	}
	if (slot > first)
		invalidate(life, c, iova_of(first), iova_of(slot) - 1);
}

/* The guest looks which pages are dirty, and cleans them. */
static void step_clean(struct life *life)
{
	unsigned c = draw(life, life->ncontexts), slot = draw(life, SLOTS);
	struct context *context = &life->contexts[c];
	u64 bitmap = 0;

	assert_int_equal(isolde_pt_read_dirty(context->pt, iova_of(slot), PAGE_SIZE, PAGE_SIZE, 0, &bitmap, NULL), 0);
	assert_int_equal(bitmap, context->target[slot] != MISSING && context->dirty[slot]);
	context->dirty[slot] = false;
	invalidate(life, c, iova_of(slot), iova_of(slot));
}

/* ---- the host's side ---- */

static void step_area(struct life *life)
{
	struct page *page = &life->pages[draw(life, PAGES)];
	u64 address = DATA + (u64)(page - life->pages) * PAGE_SIZE;

	if (page->mapped) {
		domain_clear(life->guest.parent, &page->area);
		space_remove(&life->guest.space, &page->area);
		page->mapped = false;
		return;
	}
	page->frame = draw(life, FRAMES);
	/* VT-d's parents have no read-only areas. */
	page->writable = life->guest.parent->forces_write || draw(life, 4);
	page->dirty = false;
	page->area = (struct area){.node = {.start = address, .last = address + PAGE_SIZE - 1},
				   .extent = &life->guest.extent,
				   .offset = GUEST_DATA + page->frame * PAGE_SIZE,
				   .permission = page->writable ? GUEST_RW : ISOLDE_PT_READ};
	space_insert(&life->guest.space, &page->area);
	ASSERT_OK(life->guest.why, domain_fill(life->guest.parent, &page->area, &life->guest.why));
	page->mapped = true;
}

static void note_dirty(void *context, uint64_t start, uint64_t last)
{
	*(bool *)context = true;
}

static void step_parent_dirty(struct life *life)
{
	struct page *page = &life->pages[draw(life, PAGES)];
	u64 address = DATA + (u64)(page - life->pages) * PAGE_SIZE;
	bool found = false, clear = draw(life, 3);

	if (!life->tracks)
		return;
	domain_read_dirty(life->guest.parent, address, address, clear, note_dirty, &found);
	assert_int_equal(found, page->mapped && page->dirty);
	if (clear)
		page->dirty = false;
}

/* ---- the device's side ---- */

static int predict(struct life *life, struct context *context, unsigned slot, bool write)
{
	struct page *page;

	if (context->target[slot] == MISSING)
		return DMA_FAULT_NOT_PRESENT;
	if (write && !context->writable[slot])
		return DMA_FAULT_PERMISSION;
	/* Stage 1 is marked whatever stage 2 says then. */
	context->dirty[slot] |= write;
	page = &life->pages[context->target[slot]];
	if (!page->mapped || (write && !page->writable))
		return DMA_FAULT_SECOND_STAGE;
	page->dirty |= write;
	return GUEST_DMA_OK;
}

static void step_dma(struct life *life)
{
	unsigned c = draw(life, life->ncontexts), slot = draw(life, SLOTS);
	struct context *context = &life->contexts[c];
	bool write = draw(life, 2);
	u8 byte = (u8)draw(life, 256), got = byte;
	struct dma_fault fault;
	int expected = predict(life, context, slot, write), outcome;
	unsigned frame;

	outcome = guest_dma(&life->guest, pasid_of(life, c), iova_of(slot), &got, write ? DMA_WRITE : DMA_READ, &fault);
	if (outcome != expected)
		fail_msg("%s of slot %u of context %u: expected %d, got %d: %s", write ? "write" : "read", slot, c,
			 expected, outcome, outcome == GUEST_DMA_OK ? "no fault" : fault.text);
	outcomes[outcome == GUEST_DMA_OK ? 0 : outcome == DMA_FAULT_SECOND_STAGE ? 1 : 2]++;
	if (outcome != GUEST_DMA_OK)
		return;
	frame = life->pages[context->target[slot]].frame;
	if (write)
		life->frames[frame] = byte;
	assert_int_equal(got, life->frames[frame]);
	assert_int_equal(life->guest.memory[GUEST_DATA + frame * PAGE_SIZE], life->frames[frame]);
}

/* ---- a life ---- */

static const struct isolde_pt_config x86 = {
	.format = ISOLDE_PT_X86_64, .half = ISOLDE_PT_BOTH, .features = ISOLDE_PT_DIRTY};
static const struct isolde_pt_config arm = {.format = ISOLDE_PT_ARM64_S1, .features = ISOLDE_PT_DIRTY};

static u64 root_of(const struct isolde_pt *pt)
{
	unsigned levels;

	return isolde_pt_root(pt, &levels);
}

static void make_contexts(struct life *life)
{
	life->ncontexts = life->kind == VTD_DEVICE ? 1 : CONTEXTS;
	for (unsigned c = 0; c < life->ncontexts; c++) {
		struct context *context = &life->contexts[c];

		context->pt = guest_table(&life->guest, life->kind == SMMU ? arm : x86);
		assert_int_equal(isolde_pt_set_dirty(context->pt, true), 0);
		for (unsigned i = 0; i < SLOTS; i++)
			context->target[i] = MISSING;
	}
}

static void attach_vtd(struct life *life)
{
	for (unsigned c = 0; c < life->ncontexts; c++) {
		struct context *context = &life->contexts[c];
		struct nested_setup setup = {.format = ISOLDE_PT_X86_64, .stage1 = {.kind = STAGE1_TABLES}};

		setup.stage1.tables[0].config = x86;
		setup.stage1.tables[0].root = root_of(context->pt);
		context->domain = guest_nested(&life->guest, &setup);
		if (life->kind == VTD_DEVICE)
			guest_attach(&life->guest, context->domain);
		else
			ASSERT_OK(life->guest.why, iommu_attach_pasid(context->domain, life->guest.device, c + 1, NULL,
								      &life->guest.why));
	}
}

static struct nested_setup smmu_setup(struct life *life)
{
	u64 contexts = guest_alloc(&life->guest, 4 * 64);
	const struct nested_setup setup = {
		.format = ISOLDE_PT_ARM64_S1,
		.find = smmu_find_context,
		.words = {BIT(0) | 5 << 1 | contexts | 2ull << 59, 2, guest_smmu.idr[0], guest_smmu.idr[5]},
	};

	for (u64 c = 0; c < life->ncontexts; c++) {
		u8 *cd = guest_at(&life->guest, contexts + c * 64);

		/* Valid, 48 bits, no upper half, hardware marks pages. */
		put_u64(cd, BIT(31) | BIT(41) | BIT(30) | BIT(42) | BIT(43) | 16 | 5ull << 32 | (c + 10) << 48);
		put_u64(cd + 8, root_of(life->contexts[c].pt));
	}
	return setup;
}

static struct nested_setup amd_setup(struct life *life)
{
	u64 gcr3 = align_up(guest_alloc(&life->guest, 2 * PAGE_SIZE), PAGE_SIZE);
	const struct nested_setup setup = {
		.format = ISOLDE_PT_X86_64,
		.find = amd_find_context,
		.words = {BIT(0) | BIT(55) | BIT(54) | (gcr3 >> 12 & 7) << 58,
			  (gcr3 >> 15 & 0xffff) << 16 | gcr3 >> 31 << 43},
		.uncached = true,
	};

	for (unsigned c = 0; c < life->ncontexts; c++)
		put_u64(guest_at(&life->guest, gcr3 + c * 8), root_of(life->contexts[c].pt) | 1);
	return setup;
}

static void begin(struct life *life, enum kind kind, u64 seed)
{
	static const struct iommu_unit *const units[] = {&guest_intel, &guest_intel, &guest_smmu, &guest_amd};
	struct guest *guest = &life->guest;
	enum guest_memory memory;

	memset(life, 0, sizeof(*life));
	life->random = seed * 0x9e3779b97f4a7c15 + kind + 1;
	life->kind = kind;
	life->tracks = kind != SMMU && draw(life, 2);
	memory = draw(life, 2) ? GUEST_FILE : GUEST_OWN;
	guest_init(guest, units[kind], life->tracks ? DOMAIN_FOR_DIRTY : 0, memory);
	guest_settle(guest, memory);
	guest_unmap(guest);
	life->tables = (struct area){
		.node = {.start = GUEST_BASE, .last = DATA - 1}, .extent = &guest->extent, .permission = GUEST_RW};
	space_insert(&guest->space, &life->tables);
	ASSERT_OK(guest->why, domain_fill(guest->parent, &life->tables, &guest->why));
	if (life->tracks)
		ASSERT_OK(guest->why, domain_set_dirty(guest->parent, true, &guest->why));
	make_contexts(life);
	if (kind == SMMU || kind == AMD) {
		struct nested_setup setup = kind == SMMU ? smmu_setup(life) : amd_setup(life);

		life->nested = guest_nested(guest, &setup);
		guest_attach(guest, life->nested);
	} else {
		attach_vtd(life);
	}
}

static void finish(struct life *life)
{
	struct guest *guest = &life->guest;

	for (unsigned i = 0; i < PAGES; i++)
		if (life->pages[i].mapped) {
			domain_clear(guest->parent, &life->pages[i].area);
			space_remove(&guest->space, &life->pages[i].area);
		}
	domain_clear(guest->parent, &life->tables);
	space_remove(&guest->space, &life->tables);
	if (life->kind == VTD_PASIDS)
		for (unsigned c = 0; c < life->ncontexts; c++)
			iommu_detach_pasid(guest->device, c + 1);
	else
		iommu_detach_group(guest->group);
	domain_free(life->nested);
	for (unsigned c = 0; c < life->ncontexts; c++) {
		domain_free(life->contexts[c].domain);
		isolde_pt_free(life->contexts[c].pt);
	}
	guest_fini(guest);
}

static void live(enum kind kind, u64 seed)
{
	/* DMA more often than all else, so that the IOTLB has something to be wrong about. */
	static void (*const steps[])(struct life *) = {
		step_dma, step_dma, step_dma,	step_dma,   step_dma,  step_dma,  step_dma,
		step_map, step_map, step_unmap, step_clean, step_area, step_area, step_parent_dirty,
	};
	static struct life life;

	begin(&life, kind, seed);
	for (unsigned i = 0; i < PAGES; i++)
		step_area(&life);
	for (unsigned i = 0; i < STEPS; i++)
		steps[draw(&life, ARRAY_SIZE(steps))](&life);
	domain_check(life.guest.parent);
	finish(&life);
}

static u64 from_environment(const char *name, u64 otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

TEST(model, agrees_with_a_flat_model)
{
	u64 seed = from_environment("ISOLDE_SEED", 1), rounds = from_environment("ISOLDE_ROUNDS", 60);

	for (u64 i = 0; i < rounds; i++)
		for (enum kind kind = VTD_DEVICE; kind < KINDS_OF_LIFE; kind++) {
			print_message("seed %llu\r", (unsigned long long)(seed + i));
			live(kind, seed + i);
		}
	print_message("%u transfers, %u faults of stage 2, %u of stage 1\n", outcomes[0], outcomes[1], outcomes[2]);
	for (unsigned i = 0; rounds >= 60 && i < 3; i++)
		assert_true(outcomes[i] > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(model, agrees_with_a_flat_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
