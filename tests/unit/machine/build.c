/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include "machine/description.h"
#include "tests/fixtures/topology_check.h"

/* A machine from the text of its file; the description only lives as long as the build. */
static void build(const char *text, struct pci_topology *topology)
{
	_free_(description) struct description *description = NULL;
	struct why why = WHY_INIT;

	ASSERT_OK(why, description_parse(text, strlen(text), "test.yaml", &description, &why));
	ASSERT_OK(why, topology_build(description, topology, &why));
	topology_check_tree(topology);
	topology_check_addresses(topology);
}

static struct pci_function *at(const struct pci_topology *topology, const char *bdf)
{
	struct pci_function *function;
	struct pci_addr addr;

	assert_true(pci_addr_parse(bdf, &addr));
	function = pci_topology_find(topology, addr);
	assert_non_null(function);
	return function;
}

static u32 config(const struct pci_topology *topology, const char *bdf, unsigned offset, unsigned width)
{
	return pci_config_read(at(topology, bdf), (u16)offset, width);
}

TEST(build, machines_built_in_keep_what_every_machine_promises)
{
	const char *name;

	for (unsigned i = 0; (name = description_builtin_name(i)); i++) {
		_free_(description) struct description *description = NULL;
		struct pci_grouping *grouping = NULL;
		struct pci_topology topology;
		struct why why = WHY_INIT;

		ASSERT_OK(why, description_load(name, &description, &why));
		assert_string_equal(description->name, name);
		ASSERT_OK(why, topology_build(description, &topology, &why));
		topology_check_tree(&topology);
		topology_check_addresses(&topology);
		ASSERT_OK(why, pci_grouping_compute(&topology, NULL, &grouping, &why));
		topology_check_groups(&topology, grouping);
		pci_grouping_free(grouping);
		pci_topology_fini(&topology);
	}
}

TEST(build, header_says_what_the_file_says)
{
	struct pci_topology topology;

	build("devices:\n"
	      "  - {slot: \"02.0\", id: \"8086:3e92\", subsystem: \"1028:0869\", class: \"030000\", revision: \"1f\"}\n"
	      "  - {slot: \"03.0\", role: conventional, id: \"1234:0001\", intx: C}\n",
	      &topology);
	assert_int_equal(config(&topology, "00:02.0", PCI_VENDOR_ID, 4), 0x3e928086);
	assert_int_equal(config(&topology, "00:02.0", PCI_REVISION, 4), 0x0300001f);
	assert_int_equal(config(&topology, "00:02.0", PCI_SUBSYSTEM_VENDOR, 4), 0x08691028);
	assert_int_equal(config(&topology, "00:02.0", PCI_INTERRUPT_LINE, 2), 0);
	/* INTC of device 3 comes to line 3 + 2 of eight. */
	assert_int_equal(config(&topology, "00:03.0", PCI_INTERRUPT_LINE, 2), 3 << 8 | 21);
	assert_int_equal(config(&topology, "00:02.0", PCI_HEADER_TYPE, 1), 0);
	pci_topology_fini(&topology);
}

TEST(build, capabilities_follow_the_keys)
{
	struct pci_function *function;
	struct pci_topology topology;

	build("devices:\n"
	      "  - {slot: \"01.0\", id: \"8086:0001\", flr: true}\n"
	      "  - {slot: \"02.0\", role: conventional, id: \"8086:0002\", pm: false, flr: true, msi: 8}\n"
	      "  - {slot: \"03.0\", role: conventional, id: \"8086:0003\", pm: false}\n"
	      "  - {slot: \"04.0\", role: root-port, id: \"8086:0004\", subsystem: \"17aa:0005\",\n"
	      "     acs: {capable: [sv, rr, cr, uf], enabled: [rr, tb]}}\n",
	      &topology);
	function = at(&topology, "00:01.0");
	assert_int_equal(pcie_type(function), PCIE_RC_ENDPOINT);
	assert_true(pci_find_cap(function, PCI_CAP_PM));
	assert_true(config(&topology, "00:01.0", function->cap_pcie + 4u, 4) & 0x10000000);
	assert_int_equal(pci_find_cap(function, PCI_CAP_AF), 0);

	/* What is not PCI Express is reset through Advanced Features. */
	function = at(&topology, "00:02.0");
	assert_false(pci_is_pcie(function));
	assert_int_equal(function->config_size, 256);
	assert_int_equal(pci_find_cap(function, PCI_CAP_AF), function->cap_af);
	assert_int_equal(config(&topology, "00:02.0", function->cap_af + 3u, 1), 0x03);
	assert_int_equal(config(&topology, "00:02.0", function->cap_msi + 2u, 2) >> 1 & 7, 3);
	assert_int_equal(pci_find_cap(function, PCI_CAP_PM), 0);

	assert_int_equal(config(&topology, "00:03.0", PCI_CAP_POINTER, 1), 0);
	assert_int_equal(config(&topology, "00:03.0", PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, 0);

	function = at(&topology, "00:04.0");
	assert_int_equal(pcie_type(function), PCIE_ROOT_PORT);
	assert_int_equal(config(&topology, "00:04.0", PCI_REVISION, 4) >> 8, 0x060400);
	assert_int_equal(config(&topology, "00:04.0", pci_find_cap(function, PCI_CAP_SUBSYSTEM) + 4u, 4), 0x000517aa);
	assert_true(function->cap_aer);
	assert_int_equal(config(&topology, "00:04.0", function->cap_acs + 4u, 2), PCI_ACS_ISOLATION);
	/* What it cannot do, it does not do. */
	assert_int_equal(config(&topology, "00:04.0", function->cap_acs + 6u, 2), PCI_ACS_RR);
	pci_topology_fini(&topology);
}

TEST(build, extended_capabilities_follow_the_keys)
{
	struct pci_function *function;
	struct pci_topology topology;
	u16 vendor, device;

	build("devices:\n"
	      "  - {slot: \"01.0\", id: \"8086:0001\", aer: true, ari: true, ats: true, pri: true, pasid: 17,\n"
	      "     dsn: \"00aabbccddeeff11\", phantom: 2, msi: {vectors: 2, width: 32, masks: true},\n"
	      "     sriov: {total: 8, enabled: 1, offset: 8, stride: 2, device: \"0123\"}, vfs: [{}]}\n"
	      "  - {slot: \"05.0\", id: \"8086:0001\", multifunction: true}\n",
	      &topology);
	function = at(&topology, "00:01.0");
	assert_true(function->cap_aer && function->cap_ari && function->cap_ats && function->cap_pri);
	assert_int_equal(config(&topology, "00:01.0", function->cap_pasid + 4u, 2) >> 8, 17);
	assert_int_equal(config(&topology, "00:01.0", pci_find_ext_cap(function, PCI_EXT_DSN) + 8u, 4), 0x00aabbcc);
	assert_int_equal(config(&topology, "00:01.0", function->cap_pcie + 4u, 4) >> 3 & 3, 2);
	assert_int_equal(config(&topology, "00:01.0", function->cap_msi + 2u, 2), 0x102);
	assert_int_equal(config(&topology, "00:01.0", function->cap_sriov + 0x10u, 2), 1);
	assert_ptr_equal(at(&topology, "00:02.0")->physical, function);
	/* A virtual function has its ids from the physical one. */
	assert_int_equal(config(&topology, "00:02.0", PCI_VENDOR_ID, 4), 0xffffffff);
	pci_known_ids(at(&topology, "00:02.0"), &vendor, &device);
	assert_int_equal(vendor, 0x8086);
	assert_int_equal(device, 0x0123);
	assert_true(at(&topology, "00:05.0")->multifunction);
	pci_topology_fini(&topology);
}

TEST(build, message_table_lies_at_the_start_of_its_bar)
{
	struct pci_function *function;
	struct pci_topology topology;

	build("devices:\n"
	      "  - {slot: \"02.0\", id: \"8086:0001\", bars: {0: 4K, 4: {size: 8K, width: 64}},\n"
	      "     msix: {vectors: 65, bar: 4}}\n",
	      &topology);
	function = at(&topology, "00:02.0");
	assert_int_equal(config(&topology, "00:02.0", function->cap_msix + 2u, 2), 64);
	assert_int_equal(config(&topology, "00:02.0", function->cap_msix + 4u, 4), 4);
	/* Pending bits are right behind 65 entries of 16 bytes. */
	assert_int_equal(config(&topology, "00:02.0", function->cap_msix + 8u, 4), 65 * 16 | 4);
	assert_non_null(function->bars[4].memory);
	pci_topology_fini(&topology);
}

TEST(build, windows_hold_what_is_below_and_are_shut_without)
{
	struct pci_topology topology;

	build("devices:\n"
	      "  - slot: \"01.0\"\n"
	      "    role: root-port\n"
	      "    id: \"8086:0001\"\n"
	      "    devices:\n"
	      "      - slot: \"00.0\"\n"
	      "        id: \"8086:0002\"\n"
	      "        rom: 64K\n"
	      "        bars: {0: 4K, 1: io 32, 2: {size: 1G, width: 64, prefetchable: true},\n"
	      "               4: {size: 64M, width: 64}}\n"
	      "  - {slot: \"02.0\", role: root-port, id: \"8086:0003\"}\n"
	      "  - {slot: \"03.0\", id: \"8086:0004\", bars: {0: 2M, 1: io 4, 2: {size: 128M, width: 64}}}\n",
	      &topology);
	assert_int_equal(config(&topology, "00:01.0", 0x1c, 2), 0x3030);
	assert_int_equal(config(&topology, "00:01.0", 0x20, 4), 0xe800e000);
	assert_int_equal(config(&topology, "00:01.0", 0x24, 4), 0x3ff10001);
	assert_int_equal(config(&topology, "00:01.0", 0x28, 4), 0x40);
	assert_int_equal(config(&topology, "00:01.0", 0x2c, 4), 0x40);
	assert_int_equal(at(&topology, "01:00.0")->bars[2].address, 0x4000000000);
	/* A bridge forwards above 4 GiB what is prefetchable only. */
	assert_int_equal(at(&topology, "01:00.0")->bars[4].address, 0xe4000000);
	assert_int_equal(at(&topology, "01:00.0")->bars[PCI_ROM].address, 0xe8000000);
	/* Nothing below: each base is above its limit. */
	assert_int_equal(config(&topology, "00:02.0", 0x1c, 2), 0x00f0);
	assert_int_equal(config(&topology, "00:02.0", 0x20, 4), 0x0000fff0);
	assert_int_equal(config(&topology, "00:02.0", 0x24, 4), 0x0001fff1);
	/* No bridge above, so what is large and not prefetchable may still go above 4 GiB. */
	assert_int_equal(at(&topology, "00:03.0")->bars[2].address, 0x4040000000);
	pci_topology_fini(&topology);
}

TEST(build, windows_of_a_switch_hold_those_of_its_ports)
{
	struct pci_topology topology;

	build("devices:\n"
	      "  - slot: \"01.0\"\n"
	      "    role: root-port\n"
	      "    id: \"8086:0001\"\n"
	      "    devices:\n"
	      "      - slot: \"00.0\"\n"
	      "        role: upstream-port\n"
	      "        id: \"8086:0002\"\n"
	      "        devices:\n"
	      "          - {slot: \"00.0\", id: \"8086:0003\", devices: [\n"
	      "              {slot: \"00.0\", id: \"8086:0004\", bars: {0: 1M, 1: io 256}}]}\n"
	      "          - {slot: \"01.0\", id: \"8086:0003\", devices: [\n"
	      "              {slot: \"00.0\", id: \"8086:0004\", bars: {0: 4M}},\n"
	      "              {slot: \"00.1\", id: \"8086:0004\", bars: {1: io 16}}]}\n",
	      &topology);
	assert_int_equal(config(&topology, "01:00.0", 0x18, 4) & 0xffffff, 0x040201);
	assert_int_equal(config(&topology, "01:00.0", 0x1c, 2), 0x4030);
	assert_int_equal(config(&topology, "02:00.0", 0x1c, 2), 0x3030);
	assert_int_equal(config(&topology, "02:01.0", 0x1c, 2), 0x4040);
	assert_int_equal(config(&topology, "01:00.0", 0x20, 4), 0xe070e000);
	assert_int_equal(config(&topology, "02:00.0", 0x20, 4), 0xe000e000);
	/* 4 MiB are aligned to 4 MiB: the window starts where the last one stopped. */
	assert_int_equal(config(&topology, "02:01.0", 0x20, 4), 0xe070e010);
	assert_true(at(&topology, "04:00.1")->multifunction);
	assert_false(at(&topology, "02:00.0")->multifunction);
	pci_topology_fini(&topology);
}

TEST(build, decoding_is_on_and_only_bridges_are_masters)
{
	struct pci_topology topology;

	build("devices:\n"
	      "  - {slot: \"01.0\", role: root-port, id: \"8086:0001\"}\n"
	      "  - {slot: \"02.0\", id: \"8086:0002\", bars: {0: io 4}}\n"
	      "  - {slot: \"03.0\", id: \"8086:0003\", bars: {0: 4K}}\n"
	      "  - {slot: \"04.0\", id: \"8086:0004\", rom: 4K}\n",
	      &topology);
	assert_int_equal(config(&topology, "00:01.0", PCI_COMMAND, 2), 7);
	assert_int_equal(config(&topology, "00:02.0", PCI_COMMAND, 2), PCI_COMMAND_IO);
	assert_int_equal(config(&topology, "00:03.0", PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	assert_int_equal(config(&topology, "00:04.0", PCI_COMMAND, 2), 0);
	pci_topology_fini(&topology);
}

TEST(build, model_brings_its_own_registers)
{
	struct pci_function *function;
	struct pci_topology topology;

	build("devices:\n"
	      "  - {slot: \"01.0\", role: root-port, id: \"8086:0001\", devices: [{slot: \"00.0\", model: nvme, flr: "
	      "true}]}\n",
	      &topology);
	function = at(&topology, "01:00.0");
	assert_int_equal(config(&topology, "01:00.0", PCI_REVISION, 4) >> 8, 0x010802);
	assert_int_equal(function->bars[0].kind, PCI_BAR_MEMORY64);
	assert_non_null(function->bars[0].memory);
	assert_true(function->cap_msix && function->cap_pcie);
	assert_true(config(&topology, "01:00.0", function->cap_pcie + 4u, 4) & 0x10000000);
	pci_topology_fini(&topology);
}

TEST(build, functions_away_from_the_unit_are_marked)
{
	static const char devices[] = "devices:\n"
				      "  - {slot: \"01.0\", id: \"8086:0001\", iommu: false}\n"
				      "  - {slot: \"02.0\", id: \"8086:0002\"}\n";
	char text[sizeof(devices) + 32];
	struct pci_topology topology;

	sprintf(text, "iommu: {width: 39}\n%s", devices);
	build(text, &topology);
	assert_true(at(&topology, "00:01.0")->untranslated);
	assert_false(at(&topology, "00:02.0")->untranslated);
	pci_topology_fini(&topology);
	sprintf(text, "iommu: none\n%s", devices);
	build(text, &topology);
	assert_true(at(&topology, "00:02.0")->untranslated);
	pci_topology_fini(&topology);
}

static void expect_misplaced(const char *bridge, const char *below, const char *words)
{
	struct description *description = NULL;
	struct why why = WHY_INIT;
	char text[512];

	snprintf(text, sizeof(text),
		 "devices:\n"
		 "  - {slot: \"01.0\", role: conventional-bridge, id: \"8086:0001\", %s, devices: [\n"
		 "      {slot: \"00.0\", id: \"8086:0002\", %s}]}\n",
		 bridge, below);
	EXPECT_REFUSED(MACHINE_FILE, why, description_parse(text, strlen(text), "test.yaml", &description, &why));
	EXPECT_SUBSTR("test.yaml:3:46", why.text);
	EXPECT_SUBSTR(words, why.text);
}

/* Otherwise functions with one id could be in two groups, or in a group and in none. */
TEST(build, bridge_and_what_is_below_are_on_one_side_of_the_unit)
{
	struct pci_topology topology;

	expect_misplaced("iommu: false", "iommu: true", "above is not behind the IOMMU");
	expect_misplaced("iommu: true", "iommu: false", "makes requests for all below it");
	build("iommu: {width: 48}\n"
	      "devices:\n"
	      "  - {slot: \"01.0\", role: root-port, id: \"8086:0001\", iommu: false, devices: [\n"
	      "      {slot: \"00.0\", id: \"8086:0002\"}]}\n"
	      "  - {slot: \"02.0\", role: root-port, id: \"8086:0001\", devices: [\n"
	      "      {slot: \"00.0\", id: \"8086:0002\", iommu: false}]}\n",
	      &topology);
	assert_true(at(&topology, "01:00.0")->untranslated);
	assert_false(at(&topology, "00:02.0")->untranslated);
	assert_true(at(&topology, "02:00.0")->untranslated);
	pci_topology_fini(&topology);
}

static void expect_no_space(const char *bars, const char *culprit)
{
	_free_(description) struct description *description = NULL;
	struct pci_topology topology;
	struct why why = WHY_INIT;
	char text[1024];

	snprintf(text, sizeof(text),
		 "devices:\n"
		 "  - {slot: \"01.0\", id: \"8086:0001\", bars: {%s}}\n"
		 "  - {slot: \"02.0\", id: \"8086:0001\", bars: {%s}}\n",
		 bars, bars);
	ASSERT_OK(why, description_parse(text, strlen(text), "test.yaml", &description, &why));
	EXPECT_REFUSED(BAR_SPACE, why, topology_build(description, &topology, &why));
	EXPECT_SUBSTR(culprit, why.text);
	assert_true(list_empty(&topology.functions));
	assert_int_equal(topology.count, 0);
}

TEST(build, space_for_bars_ends)
{
	/* 491 MiB are below the IOAPIC. */
	expect_no_space("0: 256M", "BAR 0 of 0000:00:02.0, 268435456 bytes");
	expect_no_space("0: {size: 32M, width: 64}, 2: 128M, 3: 128M", "BAR 2 of 0000:00:02.0");
}

static int build_a_tree(struct why *why)
{
	static const char text[] =
		"devices:\n"
		"  - {slot: \"01.0\", role: root-port, id: \"8086:0001\", devices: [{slot: \"00.0\", model: nvme}]}\n"
		"  - {slot: \"02.0\", id: \"8086:0002\", bars: {0: 4K, 1: {size: 8K, width: 64}, 5: io 4}}\n";
	_free_(description) struct description *description = NULL;
	struct pci_topology topology;
	int err = description_parse(text, sizeof(text) - 1, "test.yaml", &description, why);

	if (err < 0) {
		assert_null(description);
		return err;
	}
	err = topology_build(description, &topology, why);
	if (err < 0)
		assert_true(list_empty(&topology.functions));
	pci_topology_fini(&topology);
	return err;
}

TEST(build, failures_leave_nothing_behind)
{
	SWEEP_FAILURES(build_a_tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(build, machines_built_in_keep_what_every_machine_promises),
		CASE(build, header_says_what_the_file_says),
		CASE(build, capabilities_follow_the_keys),
		CASE(build, extended_capabilities_follow_the_keys),
		CASE(build, message_table_lies_at_the_start_of_its_bar),
		CASE(build, windows_hold_what_is_below_and_are_shut_without),
		CASE(build, windows_of_a_switch_hold_those_of_its_ports),
		CASE(build, decoding_is_on_and_only_bridges_are_masters),
		CASE(build, model_brings_its_own_registers),
		CASE(build, functions_away_from_the_unit_are_marked),
		CASE(build, bridge_and_what_is_below_are_on_one_side_of_the_unit),
		CASE(build, space_for_bars_ends),
		CASE(build, failures_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
