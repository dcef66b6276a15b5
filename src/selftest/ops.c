/* SPDX-License-Identifier: MIT */
#include "selftest/ops.h"

#include <stddef.h>

#include "selftest/abi.h"

const char *test_op_name(unsigned op)
{
#define OP(name) [IOMMU_TEST_OP_##name] = #name
	static const char *const names[] = {
		OP(ADD_RESERVED),
		OP(MOCK_DOMAIN),
		OP(MD_CHECK_MAP),
		OP(MD_CHECK_REFS),
		OP(CREATE_ACCESS),
		OP(DESTROY_ACCESS_PAGES),
		OP(ACCESS_PAGES),
		OP(ACCESS_RW),
		OP(SET_TEMP_MEMORY_LIMIT),
		OP(MOCK_DOMAIN_REPLACE),
		OP(ACCESS_REPLACE_IOAS),
		OP(MOCK_DOMAIN_FLAGS),
		OP(DIRTY),
		OP(MD_CHECK_IOTLB),
		OP(TRIGGER_IOPF),
		OP(DEV_CHECK_CACHE),
		OP(TRIGGER_VEVENT),
		OP(PASID_ATTACH),
		OP(PASID_REPLACE),
		OP(PASID_DETACH),
		OP(PASID_CHECK_HWPT),
		OP(DMABUF_GET),
		OP(DMABUF_REVOKE),
	};

	return op < sizeof(names) / sizeof(names[0]) ? names[op] : NULL;
}
