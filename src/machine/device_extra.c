/* SPDX-License-Identifier: MIT */
/*
 * The keys of a device for what it holds: its ROM, its product data, and capabilities that nothing here acts on. Files
 * are only named here; machine/contents.c reads them.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "machine/reading.h"

#define FUNCTION(target) (((struct device_reading *)(target))->function)

/* ---- rom ---- */

static int read_rom_size(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 size = 0;
	int err = yaml_size(reader, node, &size);

	if (err < 0)
		return err;
	if (size < 2048 || size > MACHINE_ROM_MAX || !is_aligned(size, size))
		return yaml_refuse(reader, node, "an expansion ROM is a power of two from 2K to 16M bytes");
	FUNCTION(target)->bars[PCI_ROM] = (struct bar_description){.kind = PCI_BAR_MEMORY32, .size = size};
	return 0;
}

static int read_rom_file(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	const char *text = "";
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	free(FUNCTION(target)->rom.file);
	FUNCTION(target)->rom.file = alloc_string(text, reader->why);
	return FUNCTION(target)->rom.file ? 0 : -reader->why->err;
}

static int read_rom_minimal(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &FUNCTION(target)->rom.minimal);
}

/* A copy of any size, as of the firmware's own that never was in a ROM of the device. */
static int read_rom_shadow(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 size = 0;
	int err = yaml_size(reader, node, &size);

	if (err < 0)
		return err;
	if (size < 512 || size > MACHINE_ROM_MAX)
		return yaml_refuse(reader, node, "a copy of a ROM has 512 bytes to 16M");
	FUNCTION(target)->rom.shadow = (u32)size;
	return 0;
}

/* 64K; {size: 64K, file: vbios.rom}; {size: 64K, minimal: true}; {shadow: 48K, file: vbios.rom}. */
int read_rom(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const struct yaml_key keys[] = {{"size", read_rom_size},
					       {"file", read_rom_file},
					       {"minimal", read_rom_minimal},
					       {"shadow", read_rom_shadow}};
	struct function_description *function = FUNCTION(target);
	int err;

	((struct device_reading *)target)->rom = node;
	if (!node || node->type != YAML_MAPPING_NODE)
		return read_rom_size(reader, node, target);
	err = yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "rom", target);
	if (err < 0)
		return err;
	if ((function->bars[PCI_ROM].size != 0) == (function->rom.shadow != 0))
		return yaml_refuse(reader, node, "a ROM has a size, or it is a shadow");
	if (function->rom.file && function->rom.minimal)
		return yaml_refuse(reader, node, "a ROM has its contents from a file, or it is minimal");
	return 0;
}

/* ---- vpd ---- */

static int read_vpd_name(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_copy(reader, node, FUNCTION(target)->vpd->name, sizeof(FUNCTION(target)->vpd->name));
}

static int add_field(struct yaml_reader *reader, yaml_node_t *key, yaml_node_t *value, struct vpd_description *vpd,
		     bool writable)
{
	struct vpd_field *field = &vpd->field[vpd->nfields];
	const char *keyword = "";
	int err = yaml_text(reader, key, &keyword);

	if (err < 0)
		return err;
	if (vpd->nfields == VPD_FIELDS)
		return yaml_refuse(reader, key, "at most %d fields", VPD_FIELDS);
	if (strlen(keyword) != 2 || !isalnum((unsigned char)keyword[0]) || !isalnum((unsigned char)keyword[1]) ||
	    strcmp(keyword, "RV") == 0 || strcmp(keyword, "RW") == 0)
		return yaml_refuse(reader, key, "\"%.40s\" is no keyword: PN, EC, MN, SN, V0, YA, ...", keyword);
	err = yaml_copy(reader, value, field->text, sizeof(field->text));
	if (err < 0)
		return err;
	memcpy(field->keyword, keyword, 3);
	field->writable = writable;
	vpd->nfields++;
	return 0;
}

static int read_fields(struct yaml_reader *reader, yaml_node_t *node, struct vpd_description *vpd, bool writable)
{
	if (!node || node->type != YAML_MAPPING_NODE)
		return yaml_refuse(reader, node, "fields is a mapping: {PN: \"7Q1\", SN: \"0042\"}");
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		int err = add_field(reader, yaml_document_get_node(&reader->document, pair->key),
				    yaml_document_get_node(&reader->document, pair->value), vpd, writable);

		if (err < 0)
			return err;
	}
	return 0;
}

static int read_vpd_fields(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return read_fields(reader, node, FUNCTION(target)->vpd, false);
}

static int read_vpd_writable(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return read_fields(reader, node, FUNCTION(target)->vpd, true);
}

int read_vpd(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const struct yaml_key keys[] = {
		{"name", read_vpd_name}, {"fields", read_vpd_fields}, {"writable", read_vpd_writable}};

	FUNCTION(target)->vpd = alloc_new(struct vpd_description, reader->why);
	if (!FUNCTION(target)->vpd)
		return -reader->why->err;
	return yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "vpd", target);
}

/* ---- caps ---- */

/* One entry while it is read. */
struct cap_reading {
	struct pci_extra_cap cap;
	bool has_name, has_id;
};

static int refuse_cap_name(struct yaml_reader *reader, const yaml_node_t *node, const char *name)
{
	char known[160] = "";
	size_t used = 0;
	const char *other;

	for (unsigned i = 0; (other = pci_extra_cap_name(i)) && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", other);
	return yaml_refuse(reader, node, "\"%.20s\" is no capability: %s", name, known);
}

static int read_cap_name(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct cap_reading *reading = target;
	const char *name = "";
	int err = yaml_text(reader, node, &name);

	if (err < 0)
		return err;
	reading->has_name = true;
	return pci_extra_cap_named(name, &reading->cap) ? 0 : refuse_cap_name(reader, node, name);
}

static int read_cap_id(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct cap_reading *reading = target;
	u64 id = 0;
	int err = yaml_hex(reader, node, 0xffff, &id);

	reading->has_id = true;
	reading->cap.id = (u16)id;
	return err;
}

static int read_cap_extended(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &((struct cap_reading *)target)->cap.extended);
}

static int read_cap_version(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 version = 0;
	int err = yaml_number(reader, node, 15, &version);

	((struct cap_reading *)target)->cap.version = (u8)version;
	return err;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "01 00 f0": how many bytes in *ret_size. */
static int read_bytes(struct yaml_reader *reader, yaml_node_t *node, u8 *bytes, u16 *ret_size)
{
	const char *text = "";
	int err = yaml_text(reader, node, &text);
	unsigned size = 0;

	if (err < 0)
		return err;
	while (*text) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0 || size == PCI_EXTRA_SIZE || (text[2] && text[2] != ' '))
			return yaml_refuse(reader, node, "at most %d bytes are expected: \"01 00 f0\"", PCI_EXTRA_SIZE);
		bytes[size++] = (u8)(high << 4 | low);
		text += text[2] ? 3 : 2;
	}
	*ret_size = (u16)size;
	return 0;
}

static int read_cap_data(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct pci_extra_cap *cap = &((struct cap_reading *)target)->cap;

	return read_bytes(reader, node, cap->data, &cap->size);
}

static int read_cap_writable(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u16 ignored;

	return read_bytes(reader, node, ((struct cap_reading *)target)->cap.writable, &ignored);
}

/* A name, or {name: vsec, data: "...", writable: "..."}, or {id: "0c", extended: true, version: 1, data: "..."}. */
static int read_cap(struct yaml_reader *reader, yaml_node_t *node, struct cap_reading *reading)
{
	static const struct yaml_key keys[] = {{"name", read_cap_name},		{"id", read_cap_id},
					       {"extended", read_cap_extended}, {"version", read_cap_version},
					       {"data", read_cap_data},		{"writable", read_cap_writable}};
	int err;

	if (!node || node->type != YAML_MAPPING_NODE)
		return read_cap_name(reader, node, reading);
	reading->cap.version = 1;
	err = yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "a capability", reading);
	if (err < 0)
		return err;
	if (reading->has_name == reading->has_id)
		return yaml_refuse(reader, node, "a capability has a name or an id");
	if (!reading->cap.extended && reading->cap.id > 0xff)
		return yaml_refuse(reader, node, "the id of a capability that is not extended is a byte");
	return 0;
}

static int add_cap(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct function_description *function = FUNCTION(target);
	struct device_reading *device = target;
	struct cap_reading reading = {.has_name = false};
	int err = read_cap(reader, node, &reading);

	if (err < 0)
		return err;
	if (function->ncaps == MACHINE_CAPS)
		return yaml_refuse(reader, node, "a device has at most %d of them", MACHINE_CAPS);
	if (reading.cap.extended && !device->extended)
		device->extended = node;
	function->caps[function->ncaps++] = reading.cap;
	return 0;
}

int read_caps(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct function_description *function = FUNCTION(target);
	size_t count = 0;

	if (node && node->type == YAML_SEQUENCE_NODE)
		count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	function->caps = alloc_array(min_u64(count, MACHINE_CAPS) + 1, sizeof(function->caps[0]), reader->why);
	if (!function->caps)
		return -reader->why->err;
	return yaml_read_sequence(reader, node, "caps", add_cap, target);
}

/* ---- atomics ---- */

static int add_atomics(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 bits = 0;
	int err = yaml_number(reader, node, 128, &bits);

	if (err < 0)
		return err;
	if (bits != 32 && bits != 64 && bits != 128)
		return yaml_refuse(reader, node, "AtomicOps have 32, 64 or 128 bits");
	FUNCTION(target)->atomics |= (unsigned)bits / 32 == 4 ? 4 : (unsigned)bits / 32;
	return 0;
}

int read_atomics(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct device_reading *device = target;

	if (!device->extended)
		device->extended = node;
	return yaml_read_sequence(reader, node, "atomics", add_atomics, target);
}
