/* SPDX-License-Identifier: MIT */
/* The mock IOMMU's driver: attaches, domains, what GET_HW_INFO tells. Virtual IOMMUs are in viommu.c. */
#include <string.h>

#include "base/alloc.h"
#include "iommu/page_request.h"
#include "iommufd/ioctl.h"
#include "selftest/mock.h"

/* ---- page requests ---- */

static bool asks_pages(const struct iommu_device *device)
{
	return true;
}

/* Nobody waits for it: the request that made the device ask has returned long ago. */
static void hear_answer(void *context, const struct page_request *last, enum page_answer answer)
{
}

/* The device may ask as long as somebody answers for one of its attachments. */
static int use_faults(struct mock_device *mock, const struct domain *domain, struct why *why)
{
	int err = 0;

	if (!domain || !domain->answers_pages)
		return 0;
	if (!mock->fault_users)
		err = iommu_enable_page_requests(mock->core, hear_answer, mock, why);
	if (err == 0)
		mock->fault_users++;
	return err;
}

static void unuse_faults(struct mock_device *mock, const struct domain *domain)
{
	if (!domain || !domain->answers_pages)
		return;
	assert(mock->fault_users > 0);
	if (!--mock->fault_users)
		iommu_disable_page_requests(mock->core);
}

/* ---- attach ---- */

static int refuse_foreign_domain(const struct mock_device *mock, const struct domain *domain, struct why *why)
{
	char text[DOMAIN_TEXT];

	if (domain->driver == &mock_driver)
		return 0;
	return refuse(why, DOMAIN_FOREIGN, "%s, a mock, cannot have %s, which is of %s", mock->core->name,
		      domain_describe(domain, text), domain->driver->name);
}

static int refuse_tracking(const struct mock_device *mock, const struct domain *domain, struct why *why)
{
	char text[DOMAIN_TEXT];

	if (!(domain->abilities & DOMAIN_FOR_DIRTY) || !(mock->flags & MOCK_FLAGS_DEVICE_NO_DIRTY))
		return 0;
	return refuse(why, MOCK_NO_DIRTY, "%s was made without dirty tracking, and %s was made with it",
		      mock->core->name, domain_describe(domain, text));
}

/* Linux: drivers/iommu/iommufd/selftest.c:mock_domain_nop_attach() */
static int attach(struct iommu_device *device, struct domain *domain, struct domain *old, struct why *why)
{
	struct mock_device *mock = mock_device_of(device);
	const struct mock_nested *nested = mock_nested_of(domain);
	struct viommu *viommu = nested ? nested->viommu : NULL;
	u64 virt_id = 0;
	int err = refuse_foreign_domain(mock, domain, why);

	if (err == 0)
		err = refuse_tracking(mock, domain, why);
	if (err == 0 && viommu)
		err = viommu_virt_id(viommu, device, &virt_id, why);
	if (err == 0)
		err = use_faults(mock, domain, why);
	if (err < 0)
		return err;
	if (viommu != mock->viommu) {
		mock->viommu = viommu;
		mock->virt_id = virt_id;
	}
	unuse_faults(mock, mock->domain);
	mock->domain = domain;
	return 0;
}

/*
 * Every other attach of PASID 1024 fails, so that tests see what the core does when a driver refuses a replacement: it
 * goes back to the old domain, by a third call.
 */
static int toggle_1024(struct mock_device *mock, struct why *why)
{
	mock->fail_1024 = !mock->fail_1024;
	if (mock->fail_1024)
		return 0;
	return refuse(why, MOCK_PASID_1024, "%s refuses every other attach of PASID %u, and this is one",
		      mock->core->name, IOMMU_TEST_PASID_RESERVED);
}

/* Linux: drivers/iommu/iommufd/selftest.c:mock_domain_set_dev_pasid_nop() */
static int attach_pasid(struct iommu_device *device, u32 pasid, struct domain *domain, struct domain *old,
			struct why *why)
{
	struct mock_device *mock = mock_device_of(device);
	int err = pasid == IOMMU_TEST_PASID_RESERVED ? toggle_1024(mock, why) : 0;

	if (err == 0)
		err = use_faults(mock, domain, why);
	if (err < 0)
		return err;
	unuse_faults(mock, old);
	return 0;
}

static void detach_pasid(struct iommu_device *device, u32 pasid, struct domain *old)
{
	struct mock_device *mock = mock_device_of(device);

	if (pasid == IOMMU_TEST_PASID_RESERVED)
		mock->fail_1024 = false;
	unuse_faults(mock, old);
}

/* ---- what it is ---- */

static int hw_info(struct iommu_device *device, u32 *type, void *data, size_t size, struct why *why)
{
	const struct iommu_test_hw_info info = {.test_reg = IOMMU_HW_INFO_SELFTEST_REGVAL};

	if (*type && *type != IOMMU_HW_INFO_TYPE_SELFTEST)
		return refuse(why, HW_INFO_TYPE, "%s is a mock: it has information of type %#x, not %#x", device->name,
			      IOMMU_HW_INFO_TYPE_SELFTEST, *type);
	if (!fallible())
		return refuse(why, OUT_OF_MEMORY, "no memory for what %s has to tell", device->name);
	*type = IOMMU_HW_INFO_TYPE_SELFTEST;
	memcpy(data, &info, min_u64(size, sizeof(info)));
	return sizeof(info);
}

static bool dirty_capable(const struct iommu_device *device)
{
	return !(mock_device_of(device)->flags & MOCK_FLAGS_DEVICE_NO_DIRTY);
}

/* It does not have the capability, as what is no PCI device. */
static bool ats_capable(const struct iommu_device *device)
{
	return false;
}

/* ---- domains ---- */

static const struct domain_shape small_shape = {
	.table = {.format = ISOLDE_PT_AMDV1,
		  .granule = MOCK_PAGE_SIZE,
		  .input_bits = 56,
		  .output_bits = 51,
		  .page_sizes = MASK(36, 11),
		  .features = ISOLDE_PT_CONTIGUOUS | ISOLDE_PT_DIRTY},
	.first_iova = MOCK_APERTURE_START,
	.last_iova = MOCK_APERTURE_LAST,
};

static const struct domain_shape huge_shape = {
	.table = {.format = ISOLDE_PT_AMDV1,
		  .input_bits = 38,
		  .page_sizes = PAGE_SIZE | MOCK_HUGE_PAGE_SIZE,
		  .features = ISOLDE_PT_CONTIGUOUS | ISOLDE_PT_DIRTY},
	.last_iova = MASK(37, 0),
};

static int usual_shape(const struct iommu_unit *unit, unsigned abilities, struct domain_shape *ret, struct why *why)
{
	*ret = small_shape;
	return 0;
}

enum { PAGING_FLAGS = IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID };

static int refuse_paging(struct iommu_device *device, u32 flags, const struct user_data *data, struct why *why)
{
	if (flags & ~(u32)PAGING_FLAGS)
		return refuse(why, HWPT_FLAGS, "flags %#x for a mock domain of %s: bits %#x are unknown", flags,
			      device->name, flags & ~(u32)PAGING_FLAGS);
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING && !dirty_capable(device))
		return refuse(why, HWPT_NO_DIRTY, "%s was made without dirty tracking", device->name);
	if (data && data->type && data->type != IOMMU_HWPT_DATA_SELFTEST)
		return refuse(why, MOCK_DATA_TYPE, "data of type %#x for a mock domain, not %#x", data->type,
			      IOMMU_HWPT_DATA_SELFTEST);
	return 0;
}

static unsigned abilities_of(u32 flags)
{
	return (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING ? DOMAIN_FOR_DIRTY : 0) |
	       (flags & IOMMU_HWPT_ALLOC_NEST_PARENT ? DOMAIN_FOR_NESTING : 0) |
	       (flags & IOMMU_HWPT_ALLOC_PASID ? DOMAIN_FOR_PASIDS : 0);
}

static int alloc_paging(struct iommu_device *device, struct space *space, u32 flags, const struct user_data *data,
			struct domain **ret, struct why *why)
{
	struct iommu_hwpt_selftest wanted = {.pagetable_type = MOCK_IOMMUPT_DEFAULT};
	int err = refuse_paging(device, flags, data, why);

	if (err == 0 && data)
		err = user_data_read(data, IOMMU_HWPT_DATA_SELFTEST, THROUGH(struct iommu_hwpt_selftest, iotlb),
				     &wanted, sizeof(wanted), why);
	if (err < 0)
		return err;
	if (wanted.pagetable_type > MOCK_IOMMUPT_HUGE)
		return refuse(why, MOCK_TABLE_TYPE, "mock domains have tables of type %u and %u, not %u",
			      MOCK_IOMMUPT_DEFAULT, MOCK_IOMMUPT_HUGE, wanted.pagetable_type);
	err = domain_new_shaped(space, device->unit,
				wanted.pagetable_type == MOCK_IOMMUPT_HUGE ? &huge_shape : &small_shape, ret, why);
	if (err == 0)
		(*ret)->abilities = abilities_of(flags);
	return err;
}

/* Linux: drivers/iommu/iommufd/selftest.c:__mock_domain_alloc_nested() */
int mock_nested_new(struct domain *parent, const struct iommu_unit *unit, struct viommu *viommu, u32 flags,
		    const struct user_data *data, struct domain **ret, struct why *why)
{
	struct iommu_hwpt_selftest wanted;
	struct mock_nested *nested;
	struct domain *domain;
	int err;

	if (flags & ~(u32)IOMMU_HWPT_ALLOC_PASID)
		return refuse(why, HWPT_FLAGS, "flags %#x for a nested mock domain: only ALLOC_PASID is for those",
			      flags);
	if (data->type != IOMMU_HWPT_DATA_SELFTEST)
		return refuse(why, MOCK_DATA_TYPE, "data of type %#x for a nested mock domain, not %#x", data->type,
			      IOMMU_HWPT_DATA_SELFTEST);
	err = user_data_read(data, IOMMU_HWPT_DATA_SELFTEST, THROUGH(struct iommu_hwpt_selftest, iotlb), &wanted,
			     sizeof(wanted), why);
	if (err < 0)
		return err;
	nested = alloc_new(struct mock_nested, why);
	err = nested ? domain_new_opaque(parent, unit, &domain, why) : -why->err;
	if (err < 0) {
		free(nested);
		return err;
	}
	nested->viommu = viommu;
	for (unsigned i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
		nested->iotlb[i] = wanted.iotlb;
	domain->extra = nested;
	*ret = domain;
	return 0;
}

static int alloc_nested(struct iommu_device *device, struct domain *parent, u32 flags, const struct user_data *data,
			struct domain **ret, struct why *why)
{
	return mock_nested_new(parent, device->unit, NULL, flags, data, ret, why);
}

/* ---- invalidation ---- */

int mock_refuse_words(u32 flags, u32 index, u32 last, const char *what, struct why *why)
{
	if (flags & ~(u32)IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return refuse(why, FLAGS_UNKNOWN, "flags %#x of an invalidation of a mock's %s", flags, what);
	if (index > last)
		return refuse(why, MOCK_INDEX, "a mock's %s has words 0 to %u, not %u", what, last, index);
	return 0;
}

void mock_clear_words(u32 *words, u32 count, u32 flags, u32 index)
{
	for (u32 i = 0; i < count; i++)
		if (i == index || flags & IOMMU_TEST_INVALIDATE_FLAG_ALL)
			words[i] = 0;
}

/* Linux: drivers/iommu/iommufd/selftest.c:mock_domain_cache_invalidate_user() */
static int invalidate(struct domain *domain, struct user_array *array, struct why *why)
{
	struct mock_nested *nested = mock_nested_of(domain);

	array->done = 0;
	if (array->type != IOMMU_HWPT_INVALIDATE_DATA_SELFTEST)
		return refuse(why, USER_DATA_TYPE, "entries of type %#x for a nested mock domain, not %#x", array->type,
			      IOMMU_HWPT_INVALIDATE_DATA_SELFTEST);
	for (; array->done < array->count; array->done++) {
		struct iommu_hwpt_invalidate_selftest entry;
		int err = user_array_read(array, array->done, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, sizeof(entry),
					  &entry, sizeof(entry), why);

		if (err == 0)
			err = mock_refuse_words(entry.flags, entry.iotlb_id, MOCK_NESTED_DOMAIN_IOTLB_ID_MAX, "IOTLB",
						why);
		if (err < 0)
			return err;
		mock_clear_words(nested->iotlb, MOCK_NESTED_DOMAIN_IOTLB_NUM, entry.flags, entry.iotlb_id);
	}
	return 0;
}

static const struct iommufd_driver user_driver = {
	.ats_capable = ats_capable,
	.hw_info = hw_info,
	.dirty_capable = dirty_capable,
	.alloc_paging = alloc_paging,
	.alloc_nested = alloc_nested,
	.invalidate = invalidate,
	.viommu_size = mock_viommu_size,
	.viommu_init = mock_viommu_init,
	.viommu_destroy = mock_viommu_destroy,
	.viommu_alloc_nested = mock_viommu_alloc_nested,
	.viommu_invalidate = mock_viommu_invalidate,
	.hw_queue_size = mock_hw_queue_size,
	.hw_queue_init = mock_hw_queue_init,
	.hw_queue_destroy = mock_hw_queue_destroy,
	.mock = true,
};

const struct iommu_driver mock_driver = {
	.name = "iommufd_mock",
	.attach = attach,
	.attach_pasid = attach_pasid,
	.detach_pasid = detach_pasid,
	.shape = usual_shape,
	.asks_pages = asks_pages,
	.user = &user_driver,
	.lacks_sva = true,
	.blocks_by_default = true,
	.user_pasid_table = true,
	.nested_format = ISOLDE_PT_AMDV1,
};
