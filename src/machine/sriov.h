/* SPDX-License-Identifier: MIT */
/*
 * Virtual functions that come and go with a write to sriov_numvfs (drivers/pci/iov.c): functions, groups, names,
 * drivers. All under machine.lock.
 */
#ifndef MACHINE_SRIOV_H
#define MACHINE_SRIOV_H

#include "machine/device.h"

/* The write. Taking virtual functions away waits, as device_unbind() does, until nobody has one open. */
int sriov_set_number(struct device *device, u16 number, struct why *why);

/* Can its virtual functions go? SRIOV_HELD (EBUSY), or what device_may_unbind() says of one. 0 also if it has none. */
int sriov_may_disable(const struct device *device, struct why *why);
void sriov_disable(struct device *device); /* the same; the caller has it locked */

/* Which of its physical function's it is, by its address; false: unknown, or it is none. */
bool sriov_position(const struct device *device, unsigned *ret);

void sriov_check(const struct device *device);

/* machine/sysfs_sriov.c: attributes of a physical function, links between it and its virtual ones. */
int sysfs_build_sriov(struct device *device, struct why *why);
void sysfs_unlink_virtual(struct device *device);

#endif
