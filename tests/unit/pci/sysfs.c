/* SPDX-License-Identifier: MIT */
/* Machines read from sysfs trees: what is seen is what was there; what is odd is said; nothing odd is opened. */
#include "tests/helpers.h"

#include <unistd.h>

#include "machine/description.h"
#include "pci/survey.h"
#include "tests/fixtures/sysfs_tree.h"
#include "tests/fixtures/topology_check.h"

static const struct sysfs_view root_view = SYSFS_ROOT_VIEW;
static const struct sysfs_view user_view = {.config_most = 64};

/* ---- machines to write ---- */

/* devfn as 0xDDF. type -1: conventional. The function is the topology's. */
static struct pci_function *plug(struct pci_topology *topology, struct pci_function *above, unsigned bus,
				 unsigned devfn, int type, u16 acs)
{
	const struct pci_identity identity = {
		.vendor = 0x1af4, .device = (u16)(topology->count + 1), .class_code = 0x020000, .revision = 3};
	struct pci_function *function = calloc(1, sizeof(*function));
	struct pci_addr addr = {0, (u8)bus, pci_devfn(devfn >> 4, devfn & 0xf)};

	pci_function_init(function, addr, &identity);
	function->parent = above;
	if (type >= 0)
		pci_add_pcie(function, (enum pcie_type)type, 0, false);
	else
		pci_add_pm(function);
	if (type >= 0 && acs)
		pci_add_acs(function, acs, acs);
	pci_topology_add(topology, function);
	return function;
}

static struct pci_function *plug_bridge(struct pci_topology *topology, struct pci_function *above, unsigned bus,
					unsigned devfn, int type, u16 acs, unsigned secondary)
{
	struct pci_function *bridge = plug(topology, above, bus, devfn, type, acs);

	pci_make_bridge(bridge, (u8)secondary, (u8)secondary);
	put_u16(bridge->config + PCI_CLASS, 0x0604);
	return bridge;
}

static void build(struct pci_topology *topology, const char *name)
{
	_free_(description) struct description *description = NULL;
	struct why why = WHY_INIT;

	ASSERT_OK(why, description_load(name, &description, &why));
	ASSERT_OK(why, topology_build(description, topology, &why));
}

/* A root port with an endpoint; beside it a conventional function. */
static void build_small(struct pci_topology *topology)
{
	struct pci_function *port;

	pci_topology_init(topology);
	port = plug_bridge(topology, NULL, 0, 0x010, PCIE_ROOT_PORT, PCI_ACS_ISOLATION, 1);
	plug(topology, NULL, 0, 0x1f0, -1, 0);
	plug(topology, port, 1, 0x000, PCIE_ENDPOINT, 0);
}

/* ---- reading them back ---- */

static struct pci_survey *read_tree(const struct sysfs_tree *tree)
{
	struct pci_survey *survey = NULL;
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_read_sysfs(tree->path, &survey, &why));
	assert_int_equal(survey->count, survey->topology.count);
	assert_string_equal(survey->source, tree->path);
	return survey;
}

static struct pci_survey *write_and_read(const struct pci_topology *topology, const struct sysfs_view *view)
{
	struct sysfs_tree tree;
	struct pci_survey *survey;

	sysfs_tree_make(&tree);
	sysfs_tree_write(&tree, topology, view);
	survey = read_tree(&tree);
	sysfs_tree_remove(&tree);
	return survey;
}

static struct pci_facts *facts_at(const struct pci_survey *survey, const char *bdf)
{
	const struct pci_function *function;
	struct pci_addr addr;

	assert_true(pci_addr_parse(bdf, &addr));
	function = pci_topology_find(&survey->topology, addr);
	if (!function)
		fail_msg("%s was not read", bdf);
	return &survey->facts[function->index];
}

static const struct pci_remark *remark_with(const struct pci_survey *survey, const char *words)
{
	for (size_t i = 0; i < survey->nremarks; i++)
		if (strstr(survey->remarks[i].text, words))
			return &survey->remarks[i];
	return NULL;
}

static void expect_remark(const struct pci_survey *survey, enum pci_remark_kind kind, const char *words)
{
	if (!remark_with(survey, words))
		fail_msg("no remark says \"%s\"", words);
	assert_int_equal(remark_with(survey, words)->kind, kind);
}

/* Where it hangs, as far as both know. */
static void expect_place(const struct pci_function *got, const struct pci_function *wanted)
{
	const struct pci_function *parent = wanted->physical ? wanted->physical->parent : wanted->parent;
	char bdf[PCI_ADDR_TEXT];

	pci_addr_print(wanted->addr, bdf);
	if ((got->parent == NULL) != (parent == NULL) || (parent && !pci_addr_equal(got->parent->addr, parent->addr)))
		fail_msg("%s hangs elsewhere", bdf);
	if ((got->physical == NULL) != (wanted->physical == NULL))
		fail_msg("%s: virtual or not?", bdf);
	assert_int_equal(got->secondary, wanted->secondary);
	assert_int_equal(got->subordinate, wanted->subordinate);
	assert_int_equal(got->multifunction, wanted->multifunction);
	assert_int_equal(got->unit, wanted->unit);
}

static void expect_registers(const struct pci_function *got, const struct pci_function *wanted)
{
	assert_memory_equal(got->config, wanted->config, wanted->config_size);
	assert_int_equal(got->cap_pcie, wanted->cap_pcie);
	assert_int_equal(got->cap_acs, wanted->cap_acs);
	assert_int_equal(got->cap_msix, wanted->cap_msix);
	for (unsigned i = 0; i <= PCI_ROM; i++) {
		assert_int_equal(got->bars[i].kind, wanted->bars[i].kind);
		assert_int_equal(got->bars[i].size, wanted->bars[i].size);
		assert_int_equal(got->bars[i].address, wanted->bars[i].address);
		assert_int_equal(got->bars[i].prefetchable, wanted->bars[i].prefetchable);
	}
}

static void expect_same_partition(const struct pci_topology *a, const struct pci_topology *b)
{
	struct pci_grouping *ours, *theirs;
	const struct pci_function *function;
	struct why why = WHY_INIT;
	int map[512];

	memset(map, 0xff, sizeof(map));
	ASSERT_OK(why, pci_grouping_compute(a, NULL, &ours, &why));
	ASSERT_OK(why, pci_grouping_compute(b, NULL, &theirs, &why));
	assert_int_equal(a->count, b->count);
	assert_int_equal(ours->ngroups, theirs->ngroups);
	list_for_each(function, &a->functions, link) {
		const struct pci_function *other = pci_topology_find(b, function->addr);
		int group = ours->group[function->index], there = theirs->group[other->index];

		assert_int_equal(group < 0, there < 0);
		if (group < 0)
			continue;
		assert_in_range(group, 0, ARRAY_SIZE(map) - 1);
		if (map[group] < 0)
			map[group] = there;
		assert_int_equal(map[group], there);
	}
	pci_grouping_free(ours);
	pci_grouping_free(theirs);
}

/* Everything that root's view has comes back. */
static void expect_round_trip(const struct pci_topology *topology)
{
	struct pci_survey *survey = write_and_read(topology, &root_view);
	const struct pci_function *function;
	char bdf[PCI_ADDR_TEXT];

	assert_int_equal(survey->nremarks, 0);
	assert_true(survey->says_groups);
	assert_false(survey->acs_unarmed);
	list_for_each(function, &topology->functions, link) {
		const struct pci_facts *facts = facts_at(survey, pci_addr_print(function->addr, bdf));

		assert_int_equal(facts->gaps, 0);
		expect_place(facts->function, function);
		expect_registers(facts->function, function);
	}
	expect_same_partition(&survey->topology, topology);
	pci_survey_free(survey);
}

/* ---- whole machines ---- */

TEST(sysfs, machines_built_in_come_back_whole)
{
	const char *name;

	for (unsigned i = 0; (name = description_builtin_name(i)); i++) {
		struct pci_topology topology;

		build(&topology, name);
		expect_round_trip(&topology);
		pci_topology_fini(&topology);
	}
}

/* A random machine: each bus is filled, then what is below its bridges. */
struct growth {
	struct pci_topology topology;
	unsigned last_bus;
	u64 random;
};

static unsigned roll(struct growth *growth, unsigned sides)
{
	growth->random = growth->random * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(growth->random >> 33) % sides;
}

/* What may be plugged in below: -1 conventional, 0x100 added for a bridge. */
static int pick(struct growth *growth, const struct pci_function *above)
{
	static const int roots[] = {0x100 | PCIE_ROOT_PORT, PCIE_RC_ENDPOINT, -1},
			 below_port[] = {PCIE_ENDPOINT, 0x100 | PCIE_UPSTREAM_PORT, 0x100 | PCIE_TO_PCI_BRIDGE};

	if (!above)
		return roots[roll(growth, 3)];
	if (!pci_is_pcie(above) || pcie_type(above) == PCIE_TO_PCI_BRIDGE)
		return roll(growth, 4) ? -1 : -2;
	if (pcie_type(above) == PCIE_UPSTREAM_PORT)
		return 0x100 | PCIE_DOWNSTREAM_PORT;
	return below_port[roll(growth, 3)];
}

static void fill_slot(struct growth *growth, struct pci_function *above, unsigned bus, unsigned slot)
{
	unsigned functions = 1 + (roll(growth, 3) == 0) * roll(growth, 3);

	for (unsigned i = 0; i < functions; i++) {
		int kind = pick(growth, above);
		u16 acs = roll(growth, 2) ? PCI_ACS_ISOLATION : roll(growth, 2) ? PCI_ACS_SV : 0;
		bool bridge = (kind == -2 || kind & 0x100) && kind != -1 && growth->last_bus < 40;
		struct pci_function *function;

		if (kind >= 0x100 && !bridge)
			continue;
		function = plug(&growth->topology, above, bus, slot << 4 | i, kind < 0 ? -1 : kind & 0xff, acs);
		if (bridge)
			pci_make_bridge(function, 0xff, 0xff); /* until its bus is known */
		if (bridge)
			put_u16(function->config + PCI_CLASS, 0x0604);
		if (functions > 1)
			pci_set_multifunction(function);
		function->untranslated = roll(growth, 20) == 0;
	}
}

static void fill_bus(struct growth *growth, struct pci_function *above, unsigned bus)
{
	struct pci_function *function, *here[32 * 8];
	unsigned count = 0, slots = above && pci_is_pcie(above) && pcie_type(above) != PCIE_TO_PCI_BRIDGE &&
						    pcie_type(above) != PCIE_UPSTREAM_PORT
					    ? 1
					    : 1 + roll(growth, 4);

	for (unsigned slot = 0; slot < slots; slot++)
		fill_slot(growth, above, bus, slot);
	list_for_each(function, &growth->topology.functions, link)
		if (pci_is_bridge(function) && function->addr.bus == bus)
			here[count++] = function;
	for (unsigned i = 0; i < count; i++) {
		unsigned secondary = ++growth->last_bus;

		fill_bus(growth, (pci_make_bridge(here[i], (u8)secondary, (u8)secondary), here[i]), secondary);
		here[i]->config[PCI_SUBORDINATE_BUS] = here[i]->subordinate = (u8)growth->last_bus;
	}
}

TEST(sysfs, random_machines_come_back_whole)
{
	const unsigned seeds = UNDER_TSAN ? 5 : 30;
	size_t functions = 0;

	for (unsigned seed = 1; seed <= seeds; seed++) {
		struct growth growth = {.random = seed};

		pci_topology_init(&growth.topology);
		fill_bus(&growth, NULL, 0);
		expect_round_trip(&growth.topology);
		functions += growth.topology.count;
		pci_topology_fini(&growth.topology);
	}
	assert_true(functions > 5 * seeds);
}

/* ---- what only some machines have ---- */

/* A port with a physical function and two virtual ones. */
static struct pci_function *build_sriov(struct pci_topology *topology)
{
	static const struct pci_sriov sriov = {4, 4, 2, 0x10, 1, 0x10ed};
	struct pci_function *port, *physical;

	pci_topology_init(topology);
	port = plug_bridge(topology, NULL, 0, 0x010, PCIE_ROOT_PORT, PCI_ACS_ISOLATION, 1);
	physical = plug(topology, port, 1, 0x000, PCIE_ENDPOINT, 0);
	pci_add_sriov(physical, &sriov);
	for (unsigned i = 0; i < 2; i++) {
		struct pci_function *function = plug(topology, port, 1, 0x020 + i, PCIE_ENDPOINT, 0);

		function->physical = physical;
	}
	return physical;
}

TEST(sysfs, virtual_functions_know_their_physical_one_and_their_ids)
{
	const struct sysfs_view views[] = {
		{.config_most = 4096}, {.config_most = 64}, {.config_most = 4096, .lacks_links = true}};
	struct pci_topology topology;

	build_sriov(&topology);
	for (unsigned i = 0; i < ARRAY_SIZE(views); i++) {
		struct pci_survey *survey = write_and_read(&topology, &views[i]);
		const struct pci_facts *facts = facts_at(survey, "01:02.1");

		assert_true(facts->is_virtual);
		assert_ptr_equal(facts->function->physical, facts_at(survey, "01:00.0")->function);
		assert_ptr_equal(facts->function->parent, facts_at(survey, "00:01.0")->function);
		assert_int_equal(get_u16(facts->function->config + PCI_VENDOR_ID), 0x1af4);
		assert_int_equal(get_u16(facts->function->config + PCI_DEVICE_ID), 4);
		if (views[i].config_most == 4096)
			expect_same_partition(&survey->topology, &topology);
		pci_survey_free(survey);
	}
	pci_topology_fini(&topology);
}

TEST(sysfs, functions_behind_vmd_are_found_below_its_endpoint)
{
	struct pci_function *vmd, *second, *port, *disk;
	struct pci_survey *survey;
	struct pci_topology topology;

	pci_topology_init(&topology);
	plug(&topology, NULL, 0, 0x000, -1, 0);
	vmd = plug(&topology, NULL, 0, 0x0e0, PCIE_RC_ENDPOINT, 0);
	second = plug(&topology, NULL, 0, 0x0f0, PCIE_RC_ENDPOINT, 0);
	port = plug_bridge(&topology, NULL, 0xe0, 0x060, PCIE_ROOT_PORT, 0, 0xe1);
	disk = plug(&topology, port, 0xe1, 0x000, PCIE_ENDPOINT, 0);
	port->addr.segment = disk->addr.segment = 0x10000;
	port->dma_device = disk->dma_device = second;
	survey = write_and_read(&topology, &root_view);
	assert_int_equal(survey->nremarks, 0);
	assert_ptr_equal(facts_at(survey, "10000:e1:00.0")->function->dma_device,
			 facts_at(survey, "00:0f.0")->function);
	assert_ptr_equal(facts_at(survey, "10000:e0:06.0")->function->dma_device,
			 facts_at(survey, "00:0f.0")->function);
	assert_null(facts_at(survey, "10000:e0:06.0")->function->parent);
	assert_null(facts_at(survey, "00:0e.0")->function->dma_device);
	assert_int_equal(get_u16(vmd->config), 0x1af4);
	expect_same_partition(&survey->topology, &topology);
	pci_survey_free(survey);
	pci_topology_fini(&topology);
}

TEST(sysfs, vmd_is_only_said_by_a_path_through_an_endpoint)
{
	static const char *const places[] = {"devices/pci10000:e0/10000:e0:06.0",
					     "devices/pci0000:00/10000:e0:06.0/pci10000:e0/10000:e0:06.0"};

	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		struct pci_survey *survey;
		char target[128], vendor[128];
		struct sysfs_tree tree;

		sysfs_tree_make(&tree);
		snprintf(target, sizeof(target), "../../../%s", places[i]);
		snprintf(vendor, sizeof(vendor), "%s/vendor", places[i]);
		sysfs_tree_link(&tree, "bus/pci/devices/10000:e0:06.0", target);
		sysfs_tree_text(&tree, vendor, "0x8086\n");
		survey = read_tree(&tree);
		assert_false(survey->facts[0].vmd_said);
		assert_null(survey->facts[0].function->dma_device);
		expect_remark(survey, REMARK_WARNING, "segment 10000 looks like one behind Intel VMD");
		pci_survey_free(survey);
		sysfs_tree_remove(&tree);
	}
}

/* Firmware may leave numbers behind that the kernel does not go by. */
TEST(sysfs, the_path_says_more_than_bus_numbers)
{
	struct pci_function *port;
	struct pci_topology topology;
	struct pci_survey *survey;

	pci_topology_init(&topology);
	port = plug_bridge(&topology, NULL, 0, 0x010, PCIE_ROOT_PORT, 0, 5);
	plug(&topology, port, 1, 0x000, PCIE_ENDPOINT, 0);
	plug(&topology, NULL, 5, 0x000, PCIE_RC_ENDPOINT, 0);
	survey = write_and_read(&topology, &root_view);
	assert_ptr_equal(facts_at(survey, "01:00.0")->function->parent, facts_at(survey, "00:01.0")->function);
	assert_null(facts_at(survey, "05:00.0")->function->parent);
	pci_survey_free(survey);
	pci_topology_fini(&topology);
}

TEST(sysfs, units_are_those_the_links_name)
{
	struct pci_topology topology;
	struct pci_survey *survey;
	struct sysfs_tree tree;

	build_small(&topology);
	pci_topology_find(&topology, (struct pci_addr){.bus = 1})->unit = 7;
	expect_round_trip(&topology);
	sysfs_tree_make(&tree);
	sysfs_tree_write(&tree, &topology, &root_view);
	sysfs_tree_link(&tree, "devices/pci0000:00/0000:00:01.0/iommu", "../../platform/smmu3.0x2b400000");
	sysfs_tree_link(&tree, "devices/pci0000:00/0000:00:1f.0/iommu", "../../platform/smmu3.0x2b500000");
	sysfs_tree_link(&tree, "devices/pci0000:00/0000:00:01.0/0000:01:00.0/iommu", "smmu3.0x2b400000");
	survey = read_tree(&tree);
	assert_true(survey->units_said);
	assert_int_equal(survey->platform, PLATFORM_OTHER);
	assert_int_equal(facts_at(survey, "00:01.0")->function->unit, facts_at(survey, "01:00.0")->function->unit);
	assert_int_not_equal(facts_at(survey, "00:1f.0")->function->unit, facts_at(survey, "01:00.0")->function->unit);
	pci_survey_free(survey);
	sysfs_tree_remove(&tree);
	pci_topology_fini(&topology);
}

/* ---- what the reader may see ---- */

TEST(sysfs, an_ordinary_user_sees_places_ids_and_who_is_pci_express)
{
	struct sysfs_view view = user_view;
	struct pci_topology topology;
	struct pci_survey *survey;

	build_small(&topology);
	for (unsigned padded = 0; padded < 2; padded++) {
		view.padded = padded;
		survey = write_and_read(&topology, &view);
		expect_remark(survey, REMARK_MISSING, "the capabilities of 3 functions are not known (first: 0000:");
		expect_remark(survey, REMARK_ASSUMPTION, "the capabilities of 2 functions were not shown");
		assert_int_equal(facts_at(survey, "01:00.0")->gaps, PCI_GAP_CAPS | PCI_GAP_EXT_CAPS);
		assert_int_equal(facts_at(survey, "00:1f.0")->gaps, 0);
		assert_int_equal(pcie_type(facts_at(survey, "00:01.0")->function), PCIE_ROOT_PORT);
		assert_int_equal(pcie_type(facts_at(survey, "01:00.0")->function), PCIE_ENDPOINT);
		assert_false(pci_is_pcie(facts_at(survey, "00:1f.0")->function));
		expect_place(facts_at(survey, "01:00.0")->function,
			     pci_topology_find(&topology, (struct pci_addr){.bus = 1}));
		assert_int_equal(facts_at(survey, "00:01.0")->host_group, 0);
		pci_survey_free(survey);
	}
	view.hides_speed = true;
	survey = write_and_read(&topology, &view);
	assert_int_equal(facts_at(survey, "00:1f.0")->gaps, PCI_GAP_CAPS | PCI_GAP_EXT_CAPS);
	pci_survey_free(survey);
	pci_topology_fini(&topology);
}

TEST(sysfs, without_attributes_the_registers_must_do)
{
	const struct sysfs_view view = {.config_most = 4096, .hides_attributes = true};
	struct pci_topology topology;
	struct pci_survey *survey;

	build_small(&topology);
	survey = write_and_read(&topology, &view);
	assert_int_equal(facts_at(survey, "01:00.0")->gaps, 0);
	assert_int_equal(get_u16(facts_at(survey, "01:00.0")->function->config + PCI_DEVICE_ID), 3);
	expect_same_partition(&survey->topology, &topology);
	pci_survey_free(survey);
	pci_topology_fini(&topology);
}

TEST(sysfs, without_groups_the_iommu_is_taken_to_be_on)
{
	const struct sysfs_view view = {.config_most = 4096, .lacks_groups = true};
	struct pci_topology topology;
	struct pci_survey *survey;

	build_small(&topology);
	survey = write_and_read(&topology, &view);
	assert_false(survey->says_groups);
	assert_true(survey->acs_unarmed);
	assert_int_equal(facts_at(survey, "01:00.0")->host_group, PCI_GROUP_UNSAID);
	assert_false(facts_at(survey, "01:00.0")->function->untranslated);
	expect_remark(survey, REMARK_ASSUMPTION, "no IOMMU groups are shown");
	expect_same_partition(&survey->topology, &topology);
	pci_survey_free(survey);
	pci_topology_fini(&topology);
}

TEST(sysfs, without_links_folders_and_lists_of_members_say_as_much)
{
	const struct sysfs_view view = {.config_most = 4096, .lacks_links = true};
	struct pci_topology topology;
	struct pci_survey *survey;
	struct sysfs_tree tree;

	build_small(&topology);
	sysfs_tree_make(&tree);
	sysfs_tree_write(&tree, &topology, &view);
	sysfs_tree_folder(&tree, "kernel/iommu_groups/2/devices");
	sysfs_tree_text(&tree, "kernel/iommu_groups/2/devices/0000:01:00.0", "");
	survey = read_tree(&tree);
	assert_true(survey->says_groups);
	assert_int_equal(facts_at(survey, "01:00.0")->host_group, 2);
	assert_true(facts_at(survey, "00:01.0")->function->untranslated);
	assert_false(facts_at(survey, "00:01.0")->driver_said);
	assert_ptr_equal(facts_at(survey, "01:00.0")->function->parent, facts_at(survey, "00:01.0")->function);
	pci_survey_free(survey);
	sysfs_tree_remove(&tree);
	pci_topology_fini(&topology);
}

TEST(sysfs, drivers_are_named)
{
	struct pci_topology topology;
	struct pci_survey *survey;

	build_small(&topology);
	survey = write_and_read(&topology, &root_view);
	assert_string_equal(facts_at(survey, "00:01.0")->driver, "pcieport");
	assert_null(facts_at(survey, "01:00.0")->driver);
	assert_true(facts_at(survey, "01:00.0")->driver_said);
	pci_survey_free(survey);
	pci_topology_fini(&topology);
}

TEST(sysfs, an_archive_brings_a_folder_sys_along)
{
	struct sysfs_tree tree, inner;
	struct pci_topology topology;
	struct pci_survey *survey;

	build_small(&topology);
	sysfs_tree_make(&tree);
	sysfs_tree_folder(&tree, "sys");
	snprintf(inner.path, sizeof(inner.path), "%.50s/sys", tree.path);
	sysfs_tree_write(&inner, &topology, &root_view);
	survey = read_tree(&tree);
	expect_same_partition(&survey->topology, &topology);
	pci_survey_free(survey);
	sysfs_tree_remove(&tree);
	pci_topology_fini(&topology);
}

TEST(sysfs, a_function_may_be_a_folder_of_the_bus_itself)
{
	struct pci_survey *survey;
	struct sysfs_tree tree;

	sysfs_tree_make(&tree);
	sysfs_tree_text(&tree, "bus/pci/devices/0000:00:05.0/vendor", "0x8086\n");
	sysfs_tree_text(&tree, "bus/pci/devices/0000:00:05.0/device", "0x100e\n");
	sysfs_tree_text(&tree, "bus/pci/devices/0000:00:06.0/uevent", "");
	survey = read_tree(&tree);
	assert_int_equal(facts_at(survey, "00:05.0")->gaps,
			 PCI_GAP_CLASS | PCI_GAP_SUBSYSTEM | PCI_GAP_HEADER | PCI_GAP_CAPS | PCI_GAP_EXT_CAPS);
	assert_true(facts_at(survey, "00:06.0")->gaps & PCI_GAP_IDS);
	assert_int_equal(get_u16(facts_at(survey, "00:05.0")->function->config + PCI_DEVICE_ID), 0x100e);
	expect_remark(survey, REMARK_WARNING, "the registers of 2 functions cannot be read");
	pci_survey_free(survey);
	sysfs_tree_remove(&tree);
}

/* ---- regions ---- */

static const struct pci_region *region_of(const struct pci_survey *survey, int group, const char *kind)
{
	for (size_t i = 0; i < survey->nregions; i++)
		if (survey->regions[i].group == group && strcmp(survey->regions[i].kind, kind) == 0)
			return &survey->regions[i];
	fail_msg("group %d has no region %s", group, kind);
	return NULL;
}

TEST(sysfs, reserved_regions_say_where_they_come_from)
{
	struct pci_topology topology;
	struct pci_survey *survey;
	struct sysfs_tree tree;

	build_small(&topology);
	sysfs_tree_make(&tree);
	sysfs_tree_write(&tree, &topology, &root_view);
	sysfs_tree_text(&tree, "kernel/iommu_groups/2/reserved_regions",
			"0x0000000000000000 0x0000000000ffffff direct-relaxable\n"
			"0x000000007b800000 0x000000007fffffff direct\n"
			"0x00000000fee00000 0x00000000feefffff msi\n");
	survey = read_tree(&tree);
	assert_int_equal(survey->nregions, 5);
	assert_int_equal(survey->regions[0].group, 0);
	assert_int_equal(survey->regions[4].group, 2);
	assert_int_equal(region_of(survey, 2, "direct")->start, 0x7b800000);
	assert_int_equal(region_of(survey, 2, "direct")->last, 0x7fffffff);
	EXPECT_SUBSTR("RMRR", region_of(survey, 2, "direct")->from);
	EXPECT_SUBSTR("ISA", region_of(survey, 2, "direct-relaxable")->from);
	EXPECT_SUBSTR("Intel", region_of(survey, 0, "msi")->from);
	pci_survey_free(survey);
	sysfs_tree_link(&tree, "devices/pci0000:00/0000:00:01.0/iommu", "../0000:00:00.2/iommu/ivhd0");
	sysfs_tree_link(&tree, "devices/pci0000:00/0000:00:1f.0/iommu", "../0000:00:00.2/iommu/ivhd0");
	sysfs_tree_link(&tree, "devices/pci0000:00/0000:00:01.0/0000:01:00.0/iommu", "x/ivhd0");
	sysfs_tree_text(&tree, "kernel/iommu_groups/1/reserved_regions",
			"0x000000fd00000000 0x000000ffffffffff reserved\n");
	survey = read_tree(&tree);
	assert_int_equal(survey->platform, PLATFORM_AMD);
	EXPECT_SUBSTR("HyperTransport", region_of(survey, 1, "reserved")->from);
	EXPECT_SUBSTR("IVMD", region_of(survey, 2, "direct")->from);
	pci_survey_free(survey);
	sysfs_tree_remove(&tree);
	pci_topology_fini(&topology);
}

TEST(sysfs, lines_that_are_no_regions_are_left_out)
{
	static const char *const lines[] = {"garbage\n", "0x2 0x1 msi\n", "0x1 0x2 coffee\n", "0x1 0x2\n",
					    "\x80 \xff\n"};
	struct pci_topology topology;
	struct sysfs_tree tree;

	build_small(&topology);
	sysfs_tree_make(&tree);
	sysfs_tree_write(&tree, &topology, &root_view);
	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
		struct pci_survey *survey;

		sysfs_tree_text(&tree, "kernel/iommu_groups/0/reserved_regions", lines[i]);
		survey = read_tree(&tree);
		assert_int_equal(survey->nregions, 2);
		expect_remark(survey, REMARK_WARNING, "a line of kernel/iommu_groups/0/reserved_regions");
		pci_survey_free(survey);
	}
	sysfs_tree_remove(&tree);
	pci_topology_fini(&topology);
}

/* ---- odd trees ---- */

#define DISK "devices/pci0000:00/0000:00:01.0/0000:01:00.0"
#define PORT "devices/pci0000:00/0000:00:01.0"

/* The small machine with its registers replaced by `size` bytes of what was there, then of zeros. */
static struct pci_survey *read_with_config(struct sysfs_tree *tree, const struct pci_topology *topology, size_t size)
{
	const struct pci_function *disk = pci_topology_find(topology, (struct pci_addr){.bus = 1});
	u8 *bytes = calloc(1, size + sizeof(disk->config));

	memcpy(bytes, disk->config, sizeof(disk->config));
	sysfs_tree_put(tree, DISK "/config", bytes, size);
	free(bytes);
	return read_tree(tree);
}

TEST(sysfs, registers_of_any_size_are_used_as_far_as_they_go)
{
	static const struct {
		size_t size;
		unsigned gaps;
	} cases[] = {
		{0, PCI_GAP_HEADER | PCI_GAP_CAPS | PCI_GAP_EXT_CAPS},
		{1, PCI_GAP_HEADER | PCI_GAP_CAPS | PCI_GAP_EXT_CAPS},
		{63, PCI_GAP_HEADER | PCI_GAP_CAPS | PCI_GAP_EXT_CAPS},
		{64, PCI_GAP_CAPS | PCI_GAP_EXT_CAPS},
		{255, PCI_GAP_CAPS | PCI_GAP_EXT_CAPS},
		{256, PCI_GAP_EXT_CAPS},
		{4095, PCI_GAP_EXT_CAPS},
		{4096, 0},
		{1 << 20, 0},
	};
	struct pci_topology topology;
	struct sysfs_tree tree;

	build_small(&topology);
	sysfs_tree_make(&tree);
	sysfs_tree_write(&tree, &topology, &root_view);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pci_survey *survey = read_with_config(&tree, &topology, cases[i].size);
		const struct pci_facts *facts = facts_at(survey, "01:00.0");

		assert_int_equal(facts->gaps, cases[i].gaps);
		assert_int_equal(get_u16(facts->function->config + PCI_DEVICE_ID), 3);
		assert_ptr_equal(facts->function->parent, facts_at(survey, "00:01.0")->function);
		pci_survey_free(survey);
	}
	sysfs_tree_remove(&tree);
	pci_topology_fini(&topology);
}

TEST(sysfs, a_bridge_without_registers_is_known_by_its_attributes)
{
	struct pci_topology topology;
	struct pci_survey *survey;
	struct sysfs_tree tree;
	u8 ones[256];

	build_small(&topology);
	memset(ones, 0xff, sizeof(ones));
	sysfs_tree_make(&tree);
	sysfs_tree_write(&tree, &topology, &root_view);
	sysfs_tree_put(&tree, PORT "/config", ones, sizeof(ones));
	survey = read_tree(&tree);
	assert_int_equal(facts_at(survey, "00:01.0")->function->secondary, 1);
	assert_ptr_equal(facts_at(survey, "01:00.0")->function->parent, facts_at(survey, "00:01.0")->function);
	expect_remark(survey, REMARK_WARNING, "the registers of 1 functions cannot be read (first: 0000:00:01.0)");
	pci_survey_free(survey);
	sysfs_tree_drop(&tree, PORT "/secondary_bus_number");
	survey = read_tree(&tree);
	assert_true(facts_at(survey, "00:01.0")->gaps & PCI_GAP_BUSES);
	pci_survey_free(survey);
	sysfs_tree_remove(&tree);
	pci_topology_fini(&topology);
}

/* Puts something odd in place of an attribute: it is not read, and does not hang. */
static void make_odd(struct sysfs_tree *tree, const char *path, unsigned how)
{
	static const char giant[1 << 16] = {[0 ...(1 << 16) - 2] = '7'};

	switch (how) {
	case 0:
		sysfs_tree_fifo(tree, path);
		break;
	case 1:
		sysfs_tree_folder(tree, path);
		break;
	case 2:
		sysfs_tree_link(tree, path, "/dev/zero");
		break;
	case 3:
		sysfs_tree_link(tree, path, strrchr(path, '/') + 1); /* to itself */
		break;
	case 4:
		sysfs_tree_put(tree, path, giant, sizeof(giant));
		break;
	case 5:
		sysfs_tree_text(tree, path, "\x80\xff\n%s%n");
		break;
	default:
		sysfs_tree_text(tree, path, "0x99999999999999999999999999\n");
	}
}

TEST(sysfs, odd_files_are_not_opened_and_do_not_matter_to_others)
{
	static const char *const paths[] = {DISK "/config",
					    DISK "/vendor",
					    DISK "/class",
					    DISK "/resource",
					    DISK "/max_link_speed",
					    DISK "/iommu_group",
					    DISK "/driver",
					    DISK "/iommu",
					    DISK "/physfn",
					    DISK "/revision",
					    "bus/pci/drivers",
					    DISK "/subsystem_device",
					    "kernel/iommu_groups/2/reserved_regions",
					    "kernel/iommu_groups/2/devices",
					    "kernel/iommu_groups/2",
					    "kernel/iommu_groups"};
	struct pci_topology topology;
	struct sysfs_tree tree;

	build_small(&topology);
	for (unsigned i = 0; i < ARRAY_SIZE(paths); i++)
		for (unsigned how = 0; how < 7; how++) {
			struct pci_survey *survey;

			sysfs_tree_make(&tree);
			sysfs_tree_write(&tree, &topology, &root_view);
			make_odd(&tree, paths[i], how);
			survey = read_tree(&tree);
			assert_int_equal(survey->count, 3);
			assert_ptr_equal(facts_at(survey, "01:00.0")->function->parent,
					 facts_at(survey, "00:01.0")->function);
			assert_int_equal(facts_at(survey, "00:01.0")->gaps, 0);
			pci_survey_free(survey);
			sysfs_tree_remove(&tree);
		}
	pci_topology_fini(&topology);
}

TEST(sysfs, entries_of_the_bus_that_lead_nowhere_are_left_out)
{
	static const char *const targets[] = {"../../../devices/pci0000:00/0000:00:09.0",
					      "0000:00:09.0",
					      "/etc",
					      "../../../devices/pci0000:00/../pci0000:00/0000:00:09.0",
					      "../../../devices/pci0000:00/0000:00:1f.0",
					      "../../../devices/loop/0000:00:09.0"};
	struct pci_topology topology;
	struct sysfs_tree tree;

	build_small(&topology);
	sysfs_tree_make(&tree);
	sysfs_tree_write(&tree, &topology, &root_view);
	sysfs_tree_link(&tree, "devices/loop", ".");
	for (unsigned i = 0; i < ARRAY_SIZE(targets); i++) {
		struct pci_survey *survey;

		sysfs_tree_link(&tree, "bus/pci/devices/0000:00:09.0", targets[i]);
		survey = read_tree(&tree);
		assert_int_equal(survey->count, 3);
		expect_remark(survey, REMARK_WARNING, "1 entries of bus/pci/devices lead nowhere");
		pci_survey_free(survey);
	}
	sysfs_tree_remove(&tree);
	pci_topology_fini(&topology);
}

TEST(sysfs, odd_names_are_left_out)
{
	struct pci_topology topology;
	struct pci_survey *survey;
	struct sysfs_tree tree;

	build_small(&topology);
	sysfs_tree_make(&tree);
	sysfs_tree_write(&tree, &topology, &root_view);
	sysfs_tree_folder(&tree, "bus/pci/devices/\xff\xfe");
	sysfs_tree_folder(&tree, "bus/pci/devices/0000:00:20.0");
	sysfs_tree_folder(&tree, "kernel/iommu_groups/99999999999999999999/devices");
	sysfs_tree_folder(&tree, "kernel/iommu_groups/-1/devices");
	sysfs_tree_link(&tree, DISK "/driver", "../../../../bus/pci/drivers/\xffname");
	sysfs_tree_link(&tree, PORT "/driver", "../../../bus/pci/drivers/with\ttab");
	survey = read_tree(&tree);
	assert_int_equal(survey->count, 3);
	assert_null(facts_at(survey, "01:00.0")->driver);
	assert_null(facts_at(survey, "00:01.0")->driver);
	expect_remark(survey, REMARK_WARNING, "2 entries of bus/pci/devices are not called like functions");
	pci_survey_free(survey);
	sysfs_tree_remove(&tree);
	pci_topology_fini(&topology);
}

TEST(sysfs, capabilities_in_a_circle_are_remarked)
{
	struct pci_topology topology;
	struct pci_survey *survey;
	struct pci_function *disk;

	build_small(&topology);
	disk = pci_topology_find(&topology, (struct pci_addr){.bus = 1});
	disk->config[disk->cap_pcie + 1] = (u8)disk->cap_pcie;
	survey = write_and_read(&topology, &root_view);
	expect_remark(survey, REMARK_WARNING, "the list of capabilities of 0000:01:00.0 does not end");
	pci_survey_free(survey);
	pci_topology_fini(&topology);
}

/* As many steps down as a path may have: no deeper. */
TEST(sysfs, folders_in_folders_come_to_an_end)
{
	char path[SYSFS_TREE_PATH] = "devices/pci0000:00";
	struct pci_survey *survey;
	struct sysfs_tree tree;

	sysfs_tree_make(&tree);
	while (strlen(path) < 3000)
		strcat(path, "/0000:00:01.0");
	sysfs_tree_folder(&tree, path);
	sysfs_tree_link(&tree, "devices/pci0000:00/0000:00:02.0", ".");
	survey = read_tree(&tree);
	assert_int_equal(survey->count, 1);
	expect_remark(survey, REMARK_WARNING, "0000:00:01.0 is there twice");
	pci_survey_free(survey);
	sysfs_tree_remove(&tree);
}

/* ---- refusals ---- */

TEST(sysfs, a_tree_without_functions_is_refused)
{
	struct pci_survey *survey;
	struct why why = WHY_INIT;
	struct sysfs_tree tree;

	sysfs_tree_make(&tree);
	EXPECT_REFUSED(NO_PCI, why, pci_read_sysfs(tree.path, &survey, &why));
	EXPECT_SUBSTR(tree.path, why.text);
	sysfs_tree_folder(&tree, "bus/pci/devices");
	EXPECT_REFUSED(NO_PCI, why, pci_read_sysfs(tree.path, &survey, &why));
	sysfs_tree_link(&tree, "bus/pci/devices/0000:00:01.0", "../../../devices/pci0000:00/0000:00:01.0");
	EXPECT_REFUSED(NO_PCI, why, pci_read_sysfs(tree.path, &survey, &why));
	EXPECT_SUBSTR("lead nowhere (first: 0000:00:01.0)", why.text);
	sysfs_tree_text(&tree, "file", "");
	strcat(tree.path, "/file");
	EXPECT_REFUSED(HOST_FAILED, why, pci_read_sysfs(tree.path, &survey, &why));
	*strrchr(tree.path, '/') = '\0';
	sysfs_tree_remove(&tree);
	EXPECT_REFUSED(HOST_FAILED, why, pci_read_sysfs(tree.path, &survey, &why));
	EXPECT_SUBSTR(tree.path, why.text);
}

/* Whatever machine this runs on. */
TEST(sysfs, this_host_is_read_or_refused)
{
	struct pci_survey *survey = NULL;
	struct why why = WHY_INIT;

	if (pci_read_sysfs("/sys", &survey, &why) < 0) {
		assert_true(why.code == WHY_NO_PCI || why.code == WHY_HOST_FAILED);
		EXPECT_SUBSTR("/sys", why.text);
		return;
	}
	assert_string_equal(survey->source, "this host");
	assert_in_range(survey->kernel, PCI_KERNEL(3, 0), PCI_KERNEL(255, 255));
	topology_check_tree(&survey->topology);
	pci_survey_free(survey);
}

static struct sysfs_tree swept;

static int read_swept(struct why *why)
{
	struct pci_survey *survey = NULL;
	int err = pci_read_sysfs(swept.path, &survey, why);

	pci_survey_free(survey);
	return err;
}

TEST(sysfs, every_failed_allocation_is_survived)
{
	struct pci_topology topology;

	build_sriov(&topology);
	sysfs_tree_make(&swept);
	sysfs_tree_write(&swept, &topology, &user_view);
	sysfs_tree_link(&swept, "bus/pci/devices/0000:00:09.0", "nowhere");
	sysfs_tree_text(&swept, "kernel/iommu_groups/0/reserved_regions", "0x1 0x2 direct\nbad\n0x5 0x6 msi\n");
	SWEEP_FAILURES(read_swept);
	sysfs_tree_remove(&swept);
	pci_topology_fini(&topology);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(sysfs, machines_built_in_come_back_whole),
		CASE(sysfs, random_machines_come_back_whole),
		CASE(sysfs, virtual_functions_know_their_physical_one_and_their_ids),
		CASE(sysfs, functions_behind_vmd_are_found_below_its_endpoint),
		CASE(sysfs, vmd_is_only_said_by_a_path_through_an_endpoint),
		CASE(sysfs, the_path_says_more_than_bus_numbers),
		CASE(sysfs, units_are_those_the_links_name),
		CASE(sysfs, an_ordinary_user_sees_places_ids_and_who_is_pci_express),
		CASE(sysfs, without_attributes_the_registers_must_do),
		CASE(sysfs, without_groups_the_iommu_is_taken_to_be_on),
		CASE(sysfs, without_links_folders_and_lists_of_members_say_as_much),
		CASE(sysfs, drivers_are_named),
		CASE(sysfs, an_archive_brings_a_folder_sys_along),
		CASE(sysfs, a_function_may_be_a_folder_of_the_bus_itself),
		CASE(sysfs, reserved_regions_say_where_they_come_from),
		CASE(sysfs, lines_that_are_no_regions_are_left_out),
		CASE(sysfs, registers_of_any_size_are_used_as_far_as_they_go),
		CASE(sysfs, a_bridge_without_registers_is_known_by_its_attributes),
		CASE(sysfs, odd_files_are_not_opened_and_do_not_matter_to_others),
		CASE(sysfs, entries_of_the_bus_that_lead_nowhere_are_left_out),
		CASE(sysfs, odd_names_are_left_out),
		CASE(sysfs, capabilities_in_a_circle_are_remarked),
		CASE(sysfs, folders_in_folders_come_to_an_end),
		CASE(sysfs, a_tree_without_functions_is_refused),
		CASE(sysfs, this_host_is_read_or_refused),
		CASE(sysfs, every_failed_allocation_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
