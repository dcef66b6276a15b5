/* SPDX-License-Identifier: MIT */
/*
 * Survey -> text -> machine: the same functions with the same traits in the same groups; and a second capture says the
 * same again. Dumps read by the readers proper: e2e/capture.sh.
 */
#include "tests/helpers.h"

#include "machine/capture.h"
#include "machine/driver.h"
#include "machine/machine.h"
#include "tests/fixtures/topology_check.h"

#define ALL	     PCI_ACS_ISOLATION
#define CONVENTIONAL 0x100 /* in place of a pcie_type: no such capability */

/* ---- a survey to add to ---- */

static struct pci_survey *new_survey(void)
{
	struct pci_survey *survey = NULL;
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_survey_new("/tmp/some dump.txt", &survey, &why));
	return survey;
}

/* text: "00:1c.0" and so on; acs: what is capable and enabled. */
static struct pci_function *add(struct pci_survey *survey, const char *text, int type, u16 acs)
{
	const struct pci_identity identity = {.vendor = 0x1af4, .device = (u16)(survey->count + 1)};
	struct pci_facts *facts;
	struct why why = WHY_INIT;
	struct pci_addr addr;

	assert_true(pci_addr_parse(text, &addr));
	ASSERT_OK(why, pci_survey_add(survey, addr, &identity, &facts, &why));
	if (type != CONVENTIONAL)
		pci_add_pcie(facts->function, (enum pcie_type)type, 0, false);
	if (type != CONVENTIONAL && acs)
		pci_add_acs(facts->function, acs, acs);
	return facts->function;
}

static struct pci_function *add_bridge(struct pci_survey *survey, const char *text, int type, u16 acs, u8 secondary,
				       u8 subordinate)
{
	struct pci_function *bridge = add(survey, text, type, acs);

	pci_make_bridge(bridge, secondary, subordinate);
	put_u16(bridge->config + PCI_CLASS, 0x0604);
	return bridge;
}

static struct pci_facts *last_facts(struct pci_survey *survey)
{
	return &survey->facts[survey->count - 1];
}

static void finish(struct pci_survey *survey)
{
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_survey_finish(survey, &why));
}

/* ---- there and back ---- */

static char *capture(const struct pci_survey *survey)
{
	struct why why = WHY_INIT;
	char *text = NULL;

	ASSERT_OK(why, capture_text(survey, &text, &why));
	return text;
}

static struct description *parse(const char *text)
{
	struct description *description = NULL;
	struct why why = WHY_INIT;

	if (description_parse(text, strlen(text), "captured.yaml", &description, &why) < 0)
		fail_msg("%s\n%s", why.text, text);
	return description;
}

static struct pci_survey *survey_of(const struct description *description, const char *source)
{
	struct pci_survey *survey = NULL;
	struct why why = WHY_INIT;

	ASSERT_OK(why, description_survey(description, source, &survey, &why));
	topology_check_found(&survey->topology);
	topology_check_addresses(&survey->topology);
	return survey;
}

static struct pci_grouping *groups_of(const struct pci_survey *survey)
{
	struct pci_grouping *grouping = NULL;
	struct pci_rules *rules = NULL;
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_rules_new(PCI_KERNEL_LATEST, &rules, &why));
	pci_rules_arm_acs(rules, survey->acs_unarmed);
	ASSERT_OK(why, pci_grouping_compute(&survey->topology, rules, &grouping, &why));
	pci_rules_free(rules);
	return grouping;
}

static const struct pci_function *same_in(const struct pci_survey *survey, const struct pci_function *function)
{
	const struct pci_function *found = pci_topology_find(&survey->topology, function->addr);
	char bdf[PCI_ADDR_TEXT];

	if (!found)
		fail_msg("%s is lost", pci_addr_print(function->addr, bdf));
	return found;
}

static bool same_addr(const struct pci_function *a, const struct pci_function *b)
{
	return (!a && !b) || (a && b && pci_addr_equal(a->addr, b->addr));
}

static void expect_same_function(const struct pci_function *a, const struct pci_function *b)
{
	struct pci_identity x = function_identity(a), y = function_identity(b);

	assert_int_equal(a->index, b->index);
	assert_true(same_addr(a->parent, b->parent));
	assert_true(same_addr(a->physical, b->physical));
	assert_true(same_addr(a->dma_device, b->dma_device));
	assert_int_equal(pci_is_bridge(a), pci_is_bridge(b));
	assert_int_equal(pci_is_pcie(a), pci_is_pcie(b));
	if (pci_is_pcie(a))
		assert_int_equal(pcie_type(a), pcie_type(b));
	assert_int_equal(a->multifunction, b->multifunction);
	assert_int_equal(a->untranslated, b->untranslated);
	assert_int_equal(a->unit, b->unit);
	assert_int_equal(x.vendor, y.vendor);
	assert_int_equal(x.device, y.device);
	assert_int_equal(x.subsystem_vendor, y.subsystem_vendor);
	assert_int_equal(x.subsystem, y.subsystem);
	assert_int_equal(x.class_code, y.class_code);
	assert_int_equal(x.revision, y.revision);
}

static void expect_same_groups(const struct pci_survey *before, const struct pci_survey *after)
{
	struct pci_grouping *was = groups_of(before), *is = groups_of(after);
	const struct pci_function *function;

	assert_int_equal(was->count, is->count);
	list_for_each(function, &before->topology.functions, link) {
		const struct pci_function *same = same_in(after, function);
		const struct pci_traits *old = &was->traits[function->index], *new = &is->traits[same->index];

		expect_same_function(function, same);
		assert_int_equal(was->group[function->index], is->group[same->index]);
		assert_int_equal(was->alias_set[function->index], is->alias_set[same->index]);
		assert_int_equal(was->merges[function->index].rule, is->merges[same->index].rule);
		assert_int_equal(old->isolates, new->isolates);
		assert_int_equal(old->ground, new->ground);
		assert_int_equal(old->ids, new->ids);
		assert_int_equal(old->acs_missing, new->acs_missing);
	}
	pci_grouping_free(was);
	pci_grouping_free(is);
}

/* What counts: comments tell of where it came from, and of what was cut down. */
static char *without_comments(const char *text)
{
	char *copy = calloc(1, strlen(text) + 1), *to = copy;

	while (*text) {
		size_t length = strcspn(text, "\n"), until = 0;

		while (until < length && text[until] != '#')
			until++;
		while (until > 0 && text[until - 1] == ' ')
			until--;
		if (until) {
			memcpy(to, text, until);
			to += until;
			*to++ = '\n';
		}
		text += length + (text[length] == '\n');
	}
	return copy;
}

static void expect_same_text(const char *a, const char *b)
{
	_memory_ char *left = without_comments(a), *right = without_comments(b);

	assert_string_equal(left, right);
}

/* The machine is what was surveyed, it can be run, and is captured as the same text. Returns the text. */
static char *expect_round_trip(const struct pci_survey *survey)
{
	char *text = capture(survey), *again;
	struct description *description = parse(text);
	struct pci_survey *after = survey_of(description, survey->source);
	struct machine *machine = NULL;
	struct why why = WHY_INIT;

	expect_same_groups(survey, after);
	again = capture(after);
	expect_same_text(text, again);
	pci_survey_free(after);
	free(again);
	ASSERT_OK(why, machine_new(description, &machine, &why));
	machine_check(machine);
	machine_free(machine);
	return text;
}

static void expect_survives(struct pci_survey *survey)
{
	finish(survey);
	free(expect_round_trip(survey));
	pci_survey_free(survey);
}

/* ---- topologies of each kind ---- */

TEST(capture, ports_switches_and_bridges_come_back)
{
	struct pci_survey *survey = new_survey();

	add(survey, "00:00.0", CONVENTIONAL, 0);
	add_bridge(survey, "00:01.0", PCIE_ROOT_PORT, ALL, 1, 1);
	add(survey, "01:00.0", PCIE_ENDPOINT, 0);
	add_bridge(survey, "00:1c.0", PCIE_ROOT_PORT, 0, 2, 6);
	add_bridge(survey, "02:00.0", PCIE_UPSTREAM_PORT, 0, 3, 6);
	add_bridge(survey, "03:00.0", PCIE_DOWNSTREAM_PORT, ALL | PCI_ACS_DT, 4, 4);
	add_bridge(survey, "03:01.0", PCIE_DOWNSTREAM_PORT, PCI_ACS_SV, 5, 6);
	add(survey, "04:00.0", PCIE_ENDPOINT, ALL);
	add(survey, "04:00.1", PCIE_LEGACY_ENDPOINT, ALL);
	add(survey, "05:00.0", PCIE_ENDPOINT, 0);
	add_bridge(survey, "00:1d.0", PCIE_ROOT_PORT, ALL, 7, 9);
	add_bridge(survey, "07:00.0", PCIE_TO_PCI_BRIDGE, 0, 8, 9);
	add(survey, "08:01.0", CONVENTIONAL, 0);
	add_bridge(survey, "08:02.0", CONVENTIONAL, 0, 9, 9);
	add(survey, "09:0f.0", CONVENTIONAL, 0);
	add_bridge(survey, "00:1e.0", CONVENTIONAL, 0, 0x0a, 0x0c);
	add_bridge(survey, "0a:02.0", PCI_TO_PCIE_BRIDGE, 0, 0x0b, 0x0b);
	add(survey, "0b:00.0", PCIE_ENDPOINT, 0);
	add(survey, "00:1f.0", PCIE_RC_ENDPOINT, 0);
	add(survey, "00:1f.4", PCIE_RC_EVENT_COLLECTOR, 0);
	expect_survives(survey);
}

TEST(capture, bus_numbers_are_said_where_they_are_not_the_next)
{
	struct pci_survey *survey = new_survey();
	char *text;

	add_bridge(survey, "00:01.0", PCIE_ROOT_PORT, ALL, 0x40, 0x4f);
	add_bridge(survey, "40:00.0", PCIE_UPSTREAM_PORT, 0, 0x42, 0x44);
	add_bridge(survey, "42:00.0", PCIE_DOWNSTREAM_PORT, 0, 0x44, 0x44);
	add_bridge(survey, "42:01.0", PCIE_DOWNSTREAM_PORT, 0, 0x43, 0x43);
	add(survey, "44:00.0", PCIE_ENDPOINT, 0);
	add_bridge(survey, "00:02.0", PCIE_ROOT_PORT, ALL, 0x01, 0x01);
	add(survey, "01:00.0", PCIE_ENDPOINT, 0);
	add_bridge(survey, "00:03.0", PCIE_ROOT_PORT, ALL, 0, 0);
	finish(survey);
	text = expect_round_trip(survey);
	EXPECT_SUBSTR("    bus: \"40\"\n    last_bus: \"4f\"\n", text);
	EXPECT_SUBSTR("    bus: none\n", text);
	free(text);
	pci_survey_free(survey);
}

TEST(capture, other_roots_segments_and_vmd_come_back)
{
	struct pci_survey *survey = new_survey();
	struct pci_function *vmd;
	char *text;

	add_bridge(survey, "00:01.0", PCIE_ROOT_PORT, ALL, 1, 1);
	add(survey, "01:00.0", PCIE_ENDPOINT, 0);
	vmd = add(survey, "00:0e.0", PCIE_RC_ENDPOINT, 0);
	put_u16(vmd->config + PCI_VENDOR_ID, 0x8086);
	put_u16(vmd->config + PCI_DEVICE_ID, 0x9a0b);
	add(survey, "0000:80:05.0", PCIE_RC_ENDPOINT, 0);
	add_bridge(survey, "0000:80:06.0", PCIE_ROOT_PORT, ALL, 0x81, 0x8f);
	add(survey, "0000:81:00.0", PCIE_ENDPOINT, 0);
	add(survey, "0001:00:00.0", CONVENTIONAL, 0);
	add_bridge(survey, "10000:e0:06.0", PCIE_ROOT_PORT, 0, 0xe1, 0xe1);
	add(survey, "10000:e1:00.0", PCIE_ENDPOINT, 0);
	put_u16(last_facts(survey)->function->config + PCI_CLASS, 0x0108);
	last_facts(survey)->function->config[PCI_CLASS_PROG] = 2;
	finish(survey);
	text = expect_round_trip(survey);
	EXPECT_SUBSTR("  - segment: \"10000\"\n    bus: \"e0\"\n    vmd: \"0000:00:0e.0\"\n", text);
	EXPECT_SUBSTR("# assumed: segment 10000 is taken to be behind the VMD device 0000:00:0e.0", text);
	EXPECT_SUBSTR("model: nvme\n", text);
	free(text);
	pci_survey_free(survey);
}

static struct pci_survey *with_virtual_functions(void)
{
	const struct pci_sriov sriov = {
		.total = 64, .initial = 64, .enabled = 3, .offset = 0x80, .stride = 0x80, .device = 0x154c};
	struct pci_survey *survey = new_survey();
	struct pci_function *physical;

	add_bridge(survey, "00:01.0", PCIE_ROOT_PORT, ALL, 1, 3);
	physical = add(survey, "01:00.0", PCIE_ENDPOINT, 0);
	pci_add_sriov(physical, &sriov);
	add(survey, "01:00.1", PCIE_ENDPOINT, 0);
	add(survey, "01:10.0", PCIE_ENDPOINT, 0);
	add(survey, "02:00.0", PCIE_ENDPOINT, 0);
	put_u16(last_facts(survey)->function->config + PCI_DEVICE_ID, 0x154c);
	add(survey, "02:10.0", PCIE_ENDPOINT, 0);
	add(survey, "01:1f.7", PCIE_ENDPOINT, 0);
	last_facts(survey)->is_virtual = true; /* whose, nobody said */
	return survey;
}

TEST(capture, virtual_functions_stand_below_their_physical_one)
{
	struct pci_survey *survey = with_virtual_functions();
	char *text;

	finish(survey);
	text = expect_round_trip(survey);
	EXPECT_SUBSTR("sriov: {total: 64, enabled: 3, offset: 128, stride: 128, device: \"154c\"}\n", text);
	EXPECT_SUBSTR("        vfs:\n          - slot: \"10.0\"\n            id: ", text);
	EXPECT_SUBSTR("          - slot: \"02:00.0\"\n", text);
	EXPECT_SUBSTR("      - slot: \"1f.7\"\n        virtual: true\n        id: \"1af4:0007\"\n", text);
	free(text);
	pci_survey_free(survey);
}

TEST(capture, what_lies_beyond_a_missing_bridge_names_its_bus)
{
	struct pci_survey *survey = new_survey();

	add_bridge(survey, "00:01.0", PCIE_ROOT_PORT, ALL, 1, 5);
	add(survey, "01:00.0", PCIE_ENDPOINT, 0);
	add(survey, "03:00.0", PCIE_ENDPOINT, 0);
	add(survey, "03:00.2", PCIE_ENDPOINT, 0);
	add(survey, "07:0a.3", CONVENTIONAL, 0); /* a root bus, for all we know */
	pci_set_multifunction(last_facts(survey)->function);
	last_facts(survey)->function->multifunction = true;
	expect_survives(survey);
}

TEST(capture, units_and_functions_without_iommu_come_back)
{
	struct pci_survey *survey = new_survey();

	survey->says_groups = true;
	add(survey, "00:00.0", CONVENTIONAL, 0);
	put_u16(last_facts(survey)->function->config + PCI_VENDOR_ID, 0x8086);
	put_u16(last_facts(survey)->function->config + PCI_CLASS, 0x0600);
	add(survey, "00:02.0", PCIE_RC_ENDPOINT, 0);
	put_u16(last_facts(survey)->function->config + PCI_VENDOR_ID, 0x8086);
	put_u16(last_facts(survey)->function->config + PCI_CLASS, 0x0300);
	last_facts(survey)->host_group = 0;
	add_bridge(survey, "00:1c.0", PCIE_ROOT_PORT, 0, 1, 1);
	add(survey, "01:00.0", PCIE_ENDPOINT, 0);
	last_facts(survey)->host_group = 1;
	expect_survives(survey);
}

TEST(capture, a_machine_without_iommu_has_none)
{
	struct pci_survey *survey = new_survey();
	char *text;

	survey->says_groups = true;
	add(survey, "00:00.0", CONVENTIONAL, 0);
	finish(survey);
	text = expect_round_trip(survey);
	EXPECT_SUBSTR("\niommu: none\n", text);
	free(text);
	pci_survey_free(survey);

	survey = new_survey(); /* nor has one without devices */
	finish(survey);
	text = expect_round_trip(survey);
	EXPECT_SUBSTR("\ndevices: []\n", text);
	free(text);
	pci_survey_free(survey);
}

/* Header type and PCI Express type contradict each other; a reserved type is the only thing that is not kept. */
TEST(capture, contradictions_are_taken_as_found)
{
	struct pci_survey *survey = new_survey();

	add_bridge(survey, "00:01.0", PCIE_ENDPOINT, 0, 1, 1);
	add(survey, "01:05.3", PCIE_ROOT_PORT, 0);
	add_bridge(survey, "00:02.0", PCIE_RC_EVENT_COLLECTOR, ALL, 2, 1);
	add(survey, "02:00.0", PCIE_UPSTREAM_PORT, 0);
	add_bridge(survey, "00:03.0", PCIE_ROOT_PORT, ALL, 2, 2);
	add_bridge(survey, "02:04.0", PCIE_ROOT_PORT, ALL, 1, 1);
	expect_survives(survey);
}

TEST(capture, a_chain_of_256_buses_comes_back)
{
	struct pci_survey *survey = new_survey();
	char bdf[16];

	for (unsigned bus = 0; bus < 255; bus++) {
		snprintf(bdf, sizeof(bdf), "%02x:00.0", bus);
		add_bridge(survey, bdf, bus % 2 ? PCIE_UPSTREAM_PORT : PCIE_DOWNSTREAM_PORT, ALL, (u8)(bus + 1), 255);
	}
	add(survey, "ff:00.0", PCIE_ENDPOINT, 0);
	expect_survives(survey);
}

/* ---- machines of public reports ---- */

static struct pci_survey *read_report(const char *name)
{
	struct pci_survey *survey = NULL;
	struct why why = WHY_INIT;
	char path[512], *text = calloc(1, 1 << 20);
	size_t size;
	FILE *file;

	snprintf(path, sizeof(path), "%s/topologies/%s/lspci.txt", TESTS_DATA, name);
	file = fopen(path, "re");
	if (!file)
		fail_msg("cannot open %s", path);
	size = fread(text, 1, 1 << 20, file);
	fclose(file);
	ASSERT_OK(why, pci_read_lspci(text, size, name, NULL, &survey, &why));
	free(text);
	return survey;
}

TEST(capture, machines_of_public_reports_come_back)
{
	static const char *const names[] = {
		"amd-raven-5.9",
		"asus-pn51-renoir",
		"dell-xps13-ice-lake",
		"imac20-titan-ridge-pp",
		"intel-alder-lake-tb4",
		"intel-alder-lake-laptop-xxxx",
		"intel-comet-lake-u",
		"intel-sunrise-point-lp",
		"intel-coffee-lake-laptop",
		"amd-mt7921e-mail-mangled",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct pci_survey *survey = read_report(names[i]);

		assert_true(survey->count > 10);
		free(expect_round_trip(survey));
		pci_survey_free(survey);
	}
}

/* ---- registers ---- */

static struct pci_survey *with_registers(void)
{
	struct pci_survey *survey = new_survey();
	struct pci_function *function;

	add_bridge(survey, "00:01.0", PCIE_ROOT_PORT, ALL, 1, 1);
	function = add(survey, "01:00.0", PCIE_ENDPOINT, 0);
	pci_add_bar(function, 0, PCI_BAR_MEMORY32, 0x4000, false);
	pci_add_bar(function, 1, PCI_BAR_IO, 32, false);
	pci_add_bar(function, 2, PCI_BAR_MEMORY64, BIT(36), true);
	pci_add_bar(function, 4, PCI_BAR_MEMORY64, BIT(24), true);
	pci_add_bar(function, PCI_ROM, PCI_BAR_MEMORY32, 0x20000, false);
	pci_add_pm(function);
	pci_add_maskable_msi(function, 3, false);
	pci_add_msix(function, 65, 0, 0x1000, 4, 0x800);
	pci_add_dsn(function, 0x0123456789abcdef);
	pci_add_ari(function);
	pci_add_ats(function);
	pci_add_pri(function);
	pci_add_pasid(function, 20);
	pci_set_phantom(function, 2);
	pci_set_intx(function, 3, 11);
	function->config[PCI_REVISION] = 0xa1;
	put_u16(function->config + PCI_SUBSYSTEM_VENDOR, 0x1028);
	last_facts(survey)->driver = strdup("mlx5_core");
	last_facts(survey)->driver_said = true;
	return survey;
}

/* As a key of the device: what its ports lack does not matter to others. */
TEST(capture, prefixes_that_do_not_reach_the_root_are_told)
{
	struct pci_survey *survey = with_registers();
	char *text;

	finish(survey);
	text = expect_round_trip(survey);
	assert_null(strstr(text, "prefixes"));
	free(text);
	pci_survey_free(survey);
	survey = with_registers();
	pci_set_prefixes(survey->facts[0].function, false); /* the port's */
	finish(survey);
	text = expect_round_trip(survey);
	EXPECT_SUBSTR("pasid: 20\n        prefixes: false\n", text);
	free(text);
	pci_survey_free(survey);
}

TEST(capture, registers_and_capabilities_are_kept)
{
	struct pci_survey *survey = with_registers();
	char *text;

	finish(survey);
	text = expect_round_trip(survey);
	EXPECT_SUBSTR("# BAR 2 has 64G there; in a room it gets 1G\n", text);
	EXPECT_SUBSTR("bars: {0: 16K, 1: io 32, 2: {size: 1G, width: 64, prefetchable: true}, "
		      "4: {size: 16M, width: 64, prefetchable: true}}\n",
		      text);
	EXPECT_SUBSTR("rom: 128K\n", text);
	EXPECT_SUBSTR("intx: C\n", text);
	EXPECT_SUBSTR("msi: {vectors: 8, width: 32, masks: true}\n", text);
	EXPECT_SUBSTR("msix: {vectors: 65, bar: 0, offset: 0x1000, pending_bar: 4, pending: 0x800}\n", text);
	EXPECT_SUBSTR("dsn: \"0123456789abcdef\"\n", text);
	EXPECT_SUBSTR("ari: true\n", text);
	EXPECT_SUBSTR("ats: true\n", text);
	EXPECT_SUBSTR("pri: true\n", text);
	EXPECT_SUBSTR("pasid: 20\n", text);
	EXPECT_SUBSTR("phantom: 2\n", text);
	EXPECT_SUBSTR("aer: false\n", text);
	EXPECT_SUBSTR("revision: \"a1\"\n", text);
	EXPECT_SUBSTR("subsystem: \"1028:0000\"\n", text);
	EXPECT_SUBSTR("driver: mlx5_core\n", text);
	free(text);
	pci_survey_free(survey);
}

/* A room has 490 MiB below 4 GiB and 52 KiB of I/O space. */
TEST(capture, registers_are_cut_down_until_they_fit)
{
	struct pci_survey *survey = new_survey();
	struct pci_function *function;
	char bdf[16], *text;

	for (unsigned device = 0; device < 30; device++) {
		snprintf(bdf, sizeof(bdf), "00:%02x.0", device);
		add_bridge(survey, bdf, PCIE_ROOT_PORT, ALL, (u8)(device + 1), (u8)(device + 1));
		snprintf(bdf, sizeof(bdf), "%02x:00.0", device + 1);
		function = add(survey, bdf, PCIE_ENDPOINT, 0);
		pci_add_bar(function, 0, PCI_BAR_MEMORY32, BIT(28), false);
		pci_add_bar(function, 1, PCI_BAR_IO, 256, false);
		pci_add_bar(function, 5, PCI_BAR_MEMORY32, 3 * 4096 - 4096, false);
		pci_add_msix(function, 2048, 5, 0, 5, 0x1000);
	}
	finish(survey);
	text = expect_round_trip(survey);
	EXPECT_SUBSTR("# BAR 0 has 256M there; in a room it gets 1M\n", text);
	EXPECT_SUBSTR("# BAR 1 has 256 there; a room has no place for it\n", text);
	EXPECT_SUBSTR("msix: {vectors: 2048, bar: 0}\n", text);
	free(text);
	pci_survey_free(survey);
}

/* Each window takes a mebibyte, so hundreds of buses with registers cannot be; without registers they can. */
TEST(capture, in_the_end_there_are_no_registers)
{
	struct pci_survey *survey = new_survey();
	char bdf[24], *text;

	for (unsigned segment = 0; segment < 32; segment++)
		for (unsigned device = 0; device < 20; device++) {
			snprintf(bdf, sizeof(bdf), "%04x:00:%02x.0", segment, device);
			add_bridge(survey, bdf, PCIE_ROOT_PORT, ALL, (u8)(device + 1), (u8)(device + 1));
			snprintf(bdf, sizeof(bdf), "%04x:%02x:00.0", segment, device + 1);
			add(survey, bdf, PCIE_ENDPOINT, 0);
			pci_add_bar(last_facts(survey)->function, 0, PCI_BAR_MEMORY32, 4096, false);
			put_u32(last_facts(survey)->function->config + PCI_REVISION, 0x01080200);
		}
	finish(survey);
	text = expect_round_trip(survey);
	EXPECT_SUBSTR("# BAR 0 has 4K there; a room has no place for it\n", text);
	assert_null(strstr(text, "model: nvme"));
	free(text);
	pci_survey_free(survey);
}

TEST(capture, message_tables_without_a_bar_are_left_out)
{
	struct pci_survey *survey = new_survey();
	char *text;

	add(survey, "00:02.0", PCIE_RC_ENDPOINT, 0);
	pci_add_msix(last_facts(survey)->function, 16, 3, 0, 3, 0x100);
	finish(survey);
	text = expect_round_trip(survey);
	EXPECT_SUBSTR("# MSI-X of 16 vectors is left out: no BAR is known that holds its table\n", text);
	free(text);
	pci_survey_free(survey);
}

/* ---- regions ---- */

static void add_region(struct pci_survey *survey, u64 start, u64 last, const char *kind, int group)
{
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_survey_region(survey, start, last, kind, group, "test", &why));
}

static struct pci_survey *with_groups(unsigned count)
{
	struct pci_survey *survey = new_survey();
	char bdf[16];

	survey->says_groups = true;
	for (unsigned i = 0; i < count; i++) {
		snprintf(bdf, sizeof(bdf), "00:%02x.0", i);
		add(survey, bdf, PCIE_RC_ENDPOINT, 0);
		last_facts(survey)->host_group = 10 + (int)i;
	}
	return survey;
}

TEST(capture, regions_of_every_group_are_the_units_others_a_devices)
{
	struct pci_survey *survey = with_groups(2);
	struct description *description;
	char *text;

	add_region(survey, 0xfee00000, 0xfeefffff, "msi", 11);
	add_region(survey, 0xfee00000, 0xfeefffff, "msi", 10);
	add_region(survey, 0x7b000000, 0x7b7fffff, "direct-relaxable", 11);
	add_region(survey, 0x6b000000, 0x6b7fffff, "direct", 11);
	add_region(survey, 0xfd00000000, 0xffffffffff, "reserved", PCI_GROUP_UNSAID);
	add_region(survey, 9, 8, "direct", 10);
	add_region(survey, 0x1000, 0x1fff, "direct", 99);
	finish(survey);
	text = capture(survey);
	EXPECT_SUBSTR("  regions:\n"
		      "    - {start: 0xfee00000, last: 0xfeefffff, kind: msi}\n"
		      "    - {start: 0xfd00000000, last: 0xffffffffff, kind: reserved}\n",
		      text);
	EXPECT_SUBSTR("  - slot: \"01.0\"\n    id: \"1af4:0002\"\n    regions:\n"
		      "      - {start: 0x6b000000, last: 0x6b7fffff, kind: direct}\n"
		      "      - {start: 0x7b000000, last: 0x7b7fffff, kind: direct-relaxable}\n",
		      text);
	assert_null(strstr(text, "0x1fff"));
	description = parse(text);
	assert_int_equal(description->iommu.nregions, 2);
	assert_int_equal(description->nregions, 2);
	description_free(description);
	free(text);
	pci_survey_free(survey);
}

TEST(capture, the_usual_regions_go_without_saying_and_too_many_are_cut)
{
	struct pci_survey *survey = with_groups(1);
	char *text;

	add_region(survey, 0xfee00000, 0xfeefffff, "msi", 10);
	finish(survey);
	text = capture(survey);
	assert_null(strstr(text, "regions"));
	free(text);
	pci_survey_free(survey);

	survey = with_groups(2);
	for (unsigned i = 1; i <= 100; i++)
		add_region(survey, i << 20, (i << 20) + 0xfff, "direct", 10);
	for (unsigned i = 1; i <= 10; i++)
		add_region(survey, i << 12, (i << 12) + 0xff, "odd kind", PCI_GROUP_UNSAID);
	finish(survey);
	text = expect_round_trip(survey);
	EXPECT_SUBSTR("# it has more reserved regions than a machine file can say\n", text);
	EXPECT_SUBSTR(", kind: reserved}", text);
	free(text);
	pci_survey_free(survey);

	survey = with_groups(2);
	add_region(survey, 0x1000, 0x1fff, "reserved", 10);
	finish(survey);
	text = capture(survey);
	EXPECT_SUBSTR("  regions: []\n", text);
	free(text);
	pci_survey_free(survey);
}

/* ---- words from outside ---- */

TEST(capture, hostile_words_stay_comments)
{
	static const char *const drivers[] = {"a: b",
					      "evil\n  - slot",
					      "\"",
					      "{",
					      "none",
					      "-",
					      "",
					      "nvme\xe2\x80\xa8x",
					      "a_driver_with_a_name_that_is_longer_than_any_driver_of_linux"};
	struct pci_survey *survey = new_survey();
	struct why why = WHY_INIT;
	char bdf[16], *text;

	for (unsigned i = 0; i < ARRAY_SIZE(drivers); i++) {
		snprintf(bdf, sizeof(bdf), "00:%02x.0", i);
		add(survey, bdf, PCIE_RC_ENDPOINT, 0);
		last_facts(survey)->driver = strdup(drivers[i]);
		last_facts(survey)->name = strdup("x\ndevices: [\xe2\x80\xa8name: y\x7f\xff % %s \"");
	}
	free(survey->source);
	survey->source = strdup("/tmp/a b/.\n- \xc2\x85 %n.txt");
	ASSERT_OK(why, pci_survey_remark(survey, REMARK_WARNING, 0, NULL, &why, "odd\nname: z\r %s", "%d"));
	finish(survey);
	text = expect_round_trip(survey);
	EXPECT_SUBSTR("# odd: odd?name: z? %d\n", text);
	EXPECT_SUBSTR("\nname: __-_____n\n", text);
	EXPECT_SUBSTR("# driver \"a: b\" is left out: that is no name for one\n", text);
	EXPECT_SUBSTR("    driver: \"-\"\n", text);
	free(text);
	pci_survey_free(survey);
}

TEST(capture, drivers_that_would_not_bind_are_left_out)
{
	struct pci_survey *survey = new_survey();
	char *text;

	survey->says_groups = true;
	add(survey, "00:02.0", PCIE_RC_ENDPOINT, 0);
	last_facts(survey)->driver = strdup("vfio-pci");
	add(survey, "00:03.0", CONVENTIONAL, 0);
	last_facts(survey)->driver = strdup("pcieport");
	add(survey, "00:04.0", PCIE_RC_ENDPOINT, 0);
	put_u32(last_facts(survey)->function->config + PCI_REVISION, 0x01080200);
	last_facts(survey)->driver_said = true;
	last_facts(survey)->host_group = 0;
	add(survey, "00:05.0", PCIE_RC_ENDPOINT, 0);
	last_facts(survey)->driver = strdup("vfio-pci");
	last_facts(survey)->host_group = 1;
	finish(survey);
	text = expect_round_trip(survey);
	EXPECT_SUBSTR("# driver \"vfio-pci\" is left out: it has no group", text);
	EXPECT_SUBSTR("# driver \"pcieport\" is left out: it is no PCI Express port", text);
	EXPECT_SUBSTR("    model: nvme\n    driver: none\n", text);
	EXPECT_SUBSTR("    driver: vfio-pci\n", text);
	free(text);
	pci_survey_free(survey);
}

/* ---- limits, and failures ---- */

TEST(capture, more_than_a_file_can_say_is_refused)
{
	struct pci_survey *survey = new_survey();
	struct why why = WHY_INIT;
	char *text = NULL;

	survey->count = MACHINE_FUNCTIONS + 1;
	EXPECT_REFUSED(CAPTURE_TOO_LARGE, why, capture_text(survey, &text, &why));
	EXPECT_SUBSTR("some dump.txt has 65537 functions", why.text);
	survey->count = 0;
	pci_survey_free(survey);
	assert_null(text);
}

TEST(capture, machines_built_in_are_captured_as_they_are)
{
	const char *name;

	for (unsigned i = 0; (name = description_builtin_name(i)); i++) {
		struct description *description = NULL;
		struct pci_survey *survey;
		struct why why = WHY_INIT;

		ASSERT_OK(why, description_load(name, &description, &why));
		survey = survey_of(description, name);
		free(expect_round_trip(survey));
		pci_survey_free(survey);
		description_free(description);
	}
}

static struct pci_survey *to_capture;
static char *to_survey;

static int capture_it(struct why *why)
{
	char *text = NULL;
	int err = capture_text(to_capture, &text, why);

	assert_int_equal(text == NULL, err < 0);
	free(text);
	return err;
}

static int survey_it(struct why *why)
{
	struct description *description = NULL;
	struct pci_survey *survey = NULL;
	int err = description_parse(to_survey, strlen(to_survey), "captured.yaml", &description, why);

	if (err == 0)
		err = description_survey(description, "captured.yaml", &survey, why);
	pci_survey_free(survey);
	description_free(description);
	return err;
}

TEST(capture, failures_leave_nothing_behind)
{
	to_capture = with_virtual_functions();
	finish(to_capture);
	add_region(to_capture, 0xfee00000, 0xfeefffff, "msi", PCI_GROUP_UNSAID);
	SWEEP_FAILURES(capture_it);
	pci_survey_free(to_capture);

	to_capture = with_groups(3);
	finish(to_capture);
	last_facts(to_capture)->driver = strdup("i915");
	add_region(to_capture, 0x6b000000, 0x6b7fffff, "direct", 11);
	to_survey = capture(to_capture);
	SWEEP_FAILURES(survey_it);
	free(to_survey);
	pci_survey_free(to_capture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(capture, ports_switches_and_bridges_come_back),
		CASE(capture, bus_numbers_are_said_where_they_are_not_the_next),
		CASE(capture, other_roots_segments_and_vmd_come_back),
		CASE(capture, virtual_functions_stand_below_their_physical_one),
		CASE(capture, what_lies_beyond_a_missing_bridge_names_its_bus),
		CASE(capture, units_and_functions_without_iommu_come_back),
		CASE(capture, a_machine_without_iommu_has_none),
		CASE(capture, contradictions_are_taken_as_found),
		CASE(capture, a_chain_of_256_buses_comes_back),
		CASE(capture, machines_of_public_reports_come_back),
		CASE(capture, prefixes_that_do_not_reach_the_root_are_told),
		CASE(capture, registers_and_capabilities_are_kept),
		CASE(capture, registers_are_cut_down_until_they_fit),
		CASE(capture, in_the_end_there_are_no_registers),
		CASE(capture, message_tables_without_a_bar_are_left_out),
		CASE(capture, regions_of_every_group_are_the_units_others_a_devices),
		CASE(capture, the_usual_regions_go_without_saying_and_too_many_are_cut),
		CASE(capture, hostile_words_stay_comments),
		CASE(capture, drivers_that_would_not_bind_are_left_out),
		CASE(capture, more_than_a_file_can_say_is_refused),
		CASE(capture, machines_built_in_are_captured_as_they_are),
		CASE(capture, failures_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
