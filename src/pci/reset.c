/* SPDX-License-Identifier: MIT */
#include "pci/reset.h"

#define EXP_SLOT_IMPLEMENTED 0x0100	/* PCI Express Base 5.0 section 7.5.3.2 */
#define EXP_SLOT_HOT_PLUG    0x00000040 /* section 7.5.3.9 */

/* Only Linux's PCI Express hot-plug driver can reset a slot; it takes ports that say so. */
static bool is_hot_plug_port(const struct pci_function *bridge)
{
	const u8 *capability = bridge->config + bridge->cap_pcie;

	if (!pci_is_pcie(bridge) || (pcie_type(bridge) != PCIE_ROOT_PORT && pcie_type(bridge) != PCIE_DOWNSTREAM_PORT))
		return false;
	return (get_u16(capability + 2) & EXP_SLOT_IMPLEMENTED) && (get_u32(capability + 0x14) & EXP_SLOT_HOT_PLUG);
}

/* A virtual function on a bus number of its own. */
static bool is_apart(const struct pci_function *function)
{
	return function->physical && function->physical->addr.bus != function->addr.bus;
}

bool pci_bus_reset_hits(const struct pci_function *bridge, const struct pci_function *function)
{
	return !is_apart(function) && pci_is_below(function, bridge);
}

const struct pci_function *pci_bus_bridge(const struct pci_function *function)
{
	return is_apart(function) ? NULL : function->parent;
}

/* Linux: drivers/pci/pci.c:pci_bus_resettable(), pci_slot_resettable() */
const struct pci_function *pci_bus_reset_obstacle(const struct pci_topology *topology,
						  const struct pci_function *bridge)
{
	const struct pci_function *function;

	if (pci_reset_quirk_of(bridge, RESET_WAY_BUS))
		return bridge;
	list_for_each(function, &topology->functions, link)
		if (pci_bus_reset_hits(bridge, function) && pci_reset_quirk_of(function, RESET_WAY_BUS))
			return function;
	return NULL;
}

#define EXP_FLR		 0x10000000u /* section 7.5.3.3 */
#define AF_TP_FLR	 0x03	     /* Advanced Features ECN: both bits */
#define PM_NO_SOFT_RESET 0x0008	     /* PCI PM 1.2 section 3.2.4 */

bool pci_offers_flr(const struct pci_function *function)
{
	return function->cap_pcie && get_u32(function->config + function->cap_pcie + 4) & EXP_FLR;
}

bool pci_offers_af_flr(const struct pci_function *function)
{
	return function->cap_af && (function->config[function->cap_af + 3] & AF_TP_FLR) == AF_TP_FLR;
}

bool pci_offers_sleep(const struct pci_function *function)
{
	return function->cap_pm && !(get_u16(function->config + function->cap_pm + 4) & PM_NO_SOFT_RESET);
}

/* Linux: drivers/pci/pci.c:pcie_reset_flr() */
bool pci_can_reset_by_flr(const struct pci_function *function)
{
	return pci_offers_flr(function) && !pci_reset_quirk_of(function, RESET_WAY_FLR);
}

/* Linux: drivers/pci/pci.c:pci_af_flr() */
bool pci_can_reset_by_af_flr(const struct pci_function *function)
{
	return pci_offers_af_flr(function) && !pci_reset_quirk_of(function, RESET_WAY_FLR);
}

/* Linux: drivers/pci/pci.c:pci_pm_reset() */
bool pci_can_reset_by_sleep(const struct pci_function *function)
{
	return pci_offers_sleep(function) && !pci_reset_quirk_of(function, RESET_WAY_PM);
}

/* Linux: drivers/pci/pci.c:pci_parent_bus_reset(), which does not look at what the bridge survives. */
bool pci_can_reset_by_bus(const struct pci_topology *topology, const struct pci_function *function)
{
	const struct pci_function *bridge = pci_bus_bridge(function), *other;

	if (!bridge || pci_is_bridge(function) || pci_reset_quirk_of(function, RESET_WAY_BUS))
		return false;
	list_for_each(other, &topology->functions, link)
		if (other != function && pci_bus_bridge(other) == bridge)
			return false;
	return true;
}

bool pci_hot_reset_hits(const struct pci_hot_reset *reset, const struct pci_function *function)
{
	return reset->over && pci_bus_reset_hits(reset->over, function);
}

static bool forbids(const struct pci_grouping *grouping, const struct pci_function *function)
{
	return grouping->traits[function->index].reset_quirk[RESET_WAY_BUS] != NULL;
}

void pci_hot_reset_of(const struct pci_function *function, const struct pci_grouping *grouping,
		      const struct pci_function *const *functions, struct pci_hot_reset *ret)
{
	const struct pci_function *bridge = function->parent;

	*ret = (struct pci_hot_reset){.over = function->physical ? NULL : bridge};
	if (!ret->over)
		return;
	if (forbids(grouping, bridge))
		ret->obstacle = bridge;
	for (size_t i = 0; !ret->obstacle && i < grouping->count; i++)
		if (pci_hot_reset_hits(ret, functions[i]) && forbids(grouping, functions[i]))
			ret->obstacle = functions[i];
	if (!ret->obstacle)
		ret->scope = is_hot_plug_port(bridge) ? RESET_SCOPE_SLOT : RESET_SCOPE_BUS;
}
