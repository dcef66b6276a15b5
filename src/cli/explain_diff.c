/* SPDX-License-Identifier: MIT */
/* `--diff`, `--rules A,B` and `--what-if`: who keeps other company than before, and why. */
#include "cli/explanation.h"

#include <stdlib.h>

#include "base/alloc.h"

/* The company of each group as one number, so that two partitions compare fast, however large. */
struct company {
	u64 *sum;				/* owned: by group, of what its members' addresses hash to */
	const struct pci_function **by_address; /* owned */
	size_t count;
};

static int by_address(const void *a, const void *b)
{
	u64 x = pci_addr_key((*(const struct pci_function *const *)a)->addr);
	u64 y = pci_addr_key((*(const struct pci_function *const *)b)->addr);

	return x < y ? -1 : x > y;
}

/* splitmix64's finalizer: any good mixing does. */
static u64 hash(u64 key)
{
	key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9ull;
	key = (key ^ key >> 27) * 0x94d049bb133111ebull;
	return key ^ key >> 31;
}

static int company_init(struct company *company, const struct explanation *explanation, struct why *why)
{
	const struct pci_grouping *grouping = explanation->grouping;

	company->sum = alloc_array((size_t)grouping->ngroups + 1, sizeof(u64), why);
	if (!company->sum)
		return -why->err;
	company->by_address = alloc_array(grouping->count + 1, sizeof(company->by_address[0]), why);
	if (!company->by_address)
		return -why->err;
	company->count = grouping->count;
	if (grouping->count) {
		memcpy(company->by_address, explanation->functions, grouping->count * sizeof(company->by_address[0]));
		qsort(company->by_address, grouping->count, sizeof(company->by_address[0]), by_address);
	}
	for (size_t i = 0; i < grouping->count; i++)
		if (grouping->group[i] >= 0)
			company->sum[grouping->group[i]] += hash(pci_addr_key(explanation->functions[i]->addr) + 1);
	return 0;
}

static void company_fini(struct company *company)
{
	free(company->sum);
	free(company->by_address);
}

enum change { CHANGE_NONE, CHANGE_GONE, CHANGE_NEW, CHANGE_COMPANY };

struct changed {
	enum change change;
	const struct pci_function *before, *after; /* either may be NULL */
};

struct comparison {
	const struct explanation *before, *after;
	struct company left, right;
	struct changed *changes; /* owned */
	size_t count;
};

static bool keeps_company(const struct comparison *comparison, const struct pci_function *before,
			  const struct pci_function *after)
{
	int left = group_of(comparison->before, before), right = group_of(comparison->after, after);

	if (left < 0 || right < 0)
		return left < 0 && right < 0;
	return comparison->left.sum[left] == comparison->right.sum[right];
}

static const struct pci_function *same_address(const struct company *in, const struct pci_function *function)
{
	const struct pci_function **found;

	if (in->count == 0)
		return NULL;
	found = bsearch(&function, in->by_address, in->count, sizeof(in->by_address[0]), by_address);
	return found ? *found : NULL;
}

static void note(struct comparison *comparison, enum change change, const struct pci_function *before,
		 const struct pci_function *after)
{
	comparison->changes[comparison->count++] = (struct changed){change, before, after};
}

static void compare_all(struct comparison *comparison)
{
	const struct explanation *before = comparison->before, *after = comparison->after;

	for (size_t i = 0; i < before->grouping->count; i++) {
		const struct pci_function *function = before->functions[i],
					  *now = same_address(&comparison->right, function);

		if (!now)
			note(comparison, CHANGE_GONE, function, NULL);
		else if (!keeps_company(comparison, function, now))
			note(comparison, CHANGE_COMPANY, function, now);
	}
	for (size_t i = 0; after->survey != before->survey && i < after->grouping->count; i++)
		if (!same_address(&comparison->left, after->functions[i]))
			note(comparison, CHANGE_NEW, NULL, after->functions[i]);
}

static void comparison_fini(struct comparison *comparison)
{
	company_fini(&comparison->left);
	company_fini(&comparison->right);
	free(comparison->changes);
}

static int comparison_init(struct comparison *comparison, const struct explanation *before,
			   const struct explanation *after, struct why *why)
{
	int err;

	*comparison = (struct comparison){.before = before, .after = after};
	err = company_init(&comparison->left, before, why);
	if (err == 0)
		err = company_init(&comparison->right, after, why);
	if (err < 0)
		return err;
	comparison->changes = alloc_array(before->grouping->count + after->grouping->count + 1,
					  sizeof(comparison->changes[0]), why);
	if (!comparison->changes)
		return -why->err;
	compare_all(comparison);
	return 0;
}

#define COMPANY_TEXT 64

/* "group 7 with 3 others" */
static const char *describe(const struct explanation *explanation, const struct pci_function *function,
			    char text[static COMPANY_TEXT])
{
	int group = function ? group_of(explanation, function) : -1;
	size_t others = group < 0 ? 0 : group_size(explanation, group) - 1;

	if (!function)
		return "not there";
	if (group < 0)
		return "no group";
	if (others)
		snprintf(text, COMPANY_TEXT, "group %d with %zu other%s", group, others, others > 1 ? "s" : "");
	else
		snprintf(text, COMPANY_TEXT, "group %d alone", group);
	return text;
}

static void print_change(const struct comparison *comparison, const struct changed *changed, FILE *to)
{
	const struct pci_function *function = changed->after ? changed->after : changed->before;
	const struct explanation *known = changed->after ? comparison->after : comparison->before;
	char bdf[PCI_ADDR_TEXT], name[NAME_TEXT], before[COMPANY_TEXT], after[COMPANY_TEXT], sentence[SENTENCE_TEXT];

	fprintf(to, "  %s  %s\n      %s -> %s\n", pci_addr_print(function->addr, bdf), name_of(known, function, name),
		describe(comparison->before, changed->before, before),
		describe(comparison->after, changed->after, after));
	if (changed->before)
		fprintf(to, "      before: %s\n", sentence_of(comparison->before, changed->before, sentence));
	if (changed->after)
		fprintf(to, "      after:  %s\n", sentence_of(comparison->after, changed->after, sentence));
}

int explain_diff(const struct explanation *before, const struct explanation *after, FILE *to, size_t *ret_changed,
		 struct why *why)
{
	struct comparison comparison;
	int err = comparison_init(&comparison, before, after, why);

	if (err == 0) {
		*ret_changed = comparison.count;
		if (comparison.count)
			fprintf(to, "%zu function%s other company:\n", comparison.count,
				comparison.count > 1 ? "s keep" : " keeps");
		else
			fprintf(to, "the groups are the same\n");
		for (size_t i = 0; i < comparison.count; i++)
			print_change(&comparison, &comparison.changes[i], to);
	}
	comparison_fini(&comparison);
	return err;
}

static json_t *side_json(const struct explanation *explanation, const struct pci_function *function)
{
	int group = function ? group_of(explanation, function) : -1;
	char sentence[SENTENCE_TEXT];

	if (!function)
		return json_null();
	return json_pack("{so si ss}", "group", group < 0 ? json_null() : json_integer(group), "others",
			 group < 0 ? 0 : (int)group_size(explanation, group) - 1, "why",
			 sentence_of(explanation, function, sentence));
}

/* What a member of the object says of the later side, of the earlier one. */
static json_t *source_json(const struct explanation *explanation)
{
	unsigned kernel = pci_rules_kernel(explanation->rules);
	char rules[16];

	snprintf(rules, sizeof(rules), "%u.%u", kernel >> 8, kernel & 0xff);
	return json_pack("{so ss so}", "source", json_string(explanation->survey->source), "rules", rules, "remarks",
			 remarks_json(explanation->survey));
}

int diff_json(const struct explanation *before, const struct explanation *after, json_t **ret, struct why *why)
{
	struct comparison comparison;
	int err = comparison_init(&comparison, before, after, why);
	json_t *array = json_array();

	for (size_t i = 0; err == 0 && i < comparison.count; i++) {
		const struct changed *changed = &comparison.changes[i];
		const struct pci_function *function = changed->after ? changed->after : changed->before;
		char bdf[PCI_ADDR_TEXT];

		json_array_append_new(array, json_pack("{ss so so}", "bdf", pci_addr_print(function->addr, bdf),
						       "before", side_json(before, changed->before), "after",
						       side_json(after, changed->after)));
	}
	comparison_fini(&comparison);
	*ret = json_pack("{so so}", "changed", array, "compared_with", source_json(before));
	return err;
}
