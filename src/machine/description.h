/* SPDX-License-Identifier: MIT */
/*
 * A machine in words: what a machine file says, checked, before anything is built. docs/machine-file.md is the schema.
 */
#ifndef MACHINE_DESCRIPTION_H
#define MACHINE_DESCRIPTION_H

#include "base/cleanup.h"
#include "base/list.h"
#include "dev/model.h"
#include "pci/caps.h"
#include "pci/topology.h"

struct bar_description {
	enum pci_bar_kind kind; /* PCI_BAR_NONE: absent */
	u64 size;
	bool prefetchable;
};

enum function_role {
	ROLE_ENDPOINT,	 /* PCI Express endpoint */
	ROLE_INTEGRATED, /* root complex integrated endpoint */
	ROLE_ROOT_PORT,
	ROLE_UPSTREAM_PORT,
	ROLE_DOWNSTREAM_PORT,
	ROLE_PCI_BRIDGE,   /* PCI Express to PCI bridge */
	ROLE_CONVENTIONAL, /* no PCI Express capability */
	ROLE_CONVENTIONAL_BRIDGE,
};

struct function_description {
	struct pci_addr addr; /* bus numbers are assigned depth first, as firmware and Linux do */
	enum function_role role;
	struct function_description *parent; /* the bridge above, NULL on a root bus */
	u8 secondary, subordinate;	     /* of a bridge */
	struct pci_identity identity;
	bool has_identity;
	char driver[32]; /* bound at boot; "" none */
	bool has_acs;
	u16 acs_capable, acs_enabled;
	bool flr;
	unsigned intx_pin; /* 0 none, 1..4 */
	unsigned msi_log2; /* with has_msi */
	bool has_msi;
	unsigned msix_vectors; /* 0: no MSI-X */
	unsigned msix_bar;
	bool has_pm;
	struct bar_description bars[PCI_BARS + 1];
	bool behind_iommu;	   /* if the machine has a unit; default: as the bridge above */
	const struct model *model; /* NULL: inert */
	struct model_options options;
	char *option_text[MODEL_OPTIONS * 2]; /* owned: the strings options points to */
	unsigned line, column;		      /* in the machine file */
	struct list_link link;
};

struct description {
	char name[32];
	struct {
		bool present;
		char kind[16]; /* "intel-vtd" */
		unsigned width;
	} iommu;
	struct list functions; /* owned; enumeration order */
};

/*
 * Reads a machine file of size bytes; file is its name for messages. MACHINE_FILE (EINVAL) says file:line:column and
 * what is wrong there. Any bytes are legal input.
 */
int description_parse(const char *text, size_t size, const char *file, struct description **ret, struct why *why);

/* name: a path (contains '/' or ends in .yaml), or a machine built in ("default"). MACHINE_UNKNOWN lists those. */
int description_load(const char *name, struct description **ret, struct why *why);
void description_free(struct description *description); /* NULL is legal */
DEFINE_FREE(description)

struct function_description *description_find(struct description *description, struct pci_addr addr);

/* Adds or replaces an option ("disk") of a function; OPTION_UNKNOWN names what the model does know. */
int description_set_option(struct function_description *function, const char *key, const char *value, struct why *why);

/* The text of a built-in machine file, for `isolde machine show`; NULL if unknown. */
const char *description_builtin(const char *name, size_t *ret_size);
const char *description_builtin_name(unsigned index); /* for lists; NULL past the end */

/*
 * Description -> functions with configuration space, capabilities, BAR addresses, bridge windows. Models are built, not
 * yet attached. topology is initialised; on failure it is empty.
 */
int topology_build(const struct description *description, struct pci_topology *topology, struct why *why);

#endif
