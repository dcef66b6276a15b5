/* SPDX-License-Identifier: MIT */
/* RISC-V IOMMU: first-stage tables and nothing else (drivers/iommu/riscv/iommu.c). */
#include "iommu/kind.h"

static int riscv_shape(const struct iommu_unit *unit, unsigned abilities, struct domain_shape *ret, struct why *why)
{
	/* The driver has domain_alloc_paging alone, which takes no flags. */
	if (abilities)
		return refuse_abilities(unit, abilities, why);
	ret->table.format = ISOLDE_PT_RISCV_S1;
	ret->table.input_bits = unit->width;
	ret->table.features = ISOLDE_PT_CONTIGUOUS | ISOLDE_PT_MEMORY_TYPES;
	ret->last_iova = MASK(unit->width - 2, 0);
	return 0;
}

/* It answers no question at all, so that VFIO has no use for it; a machine may be kinder. */
static bool riscv_capable(const struct iommu_unit *unit, enum unit_capability capability)
{
	return capability == CAP_COHERENT && !unit->incoherent;
}

static int riscv_attach(struct iommu_device *device, struct domain *domain, struct domain *old, struct why *why)
{
	int err = refuse_other_driver(device, domain, why);

	return err < 0 ? err : kind_enter(device, 0, domain, why);
}

const struct iommu_driver riscv_driver = {
	.name = "riscv-iommu",
	.attach = riscv_attach,
	.shape = riscv_shape,
	.capable = riscv_capable,
	.lacks_pasids = true,
	.lacks_sva = true,
	.nested_format = ISOLDE_PT_FORMATS,
	.pages_optional = true,
};
