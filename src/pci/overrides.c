/* SPDX-License-Identifier: MIT */
/* What a user said, applied to one function. At most MOST_OVERRIDES are looked at, in the order they were given. */
#include "pci/overrides.h"

static const struct pci_quirk user_isolates = {
	.kind = QUIRK_USER,
	.last = 0xffff,
	.provides = PCI_ACS_ISOLATION,
	.name = "quirk=",
	.text = "it was asked to count as isolated",
};

static const struct pci_quirk user_alias = {
	.kind = QUIRK_USER,
	.last = 0xffff,
	.name = "alias=",
	.text = "it was asked to use another's id too",
};

static const struct pci_quirk patch_ids = {
	.kind = QUIRK_USER,
	.last = 0xffff,
	.provides = PCI_ACS_ISOLATION,
	.name = "pcie_acs_override=id",
	.text = "the override patch takes it for isolated because its ids were named",
};

static const struct pci_quirk patch_downstream = {
	.kind = QUIRK_USER,
	.last = 0xffff,
	.provides = PCI_ACS_ISOLATION,
	.name = "pcie_acs_override=downstream",
	.text = "the override patch takes every root and downstream port without ACS for isolated",
};

static const struct pci_quirk patch_multifunction = {
	.kind = QUIRK_USER,
	.last = 0xffff,
	.provides = PCI_ACS_ISOLATION,
	.name = "pcie_acs_override=multifunction",
	.text = "the override patch takes every function of a device without ACS for isolated",
};

/* ---- which functions are meant ---- */

/* A bridge has its subsystem ids in a capability. */
static u32 subsystem_of(const struct pci_function *function)
{
	u16 at;

	if (!pci_is_bridge(function))
		return get_u32(function->config + PCI_SUBSYSTEM_VENDOR);
	at = pci_find_cap(function, PCI_CAP_SUBSYSTEM);
	return at && at + 8u <= sizeof(function->config) ? get_u32(function->config + at + 4) : 0;
}

static bool fits(u16 wanted, u16 is)
{
	return !wanted || wanted == is;
}

static bool match_ids(const struct pci_match *match, const struct pci_view *view)
{
	u32 subsystem;

	if (!fits(match->vendor, view->vendor) || !fits(match->device, view->device))
		return false;
	if (!match->subvendor && !match->subdevice)
		return true;
	subsystem = subsystem_of(view->function);
	return fits(match->subvendor, (u16)subsystem) && fits(match->subdevice, (u16)(subsystem >> 16));
}

static bool matches(const struct pci_match *match, const struct pci_view *view)
{
	const struct pci_function *function = view->function;

	if (match->by_ids)
		return match_ids(match, view);
	for (unsigned step = match->nsteps; step-- > 0; function = function->parent)
		if (function->addr.devfn != match->steps[step] || !function->parent)
			return false;
	return pci_addr_equal(function->addr, match->addr);
}

/* The last override of that kind that means the function; NULL if none. */
static const struct pci_override *last_of(const struct pci_rules *rules, enum override_kind kind,
					  const struct pci_view *view)
{
	for (size_t i = rules->count; i-- > 0;)
		if (rules->overrides[i].kind == kind && matches(&rules->overrides[i].match, view))
			return &rules->overrides[i];
	return NULL;
}

/* ---- registers ---- */

/* Of acs= and no-acs=, what was said last. */
void pci_override_registers(const struct pci_rules *rules, struct pci_view *view)
{
	for (size_t i = rules->count; i-- > 0;) {
		const struct pci_override *override = &rules->overrides[i];

		if ((override->kind != OVERRIDE_ACS && override->kind != OVERRIDE_NO_ACS) ||
		    !matches(&override->match, view))
			continue;
		view->has_acs = override->kind == OVERRIDE_ACS;
		view->capable = view->enabled = view->spt_enabled = view->has_acs ? PCI_ACS_ISOLATION : 0;
		return;
	}
}

/* Within one option the first device that fits counts, and of several options the last. */
static const struct pci_override *find_option(const struct pci_rules *rules, enum override_kind kind,
					      const struct pci_view *view)
{
	const struct pci_override *found = NULL;

	for (size_t i = 0; i < rules->count; i++) {
		const struct pci_override *override = &rules->overrides[i];

		if (override->kind == kind && (!found || found->parameter != override->parameter) &&
		    matches(&override->match, view))
			found = override;
	}
	return found;
}

bool pci_override_control(const struct pci_rules *rules, const struct pci_view *view, u16 *control)
{
	const struct pci_override *override = find_option(rules, OVERRIDE_CONFIG, view);

	if (!override)
		override = find_option(rules, OVERRIDE_DISABLE, view);
	if (!override)
		return false;
	*control = (u16)((*control & ~override->mask) | override->value);
	return true;
}

/* ---- rows ---- */

const struct pci_quirk *pci_override_quirk(const struct pci_rules *rules, const struct pci_view *view)
{
	return last_of(rules, OVERRIDE_QUIRK, view) ? &user_isolates : NULL;
}

const struct pci_quirk *pci_override_patch(const struct pci_rules *rules, const struct pci_view *view)
{
	if (!view->pcie || view->has_acs)
		return NULL;
	if (last_of(rules, OVERRIDE_PATCH, view))
		return &patch_ids;
	switch (view->type) {
	case PCIE_ROOT_PORT:
	case PCIE_DOWNSTREAM_PORT:
		return rules->patch_downstream ? &patch_downstream : NULL;
	case PCIE_ENDPOINT:
	case PCIE_LEGACY_ENDPOINT:
	case PCIE_UPSTREAM_PORT:
	case PCIE_RC_ENDPOINT:
		return rules->patch_multifunction && view->multifunction ? &patch_multifunction : NULL;
	default:
		return NULL;
	}
}

const struct pci_quirk *pci_override_aliases(const struct pci_rules *rules, const struct pci_view *view,
					     u64 other_ids[4])
{
	const struct pci_quirk *quirk = NULL;

	for (size_t i = 0; i < rules->count; i++) {
		const struct pci_override *override = &rules->overrides[i];

		if (override->kind != OVERRIDE_ALIAS || !matches(&override->match, view))
			continue;
		other_ids[override->devfn / 64] |= BIT(override->devfn % 64);
		quirk = &user_alias;
	}
	return quirk;
}

bool pci_override_names(const struct pci_rules *rules, const struct pci_view *view)
{
	for (size_t i = 0; i < rules->count; i++)
		if (matches(&rules->overrides[i].match, view))
			return true;
	return pci_override_patch(rules, view);
}
