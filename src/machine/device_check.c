/* SPDX-License-Identifier: MIT */
/* What the keys of a device say together: can such a device be there, can it be built? */
#include <stdio.h>

#include "machine/reading.h"

static enum function_role default_role(const struct function_description *parent)
{
	if (!parent)
		return ROLE_INTEGRATED;
	if (parent->role == ROLE_UPSTREAM_PORT)
		return ROLE_DOWNSTREAM_PORT;
	if (parent->role == ROLE_PCI_BRIDGE || parent->role == ROLE_CONVENTIONAL_BRIDGE)
		return ROLE_CONVENTIONAL;
	return ROLE_ENDPOINT;
}

/* A link leads to one device. */
static bool is_link(const struct function_description *parent)
{
	return parent && (parent->role == ROLE_ROOT_PORT || parent->role == ROLE_DOWNSTREAM_PORT);
}

/* What may be plugged where. */
static bool fits(enum function_role role, const struct function_description *parent)
{
	switch (role) {
	case ROLE_INTEGRATED:
	case ROLE_ROOT_PORT:
		return !parent;
	case ROLE_CONVENTIONAL:
	case ROLE_CONVENTIONAL_BRIDGE:
		return !parent || parent->role == ROLE_PCI_BRIDGE || parent->role == ROLE_CONVENTIONAL_BRIDGE;
	case ROLE_DOWNSTREAM_PORT:
		return parent && parent->role == ROLE_UPSTREAM_PORT;
	case ROLE_ENDPOINT:
	case ROLE_UPSTREAM_PORT:
	case ROLE_PCI_BRIDGE:
		return is_link(parent);
	}
	return false;
}

static int check_place(struct yaml_reader *reader, const struct device_reading *device)
{
	const struct function_description *function = device->function;

	if (!fits(function->role, function->parent))
		return yaml_refuse(reader, device->node, "a device with this role cannot be there");
	if (is_link(function->parent) && pci_device_number(function->addr) != 0)
		return yaml_refuse(reader, device->node, "below a port there is only device 00, with its functions");
	if (device->children && !role_is_bridge(function->role))
		return yaml_refuse(reader, device->children, "only ports and bridges have devices below them");
	return 0;
}

/*
 * A unit sees what the bridges above let through: a whole tree is behind it or none of it, but for single functions
 * that keep an id of their own (VT-d 5.0 section 8.3.1, device scopes).
 */
static int check_iommu(struct yaml_reader *reader, const struct device_reading *device)
{
	const struct function_description *function = device->function, *parent = function->parent;

	if (!parent || parent->behind_iommu == function->behind_iommu)
		return 0;
	if (function->behind_iommu)
		return yaml_refuse(reader, device->iommu, "the port or bridge above is not behind the IOMMU");
	if (parent->role == ROLE_PCI_BRIDGE || parent->role == ROLE_CONVENTIONAL_BRIDGE)
		return yaml_refuse(reader, device->iommu,
				   "the bridge above is behind the IOMMU and makes requests for all below it");
	return 0;
}

static int check_bridge(struct yaml_reader *reader, const struct device_reading *device)
{
	if (device->model)
		return yaml_refuse(reader, device->model, "a port or bridge has no model");
	if (device->bars)
		return yaml_refuse(reader, device->bars, "a port or bridge has no BARs here");
	if (device->rom)
		return yaml_refuse(reader, device->rom, "a port or bridge has no ROM here");
	if (device->flr)
		return yaml_refuse(reader, device->flr, "a port or bridge has no function-level reset");
	return 0;
}

static int check_model(struct yaml_reader *reader, const struct device_reading *device)
{
	const char *name = device->function->model->name;

	if (device->bars)
		return yaml_refuse(reader, device->bars, "the model \"%s\" brings its own BARs", name);
	if (device->msi || device->msix)
		return yaml_refuse(reader, device->msi ? device->msi : device->msix,
				   "the model \"%s\" brings its own message interrupts", name);
	return 0;
}

static bool is_memory(const struct bar_description *bar)
{
	return bar->kind == PCI_BAR_MEMORY32 || bar->kind == PCI_BAR_MEMORY64;
}

static int check_bars(struct yaml_reader *reader, const struct device_reading *device)
{
	const struct function_description *function = device->function;
	const struct bar_description *table = &function->bars[function->msix_bar];
	u64 table_size = align_up(16ull * function->msix_vectors, 8);
	u64 pending_size = align_up(function->msix_vectors, 64) / 8;

	for (unsigned i = 0; i < PCI_BARS; i++)
		if (function->bars[i].kind == PCI_BAR_MEMORY64 &&
		    (i == PCI_BARS - 1 || function->bars[i + 1].kind != PCI_BAR_NONE))
			return yaml_refuse(reader, device->bars,
					   "BAR %u is 64 bits wide and needs BAR %u for its upper half", i, i + 1);
	if (device->msix && (!is_memory(table) || table->size < table_size + pending_size))
		return yaml_refuse(reader, device->msix, "BAR %u does not hold an MSI-X table of %u vectors",
				   function->msix_bar, function->msix_vectors);
	return 0;
}

static int check_function(struct yaml_reader *reader, const struct device_reading *device)
{
	const struct function_description *function = device->function;
	int err = 0;

	if (!function->has_identity && !function->model)
		return yaml_refuse(reader, device->node, "a device without a model needs an id");
	if (function->has_acs && (function->role == ROLE_CONVENTIONAL || function->role == ROLE_CONVENTIONAL_BRIDGE))
		return yaml_refuse(reader, device->acs, "ACS belongs to PCI Express; this device is conventional");
	if (role_is_bridge(function->role))
		err = check_bridge(reader, device);
	else if (function->model)
		err = check_model(reader, device);
	return err < 0 ? err : check_bars(reader, device);
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
		const char *key = "", *value = "";
		struct why why = WHY_INIT;
		int err = yaml_text(reader, key_node, &key);

		if (err == 0)
			err = yaml_text(reader, yaml_document_get_node(&reader->document, pair->value), &value);
		if (err < 0)
			return err;
		if (model_option(&device->function->options, key))
			return yaml_refuse(reader, key_node, "option \"%s\" a second time", key);
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

static void set_defaults(struct device_reading *device)
{
	struct function_description *function = device->function;

	if (!function->has_identity)
		function->identity = function->model->identity;
	if (role_is_bridge(function->role))
		function->identity.class_code = 0x060400;
	if (!device->has_driver && function->model && function->model->driver)
		snprintf(function->driver, sizeof(function->driver), "%s", function->model->driver);
}

int device_finish(struct device_reading *device)
{
	struct yaml_reader *reader = &device->reading->yaml;
	int err;

	if (!device->has_slot)
		return yaml_refuse(reader, device->node, "a device needs a slot");
	if (!device->has_role)
		device->function->role = default_role(device->function->parent);
	err = check_place(reader, device);
	if (err == 0)
		err = check_iommu(reader, device);
	if (err == 0)
		err = check_function(reader, device);
	if (err < 0)
		return err;
	set_defaults(device);
	return read_options(reader, device);
}
