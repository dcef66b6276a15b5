/* SPDX-License-Identifier: MIT */
/*
 * x86-64 first stage: table images by hand, from Intel SDM 3A tables 4-14 to 4-20, and what 4.6 and 4.7 say the MMU
 * does with them.
 */
#include "tests/fixtures/pt_known.h"
#include "tests/helpers.h"

/*
 * Entry: 63 XD, 62:52 ignored, 51:M reserved, address, 11:9 ignored, 8 G, 7 PS (PAT of a PTE; reserved in PML4E and
 * PML5E), 6 D, 5 A, 4 PCD, 3 PWT, 2 U/S, 1 R/W, 0 P. Of a large page 12 is PAT, the address bits below the size are
 * reserved. M is 46 here.
 */
static const struct known_entry four_entries[] = {
	/* PML4 */
	{0x10000, 0x0000000000011007}, /* U W P, 0x11000 */
	{0x10008, 0x0000000000011087}, /* bit 7 is reserved in PML4E */
	{0x10010, 0x0000000000011005}, /* U P: read-only */
	{0x10018, 0x0000000000011003}, /* W P: supervisor */
	{0x10020, 0x8000000000011007}, /* XD U W P */
	{0x10028, 0x7ff0000000011f7f}, /* U W P, and all that is ignored: 62:52, 11:8, 6; PCD PWT A */
	{0x10030, 0x0000400000011007}, /* bit 46 */
	{0x10038, 0x0000000077777007}, /* no memory there */
	{0x10040, 0x0000000000010007}, /* this very table */
	{0x107f8, 0x0000000000011007}, /* the last of the lower half */
	{0x10800, 0x0000000000011007}, /* the first of the upper half */
	{0x10ff8, 0x0000000000011007}, /* the last */
	/* PDPT */
	{0x11000, 0x0000000000012007}, /* U W P, 0x12000 */
	{0x11008, 0x0000000080000087}, /* U W P PS, 1 GiB at 0x80000000 */
	{0x11010, 0x00000000800010e7}, /* U W P PS A D PAT, 1 GiB */
	{0x11018, 0x0000000080002087}, /* bit 13 of a 1 GiB page is reserved */
	{0x11020, 0x00000000a0000087}, /* bit 29 */
	{0x11028, 0x0000000000012005}, /* U P */
	{0x11030, 0x0000000000012003}, /* W P */
	/* PD */
	{0x12000, 0x0000000000013007}, /* U W P, 0x13000 */
	{0x12008, 0x80000000402011ff}, /* XD U W P PS PCD PWT A D G PAT; 2 MiB at 0x40200000 */
	{0x12010, 0x0000000040202087}, /* bit 13 of a 2 MiB page is reserved */
	{0x12018, 0x0000000040300087}, /* bit 20 */
	{0x12020, 0x0000000040200085}, /* U P PS */
	{0x12028, 0x0000000040200083}, /* W P PS */
	/* PT */
	{0x13000, 0x0000000012345007}, /* U W P */
	{0x13008, 0x0000000012345005}, /* U P */
	{0x13010, 0x0000000012345003}, /* W P */
	{0x13018, 0x0000000012345001}, /* P */
	{0x13020, 0x8000000012345007}, /* XD U W P */
	{0x13028, 0xfffffffffffffffe}, /* not present, whatever the rest */
	{0x13030, 0x7ff0000012345fff}, /* U W P, all that is ignored, and PAT (bit 7) */
	{0x13038, 0x0008000012345007}, /* bit 51 */
	{0x13040, 0x00003ffffffff007}, /* the highest address of 46 bits */
	{0x13050, 0x000000001234502f}, /* A, PWT */
	{0x13058, 0x0000000012345057}, /* D, PCD */
	{0x13060, 0x0000000012345187}, /* G, PAT of a PTE */
	{0x13068, 0x0000000012345e07}, /* 11:9 are ignored */
};

static const struct known_answer four_answers[] = {
	/* A user's rights by the leaf. */
	{0x0000000abc, R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0000001abc, R | X, WALKER_OK, 0x12345abc, KIB(4), R | X},
	{0x0000001abc, W, WALKER_PERMISSION, 0x12345abc, KIB(4), R | X},
	{0x0000002abc, R, WALKER_PERMISSION, 0x12345abc, KIB(4), 0},
	{0x0000003abc, X, WALKER_PERMISSION, 0x12345abc, KIB(4), 0},
	{0x0000004abc, R | W, WALKER_OK, 0x12345abc, KIB(4), R | W},
	{0x0000004abc, X, WALKER_PERMISSION, 0x12345abc, KIB(4), R | W},
	{0x0000005abc, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0x0000006abc, R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0000007abc, R, WALKER_RESERVED, 0, 0, 0},
	{0x0000008fff, R | W | X, WALKER_OK, 0x3fffffffffff, KIB(4), R | W | X},
	{0x0000009abc, R, WALKER_NOT_PRESENT, 0, 0, 0},
	/* A supervisor's. */
	{0x0000002abc, S | R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0000003abc, S | R | X, WALKER_OK, 0x12345abc, KIB(4), R | X},
	{0x0000003abc, S | W, WALKER_PERMISSION, 0x12345abc, KIB(4), R | X},
	{0x0000004abc, S | X, WALKER_PERMISSION, 0x12345abc, KIB(4), R | W},
	/* Large pages; bit 12 is PAT and no address. */
	{0x0000200000, R | W, WALKER_OK, 0x40200000, MIB(2), R | W},
	{0x00003fffff, R | W, WALKER_OK, 0x403fffff, MIB(2), R | W},
	{0x0000400000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0000600000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0000812345, R | X, WALKER_OK, 0x40212345, MIB(2), R | X},
	{0x0000a12345, R, WALKER_PERMISSION, 0x40212345, MIB(2), 0},
	{0x0040000000, R | W | X, WALKER_OK, 0x80000000, GIB(1), R | W | X},
	{0x007fffffff, R | W | X, WALKER_OK, 0xbfffffff, GIB(1), R | W | X},
	{0x0080001234, R | W | X, WALKER_OK, 0x80001234, GIB(1), R | W | X},
	{0x00c0000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0100000000, R, WALKER_RESERVED, 0, 0, 0},
	/* Rights of all levels together. */
	{0x0140000abc, W, WALKER_PERMISSION, 0x12345abc, KIB(4), R | X},
	{0x0180000abc, R, WALKER_PERMISSION, 0x12345abc, KIB(4), 0},
	{0x0180000abc, S | R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x10000000abc, W, WALKER_PERMISSION, 0x12345abc, KIB(4), R | X},
	{0x10040000abc, W, WALKER_PERMISSION, 0x80000abc, GIB(1), R | X},
	{0x18000000abc, R, WALKER_PERMISSION, 0x12345abc, KIB(4), 0},
	{0x20000000abc, R | W, WALKER_OK, 0x12345abc, KIB(4), R | W},
	{0x20000000abc, X, WALKER_PERMISSION, 0x12345abc, KIB(4), R | W},
	{0x28000000abc, R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	/* The upper entries. */
	{0x08000000abc, R, WALKER_RESERVED, 0, 0, 0},
	{0x30000000abc, R, WALKER_RESERVED, 0, 0, 0},
	{0x38000000abc, R, WALKER_MEMORY, 0, 0, 0},
	{0x48000000abc, R, WALKER_NOT_PRESENT, 0, 0, 0},
	/* A loop through entry 8: the entry at the end is a PTE like any other. */
	{0x40201008abc, R | W, WALKER_OK, 0x10abc, KIB(4), R | W | X},
	/* Canonical addresses: bits 63:48 equal bit 47. */
	{0x00007f8000000abc, R, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0000800000000abc, R, WALKER_ADDRESS, 0, 0, 0},
	{0xffff7f8000000abc, R, WALKER_ADDRESS, 0, 0, 0},
	{0xffff800000000abc, R, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0xffffff8000000abc, R, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x7fffff8000000abc, R, WALKER_ADDRESS, 0, 0, 0},
	{0xfffeff8000000abc, R, WALKER_ADDRESS, 0, 0, 0},
	{0x0001000000000000, R, WALKER_ADDRESS, 0, 0, 0},
};

static const struct isolde_pt_config four_config = {.size = sizeof(four_config),
						    .format = ISOLDE_PT_X86_64,
						    .levels = 4,
						    .output_bits = 46,
						    .half = ISOLDE_PT_BOTH};

static const struct known_image four = KNOWN_IMAGE(&four_config, four_entries, four_answers, .format = WALKER_X86,
						   .levels = 4, .physical_width = 46, .root = 0x10000);

/* 4.6.1 with CR0.WP = 0 and CR4.SMEP = 1, EFER.NXE = 0, no 1 GiB pages. */
static const struct known_answer old_answers[] = {
	{0x0000001abc, S | W, WALKER_OK, 0x12345abc, KIB(4), R | W},
	{0x0000001abc, W, WALKER_PERMISSION, 0x12345abc, KIB(4), R | X},
	{0x0000003abc, S | R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0000000abc, S | X, WALKER_PERMISSION, 0x12345abc, KIB(4), R | W},
	{0x0000000abc, X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x18000000abc, S | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0000004abc, R, WALKER_RESERVED, 0, 0, 0},
	{0x20000000abc, R, WALKER_RESERVED, 0, 0, 0},
	{0x0040000000, R, WALKER_RESERVED, 0, 0, 0},
};

static const struct known_image old =
	KNOWN_IMAGE(NULL, four_entries, old_answers, .format = WALKER_X86, .levels = 4, .physical_width = 46,
		    .flags = WALKER_NO_WP | WALKER_SMEP | WALKER_NO_XD | WALKER_NO_1G, .root = 0x10000);

/* Five levels: 57 bits. */
static const struct known_entry five_entries[] = {
	{0x20000, 0x0000000000021007}, /* U W P, 0x21000 */
	{0x20008, 0x0000000000021087}, /* bit 7 is reserved in PML5E */
	{0x20010, 0x8000000000021001}, /* XD P, 0x21000 */
	{0x20800, 0x0000000000021007}, /* the first of the upper half */
	{0x21000, 0x0000000000022007}, /* U W P, 0x22000 */
	{0x21008, 0x0000000000022087}, /* bit 7 is reserved in PML4E */
	{0x22000, 0x000fffffc0000087}, /* U W P PS, the last 1 GiB of 52 bits */
};

static const struct known_answer five_answers[] = {
	{0x0000000000000123, R | W | X, WALKER_OK, 0xfffffc0000123, GIB(1), R | W | X},
	{0x0000008000000123, R, WALKER_RESERVED, 0, 0, 0},
	{0x0001000000000123, R, WALKER_RESERVED, 0, 0, 0},
	{0x0002000000000123, R, WALKER_PERMISSION, 0xfffffc0000123, GIB(1), 0},
	{0x0002000000000123, S | R, WALKER_OK, 0xfffffc0000123, GIB(1), R},
	{0x0100000000000123, R, WALKER_ADDRESS, 0, 0, 0},
	{0xff00000000000123, R, WALKER_OK, 0xfffffc0000123, GIB(1), R | W | X},
	{0xfe00000000000123, R, WALKER_ADDRESS, 0, 0, 0},
	{0x00ff000000000123, R, WALKER_NOT_PRESENT, 0, 0, 0},
};

static const struct isolde_pt_config five_config = {
	.size = sizeof(five_config), .format = ISOLDE_PT_X86_64, .levels = 5, .half = ISOLDE_PT_BOTH};

static const struct known_image five = KNOWN_IMAGE(&five_config, five_entries, five_answers, .format = WALKER_X86,
						   .levels = 5, .physical_width = 52, .root = 0x20000);

TEST(known_x86, four_levels)
{
	known_check_walker(&four);
	known_check_adopted(&four);
}

TEST(known_x86, five_levels)
{
	known_check_walker(&five);
	known_check_adopted(&five);
}

TEST(known_x86, write_protection_and_execution_of_a_supervisor)
{
	known_check_walker(&old);
}

TEST(known_x86, attributes_and_use_of_leaves)
{
	known_check_leaf(&four, 0xa000, BIT(3), true, false);
	known_check_leaf(&four, 0xb000, BIT(4), false, true);
	known_check_leaf(&four, 0xc000, BIT(8) | BIT(7), false, false);
	known_check_leaf(&four, 0xd000, 0, false, false);
	known_check_leaf(&four, 0x200000, BIT(12) | BIT(8) | BIT(4) | BIT(3), true, true);
	known_check_leaf(&four, 0x80000000, BIT(12), true, true);
	known_check_leaf(&four, 0x40000000, 0, false, false);
}

/* Tables are A U W P, and executable; leaves have A and D, so that hardware need not write them. */
static const struct known_mapping every_size_mappings[] = {
	{0x1000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_EXECUTE, 0x0000000012345067,
	 0x0000000012345067, 4}, /* U W P */
	{0x2000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x8000000012345067, 0x8000000012345067,
	 4},											 /* XD U W P */
	{0x3000, 0x12345000, KIB(4), ISOLDE_PT_READ, 0x8000000012345065, 0x8000000012345065, 4}, /* XD U P */
	{0x4000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_EXECUTE, 0x0000000012345065, 0x0000000012345065,
	 4}, /* U P */
	{0x5000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_PRIVILEGED, 0x8000000012345063,
	 0x8000000012345063, 4}, /* XD W P: the supervisor's */
	{0x6000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_GLOBAL, 0x8000000012345167,
	 0x8000000012345167, 4}, /* XD G U W P */
	{0x7000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_UNCACHED, 0x8000000012345077,
	 0x8000000012345077, 4}, /* PCD: UC- */
	{0x8000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_DEVICE, 0x800000001234507f,
	 0x800000001234507f, 4}, /* PCD PWT: UC */
	{0x200000, 0x40200000, MIB(2), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x80000000402000e7, 0x80000000402000e7,
	 3}, /* PS */
	{0x40000000, 0x80000000, GIB(1), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_EXECUTE, 0x00000000800000e7,
	 0x00000000800000e7, 2}, /* PS */
	{0x7ffffffff000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x8000000012345067, 0x8000000012345067,
	 4}, /* the highest of the lower half */
};

TEST(known_x86, isolde_builds_every_size)
{
	static const struct isolde_pt_config config = {.size = sizeof(config), .format = ISOLDE_PT_X86_64, .levels = 4};
	const struct known_tables tables = {MASK(51, 12), 0x27, BIT(12) | BIT(21) | BIT(30)};

	known_check_built(&config, tables, every_size_mappings, ARRAY_SIZE(every_size_mappings));
}

/* What hardware marks, before and after. */
TEST(known_x86, isolde_tracks_writes)
{
	static const struct isolde_pt_config config0 = {
		.size = sizeof(config0), .features = ISOLDE_PT_DIRTY, .format = ISOLDE_PT_X86_64, .levels = 4};

	known_check_tracked(&config0, 0x8000000012345067, 0x8000000012345027, 0x8000000012345027, 0x8000000012345067);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(known_x86, four_levels),
		CASE(known_x86, five_levels),
		CASE(known_x86, write_protection_and_execution_of_a_supervisor),
		CASE(known_x86, attributes_and_use_of_leaves),
		CASE(known_x86, isolde_builds_every_size),
		CASE(known_x86, isolde_tracks_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
