/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "tests/fixtures/room.h"
#include "vfio/ioctl.h"

#define IOCTL(fd, cmd, arg) room_ioctl(room, fd, cmd, (const void *)(uintptr_t)(arg))

/* The group of name, open and in the container. */
static int enter(struct room *room, const char *name, int container)
{
	int group = (int)ASSERT_OK(room->why, room_open_group(room, name));

	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container));
	return group;
}

TEST(container, without_groups_it_can_do_nothing)
{
	struct room *room = room_new();
	int container = room_open_container(room);

	assert_int_equal(IOCTL(container, VFIO_GET_API_VERSION, 0xdead), 0);
	EXPECT_REFUSED(CONTAINER_EMPTY, room->why, IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	EXPECT_REFUSED(NO_IOMMU_SET, room->why, room_map(room, container, room, 0, 0x1000, 3));
	EXPECT_SUBSTR("VFIO_IOMMU_MAP_DMA", room->why.text);
	/* EINVAL, not ENOTTY: there is no backend that could know it. */
	EXPECT_REFUSED(NO_IOMMU_SET, room->why, IOCTL(container, 0x3bff, 0));
	room_free(room);
}

TEST(container, extensions_by_state)
{
	struct room *room = room_new();
	int container = room_open_container(room), group = enter(room, ROOM_NVME, container);

	assert_int_equal(IOCTL(container, VFIO_CHECK_EXTENSION, VFIO_UPDATE_VADDR), 0);
	ASSERT_OK(room->why, IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	assert_int_equal(IOCTL(container, VFIO_CHECK_EXTENSION, VFIO_UPDATE_VADDR), 1);
	assert_int_equal(IOCTL(container, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU), 0);
	assert_int_equal(IOCTL(container, VFIO_CHECK_EXTENSION, UINT64_MAX), 0);
	room_close(room, group);
	/* The unit enforces coherency from now on. */
	room->wide->ecap |= 0x80;
	group = enter(room, ROOM_NVME, container);
	ASSERT_OK(room->why, IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	assert_int_equal(IOCTL(container, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU), 1);
	room_free(room);
}

TEST(container, types_it_does_not_have)
{
	struct room *room = room_new();
	int container = room_open_container(room);

	enter(room, ROOM_NVME, container);
	EXPECT_REFUSED(IOMMU_TYPE_UNSUPPORTED, room->why, IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1_NESTING_IOMMU));
	EXPECT_REFUSED(IOMMU_TYPE_UNSUPPORTED, room->why, IOCTL(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	EXPECT_REFUSED(IOMMU_TYPE_UNSUPPORTED, room->why, IOCTL(container, VFIO_SET_IOMMU, 77));
	EXPECT_REFUSED(IOMMU_TYPE_INVALID, room->why, IOCTL(container, VFIO_SET_IOMMU, VFIO_UNMAP_ALL));
	ASSERT_OK(room->why, IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	EXPECT_REFUSED(IOMMU_ALREADY_SET, room->why, IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT_SUBSTR("TYPE1", room->why.text);
	EXPECT_REFUSED(IOCTL_UNKNOWN, room->why, IOCTL(container, 0x3bff, 0));
	room_free(room);
}

TEST(container, a_native_driver_in_the_group_is_named)
{
	struct room *room = room_new();
	int container = room_open_container(room), group;

	room_bind_native(room, ROOM_PAIR_B, "e1000e");
	group = (int)ASSERT_OK(room->why, room_open_group(room, ROOM_PAIR_A));
	EXPECT_REFUSED(GROUP_NOT_VIABLE, room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container));
	EXPECT_SUBSTR("e1000e", room->why.text);
	EXPECT_SUBSTR(ROOM_PAIR_B, room->why.text);
	room_check(room);
	room_free(room);
}

TEST(container, two_groups_share_mappings_until_the_last_leaves)
{
	struct room *room = room_new();
	int container = room_open_container(room), first = enter(room, ROOM_NVME, container), second;
	struct domain *domain;
	u64 size = 0;

	ASSERT_OK(room->why, IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	second = enter(room, ROOM_NIC, container);
	domain = room_device(room, ROOM_NVME)->group->domain;
	assert_ptr_equal(room_device(room, ROOM_NIC)->group->domain, domain);
	ASSERT_OK(room->why, room_map(room, container, (void *)align_down((uintptr_t)room, 0x1000), 0x1000, 0x1000, 1));
	room_check(room);
	ASSERT_OK(room->why, IOCTL(first, VFIO_GROUP_UNSET_CONTAINER, 0));
	assert_non_null(domain_area_at(domain, 0x1000));
	assert_ptr_not_equal(room_device(room, ROOM_NVME)->group->domain, domain);
	ASSERT_OK(room->why, IOCTL(second, VFIO_GROUP_UNSET_CONTAINER, 0));
	/* Back in its first state: no backend, no mappings. */
	EXPECT_REFUSED(NO_IOMMU_SET, room->why, room_unmap(room, container, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, &size));
	assert_int_equal(room->client->locked_bytes, 0);
	ASSERT_OK(room->why, IOCTL(first, VFIO_GROUP_SET_CONTAINER, &container));
	ASSERT_OK(room->why, IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	room_free(room);
}

TEST(container, its_groups_keep_it_when_its_descriptor_goes)
{
	struct room *room = room_new();
	struct room_device opened = room_open_device(room, ROOM_NVME, VFIO_TYPE1v2_IOMMU);
	void *page = (void *)align_down((uintptr_t)room, 0x1000);
	struct domain *domain = room_device(room, ROOM_NVME)->group->domain;

	ASSERT_OK(room->why, room_map(room, opened.container, page, 0x5000, 0x1000, 3));
	room_close(room, opened.container);
	assert_non_null(domain_area_at(domain, 0x5000));
	room_close(room, opened.group);
	assert_non_null(domain_area_at(domain, 0x5000));
	room_check(room);
	room_close(room, opened.device);
	assert_int_equal(room->client->locked_bytes, 0);
	assert_false(iommu_group_claimed(room_device(room, ROOM_NVME)->group));
	room_free(room);
}

TEST(container, files_say_what_they_are)
{
	struct room *room = room_new();
	struct room_device opened = room_open_device(room, ROOM_NVME, VFIO_TYPE1v2_IOMMU);
	const struct file *container = room_file(room, opened.container), *group = room_file(room, opened.group);

	assert_string_equal(container->path, "/dev/vfio/vfio");
	assert_int_equal(container->mode, 0020666);
	assert_int_equal(container->rdev, 10 << 8 | 196);
	assert_int_equal(group->mode, 0020600);
	assert_string_equal(room_file(room, opened.device)->path, "anon_inode:[vfio-device]");
	assert_string_equal(vfio_ioctl_name(container, VFIO_IOMMU_MAP_DMA), "VFIO_IOMMU_MAP_DMA");
	assert_string_equal(vfio_ioctl_name(container, VFIO_SET_IOMMU), "VFIO_SET_IOMMU");
	/* The same number means something else to a device. */
	assert_string_equal(vfio_ioctl_name(room_file(room, opened.device), VFIO_IOMMU_MAP_DMA),
			    "VFIO_DEVICE_PCI_HOT_RESET");
	assert_string_equal(vfio_ioctl_name(group, VFIO_GROUP_GET_STATUS), "VFIO_GROUP_GET_STATUS");
	assert_null(vfio_ioctl_name(group, 0x1234));
	room_free(room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(container, without_groups_it_can_do_nothing),
		CASE(container, extensions_by_state),
		CASE(container, types_it_does_not_have),
		CASE(container, a_native_driver_in_the_group_is_named),
		CASE(container, two_groups_share_mappings_until_the_last_leaves),
		CASE(container, its_groups_keep_it_when_its_descriptor_goes),
		CASE(container, files_say_what_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
