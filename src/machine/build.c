/* SPDX-License-Identifier: MIT */
/*
 * Description -> functions as firmware leaves them: configuration space, BAR addresses, bridge windows.
 *
 * Addresses are given in one walk over the tree, with a cursor per kind of space. A bridge starts at a boundary of its
 * window's granularity, its subtree follows, and the window ends at the next boundary: so siblings never overlap.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "machine/description.h"

#define LOW_START  0xe0000000ull
#define LOW_LAST   0xfebfffffull /* the IOAPIC and the MSI window follow */
#define HIGH_START 0x4000000000ull
#define HIGH_LAST  0x7fffffffffull
#define IO_START   0x3000ull
#define IO_LAST	   0xffffull

#define WINDOW	  0x100000ull /* granularity of a bridge's memory windows (PCI-to-PCI Bridge 1.2 section 3.2.5.8) */
#define IO_WINDOW 0x1000ull
#define LARGE	  0x4000000ull /* 64-bit BARs from this size on go above 4 GiB */

struct space {
	u64 next, last;
};

struct layout {
	const struct pci_topology *topology;
	struct space low, high, io;
	struct why *why;
};

static enum pcie_type type_of(enum function_role role)
{
	switch (role) {
	case ROLE_INTEGRATED:
		return PCIE_RC_ENDPOINT;
	case ROLE_ROOT_PORT:
		return PCIE_ROOT_PORT;
	case ROLE_UPSTREAM_PORT:
		return PCIE_UPSTREAM_PORT;
	case ROLE_DOWNSTREAM_PORT:
		return PCIE_DOWNSTREAM_PORT;
	case ROLE_PCI_BRIDGE:
		return PCIE_TO_PCI_BRIDGE;
	case ROLE_ENDPOINT:
	case ROLE_CONVENTIONAL:
	case ROLE_CONVENTIONAL_BRIDGE:
		break;
	}
	return PCIE_ENDPOINT;
}

static bool is_pcie(const struct function_description *words)
{
	return words->role != ROLE_CONVENTIONAL && words->role != ROLE_CONVENTIONAL_BRIDGE;
}

/* Ports report errors; so do most endpoints, and a model says itself. */
static bool has_aer(const struct function_description *words)
{
	return !words->model && is_pcie(words) && words->role != ROLE_INTEGRATED;
}

static void add_capabilities(struct pci_function *function, const struct function_description *words)
{
	for (unsigned i = 0; i <= PCI_ROM; i++)
		if (words->bars[i].kind != PCI_BAR_NONE)
			pci_add_bar(function, i, words->bars[i].kind, words->bars[i].size, words->bars[i].prefetchable);
	if (words->secondary && words->identity.subsystem_vendor)
		pci_add_subsystem(function, words->identity.subsystem_vendor, words->identity.subsystem);
	if (words->has_pm)
		pci_add_pm(function);
	if (words->has_msi)
		pci_add_msi(function, words->msi_log2, true);
	if (words->msix_vectors && !words->model)
		pci_add_msix(function, words->msix_vectors, words->msix_bar, 0, words->msix_bar,
			     (u32)align_up(16ull * words->msix_vectors, 8));
	if (!is_pcie(words) && words->flr)
		pci_add_af(function);
	if (is_pcie(words))
		pci_add_pcie(function, type_of(words->role), pci_device_number(words->addr), words->flr);
	if (words->model)
		words->model->build(function, &words->options);
	if (has_aer(words))
		pci_add_aer(function);
	if (words->has_acs)
		pci_add_acs(function, words->acs_capable, words->acs_enabled);
}

/* Firmware's swizzle over eight lines, as legacy-free chipsets route them. */
static u8 interrupt_line(const struct function_description *words)
{
	return words->intx_pin ? (u8)(16 + (pci_device_number(words->addr) + words->intx_pin - 1) % 8) : 0;
}

/* The bridge is mostly that of the function before. */
static struct pci_function *parent_of(const struct function_description *words, const struct pci_topology *topology)
{
	struct pci_function *last = list_empty(&topology->functions)
					    ? NULL
					    : list_entry(topology->functions.head.previous, struct pci_function, link);

	if (!words->parent)
		return NULL;
	if (last && last->parent && pci_addr_equal(last->parent->addr, words->parent->addr))
		return last->parent;
	return pci_topology_find(topology, words->parent->addr);
}

static int build_function(const struct description *description, const struct function_description *words,
			  struct pci_topology *topology, struct why *why)
{
	struct pci_function *function = alloc_new(struct pci_function, why);

	if (!function)
		return -why->err;
	pci_function_init(function, words->addr, &words->identity);
	if (words->secondary)
		pci_make_bridge(function, words->secondary, words->subordinate);
	pci_set_intx(function, words->intx_pin, interrupt_line(words));
	add_capabilities(function, words);
	function->parent = parent_of(words, topology);
	function->untranslated = !description->iommu.present || !words->behind_iommu;
	pci_topology_add(topology, function);
	return 0;
}

static bool same_slot(const struct pci_function *a, const struct pci_function *b)
{
	return a->addr.segment == b->addr.segment && a->addr.bus == b->addr.bus &&
	       pci_device_number(a->addr) == pci_device_number(b->addr);
}

/* Functions of a slot are neighbours in enumeration order. */
static void mark_multifunction(struct pci_topology *topology)
{
	struct pci_function *function, *previous = NULL;

	list_for_each(function, &topology->functions, link) {
		if (previous && same_slot(function, previous)) {
			pci_set_multifunction(previous);
			pci_set_multifunction(function);
		}
		previous = function;
	}
}

static int take_address(struct layout *layout, const struct pci_function *function, unsigned bar, u64 *ret)
{
	const struct pci_bar *slot = &function->bars[bar];
	/* Above 4 GiB a bridge forwards prefetchable memory only (PCI-to-PCI Bridge 1.2 section 3.2.5.9). */
	bool large = slot->kind == PCI_BAR_MEMORY64 && slot->size >= LARGE && (slot->prefetchable || !function->parent);
	struct space *space = slot->kind == PCI_BAR_IO ? &layout->io : large ? &layout->high : &layout->low;
	char bdf[PCI_ADDR_TEXT];

	*ret = align_up(space->next, slot->size);
	if (*ret + slot->size - 1 > space->last)
		return refuse(layout->why, BAR_SPACE, "no address is left for BAR %u of %s, %llu bytes", bar,
			      pci_addr_print(function->addr, bdf), (unsigned long long)slot->size);
	space->next = *ret + slot->size;
	return 0;
}

static int place_bars(struct layout *layout, struct pci_function *function)
{
	for (unsigned bar = 0; bar <= PCI_ROM; bar++) {
		u64 address;
		int err;

		if (function->bars[bar].kind == PCI_BAR_NONE || function->bars[bar].kind == PCI_BAR_UPPER_HALF)
			continue;
		err = take_address(layout, function, bar, &address);
		if (err < 0)
			return err;
		pci_place_bar(function, bar, address);
	}
	return 0;
}

static int place_bus(struct layout *layout, const struct pci_function *bridge);

/* A window of nothing has its base above its limit. */
static void program_windows(struct pci_function *bridge, const struct layout *start, const struct layout *now)
{
	u8 *config = bridge->config;
	bool io = now->io.next > start->io.next, low = now->low.next > start->low.next;
	bool high = now->high.next > start->high.next;

	config[0x1c] = io ? (u8)(start->io.next >> 8 & 0xf0) : 0xf0;
	config[0x1d] = io ? (u8)((now->io.next - 1) >> 8 & 0xf0) : 0;
	put_u16(config + 0x20, low ? (u16)(start->low.next >> 16 & 0xfff0) : 0xfff0);
	put_u16(config + 0x22, low ? (u16)((now->low.next - 1) >> 16 & 0xfff0) : 0);
	put_u16(config + 0x24, high ? (u16)((start->high.next >> 16 & 0xfff0) | 1) : 0xfff1);
	put_u16(config + 0x26, high ? (u16)(((now->high.next - 1) >> 16 & 0xfff0) | 1) : 1);
	put_u32(config + 0x28, high ? (u32)(start->high.next >> 32) : 0);
	put_u32(config + 0x2c, high ? (u32)((now->high.next - 1) >> 32) : 0);
}

static void round_up(struct layout *layout)
{
	layout->low.next = align_up(layout->low.next, WINDOW);
	layout->high.next = align_up(layout->high.next, WINDOW);
	layout->io.next = align_up(layout->io.next, IO_WINDOW);
}

static int place_below(struct layout *layout, struct pci_function *bridge)
{
	struct layout start;
	int err;

	round_up(layout);
	start = *layout;
	err = place_bus(layout, bridge);
	round_up(layout);
	program_windows(bridge, &start, layout);
	return err;
}

static int place_bus(struct layout *layout, const struct pci_function *bridge)
{
	struct pci_function *function;
	int err = 0;

	list_for_each(function, &layout->topology->functions, link) {
		if (function->parent != bridge)
			continue;
		err = pci_is_bridge(function) ? place_below(layout, function) : place_bars(layout, function);
		if (err < 0)
			return err;
	}
	return 0;
}

/* Firmware leaves decoding on and bridges mastering. */
static void switch_on(struct pci_topology *topology)
{
	struct pci_function *function;

	list_for_each(function, &topology->functions, link) {
		u16 command = pci_is_bridge(function) ? PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY | PCI_COMMAND_IO : 0;

		for (unsigned bar = 0; bar < PCI_BARS; bar++) {
			if (function->bars[bar].kind == PCI_BAR_IO)
				command |= PCI_COMMAND_IO;
			else if (function->bars[bar].kind != PCI_BAR_NONE)
				command |= PCI_COMMAND_MEMORY;
		}
		put_u16(function->config + PCI_COMMAND, command);
	}
}

static int allocate_bars(struct pci_topology *topology, struct why *why)
{
	struct pci_function *function;
	int err = 0;

	list_for_each(function, &topology->functions, link) {
		err = pci_allocate_bars(function, why);
		if (err < 0)
			break;
	}
	return err;
}

int topology_build(const struct description *description, struct pci_topology *topology, struct why *why)
{
	struct layout layout = {.topology = topology,
				.low = {LOW_START, LOW_LAST},
				.high = {HIGH_START, HIGH_LAST},
				.io = {IO_START, IO_LAST},
				.why = why};
	const struct function_description *words;
	int err = 0;

	pci_topology_init(topology);
	list_for_each(words, &description->functions, link) {
		err = build_function(description, words, topology, why);
		if (err < 0)
			break;
	}
	if (err == 0) {
		mark_multifunction(topology);
		err = place_bus(&layout, NULL);
	}
	/* Not before there is an address for each: that bounds the memory. */
	if (err == 0)
		err = allocate_bars(topology, why);
	if (err < 0)
		pci_topology_fini(topology);
	else
		switch_on(topology);
	return err;
}
