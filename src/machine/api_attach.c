/* SPDX-License-Identifier: MIT */
/* include/isolde/iommu.h: domains and what is attached to them. */
#include "iommu/attachment.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommu/dma.h"
#include "iommu/port.h"
#include "machine/api.h"

/* ---- domains ---- */

int isolde_domain_new(struct isolde_device *device, const char *name, struct isolde_domain **ret,
		      struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct isolde_domain *domain = alloc_new(struct isolde_domain, &why);
	struct iommu_device *core;
	int err = domain ? 0 : -why.err;

	api_begin(device->machine);
	if (err == 0)
		err = api_core(device, &core, &why);
	if (err == 0 && !core->unit)
		err = refuse(&why, DEVICE_NO_IOMMU, "%s is behind no IOMMU", core->name);
	if (err == 0)
		err = domain_new(core->group->iommu, core->unit, DOMAIN_PAGING, &domain->core, &why);
	if (err == 0) {
		domain->machine = device->machine;
		snprintf(domain->core->name, sizeof(domain->core->name), "%s", name ? name : "");
		*ret = domain;
	} else {
		free(domain);
	}
	return api_end(device->machine, "domain_new", &why, err, reason);
}

int isolde_domain_free(struct isolde_domain *domain, struct isolde_why *reason)
{
	struct isolde_machine *machine;
	struct why why = WHY_INIT;
	char text[DOMAIN_TEXT];
	int err = 0;

	if (!domain)
		return 0;
	machine = domain->machine;
	api_begin(machine);
	if (domain->core->users)
		err = refuse(&why, DOMAIN_BUSY, "%s is attached to %u groups or PASIDs",
			     domain_describe(domain->core, text), domain->core->users);
	if (err == 0) {
		domain_free(domain->core);
		free(domain);
	}
	return api_end(machine, "domain_free", &why, err, reason);
}

static int check_map(const struct domain *domain, u64 iova, u64 address, u64 size, unsigned flags, struct why *why)
{
	const struct itree_node *taken;

	if (!size || !is_aligned(iova | address | size, PAGE_SIZE))
		return refuse(why, MAP_INVALID, "0x%llx bytes from 0x%llx at IOVA 0x%llx are not whole pages",
			      (unsigned long long)size, (unsigned long long)address, (unsigned long long)iova);
	if (!flags || flags & ~(unsigned)(ISOLDE_MAP_READ | ISOLDE_MAP_WRITE))
		return refuse(why, MAP_INVALID, "flags %#x ask for nothing that can be mapped", flags);
	if (range_overflows(iova, size) || iova + size - 1 > domain->last_iova)
		return refuse(why, MAP_BEYOND, "0x%llx bytes at IOVA 0x%llx end beyond 0x%llx, the last of the domain",
			      (unsigned long long)size, (unsigned long long)iova,
			      (unsigned long long)domain->last_iova);
	taken = itree_first(&domain->space->areas, iova, iova + size - 1);
	if (taken)
		return refuse(why, MAP_TAKEN, "[0x%llx, 0x%llx] overlaps the mapping [0x%llx, 0x%llx]",
			      (unsigned long long)iova, (unsigned long long)(iova + size - 1),
			      (unsigned long long)taken->start, (unsigned long long)taken->last);
	return 0;
}

int isolde_domain_map(struct isolde_domain *domain, uint64_t iova, void *address, uint64_t size, unsigned flags,
		      struct isolde_why *reason)
{
	struct isolde_machine *machine = domain->machine;
	struct why why = WHY_INIT;
	struct area *area;
	int err;

	api_begin(machine);
	err = check_map(domain->core, iova, (uintptr_t)address, size, flags, &why);
	if (err == 0)
		err = client_check_range(&machine->client, (uintptr_t)address, size, flags & ISOLDE_MAP_WRITE, &why);
	if (err == 0)
		err = domain_map(domain->core, iova, size, &machine->client, (uintptr_t)address, flags, size, &area,
				 &why);
	return api_end(machine, "domain_map", &why, err, reason);
}

uint64_t isolde_domain_unmap(struct isolde_domain *domain, uint64_t iova, uint64_t size)
{
	struct domain *core = domain->core;
	struct area *area;
	u64 at = iova, removed = 0;

	if (!size || !is_aligned(iova | size, PAGE_SIZE))
		return 0;
	api_begin(domain->machine);
	while (removed < size && (area = domain_area_at(core, at))) {
		removed += area->node.last - area->node.start + 1;
		at = area->node.last + 1;
		domain_unmap(core, area);
	}
	mutex_unlock(&domain->machine->machine->lock);
	return removed;
}

uint64_t isolde_domain_iova_to_phys(const struct isolde_domain *domain, uint64_t iova)
{
	u64 physical;

	api_begin(domain->machine);
	physical = isolde_pt_iova_to_phys(domain->core->pt, iova);
	mutex_unlock(&domain->machine->machine->lock);
	return physical;
}

static void tell_fault(void *context, const struct dma_fault *fault)
{
	const struct isolde_domain *domain = context;
	const struct isolde_fault told = {fault->text, fault->iova, fault->pasid, fault->direction == DMA_WRITE};

	domain->fault(domain->fault_context, &told);
}

void isolde_domain_on_fault(struct isolde_domain *domain,
			    void (*fault)(void *context, const struct isolde_fault *fault), void *context)
{
	api_begin(domain->machine);
	domain_stop(domain->core);
	domain->fault = fault;
	domain->fault_context = context;
	domain->core->fault = fault ? tell_fault : NULL;
	domain->core->fault_context = domain;
	domain_start(domain->core);
	mutex_unlock(&domain->machine->machine->lock);
}

/* ---- attach ---- */

static struct attach_handle *core_of(struct isolde_handle *handle)
{
	return handle ? &handle->core : NULL;
}

int isolde_attach_device(struct isolde_domain *domain, struct isolde_device *device, struct isolde_why *reason)
{
	API_CALL(device, "attach_device", iommu_attach_device(domain->core, core, &why));
}

static int detach_device(struct domain *domain, struct iommu_device *device, struct why *why)
{
	int err = iommu_may_detach_device(domain, device, why);

	if (err == 0)
		err = iommu_may_bypass(device->group, 0, why);
	if (err == 0)
		iommu_detach_device(device);
	return err;
}

int isolde_detach_device(struct isolde_domain *domain, struct isolde_device *device, struct isolde_why *reason)
{
	API_CALL(device, "detach_device", detach_device(domain->core, core, &why));
}

int isolde_attach_group(struct isolde_domain *domain, struct isolde_device *device, struct isolde_why *reason)
{
	API_CALL(device, "attach_group", iommu_attach_group(domain->core, core->group, &why));
}

int isolde_attach_group_handle(struct isolde_domain *domain, struct isolde_device *device, struct isolde_handle *handle,
			       struct isolde_why *reason)
{
	API_CALL(device, "attach_group_handle",
		 iommu_attach_group_handle(domain->core, core->group, core_of(handle), &why));
}

static int replace_group(struct isolde_domain *domain, struct iommu_device *device, struct isolde_handle *handle,
			 struct why *why)
{
	int err = iommu_may_bypass(device->group, 0, why);

	return err < 0 ? err
		       : iommu_replace_group_handle(device->group, domain ? domain->core : NULL, core_of(handle), why);
}

int isolde_replace_group_handle(struct isolde_domain *domain, struct isolde_device *device,
				struct isolde_handle *handle, struct isolde_why *reason)
{
	API_CALL(device, "replace_group_handle", replace_group(domain, core, handle, &why));
}

static int detach_group(struct iommu_device *device, struct why *why)
{
	int err = iommu_may_bypass(device->group, 0, why);

	if (err == 0)
		iommu_detach_group(device->group);
	return err;
}

int isolde_detach_group(struct isolde_device *device, struct isolde_why *reason)
{
	API_CALL(device, "detach_group", detach_group(core, &why));
}

int isolde_attach(struct isolde_domain *domain, struct isolde_device *device, uint32_t pasid,
		  struct isolde_handle *handle, struct isolde_why *reason)
{
	API_CALL(device, "attach", iommu_device_attach(core, pasid, domain->core, core_of(handle), &why));
}

int isolde_replace(struct isolde_domain *domain, struct isolde_device *device, uint32_t pasid,
		   struct isolde_handle *handle, struct isolde_why *reason)
{
	API_CALL(device, "replace", iommu_device_replace(core, pasid, domain->core, core_of(handle), &why));
}

int isolde_attach_pasid(struct isolde_domain *domain, struct isolde_device *device, uint32_t pasid,
			struct isolde_handle *handle, struct isolde_why *reason)
{
	API_CALL(device, "attach_pasid", iommu_attach_pasid(domain->core, core, pasid, core_of(handle), &why));
}

static int replace_pasid(struct isolde_domain *domain, struct iommu_device *device, u32 pasid,
			 struct isolde_handle *handle, struct why *why)
{
	int err = iommu_may_bypass(device->group, pasid, why);

	return err < 0 ? err : iommu_replace_pasid(domain->core, device, pasid, core_of(handle), why);
}

int isolde_replace_pasid(struct isolde_domain *domain, struct isolde_device *device, uint32_t pasid,
			 struct isolde_handle *handle, struct isolde_why *reason)
{
	API_CALL(device, "replace_pasid", replace_pasid(domain, core, pasid, handle, &why));
}

static int detach_pasid(struct iommu_device *device, u32 pasid, struct why *why)
{
	int err = iommu_may_bypass(device->group, pasid, why);

	if (err == 0)
		iommu_detach_pasid(device, pasid);
	return err;
}

int isolde_detach_pasid(struct isolde_device *device, uint32_t pasid, struct isolde_why *reason)
{
	API_CALL(device, "detach_pasid", detach_pasid(core, pasid, &why));
}

int isolde_attach_alias_set(struct isolde_domain *domain, struct isolde_device *device, struct isolde_why *reason)
{
	API_CALL(device, "attach_alias_set", iommu_attach_alias_set(domain->core, core, &why));
}

int isolde_pasid_alloc(struct isolde_device *device, uint32_t *ret, struct isolde_why *reason)
{
	API_CALL(device, "pasid_alloc", iommu_alloc_pasid(core, ret, &why));
}

void isolde_pasid_free(struct isolde_machine *machine, uint32_t pasid)
{
	api_begin(machine);
	iommu_free_pasid(&machine->machine->iommu, pasid);
	mutex_unlock(&machine->machine->lock);
}

int isolde_reset_prepare(struct isolde_device *device, struct isolde_why *reason)
{
	API_CALL(device, "reset_prepare", iommu_reset_prepare(core, &why));
}

static int sva_bind(struct isolde_device *device, struct iommu_device *core, u32 *ret_pasid, struct why *why)
{
	int err = iommu_sva_bind(core, &device->machine->client, &device->bond, why);

	if (err == 0) {
		device->bindings++;
		*ret_pasid = iommu_sva_pasid(device->bond);
	}
	return err;
}

int isolde_sva_bind(struct isolde_device *device, uint32_t *ret_pasid, struct isolde_why *reason)
{
	API_CALL(device, "sva_bind", sva_bind(device, core, ret_pasid, &why));
}

/* ---- detach: cannot fail ---- */

#define DETACH_CALL(device, statement)                                                                                 \
	do {                                                                                                           \
		struct iommu_device *core = (device)->core;                                                            \
                                                                                                                       \
		api_begin((device)->machine);                                                                          \
		if (core && core->unit)                                                                                \
			statement;                                                                                     \
		mutex_unlock(&(device)->machine->machine->lock);                                                       \
	} while (0)

void isolde_detach(struct isolde_device *device, uint32_t pasid)
{
	DETACH_CALL(device, iommu_device_detach(core, pasid));
}

void isolde_detach_alias_set(struct isolde_device *device)
{
	DETACH_CALL(device, iommu_detach_alias_set(core));
}

/* The bond is its whole group's: a sibling may keep it. */
static void sva_unbind(struct isolde_device *device)
{
	if (!device->bindings)
		return;
	iommu_sva_unbind(device->bond);
	if (--device->bindings == 0)
		device->bond = NULL;
}

void isolde_sva_unbind(struct isolde_device *device)
{
	DETACH_CALL(device, sva_unbind(device));
}

void isolde_reset_done(struct isolde_device *device)
{
	DETACH_CALL(device, if (core->reset_depth) iommu_reset_done(core));
}

/* ---- the device's side ---- */

/* Without machine.lock, as a device's own thread would. */
static int transfer(const struct isolde_device *device, u32 pasid, const struct dma_segment *segment,
		    enum dma_direction direction, struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct dma_fault fault;
	int err = 0;

	if (!device->core || !device->core->port) {
		err = refuse(&why, DEVICE_NO_IOMMU, "%s is behind no IOMMU",
			     device->core ? device->core->name : device->device->name);
		why_export(reason, &why, err);
		return err;
	}
	switch (dma_request(device->core->port, pasid, segment, 1, direction, &fault)) {
	case DMA_OK:
		break;
	case DMA_NOT_MASTER:
		err = refuse(&why, DMA_FAULT, "%s is no bus master: its request for IOVA 0x%llx never left it",
			     device->core->name, (unsigned long long)segment->iova);
		break;
	case DMA_FAULT:
		err = refuse(&why, DMA_FAULT, "%s", fault.text);
		break;
	}
	why_export(reason, &why, err);
	return err;
}

int isolde_dma_read(struct isolde_device *device, uint32_t pasid, uint64_t iova, void *buffer, size_t size,
		    struct isolde_why *reason)
{
	return transfer(device, pasid, &(struct dma_segment){iova, buffer, size}, DMA_READ, reason);
}

int isolde_dma_write(struct isolde_device *device, uint32_t pasid, uint64_t iova, const void *buffer, size_t size,
		     struct isolde_why *reason)
{
	return transfer(device, pasid, &(struct dma_segment){iova, (void *)(uintptr_t)buffer, size}, DMA_WRITE, reason);
}
