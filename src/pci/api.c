/* SPDX-License-Identifier: MIT */
/* include/isolde/topology.h */
#include "isolde/topology.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "pci/survey.h"

struct isolde_topology {
	struct pci_survey *survey; /* owned */
	bool finished;
};

struct isolde_rules {
	struct pci_rules *rules; /* owned */
};

struct isolde_groups {
	const struct isolde_topology *topology;
	struct pci_rules *own_rules;	       /* owned: stand for none; NULL when the caller brought some */
	struct pci_grouping *grouping;	       /* owned */
	const struct pci_function **functions; /* owned: by index */
};

static int told(struct isolde_why *reason, const struct why *why, int err)
{
	why_export(reason, why, err);
	return err;
}

/* ---- the machine ---- */

/* Takes over the survey, also on failure. */
static int wrap(struct pci_survey *survey, bool finished, struct isolde_topology **ret, struct why *why)
{
	struct isolde_topology *topology = alloc_new(struct isolde_topology, why);

	if (!topology) {
		pci_survey_free(survey);
		return -why->err;
	}
	*topology = (struct isolde_topology){.survey = survey, .finished = finished};
	*ret = topology;
	return 0;
}

int isolde_topology_from_lspci(const char *text, size_t size, const char *name, const char *pci_ids,
			       struct isolde_topology **ret, struct isolde_why *reason)
{
	struct pci_survey *survey;
	struct pci_ids *ids = NULL;
	struct why why = WHY_INIT;
	int err = pci_ids ? pci_ids_read(pci_ids, &ids, &why) : 0;

	if (err == 0)
		err = pci_read_lspci(text, size, name, ids, &survey, &why);
	pci_ids_free(ids);
	if (err == 0)
		err = wrap(survey, true, ret, &why);
	return told(reason, &why, err);
}

int isolde_topology_from_sysfs(const char *root, struct isolde_topology **ret, struct isolde_why *reason)
{
	struct pci_survey *survey;
	struct why why = WHY_INIT;
	int err = pci_read_sysfs(root, &survey, &why);

	if (err == 0)
		err = wrap(survey, true, ret, &why);
	return told(reason, &why, err);
}

int isolde_topology_new(struct isolde_topology **ret, struct isolde_why *reason)
{
	struct pci_survey *survey;
	struct why why = WHY_INIT;
	int err = pci_survey_new("by hand", &survey, &why);

	if (err == 0)
		err = wrap(survey, false, ret, &why);
	return told(reason, &why, err);
}

static int check_function(const struct isolde_topology *topology, struct pci_addr addr, size_t size, struct why *why)
{
	char bdf[PCI_ADDR_TEXT];

	pci_addr_print(addr, bdf);
	if (topology->finished)
		return refuse(why, TOPOLOGY_INVALID, "%s: the topology is finished already", bdf);
	if (size != 64 && size != 256 && size != 4096)
		return refuse(why, TOPOLOGY_INVALID, "%s: %zu bytes of configuration space; there are 64, 256 or 4096",
			      bdf, size);
	return 0;
}

/* What 64 bytes leave open is a gap; what 256 do, of a PCI Express function, too. */
static unsigned gaps_of(const struct pci_function *function, size_t size)
{
	if (size == 64)
		return PCI_GAP_CAPS | PCI_GAP_EXT_CAPS;
	return size == 256 && pci_is_pcie(function) ? PCI_GAP_EXT_CAPS : 0;
}

int isolde_topology_add(struct isolde_topology *topology, struct isolde_bdf address, const void *config, size_t size,
			struct isolde_why *reason)
{
	struct pci_addr addr = {address.segment, address.bus, address.devfn};
	struct pci_identity identity = {.vendor = 0};
	struct pci_function *function;
	struct pci_facts *facts;
	struct why why = WHY_INIT;
	int err = check_function(topology, addr, size, &why);

	if (err == 0)
		err = pci_survey_add(topology->survey, addr, &identity, &facts, &why);
	if (err < 0)
		return told(reason, &why, err);
	function = facts->function;
	memcpy(function->config, config, size);
	pci_scan_caps(function, (u16)size);
	facts->gaps = gaps_of(function, size);
	return told(reason, &why, 0);
}

int isolde_topology_finish(struct isolde_topology *topology, struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	int err;

	if (topology->finished)
		err = refuse(&why, TOPOLOGY_INVALID, "the topology is finished already");
	else
		err = pci_survey_finish(topology->survey, &why);
	topology->finished = topology->finished || err == 0;
	return told(reason, &why, err);
}

void isolde_topology_free(struct isolde_topology *topology)
{
	if (!topology)
		return;
	pci_survey_free(topology->survey);
	free(topology);
}

size_t isolde_topology_remarks(const struct isolde_topology *topology)
{
	return topology->survey->nremarks;
}

void isolde_topology_remark(const struct isolde_topology *topology, size_t index, const char **ret_text,
			    const char **ret_command)
{
	*ret_text = topology->survey->remarks[index].text;
	*ret_command = topology->survey->remarks[index].command;
}

/* ---- the rules ---- */

int isolde_rules_new(const char *kernel, struct isolde_rules **ret, struct isolde_why *reason)
{
	struct isolde_rules *rules;
	struct why why = WHY_INIT;
	unsigned version = PCI_KERNEL_LATEST;
	int err = kernel ? pci_kernel_parse(kernel, &version, &why) : 0;

	if (err < 0)
		return told(reason, &why, err);
	rules = alloc_new(struct isolde_rules, &why);
	err = rules ? pci_rules_new(version, &rules->rules, &why) : -why.err;
	if (err == 0)
		*ret = rules;
	else
		free(rules);
	return told(reason, &why, err);
}

int isolde_rules_add(struct isolde_rules *rules, const char *change, struct isolde_why *reason)
{
	struct why why = WHY_INIT;

	return told(reason, &why, pci_rules_add(rules->rules, change, &why));
}

void isolde_rules_free(struct isolde_rules *rules)
{
	if (!rules)
		return;
	pci_rules_free(rules->rules);
	free(rules);
}

/* ---- the groups ---- */

static void list_functions(struct isolde_groups *groups, const struct pci_topology *topology)
{
	const struct pci_function *function;

	list_for_each(function, &topology->functions, link)
		groups->functions[function->index] = function;
}

static int compute(const struct isolde_topology *topology, struct pci_rules *rules, struct isolde_groups *groups,
		   struct why *why)
{
	const struct pci_topology *functions = &topology->survey->topology;
	int err = 0;

	if (!topology->finished)
		return refuse(why, TOPOLOGY_INVALID, "the topology is not finished: isolde_topology_finish()");
	groups->topology = topology;
	groups->functions = alloc_array(functions->count + 1, sizeof(groups->functions[0]), why);
	if (!groups->functions)
		return -why->err;
	list_functions(groups, functions);
	if (!rules) {
		err = pci_rules_new(PCI_KERNEL_LATEST, &groups->own_rules, why);
		rules = groups->own_rules;
	}
	if (err < 0)
		return err;
	pci_rules_arm_acs(rules, topology->survey->acs_unarmed);
	return pci_grouping_compute(functions, rules, &groups->grouping, why);
}

int isolde_groups_compute(const struct isolde_topology *topology, struct isolde_rules *rules,
			  struct isolde_groups **ret, struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct isolde_groups *groups = alloc_new(struct isolde_groups, &why);
	int err = groups ? compute(topology, rules ? rules->rules : NULL, groups, &why) : -why.err;

	if (err == 0)
		*ret = groups;
	else
		isolde_groups_free(groups);
	return told(reason, &why, err);
}

void isolde_groups_free(struct isolde_groups *groups)
{
	if (!groups)
		return;
	pci_grouping_free(groups->grouping);
	pci_rules_free(groups->own_rules);
	free(groups->functions);
	free(groups);
}

size_t isolde_groups_count(const struct isolde_groups *groups)
{
	return groups->grouping->count;
}

static size_t index_of(const struct pci_function *function)
{
	return function ? function->index : ISOLDE_NONE;
}

void isolde_groups_member(const struct isolde_groups *groups, size_t index, struct isolde_group_member *ret)
{
	const struct pci_grouping *grouping = groups->grouping;
	struct pci_addr addr = groups->functions[index]->addr;

	*ret = (struct isolde_group_member){
		.address = {addr.segment, addr.bus, addr.devfn},
		.group = grouping->group[index],
		.alias_set = grouping->alias_set[index],
		.rule = merge_rule_name(grouping->merges[index].rule),
		.with = index_of(grouping->merges[index].with),
		.over = index_of(grouping->merges[index].over),
	};
}

size_t isolde_groups_find(const struct isolde_groups *groups, struct isolde_bdf address)
{
	struct pci_addr addr = {address.segment, address.bus, address.devfn};

	return index_of(pci_topology_find(&groups->topology->survey->topology, addr));
}

const char *isolde_groups_reason(const struct isolde_groups *groups, size_t index, char *text, size_t size)
{
	char reason[PCI_REASON_TEXT];

	snprintf(text, size, "%s", pci_merge_reason(groups->grouping, &groups->grouping->merges[index], reason));
	return text;
}
