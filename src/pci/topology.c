/* SPDX-License-Identifier: MIT */
#include "pci/topology.h"

#include <stdlib.h>

#include "pci/caps.h"

void pci_topology_init(struct pci_topology *topology)
{
	list_init(&topology->functions);
	topology->count = 0;
}

void pci_topology_fini(struct pci_topology *topology)
{
	struct pci_function *function, *following;

	list_for_each_safe(function, following, &topology->functions, link) {
		list_remove(&function->link);
		pci_function_fini(function);
		free(function);
	}
	topology->count = 0;
}

void pci_topology_add(struct pci_topology *topology, struct pci_function *function)
{
	function->index = (u32)topology->count++;
	list_append(&topology->functions, &function->link);
	if (!function->physical)
		return;
	function->next_virtual = function->physical->virtuals;
	function->physical->virtuals = function;
}

void pci_topology_remove(struct pci_topology *topology, struct pci_function *function)
{
	struct pci_function **at = function->physical ? &function->physical->virtuals : NULL, *later;
	u32 index = function->index;

	while (at && *at && *at != function)
		at = &(*at)->next_virtual;
	if (at && *at)
		*at = function->next_virtual;
	list_remove(&function->link);
	topology->count--;
	list_for_each(later, &topology->functions, link)
		later->index -= later->index > index;
}

struct pci_function *pci_topology_find(const struct pci_topology *topology, struct pci_addr addr)
{
	struct pci_function *function;

	list_for_each(function, &topology->functions, link)
		if (pci_addr_equal(function->addr, addr))
			return function;
	return NULL;
}

bool pci_is_below(const struct pci_function *function, const struct pci_function *bridge)
{
	for (const struct pci_function *above = function->parent; above; above = above->parent)
		if (above == bridge)
			return true;
	return false;
}
