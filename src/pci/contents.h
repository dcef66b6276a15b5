/* SPDX-License-Identifier: MIT */
/* What a function holds besides registers: its vital product data, its expansion ROM. */
#ifndef PCI_CONTENTS_H
#define PCI_CONTENTS_H

#include "pci/function.h"

#define PCI_VPD_MAX 0x8000 /* the address of the window has 15 bits (PCI Local Bus 3.0 appendix I) */

/* One dword through the window, from any byte on. What lies behind the contents reads as zero and cannot be written. */
u32 pci_vpd_load(const struct pci_function *function, u32 at);
void pci_vpd_store(struct pci_function *function, u32 at, u32 value);

/*
 * How many bytes of it Linux shows: up to the end tag, or to where tags make no sense any more. 0: not even the first
 * does, and Linux takes it for absent (drivers/pci/vpd.c:pci_vpd_size()). That is measured once: whoever rewrites the
 * tags meanwhile is not locked out.
 */
u32 pci_vpd_length(struct pci_function *function);

/* The bytes of the ROM's images together, at most `room`; 0: there is no valid one (drivers/pci/rom.c). */
u32 pci_rom_length(const struct pci_function *function, u64 room);

/* A ROM with one image that does nothing, for this function's ids: `size` zeroed bytes at least 512. */
void pci_rom_minimal(const struct pci_function *function, u8 *rom, u32 size);

/* What Linux reads at an address of the ROM's BAR, of `room` bytes. The contents may be shorter. */
static inline u8 pci_rom_byte(const struct pci_function *function, u64 at)
{
	return function->rom && at < function->rom_size ? function->rom[at] : 0xff;
}

#endif
