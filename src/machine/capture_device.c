/* SPDX-License-Identifier: MIT */
/* The keys of a captured device. What reading would take for granted anyway is left out. */
#include <ctype.h>

#include "machine/capturing.h"
#include "machine/driver.h"

#define PUT(indent, ...)                                                                                               \
	do {                                                                                                           \
		sheet_put(sheet, "%*s", (int)(indent), "");                                                            \
		sheet_put(sheet, __VA_ARGS__);                                                                         \
	} while (0)

static const struct pci_facts *facts_of(const struct capture *capture, const struct place *place)
{
	return &capture->survey->facts[place->function->index];
}

/* ---- who it is ---- */

/* What a virtual function has from its physical one. */
static struct pci_identity inherited(const struct place *place, bool *ret_id)
{
	struct pci_identity identity = {.class_code = pci_is_bridge(place->function) ? 0x060400 : 0};
	u16 device = 0;

	if (place->physical) {
		identity = function_identity(place->physical);
		if (place->physical->cap_sriov)
			device = get_u16(place->physical->config + place->physical->cap_sriov + 0x1a);
		identity.device = device;
	}
	*ret_id = device != 0;
	return identity;
}

static void put_identity(struct capture *capture, const struct place *place, unsigned indent)
{
	struct pci_identity is = function_identity(place->function), given;
	struct sheet *sheet = &capture->sheet;
	bool has_id;

	given = inherited(place, &has_id);
	if (!has_id || is.vendor != given.vendor || is.device != given.device)
		PUT(indent, "id: \"%04x:%04x\"\n", is.vendor, is.device);
	if (is.subsystem_vendor != given.subsystem_vendor || is.subsystem != given.subsystem)
		PUT(indent, "subsystem: \"%04x:%04x\"\n", is.subsystem_vendor, is.subsystem);
	if (is.class_code != given.class_code)
		PUT(indent, "class: \"%06x\"\n", is.class_code);
	if (is.revision != given.revision)
		PUT(indent, "revision: \"%02x\"\n", is.revision);
}

/* ---- what it is for the buses ---- */

static void put_role(struct capture *capture, const struct place *place, unsigned indent)
{
	const struct pci_function *function = place->function, *parent = function->parent;
	const struct place *above = parent ? place_of(capture, parent) : NULL;
	enum function_role usual = role_default(above ? &above->role : NULL);
	struct sheet *sheet = &capture->sheet;

	if (place->physical)
		usual = place_of(capture, place->physical)->role;
	if (pci_is_pcie(function) && pcie_type(function) != role_type(place->role))
		sheet_comment(sheet, indent, "its PCI Express type %u is none that exists", pcie_type(function));
	if (place->role != usual)
		PUT(indent, "role: %s\n", role_name(place->role));
	if (pci_is_bridge(function) != role_is_bridge(place->role))
		PUT(indent, "bridge: %s\n", pci_is_bridge(function) ? "true" : "false");
	if (place->is_virtual && !place->physical)
		PUT(indent, "virtual: true\n");
	if (!place->is_virtual && function->multifunction && !place->shares_slot)
		PUT(indent, "multifunction: true\n");
	if (place->say_bus && place->bus)
		PUT(indent, "bus: \"%02x\"\n", place->bus);
	else if (place->say_bus)
		PUT(indent, "bus: none\n");
	if (place->say_last_bus)
		PUT(indent, "last_bus: \"%02x\"\n", place->last_bus);
}

/* ---- its driver ---- */

static bool is_name(const char *driver)
{
	size_t length = strlen(driver);

	for (const char *c = driver; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-')
			return false;
	return length && length < sizeof(((struct function_description *)NULL)->driver) && strcmp(driver, "none") != 0;
}

/* Why the room could not bind it at boot; NULL when it can. */
static const char *declined(const struct place *place, const char *driver)
{
	const struct pci_function *function = place->function;
	enum pcie_type type = pci_is_pcie(function) ? pcie_type(function) : PCIE_ENDPOINT;
	bool port = type == PCIE_ROOT_PORT || type == PCIE_UPSTREAM_PORT || type == PCIE_DOWNSTREAM_PORT;

	if (!is_name(driver))
		return "that is no name for one";
	if (strcmp(driver, "pcieport") == 0 && !port)
		return "it is no PCI Express port here";
	if (strcmp(driver, "vfio-pci") == 0 && (function->untranslated || pci_is_bridge(function)))
		return "it has no group of its own to be assigned with";
	return NULL;
}

static void put_driver(struct capture *capture, const struct place *place, const struct model *model, unsigned indent)
{
	const struct pci_facts *facts = facts_of(capture, place);
	const char *usual = model && model->driver ? model->driver : "none", *problem;
	struct sheet *sheet = &capture->sheet;

	if (!facts->driver_said && !facts->driver)
		return;
	if (!facts->driver || !*facts->driver) {
		if (strcmp(usual, "none") != 0)
			PUT(indent, "driver: none\n");
		return;
	}
	problem = declined(place, facts->driver);
	if (problem)
		sheet_comment(sheet, indent, "driver \"%.60s\" is left out: %s", facts->driver, problem);
	else if (strcmp(facts->driver, usual) != 0)
		PUT(indent, isalnum((unsigned char)*facts->driver) ? "driver: %s\n" : "driver: \"%s\"\n",
		    facts->driver);
}

/* ---- capabilities ---- */

static void put_acs_bits(struct sheet *sheet, u16 bits)
{
	static const char *const names[] = {"sv", "tb", "rr", "cr", "uf", "ec", "dt"};
	const char *comma = "";

	sheet_put(sheet, "[");
	for (unsigned bit = 0; bit < ARRAY_SIZE(names); bit++)
		if (bits >> bit & 1) {
			sheet_put(sheet, "%s%s", comma, names[bit]);
			comma = ", ";
		}
	sheet_put(sheet, "]");
}

/* Enabled is what Linux makes of the registers when it uses the IOMMU: a room is asked about that state only. */
static void put_acs(struct capture *capture, const struct place *place, unsigned indent)
{
	const struct pci_traits *traits = &capture->grouping->traits[place->function->index];
	u16 capable = traits->acs_capable & 0x7f, enabled = traits->acs_enabled & capable;
	struct sheet *sheet = &capture->sheet;

	if (!place->function->cap_acs || !role_is_pcie(place->role))
		return;
	if (capable == (PCI_ACS_ISOLATION | PCI_ACS_TB) && enabled == PCI_ACS_ISOLATION) {
		PUT(indent, "acs: full\n");
		return;
	}
	PUT(indent, "acs: ");
	if (capable != enabled) {
		sheet_put(sheet, "{capable: ");
		put_acs_bits(sheet, capable);
		sheet_put(sheet, ", enabled: ");
	}
	put_acs_bits(sheet, enabled);
	sheet_put(sheet, capable != enabled ? "}\n" : "\n");
}

/* Numbers that contradict each other are brought into order. */
static void put_sriov(struct capture *capture, const struct pci_function *function, unsigned indent)
{
	const u8 *registers = function->config + function->cap_sriov;
	struct sheet *sheet = &capture->sheet;
	unsigned initial, total, enabled;

	if (!function->cap_sriov)
		return;
	initial = get_u16(registers + 0x0c);
	enabled = get_u16(registers + 0x10);
	total = (unsigned)max_u64(get_u16(registers + 0x0e), max_u64(initial, enabled));
	PUT(indent, "sriov: {total: %u", total);
	if (initial != total)
		sheet_put(sheet, ", initial: %u", initial);
	if (enabled)
		sheet_put(sheet, ", enabled: %u", enabled);
	sheet_put(sheet, ", offset: %u, stride: %u, device: \"%04x\"}\n", get_u16(registers + 0x14),
		  get_u16(registers + 0x16), get_u16(registers + 0x1a));
}

/* What reading takes for granted of a device without a model (machine/device_check.c). */
static bool reports_errors(const struct place *place)
{
	return place->role != ROLE_INTEGRATED && place->role != ROLE_EVENT_COLLECTOR;
}

static void put_extended(struct capture *capture, const struct place *place, const struct model *model, unsigned indent)
{
	const struct pci_function *function = place->function;
	u16 dsn = pci_find_ext_cap(function, PCI_EXT_DSN);
	unsigned phantom = get_u32(function->config + function->cap_pcie + 4) >> 3 & 3;
	struct sheet *sheet = &capture->sheet;
	bool shown = !(facts_of(capture, place)->gaps & PCI_GAP_EXT_CAPS);

	if (phantom)
		PUT(indent, "phantom: %u\n", phantom);
	if (!model && shown && (function->cap_aer != 0) != reports_errors(place))
		PUT(indent, "aer: %s\n", function->cap_aer ? "true" : "false");
	put_acs(capture, place, indent);
	if (dsn && dsn + 12u <= sizeof(function->config))
		PUT(indent, "dsn: \"%016llx\"\n", (unsigned long long)get_u64(function->config + dsn + 4));
	if (function->cap_ari)
		PUT(indent, "ari: true\n");
	if (function->cap_ats)
		PUT(indent, "ats: true\n");
	if (function->cap_pri)
		PUT(indent, "pri: true\n");
	if (function->cap_pasid)
		PUT(indent, "pasid: %llu\n",
		    (unsigned long long)min_u64(
			    max_u64(get_u16(function->config + function->cap_pasid + 4) >> 8 & 0x1f, 1), 20));
	if (function->cap_pasid && !pci_prefixes_reach_root(function))
		PUT(indent, "prefixes: false\n");
	if (!place->is_virtual)
		put_sriov(capture, function, indent);
}

static bool has_flr(const struct pci_function *function)
{
	if (pci_is_pcie(function) && get_u32(function->config + function->cap_pcie + 4) & 0x10000000)
		return true;
	return function->cap_af && (function->config[function->cap_af + 3] & 3) == 3;
}

static void put_capabilities(struct capture *capture, const struct place *place, const struct model *model,
			     unsigned indent)
{
	const struct pci_function *function = place->function;
	struct sheet *sheet = &capture->sheet;

	if (!function->cap_pm && !(facts_of(capture, place)->gaps & PCI_GAP_CAPS))
		PUT(indent, "pm: false\n");
	if (has_flr(function) && !pci_is_bridge(function))
		PUT(indent, "flr: true\n");
	if (pci_is_pcie(function))
		put_extended(capture, place, model, indent);
}

/* ---- the IOMMU ---- */

static void put_iommu(struct capture *capture, const struct place *place, unsigned indent)
{
	const struct pci_function *function = place->function, *above = function->parent;
	struct sheet *sheet = &capture->sheet;
	unsigned unit = (unsigned)min_u64(function->unit, MACHINE_UNITS - 1), unit_above;

	if (place->physical)
		above = place->physical;
	if (function->untranslated != (above && above->untranslated))
		PUT(indent, "iommu: %s\n", function->untranslated ? "false" : "true");
	unit_above = above ? (unsigned)min_u64(above->unit, MACHINE_UNITS - 1) : 0;
	if (unit != unit_above)
		PUT(indent, "unit: %u\n", unit);
	if (!place->first_region)
		return;
	PUT(indent, "regions:\n");
	for (u32 at = place->first_region; at; at = capture->next_region[at - 1]) {
		PUT(indent + 2, "- ");
		capture_region(sheet, &capture->survey->regions[at - 1]);
		sheet_put(sheet, "\n");
	}
}

/* A controller that answers; nothing else has a model that could stand in. */
static const struct model *model_of(const struct capture *capture, const struct place *place)
{
	if (!capture->limits.models || place->is_virtual || pci_is_bridge(place->function) ||
	    function_identity(place->function).class_code != 0x010802)
		return NULL;
	return model_find("nvme");
}

void capture_function(struct capture *capture, const struct place *place, unsigned indent)
{
	const struct model *model = model_of(capture, place);
	struct sheet *sheet = &capture->sheet;
	char bdf[PCI_ADDR_TEXT];

	put_role(capture, place, indent);
	put_identity(capture, place, indent);
	if (model) {
		sheet_comment(sheet, indent, "it answers, with a disk in memory; --disk %s=FILE gives it another",
			      pci_addr_print(place->function->addr, bdf));
		PUT(indent, "model: %s\n", model->name);
	}
	put_driver(capture, place, model, indent);
	put_iommu(capture, place, indent);
	put_capabilities(capture, place, model, indent);
	capture_registers(capture, place, model, indent);
}
