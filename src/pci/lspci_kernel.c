/* SPDX-License-Identifier: MIT */
/*
 * What the kernel says: drivers in lspci's own lines; groups in those, in scripts' listings, in find's and ls's, and in
 * the boot log, together with its version there.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pci/lspci.h"

void lspci_note_group(struct lspci_record *record, int group, bool listed)
{
	if (record->group == PCI_GROUP_UNSAID) {
		record->group = group;
		record->listed = listed;
	}
}

int lspci_read_driver(struct lspci_reader *reader, struct lspci_record *record, const char *text, struct why *why)
{
	const char *colon = strchr(text, ':');
	const char *name = colon ? colon + 1 + (colon[1] == ' ') : "";
	size_t length = strcspn(name, " ,\t");

	reader->drivers = true;
	record->seen |= SEEN_KERNEL;
	record->proof = true;
	if (!length || record->driver)
		return 0;
	record->driver = lspci_copy(name, length, why);
	return record->driver ? 0 : -why->err;
}

/* "[8086:1901] [R]", which some scripts put before the address. */
static const char *skip_brackets(const char *text)
{
	for (;;) {
		while (*text == ' ' || *text == '\t' || *text == ':')
			text++;
		if (*text != '[' || !strchr(text, ']'))
			return text;
		text = strchr(text, ']') + 1;
	}
}

const char *lspci_read_group_head(struct lspci_reader *reader, const char *text)
{
	const char *digits = strpbrk(text, "0123456789");
	struct pci_addr addr;
	int group, used;

	reader->listing = PCI_GROUP_UNSAID;
	if (!digits || sscanf(digits, "%9d%n", &group, &used) != 1)
		return "";
	text = skip_brackets(digits + used);
	/* Prose may begin with these words too. */
	if (*text && !lspci_parse_addr(text, strlen(text), &addr))
		return "";
	reader->listing = group;
	return text;
}

/* A function that a list of groups names; the lines about itself may be elsewhere. */
static int list_group(struct lspci_reader *reader, struct pci_addr addr, int group, struct why *why)
{
	struct lspci_record *record;
	int err = lspci_find_or_add(reader, addr, &record, why);

	if (err < 0)
		return err;
	lspci_note_group(record, group, true);
	return 0;
}

/* The number behind `words`; *ret_after is what follows it. NULL when there is none. */
static const char *number_behind(const char *text, const char *words, int *ret)
{
	const char *at = strstr(text, words);
	int used;

	if (!at || sscanf(at + strlen(words), "%9d%n", ret, &used) != 1)
		return NULL;
	return at + strlen(words) + used;
}

/* "/sys/kernel/iommu_groups/1/devices/0000:00:01.0", or with ":" at its end the title of what ls prints. */
static int read_path(struct lspci_reader *reader, const char *text, struct why *why)
{
	struct pci_addr addr;
	int group;
	const char *rest = number_behind(text, "iommu_groups/", &group);

	if (!rest || strncmp(rest, "/devices", 8) != 0)
		return 0;
	rest += 8;
	if (*rest == '/' && lspci_parse_addr(rest + 1, strlen(rest + 1), &addr))
		return list_group(reader, addr, group, why);
	if (*rest == ':' || (*rest == '/' && rest[1] == ':'))
		reader->ls_listing = group;
	return 0;
}

/* Boot log: "pci 0000:00:02.0: Adding to iommu group 1", before 5.3 "iommu: Adding device 0000:00:02.0 to group 1". */
static int read_log(struct lspci_reader *reader, const char *text, struct why *why)
{
	const char *at = strstr(text, "pci ");
	struct pci_addr addr;
	int group;

	if (number_behind(text, ": Adding to iommu group ", &group)) {
		if (at && lspci_parse_addr(at + 4, strlen(at + 4), &addr))
			return list_group(reader, addr, group, why);
		return 0;
	}
	at = strstr(text, "Adding device ");
	if (at && number_behind(at, " to group ", &group) && lspci_parse_addr(at + 14, strlen(at + 14), &addr))
		return list_group(reader, addr, group, why);
	return 0;
}

/* Bare addresses, or with "-> ../../devices/..." behind them. */
static int read_ls(struct lspci_reader *reader, const char *text, struct why *why)
{
	int err = 0;

	while (*text && err == 0 && strncmp(text, "->", 2) != 0) {
		size_t length = strcspn(text, " \t");
		struct pci_addr addr;

		if (length && lspci_parse_addr(text, length, &addr) == length)
			err = list_group(reader, addr, reader->ls_listing, why);
		text += length + (text[length] != '\0');
	}
	return err;
}

static void read_version(struct lspci_reader *reader, const char *text)
{
	const char *at = strstr(text, "Linux version ");
	unsigned major, minor;

	if (!reader->kernel && at && sscanf(at + 14, "%3u.%3u", &major, &minor) == 2 && major < 256 && minor < 256 &&
	    strchr(at, '('))
		reader->kernel = PCI_KERNEL(major, minor);
}

int lspci_read_prose(struct lspci_reader *reader, const struct lspci_line *line, struct why *why)
{
	char text[LSPCI_LINE + 1];
	size_t length = line->length < LSPCI_LINE ? line->length : LSPCI_LINE;
	int err = 0;

	if (!reader->mentions_kernel && !reader->mentions_groups)
		return 0;
	memcpy(text, line->at, length);
	text[length] = '\0';
	if (reader->mentions_kernel)
		read_version(reader, text);
	if (!reader->mentions_groups)
		return 0;
	if (strstr(text, "iommu_groups/"))
		err = read_path(reader, text, why);
	else if (strstr(text, "Adding "))
		err = read_log(reader, text, why);
	else if (reader->ls_listing != PCI_GROUP_UNSAID)
		err = read_ls(reader, text, why);
	return err;
}
