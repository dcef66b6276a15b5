/* SPDX-License-Identifier: MIT */
/* From what a reader found to a topology; what is assumed on the way is said. */
#include "tests/helpers.h"

#include "pci/survey.h"

/* ---- functions as a reader would bring them ---- */

static struct pci_survey *survey_new(void)
{
	struct pci_survey *survey;
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_survey_new("test", &survey, &why));
	return survey;
}

static struct pci_facts *bring(struct pci_survey *survey, const char *bdf, u16 vendor, u16 device, u32 class_code)
{
	const struct pci_identity identity = {.vendor = vendor, .device = device, .class_code = class_code};
	struct why why = WHY_INIT;
	struct pci_facts *facts;
	struct pci_addr addr;

	assert_true(pci_addr_parse(bdf, &addr));
	ASSERT_OK(why, pci_survey_add(survey, addr, &identity, &facts, &why));
	facts->line = (unsigned)survey->count;
	return facts;
}

static struct pci_facts *bring_endpoint(struct pci_survey *survey, const char *bdf)
{
	struct pci_facts *facts = bring(survey, bdf, 0x1af4, 0x1041, 0x020000);

	pci_add_pcie(facts->function, PCIE_ENDPOINT, 0, false);
	return facts;
}

static struct pci_facts *bring_port(struct pci_survey *survey, const char *bdf, enum pcie_type type, u8 secondary,
				    u8 subordinate)
{
	struct pci_facts *facts = bring(survey, bdf, 0x1af4, 0x0001, 0x060400);

	pci_make_bridge(facts->function, secondary, subordinate);
	pci_add_pcie(facts->function, type, 0, false);
	return facts;
}

static void finish(struct pci_survey *survey)
{
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_survey_finish(survey, &why));
	assert_int_equal(survey->topology.count, survey->count);
}

static const struct pci_function *at(const struct pci_survey *survey, const char *bdf)
{
	const struct pci_function *function;
	struct pci_addr addr;

	assert_true(pci_addr_parse(bdf, &addr));
	function = pci_topology_find(&survey->topology, addr);
	assert_non_null(function);
	assert_ptr_equal(survey->facts[function->index].function, function);
	return function;
}

/* The remark that holds the words; NULL if there is none. */
static const struct pci_remark *remark_with(const struct pci_survey *survey, const char *words)
{
	for (size_t i = 0; i < survey->nremarks; i++)
		if (strstr(survey->remarks[i].text, words))
			return &survey->remarks[i];
	return NULL;
}

static void expect_remark(const struct pci_survey *survey, enum pci_remark_kind kind, unsigned line, const char *words)
{
	const struct pci_remark *remark = remark_with(survey, words);

	if (!remark)
		fail_msg("no remark says \"%s\"", words);
	assert_int_equal(remark->kind, kind);
	assert_int_equal(remark->line, line);
}

static void expect_order(const struct pci_survey *survey, const char *const *bdfs, size_t count)
{
	const struct pci_function *function;
	char bdf[PCI_ADDR_TEXT];
	size_t i = 0;

	assert_int_equal(survey->count, count);
	list_for_each(function, &survey->topology.functions, link)
		assert_string_equal(pci_addr_print(function->addr, bdf), bdfs[i++]);
}

/* ---- order ---- */

TEST(survey, a_bus_comes_whole_then_what_is_below_its_bridges)
{
	static const char *const order[] = {"0000:00:01.0", "0000:00:02.0", "0000:00:03.0", "0000:05:00.0",
					    "0000:06:00.0", "0000:01:00.0", "0000:80:00.0", "0001:00:00.0"};
	struct pci_survey *survey = survey_new();

	bring_endpoint(survey, "0001:00:00.0");
	bring_endpoint(survey, "80:00.0");
	bring_endpoint(survey, "06:00.0");
	bring_port(survey, "05:00.0", PCIE_UPSTREAM_PORT, 6, 6);
	bring_endpoint(survey, "01:00.0");
	bring_endpoint(survey, "00:03.0");
	bring_port(survey, "00:02.0", PCIE_ROOT_PORT, 1, 1);
	bring_port(survey, "00:01.0", PCIE_ROOT_PORT, 5, 6);
	finish(survey);
	expect_order(survey, order, ARRAY_SIZE(order));
	assert_ptr_equal(at(survey, "06:00.0")->parent, at(survey, "05:00.0"));
	assert_ptr_equal(at(survey, "05:00.0")->parent, at(survey, "00:01.0"));
	assert_null(at(survey, "80:00.0")->parent);
	pci_survey_free(survey);
}

TEST(survey, of_two_with_one_address_the_first_counts)
{
	struct pci_survey *survey = survey_new();

	bring(survey, "00:03.0", 0x1af4, 1, 0x020000);
	bring(survey, "00:03.0", 0x1af4, 2, 0x020000);
	finish(survey);
	assert_int_equal(survey->count, 1);
	assert_int_equal(get_u16(at(survey, "00:03.0")->config + PCI_DEVICE_ID), 1);
	expect_remark(survey, REMARK_WARNING, 2, "0000:00:03.0 is there twice");
	pci_survey_free(survey);
}

TEST(survey, an_empty_one_is_legal)
{
	struct pci_survey *survey = survey_new();

	finish(survey);
	assert_int_equal(survey->count, 0);
	pci_survey_free(survey);
}

/* ---- bridges ---- */

TEST(survey, a_missing_bridge_leaves_its_bus_below_the_one_around_it)
{
	struct pci_survey *survey = survey_new();

	bring_port(survey, "00:01.0", PCIE_ROOT_PORT, 1, 4);
	bring_endpoint(survey, "03:00.0");
	finish(survey);
	assert_ptr_equal(at(survey, "03:00.0")->parent, at(survey, "00:01.0"));
	expect_remark(survey, REMARK_WARNING, 2, "the bridge to bus 03 is missing");
	pci_survey_free(survey);
}

TEST(survey, bridges_that_cannot_be_are_not_believed)
{
	struct pci_survey *survey = survey_new();

	bring_port(survey, "00:01.0", PCIE_ROOT_PORT, 1, 1);
	bring_port(survey, "00:02.0", PCIE_ROOT_PORT, 1, 1);
	bring_port(survey, "01:00.0", PCIE_UPSTREAM_PORT, 1, 9);
	finish(survey);
	assert_ptr_equal(at(survey, "01:00.0")->parent, at(survey, "00:01.0"));
	expect_remark(survey, REMARK_WARNING, 2, "0000:00:01.0 and 0000:00:02.0 both lead to bus 01");
	expect_remark(survey, REMARK_WARNING, 3, "0000:01:00.0 leads back to bus 01");
	pci_survey_free(survey);
}

TEST(survey, what_the_source_says_is_above_wins_if_it_can_be)
{
	struct pci_survey *survey = survey_new();
	struct pci_facts *said, *root, *impossible;

	bring_port(survey, "00:01.0", PCIE_ROOT_PORT, 1, 1);
	bring_port(survey, "00:02.0", PCIE_ROOT_PORT, 2, 2);
	said = bring_endpoint(survey, "01:00.0");
	said->above_said = true;
	said->above = (struct pci_addr){.devfn = 2 << 3};
	root = bring_endpoint(survey, "02:00.0");
	root->above_said = root->above_is_root = true;
	impossible = bring_endpoint(survey, "02:01.0");
	impossible->above_said = true;
	impossible->above = (struct pci_addr){.bus = 3};
	finish(survey);
	assert_ptr_equal(at(survey, "01:00.0")->parent, at(survey, "00:02.0"));
	assert_null(at(survey, "02:00.0")->parent);
	assert_ptr_equal(at(survey, "02:01.0")->parent, at(survey, "00:02.0"));
	pci_survey_free(survey);
}

/* ---- slots and virtual functions ---- */

static void bring_virtual_pair(struct pci_survey *survey, u16 enabled)
{
	const struct pci_sriov sriov = {.initial = 8, .total = 8, .enabled = enabled, .offset = 0x80, .stride = 2};

	bring_port(survey, "00:01.0", PCIE_ROOT_PORT, 1, 2);
	pci_add_sriov(bring_endpoint(survey, "01:00.0")->function, &sriov);
	bring_endpoint(survey, "01:10.0");
	bring_endpoint(survey, "01:10.2");
	bring_endpoint(survey, "01:10.4");
}

TEST(survey, the_capability_tells_whose_virtual_functions_they_are)
{
	struct pci_survey *survey = survey_new();

	bring_virtual_pair(survey, 2);
	finish(survey);
	assert_ptr_equal(at(survey, "01:10.0")->physical, at(survey, "01:00.0"));
	assert_ptr_equal(at(survey, "01:10.2")->physical, at(survey, "01:00.0"));
	assert_ptr_equal(at(survey, "01:10.2")->parent, at(survey, "00:01.0"));
	assert_null(at(survey, "01:10.4")->physical);
	/* Virtual functions come last, and never make a slot multifunction. */
	assert_true(survey->facts[survey->count - 1].is_virtual);
	assert_false(at(survey, "01:10.0")->multifunction);
	assert_false(at(survey, "01:10.4")->multifunction);
	pci_survey_free(survey);
}

TEST(survey, virtual_functions_on_a_bus_without_a_bridge_hang_where_their_physical_one_does)
{
	const struct pci_sriov sriov = {.initial = 1, .total = 1, .enabled = 1, .offset = 0x100, .stride = 1};
	struct pci_survey *survey = survey_new();

	bring_port(survey, "00:01.0", PCIE_ROOT_PORT, 1, 2);
	pci_add_sriov(bring_endpoint(survey, "01:00.0")->function, &sriov);
	bring_endpoint(survey, "02:00.0");
	finish(survey);
	assert_ptr_equal(at(survey, "02:00.0")->physical, at(survey, "01:00.0"));
	assert_ptr_equal(at(survey, "02:00.0")->parent, at(survey, "00:01.0"));
	assert_null(remark_with(survey, "is missing"));
	pci_survey_free(survey);
}

TEST(survey, a_capability_that_speaks_of_many_missing_functions_is_not_believed)
{
	const struct pci_sriov sriov = {.enabled = 0xffff, .offset = 1, .stride = 1};
	struct pci_survey *survey = survey_new();

	pci_add_sriov(bring_endpoint(survey, "01:00.0")->function, &sriov);
	bring_endpoint(survey, "01:00.1");
	pci_add_sriov(bring_endpoint(survey, "01:00.2")->function, &sriov);
	bring_endpoint(survey, "01:07.7");
	bring_endpoint(survey, "01:1f.7");
	finish(survey);
	assert_ptr_equal(at(survey, "01:00.1")->physical, at(survey, "01:00.0"));
	assert_ptr_equal(at(survey, "01:07.7")->physical, at(survey, "01:00.0"));
	assert_null(at(survey, "01:1f.7")->physical);
	pci_survey_free(survey);
}

/* Each claims all behind it. The square of their number would be minutes. */
TEST(survey, thousands_of_physical_functions_are_settled_in_no_time)
{
	const struct pci_sriov sriov = {.enabled = 0xffff, .offset = 1, .stride = 1};
	struct pci_survey *survey = survey_new();
	char bdf[PCI_ADDR_TEXT];

	for (unsigned id = 0; id < 8192; id++) {
		const struct pci_addr addr = {0, (u8)(id >> 8), (u8)id};

		pci_add_sriov(bring_endpoint(survey, pci_addr_print(addr, bdf))->function, &sriov);
	}
	alarm(100);
	finish(survey);
	alarm(0);
	assert_ptr_equal(at(survey, "1f:1f.7")->physical, at(survey, "00:00.0"));
	pci_survey_free(survey);
}

TEST(survey, a_name_can_tell_that_it_is_virtual_but_not_whose)
{
	struct pci_survey *survey = survey_new();
	struct why why = WHY_INIT;

	bring_endpoint(survey, "01:10.0")->name = alloc_string("Ethernet controller: 82599 Virtual Function", &why);
	finish(survey);
	assert_true(survey->facts[0].is_virtual);
	assert_null(survey->facts[0].function->physical);
	expect_remark(survey, REMARK_ASSUMPTION, 0, "1 virtual functions do not say whose they are");
	pci_survey_free(survey);
}

TEST(survey, a_physical_function_comes_before_its_virtual_ones)
{
	struct pci_survey *survey = survey_new();
	struct pci_facts *facts = bring_endpoint(survey, "01:00.0");

	facts->is_virtual = true;
	facts->physical = (struct pci_addr){.bus = 1, .devfn = 8};
	bring_endpoint(survey, "01:01.0");
	finish(survey);
	assert_null(at(survey, "01:00.0")->physical);
	pci_survey_free(survey);
}

TEST(survey, functions_of_one_slot_are_multifunction)
{
	struct pci_survey *survey = survey_new();

	bring_endpoint(survey, "00:03.0");
	bring_endpoint(survey, "00:03.1");
	bring_endpoint(survey, "00:04.0");
	finish(survey);
	assert_true(at(survey, "00:03.0")->multifunction);
	assert_true(at(survey, "00:03.1")->multifunction);
	assert_false(at(survey, "00:04.0")->multifunction);
	pci_survey_free(survey);
}

/* ---- VMD ---- */

TEST(survey, high_segments_belong_to_the_vmd_endpoints_in_order)
{
	struct pci_survey *survey = survey_new();

	bring(survey, "00:0e.0", 0x8086, 0x9a0b, 0x010400);
	bring(survey, "00:1f.0", 0x8086, 0x201d, 0x010400);
	bring_endpoint(survey, "10000:e1:00.0");
	bring_endpoint(survey, "10001:e1:00.0");
	bring_endpoint(survey, "10002:e1:00.0");
	finish(survey);
	assert_ptr_equal(at(survey, "10000:e1:00.0")->dma_device, at(survey, "00:0e.0"));
	assert_ptr_equal(at(survey, "10001:e1:00.0")->dma_device, at(survey, "00:1f.0"));
	assert_null(at(survey, "10002:e1:00.0")->dma_device);
	expect_remark(survey, REMARK_ASSUMPTION, 3, "segment 10000 is taken to be behind the VMD device 0000:00:0e.0");
	expect_remark(survey, REMARK_WARNING, 5, "segment 10002 looks like one behind Intel VMD");
	pci_survey_free(survey);
}

TEST(survey, vmd_by_name_and_vmd_as_said)
{
	struct pci_survey *survey = survey_new();
	struct why why = WHY_INIT;
	struct pci_facts *facts;

	bring(survey, "00:0e.0", 0, 0, 0)->name = alloc_string("RAID bus controller: Volume Management Device", &why);
	bring(survey, "00:0f.0", 0x8086, 0x9a0b, 0x010400);
	facts = bring_endpoint(survey, "10000:e1:00.0");
	facts->vmd_said = true;
	facts->vmd = (struct pci_addr){.devfn = 0xf << 3};
	bring_endpoint(survey, "10001:e1:00.0");
	finish(survey);
	assert_ptr_equal(at(survey, "10000:e1:00.0")->dma_device, at(survey, "00:0f.0"));
	assert_ptr_equal(at(survey, "10001:e1:00.0")->dma_device, at(survey, "00:0e.0"));
	pci_survey_free(survey);
}

/* ---- what was not shown ---- */

static void bring_unknown(struct pci_survey *survey, const char *bdf, u32 class_code, u8 secondary)
{
	struct pci_facts *facts = bring(survey, bdf, 0x1af4, 1, class_code);

	facts->gaps = PCI_GAP_CAPS | PCI_GAP_EXT_CAPS;
	if (secondary)
		pci_make_bridge(facts->function, secondary, secondary);
}

TEST(survey, hidden_capabilities_are_taken_as_usual_for_the_place)
{
	struct pci_survey *survey = survey_new();

	bring_unknown(survey, "00:00.0", 0x060000, 0);
	bring_unknown(survey, "00:02.0", 0x030000, 0);
	bring_unknown(survey, "00:1c.0", 0x060400, 1);
	bring_unknown(survey, "01:00.0", 0x060400, 2);
	bring_unknown(survey, "02:00.0", 0x060400, 3);
	bring_unknown(survey, "03:00.0", 0x020000, 0);
	finish(survey);
	assert_false(pci_is_pcie(at(survey, "00:00.0")));
	assert_int_equal(pcie_type(at(survey, "00:02.0")), PCIE_RC_ENDPOINT);
	assert_int_equal(pcie_type(at(survey, "00:1c.0")), PCIE_ROOT_PORT);
	assert_int_equal(pcie_type(at(survey, "01:00.0")), PCIE_UPSTREAM_PORT);
	assert_int_equal(pcie_type(at(survey, "02:00.0")), PCIE_DOWNSTREAM_PORT);
	assert_int_equal(pcie_type(at(survey, "03:00.0")), PCIE_ENDPOINT);
	expect_remark(survey, REMARK_ASSUMPTION, 1,
		      "the capabilities of 6 functions were not shown (first: 0000:00:00.0)");
	assert_non_null(remark_with(survey, "capabilities of")->command);
	pci_survey_free(survey);
}

TEST(survey, below_a_bridge_to_pci_everything_is_conventional)
{
	struct pci_survey *survey = survey_new();

	bring_port(survey, "00:01.0", PCIE_TO_PCI_BRIDGE, 1, 1);
	bring_unknown(survey, "01:00.0", 0x060400, 2);
	bring_unknown(survey, "02:00.0", 0x020000, 0);
	finish(survey);
	assert_false(pci_is_pcie(at(survey, "01:00.0")));
	assert_false(pci_is_pcie(at(survey, "02:00.0")));
	assert_null(remark_with(survey, "each is taken as PCI Express"));
	expect_remark(survey, REMARK_ASSUMPTION, 2, "each is taken as what is usual at its place");
	pci_survey_free(survey);
}

TEST(survey, gaps_are_counted_and_named)
{
	struct pci_survey *survey = survey_new();

	bring_endpoint(survey, "00:02.0")->gaps = PCI_GAP_EXT_CAPS;
	bring_endpoint(survey, "00:03.0")->gaps = PCI_GAP_EXT_CAPS;
	bring(survey, "00:1c.0", 0x1af4, 1, 0x060400)->gaps = PCI_GAP_BUSES;
	finish(survey);
	expect_remark(survey, REMARK_ASSUMPTION, 1, "the extended capabilities of 2 functions were not shown");
	expect_remark(survey, REMARK_MISSING, 3, "1 bridge does not say which bus is below (first: 0000:00:1c.0)");
	pci_survey_free(survey);
}

/* ---- coverage ---- */

TEST(survey, without_groups_the_iommu_is_taken_to_be_on)
{
	struct pci_survey *survey = survey_new();

	bring_endpoint(survey, "00:02.0");
	finish(survey);
	assert_true(survey->acs_unarmed);
	assert_false(at(survey, "00:02.0")->untranslated);
	expect_remark(survey, REMARK_ASSUMPTION, 0, "no IOMMU groups are shown");
	pci_survey_free(survey);
}

TEST(survey, groups_that_are_said_tell_what_is_covered)
{
	struct pci_survey *survey = survey_new();

	survey->says_groups = true;
	bring_endpoint(survey, "00:02.0")->host_group = 7;
	bring_endpoint(survey, "00:03.0");
	finish(survey);
	assert_false(survey->acs_unarmed);
	assert_false(at(survey, "00:02.0")->untranslated);
	assert_true(at(survey, "00:03.0")->untranslated);
	assert_null(remark_with(survey, "no IOMMU groups"));
	pci_survey_free(survey);
}

TEST(survey, amd_leaves_out_the_slot_of_its_iommu)
{
	struct pci_survey *survey = survey_new();

	bring(survey, "00:00.0", 0x1022, 0x1630, 0x060000);
	bring(survey, "00:00.2", 0x1022, 0x1631, 0x080600);
	bring(survey, "00:01.0", 0x1022, 0x1632, 0x060000);
	finish(survey);
	assert_int_equal(survey->platform, PLATFORM_AMD);
	assert_int_equal(survey->nregions, 2);
	assert_int_equal(survey->regions[1].start, 0xfd00000000);
	assert_true(at(survey, "00:00.0")->untranslated);
	assert_true(at(survey, "00:00.2")->untranslated);
	assert_false(at(survey, "00:01.0")->untranslated);
	expect_remark(survey, REMARK_ASSUMPTION, 0, "but those of its own slot");
	pci_survey_free(survey);
}

TEST(survey, integrated_graphics_has_the_first_unit_of_an_intel_machine)
{
	struct pci_survey *survey = survey_new();

	bring(survey, "00:00.0", 0x8086, 0x9b61, 0x060000);
	bring(survey, "00:02.0", 0x8086, 0x9b41, 0x030000);
	finish(survey);
	assert_int_equal(survey->platform, PLATFORM_INTEL);
	assert_int_equal(survey->nregions, 1);
	assert_string_equal(survey->regions[0].kind, "msi");
	expect_remark(survey, REMARK_MISSING, 0, "RMRR");
	assert_int_equal(at(survey, "00:02.0")->unit, 0);
	assert_int_equal(at(survey, "00:00.0")->unit, 1);
	pci_survey_free(survey);
}

/* ---- remarks and regions ---- */

TEST(survey, equal_remarks_are_kept_once_and_a_flood_says_so)
{
	struct pci_survey *survey = survey_new();
	struct why why = WHY_INIT;

	for (unsigned i = 0; i < 2; i++)
		ASSERT_OK(why, pci_survey_remark(survey, REMARK_WARNING, i, NULL, &why, "odd"));
	assert_int_equal(survey->nremarks, 1);
	for (unsigned i = 0; i < 3000; i++)
		ASSERT_OK(why, pci_survey_remark(survey, REMARK_WARNING, i, "run", &why, "odd %u", i));
	assert_int_equal(survey->nremarks, 1001);
	EXPECT_SUBSTR("there is more to say", survey->remarks[1000].text);
	pci_survey_free(survey);
}

TEST(survey, regions_are_kept_as_said)
{
	struct pci_survey *survey = survey_new();
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_survey_region(survey, 0xfee00000, 0xfeefffff, "msi", 3, "the MSI window", &why));
	assert_int_equal(survey->nregions, 1);
	assert_int_equal(survey->regions[0].last, 0xfeefffff);
	assert_string_equal(survey->regions[0].kind, "msi");
	assert_string_equal(survey->regions[0].from, "the MSI window");
	pci_survey_free(survey);
}

TEST(survey, a_whole_topology_can_be_adopted)
{
	struct pci_survey *survey = survey_new(), *from = survey_new();
	struct why why = WHY_INIT;

	bring_virtual_pair(from, 2);
	finish(from);
	ASSERT_OK(why, pci_survey_adopt(survey, &from->topology, &why));
	assert_int_equal(survey->count, 5);
	assert_true(list_empty(&from->topology.functions));
	assert_true(survey->facts[4].is_virtual);
	assert_ptr_equal(at(survey, "01:00.0")->parent, at(survey, "00:01.0"));
	from->count = 0; /* its functions are gone */
	pci_survey_free(from);
	pci_survey_free(survey);
}

/* ---- out of memory ---- */

static int everything(struct why *why)
{
	_free_(pci_survey) struct pci_survey *survey = NULL;
	const struct pci_identity identity = {.vendor = 0x1af4};
	int err = pci_survey_new("test", &survey, why);

	for (u8 bus = 0; bus < 40 && err == 0; bus++) {
		struct pci_facts *facts;

		err = pci_survey_add(survey, (struct pci_addr){.bus = bus}, &identity, &facts, why);
		if (err == 0) {
			facts->gaps = PCI_GAP_CAPS;
			pci_make_bridge(facts->function, bus, bus);
		}
	}
	if (err == 0)
		err = pci_survey_region(survey, 0, 1, "msi", 0, "x", why);
	return err < 0 ? err : pci_survey_finish(survey, why);
}

TEST(survey, no_failure_leaks)
{
	SWEEP_FAILURES(everything);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(survey, a_bus_comes_whole_then_what_is_below_its_bridges),
		CASE(survey, of_two_with_one_address_the_first_counts),
		CASE(survey, an_empty_one_is_legal),
		CASE(survey, a_missing_bridge_leaves_its_bus_below_the_one_around_it),
		CASE(survey, bridges_that_cannot_be_are_not_believed),
		CASE(survey, what_the_source_says_is_above_wins_if_it_can_be),
		CASE(survey, the_capability_tells_whose_virtual_functions_they_are),
		CASE(survey, virtual_functions_on_a_bus_without_a_bridge_hang_where_their_physical_one_does),
		CASE(survey, a_capability_that_speaks_of_many_missing_functions_is_not_believed),
		CASE(survey, thousands_of_physical_functions_are_settled_in_no_time),
		CASE(survey, a_name_can_tell_that_it_is_virtual_but_not_whose),
		CASE(survey, a_physical_function_comes_before_its_virtual_ones),
		CASE(survey, functions_of_one_slot_are_multifunction),
		CASE(survey, high_segments_belong_to_the_vmd_endpoints_in_order),
		CASE(survey, vmd_by_name_and_vmd_as_said),
		CASE(survey, hidden_capabilities_are_taken_as_usual_for_the_place),
		CASE(survey, below_a_bridge_to_pci_everything_is_conventional),
		CASE(survey, gaps_are_counted_and_named),
		CASE(survey, without_groups_the_iommu_is_taken_to_be_on),
		CASE(survey, groups_that_are_said_tell_what_is_covered),
		CASE(survey, amd_leaves_out_the_slot_of_its_iommu),
		CASE(survey, integrated_graphics_has_the_first_unit_of_an_intel_machine),
		CASE(survey, equal_remarks_are_kept_once_and_a_flood_says_so),
		CASE(survey, regions_are_kept_as_said),
		CASE(survey, a_whole_topology_can_be_adopted),
		CASE(survey, no_failure_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
