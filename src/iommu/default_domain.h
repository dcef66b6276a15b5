/* SPDX-License-Identifier: MIT */
/*
 * The default domain of a group: what its members are attached to while kernel drivers have them, or nobody (spec 01
 * sections 9 and 10). A driver of the IOMMU may insist on one type for a device; else it is DMA with a flush queue, as
 * Debian's kernels choose (CONFIG_IOMMU_DEFAULT_DMA_LAZY), or what root writes to sysfs `type`.
 */
#ifndef IOMMU_DEFAULT_DOMAIN_H
#define IOMMU_DEFAULT_DOMAIN_H

#include "iommu/domain.h"

/*
 * Another type. In Linux's order: GROUP_TYPE_UNSETTLED (EINVAL): no default domain yet; DMA becomes DMA-FQ at once, no
 * matter who uses the group; GROUP_TYPE_IN_USE (EPERM) names who is counted; GROUP_TYPE_UNSUPPORTED (EINVAL) the member
 * whose IOMMU insists on another; OUT_OF_MEMORY; GROUP_RECOVERING (EBUSY); what attach says. A private domain that
 * nobody is counted for is replaced too.
 */
int iommu_group_set_type(struct iommu_group *group, enum group_type type, struct why *why);
int iommu_group_settled(const struct iommu_group *group, struct why *why); /* 0 or GROUP_TYPE_UNSETTLED */

const char *group_type_name(enum group_type type);

/* The group lets go of a domain that it holds as default or blocking; NULL is legal. */
void drop_core_domain(struct domain *domain);

#endif
