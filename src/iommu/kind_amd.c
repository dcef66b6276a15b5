/* SPDX-License-Identifier: MIT */
/* AMD-Vi: host (v1) tables, guest (v2) ones for PASIDs (drivers/iommu/amd/iommu.c). */
#include "iommu/kind.h"

/* All powers of two but 512 GiB (amd_iommu_types.h: AMD_IOMMU_PGSIZES). */
#define V1_PAGE_SIZES (MASK(51, 12) & ~BIT(39))

static bool has_nesting(const struct iommu_unit *unit)
{
	return unit->efr & AMD_EFR_GUEST && unit->efr & AMD_EFR_GIO && unit->efr2 & AMD_EFR2_GCR3_PHYSICAL;
}

/* Three levels to begin with, more when they are needed. */
static int host_table(const struct iommu_unit *unit, unsigned abilities, struct domain_shape *ret)
{
	ret->table.format = ISOLDE_PT_AMDV1;
	ret->table.levels = 3;
	ret->table.features = ISOLDE_PT_GROW | ISOLDE_PT_CONTIGUOUS | ISOLDE_PT_FORCE_SNOOP;
	ret->table.page_sizes = V1_PAGE_SIZES;
	ret->table.input_bits = unit->width;
	if (abilities & DOMAIN_FOR_DIRTY)
		ret->table.features |= ISOLDE_PT_DIRTY;
	return 0;
}

/* One bit less than the levels have, so that it means the same with and without PASID. */
static int guest_table(const struct iommu_unit *unit, struct domain_shape *ret)
{
	unsigned bits = AMD_EFR_GUEST_FIVE(unit->efr) ? 57 : 48;

	ret->table.format = ISOLDE_PT_X86_64;
	ret->table.input_bits = bits;
	ret->last_iova = MASK(bits - 2, 0);
	return 0;
}

/* amd_iommu_domain_alloc_paging_flags() */
static int amd_shape(const struct iommu_unit *unit, unsigned abilities, struct domain_shape *ret, struct why *why)
{
	if (abilities & DOMAIN_FOR_PASIDS) {
		if (abilities != DOMAIN_FOR_PASIDS || !unit->max_pasids)
			return refuse_abilities(unit, abilities, why);
		return guest_table(unit, ret);
	}
	if ((abilities & DOMAIN_FOR_DIRTY && !(unit->efr & AMD_EFR_DIRTY)) ||
	    (abilities & DOMAIN_FOR_NESTING && !has_nesting(unit)))
		return refuse_abilities(unit, abilities, why);
	/* The program amd_iommu=pgtbl_v2 on the kernel's command line. */
	if (!abilities && unit->format == ISOLDE_PT_X86_64)
		return guest_table(unit, ret);
	return host_table(unit, abilities, ret);
}

static bool amd_capable(const struct iommu_unit *unit, enum unit_capability capability)
{
	return capability != CAP_DIRTY || unit->efr & AMD_EFR_DIRTY;
}

static int amd_attach(struct iommu_device *device, struct domain *domain, struct domain *old, struct why *why)
{
	int err = refuse_other_driver(device, domain, why);

	if (err == 0 && domain->abilities & DOMAIN_FOR_DIRTY && !(device->unit->efr & AMD_EFR_DIRTY))
		err = refuse_incompatible_unit(device, domain, "marks no pages as dirty", why);
	return err < 0 ? err : kind_enter(device, 0, domain, why);
}

/* amdv1_ops, amdv2_ops and nested_domain_ops have no set_dev_pasid. */
static bool amd_takes_pasid(const struct domain *domain)
{
	return domain->kind == DOMAIN_SVA;
}

/* A device with shared addresses is not translated without PASID (amd_iommu_def_domain_type()). */
static enum group_type amd_preference(const struct iommu_device *device)
{
	const struct pci_function *function = device->function;

	return function && function->cap_ats && function->cap_pri && device->max_pasids ? TYPE_IDENTITY : TYPE_AUTO;
}

const struct iommu_driver amd_driver = {
	.name = "amd-iommu",
	.attach = amd_attach,
	.shape = amd_shape,
	.capable = amd_capable,
	.takes_pasid = amd_takes_pasid,
	.preference = amd_preference,
	.nested_format = ISOLDE_PT_X86_64,
	.pages_optional = true,
};
