/* SPDX-License-Identifier: MIT */
/*
 * Builds a function's configuration space. Capabilities are appended to the chain in the order of the calls; offsets
 * are kept in the function. All reserve their space or assert: descriptions are checked before they get here.
 */
#ifndef PCI_CAPS_H
#define PCI_CAPS_H

#include "pci/function.h"

struct pci_identity {
	u16 vendor, device, subsystem_vendor, subsystem;
	u32 class_code; /* 24 bits: class, subclass, programming interface */
	u8 revision;
};

struct pci_sriov {
	u16 initial, total, enabled; /* virtual functions */
	u16 offset, stride;	     /* of their requester ids */
	u16 device;		     /* their device id */
};

enum pci_acs_bits {
	PCI_ACS_SV = 0x01,
	PCI_ACS_TB = 0x02,
	PCI_ACS_RR = 0x04,
	PCI_ACS_CR = 0x08,
	PCI_ACS_UF = 0x10,
	PCI_ACS_EC = 0x20,
	PCI_ACS_DT = 0x40,
	PCI_ACS_ISOLATION = PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF,
	PCI_ACS_FORWARDING = PCI_ACS_RR | PCI_ACS_UF, /* what PASIDs ask of the whole way */
};

/* Initialises function (zeroed memory) as header type 0 with "inert" ops. */
void pci_function_init(struct pci_function *function, struct pci_addr addr, const struct pci_identity *identity);
void pci_function_fini(struct pci_function *function);				   /* the model too */
void pci_make_bridge(struct pci_function *function, u8 secondary, u8 subordinate); /* header type 1 */
void pci_set_multifunction(struct pci_function *function);

void pci_add_bar(struct pci_function *function, unsigned bar, enum pci_bar_kind kind, u64 size, bool prefetchable);
void pci_place_bar(struct pci_function *function, unsigned bar, u64 address);
void pci_set_intx(struct pci_function *function, unsigned pin, u8 line); /* pin 1..4 = A..D; 0 none */

void pci_add_pm(struct pci_function *function);
void pci_add_msi(struct pci_function *function, unsigned vectors_log2, bool wide);
void pci_add_maskable_msi(struct pci_function *function, unsigned vectors_log2, bool wide);
void pci_add_msix(struct pci_function *function, unsigned vectors, unsigned table_bar, u32 table_offset,
		  unsigned pba_bar, u32 pba_offset);
void pci_add_pcie(struct pci_function *function, enum pcie_type type, unsigned port_or_slot, bool flr);
void pci_add_acs(struct pci_function *function, u16 capable, u16 enabled); /* pci_acs_bits */
void pci_add_aer(struct pci_function *function);
void pci_add_subsystem(struct pci_function *function, u16 vendor, u16 subsystem); /* of a bridge */
void pci_add_af(struct pci_function *function); /* Advanced Features: FLR for conventional functions */
void pci_add_dsn(struct pci_function *function, u64 serial);
void pci_add_pasid(struct pci_function *function, unsigned width_bits);
/* Whether it takes, or passes on, end-to-end TLP prefixes: ports do from the start, others once they have PASIDs. */
void pci_set_prefixes(struct pci_function *function, bool present);
void pci_add_ats(struct pci_function *function);
void pci_add_ari(struct pci_function *function);
void pci_add_pri(struct pci_function *function);
void pci_set_phantom(struct pci_function *function, unsigned bits); /* 0..3; after pci_add_pcie() */

void pci_set_atomics(struct pci_function *function, unsigned sizes); /* bits: 32, 64, 128; after pci_add_pcie() */
void pci_add_vpd(struct pci_function *function);		     /* the window; contents are function->vpd */

/* Any other one: `size` zeroed bytes with a header, which are at the offset returned. There must be room. */
bool pci_has_room(const struct pci_function *function, bool extended, unsigned size);
u16 pci_append_cap(struct pci_function *function, u8 id, unsigned size);
u16 pci_append_ext_cap(struct pci_function *function, u16 id, unsigned version, unsigned size);

void pci_add_sriov(struct pci_function *function, const struct pci_sriov *sriov);

/* ---- SR-IOV (sriov.c) ---- */

/* What Linux takes for a physical function: it has a place for each of its virtual ones. */
bool pci_is_physical(const struct pci_function *function);
/* Of a physical one: how many virtual ones it can have, has; the address of the n-th, false: there is none. */
u16 pci_sriov_total(const struct pci_function *function);
u16 pci_sriov_number(const struct pci_function *function);
bool pci_virtual_addr(const struct pci_function *function, unsigned n, struct pci_addr *ret);
bool pci_virtual_position(const struct pci_function *function, struct pci_addr addr, unsigned *ret); /* the reverse */
/* Its virtual functions are like `model`, which was built like one: that gives their BARs. OUT_OF_MEMORY */
int pci_sriov_add_bars(struct pci_function *function, const struct pci_function *model, struct why *why);
void pci_sriov_place_bar(struct pci_function *function, unsigned bar,
			 u64 address); /* of the first one; others follow */
/* The n-th virtual function of that one, when its capabilities are built: without the registers that it has not. */
void pci_make_virtual(struct pci_function *function, struct pci_function *physical, unsigned n);
/* What Linux takes for a function's ids: those of a virtual one are with its physical function. */
void pci_known_ids(const struct pci_function *function, u16 *ret_vendor, u16 *ret_device);
/* Number of virtual functions, and whether they are there: the registers. */
void pci_sriov_enable(struct pci_function *function, u16 number);

/* Type bits of a BAR's register (PCI Local Bus 3.0 section 6.2.5.1). */
u32 pci_bar_type_bits(const struct pci_bar *bar);

/*
 * Finds the capabilities of registers that were read from somewhere (`known` bytes of them: 64, 256 or 4096) instead of
 * built: fills the cap_ offsets, secondary and subordinate, multifunction, and config_size. Any bytes are legal: chains
 * that loop, or leave the space, end there; returns false if one did.
 */
bool pci_scan_caps(struct pci_function *function, u16 known);

/* Offset of a capability, walked from the chain; 0 when absent. */
u16 pci_find_cap(const struct pci_function *function, u8 id);
u16 pci_find_ext_cap(const struct pci_function *function, u16 id);

/* The ops of a function without a model: its memory BARs are plain memory. */
extern const struct pci_model_ops pci_inert_ops;

#endif
