/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>

#include "tests/fixtures/room.h"

#define IOCTL(fd, cmd, arg) room_ioctl(room, fd, cmd, (const void *)(uintptr_t)(arg))

#define BAD_ADDRESS ((void *)8)

TEST(group, one_opener_who_is_named)
{
	struct room *room = room_new();
	struct room_device opened = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU);
	char who[CLIENT_DESCRIPTION];

	EXPECT_REFUSED(GROUP_BUSY, room->why, room_open_group(room, ROOM_NVME));
	EXPECT_SUBSTR(client_describe(room->client, who), room->why.text);
	room_close(room, opened.group);
	/* Its device holds it. */
	EXPECT_REFUSED(GROUP_BUSY, room->why, room_open_group(room, ROOM_NVME));
	EXPECT_SUBSTR(ROOM_NVME, room->why.text);
	room_close(room, opened.device);
	ASSERT_OK(room->why, room_open_group(room, ROOM_NVME));
	assert_int_equal(room->devices_closed, 1);
	room_free(room);
}

static u32 status_of(struct room *room, int group)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};

	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_GET_STATUS, &status));
	return status.flags;
}

TEST(group, not_viable_is_an_answer_with_a_remark)
{
	struct room *room = room_new();
	int group;

	room_bind_native(room, ROOM_PAIR_B, "e1000e");
	group = room_open_group(room, ROOM_PAIR_A);
	assert_int_equal(status_of(room, group), 0);
	assert_int_equal(room->why.code, WHY_GROUP_NOT_VIABLE);
	EXPECT_SUBSTR("e1000e", room->why.text);
	EXPECT_SUBSTR(ROOM_PAIR_B, room->why.text);
	room_free(room);
}

/* Whoever finds the group taken is told by whom. */
TEST(group, its_owner_has_a_name)
{
	struct room *room = room_new();
	char who[CLIENT_DESCRIPTION], owner[CLIENT_DESCRIPTION + 32];

	room_unbind(room, ROOM_PAIR_B);
	room_open_device(room, ROOM_PAIR_A, VFIO_TYPE1_IOMMU);
	EXPECT_REFUSED(GROUP_OWNED, room->why,
		       iommu_use_default_domain(room_device(room, ROOM_PAIR_B), "e1000e", &room->why));
	snprintf(owner, sizeof(owner), "VFIO group %d of %s", room_group(room, ROOM_PAIR_A),
		 client_describe(room->client, who));
	EXPECT_SUBSTR(owner, room->why.text);
	room_free(room);
}

TEST(group, nothing_is_left_of_it_without_devices)
{
	struct room *room = room_new();
	struct vfio_group_status status = {.argsz = sizeof(status)};
	int container = room_open_container(room), group = room_open_group(room, ROOM_NVME), again;

	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container));
	room_unbind(room, ROOM_NVME);
	room_check(room);
	EXPECT_REFUSED(GROUP_GONE, room->why, room_open_group(room, ROOM_NVME));
	EXPECT_REFUSED(GROUP_GONE, room->why, IOCTL(group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_REFUSED(GROUP_GONE, room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container));
	EXPECT_REFUSED(NO_CONTAINER, room->why, IOCTL(group, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_REFUSED(DEVICE_NOT_VFIO, room->why, IOCTL(group, VFIO_GROUP_GET_DEVICE_FD, ROOM_NVME));
	/* Bound again it is another group, which can be opened although the old file is still there. */
	ASSERT_OK(room->why, room_bind(room, ROOM_NVME, &room->why));
	again = (int)ASSERT_OK(room->why, room_open_group(room, ROOM_NVME));
	ASSERT_OK(room->why, IOCTL(again, VFIO_GROUP_SET_CONTAINER, &container));
	room_close(room, group);
	room_free(room);
}

TEST(group, containers_it_does_not_take)
{
	struct room *room = room_new();
	int container = room_open_container(room), group = room_open_group(room, ROOM_NVME), fd = 999;
	int null = open("/dev/null", O_RDWR);

	EXPECT_REFUSED(CLIENT_FAULT, room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, BAD_ADDRESS));
	EXPECT_REFUSED(CLIENT_FAULT, room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, NULL));
	EXPECT_REFUSED(FD_BAD, room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &fd));
	fd = -1;
	EXPECT_REFUSED(FD_BAD, room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &fd));
	EXPECT_REFUSED(NOT_A_CONTAINER, room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &null));
	EXPECT_REFUSED(NOT_A_CONTAINER, room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &group));
	EXPECT_SUBSTR("a group", room->why.text);
	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container));
	/* Which file it is comes after whether one is set. */
	EXPECT_REFUSED(CONTAINER_ALREADY_SET, room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &null));
	EXPECT_REFUSED(CONTAINER_ALREADY_SET, room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container));
	EXPECT_SUBSTR("this container", room->why.text);
	close(null);
	room_free(room);
}

TEST(group, open_devices_keep_the_container)
{
	struct room *room = room_new();
	struct room_device opened = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU);

	EXPECT_REFUSED(GROUP_DEVICES_OPEN, room->why, IOCTL(opened.group, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_SUBSTR(ROOM_NVME, room->why.text);
	room_close(room, opened.device);
	ASSERT_OK(room->why, IOCTL(opened.group, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_REFUSED(NO_CONTAINER, room->why, IOCTL(opened.group, VFIO_GROUP_UNSET_CONTAINER, 0));
	assert_int_equal(status_of(room, opened.group), VFIO_GROUP_FLAGS_VIABLE);
	room_free(room);
}

#define GET_FD(name) IOCTL(group, VFIO_GROUP_GET_DEVICE_FD, name)

TEST(group, devices_it_does_not_have)
{
	struct room *room = room_new();
	int group = room_open_group(room, ROOM_PAIR_A);
	char name[5000];

	room_bind_native(room, ROOM_PAIR_B, "e1000e");
	EXPECT_REFUSED(DEVICE_NOT_VFIO, room->why, GET_FD(ROOM_PAIR_B));
	EXPECT_SUBSTR("0000:03:00.1 is bound to e1000e, not vfio-pci", room->why.text);
	EXPECT_REFUSED(DEVICE_NOT_VFIO, room->why, GET_FD("0000:00:1e.0"));
	EXPECT_SUBSTR("pcieport", room->why.text);
	EXPECT_REFUSED(DEVICE_UNKNOWN, room->why, GET_FD(ROOM_NVME));
	EXPECT_SUBSTR("is in group", room->why.text);
	EXPECT_REFUSED(DEVICE_UNKNOWN, room->why, GET_FD("0000:99:00.0"));
	EXPECT_REFUSED(DEVICE_UNKNOWN, room->why, GET_FD("03:00.0"));
	EXPECT_SUBSTR("0000:03:00.0 would be", room->why.text);
	EXPECT_REFUSED(DEVICE_UNKNOWN, room->why, GET_FD("0000:03:00.0x"));
	EXPECT_REFUSED(DEVICE_UNKNOWN, room->why, GET_FD(""));
	EXPECT_REFUSED(DEVICE_UNKNOWN, room->why, GET_FD("%s%n\n"));
	EXPECT_REFUSED(CLIENT_FAULT, room->why, GET_FD(BAD_ADDRESS));
	EXPECT_REFUSED(CLIENT_FAULT, room->why, GET_FD(NULL));
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	EXPECT_REFUSED(STRING_TOO_LONG, room->why, GET_FD(name));
	room_free(room);
}

TEST(group, names_with_options)
{
	static const char *const malformed[] = {
		ROOM_NVME " vf_token=12345678-1234-1234-1234-123456789ab",   /* short */
		ROOM_NVME " vf_token=12345678-1234-1234-1234-123456789abg",  /* no hex */
		ROOM_NVME " vf_token=123456781234-1234-1234-123456789abcde", /* no UUID */
		ROOM_NVME " vf_token=12345678-1234-1234-1234-123456789abc"
			  " vf_token=12345678-1234-1234-1234-123456789abc", /* twice */
		ROOM_NVME " other=1",
	};
	struct room *room = room_new();
	struct room_device opened = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU);
	int group = opened.group;

	for (size_t i = 0; i < ARRAY_SIZE(malformed); i++)
		EXPECT_REFUSED(DEVICE_OPTION, room->why, GET_FD(malformed[i]));
	EXPECT_REFUSED(VF_TOKEN_UNWANTED, room->why,
		       GET_FD(ROOM_NVME "   vf_token=12345678-1234-1234-1234-123456789abc "));
	/* Blanks alone are no option. */
	assert_true(GET_FD(ROOM_NVME "   ") > 0);
	room_free(room);
}

TEST(group, a_device_is_opened_once_and_shared)
{
	struct room *room = room_new();
	int container = room_open_container(room), group = room_open_group(room, ROOM_NVME), first, second;
	struct vfio_device *device = room_bound(room, ROOM_NVME);

	EXPECT_REFUSED(NO_CONTAINER, room->why, GET_FD(ROOM_NVME));
	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container));
	EXPECT_REFUSED(NO_IOMMU_SET, room->why, GET_FD(ROOM_NVME));
	ASSERT_OK(room->why, IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	first = (int)ASSERT_OK(room->why, GET_FD(ROOM_NVME));
	second = (int)ASSERT_OK(room->why, GET_FD(ROOM_NVME));
	assert_ptr_equal(room_file(room, first), room_file(room, second));
	room_close(room, first);
	assert_true(vfio_device_busy(device));
	room_close(room, second);
	assert_false(vfio_device_busy(device));
	assert_int_equal(room->devices_closed, 1);
	vfio_device_hide(device);
	EXPECT_REFUSED(DEVICE_LEAVING, room->why, GET_FD(ROOM_NVME));
	/* Its matcher is not asked any more: neither options nor tokens are looked at. */
	EXPECT_REFUSED(DEVICE_LEAVING, room->why, GET_FD(ROOM_NVME " nonsense"));
	EXPECT_REFUSED(DEVICE_LEAVING, room->why, GET_FD(ROOM_NVME " vf_token=12345678-1234-1234-1234-123456789abc"));
	room_free(room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(group, one_opener_who_is_named),
		CASE(group, its_owner_has_a_name),
		CASE(group, not_viable_is_an_answer_with_a_remark),
		CASE(group, nothing_is_left_of_it_without_devices),
		CASE(group, containers_it_does_not_take),
		CASE(group, open_devices_keep_the_container),
		CASE(group, devices_it_does_not_have),
		CASE(group, names_with_options),
		CASE(group, a_device_is_opened_once_and_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
