/* SPDX-License-Identifier: MIT */
#include "pci/vga.h"

static const struct pci_vga_range ranges[] = {
	{0xa0000, 0xbffff, 0},
	{0x3b0, 0x3bb, 0x20000},
	{0x3c0, 0x3df, 0x20010},
};

const struct pci_vga_range *pci_vga_range_at(u64 address)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++)
		if (address >= ranges[i].start && address <= ranges[i].last)
			return &ranges[i];
	return NULL;
}
