/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "tests/fixtures/room.h"
#include "vfio/pci.h"

#define IOCTL(fd, cmd, arg) room_ioctl(room, fd, cmd, (const void *)(uintptr_t)(arg))

static u8 memory[16 * 4096] __attribute__((aligned(4096)));

/* A model's diary: what it was told, in order. */
static void note(struct pci_function *function, const char *what)
{
	strcat(function->model, what);
}

static void opened(struct pci_function *function)
{
	note(function, "open ");
}

static void closed(struct pci_function *function)
{
	assert_false(pci_command(function) & PCI_COMMAND_MASTER);
	assert_ptr_equal(function->bars[0].memory, function->bars[0].home);
	note(function, "closed ");
}

static void reset(struct pci_function *function)
{
	note(function, "reset ");
}

static void moved(struct pci_function *function, unsigned bar)
{
	note(function, function->bars[bar].memory == function->bars[bar].home ? "home " : "shared ");
}

static const struct pci_model_ops diary_ops = {
	.name = "diary", .opened = opened, .closed = closed, .reset = reset, .backing_moved = moved};

TEST(pci, a_session_from_beginning_to_end)
{
	struct room *room = room_new();
	struct pci_function *function = room_device(room, ROOM_NVME)->function;
	char diary[200] = "";
	struct room_device first;
	int second;

	function->ops = &diary_ops;
	function->model = diary;
	first = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU);
	second = (int)IOCTL(first.group, VFIO_GROUP_GET_DEVICE_FD, ROOM_NVME);
	room_set_config(room, second, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	room_close(room, second);
	assert_string_equal(diary, "reset shared open ");
	room_close(room, first.device);
	assert_string_equal(diary, "reset shared open home reset closed ");
	room_free(room);
}

TEST(pci, closing_puts_back_what_the_program_wrote)
{
	struct room *room = room_new();
	struct pci_function *function = room_device(room, ROOM_NIC)->function;
	unsigned aer = pci_find_ext_cap(function, PCI_EXT_AER);
	struct room_device device;
	u8 before[16];

	memcpy(before, function->config + 0x08, 8);
	device = room_open_device(room, ROOM_NIC, VFIO_TYPE1_IOMMU);
	room_set_config(room, device.device, PCI_CACHE_LINE, 1, 0x40);
	room_set_config(room, device.device, function->cap_pm + 4u, 2, 3);
	/* What programs may set on the device itself. */
	room_set_config(room, device.device, aer + 8, 4, UINT32_MAX);
	assert_int_equal(get_u32(function->config + aer + 8), 0x03fff031);
	room_close(room, device.device);
	assert_memory_equal(function->config + 0x08, before, 8);
	assert_int_equal(get_u16(function->config + function->cap_pm + 4) & 3, 0);
	room_free(room);
}

TEST(pci, a_device_of_a_group_cannot_be_bound_to_an_iommufd)
{
	struct room *room = room_new();
	struct room_device device = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU);
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};

	EXPECT_REFUSED(OPENED_BY_GROUP, room->why, IOCTL(device.device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	room_free(room);
}

TEST(pci, information_fits_the_callers_structure)
{
	struct room *room = room_new();
	struct room_device device = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU);
	struct vfio_device_info info = {.argsz = 16, .cap_offset = 77, .pad = 88};
	struct vfio_region_info region = {.argsz = 32};

	/* A caller of old knows 16 bytes; the others are not touched. */
	ASSERT_OK(room->why, IOCTL(device.device, VFIO_DEVICE_GET_INFO, &info));
	assert_int_equal(info.num_irqs, 5);
	assert_int_equal(info.cap_offset, 77);
	assert_int_equal(info.pad, 88);
	ASSERT_OK(room->why, IOCTL(device.device, VFIO_DEVICE_GET_REGION_INFO, &region));
	assert_int_equal(region.argsz, 40);
	assert_int_equal(region.flags, 0xf);
	assert_int_equal(region.cap_offset, 0);
	region.index = VFIO_PCI_VGA_REGION_INDEX;
	region.argsz = 32;
	EXPECT_REFUSED(REGION_UNKNOWN, room->why, IOCTL(device.device, VFIO_DEVICE_GET_REGION_INFO, &region));
	EXPECT_SUBSTR("no VGA", room->why.text);
	region.index = UINT32_MAX;
	EXPECT_REFUSED(REGION_UNKNOWN, room->why, IOCTL(device.device, VFIO_DEVICE_GET_REGION_INFO, &region));
	room_free(room);
}

static struct room *sweep_room;

/* From nothing to a mapped, interrupting device, as QEMU does it. */
static int open_to_mapped(struct why *why)
{
	struct room *room = sweep_room;
	struct vfio_region_info region = {.argsz = 40};
	struct vfio_iommu_type1_info info[8] = {{.argsz = sizeof(info)}};
	int container = room_open_container(room), group = container < 0 ? -1 : room_open_group(room, ROOM_NVME);
	long ret = container < 0 ? container : group, device = -1;

	if (ret >= 0)
		ret = IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container);
	if (ret >= 0)
		ret = IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU);
	if (ret >= 0)
		ret = IOCTL(container, VFIO_IOMMU_GET_INFO, info);
	if (ret >= 0)
		ret = device = IOCTL(group, VFIO_GROUP_GET_DEVICE_FD, ROOM_NVME);
	if (ret >= 0)
		ret = IOCTL((int)device, VFIO_DEVICE_GET_REGION_INFO, memcpy(memory, &region, sizeof(region)));
	if (ret >= 0)
		ret = room_map(room, container, memory, 0x10000, sizeof(memory), 3);
	*why = room->why;
	room_check(room);
	for (int fd = ROOM_FD + ROOM_FILES - 1; fd >= ROOM_FD; fd--)
		if (room_file(room, fd))
			room_close(room, fd);
	room_check(room);
	assert_false(vfio_device_busy(room_bound(room, ROOM_NVME)));
	assert_false(iommu_group_claimed(room_device(room, ROOM_NVME)->group));
	assert_int_equal(room->client->locked_bytes, 0);
	return ret < 0 ? (int)ret : 0;
}

TEST(pci, the_way_to_a_mapped_device_can_fail_anywhere)
{
	sweep_room = room_new();
	SWEEP_FAILURES(open_to_mapped);
	room_free(sweep_room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pci, a_session_from_beginning_to_end),
		CASE(pci, closing_puts_back_what_the_program_wrote),
		CASE(pci, a_device_of_a_group_cannot_be_bound_to_an_iommufd),
		CASE(pci, information_fits_the_callers_structure),
		CASE(pci, the_way_to_a_mapped_device_can_fail_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
