/* SPDX-License-Identifier: MIT */
/*
 * The devices of a machine file, as a tree: they hang below bridges, those below root buses. Bus numbers are given
 * depth first, in the order of the bridges' slots, as firmware does, unless they are said; functions end up in Linux's
 * enumeration order: root by root, a bus and then what is below it, virtual functions last.
 *
 * Depth, functions and buses are bounded, so a YAML alias that contains itself ends in a refusal, not in a loop.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "machine/reading.h"

void function_description_free(struct function_description *function)
{
	if (!function)
		return;
	function_description_free(function->vf);
	for (unsigned i = 0; i < ARRAY_SIZE(function->option_text); i++)
		free(function->option_text[i]);
	free(function->rom.file);
	free(function->vpd);
	free(function->caps);
	free(function);
}

/* The devices of one bus as they are read; then sorted by slot. */
struct bus_reading {
	struct reading *reading;
	struct function_description *bridge;
	struct pci_addr addr;		       /* of the bus */
	struct function_description *physical; /* whose virtual functions are read; NULL: others are */
	unsigned nvirtual;		       /* of those read so far */
	struct device_reading *first;	       /* owned */
	size_t count;
};

static void device_reading_free(struct device_reading *device)
{
	if (!device)
		return;
	function_description_free(device->function);
	free(device);
}

static void bus_reading_fini(struct bus_reading *bus)
{
	while (bus->first) {
		struct device_reading *device = bus->first;

		bus->first = device->next;
		device_reading_free(device);
	}
}

/* Where an SR-IOV capability puts its n-th virtual function (PCI Express Base 5.0 section 9.3.3.9). */
static bool virtual_addr(const struct function_description *physical, unsigned n, struct pci_addr *ret)
{
	unsigned id = pci_requester_id(physical->addr) + physical->sriov.offset + n * physical->sriov.stride;

	*ret = (struct pci_addr){physical->addr.segment, (u8)(id >> 8), (u8)id};
	return physical->sriov.offset && id <= 0xffff;
}

static void inherit_from_bridge(const struct bus_reading *bus, struct function_description *function)
{
	function->parent = bus->bridge;
	function->addr = bus->addr;
	function->behind_iommu = !bus->bridge || bus->bridge->behind_iommu;
	function->unit = bus->bridge ? bus->bridge->unit : 0;
	function->below_vmd = bus->reading->below_vmd;
	function->vmd = bus->reading->vmd;
}

static void inherit_from_physical(struct bus_reading *bus, struct device_reading *device)
{
	const struct function_description *physical = bus->physical;
	struct function_description *function = device->function;

	function->physical = bus->physical;
	function->is_virtual = true;
	function->behind_iommu = physical->behind_iommu;
	function->unit = physical->unit;
	function->role = physical->role;
	function->identity = physical->identity;
	function->identity.device = physical->sriov.device;
	function->has_identity = physical->sriov.device != 0;
	device->has_role = true;
	device->has_slot = virtual_addr(physical, bus->nvirtual++, &function->addr);
}

static int read_virtuals(struct device_reading *device);
static int read_template(struct device_reading *device);

static int fill_function(struct bus_reading *bus, yaml_node_t *node, struct device_reading *device)
{
	struct function_description *function = device->function;
	int err;

	function->has_pm = true;
	inherit_from_bridge(bus, function);
	if (bus->physical)
		inherit_from_physical(bus, device);
	function->line = (unsigned)node->start_mark.line + 1;
	function->column = (unsigned)node->start_mark.column + 1;
	err = device_read_keys(device);
	if (err == 0)
		err = device_finish(device);
	if (err == 0 && device->vfs)
		err = read_virtuals(device);
	if (err == 0 && device->vf)
		err = read_template(device);
	return err;
}

static int fill_device(struct bus_reading *bus, yaml_node_t *node, struct device_reading *device)
{
	struct function_description *function = device->function;
	int err = fill_function(bus, node, device);

	if (err < 0)
		return err;
	if (!function->is_virtual) {
		device->next = bus->first;
		bus->first = device;
		bus->count++;
		return 0;
	}
	list_append(&bus->reading->virtuals, &function->link);
	free(device);
	return 0;
}

static int read_device(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct bus_reading *bus = target;
	struct device_reading *device;
	int err;

	if (bus->reading->functions++ == MACHINE_FUNCTIONS)
		return yaml_refuse(reader, node, "a machine has at most %d functions", MACHINE_FUNCTIONS);
	device = alloc_new(struct device_reading, reader->why);
	if (!device)
		return -reader->why->err;
	device->reading = bus->reading;
	device->node = node;
	device->function = alloc_new(struct function_description, reader->why);
	err = device->function ? fill_device(bus, node, device) : -reader->why->err;
	if (err < 0)
		device_reading_free(device);
	return err;
}

static int read_virtuals(struct device_reading *device)
{
	struct function_description *physical = device->function;
	struct bus_reading bus = {.reading = device->reading,
				  .bridge = physical->parent,
				  .addr = {physical->addr.segment, physical->addr.bus, 0},
				  .physical = physical};

	int err = yaml_read_sequence(&device->reading->yaml, device->vfs, "vfs", read_device, &bus);

	/* Those that are there are enabled, also when the file does not say so. */
	if (err == 0 && !physical->sriov.enabled && bus.nvirtual <= physical->sriov.total)
		physical->sriov.enabled = (u16)bus.nvirtual;
	return err;
}

/* Of all those that come later. Whatever can go wrong with one does so now. */
static int read_template(struct device_reading *physical)
{
	struct yaml_reader *reader = &physical->reading->yaml;
	struct bus_reading bus = {.reading = physical->reading,
				  .bridge = physical->function->parent,
				  .addr = {physical->function->addr.segment, physical->function->addr.bus, 0},
				  .physical = physical->function};
	struct device_reading device = {.reading = physical->reading, .node = physical->vf};
	struct pci_addr first;
	int err;

	device.function = alloc_new(struct function_description, reader->why);
	if (!device.function)
		return -reader->why->err;
	physical->function->vf = device.function;
	device.function->flr = true; /* PCI Express Base 5.0 section 9.2.1.1 */
	err = fill_function(&bus, physical->vf, &device);
	virtual_addr(physical->function, 0, &first);
	if (err == 0 && !pci_addr_equal(first, device.function->addr))
		return yaml_refuse(reader, device.node,
				   "where virtual functions are, sriov says with offset and stride");
	return err < 0 ? err : device_check_template(&device);
}

/* ---- bus numbers ---- */

static int read_bus(struct reading *reading, yaml_node_t *node, struct function_description *bridge,
		    struct pci_addr addr);

static unsigned last_allowed(const struct function_description *bridge)
{
	return bridge->parent && bridge->parent->subordinate ? bridge->parent->subordinate : 255;
}

/* What firmware could not have programmed. A captured machine is as it was found. */
static int check_number(const struct reading *reading, const struct device_reading *device, unsigned number)
{
	const struct function_description *bridge = device->function;
	struct yaml_reader *reader = &device->reading->yaml;
	yaml_node_t *node = device->bus ? device->bus : device->node;

	if (number > 255)
		return yaml_refuse(reader, node, "a segment has 256 buses");
	if (number <= bridge->addr.bus)
		return yaml_refuse(reader, node, "bus %02x is not below bus %02x", number, bridge->addr.bus);
	if (reading->description->as_found)
		return 0;
	if (reading->buses.taken[number])
		return yaml_refuse(reader, node, "bus %02x is there already", number);
	if (number > last_allowed(bridge))
		return yaml_refuse(reader, node, "the bridge above leads to no bus %02x: its last one is %02x", number,
				   last_allowed(bridge));
	return 0;
}

/* While its devices are read, subordinate is what was said, or that of the bridge above. */
static int number_bus(struct reading *reading, const struct device_reading *device)
{
	struct function_description *bridge = device->function;
	unsigned number = device->bus ? bridge->secondary : reading->buses.last + 1;
	int err = check_number(reading, device, number);

	if (err < 0)
		return err;
	if (device->last_bus && bridge->subordinate < number)
		return yaml_refuse(&device->reading->yaml, device->last_bus, "the last bus is before bus %02x", number);
	bridge->secondary = (u8)number;
	if (!device->last_bus)
		bridge->subordinate = reading->description->as_found ? 0 : (u8)last_allowed(bridge);
	reading->buses.last = number;
	reading->buses.taken[number] = true;
	return 0;
}

static int read_below(struct reading *reading, const struct device_reading *device)
{
	struct function_description *bridge = device->function;
	int err;

	if (device->bus && !bridge->secondary)
		return 0;
	err = number_bus(reading, device);
	if (err == 0 && device->children)
		err = read_bus(reading, device->children, bridge,
			       (struct pci_addr){bridge->addr.segment, bridge->secondary, 0});
	if (!device->last_bus)
		bridge->subordinate = (u8)max_u64(bridge->secondary, reading->buses.last);
	else
		reading->buses.last = (unsigned)max_u64(reading->buses.last, bridge->subordinate);
	return err;
}

/* The devices of the bus enter the description; then the buses below its bridges, one after the other. */
static int descend(struct bus_reading *bus)
{
	struct reading *reading = bus->reading;
	struct device_reading *device;
	int err = 0;

	for (device = bus->first; device; device = device->next)
		list_append(&reading->description->functions, &device->function->link);
	for (device = bus->first; device && err == 0; device = device->next)
		if (device->function->bridge)
			err = read_below(reading, device);
	for (device = bus->first; device; device = device->next)
		device->function = NULL;
	return err;
}

static int by_slot(const void *a, const void *b)
{
	const struct device_reading *left = *(struct device_reading *const *)a;
	const struct device_reading *right = *(struct device_reading *const *)b;
	u64 x = pci_addr_key(left->function->addr), y = pci_addr_key(right->function->addr);

	if (x != y)
		return x < y ? -1 : 1;
	return left->node->start_mark.index < right->node->start_mark.index ? -1 : 1;
}

/* A slot taken twice is refused. */
static int sort_bus(struct bus_reading *bus)
{
	struct yaml_reader *reader = &bus->reading->yaml;
	_memory_ struct device_reading **devices = alloc_array(bus->count + 1, sizeof(*devices), reader->why);
	size_t i = 0;

	if (!devices)
		return -reader->why->err;
	for (struct device_reading *device = bus->first; device; device = device->next)
		devices[i++] = device;
	qsort(devices, bus->count, sizeof(*devices), by_slot);
	for (i = 0; i < bus->count; i++)
		devices[i]->next = devices[i + 1];
	bus->first = devices[0];
	for (i = 1; i < bus->count; i++)
		if (pci_addr_equal(devices[i - 1]->function->addr, devices[i]->function->addr))
			return yaml_refuse(reader, devices[i]->node, "slot %02x.%x is taken on this bus",
					   devices[i]->function->addr.devfn >> 3, devices[i]->function->addr.devfn & 7);
	return 0;
}

/* Linux looks for more functions only where it finds the first. */
static int check_slots(const struct bus_reading *bus)
{
	u64 slot = UINT64_MAX; /* of the last function 0 */

	for (const struct device_reading *device = bus->first; device; device = device->next) {
		struct pci_addr addr = device->function->addr;

		if (pci_function_number(addr) == 0)
			slot = pci_addr_key(addr) >> 3;
		else if (pci_addr_key(addr) >> 3 != slot)
			return yaml_refuse(&bus->reading->yaml, device->node, "device %02x has no function 0",
					   pci_device_number(addr));
	}
	return 0;
}

static int read_bus(struct reading *reading, yaml_node_t *node, struct function_description *bridge,
		    struct pci_addr addr)
{
	struct bus_reading bus = {.reading = reading, .bridge = bridge, .addr = addr};
	int err;

	if (reading->depth++ == MACHINE_DEPTH)
		return yaml_refuse(&reading->yaml, node, "devices are nested more than %d deep", MACHINE_DEPTH);
	err = yaml_read_sequence(&reading->yaml, node, "devices", read_device, &bus);
	if (err == 0)
		err = sort_bus(&bus);
	if (err == 0 && !reading->description->as_found)
		err = check_slots(&bus);
	if (err == 0)
		err = descend(&bus);
	bus_reading_fini(&bus);
	reading->depth--;
	return err;
}

/* ---- root buses ---- */

#define VMD_SEGMENT 0x10000 /* the first that Linux gives to buses behind VMD; so none is behind another */

struct root_reading {
	struct pci_addr addr;
	bool below_vmd;
	struct pci_addr vmd;
	yaml_node_t *bus, *devices;
};

static int read_segment(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 segment = 0;
	int err = yaml_hex(reader, node, UINT32_MAX, &segment);

	((struct root_reading *)target)->addr.segment = (u32)segment;
	return err;
}

static int read_root_bus(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 bus = 0;
	int err = yaml_hex(reader, node, 0xff, &bus);

	((struct root_reading *)target)->addr.bus = (u8)bus;
	((struct root_reading *)target)->bus = node;
	return err;
}

static int read_vmd(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct root_reading *root = target;
	const char *text = "";
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	if (!pci_addr_parse(text, &root->vmd))
		return yaml_refuse(reader, node, "\"%.40s\" is no address of a function: 0000:00:0e.0", text);
	root->below_vmd = true;
	return 0;
}

static int keep_root_devices(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	((struct root_reading *)target)->devices = node;
	return 0;
}

/* Numbers are remembered for one segment at a time; what two roots far apart share is found at the end. */
static int enter_root(struct reading *reading, const struct root_reading *root, yaml_node_t *node)
{
	if (reading->buses.segment != root->addr.segment)
		reading->buses = (struct bus_numbers){.segment = root->addr.segment};
	if (reading->buses.taken[root->addr.bus] && !reading->description->as_found)
		return yaml_refuse(&reading->yaml, root->bus ? root->bus : node, "bus %04x:%02x is there already",
				   root->addr.segment, root->addr.bus);
	reading->buses.taken[root->addr.bus] = true;
	reading->buses.last = root->addr.bus;
	reading->below_vmd = root->below_vmd;
	reading->vmd = root->vmd;
	return 0;
}

static int read_root(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const struct yaml_key keys[] = {
		{"segment", read_segment}, {"bus", read_root_bus}, {"vmd", read_vmd}, {"devices", keep_root_devices}};
	struct reading *reading = reading_of(reader);
	struct root_reading root = {.bus = NULL};
	int err = yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "a root bus", &root);

	if (err < 0)
		return err;
	if (!root.devices)
		return yaml_refuse(reader, node, "a root bus needs devices");
	if (root.below_vmd && (root.addr.segment < VMD_SEGMENT || root.vmd.segment >= VMD_SEGMENT))
		return yaml_refuse(reader, node, "segments from %x on are behind VMD, the device is on one before",
				   VMD_SEGMENT);
	err = enter_root(reading, &root, node);
	return err < 0 ? err : read_bus(reading, root.devices, NULL, root.addr);
}

/* ---- what needs all of them ---- */

static int by_address(const void *a, const void *b)
{
	u64 x = pci_addr_key((*(struct function_description *const *)a)->addr);
	u64 y = pci_addr_key((*(struct function_description *const *)b)->addr);

	return x < y ? -1 : x > y;
}

static int refuse_function(struct reading *reading, const struct function_description *function, const char *what)
{
	const yaml_node_t place = {.start_mark = {.line = function->line - 1, .column = function->column - 1}};
	char bdf[PCI_ADDR_TEXT];

	return yaml_refuse(&reading->yaml, &place, "%s %s", pci_addr_print(function->addr, bdf), what);
}

static int sort(struct reading *reading)
{
	struct description *description = reading->description;
	size_t count = list_length(&description->functions) + list_length(&reading->virtuals), i = 0;
	struct function_description *function;

	description->by_address = alloc_array(count + 1, sizeof(function), reading->yaml.why);
	if (!description->by_address)
		return -reading->yaml.why->err;
	description->count = count;
	list_for_each(function, &description->functions, link)
		description->by_address[i++] = function;
	list_for_each(function, &reading->virtuals, link)
		description->by_address[i++] = function;
	qsort(description->by_address, count, sizeof(function), by_address);
	for (i = 1; i < count; i++)
		if (by_address(&description->by_address[i - 1], &description->by_address[i]) == 0)
			return refuse_function(reading, description->by_address[i], "is there twice");
	return 0;
}

/* Virtual functions are met when they are enabled, last; those of a file all at once, in the order of addresses. */
static void append_virtuals(struct reading *reading)
{
	struct description *description = reading->description;
	struct function_description *function;
	u32 index = 0;

	for (size_t i = 0; i < description->count; i++) {
		function = description->by_address[i];
		if (!function->is_virtual)
			continue;
		list_remove(&function->link);
		list_append(&description->functions, &function->link);
	}
	list_for_each(function, &description->functions, link)
		function->index = index++;
}

static bool same_slot(const struct function_description *a, const struct function_description *b)
{
	return pci_addr_key(a->addr) >> 3 == pci_addr_key(b->addr) >> 3;
}

/* A slot with more than one function has only multifunction ones; virtual functions do not count. */
static void mark_multifunction(struct description *description)
{
	struct function_description *previous = NULL;

	for (size_t i = 0; i < description->count; i++) {
		struct function_description *function = description->by_address[i];

		if (function->is_virtual)
			continue;
		if (previous && same_slot(previous, function))
			previous->multifunction = function->multifunction = true;
		previous = function;
	}
}

static int check_vmd(struct reading *reading)
{
	const struct function_description *function;

	list_for_each(function, &reading->description->functions, link) {
		if (function->below_vmd && !description_find(reading->description, function->vmd))
			return refuse_function(reading, function,
					       "is said to be behind a VMD device that is not there");
	}
	return 0;
}

int tree_read(struct reading *reading)
{
	struct description *description = reading->description;
	int err = 0;

	if (reading->devices) {
		reading->buses.taken[0] = true;
		err = read_bus(reading, reading->devices, NULL, (struct pci_addr){0, 0, 0});
	}
	if (err == 0 && reading->roots)
		err = yaml_read_sequence(&reading->yaml, reading->roots, "roots", read_root, reading);
	if (err == 0)
		err = sort(reading);
	if (err < 0)
		return err;
	append_virtuals(reading);
	mark_multifunction(description);
	return check_vmd(reading);
}
