/* SPDX-License-Identifier: MIT */
/* VFIO_DEVICE_FEATURE of a plain vfio-pci device: which there are, and in which order is refused (spec 05 section 11).
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/conform/vfio.h"

#define GET   VFIO_DEVICE_FEATURE_GET
#define SET   VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE

enum {
	ENTRY = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
	WAKEUP = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
	EXIT = VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
	PRECOPY_INFO = VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2,
	HEAD = sizeof(struct vfio_device_feature),
};

static int open_plain(void)
{
	struct names names = the_device();
	int device = open_cdev(&names);

	WORKS(bind_cdev(device, iommu()));
	return device;
}

static answer feature(int device, u32 argsz, u32 flags)
{
	struct {
		struct vfio_device_feature head;
		u64 payload[4];
	} request = {.head = {.argsz = argsz, .flags = flags}};

	return ask(device, VFIO_DEVICE_FEATURE, &request);
}

static answer enter(int device, u32 argsz, int fd)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_low_power_entry_with_wakeup entry;
	} request = {.head = {argsz, SET | WAKEUP}, .entry = {.wakeup_eventfd = fd}};

	return ask(device, VFIO_DEVICE_FEATURE, &request);
}

/* Each row breaks its own rule and what comes later as far as that can be. */
TEST(what_all_features_have_in_common)
{
	const struct {
		u32 argsz, flags;
		answer expected;
	} rows[] = {
		{7, ~0u, -EINVAL},
		{HEAD, PROBE | 1u << 19 | 99, -EINVAL},
		{HEAD, PROBE | 1u << 31 | ENTRY, -EINVAL},
		{HEAD, GET | SET | 99, -EINVAL},
		{HEAD, GET | SET | ENTRY, -EINVAL},
		{HEAD, GET | SET | PROBE | 99, -ENOTTY},
		{HEAD, 99, -ENOTTY},
		{HEAD, PROBE | 0xffff, -ENOTTY},
		{HEAD, GET | ENTRY, -EINVAL},
		{HEAD, PROBE | GET | ENTRY, -EINVAL},
		{HEAD, PROBE | GET | SET | WAKEUP, -EINVAL},
		{HEAD, PROBE | GET | EXIT, -EINVAL},
		{HEAD, PROBE | ENTRY, 0},
		{HEAD, PROBE | SET | ENTRY, 0},
		{HEAD, PROBE | SET | WAKEUP, 0},
		{HEAD, PROBE | EXIT, 0},
		{HEAD, ENTRY, -EINVAL},
		{HEAD, WAKEUP, -EINVAL},
		{HEAD, EXIT, -EINVAL},
	};
	int device = open_plain();

	EXPECT(-EFAULT, ask(device, VFIO_DEVICE_FEATURE, NULL));
	FOR_EACH(row, rows)
	{
		about("argsz %u, flags %#x", row->argsz, row->flags);
		EXPECT(row->expected, feature(device, row->argsz, row->flags));
	}
	about(NULL);
}

/* A driver that cannot move its device knows nothing of that; with one exception, which is Linux's. */
TEST(a_plain_device_cannot_be_moved)
{
	const u32 features[] = {
		VFIO_DEVICE_FEATURE_MIGRATION,		VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_START,	VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
		VFIO_DEVICE_FEATURE_BUS_MASTER,
	};
	const u32 directions[] = {0, GET, SET, PROBE, PROBE | GET, PROBE | SET, PROBE | GET | SET};
	int device = open_plain();

	FOR_EACH(id, features)
	{
		FOR_EACH(direction, directions)
		{
			about("feature %u, flags %#x", *id, *direction);
			EXPECT(-ENOTTY, feature(device, HEAD, *id | *direction));
		}
	}
	FOR_EACH(direction, directions)
	{
		about("MIG_PRECOPY_INFOv2, flags %#x", *direction);
		EXPECT(-EINVAL, feature(device, HEAD, PRECOPY_INFO | *direction));
	}
	about(NULL);
}

TEST(a_device_that_is_no_physical_function_takes_no_token)
{
	int device = open_plain();

	EXPECT(-ENOTTY, feature(device, HEAD + 16, SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN));
	EXPECT(-ENOTTY, feature(device, HEAD, PROBE | GET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN));
}

TEST(low_power_is_entered_once_and_left_as_often_as_one_likes)
{
	int device = open_plain(), fd = watch(eventfd(0, EFD_NONBLOCK));
	u32 id;

	EXPECT(0, feature(device, HEAD, SET | EXIT));
	EXPECT(0, feature(device, HEAD, SET | ENTRY));
	EXPECT(-EINVAL, feature(device, HEAD, SET | ENTRY));
	EXPECT(-EINVAL, enter(device, HEAD + 8, fd));
	/* An access wakes it, for its duration. */
	EXPECT_EQUAL(4, pread(device, &id, 4, (off_t)(7ull << 40)));
	EXPECT(-EINVAL, feature(device, HEAD, SET | ENTRY));
	EXPECT(0, feature(device, HEAD, SET | EXIT));
	EXPECT(0, feature(device, HEAD, SET | EXIT));
	EXPECT(0, feature(device, HEAD, SET | ENTRY));
}

/* A kernel without CONFIG_PM suspends nothing, so that nobody wakes it. */
TEST(who_wakes_it_is_told)
{
	int device, fd = watch(eventfd(0, EFD_NONBLOCK));
	u64 count = 0;
	u32 id;

	if (getenv("CONFORM_NO_PM"))
		skip("this kernel suspends no devices");
	device = open_plain();
	EXPECT(-EINVAL, enter(device, HEAD + 7, fd));
	EXPECT(-EINVAL, enter(device, HEAD + 8, -1));
	EXPECT(-EBADF, enter(device, HEAD + 8, 9999));
	EXPECT(-EINVAL, enter(device, HEAD + 8, new_file(PAGE)));
	EXPECT(0, enter(device, HEAD + 8, fd));
	EXPECT_EQUAL(4, pread(device, &id, 4, (off_t)(7ull << 40)));
	EXPECT_EQUAL(8, read(fd, &count, 8));
	EXPECT_EQUAL(1, count);
	/* For good. */
	EXPECT(0, feature(device, HEAD, SET | ENTRY));
	EXPECT(0, feature(device, HEAD, SET | EXIT));
}

SUITE(feature, CASE(what_all_features_have_in_common), CASE(a_plain_device_cannot_be_moved),
      CASE(a_device_that_is_no_physical_function_takes_no_token),
      CASE(low_power_is_entered_once_and_left_as_often_as_one_likes), CASE(who_wakes_it_is_told));
