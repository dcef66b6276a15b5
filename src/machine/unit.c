/* SPDX-License-Identifier: MIT */
/*
 * The registers of the four kinds of IOMMU: hardware as it could be bought, with what the machine file leaves out. All
 * that the core's drivers (iommu/kind_*.c) and programs see of them follows from here.
 */
#include "machine/unit.h"

#include <stdio.h>

#include "iommu/kind.h"
#include "machine/device.h"
#include "machine/machine.h"

const char *unit_kind_name(enum unit_kind kind)
{
	static const char *const names[] = {
		[KIND_INTEL] = "intel-vtd",
		[KIND_AMD] = "amd-vi",
		[KIND_SMMU] = "arm-smmuv3",
		[KIND_RISCV] = "riscv-iommu",
	};

	return names[kind];
}

/* ---- Intel: capabilities of VT-d 5.0 sections 11.4.2 and 11.4.3 ---- */

static u64 intel_cap(const struct unit_description *description)
{
	unsigned width = description->width;
	u64 domain_ids = 6;					    /* 16 bits */
	u64 sagaw = BIT(8 + (width > 48 ? 3 : width > 39 ? 2 : 1)); /* levels of the table */
	u64 fault_records = 0x40ull << 24 | 7ull << 40;		    /* at 0x400, eight of them */
	u64 pages = 3ull << 34 | BIT(39) | 18ull << 48;		    /* 2 MiB, 1 GiB; selective invalidation */
	u64 first_stage = description->nesting ? INTEL_CAP_GIGABYTES : 0;

	return domain_ids | sagaw | (u64)(width - 1) << 16 | fault_records | pages | BIT(54) | BIT(55) | first_stage;
}

static u64 intel_ecap(const struct unit_description *description)
{
	u64 coherent = BIT(0) | INTEL_ECAP_SNOOP_CONTROL;
	u64 invalidation = BIT(1) | 0x50ull << 8;			       /* queued; IOTLB registers at 0x500 */
	u64 interrupts = description->shared_interrupts ? 0 : BIT(3) | BIT(4); /* remapping, extended mode */
	u64 ecap = coherent | invalidation | interrupts | INTEL_ECAP_PASS_THROUGH;

	/* The rest is of scalable mode, in which PASIDs are. */
	if (!description->pasid_bits)
		return ecap;
	ecap |= INTEL_ECAP_PASID | (u64)(description->pasid_bits - 1) << 35;
	ecap |= INTEL_ECAP_SCALABLE | INTEL_ECAP_SECOND_STAGE | INTEL_ECAP_COHERENT_WALK;
	if (description->dirty)
		ecap |= INTEL_ECAP_SECOND_DIRTY;
	if (description->nesting)
		ecap |= INTEL_ECAP_FIRST_STAGE | INTEL_ECAP_NESTING | BIT(2) | BIT(29); /* device TLBs, page requests */
	return ecap;
}

static void make_intel(struct iommu_unit *unit, const struct unit_description *description, unsigned number)
{
	snprintf(unit->name, sizeof(unit->name), "dmar%u", number);
	unit->cap = intel_cap(description);
	unit->ecap = intel_ecap(description);
}

/* ---- AMD: features of 48882 section 3.4.8 ---- */

static u64 amd_features(const struct unit_description *description)
{
	u64 levels = description->width > 57 ? 2 : description->width > 48 ? 1 : 0;
	/* Prefetching, x2APIC, no-execute, invalidate all, guest APIC, error registers, counters, accessed bits. */
	u64 features = BIT(0) | BIT(2) | BIT(3) | BIT(6) | BIT(7) | BIT(8) | BIT(9) | BIT(49) | levels << 10;

	if (description->dirty)
		features |= AMD_EFR_DIRTY;
	/* Guest tables: page requests, two levels of GCR3, I/O for guests, enhanced page requests. */
	if (description->pasid_bits)
		features |= AMD_EFR_GUEST | BIT(1) | 1ull << 14 | AMD_EFR_GIO | BIT(50) |
			    (u64)(description->pasid_bits - 1) << 32;
	return features;
}

static void make_amd(struct iommu_unit *unit, const struct unit_description *description, unsigned number)
{
	snprintf(unit->name, sizeof(unit->name), "ivhd%u", number);
	unit->format = description->guest_tables ? ISOLDE_PT_X86_64 : ISOLDE_PT_AMDV1;
	unit->capability = 0x190b640f;
	unit->efr = amd_features(description);
	unit->efr2 = description->nesting ? AMD_EFR2_GCR3_PHYSICAL : 0;
	/* amd/init.c:iommu_init_pci() loses one. */
	unit->max_pasids -= unit->max_pasids ? 1 : 0;
}

/* ---- Arm: identification registers of IHI 0070 sections 6.3.1 to 6.3.6 ---- */

#define SMMU_FIRST  0x9050000ull
#define SMMU_STRIDE 0x20000

static u32 smmu_idr0(const struct unit_description *description)
{
	/* AArch64 tables, ATS, 16-bit ASIDs and VMIDs, messages, PRI, little endian, two-level streams. */
	u64 idr0 = 2 << 2 | BIT(10) | BIT(12) | BIT(13) | BIT(16) | BIT(18) | 2 << 21 | BIT(26) | 1 << 27;

	idr0 |= SMMU_IDR0_STAGE1;
	if (description->nesting)
		idr0 |= SMMU_IDR0_STAGE2;
	if (description->coherent)
		idr0 |= SMMU_IDR0_COHERENT;
	if (description->dirty)
		idr0 |= 2 << 6;
	if (description->pasid_bits)
		idr0 |= BIT(19); /* two-level tables of contexts */
	return (u32)idr0;
}

static u32 smmu_granule_bit(unsigned granule)
{
	return granule == 0x10000 ? BIT(6) : granule == 0x4000 ? BIT(5) : BIT(4);
}

static void make_smmu(struct iommu_unit *unit, const struct unit_description *description, unsigned number)
{
	snprintf(unit->name, sizeof(unit->name), "smmu3.0x%016llx", SMMU_FIRST + number * SMMU_STRIDE);
	unit->granule = description->granule;
	unit->idr[0] = smmu_idr0(description);
	unit->idr[1] = 10 << 21 | 10 << 16 | 10 << 11 | (u32)description->pasid_bits << 6 | 16; /* queues, streams */
	unit->idr[3] = SMMU_IDR3_FORCE_WB | BIT(10);		   /* ranges can be invalidated */
	unit->idr[5] = smmu_granule_bit(description->granule) | 5; /* output of 48 bits */
	unit->iidr = 0x43b;					   /* Arm */
	unit->aidr = 3;						   /* SMMUv3.3 */
}

/* ---- RISC-V ---- */

static void make_riscv(struct iommu_unit *unit, const struct unit_description *description, unsigned number)
{
	snprintf(unit->name, sizeof(unit->name), "riscv-iommu@%x.iommu", 0x3010000 + number * 0x1000);
	unit->incoherent = !description->coherent;
}

struct iommu_unit unit_make(const struct unit_description *description, unsigned number)
{
	static void (*const makers[])(struct iommu_unit *, const struct unit_description *, unsigned) = {
		[KIND_INTEL] = make_intel,
		[KIND_AMD] = make_amd,
		[KIND_SMMU] = make_smmu,
		[KIND_RISCV] = make_riscv,
	};
	struct iommu_unit unit = {
		.kind = description->kind,
		.shared_interrupts = description->shared_interrupts,
		.number = number,
		.width = description->width,
		.max_pasids = description->pasid_bits ? 1u << description->pasid_bits : 0,
		.nregions = description->nregions,
	};

	memcpy(unit.regions, description->regions, sizeof(unit.regions));
	makers[description->kind](&unit, description, number);
	return unit;
}

/* ---- sysfs ---- */

#define CLASS_IOMMU 0x0806

/* AMD's units are PCI functions; the firmware's table lists them in order. NULL: the machine does not have it. */
static const struct device *function_of(const struct machine *machine, const struct iommu_unit *unit)
{
	const struct device *device;
	unsigned index = 0;

	list_for_each(device, &machine->devices, link)
		if (get_u16(device->function->config + PCI_CLASS) == CLASS_IOMMU && index++ == unit->number)
			return device;
	return NULL;
}

const char *unit_path(const struct machine *machine, const struct iommu_unit *unit, char text[static UNIT_PATH])
{
	const struct device *device = unit->kind == KIND_AMD ? function_of(machine, unit) : NULL;
	char above[UNIT_PATH];

	if (device)
		snprintf(text, UNIT_PATH, "%s/iommu/%s", node_path(device->node, above, sizeof(above)), unit->name);
	else if (unit->kind == KIND_SMMU)
		snprintf(text, UNIT_PATH, "sys/devices/platform/arm-smmu-v3.%u.auto/iommu/%s", unit->number,
			 unit->name);
	else
		snprintf(text, UNIT_PATH, "sys/devices/virtual/iommu/%s", unit->name);
	return text;
}
