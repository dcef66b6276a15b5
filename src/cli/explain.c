/* SPDX-License-Identifier: MIT */
/* `isolde explain`: the groups of a machine, and why each member is where it is. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/names.h"
#include "cli/verbs.h"
#include "machine/description.h"

static const char help_text[] =
	"usage: isolde explain --machine FILE|NAME [--why BDF] [--json]\n"
	"\n"
	"The IOMMU groups of a machine as Linux makes them: alias sets (ids that hardware cannot\n"
	"tell apart), isolation groups, and the reason of every merge.\n"
	"\n"
	"  -m, --machine FILE|NAME  a machine file, or one built in (default: default)\n"
	"  -w, --why BDF            only the group of that function\n"
	"  -j, --json               as one JSON object\n"
	"  -h, --help               this text\n";

static const struct option options[] = {
	{"machine", required_argument, NULL, 'm'},
	{"why", required_argument, NULL, 'w'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

struct explained {
	struct description *description; /* owned */
	struct pci_topology topology;
	struct pci_grouping *grouping;	/* owned */
	const struct pci_function **at; /* owned: by index */
	struct names *names;		/* owned */
};

static void explained_fini(struct explained *explained)
{
	names_close(explained->names);
	pci_grouping_free(explained->grouping);
	pci_topology_fini(&explained->topology);
	description_free(explained->description);
	free(explained->at);
}

static bool is_translated(const struct pci_function *function)
{
	return !function->untranslated;
}

static int explain(const char *machine, struct explained *ret, struct why *why)
{
	struct pci_function *function;
	size_t i = 0;
	int err;

	pci_topology_init(&ret->topology);
	err = description_load(machine, &ret->description, why);
	if (err == 0)
		err = topology_build(ret->description, &ret->topology, why);
	if (err == 0)
		err = pci_grouping_compute(&ret->topology, is_translated, &ret->grouping, why);
	if (err < 0)
		return err;
	ret->at = alloc_array(ret->grouping->count + 1, sizeof(*ret->at), why);
	if (!ret->at)
		return -why->err;
	list_for_each(function, &ret->topology.functions, link)
		ret->at[i++] = function;
	ret->names = names_open();
	return 0;
}

static const char *name_of(const struct explained *explained, const struct pci_function *function, char *text,
			   size_t size)
{
	const u8 *config = function->config;

	return names_device(explained->names, get_u16(config + PCI_CLASS), get_u16(config + PCI_VENDOR_ID),
			    get_u16(config + PCI_DEVICE_ID), text, size);
}

static const struct pci_merge *merge_of(const struct explained *explained, const struct pci_function *function)
{
	for (size_t i = 0; i < explained->grouping->nmerges; i++)
		if (explained->grouping->merges[i].function == function)
			return &explained->grouping->merges[i];
	return NULL;
}

static unsigned members(const struct pci_grouping *grouping, int group)
{
	unsigned count = 0;

	for (size_t i = 0; i < grouping->count; i++)
		count += grouping->group[i] == group;
	return count;
}

static void print_reason(const struct explained *explained, size_t i, bool alone)
{
	const struct pci_merge *merge = merge_of(explained, explained->at[i]);

	if (merge)
		printf("      why: %s\n", merge->reason);
	else if (!alone)
		printf("      why: the first of its group; the others joined it\n");
	else if (explained->at[i]->parent)
		printf("      why: alone, because every port above it redirects (ACS)\n");
	else
		printf("      why: alone, because nothing is above it and it reaches no other function by itself\n");
}

static void print_group(const struct explained *explained, int group)
{
	const struct pci_grouping *grouping = explained->grouping;
	char bdf[PCI_ADDR_TEXT], name[256];

	if (group < 0)
		printf("no group: not behind an IOMMU\n");
	else
		printf("group %d\n", group);
	for (size_t i = 0; i < grouping->count; i++) {
		if (grouping->group[i] != group)
			continue;
		printf("  %s  %s  [alias set %d]\n", pci_addr_print(explained->at[i]->addr, bdf),
		       name_of(explained, explained->at[i], name, sizeof(name)), grouping->alias_set[i]);
		if (group >= 0)
			print_reason(explained, i, members(grouping, group) == 1);
	}
}

static void print_text(const struct explained *explained, int only)
{
	for (int group = 0; group < explained->grouping->ngroups; group++)
		if ((only < 0 || only == group) && members(explained->grouping, group))
			print_group(explained, group);
	if (only < 0 && members(explained->grouping, -1))
		print_group(explained, -1);
}

static json_t *function_json(const struct explained *explained, size_t i)
{
	const struct pci_function *function = explained->at[i];
	const struct function_description *words = description_find(explained->description, function->addr);
	int group = explained->grouping->group[i];
	char bdf[PCI_ADDR_TEXT], id[12], name[256];

	snprintf(id, sizeof(id), "%04x:%04x", get_u16(function->config + PCI_VENDOR_ID),
		 get_u16(function->config + PCI_DEVICE_ID));
	return json_pack("{ss so si ss ss ss}", "bdf", pci_addr_print(function->addr, bdf), "group",
			 group < 0 ? json_null() : json_integer(group), "alias_set", explained->grouping->alias_set[i],
			 "id", id, "driver", words->driver, "name", name_of(explained, function, name, sizeof(name)));
}

static json_t *merge_json(const struct pci_merge *merge)
{
	char function[PCI_ADDR_TEXT], with[PCI_ADDR_TEXT], over[PCI_ADDR_TEXT];

	return json_pack("{ss ss ss ss ss}", "function", pci_addr_print(merge->function->addr, function), "with",
			 pci_addr_print(merge->with->addr, with), "over", pci_addr_print(merge->over->addr, over),
			 "rule", merge_rule_name(merge->rule), "reason", merge->reason);
}

static void print_json(const struct explained *explained, int only)
{
	const struct pci_grouping *grouping = explained->grouping;
	json_t *functions = json_array(), *merges = json_array(), *all;

	for (size_t i = 0; i < grouping->count; i++)
		if (only < 0 || grouping->group[i] == only)
			json_array_append_new(functions, function_json(explained, i));
	for (size_t i = 0; i < grouping->nmerges; i++)
		json_array_append_new(merges, merge_json(&grouping->merges[i]));
	all = json_pack("{so so}", "functions", functions, "merges", merges);
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	putchar('\n');
	json_decref(all);
}

/* The group that --why asks for; -1: all. */
static int chosen_group(const struct explained *explained, const char *text, int *ret, struct why *why)
{
	struct pci_addr addr;

	*ret = -1;
	if (!text)
		return 0;
	if (pci_addr_parse(text, &addr))
		for (size_t i = 0; i < explained->grouping->count; i++)
			if (pci_addr_equal(explained->at[i]->addr, addr)) {
				*ret = explained->grouping->group[i];
				return 0;
			}
	return refuse(why, DRIVER_DEVICE_UNKNOWN, "there is no device \"%.40s\" in this machine", text);
}

static int show(const char *machine, const char *bdf, bool json, struct why *why)
{
	struct explained explained = {.description = NULL};
	int only, err = explain(machine, &explained, why);

	if (err == 0)
		err = chosen_group(&explained, bdf, &only, why);
	if (err == 0 && json)
		print_json(&explained, only);
	else if (err == 0)
		print_text(&explained, only);
	explained_fini(&explained);
	return err;
}

int verb_explain(int argc, char **argv)
{
	const char *machine = NULL, *bdf = NULL;
	struct why why = WHY_INIT;
	bool json = false;
	int option;

	while ((option = next_option(argc, argv, "m:w:jh", options, &why)) >= 0) {
		switch (option) {
		case 'm':
			machine = optarg;
			break;
		case 'w':
			bdf = optarg;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return 0;
		default:
			complain("explain", &why);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "isolde: explain: \"%s\" is one argument too many; isolde help explain\n",
			argv[optind]);
		return EXIT_USAGE;
	}
	if (show(machine, bdf, json, &why) < 0) {
		complain("explain", &why);
		return 1;
	}
	return 0;
}
