/* SPDX-License-Identifier: MIT */
/* Why two functions share a group, as a sentence that somebody who wants them apart can act on. */
#include <stdio.h>

#include "pci/caps.h"
#include "pci/grouping.h"

const char *pci_acs_lack(const struct pci_grouping *grouping, const struct pci_function *function, u16 wanted,
			 char text[static LACK_TEXT])
{
	const struct pci_traits *traits = &grouping->traits[function->index];
	char bits[PCI_ACS_TEXT];

	switch (traits->ground) {
	case ACS_GROUND_CONVENTIONAL:
		return "is conventional PCI, which has no ACS";
	case ACS_GROUND_BRIDGE:
		if (!pci_is_bridge(function))
			return "is an event collector, which has no ACS";
		return "is a bridge to or from conventional PCI, which cannot redirect";
	case ACS_GROUND_NO_CAPABILITY:
		return "has no ACS capability";
	case ACS_GROUND_QUIRK:
		snprintf(text, LACK_TEXT, "does not isolate, says quirk %s: %s", traits->acs_quirk->name,
			 traits->acs_quirk->text);
		return text;
	case ACS_GROUND_REGISTERS:
	case ACS_GROUND_ALONE:
		break;
	}
	snprintf(text, LACK_TEXT, "has ACS, but switched off: %s", pci_acs_print(traits->acs_missing & wanted, bits));
	return text;
}

static void describe_sibling(const struct pci_grouping *grouping, const struct pci_merge *merge, const char *function,
			     const char *with, char text[static PCI_REASON_TEXT])
{
	char over[PCI_ADDR_TEXT], lack[LACK_TEXT];
	const char *why = pci_acs_lack(grouping, merge->over, PCI_ACS_ISOLATION, lack);

	pci_addr_print(merge->over->addr, over);
	if (merge->over == merge->function)
		snprintf(text, PCI_REASON_TEXT,
			 "%s shares a group with %s: they are functions of one device and %s %s, so they may reach "
			 "each other inside the device without passing the IOMMU",
			 function, with, function, why);
	else
		snprintf(text, PCI_REASON_TEXT,
			 "%s shares a group with %s: it is below %s, a function of the same device, and that %s, so "
			 "requests may cross over inside the device without passing the IOMMU",
			 function, with, over, why);
}

/* A row that only says what cannot be seen joins nobody. */
static const struct pci_quirk *alias_quirk(const struct pci_grouping *grouping, const struct pci_function *function)
{
	const struct pci_traits *traits = &grouping->traits[function->index];

	return traits->uses_other_ids ? traits->alias_quirk : NULL;
}

/* The function of the two whose table row says so; it may be neither when the way led over a third. */
static void describe_quirk(const struct pci_grouping *grouping, const struct pci_merge *merge, const char *function,
			   const char *with, char text[static PCI_REASON_TEXT])
{
	const struct pci_quirk *quirk = alias_quirk(grouping, merge->function);
	char over[PCI_ADDR_TEXT], behind[40] = "";

	if (!quirk)
		quirk = alias_quirk(grouping, merge->with);
	if (!quirk)
		quirk = alias_quirk(grouping, merge->over);
	if (merge->over != merge->function)
		snprintf(behind, sizeof(behind), "it is behind %s, and ", pci_addr_print(merge->over->addr, over));
	snprintf(text, PCI_REASON_TEXT,
		 "%s shares a group with %s: %ssuch devices are known to make requests under another's id "
		 "(quirk %s: %s), so the IOMMU cannot tell who made them",
		 function, with, behind, quirk ? quirk->name : "of a third function of the bus",
		 quirk ? quirk->text : "see its alias set");
}

static void describe_alias_bridge(const struct pci_grouping *grouping, const struct pci_merge *merge,
				  const char *function, const char *with, char text[static PCI_REASON_TEXT])
{
	bool own = grouping->traits[merge->over->index].ids == BRIDGE_IDS_OWN;

	snprintf(text, PCI_REASON_TEXT,
		 "%s shares a group with %s: it is behind this bridge to conventional PCI, which sends requests on "
		 "under %s, so the IOMMU cannot tell who made them",
		 function, with, own ? "an id of its own" : "the id of its secondary bus");
}

const char *pci_merge_reason(const struct pci_grouping *grouping, const struct pci_merge *merge,
			     char text[static PCI_REASON_TEXT])
{
	char function[PCI_ADDR_TEXT], with[PCI_ADDR_TEXT], over[PCI_ADDR_TEXT], lack[LACK_TEXT];

	*text = '\0';
	if (merge->rule == MERGE_FOUNDED)
		return text;
	pci_addr_print(merge->function->addr, function);
	pci_addr_print(merge->with->addr, with);
	pci_addr_print(merge->over->addr, over);
	switch (merge->rule) {
	case MERGE_FOUNDED:
		break;
	case MERGE_ALIAS_BRIDGE:
		describe_alias_bridge(grouping, merge, function, with, text);
		break;
	case MERGE_ALIAS_DMA:
		snprintf(text, PCI_REASON_TEXT,
			 "%s shares a group with %s: it is behind this volume management device (Intel VMD), which "
			 "makes its requests, so the IOMMU sees only that one's id",
			 function, with);
		break;
	case MERGE_NO_ACS_UPSTREAM:
		snprintf(text, PCI_REASON_TEXT,
			 "%s shares a group with %s, which is above it: %s %s, so requests may turn round there "
			 "without passing the IOMMU",
			 function, with, over, pci_acs_lack(grouping, merge->over, PCI_ACS_ISOLATION, lack));
		break;
	case MERGE_NO_ACS_SIBLING:
		describe_sibling(grouping, merge, function, with, text);
		break;
	case MERGE_ALIAS_QUIRK:
		describe_quirk(grouping, merge, function, with, text);
		break;
	}
	return text;
}

const char *merge_rule_name(enum merge_rule rule)
{
	static const char *const names[] = {
		[MERGE_FOUNDED] = "founded",
		[MERGE_ALIAS_BRIDGE] = "alias-bridge",
		[MERGE_ALIAS_DMA] = "alias-dma",
		[MERGE_NO_ACS_UPSTREAM] = "no-acs-upstream",
		[MERGE_NO_ACS_SIBLING] = "no-acs-sibling",
		[MERGE_ALIAS_QUIRK] = "alias-quirk",
	};

	return names[rule];
}
