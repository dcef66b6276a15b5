/* SPDX-License-Identifier: MIT */
#include "machine/sysfs_resource.h"

#include <stdio.h>

#include "machine/sysfs.h"

/* include/linux/ioport.h; the low bits are those of the register itself. */
enum {
	RESOURCE_IO = 0x100,
	RESOURCE_MEMORY = 0x200,
	RESOURCE_PREFETCH = 0x2000,
	RESOURCE_READONLY = 0x4000,
	RESOURCE_SIZEALIGN = 0x40000,
	RESOURCE_MEMORY_64 = 0x100000,
};

/* Lines of `resource`: six BARs, the ROM, six of SR-IOV; a bridge has four windows more. */
#define RESOURCE_LINES	      13
#define RESOURCE_LINES_BRIDGE 17

struct range {
	u64 start, last, flags; /* flags 0: nothing there */
};

static u64 bar_flags(const struct pci_bar *bar)
{
	u64 prefetch = bar->prefetchable ? RESOURCE_PREFETCH | 8 : 0;

	switch (bar->kind) {
	case PCI_BAR_IO:
		return RESOURCE_IO | RESOURCE_SIZEALIGN | 1;
	case PCI_BAR_MEMORY32:
		return RESOURCE_MEMORY | RESOURCE_SIZEALIGN | prefetch;
	case PCI_BAR_MEMORY64:
		return RESOURCE_MEMORY | RESOURCE_SIZEALIGN | RESOURCE_MEMORY_64 | prefetch | 4;
	default:
		return 0;
	}
}

static struct range bar_range(const struct pci_function *function, unsigned index)
{
	const struct pci_bar *bar = &function->bars[index];
	u64 flags = bar_flags(bar);

	if (index == PCI_ROM && flags)
		flags = RESOURCE_MEMORY | RESOURCE_PREFETCH | RESOURCE_READONLY | RESOURCE_SIZEALIGN;
	if (!flags || !bar->size)
		return (struct range){0};
	return (struct range){bar->address, bar->address + bar->size - 1, flags};
}

/* PCI-to-PCI Bridge 1.2 section 3.2.5: base above limit is a closed window; so is what was never set. */
static struct range window(u64 start, u64 last, u64 flags)
{
	return start && start <= last ? (struct range){start, last, flags} : (struct range){0};
}

static struct range io_window(const u8 *config)
{
	u64 base = (u64)(config[0x1c] & 0xf0) << 8 | (u64)get_u16(config + 0x30) << 16;
	u64 limit = (u64)(config[0x1d] & 0xf0) << 8 | (u64)get_u16(config + 0x32) << 16;

	return window(base, limit | 0xfff, RESOURCE_IO | (config[0x1c] & 0xf));
}

static struct range memory_window(const u8 *config)
{
	u64 base = (u64)(get_u16(config + 0x20) & 0xfff0) << 16;
	u64 limit = (u64)(get_u16(config + 0x22) & 0xfff0) << 16;

	return window(base, limit | 0xfffff, RESOURCE_MEMORY);
}

static struct range prefetch_window(const u8 *config)
{
	u64 base = (u64)(get_u16(config + 0x24) & 0xfff0) << 16 | (u64)get_u32(config + 0x28) << 32;
	u64 limit = (u64)(get_u16(config + 0x26) & 0xfff0) << 16 | (u64)get_u32(config + 0x2c) << 32;
	u64 type = config[0x24] & 0xf;

	return window(base, limit | 0xfffff,
		      RESOURCE_MEMORY | RESOURCE_PREFETCH | type | (type == 1 ? RESOURCE_MEMORY_64 : 0));
}

/* Of all virtual functions that there can be. */
static struct range virtual_range(const struct pci_function *function, unsigned index)
{
	const struct pci_bar *bar = function->virtual_bars ? &function->virtual_bars[index] : NULL;

	if (!bar || !bar->size)
		return (struct range){0};
	return (struct range){bar->address, bar->address + bar->size * pci_sriov_total(function) - 1, bar_flags(bar)};
}

static struct range resource(const struct pci_function *function, unsigned line)
{
	if (line <= PCI_ROM)
		return bar_range(function, line);
	if (line < RESOURCE_LINES)
		return virtual_range(function, line - PCI_ROM - 1);
	switch (line - RESOURCE_LINES) {
	case 0:
		return io_window(function->config);
	case 1:
		return memory_window(function->config);
	case 2:
		return prefetch_window(function->config);
	default:
		return (struct range){0}; /* CardBus has a fourth */
	}
}

static s64 show_resource(struct node *node, char *text, size_t size, struct why *why)
{
	const struct device *device = node->context;
	unsigned lines = pci_is_bridge(device->function) ? RESOURCE_LINES_BRIDGE : RESOURCE_LINES;
	size_t used = 0;

	for (unsigned line = 0; line < lines; line++) {
		struct range range = resource(device->function, line);

		used += (size_t)show_text(text + used, size - used, "0x%016llx 0x%016llx 0x%016llx\n",
					  (unsigned long long)range.start, (unsigned long long)range.last,
					  (unsigned long long)range.flags);
	}
	return (s64)used;
}

/* The largest naturally aligned access that fits. */
static unsigned access_width(u64 offset, size_t size)
{
	if (size >= 4 && is_aligned(offset, 4))
		return 4;
	return size >= 2 && is_aligned(offset, 2) ? 2 : 1;
}

static size_t config_clip(const struct pci_function *function, u64 offset, size_t size)
{
	return offset >= function->config_size ? 0 : min_u64(size, function->config_size - offset);
}

static s64 read_config(struct node *node, u64 offset, void *buffer, size_t size, struct why *why)
{
	const struct device *device = node->context;
	size_t left = config_clip(device->function, offset, size);
	u8 *to = buffer;

	while (left) {
		unsigned width = access_width(offset, left);
		u32 value = pci_config_read(device->function, (u16)offset, width);

		memcpy(to, &value, width);
		to += width;
		offset += width;
		left -= width;
	}
	return to - (u8 *)buffer;
}

static s64 write_config(struct node *node, u64 offset, const void *buffer, size_t size, struct why *why)
{
	struct device *device = node->context;
	size_t left = config_clip(device->function, offset, size);
	const u8 *from = buffer;

	while (left) {
		unsigned width = access_width(offset, left);
		u32 value = 0;

		memcpy(&value, from, width);
		pci_config_write(device->function, (u16)offset, width, value);
		from += width;
		offset += width;
		left -= width;
	}
	vfio_function_was_written(&device->machine->vfio, device->function);
	return from - (const u8 *)buffer;
}

/* Which BAR a resourceN file is. */
static unsigned bar_of(const struct node *node)
{
	return (unsigned)(node->name[strlen("resource")] - '0');
}

/* Port BARs are read and written through their file, one access each; at their end there is nothing to read. */
static int decode_io(const struct node *node, u64 offset, size_t size, struct why *why)
{
	const struct device *device = node->context;
	const struct pci_bar *bar = &device->function->bars[bar_of(node)];

	if (offset >= bar->size)
		return 0;
	if ((size == 1 || size == 2 || size == 4) && size <= bar->size - offset)
		return (int)size;
	return refuse(why, ATTRIBUTE_RANGE, "%zu bytes at %#llx of %s of %s: the BAR has %#llx bytes", size,
		      (unsigned long long)offset, node->name, device->name, (unsigned long long)bar->size);
}

static s64 read_io(struct node *node, u64 offset, void *buffer, size_t size, struct why *why)
{
	struct device *device = node->context;
	int width = decode_io(node, offset, size, why);
	u32 value = 0;

	if (width <= 0)
		return width;
	if (device->function->ops->io_read)
		value = device->function->ops->io_read(device->function, bar_of(node), offset, (unsigned)width);
	memcpy(buffer, &value, (size_t)width);
	return width;
}

static s64 write_io(struct node *node, u64 offset, const void *buffer, size_t size, struct why *why)
{
	struct device *device = node->context;
	int width = decode_io(node, offset, size, why);
	u32 value = 0;

	if (width <= 0)
		return width;
	memcpy(&value, buffer, (size_t)width);
	if (device->function->ops->io_write)
		device->function->ops->io_write(device->function, bar_of(node), offset, (unsigned)width, value);
	return width;
}

static const struct attribute config_attributes[] = {
	{"config", 0644, {.read = read_config, .write = write_config}},
	{"resource", 0444, {.show = show_resource}},
};

static const struct node_ops io_ops = {.read = read_io, .write = write_io};
static const struct node_ops memory_ops = {0}; /* Linux only lets it be mapped; we do not serve that here */

static int build_bar(struct device *device, unsigned index, struct why *why)
{
	const struct pci_bar *bar = &device->function->bars[index];
	bool io = bar->kind == PCI_BAR_IO;
	char name[16];
	int err;

	if (!bar->size || bar->kind == PCI_BAR_NONE || bar->kind == PCI_BAR_UPPER_HALF)
		return 0;
	snprintf(name, sizeof(name), "resource%u", index);
	err = node_attribute(device->node, name, 0600, io ? &io_ops : &memory_ops, device, NULL, why);
	if (err == 0)
		node_child(device->node, name)->size = bar->size;
	return err;
}

/* `drivers/pci/pci-sysfs.c:pci_read_config()`: the standard header is for everybody. */
static void size_config(struct node *config, const struct pci_function *function)
{
	enum { HEADER_TYPE = 0x0e, TYPE_MASK = 0x7f, CARDBUS = 2 };

	config->size = function->config_size;
	config->public_size = (function->config[HEADER_TYPE] & TYPE_MASK) == CARDBUS ? 128 : 64;
}

int sysfs_build_resources(struct device *device, struct why *why)
{
	int err = sysfs_attributes(device->node, config_attributes, ARRAY_SIZE(config_attributes), device, why);

	if (err == 0)
		size_config(node_child(device->node, "config"), device->function);
	for (unsigned bar = 0; bar < PCI_BARS && err == 0; bar++)
		err = build_bar(device, bar, why);
	return err;
}
