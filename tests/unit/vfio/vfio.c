/* SPDX-License-Identifier: MIT */
#include "tests/fixtures/room.h"

#include "vfio/group.h"
#include "vfio/pci.h"

TEST(vfio, bridges_are_not_for_programs)
{
	struct room *room = room_new();
	struct vfio_device *device;

	EXPECT_REFUSED(
		VFIO_NOT_ENDPOINT, room->why,
		vfio_pci_probe(&room->vfio, room_device(room, "0000:00:1c.0"), "0000:00:1c.0", &device, &room->why));
	room_free(room);
}

TEST(vfio, names_come_and_go)
{
	struct room *room = room_new();

	assert_int_equal(room->devices_named, 8);
	/* Two of them share a group. */
	assert_int_equal(room->groups_named, 7);
	room_unbind(room, ROOM_PAIR_A);
	assert_int_equal(room->groups_named, 7);
	room_unbind(room, ROOM_PAIR_B);
	assert_int_equal(room->groups_named, 6);
	room_check(room);
	room_free(room);
}

TEST(vfio, numbers_are_the_lowest_free)
{
	struct room *room = room_new();

	assert_int_equal(room_bound(room, ROOM_NVME)->index, 0);
	assert_int_equal(room_bound(room, ROOM_NIC)->index, 1);
	assert_int_equal(group_find(&room->vfio, room_group(room, ROOM_NIC))->minor, 1);
	room_unbind(room, ROOM_NVME);
	room_unbind(room, ROOM_ROOT);
	ASSERT_OK(room->why, room_bind(room, ROOM_ROOT, &room->why));
	assert_int_equal(room_bound(room, ROOM_ROOT)->index, 0);
	assert_int_equal(group_find(&room->vfio, room_group(room, ROOM_ROOT))->minor, 0);
	assert_null(group_find(&room->vfio, room_group(room, ROOM_NVME)));
	room_check(room);
	room_free(room);
}

TEST(vfio, a_device_says_who_it_is)
{
	struct room *room = room_new();
	struct vfio_device *device = room_bound(room, ROOM_NVME);

	assert_string_equal(vfio_device_name(device), ROOM_NVME);
	assert_ptr_equal(vfio_device_iommu(device), room_device(room, ROOM_NVME));
	assert_false(vfio_device_busy(device));
	assert_false(vfio_device_request(device));
	room_free(room);
}

static int build(struct why *why)
{
	struct room *room = room_try_new(why);

	if (!room)
		return -why->err;
	room_free(room);
	return 0;
}

TEST(vfio, binding_can_fail_anywhere)
{
	SWEEP_FAILURES(build);
}

TEST(vfio, without_a_listener)
{
	struct room *room = room_new();
	unsigned devices = room->devices_named;

	room->vfio.listener = NULL;
	room_unbind(room, ROOM_NVME);
	ASSERT_OK(room->why, room_bind(room, ROOM_NVME, &room->why));
	vfio_handle_events(&room->vfio);
	assert_int_equal(room->devices_named, devices);
	room->vfio.listener = NULL;
	room->groups_named = room->devices_named = 0;
	room_free(room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(vfio, bridges_are_not_for_programs), CASE(vfio, names_come_and_go),
		CASE(vfio, numbers_are_the_lowest_free),  CASE(vfio, a_device_says_who_it_is),
		CASE(vfio, binding_can_fail_anywhere),	  CASE(vfio, without_a_listener),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
