/* SPDX-License-Identifier: MIT */
/* What the keys of a device say together: can such a device be there, can it be built? */
#include <stdio.h>

#include "machine/reading.h"

/* A link leads to one device. */
static bool is_link(const struct function_description *parent)
{
	return parent && (parent->role == ROLE_ROOT_PORT || parent->role == ROLE_DOWNSTREAM_PORT ||
			  parent->role == ROLE_PCIE_BRIDGE);
}

/* What may be plugged where. */
static bool fits(enum function_role role, const struct function_description *parent)
{
	switch (role) {
	case ROLE_INTEGRATED:
	case ROLE_ROOT_PORT:
	case ROLE_EVENT_COLLECTOR:
		return !parent;
	case ROLE_CONVENTIONAL:
	case ROLE_CONVENTIONAL_BRIDGE:
	case ROLE_PCIE_BRIDGE:
		return !parent || parent->role == ROLE_PCI_BRIDGE || parent->role == ROLE_CONVENTIONAL_BRIDGE;
	case ROLE_DOWNSTREAM_PORT:
		return parent && parent->role == ROLE_UPSTREAM_PORT;
	case ROLE_ENDPOINT:
	case ROLE_LEGACY_ENDPOINT:
	case ROLE_UPSTREAM_PORT:
	case ROLE_PCI_BRIDGE:
		return is_link(parent);
	}
	return false;
}

static int check_place(struct yaml_reader *reader, const struct device_reading *device)
{
	const struct function_description *function = device->function;

	if (function->is_virtual || function->physical)
		return 0;
	if (!fits(function->role, function->parent))
		return yaml_refuse(reader, device->node, "a device with this role cannot be there");
	if (is_link(function->parent) && pci_device_number(function->addr) != 0)
		return yaml_refuse(reader, device->node, "below a port there is only device 00, with its functions");
	if (device->other_bus)
		return yaml_refuse(reader, device->other_bus, "only virtual functions are on another bus than this");
	if (device->multifunction && !function->multifunction && pci_function_number(function->addr))
		return yaml_refuse(reader, device->multifunction, "function %x makes its slot a multifunction one",
				   pci_function_number(function->addr));
	return 0;
}

/* What is told by the header, whatever is plugged where. */
static int check_header(struct yaml_reader *reader, const struct device_reading *device)
{
	const struct function_description *function = device->function;

	if (device->children && !function->bridge)
		return yaml_refuse(reader, device->children, "only ports and bridges have devices below them");
	if ((device->bus || device->last_bus) && !function->bridge)
		return yaml_refuse(reader, device->bus ? device->bus : device->last_bus,
				   "only ports and bridges lead to a bus");
	if (device->bus && !function->secondary && (device->children || device->last_bus))
		return yaml_refuse(reader, device->bus, "a bridge that leads to no bus has nothing below it");
	if (function->is_virtual && (function->bridge || device->vfs || device->vf || device->sriov))
		return yaml_refuse(reader, device->node, "a virtual function is no bridge and has none of its own");
	if (function->physical && !function->is_virtual)
		return yaml_refuse(reader, device->is_virtual, "what stands below vfs is a virtual function");
	if (function->is_virtual && !function->physical && !device->reading->description->as_found)
		return yaml_refuse(reader, device->is_virtual, "whose virtual function it is, say with vfs there");
	if (function->is_virtual && device->multifunction)
		return yaml_refuse(reader, device->multifunction, "a virtual function is never multifunction");
	if (device->vfs && function->bridge)
		return yaml_refuse(reader, device->vfs, "a bridge has no virtual functions here");
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
	if (device->flr && device->function->flr)
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

/* Each part inside its BAR, and not one over the other. */
static int check_msix(struct yaml_reader *reader, const struct device_reading *device)
{
	const struct msix_description *msix = &device->function->msix;
	const struct bar_description *table = &device->function->bars[msix->bar];
	const struct bar_description *pending = &device->function->bars[msix->pending_bar];
	u64 table_after = (u64)msix->offset + msix_table_size(msix->vectors);
	u64 pending_after = (u64)msix->pending + msix_pending_size(msix->vectors);

	if (!is_memory(table) || table->size < table_after)
		return yaml_refuse(reader, device->msix, "BAR %u does not hold an MSI-X table of %u vectors", msix->bar,
				   msix->vectors);
	if (!is_memory(pending) || pending->size < pending_after)
		return yaml_refuse(reader, device->msix, "BAR %u does not hold the pending bits of %u vectors",
				   msix->pending_bar, msix->vectors);
	if (msix->bar == msix->pending_bar && msix->pending < table_after && msix->offset < pending_after)
		return yaml_refuse(reader, device->msix, "the pending bits lie in the MSI-X table");
	return 0;
}

static int check_bars(struct yaml_reader *reader, const struct device_reading *device)
{
	const struct function_description *function = device->function;

	for (unsigned i = 0; i < PCI_BARS; i++)
		if (function->bars[i].kind == PCI_BAR_MEMORY64 &&
		    (i == PCI_BARS - 1 || function->bars[i + 1].kind != PCI_BAR_NONE))
			return yaml_refuse(reader, device->bars,
					   "BAR %u is 64 bits wide and needs BAR %u for its upper half", i, i + 1);
	return device->msix ? check_msix(reader, device) : 0;
}

static int check_sriov(struct yaml_reader *reader, const struct device_reading *device)
{
	const struct pci_sriov *sriov = &device->function->sriov;

	if (device->function->has_sriov && (sriov->enabled > sriov->total || sriov->initial > sriov->total))
		return yaml_refuse(reader, device->sriov, "of %u virtual functions, %u cannot be enabled", sriov->total,
				   sriov->enabled > sriov->total ? sriov->enabled : sriov->initial);
	return 0;
}

/* Those that are there from the start are another matter than those that come later. */
static int check_vf(struct yaml_reader *reader, const struct device_reading *device)
{
	const struct function_description *function = device->function;
	const struct pci_sriov *sriov = &function->sriov;

	if (!device->vf)
		return 0;
	if (!function->has_sriov || !sriov->total || !sriov->device || !sriov->offset ||
	    (sriov->total > 1 && !sriov->stride))
		return yaml_refuse(reader, device->vf,
				   "virtual functions need sriov, with total, device, offset and, for several, stride");
	if (device->vfs || sriov->enabled)
		return yaml_refuse(
			reader, device->vf,
			"vf is for those enabled later; with vfs, which are there from the start, it is not");
	return 0;
}

int device_check_template(struct device_reading *device)
{
	struct yaml_reader *reader = &device->reading->yaml;
	const struct function_description *function = device->function;

	if (function->identity.vendor != function->physical->identity.vendor ||
	    function->identity.device != function->physical->sriov.device)
		return yaml_refuse(reader, device->node, "the id of a virtual function is said by sriov: %04x:%04x",
				   function->physical->identity.vendor, function->physical->sriov.device);
	if (device->rom)
		return yaml_refuse(reader, device->rom, "a virtual function has no ROM");
	if (function->intx_pin)
		return yaml_refuse(reader, device->node, "a virtual function has no INTx");
	for (unsigned bar = 0; bar < PCI_BARS; bar++)
		if (function->bars[bar].kind != PCI_BAR_NONE &&
		    (!is_memory(&function->bars[bar]) || function->bars[bar].size < PAGE_SIZE))
			return yaml_refuse(reader, device->bars,
					   "BAR %u of a virtual function is memory, a page at least", bar);
	return 0;
}

static int check_function(struct yaml_reader *reader, const struct device_reading *device)
{
	const struct function_description *function = device->function;
	int err = 0;

	if (!function->has_identity && !function->model)
		return yaml_refuse(reader, device->node, "a device without a model needs an id");
	if (function->has_acs && !role_is_pcie(function->role))
		return yaml_refuse(reader, device->acs, "ACS belongs to PCI Express; this device is conventional");
	if (device->extended && !role_is_pcie(function->role))
		return yaml_refuse(reader, device->extended, "this belongs to PCI Express; the device is conventional");
	if (function->bridge)
		err = check_bridge(reader, device);
	else if (function->model)
		err = check_model(reader, device);
	if (err == 0)
		err = check_sriov(reader, device);
	if (err == 0)
		err = check_vf(reader, device);
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

/* Ports report errors; so do most endpoints, and a model says itself. */
static bool reports_errors(const struct function_description *function)
{
	return !function->model && role_is_pcie(function->role) && function->role != ROLE_INTEGRATED &&
	       function->role != ROLE_EVENT_COLLECTOR;
}

static void set_role(struct device_reading *device)
{
	struct function_description *function = device->function;

	if (!device->has_role)
		function->role = role_default(function->parent ? &function->parent->role : NULL);
	if (!device->has_bridge)
		function->bridge = role_is_bridge(function->role);
}

static void set_defaults(struct device_reading *device)
{
	struct function_description *function = device->function;

	if (!function->has_identity)
		function->identity = function->model->identity;
	if (function->bridge && !device->has_class)
		function->identity.class_code = 0x060400;
	if (function->model && !device->has_class)
		function->identity.class_code = function->model->identity.class_code;
	if (!device->has_aer)
		function->has_aer = reports_errors(function);
	if (!device->has_driver && function->model && function->model->driver)
		snprintf(function->driver, sizeof(function->driver), "%s", function->model->driver);
}

int device_finish(struct device_reading *device)
{
	struct yaml_reader *reader = &device->reading->yaml;
	int err = 0;

	if (!device->has_slot)
		return yaml_refuse(reader, device->node, "a device needs a slot");
	set_role(device);
	if (!device->reading->description->as_found)
		err = check_place(reader, device);
	if (err == 0)
		err = check_header(reader, device);
	if (err == 0 && !device->reading->description->as_found)
		err = check_iommu(reader, device);
	if (err == 0)
		err = check_function(reader, device);
	if (err < 0)
		return err;
	set_defaults(device);
	return read_options(reader, device);
}
