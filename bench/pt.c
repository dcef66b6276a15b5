/* SPDX-License-Identifier: MIT */
/*
 * I/O page tables: nanoseconds per operation and format, the best of several rounds, beside a plain loop that stores as
 * many entries into the same kind of memory. Calls go through the public, generic entry points.
 *
 * Linux 7.2's generic page tables on this class of machine: 37 ns for one 4 KiB map, 40 for its unmap, 413 for a map of
 * 256 x 4 KiB, 25 for iova_to_phys in order and 35 at random over 1 GiB, 1.8 ns a page for 1 GiB of 4 KiB pages.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/os.h"
#include "isolde/pt.h"

#define RW  (ISOLDE_PT_READ | ISOLDE_PT_WRITE)
#define KB4 0x1000ull
#define MB2 0x200000ull
#define GB1 0x40000000ull

enum { ROUNDS = 15 };

struct bench {
	struct isolde_pt *pt;
	u64 page, large, huge; /* sizes of leaves of the lowest levels; huge may be 0 */
	u64 at;		       /* where nothing is mapped yet */
};

static void must(bool holds)
{
	if (!holds) {
		fprintf(stderr, "bench/pt: a call failed\n");
		exit(1);
	}
}

/* The best time so far of one round, per operation. */
static void best(double *ret, u64 since, double count)
{
	double ns = (double)(os_clock_ns() - since) / count;

	if (*ret == 0 || ns < *ret)
		*ret = ns;
}

/* `calls` maps of `size` each, side by side in IOVAs, apart in physical addresses; then their unmaps. */
static void map_unmap(struct bench *b, u64 size, u64 physical, u64 calls, double *map, double *unmap)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		u64 since = os_clock_ns();

		for (u64 i = 0; i < calls; i++)
			must(isolde_pt_map(b->pt, b->at + i * size, physical + i * size, size, RW, NULL) == 0);
		best(map, since, (double)calls);
		since = os_clock_ns();
		for (u64 i = 0; i < calls; i++)
			must(isolde_pt_unmap(b->pt, b->at + i * size, size, NULL, NULL) == 0);
		best(unmap, since, (double)calls);
	}
}

static void report_map(struct bench *b, const char *what, u64 size, u64 physical, u64 calls)
{
	double map = 0, unmap = 0;

	map_unmap(b, size, physical, calls, &map, &unmap);
	printf("    %-12s map %8.1f  unmap %8.1f\n", what, map, unmap);
}

static void report_lookups(struct bench *b, const char *what, u64 pages, u64 stride)
{
	struct isolde_pt_walk walk;
	double phys = 0, hardware = 0;
	u64 sum = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		u64 since = os_clock_ns();

		for (u64 i = 0; i < pages; i++)
			sum += isolde_pt_iova_to_phys(b->pt, b->at + (i * stride & (pages - 1)) * b->page);
		best(&phys, since, (double)pages);
		since = os_clock_ns();
		for (u64 i = 0; i < pages; i++) {
			u64 iova = b->at + (i * stride & (pages - 1)) * b->page;

			must(isolde_pt_walk(b->pt, iova, ISOLDE_PT_READ, &walk) == ISOLDE_PT_OK);
			sum += walk.physical;
		}
		best(&hardware, since, (double)pages);
	}
	must(sum != 0);
	printf("    %-12s iova_to_phys %4.1f  walk %4.1f\n", what, phys, hardware);
}

/* One call for 1 GiB of small pages, which the physical address forbids to be larger. */
static void report_gigabyte(struct bench *b)
{
	u64 pages = GB1 / b->page, physical = 64 * GB1 + b->page;
	double map = 0, unmap = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		u64 since = os_clock_ns();

		must(isolde_pt_map(b->pt, b->at, physical, GB1, RW, NULL) == 0);
		best(&map, since, (double)pages);
		since = os_clock_ns();
		must(isolde_pt_unmap(b->pt, b->at, GB1, NULL, NULL) == 0);
		best(&unmap, since, (double)pages);
	}
	printf("    1 GiB small  map %8.2f  unmap %8.2f  a page\n", map, unmap);
	must(isolde_pt_map(b->pt, b->at, physical, GB1, RW, NULL) == 0);
	report_lookups(b, "in order", pages, 1);
	/* An odd factor visits every page once, in no order. */
	report_lookups(b, "at random", pages, 2654435761u);
	must(isolde_pt_unmap(b->pt, b->at, GB1, NULL, NULL) == 0);
}

/* Stores that the compiler may combine as it likes, but not leave out. */
static __attribute__((noinline)) void store_plainly(u64 *entries, u64 count, u64 entry, u64 step)
{
	for (u64 i = 0; i < count; i++)
		entries[i] = entry + i * step;
}

static double plain_stores(u64 *entries, u64 count)
{
	double ns = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		u64 since = os_clock_ns();

		for (u64 i = 0; i < 64; i++)
			store_plainly(entries, count, i | 3, KB4);
		best(&ns, since, 64);
	}
	return ns;
}

static void report_plain(void)
{
	u64 *entries = aligned_alloc(KB4, MB2);

	must(entries != NULL);
	memset(entries, 0, MB2);
	printf("plain loops, ns a call\n");
	printf("    stores of    1 entry %.1f, 256 entries %.1f, 512 entries %.1f\n", plain_stores(entries, 1),
	       plain_stores(entries, 256), plain_stores(entries, 512));
	printf("    stores of    262144 entries %.2f ns an entry\n", plain_stores(entries, MB2 / 8) / (MB2 / 8));
	free(entries);
}

static void measure(const char *name, const struct isolde_pt_config *config)
{
	struct bench b = {.at = 0};
	u64 sizes;

	must(isolde_pt_new(config, &b.pt) == 0);
	sizes = isolde_pt_page_sizes(b.pt);
	b.page = sizes & -sizes;
	b.large = b.page * b.page / 8;
	b.huge = b.large * b.page / 8;
	printf("%s, ns a call\n", name);
	/* The table is in use. */
	must(isolde_pt_map(b.pt, b.at, b.page, b.page, RW, NULL) == 0);
	b.at = b.page;
	report_map(&b, "1 page", b.page, 5 * GB1 + b.page, 500);
	report_map(&b, "256 pages", 256 * b.page, 5 * GB1 + b.page, 1);
	b.at = b.huge + b.large;
	report_map(&b, "1 large", b.large, 5 * b.huge + b.large, 500);
	report_map(&b, "512 large", 512 * b.large, 5 * b.huge + b.large, 1);
	b.at = 16 * b.huge;
	if (sizes & b.huge)
		report_map(&b, "1 huge", b.huge, 64 * b.huge, 100);
	report_gigabyte(&b);
	isolde_pt_free(b.pt);
}

int main(void)
{
	const size_t size = sizeof(struct isolde_pt_config);
	const struct {
		const char *name;
		struct isolde_pt_config config;
	} rows[] = {
		{"VT-d second stage", {.size = size, .format = ISOLDE_PT_VTDSS}},
		{"x86-64, 4 levels", {.size = size, .format = ISOLDE_PT_X86_64}},
		{"AMD v1, 4 levels, any power of two",
		 {.size = size, .format = ISOLDE_PT_AMDV1, .input_bits = 48, .features = ISOLDE_PT_CONTIGUOUS}},
		{"Arm stage 1, 4 KiB, contiguous",
		 {.size = size, .format = ISOLDE_PT_ARM64_S1, .features = ISOLDE_PT_CONTIGUOUS}},
		{"Arm stage 2, 64 KiB", {.size = size, .format = ISOLDE_PT_ARM64_S2, .granule = 65536}},
		{"RISC-V Sv48, Svnapot",
		 {.size = size, .format = ISOLDE_PT_RISCV_S1, .features = ISOLDE_PT_CONTIGUOUS}},
		{"RISC-V Sv48x4", {.size = size, .format = ISOLDE_PT_RISCV_S2}},
	};

	report_plain();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		measure(rows[i].name, &rows[i].config);
	return 0;
}
