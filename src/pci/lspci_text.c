/* SPDX-License-Identifier: MIT */
/* The lines between the first one of a function and its capabilities. */
#include <stdio.h>
#include <stdlib.h>

#include "pci/lspci.h"

/* "Control:" is printed by -vv, "Flags:" by -v; both prove that this is no prose. */
static void read_control(struct lspci_record *record)
{
	record->seen |= SEEN_CONTROL;
	record->proof = true;
}

static void read_status(struct lspci_record *record, const char *text)
{
	if (strstr(text, "Cap+"))
		record->seen |= SEEN_CAP_BIT;
}

/* "Flags: bus master, fast devsel, latency 0, IRQ 122, IOMMU group 2" */
static void read_flags(struct lspci_record *record, const char *text)
{
	const char *group = strstr(text, "IOMMU group ");
	int number;

	record->seen |= SEEN_FLAGS;
	record->proof = true;
	if (group && sscanf(group + 12, "%9d", &number) == 1)
		lspci_note_group(record, number, false);
}

static void read_buses(struct lspci_record *record, const char *text)
{
	unsigned secondary, subordinate;

	if (record->seen & SEEN_BUSES ||
	    sscanf(text, " primary=%*2x, secondary=%2x, subordinate=%2x", &secondary, &subordinate) != 2)
		return;
	record->secondary = (u8)secondary;
	record->subordinate = (u8)subordinate;
	record->seen |= SEEN_BUSES;
}

/* "[size=16K]"; false when there is none, or no power of two. */
static bool read_size(const char *text, u8 *ret_log2)
{
	static const char units[] = " KMGT";
	const char *at = strstr(text, "[size="), *unit;
	unsigned long long size;
	char *after;

	if (!at)
		return false;
	size = strtoull(at + 6, &after, 10);
	unit = *after == ']' ? units : strchr(units, *after);
	if (!size || size > 1u << 20 || !*after || !unit || (size & (size - 1)))
		return false;
	*ret_log2 = (u8)(__builtin_ctzll(size) + 10 * (unit - units));
	return true;
}

/* "Memory at fce00000 (64-bit, non-prefetchable)", "I/O ports at e000"; an address that is not known is 0. */
static struct lspci_bar parse_region(const char *text)
{
	const char *at = strstr(text, " at ");
	struct lspci_bar bar = {.kind = PCI_BAR_MEMORY32, .address = at ? strtoull(at + 4, NULL, 16) : 0};

	if (strstr(text, "I/O ports"))
		bar.kind = PCI_BAR_IO;
	else if (strstr(text, "(64-bit"))
		bar.kind = PCI_BAR_MEMORY64;
	bar.prefetchable = strstr(text, " prefetchable)");
	return bar;
}

/* With -v alone, regions have no numbers: they are taken as one after the other. */
static void read_region(struct lspci_reader *reader, struct lspci_record *record, const char *text)
{
	struct lspci_bar bar = parse_region(text);
	unsigned index = reader->next_bar;

	if (sscanf(text, "Region %1u", &index) != 1 && strncmp(text, "Region", 6) == 0)
		return;
	reader->next_bar = index + (bar.kind == PCI_BAR_MEMORY64 ? 2 : 1);
	if (reader->next_bar <= PCI_BARS && record->bars[index].kind == PCI_BAR_NONE && read_size(text, &bar.log2_size))
		record->bars[index] = bar;
}

static void read_rom(struct lspci_record *record, const char *text)
{
	struct lspci_bar bar = parse_region(text);

	if (read_size(text, &bar.log2_size))
		record->bars[PCI_ROM] = bar;
}

void lspci_read_text(struct lspci_reader *reader, struct lspci_record *record, enum lspci_key key, const char *text)
{
	const char *colon = strchr(text, ':');
	const char *value = colon ? colon + 1 + (colon[1] == ' ') : text;
	int group;

	switch (key) {
	case KEY_SUBSYSTEM:
		lspci_read_subsystem(reader, record, value);
		break;
	case KEY_CONTROL:
		read_control(record);
		break;
	case KEY_STATUS:
		read_status(record, value);
		break;
	case KEY_FLAGS:
		read_flags(record, value);
		break;
	case KEY_BUS:
		read_buses(record, value);
		break;
	case KEY_GROUP:
		if (sscanf(value, "%9d", &group) == 1)
			lspci_note_group(record, group, false);
		break;
	case KEY_REGION:
		read_region(reader, record, text);
		break;
	case KEY_ROM:
		read_rom(record, text);
		break;
	case KEY_BROKEN:
		/* "Unknown header type 7f": its registers read as ff. */
		if (strstr(text, "header type"))
			record->seen |= SEEN_BROKEN;
		break;
	default:
		break;
	}
}
