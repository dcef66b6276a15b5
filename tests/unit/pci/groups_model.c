/* SPDX-License-Identifier: MIT */
/*
 * The engine against a second reading of the rules, on random topologies: same groups, same numbers, same alias sets,
 * and every merge says what is so. ISOLDE_ROUNDS topologies from seed ISOLDE_SEED on; a failure prints its seed and
 * the smallest topology found that still fails.
 */
#include "tests/helpers.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(groups, of_random_topologies_are_those_of_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
