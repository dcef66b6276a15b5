/* SPDX-License-Identifier: MIT */
/* An emulated device in the hands of a program: by its character device, and by its group with an iommufd. */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "tests/fixtures/mcopy_driver.h"
#include "vfio/device.h"
#include "vfio/ioctl.h"

#define IOCTL(fd, cmd, arg) room_ioctl(room, fd, cmd, (const void *)(uintptr_t)(arg))
#define IOVA		    0x100000000ull
#define SIZE		    (4 * PAGE_SIZE)

static u8 memory[SIZE] __attribute__((aligned(PAGE_SIZE)));

static int open_iommufd(struct room *room)
{
	return (int)ASSERT_OK(room->why, room_open_iommufd(room));
}

static void fill_memory(void)
{
	for (unsigned i = 0; i < SIZE; i++)
		memory[i] = (u8)(i * 5 + i / 256);
}

TEST(emulated, bind_answers_the_id_of_an_access)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev = (int)ASSERT_OK(room->why, room_open_cdev(room, ROOM_MDEV));
	struct iommu_destroy destroy = {.size = sizeof(destroy)};
	struct iommu_hw_info info = {.size = sizeof(info)};
	struct iommu_hwpt_alloc alloc = {.size = sizeof(alloc), .pt_id = room_ioas(room, iommufd)};

	ASSERT_OK(room->why, room_bind_cdev(room, cdev, iommufd, &destroy.id));
	EXPECT_REFUSED(OBJECT_KEPT, room->why, IOCTL(iommufd, IOMMU_DESTROY, &destroy));
	info.dev_id = alloc.dev_id = destroy.id;
	EXPECT_REFUSED(OBJECT_MISSING, room->why, IOCTL(iommufd, IOMMU_GET_HW_INFO, &info));
	EXPECT_REFUSED(OBJECT_MISSING, room->why, IOCTL(iommufd, IOMMU_HWPT_ALLOC, &alloc));
	/* It belongs to nobody: no group is owned. */
	assert_null(room->mdev_iommu->group->owner);
	room_free(room);
}

TEST(emulated, attach_takes_an_ioas_and_gives_it_back)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev = room_use_cdev(room, ROOM_MDEV, iommufd, 0);
	int nvme = room_use_cdev(room, ROOM_NVME, iommufd, 0);
	u32 ioas = room_ioas(room, iommufd), other = room_ioas(room, iommufd), pt = ioas, hwpt = other;
	struct iommu_destroy destroy = {.size = sizeof(destroy), .id = ioas};

	EXPECT_REFUSED(EMULATED_PASID, room->why, room_attach_pasid(room, cdev, 1, &pt));
	EXPECT_REFUSED(EMULATED_PASID, room->why, room_detach_pasid(room, cdev, 1));
	ASSERT_OK(room->why, room_attach(room, cdev, &pt));
	assert_int_equal(pt, ioas);
	EXPECT_REFUSED(OBJECT_IN_USE, room->why, IOCTL(iommufd, IOMMU_DESTROY, &destroy));
	/* No domain translates for it. */
	ASSERT_OK(room->why, room_attach(room, nvme, &hwpt));
	EXPECT_REFUSED(OBJECT_MISSING, room->why, room_attach(room, cdev, &hwpt));
	ASSERT_OK(room->why, room_attach(room, cdev, &other));
	ASSERT_OK(room->why, IOCTL(iommufd, IOMMU_DESTROY, &destroy));
	ASSERT_OK(room->why, room_detach(room, cdev));
	ASSERT_OK(room->why, room_detach(room, cdev));
	room_free(room);
}

TEST(emulated, moves_what_is_mapped)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev;
	u32 ioas = room_ioas(room, iommufd);

	fill_memory();
	ASSERT_OK(room->why, room_ioas_map(room, iommufd, ioas, memory, IOVA, SIZE));
	cdev = room_use_cdev(room, ROOM_MDEV, iommufd, ioas);
	assert_int_equal(load(room, cdev, MCOPY_MAGIC), MCOPY_MAGIC_VALUE);
	assert_int_equal(command(room, cdev, MCOPY_COPY, IOVA + 3, IOVA + 2 * PAGE_SIZE + 1, 5000), MCOPY_OK);
	assert_memory_equal(memory + 3, memory + 2 * PAGE_SIZE + 1, 5000);
	/* What is not: the reason is told beside the device's own answer. */
	assert_int_equal(room->soft_faults, 0);
	assert_int_equal(command(room, cdev, MCOPY_COPY, IOVA + SIZE, IOVA, 16), MCOPY_NO_SOURCE);
	assert_int_equal(room->soft_faults, 1);
	assert_int_equal(room->soft_fault.err, ENOENT);
	ASSERT_OK(room->why, room_detach(room, cdev));
	assert_int_equal(command(room, cdev, MCOPY_COPY, IOVA, IOVA + PAGE_SIZE, 16), MCOPY_NO_SOURCE);
	assert_int_equal(room->soft_faults, 2);
	room_free(room);
}

TEST(emulated, lets_go_of_its_window_when_that_is_unmapped)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev;
	u32 ioas = room_ioas(room, iommufd), other = room_ioas(room, iommufd);
	int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct {
		struct vfio_irq_set set;
		s32 fd;
	} irqs = {{.argsz = sizeof(irqs),
		   .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		   .index = VFIO_PCI_MSI_IRQ_INDEX,
		   .count = 1},
		  event};
	u64 count;

	fill_memory();
	ASSERT_OK(room->why, room_ioas_map(room, iommufd, ioas, memory, IOVA, SIZE));
	cdev = room_use_cdev(room, ROOM_MDEV, iommufd, ioas);
	ASSERT_OK(room->why, IOCTL(cdev, VFIO_DEVICE_SET_IRQS, &irqs));
	store(room, cdev, MCOPY_ENABLE, MCOPY_EVENT_LOST);
	assert_int_equal(command(room, cdev, MCOPY_PIN, IOVA + 5, 0, PAGE_SIZE), MCOPY_OK);
	assert_int_equal(command(room, cdev, MCOPY_COPY, IOVA + 5, IOVA + 3 * PAGE_SIZE, 100), MCOPY_OK);
	assert_memory_equal(memory + 5, memory + 3 * PAGE_SIZE, 100);
	ASSERT_OK(room->why, room_ioas_unmap(room, iommufd, ioas, IOVA, SIZE));
	assert_int_equal(load(room, cdev, MCOPY_WINDOW_SIZE), 0);
	assert_int_equal(load(room, cdev, MCOPY_LOST), 1);
	assert_int_equal(read(event, &count, sizeof(count)), sizeof(count));
	assert_int_equal(command(room, cdev, MCOPY_PIN, IOVA, 0, 16), MCOPY_NO_WINDOW);
	/* So it is when another address space comes, or none. */
	ASSERT_OK(room->why, room_ioas_map(room, iommufd, ioas, memory, IOVA, SIZE));
	assert_int_equal(command(room, cdev, MCOPY_PIN, IOVA, 0, 16), MCOPY_OK);
	ASSERT_OK(room->why, room_attach(room, cdev, &other));
	assert_int_equal(load(room, cdev, MCOPY_LOST), 2);
	ASSERT_OK(room->why, room_attach(room, cdev, &ioas));
	assert_int_equal(command(room, cdev, MCOPY_PIN, IOVA, 0, 16), MCOPY_OK);
	ASSERT_OK(room->why, room_detach(room, cdev));
	assert_int_equal(load(room, cdev, MCOPY_LOST), 3);
	ASSERT_OK(room->why, room_ioas_unmap(room, iommufd, ioas, IOVA, SIZE));
	close(event);
	room_free(room);
}

/* A close gives its pages back; then its IOAS can be destroyed. */
TEST(emulated, closes_with_a_window)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev;
	u32 ioas = room_ioas(room, iommufd);
	struct iommu_destroy destroy = {.size = sizeof(destroy), .id = ioas};

	ASSERT_OK(room->why, room_ioas_map(room, iommufd, ioas, memory, IOVA, SIZE));
	cdev = room_use_cdev(room, ROOM_MDEV, iommufd, ioas);
	assert_int_equal(command(room, cdev, MCOPY_PIN, IOVA, 0, SIZE), MCOPY_OK);
	room_close(room, cdev);
	room_check(room);
	ASSERT_OK(room->why, IOCTL(iommufd, IOMMU_DESTROY, &destroy));
	/* The next one finds it as new, also after a window and the iommufd went first. */
	ioas = room_ioas(room, iommufd);
	ASSERT_OK(room->why, room_ioas_map(room, iommufd, ioas, memory, IOVA, SIZE));
	cdev = room_use_cdev(room, ROOM_MDEV, iommufd, ioas);
	assert_int_equal(load(room, cdev, MCOPY_WINDOW_SIZE), 0);
	assert_int_equal(command(room, cdev, MCOPY_PIN, IOVA, 0, SIZE), MCOPY_OK);
	room_close(room, iommufd);
	ASSERT_OK(room->why, IOCTL(cdev, VFIO_DEVICE_RESET, 0));
	assert_int_equal(load(room, cdev, MCOPY_WINDOW_SIZE), 0);
	room_free(room);
}

TEST(emulated, looks_like_a_pci_device_with_less)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev = room_use_cdev(room, ROOM_MDEV, iommufd, 0);
	struct vfio_device_info info = {.argsz = sizeof(info)};
	struct vfio_region_info region = {.argsz = sizeof(region)};
	struct vfio_device_feature feature = {.argsz = sizeof(feature),
					      .flags = VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | VFIO_DEVICE_FEATURE_SET};
	u8 argument[64] = {sizeof(argument)};

	ASSERT_OK(room->why, IOCTL(cdev, VFIO_DEVICE_GET_INFO, &info));
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	assert_int_equal(room_config(room, cdev, 0, 4), 0x6d631234);
	ASSERT_OK(room->why, IOCTL(cdev, VFIO_DEVICE_GET_REGION_INFO, &region));
	assert_int_equal(region.size, MCOPY_BAR_SIZE);
	assert_int_equal(region.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
	EXPECT_REFUSED(REGION_NOT_MAPPABLE, room->why, room_mmap(room, cdev, 0, PAGE_SIZE, PROT_READ, MAP_SHARED));
	/* Sized as guests do it. */
	room_set_config(room, cdev, PCI_BAR0, 4, UINT32_MAX);
	assert_int_equal(room_config(room, cdev, PCI_BAR0, 4), (u32) ~(MCOPY_BAR_SIZE - 1) | 1);
	ASSERT_OK(room->why, IOCTL(cdev, VFIO_DEVICE_RESET, 0));
	EXPECT_REFUSED(FEATURE_UNKNOWN, room->why, IOCTL(cdev, VFIO_DEVICE_FEATURE, &feature));
	for (unsigned i = 0; i < vfio_nioctls; i++)
		if (vfio_ioctls[i].kind == VFIO_KIND_PCI)
			EXPECT_REFUSED(IOCTL_UNKNOWN, room->why, IOCTL(cdev, vfio_ioctls[i].cmd, argument));
	room_free(room);
}

TEST(emulated, knows_no_token)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), cdev = (int)ASSERT_OK(room->why, room_open_cdev(room, ROOM_MDEV));
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind), .iommufd = iommufd, .flags = VFIO_DEVICE_BIND_FLAG_TOKEN};

	/* It does not even look at it. */
	EXPECT_REFUSED(VF_TOKEN_UNWANTED, room->why, IOCTL(cdev, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	room_free(room);
}

TEST(emulated, is_open_through_its_group)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), group = (int)ASSERT_OK(room->why, room_open_group(room, ROOM_MDEV));
	int device;
	struct vfio_group_status status = {.argsz = sizeof(status)};

	fill_memory();
	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_GET_STATUS, &status));
	assert_int_equal(status.flags, VFIO_GROUP_FLAGS_VIABLE);
	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &iommufd));
	ASSERT_OK(room->why, room_map(room, iommufd, memory, IOVA, SIZE, 3));
	device = (int)ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_GET_DEVICE_FD, ROOM_MDEV));
	assert_int_equal(command(room, device, MCOPY_COPY, IOVA, IOVA + PAGE_SIZE, 77), MCOPY_OK);
	assert_memory_equal(memory, memory + PAGE_SIZE, 77);
	assert_int_equal(command(room, device, MCOPY_PIN, IOVA, 0, PAGE_SIZE), MCOPY_OK);
	ASSERT_OK(room->why, room_unmap(room, iommufd, IOVA, SIZE, 0, NULL));
	assert_int_equal(load(room, device, MCOPY_LOST), 1);
	room_free(room);
}

TEST(emulated, one_program_at_a_time_uses_an_emulated_device)
{
	struct room *room = room_new();
	int iommufd = open_iommufd(room), other = open_iommufd(room);
	int first = room_use_cdev(room, ROOM_MDEV, iommufd, 0);
	int second = (int)ASSERT_OK(room->why, room_open_cdev(room, ROOM_MDEV));

	EXPECT_REFUSED(DEVICE_OPENED, room->why, room_bind_cdev(room, second, other, NULL));
	room_close(room, first);
	ASSERT_OK(room->why, room_bind_cdev(room, second, other, NULL));
	room_free(room);
}

static int life(struct why *why)
{
	struct room *room = room_try_new(why);
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	int iommufd, cdev = -1;
	u32 pt;
	long ret;

	if (!room)
		return -why->err;
	ret = iommufd = room_open_iommufd(room);
	if (ret >= 0)
		ret = cdev = room_open_cdev(room, ROOM_MDEV);
	if (ret >= 0)
		ret = room_bind_cdev(room, cdev, iommufd, NULL);
	if (ret >= 0)
		ret = IOCTL(iommufd, IOMMU_IOAS_ALLOC, &alloc);
	pt = alloc.out_ioas_id;
	if (ret >= 0)
		ret = room_attach(room, cdev, &pt);
	if (ret >= 0)
		ret = room_ioas_map(room, iommufd, pt, memory, IOVA, SIZE);
	if (ret >= 0 && command(room, cdev, MCOPY_PIN, IOVA, 0, SIZE) == MCOPY_OK)
		ret = room_ioas_unmap(room, iommufd, pt, IOVA, SIZE);
	*why = room->why;
	room_check(room);
	room_free(room);
	return ret < 0 ? (int)ret : 0;
}

TEST(emulated, failures_leave_nothing_behind)
{
	SWEEP_FAILURES(life);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(emulated, bind_answers_the_id_of_an_access),
		CASE(emulated, attach_takes_an_ioas_and_gives_it_back),
		CASE(emulated, moves_what_is_mapped),
		CASE(emulated, lets_go_of_its_window_when_that_is_unmapped),
		CASE(emulated, closes_with_a_window),
		CASE(emulated, looks_like_a_pci_device_with_less),
		CASE(emulated, knows_no_token),
		CASE(emulated, is_open_through_its_group),
		CASE(emulated, one_program_at_a_time_uses_an_emulated_device),
		CASE(emulated, failures_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
