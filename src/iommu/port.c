/* SPDX-License-Identifier: MIT */
/* A device's way through the IOMMU: what each of its PASIDs means, and the IOTLB, which holds results of walks. */
#include "iommu/port.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "iommu/stage1.h"

int dma_port_new(struct iommu *iommu, const struct pci_function *function, struct dma_port **ret, struct why *why)
{
	struct dma_port *port = alloc_new(struct dma_port, why);

	if (!port)
		return -why->err;
	gate_init(&port->gate, RANK_DMA);
	port->iommu = iommu;
	port->function = function;
	port->own.port = port;
	list_init(&port->contexts);
	list_init(&port->guests);
	*ret = port;
	return 0;
}

void dma_port_free(struct dma_port *port)
{
	if (!port)
		return;
	assert(list_empty(&port->contexts) && !port->own.domain);
	gate_fini(&port->gate);
	free(port);
}

/* ---- stopping ---- */

void dma_stop_group(const struct iommu_group *group)
{
	const struct iommu_device *device;

	list_for_each(device, &group->devices, group_link)
		if (device->port)
			gate_stop(&device->port->gate);
}

void dma_start_group(const struct iommu_group *group)
{
	const struct iommu_device *device;

	list_for_each(device, &group->devices, group_link)
		if (device->port)
			gate_start(&device->port->gate);
}

static void stop_contexts(const struct domain *domain)
{
	const struct dma_context *context;

	list_for_each(context, &domain->contexts, of_domain)
		gate_stop(&context->port->gate);
}

static void start_contexts(const struct domain *domain)
{
	const struct dma_context *context;

	list_for_each(context, &domain->contexts, of_domain)
		gate_start(&context->port->gate);
}

void domain_stop(const struct domain *domain)
{
	const struct domain *nested;

	stop_contexts(domain);
	list_for_each(nested, &domain->children, of_parent)
		stop_contexts(nested);
}

void domain_start(const struct domain *domain)
{
	const struct domain *nested;

	list_for_each(nested, &domain->children, of_parent)
		start_contexts(nested);
	start_contexts(domain);
}

void dma_stop_identities(const struct iommu *iommu)
{
	const struct domain *identity;

	list_for_each(identity, &iommu->identities, of_iommu)
		domain_stop(identity);
}

void dma_start_identities(const struct iommu *iommu)
{
	const struct domain *identity;

	list_for_each(identity, &iommu->identities, of_iommu)
		domain_start(identity);
}

/* ---- contexts ---- */

struct dma_context *dma_port_context(struct dma_port *port, u32 pasid)
{
	struct dma_context *context;

	if (!pasid)
		return &port->own;
	list_for_each(context, &port->contexts, of_port)
		if (context->pasid == pasid)
			return context;
	return NULL;
}

static void forget(struct dma_port *port, const struct dma_context *context)
{
	bool others = false;

	for (unsigned i = 0; i < TLB_ENTRIES && port->cached; i++) {
		if (port->tlb[i].context == context)
			port->tlb[i].context = NULL;
		others |= port->tlb[i].context != NULL;
	}
	port->cached = others;
	dma_count(&port->invalidations, 1);
}

static void context_set_domain(struct dma_context *context, struct domain *domain)
{
	gate_stop(&context->port->gate);
	list_remove(&context->of_domain);
	if (context->domain && context->domain->kind == DOMAIN_NESTED) {
		dma_forget_range(context, ANY_PASID, ANY_ASID, 0, UINT64_MAX);
		stage1_forget(context);
	}
	context->domain = domain;
	if (domain)
		list_append(&domain->contexts, &context->of_domain);
	forget(context->port, context);
	gate_start(&context->port->gate);
}

void dma_port_set_domain(struct dma_port *port, struct domain *domain)
{
	context_set_domain(&port->own, domain);
}

struct domain *dma_port_domain(const struct dma_port *port)
{
	return port->own.domain;
}

int dma_port_add_pasid(struct dma_port *port, u32 pasid, struct why *why)
{
	struct dma_context *context = alloc_new(struct dma_context, why), *after;

	if (!context)
		return -why->err;
	*context = (struct dma_context){.port = port, .pasid = pasid};
	gate_stop(&port->gate);
	list_for_each(after, &port->contexts, of_port)
		if (after->pasid > pasid)
			break;
	list_insert_between(&context->of_port, after->of_port.previous, &after->of_port);
	gate_start(&port->gate);
	return 0;
}

void dma_port_set_pasid(struct dma_port *port, u32 pasid, struct domain *domain)
{
	context_set_domain(dma_port_context(port, pasid), domain);
}

void dma_port_drop_pasid(struct dma_port *port, u32 pasid)
{
	struct dma_context *context = dma_port_context(port, pasid);

	if (!context)
		return;
	gate_stop(&port->gate);
	context_set_domain(context, NULL);
	list_remove(&context->of_port);
	gate_start(&port->gate);
	free(context);
}

struct domain *dma_port_pasid_domain(const struct dma_port *port, u32 pasid)
{
	const struct dma_context *context = dma_port_context((struct dma_port *)(uintptr_t)port, pasid);

	return context ? context->domain : NULL;
}

struct dma_counters dma_port_counters(const struct dma_port *port)
{
	return (struct dma_counters){
		.bytes_read = atomic_load_explicit(&port->bytes_read, memory_order_relaxed),
		.bytes_written = atomic_load_explicit(&port->bytes_written, memory_order_relaxed),
		.iotlb_hits = atomic_load_explicit(&port->iotlb_hits, memory_order_relaxed),
		.walks = atomic_load_explicit(&port->walks, memory_order_relaxed),
		.invalidations = atomic_load_explicit(&port->invalidations, memory_order_relaxed),
		.faults = atomic_load_explicit(&port->faults, memory_order_relaxed),
	};
}

/* ---- the IOTLB ---- */

static struct tlb_entry *tlb_slot(const struct dma_context *context, u64 iova)
{
	return &context->port->tlb[((iova >> PAGE_SHIFT) + context->pasid * 67u) % TLB_ENTRIES];
}

static void invalidate_slot(const struct dma_context *context, struct tlb_entry *slot, u64 start, u64 last)
{
	if (slot->context == context && slot->start <= last && slot->last >= start)
		slot->context = NULL;
}

/* What is unmapped are whole leaves, and a leaf is kept in the slots of its own pages only. */
static void invalidate_range(const struct dma_context *context, u64 start, u64 last)
{
	dma_count(&context->port->invalidations, 1);
	if ((last - start) >> PAGE_SHIFT < TLB_ENTRIES) {
		for (u64 pages = (last - start) >> PAGE_SHIFT, i = 0; i <= pages; i++)
			invalidate_slot(context, tlb_slot(context, start + (i << PAGE_SHIFT)), start, last);
		return;
	}
	for (unsigned i = 0; i < TLB_ENTRIES; i++)
		invalidate_slot(context, &context->port->tlb[i], start, last);
}

void dma_invalidate(struct domain *domain, u64 start, u64 last)
{
	const struct dma_context *context;
	const struct domain *nested;

	list_for_each(context, &domain->contexts, of_domain)
		invalidate_range(context, start, last);
	/* Which of their addresses lead there is not known; hardware forgets them all, too. */
	list_for_each(nested, &domain->children, of_parent)
		list_for_each(context, &nested->contexts, of_domain)
			dma_forget_range(context, ANY_PASID, ANY_ASID, 0, UINT64_MAX);
}

static bool is_of(const struct tlb_entry *entry, const struct dma_context *context, u32 pasid, u32 asid)
{
	const struct dma_context *its = entry->context;

	if (its != context && !(its && its->guest && context == &context->port->own))
		return false;
	return (pasid == ANY_PASID || pasid == its->pasid) &&
	       (asid == ANY_ASID || (its->stage1 && asid == its->stage1->setup.asid));
}

/* All slots: the user names any address of a leaf, and may mean it whole. */
void dma_forget_range(const struct dma_context *context, u32 pasid, u32 asid, u64 start, u64 last)
{
	struct dma_port *port = context->port;

	for (unsigned i = 0; i < TLB_ENTRIES && port->cached; i++) {
		struct tlb_entry *slot = &port->tlb[i];

		if (is_of(slot, context, pasid, asid) && slot->start <= last && slot->last >= start)
			slot->context = NULL;
	}
	dma_count(&port->invalidations, 1);
}

/* ---- walks ---- */

int dma_reason(enum isolde_pt_fault fault)
{
	static const int reasons[] = {
		[ISOLDE_PT_NOT_PRESENT] = DMA_FAULT_NOT_PRESENT + 1,
		[ISOLDE_PT_PERMISSION] = DMA_FAULT_PERMISSION + 1,
		[ISOLDE_PT_ADDRESS] = DMA_FAULT_ADDRESS + 1,
		[ISOLDE_PT_RESERVED] = DMA_FAULT_TABLE + 1,
		[ISOLDE_PT_ACCESS_FLAG] = DMA_FAULT_PERMISSION + 1,
		[ISOLDE_PT_OUTPUT] = DMA_FAULT_TABLE + 1,
		[ISOLDE_PT_TABLE] = DMA_FAULT_TABLE + 1,
	};

	return reasons[fault];
}

int dma_fill_slot(struct dma_context *context, u64 iova, const struct isolde_pt_walk *found, const struct area *area,
		  struct tlb_entry *slot)
{
	if (!area)
		return DMA_FAULT_REGISTERS + 1;
	if (found->physical - area_physical(area) >= area_size(area))
		return DMA_FAULT_TABLE + 1;
	context->port->cached = true;
	*slot = (struct tlb_entry){
		.context = context,
		.start = align_down(iova, found->leaf_size),
		.last = iova | (found->leaf_size - 1),
		.physical = align_down(found->physical, found->leaf_size),
		.extent = area->extent,
		.generation = context->domain->generation,
		.permission = found->permission,
	};
	return 0;
}

static int walk_table(struct dma_context *context, u64 iova, unsigned permission, struct tlb_entry *slot)
{
	const struct domain *domain = context->domain;
	struct isolde_pt_walk found;
	enum isolde_pt_fault fault;

	dma_count(&context->port->walks, 1);
	fault = isolde_pt_walk(domain->pt, iova, permission, &found);
	if (fault != ISOLDE_PT_OK)
		return dma_reason(fault);
	/* The first write has to walk, which marks the leaf as dirty. */
	if (domain->tracks_dirty)
		found.permission &= permission | ~(unsigned)ISOLDE_PT_WRITE;
	/* Not by the tree of all frames: other domains change that without stopping us. */
	return dma_fill_slot(context, iova, &found, domain_area_at(domain, iova), slot);
}

/* The device's addresses are physical: of frames that somebody has mapped somewhere, for as long as that lasts. */
static int walk_identity(struct dma_context *context, u64 iova, struct tlb_entry *slot)
{
	struct extent *extent = frames_find(&context->domain->iommu->frames, iova);

	if (!extent)
		return DMA_FAULT_NOT_PRESENT + 1;
	*slot = (struct tlb_entry){
		.start = extent->node.start,
		.last = extent->node.last,
		.physical = extent->node.start,
		.extent = extent,
	};
	return 0;
}

static int walk_process(struct dma_context *context, struct tlb_entry *slot)
{
	struct extent *process = context->domain->process;

	*slot = (struct tlb_entry){.last = process->node.last, .extent = process};
	return 0;
}

int dma_translate(struct dma_context *context, u64 iova, unsigned permission, const struct tlb_entry **ret)
{
	struct tlb_entry *slot = tlb_slot(context, iova);
	const struct domain *domain = context->domain;

	*ret = slot;
	if (slot->context == context && iova >= slot->start && iova <= slot->last &&
	    slot->generation == domain->generation && (slot->permission & permission) == permission) {
		dma_count(&context->port->iotlb_hits, 1);
		return 0;
	}
	if (!domain || domain->kind == DOMAIN_BLOCKING)
		return DMA_FAULT_BLOCKED + 1;
	if (iova < domain->first_iova || iova > domain->last_iova)
		return DMA_FAULT_ADDRESS + 1;
	if (domain->kind == DOMAIN_PAGING)
		return walk_table(context, iova, permission, slot);
	if (domain->nested && !domain->nested->uncached)
		return stage1_walk(context, iova, permission, slot);
	*ret = &context->port->uncached;
	if (domain->kind == DOMAIN_NESTED)
		return domain->nested ? stage1_walk(context, iova, permission, &context->port->uncached)
				      : DMA_FAULT_BLOCKED + 1;
	return domain->kind == DOMAIN_IDENTITY ? walk_identity(context, iova, &context->port->uncached)
					       : walk_process(context, &context->port->uncached);
}
