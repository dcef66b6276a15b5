/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/eventfd.h>

#include "tests/fixtures/room.h"
#include "vfio/pci.h"

#define BAR(n) ((u64)(n) << 40)

static long ioeventfd(struct room *room, int device, u32 flags, u64 offset, u64 data, int fd)
{
	struct vfio_device_ioeventfd request = {
		.argsz = sizeof(request), .flags = flags, .offset = offset, .data = data, .fd = fd};
	long ret = room_ioctl(room, device, VFIO_DEVICE_IOEVENTFD, &request);

	room_check(room);
	return ret;
}

static void signal_and_handle(struct room *room, int fd)
{
	u64 one = 1;

	assert_int_equal(write(fd, &one, 8), 8);
	vfio_handle_events(&room->vfio);
}

TEST(pci_ioeventfd, what_it_refuses)
{
	struct room *room = room_new();
	int device = room_open_device(room, ROOM_NIC, VFIO_TYPE1_IOMMU).device, fd = eventfd(0, EFD_NONBLOCK);

	EXPECT_REFUSED(IOEVENTFD_ARGUMENT, room->why, ioeventfd(room, device, 0, 0, 0, fd));
	EXPECT_REFUSED(IOEVENTFD_ARGUMENT, room->why, ioeventfd(room, device, 3, 0, 0, fd));
	EXPECT_REFUSED(IOEVENTFD_ARGUMENT, room->why, ioeventfd(room, device, 0x11, 0, 0, fd));
	EXPECT_REFUSED(IOEVENTFD_ARGUMENT, room->why, ioeventfd(room, device, 4, 0, 0, -2));
	EXPECT_REFUSED(IOEVENTFD_ARGUMENT, room->why, ioeventfd(room, device, 4, BAR(7), 0, fd));
	EXPECT_REFUSED(IOEVENTFD_ARGUMENT, room->why, ioeventfd(room, device, 4, BAR(0) + 0x1fffd, 0, fd));
	EXPECT_REFUSED(IOEVENTFD_ARGUMENT, room->why, ioeventfd(room, device, 4, BAR(4), 0, fd));
	EXPECT_REFUSED(IOEVENTFD_ARGUMENT, room->why, ioeventfd(room, device, 4, BAR(3) + 76, 0, fd));
	EXPECT_SUBSTR("MSI-X table", room->why.text);
	EXPECT_REFUSED(IOEVENTFD_ARGUMENT, room->why, ioeventfd(room, device, 8, 0, 0, fd));
	EXPECT_REFUSED(IOEVENTFD_MISSING, room->why, ioeventfd(room, device, 4, 0, 0, -1));
	EXPECT_REFUSED(FD_BAD, room->why, ioeventfd(room, device, 4, 0, 0, 999));
	EXPECT_REFUSED(EVENTFD_BAD, room->why, ioeventfd(room, device, 4, 0, 0, STDIN_FILENO));
	close(fd);
	room_free(room);
}

TEST(pci_ioeventfd, a_signal_is_a_store)
{
	struct room *room = room_new();
	struct pci_function *function = room_device(room, ROOM_NIC)->function;
	int device = room_open_device(room, ROOM_NIC, VFIO_TYPE1_IOMMU).device, fd = eventfd(0, EFD_NONBLOCK);
	int other = eventfd(0, EFD_NONBLOCK);
	const u8 *registers;

	ASSERT_OK(room->why, ioeventfd(room, device, 4, BAR(3) + 80, 0x11223344, fd));
	EXPECT_REFUSED(IOEVENTFD_EXISTS, room->why, ioeventfd(room, device, 4, BAR(3) + 80, 0x11223344, other));
	/* Another value or size is another one. */
	ASSERT_OK(room->why, ioeventfd(room, device, 2, BAR(3) + 0x101, 0xaabb, other));
	registers = function->bars[3].memory;
	signal_and_handle(room, fd);
	assert_int_equal(get_u32(registers + 80), 0x11223344);
	signal_and_handle(room, other);
	assert_int_equal(get_u32(registers + 0x100), 0x00aabb00);
	ASSERT_OK(room->why, ioeventfd(room, device, 4, BAR(3) + 80, 0x11223344, -1));
	put_u32(function->bars[3].memory, 0);
	signal_and_handle(room, fd);
	/* While memory is off the store is lost. */
	room_set_config(room, device, PCI_COMMAND, 2, 0);
	put_u32((u8 *)function->bars[3].memory + 0x100, 0);
	signal_and_handle(room, other);
	assert_int_equal(get_u32((u8 *)function->bars[3].memory + 0x100), 0);
	room_close(room, device);
	signal_and_handle(room, other);
	close(fd);
	close(other);
	room_free(room);
}

TEST(pci_ioeventfd, a_thousand_are_enough)
{
	struct room *room = room_new();
	int device = room_open_device(room, ROOM_NIC, VFIO_TYPE1_IOMMU).device, fd = eventfd(0, EFD_NONBLOCK);
	struct rlimit limit;
	struct vfio_device_ioeventfd request = {.argsz = sizeof(request), .flags = 4, .fd = fd};

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 1100) {
		limit.rlim_cur = limit.rlim_max < 1100 ? limit.rlim_max : 1100;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur < 1100)
		skip();
	for (request.data = 0; request.data < 1000; request.data++)
		ASSERT_OK(room->why, room_ioctl(room, device, VFIO_DEVICE_IOEVENTFD, &request));
	EXPECT_REFUSED(IOEVENTFD_LIMIT, room->why, room_ioctl(room, device, VFIO_DEVICE_IOEVENTFD, &request));
	close(fd);
	room_free(room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pci_ioeventfd, what_it_refuses),
		CASE(pci_ioeventfd, a_signal_is_a_store),
		CASE(pci_ioeventfd, a_thousand_are_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
