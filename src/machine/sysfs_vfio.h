/* SPDX-License-Identifier: MIT */
/*
 * The names of a device that a VFIO driver has: vfio-dev/vfioN, its links, and /dev/vfio/devices/vfioN. N is known when
 * they appear, inside a call that cannot fail any more: so they are made in advance, withdrawn.
 */
#ifndef MACHINE_SYSFS_VFIO_H
#define MACHINE_SYSFS_VFIO_H

#include "machine/node.h"

struct machine;

/* All zero, or all there; owned while withdrawn, which all are at once. */
struct vfio_dev_nodes {
	unsigned index;		/* N, while they are published */
	struct node *directory; /* vfio-dev of the device */
	struct node *class;	/* sys/class/vfio-dev/vfioN */
	struct node *number;	/* sys/dev/char/MAJOR:N; these two only with a character device */
	struct node *device;	/* dev/vfio/devices/vfioN */
};

/* The directory all character devices are in; it is there while one of them is. */
int vfio_dev_nodes_init(struct machine *machine, struct why *why);
void vfio_dev_nodes_fini(struct machine *machine);

/*
 * Of the device whose directory in sys/ that is; numbered: it has a character device. What is made stays the caller's
 * also on failure.
 */
int vfio_dev_nodes_make(struct machine *machine, struct node *above, bool numbered, struct vfio_dev_nodes *nodes,
			struct why *why);
void vfio_dev_nodes_remove(struct vfio_dev_nodes *nodes); /* legal on zeroed ones */

void vfio_dev_nodes_publish(struct machine *machine, struct vfio_dev_nodes *nodes, unsigned index);
void vfio_dev_nodes_withdraw(struct machine *machine, struct vfio_dev_nodes *nodes);

#endif
