/* SPDX-License-Identifier: MIT */
/* The operations of IOMMU_TEST_CMD by name, for refusals and traces: all of them are one request. */
#ifndef SELFTEST_OPS_H
#define SELFTEST_OPS_H

/* "MOCK_DOMAIN" for 2; NULL for a number that Linux 7.2 does not have. */
const char *test_op_name(unsigned op);

#endif
