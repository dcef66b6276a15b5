/* SPDX-License-Identifier: MIT */
/*
 * VFIO's type 1 on a context (spec 03 section 12): its requests name no IOAS, so one of the context's is the compat
 * IOAS. It can be destroyed like any other, and then there is none.
 */
#ifndef IOMMUFD_COMPAT_H
#define IOMMUFD_COMPAT_H

#include "iommufd/context.h"

/* COMPAT_NO_IOAS (ENODEV). */
int compat_ioas_id(const struct context *context, u32 *ret, struct why *why);

/* A group takes the context as its container: there is a compat IOAS from now on. COMPAT_NO_IOMMU (EINVAL). */
int compat_ioas_ensure(struct context *context, struct why *why);

/* A group without an IOMMU takes it: from now on there will be none. COMPAT_HAS_IOAS (EINVAL). */
int compat_set_no_iommu(struct context *context, struct why *why);

#endif
