/* SPDX-License-Identifier: MIT */
/*
 * Machine file -> description. A file is a tree: devices hang below bridges. Buses are numbered depth first, in the
 * order of the bridges' slots, as firmware does; functions end up in Linux's enumeration order: by segment, bus, slot.
 *
 * Any bytes are legal input. Depth, functions and buses are bounded, so a YAML alias that contains itself ends in a
 * refusal, not in a loop.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "machine/reading.h"

enum { DEPTH_MAX = 32, FUNCTIONS_MAX = 65536, FILE_MAX = 1 << 20 };

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
	struct function_description *function = device->function;
	int err;

	function->has_pm = true;
	function->parent = bus->bridge;
	function->addr.bus = bus->bridge ? bus->bridge->secondary : 0;
	function->behind_iommu = !bus->bridge || bus->bridge->behind_iommu;
	function->line = (unsigned)node->start_mark.line + 1;
	function->column = (unsigned)node->start_mark.column + 1;
	err = device_read_keys(device);
	if (err == 0)
		err = device_finish(device);
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

		if (!role_is_bridge(bridge->role))
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

/* Linux looks for more functions only where it finds the first. */
static int check_slots(const struct bus_reading *bus)
{
	unsigned slot = 32; /* of the last function 0 */

	for (const struct device_reading *device = bus->first; device; device = device->next) {
		struct pci_addr addr = device->function->addr;

		if (pci_function_number(addr) == 0)
			slot = pci_device_number(addr);
		else if (pci_device_number(addr) != slot)
			return yaml_refuse(&bus->reading->yaml, device->node, "device %02x has no function 0",
					   pci_device_number(addr));
	}
	return 0;
}

static int read_bus(struct reading *reading, yaml_node_t *node, struct function_description *bridge)
{
	struct bus_reading bus = {.reading = reading, .bridge = bridge};
	int err;

	if (reading->depth++ == DEPTH_MAX)
		return yaml_refuse(&reading->yaml, node, "devices are nested more than %d deep", DEPTH_MAX);
	err = yaml_read_sequence(&reading->yaml, node, "devices", read_device, &bus);
	if (err == 0)
		err = check_slots(&bus);
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
	u64 width = 0;
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

/* At most FILE_MAX + 1 bytes into text; their number. */
static int read_file(const char *path, char *text, size_t *ret_size, struct why *why)
{
	FILE *file = fopen(path, "re");
	int err = 0;

	if (!file)
		return refuse_host(why, errno, "open(%.150s)", path);
	errno = 0;
	*ret_size = fread(text, 1, FILE_MAX + 1, file);
	if (ferror(file))
		err = refuse_host(why, errno, "read(%.150s)", path);
	fclose(file);
	return err;
}

static int load_file(const char *path, struct description **ret, struct why *why)
{
	_memory_ char *text = alloc_zero(FILE_MAX + 1, why);
	size_t size = 0;
	int err = text ? read_file(path, text, &size, why) : -why->err;

	if (err < 0)
		return err;
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
