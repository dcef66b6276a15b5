/* SPDX-License-Identifier: MIT */
/*
 * Configuration writes as the hardware takes them. Tables say which bits of which register can be written, which are
 * cleared by writing one, and what a function-level reset leaves alone; a few registers have an effect besides.
 */
#include "pci/caps.h"
#include "pci/contents.h"

#define ALL		 0xffffffffu
#define PM_STATE	 0x3u
#define PM_D3HOT	 0x3u
#define PM_NO_SOFT_RESET 0x8u

/* Header type 0 (PCI Local Bus 3.0 section 6.1). The interrupt line is firmware's note to the system. */
static const struct pci_config_rule header_rules[] = {
	{.offset = PCI_COMMAND, .writable = 0x0547, .clears = 0xf9000000},
	{.offset = PCI_CACHE_LINE, .writable = 0xffff},
	{.offset = PCI_INTERRUPT_LINE, .writable = 0xff, .kept = ALL},
};

/* Header type 1: bus numbers, windows, bridge control (PCI-to-PCI Bridge 1.2 section 3.2.5). I/O is 16 bits wide. */
static const struct pci_config_rule bridge_rules[] = {
	{.offset = PCI_COMMAND, .writable = 0x0547, .clears = 0xf9000000},
	{.offset = PCI_CACHE_LINE, .writable = 0xffff},
	{.offset = PCI_PRIMARY_BUS, .writable = ALL, .kept = ALL},
	{.offset = 0x1c, .writable = 0x0000f0f0, .clears = 0xf9000000, .kept = ALL},
	{.offset = 0x20, .writable = 0xfff0fff0, .kept = ALL},
	{.offset = 0x24, .writable = 0xfff0fff0, .kept = ALL},
	{.offset = 0x28, .writable = ALL, .kept = ALL},
	{.offset = 0x2c, .writable = ALL, .kept = ALL},
	{.offset = PCI_INTERRUPT_LINE, .writable = 0x0fff00ff, .kept = ALL},
};

/* PCI Local Bus 3.0 appendix I: an address with a flag, a dword of data. */
static const struct pci_config_rule vpd_rules[] = {
	{.offset = 0, .writable = 0xffff0000},
	{.offset = 4, .writable = ALL},
};

/* PCI Power Management 1.2 section 3.2.4 */
static const struct pci_config_rule pm_rules[] = {{.offset = 4, .writable = 0x0003}};

/* PCI Local Bus 3.0 sections 6.8.1 and 6.8.2. A message address is a dword's; 32-bit ones have data next to it. */
static const struct pci_config_rule msi32_rules[] = {
	{.offset = 0, .writable = 0x00710000},
	{.offset = 4, .writable = 0xfffffffc},
	{.offset = 8, .writable = 0x0000ffff},
};
static const struct pci_config_rule msi64_rules[] = {
	{.offset = 0, .writable = 0x00710000},
	{.offset = 4, .writable = 0xfffffffc},
	{.offset = 8, .writable = ALL},
	{.offset = 12, .writable = 0x0000ffff},
};
static const struct pci_config_rule msix_rules[] = {{.offset = 0, .writable = 0xc0000000}};

/* PCI Express Base 5.0 section 7.5.3: device, link, slot, root, device 2, link 2; who has which is in tables_of(). */
static const struct pci_config_rule device_rules[] = {
	{.offset = 0x08, .writable = 0x78ff, .clears = 0x000f0000, .kept = 0x00e0, .initial = 0x2810},
	{.offset = 0x28, .writable = 0x005f},
};
static const struct pci_config_rule link_rules[] = {
	{.offset = 0x10, .writable = 0x01cb, .kept = ALL},
	{.offset = 0x30, .writable = 0xffbf, .kept = ALL},
};
static const struct pci_config_rule slot_rules[] = {
	{.offset = 0x10, .writable = 0x0fdb, .clears = 0xc0000000, .kept = ALL},
	{.offset = 0x18, .writable = 0x1fff, .clears = 0x011f0000, .kept = ALL},
	{.offset = 0x30, .writable = 0xffbf, .kept = ALL},
};
static const struct pci_config_rule root_rules[] = {
	{.offset = 0x1c, .writable = 0x001f, .kept = ALL},
	{.offset = 0x20, .clears = 0x00010000, .kept = ALL},
};

/* Sections 7.7.8, 7.8.4, 10.5.1, 7.8.8. What AER holds is sticky. Linux puts the ACS bits back at once. */
static const struct pci_config_rule acs_rules[] = {{.offset = 4, .writable = 0x007f0000, .kept = ALL}};
static const struct pci_config_rule aer_rules[] = {
	{.offset = 0x04, .clears = ALL, .kept = ALL},	{.offset = 0x08, .writable = ALL, .kept = ALL},
	{.offset = 0x0c, .writable = ALL, .kept = ALL}, {.offset = 0x10, .clears = ALL, .kept = ALL},
	{.offset = 0x14, .writable = ALL, .kept = ALL}, {.offset = 0x18, .writable = 0x0140, .kept = ALL},
};
static const struct pci_config_rule aer_root_rules[] = {
	{.offset = 0x2c, .writable = 0x0007, .kept = ALL},
	{.offset = 0x30, .clears = 0x007f, .kept = ALL},
};
static const struct pci_config_rule ats_rules[] = {{.offset = 4, .writable = 0x801f0000}};
static const struct pci_config_rule pasid_rules[] = {{.offset = 4, .writable = 0x00070000}};

struct table {
	u16 at;
	const struct pci_config_rule *rules;
	size_t count;
};

#define TABLES_MAX 15

struct tables {
	struct table table[TABLES_MAX];
	size_t count;
};

#define ADD_TABLE(tables, at, rules) add_table(tables, at, rules, ARRAY_SIZE(rules))

static void add_table(struct tables *tables, u16 at, const struct pci_config_rule *rules, size_t count)
{
	assert(tables->count < TABLES_MAX);
	tables->table[tables->count++] = (struct table){at, rules, count};
}

static void add_pcie_tables(const struct pci_function *function, struct tables *ret)
{
	enum pcie_type type = pcie_type(function);
	bool slot = type == PCIE_ROOT_PORT || type == PCIE_DOWNSTREAM_PORT;

	ADD_TABLE(ret, function->cap_pcie, device_rules);
	if (slot)
		ADD_TABLE(ret, function->cap_pcie, slot_rules);
	else if (type != PCIE_RC_ENDPOINT && type != PCIE_RC_EVENT_COLLECTOR)
		ADD_TABLE(ret, function->cap_pcie, link_rules);
	if (type == PCIE_ROOT_PORT)
		ADD_TABLE(ret, function->cap_pcie, root_rules);
	if (type == PCIE_ROOT_PORT && function->cap_aer)
		ADD_TABLE(ret, function->cap_aer, aer_root_rules);
}

/* The tables that hold for this function, each with where it starts. */
static struct tables tables_of(const struct pci_function *function)
{
	const struct {
		u16 at;
		const struct pci_config_rule *rules;
		size_t count;
	} caps[] = {
		{function->cap_pm, pm_rules, ARRAY_SIZE(pm_rules)},
		{function->cap_vpd, vpd_rules, ARRAY_SIZE(vpd_rules)},
		{function->cap_msix, msix_rules, ARRAY_SIZE(msix_rules)},
		{function->cap_acs, acs_rules, ARRAY_SIZE(acs_rules)},
		{function->cap_aer, aer_rules, ARRAY_SIZE(aer_rules)},
		{function->cap_ats, ats_rules, ARRAY_SIZE(ats_rules)},
		{function->cap_pasid, pasid_rules, ARRAY_SIZE(pasid_rules)},
	};
	struct tables tables = {.count = 0};

	if (pci_is_bridge(function))
		ADD_TABLE(&tables, 0, bridge_rules);
	else
		ADD_TABLE(&tables, 0, header_rules);
	if (function->cap_msi && function->config[function->cap_msi + 2] & 0x80)
		ADD_TABLE(&tables, function->cap_msi, msi64_rules);
	else if (function->cap_msi)
		ADD_TABLE(&tables, function->cap_msi, msi32_rules);
	if (function->cap_pcie)
		add_pcie_tables(function, &tables);
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++)
		if (caps[i].at)
			add_table(&tables, caps[i].at, caps[i].rules, caps[i].count);
	if (function->nown_rules)
		add_table(&tables, 0, function->own_rules, function->nown_rules);
	return tables;
}

/* The rule of the dword at offset, NULL when it is read-only. */
static const struct pci_config_rule *rule_at(const struct pci_function *function, u16 offset)
{
	struct tables tables = tables_of(function);

	for (size_t i = 0; i < tables.count; i++)
		for (size_t j = 0; j < tables.table[i].count; j++)
			if (tables.table[i].at + tables.table[i].rules[j].offset == offset)
				return &tables.table[i].rules[j];
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

/* The dword without what the line adds. */
static u32 load_dword(const struct pci_function *function, u16 offset)
{
	if (offset != PCI_COMMAND)
		return get_u32(function->config + offset);
	return pci_command(function) | (u32)get_u16(function->config + PCI_STATUS) << 16;
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

static void refresh(struct pci_function *function)
{
	if (function->ops->config_refresh)
		function->ops->config_refresh(function);
}

u32 pci_config_read(struct pci_function *function, u16 offset, unsigned width)
{
	u16 dword = (u16)align_down(offset, 4);
	u32 value;

	assert(is_aligned(offset, width) && offset + width <= function->config_size);
	refresh(function);
	value = load_dword(function, dword);
	if (dword == PCI_COMMAND && pci_irq_asserted(&function->irq))
		value |= (u32)PCI_STATUS_INTX << 16;
	return (u32)(value >> 8 * (offset - dword) & (BIT(8 * width) - 1));
}

/* D0 and D3hot always; D1 and D2 if PMC says so (PCI Power Management 1.2 section 3.2.3). */
static bool has_power_state(const struct pci_function *function, u32 state)
{
	return state == 0 || state == 3 || get_u16(function->config + function->cap_pm + 2) >> (8 + state) & 1;
}

/* Of the header a virtual function has the bit that lets it master (PCI Express Base 5.0 section 9.3.4.1). */
static u32 virtual_header_writable(u16 dword)
{
	return dword == PCI_COMMAND ? PCI_COMMAND_MASTER : 0;
}

static u32 writable_bits(const struct pci_function *function, u16 dword, const struct pci_config_rule *rule,
			 u32 written)
{
	int bar = bar_at(function, dword);
	u32 extra = function->extra_writable ? get_u32(function->extra_writable + dword) : 0;

	if (function->physical && dword < PCI_HEADER_SIZE)
		return virtual_header_writable(dword);
	if (bar >= 0)
		return bar_writable(function, (unsigned)bar);
	if (!rule)
		return extra;
	/* Control bits of what the device cannot do are wired to zero. */
	if (rule == acs_rules)
		return rule->writable & (u32)get_u16(function->config + function->cap_acs + 4) << 16;
	if (rule == pm_rules && !has_power_state(function, written & 3))
		return 0;
	return rule->writable | extra;
}

/* The flag says which way the dword went; the device turns it over when it is done. */
static void move_vpd(struct pci_function *function, u16 dword)
{
	u32 control = get_u32(function->config + dword), at = control >> 16 & (PCI_VPD_MAX - 1);

	if (control >> 31)
		pci_vpd_store(function, at & ~3u, get_u32(function->config + dword + 4));
	else
		put_u32(function->config + dword + 4, pci_vpd_load(function, at & ~3u));
	put_u32(function->config + dword, control ^ 0x80000000);
}

/* Between D3hot and D0 a function without No_Soft_Reset goes through a reset (PCI Power Management 1.2, 3.2.4). */
static bool forgets(const struct pci_function *function, u16 dword, u32 before)
{
	u32 now = get_u32(function->config + dword);

	return function->cap_pm && dword == function->cap_pm + 4 && (before & PM_STATE) == PM_D3HOT &&
	       !(now & PM_STATE) && !(now & PM_NO_SOFT_RESET);
}

/* What a write does besides being stored. written is the dword, zero where the access did not reach. */
static void take_effect(struct pci_function *function, u16 dword, u32 before, u32 written, u32 lanes)
{
	bool flr = false, soft = forgets(function, dword, before);

	if (function->cap_vpd && dword == function->cap_vpd && function->vpd && lanes >> 24)
		move_vpd(function, dword);

	if (dword == PCI_COMMAND && function->ops->command_written)
		function->ops->command_written(function);
	/* Both bits always read as zero. Base 5.0 section 7.5.3.4; Advanced Features ECN */
	if (function->cap_pcie && dword == function->cap_pcie + 8)
		flr = written & 0x8000 && get_u32(function->config + function->cap_pcie + 4) & 0x10000000;
	else if (function->cap_af && dword == function->cap_af + 4)
		flr = written & 0x01;
	if (flr || soft)
		pci_function_reset(function);
}

void pci_config_write(struct pci_function *function, u16 offset, unsigned width, u32 value)
{
	u16 dword = (u16)align_down(offset, 4);
	unsigned shift = (offset - dword) * 8u;
	u32 lanes = (u32)((BIT(width * 8) - 1) << shift);
	u32 written = value << shift & lanes;
	const struct pci_config_rule *rule = rule_at(function, dword);
	u32 writable = writable_bits(function, dword, rule, written) & lanes;
	u32 before, old;

	assert(is_aligned(offset, width) && offset + width <= function->config_size);
	refresh(function);
	before = load_dword(function, dword);
	old = before & ~(rule ? rule->clears & written : 0);
	store_dword(function, dword, (old & ~writable) | (written & writable));
	take_effect(function, dword, before, written, lanes);
}

/* The registers forget their addresses, the system does not: see pci_function_restore(). */
static void reset_bars(struct pci_function *function)
{
	for (unsigned bar = 0; bar <= PCI_ROM; bar++) {
		u64 address = function->bars[bar].address;

		if (function->bars[bar].kind == PCI_BAR_NONE || function->bars[bar].kind == PCI_BAR_UPPER_HALF)
			continue;
		pci_place_bar(function, bar, 0);
		function->bars[bar].address = address;
	}
}

void pci_function_reset(struct pci_function *function)
{
	struct tables tables = tables_of(function);

	for (size_t i = 0; i < tables.count; i++)
		for (size_t j = 0; j < tables.table[i].count; j++) {
			const struct pci_config_rule *rule = &tables.table[i].rules[j];
			u16 dword = (u16)(tables.table[i].at + rule->offset);
			u32 lost = (rule->writable | rule->clears) & ~rule->kept;

			store_dword(function, dword, (load_dword(function, dword) & ~lost) | (rule->initial & lost));
		}
	reset_bars(function);
	if (function->ops->reset)
		function->ops->reset(function);
	pci_irq_level(&function->irq, false);
	/* Its virtual functions vanish, and are there anew when the system enables them again, as it does at once. */
	for (struct pci_function *virtual = function->virtuals; virtual; virtual = virtual->next_virtual)
		pci_function_reset(virtual);
}

void pci_function_restore(struct pci_function *function)
{
	for (unsigned bar = 0; bar <= PCI_ROM; bar++)
		if (function->bars[bar].kind != PCI_BAR_NONE && function->bars[bar].kind != PCI_BAR_UPPER_HALF)
			pci_place_bar(function, bar, function->bars[bar].address);
}
