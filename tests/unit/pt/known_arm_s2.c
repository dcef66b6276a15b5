/* SPDX-License-Identifier: MIT */
/* Arm VMSAv8-64 stage 2: table images by hand, from Arm ARM D8.3, D8.4.2 and D8.2.2 (concatenated roots). */
#include "tests/fixtures/pt_known.h"
#include "tests/helpers.h"

/*
 * Leaf: 54:53 XN, 52 contiguous, 51 DBM, address, 11 FnXS, 10 AF, 9:8 SH, 7 S2AP write, 6 S2AP read, 5:2 MemAttr,
 * 1:0 = 01 block, 11 page. 0x7.. is AF and inner shareable, MemAttr is 1111. Tables have no permissions.
 */
static const struct known_entry entries[] = {
	/* level 1, two tables side by side: bits 39:30 */
	{0x20000, 0x0000000000022003}, /* table 0x22000 */
	{0x20008, 0x00000000800007fd}, /* read write, 1 GiB at 0x80000000 */
	{0x20010, 0x7800000000022003}, /* bits 62:59, permissions in stage 1: ignored here */
	{0x20018, 0x0000010000022003}, /* bit 40: beyond the output */
	{0x21000, 0x0000000000022003}, /* the first of the second table */
	{0x21ff8, 0x00000000c00007fd}, /* the last: 1 GiB at 0xc0000000 */
	/* level 2 */
	{0x22000, 0x0000000000023003}, /* table 0x23000 */
	{0x22008, 0x000000004020077d}, /* read, 2 MiB at 0x40200000 */
	{0x22010, 0x00000100402007fd}, /* bit 40 */
	/* level 3 */
	{0x23000, 0x00000000123457ff}, /* S2AP 11 */
	{0x23008, 0x000000001234577f}, /* S2AP 01: read */
	{0x23010, 0x00000000123457bf}, /* S2AP 10: write */
	{0x23018, 0x000000001234573f}, /* S2AP 00 */
	{0x23020, 0x00400000123457ff}, /* XN 10: nobody executes */
	{0x23028, 0x00200000123457ff}, /* XN 01: EL0 executes */
	{0x23030, 0x00600000123457ff}, /* XN 11: EL1 executes */
	{0x23038, 0x000800001234577f}, /* DBM, S2AP 01 */
	{0x23040, 0x00000000123453ff}, /* AF clear */
	{0x23048, 0x00000000123457fd}, /* 1:0 = 01: reserved, as if invalid */
	{0x23050, 0x0000000012345fe7}, /* FnXS, MemAttr 1001 */
	{0x23058, 0x00080000123457ff}, /* DBM, S2AP 11 */
	{0x23080, 0x00100000123507ff}, /* contiguous: sixteen from 0x12350000 */
	{0x230f8, 0x001000001235f7ff},
};

static const struct known_answer answers[] = {
	{0x0000abc, R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0001abc, R | X, WALKER_OK, 0x12345abc, KIB(4), R | X},
	{0x0001abc, W, WALKER_PERMISSION, 0x12345abc, KIB(4), R | X},
	{0x0002abc, W, WALKER_OK, 0x12345abc, KIB(4), W | X},
	{0x0002abc, R, WALKER_PERMISSION, 0x12345abc, KIB(4), W | X},
	{0x0003abc, R, WALKER_PERMISSION, 0x12345abc, KIB(4), X},
	/* XN, for EL0 and EL1. */
	{0x0004abc, X, WALKER_PERMISSION, 0x12345abc, KIB(4), R | W},
	{0x0004abc, S | X, WALKER_PERMISSION, 0x12345abc, KIB(4), R | W},
	{0x0005abc, X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0005abc, S | X, WALKER_PERMISSION, 0x12345abc, KIB(4), R | W},
	{0x0006abc, X, WALKER_PERMISSION, 0x12345abc, KIB(4), R | W},
	{0x0006abc, S | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0007abc, W, WALKER_PERMISSION, 0x12345abc, KIB(4), R | X},
	{0x0008abc, R, WALKER_ACCESS_FLAG, 0x12345abc, KIB(4), R | W | X},
	{0x0009abc, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0x000aabc, R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0010abc, R, WALKER_OK, 0x12350abc, KIB(64), R | W | X},
	{0x001fabc, R, WALKER_OK, 0x1235fabc, KIB(64), R | W | X},
	{0x0212345, R | X, WALKER_OK, 0x40212345, MIB(2), R | X},
	{0x0412345, R, WALKER_OUTPUT, 0, 0, 0},
	{0x0040000000, R | W | X, WALKER_OK, 0x80000000, GIB(1), R | W | X},
	{0x0080000abc, R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x00c0000abc, R, WALKER_OUTPUT, 0, 0, 0},
	/* The second table of the root. */
	{0x8000000abc, R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0xffffffffff, R | W | X, WALKER_OK, 0xffffffff, GIB(1), R | W | X},
	{0x10000000000, R, WALKER_ADDRESS, 0, 0, 0},
	{0xffffffffffffffff, R, WALKER_ADDRESS, 0, 0, 0},
};

static const struct isolde_pt_config s2_4k_config = {.size = sizeof(s2_4k_config),
						     .format = ISOLDE_PT_ARM64_S2,
						     .input_bits = 40,
						     .levels = 3,
						     .output_bits = 40,
						     .features = ISOLDE_PT_CONTIGUOUS};

static const struct known_image s2_4k = KNOWN_IMAGE(&s2_4k_config, entries, answers, .format = WALKER_ARM, .levels = 3,
						    .width = 40, .granule = 12, .physical_width = 40,
						    .flags = WALKER_STAGE2, .root = 0x20000);

static const struct known_answer tracked_answers[] = {
	{0x0007abc, W, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0008abc, W, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0001abc, W, WALKER_PERMISSION, 0x12345abc, KIB(4), R | X},
};

static const struct isolde_pt_config tracked_config = {.size = sizeof(tracked_config),
						       .format = ISOLDE_PT_ARM64_S2,
						       .input_bits = 40,
						       .levels = 3,
						       .output_bits = 40,
						       .features = ISOLDE_PT_CONTIGUOUS | ISOLDE_PT_DIRTY};

static const struct known_image tracked = KNOWN_IMAGE(&tracked_config, entries, tracked_answers, .format = WALKER_ARM,
						      .levels = 3, .width = 40, .granule = 12, .physical_width = 40,
						      .flags = WALKER_STAGE2 | WALKER_HARDWARE_AD, .root = 0x20000);

/* Without FEAT_XNX bit 53 says nothing. */
static const struct known_answer plain_xn_answers[] = {
	{0x0004abc, S | X, WALKER_PERMISSION, 0x12345abc, KIB(4), R | W},
	{0x0005abc, S | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0006abc, S | X, WALKER_PERMISSION, 0x12345abc, KIB(4), R | W},
};

static const struct known_image plain_xn = KNOWN_IMAGE(NULL, entries, plain_xn_answers, .format = WALKER_ARM,
						       .levels = 3, .width = 40, .granule = 12, .physical_width = 40,
						       .flags = WALKER_STAGE2 | WALKER_NO_XNX, .root = 0x20000);

TEST(known_arm_s2, two_tables_as_root)
{
	known_check_walker(&s2_4k);
	known_check_adopted(&s2_4k);
}

TEST(known_arm_s2, hardware_that_tracks_accesses_and_writes)
{
	known_check_walker(&tracked);
	known_check_adopted(&tracked);
}

TEST(known_arm_s2, execution_without_privileges)
{
	known_check_walker(&plain_xn);
}

TEST(known_arm_s2, attributes_and_use_of_leaves)
{
	known_check_leaf(&s2_4k, 0x0000, 0x33c, true, false);
	known_check_leaf(&s2_4k, 0x1000, 0x33c, true, false);
	known_check_leaf(&s2_4k, 0x7000, 0x33c, true, false);
	known_check_leaf(&s2_4k, 0xb000, 0x33c, true, true);
	known_check_leaf(&s2_4k, 0x8000, 0x33c, false, false);
	known_check_leaf(&s2_4k, 0xa000, BIT(11) | 0x300 | 0x24, true, false);
}

/* Leaves are normal memory, written back. */
static const struct known_mapping every_size_mappings[] = {
	{0x1000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x00400000123457ff, 0x00400000123457ff,
	 3}, /* XN 10, AF, SH 11, S2AP 11, MemAttr 1111 */
	{0x2000, 0x12345000, KIB(4), ISOLDE_PT_READ, 0x004000001234577f, 0x004000001234577f, 3},  /* S2AP 01 */
	{0x3000, 0x12345000, KIB(4), ISOLDE_PT_WRITE, 0x00400000123457bf, 0x00400000123457bf, 3}, /* S2AP 10 */
	{0x4000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_EXECUTE, 0x00000000123457ff,
	 0x00000000123457ff, 3}, /* XN 00 */
	{0x6000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_UNCACHED, 0x00400000123456d7,
	 0x00400000123456d7, 3}, /* SH 10, MemAttr 0101: not cacheable */
	{0x7000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_DEVICE, 0x00400000123456c7,
	 0x00400000123456c7, 3}, /* SH 10, MemAttr 0001: Device-nGnRE */
	{0x10000, 0x12350000, KIB(64), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x00500000123507ff, 0x005000001235f7ff,
	 3}, /* contiguous */
	{0x200000, 0x40200000, MIB(2), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x00400000402007fd, 0x00400000402007fd, 2},
	{0x8040000000, 0x80000000, GIB(1), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x00400000800007fd, 0x00400000800007fd,
	 1}, /* in the second table of the root */
};

TEST(known_arm_s2, isolde_builds_every_size)
{
	static const struct isolde_pt_config config = {.size = sizeof(config),
						       .format = ISOLDE_PT_ARM64_S2,
						       .input_bits = 40,
						       .levels = 3,
						       .features = ISOLDE_PT_CONTIGUOUS};
	const struct known_tables tables = {MASK(47, 12), 3, BIT(12) | BIT(16) | BIT(21) | BIT(25) | BIT(30) | BIT(34)};

	known_check_built(&config, tables, every_size_mappings, ARRAY_SIZE(every_size_mappings));
}

/* What hardware marks, before and after. */
TEST(known_arm_s2, isolde_tracks_writes)
{
	static const struct isolde_pt_config config0 = {
		.size = sizeof(config0), .features = ISOLDE_PT_DIRTY, .format = ISOLDE_PT_ARM64_S2, .input_bits = 48};

	known_check_tracked(&config0, 0x00480000123457ff, 0x004800001234577f, 0x004800001234577f, 0x00480000123457ff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(known_arm_s2, two_tables_as_root),
		CASE(known_arm_s2, hardware_that_tracks_accesses_and_writes),
		CASE(known_arm_s2, execution_without_privileges),
		CASE(known_arm_s2, attributes_and_use_of_leaves),
		CASE(known_arm_s2, isolde_builds_every_size),
		CASE(known_arm_s2, isolde_tracks_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
