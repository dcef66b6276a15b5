/* SPDX-License-Identifier: MIT */
/*
 * What IOVAs stand for: a set of areas, shared by all paging domains of the space. Each domain has the same areas in a
 * table of its own. iommufd's IOAS is one space with many domains; a domain that is alone brings its own.
 *
 * An area's extent is its owner's: several areas, of several spaces, may show parts of one. Order of things, so that
 * DMA sees an area whole or not at all, and never what is behind it once it has gone:
 *
 *	iommu_insert_frames()   space_insert()   domain_fill() of each domain
 *	domain_clear() of each domain   space_remove()   iommu_remove_frames()
 *
 * Each of them stops what it must. Whoever makes several calls stops the space around them: to stop what is stopped
 * already costs next to nothing, and devices wait once.
 */
#ifndef IOMMU_SPACE_H
#define IOMMU_SPACE_H

#include "iommu/iommu.h"

/* [start, last] of IOVAs is [offset, ...] of the extent. Small: there may be millions. */
struct area {
	struct itree_node node; /* IOVA start, last; constant while in a space */
	struct extent *extent;	/* borrowed: it outlives the area */
	u64 offset;
	unsigned permission; /* ISOLDE_PT_READ | ISOLDE_PT_WRITE, AREA_WITHDRAWN */
	u16 hole;	     /* iommu/holes.c: the IOVAs between the area before and this, as a size class */
	u16 largest_hole;    /* of this and the areas below it in the tree */
};

/* In permission: no table has it (any more), because the memory behind it was taken away. */
#define AREA_WITHDRAWN BIT(31)

struct space {
	struct iommu *iommu; /* borrowed */
	struct itree areas;  /* struct area; changes while stopped */
	struct list domains; /* struct domain, of_space; under machine.lock */
	bool small_leaves;   /* tables get leaves of one page only; while there are no areas */
};

void space_init(struct space *space, struct iommu *iommu);
void space_fini(struct space *space); /* asserts that nothing is left of it */

/*
 * DMA of all devices that can see the space's areas, or all frames, stops until it is started again. Nests; nothing may
 * be attached or detached in between.
 */
void space_stop(const struct space *space);
void space_start(const struct space *space);

/*
 * For spaces whose owner looks for room (iommu/holes.c): before the first area. space_next_hole() is the lowest run of
 * at least size free IOVAs at or above from, as long as it is; false: there is none. Its cost grows with the logarithm
 * of the number of areas, wherever the hole is.
 */
void space_index_holes(struct space *space);
bool space_next_hole(const struct space *space, u64 from, u64 size, u64 *ret_start, u64 *ret_last);

/* Its domains may have it from now on, or no longer have it. */
void space_insert(struct space *space, struct area *area);
void space_remove(struct space *space, struct area *area);

/* The area holding iova, or NULL. Needs machine.lock or the gate of a port that the space translates for. */
struct area *space_area_at(const struct space *space, u64 iova);

/* "the nearest mapping is [0x10000, 0x10fff] (read-write), 0x2000 above" or "nothing is mapped"; as above. */
void space_describe_nearest(const struct space *space, u64 iova, char *text, size_t size);

void space_check(const struct space *space); /* areas and frames agree; for machine_check() */

/* Frames of an extent, as devices with physical addresses see them. */
void iommu_insert_frames(struct iommu *iommu, struct extent *extent);
void iommu_remove_frames(struct iommu *iommu, struct extent *extent);

static inline u64 area_size(const struct area *area)
{
	return area->node.last - area->node.start + 1;
}

static inline u64 area_physical(const struct area *area)
{
	return extent_physical(area->extent) + area->offset;
}

#endif
