/* SPDX-License-Identifier: MIT */
/* Bytes of -x (64 of them), -xxx (256) and -xxxx (4096). What they say counts more than the words above them. */
#include <stdlib.h>

#include "base/alloc.h"
#include "pci/lspci.h"

enum { HEADER = 64, CONVENTIONAL = 256, ALL = 4096 };

int lspci_read_bytes(struct lspci_reader *reader, const struct lspci_line *line, struct why *why)
{
	struct lspci_record *record = lspci_current(reader);
	u8 bytes[16];
	unsigned offset, row, count = lspci_parse_bytes(line, &offset, bytes);

	if (!record || !count)
		return 0;
	if (!record->bytes) {
		record->bytes = alloc_zero(ALL, why);
		if (!record->bytes)
			return -why->err;
	}
	record->proof = true;
	row = offset / 16;
	if (record->rows[row / 64] >> row % 64 & 1)
		return 0;
	memcpy(record->bytes + offset, bytes, count);
	record->bytes_line = reader->lines.number;
	if (count == 16)
		record->rows[row / 64] |= BIT(row % 64);
	return 0;
}

unsigned lspci_known_bytes(const struct lspci_record *record)
{
	unsigned row = 0;

	while (record->bytes && row < ALL / 16 && (record->rows[row / 64] >> row % 64 & 1))
		row++;
	return row * 16;
}

bool lspci_bytes_usable(const struct lspci_record *record)
{
	if (lspci_known_bytes(record) < HEADER)
		return false;
	for (unsigned i = 0; i < HEADER; i++)
		if (record->bytes[i] != 0xff)
			return true;
	return false;
}

u8 lspci_secondary(const struct lspci_record *record)
{
	if (lspci_bytes_usable(record))
		return (record->bytes[PCI_HEADER_TYPE] & 0x7f) ? record->bytes[PCI_SECONDARY_BUS] : 0;
	return record->seen & SEEN_BUSES ? record->secondary : record->implied_secondary;
}

/* A virtual function answers ff where its ids would be; a CardBus bridge has its bus numbers where a PCI bridge does.
 */
static void complete_header(const struct lspci_record *record, u8 *config)
{
	if (get_u32(config) == UINT32_MAX) {
		put_u16(config + PCI_VENDOR_ID, record->identity.vendor);
		put_u16(config + PCI_DEVICE_ID, record->identity.device);
	}
	if ((config[PCI_HEADER_TYPE] & 0x7f) == 2)
		config[PCI_HEADER_TYPE] ^= 3;
}

/* Whether words and bytes are of one mind, where both say something. */
static bool agrees(const struct lspci_record *record, const struct pci_function *function)
{
	const u8 *config = function->config, *acs = config + function->cap_acs, *sriov = config + function->cap_sriov;
	unsigned seen = record->seen;

	if ((seen & (SEEN_IDS | SEEN_VENDOR)) == SEEN_IDS &&
	    (get_u16(config) != record->identity.vendor || get_u16(config + PCI_DEVICE_ID) != record->identity.device))
		return false;
	if (seen & SEEN_CLASS && get_u16(config + PCI_CLASS) != record->identity.class_code >> 8)
		return false;
	if (seen & SEEN_BUSES &&
	    (function->secondary != record->secondary || function->subordinate != record->subordinate))
		return false;
	if (seen & SEEN_EXPRESS && function->cap_pcie && pcie_type(function) != record->type)
		return false;
	if (seen & SEEN_ACSCAP && function->cap_acs && get_u16(acs + 4) != record->acs_capable)
		return false;
	if (seen & SEEN_ACSCTL && function->cap_acs && get_u16(acs + 6) != record->acs_enabled)
		return false;
	return !(seen & SEEN_VF_OFFSET) || !function->cap_sriov ||
	       (get_u16(sriov + 0x14) == record->sriov.offset && get_u16(sriov + 0x16) == record->sriov.stride);
}

/* How many of the bytes are looked at: a whole number of spaces, unless the words say nothing about what is cut off. */
static u16 usable_size(const struct lspci_record *record)
{
	unsigned known = lspci_known_bytes(record);

	if (known == ALL)
		return ALL;
	if (known >= CONVENTIONAL)
		return CONVENTIONAL;
	return (u16)(record->seen & SEEN_CAPS ? HEADER : known);
}

void lspci_build_bytes(const struct lspci_record *record, struct pci_function *function, unsigned *gaps,
		       struct lspci_tally odd[static ODD_KINDS])
{
	unsigned known = lspci_known_bytes(record);
	u16 size = usable_size(record);
	bool listed, sane;

	if (known != HEADER && known != 128 && known != CONVENTIONAL && known != ALL)
		lspci_count(&odd[ODD_BYTES_CUT], record->bytes_line, record->addr);
	memcpy(function->config, record->bytes, size);
	complete_header(record, function->config);
	sane = pci_scan_caps(function, size);
	listed = get_u16(function->config + PCI_STATUS) & PCI_STATUS_CAP_LIST;
	if (size >= CONVENTIONAL && !sane)
		lspci_count(&odd[ODD_CHAIN], record->line, record->addr);
	if (size == HEADER && listed && record->seen & SEEN_CAPS)
		lspci_build_caps(record, function);
	else if (size < CONVENTIONAL && listed && !function->cap_pcie)
		*gaps |= PCI_GAP_CAPS | PCI_GAP_EXT_CAPS;
	if (size < ALL && function->cap_pcie) {
		if (record->seen & SEEN_CAPS)
			*gaps |= lspci_build_extended(record, function, odd);
		else
			*gaps |= PCI_GAP_EXT_CAPS;
	}
	if (!agrees(record, function))
		lspci_count(&odd[ODD_MISMATCH], record->line, record->addr);
}
