/* SPDX-License-Identifier: MIT */
/* Capabilities that nothing here acts on: their registers are what a machine file says, or what is usual. */
#ifndef PCI_EXTRA_CAPS_H
#define PCI_EXTRA_CAPS_H

#include "pci/caps.h"

/* Behind the header: two bytes of a capability in the first 256, four of an extended one. */
#define PCI_EXTRA_SIZE 128

struct pci_extra_cap {
	u16 id;
	bool extended;
	u8 version; /* of an extended one */
	u16 size;   /* of data */
	u8 data[PCI_EXTRA_SIZE], writable[PCI_EXTRA_SIZE];
};

/* By its name in a machine file, with the usual registers; false: there is none such. */
bool pci_extra_cap_named(const char *name, struct pci_extra_cap *ret);
const char *pci_extra_cap_name(unsigned index); /* for lists; NULL past the end */

/* CAPABILITY_SPACE. */
int pci_add_extra_cap(struct pci_function *function, const struct pci_extra_cap *cap, struct why *why);

#endif
