/* SPDX-License-Identifier: MIT */
/* How operations find what they are about. */
#ifndef SELFTEST_LOOK_H
#define SELFTEST_LOOK_H

#include "iommufd/hwpt.h"
#include "iommufd/ioctl.h"

struct mock_device;

/* A paging HWPT of the mock: OBJECT_MISSING (ENOENT), MOCK_EXPECTED (EINVAL). */
int find_mock_hwpt(struct request *request, u32 id, struct hwpt_paging **ret, struct why *why);
/* The mock behind a bound device: the same. */
int find_mock_device(struct request *request, u32 id, struct mock_device **ret, struct why *why);

#endif
