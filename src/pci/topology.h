/* SPDX-License-Identifier: MIT */
/*
 * The functions of a machine and how they hang together; then which of them hardware cannot tell apart (alias sets)
 * and which the IOMMU cannot keep apart (isolation groups), with the reason of every merge.
 */
#ifndef PCI_TOPOLOGY_H
#define PCI_TOPOLOGY_H

#include "base/cleanup.h"
#include "pci/function.h"
#include "pci/rules.h"

struct pci_topology {
	struct list functions; /* owned; enumeration order: parents before children, buses depth first */
	size_t count;
};

void pci_topology_init(struct pci_topology *topology);
void pci_topology_fini(struct pci_topology *topology); /* frees the functions and their models */

/* The function becomes the last one, and the topology's. */
void pci_topology_add(struct pci_topology *topology, struct pci_function *function);
/* It is the caller's again, and nothing is below it; later ones move up by one index. */
void pci_topology_remove(struct pci_topology *topology, struct pci_function *function);

struct pci_function *pci_topology_find(const struct pci_topology *topology, struct pci_addr addr);

/* Every function that a bus reset below `bridge` hits, in enumeration order; see also vfio hot reset. */
bool pci_is_below(const struct pci_function *function, const struct pci_function *bridge);

/* ---- groups ---- */

enum merge_rule {
	MERGE_FOUNDED = 0,     /* none: the function founded its group, or is in none */
	MERGE_ALIAS_BRIDGE,    /* a bridge passes requests on under its own id (or its secondary bus's) */
	MERGE_ALIAS_DMA,       /* another function makes the requests (Intel VMD) */
	MERGE_NO_ACS_UPSTREAM, /* a port above cannot redirect, so traffic may turn round there */
	MERGE_NO_ACS_SIBLING,  /* functions of one slot without ACS can reach each other inside the device */
	MERGE_ALIAS_QUIRK,     /* the device uses another function's id */
};

/* Why `function` is in the group of `with`. */
struct pci_merge {
	enum merge_rule rule;
	const struct pci_function *function, *with;
	const struct pci_function *over; /* the component to blame: the bridge, the port without ACS; may equal with */
};

/* All arrays are indexed by pci_function.index. */
struct pci_grouping {
	size_t count;	/* of functions */
	int *group;	/* 0, 1, ... in the order Linux numbers them; -1: no group (not behind an IOMMU) */
	int *alias_set; /* 0, 1, ... in order of first member */
	int ngroups, nalias_sets;
	struct pci_merge *merges;  /* how each function came to its group */
	struct pci_traits *traits; /* what the rules made of each function */
};

/*
 * Groups of a topology as Linux makes them (spec 01 sections 2 to 4). rules: NULL is Linux 7.2 with nothing
 * overridden. Functions that are `untranslated` get no group.
 */
int pci_grouping_compute(const struct pci_topology *topology, const struct pci_rules *rules, struct pci_grouping **ret,
			 struct why *why);
/* What pci_topology_remove() will do to indices; the others stay where they are. */
void pci_grouping_forget(struct pci_grouping *grouping, const struct pci_function *function);
void pci_grouping_free(struct pci_grouping *grouping); /* NULL is legal */
DEFINE_FREE(pci_grouping)

#define PCI_REASON_TEXT 512

/* The reason as a sentence that names functions, component and what is missing; "" for MERGE_FOUNDED. Returns text. */
const char *pci_merge_reason(const struct pci_grouping *grouping, const struct pci_merge *merge,
			     char text[static PCI_REASON_TEXT]);

/* End-to-end prefixes get from the function up to the root complex (Linux: pci_dev.eetlp_prefix_max). */
bool pci_prefixes_reach_root(const struct pci_function *function);

/*
 * May the function send requests with PASIDs? If not, text says why: they must reach the root as prefixes which every
 * port passes on, and without a port that could turn them round on the way. Virtual functions do as their physical one.
 */
bool pci_may_enable_pasids(const struct pci_grouping *grouping, const struct pci_function *function,
			   char text[static PCI_REASON_TEXT]);

/* Name of the rule as text and JSON say it: "alias-bridge". */
const char *merge_rule_name(enum merge_rule rule);

#endif
