/* SPDX-License-Identifier: MIT */
/* What iommufd shows: /dev/iommu, a misc device whose minor a real host chooses. */
#include <stdio.h>
#include <sys/sysmacros.h>

#include "machine/sysfs.h"

static s64 show_number(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "%u:%u\n", IOMMUFD_MISC_MAJOR, IOMMUFD_MISC_MINOR);
}

static s64 show_uevent(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "MAJOR=%u\nMINOR=%u\nDEVNAME=iommu\nDEVMODE=0660\n", IOMMUFD_MISC_MAJOR,
			 IOMMUFD_MISC_MINOR);
}

static const struct attribute attributes[] = {
	{"dev", 0444, {.show = show_number}},
	{"uevent", 0644, {.show = show_uevent, .store = store_uevent}},
};

/* sys/class/misc and sys/dev/char are made by vfio's part too, whoever comes first. */
static int build_links(struct machine *machine, struct node *directory, struct why *why)
{
	struct node *class, *numbers;
	char number[16];
	int err = sysfs_directory(machine->root, "sys/class/misc", &class, why);

	if (err == 0)
		err = node_link_to(class, "iommu", directory, why);
	if (err == 0)
		err = node_link_to(directory, "subsystem", class, why);
	if (err == 0)
		err = sysfs_directory(machine->root, "sys/dev/char", &numbers, why);
	snprintf(number, sizeof(number), "%u:%u", IOMMUFD_MISC_MAJOR, IOMMUFD_MISC_MINOR);
	return err < 0 ? err : node_link_to(numbers, number, directory, why);
}

int sysfs_build_iommufd(struct machine *machine, struct why *why)
{
	struct node *dev, *directory;
	int err = sysfs_directory(machine->root, "dev", &dev, why);

	if (err == 0)
		err = node_device(dev, "iommu", 0660, makedev(IOMMUFD_MISC_MAJOR, IOMMUFD_MISC_MINOR), why);
	if (err == 0)
		err = sysfs_directory(machine->root, "sys/devices/virtual/misc/iommu", &directory, why);
	if (err == 0)
		err = sysfs_attributes(directory, attributes, ARRAY_SIZE(attributes), machine, why);
	return err < 0 ? err : build_links(machine, directory, why);
}
