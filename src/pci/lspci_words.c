/* SPDX-License-Identifier: MIT */
/* Configuration space from words: what lspci said of a function, put back where it read it. */
#include "pci/lspci.h"

/* Builds Express and what it says of itself in its registers (PCI Express 7.5.3). */
static void build_express(const struct lspci_record *record, struct pci_function *function)
{
	u8 *at;

	pci_add_pcie(function, (enum pcie_type)record->type, record->slot, record->flr);
	at = function->config + function->cap_pcie;
	if (!record->slot_register)
		put_u16(at + 0x02, get_u16(at + 0x02) & (u16)~0x100u);
	put_u32(at + 0x04, get_u32(at + 0x04) | (u32)record->phantom << 3);
	if (record->phantom_on)
		put_u16(at + 0x08, get_u16(at + 0x08) | 0x200);
	if (record->ari_on)
		put_u16(at + 0x28, get_u16(at + 0x28) | 0x20);
}

void lspci_build_caps(const struct lspci_record *record, struct pci_function *function)
{
	unsigned seen = record->seen;

	if (seen & SEEN_PM)
		pci_add_pm(function);
	if (seen & SEEN_EXPRESS)
		build_express(record, function);
	if (seen & SEEN_MSI)
		pci_add_msi(function, record->msi_log2, record->msi_wide);
	if (seen & SEEN_MSIX && seen & SEEN_VECTORS)
		pci_add_msix(function, record->vectors, record->table_bar, record->table_offset, record->pending_bar,
			     record->pending_offset);
	if (seen & SEEN_AF)
		pci_add_af(function);
}

/*
 * -v names the capability and not its registers. Linux enables whatever it can, and what it cannot enable it counts as
 * given (spec 01 section 3.3), so having the capability is being isolated.
 */
static unsigned build_acs(const struct lspci_record *record, struct pci_function *function,
			  struct lspci_tally odd[static ODD_KINDS])
{
	const unsigned both = SEEN_ACSCAP | SEEN_ACSCTL;

	if ((record->seen & both) == both) {
		pci_add_acs(function, record->acs_capable, record->acs_enabled);
		return 0;
	}
	if (record->seen & (SEEN_CONTROL | both)) {
		lspci_count(&odd[ODD_ACS_MANGLED], record->line, record->addr);
		return PCI_GAP_EXT_CAPS;
	}
	lspci_count(&odd[ODD_ACS_ASSUMED], record->line, record->addr);
	pci_add_acs(function, PCI_ACS_ISOLATION, PCI_ACS_ISOLATION);
	return 0;
}

/* Without its numbers, the virtual functions cannot be found by it. */
static unsigned build_sriov(const struct lspci_record *record, struct pci_function *function,
			    struct lspci_tally odd[static ODD_KINDS])
{
	const unsigned both = SEEN_VFS | SEEN_VF_OFFSET;
	struct pci_sriov sriov = record->sriov;

	if (!record->vf_enable)
		sriov.enabled = 0;
	pci_add_sriov(function, &sriov);
	if ((record->seen & both) == both || !(record->seen & SEEN_CONTROL))
		return 0;
	lspci_count(&odd[ODD_SRIOV_MANGLED], record->line, record->addr);
	return PCI_GAP_EXT_CAPS;
}

unsigned lspci_build_extended(const struct lspci_record *record, struct pci_function *function,
			      struct lspci_tally odd[static ODD_KINDS])
{
	unsigned seen = record->seen, gaps = 0;

	if (record->aer)
		pci_add_aer(function);
	if (seen & SEEN_ACS)
		gaps |= build_acs(record, function, odd);
	if (seen & SEEN_SRIOV)
		gaps |= build_sriov(record, function, odd);
	if (seen & SEEN_ARI)
		pci_add_ari(function);
	if (seen & SEEN_ATS)
		pci_add_ats(function);
	if (seen & SEEN_PRI)
		pci_add_pri(function);
	if (seen & SEEN_PASID)
		pci_add_pasid(function, record->pasid_width);
	return gaps;
}

/* A PCI bridge of which no bus numbers are known is one all the same. */
static void build_header(const struct lspci_record *record, struct pci_function *function, unsigned *gaps)
{
	const struct pci_identity *identity = &record->identity;
	bool bridge = record->seen & SEEN_CLASS && identity->class_code >> 8 == 0x0604;

	if (record->seen & SEEN_BUSES) {
		pci_make_bridge(function, record->secondary, record->subordinate);
	} else if (record->implied_secondary) {
		pci_make_bridge(function, record->implied_secondary, record->implied_subordinate);
	} else if (bridge) {
		pci_make_bridge(function, 0, 0);
		*gaps |= PCI_GAP_BUSES;
	}
	if (pci_is_bridge(function) && identity->subsystem_vendor)
		pci_add_subsystem(function, identity->subsystem_vendor, identity->subsystem);
}

void lspci_build_words(const struct lspci_record *record, struct pci_function *function, unsigned *gaps,
		       struct lspci_tally odd[static ODD_KINDS])
{
	unsigned seen = record->seen;

	*gaps |= PCI_GAP_HEADER;
	build_header(record, function, gaps);
	if (seen & SEEN_BROKEN_CHAIN)
		lspci_count(&odd[ODD_CHAIN], record->line, record->addr);
	if (record->cut)
		*gaps |= PCI_GAP_EXT_CAPS | (seen & SEEN_CAPS ? 0 : PCI_GAP_CAPS);
	else if (!(seen & SEEN_CAPS) && seen & SEEN_VERBOSE && !(seen & (SEEN_DENIED | SEEN_BROKEN | SEEN_CAP_BIT)))
		return; /* it has none */
	if (!(seen & SEEN_CAPS)) {
		*gaps |= PCI_GAP_CAPS | PCI_GAP_EXT_CAPS;
		if (!record->cut && seen & SEEN_CAP_BIT && !(seen & (SEEN_DENIED | SEEN_BROKEN)))
			lspci_count(&odd[ODD_NO_CAPS], record->line, record->addr);
		return;
	}
	lspci_build_caps(record, function);
	if (function->cap_pcie) {
		*gaps |= lspci_build_extended(record, function, odd);
	} else if (record->extended) {
		*gaps |= PCI_GAP_CAPS | PCI_GAP_EXT_CAPS;
		lspci_count(&odd[ODD_NOT_EXPRESS], record->line, record->addr);
	}
}
