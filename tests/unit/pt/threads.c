/* SPDX-License-Identifier: MIT */
/* Readers beside writers, and writers beside each other on disjoint ranges that share tables; for ThreadSanitizer, too.
 */
#include "tests/helpers.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "isolde/pt.h"
#include "tests/fixtures/pt_configs.h"

#define RW     (ISOLDE_PT_READ | ISOLDE_PT_WRITE)
#define OFFSET BIT(36) /* physical is the IOVA and this, wherever something is mapped */

enum { STRIPES = 64, READERS = 2, WRITERS = 2 };

/* Ranges of a stripe belong to one writer: they end inside a page table that is its neighbour's, too. */
struct shared {
	struct isolde_pt *pt;
	u64 base, page, stripe;
	atomic_bool stop;
	atomic_uint failures;
};

struct writer {
	struct shared *shared;
	unsigned index;
	struct isolde_pt_gather gather;
};

static void expect(struct shared *s, bool holds)
{
	if (!holds)
		atomic_fetch_add(&s->failures, 1);
}

static void *read_until_told(void *context)
{
	struct shared *s = context;
	struct isolde_pt_walk walk;

	for (u64 i = 0; !atomic_load(&s->stop); i++) {
		u64 iova = s->base + (i * 2654435761u % (STRIPES * s->stripe));
		u64 physical = isolde_pt_iova_to_phys(s->pt, iova);
		enum isolde_pt_fault fault = isolde_pt_walk(s->pt, iova, i % 4 ? ISOLDE_PT_READ : RW, &walk);

		expect(s, !physical || physical == iova + OFFSET);
		expect(s, fault == ISOLDE_PT_NOT_PRESENT || (fault == ISOLDE_PT_OK && walk.physical == iova + OFFSET));
	}
	return NULL;
}

static void map_stripe(struct writer *w, u64 iova, u64 size, u64 piece)
{
	for (u64 done = 0; done < size; done += piece)
		expect(w->shared,
		       isolde_pt_map(w->shared->pt, iova + done, iova + done + OFFSET, piece, RW, &w->gather) == 0);
}

static void unmap_stripe(struct writer *w, u64 iova, u64 size, u64 piece)
{
	u64 removed = 0;

	for (u64 done = 0; done < size; done += piece) {
		expect(w->shared, isolde_pt_unmap(w->shared->pt, iova + done, piece, &w->gather, &removed) == 0 &&
					  removed == piece);
	}
}

static void *write_stripes(void *context)
{
	struct writer *w = context;
	struct shared *s = w->shared;

	for (unsigned round = 0; round < 60; round++) {
		/* Small calls or one for all; what one removes whole tables with, the other fills them with. */
		u64 piece = round % 3 ? s->stripe : s->page;

		for (unsigned i = w->index; i < STRIPES; i += WRITERS)
			map_stripe(w, s->base + i * s->stripe, s->stripe, piece);
		for (unsigned i = w->index; i < STRIPES; i += WRITERS)
			unmap_stripe(w, s->base + i * s->stripe, s->stripe, piece);
	}
	return NULL;
}

static void shared_init(struct shared *s, const struct pt_case *row)
{
	struct pt_arena arena = {0};
	unsigned table_shift;

	assert_int_equal(pt_case_new(row, &arena, &s->pt), 0);
	s->page = isolde_pt_page_sizes(s->pt) & -isolde_pt_page_sizes(s->pt);
	table_shift = (unsigned)__builtin_ctzll(s->page) * 2 - 3;
	s->base = BIT(table_shift + 2) - 5 * s->page;
	/* Not a divisor of a table: most tables have two owners. */
	s->stripe = 37 * s->page;
}

static void shared_fini(struct shared *s, struct writer *writers, unsigned nwriters)
{
	size_t root;

	assert_int_equal(atomic_load(&s->failures), 0);
	isolde_pt_check(s->pt);
	for (unsigned i = 0; i < nwriters; i++)
		isolde_pt_gather_drain(s->pt, &writers[i].gather);
	assert_true(isolde_pt_trim(s->pt, s->base, STRIPES * s->stripe, NULL) > 0);
	root = isolde_pt_memory(s->pt);
	assert_int_equal(isolde_pt_map(s->pt, s->base, s->base + OFFSET, s->page, RW, NULL), 0);
	assert_int_equal(isolde_pt_unmap(s->pt, s->base, s->page, NULL, NULL), 0);
	isolde_pt_trim(s->pt, s->base, s->page, NULL);
	assert_int_equal(isolde_pt_memory(s->pt), root);
	isolde_pt_free(s->pt);
}

static void run(const struct pt_case *row, unsigned nwriters)
{
	struct shared s = {.stop = false};
	struct writer writers[WRITERS];
	pthread_t readers[READERS], threads[WRITERS];

	shared_init(&s, row);
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_until_told, &s), 0);
	for (unsigned i = 0; i < nwriters; i++) {
		writers[i] = (struct writer){&s, i, ISOLDE_PT_GATHER_INIT};
		assert_int_equal(pthread_create(&threads[i], NULL, write_stripes, &writers[i]), 0);
	}
	for (unsigned i = 0; i < nwriters; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&s.stop, true);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	shared_fini(&s, writers, nwriters);
}

static const unsigned rows[] = {PT_CASE_vtdss,
				PT_CASE_vtdss3,
				PT_CASE_amdv1_pow2,
				PT_CASE_amdv1_grow,
				PT_CASE_x86_64,
				PT_CASE_arm64s1_4k_contig,
				PT_CASE_arm64s2_16k_contig,
				PT_CASE_riscv48x4_napot};

TEST(threads, readers_beside_a_writer_see_pages_whole_or_not_at_all)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		run(&pt_cases[rows[i]], 1);
}

TEST(threads, writers_on_disjoint_ranges_share_tables)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		run(&pt_cases[rows[i]], WRITERS);
}

/* ---- dirty bits, written by one thread and cleared by another ---- */

struct dirty {
	struct isolde_pt *pt;
	atomic_bool stop;
};

static void *write_pages(void *context)
{
	struct dirty *d = context;
	struct isolde_pt_walk walk;

	for (unsigned i = 0; i < 20000; i++)
		if (isolde_pt_walk(d->pt, i % 64 * PAGE_SIZE, ISOLDE_PT_WRITE, &walk) != ISOLDE_PT_OK)
			return NULL;
	atomic_store(&d->stop, true);
	return d;
}

TEST(threads, no_write_is_lost_between_walkers_and_a_reader_of_dirty_bits)
{
	struct dirty d = {.stop = false};
	struct pt_arena arena = {0};
	u64 bitmap = 0;
	pthread_t writer;
	void *done;

	assert_int_equal(pt_case_new(&pt_cases[PT_CASE_arm64s1_4k], &arena, &d.pt), 0);
	assert_int_equal(isolde_pt_set_dirty(d.pt, true), 0);
	assert_int_equal(isolde_pt_map(d.pt, 0, PAGE_SIZE, 64 * PAGE_SIZE, RW, NULL), 0);
	assert_int_equal(pthread_create(&writer, NULL, write_pages, &d), 0);
	while (!atomic_load(&d.stop)) {
		bitmap = 0;
		assert_int_equal(isolde_pt_read_dirty(d.pt, 0, 64 * PAGE_SIZE, PAGE_SIZE, 0, &bitmap, NULL), 0);
	}
	assert_int_equal(pthread_join(writer, &done), 0);
	assert_non_null(done);
	/* What is left is clean once it has been read twice, and a write is seen again. */
	for (unsigned i = 0; i < 2; i++) {
		bitmap = 0;
		isolde_pt_read_dirty(d.pt, 0, 64 * PAGE_SIZE, PAGE_SIZE, 0, &bitmap, NULL);
	}
	assert_int_equal(bitmap, 0);
	write_pages(&d);
	isolde_pt_read_dirty(d.pt, 0, 64 * PAGE_SIZE, PAGE_SIZE, 0, &bitmap, NULL);
	assert_int_equal(bitmap, ~0ull);
	isolde_pt_free(d.pt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(threads, readers_beside_a_writer_see_pages_whole_or_not_at_all),
		CASE(threads, writers_on_disjoint_ranges_share_tables),
		CASE(threads, no_write_is_lost_between_walkers_and_a_reader_of_dirty_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
