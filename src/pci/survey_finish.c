/* SPDX-License-Identifier: MIT */
/*
 * From the functions a reader found to a topology: order, bridges above, virtual functions, slots, VMD, coverage. What
 * the source leaves open is settled the way most machines are, with a remark that says so.
 *
 * Bus numbers only grow downwards (a bridge's secondary bus is above its own), so no chain of parents can loop.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "pci/survey_order.h"

#define BUSES	    256
#define VMD_SEGMENT 0x10000 /* the first that Linux gives to buses behind VMD */

#define SEE_ALL "sudo lspci -vvvnn"

/* The buses of one segment: facts[first..after) in address order. */
struct segment {
	struct pci_survey *survey;
	size_t first, after;
	size_t begins[BUSES + 1]; /* of each bus, as an index of facts */
	struct pci_function *bridge_to[BUSES];
};

static int by_address(const void *a, const void *b)
{
	u64 x = pci_addr_key(((const struct pci_facts *)a)->function->addr);
	u64 y = pci_addr_key(((const struct pci_facts *)b)->function->addr);

	return x < y ? -1 : x > y;
}

static struct pci_facts *facts_at(const struct pci_survey *survey, struct pci_addr addr)
{
	struct pci_function wanted = {.addr = addr};
	struct pci_facts key = {.function = &wanted};

	return bsearch(&key, survey->facts, survey->count, sizeof(key), by_address);
}

static u16 vendor_of(const struct pci_function *function)
{
	return get_u16(function->config + PCI_VENDOR_ID);
}

static u16 class_of(const struct pci_function *function)
{
	return get_u16(function->config + PCI_CLASS);
}

/* qsort is not stable, so which of two equal addresses stays is decided by line. */
static int drop_doubles(struct pci_survey *survey, struct why *why)
{
	size_t kept = 0;

	for (size_t i = 0; i < survey->count; i++) {
		struct pci_facts *facts = &survey->facts[i], *before = kept ? &survey->facts[kept - 1] : NULL;
		char bdf[PCI_ADDR_TEXT];
		int err;

		if (!before || !pci_addr_equal(before->function->addr, facts->function->addr)) {
			survey->facts[kept++] = *facts;
			continue;
		}
		err = pci_survey_remark(survey, REMARK_WARNING, facts->line, NULL, why,
					"%s is there twice; one of them is used",
					pci_addr_print(facts->function->addr, bdf));
		if (err < 0)
			return err;
		if (facts->line < before->line) {
			struct pci_facts swap = *before;

			*before = *facts;
			*facts = swap;
		}
		pci_function_fini(facts->function);
		free(facts->function);
		free(facts->name);
		free(facts->driver);
		facts->function = NULL;
		facts->name = facts->driver = NULL;
	}
	survey->count = kept;
	return 0;
}

/* ---- virtual functions ---- */

/* Whose id is above its virtual function's is not its physical function; so no chain of parents can loop. */
static void mark_virtual(struct pci_facts *facts, struct pci_function *physical)
{
	if (physical && (physical->addr.segment != facts->function->addr.segment ||
			 pci_addr_key(physical->addr) >= pci_addr_key(facts->function->addr)))
		physical = NULL;
	facts->is_virtual = true;
	facts->function->physical = physical;
	if (physical)
		facts->physical = physical->addr;
}

/* The addresses that an SR-IOV capability gives away (PCI Express Base 5.0 section 9.3.3.9). */
static void mark_virtual_of(struct pci_survey *survey, struct pci_function *physical)
{
	const u8 *registers = physical->config + physical->cap_sriov;
	unsigned enabled = get_u16(registers + 0x10), offset = get_u16(registers + 0x14);
	unsigned stride = get_u16(registers + 0x16);

	for (unsigned i = 0; i < enabled; i++) {
		unsigned id = pci_requester_id(physical->addr) + offset + i * stride;
		struct pci_addr addr = {physical->addr.segment, (u8)(id >> 8), (u8)id};
		struct pci_facts *facts = id > 0xffff || !offset ? NULL : facts_at(survey, addr);

		if (id > 0xffff || !offset || (!stride && i))
			return;
		if (facts && facts->function != physical)
			mark_virtual(facts, physical);
	}
}

static int find_virtual(struct pci_survey *survey, struct why *why)
{
	unsigned unknown = 0;

	for (size_t i = 0; i < survey->count; i++)
		if (survey->facts[i].function->cap_sriov)
			mark_virtual_of(survey, survey->facts[i].function);
	for (size_t i = 0; i < survey->count; i++) {
		struct pci_facts *facts = &survey->facts[i];

		if (facts->function->physical)
			continue;
		if (facts->is_virtual) {
			struct pci_facts *physical = facts_at(survey, facts->physical);

			mark_virtual(facts, physical ? physical->function : NULL);
		} else if (facts->name && strstr(facts->name, "Virtual Function")) {
			mark_virtual(facts, NULL);
		}
		unknown += facts->is_virtual && !facts->function->physical;
	}
	if (!unknown)
		return 0;
	return pci_survey_remark(
		survey, REMARK_ASSUMPTION, 0, SEE_ALL, why,
		"%u virtual functions do not say whose they are; they are taken as their bus shows them", unknown);
}

/* ---- buses ---- */

static int map_bridges(struct segment *segment, struct why *why)
{
	struct pci_survey *survey = segment->survey;
	char bdf[PCI_ADDR_TEXT], other[PCI_ADDR_TEXT];
	int err = 0;

	for (size_t i = segment->first; i < segment->after && err == 0; i++) {
		struct pci_function *bridge = survey->facts[i].function;
		struct pci_function **to = &segment->bridge_to[bridge->secondary];

		if (!pci_is_bridge(bridge) || !bridge->secondary)
			continue;
		pci_addr_print(bridge->addr, bdf);
		if (bridge->secondary <= bridge->addr.bus)
			err = pci_survey_remark(survey, REMARK_WARNING, survey->facts[i].line, NULL, why,
						"%s leads back to bus %02x; it is taken as leading nowhere", bdf,
						bridge->secondary);
		else if (*to)
			err = pci_survey_remark(survey, REMARK_WARNING, survey->facts[i].line, NULL, why,
						"%s and %s both lead to bus %02x; the first is believed",
						pci_addr_print((*to)->addr, other), bdf, bridge->secondary);
		else
			*to = bridge;
	}
	return err;
}

/* The innermost bridge whose range of buses holds this one although it does not lead there. */
static struct pci_function *bridge_around(const struct segment *segment, unsigned bus)
{
	for (unsigned above = bus; above-- > 1;) {
		struct pci_function *bridge = segment->bridge_to[above];

		if (bridge && bridge->subordinate >= bus && bridge->addr.bus < bus)
			return bridge;
	}
	return NULL;
}

static int parent_of_bus(struct segment *segment, unsigned bus, struct pci_function **ret, struct why *why)
{
	const struct pci_facts *first = &segment->survey->facts[segment->begins[bus]];
	char bdf[PCI_ADDR_TEXT];

	*ret = segment->bridge_to[bus];
	if (*ret)
		return 0;
	*ret = bridge_around(segment, bus);
	if (!*ret || first->is_virtual)
		return 0;
	return pci_survey_remark(segment->survey, REMARK_WARNING, first->line, SEE_ALL, why,
				 "the bridge to bus %02x is missing; the bus is taken as directly below %s", bus,
				 pci_addr_print((*ret)->addr, bdf));
}

static void set_parent(const struct pci_survey *survey, struct pci_facts *facts, struct pci_function *by_bus)
{
	struct pci_facts *above = facts->above_said && !facts->above_is_root ? facts_at(survey, facts->above) : NULL;

	facts->function->parent = by_bus;
	if (facts->above_said && facts->above_is_root)
		facts->function->parent = NULL;
	else if (above && above->function->addr.bus < facts->function->addr.bus && pci_is_bridge(above->function) &&
		 above->function->addr.segment == facts->function->addr.segment)
		facts->function->parent = above->function;
	if (facts->function->physical)
		facts->function->parent = NULL; /* until its physical function has one */
}

static int link_segment(struct segment *segment, struct why *why)
{
	struct pci_survey *survey = segment->survey;
	int err = map_bridges(segment, why);

	for (unsigned bus = 0; bus < BUSES && err == 0; bus++) {
		struct pci_function *parent;

		if (segment->begins[bus] == segment->begins[bus + 1])
			continue;
		err = parent_of_bus(segment, bus, &parent, why);
		for (size_t i = segment->begins[bus]; i < segment->begins[bus + 1] && err == 0; i++)
			set_parent(survey, &survey->facts[i], parent);
	}
	return err;
}

/* Splits facts, which are in address order, into segments and buses. */
static int link_all(struct pci_survey *survey, struct why *why)
{
	struct segment *segment = alloc_new(struct segment, why);
	size_t i = 0;
	int err = 0;

	if (!segment)
		return -why->err;
	while (i < survey->count && err == 0) {
		u32 number = survey->facts[i].function->addr.segment;
		unsigned bus = 0;

		*segment = (struct segment){.survey = survey, .first = i};
		for (; i < survey->count && survey->facts[i].function->addr.segment == number; i++)
			for (; bus <= survey->facts[i].function->addr.bus; bus++)
				segment->begins[bus] = i;
		for (; bus <= BUSES; bus++)
			segment->begins[bus] = i;
		segment->after = i;
		err = link_segment(segment, why);
	}
	free(segment);
	for (i = 0; i < survey->count; i++) {
		struct pci_function *function = survey->facts[i].function;

		/* The bus of a virtual function may have no bridge of its own. */
		if (function->physical)
			function->parent = function->physical->parent;
	}
	return err;
}

/* ---- slots ---- */

static bool same_slot(const struct pci_facts *a, const struct pci_facts *b)
{
	return pci_addr_key(a->function->addr) >> 3 == pci_addr_key(b->function->addr) >> 3;
}

/* A slot with more than one function has only multifunction ones; virtual functions never are (spec 01 section 3.2). */
static void mark_multifunction(struct pci_survey *survey)
{
	struct pci_facts *previous = NULL;

	for (size_t i = 0; i < survey->count; i++) {
		struct pci_facts *facts = &survey->facts[i];

		if (facts->is_virtual) {
			facts->function->multifunction = false;
			continue;
		}
		if (previous && same_slot(previous, facts)) {
			pci_set_multifunction(previous->function);
			pci_set_multifunction(facts->function);
			previous->gaps &= ~(unsigned)PCI_GAP_HEADER;
			facts->gaps &= ~(unsigned)PCI_GAP_HEADER;
		}
		previous = facts;
	}
}

/* ---- VMD ---- */

static bool is_vmd(const struct pci_facts *facts)
{
	static const u16 devices[] = {0x201d, 0x28c0, 0x467f, 0x4c3d, 0x7d0b, 0x9a0b, 0xa77f, 0xad0b, 0xb06f, 0xb60b};
	const u8 *config = facts->function->config;

	if (facts->name && strstr(facts->name, "Volume Management Device"))
		return true;
	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++)
		if (vendor_of(facts->function) == 0x8086 && get_u16(config + PCI_DEVICE_ID) == devices[i])
			return true;
	return false;
}

/* The next VMD endpoint from *index on, which moves behind it. */
static struct pci_function *next_vmd(struct pci_survey *survey, size_t *index)
{
	while (*index < survey->count) {
		struct pci_facts *facts = &survey->facts[(*index)++];

		if (facts->function->addr.segment < VMD_SEGMENT && is_vmd(facts))
			return facts->function;
	}
	return NULL;
}

static int assume_vmd(struct pci_survey *survey, const struct pci_facts *facts, const struct pci_function *vmd,
		      struct why *why)
{
	char bdf[PCI_ADDR_TEXT];

	if (!vmd)
		return pci_survey_remark(survey, REMARK_WARNING, facts->line, SEE_ALL, why,
					 "segment %04x looks like one behind Intel VMD, but no VMD device is there",
					 facts->function->addr.segment);
	return pci_survey_remark(survey, REMARK_ASSUMPTION, facts->line, NULL, why,
				 "segment %04x is taken to be behind the VMD device %s", facts->function->addr.segment,
				 pci_addr_print(vmd->addr, bdf));
}

/* Segments and endpoints are both numbered in the order the driver met them. */
static int find_vmd(struct pci_survey *survey, struct why *why)
{
	struct pci_function *vmd = NULL;
	size_t next = 0;
	u32 segment = 0;
	int err = 0;

	for (size_t i = 0; i < survey->count && err == 0; i++) {
		struct pci_facts *facts = &survey->facts[i], *said;

		if (facts->vmd_said) {
			said = facts_at(survey, facts->vmd);
			facts->function->dma_device = said ? said->function : NULL;
			continue;
		}
		if (facts->function->addr.segment < VMD_SEGMENT)
			continue;
		if (facts->function->addr.segment != segment) {
			segment = facts->function->addr.segment;
			vmd = next_vmd(survey, &next);
			err = assume_vmd(survey, facts, vmd, why);
		}
		facts->function->dma_device = vmd;
	}
	return err;
}

/* ---- capabilities that were not shown ---- */

static bool is_pci_bridge_class(const struct pci_function *function)
{
	return class_of(function) == 0x0604 || pci_is_bridge(function);
}

/* What a function at its place usually is. Chipset glue on the root bus is conventional. */
static void assume_type(struct pci_function *function)
{
	const struct pci_function *parent = function->parent;
	bool below_port = parent && pci_is_pcie(parent);
	enum pcie_type above = below_port ? pcie_type(parent) : PCIE_ENDPOINT;

	if (parent && !below_port)
		return;
	if (is_pci_bridge_class(function))
		pci_add_pcie(function,
			     !parent			   ? PCIE_ROOT_PORT
			     : above == PCIE_UPSTREAM_PORT ? PCIE_DOWNSTREAM_PORT
							   : PCIE_UPSTREAM_PORT,
			     0, false);
	else if (parent)
		pci_add_pcie(function, PCIE_ENDPOINT, 0, false);
	else if (class_of(function) >> 8 != 0x06 && class_of(function) != 0x0c05 && class_of(function) != 0x0806)
		pci_add_pcie(function, PCIE_RC_ENDPOINT, 0, false);
}

static int assume_capabilities(struct pci_survey *survey, struct why *why)
{
	const struct pci_facts *first = NULL;
	char bdf[PCI_ADDR_TEXT];
	unsigned count = 0;

	for (size_t i = 0; i < survey->count; i++) {
		struct pci_facts *facts = &survey->facts[i];

		if (!(facts->gaps & PCI_GAP_CAPS) || pci_is_pcie(facts->function))
			continue;
		assume_type(facts->function);
		first = first ? first : facts;
		count++;
	}
	if (!count)
		return 0;
	return pci_survey_remark(survey, REMARK_ASSUMPTION, first->line, SEE_ALL, why,
				 "the capabilities of %u functions were not shown (first: %s); each is taken as PCI "
				 "Express of the kind usual at its place, without ACS",
				 count, pci_addr_print(first->function->addr, bdf));
}

static int remark_extended(struct pci_survey *survey, struct why *why)
{
	const struct pci_facts *first = NULL;
	char bdf[PCI_ADDR_TEXT];
	unsigned count = 0;

	for (size_t i = 0; i < survey->count; i++) {
		const struct pci_facts *facts = &survey->facts[i];

		if ((facts->gaps & (PCI_GAP_CAPS | PCI_GAP_EXT_CAPS)) != PCI_GAP_EXT_CAPS ||
		    !pci_is_pcie(facts->function))
			continue;
		first = first ? first : facts;
		count++;
	}
	if (!count)
		return 0;
	return pci_survey_remark(survey, REMARK_ASSUMPTION, first->line, SEE_ALL, why,
				 "the extended capabilities of %u functions were not shown (first: %s); they are taken "
				 "to have no ACS",
				 count, pci_addr_print(first->function->addr, bdf));
}

static int remark_buses(struct pci_survey *survey, struct why *why)
{
	const struct pci_facts *first = NULL;
	char bdf[PCI_ADDR_TEXT];
	unsigned count = 0;

	for (size_t i = 0; i < survey->count; i++) {
		if (!(survey->facts[i].gaps & PCI_GAP_BUSES))
			continue;
		first = first ? first : &survey->facts[i];
		count++;
	}
	if (!count)
		return 0;
	return pci_survey_remark(
		survey, REMARK_MISSING, first->line, SEE_ALL, why,
		"%u bridges do not say which bus they lead to (first: %s), so what is below them is not "
		"known",
		count, pci_addr_print(first->function->addr, bdf));
}

/* ---- coverage ---- */

static void find_platform(struct pci_survey *survey)
{
	for (size_t i = 0; i < survey->count && survey->platform == PLATFORM_UNKNOWN; i++) {
		const struct pci_function *function = survey->facts[i].function;

		if (vendor_of(function) == 0x1022 && class_of(function) == 0x0806)
			survey->platform = PLATFORM_AMD;
		else if (vendor_of(function) == 0x8086 && !function->parent && class_of(function) == 0x0600)
			survey->platform = PLATFORM_INTEL;
	}
}

/* AMD firmware does not list the slot that holds the IOMMU itself, with the root complex beside it. */
static bool beside_the_iommu(const struct pci_survey *survey, const struct pci_facts *facts)
{
	struct pci_addr addr = facts->function->addr;

	if (survey->platform != PLATFORM_AMD || facts->function->parent || facts->is_virtual)
		return false;
	for (unsigned number = 0; number < 8; number++) {
		const struct pci_facts *other;

		addr.devfn = pci_devfn(pci_device_number(addr), number);
		other = facts_at(survey, addr);
		if (other && class_of(other->function) == 0x0806)
			return true;
	}
	return false;
}

static bool is_intel_graphics(const struct pci_function *function)
{
	return vendor_of(function) == 0x8086 && class_of(function) >> 8 == 0x03 &&
	       pci_addr_key(function->addr) == (2 << 3);
}

/* Integrated graphics has an IOMMU of its own, listed first. */
static void number_units(struct pci_survey *survey)
{
	struct pci_facts *graphics = facts_at(survey, (struct pci_addr){.devfn = 2 << 3});

	if (survey->platform != PLATFORM_INTEL || !graphics || !is_intel_graphics(graphics->function))
		return;
	for (size_t i = 0; i < survey->count; i++)
		survey->facts[i].function->unit = &survey->facts[i] != graphics;
}

static int find_coverage(struct pci_survey *survey, struct why *why)
{
	bool beside = false;

	find_platform(survey);
	number_units(survey);
	survey->acs_unarmed = !survey->says_groups;
	for (size_t i = 0; i < survey->count; i++) {
		struct pci_facts *facts = &survey->facts[i];

		if (survey->says_groups && !(facts->gaps & PCI_GAP_GROUP))
			facts->function->untranslated = facts->host_group == PCI_GROUP_UNSAID;
		else
			facts->function->untranslated = beside_the_iommu(survey, facts);
		beside |= facts->function->untranslated;
	}
	if (survey->says_groups)
		return 0;
	return pci_survey_remark(survey, REMARK_ASSUMPTION, 0, NULL, why,
				 "no IOMMU groups are shown; taken for granted that the IOMMU is on and covers every "
				 "function%s",
				 beside ? " but those of its own slot" : "");
}

int pci_survey_finish(struct pci_survey *survey, struct why *why)
{
	int err;

	qsort(survey->facts, survey->count, sizeof(survey->facts[0]), by_address);
	err = drop_doubles(survey, why);
	if (err == 0)
		err = find_virtual(survey, why);
	if (err == 0)
		err = link_all(survey, why);
	if (err == 0)
		mark_multifunction(survey);
	if (err == 0)
		err = find_vmd(survey, why);
	if (err == 0)
		err = assume_capabilities(survey, why);
	if (err == 0)
		err = remark_extended(survey, why);
	if (err == 0)
		err = remark_buses(survey, why);
	if (err == 0)
		err = find_coverage(survey, why);
	return err < 0 ? err : survey_enumerate(survey, why);
}
