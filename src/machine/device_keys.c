/* SPDX-License-Identifier: MIT */
/* The keys of a device in a machine file: each value is checked by itself, with the place of what is wrong. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "machine/reading.h"

#define FUNCTION(target) (((struct device_reading *)(target))->function)

/* "1c.0", or with a bus: "05:1c.0". */
static int read_slot(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct device_reading *device = target;
	struct pci_addr *slot = &device->function->addr, addr;
	char on_bus[16];
	const char *text = "";
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	snprintf(on_bus, sizeof(on_bus), "%s%s", strchr(text, ':') ? "" : "00:", text);
	if (strlen(text) > 7 || !pci_addr_parse(on_bus, &addr))
		return yaml_refuse(reader, node, "\"%.40s\" is no slot: \"1c.0\" is device 1c, function 0", text);
	if (strchr(text, ':')) {
		device->other_bus = node;
		slot->bus = addr.bus;
	} else if (device->function->physical) {
		slot->bus = device->function->physical->addr.bus;
	}
	slot->devfn = addr.devfn;
	device->has_slot = true;
	return 0;
}

static int read_role(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct device_reading *device = target;
	const char *text = "";
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	device->has_role = role_parse(text, &device->function->role);
	if (device->has_role)
		return 0;
	return yaml_refuse(reader, node,
			   "\"%.16s\" is no role: endpoint, integrated, conventional, root-port, upstream-port, "
			   "downstream-port, pci-bridge, ...",
			   text);
}

static int read_bridge(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	((struct device_reading *)target)->has_bridge = true;
	return yaml_bool(reader, node, &FUNCTION(target)->bridge);
}

/* The bus a bridge leads to; none: firmware gave it no number. */
static int read_bus_number(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 bus = 0;
	const char *text = "";
	int err = yaml_text(reader, node, &text);

	((struct device_reading *)target)->bus = node;
	if (err < 0 || strcmp(text, "none") == 0)
		return err;
	err = yaml_hex(reader, node, 0xff, &bus);
	if (err == 0 && !bus)
		return yaml_refuse(reader, node, "no bridge leads to bus 00");
	FUNCTION(target)->secondary = (u8)bus;
	return err;
}

static int read_last_bus(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 bus = 0;
	int err = yaml_hex(reader, node, 0xff, &bus);

	((struct device_reading *)target)->last_bus = node;
	FUNCTION(target)->subordinate = (u8)bus;
	return err;
}

static int read_multifunction(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	((struct device_reading *)target)->multifunction = node;
	return yaml_bool(reader, node, &FUNCTION(target)->multifunction);
}

static int read_virtual(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	((struct device_reading *)target)->is_virtual = node;
	return yaml_bool(reader, node, &FUNCTION(target)->is_virtual);
}

static int read_unit(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	u64 unit = 0;
	int err = yaml_number(reader, node, MACHINE_UNITS - 1, &unit);

	FUNCTION(target)->unit = (u8)unit;
	return err;
}

/* Equal regions of different devices are one; so a group has few, however many members. */
static int add_region(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct description *description = reading_of(reader)->description;
	struct reserved_region region, *known = description->regions;
	unsigned i = 0;
	int err = read_region(reader, node, &region);

	if (err < 0)
		return err;
	while (i < description->nregions &&
	       (known[i].start != region.start || known[i].last != region.last || known[i].kind != region.kind))
		i++;
	if (i == MACHINE_REGIONS)
		return yaml_refuse(reader, node, "devices have at most %d different regions", MACHINE_REGIONS);
	known[i] = region;
	description->nregions = (unsigned)max_u64(description->nregions, i + 1);
	FUNCTION(target)->regions |= BIT(i);
	return 0;
}

static int read_device_regions(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_read_sequence(reader, node, "regions", add_region, target);
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
	((struct device_reading *)target)->has_class = true;
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
	if (model_is_emulated(function->model))
		return yaml_refuse(reader, node, "%s is no hardware; it stands under `emulated`", text);
	return 0;
}

/* Values that need others first are kept for device_finish(). */
static int keep_options(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	((struct device_reading *)target)->options = node;
	return 0;
}

static int keep_vfs(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	((struct device_reading *)target)->vfs = node;
	return 0;
}

static int keep_vf(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	((struct device_reading *)target)->vf = node;
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
	{"bridge", read_bridge},
	{"bus", read_bus_number},
	{"last_bus", read_last_bus},
	{"multifunction", read_multifunction},
	{"id", read_id},
	{"subsystem", read_subsystem},
	{"class", read_class},
	{"revision", read_revision},
	{"driver", read_driver},
	{"acs", read_acs},
	{"aer", read_aer},
	{"ari", read_ari},
	{"ats", read_ats},
	{"pri", read_pri},
	{"pasid", read_pasid},
	{"prefixes", read_prefixes},
	{"dsn", read_dsn},
	{"phantom", read_phantom},
	{"sriov", read_sriov},
	{"vfs", keep_vfs},
	{"vf", keep_vf},
	{"virtual", read_virtual},
	{"flr", read_flr},
	{"pm", read_pm},
	{"iommu", read_iommu_flag},
	{"unit", read_unit},
	{"regions", read_device_regions},
	{"intx", read_intx},
	{"msi", read_msi},
	{"msix", read_msix},
	{"bars", read_bars},
	{"rom", read_rom},
	{"vpd", read_vpd},
	{"caps", read_caps},
	{"atomics", read_atomics},
	{"model", read_model},
	{"options", keep_options},
	{"devices", keep_children},
};

int device_read_keys(struct device_reading *device)
{
	return yaml_read_mapping(&device->reading->yaml, device->node, device_keys, ARRAY_SIZE(device_keys), "a device",
				 device);
}
