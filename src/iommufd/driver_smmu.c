/* SPDX-License-Identifier: MIT */
/*
 * Arm: what iommufd gets of SMMUv3 (Linux: drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3-iommufd.c; spec 03
 * sections 5.1, 6.1, 9, 11). A guest's stream table entry makes a nested domain of a virtual SMMU, its commands
 * invalidate there.
 */
#include <stdlib.h>

#include "iommu/kind.h"
#include "iommu/nested.h"
#include "iommu/stage1.h"
#include "iommufd/drivers.h"

static int smmu_hw_info(struct iommu_device *device, u32 *type, void *data, size_t size, struct why *why)
{
	const struct iommu_unit *unit = device->unit;
	struct iommu_hw_info_arm_smmuv3 info = {.iidr = unit->iidr, .aidr = unit->aidr};

	memcpy(info.idr, unit->idr, sizeof(info.idr));
	return hw_info_answer(device, type, IOMMU_HW_INFO_TYPE_ARM_SMMUV3, &info, sizeof(info), data, size, why);
}

/* ---- virtual SMMUs ---- */

/* A guest must not be able to make DMA incoherent: arm_smmu_get_viommu_size() */
static size_t smmu_viommu_size(struct iommu_device *device, u32 type)
{
	const u32 *idr = device->unit->idr;
	bool nests = idr[0] & SMMU_IDR0_STAGE1 && idr[0] & SMMU_IDR0_STAGE2 && idr[3] & SMMU_IDR3_FORCE_WB;

	return nests && type == IOMMU_VIOMMU_TYPE_ARM_SMMUV3 ? sizeof(struct viommu) : 0;
}

static int smmu_viommu_init(struct viommu *viommu, struct domain *parent, const struct user_data *data, struct why *why)
{
	char text[DOMAIN_TEXT];

	if (parent->unit == viommu->unit)
		return 0;
	return refuse(why, VIOMMU_UNIT, "%s is of %s, not of %s", domain_describe(parent, text), parent->unit->name,
		      viommu->unit->name);
}

/* A bridge of conventional PCI puts its own id on the requests of what is below it. */
static bool has_aliases(const struct pci_function *function)
{
	for (const struct pci_function *bridge = function->parent; bridge; bridge = bridge->parent)
		if (!bridge->cap_pcie || pcie_type(bridge) == PCIE_TO_PCI_BRIDGE)
			return true;
	return false;
}

static int smmu_vdevice_init(struct vdevice *vdevice, struct why *why)
{
	const struct iommu_device *device = vdevice->device->core;

	if (!device->function || !has_aliases(device->function))
		return 0;
	return refuse(why, SMMU_STREAMS, "%s has more than one stream: a bridge above puts its own id on requests",
		      device->name);
}

/* ---- nested domains ---- */

#define STE_VALID	BIT(0)
#define STE_CONFIG(ste) ((ste)[0] >> 1 & 7)
#define STE_EATS(ste)	((ste)[1] >> 28 & 3)
#define STE_0_GUEST	(MASK(3, 0) | MASK(5, 4) | MASK(51, 6) | MASK(63, 59))
#define STE_1_GUEST	(MASK(7, 0) | BIT(27) | MASK(29, 28))
enum { CONFIG_ABORT = 0, CONFIG_BYPASS = 4, CONFIG_STAGE1 = 5 };

/* arm_smmu_validate_vste(); an entry that is not valid is like one that aborts, whatever else it has. */
static int refuse_entry(u64 *ste, struct why *why)
{
	if (!(ste[0] & STE_VALID)) {
		ste[0] = ste[1] = 0;
		return 0;
	}
	if (ste[0] & ~STE_0_GUEST || ste[1] & ~STE_1_GUEST)
		return refuse(why, SMMU_ENTRY_INVALID, "words %#llx and %#llx have bits that are the host's",
			      (unsigned long long)ste[0], (unsigned long long)ste[1]);
	if (STE_CONFIG(ste) != CONFIG_ABORT && STE_CONFIG(ste) != CONFIG_BYPASS && STE_CONFIG(ste) != CONFIG_STAGE1)
		return refuse(why, SMMU_ENTRY_INVALID, "word 0, %#llx, has configuration %llu",
			      (unsigned long long)ste[0], (unsigned long long)STE_CONFIG(ste));
	if (STE_EATS(ste) > 1)
		return refuse(why, SMMU_ENTRY_INVALID, "word 1, %#llx, has EATS %llu", (unsigned long long)ste[1],
			      (unsigned long long)STE_EATS(ste));
	return 0;
}

/* Commands about contexts name a vDEVICE, so a device with contexts needs one: arm_smmu_attach_prepare_vmaster() */
static int smmu_may_attach(struct domain *domain, struct iommu_device *device, struct why *why)
{
	const struct viommu *viommu = *(struct viommu **)domain->extra;
	u64 stream;

	if (STE_CONFIG(domain->nested->words) != CONFIG_STAGE1)
		return 0;
	return viommu_virt_id(viommu, device, &stream, why);
}

static int make_nested(struct viommu *viommu, const u64 *ste, struct domain **ret, struct why *why)
{
	const struct nested_setup setup = {
		.format = ISOLDE_PT_ARM64_S1,
		.find = smmu_find_context,
		.words = {ste[0], ste[1], viommu->unit->idr[0], viommu->unit->idr[5]},
	};
	struct viommu **kept = alloc_zero(sizeof(struct viommu *), why);
	int err;

	if (!kept)
		return -why->err;
	err = domain_new_nested(viommu->parent->hwpt.domain, &setup, ret, why);
	if (err < 0) {
		free(kept);
		return err;
	}
	*kept = viommu;
	(*ret)->extra = kept;
	(*ret)->may_attach = smmu_may_attach;
	return 0;
}

static int smmu_alloc_nested(struct viommu *viommu, u32 flags, const struct user_data *data, struct domain **ret,
			     struct why *why)
{
	struct iommu_hwpt_arm_smmuv3 entry;
	u64 ste[2];
	int err;

	if (flags)
		return refuse(why, HWPT_FLAGS, "flags %#x for a nested domain of %s, which takes none", flags,
			      viommu->unit->name);
	err = user_data_read(data, IOMMU_HWPT_DATA_ARM_SMMUV3, sizeof(entry), &entry, sizeof(entry), why);
	if (err < 0)
		return err;
	memcpy(ste, entry.ste, sizeof(ste));
	err = refuse_entry(ste, why);
	return err < 0 ? err : make_nested(viommu, ste, ret, why);
}

/* ---- commands (Arm IHI 0070 section 4) ---- */

enum {
	CFGI_CD = 0x05,
	CFGI_CD_ALL = 0x06,
	TLBI_NH_ALL = 0x10,
	TLBI_NH_ASID = 0x11,
	TLBI_NH_VA = 0x12,
	TLBI_NH_VAA = 0x13,
	TLBI_NSNH_ALL = 0x30,
	ATC_INV = 0x40,
};

struct range {
	u64 start, last;
};

/* One page, or with a granule (TG) so many of those. */
static struct range tlbi_range(const u64 *command)
{
	u64 granule = command[1] >> 10 & 3, pages = (command[0] >> 12 & 0x1f) + 1, scale = command[0] >> 20 & 0x1f;
	u64 start = align_down(command[1], PAGE_SIZE), size = PAGE_SIZE;

	if (granule)
		size = pages << scale << (10 + 2 * granule);
	return (struct range){start, start + size - 1 < start ? UINT64_MAX : start + size - 1};
}

/* 2^size pages around the address, or with the largest size all. */
static struct range atc_range(const u64 *command)
{
	u64 shift = PAGE_SHIFT + (command[1] & 0x3f), mask = shift < 64 ? MASK(shift - 1, 0) : UINT64_MAX;

	return (struct range){command[1] & ~mask & PAGE_MASK, command[1] | mask};
}

#define SUBSTREAM_GIVEN	 BIT(11)
#define SUBSTREAM_GLOBAL BIT(9)

static u32 substream_of(const u64 *command)
{
	return (u32)(command[0] >> 12 & MASK(19, 0));
}

static void about_device(const struct domain *parent, struct iommu_device *device, const u64 *command)
{
	struct range range = atc_range(command);
	u32 pasid;

	switch (command[0] & 0xff) {
	case CFGI_CD:
		nested_forget_context(parent, device, substream_of(command));
		break;
	case CFGI_CD_ALL:
		nested_forget_context(parent, device, ANY_PASID);
		break;
	default:
		pasid = command[0] & SUBSTREAM_GLOBAL  ? ANY_PASID
			: command[0] & SUBSTREAM_GIVEN ? substream_of(command)
						       : 0;
		nested_flush_device(parent, device, pasid, range.start, range.last);
	}
}

/* Whatever VMID a command names, it is the one of this virtual SMMU: arm_vsmmu_convert_user_cmd() */
static int execute(const struct viommu *viommu, const u64 *command, u32 index, struct why *why)
{
	struct domain *parent = viommu->parent->hwpt.domain;
	struct range range = tlbi_range(command);
	const struct vdevice *vdevice;
	u32 asid = (u32)(command[0] >> 48);

	switch (command[0] & 0xff) {
	case TLBI_NSNH_ALL:
	case TLBI_NH_ALL:
		nested_flush_asid(parent, ANY_ASID, 0, UINT64_MAX);
		return 0;
	case TLBI_NH_ASID:
		nested_flush_asid(parent, asid, 0, UINT64_MAX);
		return 0;
	case TLBI_NH_VA:
		nested_flush_asid(parent, asid, range.start, range.last);
		return 0;
	case TLBI_NH_VAA:
		nested_flush_asid(parent, ANY_ASID, range.start, range.last);
		return 0;
	case ATC_INV:
	case CFGI_CD:
	case CFGI_CD_ALL:
		vdevice = viommu_find_vdevice(viommu, command[0] >> 32);
		if (!vdevice)
			return refuse(why, SMMU_COMMAND_INVALID,
				      "command %u is about stream %#llx, which is no vDEVICE", index,
				      (unsigned long long)(command[0] >> 32));
		about_device(parent, vdevice->device->core, command);
		return 0;
	default:
		return refuse(why, SMMU_COMMAND_INVALID, "command %u, %#llx, is none that a guest may give", index,
			      (unsigned long long)command[0] & 0xff);
	}
}

static int smmu_invalidate(struct viommu *viommu, struct user_array *array, struct why *why)
{
	_memory_ struct iommu_viommu_arm_smmuv3_invalidate *commands = NULL;
	int err = 0;

	if (array->count) {
		commands = alloc_array(array->count, sizeof(*commands), why);
		if (!commands)
			return -why->err;
	}
	err = user_array_read_all(array, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, commands, sizeof(*commands), why);
	for (u32 i = 0; err == 0 && i < array->count; i++) {
		const u64 command[] = {commands[i].cmd[0], commands[i].cmd[1]};

		err = execute(viommu, command, i, why);
		if (err == 0)
			array->done++;
	}
	return err;
}

const struct iommufd_driver smmu_user_driver = {
	.hw_info = smmu_hw_info,
	.alloc_paging = alloc_paging_by_flags,
	.viommu_size = smmu_viommu_size,
	.viommu_init = smmu_viommu_init,
	.viommu_alloc_nested = smmu_alloc_nested,
	.viommu_invalidate = smmu_invalidate,
	.vdevice_init = smmu_vdevice_init,
};
