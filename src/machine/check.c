/* SPDX-License-Identifier: MIT */
/* machine_check(): what must hold between two requests, whatever the programs have done. */
#include "machine/device.h"
#include "machine/files.h"
#include "machine/mdev.h"

/* Only the links to devices have a colon in their name. */
static unsigned count_links(const struct node *directory)
{
	const struct node *child;
	unsigned count = 0;

	list_for_each(child, &directory->children, link)
		count += child->kind == NODE_LINK && strchr(child->name, ':');
	return count;
}

static unsigned count_bound(const struct machine *machine, const struct driver *driver)
{
	const struct device *device;
	unsigned count = 0;

	list_for_each(device, &machine->devices, link)
		count += device->driver == driver;
	return count;
}

static void check_drivers(const struct machine *machine)
{
	const struct driver *driver;

	list_for_each(driver, &machine->drivers, link) {
		driver_check(driver);
		assert(count_links(driver->node) == count_bound(machine, driver));
	}
}

static void check_devices(const struct machine *machine)
{
	const struct device *device;

	assert(list_length(&machine->devices) == machine->topology.count);
	list_for_each(device, &machine->devices, link)
		device_check(device);
}

static void check_files(const struct machine *machine)
{
	for (struct file *file = files_next(machine->files, NULL); file; file = files_next(machine->files, file)) {
		assert(file->descriptions > 0);
		assert(files_find(machine->files, file->host_device, file->inode) == file);
	}
}

void machine_check(struct machine *machine)
{
	mutex_lock(&machine->lock);
	files_drain(machine->files);
	iommu_check(&machine->iommu);
	iommufd_check(&machine->iommufd);
	vfio_check(&machine->vfio);
	check_drivers(machine);
	check_devices(machine);
	mdevs_check(machine);
	assert(list_empty(&machine->remarks));
	check_files(machine);
	node_check(machine->root);
	mutex_unlock(&machine->lock);
}
