/* SPDX-License-Identifier: MIT */
/*
 * Physical functions and their virtual ones (PCI Express Base 5.0 chapter 9). A virtual function answers ffff for its
 * ids, has no BAR registers and no decode bits: all that is said by its physical function, whose VF BARs are followed
 * by those of the second, the third, ...
 */
#include "base/alloc.h"
#include "pci/caps.h"

static u16 sriov_u16(const struct pci_function *function, u16 offset)
{
	return get_u16(function->config + function->cap_sriov + offset);
}

bool pci_is_physical(const struct pci_function *function)
{
	u16 total = function->cap_sriov && !function->physical ? pci_sriov_total(function) : 0;

	return total && sriov_u16(function, PCI_SRIOV_OFFSET) && (total == 1 || sriov_u16(function, PCI_SRIOV_STRIDE));
}

u16 pci_sriov_total(const struct pci_function *function)
{
	return sriov_u16(function, PCI_SRIOV_TOTAL);
}

u16 pci_sriov_number(const struct pci_function *function)
{
	return sriov_u16(function, PCI_SRIOV_CONTROL) & PCI_SRIOV_ENABLE ? sriov_u16(function, PCI_SRIOV_NUMBER) : 0;
}

bool pci_virtual_addr(const struct pci_function *function, unsigned n, struct pci_addr *ret)
{
	u64 id = pci_requester_id(function->addr) + sriov_u16(function, PCI_SRIOV_OFFSET) +
		 (u64)n * sriov_u16(function, PCI_SRIOV_STRIDE);

	*ret = (struct pci_addr){function->addr.segment, (u8)(id >> 8), (u8)id};
	return id <= 0xffff;
}

bool pci_virtual_position(const struct pci_function *function, struct pci_addr addr, unsigned *ret)
{
	unsigned first = pci_requester_id(function->addr) + sriov_u16(function, PCI_SRIOV_OFFSET);
	unsigned stride = sriov_u16(function, PCI_SRIOV_STRIDE), id = pci_requester_id(addr);

	if (addr.segment != function->addr.segment || id < first)
		return false;
	*ret = stride ? (id - first) / stride : 0;
	return *ret < pci_sriov_total(function) && first + *ret * stride == id;
}

int pci_sriov_add_bars(struct pci_function *function, const struct pci_function *model, struct why *why)
{
	function->virtual_bars = alloc_array(PCI_BARS, sizeof(struct pci_bar), why);
	if (!function->virtual_bars)
		return -why->err;
	for (unsigned bar = 0; bar < PCI_BARS; bar++) {
		function->virtual_bars[bar] = (struct pci_bar){.kind = model->bars[bar].kind,
							       .size = model->bars[bar].size,
							       .prefetchable = model->bars[bar].prefetchable};
		if (model->bars[bar].size)
			pci_sriov_place_bar(function, bar, 0);
	}
	return 0;
}

void pci_sriov_place_bar(struct pci_function *function, unsigned bar, u64 address)
{
	struct pci_bar *slot = &function->virtual_bars[bar];
	u8 *at = function->config + function->cap_sriov + PCI_SRIOV_BAR0 + 4 * bar;

	slot->address = address;
	put_u32(at, (u32)address | pci_bar_type_bits(slot));
	if (slot->kind == PCI_BAR_MEMORY64)
		put_u32(at + 4, (u32)(address >> 32));
}

/* What was surveyed may have a physical function without its capability, or be of several kinds. */
static bool has_ids_of(const struct pci_function *function, const struct pci_function *physical)
{
	return physical->cap_sriov &&
	       get_u16(function->config + PCI_VENDOR_ID) == get_u16(physical->config + PCI_VENDOR_ID) &&
	       get_u16(function->config + PCI_DEVICE_ID) == sriov_u16(physical, PCI_SRIOV_DEVICE);
}

void pci_make_virtual(struct pci_function *function, struct pci_function *physical, unsigned n)
{
	u8 *config = function->config;

	function->physical = physical;
	if (has_ids_of(function, physical)) {
		put_u16(config + PCI_VENDOR_ID, 0xffff);
		put_u16(config + PCI_DEVICE_ID, 0xffff);
	}
	put_u16(config + PCI_COMMAND, 0);
	memset(config + PCI_BAR0, 0, 4 * PCI_BARS);
	pci_set_intx(function, 0, 0);
	for (unsigned bar = 0; bar < PCI_BARS && physical->virtual_bars; bar++)
		function->bars[bar].address = physical->virtual_bars[bar].address +
					      n * physical->virtual_bars[bar].size;
}

void pci_known_ids(const struct pci_function *function, u16 *ret_vendor, u16 *ret_device)
{
	const struct pci_function *physical = function->physical;

	*ret_vendor = get_u16(function->config + PCI_VENDOR_ID);
	*ret_device = get_u16(function->config + PCI_DEVICE_ID);
	if (*ret_vendor != 0xffff || !physical)
		return;
	*ret_vendor = get_u16(physical->config + PCI_VENDOR_ID);
	if (physical->cap_sriov)
		*ret_device = sriov_u16(physical, PCI_SRIOV_DEVICE);
}

void pci_sriov_enable(struct pci_function *function, u16 number)
{
	u8 *registers = function->config + function->cap_sriov;

	put_u16(registers + PCI_SRIOV_NUMBER, number);
	put_u16(registers + PCI_SRIOV_CONTROL, number ? PCI_SRIOV_ENABLE | PCI_SRIOV_MEMORY : 0);
}
