/* SPDX-License-Identifier: MIT */
/* What a hot reset hits (spec 05 section 13; Linux: vfio_pci_for_each_slot_or_bus()). */
#ifndef PCI_RESET_H
#define PCI_RESET_H

#include "pci/topology.h"

enum pci_reset_scope {
	RESET_SCOPE_NONE, /* it cannot be: see `obstacle` */
	RESET_SCOPE_SLOT, /* of a hot-plug port, which resets what is plugged in */
	RESET_SCOPE_BUS,
};

struct pci_hot_reset {
	enum pci_reset_scope scope;
	const struct pci_function *over;     /* the bridge whose secondary bus is reset; NULL without one */
	const struct pci_function *obstacle; /* a function that does not survive it (pci_traits.reset_quirk); NULL */
};

/* functions: of the grouping, by index. */
void pci_hot_reset_of(const struct pci_function *function, const struct pci_grouping *grouping,
		      const struct pci_function *const *functions, struct pci_hot_reset *ret);

/* Every function on the bus and below it. Virtual functions on a bus number of their own are not found that way. */
bool pci_hot_reset_hits(const struct pci_hot_reset *reset, const struct pci_function *function);

#endif
