/* SPDX-License-Identifier: MIT */
/*
 * Machine file -> description. A file is a tree: devices hang below bridges. Buses are numbered depth first, in the
 * order of the bridges' slots, as firmware does; functions end up in Linux's enumeration order: by segment, bus, slot.
 *
 * Any bytes are legal input. Depth, functions and buses are bounded, so a YAML alias that contains itself ends in a
 * refusal, not in a loop.
 */
#include "machine/description.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "machine/yaml.h"

enum { DEPTH_MAX = 32, FUNCTIONS_MAX = 65536, FILE_MAX = 1 << 20 };

struct reading {
	struct yaml_reader yaml; /* first: what the table's functions get */
	struct description *description;
	yaml_node_t *devices;
	unsigned last_bus, depth, functions;
};

/* A device while its mapping is read. */
struct device_reading {
	struct reading *reading;
	struct function_description *function;
	yaml_node_t *node, *children, *acs, *options, *bars;
	bool has_slot, has_role, has_driver;
	struct device_reading *next; /* same bus, by slot */
};

static struct reading *reading_of(struct yaml_reader *reader)
{
	return container_of(reader, struct reading, yaml);
}

#define FUNCTION(target) (((struct device_reading *)(target))->function)

static int read_slot(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct device_reading *device = target;
	unsigned slot, function;
	const char *text;
	char rest;
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	if (sscanf(text, "%2x.%1x%c", &slot, &function, &rest) != 2 || slot > 31 || function > 7)
		return yaml_refuse(reader, node, "\"%.40s\" is no slot: \"1c.0\" is device 1c, function 0", text);
	device->function->addr.devfn = pci_devfn(slot, function);
	device->has_slot = true;
	return 0;
}

static const struct {
	const char *name;
	enum function_role role;
} roles[] = {
	{"endpoint", ROLE_ENDPOINT},
	{"integrated", ROLE_INTEGRATED},
	{"root-port", ROLE_ROOT_PORT},
	{"upstream-port", ROLE_UPSTREAM_PORT},
	{"downstream-port", ROLE_DOWNSTREAM_PORT},
	{"pci-bridge", ROLE_PCI_BRIDGE},
	{"conventional", ROLE_CONVENTIONAL},
};

static int read_role(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct device_reading *device = target;
	const char *text;
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		if (strcmp(text, roles[i].name) == 0) {
			device->function->role = roles[i].role;
			device->has_role = true;
			return 0;
		}
	return yaml_refuse(reader, node,
			   "\"%.40s\" is no role: endpoint, integrated, conventional, root-port, upstream-port, "
			   "downstream-port, pci-bridge",
			   text);
}

static int read_pair_of_ids(struct yaml_reader *reader, yaml_node_t *node, u16 *first, u16 *second)
{
	unsigned left, right;
	const char *text;
	char rest;
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	if (strlen(text) != 9 || sscanf(text, "%4x:%4x%c", &left, &right, &rest) != 2)
		return yaml_refuse(reader, node, "\"%.40s\" is no id: \"8086:10d3\" is vendor and device", text);
	*first = (u16)left;
	*second = (u16)right;
	return 0;
}

static int read_id(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct pci_identity *identity = &FUNCTION(target)->identity;

	FUNCTION(target)->has_identity = true;
	return read_pair_of_ids(reader, node, &identity->vendor, &identity->device);
}

static int read_subsystem(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct pci_identity *identity = &FUNCTION(target)->identity;

	return read_pair_of_ids(reader, node, &identity->subsystem_vendor, &identity->subsystem);
}

static int read_class(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 value;
	int err = yaml_hex(reader, node, 0xffffff, &value);

	if (err == 0)
		FUNCTION(target)->identity.class_code = (u32)value;
	return err;
}

static int read_revision(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 value;
	int err = yaml_hex(reader, node, 0xff, &value);

	if (err == 0)
		FUNCTION(target)->identity.revision = (u8)value;
	return err;
}

static int read_driver(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	((struct device_reading *)target)->has_driver = true;
	return yaml_copy(reader, node, FUNCTION(target)->driver, sizeof(FUNCTION(target)->driver));
}

static int read_acs_bit(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const char *const names[] = {"sv", "tb", "rr", "cr", "uf", "ec", "dt"};
	const char *text;
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	for (unsigned bit = 0; bit < ARRAY_SIZE(names); bit++)
		if (strcmp(text, names[bit]) == 0) {
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
static int read_acs(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const struct yaml_key keys[] = {{"capable", read_acs_capable}, {"enabled", read_acs_enabled}};
	struct function_description *function = FUNCTION(target);
	const char *text;
	int err;

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

static int read_flr(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &FUNCTION(target)->flr);
}

static int read_pm(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &FUNCTION(target)->has_pm);
}

static int read_iommu_flag(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &FUNCTION(target)->behind_iommu);
}

static int read_intx(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	const char *text;
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	if (strlen(text) != 1 || text[0] < 'A' || text[0] > 'D')
		return yaml_refuse(reader, node, "\"%.40s\" is no interrupt pin: A, B, C or D", text);
	FUNCTION(target)->intx_pin = (unsigned)(text[0] - 'A') + 1;
	return 0;
}

static int read_msi(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 vectors;
	int err = yaml_number(reader, node, 32, &vectors);

	if (err < 0)
		return err;
	if (!vectors || !is_aligned(vectors, vectors))
		return yaml_refuse(reader, node, "MSI has 1, 2, 4, 8, 16 or 32 vectors");
	FUNCTION(target)->has_msi = true;
	FUNCTION(target)->msi_log2 = (unsigned)__builtin_ctzll(vectors);
	return 0;
}

static int read_msix_vectors(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 vectors;
	int err = yaml_number(reader, node, PCI_IRQ_VECTORS, &vectors);

	if (err == 0)
		FUNCTION(target)->msix_vectors = (unsigned)vectors;
	return err;
}

static int read_msix_bar(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 bar;
	int err = yaml_number(reader, node, PCI_BARS - 1, &bar);

	if (err == 0)
		FUNCTION(target)->msix_bar = (unsigned)bar;
	return err;
}

static int read_msix(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const struct yaml_key keys[] = {{"vectors", read_msix_vectors}, {"bar", read_msix_bar}};

	return yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "msix", target);
}

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
	u64 width;
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
	u64 smallest = 16, largest = BIT(40);
	const char *text;
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
		largest = 256;
	else if (bar->kind == PCI_BAR_MEMORY32)
		largest = BIT(28);
	if (bar->size < smallest || bar->size > largest || !is_aligned(bar->size, bar->size))
		return yaml_refuse(reader, node, "a BAR of this kind is a power of two from %llu to %llu bytes",
				   (unsigned long long)smallest, (unsigned long long)largest);
	return 0;
}

static int read_bars(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct device_reading *device = target;
	u64 index;

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

static int read_rom(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct bar_description *rom = &FUNCTION(target)->bars[PCI_ROM];
	int err = yaml_size(reader, node, &rom->size);

	if (err < 0)
		return err;
	if (rom->size < 2048 || rom->size > BIT(24) || !is_aligned(rom->size, rom->size))
		return yaml_refuse(reader, node, "an expansion ROM is a power of two from 2K to 16M bytes");
	rom->kind = PCI_BAR_MEMORY32;
	return 0;
}

static int read_model(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct function_description *function = FUNCTION(target);
	const char *text;
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	function->model = model_find(text);
	if (!function->model)
		return yaml_refuse(reader, node, "there is no model \"%.40s\"; `isolde machine models` lists them",
				   text);
	return 0;
}

/* Values that need others first are kept for finish_device(). */
static int keep_options(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	((struct device_reading *)target)->options = node;
	return 0;
}

static int keep_children(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	((struct device_reading *)target)->children = node;
	return 0;
}

static const struct yaml_key device_keys[] = {
	{"slot", read_slot},
	{"role", read_role},
	{"id", read_id},
	{"subsystem", read_subsystem},
	{"class", read_class},
	{"revision", read_revision},
	{"driver", read_driver},
	{"acs", read_acs},
	{"flr", read_flr},
	{"pm", read_pm},
	{"iommu", read_iommu_flag},
	{"intx", read_intx},
	{"msi", read_msi},
	{"msix", read_msix},
	{"bars", read_bars},
	{"rom", read_rom},
	{"model", read_model},
	{"options", keep_options},
	{"devices", keep_children},
};

static bool is_bridge(enum function_role role)
{
	return role == ROLE_ROOT_PORT || role == ROLE_UPSTREAM_PORT || role == ROLE_DOWNSTREAM_PORT ||
	       role == ROLE_PCI_BRIDGE;
}

static enum function_role default_role(const struct function_description *parent)
{
	if (!parent)
		return ROLE_INTEGRATED;
	if (parent->role == ROLE_UPSTREAM_PORT)
		return ROLE_DOWNSTREAM_PORT;
	return parent->role == ROLE_PCI_BRIDGE ? ROLE_CONVENTIONAL : ROLE_ENDPOINT;
}

/* What may be plugged where. */
static bool fits(enum function_role role, const struct function_description *parent)
{
	switch (role) {
	case ROLE_INTEGRATED:
	case ROLE_ROOT_PORT:
		return !parent;
	case ROLE_CONVENTIONAL:
		return !parent || parent->role == ROLE_PCI_BRIDGE;
	case ROLE_DOWNSTREAM_PORT:
		return parent && parent->role == ROLE_UPSTREAM_PORT;
	case ROLE_ENDPOINT:
	case ROLE_UPSTREAM_PORT:
	case ROLE_PCI_BRIDGE:
		return parent && (parent->role == ROLE_ROOT_PORT || parent->role == ROLE_DOWNSTREAM_PORT);
	}
	return false;
}

static int check_bars(struct yaml_reader *reader, const struct device_reading *device)
{
	const struct function_description *function = device->function;
	const struct bar_description *table = &function->bars[function->msix_bar];
	const yaml_node_t *node = device->bars ? device->bars : device->node;

	for (unsigned i = 0; i < PCI_BARS; i++)
		if (function->bars[i].kind == PCI_BAR_MEMORY64 &&
		    (i == PCI_BARS - 1 || function->bars[i + 1].kind != PCI_BAR_NONE))
			return yaml_refuse(reader, node, "BAR %u is 64 bits wide and needs BAR %u for its upper half",
					   i, i + 1);
	if (device->bars && function->model)
		return yaml_refuse(reader, node, "the model \"%s\" brings its own BARs", function->model->name);
	if (device->bars && is_bridge(function->role))
		return yaml_refuse(reader, node, "a bridge has no BARs here");
	if (function->msix_vectors && !function->model &&
	    ((table->kind != PCI_BAR_MEMORY32 && table->kind != PCI_BAR_MEMORY64) ||
	     table->size < align_up(16ull * function->msix_vectors, 8) + align_up(function->msix_vectors, 64) / 8))
		return yaml_refuse(reader, node, "BAR %u does not hold an MSI-X table of %u vectors",
				   function->msix_bar, function->msix_vectors);
	return 0;
}

static int read_options(struct yaml_reader *reader, const struct device_reading *device)
{
	yaml_node_t *node = device->options;

	if (!node)
		return 0;
	if (!device->function->model || node->type != YAML_MAPPING_NODE)
		return yaml_refuse(reader, node, "options is a mapping, for a device with a model");
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		yaml_node_t *key_node = yaml_document_get_node(&reader->document, pair->key);
		const char *key, *value;
		struct why why = WHY_INIT;
		int err = yaml_text(reader, key_node, &key);

		if (err == 0)
			err = yaml_text(reader, yaml_document_get_node(&reader->document, pair->value), &value);
		if (err < 0)
			return err;
		err = description_set_option(device->function, key, value, &why);
		if (err < 0 && why.code == WHY_OPTION_UNKNOWN)
			return yaml_refuse(reader, key_node, "%s", why.text);
		if (err < 0) {
			*reader->why = why;
			return err;
		}
	}
	return 0;
}

/* What follows from the whole mapping: defaults and what must agree. */
static int finish_device(struct device_reading *device, const struct function_description *parent)
{
	struct function_description *function = device->function;
	struct yaml_reader *reader = &device->reading->yaml;
	int err;

	if (!device->has_slot)
		return yaml_refuse(reader, device->node, "a device needs a slot");
	if (!device->has_role)
		function->role = default_role(parent);
	if (!fits(function->role, parent))
		return yaml_refuse(reader, device->node, "a device with this role cannot be there");
	if (device->children && !is_bridge(function->role))
		return yaml_refuse(reader, device->children, "only ports and bridges have devices below them");
	if (!function->has_identity && !function->model)
		return yaml_refuse(reader, device->node, "a device without a model needs an id");
	if (!function->has_identity)
		function->identity = function->model->identity;
	if (is_bridge(function->role))
		function->identity.class_code = 0x060400;
	if (!device->has_driver && function->model)
		snprintf(function->driver, sizeof(function->driver), "%s", function->model->driver);
	err = check_bars(reader, device);
	return err < 0 ? err : read_options(reader, device);
}

static void function_free(struct function_description *function)
{
	if (!function)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(function->option_text); i++)
		free(function->option_text[i]);
	free(function);
}

/* The devices of one bus as they are read, sorted by slot. */
struct bus_reading {
	struct reading *reading;
	struct function_description *bridge;
	struct device_reading *first; /* owned */
};

static void bus_reading_fini(struct bus_reading *bus)
{
	while (bus->first) {
		struct device_reading *device = bus->first;

		bus->first = device->next;
		function_free(device->function);
		free(device);
	}
}

/* By slot; a slot taken twice is refused. */
static int insert(struct bus_reading *bus, struct device_reading *device)
{
	struct device_reading **at = &bus->first;

	while (*at && (*at)->function->addr.devfn < device->function->addr.devfn)
		at = &(*at)->next;
	if (*at && (*at)->function->addr.devfn == device->function->addr.devfn)
		return yaml_refuse(&bus->reading->yaml, device->node, "slot %02x.%x is taken on this bus",
				   device->function->addr.devfn >> 3, device->function->addr.devfn & 7);
	device->next = *at;
	*at = device;
	return 0;
}

static int fill_device(struct bus_reading *bus, yaml_node_t *node, struct device_reading *device)
{
	struct yaml_reader *reader = &bus->reading->yaml;
	struct function_description *function = device->function;
	int err;

	function->behind_iommu = true;
	function->has_pm = true;
	function->parent = bus->bridge;
	function->addr.bus = bus->bridge ? bus->bridge->secondary : 0;
	function->line = (unsigned)node->start_mark.line + 1;
	function->column = (unsigned)node->start_mark.column + 1;
	err = yaml_read_mapping(reader, node, device_keys, ARRAY_SIZE(device_keys), "a device", device);
	if (err == 0)
		err = finish_device(device, bus->bridge);
	return err < 0 ? err : insert(bus, device);
}

static int read_device(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct bus_reading *bus = target;
	struct device_reading *device;
	int err;

	if (bus->reading->functions++ == FUNCTIONS_MAX)
		return yaml_refuse(reader, node, "a machine has at most %d functions", FUNCTIONS_MAX);
	device = alloc_new(struct device_reading, reader->why);
	if (!device)
		return -reader->why->err;
	device->reading = bus->reading;
	device->node = node;
	device->function = alloc_new(struct function_description, reader->why);
	err = device->function ? fill_device(bus, node, device) : -reader->why->err;
	if (err < 0) {
		function_free(device->function);
		free(device);
	}
	return err;
}

static int read_bus(struct reading *reading, yaml_node_t *node, struct function_description *bridge);

/* The devices of the bus enter the description; then the buses below its bridges, one after the other. */
static int descend(struct bus_reading *bus)
{
	struct reading *reading = bus->reading;
	struct device_reading *device;
	int err = 0;

	for (device = bus->first; device; device = device->next)
		list_append(&reading->description->functions, &device->function->link);
	for (device = bus->first; device && err == 0; device = device->next) {
		struct function_description *bridge = device->function;

		if (!is_bridge(bridge->role))
			continue;
		if (reading->last_bus == 255)
			return yaml_refuse(&reading->yaml, device->node, "a segment has 256 buses");
		bridge->secondary = (u8)++reading->last_bus;
		if (device->children)
			err = read_bus(reading, device->children, bridge);
		bridge->subordinate = (u8)reading->last_bus;
	}
	for (device = bus->first; device; device = device->next)
		device->function = NULL;
	return err;
}

static int read_bus(struct reading *reading, yaml_node_t *node, struct function_description *bridge)
{
	struct bus_reading bus = {.reading = reading, .bridge = bridge};
	int err;

	if (reading->depth++ == DEPTH_MAX)
		return yaml_refuse(&reading->yaml, node, "devices are nested more than %d deep", DEPTH_MAX);
	err = yaml_read_sequence(&reading->yaml, node, "devices", read_device, &bus);
	if (err == 0)
		err = descend(&bus);
	bus_reading_fini(&bus);
	reading->depth--;
	return err;
}

static int read_name(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct description *description = reading_of(reader)->description;

	return yaml_copy(reader, node, description->name, sizeof(description->name));
}

static int read_iommu_kind(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct description *description = target;
	int err = yaml_copy(reader, node, description->iommu.kind, sizeof(description->iommu.kind));

	if (err < 0)
		return err;
	if (strcmp(description->iommu.kind, "intel-vtd") != 0)
		return yaml_refuse(reader, node, "\"%s\" is no IOMMU; there is intel-vtd", description->iommu.kind);
	return 0;
}

static int read_iommu_width(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct description *description = target;
	u64 width;
	int err = yaml_number(reader, node, 48, &width);

	if (err < 0)
		return err;
	if (width != 39 && width != 48)
		return yaml_refuse(reader, node, "an intel-vtd unit is 39 or 48 bits wide");
	description->iommu.width = (unsigned)width;
	return 0;
}

static int read_iommu(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const struct yaml_key keys[] = {{"kind", read_iommu_kind}, {"width", read_iommu_width}};
	struct description *description = reading_of(reader)->description;

	if (node && node->type == YAML_SCALAR_NODE && strcmp((const char *)node->data.scalar.value, "none") == 0)
		return 0;
	description->iommu.present = true;
	description->iommu.width = 48;
	strcpy(description->iommu.kind, "intel-vtd");
	return yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "iommu", description);
}

static int keep_devices(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	reading_of(reader)->devices = node;
	return 0;
}

static const struct yaml_key machine_keys[] = {{"name", read_name}, {"iommu", read_iommu}, {"devices", keep_devices}};

static int read_machine(struct reading *reading)
{
	yaml_node_t *root = yaml_document_get_root_node(&reading->yaml.document);
	int err = yaml_read_mapping(&reading->yaml, root, machine_keys, ARRAY_SIZE(machine_keys), "a machine", NULL);

	if (err < 0)
		return err;
	if (!reading->devices)
		return yaml_refuse(&reading->yaml, root, "a machine needs devices");
	return read_bus(reading, reading->devices, NULL);
}

int description_parse(const char *text, size_t size, const char *file, struct description **ret, struct why *why)
{
	_free_(description) struct description *description = alloc_new(struct description, why);
	struct reading reading = {.description = description};
	int err;

	if (!description)
		return -why->err;
	list_init(&description->functions);
	snprintf(description->name, sizeof(description->name), "machine");
	err = yaml_reader_init(&reading.yaml, text, size, file, why);
	if (err < 0)
		return err;
	err = read_machine(&reading);
	yaml_reader_fini(&reading.yaml);
	if (err == 0)
		*ret = take(description);
	return err;
}

void description_free(struct description *description)
{
	struct function_description *function, *following;

	if (!description)
		return;
	list_for_each_safe(function, following, &description->functions, link)
		function_free(function);
	free(description);
}

struct function_description *description_find(struct description *description, struct pci_addr addr)
{
	struct function_description *function;

	list_for_each(function, &description->functions, link)
		if (pci_addr_equal(function->addr, addr))
			return function;
	return NULL;
}

static int refuse_option(const struct function_description *function, const char *key, struct why *why)
{
	char bdf[PCI_ADDR_TEXT], known[120] = "";
	size_t used = 0;

	if (!function->model)
		return refuse(why, OPTION_UNKNOWN, "%s has no model, so it has no option \"%.40s\"",
			      pci_addr_print(function->addr, bdf), key);
	for (const char *const *name = function->model->keys; *name && used < sizeof(known); name++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", *name);
	return refuse(why, OPTION_UNKNOWN, "%s is an %s, which knows no option \"%.40s\"; it knows %s",
		      pci_addr_print(function->addr, bdf), function->model->name, key, known);
}

static bool knows(const struct model *model, const char *key)
{
	for (const char *const *name = model ? model->keys : NULL; name && *name; name++)
		if (strcmp(*name, key) == 0)
			return true;
	return false;
}

int description_set_option(struct function_description *function, const char *key, const char *value, struct why *why)
{
	struct model_options *options = &function->options;
	char *key_copy, *value_copy;
	unsigned i = 0;

	if (!knows(function->model, key))
		return refuse_option(function, key, why);
	while (i < options->count && strcmp(options->option[i].key, key) != 0)
		i++;
	assert(i < MODEL_OPTIONS); /* no model knows so many keys */
	key_copy = alloc_string(key, why);
	value_copy = key_copy ? alloc_string(value, why) : NULL;
	if (!value_copy) {
		free(key_copy);
		return -why->err;
	}
	free(function->option_text[2 * i]);
	free(function->option_text[2 * i + 1]);
	function->option_text[2 * i] = key_copy;
	function->option_text[2 * i + 1] = value_copy;
	options->option[i] = (struct model_option){key_copy, value_copy};
	if (i == options->count)
		options->count++;
	return 0;
}

static int refuse_unknown(const char *name, struct why *why)
{
	char known[120] = "";
	const char *builtin;
	size_t used = 0;

	for (unsigned i = 0; (builtin = description_builtin_name(i)) && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", builtin);
	return refuse(why, MACHINE_UNKNOWN, "there is no machine \"%.60s\" built in; there is %s, or name a file.yaml",
		      name, known);
}

static bool is_path(const char *name)
{
	size_t length = strlen(name);

	return strchr(name, '/') || (length > 5 && strcmp(name + length - 5, ".yaml") == 0);
}

static int load_file(const char *path, struct description **ret, struct why *why)
{
	_memory_ char *text = NULL;
	size_t size;
	FILE *file = fopen(path, "re");

	if (!file)
		return refuse_host(why, errno, "open(%.150s)", path);
	text = alloc_zero(FILE_MAX + 1, why);
	if (!text) {
		fclose(file);
		return -why->err;
	}
	size = fread(text, 1, FILE_MAX + 1, file);
	fclose(file);
	if (size > FILE_MAX)
		return refuse(why, MACHINE_FILE, "%.100s:1:1: a machine file has at most %d bytes", path, FILE_MAX);
	return description_parse(text, size, path, ret, why);
}

int description_load(const char *name, struct description **ret, struct why *why)
{
	const char *text;
	size_t size;

	if (!name)
		name = "default";
	if (is_path(name))
		return load_file(name, ret, why);
	text = description_builtin(name, &size);
	return text ? description_parse(text, size, name, ret, why) : refuse_unknown(name, why);
}
