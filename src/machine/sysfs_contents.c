/* SPDX-License-Identifier: MIT */
/* What a device's directory shows of its contents, `rom` and `vpd`, and of its link (drivers/pci/pci-sysfs.c, vpd.c).
 */
#include <stdio.h>

#include "machine/sysfs.h"
#include "machine/sysfs_resource.h"
#include "pci/contents.h"
#include "vfio/pci.h"

/* ---- rom: readable once something was written ---- */

static s64 read_rom(struct node *node, u64 offset, void *buffer, size_t size, struct why *why)
{
	const struct device *device = node->context;
	const struct pci_function *function = device->function;
	bool shadow = !function->bars[PCI_ROM].size;
	u64 length = shadow ? function->rom_size : pci_rom_length(function, function->bars[PCI_ROM].size);

	if (!device->rom_enabled)
		return refuse(why, ROM_SWITCHED_OFF, "rom of %s is switched off", device->name);
	if (!length || (!shadow && !(pci_command(function) & PCI_COMMAND_MEMORY)))
		return refuse(why, ROM_UNREADABLE, "the ROM of %s %s", device->name,
			      length ? "does not answer: the device does not decode memory" : "holds no image");
	if (offset >= length)
		return 0;
	size = (size_t)min_u64(size, length - offset);
	for (size_t i = 0; i < size; i++)
		((u8 *)buffer)[i] = pci_rom_byte(function, offset + i);
	return (s64)size;
}

/* "0" with a newline switches it off; anything else, on. */
static s64 write_rom(struct node *node, u64 offset, const void *buffer, size_t size, struct why *why)
{
	struct device *device = node->context;

	device->rom_enabled = offset || size != 2 || *(const char *)buffer != '0';
	return (s64)size;
}

/* ---- vpd ---- */

static int decode_vpd(const struct device *device, u32 *ret_length, struct why *why)
{
	*ret_length = pci_vpd_length(device->function);
	if (*ret_length)
		return 0;
	return refuse(why, VPD_MALFORMED, "the product data of %s make no sense", device->name);
}

static s64 read_vpd_file(struct node *node, u64 offset, void *buffer, size_t size, struct why *why)
{
	const struct device *device = node->context;
	u32 length;
	int err = decode_vpd(device, &length, why);

	if (err < 0)
		return err;
	if (offset >= length)
		return 0;
	size = (size_t)min_u64(size, length - offset);
	for (size_t i = 0; i < size; i++)
		((u8 *)buffer)[i] = (u8)pci_vpd_load(device->function, (u32)(offset + i));
	return (s64)size;
}

static s64 write_vpd_file(struct node *node, u64 offset, const void *buffer, size_t size, struct why *why)
{
	struct device *device = node->context;
	u32 length;
	int err = decode_vpd(device, &length, why);

	if (err < 0)
		return err;
	if (!is_aligned(offset | size, 4) || offset > length || size > length - offset)
		return refuse(why, VPD_RANGE, "%zu bytes at %llu are no dwords of the %u bytes of product data of %s",
			      size, (unsigned long long)offset, length, device->name);
	for (size_t i = 0; i < size; i += 4)
		pci_vpd_store(device->function, (u32)(offset + i), get_u32((const u8 *)buffer + i));
	return (s64)size;
}

/* ---- the link (PCI Express Base 5.0 sections 7.5.3.6 and 7.5.3.8) ---- */

static u32 link_register(const struct device *device, bool now)
{
	const u8 *cap = device->function->config + device->function->cap_pcie;

	return now ? get_u16(cap + 0x12) : get_u32(cap + 0x0c);
}

/* data says "now" or what the link can do. */
static s64 show_link_speed(struct node *node, char *text, size_t size, struct why *why)
{
	static const char *const names[] = {"Unknown",	      "2.5 GT/s PCIe",	"5.0 GT/s PCIe", "8.0 GT/s PCIe",
					    "16.0 GT/s PCIe", "32.0 GT/s PCIe", "64.0 GT/s PCIe"};
	u32 speed = link_register(node->context, node->data != NULL) & 0xf;

	return show_text(text, size, "%s\n", names[speed < ARRAY_SIZE(names) ? speed : 0]);
}

static s64 show_link_width(struct node *node, char *text, size_t size, struct why *why)
{
	return show_text(text, size, "%u\n", link_register(node->context, node->data != NULL) >> 4 & 0x3f);
}

static bool is_pcie(const struct device *device)
{
	return pci_is_pcie(device->function);
}

static bool has_rom(const struct device *device)
{
	return !pci_is_bridge(device->function) && rom_size(device->function);
}

static bool has_vpd(const struct device *device)
{
	return device->function->cap_vpd;
}

static const struct attribute attributes[] = {
	{"rom", 0600, {.read = read_rom, .write = write_rom}, NULL, has_rom},
	{"vpd", 0600, {.read = read_vpd_file, .write = write_vpd_file}, NULL, has_vpd},
	{"current_link_speed", 0444, {.show = show_link_speed}, "now", is_pcie},
	{"current_link_width", 0444, {.show = show_link_width}, "now", is_pcie},
	{"max_link_speed", 0444, {.show = show_link_speed}, NULL, is_pcie},
	{"max_link_width", 0444, {.show = show_link_width}, NULL, is_pcie},
};

int sysfs_build_contents(struct device *device, struct why *why)
{
	int err = sysfs_attributes(device->node, attributes, ARRAY_SIZE(attributes), device, why);

	if (err == 0 && has_rom(device))
		node_child(device->node, "rom")->size = rom_size(device->function);
	if (err == 0 && has_vpd(device))
		node_child(device->node, "vpd")->size = 0;
	return err;
}
