/* SPDX-License-Identifier: MIT */
#ifndef VFIO_INSPECT_H
#define VFIO_INSPECT_H

#include "base/describe.h"
#include "vfio/vfio.h"

/* "vfio": its containers, groups and devices. docs/inspect.md says what the names mean. Under machine.lock. */
void vfio_inspect(const struct vfio *vfio, struct describer *describer);

#endif
