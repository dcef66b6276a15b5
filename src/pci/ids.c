/* SPDX-License-Identifier: MIT */
/*
 * pci.ids, read for its names: lines "vvvv  Vendor", "<tab>dddd  Device", "C cc  Class", "<tab>ss  Subclass"; deeper
 * ones and comments are skipped. One hash table holds all, by kind, owner and name; an id that has the name of another
 * of the same owner only marks that one as ambiguous.
 */
#include "pci/ids.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

#define MOST_BYTES   (64u << 20)
#define LONGEST_NAME 400

enum kind { KIND_NONE, KIND_VENDOR, KIND_DEVICE, KIND_SUBCLASS, KIND_CLASS };

struct entry {
	const char *name; /* of the text */
	u32 hash;
	u16 length, owner, id;
	u8 kind; /* KIND_NONE: the place is free */
	bool several;
};

struct pci_ids {
	char *text;	       /* owned */
	struct entry *entries; /* owned: a power of two, at most half of them used */
	size_t mask;
};

/* What lspci called vendors before pci.ids renamed them. */
static const struct {
	const char *name;
	u16 id;
} former_vendors[] = {
	{"Advanced Micro Devices [AMD]", 0x1022},
	{"Advanced Micro Devices [AMD] nee ATI", 0x1002},
	{"ATI Technologies Inc", 0x1002},
};

/* ---- names ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char folded(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static u32 hash_start(enum kind kind, u16 owner)
{
	return (2166136261u ^ (u32)kind) * 16777619u ^ owner;
}

/* FNV-1a, over one blank for each run of them. */
static u32 hash_more(u32 hash, const char *name, size_t from, size_t after)
{
	for (size_t i = from; i < after; i++)
		if (!is_blank(name[i]) || (i && !is_blank(name[i - 1])))
			hash = (hash ^ (u8)(is_blank(name[i]) ? ' ' : folded(name[i]))) * 16777619u;
	return hash;
}

static bool same_name(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t i = 0, j = 0;

	while (i < a_length && j < b_length) {
		if (is_blank(a[i]) != is_blank(b[j]) || (!is_blank(a[i]) && folded(a[i]) != folded(b[j])))
			return false;
		if (is_blank(a[i])) {
			while (i < a_length && is_blank(a[i]))
				i++;
			while (j < b_length && is_blank(b[j]))
				j++;
			continue;
		}
		i++;
		j++;
	}
	return i == a_length && j == b_length;
}

static void trim(const char **text, size_t *length)
{
	while (*length && is_blank(**text)) {
		(*text)++;
		(*length)--;
	}
	while (*length && (is_blank((*text)[*length - 1]) || (*text)[*length - 1] == '\r'))
		(*length)--;
}

/* ---- the table ---- */

/* The entry of that name, or the free place where it belongs. */
static struct entry *find(const struct pci_ids *ids, const struct entry *wanted)
{
	for (size_t i = wanted->hash & ids->mask;; i = (i + 1) & ids->mask) {
		struct entry *entry = &ids->entries[i];

		if (entry->kind == KIND_NONE)
			return entry;
		if (entry->hash == wanted->hash && entry->kind == wanted->kind && entry->owner == wanted->owner &&
		    same_name(entry->name, entry->length, wanted->name, wanted->length))
			return entry;
	}
}

static struct entry make(enum kind kind, u16 owner, const char *name, size_t length)
{
	struct entry entry = {.kind = (u8)kind, .owner = owner};

	trim(&name, &length);
	entry.name = name;
	entry.length = (u16)(length <= LONGEST_NAME ? length : 0);
	entry.hash = hash_more(hash_start(kind, owner), name, 0, entry.length);
	return entry;
}

static void add(struct pci_ids *ids, enum kind kind, u16 owner, u16 id, const char *name, size_t length)
{
	struct entry entry = make(kind, owner, name, length), *place;

	if (!entry.length)
		return;
	place = find(ids, &entry);
	if (place->kind == KIND_NONE) {
		*place = entry;
		place->id = id;
		return;
	}
	place->several |= place->id != id;
	place->id = id < place->id ? id : place->id;
}

/* ---- the file ---- */

struct parser {
	struct pci_ids *ids;
	enum kind under; /* KIND_VENDOR or KIND_CLASS: what lines with one tab belong to */
	u16 owner;
};

/* Exactly `digits` hex digits and a blank. */
static bool parse_id(const char *text, size_t length, unsigned digits, u16 *ret)
{
	unsigned value = 0;

	if (length < digits + 2 || !is_blank(text[digits]))
		return false;
	for (unsigned i = 0; i < digits; i++) {
		char c = folded(text[i]);

		if (c >= '0' && c <= '9')
			value = value << 4 | (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (unsigned)(c - 'a' + 10);
		else
			return false;
	}
	*ret = (u16)value;
	return true;
}

static void parse_inner(struct parser *parser, const char *line, size_t length)
{
	u16 id;

	if (parser->under == KIND_VENDOR && parse_id(line, length, 4, &id))
		add(parser->ids, KIND_DEVICE, parser->owner, id, line + 4, length - 4);
	else if (parser->under == KIND_CLASS && parse_id(line, length, 2, &id))
		add(parser->ids, KIND_SUBCLASS, 0, (u16)(parser->owner << 8 | id), line + 2, length - 2);
}

static void parse_line(struct parser *parser, const char *line, size_t length)
{
	u16 id = 0;

	if (!length || *line == '#')
		return;
	if (*line == '\t') {
		parse_inner(parser, line + 1, length - 1);
		return;
	}
	parser->under = KIND_NONE;
	if (length > 2 && line[0] == 'C' && line[1] == ' ' && parse_id(line + 2, length - 2, 2, &id)) {
		parser->under = KIND_CLASS;
		/* Devices of no subclass of their own have 80 there. */
		add(parser->ids, KIND_CLASS, 0, (u16)(id << 8 | 0x80), line + 4, length - 4);
	} else if (parse_id(line, length, 4, &id)) {
		parser->under = KIND_VENDOR;
		add(parser->ids, KIND_VENDOR, 0, id, line + 4, length - 4);
	}
	parser->owner = id;
}

/* Lines that may become an entry. */
static size_t count_lines(const char *text, size_t size)
{
	size_t count = 0;

	for (size_t at = 0; at < size;) {
		const char *newline = memchr(text + at, '\n', size - at);

		count += text[at] != '#' && text[at] != '\n' && (at + 1 == size || text[at + 1] != '\t');
		at = newline ? (size_t)(newline - text) + 1 : size;
	}
	return count;
}

static void parse(struct pci_ids *ids, size_t size)
{
	struct parser parser = {.ids = ids};

	for (size_t at = 0; at < size;) {
		const char *newline = memchr(ids->text + at, '\n', size - at);
		size_t after = newline ? (size_t)(newline - ids->text) : size;

		parse_line(&parser, ids->text + at, after - at);
		at = after + 1;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(former_vendors); i++)
		add(ids, KIND_VENDOR, 0, former_vendors[i].id, former_vendors[i].name, strlen(former_vendors[i].name));
}

/* Takes text over, also on failure. */
static int parse_owned(char *text, size_t size, struct pci_ids **ret, struct why *why)
{
	struct pci_ids *ids = alloc_new(struct pci_ids, why);
	size_t room = 64, wanted = 2 * (count_lines(text, size) + ARRAY_SIZE(former_vendors));

	if (!ids) {
		free(text);
		return -why->err;
	}
	ids->text = text;
	while (room < wanted)
		room *= 2;
	ids->mask = room - 1;
	ids->entries = alloc_array(room, sizeof(ids->entries[0]), why);
	if (!ids->entries) {
		pci_ids_free(ids);
		return -why->err;
	}
	parse(ids, size);
	*ret = ids;
	return 0;
}

int pci_ids_parse(const char *text, size_t size, struct pci_ids **ret, struct why *why)
{
	char *copy = alloc_zero(size + 1, why);

	if (!copy)
		return -why->err;
	if (size)
		memcpy(copy, text, size);
	return parse_owned(copy, size, ret, why);
}

/* The whole of a file; *ret is allocated. */
static int read_whole(FILE *file, const char *path, char **ret, size_t *ret_size, struct why *why)
{
	_memory_ char *text = NULL;
	long size;

	if (fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0)
		return refuse_host(why, errno, "seek(%.150s)", path);
	if ((unsigned long)size > MOST_BYTES)
		return refuse_host(why, EFBIG, "read(%.150s)", path);
	text = alloc_zero((size_t)size + 1, why);
	if (!text)
		return -why->err;
	*ret_size = fread(text, 1, (size_t)size, file);
	if (ferror(file))
		return refuse_host(why, errno, "read(%.150s)", path);
	*ret = take(text);
	return 0;
}

int pci_ids_read(const char *path, struct pci_ids **ret, struct why *why)
{
	FILE *file = fopen(path, "re");
	size_t size = 0;
	char *text = NULL;
	int err;

	if (!file)
		return refuse_host(why, errno, "open(%.150s)", path);
	err = read_whole(file, path, &text, &size, why);
	fclose(file);
	return err < 0 ? err : parse_owned(text, size, ret, why);
}

void pci_ids_free(struct pci_ids *ids)
{
	if (!ids)
		return;
	free(ids->text);
	free(ids->entries);
	free(ids);
}

/* ---- questions ---- */

bool pci_ids_vendor(const struct pci_ids *ids, const char *text, size_t length, u16 *ret, size_t *ret_length)
{
	struct entry wanted = {.name = text, .kind = KIND_VENDOR, .hash = hash_start(KIND_VENDOR, 0)};
	size_t hashed = 0;
	bool found = false;

	length = length < LONGEST_NAME ? length : LONGEST_NAME;
	for (size_t i = 1; i <= length; i++) {
		const struct entry *entry;

		if (is_blank(text[i - 1]) || (i < length && !is_blank(text[i])))
			continue;
		wanted.hash = hash_more(wanted.hash, text, hashed, i);
		wanted.length = (u16)i;
		hashed = i;
		entry = find(ids, &wanted);
		if (entry->kind == KIND_NONE)
			continue;
		found = true;
		*ret = entry->id;
		*ret_length = i;
	}
	return found;
}

enum pci_ids_found pci_ids_device(const struct pci_ids *ids, u16 vendor, const char *text, size_t length, u16 *ret)
{
	struct entry wanted = make(KIND_DEVICE, vendor, text, length);
	const struct entry *entry = find(ids, &wanted);

	if (entry->kind == KIND_NONE)
		return IDS_UNKNOWN;
	*ret = entry->id;
	return entry->several ? IDS_SEVERAL : IDS_FOUND;
}

bool pci_ids_class(const struct pci_ids *ids, const char *text, size_t length, u16 *ret)
{
	static const enum kind kinds[] = {KIND_SUBCLASS, KIND_CLASS};

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct entry wanted = make(kinds[i], 0, text, length);
		const struct entry *entry = find(ids, &wanted);

		if (entry->kind == KIND_NONE)
			continue;
		*ret = entry->id;
		return true;
	}
	return false;
}
