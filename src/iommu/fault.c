/* SPDX-License-Identifier: MIT */
/* What a refused access looks like to a human: who, what, where, why not, and what it probably meant. */
#include <stdio.h>

#include "iommu/port.h"

/* "qemu-io (pid 1234)", whose memory is behind iova. */
static const char *client_behind(const struct domain *domain, u64 iova, char text[static CLIENT_DESCRIPTION])
{
	const struct area *area = domain_area_at(domain, iova);

	if (area && !area->extent->client)
		return "the file";
	return area ? client_describe(area->extent->client, text) : "the program";
}

/* What the user's own table says is not known here; what is below it is. */
static void describe_nested(const struct dma_fault *fault, const struct domain *domain, char *text, size_t size)
{
	static const char *const reasons[] = {
		[DMA_FAULT_BLOCKED] = "the user's table of PASIDs blocks it",
		[DMA_FAULT_NOT_PRESENT] = "not mapped in the user's page table",
		[DMA_FAULT_PERMISSION] = "the user's page table forbids it",
		[DMA_FAULT_ADDRESS] = "beyond what the user's page table can translate",
		[DMA_FAULT_MEMORY] = "mapped, but the memory of a page or of a table is no longer there",
		[DMA_FAULT_TABLE] = "an entry of the user's page table is invalid",
		[DMA_FAULT_REGISTERS] = "the user's page table leads to an interrupt controller's page",
		[DMA_FAULT_CONTEXT] = "the user's table of PASIDs has no valid entry for it",
	};
	char nearest[120], below[DOMAIN_TEXT];

	if (fault->reason != DMA_FAULT_SECOND_STAGE) {
		snprintf(text, size, "%s", reasons[fault->reason]);
		return;
	}
	space_describe_nearest(domain->parent->space, fault->second, nearest, sizeof(nearest));
	snprintf(text, size, "the user's table leads to 0x%llx, which %s does not allow; %s",
		 (unsigned long long)fault->second, domain_describe(domain->parent, below), nearest);
}

static void describe_reason(const struct dma_fault *fault, const struct domain *domain, char *text, size_t size)
{
	char nearest[120], who[CLIENT_DESCRIPTION];

	if (!domain && fault->function->untranslated) {
		snprintf(text, size,
			 "it is behind no IOMMU, so this is a physical address, where no program's memory is");
		return;
	}
	if (!domain) {
		snprintf(text, size, "%s",
			 fault->pasid ? "that PASID is attached to no domain" : "all its DMA is blocked");
		return;
	}
	if (domain->kind == DOMAIN_NESTED) {
		describe_nested(fault, domain, text, size);
		return;
	}
	space_describe_nearest(domain->space, fault->iova, nearest, sizeof(nearest));
	switch (fault->reason) {
	case DMA_FAULT_BLOCKED:
		snprintf(text, size, "its group is attached to no domain, so all DMA is blocked");
		break;
	case DMA_FAULT_NOT_PRESENT:
		snprintf(text, size, "not mapped; %s", nearest);
		break;
	case DMA_FAULT_PERMISSION:
		snprintf(text, size, "the mapping forbids it; %s", nearest);
		break;
	case DMA_FAULT_ADDRESS:
		snprintf(text, size, "beyond 0x%llx, the last IOVA of the IOMMU; %s",
			 (unsigned long long)domain->last_iova, nearest);
		break;
	case DMA_FAULT_MEMORY:
		snprintf(text, size, "mapped, but %s no longer has that memory; %s",
			 client_behind(domain, fault->iova, who), nearest);
		break;
	case DMA_FAULT_REGISTERS:
		snprintf(text, size,
			 "an interrupt controller's page is mapped there, which takes messages and no data");
		break;
	case DMA_FAULT_TABLE:
		snprintf(text, size, "an entry of the page table has a reserved bit set; %s", nearest);
		break;
	case DMA_FAULT_CONTEXT:
	case DMA_FAULT_SECOND_STAGE:
		assert(!"a fault of nested domains only");
	}
}

void dma_fault_describe(struct dma_fault *fault, const struct domain *domain, u64 size)
{
	char bdf[PCI_ADDR_TEXT], reason[200], pasid[24] = "";

	describe_reason(fault, domain, reason, sizeof(reason));
	if (fault->pasid)
		snprintf(pasid, sizeof(pasid), " with PASID %u", fault->pasid);
	snprintf(fault->text, sizeof(fault->text), "%s%s may not %s 0x%llx bytes at IOVA 0x%llx: %s",
		 pci_addr_print(fault->function->addr, bdf), pasid, fault->direction == DMA_READ ? "read" : "write",
		 (unsigned long long)size, (unsigned long long)fault->iova, reason);
}
