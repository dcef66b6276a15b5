/* SPDX-License-Identifier: MIT */
/* Who may send requests with PASIDs (Linux: drivers/pci/ats.c:pci_enable_pasid()). */
#include <stdio.h>

#include "pci/caps.h"
#include "pci/grouping.h"

static bool takes_prefixes(const struct pci_function *function)
{
	return pci_is_pcie(function) && get_u32(function->config + function->cap_pcie + 0x24) & PCIE_PREFIXES;
}

static bool is_at_root(const struct pci_function *function)
{
	return pcie_type(function) == PCIE_ROOT_PORT || pcie_type(function) == PCIE_RC_ENDPOINT;
}

/* Whom prefixes do not pass, upward to the root complex; NULL: they get there. Linux: pci_configure_eetlp_prefix() */
static const struct pci_function *prefix_obstacle(const struct pci_function *function)
{
	while (takes_prefixes(function) && !is_at_root(function)) {
		if (!function->parent)
			return function;
		function = function->parent;
	}
	return takes_prefixes(function) ? NULL : function;
}

bool pci_prefixes_reach_root(const struct pci_function *function)
{
	return !prefix_obstacle(function);
}

/* Linux: drivers/pci/pci.c:pci_acs_path_enabled() */
static const struct pci_function *acs_obstacle(const struct pci_grouping *grouping, const struct pci_function *function)
{
	while (function && grouping->traits[function->index].forwards)
		function = function->parent;
	return function;
}

bool pci_may_enable_pasids(const struct pci_grouping *grouping, const struct pci_function *function,
			   char text[static PCI_REASON_TEXT])
{
	const struct pci_function *self = pci_pasid_function(function), *over;
	char over_text[PCI_ADDR_TEXT], lack[LACK_TEXT];

	over = grouping->traits[self->index].pasid_quirk ? NULL : prefix_obstacle(self);
	if (over) {
		snprintf(text, PCI_REASON_TEXT, "%s %s", pci_addr_print(over->addr, over_text),
			 takes_prefixes(over) ? "is no part of the root complex, and no port is above it"
					      : "takes no end-to-end prefixes, which PASIDs travel in");
		return false;
	}
	over = acs_obstacle(grouping, self);
	if (!over)
		return true;
	snprintf(text, PCI_REASON_TEXT, "%s %s, so requests with a PASID may turn round there",
		 pci_addr_print(over->addr, over_text), pci_acs_lack(grouping, over, PCI_ACS_FORWARDING, lack));
	return false;
}
