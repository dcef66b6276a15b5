/* SPDX-License-Identifier: MIT */
/*
 * A machine file while it is read. description.c reads the machine, tree.c walks the devices, device_keys.c and
 * device_caps.c read what a device's mapping says, device_check.c looks whether it makes sense as a whole and where it
 * stands; emulated_keys.c reads those that are no hardware.
 */
#ifndef MACHINE_READING_H
#define MACHINE_READING_H

#include "machine/description.h"
#include "machine/yaml.h"

/* The bus numbers of the segment that is read. */
struct bus_numbers {
	u32 segment;
	unsigned last; /* the number given last */
	bool taken[256];
};

struct reading {
	struct yaml_reader yaml; /* first: what the tables' functions get */
	struct description *description;
	yaml_node_t *devices, *roots, *emulated;
	struct bus_numbers buses;
	struct list virtuals; /* owned: virtual functions, until all others are there */
	unsigned depth, functions;
	bool below_vmd; /* of the root that is read */
	struct pci_addr vmd;
};

/* A device while its mapping is read. Nodes are those of keys that are given; NULL otherwise. */
struct device_reading {
	struct reading *reading;
	struct function_description *function; /* owned until it enters the description */
	yaml_node_t *node;		       /* the mapping */
	yaml_node_t *children, *acs, *options, *bars, *rom, *flr, *msi, *msix, *model, *iommu;
	yaml_node_t *bus, *last_bus, *other_bus, *sriov, *vfs, *vf, *multifunction, *is_virtual;
	yaml_node_t *extended, *phantom; /* the first key that takes extended capabilities, PCI Express */
	bool has_slot, has_role, has_driver, has_class, has_bridge, has_aer, has_pending_bar, has_pending;
	struct device_reading *next; /* same bus, by slot */
};

static inline struct reading *reading_of(struct yaml_reader *reader)
{
	return container_of(reader, struct reading, yaml);
}

int device_read_keys(struct device_reading *device);

/* ---- values (device_caps.c); target is the device_reading ---- */

int read_acs(struct yaml_reader *reader, yaml_node_t *node, void *target);
int read_msi(struct yaml_reader *reader, yaml_node_t *node, void *target);
int read_msix(struct yaml_reader *reader, yaml_node_t *node, void *target);
int read_sriov(struct yaml_reader *reader, yaml_node_t *node, void *target);
int read_aer(struct yaml_reader *reader, yaml_node_t *node, void *target);
int read_ari(struct yaml_reader *reader, yaml_node_t *node, void *target);
int read_ats(struct yaml_reader *reader, yaml_node_t *node, void *target);
int read_pri(struct yaml_reader *reader, yaml_node_t *node, void *target);
int read_prefixes(struct yaml_reader *reader, yaml_node_t *node, void *target);
int read_pasid(struct yaml_reader *reader, yaml_node_t *node, void *target);
int read_dsn(struct yaml_reader *reader, yaml_node_t *node, void *target);
int read_phantom(struct yaml_reader *reader, yaml_node_t *node, void *target);
int read_bars(struct yaml_reader *reader, yaml_node_t *node, void *target);
/* device_extra.c */
int read_rom(struct yaml_reader *reader, yaml_node_t *node, void *target);
int read_vpd(struct yaml_reader *reader, yaml_node_t *node, void *target);
int read_caps(struct yaml_reader *reader, yaml_node_t *node, void *target);
int read_atomics(struct yaml_reader *reader, yaml_node_t *node, void *target);

int read_region(struct yaml_reader *reader, yaml_node_t *node, struct reserved_region *ret);
int read_iommu(struct yaml_reader *reader, yaml_node_t *node, void *target); /* of the machine; unit_keys.c */

/* Reads all devices: those on bus 0000:00, and those of the other root buses. */
int tree_read(struct reading *reading);

/* Those under `emulated`; the functions are there already. */
int emulated_read(struct reading *reading);
void emulated_descriptions_free(struct list *emulated);

void function_description_free(struct function_description *function); /* NULL is legal */

/* Defaults, what must agree, and the model's options. */
int device_finish(struct device_reading *device);
/* Besides: can there be as many such virtual functions as its physical one says? */
int device_check_template(struct device_reading *device);

#endif
