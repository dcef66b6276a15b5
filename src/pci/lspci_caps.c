/* SPDX-License-Identifier: MIT */
/* Capabilities in words, as -v, -vv and -vvv print them. Flags are looked for by name, so wrapped lines do not matter.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pci/lspci.h"

/* "Name+" or "Name-" in text; -1 when it is not there. */
static int flag(const char *text, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = strstr(text, name); at; at = strstr(at + 1, name))
		if ((at == text || at[-1] == ' ' || at[-1] == '\t') && (at[length] == '+' || at[length] == '-'))
			return at[length] == '+';
	return -1;
}

/* The decimal number behind `name`; `otherwise` when there is none or it is out of range. */
static unsigned number(const char *text, const char *name, unsigned most, unsigned otherwise)
{
	const char *at = strstr(text, name);
	unsigned value;

	return at && sscanf(at + strlen(name), " %9u", &value) == 1 && value <= most ? value : otherwise;
}

/* ---- the line that names a capability ---- */

static const struct {
	const char *name;
	int type; /* -1: the number is in the text */
} types[] = {
	{"Endpoint", PCIE_ENDPOINT},
	{"Legacy Endpoint", PCIE_LEGACY_ENDPOINT},
	{"Root Port", PCIE_ROOT_PORT},
	{"Upstream Port", PCIE_UPSTREAM_PORT},
	{"Downstream Port", PCIE_DOWNSTREAM_PORT},
	{"PCI-Express to PCI/PCI-X Bridge", PCIE_TO_PCI_BRIDGE},
	{"PCI/PCI-X to PCI-Express Bridge", PCI_TO_PCIE_BRIDGE},
	{"PCI/PCI-X Bridge", PCIE_TO_PCI_BRIDGE},
	{"Root Complex Integrated Endpoint", PCIE_RC_ENDPOINT},
	{"Root Complex Event Collector", PCIE_RC_EVENT_COLLECTOR},
	{"Unknown type ", -1},
};

/* "Express (v2) Root Port (Slot+), MSI 00" */
static void read_express(struct lspci_record *record, const char *text)
{
	if (strncmp(text, " (v", 3) == 0 && strchr(text, ')'))
		text = strchr(text, ')') + 1;
	text += *text == ' ';
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		if (strncmp(text, types[i].name, strlen(types[i].name)) != 0)
			continue;
		record->type = (u8)(types[i].type >= 0 ? (unsigned)types[i].type : number(text, types[i].name, 15, 0));
		record->slot_register = strstr(text, "(Slot+)");
		record->seen |= SEEN_EXPRESS;
		return;
	}
}

/* "MSI: Enable+ Count=1/8 Maskable- 64bit+": so many are on, so many there. */
static void read_msi(struct lspci_record *record, const char *text)
{
	const char *slash = strstr(text, "Count=");
	unsigned count;

	if (!slash || sscanf(slash, "Count=%*u/%2u", &count) != 1 || !count || count > 32 || (count & (count - 1)))
		return;
	record->msi_log2 = (u8)__builtin_ctz(count);
	record->msi_wide = flag(text, "64bit") == 1;
	record->seen |= SEEN_MSI;
}

static void read_msix(struct lspci_record *record, const char *text)
{
	unsigned count = number(text, "Count=", PCI_IRQ_VECTORS, 0);

	if (!count)
		return;
	record->vectors = (u16)count;
	record->seen |= SEEN_MSIX;
}

static const struct {
	const char *name;
	unsigned seen;
} plain[] = {
	{"Power Management", SEEN_PM},
	{"PCI Advanced Features", SEEN_AF},
	{"Access Control Services", SEEN_ACS},
	{"Single Root I/O Virtualization", SEEN_SRIOV},
	{"Alternative Routing-ID Interpretation", SEEN_ARI},
	{"Address Translation Service", SEEN_ATS},
	{"Process Address Space ID", SEEN_PASID},
	{"Page Request Interface", SEEN_PRI},
};

static bool skip(const char **text, const char *start)
{
	size_t length = strlen(start);

	if (strncmp(*text, start, length) != 0)
		return false;
	*text += length;
	return true;
}

/* "[220 v1] Access Control Services"; "<access denied>", of which HTML may have left nothing. */
static void read_capability(struct lspci_record *record, const char *text)
{
	const char *name = strchr(text, ']');
	unsigned offset;

	record->proof = true;
	if (sscanf(text, "[%3x", &offset) != 1 || !name) {
		if (!(record->seen & SEEN_CAPS))
			record->seen |= SEEN_DENIED;
		return;
	}
	record->seen = (record->seen | SEEN_CAPS) & ~(unsigned)SEEN_DENIED;
	record->extended |= offset >= 0x100;
	name += 1 + (name[1] == ' ');
	if (strncmp(name, "<chain ", 7) == 0)
		record->seen |= SEEN_BROKEN_CHAIN;
	for (unsigned i = 0; i < ARRAY_SIZE(plain); i++)
		if (strncmp(name, plain[i].name, strlen(plain[i].name)) == 0)
			record->seen |= plain[i].seen;
	if (strncmp(name, "Advanced Error Reporting", 24) == 0)
		record->aer = true;
	else if (skip(&name, "Express"))
		read_express(record, name);
	else if (skip(&name, "MSI: "))
		read_msi(record, name);
	else if (skip(&name, "MSI-X: "))
		read_msix(record, name);
}

/* ---- the lines below ---- */

/* How many phantom functions there are: none, one, three or seven besides the function (PCI Express 7.5.3.3). */
static void read_devcap(struct lspci_record *record, const char *text)
{
	unsigned phantoms = number(text, "PhantFunc", 7, 0);

	record->phantom = (u8)(phantoms >= 7 ? 3 : phantoms >= 3 ? 2 : phantoms);
	record->flr = flag(text, "FLReset") == 1;
}

static const struct {
	const char *name;
	u16 bit;
} acs_flags[] = {
	{"SrcValid", PCI_ACS_SV},    {"TransBlk", PCI_ACS_TB},	  {"ReqRedir", PCI_ACS_RR},
	{"CmpltRedir", PCI_ACS_CR},  {"UpstreamFwd", PCI_ACS_UF}, {"EgressCtrl", PCI_ACS_EC},
	{"DirectTrans", PCI_ACS_DT},
};

/* False when one of those that isolate is missing: the line was cut off. */
static bool read_acs(const char *text, u16 *ret)
{
	bool whole = true;

	*ret = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(acs_flags); i++) {
		int value = flag(text, acs_flags[i].name);

		if (value == 1)
			*ret |= acs_flags[i].bit;
		whole &= value >= 0 || !(acs_flags[i].bit & PCI_ACS_ISOLATION);
	}
	return whole;
}

static void read_acs_line(struct lspci_record *record, const char *text, unsigned seen, u16 *ret)
{
	/* Flags of a capability whose own line is lost prove that it is there. */
	record->seen |= SEEN_ACS;
	record->extended = true;
	if (read_acs(text, ret))
		record->seen |= seen;
}

static void read_vfs(struct lspci_record *record, const char *text)
{
	record->sriov.initial = (u16)number(text, "Initial VFs:", 0xffff, 0);
	record->sriov.total = (u16)number(text, "Total VFs:", 0xffff, 0);
	record->sriov.enabled = (u16)number(text, "Number of VFs:", 0xffff, 0);
	if (strstr(text, "Number of VFs:"))
		record->seen |= SEEN_SRIOV | SEEN_VFS;
}

/* "VF offset: 128, stride: 2, Device ID: 10ca" */
static void read_vf_offset(struct lspci_record *record, const char *text)
{
	const char *device = strstr(text, "Device ID:");

	record->sriov.offset = (u16)number(text, "VF offset:", 0xffff, 0);
	record->sriov.stride = (u16)number(text, "stride:", 0xffff, 0);
	if (device)
		record->sriov.device = (u16)strtoul(device + 10, NULL, 16);
	if (strstr(text, "stride:"))
		record->seen |= SEEN_SRIOV | SEEN_VF_OFFSET;
}

/* "Exec- Priv-, Max PASID Width: 14", which is 20 in words. */
static u8 read_width(const char *text)
{
	const char *width = strstr(text, "Width:");
	unsigned long value = width ? strtoul(width + 6, NULL, 16) : 0;

	return (u8)(value <= 20 ? value : 0);
}

/* "Vector table: BAR=0 offset=00002000" */
static bool read_table(const char *text, u8 *ret_bar, u32 *ret_offset)
{
	const char *offset = strstr(text, "offset=");
	unsigned bar = number(text, "BAR=", PCI_BARS - 1, PCI_BARS);

	if (!offset || bar == PCI_BARS)
		return false;
	*ret_bar = (u8)bar;
	*ret_offset = (u32)strtoul(offset + 7, NULL, 16) & ~7u;
	return true;
}

void lspci_read_caps(struct lspci_record *record, enum lspci_key key, const char *text)
{
	const char *colon = strchr(text, ':');
	const char *value = colon ? colon + 1 + (colon[1] == ' ') : text;

	switch (key) {
	case KEY_CAPABILITY:
		read_capability(record, value);
		break;
	case KEY_DEVCAP:
		read_devcap(record, value);
		break;
	case KEY_DEVCTL:
		record->phantom_on = flag(value, "PhantFunc") == 1;
		break;
	case KEY_DEVCTL2:
		record->ari_on = flag(value, "ARIFwd") == 1;
		break;
	case KEY_SLTCAP:
		record->slot = (u8)number(value, "Slot #", 255, 0);
		break;
	case KEY_ACSCAP:
		read_acs_line(record, value, SEEN_ACSCAP, &record->acs_capable);
		break;
	case KEY_ACSCTL:
		read_acs_line(record, value, SEEN_ACSCTL, &record->acs_enabled);
		break;
	case KEY_IOVCTL:
		record->vf_enable = flag(value, "Enable") == 1;
		break;
	case KEY_VFS:
		read_vfs(record, text);
		break;
	case KEY_VF_OFFSET:
		read_vf_offset(record, text);
		break;
	case KEY_PASIDCAP:
		record->pasid_width = read_width(value);
		break;
	case KEY_VECTORS:
		if (read_table(value, &record->table_bar, &record->table_offset))
			record->seen |= SEEN_VECTORS;
		break;
	case KEY_PENDING_BITS:
		read_table(value, &record->pending_bar, &record->pending_offset);
		break;
	default:
		break;
	}
}
