/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include <errno.h>

#include "isolde/pt.h"

#define RW (ISOLDE_PT_READ | ISOLDE_PT_WRITE)
#define MB 0x100000ull
#define GB 0x40000000ull

static void *no_memory(void *context, size_t size, size_t alignment)
{
	return NULL;
}

static void *no_table(void *context, uint64_t address, size_t size)
{
	return NULL;
}

/* Memory that is aligned to less than was asked for. */
static void *crooked(void *context, size_t size, size_t alignment)
{
	static char memory[3 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

	return memory + PAGE_SIZE / 2;
}

static void keep(void *context, void *table, size_t size)
{
}

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

TEST(pt, configurations_that_no_hardware_has_are_refused)
{
	const size_t size = sizeof(struct isolde_pt_config);
	const struct {
		struct isolde_pt_config config;
		int err;
	} rows[] = {
		{{.size = 0}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_FORMATS}, -EINVAL},
		{{.size = size, .granule = 16384}, -EINVAL},
		{{.size = size, .levels = 2}, -EINVAL},
		{{.size = size, .levels = 6}, -EINVAL},
		{{.size = size, .levels = 3, .input_bits = 40}, -EINVAL},
		{{.size = size, .output_bits = 53}, -EINVAL},
		{{.size = size, .half = ISOLDE_PT_UPPER}, -EINVAL},
		{{.size = size, .half = ISOLDE_PT_BOTH}, -EINVAL},
		{{.size = size, .page_sizes = BIT(21)}, -EINVAL},
		{{.size = size, .features = ISOLDE_PT_CONTIGUOUS}, -EOPNOTSUPP},
		{{.size = size, .features = ISOLDE_PT_GROW}, -EOPNOTSUPP},
		{{.size = size, .features = 1 << 30}, -EOPNOTSUPP},
		{{.size = size, .format = ISOLDE_PT_AMDV1, .levels = 7}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_AMDV1, .input_bits = 65}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_AMDV1, .granule = 2048, .input_bits = 60}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_AMDV1, .granule = 2048, .output_bits = 52}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_AMDV1, .granule = 1024}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_X86_64, .input_bits = 40}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_X86_64, .levels = 3}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_X86_64, .features = ISOLDE_PT_FORCE_SNOOP}, -EOPNOTSUPP},
		{{.size = size, .format = ISOLDE_PT_ARM64_S1, .granule = 8192}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_ARM64_S1, .input_bits = 52}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_ARM64_S1, .input_bits = 24}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_ARM64_S1, .input_bits = 39, .levels = 4}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_ARM64_S1, .input_bits = 40, .levels = 3}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_ARM64_S1, .half = ISOLDE_PT_BOTH}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_ARM64_S2, .half = ISOLDE_PT_UPPER}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_ARM64_S2, .input_bits = 44, .levels = 3}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_RISCV_S1, .input_bits = 41}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_RISCV_S2, .input_bits = 48}, -EINVAL},
		{{.size = size, .format = ISOLDE_PT_RISCV_S2, .half = ISOLDE_PT_UPPER}, -EINVAL},
		{{.size = size, .memory = {.allocate = no_memory}}, -EINVAL},
		{{.size = size, .memory = {.table = no_table}}, -EINVAL},
		{{.size = size, .memory = {.allocate = no_memory, .release = keep}}, -ENOMEM},
		{{.size = size, .memory = {.allocate = crooked, .release = keep}}, -ERANGE},
	};
	struct isolde_pt *pt = NULL;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(isolde_pt_new(&rows[i].config, &pt), rows[i].err);
	assert_null(pt);
	isolde_pt_free(NULL);
}

TEST(pt, callers_of_other_versions_are_understood)
{
	/* An older caller has fewer fields; a newer one may have more, as long as they are zero. */
	struct {
		struct isolde_pt_config config;
		char newer[16];
	} newer = {.config = {.size = sizeof(newer), .format = ISOLDE_PT_X86_64}};
	const struct isolde_pt_config older = {.size = offsetof(struct isolde_pt_config, output_bits),
					       .output_bits = 1000};
	struct isolde_pt *pt;

	assert_int_equal(isolde_pt_new(&newer.config, &pt), 0);
	isolde_pt_free(pt);
	newer.newer[3] = 1;
	assert_int_equal(isolde_pt_new(&newer.config, &pt), -EINVAL);
	assert_int_equal(isolde_pt_new(&older, &pt), 0);
	isolde_pt_free(pt);
}

TEST(pt, widths_and_levels_follow_from_each_other)
{
	const size_t size = sizeof(struct isolde_pt_config);
	const struct {
		struct isolde_pt_config config;
		unsigned levels;
		u64 last;
		size_t root;
	} rows[] = {
		{{.size = size}, 4, MASK(47, 0), 4096},
		{{.size = size, .levels = 5}, 5, MASK(56, 0), 4096},
		{{.size = size, .input_bits = 39}, 3, MASK(38, 0), 4096},
		{{.size = size, .format = ISOLDE_PT_AMDV1}, 6, ~0ull, 4096},
		{{.size = size, .format = ISOLDE_PT_AMDV1, .input_bits = 32}, 3, MASK(31, 0), 4096},
		{{.size = size, .format = ISOLDE_PT_AMDV1, .features = ISOLDE_PT_GROW}, 1, ~0ull, 4096},
		{{.size = size, .format = ISOLDE_PT_AMDV1, .granule = 2048}, 6, MASK(58, 0), 2048},
		{{.size = size, .format = ISOLDE_PT_AMDV1, .granule = 2048, .input_bits = 31}, 3, MASK(30, 0), 2048},
		{{.size = size, .format = ISOLDE_PT_X86_64}, 4, MASK(46, 0), 4096},
		{{.size = size, .format = ISOLDE_PT_X86_64, .levels = 5, .half = ISOLDE_PT_UPPER}, 5, ~0ull, 4096},
		{{.size = size, .format = ISOLDE_PT_ARM64_S1}, 4, MASK(47, 0), 4096},
		{{.size = size, .format = ISOLDE_PT_ARM64_S1, .input_bits = 36}, 3, MASK(35, 0), 512},
		{{.size = size, .format = ISOLDE_PT_ARM64_S1, .granule = 16384}, 4, MASK(47, 0), 64},
		{{.size = size, .format = ISOLDE_PT_ARM64_S1, .granule = 65536}, 3, MASK(47, 0), 512},
		{{.size = size, .format = ISOLDE_PT_ARM64_S2, .input_bits = 40, .levels = 3}, 3, MASK(39, 0), 8192},
		{{.size = size, .format = ISOLDE_PT_RISCV_S1, .levels = 3}, 3, MASK(37, 0), 4096},
		{{.size = size, .format = ISOLDE_PT_RISCV_S2}, 4, MASK(49, 0), 16384},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct isolde_pt *pt = NULL;
		unsigned levels;

		assert_int_equal(isolde_pt_new(&rows[i].config, &pt), 0);
		assert_int_equal(isolde_pt_root(pt, &levels) & 63, 0);
		assert_int_equal(levels, rows[i].levels);
		assert_int_equal(isolde_pt_last_iova(pt), rows[i].last);
		assert_int_equal(isolde_pt_memory(pt), rows[i].root);
		isolde_pt_free(pt);
	}
}

TEST(pt, levels_grow_when_an_iova_needs_them)
{
	const struct isolde_pt_config config = {
		.size = sizeof(config), .format = ISOLDE_PT_AMDV1, .levels = 2, .features = ISOLDE_PT_GROW};
	struct isolde_pt *pt = NULL;
	struct isolde_pt_walk walk;
	unsigned levels;
	u64 root, grown;

	assert_int_equal(isolde_pt_new(&config, &pt), 0);
	root = isolde_pt_root(pt, &levels);
	assert_int_equal(isolde_pt_map(pt, 0x1000, 0x7000, 0x1000, RW, NULL), 0);
	assert_int_equal(isolde_pt_walk(pt, BIT(50), 0, &walk), ISOLDE_PT_NOT_PRESENT);
	assert_int_equal(isolde_pt_unmap(pt, BIT(50), 0x1000, NULL, NULL), -ENOENT);
	assert_int_equal(isolde_pt_map(pt, BIT(38), 0x9000, 0x1000, RW, NULL), 0);
	grown = isolde_pt_root(pt, &levels);
	assert_int_equal(levels, 3);
	assert_int_not_equal(grown, root);
	assert_int_equal(isolde_pt_iova_to_phys(pt, 0x1234), 0x7234);
	assert_int_equal(isolde_pt_map(pt, ~0xfffull, 0xb000, 0x1000, RW, NULL), 0);
	isolde_pt_root(pt, &levels);
	assert_int_equal(levels, 6);
	assert_int_equal(isolde_pt_iova_to_phys(pt, ~0ull), 0xbfff);
	assert_int_equal(isolde_pt_iova_to_phys(pt, BIT(38) + 5), 0x9005);
	/* From what no root of the beginning spans, across the border of one, and from one end to the other. */
	assert_int_equal(isolde_pt_map(pt, BIT(57) - 0x1000, 0x20000, 0x2000, RW, NULL), 0);
	assert_int_equal(isolde_pt_map(pt, 0, 0x1000, BIT(60), RW, NULL), -ERANGE);
	isolde_pt_check(pt);
	isolde_pt_free(pt);
}

#define TYPED(name, ...)                                                                                               \
	do {                                                                                                           \
		const struct isolde_pt_config config = {.size = sizeof(config), __VA_ARGS__};                          \
		struct isolde_pt_walk walk;                                                                            \
		struct isolde_pt *pt = NULL;                                                                           \
		u64 removed = 0;                                                                                       \
                                                                                                                       \
		assert_int_equal(isolde_pt_new(&config, &pt), 0);                                                      \
		assert_int_equal(isolde_pt_##name##_map(pt, 0x10000, 0x40000, 0x20000, RW, NULL), 0);                  \
		assert_int_equal(isolde_pt_##name##_iova_to_phys(pt, 0x1ffff), 0x4ffff);                               \
		assert_int_equal(isolde_pt_##name##_walk(pt, 0x10000, ISOLDE_PT_WRITE, &walk), ISOLDE_PT_OK);          \
		assert_int_equal(isolde_pt_walk(pt, 0x10000, ISOLDE_PT_WRITE, &walk), ISOLDE_PT_OK);                   \
		assert_int_equal(isolde_pt_##name##_unmap(pt, 0x10000, 0x20000, NULL, &removed), 0);                   \
		assert_int_equal(removed, 0x20000);                                                                    \
		isolde_pt_free(pt);                                                                                    \
	} while (0)

TEST(pt, formats_have_entry_points_of_their_own)
{
	TYPED(vtdss, .format = ISOLDE_PT_VTDSS);
	TYPED(amdv1, .format = ISOLDE_PT_AMDV1);
	TYPED(x86_64, .format = ISOLDE_PT_X86_64);
	TYPED(arm64s1_4k, .format = ISOLDE_PT_ARM64_S1);
	TYPED(arm64s1_16k, .format = ISOLDE_PT_ARM64_S1, .granule = 16384);
	TYPED(arm64s1_64k, .format = ISOLDE_PT_ARM64_S1, .granule = 65536);
	TYPED(arm64s2_4k, .format = ISOLDE_PT_ARM64_S2);
	TYPED(arm64s2_16k, .format = ISOLDE_PT_ARM64_S2, .granule = 16384);
	TYPED(arm64s2_64k, .format = ISOLDE_PT_ARM64_S2, .granule = 65536);
	TYPED(riscv_s1, .format = ISOLDE_PT_RISCV_S1);
	TYPED(riscv_s2, .format = ISOLDE_PT_RISCV_S2);
}

TEST(pt, a_table_of_another_format_is_the_callers_bug)
{
	struct isolde_pt *pt = new_vtdss();

	EXPECT_ABORT(isolde_pt_x86_64_map(pt, 0x1000, 0x1000, 0x1000, RW, NULL));
	isolde_pt_free(pt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pt, largest_leaves_that_fit_are_used),
		CASE(pt, entries_have_the_bits_of_the_specification),
		CASE(pt, small_and_large_leaves_have_the_bits_of_the_specification),
		CASE(pt, entries_with_reserved_bits_are_faults),
		CASE(pt, check_finds_a_corrupt_table),
		CASE(pt, configurations_that_no_hardware_has_are_refused),
		CASE(pt, callers_of_other_versions_are_understood),
		CASE(pt, widths_and_levels_follow_from_each_other),
		CASE(pt, levels_grow_when_an_iova_needs_them),
		CASE(pt, formats_have_entry_points_of_their_own),
		CASE(pt, a_table_of_another_format_is_the_callers_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
