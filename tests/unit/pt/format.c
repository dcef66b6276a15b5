/* SPDX-License-Identifier: MIT */
/*
 * The contract of isolde/pt.h, for one format at a time: compiled once for each row of tests/fixtures/pt_configs.h,
 * with -DCONFIG=row. The model is a flat array of pages, which knows of leaves only that the largest that fits is used.
 *
 * ISOLDE_PT_OPERATIONS says how many random operations; .ci/run asks for ten million in the release build.
 */
#include "tests/helpers.h"

#include <errno.h>

#include "isolde/pt.h"
#include "tests/fixtures/pt_configs.h"

#define PASTE_(a, b) a##b
#define PASTE(a, b)  PASTE_(a, b)

static const struct pt_case *config(void)
{
	return &pt_cases[PASTE(PT_CASE_, CONFIG)];
}

/* ---- the model ---- */

enum { UNITS = 2048, WINDOWS = 2 };

/* A stretch of IOVAs, in units of pages or, so that the largest leaves appear, of what one entry of level 1 maps. */
struct window {
	u64 base, unit;
	u64 physical[UNITS]; /* 0: hole */
	u8 leaf[UNITS];	     /* log2 of the leaf's size */
	u8 flags[UNITS];
};

struct model {
	struct pt_arena arena;
	struct isolde_pt *pt;
	struct window window[WINDOWS];
	struct isolde_pt_gather gather;
	u64 random;
	u64 page;
	unsigned long changes; /* maps and unmaps that succeeded */
	unsigned level_bits;
};

static u64 next_random(struct model *m)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return m->random;
}

static u64 below(struct model *m, u64 limit)
{
	return next_random(m) % limit;
}

static struct model *model_new(void)
{
	struct model *m = calloc(1, sizeof(*m));
	u64 large;

	assert_int_equal(pt_case_new(config(), &m->arena, &m->pt), 0);
	m->random = 0x15011de15011deull;
	m->gather = (struct isolde_pt_gather)ISOLDE_PT_GATHER_INIT;
	m->page = isolde_pt_page_sizes(m->pt) & -isolde_pt_page_sizes(m->pt);
	m->level_bits = (unsigned)__builtin_ctzll(m->page) - 3;
	large = m->page << m->level_bits;
	/* One at the lowest IOVAs; one at the highest, straddling the borders of tables. */
	m->window[0].unit = m->page;
	m->window[0].base = isolde_pt_last_iova(m->pt) + 1 - UNITS * m->page - large / 2;
	m->window[1].unit = large;
	m->window[1].base = isolde_pt_first_iova(m->pt);
	return m;
}

static void model_free(struct model *m)
{
	isolde_pt_gather_drain(m->pt, &m->gather);
	isolde_pt_free(m->pt);
	pt_arena_fini(&m->arena);
	free(m);
}

static u64 iova_of(const struct window *w, u64 unit)
{
	return w->base + unit * w->unit;
}

/* The largest leaf that begins here and fits, by trying all. */
static unsigned largest_leaf(const struct model *m, u64 iova, u64 physical, u64 left)
{
	u64 sizes = isolde_pt_page_sizes(m->pt);
	unsigned best = 0;

	for (unsigned shift = 0; shift < 64; shift++)
		if (sizes >> shift & 1 && left >> shift && is_aligned(iova | physical, BIT(shift)))
			best = shift;
	return best;
}

static void model_map(struct model *m, struct window *w, u64 first, u64 count, u64 physical, unsigned flags)
{
	u64 n = 0;

	while (n < count) {
		unsigned shift = largest_leaf(m, iova_of(w, first + n), physical + n * w->unit, (count - n) * w->unit);

		assert_true(BIT(shift) >= w->unit);
		for (u64 units = BIT(shift) / w->unit; units; units--, n++) {
			w->physical[first + n] = physical + n * w->unit;
			w->leaf[first + n] = (u8)shift;
			w->flags[first + n] = (u8)flags;
		}
	}
}

static bool inside_leaf(const struct window *w, u64 unit)
{
	return !is_aligned(iova_of(w, unit), BIT(w->leaf[unit]));
}

/* What unmap owes for this range; *ret_count is how many units go. */
static int model_unmap(struct window *w, u64 first, u64 count, u64 *ret_count)
{
	if (w->physical[first] && inside_leaf(w, first))
		return -EINVAL;
	for (u64 i = first; i < first + count; i++)
		if (!w->physical[i])
			return -ENOENT;
	while (first + count < UNITS && w->physical[first + count] && inside_leaf(w, first + count))
		count++;
	memset(&w->physical[first], 0, count * sizeof(w->physical[0]));
	*ret_count = count;
	return 0;
}

/* ---- operations ---- */

static unsigned random_flags(struct model *m)
{
	for (;;) {
		unsigned flags = (unsigned)next_random(m) & isolde_pt_flags(m->pt);

		if (flags & (ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_EXECUTE) &&
		    (flags & (ISOLDE_PT_UNCACHED | ISOLDE_PT_DEVICE)) != (ISOLDE_PT_UNCACHED | ISOLDE_PT_DEVICE))
			return flags;
	}
}

/* Half of them congruent with the IOVA, so that large leaves appear; never 0, which the model takes for a hole. */
static u64 random_physical(struct model *m, const struct window *w, u64 iova)
{
	u64 output = BIT(config()->output_bits - 2);

	if (below(m, 2))
		return output | ((iova & (output / 2 - 1)) + (below(m, 4) ? 0 : w->unit << below(m, 8)));
	return output | (below(m, output / 2 / w->unit) * w->unit);
}

static void unmap_and_compare(struct model *m, struct window *w, u64 first, u64 count)
{
	u64 removed = 0, expected = 0;
	int err = model_unmap(w, first, count, &expected);

	assert_int_equal(
		isolde_pt_unmap(m->pt, iova_of(w, first), count * w->unit, below(m, 2) ? &m->gather : NULL, &removed),
		err);
	assert_int_equal(removed, expected * w->unit);
	m->changes += err == 0;
}

/* Units from first on, at most limit, that are mapped without a hole. */
static u64 mapped_units(const struct window *w, u64 first, u64 limit)
{
	u64 count = 0;

	while (count < limit && first + count < UNITS && w->physical[first + count])
		count++;
	return count;
}

/* Everything in the way goes. */
static void clear_range(struct model *m, struct window *w, u64 first, u64 count)
{
	u64 last = first + count - 1;

	while (w->physical[first] && inside_leaf(w, first))
		first--;
	for (; first <= last; first++)
		if (w->physical[first])
			unmap_and_compare(m, w, first, mapped_units(w, first, last - first + 1));
}

static void random_map(struct model *m, struct window *w, u64 first, u64 count)
{
	u64 iova = iova_of(w, first), physical = random_physical(m, w, iova);
	unsigned flags = random_flags(m);
	int expected = 0;

	if (below(m, 2))
		clear_range(m, w, first, count);
	for (u64 i = first; i < first + count; i++)
		if (w->physical[i])
			expected = -EADDRINUSE;
	assert_int_equal(isolde_pt_map(m->pt, iova, physical, count * w->unit, flags, below(m, 2) ? &m->gather : NULL),
			 expected);
	m->changes += expected == 0;
	if (expected == 0)
		model_map(m, w, first, count, physical, flags);
}

static void random_unmap(struct model *m, struct window *w, u64 first, u64 count)
{
	/* Most of the time, what a user does: the whole of something. */
	if (below(m, 4) && w->physical[first]) {
		while (inside_leaf(w, first))
			first--;
		count = mapped_units(w, first, count);
	}
	unmap_and_compare(m, w, first, count);
}

/* ---- agreement ---- */

static unsigned granted(u8 flags, unsigned access)
{
	const unsigned permissions = ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_EXECUTE;
	unsigned grants = flags & permissions;

	if (!config()->write_only && grants & ISOLDE_PT_WRITE)
		grants |= ISOLDE_PT_READ;
	if (config()->always_readable)
		grants |= ISOLDE_PT_READ;
	if (!config()->executes && grants & ISOLDE_PT_READ)
		grants |= ISOLDE_PT_EXECUTE;
	return flags & ISOLDE_PT_PRIVILEGED && !(access & ISOLDE_PT_PRIVILEGED) ? 0 : grants;
}

static void compare_unit(struct model *m, struct window *w, u64 unit, unsigned access)
{
	u64 offset = below(m, w->unit), iova = iova_of(w, unit) + offset;
	struct isolde_pt_walk walk;
	enum isolde_pt_fault fault;

	if (access & ISOLDE_PT_PRIVILEGED)
		access &= ~(unsigned)ISOLDE_PT_EXECUTE;
	fault = isolde_pt_walk(m->pt, iova, access, &walk);
	assert_int_equal(walk.address, iova);
	if (!w->physical[unit]) {
		assert_int_equal(fault, ISOLDE_PT_NOT_PRESENT);
		assert_int_equal(isolde_pt_iova_to_phys(m->pt, iova), 0);
		return;
	}
	assert_int_equal(isolde_pt_iova_to_phys(m->pt, iova), w->physical[unit] + offset);
	if (access & ~granted(w->flags[unit], access) & ~(unsigned)ISOLDE_PT_PRIVILEGED) {
		assert_int_equal(fault, ISOLDE_PT_PERMISSION);
		assert_int_equal(walk.leaf_size, 0);
		return;
	}
	assert_int_equal(fault, ISOLDE_PT_OK);
	assert_int_equal(walk.physical, w->physical[unit] + offset);
	assert_int_equal(walk.leaf_size, BIT(w->leaf[unit]));
}

static void compare_all(struct model *m)
{
	for (unsigned n = 0; n < WINDOWS; n++)
		for (u64 unit = 0; unit < UNITS; unit++)
			compare_unit(m, &m->window[n], unit, 0);
}

/* Tables the format requires for what is mapped: those with at least one leaf below, and the root. */
static size_t tables_required(const struct model *m)
{
	unsigned levels, shift = (unsigned)__builtin_ctzll(m->page);
	size_t tables = 0;

	isolde_pt_root(m->pt, &levels);
	for (unsigned level = 0; level + 1 < levels; level++) {
		unsigned low = shift + m->level_bits * level, high = low + m->level_bits;
		u64 previous = ~0ull;

		for (unsigned n = 0; n < 2 * UNITS; n++) {
			/* In order of IOVAs, so that equal tables are neighbours. */
			bool second = (m->window[0].base < m->window[1].base) == (n < UNITS);
			const struct window *w = &m->window[second ? 0 : 1];
			u64 table = iova_of(w, n % UNITS) >> high;

			if (w->physical[n % UNITS] && w->leaf[n % UNITS] < high && table != previous) {
				tables++;
				previous = table;
			}
		}
	}
	return tables;
}

static void trim_all(struct model *m)
{
	for (unsigned n = 0; n < WINDOWS; n++)
		isolde_pt_trim(m->pt, m->window[n].base, UNITS * m->window[n].unit, NULL);
}

static unsigned long operations(void)
{
	const char *wanted = getenv("ISOLDE_PT_OPERATIONS");

	return wanted ? strtoul(wanted, NULL, 10) : UNDER_TSAN ? 20000 : 200000;
}

static void random_step(struct model *m)
{
	struct window *w = &m->window[below(m, 4) == 0];
	u64 first = below(m, UNITS), exponent = below(m, below(m, 16) ? 6 : 12);
	u64 count = min_u64(UNITS - first, 1 + below(m, 1ull << exponent));

	/* Large leaves want an aligned start. */
	if (below(m, 2))
		first = align_down(first, 1ull << exponent);
	if (below(m, 3))
		random_map(m, w, first, count);
	else
		random_unmap(m, w, first, count);
	compare_unit(m, w, first, (unsigned)next_random(m) & 15);
	compare_unit(m, w, below(m, UNITS), (unsigned)next_random(m) & 15);
}

TEST(format, random_operations_agree_with_a_flat_model)
{
	struct model *m = model_new();
	size_t root = isolde_pt_memory(m->pt), roots;
	unsigned long steps = operations();

	for (unsigned long step = 0; step < steps; step++) {
		random_step(m);
		if (step % 4096 == 0) {
			isolde_pt_gather_drain(m->pt, &m->gather);
			isolde_pt_check(m->pt);
		}
		if (step % 16384 == 0) {
			compare_all(m);
			trim_all(m);
			roots = config()->config.features & ISOLDE_PT_GROW ? m->page : root;
			assert_int_equal(isolde_pt_memory(m->pt), roots + tables_required(m) * m->page);
		}
	}
	/* Had nearly all been refused, this would have proved little. */
	assert_true(m->changes > steps / 4);
	isolde_pt_check(m->pt);
	model_free(m);
}

/* ---- dirty pages ---- */

/* What was written, by unit: the whole leaf at once. */
static void write_somewhere(struct model *m, struct window *w, bool *dirty)
{
	u64 unit = below(m, UNITS), iova = iova_of(w, unit) + below(m, w->unit), leaf;
	unsigned access = ISOLDE_PT_PRIVILEGED | (below(m, 2) ? ISOLDE_PT_WRITE : ISOLDE_PT_READ);
	struct isolde_pt_walk walk;

	if (isolde_pt_walk(m->pt, iova, access, &walk) != ISOLDE_PT_OK || !(access & ISOLDE_PT_WRITE))
		return;
	leaf = align_down(iova, walk.leaf_size);
	for (u64 i = 0; i < UNITS; i++)
		dirty[i] |= iova_of(w, i) - leaf < walk.leaf_size;
}

static bool any_dirty(const struct window *w, const bool *dirty, u64 iova, u64 size)
{
	for (u64 i = 0; i < UNITS; i++)
		if (dirty[i] && iova_of(w, i) < iova + size && iova < iova_of(w, i) + w->unit)
			return true;
	return false;
}

/* Leaves that the range has whole. */
static void forget_dirty(const struct window *w, bool *dirty, u64 first, u64 count)
{
	for (u64 i = first; i < first + count; i++) {
		u64 size = BIT(w->leaf[i]), leaf = align_down(iova_of(w, i), size);

		if (w->physical[i] && leaf >= iova_of(w, first) && leaf + size - 1 <= iova_of(w, first + count) - 1)
			dirty[i] = false;
	}
}

/* Bits of what a visit tells, made with more care than speed. */
struct visited {
	u64 start, size, before; /* the range, its pages; where the next leaf begins at least */
	u64 bitmap[2];
};

static void note_visit(void *context, uint64_t start, uint64_t last)
{
	struct visited *v = context;

	assert_true(start >= v->before && last >= start);
	for (u64 n = (start - v->start) / v->size; n <= (last - v->start) / v->size; n++)
		v->bitmap[n / 64] |= BIT(n % 64);
	v->before = last + 1;
}

static void read_and_compare(struct model *m, struct window *w, bool *dirty)
{
	unsigned coarse = (unsigned)below(m, 4);
	u64 size = w->unit << coarse, first = align_down(below(m, UNITS), 1u << coarse);
	u64 pages = 1 + below(m, min_u64((UNITS - first) >> coarse, 90));
	u64 bitmap[2] = {BIT(63), 0};
	unsigned flags = below(m, 2) ? ISOLDE_PT_NO_CLEAR : 0;
	bool visits = below(m, 2);
	struct visited v = {.start = iova_of(w, first), .size = size};

	if (!is_aligned(iova_of(w, first), size))
		return;
	/* One clears, the other looks before. */
	assert_int_equal(isolde_pt_visit_dirty(m->pt, iova_of(w, first), pages * size,
					       visits ? flags : ISOLDE_PT_NO_CLEAR, note_visit, &v, &m->gather),
			 0);
	if (visits)
		bitmap[0] |= v.bitmap[0], bitmap[1] = v.bitmap[1];
	else
		assert_int_equal(
			isolde_pt_read_dirty(m->pt, iova_of(w, first), pages * size, size, flags, bitmap, &m->gather),
			0);
	for (u64 n = 0; n < 128; n++) {
		bool expected = n < pages && any_dirty(w, dirty, iova_of(w, first) + n * size, size);

		assert_int_equal(v.bitmap[n / 64] >> n % 64 & 1, expected);
		assert_int_equal(bitmap[n / 64] >> n % 64 & 1, expected || n == 63);
	}
	if (!flags)
		forget_dirty(w, dirty, first, pages << coarse);
}

TEST(format, dirty_pages_agree_with_what_was_written)
{
	struct model *m = model_new();
	bool dirty[WINDOWS][UNITS] = {{false}};
	u64 bitmap = 0;

	if (!(config()->config.features & ISOLDE_PT_DIRTY)) {
		assert_int_equal(isolde_pt_set_dirty(m->pt, true), -EOPNOTSUPP);
		assert_int_equal(isolde_pt_read_dirty(m->pt, 0, m->page, m->page, 0, &bitmap, NULL), -EOPNOTSUPP);
		assert_int_equal(isolde_pt_visit_dirty(m->pt, 0, m->page, 0, note_visit, NULL, NULL), -EOPNOTSUPP);
		model_free(m);
		return;
	}
	assert_int_equal(isolde_pt_read_dirty(m->pt, 0, m->page, m->page, 0, &bitmap, NULL), -EINVAL);
	for (unsigned step = 0; step < 2000; step++)
		random_step(m);
	for (unsigned step = 0; step < 500; step++)
		write_somewhere(m, &m->window[step % WINDOWS], dirty[step % WINDOWS]);
	/* What was written before is forgotten. */
	assert_int_equal(isolde_pt_set_dirty(m->pt, true), 0);
	memset(dirty, 0, sizeof(dirty));
	for (unsigned step = 0; step < 3000; step++) {
		unsigned n = (unsigned)below(m, WINDOWS);

		write_somewhere(m, &m->window[n], dirty[n]);
		if (step % 8 == 0)
			read_and_compare(m, &m->window[n], dirty[n]);
	}
	isolde_pt_check(m->pt);
	model_free(m);
}

TEST(format, leaves_mapped_while_tracking_are_clean)
{
	struct model *m = model_new();
	u64 bitmap = 0, iova = m->window[1].base;
	struct isolde_pt_walk walk;

	if (config()->config.features & ISOLDE_PT_DIRTY) {
		assert_int_equal(isolde_pt_set_dirty(m->pt, true), 0);
		assert_int_equal(
			isolde_pt_map(m->pt, iova, m->page, 64 * m->page, ISOLDE_PT_READ | ISOLDE_PT_WRITE, NULL), 0);
		assert_int_equal(isolde_pt_read_dirty(m->pt, iova, 64 * m->page, m->page, 0, &bitmap, NULL), 0);
		assert_int_equal(bitmap, 0);
		assert_int_equal(isolde_pt_walk(m->pt, iova + 63 * m->page, ISOLDE_PT_WRITE, &walk), ISOLDE_PT_OK);
		assert_int_equal(isolde_pt_read_dirty(m->pt, iova, 64 * m->page, m->page, 0, &bitmap, NULL), 0);
		assert_true(bitmap & BIT(63));
		/* The last page's leaf is the one that was written, whatever its size. */
		assert_int_equal(__builtin_popcountll(bitmap), walk.leaf_size / m->page);
	}
	model_free(m);
}

/* ---- misuse ---- */

TEST(format, misuse_is_refused_and_changes_nothing)
{
	struct model *m = model_new();
	const unsigned rw = ISOLDE_PT_READ | ISOLDE_PT_WRITE;
	u64 page = m->page, at = m->window[1].base, beyond = BIT(config()->output_bits), removed = 7;
	u64 last = isolde_pt_last_iova(m->pt);
	size_t memory;

	assert_int_equal(isolde_pt_map(m->pt, at + page, page, 4 * page, rw, NULL), 0);
	memory = isolde_pt_memory(m->pt);
	assert_int_equal(isolde_pt_map(m->pt, at + 1, page, page, rw, NULL), -EINVAL);
	assert_int_equal(isolde_pt_map(m->pt, at + page / 2, page, page, rw, NULL), -EINVAL);
	assert_int_equal(isolde_pt_map(m->pt, at, page / 2, page, rw, NULL), -EINVAL);
	assert_int_equal(isolde_pt_map(m->pt, at, page, page / 2, rw, NULL), -EINVAL);
	assert_int_equal(isolde_pt_map(m->pt, at, page, 0, rw, NULL), -EINVAL);
	assert_int_equal(isolde_pt_map(m->pt, at, page, page, 0, NULL), -EINVAL);
	assert_int_equal(isolde_pt_map(m->pt, at, page, page, ISOLDE_PT_PRIVILEGED, NULL), -EINVAL);
	assert_int_equal(isolde_pt_map(m->pt, at, page, page, rw | 1 << 7, NULL), -EINVAL);
	assert_int_equal(isolde_pt_map(m->pt, at, page, page, rw | ISOLDE_PT_UNCACHED | ISOLDE_PT_DEVICE, NULL),
			 -EINVAL);
	assert_int_equal(isolde_pt_map(m->pt, at, beyond, page, rw, NULL), -ERANGE);
	assert_int_equal(isolde_pt_map(m->pt, at, beyond - page, 2 * page, rw, NULL), -ERANGE);
	if (last != ~0ull) {
		assert_int_equal(isolde_pt_map(m->pt, last + 1, page, page, rw, NULL), -ERANGE);
		assert_int_equal(isolde_pt_unmap(m->pt, last + 1, page, NULL, &removed), -ERANGE);
	}
	assert_int_equal(isolde_pt_map(m->pt, last + 1 - page, page, 2 * page, rw, NULL), -ERANGE);
	assert_int_equal(isolde_pt_map(m->pt, at + 4 * page, 9 * page, 4 * page, rw, NULL), -EADDRINUSE);
	assert_int_equal(isolde_pt_map(m->pt, at, 9 * page, 2 * page, rw, NULL), -EADDRINUSE);
	assert_int_equal(isolde_pt_unmap(m->pt, at + page, 0, NULL, &removed), -EINVAL);
	assert_int_equal(isolde_pt_unmap(m->pt, at + page + 8, page, NULL, &removed), -EINVAL);
	assert_int_equal(isolde_pt_unmap(m->pt, at + page, page + 8, NULL, &removed), -EINVAL);
	assert_int_equal(isolde_pt_unmap(m->pt, at, page, NULL, &removed), -ENOENT);
	assert_int_equal(isolde_pt_unmap(m->pt, at + page, 5 * page, NULL, &removed), -ENOENT);
	assert_int_equal(removed, 7);
	assert_int_equal(isolde_pt_trim(m->pt, at + 1, page, NULL), 0);
	for (u64 i = 1; i <= 4; i++)
		assert_int_equal(isolde_pt_iova_to_phys(m->pt, at + i * page), i * page);
	assert_int_equal(isolde_pt_iova_to_phys(m->pt, at), 0);
	assert_int_equal(isolde_pt_memory(m->pt), memory);
	isolde_pt_check(m->pt);
	model_free(m);
}

TEST(format, iovas_beyond_the_width_are_address_faults)
{
	struct model *m = model_new();
	u64 first = isolde_pt_first_iova(m->pt), last = isolde_pt_last_iova(m->pt);
	struct isolde_pt_walk walk;

	assert_int_equal(isolde_pt_walk(m->pt, first, 0, &walk), ISOLDE_PT_NOT_PRESENT);
	assert_int_equal(isolde_pt_walk(m->pt, last, 0, &walk), ISOLDE_PT_NOT_PRESENT);
	if (last + 1 != first) {
		assert_int_equal(isolde_pt_walk(m->pt, last + 1, 0, &walk), ISOLDE_PT_ADDRESS);
		assert_int_equal(isolde_pt_walk(m->pt, first - 1, 0, &walk), ISOLDE_PT_ADDRESS);
		assert_int_equal(isolde_pt_iova_to_phys(m->pt, first - 1), 0);
	}
	model_free(m);
}

/* ---- memory ---- */

static void *arena_allocate_or_fail(void *context, size_t size, size_t alignment)
{
	return pt_arena_allocate(context, size, alignment);
}

/* A row's table with an allocator that can fail; the arena's addresses only where the row wants them. */
static struct isolde_pt *failing_table(struct pt_arena *arena)
{
	struct isolde_pt_config wanted = pt_case_config(config(), arena);
	struct isolde_pt *pt = NULL;

	wanted.memory.allocate = arena_allocate_or_fail;
	wanted.memory.release = pt_arena_release;
	wanted.memory.context = arena;
	arena->fail_after = 1;
	assert_int_equal(isolde_pt_new(&wanted, &pt), -ENOMEM);
	assert_int_equal(isolde_pt_new(&wanted, &pt), 0);
	return pt;
}

TEST(format, map_that_runs_out_of_memory_leaves_the_table_as_it_was)
{
	struct pt_arena arena = {0};
	struct isolde_pt *pt = failing_table(&arena);
	u64 page = isolde_pt_page_sizes(pt) & -isolde_pt_page_sizes(pt), large = page * page / 8;
	u64 at = isolde_pt_last_iova(pt) + 1 - large * (page / 8) - page;
	size_t before, live;
	unsigned n, levels;
	int err;

	assert_int_equal(isolde_pt_map(pt, isolde_pt_first_iova(pt), page, page, ISOLDE_PT_READ, NULL), 0);
	before = isolde_pt_memory(pt);
	live = arena.live;
	for (n = 1;; n++) {
		arena.fail_after = n;
		/* Across a border of tables of every level but the root's, with small pages on both sides. */
		err = isolde_pt_map(pt, at, 16 * page, 2 * page, ISOLDE_PT_READ, NULL);
		if (err == 0)
			break;
		assert_int_equal(err, -ENOMEM);
		assert_int_equal(isolde_pt_memory(pt), before);
		assert_int_equal(arena.live, live);
		assert_int_equal(isolde_pt_iova_to_phys(pt, at), 0);
		isolde_pt_check(pt);
	}
	arena.fail_after = 0;
	isolde_pt_root(pt, &levels);
	assert_int_equal(n - 1, arena.live - live);
	assert_true(n - 1 >= levels - 1);
	assert_int_equal(isolde_pt_memory(pt), before + (arena.live - live) * page);
	isolde_pt_free(pt);
	assert_int_equal(arena.live, 0);
	pt_arena_fini(&arena);
}

TEST(format, freed_tables_wait_in_the_gather)
{
	struct model *m = model_new();
	u64 large = m->page << m->level_bits, at = m->window[1].base + large, removed = 0;
	struct isolde_pt_gather gather = ISOLDE_PT_GATHER_INIT;
	size_t before;

	assert_int_equal(isolde_pt_map(m->pt, at, m->page, m->page, ISOLDE_PT_READ, &gather), 0);
	before = isolde_pt_memory(m->pt);
	assert_int_equal(isolde_pt_map(m->pt, at + large, m->page, 2 * large, ISOLDE_PT_READ, &gather), 0);
	assert_int_equal(isolde_pt_memory(m->pt), before + 2 * m->page);
	assert_true(gather.start > gather.last);
	assert_int_equal(isolde_pt_unmap(m->pt, at + large, 2 * large, &gather, &removed), 0);
	assert_int_equal(removed, 2 * large);
	assert_int_equal(gather.tables, 2);
	assert_int_equal(gather.start, at + large);
	assert_int_equal(gather.last, at + 3 * large - 1);
	assert_true(gather.smallest_leaf == m->page);
	assert_int_equal(isolde_pt_memory(m->pt), before);
	isolde_pt_gather_drain(m->pt, &gather);
	assert_int_equal(gather.tables, 0);
	assert_true(gather.start > gather.last);
	model_free(m);
}

TEST(format, a_large_leaf_takes_the_place_of_empty_tables)
{
	struct model *m = model_new();
	u64 large = m->page << m->level_bits, at = m->window[1].base + large;
	struct isolde_pt_gather gather = ISOLDE_PT_GATHER_INIT;
	struct isolde_pt_walk walk;
	size_t before = isolde_pt_memory(m->pt);

	if (isolde_pt_page_sizes(m->pt) & large) {
		assert_int_equal(isolde_pt_map(m->pt, at + m->page, m->page, m->page, ISOLDE_PT_READ, NULL), 0);
		assert_int_equal(isolde_pt_map(m->pt, at, large, large, ISOLDE_PT_READ, NULL), -EADDRINUSE);
		assert_int_equal(isolde_pt_unmap(m->pt, at + m->page, m->page, NULL, NULL), 0);
		assert_int_equal(isolde_pt_map(m->pt, at, large, large, ISOLDE_PT_READ, &gather), 0);
		assert_int_equal(gather.tables, 1);
		assert_int_equal(gather.start, at);
		assert_int_equal(gather.last, at + large - 1);
		assert_int_equal(isolde_pt_walk(m->pt, at, ISOLDE_PT_READ, &walk), ISOLDE_PT_OK);
		assert_int_equal(walk.leaf_size, large);
		isolde_pt_gather_drain(m->pt, &gather);
		assert_int_equal(isolde_pt_unmap(m->pt, at, large, NULL, NULL), 0);
	}
	trim_all(m);
	if (!(config()->config.features & ISOLDE_PT_GROW))
		assert_int_equal(isolde_pt_memory(m->pt), before);
	model_free(m);
}

/* ---- tables of somebody else ---- */

static void *pointer_itself(void *context, u64 address, size_t size)
{
	return (void *)(uintptr_t)address;
}

TEST(format, adopted_tables_can_be_looked_at_alone)
{
	struct model *m = model_new();
	struct isolde_pt_config wanted = pt_case_config(config(), &m->arena);
	u64 at = m->window[1].base, bitmap = 0;
	struct isolde_pt *pt = m->pt, *adopted = NULL;
	struct isolde_pt_walk walk;
	unsigned levels;
	u64 root;

	assert_int_equal(isolde_pt_map(pt, at, m->page, 3 * m->page, ISOLDE_PT_READ | ISOLDE_PT_WRITE, NULL), 0);
	root = isolde_pt_root(pt, &levels);
	wanted.levels = levels;
	assert_int_equal(isolde_pt_adopt(&wanted, root + 8, &adopted), -EINVAL);
	/* Without memory.table() there is no memory that could be read. */
	if (config()->where == PT_HEAP) {
		assert_int_equal(isolde_pt_adopt(&wanted, root, &adopted), 0);
		assert_int_equal(isolde_pt_walk(adopted, at, 0, &walk), ISOLDE_PT_TABLE);
		isolde_pt_free(adopted);
		wanted.memory.table = pointer_itself;
	}
	assert_int_equal(isolde_pt_adopt(&wanted, root, &adopted), 0);
	assert_int_equal(isolde_pt_walk(adopted, at + 2 * m->page, ISOLDE_PT_WRITE, &walk), ISOLDE_PT_OK);
	assert_int_equal(walk.physical, 3 * m->page);
	assert_int_equal(isolde_pt_iova_to_phys(adopted, at + 5), m->page + 5);
	assert_int_equal(isolde_pt_map(adopted, at, m->page, m->page, ISOLDE_PT_READ, NULL), -EPERM);
	assert_int_equal(isolde_pt_unmap(adopted, at, m->page, NULL, NULL), -EPERM);
	assert_int_equal(isolde_pt_trim(adopted, at, m->page, NULL), 0);
	if (config()->config.features & ISOLDE_PT_DIRTY) {
		assert_int_equal(isolde_pt_set_dirty(adopted, true), -EPERM);
		assert_int_equal(isolde_pt_read_dirty(adopted, at, 3 * m->page, m->page, 0, &bitmap, NULL), 0);
		assert_true(bitmap & BIT(2));
	}
	isolde_pt_check(adopted);
	isolde_pt_free(adopted);
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(format, random_operations_agree_with_a_flat_model),
		CASE(format, dirty_pages_agree_with_what_was_written),
		CASE(format, leaves_mapped_while_tracking_are_clean),
		CASE(format, misuse_is_refused_and_changes_nothing),
		CASE(format, iovas_beyond_the_width_are_address_faults),
		CASE(format, map_that_runs_out_of_memory_leaves_the_table_as_it_was),
		CASE(format, freed_tables_wait_in_the_gather),
		CASE(format, a_large_leaf_takes_the_place_of_empty_tables),
		CASE(format, adopted_tables_can_be_looked_at_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
