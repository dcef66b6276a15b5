/* SPDX-License-Identifier: MIT */
/* The tables of spec 01, sections 2.1, 2.2, 3.3 and 3.5, written down a second time and compared row by row. */
#include "tests/helpers.h"

#include "pci/quirks.h"
#include "tests/fixtures/functions.h"

#include "pci/reset.h"

/* ---- lists of ids: "4385 10f7-10fc" ---- */

static const char *next_ids(const char *list, unsigned *first, unsigned *last)
{
	int used = 0;

	if (sscanf(list, " %x-%x%n", first, last, &used) == 2)
		return list + used;
	if (sscanf(list, " %x%n", first, &used) != 1)
		return NULL;
	*last = *first;
	return list + used;
}

static bool lists(const char *list, unsigned id)
{
	unsigned first, last;

	if (*list == '*')
		return true;
	while ((list = next_ids(list, &first, &last)))
		if (id >= first && id <= last)
			return true;
	return false;
}

/* ---- section 3.5 ---- */

enum condition { ALWAYS, SOUTHBRIDGE, INTEGRATED, ROOT_PORT, ROOT_PORT_WITH_ACS, PORT };
enum answer { NO, YES, NOTHING };

static const struct row {
	u16 vendor;
	const char *ids;
	enum condition condition;
	enum answer answer;
} rows[] = {
	{0x1002, "4385 439c 4383 439d 4384 4399", SOUTHBRIDGE, YES},
	{0x1022, "780f 7809", SOUTHBRIDGE, YES},
	{0x1924, "0903 0923 0a03", ALWAYS, YES},
	{0x8086,
	 "10c6 10db 10dd 10e1 10f1 10f7-10fc 1507 1514 151c 1529 152a 154d 154f 1551 1558 1509 150e-1511 1516 1527 "
	 "10c9 10e6-10e8 150a 150d 1518 1526 10a7 10a9 10d6 1521-1524 105e 105f 1060 10d9 15b7 15b8",
	 ALWAYS, YES},
	{0x8086, "*", INTEGRATED, YES},
	{0x17cb, "0400 0401 0115 0111 0120", ALWAYS, YES},
	{0x1dbf, "0401", ALWAYS, YES},
	{0x8086,
	 "3b42-3b51 1c10-1c1f 1e10-1e1f 8c10-8c1f 9c10-9c1b 9c90-9c9b 1d10 1d12 1d14 1d16 1d18 1d1a 1d1c 1d1e "
	 "8d10-8d1e 8c90 8c92 8c94 8c96 8c98 8c9a 8c9c 8c9e",
	 ROOT_PORT, YES},
	{0x8086, "a110-a11f a167-a16a a290-a29f a2e7-a2ee 9d10-9d1b", ROOT_PORT_WITH_ACS, YES},
	{0x19a2, "0710", ALWAYS, YES},
	{0x10df, "0720", ALWAYS, YES},
	{0x177d, "a000-a7ff af84 b884", ROOT_PORT, YES},
	{0x177d, "a026 a059 a060", ALWAYS, YES},
	{0x10e8, "e004", ALWAYS, YES},
	{0x1def, "e005-e00c", ALWAYS, YES},
	{0x14e4, "16d7 1750-1752 1760-1763", ALWAYS, YES},
	{0x14e4, "d714", ALWAYS, YES},
	{0x0014, "3c09 3c19 3c29 7a09 7a19 7a29 7a39 7a49 7a59 7a69", ALWAYS, YES},
	{0x1c36, "0031", ROOT_PORT, YES},
	{0x1d17, "3038 3104 9083", ALWAYS, YES},
	{0x1957, "8d80-8d83 8d88-8d8b 8d90-8d93 8d98-8d9b 8da0 8da1 8da8 8da9 8db0 8db1 8db8 8db9", ALWAYS, YES},
	{0x1d17, "0710-071e 0721 0723-0752", PORT, YES},
	{0x1d17, "*", PORT, NO},
	{0x8088, "0100-010f 1001 2001 5010 5025 5040 5110 5125 5140", ALWAYS, YES},
	{0x8088, "*", ALWAYS, NO},
};

struct shape {
	int type;
	bool multifunction, root_bus, acs;
};

/* With ACS, all of it is switched on: where a row says no, it says so against the registers. */
static const struct shape shapes[] = {
	{PCIE_ENDPOINT, true, true, false},	   {PCIE_ENDPOINT, true, false, false},
	{PCIE_ENDPOINT, false, true, false},	   {PCIE_RC_ENDPOINT, true, true, false},
	{PCIE_ROOT_PORT, true, true, false},	   {PCIE_ROOT_PORT, false, true, true},
	{PCIE_DOWNSTREAM_PORT, true, false, true}, {PCIE_UPSTREAM_PORT, true, false, false},
	{CONVENTIONAL, true, true, false},	   {CONVENTIONAL, false, false, false},
};

static bool holds(enum condition condition, const struct shape *shape)
{
	switch (condition) {
	case ALWAYS:
		return true;
	case SOUTHBRIDGE:
		return shape->multifunction && shape->root_bus;
	case INTEGRATED:
		return shape->type == PCIE_RC_ENDPOINT;
	case ROOT_PORT:
		return shape->type == PCIE_ROOT_PORT;
	case ROOT_PORT_WITH_ACS:
		return shape->type == PCIE_ROOT_PORT && shape->acs;
	case PORT:
		return shape->type == PCIE_ROOT_PORT || shape->type == PCIE_DOWNSTREAM_PORT;
	}
	return false;
}

static enum answer expected(u16 vendor, unsigned id, const struct shape *shape)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].vendor == vendor && lists(rows[i].ids, id) && holds(rows[i].condition, shape))
			return rows[i].answer;
	return NOTHING;
}

static void make_shape(struct pci_function *function, struct pci_function *port, const struct shape *shape)
{
	function_make(function, 0, 0, shape->type);
	function->multifunction = shape->multifunction;
	function->parent = shape->root_bus ? NULL : port;
	if (shape->acs)
		pci_add_acs(function, PCI_ACS_ISOLATION, PCI_ACS_ISOLATION);
}

static void check_id(struct pci_function *function, const struct shape *shape, u16 vendor, unsigned id)
{
	enum answer answer = expected(vendor, id, shape);
	struct pci_traits traits;

	function_rename(function, vendor, (u16)id);
	traits = traits_of(function, NULL);
	if ((answer != NOTHING) != (traits.acs_quirk != NULL) ||
	    (traits.ground == ACS_GROUND_QUIRK) != (answer != NOTHING))
		fail_msg("%04x:%04x, type %d: quirk %s", vendor, id, shape->type,
			 traits.acs_quirk ? traits.acs_quirk->name : "none");
	if (answer != NOTHING && traits.isolates != (answer == YES))
		fail_msg("%04x:%04x, type %d: %s", vendor, id, shape->type, traits.isolates ? "isolates" : "does not");
}

/* Each id listed, and its neighbours, which often are not. */
static void check_list(struct pci_function *function, const struct shape *shape, const struct row *row)
{
	const char *list = row->ids;
	unsigned first, last;

	if (*list == '*')
		check_id(function, shape, row->vendor, 0x7777);
	while (*list != '*' && (list = next_ids(list, &first, &last)))
		for (unsigned id = first - 1; id <= last + 1; id++)
			check_id(function, shape, row->vendor, id);
}

TEST(quirks, acs_rows_are_those_of_the_specification)
{
	static struct pci_function function, port;

	function_make(&port, 0x1af4, 1, PCIE_ROOT_PORT);
	for (unsigned s = 0; s < ARRAY_SIZE(shapes); s++) {
		make_shape(&function, &port, &shapes[s]);
		for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
			check_list(&function, &shapes[s], &rows[i]);
	}
}

TEST(quirks, vendors_without_a_row_are_left_alone)
{
	static const u16 vendors[] = {0x0000, 0x0001, 0x0015, 0x1001, 0x10de, 0x144d, 0x1d16, 0x8085, 0x8087, 0xfffe};
	static struct pci_function function;

	for (unsigned i = 0; i < ARRAY_SIZE(vendors); i++) {
		struct pci_traits traits;

		function_make(&function, vendors[i], 0x0401, PCIE_ROOT_PORT);
		traits = traits_of(&function, NULL);
		assert_null(traits.acs_quirk);
		assert_null(traits.alias_quirk);
		assert_null(traits.bridge_quirk);
		assert_false(traits.isolates);
	}
}

TEST(quirks, table_is_in_order_and_complete)
{
	size_t count;
	const struct pci_quirk *table = pci_quirks_table(&count);

	for (size_t i = 0; i < count; i++) {
		assert_true(i == 0 || table[i - 1].vendor <= table[i].vendor);
		assert_true(table[i].first <= table[i].last);
		assert_true(table[i].since >= PCI_KERNEL(3, 6) && table[i].since <= PCI_KERNEL_LATEST);
		assert_true(strlen(table[i].name) > 5 && strlen(table[i].text) > 10);
		assert_int_not_equal(table[i].text[strlen(table[i].text) - 1], '.');
		assert_true(strlen(table[i].name) + strlen(table[i].text) < 150);
	}
}

/* ---- versions ---- */

static const struct {
	u16 vendor, device;
	int type;
	unsigned before, since; /* the last version without the row, and the first with it */
} versions[] = {
	{0x8086, 0x9a0b, PCIE_RC_ENDPOINT, PCI_KERNEL(5, 7), PCI_KERNEL(5, 8)},
	{0x1002, 0x4385, PCIE_ENDPOINT, PCI_KERNEL(3, 10), PCI_KERNEL(3, 11)},
	{0x1022, 0x780f, PCIE_ENDPOINT, PCI_KERNEL(3, 16), PCI_KERNEL(3, 18)},
	{0x8086, 0x1e10, PCIE_ROOT_PORT, PCI_KERNEL(3, 14), PCI_KERNEL(3, 15)},
	{0x8086, 0x1d10, PCIE_ROOT_PORT, PCI_KERNEL(3, 15), PCI_KERNEL(3, 16)},
	{0x8086, 0x8c90, PCIE_ROOT_PORT, PCI_KERNEL(4, 1), PCI_KERNEL(4, 2)},
	{0x8086, 0x10fb, PCIE_ENDPOINT, PCI_KERNEL(3, 16), PCI_KERNEL(3, 18)},
	{0x8086, 0x15b7, PCIE_ENDPOINT, PCI_KERNEL(4, 2), PCI_KERNEL(4, 3)},
	{0x17cb, 0x0400, PCIE_ROOT_PORT, PCI_KERNEL(4, 10), PCI_KERNEL(4, 12)},
	{0x10e8, 0xe004, PCIE_ROOT_PORT, PCI_KERNEL(4, 12), PCI_KERNEL(4, 14)},
	{0x1def, 0xe005, PCIE_ROOT_PORT, PCI_KERNEL(4, 14), PCI_KERNEL(4, 17)},
	{0x1dbf, 0x0401, PCIE_ROOT_PORT, PCI_KERNEL(5, 0), PCI_KERNEL(5, 2)},
	{0x1c36, 0x0031, PCIE_ROOT_PORT, PCI_KERNEL(5, 3), PCI_KERNEL(5, 7)},
	{0x14e4, 0xd714, PCIE_ROOT_PORT, PCI_KERNEL(5, 3), PCI_KERNEL(5, 7)},
	{0x177d, 0xaf84, PCIE_ROOT_PORT, PCI_KERNEL(5, 3), PCI_KERNEL(5, 7)},
	{0x1d17, 0x0710, PCIE_ROOT_PORT, PCI_KERNEL(5, 6), PCI_KERNEL(5, 7)},
	{0x14e4, 0x16d7, PCIE_ENDPOINT, PCI_KERNEL(5, 11), PCI_KERNEL(5, 14)},
	{0x1957, 0x8d80, PCIE_ROOT_PORT, PCI_KERNEL(5, 14), PCI_KERNEL(5, 15)},
	{0x177d, 0xa026, PCIE_ENDPOINT, PCI_KERNEL(5, 14), PCI_KERNEL(5, 15)},
	{0x14e4, 0x1750, PCIE_ENDPOINT, PCI_KERNEL(5, 17), PCI_KERNEL(6, 0)},
	{0x8088, 0x1001, PCIE_ENDPOINT, PCI_KERNEL(6, 2), PCI_KERNEL(6, 3)},
	{0x17cb, 0x0115, PCIE_ROOT_PORT, PCI_KERNEL(6, 11), PCI_KERNEL(6, 12)},
	{0x14e4, 0x1760, PCIE_ENDPOINT, PCI_KERNEL(6, 12), PCI_KERNEL(6, 13)},
	{0x0014, 0x3c09, PCIE_ROOT_PORT, PCI_KERNEL(6, 14), PCI_KERNEL(6, 16)},
	{0x17cb, 0x0111, PCIE_ROOT_PORT, PCI_KERNEL(6, 19), PCI_KERNEL(7, 0)},
};

static struct pci_traits traits_in(const struct pci_function *function, unsigned kernel)
{
	struct pci_traits traits;
	struct pci_rules *rules;
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_rules_new(kernel, &rules, &why));
	traits = traits_of(function, rules);
	pci_rules_free(rules);
	return traits;
}

TEST(quirks, rows_came_with_a_version)
{
	static struct pci_function function;

	for (unsigned i = 0; i < ARRAY_SIZE(versions); i++) {
		function_make(&function, versions[i].vendor, versions[i].device, versions[i].type);
		pci_set_multifunction(&function);
		if (traits_in(&function, versions[i].before).isolates)
			fail_msg("%04x:%04x too early", versions[i].vendor, versions[i].device);
		if (!traits_in(&function, versions[i].since).isolates)
			fail_msg("%04x:%04x too late", versions[i].vendor, versions[i].device);
	}
}

/* Linux: drivers/pci/quirks.c:quirk_no_bus_reset(), quirk_nvidia_no_bus_reset() */
static const struct {
	u16 vendor;
	const char *ids;
} never_reset[] = {
	{0x104c, "b005"}, {0x10de, "22ce 22d0 2340-237f"}, {0x168c, "0030 0032-0034 003c 003e"},
	{0x177d, "a100"}, {0x17cb, "0308 1103 1107"},	   {0x1b21, "1164"},
};

TEST(quirks, reset_rows_are_those_of_linux)
{
	static struct pci_function function;
	unsigned found = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(never_reset); i++) {
		for (unsigned id = 0; id < 0x10000; id++) {
			function_make(&function, never_reset[i].vendor, (u16)id, PCIE_ENDPOINT);
			if (!!pci_reset_quirk_of(&function, RESET_WAY_BUS) != lists(never_reset[i].ids, id))
				fail_msg("%04x:%04x", never_reset[i].vendor, id);
			found += pci_reset_quirk_of(&function, RESET_WAY_BUS) != NULL;
		}
	}
	assert_int_equal(found, 78);
	function_make(&function, 0x168c, 0x0030, PCIE_ENDPOINT);
	assert_null(traits_in(&function, PCI_KERNEL(3, 18)).reset_quirk[RESET_WAY_BUS]);
	assert_ptr_equal(traits_in(&function, PCI_KERNEL(3, 19)).reset_quirk[RESET_WAY_BUS],
			 pci_reset_quirk_of(&function, RESET_WAY_BUS));
}

/* Linux: drivers/pci/quirks.c:quirk_no_flr(), quirk_no_flr_snet(), quirk_no_pm_reset() */
static const struct {
	u16 vendor;
	enum pci_reset_way way;
	const char *ids;
	unsigned count;
} other_ways[] = {
	{0x1022, RESET_WAY_FLR, "1487 148c 149c 7901 1502 17f0", 6},
	{0x8086, RESET_WAY_FLR, "1502-1503", 2},
	{0x14c3, RESET_WAY_FLR, "0616 7925", 2},
	{0xd063, RESET_WAY_FLR, "1000", 1},
	{0x15b3, RESET_WAY_PM, "cb84 cf6c cf70 cf80", 4},
};

TEST(quirks, rows_of_other_resets_are_those_of_linux)
{
	static struct pci_function function, port;

	function_make(&port, 0x8086, 0x1901, PCIE_ROOT_PORT);
	for (unsigned i = 0; i < ARRAY_SIZE(other_ways); i++) {
		unsigned found = 0;

		for (unsigned id = 0; id < 0x10000; id++) {
			function_make(&function, other_ways[i].vendor, (u16)id, PCIE_ENDPOINT);
			function.parent = &port;
			function.config[PCI_REVISION] = 0x01;
			for (unsigned way = RESET_WAY_FLR; way < RESET_WAYS; way++) {
				bool has = pci_reset_quirk_of(&function, way);

				if (has != (way == other_ways[i].way && lists(other_ways[i].ids, id)))
					fail_msg("%04x:%04x, way %u", other_ways[i].vendor, id, way);
				found += has;
			}
		}
		assert_int_equal(found, other_ways[i].count);
	}
	function_make(&function, 0x1022, 0x7901, PCIE_ENDPOINT);
	assert_null(traits_in(&function, PCI_KERNEL(6, 2)).reset_quirk[RESET_WAY_FLR]);
	assert_ptr_equal(traits_in(&function, PCI_KERNEL(6, 3)).reset_quirk[RESET_WAY_FLR],
			 pci_reset_quirk_of(&function, RESET_WAY_FLR));
	function_make(&function, 0xd063, 0x1000, PCIE_ENDPOINT);
	function.config[PCI_REVISION] = 0x02;
	assert_null(pci_reset_quirk_of(&function, RESET_WAY_FLR));
}

/* On a root bus, whose reset is no way, a trip through D3hot that may do nothing is better than none. */
TEST(quirks, sleep_resets_atis_graphics_on_a_root_bus_alone)
{
	static struct pci_function function, port;
	u8 *control;

	function_make(&port, 0x8086, 0x1901, PCIE_ROOT_PORT);
	function_make(&function, 0x1002, 0x6611, PCIE_LEGACY_ENDPOINT);
	pci_add_pm(&function);
	put_u16(function.config + PCI_CLASS, 0x0300);
	control = function.config + function.cap_pm + 4;
	assert_false(pci_can_reset_by_sleep(&function)); /* No_Soft_Reset */
	put_u16(control, 0);
	assert_true(pci_can_reset_by_sleep(&function));
	function.parent = &port;
	assert_false(pci_can_reset_by_sleep(&function));
	put_u16(function.config + PCI_CLASS, 0x0403);
	assert_true(pci_can_reset_by_sleep(&function));
}

/* A list that grew: what is on it now was on the wrong side of it before. */
TEST(quirks, ports_not_yet_on_the_list_were_declared_not_isolating)
{
	static struct pci_function function;

	function_make(&function, 0x1d17, 0x0740, PCIE_ROOT_PORT);
	pci_add_acs(&function, PCI_ACS_ISOLATION, PCI_ACS_ISOLATION);
	assert_true(traits_in(&function, PCI_KERNEL(5, 6)).isolates);
	assert_false(traits_in(&function, PCI_KERNEL(6, 7)).isolates);
	assert_true(traits_in(&function, PCI_KERNEL(6, 8)).isolates);
	function_rename(&function, 0x8088, 0x5010);
	assert_true(traits_in(&function, PCI_KERNEL(6, 2)).isolates);
	assert_false(traits_in(&function, PCI_KERNEL(6, 12)).isolates);
	assert_string_equal(traits_in(&function, PCI_KERNEL(6, 12)).acs_quirk->name, "wangxun-other");
	assert_true(traits_in(&function, PCI_KERNEL(6, 13)).isolates);
}

/* ---- sections 3.3 and 3.6: registers that are not what they seem ---- */

static u8 *acs_registers(struct pci_function *function)
{
	return function->config + function->cap_acs;
}

TEST(quirks, sunrise_point_has_its_control_register_elsewhere)
{
	static struct pci_function function;
	struct pci_traits traits;

	function_make(&function, 0x8086, 0x9d10, PCIE_ROOT_PORT);
	pci_add_acs(&function, PCI_ACS_ISOLATION, 0);
	/* As text has it: not to be seen. */
	traits = traits_of(&function, NULL);
	assert_true(traits.isolates);
	EXPECT_SUBSTR("switched on", traits.acs_quirk->assumes);
	/* As the device has it. */
	put_u32(acs_registers(&function) + 8, PCI_ACS_ISOLATION);
	traits = traits_of(&function, NULL);
	assert_true(traits.isolates);
	assert_null(traits.acs_quirk->assumes);
	assert_int_equal(traits.acs_enabled, PCI_ACS_ISOLATION);
	put_u32(acs_registers(&function) + 8, PCI_ACS_SV | PCI_ACS_UF);
	traits = traits_of(&function, NULL);
	assert_false(traits.isolates);
	assert_int_equal(traits.acs_missing, PCI_ACS_RR | PCI_ACS_CR);
	/* Where the standard has it does not matter. */
	put_u16(acs_registers(&function) + 6, PCI_ACS_ISOLATION);
	assert_false(traits_of(&function, NULL).isolates);
	assert_true(traits_in(&function, PCI_KERNEL(4, 6)).isolates);
}

TEST(quirks, chipset_ports_assume_what_boot_did)
{
	static struct pci_function function;

	function_make(&function, 0x8086, 0x8c10, PCIE_ROOT_PORT);
	EXPECT_SUBSTR("at boot", traits_of(&function, NULL).acs_quirk->assumes);
	function_make(&function, 0x1002, 0x4385, PCIE_ENDPOINT);
	pci_set_multifunction(&function);
	EXPECT_SUBSTR("IVRS", traits_of(&function, NULL).acs_quirk->assumes);
}

TEST(quirks, idt_switches_are_not_asked_for_source_validation)
{
	static const u16 devices[] = {0x80b5, 0x8090};
	static struct pci_function function;

	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
		function_make(&function, 0x111d, 0x8091, PCIE_DOWNSTREAM_PORT);
		pci_add_acs(&function, PCI_ACS_ISOLATION, PCI_ACS_ISOLATION & ~PCI_ACS_SV);
		assert_int_equal(traits_of(&function, NULL).acs_missing, PCI_ACS_SV);
		assert_false(traits_of(&function, NULL).isolates);
		function_rename(&function, 0x111d, devices[i]);
		assert_int_equal(traits_of(&function, NULL).acs_missing, 0);
		assert_true(traits_of(&function, NULL).isolates);
		assert_int_equal(traits_of(&function, NULL).acs_capable, PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF);
		assert_false(traits_in(&function, PCI_KERNEL(6, 19)).isolates);
	}
}

TEST(quirks, virtual_functions_have_the_ids_of_their_physical_one)
{
	static struct pci_function physical, function;
	const struct pci_sriov sriov = {.initial = 1, .total = 1, .enabled = 1, .device = 0xa059};

	function_make(&physical, 0x177d, 0xa034, PCIE_ENDPOINT);
	pci_add_sriov(&physical, &sriov);
	function_make(&function, 0xffff, 0xffff, PCIE_ENDPOINT);
	assert_null(traits_of(&function, NULL).acs_quirk);
	function.physical = &physical;
	assert_string_equal(traits_of(&function, NULL).acs_quirk->name, "no-peer-to-peer");
	/* And are alone, whatever their header says. */
	put_u16(physical.config + PCI_VENDOR_ID, 0x1af4);
	function.multifunction = true;
	assert_int_equal(traits_of(&function, NULL).ground, ACS_GROUND_ALONE);
}

/* ---- section 2.1 ---- */

static const struct {
	u16 vendor;
	const char *ids;
	unsigned own;	  /* function number; its slot is 5 */
	const char *uses; /* "05.1"; "" none */
	unsigned since;
} aliases[] = {
	{0x1180, "e832 e476", 3, "05.0", PCI_KERNEL(3, 6)},
	{0x1180, "e832 e476", 0, "", 0},
	{0x1180, "e833", 3, "", 0},
	{0x6766, "3d40 3d41", 1, "05.0", PCI_KERNEL(6, 12)},
	{0x6766, "3d40 3d41", 0, "", 0},
	{0x1b4b, "9123 9130 9172 917a 91a0 9230", 0, "05.1", PCI_KERNEL(3, 16)},
	{0x1b4b, "9128 9220", 0, "05.1", PCI_KERNEL(4, 16)},
	{0x1b4b, "9215", 0, "05.1", PCI_KERNEL(5, 11)},
	{0x1b4b, "9120 9125 9170 9182 9183", 0, "05.1", 0},
	{0x1b4b, "9235", 0, "05.1", PCI_KERNEL(6, 5)},
	{0x1b4b, "9123", 1, "", 0},
	{0x1b4b, "9123", 2, "05.1", 0},
	{0x1b4b, "9122 9124 9236", 0, "", 0},
	{0x1103, "0642 0645", 0, "05.1", 0},
	{0x197b, "2392", 0, "05.1", PCI_KERNEL(3, 16)},
	{0x1c28, "0122", 0, "05.1", 0},
	{0x9005, "0285", 0, "", 0},
	{0x8086, "2260 2264", 0, "10.0 11.0 12.3", PCI_KERNEL(4, 7)},
	{0x8086, "2261 2957", 0, "", 0},
	{0x11f8, "8531", 0, "", 0},
};

static void print_ids(const struct pci_traits *traits, char text[static 2048])
{
	*text = '\0';
	for (unsigned devfn = 0; devfn < 256; devfn++)
		if (traits->other_ids[devfn / 64] >> devfn % 64 & 1)
			sprintf(text + strlen(text), "%s%02x.%x", *text ? " " : "", devfn >> 3, devfn & 7);
}

TEST(quirks, alias_rows_are_those_of_the_specification)
{
	static struct pci_function function;
	char text[2048];

	for (unsigned i = 0; i < ARRAY_SIZE(aliases); i++) {
		const char *list = aliases[i].ids;
		unsigned first, last;

		while ((list = next_ids(list, &first, &last))) {
			struct pci_traits traits;

			function_make(&function, aliases[i].vendor, (u16)first, PCIE_ENDPOINT);
			function.addr.devfn = pci_devfn(5, aliases[i].own);
			traits = traits_of(&function, NULL);
			print_ids(&traits, text);
			assert_string_equal(text, aliases[i].uses);
			assert_int_equal(traits.uses_other_ids, *text != '\0');
			assert_int_equal(traits.alias_quirk != NULL, *text != '\0');
			if (aliases[i].since > PCI_KERNEL(3, 6))
				assert_false(traits_in(&function, aliases[i].since - 1).uses_other_ids);
			if (aliases[i].since)
				assert_true(traits_in(&function, aliases[i].since).uses_other_ids);
		}
	}
}

TEST(quirks, bridges_between_hosts_use_many_ids)
{
	static const u16 vca[] = {0x2954, 0x2955, 0x2956, 0x2958, 0x2959, 0x295a};
	static struct pci_function function;
	struct pci_traits traits;

	for (unsigned i = 0; i < ARRAY_SIZE(vca); i++) {
		function_make(&function, 0x8086, vca[i], PCIE_ENDPOINT);
		traits = traits_of(&function, NULL);
		/* Functions 0 to 4 of every slot, but for its own id, 05.0. */
		for (unsigned devfn = 0; devfn < 256; devfn++)
			assert_int_equal(traits.other_ids[devfn / 64] >> devfn % 64 & 1,
					 (devfn & 7) <= 4 && devfn != pci_devfn(5, 0));
	}
	for (u16 device = 0x87b0; device <= 0x87b1; device++) {
		function_make(&function, 0x10b5, device, PCIE_ENDPOINT);
		traits = traits_of(&function, NULL);
		assert_int_equal(traits.other_ids[0], ~BIT(pci_devfn(5, 0)));
		assert_true((traits.other_ids[1] & traits.other_ids[2] & traits.other_ids[3]) == UINT64_MAX);
	}
}

TEST(quirks, adaptec_by_its_subsystem)
{
	static const struct {
		u16 vendor, subsystem;
		bool uses;
	} boards[] = {{0x9005, 0x02bb, true}, {0x9005, 0x02bc, true}, {0x9005, 0x02bd, false}, {0x1028, 0x02bb, false}};
	static struct pci_function function;
	char text[2048];

	for (unsigned i = 0; i < ARRAY_SIZE(boards); i++) {
		struct pci_traits traits;

		function_make(&function, 0x9005, 0x0285, CONVENTIONAL);
		put_u16(function.config + PCI_SUBSYSTEM_VENDOR, boards[i].vendor);
		put_u16(function.config + PCI_SUBSYSTEM, boards[i].subsystem);
		traits = traits_of(&function, NULL);
		print_ids(&traits, text);
		assert_string_equal(text, boards[i].uses ? "01.0" : "");
	}
}

TEST(quirks, switchtec_ids_cannot_be_seen_and_it_says_so)
{
	static const struct {
		u16 vendor;
		const char *ids;
	} families[] = {{0x11f8, "8531-8536 8541-8546 8551-8556 8561-8566 8571-8576 4000 4284 4328 4552 5000 5584"},
			{0x1055, "1001-1006"}};
	static struct pci_function function;

	for (unsigned i = 0; i < ARRAY_SIZE(families); i++) {
		const char *list = families[i].ids;
		unsigned first, last;

		while ((list = next_ids(list, &first, &last)))
			for (unsigned id = first; id <= last; id++) {
				function_make(&function, families[i].vendor, (u16)id, PCIE_ENDPOINT);
				assert_null(traits_of(&function, NULL).alias_quirk);
				put_u16(function.config + PCI_CLASS, 0x0680);
				EXPECT_SUBSTR("cannot be read", traits_of(&function, NULL).alias_quirk->assumes);
				assert_false(traits_of(&function, NULL).uses_other_ids);
			}
	}
}

/* ---- section 2.2 ---- */

static enum pci_bridge_ids ids_of(u16 vendor, u16 device, int type, int above)
{
	static struct pci_function bridge, parent;

	function_make(&parent, 0x1af4, 1, above);
	function_make(&bridge, vendor, device, type);
	pci_make_bridge(&bridge, 4, 4);
	bridge.parent = above < 0 ? NULL : &parent;
	return traits_of(&bridge, NULL).ids;
}

TEST(quirks, bridges_without_rows)
{
	assert_int_equal(ids_of(0x1af4, 2, PCIE_ROOT_PORT, -1), BRIDGE_IDS_PASS);
	assert_int_equal(ids_of(0x1af4, 2, PCIE_UPSTREAM_PORT, PCIE_ROOT_PORT), BRIDGE_IDS_PASS);
	assert_int_equal(ids_of(0x1af4, 2, PCIE_DOWNSTREAM_PORT, PCIE_ROOT_PORT), BRIDGE_IDS_PASS);
	assert_int_equal(ids_of(0x1af4, 2, PCIE_ENDPOINT, PCIE_ROOT_PORT), BRIDGE_IDS_PASS);
	assert_int_equal(ids_of(0x1af4, 2, PCIE_TO_PCI_BRIDGE, PCIE_ROOT_PORT), BRIDGE_IDS_SECONDARY);
	assert_int_equal(ids_of(0x1af4, 2, PCI_TO_PCIE_BRIDGE, PCIE_ROOT_PORT), BRIDGE_IDS_OWN);
	assert_int_equal(ids_of(0x1af4, 2, CONVENTIONAL, PCIE_ROOT_PORT), BRIDGE_IDS_OWN);
}

TEST(quirks, bridges_that_hide_pci_express)
{
	static const u16 ids[][2] = {
		{0x1b21, 0x1080}, {0x10e3, 0x8113}, {0x1283, 0x8892}, {0x1283, 0x8893}, {0x8086, 0x244e}};

	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
		assert_int_equal(ids_of(ids[i][0], ids[i][1], CONVENTIONAL, PCIE_ROOT_PORT), BRIDGE_IDS_SECONDARY);
		assert_int_equal(ids_of(ids[i][0], ids[i][1], CONVENTIONAL, PCIE_TO_PCI_BRIDGE), BRIDGE_IDS_OWN);
		assert_int_equal(ids_of(ids[i][0], ids[i][1], CONVENTIONAL, CONVENTIONAL), BRIDGE_IDS_OWN);
		assert_int_equal(ids_of(ids[i][0], ids[i][1], CONVENTIONAL, -1), BRIDGE_IDS_OWN);
		assert_int_equal(ids_of(ids[i][0], ids[i][1], PCI_TO_PCIE_BRIDGE, PCIE_ROOT_PORT), BRIDGE_IDS_OWN);
	}
}

TEST(quirks, bridges_that_leave_ids_alone_or_stop_the_walk)
{
	assert_int_equal(ids_of(0x1a03, 0x1150, PCIE_TO_PCI_BRIDGE, PCIE_ROOT_PORT), BRIDGE_IDS_PASS);
	assert_int_equal(ids_of(0x1a03, 0x1150, CONVENTIONAL, PCIE_ROOT_PORT), BRIDGE_IDS_OWN);
	assert_int_equal(ids_of(0x14e4, 0x9000, PCIE_TO_PCI_BRIDGE, -1), BRIDGE_IDS_ROOT);
	assert_int_equal(ids_of(0x14e4, 0x9084, CONVENTIONAL, -1), BRIDGE_IDS_ROOT);
	assert_int_equal(ids_of(0x14e4, 0x9085, PCIE_TO_PCI_BRIDGE, -1), BRIDGE_IDS_SECONDARY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(quirks, acs_rows_are_those_of_the_specification),
		CASE(quirks, vendors_without_a_row_are_left_alone),
		CASE(quirks, table_is_in_order_and_complete),
		CASE(quirks, rows_came_with_a_version),
		CASE(quirks, reset_rows_are_those_of_linux),
		CASE(quirks, rows_of_other_resets_are_those_of_linux),
		CASE(quirks, sleep_resets_atis_graphics_on_a_root_bus_alone),
		CASE(quirks, ports_not_yet_on_the_list_were_declared_not_isolating),
		CASE(quirks, sunrise_point_has_its_control_register_elsewhere),
		CASE(quirks, chipset_ports_assume_what_boot_did),
		CASE(quirks, idt_switches_are_not_asked_for_source_validation),
		CASE(quirks, virtual_functions_have_the_ids_of_their_physical_one),
		CASE(quirks, alias_rows_are_those_of_the_specification),
		CASE(quirks, bridges_between_hosts_use_many_ids),
		CASE(quirks, adaptec_by_its_subsystem),
		CASE(quirks, switchtec_ids_cannot_be_seen_and_it_says_so),
		CASE(quirks, bridges_without_rows),
		CASE(quirks, bridges_that_hide_pci_express),
		CASE(quirks, bridges_that_leave_ids_alone_or_stop_the_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
