/* SPDX-License-Identifier: MIT */
/*
 * What vfio shows: /dev/vfio, sys/class/vfio and vfio-dev. Groups and devices come and go inside calls that cannot fail
 * any more, so all their nodes are made at the start, withdrawn, and published when vfio says so. A number that is only
 * known then (a minor, an index) is filled in at that moment.
 */
#include <stdio.h>
#include <sys/sysmacros.h>

#include "base/alloc.h"
#include "machine/device.h"
#include "machine/sysfs.h"

struct vfio_nodes {
	struct iommu_group *group; /* borrowed */
	unsigned minor;
	struct node *device;	/* dev/vfio/N. These four are owned while withdrawn */
	struct node *directory; /* sys/devices/virtual/vfio/N */
	struct node *class;	/* sys/class/vfio/N */
	struct node *number;	/* sys/dev/char/MAJOR:MINOR */
	struct list_link link;	/* machine->vfio_nodes */
};

static s64 show_group_number(struct node *node, char *text, size_t size, struct why *why)
{
	const struct vfio_nodes *nodes = node->context;

	return show_text(text, size, "%u:%u\n", VFIO_MAJOR, nodes->minor);
}

static s64 show_group_uevent(struct node *node, char *text, size_t size, struct why *why)
{
	const struct vfio_nodes *nodes = node->context;

	return show_text(text, size, "MAJOR=%u\nMINOR=%u\nDEVNAME=vfio/%d\n", VFIO_MAJOR, nodes->minor,
			 nodes->group->id);
}

static s64 show_container_number(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "%u:%u\n", VFIO_MISC_MAJOR, VFIO_MISC_MINOR);
}

static s64 show_container_uevent(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "MAJOR=%u\nMINOR=%u\nDEVNAME=vfio/vfio\nDEVMODE=0666\n", VFIO_MISC_MAJOR,
			 VFIO_MISC_MINOR);
}

static const struct attribute group_attributes[] = {
	{"dev", 0444, {.show = show_group_number}},
	{"uevent", 0644, {.show = show_group_uevent, .store = store_uevent}},
};

static const struct attribute container_attributes[] = {
	{"dev", 0444, {.show = show_container_number}},
	{"uevent", 0644, {.show = show_container_uevent, .store = store_uevent}},
};

/* Takes the child out as soon as it was made. */
static struct node *withdrawn(struct node *parent, const char *name)
{
	struct node *node = node_child(parent, name);

	node_withdraw(node);
	return node;
}

static int build_container(struct machine *machine, struct why *why)
{
	struct node *dev, *directory, *class, *numbers;
	int err = sysfs_directory(machine->root, "dev/vfio", &dev, why);

	if (err == 0)
		err = node_device(dev, "vfio", 0666, makedev(VFIO_MISC_MAJOR, VFIO_MISC_MINOR), why);
	if (err == 0)
		err = sysfs_directory(machine->root, "sys/devices/virtual/misc/vfio", &directory, why);
	if (err == 0)
		err = sysfs_attributes(directory, container_attributes, ARRAY_SIZE(container_attributes), machine, why);
	if (err == 0)
		err = sysfs_directory(machine->root, "sys/class/misc", &class, why);
	if (err == 0)
		err = node_link_to(class, "vfio", directory, why);
	if (err == 0)
		err = node_link_to(directory, "subsystem", class, why);
	if (err == 0)
		err = sysfs_directory(machine->root, "sys/dev/char", &numbers, why);
	return err < 0 ? err : node_link_to(numbers, "10:196", directory, why);
}

static int make_directory(struct machine *machine, struct vfio_nodes *nodes, const char *name, struct why *why)
{
	struct node *parent, *class;
	int err = sysfs_directory(machine->root, "sys/devices/virtual/vfio", &parent, why);

	if (err == 0)
		err = sysfs_directory(machine->root, "sys/class/vfio", &class, why);
	if (err == 0)
		err = node_directory(parent, name, &nodes->directory, why);
	if (err < 0)
		return err;
	/* Withdrawn only when the links that need its path are made; until then the tree owns it. */
	err = sysfs_attributes(nodes->directory, group_attributes, ARRAY_SIZE(group_attributes), nodes, why);
	return err < 0 ? err : node_link_to(nodes->directory, "subsystem", class, why);
}

static int make_nodes(struct machine *machine, struct vfio_nodes *nodes, struct why *why)
{
	struct node *dev = node_at(machine->root, "dev/vfio");
	struct node *numbers = node_at(machine->root, "sys/dev/char");
	struct node *class;
	char name[16];
	int err;

	snprintf(name, sizeof(name), "%d", nodes->group->id);
	err = make_directory(machine, nodes, name, why);
	if (err < 0)
		return err;
	class = node_at(machine->root, "sys/class/vfio");
	err = node_link_to(class, name, nodes->directory, why);
	if (err < 0)
		return err;
	nodes->class = withdrawn(class, name);
	err = node_link_to(numbers, name, nodes->directory, why);
	if (err < 0)
		return err;
	nodes->number = withdrawn(numbers, name);
	err = node_device(dev, name, 0600, 0, why);
	if (err < 0)
		return err;
	nodes->device = withdrawn(dev, name);
	node_withdraw(nodes->directory);
	return 0;
}

static int build_group(struct machine *machine, struct iommu_group *group, struct why *why)
{
	struct vfio_nodes *nodes = alloc_new(struct vfio_nodes, why);

	if (!nodes)
		return -why->err;
	nodes->group = group;
	list_append(&machine->vfio_nodes, &nodes->link);
	return make_nodes(machine, nodes, why);
}

static int build_device(struct machine *machine, struct device *device, struct why *why)
{
	int err = vfio_dev_nodes_make(machine, device->node, device->iommu != NULL, &device->vfio_nodes, why);

	return err < 0 || device->iommu ? err : noiommu_nodes_make(device, why);
}

int sysfs_build_vfio(struct machine *machine, struct why *why)
{
	struct iommu_group *group;
	struct device *device;
	int err = build_container(machine, why);

	if (err == 0)
		err = vfio_dev_nodes_init(machine, why);
	list_for_each(group, &machine->iommu.groups, link)
		if (err == 0)
			err = build_group(machine, group, why);
	list_for_each(device, &machine->devices, link)
		if (err == 0 && !pci_is_bridge(device->function))
			err = build_device(machine, device, why);
	return err;
}

/* NULL: not made yet. */
static struct vfio_nodes *find_nodes(struct machine *machine, int group_id)
{
	struct vfio_nodes *nodes;

	list_for_each(nodes, &machine->vfio_nodes, link)
		if (nodes->group->id == group_id)
			return nodes;
	return NULL;
}

static struct vfio_nodes *nodes_of(struct machine *machine, int group_id)
{
	struct vfio_nodes *nodes = find_nodes(machine, group_id);

	assert(nodes); /* vfio knows only our groups */
	return nodes;
}

int sysfs_add_vfio(struct device *device, struct why *why)
{
	struct machine *machine = device->machine;
	int err = 0;

	if (device->iommu && !find_nodes(machine, device->iommu->group->id))
		err = build_group(machine, device->iommu->group, why);
	return err < 0 ? err : build_device(machine, device, why);
}

static void remove_nodes(struct vfio_nodes *nodes)
{
	node_remove(nodes->device);
	node_remove(nodes->number);
	node_remove(nodes->class);
	node_remove(nodes->directory);
	list_remove(&nodes->link);
	free(nodes);
}

void sysfs_remove_vfio(struct device *device)
{
	struct iommu_group *group = device->iommu ? device->iommu->group : NULL;
	struct vfio_nodes *nodes = group ? find_nodes(device->machine, group->id) : NULL;

	vfio_dev_nodes_remove(&device->vfio_nodes);
	noiommu_nodes_remove(&device->noiommu_nodes);
	if (nodes && group->ndevices == 1)
		remove_nodes(nodes);
}

/* The one device of a group that VFIO made for want of an IOMMU; NULL: the group is another. */
static struct device *untranslated(const struct machine *machine, int group_id)
{
	const struct iommu_group *group = iommu_group_find(&machine->iommu, group_id);
	const struct iommu_device *member = list_first(&group->devices, struct iommu_device, group_link);

	return member->unit || member->function ? NULL : device_called(machine, member->name);
}

void sysfs_vfio_group_added(struct machine *machine, int group_id, unsigned minor)
{
	struct device *device = untranslated(machine, group_id);
	struct vfio_nodes *nodes;

	if (device) {
		noiommu_nodes_publish(&device->noiommu_nodes, group_id, minor);
		return;
	}
	nodes = nodes_of(machine, group_id);
	nodes->minor = minor;
	nodes->device->rdev = makedev(VFIO_MAJOR, minor);
	snprintf(nodes->number->name, sizeof(nodes->number->name), "%u:%u", VFIO_MAJOR, minor);
	node_publish(nodes->directory);
	node_publish(nodes->class);
	node_publish(nodes->number);
	node_publish(nodes->device);
}

void sysfs_vfio_group_removed(struct machine *machine, int group_id)
{
	struct device *device = untranslated(machine, group_id);
	struct vfio_nodes *nodes;

	if (device) {
		noiommu_nodes_withdraw(&device->noiommu_nodes);
		return;
	}
	nodes = nodes_of(machine, group_id);
	node_withdraw(nodes->device);
	node_withdraw(nodes->number);
	node_withdraw(nodes->class);
	node_withdraw(nodes->directory);
}

void sysfs_vfio_fini(struct machine *machine)
{
	struct vfio_nodes *nodes, *following;
	struct device *device;

	list_for_each(device, &machine->devices, link) {
		vfio_dev_nodes_remove(&device->vfio_nodes);
		noiommu_nodes_remove(&device->noiommu_nodes);
	}
	vfio_dev_nodes_fini(machine);
	list_for_each_safe(nodes, following, &machine->vfio_nodes, link)
		remove_nodes(nodes);
}
