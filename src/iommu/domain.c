/* SPDX-License-Identifier: MIT */
#include "iommu/domain.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommu/port.h"
#include "mem/client.h"

/* Tables come from the heap, one by one, so that each can be made to fail. */
static void *table_allocate(void *context, size_t size, size_t alignment)
{
	return fallible() ? aligned_alloc(alignment, size) : NULL;
}

static void table_release(void *context, void *table, size_t size)
{
	free(table);
}

static int table_new(enum isolde_pt_format format, struct isolde_pt **ret)
{
	const struct isolde_pt_config config = {
		.size = sizeof(config),
		.format = format,
		.memory = {.allocate = table_allocate, .release = table_release},
	};

	return isolde_pt_new(&config, ret);
}

static struct domain *domain_alloc(struct iommu *iommu, const struct iommu_unit *unit, enum domain_kind kind,
				   struct why *why)
{
	struct domain *domain = alloc_new(struct domain, why);

	if (!domain)
		return NULL;
	domain->iommu = iommu;
	domain->kind = kind;
	domain->driver = unit->driver;
	domain->format = unit->format;
	domain->last_iova = UINT64_MAX;
	domain->pasid_compatible = true;
	list_init(&domain->contexts);
	return domain;
}

int domain_new(struct iommu *iommu, const struct iommu_unit *unit, enum domain_kind kind, struct domain **ret,
	       struct why *why)
{
	struct domain *domain = domain_alloc(iommu, unit, kind, why);

	if (!domain)
		return -why->err;
	if (kind == DOMAIN_PAGING) {
		if (table_new(unit->format, &domain->pt) < 0) {
			free(domain);
			return refuse(why, OUT_OF_MEMORY, "no memory for an I/O page table of %s", unit->name);
		}
		domain->last_iova = min_u64(isolde_pt_last_iova(domain->pt), MASK(unit->width - 1, 0));
	}
	if (kind == DOMAIN_IDENTITY)
		list_append(&iommu->identities, &domain->of_iommu);
	*ret = domain;
	return 0;
}

int domain_new_sva(struct iommu *iommu, const struct iommu_unit *unit, struct client *client, struct domain **ret,
		   struct why *why)
{
	struct domain *domain;

	if (unit->driver->lacks_pasids || unit->driver->lacks_sva || !unit->max_pasids)
		return refuse(why, SVA_UNSUPPORTED, "%s (%s) cannot give devices a process's addresses", unit->name,
			      unit->driver->name);
	domain = domain_alloc(iommu, unit, DOMAIN_SVA, why);
	if (!domain)
		return -why->err;
	domain->space = alloc_new(struct extent, why);
	if (!domain->space) {
		free(domain);
		return -why->err;
	}
	domain->last_iova = MASK(46, 0); /* the lower half of x86-64's addresses */
	domain->space->client = client_get(client);
	domain->space->node.last = domain->last_iova;
	*ret = domain;
	return 0;
}

struct domain *domain_free(struct domain *domain)
{
	struct itree_node *node;

	if (!domain)
		return NULL;
	assert(domain->users == 0 && list_empty(&domain->contexts));
	while ((node = itree_first(&domain->areas, 0, UINT64_MAX)))
		domain_unmap(domain, container_of(node, struct area, node));
	list_remove(&domain->of_iommu);
	isolde_pt_free(domain->pt);
	if (domain->space) {
		client_put(domain->space->client);
		free(domain->space);
	}
	free(domain);
	return NULL;
}

const char *domain_kind_name(enum domain_kind kind)
{
	static const char *const names[] = {
		[DOMAIN_ANY] = "any",		[DOMAIN_PAGING] = "paging", [DOMAIN_BLOCKING] = "blocking",
		[DOMAIN_IDENTITY] = "identity", [DOMAIN_SVA] = "SVA",	    [DOMAIN_NESTED] = "nested",
	};

	return names[kind];
}

const char *domain_describe(const struct domain *domain, char text[static DOMAIN_TEXT])
{
	char who[DOMAIN_NAME];

	if (*domain->name)
		snprintf(who, sizeof(who), "%s", domain->name);
	else
		snprintf(who, sizeof(who), "a %s domain", domain_kind_name(domain->kind));
	if (domain->kind == DOMAIN_PAGING)
		snprintf(text, DOMAIN_TEXT, "%s with %zu mappings", who, domain->areas.count);
	else
		snprintf(text, DOMAIN_TEXT, "%s", who);
	return text;
}

void domain_flush(struct domain *domain)
{
	domain_stop(domain);
	domain->generation++;
	domain_start(domain);
}

struct area *domain_area_at(const struct domain *domain, u64 iova)
{
	struct itree_node *node = itree_first(&domain->areas, iova, iova);

	return node ? container_of(node, struct area, node) : NULL;
}

static int refuse_range(const struct domain *domain, u64 iova, u64 size, struct why *why)
{
	u64 last = iova + size - 1;
	const struct itree_node *taken;

	if (last > domain->last_iova)
		return refuse(why, IOVA_BEYOND_TABLE, "0x%llx is beyond 0x%llx, the last IOVA of the domain",
			      (unsigned long long)last, (unsigned long long)domain->last_iova);
	taken = itree_first(&domain->areas, iova, last);
	if (taken)
		return refuse(why, IOVA_MAPPED, "[0x%llx, 0x%llx] overlaps the mapping [0x%llx, 0x%llx]",
			      (unsigned long long)iova, (unsigned long long)last, (unsigned long long)taken->start,
			      (unsigned long long)taken->last);
	return 0;
}

int domain_map(struct domain *domain, u64 iova, u64 size, struct client *client, u64 address, unsigned permission,
	       u64 charged, struct area **ret, struct why *why)
{
	_free_(extent) struct extent *extent = NULL;
	_memory_ struct area *area = NULL;
	struct iommu *iommu = domain->iommu;
	int err = refuse_range(domain, iova, size, why);

	if (err < 0)
		return err;
	area = alloc_new(struct area, why);
	if (!area)
		return -why->err;
	err = extent_new(&iommu->frames, client, address, iova, size, charged, &extent, why);
	if (err < 0)
		return err;
	area->node.start = iova;
	area->node.last = iova + size - 1;
	area->permission = permission;
	area->extent = extent;

	domain_stop(domain);
	err = isolde_pt_map(domain->pt, iova, extent_physical(extent), size, permission, NULL);
	if (err == 0) {
		frames_insert(&iommu->frames, extent);
		itree_insert(&domain->areas, &area->node);
	}
	domain_start(domain);
	/* The range was free and fits: memory is all that can be missing. */
	if (err < 0)
		return refuse(why, OUT_OF_MEMORY, "no memory for the tables of [0x%llx, 0x%llx]",
			      (unsigned long long)iova, (unsigned long long)(iova + size - 1));
	take(extent);
	*ret = take(area);
	return 0;
}

void domain_unmap(struct domain *domain, struct area *area)
{
	struct iommu *iommu = domain->iommu;
	u64 start = area->node.start, size = area->node.last - start + 1, removed = 0;

	domain_stop(domain);
	/* Nobody reads the table now: what is freed can be freed at once. */
	isolde_pt_unmap(domain->pt, start, size, NULL, &removed);
	isolde_pt_trim(domain->pt, start, size, NULL);
	assert(removed == size);
	(void)removed;
	dma_invalidate(domain, area->node.start, area->node.last);
	itree_remove(&domain->areas, &area->node);
	frames_remove(&iommu->frames, area->extent);
	domain_start(domain);
	extent_free(area->extent);
	free(area);
}

static const char *permission_name(unsigned permission)
{
	switch (permission) {
	case ISOLDE_PT_READ:
		return "read-only";
	case ISOLDE_PT_WRITE:
		return "write-only";
	default:
		return "read-write";
	}
}

void domain_describe_nearest(const struct domain *domain, u64 iova, char *text, size_t size)
{
	struct itree_node *below = itree_at_or_below(&domain->areas, iova);
	struct itree_node *above = itree_above(&domain->areas, iova);
	struct itree_node *nearest = below;
	char distance[40] = "";

	if (!below && !above) {
		snprintf(text, size, "nothing is mapped");
		return;
	}
	if (!below || (above && below->last < iova && above->start - iova < iova - below->last))
		nearest = above;
	if (nearest->start > iova)
		snprintf(distance, sizeof(distance), ", 0x%llx above", (unsigned long long)(nearest->start - iova));
	else if (nearest->last < iova)
		snprintf(distance, sizeof(distance), ", 0x%llx below", (unsigned long long)(iova - nearest->last));
	snprintf(text, size, "the nearest mapping is [0x%llx, 0x%llx] (%s)%s", (unsigned long long)nearest->start,
		 (unsigned long long)nearest->last,
		 permission_name(container_of(nearest, struct area, node)->permission), distance);
}

void domain_check(const struct domain *domain)
{
	const struct itree_node *node;

	assert((domain->pt != NULL) == (domain->kind == DOMAIN_PAGING));
	assert((domain->space != NULL) == (domain->kind == DOMAIN_SVA));
	assert(domain->pt || domain->areas.count == 0);
	if (domain->pt)
		isolde_pt_check(domain->pt);
	itree_check(&domain->areas);
	itree_for_each(node, &domain->areas, 0, UINT64_MAX) {
		const struct area *area = container_of(node, struct area, node);
		u64 physical = extent_physical(area->extent);

		assert(node->last <= domain->last_iova);
		assert(extent_size(area->extent) == node->last - node->start + 1);
		assert(frames_find(&domain->iommu->frames, physical) == area->extent);
		assert(isolde_pt_iova_to_phys(domain->pt, node->start) == physical);
		assert(isolde_pt_iova_to_phys(domain->pt, node->last) == area->extent->node.last);
		(void)physical;
	}
}
