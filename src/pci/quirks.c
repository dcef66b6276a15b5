/* SPDX-License-Identifier: MIT */
/*
 * The table, sorted by vendor: a function's rows are found by bisection, then looked at in order. Most functions have
 * a vendor without a row.
 */
#include "pci/quirks.h"

enum effect {
	ALIAS_FUNCTION_0,
	ALIAS_FUNCTION_1,
	ALIAS_ADAPTEC_3405,
	ALIAS_ADAPTEC_3805,
	ALIAS_MIC,
	ALIAS_VCA,
	ALIAS_ALL,
	ALIAS_SWITCHTEC,
	BRIDGE_HIDDEN_PCIE,
	BRIDGE_XLATE_ROOT,
	BRIDGE_NO_ALIAS,
	ACS_PROVIDES,	 /* `provides`, always */
	ACS_RC_ENDPOINT, /* `provides`, if it is integrated */
	ACS_ROOT_PORT,	 /* `provides`, if it is a root port */
	ACS_PORT,	 /* `provides`, if it is a root or downstream port */
	ACS_SOUTHBRIDGE, /* `provides`, if it is one of several functions on a root bus */
	ACS_SPT_SEEN,	 /* its displaced registers, if they were read */
	ACS_SPT_ASSUMED, /* the same, if they were not */
	ENABLE_ELSEWHERE,
	ENABLE_SPT,
	ENABLE_WITHOUT_SV,
	RESET_NO_BUS,
	RESET_NO_FLR,
	RESET_NO_FLR_SNET,
	RESET_NO_PM,
	RESET_NO_PM_VGA,
	PASID_WITHOUT_PREFIX,
};

#define ROW(vendor, first, last, major, minor, kind, effect, provides, name, text, assumes)                            \
	{kind, vendor, first, last, PCI_KERNEL(major, minor), provides, name, text, assumes, effect},
#define QUIRK(vendor, first, last, major, minor, ...) ROW(vendor, first, last, major, minor, __VA_ARGS__)

static const struct pci_quirk quirks[] = {
#include "pci/quirks.def"
};

const struct pci_quirk *pci_quirks_table(size_t *count)
{
	*count = ARRAY_SIZE(quirks);
	return quirks;
}

/* ---- aliases ---- */

static void add_id(struct pci_known *known, u8 devfn)
{
	known->other_ids[devfn / 64] |= BIT(devfn % 64);
}

/* False when that is its own id. */
static bool add_other(struct pci_known *known, struct pci_addr addr, u8 devfn)
{
	if (addr.devfn == devfn)
		return false;
	add_id(known, devfn);
	return true;
}

static bool has_subsystem(const struct pci_function *function, u16 vendor, u16 subsystem)
{
	return get_u16(function->config + PCI_SUBSYSTEM_VENDOR) == vendor &&
	       get_u16(function->config + PCI_SUBSYSTEM) == subsystem;
}

static void add_vca_ids(struct pci_known *known)
{
	for (unsigned slot = 0; slot < 32; slot++)
		for (unsigned function = 0; function < 5; function++)
			add_id(known, pci_devfn(slot, function));
}

/* Class 0680, "other bridge": its switch ports have the same device id, and class 0604. */
static bool is_other_bridge(const struct pci_function *function)
{
	return get_u16(function->config + PCI_CLASS) == 0x0680;
}

/* False when the row does not speak of this function after all. */
static bool apply_alias(const struct pci_view *view, const struct pci_quirk *quirk, struct pci_known *known)
{
	struct pci_addr addr = view->function->addr;
	unsigned slot = pci_device_number(addr);

	switch (quirk->effect) {
	case ALIAS_FUNCTION_0:
		return add_other(known, addr, pci_devfn(slot, 0));
	case ALIAS_FUNCTION_1:
		return add_other(known, addr, pci_devfn(slot, 1));
	case ALIAS_ADAPTEC_3405:
		return has_subsystem(view->function, 0x9005, 0x02bb) && add_other(known, addr, pci_devfn(0x01, 0));
	case ALIAS_ADAPTEC_3805:
		return has_subsystem(view->function, 0x9005, 0x02bc) && add_other(known, addr, pci_devfn(0x01, 0));
	case ALIAS_MIC:
		add_id(known, pci_devfn(0x10, 0));
		add_id(known, pci_devfn(0x11, 0));
		add_id(known, pci_devfn(0x12, 3));
		return true;
	case ALIAS_VCA:
		add_vca_ids(known);
		return true;
	case ALIAS_ALL:
		memset(known->other_ids, 0xff, sizeof(known->other_ids));
		return true;
	case ALIAS_SWITCHTEC:
		return is_other_bridge(view->function);
	}
	return false;
}

/* ---- bridges ---- */

static bool is_pcie_of_other_type(const struct pci_function *function, enum pcie_type type)
{
	return function && pci_is_pcie(function) && pcie_type(function) != type;
}

static bool fits_bridge(const struct pci_view *view, const struct pci_quirk *quirk)
{
	if (!pci_is_bridge(view->function))
		return false;
	switch (quirk->effect) {
	case BRIDGE_HIDDEN_PCIE:
		return !view->pcie && is_pcie_of_other_type(view->function->parent, PCIE_TO_PCI_BRIDGE);
	case BRIDGE_NO_ALIAS:
		return view->pcie && view->type == PCIE_TO_PCI_BRIDGE;
	}
	return true;
}

enum pci_bridge_ids pci_quirk_bridge_ids(const struct pci_quirk *quirk)
{
	switch (quirk->effect) {
	case BRIDGE_HIDDEN_PCIE:
		return BRIDGE_IDS_SECONDARY;
	case BRIDGE_XLATE_ROOT:
		return BRIDGE_IDS_ROOT;
	}
	return BRIDGE_IDS_PASS;
}

/* ---- switching ACS on ---- */

bool pci_quirk_enables_elsewhere(const struct pci_quirk *quirk)
{
	return quirk && (quirk->effect == ENABLE_ELSEWHERE || quirk->effect == ENABLE_SPT);
}

bool pci_quirk_enables_spt(const struct pci_quirk *quirk)
{
	return quirk && quirk->effect == ENABLE_SPT;
}

bool pci_quirk_ignores_sv(const struct pci_quirk *quirk)
{
	return quirk && quirk->effect == ENABLE_WITHOUT_SV;
}

static bool fits_enable(const struct pci_view *view, const struct pci_quirk *quirk)
{
	switch (quirk->effect) {
	case ENABLE_ELSEWHERE:
		return view->pcie && view->type == PCIE_ROOT_PORT;
	case ENABLE_SPT:
		return view->pcie && view->type == PCIE_ROOT_PORT && view->has_acs;
	}
	return true;
}

/* ---- ACS ---- */

/* True when the row has an answer; then *isolates is it, for the bits that are wanted. */
static bool answers(const struct pci_view *view, const struct pci_quirk *quirk, u16 wanted, bool *isolates)
{
	bool root_port = view->pcie && view->type == PCIE_ROOT_PORT;

	*isolates = (wanted & (u16)~quirk->provides) == 0;
	switch (quirk->effect) {
	case ACS_PROVIDES:
		return true;
	case ACS_RC_ENDPOINT:
		return view->pcie && view->type == PCIE_RC_ENDPOINT;
	case ACS_ROOT_PORT:
		return root_port;
	case ACS_PORT:
		return root_port || (view->pcie && view->type == PCIE_DOWNSTREAM_PORT);
	case ACS_SOUTHBRIDGE:
		/* Between functions of one device nothing but redirection matters. */
		wanted &= PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_EC | PCI_ACS_DT;
		*isolates = (wanted & (u16)~quirk->provides) == 0;
		return view->multifunction && !view->function->parent;
	case ACS_SPT_SEEN:
		*isolates = (wanted & view->capable & (u16)~view->spt_enabled) == 0;
		return root_port && view->has_acs && view->spt_enabled;
	case ACS_SPT_ASSUMED:
		*isolates = (wanted & view->capable & view->spt_cleared) == 0;
		return root_port && view->has_acs;
	}
	return false;
}

/* ---- resets ---- */

static void apply_reset(const struct pci_view *view, const struct pci_quirk *quirk, struct pci_known *known)
{
	const u8 *config = view->function->config;

	switch (quirk->effect) {
	case RESET_NO_BUS:
		known->reset[RESET_WAY_BUS] = quirk;
		break;
	case RESET_NO_FLR_SNET:
		if (config[PCI_REVISION] != 0x01)
			break;
		/* fallthrough */
	case RESET_NO_FLR:
		known->reset[RESET_WAY_FLR] = quirk;
		break;
	case RESET_NO_PM_VGA:
		if (get_u16(config + PCI_CLASS) != 0x0300)
			break;
		/* fallthrough */
	case RESET_NO_PM:
		/* On a root bus there is no other way. */
		if (view->function->parent)
			known->reset[RESET_WAY_PM] = quirk;
		break;
	}
}

/* ---- PASIDs ---- */

/* Of these, only some revisions are. */
static bool has_no_prefixes(const struct pci_function *function)
{
	return function->config[PCI_REVISION] == 0x21 || function->config[PCI_REVISION] == 0x30;
}

/* ---- looking rows up ---- */

static const struct pci_quirk *first_of_vendor(u16 vendor)
{
	size_t first = 0, after = ARRAY_SIZE(quirks);

	while (first < after) {
		size_t middle = first + (after - first) / 2;

		if (quirks[middle].vendor < vendor)
			first = middle + 1;
		else
			after = middle;
	}
	return &quirks[first];
}

static bool is_of(const struct pci_view *view, const struct pci_quirk *quirk)
{
	return view->device >= quirk->first && view->device <= quirk->last && view->kernel >= quirk->since;
}

static void apply(const struct pci_view *view, const struct pci_quirk *quirk, struct pci_known *known)
{
	switch (quirk->kind) {
	case QUIRK_ALIAS:
		if (apply_alias(view, quirk, known))
			known->alias = quirk;
		break;
	case QUIRK_BRIDGE:
		if (fits_bridge(view, quirk))
			known->bridge = quirk;
		break;
	case QUIRK_ENABLE:
		if (fits_enable(view, quirk))
			known->enable = quirk;
		break;
	case QUIRK_RESET:
		apply_reset(view, quirk, known);
		break;
	case QUIRK_PASID:
		if (has_no_prefixes(view->function))
			known->pasid = quirk;
		break;
	case QUIRK_ACS:
	case QUIRK_USER:
		break;
	}
}

void pci_quirks_find(const struct pci_view *view, struct pci_known *known)
{
	const struct pci_quirk *quirk = first_of_vendor(view->vendor);

	*known = (struct pci_known){.acs = NULL};
	for (; quirk < quirks + ARRAY_SIZE(quirks) && quirk->vendor == view->vendor; quirk++)
		if (is_of(view, quirk))
			apply(view, quirk, known);
}

void pci_quirks_find_acs(const struct pci_view *view, struct pci_known *known)
{
	const struct pci_quirk *quirk = first_of_vendor(view->vendor);

	for (; quirk < quirks + ARRAY_SIZE(quirks) && quirk->vendor == view->vendor; quirk++) {
		if (quirk->kind != QUIRK_ACS || !is_of(view, quirk) ||
		    !answers(view, quirk, PCI_ACS_ISOLATION, &known->isolates))
			continue;
		answers(view, quirk, PCI_ACS_FORWARDING, &known->forwards);
		known->acs = quirk;
		return;
	}
}
