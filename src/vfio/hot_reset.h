/* SPDX-License-Identifier: MIT */
/*
 * What the reset of a bus hits, and who may do that: between hot_reset.c, which looks and does, and
 * hot_reset_proof.c, which decides. docs/hot-reset.md has the rules.
 */
#ifndef VFIO_HOT_RESET_H
#define VFIO_HOT_RESET_H

#include "isolde/abi/vfio.h"
#include "vfio/device.h"

/* One function that is hit. */
struct affected {
	const struct pci_function *function;
	const struct iommu_device *iommu; /* NULL: it has no group */
	struct vfio_device *device;	  /* of those that are reset together; NULL: nobody can own its reset */
};

struct affected_set {
	struct vfio_device *asker; /* borrowed */
	struct affected *at;	   /* owned; by address */
	unsigned count;
};

/* HOT_RESET_IMPOSSIBLE (ENODEV), OUT_OF_MEMORY. */
int affected_init(struct affected_set *set, struct vfio_device *asker, struct why *why);
void affected_fini(struct affected_set *set); /* legal on a zeroed one */

/*
 * What a device's owner in an iommufd is told of another: its id there; 0, it is ours by its group; -1, it is not.
 * Linux: drivers/vfio/iommufd.c:vfio_iommufd_get_dev_id().
 */
s32 affected_id(const struct affected *affected, const struct context *context);

/*
 * May that client reset them all? The descriptors are at `address` in its memory. FD_BAD, HOT_RESET_NOT_GROUP,
 * HOT_RESET_ARGUMENT; HOT_RESET_NOT_VFIO and HOT_RESET_NOT_OWNED (EINVAL) name every function that is not proven, and
 * who has it.
 */
int hot_reset_decode_proof(const struct affected_set *set, const struct vfio_pci_hot_reset *reset,
			   struct client *client, u64 address, struct why *why);

#endif
