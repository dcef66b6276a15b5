/* SPDX-License-Identifier: MIT */
/*
 * Random lives of two IOASes against a model: an array with one entry for each page of the first 256 KiB. The model
 * predicts each answer, each chosen IOVA, what each domain translates and how much is pinned.
 *
 * ISOLDE_ROUNDS lives of 400 steps each, from seed ISOLDE_SEED on.
 */
#include "iommufd/access.h"
#include "iommufd/ioas.h"
#include "tests/fixtures/ioas_room.h"

#define SLOTS	64 /* pages of IOVAs that are used; the first is page 0 */
#define SOURCE	48 /* pages of memory */
#define IOASES	2
#define SOURCES 256 /* maps in one life */
#define STEPS	400

enum { MISSING = -1 };

/* What one map call made: pages [first, first + count) of the memory. */
struct source {
	unsigned first, count;
	bool writable;
};

struct slot {
	int source;	/* index, or MISSING: nothing is mapped */
	unsigned page;	/* of the source */
	unsigned start; /* slot where its area begins */
	unsigned permission;
	bool reserved, allowed;
	unsigned pins; /* accesses that have this page of the area pinned */
};

struct model {
	struct slot slots[IOASES][SLOTS];
	struct source sources[SOURCES];
	unsigned nsources, ndomains[IOASES];
	bool any_allowed[IOASES];
};

struct pin {
	unsigned ioas, start, count;
	bool used;
};

struct life {
	struct iommufd_room *self;
	struct model model;
	struct access *accesses[IOASES];
	struct domain *domains[IOASES][2];
	struct pin pins[8];
	u8 *memory;
	bool present[SOURCE]; /* the program has the page mapped */
	u64 random;
};

static unsigned draw(struct life *life, unsigned below)
{
	life->random ^= life->random << 13;
	life->random ^= life->random >> 7;
	life->random ^= life->random << 17;
	return (unsigned)(life->random >> 20) % below;
}

/* ---- what the model knows ---- */

static bool any(const struct life *life, unsigned ioas, unsigned start, unsigned count,
		bool (*has)(const struct slot *))
{
	for (unsigned i = start; i < start + count && i < SLOTS; i++)
		if (has(&life->model.slots[ioas][i]))
			return true;
	return false;
}

static bool is_mapped(const struct slot *slot)
{
	return slot->source != MISSING;
}

static bool is_reserved(const struct slot *slot)
{
	return slot->reserved;
}

static bool is_allowed(const struct slot *slot)
{
	return slot->allowed;
}

static bool is_forbidden(const struct slot *slot)
{
	return !slot->allowed;
}

/* Pages of a source that an IOAS with a domain, or an access, has. */
static void find_pinned(const struct life *life, unsigned source, bool pinned[SOURCE])
{
	memset(pinned, 0, SOURCE * sizeof(pinned[0]));
	for (unsigned ioas = 0; ioas < IOASES; ioas++) {
		for (unsigned i = 0; i < SLOTS; i++) {
			const struct slot *slot = &life->model.slots[ioas][i];

			if (slot->source == (int)source && (life->model.ndomains[ioas] || slot->pins))
				pinned[slot->page] = true;
		}
	}
}

/* Would pinning these pages of the source succeed? */
static bool can_pin(const struct life *life, unsigned source, unsigned page, unsigned count)
{
	bool pinned[SOURCE];

	find_pinned(life, source, pinned);
	for (unsigned i = page; i < page + count; i++)
		if (!pinned[i] && !life->present[life->model.sources[source].first + i])
			return false;
	return true;
}

static enum why_code predict_fixed(const struct life *life, unsigned ioas, unsigned start, unsigned count)
{
	if (any(life, ioas, start, count, is_reserved))
		return WHY_IOAS_RESERVED;
	return any(life, ioas, start, count, is_mapped) ? WHY_IOVA_MAPPED : WHY_NONE;
}

/* First fit over slots; beyond them all is free. `page` is where the source begins, in pages. */
static enum why_code predict_chosen(const struct life *life, unsigned ioas, u64 page, unsigned count, unsigned *ret)
{
	u64 alignment = 1;

	while (alignment < count)
		alignment <<= 1;
	alignment = min_u64(min_u64(alignment, 512), page & -page);
	for (u64 start = alignment; start < 4 * SLOTS; start += alignment) {
		if (life->model.any_allowed[ioas] &&
		    (start + count > SLOTS || any(life, ioas, (unsigned)start, count, is_forbidden)))
			continue;
		if (predict_fixed(life, ioas, (unsigned)start, count) != WHY_NONE)
			continue;
		*ret = (unsigned)start;
		return WHY_NONE;
	}
	return WHY_IOVA_NONE_FREE;
}

/* ---- agreement ---- */

static unsigned answers[WHY_CODES]; /* how often each was given */

static void expect(struct life *life, const char *what, enum why_code predicted, long ret)
{
	enum why_code code = ret < 0 ? life->self->why.code : WHY_NONE;

	if (code != predicted)
		fail_msg("%s: %s expected, %s: %s", what, why_code_name(predicted), why_code_name(code),
			 life->self->why.text);
	answers[code]++;
}

static void compare_domain(const struct life *life, unsigned ioas, const struct domain *domain)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		const struct slot *slot = &life->model.slots[ioas][i];
		u64 physical = isolde_pt_iova_to_phys(domain->pt, i * PAGE_SIZE);
		const struct ioas_area *area = ioas_area_at(ioas_by_id(life->self, ioas + 1), i * PAGE_SIZE);

		assert_int_equal(physical != 0, is_mapped(slot));
		assert_int_equal(area != NULL, is_mapped(slot));
		if (!area)
			continue;
		assert_true(physical == area_physical(&area->area) + (u64)(i - slot->start) * PAGE_SIZE);
		assert_true(area->area.extent->address + area->area.offset + (u64)(i - slot->start) * PAGE_SIZE ==
			    (uintptr_t)life->memory +
				    (life->model.sources[slot->source].first + slot->page) * PAGE_SIZE);
	}
}

static void compare(const struct life *life)
{
	u64 total = 0;

	for (unsigned source = 0; source < life->model.nsources; source++) {
		bool pinned[SOURCE];

		find_pinned(life, source, pinned);
		for (unsigned i = 0; i < SOURCE; i++)
			total += pinned[i];
	}
	assert_int_equal(life->self->room.client->pinned_bytes, total * PAGE_SIZE);
	for (unsigned ioas = 0; ioas < IOASES; ioas++)
		for (unsigned i = 0; i < life->model.ndomains[ioas]; i++)
			compare_domain(life, ioas, life->domains[ioas][i]);
}

/* ---- steps ---- */

static void note_area(struct life *life, unsigned ioas, unsigned start, unsigned count, unsigned source, unsigned page,
		      unsigned permission)
{
	for (unsigned i = 0; i < count && start + i < SLOTS; i++) {
		struct slot *slot = &life->model.slots[ioas][start + i];

		slot->source = (int)source;
		slot->page = page + i;
		slot->start = start;
		slot->permission = permission;
	}
}

static unsigned draw_permission(struct life *life)
{
	return draw(life, 3) + 1;
}

static u32 flags_of(unsigned permission)
{
	return (permission & ISOLDE_PT_READ ? IOAS_R : 0) | (permission & ISOLDE_PT_WRITE ? IOAS_W : 0);
}

static void step_map(struct life *life)
{
	unsigned ioas = draw(life, IOASES), count = 1 + draw(life, 6), first = draw(life, SOURCE - count + 1);
	unsigned start = draw(life, SLOTS - count + 1), permission = draw_permission(life),
		 source = life->model.nsources;
	bool fixed = draw(life, 2);
	u64 address = (uintptr_t)life->memory + first * PAGE_SIZE, iova = start * PAGE_SIZE;
	enum why_code predicted = fixed ? predict_fixed(life, ioas, start, count)
					: predict_chosen(life, ioas, address / PAGE_SIZE, count, &start);
	long ret;

	if (source == SOURCES)
		return;
	life->model.sources[source] = (struct source){first, count, permission & ISOLDE_PT_WRITE};
	if (predicted == WHY_NONE && life->model.ndomains[ioas] && !can_pin(life, source, 0, count))
		predicted = WHY_CLIENT_FAULT;
	ret = ioas_map(life->self, ioas + 1, flags_of(permission) | (fixed ? FIXED : 0), (void *)(uintptr_t)address,
		       count * PAGE_SIZE, &iova);
	expect(life, "map", predicted, ret);
	if (ret < 0)
		return;
	assert_int_equal(iova, start * PAGE_SIZE);
	/* One that was chosen beyond the slots is no part of the model. */
	if (start + count > SLOTS) {
		assert_int_equal(ioas_unmap_range(life->self, ioas + 1, iova, count * PAGE_SIZE), count * PAGE_SIZE);
		return;
	}
	life->model.nsources++;
	note_area(life, ioas, start, count, source, 0, permission);
}

static enum why_code predict_copy(const struct life *life, unsigned from, unsigned from_start, unsigned count,
				  unsigned to, unsigned start, unsigned permission)
{
	const struct slot *slots = &life->model.slots[from][from_start];
	enum why_code predicted = predict_fixed(life, to, start, count);

	for (unsigned i = 0; i < count; i++)
		if (!is_mapped(&slots[i]))
			return WHY_AREA_MISSING;
	for (unsigned i = 0; predicted == WHY_NONE && i < count; i++)
		if (permission & ISOLDE_PT_WRITE && !life->model.sources[slots[i].source].writable)
			predicted = WHY_COPY_READ_ONLY;
	for (unsigned i = 0; predicted == WHY_NONE && life->model.ndomains[to] && i < count; i++)
		if (!can_pin(life, (unsigned)slots[i].source, slots[i].page, 1))
			predicted = WHY_CLIENT_FAULT;
	return predicted;
}

static void step_copy(struct life *life)
{
	unsigned from = draw(life, IOASES), to = draw(life, IOASES), count = 1 + draw(life, 6);
	unsigned from_start = draw(life, SLOTS - count + 1), start = draw(life, SLOTS - count + 1);
	unsigned permission = draw_permission(life);
	struct slot slots[6];
	u64 iova = start * PAGE_SIZE;
	long ret;

	memcpy(slots, &life->model.slots[from][from_start], count * sizeof(slots[0]));
	ret = ioas_copy(life->self, flags_of(permission) | FIXED, to + 1, &iova, from + 1, from_start * PAGE_SIZE,
			count * PAGE_SIZE);
	expect(life, "copy", predict_copy(life, from, from_start, count, to, start, permission), ret);
	for (unsigned i = 0, length; ret == 0 && i < count; i += length) {
		for (length = 1; i + length < count && slots[i + length].start == slots[i].start; length++)
			;
		note_area(life, to, start + i, length, (unsigned)slots[i].source, slots[i].page, permission);
	}
}

/* How many slots the area that begins there has. */
static unsigned area_length(const struct life *life, unsigned ioas, unsigned start)
{
	unsigned length = 1;

	while (start + length < SLOTS && is_mapped(&life->model.slots[ioas][start + length]) &&
	       life->model.slots[ioas][start + length].start == start)
		length++;
	return length;
}

static void forget_pins(struct life *life, unsigned ioas, unsigned start, unsigned count)
{
	for (unsigned i = 0; i < ARRAY_SIZE(life->pins); i++) {
		struct pin *pin = &life->pins[i];

		if (!pin->used || pin->ioas != ioas || pin->start + pin->count <= start || pin->start >= start + count)
			continue;
		access_unpin(life->accesses[ioas], pin->start * PAGE_SIZE, pin->count * PAGE_SIZE);
		for (unsigned slot = pin->start; slot < pin->start + pin->count; slot++)
			life->model.slots[ioas][slot].pins--;
		pin->used = false;
	}
}

static void step_unmap(struct life *life)
{
	unsigned ioas = draw(life, IOASES), start = draw(life, SLOTS), count = 1 + draw(life, SLOTS - start),
		 removed = 0;
	struct slot *slots = life->model.slots[ioas];
	enum why_code predicted = WHY_NONE;
	long ret;

	for (unsigned i = start; i < start + count && predicted == WHY_NONE; i++) {
		unsigned length;

		if (!is_mapped(&slots[i]))
			continue;
		length = area_length(life, ioas, slots[i].start);
		if (slots[i].start < start || slots[i].start + length > start + count) {
			predicted = WHY_AREA_STRADDLES;
			break;
		}
		removed += length;
		i += length - 1;
	}
	ret = ioas_unmap_range(life->self, ioas + 1, start * PAGE_SIZE, count * PAGE_SIZE);
	/* The callback has let go of pins in what is removed, before the model forgets it. */
	expect(life, "unmap", predicted == WHY_NONE && !removed ? WHY_AREA_MISSING : predicted, ret);
	if (ret >= 0)
		assert_int_equal(ret, removed * PAGE_SIZE);
	for (unsigned i = start, left = removed; left; i++) {
		if (!is_mapped(&slots[i]))
			continue;
		assert_int_equal(slots[i].pins, 0);
		slots[i].source = MISSING;
		left--;
	}
}

static void step_reserve(struct life *life)
{
	unsigned ioas = draw(life, IOASES), count = 1 + draw(life, 3), start = draw(life, SLOTS - count + 1);
	struct ioas *object = ioas_by_id(life->self, ioas + 1);
	enum why_code predicted = any(life, ioas, start, count, is_mapped)    ? WHY_RESERVE_MAPPED
				  : any(life, ioas, start, count, is_allowed) ? WHY_RESERVE_ALLOWED
									      : WHY_NONE;
	int err;

	if (draw(life, 4) == 0) {
		ioas_unreserve(object, life);
		for (unsigned i = 0; i < SLOTS; i++)
			life->model.slots[ioas][i].reserved = false;
		return;
	}
	err = ioas_reserve(object, start * PAGE_SIZE, (start + count) * PAGE_SIZE - 1, life, &life->self->why);
	expect(life, "reserve", predicted, err);
	for (unsigned i = start; err == 0 && i < start + count; i++)
		life->model.slots[ioas][i].reserved = true;
}

static void step_allow(struct life *life)
{
	unsigned ioas = draw(life, IOASES), count = draw(life, 3);
	struct iommu_iova_range ranges[2];
	enum why_code predicted = WHY_NONE;
	bool allowed[SLOTS] = {};
	long ret;

	for (unsigned i = 0; i < count; i++) {
		unsigned start = i * SLOTS / 2 + draw(life, SLOTS / 4), length = 1 + draw(life, SLOTS / 4);

		ranges[i] = (struct iommu_iova_range){start * PAGE_SIZE, (start + length) * PAGE_SIZE - 1};
		for (unsigned slot = start; slot < start + length; slot++) {
			allowed[slot] = true;
			if (life->model.slots[ioas][slot].reserved)
				predicted = WHY_ALLOWED_RESERVED;
		}
	}
	ret = ioas_allow(life->self, ioas + 1, ranges, count);
	expect(life, "allow", predicted, ret);
	if (ret < 0)
		return;
	life->model.any_allowed[ioas] = count > 0;
	for (unsigned i = 0; i < SLOTS; i++)
		life->model.slots[ioas][i].allowed = allowed[i];
}

static void step_domain(struct life *life)
{
	unsigned ioas = draw(life, IOASES), *count = &life->model.ndomains[ioas];
	enum why_code predicted = WHY_NONE;
	int err;

	if (*count == 2 || (*count && draw(life, 2))) {
		domain_leave(life->domains[ioas][--*count]);
		return;
	}
	for (unsigned i = 0; i < SLOTS && !*count; i++) {
		const struct slot *slot = &life->model.slots[ioas][i];

		if (is_mapped(slot) && !can_pin(life, (unsigned)slot->source, slot->page, 1))
			predicted = WHY_CLIENT_FAULT;
	}
	err = domain_try(life->self, ioas_by_id(life->self, ioas + 1), &life->domains[ioas][*count], &life->self->why);
	expect(life, "domain", predicted, err);
	*count += err == 0;
}

static enum why_code predict_pin(const struct life *life, const struct pin *pin, unsigned permission)
{
	for (unsigned i = pin->start; i < pin->start + pin->count; i++) {
		const struct slot *slot = &life->model.slots[pin->ioas][i];

		if (!is_mapped(slot))
			return WHY_AREA_MISSING;
		/* Each area's piece: permission first, then its memory. */
		if (!(slot->permission & permission))
			return WHY_ACCESS_PERMISSION;
		for (unsigned j = i;
		     j < pin->start + pin->count && is_mapped(&slot[j - i]) && slot[j - i].start == slot->start; j++)
			if (!can_pin(life, (unsigned)slot->source, slot[j - i].page, 1))
				return WHY_CLIENT_FAULT;
	}
	return WHY_NONE;
}

static void step_pin(struct life *life)
{
	struct pin *pin = &life->pins[draw(life, ARRAY_SIZE(life->pins))];
	bool write = draw(life, 2);
	int err;

	if (pin->used) {
		forget_pins(life, pin->ioas, pin->start, pin->count);
		return;
	}
	pin->ioas = draw(life, IOASES);
	pin->count = 1 + draw(life, 5);
	pin->start = draw(life, SLOTS - pin->count + 1);
	err = access_pin(life->accesses[pin->ioas], pin->start * PAGE_SIZE, pin->count * PAGE_SIZE,
			 write ? ACCESS_WRITE : ACCESS_READ, NULL, &life->self->why);
	expect(life, "pin", predict_pin(life, pin, write ? ISOLDE_PT_WRITE : ISOLDE_PT_READ), err);
	if (err < 0)
		return;
	pin->used = true;
	for (unsigned i = pin->start; i < pin->start + pin->count; i++)
		life->model.slots[pin->ioas][i].pins++;
}

/* The program unmaps a page of its memory, or maps one again. */
static void step_memory(struct life *life)
{
	unsigned page = draw(life, SOURCE);
	u8 *address = life->memory + page * PAGE_SIZE;

	if (life->present[page])
		munmap(address, PAGE_SIZE);
	else
		assert_ptr_equal(mmap(address, PAGE_SIZE, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
				 address);
	life->present[page] = !life->present[page];
}

/* ---- lives ---- */

static struct life *current;

static void unmap_0(void *data, u64 iova, u64 size)
{
	unsigned ioas = data == &current->accesses[1];

	forget_pins(current, ioas, (unsigned)(iova / PAGE_SIZE),
		    size == UINT64_MAX ? SLOTS : (unsigned)(size / PAGE_SIZE));
}

static const struct access_ops ops = {.needs_pin_pages = true, .unmap = unmap_0};

static void begin(struct life *life, u64 seed)
{
	memset(life, 0, sizeof(*life));
	current = life;
	life->random = seed * 0x9e3779b97f4a7c15 + 1;
	life->self = ioas_room_new();
	ioas_room_alloc(life->self);
	/* Below 2 MiB of alignment, so that chosen IOVAs stay small. */
	life->memory = pages_of_memory(SOURCE);
	for (unsigned ioas = 0; ioas < IOASES; ioas++) {
		for (unsigned i = 0; i < SLOTS; i++)
			life->model.slots[ioas][i].source = MISSING;
		ASSERT_OK(life->self->why, access_create(life->self->context, &ops, &life->accesses[ioas],
							 &life->accesses[ioas], &life->self->why));
		ASSERT_OK(life->self->why, access_attach(life->accesses[ioas], ioas + 1, &life->self->why));
	}
	for (unsigned i = 0; i < SOURCE; i++)
		life->present[i] = true;
}

static void finish(struct life *life)
{
	for (unsigned ioas = 0; ioas < IOASES; ioas++) {
		access_destroy(life->accesses[ioas]);
		while (life->model.ndomains[ioas])
			domain_leave(life->domains[ioas][--life->model.ndomains[ioas]]);
		ioas_unreserve(ioas_by_id(life->self, ioas + 1), life);
	}
	assert_int_equal(life->self->room.client->pinned_bytes, 0);
	munmap(life->memory, SOURCE * PAGE_SIZE);
	iommufd_room_free(life->self);
}

static void live(u64 seed)
{
	/* Maps and copies are more frequent than the rest. */
	static void (*const steps[])(struct life *) = {
		step_map,     step_map,	  step_map,    step_copy, step_copy, step_unmap,  step_unmap,
		step_reserve, step_allow, step_domain, step_pin,  step_pin,  step_memory,
	};
	static struct life life;

	begin(&life, seed);
	for (unsigned i = 0; i < STEPS; i++) {
		steps[draw(&life, ARRAY_SIZE(steps))](&life);
		iommufd_check(&life.self->iommufd);
		compare(&life);
	}
	finish(&life);
}

static u64 from_environment(const char *name, u64 otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

TEST(model, agrees_with_a_page_by_page_model)
{
	/* Every way is walked. */
	static const enum why_code expected[] = {
		WHY_NONE,	    WHY_IOAS_RESERVED,	 WHY_IOVA_MAPPED,      WHY_IOVA_NONE_FREE,
		WHY_CLIENT_FAULT,   WHY_AREA_MISSING,	 WHY_COPY_READ_ONLY,   WHY_AREA_STRADDLES,
		WHY_RESERVE_MAPPED, WHY_RESERVE_ALLOWED, WHY_ALLOWED_RESERVED, WHY_ACCESS_PERMISSION,
	};
	u64 seed = from_environment("ISOLDE_SEED", 1), rounds = from_environment("ISOLDE_ROUNDS", 40);

	for (u64 i = 0; i < rounds; i++) {
		print_message("seed %llu\r", (unsigned long long)(seed + i));
		live(seed + i);
	}
	for (size_t i = 0; rounds >= 40 && i < ARRAY_SIZE(expected); i++)
		if (answers[expected[i]] < 20)
			fail_msg("%s: %u times", why_code_name(expected[i]), answers[expected[i]]);
	print_message("%u steps succeeded\n", answers[WHY_NONE]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(model, agrees_with_a_page_by_page_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
