/* SPDX-License-Identifier: MIT */
/*
 * A function under a set of rules, in the order Linux has it (spec 01 sections 3.2, 3.3, 3.6):
 *
 *	its registers	as seen, or as acs= and no-acs= have them; what Linux switches on; what the command line says
 *	quirks		of the user, of the table, of the pcie_acs_override patch
 *	its kind	conventional, bridge, alone
 *	capability	a bit that it lacks is hard-wired to the safe side
 */
#include "pci/overrides.h"

static const struct pci_rules latest = {.kernel = PCI_KERNEL_LATEST};

static void read_registers(struct pci_view *view)
{
	const struct pci_function *function = view->function;
	const u8 *registers = function->config + function->cap_acs;

	view->has_acs = function->cap_acs;
	if (!view->has_acs)
		return;
	view->capable = get_u16(registers + 4);
	view->enabled = get_u16(registers + 6);
	if (function->cap_acs + 12u <= sizeof(function->config))
		view->spt_enabled = get_u16(registers + 8);
}

void pci_view_init(struct pci_view *view, const struct pci_function *function, const struct pci_rules *rules)
{
	*view = (struct pci_view){.function = function, .kernel = rules->kernel, .pcie = pci_is_pcie(function)};
	if (view->pcie)
		view->type = pcie_type(function);
	view->multifunction = function->multifunction && !function->physical;
	pci_known_ids(function, &view->vendor, &view->device);
	read_registers(view);
	pci_override_registers(rules, view);
}

/* On Intel's ports with displaced registers the command line can only take redirection away. */
static void set_up_spt(struct pci_view *view, const struct pci_rules *rules)
{
	u16 ignored = 0;

	if (rules->arm_acs)
		view->spt_enabled |= view->capable & PCI_ACS_ISOLATION;
	if (!pci_override_control(rules, view, &ignored))
		return;
	view->spt_cleared = PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_EC;
	view->spt_enabled &= (u16)~view->spt_cleared;
}

/* What Linux leaves in the registers. The command line starts from what firmware left, that is, what was seen. */
static void set_up_registers(struct pci_view *view, const struct pci_rules *rules, const struct pci_quirk *enable)
{
	u16 control = view->enabled;

	if (pci_quirk_ignores_sv(enable))
		view->capable &= (u16)~PCI_ACS_SV;
	if (pci_quirk_enables_spt(enable)) {
		set_up_spt(view, rules);
		return;
	}
	if (rules->arm_acs && !pci_quirk_enables_elsewhere(enable))
		view->enabled |= view->capable & PCI_ACS_ISOLATION;
	if (pci_override_control(rules, view, &control))
		view->enabled = control & view->capable;
}

static enum pci_bridge_ids ids_of(const struct pci_view *view, const struct pci_quirk *quirk)
{
	if (!pci_is_bridge(view->function))
		return BRIDGE_IDS_PASS;
	if (quirk)
		return pci_quirk_bridge_ids(quirk);
	if (!view->pcie)
		return BRIDGE_IDS_OWN;
	switch (view->type) {
	case PCIE_TO_PCI_BRIDGE:
		return BRIDGE_IDS_SECONDARY;
	case PCI_TO_PCIE_BRIDGE:
		return BRIDGE_IDS_OWN;
	default:
		return BRIDGE_IDS_PASS;
	}
}

/* What the registers say, if no quirk knows better. */
static void judge(const struct pci_view *view, struct pci_traits *traits)
{
	if (!view->pcie) {
		traits->ground = ACS_GROUND_CONVENTIONAL;
		return;
	}
	switch (view->type) {
	case PCIE_TO_PCI_BRIDGE:
	case PCI_TO_PCIE_BRIDGE:
	case PCIE_RC_EVENT_COLLECTOR:
		traits->ground = ACS_GROUND_BRIDGE;
		return;
	case PCIE_ROOT_PORT:
	case PCIE_DOWNSTREAM_PORT:
		break;
	case PCIE_ENDPOINT:
	case PCIE_LEGACY_ENDPOINT:
	case PCIE_UPSTREAM_PORT:
	case PCIE_RC_ENDPOINT:
		if (view->multifunction)
			break;
		/* fallthrough */
	default:
		traits->ground = ACS_GROUND_ALONE;
		traits->isolates = traits->forwards = true;
		return;
	}
	traits->ground = view->has_acs ? ACS_GROUND_REGISTERS : ACS_GROUND_NO_CAPABILITY;
	traits->isolates = view->has_acs && !traits->acs_missing;
	traits->forwards = view->has_acs && !(traits->acs_missing & PCI_ACS_FORWARDING);
}

static void find_isolation(struct pci_view *view, const struct pci_rules *rules, struct pci_known *known,
			   struct pci_traits *traits)
{
	traits->acs_quirk = pci_override_quirk(rules, view);
	traits->isolates = traits->forwards = true;
	if (!traits->acs_quirk) {
		pci_quirks_find_acs(view, known);
		traits->acs_quirk = known->acs;
		traits->isolates = known->isolates;
		traits->forwards = known->forwards;
	}
	if (!traits->acs_quirk) {
		traits->acs_quirk = pci_override_patch(rules, view);
		traits->isolates = traits->forwards = traits->acs_quirk;
	}
	traits->ground = ACS_GROUND_QUIRK;
	if (!traits->acs_quirk)
		judge(view, traits);
}

static void find_aliases(const struct pci_view *view, const struct pci_rules *rules, struct pci_known *known,
			 struct pci_traits *traits)
{
	const struct pci_quirk *user = pci_override_aliases(rules, view, known->other_ids);
	u8 own = view->function->addr.devfn;

	traits->alias_quirk = user ? user : known->alias;
	known->other_ids[own / 64] &= ~BIT(own % 64);
	memcpy(traits->other_ids, known->other_ids, sizeof(traits->other_ids));
	for (unsigned i = 0; i < ARRAY_SIZE(traits->other_ids); i++)
		traits->uses_other_ids |= traits->other_ids[i] != 0;
}

void pci_traits_of(const struct pci_function *function, const struct pci_rules *rules, struct pci_traits *ret)
{
	struct pci_known known;
	struct pci_view view;

	if (!rules)
		rules = &latest;
	pci_view_init(&view, function, rules);
	pci_quirks_find(&view, &known);
	set_up_registers(&view, rules, known.enable);
	*ret = (struct pci_traits){
		.acs_capable = view.capable,
		.acs_enabled = pci_quirk_enables_spt(known.enable) ? view.spt_enabled : view.enabled,
		.bridge_quirk = known.bridge,
		.pasid_quirk = known.pasid,
		.ids = ids_of(&view, known.bridge),
	};
	memcpy(ret->reset_quirk, known.reset, sizeof(ret->reset_quirk));
	ret->acs_missing = PCI_ACS_ISOLATION;
	if (view.has_acs)
		ret->acs_missing &= ret->acs_capable & (u16)~ret->acs_enabled;
	find_isolation(&view, rules, &known, ret);
	find_aliases(&view, rules, &known, ret);
}

const struct pci_quirk *pci_reset_quirk_of(const struct pci_function *function, enum pci_reset_way way)
{
	struct pci_known known;
	struct pci_view view;

	pci_view_init(&view, function, &latest);
	pci_quirks_find(&view, &known);
	return known.reset[way];
}

static bool uses_id(const struct pci_traits *traits, u8 devfn)
{
	return traits->other_ids[devfn / 64] >> devfn % 64 & 1;
}

bool pci_share_id(const struct pci_function *a, const struct pci_traits *a_traits, const struct pci_function *b,
		  const struct pci_traits *b_traits)
{
	if (a->addr.segment != b->addr.segment || a->addr.bus != b->addr.bus)
		return false;
	return uses_id(a_traits, b->addr.devfn) || uses_id(b_traits, a->addr.devfn) || a->dma_device == b ||
	       b->dma_device == a;
}

/* Device Capabilities bits 4:3 say how many function number bits it may borrow, Device Control bit 9 lets it. */
u8 pci_phantom_functions(const struct pci_function *function)
{
	unsigned own = pci_function_number(function->addr), bits, used;
	u8 phantoms = 0;

	if (!function->cap_pcie || !(get_u16(function->config + function->cap_pcie + 8) & 0x0200))
		return 0;
	bits = get_u32(function->config + function->cap_pcie + 4) >> 3 & 3;
	used = 8u >> bits; /* function numbers that are real */
	for (unsigned number = own % used; number < 8; number += used)
		if (number != own)
			phantoms |= (u8)(1u << number);
	return phantoms;
}

const char *pci_acs_print(u16 bits, char text[static PCI_ACS_TEXT])
{
	static const char names[][3] = {"SV", "TB", "RR", "CR", "UF", "EC", "DT"};
	char *at = text;

	*at = '\0';
	for (unsigned bit = 0; bit < ARRAY_SIZE(names); bit++) {
		if (!(bits >> bit & 1))
			continue;
		if (at != text)
			*at++ = ' ';
		memcpy(at, names[bit], 3);
		at += 2;
	}
	return text;
}
