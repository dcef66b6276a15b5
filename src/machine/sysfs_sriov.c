/* SPDX-License-Identifier: MIT */
/* SR-IOV in a device's directory, as drivers/pci/iov.c shows it. */
#include <stdio.h>

#include "machine/sriov.h"
#include "machine/sysfs.h"

static s64 show_total(struct node *node, char *text, size_t size, struct why *why)
{
	const struct device *device = node->context;

	return show_text(text, size, "%u\n", pci_sriov_total(device->function));
}

static s64 show_number(struct node *node, char *text, size_t size, struct why *why)
{
	const struct device *device = node->context;

	return show_text(text, size, "%u\n", pci_sriov_number(device->function));
}

static int store_number(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct device *device = node->context;
	struct text text;
	u64 number;
	int err;

	text_take(&text, bytes, size);
	err = text_unsigned(&text, node, &number, why);
	if (err < 0)
		return err;
	if (number > UINT16_MAX)
		return refuse(why, ATTRIBUTE_VALUE, "%s of %s has 16 bits, which %llu needs more than", node->name,
			      device->name, (unsigned long long)number);
	return sriov_set_number(device, (u16)number, why);
}

/* A register of the capability; data is its offset. */
static u16 sriov_register(const struct node *node)
{
	const struct device *device = node->context;

	return get_u16(device->function->config + device->function->cap_sriov + *(const u16 *)node->data);
}

static s64 show_register(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "%u\n", sriov_register(node));
}

static s64 show_device_id(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "%x\n", sriov_register(node));
}

static s64 show_autoprobe(struct node *node, char *text, size_t size, struct why *why)
{
	const struct device *device = node->context;

	return show_text(text, size, "%u\n", !device->vf_probing_off);
}

static int store_autoprobe(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct device *device = node->context;
	struct text text;
	bool probing;
	int err;

	text_take(&text, bytes, size);
	err = text_yes(&text, node, &probing, why);
	if (err == 0)
		device->vf_probing_off = !probing;
	return err;
}

/* No driver of ours gives virtual functions vectors of a common pool. */
static s64 show_total_msix(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "0\n");
}

static const struct attribute attributes[] = {
	{"sriov_totalvfs", 0444, {.show = show_total}},
	{"sriov_numvfs", 0644, {.show = show_number, .store = store_number}},
	{"sriov_offset", 0444, {.show = show_register}, &(const u16){PCI_SRIOV_OFFSET}},
	{"sriov_stride", 0444, {.show = show_register}, &(const u16){PCI_SRIOV_STRIDE}},
	{"sriov_vf_device", 0444, {.show = show_device_id}, &(const u16){PCI_SRIOV_DEVICE}},
	{"sriov_drivers_autoprobe", 0644, {.show = show_autoprobe, .store = store_autoprobe}},
	{"sriov_vf_total_msix", 0444, {.show = show_total_msix}},
};

#define LINK_NAME 24

/* Of the physical function, whose directory is there first; false: it has no such link. */
static bool link_name(const struct device *device, char text[static LINK_NAME])
{
	unsigned n;

	if (!sriov_position(device, &n))
		return false;
	snprintf(text, LINK_NAME, "virtfn%u", n);
	return true;
}

static int link_virtual(struct device *device, struct why *why)
{
	const struct pci_function *function = device->function;
	struct node *physical = device_find(device->machine, function->physical->addr)->node;
	char name[LINK_NAME];
	int err = node_link_to(device->node, "physfn", physical, why);

	if (err == 0 && link_name(device, name))
		err = node_link_to(physical, name, device->node, why);
	return err;
}

int sysfs_build_sriov(struct device *device, struct why *why)
{
	if (device->function->physical)
		return link_virtual(device, why);
	if (!pci_is_physical(device->function))
		return 0;
	return sysfs_attributes(device->node, attributes, ARRAY_SIZE(attributes), device, why);
}

void sysfs_unlink_virtual(struct device *device)
{
	struct node *physical = device_find(device->machine, device->function->physical->addr)->node;
	char name[LINK_NAME];

	if (link_name(device, name))
		node_remove(node_child(physical, name));
}
