/* SPDX-License-Identifier: MIT */
/* What the computation of groups keeps beside its result; private to it (grouping.c, alias.c, isolation.c). */
#ifndef PCI_GROUPING_H
#define PCI_GROUPING_H

#include "pci/topology.h"

/* Functions that are neighbours in by_slot. */
struct bus_range {
	size_t first, after;
	bool quirks; /* some function of the bus uses another's id */
};

struct grouping_work {
	struct pci_grouping *grouping;
	const struct pci_function **functions; /* owned: by index */
	const struct pci_function **by_slot;   /* owned: sorted by bus, slot, index */
	u32 *bus;			       /* owned: number of its bus in buses, by index */
	u32 *probed;			       /* owned: indices in the order of probing */
	struct bus_range *buses;	       /* owned */
	size_t nbuses;
	/*
	 * What a walk from a function upward meets first, by index. As 1 + index, 0 if nothing: many walks go up many
	 * bridges, and indices lie closer together than functions.
	 */
	u32 *id_bridge;			  /* owned: a bridge that puts its own id on requests */
	u32 *weak_bridge;		  /* owned: the parent, if there is no good path from it to the root */
	const struct pci_function **weak; /* owned: itself or a bridge that cannot redirect; NULL if nothing */
	u32 *leader;			  /* owned: towards the first of the alias set, by index */
};

/* Allocates, computes the traits, sorts. On failure work_fini() is still due. */
int grouping_work_init(struct grouping_work *work, const struct pci_topology *topology, const struct pci_rules *rules,
		       struct why *why);
void grouping_work_fini(struct grouping_work *work);

static inline struct bus_range bus_of(const struct grouping_work *work, const struct pci_function *function)
{
	return work->buses[work->bus[function->index]];
}

/* The functions of its slot, itself among them. */
struct bus_range slot_of(const struct grouping_work *work, const struct pci_function *function);

/* "has no ACS capability": what keeps a function from redirecting as wanted (pci_acs_bits). */
#define LACK_TEXT 200
const char *pci_acs_lack(const struct pci_grouping *grouping, const struct pci_function *function, u16 wanted,
			 char text[static LACK_TEXT]);

static inline bool share_id(const struct grouping_work *work, const struct pci_function *a,
			    const struct pci_function *b)
{
	return pci_share_id(a, &work->grouping->traits[a->index], b, &work->grouping->traits[b->index]);
}

#endif
