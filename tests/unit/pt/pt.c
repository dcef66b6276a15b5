/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "pt/format.h"

#define RW (ISOLDE_PT_READ | ISOLDE_PT_WRITE)
#define MB 0x100000ull
#define GB 0x40000000ull

static u64 leaf_size(const struct isolde_pt *pt, u64 iova)
{
	struct isolde_pt_walk walk;

	assert_int_equal(isolde_pt_walk(pt, iova, ISOLDE_PT_READ, &walk), ISOLDE_PT_OK);
	return walk.leaf_size;
}

TEST(pt, largest_leaves_that_fit_are_used)
{
	struct isolde_pt *pt = isolde_pt_new(ISOLDE_PT_VTDSS);

	/* 4 KiB below 1 GiB to 4 KiB above 2 GiB: page, large, one 1 GiB leaf, page. */
	assert_int_equal(isolde_pt_map(pt, GB - 2 * MB - PAGE_SIZE, 5 * GB - 2 * MB - PAGE_SIZE,
				       GB + 2 * MB + 2 * PAGE_SIZE, RW),
			 0);
	assert_int_equal(leaf_size(pt, GB - 2 * MB - PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(leaf_size(pt, GB - 1), 2 * MB);
	assert_int_equal(leaf_size(pt, GB), GB);
	assert_int_equal(leaf_size(pt, 2 * GB), PAGE_SIZE);
	assert_int_equal(isolde_pt_iova_to_phys(pt, 2 * GB - 5), 6 * GB - 5);
	isolde_pt_check(pt);
	assert_int_equal(isolde_pt_unmap(pt, GB - 2 * MB - PAGE_SIZE, GB + 2 * MB + 2 * PAGE_SIZE),
			 GB + 2 * MB + 2 * PAGE_SIZE);
	assert_int_equal(isolde_pt_memory(pt), PAGE_SIZE);
	isolde_pt_free(pt);
}

/* VT-d 5.0 section 9.8: read is bit 0, write bit 1, a large leaf has bit 7, the address is bits 51:12. */
TEST(pt, entries_have_the_bits_of_the_specification)
{
	struct isolde_pt *pt = isolde_pt_new(ISOLDE_PT_VTDSS);
	const u64 *root = pt->root, *directory;

	assert_int_equal(isolde_pt_map(pt, 3 * GB, 7 * GB, GB, ISOLDE_PT_READ), 0);
	assert_int_equal(root[0] & 3, 3);
	directory = (const u64 *)(uintptr_t)(root[0] & MASK(51, 12));
	assert_int_equal(directory[3], 7 * GB | 0x81);
	assert_int_equal(isolde_pt_map(pt, 4 * GB, 8 * GB, GB, ISOLDE_PT_WRITE), 0);
	assert_int_equal(directory[4], 8 * GB | 0x82);
	isolde_pt_free(pt);
}

/* The entry of the table at this level (3 is the root) on the way to iova. */
static u64 *entry_at(const struct isolde_pt *pt, u64 iova, unsigned level)
{
	u64 *table = pt->root;

	for (unsigned at = 3;; at--) {
		u64 *entry = &table[iova >> (12 + 9 * at) & 511];

		if (at == level)
			return entry;
		table = (u64 *)(uintptr_t)(*entry & MASK(51, 12));
	}
}

TEST(pt, small_and_large_leaves_have_the_bits_of_the_specification)
{
	struct isolde_pt *pt = isolde_pt_new(ISOLDE_PT_VTDSS);

	assert_int_equal(isolde_pt_map(pt, 0x7000, 0xfffffffff000, 0x1000, RW), 0);
	assert_int_equal(*entry_at(pt, 0x7000, 0), 0xfffffffff003);
	assert_int_equal(isolde_pt_map(pt, BIT(48) - 2 * MB, BIT(52) - 2 * MB, 2 * MB, RW), 0);
	assert_int_equal(*entry_at(pt, BIT(48) - 1, 1), (BIT(52) - 2 * MB) | 0x83);
	assert_int_equal(isolde_pt_page_sizes(pt), 0x40201000);
	assert_int_equal(isolde_pt_last_iova(pt), 0xffffffffffff);
	isolde_pt_check(pt);
	isolde_pt_free(pt);
}

/* A table of memory can be corrupted: hardware then refuses the access, and so do we. */
TEST(pt, entries_with_reserved_bits_are_faults)
{
	struct isolde_pt *pt = isolde_pt_new(ISOLDE_PT_VTDSS);
	struct isolde_pt_walk walk = {0};
	const struct {
		unsigned level;
		u64 bits;
	} corruptions[] = {{3, BIT(7)}, {3, BIT(62)}, {2, BIT(62)}, {1, BIT(12)}, {1, BIT(20)}, {1, BIT(62)}};

	assert_int_equal(isolde_pt_map(pt, 2 * MB, 2 * MB, 2 * MB, RW), 0);
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
	struct isolde_pt *pt = isolde_pt_new(ISOLDE_PT_VTDSS);

	assert_int_equal(isolde_pt_map(pt, 0x1000, 0x1000, 0x1000, RW), 0);
	*entry_at(pt, 0x2000, 0) = BIT(40); /* not present, not zero */
	EXPECT_ABORT(isolde_pt_check(pt));
	*entry_at(pt, 0x2000, 0) = 0;
	isolde_pt_check(pt);
	isolde_pt_free(pt);
}

TEST(pt, new_needs_memory_and_a_known_format)
{
	for (unsigned n = 1; n <= 2; n++) {
		fail_nth_arm(n);
		assert_null(isolde_pt_new(ISOLDE_PT_VTDSS));
		fail_nth_arm(0);
	}
	assert_null(isolde_pt_new(ISOLDE_PT_FORMATS));
	isolde_pt_free(NULL);
}

TEST(pt, misuse_is_refused_and_changes_nothing)
{
	struct isolde_pt *pt = isolde_pt_new(ISOLDE_PT_VTDSS);
	struct isolde_pt_walk walk;

	assert_int_equal(isolde_pt_map(pt, 0x1000, 0x1000, 0x4000, ISOLDE_PT_READ), 0);
	assert_int_equal(isolde_pt_map(pt, 1, 0x1000, 0x1000, RW), -EINVAL);
	assert_int_equal(isolde_pt_map(pt, 0x1000, 0x1000, 0, RW), -EINVAL);
	assert_int_equal(isolde_pt_map(pt, 0x8000, 0x1000, 0x1000, 0), -EINVAL);
	assert_int_equal(isolde_pt_map(pt, 0x8000, 0x1000, 0x1000, 4 | RW), -EINVAL);
	assert_int_equal(isolde_pt_map(pt, 0x8000, ~0xfffull, 0x2000, RW), -ERANGE);
	assert_int_equal(isolde_pt_map(pt, BIT(48), 0x1000, 0x1000, RW), -ERANGE);
	assert_int_equal(isolde_pt_map(pt, 0x8000, BIT(52), 0x1000, RW), -ERANGE);
	assert_int_equal(isolde_pt_map(pt, ~0xfffull, 0x1000, 0x2000, RW), -ERANGE);
	assert_int_equal(isolde_pt_map(pt, 0x4000, 0x9000, 0x4000, RW), -EADDRINUSE);
	assert_int_equal(isolde_pt_walk(pt, 0x5000, ISOLDE_PT_READ, &walk), ISOLDE_PT_NOT_PRESENT);
	assert_int_equal(isolde_pt_walk(pt, 0x1000, ISOLDE_PT_WRITE, &walk), ISOLDE_PT_PERMISSION);
	assert_int_equal(isolde_pt_walk(pt, BIT(48), ISOLDE_PT_READ, &walk), ISOLDE_PT_ADDRESS);
	assert_int_equal(isolde_pt_unmap(pt, 0x8000, 0x1000), 0);
	assert_int_equal(isolde_pt_unmap(pt, 0x1800, 0x1000), 0);
	/* A hole ends an unmap. */
	assert_int_equal(isolde_pt_map(pt, 0x8000, 0x9000, 0x1000, RW), 0);
	assert_int_equal(isolde_pt_unmap(pt, 0x1000, 0x8000), 0x4000);
	assert_int_equal(isolde_pt_iova_to_phys(pt, 0x8123), 0x9123);
	isolde_pt_check(pt);
	isolde_pt_free(pt);
}

TEST(pt, map_that_runs_out_of_memory_leaves_the_table_as_it_was)
{
	struct isolde_pt *pt = isolde_pt_new(ISOLDE_PT_VTDSS);
	size_t before;
	unsigned n;

	assert_int_equal(isolde_pt_map(pt, 0x1000, 0x1000, 0x1000, RW), 0);
	before = isolde_pt_memory(pt);
	for (n = 1;; n++) {
		int ret;

		fail_nth_arm(n);
		/* Crosses a 512 GiB border with small pages on both sides: five new tables. */
		ret = isolde_pt_map(pt, 512 * GB - 0x1000, 0x10000, 0x2000, RW);
		fail_nth_arm(0);
		if (ret == 0)
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(isolde_pt_memory(pt), before);
		assert_int_equal(isolde_pt_iova_to_phys(pt, 512 * GB - 0x1000), 0);
		isolde_pt_check(pt);
	}
	assert_int_equal(n, 6);
	isolde_pt_free(pt);
}

/* Pages of a window around a 2 MiB border, one physical page number each; 0 is unmapped. */
enum { WINDOW = 2048 };
#define WINDOW_IOVA (GB - WINDOW / 2 * PAGE_SIZE)

static u32 next_random(u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void compare(const struct isolde_pt *pt, const u64 *model)
{
	for (unsigned i = 0; i < WINDOW; i++)
		assert_int_equal(isolde_pt_iova_to_phys(pt, WINDOW_IOVA + i * PAGE_SIZE), model[i]);
}

static void map_in_both(struct isolde_pt *pt, u64 *model, unsigned first, unsigned npages, u64 physical)
{
	bool taken = false;
	int ret;

	for (unsigned i = 0; i < npages; i++)
		taken |= model[first + i] != 0;
	ret = isolde_pt_map(pt, WINDOW_IOVA + first * PAGE_SIZE, physical, npages * PAGE_SIZE, RW);
	assert_int_equal(ret, taken ? -EADDRINUSE : 0);
	for (unsigned i = 0; !taken && i < npages; i++)
		model[first + i] = physical + i * PAGE_SIZE;
}

/* A user unmaps what it mapped: here, the run of contiguous pages around one. */
static void unmap_in_both(struct isolde_pt *pt, u64 *model, unsigned page)
{
	unsigned first = page, last = page;
	u64 size;

	if (!model[page])
		return;
	while (first && model[first - 1] == model[first] - PAGE_SIZE)
		first--;
	while (last < WINDOW - 1 && model[last + 1] == model[last] + PAGE_SIZE)
		last++;
	size = (last - first + 1) * PAGE_SIZE;
	assert_int_equal(isolde_pt_unmap(pt, WINDOW_IOVA + first * PAGE_SIZE, size), size);
	for (unsigned i = first; i <= last; i++)
		model[i] = 0;
}

TEST(pt, random_operations_agree_with_a_flat_model)
{
	struct isolde_pt *pt = isolde_pt_new(ISOLDE_PT_VTDSS);
	static u64 model[WINDOW];
	u32 random = 0x15011de;

	for (unsigned step = 0; step < 20000; step++) {
		unsigned first = next_random(&random) % WINDOW;
		unsigned longest = WINDOW - first;
		unsigned npages = 1 + (unsigned)(next_random(&random) %
						 (next_random(&random) % 4 ? min_u64(longest, 8) : longest));
		u64 iova = WINDOW_IOVA + first * PAGE_SIZE;
		/* Half of the mappings are congruent modulo 1 GiB, so that large leaves appear. */
		u64 physical = next_random(&random) % 2 ? 16 * GB + iova : (u64)next_random(&random) << 12 | BIT(44);

		if (next_random(&random) % 2)
			map_in_both(pt, model, first, npages, physical);
		else
			unmap_in_both(pt, model, first);
		isolde_pt_check(pt);
		if (step % 64 == 0)
			compare(pt, model);
	}
	for (unsigned i = 0; i < WINDOW; i++)
		unmap_in_both(pt, model, i);
	assert_int_equal(isolde_pt_memory(pt), PAGE_SIZE);
	isolde_pt_free(pt);
}

/* A reader beside the mapper sees a page whole or not at all, whatever becomes of the map. */
struct shared {
	struct isolde_pt *pt;
	atomic_bool stop;
};

static void *walk_until_told(void *context)
{
	struct shared *shared = context;
	struct isolde_pt_walk walk;

	for (u64 page = 0; !atomic_load(&shared->stop); page++) {
		u64 iova = (page % WINDOW) * PAGE_SIZE;

		if (isolde_pt_walk(shared->pt, iova, ISOLDE_PT_READ, &walk) == ISOLDE_PT_OK)
			assert(walk.physical == 8 * GB + PAGE_SIZE + iova);
	}
	return NULL;
}

TEST(pt, walkers_run_beside_maps_that_succeed_and_fail)
{
	struct shared shared = {.pt = isolde_pt_new(ISOLDE_PT_VTDSS)};
	pthread_t walker;

	atomic_init(&shared.stop, false);
	assert_int_equal(pthread_create(&walker, NULL, walk_until_told, &shared), 0);
	for (u64 page = 0; page < WINDOW; page += 2) {
		u64 iova = page * PAGE_SIZE;

		fail_nth_arm(1);
		isolde_pt_map(shared.pt, 4 * GB + page * 2 * MB, 0, 4 * MB - PAGE_SIZE, RW);
		fail_nth_arm(0);
		assert_int_equal(isolde_pt_map(shared.pt, iova, 8 * GB + PAGE_SIZE + iova, 2 * PAGE_SIZE, RW), 0);
	}
	atomic_store(&shared.stop, true);
	pthread_join(walker, NULL);
	isolde_pt_check(shared.pt);
	isolde_pt_free(shared.pt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pt, largest_leaves_that_fit_are_used),
		CASE(pt, entries_have_the_bits_of_the_specification),
		CASE(pt, small_and_large_leaves_have_the_bits_of_the_specification),
		CASE(pt, entries_with_reserved_bits_are_faults),
		CASE(pt, check_finds_a_corrupt_table),
		CASE(pt, new_needs_memory_and_a_known_format),
		CASE(pt, misuse_is_refused_and_changes_nothing),
		CASE(pt, map_that_runs_out_of_memory_leaves_the_table_as_it_was),
		CASE(pt, random_operations_agree_with_a_flat_model),
		CASE(pt, walkers_run_beside_maps_that_succeed_and_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
