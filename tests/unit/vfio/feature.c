/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/eventfd.h>

#include "tests/fixtures/room.h"
#include "vfio/pci.h"

#define GET   VFIO_DEVICE_FEATURE_GET
#define SET   VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE

#define ENTRY  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
#define WAKEUP VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP
#define EXIT   VFIO_DEVICE_FEATURE_LOW_POWER_EXIT

struct request {
	struct vfio_device_feature head;
	struct vfio_device_low_power_entry_with_wakeup entry;
};

static long feature(struct room *room, int device, u32 flags)
{
	struct vfio_device_feature head = {.argsz = sizeof(head), .flags = flags};
	long ret = room_ioctl(room, device, VFIO_DEVICE_FEATURE, &head);

	room_check(room);
	return ret;
}

static long enter_with_wakeup(struct room *room, int device, u32 argsz, int fd)
{
	struct request request = {.head = {argsz, SET | WAKEUP}, .entry = {.wakeup_eventfd = fd}};
	long ret = room_ioctl(room, device, VFIO_DEVICE_FEATURE, &request);

	room_check(room);
	return ret;
}

TEST(feature, what_can_be_asked)
{
	struct room *room = room_new();
	int device = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU).device;

	EXPECT_REFUSED(FEATURE_FLAGS, room->why, feature(room, device, 1 << 19 | PROBE | ENTRY));
	EXPECT_REFUSED(FEATURE_FLAGS, room->why, feature(room, device, GET | SET | ENTRY));
	/* Flags come before the feature, the feature before its direction. */
	EXPECT_REFUSED(FEATURE_FLAGS, room->why, feature(room, device, GET | SET | 99));
	EXPECT_REFUSED(FEATURE_UNKNOWN, room->why, feature(room, device, 99));
	EXPECT_REFUSED(FEATURE_UNKNOWN, room->why, feature(room, device, PROBE | VFIO_DEVICE_FEATURE_MIGRATION));
	EXPECT_SUBSTR("MIGRATION", room->why.text);
	EXPECT_REFUSED(FEATURE_UNKNOWN, room->why, feature(room, device, SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN));
	EXPECT_REFUSED(FEATURE_DIRECTION, room->why, feature(room, device, GET | ENTRY));
	EXPECT_REFUSED(FEATURE_DIRECTION, room->why, feature(room, device, PROBE | GET | SET | EXIT));
	EXPECT_REFUSED(FEATURE_DIRECTION, room->why,
		       feature(room, device, SET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2));
	EXPECT_REFUSED(FEATURE_FLAGS, room->why, feature(room, device, ENTRY));
	ASSERT_OK(room->why, feature(room, device, PROBE | ENTRY));
	ASSERT_OK(room->why, feature(room, device, PROBE | SET | WAKEUP));
	room_free(room);
}

TEST(feature, low_power_is_entered_once)
{
	struct room *room = room_new();
	int device = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU).device;
	u32 value;

	ASSERT_OK(room->why, feature(room, device, SET | EXIT));
	ASSERT_OK(room->why, feature(room, device, SET | ENTRY));
	EXPECT_REFUSED(LOW_POWER_ENGAGED, room->why, feature(room, device, SET | ENTRY));
	/* Accesses wake it for their duration. */
	assert_int_equal(room_read(room, device, 0, &value, 4), 4);
	EXPECT_REFUSED(LOW_POWER_ENGAGED, room->why, feature(room, device, SET | ENTRY));
	ASSERT_OK(room->why, feature(room, device, SET | EXIT));
	ASSERT_OK(room->why, feature(room, device, SET | EXIT));
	ASSERT_OK(room->why, feature(room, device, SET | ENTRY));
	room_close(room, device);
	room_check(room);
	room_free(room);
}

TEST(feature, any_access_wakes_and_says_so)
{
	struct room *room = room_new();
	int device = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU).device, fd = eventfd(0, EFD_NONBLOCK);
	struct vfio_device_info info = {.argsz = sizeof(info)};
	u64 count = 0;

	EXPECT_REFUSED(ARGSZ_SHORT, room->why, enter_with_wakeup(room, device, 15, fd));
	EXPECT_REFUSED(FEATURE_DATA, room->why, enter_with_wakeup(room, device, 16, -1));
	EXPECT_REFUSED(FD_BAD, room->why, enter_with_wakeup(room, device, 16, 999));
	EXPECT_REFUSED(EVENTFD_BAD, room->why, enter_with_wakeup(room, device, 16, STDIN_FILENO));
	ASSERT_OK(room->why, enter_with_wakeup(room, device, 16, fd));
	assert_int_equal(read(fd, &count, 8), -1);
	ASSERT_OK(room->why, room_ioctl(room, device, VFIO_DEVICE_GET_INFO, &info));
	assert_int_equal(read(fd, &count, 8), 8);
	/* It has left low power for good. */
	ASSERT_OK(room->why, feature(room, device, SET | ENTRY));
	EXPECT_REFUSED(LOW_POWER_ENGAGED, room->why, enter_with_wakeup(room, device, 16, fd));
	ASSERT_OK(room->why, feature(room, device, SET | EXIT));
	ASSERT_OK(room->why, enter_with_wakeup(room, device, 16, fd));
	room_close(room, device);
	close(fd);
	room_free(room);
}

/* A device with a line, which is on. */
struct sleeper {
	struct room *room;
	struct pci_function *function;
	struct pci_session *session;
	int device, event;
};

static struct sleeper sleeper_new(bool never)
{
	struct sleeper s = {.room = room_new(), .event = eventfd(0, EFD_NONBLOCK)};
	struct {
		struct vfio_irq_set head;
		s32 fd;
	} set = {{24, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_INTX_IRQ_INDEX, 0, 1}, s.event};

	room_bound(s.room, ROOM_NVME)->pci.disable_idle_d3 = never;
	s.device = room_open_device(s.room, ROOM_NVME, VFIO_TYPE1_IOMMU).device;
	s.function = room_device(s.room, ROOM_NVME)->function;
	s.session = pci_session_of(room_file(s.room, s.device));
	ASSERT_OK(s.room->why, room_ioctl(s.room, s.device, VFIO_DEVICE_SET_IRQS, &set));
	return s;
}

static void sleeper_free(struct sleeper *s)
{
	room_check(s->room);
	room_free(s->room);
	close(s->event);
}

/* How often the line has been heard since. */
static u64 heard(const struct sleeper *s)
{
	u64 count = 0;

	return read(s->event, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void intx(struct sleeper *s, u32 action)
{
	struct vfio_irq_set set = {20, VFIO_IRQ_SET_DATA_NONE | action, VFIO_PCI_INTX_IRQ_INDEX, 0, 1};

	ASSERT_OK(s->room->why, room_ioctl(s->room, s->device, VFIO_DEVICE_SET_IRQS, &set));
}

static u32 power_state(const struct sleeper *s)
{
	return get_u16(s->function->config + s->function->cap_pm + 4) & 3;
}

TEST(feature, a_suspended_device_is_in_d0_and_silent)
{
	struct sleeper s = sleeper_new(false);

	room_set_config(s.room, s.device, s.function->cap_pm + 4u, 2, 3);
	ASSERT_OK(s.room->why, feature(s.room, s.device, SET | ENTRY));
	assert_int_equal(power_state(&s), 0);
	pci_irq_level(&s.function->irq, true);
	assert_int_equal(heard(&s), 0);
	/* For the duration of an access it is awake. */
	room_config(s.room, s.device, PCI_COMMAND, 2);
	assert_int_equal(heard(&s), 1);
	pci_irq_level(&s.function->irq, false);
	/* Not masked by us: the delivery did. */
	ASSERT_OK(s.room->why, feature(s.room, s.device, SET | EXIT));
	pci_irq_level(&s.function->irq, true);
	assert_int_equal(heard(&s), 0);
	intx(&s, VFIO_IRQ_SET_ACTION_UNMASK);
	assert_int_equal(heard(&s), 1);
	sleeper_free(&s);
}

TEST(feature, a_line_that_was_masked_stays_so)
{
	struct sleeper s = sleeper_new(false);

	for (unsigned masked = 0; masked < 2; masked++) {
		intx(&s, masked ? VFIO_IRQ_SET_ACTION_MASK : VFIO_IRQ_SET_ACTION_UNMASK);
		ASSERT_OK(s.room->why, feature(s.room, s.device, SET | ENTRY));
		assert_int_equal(s.session->intx_silent, !masked);
		ASSERT_OK(s.room->why, feature(s.room, s.device, SET | EXIT));
		pci_irq_level(&s.function->irq, true);
		assert_int_equal(heard(&s), !masked);
		pci_irq_level(&s.function->irq, false);
	}
	sleeper_free(&s);
}

/* disable_idle_d3 is for closed devices. */
TEST(feature, a_device_that_is_never_idle_sleeps_when_it_is_told_to)
{
	struct sleeper s = sleeper_new(true);

	room_set_config(s.room, s.device, s.function->cap_pm + 4u, 2, 3);
	ASSERT_OK(s.room->why, feature(s.room, s.device, SET | ENTRY));
	assert_int_equal(power_state(&s), 0);
	assert_true(s.session->suspended);
	pci_irq_level(&s.function->irq, true);
	assert_int_equal(heard(&s), 0);
	pci_irq_level(&s.function->irq, false);
	sleeper_free(&s);
}

/* power/control: what is on is not suspended, so nothing wakes it either; it stays in low power. */
TEST(feature, sysfs_keeps_it_awake)
{
	struct sleeper s = sleeper_new(false);
	struct vfio_device *device = s.session->device;

	vfio_device_keep_awake(device, true);
	room_set_config(s.room, s.device, s.function->cap_pm + 4u, 2, 3);
	ASSERT_OK(s.room->why, feature(s.room, s.device, SET | ENTRY));
	assert_false(s.session->suspended);
	assert_int_equal(power_state(&s), 3);
	pci_irq_level(&s.function->irq, true);
	assert_int_equal(heard(&s), 1);
	pci_irq_level(&s.function->irq, false);
	intx(&s, VFIO_IRQ_SET_ACTION_UNMASK);
	assert_true(s.session->revoked);
	vfio_device_keep_awake(device, false);
	assert_true(s.session->suspended);
	assert_int_equal(power_state(&s), 0);
	pci_irq_level(&s.function->irq, true);
	assert_int_equal(heard(&s), 0);
	/* Woken by sysfs: its line is heard, and it is in low power still. */
	vfio_device_keep_awake(device, true);
	assert_int_equal(heard(&s), 1);
	assert_int_equal(s.session->low_power, LOW_POWER_ENTRY);
	pci_irq_level(&s.function->irq, false);
	ASSERT_OK(s.room->why, feature(s.room, s.device, SET | EXIT));
	sleeper_free(&s);
}

/* Who asked for it hears of that, and is out of low power; but not of accesses to what was awake. */
TEST(feature, sysfs_wakes_it_as_an_access_does)
{
	struct sleeper s = sleeper_new(false);
	struct vfio_device *device = s.session->device;
	int fd = eventfd(0, EFD_NONBLOCK);
	u64 count = 0;

	vfio_device_keep_awake(device, true);
	ASSERT_OK(s.room->why, enter_with_wakeup(s.room, s.device, 16, fd));
	room_config(s.room, s.device, PCI_COMMAND, 2);
	assert_int_equal(s.session->low_power, LOW_POWER_WAKEUP);
	vfio_device_keep_awake(device, false);
	assert_true(s.session->suspended);
	assert_int_equal(read(fd, &count, sizeof(count)), -1);
	vfio_device_keep_awake(device, true);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(s.session->low_power, LOW_POWER_NONE);
	close(fd);
	sleeper_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(feature, what_can_be_asked),
		CASE(feature, low_power_is_entered_once),
		CASE(feature, any_access_wakes_and_says_so),
		CASE(feature, a_suspended_device_is_in_d0_and_silent),
		CASE(feature, a_line_that_was_masked_stays_so),
		CASE(feature, a_device_that_is_never_idle_sleeps_when_it_is_told_to),
		CASE(feature, sysfs_keeps_it_awake),
		CASE(feature, sysfs_wakes_it_as_an_access_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
