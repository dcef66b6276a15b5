/* SPDX-License-Identifier: MIT */
/*
 * isolde_pt_walk_nested() against two walkers composed, for every stage-1 table over every stage-2 table. Stage 1's
 * tables lie scattered in host memory, some of their pages missing or not readable in stage 2.
 */
#include "tests/fixtures/pt_compared.h"
#include "tests/fixtures/pt_nested.h"
#include "tests/helpers.h"

#define GUEST_TABLES 0x10000000ull   /* where stage 1 believes its tables to be */
#define GUEST_MEMORY 0x40000000ull   /* and what it maps to */
#define GUEST_SPAN   0x400000ull     /* bytes of each that stage 2 knows */
#define HOST_TABLES  0x1800000000ull /* where stage 2 maps GUEST_TABLES, in pieces in another order */
#define HOST_MEMORY  0x2000000000ull
#define MAPPINGS     12
/* Five times this is 1, modulo every power of two up to 2^32. */
#define FIVE_INVERSE 0xcccccccdull

struct nest {
	struct isolde_pt_config config1, config2;
	struct pt_store guest, host; /* of stage 1's tables, of stage 2's */
	struct isolde_pt *stage1, *stage2;
	u64 piece; /* bytes that stay together in host memory */
	u64 random;
	u64 starts[MAPPINGS], sizes[MAPPINGS];
	unsigned reached;   /* walks that came through */
	unsigned faults[3]; /* by stage */
};

static u64 below(struct nest *nest, u64 limit)
{
	nest->random ^= nest->random << 13;
	nest->random ^= nest->random >> 7;
	nest->random ^= nest->random << 17;
	return nest->random % limit;
}

/* Piece n of the guest's tables is piece 5n of the host's, modulo their number, a power of two. */
static u64 host_piece(const struct nest *nest, u64 piece)
{
	return piece * 5 % (GUEST_SPAN / nest->piece);
}

static bool guest_address(const struct nest *nest, u64 host, u64 *guest)
{
	u64 piece = (host - HOST_TABLES) / nest->piece;

	if (host < HOST_TABLES || host - HOST_TABLES >= GUEST_SPAN)
		return false;
	piece = piece * FIVE_INVERSE % (GUEST_SPAN / nest->piece);
	*guest = GUEST_TABLES + piece * nest->piece + (host & (nest->piece - 1));
	return true;
}

/* Host memory, for isolde and for the walker. */
static void *table_at(void *context, u64 host, size_t size)
{
	struct nest *nest = context;
	struct isolde_pt_memory memory = pt_store_memory(&nest->guest);
	u64 guest;

	return guest_address(nest, host, &guest) ? memory.table(&nest->guest, guest, size) : NULL;
}

static bool read_host(void *context, u64 host, u64 *entry)
{
	struct nest *nest = context;
	u64 guest;

	return guest_address(nest, host, &guest) && pt_store_read(&nest->guest, guest, entry);
}

static u64 smallest_page(const struct isolde_pt *pt)
{
	return isolde_pt_page_sizes(pt) & -isolde_pt_page_sizes(pt);
}

/* Flags of a random mapping; stage 2 is mostly generous, or nothing would come through. */
static unsigned random_flags(struct nest *nest, const struct isolde_pt *pt)
{
	unsigned all = isolde_pt_flags(pt) & (ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_EXECUTE);

	return below(nest, 4) ? all : ((unsigned)below(nest, 8) & all) | ISOLDE_PT_READ;
}

static void map_guest_tables(struct nest *nest, unsigned one_missing_in)
{
	for (u64 piece = 0; piece < GUEST_SPAN / nest->piece; piece++) {
		u64 host = HOST_TABLES + host_piece(nest, piece) * nest->piece;
		unsigned flags = ISOLDE_PT_READ | ISOLDE_PT_WRITE;

		if (one_missing_in && below(nest, one_missing_in) == 0)
			continue;
		if (one_missing_in && below(nest, one_missing_in) == 0)
			flags = ISOLDE_PT_READ; /* no accessed bits can be set there */
		assert_int_equal(
			isolde_pt_map(nest->stage2, GUEST_TABLES + piece * nest->piece, host, nest->piece, flags, NULL),
			0);
	}
}

static void map_guest_memory(struct nest *nest)
{
	u64 page = smallest_page(nest->stage2);

	for (u64 at = 0; at < GUEST_SPAN;) {
		u64 size = min_u64(page * (1 + below(nest, 20)), GUEST_SPAN - at);

		if (below(nest, 5))
			assert_int_equal(isolde_pt_map(nest->stage2, GUEST_MEMORY + at, HOST_MEMORY + at, size,
						       random_flags(nest, nest->stage2), NULL),
					 0);
		at += size;
	}
}

static void map_stage1(struct nest *nest)
{
	u64 page = smallest_page(nest->stage1), first = isolde_pt_first_iova(nest->stage1);

	for (unsigned i = 0; i < MAPPINGS; i++) {
		u64 iova = first + align_down(below(nest, BIT(37)), page), size = page * (1 + below(nest, 24));
		u64 physical = GUEST_MEMORY + align_down(below(nest, GUEST_SPAN), page);

		nest->sizes[i] = 0;
		if (isolde_pt_map(nest->stage1, iova, physical, size, random_flags(nest, nest->stage1), NULL))
			continue;
		nest->starts[i] = iova;
		nest->sizes[i] = size;
	}
}

static void compare(struct nest *nest, const struct nested_walker *walker, u64 iova, unsigned access)
{
	const struct isolde_pt_memory memory = {
		.table = table_at, .context = nest, .address = pt_store_memory(&nest->guest).address};
	struct nested_result mine;
	struct isolde_pt_walk theirs;
	enum isolde_pt_fault fault;

	nested_walk(walker, iova, access, &mine);
	fault = isolde_pt_walk_nested(nest->stage1, nest->stage2, &memory, iova, access, &theirs);
	if (fault != pt_fault_of(mine.fault) || theirs.stage != mine.stage || theirs.physical != mine.physical ||
	    theirs.leaf_size != mine.leaf_size || theirs.permission != mine.permission ||
	    theirs.address != mine.address)
		fail_msg("%#llx access %u: isolde says fault %d stage %u %#llx/%#llx %u at %#llx,\n"
			 "the specifications %s stage %u %#llx/%#llx %u at %#llx",
			 (unsigned long long)iova, access, fault, theirs.stage, (unsigned long long)theirs.physical,
			 (unsigned long long)theirs.leaf_size, theirs.permission, (unsigned long long)theirs.address,
			 walker_fault_name(mine.fault), mine.stage, (unsigned long long)mine.physical,
			 (unsigned long long)mine.leaf_size, mine.permission, (unsigned long long)mine.address);
	nest->faults[mine.stage]++;
}

static void compare_all(struct nest *nest)
{
	struct nested_walker walker = {
		.stage1 = pt_walker_of(&nest->config1, nest->stage1),
		.stage2 = pt_walker_of(&nest->config2, nest->stage2),
		.read = read_host,
		.context = nest,
	};
	u64 page = smallest_page(nest->stage1);

	for (unsigned i = 0; i < MAPPINGS; i++) {
		for (u64 at = 0; at < nest->sizes[i]; at += page) {
			compare(nest, &walker, nest->starts[i] + at, (unsigned)below(nest, 16));
			compare(nest, &walker, nest->starts[i] + at + below(nest, page), (unsigned)below(nest, 16));
		}
		compare(nest, &walker, nest->starts[i] + nest->sizes[i], ISOLDE_PT_READ);
		compare(nest, &walker, below(nest, UINT64_MAX), ISOLDE_PT_READ);
	}
}

static void play(struct nest *nest, const struct compared_table *first, const struct compared_table *second,
		 unsigned missing)
{
	nest->config1 = first->config;
	nest->config2 = second->config;
	pt_store_init(&nest->guest, GUEST_TABLES);
	pt_store_init(&nest->host, 0x3000000000);
	nest->config1.memory = pt_store_memory(&nest->guest);
	nest->config2.memory = pt_store_memory(&nest->host);
	assert_int_equal(isolde_pt_new(&nest->config1, &nest->stage1), 0);
	assert_int_equal(isolde_pt_new(&nest->config2, &nest->stage2), 0);
	nest->piece = smallest_page(nest->stage2);
	map_stage1(nest);
	map_guest_tables(nest, missing);
	map_guest_memory(nest);
	compare_all(nest);
	isolde_pt_free(nest->stage1);
	isolde_pt_free(nest->stage2);
	pt_store_clear(&nest->guest);
	pt_store_clear(&nest->host);
}

static bool is_first(const struct compared_table *which)
{
	return !pt_is_stage2(which->config.format);
}

static bool is_second(const struct compared_table *which)
{
	return pt_is_stage2(which->config.format) && !(which->config.features & ISOLDE_PT_GROW);
}

TEST(twostage, every_stage_1_over_every_stage_2)
{
	struct nest nest = {.random = 0x9e3779b97f4a7c15};
	unsigned pairs = 0;

	for (size_t i = 0; i < compared_table_count; i++) {
		for (size_t j = 0; j < compared_table_count; j++) {
			if (!is_first(&compared_tables[i]) || !is_second(&compared_tables[j]))
				continue;
			play(&nest, &compared_tables[i], &compared_tables[j], 0);
			play(&nest, &compared_tables[i], &compared_tables[j], 6);
			pairs++;
		}
	}
	print_message("%u pairs: %u walks through, %u faults of stage 1, %u of stage 2\n", pairs, nest.faults[0],
		      nest.faults[1], nest.faults[2]);
	assert_true(nest.faults[0] > 1000 && nest.faults[1] > 1000 && nest.faults[2] > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(twostage, every_stage_1_over_every_stage_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
