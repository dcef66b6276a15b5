/* SPDX-License-Identifier: MIT */
/* What-ifs and pieces of a kernel command line: each form, and each way to get one wrong. */
#include "tests/helpers.h"

#include "pci/overrides.h"
#include "tests/fixtures/functions.h"

#define ALL PCI_ACS_ISOLATION

static struct pci_rules *rules_new(unsigned kernel)
{
	struct pci_rules *rules;
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_rules_new(kernel, &rules, &why));
	return rules;
}

static struct pci_rules *rules_of(const char *text)
{
	struct pci_rules *rules = rules_new(PCI_KERNEL_LATEST);
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_rules_add(rules, text, &why));
	return rules;
}

/* The function, 0000:03:05.0 and 1af4:0001 if not said otherwise, when text is asked. */
static struct pci_traits traits_if(const struct pci_function *function, const char *text)
{
	struct pci_rules *rules = rules_of(text);
	struct pci_traits traits = traits_of(function, rules);

	pci_rules_free(rules);
	return traits;
}

static bool names(const struct pci_function *function, const char *text)
{
	struct pci_rules *rules = rules_of(text);
	bool named = pci_rules_names(rules, function);

	pci_rules_free(rules);
	return named;
}

static void port_make(struct pci_function *function, u16 capable, u16 enabled)
{
	function_make(function, 0x1af4, 1, PCIE_ROOT_PORT);
	if (capable)
		pci_add_acs(function, capable, enabled);
}

/* ---- acs=, no-acs=, quirk=, alias= ---- */

TEST(overrides, acs_is_as_if_it_were_there_and_on)
{
	static struct pci_function function;
	struct pci_traits traits;

	port_make(&function, 0, 0);
	traits = traits_if(&function, "acs=0000:03:05.0");
	assert_true(traits.isolates);
	assert_int_equal(traits.ground, ACS_GROUND_REGISTERS);
	assert_int_equal(traits.acs_capable, ALL);
	assert_int_equal(traits.acs_missing, 0);
	assert_true(traits_if(&function, "acs=03:05.0").isolates);
	assert_false(traits_if(&function, "acs=03:05.1").isolates);
	assert_false(traits_if(&function, "acs=0001:03:05.0").isolates);
	/* Registers do not help where Linux does not look at them. */
	function_make(&function, 0x1af4, 1, CONVENTIONAL);
	assert_false(traits_if(&function, "acs=03:05.0").isolates);
	function_make(&function, 0x1d17, 0x0800, PCIE_ROOT_PORT);
	assert_false(traits_if(&function, "acs=03:05.0").isolates);
}

TEST(overrides, no_acs_is_as_if_it_were_not_there)
{
	static struct pci_function function;

	port_make(&function, ALL, ALL);
	assert_true(traits_of(&function, NULL).isolates);
	assert_false(traits_if(&function, "no-acs=03:05.0").isolates);
	assert_int_equal(traits_if(&function, "no-acs=03:05.0").ground, ACS_GROUND_NO_CAPABILITY);
	assert_int_equal(traits_if(&function, "no-acs=03:05.0").acs_missing, ALL);
	/* Sunrise Point needs a capability for its quirk. */
	function_rename(&function, 0x8086, 0x9d10);
	assert_false(traits_if(&function, "no-acs=03:05.0").isolates);
	assert_true(traits_if(&function, "acs=03:05.0").isolates);
}

TEST(overrides, what_is_said_last_counts)
{
	struct pci_rules *rules = rules_of("acs=03:05.0");
	static struct pci_function function;
	struct why why = WHY_INIT;

	port_make(&function, 0, 0);
	ASSERT_OK(why, pci_rules_add(rules, "no-acs=03:05.0", &why));
	assert_false(traits_of(&function, rules).isolates);
	ASSERT_OK(why, pci_rules_add(rules, "acs=03:05.0", &why));
	assert_true(traits_of(&function, rules).isolates);
	/* A quirk wins over registers. */
	ASSERT_OK(why, pci_rules_add(rules, "quirk=03:05.0", &why));
	ASSERT_OK(why, pci_rules_add(rules, "no-acs=03:05.0", &why));
	assert_true(traits_of(&function, rules).isolates);
	pci_rules_free(rules);
}

TEST(overrides, quirk_isolates_by_address_or_ids)
{
	static struct pci_function function;

	function_make(&function, 0x1d17, 0x0800, PCIE_ROOT_PORT);
	assert_false(traits_of(&function, NULL).isolates);
	assert_true(traits_if(&function, "quirk=03:05.0").isolates);
	assert_true(traits_if(&function, "quirk=1d17:0800").isolates);
	assert_true(traits_if(&function, "quirk=1D17:800").isolates);
	assert_false(traits_if(&function, "quirk=1d17:0801").isolates);
	assert_int_equal(traits_if(&function, "quirk=1d17:0800").acs_quirk->kind, QUIRK_USER);
	assert_string_equal(traits_if(&function, "quirk=1d17:0800").acs_quirk->name, "quirk=");
	function_make(&function, 0x1af4, 1, CONVENTIONAL);
	assert_true(traits_if(&function, "quirk=03:05.0").isolates);
}

TEST(overrides, alias_adds_an_id)
{
	static struct pci_function function;
	struct pci_traits traits;

	function_make(&function, 0x1b4b, 0x9123, PCIE_ENDPOINT);
	traits = traits_if(&function, "alias=0000:03:05.0,1f.7");
	assert_true(traits.uses_other_ids);
	assert_int_equal(traits.other_ids[0], BIT(pci_devfn(5, 1)));
	assert_int_equal(traits.other_ids[3], BIT(63));
	assert_string_equal(traits.alias_quirk->name, "alias=");
	/* Its own id is no other. */
	function_rename(&function, 0x1af4, 1);
	assert_false(traits_if(&function, "alias=03:05.0,05.0").uses_other_ids);
}

/* ---- the pcie_acs_override patch ---- */

static const struct {
	int type;
	bool multifunction;
	u16 acs;
	const char *by; /* of the two words, the one that helps; NULL: none */
} patched[] = {
	{PCIE_ROOT_PORT, false, 0, "downstream"},
	{PCIE_DOWNSTREAM_PORT, true, 0, "downstream"},
	{PCIE_ROOT_PORT, false, ALL, NULL},
	{PCIE_UPSTREAM_PORT, true, 0, "multifunction"},
	{PCIE_ENDPOINT, true, 0, "multifunction"},
	{PCIE_LEGACY_ENDPOINT, true, 0, "multifunction"},
	{PCIE_RC_ENDPOINT, true, 0, "multifunction"},
	{PCIE_ENDPOINT, true, ALL, NULL},
	{PCIE_TO_PCI_BRIDGE, false, 0, NULL},
	{PCIE_RC_EVENT_COLLECTOR, true, 0, NULL},
	{CONVENTIONAL, true, 0, NULL},
};

static void expect_patched(const struct pci_function *function, const char *text, bool helps)
{
	struct pci_traits traits = traits_if(function, text);

	if (traits.isolates != helps || (traits.acs_quirk != NULL) != helps || names(function, text) != helps)
		fail_msg("%s, type %d: isolates %d", text, function->cap_pcie ? (int)pcie_type(function) : -1,
			 traits.isolates);
	if (helps)
		EXPECT_SUBSTR("pcie_acs_override=", traits.acs_quirk->name);
}

TEST(overrides, patch_helps_only_without_a_capability)
{
	static struct pci_function function;

	for (unsigned i = 0; i < ARRAY_SIZE(patched); i++) {
		const char *by = patched[i].by ? patched[i].by : "";

		function_make(&function, 0x1af4, 1, patched[i].type);
		function.multifunction = patched[i].multifunction;
		if (patched[i].acs)
			pci_add_acs(&function, patched[i].acs, 0);
		expect_patched(&function, "override=downstream", strcmp(by, "downstream") == 0);
		expect_patched(&function, "override=multifunction", strcmp(by, "multifunction") == 0);
		expect_patched(&function, "pcie_acs_override=downstream,multifunction", *by);
	}
}

TEST(overrides, patch_by_ids_serves_any_pci_express_function_without_acs)
{
	static struct pci_function function;

	function_make(&function, 0x1af4, 0x1041, PCIE_TO_PCI_BRIDGE);
	expect_patched(&function, "override=id:1af4:1041", true);
	expect_patched(&function, "override=id:1af4:1042", false);
	expect_patched(&function, "override=id:10de:1,id:1af4:1041", true);
	pci_add_acs(&function, ALL, 0);
	assert_null(traits_if(&function, "override=id:1af4:1041").acs_quirk);
	function_make(&function, 0x1af4, 0x1041, CONVENTIONAL);
	assert_null(traits_if(&function, "override=id:1af4:1041").acs_quirk);
}

/* The patch adds the last row of the table, so what an earlier one says stands. */
TEST(overrides, patch_comes_after_the_table)
{
	static struct pci_function function;

	function_make(&function, 0x1d17, 0x0800, PCIE_ROOT_PORT);
	assert_string_equal(traits_if(&function, "override=downstream").acs_quirk->name, "zhaoxin-other-port");
	function_make(&function, 0x8086, 0x0a00, PCIE_RC_ENDPOINT);
	function.multifunction = true;
	assert_string_equal(traits_if(&function, "override=multifunction").acs_quirk->name, "intel-rciep");
}

/* ---- config_acs=, disable_acs_redir= ---- */

TEST(overrides, config_acs_sets_bits_from_the_right)
{
	static const struct {
		const char *bits;
		u16 enabled;
	} cases[] = {
		{"1", PCI_ACS_SV | PCI_ACS_RR},
		{"0", PCI_ACS_RR},
		{"xxxxxxx", PCI_ACS_SV | PCI_ACS_RR},
		{"X1x0x", PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR},
		{"0000000", 0},
		{"1111111", ALL}, /* the rest is not in the capability */
		{"11101", ALL},
	};
	static struct pci_function function;
	char text[64];

	port_make(&function, ALL, PCI_ACS_SV | PCI_ACS_RR);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "pci=config_acs=%s@3:5.0", cases[i].bits);
		assert_int_equal(traits_if(&function, text).acs_enabled, cases[i].enabled);
	}
	assert_true(traits_if(&function, "config_acs=11101@3:5.0").isolates);
	/* Without a capability there is nothing to set. */
	port_make(&function, 0, 0);
	assert_false(traits_if(&function, "config_acs=11101@3:5.0").isolates);
}

/* Both start from what firmware left, that is, from what was seen, and so undo what arming switched on. */
TEST(overrides, command_line_starts_from_firmware)
{
	struct pci_rules *rules = rules_new(PCI_KERNEL_LATEST);
	static struct pci_function function;
	struct why why = WHY_INIT;

	pci_rules_arm_acs(rules, true);
	port_make(&function, ALL | PCI_ACS_EC, PCI_ACS_UF | PCI_ACS_RR | PCI_ACS_EC);
	assert_true(traits_of(&function, rules).isolates);
	ASSERT_OK(why, pci_rules_add(rules, "pci=disable_acs_redir=pci:1af4:1", &why));
	assert_int_equal(traits_of(&function, rules).acs_enabled, PCI_ACS_UF);
	assert_int_equal(traits_of(&function, rules).acs_missing, PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR);
	ASSERT_OK(why, pci_rules_add(rules, "pci=config_acs=1x@pci:1af4:1", &why));
	assert_int_equal(traits_of(&function, rules).acs_enabled, PCI_ACS_UF | PCI_ACS_RR | PCI_ACS_EC);
	pci_rules_free(rules);
}

TEST(overrides, sunrise_point_only_loses_redirection)
{
	static struct pci_function function;

	function_make(&function, 0x8086, 0x9d10, PCIE_ROOT_PORT);
	pci_add_acs(&function, ALL, 0);
	assert_true(traits_of(&function, NULL).isolates);
	assert_false(traits_if(&function, "disable_acs_redir=3:5.0").isolates);
	assert_false(traits_if(&function, "config_acs=11101@3:5.0").isolates);
	put_u32(function.config + function.cap_acs + 8, ALL);
	assert_int_equal(traits_if(&function, "disable_acs_redir=3:5.0").acs_enabled, PCI_ACS_SV | PCI_ACS_UF);
	assert_false(traits_if(&function, "disable_acs_redir=3:5.0").isolates);
}

static const struct {
	const char *device;
	bool fits;
} devices[] = {
	{"3:5.0", true},
	{"03:05.0", true},
	{"0:3:5.0", true},
	{"0000:03:05.0", true},
	{"1:3:5.0", false},
	{"3:5.1", false},
	{"0:1.0/0.0/5.0", true}, /* the way down to it */
	{"0000:00:01.0/00.0/05.0", true},
	{"0:2.0/0.0/5.0", false},
	{"0:1.0/0.1/5.0", false},
	{"0:1.0/5.0", false},
	{"0:0.0/1.0/0.0/5.0", false},
	{"2:0.0/5.0", true},
	{"pci:1af4:1", true},
	{"pci:1AF4:0001", true},
	{"pci:1af4:2", false},
	{"pci:0:0", true}, /* 0 is any */
	{"pci:1af4:0", true},
	{"pci:0:2", false},
	{"pci:1af4:1:1028:1234", true},
	{"pci:1af4:1:1028:0", true},
	{"pci:1af4:1:0:1234", true},
	{"pci:1af4:1:1028:1235", false},
	{"pci:1af4:1:1029:1234", false},
};

TEST(overrides, devices_as_linux_reads_them)
{
	static struct pci_function function, port, root;
	char text[128];

	function_make(&root, 0x1af4, 9, PCIE_ROOT_PORT);
	root.addr = (struct pci_addr){0, 0, pci_devfn(1, 0)};
	function_make(&port, 0x1af4, 9, PCIE_UPSTREAM_PORT);
	port.addr = (struct pci_addr){0, 2, 0};
	port.parent = &root;
	port_make(&function, ALL, ALL);
	function.parent = &port;
	put_u16(function.config + PCI_SUBSYSTEM_VENDOR, 0x1028);
	put_u16(function.config + PCI_SUBSYSTEM, 0x1234);
	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
		snprintf(text, sizeof(text), "disable_acs_redir=9:9.1;%s", devices[i].device);
		if (traits_if(&function, text).isolates == devices[i].fits || names(&function, text) != devices[i].fits)
			fail_msg("%s: expected %d", text, devices[i].fits);
	}
}

TEST(overrides, bridges_have_their_subsystem_in_a_capability)
{
	static struct pci_function function;

	port_make(&function, ALL, ALL);
	pci_make_bridge(&function, 4, 4);
	put_u16(function.config + PCI_SUBSYSTEM_VENDOR, 0x1028);
	assert_true(traits_if(&function, "disable_acs_redir=pci:1af4:1:1028:0").isolates);
	pci_add_subsystem(&function, 0x1028, 0x1234);
	assert_false(traits_if(&function, "disable_acs_redir=pci:1af4:1:1028:1234").isolates);
}

TEST(overrides, of_several_devices_the_first_of_several_options_the_last)
{
	static struct pci_function function;

	port_make(&function, ALL, 0);
	assert_int_equal(traits_if(&function, "pci=config_acs=1@pci:1af4:1;100@3:5.0").acs_enabled, PCI_ACS_SV);
	assert_int_equal(traits_if(&function, "pci=config_acs=1@pci:1af4:1,config_acs=100@3:5.0").acs_enabled,
			 PCI_ACS_RR);
	assert_int_equal(traits_if(&function,
				   "pci=disable_acs_redir=3:5.0,config_acs=1100@3:5.0;1@4:5.0,disable_acs_redir=4:5.0")
				 .acs_enabled,
			 PCI_ACS_RR | PCI_ACS_CR);
}

TEST(overrides, options_came_with_a_version)
{
	struct pci_rules *rules = rules_new(PCI_KERNEL(6, 10));
	static struct pci_function function;
	struct why why = WHY_INIT;

	EXPECT_REFUSED(RULES_INVALID, why, pci_rules_add(rules, "pci=config_acs=1@3:5.0", &why));
	EXPECT_SUBSTR("config_acs= came with Linux 6.11; these are the rules of 6.10", why.text);
	ASSERT_OK(why, pci_rules_add(rules, "pci=disable_acs_redir=3:5.0", &why));
	pci_rules_free(rules);
	rules = rules_new(PCI_KERNEL(4, 18));
	EXPECT_REFUSED(RULES_INVALID, why, pci_rules_add(rules, "disable_acs_redir=3:5.0", &why));
	ASSERT_OK(why, pci_rules_add(rules, "override=downstream", &why));
	pci_rules_free(rules);
	/* Bits of the device before: as long as Linux took them. */
	rules = rules_new(PCI_KERNEL(6, 12));
	ASSERT_OK(why, pci_rules_add(rules, "config_acs=1@4:5.0;3:5.0", &why));
	port_make(&function, ALL, 0);
	assert_int_equal(traits_of(&function, rules).acs_enabled, PCI_ACS_SV);
	pci_rules_free(rules);
}

/* ---- what is wrong ---- */

static const struct {
	const char *text, *culprit;
} malformed[] = {
	{"", "\"\" is not acs=, no-acs="},
	{"acs", "\"acs\" is not"},
	{"ACS=3:5.0", "\"ACS=3:5.0\""},
	{"acs=", "\"\" is not the address"},
	{"acs=3:5", "\"3:5\" is not the address"},
	{"acs=3:5.8", "\"3:5.8\""},
	{"acs=3:20.0", "\"3:20.0\""},
	{"acs=100:5.0", "\"100:5.0\""},
	{"acs=0:1.0/0.0", "\"0:1.0/0.0\""},
	{"acs=3:5.0 ", "\"3:5.0 \""},
	{"acs=123456789:3:5.0", "\"123456789:3:5.0\""},
	{"no-acs=1af4:1", "\"1af4:1\""},
	{"quirk=1af4", "\"1af4\" is not the address of a function, or VVVV:DDDD"},
	{"quirk=1af4:10000", "\"1af4:10000\""},
	{"quirk=1af4:1:2:3", "\"1af4:1:2:3\""},
	{"quirk=:", "\":\""},
	{"alias=3:5.0", "\"\" is not the device and function"},
	{"alias=3:5.0,5", "\"5\" is not the device and function"},
	{"alias=3:5.0,5.0,6.0", "\"5.0,6.0\""},
	{"alias=x,5.0", "\"x\" is not the address"},
	{"override=", "\"\" is not downstream"},
	{"override=upstream", "\"upstream\" is not downstream, multifunction or id:"},
	{"override=downstream,multi", "\"multi\""},
	{"override=downstream,,multifunction", "\"\" is not downstream"},
	{"override=id:1af4", "\"id:1af4\""},
	{"override=id:0:0", "\"id:0:0\""},
	{"pci=", "\"\" is not config_acs="},
	{"pci=noaer", "\"noaer\" is not config_acs="},
	{"pci=config_acs=1@3:5.0,nomsi", "\"nomsi\""},
	{"config_acs=", "\"\" is not BITS@DEVICE"},
	{"config_acs=3:5.0", "\"3:5.0\" is not BITS@DEVICE"},
	{"config_acs=@3:5.0", "\"\" is not up to seven"},
	{"config_acs=2@3:5.0", "\"2\" is not up to seven"},
	{"config_acs=10000000@3:5.0", "\"10000000\""},
	{"config_acs=1@", "\"\" is not [segment:]"},
	{"config_acs=1@3:5.0;4:5.0", "\"4:5.0\" is not BITS@DEVICE"},
	{"config_acs=1@3:5.0;;1@4:5.0", "\"\" is not BITS@DEVICE"},
	{"disable_acs_redir=", "\"\" is not [segment:]"},
	{"disable_acs_redir=3:5.0;x", "\"x\""},
	{"disable_acs_redir=3:5.0/", "\"3:5.0/\""},
	{"disable_acs_redir=3:5.0/32.0", "\"3:5.0/32.0\""},
	{"disable_acs_redir=pci:1af4", "\"pci:1af4\""},
	{"disable_acs_redir=pci:1af4:1:2", "\"pci:1af4:1:2\""},
	{"disable_acs_redir=pci:1af4:1:2:3:4", "\"pci:1af4:1:2:3:4\""},
	{"acs=\033[2J\377", "\"?[2J?\""},
	{"acs=0123456789012345678901234567890123456789012345", "\"0123456789012345678901234567890123456789...\""},
};

TEST(overrides, the_wrong_word_is_named_and_nothing_is_taken)
{
	struct pci_rules *rules = rules_of("acs=3:5.0");
	static struct pci_function function;
	struct why why = WHY_INIT;

	port_make(&function, 0, 0);
	function.addr.bus = 9;
	for (unsigned i = 0; i < ARRAY_SIZE(malformed); i++) {
		EXPECT_REFUSED(RULES_INVALID, why, pci_rules_add(rules, malformed[i].text, &why));
		EXPECT_SUBSTR(malformed[i].culprit, why.text);
		assert_int_equal(rules->count, 1);
		assert_null(traits_of(&function, rules).acs_quirk);
	}
	pci_rules_free(rules);
}

static void repeat(char *text, const char *piece, size_t times)
{
	char *at = text + strlen(text);

	for (size_t i = 0; i < times; i++, at += strlen(piece))
		memcpy(at, piece, strlen(piece) + 1);
}

TEST(overrides, long_lists_have_a_limit)
{
	struct pci_rules *rules = rules_new(PCI_KERNEL_LATEST);
	char *text = calloc(1, 8 * (MOST_OVERRIDES + 2) + 64);
	struct why why = WHY_INIT;

	strcpy(text, "disable_acs_redir=");
	repeat(text, "3:5.0;", MOST_OVERRIDES + 1);
	EXPECT_REFUSED(RULES_INVALID, why, pci_rules_add(rules, text, &why));
	EXPECT_SUBSTR("more than 1024 devices", why.text);
	assert_int_equal(rules->count, 0);
	text[strlen(text) - 6] = '\0';
	ASSERT_OK(why, pci_rules_add(rules, text, &why));
	assert_int_equal(rules->count, MOST_OVERRIDES);
	EXPECT_REFUSED(RULES_INVALID, why, pci_rules_add(rules, "acs=3:5.0", &why));
	pci_rules_free(rules);
	free(text);
}

TEST(overrides, ways_down_have_a_limit)
{
	struct pci_rules *rules = rules_new(PCI_KERNEL_LATEST);
	struct why why = WHY_INIT;
	char text[512] = "disable_acs_redir=3:5.0";

	repeat(text, "/1f.7", MOST_STEPS);
	ASSERT_OK(why, pci_rules_add(rules, text, &why));
	repeat(text, "/1f.7", 1);
	EXPECT_REFUSED(RULES_INVALID, why, pci_rules_add(rules, text, &why));
	pci_rules_free(rules);
}

static int sweep_body(struct why *why)
{
	_free_(pci_rules) struct pci_rules *rules = NULL;
	char text[256] = "disable_acs_redir=";
	int err = pci_rules_new(PCI_KERNEL_LATEST, &rules, why);

	if (err < 0)
		return err;
	repeat(text, "3:5.0;", 35);
	err = pci_rules_add(rules, text, why);
	assert_int_equal(rules->count, err < 0 ? 0 : 35);
	return err < 0 ? err : pci_rules_add(rules, "alias=3:5.0,6.0", why);
}

TEST(overrides, failures_leave_nothing_behind)
{
	SWEEP_FAILURES(sweep_body);
}

TEST(overrides, names_what_was_spoken_of)
{
	static struct pci_function function;

	function_make(&function, 0x1af4, 1, PCIE_ENDPOINT);
	assert_true(names(&function, "acs=3:5.0"));
	assert_true(names(&function, "no-acs=3:5.0"));
	assert_true(names(&function, "quirk=1af4:1"));
	assert_true(names(&function, "alias=3:5.0,6.0"));
	assert_true(names(&function, "config_acs=1@pci:1af4:1"));
	assert_false(names(&function, "acs=3:5.1"));
	assert_false(names(&function, "quirk=1af4:2"));
	assert_false(names(&function, "override=multifunction"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(overrides, acs_is_as_if_it_were_there_and_on),
		CASE(overrides, no_acs_is_as_if_it_were_not_there),
		CASE(overrides, what_is_said_last_counts),
		CASE(overrides, quirk_isolates_by_address_or_ids),
		CASE(overrides, alias_adds_an_id),
		CASE(overrides, patch_helps_only_without_a_capability),
		CASE(overrides, patch_by_ids_serves_any_pci_express_function_without_acs),
		CASE(overrides, patch_comes_after_the_table),
		CASE(overrides, config_acs_sets_bits_from_the_right),
		CASE(overrides, command_line_starts_from_firmware),
		CASE(overrides, sunrise_point_only_loses_redirection),
		CASE(overrides, devices_as_linux_reads_them),
		CASE(overrides, bridges_have_their_subsystem_in_a_capability),
		CASE(overrides, of_several_devices_the_first_of_several_options_the_last),
		CASE(overrides, options_came_with_a_version),
		CASE(overrides, the_wrong_word_is_named_and_nothing_is_taken),
		CASE(overrides, long_lists_have_a_limit),
		CASE(overrides, ways_down_have_a_limit),
		CASE(overrides, failures_leave_nothing_behind),
		CASE(overrides, names_what_was_spoken_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
