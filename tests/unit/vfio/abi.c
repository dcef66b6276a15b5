/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include "isolde/abi/vfio.h"
#include "tests/fixtures/abi.h"
#include "vfio/ioctl.h"

static const struct abi_row ours[] = {
#include "tests/fixtures/vfio_abi.def"
};

TEST(abi, what_the_system_defines_is_what_we_define)
{
	unsigned compared;

	assert_int_equal(abi_differences(ours, ARRAY_SIZE(ours), vfio_abi_of_system, &compared), 0);
	/* Linux 6.1's header, the oldest we meet, has this many of them. */
	assert_in_range(compared, 250, ARRAY_SIZE(ours));
}

TEST(abi, numbers_that_old_systems_lack)
{
	assert_int_equal(VFIO_DEVICE_BIND_IOMMUFD, 0x3b76);
	assert_int_equal(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 0x3b77);
	assert_int_equal(VFIO_DEVICE_DETACH_IOMMUFD_PT, 0x3b78);
	assert_int_equal(VFIO_MIG_GET_PRECOPY_INFO, 0x3b79);
	assert_int_equal(sizeof(struct vfio_device_info), 24);
	assert_int_equal(sizeof(struct vfio_iommu_type1_info), 24);
	assert_int_equal(sizeof(struct vfio_device_bind_iommufd), 24);
	assert_int_equal(offsetof(struct vfio_device_bind_iommufd, token_uuid_ptr), 16);
	assert_int_equal(sizeof(struct vfio_device_attach_iommufd_pt), 16);
	assert_int_equal(sizeof(struct vfio_device_detach_iommufd_pt), 12);
	assert_int_equal(sizeof(struct vfio_device_feature_dma_buf), 16);
}

/* The smallest argsz of each request, by spec 04 and 05. */
TEST(abi, smallest_sizes)
{
	static const struct {
		enum vfio_kind kind;
		unsigned cmd, min;
	} expected[] = {
		{VFIO_KIND_GROUP, VFIO_GROUP_GET_STATUS, 8},
		{VFIO_KIND_TYPE1, VFIO_IOMMU_GET_INFO, 16},
		{VFIO_KIND_TYPE1, VFIO_IOMMU_MAP_DMA, 32},
		{VFIO_KIND_TYPE1, VFIO_IOMMU_UNMAP_DMA, 24},
		{VFIO_KIND_DEVICE, VFIO_DEVICE_GET_INFO, 16},
		{VFIO_KIND_DEVICE, VFIO_DEVICE_GET_REGION_INFO, 32},
		{VFIO_KIND_DEVICE, VFIO_DEVICE_GET_IRQ_INFO, 16},
		{VFIO_KIND_DEVICE, VFIO_DEVICE_SET_IRQS, 20},
		{VFIO_KIND_PCI, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, 12},
		{VFIO_KIND_PCI, VFIO_DEVICE_PCI_HOT_RESET, 12},
		{VFIO_KIND_PCI, VFIO_DEVICE_IOEVENTFD, 28},
		{VFIO_KIND_DEVICE, VFIO_DEVICE_FEATURE, 8},
		{VFIO_KIND_CDEV, VFIO_DEVICE_ATTACH_IOMMUFD_PT, 12},
		{VFIO_KIND_CDEV, VFIO_DEVICE_DETACH_IOMMUFD_PT, 8},
	};

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_int_equal(vfio_ioctl_find(expected[i].kind, expected[i].cmd)->min, expected[i].min);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(abi, what_the_system_defines_is_what_we_define),
		CASE(abi, numbers_that_old_systems_lack),
		CASE(abi, smallest_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
