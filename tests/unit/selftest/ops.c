/* SPDX-License-Identifier: MIT */
#include "selftest/ops.h"

#include "tests/helpers.h"

#include "selftest/abi.h"

TEST(ops, have_the_names_of_linux)
{
	assert_string_equal(test_op_name(IOMMU_TEST_OP_ADD_RESERVED), "ADD_RESERVED");
	assert_string_equal(test_op_name(IOMMU_TEST_OP_DMABUF_REVOKE), "DMABUF_REVOKE");
	assert_null(test_op_name(0));
	assert_null(test_op_name(IOMMU_TEST_OP_DMABUF_REVOKE + 1));
	assert_null(test_op_name(UINT32_MAX));
}

TEST(ops, are_numbered_without_a_gap)
{
	for (unsigned op = 1; op <= 23; op++)
		assert_non_null(test_op_name(op));
}

/* By spec 06, section 8; tests/kernel/abi.sh compares with the header of Linux's tests. */
TEST(ops, share_one_structure)
{
	assert_int_equal(IOMMU_TEST_CMD, 0x3ba0);
	assert_int_equal(sizeof(struct iommu_test_cmd), 72);
	assert_int_equal(offsetof(struct iommu_test_cmd, add_reserved.start), 16);
	assert_int_equal(offsetof(struct iommu_test_cmd, dirty.out_nr_dirty), 56);
	assert_int_equal(offsetof(struct iommu_test_cmd, last), 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(ops, have_the_names_of_linux),
		CASE(ops, are_numbered_without_a_gap),
		CASE(ops, share_one_structure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
