/* SPDX-License-Identifier: MIT */
/*
 * Lines as people send them: quoted, with CR at their ends, as HTML, as quoted-printable. Each is cleaned on its own,
 * and of a line longer than any of lspci's only the beginning is looked at.
 */
#include "pci/lspci.h"

#include <strings.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\0' || c == '\f' || c == '\v';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* ---- cleaning ---- */

static const struct {
	const char *code, *means;
} entities[] = {
	{"&lt;", "<"},	  {"&gt;", ">"},  {"&amp;", "&"},    {"&nbsp;", " "},
	{"&quot;", "\""}, {"&#39;", "'"}, {"\xc2\xa0", " "}, {"\xef\xbb\xbf", ""},
};

/* As old mail programs put it; a blank at the end of a line is said too. */
static const struct {
	const char *code, *means;
} printable[] = {{"=3D", "="}, {"=20", " "}, {"=09", "\t"}, {"=C2=A0", " "}};

static bool contains(const char *text, size_t size, const char *what)
{
	return memmem(text, size, what, strlen(what));
}

void lspci_lines_init(struct lspci_lines *lines, const char *text, size_t size)
{
	*lines = (struct lspci_lines){.text = text, .size = size};
	/* "=3D" is never lspci's: its numbers have small letters. */
	lines->printable = contains(text, size, "=3D");
	/* What entities start with: "&", the blank that does not break, the mark of the byte order. */
	lines->mangled = lines->printable || memchr(text, '&', size) || memchr(text, 0xc2, size) ||
			 memchr(text, 0xef, size);
}

static bool starts(const char *at, size_t length, const char *with)
{
	size_t size = strlen(with);

	return length >= size && memcmp(at, with, size) == 0;
}

/* What the code at `at` means; its length in *ret_length, 0 if it is none. */
static const char *decode(const struct lspci_lines *lines, const char *at, size_t length, size_t *ret_length)
{
	*ret_length = 0;
	if (*at != '&' && *at != '=' && !(*at & 0x80))
		return "";
	for (unsigned i = 0; i < ARRAY_SIZE(entities); i++)
		if (starts(at, length, entities[i].code)) {
			*ret_length = strlen(entities[i].code);
			return entities[i].means;
		}
	for (unsigned i = 0; lines->printable && i < ARRAY_SIZE(printable); i++)
		if (starts(at, length, printable[i].code)) {
			*ret_length = strlen(printable[i].code);
			return printable[i].means;
		}
	return "";
}

/* Appends what the line means to lines->clean; false when the line goes on in the next one. */
static bool decode_line(struct lspci_lines *lines, const struct lspci_line *line, size_t *out)
{
	bool soft = lines->printable && line->length && line->at[line->length - 1] == '=';
	size_t used, length = line->length - soft;

	for (size_t i = 0; i < length; i += used) {
		const char *means = decode(lines, line->at + i, length - i, &used);
		size_t size = strlen(means);

		if (!used) {
			used = size = 1;
			means = line->at + i;
		}
		/* What a code means is never longer than the code. */
		if (*out + size > sizeof(lines->clean))
			break;
		memcpy(lines->clean + *out, means, size);
		*out += size;
	}
	return !soft;
}

static void trim(struct lspci_line *line)
{
	while (line->length && is_blank(line->at[line->length - 1]))
		line->length--;
	/* Quotation marks are stuck to the text or not: ">> >00:1f.3", "> 	Status:". */
	while (line->length && (is_blank(*line->at) || *line->at == '>')) {
		line->at++;
		line->length--;
	}
	/* An item of a list. */
	if (line->length > 2 && (*line->at == '*' || *line->at == '-') && line->at[1] == ' ' &&
	    hex_value(line->at[2]) >= 0) {
		line->at += 2;
		line->length -= 2;
	}
}

static bool next_raw(struct lspci_lines *lines, struct lspci_line *ret)
{
	const char *newline;
	size_t after;

	if (lines->at >= lines->size)
		return false;
	newline = memchr(lines->text + lines->at, '\n', lines->size - lines->at);
	after = newline ? (size_t)(newline - lines->text) : lines->size;
	*ret = (struct lspci_line){.at = lines->text + lines->at, .length = after - lines->at};
	lines->at = after + 1;
	lines->number++;
	if (ret->length && ret->at[ret->length - 1] == '\r')
		ret->length--;
	if (ret->length > sizeof(lines->clean))
		ret->length = sizeof(lines->clean);
	return true;
}

bool lspci_lines_next(struct lspci_lines *lines, struct lspci_line *ret)
{
	size_t out = 0;

	if (!next_raw(lines, ret))
		return false;
	if (lines->mangled) {
		while (!decode_line(lines, ret, &out) && out < sizeof(lines->clean) && next_raw(lines, ret))
			;
		*ret = (struct lspci_line){.at = lines->clean, .length = out};
	}
	trim(ret);
	return true;
}

/* ---- parts of lines ---- */

/* Hex digits at the start of text, up to most of them; returns how many. */
static unsigned parse_hex(const char *text, size_t length, unsigned most, u32 *ret)
{
	unsigned digits = 0;

	*ret = 0;
	while (digits < most && digits < length && hex_value(text[digits]) >= 0)
		*ret = *ret << 4 | (u32)hex_value(text[digits++]);
	return digits;
}

/* "bb:dd.f" */
static bool parse_bdf(const char *text, size_t length, struct pci_addr *ret)
{
	u32 bus, device, function;

	if (length < 7 || parse_hex(text, 2, 2, &bus) != 2 || text[2] != ':' ||
	    parse_hex(text + 3, 2, 2, &device) != 2 || text[5] != '.' || parse_hex(text + 6, 1, 1, &function) != 1 ||
	    device > 31 || function > 7)
		return false;
	ret->bus = (u8)bus;
	ret->devfn = pci_devfn(device, function);
	return length == 7 || hex_value(text[7]) < 0;
}

size_t lspci_parse_addr(const char *text, size_t length, struct pci_addr *ret)
{
	unsigned digits;

	*ret = (struct pci_addr){};
	if (parse_bdf(text, length, ret))
		return 7;
	digits = parse_hex(text, length, 8, &ret->segment);
	if (digits < 4 || digits >= length || text[digits] != ':' ||
	    !parse_bdf(text + digits + 1, length - digits - 1, ret))
		return 0;
	return digits + 8;
}

unsigned lspci_parse_bytes(const struct lspci_line *line, unsigned *ret_offset, u8 ret[static 16])
{
	u32 offset, byte;
	unsigned count = 0, digits = parse_hex(line->at, line->length, 4, &offset);
	size_t at = digits;

	if (digits < 2 || digits > 3 || at == line->length || line->at[at++] != ':' || offset % 16)
		return 0;
	while (at < line->length) {
		if (!is_blank(line->at[at])) /* prose: "10: be careful" */
			return 0;
		while (is_blank(line->at[at])) /* the line ends with something else */
			at++;
		if (count == 16 || parse_hex(line->at + at, line->length - at, 3, &byte) != 2)
			return 0;
		ret[count++] = (u8)byte;
		at += 2;
	}
	*ret_offset = offset;
	return count;
}

/* ---- what a line starts ---- */

static const struct {
	const char *start;
	enum lspci_key key;
} keys[] = {
	{"Subsystem:", KEY_SUBSYSTEM},
	{"Control:", KEY_CONTROL},
	{"Status:", KEY_STATUS},
	{"Flags:", KEY_FLAGS},
	{"Bus:", KEY_BUS},
	{"Region ", KEY_REGION},
	{"Memory at ", KEY_REGION},
	{"I/O ports at ", KEY_REGION},
	{"[virtual] Memory at ", KEY_REGION},
	{"[virtual] I/O ports at ", KEY_REGION},
	{"Expansion ROM at ", KEY_ROM},
	{"[virtual] Expansion ROM at ", KEY_ROM},
	{"IOMMU group: ", KEY_GROUP},
	{"!!! ", KEY_BROKEN},
	{"Kernel driver in use:", KEY_DRIVER},
	{"Kernel modules:", KEY_MODULES},
	{"Capabilities:", KEY_CAPABILITY},
	{"DevCap:", KEY_DEVCAP},
	{"DevCtl:", KEY_DEVCTL},
	{"DevCtl2:", KEY_DEVCTL2},
	{"SltCap:", KEY_SLTCAP},
	{"ACSCap:", KEY_ACSCAP},
	{"ACSCtl:", KEY_ACSCTL},
	{"IOVCtl:", KEY_IOVCTL},
	{"Initial VFs:", KEY_VFS},
	{"VF offset:", KEY_VF_OFFSET},
	{"PASIDCap:", KEY_PASIDCAP},
	{"Vector table:", KEY_VECTORS},
	{"PBA:", KEY_PENDING_BITS},
	{"-[", KEY_TREE},
	{"-+-", KEY_TREE},
	{"+-", KEY_TREE},
	{"\\-[", KEY_TREE},
	{"Slot:", KEY_FIELDS},
	{"I/O behind bridge:", KEY_OTHER},
	{"Memory behind bridge:", KEY_OTHER},
	{"Prefetchable memory behind bridge:", KEY_OTHER},
	{"Memory window ", KEY_OTHER},
	{"I/O window ", KEY_OTHER},
	{"Secondary status:", KEY_OTHER},
	{"Physical Slot:", KEY_OTHER},
	{"Expansion ROM:", KEY_OTHER},
	{"NUMA node:", KEY_OTHER},
	{"DeviceName:", KEY_OTHER},
	{"Latency:", KEY_OTHER},
	{"Interrupt:", KEY_OTHER},
	{"Region:", KEY_OTHER},
	{"BIST ", KEY_OTHER},
};

static enum lspci_key key_of_digit(const struct lspci_line *line)
{
	struct pci_addr addr;
	u8 bytes[16];
	unsigned offset;
	size_t used = lspci_parse_addr(line->at, line->length, &addr);

	if (!used)
		return lspci_parse_bytes(line, &offset, bytes) ? KEY_BYTES : KEY_NONE;
	while (used < line->length && line->at[used] == '/')
		while (++used < line->length &&
		       (hex_value(line->at[used]) >= 0 || line->at[used] == ':' || line->at[used] == '.'))
			;
	if (used + 2 < line->length && line->at[used] == ' ' && line->at[used + 1] == '"')
		return KEY_FIELDS;
	if (used == line->length || !is_blank(line->at[used]))
		return KEY_NONE;
	/* Between address and product there is a class and a colon. */
	return memmem(line->at + used, line->length - used, ": ", 2) || line->at[line->length - 1] == ':' ? KEY_HEAD
													  : KEY_NONE;
}

/* "IOMMU Group 3", "IOMMU group 3:", "Group: 3", "Group 3:"; but "IOMMU group: 3" is a line of a block. */
static bool is_group_head(const struct lspci_line *line)
{
	const char *at = line->at, *after = line->at + line->length;

	if (line->length > 6 && strncasecmp(at, "IOMMU ", 6) == 0) {
		at += 6;
		if (after - at < 7 || strncasecmp(at, "group ", 6) != 0)
			return false;
		return at[6] >= '0' && at[6] <= '9';
	}
	if (after - at < 7 || strncasecmp(at, "group", 5) != 0)
		return false;
	at += 5 + (at[5] == ':');
	while (at < after && is_blank(*at))
		at++;
	return at < after && *at >= '0' && *at <= '9';
}

static bool has_colon(const struct lspci_line *line)
{
	size_t most = line->length < 24 ? line->length : 24;

	for (size_t i = 0; i < most && !is_blank(line->at[i]); i++)
		if (line->at[i] == ':')
			return true;
	return false;
}

enum lspci_key lspci_key_of(const struct lspci_line *line)
{
	enum lspci_key key;

	if (!line->length)
		return KEY_BLANK;
	if (hex_value(*line->at) >= 0) {
		key = key_of_digit(line);
		if (key != KEY_NONE)
			return key;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
		if (*keys[i].start == *line->at && starts(line->at, line->length, keys[i].start))
			return keys[i].key;
	if ((*line->at | 0x20) == 'i' || (*line->at | 0x20) == 'g') {
		if (is_group_head(line))
			return KEY_GROUP_HEAD;
	}
	return has_colon(line) ? KEY_COLON : KEY_NONE;
}
