/* SPDX-License-Identifier: MIT */
/*
 * The functions of a machine and how they hang together; then which of them hardware cannot tell apart (alias sets)
 * and which the IOMMU cannot keep apart (isolation groups), with the reason of every merge.
 */
#ifndef PCI_TOPOLOGY_H
#define PCI_TOPOLOGY_H

#include "pci/function.h"

struct pci_topology {
	struct list functions; /* owned; enumeration order: parents before children, buses depth first */
	size_t count;
};

void pci_topology_init(struct pci_topology *topology);
void pci_topology_fini(struct pci_topology *topology); /* frees the functions and their models */

struct pci_function *pci_topology_find(const struct pci_topology *topology, struct pci_addr addr);

/* Every function that a bus reset below `bridge` hits, in enumeration order; see also vfio hot reset. */
bool pci_is_below(const struct pci_function *function, const struct pci_function *bridge);

/*
 * ACS redirection needed for isolation: Source Validation, P2P Request and Completion Redirect, Upstream Forwarding.
 * The rule of Linux's pci_acs_enabled(), spec 01 section 3.2.
 */
bool pci_acs_isolates(const struct pci_function *function);

/* Of those, what its ACS capability can do and does not (pci_acs_bits); all of them when it has none. */
u16 pci_acs_missing(const struct pci_function *function);

/* Functions of one bus of which one uses the other's id (spec 01 section 2.3). */
bool pci_share_id(const struct pci_function *a, const struct pci_function *b);

enum merge_rule {
	MERGE_ALIAS_BRIDGE,    /* a bridge passes requests on under its own id (or its secondary bus's) */
	MERGE_NO_ACS_UPSTREAM, /* a port above cannot redirect, so traffic may turn round there */
	MERGE_NO_ACS_SIBLING,  /* functions of one slot without ACS can reach each other inside the device */
	MERGE_ALIAS_QUIRK,     /* the device uses another function's id */
};

/* Why `function` is in the group of `with`. */
struct pci_merge {
	enum merge_rule rule;
	const struct pci_function *function, *with;
	const struct pci_function *over; /* the component to blame: the bridge, the port without ACS; may equal with */
	char reason[256];		 /* a sentence that names them and what is missing */
};

/* Indexed by the function's position in topology->functions. */
struct pci_grouping {
	size_t count;	/* of functions */
	int *group;	/* 0, 1, ... in order of first member; -1: no group (not behind an IOMMU) */
	int *alias_set; /* numbered likewise */
	int ngroups, nalias_sets;
	struct pci_merge *merges; /* owned */
	size_t nmerges;
};

/*
 * Groups of a topology as Linux 7.2 makes them (spec 01 sections 2 to 4). translated(function) says whether an IOMMU
 * covers it; NULL: all are.
 */
int pci_grouping_compute(const struct pci_topology *topology, bool (*translated)(const struct pci_function *),
			 struct pci_grouping **ret, struct why *why);
void pci_grouping_free(struct pci_grouping *grouping); /* NULL is legal */

void pci_merge_describe(struct pci_merge *merge); /* writes the reason; the rest is there */

/* Name of the rule as text and JSON say it: "alias-bridge". */
const char *merge_rule_name(enum merge_rule rule);

#endif
