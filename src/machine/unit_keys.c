/* SPDX-License-Identifier: MIT */
/* `iommu:` of a machine file. Which values there are depends on the kind, so that is looked at when all keys are read.
 */
#include <string.h>

#include "iommu/kind.h"
#include "machine/reading.h"
#include "machine/unit.h"

/* The mapping while it is read. Nodes are those of keys that are given; NULL otherwise. */
struct unit_reading {
	struct unit_description *unit;
	yaml_node_t *width, *pasids, *granule, *format, *dirty, *nesting, *coherent, *regions;
	char format_name[8];
};

static int read_kind(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct unit_reading *reading = target;
	const char *text = "";
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	for (enum unit_kind kind = KIND_INTEL; kind < KINDS; kind++)
		if (strcmp(text, unit_kind_name(kind)) == 0) {
			reading->unit->kind = kind;
			return 0;
		}
	return yaml_refuse(reader, node, "\"%.40s\" is no IOMMU; there are intel-vtd, amd-vi, arm-smmuv3, riscv-iommu",
			   text);
}

static int read_small_number(struct yaml_reader *reader, yaml_node_t *node, u64 most, yaml_node_t **ret_node,
			     unsigned *ret)
{
	u64 number = 0;
	int err = yaml_number(reader, node, most, &number);

	*ret_node = node;
	*ret = (unsigned)number;
	return err;
}

static int read_width(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct unit_reading *reading = target;

	return read_small_number(reader, node, 64, &reading->width, &reading->unit->width);
}

static int read_pasids(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct unit_reading *reading = target;

	return read_small_number(reader, node, 20, &reading->pasids, &reading->unit->pasid_bits);
}

static int read_granule(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct unit_reading *reading = target;

	return read_small_number(reader, node, 0x10000, &reading->granule, &reading->unit->granule);
}

static int read_format(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct unit_reading *reading = target;

	reading->format = node;
	return yaml_copy(reader, node, reading->format_name, sizeof(reading->format_name));
}

static int read_dirty(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct unit_reading *reading = target;

	reading->dirty = node;
	return yaml_bool(reader, node, &reading->unit->dirty);
}

static int read_nesting(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct unit_reading *reading = target;

	reading->nesting = node;
	return yaml_bool(reader, node, &reading->unit->nesting);
}

static int read_coherent(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct unit_reading *reading = target;

	reading->coherent = node;
	return yaml_bool(reader, node, &reading->unit->coherent);
}

static int read_remapping(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	const struct unit_reading *reading = target;
	bool remaps = false;
	int err = yaml_bool(reader, node, &remaps);

	reading->unit->shared_interrupts = !remaps;
	return err;
}

/* ---- reserved regions ---- */

static int read_region_start(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_number(reader, node, UINT64_MAX, &((struct reserved_region *)target)->start);
}

static int read_region_last(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_number(reader, node, UINT64_MAX, &((struct reserved_region *)target)->last);
}

static int read_region_kind(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const struct {
		const char *name;
		enum reserved_kind kind;
	} kinds[] = {{"direct", RESERVED_DIRECT},
		     {"direct-relaxable", RESERVED_DIRECT_RELAXABLE},
		     {"reserved", RESERVED_RESERVED},
		     {"msi", RESERVED_MSI},
		     {"sw-msi", RESERVED_SW_MSI}};
	struct reserved_region *region = target;
	const char *text = "";
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(text, kinds[i].name) == 0) {
			region->kind = kinds[i].kind;
			return 0;
		}
	return yaml_refuse(reader, node,
			   "\"%.40s\" is no kind of region: direct, direct-relaxable, reserved, msi, sw-msi", text);
}

int read_region(struct yaml_reader *reader, yaml_node_t *node, struct reserved_region *ret)
{
	static const struct yaml_key keys[] = {
		{"start", read_region_start}, {"last", read_region_last}, {"kind", read_region_kind}};
	int err;

	*ret = (struct reserved_region){.kind = RESERVED_RESERVED};
	err = yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "a region", ret);
	if (err == 0 && ret->start > ret->last)
		return yaml_refuse(reader, node, "the region ends before it starts; `last` is its last byte");
	if (err == 0 && !ret->last)
		return yaml_refuse(reader, node, "a region has a start and a last byte");
	return err;
}

static int add_region(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct unit_description *unit = ((struct unit_reading *)target)->unit;

	if (unit->nregions == UNIT_REGIONS)
		return yaml_refuse(reader, node, "an IOMMU has at most %d regions", UNIT_REGIONS);
	return read_region(reader, node, &unit->regions[unit->nregions++]);
}

static int read_regions(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	((struct unit_reading *)target)->regions = node;
	return yaml_read_sequence(reader, node, "regions", add_region, target);
}

/* ---- what must agree, and what is not said ---- */

static bool is_one_of(unsigned value, const unsigned *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (values[i] == value)
			return true;
	return false;
}

static int check_width(struct yaml_reader *reader, const struct unit_reading *reading)
{
	static const struct {
		unsigned widths[3];
		const char *text;
	} kinds[] = {
		[KIND_INTEL] = {{39, 48, 57}, "39, 48 or 57"},
		[KIND_AMD] = {{48, 57, 64}, "48, 57 or 64"},
		[KIND_SMMU] = {{39, 42, 48}, "39, 42 or 48"},
		[KIND_RISCV] = {{39, 48, 57}, "39, 48 or 57"},
	};
	const struct unit_description *unit = reading->unit;

	if (!reading->width || is_one_of(unit->width, kinds[unit->kind].widths, 3))
		return 0;
	return yaml_refuse(reader, reading->width, "an IOMMU of kind %s is %s bits wide", unit_kind_name(unit->kind),
			   kinds[unit->kind].text);
}

static int refuse_key(struct yaml_reader *reader, const yaml_node_t *node, const struct unit_reading *reading,
		      const char *key)
{
	return yaml_refuse(reader, node, "%s has no %s", unit_kind_name(reading->unit->kind), key);
}

static int check_format(struct yaml_reader *reader, struct unit_reading *reading)
{
	if (!reading->format)
		return 0;
	if (reading->unit->kind != KIND_AMD)
		return refuse_key(reader, reading->format, reading, "choice of format");
	reading->unit->guest_tables = strcmp(reading->format_name, "v2") == 0;
	if (reading->unit->guest_tables || strcmp(reading->format_name, "v1") == 0)
		return 0;
	return yaml_refuse(reader, reading->format, "the format is v1 or v2");
}

static int check_granule(struct yaml_reader *reader, const struct unit_reading *reading)
{
	static const unsigned granules[] = {4096, 16384, 65536};

	if (!reading->granule)
		return 0;
	if (reading->unit->kind != KIND_SMMU)
		return refuse_key(reader, reading->granule, reading, "choice of granule");
	if (is_one_of(reading->unit->granule, granules, ARRAY_SIZE(granules)))
		return 0;
	return yaml_refuse(reader, reading->granule, "the granule is 4096, 16384 or 65536");
}

static int check_abilities(struct yaml_reader *reader, const struct unit_reading *reading)
{
	const struct unit_description *unit = reading->unit;

	if (unit->kind == KIND_RISCV && reading->pasids && unit->pasid_bits)
		return refuse_key(reader, reading->pasids, reading, "PASIDs in Linux 7.2");
	if (unit->kind == KIND_RISCV && reading->dirty && unit->dirty)
		return refuse_key(reader, reading->dirty, reading, "dirty tracking in Linux 7.2");
	if (unit->kind == KIND_RISCV && reading->nesting && unit->nesting)
		return refuse_key(reader, reading->nesting, reading, "nesting in Linux 7.2");
	if (unit->kind != KIND_SMMU && unit->kind != KIND_RISCV && reading->coherent && !unit->coherent)
		return yaml_refuse(reader, reading->coherent, "%s is always coherent", unit_kind_name(unit->kind));
	if ((unit->kind == KIND_INTEL || unit->kind == KIND_AMD) && unit->nesting && !unit->pasid_bits)
		return yaml_refuse(reader, reading->nesting, "nesting needs PASIDs: the tables of both are the same");
	if (unit->guest_tables && !unit->pasid_bits)
		return yaml_refuse(reader, reading->format, "format v2 needs PASIDs: its tables are theirs");
	return 0;
}

/* Stores to it are interrupts, on every PC. */
#define PC_MSI                                                                                                         \
	{                                                                                                              \
		0xfee00000, 0xfeefffff, RESERVED_MSI                                                                   \
	}

static void set_defaults(struct unit_reading *reading)
{
	static const struct unit_description defaults[] = {
		[KIND_INTEL] = {.width = 48,
				.pasid_bits = 20,
				.dirty = true,
				.coherent = true,
				.regions = {PC_MSI},
				.nregions = 1},
		/* The second region is HyperTransport's own (amd_iommu_get_resv_regions()). */
		[KIND_AMD] = {.width = 64,
			      .pasid_bits = 16,
			      .dirty = true,
			      .nesting = true,
			      .coherent = true,
			      .regions = {PC_MSI, {0xfd00000000, 0xffffffffff, RESERVED_RESERVED}},
			      .nregions = 2},
		[KIND_SMMU] = {.width = 48,
			       .pasid_bits = 16,
			       .granule = 4096,
			       .dirty = true,
			       .nesting = true,
			       .coherent = true,
			       .regions = {{0x8000000, 0x80fffff, RESERVED_SW_MSI}},
			       .nregions = 1},
		[KIND_RISCV] = {.width = 48},
	};
	struct unit_description *unit = reading->unit;
	const struct unit_description *usual = &defaults[unit->kind];

	if (!reading->width)
		unit->width = usual->width;
	if (!reading->pasids)
		unit->pasid_bits = usual->pasid_bits;
	if (!reading->granule)
		unit->granule = usual->granule;
	if (!reading->dirty)
		unit->dirty = usual->dirty;
	if (!reading->nesting)
		unit->nesting = usual->nesting && (unit->pasid_bits || unit->kind == KIND_SMMU);
	if (!reading->coherent)
		unit->coherent = usual->coherent;
	if (!reading->regions) {
		memcpy(unit->regions, usual->regions, sizeof(unit->regions));
		unit->nregions = usual->nregions;
	}
}

int read_iommu(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const struct yaml_key keys[] = {
		{"kind", read_kind},	   {"width", read_width},
		{"pasids", read_pasids},   {"granule", read_granule},
		{"format", read_format},   {"dirty", read_dirty},
		{"nesting", read_nesting}, {"coherent", read_coherent},
		{"regions", read_regions}, {"interrupt_remapping", read_remapping},
	};
	struct unit_reading reading = {.unit = &reading_of(reader)->description->iommu};
	int err;

	if (node && node->type == YAML_SCALAR_NODE && strcmp((const char *)node->data.scalar.value, "none") == 0)
		return 0;
	reading.unit->present = true;
	err = yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "iommu", &reading);
	if (err < 0)
		return err;
	set_defaults(&reading);
	err = check_width(reader, &reading);
	if (err == 0)
		err = check_format(reader, &reading);
	if (err == 0)
		err = check_granule(reader, &reading);
	return err < 0 ? err : check_abilities(reader, &reading);
}
