/* SPDX-License-Identifier: MIT */
/* Tables only. "PCI" is PCI Local Bus 3.0, "PCIe" PCI Express Base 5.0, "PM" PCI Power Management 1.2. */
#include "vfio/pci_perm.h"

#include "pci/function.h"

#define END_OF_FIELDS                                                                                                  \
	{                                                                                                              \
		.width = 0                                                                                             \
	}

/* The list pointer of a capability: it may skip hidden ones, so it is ours. */
#define NEXT                                                                                                           \
	{                                                                                                              \
		1, 1, ALL, 0, "PCI 6.7"                                                                                \
	}
#define EXTENDED_HEADER                                                                                                \
	{                                                                                                              \
		0, 4, ALL, 0, "PCIe 7.6.3"                                                                             \
	}

static const struct perm_field header_fields[] = {
	{PCI_VENDOR_ID, 2, ALL, 0, "PCI 6.2.1"},
	{PCI_DEVICE_ID, 2, ALL, 0, "PCI 6.2.1"},
	/* INTx disable is emulated by masking the line: a host may share it. */
	{PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE, ALL, "PCI 6.2.2"},
	{PCI_STATUS, 2, PCI_STATUS_CAP_LIST, 0, "PCI 6.2.3"},
	{PCI_CACHE_LINE, 1, 0, ALL, "PCI 6.2.4"},
	{PCI_LATENCY, 1, 0, ALL, "PCI 6.2.4"},
	{PCI_BIST, 1, 0, ALL, "PCI 6.2.4"},
	/* The program may move its BARs as it likes; the device's stay where they are. */
	{PCI_BAR0, 4, ALL, ALL, "PCI 6.2.5.1"},
	{PCI_BAR0 + 4, 4, ALL, ALL, "PCI 6.2.5.1"},
	{PCI_BAR0 + 8, 4, ALL, ALL, "PCI 6.2.5.1"},
	{PCI_BAR0 + 12, 4, ALL, ALL, "PCI 6.2.5.1"},
	{PCI_BAR0 + 16, 4, ALL, ALL, "PCI 6.2.5.1"},
	{PCI_BAR0 + 20, 4, ALL, ALL, "PCI 6.2.5.1"},
	{PCI_ROM_ADDRESS, 4, ALL, ALL, "PCI 6.2.5.2"},
	{PCI_CAP_POINTER, 1, ALL, 0, "PCI 6.7"},
	{PCI_INTERRUPT_LINE, 1, ALL, ALL, "PCI 6.2.4"},
	{PCI_INTERRUPT_PIN, 1, ALL, 0, "PCI 6.2.4"},
	END_OF_FIELDS,
};

static const struct perm_field next_fields[] = {NEXT, END_OF_FIELDS};
static const struct perm_field extended_fields[] = {EXTENDED_HEADER, END_OF_FIELDS};

static const struct perm_field pm_fields[] = {
	NEXT,
	/* No PME for a program; the state bits are written by us, through a managed change. */
	{2, 2, 0xf800, 0, "PM 3.2.3"},
	{4, 4, 0x8100, ~0x8103u, "PM 3.2.4"},
	END_OF_FIELDS,
};

/* Not the device's own window: the kernel reads and writes for the program, beside others that do. */
static const struct perm_field vpd_fields[] = {
	NEXT,
	{2, 2, ALL, ALL, "PCI appendix I"},
	{4, 4, ALL, ALL, "PCI appendix I"},
	END_OF_FIELDS,
};

/* Message control: only its low byte is there to be written. The upper one is reserved and maskable. */
#define MSI_CONTROL                                                                                                    \
	{                                                                                                              \
		2, 1, ALL, ALL, "PCI 6.8.1.3"                                                                          \
	}
#define MSI_ADDRESS                                                                                                    \
	{                                                                                                              \
		4, 4, ALL, ALL, "PCI 6.8.1.4"                                                                          \
	}

static const struct perm_field msi32_fields[] = {
	NEXT, MSI_CONTROL, MSI_ADDRESS, {8, 2, ALL, ALL, "PCI 6.8.1.6"}, END_OF_FIELDS,
};
static const struct perm_field msi32_mask_fields[] = {
	NEXT,
	MSI_CONTROL,
	MSI_ADDRESS,
	{8, 2, ALL, ALL, "PCI 6.8.1.6"},
	{12, 4, 0, ALL, "PCI 6.8.1.7"},
	{16, 4, 0, ALL, "PCI 6.8.1.8"},
	END_OF_FIELDS,
};
static const struct perm_field msi64_fields[] = {
	NEXT,	       MSI_CONTROL, MSI_ADDRESS, {8, 4, ALL, ALL, "PCI 6.8.1.5"}, {12, 2, ALL, ALL, "PCI 6.8.1.6"},
	END_OF_FIELDS,
};
static const struct perm_field msi64_mask_fields[] = {
	NEXT,
	MSI_CONTROL,
	MSI_ADDRESS,
	{8, 4, ALL, ALL, "PCI 6.8.1.5"},
	{12, 2, ALL, ALL, "PCI 6.8.1.6"},
	{16, 4, 0, ALL, "PCI 6.8.1.7"},
	{20, 4, 0, ALL, "PCI 6.8.1.8"},
	END_OF_FIELDS,
};

static const struct perm_field pcix_fields[] = {
	NEXT,
	{2, 2, 0, ALL, "PCI-X 2.0 7.2.3"},
	{8, 4, 0, ALL, "PCI-X 2.0 7.2.6"},
	END_OF_FIELDS,
};

static const struct perm_field exp_fields[] = {
	NEXT,
	/* Function-level reset, payload size and read request size are ours; phantom functions would confuse the IOMMU.
	 */
	{8, 2, 0x8000 | 0x00e0 | 0x7000, 0xffff & ~0x0200u, "PCIe 7.5.3.4"},
	/* ARI forwarding was decided when the bus was scanned. */
	{40, 2, 0, 0xffff & ~0x0020u, "PCIe 7.5.3.16"},
	END_OF_FIELDS,
};

static const struct perm_field af_fields[] = {
	NEXT,
	{4, 1, 0x01, 0x01, "Advanced Features ECN"},
	END_OF_FIELDS,
};

static const struct perm_field aer_fields[] = {
	EXTENDED_HEADER,
	{4, 4, 0, 0x03fff031, "PCIe 7.8.4.2"},
	{8, 4, 0, 0x03fff031, "PCIe 7.8.4.3"},
	{12, 4, 0, 0x03fff031, "PCIe 7.8.4.4"},
	{16, 4, 0, 0x0000f1c1, "PCIe 7.8.4.5"},
	{20, 4, 0, 0x0000f1c1, "PCIe 7.8.4.6"},
	{24, 4, 0, 0x00000140, "PCIe 7.8.4.7"},
	END_OF_FIELDS,
};

/* Linux means the data selector, and writes the register behind it (vfio_pci_config.c:init_pci_ext_cap_pwr_perm()). */
static const struct perm_field power_budget_fields[] = {
	EXTENDED_HEADER,
	{8, 1, 0, ALL, "PCIe 7.8.1.3"},
	END_OF_FIELDS,
};

const struct perm_cap perm_header = {
	.name = "header",
	.length = 64,
	.effect = EFFECT_HEADER,
	.fields = header_fields,
};

#define CAP(label, number) .name = label, .id = number
#define EXT(label, number) .name = label, .id = number, .extended = true
#define WHEN(at, m, v)	   .select = at, .mask = m, .value = v

const struct perm_cap perm_caps[] = {
	{CAP("PM", PCI_CAP_PM), .length = 8, .effect = EFFECT_PM, .fields = pm_fields},
	{CAP("AGP", PCI_CAP_AGP), .length = 12, .fields = next_fields},
	{CAP("VPD", PCI_CAP_VPD), .length = 8, .effect = EFFECT_VPD, .fields = vpd_fields},
	/* Bit 7: 64-bit addresses; bit 8: masking per vector. */
	{CAP("MSI", PCI_CAP_MSI), WHEN(2, 0x180, 0x000), .length = 10, .effect = EFFECT_MSI, .fields = msi32_fields},
	{CAP("MSI", PCI_CAP_MSI), WHEN(2, 0x180, 0x080), .length = 14, .effect = EFFECT_MSI, .fields = msi64_fields},
	{CAP("MSI", PCI_CAP_MSI), WHEN(2, 0x180, 0x100), .length = 20, .effect = EFFECT_MSI,
	 .fields = msi32_mask_fields},
	{CAP("MSI", PCI_CAP_MSI), .length = 24, .effect = EFFECT_MSI, .fields = msi64_mask_fields},
	{CAP("PCI-X", PCI_CAP_PCIX), WHEN(2, 0x3000, 0x0000), .length = 8, .fields = pcix_fields},
	{CAP("PCI-X", PCI_CAP_PCIX), .length = 24, .fields = pcix_fields},
	/* Types of HyperTransport capabilities with three id bits are the short ones. */
	{CAP("HT", PCI_CAP_HT), WHEN(2, 0xe000, 0x0000), .length = 28, .fields = next_fields},
	{CAP("HT", PCI_CAP_HT), .length = 24, .fields = next_fields},
	{CAP("vendor", PCI_CAP_VENDOR), .raw = true, .rule = LENGTH_BYTE, .fields = next_fields},
	/* Version 1 or later; type 9, a root complex integrated endpoint, has no link registers. */
	{CAP("PCIe", PCI_CAP_PCIE), WHEN(2, 0xff, 0x91), .length = 0x0c, .effect = EFFECT_EXP, .fields = exp_fields},
	{CAP("PCIe", PCI_CAP_PCIE), WHEN(2, 0x0f, 0x01), .length = 0x14, .effect = EFFECT_EXP, .fields = exp_fields},
	{CAP("PCIe", PCI_CAP_PCIE), WHEN(2, 0xf0, 0x90), .length = 0x2c, .effect = EFFECT_EXP, .fields = exp_fields},
	{CAP("PCIe", PCI_CAP_PCIE), .length = 0x34, .effect = EFFECT_EXP, .fields = exp_fields},
	{CAP("MSI-X", PCI_CAP_MSIX), .length = 12, .fields = next_fields},
	{CAP("SATA", PCI_CAP_SATA), WHEN(4, 0x0f, 0x0f), .length = 16, .fields = next_fields},
	{CAP("SATA", PCI_CAP_SATA), .length = 8, .fields = next_fields},
	{CAP("AF", PCI_CAP_AF), .length = 6, .effect = EFFECT_AF, .fields = af_fields},

	{EXT("AER", PCI_EXT_AER), .length = 0x2c, .fields = aer_fields},
	{EXT("VC", PCI_EXT_VC), .rule = LENGTH_VC, .fields = extended_fields},
	{EXT("DSN", PCI_EXT_DSN), .length = 12, .fields = extended_fields},
	{EXT("power budget", PCI_EXT_PWR), .length = 16, .fields = power_budget_fields},
	{EXT("MFVC", 0x0008), .rule = LENGTH_VC, .fields = extended_fields},
	{EXT("VC9", 0x0009), .rule = LENGTH_VC, .fields = extended_fields},
	{EXT("vendor", PCI_EXT_VENDOR), .raw = true, .rule = LENGTH_VSEC, .fields = extended_fields},
	{EXT("ACS", PCI_EXT_ACS), .rule = LENGTH_ACS, .fields = extended_fields},
	{EXT("ARI", PCI_EXT_ARI), .length = 8, .fields = extended_fields},
	{EXT("ATS", PCI_EXT_ATS), .length = 8, .fields = extended_fields},
	{EXT("SR-IOV", PCI_EXT_SRIOV), .length = 64, .fields = extended_fields},
	{EXT("multicast", 0x0012), .length = 40, .fields = extended_fields},
	{EXT("PRI", 0x0013), .length = 16, .fields = extended_fields},
	{EXT("resizable BAR", 0x0015), .rule = LENGTH_REBAR, .fields = extended_fields},
	{EXT("DPA", 0x0016), .rule = LENGTH_DPA, .fields = extended_fields},
	{EXT("TPH", 0x0017), .rule = LENGTH_TPH, .fields = extended_fields},
	{EXT("LTR", PCI_EXT_LTR), .length = 8, .fields = extended_fields},
	{EXT("DVSEC", PCI_EXT_DVSEC), .raw = true, .rule = LENGTH_VSEC, .fields = extended_fields},
};
const unsigned perm_ncaps = ARRAY_SIZE(perm_caps);

const struct perm_cap *perm_find(const u8 *config, u16 at, u16 id, bool extended)
{
	for (unsigned i = 0; i < ARRAY_SIZE(perm_caps); i++) {
		const struct perm_cap *cap = &perm_caps[i];

		if (cap->id == id && cap->extended == extended &&
		    (get_u16(config + at + cap->select) & cap->mask) == cap->value)
			return cap;
	}
	return NULL;
}
