/* SPDX-License-Identifier: MIT */
#ifndef IOMMUFD_INSPECT_H
#define IOMMUFD_INSPECT_H

#include "base/describe.h"
#include "iommufd/iommufd.h"

/* "contexts", each with its objects. docs/inspect.md says what the names mean. Under machine.lock. */
void iommufd_inspect(const struct iommufd *iommufd, struct describer *describer);

#endif
