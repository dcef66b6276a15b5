/* SPDX-License-Identifier: MIT */
/*
 * What holds for the groups of every machine whose functions all have one and the same IOMMU, whatever the rules say in
 * detail; and the corners where Linux's rules do not hold it, so that nobody takes them for mistakes of ours.
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(groups, do_not_grow_with_acs),
		CASE(groups, do_not_grow_when_something_is_taken_out),
		CASE(groups, do_not_depend_on_the_order_of_enumeration),
		CASE(groups, hold_whole_alias_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
