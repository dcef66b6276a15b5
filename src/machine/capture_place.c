/* SPDX-License-Identifier: MIT */
/*
 * Where the functions of a survey stand in a machine file: below which bridge or root bus, which bus numbers must be
 * said because reading would give others, whose virtual functions and reserved regions are whose.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "machine/capturing.h"

static enum function_role role_of(const struct pci_function *function)
{
	bool bridge = pci_is_bridge(function);

	if (!pci_is_pcie(function))
		return bridge ? ROLE_CONVENTIONAL_BRIDGE : ROLE_CONVENTIONAL;
	for (enum function_role role = ROLE_ENDPOINT; role <= ROLE_PCIE_BRIDGE; role++)
		if (role_is_pcie(role) && role_type(role) == pcie_type(function))
			return role;
	return ROLE_ENDPOINT;
}

static const struct pci_facts *facts_of(const struct capture *capture, const struct pci_function *function)
{
	return &capture->survey->facts[function->index];
}

/* A bridge stays what it is even if somebody calls it virtual. */
static bool is_virtual(const struct capture *capture, const struct pci_function *function)
{
	return facts_of(capture, function)->is_virtual && !pci_is_bridge(function);
}

/* The physical function at the top; its virtual ones cannot have their own. NULL: not known, or a bridge. */
static const struct pci_function *physical_of(const struct capture *capture, const struct pci_function *function)
{
	const struct pci_function *physical = is_virtual(capture, function) ? function->physical : NULL;

	while (physical && is_virtual(capture, physical))
		physical = physical->physical;
	return physical && !pci_is_bridge(physical) ? physical : NULL;
}

static int by_address(const void *a, const void *b)
{
	u64 x = pci_addr_key((*(const struct place *const *)a)->function->addr);
	u64 y = pci_addr_key((*(const struct place *const *)b)->function->addr);

	return x < y ? -1 : x > y;
}

/* ---- who is below whom ---- */

/* From the last address to the first, so that each list is in the order of addresses. */
static void link_places(struct capture *capture, struct place **sorted)
{
	for (size_t i = capture->survey->count; i-- > 0;) {
		struct place *place = sorted[i];
		const struct pci_function *function = place->function;
		u32 index = function->index + 1;

		if (place->physical) {
			place->next_virtual = place_of(capture, place->physical)->first_virtual;
			place_of(capture, place->physical)->first_virtual = index;
		} else if (function->parent) {
			place->next_beside = place_of(capture, function->parent)->first_below;
			place_of(capture, function->parent)->first_below = index;
		} else {
			capture->nroots++;
		}
	}
}

static void list_roots(struct capture *capture, struct place **sorted)
{
	size_t count = 0;

	for (size_t i = 0; i < capture->survey->count; i++)
		if (!sorted[i]->physical && !sorted[i]->function->parent)
			capture->roots[count++] = sorted[i]->function->index;
}

static void find_neighbours(struct capture *capture, struct place **sorted)
{
	struct place *previous = NULL;

	for (size_t i = 0; i < capture->survey->count; i++) {
		struct place *place = sorted[i];

		if (place->is_virtual)
			continue;
		if (previous && pci_addr_key(previous->function->addr) >> 3 == pci_addr_key(place->function->addr) >> 3)
			previous->shares_slot = place->shares_slot = true;
		previous = place;
	}
}

/* ---- bus numbers ---- */

/* The number of a bridge that does not know its own, or a wrong one, is that of what was found below it. */
static u8 bus_of(const struct capture *capture, const struct place *place)
{
	const struct pci_function *bridge = place->function;

	if (bridge->secondary > bridge->addr.bus)
		return bridge->secondary;
	return place->first_below ? capture->places[place->first_below - 1].function->addr.bus : 0;
}

/* What machine/tree.c would give; *last moves as its numbers.last does. Recursion is as deep as buses can nest, 256. */
static void number_buses(struct capture *capture, struct place *place, unsigned *last)
{
	const struct pci_function *bridge = place->function;
	unsigned default_last;

	if (!pci_is_bridge(bridge))
		return;
	place->bus = bus_of(capture, place);
	place->say_bus = place->bus != *last + 1;
	if (!place->bus)
		return;
	*last = place->bus;
	for (u32 at = place->first_below; at; at = capture->places[at - 1].next_beside)
		number_buses(capture, &capture->places[at - 1], last);
	default_last = (unsigned)max_u64(place->bus, *last);
	place->last_bus = bridge->subordinate >= place->bus ? bridge->subordinate : (u8)default_last;
	place->say_last_bus = place->last_bus != default_last;
	if (place->say_last_bus)
		*last = (unsigned)max_u64(*last, place->last_bus);
}

static void number_all(struct capture *capture)
{
	const struct pci_function *before = NULL;
	unsigned last = 0;

	for (size_t i = 0; i < capture->nroots; i++) {
		struct place *place = &capture->places[capture->roots[i]];
		struct pci_addr addr = place->function->addr;

		if (!before || pci_addr_key(before->addr) >> 8 != pci_addr_key(addr) >> 8)
			last = addr.bus;
		before = place->function;
		number_buses(capture, place, &last);
	}
}

static int by_place(struct capture *capture, struct place **sorted, struct why *why)
{
	link_places(capture, sorted);
	find_neighbours(capture, sorted);
	capture->roots = alloc_array(capture->nroots + 1, sizeof(u32), why);
	if (!capture->roots)
		return -why->err;
	list_roots(capture, sorted);
	number_all(capture);
	return 0;
}

int capture_find_places(struct capture *capture, struct why *why)
{
	size_t count = capture->survey->count, i = 0;
	_memory_ struct place **sorted = alloc_array(count + 1, sizeof(*sorted), why);
	const struct pci_function *function;

	if (!sorted)
		return -why->err;
	capture->places = alloc_array(count + 1, sizeof(struct place), why);
	if (!capture->places)
		return -why->err;
	list_for_each(function, &capture->survey->topology.functions, link) {
		capture->places[i] = (struct place){.function = function,
						    .role = role_of(function),
						    .is_virtual = is_virtual(capture, function),
						    .physical = physical_of(capture, function)};
		sorted[i] = &capture->places[i];
		i++;
	}
	qsort(sorted, count, sizeof(*sorted), by_address);
	return by_place(capture, sorted, why);
}
