/* SPDX-License-Identifier: MIT */
/* RISC-V Sv39, Sv48, Sv57 and their x4 forms: table images by hand, from the privileged architecture's figures. */
#include "tests/fixtures/pt_known.h"
#include "tests/helpers.h"

/*
 * Entry: 63 N, 62:61 PBMT, 60:54 reserved, 53:10 page number, 9:8 for software, 7 D, 6 A, 5 G, 4 U, 3 X, 2 W, 1 R, 0 V.
 * The page number is the address shifted right by two: 0x12345000 is 0x48d1400.
 */
static const struct known_entry sv39_entries[] = {
	/* root */
	{0x10000, 0x0000000000004401}, /* V, 0x11000 */
	{0x10008, 0x00000000200000df}, /* D A U X W R V, 1 GiB at 0x80000000 */
	{0x10010, 0x00000000200800df}, /* 1 GiB at 0x80200000: misaligned */
	{0x10018, 0x0000000000004411}, /* U where a table follows is reserved */
	{0x10020, 0x0000000000004441}, /* A */
	{0x10028, 0x0000000000004481}, /* D */
	{0x10030, 0x2000000000004401}, /* PBMT */
	{0x10038, 0x8000000000004401}, /* N */
	{0x10040, 0x0000000000004721}, /* V G and both bits for software: fine */
	{0x10048, 0x0000000000004001}, /* V, this very table */
	{0x10050, 0x000000001dddd401}, /* V, 0x77775000: no memory there */
	{0x10058, 0x80000000200000df}, /* N of 1 GiB: reserved */
	{0x107f8, 0x0000000000004401}, /* the last of the lower half */
	{0x10800, 0x0000000000004401}, /* the first of the upper half */
	/* level 1 */
	{0x11000, 0x0000000000004801}, /* V, 0x12000 */
	{0x11008, 0x00000000100800d7}, /* D A U W R V, 2 MiB at 0x40200000 */
	{0x11010, 0x00000000100804d7}, /* 2 MiB at 0x40201000: misaligned */
	{0x11018, 0x0000000000004405}, /* W without R */
	/* level 0 */
	{0x12000, 0x00000000048d14df}, /* D A U X W R V, 0x12345000 */
	{0x12008, 0x00000000048d1453}, /* A U R V */
	{0x12010, 0x00000000048d14d7}, /* D A U W R V */
	{0x12018, 0x00000000048d1459}, /* A U X V: execute-only */
	{0x12020, 0x00000000048d14cf}, /* D A X W R V: the supervisor's */
	{0x12028, 0x00000000048d14d5}, /* W without R */
	{0x12030, 0x00000000048d14dd}, /* X W without R */
	{0x12038, 0x00000000048d149f}, /* A clear */
	{0x12040, 0x00000000048d145f}, /* D clear */
	{0x12048, 0x00000000048d1401}, /* a pointer at the last level */
	{0x12050, 0x00400000048d14df}, /* bit 54 */
	{0x12058, 0x10000000048d14df}, /* bit 60 */
	{0x12060, 0x20000000048d14df}, /* PBMT 1, NC */
	{0x12068, 0x40000000048d14df}, /* PBMT 2, IO */
	{0x12070, 0x60000000048d14df}, /* PBMT 3 */
	{0x12078, 0xfffffffffffffffe}, /* not valid, whatever the rest */
	{0x12080, 0x80000000048d20df}, /* N, page number ends in 1000: 64 KiB at 0x12340000 */
	{0x12088, 0x80000000048d20df},
	{0x12090, 0x80000000048d24df}, /* ends in 1001 */
	{0x12098, 0x80000000048d10df}, /* ends in 0100 */
	{0x120a0, 0x80000000048d00df}, /* ends in 0000 */
	{0x120f8, 0x80000000048d20df}, /* the last of the 64 KiB */
	{0x12100, 0x00000000048d17ff}, /* D A G U X W R V and both bits for software */
	{0x12108, 0x003ffffffffffcdf}, /* the highest page of 56 bits */
	{0x12180, 0x80000000048de0df}, /* N: 64 KiB at 0x12370000, an odd multiple */
	{0x12188, 0x80000000048de0df},
};

static const struct known_answer sv39_answers[] = {
	{0x0000abc, R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0001abc, R, WALKER_OK, 0x12345abc, KIB(4), R},
	{0x0001abc, W, WALKER_PERMISSION, 0x12345abc, KIB(4), R},
	{0x0001abc, X, WALKER_PERMISSION, 0x12345abc, KIB(4), R},
	{0x0002abc, R | W, WALKER_OK, 0x12345abc, KIB(4), R | W},
	{0x0003abc, X, WALKER_OK, 0x12345abc, KIB(4), X},
	{0x0003abc, R, WALKER_PERMISSION, 0x12345abc, KIB(4), X},
	/* U: a user sees only user pages; S-mode, with SUM = 1, reads and writes them, but does not execute there. */
	{0x0004abc, R, WALKER_PERMISSION, 0x12345abc, KIB(4), 0},
	{0x0004abc, S | R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0000abc, S | R | W, WALKER_OK, 0x12345abc, KIB(4), R | W},
	{0x0000abc, S | X, WALKER_PERMISSION, 0x12345abc, KIB(4), R | W},
	/* Reserved encodings. */
	{0x0005abc, W, WALKER_RESERVED, 0, 0, 0},
	{0x0006abc, X, WALKER_RESERVED, 0, 0, 0},
	{0x0009abc, R, WALKER_RESERVED, 0, 0, 0},
	{0x000aabc, R, WALKER_RESERVED, 0, 0, 0},
	{0x000babc, R, WALKER_RESERVED, 0, 0, 0},
	{0x000eabc, R, WALKER_RESERVED, 0, 0, 0},
	{0x000fabc, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0x0600abc, R, WALKER_RESERVED, 0, 0, 0},
	/* Accessed and dirty. */
	{0x0007abc, R, WALKER_ACCESS_FLAG, 0x12345abc, KIB(4), R | W | X},
	{0x0008abc, R | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0008abc, W, WALKER_ACCESS_FLAG, 0x12345abc, KIB(4), R | W | X},
	/* Svpbmt. */
	{0x000cabc, R, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x000dabc, R, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	/* Svnapot. */
	{0x0010abc, R, WALKER_OK, 0x12340abc, KIB(64), R | W | X},
	{0x0011abc, R, WALKER_OK, 0x12341abc, KIB(64), R | W | X},
	{0x001fabc, R, WALKER_OK, 0x1234fabc, KIB(64), R | W | X},
	{0x0030abc, R, WALKER_OK, 0x12370abc, KIB(64), R | W | X},
	{0x0031abc, R, WALKER_OK, 0x12371abc, KIB(64), R | W | X},
	{0x0012abc, R, WALKER_RESERVED, 0, 0, 0},
	{0x0013abc, R, WALKER_RESERVED, 0, 0, 0},
	{0x0014abc, R, WALKER_RESERVED, 0, 0, 0},
	{0x02c0000000, R, WALKER_RESERVED, 0, 0, 0},
	/* Bits that do not matter. */
	{0x0020abc, R, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0021fff, R, WALKER_OK, 0xffffffffffffff, KIB(4), R | W | X},
	/* Superpages. */
	{0x023ffff, R | W, WALKER_OK, 0x4023ffff, MIB(2), R | W},
	{0x0400000, R, WALKER_RESERVED, 0, 0, 0},
	{0x007fffffff, R | W | X, WALKER_OK, 0xbfffffff, GIB(1), R | W | X},
	{0x0080000000, R, WALKER_RESERVED, 0, 0, 0},
	/* What is reserved where a table follows. */
	{0x00c0000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0100000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0140000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0180000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x01c0000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0200000abc, R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	/* A loop through entry 9 ends at the last level, which has no pointers. */
	{0x0241209000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0280000000, R, WALKER_MEMORY, 0, 0, 0},
	/* Bits 63:39 equal bit 38. */
	{0x0000003fc0000abc, R, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0000004000000abc, R, WALKER_ADDRESS, 0, 0, 0},
	{0xffffffc000000abc, R, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x7fffffc000000abc, R, WALKER_ADDRESS, 0, 0, 0},
	{0xffffffbfc0000abc, R, WALKER_ADDRESS, 0, 0, 0},
};

static const struct isolde_pt_config sv39_config = {.size = sizeof(sv39_config),
						    .format = ISOLDE_PT_RISCV_S1,
						    .levels = 3,
						    .half = ISOLDE_PT_BOTH,
						    .features = ISOLDE_PT_CONTIGUOUS | ISOLDE_PT_MEMORY_TYPES};

static const struct known_image sv39 = KNOWN_IMAGE(&sv39_config, sv39_entries, sv39_answers, .format = WALKER_RISCV,
						   .levels = 3, .physical_width = 56, .flags = WALKER_SUM,
						   .root = 0x10000);

/* SADE = 1 and SUM = 1, neither Svnapot nor Svpbmt, 50 bits of physical address. */
static const struct known_answer bare_answers[] = {
	{0x0007abc, W, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0008abc, W, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0000abc, S | R | W, WALKER_OK, 0x12345abc, KIB(4), R | W},
	{0x0000abc, S | X, WALKER_PERMISSION, 0x12345abc, KIB(4), R | W},
	{0x000cabc, R, WALKER_RESERVED, 0, 0, 0},
	{0x0010abc, R, WALKER_RESERVED, 0, 0, 0},
	{0x0021fff, R, WALKER_OUTPUT, 0, 0, 0},
};

static const struct isolde_pt_config bare_config = {.size = sizeof(bare_config),
						    .format = ISOLDE_PT_RISCV_S1,
						    .levels = 3,
						    .output_bits = 50,
						    .half = ISOLDE_PT_BOTH,
						    .features = ISOLDE_PT_DIRTY};

static const struct known_image bare =
	KNOWN_IMAGE(&bare_config, sv39_entries, bare_answers, .format = WALKER_RISCV, .levels = 3, .physical_width = 50,
		    .flags = WALKER_HARDWARE_AD | WALKER_SUM | WALKER_NO_NAPOT | WALKER_NO_PBMT, .root = 0x10000);

/* Sv39x4: 41 bits, not sign-extended; the root has four pages. All is an access of U-mode. */
static const struct known_answer sv39x4_answers[] = {
	{0x0000000abc, R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0000000abc, S | R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0000004abc, S | R, WALKER_PERMISSION, 0x12345abc, KIB(4), 0},
	{0x0000008abc, W, WALKER_ACCESS_FLAG, 0x12345abc, KIB(4), R | W | X},
	{0x4000000abc, R, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x8000000abc, R, WALKER_RESERVED, 0, 0, 0},  /* root entry 512 is 0x11000, a pointer: see below */
	{0x10000000abc, R, WALKER_RESERVED, 0, 0, 0}, /* 1024 is 0x12000, a leaf there: 1 GiB, misaligned */
	{0x18000000abc, R, WALKER_MEMORY, 0, 0, 0},   /* 1536 is 0x13000 */
	{0x20000000abc, R, WALKER_ADDRESS, 0, 0, 0},  /* bit 41 */
	{0xffffffffc0000abc, R, WALKER_ADDRESS, 0, 0, 0},
};

static const struct isolde_pt_config sv39x4_config = {.size = sizeof(sv39x4_config),
						      .format = ISOLDE_PT_RISCV_S2,
						      .levels = 3,
						      .features = ISOLDE_PT_CONTIGUOUS | ISOLDE_PT_MEMORY_TYPES};

static const struct known_image sv39x4 = KNOWN_IMAGE(&sv39x4_config, sv39_entries, sv39x4_answers,
						     .format = WALKER_RISCV, .levels = 3, .physical_width = 56,
						     .flags = WALKER_STAGE2, .root = 0x10000);

/* Sv48 and Sv57: superpages of 512 GiB and 256 TiB. */
static const struct known_entry large_entries[] = {
	{0x20000, 0x0000000000008401}, /* V, 0x21000 */
	{0x20008, 0x00004000000000df}, /* D A U X W R V, 256 TiB at 0x1000000000000 */
	{0x20010, 0x00004020000000df}, /* at 0x1008000000000: misaligned */
	{0x20ff8, 0x0000000000008401}, /* the last, of negative addresses */
	{0x21000, 0x0000000000008801}, /* V, 0x22000 */
	{0x21008, 0x00000020000000df}, /* D A U X W R V, 512 GiB at 0x8000000000 */
	{0x21010, 0x00000030000000df}, /* at 0xc000000000: misaligned */
	{0x22000, 0x0000000000008c01}, /* V, 0x23000 */
	{0x23008, 0x00000000100800d7}, /* D A U W R V, 2 MiB at 0x40200000 */
};

static const struct known_answer sv48_answers[] = {
	{0x0000000000212345, R | W, WALKER_OK, 0x40212345, MIB(2), R | W},
	{0x000000ffffffffff, R | W, WALKER_OK, 0xffffffffff, GIB(512), R | W | X},
	{0x0000010000000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0000018000000000, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0x0000800000000000, R, WALKER_ADDRESS, 0, 0, 0},
	{0xffff800000000000, R, WALKER_NOT_PRESENT, 0, 0, 0},
};

static const struct isolde_pt_config sv48_config = {.size = sizeof(sv48_config),
						    .format = ISOLDE_PT_RISCV_S1,
						    .levels = 4,
						    .half = ISOLDE_PT_BOTH,
						    .features = ISOLDE_PT_CONTIGUOUS};

static const struct known_image sv48 = KNOWN_IMAGE(&sv48_config, large_entries, sv48_answers, .format = WALKER_RISCV,
						   .levels = 4, .physical_width = 56, .flags = WALKER_SUM,
						   .root = 0x21000);

static const struct known_answer sv57_answers[] = {
	{0x0000000000212345, R | W, WALKER_OK, 0x40212345, MIB(2), R | W},
	{0x000000ffffffffff, R | W, WALKER_OK, 0xffffffffff, GIB(512), R | W | X},
	{0x0001ffffffffffff, R | W, WALKER_OK, 0x1ffffffffffff, GIB(262144), R | W | X},
	{0x0002000000000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0100000000000000, R, WALKER_ADDRESS, 0, 0, 0},
	{0xffff000000212345, R, WALKER_OK, 0x40212345, MIB(2), R | W},
	{0xfeff000000212345, R, WALKER_ADDRESS, 0, 0, 0},
};

static const struct isolde_pt_config sv57_config = {.size = sizeof(sv57_config),
						    .format = ISOLDE_PT_RISCV_S1,
						    .levels = 5,
						    .half = ISOLDE_PT_BOTH,
						    .features = ISOLDE_PT_CONTIGUOUS};

static const struct known_image sv57 = KNOWN_IMAGE(&sv57_config, large_entries, sv57_answers, .format = WALKER_RISCV,
						   .levels = 5, .physical_width = 56, .flags = WALKER_SUM,
						   .root = 0x20000);

/* SUM = 0: S-mode keeps off user pages. */
static const struct known_answer no_sum_answers[] = {
	{0x0000abc, S | R, WALKER_PERMISSION, 0x12345abc, KIB(4), 0},
	{0x0004abc, S | R | W | X, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x0000abc, R, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
};

static const struct known_image no_sum = KNOWN_IMAGE(NULL, sv39_entries, no_sum_answers, .format = WALKER_RISCV,
						     .levels = 3, .physical_width = 56, .root = 0x10000);

TEST(known_riscv, user_pages_without_sum)
{
	known_check_walker(&no_sum);
}

TEST(known_riscv, sv39)
{
	known_check_walker(&sv39);
	known_check_adopted(&sv39);
}

TEST(known_riscv, sv39_with_hardware_updates_and_without_extensions)
{
	known_check_walker(&bare);
	known_check_adopted(&bare);
}

TEST(known_riscv, sv39x4)
{
	known_check_walker(&sv39x4);
	known_check_adopted(&sv39x4);
}

TEST(known_riscv, sv48)
{
	known_check_walker(&sv48);
	known_check_adopted(&sv48);
}

TEST(known_riscv, sv57)
{
	known_check_walker(&sv57);
	known_check_adopted(&sv57);
}

TEST(known_riscv, attributes_and_use_of_leaves)
{
	known_check_leaf(&sv39, 0x0000, 0, true, true);
	known_check_leaf(&sv39, 0x7000, 0, false, true);
	known_check_leaf(&sv39, 0x8000, 0, true, false);
	known_check_leaf(&sv39, 0xc000, BIT(61), true, true);
	known_check_leaf(&sv39, 0xd000, BIT(62), true, true);
}

/* Pointers have V alone. */
static const struct known_mapping first_stage_mappings[] = {
	{0x1000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x00000000048d14d7, 0x00000000048d14d7,
	 3}, /* D A U W R V */
	{0x2000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_EXECUTE, 0x00000000048d145b, 0x00000000048d145b,
	 3}, /* A U X R V; D where W is */
	{0x3000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_EXECUTE, 0x00000000048d14df,
	 0x00000000048d14df, 3},
	{0x10000, 0x12340000, KIB(64), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x80000000048d20d7, 0x80000000048d20d7,
	 3}, /* sixteen times N, the page number ends in 1000 */
	{0x200000, 0x40200000, MIB(2), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x00000000100800d7, 0x00000000100800d7, 2},
	{0x40000000, 0x80000000, GIB(1), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x00000000200000d7, 0x00000000200000d7, 1},
	{0x4000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_PRIVILEGED, 0x00000000048d14c7,
	 0x00000000048d14c7, 3}, /* U clear */
	{0x5000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_GLOBAL, 0x00000000048d14f7,
	 0x00000000048d14f7, 3}, /* G */
	{0x6000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_UNCACHED, 0x20000000048d14d7,
	 0x20000000048d14d7, 3}, /* PBMT 1 */
	{0x7000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_DEVICE, 0x40000000048d14d7,
	 0x40000000048d14d7, 3}, /* PBMT 2 */
};

TEST(known_riscv, isolde_builds_first_stage)
{
	static const struct isolde_pt_config config = {.size = sizeof(config),
						       .format = ISOLDE_PT_RISCV_S1,
						       .levels = 3,
						       .features = ISOLDE_PT_CONTIGUOUS | ISOLDE_PT_MEMORY_TYPES};
	const struct known_tables tables = {MASK(53, 10), 1, BIT(12) | BIT(16) | BIT(21) | BIT(30)};

	known_check_built(&config, tables, first_stage_mappings, ARRAY_SIZE(first_stage_mappings));
}

/* U always. */
static const struct known_mapping second_stage_mappings[] = {
	{0x1000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x00000000048d14d7, 0x00000000048d14d7,
	 3}, /* D A U W R V */
	{0x2000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_EXECUTE, 0x00000000048d145b, 0x00000000048d145b,
	 3}, /* A U X R V; D where W is */
	{0x3000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_EXECUTE, 0x00000000048d14df,
	 0x00000000048d14df, 3},
	{0x10000, 0x12340000, KIB(64), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x80000000048d20d7, 0x80000000048d20d7,
	 3}, /* sixteen times N, the page number ends in 1000 */
	{0x200000, 0x40200000, MIB(2), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x00000000100800d7, 0x00000000100800d7, 2},
	{0x40000000, 0x80000000, GIB(1), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x00000000200000d7, 0x00000000200000d7, 1},
	{0x1fffffff000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x00000000048d14d7, 0x00000000048d14d7,
	 3}, /* the highest of 41 bits */
};

TEST(known_riscv, isolde_builds_second_stage)
{
	static const struct isolde_pt_config config = {.size = sizeof(config),
						       .format = ISOLDE_PT_RISCV_S2,
						       .levels = 3,
						       .features = ISOLDE_PT_CONTIGUOUS | ISOLDE_PT_MEMORY_TYPES};
	const struct known_tables tables = {MASK(53, 10), 1, BIT(12) | BIT(16) | BIT(21) | BIT(30)};

	known_check_built(&config, tables, second_stage_mappings, ARRAY_SIZE(second_stage_mappings));
}

/* Superpages of every level. */
static const struct known_mapping sv57_superpages_mappings[] = {
	{0x8000000000, 0x8000000000, GIB(512), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x00000020000000d7, 0x00000020000000d7,
	 2},
	{0x1000000000000, 0x1000000000000, GIB(262144), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x00004000000000d7,
	 0x00004000000000d7, 1},
	{0xfffffffffff000, 0xfffffffffff000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x003ffffffffffcd7,
	 0x003ffffffffffcd7, 5},
};

TEST(known_riscv, isolde_builds_sv57_superpages)
{
	static const struct isolde_pt_config config = {
		.size = sizeof(config), .format = ISOLDE_PT_RISCV_S1, .levels = 5};
	const struct known_tables tables = {MASK(53, 10), 1, BIT(12) | BIT(21) | BIT(30) | BIT(39) | BIT(48)};

	known_check_built(&config, tables, sv57_superpages_mappings, ARRAY_SIZE(sv57_superpages_mappings));
}

/* What hardware marks, before and after. */
TEST(known_riscv, isolde_tracks_writes)
{
	static const struct isolde_pt_config config0 = {
		.size = sizeof(config0), .features = ISOLDE_PT_DIRTY, .format = ISOLDE_PT_RISCV_S1, .levels = 3};
	static const struct isolde_pt_config config1 = {
		.size = sizeof(config1), .features = ISOLDE_PT_DIRTY, .format = ISOLDE_PT_RISCV_S2, .levels = 3};

	known_check_tracked(&config0, 0x00000000048d14d7, 0x00000000048d1457, 0x00000000048d1457, 0x00000000048d14d7);
	known_check_tracked(&config1, 0x00000000048d14d7, 0x00000000048d1457, 0x00000000048d1457, 0x00000000048d14d7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(known_riscv, user_pages_without_sum),
		CASE(known_riscv, sv39),
		CASE(known_riscv, sv39_with_hardware_updates_and_without_extensions),
		CASE(known_riscv, sv39x4),
		CASE(known_riscv, sv48),
		CASE(known_riscv, sv57),
		CASE(known_riscv, attributes_and_use_of_leaves),
		CASE(known_riscv, isolde_builds_first_stage),
		CASE(known_riscv, isolde_builds_second_stage),
		CASE(known_riscv, isolde_builds_sv57_superpages),
		CASE(known_riscv, isolde_tracks_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
