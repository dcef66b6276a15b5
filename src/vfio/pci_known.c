/* SPDX-License-Identifier: MIT */
#include "vfio/pci_known.h"

#include "pci/caps.h"

#define INTEL 0x8086

static bool is_among(const struct pci_function *function, const u16 *devices, size_t count)
{
	u16 vendor, device;

	pci_known_ids(function, &vendor, &device);
	for (size_t i = 0; vendor == INTEL && i < count; i++)
		if (devices[i] == device)
			return true;
	return false;
}

bool pci_known_to_be_unsafe(const struct pci_function *function)
{
	/* QuickAssist C3xxx, C62x and DH895xCC with their virtual functions; DSA and IAX of Sapphire Rapids. */
	static const u16 devices[] = {0x19e2, 0x19e3, 0x37c8, 0x37c9, 0x0435, 0x0443, 0x0b25, 0x0cfe};

	return is_among(function, devices, ARRAY_SIZE(devices));
}

bool pci_known_without_intx(const struct pci_function *function)
{
	/* Ethernet controllers X710, XL710, XXV710, X722, X550. */
	static const u16 devices[] = {0x1572, 0x1574, 0x1580, 0x1581, 0x1583, 0x1584, 0x1585, 0x1586, 0x1587,
				      0x1588, 0x1589, 0x158a, 0x158b, 0x37d0, 0x37d1, 0x37d2, 0x1563};

	return is_among(function, devices, ARRAY_SIZE(devices));
}
