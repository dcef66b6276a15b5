/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>

#include "tests/fixtures/room.h"
#include "vfio/pci.h"

#define IOCTL(fd, cmd, arg) room_ioctl(room, fd, cmd, (const void *)(uintptr_t)(arg))

static void count_reset(struct pci_function *function)
{
	(*(unsigned *)function->model)++;
}

static const struct pci_model_ops counting = {.name = "counting", .reset = count_reset};

static void count(struct room *room, const char *name, unsigned *resets)
{
	struct pci_function *function = room_device(room, name)->function;

	function->ops = &counting;
	function->model = resets;
}

TEST(pci_reset, a_reset_keeps_what_the_system_set_up)
{
	struct room *room = room_new();
	struct room_device opened = room_open_device(room, ROOM_NIC, VFIO_TYPE1_IOMMU);
	struct pci_function *function = room_device(room, ROOM_NIC)->function;
	struct {
		struct vfio_irq_set head;
		s32 fd;
	} set = {{24, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1}, -1};
	int fd = eventfd(0, EFD_NONBLOCK);
	unsigned resets = 0;
	u32 bar = get_u32(function->config + PCI_BAR0);
	u64 events = 0;

	set.fd = fd;
	ASSERT_OK(room->why, IOCTL(opened.device, VFIO_DEVICE_SET_IRQS, &set));
	room_set_config(room, opened.device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	room_set_config(room, opened.device, function->cap_pm + 4u, 2, 3);
	count(room, ROOM_NIC, &resets);
	ASSERT_OK(room->why, IOCTL(opened.device, VFIO_DEVICE_RESET, 0));
	assert_int_equal(resets, 1);
	assert_int_equal(room_config(room, opened.device, PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(room_config(room, opened.device, function->cap_pm + 4u, 2) & 3, 0);
	assert_int_equal(get_u32(function->config + PCI_BAR0), bar);
	/* Vectors stay enabled, on the device as well. */
	assert_true(get_u16(function->config + function->cap_msix + 2) & 0x8000);
	pci_irq_message(&function->irq, 0);
	assert_int_equal(read(fd, &events, 8), 8);
	room_check(room);
	close(fd);
	room_free(room);
}

TEST(pci_reset, a_device_without_any_reset)
{
	struct room *room = room_new();
	struct room_device opened = room_open_device(room, ROOM_ROOT, VFIO_TYPE1_IOMMU);
	struct vfio_device_info info = {.argsz = sizeof(info)};
	u32 buffer[16] = {sizeof(buffer)};

	ASSERT_OK(room->why, IOCTL(opened.device, VFIO_DEVICE_GET_INFO, &info));
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_PCI);
	EXPECT_REFUSED(DEVICE_NOT_RESETTABLE, room->why, IOCTL(opened.device, VFIO_DEVICE_RESET, 0));
	EXPECT_REFUSED(HOT_RESET_IMPOSSIBLE, room->why,
		       IOCTL(opened.device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, buffer));
	room_close(room, opened.device);
	assert_true(room_bound(room, ROOM_ROOT)->needs_reset);
	room_free(room);
}

/* A trip through D3hot, or a bus of its own: both are function resets. */
TEST(pci_reset, other_ways_to_reset)
{
	struct room *room = room_new();
	struct pci_function *root = room_device(room, ROOM_ROOT)->function;
	struct pci_function *narrow = room_device(room, ROOM_NARROW)->function;

	assert_false(function_can_reset(room_bound(room, ROOM_ROOT)));
	root->config[root->cap_pm + 4] &= (u8)~0x08;
	assert_true(function_can_reset(room_bound(room, ROOM_ROOT)));
	put_u32(narrow->config + narrow->cap_pcie + 4, 0);
	assert_true(function_can_reset(room_bound(room, ROOM_NARROW)));
	assert_true(function_can_reset(room_bound(room, ROOM_PLAIN)));
	room_free(room);
}

struct info {
	struct vfio_pci_hot_reset_info head;
	struct vfio_pci_dependent_device devices[4];
};

TEST(pci_reset, what_a_hot_reset_hits)
{
	struct room *room = room_new();
	struct room_device opened = room_open_device(room, ROOM_PAIR_A, VFIO_TYPE1_IOMMU);
	struct info info = {.head.argsz = 12};

	EXPECT_REFUSED(HOT_RESET_ARRAY, room->why, IOCTL(opened.device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info));
	assert_int_equal(info.head.count, 2);
	assert_int_equal(info.head.flags, 0);
	info.head.argsz = sizeof(info);
	ASSERT_OK(room->why, IOCTL(opened.device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info));
	assert_int_equal(info.head.count, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(info.devices[i].group_id, room_group(room, ROOM_PAIR_A));
		assert_int_equal(info.devices[i].segment, 0);
		assert_int_equal(info.devices[i].bus, 3);
		assert_int_equal(info.devices[i].devfn, i);
	}
	room_free(room);
}

struct reset {
	struct vfio_pci_hot_reset head;
	s32 fds[3];
};

/* As Linux has it; what we take besides is in tests/unit/machine/hot_reset.c. */
TEST(pci_reset, who_may_reset_a_bus)
{
	struct room *room = room_new();
	struct room_device opened = room_open_device(room, ROOM_PAIR_A, VFIO_TYPE1_IOMMU);
	int other = room_open_group(room, ROOM_NVME), null = open("/dev/null", O_RDWR);
	struct reset reset = {.head = {.argsz = sizeof(reset), .flags = 1, .count = 1}, .fds = {other}};
	unsigned resets[2] = {};

	room->vfio.linux_hot_reset = true;
#define HOT_RESET() IOCTL(opened.device, VFIO_DEVICE_PCI_HOT_RESET, &reset)
	EXPECT_REFUSED(HOT_RESET_ARGUMENT, room->why, HOT_RESET());
	reset.head.flags = 0;
	reset.head.count = 0;
	EXPECT_REFUSED(HOT_RESET_ARGUMENT, room->why, HOT_RESET());
	reset.head.count = 3;
	EXPECT_REFUSED(HOT_RESET_ARGUMENT, room->why, HOT_RESET());
	reset.head.count = 1;
	EXPECT_REFUSED(HOT_RESET_NOT_OWNED, room->why, HOT_RESET());
	EXPECT_SUBSTR("0000:03:00.0 (open by group", room->why.text);
	EXPECT_SUBSTR("0000:03:00.1 (closed", room->why.text);
	reset.fds[0] = null;
	EXPECT_REFUSED(HOT_RESET_NOT_GROUP, room->why, HOT_RESET());
	reset.fds[0] = opened.device;
	EXPECT_REFUSED(HOT_RESET_NOT_GROUP, room->why, HOT_RESET());
	EXPECT_SUBSTR("a device", room->why.text);
	reset.fds[0] = 999;
	EXPECT_REFUSED(FD_BAD, room->why, HOT_RESET());
	/* One group twice is legal, and proves its closed devices as well. */
	reset.head.count = 2;
	reset.fds[0] = reset.fds[1] = opened.group;
	count(room, ROOM_PAIR_A, &resets[0]);
	count(room, ROOM_PAIR_B, &resets[1]);
	ASSERT_OK(room->why, IOCTL(opened.device, VFIO_DEVICE_PCI_HOT_RESET, &reset));
	assert_int_equal(resets[0], 1);
	assert_int_equal(resets[1], 1);
	room_check(room);
	room_unbind(room, ROOM_PAIR_B);
	EXPECT_REFUSED(HOT_RESET_NOT_VFIO, room->why, HOT_RESET());
	EXPECT_SUBSTR(ROOM_PAIR_B, room->why.text);
	close(null);
	room_free(room);
}

TEST(pci_reset, a_hot_reset_wakes_who_sleeps_beside)
{
	struct room *room = room_new();
	struct room_device opened = room_open_device(room, ROOM_PAIR_A, VFIO_TYPE1_IOMMU);
	int second = (int)ASSERT_OK(room->why, IOCTL(opened.group, VFIO_GROUP_GET_DEVICE_FD, ROOM_PAIR_B));
	struct reset reset = {.head = {.argsz = sizeof(reset), .count = 1}, .fds = {opened.group}};
	struct pci_session *session = pci_session_of(room_file(room, second));
	int fd = eventfd(0, EFD_NONBLOCK);
	struct {
		struct vfio_device_feature head;
		struct vfio_device_low_power_entry_with_wakeup entry;
	} enter = {{sizeof(enter), VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP},
		   {.wakeup_eventfd = fd}};
	u64 count = 0;

	ASSERT_OK(room->why, IOCTL(second, VFIO_DEVICE_FEATURE, &enter));
	assert_true(session->suspended && session->revoked);
	ASSERT_OK(room->why, HOT_RESET());
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	assert_false(session->suspended || session->revoked);
	/* The other kind sleeps on. */
	enter.head.argsz = sizeof(enter.head);
	enter.head.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY;
	ASSERT_OK(room->why, IOCTL(second, VFIO_DEVICE_FEATURE, &enter));
	ASSERT_OK(room->why, HOT_RESET());
	assert_true(session->suspended && session->revoked);
	room_check(room);
	close(fd);
	room_free(room);
}

/* What cannot be reset alone waits until nobody has its bus open. */
TEST(pci_reset, the_last_close_resets_the_bus)
{
	struct room *room = room_new();
	struct room_device opened;
	unsigned resets[2] = {};
	int second;

	for (unsigned i = 0; i < 2; i++) {
		struct pci_function *function = room_device(room, i ? ROOM_PAIR_B : ROOM_PAIR_A)->function;

		function->config[function->cap_pm + 4] |= 0x08;
		put_u32(function->config + function->cap_pcie + 4, 0);
	}
	opened = room_open_device(room, ROOM_PAIR_A, VFIO_TYPE1_IOMMU);
	second = (int)ASSERT_OK(room->why, IOCTL(opened.group, VFIO_GROUP_GET_DEVICE_FD, ROOM_PAIR_B));
	count(room, ROOM_PAIR_A, &resets[0]);
	count(room, ROOM_PAIR_B, &resets[1]);
	room_close(room, opened.device);
	assert_int_equal(resets[0] + resets[1], 0);
	assert_true(room_bound(room, ROOM_PAIR_A)->needs_reset);
	room_close(room, second);
	assert_int_equal(resets[0], 1);
	assert_int_equal(resets[1], 1);
	assert_false(room_bound(room, ROOM_PAIR_A)->needs_reset);
	room_free(room);
}

/* As it can be at its close: reset_method may have been emptied since it was opened. */
TEST(pci_reset, a_device_that_may_not_be_reset_any_more_waits_too)
{
	struct room *room = room_new();
	struct room_device opened = room_open_device(room, ROOM_PAIR_A, VFIO_TYPE1_IOMMU);
	int second = (int)ASSERT_OK(room->why, IOCTL(opened.group, VFIO_GROUP_GET_DEVICE_FD, ROOM_PAIR_B));
	unsigned resets = 0;

	count(room, ROOM_PAIR_A, &resets);
	room_device(room, ROOM_PAIR_A)->function->reset_forbidden = true;
	room_close(room, opened.device);
	assert_int_equal(resets, 0);
	assert_true(room_bound(room, ROOM_PAIR_A)->needs_reset);
	room_close(room, second);
	assert_int_equal(resets, 1);
	assert_false(room_bound(room, ROOM_PAIR_A)->needs_reset);
	room_free(room);
}

/* Also when the last one to go could reset itself. */
TEST(pci_reset, a_sibling_that_needs_it_is_not_forgotten)
{
	struct room *room = room_new();
	struct pci_function *function = room_device(room, ROOM_PAIR_A)->function;
	struct room_device opened;
	unsigned resets = 0;
	int second;

	function->config[function->cap_pm + 4] |= 0x08;
	put_u32(function->config + function->cap_pcie + 4, 0);
	opened = room_open_device(room, ROOM_PAIR_A, VFIO_TYPE1_IOMMU);
	second = (int)ASSERT_OK(room->why, IOCTL(opened.group, VFIO_GROUP_GET_DEVICE_FD, ROOM_PAIR_B));
	count(room, ROOM_PAIR_A, &resets);
	room_close(room, opened.device);
	assert_int_equal(resets, 0);
	assert_true(room_bound(room, ROOM_PAIR_A)->needs_reset);
	room_close(room, second);
	assert_int_equal(resets, 1);
	assert_false(room_bound(room, ROOM_PAIR_A)->needs_reset);
	room_free(room);
}

static struct room *sweep_room;
static struct room_device sweep_opened;

static int hot_reset(struct why *why)
{
	struct room *room = sweep_room;
	struct info info = {.head.argsz = sizeof(info)};
	struct reset reset = {.head = {.argsz = sizeof(reset), .count = 1}, .fds = {sweep_opened.group}};
	long ret = IOCTL(sweep_opened.device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info);

	if (ret == 0)
		ret = IOCTL(sweep_opened.device, VFIO_DEVICE_PCI_HOT_RESET, &reset);
	*why = room->why;
	room_check(room);
	return (int)ret;
}

TEST(pci_reset, a_hot_reset_can_fail_anywhere)
{
	sweep_room = room_new();
	sweep_opened = room_open_device(sweep_room, ROOM_PAIR_A, VFIO_TYPE1_IOMMU);
	SWEEP_FAILURES(hot_reset);
	room_free(sweep_room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pci_reset, a_reset_keeps_what_the_system_set_up),
		CASE(pci_reset, a_device_without_any_reset),
		CASE(pci_reset, other_ways_to_reset),
		CASE(pci_reset, what_a_hot_reset_hits),
		CASE(pci_reset, who_may_reset_a_bus),
		CASE(pci_reset, a_hot_reset_wakes_who_sleeps_beside),
		CASE(pci_reset, the_last_close_resets_the_bus),
		CASE(pci_reset, a_device_that_may_not_be_reset_any_more_waits_too),
		CASE(pci_reset, a_sibling_that_needs_it_is_not_forgotten),
		CASE(pci_reset, a_hot_reset_can_fail_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
