/* SPDX-License-Identifier: MIT */
/* The inside of a bus-master port, for the core alone: models see iommu/dma.h. */
#ifndef IOMMU_PORT_H
#define IOMMU_PORT_H

#include <stdatomic.h>

#include "base/lock.h"
#include "iommu/dma.h"
#include "iommu/dma_log.h"
#include "iommu/domain.h"

/* What a port's requests with one PASID mean; pasid 0 is those without. */
struct dma_context {
	struct dma_port *port; /* borrowed */
	u32 pasid;
	struct domain *domain;	    /* borrowed; NULL: blocked, as by a domain that translates nothing */
	struct list_link of_domain; /* domain->contexts */
	struct list_link of_port;   /* port->contexts, or guests; not the one without PASID */
	struct stage1 *stage1;	    /* owned: of a nested domain, found in the user's tables; NULL: not looked yet */
	bool guest;		    /* of a PASID that the user's own table knows, below the domain of those without */
};

enum { TLB_ENTRIES = 256 };

struct tlb_entry {
	const struct dma_context *context; /* NULL: empty */
	u64 start, last;		   /* IOVAs of the leaf */
	struct extent *extent;		   /* borrowed; valid while generation is the domain's */
	u64 physical;			   /* of start */
	u64 generation;
	unsigned permission;
};

/* All under gate, except that the control side may look at what only it changes: contexts and their domains. */
struct dma_port {
	struct gate gate;
	struct iommu *iommu;		     /* borrowed */
	const struct pci_function *function; /* borrowed; NULL: it is no PCI device, and no model uses the port */
	struct dma_context own;		     /* requests without PASID */
	struct list_link of_iommu;	     /* iommu->untranslated, of a function that no unit covers */
	struct list contexts;		     /* struct dma_context, owned: with PASIDs, ascending */
	struct list guests;		     /* struct dma_context, owned: iommu/stage1.c */
	unsigned nguests;
	struct dma_log *log; /* borrowed; where writes are noted: iommu/dma_log.h; NULL: nowhere */
	u64 second;	     /* what stage 2 was asked for, of the last DMA_FAULT_SECOND_STAGE */
	_Atomic u64 bytes_read, bytes_written, iotlb_hits, walks, invalidations, faults;
	bool cached;		   /* the IOTLB may hold something */
	struct tlb_entry uncached; /* a translation that may not be kept */
	struct tlb_entry tlb[TLB_ENTRIES];
};

/* The context of a PASID; NULL: the device has none. */
struct dma_context *dma_port_context(struct dma_port *port, u32 pasid);

/*
 * Where iova is, from the IOTLB or by a walk; inside the gate. 0, or the
 * dma_fault_reason plus one.
 */
int dma_translate(struct dma_context *context, u64 iova, unsigned permission, const struct tlb_entry **ret);

static inline void dma_count(_Atomic u64 *counter, u64 amount)
{
	u64 before = atomic_load_explicit(counter, memory_order_relaxed);

	/* One thread at a time counts, any may look. */
	atomic_store_explicit(counter, before + amount, memory_order_relaxed);
}

int dma_port_new(struct iommu *iommu, const struct pci_function *function, struct dma_port **ret, struct why *why);
void dma_port_free(struct dma_port *port); /* NULL is legal */

/*
 * All DMA of a group's members stops until it is started again, so that they change together. Nests; no member may come
 * or go in between.
 */
void dma_stop_group(const struct iommu_group *group);
void dma_start_group(const struct iommu_group *group);

/* All DMA with physical addresses stops until it is started again. */
void dma_stop_identities(const struct iommu *iommu);
void dma_start_identities(const struct iommu *iommu);

/* What the function's DMA means from now on; nothing cached survives. NULL: nothing. */
void dma_port_set_domain(struct dma_port *port, struct domain *domain);
struct domain *dma_port_domain(const struct dma_port *port);

/*
 * The same for requests with a PASID. Making room for one can fail (OUT_OF_MEMORY), setting and dropping cannot.
 */
int dma_port_add_pasid(struct dma_port *port, u32 pasid, struct why *why);
void dma_port_set_pasid(struct dma_port *port, u32 pasid, struct domain *domain);
void dma_port_drop_pasid(struct dma_port *port, u32 pasid); /* not there: nothing happens */
struct domain *dma_port_pasid_domain(const struct dma_port *port, u32 pasid);

/* IOVAs [start, last] of the domain mean something else now, and all of nested ones on top; it was stopped. */
void dma_invalidate(struct domain *domain, u64 start, u64 last);
/*
 * Of a nested domain's context, translations that overlap [start, last], with that PASID and ASID (iommu/nested.h); of
 * the one without PASID also those of guests. While stopped.
 */
void dma_forget_range(const struct dma_context *context, u32 pasid, u32 asid, u64 start, u64 last);

/* For walks: a reason plus one; what was found becomes an entry, if it is in the area. */
int dma_reason(enum isolde_pt_fault fault);
int dma_fill_slot(struct dma_context *context, u64 iova, const struct isolde_pt_walk *found, const struct area *area,
		  struct tlb_entry *slot);

/* Writes the sentence; size is what the device wanted from fault->iova on. Inside the gate. */
void dma_fault_describe(struct dma_fault *fault, const struct domain *domain, u64 size);

#endif
