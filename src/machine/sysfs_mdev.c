/* SPDX-License-Identifier: MIT */
/*
 * What sysfs shows of emulated devices, where Linux's mdev has it: a directory below the parent's, which also lists the
 * types it can make (all have been made); the bus `mdev`; the group. drivers/vfio/mdev/mdev_sysfs.c.
 */
#include <stdio.h>

#include "machine/device.h"
#include "machine/mdev.h"
#include "machine/sysfs.h"

static s64 show_constant(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "%s\n", (const char *)node->data);
}

static s64 show_summary(struct node *node, char *text, size_t size, struct why *why)
{
	const struct model *model = node->context;

	return show_text(text, size, "%s\n", model->summary);
}

static s64 show_uevent(struct node *node, char *text, size_t size, struct why *why)
{
	const struct mdev *mdev = node->context;

	return show_text(text, size, "DRIVER=%s\n", mdev->words->model->name);
}

static const struct attribute type_attributes[] = {
	{"name", 0444, {.show = show_summary}},
	{"device_api", 0444, {.show = show_constant}, "vfio-pci"},
	{"available_instances", 0444, {.show = show_constant}, "0"},
};

static const struct attribute mdev_attributes[] = {
	{"uevent", 0644, {.show = show_uevent, .store = store_uevent}},
};

/* Linux names the groups it makes for such devices. */
static const struct attribute group_attributes[] = {
	{"name", 0444, {.show = show_constant}, "vfio-noiommu"},
};

/* The directory of the PCI device, or one made up for the driver: sys/devices/virtual/mcopy/mcopy. */
static int parent_directory(struct machine *machine, const struct mdev *mdev, struct node **ret, struct why *why)
{
	const char *name = mdev->words->model->name;
	char path[96];

	if (mdev->words->parent) {
		*ret = device_find(machine, mdev->words->parent->addr)->node;
		return 0;
	}
	snprintf(path, sizeof(path), "sys/devices/virtual/%s/%s", name, name);
	return sysfs_directory(machine->root, path, ret, why);
}

/* Several devices may have the same parent, bus, driver: a link that is there stays. */
static int link_once(struct node *from, const char *name, const struct node *to, struct why *why)
{
	return node_child(from, name) ? 0 : node_link_to(from, name, to, why);
}

static int build_type(struct machine *machine, const struct mdev *mdev, struct node *parent, struct node **ret,
		      struct why *why)
{
	const struct model *model = mdev->words->model;
	struct node *types, *class;
	char name[32];
	int err = sysfs_directory(machine->root, "sys/class/mdev_bus", &class, why);

	snprintf(name, sizeof(name), "%s-1", model->name);
	if (err == 0)
		err = link_once(class, parent->name, parent, why);
	if (err == 0)
		err = sysfs_directory(parent, "mdev_supported_types", &types, why);
	if (err < 0)
		return err;
	*ret = node_child(types, name);
	if (*ret)
		return 0;
	err = node_directory(types, name, ret, why);
	return err < 0 ? err : sysfs_attributes(*ret, type_attributes, ARRAY_SIZE(type_attributes), (void *)model, why);
}

static int link_type(const struct mdev *mdev, struct node *type, struct why *why)
{
	struct node *devices;
	int err = sysfs_directory(type, "devices", &devices, why);

	if (err == 0)
		err = node_link_to(devices, mdev->words->uuid, mdev->node, why);
	return err < 0 ? err : node_link_to(mdev->node, "mdev_type", type, why);
}

static int link_bus(struct machine *machine, const struct mdev *mdev, struct why *why)
{
	struct node *bus, *devices, *driver;
	char path[64];
	int err = sysfs_directory(machine->root, "sys/bus/mdev", &bus, why);

	snprintf(path, sizeof(path), "sys/bus/mdev/drivers/%s", mdev->words->model->name);
	if (err == 0)
		err = sysfs_directory(bus, "devices", &devices, why);
	if (err == 0)
		err = sysfs_directory(machine->root, path, &driver, why);
	if (err == 0)
		err = node_link_to(devices, mdev->words->uuid, mdev->node, why);
	if (err == 0)
		err = node_link_to(driver, mdev->words->uuid, mdev->node, why);
	if (err == 0)
		err = node_link_to(mdev->node, "driver", driver, why);
	return err < 0 ? err : node_link_to(mdev->node, "subsystem", bus, why);
}

static int link_group(struct machine *machine, const struct mdev *mdev, struct why *why)
{
	struct node *group, *devices;
	char path[64];
	int err;

	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d", mdev->iommu->group->id);
	err = sysfs_directory(machine->root, path, &group, why);
	if (err == 0)
		err = sysfs_attributes(group, group_attributes, ARRAY_SIZE(group_attributes), NULL, why);
	if (err == 0)
		err = sysfs_directory(group, "devices", &devices, why);
	if (err == 0)
		err = node_link_to(devices, mdev->words->uuid, mdev->node, why);
	return err < 0 ? err : node_link_to(mdev->node, "iommu_group", group, why);
}

static int build_mdev(struct machine *machine, struct mdev *mdev, struct why *why)
{
	struct node *parent, *type;
	int err = parent_directory(machine, mdev, &parent, why);

	if (err == 0)
		err = node_directory(parent, mdev->words->uuid, &mdev->node, why);
	if (err == 0)
		err = sysfs_attributes(mdev->node, mdev_attributes, ARRAY_SIZE(mdev_attributes), mdev, why);
	if (err == 0)
		err = build_type(machine, mdev, parent, &type, why);
	if (err == 0)
		err = link_type(mdev, type, why);
	if (err == 0)
		err = link_bus(machine, mdev, why);
	if (err == 0)
		err = link_group(machine, mdev, why);
	return err < 0 ? err : vfio_dev_nodes_make(machine, mdev->node, true, &mdev->vfio_nodes, why);
}

int sysfs_build_mdevs(struct machine *machine, struct why *why)
{
	struct mdev *mdev;
	int err = 0;

	list_for_each(mdev, &machine->mdevs, link)
		if (err == 0)
			err = build_mdev(machine, mdev, why);
	return err;
}
