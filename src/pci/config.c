/* SPDX-License-Identifier: MIT */
/*
 * Configuration writes as the hardware takes them: tables say which bits of which register can be written (and which
 * are cleared by writing one), a few registers have an effect besides.
 */
#include "pci/caps.h"

struct rule {
	u16 offset; /* dword, from the start of configuration space or of the capability */
	u32 writable;
	u32 clears; /* written as one, these bits become zero */
};

/* Header type 0 and the part common to both (PCI Local Bus 3.0 section 6.1) */
static const struct rule header_rules[] = {
	{PCI_COMMAND, 0x0547, 0xf9000000},
	{PCI_CACHE_LINE, 0x0000ffff, 0},
	{PCI_INTERRUPT_LINE, 0x000000ff, 0},
};

/* Header type 1: bus numbers, windows, bridge control (PCI-to-PCI Bridge 1.2 section 3.2) */
static const struct rule bridge_rules[] = {
	{PCI_COMMAND, 0x0547, 0xf9000000},
	{PCI_CACHE_LINE, 0x0000ffff, 0},
	{0x18, 0xffffffff, 0},
	{0x1c, 0x0000f0f0, 0xf9000000},
	{0x20, 0xfff0fff0, 0},
	{0x24, 0xfff0fff0, 0},
	{0x28, 0xffffffff, 0},
	{0x2c, 0xffffffff, 0},
	{0x30, 0xffffffff, 0},
	{PCI_INTERRUPT_LINE, 0x0fff00ff, 0},
};

static const struct rule pm_rules[] = {{4, 0x00000103, 0x00008000}};
static const struct rule msi_rules[] = {
	{0, 0x00710000, 0}, {4, 0xfffffffc, 0}, {8, 0xffffffff, 0}, {12, 0x0000ffff, 0}};
static const struct rule msix_rules[] = {{0, 0xc0000000, 0}};
static const struct rule pcie_rules[] = {{0x08, 0x0000fcff, 0x000f0000},
					 {0x10, 0x00000fff, 0},
					 {0x18, 0x00001fff, 0x011f0000},
					 {0x28, 0x0000ffff, 0},
					 {0x30, 0x0000ffff, 0}};
static const struct rule af_rules[] = {{4, 0x00000001, 0}};
static const struct rule acs_rules[] = {{4, 0x007f0000, 0}};
static const struct rule aer_rules[] = {{0x04, 0, 0xffffffff}, {0x08, 0xffffffff, 0}, {0x0c, 0xffffffff, 0},
					{0x10, 0, 0xffffffff}, {0x14, 0xffffffff, 0}, {0x18, 0x00000140, 0}};
static const struct rule ats_rules[] = {{4, 0x801f0000, 0}};
static const struct rule pasid_rules[] = {{4, 0x00070000, 0}};

static const struct rule *search(const struct rule *rules, size_t count, u16 offset)
{
	for (size_t i = 0; i < count; i++)
		if (rules[i].offset == offset)
			return &rules[i];
	return NULL;
}

#define SEARCH(rules, offset) search(rules, ARRAY_SIZE(rules), (u16)(offset))

/* The rule of the dword at offset, NULL when it is read-only. */
static const struct rule *rule_at(const struct pci_function *function, u16 offset)
{
	const struct {
		u16 at;
		const struct rule *rules;
		size_t count;
	} caps[] = {
		{function->cap_pm, pm_rules, ARRAY_SIZE(pm_rules)},
		{function->cap_msi, msi_rules, ARRAY_SIZE(msi_rules)},
		{function->cap_msix, msix_rules, ARRAY_SIZE(msix_rules)},
		{function->cap_pcie, pcie_rules, ARRAY_SIZE(pcie_rules)},
		{function->cap_af, af_rules, ARRAY_SIZE(af_rules)},
		{function->cap_acs, acs_rules, ARRAY_SIZE(acs_rules)},
		{function->cap_aer, aer_rules, ARRAY_SIZE(aer_rules)},
		{function->cap_ats, ats_rules, ARRAY_SIZE(ats_rules)},
		{function->cap_pasid, pasid_rules, ARRAY_SIZE(pasid_rules)},
	};

	if (offset < 0x40)
		return pci_is_bridge(function) ? SEARCH(bridge_rules, offset) : SEARCH(header_rules, offset);
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		const struct rule *rule = caps[i].at && offset >= caps[i].at
						  ? search(caps[i].rules, caps[i].count, (u16)(offset - caps[i].at))
						  : NULL;

		if (rule)
			return rule;
	}
	return NULL;
}

/* The index of the BAR (or PCI_ROM) whose register is at offset; -1 if none. */
static int bar_at(const struct pci_function *function, u16 offset)
{
	unsigned nbars = pci_is_bridge(function) ? 2 : PCI_BARS;

	if (offset >= PCI_BAR0 && offset < PCI_BAR0 + 4 * nbars)
		return (offset - PCI_BAR0) / 4;
	return offset == (pci_is_bridge(function) ? PCI_ROM_ADDRESS_BRIDGE : PCI_ROM_ADDRESS) ? PCI_ROM : -1;
}

/* Address bits below the size are wired to zero: writing ones reads back the size (6.2.5.1). */
static u32 bar_writable(const struct pci_function *function, unsigned bar)
{
	const struct pci_bar *slot = &function->bars[bar];

	switch (slot->kind) {
	case PCI_BAR_NONE:
		return 0;
	case PCI_BAR_UPPER_HALF:
		return (u32)(~(function->bars[bar - 1].size - 1) >> 32);
	case PCI_BAR_IO:
	case PCI_BAR_MEMORY32:
	case PCI_BAR_MEMORY64:
		return (u32) ~(slot->size - 1) | (bar == PCI_ROM ? 1 : 0);
	}
	return 0;
}

u32 pci_config_read(const struct pci_function *function, u16 offset, unsigned width)
{
	u32 value = 0;

	assert(offset + width <= function->config_size);
	if (offset == PCI_COMMAND)
		return width == 1 ? (u8)pci_command(function)
				  : pci_command(function) |
					    (width == 4 ? (u32)get_u16(function->config + PCI_STATUS) << 16 : 0);
	memcpy(&value, function->config + offset, width);
	return value;
}

/* The command register is read by the device's own thread. */
static void store_dword(struct pci_function *function, u16 offset, u32 value)
{
	if (offset == PCI_COMMAND) {
		__atomic_store_n((u16 *)(void *)(function->config + PCI_COMMAND), (u16)value, __ATOMIC_RELEASE);
		put_u16(function->config + PCI_STATUS, (u16)(value >> 16));
	} else {
		put_u32(function->config + offset, value);
	}
}

static bool touches(u16 register_at, u16 dword)
{
	return align_down(register_at, 4) == dword;
}

/* What a write does besides being stored. value is the whole dword as written. */
static void take_effect(struct pci_function *function, u16 dword, u32 written)
{
	if (dword == PCI_COMMAND && function->ops->command_written)
		function->ops->command_written(function);
	if (function->cap_pcie && touches(function->cap_pcie + 8, dword)) {
		bool flr_capable = get_u32(function->config + function->cap_pcie + 4) & 0x10000000;

		/* Initiate Function Level Reset always reads zero (7.5.3.4). */
		if (written & 0x8000 && flr_capable)
			pci_function_reset(function);
	}
	if (function->cap_af && touches(function->cap_af + 4, dword) && written & 1)
		pci_function_reset(function);
}

void pci_config_write(struct pci_function *function, u16 offset, unsigned width, u32 value)
{
	u16 dword = (u16)align_down(offset, 4);
	unsigned shift = (offset - dword) * 8u;
	u32 lanes = (u32)((BIT(width * 8) - 1) << shift);
	u32 written = value << shift & lanes;
	u32 old = pci_config_read(function, dword, 4);
	const struct rule *rule = rule_at(function, dword);
	int bar = bar_at(function, dword);
	u32 writable = bar >= 0 ? bar_writable(function, (unsigned)bar) : rule ? rule->writable : 0;

	assert(is_aligned(offset, width) && offset + width <= function->config_size);
	writable &= lanes;
	old &= ~(rule ? rule->clears & written : 0);
	store_dword(function, dword, (old & ~writable) | (written & writable));
	take_effect(function, dword, written);
}

static void clear_bits(struct pci_function *function, u16 cap, u16 offset, u16 bits)
{
	if (cap)
		put_u16(function->config + cap + offset, get_u16(function->config + cap + offset) & (u16)~bits);
}

void pci_function_reset(struct pci_function *function)
{
	store_dword(function, PCI_COMMAND, (u32)get_u16(function->config + PCI_STATUS) << 16);
	clear_bits(function, function->cap_msi, 2, 0x0071);
	clear_bits(function, function->cap_msix, 2, 0xc000);
	clear_bits(function, function->cap_pm, 4, 0x0003);
	for (unsigned bar = 0; bar < PCI_BARS && !pci_is_bridge(function); bar++)
		if (function->bars[bar].kind != PCI_BAR_NONE && function->bars[bar].kind != PCI_BAR_UPPER_HALF) {
			u64 address = function->bars[bar].address;

			/* The register forgets, the system does not: see pci_function_restore(). */
			pci_place_bar(function, bar, 0);
			function->bars[bar].address = address;
		}
	if (function->ops->reset)
		function->ops->reset(function);
	pci_irq_level(&function->irq, false);
}

void pci_function_restore(struct pci_function *function)
{
	for (unsigned bar = 0; bar < PCI_BARS && !pci_is_bridge(function); bar++)
		if (function->bars[bar].kind != PCI_BAR_NONE && function->bars[bar].kind != PCI_BAR_UPPER_HALF)
			pci_place_bar(function, bar, function->bars[bar].address);
}
