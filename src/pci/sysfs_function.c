/* SPDX-License-Identifier: MIT */
/*
 * One function from its directory in sysfs. The attributes come first and the registers second, as for the kernel:
 * it knows the ids of virtual functions, whose registers hold none, and has mended some classes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "pci/sysfs.h"

#define HEADER 64 /* what an ordinary user may read of the registers */
#define WHOLE  4096

/* Flags of a line of `resource` (Linux: include/linux/ioport.h). */
enum { RESOURCE_IO = 0x100, RESOURCE_MEMORY = 0x200, RESOURCE_PREFETCH = 0x2000, RESOURCE_64 = 0x100000 };

/* "0x8086" */
static bool read_number(int folder, const char *name, int base, unsigned long most, unsigned long *ret)
{
	char text[SYSFS_NAME], *after;

	if (!sysfs_text(folder, name, text, sizeof(text)) || !*text)
		return false;
	*ret = strtoul(text, &after, base);
	return after != text && (*after == '\0' || *after == '\n') && *ret <= most;
}

/* ---- registers ---- */

static bool all_are(const u8 *bytes, size_t count, u8 value)
{
	for (size_t i = 0; i < count; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

/*
 * How many of these bytes are registers. tar fills what an ordinary user could not read with zeros. A function that is
 * asleep or gone answers with ones.
 */
static u16 known_of(const u8 *config, s64 got)
{
	u16 known = got >= WHOLE ? WHOLE : got >= 256 ? 256 : got >= HEADER ? HEADER : 0;

	if (known && all_are(config, HEADER, 0xff))
		return 0;
	if (known > HEADER && get_u16(config + PCI_STATUS) & PCI_STATUS_CAP_LIST &&
	    all_are(config + HEADER, known - HEADER, 0))
		return HEADER;
	return known;
}

/* Without registers, what the attributes of a bridge say. */
static void make_bridge(struct pci_facts *facts, int folder)
{
	unsigned long secondary, subordinate;

	facts->gaps |= PCI_GAP_HEADER;
	if (get_u16(facts->function->config + PCI_CLASS) != 0x0604)
		return;
	if (read_number(folder, "secondary_bus_number", 10, 255, &secondary) &&
	    read_number(folder, "subordinate_bus_number", 10, 255, &subordinate))
		pci_make_bridge(facts->function, (u8)secondary, (u8)subordinate);
	else
		facts->gaps |= PCI_GAP_BUSES;
}

static int find_caps(struct sysfs_reader *reader, struct pci_facts *facts, u16 known, struct why *why)
{
	struct pci_function *function = facts->function;
	bool hidden = !known || (known == HEADER && get_u16(function->config + PCI_STATUS) & PCI_STATUS_CAP_LIST);
	char bdf[PCI_ADDR_TEXT];
	bool sane = pci_scan_caps(function, known);

	if (hidden)
		facts->gaps |= PCI_GAP_CAPS;
	if (hidden || (known < WHOLE && pci_is_pcie(function)))
		facts->gaps |= PCI_GAP_EXT_CAPS;
	return sane ? 0
		    : pci_survey_remark(reader->survey, REMARK_WARNING, 0, NULL, why,
					"the list of capabilities of %s does not end where it should",
					pci_addr_print(function->addr, bdf));
}

/* ---- attributes ---- */

struct attributes {
	unsigned long vendor, device, class_code, revision, subsystem_vendor, subsystem;
	bool ids, class, revised, subsystems;
};

static void read_attributes(int folder, struct attributes *ret)
{
	*ret = (struct attributes){.ids = false};
	ret->ids = read_number(folder, "vendor", 16, UINT16_MAX, &ret->vendor) &&
		   read_number(folder, "device", 16, UINT16_MAX, &ret->device);
	ret->class = read_number(folder, "class", 16, 0xffffff, &ret->class_code);
	ret->revised = read_number(folder, "revision", 16, 0xff, &ret->revision);
	ret->subsystems = read_number(folder, "subsystem_vendor", 16, UINT16_MAX, &ret->subsystem_vendor) &&
			  read_number(folder, "subsystem_device", 16, UINT16_MAX, &ret->subsystem);
}

/* Over what the registers said. A bridge has other registers in place of the subsystem. */
static void put_attributes(u8 *config, const struct attributes *attributes)
{
	if (attributes->ids) {
		put_u16(config + PCI_VENDOR_ID, (u16)attributes->vendor);
		put_u16(config + PCI_DEVICE_ID, (u16)attributes->device);
	}
	if (attributes->class) {
		config[PCI_CLASS_PROG] = (u8)attributes->class_code;
		put_u16(config + PCI_CLASS, (u16)(attributes->class_code >> 8));
	}
	if (attributes->revised)
		config[PCI_REVISION] = (u8)attributes->revision;
	if (attributes->subsystems && (config[PCI_HEADER_TYPE] & 0x7f) == 0) {
		put_u16(config + PCI_SUBSYSTEM_VENDOR, (u16)attributes->subsystem_vendor);
		put_u16(config + PCI_SUBSYSTEM, (u16)attributes->subsystem);
	}
}

static int read_registers(struct sysfs_reader *reader, struct pci_facts *facts, int folder, struct why *why)
{
	u8 config[WHOLE];
	u16 known = known_of(config, os_folder_read(folder, "config", config, sizeof(config)));
	struct attributes attributes;

	memcpy(facts->function->config, config, known);
	read_attributes(folder, &attributes);
	put_attributes(facts->function->config, &attributes);
	if (!known) {
		facts->gaps |= (attributes.ids ? 0 : PCI_GAP_IDS) | (attributes.class ? 0 : PCI_GAP_CLASS) |
			       (attributes.subsystems ? 0 : PCI_GAP_SUBSYSTEM);
		make_bridge(facts, folder);
	}
	return find_caps(reader, facts, known, why);
}

/* ---- BARs ---- */

static void set_bar(struct pci_function *function, unsigned bar, u64 start, u64 last, u64 flags)
{
	struct pci_bar *slot = &function->bars[bar];
	bool wide = flags & RESOURCE_64 && bar + 1 < PCI_BARS;
	u64 size = last - start + 1;

	if (!(flags & (RESOURCE_IO | RESOURCE_MEMORY)) || last <= start || !size || size & (size - 1) ||
	    slot->kind != PCI_BAR_NONE)
		return;
	*slot = (struct pci_bar){.size = size, .address = start, .prefetchable = flags & RESOURCE_PREFETCH};
	slot->kind = flags & RESOURCE_IO ? PCI_BAR_IO : wide ? PCI_BAR_MEMORY64 : PCI_BAR_MEMORY32;
	if (slot->kind == PCI_BAR_MEMORY64)
		function->bars[bar + 1].kind = PCI_BAR_UPPER_HALF;
}

/* A line each for six BARs, the ROM, and then what is no BAR of this function. Bridges have two. */
static void read_bars(struct pci_function *function, int folder)
{
	unsigned bars = pci_is_bridge(function) ? 2 : PCI_BARS;
	char text[WHOLE], *line = text;

	if (!sysfs_text(folder, "resource", text, sizeof(text)))
		return;
	for (unsigned bar = 0; bar <= PCI_ROM && line; bar++) {
		unsigned long long start, last, flags;

		if (sscanf(line, "%llx %llx %llx", &start, &last, &flags) == 3 && (bar < bars || bar == PCI_ROM))
			set_bar(function, bar, start, last, flags);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
}

/* ---- links ---- */

/* The number in "dmar0" and "ivhd1" is the place in the firmware's table; other units count as they are met. */
static unsigned unit_of(struct sysfs_reader *reader, const char *name)
{
	unsigned number, i = 0;
	int used = 0;

	if ((sscanf(name, "dmar%3u%n", &number, &used) == 1 || sscanf(name, "ivhd%3u%n", &number, &used) == 1) &&
	    !name[used] && number < SYSFS_UNITS) {
		reader->survey->platform = *name == 'd' ? PLATFORM_INTEL : PLATFORM_AMD;
		return number;
	}
	while (i < reader->nunits && strcmp(reader->units[i], name) != 0)
		i++;
	if (i == SYSFS_UNITS)
		return SYSFS_UNITS - 1;
	if (i == reader->nunits)
		snprintf(reader->units[reader->nunits++], SYSFS_NAME, "%s", name);
	if (reader->survey->platform == PLATFORM_UNKNOWN)
		reader->survey->platform = PLATFORM_OTHER;
	return i;
}

static int read_links(struct sysfs_reader *reader, struct pci_facts *facts, int folder, struct why *why)
{
	char name[SYSFS_NAME];

	facts->host_group = sysfs_link_name(folder, "iommu_group", name)
				    ? sysfs_group_number(name)
				    : sysfs_group_of(reader, facts->function->addr);
	if (sysfs_link_name(folder, "iommu", name)) {
		facts->function->unit = (u8)unit_of(reader, name);
		reader->survey->units_said = true;
	}
	if (sysfs_link_name(folder, "physfn", name) && pci_addr_parse(name, &facts->physical))
		facts->is_virtual = true;
	if (!sysfs_link_name(folder, "driver", name))
		return 0;
	reader->shows_drivers = true;
	facts->driver = alloc_string(name, why);
	return facts->driver ? 0 : -why->err;
}

/* ---- place ---- */

enum component { COMPONENT_OTHER, COMPONENT_FUNCTION, COMPONENT_ROOT_BUS };

static enum component component_of(const char *name, struct pci_addr *addr)
{
	unsigned segment, bus;
	int used = 0;

	if (pci_addr_parse(name, addr))
		return COMPONENT_FUNCTION;
	if (sscanf(name, "pci%8x:%2x%n", &segment, &bus, &used) == 2 && !name[used])
		return COMPONENT_ROOT_BUS;
	return COMPONENT_OTHER;
}

/*
 * What a path like devices/pci0000:00/0000:00:1c.0/0000:02:00.0 says of the function at its end. A root bus below a
 * function is one that Intel VMD hides; its segment is a made-up one.
 */
static void read_place(struct pci_facts *facts, const char *path)
{
	enum component kind, previous = COMPONENT_OTHER;
	struct pci_addr addr, last = {0}, vmd = {.segment = UINT32_MAX};
	char copy[SYSFS_PATH], *rest = copy, *name;

	snprintf(copy, sizeof(copy), "%s", path);
	while ((name = strsep(&rest, "/")) && rest) {
		kind = component_of(name, &addr);
		if (kind == COMPONENT_ROOT_BUS)
			vmd = previous == COMPONENT_FUNCTION ? last : (struct pci_addr){.segment = UINT32_MAX};
		if (kind == COMPONENT_FUNCTION)
			last = addr;
		previous = kind;
	}
	facts->above_said = previous != COMPONENT_OTHER;
	facts->above_is_root = previous == COMPONENT_ROOT_BUS;
	if (previous == COMPONENT_FUNCTION)
		facts->above = last;
	if (vmd.segment <= UINT16_MAX && facts->function->addr.segment > UINT16_MAX) {
		facts->vmd_said = true;
		facts->vmd = vmd;
	}
}

int sysfs_read_function(struct sysfs_reader *reader, struct pci_addr addr, int folder, const char *path,
			struct why *why)
{
	const struct pci_identity unknown = {.vendor = 0};
	struct pci_facts *facts;
	int err = pci_survey_add(reader->survey, addr, &unknown, &facts, why);

	if (err < 0)
		return err;
	read_place(facts, path);
	err = read_registers(reader, facts, folder, why);
	if (err < 0)
		return err;
	read_bars(facts->function, folder);
	if (os_folder_has(folder, "max_link_speed"))
		reader->shows_links = true;
	else
		facts->gaps |= SYSFS_GAP_LINK;
	return read_links(reader, facts, folder, why);
}
