/* SPDX-License-Identifier: MIT */
#include "machine/sysfs_vfio.h"

#include <stdio.h>
#include <sys/sysmacros.h>

#include "machine/sysfs.h"

/* N is the widest until it is known. */
#define WIDEST_NUMBER "4294967295"
#define WIDEST	      "vfio" WIDEST_NUMBER
#define WIDEST_CHAR   "4294967295:" WIDEST_NUMBER

static s64 show_number(struct node *node, char *text, size_t size, struct why *why)
{
	const struct vfio_dev_nodes *nodes = node->context;

	return show_text(text, size, "%u:%u\n", VFIO_DEVICE_MAJOR, nodes->index);
}

static s64 show_uevent(struct node *node, char *text, size_t size, struct why *why)
{
	const struct vfio_dev_nodes *nodes = node->context;

	if (!nodes->device)
		return 0;
	return show_text(text, size, "MAJOR=%u\nMINOR=%u\nDEVNAME=vfio/devices/vfio%u\n", VFIO_DEVICE_MAJOR,
			 nodes->index, nodes->index);
}

static const struct attribute attributes[] = {
	{"uevent", 0644, {.show = show_uevent, .store = store_uevent}},
	{"dev", 0444, {.show = show_number}}, /* last: not without a character device */
};

int vfio_dev_nodes_init(struct machine *machine, struct why *why)
{
	struct node *dev, *unused;
	int err = sysfs_directory(machine->root, "sys/class/vfio-dev", &unused, why);

	if (err == 0)
		err = sysfs_directory(machine->root, "dev/vfio", &dev, why);
	if (err == 0)
		err = node_directory(dev, "devices", &machine->vfio_devices, why);
	if (err == 0)
		node_withdraw(machine->vfio_devices);
	return err;
}

void vfio_dev_nodes_fini(struct machine *machine)
{
	node_remove(machine->vfio_devices);
	machine->vfio_devices = NULL;
}

/* Takes the child out as soon as it was made. */
static struct node *withdrawn(struct node *parent, const char *name)
{
	struct node *node = node_child(parent, name);

	node_withdraw(node);
	return node;
}

static int make_directory(struct node *above, struct node *class, bool numbered, struct vfio_dev_nodes *nodes,
			  struct node **ret, struct why *why)
{
	size_t count = ARRAY_SIZE(attributes) - !numbered;
	struct node *directory;
	int err = node_directory(above, "vfio-dev", &nodes->directory, why);

	if (err == 0)
		err = node_directory(nodes->directory, WIDEST, &directory, why);
	if (err == 0)
		err = sysfs_attributes(directory, attributes, count, nodes, why);
	if (err == 0)
		err = node_link_to(directory, "device", above, why);
	if (err == 0)
		err = node_link_to(directory, "subsystem", class, why);
	*ret = directory;
	return err;
}

static int make_link(struct node *from, const char *name, const struct node *to, struct node **ret, struct why *why)
{
	int err = node_link_to(from, name, to, why);

	if (err == 0)
		*ret = withdrawn(from, name);
	return err;
}

static int make_numbered(struct machine *machine, const struct node *directory, struct vfio_dev_nodes *nodes,
			 struct why *why)
{
	struct node *numbers = node_at(machine->root, "sys/dev/char");
	int err = make_link(numbers, WIDEST_CHAR, directory, &nodes->number, why);

	if (err == 0)
		err = node_device(machine->vfio_devices, WIDEST, 0600, 0, why);
	if (err == 0)
		nodes->device = withdrawn(machine->vfio_devices, WIDEST);
	return err;
}

int vfio_dev_nodes_make(struct machine *machine, struct node *above, bool numbered, struct vfio_dev_nodes *nodes,
			struct why *why)
{
	struct node *class = node_at(machine->root, "sys/class/vfio-dev");
	struct node *directory;
	int err = make_directory(above, class, numbered, nodes, &directory, why);

	if (err == 0)
		err = make_link(class, WIDEST, directory, &nodes->class, why);
	if (err == 0 && numbered)
		err = make_numbered(machine, directory, nodes, why);
	if (err < 0)
		return err;
	/* Only when the links that needed its path are made. */
	node_withdraw(nodes->directory);
	return 0;
}

void vfio_dev_nodes_remove(struct vfio_dev_nodes *nodes)
{
	node_remove(nodes->device);
	node_remove(nodes->number);
	node_remove(nodes->class);
	node_remove(nodes->directory);
	*nodes = (struct vfio_dev_nodes){.index = 0};
}

/* The target was made for the widest number there is. */
static void point_link(struct node *link, unsigned index)
{
	char *number = strrchr(link->target, '/') + strlen("/vfio");

	snprintf(number, sizeof(WIDEST_NUMBER), "%u", index);
}

static void publish_numbered(struct machine *machine, struct vfio_dev_nodes *nodes)
{
	snprintf(nodes->number->name, sizeof(nodes->number->name), "%u:%u", VFIO_DEVICE_MAJOR, nodes->index);
	snprintf(nodes->device->name, sizeof(nodes->device->name), "vfio%u", nodes->index);
	nodes->device->rdev = makedev(VFIO_DEVICE_MAJOR, nodes->index);
	point_link(nodes->number, nodes->index);
	if (list_empty(&machine->vfio_devices->children))
		node_publish(machine->vfio_devices);
	node_publish(nodes->number);
	node_publish(nodes->device);
}

void vfio_dev_nodes_publish(struct machine *machine, struct vfio_dev_nodes *nodes, unsigned index)
{
	struct node *directory = list_first(&nodes->directory->children, struct node, link);

	nodes->index = index;
	snprintf(directory->name, sizeof(directory->name), "vfio%u", index);
	snprintf(nodes->class->name, sizeof(nodes->class->name), "vfio%u", index);
	point_link(nodes->class, index);
	node_publish(nodes->directory);
	node_publish(nodes->class);
	if (nodes->device)
		publish_numbered(machine, nodes);
}

void vfio_dev_nodes_withdraw(struct machine *machine, struct vfio_dev_nodes *nodes)
{
	node_withdraw(nodes->class);
	node_withdraw(nodes->directory);
	if (!nodes->device)
		return;
	node_withdraw(nodes->device);
	node_withdraw(nodes->number);
	if (list_empty(&machine->vfio_devices->children))
		node_withdraw(machine->vfio_devices);
}
