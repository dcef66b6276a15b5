/* SPDX-License-Identifier: MIT */
/*
 * Resets: which ways there are, what those of a bus hit, and what forbids them (spec 05 sections 6 and 13; Linux:
 * pci_bus_resettable(), vfio_pci_for_each_slot_or_bus()).
 *
 * A function with the quirk "no-bus-reset" does not come back from one. That is looked up by its ids whenever it is
 * asked, so whoever appears later (a virtual function) needs no preparation.
 */
#ifndef PCI_RESET_H
#define PCI_RESET_H

#include "pci/topology.h"

/* ---- as the registers have it, whatever quirks say ---- */

bool pci_offers_flr(const struct pci_function *function);
bool pci_offers_af_flr(const struct pci_function *function); /* conventional PCI's */
bool pci_offers_sleep(const struct pci_function *function);  /* to D3hot and back, which forgets its state */

/* ---- as the machine's own kernel does it ---- */

/*
 * Every function on the secondary bus of that bridge and below it. Virtual functions on a bus number of their own are
 * not found that way: Linux gives that bus no bridge.
 */
bool pci_bus_reset_hits(const struct pci_function *bridge, const struct pci_function *function);

/* The bridge whose secondary bus the function is on; NULL: that is a root bus, or one of virtual functions alone. */
const struct pci_function *pci_bus_bridge(const struct pci_function *function);

/* Who forbids the reset of that bus, or of its slot: the bridge itself, or the first that would be hit; NULL: nobody.
 */
const struct pci_function *pci_bus_reset_obstacle(const struct pci_topology *topology,
						  const struct pci_function *bridge);

/*
 * Ways to reset this function alone: function level reset, the same of conventional PCI, D3hot and back, its bus. A
 * quirk may say that a way which the registers offer is none.
 */
bool pci_can_reset_by_flr(const struct pci_function *function);
bool pci_can_reset_by_af_flr(const struct pci_function *function);
bool pci_can_reset_by_sleep(const struct pci_function *function);
bool pci_can_reset_by_bus(const struct pci_topology *topology, const struct pci_function *function);

/* ---- under any rules, for explanations ---- */

enum pci_reset_scope {
	RESET_SCOPE_NONE, /* it cannot be: see `obstacle` */
	RESET_SCOPE_SLOT, /* of a hot-plug port, which resets what is plugged in */
	RESET_SCOPE_BUS,
};

struct pci_hot_reset {
	enum pci_reset_scope scope;
	const struct pci_function *over; /* the bridge whose secondary bus is reset; NULL without one */
	const struct pci_function
		*obstacle; /* a function that does not survive it (pci_traits.reset_quirk[RESET_WAY_BUS]); NULL */
};

/* functions: of the grouping, by index. */
void pci_hot_reset_of(const struct pci_function *function, const struct pci_grouping *grouping,
		      const struct pci_function *const *functions, struct pci_hot_reset *ret);

bool pci_hot_reset_hits(const struct pci_hot_reset *reset, const struct pci_function *function);

#endif
