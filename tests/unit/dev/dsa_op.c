/* SPDX-License-Identifier: MIT */
/* What a DSA's operations do, and where they stop. Checked against the plainest code for each. */
#include "tests/fixtures/dsa_driver.h"

enum { A = 1 << 20, B = 4 << 20, C = 7 << 20, D = 10 << 20 }; /* where operands are */

static int set_up(void **state)
{
	*state = rig_new("dsa", NULL);
	dsa_driver_start(*state);
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

static u32 next_random(void)
{
	static u32 random = 7;

	random = random * 1664525 + 1013904223;
	return random >> 8;
}

static void scramble(u8 *bytes, u64 size)
{
	for (u64 i = 0; i < size; i++)
		bytes[i] = (u8)next_random();
}

static u8 *at(struct model_rig *rig, u64 iova)
{
	return rig_at(rig, iova);
}

/* In one place, so that a test may run thousands. */
static struct dsa_record run(struct model_rig *rig, struct dsa_descriptor descriptor)
{
	descriptor.record = 0x1000;
	descriptor.flags |= DSA_RECORD_VALID | DSA_WANT_RECORD;
	return dsa_driver_run(rig, &descriptor);
}

static struct dsa_descriptor operation(enum dsa_opcode opcode, u64 source, u64 destination, u32 size)
{
	return (struct dsa_descriptor){
		.flags = (u32)opcode << 24, .source = source, .destination = destination, .size = size};
}

static u8 status_of(struct model_rig *rig, struct dsa_descriptor descriptor)
{
	return run(rig, descriptor).status;
}

/* ---- moving ---- */

TEST(dsa, moves_like_memmove)
{
	static const u32 sizes[] = {1, 63, 4096, 131072, 131073, 700001};
	struct model_rig *rig = *state;
	u8 *before = malloc(6 << 20);

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		for (int shift = -400000; shift <= 400000; shift += 57143) {
			scramble(at(rig, A), 64 << 10);
			memcpy(before, at(rig, A), 6 << 20);
			assert_int_equal(status_of(rig, operation(DSA_OP_MOVE, A + (2 << 20),
								  (u64)(A + (2 << 20) + shift), sizes[i])),
					 DSA_SUCCESS);
			memmove(before + (2 << 20) + shift, before + (2 << 20), sizes[i]);
			assert_memory_equal(before, at(rig, A), 6 << 20);
		}
	free(before);
}

TEST(dsa, a_move_says_how_far_it_came)
{
	struct model_rig *rig = *state;
	struct dsa_record record;

	/* Two pages that map to others, a hole behind; forwards. */
	rig_map_page(rig, RIG_UNMAPPED, A, ISOLDE_PT_READ | ISOLDE_PT_WRITE);
	rig_map_page(rig, RIG_UNMAPPED + 0x1000, A + 0x1000, ISOLDE_PT_READ);
	rig_map_page(rig, RIG_UNMAPPED + 0x3000, A + 0x3000, ISOLDE_PT_READ | ISOLDE_PT_WRITE);
	scramble(at(rig, A), 0x4000);
	record = run(rig, operation(DSA_OP_MOVE, RIG_UNMAPPED + 0x10, B, 0x8000));
	assert_int_equal(record.status, DSA_PAGE_FAULT);
	assert_int_equal(record.result, 0);
	assert_int_equal(record.completed, 0x1ff0);
	assert_int_equal(record.fault_address, RIG_UNMAPPED + 0x2000);
	assert_memory_equal(at(rig, A + 0x10), at(rig, B), 0x1ff0);
	/* To a page that may only be read. */
	record = run(rig, operation(DSA_OP_MOVE, B, RIG_UNMAPPED + 0x10, 0x2000));
	assert_int_equal(record.status, DSA_PAGE_FAULT | DSA_STATUS_WRITE);
	assert_int_equal(record.completed, 0xff0);
	assert_int_equal(record.fault_address, RIG_UNMAPPED + 0x1000);
	/* Backwards: the pages behind the hole are done. */
	record = run(rig, operation(DSA_OP_MOVE, RIG_UNMAPPED + 0x1800, RIG_UNMAPPED + 0x1900, 0x2000));
	assert_int_equal(record.result, 1);
	assert_int_equal(record.status, DSA_PAGE_FAULT);
	assert_int_equal(record.completed, 0x800);
	assert_int_equal(record.fault_address, RIG_UNMAPPED + 0x2000);
	/* Going on from there as drivers do. */
	rig_map_page(rig, RIG_UNMAPPED + 0x2000, A + 0x2000, ISOLDE_PT_READ | ISOLDE_PT_WRITE);
	record = run(rig, operation(DSA_OP_MOVE, RIG_UNMAPPED + 0x1800, RIG_UNMAPPED + 0x1900, 0x2000 - 0x800));
	assert_int_equal(record.status, DSA_PAGE_FAULT | DSA_STATUS_WRITE);
	assert_int_equal(record.fault_address, RIG_UNMAPPED + 0x1900);
	assert_int_equal(record.completed, 0x1800 - 0x700);
}

TEST(dsa, addresses_up_to_the_last_byte)
{
	struct model_rig *rig = *state;

	assert_int_equal(status_of(rig, operation(DSA_OP_MOVE, 0ull - 64, B, 64)), DSA_PAGE_FAULT);
	assert_int_equal(status_of(rig, operation(DSA_OP_MOVE, 0ull - 64, B, 128)), DSA_PAGE_FAULT);
	assert_int_equal(status_of(rig, operation(DSA_OP_MOVE, A, 0ull - 64, 0x1000)),
			 DSA_PAGE_FAULT | DSA_STATUS_WRITE);
	assert_int_equal(status_of(rig, operation(DSA_OP_MOVE, 0ull - 4096, 0ull - 64, 4000)), DSA_PAGE_FAULT);
	assert_int_equal(status_of(rig, operation(DSA_OP_FILL, 1, ~0ull, 0x80000000)),
			 DSA_PAGE_FAULT | DSA_STATUS_WRITE);
	assert_int_equal(status_of(rig, operation(DSA_OP_COMPARE, ~0ull, ~0ull, 2)), DSA_PAGE_FAULT);
	assert_int_equal(status_of(rig, operation(DSA_OP_CRC, ~0ull, 0, 0x80000000)), DSA_PAGE_FAULT);
	assert_int_equal(status_of(rig, operation(DSA_OP_CACHE_FLUSH, 0, ~0ull - 6, 9)), DSA_PAGE_FAULT);
}

TEST(dsa, sizes_have_a_range)
{
	static const u8 sized[] = {DSA_OP_MOVE,	    DSA_OP_FILL, DSA_OP_COMPARE,  DSA_OP_COMPARE_PATTERN,
				   DSA_OP_DUALCAST, DSA_OP_CRC,	 DSA_OP_COPY_CRC, DSA_OP_CACHE_FLUSH};
	struct model_rig *rig = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(sized); i++) {
		u64 source = sized[i] == DSA_OP_CACHE_FLUSH ? 0 : A, destination = sized[i] == DSA_OP_CRC ? 0 : B;

		assert_int_equal(status_of(rig, operation(sized[i], source, destination, 0)), DSA_BAD_SIZE);
		assert_int_equal(status_of(rig, operation(sized[i], source, destination, 0x80000001)), DSA_BAD_SIZE);
	}
	assert_int_equal(status_of(rig, operation(DSA_OP_NOOP, 0, 0, 1)), DSA_BAD_RESERVED);
}

TEST(dsa, fills_with_eight_bytes)
{
	struct model_rig *rig = *state;

	for (u32 size = 1; size < 400000; size = size * 3 + 1) {
		memset(at(rig, B), 0xee, 500000);
		assert_int_equal(status_of(rig, operation(DSA_OP_FILL, 0x8877665544332211, B + 5, size)), DSA_SUCCESS);
		for (u32 i = 0; i < size; i++)
			if (at(rig, B + 5)[i] != (i % 8 + 1) * 0x11)
				fail_msg("byte %u of %u is %#x", i, size, at(rig, B + 5)[i]);
		assert_int_equal(at(rig, B)[4], 0xee);
		assert_int_equal(at(rig, B + 5)[size], 0xee);
	}
}

TEST(dsa, casts_to_two_places)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor dual = operation(DSA_OP_DUALCAST, A, B + 5, 300000);
	struct dsa_record record;

	scramble(at(rig, A), 300000);
	put_u64(dual.specific, C + 5);
	assert_int_equal(status_of(rig, dual), DSA_SUCCESS);
	assert_memory_equal(at(rig, A), at(rig, B + 5), 300000);
	assert_memory_equal(at(rig, A), at(rig, C + 5), 300000);
	put_u64(dual.specific, C + 6);
	assert_int_equal(status_of(rig, dual), DSA_BAD_DUALCAST);
	put_u64(dual.specific, B + 0x1005);
	assert_int_equal(status_of(rig, dual), DSA_OVERLAP);
	put_u64(dual.specific, A + 0x1005);
	assert_int_equal(status_of(rig, dual), DSA_OVERLAP);
	dual.source = B + 6;
	put_u64(dual.specific, C + 5);
	assert_int_equal(status_of(rig, dual), DSA_OVERLAP);
	/* The second one ends first: so much is in both. */
	dual.source = A;
	put_u64(dual.specific, RIG_MEMORY - 0x2000 + 5);
	record = run(rig, dual);
	assert_int_equal(record.status, DSA_PAGE_FAULT | DSA_STATUS_WRITE);
	assert_int_equal(record.completed, 0x2000 - 5);
	assert_int_equal(record.fault_address, RIG_MEMORY);
	assert_memory_equal(at(rig, A), at(rig, RIG_MEMORY - 0x2000 + 5), 0x2000 - 5);
	put_u64(dual.specific, 0ull - 0x1000 + 5);
	assert_int_equal(status_of(rig, dual), DSA_PAGE_FAULT | DSA_STATUS_WRITE);
}

TEST(dsa, flushes_what_is_mapped)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor flush = operation(DSA_OP_CACHE_FLUSH, 0, A, 1 << 20);
	struct dsa_record record;

	flush.flags |= DSA_CACHE_CONTROL;
	assert_int_equal(status_of(rig, flush), DSA_SUCCESS);
	flush.destination = RIG_MEMORY - 0x1800;
	record = run(rig, flush);
	assert_int_equal(record.status, DSA_PAGE_FAULT);
	assert_int_equal(record.completed, 0x1800);
}

/* ---- comparing ---- */

TEST(dsa, compares_to_the_first_difference)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor compare = operation(DSA_OP_COMPARE, A, B + 3, 300000);
	struct dsa_record record;

	scramble(at(rig, A), 300000);
	memcpy(at(rig, B + 3), at(rig, A), 300000);
	record = run(rig, compare);
	assert_int_equal(record.status, DSA_SUCCESS);
	assert_int_equal(record.result, 0);
	for (u32 where = 0; where < 300000; where = where * 2 + 1) {
		at(rig, B + 3)[where] ^= 0x10;
		record = run(rig, compare);
		assert_int_equal(record.status, DSA_SUCCESS);
		assert_int_equal(record.result, 1);
		assert_int_equal(record.completed, where);
		at(rig, B + 3)[where] ^= 0x10;
	}
	/* A difference before a fault is one; behind it nobody can know. */
	compare.destination = RIG_MEMORY - 1000;
	memcpy(at(rig, RIG_MEMORY - 1000), at(rig, A), 1000);
	record = run(rig, compare);
	assert_int_equal(record.status, DSA_PAGE_FAULT);
	assert_int_equal(record.completed, 1000);
	at(rig, RIG_MEMORY - 1000)[999] ^= 1;
	record = run(rig, compare);
	assert_int_equal(record.status, DSA_SUCCESS);
	assert_int_equal(record.result, 1);
	assert_int_equal(record.completed, 999);
}

TEST(dsa, results_can_be_checked)
{
	static const u8 opcodes[] = {DSA_OP_COMPARE, DSA_OP_COMPARE_PATTERN};
	struct model_rig *rig = *state;

	memset(at(rig, A), 0, 64);
	memset(at(rig, B), 0, 64);
	for (unsigned i = 0; i < 8; i++) {
		struct dsa_descriptor compare = operation(opcodes[i & 1], A, opcodes[i & 1] == DSA_OP_COMPARE ? B : 0,
							  64);
		bool differs = i & 2, expected = i & 4;
		struct dsa_record record;

		at(rig, A)[9] = differs;
		compare.specific[0] = expected;
		assert_int_equal(run(rig, compare).status, DSA_SUCCESS);
		compare.flags |= DSA_CHECK_RESULT;
		record = run(rig, compare);
		assert_int_equal(record.status, differs == expected ? DSA_SUCCESS : DSA_FALSE_PREDICATE);
		assert_int_equal(record.result, differs);
	}
}

TEST(dsa, compares_with_a_pattern)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor compare = operation(DSA_OP_COMPARE_PATTERN, A + 1, 0x8877665544332211, 200001);
	struct dsa_record record;

	for (unsigned i = 0; i < 200001; i++)
		at(rig, A + 1)[i] = (u8)((i % 8 + 1) * 0x11);
	assert_int_equal(run(rig, compare).result, 0);
	at(rig, A + 1)[200000] = 0;
	record = run(rig, compare);
	assert_int_equal(record.result, 1);
	assert_int_equal(record.completed, 200000);
}

/* ---- deltas ---- */

static struct dsa_descriptor create(u32 size, u32 max_size)
{
	struct dsa_descriptor descriptor = operation(DSA_OP_CREATE_DELTA, A, B, size);

	put_u64(descriptor.specific, C);
	put_u32(descriptor.specific + 8, max_size);
	return descriptor;
}

static struct dsa_descriptor apply(u32 size, u32 record_size)
{
	struct dsa_descriptor descriptor = operation(DSA_OP_APPLY_DELTA, C, A, size);

	put_u32(descriptor.specific, record_size);
	return descriptor;
}

TEST(dsa, a_delta_makes_one_thing_of_the_other)
{
	struct model_rig *rig = *state;

	for (u32 size = 8; size <= 0x80000; size = (u32)align_down(size * 3, 8) + 8) {
		struct dsa_record record;
		unsigned changes = 1 + next_random() % 300, differ = 0;

		scramble(at(rig, A), size);
		memcpy(at(rig, B), at(rig, A), size);
		assert_int_equal(run(rig, create(size, 80)).result, 0);
		for (unsigned i = 0; i < changes; i++)
			at(rig, B)[next_random() % size] ^= 0x55;
		for (u32 i = 0; i < size; i += 8)
			differ += memcmp(at(rig, A + i), at(rig, B + i), 8) != 0;
		record = run(rig, create(size, (u32)max_u64(80, differ * 10)));
		assert_int_equal(record.status, DSA_SUCCESS);
		assert_int_equal(record.result, differ != 0);
		assert_int_equal(get_u32(record.specific), differ * 10);
		if (!differ)
			continue;
		assert_int_equal(status_of(rig, apply(size, differ * 10)), DSA_SUCCESS);
		assert_memory_equal(at(rig, A), at(rig, B), size);
	}
}

TEST(dsa, a_delta_may_be_too_large)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor = create(4096, 80);
	struct dsa_record record;

	memset(at(rig, A), 0, 4096);
	memset(at(rig, B), 0, 4096);
	memset(at(rig, C), 0xee, 4096);
	for (unsigned i = 0; i < 9; i++)
		at(rig, B)[i * 160] = 1;
	record = run(rig, descriptor);
	assert_int_equal(record.status, DSA_SUCCESS);
	assert_int_equal(record.result, 2);
	assert_int_equal(get_u32(record.specific), 80);
	assert_int_equal(record.completed, 8 * 160);
	assert_int_equal(get_u16(at(rig, C + 70)), 7 * 20);
	assert_int_equal(at(rig, C)[80], 0xee);
	/* Any of the three results can be what is expected. */
	descriptor.flags |= DSA_CHECK_RESULT;
	for (u8 mask = 0; mask < 8; mask++) {
		descriptor.specific[16] = mask;
		assert_int_equal(status_of(rig, descriptor), mask & 4 ? DSA_SUCCESS : DSA_FALSE_PREDICATE);
	}
}

TEST(dsa, deltas_have_rules)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor;

	assert_int_equal(status_of(rig, create(12, 80)), DSA_BAD_SIZE);
	assert_int_equal(status_of(rig, create(0x80008, 80)), DSA_BAD_SIZE);
	assert_int_equal(status_of(rig, create(8, 70)), DSA_BAD_DELTA_SIZE);
	assert_int_equal(status_of(rig, create(8, 85)), DSA_BAD_DELTA_SIZE);
	for (unsigned i = 0; i < 3; i++) {
		descriptor = create(8, 80);
		if (i == 2)
			put_u64(descriptor.specific, C + 4);
		else
			*(i ? &descriptor.source : &descriptor.destination) += 4;
		assert_int_equal(status_of(rig, descriptor), DSA_MISALIGNED);
	}
	descriptor = create(0x1000, 80);
	put_u64(descriptor.specific, A + 0xff8);
	assert_int_equal(status_of(rig, descriptor), DSA_OVERLAP);
	put_u64(descriptor.specific, B - 72);
	assert_int_equal(status_of(rig, descriptor), DSA_OVERLAP);
	put_u64(descriptor.specific, B - 80);
	assert_int_equal(status_of(rig, descriptor), DSA_SUCCESS);
	assert_int_equal(status_of(rig, apply(12, 10)), DSA_BAD_SIZE);
	assert_int_equal(status_of(rig, apply(0x80008, 10)), DSA_BAD_SIZE);
	assert_int_equal(status_of(rig, apply(8, 0)), DSA_BAD_DELTA_SIZE);
	assert_int_equal(status_of(rig, apply(8, 11)), DSA_BAD_DELTA_SIZE);
	descriptor = apply(8, 10);
	descriptor.destination += 1;
	assert_int_equal(status_of(rig, descriptor), DSA_MISALIGNED);
	descriptor = apply(0x1000, 10);
	descriptor.source = A + 0x800;
	assert_int_equal(status_of(rig, descriptor), DSA_OVERLAP);
}

static void put_entry(struct model_rig *rig, unsigned index, u16 offset, u64 value)
{
	put_u16(at(rig, C + index * 10), offset);
	put_u64(at(rig, C + index * 10 + 2), value);
}

TEST(dsa, entries_are_applied_up_to_a_bad_one)
{
	struct model_rig *rig = *state;
	struct dsa_record record;

	memset(at(rig, A), 0, 4096);
	for (u16 i = 0; i < 100; i++)
		put_entry(rig, i, i, i + 1u);
	put_entry(rig, 50, 49, 77);
	record = run(rig, apply(4096, 1000));
	assert_int_equal(record.status, DSA_DELTA_ORDER);
	assert_int_equal(record.completed, 500);
	assert_int_equal(get_u64(at(rig, A + 49 * 8)), 50);
	assert_int_equal(get_u64(at(rig, A + 50 * 8)), 0);
	put_entry(rig, 50, 512, 77);
	record = run(rig, apply(4096, 1000));
	assert_int_equal(record.status, DSA_DELTA_RANGE);
	assert_int_equal(record.completed, 500);
	/* A record that has no end, in memory that has one. */
	assert_int_equal(run(rig, apply(0x80000, 0xfffffff0 - 0xfffffff0 % 10)).status, DSA_DELTA_ORDER);
	for (u32 i = 0; i < 1000; i++)
		put_entry(rig, i, (u16)i, i);
	record = run(rig, apply(0x80000, 0xfffffff0 - 0xfffffff0 % 10));
	assert_int_equal(record.status, DSA_DELTA_ORDER);
	assert_int_equal(record.completed, 10000);
}

TEST(dsa, deltas_stop_at_faults)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor = create(0x4000, 0x5000);
	struct dsa_record record;

	memset(at(rig, A), 0, 0x4000);
	memset(at(rig, RIG_MEMORY - 0x1000), 0, 0x1000);
	at(rig, RIG_MEMORY - 8)[0] = 1;
	descriptor.destination = RIG_MEMORY - 0x1000;
	record = run(rig, descriptor);
	assert_int_equal(record.status, DSA_PAGE_FAULT);
	assert_int_equal(record.completed, 0x1000);
	assert_int_equal(get_u32(record.specific), 10);
	/* The record cannot be written: what was compared for it does not count. */
	descriptor = create(0x4000, 0x5000);
	memset(at(rig, B), 0xff, 0x4000);
	put_u64(descriptor.specific, RIG_UNMAPPED);
	record = run(rig, descriptor);
	assert_int_equal(record.status, DSA_PAGE_FAULT | DSA_STATUS_WRITE);
	assert_int_equal(record.completed, 0);
	/* Applying: at the record, and at the destination. */
	for (u16 i = 0; i < 100; i++)
		put_entry(rig, i, i, i);
	memcpy(at(rig, RIG_MEMORY - 505), at(rig, C), 505);
	descriptor = apply(4096, 1000);
	descriptor.source = RIG_MEMORY - 505;
	assert_int_equal(status_of(rig, descriptor), DSA_MISALIGNED);
	memcpy(at(rig, RIG_MEMORY - 504), at(rig, C), 504);
	descriptor.source = RIG_MEMORY - 504;
	record = run(rig, descriptor);
	assert_int_equal(record.status, DSA_PAGE_FAULT);
	assert_int_equal(record.completed, 500);
	assert_int_equal(record.fault_address, RIG_MEMORY);
	descriptor = apply(4096, 1000);
	descriptor.destination = RIG_MEMORY - 48;
	record = run(rig, descriptor);
	assert_int_equal(record.status, DSA_PAGE_FAULT | DSA_STATUS_WRITE);
	assert_int_equal(record.completed, 60);
	assert_int_equal(record.fault_address, RIG_MEMORY);
}

/* ---- CRC ---- */

static u32 reversed(u32 value, unsigned bits)
{
	u32 ret = 0;

	for (unsigned i = 0; i < bits; i++)
		ret |= (value >> i & 1) << (bits - 1 - i);
	return ret;
}

/* As the words of the specification have it: a register with its highest bit first, bits in and out as the flags say.
 */
static u32 plain_crc(const u8 *bytes, u64 size, u32 seed, u32 flags)
{
	u32 crc = flags & DSA_CRC_RAW ? seed : reversed(~seed, 32);

	for (u64 i = 0; i < size; i++) {
		crc ^= (flags & DSA_CRC_RAW_DATA ? bytes[i] : reversed(bytes[i], 8)) << 24;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc & 0x80000000 ? crc << 1 ^ 0x1edc6f41 : crc << 1;
	}
	return flags & DSA_CRC_RAW ? crc : ~reversed(crc, 32);
}

TEST(dsa, crc_is_that_of_iscsi)
{
	struct model_rig *rig = *state;
	struct dsa_record record;

	memcpy(at(rig, A), "123456789", 9);
	record = run(rig, operation(DSA_OP_CRC, A, 0, 9));
	assert_int_equal(record.status, DSA_SUCCESS);
	assert_int_equal(get_u64(record.specific), 0xe3069283); /* RFC 3720 appendix B.4 knows the next, too */
	memset(at(rig, A), 0, 32);
	assert_int_equal(get_u64(run(rig, operation(DSA_OP_CRC, A, 0, 32)).specific), 0x8a9136aa);
	memset(at(rig, A), 0xff, 32);
	assert_int_equal(get_u64(run(rig, operation(DSA_OP_CRC, A, 0, 32)).specific), 0x62a8ab43);
}

TEST(dsa, crc_with_any_flags_and_seed)
{
	struct model_rig *rig = *state;

	scramble(at(rig, A), 200000);
	for (unsigned i = 0; i < 64; i++) {
		u32 flags = (i & 3) << 17, seed = next_random() << 8,
		    size = next_random() % 200 + (i > 60 ? 199000 : 1);
		bool copies = i & 4;
		struct dsa_descriptor descriptor = operation(copies ? DSA_OP_COPY_CRC : DSA_OP_CRC, A + i,
							     copies ? B : 0, size);
		struct dsa_record record;

		memset(at(rig, B), 0, size);
		descriptor.flags |= flags;
		put_u32(descriptor.specific, seed);
		if (i & 8) {
			descriptor.flags |= DSA_CRC_READ_SEED;
			put_u32(descriptor.specific, 0);
			put_u64(descriptor.specific + 8, D);
			put_u32(at(rig, D), seed);
		}
		record = run(rig, descriptor);
		assert_int_equal(record.status, DSA_SUCCESS);
		assert_int_equal(get_u32(record.specific), plain_crc(at(rig, A + i), size, seed, flags));
		if (copies)
			assert_memory_equal(at(rig, A + i), at(rig, B), size);
	}
}

TEST(dsa, a_crc_goes_on_where_it_stopped)
{
	struct model_rig *rig = *state;

	scramble(at(rig, RIG_MEMORY - 5000), 5000);
	for (u32 flags = 0; flags < 4; flags++) {
		struct dsa_descriptor descriptor = operation(DSA_OP_COPY_CRC, RIG_MEMORY - 5000, B, 6000);
		struct dsa_record record;
		u32 whole;

		descriptor.flags |= flags << 17;
		put_u32(descriptor.specific, 0x12345678);
		record = run(rig, descriptor);
		assert_int_equal(record.status, DSA_PAGE_FAULT);
		assert_int_equal(record.completed, 5000);
		assert_int_equal(get_u32(record.specific), plain_crc(at(rig, B), 5000, 0x12345678, descriptor.flags));
		/* The rest is elsewhere; the seed is in the record. */
		memcpy(at(rig, A), at(rig, B), 5000);
		scramble(at(rig, A + 5000), 1000);
		whole = plain_crc(at(rig, A), 6000, 0x12345678, descriptor.flags);
		memcpy(at(rig, D), &record, sizeof(record));
		descriptor = operation(DSA_OP_CRC, A + 5000, 0, 1000);
		descriptor.flags |= flags << 17 | DSA_CRC_READ_SEED;
		put_u64(descriptor.specific + 8, D + 16);
		assert_int_equal(get_u32(run(rig, descriptor).specific), whole);
	}
}

TEST(dsa, crc_faults_and_overlaps)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor = operation(DSA_OP_CRC, A, 0, 64);
	struct dsa_record record;

	descriptor.flags |= DSA_CRC_READ_SEED;
	put_u64(descriptor.specific + 8, RIG_UNMAPPED);
	record = run(rig, descriptor);
	assert_int_equal(record.status, DSA_PAGE_FAULT);
	assert_int_equal(record.fault_address, RIG_UNMAPPED);
	assert_int_equal(record.completed, 0);
	assert_int_equal(get_u64(record.specific), 0);
	assert_int_equal(status_of(rig, operation(DSA_OP_COPY_CRC, A, A + 63, 64)), DSA_OVERLAP);
	assert_int_equal(status_of(rig, operation(DSA_OP_COPY_CRC, A + 64, A, 64)), DSA_SUCCESS);
	assert_int_equal(status_of(rig, operation(DSA_OP_COPY_CRC, A, RIG_UNMAPPED, 64)),
			 DSA_PAGE_FAULT | DSA_STATUS_WRITE);
	assert_int_equal(status_of(rig, operation(DSA_OP_COPY_CRC, ~0ull - 7, A, 64)), DSA_PAGE_FAULT);
}

/* ---- data integrity fields ---- */

static u16 plain_guard(const u8 *bytes, unsigned size, u8 flags)
{
	u16 crc = flags & DSA_DIF_INVERT_SEED ? 0xffff : 0;

	for (unsigned i = 0; i < size; i++) {
		crc ^= (u16)(bytes[i] << 8);
		for (unsigned bit = 0; bit < 8; bit++)
			crc = (u16)(crc & 0x8000 ? crc << 1 ^ 0x8bb7 : crc << 1);
	}
	return flags & DSA_DIF_INVERT_GUARD ? (u16)~crc : crc;
}

static void put_field(u8 *to, u16 guard, u16 app, u32 ref)
{
	put_u16(to, __builtin_bswap16(guard));
	put_u16(to + 2, __builtin_bswap16(app));
	put_u32(to + 4, __builtin_bswap32(ref));
}

static const u16 blocks[] = {512, 520, 4096, 4104};

/* count blocks with their fields, all right, at where. */
static void make_protected(u8 *where, unsigned count, u8 dif, u16 app, u32 ref)
{
	unsigned size = blocks[dif & 3];

	for (unsigned i = 0; i < count; i++, where += size + 8) {
		scramble(where, size);
		put_field(where + size, plain_guard(where, size, dif), app, ref + i);
	}
}

/* side 0: tags of the source; 1: of the destination. */
static void put_tags(struct dsa_descriptor *descriptor, unsigned side, u8 flags, u16 mask, u16 app, u32 ref)
{
	descriptor->specific[side] = flags;
	put_u32(descriptor->specific + 8 + 8 * side, ref);
	put_u16(descriptor->specific + 12 + 8 * side, mask);
	put_u16(descriptor->specific + 14 + 8 * side, app);
}

static struct dsa_descriptor dif(enum dsa_opcode opcode, u64 destination, u32 size, u8 flags)
{
	struct dsa_descriptor descriptor = operation(opcode, A, destination, size);

	descriptor.specific[2] = flags;
	return descriptor;
}

TEST(dsa, guards_are_those_of_t10)
{
	assert_int_equal(plain_guard((const u8 *)"123456789", 9, 0), 0xd0db);
}

TEST(dsa, fields_are_inserted_checked_updated_and_stripped)
{
	struct model_rig *rig = *state;

	for (u8 flags = 0; flags < 16; flags++) {
		unsigned size = blocks[flags & 3], count = flags % 4 * 11 + 3;
		struct dsa_descriptor descriptor = dif(DSA_OP_DIF_INSERT, B, count * size, flags);
		struct dsa_record record;

		scramble(at(rig, A), count * size);
		put_tags(&descriptor, 1, 0, 0x00f0, 0x1234, 0xfffffffe);
		record = run(rig, descriptor);
		assert_int_equal(record.status, DSA_SUCCESS);
		assert_int_equal(get_u32(record.specific + 8), (u32)(0xfffffffe + count));
		for (unsigned i = 0; i < count; i++) {
			u8 *block = at(rig, B + i * (size + 8)), field[8];

			assert_memory_equal(block, at(rig, A + i * size), size);
			put_field(field, plain_guard(block, size, flags), 0x1204, 0xfffffffe + i);
			assert_memory_equal(block + size, field, 8);
		}
		descriptor = dif(DSA_OP_DIF_CHECK, 0, count * (size + 8), flags);
		descriptor.source = B;
		put_tags(&descriptor, 0, 0, 0, 0x1204, 0xfffffffe);
		assert_int_equal(status_of(rig, descriptor), DSA_SUCCESS);
		/* New tags, which count; then off with them. */
		descriptor = dif(DSA_OP_DIF_UPDATE, C, count * (size + 8), flags);
		descriptor.source = B;
		put_tags(&descriptor, 0, 0, 0xffff, 0, 0xfffffffe);
		put_tags(&descriptor, 1, DSA_DIF_APP_INCREMENTS | DSA_DIF_REF_FIXED, 0, 0xfffe, 0xabcd);
		record = run(rig, descriptor);
		assert_int_equal(record.status, DSA_SUCCESS);
		assert_int_equal(get_u16(record.specific + 14), (u16)(0xfffe + count));
		descriptor = dif(DSA_OP_DIF_STRIP, D, count * (size + 8), flags);
		descriptor.source = C;
		put_tags(&descriptor, 0, DSA_DIF_APP_INCREMENTS | DSA_DIF_REF_FIXED, 0, 0xfffe, 0xabcd);
		assert_int_equal(status_of(rig, descriptor), DSA_SUCCESS);
		assert_memory_equal(at(rig, A), at(rig, D), count * size);
	}
}

TEST(dsa, updates_may_pass_tags_on)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor = dif(DSA_OP_DIF_UPDATE, B, 4 * 520, 0);

	make_protected(at(rig, A), 4, 0, 0x4321, 9);
	put_tags(&descriptor, 0, DSA_DIF_GUARD_UNCHECKED, 0, 0x4321, 9);
	put_field(at(rig, A + 512), 0xbeef, 0x4321, 9);
	put_tags(&descriptor, 1, DSA_DIF_GUARD_PASSES, 0, 1, 2);
	assert_int_equal(status_of(rig, descriptor), DSA_SUCCESS);
	assert_memory_equal(at(rig, B + 512), ((const u8[]){0xbe, 0xef, 0, 1, 0, 0, 0, 2}), 8);
	descriptor.specific[1] = DSA_DIF_APP_PASSES | DSA_DIF_REF_PASSES | DSA_DIF_GUARD_PASSES;
	assert_int_equal(status_of(rig, descriptor), DSA_SUCCESS);
	assert_memory_equal(at(rig, A), at(rig, B), 4 * 520);
}

TEST(dsa, wrong_fields_are_found)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor = dif(DSA_OP_DIF_STRIP, B, 300 * 520, 0);
	struct dsa_record record;
	u8 good[8];

	make_protected(at(rig, A), 300, 0, 0x4321, 9);
	put_tags(&descriptor, 0, 0, 0x0f00, 0x4321, 9);
	memcpy(good, at(rig, A + 280 * 520 + 512), 8);
	for (unsigned i = 1; i < 8; i++) {
		put_field(at(rig, A + 280 * 520 + 512), (u16)(__builtin_bswap16(get_u16(good)) ^ (i & 1)),
			  i & 2 ? 0x4320 : 0x4f21, /* bits 11:8 do not matter */
			  i & 4 ? 7 : 289);
		memset(at(rig, B), 0xee, 300 * 512);
		record = run(rig, descriptor);
		assert_int_equal(record.status, DSA_DIF_ERROR);
		assert_int_equal(record.result, i);
		assert_int_equal(record.completed, 280 * 520);
		assert_int_equal(get_u32(record.specific), 289);
		assert_int_equal(get_u16(record.specific + 4), 0x0f00);
		assert_int_equal(get_u16(record.specific + 6), 0x4321);
		/* What came before is there, and no more. */
		assert_memory_equal(at(rig, B + 279 * 512), at(rig, A + 279 * 520), 512);
		assert_int_equal(at(rig, B)[280 * 512], 0xee);
	}
	descriptor.specific[0] = DSA_DIF_GUARD_UNCHECKED | DSA_DIF_REF_UNCHECKED;
	put_u16(descriptor.specific + 12, 0xffff);
	assert_int_equal(status_of(rig, descriptor), DSA_SUCCESS);
}

TEST(dsa, ones_may_stand_for_nothing)
{
	static const struct {
		u16 guard, app;
		u32 ref;
		u8 flags, result;
	} rows[] = {
		{0, 0xffff, 0, 0, 7},
		{0, 0xffff, 0, DSA_DIF_DETECT_APP_F, 0},
		{0, 0xfffe, 0, DSA_DIF_DETECT_APP_F, 7},
		{0, 0xffff, 0, DSA_DIF_DETECT_APP_REF_F, 7},
		{0, 0xffff, ~0u, DSA_DIF_DETECT_APP_REF_F, 0},
		{0, 0xffff, ~0u, DSA_DIF_DETECT_ALL_F, 7},
		{0xffff, 0xffff, ~0u, DSA_DIF_DETECT_ALL_F, 0},
		{0xffff, 0xffff, ~0u, DSA_DIF_DETECT_ALL_F | DSA_DIF_ERROR_ALL_F, 8},
		{0xffff, 0xffff, ~0u, DSA_DIF_ERROR_ALL_F, 7},
	};
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor = dif(DSA_OP_DIF_CHECK, 0, 520, 0);

	memset(at(rig, A), 0x33, 512);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct dsa_record record;

		put_field(at(rig, A + 512), rows[i].guard, rows[i].app, rows[i].ref);
		put_tags(&descriptor, 0, rows[i].flags, 0, 1, 1);
		record = run(rig, descriptor);
		assert_int_equal(record.status, rows[i].result ? DSA_DIF_ERROR : DSA_SUCCESS);
		assert_int_equal(record.result, rows[i].result);
	}
}

TEST(dsa, fields_have_rules)
{
	static const u8 opcodes[] = {DSA_OP_DIF_CHECK, DSA_OP_DIF_INSERT, DSA_OP_DIF_STRIP, DSA_OP_DIF_UPDATE};
	struct model_rig *rig = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(opcodes); i++) {
		u32 unit = opcodes[i] == DSA_OP_DIF_INSERT ? 512 : 520;
		u64 destination = opcodes[i] == DSA_OP_DIF_CHECK ? 0 : B;

		assert_int_equal(status_of(rig, dif(opcodes[i], destination, unit + 1, 0)), DSA_BAD_SIZE);
		assert_int_equal(status_of(rig, dif(opcodes[i], destination, 0, 0)), DSA_BAD_SIZE);
		assert_int_equal(status_of(rig, dif(opcodes[i], destination, unit, 0x10)), DSA_BAD_RESERVED);
	}
	assert_int_equal(status_of(rig, dif(DSA_OP_DIF_INSERT, A + 511, 512, 0)), DSA_OVERLAP);
	assert_int_equal(status_of(rig, dif(DSA_OP_DIF_INSERT, A - 519, 512, 0)), DSA_OVERLAP);
	assert_int_equal(status_of(rig, dif(DSA_OP_DIF_INSERT, A - 520, 512, 0)), DSA_SUCCESS);
	assert_int_equal(status_of(rig, dif(DSA_OP_DIF_STRIP, A + 519, 520, 0)), DSA_OVERLAP);
	assert_int_equal(status_of(rig, dif(DSA_OP_DIF_UPDATE, A, 520, 0)), DSA_OVERLAP);
}

TEST(dsa, fields_stop_at_faults_between_blocks)
{
	struct model_rig *rig = *state;
	struct dsa_descriptor descriptor = dif(DSA_OP_DIF_INSERT, RIG_MEMORY - 3000, 10 * 512, 0);
	struct dsa_record record;

	put_tags(&descriptor, 1, 0, 0, 1, 100);
	record = run(rig, descriptor);
	assert_int_equal(record.status, DSA_PAGE_FAULT | DSA_STATUS_WRITE);
	assert_int_equal(record.completed, 5 * 512);
	assert_int_equal(record.fault_address, RIG_MEMORY);
	assert_int_equal(get_u32(record.specific + 8), 105);
	make_protected(at(rig, RIG_MEMORY - 6 * 520 - 100), 6, 0, 1, 100);
	descriptor = dif(DSA_OP_DIF_UPDATE, B, 10 * 520, 0);
	descriptor.source = RIG_MEMORY - 6 * 520 - 100;
	put_tags(&descriptor, 0, 0, 0, 1, 100);
	put_tags(&descriptor, 1, 0, 0, 7, 200);
	record = run(rig, descriptor);
	assert_int_equal(record.status, DSA_PAGE_FAULT);
	assert_int_equal(record.completed, 6 * 520);
	assert_int_equal(get_u32(record.specific), 106);
	assert_int_equal(get_u32(record.specific + 8), 206);
	descriptor = dif(DSA_OP_DIF_CHECK, 0, 520, 0);
	descriptor.source = ~0ull - 500;
	assert_int_equal(status_of(rig, descriptor), DSA_PAGE_FAULT);
}

/* ---- and all of them at their limits ---- */

TEST(dsa, all_that_is_announced_is_done)
{
	struct model_rig *rig = *state;
	u64 announced = rig_load(rig, 0, DSA_OPCAP, 8);

	for (unsigned opcode = 0; opcode < 64; opcode++) {
		u8 status = status_of(rig, operation((enum dsa_opcode)opcode, 0, 0, 0));

		assert_int_equal(status == DSA_BAD_OPCODE, !(announced >> opcode & 1));
	}
}

#define TEST_CASE(name) cmocka_unit_test_setup_teardown(dsa_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_CASE(moves_like_memmove),
		TEST_CASE(a_move_says_how_far_it_came),
		TEST_CASE(addresses_up_to_the_last_byte),
		TEST_CASE(sizes_have_a_range),
		TEST_CASE(fills_with_eight_bytes),
		TEST_CASE(casts_to_two_places),
		TEST_CASE(flushes_what_is_mapped),
		TEST_CASE(compares_to_the_first_difference),
		TEST_CASE(results_can_be_checked),
		TEST_CASE(compares_with_a_pattern),
		TEST_CASE(a_delta_makes_one_thing_of_the_other),
		TEST_CASE(a_delta_may_be_too_large),
		TEST_CASE(deltas_have_rules),
		TEST_CASE(entries_are_applied_up_to_a_bad_one),
		TEST_CASE(deltas_stop_at_faults),
		TEST_CASE(crc_is_that_of_iscsi),
		TEST_CASE(crc_with_any_flags_and_seed),
		TEST_CASE(a_crc_goes_on_where_it_stopped),
		TEST_CASE(crc_faults_and_overlaps),
		TEST_CASE(guards_are_those_of_t10),
		TEST_CASE(fields_are_inserted_checked_updated_and_stripped),
		TEST_CASE(updates_may_pass_tags_on),
		TEST_CASE(wrong_fields_are_found),
		TEST_CASE(ones_may_stand_for_nothing),
		TEST_CASE(fields_have_rules),
		TEST_CASE(fields_stop_at_faults_between_blocks),
		TEST_CASE(all_that_is_announced_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
