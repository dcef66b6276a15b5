/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include "isolde/pt.h"

#define RW (ISOLDE_PT_READ | ISOLDE_PT_WRITE)
#define MB 0x100000ull
#define GB 0x40000000ull

static struct isolde_pt *new_vtdss(void)
{
	const struct isolde_pt_config config = {.size = sizeof(config)};
	struct isolde_pt *pt = NULL;

	assert_int_equal(isolde_pt_new(&config, &pt), 0);
	return pt;
}

static u64 *root_of(const struct isolde_pt *pt)
{
	unsigned levels;

	return (u64 *)(uintptr_t)isolde_pt_root(pt, &levels);
}

static u64 leaf_size(const struct isolde_pt *pt, u64 iova)
{
	struct isolde_pt_walk walk;

	assert_int_equal(isolde_pt_walk(pt, iova, ISOLDE_PT_READ, &walk), ISOLDE_PT_OK);
	return walk.leaf_size;
}

TEST(pt, largest_leaves_that_fit_are_used)
{
	struct isolde_pt *pt = new_vtdss();
	u64 removed = 0;

	/* 4 KiB below 1 GiB to 4 KiB above 2 GiB: page, large, one 1 GiB leaf, page. */
	assert_int_equal(isolde_pt_map(pt, GB - 2 * MB - PAGE_SIZE, 5 * GB - 2 * MB - PAGE_SIZE,
				       GB + 2 * MB + 2 * PAGE_SIZE, RW, NULL),
			 0);
	assert_int_equal(leaf_size(pt, GB - 2 * MB - PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(leaf_size(pt, GB - 1), 2 * MB);
	assert_int_equal(leaf_size(pt, GB), GB);
	assert_int_equal(leaf_size(pt, 2 * GB), PAGE_SIZE);
	assert_int_equal(isolde_pt_iova_to_phys(pt, 2 * GB - 5), 6 * GB - 5);
	isolde_pt_check(pt);
	assert_int_equal(isolde_pt_unmap(pt, GB - 2 * MB - PAGE_SIZE, GB + 2 * MB + 2 * PAGE_SIZE, NULL, &removed), 0);
	assert_int_equal(removed, GB + 2 * MB + 2 * PAGE_SIZE);
	/* What the range did not cover whole: the root, the table below it, two directories, two tables of pages. */
	assert_int_equal(isolde_pt_memory(pt), 6 * PAGE_SIZE);
	assert_int_equal(isolde_pt_trim(pt, 0, 4 * GB, NULL), 5);
	assert_int_equal(isolde_pt_memory(pt), PAGE_SIZE);
	isolde_pt_free(pt);
}

/* VT-d 5.0 section 9.8: read is bit 0, write bit 1, a large leaf has bit 7, the address is bits 51:12. */
TEST(pt, entries_have_the_bits_of_the_specification)
{
	struct isolde_pt *pt = new_vtdss();
	const u64 *root = root_of(pt), *directory;

	assert_int_equal(isolde_pt_map(pt, 3 * GB, 7 * GB, GB, ISOLDE_PT_READ, NULL), 0);
	assert_int_equal(root[0] & 3, 3);
	directory = (const u64 *)(uintptr_t)(root[0] & MASK(51, 12));
	assert_int_equal(directory[3], 7 * GB | 0x81);
	assert_int_equal(isolde_pt_map(pt, 4 * GB, 8 * GB, GB, ISOLDE_PT_WRITE, NULL), 0);
	assert_int_equal(directory[4], 8 * GB | 0x82);
	isolde_pt_free(pt);
}

/* The entry of the table at this level (3 is the root) on the way to iova. */
static u64 *entry_at(const struct isolde_pt *pt, u64 iova, unsigned level)
{
	u64 *table = root_of(pt);

	for (unsigned at = 3;; at--) {
		u64 *entry = &table[iova >> (12 + 9 * at) & 511];

		if (at == level)
			return entry;
		table = (u64 *)(uintptr_t)(*entry & MASK(51, 12));
	}
}

TEST(pt, small_and_large_leaves_have_the_bits_of_the_specification)
{
	struct isolde_pt *pt = new_vtdss();

	assert_int_equal(isolde_pt_map(pt, 0x7000, 0xfffffffff000, 0x1000, RW, NULL), 0);
	assert_int_equal(*entry_at(pt, 0x7000, 0), 0xfffffffff003);
	assert_int_equal(isolde_pt_map(pt, BIT(48) - 2 * MB, BIT(52) - 2 * MB, 2 * MB, RW, NULL), 0);
	assert_int_equal(*entry_at(pt, BIT(48) - 1, 1), (BIT(52) - 2 * MB) | 0x83);
	assert_int_equal(isolde_pt_page_sizes(pt), 0x40201000);
	assert_int_equal(isolde_pt_last_iova(pt), 0xffffffffffff);
	isolde_pt_check(pt);
	isolde_pt_free(pt);
}

/* A table of memory can be corrupted: hardware then refuses the access, and so do we. */
TEST(pt, entries_with_reserved_bits_are_faults)
{
	struct isolde_pt *pt = new_vtdss();
	struct isolde_pt_walk walk = {0};
	const struct {
		unsigned level;
		u64 bits;
	} corruptions[] = {{3, BIT(7)}, {3, BIT(62)}, {2, BIT(62)}, {1, BIT(12)}, {1, BIT(20)}, {1, BIT(62)}};

	assert_int_equal(isolde_pt_map(pt, 2 * MB, 2 * MB, 2 * MB, RW, NULL), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(corruptions); i++) {
		u64 *entry = entry_at(pt, 2 * MB, corruptions[i].level), good = *entry;

		*entry |= corruptions[i].bits;
		assert_int_equal(isolde_pt_walk(pt, 2 * MB, ISOLDE_PT_READ, &walk), ISOLDE_PT_RESERVED);
		assert_int_equal(walk.leaf_size, 0);
		*entry = good;
	}
	/* Bits 61:52 and 63 are ignored; a level that does not permit, forbids for all below. */
	*entry_at(pt, 2 * MB, 1) |= BIT(63) | BIT(52);
	*entry_at(pt, 2 * MB, 2) &= ~BIT(1);
	assert_int_equal(isolde_pt_walk(pt, 2 * MB + 5, ISOLDE_PT_READ, &walk), ISOLDE_PT_OK);
	assert_int_equal(walk.physical, 2 * MB + 5);
	assert_int_equal(walk.permission, ISOLDE_PT_READ);
	assert_int_equal(isolde_pt_walk(pt, 2 * MB, ISOLDE_PT_WRITE, &walk), ISOLDE_PT_PERMISSION);
	isolde_pt_free(pt);
}

TEST(pt, check_finds_a_corrupt_table)
{
	struct isolde_pt *pt = new_vtdss();

	assert_int_equal(isolde_pt_map(pt, 0x1000, 0x1000, 0x1000, RW, NULL), 0);
	*entry_at(pt, 0x2000, 0) = BIT(40); /* not present, not zero */
	EXPECT_ABORT(isolde_pt_check(pt));
	*entry_at(pt, 0x2000, 0) = 0;
	isolde_pt_check(pt);
	isolde_pt_free(pt);
}

TEST(pt, null_is_free)
{
	isolde_pt_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pt, largest_leaves_that_fit_are_used),
		CASE(pt, entries_have_the_bits_of_the_specification),
		CASE(pt, small_and_large_leaves_have_the_bits_of_the_specification),
		CASE(pt, entries_with_reserved_bits_are_faults),
		CASE(pt, check_finds_a_corrupt_table),
		CASE(pt, null_is_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
