/* SPDX-License-Identifier: MIT */
/* Intel: what iommufd gets of VT-d (Linux: drivers/iommu/intel/{iommu,nested,pasid}.c; spec 03 sections 5.1, 6.1, 9).
 */
#include <stddef.h>

#include "iommu/kind.h"
#include "iommu/nested.h"
#include "iommufd/drivers.h"

static int vtd_hw_info(struct iommu_device *device, u32 *type, void *data, size_t size, struct why *why)
{
	const struct iommu_hw_info_vtd info = {
		/* Linux says so of each of them. */
		.flags = IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17,
		.cap_reg = device->unit->cap,
		.ecap_reg = device->unit->ecap,
	};

	return hw_info_answer(device, type, IOMMU_HW_INFO_TYPE_INTEL_VTD, &info, sizeof(info), data, size, why);
}

/* ---- nested domains ---- */

static int refuse_nesting(const struct iommu_device *device, const struct domain *parent, u32 flags,
			  const struct user_data *data, struct why *why)
{
	const struct iommu_unit *unit = device->unit;
	char text[DOMAIN_TEXT];

	if (!intel_is_scalable(unit) || !(unit->ecap & INTEL_ECAP_NESTING))
		return refuse(why, HWPT_NO_NESTING, "%s, which %s is behind, does not nest", unit->name, device->name);
	if (flags & ~(u32)IOMMU_HWPT_ALLOC_PASID)
		return refuse(why, HWPT_FLAGS, "flags %#x for a nested domain of %s", flags, device->name);
	if (data->type != IOMMU_HWPT_DATA_VTD_S1)
		return refuse(why, HWPT_DATA_TYPE, "%s has tables of type %u, not %#x", unit->name,
			      IOMMU_HWPT_DATA_VTD_S1, data->type);
	if (parent->format != ISOLDE_PT_VTDSS || !(parent->abilities & DOMAIN_FOR_NESTING))
		return refuse(why, HWPT_NO_PARENT, "%s is no second-stage table made for nesting",
			      domain_describe(parent, text));
	return 0;
}

static int refuse_setup(const struct iommu_unit *unit, const struct iommu_hwpt_vtd_s1 *table, struct why *why)
{
	if (table->addr_width != 48 && !(table->addr_width == 57 && unit->cap & INTEL_CAP_FIVE_LEVELS))
		return refuse(why, NESTED_TABLE_UNSUPPORTED, "%s walks no first-stage tables of %u bits", unit->name,
			      table->addr_width);
	if (table->flags & IOMMU_VTD_S1_SRE && !(unit->ecap & INTEL_ECAP_SUPERVISOR))
		return refuse(why, NESTED_TABLE_UNSUPPORTED, "%s knows no supervisor requests", unit->name);
	if (table->flags & IOMMU_VTD_S1_EAFE && !(unit->ecap & INTEL_ECAP_EXTENDED_A))
		return refuse(why, NESTED_TABLE_UNSUPPORTED, "%s keeps no extended-accessed flag", unit->name);
	return 0;
}

/* Linux looks at what the table is only now: intel/pasid.c:intel_pasid_setup_nested() */
static int vtd_may_attach(struct domain *domain, struct iommu_device *device, struct why *why)
{
	return refuse_setup(device->unit, domain->extra, why);
}

static struct nested_setup setup_of(const struct iommu_unit *unit, const struct iommu_hwpt_vtd_s1 *table)
{
	struct nested_setup setup = {.format = ISOLDE_PT_X86_64, .stage1 = {.kind = STAGE1_TABLES}};

	setup.stage1.tables[0].root = align_down(table->pgtbl_addr, PAGE_SIZE);
	setup.stage1.tables[0].config = (struct isolde_pt_config){
		.format = ISOLDE_PT_X86_64,
		.input_bits = table->addr_width == 57 ? 57 : 48,
		.half = ISOLDE_PT_BOTH,
		.features = ISOLDE_PT_DIRTY,
		.page_sizes = unit->cap & INTEL_CAP_GIGABYTES ? 0 : BIT(12) | BIT(21),
	};
	return setup;
}

static int vtd_alloc_nested(struct iommu_device *device, struct domain *parent, u32 flags, const struct user_data *data,
			    struct domain **ret, struct why *why)
{
	struct iommu_hwpt_vtd_s1 table, *kept;
	struct nested_setup setup;
	int err = refuse_nesting(device, parent, flags, data, why);

	if (err == 0)
		err = user_data_read(data, IOMMU_HWPT_DATA_VTD_S1, sizeof(table), &table, sizeof(table), why);
	if (err < 0)
		return err;
	kept = alloc_new(struct iommu_hwpt_vtd_s1, why);
	if (!kept)
		return -why->err;
	*kept = table;
	setup = setup_of(device->unit, &table);
	err = domain_new_nested(parent, &setup, ret, why);
	if (err < 0) {
		free(kept);
		return err;
	}
	(*ret)->extra = kept;
	(*ret)->may_attach = vtd_may_attach;
	return 0;
}

/* ---- invalidation ---- */

/* Sizes that leave the 64 bits, or are nothing, mean all from there on. */
static u64 last_of(const struct iommu_hwpt_vtd_s1_invalidate *entry)
{
	u64 last = entry->addr + (entry->npages << PAGE_SHIFT) - 1;

	return entry->npages && entry->npages <= MASK(51, 0) && last >= entry->addr ? last : UINT64_MAX;
}

static int decode_entry(struct user_array *array, u32 index, struct iommu_hwpt_vtd_s1_invalidate *ret, struct why *why)
{
	int err = user_array_read(array, index, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, sizeof(*ret), ret, sizeof(*ret),
				  why);

	if (err < 0)
		return err;
	if (ret->flags & ~(u32)IOMMU_VTD_INV_FLAGS_LEAF || ret->__reserved)
		return refuse(why, INVALIDATE_FLAGS, "entry %u has flags %#x and %#x in its reserved field", index,
			      ret->flags, ret->__reserved);
	if (!is_aligned(ret->addr, PAGE_SIZE) || (ret->npages == UINT64_MAX && ret->addr))
		return refuse(why, INVALIDATE_RANGE, "entry %u: %#llx pages at %#llx are no range", index,
			      (unsigned long long)ret->npages, (unsigned long long)ret->addr);
	return 0;
}

static int vtd_invalidate(struct domain *nested, struct user_array *array, struct why *why)
{
	if (array->type != IOMMU_HWPT_INVALIDATE_DATA_VTD_S1)
		return refuse(why, USER_DATA_TYPE, "invalidations of VT-d are of type %u, not %#x",
			      IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, array->type);
	for (u32 i = 0; i < array->count; i++) {
		struct iommu_hwpt_vtd_s1_invalidate entry;
		int err = decode_entry(array, i, &entry, why);

		if (err < 0)
			return err;
		nested_flush(nested, entry.addr, last_of(&entry));
		array->done++;
	}
	return 0;
}

const struct iommufd_driver vtd_user_driver = {
	.hw_info = vtd_hw_info,
	.alloc_paging = alloc_paging_by_flags,
	.alloc_nested = vtd_alloc_nested,
	.invalidate = vtd_invalidate,
};
