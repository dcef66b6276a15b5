/* SPDX-License-Identifier: MIT */
/* Why two functions share a group, as a sentence that somebody who wants them apart can act on. */
#include <stdio.h>

#include "pci/caps.h"
#include "pci/topology.h"

#define LACK_TEXT 64

/* "has no ACS capability": what keeps function from redirecting. */
static const char *describe_lack(const struct pci_function *function, char text[static LACK_TEXT])
{
	static const char *const names[] = {"SV", "TB", "RR", "CR", "UF", "EC", "DT"};
	u16 missing = pci_acs_missing(function);
	size_t used;

	if (!pci_is_pcie(function))
		return "is conventional PCI, which has no ACS";
	if (pcie_type(function) == PCIE_TO_PCI_BRIDGE || pcie_type(function) == PCI_TO_PCIE_BRIDGE)
		return "is a bridge to conventional PCI, which cannot redirect";
	if (!function->cap_acs)
		return "has no ACS capability";
	used = (size_t)snprintf(text, LACK_TEXT, "has ACS, but switched off:");
	for (unsigned bit = 0; bit < ARRAY_SIZE(names); bit++)
		if (missing & 1u << bit)
			used += (size_t)snprintf(text + used, LACK_TEXT - used, " %s", names[bit]);
	return text;
}

static void describe_sibling(struct pci_merge *merge, const char *function, const char *with)
{
	char over[PCI_ADDR_TEXT], lack[LACK_TEXT];
	const char *text = describe_lack(merge->over, lack);

	pci_addr_print(merge->over->addr, over);
	if (merge->over == merge->function)
		snprintf(merge->reason, sizeof(merge->reason),
			 "%s shares a group with %s: they are functions of one device and %s %s, so they may reach "
			 "each other inside the device without passing the IOMMU",
			 function, with, function, text);
	else
		snprintf(merge->reason, sizeof(merge->reason),
			 "%s shares a group with %s: it is below %s, a function of the same device, and that %s, so "
			 "requests may cross over inside the device without passing the IOMMU",
			 function, with, over, text);
}

void pci_merge_describe(struct pci_merge *merge)
{
	char function[PCI_ADDR_TEXT], with[PCI_ADDR_TEXT], over[PCI_ADDR_TEXT], lack[LACK_TEXT];

	pci_addr_print(merge->function->addr, function);
	pci_addr_print(merge->with->addr, with);
	pci_addr_print(merge->over->addr, over);
	switch (merge->rule) {
	case MERGE_ALIAS_BRIDGE:
		snprintf(merge->reason, sizeof(merge->reason),
			 "%s shares a group with %s: it is behind this bridge to conventional PCI, which sends "
			 "requests on under an id of its own, so the IOMMU cannot tell who made them",
			 function, with);
		break;
	case MERGE_NO_ACS_UPSTREAM:
		snprintf(merge->reason, sizeof(merge->reason),
			 "%s shares a group with %s, which is above it: %s %s, so requests may turn round there "
			 "without passing the IOMMU",
			 function, with, over, describe_lack(merge->over, lack));
		break;
	case MERGE_NO_ACS_SIBLING:
		describe_sibling(merge, function, with);
		break;
	case MERGE_ALIAS_QUIRK:
		snprintf(merge->reason, sizeof(merge->reason),
			 "%s shares a group with %s: such devices are known to make requests under another's id, so "
			 "the IOMMU cannot tell who made them",
			 function, with);
		break;
	}
}

const char *merge_rule_name(enum merge_rule rule)
{
	static const char *const names[] = {
		[MERGE_ALIAS_BRIDGE] = "alias-bridge",
		[MERGE_NO_ACS_UPSTREAM] = "no-acs-upstream",
		[MERGE_NO_ACS_SIBLING] = "no-acs-sibling",
		[MERGE_ALIAS_QUIRK] = "alias-quirk",
	};

	return names[rule];
}
