/* SPDX-License-Identifier: MIT */
/* What the core has, for `isolde inspect`. docs/inspect.md says what the names mean. Under machine.lock. */
#ifndef IOMMU_INSPECT_H
#define IOMMU_INSPECT_H

#include "base/describe.h"
#include "iommu/domain.h"

/* "units" and "groups" */
void iommu_inspect(const struct iommu *iommu, struct describer *describer);

/* A domain as a member of that name; NULL is null. Its mappings are told where its space is. */
void domain_inspect(const struct domain *domain, struct describer *describer, const char *name);

/* "mapping_count", and "mappings" as far as they are wanted: those left out are only counted. */
void space_inspect(const struct space *space, struct describer *describer);

/* One mapping: IOVAs, permission, whose memory. An object; the caller may add to it and ends it. */
void area_inspect_begin(const struct area *area, struct describer *describer);

#endif
