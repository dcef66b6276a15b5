/* SPDX-License-Identifier: MIT */
/*
 * The first line of a function: "00:1d.0 PCI bridge [0604]: Intel Corporation ... [8086:34b0] (rev 30) (prog-if 00
 * [Normal decode])", with names, numbers (-n) or both (-nn), and with -P and -PP the path of bridges to it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pci/lspci.h"

#define DEEPEST 64 /* paths longer than that teach nothing about the bridges far above */

struct head {
	struct pci_addr addr, above[DEEPEST];
	unsigned depth;
	bool orphan; /* the bus is not to be known */
	const char *class, *product;
	size_t class_length, product_length;
	struct pci_identity identity;
	unsigned seen;
};

/* ---- path ---- */

/* "bb:dd.f" or, where only -P was given, "dd.f" on the bus that the bridge above leads to. */
static size_t parse_step(const struct lspci_reader *reader, const char *text, struct head *head)
{
	struct pci_addr addr, above = head->addr;
	const struct lspci_record *bridge;
	unsigned device, function;
	int used = 0;

	if (lspci_parse_addr(text, strlen(text), &addr) == 7) {
		addr.segment = above.segment;
		used = 7;
	} else if (sscanf(text, "%2x.%1x%n", &device, &function, &used) == 2 && used == 4 && device < 32) {
		bridge = lspci_find(reader, above);
		addr = (struct pci_addr){above.segment, bridge ? lspci_secondary(bridge) : 0,
					 pci_devfn(device, function & 7)};
		head->orphan |= addr.bus == 0;
	} else {
		return 0;
	}
	if (head->depth < DEEPEST)
		head->above[head->depth++] = above;
	else
		head->above[DEEPEST - 1] = above;
	head->addr = addr;
	return (size_t)used;
}

/* Returns how long address and path are. */
static size_t parse_path(const struct lspci_reader *reader, const char *text, struct head *head)
{
	size_t used = lspci_parse_addr(text, strlen(text), &head->addr), step;

	while (used && text[used] == '/') {
		step = parse_step(reader, text + used + 1, head);
		if (!step)
			return 0;
		used += 1 + step;
	}
	return used;
}

/* The bus of a function is the one that the bridge above leads to, and inside the range of all above that. */
static void teach_bridges(const struct lspci_reader *reader, const struct head *head)
{
	for (unsigned i = 0; i < head->depth; i++) {
		struct lspci_record *bridge = lspci_find(reader, head->above[i]);

		if (!bridge)
			continue;
		if (i + 1 == head->depth)
			bridge->implied_secondary = head->addr.bus;
		if (bridge->implied_subordinate < head->addr.bus)
			bridge->implied_subordinate = head->addr.bus;
	}
}

/* ---- class and product ---- */

static bool parse_number(const char *text, size_t length, unsigned digits, unsigned *ret)
{
	unsigned value = 0;

	if (length < digits)
		return false;
	for (unsigned i = 0; i < digits; i++) {
		char digit[2] = {text[i], '\0'}, *after;

		value = value << 4 | (unsigned)strtoul(digit, &after, 16);
		if (*after || after == digit)
			return false;
	}
	*ret = value;
	return true;
}

/* "8086:34b0", all of text */
static bool parse_pair(const char *text, size_t length, u16 *ret_vendor, u16 *ret_device)
{
	unsigned vendor, device;

	if (length != 9 || text[4] != ':' || !parse_number(text, 4, 4, &vendor) ||
	    !parse_number(text + 5, 4, 4, &device))
		return false;
	*ret_vendor = (u16)vendor;
	*ret_device = (u16)device;
	return true;
}

static void trim_right(const char *text, size_t *length)
{
	while (*length && text[*length - 1] == ' ')
		--*length;
}

/* "[....]" at the right side with exactly `size` characters inside; returns them, or NULL. */
static const char *bracket_of(const char *text, size_t length, size_t size)
{
	if (length < size + 2 || text[length - 1] != ']' || text[length - size - 2] != '[')
		return NULL;
	return text + length - size - 1;
}

/* Takes " [8086:34b0]" off the right side. */
static bool take_pair(const char *text, size_t *length, u16 *ret_vendor, u16 *ret_device)
{
	const char *pair = bracket_of(text, *length, 9);

	if (!pair || !parse_pair(pair, 9, ret_vendor, ret_device))
		return false;
	*length -= 11;
	trim_right(text, length);
	return true;
}

/* "PCI bridge", "PCI bridge [0604]", "0604", "Class 0604" */
static void parse_class(const struct lspci_reader *reader, struct head *head)
{
	const char *text = head->class, *digits = bracket_of(text, head->class_length, 4);
	unsigned number;
	u16 found;

	if (digits && parse_number(digits, 4, 4, &number)) {
		head->class_length -= 6;
		trim_right(text, &head->class_length);
		found = (u16)number;
	} else {
		digits = strncmp(text, "Class ", 6) == 0 ? text + 6 : text;
		if ((size_t)(digits - text) + 4 == head->class_length && parse_number(digits, 4, 4, &number))
			found = (u16)number;
		else if (!reader->ids || !pci_ids_class(reader->ids, text, head->class_length, &found))
			return;
	}
	head->identity.class_code |= (u32)found << 8;
	head->seen |= SEEN_CLASS;
}

/* "(rev 07) (prog-if 00 [Normal decode])" at the right side. */
static void parse_tail(struct head *head)
{
	const char *revision = strstr(head->product, "(rev "), *interface = strstr(head->product, "(prog-if ");
	unsigned number;

	if (revision && parse_number(revision + 5, strlen(revision + 5), 2, &number))
		head->identity.revision = (u8)number;
	if (interface && parse_number(interface + 9, strlen(interface + 9), 2, &number))
		head->identity.class_code |= number;
	if (interface && (!revision || interface < revision))
		revision = interface;
	head->product_length = revision ? (size_t)(revision - head->product) : strlen(head->product);
	trim_right(head->product, &head->product_length);
}

/* "Device 34b0", as names are that pci.ids does not have. */
static bool parse_unnamed(const char *text, size_t length, u16 *ret)
{
	static const char *const words[] = {"Device ", "Unknown device "};
	unsigned number;

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		size_t size = strlen(words[i]);

		if (length == size + 4 && strncmp(text, words[i], size) == 0 &&
		    parse_number(text + size, 4, 4, &number)) {
			*ret = (u16)number;
			return true;
		}
	}
	return false;
}

/* Vendor and device in words; returns SEEN_IDS, SEEN_VENDOR, SEEN_SEVERAL. */
static unsigned parse_names(const struct pci_ids *ids, const char *text, size_t length, u16 *ret_vendor,
			    u16 *ret_device)
{
	size_t used;

	if (length > 7 && strncmp(text, "Device ", 7) == 0 && parse_pair(text + 7, length - 7, ret_vendor, ret_device))
		return SEEN_IDS;
	if (!ids || !pci_ids_vendor(ids, text, length, ret_vendor, &used))
		return 0;
	while (used < length && text[used] == ' ')
		used++;
	if (parse_unnamed(text + used, length - used, ret_device))
		return SEEN_IDS | SEEN_VENDOR;
	switch (pci_ids_device(ids, *ret_vendor, text + used, length - used, ret_device)) {
	case IDS_FOUND:
		return SEEN_IDS | SEEN_VENDOR;
	case IDS_SEVERAL:
		return SEEN_IDS | SEEN_VENDOR | SEEN_SEVERAL;
	case IDS_UNKNOWN:
		break;
	}
	return SEEN_VENDOR;
}

static void parse_product(const struct lspci_reader *reader, struct head *head)
{
	struct pci_identity *identity = &head->identity;

	parse_tail(head);
	if (parse_pair(head->product, head->product_length, &identity->vendor, &identity->device)) {
		head->product_length = 0;
		head->seen |= SEEN_IDS;
		return;
	}
	if (take_pair(head->product, &head->product_length, &identity->vendor, &identity->device))
		head->seen |= SEEN_IDS;
	else
		head->seen |= parse_names(reader->ids, head->product, head->product_length, &identity->vendor,
					  &identity->device);
}

static bool starts_upper(const char *text)
{
	return *text >= 'A' && *text <= 'Z';
}

/* Everything of the line; false when it was prose all along. */
static bool parse_head(const struct lspci_reader *reader, const char *text, struct head *head)
{
	size_t used = parse_path(reader, text, head);
	const char *colon;

	if (!used || text[used] != ' ')
		return false;
	head->class = text + used + 1;
	colon = strstr(head->class, ": ");
	if (!colon || colon - head->class > 80)
		return false;
	head->class_length = (size_t)(colon - head->class);
	head->product = colon + 2;
	parse_class(reader, head);
	parse_product(reader, head);
	return head->seen || (starts_upper(head->class) && starts_upper(head->product));
}

/* ---- the record ---- */

static int name_record(struct lspci_record *record, const struct head *head, struct why *why)
{
	char text[LSPCI_LINE + 8];
	int length;

	if (record->name || !head->product_length)
		return 0;
	length = snprintf(text, sizeof(text), "%.*s: %.*s", (int)head->class_length, head->class,
			  (int)head->product_length, head->product);
	record->name = lspci_copy(text, (size_t)length, why);
	return record->name ? 0 : -why->err;
}

/* Ids that differ: somebody put the dumps of two machines into one file. */
static bool is_stranger(const struct lspci_record *record, const struct head *head)
{
	const unsigned sure = SEEN_IDS | SEEN_SEVERAL;

	return record->line && (record->seen & sure) == SEEN_IDS && (head->seen & sure) == SEEN_IDS &&
	       (record->identity.vendor != head->identity.vendor || record->identity.device != head->identity.device);
}

static void take_ids(struct lspci_record *record, const struct head *head)
{
	const unsigned ids = SEEN_IDS | SEEN_VENDOR | SEEN_SEVERAL;

	/* The illegal vendor is what an absent device answers. */
	if (head->identity.vendor == 0xffff) {
		record->seen |= SEEN_BROKEN;
	} else if (!(record->seen & SEEN_IDS) || (record->seen & SEEN_SEVERAL && !(head->seen & SEEN_SEVERAL))) {
		record->identity.vendor = head->identity.vendor;
		record->identity.device = head->identity.device;
		record->seen = (record->seen & ~ids) | (head->seen & ids);
	}
	if (head->identity.vendor != 0xffff && !(record->seen & SEEN_CLASS)) {
		record->identity.class_code = head->identity.class_code;
		record->seen |= head->seen & SEEN_CLASS;
	}
	if (!record->identity.revision)
		record->identity.revision = head->identity.revision;
	/* The programming interface is only printed with -v. */
	if (!(record->identity.class_code & 0xff) && head->identity.vendor != 0xffff)
		record->identity.class_code |= head->identity.class_code & 0xff;
}

static int fill(struct lspci_reader *reader, struct lspci_record *record, const struct head *head, struct why *why)
{
	reader->repeated = record->line && record->seen & SEEN_CAPS;
	record->line = record->line ? record->line : reader->line;
	record->proof |= head->seen != 0;
	if (head->depth) {
		record->below = true;
		record->above = head->above[head->depth - 1];
	}
	take_ids(record, head);
	if (reader->listing != PCI_GROUP_UNSAID)
		lspci_note_group(record, reader->listing, true);
	return name_record(record, head, why);
}

int lspci_read_head(struct lspci_reader *reader, const char *text, struct why *why)
{
	struct head head = {.depth = 0};
	struct lspci_record *record;
	int err;

	if (!parse_head(reader, text, &head))
		return 0;
	reader->current = 0;
	reader->in_caps = false;
	reader->next_bar = 0;
	reader->head_line = reader->line;
	reader->paths |= head.depth > 0;
	if (head.orphan) {
		lspci_count(&reader->odd[ODD_ORPHAN], reader->line, head.above[head.depth - 1]);
		return 0;
	}
	teach_bridges(reader, &head);
	err = lspci_find_or_add(reader, head.addr, &record, why);
	if (err < 0)
		return err;
	if (is_stranger(record, &head)) {
		lspci_count(&reader->odd[ODD_STRANGER], reader->line, head.addr);
		return 0;
	}
	reader->current = 1 + (size_t)(record - reader->records);
	return fill(reader, record, &head, why);
}

/* Names of subsystems are not looked up: lspci prints those of the device itself where it knows no better. */
void lspci_read_subsystem(const struct lspci_reader *reader, struct lspci_record *record, const char *text)
{
	size_t length = strlen(text), used = 0;
	u16 vendor = 0, device = 0;

	if (record->seen & SEEN_SUBSYSTEM)
		return;
	record->seen |= SEEN_SUBSYSTEM_NAME;
	if (take_pair(text, &length, &vendor, &device) || parse_pair(text, length, &vendor, &device) ||
	    (length > 7 && strncmp(text, "Device ", 7) == 0 && parse_pair(text + 7, length - 7, &vendor, &device))) {
		record->seen |= SEEN_SUBSYSTEM;
	} else if (reader->ids && pci_ids_vendor(reader->ids, text, length, &vendor, &used)) {
		used += used < length && text[used] == ' ';
		if (parse_unnamed(text + used, length - used, &device))
			record->seen |= SEEN_SUBSYSTEM;
	}
	record->identity.subsystem_vendor = vendor;
	record->identity.subsystem = device;
}
