/* SPDX-License-Identifier: MIT */
/* The table of pci/quirks.def, asked about one function; private to rules (traits.c, overrides.c). */
#ifndef PCI_QUIRKS_H
#define PCI_QUIRKS_H

#include "pci/caps.h"
#include "pci/rules.h"

/* A function as the rules see it: what an override said about its registers has been said already. */
struct pci_view {
	const struct pci_function *function;
	u16 vendor, device;
	unsigned kernel;
	bool pcie;
	enum pcie_type type; /* only with pcie */
	bool multifunction;
	bool has_acs;	      /* the capability */
	u16 capable, enabled; /* its registers */
	u16 spt_enabled;      /* the control register of Intel's ports that have it elsewhere; 0: not seen */
	u16 spt_cleared;      /* of it, if it was not seen: what is off all the same */
};

/* What the table knows of one function: one row of each kind, NULL for none. */
struct pci_known {
	const struct pci_quirk *acs, *alias, *bridge, *enable, *pasid, *reset[RESET_WAYS];
	bool isolates;	  /* with acs: its answer */
	bool forwards;	  /* with acs: its answer for RR, UF alone */
	u64 other_ids[4]; /* with alias; its own may be among them */
};

/* How far ACS is switched on depends on `enable`, and the answer of some ACS rows on that; hence two steps. */
void pci_quirks_find(const struct pci_view *view, struct pci_known *known); /* all but acs */
void pci_quirks_find_acs(const struct pci_view *view, struct pci_known *known);

/* Effects of QUIRK_ENABLE rows. */
bool pci_quirk_enables_elsewhere(const struct pci_quirk *quirk); /* not in the standard control register */
bool pci_quirk_enables_spt(const struct pci_quirk *quirk);	 /* but in that of Sunrise Point */
bool pci_quirk_ignores_sv(const struct pci_quirk *quirk);

/* How a bridge with this QUIRK_BRIDGE row passes ids on. */
enum pci_bridge_ids pci_quirk_bridge_ids(const struct pci_quirk *quirk);

/* Rows in the order of the table, for tests. */
const struct pci_quirk *pci_quirks_table(size_t *count);

#endif
