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

/* A bit that the capability register lacks is hard-wired to the safe side (spec 01 section 3.3). */
static bool capability_isolates(const struct pci_function *function)
{
	u16 capable, enabled, wanted = PCI_ACS_ISOLATION;

	if (!function->cap_acs)
		return false;
	capable = get_u16(function->config + function->cap_acs + 4);
	enabled = get_u16(function->config + function->cap_acs + 6);
	wanted &= capable | PCI_ACS_EC;
	return (enabled & wanted) == wanted;
}

/* Intel's integrated endpoints cannot reach each other (Linux's quirk for 8086:*, spec 01 section 3.5). */
static bool integrated_intel(const struct pci_function *function)
{
	return get_u16(function->config + PCI_VENDOR_ID) == 0x8086 && pci_is_pcie(function) &&
	       pcie_type(function) == PCIE_RC_ENDPOINT;
}

bool pci_acs_isolates(const struct pci_function *function)
{
	if (function->acs_quirk || integrated_intel(function))
		return true;
	if (!pci_is_pcie(function))
		return false;
	switch (pcie_type(function)) {
	case PCI_TO_PCIE_BRIDGE:
	case PCIE_TO_PCI_BRIDGE:
	case PCIE_RC_EVENT_COLLECTOR:
		return false;
	case PCIE_ROOT_PORT:
	case PCIE_DOWNSTREAM_PORT:
		return capability_isolates(function);
	case PCIE_ENDPOINT:
	case PCIE_LEGACY_ENDPOINT:
	case PCIE_UPSTREAM_PORT:
	case PCIE_RC_ENDPOINT:
		return !function->multifunction || capability_isolates(function);
	}
	return true;
}
