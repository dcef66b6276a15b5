/* SPDX-License-Identifier: MIT */
/* What all requests have in common: every row of ioctls.def with no argument, too little of one, and on a wrong file.
 */
#include <errno.h>
#include <sys/mman.h>

#include "tests/fixtures/room.h"
#include "tests/fixtures/toy_mover.h"
#include "vfio/ioctl.h"

/* The device that is opened by its group, and another by its character device, so that all kinds of files are there. */
struct opened {
	struct room_device by_group;
	int cdev;
	int transfer; /* of a third, which is moved */
};

static int open_transfer(struct room *room)
{
	static struct toy_mover toy;
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_mig_state mig;
	} request = {{sizeof(request), VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE},
		     {.device_state = VFIO_DEVICE_STATE_PRE_COPY}};

	toy_mover_init(&toy, room_device(room, ROOM_NARROW)->function, true);
	ASSERT_OK(room->why, room_ioctl(room, room_open_device(room, ROOM_NARROW, VFIO_TYPE1v2_IOMMU).device,
					VFIO_DEVICE_FEATURE, &request));
	return request.mig.data_fd;
}

static struct opened open_all(struct room *room)
{
	int iommufd = (int)ASSERT_OK(room->why, room_open_iommufd(room));

	return (struct opened){room_open_device(room, ROOM_NVME, VFIO_TYPE1v2_IOMMU),
			       room_use_cdev(room, ROOM_NIC, iommufd, 0), open_transfer(room)};
}

static int fd_of(const struct opened *opened, enum vfio_kind kind)
{
	switch (kind) {
	case VFIO_KIND_GROUP:
		return opened->by_group.group;
	case VFIO_KIND_DEVICE:
	case VFIO_KIND_PCI:
		return opened->by_group.device;
	case VFIO_KIND_CDEV:
		return opened->cdev;
	case VFIO_KIND_TRANSFER:
		return opened->transfer;
	default:
		return opened->by_group.container;
	}
}

TEST(ioctl, every_structure_has_a_smallest_size)
{
	struct room *room = room_new();
	struct opened opened = open_all(room);
	u32 buffer[32] = {};

	for (unsigned i = 0; i < vfio_nioctls; i++) {
		const struct vfio_ioctl *row = &vfio_ioctls[i];
		int fd = fd_of(&opened, row->kind);

		if (!row->min)
			continue;
		assert_in_range(row->min, 8, row->size);
		EXPECT_REFUSED(CLIENT_FAULT, room->why, room_ioctl(room, fd, row->cmd, NULL));
		buffer[0] = 0;
		EXPECT_REFUSED(ARGSZ_SHORT, room->why, room_ioctl(room, fd, row->cmd, buffer));
		buffer[0] = row->min - 1;
		EXPECT_REFUSED(ARGSZ_SHORT, room->why, room_ioctl(room, fd, row->cmd, buffer));
		EXPECT_SUBSTR(row->name, room->why.text);
		room_check(room);
	}
	room_free(room);
}

/* Only the head is read: an argument may end where its smallest size does. */
TEST(ioctl, nothing_is_read_past_the_smallest_size)
{
	struct room *room = room_new();
	struct opened opened = open_all(room);
	u8 *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(pages + 4096, 4096, PROT_NONE);
	for (unsigned i = 0; i < vfio_nioctls; i++) {
		const struct vfio_ioctl *row = &vfio_ioctls[i];
		u8 *argument = pages + 4096 - row->min;

		if (!row->min)
			continue;
		memset(pages, 0, 4096);
		memcpy(argument, &row->min, sizeof(u32));
		room_ioctl(room, fd_of(&opened, row->kind), row->cmd, argument);
		assert_int_not_equal(room->why.code, WHY_CLIENT_FAULT);
		assert_int_not_equal(room->why.code, WHY_ARGSZ_SHORT);
	}
	munmap(pages, 8192);
	room_free(room);
}

static bool knows(enum vfio_kind file, unsigned cmd)
{
	if (file == VFIO_KIND_TYPE1)
		return vfio_ioctl_find(VFIO_KIND_TYPE1, cmd) || vfio_ioctl_find(VFIO_KIND_CONTAINER, cmd);
	if (file == VFIO_KIND_GROUP)
		return vfio_ioctl_find(VFIO_KIND_GROUP, cmd);
	if (file == VFIO_KIND_TRANSFER)
		return vfio_ioctl_find(VFIO_KIND_TRANSFER, cmd);
	return vfio_ioctl_find(VFIO_KIND_DEVICE, cmd) || vfio_ioctl_find(VFIO_KIND_PCI, cmd) ||
	       (file == VFIO_KIND_CDEV && vfio_ioctl_find(VFIO_KIND_CDEV, cmd));
}

TEST(ioctl, requests_of_other_files_are_unknown)
{
	struct room *room = room_new();
	struct opened opened = open_all(room);
	u32 buffer[32] = {sizeof(buffer)};

	for (unsigned i = 0; i < vfio_nioctls; i++)
		for (enum vfio_kind kind = VFIO_KIND_TYPE1; kind < VFIO_KINDS; kind++)
			if (!knows(kind, vfio_ioctls[i].cmd))
				EXPECT_REFUSED(IOCTL_UNKNOWN, room->why,
					       room_ioctl(room, fd_of(&opened, kind), vfio_ioctls[i].cmd, buffer));
	/* The number alone is not enough. */
	EXPECT_REFUSED(IOCTL_UNKNOWN, room->why,
		       room_ioctl(room, opened.by_group.device, VFIO_DEVICE_GET_INFO | 0x40000000, buffer));
	EXPECT_REFUSED(IOCTL_UNKNOWN, room->why,
		       room_ioctl(room, opened.by_group.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, buffer));
	EXPECT_REFUSED(IOCTL_UNKNOWN, room->why, room_ioctl(room, opened.cdev, VFIO_DEVICE_QUERY_GFX_PLANE, buffer));
	room_free(room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(ioctl, every_structure_has_a_smallest_size),
		CASE(ioctl, nothing_is_read_past_the_smallest_size),
		CASE(ioctl, requests_of_other_files_are_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
