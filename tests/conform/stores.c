/* SPDX-License-Identifier: MIT */
/* IOEVENTFD and the reset of a function: what is refused in which order, and what they do (spec 05 sections 6 and 10).
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/conform/vfio.h"

enum { HEAD = 28, BAD = 999, MOST = 1000, TRIES = 12000, QUEUES = 0x1000000, NAMES = 0x1100000 };

static int new_event(void)
{
	return watch(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

static void signal_event(int event)
{
	u64 one = 1;

	EXPECT_EQUAL(sizeof(one), write(event, &one, sizeof(one)));
}

static answer store_by(int device, u64 offset, u64 data, u32 flags, int fd)
{
	struct vfio_device_ioeventfd request = {
		.argsz = HEAD, .flags = flags, .offset = offset, .data = data, .fd = fd};

	return ask(device, VFIO_DEVICE_IOEVENTFD, &request);
}

/* ---- what is refused ---- */

static u32 memory_bar(int device)
{
	u32 bar = 0;

	while (bar < 6 && (region_of(device, bar).size < PAGE || get_config(device, 0x10 + 4 * bar, 4) & 1))
		bar++;
	return bar;
}

/* Where the tables of MSI-X are is nothing to be stored. */
static void refused_in_table(int device)
{
	u32 at = get_config(device, 0x34, 1), table, count;
	u64 start;

	while (at && get_config(device, at, 1) != 17)
		at = get_config(device, at + 1, 1);
	if (!at)
		return;
	count = (get_config(device, at + 2, 2) & 0x7ff) + 1;
	table = get_config(device, at + 4, 4);
	start = ((u64)(table & 7) << 40) + (table & ~7u);
	EXPECT(-EINVAL, store_by(device, start, 1, 4, BAD));
	EXPECT(-EINVAL, store_by(device, start + 16 * count - 1, 1, 1, -1));
	if (table & ~7u)
		EXPECT(-ENODEV, store_by(device, start - 1, 1, 1, -1));
}

/* Each row breaks its own rule and the descriptor is bad, which is looked at last. */
static void refused(int device)
{
	u32 bar = memory_bar(device);
	u64 start = (u64)bar << 40, size;
	struct vfio_device_ioeventfd request = {.argsz = HEAD - 1, .flags = 4, .fd = BAD};

	if (bar == 6)
		return;
	size = region_of(device, bar).size;
	request.offset = start;
	EXPECT(-EFAULT, ask(device, VFIO_DEVICE_IOEVENTFD, NULL));
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_IOEVENTFD, &request));
	EXPECT(-EINVAL, store_by(device, start, 1, 0, BAD));
	EXPECT(-EINVAL, store_by(device, start, 1, 16, BAD));
	EXPECT(-EINVAL, store_by(device, start, 1, 4 | 1u << 31, BAD));
	for (u32 sizes = 1; sizes < 16; sizes++)
		if (sizes & (sizes - 1) || sizes == 8) /* eight bytes are not offered */
			EXPECT(-EINVAL, store_by(device, start, 1, sizes, BAD));
	EXPECT(-EINVAL, store_by(device, start, 1, 4, -2));
	EXPECT(-EINVAL, store_by(device, 6ul << 40, 1, 4, BAD));
	EXPECT(-EINVAL, store_by(device, 7ul << 40, 1, 4, BAD));
	EXPECT(-EINVAL, store_by(device, TOP - 3, 1, 4, BAD));
	EXPECT(-EINVAL, store_by(device, start + size - 3, 1, 4, BAD));
	EXPECT(-EINVAL, store_by(device, start + size, 1, 1, -1));
	refused_in_table(device);
	EXPECT(-ENODEV, store_by(device, start + size - 1, 1, 1, -1));
	EXPECT(-EBADF, store_by(device, start + size - 4, 1, 4, BAD));
	EXPECT(-EINVAL, store_by(device, start + size - 4, 1, 4, new_file(PAGE)));
	EXPECT(-ENODEV, store_by(device, start + size - 4, 1, 4, -1));
}

TEST(stores_are_refused_in_this_order)
{
	with_each_device(refused);
}

/* One for each offset, value and size. */
static void distinct(int device)
{
	int event = new_event(), other = new_event();
	u32 bar = memory_bar(device);
	u64 at;

	if (bar == 6)
		return;
	at = ((u64)bar << 40) + region_of(device, bar).size - 8;
	EXPECT(0, store_by(device, at, 1, 4, event));
	EXPECT(-EEXIST, store_by(device, at, 1, 4, event));
	EXPECT(-EEXIST, store_by(device, at, 1, 4, other));
	EXPECT(-EEXIST, store_by(device, at, 1, 4, BAD)); /* not looked at */
	EXPECT(0, store_by(device, at, 2, 4, event));
	EXPECT(0, store_by(device, at, 1ul << 32 | 1, 4, event)); /* the whole value counts */
	EXPECT(0, store_by(device, at, 1, 2, event));
	EXPECT(0, store_by(device, at + 4, 1, 4, other));
	EXPECT(0, store_by(device, at, 1, 4, -1));
	EXPECT(-ENODEV, store_by(device, at, 1, 4, -1));
	EXPECT(0, store_by(device, at, 1, 4, other));
	EXPECT(0, store_by(device, at, 2, 4, -1));
}

TEST(stores_are_told_apart)
{
	with_each_device(distinct);
}

/* Each holds a descriptor of ours where the machine is inside. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	EXPECT_EQUAL(0, getrlimit(RLIMIT_NOFILE, &limit));
	if (limit.rlim_cur < 3 * MOST) {
		limit.rlim_cur = 3 * MOST < limit.rlim_max ? 3 * MOST : limit.rlim_max;
		EXPECT_EQUAL(0, setrlimit(RLIMIT_NOFILE, &limit));
	}
}

TEST(a_thousand_stores_are_all)
{
	struct names names = the_device();
	int device = open_cdev(&names), event = new_event();
	u64 at;

	allow_descriptors();
	WORKS(bind_cdev(device, iommu()));
	at = region_of(device, 0).size - 4;
	for (u64 data = 0; data < MOST; data++)
		EXPECT(0, store_by(device, at, data, 4, event));
	EXPECT(-ENOSPC, store_by(device, at, MOST, 4, event));
	EXPECT(-ENOSPC, store_by(device, at, MOST, 4, 99999)); /* before the descriptor */
	EXPECT(-EEXIST, store_by(device, at, 1, 4, event));
	EXPECT(-ENODEV, store_by(device, at, MOST, 4, -1));
	EXPECT(-EINVAL, store_by(device, at + 1, MOST, 4, event));
	EXPECT(0, store_by(device, at, 1, 4, -1));
	EXPECT(0, store_by(device, at, MOST, 4, event));
	EXPECT(-ENOSPC, store_by(device, at, 1, 4, event));
}

/* ---- what is done ---- */

/* A register that is what was written, also of a real 8254x: the receive descriptors' address. */
enum { REGISTER = 0x2800, OLD = 0x11110, NEW = 0x5670 };

static u32 load(int device)
{
	u32 value = 0;

	EXPECT(4, read_at(device, REGISTER, &value, 4));
	return value;
}

static void store(int device, u32 value)
{
	EXPECT(4, write_at(device, REGISTER, &value, 4));
}

static bool becomes_at(int device, u64 at, u32 value)
{
	for (unsigned i = 0; i < TRIES; i++) {
		u32 got = 0;

		EXPECT(4, read_at(device, at, &got, 4));
		if (got == value)
			return true;
		usleep(5000);
	}
	return false;
}

static bool becomes(int device, u32 value)
{
	return becomes_at(device, REGISTER, value);
}

/* Whoever listens has taken the signal, and is done with it by the next request. */
static bool is_taken(int event)
{
	struct pollfd poller = {.fd = event, .events = POLLIN};

	for (unsigned i = 0; i < TRIES; i++) {
		if (poll(&poller, 1, 0) == 0)
			return true;
		usleep(5000);
	}
	return false;
}

static int open_plain(void)
{
	struct names pair[2];
	int device;

	two_siblings(pair);
	device = open_cdev(&pair[0]);
	WORKS(bind_cdev(device, iommu()));
	set_config(device, 4, 2, 2);
	return device;
}

TEST(a_signal_stores_the_value)
{
	int device = open_plain(), event = new_event(), other = new_event();

	store(device, OLD);
	EXPECT(0, store_by(device, REGISTER, NEW, 4, event));
	EXPECT(0, store_by(device, REGISTER, OLD, 4, other));
	EXPECT_EQUAL(OLD, load(device));
	signal_event(event);
	EXPECT_TRUE(becomes(device, NEW));
	signal_event(other);
	EXPECT_TRUE(becomes(device, OLD));
	/* A narrow one stores that much of it; all that one event is for are done, in no order. */
	EXPECT(0, store_by(device, REGISTER + 4, 0xff0007, 2, event));
	EXPECT(4, write_at(device, REGISTER + 4, &(u32){0x3330}, 4));
	signal_event(event);
	EXPECT_TRUE(becomes(device, NEW));
	EXPECT_TRUE(becomes_at(device, REGISTER + 4, 7));
}

/* What comes while nothing answers is lost; what comes afterwards is not. */
TEST(a_signal_without_memory_stores_nothing)
{
	int device = open_plain(), event = new_event(), other = new_event();

	store(device, OLD);
	EXPECT(0, store_by(device, REGISTER, NEW, 4, event));
	EXPECT(0, store_by(device, REGISTER, 2 * OLD, 4, other));
	set_config(device, 4, 2, 0);
	signal_event(event);
	EXPECT_TRUE(is_taken(event));
	set_config(device, 4, 2, 2);
	EXPECT_EQUAL(OLD, load(device));
	signal_event(other);
	EXPECT_TRUE(becomes(device, 2 * OLD));
	EXPECT_EQUAL(2 * OLD, load(device));
	EXPECT(0, store_by(device, REGISTER, NEW, 4, -1));
	signal_event(event);
	usleep(50000);
	EXPECT_EQUAL(2 * OLD, load(device));
}

/* ---- RESET ---- */

static bool offers_reset(int device)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};

	EXPECT(0, ask(device, VFIO_DEVICE_GET_INFO, &info));
	return info.flags & VFIO_DEVICE_FLAGS_RESET;
}

/* The system puts back what is its own; D0, whatever was before. */
static void reset(int device)
{
	u32 bar = memory_bar(device), value, pm = get_config(device, 0x34, 1);

	if (!offers_reset(device)) {
		EXPECT(-EINVAL, ask(device, VFIO_DEVICE_RESET, NULL));
		return;
	}
	while (pm && get_config(device, pm, 1) != 1)
		pm = get_config(device, pm + 1, 1);
	set_config(device, 4, 2, 6);
	set_config(device, 0x10 + 4 * bar, 4, 0xfff00000);
	value = get_config(device, 0x10 + 4 * bar, 4);
	EXPECT(0, ask(device, VFIO_DEVICE_RESET, (void *)1)); /* it takes no argument */
	EXPECT_EQUAL(6, get_config(device, 4, 2) & 6);
	EXPECT_EQUAL(value, get_config(device, 0x10 + 4 * bar, 4));
	set_config(device, 4, 2, 0);
	if (pm)
		set_config(device, pm + 4, 2, 3);
	EXPECT(0, ask(device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQUAL(0, get_config(device, 4, 2) & 6);
	if (pm)
		EXPECT_EQUAL(0, get_config(device, pm + 4, 2) & 3);
}

TEST(a_reset_keeps_what_the_system_set_up)
{
	with_each_device(reset);
}

/* A controller that runs has stopped, can be started again, and the vector still has its eventfd. */
TEST(a_reset_stops_the_device_and_keeps_its_interrupts)
{
	struct {
		struct vfio_irq_set head;
		int32_t fd;
	} irqs = {
		{sizeof(irqs), VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1},
		new_event()};
	struct names names = the_device();
	u8 *queues = memory(2 * PAGE), *page = memory(PAGE);
	int fd = iommu(), device = open_cdev(&names);
	u32 ioas = new_ioas(fd), cc = ~0u;
	struct nvme nvme;
	u64 count;

	WORKS(bind_cdev(device, fd));
	EXPECT(0, attach_cdev(device, &(u32){ioas}));
	EXPECT(0, map_at(fd, ioas, queues, 2 * PAGE, QUEUES));
	EXPECT(0, map_at(fd, ioas, page, PAGE, NAMES));
	EXPECT(0, ask(device, VFIO_DEVICE_SET_IRQS, &irqs));
	nvme = start_nvme(device, queues, QUEUES);
	identify_nvme(&nvme, NAMES);
	EXPECT_TRUE(page[0] || page[1]);
	EXPECT(0, ask(device, VFIO_DEVICE_RESET, NULL));
	EXPECT(4, read_at(device, 0x14, &cc, 4));
	EXPECT_EQUAL(0, cc & 1);
	memset(queues, 0, 2 * PAGE);
	memset(page, 0, PAGE);
	(void)!read(irqs.fd, &count, sizeof(count));
	irqs.head.argsz = sizeof(irqs.head);
	irqs.head.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	EXPECT(0, ask(device, VFIO_DEVICE_SET_IRQS, &irqs));
	EXPECT_EQUAL(sizeof(count), read(irqs.fd, &count, sizeof(count)));
	unmap_mapped((void *)(uintptr_t)nvme.bar);
	nvme = start_nvme(device, queues, QUEUES);
	identify_nvme(&nvme, NAMES); /* the DMA goes where it went */
	EXPECT_TRUE(page[0] || page[1]);
	stop_nvme(&nvme);
}

SUITE(stores, CASE(stores_are_refused_in_this_order), CASE(stores_are_told_apart), CASE(a_thousand_stores_are_all),
      CASE(a_signal_stores_the_value), CASE(a_signal_without_memory_stores_nothing),
      CASE(a_reset_keeps_what_the_system_set_up), CASE(a_reset_stops_the_device_and_keeps_its_interrupts));
