/* SPDX-License-Identifier: MIT */
/* Mock devices: each in a group of its own, which is blocked until somebody attaches it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "selftest/mock.h"

enum { DEVICE_FLAGS = MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_PASID };

/* A device property of 0 bits stands for one PASID: that of requests without (spec 06 section 1, max_pasids()). */
static u32 max_pasids_of(u32 flags)
{
	return flags & MOCK_FLAGS_DEVICE_PASID ? BIT(MOCK_PASID_WIDTH) : 1;
}

static int enter_group(struct mock_device *mock, struct why *why)
{
	struct selftest *selftest = mock->selftest;
	char name[sizeof(mock->core->name)];
	const struct iommu_platform_facts facts = {
		.name = name, .max_pasids = max_pasids_of(mock->flags), .driver_data = mock};
	struct iommu_group *group;
	int err = iommu_group_add(selftest->iommufd->iommu, &group, why);

	if (err < 0)
		return err;
	snprintf(name, sizeof(name), "iommufd_mock%u", mock->number);
	err = iommu_platform_add(group, selftest->unit, &facts, &mock->core, why);
	if (err < 0) {
		iommu_group_remove(group);
		return err;
	}
	err = iommu_group_choose_default(group, why);
	if (err < 0) {
		iommu_device_remove(mock->core);
		mock->core = NULL;
	}
	return err;
}

/* Linux: drivers/iommu/iommufd/selftest.c:mock_dev_create() */
int mock_device_new(struct selftest *selftest, u32 flags, struct mock_device **ret, struct why *why)
{
	struct mock_device *mock;
	int err;

	if (flags & ~(u32)DEVICE_FLAGS)
		return refuse(why, MOCK_FLAGS, "a mock device with flags %#x: bits %#x are unknown", flags,
			      flags & ~(u32)DEVICE_FLAGS);
	mock = alloc_new(struct mock_device, why);
	if (!mock)
		return -why->err;
	*mock = (struct mock_device){.selftest = selftest, .flags = flags};
	for (unsigned i = 0; i < MOCK_DEV_CACHE_NUM; i++)
		mock->cache[i] = IOMMU_TEST_DEV_CACHE_DEFAULT;
	err = idmap_reserve(&selftest->numbers, 0, &mock->number, why);
	if (err < 0) {
		free(mock);
		return err;
	}
	idmap_publish(&selftest->numbers, mock->number, mock);
	err = enter_group(mock, why);
	if (err < 0) {
		mock_device_free(mock);
		return err;
	}
	*ret = mock;
	return 0;
}

struct mock_device *mock_device_free(struct mock_device *mock)
{
	if (!mock)
		return NULL;
	if (mock->core)
		iommu_device_remove(mock->core);
	assert(!mock->fault_users);
	idmap_abandon(&mock->selftest->numbers, mock->number);
	free(mock);
	return NULL;
}
