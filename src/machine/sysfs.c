/* SPDX-License-Identifier: MIT */
#include "machine/sysfs.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "machine/device.h"
#include "machine/mdev.h"
#include "machine/sriov.h"

s64 show_text(char *text, size_t size, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(text, size, format, args);
	va_end(args);
	return (s64)min_u64((u64)length, size ? size - 1 : 0);
}

int store_uevent(struct node *node, const char *bytes, size_t size, struct why *why)
{
	static const char *const actions[] = {"add", "remove", "change", "move", "online", "offline", "bind", "unbind"};
	char sample[TEXT_SAMPLE];
	struct text text;

	text_take(&text, bytes, size);
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		size_t length = strlen(actions[i]);

		if (strncmp(text.bytes, actions[i], length) == 0 && !isalnum((unsigned char)text.bytes[length]))
			return 0;
	}
	return refuse(why, ATTRIBUTE_VALUE, "uevent takes add, remove, change, ..., not \"%s\"",
		      text_sample(text.bytes, sample));
}

int sysfs_directory(struct node *root, const char *path, struct node **ret, struct why *why)
{
	struct node *node = root;

	while (*path) {
		char name[sizeof(node->name)];
		struct node *child;
		size_t length = strcspn(path, "/");
		int err = 0;

		snprintf(name, sizeof(name), "%.*s", (int)length, path);
		child = node_child(node, name);
		if (!child)
			err = node_directory(node, name, &child, why);
		if (err < 0)
			return err;
		node = child;
		path += length;
		path += strspn(path, "/");
	}
	*ret = node;
	return 0;
}

int sysfs_attributes(struct node *directory, const struct attribute *table, size_t count, void *context,
		     struct why *why)
{
	for (size_t i = 0; i < count; i++) {
		int err;

		if (table[i].when && !table[i].when(context))
			continue;
		err = node_attribute(directory, table[i].name, table[i].mode, &table[i].ops, context, table[i].data,
				     why);
		if (err < 0)
			return err;
		if (table[i].size)
			node_child(directory, table[i].name)->size = table[i].size;
	}
	return 0;
}

int sysfs_build(struct machine *machine, struct why *why)
{
	struct device *device;
	int err = node_root(&machine->root, why);

	/* Drivers before the devices whose links name them, devices before the units that are among them. */
	if (err == 0)
		err = sysfs_build_bus(machine, why);
	if (err == 0)
		err = sysfs_build_modules(machine, why);
	list_for_each(device, &machine->devices, link)
		if (err == 0)
			err = sysfs_build_device(device, why);
	if (err == 0)
		err = sysfs_build_iommu(machine, why);
	if (err == 0)
		err = sysfs_build_groups(machine, why);
	if (err == 0)
		err = sysfs_build_vfio(machine, why);
	if (err == 0)
		err = sysfs_build_mdevs(machine, why);
	if (err == 0)
		err = sysfs_build_iommufd(machine, why);
	if (err == 0)
		err = sysfs_build_aer(machine, why);
	if (err == 0 && machine->description->selftest)
		err = sysfs_build_debug(machine, why);
	return err;
}

int sysfs_add_device(struct device *device, struct why *why)
{
	int err = sysfs_build_device(device, why);

	if (err == 0 && device->iommu)
		err = sysfs_link_group(device, why);
	return err < 0 ? err : sysfs_add_vfio(device, why);
}

void sysfs_remove_device(struct device *device)
{
	struct node *devices = node_at(device->machine->root, "sys/bus/pci/devices");

	sysfs_remove_vfio(device);
	if (device->iommu)
		sysfs_unlink_group(device);
	if (device->function->physical)
		sysfs_unlink_virtual(device);
	node_remove(node_child(devices, device->name));
	node_remove(device->node);
	device->node = NULL;
}

int sysfs_driver_bound(struct device *device, struct driver *driver, struct why *why)
{
	int err = node_link_to(device->node, "driver", driver->node, why);

	if (err < 0)
		return err;
	device->driver_link = node_child(device->node, "driver");
	err = node_link_to(driver->node, device->name, device->node, why);
	if (err < 0) {
		sysfs_driver_unbound(device);
		return err;
	}
	device->driver_entry = node_child(driver->node, device->name);
	return 0;
}

void sysfs_driver_unbound(struct device *device)
{
	node_remove(device->driver_link);
	node_remove(device->driver_entry);
	device->driver_link = device->driver_entry = NULL;
}

void sysfs_check_device(const struct device *device)
{
	const struct driver *driver = device->driver;

	assert(node_child(device->node, "driver") == device->driver_link);
	assert((driver != NULL) == (device->driver_link != NULL));
	if (!driver)
		return;
	assert(node_child(driver->node, device->name) == device->driver_entry);
	assert(node_walk(device->machine->root, "sys/bus/pci/devices"));
	assert(node_child(device->node, "vfio-dev") == (device->vfio ? device->vfio_nodes.directory : NULL));
}
