/* SPDX-License-Identifier: MIT */
/* Registers and message interrupts of a captured device, cut down to what a room can give. */
#include "machine/capturing.h"

#define LARGE 0x4000000ull /* machine/build.c puts 64-bit BARs from this size on above 4 GiB */

static const struct limits *limits_of(const struct capture *capture)
{
	return &capture->limits;
}

static u64 most(const struct capture *capture, const struct pci_function *function, const struct pci_bar *bar)
{
	bool high = bar->kind == PCI_BAR_MEMORY64 && bar->size >= LARGE && (bar->prefetchable || !function->parent);
	u64 limit = high ? limits_of(capture)->high : limits_of(capture)->low;

	if (bar->kind == PCI_BAR_IO)
		return limits_of(capture)->io ? MACHINE_BAR_IO_MAX : 0;
	return min_u64(limit, bar->kind == PCI_BAR_MEMORY32 ? MACHINE_BAR32_MAX : MACHINE_BAR_MAX);
}

/* What the room gives for a BAR of the machine; kind NONE when there is nothing. */
static struct bar_description fit(const struct capture *capture, const struct pci_function *function, unsigned index)
{
	const struct pci_bar *bar = &function->bars[index];
	u64 least = bar->kind == PCI_BAR_IO ? 4 : 16, limit = most(capture, function, bar);
	struct bar_description fitted = {bar->kind, max_u64(power_of_two_from(bar->size), least), bar->prefetchable};

	if (bar->kind == PCI_BAR_NONE || bar->kind == PCI_BAR_UPPER_HALF || !bar->size || limit < least)
		return (struct bar_description){.kind = PCI_BAR_NONE};
	if (index == PCI_BARS - 1 && bar->kind == PCI_BAR_MEMORY64)
		return (struct bar_description){.kind = PCI_BAR_NONE};
	fitted.size = min_u64(fitted.size, limit);
	return fitted;
}

static void fit_all(const struct capture *capture, const struct pci_function *function,
		    struct bar_description bars[static PCI_BARS])
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		bars[i] = fit(capture, function, i);
		if (i > 0 && bars[i - 1].kind == PCI_BAR_MEMORY64)
			bars[i].kind = PCI_BAR_NONE;
	}
}

#define SIZE_TEXT 24

static const char *print_size(u64 size, char text[static SIZE_TEXT])
{
	static const char units[] = "GMK";

	for (unsigned i = 0; i < 3; i++) {
		unsigned shift = 30 - 10 * i;

		if (size >> shift && is_aligned(size, BIT(shift))) {
			snprintf(text, SIZE_TEXT, "%llu%c", (unsigned long long)(size >> shift), units[i]);
			return text;
		}
	}
	snprintf(text, SIZE_TEXT, "%llu", (unsigned long long)size);
	return text;
}

static void put_bar(struct sheet *sheet, unsigned index, const struct bar_description *bar)
{
	char size[SIZE_TEXT];

	print_size(bar->size, size);
	if (bar->kind == PCI_BAR_IO)
		sheet_put(sheet, "%u: io %s", index, size);
	else if (bar->kind == PCI_BAR_MEMORY32 && !bar->prefetchable)
		sheet_put(sheet, "%u: %s", index, size);
	else
		sheet_put(sheet, "%u: {size: %s%s%s}", index, size, bar->kind == PCI_BAR_MEMORY64 ? ", width: 64" : "",
			  bar->prefetchable ? ", prefetchable: true" : "");
}

/* What was cut down, or left out, and what it was. */
static void explain_cut(struct sheet *sheet, unsigned indent, const char *what, const struct pci_bar *bar,
			const struct bar_description *fitted)
{
	char was[SIZE_TEXT], is[SIZE_TEXT];
	bool lost = fitted->kind == PCI_BAR_NONE;

	if (!bar->size || bar->kind == PCI_BAR_NONE || bar->kind == PCI_BAR_UPPER_HALF ||
	    (!lost && fitted->size == bar->size))
		return;
	sheet_comment(sheet, indent, "%s has %s there; %s%s", what, print_size(bar->size, was),
		      lost ? "a room has no place for it" : "in a room it gets ",
		      lost ? "" : print_size(fitted->size, is));
}

static void put_bars(struct capture *capture, const struct pci_function *function,
		     const struct bar_description bars[static PCI_BARS], unsigned indent)
{
	struct sheet *sheet = &capture->sheet;
	bool any = false;
	char name[8];

	for (unsigned i = 0; i < PCI_BARS; i++) {
		snprintf(name, sizeof(name), "BAR %u", i);
		explain_cut(sheet, indent, name, &function->bars[i], &bars[i]);
	}
	for (unsigned i = 0; i < PCI_BARS; i++) {
		if (bars[i].kind == PCI_BAR_NONE)
			continue;
		if (!any)
			sheet_put(sheet, "%*sbars: {", (int)indent, "");
		else
			sheet_put(sheet, ", ");
		put_bar(sheet, i, &bars[i]);
		any = true;
	}
	if (any)
		sheet_put(sheet, "}\n");
}

static void put_rom(struct capture *capture, const struct pci_function *function, unsigned indent)
{
	const struct pci_bar *rom = &function->bars[PCI_ROM];
	struct bar_description fitted = fit(capture, function, PCI_ROM);
	char size[SIZE_TEXT];

	fitted.size = min_u64(fitted.size, MACHINE_ROM_MAX);
	if (fitted.size < 2048)
		fitted.kind = PCI_BAR_NONE;
	explain_cut(&capture->sheet, indent, "the ROM", rom, &fitted);
	if (fitted.kind != PCI_BAR_NONE)
		sheet_put(&capture->sheet, "%*srom: %s\n", (int)indent, "", print_size(fitted.size, size));
}

/* ---- message interrupts ---- */

static void put_msi(struct capture *capture, const struct pci_function *function, unsigned indent)
{
	struct sheet *sheet = &capture->sheet;
	unsigned control, vectors;

	if (!function->cap_msi)
		return;
	control = get_u16(function->config + function->cap_msi + 2);
	vectors = 1u << min_u64(control >> 1 & 7, 5);
	if ((control & 0x180) == 0x80)
		sheet_put(sheet, "%*smsi: %u\n", (int)indent, "", vectors);
	else
		sheet_put(sheet, "%*smsi: {vectors: %u%s%s}\n", (int)indent, "", vectors,
			  control & 0x80 ? "" : ", width: 32", control & 0x100 ? ", masks: true" : "");
}

static bool holds(const struct bar_description bars[static PCI_BARS], unsigned bar, u64 offset, u64 size)
{
	return bar < PCI_BARS && (bars[bar].kind == PCI_BAR_MEMORY32 || bars[bar].kind == PCI_BAR_MEMORY64) &&
	       offset + size <= bars[bar].size;
}

static bool is_possible(const struct bar_description bars[static PCI_BARS], const struct msix_description *msix)
{
	u64 table = msix_table_size(msix->vectors), pending = msix_pending_size(msix->vectors);

	return holds(bars, msix->bar, msix->offset, table) && holds(bars, msix->pending_bar, msix->pending, pending) &&
	       (msix->bar != msix->pending_bar || msix->pending >= msix->offset + table ||
		msix->offset >= msix->pending + pending);
}

/* Somewhere else, where the machine's place for it is too small here or was not shown. */
static bool move(const struct bar_description bars[static PCI_BARS], struct msix_description *msix)
{
	u32 table = msix_table_size(msix->vectors);

	for (unsigned i = 0; i < PCI_BARS; i++) {
		*msix = (struct msix_description){msix->vectors, i, i, 0, table};
		if (is_possible(bars, msix))
			return true;
	}
	return false;
}

static void put_msix(struct capture *capture, const struct pci_function *function,
		     const struct bar_description bars[static PCI_BARS], unsigned indent)
{
	const u8 *registers = function->config + function->cap_msix;
	struct sheet *sheet = &capture->sheet;
	struct msix_description msix;

	if (!function->cap_msix)
		return;
	msix = (struct msix_description){(get_u16(registers + 2) & 0x7ffu) + 1, registers[4] & 7, registers[8] & 7,
					 get_u32(registers + 4) & ~7u, get_u32(registers + 8) & ~7u};
	if (!is_possible(bars, &msix) && !move(bars, &msix)) {
		sheet_comment(sheet, indent, "MSI-X of %u vectors is left out: no BAR is known that holds its table",
			      msix.vectors);
		return;
	}
	sheet_put(sheet, "%*smsix: {vectors: %u, bar: %u", (int)indent, "", msix.vectors, msix.bar);
	if (msix.offset)
		sheet_put(sheet, ", offset: 0x%x", msix.offset);
	if (msix.pending_bar != msix.bar)
		sheet_put(sheet, ", pending_bar: %u", msix.pending_bar);
	if (msix.pending != (msix.pending_bar == msix.bar ? msix.offset + msix_table_size(msix.vectors) : 0))
		sheet_put(sheet, ", pending: 0x%x", msix.pending);
	sheet_put(sheet, "}\n");
}

void capture_registers(struct capture *capture, const struct place *place, const struct model *model, unsigned indent)
{
	const struct pci_function *function = place->function;
	struct bar_description bars[PCI_BARS] = {};

	if (!model && !pci_is_bridge(function)) {
		fit_all(capture, function, bars);
		put_bars(capture, function, bars, indent);
	}
	if (!pci_is_bridge(function))
		put_rom(capture, function, indent);
	if (function->config[PCI_INTERRUPT_PIN] >= 1 && function->config[PCI_INTERRUPT_PIN] <= 4)
		sheet_put(&capture->sheet, "%*sintx: %c\n", (int)indent, "",
			  'A' + function->config[PCI_INTERRUPT_PIN] - 1);
	if (model)
		return;
	put_msi(capture, function, indent);
	if (!pci_is_bridge(function))
		put_msix(capture, function, bars, indent);
}
