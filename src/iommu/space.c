/* SPDX-License-Identifier: MIT */
#include "iommu/space.h"

#include <stdio.h>

#include "iommu/holes.h"
#include "iommu/port.h"

void space_init(struct space *space, struct iommu *iommu)
{
	*space = (struct space){.iommu = iommu};
	list_init(&space->domains);
}

void space_fini(struct space *space)
{
	assert(space->areas.count == 0 && list_empty(&space->domains));
}

void space_stop(const struct space *space)
{
	const struct domain *domain;

	list_for_each(domain, &space->domains, of_space)
		domain_stop(domain);
	dma_stop_identities(space->iommu);
}

void space_start(const struct space *space)
{
	const struct domain *domain;

	dma_start_identities(space->iommu);
	list_for_each(domain, &space->domains, of_space)
		domain_start(domain);
}

void space_insert(struct space *space, struct area *area)
{
	assert(area->offset < extent_size(area->extent));
	assert(area->node.last - area->node.start < extent_size(area->extent) - area->offset);
	space_stop(space);
	itree_insert(&space->areas, &area->node);
	assert(itree_stands_alone(&area->node));
	if (space->areas.summarize)
		holes_insert(&space->areas, area);
	space_start(space);
}

void space_remove(struct space *space, struct area *area)
{
	space_stop(space);
	if (space->areas.summarize)
		holes_remove(&space->areas, area);
	itree_remove(&space->areas, &area->node);
	space_start(space);
}

struct area *space_area_at(const struct space *space, u64 iova)
{
	struct itree_node *node = itree_lowest(&space->areas, iova, iova);

	return node ? container_of(node, struct area, node) : NULL;
}

static const char *permission_name(unsigned permission)
{
	if (permission & AREA_WITHDRAWN)
		return "of a buffer that was taken back";
	switch (permission) {
	case ISOLDE_PT_READ:
		return "read-only";
	case ISOLDE_PT_WRITE:
		return "write-only";
	default:
		return "read-write";
	}
}

void space_describe_nearest(const struct space *space, u64 iova, char *text, size_t size)
{
	struct itree_node *below = itree_at_or_below(&space->areas, iova);
	struct itree_node *above = itree_above(&space->areas, iova);
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

void space_check(const struct space *space)
{
	const struct itree_node *node;
	u64 above = 0;

	itree_check(&space->areas);
	if (space->areas.summarize)
		holes_check(&space->areas);
	itree_for_each(node, &space->areas, 0, UINT64_MAX) {
		const struct area *area = container_of(node, struct area, node);

		assert(node->start >= above);
		above = node->last + 1;
		assert(area->offset + (area_size(area) - 1) < extent_size(area->extent));
		/* Without a domain nobody needs frames. */
		assert(list_empty(&space->domains) ||
		       frames_find(&space->iommu->frames, area_physical(area)) == area->extent);
		(void)area;
	}
	(void)above;
}

void iommu_insert_frames(struct iommu *iommu, struct extent *extent)
{
	dma_stop_identities(iommu);
	frames_insert(&iommu->frames, extent);
	dma_start_identities(iommu);
}

void iommu_remove_frames(struct iommu *iommu, struct extent *extent)
{
	dma_stop_identities(iommu);
	frames_remove(&iommu->frames, extent);
	dma_start_identities(iommu);
}
