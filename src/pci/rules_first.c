/* SPDX-License-Identifier: MIT */
/* Stands in on branch i3 until the rules proper arrive from h-rules, which deletes this file. */
#include "base/why.h"
#include "pci/caps.h"
#include "pci/rules.h"

unsigned pci_rules_kernel(const struct pci_rules *rules)
{
	return PCI_KERNEL_LATEST;
}

static enum pci_bridge_ids ids_of(const struct pci_function *bridge)
{
	if (!pci_is_bridge(bridge))
		return BRIDGE_IDS_PASS;
	if (!pci_is_pcie(bridge))
		return BRIDGE_IDS_OWN;
	if (pcie_type(bridge) == PCIE_TO_PCI_BRIDGE)
		return BRIDGE_IDS_SECONDARY;
	return pcie_type(bridge) == PCI_TO_PCIE_BRIDGE ? BRIDGE_IDS_OWN : BRIDGE_IDS_PASS;
}

void pci_traits_of(const struct pci_function *function, const struct pci_rules *rules, struct pci_traits *ret)
{
	bool pcie = pci_is_pcie(function);
	enum pcie_type type = pcie ? pcie_type(function) : PCIE_ENDPOINT;

	*ret = (struct pci_traits){.ids = ids_of(function), .acs_missing = PCI_ACS_ISOLATION};
	if (function->cap_acs) {
		ret->acs_capable = get_u16(function->config + function->cap_acs + 4);
		ret->acs_enabled = get_u16(function->config + function->cap_acs + 6);
		ret->acs_missing = PCI_ACS_ISOLATION & ret->acs_capable & (u16)~ret->acs_enabled;
	}
	if (get_u16(function->config) == 0x8086 && pcie && type == PCIE_RC_ENDPOINT) {
		ret->isolates = true;
		ret->ground = ACS_GROUND_QUIRK;
	} else if (!pcie) {
		ret->ground = ACS_GROUND_CONVENTIONAL;
	} else if (type == PCIE_TO_PCI_BRIDGE || type == PCI_TO_PCIE_BRIDGE || type == PCIE_RC_EVENT_COLLECTOR) {
		ret->ground = ACS_GROUND_BRIDGE;
	} else if (type != PCIE_ROOT_PORT && type != PCIE_DOWNSTREAM_PORT && !function->multifunction) {
		ret->isolates = true;
		ret->ground = ACS_GROUND_ALONE;
	} else {
		ret->isolates = ret->acs_missing == 0;
		ret->ground = function->cap_acs ? ACS_GROUND_REGISTERS : ACS_GROUND_NO_CAPABILITY;
	}
}

bool pci_share_id(const struct pci_function *a, const struct pci_traits *a_traits, const struct pci_function *b,
		  const struct pci_traits *b_traits)
{
	u8 x = a->addr.devfn, y = b->addr.devfn;

	return (a_traits->other_ids[y / 64] >> y % 64 & 1) || (b_traits->other_ids[x / 64] >> x % 64 & 1);
}

const char *pci_acs_print(u16 bits, char text[static PCI_ACS_TEXT])
{
	static const char names[][3] = {"SV", "TB", "RR", "CR", "UF", "EC", "DT"};
	char *at = text;

	*at = '\0';
	for (unsigned bit = 0; bit < ARRAY_SIZE(names); bit++) {
		if (!(bits >> bit & 1))
			continue;
		if (at != text)
			*at++ = ' ';
		memcpy(at, names[bit], 3);
		at += 2;
	}
	return text;
}

int pci_rules_new(unsigned kernel, struct pci_rules **ret, struct why *why)
{
	*ret = NULL;
	return 0;
}

void pci_rules_free(struct pci_rules *rules)
{
}

void pci_rules_arm_acs(struct pci_rules *rules, bool arm)
{
}

bool pci_rules_names(const struct pci_rules *rules, const struct pci_function *function)
{
	return false;
}

int pci_rules_add(struct pci_rules *rules, const char *text, struct why *why)
{
	return refuse(why, RULES_INVALID, "%s: no rules yet", text);
}

int pci_kernel_parse(const char *text, unsigned *ret, struct why *why)
{
	return refuse(why, RULES_INVALID, "%s: no rules yet", text);
}

u8 pci_phantom_functions(const struct pci_function *function)
{
	return 0;
}
