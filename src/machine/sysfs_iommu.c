/* SPDX-License-Identifier: MIT */
/* sys/kernel/iommu_groups and the IOMMU units. */
#include <stdio.h>

#include "iommu/default_domain.h"
#include "machine/device.h"
#include "machine/sysfs.h"
#include "machine/unit.h"

static s64 show_regions(struct node *node, char *text, size_t size, struct why *why)
{
	struct reserved_region regions[GROUP_REGIONS];
	unsigned count = iommu_group_regions(node->context, regions, ARRAY_SIZE(regions));
	size_t used = 0;

	for (unsigned i = 0; i < count; i++)
		used += (size_t)show_text(text + used, size - used, "0x%016llx 0x%016llx %s\n",
					  (unsigned long long)regions[i].start, (unsigned long long)regions[i].last,
					  reserved_kind_name(regions[i].kind));
	return (s64)used;
}

static s64 show_type(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "%s\n", iommu_group_type(node->context));
}

static int store_type(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct iommu_group *group = node->context;
	char sample[TEXT_SAMPLE];
	struct text text;
	int err = iommu_group_settled(group, why);

	text_take(&text, bytes, size);
	if (err < 0)
		return err;
	for (enum group_type type = TYPE_AUTO; type <= TYPE_DMA_FQ; type++)
		if (text_is(&text, group_type_name(type)))
			return iommu_group_set_type(group, type, why);
	return refuse(why, GROUP_TYPE_WORD, "type of group %d cannot be \"%s\"", group->id,
		      text_sample(text.bytes, sample));
}

static const struct attribute group_attributes[] = {
	{"reserved_regions", 0444, {.show = show_regions}},
	{"type", 0644, {.show = show_type, .store = store_type}},
};

static s64 show_version(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "1:0\n"); /* VT-d architecture version register */
}

static s64 show_cap(struct node *node, char *text, size_t size, struct why *why)
{
	const struct iommu_unit *unit = node->context;

	return show_text(text, size, "%llx\n", (unsigned long long)unit->cap);
}

static s64 show_ecap(struct node *node, char *text, size_t size, struct why *why)
{
	const struct iommu_unit *unit = node->context;

	return show_text(text, size, "%llx\n", (unsigned long long)unit->ecap);
}

/* Where chipsets have their first unit; the others follow. */
static s64 show_address(struct node *node, char *text, size_t size, struct why *why)
{
	const struct iommu_unit *unit = node->context;

	return show_text(text, size, "%x\n", 0xfed90000 + unit->number * 0x1000);
}

/* CAP.ND: 2^(4 + 2 * ND) domain ids (VT-d 5.0 section 11.4.2). */
static s64 show_domains_supported(struct node *node, char *text, size_t size, struct why *why)
{
	const struct iommu_unit *unit = node->context;

	return show_text(text, size, "%llu\n", (unsigned long long)BIT(4 + 2 * (unit->cap & 7)));
}

/* Domains that some device is attached to. A domain is counted at the first group that has it. */
static unsigned count_domains(const struct machine *machine)
{
	const struct iommu_group *group, *earlier;
	unsigned count = 0;

	list_for_each(group, &machine->iommu.groups, link) {
		list_for_each(earlier, &machine->iommu.groups, link)
			if (earlier == group || earlier->domain == group->domain)
				break;
		count += earlier == group;
	}
	return count;
}

static s64 show_domains_used(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "%u\n", count_domains(node->data));
}

static const struct attribute intel_attributes[] = {
	{"version", 0444, {.show = show_version}},
	{"address", 0444, {.show = show_address}},
	{"cap", 0444, {.show = show_cap}},
	{"ecap", 0444, {.show = show_ecap}},
	{"domains_supported", 0444, {.show = show_domains_supported}},
};

static const struct node_ops domains_used_ops = {.show = show_domains_used};

static int build_intel(struct machine *machine, struct iommu_unit *unit, struct node *directory, struct why *why)
{
	struct node *registers;
	int err = sysfs_directory(directory, "intel-iommu", &registers, why);

	if (err == 0)
		err = sysfs_attributes(registers, intel_attributes, ARRAY_SIZE(intel_attributes), unit, why);
	return err < 0 ? err : node_attribute(registers, "domains_used", 0444, &domains_used_ops, unit, machine, why);
}

static s64 show_amd_cap(struct node *node, char *text, size_t size, struct why *why)
{
	const struct iommu_unit *unit = node->context;

	return show_text(text, size, "%x\n", unit->capability);
}

static s64 show_amd_features(struct node *node, char *text, size_t size, struct why *why)
{
	const struct iommu_unit *unit = node->context;

	return show_text(text, size, "%llx:%llx\n", (unsigned long long)unit->efr, (unsigned long long)unit->efr2);
}

static const struct attribute amd_attributes[] = {
	{"cap", 0444, {.show = show_amd_cap}},
	{"features", 0444, {.show = show_amd_features}},
};

static int build_amd(struct iommu_unit *unit, struct node *directory, struct why *why)
{
	struct node *registers;
	int err = sysfs_directory(directory, "amd-iommu", &registers, why);

	return err < 0 ? err : sysfs_attributes(registers, amd_attributes, ARRAY_SIZE(amd_attributes), unit, why);
}

/* Units that hang on a device name it; the others are virtual. */
static int link_parent(struct node *directory, struct why *why)
{
	struct node *parent = directory->parent->parent;

	if (strcmp(directory->parent->name, "iommu") != 0 || strcmp(parent->name, "virtual") == 0)
		return 0;
	return node_link_to(directory, "device", parent, why);
}

static int build_unit(struct machine *machine, struct iommu_unit *unit, struct why *why)
{
	struct node *directory, *devices, *class;
	char path[UNIT_PATH];
	int err = sysfs_directory(machine->root, unit_path(machine, unit, path), &directory, why);

	if (err == 0)
		err = sysfs_directory(directory, "devices", &devices, why);
	if (err == 0 && unit->kind == KIND_INTEL)
		err = build_intel(machine, unit, directory, why);
	if (err == 0 && unit->kind == KIND_AMD)
		err = build_amd(unit, directory, why);
	if (err == 0)
		err = link_parent(directory, why);
	if (err == 0)
		err = sysfs_directory(machine->root, "sys/class/iommu", &class, why);
	if (err == 0)
		err = node_link_to(class, unit->name, directory, why);
	return err < 0 ? err : node_link_to(directory, "subsystem", class, why);
}

int sysfs_build_iommu(struct machine *machine, struct why *why)
{
	struct iommu_unit *unit;
	struct node *unused;
	int err = sysfs_directory(machine->root, "sys/kernel/iommu_groups", &unused, why);

	if (err == 0)
		err = sysfs_directory(machine->root, "sys/class/iommu", &unused, why);
	list_for_each(unit, &machine->iommu.units, link)
		if (err == 0)
			err = build_unit(machine, unit, why);
	return err;
}

/* The three ways between a device, its group and its unit. */
static int link_device(const struct device *device, struct node *group, struct node *members, struct why *why)
{
	struct node *unit, *below;
	char path[UNIT_PATH];
	int err = node_link_to(members, device->name, device->node, why);

	if (err == 0)
		err = node_link_to(device->node, "iommu_group", group, why);
	unit = node_at(device->machine->root, unit_path(device->machine, device->iommu->unit, path));
	if (err == 0)
		err = node_link_to(device->node, "iommu", unit, why);
	below = node_child(unit, "devices");
	return err < 0 ? err : node_link_to(below, device->name, device->node, why);
}

/* Its directory, made if it is not there. */
static int group_directory(struct machine *machine, struct iommu_group *group, struct node **ret, struct why *why)
{
	struct node *unused;
	char path[64];
	int err;

	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d", group->id);
	*ret = node_at(machine->root, path);
	if (*ret)
		return 0;
	err = sysfs_directory(machine->root, path, ret, why);
	if (err == 0)
		err = sysfs_attributes(*ret, group_attributes, ARRAY_SIZE(group_attributes), group, why);
	return err < 0 ? err : sysfs_directory(*ret, "devices", &unused, why);
}

int sysfs_link_group(struct device *device, struct why *why)
{
	struct node *directory;
	int err = group_directory(device->machine, device->iommu->group, &directory, why);

	return err < 0 ? err : link_device(device, directory, node_child(directory, "devices"), why);
}

void sysfs_unlink_group(struct device *device)
{
	const struct iommu_group *group = device->iommu->group;
	struct node *root = device->machine->root, *directory, *unit;
	char path[UNIT_PATH];

	unit = node_at(root, unit_path(device->machine, device->iommu->unit, path));
	node_remove(node_child(node_child(unit, "devices"), device->name));
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d", group->id);
	directory = node_at(root, path);
	if (group->ndevices == 1)
		node_remove(directory);
	else if (directory && node_child(directory, "devices"))
		node_remove(node_child(node_child(directory, "devices"), device->name));
}

static int build_group(struct machine *machine, struct iommu_group *group, struct why *why)
{
	struct node *directory, *members;
	struct iommu_device *member;
	int err = group_directory(machine, group, &directory, why);

	if (err < 0)
		return err;
	members = node_child(directory, "devices");
	list_for_each(member, &group->devices, group_link)
		if (err == 0 && member->function) /* an emulated one links itself: machine/sysfs_mdev.c */
			err = link_device(device_find(machine, member->function->addr), directory, members, why);
	return err;
}

int sysfs_build_groups(struct machine *machine, struct why *why)
{
	struct iommu_group *group;

	list_for_each(group, &machine->iommu.groups, link) {
		int err = build_group(machine, group, why);

		if (err < 0)
			return err;
	}
	return 0;
}
