/* SPDX-License-Identifier: MIT */
/*
 * Each bit of each entry, one at a time: in tables that isolde built, with a leaf of every size, one bit on the way to
 * the leaf is turned over, and both walkers must still see the same. So every bit is as reserved, as ignored or as
 * significant as its specification says. Compiled once per format: PT_FORMAT.
 */
#include "tests/fixtures/pt_compared.h"
#include "tests/helpers.h"

#define IOVA_OFFSET 0x123

struct bench {
	struct isolde_pt_config config;
	struct pt_store store;
	struct isolde_pt *pt;
	struct walker walker;
};

static unsigned long turned; /* bits, in all */

static void start(struct bench *bench, const struct compared_table *which)
{
	bench->config = which->config;
	pt_store_init(&bench->store, 0x7700000000);
	bench->config.memory = pt_store_memory(&bench->store);
	assert_int_equal(isolde_pt_new(&bench->config, &bench->pt), 0);
	bench->walker = pt_walker_of(&bench->config, bench->pt);
}

static void finish(struct bench *bench)
{
	isolde_pt_free(bench->pt);
	pt_store_clear(&bench->store);
}

/* The entries on the way to iova, each with each bit turned over in turn, and back. */
static void turn_bits(struct bench *bench, const char *name, u64 iova)
{
	struct walker_result path;

	walker_walk(&bench->walker, iova, 0, &path);
	for (unsigned i = 0; i < path.visited; i++) {
		for (unsigned bit = 0; bit < 64; bit++) {
			char difference[PT_DIFFERENCE];

			turned++;
			for (unsigned access = 0; access < 16; access++) {
				/* Again each time, for a walk may have set accessed bits. */
				for (unsigned j = 0; j < path.visited; j++)
					pt_store_put(&bench->store, path.where[j], path.entry[j]);
				pt_store_put(&bench->store, path.where[i], path.entry[i] ^ BIT(bit));
				if (!pt_agree(bench->pt, &bench->walker, iova, access, difference))
					fail_msg("%s: entry %u of %u, %#llx, with bit %u turned over: %s", name, i + 1,
						 path.visited, (unsigned long long)path.entry[i], bit, difference);
			}
		}
		pt_store_put(&bench->store, path.where[i], path.entry[i]);
	}
	for (unsigned j = 0; j < path.visited; j++)
		pt_store_put(&bench->store, path.where[j], path.entry[j]);
}

static void turn_bits_of_page_size(const struct compared_table *which, u64 page_size, unsigned flags)
{
	struct bench bench;
	u64 iova;

	start(&bench, which);
	if (!(isolde_pt_page_sizes(bench.pt) & page_size) || (bench.config.output_bits && page_size >= BIT(40))) {
		finish(&bench);
		return;
	}
	/* Not the first leaf of a table, but one of even number and within the smallest of widths. */
	iova = align_up(isolde_pt_first_iova(bench.pt), page_size);
	if (page_size < BIT(33) && isolde_pt_last_iova(bench.pt) - iova > 6 * page_size)
		iova += 4 * page_size;
	if (isolde_pt_map(bench.pt, iova, 0, page_size, flags, NULL) == 0) {
		bench.walker = pt_walker_of(&bench.config, bench.pt);
		turn_bits(&bench, which->name, iova + IOVA_OFFSET);
		turn_bits(&bench, which->name, iova + page_size - 1);
	}
	finish(&bench);
}

TEST(bits, each_is_as_significant_as_its_specification_says)
{
	const unsigned rw = ISOLDE_PT_READ | ISOLDE_PT_WRITE;

	for (size_t i = 0; i < compared_table_count; i++) {
		if (compared_tables[i].config.format != PT_FORMAT)
			continue;
		for (unsigned bit = 12; bit < 52; bit++) {
			turn_bits_of_page_size(&compared_tables[i], BIT(bit), rw);
			turn_bits_of_page_size(&compared_tables[i], BIT(bit), rw | ISOLDE_PT_PRIVILEGED);
			turn_bits_of_page_size(&compared_tables[i], BIT(bit), ISOLDE_PT_READ | ISOLDE_PT_EXECUTE);
		}
	}
	print_message("%lu bits turned over\n", turned);
	assert_true(turned > 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(bits, each_is_as_significant_as_its_specification_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
