/* SPDX-License-Identifier: MIT */
#include "cli/svg_layout.h"

#include "cli/svg.h"
#include "tests/fixtures/explained.h"
#include "tests/fixtures/picture_check.h"
#include "tests/helpers.h"

struct fixture {
	struct explained explained;
	struct svg_layout layout;
	struct why why;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	ASSERT_OK(f->why, explained_init(&f->explained, "machine", &f->why));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	svg_layout_fini(&f->layout);
	explained_fini(&f->explained);
	free(f);
	return 0;
}

#define TEST_F(name)                                                                                                   \
	static void svg_layout_##name##_body(struct fixture *f);                                                       \
	static void svg_layout_##name(void **state)                                                                    \
	{                                                                                                              \
		svg_layout_##name##_body(*state);                                                                      \
	}                                                                                                              \
	static void svg_layout_##name##_body(struct fixture *f)
#define CASE_F(name) cmocka_unit_test_setup_teardown(svg_layout_##name, setup, teardown)

static struct pci_function *add(struct fixture *f, unsigned segment, unsigned bus, unsigned devfn, unsigned secondary)
{
	enum pcie_type type = !secondary ? PCIE_ENDPOINT : bus ? PCIE_DOWNSTREAM_PORT : PCIE_ROOT_PORT;
	struct pci_function *function;
	char bdf[PCI_ADDR_TEXT];

	pci_addr_print((struct pci_addr){segment, (u8)bus, (u8)devfn}, bdf);
	function = explained_add(&f->explained, bdf, type, (u8)secondary, &f->why);
	assert_non_null(function);
	return function;
}

static void arrange(struct fixture *f)
{
	ASSERT_OK(f->why, explained_finish(&f->explained, &f->why));
	ASSERT_OK(f->why, svg_layout_init(&f->layout, &f->explained.explanation, &f->why));
	picture_check_layout(&f->layout);
}

static size_t count_kind(const struct fixture *f, enum svg_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < f->layout.tree.count; i++)
		count += f->layout.tree.nodes[i].kind == kind;
	return count;
}

static size_t count_continued(const struct fixture *f)
{
	size_t count = 0;

	for (size_t i = 0; i < f->layout.tree.count; i++)
		count += f->layout.tree.nodes[i].continues > 0;
	return count;
}

static void check_picture(const struct fixture *f)
{
	char *svg = explained_draw(&f->explained, NULL);

	picture_check(svg);
	free(svg);
}

TEST_F(one_function)
{
	add(f, 0, 0, 8, 0);
	arrange(f);
	assert_int_equal(f->layout.tree.count, 1);
	assert_int_equal(f->layout.nbuses, 1);
	check_picture(f);
}

TEST_F(chain_of_255_buses_goes_on_elsewhere)
{
	for (unsigned bus = 0; bus < 255; bus++)
		add(f, 0, bus, 0, bus + 1);
	add(f, 0, 255, 0, 0);
	arrange(f);
	assert_int_equal(f->layout.tree.count, 256);
	/* The last tree is as deep as may be; one that goes on elsewhere needs a column to say where. */
	assert_int_equal(count_continued(f), 1 + (255 - SVG_DEEPEST) / (SVG_DEEPEST - 1));
	assert_true(f->layout.width < 4000);
	check_picture(f);
}

TEST_F(tall_bus_is_drawn_elsewhere_and_cut_into_panels)
{
	add(f, 0, 0, 8, 1);
	for (unsigned slot = 0; slot < 32; slot++)
		for (unsigned function = 0; function < 8; function++)
			add(f, 0, 1, slot << 3 | function, 0);
	arrange(f);
	assert_int_equal(count_continued(f), 1);
	assert_true(f->layout.nbuses > 3);
	assert_true(f->layout.buses[2].continued);
	assert_int_equal(f->layout.buses[2].number, 1);
	assert_ptr_equal(f->layout.buses[1].after, f->layout.buses[2].first);
	check_picture(f);
}

TEST_F(leaf_moves_up_beside_the_subtree_of_its_neighbour)
{
	const struct svg_node *nodes;

	add(f, 0, 0, 8, 1);
	for (unsigned slot = 0; slot < 4; slot++)
		add(f, 0, 1, slot << 3, 0);
	add(f, 0, 0, 16, 0);
	arrange(f);
	nodes = f->layout.tree.nodes;
	assert_int_equal(pci_device_number(nodes[1].function->addr), 2);
	assert_int_equal(nodes[1].y, nodes[0].y + nodes[0].height + SVG_SLOT_GAP);
	check_picture(f);
}

/* Deterministic: the same machines each time. */
static u32 random_below(u32 *seed, u32 limit)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % limit;
}

static void add_at_random(struct fixture *f, u32 *seed)
{
	unsigned next = 1, room = 1 + random_below(seed, 40);

	for (unsigned bus = 0; bus < next && bus < room; bus++) {
		for (unsigned devfn = 0; devfn < 64; devfn += 1 + random_below(seed, 20)) {
			bool leads = next < room && random_below(seed, 3) == 0;

			add(f, 0, bus, devfn, leads ? next++ : 0);
		}
	}
}

TEST(svg_layout, boxes_of_any_machine_are_apart)
{
	for (u32 round = 0; round < 60; round++) {
		u32 seed = round;
		void *machine;

		setup(&machine);
		add_at_random(machine, &seed);
		arrange(machine);
		check_picture(machine);
		teardown(&machine);
	}
}

TEST_F(widest_texts_widen_the_boxes)
{
	add(f, 0xfffffff0, 0xff, 0xff, 0);
	arrange(f);
	check_picture(f);
	assert_true(f->layout.box_width >= 256);
}

/* ---- what there is no room for ---- */

TEST_F(what_is_too_many_is_counted_not_dropped)
{
	const struct svg_node *rest;
	char *svg;

	for (unsigned segment = 0; segment < 256; segment++)
		for (unsigned devfn = 0; devfn < 256; devfn++)
			add(f, segment, 0, devfn, 0);
	arrange(f);
	assert_int_equal(count_kind(f, SVG_FUNCTION), SVG_MOST_FUNCTIONS);
	assert_int_equal(count_kind(f, SVG_REST), 1);
	rest = &f->layout.tree.nodes[f->layout.tree.count - 1];
	assert_int_equal(rest->count, 65536 - SVG_MOST_FUNCTIONS);
	assert_int_equal(rest->ngroups, 252 * 32);
	assert_int_equal(rest->nweak, 252 * 32 * 8 - 252 * 32);
	svg = explained_draw(&f->explained, NULL);
	picture_check(svg);
	EXPECT_SUBSTR("64512 functions are not drawn", svg);
	EXPECT_SUBSTR(">64512 more functions<", svg);
	EXPECT_SUBSTR("not drawn: too many for a picture", svg);
	free(svg);
}

TEST_F(the_deep_is_left_out_first)
{
	for (unsigned devfn = 0; devfn < 128; devfn++)
		add(f, 0, 0, devfn, 1 + devfn);
	for (unsigned devfn = 0; devfn < 128; devfn++)
		for (unsigned below = 0; below < 16; below++)
			add(f, 0, 1 + devfn, below << 3, 0);
	arrange(f);
	assert_int_equal(count_kind(f, SVG_FUNCTION), SVG_MOST_FUNCTIONS);
	assert_int_equal(count_kind(f, SVG_REST), 72);
	for (size_t i = 0; i < f->layout.tree.count; i++)
		if (f->layout.tree.nodes[i].kind == SVG_REST)
			assert_int_equal(f->layout.tree.nodes[i].count, 16);
	check_picture(f);
}

/* ---- virtual functions ---- */

static struct pci_function *add_virtual(struct fixture *f, unsigned count)
{
	const struct pci_sriov sriov = {
		.initial = (u16)count, .total = (u16)count, .enabled = (u16)count, .offset = 1, .stride = 1};
	struct pci_function *physical = add(f, 0, 0, 0, 0);

	pci_add_sriov(physical, &sriov);
	for (unsigned i = 1; i <= count; i++)
		add(f, 0, i >> 8, i & 0xff, 0);
	return physical;
}

TEST_F(three_virtual_functions_are_three_boxes)
{
	add_virtual(f, SVG_FOLD_VIRTUAL - 1);
	arrange(f);
	assert_int_equal(count_kind(f, SVG_VIRTUAL), 0);
	assert_int_equal(f->layout.tree.count, SVG_FOLD_VIRTUAL);
}

TEST_F(thousands_of_virtual_functions_are_one_box)
{
	add_virtual(f, 60000);
	arrange(f);
	assert_int_equal(count_kind(f, SVG_VIRTUAL), 1);
	assert_int_equal(f->layout.tree.nodes[1].count, 60000);
	assert_int_equal(f->layout.tree.nodes[1].ngroups, 60000);
	check_picture(f);
}

/* As hostile quirks might group them: two by two. */
TEST_F(virtual_functions_of_mixed_groups_are_few_boxes)
{
	struct pci_grouping *grouping;
	char *svg;

	add_virtual(f, 200);
	ASSERT_OK(f->why, explained_finish(&f->explained, &f->why));
	grouping = f->explained.explanation.grouping;
	for (size_t i = 1; i <= 200; i++)
		grouping->merges[i].over = f->explained.explanation.functions[i];
	for (size_t i = 2; i <= 200; i += 2)
		grouping->merges[i].rule = MERGE_ALIAS_QUIRK;
	for (size_t i = 2; i <= 200; i += 2)
		grouping->merges[i].function = grouping->merges[i].with = f->explained.explanation.functions[i];
	ASSERT_OK(f->why, svg_layout_init(&f->layout, &f->explained.explanation, &f->why));
	picture_check_layout(&f->layout);
	assert_int_equal(f->layout.tree.count, 1 + SVG_MOST_VIRTUAL);
	assert_int_equal(f->layout.tree.nodes[SVG_MOST_VIRTUAL].group, SVG_GROUPS);
	assert_int_equal(f->layout.tree.nodes[SVG_MOST_VIRTUAL].count, 200 - SVG_MOST_VIRTUAL + 1);
	svg = explained_draw(&f->explained, NULL);
	EXPECT_SUBSTR("; 93 weak links<", svg);
	free(svg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_F(one_function),
		CASE_F(chain_of_255_buses_goes_on_elsewhere),
		CASE_F(tall_bus_is_drawn_elsewhere_and_cut_into_panels),
		CASE_F(leaf_moves_up_beside_the_subtree_of_its_neighbour),
		CASE(svg_layout, boxes_of_any_machine_are_apart),
		CASE_F(widest_texts_widen_the_boxes),
		CASE_F(what_is_too_many_is_counted_not_dropped),
		CASE_F(the_deep_is_left_out_first),
		CASE_F(three_virtual_functions_are_three_boxes),
		CASE_F(thousands_of_virtual_functions_are_one_box),
		CASE_F(virtual_functions_of_mixed_groups_are_few_boxes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
