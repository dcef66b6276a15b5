/* SPDX-License-Identifier: MIT */
/* What hardware does with single entries, as bits: one leaf at IOVA 0 below tables whose first entries lead there. */
#include "tests/helpers.h"

#include <errno.h>

#include "isolde/pt.h"

#define RO   ISOLDE_PT_READ
#define WO   ISOLDE_PT_WRITE
#define EX   ISOLDE_PT_EXECUTE
#define PRIV ISOLDE_PT_PRIVILEGED
#define RW   (RO | WO)
#define RWX  (RW | EX)

/* Tables of 64 KiB, at an address for each level; the root is the highest. */
#define TABLE	   0x10000ull
#define ADDRESS(n) (0x100000ull + (n)*TABLE)

struct image {
	u64 tables[6][TABLE / 8];
	unsigned levels;
};

static void *image_table(void *context, u64 address, size_t size)
{
	struct image *image = context;

	if (address < ADDRESS(0) || address + size > ADDRESS(image->levels))
		return NULL;
	return (char *)image->tables + (address - ADDRESS(0));
}

struct row {
	enum isolde_pt_format format;
	unsigned granule, features, output_bits;
	u64 through; /* bits of every table entry, without the address; 0: the format's usual */
	u64 leaf;
	unsigned access;
	enum isolde_pt_fault fault;
	u64 physical;
	unsigned permission;
	u64 after; /* the leaf after the access; 0: unchanged */
};

/* VT-d 5.0 section 9.8; AMD 48882 section 2.2.3; Intel SDM 3A section 4.5; Arm ARM section D8.3; RISC-V 10.4, 11, 12 */
#define V  ISOLDE_PT_VTDSS
#define A  ISOLDE_PT_AMDV1
#define X  ISOLDE_PT_X86_64
#define S1 ISOLDE_PT_ARM64_S1
#define S2 ISOLDE_PT_ARM64_S2
#define R1 ISOLDE_PT_RISCV_S1
#define R2 ISOLDE_PT_RISCV_S2
#define D  ISOLDE_PT_DIRTY

static const struct row rows[] = {
	{V, .leaf = 0x5003, .access = RWX, .physical = 0x5000, .permission = RW},
	{V, .leaf = 0x5002, .access = WO, .physical = 0x5000, .permission = WO},
	{V, .leaf = 0x5002, .access = EX, .fault = ISOLDE_PT_PERMISSION},
	{V, .leaf = 0x5004, .access = 0, .fault = ISOLDE_PT_NOT_PRESENT},
	{V, .leaf = 0x5803, .access = RO, .fault = ISOLDE_PT_RESERVED},
	{V, .features = ISOLDE_PT_FORCE_SNOOP, .leaf = 0x5803, .access = RO, .physical = 0x5000, .permission = RW},
	{V, .through = 0x803, .leaf = 0x5003, .access = RO, .fault = ISOLDE_PT_RESERVED},
	{V, .through = 1, .leaf = 0x5003, .access = WO, .fault = ISOLDE_PT_PERMISSION},
	{V, .output_bits = 40, .leaf = BIT(40) | 3, .access = RO, .fault = ISOLDE_PT_RESERVED},
	{V, .features = D, .leaf = 0x5003, .access = RO, .physical = 0x5000, .permission = RW, .after = 0x5103},
	{V, .features = D, .leaf = 0x5003, .access = WO, .physical = 0x5000, .permission = RW, .after = 0x5303},
	{V, .features = D, .leaf = 0x5001, .access = WO, .fault = ISOLDE_PT_PERMISSION},

	{A, .leaf = BIT(61) | 0x5001, .access = RO | EX, .physical = 0x5000, .permission = RO},
	{A, .leaf = BIT(62) | BIT(61) | 0x7e01, .access = RW, .physical = 0, .permission = RW}, /* 64 KiB at 0 */
	{A, .leaf = 0x5001, .access = 0, .physical = 0x5000},
	{A, .leaf = 0x5001, .access = RO, .fault = ISOLDE_PT_PERMISSION},
	{A, .leaf = BIT(61) | 0x5401, .access = RO, .fault = ISOLDE_PT_RESERVED}, /* next level 2 in the last */
	{A, .leaf = BIT(61) | BIT(52) | 0x5001, .access = RO, .fault = ISOLDE_PT_RESERVED},
	{A, .leaf = BIT(61) | MASK(22, 12) | 0xe01, .access = RO, .fault = ISOLDE_PT_RESERVED}, /* 16 MiB */
	{A, .leaf = BIT(61) | 0x5000, .access = RO, .fault = ISOLDE_PT_NOT_PRESENT},
	{A, .features = D, .leaf = BIT(62) | 0x5001, .access = WO, .physical = 0x5000, .permission = WO,
	 .after = BIT(62) | 0x5061},

	{X, .leaf = 0x5007, .access = RWX, .physical = 0x5000, .permission = RWX},
	{X, .leaf = BIT(63) | 0x5005, .access = RO, .physical = 0x5000, .permission = RO},
	{X, .leaf = BIT(63) | 0x5005, .access = EX, .fault = ISOLDE_PT_PERMISSION},
	{X, .leaf = 0x5003, .access = RO, .fault = ISOLDE_PT_PERMISSION},
	{X, .leaf = 0x5003, .access = RWX | PRIV, .physical = 0x5000, .permission = RWX},
	{X, .through = 0x5, .leaf = 0x5007, .access = WO | PRIV, .fault = ISOLDE_PT_PERMISSION},
	{X, .through = BIT(63) | 7, .leaf = 0x5007, .access = EX, .fault = ISOLDE_PT_PERMISSION},
	{X, .leaf = 0x5006, .access = 0, .fault = ISOLDE_PT_NOT_PRESENT},
	{X, .output_bits = 46, .leaf = BIT(46) | 7, .access = RO, .fault = ISOLDE_PT_RESERVED},
	{X, .leaf = 0x5087, .access = RO, .physical = 0x5000, .permission = RWX}, /* PAT */
	{X, .features = D, .leaf = 0x5007, .access = WO, .physical = 0x5000, .permission = RWX, .after = 0x5067},

	{S1, .leaf = 0x5443, .access = RWX, .physical = 0x5000, .permission = RWX},
	{S1, .leaf = 0x5441, .access = 0, .fault = ISOLDE_PT_NOT_PRESENT}, /* no page */
	{S1, .leaf = 0x5043, .access = RO, .fault = ISOLDE_PT_ACCESS_FLAG},
	{S1, .leaf = 0x50c3, .access = WO, .fault = ISOLDE_PT_ACCESS_FLAG}, /* told before the permission */
	{S1, .leaf = 0x54c3, .access = WO, .fault = ISOLDE_PT_PERMISSION},
	{S1, .leaf = 0x5403, .access = RO, .fault = ISOLDE_PT_PERMISSION},
	{S1, .leaf = 0x5403, .access = RW | PRIV, .physical = 0x5000, .permission = RWX},
	{S1, .leaf = 0x5443, .access = EX | PRIV, .fault = ISOLDE_PT_PERMISSION}, /* EL0 may write it */
	{S1, .leaf = BIT(54) | 0x54c3, .access = EX, .fault = ISOLDE_PT_PERMISSION},
	{S1, .through = BIT(62) | 3, .leaf = 0x5443, .access = WO, .fault = ISOLDE_PT_PERMISSION},
	{S1, .through = BIT(61) | 3, .leaf = 0x5443, .access = RO, .fault = ISOLDE_PT_PERMISSION},
	{S1, .through = BIT(60) | 3, .leaf = 0x5443, .access = EX, .fault = ISOLDE_PT_PERMISSION},
	{S1, .output_bits = 36, .leaf = BIT(36) | 0x443, .access = RO, .fault = ISOLDE_PT_OUTPUT},
	{S1, .features = D, .leaf = BIT(51) | 0x50c3, .access = WO, .physical = 0x5000, .permission = RWX,
	 .after = BIT(51) | 0x5443},
	{S1, .features = D, .leaf = 0x50c3, .access = RO, .physical = 0x5000, .permission = RO | EX, .after = 0x54c3},
	{S1, .granule = 65536, .leaf = 0x50443, .access = RO, .physical = 0x50000, .permission = RWX},
	{S2, .leaf = 0x54c3, .access = RWX, .physical = 0x5000, .permission = RWX},
	{S2, .leaf = 0x5483, .access = WO, .physical = 0x5000, .permission = WO | EX},
	{S2, .leaf = BIT(54) | 0x54c3, .access = EX, .fault = ISOLDE_PT_PERMISSION},
	{S2, .leaf = BIT(53) | 0x54c3, .access = EX | PRIV, .fault = ISOLDE_PT_PERMISSION},
	{S2, .through = 7ull << 60 | 3, .leaf = 0x54c3, .access = RW, .physical = 0x5000, .permission = RWX},
	{S2, .features = D, .leaf = BIT(51) | 0x5443, .access = WO, .physical = 0x5000, .permission = RWX,
	 .after = BIT(51) | 0x54c3},

	{R1, .leaf = 5 << 10 | 0xdf, .access = RWX, .physical = 0x5000, .permission = RWX},
	{R1, .leaf = 5 << 10 | 0x9f, .access = RO, .fault = ISOLDE_PT_ACCESS_FLAG},
	{R1, .leaf = 5 << 10 | 0x5f, .access = WO, .fault = ISOLDE_PT_ACCESS_FLAG},
	{R1, .leaf = 5 << 10 | 0x13, .access = WO, .fault = ISOLDE_PT_PERMISSION}, /* told before the bits */
	{R1, .leaf = 5 << 10 | 0xd5, .access = RO, .fault = ISOLDE_PT_RESERVED},   /* W without R */
	{R1, .leaf = 5 << 10 | 0xd9, .access = EX, .physical = 0x5000, .permission = EX},
	{R1, .leaf = 5 << 10 | 0xcf, .access = RO, .fault = ISOLDE_PT_PERMISSION},
	{R1, .leaf = 5 << 10 | 0xcf, .access = RWX | PRIV, .physical = 0x5000, .permission = RWX},
	{R1, .leaf = 5 << 10 | 0xdf, .access = RW | PRIV, .physical = 0x5000, .permission = RW},
	{R1, .leaf = 5 << 10 | 0xdf, .access = EX | PRIV, .fault = ISOLDE_PT_PERMISSION},
	{R1, .leaf = 5 << 10 | 1, .access = 0, .fault = ISOLDE_PT_RESERVED}, /* a table below the last */
	{R1, .leaf = BIT(54) | 5 << 10 | 0xdf, .access = RO, .fault = ISOLDE_PT_RESERVED},
	{R1, .leaf = BIT(61) | 5 << 10 | 0xdf, .access = RO, .fault = ISOLDE_PT_RESERVED},
	{R1, .features = ISOLDE_PT_MEMORY_TYPES, .leaf = BIT(61) | 5 << 10 | 0xdf, .access = RO, .physical = 0x5000,
	 .permission = RWX},
	{R1, .features = ISOLDE_PT_MEMORY_TYPES, .leaf = 3ull << 61 | 5 << 10 | 0xdf, .access = RO,
	 .fault = ISOLDE_PT_RESERVED},
	{R1, .leaf = BIT(63) | 0x18 << 10 | 0xdf, .access = RO, .fault = ISOLDE_PT_RESERVED},
	{R1, .features = ISOLDE_PT_CONTIGUOUS, .leaf = BIT(63) | 0x18 << 10 | 0xdf, .access = RO, .physical = 0x10000,
	 .permission = RWX},
	{R1, .features = ISOLDE_PT_CONTIGUOUS, .leaf = BIT(63) | 0x14 << 10 | 0xdf, .access = RO,
	 .fault = ISOLDE_PT_RESERVED},
	{R1, .through = 0x11, .leaf = 5 << 10 | 0xdf, .access = RO, .fault = ISOLDE_PT_RESERVED},
	{R1, .output_bits = 40, .leaf = BIT(38) | 0xdf, .access = RO, .fault = ISOLDE_PT_OUTPUT},
	{R1, .features = D, .leaf = 5 << 10 | 0x1f, .access = WO, .physical = 0x5000, .permission = RWX,
	 .after = 5 << 10 | 0xdf},
	{R2, .leaf = 5 << 10 | 0xcf, .access = RO | PRIV, .fault = ISOLDE_PT_PERMISSION}, /* U is needed */
	{R2, .leaf = 5 << 10 | 0xdf, .access = RWX | PRIV, .physical = 0x5000, .permission = RWX},
};

/* What leads to the table of the level below. */
static u64 table_entry(const struct row *row, unsigned level)
{
	static const u64 usual[ISOLDE_PT_FORMATS] = {[V] = 3, [X] = 7, [S1] = 3, [S2] = 3, [R1] = 1, [R2] = 1};
	u64 through = row->through ? row->through : usual[row->format];

	switch (row->format) {
	case R1:
	case R2:
		return ADDRESS(level - 1) >> 2 | through;
	case A:
		return ADDRESS(level - 1) | BIT(62) | BIT(61) | level << 9 | 1;
	default:
		return ADDRESS(level - 1) | through;
	}
}

static struct isolde_pt *adopt(const struct row *row, struct image *image)
{
	const struct isolde_pt_config config = {
		.size = sizeof(config),
		.format = row->format,
		.granule = row->granule,
		.features = row->features,
		.output_bits = row->output_bits,
		.memory = {.table = image_table, .context = image},
	};
	struct isolde_pt *pt = NULL;
	unsigned levels;

	/* The root's address depends on the levels, which the default width decides. */
	assert_int_equal(isolde_pt_adopt(&config, ADDRESS(0), &pt), 0);
	isolde_pt_root(pt, &levels);
	isolde_pt_free(pt);
	image->levels = levels;
	assert_int_equal(isolde_pt_adopt(&config, ADDRESS(levels - 1), &pt), 0);
	return pt;
}

static void check_row(const struct row *row, unsigned number)
{
	struct image *image = calloc(1, sizeof(*image));
	struct isolde_pt *pt = adopt(row, image);
	struct isolde_pt_walk walk;
	enum isolde_pt_fault fault;

	for (unsigned level = 1; level < image->levels; level++)
		image->tables[level][0] = table_entry(row, level);
	image->tables[0][0] = row->leaf;
	fault = isolde_pt_walk(pt, 0, row->access, &walk);
	if (fault != row->fault || walk.physical != row->physical || walk.permission != row->permission)
		fail_msg("row %u: fault %d, physical 0x%llx, permission %u", number, (int)fault,
			 (unsigned long long)walk.physical, walk.permission);
	assert_int_equal(image->tables[0][0], row->after ? row->after : row->leaf);
	isolde_pt_free(pt);
	free(image);
}

TEST(walk, entries_mean_what_the_specifications_say)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		check_row(&rows[i], i);
}

/* VT-d and x86-64 mark tables, too; presence alone marks nothing. */
TEST(walk, accessed_bits_are_set_on_the_way)
{
	const struct row row = {V, .features = D, .leaf = 0x5003};
	struct image *image = calloc(1, sizeof(*image));
	struct isolde_pt *pt = adopt(&row, image);
	struct isolde_pt_walk walk;

	for (unsigned level = 1; level < image->levels; level++)
		image->tables[level][0] = table_entry(&row, level);
	image->tables[0][0] = row.leaf;
	assert_int_equal(isolde_pt_walk(pt, 0, 0, &walk), ISOLDE_PT_OK);
	assert_int_equal(isolde_pt_walk(pt, 0x1000, RO, &walk), ISOLDE_PT_NOT_PRESENT);
	assert_int_equal(image->tables[3][0], ADDRESS(2) | 3);
	assert_int_equal(isolde_pt_walk(pt, 0, RO, &walk), ISOLDE_PT_OK);
	for (unsigned level = 1; level < image->levels; level++)
		assert_int_equal(image->tables[level][0], ADDRESS(level - 1) | 0x103);
	assert_int_equal(image->tables[0][0], 0x5103);
	isolde_pt_free(pt);
	free(image);
}

static void *low_table(void *context, u64 address, size_t size)
{
	return address + size > 4 * 4096 ? NULL : (char *)context + address;
}

/* A guest's tables may lie anywhere, the root at address 0. */
TEST(walk, a_root_at_address_zero_is_marked_too)
{
	static u64 tables[4][512] __attribute__((aligned(4096)));
	const struct isolde_pt_config config = {
		.size = sizeof(config),
		.format = ISOLDE_PT_VTDSS,
		.features = ISOLDE_PT_DIRTY,
		.memory = {.table = low_table, .context = tables},
	};
	struct isolde_pt_walk walk;
	struct isolde_pt *pt;

	for (unsigned level = 0; level < 3; level++)
		tables[level][0] = (level + 1) * 4096 | 3;
	tables[3][0] = 0x5003;
	assert_int_equal(isolde_pt_adopt(&config, 0, &pt), 0);
	assert_int_equal(isolde_pt_walk(pt, 0, WO, &walk), ISOLDE_PT_OK);
	assert_int_equal(tables[0][0], 0x1103);
	assert_int_equal(tables[1][0], 0x2103);
	assert_int_equal(tables[3][0], 0x5303);
	isolde_pt_free(pt);
}

/* AMD 48882 section 2.2.3: the IOVA's bits of the levels in between must be zero. */
TEST(walk, amd_tables_may_skip_levels)
{
	const struct row row = {A};
	struct image *image = calloc(1, sizeof(*image));
	struct isolde_pt *pt = adopt(&row, image);
	struct isolde_pt_walk walk;
	u64 bitmap = 0;

	image->tables[5][1] = ADDRESS(0) | BIT(62) | BIT(61) | 1 << 9 | 1;
	image->tables[0][7] = BIT(62) | 0x5001;
	assert_int_equal(isolde_pt_walk(pt, BIT(57) | 0x7123, WO, &walk), ISOLDE_PT_OK);
	assert_int_equal(walk.physical, 0x5123);
	assert_int_equal(isolde_pt_walk(pt, BIT(57) | BIT(21) | 0x7123, WO, &walk), ISOLDE_PT_NOT_PRESENT);
	assert_int_equal(isolde_pt_walk(pt, BIT(57) | BIT(56) | 0x7123, WO, &walk), ISOLDE_PT_NOT_PRESENT);
	/* A next level that is not below: no walk goes round in circles. */
	image->tables[5][2] = ADDRESS(5) | BIT(62) | BIT(61) | 6 << 9 | 1;
	assert_int_equal(isolde_pt_walk(pt, BIT(58), RO, &walk), ISOLDE_PT_RESERVED);
	assert_int_equal(isolde_pt_read_dirty(pt, 0, 0x1000, 0x1000, 0, &bitmap, NULL), -EOPNOTSUPP);
	isolde_pt_free(pt);
	free(image);
}

TEST(walk, tables_outside_of_memory_are_faults)
{
	const struct row row = {X, .leaf = 0x5007};
	struct image *image = calloc(1, sizeof(*image));
	struct isolde_pt *pt = adopt(&row, image);
	struct isolde_pt_walk walk;

	image->tables[3][0] = ADDRESS(6) | 7;
	assert_int_equal(isolde_pt_walk(pt, 0, RO, &walk), ISOLDE_PT_TABLE);
	assert_int_equal(walk.level, 2);
	assert_int_equal(isolde_pt_iova_to_phys(pt, 0), 0);
	/* A root that is its own table, four times, is a leaf at last. */
	image->tables[3][0] = ADDRESS(3) | 7;
	assert_int_equal(isolde_pt_walk(pt, 0x123, RO, &walk), ISOLDE_PT_OK);
	assert_int_equal(walk.physical, ADDRESS(3) | 0x123);
	isolde_pt_free(pt);
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(walk, entries_mean_what_the_specifications_say), CASE(walk, accessed_bits_are_set_on_the_way),
		CASE(walk, a_root_at_address_zero_is_marked_too),     CASE(walk, amd_tables_may_skip_levels),
		CASE(walk, tables_outside_of_memory_are_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
