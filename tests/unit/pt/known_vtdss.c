/* SPDX-License-Identifier: MIT */
/* VT-d second stage: table images by hand, from VT-d 5.0, 9.8. */
#include "tests/fixtures/pt_known.h"
#include "tests/helpers.h"

/*
 * Entry: 62 reserved, 51:HAW reserved, 51:12 address, 11 SNP (of a leaf), 9 D, 8 A, 7 PS, 6 IPAT, 5:3 EMT, 1 W, 0 R;
 * all else is ignored. Nothing is present where R and W are clear. HAW is 46 here.
 */
static const struct known_entry four_entries[] = {
	/* SS-PML4 */
	{0x10000, 0x0000000000011003}, /* R W, 0x11000 */
	{0x10008, 0x0000000000011083}, /* bit 7 is reserved in SS-PML4E */
	{0x10010, 0x0000000000011803}, /* bit 11 is reserved where a table follows */
	{0x10018, 0x4000000000011003}, /* bit 62 is reserved */
	{0x10020, 0x0000400000011003}, /* bit 46 is beyond HAW */
	{0x10028, 0xbff000000001177b}, /* R W, 0x11000, and all that is ignored: 63, 61:52, 10:8, 6:3 */
	{0x10030, 0x0000000000010003}, /* this very table */
	{0x10038, 0x0000000077777003}, /* no memory there */
	{0x10040, 0x0000000000011004}, /* bit 2 alone: not present */
	{0x10ff8, 0x0000000000011003}, /* the last one */
	/* SS-PDPT */
	{0x11000, 0x0000000000012003}, /* R W, 0x12000 */
	{0x11008, 0x0000000080000083}, /* R W PS, 1 GiB at 0x80000000 */
	{0x11010, 0x00000000a0000083}, /* PS with bit 29: reserved */
	{0x11018, 0x0000000000012001}, /* R, 0x12000 */
	{0x11020, 0x0000000000012002}, /* W, 0x12000 */
	{0x11028, 0x0000000080001083}, /* PS with bit 12: reserved */
	/* SS-PD */
	{0x12000, 0x0000000000013003}, /* R W, 0x13000 */
	{0x12008, 0x0000000040200bfb}, /* R W PS, EMT 7, IPAT, A, D, SNP; 2 MiB at 0x40200000 */
	{0x12010, 0x0000000040300083}, /* PS with bit 20: reserved */
	{0x12018, 0x0000000040200081}, /* R PS, 2 MiB */
	{0x12020, 0x0000000040200082}, /* W PS, 2 MiB */
	/* SS-PT */
	{0x13000, 0x0000000012345003}, /* R W, 0x12345000 */
	{0x13008, 0x0000000012345001}, /* R */
	{0x13010, 0x0000000012345002}, /* W */
	{0x13018, 0xbffffffffffff4fc}, /* neither: not present, whatever the rest */
	{0x13020, 0x0000000012345083}, /* bit 7 is ignored in SS-PTE */
	{0x13028, 0xbff0000012345f7f}, /* R W and all that is ignored, A, D, SNP, IPAT, EMT */
	{0x13030, 0x4000000012345003}, /* bit 62 */
	{0x13038, 0x0008000012345003}, /* bit 51 */
	{0x13040, 0x00003ffffffff003}, /* the highest address of 46 bits */
	{0x13050, 0x000000001234510b}, /* A, EMT 1 */
	{0x13058, 0x0000000012345223}, /* D, EMT 4 */
	{0x13060, 0x0000000012345843}, /* SNP, IPAT */
	{0x13068, 0x0000000012345483}, /* bits 10 and 7 are ignored */
};

static const struct known_answer four_answers[] = {
	{0x000000000abc, R | W, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x000000001abc, R, WALKER_OK, 0x12345abc, KIB(4), R | X},
	{0x000000001abc, W, WALKER_PERMISSION, 0x12345abc, KIB(4), R | X},
	{0x000000002abc, W, WALKER_OK, 0x12345abc, KIB(4), W},
	{0x000000002abc, R, WALKER_PERMISSION, 0x12345abc, KIB(4), W},
	{0x000000003abc, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0x000000004abc, R | W, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x000000005abc, R | W, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x000000006abc, R, WALKER_RESERVED, 0, 0, 0},
	{0x000000007abc, R, WALKER_RESERVED, 0, 0, 0},
	{0x000000008fff, R | W, WALKER_OK, 0x3fffffffffff, KIB(4), R | W | X},
	{0x000000009abc, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0x00000023ffff, R | W, WALKER_OK, 0x4023ffff, MIB(2), R | W | X},
	{0x000000400000, R, WALKER_RESERVED, 0, 0, 0},
	{0x000040000000, R | W, WALKER_OK, 0x80000000, GIB(1), R | W | X},
	{0x00007fffffff, R | W, WALKER_OK, 0xbfffffff, GIB(1), R | W | X},
	{0x000080000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x000140000000, R, WALKER_RESERVED, 0, 0, 0},
	/* Rights of all levels together. */
	{0x0000c0000abc, R, WALKER_OK, 0x12345abc, KIB(4), R | X},
	{0x0000c0000abc, W, WALKER_PERMISSION, 0x12345abc, KIB(4), R | X},
	{0x0000c0002abc, W, WALKER_PERMISSION, 0x12345abc, KIB(4), 0},
	{0x000100000abc, W, WALKER_OK, 0x12345abc, KIB(4), W},
	{0x000100001abc, R, WALKER_PERMISSION, 0x12345abc, KIB(4), 0},
	{0x000100600abc, R, WALKER_PERMISSION, 0x40200abc, MIB(2), 0},
	{0x000100800abc, W, WALKER_OK, 0x40200abc, MIB(2), W},
	/* The upper entries. */
	{0x008000000abc, R, WALKER_RESERVED, 0, 0, 0},
	{0x010000000abc, R, WALKER_RESERVED, 0, 0, 0},
	{0x018000000abc, R, WALKER_RESERVED, 0, 0, 0},
	{0x020000000abc, R, WALKER_RESERVED, 0, 0, 0},
	{0x028000000abc, R | W, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	{0x038000000abc, R, WALKER_MEMORY, 0, 0, 0},
	{0x040000000abc, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0xff8000000abc, R | W, WALKER_OK, 0x12345abc, KIB(4), R | W | X},
	/* A loop through entry 6 costs four reads, the last as an SS-PTE. */
	{0x030180c06abc, R | W, WALKER_OK, 0x10abc, KIB(4), R | W | X},
	{0x0001000000000000, R, WALKER_ADDRESS, 0, 0, 0},
	{0xffffffffffffffff, R, WALKER_ADDRESS, 0, 0, 0},
};

static const struct isolde_pt_config four_config = {.size = sizeof(four_config),
						    .format = ISOLDE_PT_VTDSS,
						    .levels = 4,
						    .output_bits = 46,
						    .features = ISOLDE_PT_FORCE_SNOOP};

static const struct known_image four = KNOWN_IMAGE(&four_config, four_entries, four_answers, .format = WALKER_VTDSS,
						   .levels = 4, .physical_width = 46, .flags = WALKER_SNOOP,
						   .root = 0x10000);

/* Without snoop control and leaves of 1 GiB, three levels. */
static const struct known_entry plain_entries[] = {
	{0x20000, 0x0000000000021003}, /* R W, 0x21000 */
	{0x20008, 0x0000000080000083}, /* PS, where 1 GiB is not supported */
	{0x20ff8, 0x0000000000021003}, /* bits 38:30 all set */
	{0x21000, 0x0000000000022003}, /* R W, 0x22000 */
	{0x21008, 0x0000000040200883}, /* SNP */
	{0x22000, 0x0000000012345803}, /* SNP */
	{0x22008, 0x0000000012345003},
};

static const struct known_answer plain_answers[] = {
	{0x0000001000, R | W, WALKER_OK, 0x12345000, KIB(4), R | W | X},
	{0x7fc0001000, R | W, WALKER_OK, 0x12345000, KIB(4), R | W | X},
	{0x0000000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0000200000, R, WALKER_RESERVED, 0, 0, 0},
	{0x0040000000, R, WALKER_RESERVED, 0, 0, 0},
	{0x8000000000, R, WALKER_ADDRESS, 0, 0, 0},
};

static const struct known_image plain = KNOWN_IMAGE(NULL, plain_entries, plain_answers, .format = WALKER_VTDSS,
						    .levels = 3, .physical_width = 52, .flags = WALKER_NO_1G,
						    .root = 0x20000);

/* Five levels, 57 bits. */
static const struct known_entry five_entries[] = {
	{0x30ff8, 0x0000000000031003}, /* R W, 0x31000 */
	{0x30000, 0x0000000000031083}, /* bit 7 is reserved in SS-PML5E */
	{0x31000, 0x0000000000032003}, /* R W, 0x32000 */
	{0x32000, 0x000fffffc0000083}, /* R W PS, the last 1 GiB of 52 bits */
};

static const struct known_answer five_answers[] = {
	{0x01ff000000000123, R | W, WALKER_OK, 0xfffffc0000123, GIB(1), R | W | X},
	{0x0000000000000123, R, WALKER_RESERVED, 0, 0, 0},
	{0x01ff800000000000, R, WALKER_NOT_PRESENT, 0, 0, 0},
	{0x0200000000000000, R, WALKER_ADDRESS, 0, 0, 0},
};

static const struct isolde_pt_config five_config = {
	.size = sizeof(five_config), .format = ISOLDE_PT_VTDSS, .levels = 5};

static const struct known_image five = KNOWN_IMAGE(&five_config, five_entries, five_answers, .format = WALKER_VTDSS,
						   .levels = 5, .physical_width = 52, .root = 0x30000);

TEST(known_vtdss, four_levels)
{
	known_check_walker(&four);
	known_check_adopted(&four);
}

TEST(known_vtdss, three_levels_without_snoop_control_and_1_gib)
{
	known_check_walker(&plain);
}

TEST(known_vtdss, five_levels)
{
	known_check_walker(&five);
	known_check_adopted(&five);
}

TEST(known_vtdss, attributes_and_use_of_leaves)
{
	known_check_leaf(&four, 0xa000, BIT(3), true, false);
	known_check_leaf(&four, 0xb000, BIT(5), false, true);
	known_check_leaf(&four, 0xc000, BIT(11) | BIT(6), false, false);
	known_check_leaf(&four, 0xd000, 0, false, false);
	known_check_leaf(&four, 0x200000, BIT(11) | BIT(6) | MASK(5, 3), true, true);
}

/* Tables are R W; who may what is in the leaf. */
static const struct known_mapping every_size_mappings[] = {
	{0x1000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0000000012345003, 0x0000000012345003,
	 4},											  /* R W */
	{0x2000, 0x12345000, KIB(4), ISOLDE_PT_READ, 0x0000000012345001, 0x0000000012345001, 4},  /* R */
	{0x3000, 0x12345000, KIB(4), ISOLDE_PT_WRITE, 0x0000000012345002, 0x0000000012345002, 4}, /* W */
	{0x200000, 0x40200000, MIB(2), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0000000040200083, 0x0000000040200083,
	 3}, /* PS */
	{0x40000000, 0x80000000, GIB(1), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0000000080000083, 0x0000000080000083,
	 2}, /* PS */
	{0x803ff000, 0x401ff000, KIB(2052), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x00000000401ff003, 0x0000000040200083,
	 4}, /* 4 KiB and 2 MiB */
};

TEST(known_vtdss, isolde_builds_every_size)
{
	static const struct isolde_pt_config config = {.size = sizeof(config), .format = ISOLDE_PT_VTDSS, .levels = 4};
	const struct known_tables tables = {MASK(51, 12), 3, BIT(12) | BIT(21) | BIT(30)};

	known_check_built(&config, tables, every_size_mappings, ARRAY_SIZE(every_size_mappings));
}

/* SNP in leaves, where alone it is not reserved. */
static const struct known_mapping snooped_pages_mappings[] = {
	{0x1000, 0x12345000, KIB(4), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0000000012345803, 0x0000000012345803, 3},
	{0x200000, 0x40200000, MIB(2), ISOLDE_PT_READ, 0x0000000040200881, 0x0000000040200881, 2},
	{0x40000000, 0x80000000, GIB(1), ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0x0000000080000883, 0x0000000080000883, 1},
};

TEST(known_vtdss, isolde_builds_snooped_pages)
{
	static const struct isolde_pt_config config = {
		.size = sizeof(config), .format = ISOLDE_PT_VTDSS, .levels = 3, .features = ISOLDE_PT_FORCE_SNOOP};
	const struct known_tables tables = {MASK(51, 12), 3, BIT(12) | BIT(21) | BIT(30)};

	known_check_built(&config, tables, snooped_pages_mappings, ARRAY_SIZE(snooped_pages_mappings));
}

/* What hardware marks, before and after. */
TEST(known_vtdss, isolde_tracks_writes)
{
	static const struct isolde_pt_config config0 = {
		.size = sizeof(config0), .features = ISOLDE_PT_DIRTY, .format = ISOLDE_PT_VTDSS, .levels = 4};

	known_check_tracked(&config0, 0x0000000012345003, 0x0000000012345003, 0x0000000012345103, 0x0000000012345303);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(known_vtdss, four_levels),
		CASE(known_vtdss, three_levels_without_snoop_control_and_1_gib),
		CASE(known_vtdss, five_levels),
		CASE(known_vtdss, attributes_and_use_of_leaves),
		CASE(known_vtdss, isolde_builds_every_size),
		CASE(known_vtdss, isolde_builds_snooped_pages),
		CASE(known_vtdss, isolde_tracks_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
