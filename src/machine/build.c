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
	struct pci_function **functions; /* owned: in enumeration order */
	u32 *first_below, *next_beside;	 /* owned: by index, 1 + index of another; 0 none */
	u32 *last_below;		 /* owned: likewise; [count] is for root buses */
	size_t count;
	struct space low, high, io;
	struct why *why;
};

static void add_msi(struct pci_function *function, const struct msi_description *msi)
{
	if (msi->masks)
		pci_add_maskable_msi(function, msi->vectors_log2, !msi->narrow);
	else
		pci_add_msi(function, msi->vectors_log2, !msi->narrow);
}

/* A model may have brought some of them. */
static void add_extended(struct pci_function *function, const struct function_description *words)
{
	if (words->phantom)
		pci_set_phantom(function, words->phantom);
	if (words->atomics)
		pci_set_atomics(function, words->atomics);
	if (words->has_aer && !words->model)
		pci_add_aer(function);
	if (words->has_acs)
		pci_add_acs(function, words->acs_capable, words->acs_enabled);
	if (words->has_dsn)
		pci_add_dsn(function, words->dsn);
	if (words->has_ari)
		pci_add_ari(function);
	if (words->has_ats && !function->cap_ats)
		pci_add_ats(function);
	if (words->has_pri && !function->cap_pri)
		pci_add_pri(function);
	if (words->pasid_width && !function->cap_pasid)
		pci_add_pasid(function, words->pasid_width);
	if (words->lacks_prefixes)
		pci_set_prefixes(function, false);
	if (words->has_sriov)
		pci_add_sriov(function, &words->sriov);
}

static void add_capabilities(struct pci_function *function, const struct function_description *words)
{
	for (unsigned i = 0; i <= PCI_ROM; i++)
		if (words->bars[i].kind != PCI_BAR_NONE)
			pci_add_bar(function, i, words->bars[i].kind, words->bars[i].size, words->bars[i].prefetchable);
	if (words->bridge && words->identity.subsystem_vendor)
		pci_add_subsystem(function, words->identity.subsystem_vendor, words->identity.subsystem);
	if (words->has_pm)
		pci_add_pm(function);
	if (words->msi.present)
		add_msi(function, &words->msi);
	if (words->msix.vectors && !words->model)
		pci_add_msix(function, words->msix.vectors, words->msix.bar, words->msix.offset,
			     words->msix.pending_bar, words->msix.pending);
	if (words->vpd)
		pci_add_vpd(function);
	if (!role_is_pcie(words->role) && words->flr)
		pci_add_af(function);
	if (role_is_pcie(words->role))
		pci_add_pcie(function, role_type(words->role), pci_device_number(words->addr), words->flr);
	if (words->model)
		words->model->build(function, &words->options);
	if (role_is_pcie(words->role))
		add_extended(function, words);
}

/* Those that nothing acts on, last: only they may be too many. */
static int add_extra_caps(struct pci_function *function, const struct function_description *words, struct why *why)
{
	int err = 0;

	for (unsigned i = 0; i < words->ncaps && err == 0; i++)
		err = pci_add_extra_cap(function, &words->caps[i], why);
	return err;
}

/* Firmware's swizzle over eight lines, as legacy-free chipsets route them. */
static u8 interrupt_line(const struct function_description *words)
{
	return words->intx_pin ? (u8)(16 + (pci_device_number(words->addr) + words->intx_pin - 1) % 8) : 0;
}

static void free_function(struct pci_function *function)
{
	if (function)
		pci_function_fini(function);
	free(function);
}

static struct pci_function *new_function(const struct description *description,
					 const struct function_description *words, struct pci_addr addr,
					 struct why *why)
{
	struct pci_function *function = alloc_new(struct pci_function, why);

	if (!function)
		return NULL;
	pci_function_init(function, addr, &words->identity);
	if (words->bridge)
		pci_make_bridge(function, words->secondary, words->subordinate);
	if (words->multifunction)
		pci_set_multifunction(function);
	pci_set_intx(function, words->intx_pin, interrupt_line(words));
	add_capabilities(function, words);
	if (add_extra_caps(function, words, why) < 0) {
		free_function(function);
		return NULL;
	}
	function->unit = words->unit;
	function->untranslated = !description->iommu.present || !words->behind_iommu;
	return function;
}

/* One is built to see which BARs there are. */
static int add_virtual_bars(const struct description *description, const struct function_description *words,
			    struct pci_function *function, struct why *why)
{
	struct pci_function *model;
	int err;

	if (!words->vf)
		return 0;
	model = new_function(description, words->vf, words->vf->addr, why);
	err = model ? pci_sriov_add_bars(function, model, why) : -why->err;
	free_function(model);
	return err;
}

static int build_function(const struct description *description, const struct function_description *words,
			  struct layout *layout)
{
	struct pci_function *function = new_function(description, words, words->addr, layout->why);

	if (!function)
		return -layout->why->err;
	layout->functions[words->index] = function;
	function->parent = words->parent ? layout->functions[words->parent->index] : NULL;
	if (words->physical)
		pci_make_virtual(function, layout->functions[words->physical->index], 0);
	return add_virtual_bars(description, words, function, layout->why);
}

int virtual_build(const struct description *description, const struct function_description *words,
		  struct pci_function *physical, unsigned n, struct pci_function **ret, struct why *why)
{
	struct function_description plain = {.role = words->role,
					     .identity = words->identity,
					     .flr = true,
					     .behind_iommu = words->behind_iommu,
					     .unit = words->unit};
	struct pci_function *function;
	struct pci_addr addr;
	int err;

	plain.identity.device = words->sriov.device;
	pci_virtual_addr(physical, n, &addr);
	function = new_function(description, words->vf ? words->vf : &plain, addr, why);
	if (!function)
		return -why->err;
	function->parent = physical->parent;
	function->dma_device = physical->dma_device;
	pci_make_virtual(function, physical, n);
	err = pci_allocate_bars(function, why);
	if (err == 0 && words->vf)
		err = function_contents_load(words->vf, function, why);
	if (err < 0) {
		free_function(function);
		return err;
	}
	*ret = function;
	return 0;
}

/* Who makes the requests of functions behind VMD. */
static void link_vmd(const struct description *description, const struct layout *layout)
{
	const struct function_description *words;

	list_for_each(words, &description->functions, link)
		if (words->below_vmd)
			layout->functions[words->index]->dma_device =
				layout->functions[description_find(description, words->vmd)->index];
}

/* What hangs below each bridge, in enumeration order. */
static void link_below(const struct description *description, const struct layout *layout)
{
	const struct function_description *words;

	list_for_each(words, &description->functions, link) {
		size_t above = words->parent ? words->parent->index : layout->count;

		if (layout->last_below[above])
			layout->next_beside[layout->last_below[above] - 1] = words->index + 1;
		else
			layout->first_below[above] = words->index + 1;
		layout->last_below[above] = words->index + 1;
	}
}

static int layout_init(struct layout *layout, size_t count, struct why *why)
{
	*layout = (struct layout){.count = count,
				  .low = {LOW_START, LOW_LAST},
				  .high = {HIGH_START, HIGH_LAST},
				  .io = {IO_START, IO_LAST},
				  .why = why};
	layout->functions = alloc_array(count + 1, sizeof(struct pci_function *), why);
	if (layout->functions)
		layout->first_below = alloc_array(count + 1, sizeof(u32), why);
	if (layout->first_below)
		layout->next_beside = alloc_array(count + 1, sizeof(u32), why);
	if (layout->next_beside)
		layout->last_below = alloc_array(count + 1, sizeof(u32), why);
	return layout->last_below ? 0 : -why->err;
}

/* The functions are those of nobody yet, unless they have entered a topology. */
static void layout_fini(struct layout *layout, bool with_functions)
{
	for (size_t i = 0; with_functions && layout->functions && i < layout->count; i++)
		free_function(layout->functions[i]);
	free(layout->functions);
	free(layout->first_below);
	free(layout->next_beside);
	free(layout->last_below);
}

/* Of one BAR, or of as many as there can be virtual functions, one after the other. */
static int take_address(struct layout *layout, const struct pci_function *function, unsigned bar, unsigned virtuals,
			u64 *ret)
{
	const struct pci_bar *slot = virtuals ? &function->virtual_bars[bar] : &function->bars[bar];
	u64 size = slot->size * max_u64(virtuals, 1);
	/* Above 4 GiB a bridge forwards prefetchable memory only (PCI-to-PCI Bridge 1.2 section 3.2.5.9). */
	bool large = slot->kind == PCI_BAR_MEMORY64 && size >= LARGE && (slot->prefetchable || !function->parent);
	struct space *space = slot->kind == PCI_BAR_IO ? &layout->io : large ? &layout->high : &layout->low;
	char bdf[PCI_ADDR_TEXT];

	*ret = align_up(space->next, slot->size);
	if (*ret > space->last || size - 1 > space->last - *ret)
		return refuse(layout->why, BAR_SPACE, "no address is left for BAR %u of %s%s, %llu bytes", bar,
			      virtuals ? "the virtual functions of " : "", pci_addr_print(function->addr, bdf),
			      (unsigned long long)size);
	space->next = *ret + size;
	return 0;
}

static int place_virtual_bars(struct layout *layout, struct pci_function *function)
{
	for (unsigned bar = 0; function->virtual_bars && bar < PCI_BARS; bar++) {
		u64 address;
		int err;

		if (!function->virtual_bars[bar].size)
			continue;
		err = take_address(layout, function, bar, pci_sriov_total(function), &address);
		if (err < 0)
			return err;
		pci_sriov_place_bar(function, bar, address);
	}
	return 0;
}

static int place_bars(struct layout *layout, struct pci_function *function)
{
	for (unsigned bar = 0; bar <= PCI_ROM; bar++) {
		u64 address;
		int err;

		if (function->bars[bar].kind == PCI_BAR_NONE || function->bars[bar].kind == PCI_BAR_UPPER_HALF)
			continue;
		err = take_address(layout, function, bar, 0, &address);
		if (err < 0)
			return err;
		pci_place_bar(function, bar, address);
	}
	return place_virtual_bars(layout, function);
}

static int place_bus(struct layout *layout, size_t above);

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

static int place_below(struct layout *layout, size_t index)
{
	struct pci_function *bridge = layout->functions[index];
	struct layout start;
	int err;

	round_up(layout);
	start = *layout;
	err = place_bus(layout, index);
	round_up(layout);
	program_windows(bridge, &start, layout);
	return err;
}

/* above: the index of a bridge, or count for the root buses. */
static int place_bus(struct layout *layout, size_t above)
{
	for (u32 at = layout->first_below[above]; at; at = layout->next_beside[at - 1]) {
		struct pci_function *function = layout->functions[at - 1];
		int err = pci_is_bridge(function) ? place_below(layout, at - 1) : place_bars(layout, function);

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
		if (!function->physical)
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

/* Functions with addresses for their BARs, but no memory behind them yet. */
static int build_functions(const struct description *description, struct layout *layout)
{
	const struct function_description *words;
	int err = 0;

	list_for_each(words, &description->functions, link) {
		err = build_function(description, words, layout);
		if (err < 0)
			return err;
	}
	link_vmd(description, layout);
	link_below(description, layout);
	return place_bus(layout, layout->count);
}

int topology_build(const struct description *description, struct pci_topology *topology, struct why *why)
{
	struct layout layout;
	int err = layout_init(&layout, description->count, why);

	pci_topology_init(topology);
	if (err == 0)
		err = build_functions(description, &layout);
	for (size_t i = 0; err == 0 && i < layout.count; i++)
		pci_topology_add(topology, layout.functions[i]);
	layout_fini(&layout, err < 0);
	/* Not before there is an address for each: that bounds the memory. */
	if (err == 0)
		err = allocate_bars(topology, why);
	if (err < 0)
		pci_topology_fini(topology);
	else
		switch_on(topology);
	return err;
}

int topology_fits(const struct description *description, struct why *why)
{
	struct layout layout;
	int err = layout_init(&layout, description->count, why);

	if (err == 0)
		err = build_functions(description, &layout);
	layout_fini(&layout, true);
	return err;
}
