/* SPDX-License-Identifier: MIT */
/* The groups of a machine as text: for a terminal, and for a forum. */
#include "cli/explanation.h"

#include <stdlib.h>

#include "base/alloc.h"

static void print_function(const struct explanation *explanation, const struct pci_function *function, FILE *to)
{
	const struct pci_facts *facts = facts_of(explanation, function);
	char bdf[PCI_ADDR_TEXT], name[NAME_TEXT], sentence[SENTENCE_TEXT];

	fprintf(to, "  %s  %s  [alias set %d]", pci_addr_print(function->addr, bdf),
		name_of(explanation, function, name), explanation->grouping->alias_set[function->index]);
	if (facts->driver)
		fprintf(to, "  [%s]", facts->driver);
	fputc('\n', to);
	if (group_of(explanation, function) >= 0)
		fprintf(to, "      why: %s\n", sentence_of(explanation, function, sentence));
	if (assumed_of(explanation, function))
		fprintf(to, "      assumed: %s\n", assumed_of(explanation, function));
}

/* They are in the order of their groups. */
static size_t first_region(const struct pci_survey *survey, int group)
{
	size_t first = 0, after = survey->nregions;

	while (first < after) {
		size_t middle = first + (after - first) / 2;

		if (survey->regions[middle].group < group)
			first = middle + 1;
		else
			after = middle;
	}
	return first;
}

/* group: of the machine's own numbers; PCI_GROUP_UNSAID: those of every group. */
static void print_regions(const struct explanation *explanation, int group, FILE *to)
{
	const struct pci_survey *survey = explanation->survey;

	for (size_t i = first_region(survey, group); i < survey->nregions && survey->regions[i].group == group; i++) {
		const struct pci_region *region = &survey->regions[i];

		fprintf(to, "  reserved 0x%llx-0x%llx %s: %s\n", (unsigned long long)region->start,
			(unsigned long long)region->last, region->kind, region->from);
	}
}

static bool has_common_regions(const struct pci_survey *survey)
{
	for (size_t i = 0; i < survey->nregions; i++)
		if (survey->regions[i].group == PCI_GROUP_UNSAID)
			return true;
	return false;
}

static void print_group(const struct explanation *explanation, int group, FILE *to)
{
	size_t first = explanation->first[group], after = explanation->first[group + 1];
	int host = facts_of(explanation, explanation->by_group[first])->host_group;

	if (host >= 0 && host != group)
		fprintf(to, "group %d (there: %d)\n", group, host);
	else
		fprintf(to, "group %d\n", group);
	for (size_t i = first; i < after; i++)
		print_function(explanation, explanation->by_group[i], to);
	if (host >= 0)
		print_regions(explanation, host, to);
}

/* The ids that the IOMMU may see on its requests, when there is more than its own. */
static void print_ids(const struct explanation *explanation, const struct pci_function *function, FILE *to)
{
	const struct pci_function *vmd = function->dma_device;
	const struct pci_traits *traits;
	struct pci_addr addr;
	char bdf[PCI_ADDR_TEXT];
	u8 phantoms;

	/* What is on the way to Intel VMD does not matter: that makes the requests. */
	function = vmd ? vmd : function;
	traits = &explanation->grouping->traits[function->index];
	phantoms = pci_phantom_functions(function);
	addr = function->addr;
	fprintf(to, "  requester ids: %s%s", pci_addr_print(addr, bdf), vmd ? " (VMD, which makes its requests)" : "");
	for (unsigned devfn = 0; devfn < 256; devfn++) {
		addr.devfn = (u8)devfn;
		if (traits->other_ids[devfn / 64] >> devfn % 64 & 1)
			fprintf(to, ", %s (quirk %s)", pci_addr_print(addr, bdf), traits->alias_quirk->name);
		else if (addr.devfn >> 3 == function->addr.devfn >> 3 && phantoms >> (devfn & 7) & 1)
			fprintf(to, ", %s (phantom function, which Linux does not know of)", pci_addr_print(addr, bdf));
	}
	for (const struct pci_function *bridge = function->parent; bridge; bridge = bridge->parent) {
		enum pci_bridge_ids ids = explanation->grouping->traits[bridge->index].ids;

		if (ids == BRIDGE_IDS_ROOT)
			break;
		if (ids == BRIDGE_IDS_OWN)
			fprintf(to, ", %s (that bridge's own)", pci_addr_print(bridge->addr, bdf));
		if (ids == BRIDGE_IDS_SECONDARY)
			fprintf(to, ", %04x:%02x:00.0 (bridge %s)", bridge->addr.segment, bridge->secondary,
				pci_addr_print(bridge->addr, bdf));
	}
	fputc('\n', to);
}

/* The merge that keeps it in company: its own, or, of a founder, the first of those who joined. */
static const struct pci_merge *merge_of(const struct explanation *explanation, const struct pci_function *function)
{
	const struct pci_merge *merges = explanation->grouping->merges;
	int group = group_of(explanation, function);

	if (merges[function->index].rule != MERGE_FOUNDED)
		return &merges[function->index];
	for (size_t i = explanation->first[group]; i < explanation->first[group + 1]; i++)
		if (merges[explanation->by_group[i]->index].rule != MERGE_FOUNDED)
			return &merges[explanation->by_group[i]->index];
	return NULL;
}

/* What somebody who wants it alone can do. */
static void print_remedy(const struct explanation *explanation, const struct pci_function *function, FILE *to)
{
	const struct pci_merge *merge = group_of(explanation, function) < 0 ? NULL : merge_of(explanation, function);
	char bdf[PCI_ADDR_TEXT];

	if (!merge)
		return;
	if (merge->rule != MERGE_NO_ACS_UPSTREAM && merge->rule != MERGE_NO_ACS_SIBLING) {
		fprintf(to, "  to part them: nothing does, they share an id; assign them together\n");
		return;
	}
	pci_addr_print(merge->over->addr, bdf);
	fprintf(to, "  to part them: %s; --what-if acs=%s shows what that would give\n",
		merge->rule == MERGE_NO_ACS_UPSTREAM ? "a slot whose ports have ACS, or firmware that offers it"
						     : "hardware whose functions have ACS",
		bdf);
}

/* What is above it, up to the root: who redirects and who does not. */
static void print_path(const struct explanation *explanation, const struct pci_function *function, FILE *to)
{
	char bdf[PCI_ADDR_TEXT], bits[PCI_ACS_TEXT];

	for (const struct pci_function *bridge = function->parent; bridge; bridge = bridge->parent) {
		const struct pci_traits *traits = &explanation->grouping->traits[bridge->index];

		fprintf(to, "  above: %s %s", pci_addr_print(bridge->addr, bdf),
			traits->isolates ? "redirects" : "does not redirect");
		if (traits->acs_quirk)
			fprintf(to, " (quirk %s)", traits->acs_quirk->name);
		else if (bridge->cap_acs && traits->acs_missing)
			fprintf(to, " (ACS lacks %s)", pci_acs_print(traits->acs_missing, bits));
		fputc('\n', to);
	}
}

void explain_text(const struct explanation *explanation, const struct pci_function *only, FILE *to)
{
	const struct pci_grouping *grouping = explanation->grouping;

	for (int group = 0; group < grouping->ngroups; group++)
		if (!only || group_of(explanation, only) == group)
			print_group(explanation, group, to);
	for (size_t i = explanation->first[grouping->ngroups]; i < grouping->count; i++) {
		if (only && group_of(explanation, only) >= 0)
			break;
		if (i == explanation->first[grouping->ngroups])
			fprintf(to, "no group: not behind an IOMMU\n");
		print_function(explanation, explanation->by_group[i], to);
	}
	if (has_common_regions(explanation->survey)) {
		fprintf(to, "every group\n");
		print_regions(explanation, PCI_GROUP_UNSAID, to);
	}
	if (only) {
		char bdf[PCI_ADDR_TEXT];

		fprintf(to, "\n%s\n", pci_addr_print(only->addr, bdf));
		print_ids(explanation, only, to);
		print_path(explanation, only, to);
		print_remedy(explanation, only, to);
	}
}

void explain_remarks(const struct pci_survey *survey, FILE *to)
{
	static const char *const words[] = {
		[REMARK_WARNING] = "warning",
		[REMARK_MISSING] = "missing",
		[REMARK_ASSUMPTION] = "assumed",
	};

	for (size_t i = 0; i < survey->nremarks; i++) {
		const struct pci_remark *remark = &survey->remarks[i];

		fprintf(to, "%s: ", words[remark->kind]);
		if (remark->line)
			fprintf(to, "%s:%u: ", survey->source, remark->line);
		fprintf(to, "%s\n", remark->text);
		if (remark->command)
			fprintf(to, "         to know: %s\n", remark->command);
	}
}

/* ---- against what the machine's kernel said ---- */

/* A dump may say anything; Linux hands out the lowest free number. */
#define MOST_HOST_GROUPS (1 << 20)

static int host_group(const struct explanation *explanation, size_t index)
{
	int group = explanation->survey->facts[index].host_group;

	return group < MOST_HOST_GROUPS ? group : PCI_GROUP_UNSAID;
}

/* The likeliest reason first. */
static const char *guess(const struct explanation *explanation)
{
	for (size_t i = 0; i < explanation->survey->count; i++)
		if (explanation->survey->facts[i].gaps & (PCI_GAP_CAPS | PCI_GAP_EXT_CAPS))
			return "believe it: it sees capabilities (ACS) that this source does not show";
	return "it may be older than these rules (--rules), patched (pcie_acs_override), or know its firmware better";
}

static int explain_difference(const struct explanation *explanation, const int *host_of, const int *ours_of, FILE *to)
{
	int differ = 0;

	for (size_t i = 0; i < explanation->grouping->count; i++) {
		const struct pci_function *function = explanation->functions[i];
		int ours = group_of(explanation, function), host = host_group(explanation, i);
		char bdf[PCI_ADDR_TEXT];

		if (ours < 0 || host < 0 || (host_of[ours] == host && ours_of[host] == ours))
			continue;
		if (differ++ == 0)
			fprintf(to, "warning: that machine's kernel grouped differently; %s\n", guess(explanation));
		fprintf(to, "         %s: there in group %d, here in group %d\n", pci_addr_print(function->addr, bdf),
			host, ours);
	}
	return differ;
}

/* Partitions are equal when the numbers map to each other one to one. */
int explain_host(const struct explanation *explanation, FILE *to, struct why *why)
{
	const struct pci_grouping *grouping = explanation->grouping;
	int *host_of, *ours_of = NULL, most = 0, differ = -1;

	for (size_t i = 0; i < grouping->count; i++)
		most = host_group(explanation, i) > most ? host_group(explanation, i) : most;
	host_of = alloc_array((size_t)grouping->ngroups + 1, sizeof(int), why);
	if (host_of)
		ours_of = alloc_array((size_t)most + 1, sizeof(int), why);
	for (size_t i = grouping->count; ours_of && i-- > 0;) {
		int ours = grouping->group[i], host = host_group(explanation, i);

		if (ours >= 0 && host >= 0) {
			host_of[ours] = host;
			ours_of[host] = ours;
		}
	}
	if (ours_of)
		differ = explain_difference(explanation, host_of, ours_of, to);
	free(host_of);
	free(ours_of);
	return differ < 0 ? -why->err : differ;
}
