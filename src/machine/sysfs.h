/* SPDX-License-Identifier: MIT */
/*
 * What the room's kernel shows in /sys and /dev. The tree is built once; what comes and goes with a driver is made when
 * the driver binds (that may fail), what comes and goes with vfio is made in advance and only published (that may not).
 */
#ifndef MACHINE_SYSFS_H
#define MACHINE_SYSFS_H

#include "machine/machine.h"

struct device;
struct driver;

/* One row of a directory's attributes. The node's data is row->data. */
struct attribute {
	const char *name;
	u32 mode;
	struct node_ops ops;
	const void *data;
	bool (*when)(const struct device *device); /* NULL: always; only for a device's directory */
	u64 size;				   /* of a binary attribute; 0: text */
};

/* The tree of machine: machine->root, with all drivers, devices, groups and units there are. */
int sysfs_build(struct machine *machine, struct why *why);

/* A driver that came after the tree, as a module that is loaded. It is not in machine->drivers yet. */
int sysfs_add_driver(struct machine *machine, struct driver *driver, struct why *why);

/*
 * One device that came when the tree was there, with what shows that an IOMMU covers it, and its group if that is new.
 * What was made at failure is removed by the other one.
 */
int sysfs_add_device(struct device *device, struct why *why);
void sysfs_remove_device(struct device *device); /* it has no driver; its group's nodes go with its last member */

/* The links between a device and a driver. */
int sysfs_driver_bound(struct device *device, struct driver *driver, struct why *why);
void sysfs_driver_unbound(struct device *device);

/* What vfio tells: nodes of a group appear and disappear (those of devices: machine/sysfs_vfio.h). */
void sysfs_vfio_group_added(struct machine *machine, int group_id, unsigned minor);
void sysfs_vfio_group_removed(struct machine *machine, int group_id);
/* Frees what is withdrawn; the tree goes with machine->root. */
void sysfs_vfio_fini(struct machine *machine);

void sysfs_check_device(const struct device *device);

/* Between the files that build parts of the tree. */
int sysfs_directory(struct node *root, const char *path, struct node **ret, struct why *why); /* made as needed */
int sysfs_attributes(struct node *directory, const struct attribute *table, size_t count, void *context,
		     struct why *why);
int sysfs_build_bus(struct machine *machine, struct why *why);
int sysfs_build_modules(struct machine *machine, struct why *why);
int sysfs_build_iommu(struct machine *machine, struct why *why);
int sysfs_build_groups(struct machine *machine, struct why *why);
int sysfs_build_vfio(struct machine *machine, struct why *why);
int sysfs_link_group(struct device *device, struct why *why);
void sysfs_unlink_group(struct device *device);
int sysfs_add_vfio(struct device *device, struct why *why);
void sysfs_remove_vfio(struct device *device);
int sysfs_build_iommufd(struct machine *machine, struct why *why);
int sysfs_build_aer(struct machine *machine, struct why *why);
int sysfs_build_debug(struct machine *machine, struct why *why); /* of a machine with the option selftest */
int sysfs_build_device(struct device *device, struct why *why);

/* snprintf() for show functions: the bytes that were written. */
s64 show_text(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A write to any `uevent`: an action, perhaps more words. Nobody listens in the room. */
int store_uevent(struct node *node, const char *bytes, size_t size, struct why *why);

#endif
