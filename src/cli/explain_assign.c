/* SPDX-License-Identifier: MIT */
/* `--assign` and `--reset`: what else has to go with a function, and what a reset of its bus hits. */
#include "cli/explanation.h"

#include <string.h>

#include "pci/reset.h"

enum part {
	PART_TARGET,
	PART_RELEASE,  /* its driver uses DMA: unbind it, or assign it too */
	PART_FREE,     /* nobody drives it */
	PART_HARMLESS, /* its driver leaves DMA to whoever owns the group (driver_managed_dma) */
	PART_UNKNOWN,  /* the source does not name drivers */
};

static const char *const part_names[] = {
	[PART_TARGET] = "assign",     [PART_RELEASE] = "release", [PART_FREE] = "free",
	[PART_HARMLESS] = "harmless", [PART_UNKNOWN] = "unknown",
};

static const char *const part_titles[] = {
	[PART_TARGET] = "bind to vfio-pci:",
	[PART_RELEASE] = "unbind from their drivers, or bind to vfio-pci too (the group is assigned as a whole):",
	[PART_FREE] = "leave without a driver, or bind to vfio-pci too:",
	[PART_HARMLESS] = "leave as they are, they are not in the way:",
	[PART_UNKNOWN] = "must have no driver that does DMA (the source does not say which they have):",
};

static bool is_vfio(const char *driver)
{
	return strncmp(driver, "vfio-", 5) == 0 || strstr(driver, "_vfio_pci") || strstr(driver, "-vfio-pci");
}

/* Drivers of Linux 7.2 that set driver_managed_dma (spec 02 section 6), as far as they drive PCI functions. */
static bool leaves_dma_alone(const char *driver)
{
	static const char *const names[] = {"pcieport", "pci-stub"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(driver, names[i]) == 0)
			return true;
	return is_vfio(driver);
}

static enum part part_of(const struct explanation *explanation, const struct pci_function *function,
			 const struct pci_function *target)
{
	const struct pci_facts *facts = facts_of(explanation, function);

	if (function == target)
		return PART_TARGET;
	if (facts->driver)
		return leaves_dma_alone(facts->driver) ? PART_HARMLESS : PART_RELEASE;
	if (pci_is_bridge(function))
		return PART_HARMLESS;
	return facts->driver_said ? PART_FREE : PART_UNKNOWN;
}

/* The first region that the firmware keeps mapped for a member: such a group cannot be assigned. */
static const struct pci_region *direct_region(const struct explanation *explanation,
					      const struct pci_function *function)
{
	int host = facts_of(explanation, function)->host_group;

	for (size_t i = 0; i < explanation->survey->nregions; i++) {
		const struct pci_region *region = &explanation->survey->regions[i];

		if (region->group == host && host >= 0 && strcmp(region->kind, "direct") == 0)
			return region;
	}
	return NULL;
}

/* Why it cannot be assigned at all; NULL when it can. */
static const char *obstacle(const struct explanation *explanation, const struct pci_function *function)
{
	if (group_of(explanation, function) < 0)
		return "it cannot be assigned: no IOMMU covers it";
	if (pci_is_bridge(function))
		return "it cannot be assigned: it is a bridge; assign what is behind it";
	if (direct_region(explanation, function))
		return "it cannot be assigned: its firmware keeps memory mapped for the group (a direct region)";
	return NULL;
}

static void print_member(const struct explanation *explanation, const struct pci_function *function, FILE *to)
{
	const struct pci_facts *facts = facts_of(explanation, function);
	char bdf[PCI_ADDR_TEXT], name[NAME_TEXT];

	fprintf(to, "    %s  %s", pci_addr_print(function->addr, bdf), name_of(explanation, function, name));
	if (facts->driver)
		fprintf(to, "  [%s]", facts->driver);
	fputc('\n', to);
}

static void print_part(const struct explanation *explanation, const struct pci_function *target, enum part part,
		       FILE *to)
{
	int group = group_of(explanation, target);
	bool titled = false;

	for (size_t i = explanation->first[group]; i < explanation->first[group + 1]; i++) {
		const struct pci_function *function = explanation->by_group[i];

		if (part_of(explanation, function, target) != part)
			continue;
		if (!titled)
			fprintf(to, "  %s\n", part_titles[part]);
		titled = true;
		print_member(explanation, function, to);
	}
}

void explain_assign(const struct explanation *explanation, const struct pci_function *function, FILE *to)
{
	const char *no = obstacle(explanation, function);
	char bdf[PCI_ADDR_TEXT], name[NAME_TEXT];

	pci_addr_print(function->addr, bdf);
	fprintf(to, "%s  %s\n", bdf, name_of(explanation, function, name));
	if (no) {
		fprintf(to, "  %s\n", no);
		return;
	}
	fprintf(to, "  is in group %d with %zu other(s)\n", group_of(explanation, function),
		group_size(explanation, group_of(explanation, function)) - 1);
	for (unsigned part = 0; part < sizeof(part_titles) / sizeof(part_titles[0]); part++)
		print_part(explanation, function, (enum part)part, to);
	fprintf(to, "  then: driverctl set-override %s vfio-pci; whoever may use it needs /dev/vfio/%d\n", bdf,
		facts_of(explanation, function)->host_group >= 0 ? facts_of(explanation, function)->host_group
								 : group_of(explanation, function));
	fprintf(to, "  why its group is what it is: --why %s; what a reset hits: --reset %s\n", bdf, bdf);
}

static json_t *bdf_json(const struct pci_function *function)
{
	char bdf[PCI_ADDR_TEXT];

	return json_string(pci_addr_print(function->addr, bdf));
}

static json_t *driver_json(const struct explanation *explanation, const struct pci_function *function)
{
	const char *driver = facts_of(explanation, function)->driver;

	return driver ? json_string(driver) : json_null();
}

json_t *assign_json(const struct explanation *explanation, const struct pci_function *function)
{
	const char *no = obstacle(explanation, function);
	int group = group_of(explanation, function);
	json_t *members = json_array();

	for (size_t i = group < 0 ? 0 : explanation->first[group]; group >= 0 && i < explanation->first[group + 1];
	     i++) {
		const struct pci_function *member = explanation->by_group[i];

		json_array_append_new(members, json_pack("{so so ss}", "bdf", bdf_json(member), "driver",
							 driver_json(explanation, member), "part",
							 part_names[part_of(explanation, member, function)]));
	}
	return json_pack("{so so so so so}", "bdf", bdf_json(function), "group",
			 group < 0 ? json_null() : json_integer(group), "obstacle", no ? json_string(no) : json_null(),
			 "members", members, "remarks", remarks_json(explanation->survey));
}

/* ---- reset ---- */

#define OBSTACLE_TEXT 200

static const struct pci_quirk *quirk_against(const struct explanation *explanation, const struct pci_function *function,
					     enum pci_reset_way way)
{
	return explanation->grouping->traits[function->index].reset_quirk[way];
}

/* Why there is none; NULL when there is one (spec 05 section 13). Returns text or a constant. */
static const char *no_hot_reset(const struct explanation *explanation, const struct pci_function *function,
				const struct pci_hot_reset *reset, char text[static OBSTACLE_TEXT])
{
	const struct pci_quirk *quirk;
	char bdf[PCI_ADDR_TEXT];

	if (function->physical)
		return "it is a virtual function: its own reset (FLR) is all there is";
	if (!function->parent)
		return "it is on a root bus, which cannot be reset: its own reset (FLR, power state) is all there is";
	if (!reset->obstacle)
		return NULL;
	quirk = quirk_against(explanation, reset->obstacle, RESET_WAY_BUS);
	snprintf(text, OBSTACLE_TEXT, "%s is hit, and Linux never resets it that way (quirk %s: %s)",
		 pci_addr_print(reset->obstacle->addr, bdf), quirk->name, quirk->text);
	return text;
}

static const char *own_reset(const struct explanation *explanation, const struct pci_function *function)
{
	bool flr = !quirk_against(explanation, function, RESET_WAY_FLR);

	if (flr && pci_offers_flr(function))
		return "function-level reset (FLR)";
	if (flr && pci_offers_af_flr(function))
		return "function-level reset (AF FLR)";
	if (pci_offers_sleep(function) && !quirk_against(explanation, function, RESET_WAY_PM))
		return "a trip to D3hot and back";
	return NULL;
}

static const char *consent(const struct explanation *explanation, const struct pci_function *hit,
			   const struct pci_function *function)
{
	const struct pci_facts *facts = facts_of(explanation, hit);

	if (pci_is_bridge(hit))
		return "a bridge, which vfio-pci never has: the reset is refused (EINVAL)";
	/* Who has no driver at all is in the way too: Linux looks for it among the devices of vfio-pci. */
	if (facts->driver ? !is_vfio(facts->driver) : facts->driver_said)
		return "must be bound to vfio-pci first";
	if (group_of(explanation, hit) < 0)
		return "has no group, so nobody can prove to own it: refused";
	if (group_of(explanation, hit) == group_of(explanation, function))
		return "same group: whoever has that consents";
	return "another group: its descriptor must be passed to the reset as well";
}

static void print_hits(const struct explanation *explanation, const struct pci_function *function,
		       const struct pci_hot_reset *reset, FILE *to)
{
	for (size_t i = 0; i < explanation->grouping->count; i++) {
		const struct pci_function *hit = explanation->functions[i];
		char bdf[PCI_ADDR_TEXT], group[24] = "no group";

		if (!pci_hot_reset_hits(reset, hit))
			continue;
		if (group_of(explanation, hit) >= 0)
			snprintf(group, sizeof(group), "group %d", group_of(explanation, hit));
		fprintf(to, "    %s  %s  %s\n", pci_addr_print(hit->addr, bdf), group,
			consent(explanation, hit, function));
	}
}

/* Of a function without own_reset(): a way that its registers offer is one that a quirk forbids. */
static const char *no_own_reset(const struct pci_function *function)
{
	if (pci_offers_flr(function) || pci_offers_af_flr(function))
		return "no way: a function-level reset hangs it (quirk no-flr)";
	if (pci_offers_sleep(function))
		return "no way: sleep does not reset it, whatever it says (quirk no-pm-reset)";
	return "no way that its registers show";
}

void explain_reset(const struct explanation *explanation, const struct pci_function *function, FILE *to)
{
	char bdf[PCI_ADDR_TEXT], over[PCI_ADDR_TEXT], name[NAME_TEXT], text[OBSTACLE_TEXT];
	const char *no, *own = own_reset(explanation, function);
	struct pci_hot_reset reset;

	pci_hot_reset_of(function, explanation->grouping, explanation->functions, &reset);
	no = no_hot_reset(explanation, function, &reset, text);
	fprintf(to, "%s  %s\n", pci_addr_print(function->addr, bdf), name_of(explanation, function, name));
	fprintf(to, "  alone: %s\n", own ? own : no_own_reset(function));
	if (no) {
		fprintf(to, "  hot reset: none, because %s\n", no);
		return;
	}
	fprintf(to, "  hot reset: of the %s below %s; it hits\n",
		reset.scope == RESET_SCOPE_SLOT ? "hot-plug slot" : "bus", pci_addr_print(reset.over->addr, over));
	print_hits(explanation, function, &reset, to);
}

static json_t *hit_json(const struct explanation *explanation, const struct pci_function *hit,
			const struct pci_function *function)
{
	int group = group_of(explanation, hit);

	return json_pack("{so so so ss}", "bdf", bdf_json(hit), "group", group < 0 ? json_null() : json_integer(group),
			 "driver", driver_json(explanation, hit), "consent", consent(explanation, hit, function));
}

json_t *reset_json(const struct explanation *explanation, const struct pci_function *function)
{
	static const char *const scopes[] = {
		[RESET_SCOPE_NONE] = "none", [RESET_SCOPE_SLOT] = "slot", [RESET_SCOPE_BUS] = "bus"};
	const char *no, *own = own_reset(explanation, function);
	struct pci_hot_reset reset;
	char text[OBSTACLE_TEXT];
	json_t *hits = json_array();

	pci_hot_reset_of(function, explanation->grouping, explanation->functions, &reset);
	no = no_hot_reset(explanation, function, &reset, text);
	for (size_t i = 0; !no && i < explanation->grouping->count; i++)
		if (pci_hot_reset_hits(&reset, explanation->functions[i]))
			json_array_append_new(hits, hit_json(explanation, explanation->functions[i], function));
	return json_pack("{so so so ss so so so}", "bdf", bdf_json(function), "alone",
			 own ? json_string(own) : json_null(), "obstacle", no ? json_string(no) : json_null(), "scope",
			 scopes[no ? RESET_SCOPE_NONE : reset.scope], "over", no ? json_null() : bdf_json(reset.over),
			 "hits", hits, "remarks", remarks_json(explanation->survey));
}
