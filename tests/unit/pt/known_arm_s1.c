/* SPDX-License-Identifier: MIT */
/* Arm VMSAv8-64 stage 1: table images by hand, from Arm ARM D8.3 (descriptors), D8.4 (permissions), D8.7 (contiguous).
 */
#include "tests/fixtures/pt_known.h"
#include "tests/helpers.h"

/*
 * Table: 63 NSTable, 62:61 APTable, 60 UXNTable, 59 PXNTable, address, 1:0 = 11.
 * Leaf: 54 UXN, 53 PXN, 52 contiguous, 51 DBM, address, 11 nG, 10 AF, 9:8 SH, 7:6 AP[2:1], 5 NS, 4:2 AttrIndx,
 * 1:0 = 01 block, 11 page. 0x7.. is AF and inner shareable; AttrIndx is 1. Output has 44 bits here.
 */
static const struct known_entry s1_4k_entries[] = {
	/* level 0 */
	{0x10000, 0x0000000000011003}, /* table 0x11000 */
	{0x10008, 0x0000000000011741}, /* a block: not at level 0 */
	{0x10010, 0x2000000000011003}, /* APTable 01: nothing for EL0 */
	{0x10018, 0x4000000000011003}, /* APTable 10: read-only */
	{0x10020, 0x1000000000011003}, /* UXNTable */
	{0x10028, 0x0800000000011003}, /* PXNTable */
	{0x10030, 0x87f8000000011fff}, /* all that is ignored: NSTable, 58:51, 11:2 */
	{0x10038, 0x0000100000011003}, /* bit 44: beyond the output */
	{0x10040, 0x0000000077777003}, /* no memory there */
	{0x10048, 0x0000000000010003}, /* this very table */
	{0x10050, 0x7800000000011003}, /* APTable 11, UXNTable, PXNTable */
	{0x10ff8, 0x0000000000011003}, /* the last */
	/* level 1 */
	{0x11000, 0x0000000000012003}, /* table 0x12000 */
	{0x11008, 0x0000000080000745}, /* block of 1 GiB at 0x80000000, AP 01 */
	{0x11080, 0x0010000400000745}, /* contiguous: sixteen of them from 0x400000000 */
	{0x11088, 0x0010000440000745},
	{0x110f8, 0x00100007c0000745},
	/* level 2 */
	{0x12000, 0x0000000000013003}, /* table 0x13000 */
	{0x12008, 0x0060000040200745}, /* UXN PXN, block of 2 MiB at 0x40200000, AP 01 */
	{0x12010, 0x0060000040201745}, /* address bits below the size are RES0: they do not count */
	{0x12018, 0x0000100040200745}, /* bit 44 */
	{0x12020, 0x0060000040200345}, /* AF clear */
	{0x12080, 0x0070000042000745}, /* contiguous: sixteen from 0x42000000 */
	{0x120f8, 0x0070000043e00745},
	/* level 3 */
	{0x13000, 0x0000000012345747}, /* AP 01: all read and write */
	{0x13008, 0x0000000012345707}, /* AP 00: EL1 reads and writes */
	{0x13010, 0x00000000123457c7}, /* AP 11: all read */
	{0x13018, 0x0000000012345787}, /* AP 10: EL1 reads */
	{0x13020, 0x0040000012345747}, /* UXN, AP 01 */
	{0x13028, 0x00200000123457c7}, /* PXN, AP 11 */
	{0x13030, 0x0000000012345347}, /* AF clear */
	{0x13038, 0x0000000012345745}, /* 1:0 = 01 at level 3: reserved, as if invalid */
	{0x13040, 0xfffffffffffffffe}, /* invalid, whatever the rest */
	{0x13048, 0x00080000123457c7}, /* DBM, AP 11: writable and clean where hardware tracks dirty state */
	{0x13050, 0x0000100012345747}, /* bit 44 */
	{0x13058, 0xff83000012345f67}, /* ignored: 63, 62:59, 58:55, 49:48; nG, NS */
	{0x13060, 0x00000000123453c7}, /* AF clear, AP 11 */
	{0x13068, 0x0000000012345643}, /* AF, SH 10 */
	{0x13070, 0x0004000012345d63}, /* AF, SH 01, NS, nG, GP */
	{0x13078, 0x000000001234575f}, /* AF, SH 11, AttrIndx 111 */
	{0x13108, 0x0008000012345747}, /* DBM, AP 01: writable and dirty */
	{0x13080, 0x0010000012350747}, /* contiguous: sixteen from 0x12350000 */
	{0x13088, 0x0010000012351747},
	{0x130f8, 0x001000001235f747},
};

static const struct known_answer s1_4k_answers[] = {
	/* AP, UXN and PXN of a page, for EL0 and EL1. What EL0 may write EL1 may not execute. */
	{0x0000abc, R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0000abc, S | R | W, WALKER_OK, 0x12345abc, KIB(4), R | W},
	{0x0000abc, S | X, WALKER_PERMISSION, 0x12345abc, KIB(4), R | W},
	{0x0001abc, R, WALKER_PERMISSION, 0x12345abc, KIB(4), X},
	{0x0001abc, X, WALKER_OK, 0x12345abc, KIB(4), X},
	{0x0001abc, S | R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0002abc, R | X, WALKER_OK, 0x12345abc, KIB(4), R | X},
	{0x0002abc, W, WALKER_PERMISSION, 0x12345abc, KIB(4), R | X},
	{0x0002abc, S | R | X, WALKER_OK, 0x12345abc, KIB(4), R | X},
	{0x0003abc, R, WALKER_PERMISSION, 0x12345abc, KIB(4), X},
	{0x0003abc, S | W, WALKER_PERMISSION, 0x12345abc, KIB(4), R | X},
	{0x0004abc, X, WALKER_PERMISSION, 0x12345abc, KIB(4), R | W},
	{0x0004abc, S | R | W, WALKER_OK, 0x12345abc, KIB(4), R | W},
	{0x0005abc, R | X, WALKER_OK, 0x12345abc, KIB(4), R | X},
	{0x0005abc, S | X, WALKER_PERMISSION, 0x12345abc, KIB(4), R},
	/* Access flag before permission; without hardware updates DBM says nothing. */
	{0x0006abc, W, WALKER_ACCESS_FLAG, 0x12345abc, KIB(4), R | W | X},
	{0x000cabc, W, WALKER_ACCESS_FLAG, 0x12345abc, KIB(4), R | X},
	{0x0007abc, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0x0008abc, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0x0009abc, W, WALKER_PERMISSION, 0x12345abc, KIB(4), R | X},
	{0x000aabc, R, WALKER_OUTPUT, 0, 0, 0},
	{0x000babc, R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0020abc, R, WALKER_NOT_PRESENT, 0, 0, 0},
	/* Contiguous entries are one leaf; the address is in each. */
	{0x0010abc, R, WALKER_OK, 0x12350abc, KIB(64), R | W | X},
	{0x0011abc, R, WALKER_OK, 0x12351abc, KIB(64), R | W | X},
	{0x001ffff, R, WALKER_OK, 0x1235ffff, KIB(64), R | W | X},
	{0x2000000, R, WALKER_OK, 0x42000000, MIB(32), R | W},
	{0x3ffffff, R, WALKER_OK, 0x43ffffff, MIB(32), R | W},
	{0x400000000, R, WALKER_OK, 0x400000000, GIB(16), R | W | X},
	{0x440000000, R, WALKER_OK, 0x440000000, GIB(16), R | W | X},
	{0x7ffffffff, R, WALKER_OK, 0x7ffffffff, GIB(16), R | W | X},
	/* Blocks. */
	{0x0200000, R | W, WALKER_OK, 0x40200000, MIB(2), R | W},
	{0x03fffff, R | W, WALKER_OK, 0x403fffff, MIB(2), R | W},
	{0x0412345, R | W, WALKER_OK, 0x40212345, MIB(2), R | W},
	{0x0612345, R, WALKER_OUTPUT, 0, 0, 0},
	{0x0812345, R, WALKER_ACCESS_FLAG, 0x40212345, MIB(2), R | W},
	{0x007fffffff, R, WALKER_OK, 0xbfffffff, GIB(1), R | W | X},
	{0x8000000abc, R, WALKER_NOT_PRESENT, 0, 0, 0},
	/* What the tables above take away. */
	{0x10000000abc, R, WALKER_PERMISSION, 0x12345abc, KIB(4), X},
	{0x10000000abc, S | R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x18000000abc, W, WALKER_PERMISSION, 0x12345abc, KIB(4), R | X},
	{0x18000000abc, S | R | X, WALKER_OK, 0x12345abc, KIB(4), R | X},
	{0x20000000abc, X, WALKER_PERMISSION, 0x12345abc, KIB(4), R | W},
	{0x28000002abc, S | X, WALKER_PERMISSION, 0x12345abc, KIB(4), R},
	{0x28000002abc, X, WALKER_OK, 0x12345abc, KIB(4), R | X},
	{0x50000000abc, R, WALKER_PERMISSION, 0x12345abc, KIB(4), 0},
	{0x50000000abc, S | W, WALKER_PERMISSION, 0x12345abc, KIB(4), R},
	{0x30000000abc, R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	/* Beyond the output, outside of memory, a loop, beyond the input. */
	{0x38000000abc, R, WALKER_OUTPUT, 0, 0, 0},
	{0x40000000abc, R, WALKER_MEMORY, 0, 0, 0},
	{0x48241209abc, R, WALKER_ACCESS_FLAG, 0x10abc, KIB(4), X},
	{0xff8000000abc, R, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x1000000000abc, R, WALKER_ADDRESS, 0, 0, 0},
	{0xffffff8000000abc, R, WALKER_ADDRESS, 0, 0, 0},
};

static const struct isolde_pt_config s1_4k_config = {.size = sizeof(s1_4k_config),
						     .format = ISOLDE_PT_ARM64_S1,
						     .input_bits = 48,
						     .output_bits = 44,
						     .features = ISOLDE_PT_CONTIGUOUS};

static const struct known_image s1_4k = KNOWN_IMAGE(&s1_4k_config, s1_4k_entries, s1_4k_answers, .format = WALKER_ARM,
						    .levels = 4, .width = 48, .granule = 12, .physical_width = 44,
						    .root = 0x10000);

/* Hardware sets AF and clears AP[2] where DBM is set. */
static const struct known_answer tracked_answers[] = {
	{0x0006abc, W, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0009abc, W, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x000cabc, W, WALKER_PERMISSION, 0x12345abc, KIB(4), R | X},
	{0x18000009abc, W, WALKER_PERMISSION, 0x12345abc, KIB(4), R | X},
};

static const struct isolde_pt_config tracked_config = {.size = sizeof(tracked_config),
						       .format = ISOLDE_PT_ARM64_S1,
						       .input_bits = 48,
						       .output_bits = 44,
						       .features = ISOLDE_PT_CONTIGUOUS | ISOLDE_PT_DIRTY};

static const struct known_image tracked =
	KNOWN_IMAGE(&tracked_config, s1_4k_entries, tracked_answers, .format = WALKER_ARM, .levels = 4, .width = 48,
		    .granule = 12, .physical_width = 44, .flags = WALKER_HARDWARE_AD, .root = 0x10000);

/* The table of TTBR1, 39 bits: its root is level 1. */
static const struct known_answer upper_answers[] = {
	{0xffffff8000000abc, R, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0xffffff8040000abc, R, WALKER_OK, 0x80000abc, GIB(1), R | W | X},
	{0xfffffffffffffabc, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0xffffff0000000abc, R, WALKER_ADDRESS, 0, 0, 0},
	{0x7fffff8000000abc, R, WALKER_ADDRESS, 0, 0, 0},
	{0x0000000000000abc, R, WALKER_ADDRESS, 0, 0, 0},
};

static const struct isolde_pt_config upper_config = {.size = sizeof(upper_config),
						     .format = ISOLDE_PT_ARM64_S1,
						     .input_bits = 39,
						     .output_bits = 44,
						     .half = ISOLDE_PT_UPPER,
						     .features = ISOLDE_PT_CONTIGUOUS};

static const struct known_image upper = KNOWN_IMAGE(&upper_config, s1_4k_entries, upper_answers, .format = WALKER_ARM,
						    .levels = 3, .width = 39, .granule = 12, .physical_width = 44,
						    .flags = WALKER_UPPER, .root = 0x11000);

/* 16 KiB: eleven bits a level; level 0 has one bit. */
static const struct known_entry s1_16k_entries[] = {
	/* level 0 */
	{0x3c000, 0x0000000000040003}, /* table 0x40000 */
	{0x3c008, 0x0000000000040003}, /* table 0x40000 */
	/* level 1 */
	{0x40000, 0x0000000000044003}, /* table 0x44000 */
	{0x40008, 0x0000000000044745}, /* a block: not at level 1 */
	{0x43ff8, 0x0000000000044003}, /* the last: bits 46:36 set */
	/* level 2 */
	{0x44000, 0x0000000000048003}, /* table 0x48000 */
	{0x44008, 0x0060000004000745}, /* UXN PXN, 32 MiB at 0x4000000 */
	{0x44100, 0x0070000040000745}, /* contiguous: thirty-two from 0x40000000 */
	{0x441f8, 0x007000007e000745},
	/* level 3 */
	{0x48000, 0x0060000012344747}, /* UXN PXN, 16 KiB at 0x12344000 */
	{0x48008, 0x0060000012347747}, /* 13:12 are RES0 */
	{0x48400, 0x0070000040200747}, /* contiguous: 128 from 0x40200000 */
	{0x487f8, 0x00700000403fc747},
};

static const struct known_answer s1_16k_answers[] = {
	{0x000000003fff, R | W, WALKER_OK, 0x12347fff, KIB(16), R | W},
	{0x000000004123, R | W, WALKER_OK, 0x12344123, KIB(16), R | W},
	{0x000000200000, R | W, WALKER_OK, 0x40200000, MIB(2), R | W},
	{0x0000003fffff, R | W, WALKER_OK, 0x403fffff, MIB(2), R | W},
	{0x000003ffffff, R | W, WALKER_OK, 0x5ffffff, MIB(32), R | W},
	{0x000040000000, R | W, WALKER_OK, 0x40000000, GIB(1), R | W},
	{0x00007fffffff, R | W, WALKER_OK, 0x7fffffff, GIB(1), R | W},
	{0x001000000000, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0x7ff000000000, R | W, WALKER_OK, 0x12344000, KIB(16), R | W},
};

static const struct isolde_pt_config s1_16k_config = {.size = sizeof(s1_16k_config),
						      .format = ISOLDE_PT_ARM64_S1,
						      .input_bits = 47,
						      .granule = 16384,
						      .features = ISOLDE_PT_CONTIGUOUS};

static const struct known_image s1_16k = KNOWN_IMAGE(&s1_16k_config, s1_16k_entries, s1_16k_answers,
						     .format = WALKER_ARM, .levels = 3, .width = 47, .granule = 14,
						     .physical_width = 48, .root = 0x40000);

static const struct known_answer s1_16k_48_answers[] = {
	{0x000000003fff, R | W, WALKER_OK, 0x12347fff, KIB(16), R | W},
	{0x800000003fff, R | W, WALKER_OK, 0x12347fff, KIB(16), R | W},
	{0x1000000000000, R, WALKER_ADDRESS, 0, 0, 0},
};

static const struct isolde_pt_config s1_16k_48_config = {.size = sizeof(s1_16k_48_config),
							 .format = ISOLDE_PT_ARM64_S1,
							 .input_bits = 48,
							 .granule = 16384,
							 .features = ISOLDE_PT_CONTIGUOUS};

static const struct known_image s1_16k_48 = KNOWN_IMAGE(&s1_16k_48_config, s1_16k_entries, s1_16k_48_answers,
							.format = WALKER_ARM, .levels = 4, .width = 48, .granule = 14,
							.physical_width = 48, .root = 0x3c000);

/* 64 KiB: thirteen bits a level; level 1 has six. */
static const struct known_entry s1_64k_entries[] = {
	/* level 1 */
	{0x80000, 0x0000000000090003}, /* table 0x90000 */
	{0x80008, 0x0000040000000745}, /* a block of 4 TiB: only with 52-bit output */
	{0x801f8, 0x0000000000090003}, /* the last */
	/* level 2 */
	{0x90000, 0x00000000000a0003}, /* table 0xa0000 */
	{0x90008, 0x0060000040000745}, /* UXN PXN, 512 MiB at 0x40000000 */
	{0x90100, 0x0070000800000745}, /* contiguous: thirty-two from 0x800000000 */
	{0x901f8, 0x0070000be0000745},
	/* level 3 */
	{0xa0000, 0x0060000012340747}, /* UXN PXN, 64 KiB at 0x12340000 */
	{0xa0008, 0x0060000012345747}, /* 15:12 are RES0, or 51:48 of the address: 5 */
	{0xa0100, 0x0070000040200747}, /* contiguous: thirty-two from 0x40200000 */
	{0xa01f8, 0x00700000403f0747},
};

static const struct known_answer s1_64k_answers[] = {
	{0x00000000ffff, R | W, WALKER_OK, 0x1234ffff, KIB(64), R | W},
	{0x00000001ffff, R | W, WALKER_OK, 0x1234ffff, KIB(64), R | W},
	{0x000000200000, R | W, WALKER_OK, 0x40200000, MIB(2), R | W},
	{0x0000003fffff, R | W, WALKER_OK, 0x403fffff, MIB(2), R | W},
	{0x00003fffffff, R | W, WALKER_OK, 0x5fffffff, MIB(512), R | W},
	{0x000400000000, R | W, WALKER_OK, 0x800000000, GIB(16), R | W},
	{0x0007ffffffff, R | W, WALKER_OK, 0xbffffffff, GIB(16), R | W},
	{0x040000000000, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0xfc000000ffff, R | W, WALKER_OK, 0x1234ffff, KIB(64), R | W},
	{0x1000000000000, R, WALKER_ADDRESS, 0, 0, 0},
};

static const struct isolde_pt_config s1_64k_config = {.size = sizeof(s1_64k_config),
						      .format = ISOLDE_PT_ARM64_S1,
						      .input_bits = 48,
						      .granule = 65536,
						      .features = ISOLDE_PT_CONTIGUOUS};

static const struct known_image s1_64k = KNOWN_IMAGE(&s1_64k_config, s1_64k_entries, s1_64k_answers,
						     .format = WALKER_ARM, .levels = 3, .width = 48, .granule = 16,
						     .physical_width = 48, .root = 0x80000);

/* FEAT_LPA: 52 bits in and out. */
static const struct known_answer lpa_answers[] = {
	{0x000000000ffff, R | W, WALKER_OK, 0x000001234ffff, KIB(64), R | W},
	{0x000000001ffff, R | W, WALKER_OK, 0x500001234ffff, KIB(64), R | W},
	{0x0040000000123, R | W, WALKER_OK, 0x0040000000123, GIB(4096), R | W | X},
	{0x10000000000000, R, WALKER_ADDRESS, 0, 0, 0},
};

static const struct known_image lpa = KNOWN_IMAGE(NULL, s1_64k_entries, lpa_answers, .format = WALKER_ARM, .levels = 3,
						  .width = 52, .granule = 16, .physical_width = 52,
						  .flags = WALKER_52BIT, .root = 0x80000);

/* FEAT_LPA2: 49:48 of an address in their place, 51:50 in 9:8; five levels, blocks of 512 GiB. */
static const struct known_entry lpa2_entries[] = {
	{0xb0000, 0x00000000000b1003}, /* level -1: table 0xb1000 */
	{0xb0078, 0x00000000000b1003}, /* the last of its sixteen */
	{0xb1000, 0x00000000000b2003}, /* level 0: table 0xb2000 */
	{0xb1008, 0x00000080000004c1}, /* block of 512 GiB at 0x8000000000, AP 11 */
	{0xb2000, 0x00000000000b3003}, /* level 1 */
	{0xb3000, 0x00000000000b4003}, /* level 2 */
	{0xb4000, 0x0001000012345443}, /* level 3: bit 48 */
	{0xb4008, 0x0002000012345443}, /* bit 49 */
	{0xb4010, 0x0000000012345543}, /* 50, in bit 8 */
	{0xb4018, 0x0000000012345643}, /* 51, in bit 9 */
};

static const struct known_answer lpa2_answers[] = {
	{0x0000000000abc, R | W, WALKER_OK, 0x1000012345abc, KIB(4), R | W | X},
	{0x0000000001abc, R | W, WALKER_OK, 0x2000012345abc, KIB(4), R | W | X},
	{0x0000000002abc, R | W, WALKER_OK, 0x4000012345abc, KIB(4), R | W | X},
	{0xf000000003abc, R | W, WALKER_OK, 0x8000012345abc, KIB(4), R | W | X},
	{0x000ffffffffff, R, WALKER_OK, 0x000ffffffffff, GIB(512), R | X},
	{0x10000000000000, R, WALKER_ADDRESS, 0, 0, 0},
};

static const struct known_image lpa2 = KNOWN_IMAGE(NULL, lpa2_entries, lpa2_answers, .format = WALKER_ARM, .levels = 5,
						   .width = 52, .granule = 12, .physical_width = 52,
						   .flags = WALKER_52BIT, .root = 0xb0000);

TEST(known_arm_s1, granule_of_4k)
{
	known_check_walker(&s1_4k);
	known_check_adopted(&s1_4k);
}

TEST(known_arm_s1, hardware_that_tracks_accesses_and_writes)
{
	known_check_walker(&tracked);
	known_check_adopted(&tracked);
}

TEST(known_arm_s1, upper_half)
{
	known_check_walker(&upper);
	known_check_adopted(&upper);
}

TEST(known_arm_s1, granule_of_16k)
{
	known_check_walker(&s1_16k);
	known_check_adopted(&s1_16k);
	known_check_walker(&s1_16k_48);
	known_check_adopted(&s1_16k_48);
}

TEST(known_arm_s1, granule_of_64k)
{
	known_check_walker(&s1_64k);
	known_check_adopted(&s1_64k);
	known_check_walker(&lpa);
}

TEST(known_arm_s1, attributes_and_use_of_leaves)
{
	known_check_leaf(&s1_4k, 0x0000, 0x304, true, false);
	known_check_leaf(&s1_4k, 0x2000, 0x304, true, false);
	known_check_leaf(&s1_4k, 0x9000, 0x304, true, false);
	known_check_leaf(&s1_4k, 0x21000, 0x304, true, true);
	known_check_leaf(&s1_4k, 0x6000, 0x304, false, false);
	known_check_leaf(&s1_4k, 0xd000, 0x200, true, false);
	known_check_leaf(&s1_4k, 0xe000, BIT(50) | BIT(11) | 0x100 | BIT(5), true, false);
	known_check_leaf(&s1_4k, 0xf000, 0x31c, true, false);
}

TEST(known_arm_s1, addresses_of_52_bits)
{
	known_check_walker(&lpa2);
	known_check_leaf(&lpa2, 0x3000, 0, true, false);
	known_check_leaf(&lpa, 0x40000000000, 0x304, true, false);
}

/* Nobody executes without being allowed to; tables take nothing away. */
static const struct known_mapping granule_4k_mappings[] = {
	{0x1000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0060000012345f43, 0x0060000012345f43,
	 4}, /* UXN PXN nG AF SH 11 AP 01 */
	{0x2000, 0x12345000, KIB(4), ISOLDE_PT_READ, 0x0060000012345fc3, 0x0060000012345fc3, 4}, /* AP 11 */
	{0x3000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_PRIVILEGED, 0x0060000012345f03,
	 0x0060000012345f03, 4}, /* AP 00 */
	{0x4000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_PRIVILEGED, 0x0060000012345f83, 0x0060000012345f83,
	 4}, /* AP 10 */
	{0x5000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_GLOBAL, 0x0060000012345743,
	 0x0060000012345743, 4}, /* nG clear */
	{0x6000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_UNCACHED, 0x0060000012345e47,
	 0x0060000012345e47, 4}, /* SH 10, AttrIndx 1 */
	{0x7000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_DEVICE, 0x0060000012345e4b,
	 0x0060000012345e4b, 4}, /* SH 10, AttrIndx 2 */
	{0x10000, 0x12350000, KIB(64), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0070000012350f43, 0x007000001235ff43,
	 4}, /* contiguous */
	{0x200000, 0x40200000, MIB(2), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0060000040200f41, 0x0060000040200f41,
	 3}, /* a block */
	{0x2000000, 0x42000000, MIB(32), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0070000042000f41, 0x0070000043e00f41,
	 3}, /* contiguous blocks */
	{0x40000000, 0x80000000, GIB(1), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0060000080000f41, 0x0060000080000f41, 2},
	{0x400000000, 0x400000000, GIB(16), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0070000400000f41, 0x00700007c0000f41,
	 2},
};

TEST(known_arm_s1, isolde_builds_granule_4k)
{
	static const struct isolde_pt_config config = {.size = sizeof(config),
						       .format = ISOLDE_PT_ARM64_S1,
						       .features = ISOLDE_PT_CONTIGUOUS,
						       .input_bits = 48};
	const struct known_tables tables = {MASK(47, 12), 3, BIT(12) | BIT(16) | BIT(21) | BIT(25) | BIT(30) | BIT(34)};

	known_check_built(&config, tables, granule_4k_mappings, ARRAY_SIZE(granule_4k_mappings));
}

static const struct known_mapping granule_16k_mappings[] = {
	{0x4000, 0x12344000, KIB(16), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0060000012344f43, 0x0060000012344f43, 3},
	{0x200000, 0x40200000, MIB(2), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0070000040200f43, 0x00700000403fcf43,
	 3}, /* 128 contiguous */
	{0x2000000, 0x4000000, MIB(32), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0060000004000f41, 0x0060000004000f41,
	 2}, /* a block */
	{0x40000000, 0x40000000, GIB(1), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0070000040000f41, 0x007000007e000f41,
	 2}, /* 32 contiguous blocks */
};

TEST(known_arm_s1, isolde_builds_granule_16k)
{
	static const struct isolde_pt_config config = {.size = sizeof(config),
						       .format = ISOLDE_PT_ARM64_S1,
						       .features = ISOLDE_PT_CONTIGUOUS,
						       .input_bits = 47,
						       .granule = 16384};
	const struct known_tables tables = {MASK(47, 14), 3, BIT(14) | BIT(21) | BIT(25) | BIT(30)};

	known_check_built(&config, tables, granule_16k_mappings, ARRAY_SIZE(granule_16k_mappings));
}

static const struct known_mapping granule_64k_mappings[] = {
	{0x10000, 0x12340000, KIB(64), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0060000012340f43, 0x0060000012340f43, 3},
	{0x200000, 0x40200000, MIB(2), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0070000040200f43, 0x00700000403f0f43,
	 3}, /* 32 contiguous */
	{0x20000000, 0x40000000, MIB(512), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0060000040000f41, 0x0060000040000f41,
	 2}, /* a block */
	{0x400000000, 0x800000000, GIB(16), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0070000800000f41, 0x0070000be0000f41,
	 2}, /* 32 contiguous blocks */
};

TEST(known_arm_s1, isolde_builds_granule_64k)
{
	static const struct isolde_pt_config config = {.size = sizeof(config),
						       .format = ISOLDE_PT_ARM64_S1,
						       .features = ISOLDE_PT_CONTIGUOUS,
						       .input_bits = 48,
						       .granule = 65536};
	const struct known_tables tables = {MASK(47, 16), 3, BIT(16) | BIT(21) | BIT(29) | BIT(34)};

	known_check_built(&config, tables, granule_64k_mappings, ARRAY_SIZE(granule_64k_mappings));
}

/* What hardware marks, before and after. */
TEST(known_arm_s1, isolde_tracks_writes)
{
	static const struct isolde_pt_config config0 = {
		.size = sizeof(config0), .features = ISOLDE_PT_DIRTY, .format = ISOLDE_PT_ARM64_S1, .input_bits = 48};

	known_check_tracked(&config0, 0x0068000012345f43, 0x0068000012345fc3, 0x0068000012345fc3, 0x0068000012345f43);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(known_arm_s1, granule_of_4k),
		CASE(known_arm_s1, hardware_that_tracks_accesses_and_writes),
		CASE(known_arm_s1, upper_half),
		CASE(known_arm_s1, granule_of_16k),
		CASE(known_arm_s1, granule_of_64k),
		CASE(known_arm_s1, attributes_and_use_of_leaves),
		CASE(known_arm_s1, addresses_of_52_bits),
		CASE(known_arm_s1, isolde_builds_granule_4k),
		CASE(known_arm_s1, isolde_builds_granule_16k),
		CASE(known_arm_s1, isolde_builds_granule_64k),
		CASE(known_arm_s1, isolde_tracks_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
