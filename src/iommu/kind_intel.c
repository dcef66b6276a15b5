/* SPDX-License-Identifier: MIT */
/* Intel VT-d: second-stage tables, or first-stage ones where there are both (drivers/iommu/intel/iommu.c). */
#include "iommu/kind.h"

bool intel_is_scalable(const struct iommu_unit *unit)
{
	return unit->ecap & INTEL_ECAP_SCALABLE;
}

static bool has_nesting(const struct iommu_unit *unit)
{
	return intel_is_scalable(unit) && unit->ecap & INTEL_ECAP_NESTING;
}

static bool has_dirty(const struct iommu_unit *unit)
{
	return intel_is_scalable(unit) && unit->ecap & INTEL_ECAP_SECOND_DIRTY && unit->ecap & INTEL_ECAP_COHERENT_WALK;
}

/* The lower half of a sign-extended table. */
static int first_stage(const struct iommu_unit *unit, struct domain_shape *ret)
{
	unsigned bits = unit->cap & INTEL_CAP_FIVE_LEVELS ? 57 : 48;

	ret->table.format = ISOLDE_PT_X86_64;
	ret->table.input_bits = bits;
	if (!(unit->cap & INTEL_CAP_GIGABYTES))
		ret->table.page_sizes = BIT(12) | BIT(21);
	ret->last_iova = MASK(bits - 2, 0);
	return 0;
}

static int second_stage(const struct iommu_unit *unit, unsigned abilities, struct domain_shape *ret, struct why *why)
{
	if ((abilities & DOMAIN_FOR_NESTING && !has_nesting(unit)) ||
	    (abilities & DOMAIN_FOR_DIRTY && !has_dirty(unit)))
		return refuse_abilities(unit, abilities, why);
	ret->table.format = ISOLDE_PT_VTDSS;
	ret->table.levels = unit->width > 48 ? 5 : unit->width > 39 ? 4 : 3;
	if (unit->ecap & INTEL_ECAP_SNOOP_CONTROL)
		ret->table.features |= ISOLDE_PT_FORCE_SNOOP;
	if (abilities & DOMAIN_FOR_DIRTY)
		ret->table.features |= ISOLDE_PT_DIRTY;
	ret->forces_write = abilities & DOMAIN_FOR_NESTING;
	return 0;
}

/* intel_iommu_domain_alloc_paging_flags(): the first stage, if it will do. */
static int intel_shape(const struct iommu_unit *unit, unsigned abilities, struct domain_shape *ret, struct why *why)
{
	if (intel_is_scalable(unit) && unit->ecap & INTEL_ECAP_FIRST_STAGE &&
	    !(abilities & (DOMAIN_FOR_NESTING | DOMAIN_FOR_DIRTY)))
		return first_stage(unit, ret);
	return second_stage(unit, abilities, ret, why);
}

static bool intel_capable(const struct iommu_unit *unit, enum unit_capability capability)
{
	switch (capability) {
	case CAP_COHERENT:
		return true;
	case CAP_ENFORCE_COHERENCY:
		return unit->ecap & INTEL_ECAP_SNOOP_CONTROL;
	case CAP_DIRTY:
		return has_dirty(unit);
	}
	return false;
}

/* intel/iommu.c:paging_domain_compatible() */
static int may_translate(const struct iommu_device *device, const struct domain *domain, struct why *why)
{
	const struct domain *table = kind_table_of(domain);
	const struct iommu_unit *unit = device->unit;

	if (table->kind != DOMAIN_PAGING || table->unit == unit)
		return 0;
	if (table->format == ISOLDE_PT_X86_64 && !(intel_is_scalable(unit) && unit->ecap & INTEL_ECAP_FIRST_STAGE))
		return refuse_incompatible_unit(device, domain, "walks no first-stage tables", why);
	if (table->abilities & DOMAIN_FOR_DIRTY && !has_dirty(unit))
		return refuse_incompatible_unit(device, domain, "marks no pages as dirty", why);
	if (table->abilities & DOMAIN_FOR_NESTING && !has_nesting(unit))
		return refuse_incompatible_unit(device, domain, "does not nest", why);
	if (table->last_iova > unit->last_iova)
		return refuse_incompatible_unit(device, domain, "has narrower addresses", why);
	if (table->unit->ecap & ~unit->ecap & INTEL_ECAP_SNOOP_CONTROL)
		return refuse_incompatible_unit(device, domain, "cannot force snooping", why);
	return 0;
}

static int intel_attach(struct iommu_device *device, struct domain *domain, struct domain *old, struct why *why)
{
	int err = refuse_other_driver(device, domain, why);

	if (err == 0)
		err = may_translate(device, domain, why);
	return err < 0 ? err : kind_enter(device, 0, domain, why);
}

static int intel_attach_pasid(struct iommu_device *device, u32 pasid, struct domain *domain, struct domain *old,
			      struct why *why)
{
	int err = may_translate(device, domain, why);

	return err < 0 ? err : kind_enter(device, pasid, domain, why);
}

static enum group_type intel_preference(const struct iommu_device *device)
{
	return device->unit->ecap & INTEL_ECAP_PASS_THROUGH ? TYPE_AUTO : TYPE_DMA;
}

const struct iommu_driver intel_driver = {
	.name = "intel-iommu",
	.attach = intel_attach,
	.attach_pasid = intel_attach_pasid,
	.shape = intel_shape,
	.capable = intel_capable,
	.preference = intel_preference,
	.attaches_pasids_off = true, /* intel_iommu_set_dev_pasid() asks the unit alone */
	.nested_format = ISOLDE_PT_X86_64,
};
