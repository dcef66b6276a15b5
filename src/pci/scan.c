/* SPDX-License-Identifier: MIT */
/* Registers that came from a dump or from sysfs: where the capabilities are in them. Any bytes are legal. */
#include "pci/caps.h"

enum { FIRST_CAP = 0x40, FIRST_EXT_CAP = 0x100, MOST_CAPS = 48, MOST_EXT_CAPS = 480 };

struct found {
	u16 id;
	size_t field; /* of struct pci_function */
	u16 size;     /* that must be inside the space for the field to be set */
};

#define FIELD(name) offsetof(struct pci_function, name)

static const struct found caps[] = {
	{PCI_CAP_PM, FIELD(cap_pm), 8},	     {PCI_CAP_VPD, FIELD(cap_vpd), 8},	  {PCI_CAP_MSI, FIELD(cap_msi), 10},
	{PCI_CAP_PCIE, FIELD(cap_pcie), 12}, {PCI_CAP_MSIX, FIELD(cap_msix), 12}, {PCI_CAP_AF, FIELD(cap_af), 6},
};

static const struct found ext_caps[] = {
	{PCI_EXT_AER, FIELD(cap_aer), 0x2c},	 {PCI_EXT_ACS, FIELD(cap_acs), 8},
	{PCI_EXT_ARI, FIELD(cap_ari), 8},	 {PCI_EXT_ATS, FIELD(cap_ats), 8},
	{PCI_EXT_SRIOV, FIELD(cap_sriov), 0x40}, {PCI_EXT_PRI, FIELD(cap_pri), 16},
	{PCI_EXT_PASID, FIELD(cap_pasid), 8},
};

/* The first of its kind counts, as for Linux. */
static void note(struct pci_function *function, const struct found *table, size_t rows, u16 id, u16 at, unsigned known)
{
	for (size_t i = 0; i < rows; i++) {
		u16 *field = (u16 *)(void *)((char *)function + table[i].field);

		if (table[i].id == id && !*field && at + table[i].size <= known)
			*field = at;
	}
}

static bool scan_conventional(struct pci_function *function, unsigned known)
{
	u16 at = function->config[PCI_CAP_POINTER] & 0xfc;

	if (!(get_u16(function->config + PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return true;
	for (unsigned steps = 0; at; steps++) {
		if (at < FIRST_CAP || at + 2u > known || steps == MOST_CAPS)
			return false;
		note(function, caps, ARRAY_SIZE(caps), function->config[at], at, known);
		function->last_cap = at;
		at = function->config[at + 1] & 0xfc;
	}
	return true;
}

static bool scan_extended(struct pci_function *function)
{
	u16 at = FIRST_EXT_CAP;

	for (unsigned steps = 0; at; steps++) {
		u32 header;

		if (at < FIRST_EXT_CAP || steps == MOST_EXT_CAPS)
			return false;
		header = get_u32(function->config + at);
		if (header == 0 || header == UINT32_MAX)
			return true;
		note(function, ext_caps, ARRAY_SIZE(ext_caps), (u16)header, at, sizeof(function->config));
		function->last_ext_cap = at;
		at = (u16)(header >> 20) & 0xffc;
	}
	return true;
}

bool pci_scan_caps(struct pci_function *function, u16 known)
{
	bool sane = true;

	function->multifunction = function->config[PCI_HEADER_TYPE] & 0x80;
	if (pci_is_bridge(function)) {
		function->secondary = function->config[PCI_SECONDARY_BUS];
		function->subordinate = function->config[PCI_SUBORDINATE_BUS];
	}
	if (known > FIRST_CAP)
		sane = scan_conventional(function, known < 256 ? known : 256);
	function->config_size = function->cap_pcie ? 4096 : 256;
	if (known == 4096 && function->cap_pcie)
		sane = scan_extended(function) && sane;
	return sane;
}
