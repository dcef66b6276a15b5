/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include "machine/description.h"
#include "pci/topology.h"

#define DEVICES "devices:\n"
#define PORT                                                                                                           \
	DEVICES "  - slot: \"01.0\"\n"                                                                                 \
		"    role: root-port\n"                                                                                \
		"    id: \"8086:1901\"\n"                                                                              \
		"    devices:\n"

static struct description *parse(const char *text)
{
	struct description *description = NULL;
	struct why why = WHY_INIT;

	ASSERT_OK(why, description_parse(text, strlen(text), "test.yaml", &description, &why));
	return description;
}

static void expect_refused(const char *text, const char *place, const char *words)
{
	struct description *description = NULL;
	struct why why = WHY_INIT;

	EXPECT_REFUSED(MACHINE_FILE, why, description_parse(text, strlen(text), "test.yaml", &description, &why));
	EXPECT_SUBSTR(place, why.text);
	EXPECT_SUBSTR(words, why.text);
	assert_null(description);
}

TEST(description, errors_name_line_column_and_what_was_meant)
{
	expect_refused("name: [", "test.yaml:", "");
	expect_refused("", "test.yaml:1:1", "a machine");
	expect_refused(DEVICES "\t- {slot: \"00.0\", id: \"8086:10d3\"}\n", "test.yaml:2:1", "a tab");
	expect_refused("name: @x\n", "test.yaml:1:7", "cannot start any token");
	expect_refused("name: x\n", "test.yaml:1:1", "needs devices");
	expect_refused("nmae: x\n", "test.yaml:1:1", "did you mean \"name\"?");
	expect_refused("name: a\nname: b\n", "test.yaml:2:1", "second time");
	expect_refused(PORT "      - {slot: \"00.0\", id: \"8086:10d3\", rolle: x}\n", "test.yaml:6:", "\"role\"");
	expect_refused(DEVICES "  - {id: \"8086:10d3\"}\n", "test.yaml:2:5", "needs a slot");
	expect_refused(DEVICES "  - {slot: \"00.0\"}\n", "test.yaml:2:5", "needs an id");
	expect_refused(DEVICES "  - {slot: \"20.0\"}\n", "test.yaml:2:12", "no slot");
	expect_refused(DEVICES "  - {slot: \"00.0\", id: 8086}\n", "test.yaml:2:24", "no id");
	expect_refused(DEVICES "  - {slot: \"00.0\", role: switch}\n", "test.yaml:2:26", "no role");
	expect_refused(DEVICES "  - {slot: \"00.0\", model: nvmee}\n", "test.yaml:2:27", "nvmee");
	expect_refused(DEVICES "  - {slot: \"00.0\", intx: E}\n", "test.yaml:2:26", "A, B, C or D");
	expect_refused(DEVICES "  - {slot: \"00.0\", msi: 3}\n", "test.yaml:2:25", "1, 2, 4");
	expect_refused(DEVICES "  - {slot: \"00.0\", bars: {0: 100}}\n", "test.yaml:2:30", "power of two");
	expect_refused(DEVICES "  - {slot: \"00.0\", bars: {9: 4K}}\n", "test.yaml:2:27", "number up to 5");
	expect_refused(DEVICES "  - {slot: \"00.0\", acs: [sv, zz]}\n", "test.yaml:2:30", "ACS bit");
	expect_refused(DEVICES "  - {slot: \"00.0\", flr: maybe}\n", "test.yaml:2:25", "true nor false");
	expect_refused("options: {strict: true}\ndevices: []\n", "test.yaml:1:11", "strict");
	expect_refused("options: {process_pasid: 0x100000}\ndevices: []\n", "test.yaml:1:26", "1048575");
	expect_refused("options: {interrupt_vectors: many}\ndevices: []\n", "test.yaml:1:30", "4294967295");
	expect_refused("options: {interrupt_vectors: -1}\ndevices: []\n", "test.yaml:1:30", "4294967295");
	expect_refused("options: {interrupt_vectors: 0x100000000}\ndevices: []\n", "test.yaml:1:30", "4294967295");
	expect_refused("options: {interrupt_vectors: [3]}\ndevices: []\n", "test.yaml:1:30", "");
	expect_refused("options: {interrupt_vectors: 3, interrupt_vectors: 3}\ndevices: []\n", "test.yaml:1:33",
		       "second time");
	expect_refused("options: {private_domains: 2}\ndevices: []\n", "test.yaml:1:28", "true nor false");
}

TEST(description, what_cannot_be_built_is_refused_where_it_stands)
{
	expect_refused(DEVICES "  - {slot: \"00.0\", role: endpoint, id: \"8086:10d3\"}\n", "test.yaml:2:5",
		       "cannot be there");
	expect_refused(DEVICES "  - {slot: \"00.0\", id: \"8086:10d3\", devices: []}\n", "test.yaml:2:", "below them");
	expect_refused(DEVICES "  - {slot: \"00.0\", id: \"8086:10d3\"}\n  - {slot: \"00.0\", id: \"8086:10d3\"}\n",
		       "test.yaml:3:5", "taken");
	expect_refused(DEVICES "  - {slot: \"00.0\", id: \"8086:10d3\", bars: {5: {size: 4K, width: 64}}}\n",
		       "test.yaml:2:", "upper half");
	expect_refused(DEVICES "  - {slot: \"00.0\", id: \"8086:10d3\", msix: {vectors: 5, bar: 3}}\n",
		       "test.yaml:2:", "MSI-X table of 5");
	expect_refused(PORT "      - {slot: \"00.0\", model: nvme, bars: {0: 4K}}\n", "test.yaml:6:", "its own BARs");
	expect_refused(PORT "      - {slot: \"00.0\", model: nvme, options: {sise: 4K}}\n", "test.yaml:6:", "sise");
}

TEST(description, values_are_taken_literally_or_not_at_all)
{
	expect_refused(DEVICES "  - {slot: \"1.0\", id: \"8086:10d3\"}\n", "test.yaml:2:12", "no slot");
	expect_refused(DEVICES "  - {slot: \"+1.0\", id: \"8086:10d3\"}\n", "test.yaml:2:12", "no slot");
	expect_refused(DEVICES "  - {slot: \"00.0 and a half\", id: \"8086:10d3\"}\n", "test.yaml:2:12", "no slot");
	expect_refused(DEVICES "  - {slot: \"00.0\", id: \"+086:-0d3\"}\n", "test.yaml:2:24", "no id");
	expect_refused(DEVICES "  - {slot: \"00.0\", class: \"-1\"}\n", "test.yaml:2:27", "hexadecimal");
	expect_refused(DEVICES "  - {slot: \"00.0\", msi: 0x}\n", "test.yaml:2:25", "number up to 32");
	expect_refused(DEVICES "  - {slot: \"00.0\", rom: 100}\n", "test.yaml:2:25", "ROM");
	expect_refused(DEVICES "  - {slot: \"00.0\", rom: 1KK}\n", "test.yaml:2:25", "not a size");
	expect_refused(DEVICES "  - {slot: \"00.0\", bars: {0: {size: 99999999T}}}\n", "test.yaml:2:37", "not a size");
	expect_refused(DEVICES "  - {slot: \"00.0\", bars: {0: {size: 2G, width: 64}}}\n", "test.yaml:2:30",
		       "to 1073741824 bytes");
	expect_refused(DEVICES "  - {slot: \"00.0\", bars: {0: io 512}}\n", "test.yaml:2:30", "to 256 bytes");
	expect_refused(DEVICES "  - {slot: \"00.0\", bars: {0: 4K, 0: 4K}}\n", "test.yaml:2:", "second time");
	expect_refused(DEVICES "  - {slot: \"00.0\", acs: [rr, rr]}\n", "test.yaml:2:30", "second time");
	expect_refused(DEVICES "  - {slot: \"00.0\", driver: ../../etc}\n", "test.yaml:2:28", "no driver");
	expect_refused(DEVICES "  - {slot: \"00.0\", \"%n\\u0007\": 1}\n", "test.yaml:2:20", "key \"?n?\"");
	expect_refused("name: this name is much longer than thirty-one letters\n", "test.yaml:1:7", "31 characters");
	expect_refused("name: a\\0b\ndevices: []\nname2: \"a\\0b\"\n", "test.yaml:3:1", "name2");
	expect_refused("name: \"a\\0b\"\n", "test.yaml:1:7", "NUL");
	expect_refused("name: [x]\n", "test.yaml:1:7", "single value");
	expect_refused("name: {x: y}\n", "test.yaml:1:7", "single value");
	expect_refused("devices: x\n", "test.yaml:1:10", "list");
	expect_refused("devices: [x]\n", "test.yaml:1:11", "mapping");
	expect_refused("devices: []\n---\nname: x\n", "test.yaml:3:1", "second one");
	expect_refused("devices: []\n...\n{{\n", "test.yaml:", "");
	expect_refused("%YAML 1.1\n%YAML 1.1\n---\ndevices: []\n", "test.yaml:2:1", "?YAML");
	expect_refused("devices: []\nname: \xff\xfe\n", "test.yaml:", "at byte 18");
}

TEST(description, hardware_that_cannot_be_is_refused)
{
	expect_refused(DEVICES "  - {slot: \"00.0\", role: conventional, id: \"8086:0001\", acs: full}\n",
		       "test.yaml:2:62", "conventional");
	expect_refused(PORT "      - {slot: \"01.0\", id: \"8086:0001\"}\n", "test.yaml:6:9", "only device 00");
	expect_refused(PORT "      - {slot: \"00.1\", id: \"8086:0001\"}\n", "test.yaml:6:9", "no function 0");
	expect_refused(DEVICES "  - {slot: \"01.0\", id: \"8086:0001\"}\n  - {slot: \"02.1\", id: \"8086:0001\"}\n",
		       "test.yaml:3:5", "device 02 has no function 0");
	expect_refused(DEVICES "  - {slot: \"01.0\", role: root-port, id: \"8086:0001\", bars: {0: 4K}}\n",
		       "test.yaml:2:60", "no BARs");
	expect_refused(DEVICES "  - {slot: \"01.0\", role: root-port, id: \"8086:0001\", rom: 4K}\n", "test.yaml:2:59",
		       "no ROM");
	expect_refused(DEVICES "  - {slot: \"01.0\", role: root-port, model: nvme}\n", "test.yaml:2:44", "no model");
	expect_refused(DEVICES "  - {slot: \"01.0\", role: root-port, id: \"8086:0001\", flr: true}\n",
		       "test.yaml:2:59", "no function-level reset");
	expect_refused(PORT "      - {slot: \"00.0\", model: nvme, msix: {vectors: 4, bar: 0}}\n",
		       "test.yaml:6:", "its own message interrupts");
	expect_refused(PORT "      - {slot: \"00.0\", model: nvme, msi: 4}\n", "test.yaml:6:42", "its own message");
	expect_refused(DEVICES "  - {slot: \"00.0\", id: \"8086:0001\", msix: {bar: 0}}\n",
		       "test.yaml:2:", "1 to 2048");
	expect_refused(PORT "      - {slot: \"00.0\", model: nvme, options: {size: 4K, size: 8K}}\n",
		       "test.yaml:6:", "second time");
	expect_refused(DEVICES "  - {slot: \"00.0\", id: \"8086:0001\", options: {size: 4K}}\n",
		       "test.yaml:2:", "model");
}

TEST(description, says_whether_the_room_is_for_tests_of_the_kernel)
{
	struct description *plain = parse(DEVICES "  - {slot: \"00.0\", id: \"8086:10d3\"}\n");
	struct description *test = parse("options: {selftest: true}\n" DEVICES
					 "  - {slot: \"00.0\", id: \"8086:10d3\"}\n");

	assert_false(plain->selftest);
	assert_true(test->selftest);
	description_free(plain);
	description_free(test);
}

/* A long list of bridges in bridges, and a file of nothing but anchors. */
TEST(description, everything_is_bounded)
{
	char text[16384], *at = text;

	expect_refused("as_found: true\n"
		       "devices: &a [{slot: \"00.0\", role: root-port, id: \"8086:0001\", devices: *a}]\n",
		       "test.yaml:2:14", "a segment has 256 buses");
	expect_refused(
		"as_found: true\n"
		"devices: &a [{slot: \"00:00.0\", role: root-port, bus: \"01\", id: \"8086:0001\", devices: *a}]\n",
		"test.yaml:2:10", "more than 256 deep");
	for (unsigned i = 0; i < 601; i++)
		at += sprintf(at, "- ");
	expect_refused(text, "test.yaml:1:1201", "600 deep");
	at = text + sprintf(text, "devices:\n");
	for (unsigned i = 0; i < 300; i++)
		at += sprintf(at, "  - &a%u {slot: \"00.0\"}\n", i);
	expect_refused(text, "test.yaml:258:5", "256 anchors");
	memset(text, '[', 300);
	text[300] = '\0';
	expect_refused(text, "test.yaml:1:101", "100 deep");
	at = text;
	for (unsigned i = 0; i < 300; i++) /* a quoted bracket closes nothing */
		at += sprintf(at, "[\"]\",");
	expect_refused(text, "test.yaml:1:501", "100 deep");
}

/* Ports below ports by alias: a few lines, but more buses than there are. */
TEST(description, a_tree_that_grows_by_aliases_is_cut_off)
{
	expect_refused(
		"devices:\n"
		"  - &a {slot: \"01.0\", role: root-port, id: \"8086:0001\", devices: &l0 [&u {slot: \"00.0\", role: "
		"upstream-port, id: \"8086:0002\", devices: &l1 [{slot: \"00.0\", id: \"8086:0003\", devices: *l0}, "
		"{slot: \"01.0\", id: \"8086:0004\", devices: *l0}, {slot: \"02.0\", id: \"8086:0005\", devices: "
		"*l0}]}]}\n",
		"test.yaml:", "");
}

TEST(description, anchors_that_contain_themselves_end_in_a_refusal)
{
	expect_refused("devices: &loop\n"
		       "  - slot: \"01.0\"\n"
		       "    role: root-port\n"
		       "    id: \"8086:1901\"\n"
		       "    devices: *loop\n",
		       "test.yaml:", "cannot be there");
	expect_refused(
		"devices:\n"
		"  - slot: \"01.0\"\n"
		"    role: root-port\n"
		"    id: \"8086:1901\"\n"
		"    devices: &up\n"
		"      - {slot: \"00.0\", role: upstream-port, id: \"8086:0001\", devices: &loop [{slot: \"00.0\", id: "
		"\"8086:0002\", devices: *up}]}\n",
		"test.yaml:", "");
}

TEST(description, buses_are_numbered_depth_first_and_functions_enumerated)
{
	struct description *description = parse(
		"devices:\n"
		"  - {slot: \"1d.0\", role: root-port, id: \"8086:0001\", devices: [{slot: \"00.0\", id: "
		"\"0001:0001\"}]}\n"
		"  - slot: \"01.0\"\n"
		"    role: root-port\n"
		"    id: \"8086:0002\"\n"
		"    devices:\n"
		"      - {slot: \"00.0\", role: pci-bridge, id: \"8086:0003\", devices: [{slot: \"03.0\", id: "
		"\"0001:0004\"}]}\n"
		"  - {slot: \"00.0\", id: \"8086:0005\"}\n");
	static const struct pci_addr expected[] = {{0, 0, 0x00}, {0, 0, 0x08}, {0, 0, 0xe8},
						   {0, 1, 0x00}, {0, 2, 0x18}, {0, 3, 0x00}};
	struct function_description *function;
	unsigned i = 0;

	list_for_each(function, &description->functions, link) {
		assert_true(i < ARRAY_SIZE(expected));
		assert_true(pci_addr_equal(function->addr, expected[i++]));
	}
	assert_int_equal(i, ARRAY_SIZE(expected));
	function = description_find(description, (struct pci_addr){0, 0, 0x08});
	assert_int_equal(function->secondary, 1);
	assert_int_equal(function->subordinate, 2);
	description_free(description);
}

/* ---- what a captured machine needs ---- */

TEST(description, bus_numbers_can_be_said)
{
	struct description *description = parse(
		"devices:\n"
		"  - {slot: \"01.0\", role: root-port, id: \"8086:0001\", bus: \"20\", last_bus: \"2f\",\n"
		"     devices: [{slot: \"00.0\", role: pci-bridge, id: \"8086:0002\", devices: []}]}\n"
		"  - {slot: \"02.0\", role: root-port, id: \"8086:0003\"}\n"
		"  - {slot: \"03.0\", role: root-port, id: \"8086:0004\", bus: \"02\"}\n"
		"  - {slot: \"04.0\", role: root-port, id: \"8086:0005\", bus: none}\n"
		"  - {slot: \"05.0\", role: root-port, id: \"8086:0006\"}\n"
		"roots:\n"
		"  - {bus: \"80\", devices: [{slot: \"01.0\", role: root-port, id: \"8086:0007\"}]}\n"
		"  - {segment: \"0002\", devices: [{slot: \"01.0\", role: root-port, id: \"8086:0008\"}]}\n");
	static const struct {
		struct pci_addr addr;
		u8 secondary, subordinate;
	} expected[] = {
		{{0, 0, 0x08}, 0x20, 0x2f},    {{0, 0, 0x10}, 0x30, 0x30}, {{0, 0, 0x18}, 0x02, 0x02},
		{{0, 0, 0x20}, 0, 0},	       {{0, 0, 0x28}, 0x03, 0x03}, {{0, 0x20, 0}, 0x21, 0x21},
		{{0, 0x80, 0x08}, 0x81, 0x81}, {{2, 0, 0x08}, 0x01, 0x01},
	};
	const struct function_description *function;
	unsigned i = 0;

	list_for_each(function, &description->functions, link) {
		assert_true(i < ARRAY_SIZE(expected));
		assert_true(pci_addr_equal(function->addr, expected[i].addr));
		assert_int_equal(function->secondary, expected[i].secondary);
		assert_int_equal(function->subordinate, expected[i].subordinate);
		assert_int_equal(function->index, i++);
	}
	assert_int_equal(i, ARRAY_SIZE(expected));
	description_free(description);
}

#define BRIDGE(slot, keys) "  - {slot: \"" slot "\", role: root-port, id: \"8086:0001\", " keys "}\n"

TEST(description, bus_numbers_that_cannot_be_are_refused)
{
	expect_refused(DEVICES BRIDGE("01.0", "bus: \"00\""), "test.yaml:2:59", "no bridge leads to bus 00");
	expect_refused(DEVICES BRIDGE("01.0", "bus: \"100\""), "test.yaml:2:59", "hexadecimal number up to 255");
	expect_refused(DEVICES BRIDGE("01.0", "bus: \"05\", last_bus: \"04\""), "test.yaml:2:75",
		       "the last bus is before bus 05");
	expect_refused(DEVICES BRIDGE("01.0", "bus: \"05\"") BRIDGE("02.0", "bus: \"05\""), "test.yaml:3:59",
		       "bus 05 is there already");
	expect_refused(DEVICES BRIDGE("01.0", "bus: none, devices: []"), "test.yaml:2:59", "leads to no bus");
	expect_refused(DEVICES BRIDGE("01.0", "bus: none, last_bus: \"01\""), "test.yaml:2:59", "leads to no bus");
	expect_refused(DEVICES BRIDGE("01.0", "bus: \"ff\"") BRIDGE("02.0", "flr: false"), "test.yaml:3:5",
		       "a segment has 256 buses");
	expect_refused(DEVICES "  - {slot: \"01.0\", role: root-port, id: \"8086:0001\", last_bus: \"03\", devices: "
			       "[{slot: \"00.0\", role: pci-bridge, id: \"8086:0001\", bus: \"04\"}]}\n",
		       "test.yaml:2:", "the bridge above leads to no bus 04: its last one is 03");
	expect_refused(DEVICES "  - {slot: \"01.0\", role: root-port, id: \"8086:0001\", bus: \"03\", devices: "
			       "[{slot: \"00.0\", role: pci-bridge, id: \"8086:0001\", bus: \"03\"}]}\n",
		       "test.yaml:2:", "bus 03 is not below bus 03");
	expect_refused(DEVICES "  - {slot: \"01.0\", id: \"8086:0001\", bus: \"03\"}\n",
		       "test.yaml:2:", "only ports and bridges lead to a bus");
	expect_refused(DEVICES "  - {slot: \"05:01.0\", id: \"8086:0001\"}\n", "test.yaml:2:12",
		       "only virtual functions are on another bus");
	expect_refused(DEVICES "  - {slot: \"0000:05:01.0\", id: \"8086:0001\"}\n", "test.yaml:2:12", "no slot");
}

TEST(description, roots_are_checked)
{
	expect_refused("roots: [{bus: \"80\"}]\n", "test.yaml:1:9", "a root bus needs devices");
	expect_refused("roots: [{bux: \"80\", devices: []}]\n", "test.yaml:1:10", "did you mean \"bus\"?");
	expect_refused("roots: [{segment: \"123456789\", devices: []}]\n", "test.yaml:1:19", "hexadecimal");
	expect_refused("devices: []\nroots: [{bus: 0, devices: []}]\n", "test.yaml:2:15",
		       "bus 0000:00 is there already");
	expect_refused("roots: [{devices: []}, {devices: []}]\n", "test.yaml:1:24", "bus 0000:00 is there already");
	expect_refused("roots: [{vmd: \"00:0e\", devices: []}]\n", "test.yaml:1:15", "no address of a function");
	expect_refused("roots: [{segment: 10000, vmd: \"0000:00:0e.0\", devices: [{slot: \"00.0\", id: \"1:1\"}]}]\n",
		       "test.yaml:1:", "no id");
	expect_refused(
		"roots: [{segment: 10000, vmd: \"0000:00:0e.0\", devices: [{slot: \"00.0\", id: \"8086:0001\"}]}]\n",
		"test.yaml:1:57", "10000:00:00.0 is said to be behind a VMD device that is not there");
	expect_refused("roots: [{segment: ffff, vmd: \"0000:00:0e.0\", devices: []}]\n", "test.yaml:1:9",
		       "segments from 10000 on are behind VMD");
	expect_refused("roots: [{segment: 10001, vmd: \"10000:00:0e.0\", devices: []}]\n", "test.yaml:1:9",
		       "the device is on one before");
	expect_refused("roots:\n"
		       "  - {bus: \"80\", devices: [{slot: \"00.0\", id: \"8086:0001\"}]}\n"
		       "  - {segment: \"0001\", devices: []}\n"
		       "  - {bus: \"80\", devices: [{slot: \"00.0\", id: \"8086:0001\"}]}\n",
		       "test.yaml:4:", "0000:80:00.0 is there twice");
}

TEST(description, virtual_functions_have_what_their_physical_one_has)
{
	struct description *description = parse(
		"devices:\n"
		"  - slot: \"01.0\"\n"
		"    role: root-port\n"
		"    id: \"8086:0001\"\n"
		"    unit: 1\n"
		"    last_bus: \"02\"\n"
		"    devices:\n"
		"      - slot: \"00.0\"\n"
		"        id: \"8086:1572\"\n"
		"        class: \"020000\"\n"
		"        iommu: false\n"
		"        sriov: {total: 8, enabled: 4, offset: 254, stride: 2, device: \"154c\"}\n"
		"        vfs:\n"
		"          - {pm: false}\n"
		"          - {driver: iavf}\n"
		"          - {slot: \"1f.0\", id: \"8086:0009\"}\n");
	const struct function_description *first, *second, *physical;

	physical = description_find(description, (struct pci_addr){0, 1, 0});
	first = description_find(description, (struct pci_addr){0, 1, 0xfe});
	second = description_find(description, (struct pci_addr){0, 2, 0x00});
	assert_ptr_equal(first->physical, physical);
	assert_ptr_equal(second->physical, physical);
	assert_ptr_equal(second->parent, physical->parent);
	assert_int_equal(second->identity.vendor, 0x8086);
	assert_int_equal(second->identity.device, 0x154c);
	assert_int_equal(second->identity.class_code, 0x020000);
	assert_string_equal(second->driver, "iavf");
	assert_int_equal(second->unit, 1);
	assert_false(second->behind_iommu);
	assert_false(second->multifunction);
	assert_int_equal(physical->sriov.initial, 8);
	/* Last of all. */
	assert_int_equal(description_find(description, (struct pci_addr){0, 1, 0xf8})->index, 2);
	assert_int_equal(first->index, 3);
	assert_int_equal(second->index, 4);
	description_free(description);
}

#define PHYSICAL(keys) PORT "      - {slot: \"00.0\", id: \"8086:1572\", " keys "}\n"

TEST(description, virtual_functions_that_cannot_be_are_refused)
{
	expect_refused(PHYSICAL("sriov: {total: 2, enabled: 3}"), "test.yaml:6:48", "of 2 virtual functions, 3");
	expect_refused(PHYSICAL("sriov: {total: 2, initial: 4}"), "test.yaml:6:48", "of 2 virtual functions, 4");
	expect_refused(PHYSICAL("sriov: {total: 65536}"), "test.yaml:6:", "number up to 65535");
	expect_refused(PHYSICAL("vfs: [{id: \"8086:0001\"}]"), "test.yaml:6:", "needs a slot");
	expect_refused(PHYSICAL("sriov: {total: 1, offset: 16}, vfs: [{}]"), "test.yaml:6:", "needs an id");
	expect_refused(PHYSICAL("sriov: {total: 1, offset: 65535, device: \"0001\"}, vfs: [{}]"),
		       "test.yaml:6:", "needs a slot");
	expect_refused(PHYSICAL("sriov: {total: 2, offset: 16, device: \"0001\"}, vfs: [{}, {}]"),
		       "test.yaml:6:", "0000:01:02.0 is there twice");
	expect_refused(PHYSICAL("vfs: [{slot: \"01.0\", id: \"8086:0001\", vfs: []}]"),
		       "test.yaml:6:", "none of its own");
	expect_refused(PHYSICAL("vfs: [{slot: \"01.0\", id: \"8086:0001\", virtual: false}]"),
		       "test.yaml:6:", "is a virtual function");
	expect_refused(PHYSICAL("vfs: [{slot: \"01.0\", id: \"8086:0001\", multifunction: true}]"),
		       "test.yaml:6:", "never multifunction");
	expect_refused(PHYSICAL("virtual: true"), "test.yaml:6:", "with vfs there");
	expect_refused(DEVICES BRIDGE("01.0", "vfs: []"), "test.yaml:2:59", "a bridge has no virtual functions");
	expect_refused(DEVICES "  - {slot: \"00.0\", role: conventional, id: \"8086:0001\", sriov: {}}\n",
		       "test.yaml:2:", "belongs to PCI Express");
	expect_refused(DEVICES "  - {slot: \"00.0\", role: conventional, id: \"8086:0001\", ats: true}\n",
		       "test.yaml:2:", "belongs to PCI Express");
}

TEST(description, details_of_capabilities_are_checked)
{
	expect_refused(PHYSICAL("msi: {vectors: 3}"), "test.yaml:6:", "1, 2, 4");
	expect_refused(PHYSICAL("msi: {width: 48}"), "test.yaml:6:", "32 or 64 bits");
	expect_refused(PHYSICAL("msi: {masks: 1}"), "test.yaml:6:", "true nor false");
	expect_refused(PHYSICAL("pasid: 0"), "test.yaml:6:", "1 to 20 bits");
	expect_refused(PHYSICAL("pasid: 21"), "test.yaml:6:", "number up to 20");
	expect_refused(PHYSICAL("prefixes: no"), "test.yaml:6:", "true nor false");
	expect_refused(PHYSICAL("dsn: xyz"), "test.yaml:6:", "hexadecimal");
	expect_refused(PHYSICAL("phantom: 4"), "test.yaml:6:", "number up to 3");
	expect_refused(PHYSICAL("aer: x"), "test.yaml:6:", "true nor false");
	expect_refused(PHYSICAL("unit: 64"), "test.yaml:6:", "number up to 63");
	expect_refused(PHYSICAL("bridge: no"), "test.yaml:6:", "true nor false");
	expect_refused(PHYSICAL("bars: {0: 4K}, msix: {vectors: 4, bar: 0, offset: 12}"),
		       "test.yaml:6:", "multiple of 8");
	expect_refused(PHYSICAL("bars: {0: 4K}, msix: {vectors: 4, bar: 0, pending: 0x20}"),
		       "test.yaml:6:", "the pending bits lie in the MSI-X table");
	expect_refused(PHYSICAL("bars: {0: 4K}, msix: {vectors: 4, bar: 0, pending_bar: 1}"),
		       "test.yaml:6:", "BAR 1 does not hold the pending bits");
	expect_refused(PHYSICAL("bars: {0: 4K}, msix: {vectors: 4, bar: 0, offset: 0xfc8}"),
		       "test.yaml:6:", "BAR 0 does not hold an MSI-X table");
	expect_refused(PORT "      - {slot: \"00.0\", id: \"8086:1572\"}\n"
			    "      - {slot: \"00.1\", id: \"8086:1572\", multifunction: false}\n",
		       "test.yaml:7:", "function 1 makes its slot a multifunction one");
}

TEST(description, regions_are_checked)
{
	char text[8192], *at = text;

	expect_refused("iommu: {regions: [{start: 2, last: 1}]}\ndevices: []\n", "test.yaml:1:19", "before it starts");
	expect_refused("iommu: {regions: [{}]}\ndevices: []\n", "test.yaml:1:19", "a start and a last byte");
	expect_refused("iommu: {regions: [{last: 9, kind: soft}]}\ndevices: []\n", "test.yaml:1:35",
		       "no kind of region");
	expect_refused("iommu: {regions: 5}\ndevices: []\n", "test.yaml:1:18", "regions is a list");
	expect_refused("iommu: {regions: [{last: 1}, {last: 1}, {last: 1}, {last: 1}, {last: 1}, {last: 1}, {last: 1}, "
		       "{last: 1}, {last: 1}]}\ndevices: []\n",
		       "test.yaml:1:", "at most 8 regions");
	at += sprintf(at, "devices:\n  - slot: \"00.0\"\n    id: \"8086:0001\"\n    regions:\n");
	for (unsigned i = 0; i < 65; i++)
		at += sprintf(at, "      - {start: %u, last: %u, kind: direct}\n", i * 4096, i * 4096 + 4095);
	expect_refused(text, "test.yaml:69:", "at most 64 different regions");
}

/* The same without questions. */
#define UUID	 "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
#define EMULATED "devices: []\nemulated:\n"

TEST(description, emulated_devices_are_checked)
{
	struct description *description = parse(
		PORT "      - {slot: \"00.0\", model: nvme}\n"
		     "emulated:\n"
		     "  - {uuid: \"83B8F4F2-509F-382F-3C1E-E6BFE0FA1001\", model: mcopy, parent: \"0000:01:00.0\"}\n");
	const struct emulated_description *emulated = list_first(&description->emulated, struct emulated_description,
								 link);

	assert_int_equal(list_length(&description->emulated), 1);
	assert_string_equal(emulated->uuid, UUID);
	assert_string_equal(emulated->model->name, "mcopy");
	assert_int_equal(emulated->parent->addr.bus, 1);
	description_free(description);

	expect_refused(EMULATED "  - {model: mcopy}\n", "test.yaml:3:5", "a uuid and a model");
	expect_refused(EMULATED "  - {uuid: \"" UUID "\"}\n", "test.yaml:3:5", "a uuid and a model");
	expect_refused(EMULATED "  - {uuid: \"83b8f4f2\", model: mcopy}\n", "test.yaml:3:12", "no UUID");
	expect_refused(EMULATED "  - {uuid: \"83b8f4f2-509f-382f-3c1e-e6bfe0fa100g\", model: mcopy}\n",
		       "test.yaml:3:12", "no UUID");
	expect_refused(EMULATED "  - {uuid: \"" UUID "\", model: nvme}\n", "test.yaml:3:", "hardware");
	expect_refused(EMULATED "  - {uuid: \"" UUID "\", model: mcopie}\n", "test.yaml:3:", "no model");
	expect_refused(EMULATED "  - {uuid: \"" UUID "\", model: mcopy, parent: here}\n", "test.yaml:3:", "no address");
	expect_refused(EMULATED "  - {uuid: \"" UUID "\", model: mcopy, parent: \"0000:01:00.0\"}\n",
		       "test.yaml:3:", "no device 0000:01:00.0");
	expect_refused(EMULATED "  - {uuid: \"" UUID "\", model: mcopy}\n  - {uuid: \"" UUID "\", model: mcopy}\n",
		       "test.yaml:4:5", "two devices");
	expect_refused(DEVICES "  - {slot: \"00.0\", model: mcopy}\n", "test.yaml:2:27", "under `emulated`");
}

TEST(description, emulated_devices_are_bounded)
{
	char text[8192] = EMULATED;
	size_t used = strlen(text);

	for (unsigned i = 0; i <= MACHINE_EMULATED; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "  - {uuid: \"83b8f4f2-509f-382f-3c1e-%012u\", model: mcopy}\n", i);
	expect_refused(text, "test.yaml:67:5", "at most 64");
}

TEST(description, a_machine_as_found_may_have_odd_places)
{
	struct description *description = parse(
		"as_found: true\n"
		"devices:\n"
		"  - {slot: \"05.3\", role: endpoint, id: \"8086:0001\"}\n"
		"  - {slot: \"06.0\", role: upstream-port, id: \"8086:0001\", bus: \"03\", iommu: false,\n"
		"     devices: [{slot: \"07:01.0\", role: integrated, id: \"8086:0002\", iommu: true}]}\n"
		"  - {slot: \"07.0\", role: endpoint, bridge: true, id: \"8086:0001\", bus: \"03\"}\n"
		"  - {slot: \"08.7\", virtual: true, id: \"8086:0001\"}\n");
	const struct function_description *function;

	function = description_find(description, (struct pci_addr){0, 7, 0x08});
	assert_true(function->behind_iommu && !function->parent->behind_iommu);
	function = description_find(description, (struct pci_addr){0, 0, 0x38});
	assert_int_equal(function->secondary, 3);
	assert_int_equal(function->identity.class_code, 0x060400);
	function = description_find(description, (struct pci_addr){0, 0, 0x47});
	assert_true(function->is_virtual && !function->multifunction && function->index == 4);
	description_free(description);
	expect_refused("as_found: true\ndevices: [{slot: \"00.0\", role: root-port, id: \"8086:0001\", bus: \"03\",\n"
		       "devices: [{slot: \"03:05.0\", role: root-port, id: \"8086:0001\", bus: \"02\"}]}]\n",
		       "test.yaml:3:", "bus 02 is not below bus 03");
}

TEST(description, options_are_checked_against_the_model)
{
	struct description *description = NULL;
	struct function_description *nvme, *nic;
	struct why why = WHY_INIT;

	ASSERT_OK(why, description_load("default", &description, &why));
	nvme = description_find(description, (struct pci_addr){0, 1, 0});
	nic = description_find(description, (struct pci_addr){0, 2, 0});
	ASSERT_OK(why, description_set_option(nvme, "size", "8M", &why));
	ASSERT_OK(why, description_set_option(nvme, "size", "16M", &why));
	assert_string_equal(model_option(&nvme->options, "size"), "16M");
	EXPECT_REFUSED(OPTION_UNKNOWN, why, description_set_option(nvme, "colour", "red", &why));
	EXPECT_SUBSTR("0000:01:00.0", why.text);
	EXPECT_REFUSED(OPTION_UNKNOWN, why, description_set_option(nic, "disk", "x", &why));
	description_free(description);
	EXPECT_REFUSED(MACHINE_UNKNOWN, why, description_load("nowhere", &description, &why));
	EXPECT_SUBSTR("default", why.text);
	EXPECT_REFUSED(HOST_FAILED, why, description_load("/nowhere/machine.yaml", &description, &why));
}

TEST(description, the_default_room_has_the_groups_it_promises)
{
	static const struct {
		struct pci_addr addr;
		const char *driver;
		int group;
	} expected[] = {
		{{0, 0, 0x00}, "", 0},
		{{0, 0, 0x08}, "pcieport", 1},
		{{0, 0, 0xa0}, "xhci_hcd", 2},
		{{0, 0, 0xe0}, "pcieport", 3},
		{{0, 0, 0xe8}, "pcieport", 4},
		{{0, 0, 0xf8}, "", 5},
		{{0, 0, 0xfb}, "snd_hda_intel", 5},
		{{0, 0, 0xfc}, "i801_smbus", 5},
		{{0, 1, 0x00}, "nvme", 6},
		{{0, 2, 0x00}, "e1000e", 3},
		{{0, 2, 0x01}, "e1000e", 3},
		{{0, 3, 0x00}, "", 7},
		{{0, 4, 0x00}, "snd_ens1371", 7},
		{{0, 4, 0x08}, "8139cp", 7},
	};
	struct description *description = NULL;
	struct pci_grouping *grouping = NULL;
	struct pci_topology topology;
	struct pci_function *function;
	struct why why = WHY_INIT;
	unsigned i = 0;

	ASSERT_OK(why, description_load("default", &description, &why));
	ASSERT_OK(why, topology_build(description, &topology, &why));
	ASSERT_OK(why, pci_grouping_compute(&topology, NULL, &grouping, &why));
	assert_int_equal(grouping->count, ARRAY_SIZE(expected));
	list_for_each(function, &topology.functions, link) {
		assert_true(pci_addr_equal(function->addr, expected[i].addr));
		assert_string_equal(description_find(description, function->addr)->driver, expected[i].driver);
		assert_int_equal(grouping->group[i], expected[i].group);
		i++;
	}
	/* Behind the PCIe-to-PCI bridge the ids are one. */
	assert_int_equal(grouping->alias_set[12], grouping->alias_set[11]);
	assert_int_equal(grouping->alias_set[13], grouping->alias_set[11]);
	assert_int_not_equal(grouping->alias_set[9], grouping->alias_set[10]);
	pci_grouping_free(grouping);
	pci_topology_fini(&topology);
	description_free(description);
}

TEST(description, bars_do_not_overlap_and_lie_in_their_bridges_windows)
{
	struct description *description = NULL;
	struct pci_function *function;
	struct pci_topology topology;
	struct why why = WHY_INIT;
	u64 io_last = 0, low_last = 0;

	ASSERT_OK(why, description_load("default", &description, &why));
	ASSERT_OK(why, topology_build(description, &topology, &why));
	/* The walk gives addresses in enumeration order of each bus, so on one bus they only grow. */
	function = pci_topology_find(&topology, (struct pci_addr){0, 2, 0});
	for (unsigned bar = 0; bar <= PCI_ROM; bar++) {
		const struct pci_bar *slot = &function->bars[bar];
		u64 *last = slot->kind == PCI_BAR_IO ? &io_last : &low_last;

		if (slot->kind == PCI_BAR_NONE)
			continue;
		assert_true(is_aligned(slot->address, slot->size));
		assert_true(slot->address > *last);
		*last = slot->address + slot->size - 1;
	}
	assert_true(low_last <= ((u64)get_u16(function->parent->config + 0x22) << 16 | 0xfffff));
	assert_true(function->bars[0].address >= (u64)get_u16(function->parent->config + 0x20) << 16);
	assert_true(io_last <= ((u64)(function->parent->config[0x1d] & 0xf0) << 8 | 0xfff));
	pci_topology_fini(&topology);
	description_free(description);
}

TEST(description, a_machine_without_room_for_its_bars_is_refused)
{
	struct description *description = parse(
		"devices:\n"
		"  - {slot: \"00.0\", id: \"8086:0001\", bars: {0: 256M, 1: 256M, 2: 256M}}\n");
	struct pci_topology topology;
	struct why why = WHY_INIT;

	EXPECT_REFUSED(BAR_SPACE, why, topology_build(description, &topology, &why));
	EXPECT_SUBSTR("0000:00:00.0", why.text);
	assert_int_equal(topology.count, 0);
	description_free(description);
}

static int load_and_build(struct why *why)
{
	struct description *description = NULL;
	struct pci_topology topology;
	int err = description_load("default", &description, why);

	if (err == 0) {
		err = topology_build(description, &topology, why);
		if (err == 0)
			pci_topology_fini(&topology);
	}
	description_free(description);
	return err;
}

TEST(description, failures_leave_nothing_behind)
{
	SWEEP_FAILURES(load_and_build);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(description, errors_name_line_column_and_what_was_meant),
		CASE(description, what_cannot_be_built_is_refused_where_it_stands),
		CASE(description, values_are_taken_literally_or_not_at_all),
		CASE(description, hardware_that_cannot_be_is_refused),
		CASE(description, everything_is_bounded),
		CASE(description, a_tree_that_grows_by_aliases_is_cut_off),
		CASE(description, anchors_that_contain_themselves_end_in_a_refusal),
		CASE(description, buses_are_numbered_depth_first_and_functions_enumerated),
		CASE(description, bus_numbers_can_be_said),
		CASE(description, bus_numbers_that_cannot_be_are_refused),
		CASE(description, roots_are_checked),
		CASE(description, virtual_functions_have_what_their_physical_one_has),
		CASE(description, virtual_functions_that_cannot_be_are_refused),
		CASE(description, details_of_capabilities_are_checked),
		CASE(description, regions_are_checked),
		CASE(description, emulated_devices_are_checked),
		CASE(description, emulated_devices_are_bounded),
		CASE(description, says_whether_the_room_is_for_tests_of_the_kernel),
		CASE(description, a_machine_as_found_may_have_odd_places),
		CASE(description, options_are_checked_against_the_model),
		CASE(description, the_default_room_has_the_groups_it_promises),
		CASE(description, bars_do_not_overlap_and_lie_in_their_bridges_windows),
		CASE(description, a_machine_without_room_for_its_bars_is_refused),
		CASE(description, failures_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
