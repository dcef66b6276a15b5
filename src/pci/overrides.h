/* SPDX-License-Identifier: MIT */
/* What a user said of functions; private to rules (rules.c, overrides.c, overrides_parse.c, traits.c). */
#ifndef PCI_OVERRIDES_H
#define PCI_OVERRIDES_H

#include "pci/quirks.h"

enum { MOST_OVERRIDES = 1024, MOST_STEPS = 32 };

/* Which functions are meant: one address, an address and the way down from it, or ids. */
struct pci_match {
	bool by_ids;
	u16 vendor, device, subvendor, subdevice; /* by_ids: 0 is any */
	struct pci_addr addr;			  /* else: where the way starts */
	u8 steps[MOST_STEPS];			  /* devfns below it */
	u8 nsteps;
};

enum override_kind {
	OVERRIDE_ACS,	  /* ACS fully on */
	OVERRIDE_NO_ACS,  /* no ACS capability */
	OVERRIDE_QUIRK,	  /* isolated */
	OVERRIDE_ALIAS,	  /* uses devfn */
	OVERRIDE_PATCH,	  /* named to the pcie_acs_override patch */
	OVERRIDE_CONFIG,  /* config_acs= */
	OVERRIDE_DISABLE, /* disable_acs_redir= */
};

struct pci_override {
	enum override_kind kind;
	struct pci_match match;
	u8 devfn;	 /* OVERRIDE_ALIAS */
	u16 mask, value; /* OVERRIDE_CONFIG, OVERRIDE_DISABLE */
	u32 parameter;	 /* of these: which option it came with, 1, 2, ... */
};

struct pci_rules {
	unsigned kernel;
	bool arm_acs;
	bool patch_downstream, patch_multifunction; /* the pcie_acs_override patch */
	struct pci_override *overrides;		    /* owned */
	size_t count, room;
	u32 parameters;
};

/* Some words as a message quotes them: cut, and safe for a terminal. Returns quoted. */
#define PCI_QUOTED 48
const char *pci_quote(const char *text, size_t length, char quoted[static PCI_QUOTED]);

/* acs= and no-acs=: the registers of the view as if. */
void pci_override_registers(const struct pci_rules *rules, struct pci_view *view);

/* The function as the rules see it: ids, and registers as they were seen; then acs= and no-acs= have their say. */
void pci_view_init(struct pci_view *view, const struct pci_function *function, const struct pci_rules *rules);

/* What the command line makes of control, the register as firmware left it; false: it says nothing about the function.
 */
bool pci_override_control(const struct pci_rules *rules, const struct pci_view *view, u16 *control);

/* Does any of it speak of the function? */
bool pci_override_names(const struct pci_rules *rules, const struct pci_view *view);

/* The row of a user who calls the function isolated; NULL: nobody does. */
const struct pci_quirk *pci_override_quirk(const struct pci_rules *rules, const struct pci_view *view);

/* The row of the pcie_acs_override patch, which comes after the table; NULL: it does not apply. */
const struct pci_quirk *pci_override_patch(const struct pci_rules *rules, const struct pci_view *view);

/* Adds the ids of alias=; NULL if there are none. */
const struct pci_quirk *pci_override_aliases(const struct pci_rules *rules, const struct pci_view *view,
					     u64 other_ids[4]);

#endif
