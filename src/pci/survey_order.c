/* SPDX-License-Identifier: MIT */
/*
 * The order in which Linux meets the functions: all of a bus, then down its bridges one by one; virtual functions come
 * when they are enabled, last.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "pci/survey_steps.h"

struct order {
	struct pci_survey *survey;
	struct pci_facts *sorted; /* owned: the facts in their new order */
	size_t *first_child;	  /* owned: by old index, 1 + index of the first function below; 0 none */
	size_t *next_sibling;	  /* owned: by old index, likewise, of the same parent in address order */
	size_t count;
};

static void emit(struct order *order, size_t index)
{
	order->sorted[order->count++] = order->survey->facts[index];
}

/* Recursion is as deep as buses can nest, 256. */
static void emit_chain(struct order *order, size_t first)
{
	for (size_t at = first; at; at = order->next_sibling[at - 1])
		emit(order, at - 1);
	for (size_t at = first; at; at = order->next_sibling[at - 1])
		emit_chain(order, order->first_child[at - 1]);
}

/* From the last to the first, so that each list ends up in address order. A root bus is a chain of its own. */
static void link_chains(struct order *order, size_t *roots, size_t *nroots)
{
	struct pci_survey *survey = order->survey;
	u64 bus = UINT64_MAX;

	for (size_t i = survey->count; i-- > 0;) {
		struct pci_facts *facts = &survey->facts[i];
		struct pci_function *function = facts->function;
		size_t *head;

		if (facts->is_virtual)
			continue;
		if (!function->parent && pci_addr_key(function->addr) >> 8 != bus) {
			bus = pci_addr_key(function->addr) >> 8;
			roots[(*nroots)++] = 0;
		}
		head = function->parent ? &order->first_child[function->parent->index] : &roots[*nroots - 1];
		order->next_sibling[i] = *head;
		*head = i + 1;
	}
}

static void order_init_indices(struct pci_survey *survey)
{
	for (size_t i = 0; i < survey->count; i++)
		survey->facts[i].function->index = (u32)i;
}

static void sort_out(struct order *order, size_t *roots)
{
	struct pci_survey *survey = order->survey;
	size_t nroots = 0;

	order_init_indices(survey);
	link_chains(order, roots, &nroots);
	while (nroots-- > 0)
		emit_chain(order, roots[nroots]);
	for (size_t i = 0; i < survey->count; i++)
		if (survey->facts[i].is_virtual) {
			emit(order, i);
			emit_chain(order, order->first_child[i]);
		}
	assert(order->count == survey->count);
}

int survey_enumerate(struct pci_survey *survey, struct why *why)
{
	size_t room = survey->count + 1, *roots = alloc_array(room, sizeof(*roots), why);
	struct order order = {.survey = survey};

	if (roots)
		order.sorted = alloc_array(room, sizeof(*order.sorted), why);
	if (order.sorted)
		order.first_child = alloc_array(room, sizeof(size_t), why);
	if (order.first_child)
		order.next_sibling = alloc_array(room, sizeof(size_t), why);
	if (order.next_sibling) {
		sort_out(&order, roots);
		free(survey->facts);
		survey->facts = take(order.sorted);
		survey->room = room;
		for (size_t i = 0; i < survey->count; i++)
			pci_topology_add(&survey->topology, survey->facts[i].function);
	}
	free(roots);
	free(order.sorted);
	free(order.first_child);
	free(order.next_sibling);
	return survey->topology.count == survey->count ? 0 : -why->err;
}
