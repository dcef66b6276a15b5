/* SPDX-License-Identifier: MIT */
/*
 * The groups of small topologies, those of spec 01 section 4.1 first. Random ones: groups_model.c.
 */
#include "tests/helpers.h"

#include "pci/caps.h"
#include "pci/topology.h"

#define ALL	     PCI_ACS_ISOLATION
#define NONE	     0
#define CONVENTIONAL 0x100 /* in place of a pcie_type: no such capability */

/* ---- a room to plug functions into ---- */

struct room {
	struct pci_topology topology;
	struct pci_rules *rules; /* owned; NULL: Linux 7.2's */
	u8 last_bus;
	struct pci_function *at[64]; /* in the order of plug() */
	unsigned count;
};

static void room_init(struct room *room)
{
	*room = (struct room){.count = 0};
	pci_topology_init(&room->topology);
}

static void room_fini(struct room *room)
{
	pci_topology_fini(&room->topology);
	pci_rules_free(room->rules);
}

static void what_if(struct room *room, const char *text)
{
	struct why why = WHY_INIT;

	if (!room->rules)
		ASSERT_OK(why, pci_rules_new(PCI_KERNEL_LATEST, &room->rules, &why));
	ASSERT_OK(why, pci_rules_add(room->rules, text, &why));
}

/* devfn as 0xDDF: device and function. acs: what is capable and enabled; NONE: no capability. */
static struct pci_function *plug(struct room *room, struct pci_function *above, unsigned devfn, int type, u16 acs)
{
	const struct pci_identity identity = {.vendor = 0x1af4, .device = (u16)(room->count + 1)};
	struct pci_function *function = calloc(1, sizeof(*function));
	struct pci_addr addr = {0, above ? above->secondary : 0, pci_devfn(devfn >> 4, devfn & 0xf)};

	pci_function_init(function, addr, &identity);
	function->parent = above;
	if (type != CONVENTIONAL)
		pci_add_pcie(function, (enum pcie_type)type, 0, false);
	if (type != CONVENTIONAL && acs)
		pci_add_acs(function, acs, acs);
	pci_topology_add(&room->topology, function);
	assert_true(room->count < ARRAY_SIZE(room->at));
	room->at[room->count++] = function;
	return function;
}

static struct pci_function *plug_bridge(struct room *room, struct pci_function *above, unsigned devfn, int type,
					u16 acs)
{
	struct pci_function *bridge = plug(room, above, devfn, type, acs);

	room->last_bus++;
	pci_make_bridge(bridge, room->last_bus, room->last_bus);
	return bridge;
}

static void make_multifunction(struct pci_function *a, struct pci_function *b)
{
	pci_set_multifunction(a);
	pci_set_multifunction(b);
}

static struct pci_grouping *compute(struct room *room)
{
	struct pci_grouping *grouping;
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_grouping_compute(&room->topology, room->rules, &grouping, &why));
	return grouping;
}

/* Groups and alias sets in the order of plug(), as digits: "0012". */
static void expect(struct room *room, const char *groups, const char *alias_sets)
{
	struct pci_grouping *grouping = compute(room);
	char got[64] = "", got_sets[64] = "";

	assert_int_equal(strlen(groups), room->count);
	for (unsigned i = 0; i < room->count; i++) {
		got[i] = (char)('0' + grouping->group[i]);
		got_sets[i] = (char)('0' + grouping->alias_set[i]);
	}
	assert_string_equal(got, groups);
	if (alias_sets)
		assert_string_equal(got_sets, alias_sets);
	pci_grouping_free(grouping);
	room_fini(room);
}

/* The reason of function number i of the room. */
static void expect_reason(struct room *room, unsigned i, enum merge_rule rule, const char *words)
{
	struct pci_grouping *grouping = compute(room);
	const struct pci_merge *merge = &grouping->merges[i];
	char reason[PCI_REASON_TEXT];

	assert_ptr_equal(merge->function, room->at[i]);
	assert_string_equal(merge_rule_name(merge->rule), merge_rule_name(rule));
	EXPECT_SUBSTR(words, pci_merge_reason(grouping, merge, reason));
	pci_grouping_free(grouping);
}

/* ---- the worked examples ---- */

TEST(isolation, endpoint_below_a_redirecting_port_is_alone)
{
	struct room room;
	struct pci_function *port;

	room_init(&room);
	port = plug_bridge(&room, NULL, 0x1c0, PCIE_ROOT_PORT, ALL);
	plug(&room, port, 0, PCIE_ENDPOINT, NONE);
	expect(&room, "01", "01");
}

TEST(isolation, ports_of_different_slots_stay_apart_without_acs)
{
	struct pci_function *first, *second;
	struct room room;

	room_init(&room);
	first = plug_bridge(&room, NULL, 0x010, PCIE_ROOT_PORT, NONE);
	second = plug_bridge(&room, NULL, 0x020, PCIE_ROOT_PORT, NONE);
	plug(&room, first, 0, PCIE_ENDPOINT, NONE);
	plug(&room, second, 0, PCIE_ENDPOINT, NONE);
	expect_reason(&room, 2, MERGE_NO_ACS_UPSTREAM,
		      "0000:01:00.0 shares a group with 0000:00:01.0, which is above it: 0000:00:01.0 has no ACS");
	expect(&room, "0101", "0123");
}

TEST(isolation, functions_of_one_port_device_are_merged_with_all_below)
{
	struct pci_function *first, *second;
	struct room room;

	room_init(&room);
	first = plug_bridge(&room, NULL, 0x010, PCIE_ROOT_PORT, NONE);
	second = plug_bridge(&room, NULL, 0x011, PCIE_ROOT_PORT, NONE);
	make_multifunction(first, second);
	plug(&room, first, 0, PCIE_ENDPOINT, NONE);
	plug(&room, second, 0, PCIE_ENDPOINT, NONE);
	expect_reason(&room, 1, MERGE_NO_ACS_SIBLING,
		      "0000:00:01.1 shares a group with 0000:00:01.0: they are functions of one device and "
		      "0000:00:01.1 has no ACS capability");
	expect(&room, "0000", NULL);
}

static void plug_switch(struct room *room, u16 root_acs, u16 downstream_acs)
{
	struct pci_function *root, *upstream, *first, *second;

	room_init(room);
	root = plug_bridge(room, NULL, 0x010, PCIE_ROOT_PORT, root_acs);
	upstream = plug_bridge(room, root, 0, PCIE_UPSTREAM_PORT, NONE);
	first = plug_bridge(room, upstream, 0x000, PCIE_DOWNSTREAM_PORT, downstream_acs);
	second = plug_bridge(room, upstream, 0x010, PCIE_DOWNSTREAM_PORT, downstream_acs);
	plug(room, first, 0, PCIE_ENDPOINT, NONE);
	plug(room, second, 0, PCIE_ENDPOINT, NONE);
}

TEST(isolation, switch_whose_ports_all_redirect)
{
	struct room room;

	plug_switch(&room, ALL, ALL);
	expect(&room, "012345", NULL);
}

/* The endpoints could reach each other inside the switch; Linux looks upwards only, and so do we. */
TEST(isolation, switch_whose_downstream_ports_do_not_redirect)
{
	struct room room;

	plug_switch(&room, ALL, NONE);
	expect(&room, "012323", NULL);
}

TEST(isolation, root_port_that_does_not_redirect_takes_everything_below)
{
	struct room room;

	plug_switch(&room, NONE, ALL);
	expect_reason(&room, 4, MERGE_NO_ACS_UPSTREAM,
		      "0000:03:00.0 shares a group with 0000:02:00.0, which is above it: 0000:00:01.0 has no ACS");
	expect(&room, "000000", NULL);
}

TEST(isolation, functions_without_acs_are_merged_those_with_it_not)
{
	struct pci_function *port, *f[3];
	struct room room;

	room_init(&room);
	port = plug_bridge(&room, NULL, 0x010, PCIE_ROOT_PORT, ALL);
	f[0] = plug(&room, port, 0, PCIE_ENDPOINT, NONE);
	f[1] = plug(&room, port, 1, PCIE_ENDPOINT, NONE);
	make_multifunction(f[0], f[1]);
	expect(&room, "011", "012");

	room_init(&room);
	port = plug_bridge(&room, NULL, 0x010, PCIE_ROOT_PORT, ALL);
	/* SV and UF are not in its capability: wired to the safe side. */
	f[0] = plug(&room, port, 0, PCIE_ENDPOINT, PCI_ACS_RR | PCI_ACS_CR);
	f[1] = plug(&room, port, 1, PCIE_ENDPOINT, NONE);
	f[2] = plug(&room, port, 2, PCIE_ENDPOINT, NONE);
	make_multifunction(f[0], f[1]);
	pci_set_multifunction(f[2]);
	expect(&room, "0122", NULL);
}

TEST(isolation, what_is_behind_a_bridge_to_conventional_pci_is_one)
{
	struct pci_function *port, *bridge;
	struct room room;

	room_init(&room);
	port = plug_bridge(&room, NULL, 0x010, PCIE_ROOT_PORT, ALL);
	bridge = plug_bridge(&room, port, 0, PCIE_TO_PCI_BRIDGE, NONE);
	plug(&room, bridge, 0x000, CONVENTIONAL, NONE);
	plug(&room, bridge, 0x010, CONVENTIONAL, NONE);
	expect_reason(&room, 3, MERGE_ALIAS_BRIDGE, "0000:02:01.0 shares a group with 0000:01:00.0");
	expect(&room, "0111", "0111");
}

TEST(isolation, root_complex_endpoints)
{
	struct pci_function *a, *b, *c;
	struct room room;

	room_init(&room);
	plug(&room, NULL, 0x020, PCIE_RC_ENDPOINT, NONE);
	a = plug(&room, NULL, 0x140, PCIE_RC_ENDPOINT, NONE);
	b = plug(&room, NULL, 0x142, PCIE_RC_ENDPOINT, NONE);
	c = plug(&room, NULL, 0x143, PCIE_RC_ENDPOINT, NONE);
	make_multifunction(a, b);
	pci_set_multifunction(c);
	/* Intel's cannot reach each other, whatever their capabilities say. */
	put_u16(c->config + PCI_VENDOR_ID, 0x8086);
	expect(&room, "0112", NULL);
}

TEST(isolation, vf_is_alone_below_a_redirecting_port_and_not_below_another)
{
	struct pci_function *port;
	struct room room;

	room_init(&room);
	port = plug_bridge(&room, NULL, 0x010, PCIE_ROOT_PORT, ALL);
	plug(&room, port, 0x000, PCIE_ENDPOINT, NONE);
	plug(&room, port, 0x001, PCIE_ENDPOINT, NONE); /* single-function: a VF */
	plug(&room, port, 0x002, PCIE_ENDPOINT, NONE);
	expect(&room, "0123", NULL);

	room_init(&room);
	port = plug_bridge(&room, NULL, 0x010, PCIE_ROOT_PORT, NONE);
	plug(&room, port, 0x000, PCIE_ENDPOINT, NONE);
	plug(&room, port, 0x001, PCIE_ENDPOINT, NONE);
	expect(&room, "000", NULL);
}

/* ---- beyond the examples ---- */

TEST(isolation, plain_bridges_take_over_ids_all_the_way_up)
{
	struct pci_function *outer, *inner;
	struct room room;

	room_init(&room);
	outer = plug_bridge(&room, NULL, 0x1e0, CONVENTIONAL, NONE);
	plug(&room, NULL, 0x1f0, CONVENTIONAL, NONE);
	inner = plug_bridge(&room, outer, 0x040, CONVENTIONAL, NONE);
	plug(&room, outer, 0x050, CONVENTIONAL, NONE);
	plug(&room, inner, 0x000, CONVENTIONAL, NONE);
	expect(&room, "01000", "01000");
}

TEST(isolation, switched_off_acs_is_said_to_be)
{
	struct pci_function *port;
	struct room room;

	room_init(&room);
	port = plug_bridge(&room, NULL, 0x010, PCIE_ROOT_PORT, ALL);
	put_u16(port->config + port->cap_acs + 6, PCI_ACS_SV | PCI_ACS_UF);
	plug(&room, port, 0, PCIE_ENDPOINT, NONE);
	expect_reason(&room, 1, MERGE_NO_ACS_UPSTREAM, "0000:00:01.0 has ACS, but switched off: RR CR, so");
	/* A bit that the port does not have cannot be missing. */
	put_u16(port->config + port->cap_acs + 4, PCI_ACS_SV | PCI_ACS_UF);
	expect(&room, "01", NULL);
}

/* ---- quirks ---- */

TEST(isolation, idt_switches_are_not_asked_for_source_validation)
{
	struct pci_function *port;
	struct room room;

	room_init(&room);
	port = plug_bridge(&room, NULL, 0x010, PCIE_ROOT_PORT, ALL);
	put_u16(port->config + port->cap_acs + 6, ALL & ~PCI_ACS_SV);
	plug(&room, port, 0, PCIE_ENDPOINT, NONE);
	expect_reason(&room, 1, MERGE_NO_ACS_UPSTREAM, "0000:00:01.0 has ACS, but switched off: SV, so");
	put_u32(port->config, 0x80b5111d);
	expect(&room, "01", NULL);
}

TEST(isolation, quirk_makes_a_function_isolated)
{
	struct pci_function *port;
	struct room room;

	room_init(&room);
	port = plug_bridge(&room, NULL, 0x010, PCIE_ROOT_PORT, NONE);
	plug(&room, port, 0, PCIE_ENDPOINT, NONE);
	what_if(&room, "quirk=00:01.0");
	expect(&room, "01", NULL);

	room_init(&room);
	port = plug_bridge(&room, NULL, 0x010, PCIE_ROOT_PORT, NONE);
	plug(&room, port, 0, PCIE_ENDPOINT, NONE);
	put_u32(port->config, 0xe0051def);
	expect(&room, "01", NULL);
}

TEST(isolation, quirk_may_say_no_against_the_registers)
{
	struct pci_function *port;
	struct room room;

	room_init(&room);
	port = plug_bridge(&room, NULL, 0x010, PCIE_ROOT_PORT, ALL);
	put_u32(port->config, 0x08001d17);
	plug(&room, port, 0, PCIE_ENDPOINT, NONE);
	expect_reason(&room, 1, MERGE_NO_ACS_UPSTREAM,
		      "0000:00:01.0 does not isolate, says quirk zhaoxin-other-port: a Zhaoxin port that is not on");
	expect(&room, "00", NULL);
}

TEST(isolation, borrowed_ids_join_both_ways_and_through_others)
{
	struct room room;

	/* The one that borrows comes last, and is the only link between two that were there before. */
	room_init(&room);
	plug(&room, NULL, 0x010, CONVENTIONAL, NONE);
	plug(&room, NULL, 0x020, CONVENTIONAL, NONE);
	plug(&room, NULL, 0x030, CONVENTIONAL, NONE);
	plug(&room, NULL, 0x040, CONVENTIONAL, NONE);
	what_if(&room, "alias=00:04.0,01.0");
	what_if(&room, "alias=00:04.0,02.0");
	expect_reason(&room, 1, MERGE_ALIAS_QUIRK, "0000:00:02.0 shares a group with 0000:00:01.0");
	expect_reason(&room, 3, MERGE_ALIAS_QUIRK, "under another's id (quirk alias=: it was asked to use");
	expect(&room, "0010", "0010");
}

TEST(isolation, controller_with_its_ghost_is_alone_until_somebody_is_there)
{
	struct pci_function *port, *controller;
	struct room room;

	/* Nobody is at 00.1. And the same devfn on another bus is somebody else. */
	room_init(&room);
	port = plug_bridge(&room, NULL, 0x001, PCIE_ROOT_PORT, ALL);
	controller = plug(&room, port, 0x000, PCIE_LEGACY_ENDPOINT, NONE);
	put_u32(controller->config, 0x91231b4b);
	expect(&room, "01", "01");

	/* Isolated from each other by ACS, but of one id. */
	room_init(&room);
	port = plug_bridge(&room, NULL, 0x010, PCIE_ROOT_PORT, ALL);
	controller = plug(&room, port, 0x000, PCIE_LEGACY_ENDPOINT, ALL);
	put_u32(controller->config, 0x91231b4b);
	make_multifunction(controller, plug(&room, port, 0x001, PCIE_LEGACY_ENDPOINT, ALL));
	plug(&room, port, 0x002, PCIE_LEGACY_ENDPOINT, ALL);
	expect_reason(&room, 2, MERGE_ALIAS_QUIRK,
		      "quirk dma-function-1: this controller makes requests as function 1");
	expect(&room, "0112", "0112");
}

TEST(isolation, function_without_iommu_has_no_group_but_an_alias_set)
{
	struct pci_grouping *grouping;
	struct why why = WHY_INIT;
	struct room room;

	room_init(&room);
	plug(&room, NULL, 0x020, CONVENTIONAL, NONE);
	plug(&room, NULL, 0x030, CONVENTIONAL, NONE);
	plug(&room, NULL, 0x040, CONVENTIONAL, NONE);
	room.at[1]->untranslated = true;
	ASSERT_OK(why, pci_grouping_compute(&room.topology, NULL, &grouping, &why));
	assert_int_equal(grouping->group[0], 0);
	assert_int_equal(grouping->group[1], -1);
	assert_int_equal(grouping->group[2], 1);
	assert_int_equal(grouping->ngroups, 2);
	assert_int_equal(grouping->alias_set[1], 1);
	pci_grouping_free(grouping);
	room_fini(&room);
}

TEST(isolation, port_without_iommu_passes_on_what_is_beside_it)
{
	struct pci_function *first, *second;
	struct pci_grouping *grouping;
	struct why why = WHY_INIT;
	char reason[PCI_REASON_TEXT];
	struct room room;

	room_init(&room);
	first = plug(&room, NULL, 0x010, PCIE_RC_ENDPOINT, NONE);
	second = plug_bridge(&room, NULL, 0x011, PCIE_ROOT_PORT, NONE);
	make_multifunction(first, second);
	plug(&room, second, 0, PCIE_ENDPOINT, NONE);
	second->untranslated = true;
	ASSERT_OK(why, pci_grouping_compute(&room.topology, NULL, &grouping, &why));
	assert_int_equal(grouping->merges[0].rule, MERGE_FOUNDED);
	assert_int_equal(grouping->merges[1].rule, MERGE_FOUNDED);
	assert_int_equal(grouping->group[1], -1);
	assert_int_equal(grouping->group[2], 0);
	assert_ptr_equal(grouping->merges[2].over, second);
	EXPECT_SUBSTR("0000:01:00.0 shares a group with 0000:00:01.0: it is below 0000:00:01.1, a function of the same "
		      "device",
		      pci_merge_reason(grouping, &grouping->merges[2], reason));
	pci_grouping_free(grouping);
	room_fini(&room);
}

TEST(isolation, nothing_has_no_groups)
{
	struct room room;

	room_init(&room);
	expect(&room, "", "");
}

static int sweep_body(struct why *why)
{
	struct pci_grouping *grouping = NULL;
	struct room room;
	int err;

	plug_switch(&room, NONE, ALL);
	err = pci_grouping_compute(&room.topology, NULL, &grouping, why);
	pci_grouping_free(grouping);
	room_fini(&room);
	return err;
}

TEST(isolation, failures_leave_nothing_behind)
{
	SWEEP_FAILURES(sweep_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(isolation, endpoint_below_a_redirecting_port_is_alone),
		CASE(isolation, ports_of_different_slots_stay_apart_without_acs),
		CASE(isolation, functions_of_one_port_device_are_merged_with_all_below),
		CASE(isolation, switch_whose_ports_all_redirect),
		CASE(isolation, switch_whose_downstream_ports_do_not_redirect),
		CASE(isolation, root_port_that_does_not_redirect_takes_everything_below),
		CASE(isolation, functions_without_acs_are_merged_those_with_it_not),
		CASE(isolation, what_is_behind_a_bridge_to_conventional_pci_is_one),
		CASE(isolation, root_complex_endpoints),
		CASE(isolation, vf_is_alone_below_a_redirecting_port_and_not_below_another),
		CASE(isolation, plain_bridges_take_over_ids_all_the_way_up),
		CASE(isolation, switched_off_acs_is_said_to_be),
		CASE(isolation, idt_switches_are_not_asked_for_source_validation),
		CASE(isolation, quirk_makes_a_function_isolated),
		CASE(isolation, quirk_may_say_no_against_the_registers),
		CASE(isolation, borrowed_ids_join_both_ways_and_through_others),
		CASE(isolation, controller_with_its_ghost_is_alone_until_somebody_is_there),
		CASE(isolation, function_without_iommu_has_no_group_but_an_alias_set),
		CASE(isolation, port_without_iommu_passes_on_what_is_beside_it),
		CASE(isolation, nothing_has_no_groups),
		CASE(isolation, failures_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
