/* SPDX-License-Identifier: MIT */
/* The operations of IOMMU_TEST_CMD: all of them are one request, whose structure says which. */
#ifndef SELFTEST_OPS_H
#define SELFTEST_OPS_H

#include "iommufd/ioctl.h"
#include "selftest/abi.h"
#include "selftest/selftest.h"

/* "MOCK_DOMAIN" for 2; NULL for a number that Linux 7.2 does not have. */
const char *test_op_name(unsigned op);

/* Like an iommufd_handler, whose structure is command. */
typedef long test_op(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,
		     struct why *why);

#define TEST_OPS(X)                                                                                                    \
	X(ADD_RESERVED, add_reserved)                                                                                  \
	X(MOCK_DOMAIN, mock_domain)                                                                                    \
	X(MD_CHECK_MAP, md_check_map)                                                                                  \
	X(MD_CHECK_REFS, md_check_refs)                                                                                \
	X(CREATE_ACCESS, create_access)                                                                                \
	X(DESTROY_ACCESS_PAGES, destroy_access_pages)                                                                  \
	X(ACCESS_PAGES, access_pages)                                                                                  \
	X(ACCESS_RW, access_rw)                                                                                        \
	X(SET_TEMP_MEMORY_LIMIT, set_temp_memory_limit)                                                                \
	X(MOCK_DOMAIN_REPLACE, mock_domain_replace)                                                                    \
	X(ACCESS_REPLACE_IOAS, access_replace_ioas)                                                                    \
	X(MOCK_DOMAIN_FLAGS, mock_domain_flags)                                                                        \
	X(DIRTY, dirty)                                                                                                \
	X(MD_CHECK_IOTLB, md_check_iotlb)                                                                              \
	X(TRIGGER_IOPF, trigger_iopf)                                                                                  \
	X(DEV_CHECK_CACHE, dev_check_cache)                                                                            \
	X(TRIGGER_VEVENT, trigger_vevent)                                                                              \
	X(PASID_ATTACH, pasid_attach)                                                                                  \
	X(PASID_REPLACE, pasid_replace)                                                                                \
	X(PASID_DETACH, pasid_detach)                                                                                  \
	X(PASID_CHECK_HWPT, pasid_check_hwpt)                                                                          \
	X(DMABUF_GET, dmabuf_get)                                                                                      \
	X(DMABUF_REVOKE, dmabuf_revoke)

#define TEST_OP_DECLARE(name, word)                                                                                    \
	long test_##word(struct selftest *selftest, struct request *request, struct iommu_test_cmd *command,           \
			 struct why *why);
TEST_OPS(TEST_OP_DECLARE)
#undef TEST_OP_DECLARE

struct ioas;
/* With the SYZ flag an IOVA is the number of an area, in order, and an offset in it; 0 for one that is not there. */
u64 test_iova(const struct ioas *ioas, u64 numbers);
#endif
