/* SPDX-License-Identifier: MIT */
/*
 * Configuration-space virtualisation as data. Each capability says how long it is and which of its fields are virtual
 * (live in a shadow) or writable; what no field names reads from hardware and drops writes. A new capability is rows
 * here, no code.
 */
#ifndef VFIO_PCI_PERM_H
#define VFIO_PCI_PERM_H

#include "base/bits.h"

#define ALL 0xffffffffu

struct perm_field {
	u8 offset; /* in the capability */
	u8 width;
	u32 virtual, write;
	const char *section; /* of the specification that defines the field */
};

/* How long the part is that we know. */
enum perm_length {
	LENGTH_FIXED,
	LENGTH_BYTE,  /* in the byte behind the next pointer */
	LENGTH_VSEC,  /* in bits 31:20 of the second dword */
	LENGTH_ACS,   /* with an egress control vector, perhaps */
	LENGTH_VC,    /* by the count of virtual channels and the arbitration table */
	LENGTH_REBAR, /* by the count of BARs */
	LENGTH_DPA,   /* by the count of substates */
	LENGTH_TPH,   /* with a steering table, perhaps */
};

/* What a write does beyond storing. */
enum perm_effect { EFFECT_NONE, EFFECT_HEADER, EFFECT_PM, EFFECT_MSI, EFFECT_EXP, EFFECT_AF, EFFECT_VPD };

struct perm_cap {
	const char *name;
	u16 id;
	bool extended;
	bool raw; /* the program writes hardware directly, wherever no field says otherwise */
	/* Only for a capability whose 16 bits at `select` are `value` under `mask`; the first row that fits counts. */
	u8 select;
	u16 mask, value;
	enum perm_length rule;
	u16 length; /* LENGTH_FIXED */
	enum perm_effect effect;
	const struct perm_field *fields; /* ends with width 0 */
};

extern const struct perm_cap perm_header; /* the first 64 bytes */
extern const struct perm_cap perm_caps[];
extern const unsigned perm_ncaps;

/* The row for a capability with these bytes at `at` of config; NULL when it is hidden from programs. */
const struct perm_cap *perm_find(const u8 *config, u16 at, u16 id, bool extended);

#endif
