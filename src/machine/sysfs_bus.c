/* SPDX-License-Identifier: MIT */
/* sys/bus/pci, its drivers, and sys/module. */
#include <stdio.h>

#include "machine/bus.h"
#include "machine/sysfs.h"

static int store_bind(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct text text;

	text_take(&text, bytes, size);
	return bus_bind(node->context, &text, why);
}

static int store_unbind(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct text text;

	text_take(&text, bytes, size);
	return bus_unbind(node->context, &text, why);
}

static int store_new_id(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct text text;

	text_take(&text, bytes, size);
	return bus_new_id(node->context, &text, why);
}

static int store_remove_id(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct text text;

	text_take(&text, bytes, size);
	return driver_remove_id(node->context, &text, why);
}

static int store_drivers_probe(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct text text;

	text_take(&text, bytes, size);
	return bus_drivers_probe(node->context, &text, why);
}

static s64 show_autoprobe(struct node *node, char *text, size_t size, struct why *why)
{
	const struct machine *machine = node->context;

	return show_text(text, size, "%d\n", !machine->autoprobe_off);
}

/* Linux looks at the first byte only: '0' is off, all else is on. */
static int store_autoprobe(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct machine *machine = node->context;

	machine->autoprobe_off = size && bytes[0] == '0';
	return 0;
}

/* Nothing can have been plugged in: a rescan finds what is there. */
static int store_rescan(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct text text;
	bool ignored;

	text_take(&text, bytes, size);
	return text_flag(&text, node, &ignored, why);
}

static const struct attribute bus_attributes[] = {
	{"drivers_autoprobe", 0644, {.show = show_autoprobe, .store = store_autoprobe}},
	{"drivers_probe", 0200, {.store = store_drivers_probe}},
	{"rescan", 0200, {.store = store_rescan}},
	{"uevent", 0200, {.store = store_uevent}},
};

static const struct attribute driver_attributes[] = {
	{"bind", 0200, {.store = store_bind}},	   {"unbind", 0200, {.store = store_unbind}},
	{"new_id", 0200, {.store = store_new_id}}, {"remove_id", 0200, {.store = store_remove_id}},
	{"uevent", 0200, {.store = store_uevent}},
};

static int build_driver(struct node *drivers, struct driver *driver, struct why *why)
{
	int err = node_directory(drivers, driver->name, &driver->node, why);

	if (err < 0)
		return err;
	return sysfs_attributes(driver->node, driver_attributes, ARRAY_SIZE(driver_attributes), driver, why);
}

int sysfs_build_bus(struct machine *machine, struct why *why)
{
	struct node *bus, *unused, *drivers;
	struct driver *driver;
	int err = sysfs_directory(machine->root, "sys/bus/pci", &bus, why);

	if (err == 0)
		err = sysfs_attributes(bus, bus_attributes, ARRAY_SIZE(bus_attributes), machine, why);
	if (err == 0)
		err = node_directory(bus, "devices", &unused, why);
	if (err == 0)
		err = node_directory(bus, "slots", &unused, why);
	if (err == 0)
		err = node_directory(bus, "drivers", &drivers, why);
	list_for_each(driver, &machine->drivers, link)
		if (err == 0)
			err = build_driver(drivers, driver, why);
	return err;
}

static s64 show_constant(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "%s\n", (const char *)node->data);
}

static s64 show_entry_limit(struct node *node, char *text, size_t size, struct why *why)
{
	const struct machine *machine = node->context;

	return show_text(text, size, "%u\n", machine->vfio.dma_entry_limit);
}

static int store_entry_limit(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct machine *machine = node->context;
	struct text text;
	u64 limit;
	int err;

	text_take(&text, bytes, size);
	err = text_unsigned(&text, node, &limit, why);
	if (err < 0)
		return err;
	if (limit > UINT32_MAX)
		return refuse(why, ATTRIBUTE_VALUE, "%s takes at most 32 bits, not %#llx", node->name,
			      (unsigned long long)limit);
	machine->vfio.dma_entry_limit = (unsigned)limit;
	return 0;
}

static s64 show_flag(const bool *flag, char *text, size_t size)
{
	return show_text(text, size, "%c\n", *flag ? 'Y' : 'N');
}

static int store_flag(struct node *node, bool *flag, const char *bytes, size_t size, struct why *why)
{
	struct text text;

	text_take(&text, bytes, size);
	return text_yes(&text, node, flag, why);
}

#define FLAG(name, member)                                                                                             \
	static s64 show_##name(struct node *node, char *text, size_t size, struct why *why)                            \
	{                                                                                                              \
		return show_flag(&((const struct machine *)node->context)->member, text, size);                        \
	}                                                                                                              \
	static int store_##name(struct node *node, const char *bytes, size_t size, struct why *why)                    \
	{                                                                                                              \
		return store_flag(node, &((struct machine *)node->context)->member, bytes, size, why);                 \
	}

FLAG(iommufd_unsafe, iommufd.unsafe_interrupts)
FLAG(type1_unsafe, vfio.unsafe_interrupts)
FLAG(noiommu, vfio.noiommu)

/* Where a parameter of vfio_pci is in struct vfio_pci_options. */
#define PCI_PARAMETER(name) (&(const size_t){offsetof(struct vfio_pci_options, name)})

static bool *pci_parameter(const struct node *node)
{
	struct machine *machine = node->context;

	return (bool *)(void *)((char *)&machine->vfio.pci + *(const size_t *)node->data);
}

static s64 show_pci_parameter(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "%c\n", *pci_parameter(node) ? 'Y' : 'N');
}

static int store_pci_parameter(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct text text;

	text_take(&text, bytes, size);
	return text_yes(&text, node, pci_parameter(node), why);
}

#define PCI_SHOW                                                                                                       \
	{                                                                                                              \
		.show = show_pci_parameter                                                                             \
	}
#define PCI_STORE                                                                                                      \
	{                                                                                                              \
		.show = show_pci_parameter, .store = store_pci_parameter                                               \
	}

/* What each module shows; the parameters are those that programs look at. */
static const struct {
	const char *module;
	struct attribute parameter;
} parameters[] = {
	{"iommufd", {"allow_unsafe_interrupts", 0644, {.show = show_iommufd_unsafe, .store = store_iommufd_unsafe}}},
	{"vfio", {"enable_unsafe_noiommu_mode", 0644, {.show = show_noiommu, .store = store_noiommu}}},
	{"vfio_iommu_type1",
	 {"allow_unsafe_interrupts", 0644, {.show = show_type1_unsafe, .store = store_type1_unsafe}}},
	{"vfio_iommu_type1", {"disable_hugepages", 0444, {.show = show_constant}, "N"}},
	{"vfio_iommu_type1", {"dma_entry_limit", 0644, {.show = show_entry_limit, .store = store_entry_limit}}},
	{"vfio_pci", {"enable_sriov", 0644, PCI_STORE, PCI_PARAMETER(enable_sriov)}},
	{"vfio_pci", {"disable_denylist", 0444, PCI_SHOW, PCI_PARAMETER(disable_denylist)}},
	{"vfio_pci", {"disable_vga", 0444, PCI_SHOW, PCI_PARAMETER(disable_vga)}},
	{"vfio_pci", {"nointxmask", 0644, PCI_STORE, PCI_PARAMETER(nointxmask)}},
	{"vfio_pci", {"disable_idle_d3", 0644, PCI_STORE, PCI_PARAMETER(disable_idle_d3)}},
	{"vfio_pci", {"ids", 0444, {.show = show_constant}, ""}},
};

static const struct attribute module_attributes[] = {
	{"initstate", 0444, {.show = show_constant}, "live"},
	{"uevent", 0200, {.store = store_uevent}},
};

static int build_module(struct machine *machine, const char *name, struct node **ret, struct why *why)
{
	char path[96];
	int err;

	snprintf(path, sizeof(path), "sys/module/%s", name);
	*ret = node_at(machine->root, path);
	if (*ret)
		return 0;
	err = sysfs_directory(machine->root, path, ret, why);
	if (err == 0)
		err = sysfs_attributes(*ret, module_attributes, ARRAY_SIZE(module_attributes), machine, why);
	return err;
}

static int build_parameters(struct machine *machine, struct why *why)
{
	for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
		struct node *module, *directory;
		int err = build_module(machine, parameters[i].module, &module, why);

		if (err == 0)
			err = sysfs_directory(module, "parameters", &directory, why);
		if (err == 0)
			err = sysfs_attributes(directory, &parameters[i].parameter, 1, machine, why);
		if (err < 0)
			return err;
	}
	return 0;
}

/* The links between a driver and its module; pcieport is built in. */
static int build_driver_module(struct machine *machine, struct driver *driver, struct why *why)
{
	char name[sizeof(driver->name)], entry[sizeof(driver->name) + 4];
	struct node *module, *drivers;
	int err;

	if (driver->kind == DRIVER_PORT)
		return 0;
	snprintf(name, sizeof(name), "%s", driver->name);
	for (char *c = name; *c; c++)
		if (*c == '-')
			*c = '_';
	err = build_module(machine, name, &module, why);
	/* driverctl looks for the driver's name and would have the host's modprobe load it. Linux has no such link. */
	if (err == 0 && strcmp(name, driver->name) != 0)
		err = node_link(module->parent, driver->name, name, why);
	if (err == 0)
		err = sysfs_directory(module, "drivers", &drivers, why);
	snprintf(entry, sizeof(entry), "pci:%s", driver->name);
	if (err == 0)
		err = node_link_to(drivers, entry, driver->node, why);
	return err < 0 ? err : node_link_to(driver->node, "module", module, why);
}

int sysfs_build_modules(struct machine *machine, struct why *why)
{
	struct driver *driver;
	int err = build_parameters(machine, why);

	list_for_each(driver, &machine->drivers, link)
		if (err == 0)
			err = build_driver_module(machine, driver, why);
	return err;
}

/* Without the directories of a module: what was loaded from outside of the room is no file in it. */
int sysfs_add_driver(struct machine *machine, struct driver *driver, struct why *why)
{
	struct node *drivers = node_at(machine->root, "sys/bus/pci/drivers");
	int err = build_driver(drivers, driver, why);

	if (err < 0) {
		node_remove(driver->node);
		driver->node = NULL;
	}
	return err;
}
