/* SPDX-License-Identifier: MIT */
/* The index of free IOVAs, for iommu/space.c alone: others see space_index_holes() and space_next_hole(). */
#ifndef IOMMU_HOLES_H
#define IOMMU_HOLES_H

#include "iommu/space.h"

void holes_insert(struct itree *areas, struct area *area); /* it is in the tree now */
void holes_remove(struct itree *areas, struct area *area); /* it is in the tree still */
void holes_check(const struct itree *areas);

#endif
