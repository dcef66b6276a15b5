/* SPDX-License-Identifier: MIT */
/*
 * What Linux makes of a function besides its registers: the quirk tables by vendor and device id (pci/quirks.def, with
 * the version each row came with), and what a user asked for on the kernel command line or asks "what if" about.
 *
 * Spec 01 sections 2.1 (ids), 2.2 (bridges), 3.2 to 3.6 (ACS).
 */
#ifndef PCI_RULES_H
#define PCI_RULES_H

#include "base/cleanup.h"
#include "pci/function.h"

#define PCI_KERNEL(major, minor) ((major) << 8 | (minor))
#define PCI_KERNEL_LATEST	 PCI_KERNEL(7, 2)

enum pci_quirk_kind {
	QUIRK_ALIAS,  /* its requests carry other functions' ids */
	QUIRK_BRIDGE, /* how a bridge passes ids on */
	QUIRK_ACS,    /* it isolates, or does not, whatever its registers say */
	QUIRK_ENABLE, /* Linux switches isolation on otherwise: in registers of the device's own, or not all of it */
	QUIRK_RESET,  /* a way of resetting it that breaks it, or does nothing */
	QUIRK_PASID,  /* its PASIDs need no prefixes */
	QUIRK_USER,   /* an override of pci_rules */
};

/* One row of the table. */
struct pci_quirk {
	enum pci_quirk_kind kind;
	u16 vendor, first, last; /* device ids, both inclusive */
	u16 since;		 /* PCI_KERNEL() it appeared in; 0: always */
	u16 provides;		 /* QUIRK_ACS: the bits it stands for (pci_acs_bits) */
	const char *name;	 /* "intel-rciep" */
	const char *text;	 /* "integrated Intel devices cannot reach each other", for a sentence */
	const char *assumes;	 /* what cannot be seen from outside and is taken for granted; NULL: nothing */
	u8 effect;		 /* meaning by kind, private to pci/quirks.c */
};

enum pci_bridge_ids {
	BRIDGE_IDS_PASS,      /* requests keep their ids: root ports, switch ports */
	BRIDGE_IDS_SECONDARY, /* requests carry the id secondary:00.0 */
	BRIDGE_IDS_OWN,	      /* requests carry the bridge's own id */
	BRIDGE_IDS_ROOT,      /* ids are translated here: what is above does not matter */
};

enum pci_acs_ground {				/* what decided `isolates` */
		      ACS_GROUND_QUIRK,		/* a row of the table, or the user */
		      ACS_GROUND_CONVENTIONAL,	/* no PCI Express, so no */
		      ACS_GROUND_BRIDGE,	/* a bridge to or from PCI, or an event collector: no */
		      ACS_GROUND_REGISTERS,	/* the capability's two registers */
		      ACS_GROUND_NO_CAPABILITY, /* it should have one: no */
		      ACS_GROUND_ALONE,		/* an endpoint of one function: yes */
};

enum pci_reset_way {
	RESET_WAY_BUS, /* PCI_DEV_FLAGS_NO_BUS_RESET */
	RESET_WAY_FLR, /* PCI_DEV_FLAGS_NO_FLR_RESET */
	RESET_WAY_PM,  /* PCI_DEV_FLAGS_NO_PM_RESET */
	RESET_WAYS,
};

/* A function under one set of rules. */
struct pci_traits {
	bool isolates; /* Linux: pci_acs_enabled() for SV, RR, CR, UF */
	bool forwards; /* the same for RR, UF alone: requests with a PASID go on to the root */
	enum pci_acs_ground ground;
	u16 acs_capable, acs_enabled; /* the registers after Linux set them up */
	u16 acs_missing;	      /* of SV, RR, CR, UF: what it could and does not, or all without a capability */
	enum pci_bridge_ids ids;      /* of a bridge */
	bool uses_other_ids;
	u64 other_ids[4]; /* its requests also carry the ids of these devfns of its bus: a bit each */
	/* The rows behind it; NULL: none. alias_quirk without uses_other_ids: there may be ids that cannot be seen. */
	const struct pci_quirk *acs_quirk, *alias_quirk, *bridge_quirk;
	const struct pci_quirk *reset_quirk[RESET_WAYS]; /* Linux never resets it that way; NULL: no quirk forbids it */
	const struct pci_quirk *pasid_quirk;		 /* its PASIDs travel without prefixes; NULL: in them */
};

/* ---- sets of rules ---- */

struct pci_rules; /* a kernel version, and overrides in the order they were given */

int pci_rules_new(unsigned kernel, struct pci_rules **ret, struct why *why); /* PCI_KERNEL(); spec: LATEST */
void pci_rules_free(struct pci_rules *rules);				     /* NULL is legal */
DEFINE_FREE(pci_rules)

/* "5.8", "7.2"; RULES_INVALID (EINVAL) says what is understood. */
int pci_kernel_parse(const char *text, unsigned *ret, struct why *why);
unsigned pci_rules_kernel(const struct pci_rules *rules); /* NULL: PCI_KERNEL_LATEST */

/*
 * Adds what a user may ask about. RULES_INVALID (EINVAL) says which word of the text is wrong.
 *
 *	acs=BDF, no-acs=BDF		as if it had ACS fully on, or none
 *	quirk=BDF, quirk=VVVV:DDDD	as if Linux's table called it isolated
 *	alias=BDF,DD.F			as if its requests also carried the id of DD.F of its bus
 *	override=downstream,multifunction,id:VVVV:DDDD	the widely used "pcie_acs_override" patch (also by that name),
 *			same semantics: PCI Express functions without an ACS capability, after the table
 *	config_acs=BITS@DEVICE;BITS@DEVICE...		as on the kernel command line (spec 01 section 3.6, step 3)
 *	disable_acs_redir=DEVICE;DEVICE...
 *	pci=...						the two above, joined by ','
 *
 * DEVICE is [segment:]bus:dev.fn[/dev.fn]* or pci:vendor:device[:subvendor:subdevice], as in Linux. Each device of
 * config_acs= has its own bits; Linux 6.11 to 6.14 also took those of the device before. acs= and no-acs= are about
 * registers, so quirks win over them. A text that is refused changes nothing.
 */
int pci_rules_add(struct pci_rules *rules, const char *text, struct why *why);

/* Linux switches ACS on when an IOMMU is (step 1); say true when the registers were taken without one. Default false.
 */
void pci_rules_arm_acs(struct pci_rules *rules, bool arm);

/* Did any override speak of this function? A what-if that names no device of the machine deserves a warning. */
bool pci_rules_names(const struct pci_rules *rules, const struct pci_function *function);

void pci_traits_of(const struct pci_function *function, const struct pci_rules *rules, struct pci_traits *ret);
/* The row that forbids this way of resetting the function, as the latest kernel has it; NULL: none. */
const struct pci_quirk *pci_reset_quirk_of(const struct pci_function *function, enum pci_reset_way way);

/* Functions of one bus of which one uses the other's id (spec 01 section 2.3). */
bool pci_share_id(const struct pci_function *a, const struct pci_traits *a_traits, const struct pci_function *b,
		  const struct pci_traits *b_traits);

/* Phantom functions: the function numbers of its slot it may put on its requests besides its own, a bit each. */
u8 pci_phantom_functions(const struct pci_function *function);

/* "SV RR CR UF": the bits by name, into text; returns text. */
#define PCI_ACS_TEXT 32
const char *pci_acs_print(u16 bits, char text[static PCI_ACS_TEXT]);

#endif
