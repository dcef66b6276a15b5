/* SPDX-License-Identifier: MIT */
/*
 * A PCI device's directory, as drivers/pci/pci-sysfs.c shows it. What a register says is read from the function; what
 * only the kernel knows is kept in struct device. Left out: `remove`.
 */
#include <stdio.h>

#include "base/os.h"
#include "iommu/iommu.h"
#include "machine/bus.h"
#include "machine/sriov.h"
#include "machine/sysfs.h"
#include "machine/sysfs_resource.h"

static s64 show_identity(struct node *node, char *text, size_t size, struct why *why)
{
	const struct device *device = node->context;
	struct pci_identity identity = function_identity(device->function);
	const char *name = node->name;

	if (strcmp(name, "vendor") == 0)
		return show_text(text, size, "0x%04x\n", identity.vendor);
	if (strcmp(name, "device") == 0)
		return show_text(text, size, "0x%04x\n", identity.device);
	if (strcmp(name, "subsystem_vendor") == 0)
		return show_text(text, size, "0x%04x\n", identity.subsystem_vendor);
	if (strcmp(name, "subsystem_device") == 0)
		return show_text(text, size, "0x%04x\n", identity.subsystem);
	if (strcmp(name, "class") == 0)
		return show_text(text, size, "0x%06x\n", identity.class_code);
	return show_text(text, size, "0x%02x\n", identity.revision);
}

static s64 show_byte(struct node *node, char *text, size_t size, struct why *why)
{
	const struct device *device = node->context;
	const u16 *offset = node->data;

	return show_text(text, size, "%u\n", device->function->config[*offset]);
}

static s64 show_modalias(struct node *node, char *text, size_t size, struct why *why)
{
	const struct device *device = node->context;
	struct pci_identity id = function_identity(device->function);

	return show_text(text, size, "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X\n", id.vendor, id.device,
			 id.subsystem_vendor, id.subsystem, id.class_code >> 16, id.class_code >> 8 & 0xff,
			 id.class_code & 0xff);
}

static s64 show_uevent(struct node *node, char *text, size_t size, struct why *why)
{
	const struct device *device = node->context;
	struct pci_identity id = function_identity(device->function);
	size_t used = 0;

	if (device->driver)
		used = (size_t)show_text(text, size, "DRIVER=%s\n", device->driver->name);
	used += (size_t)show_text(text + used, size - used,
				  "PCI_CLASS=%04X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\nPCI_SLOT_NAME=%s\n",
				  id.class_code, id.vendor, id.device, id.subsystem_vendor, id.subsystem, device->name);
	used += (size_t)show_text(text + used, size - used, "MODALIAS=");
	return (s64)used + show_modalias(node, text + used, size - used, why);
}

static s64 show_numa_node(struct node *node, char *text, size_t size, struct why *why)
{
	const struct device *device = node->context;

	return show_text(text, size, "%d\n", device->numa_node);
}

static int store_numa_node(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct device *device = node->context;
	char sample[TEXT_SAMPLE];
	struct text text;
	u64 number;

	text_take(&text, bytes, size);
	/* The room has one memory node, 0. */
	if (text_is(&text, "-1"))
		device->numa_node = -1;
	else if (text_number(&text, &number) && number == 0)
		device->numa_node = 0;
	else
		return refuse(why, ATTRIBUTE_VALUE, "numa_node of %s takes 0 or -1, not \"%s\"", device->name,
			      text_sample(text.bytes, sample));
	return 0;
}

/* Every CPU is near. The kernel prints masks in words of 32, the highest first. */
static s64 show_local_cpus(struct node *node, char *text, size_t size, struct why *why)
{
	unsigned cpus = os_online_cpus();
	unsigned word = (cpus - 1) / 32;
	unsigned rest = cpus - word * 32;
	size_t used = (size_t)show_text(text, size, "%x", (u32)MASK(rest - 1, 0));

	while (word--)
		used += (size_t)show_text(text + used, size - used, ",ffffffff");
	return (s64)used + show_text(text + used, size - used, "\n");
}

static s64 show_local_cpulist(struct node *node, char *text, size_t size, struct why *why)
{
	unsigned cpus = os_online_cpus();

	return cpus > 1 ? show_text(text, size, "0-%u\n", cpus - 1) : show_text(text, size, "0\n");
}

/* A bound driver enables its device once; vfio-pci while a program has it open. */
static unsigned enable_count(const struct device *device)
{
	if (!device->driver || device->driver->kind == DRIVER_STUB)
		return device->enabled;
	if (device->vfio)
		return device->enabled + vfio_device_busy(device->vfio);
	return device->enabled + 1;
}

static s64 show_enable(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "%u\n", enable_count(node->context));
}

static int store_enable(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct device *device = node->context;
	struct text text;
	bool enable;
	int err;

	text_take(&text, bytes, size);
	err = text_flag(&text, node, &enable, why);
	if (err < 0)
		return err;
	if (device->driver)
		return refuse(why, ENABLE_BOUND, "%s belongs to driver %s", device->name, device->driver->name);
	if (!enable && !device->enabled)
		return refuse(why, ENABLE_NOT_ENABLED, "%s is not enabled", device->name);
	device->enabled += enable ? 1 : -1u;
	if (enable)
		pci_config_write(device->function, PCI_COMMAND, 2, pci_command(device->function) | PCI_COMMAND_MEMORY);
	return 0;
}

static s64 show_override(struct node *node, char *text, size_t size, struct why *why)
{
	const struct device *device = node->context;

	return show_text(text, size, "%s\n", device->driver_override ? device->driver_override : "(null)");
}

static int store_override(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct text text;

	text_take(&text, bytes, size);
	return bus_set_override(node->context, &text, why);
}

static int store_reset(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct device *device = node->context;
	struct text text;
	u64 value;
	int err;

	text_take(&text, bytes, size);
	err = text_unsigned(&text, node, &value, why);
	if (err < 0)
		return err;
	if (value != 1)
		return refuse(why, ATTRIBUTE_VALUE, "reset of %s takes 1, not %llu", device->name,
			      (unsigned long long)value);
	return device_reset(device, why);
}

static s64 show_reset_method(struct node *node, char *text, size_t size, struct why *why)
{
	const struct device *device = node->context;
	size_t used = 0;

	for (unsigned i = 0; i < device->nresets; i++)
		used += (size_t)show_text(text + used, size - used, "%s%s", used ? " " : "",
					  reset_method_names[device->reset_order[i]]);
	return used ? (s64)used + show_text(text + used, size - used, "\n") : 0;
}

static int store_reset_method(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct text text;

	text_take(&text, bytes, size);
	return device_choose_reset(node->context, &text, why);
}

/* Attributes that only remember a flag: data says where, and whether the file shows its opposite. */
struct flag {
	size_t offset;
	bool inverted;
};

#define FLAG(member, opposite) (&(const struct flag){offsetof(struct device, member), opposite})

static s64 show_flag(struct node *node, char *text, size_t size, struct why *why)
{
	const struct flag *flag = node->data;
	const bool *value = (const void *)((const char *)node->context + flag->offset);

	return show_text(text, size, "%d\n", *value != flag->inverted);
}

static int store_flag(struct node *node, const char *bytes, size_t size, struct why *why)
{
	const struct flag *flag = node->data;
	bool *value = (void *)((char *)node->context + flag->offset);
	struct text text;
	bool wanted;
	int err;

	text_take(&text, bytes, size);
	err = text_flag(&text, node, &wanted, why);
	if (err == 0)
		*value = wanted != flag->inverted;
	return err;
}

static s64 show_dma_mask(struct node *node, char *text, size_t size, struct why *why)
{
	const struct device *device = node->context;
	bool native = device->driver && device->driver->kind == DRIVER_DMA_API;

	/* 32 until a driver asks for more. */
	return show_text(text, size, "%d\n", native ? 64 : 32);
}

static s64 show_constant(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "%s\n", (const char *)node->data);
}

/* vfio-pci leaves a closed device in D3, as far as power/control lets it. */
static bool is_idle(const struct device *device)
{
	return device->vfio && vfio_device_idle(device->vfio);
}

/* Without a driver it stays in D0 whatever its status (pci-driver.c:pci_pm_runtime_suspend()). */
static bool is_suspended(const struct device *device)
{
	return is_idle(device) || (!device->driver && device->power_auto && !pci_is_bridge(device->function));
}

static s64 show_runtime_status(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "%s\n", is_suspended(node->context) ? "suspended" : "active");
}

static s64 show_power_state(struct node *node, char *text, size_t size, struct why *why)
{
	static const char *const states[] = {"D0", "D1", "D2", "D3hot"};
	const struct device *device = node->context;
	u16 pm = device->function->cap_pm;

	if (pm && is_idle(device))
		return show_text(text, size, "D3hot\n");
	return show_text(text, size, "%s\n", pm ? states[device->function->config[pm + 4] & 3] : "unknown");
}

static int store_rescan(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct text text;
	bool ignored;

	text_take(&text, bytes, size);
	return text_flag(&text, node, &ignored, why);
}

static s64 show_power_control(struct node *node, char *text, size_t size, struct why *why)
{
	const struct device *device = node->context;

	return show_text(text, size, "%s\n", device->power_auto ? "auto" : "on");
}

static int store_power_control(struct node *node, const char *bytes, size_t size, struct why *why)
{
	struct device *device = node->context;
	char sample[TEXT_SAMPLE];
	struct text text;

	text_take(&text, bytes, size);
	if (!text_is(&text, "auto") && !text_is(&text, "on"))
		return refuse(why, ATTRIBUTE_VALUE, "power/control of %s takes on or auto, not \"%s\"", device->name,
			      text_sample(text.bytes, sample));
	device->power_auto = text_is(&text, "auto");
	if (device->vfio)
		vfio_device_keep_awake(device->vfio, !device->power_auto);
	return 0;
}

static bool is_bridge(const struct device *device)
{
	return pci_is_bridge(device->function);
}

static const struct attribute device_attributes[] = {
	{"vendor", 0444, {.show = show_identity}},
	{"device", 0444, {.show = show_identity}},
	{"subsystem_vendor", 0444, {.show = show_identity}},
	{"subsystem_device", 0444, {.show = show_identity}},
	{"class", 0444, {.show = show_identity}},
	{"revision", 0444, {.show = show_identity}},
	{"irq", 0444, {.show = show_byte}, &(const u16){PCI_INTERRUPT_LINE}},
	{"numa_node", 0644, {.show = show_numa_node, .store = store_numa_node}},
	{"local_cpus", 0444, {.show = show_local_cpus}},
	{"local_cpulist", 0444, {.show = show_local_cpulist}},
	{"enable", 0644, {.show = show_enable, .store = store_enable}},
	{"modalias", 0444, {.show = show_modalias}},
	{"uevent", 0644, {.show = show_uevent, .store = store_uevent}},
	{"driver_override", 0644, {.show = show_override, .store = store_override}},
	{"reset", 0200, {.store = store_reset}, NULL, device_reset_supported},
	{"reset_method", 0644, {.show = show_reset_method, .store = store_reset_method}, NULL, device_reset_supported},
	{"rescan", 0200, {.store = store_rescan}},
	{"msi_bus", 0644, {.show = show_flag, .store = store_flag}, FLAG(msi_off, true)},
	{"broken_parity_status", 0644, {.show = show_flag, .store = store_flag}, FLAG(parity_broken, false)},
	{"d3cold_allowed", 0644, {.show = show_flag, .store = store_flag}, FLAG(d3cold_forbidden, true)},
	{"dma_mask_bits", 0444, {.show = show_dma_mask}},
	{"consistent_dma_mask_bits", 0444, {.show = show_dma_mask}},
	{"ari_enabled", 0444, {.show = show_constant}, "0"},
	{"power_state", 0444, {.show = show_power_state}},
	{"secondary_bus_number", 0444, {.show = show_byte}, &(const u16){PCI_SECONDARY_BUS}, is_bridge},
	{"subordinate_bus_number", 0444, {.show = show_byte}, &(const u16){PCI_SUBORDINATE_BUS}, is_bridge},
};

static const struct attribute power_attributes[] = {
	{"control", 0644, {.show = show_power_control, .store = store_power_control}},
	{"runtime_status", 0444, {.show = show_runtime_status}},
};

/* The directory above: the bridge's, or that of the root bus. */
static int parent_directory(const struct device *device, struct node **ret, struct why *why)
{
	const struct pci_function *function = device->function;
	char path[48];

	if (function->parent) {
		*ret = device_find(device->machine, function->parent->addr)->node;
		return 0;
	}
	/* A virtual function is where its physical one is, whatever bus its number is on. */
	if (function->physical)
		function = function->physical;
	snprintf(path, sizeof(path), "sys/devices/pci%04x:%02x", function->addr.segment, function->addr.bus);
	return sysfs_directory(device->machine->root, path, ret, why);
}

static int build_links(const struct device *device, struct why *why)
{
	struct node *root = device->machine->root;
	struct node *directory = node_at(root, "sys/bus/pci/devices");
	int err = node_link_to(directory, device->name, device->node, why);

	return err < 0 ? err : node_link_to(device->node, "subsystem", node_at(root, "sys/bus/pci"), why);
}

int sysfs_build_device(struct device *device, struct why *why)
{
	struct node *parent, *power;
	int err = parent_directory(device, &parent, why);

	if (err == 0)
		err = node_directory(parent, device->name, &device->node, why);
	if (err == 0)
		err = sysfs_attributes(device->node, device_attributes, ARRAY_SIZE(device_attributes), device, why);
	if (err == 0)
		err = sysfs_build_resources(device, why);
	if (err == 0)
		err = sysfs_build_contents(device, why);
	if (err == 0)
		err = node_directory(device->node, "power", &power, why);
	if (err == 0)
		err = sysfs_attributes(power, power_attributes, ARRAY_SIZE(power_attributes), device, why);
	if (err == 0)
		err = build_links(device, why);
	return err < 0 ? err : sysfs_build_sriov(device, why);
}
