/* SPDX-License-Identifier: MIT */
/* Shared virtual addressing: a device uses a process's own addresses, under the one PASID that process has. */
#ifndef IOMMU_SVA_H
#define IOMMU_SVA_H

#include "iommu/pasid.h"

struct sva_bond; /* one group and one process; counted */

/*
 * DEVICE_NO_IOMMU (ENODEV); SVA_PASID_LIMIT (EOVERFLOW): the process has a PASID that this device cannot use;
 * PASID_NONE_FREE (ENOSPC); PASID_TAKEN (EBUSY): that PASID of the group means something else; SVA_UNSUPPORTED
 * (EOPNOTSUPP); what attach says. Bound already: counted. Linux: iommu_sva_bind_device().
 */
int iommu_sva_bind(struct iommu_device *device, struct client *client, struct sva_bond **ret, struct why *why);
bool iommu_sva_unbind(struct sva_bond *bond); /* true: it was the last, the bond is gone */
u32 iommu_sva_pasid(const struct sva_bond *bond);

/* The process is gone, and its bonds with it: its PASID is free again. */
void iommu_sva_forget(struct iommu *iommu, const struct client *client);

#endif
