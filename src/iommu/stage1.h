/* SPDX-License-Identifier: MIT */
/*
 * What a port knows of a nested domain's user tables, and the walk through both stages. All inside the gate of the
 * port, or while it is stopped.
 */
#ifndef IOMMU_STAGE1_H
#define IOMMU_STAGE1_H

#include "iommu/nested.h"
#include "iommu/port.h"

/* As found for one PASID. */
struct stage1 {
	struct stage1_setup setup;
	struct isolde_pt *pt[2]; /* owned: adopted ones; NULL: not there */
};

/* What stage1_reader.find() reads through. */
struct stage1_reader {
	struct dma_context *context;
	int reason; /* why nothing was read: a dma_fault_reason plus one */
};

/*
 * The context of a PASID that only the user's own table knows, below the nested domain of requests without; made at the
 * first request. NULL: the user has no such table, or there is no memory.
 */
struct dma_context *stage1_guest(struct dma_port *port, u32 pasid);

/* Through the user's tables and the parent's. 0 and *slot filled, or a dma_fault_reason plus one. */
int stage1_walk(struct dma_context *context, u64 iova, unsigned permission, struct tlb_entry *slot);

/* Nothing that was found for a context, or for one PASID below it (ANY_PASID: for all), is used any more. */
void stage1_forget(struct dma_context *context);
void stage1_forget_pasid(struct dma_context *context, u32 pasid);

/* The user's tables of PASIDs: nested_setup.find */
int smmu_find_context(const struct nested_setup *setup, struct stage1_reader *reader, u32 pasid,
		      struct stage1_setup *ret);
int amd_find_context(const struct nested_setup *setup, struct stage1_reader *reader, u32 pasid,
		     struct stage1_setup *ret);

#endif
