/* SPDX-License-Identifier: MIT */
/*
 * AMD: what iommufd gets of AMD-Vi (Linux: drivers/iommu/amd/{iommufd,nested}.c; spec 03 sections 5.1, 6.1, 11). A
 * guest's device table entry names a table of GCR3 registers; its domain ids are translated to the host's, one for one
 * within a virtual IOMMU, and those are few.
 */
#include <stdlib.h>

#include "iommu/kind.h"
#include "iommu/nested.h"
#include "iommu/stage1.h"
#include "iommufd/drivers.h"

static int amd_hw_info(struct iommu_device *device, u32 *type, void *data, size_t size, struct why *why)
{
	const struct iommu_hw_info_amd info = {.efr = device->unit->efr, .efr2 = device->unit->efr2};

	return hw_info_answer(device, type, IOMMU_HW_INFO_TYPE_AMD, &info, sizeof(info), data, size, why);
}

/* ---- the guest's domain ids ---- */

struct guest_id {
	u16 id;
	unsigned users; /* nested domains */
	struct list_link link;
};

struct amd_viommu {
	struct viommu viommu; /* first */
	struct list ids;      /* struct guest_id, owned */
};

static struct amd_viommu *amd_viommu_of(struct viommu *viommu)
{
	return container_of(viommu, struct amd_viommu, viommu);
}

/* The driver takes any type but 0: amd/iommufd.c:amd_iommufd_get_viommu_size() */
static size_t amd_viommu_size(struct iommu_device *device, u32 type)
{
	return sizeof(struct amd_viommu);
}

static int amd_viommu_init(struct viommu *viommu, struct domain *parent, const struct user_data *data, struct why *why)
{
	list_init(&amd_viommu_of(viommu)->ids);
	return 0;
}

static void amd_viommu_destroy(struct viommu *viommu)
{
	assert(list_empty(&amd_viommu_of(viommu)->ids));
}

static int use_id(struct amd_viommu *viommu, u16 id, struct guest_id **ret, struct why *why)
{
	struct iommu *iommu = viommu->viommu.parent->hwpt.domain->iommu;
	struct guest_id *found;

	list_for_each(found, &viommu->ids, link)
		if (found->id == id) {
			found->users++;
			*ret = found;
			return 0;
		}
	if (iommu->amd_guest_ids == AMD_DOMAIN_IDS)
		return refuse(why, AMD_IDS_EXHAUSTED, "%u domain ids of guests are in use, and id %u is another one",
			      iommu->amd_guest_ids, id);
	found = alloc_new(struct guest_id, why);
	if (!found)
		return -why->err;
	*found = (struct guest_id){.id = id, .users = 1};
	list_append(&viommu->ids, &found->link);
	iommu->amd_guest_ids++;
	*ret = found;
	return 0;
}

static void unuse_id(struct iommu *iommu, struct guest_id *id)
{
	if (--id->users)
		return;
	list_remove(&id->link);
	free(id);
	iommu->amd_guest_ids--;
}

/* ---- nested domains ---- */

#define DTE_VALID	BIT(0)
#define DTE_GUEST	BIT(55)
#define DTE_HOST_LEVELS MASK(11, 9)
#define DTE_HOST_TABLE	MASK(51, 12)
#define DTE_GCR3_0	MASK(60, 58)
#define DTE_GCR3_1	(MASK(31, 16) | MASK(63, 43))

static int refuse_entry(const struct iommu_unit *unit, const u64 *dte, struct why *why)
{
	unsigned levels = dte[2] >> 54 & 3;

	if (dte[0] & (DTE_HOST_LEVELS | DTE_HOST_TABLE))
		return refuse(why, AMD_ENTRY_INVALID, "word 0, %#llx, has the host's part of a device table entry set",
			      (unsigned long long)dte[0]);
	if (dte[0] & DTE_VALID && dte[0] & DTE_GUEST && !(dte[0] & DTE_GCR3_0) && !(dte[1] & DTE_GCR3_1))
		return refuse(why, AMD_ENTRY_INVALID, "words %#llx and %#llx are valid, but name no GCR3 table",
			      (unsigned long long)dte[0], (unsigned long long)dte[1]);
	if (levels > 1)
		return refuse(why, AMD_ENTRY_INVALID, "word 2, %#llx, has guest paging mode %u",
			      (unsigned long long)dte[2], levels);
	if ((dte[0] >> 56 & 3) == 3)
		return refuse(why, AMD_ENTRY_INVALID, "word 0, %#llx, has a GCR3 table of 4 levels",
			      (unsigned long long)dte[0]);
	if (levels && !AMD_EFR_GUEST_FIVE(unit->efr))
		return refuse(why, AMD_NO_FIVE_LEVELS, "%s walks no guest tables of 5 levels", unit->name);
	return 0;
}

static void amd_release(struct domain *domain)
{
	unuse_id(domain->iommu, *(struct guest_id **)domain->extra);
}

static int make_nested(struct amd_viommu *viommu, const u64 *dte, struct guest_id *id, struct domain **ret,
		       struct why *why)
{
	struct nested_setup setup = {.format = ISOLDE_PT_X86_64, .find = amd_find_context, .uncached = true};
	struct guest_id **kept = alloc_zero(sizeof(struct guest_id *), why);
	int err;

	if (!kept)
		return -why->err;
	memcpy(setup.words, dte, sizeof(setup.words));
	err = domain_new_nested(viommu->viommu.parent->hwpt.domain, &setup, ret, why);
	if (err < 0) {
		free(kept);
		return err;
	}
	*kept = id;
	(*ret)->extra = kept;
	(*ret)->release = amd_release;
	return 0;
}

/* Linux: drivers/iommu/amd/nested.c:amd_iommu_alloc_domain_nested() */
static int amd_alloc_nested(struct viommu *viommu, u32 flags, const struct user_data *data, struct domain **ret,
			    struct why *why)
{
	struct amd_viommu *own = amd_viommu_of(viommu);
	struct iommu_hwpt_amd_guest entry;
	struct guest_id *id = NULL;
	u64 dte[4];
	int err;

	if (data->type != IOMMU_HWPT_DATA_AMD_GUEST)
		return refuse(why, HWPT_DATA_TYPE, "%s has entries of type %u, not %#x", viommu->unit->name,
			      IOMMU_HWPT_DATA_AMD_GUEST, data->type);
	err = user_data_read(data, IOMMU_HWPT_DATA_AMD_GUEST, sizeof(entry), &entry, sizeof(entry), why);
	if (err < 0)
		return err;
	memcpy(dte, entry.dte, sizeof(dte));
	err = refuse_entry(viommu->unit, dte, why);
	if (err == 0)
		err = use_id(own, (u16)dte[1], &id, why);
	if (err < 0)
		return err;
	err = make_nested(own, dte, id, ret, why);
	if (err < 0)
		unuse_id(viommu->parent->hwpt.domain->iommu, id);
	return err;
}

const struct iommufd_driver amd_user_driver = {
	.hw_info = amd_hw_info,
	.alloc_paging = alloc_paging_by_flags,
	.viommu_size = amd_viommu_size,
	.viommu_init = amd_viommu_init,
	.viommu_destroy = amd_viommu_destroy,
	.viommu_alloc_nested = amd_alloc_nested,
};
