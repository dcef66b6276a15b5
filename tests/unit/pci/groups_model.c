/* SPDX-License-Identifier: MIT */
/*
 * The engine against a second reading of the rules, on random topologies: same groups, same numbers, same alias sets,
 * and every merge says what is so. ISOLDE_ROUNDS topologies from seed ISOLDE_SEED on; a failure prints its seed and
 * the smallest topology found that still fails.
 */
#include "tests/helpers.h"

#include "pci/caps.h"
#include "tests/fixtures/group_model.h"
#include "tests/fixtures/random_topology.h"

#define ROUNDS 2000

struct complaint {
	char text[800];
};

static int complain(struct complaint *complaint, const struct pci_function *function, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int complain(struct complaint *complaint, const struct pci_function *function, const char *format, ...)
{
	char bdf[PCI_ADDR_TEXT], text[700];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	snprintf(complaint->text, sizeof(complaint->text), "%s: %s", pci_addr_print(function->addr, bdf), text);
	return -1;
}

/* ---- one merge ---- */

static bool names(const char *reason, const struct pci_function *function)
{
	char bdf[PCI_ADDR_TEXT];

	return strstr(reason, pci_addr_print(function->addr, bdf));
}

static bool has_founded(const struct group_model *model, size_t position)
{
	for (size_t i = 0; i < model->count; i++)
		if (model->group[i] == model->group[position] && model->probed[i] < model->probed[position])
			return false;
	return true;
}

static int check_founder(const struct group_model *model, size_t position, const struct pci_merge *merge,
			 const char *reason, struct complaint *complaint)
{
	if (merge->rule != MERGE_FOUNDED)
		return complain(complaint, model->functions[position], "was merged by %s, but there was no group yet",
				merge_rule_name(merge->rule));
	if (*reason)
		return complain(complaint, model->functions[position], "founded its group, but has a reason: %s",
				reason);
	return 0;
}

static int check_merge(const struct group_model *model, size_t position, const struct pci_grouping *grouping,
		       struct complaint *complaint)
{
	const struct pci_function *function = model->functions[position];
	const struct pci_merge *merge = &grouping->merges[position];
	char reason[PCI_REASON_TEXT];

	pci_merge_reason(grouping, merge, reason);
	if (model->group[position] < 0 || has_founded(model, position))
		return check_founder(model, position, merge, reason, complaint);
	if (merge->rule == MERGE_FOUNDED || merge->function != function || !merge->with || !merge->over)
		return complain(complaint, function, "joined a group, but does not say why");
	if (model->functions[merge->with->index] != merge->with ||
	    model->group[merge->with->index] != model->group[position] ||
	    model->probed[merge->with->index] >= model->probed[position])
		return complain(complaint, function, "is not in one group with an earlier function: %s", reason);
	if (!names(reason, function) || !names(reason, merge->with) || !names(reason, merge->over) ||
	    strchr(reason, '%'))
		return complain(complaint, function, "names not all it should: %s", reason);
	return 0;
}

/* ---- one topology ---- */

static int compare(const struct group_model *model, const struct pci_grouping *grouping, struct complaint *complaint)
{
	if (grouping->count != model->count)
		return complain(complaint, model->functions[0], "%zu functions, not %zu", grouping->count,
				model->count);
	for (size_t i = 0; i < model->count; i++) {
		if (grouping->group[i] != model->group[i])
			return complain(complaint, model->functions[i], "group %d, by the model %d", grouping->group[i],
					model->group[i]);
		if (grouping->alias_set[i] != model->alias_set[i])
			return complain(complaint, model->functions[i], "alias set %d, by the model %d",
					grouping->alias_set[i], model->alias_set[i]);
		if (grouping->traits[i].isolates != model_isolates(model->functions[i]))
			return complain(complaint, model->functions[i], "isolates %d, by the model %d",
					grouping->traits[i].isolates, model_isolates(model->functions[i]));
		if (check_merge(model, i, grouping, complaint) < 0)
			return -1;
	}
	if (grouping->ngroups != model->ngroups || grouping->nalias_sets != model->nalias_sets)
		return complain(complaint, model->functions[0], "%d groups and %d alias sets, not %d and %d",
				grouping->ngroups, grouping->nalias_sets, model->ngroups, model->nalias_sets);
	return 0;
}

static int check_blueprint(const struct blueprint *blueprint, struct complaint *complaint)
{
	struct pci_grouping *grouping;
	struct pci_topology topology;
	struct group_model model;
	struct why why = WHY_INIT;
	int ret;

	blueprint_build(blueprint, &topology);
	group_model_make(&topology, &model);
	ASSERT_OK(why, pci_grouping_compute(&topology, NULL, &grouping, &why));
	ret = compare(&model, grouping, complaint);
	pci_grouping_free(grouping);
	group_model_fini(&model);
	pci_topology_fini(&topology);
	return ret;
}

/* ---- a failure, made small ---- */

static bool takes_out_one(struct blueprint *blueprint, struct complaint *complaint)
{
	for (size_t i = blueprint->count; i-- > 0;) {
		struct blueprint smaller;

		blueprint_without(blueprint, i, &smaller, NULL);
		if (smaller.count && check_blueprint(&smaller, complaint) < 0) {
			blueprint_fini(blueprint);
			*blueprint = smaller;
			return true;
		}
		blueprint_fini(&smaller);
	}
	return false;
}

/* What is left of a function without one of its features; false when it has not got that one. */
static bool plainer(struct blueprint_function *function, unsigned feature)
{
	struct blueprint_function before = *function;

	switch (feature) {
	case 0:
		function->untranslated = false;
		break;
	case 1:
		function->unit = 0;
		break;
	case 2:
		function->acs = false;
		break;
	case 3:
		function->multifunction = false;
		break;
	case 4:
		function->vendor = function->device = 0x1af4;
		break;
	default:
		function->acs_enabled = function->acs_capable;
		break;
	}
	return memcmp(&before, function, sizeof(before));
}

static bool takes_off_one(struct blueprint *blueprint, struct complaint *complaint)
{
	for (size_t i = 0; i < blueprint->count; i++) {
		for (unsigned feature = 0; feature < 6; feature++) {
			struct blueprint_function before = blueprint->functions[i];

			if (plainer(&blueprint->functions[i], feature) && check_blueprint(blueprint, complaint) < 0)
				return true;
			blueprint->functions[i] = before;
		}
	}
	return false;
}

static void give_up(u64 seed, struct blueprint *blueprint)
{
	struct complaint complaint, ignored;

	while (takes_out_one(blueprint, &ignored) || takes_off_one(blueprint, &ignored))
		;
	check_blueprint(blueprint, &complaint);
	blueprint_print(blueprint, stderr);
	blueprint_fini(blueprint);
	fail_msg("ISOLDE_SEED=%llu ISOLDE_ROUNDS=1, shrunk to the above: %s", (unsigned long long)seed, complaint.text);
}

TEST(groups, of_random_topologies_are_those_of_the_model)
{
	struct random_seeds seeds = random_topology_seeds(ROUNDS);

	for (u64 seed = seeds.first; seed <= seeds.last; seed++) {
		struct complaint complaint;
		struct blueprint blueprint;

		random_topology(seed, RANDOM_QUIRKS | RANDOM_PARTIAL, &blueprint);
		if (check_blueprint(&blueprint, &complaint) < 0)
			give_up(seed, &blueprint);
		blueprint_fini(&blueprint);
	}
}

/* ---- the tables by id ---- */

static const u16 vendors[] = {0x0014, 0x1002, 0x1022, 0x10b5, 0x10df, 0x10e3, 0x10e8, 0x1103, 0x111d, 0x1180, 0x1283,
			      0x14e4, 0x177d, 0x17cb, 0x1924, 0x1957, 0x197b, 0x19a2, 0x1a03, 0x1af4, 0x1b21, 0x1b4b,
			      0x1c28, 0x1c36, 0x1d17, 0x1dbf, 0x1def, 0x6766, 0x8086, 0x8088, 0x9005};

static enum model_passing passing_of(const struct pci_traits *traits)
{
	static const enum model_passing passing[] = {[BRIDGE_IDS_PASS] = MODEL_PASS,
						     [BRIDGE_IDS_SECONDARY] = MODEL_SECONDARY,
						     [BRIDGE_IDS_OWN] = MODEL_OWN,
						     [BRIDGE_IDS_ROOT] = MODEL_STOP};

	return passing[traits->ids];
}

/* Some devfns for all: of its own slot, and those that the tables know by number. */
static int compare_uses(const struct pci_function *function, const struct pci_traits *traits)
{
	const u8 own = function->addr.devfn & 0xf8;
	const u8 devfns[] = {own, own | 1, own | 2, own | 7, 0x08, 0x80, 0x88, 0x93, 0xfc, 0xfd, 0xff};

	for (size_t i = 0; i < ARRAY_SIZE(devfns); i++) {
		bool uses = traits->other_ids[devfns[i] / 64] >> devfns[i] % 64 & 1;

		if (devfns[i] != function->addr.devfn && uses != model_uses(function, devfns[i]))
			return -1;
	}
	return 0;
}

static void compare_ids(struct pci_function *function, u16 vendor, u16 device)
{
	struct pci_traits traits;

	put_u16(function->config + PCI_VENDOR_ID, vendor);
	put_u16(function->config + PCI_DEVICE_ID, device);
	pci_traits_of(function, NULL, &traits);
	if (traits.isolates != model_isolates(function))
		fail_msg("%04x:%04x, type %x: isolates %d, by the model %d", vendor, device,
			 pci_is_pcie(function) ? (int)pcie_type(function) : -1, traits.isolates,
			 model_isolates(function));
	if (compare_uses(function, &traits) < 0)
		fail_msg("%04x:%04x: its other ids are not those of the model", vendor, device);
	if (pci_is_bridge(function) && passing_of(&traits) != model_passes(function))
		fail_msg("%04x:%04x: as a bridge does not do with ids what the model says", vendor, device);
}

/* Registers that would isolate, and ids that may say otherwise; registers that would not. */
static void draw_samples(struct blueprint *ret)
{
	static const int types[] = {PCIE_ROOT_PORT,	PCIE_RC_ENDPOINT,	PCIE_ENDPOINT,	   PCIE_DOWNSTREAM_PORT,
				    PCIE_TO_PCI_BRIDGE, BLUEPRINT_CONVENTIONAL, PCIE_UPSTREAM_PORT};

	*ret = (struct blueprint){.count = 0};
	for (u8 i = 0; i < 2 * ARRAY_SIZE(types); i++) {
		int type = types[i / 2];
		bool endpoint = type == PCIE_RC_ENDPOINT || type == PCIE_ENDPOINT;
		struct blueprint_function function = {.addr = {0, (u8)(i ? 1 : 0), i},
						      .subsystem_vendor = 0x9005,
						      .subsystem = 0x02bb,
						      .type = type,
						      .secondary = endpoint ? 0 : (u8)(i + 1),
						      .multifunction = true,
						      .acs = true,
						      .acs_capable = PCI_ACS_ISOLATION,
						      .acs_enabled = i % 2 ? PCI_ACS_ISOLATION : 0,
						      .acs_behind = i % 2 ? 0 : PCI_ACS_ISOLATION,
						      .parent = i ? 0 : BLUEPRINT_NOBODY,
						      .physical = BLUEPRINT_NOBODY,
						      .dma_device = BLUEPRINT_NOBODY};

		blueprint_add(ret, &function);
	}
}

/* Every id takes the long run; the ordinary one sees those at the ends of ranges only if it is lucky. */
TEST(rules, by_id_are_those_of_the_model)
{
	struct random_seeds seeds = random_topology_seeds(ROUNDS);
	unsigned stride = seeds.last - seeds.first + 1 >= 100000 ? 1 : 13;
	struct pci_topology topology;
	struct blueprint blueprint;

	draw_samples(&blueprint);
	blueprint_build(&blueprint, &topology);
	for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
		for (unsigned device = 0; device < 0x10000; device += stride) {
			struct pci_function *function;

			list_for_each(function, &topology.functions, link)
				compare_ids(function, vendors[i], (u16)device);
		}
	}
	blueprint_fini(&blueprint);
	pci_topology_fini(&topology);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(groups, of_random_topologies_are_those_of_the_model),
		CASE(rules, by_id_are_those_of_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
