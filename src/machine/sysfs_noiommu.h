/* SPDX-License-Identifier: MIT */
/*
 * The names of a group that VFIO makes for a function without an IOMMU: /dev/vfio/noiommu-N, its place in sysfs,
 * iommu_groups/N and the device's link to that. N is known when they appear, inside a call that cannot fail any more:
 * so they are made in advance, withdrawn, for each function that no unit covers.
 */
#ifndef MACHINE_SYSFS_NOIOMMU_H
#define MACHINE_SYSFS_NOIOMMU_H

#include "machine/node.h"

struct device;

/* All zero, or all there; owned while withdrawn, which all are at once. */
struct noiommu_nodes {
	int id; /* N and the minor number, while they are published */
	unsigned minor;
	struct node *group;	/* sys/kernel/iommu_groups/N */
	struct node *link;	/* iommu_group of the device */
	struct node *directory; /* sys/devices/virtual/vfio/noiommu-N */
	struct node *class;	/* sys/class/vfio/noiommu-N */
	struct node *number;	/* sys/dev/char/MAJOR:MINOR */
	struct node *node;	/* dev/vfio/noiommu-N */
};

/* What is made stays the device's also on failure. */
int noiommu_nodes_make(struct device *device, struct why *why);
void noiommu_nodes_remove(struct noiommu_nodes *nodes); /* legal on zeroed ones */

void noiommu_nodes_publish(struct noiommu_nodes *nodes, int id, unsigned minor);
void noiommu_nodes_withdraw(struct noiommu_nodes *nodes);

#endif
