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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(format, random_operations_agree_with_a_flat_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
