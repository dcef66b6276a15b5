/* SPDX-License-Identifier: MIT */
/*
 * The addresses every VGA device answers at: 128 KiB of memory and two runs of ports. Plain storage here: nobody looks
 * at what a program draws.
 */
#ifndef PCI_VGA_H
#define PCI_VGA_H

#include "pci/function.h"

#define PCI_CLASS_VGA	0x030000 /* with any programming interface */
#define PCI_VGA_STORAGE 0x20040	 /* the memory, then the ports from 3b0 on */

struct pci_vga_range {
	u32 start, last;
	u32 storage; /* where in function->vga */
};

/* The range with that address; NULL: no VGA device answers there. */
const struct pci_vga_range *pci_vga_range_at(u64 address);

static inline bool pci_is_vga(const struct pci_function *function)
{
	return get_u32(function->config + PCI_REVISION) >> 16 == PCI_CLASS_VGA >> 8;
}

#endif
