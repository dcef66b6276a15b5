/* SPDX-License-Identifier: MIT */
/*
 * From the text to records: which line belongs to which function. A line that starts with nothing known is the rest of
 * the one before, which some mail program wrapped; in names, where anything may stand, only if the one before is long
 * enough to have been wrapped there.
 */
#include "pci/lspci.h"

#include <stdlib.h>

#include "base/alloc.h"

#define WRAPS_AT 64 /* no mail program breaks lines that would be shorter */

/* ---- records ---- */

static size_t slot_of(const struct lspci_reader *reader, struct pci_addr addr)
{
	size_t slot = (size_t)((pci_addr_key(addr) * 0x9e3779b97f4a7c15u) >> 32) & reader->slots_mask;

	while (reader->slots[slot] && !pci_addr_equal(reader->records[reader->slots[slot] - 1].addr, addr))
		slot = (slot + 1) & reader->slots_mask;
	return slot;
}

struct lspci_record *lspci_find(const struct lspci_reader *reader, struct pci_addr addr)
{
	u32 found = reader->slots ? reader->slots[slot_of(reader, addr)] : 0;

	return found ? &reader->records[found - 1] : NULL;
}

struct lspci_record *lspci_current(const struct lspci_reader *reader)
{
	return reader->current ? &reader->records[reader->current - 1] : NULL;
}

/* Room for one record more; the table of slots is at most half full. */
static int grow(struct lspci_reader *reader, struct why *why)
{
	size_t room = reader->room ? reader->room * 2 : 64;
	struct lspci_record *records;
	u32 *slots;

	if (reader->count < reader->room)
		return 0;
	records = alloc_array(room, sizeof(*records), why);
	if (!records)
		return -why->err;
	slots = alloc_array(room * 2, sizeof(*slots), why);
	if (!slots) {
		free(records);
		return -why->err;
	}
	if (reader->count)
		memcpy(records, reader->records, reader->count * sizeof(*records));
	free(reader->records);
	free(reader->slots);
	reader->records = records;
	reader->slots = slots;
	reader->room = room;
	reader->slots_mask = room * 2 - 1;
	for (size_t i = 0; i < reader->count; i++)
		reader->slots[slot_of(reader, reader->records[i].addr)] = (u32)i + 1;
	return 0;
}

int lspci_find_or_add(struct lspci_reader *reader, struct pci_addr addr, struct lspci_record **ret, struct why *why)
{
	int err;

	*ret = lspci_find(reader, addr);
	if (*ret)
		return 0;
	err = grow(reader, why);
	if (err < 0)
		return err;
	*ret = &reader->records[reader->count++];
	**ret = (struct lspci_record){.addr = addr, .group = PCI_GROUP_UNSAID};
	reader->slots[slot_of(reader, addr)] = (u32)reader->count;
	return 0;
}

/* ---- lines ---- */

static int read_group_line(struct lspci_reader *reader, struct why *why)
{
	const char *rest = lspci_read_group_head(reader, reader->text);
	int err;

	if (!*rest)
		return 0;
	err = lspci_read_head(reader, rest, why);
	/* It was said for this function alone. */
	reader->listing = PCI_GROUP_UNSAID;
	return err;
}

static int read_record_line(struct lspci_reader *reader, struct why *why)
{
	struct lspci_record *record = lspci_current(reader);

	if (!record)
		return 0;
	if (reader->key == KEY_DRIVER || reader->key == KEY_MODULES) {
		if (reader->key == KEY_DRIVER)
			return lspci_read_driver(reader, record, reader->text, why);
		record->seen |= SEEN_KERNEL;
		reader->drivers = true;
		return 0;
	}
	if (reader->key == KEY_CAPABILITY && !reader->in_caps) {
		reader->in_caps = true;
		if (reader->repeated)
			lspci_count(&reader->odd[ODD_REPEATED], reader->head_line, record->addr);
	}
	if (reader->in_caps && !reader->repeated)
		lspci_read_caps(record, reader->key, reader->text);
	else if (!reader->in_caps)
		lspci_read_text(reader, record, reader->key, reader->text);
	return 0;
}

/* The line that was put together is whole. */
static int flush(struct lspci_reader *reader, struct why *why)
{
	int err = 0;

	reader->text[reader->length] = '\0';
	if (reader->key == KEY_HEAD)
		err = lspci_read_head(reader, reader->text, why);
	else if (reader->key == KEY_GROUP_HEAD)
		err = read_group_line(reader, why);
	else if (reader->key > KEY_GROUP_HEAD)
		err = read_record_line(reader, why);
	reader->key = KEY_NONE;
	reader->length = 0;
	return err;
}

static void append(struct lspci_reader *reader, const struct lspci_line *line)
{
	size_t room = LSPCI_LINE - reader->length, size;

	if (reader->length && room) {
		reader->text[reader->length++] = ' ';
		room--;
	}
	size = line->length < room ? line->length : room;
	for (size_t i = 0; i < size; i++)
		reader->text[reader->length + i] = line->at[i] == '\t' || !line->at[i] ? ' ' : line->at[i];
	reader->length += size;
	reader->last_length = line->length;
}

static bool has_names(enum lspci_key key)
{
	return key == KEY_HEAD || key == KEY_GROUP_HEAD || key == KEY_SUBSYSTEM;
}

/* Is this the rest of the line being put together? */
static bool continues(const struct lspci_reader *reader, enum lspci_key key, const struct lspci_line *line)
{
	const char *blank = memchr(line->at, ' ', line->length);
	size_t word = blank ? (size_t)(blank - line->at) : line->length;

	if (reader->key < KEY_HEAD || (key != KEY_NONE && key != KEY_COLON))
		return false;
	if (has_names(reader->key))
		return reader->last_length + 1 + word > WRAPS_AT;
	return key == KEY_NONE && reader->key != KEY_DRIVER;
}

static void note_other_forms(struct lspci_reader *reader, enum lspci_key key)
{
	if (key == KEY_TREE && !reader->tree_line)
		reader->tree_line = reader->lines.number;
	if (key == KEY_FIELDS && !reader->fields_line)
		reader->fields_line = reader->lines.number;
	if (key == KEY_BLANK)
		reader->ls_listing = PCI_GROUP_UNSAID;
	if (key < KEY_OTHER)
		reader->listing = PCI_GROUP_UNSAID;
}

static int read_line(struct lspci_reader *reader, const struct lspci_line *line, enum lspci_key key, struct why *why)
{
	bool prose = key == KEY_NONE || key == KEY_COLON;
	int err = 0;

	if (continues(reader, key, line)) {
		append(reader, line);
		return prose ? lspci_read_prose(reader, line, why) : 0;
	}
	err = flush(reader, why);
	if (err < 0)
		return err;
	note_other_forms(reader, key);
	if (prose)
		return lspci_read_prose(reader, line, why);
	if (key == KEY_BYTES)
		return lspci_read_bytes(reader, line, why);
	if (key >= KEY_HEAD && key != KEY_TREE && key != KEY_FIELDS) {
		reader->key = key;
		reader->line = reader->lines.number;
		append(reader, line);
	}
	return 0;
}

/* The rest of a line of a capability has nothing to be known by but that it is indented; a signature is not. */
static bool is_prose(const struct lspci_reader *reader, enum lspci_key last)
{
	const char *text = reader->lines.text, *newline = memrchr(text, '\n', reader->lines.size);
	const char *start = newline ? newline + 1 : text;

	return last == KEY_NONE && !(reader->in_caps && start < text + reader->lines.size && *start == '\t');
}

/* Does the text stop inside the last function? A last line of the kernel's or of bytes is as good as an end. */
static void find_cut(struct lspci_reader *reader, enum lspci_key last)
{
	struct lspci_record *record = lspci_current(reader);
	const char *text = reader->lines.text;
	const unsigned seen = record ? record->seen : 0;

	if (!record || last == KEY_BLANK || last == KEY_DRIVER || last == KEY_MODULES || last == KEY_BYTES ||
	    last == KEY_HEAD || is_prose(reader, last))
		return;
	record->cut = text[reader->lines.size - 1] != '\n' ||
		      (seen & SEEN_CAP_BIT && !(seen & (SEEN_CAPS | SEEN_DENIED | SEEN_BROKEN)));
}

static int read_lines(struct lspci_reader *reader, struct why *why)
{
	enum lspci_key key = KEY_NONE;
	struct lspci_line line;
	int err = 0;

	while (err == 0 && lspci_lines_next(&reader->lines, &line)) {
		key = lspci_key_of(&line);
		err = read_line(reader, &line, key, why);
	}
	if (err == 0)
		err = flush(reader, why);
	find_cut(reader, key);
	return err;
}

/* ---- the whole ---- */

static bool starts_with(const struct lspci_lines *lines, const char *magic)
{
	size_t length = strlen(magic);

	return lines->size >= length && memcmp(lines->text, magic, length) == 0;
}

static bool mentions(const char *text, size_t size, const char *what)
{
	return memmem(text, size, what, strlen(what));
}

/* What such a text is, and how to make a dump of it; NULL: who knows. */
static const char *describe_other(const struct lspci_lines *lines)
{
	if (!lines->size)
		return "it is empty";
	if (starts_with(lines, "\xff\xfe") || starts_with(lines, "\xfe\xff"))
		return "it is UTF-16; run: iconv -f UTF-16 -t UTF-8";
	if (starts_with(lines, "\x1f\x8b") ||
	    starts_with(lines, "\xfd"
			       "7zXZ") ||
	    starts_with(lines, "BZh") || starts_with(lines, "\x28\xb5\x2f\xfd") || starts_with(lines, "PK\x03\x04"))
		return "it is compressed; unpack it first";
	if (mentions(lines->text, lines->size, "iommu_groups/"))
		return "a list of groups shows no functions; put it behind the output of lspci in the same file";
	return NULL;
}

static int refuse_other(const struct lspci_reader *reader, const char *file, struct why *why)
{
	const char *other = describe_other(&reader->lines);

	if (other)
		return refuse(why, DUMP_INVALID, "%.80s:1: %s", file, other);
	if (reader->tree_line)
		return refuse(
			why, DUMP_INVALID,
			"%.80s:%u: a tree, as lspci -t draws it: it shows no capabilities; run: sudo lspci -vvvnn",
			file, reader->tree_line);
	if (reader->fields_line)
		return refuse(
			why, DUMP_INVALID,
			"%.80s:%u: fields for programs, as of lspci -mm: they have no capabilities; run: sudo lspci "
			"-vvvnn",
			file, reader->fields_line);
	return refuse(why, DUMP_INVALID, "%.80s:%u: up to here, no line starts a PCI function as those of lspci do",
		      file, reader->lines.number ? reader->lines.number : 1);
}

static void reader_init(struct lspci_reader *reader, const struct pci_ids *ids, const char *text, size_t size)
{
	reader->ids = ids;
	reader->listing = reader->ls_listing = PCI_GROUP_UNSAID;
	reader->mentions_groups = mentions(text, size, "iommu");
	reader->mentions_kernel = mentions(text, size, "Linux version ");
	lspci_lines_init(&reader->lines, text, size);
}

static void reader_free(struct lspci_reader *reader)
{
	for (size_t i = 0; i < reader->count; i++) {
		free(reader->records[i].name);
		free(reader->records[i].driver);
		free(reader->records[i].bytes);
	}
	free(reader->records);
	free(reader->slots);
	pci_survey_free(reader->survey);
	free(reader);
}

static int read_all(struct lspci_reader *reader, const char *file, struct why *why)
{
	int err = read_lines(reader, why);

	if (err == 0)
		err = pci_survey_new(file, &reader->survey, why);
	if (err == 0)
		err = lspci_build(reader, why);
	if (err == 0 && !reader->survey->count)
		err = refuse_other(reader, file, why);
	return err < 0 ? err : pci_survey_finish(reader->survey, why);
}

int pci_read_lspci(const char *text, size_t size, const char *file, const struct pci_ids *ids, struct pci_survey **ret,
		   struct why *why)
{
	struct lspci_reader *reader = alloc_new(struct lspci_reader, why);
	int err;

	if (!reader)
		return -why->err;
	reader_init(reader, ids, text, size);
	err = read_all(reader, file, why);
	if (err == 0)
		*ret = take(reader->survey);
	reader_free(reader);
	return err;
}
