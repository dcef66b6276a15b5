/* SPDX-License-Identifier: MIT */
/* The keys of a device in a machine file: each value is checked by itself, with the place of what is wrong. */
#include <ctype.h>

#include "machine/reading.h"

/* The largest BAR: its registers are host memory, which moves whenever a program opens the device. */
#define BAR_MAX BIT(30)

#define FUNCTION(target) (((struct device_reading *)(target))->function)

static int read_slot(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct device_reading *device = target;
	char on_bus[16] = "00:";
	struct pci_addr addr;
	const char *text = "";
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	strncat(on_bus, text, sizeof(on_bus) - strlen(on_bus) - 1);
	if (!pci_addr_parse(on_bus, &addr))
		return yaml_refuse(reader, node, "\"%.40s\" is no slot: \"1c.0\" is device 1c, function 0", text);
	device->function->addr.devfn = addr.devfn;
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
	{"conventional-bridge", ROLE_CONVENTIONAL_BRIDGE},
};

static int read_role(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct device_reading *device = target;
	const char *text = "";
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
			   "\"%.24s\" is no role: endpoint, integrated, conventional, root-port, upstream-port, "
			   "downstream-port, pci-bridge, conventional-bridge",
			   text);
}

static int read_pair_of_ids(struct yaml_reader *reader, yaml_node_t *node, u16 *first, u16 *second)
{
	const char *text = "";
	bool good;
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	good = strlen(text) == 9 && text[4] == ':';
	for (unsigned i = 0; good && i < 9; i++)
		good = i == 4 || isxdigit((unsigned char)text[i]);
	if (!good)
		return yaml_refuse(reader, node, "\"%.40s\" is no id: \"8086:10d3\" is vendor and device", text);
	*first = (u16)strtoul(text, NULL, 16);
	*second = (u16)strtoul(text + 5, NULL, 16);
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
	u64 value = 0;
	int err = yaml_hex(reader, node, 0xffffff, &value);

	if (err == 0)
		FUNCTION(target)->identity.class_code = (u32)value;
	return err;
}

static int read_revision(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 value = 0;
	int err = yaml_hex(reader, node, 0xff, &value);

	if (err == 0)
		FUNCTION(target)->identity.revision = (u8)value;
	return err;
}

/* The name becomes a folder of the room's sysfs. "none" is nobody. */
static int read_driver(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	char *driver = FUNCTION(target)->driver;
	int err = yaml_copy(reader, node, driver, sizeof(FUNCTION(target)->driver));

	if (err < 0)
		return err;
	((struct device_reading *)target)->has_driver = true;
	if (strcmp(driver, "none") == 0)
		driver[0] = '\0';
	for (const char *c = driver; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-')
			return yaml_refuse(reader, node, "\"%s\" is no driver: letters, digits, _ and -", driver);
	return 0;
}

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
static int read_acs(struct yaml_reader *reader, yaml_node_t *node, void *target)
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

static int read_flr(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	((struct device_reading *)target)->flr = node;
	return yaml_bool(reader, node, &FUNCTION(target)->flr);
}

static int read_pm(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &FUNCTION(target)->has_pm);
}

static int read_iommu_flag(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	((struct device_reading *)target)->iommu = node;
	return yaml_bool(reader, node, &FUNCTION(target)->behind_iommu);
}

static int read_intx(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	const char *text = "";
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
	u64 vectors = 0;
	int err = yaml_number(reader, node, 32, &vectors);

	if (err < 0)
		return err;
	if (!vectors || !is_aligned(vectors, vectors))
		return yaml_refuse(reader, node, "MSI has 1, 2, 4, 8, 16 or 32 vectors");
	((struct device_reading *)target)->msi = node;
	FUNCTION(target)->has_msi = true;
	FUNCTION(target)->msi_log2 = (unsigned)__builtin_ctzll(vectors);
	return 0;
}

static int read_msix_vectors(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 vectors = 0;
	int err = yaml_number(reader, node, PCI_IRQ_VECTORS, &vectors);

	if (err == 0)
		FUNCTION(target)->msix_vectors = (unsigned)vectors;
	return err;
}

static int read_msix_bar(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 bar = 0;
	int err = yaml_number(reader, node, PCI_BARS - 1, &bar);

	if (err == 0)
		FUNCTION(target)->msix_bar = (unsigned)bar;
	return err;
}

static int read_msix(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const struct yaml_key keys[] = {{"vectors", read_msix_vectors}, {"bar", read_msix_bar}};
	int err = yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "msix", target);

	if (err < 0)
		return err;
	((struct device_reading *)target)->msix = node;
	if (!FUNCTION(target)->msix_vectors)
		return yaml_refuse(reader, node, "MSI-X has 1 to %d vectors", PCI_IRQ_VECTORS);
	return 0;
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
	u64 smallest = 16, largest = BAR_MAX;
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

static int read_rom(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct bar_description *rom = &FUNCTION(target)->bars[PCI_ROM];
	int err = yaml_size(reader, node, &rom->size);

	((struct device_reading *)target)->rom = node;
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
	const char *text = "";
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	((struct device_reading *)target)->model = node;
	function->model = model_find(text);
	if (!function->model)
		return yaml_refuse(reader, node, "there is no model \"%.40s\"; `isolde machine models` lists them",
				   text);
	return 0;
}

/* Values that need others first are kept for device_finish(). */
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

int device_read_keys(struct device_reading *device)
{
	return yaml_read_mapping(&device->reading->yaml, device->node, device_keys, ARRAY_SIZE(device_keys), "a device",
				 device);
}
