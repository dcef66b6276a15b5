/* SPDX-License-Identifier: MIT */
#include "iommu/dma_log.h"

#include "base/alloc.h"
#include "tests/fixtures/model_rig.h"

#define PAGE 4096ull

struct told {
	u64 runs[32][2];
	unsigned count;
};

static void note_run(void *context, u64 start, u64 last)
{
	struct told *told = context;

	assert_true(told->count < 32);
	assert_true(start <= last);
	assert_true(!told->count || told->runs[told->count - 1][1] < start);
	told->runs[told->count][0] = start;
	told->runs[told->count++][1] = last;
}

static struct told told_in(struct dma_log *log, u64 start, u64 last)
{
	struct told told = {.count = 0};

	dma_log_read(log, start, last, note_run, &told);
	return told;
}

static void written(struct dma_log *log, u64 iova, u64 size)
{
	dma_log_note(log, &(struct dma_segment){iova, NULL, size}, 1);
}

static struct dma_log *log_new(const struct dma_log_range *ranges, unsigned count, unsigned shift)
{
	struct why why = WHY_INIT;
	struct dma_log *log = NULL;

	ASSERT_OK(why, dma_log_new(ranges, count, shift, &log, &why));
	return log;
}

static void expect_runs(const struct told *told, unsigned count, const u64 runs[][2])
{
	assert_int_equal(told->count, count);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(told->runs[i][0], runs[i][0]);
		assert_int_equal(told->runs[i][1], runs[i][1]);
	}
}

TEST(dma_log, pages_are_told_once)
{
	const struct dma_log_range ranges[] = {{0, 1024 * PAGE - 1}, {4096 * PAGE, 8192 * PAGE - 1}};
	struct dma_log *log = log_new(ranges, 2, 12);
	struct told told;

	written(log, 5 * PAGE + 100, 1);
	written(log, 63 * PAGE + 4000, 200);   /* two pages, of two words */
	written(log, 1023 * PAGE, 3 * PAGE);   /* what is behind the range is not logged */
	written(log, 2000 * PAGE, PAGE);       /* between both */
	written(log, 4095 * PAGE, 200 * PAGE); /* begins before the second */
	written(log, 8191 * PAGE, 1);
	told = told_in(log, 0, UINT64_MAX);
	expect_runs(&told, 5,
		    (const u64[][2]){{5 * PAGE, 6 * PAGE - 1},
				     {63 * PAGE, 65 * PAGE - 1},
				     {1023 * PAGE, 1024 * PAGE - 1},
				     {4096 * PAGE, 4295 * PAGE - 1},
				     {8191 * PAGE, 8192 * PAGE - 1}});
	told = told_in(log, 0, UINT64_MAX);
	assert_int_equal(told.count, 0);
	dma_log_free(log);
}

TEST(dma_log, what_is_asked_for_in_part_stays_written)
{
	const struct dma_log_range ranges[] = {{1ull << 20, (2ull << 20) - 1}};
	struct dma_log *log = log_new(ranges, 1, 16);
	const u64 start = 1ull << 20, page = 1ull << 16;
	struct told told;

	assert_int_equal(dma_log_shift(log), 16);
	written(log, start, 3 * page);
	/* The middle page only is asked for whole. */
	told = told_in(log, start + PAGE, start + 2 * page + PAGE - 1);
	expect_runs(&told, 1, (const u64[][2]){{start + PAGE, start + 2 * page + PAGE - 1}});
	told = told_in(log, start, start + 4 * page - 1);
	expect_runs(&told, 2, (const u64[][2]){{start, start + page - 1}, {start + 2 * page, start + 3 * page - 1}});
	/* So does the last page of a word. */
	written(log, start + 15 * page, 1);
	told = told_in(log, start + 15 * page + PAGE, UINT64_MAX);
	expect_runs(&told, 1, (const u64[][2]){{start + 15 * page + PAGE, start + 16 * page - 1}});
	told = told_in(log, 0, UINT64_MAX);
	assert_int_equal(told.count, 1);
	dma_log_free(log);
}

TEST(dma_log, too_many_pages_become_larger_ones)
{
	const struct dma_log_range ranges[] = {{0, (1ull << 40) - 1}, {1ull << 40, UINT64_MAX - PAGE}};
	struct dma_log *log = log_new(ranges, 2, 0);
	u64 size = BIT(dma_log_shift(log)), at = (1ull << 50) + 12345;
	struct told told;

	assert_int_equal(dma_log_shift(log), 64 - 31);
	written(log, at, 1);
	told = told_in(log, 0, UINT64_MAX);
	expect_runs(&told, 1, (const u64[][2]){{align_down(at, size), align_down(at, size) + size - 1}});
	dma_log_free(log);
	log = log_new(ranges, 0, 63);
	assert_int_equal(dma_log_shift(log), 30);
	written(log, 0, PAGE);
	told = told_in(log, 0, UINT64_MAX);
	assert_int_equal(told.count, 0);
	dma_log_free(log);
}

/* Against a map of bytes, with everything random. */
TEST(dma_log, agrees_with_a_map)
{
	enum { PAGES = 512 };
	u64 random = 88172645463325252ull;

	for (unsigned round = 0; round < 200; round++) {
		unsigned shift = 12 + round % 3;
		const struct dma_log_range ranges[] = {{16 * PAGE, 144 * PAGE - 1}, {160 * PAGE, 416 * PAGE - 1}};
		struct dma_log *log = log_new(ranges, 2, shift);
		bool map[PAGES] = {};

		for (unsigned i = 0; i < 20; i++) {
			u64 start, last;
			struct told told;

			random ^= random << 13, random ^= random >> 7, random ^= random << 17;
			start = random % (PAGES * PAGE - 1);
			last = min_u64(start + (random >> 40) % (40 * PAGE), PAGES * PAGE - 1);
			if (i % 4) {
				written(log, start, last - start + 1);
				for (u64 at = align_down(start, BIT(shift)); at <= last; at += PAGE)
					map[at / PAGE] = true;
				for (u64 at = last / PAGE; (at << 12) < align_down(last, BIT(shift)) + BIT(shift); at++)
					map[at < PAGES ? at : 0] = true;
				continue;
			}
			start = align_down(start, BIT(shift)), last = align_down(last, BIT(shift)) + BIT(shift) - 1;
			told = told_in(log, start, last);
			for (unsigned run = 0; run < told.count; run++)
				for (u64 at = told.runs[run][0]; at <= told.runs[run][1]; at += PAGE) {
					assert_true(map[at / PAGE]);
					map[at / PAGE] = false;
				}
			for (u64 at = start; at <= last; at += PAGE)
				if ((at >= 16 * PAGE && at < 144 * PAGE) || (at >= 160 * PAGE && at < 416 * PAGE))
					assert_false(map[at / PAGE]);
		}
		dma_log_free(log);
	}
}

/* Whatever domain it goes through: the log is the device's. */
TEST(dma_log, a_port_notes_writes_of_every_pasid)
{
	struct model_rig *rig = rig_new("dsa", NULL);
	struct dma_port *port = rig->device->port;
	const struct dma_log_range everything = {0, (1ull << 40) - 1};
	struct dma_log *log = log_new(&everything, 1, 12);
	u8 data[8] = {1};
	struct told told;

	rig_attach_pasid(rig, 5);
	rig_set_command(rig, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	dma_port_set_log(port, log);
	assert_int_equal(dma_write(port, 3 * PAGE, data, 8), DMA_OK);
	assert_int_equal(dma_writev_pasid(port, 5, &(struct dma_segment){RIG_PASID_BASE + 9 * PAGE, data, 8}, 1),
			 DMA_OK);
	assert_int_equal(dma_readv_pasid(port, 5, &(struct dma_segment){RIG_PASID_BASE + 20 * PAGE, data, 8}, 1),
			 DMA_OK);
	assert_int_equal(dma_writev_pasid(port, 6, &(struct dma_segment){30 * PAGE, data, 8}, 1), DMA_FAULT);
	told = told_in(log, 0, UINT64_MAX);
	expect_runs(&told, 2,
		    (const u64[][2]){{3 * PAGE, 4 * PAGE - 1},
				     {RIG_PASID_BASE + 9 * PAGE, RIG_PASID_BASE + 10 * PAGE - 1}});
	dma_port_set_log(port, NULL);
	assert_int_equal(dma_write(port, 3 * PAGE, data, 8), DMA_OK);
	told = told_in(log, 0, UINT64_MAX);
	assert_int_equal(told.count, 0);
	dma_log_free(log);
	rig_free(rig);
}

TEST(dma_log, runs_out_of_memory_whole)
{
	const struct dma_log_range range = {0, PAGE - 1};
	struct why why = WHY_INIT;
	struct dma_log *log = NULL;

	for (unsigned n = 1; n <= 2; n++) {
		fail_nth_arm(n);
		EXPECT_REFUSED(OUT_OF_MEMORY, why, dma_log_new(&range, 1, 12, &log, &why));
		assert_null(log);
	}
	fail_nth_arm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(dma_log, pages_are_told_once),
		CASE(dma_log, what_is_asked_for_in_part_stays_written),
		CASE(dma_log, too_many_pages_become_larger_ones),
		CASE(dma_log, agrees_with_a_map),
		CASE(dma_log, a_port_notes_writes_of_every_pasid),
		CASE(dma_log, runs_out_of_memory_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
