/* SPDX-License-Identifier: MIT */
#include "pci/contents.h"

/* ---- vital product data: resource tags (PCI Local Bus 3.0 appendix I) ---- */

#define TAG_LARGE 0x80
#define TAG_END	  0x0f /* small, with a length of its own in the low bits */

u32 pci_vpd_load(const struct pci_function *function, u32 at)
{
	u32 value = 0;

	for (unsigned i = 0; i < 4; i++)
		if (at + i < function->vpd_size)
			value |= (u32)function->vpd[at + i] << 8 * i;
	return value;
}

void pci_vpd_store(struct pci_function *function, u32 at, u32 value)
{
	for (unsigned i = 0; i < 4; i++)
		if (at + i < function->vpd_size)
			function->vpd[at + i] = (u8)(value >> 8 * i);
}

static u8 vpd_byte(const struct pci_function *function, u32 at)
{
	return at < function->vpd_size ? function->vpd[at] : 0;
}

/* The bytes of the resource at `at`, its tag included. */
static u32 resource_length(const struct pci_function *function, u32 at)
{
	u8 tag = vpd_byte(function, at);

	if (tag & TAG_LARGE)
		return 3 + (vpd_byte(function, at + 1) | (u32)vpd_byte(function, at + 2) << 8);
	return 1 + (tag & 7u);
}

static u32 measure_vpd(const struct pci_function *function)
{
	u32 at = 0;

	if (!function->vpd_size || !function->vpd[0] || function->vpd[0] == 0xff)
		return 0;
	while (at < PCI_VPD_MAX) {
		u32 header = vpd_byte(function, at) & TAG_LARGE ? 3 : 1, length = resource_length(function, at);

		/* Linux measures what follows the tag against the whole window. */
		if (at + length - header > PCI_VPD_MAX)
			return at;
		if (header == 1 && vpd_byte(function, at) >> 3 == TAG_END)
			return at + length;
		at += length;
	}
	return at;
}

u32 pci_vpd_length(struct pci_function *function)
{
	if (!function->vpd_measured) {
		function->vpd_length = measure_vpd(function);
		function->vpd_measured = true;
	}
	return function->vpd_length;
}

/* ---- expansion ROM: images one behind the other (PCI Local Bus 3.0 section 6.3.1) ---- */

#define ROM_SIGNATURE	0xaa55
#define ROM_DATA_OFFSET 0x18
#define ROM_DATA_SIZE	0x18
#define ROM_UNIT	512
#define ROM_LAST	0x80

static u16 rom_word(const struct pci_function *function, u64 at)
{
	return (u16)(pci_rom_byte(function, at) | pci_rom_byte(function, at + 1) << 8);
}

/* The data structure of the image at `image`; false if there is none. */
static bool find_data(const struct pci_function *function, u64 image, u64 room, u64 *ret)
{
	static const u8 signature[] = {'P', 'C', 'I', 'R'};

	if (rom_word(function, image) != ROM_SIGNATURE)
		return false;
	*ret = image + rom_word(function, image + ROM_DATA_OFFSET);
	if (*ret + ROM_DATA_SIZE > room)
		return false;
	for (unsigned i = 0; i < sizeof(signature); i++)
		if (pci_rom_byte(function, *ret + i) != signature[i])
			return false;
	return true;
}

u32 pci_rom_length(const struct pci_function *function, u64 room)
{
	u64 image = 0, data;

	while (image < room && find_data(function, image, room, &data)) {
		u64 length = (u64)rom_word(function, data + 0x10) * ROM_UNIT;

		image += length;
		if (!length || pci_rom_byte(function, data + 0x15) & ROM_LAST)
			break;
	}
	return (u32)min_u64(image, room);
}

void pci_rom_minimal(const struct pci_function *function, u8 *rom, u32 size)
{
	u8 *data = rom + 0x1c;

	assert(size >= ROM_UNIT);
	put_u16(rom, ROM_SIGNATURE);
	rom[2] = 1;    /* units of 512 bytes */
	rom[3] = 0xcb; /* a far return */
	put_u16(rom + ROM_DATA_OFFSET, 0x1c);
	memcpy(data, "PCIR", 4);
	memcpy(data + 0x04, function->config + PCI_VENDOR_ID, 4);
	put_u16(data + 0x0a, ROM_DATA_SIZE);
	memcpy(data + 0x0d, function->config + PCI_CLASS_PROG, 3);
	put_u16(data + 0x10, 1);
	data[0x15] = ROM_LAST;
}
