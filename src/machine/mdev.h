/* SPDX-License-Identifier: MIT */
/*
 * Emulated devices of a machine: no hardware, but to programs of VFIO much as if they were (spec 06 section 6). Each
 * has a group of its own without an IOMMU, and its driver from the start.
 */
#ifndef MACHINE_MDEV_H
#define MACHINE_MDEV_H

#include "iommu/soft.h"
#include "machine/machine.h"
#include "machine/sysfs_vfio.h"

struct mdev {
	const struct emulated_description *words; /* borrowed from the machine's description */
	struct pci_function function;		  /* what programs see of it */
	struct soft_memory memory;
	struct iommu_device *iommu; /* owned */
	struct vfio_device *vfio;   /* owned; NULL: not bound */
	struct node *node;	    /* the tree's: its sysfs directory */
	struct vfio_dev_nodes vfio_nodes;
	struct list_link link; /* machine->mdevs */
};

/* Those of the description, after all groups of hardware. What was made stays in machine->mdevs also on failure. */
int mdevs_add(struct machine *machine, struct why *why);
int mdevs_bind(struct machine *machine, struct why *why); /* to their drivers, when the tree is there */
void mdevs_unbind(struct machine *machine);		  /* nobody has one open */
void mdevs_free(struct machine *machine);

struct mdev *mdev_of(const struct machine *machine, const struct vfio_device *vfio); /* NULL: it is hardware */

int sysfs_build_mdevs(struct machine *machine, struct why *why);

void mdevs_check(const struct machine *machine);

#endif
