/* SPDX-License-Identifier: MIT */
/*
 * Domains: what a device's IOVAs mean. A paging domain has a real table in memory and the areas that were mapped, each
 * backed by an extent of frames. A blocking domain translates nothing.
 */
#ifndef IOMMU_DOMAIN_H
#define IOMMU_DOMAIN_H

#include "iommu/iommu.h"

enum domain_kind { DOMAIN_PAGING, DOMAIN_BLOCKING };

/* One successful map call; unmapped whole. */
struct area {
	struct itree_node node; /* IOVA start, last */
	struct extent *extent;	/* owned */
	unsigned permission;	/* ISOLDE_PT_READ | ISOLDE_PT_WRITE */
};

struct domain {
	enum domain_kind kind;
	struct iommu *iommu;  /* borrowed */
	struct isolde_pt *pt; /* owned; NULL when blocking */
	u64 last_iova;	      /* what both the format and the unit can translate */
	struct itree areas;   /* under iommu->dma, like the table */
	u64 generation;	      /* counts invalidations; IOTLBs compare it. Under iommu->dma */
	unsigned users;	      /* groups attached or holding it as default or blocking; under machine.lock */
};

int domain_new(struct iommu *iommu, const struct iommu_unit *unit, enum domain_kind kind, struct domain **ret,
	       struct why *why);
struct domain *domain_free(struct domain *domain); /* unmaps all; asserts no users; NULL is legal; returns NULL */

/*
 * Maps [iova, iova + size) to the client's memory at address. The caller has checked alignment, overlap with areas,
 * reserved regions and the client's range. Allocates frames and table; charges `charged` bytes to the client.
 * IOVA_BEYOND_TABLE (EINVAL), IOVA_MAPPED (EEXIST), MEMLOCK_EXCEEDED, OUT_OF_MEMORY; on failure nothing changed.
 */
int domain_map(struct domain *domain, u64 iova, u64 size, struct client *client, u64 address, unsigned permission,
	       u64 charged, struct area **ret, struct why *why);

/* Removes one area: table entries, IOTLB, frames and charge. No DMA reaches it any more when this returns. */
void domain_unmap(struct domain *domain, struct area *area);

/* The area holding iova, or NULL. Needs machine.lock or iommu->dma for reading. */
struct area *domain_area_at(const struct domain *domain, u64 iova);

/* "the nearest mapping is [0x10000, 0x10fff] (read-write), 0x2000 above" or "nothing is mapped"; under iommu->dma. */
void domain_describe_nearest(const struct domain *domain, u64 iova, char *text, size_t size);

void domain_check(const struct domain *domain); /* areas, table and frames agree; for machine_check() */

#endif
