/* SPDX-License-Identifier: MIT */
/*
 * Registers as the hardware would hold them after firmware ran. Section numbers: PCI Local Bus 3.0 for conventional
 * capabilities, PCI Express Base 5.0 for the rest.
 */
#include "pci/caps.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "pci/vga.h"

enum { FIRST_CAP = 0x40, FIRST_EXT_CAP = 0x100, CAPS_LAST = 0xff, EXT_CAPS_LAST = 0xfff };

const struct pci_model_ops pci_inert_ops = {.name = "inert"};

void pci_function_init(struct pci_function *function, struct pci_addr addr, const struct pci_identity *identity)
{
	u8 *config = function->config;

	function->addr = addr;
	function->config_size = 256;
	function->ops = &pci_inert_ops;
	function->next_cap = FIRST_CAP;
	function->next_ext_cap = FIRST_EXT_CAP;
	pci_irq_init(&function->irq);
	put_u16(config + PCI_VENDOR_ID, identity->vendor);
	put_u16(config + PCI_DEVICE_ID, identity->device);
	config[PCI_REVISION] = identity->revision;
	config[PCI_CLASS_PROG] = (u8)identity->class_code;
	put_u16(config + PCI_CLASS, (u16)(identity->class_code >> 8));
	put_u16(config + PCI_SUBSYSTEM_VENDOR, identity->subsystem_vendor);
	put_u16(config + PCI_SUBSYSTEM, identity->subsystem);
}

void pci_function_fini(struct pci_function *function)
{
	if (function->ops && function->ops->free)
		function->ops->free(function);
	for (unsigned i = 0; i < ARRAY_SIZE(function->bars); i++)
		free(function->bars[i].home);
	free(function->virtual_bars);
	pci_irq_fini(&function->irq);
	free(function->rom);
	free(function->vpd);
	free(function->vga);
	free(function->extra_writable);
}

int pci_allocate_bars(struct pci_function *function, struct why *why)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		struct pci_bar *bar = &function->bars[i];

		if ((bar->kind != PCI_BAR_MEMORY32 && bar->kind != PCI_BAR_MEMORY64) || bar->home)
			continue;
		bar->home = alloc_zero(bar->size, why);
		if (!bar->home)
			return -why->err;
		bar->memory = bar->home;
	}
	if (!pci_is_vga(function) || function->vga)
		return 0;
	function->vga = alloc_zero(PCI_VGA_STORAGE, why);
	return function->vga ? 0 : -why->err;
}

void pci_make_bridge(struct pci_function *function, u8 secondary, u8 subordinate)
{
	u8 *config = function->config;

	/* Header type 1 has other registers there; the subsystem ids of a bridge are in a capability of their own. */
	memset(config + 0x10, 0, 0x24);
	config[PCI_HEADER_TYPE] = (u8)((config[PCI_HEADER_TYPE] & 0x80) | 1);
	config[PCI_PRIMARY_BUS] = function->addr.bus;
	config[PCI_SECONDARY_BUS] = secondary;
	config[PCI_SUBORDINATE_BUS] = subordinate;
	function->secondary = secondary;
	function->subordinate = subordinate;
}

void pci_set_multifunction(struct pci_function *function)
{
	function->multifunction = true;
	function->config[PCI_HEADER_TYPE] |= 0x80;
}

void pci_add_bar(struct pci_function *function, unsigned bar, enum pci_bar_kind kind, u64 size, bool prefetchable)
{
	struct pci_bar *slot = &function->bars[bar];

	assert(bar <= PCI_ROM && size && is_aligned(size, size) && slot->kind == PCI_BAR_NONE);
	*slot = (struct pci_bar){.kind = kind, .size = size, .prefetchable = prefetchable};
	if (kind == PCI_BAR_MEMORY64) {
		assert(bar < PCI_BARS - 1 && function->bars[bar + 1].kind == PCI_BAR_NONE);
		function->bars[bar + 1].kind = PCI_BAR_UPPER_HALF;
	}
	pci_place_bar(function, bar, 0);
}

static u16 bar_register(const struct pci_function *function, unsigned bar)
{
	if (bar == PCI_ROM)
		return pci_is_bridge(function) ? PCI_ROM_ADDRESS_BRIDGE : PCI_ROM_ADDRESS;
	return (u16)(PCI_BAR0 + 4 * bar);
}

u32 pci_bar_type_bits(const struct pci_bar *bar)
{
	if (bar->kind == PCI_BAR_IO)
		return 1;
	return (bar->kind == PCI_BAR_MEMORY64 ? 4u : 0) | (bar->prefetchable ? 8u : 0);
}

void pci_place_bar(struct pci_function *function, unsigned bar, u64 address)
{
	struct pci_bar *slot = &function->bars[bar];
	u8 *at = function->config + bar_register(function, bar);

	slot->address = address;
	/* Its addresses are in the capability of its physical function. */
	if (function->physical)
		return;
	put_u32(at, (u32)address | (bar == PCI_ROM ? 0 : pci_bar_type_bits(slot)));
	if (slot->kind == PCI_BAR_MEMORY64)
		put_u32(at + 4, (u32)(address >> 32));
}

void pci_set_intx(struct pci_function *function, unsigned pin, u8 line)
{
	function->config[PCI_INTERRUPT_PIN] = (u8)pin;
	function->config[PCI_INTERRUPT_LINE] = line;
}

bool pci_has_room(const struct pci_function *function, bool extended, unsigned size)
{
	unsigned at = extended ? function->next_ext_cap : function->next_cap;

	if (extended && function->config_size < 4096)
		return false;
	return at + size - 1 <= (extended ? EXT_CAPS_LAST : CAPS_LAST);
}

/* Links a capability of size bytes at the tail of the chain; returns its offset. */
static u16 append(struct pci_function *function, u8 id, unsigned size)
{
	u16 at = function->next_cap;
	u8 *config = function->config;

	assert(at + size - 1 <= CAPS_LAST);
	config[at] = id;
	config[at + 1] = 0;
	config[function->last_cap ? function->last_cap + 1 : PCI_CAP_POINTER] = (u8)at;
	put_u16(config + PCI_STATUS, get_u16(config + PCI_STATUS) | PCI_STATUS_CAP_LIST);
	function->last_cap = at;
	function->next_cap = (u16)align_up(at + size, 4);
	return at;
}

/* The same for extended capabilities; their header is id, version and next in one dword (7.6.3). */
static u16 append_extended(struct pci_function *function, u16 id, unsigned version, unsigned size)
{
	u16 at = function->next_ext_cap;
	u8 *config = function->config;

	assert(function->config_size == 4096 && at + size - 1 <= EXT_CAPS_LAST);
	put_u32(config + at, id | version << 16);
	if (function->last_ext_cap)
		put_u32(config + function->last_ext_cap, get_u32(config + function->last_ext_cap) | (u32)at << 20);
	function->last_ext_cap = at;
	function->next_ext_cap = (u16)align_up(at + size, 4);
	return at;
}

u16 pci_append_cap(struct pci_function *function, u8 id, unsigned size)
{
	return append(function, id, size);
}

u16 pci_append_ext_cap(struct pci_function *function, u16 id, unsigned version, unsigned size)
{
	return append_extended(function, id, version, size);
}

/* PCI Local Bus 3.0 appendix I: the window. */
void pci_add_vpd(struct pci_function *function)
{
	function->cap_vpd = append(function, PCI_CAP_VPD, 8);
}

/* PCI Power Management 1.2: version 3, no PME, no D1/D2; state survives D3hot (No_Soft_Reset). */
void pci_add_pm(struct pci_function *function)
{
	u16 at = append(function, PCI_CAP_PM, 8);

	put_u16(function->config + at + 2, 0x0003);
	put_u16(function->config + at + 4, 0x0008);
	function->cap_pm = at;
}

/* Section 6.8.1: control, address (32 or 64 bits), data. */
void pci_add_msi(struct pci_function *function, unsigned vectors_log2, bool wide)
{
	u16 at = append(function, PCI_CAP_MSI, wide ? 14 : 10);

	put_u16(function->config + at + 2, (u16)(vectors_log2 << 1 | (wide ? 0x80 : 0)));
	function->cap_msi = at;
}

/* With a mask and a pending bit for each vector: section 6.8.1, figure 6-9. */
void pci_add_maskable_msi(struct pci_function *function, unsigned vectors_log2, bool wide)
{
	u16 at = append(function, PCI_CAP_MSI, wide ? 24 : 20);

	put_u16(function->config + at + 2, (u16)(0x100 | vectors_log2 << 1 | (wide ? 0x80 : 0)));
	function->cap_msi = at;
}

/* Section 6.8.2: table size less one; BAR index in the low bits of both offsets. */
void pci_add_msix(struct pci_function *function, unsigned vectors, unsigned table_bar, u32 table_offset,
		  unsigned pba_bar, u32 pba_offset)
{
	u16 at = append(function, PCI_CAP_MSIX, 12);

	assert(vectors && vectors <= PCI_IRQ_VECTORS);
	put_u16(function->config + at + 2, (u16)(vectors - 1));
	put_u32(function->config + at + 4, table_offset | table_bar);
	put_u32(function->config + at + 8, pba_offset | pba_bar);
	function->cap_msix = at;
}

static bool has_link(enum pcie_type type)
{
	return type != PCIE_RC_ENDPOINT && type != PCIE_RC_EVENT_COLLECTOR;
}

static bool passes_prefixes(enum pcie_type type)
{
	return type == PCIE_ROOT_PORT || type == PCIE_UPSTREAM_PORT || type == PCIE_DOWNSTREAM_PORT;
}

/* Section 7.5.3, version 2: 60 bytes. A x4 link at 8 GT/s where the type has one. */
void pci_add_pcie(struct pci_function *function, enum pcie_type type, unsigned port_or_slot, bool flr)
{
	u8 *at = function->config + append(function, PCI_CAP_PCIE, 0x3c);
	bool slot = type == PCIE_ROOT_PORT || type == PCIE_DOWNSTREAM_PORT;

	function->config_size = 4096;
	function->cap_pcie = function->last_cap;
	put_u16(at + 0x02, (u16)(2 | (unsigned)type << 4 | (slot ? 0x100 : 0)));
	put_u32(at + 0x04, 0x8001 | (flr ? 0x10000000 : 0)); /* 256-byte payload, role-based errors */
	put_u16(at + 0x08, 0x2810);			     /* 512-byte reads, no snoop, relaxed order */
	if (has_link(type)) {
		put_u32(at + 0x0c, 0x00400043 | port_or_slot << 24);
		put_u16(at + 0x12, 0x1043);
		put_u32(at + 0x2c, 0x0000000e);
		put_u16(at + 0x30, 0x0003);
	}
	if (slot) {
		put_u32(at + 0x14, port_or_slot << 19);
		put_u16(at + 0x1a, 0x0040); /* a card is present */
	}
	put_u32(at + 0x24, 0x0000001f);
	if (passes_prefixes(type))
		pci_set_prefixes(function, true);
}

/* Section 7.5.3.15: one end-to-end prefix, which is what a PASID travels in. */
void pci_set_prefixes(struct pci_function *function, bool present)
{
	u8 *at = function->config + function->cap_pcie + 0x24;

	put_u32(at, (get_u32(at) & ~(PCIE_PREFIXES | PCIE_PREFIXES_MOST)) |
			    (present ? PCIE_PREFIXES | PCIE_PREFIXES_ONE : 0));
}

/* Section 7.5.3.3: so many bits of the function number. */
void pci_set_phantom(struct pci_function *function, unsigned bits)
{
	u8 *at = function->config + function->cap_pcie + 4;

	put_u32(at, (get_u32(at) & ~0x18u) | bits << 3);
}

/* Section 7.5.3.15: who completes them (bits 9:7), and, of a port inside a switch, who passes them on (bit 6). */
void pci_set_atomics(struct pci_function *function, unsigned sizes)
{
	u8 *at = function->config + function->cap_pcie;
	enum pcie_type type = pcie_type(function);
	bool passes = type == PCIE_UPSTREAM_PORT || type == PCIE_DOWNSTREAM_PORT || type == PCIE_ROOT_PORT;

	put_u32(at + 0x24, get_u32(at + 0x24) | sizes << 7 | (passes ? 0x40 : 0));
}

/* PCI-to-PCI Bridge 1.2 section 3.2.5.13: what other functions have in their header. */
void pci_add_subsystem(struct pci_function *function, u16 vendor, u16 subsystem)
{
	u16 at = append(function, PCI_CAP_SUBSYSTEM, 8);

	put_u16(function->config + at + 4, vendor);
	put_u16(function->config + at + 6, subsystem);
}

/* Advanced Capabilities for Conventional PCI ECN: TP and FLR. */
void pci_add_af(struct pci_function *function)
{
	u16 at = append(function, PCI_CAP_AF, 6);

	function->config[at + 2] = 6;
	function->config[at + 3] = 0x03;
	function->cap_af = at;
}

/* Section 7.7.8 */
void pci_add_acs(struct pci_function *function, u16 capable, u16 enabled)
{
	u16 at = append_extended(function, PCI_EXT_ACS, 1, 8);

	put_u16(function->config + at + 4, capable);
	put_u16(function->config + at + 6, enabled & capable);
	function->cap_acs = at;
}

/* Section 7.8.4: severities and masks at their defaults, nothing logged. */
void pci_add_aer(struct pci_function *function)
{
	u16 at = append_extended(function, PCI_EXT_AER, 2, 0x48);

	put_u32(function->config + at + 0x0c, 0x00462030);
	put_u32(function->config + at + 0x14, 0x00002000);
	function->cap_aer = at;
}

/* Section 7.9.3 */
void pci_add_dsn(struct pci_function *function, u64 serial)
{
	put_u64(function->config + append_extended(function, PCI_EXT_DSN, 1, 12) + 4, serial);
}

/* Section 7.8.8: execute and privileged supported. */
void pci_add_pasid(struct pci_function *function, unsigned width_bits)
{
	u16 at = append_extended(function, PCI_EXT_PASID, 1, 8);

	put_u16(function->config + at + 4, (u16)(0x0006 | width_bits << 8));
	function->cap_pasid = at;
	if (function->cap_pcie)
		pci_set_prefixes(function, true);
}

/* Section 10.5.1: queue depth 32 (0), page aligned requests. */
void pci_add_ats(struct pci_function *function)
{
	u16 at = append_extended(function, PCI_EXT_ATS, 1, 8);

	put_u16(function->config + at + 4, 0x0020);
	function->cap_ats = at;
}

/* Section 7.8.7: no function groups, the last function. */
void pci_add_ari(struct pci_function *function)
{
	function->cap_ari = append_extended(function, PCI_EXT_ARI, 1, 8);
}

/* Section 10.5.2: off, so stopped. */
void pci_add_pri(struct pci_function *function)
{
	u16 at = append_extended(function, PCI_EXT_PRI, 1, 16);

	put_u16(function->config + at + 6, 0x0100);
	function->cap_pri = at;
}

/*
 * Section 9.3.3: 64 bytes; page sizes of 4 KiB. It depends on no other function: that says so by naming itself, an
 * integrated one by its function number.
 */
void pci_add_sriov(struct pci_function *function, const struct pci_sriov *sriov)
{
	u16 at = append_extended(function, PCI_EXT_SRIOV, 1, 0x40);
	u8 *registers = function->config + at;

	put_u16(registers + 0x08, sriov->enabled ? 0x0009 : 0); /* VF enable, VF memory enable */
	put_u16(registers + 0x0c, sriov->initial);
	put_u16(registers + 0x0e, sriov->total);
	put_u16(registers + 0x10, sriov->enabled);
	registers[PCI_SRIOV_LINK] = function->addr.devfn;
	if (pcie_type(function) == PCIE_RC_ENDPOINT)
		registers[PCI_SRIOV_LINK] = (u8)pci_function_number(function->addr);
	put_u16(registers + 0x14, sriov->offset);
	put_u16(registers + 0x16, sriov->stride);
	put_u16(registers + 0x1a, sriov->device);
	put_u32(registers + 0x1c, 0x553);
	put_u32(registers + 0x20, 1);
	function->cap_sriov = at;
}

u16 pci_find_cap(const struct pci_function *function, u8 id)
{
	u16 at = function->config[PCI_CAP_POINTER] & 0xfc;

	/* 48 capabilities fill the space; more steps mean a loop in a config image that came from a file. */
	for (unsigned steps = 0; at >= FIRST_CAP && steps < 48; steps++) {
		if (function->config[at] == id)
			return at;
		at = function->config[at + 1] & 0xfc;
	}
	return 0;
}

u16 pci_find_ext_cap(const struct pci_function *function, u16 id)
{
	u16 at = FIRST_EXT_CAP;

	if (function->config_size < 4096)
		return 0;
	for (unsigned steps = 0; at >= FIRST_EXT_CAP && steps < 480; steps++) {
		u32 header = get_u32(function->config + at);

		if ((header & 0xffff) == id && header)
			return at;
		at = (u16)(header >> 20) & 0xffc;
	}
	return 0;
}
