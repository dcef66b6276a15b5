/* SPDX-License-Identifier: MIT */
/* The inside of a bus-master port, for the core alone: models see iommu/dma.h. */
#ifndef IOMMU_PORT_H
#define IOMMU_PORT_H

#include "iommu/dma.h"
#include "iommu/domain.h"

int dma_port_new(struct iommu *iommu, const struct pci_function *function, struct domain *domain, struct dma_port **ret,
		 struct why *why);
void dma_port_free(struct dma_port *port); /* NULL is legal */

/* What the function's DMA means from now on; nothing cached survives. Under iommu->dma for writing. */
void dma_port_set_domain(struct dma_port *port, struct domain *domain);
struct domain *dma_port_domain(const struct dma_port *port);

/* Writes the sentence; size is what the device wanted from fault->iova on. Under iommu->dma. */
void dma_fault_describe(struct dma_fault *fault, const struct domain *domain, u64 size);

#endif
