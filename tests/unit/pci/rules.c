/* SPDX-License-Identifier: MIT */
/* Versions, what the registers say where no quirk knows better, shared ids. Quirks: quirks.c; overrides: overrides.c.
 */
#include "tests/helpers.h"

#include "tests/fixtures/functions.h"

#define ALL PCI_ACS_ISOLATION

/* ---- versions ---- */

TEST(rules, versions_that_exist_are_understood)
{
	static const struct {
		const char *text;
		unsigned kernel;
	} versions[] = {
		{"5.8", PCI_KERNEL(5, 8)},   {"7.2", PCI_KERNEL_LATEST},    {"3.6", PCI_KERNEL(3, 6)},
		{"3.19", PCI_KERNEL(3, 19)}, {"6.1.165", PCI_KERNEL(6, 1)}, {"4.20", PCI_KERNEL(4, 20)},
		{"7.0", PCI_KERNEL(7, 0)},
	};
	struct why why = WHY_INIT;

	for (unsigned i = 0; i < ARRAY_SIZE(versions); i++) {
		unsigned kernel = 0;

		ASSERT_OK(why, pci_kernel_parse(versions[i].text, &kernel, &why));
		assert_int_equal(kernel, versions[i].kernel);
	}
}

TEST(rules, other_versions_are_refused_by_name)
{
	static const char *const versions[] = {"",	"7",	   "7.",     ".2",     "7.2.",	"7.2-rc1",
					       "v7.2",	"7,2",	   " 7.2",   "7.2 ",   "7.x",	"-7.2",
					       "0x7.2", "7.2.1.1", "latest", "1234.1", "6.1234"};
	static const char *const missing[] = {"3.5", "2.6", "3.20", "4.21", "5.20", "6.20", "7.3", "8.0", "0.0"};
	struct why why = WHY_INIT;
	unsigned kernel = 77;

	for (unsigned i = 0; i < ARRAY_SIZE(versions); i++) {
		EXPECT_REFUSED(RULES_INVALID, why, pci_kernel_parse(versions[i], &kernel, &why));
		EXPECT_SUBSTR("is no version of Linux", why.text);
		EXPECT_SUBSTR(versions[i], why.text);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(missing); i++) {
		EXPECT_REFUSED(RULES_INVALID, why, pci_kernel_parse(missing[i], &kernel, &why));
		EXPECT_SUBSTR("there are no rules of Linux ", why.text);
		EXPECT_SUBSTR(missing[i], why.text);
	}
	assert_int_equal(kernel, 77);
}

TEST(rules, no_rules_are_those_of_the_latest)
{
	static struct pci_function function;
	struct pci_rules *rules;
	struct why why = WHY_INIT;

	assert_int_equal(pci_rules_kernel(NULL), PCI_KERNEL(7, 2));
	ASSERT_OK(why, pci_rules_new(PCI_KERNEL(5, 8), &rules, &why));
	assert_int_equal(pci_rules_kernel(rules), PCI_KERNEL(5, 8));
	function_make(&function, 0x1957, 0x8d80, PCIE_ROOT_PORT);
	assert_true(traits_of(&function, NULL).isolates);
	assert_false(traits_of(&function, rules).isolates);
	assert_false(pci_rules_names(NULL, &function));
	pci_rules_free(rules);
	pci_rules_free(NULL);
}

/* ---- section 3.2 ---- */

static const struct {
	int type;
	bool multifunction;
	u16 acs;
	enum pci_acs_ground ground;
	bool isolates;
} kinds[] = {
	{CONVENTIONAL, false, 0, ACS_GROUND_CONVENTIONAL, false},
	{CONVENTIONAL, true, 0, ACS_GROUND_CONVENTIONAL, false},
	{PCIE_TO_PCI_BRIDGE, false, ALL, ACS_GROUND_BRIDGE, false},
	{PCI_TO_PCIE_BRIDGE, false, ALL, ACS_GROUND_BRIDGE, false},
	{PCIE_RC_EVENT_COLLECTOR, false, ALL, ACS_GROUND_BRIDGE, false},
	{PCIE_ROOT_PORT, false, 0, ACS_GROUND_NO_CAPABILITY, false},
	{PCIE_ROOT_PORT, false, ALL, ACS_GROUND_REGISTERS, true},
	{PCIE_DOWNSTREAM_PORT, false, 0, ACS_GROUND_NO_CAPABILITY, false},
	{PCIE_DOWNSTREAM_PORT, true, ALL, ACS_GROUND_REGISTERS, true},
	{PCIE_ENDPOINT, false, 0, ACS_GROUND_ALONE, true},
	{PCIE_ENDPOINT, true, 0, ACS_GROUND_NO_CAPABILITY, false},
	{PCIE_ENDPOINT, true, PCI_ACS_RR | PCI_ACS_CR, ACS_GROUND_REGISTERS, true},
	{PCIE_LEGACY_ENDPOINT, false, 0, ACS_GROUND_ALONE, true},
	{PCIE_LEGACY_ENDPOINT, true, 0, ACS_GROUND_NO_CAPABILITY, false},
	{PCIE_UPSTREAM_PORT, false, 0, ACS_GROUND_ALONE, true},
	{PCIE_UPSTREAM_PORT, true, 0, ACS_GROUND_NO_CAPABILITY, false},
	{PCIE_RC_ENDPOINT, false, 0, ACS_GROUND_ALONE, true},
	{PCIE_RC_ENDPOINT, true, 0, ACS_GROUND_NO_CAPABILITY, false},
	{0xd, false, 0, ACS_GROUND_ALONE, true}, /* a type that no specification has */
	{0xd, true, 0, ACS_GROUND_ALONE, true},
};

TEST(rules, kinds_of_functions)
{
	static struct pci_function function;

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct pci_traits traits;

		function_make(&function, 0x1af4, 1, kinds[i].type);
		function.multifunction = kinds[i].multifunction;
		if (kinds[i].acs)
			pci_add_acs(&function, kinds[i].acs, kinds[i].acs);
		traits = traits_of(&function, NULL);
		if (traits.ground != kinds[i].ground || traits.isolates != kinds[i].isolates)
			fail_msg("row %u: ground %d, isolates %d", i, traits.ground, traits.isolates);
		assert_int_equal(traits.acs_missing, kinds[i].acs ? 0 : ALL);
	}
}

TEST(rules, missing_is_what_it_could_and_does_not)
{
	static struct pci_function function;
	struct pci_traits traits;

	function_make(&function, 0x1af4, 1, PCIE_ROOT_PORT);
	pci_add_acs(&function, PCI_ACS_SV | PCI_ACS_TB | PCI_ACS_RR | PCI_ACS_CR, PCI_ACS_RR);
	traits = traits_of(&function, NULL);
	assert_false(traits.isolates);
	assert_int_equal(traits.acs_capable, PCI_ACS_SV | PCI_ACS_TB | PCI_ACS_RR | PCI_ACS_CR);
	assert_int_equal(traits.acs_enabled, PCI_ACS_RR);
	assert_int_equal(traits.acs_missing, PCI_ACS_SV | PCI_ACS_CR);
}

/* ---- section 3.6, step 1 ---- */

TEST(rules, arming_switches_on_what_there_is)
{
	static struct pci_function function;
	struct pci_rules *rules;
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_rules_new(PCI_KERNEL_LATEST, &rules, &why));
	function_make(&function, 0x1af4, 1, PCIE_ROOT_PORT);
	pci_add_acs(&function, PCI_ACS_SV | PCI_ACS_TB | PCI_ACS_RR | PCI_ACS_CR, 0);
	assert_false(traits_of(&function, rules).isolates);
	pci_rules_arm_acs(rules, true);
	assert_true(traits_of(&function, rules).isolates);
	assert_int_equal(traits_of(&function, rules).acs_enabled, PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR);
	/* No capability, nothing to switch on. */
	function_make(&function, 0x1af4, 1, PCIE_ROOT_PORT);
	assert_false(traits_of(&function, rules).isolates);
	assert_int_equal(traits_of(&function, rules).acs_enabled, 0);
	/* What is wired to be off stays off. */
	function_make(&function, 0x111d, 0x80b5, PCIE_DOWNSTREAM_PORT);
	pci_add_acs(&function, ALL, 0);
	assert_int_equal(traits_of(&function, rules).acs_enabled, ALL & ~PCI_ACS_SV);
	pci_rules_free(rules);
}

TEST(rules, arming_leaves_standard_registers_of_chipset_ports_alone)
{
	static struct pci_function function;
	struct pci_rules *rules;
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_rules_new(PCI_KERNEL_LATEST, &rules, &why));
	pci_rules_arm_acs(rules, true);
	function_make(&function, 0x8086, 0x8c10, PCIE_ROOT_PORT);
	pci_add_acs(&function, ALL, 0);
	assert_int_equal(traits_of(&function, rules).acs_enabled, 0);
	assert_true(traits_of(&function, rules).isolates);
	/* Sunrise Point: the displaced register, which is then known to be on. */
	function_rename(&function, 0x8086, 0xa110);
	assert_int_equal(traits_of(&function, rules).acs_enabled, ALL);
	assert_null(traits_of(&function, rules).acs_quirk->assumes);
	pci_rules_free(rules);
}

/* ---- section 2.3 ---- */

TEST(rules, ids_are_shared_both_ways_on_one_bus)
{
	static struct pci_function marvell, other;
	struct pci_traits a, b;

	function_make(&marvell, 0x1b4b, 0x9123, PCIE_ENDPOINT);
	function_make(&other, 0x1af4, 1, PCIE_ENDPOINT);
	other.addr.devfn = pci_devfn(5, 1);
	a = traits_of(&marvell, NULL);
	b = traits_of(&other, NULL);
	assert_true(pci_share_id(&marvell, &a, &other, &b));
	assert_true(pci_share_id(&other, &b, &marvell, &a));
	other.addr.devfn = pci_devfn(5, 2);
	assert_false(pci_share_id(&marvell, &a, &other, &b));
	other.addr.devfn = pci_devfn(5, 1);
	other.addr.bus++;
	assert_false(pci_share_id(&marvell, &a, &other, &b));
	other.addr.bus--;
	other.addr.segment++;
	assert_false(pci_share_id(&marvell, &a, &other, &b));
}

TEST(rules, who_makes_another_s_requests_shares_its_id)
{
	static struct pci_function endpoint, child;
	struct pci_traits a, b;

	function_make(&endpoint, 0x1af4, 1, PCIE_ENDPOINT);
	function_make(&child, 0x1af4, 1, PCIE_ENDPOINT);
	child.addr.devfn = pci_devfn(6, 0);
	a = traits_of(&endpoint, NULL);
	b = traits_of(&child, NULL);
	assert_false(pci_share_id(&endpoint, &a, &child, &b));
	child.dma_device = &endpoint;
	assert_true(pci_share_id(&endpoint, &a, &child, &b));
	assert_true(pci_share_id(&child, &b, &endpoint, &a));
}

TEST(rules, phantom_functions_by_capability_and_control)
{
	static const struct {
		u32 supported; /* bits 4:3 of Device Capabilities */
		unsigned own;
		u8 phantoms;
	} cases[] = {{0, 0, 0x00}, {1, 0, 0x10}, {1, 2, 0x40}, {2, 0, 0x54}, {2, 1, 0xa8}, {3, 0, 0xfe}};
	static struct pci_function function;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		u8 *registers;

		function_make(&function, 0x1af4, 1, PCIE_ENDPOINT);
		function.addr.devfn = pci_devfn(5, cases[i].own);
		registers = function.config + function.cap_pcie;
		put_u32(registers + 4, (get_u32(registers + 4) & ~0x18u) | cases[i].supported << 3);
		put_u16(registers + 8, 0);
		assert_int_equal(pci_phantom_functions(&function), 0);
		put_u16(registers + 8, 0x0200);
		assert_int_equal(pci_phantom_functions(&function), cases[i].phantoms);
	}
	function_make(&function, 0x1af4, 1, CONVENTIONAL);
	assert_int_equal(pci_phantom_functions(&function), 0);
}

TEST(rules, bits_are_printed_by_name)
{
	char text[PCI_ACS_TEXT];

	assert_string_equal(pci_acs_print(0, text), "");
	assert_string_equal(pci_acs_print(PCI_ACS_ISOLATION, text), "SV RR CR UF");
	assert_string_equal(pci_acs_print(PCI_ACS_DT, text), "DT");
	assert_string_equal(pci_acs_print(0xffff, text), "SV TB RR CR UF EC DT");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(rules, versions_that_exist_are_understood),
		CASE(rules, other_versions_are_refused_by_name),
		CASE(rules, no_rules_are_those_of_the_latest),
		CASE(rules, kinds_of_functions),
		CASE(rules, missing_is_what_it_could_and_does_not),
		CASE(rules, arming_switches_on_what_there_is),
		CASE(rules, arming_leaves_standard_registers_of_chipset_ports_alone),
		CASE(rules, ids_are_shared_both_ways_on_one_bus),
		CASE(rules, who_makes_another_s_requests_shares_its_id),
		CASE(rules, phantom_functions_by_capability_and_control),
		CASE(rules, bits_are_printed_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
