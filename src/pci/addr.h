/* SPDX-License-Identifier: MIT */
/* segment:bus:device.function */
#ifndef PCI_ADDR_H
#define PCI_ADDR_H

#include "base/bits.h"

struct pci_addr {
	u32 segment; /* above 0xffff: the buses behind Intel VMD */
	u8 bus;
	u8 devfn;
};

#define PCI_ADDR_TEXT 20 /* "0000:01:00.0", with up to eight digits of segment */

static inline u8 pci_devfn(unsigned device, unsigned function)
{
	return (u8)(device << 3 | function);
}

static inline unsigned pci_device_number(struct pci_addr addr)
{
	return addr.devfn >> 3;
}

static inline unsigned pci_function_number(struct pci_addr addr)
{
	return addr.devfn & 7;
}

/* The requester id, unique within a segment. */
static inline u16 pci_requester_id(struct pci_addr addr)
{
	return (u16)(addr.bus << 8 | addr.devfn);
}

/* Sorts as Linux numbers functions. */
static inline u64 pci_addr_key(struct pci_addr addr)
{
	return (u64)addr.segment << 16 | pci_requester_id(addr);
}

static inline bool pci_addr_equal(struct pci_addr a, struct pci_addr b)
{
	return pci_addr_key(a) == pci_addr_key(b);
}

/* "0000:01:00.0" into text; returns text. */
const char *pci_addr_print(struct pci_addr addr, char text[static PCI_ADDR_TEXT]);

/* Parses exactly "[ssss:]bb:dd.f", with four to eight digits of segment (the whole string); false if it is anything
 * else. */
bool pci_addr_parse(const char *text, struct pci_addr *ret);

#endif
