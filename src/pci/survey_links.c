/* SPDX-License-Identifier: MIT */
/*
 * Virtual functions and their physical ones; the bridge above each function.
 *
 * Bus numbers only grow downwards (a bridge's secondary bus is above its own), so no chain of parents can loop.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "pci/survey_steps.h"

#define BUSES 256

/* The buses of one segment: facts[first..after) in address order. */
struct segment {
	struct pci_survey *survey;
	size_t first, after;
	size_t begins[BUSES + 1]; /* of each bus, as an index of facts */
	struct pci_function *bridge_to[BUSES];
};

/* ---- virtual functions ---- */

/* Whose id is above its virtual function's is not its physical function; so no chain of parents can loop. */
static void mark_virtual(struct pci_facts *facts, struct pci_function *physical)
{
	if (physical && (physical->addr.segment != facts->function->addr.segment ||
			 pci_addr_key(physical->addr) >= pci_addr_key(facts->function->addr)))
		physical = NULL;
	facts->is_virtual = true;
	facts->function->physical = physical;
	if (physical)
		facts->physical = physical->addr;
}

#define MOST_MISSING 64 /* virtual functions of one device */

/*
 * The addresses that an SR-IOV capability gives away (PCI Express Base 5.0 section 9.3.3.9). One that speaks of many
 * functions that are not there, or are another's, is not believed: 65,536 such would cost the square of it.
 */
static void mark_virtual_of(struct pci_survey *survey, struct pci_function *physical)
{
	const u8 *registers = physical->config + physical->cap_sriov;
	unsigned enabled = get_u16(registers + 0x10), offset = get_u16(registers + 0x14);
	unsigned stride = get_u16(registers + 0x16), missing = 0;

	for (unsigned i = 0; i < enabled && missing < MOST_MISSING; i++) {
		unsigned id = pci_requester_id(physical->addr) + offset + i * stride;
		struct pci_addr addr = {physical->addr.segment, (u8)(id >> 8), (u8)id};
		struct pci_facts *facts = id > 0xffff || !offset ? NULL : survey_facts_at(survey, addr);

		if (id > 0xffff || !offset || (!stride && i))
			return;
		if (facts && facts->function != physical && !facts->function->physical)
			mark_virtual(facts, physical);
		else
			missing++;
	}
}

int survey_find_virtual(struct pci_survey *survey, struct why *why)
{
	unsigned unknown = 0;

	for (size_t i = 0; i < survey->count; i++)
		if (survey->facts[i].function->cap_sriov)
			mark_virtual_of(survey, survey->facts[i].function);
	for (size_t i = 0; i < survey->count; i++) {
		struct pci_facts *facts = &survey->facts[i];

		if (facts->function->physical)
			continue;
		if (facts->is_virtual) {
			struct pci_facts *physical = survey_facts_at(survey, facts->physical);

			mark_virtual(facts, physical ? physical->function : NULL);
		} else if (facts->name && strstr(facts->name, "Virtual Function")) {
			mark_virtual(facts, NULL);
		}
		unknown += facts->is_virtual && !facts->function->physical;
	}
	if (!unknown)
		return 0;
	return pci_survey_remark(
		survey, REMARK_ASSUMPTION, 0, survey_see_all(survey), why,
		"%u virtual functions do not say whose they are; they are taken as their bus shows them", unknown);
}

/* ---- buses ---- */

static int map_bridges(struct segment *segment, struct why *why)
{
	struct pci_survey *survey = segment->survey;
	char bdf[PCI_ADDR_TEXT], other[PCI_ADDR_TEXT];
	int err = 0;

	for (size_t i = segment->first; i < segment->after && err == 0; i++) {
		struct pci_function *bridge = survey->facts[i].function;
		struct pci_function **to = &segment->bridge_to[bridge->secondary];

		if (!pci_is_bridge(bridge) || !bridge->secondary)
			continue;
		pci_addr_print(bridge->addr, bdf);
		if (bridge->secondary <= bridge->addr.bus)
			err = pci_survey_remark(survey, REMARK_WARNING, survey->facts[i].line, NULL, why,
						"%s leads back to bus %02x; it is taken as leading nowhere", bdf,
						bridge->secondary);
		else if (*to)
			err = pci_survey_remark(survey, REMARK_WARNING, survey->facts[i].line, NULL, why,
						"%s and %s both lead to bus %02x; the first is believed",
						pci_addr_print((*to)->addr, other), bdf, bridge->secondary);
		else
			*to = bridge;
	}
	return err;
}

/* The innermost bridge whose range of buses holds this one although it does not lead there. */
static struct pci_function *bridge_around(const struct segment *segment, unsigned bus)
{
	for (unsigned above = bus; above-- > 1;) {
		struct pci_function *bridge = segment->bridge_to[above];

		if (bridge && bridge->subordinate >= bus && bridge->addr.bus < bus)
			return bridge;
	}
	return NULL;
}

static int parent_of_bus(struct segment *segment, unsigned bus, struct pci_function **ret, struct why *why)
{
	const struct pci_facts *first = &segment->survey->facts[segment->begins[bus]];
	char bdf[PCI_ADDR_TEXT];

	*ret = segment->bridge_to[bus];
	if (*ret)
		return 0;
	*ret = bridge_around(segment, bus);
	if (!*ret || first->is_virtual)
		return 0;
	return pci_survey_remark(segment->survey, REMARK_WARNING, first->line, survey_see_all(segment->survey), why,
				 "the bridge to bus %02x is missing; the bus is taken as directly below %s", bus,
				 pci_addr_print((*ret)->addr, bdf));
}

static void set_parent(const struct pci_survey *survey, struct pci_facts *facts, struct pci_function *by_bus)
{
	struct pci_facts *above = facts->above_said && !facts->above_is_root ? survey_facts_at(survey, facts->above)
									     : NULL;

	facts->function->parent = by_bus;
	if (facts->above_said && facts->above_is_root)
		facts->function->parent = NULL;
	else if (above && above->function->addr.bus < facts->function->addr.bus && pci_is_bridge(above->function) &&
		 above->function->addr.segment == facts->function->addr.segment)
		facts->function->parent = above->function;
	if (facts->function->physical)
		facts->function->parent = NULL; /* until its physical function has one */
}

static int link_segment(struct segment *segment, struct why *why)
{
	struct pci_survey *survey = segment->survey;
	int err = map_bridges(segment, why);

	for (unsigned bus = 0; bus < BUSES && err == 0; bus++) {
		struct pci_function *parent;

		if (segment->begins[bus] == segment->begins[bus + 1])
			continue;
		err = parent_of_bus(segment, bus, &parent, why);
		for (size_t i = segment->begins[bus]; i < segment->begins[bus + 1] && err == 0; i++)
			set_parent(survey, &survey->facts[i], parent);
	}
	return err;
}

/* Splits facts, which are in address order, into segments and buses. */
int survey_link(struct pci_survey *survey, struct why *why)
{
	struct segment *segment = alloc_new(struct segment, why);
	size_t i = 0;
	int err = 0;

	if (!segment)
		return -why->err;
	while (i < survey->count && err == 0) {
		u32 number = survey->facts[i].function->addr.segment;
		unsigned bus = 0;

		*segment = (struct segment){.survey = survey, .first = i};
		for (; i < survey->count && survey->facts[i].function->addr.segment == number; i++)
			for (; bus <= survey->facts[i].function->addr.bus; bus++)
				segment->begins[bus] = i;
		for (; bus <= BUSES; bus++)
			segment->begins[bus] = i;
		segment->after = i;
		err = link_segment(segment, why);
	}
	free(segment);
	for (i = 0; i < survey->count; i++) {
		struct pci_function *function = survey->facts[i].function;

		/* The bus of a virtual function may have no bridge of its own. */
		if (function->physical)
			function->parent = function->physical->parent;
	}
	return err;
}
