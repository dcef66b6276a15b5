/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include "isolde/abi/iommufd.h"
#include "tests/fixtures/abi.h"

#define ABI_LINUX 0x70200 /* what ours has */

static const struct abi_row ours[] = {
#include "tests/fixtures/iommufd_abi.def"
};

TEST(abi, what_the_system_defines_is_what_we_define)
{
	unsigned compared;

	assert_int_equal(abi_differences(ours, ARRAY_SIZE(ours), iommufd_abi_of_system, &compared), 0);
	assert_in_range(compared, 0, ARRAY_SIZE(ours));
}

/* Numbers and sizes by spec 03, section 1.1, for systems whose header is older or missing. */
TEST(abi, requests)
{
#define ROW(name, number, type, size)                                                                                  \
	{                                                                                                              \
#name, name, 0x3b00 + (number), sizeof(struct type), size                                              \
	}
	static const struct {
		const char *name;
		unsigned cmd, expected_cmd;
		size_t size, expected_size;
	} rows[] = {
		ROW(IOMMU_DESTROY, 0x80, iommu_destroy, 8),
		ROW(IOMMU_IOAS_ALLOC, 0x81, iommu_ioas_alloc, 12),
		ROW(IOMMU_IOAS_ALLOW_IOVAS, 0x82, iommu_ioas_allow_iovas, 24),
		ROW(IOMMU_IOAS_COPY, 0x83, iommu_ioas_copy, 40),
		ROW(IOMMU_IOAS_IOVA_RANGES, 0x84, iommu_ioas_iova_ranges, 32),
		ROW(IOMMU_IOAS_MAP, 0x85, iommu_ioas_map, 40),
		ROW(IOMMU_IOAS_UNMAP, 0x86, iommu_ioas_unmap, 24),
		ROW(IOMMU_OPTION, 0x87, iommu_option, 24),
		ROW(IOMMU_VFIO_IOAS, 0x88, iommu_vfio_ioas, 12),
		ROW(IOMMU_HWPT_ALLOC, 0x89, iommu_hwpt_alloc, 48),
		ROW(IOMMU_GET_HW_INFO, 0x8a, iommu_hw_info, 40),
		ROW(IOMMU_HWPT_SET_DIRTY_TRACKING, 0x8b, iommu_hwpt_set_dirty_tracking, 16),
		ROW(IOMMU_HWPT_GET_DIRTY_BITMAP, 0x8c, iommu_hwpt_get_dirty_bitmap, 48),
		ROW(IOMMU_HWPT_INVALIDATE, 0x8d, iommu_hwpt_invalidate, 32),
		ROW(IOMMU_FAULT_QUEUE_ALLOC, 0x8e, iommu_fault_alloc, 16),
		ROW(IOMMU_IOAS_MAP_FILE, 0x8f, iommu_ioas_map_file, 40),
		ROW(IOMMU_VIOMMU_ALLOC, 0x90, iommu_viommu_alloc, 40),
		ROW(IOMMU_VDEVICE_ALLOC, 0x91, iommu_vdevice_alloc, 24),
		ROW(IOMMU_IOAS_CHANGE_PROCESS, 0x92, iommu_ioas_change_process, 8),
		ROW(IOMMU_VEVENTQ_ALLOC, 0x93, iommu_veventq_alloc, 32),
		ROW(IOMMU_HW_QUEUE_ALLOC, 0x94, iommu_hw_queue_alloc, 40),
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].cmd != rows[i].expected_cmd || rows[i].size != rows[i].expected_size)
			fail_msg("%s is %#x with %zu bytes", rows[i].name, rows[i].cmd, rows[i].size);
	}
}

/* What is read from and written to the queues. */
TEST(abi, records)
{
	assert_int_equal(sizeof(struct iommu_hwpt_pgfault), 40);
	assert_int_equal(offsetof(struct iommu_hwpt_pgfault, addr), 24);
	assert_int_equal(offsetof(struct iommu_hwpt_pgfault, cookie), 36);
	assert_int_equal(sizeof(struct iommu_hwpt_page_response), 8);
	assert_int_equal(sizeof(struct iommufd_vevent_header), 8);
	assert_int_equal(sizeof(struct iommu_vevent_arm_smmuv3), 32);
	assert_int_equal(sizeof(struct iommu_vevent_tegra241_cmdqv), 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(abi, what_the_system_defines_is_what_we_define),
		CASE(abi, requests),
		CASE(abi, records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
