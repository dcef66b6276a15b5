/* SPDX-License-Identifier: MIT */
#include "machine/driver.h"

#include <stdio.h>

#include "base/alloc.h"

/* The drivers that every machine has; the rest comes from the description. */
static const struct {
	const char *name;
	enum driver_kind kind;
} known_drivers[] = {
	{"vfio-pci", DRIVER_VFIO_PCI},
	{"pci-stub", DRIVER_STUB},
	{"pcieport", DRIVER_PORT},
};

static enum driver_kind kind_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_drivers); i++)
		if (strcmp(known_drivers[i].name, name) == 0)
			return known_drivers[i].kind;
	return DRIVER_DMA_API;
}

static int add_id(struct driver *driver, const struct driver_id *id, struct why *why)
{
	struct driver_id *copy = alloc_new(struct driver_id, why);

	if (!copy)
		return -why->err;
	*copy = *id;
	if (id->dynamic)
		list_prepend(&driver->ids, &copy->link);
	else
		list_append(&driver->ids, &copy->link);
	return 0;
}

/* What pcieport matches by class: PCI-to-PCI bridges, both programming interfaces. */
static int add_port_ids(struct driver *driver, struct why *why)
{
	struct driver_id id = {
		.vendor = PCI_ANY,
		.device = PCI_ANY,
		.subsystem_vendor = PCI_ANY,
		.subsystem = PCI_ANY,
		.class_code = 0x060400,
		.class_mask = 0xfffffe,
	};

	return driver->kind == DRIVER_PORT ? add_id(driver, &id, why) : 0;
}

int driver_new(const char *name, struct list *drivers, struct driver **ret, struct why *why)
{
	_free_(driver) struct driver *driver = alloc_new(struct driver, why);
	int err;

	if (!driver)
		return -why->err;
	list_init(&driver->ids);
	assert(strlen(name) < sizeof(driver->name));
	strncpy(driver->name, name, sizeof(driver->name) - 1);
	driver->kind = kind_of(name);
	driver->driver_managed_dma = driver->kind != DRIVER_DMA_API;
	err = add_port_ids(driver, why);
	if (err < 0)
		return err;
	list_append(drivers, &driver->link);
	*ret = take(driver);
	return 0;
}

void driver_free(struct driver *driver)
{
	struct driver_id *id, *following;

	if (!driver)
		return;
	list_for_each_safe(id, following, &driver->ids, link) {
		list_remove(&id->link);
		free(id);
	}
	list_remove(&driver->link);
	free(driver);
}

struct driver *driver_find(const struct list *drivers, const char *name)
{
	struct driver *driver;

	list_for_each(driver, drivers, link)
		if (strcmp(driver->name, name) == 0)
			return driver;
	return NULL;
}

struct pci_identity function_identity(const struct pci_function *function)
{
	const u8 *config = function->config;
	u16 vendor, device;
	u16 at = pci_is_bridge(function) ? pci_find_cap(function, PCI_CAP_SUBSYSTEM) : PCI_SUBSYSTEM_VENDOR;

	/* In the capability the two follow its four-byte header (PCI-to-PCI Bridge 1.2 section 3.2.5.13). */
	if (pci_is_bridge(function) && at)
		at = (u16)(at + 4);
	pci_known_ids(function, &vendor, &device);
	return (struct pci_identity){
		.vendor = vendor,
		.device = device,
		.subsystem_vendor = at ? get_u16(config + at) : 0,
		.subsystem = at ? get_u16(config + at + 2) : 0,
		.class_code = get_u32(config + PCI_REVISION) >> 8,
		.revision = config[PCI_REVISION],
	};
}

static bool id_matches(const struct driver_id *id, const struct pci_identity *identity)
{
	return (id->vendor == PCI_ANY || id->vendor == identity->vendor) &&
	       (id->device == PCI_ANY || id->device == identity->device) &&
	       (id->subsystem_vendor == PCI_ANY || id->subsystem_vendor == identity->subsystem_vendor) &&
	       (id->subsystem == PCI_ANY || id->subsystem == identity->subsystem) &&
	       ((id->class_code ^ identity->class_code) & id->class_mask) == 0;
}

static bool table_matches(const struct driver *driver, const struct pci_identity *identity)
{
	const struct driver_id *id;

	list_for_each(id, &driver->ids, link)
		if (id_matches(id, identity))
			return true;
	return false;
}

int driver_add_identity(struct driver *driver, const struct pci_identity *identity, struct why *why)
{
	struct driver_id id = {
		.vendor = identity->vendor,
		.device = identity->device,
		.subsystem_vendor = PCI_ANY,
		.subsystem = PCI_ANY,
	};

	/* vfio-pci and pci-stub come without a table: whoever wants them says so. */
	if (driver->kind == DRIVER_VFIO_PCI || driver->kind == DRIVER_STUB)
		return 0;
	return table_matches(driver, identity) ? 0 : add_id(driver, &id, why);
}

int driver_add_function(struct driver *driver, const struct pci_function *function, struct why *why)
{
	struct pci_identity identity = function_identity(function);

	return driver_add_identity(driver, &identity, why);
}

bool driver_matches(const struct driver *driver, const struct pci_function *function, const char *override)
{
	struct pci_identity identity = function_identity(function);

	if (override)
		return strcmp(override, driver->name) == 0;
	return table_matches(driver, &identity);
}

/* How many of the fields of new_id the text has, in the order of the ABI; *data is the seventh. */
static int parse_id(const struct text *text, struct driver_id *id, unsigned long *data)
{
	char fields[128];

	*id = (struct driver_id){
		.vendor = PCI_ANY,
		.device = PCI_ANY,
		.subsystem_vendor = PCI_ANY,
		.subsystem = PCI_ANY,
		.dynamic = true,
	};
	*data = 0;
	/* The kernel's %x knows no sign. */
	snprintf(fields, sizeof(fields), "%.*s", (int)strcspn(text->bytes, "+-"), text->bytes);
	return sscanf(fields, "%x %x %x %x %x %x %lx", &id->vendor, &id->device, &id->subsystem_vendor, &id->subsystem,
		      &id->class_code, &id->class_mask, data);
}

static int refuse_malformed(const struct driver *driver, const struct text *text, struct why *why)
{
	char sample[TEXT_SAMPLE];

	return refuse(why, NEW_ID_MALFORMED, "driver %s: \"%s\" does not begin with two hex numbers", driver->name,
		      text_sample(text->bytes, sample));
}

/* Linux compares as 16 bits are stored: an id for "any subsystem" asks for subsystem ffff:ffff. */
static bool already_known(const struct driver *driver, const struct driver_id *id)
{
	struct pci_identity identity = {
		.vendor = (u16)id->vendor,
		.device = (u16)id->device,
		.subsystem_vendor = (u16)id->subsystem_vendor,
		.subsystem = (u16)id->subsystem,
		.class_code = id->class_code,
	};

	return table_matches(driver, &identity);
}

int driver_new_id(struct driver *driver, const struct text *text, struct why *why)
{
	struct driver_id id;
	unsigned long data;
	int fields = parse_id(text, &id, &data);

	if (fields < 2)
		return refuse_malformed(driver, text, why);
	if (fields != 7 && already_known(driver, &id))
		return refuse(why, NEW_ID_EXISTS, "driver %s takes %04x:%04x already", driver->name, id.vendor,
			      id.device);
	/* driver_data must be that of a row of the table; none of our drivers' rows has any but 0. */
	if (data)
		return refuse(why, NEW_ID_DATA, "driver %s has no device with driver data %#lx", driver->name, data);
	return add_id(driver, &id, why);
}

static bool removes(const struct driver_id *wanted, const struct driver_id *id)
{
	return id->dynamic && id->vendor == wanted->vendor && id->device == wanted->device &&
	       (wanted->subsystem_vendor == PCI_ANY || id->subsystem_vendor == wanted->subsystem_vendor) &&
	       (wanted->subsystem == PCI_ANY || id->subsystem == wanted->subsystem) &&
	       ((id->class_code ^ wanted->class_code) & wanted->class_mask) == 0;
}

int driver_remove_id(struct driver *driver, const struct text *text, struct why *why)
{
	struct driver_id wanted, *id;
	unsigned long data;

	if (parse_id(text, &wanted, &data) < 2)
		return refuse_malformed(driver, text, why);
	list_for_each(id, &driver->ids, link) {
		if (!removes(&wanted, id))
			continue;
		list_remove(&id->link);
		free(id);
		return 0;
	}
	return refuse(why, REMOVE_ID_UNKNOWN, "driver %s was never given %04x:%04x by new_id", driver->name,
		      wanted.vendor, wanted.device);
}

void driver_check(const struct driver *driver)
{
	const struct driver_id *id;
	bool dynamic = true;

	assert(driver->driver_managed_dma == (driver->kind != DRIVER_DMA_API));
	list_for_each(id, &driver->ids, link) {
		assert(dynamic || !id->dynamic);
		dynamic = id->dynamic;
	}
}
