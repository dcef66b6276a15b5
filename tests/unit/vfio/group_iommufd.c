/* SPDX-License-Identifier: MIT */
/* A group with an iommufd in the place of a container, and who excludes whom (spec 04 sections 4, 4.2 and 5). */
#include <errno.h>
#include <fcntl.h>

#include "iommufd/compat.h"
#include "tests/fixtures/room.h"
#include "vfio/device.h"

#define IOCTL(fd, cmd, arg) room_ioctl(room, fd, cmd, (const void *)(uintptr_t)(arg))
#define GET_FD(group, name) IOCTL(group, VFIO_GROUP_GET_DEVICE_FD, name)
#define SET(group, fd)	    IOCTL(group, VFIO_GROUP_SET_CONTAINER, &(int){fd})
#define IOVA		    0x100000000ull

static u8 memory[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static int open_group(struct room *room, const char *name)
{
	return (int)ASSERT_OK(room->why, room_open_group(room, name));
}

static int open_iommufd(struct room *room)
{
	return (int)ASSERT_OK(room->why, room_open_iommufd(room));
}

static u32 compat_ioas(struct room *room, int iommufd)
{
	struct iommu_vfio_ioas get = {.size = sizeof(get), .op = IOMMU_VFIO_IOAS_GET};

	ASSERT_OK(room->why, IOCTL(iommufd, IOMMU_VFIO_IOAS, &get));
	return get.ioas_id;
}

static bool device_reads(struct room *room, const char *name)
{
	struct iommu_device *device = room_device(room, name);
	u8 byte = 0;

	pci_config_write(device->function, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	return dma_read(device->port, IOVA, &byte, 1) == DMA_OK && byte == memory[0];
}

static u32 status(struct room *room, int group)
{
	struct vfio_group_status got = {.argsz = sizeof(got)};

	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_GET_STATUS, &got));
	return got.flags;
}

/* What QEMU does with group and type 1, on iommufd. */
TEST(group_iommufd, is_used_like_a_container)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), group = open_group(room, ROOM_NVME), device;

	memory[0] = 0x21;
	assert_int_equal(status(room, group), VFIO_GROUP_FLAGS_VIABLE);
	ASSERT_OK(room->why, SET(group, iommufd));
	assert_int_equal(status(room, group), VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET);
	/* Nothing is claimed yet. */
	assert_null(room_device(room, ROOM_NVME)->group->owner);
	ASSERT_OK(room->why, IOCTL(iommufd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	ASSERT_OK(room->why, room_map(room, iommufd, memory, IOVA, PAGE_SIZE, 3));
	device = (int)ASSERT_OK(room->why, GET_FD(group, ROOM_NVME));
	assert_non_null(room_device(room, ROOM_NVME)->group->owner);
	assert_true(device_reads(room, ROOM_NVME));
	ASSERT_OK(room->why, room_unmap(room, iommufd, IOVA, PAGE_SIZE, 0, NULL));
	assert_false(device_reads(room, ROOM_NVME));
	/* On a group's file neither BIND nor ATTACH. */
	EXPECT_REFUSED(OPENED_BY_GROUP, room->why, room_bind_cdev(room, device, iommufd, NULL));
	EXPECT_REFUSED(IOCTL_UNKNOWN, room->why, room_detach(room, device));
	room_free(room);
}

TEST(group_iommufd, the_same_ioas_serves_all_groups)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), nvme = open_group(room, ROOM_NVME), nic = open_group(room, ROOM_NIC);
	u32 ioas = room_ioas(room, iommufd);
	struct iommu_vfio_ioas set = {.size = sizeof(set), .op = IOMMU_VFIO_IOAS_SET, .ioas_id = ioas};

	/* One that was chosen is kept. */
	ASSERT_OK(room->why, IOCTL(iommufd, IOMMU_VFIO_IOAS, &set));
	ASSERT_OK(room->why, SET(nvme, iommufd));
	ASSERT_OK(room->why, SET(nic, iommufd));
	assert_int_equal(compat_ioas(room, iommufd), ioas);
	memory[0] = 0x22;
	ASSERT_OK(room->why, room_ioas_map(room, iommufd, ioas, memory, IOVA, PAGE_SIZE));
	ASSERT_OK(room->why, GET_FD(nvme, ROOM_NVME));
	ASSERT_OK(room->why, GET_FD(nic, ROOM_NIC));
	assert_true(device_reads(room, ROOM_NVME));
	assert_true(device_reads(room, ROOM_NIC));
	room_free(room);
}

TEST(group_iommufd, set_container_refuses)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), other = open_iommufd(room), group = open_group(room, ROOM_NVME);
	int container = room_open_container(room);

	EXPECT_REFUSED(NO_CONTAINER, room->why, IOCTL(group, VFIO_GROUP_UNSET_CONTAINER, 0));
	ASSERT_OK(room->why, compat_set_no_iommu(iommufd_context_of(room_file(room, other)), &room->why));
	EXPECT_REFUSED(COMPAT_NO_IOMMU, room->why, SET(group, other));
	ASSERT_OK(room->why, SET(group, iommufd));
	EXPECT_REFUSED(CONTAINER_ALREADY_SET, room->why, SET(group, iommufd));
	EXPECT_SUBSTR("this iommufd", room->why.text);
	EXPECT_REFUSED(CONTAINER_ALREADY_SET, room->why, SET(group, container));
	EXPECT_SUBSTR("another iommufd", room->why.text);
	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_UNSET_CONTAINER, 0));
	ASSERT_OK(room->why, SET(group, container));
	EXPECT_REFUSED(CONTAINER_ALREADY_SET, room->why, SET(group, iommufd));
	EXPECT_SUBSTR("another container", room->why.text);
	room_free(room);
}

/* The IOAS that every group attaches to may be gone by the time a device is opened. */
TEST(group_iommufd, get_device_fd_needs_the_compat_ioas)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), group = open_group(room, ROOM_NVME);
	struct iommu_destroy destroy = {.size = sizeof(destroy)};

	EXPECT_REFUSED(NO_CONTAINER, room->why, GET_FD(group, ROOM_NVME));
	ASSERT_OK(room->why, SET(group, iommufd));
	destroy.id = compat_ioas(room, iommufd);
	ASSERT_OK(room->why, IOCTL(iommufd, IOMMU_DESTROY, &destroy));
	EXPECT_REFUSED(COMPAT_NO_IOAS, room->why, GET_FD(group, ROOM_NVME));
	room_check(room);
	assert_null(room_device(room, ROOM_NVME)->group->owner);
	/* Viable was advice: with an iommufd the claim comes only now. */
	room_close(room, group);
	group = open_group(room, ROOM_PAIR_A);
	ASSERT_OK(room->why, SET(group, iommufd));
	room_bind_native(room, ROOM_PAIR_B, "e1000e");
	assert_int_equal(status(room, group), VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET);
	EXPECT_REFUSED(GROUP_NOT_VIABLE, room->why, GET_FD(group, ROOM_PAIR_A));
	room_check(room);
	room_free(room);
}

/* With a container they would hold the group's file; unset would be refused. */
TEST(group_iommufd, devices_live_on_without_the_groups_file)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), group = open_group(room, ROOM_NVME), again;
	int device, container = room_open_container(room), shared;

	memory[0] = 0x23;
	ASSERT_OK(room->why, SET(group, iommufd));
	ASSERT_OK(room->why, room_map(room, iommufd, memory, IOVA, PAGE_SIZE, 3));
	device = (int)ASSERT_OK(room->why, GET_FD(group, ROOM_NVME));
	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_UNSET_CONTAINER, 0));
	assert_true(device_reads(room, ROOM_NVME));
	room_close(room, group);
	room_close(room, iommufd);
	room_check(room);
	assert_true(device_reads(room, ROOM_NVME));
	/* The group can be opened again, but belongs to the iommufd. */
	again = open_group(room, ROOM_NVME);
	assert_int_equal(status(room, again), 0);
	EXPECT_REFUSED(NO_CONTAINER, room->why, GET_FD(again, ROOM_NVME));
	EXPECT_REFUSED(GROUP_CLAIMED, room->why, SET(again, container));
	/* Whatever iommufd is set, an open device is only shared. */
	ASSERT_OK(room->why, SET(again, open_iommufd(room)));
	shared = (int)ASSERT_OK(room->why, GET_FD(again, ROOM_NVME));
	assert_ptr_equal(room_file(room, shared), room_file(room, device));
	room_close(room, shared);
	assert_true(device_reads(room, ROOM_NVME));
	room_close(room, again);
	room_close(room, device);
	assert_false(device_reads(room, ROOM_NVME));
	assert_null(room_device(room, ROOM_NVME)->group->owner);
	room_free(room);
}

/* Spec 04 section 5. A device that is open through a group without file is bound by nobody else. */
TEST(group_iommufd, excludes_character_devices)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), other = open_iommufd(room), group = open_group(room, ROOM_PAIR_A);
	int a = (int)ASSERT_OK(room->why, room_open_cdev(room, ROOM_PAIR_A));
	int b = (int)ASSERT_OK(room->why, room_open_cdev(room, ROOM_PAIR_B));

	EXPECT_REFUSED(GROUP_FILE_OPEN, room->why, room_bind_cdev(room, a, iommufd, NULL));
	ASSERT_OK(room->why, SET(group, iommufd));
	ASSERT_OK(room->why, GET_FD(group, ROOM_PAIR_A));
	EXPECT_REFUSED(GROUP_FILE_OPEN, room->why, room_bind_cdev(room, b, iommufd, NULL));
	room_close(room, group);
	EXPECT_REFUSED(DEVICE_OPENED, room->why, room_bind_cdev(room, a, iommufd, NULL));
	EXPECT_REFUSED(GROUP_CLAIMED, room->why, room_bind_cdev(room, b, other, NULL));
	ASSERT_OK(room->why, room_bind_cdev(room, b, iommufd, NULL));
	EXPECT_REFUSED(GROUP_BUSY, room->why, room_open_group(room, ROOM_PAIR_A));
	room_free(room);
}

TEST(group_iommufd, a_container_excludes_character_devices)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), a = (int)ASSERT_OK(room->why, room_open_cdev(room, ROOM_PAIR_A));
	int b = (int)ASSERT_OK(room->why, room_open_cdev(room, ROOM_PAIR_B));
	struct room_device opened = room_open_device(room, ROOM_PAIR_A, VFIO_TYPE1_IOMMU);

	EXPECT_REFUSED(GROUP_FILE_OPEN, room->why, room_bind_cdev(room, a, iommufd, NULL));
	/* Its device holds it. */
	room_close(room, opened.group);
	EXPECT_REFUSED(GROUP_FILE_OPEN, room->why, room_bind_cdev(room, a, iommufd, NULL));
	EXPECT_REFUSED(GROUP_FILE_OPEN, room->why, room_bind_cdev(room, b, iommufd, NULL));
	room_close(room, opened.device);
	ASSERT_OK(room->why, room_bind_cdev(room, b, iommufd, NULL));
	room_free(room);
}

TEST(group_iommufd, a_group_without_devices_keeps_it_until_closed)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), group = open_group(room, ROOM_NVME);

	ASSERT_OK(room->why, SET(group, iommufd));
	room_close(room, iommufd);
	room_unbind(room, ROOM_NVME);
	assert_false(list_empty(&room->iommufd.contexts));
	EXPECT_REFUSED(DEVICE_NOT_VFIO, room->why, GET_FD(group, ROOM_NVME));
	EXPECT_REFUSED(CONTAINER_ALREADY_SET, room->why, SET(group, open_iommufd(room)));
	room_close(room, group);
	room_free(room);
}

TEST(group_iommufd, hot_reset_wants_groups)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), group = open_group(room, ROOM_PAIR_A), device;
	u32 reset[4] = {sizeof(reset), 0, 1, (u32)group}, info[12] = {sizeof(info)};

	ASSERT_OK(room->why, SET(group, iommufd));
	device = (int)ASSERT_OK(room->why, GET_FD(group, ROOM_PAIR_A));
	ASSERT_OK(room->why, IOCTL(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info));
	assert_int_equal(info[1], 0);
	assert_int_equal(info[3], room_group(room, ROOM_PAIR_A));
	ASSERT_OK(room->why, IOCTL(device, VFIO_DEVICE_PCI_HOT_RESET, reset));
	reset[2] = 0;
	room->vfio.linux_hot_reset = true;
	EXPECT_REFUSED(HOT_RESET_ARGUMENT, room->why, IOCTL(device, VFIO_DEVICE_PCI_HOT_RESET, reset));
	room_free(room);
}

static int life(struct why *why)
{
	struct room *room = room_try_new(why);
	int iommufd, group = -1;
	long ret;

	if (!room)
		return -why->err;
	ret = iommufd = room_open_iommufd(room);
	if (ret >= 0)
		ret = group = room_open_group(room, ROOM_NVME);
	if (ret >= 0)
		ret = SET(group, iommufd);
	if (ret >= 0)
		ret = GET_FD(group, ROOM_NVME);
	*why = room->why;
	room_check(room);
	room_free(room);
	return ret < 0 ? (int)ret : 0;
}

TEST(group_iommufd, failures_leave_nothing_behind)
{
	SWEEP_FAILURES(life);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(group_iommufd, is_used_like_a_container),
		CASE(group_iommufd, the_same_ioas_serves_all_groups),
		CASE(group_iommufd, set_container_refuses),
		CASE(group_iommufd, get_device_fd_needs_the_compat_ioas),
		CASE(group_iommufd, devices_live_on_without_the_groups_file),
		CASE(group_iommufd, excludes_character_devices),
		CASE(group_iommufd, a_container_excludes_character_devices),
		CASE(group_iommufd, a_group_without_devices_keeps_it_until_closed),
		CASE(group_iommufd, hot_reset_wants_groups),
		CASE(group_iommufd, failures_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
