/* SPDX-License-Identifier: MIT */
/* The groups of a machine as JSON; docs/explain.md has the schema. */
#include "cli/explanation.h"

static json_t *addr_json(const struct pci_function *function)
{
	char bdf[PCI_ADDR_TEXT];

	return json_string(pci_addr_print(function->addr, bdf));
}

static json_t *number_or_null(int number)
{
	return number < 0 ? json_null() : json_integer(number);
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *acs_json(const struct pci_function *function, const struct pci_traits *traits)
{
	char capable[PCI_ACS_TEXT], enabled[PCI_ACS_TEXT], missing[PCI_ACS_TEXT];

	if (!function->cap_acs && traits->ground != ACS_GROUND_REGISTERS)
		return json_null();
	return json_pack("{ss ss ss}", "capable", pci_acs_print(traits->acs_capable, capable), "enabled",
			 pci_acs_print(traits->acs_enabled, enabled), "missing",
			 pci_acs_print(traits->acs_missing, missing));
}

static json_t *function_json(const struct explanation *explanation, const struct pci_function *function)
{
	const struct pci_traits *traits = &explanation->grouping->traits[function->index];
	const struct pci_facts *facts = facts_of(explanation, function);
	char id[12], name[NAME_TEXT];

	snprintf(id, sizeof(id), "%04x:%04x", get_u16(function->config + PCI_VENDOR_ID),
		 get_u16(function->config + PCI_DEVICE_ID));
	return json_pack("{so so si ss so so so so sb so so}", "bdf", addr_json(function), "group",
			 number_or_null(group_of(explanation, function)), "alias_set",
			 explanation->grouping->alias_set[function->index], "id", id, "driver",
			 text_or_null(facts->driver), "name", json_string(name_of(explanation, function, name)),
			 "group_there", number_or_null(facts->host_group), "acs", acs_json(function, traits),
			 "isolates", (int)traits->isolates, "quirk",
			 text_or_null(traits->acs_quirk ? traits->acs_quirk->name : NULL), "assumed",
			 text_or_null(assumed_of(explanation, function)));
}

static json_t *merge_json(const struct explanation *explanation, const struct pci_merge *merge)
{
	const struct pci_traits *over = &explanation->grouping->traits[merge->over->index];
	char reason[PCI_REASON_TEXT], missing[PCI_ACS_TEXT];
	bool acs = merge->rule == MERGE_NO_ACS_UPSTREAM || merge->rule == MERGE_NO_ACS_SIBLING;

	return json_pack("{so so so ss so ss}", "function", addr_json(merge->function), "with", addr_json(merge->with),
			 "over", addr_json(merge->over), "rule", merge_rule_name(merge->rule), "missing",
			 acs ? json_string(pci_acs_print(over->acs_missing, missing)) : json_null(), "reason",
			 pci_merge_reason(explanation->grouping, merge, reason));
}

json_t *remarks_json(const struct pci_survey *survey)
{
	static const char *const kinds[] = {
		[REMARK_WARNING] = "warning",
		[REMARK_MISSING] = "missing",
		[REMARK_ASSUMPTION] = "assumption",
	};
	json_t *array = json_array();

	for (size_t i = 0; i < survey->nremarks; i++) {
		const struct pci_remark *remark = &survey->remarks[i];

		json_array_append_new(array, json_pack("{ss so so so}", "kind", kinds[remark->kind], "text",
						       json_string(remark->text), "line",
						       remark->line ? json_integer(remark->line) : json_null(),
						       "command", text_or_null(remark->command)));
	}
	return array;
}

/* Addresses are text: numbers of JSON end at 2^53. */
static json_t *regions_json(const struct pci_survey *survey)
{
	json_t *array = json_array();

	for (size_t i = 0; i < survey->nregions; i++) {
		const struct pci_region *region = &survey->regions[i];
		char start[20], last[20];

		snprintf(start, sizeof(start), "0x%016llx", (unsigned long long)region->start);
		snprintf(last, sizeof(last), "0x%016llx", (unsigned long long)region->last);
		json_array_append_new(array,
				      json_pack("{ss ss ss so ss}", "start", start, "last", last, "type", region->kind,
						"group_there", number_or_null(region->group), "from", region->from));
	}
	return array;
}

json_t *explain_json(const struct explanation *explanation, const struct pci_function *only)
{
	const struct pci_grouping *grouping = explanation->grouping;
	unsigned kernel = pci_rules_kernel(explanation->rules);
	json_t *functions = json_array(), *merges = json_array();
	char rules[16];

	snprintf(rules, sizeof(rules), "%u.%u", kernel >> 8, kernel & 0xff);
	for (size_t i = 0; i < grouping->count; i++) {
		const struct pci_function *function = explanation->functions[i];

		if (only && group_of(explanation, only) != group_of(explanation, function))
			continue;
		json_array_append_new(functions, function_json(explanation, function));
		if (grouping->merges[i].rule != MERGE_FOUNDED)
			json_array_append_new(merges, merge_json(explanation, &grouping->merges[i]));
	}
	return json_pack("{so so so so ss so}", "functions", functions, "merges", merges, "remarks",
			 remarks_json(explanation->survey), "regions", regions_json(explanation->survey), "rules",
			 rules, "source", json_string(explanation->survey->source));
}
