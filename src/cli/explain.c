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

/* In place of a group's number, where -1 is "no group". */
#define ALL_GROUPS -2

/* One function with all there is to say about it. */
struct member {
	const struct pci_function *function;
	const struct function_description *words;
	const struct pci_merge *merge; /* NULL: it joined nobody */
	int group, alias_set;
	size_t index;
	bool alone; /* in its group */
};

struct explained {
	struct description *description; /* owned */
	struct pci_topology topology;
	struct pci_grouping *grouping; /* owned */
	struct member *members;	       /* owned: in enumeration order */
	const struct member **sorted;  /* owned: by group, those without one last */
	size_t count;
	struct names *names; /* owned */
};

/* Whom to show. */
struct choice {
	bool all;
	int group;
};

static void explained_fini(struct explained *explained)
{
	names_close(explained->names);
	free(explained->sorted);
	free(explained->members);
	pci_grouping_free(explained->grouping);
	pci_topology_fini(&explained->topology);
	description_free(explained->description);
}

static int by_group(const void *a, const void *b)
{
	const struct member *x = *(const struct member *const *)a, *y = *(const struct member *const *)b;
	unsigned left = (unsigned)x->group, right = (unsigned)y->group; /* -1 becomes the largest */

	if (left != right)
		return left < right ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static bool same_group(const struct explained *explained, size_t i, size_t j)
{
	return j < explained->count && explained->sorted[i]->group == explained->sorted[j]->group;
}

/* The words, the functions and the merges are in one order. */
static void fill_members(struct explained *explained)
{
	const struct pci_grouping *grouping = explained->grouping;
	const struct pci_function *function;
	const struct function_description *words;
	size_t i = 0;

	list_for_each(function, &explained->topology.functions, link) {
		const struct pci_merge *merge = &grouping->merges[i];

		explained->members[i] = (struct member){
			.function = function,
			.merge = merge->rule == MERGE_FOUNDED ? NULL : merge,
			.group = grouping->group[i],
			.alias_set = grouping->alias_set[i],
			.index = i,
		};
		explained->sorted[i] = &explained->members[i];
		i++;
	}
	i = 0;
	list_for_each(words, &explained->description->functions, link)
		explained->members[i++].words = words;
	qsort(explained->sorted, i, sizeof(explained->sorted[0]), by_group);
	for (i = 0; i < explained->count; i++)
		explained->members[explained->sorted[i]->index].alone = !same_group(explained, i, i + 1) &&
									!(i && same_group(explained, i, i - 1));
}

static int explain(const char *machine, struct explained *ret, struct why *why)
{
	int err;

	pci_topology_init(&ret->topology);
	err = description_load(machine, &ret->description, why);
	if (err == 0)
		err = topology_build(ret->description, &ret->topology, why);
	if (err == 0)
		err = pci_grouping_compute(&ret->topology, NULL, &ret->grouping, why);
	if (err < 0)
		return err;
	ret->count = ret->grouping->count;
	ret->members = alloc_array(ret->count + 1, sizeof(ret->members[0]), why);
	if (!ret->members)
		return -why->err;
	ret->sorted = alloc_array(ret->count + 1, sizeof(ret->sorted[0]), why);
	if (!ret->sorted)
		return -why->err;
	fill_members(ret);
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

static const char *reason_of(const struct explained *explained, const struct member *member,
			     char text[static PCI_REASON_TEXT])
{
	if (member->merge)
		return pci_merge_reason(explained->grouping, member->merge, text);
	if (!member->alone)
		return "the first of its group; the others joined it";
	if (member->function->parent)
		return "alone, because every port above it redirects (ACS)";
	return "alone, because nothing is above it and it reaches no other function by itself";
}

static bool is_chosen(const struct choice *choice, const struct member *member)
{
	return choice->all || choice->group == member->group;
}

static void print_text(const struct explained *explained, const struct choice *choice)
{
	char bdf[PCI_ADDR_TEXT], name[256], reason[PCI_REASON_TEXT];

	for (size_t i = 0; i < explained->count; i++) {
		const struct member *member = explained->sorted[i];
		bool first = i == 0 || !same_group(explained, i, i - 1);

		if (!is_chosen(choice, member))
			continue;
		if (first && member->group < 0)
			printf("no group: not behind an IOMMU\n");
		else if (first)
			printf("group %d\n", member->group);
		printf("  %s  %s  [alias set %d]\n", pci_addr_print(member->function->addr, bdf),
		       name_of(explained, member->function, name, sizeof(name)), member->alias_set);
		if (member->group >= 0)
			printf("      why: %s\n", reason_of(explained, member, reason));
	}
}

static json_t *function_json(const struct explained *explained, const struct member *member)
{
	const struct pci_function *function = member->function;
	char bdf[PCI_ADDR_TEXT], id[12], name[256];

	snprintf(id, sizeof(id), "%04x:%04x", get_u16(function->config + PCI_VENDOR_ID),
		 get_u16(function->config + PCI_DEVICE_ID));
	return json_pack("{ss so si ss ss ss}", "bdf", pci_addr_print(function->addr, bdf), "group",
			 member->group < 0 ? json_null() : json_integer(member->group), "alias_set", member->alias_set,
			 "id", id, "driver", member->words->driver, "name",
			 name_of(explained, function, name, sizeof(name)));
}

static json_t *merge_json(const struct explained *explained, const struct pci_merge *merge)
{
	char function[PCI_ADDR_TEXT], with[PCI_ADDR_TEXT], over[PCI_ADDR_TEXT], reason[PCI_REASON_TEXT];

	return json_pack("{ss ss ss ss ss}", "function", pci_addr_print(merge->function->addr, function), "with",
			 pci_addr_print(merge->with->addr, with), "over", pci_addr_print(merge->over->addr, over),
			 "rule", merge_rule_name(merge->rule), "reason",
			 pci_merge_reason(explained->grouping, merge, reason));
}

static void print_json(const struct explained *explained, const struct choice *choice)
{
	json_t *functions = json_array(), *merges = json_array(), *all;

	for (size_t i = 0; i < explained->count; i++) {
		const struct member *member = &explained->members[i];

		if (!is_chosen(choice, member))
			continue;
		json_array_append_new(functions, function_json(explained, member));
		if (member->merge)
			json_array_append_new(merges, merge_json(explained, member->merge));
	}
	all = json_pack("{so so}", "functions", functions, "merges", merges);
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	putchar('\n');
	json_decref(all);
}

/* The group that --why asks for; without it, all. */
static int choose(const struct explained *explained, const char *text, struct choice *ret, struct why *why)
{
	struct pci_addr addr;

	ret->all = !text;
	if (!text)
		return 0;
	if (pci_addr_parse(text, &addr))
		for (size_t i = 0; i < explained->count; i++)
			if (pci_addr_equal(explained->members[i].function->addr, addr)) {
				ret->group = explained->members[i].group;
				return 0;
			}
	return refuse(why, DRIVER_DEVICE_UNKNOWN, "there is no device \"%.40s\" in this machine", text);
}

static int show(const char *machine, const char *bdf, bool json, struct why *why)
{
	struct explained explained = {.description = NULL};
	struct choice choice = {.all = true};
	int err = explain(machine, &explained, why);

	if (err == 0)
		err = choose(&explained, bdf, &choice, why);
	if (err == 0 && json)
		print_json(&explained, &choice);
	else if (err == 0)
		print_text(&explained, &choice);
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
