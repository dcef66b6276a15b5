/* SPDX-License-Identifier: MIT */
/*
 * What the drivers of the four kinds of units do (Linux 7.2: drivers/iommu/{intel,amd,arm/arm-smmu-v3,riscv}): which
 * table a domain gets, what their hardware can, and which attaches they refuse. All follows from a unit's registers.
 */
#ifndef IOMMU_KIND_H
#define IOMMU_KIND_H

#include "iommu/attach.h"

extern const struct iommu_driver intel_driver, amd_driver, smmu_driver, riscv_driver;

/* What they all refuse first: DOMAIN_FOREIGN, another vendor's domain. */
int refuse_other_driver(const struct iommu_device *device, const struct domain *domain, struct why *why);
/* The last step of an attach: what the domain says itself, an entry of the device's or the PASID's context. */
int kind_enter(struct iommu_device *device, u32 pasid, struct domain *domain, struct why *why);

/* The domain that maps: itself, or the parent of a nested one. */
const struct domain *kind_table_of(const struct domain *domain);

/* DOMAIN_ABILITY: unit cannot have a domain for that (DOMAIN_FOR_*). */
int refuse_abilities(const struct iommu_unit *unit, unsigned abilities, struct why *why);
/* DOMAIN_INCOMPATIBLE (EINVAL): another domain may do. */
int refuse_incompatible_unit(const struct iommu_device *device, const struct domain *domain, const char *lack,
			     struct why *why);

/* ---- registers ---- */

/* VT-d 5.0 sections 11.4.2 and 11.4.3 */
#define INTEL_CAP_FIVE_LEVELS	 BIT(60) /* first stage */
#define INTEL_CAP_GIGABYTES	 BIT(56) /* first stage */
#define INTEL_ECAP_PASS_THROUGH	 BIT(6)
#define INTEL_ECAP_SNOOP_CONTROL BIT(7)
#define INTEL_ECAP_NESTING	 BIT(26)
#define INTEL_ECAP_SUPERVISOR	 BIT(31)
#define INTEL_ECAP_EXTENDED_A	 BIT(34)
#define INTEL_ECAP_PASID	 BIT(40)
#define INTEL_ECAP_SCALABLE	 BIT(43)
#define INTEL_ECAP_SECOND_DIRTY	 BIT(45)
#define INTEL_ECAP_SECOND_STAGE	 BIT(46)
#define INTEL_ECAP_FIRST_STAGE	 BIT(47)
#define INTEL_ECAP_COHERENT_WALK BIT(48) /* of tables in scalable mode */

/* AMD 48882 sections 3.4.8 (extended features) and 3.4.13 */
#define AMD_EFR_GUEST		BIT(4)
#define AMD_EFR_LEVELS(efr)	((efr) >> 10 & 3) /* of host tables: 0 four, 1 five, 2 six */
#define AMD_EFR_GUEST_FIVE(efr) (((efr) >> 12 & 3) == 1)
#define AMD_EFR_PASMAX(efr)	((efr) >> 32 & 0x1f)
#define AMD_EFR_GIO		BIT(48)
#define AMD_EFR_DIRTY		BIT(52)
#define AMD_DOMAIN_IDS		0xffffu /* without 0 */
#define AMD_EFR2_GCR3_PHYSICAL	BIT(3)	/* GCR3 table root pointers are guest physical */

/* Arm IHI 0070, sections 6.3.1 to 6.3.6 */
#define SMMU_IDR0_STAGE2      BIT(0)
#define SMMU_IDR0_STAGE1      BIT(1)
#define SMMU_IDR0_COHERENT    BIT(4)
#define SMMU_IDR0_HTTU(idr0)  ((idr0) >> 6 & 3) /* 1: access flag, 2: and dirty */
#define SMMU_IDR1_SSIDS(idr1) ((idr1) >> 6 & 0x1f)
#define SMMU_IDR3_FORCE_WB    BIT(8)
#define SMMU_OUTPUT_BITS      48

bool intel_is_scalable(const struct iommu_unit *unit);

#endif
