/* SPDX-License-Identifier: MIT */
/*
 * Domains: what a device's IOVAs mean.
 *
 *	paging		a real table in memory and the areas that were mapped, each backed by an extent of frames
 *	blocking	translates nothing
 *	identity	an IOVA is the physical address of a frame
 *	SVA		an IOVA is a virtual address of a client
 *	nested		the user's own table, whose output is an IOVA of a parent domain
 */
#ifndef IOMMU_DOMAIN_H
#define IOMMU_DOMAIN_H

#include "iommu/iommu.h"

enum domain_kind {
	DOMAIN_ANY, /* in questions; no domain is */
	DOMAIN_PAGING,
	DOMAIN_BLOCKING,
	DOMAIN_IDENTITY,
	DOMAIN_SVA,
	DOMAIN_NESTED,
};

/* One successful map call; unmapped whole. */
struct area {
	struct itree_node node; /* IOVA start, last */
	struct extent *extent;	/* owned */
	unsigned permission;	/* ISOLDE_PT_READ | ISOLDE_PT_WRITE */
};

#define DOMAIN_NAME 64

struct domain {
	enum domain_kind kind;
	char name[DOMAIN_NAME];		   /* "IOAS 3 of qemu (pid 1234)", for refusals; may be empty */
	struct iommu *iommu;		   /* borrowed */
	const struct iommu_driver *driver; /* borrowed: whose devices can have it */
	struct isolde_pt *pt;		   /* owned; NULL unless paging */
	u64 last_iova;			   /* what both the format and the unit can translate */
	bool pasid_compatible;		   /* may be used beside PASIDs, and for one */
	bool flush_queue;		   /* of a default one: IOTLBs are flushed later, for many unmaps at once */
	struct itree areas;		   /* while stopped (iommu/port.h), like the table */
	struct extent *space;		   /* owned: all of the client's addresses; NULL unless SVA */
	struct domain *parent;		   /* of a nested one: counted among its users */
	enum isolde_pt_format format;	   /* of the table, the user's when nested */
	u64 generation;			   /* counts full invalidations; IOTLBs compare it. While stopped */
	struct list contexts;		   /* struct dma_context: whose DMA it translates; under machine.lock */
	struct list_link of_iommu;	   /* iommu->identities */
	unsigned users; /* groups attached or holding it as default or blocking; under machine.lock */

	/*
	 * Told of each fault that nobody recovers from, on the device's thread, inside its gate: it
	 * may neither wait nor call the core. NULL: nobody asked (report_iommu_fault() would say ENOSYS).
	 */
	void (*fault)(void *context, const struct dma_fault *fault);
	void *fault_context;
};

/* kind is paging, blocking or identity. */
int domain_new(struct iommu *iommu, const struct iommu_unit *unit, enum domain_kind kind, struct domain **ret,
	       struct why *why);
/* IOVAs are addresses of the client. SVA_UNSUPPORTED (EOPNOTSUPP): the unit cannot, or has no PASIDs. */
int domain_new_sva(struct iommu *iommu, const struct iommu_unit *unit, struct client *client, struct domain **ret,
		   struct why *why);
struct domain *domain_free(struct domain *domain); /* unmaps all; asserts no users; NULL is legal; returns NULL */

/* "IOAS 3 of qemu (pid 1234), 12 mappings"; returns text. */
#define DOMAIN_TEXT 128
const char *domain_describe(const struct domain *domain, char text[static DOMAIN_TEXT]);
const char *domain_kind_name(enum domain_kind kind);

/*
 * Maps [iova, iova + size) to the client's memory at address. The caller has checked alignment, overlap with areas,
 * reserved regions and the client's range. Allocates frames and table; charges `charged` bytes to the client.
 * IOVA_BEYOND_TABLE (EINVAL), IOVA_MAPPED (EEXIST), MEMLOCK_EXCEEDED, OUT_OF_MEMORY; on failure nothing changed.
 */
int domain_map(struct domain *domain, u64 iova, u64 size, struct client *client, u64 address, unsigned permission,
	       u64 charged, struct area **ret, struct why *why);

/* Removes one area: table entries, its range of every IOTLB, frames and charge. No DMA reaches it any more then. */
void domain_unmap(struct domain *domain, struct area *area);

/* Forgets all that IOTLBs hold of the domain. */
void domain_flush(struct domain *domain);

/*
 * DMA of all devices that can see the domain's mappings stops until it is started again. Nests; nothing may be attached
 * or detached in between.
 */
void domain_stop(const struct domain *domain);
void domain_start(const struct domain *domain);

/* The area holding iova, or NULL. Needs machine.lock or the gate of a port that it translates for. */
struct area *domain_area_at(const struct domain *domain, u64 iova);

/* "the nearest mapping is [0x10000, 0x10fff] (read-write), 0x2000 above" or "nothing is mapped"; as above. */
void domain_describe_nearest(const struct domain *domain, u64 iova, char *text, size_t size);

void domain_check(const struct domain *domain); /* areas, table and frames agree; for machine_check() */

#endif
