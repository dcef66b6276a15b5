/* SPDX-License-Identifier: MIT */
/* Any stage 1 over any stage 2: the tables of stage 1 live in guest memory, which stage 2 maps elsewhere. */
#include "tests/helpers.h"

#include "isolde/pt.h"
#include "tests/fixtures/pt_configs.h"

#define RW	  (ISOLDE_PT_READ | ISOLDE_PT_WRITE)
#define GUEST	  0x40000000ull	 /* where the arena is for the guest */
#define HOST	  0x7c0000000ull /* and for the host */
#define ARENA	  0x4000000ull
#define DATA	  0x80000000ull /* guest memory that is no table */
#define DATA_HOST 0x580000000ull
#define GB	  0x40000000ull
#define RANDOM	  2654435761u

struct nest {
	struct pt_arena arena;
	struct isolde_pt *stage1, *stage2;
	struct isolde_pt_memory host;
	u64 iova; /* where stage 1 maps 1 GiB of DATA */
};

/* The host's memory: the arena, at HOST. */
static void *host_table(void *context, u64 address, size_t size)
{
	return address < HOST ? NULL : pt_arena_table(context, address - HOST + GUEST, size);
}

/* The same memory where it cannot be pointed to: entries are copied, and changed if they still are what they were. */
static bool host_load(void *context, u64 input, u64 address, u64 *ret)
{
	const u64 *entry = host_table(context, address, sizeof(*entry));

	assert_int_equal(input - GUEST, address - HOST);
	if (entry)
		*ret = *entry;
	return entry;
}

static unsigned disturbances; /* so many exchanges find that somebody was faster */
static unsigned exchanges;

static bool host_exchange(void *context, u64 input, u64 address, u64 expected, u64 wanted, bool *ret_done)
{
	u64 *entry = host_table(context, address, sizeof(*entry));

	exchanges++;
	assert_int_equal(input - GUEST, address - HOST);
	*ret_done = entry && *entry == expected && !disturbances;
	if (disturbances)
		disturbances--;
	if (*ret_done)
		*entry = wanted;
	return entry;
}

static struct isolde_pt_memory copied(struct nest *n)
{
	return (struct isolde_pt_memory){.load = host_load, .exchange = host_exchange, .context = &n->arena};
}

static void nest_init(struct nest *n, const struct pt_case *first, const struct pt_case *second)
{
	struct isolde_pt_config config = first->config;

	*n = (struct nest){.host = {.table = host_table, .context = &n->arena}};
	config.memory = (struct isolde_pt_memory){
		.allocate = pt_arena_allocate,
		.release = pt_arena_release,
		.address = pt_arena_address,
		.table = pt_arena_table,
		.context = &n->arena,
		.big_endian = first->where == PT_FOREIGN,
	};
	assert_int_equal(isolde_pt_new(&config, &n->stage1), 0);
	config = second->config;
	assert_int_equal(isolde_pt_new(&config, &n->stage2), 0);
	n->iova = align_down(isolde_pt_last_iova(n->stage1), 8 * GB) + GB;
	/* Small pages in stage 1, in no order; large leaves in stage 2. */
	for (u64 at = 0; at < 64; at++)
		assert_int_equal(isolde_pt_map(n->stage1, n->iova + at * 0x10000, DATA + (at ^ 5) * 0x10000, 0x10000,
					       at % 2 ? RW : ISOLDE_PT_READ, NULL),
				 0);
	assert_int_equal(isolde_pt_map(n->stage2, GUEST, HOST, ARENA, RW, NULL), 0);
	assert_int_equal(isolde_pt_map(n->stage2, DATA, DATA_HOST, GB / 2, RW, NULL), 0);
}

static void nest_fini(struct nest *n)
{
	isolde_pt_free(n->stage1);
	isolde_pt_free(n->stage2);
	pt_arena_fini(&n->arena);
}

/* The walk is what the two walks say one after the other. */
static void compare(struct nest *n, u64 iova, unsigned access)
{
	struct isolde_pt_walk first, second, both, same;
	enum isolde_pt_fault expected = isolde_pt_walk(n->stage1, iova, access, &first), fault;
	struct isolde_pt_memory copies = copied(n);
	unsigned stage = 1;

	if (expected == ISOLDE_PT_OK) {
		expected = isolde_pt_walk(n->stage2, first.physical, access, &second);
		stage = 2;
	}
	fault = isolde_pt_walk_nested(n->stage1, n->stage2, &copies, iova, access, &same);
	assert_int_equal(fault, expected);
	fault = isolde_pt_walk_nested(n->stage1, n->stage2, &n->host, iova, access, &both);
	assert_int_equal(fault, expected);
	assert_int_equal(both.physical, same.physical);
	assert_int_equal(both.leaf_size, same.leaf_size);
	assert_int_equal(both.permission, same.permission);
	assert_int_equal(both.level, same.level);
	assert_int_equal(both.stage, same.stage);
	assert_int_equal(both.address, same.address);
	assert_int_equal(both.stage, expected == ISOLDE_PT_OK ? 0 : stage);
	if (expected == ISOLDE_PT_OK) {
		assert_int_equal(both.physical, second.physical);
		assert_int_equal(both.leaf_size, min_u64(first.leaf_size, second.leaf_size));
		assert_int_equal(both.permission & RW, first.permission & second.permission & RW);
	}
}

static void compare_all(struct nest *n)
{
	for (u64 i = 0; i < 400; i++)
		compare(n, n->iova + (i * RANDOM & 0x3fffff), (unsigned)i % 4);
	compare(n, n->iova + 0x400000, ISOLDE_PT_READ);
}

static bool is_first_stage(const struct pt_case *row)
{
	return row->config.format == ISOLDE_PT_X86_64 || row->config.format == ISOLDE_PT_ARM64_S1 ||
	       row->config.format == ISOLDE_PT_RISCV_S1;
}

TEST(nested, every_stage_1_walks_over_every_stage_2)
{
	for (unsigned i = 0; i < PT_CASES_N; i++) {
		for (unsigned k = 0; k < PT_CASES_N; k++) {
			struct nest n;

			if (!is_first_stage(&pt_cases[i]) || is_first_stage(&pt_cases[k]) ||
			    pt_cases[k].where != PT_HEAP)
				continue;
			nest_init(&n, &pt_cases[i], &pt_cases[k]);
			compare_all(&n);
			/* Of the data, half can only be read, and the rest is gone. */
			assert_int_equal(isolde_pt_unmap(n.stage2, DATA, GB / 2, NULL, NULL), 0);
			assert_int_equal(isolde_pt_map(n.stage2, DATA, DATA_HOST, 0x100000, RW, NULL), 0);
			assert_int_equal(isolde_pt_map(n.stage2, DATA + 0x100000, DATA_HOST + 0x100000, 0x100000,
						       ISOLDE_PT_READ, NULL),
					 0);
			compare_all(&n);
			nest_fini(&n);
		}
	}
}

TEST(nested, a_table_that_stage_2_does_not_map_is_its_fault)
{
	struct isolde_pt_walk walk;
	struct nest n;
	unsigned levels;
	u64 root;

	nest_init(&n, &pt_cases[PT_CASE_x86_64_foreign], &pt_cases[PT_CASE_vtdss]);
	root = isolde_pt_root(n.stage1, &levels);
	assert_int_equal(isolde_pt_unmap(n.stage2, GUEST, ARENA, NULL, NULL), 0);
	assert_int_equal(isolde_pt_walk_nested(n.stage1, n.stage2, &n.host, n.iova, ISOLDE_PT_READ, &walk),
			 ISOLDE_PT_NOT_PRESENT);
	assert_int_equal(walk.stage, 2);
	assert_int_equal(align_down(walk.address, PAGE_SIZE), root);

	/* Mapped for reading alone: enough to walk, not to set the accessed and dirty bits of stage 1. */
	assert_int_equal(isolde_pt_map(n.stage2, GUEST, HOST, ARENA, ISOLDE_PT_READ, NULL), 0);
	assert_int_equal(isolde_pt_walk_nested(n.stage1, n.stage2, &n.host, n.iova + 0x10000, 0, &walk), ISOLDE_PT_OK);
	assert_int_equal(isolde_pt_set_dirty(n.stage1, true), 0);
	assert_int_equal(isolde_pt_walk_nested(n.stage1, n.stage2, &n.host, n.iova + 0x10000, ISOLDE_PT_WRITE, &walk),
			 ISOLDE_PT_PERMISSION);
	assert_int_equal(walk.stage, 2);

	/* Mapped to where the host has no memory: then it is stage 1 whose table is nowhere. */
	assert_int_equal(isolde_pt_unmap(n.stage2, GUEST, ARENA, NULL, NULL), 0);
	assert_int_equal(isolde_pt_map(n.stage2, GUEST, 16 * HOST, ARENA, RW, NULL), 0);
	assert_int_equal(isolde_pt_walk_nested(n.stage1, n.stage2, &n.host, n.iova, ISOLDE_PT_READ, &walk),
			 ISOLDE_PT_TABLE);
	assert_int_equal(walk.stage, 1);
	nest_fini(&n);
}

TEST(nested, writes_set_the_dirty_bits_of_both_stages)
{
	struct isolde_pt_walk walk;
	u64 first = 0, second = 0;
	struct nest n;

	nest_init(&n, &pt_cases[PT_CASE_riscv57], &pt_cases[PT_CASE_vtdss3]);
	assert_int_equal(isolde_pt_set_dirty(n.stage1, true), 0);
	assert_int_equal(isolde_pt_set_dirty(n.stage2, true), 0);
	assert_int_equal(isolde_pt_walk_nested(n.stage1, n.stage2, &n.host, n.iova + 0x10000, ISOLDE_PT_WRITE, &walk),
			 ISOLDE_PT_OK);
	assert_int_equal(isolde_pt_read_dirty(n.stage1, n.iova, 0x40000, 0x10000, 0, &first, NULL), 0);
	assert_int_equal(first, BIT(1));
	/* Stage 2 saw the data written, in a leaf of 2 MiB, and the table that holds stage 1's bits. */
	assert_int_equal(isolde_pt_read_dirty(n.stage2, DATA, 0x400000, 0x200000, 0, &second, NULL), 0);
	assert_int_equal(second, 1);
	second = 0;
	assert_int_equal(isolde_pt_read_dirty(n.stage2, GUEST, ARENA, ARENA, 0, &second, NULL), 0);
	assert_int_equal(second, 1);
	nest_fini(&n);
}

TEST(nested, entries_that_are_copied_are_changed_where_they_are)
{
	static const unsigned rows[] = {PT_CASE_riscv57, PT_CASE_x86_64_foreign};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct isolde_pt_memory copies;
		struct isolde_pt_walk walk;
		u64 first = 0;
		struct nest n;

		nest_init(&n, &pt_cases[rows[i]], &pt_cases[PT_CASE_vtdss]);
		copies = copied(&n);
		assert_int_equal(isolde_pt_set_dirty(n.stage1, true), 0);
		/* Others change the entry three times before it stays. */
		disturbances = 3;
		exchanges = 0;
		assert_int_equal(
			isolde_pt_walk_nested(n.stage1, n.stage2, &copies, n.iova + 0x10000, ISOLDE_PT_WRITE, &walk),
			ISOLDE_PT_OK);
		assert_true(exchanges >= 4);
		assert_int_equal(isolde_pt_read_dirty(n.stage1, n.iova, 0x40000, 0x10000, 0, &first, NULL), 0);
		assert_int_equal(first, BIT(1));
		/* Who changes it all the time gets a fault. */
		disturbances = 1000000;
		exchanges = 0;
		assert_int_equal(
			isolde_pt_walk_nested(n.stage1, n.stage2, &copies, n.iova + 0x10000, ISOLDE_PT_WRITE, &walk),
			ISOLDE_PT_TABLE);
		assert_int_equal(walk.stage, 1);
		assert_true(exchanges < 2000);
		disturbances = 0;
		/* What stage 2 maps for reading alone cannot be changed. */
		assert_int_equal(isolde_pt_unmap(n.stage2, GUEST, ARENA, NULL, NULL), 0);
		assert_int_equal(isolde_pt_map(n.stage2, GUEST, HOST, ARENA, ISOLDE_PT_READ, NULL), 0);
		assert_int_equal(
			isolde_pt_walk_nested(n.stage1, n.stage2, &copies, n.iova + 0x10000, ISOLDE_PT_WRITE, &walk),
			ISOLDE_PT_PERMISSION);
		assert_int_equal(walk.stage, 2);
		nest_fini(&n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(nested, every_stage_1_walks_over_every_stage_2),
		CASE(nested, a_table_that_stage_2_does_not_map_is_its_fault),
		CASE(nested, writes_set_the_dirty_bits_of_both_stages),
		CASE(nested, entries_that_are_copied_are_changed_where_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
