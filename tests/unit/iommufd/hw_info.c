/* SPDX-License-Identifier: MIT */
/* GET_HW_INFO: spec 03 section 5.1. */
#include "tests/fixtures/assign_room.h"

static struct iommu_hw_info info_cmd(const struct assign_room *self, void *data, u32 size)
{
	return (struct iommu_hw_info){.size = sizeof(struct iommu_hw_info),
				      .dev_id = self->device[0]->object.id,
				      .data_uptr = (uintptr_t)data,
				      .data_len = size};
}

ASSIGN_TEST(hw_info, refuses_in_linuxs_order)
{
	struct iommu_hw_info cmd;

	assign_bind(self, 0);
	cmd = info_cmd(self, (void *)8, 4);
	cmd.flags = BIT(1) | IOMMU_HW_INFO_FLAG_INPUT_TYPE;
	cmd.__reserved[2] = 1;
	cmd.dev_id = 77;
	cmd.in_data_type = 99;
	EXPECT_ASKED_NO(FLAGS_UNKNOWN, IOMMU_GET_HW_INFO, &cmd);
	cmd.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
	EXPECT_ASKED_NO(RESERVED_SET, IOMMU_GET_HW_INFO, &cmd);
	cmd.__reserved[2] = 0;
	EXPECT_ASKED_NO(OBJECT_MISSING, IOMMU_GET_HW_INFO, &cmd);
	cmd.dev_id = self->device[0]->object.id;
	EXPECT_ASKED_NO(HW_INFO_TYPE, IOMMU_GET_HW_INFO, &cmd);
	cmd.in_data_type = TOY_INFO;
	EXPECT_ASKED_NO(CLIENT_FAULT, IOMMU_GET_HW_INFO, &cmd);
	cmd.data_len = 0;
	ASSERT_YES(assign_ask(self, IOMMU_GET_HW_INFO, &cmd));
	assert_int_equal(cmd.data_len, 12);
}

ASSIGN_TEST(hw_info, data_is_cut_or_filled_up_and_its_length_told)
{
	struct iommu_hw_info cmd;
	char data[32], *room;

	assign_bind(self, 0);
	memset(data, '?', sizeof(data));
	cmd = info_cmd(self, data, 5);
	cmd.in_data_type = 99; /* not asked for, without the flag */
	ASSERT_YES(assign_ask(self, IOMMU_GET_HW_INFO, &cmd));
	assert_int_equal(cmd.out_data_type, TOY_INFO);
	assert_int_equal(cmd.data_len, 12);
	assert_memory_equal(data, "01234?", 6);
	cmd = info_cmd(self, data, 20);
	ASSERT_YES(assign_ask(self, IOMMU_GET_HW_INFO, &cmd));
	assert_int_equal(cmd.data_len, 12);
	assert_memory_equal(data, "0123456789ab\0\0\0\0\0\0\0\0?", 21);
	/* What is filled up must be there, too. */
	room = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(room + PAGE_SIZE, PAGE_SIZE);
	cmd = info_cmd(self, room, PAGE_SIZE + 1);
	EXPECT_ASKED_NO(CLIENT_FAULT, IOMMU_GET_HW_INFO, &cmd);
	munmap(room, PAGE_SIZE);
	/* The structure of the first kernel that had it ends before the abilities. */
	cmd = info_cmd(self, data, 5);
	cmd.size = offsetof(struct iommu_hw_info, out_capabilities);
	cmd.out_capabilities = 0x55;
	ASSERT_YES(assign_ask(self, IOMMU_GET_HW_INFO, &cmd));
	assert_int_equal(cmd.out_capabilities, 0x55);
}

ASSIGN_TEST(hw_info, a_driver_that_tells_nothing)
{
	struct iommu_hw_info cmd;
	char data[4] = "????";

	assign_bind(self, 0);
	toy.user.hw_info = NULL;
	cmd = info_cmd(self, data, 4);
	ASSERT_YES(assign_ask(self, IOMMU_GET_HW_INFO, &cmd));
	assert_int_equal(cmd.out_data_type, IOMMU_HW_INFO_TYPE_NONE);
	assert_int_equal(cmd.data_len, 0);
	assert_memory_equal(data, "\0\0\0\0", 4);
}

static u64 abilities(struct assign_room *self, u8 *ret_log2)
{
	struct iommu_hw_info cmd = info_cmd(self, NULL, 0);

	ASSERT_YES(assign_ask(self, IOMMU_GET_HW_INFO, &cmd));
	*ret_log2 = cmd.out_max_pasid_log2;
	return cmd.out_capabilities;
}

ASSIGN_TEST(hw_info, abilities_are_those_of_the_device_and_its_iommu)
{
	struct pci_function *function = self->core[0]->function;
	u8 log2;

	assign_bind(self, 0);
	assert_int_equal(abilities(self, &log2), 0);
	assert_int_equal(log2, 6);
	function->config_size = 4096;
	self->core[0]->max_pasids = 1 << 20;
	function->cap_pasid = 0x140;
	/* What is switched on counts, not what there is. */
	function->config[0x144] = 0x06;
	assert_int_equal(abilities(self, &log2), 0);
	function->config[0x146] = 0x03;
	assert_int_equal(abilities(self, &log2), IOMMU_HW_CAP_PCI_PASID_EXEC);
	assert_int_equal(log2, 20);
	function->config[0x146] = 0x05;
	toy.dirty = true;
	function->cap_ats = 0;
	assert_int_equal(abilities(self, &log2), IOMMU_HW_CAP_PCI_PASID_PRIV | IOMMU_HW_CAP_DIRTY_TRACKING |
							 IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
	/* None of both: not there. */
	self->core[0]->max_pasids = 0;
	assert_int_equal(abilities(self, &log2), IOMMU_HW_CAP_DIRTY_TRACKING | IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
	assert_int_equal(log2, 0);
	function->cap_pasid = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(hw_info, refuses_in_linuxs_order),
		CASE(hw_info, data_is_cut_or_filled_up_and_its_length_told),
		CASE(hw_info, a_driver_that_tells_nothing),
		CASE(hw_info, abilities_are_those_of_the_device_and_its_iommu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
