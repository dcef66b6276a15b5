/* SPDX-License-Identifier: MIT */
/*
 * What holds for the groups of every machine whose functions all have one and the same IOMMU; and the corners where
 * Linux's rules do not keep it, so that nobody takes them for mistakes of ours.
 *
 * With one IOMMU for all, whoever is above has a group first. So a function either joins what is above it, or shares a
 * group with what it can be reached from on its own bus by shared ids and bad neighbours, which is symmetrical: the
 * groups follow from the machine, not from the order. Where a bridge has no IOMMU, or a later one, its turn is missed.
 * (Virtual functions are enumerated last, as they are in Linux; see the last corner.)
 */
#include "tests/helpers.h"

#include "pci/caps.h"
#include "tests/fixtures/group_model.h"
#include "tests/fixtures/random_topology.h"

#define ROUNDS 1000

/* A blueprint, built, with its groups. */
struct built {
	struct pci_topology topology;
	struct pci_grouping *grouping;
};

static void build(const struct blueprint *blueprint, struct built *ret)
{
	struct why why = WHY_INIT;

	blueprint_build(blueprint, &ret->topology);
	ASSERT_OK(why, pci_grouping_compute(&ret->topology, NULL, &ret->grouping, &why));
}

static void built_fini(struct built *built)
{
	pci_grouping_free(built->grouping);
	pci_topology_fini(&built->topology);
}

/* A blueprint and what became of it. where: the position in before of each function of after; NULL: the same. */
struct change {
	u64 seed;
	struct blueprint before, after;
	size_t *where;
};

static size_t position(const struct change *change, size_t after)
{
	return change->where ? change->where[after] : after;
}

static void blame(const struct change *change, size_t a, size_t b, const char *what)
{
	char first[PCI_ADDR_TEXT], second[PCI_ADDR_TEXT];

	fputs("before:\n", stderr);
	blueprint_print(&change->before, stderr);
	fputs("after:\n", stderr);
	blueprint_print(&change->after, stderr);
	fail_msg("seed %llu: %s and %s %s", (unsigned long long)change->seed,
		 pci_addr_print(change->after.functions[a].addr, first),
		 pci_addr_print(change->after.functions[b].addr, second), what);
}

/* Functions that share a group after it did before; with also_back, the other way round too. */
static void expect_no_merge(const struct change *change, bool also_back)
{
	struct built before, after;

	build(&change->before, &before);
	build(&change->after, &after);
	for (size_t i = 0; i < change->after.count; i++) {
		for (size_t j = 0; j < i; j++) {
			bool together = after.grouping->group[i] == after.grouping->group[j];
			bool were = before.grouping->group[position(change, i)] ==
				    before.grouping->group[position(change, j)];

			if (together && !were)
				blame(change, i, j, "share a group now");
			if (also_back && were && !together)
				blame(change, i, j, "shared a group before");
		}
	}
	built_fini(&before);
	built_fini(&after);
}

static void change_fini(struct change *change)
{
	blueprint_fini(&change->before);
	blueprint_fini(&change->after);
	free(change->where);
}

static void change_init(struct change *change, u64 seed, unsigned flags)
{
	*change = (struct change){.seed = seed};
	random_topology(seed, flags, &change->before);
	change->where = calloc(change->before.count, sizeof(size_t));
	assert_non_null(change->where);
}

static void give_acs(struct blueprint_function *function)
{
	function->acs = true;
	function->acs_capable = function->acs_enabled = PCI_ACS_ISOLATION;
	function->acs_behind = PCI_ACS_ISOLATION;
}

TEST(groups, do_not_grow_with_acs)
{
	struct random_seeds seeds = random_topology_seeds(ROUNDS);

	for (u64 seed = seeds.first; seed <= seeds.last; seed++) {
		struct change change;

		change_init(&change, seed, RANDOM_QUIRKS);
		free(take(change.where));
		blueprint_copy(&change.before, &change.after);
		give_acs(&change.after.functions[seed % change.after.count]);
		expect_no_merge(&change, false);
		change_fini(&change);
	}
}

TEST(groups, do_not_grow_when_something_is_taken_out)
{
	struct random_seeds seeds = random_topology_seeds(ROUNDS);

	for (u64 seed = seeds.first; seed <= seeds.last; seed++) {
		struct change change;

		change_init(&change, seed, RANDOM_QUIRKS);
		blueprint_without(&change.before, seed % change.before.count, &change.after, change.where);
		expect_no_merge(&change, false);
		change_fini(&change);
	}
}

TEST(groups, do_not_depend_on_the_order_of_enumeration)
{
	struct random_seeds seeds = random_topology_seeds(ROUNDS);

	for (u64 seed = seeds.first; seed <= seeds.last; seed++) {
		struct change change;
		u64 shuffle = seed;

		change_init(&change, seed, RANDOM_QUIRKS);
		blueprint_shuffled(&change.before, &shuffle, &change.after, change.where);
		expect_no_merge(&change, true);
		change_fini(&change);
	}
}

/* ---- alias sets ---- */

static bool is_there(const struct blueprint *blueprint, struct pci_addr addr)
{
	for (size_t i = 0; i < blueprint->count; i++)
		if (pci_addr_equal(blueprint->functions[i].addr, addr))
			return true;
	return false;
}

/* Do the two use an id that no function has? Linux does not see that (a corner below). */
static bool share_a_ghost(const struct blueprint *blueprint, const struct pci_function *a, const struct pci_function *b)
{
	struct pci_addr addr = a->addr;

	if (a == b || a->addr.segment != b->addr.segment || a->addr.bus != b->addr.bus)
		return false;
	for (unsigned devfn = 0; devfn < 256; devfn++) {
		addr.devfn = (u8)devfn;
		if (model_uses(a, addr.devfn) && model_uses(b, addr.devfn) && !is_there(blueprint, addr))
			return true;
	}
	return false;
}

static bool has_shared_ghosts(const struct blueprint *blueprint, const struct pci_topology *topology)
{
	const struct pci_function *a, *b;

	list_for_each(a, &topology->functions, link)
		list_for_each(b, &topology->functions, link)
			if (share_a_ghost(blueprint, a, b))
				return true;
	return false;
}

static void expect_whole_alias_sets(const struct change *change, const struct pci_grouping *grouping)
{
	for (size_t i = 0; i < grouping->count; i++)
		for (size_t j = 0; j < i; j++)
			if (grouping->alias_set[i] == grouping->alias_set[j] &&
			    grouping->group[i] != grouping->group[j])
				blame(change, i, j, "are of one alias set but of two groups");
}

TEST(groups, hold_whole_alias_sets)
{
	struct random_seeds seeds = random_topology_seeds(ROUNDS);
	u64 checked = 0;

	for (u64 seed = seeds.first; seed <= seeds.last; seed++) {
		struct change change;
		struct built built;

		change_init(&change, seed, RANDOM_QUIRKS);
		blueprint_copy(&change.before, &change.after);
		build(&change.before, &built);
		if (!has_shared_ghosts(&change.before, &built.topology)) {
			expect_whole_alias_sets(&change, built.grouping);
			checked++;
		}
		built_fini(&built);
		change_fini(&change);
	}
	assert_true(checked > (seeds.last - seeds.first) / 2);
}

/* ---- corners ---- */

static size_t put(struct blueprint *blueprint, size_t parent, u8 bus, unsigned devfn, int type)
{
	const struct blueprint_function function = {.addr = {0, bus, (u8)devfn},
						    .vendor = 0x1af4,
						    .device = 0x1040,
						    .type = type,
						    .parent = parent,
						    .physical = BLUEPRINT_NOBODY,
						    .dma_device = BLUEPRINT_NOBODY,
						    .multifunction = true};

	return blueprint_add(blueprint, &function);
}

static size_t put_bridge(struct blueprint *blueprint, unsigned devfn, int type, u8 secondary)
{
	size_t bridge = put(blueprint, BLUEPRINT_NOBODY, 0, devfn, type);

	blueprint->functions[bridge].secondary = blueprint->functions[bridge].subordinate = secondary;
	return bridge;
}

/* Groups and alias sets in the order of enumeration as digits, "-" for none; the model is asked too. */
static void expect(const struct blueprint *blueprint, const char *groups, const char *alias_sets)
{
	char got[16] = "", by_model[16] = "", sets[16] = "";
	struct group_model model;
	struct built built;

	build(blueprint, &built);
	group_model_make(&built.topology, &model);
	for (size_t i = 0; i < blueprint->count; i++) {
		got[i] = built.grouping->group[i] < 0 ? '-' : (char)('0' + built.grouping->group[i]);
		by_model[i] = model.group[i] < 0 ? '-' : (char)('0' + model.group[i]);
		sets[i] = (char)('0' + built.grouping->alias_set[i]);
	}
	assert_string_equal(got, groups);
	assert_string_equal(by_model, groups);
	assert_string_equal(sets, alias_sets);
	group_model_fini(&model);
	built_fini(&built);
}

/* Whoever is below a port joins the port's group; a port without one stops nobody from having his own. */
TEST(corner, port_without_iommu_keeps_apart_what_it_should_join)
{
	struct blueprint blueprint = {.count = 0};
	size_t port = put_bridge(&blueprint, 0x08, PCIE_ROOT_PORT, 1);

	put(&blueprint, port, 1, 0, PCIE_ENDPOINT);
	put(&blueprint, port, 1, 1, PCIE_ENDPOINT);
	expect(&blueprint, "000", "012");
	blueprint.functions[port].untranslated = true;
	expect(&blueprint, "-01", "012");
	/* So here ACS makes a group larger: now they are looked at, not the port. */
	give_acs(&blueprint.functions[port]);
	expect(&blueprint, "-00", "012");
	blueprint_fini(&blueprint);
}

/* The same for a while: what is probed before the port that is above it. */
TEST(corner, port_of_a_later_iommu_comes_too_late)
{
	struct blueprint blueprint = {.count = 0};
	size_t port = put_bridge(&blueprint, 0x08, PCIE_ROOT_PORT, 1);

	put(&blueprint, port, 1, 0, PCIE_ENDPOINT);
	put(&blueprint, port, 1, 1, PCIE_ENDPOINT);
	blueprint.functions[port].unit = 1;
	expect(&blueprint, "201", "012");
	blueprint_fini(&blueprint);
}

/* A function below looks for the port's siblings; they do not look for what is below the port. */
TEST(corner, sibling_of_a_port_without_iommu_must_come_first)
{
	struct blueprint blueprint = {.count = 0};
	size_t port = put_bridge(&blueprint, 0x08, PCIE_ROOT_PORT, 1);

	blueprint.functions[port].untranslated = true;
	put(&blueprint, BLUEPRINT_NOBODY, 0, 0x09, PCIE_RC_ENDPOINT);
	put(&blueprint, port, 1, 0, PCIE_ENDPOINT);
	expect(&blueprint, "-00", "012");
	blueprint.count = 1;
	put(&blueprint, port, 1, 0, PCIE_ENDPOINT);
	put(&blueprint, BLUEPRINT_NOBODY, 0, 0x09, PCIE_RC_ENDPOINT);
	expect(&blueprint, "-01", "012");
	blueprint_fini(&blueprint);
}

/* The bridge makes their requests all the same. */
TEST(corner, bridge_without_iommu_splits_an_alias_set)
{
	struct blueprint blueprint = {.count = 0};
	size_t bridge = put_bridge(&blueprint, 0x08, BLUEPRINT_CONVENTIONAL, 1);

	put(&blueprint, bridge, 1, 0x00, BLUEPRINT_CONVENTIONAL);
	put(&blueprint, bridge, 1, 0x08, BLUEPRINT_CONVENTIONAL);
	expect(&blueprint, "000", "000");
	blueprint.functions[bridge].untranslated = true;
	expect(&blueprint, "-01", "000");
	blueprint_fini(&blueprint);
}

/* Both use the id of function 1, which is not there; neither uses the other's. */
TEST(corner, an_id_that_nobody_has_splits_an_alias_set)
{
	struct blueprint blueprint = {.count = 0};

	for (unsigned number = 0; number < 4; number += 2) {
		size_t at = put(&blueprint, BLUEPRINT_NOBODY, 0, number, PCIE_ENDPOINT);

		blueprint.functions[at].vendor = 0x1b4b;
		blueprint.functions[at].device = 0x9123;
		give_acs(&blueprint.functions[at]);
	}
	expect(&blueprint, "01", "00");
	/* With it, they are one, and so is it: its own ACS does not help. */
	give_acs(&blueprint.functions[put(&blueprint, BLUEPRINT_NOBODY, 0, 1, PCIE_ENDPOINT)]);
	expect(&blueprint, "000", "000");
	blueprint_fini(&blueprint);
}

/*
 * A virtual function asks nobody of its slot, as it is no multifunction device; but others ask it, in the order of
 * enumeration, in which it is last. Only a device that Linux distrusts whatever its registers say gets there.
 */
TEST(corner, virtual_functions_are_asked_last)
{
	static const u8 numbers[] = {0, 2, 3, 1};
	struct blueprint blueprint = {.count = 0};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		size_t at = put(&blueprint, BLUEPRINT_NOBODY, 0, numbers[i], PCIE_ENDPOINT);

		blueprint.functions[at].vendor = 0x8088;
		blueprint.functions[at].device = i == 0 ? 0x1001 : 0x1000;
	}
	blueprint.functions[1].unit = 1;
	blueprint.functions[3].physical = 0;
	blueprint.functions[3].multifunction = false;
	expect(&blueprint, "0112", "0123");
	blueprint_fini(&blueprint);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(groups, do_not_grow_with_acs),
		CASE(groups, do_not_grow_when_something_is_taken_out),
		CASE(groups, do_not_depend_on_the_order_of_enumeration),
		CASE(groups, hold_whole_alias_sets),
		CASE(corner, port_without_iommu_keeps_apart_what_it_should_join),
		CASE(corner, port_of_a_later_iommu_comes_too_late),
		CASE(corner, sibling_of_a_port_without_iommu_must_come_first),
		CASE(corner, bridge_without_iommu_splits_an_alias_set),
		CASE(corner, an_id_that_nobody_has_splits_an_alias_set),
		CASE(corner, virtual_functions_are_asked_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
