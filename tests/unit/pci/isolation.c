/* SPDX-License-Identifier: MIT */
/*
 * The groups of small topologies, those of spec 01 section 4.1 first; then of thousands of random ones, against a
 * second, order-free way to say what a group is.
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
	list_append(&room->topology.functions, &function->link);
	room->topology.count++;
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

static void use_id(struct pci_function *function, unsigned devfn)
{
	unsigned bit = pci_devfn(devfn >> 4, devfn & 0xf);

	function->other_ids[bit / 64] |= BIT(bit % 64);
	function->uses_other_ids = true;
}

static struct pci_grouping *compute(struct room *room)
{
	struct pci_grouping *grouping;
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_grouping_compute(&room->topology, NULL, &grouping, &why));
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
	const struct pci_merge *merge = NULL;

	for (size_t j = 0; j < grouping->nmerges; j++)
		if (grouping->merges[j].function == room->at[i])
			merge = &grouping->merges[j];
	if (!merge)
		fail_msg("function %u was merged with nothing", i);
	assert_string_equal(merge_rule_name(merge->rule), merge_rule_name(rule));
	EXPECT_SUBSTR(words, merge->reason);
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

TEST(isolation, idt_switches_are_not_asked_for_source_validation)
{
	struct pci_function *port;
	struct room room;

	room_init(&room);
	port = plug_bridge(&room, NULL, 0x010, PCIE_ROOT_PORT, ALL);
	put_u16(port->config + port->cap_acs + 6, ALL & ~PCI_ACS_SV);
	assert_false(pci_acs_isolates(port));
	put_u32(port->config, 0x80b5111d);
	assert_true(pci_acs_isolates(port));
	plug(&room, port, 0, PCIE_ENDPOINT, NONE);
	expect(&room, "01", NULL);
}

TEST(isolation, quirk_makes_a_function_isolated)
{
	struct pci_function *port;
	struct room room;

	room_init(&room);
	port = plug_bridge(&room, NULL, 0x010, PCIE_ROOT_PORT, NONE);
	port->acs_quirk = true;
	plug(&room, port, 0, PCIE_ENDPOINT, NONE);
	expect(&room, "01", NULL);
}

TEST(isolation, ids_borrowed_by_quirk_join_both_ways_and_through_others)
{
	struct pci_function *port;
	struct room room;

	/* The one that borrows comes last, and is the only link between two that were there before. */
	room_init(&room);
	plug(&room, NULL, 0x010, CONVENTIONAL, NONE);
	plug(&room, NULL, 0x020, CONVENTIONAL, NONE);
	plug(&room, NULL, 0x030, CONVENTIONAL, NONE);
	use_id(plug(&room, NULL, 0x040, CONVENTIONAL, NONE), 0x010);
	use_id(room.at[3], 0x020);
	expect_reason(&room, 1, MERGE_ALIAS_QUIRK, "0000:00:02.0 shares a group with 0000:00:01.0");
	expect(&room, "0010", "0010");

	/* A ghost: nobody is there. And the same devfn on another bus is somebody else. */
	room_init(&room);
	port = plug_bridge(&room, NULL, 0x010, PCIE_ROOT_PORT, ALL);
	use_id(plug(&room, port, 0x000, PCIE_ENDPOINT, NONE), 0x001);
	use_id(room.at[1], 0x010);
	expect(&room, "01", "01");
}

static bool is_not_third(const struct pci_function *function)
{
	return pci_device_number(function->addr) != 3;
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
	ASSERT_OK(why, pci_grouping_compute(&room.topology, is_not_third, &grouping, &why));
	assert_int_equal(grouping->group[0], 0);
	assert_int_equal(grouping->group[1], -1);
	assert_int_equal(grouping->group[2], 1);
	assert_int_equal(grouping->ngroups, 2);
	assert_int_equal(grouping->alias_set[1], 1);
	pci_grouping_free(grouping);
	room_fini(&room);
}

static bool is_no_bridge(const struct pci_function *function)
{
	return !pci_is_bridge(function);
}

TEST(isolation, port_without_iommu_passes_on_what_is_beside_it)
{
	struct pci_function *first, *second;
	struct pci_grouping *grouping;
	struct why why = WHY_INIT;
	struct room room;

	room_init(&room);
	first = plug(&room, NULL, 0x010, PCIE_RC_ENDPOINT, NONE);
	second = plug_bridge(&room, NULL, 0x011, PCIE_ROOT_PORT, NONE);
	make_multifunction(first, second);
	plug(&room, second, 0, PCIE_ENDPOINT, NONE);
	ASSERT_OK(why, pci_grouping_compute(&room.topology, is_no_bridge, &grouping, &why));
	assert_int_equal(grouping->nmerges, 1);
	assert_int_equal(grouping->group[1], -1);
	assert_int_equal(grouping->group[2], 0);
	assert_ptr_equal(grouping->merges[0].over, second);
	EXPECT_SUBSTR("0000:01:00.0 shares a group with 0000:00:01.0: it is below 0000:00:01.1, a function of the same "
		      "device",
		      grouping->merges[0].reason);
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

/* ---- random topologies ---- */

static u32 random_state;

static unsigned dice(unsigned sides)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % sides;
}

static u16 random_acs(void)
{
	static const u16 choices[] = {NONE, NONE, ALL, ALL, PCI_ACS_RR | PCI_ACS_CR, PCI_ACS_SV};

	return choices[dice(ARRAY_SIZE(choices))];
}

static int random_type(bool root, bool *bridge)
{
	static const int bridges[] = {PCIE_ROOT_PORT,	  PCIE_UPSTREAM_PORT, PCIE_DOWNSTREAM_PORT,
				      PCIE_TO_PCI_BRIDGE, PCI_TO_PCIE_BRIDGE, CONVENTIONAL};
	static const int leaves[] = {PCIE_ENDPOINT, PCIE_LEGACY_ENDPOINT, PCIE_RC_ENDPOINT, PCIE_RC_EVENT_COLLECTOR,
				     CONVENTIONAL};

	*bridge = dice(2);
	return *bridge ? bridges[dice(root ? 6 : 5)] : leaves[dice(ARRAY_SIZE(leaves))];
}

/* A bus of one or two slots with up to three functions each, and what is below them. Physics is not asked. */
static void plug_bus(struct room *room, struct pci_function *above, unsigned depth)
{
	struct pci_function *bridges[8];
	unsigned nbridges = 0;

	for (unsigned slot = 0, slots = 1 + dice(3); slot < slots; slot++) {
		unsigned functions = 1 + dice(3);

		for (unsigned f = 0; f < functions && room->count < 24; f++) {
			bool bridge;
			int type = random_type(!above, &bridge);
			struct pci_function *function =
				bridge && nbridges < 8 ? plug_bridge(room, above, slot << 4 | f, type, random_acs())
						       : plug(room, above, slot << 4 | f, type, random_acs());

			if (pci_is_bridge(function))
				bridges[nbridges++] = function;
			/* A VF does not admit to be one of several. */
			if (functions > 1 && (type != PCIE_ENDPOINT || dice(8)))
				pci_set_multifunction(function);
			if (!dice(12))
				put_u16(function->config + PCI_VENDOR_ID, 0x8086);
			if (!dice(10))
				use_id(function, dice(3) << 4 | dice(3));
		}
	}
	for (unsigned i = 0; i < nbridges && depth; i++)
		plug_bus(room, bridges[i], depth - 1);
}

/* What the functions of a group have in common, without an order: the closure of four relations. */
static bool related(const struct pci_function *a, const struct pci_function *b)
{
	bool weak = false;

	/* b is a bridge above a that hides who made a request, */
	if (pci_is_below(a, b) &&
	    (!b->cap_pcie || pcie_type(b) == PCIE_TO_PCI_BRIDGE || pcie_type(b) == PCI_TO_PCIE_BRIDGE))
		return true;
	/* the bridge just above a, with something on the way from it to the root that does not redirect, */
	for (const struct pci_function *port = b; port; port = port->parent)
		weak |= !pci_acs_isolates(port);
	if (a->parent == b && weak)
		return true;
	if (a->addr.bus != b->addr.bus)
		return false;
	/* a function of the same slot, none of the two isolated, both admitting to be one of several; */
	if (a->addr.devfn >> 3 == b->addr.devfn >> 3 && a->multifunction && !pci_acs_isolates(a) &&
	    !pci_acs_isolates(b))
		return true;
	/* or one uses the id of the other. */
	return pci_share_id(a, b);
}

static void naive_groups(const struct room *room, int *group)
{
	static bool same[64][64];
	int ngroups = 0;

	for (unsigned i = 0; i < room->count; i++)
		for (unsigned j = 0; j < room->count; j++)
			same[i][j] = i == j || related(room->at[i], room->at[j]) || related(room->at[j], room->at[i]);
	for (unsigned k = 0; k < room->count; k++)
		for (unsigned i = 0; i < room->count; i++)
			for (unsigned j = 0; j < room->count; j++)
				same[i][j] |= same[i][k] && same[k][j];
	for (unsigned i = 0; i < room->count; i++) {
		unsigned first = 0;

		while (!same[i][first])
			first++;
		group[i] = first == i ? ngroups++ : group[first];
	}
}

static void make_random(struct room *room, u32 seed)
{
	random_state = seed;
	room_init(room);
	plug_bus(room, NULL, 3);
}

enum { RANDOM_ROOMS = 3000 };

TEST(isolation, random_topologies_agree_with_the_closure)
{
	int group[64];

	for (u32 seed = 1; seed <= RANDOM_ROOMS; seed++) {
		struct pci_grouping *grouping;
		struct room room;

		make_random(&room, seed);
		grouping = compute(&room);
		naive_groups(&room, group);
		/* plug() goes depth first, the numbers follow the list: both are in the same order. */
		for (unsigned i = 0; i < room.count; i++)
			if (grouping->group[i] != group[i])
				fail_msg("seed %u: function %u is in group %d, expected %d", seed, i,
					 grouping->group[i], group[i]);
		pci_grouping_free(grouping);
		room_fini(&room);
	}
}

static void check_alias_sets(const struct room *room, const struct pci_grouping *grouping, u32 seed)
{
	for (unsigned i = 0; i < room->count; i++)
		for (unsigned j = 0; j < i; j++)
			if (grouping->alias_set[i] == grouping->alias_set[j] &&
			    grouping->group[i] != grouping->group[j])
				fail_msg("seed %u: functions %u and %u have one id and two groups", seed, i, j);
}

static size_t index_in(const struct room *room, const struct pci_function *function)
{
	for (unsigned i = 0; i < room->count; i++)
		if (room->at[i] == function)
			return i;
	fail_msg("a merge names a function that is not there");
	return 0;
}

/* One reason for each member but the first, which names both and the one to blame. */
static void check_merges(const struct room *room, const struct pci_grouping *grouping)
{
	char text[PCI_ADDR_TEXT];

	assert_int_equal(grouping->nmerges, grouping->count - (size_t)grouping->ngroups);
	for (size_t i = 0; i < grouping->nmerges; i++) {
		const struct pci_merge *merge = &grouping->merges[i];

		assert_int_equal(grouping->group[index_in(room, merge->function)],
				 grouping->group[index_in(room, merge->with)]);
		assert_true(i == 0 || index_in(room, merge->function) > index_in(room, merge[-1].function));
		EXPECT_SUBSTR(pci_addr_print(merge->function->addr, text), merge->reason);
		EXPECT_SUBSTR(pci_addr_print(merge->with->addr, text), merge->reason);
		if (merge->rule == MERGE_NO_ACS_UPSTREAM || merge->rule == MERGE_NO_ACS_SIBLING)
			EXPECT_SUBSTR(pci_addr_print(merge->over->addr, text), merge->reason);
		assert_true(strlen(merge->reason) < sizeof(merge->reason) - 1);
	}
}

/* Isolation added somewhere: whoever is together now was together before. */
static void check_refinement(struct room *room, const struct pci_grouping *before, u32 seed)
{
	struct pci_grouping *after;
	unsigned chosen = dice(room->count);

	room->at[chosen]->acs_quirk = true;
	after = compute(room);
	for (unsigned i = 0; i < room->count; i++)
		for (unsigned j = 0; j < i; j++)
			if (after->group[i] == after->group[j] && before->group[i] != before->group[j])
				fail_msg("seed %u: isolating function %u joined %u and %u", seed, chosen, i, j);
	pci_grouping_free(after);
}

TEST(isolation, random_topologies_keep_the_invariants)
{
	for (u32 seed = 1; seed <= RANDOM_ROOMS; seed++) {
		struct pci_grouping *grouping;
		struct room room;

		make_random(&room, seed);
		grouping = compute(&room);
		check_alias_sets(&room, grouping, seed);
		check_merges(&room, grouping);
		check_refinement(&room, grouping, seed);
		pci_grouping_free(grouping);
		room_fini(&room);
	}
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
		CASE(isolation, ids_borrowed_by_quirk_join_both_ways_and_through_others),
		CASE(isolation, function_without_iommu_has_no_group_but_an_alias_set),
		CASE(isolation, port_without_iommu_passes_on_what_is_beside_it),
		CASE(isolation, nothing_has_no_groups),
		CASE(isolation, failures_leave_nothing_behind),
		CASE(isolation, random_topologies_agree_with_the_closure),
		CASE(isolation, random_topologies_keep_the_invariants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
