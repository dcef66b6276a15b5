/* SPDX-License-Identifier: MIT */
/* The keys of a device that stand for capabilities and BARs: each value is checked by itself. */
#include <ctype.h>
#include <stdlib.h>

#include "machine/reading.h"

#define FUNCTION(target) (((struct device_reading *)(target))->function)

static int read_acs_bit(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const char *const names[] = {"sv", "tb", "rr", "cr", "uf", "ec", "dt"};
	const char *text = "";
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	for (unsigned bit = 0; bit < ARRAY_SIZE(names); bit++)
		if (strcmp(text, names[bit]) == 0) {
			if (*(u16 *)target & 1u << bit)
				return yaml_refuse(reader, node, "ACS bit %s a second time", text);
			*(u16 *)target |= (u16)(1u << bit);
			return 0;
		}
	return yaml_refuse(reader, node, "\"%.40s\" is no ACS bit: sv, tb, rr, cr, uf, ec, dt", text);
}

static int read_acs_capable(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_read_sequence(reader, node, "capable", read_acs_bit, &FUNCTION(target)->acs_capable);
}

static int read_acs_enabled(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_read_sequence(reader, node, "enabled", read_acs_bit, &FUNCTION(target)->acs_enabled);
}

/* full, none, [sv, rr] for capable and enabled alike, or {capable: [...], enabled: [...]}. */
int read_acs(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const struct yaml_key keys[] = {{"capable", read_acs_capable}, {"enabled", read_acs_enabled}};
	struct function_description *function = FUNCTION(target);
	const char *text = "";
	int err;

	((struct device_reading *)target)->acs = node;
	function->has_acs = true;
	if (node && node->type == YAML_MAPPING_NODE)
		return yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "acs", target);
	if (node && node->type == YAML_SEQUENCE_NODE) {
		err = read_acs_capable(reader, node, target);
		function->acs_enabled = function->acs_capable;
		return err;
	}
	err = yaml_text(reader, node, &text);
	if (err < 0)
		return err;
	function->has_acs = strcmp(text, "full") == 0;
	if (!function->has_acs && strcmp(text, "none") != 0)
		return yaml_refuse(reader, node, "\"%.40s\" is neither full, none nor a list of ACS bits", text);
	function->acs_capable = PCI_ACS_ISOLATION | PCI_ACS_TB;
	function->acs_enabled = PCI_ACS_ISOLATION;
	return 0;
}

/* ---- message interrupts ---- */

static int read_msi_vectors(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 vectors = 0;
	int err = yaml_number(reader, node, 32, &vectors);

	if (err < 0)
		return err;
	if (!vectors || !is_aligned(vectors, vectors))
		return yaml_refuse(reader, node, "MSI has 1, 2, 4, 8, 16 or 32 vectors");
	FUNCTION(target)->msi.vectors_log2 = (unsigned)__builtin_ctzll(vectors);
	return 0;
}

static int read_msi_width(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 width = 0;
	int err = yaml_number(reader, node, 64, &width);

	if (err < 0)
		return err;
	if (width != 32 && width != 64)
		return yaml_refuse(reader, node, "an MSI address is 32 or 64 bits wide");
	FUNCTION(target)->msi.narrow = width == 32;
	return 0;
}

static int read_msi_masks(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &FUNCTION(target)->msi.masks);
}

/* 4, or {vectors: 4, width: 32, masks: true}. */
int read_msi(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const struct yaml_key keys[] = {
		{"vectors", read_msi_vectors}, {"width", read_msi_width}, {"masks", read_msi_masks}};

	((struct device_reading *)target)->msi = node;
	FUNCTION(target)->msi.present = true;
	if (node && node->type == YAML_MAPPING_NODE)
		return yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "msi", target);
	return read_msi_vectors(reader, node, target);
}

static int read_msix_vectors(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 vectors = 0;
	int err = yaml_number(reader, node, PCI_IRQ_VECTORS, &vectors);

	if (err == 0)
		FUNCTION(target)->msix.vectors = (unsigned)vectors;
	return err;
}

static int read_bar_index(struct yaml_reader *reader, yaml_node_t *node, unsigned *ret)
{
	u64 bar = 0;
	int err = yaml_number(reader, node, PCI_BARS - 1, &bar);

	if (err == 0)
		*ret = (unsigned)bar;
	return err;
}

static int read_msix_bar(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return read_bar_index(reader, node, &FUNCTION(target)->msix.bar);
}

static int read_msix_pending_bar(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	((struct device_reading *)target)->has_pending_bar = true;
	return read_bar_index(reader, node, &FUNCTION(target)->msix.pending_bar);
}

/* The low three bits of the register are the BAR (PCI Local Bus 3.0 section 6.8.2.4). */
static int read_table_offset(struct yaml_reader *reader, yaml_node_t *node, u32 *ret)
{
	u64 offset = 0;
	int err = yaml_number(reader, node, MACHINE_BAR_MAX - 8, &offset);

	if (err == 0 && !is_aligned(offset, 8))
		return yaml_refuse(reader, node, "the offset of an MSI-X table is a multiple of 8");
	*ret = (u32)offset;
	return err;
}

static int read_msix_offset(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return read_table_offset(reader, node, &FUNCTION(target)->msix.offset);
}

static int read_msix_pending(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	((struct device_reading *)target)->has_pending = true;
	return read_table_offset(reader, node, &FUNCTION(target)->msix.pending);
}

int read_msix(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const struct yaml_key keys[] = {{"vectors", read_msix_vectors},
					       {"bar", read_msix_bar},
					       {"offset", read_msix_offset},
					       {"pending_bar", read_msix_pending_bar},
					       {"pending", read_msix_pending}};
	struct msix_description *msix = &FUNCTION(target)->msix;
	struct device_reading *device = target;
	int err = yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "msix", target);

	if (err < 0)
		return err;
	device->msix = node;
	if (!msix->vectors)
		return yaml_refuse(reader, node, "MSI-X has 1 to %d vectors", PCI_IRQ_VECTORS);
	if (!device->has_pending_bar)
		msix->pending_bar = msix->bar;
	if (!device->has_pending)
		msix->pending = msix->pending_bar == msix->bar ? msix->offset + msix_table_size(msix->vectors) : 0;
	return 0;
}

/* ---- extended capabilities ---- */

/* The first key of those that only PCI Express functions have is where a complaint points. */
static int read_extended_flag(struct yaml_reader *reader, yaml_node_t *node, void *target, bool *ret)
{
	struct device_reading *device = target;
	int err = yaml_bool(reader, node, ret);

	if (*ret && !device->extended)
		device->extended = node;
	return err;
}

int read_aer(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	((struct device_reading *)target)->has_aer = true;
	return read_extended_flag(reader, node, target, &FUNCTION(target)->has_aer);
}

int read_ari(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return read_extended_flag(reader, node, target, &FUNCTION(target)->has_ari);
}

int read_ats(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return read_extended_flag(reader, node, target, &FUNCTION(target)->has_ats);
}

int read_pri(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return read_extended_flag(reader, node, target, &FUNCTION(target)->has_pri);
}

static void keep_extended(struct device_reading *device, yaml_node_t *node)
{
	if (!device->extended)
		device->extended = node;
}

int read_pasid(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 width = 0;
	int err = yaml_number(reader, node, 20, &width);

	keep_extended(target, node);
	if (err == 0 && !width)
		return yaml_refuse(reader, node, "a PASID is 1 to 20 bits wide");
	FUNCTION(target)->pasid_width = (unsigned)width;
	return err;
}

int read_prefixes(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	bool present = true;
	int err = yaml_bool(reader, node, &present);

	keep_extended(target, node);
	FUNCTION(target)->lacks_prefixes = !present;
	return err;
}

int read_dsn(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	keep_extended(target, node);
	FUNCTION(target)->has_dsn = true;
	return yaml_hex(reader, node, UINT64_MAX, &FUNCTION(target)->dsn);
}

int read_phantom(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 bits = 0;
	int err = yaml_number(reader, node, 3, &bits);

	if (bits)
		keep_extended(target, node);
	FUNCTION(target)->phantom = (unsigned)bits;
	return err;
}

static int read_u16(struct yaml_reader *reader, yaml_node_t *node, u16 *ret)
{
	u64 value = 0;
	int err = yaml_number(reader, node, UINT16_MAX, &value);

	*ret = (u16)value;
	return err;
}

static int read_sriov_total(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return read_u16(reader, node, &((struct pci_sriov *)target)->total);
}

static int read_sriov_initial(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return read_u16(reader, node, &((struct pci_sriov *)target)->initial);
}

static int read_sriov_enabled(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return read_u16(reader, node, &((struct pci_sriov *)target)->enabled);
}

static int read_sriov_offset(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return read_u16(reader, node, &((struct pci_sriov *)target)->offset);
}

static int read_sriov_stride(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return read_u16(reader, node, &((struct pci_sriov *)target)->stride);
}

static int read_sriov_device(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 device = 0;
	int err = yaml_hex(reader, node, 0xffff, &device);

	((struct pci_sriov *)target)->device = (u16)device;
	return err;
}

/* Without a number of initial virtual functions all are there from the start. */
int read_sriov(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const struct yaml_key keys[] = {{"total", read_sriov_total},	{"initial", read_sriov_initial},
					       {"enabled", read_sriov_enabled}, {"offset", read_sriov_offset},
					       {"stride", read_sriov_stride},	{"device", read_sriov_device}};
	struct function_description *function = FUNCTION(target);
	bool has_initial = false;
	int err;

	keep_extended(target, node);
	((struct device_reading *)target)->sriov = node;
	function->has_sriov = true;
	err = yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "sriov", &function->sriov);
	if (err < 0)
		return err;
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);

		has_initial |= strcmp((const char *)key->data.scalar.value, "initial") == 0;
	}
	if (!has_initial)
		function->sriov.initial = function->sriov.total;
	return 0;
}

/* ---- registers ---- */

static int read_bar_size(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_size(reader, node, &((struct bar_description *)target)->size);
}

static int read_bar_prefetchable(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &((struct bar_description *)target)->prefetchable);
}

static int read_bar_width(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 width = 0;
	int err = yaml_number(reader, node, 64, &width);

	if (err < 0)
		return err;
	if (width != 32 && width != 64)
		return yaml_refuse(reader, node, "a memory BAR is 32 or 64 bits wide");
	((struct bar_description *)target)->kind = width == 64 ? PCI_BAR_MEMORY64 : PCI_BAR_MEMORY32;
	return 0;
}

/* "128K", "io 32" or {size: 128K, prefetchable: true, width: 64}. */
static int read_bar(struct yaml_reader *reader, yaml_node_t *node, struct bar_description *bar)
{
	static const struct yaml_key keys[] = {
		{"size", read_bar_size}, {"prefetchable", read_bar_prefetchable}, {"width", read_bar_width}};
	u64 smallest = 16, largest = MACHINE_BAR_MAX;
	const char *text = "";
	int err;

	bar->kind = PCI_BAR_MEMORY32;
	if (node && node->type == YAML_MAPPING_NODE) {
		err = yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "a BAR", bar);
	} else {
		err = yaml_text(reader, node, &text);
		if (err == 0 && strncmp(text, "io ", 3) == 0) {
			bar->kind = PCI_BAR_IO;
			smallest = 4;
			text += 3;
		}
		if (err == 0 && !parse_size(text, &bar->size))
			return yaml_refuse(reader, node, "\"%.40s\" is no BAR: \"128K\", \"io 32\"", text);
	}
	if (err < 0)
		return err;
	if (bar->kind == PCI_BAR_IO)
		largest = MACHINE_BAR_IO_MAX;
	else if (bar->kind == PCI_BAR_MEMORY32)
		largest = MACHINE_BAR32_MAX;
	if (bar->size < smallest || bar->size > largest || !is_aligned(bar->size, bar->size))
		return yaml_refuse(reader, node, "a BAR of this kind is a power of two from %llu to %llu bytes",
				   (unsigned long long)smallest, (unsigned long long)largest);
	return 0;
}

int read_bars(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct device_reading *device = target;
	u64 index = 0;

	device->bars = node;
	if (!node || node->type != YAML_MAPPING_NODE)
		return yaml_refuse(reader, node, "bars is a mapping: {0: 128K, 2: io 32}");
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);
		struct bar_description *bar;
		int err = yaml_number(reader, key, PCI_BARS - 1, &index);

		if (err < 0)
			return err;
		bar = &device->function->bars[index];
		if (bar->kind != PCI_BAR_NONE)
			return yaml_refuse(reader, key, "BAR %llu a second time", (unsigned long long)index);
		err = read_bar(reader, yaml_document_get_node(&reader->document, pair->value), bar);
		if (err < 0)
			return err;
	}
	return 0;
}
