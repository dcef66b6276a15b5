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

/* IDT 111d:80b5 and 111d:8090 claim Source Validation, but break with it; Linux never asks them for it. */
static bool has_broken_validation(const struct pci_function *function)
{
	u16 device = get_u16(function->config + PCI_DEVICE_ID);

	return get_u16(function->config + PCI_VENDOR_ID) == 0x111d && (device == 0x80b5 || device == 0x8090);
}

/* A bit that the capability register lacks is hard-wired to the safe side (spec 01 section 3.3). */
u16 pci_acs_missing(const struct pci_function *function)
{
	u16 capable, enabled;

	if (!function->cap_acs)
		return PCI_ACS_ISOLATION;
	capable = get_u16(function->config + function->cap_acs + 4);
	enabled = get_u16(function->config + function->cap_acs + 6);
	if (has_broken_validation(function))
		capable &= (u16)~PCI_ACS_SV;
	return PCI_ACS_ISOLATION & capable & (u16)~enabled;
}

static bool capability_isolates(const struct pci_function *function)
{
	return pci_acs_missing(function) == 0;
}

bool pci_share_id(const struct pci_function *a, const struct pci_function *b)
{
	u8 x = a->addr.devfn, y = b->addr.devfn;

	return a->addr.segment == b->addr.segment && a->addr.bus == b->addr.bus &&
	       (a->other_ids[y / 64] >> y % 64 & 1 || b->other_ids[x / 64] >> x % 64 & 1);
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
