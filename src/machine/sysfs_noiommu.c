/* SPDX-License-Identifier: MIT */
#include "machine/sysfs_noiommu.h"

#include <stdio.h>
#include <sys/sysmacros.h>

#include "machine/device.h"
#include "machine/sysfs.h"

/* N is the widest until it is known. */
#define PREFIX	      "noiommu-"
#define WIDEST_NUMBER "2147483647"
#define WIDEST	      PREFIX WIDEST_NUMBER
#define WIDEST_CHAR   "4294967295:4294967295"

static s64 show_number(struct node *node, char *text, size_t size, struct why *why)
{
	const struct noiommu_nodes *nodes = node->context;

	return show_text(text, size, "%u:%u\n", VFIO_MAJOR, nodes->minor);
}

static s64 show_uevent(struct node *node, char *text, size_t size, struct why *why)
{
	const struct noiommu_nodes *nodes = node->context;

	return show_text(text, size, "MAJOR=%u\nMINOR=%u\nDEVNAME=vfio/" PREFIX "%d\n", VFIO_MAJOR, nodes->minor,
			 nodes->id);
}

static s64 show_name(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "vfio-noiommu\n");
}

/* Nothing is reserved where nothing is translated. */
static s64 show_regions(struct node *node, char *text, size_t size, struct why *why)
{
	return 0;
}

static const struct attribute attributes[] = {
	{"dev", 0444, {.show = show_number}},
	{"uevent", 0644, {.show = show_uevent, .store = store_uevent}},
};

static const struct attribute group_attributes[] = {
	{"name", 0444, {.show = show_name}},
	{"reserved_regions", 0444, {.show = show_regions}},
};

/* Takes the child out as soon as it was made. */
static struct node *withdrawn(struct node *parent, const char *name)
{
	struct node *node = node_child(parent, name);

	node_withdraw(node);
	return node;
}

/* The tree owns the directory until all links that need its path are made; then it is withdrawn. */
static int make_group(struct device *device, struct why *why)
{
	struct noiommu_nodes *nodes = &device->noiommu_nodes;
	struct node *groups, *members, *group;
	int err = sysfs_directory(device->machine->root, "sys/kernel/iommu_groups", &groups, why);

	if (err == 0)
		err = node_directory(groups, WIDEST_NUMBER, &group, why);
	if (err < 0)
		return err;
	err = sysfs_attributes(group, group_attributes, ARRAY_SIZE(group_attributes), nodes, why);
	if (err == 0)
		err = node_directory(group, "devices", &members, why);
	if (err == 0)
		err = node_link_to(members, device->name, device->node, why);
	if (err == 0)
		err = node_link_to(device->node, "iommu_group", group, why);
	if (err == 0)
		nodes->link = withdrawn(device->node, "iommu_group");
	node_withdraw(group);
	nodes->group = group;
	return err;
}

static int make_links(struct machine *machine, struct noiommu_nodes *nodes, struct node *directory, struct why *why)
{
	struct node *class, *numbers;
	int err = sysfs_directory(machine->root, "sys/class/vfio", &class, why);

	if (err == 0)
		err = node_link_to(directory, "subsystem", class, why);
	if (err == 0)
		err = node_link_to(class, WIDEST, directory, why);
	if (err < 0)
		return err;
	nodes->class = withdrawn(class, WIDEST);
	err = sysfs_directory(machine->root, "sys/dev/char", &numbers, why);
	if (err == 0)
		err = node_link_to(numbers, WIDEST_CHAR, directory, why);
	if (err == 0)
		nodes->number = withdrawn(numbers, WIDEST_CHAR);
	return err;
}

static int make_file(struct device *device, struct why *why)
{
	struct noiommu_nodes *nodes = &device->noiommu_nodes;
	struct machine *machine = device->machine;
	struct node *parent, *dev, *directory;
	int err = sysfs_directory(machine->root, "sys/devices/virtual/vfio", &parent, why);

	if (err == 0)
		err = node_directory(parent, WIDEST, &directory, why);
	if (err < 0)
		return err;
	err = sysfs_attributes(directory, attributes, ARRAY_SIZE(attributes), nodes, why);
	if (err == 0)
		err = make_links(machine, nodes, directory, why);
	node_withdraw(directory);
	nodes->directory = directory;
	if (err == 0)
		err = sysfs_directory(machine->root, "dev/vfio", &dev, why);
	if (err == 0)
		err = node_device(dev, WIDEST, 0600, 0, why);
	if (err == 0)
		nodes->node = withdrawn(dev, WIDEST);
	return err;
}

int noiommu_nodes_make(struct device *device, struct why *why)
{
	int err = make_group(device, why);

	return err < 0 ? err : make_file(device, why);
}

void noiommu_nodes_remove(struct noiommu_nodes *nodes)
{
	node_remove(nodes->node);
	node_remove(nodes->number);
	node_remove(nodes->class);
	node_remove(nodes->directory);
	node_remove(nodes->link);
	node_remove(nodes->group);
	*nodes = (struct noiommu_nodes){.id = 0};
}

/* The target was made for the widest number there is. */
static void point_link(struct node *link, const char *prefix, int id)
{
	char *name = strrchr(link->target, '/') + 1;

	snprintf(name, sizeof(WIDEST), "%s%d", prefix, id);
}

void noiommu_nodes_publish(struct noiommu_nodes *nodes, int id, unsigned minor)
{
	nodes->id = id;
	nodes->minor = minor;
	snprintf(nodes->group->name, sizeof(nodes->group->name), "%d", id);
	snprintf(nodes->directory->name, sizeof(nodes->directory->name), PREFIX "%d", id);
	snprintf(nodes->class->name, sizeof(nodes->class->name), PREFIX "%d", id);
	snprintf(nodes->number->name, sizeof(nodes->number->name), "%u:%u", VFIO_MAJOR, minor);
	snprintf(nodes->node->name, sizeof(nodes->node->name), PREFIX "%d", id);
	nodes->node->rdev = makedev(VFIO_MAJOR, minor);
	point_link(nodes->link, "", id);
	point_link(nodes->class, PREFIX, id);
	point_link(nodes->number, PREFIX, id);
	node_publish(nodes->group);
	node_publish(nodes->link);
	node_publish(nodes->directory);
	node_publish(nodes->class);
	node_publish(nodes->number);
	node_publish(nodes->node);
}

void noiommu_nodes_withdraw(struct noiommu_nodes *nodes)
{
	node_withdraw(nodes->node);
	node_withdraw(nodes->number);
	node_withdraw(nodes->class);
	node_withdraw(nodes->directory);
	node_withdraw(nodes->link);
	node_withdraw(nodes->group);
}
