/* SPDX-License-Identifier: MIT */
/*
 * A machine file while it is read. description.c walks the tree of devices, device_keys.c reads what a device's mapping
 * says, device_check.c looks whether it makes sense as a whole and where it stands.
 */
#ifndef MACHINE_READING_H
#define MACHINE_READING_H

#include "machine/description.h"
#include "machine/yaml.h"

struct reading {
	struct yaml_reader yaml; /* first: what the tables' functions get */
	struct description *description;
	yaml_node_t *devices;
	unsigned last_bus, depth, functions;
};

/* A device while its mapping is read. Nodes are those of keys that are given; NULL otherwise. */
struct device_reading {
	struct reading *reading;
	struct function_description *function; /* owned until it enters the description */
	yaml_node_t *node;		       /* the mapping */
	yaml_node_t *children, *acs, *options, *bars, *rom, *flr, *msi, *msix, *model, *iommu;
	bool has_slot, has_role, has_driver;
	struct device_reading *next; /* same bus, by slot */
};

static inline struct reading *reading_of(struct yaml_reader *reader)
{
	return container_of(reader, struct reading, yaml);
}

static inline bool role_is_bridge(enum function_role role)
{
	return role == ROLE_ROOT_PORT || role == ROLE_UPSTREAM_PORT || role == ROLE_DOWNSTREAM_PORT ||
	       role == ROLE_PCI_BRIDGE || role == ROLE_CONVENTIONAL_BRIDGE;
}

int device_read_keys(struct device_reading *device);

/* Defaults, what must agree, and the model's options. */
int device_finish(struct device_reading *device);

#endif
