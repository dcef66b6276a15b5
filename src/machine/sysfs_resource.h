/* SPDX-License-Identifier: MIT */
/* A device's address ranges and registers in sysfs: resource, resourceN, config; its contents and its link. */
#ifndef MACHINE_SYSFS_RESOURCE_H
#define MACHINE_SYSFS_RESOURCE_H

#include "machine/device.h"

int sysfs_build_resources(struct device *device, struct why *why);
int sysfs_build_contents(struct device *device, struct why *why);

#endif
