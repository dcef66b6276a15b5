/* SPDX-License-Identifier: MIT */
/*
 * What Linux has when it is built with CONFIG_IOMMUFD_TEST: IOMMU_TEST_CMD (selftest/abi.h), a mock IOMMU, and devices
 * that a program makes and attaches as it likes. Nobody else sees any of it. All under machine.lock.
 */
#ifndef SELFTEST_SELFTEST_H
#define SELFTEST_SELFTEST_H

#include "iommufd/iommufd.h"

struct selftest {
	struct iommufd *iommufd; /* borrowed; NULL: not initialised */
	struct iommu_unit *unit; /* the mock IOMMU; borrowed from iommufd->iommu */
	struct idmap numbers;	 /* struct mock_device, owned by their objects: by the number in their name */
	u32 memory_limit;	 /* of SET_TEMP_MEMORY_LIMIT: kept, but nothing here is done in batches */
};

/* From now on /dev/iommu has IOMMU_TEST_CMD. OUT_OF_MEMORY. */
int selftest_init(struct selftest *selftest, struct iommufd *iommufd, struct why *why);
void selftest_fini(struct selftest *selftest); /* all contexts are gone; legal on a zeroed one */

#endif
