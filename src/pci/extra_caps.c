/* SPDX-License-Identifier: MIT */
#include "pci/extra_caps.h"

#include "base/alloc.h"

/* "PCI" is PCI Local Bus 3.0, "PCIe" PCI Express Base 5.0. The bytes are those behind the header. */
static const struct usual {
	const char *name;
	u16 id;
	bool extended;
	u8 version;
	u16 size;
	u8 data[48];
} usual[] = {
	/* AGP 3.0 section 6.1: version 2.0; status of 32 requests, 4x; nothing commanded. */
	{"agp", PCI_CAP_AGP, .size = 10, .data = {0x20, 0, 0x07, 0x02, 0, 0x1f}},
	{"slot-id", 0x04, .size = 2, .data = {0x20}},
	{"hotplug", 0x06, .size = 2},
	/* PCI-X 2.0 section 7.2: of mode 1; of mode 2 with ECC registers (bits 13:12 of the command). */
	{"pcix", PCI_CAP_PCIX, .size = 6, .data = {0x22, 0, 0xf8, 0xff, 0x03, 0x01}},
	{"pcix-ecc", PCI_CAP_PCIX, .size = 22, .data = {0x22, 0x10, 0xf8, 0xff, 0x03, 0x01}},
	/* HyperTransport 3.1 chapter 7: a slave interface; an MSI mapping, one of the short kind. */
	{"ht", PCI_CAP_HT, .size = 26, .data = {0x20, 0x00}},
	{"ht-msi", PCI_CAP_HT, .size = 22, .data = {0x02, 0xa8}},
	{"vendor", PCI_CAP_VENDOR, .size = 14, .data = {16}},
	{"subsystem", PCI_CAP_SUBSYSTEM, .size = 6},
	/* Serial ATA revision 3 section 10.13: registers in BAR 4; in the capability itself. */
	{"sata", PCI_CAP_SATA, .size = 6, .data = {0x10, 0, 0x48}},
	{"sata-inline", PCI_CAP_SATA, .size = 14, .data = {0x10, 0, 0x0f}},
	/* PCIe 7.8.5: enhanced allocation without an entry. */
	{"ea", PCI_CAP_EA, .size = 2},

	/* PCIe 7.9.1 and 7.9.2: one channel without an arbitration table. */
	{"vc", PCI_EXT_VC, true, 1, 24, .data = {[12] = 0x01, [16] = 0xff, 0, 0, 0x80}},
	{"mfvc", 0x08, true, 1, 24, .data = {[16] = 0xff, 0, 0, 0x80}},
	{"vc9", 0x09, true, 1, 24, .data = {[16] = 0xff, 0, 0, 0x80}},
	{"power-budget", PCI_EXT_PWR, true, 1, 12, .data = {[4] = 0x19, 0x80, 0x01, [8] = 0x01}},
	/* PCIe 7.9.5 and 7.9.6: their length is in bits 31:20 of the first register. */
	{"vsec", PCI_EXT_VENDOR, true, 1, 16, .data = {0x01, 0x00, 0x41, 0x01}},
	{"dvsec", PCI_EXT_DVSEC, true, 1, 16, .data = {0x98, 0x1e, 0x41, 0x01, 0x0f}},
	{"multicast", PCI_EXT_MULTICAST, true, 1, 36, .data = {0x3f}},
	/* PCIe 7.8.6: BAR 0 of 1 to 256 MiB, now 1 MiB. */
	{"rebar", PCI_EXT_REBAR, true, 1, 8, .data = {0xf0, 0x1f, 0, 0, 0x20}},
	/* PCIe 7.9.12: two substates. */
	{"dpa", PCI_EXT_DPA, true, 1, 14, .data = {0x01, [12] = 0x20, 0x10}},
	/* PCIe 7.9.13: the steering table of four entries is here. */
	{"tph", PCI_EXT_TPH, true, 1, 16, .data = {0x01, 0x02, 0x03, 0x00}},
	{"ltr", PCI_EXT_LTR, true, 1, 4},
	{"secpci", 0x19, true, 1, 28},
	{"pmux", 0x1a, true, 1, 12},
	{"dpc", 0x1d, true, 1, 60},
	{"l1ss", 0x1e, true, 1, 12, .data = {0x1f}},
	{"ptm", 0x1f, true, 1, 8, .data = {0x01}},
	{"frs", 0x21, true, 1, 12},
	{"rtr", 0x22, true, 1, 8},
	{"dlf", 0x25, true, 1, 8, .data = {0x01, 0, 0, 0x80}},
	{"phy16", 0x26, true, 1, 32},
	{"lane-margin", 0x27, true, 1, 20},
	{"npem", 0x29, true, 1, 12},
	{"doe", 0x2e, true, 1, 20},
};

const char *pci_extra_cap_name(unsigned index)
{
	return index < ARRAY_SIZE(usual) ? usual[index].name : NULL;
}

bool pci_extra_cap_named(const char *name, struct pci_extra_cap *ret)
{
	for (unsigned i = 0; i < ARRAY_SIZE(usual); i++) {
		const struct usual *row = &usual[i];

		if (strcmp(row->name, name) != 0)
			continue;
		*ret = (struct pci_extra_cap){
			.id = row->id, .extended = row->extended, .version = row->version, .size = row->size};
		memcpy(ret->data, row->data, min_u64(row->size, sizeof(row->data)));
		return true;
	}
	return false;
}

int pci_add_extra_cap(struct pci_function *function, const struct pci_extra_cap *cap, struct why *why)
{
	unsigned header = cap->extended ? 4 : 2;
	char bdf[PCI_ADDR_TEXT];
	u16 at;

	if (!pci_has_room(function, cap->extended, header + cap->size))
		return refuse(why, CAPABILITY_SPACE, "%s has no room left for capability %#x of %u bytes",
			      pci_addr_print(function->addr, bdf), cap->id, header + cap->size);
	if (!function->extra_writable)
		function->extra_writable = alloc_zero(sizeof(function->config), why);
	if (!function->extra_writable)
		return -why->err;
	if (cap->extended)
		at = pci_append_ext_cap(function, cap->id, cap->version, header + cap->size);
	else
		at = pci_append_cap(function, (u8)cap->id, header + cap->size);
	memcpy(function->config + at + header, cap->data, cap->size);
	memcpy(function->extra_writable + at + header, cap->writable, cap->size);
	return 0;
}
