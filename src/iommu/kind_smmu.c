/* SPDX-License-Identifier: MIT */
/* Arm SMMUv3: stage 1, or stage 2 below a user's stage 1 (drivers/iommu/arm/arm-smmu-v3). */
#include "iommu/kind.h"

#include "iommu/pasid.h"

static bool has_dirty(const struct iommu_unit *unit)
{
	return SMMU_IDR0_HTTU(unit->idr[0]) == 2 && unit->idr[0] & SMMU_IDR0_COHERENT;
}

static bool has_nesting(const struct iommu_unit *unit)
{
	return unit->idr[0] & SMMU_IDR0_STAGE1 && unit->idr[0] & SMMU_IDR0_STAGE2;
}

static int table(const struct iommu_unit *unit, bool stage1, bool dirty, struct domain_shape *ret)
{
	ret->table.format = stage1 ? ISOLDE_PT_ARM64_S1 : ISOLDE_PT_ARM64_S2;
	ret->table.granule = unit->granule;
	ret->table.input_bits = stage1 ? unit->width : SMMU_OUTPUT_BITS;
	ret->table.output_bits = SMMU_OUTPUT_BITS;
	if (dirty)
		ret->table.features |= ISOLDE_PT_DIRTY;
	ret->last_iova = MASK(ret->table.input_bits - 1, 0);
	return 0;
}

/* arm_smmu_domain_alloc_paging_flags(): the stages tell what goes together. */
static int smmu_shape(const struct iommu_unit *unit, unsigned abilities, struct domain_shape *ret, struct why *why)
{
	bool stage1 = unit->idr[0] & SMMU_IDR0_STAGE1;

	if (!abilities)
		return table(unit, stage1, false, ret);
	if (abilities == DOMAIN_FOR_NESTING && has_nesting(unit))
		return table(unit, false, false, ret);
	if (abilities & DOMAIN_FOR_NESTING || !stage1)
		return refuse_abilities(unit, abilities, why);
	return table(unit, true, abilities & DOMAIN_FOR_DIRTY, ret);
}

/* Coherency enforced needs a promise of the firmware (IORT CANWBS), which these machines do not make. */
static bool smmu_capable(const struct iommu_unit *unit, enum unit_capability capability)
{
	switch (capability) {
	case CAP_COHERENT:
		return unit->idr[0] & SMMU_IDR0_COHERENT;
	case CAP_ENFORCE_COHERENCY:
		return false;
	case CAP_DIRTY:
		return has_dirty(unit);
	}
	return false;
}

static bool is_stage1(const struct domain *domain)
{
	return domain->kind == DOMAIN_PAGING && domain->format == ISOLDE_PT_ARM64_S1;
}

static int refuse_other_unit(const struct iommu_device *device, const struct domain *domain, struct why *why)
{
	if (kind_table_of(domain)->kind != DOMAIN_PAGING || domain->unit == device->unit)
		return 0;
	return refuse_incompatible_unit(device, domain, "is another SMMU than the domain was made for", why);
}

/* PASIDs are entries of the table that a stage 1 needs; without one they have no place. */
static int refuse_pasids(const struct iommu_device *device, const struct domain *domain, struct why *why)
{
	const struct pasid_slot *slot = list_first(&device->group->pasids, struct pasid_slot, link);
	char text[DOMAIN_TEXT];

	if (!slot || domain->kind == DOMAIN_IDENTITY || domain->kind == DOMAIN_BLOCKING || is_stage1(domain))
		return 0;
	return refuse(why, STAGE_PASIDS, "%s cannot have %s: its PASID %u is attached, which needs a stage 1",
		      device->name, domain_describe(domain, text), slot->pasid);
}

static int smmu_attach(struct iommu_device *device, struct domain *domain, struct domain *old, struct why *why)
{
	int err = refuse_other_driver(device, domain, why);

	if (err == 0)
		err = refuse_other_unit(device, domain, why);
	if (err == 0)
		err = refuse_pasids(device, domain, why);
	return err < 0 ? err : kind_enter(device, 0, domain, why);
}

/* arm_smmu_s1_set_dev_pasid(), arm_smmu_set_pasid() */
static int smmu_attach_pasid(struct iommu_device *device, u32 pasid, struct domain *domain, struct domain *old,
			     struct why *why)
{
	const struct domain *own = device->group->domain;
	int err = refuse_other_unit(device, domain, why);

	if (err == 0 && domain->kind == DOMAIN_PAGING && !is_stage1(domain))
		err = refuse_incompatible_unit(device, domain, "has PASIDs in stage 1 only, and this is a stage 2",
					       why);
	if (err == 0 && own && !is_stage1(own) && own->kind != DOMAIN_IDENTITY && own->kind != DOMAIN_BLOCKING)
		err = refuse_incompatible_unit(device, domain, "has PASIDs beside a stage 1 only", why);
	return err < 0 ? err : kind_enter(device, pasid, domain, why);
}

/* arm_smmu_nested_ops has no set_dev_pasid. */
static bool smmu_takes_pasid(const struct domain *domain)
{
	return domain->kind != DOMAIN_NESTED;
}

const struct iommu_driver smmu_driver = {
	.name = "arm-smmu-v3",
	.attach = smmu_attach,
	.attach_pasid = smmu_attach_pasid,
	.shape = smmu_shape,
	.capable = smmu_capable,
	.takes_pasid = smmu_takes_pasid,
	.unit_bound = true,
	.user_pasid_table = true,
	.nested_format = ISOLDE_PT_ARM64_S1,
	.pages_optional = true,
};
