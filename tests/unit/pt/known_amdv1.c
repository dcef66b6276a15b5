/* SPDX-License-Identifier: MIT */
/* AMD v1: table images by hand, from the figures of 48882 3.x, 2.2.3. */
#include "tests/fixtures/pt_known.h"
#include "tests/helpers.h"

/*
 * Entry: 62 IW, 61 IR, 60 FC, 59 U (60 and 59 of pages only), 51:12 address, 11:9 next level, 6 D, 5 A, 0 PR.
 * Next level 0: a page of the level's own size; 7: the lowest zero from bit 12 on tells the size.
 */
static const struct known_entry mixed_entries[] = {
	/* level 4 */
	{0x100000, 0x6000000000101601}, /* IW IR, level 3 at 0x101000 */
	{0x100008, 0x6000000000104201}, /* IW IR, level 1 at 0x104000: levels 3 and 2 left out */
	{0x100010, 0x6000008000000001}, /* IW IR, page of 512 GiB at 0x8000000000 */
	{0x100018, 0x6800000000101601}, /* bit 59 of a directory entry is reserved */
	{0x100040, 0x6010000000101601}, /* bit 52 likewise */
	{0x100048, 0x7000000000101601}, /* bit 60, FC, is of pages only */
	{0x100020, 0x6000000066000601}, /* level 3 at 0x66000000, where no memory is */
	{0x100028, 0x6000000000100601}, /* level 3 is this very table: a loop */
	{0x100030, 0x6000000000101801}, /* level 4 below level 4 */
	{0x100038, 0x0000000000101601}, /* neither IW nor IR, level 3 at 0x101000 */
	/* level 3 */
	{0x101000, 0x2000000000102401}, /* IR only, level 2 at 0x102000 */
	{0x101008, 0x6000000080000001}, /* IW IR, 1 GiB at 0x80000000 */
	{0x101020, 0x600000077ffffe01}, /* IW IR, 4 GiB (bits 30:12 set, 31 clear) at 0x700000000 */
	{0x101028, 0x600000077ffffe01}, /* the same in each place it covers */
	{0x101030, 0x600000077ffffe01},
	{0x101038, 0x600000077ffffe01},
	{0x101040, 0x6000000000105401}, /* IW IR, level 2 at 0x105000 */
	/* level 2, below IR only */
	{0x102000, 0x6000000000103201}, /* IW IR, level 1 at 0x103000 */
	{0x102008, 0x4000000040200001}, /* IW only, 2 MiB at 0x40200000 */
	/* level 1, below IR only */
	{0x103000, 0x78000000abcde061}, /* IW IR FC U D A, 4 KiB at 0xabcde000 */
	/* level 1, reached from level 4 */
	{0x104028, 0x6000000077777001}, /* IW IR, 4 KiB at 0x77777000 */
	/* level 2 */
	{0x105000, 0x6000000000106201}, /* IW IR, level 1 at 0x106000 */
	{0x105008, 0x4000000040200001}, /* IW only, 2 MiB at 0x40200000 */
	{0x105040, 0x6000000050bffe01}, /* IW IR, 8 MiB (21:12 set, 22 clear) at 0x50800000 */
	{0x105048, 0x6000000050bffe01},
	{0x105050, 0x6000000050bffe01},
	{0x105058, 0x6000000050bffe01},
	{0x105060, 0x6000000050100e01}, /* next level 7 with 8 KiB: smaller than the level's own size */
	/* level 1 */
	{0x106000, 0x78000000abcde061}, /* IW IR FC U D A, 4 KiB at 0xabcde000 */
	{0x106010, 0x6000000012346e01}, /* IW IR, 8 KiB (12 clear) at 0x12346000 */
	{0x106018, 0x6000000012346e01},
	{0x106020, 0x6000000022229e01}, /* IW IR, 16 KiB (12 set, 13 clear) at 0x22228000 */
	{0x106028, 0x6000000022229e01},
	{0x106030, 0x6000000022229e01},
	{0x106038, 0x6000000022229e01},
	{0x106040, 0x2000000033333e01}, /* IR, 32 KiB (13:12 set, 14 clear) at 0x33330000 */
	{0x106078, 0x2000000033333e01},
	{0x106080, 0x6000000044447e01}, /* IW IR, 64 KiB (14:12 set, 15 clear) at 0x44440000 */
	{0x1060f8, 0x6000000044447e01},
	{0x106100, 0x6010000055555001}, /* bit 52 is reserved */
	{0x106108, 0x6400000055555001}, /* bit 58 is reserved */
	{0x106110, 0x6ffffffffffff1fe}, /* all set but PR */
	{0x106118, 0x6000000000103601}, /* level 3 below level 1 */
	{0x106120, 0x60000000000ffe01}, /* next level 7 with 2 MiB: too large for level 1 */
	{0x106128, 0xe00000006666619f}, /* IW IR and all that is ignored: 63, 8:7, 4:1; 4 KiB at 0x66666000 */
	{0x106130, 0x0000000066666001}, /* neither IW nor IR */
	{0x106138, 0x600fffffffff9001}, /* the address's highest bit, 51 */
	{0x106140, 0x6000000077777021}, /* A */
	{0x106148, 0x6000000077777041}, /* D */
	{0x106150, 0x7000000077777001}, /* FC */
	{0x106158, 0x6800000077777001}, /* U */
	{0x106160, 0x6000000077777081}, /* bit 7 is ignored */
	{0x106800, 0x60000000000bfe01}, /* 512 KiB (17:12 set, 18 clear) at 0x80000 */
	{0x106c00, 0x600000000007fe01}, /* 1 MiB (18:12 set, 19 clear) at 0: the largest of level 1 */
	{0x106ff8, 0x600ffffffffffe01}, /* next level 7, every address bit set: no size at all */
};

static const struct known_answer mixed_answers[] = {
	/* Rights are those that every level gives. */
	{0x0000000123, R, WALKER_OK, 0xabcde123, KIB(4), R | X},
	{0x0000000123, W, WALKER_PERMISSION, 0xabcde123, KIB(4), R | X},
	{0x0000212345, R, WALKER_PERMISSION, 0x40212345, MIB(2), 0},
	{0x0200000123, R | W, WALKER_OK, 0xabcde123, KIB(4), R | W | X},
	{0x0200212345, W, WALKER_OK, 0x40212345, MIB(2), W},
	{0x0200212345, R, WALKER_PERMISSION, 0x40212345, MIB(2), W},
	{0x0200212345, X, WALKER_PERMISSION, 0x40212345, MIB(2), W},
	/* The sizes of the levels. */
	{0x0040000000, R | W, WALKER_OK, 0x80000000, GIB(1), R | W | X},
	{0x007fffffff, R | W, WALKER_OK, 0xbfffffff, GIB(1), R | W | X},
	{0x0080000000, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0x10000000000, R | W, WALKER_OK, 0x8000000000, GIB(512), R | W | X},
	{0x17fffffffff, R | W, WALKER_OK, 0xffffffffff, GIB(512), R | W | X},
	/* Encoded sizes. */
	{0x0100000000, R | W, WALKER_OK, 0x700000000, GIB(4), R | W | X},
	{0x01c0001234, R | W, WALKER_OK, 0x7c0001234, GIB(4), R | W | X},
	{0x0201000000, R | W, WALKER_OK, 0x50800000, MIB(8), R | W | X},
	{0x02017fffff, R | W, WALKER_OK, 0x50ffffff, MIB(8), R | W | X},
	{0x0200002000, R | W, WALKER_OK, 0x12346000, KIB(8), R | W | X},
	{0x0200003fff, R | W, WALKER_OK, 0x12347fff, KIB(8), R | W | X},
	{0x0200004000, R | W, WALKER_OK, 0x22228000, KIB(16), R | W | X},
	{0x0200007fff, R | W, WALKER_OK, 0x2222bfff, KIB(16), R | W | X},
	{0x0200008000, R, WALKER_OK, 0x33330000, KIB(32), R | X},
	{0x020000ffff, R, WALKER_OK, 0x33337fff, KIB(32), R | X},
	{0x020000ffff, W, WALKER_PERMISSION, 0x33337fff, KIB(32), R | X},
	{0x0200010000, R | W, WALKER_OK, 0x44440000, KIB(64), R | W | X},
	{0x020001ffff, R | W, WALKER_OK, 0x4444ffff, KIB(64), R | W | X},
	{0x0200100000, R | W, WALKER_OK, 0x80000, KIB(512), R | W | X},
	{0x0200180000, R | W, WALKER_OK, 0x80000, MIB(1), R | W | X},
	{0x0201800000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0200024000, R, WALKER_RESERVED, 0, 0, 0},
	{0x02001ff000, R, WALKER_RESERVED, 0, 0, 0},
	/* Reserved and ignored bits. */
	{0x0200020000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0200021000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0200022000, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0x0200023000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0200025678, R | W, WALKER_OK, 0x66666678, KIB(4), R | W | X},
	{0x0200026678, R, WALKER_PERMISSION, 0x66666678, KIB(4), 0},
	{0x0200027678, R | W, WALKER_OK, 0xfffffffff9678, KIB(4), R | W | X},
	{0x18000000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x30000000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x40000000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x48000000000, R, WALKER_RESERVED, 0, 0, 0},
	/* Levels left out: their address bits must be zero. */
	{0x8000005432, R | W, WALKER_OK, 0x77777432, KIB(4), R | W | X},
	{0x8000205432, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0x8040005432, R, WALKER_NOT_PRESENT, 0, 0, 0},
	/* Outside of memory, loops, beyond the width. */
	{0x20000000000, R, WALKER_MEMORY, 0, 0, 0},
	{0x28140000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x38200000123, R, WALKER_PERMISSION, 0xabcde123, KIB(4), 0},
	{0x1000000000000, R, WALKER_ADDRESS, 0, 0, 0},
	{0xffffffffffffffff, R, WALKER_ADDRESS, 0, 0, 0},
};

static const struct isolde_pt_config mixed_config = {
	.size = sizeof(mixed_config), .format = ISOLDE_PT_AMDV1, .levels = 4, .features = ISOLDE_PT_CONTIGUOUS};

static const struct known_image mixed = KNOWN_IMAGE(&mixed_config, mixed_entries, mixed_answers, .format = WALKER_AMDV1,
						    .levels = 4, .physical_width = 52, .root = 0x100000);

/* Six levels: 64 bits of address; the root has 128 entries, and no pages. */
static const struct known_entry six_entries[] = {
	{0x200000, 0x6000000000201a01}, /* level 5 at 0x201000 */
	{0x2003f8, 0x6000000000202a01}, /* the last entry, of bits 63:57: level 5 at 0x202000 */
	{0x200008, 0x6000000000000001}, /* next level 0 at level 6 */
	{0x201000, 0x6000000000203801}, /* level 4 at 0x203000 */
	{0x201008, 0x6001000000000001}, /* 256 TiB at 0x1000000000000 */
	{0x201010, 0x6007fffffffffe01}, /* all of 52 bits (50:12 set, 51 clear): no such page */
	{0x201018, 0x6003fffffffffe01}, /* 2^51 (49:12 set, 50 clear) at 0 */
	{0x202ff8, 0x6000000000204201}, /* level 1 at 0x204000: levels 4 to 2 left out */
	{0x203ff8, 0x6000003ffffffe01}, /* next level 7 with 512 GiB, the level's own size */
	{0x203ff0, 0x6000001ffffffe01}, /* and with 256 GiB */
	{0x203000, 0x6000007ffffffe01}, /* 1 TiB (38:12 set, 39 clear) at 0 */
	{0x203008, 0x6000007ffffffe01}, {0x204000, 0x6000000099999001}, /* 4 KiB at 0x99999000 */
};

static const struct known_answer six_answers[] = {
	{0x0000000000001234, R, WALKER_OK, 0x1234, GIB(1024), R | W | X},
	{0x0000008000001234, R, WALKER_OK, 0x8000001234, GIB(1024), R | W | X},
	{0x0001123456789abc, R, WALKER_OK, 0x1123456789abc, GIB(262144), R | W | X},
	{0x0002000000001234, R, WALKER_RESERVED, 0, 0, 0},
	{0x0003200000001234, R, WALKER_OK, 0x3200000001234, GIB(2097152), R | W | X},
	{0x0200000000000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0000ff0000000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0000ff8000000000, R, WALKER_RESERVED, 0, 0, 0},
	{0xffff000000000abc, R, WALKER_OK, 0x99999abc, KIB(4), R | W | X},
	{0xffff000000200abc, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0xffff008000000abc, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0xffffffffffffffff, R, WALKER_NOT_PRESENT, 0, 0, 0},
};

static const struct isolde_pt_config six_config = {
	.size = sizeof(six_config), .format = ISOLDE_PT_AMDV1, .levels = 6, .features = ISOLDE_PT_CONTIGUOUS};

static const struct known_image six = KNOWN_IMAGE(&six_config, six_entries, six_answers, .format = WALKER_AMDV1,
						  .levels = 6, .physical_width = 52, .root = 0x200000);

TEST(known_amdv1, pages_of_every_kind_below_four_levels)
{
	known_check_walker(&mixed);
	known_check_adopted(&mixed);
}

TEST(known_amdv1, six_levels_take_all_64_bits)
{
	known_check_walker(&six);
	known_check_adopted(&six);
}

TEST(known_amdv1, attributes_and_use_of_leaves)
{
	known_check_leaf(&mixed, 0x200000000, BIT(60) | BIT(59), true, true);
	known_check_leaf(&mixed, 0x200028000, 0, true, false);
	known_check_leaf(&mixed, 0x200029000, 0, false, true);
	known_check_leaf(&mixed, 0x20002a000, BIT(60), false, false);
	known_check_leaf(&mixed, 0x20002b000, BIT(59), false, false);
	known_check_leaf(&mixed, 0x20002c000, 0, false, false);
}

/* Tables are IW IR; who may what is in the leaf. */
static const struct known_mapping every_size_mappings[] = {
	{0x1000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x6000000012345001, 0x6000000012345001,
	 4},											  /* IW IR */
	{0x2000, 0x12345000, KIB(4), ISOLDE_PT_READ, 0x2000000012345001, 0x2000000012345001, 4},  /* IR */
	{0x3000, 0x12345000, KIB(4), ISOLDE_PT_WRITE, 0x4000000012345001, 0x4000000012345001, 4}, /* IW */
	{0x4000, 0x12346000, KIB(8), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x6000000012346e01, 0x6000000012346e01,
	 4}, /* twice; 12 clear */
	{0x8000, 0x22228000, KIB(16), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x6000000022229e01, 0x6000000022229e01,
	 4}, /* four times; 12 set, 13 clear */
	{0x10000, 0x44440000, KIB(64), ISOLDE_PT_READ, 0x2000000044447e01, 0x2000000044447e01, 4},
	{0x20000, 0x20000, KIB(12), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x6000000000020e01, 0x6000000000022001,
	 4}, /* 8 KiB and 4 KiB */
	{0x100000, 0, MIB(1), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x600000000007fe01, 0x600000000007fe01, 4},
	{0x200000, 0x40200000, MIB(2), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x6000000040200001, 0x6000000040200001,
	 3}, /* next level 0 */
	{0x800000, 0x50800000, MIB(8), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x6000000050bffe01, 0x6000000050bffe01, 3},
	{0x40000000, 0x80000000, GIB(1), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x6000000080000001, 0x6000000080000001, 2},
	{0x100000000, 0x700000000, GIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x600000077ffffe01, 0x600000077ffffe01, 2},
};

TEST(known_amdv1, isolde_builds_every_size)
{
	static const struct isolde_pt_config config = {
		.size = sizeof(config), .format = ISOLDE_PT_AMDV1, .levels = 4, .features = ISOLDE_PT_CONTIGUOUS};
	const struct known_tables tables = {MASK(51, 12) | MASK(11, 9), 0x6000000000000001, MASK(47, 12)};

	known_check_built(&config, tables, every_size_mappings, ARRAY_SIZE(every_size_mappings));
}

/* FC; without CONTIGUOUS 8 KiB are two entries. */
static const struct known_mapping snooped_pages_mappings[] = {
	{0x1000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x7000000012345001, 0x7000000012345001, 3},
	{0x4000, 0x12346000, KIB(8), ISOLDE_PT_READ, 0x3000000012346001, 0x3000000012347001, 3},
	{0x200000, 0x40200000, MIB(2), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x7000000040200001, 0x7000000040200001, 2},
};

TEST(known_amdv1, isolde_builds_snooped_pages)
{
	static const struct isolde_pt_config config = {
		.size = sizeof(config), .format = ISOLDE_PT_AMDV1, .levels = 3, .features = ISOLDE_PT_FORCE_SNOOP};
	const struct known_tables tables = {MASK(51, 12) | MASK(11, 9), 0x6000000000000001,
					    BIT(12) | BIT(21) | BIT(30)};

	known_check_built(&config, tables, snooped_pages_mappings, ARRAY_SIZE(snooped_pages_mappings));
}

/* Levels 4 and 5 have pages, too; level 6 has none. */
static const struct known_mapping six_levels_mappings[] = {
	{0x8000000000, 0x8000000000, GIB(512), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x6000008000000001, 0x6000008000000001,
	 3},
	{0x10000000000, 0, GIB(1024), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x6000007ffffffe01, 0x6000007ffffffe01, 3},
	{0x1000000000000, 0x1000000000000, GIB(262144), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x6001000000000001,
	 0x6001000000000001, 2},
	{0x2000000000000, 0x2000000000000, GIB(524288), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x6002fffffffffe01,
	 0x6002fffffffffe01, 2},
	{0xfffffffffffff000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x6000000012345001,
	 0x6000000012345001, 6},
};

TEST(known_amdv1, isolde_builds_six_levels)
{
	static const struct isolde_pt_config config = {
		.size = sizeof(config), .format = ISOLDE_PT_AMDV1, .levels = 6, .features = ISOLDE_PT_CONTIGUOUS};
	const struct known_tables tables = {MASK(51, 12) | MASK(11, 9), 0x6000000000000001, MASK(51, 12)};

	known_check_built(&config, tables, six_levels_mappings, ARRAY_SIZE(six_levels_mappings));
}

/* Without CONTIGUOUS next level is always 0. */
static const struct known_mapping large_pages_without_runs_mappings[] = {
	{0x8000000000, 0x8000000000, GIB(512), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x6000008000000001, 0x6000008000000001,
	 2},
	{0x1000000000000, 0x1000000000000, GIB(262144), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x6001000000000001,
	 0x6001000000000001, 1},
};

TEST(known_amdv1, isolde_builds_large_pages_without_runs)
{
	static const struct isolde_pt_config config = {.size = sizeof(config), .format = ISOLDE_PT_AMDV1, .levels = 5};
	const struct known_tables tables = {MASK(51, 12) | MASK(11, 9), 0x6000000000000001,
					    BIT(12) | BIT(21) | BIT(30) | BIT(39) | BIT(48)};

	known_check_built(&config, tables, large_pages_without_runs_mappings,
			  ARRAY_SIZE(large_pages_without_runs_mappings));
}

/* What hardware marks, before and after. */
TEST(known_amdv1, isolde_tracks_writes)
{
	static const struct isolde_pt_config config0 = {
		.size = sizeof(config0), .features = ISOLDE_PT_DIRTY, .format = ISOLDE_PT_AMDV1, .levels = 4};

	known_check_tracked(&config0, 0x6000000012345001, 0x6000000012345001, 0x6000000012345021, 0x6000000012345061);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(known_amdv1, pages_of_every_kind_below_four_levels),
		CASE(known_amdv1, six_levels_take_all_64_bits),
		CASE(known_amdv1, attributes_and_use_of_leaves),
		CASE(known_amdv1, isolde_builds_every_size),
		CASE(known_amdv1, isolde_builds_snooped_pages),
		CASE(known_amdv1, isolde_builds_six_levels),
		CASE(known_amdv1, isolde_builds_large_pages_without_runs),
		CASE(known_amdv1, isolde_tracks_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
