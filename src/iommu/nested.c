/* SPDX-License-Identifier: MIT */
/* The control side of nested domains; the device's side is iommu/stage1.c. */
#include "iommu/nested.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "iommu/stage1.h"

int domain_new_opaque(struct domain *parent, const struct iommu_unit *unit, struct domain **ret, struct why *why)
{
	struct domain *domain = domain_alloc(parent->iommu, unit, DOMAIN_NESTED, why);

	assert(parent->kind == DOMAIN_PAGING);
	if (!domain)
		return -why->err;
	domain->parent = parent;
	parent->users++;
	list_append(&parent->children, &domain->of_parent);
	*ret = domain;
	return 0;
}

int domain_new_nested(struct domain *parent, const struct nested_setup *setup, struct domain **ret, struct why *why)
{
	struct nested_setup *copy = alloc_new(struct nested_setup, why);
	int err = copy ? domain_new_opaque(parent, parent->unit, ret, why) : -why->err;

	if (err < 0) {
		free(copy);
		return err;
	}
	*copy = *setup;
	(*ret)->nested = copy;
	(*ret)->format = setup->format;
	return 0;
}

/* ---- invalidation ---- */

void nested_flush(struct domain *nested, u64 start, u64 last)
{
	const struct dma_context *context;

	domain_stop(nested);
	list_for_each(context, &nested->contexts, of_domain)
		dma_forget_range(context, ANY_PASID, ANY_ASID, start, last);
	domain_start(nested);
}

void nested_flush_asid(struct domain *parent, u32 asid, u64 start, u64 last)
{
	const struct dma_context *context;
	const struct domain *nested;

	list_for_each(nested, &parent->children, of_parent) {
		domain_stop(nested);
		list_for_each(context, &nested->contexts, of_domain)
			dma_forget_range(context, ANY_PASID, asid, start, last);
		domain_start(nested);
	}
}

/* Requests with a PASID are part of those without where the user has a table of PASIDs. */
static struct dma_context *context_of(const struct domain *parent, const struct iommu_device *device, u32 pasid)
{
	struct dma_context *context = NULL;

	if (pasid && pasid != ANY_PASID)
		context = dma_port_context(device->port, pasid);
	if (!context)
		context = &device->port->own;
	return context->domain && context->domain->kind == DOMAIN_NESTED && context->domain->parent == parent ? context
													      : NULL;
}

void nested_flush_device(const struct domain *parent, struct iommu_device *device, u32 pasid, u64 start, u64 last)
{
	struct dma_context *context = context_of(parent, device, pasid);

	if (!context)
		return;
	gate_stop(&device->port->gate);
	dma_forget_range(context, pasid, ANY_ASID, start, last);
	gate_start(&device->port->gate);
}

void nested_forget_context(const struct domain *parent, struct iommu_device *device, u32 pasid)
{
	struct dma_context *context = context_of(parent, device, pasid);

	if (!context)
		return;
	gate_stop(&device->port->gate);
	dma_forget_range(context, pasid, ANY_ASID, 0, UINT64_MAX);
	stage1_forget_pasid(context, pasid);
	gate_start(&device->port->gate);
}
