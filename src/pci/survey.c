/* SPDX-License-Identifier: MIT */
/* What readers put together: functions, remarks, regions. What follows from them is survey_finish.c's. */
#include "pci/survey.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"

#define MOST_REMARKS 1000

int pci_survey_new(const char *source, struct pci_survey **ret, struct why *why)
{
	_free_(pci_survey) struct pci_survey *survey = alloc_new(struct pci_survey, why);

	if (!survey)
		return -why->err;
	pci_topology_init(&survey->topology);
	survey->source = alloc_string(source, why);
	if (!survey->source)
		return -why->err;
	text_clean(survey->source);
	*ret = take(survey);
	return 0;
}

/* Until finish, the functions are not in the topology yet. */
static void free_facts(struct pci_facts *facts, bool with_function)
{
	if (with_function && facts->function) {
		pci_function_fini(facts->function);
		free(facts->function);
	}
	free(facts->name);
	free(facts->driver);
}

void pci_survey_free(struct pci_survey *survey)
{
	if (!survey)
		return;
	for (size_t i = 0; i < survey->count; i++)
		free_facts(&survey->facts[i], survey->topology.count == 0);
	for (size_t i = 0; i < survey->nremarks; i++) {
		free(survey->remarks[i].text);
		free(survey->remarks[i].command);
	}
	for (size_t i = 0; i < survey->nregions; i++)
		free(survey->regions[i].from);
	pci_topology_fini(&survey->topology);
	free(survey->facts);
	free(survey->remarks);
	free(survey->regions);
	free(survey->source);
	free(survey);
}

int pci_survey_add(struct pci_survey *survey, struct pci_addr addr, const struct pci_identity *identity,
		   struct pci_facts **ret, struct why *why)
{
	void *facts = survey->facts;
	struct pci_function *function;
	int err = alloc_grow(&facts, &survey->room, survey->count, sizeof(survey->facts[0]), why);

	survey->facts = facts;
	if (err < 0)
		return err;
	function = alloc_new(struct pci_function, why);
	if (!function)
		return -why->err;
	pci_function_init(function, addr, identity);
	*ret = &survey->facts[survey->count++];
	**ret = (struct pci_facts){.function = function, .host_group = PCI_GROUP_UNSAID};
	return 0;
}

static bool same_remark(const struct pci_remark *remark, enum pci_remark_kind kind, const char *text)
{
	return remark->kind == kind && strcmp(remark->text, text) == 0;
}

static int add_remark(struct pci_survey *survey, enum pci_remark_kind kind, unsigned line, const char *command,
		      const char *text, struct why *why)
{
	void *remarks = survey->remarks;
	struct pci_remark *remark;
	int err = alloc_grow(&remarks, &survey->remarks_room, survey->nremarks, sizeof(*remark), why);

	survey->remarks = remarks;
	if (err < 0)
		return err;
	remark = &survey->remarks[survey->nremarks];
	*remark = (struct pci_remark){.kind = kind, .line = line, .text = alloc_string(text, why)};
	if (!remark->text)
		return -why->err;
	if (command) {
		remark->command = alloc_string(command, why);
		if (!remark->command) {
			free(remark->text);
			return -why->err;
		}
	}
	survey->nremarks++;
	return 0;
}

int pci_survey_remark(struct pci_survey *survey, enum pci_remark_kind kind, unsigned line, const char *command,
		      struct why *why, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text_clean(text);
	for (size_t i = 0; i < survey->nremarks; i++)
		if (same_remark(&survey->remarks[i], kind, text))
			return 0;
	if (survey->nremarks > MOST_REMARKS)
		return 0;
	if (survey->nremarks == MOST_REMARKS)
		return add_remark(survey, REMARK_WARNING, line, NULL, "there is more to say than is said here", why);
	return add_remark(survey, kind, line, command, text, why);
}

int pci_survey_region(struct pci_survey *survey, u64 start, u64 last, const char *kind, int group, const char *from,
		      struct why *why)
{
	struct pci_region *region;
	void *regions = survey->regions;
	int err = alloc_grow(&regions, &survey->regions_room, survey->nregions, sizeof(*region), why);

	survey->regions = regions;
	if (err < 0)
		return err;
	region = &survey->regions[survey->nregions];
	*region = (struct pci_region){.start = start, .last = last, .group = group, .from = alloc_string(from, why)};
	if (!region->from)
		return -why->err;
	text_clean(region->from);
	snprintf(region->kind, sizeof(region->kind), "%s", kind);
	text_clean(region->kind);
	survey->nregions++;
	return 0;
}

int pci_survey_adopt(struct pci_survey *survey, struct pci_topology *topology, struct why *why)
{
	struct pci_function *function, *following;

	survey->facts = alloc_array(topology->count + 1, sizeof(survey->facts[0]), why);
	if (!survey->facts)
		return -why->err;
	survey->room = topology->count + 1;
	list_for_each_safe(function, following, &topology->functions, link) {
		list_remove(&function->link);
		pci_topology_add(&survey->topology, function);
		survey->facts[survey->count++] = (struct pci_facts){
			.function = function, .host_group = PCI_GROUP_UNSAID, .is_virtual = function->physical};
	}
	topology->count = 0;
	return 0;
}
