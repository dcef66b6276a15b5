/* SPDX-License-Identifier: MIT */
/* GET_IRQ_INFO and the truth table of SET_IRQS, row by row (spec 05 sections 7 and 9). */
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/conform/vfio.h"

enum { NONE = 1, BOOL = 2, FD = 4, MASK = 8, UNMASK = 16, TRIGGER = 32 };
enum { INTX, MSI, MSIX, ERR, REQ, INDICES };
enum { HEAD = sizeof(struct vfio_irq_set), BAD = 999, QUEUES = 0x1000000, NAMES = 0x1100000 };

static answer set_raw(int device, u32 flags, u32 index, u32 start, u32 count, const void *data, size_t size)
{
	union {
		struct vfio_irq_set head;
		u8 bytes[HEAD + 16];
	} request = {.head = {HEAD + (u32)size, flags, index, start, count}};

	memcpy(request.bytes + HEAD, data, size);
	return ask(device, VFIO_DEVICE_SET_IRQS, &request);
}

static answer set_none(int device, u32 action, u32 index, u32 start, u32 count)
{
	return set_raw(device, NONE | action, index, start, count, "", 0);
}

static answer set_bools(int device, u32 action, u32 index, u32 count, u8 first, u8 second)
{
	return set_raw(device, BOOL | action, index, 0, count, (u8[]){first, second}, 2);
}

static answer set_fds(int device, u32 action, u32 index, u32 start, u32 count, int first, int second)
{
	return set_raw(device, FD | action, index, start, count, (int32_t[]){first, second}, 8);
}

static answer set_fd(int device, u32 index, int fd)
{
	return set_fds(device, TRIGGER, index, 0, 1, fd, -1);
}

static answer info_of(int device, u32 index, struct vfio_irq_info *ret)
{
	*ret = (struct vfio_irq_info){.argsz = sizeof(*ret), .flags = ~0u, .index = index, .count = 77};
	return ask(device, VFIO_DEVICE_GET_IRQ_INFO, ret);
}

static u32 vectors_of(int device, u32 index)
{
	struct vfio_irq_info info;

	return info_of(device, index, &info) == 0 ? info.count : 0;
}

static int new_event(void)
{
	return watch(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

static u64 signals(int event)
{
	u64 value = 0;

	return read(event, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

/* Whether it comes, if it takes a while. */
static bool is_signalled(int event, int milliseconds)
{
	struct pollfd poller = {.fd = event, .events = POLLIN};

	return poll(&poller, 1, milliseconds) == 1 && signals(event) > 0;
}

static u32 find_capability(int device, u32 id)
{
	u32 at = get_config(device, 0x34, 1);

	while (at && get_config(device, at, 1) != id)
		at = get_config(device, at + 1, 1);
	return at;
}

/* ---- GET_IRQ_INFO ---- */

static void describe(int device)
{
	u32 msi = find_capability(device, 5), msix = find_capability(device, 17);
	struct vfio_irq_info info = {.argsz = sizeof(info) - 1, .index = REQ};
	const struct vfio_irq_info fixed = {.argsz = sizeof(info), .index = REQ};

	EXPECT(-EFAULT, ask(device, VFIO_DEVICE_GET_IRQ_INFO, NULL));
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_GET_IRQ_INFO, &info));
	EXPECT(-EFAULT, ask_read_only(device, VFIO_DEVICE_GET_IRQ_INFO, &fixed, sizeof(fixed)));
	EXPECT(-EINVAL, info_of(device, INDICES, &info));
	EXPECT(-EINVAL, info_of(device, ~0u, &info));
	EXPECT(0, info_of(device, INTX, &info));
	EXPECT_EQUAL(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED, info.flags);
	EXPECT_EQUAL(get_config(device, 0x3d, 1) != 0, info.count);
	EXPECT(0, info_of(device, MSI, &info));
	EXPECT_EQUAL(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, info.flags);
	EXPECT_EQUAL(msi ? 1u << (get_config(device, msi + 2, 2) >> 1 & 7) : 0, info.count);
	EXPECT(0, info_of(device, MSIX, &info));
	EXPECT_EQUAL(VFIO_IRQ_INFO_EVENTFD, info.flags & ~(u32)VFIO_IRQ_INFO_NORESIZE);
	EXPECT_EQUAL(msix ? (get_config(device, msix + 2, 2) & 0x7ff) + 1 : 0, info.count);
	EXPECT(find_capability(device, 16) ? 0 : -EINVAL, info_of(device, ERR, &info));
	EXPECT(0, info_of(device, REQ, &info));
	EXPECT_EQUAL(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, info.flags);
	EXPECT_EQUAL(1, info.count);
}

TEST(each_kind_tells_what_it_can)
{
	with_each_device(describe);
}

/* ---- the checks that all have in common ---- */

struct head_row {
	u32 argsz, flags, index, start, count;
	answer expected;
};

/* What follows the head cannot be read, so that all that comes before that is seen to. */
static void check_heads(int device, const struct head_row *rows, unsigned count)
{
	struct vfio_irq_set *last = (void *)((char *)memory(PAGE) + PAGE - HEAD);

	for (const struct head_row *row = rows; row < rows + count; row++) {
		about("argsz %u, flags %#x, index %u, start %#x, count %#x", row->argsz, row->flags, row->index,
		      row->start, row->count);
		*last = (struct vfio_irq_set){row->argsz, row->flags, row->index, row->start, row->count};
		EXPECT(row->expected, ask(device, VFIO_DEVICE_SET_IRQS, last));
	}
	about(NULL);
}

static void heads(int device)
{
	static const struct head_row rows[] = {
		{HEAD - 1, NONE | TRIGGER, REQ, 0, 1, -EINVAL},
		{HEAD, 0, INDICES, 0, 1, -EINVAL},
		{HEAD, NONE, ~0u, 0, 1, -EINVAL},
		{HEAD, NONE, REQ, 0, ~0u, -EINVAL},
		{HEAD, NONE, REQ, ~0u, 0, -EINVAL},
		{HEAD, NONE, REQ, ~0u - 1, 1, -EINVAL},
		{HEAD, NONE | 64, REQ, 0, 1, -EINVAL},
		{HEAD, NONE | 1u << 31, REQ, 0, 1, -EINVAL},
		{HEAD, NONE, REQ, 1, 0, -EINVAL},
		{HEAD, NONE, REQ, 0, 2, -EINVAL},
		{HEAD, 0, REQ, 0, 1, -EINVAL},
		{HEAD, TRIGGER, REQ, 0, 1, -EINVAL},
		{HEAD + 4, NONE | BOOL, REQ, 0, 1, -EINVAL},
		{HEAD + 4, NONE | FD, REQ, 0, 1, -EINVAL},
		{HEAD + 4, BOOL | FD, REQ, 0, 1, -EINVAL},
		{HEAD + 4, NONE | BOOL | FD, REQ, 0, 1, -EINVAL},
		{HEAD, BOOL, REQ, 0, 1, -EINVAL},
		{HEAD + 3, FD, REQ, 0, 1, -EINVAL},
		{HEAD + 1, BOOL, REQ, 0, 1, -EFAULT}, /* before the action */
		{HEAD + 4, FD, REQ, 0, 1, -EFAULT},
		{HEAD + 4, FD | MASK, REQ, 0, 1, -EFAULT},
		{HEAD + 4, FD | TRIGGER, REQ, 0, 1, -EFAULT},
		{HEAD, NONE, REQ, 0, 1, -ENOTTY},
		{HEAD, NONE, REQ, 0, 0, -ENOTTY},
		{HEAD, BOOL, REQ, 0, 0, -ENOTTY},
		{HEAD, NONE | MASK, REQ, 0, 1, -ENOTTY},
		{HEAD, NONE | UNMASK, REQ, 0, 1, -ENOTTY},
		{HEAD, NONE | MASK | TRIGGER, REQ, 0, 1, -ENOTTY},
		{HEAD, NONE | MASK | UNMASK | TRIGGER, REQ, 0, 1, -ENOTTY},
		{HEAD, NONE | TRIGGER, REQ, 0, 1, -EINVAL}, /* nobody is registered */
	};

	EXPECT(-EFAULT, ask(device, VFIO_DEVICE_SET_IRQS, NULL));
	check_heads(device, rows, COUNT(rows));
}

TEST(what_all_kinds_have_in_common_is_looked_at_in_order)
{
	with_each_device(heads);
}

/* Of what a device has none, nothing can be said, not even that it be switched off. */
static void none_of_them(int device)
{
	for (u32 index = INTX; index < INDICES; index++) {
		const struct head_row rows[] = {
			{HEAD, NONE | TRIGGER, index, 0, 0, -EINVAL},
			{HEAD, NONE, index, 0, 0, -EINVAL},
			{HEAD + 4, FD | TRIGGER, index, 0, 1, -EINVAL},
			{HEAD, NONE | MASK, index, 0, 1, -EINVAL},
		};

		if (!vectors_of(device, index))
			check_heads(device, rows, COUNT(rows));
	}
}

TEST(what_a_device_has_none_of_is_invalid)
{
	with_each_device(none_of_them);
}

/* ---- INTx ---- */

static void line_off(int device)
{
	int event = new_event();

	for (u32 action = MASK; action <= TRIGGER; action *= 2) {
		about("action %u", action);
		EXPECT(-EINVAL, set_none(device, action, INTX, 0, 1));
		EXPECT(-EINVAL, set_none(device, action, INTX, 0, 0));
		EXPECT(-EINVAL, set_bools(device, action, INTX, 1, 1, 0));
		EXPECT(-EINVAL, set_bools(device, action, INTX, 1, 0, 0));
		EXPECT(-EINVAL, set_fds(device, action, INTX, 0, 0, event, -1));
		if (action != TRIGGER)
			EXPECT(-EINVAL, set_fds(device, action, INTX, 0, 1, event, -1));
	}
	about(NULL);
	EXPECT(-EBADF, set_fd(device, INTX, BAD));
	EXPECT(-EINVAL, set_fd(device, INTX, new_file(PAGE)));
	EXPECT(-EINVAL, set_none(device, TRIGGER, INTX, 0, 0)); /* and it is off still */
}

/* Whoever is the trigger at the time is told. */
static void line_trigger(int device)
{
	int first = new_event(), second = new_event();

	EXPECT(0, set_fd(device, INTX, -1)); /* on, with nobody to be told */
	EXPECT(0, set_none(device, TRIGGER, INTX, 0, 1));
	EXPECT(0, set_fd(device, INTX, first));
	signals(first);
	EXPECT(0, set_none(device, TRIGGER, INTX, 0, 1));
	EXPECT_EQUAL(1, signals(first));
	EXPECT(0, set_bools(device, TRIGGER, INTX, 1, 0, 1));
	EXPECT_EQUAL(0, signals(first));
	EXPECT(0, set_bools(device, TRIGGER, INTX, 1, 1, 0));
	EXPECT_EQUAL(1, signals(first));
	EXPECT(-EBADF, set_fd(device, INTX, BAD)); /* the first stays */
	EXPECT(0, set_fd(device, INTX, second));
	EXPECT(0, set_none(device, TRIGGER, INTX, 0, 1));
	EXPECT_EQUAL(0, signals(first));
	EXPECT_EQUAL(1, signals(second));
	EXPECT(0, set_fd(device, INTX, -7));
	EXPECT(0, set_none(device, TRIGGER, INTX, 0, 1));
	EXPECT_EQUAL(0, signals(second));
}

static void line_masks(int device)
{
	int event = new_event();

	for (u32 action = MASK; action <= UNMASK; action *= 2) {
		about("action %u", action);
		EXPECT(-EINVAL, set_none(device, action, INTX, 0, 0));
		EXPECT(0, set_none(device, action, INTX, 0, 1));
		EXPECT(0, set_bools(device, action, INTX, 1, 0, 0));
		EXPECT(0, set_bools(device, action, INTX, 1, 1, 0));
	}
	about(NULL);
	EXPECT(-ENOTTY, set_fds(device, MASK, INTX, 0, 1, event, -1));
	EXPECT(-ENOTTY, set_fds(device, MASK, INTX, 0, 1, BAD, -1));
	EXPECT(0, set_fds(device, UNMASK, INTX, 0, 1, -1, -1));
	EXPECT(-EBADF, set_fds(device, UNMASK, INTX, 0, 1, BAD, -1));
	EXPECT(-EINVAL, set_fds(device, UNMASK, INTX, 0, 1, new_file(PAGE), -1));
	EXPECT(0, set_fds(device, UNMASK, INTX, 0, 1, event, -1));
	EXPECT(-EBUSY, set_fds(device, UNMASK, INTX, 0, 1, event, -1));
	EXPECT(-EBADF, set_fds(device, UNMASK, INTX, 0, 1, BAD, -1)); /* looked at first */
	EXPECT(0, set_fds(device, UNMASK, INTX, 0, 1, -1, -1));
	EXPECT(0, set_fds(device, UNMASK, INTX, 0, 1, event, -1));
}

static void line(int device)
{
	if (!vectors_of(device, INTX))
		return;
	line_off(device);
	line_trigger(device);
	line_masks(device);
	EXPECT(-EINVAL, set_bools(device, TRIGGER, INTX, 0, 1, 1));
	EXPECT(-EINVAL, set_fds(device, TRIGGER, INTX, 0, 0, -1, -1));
	for (u32 index = MSI; index <= MSIX; index++)
		EXPECT(-EINVAL, set_fd(device, index, new_event()));
	EXPECT(0, set_none(device, TRIGGER, INTX, 0, 0));
	line_off(device);
}

TEST(the_line_by_all_rows)
{
	with_each_device(line);
}

/* ---- MSI and MSI-X ---- */

static void messages_off(int device, u32 index, int event)
{
	EXPECT(-EINVAL, set_none(device, TRIGGER, index, 0, 0));
	EXPECT(-EINVAL, set_none(device, TRIGGER, index, 0, 1));
	EXPECT(-EINVAL, set_bools(device, TRIGGER, index, 0, 1, 1));
	EXPECT(-EINVAL, set_bools(device, TRIGGER, index, 1, 1, 1));
	EXPECT(-ERANGE, set_fds(device, TRIGGER, index, 0, 0, event, -1));
	for (u32 action = MASK; action <= UNMASK; action *= 2) {
		EXPECT(-ENOTTY, set_none(device, action, index, 0, 1));
		EXPECT(-ENOTTY, set_bools(device, action, index, 1, 1, 0));
		EXPECT(-ENOTTY, set_fds(device, action, index, 0, 1, event, -1));
	}
	EXPECT(-EBADF, set_fd(device, index, BAD));
	EXPECT(-EINVAL, set_fd(device, index, new_file(PAGE)));
}

/* A trigger of the first two: who of their events was told? */
static void expect_told(int device, u32 index, int first, int second, u64 one, u64 two)
{
	signals(first);
	signals(second);
	EXPECT(0, set_none(device, TRIGGER, index, 0, 2));
	EXPECT_EQUAL(one, signals(first));
	EXPECT_EQUAL(two, signals(second));
}

static void pair_of_messages(int device, u32 index, int first, int second)
{
	EXPECT(0, set_fds(device, TRIGGER, index, 0, 2, first, second));
	expect_told(device, index, first, second, 1, 1);
	EXPECT(0, set_bools(device, TRIGGER, index, 2, 1, 0));
	EXPECT_EQUAL(1, signals(first));
	EXPECT_EQUAL(0, signals(second));
	EXPECT(0, set_bools(device, TRIGGER, index, 2, 0, 1));
	EXPECT_EQUAL(0, signals(first));
	EXPECT_EQUAL(1, signals(second));
	EXPECT(0, set_bools(device, TRIGGER, index, 0, 1, 1)); /* of none */
	EXPECT(0, set_fd(device, index, -1));
	expect_told(device, index, first, second, 0, 1);
	EXPECT(0, set_fds(device, TRIGGER, index, 0, 2, second, first));
	expect_told(device, index, first, second, 1, 1);
	/* A block that fails takes along what was there. */
	EXPECT(-EBADF, set_fds(device, TRIGGER, index, 0, 2, first, BAD));
	expect_told(device, index, first, second, 0, 0);
	EXPECT(0, set_fds(device, TRIGGER, index, 0, 2, first, second));
	EXPECT(-EBADF, set_fds(device, TRIGGER, index, 0, 2, BAD, second));
	expect_told(device, index, first, second, 0, 1); /* the second was not come to */
}

static void two_messages(int device, u32 index, u32 count, int first, int second)
{
	pair_of_messages(device, index, first, second);
	EXPECT(0, set_fds(device, TRIGGER, index, count - 1, 1, -1, -1));
	EXPECT(0, set_none(device, TRIGGER, index, 0, 0));
	EXPECT(-EBADF, set_fds(device, TRIGGER, index, 0, 2, first, BAD)); /* goes off again */
	messages_off(device, index, first);
	EXPECT(0, set_fds(device, TRIGGER, index, 1, 0, -1, -1)); /* one that nobody is told of */
	EXPECT(0, set_none(device, TRIGGER, index, 0, 0));
	EXPECT(0, set_fds(device, TRIGGER, index, 1, 1, second, -1));
	expect_told(device, index, first, second, 0, 1);
	EXPECT(0, set_none(device, TRIGGER, index, 0, 0));
}

static void grow(int device, u32 index, int first, int second)
{
	struct vfio_irq_info info;
	bool can = index == MSIX && info_of(device, index, &info) == 0 && !(info.flags & VFIO_IRQ_INFO_NORESIZE);

	EXPECT(0, set_fd(device, index, first));
	EXPECT(can ? 0 : -EINVAL, set_fds(device, TRIGGER, index, 1, 1, second, -1));
	expect_told(device, index, first, second, 1, can);
	EXPECT(0, set_none(device, TRIGGER, index, 0, 0));
}

static void messages(int device)
{
	int first = new_event(), second = new_event();

	for (u32 index = MSI; index <= MSIX; index++) {
		u32 count = vectors_of(device, index);

		if (!count)
			continue;
		about("index %u of %u vectors", index, count);
		messages_off(device, index, first);
		EXPECT(-EINVAL, set_fds(device, TRIGGER, index, count, 1, first, -1));
		EXPECT(-EINVAL, set_fds(device, TRIGGER, index, count, 0, first, -1));
		EXPECT(0, set_fd(device, index, -1)); /* on, with nobody to be told */
		EXPECT(0, set_fds(device, TRIGGER, index, 0, 0, first, -1));
		EXPECT(0, set_none(device, TRIGGER, index, 0, 1));
		for (u32 other = INTX; other <= MSIX; other++)
			if (other != index)
				EXPECT(-EINVAL, set_fd(device, other, first));
		EXPECT(0, set_none(device, TRIGGER, index, 0, 0));
		if (count < 2)
			continue;
		two_messages(device, index, count, first, second);
		grow(device, index, first, second);
	}
	about(NULL);
}

TEST(messages_by_all_rows)
{
	with_each_device(messages);
}

/* ---- ERR and REQ ---- */

static void notice(int device, u32 index)
{
	int first = new_event(), second = new_event();

	EXPECT(-EINVAL, set_none(device, TRIGGER, index, 0, 0));
	EXPECT(-EINVAL, set_none(device, TRIGGER, index, 0, 1));
	EXPECT(-EINVAL, set_bools(device, TRIGGER, index, 0, 1, 0));
	EXPECT(0, set_bools(device, TRIGGER, index, 1, 1, 0)); /* nobody is told, and that is fine */
	EXPECT(0, set_fd(device, index, -1));
	EXPECT(-EINVAL, set_fd(device, index, -2));
	EXPECT(-EBADF, set_fd(device, index, BAD));
	EXPECT(-EINVAL, set_fd(device, index, new_file(PAGE)));
	EXPECT(0, set_fd(device, index, first));
	EXPECT(-EINVAL, set_fds(device, TRIGGER, index, 0, 0, second, -1));
	EXPECT(-EBADF, set_fd(device, index, BAD)); /* the first stays */
	EXPECT(-EINVAL, set_fd(device, index, -2));
	EXPECT(0, set_none(device, TRIGGER, index, 0, 1));
	EXPECT_EQUAL(1, signals(first));
	EXPECT(0, set_fd(device, index, second));
	EXPECT(0, set_bools(device, TRIGGER, index, 1, 0, 1));
	EXPECT_EQUAL(0, signals(second));
	EXPECT(0, set_bools(device, TRIGGER, index, 1, 1, 0));
	EXPECT_EQUAL(0, signals(first));
	EXPECT_EQUAL(1, signals(second));
	EXPECT(0, set_fd(device, index, -1));
	EXPECT(-EINVAL, set_none(device, TRIGGER, index, 0, 1));
	EXPECT(0, set_fd(device, index, first));
	EXPECT(0, set_none(device, TRIGGER, index, 0, 0));
	EXPECT(-EINVAL, set_none(device, TRIGGER, index, 0, 0));
	EXPECT_EQUAL(0, signals(first));
}

static void notices(int device)
{
	for (u32 index = ERR; index <= REQ; index++) {
		about("index %u", index);
		if (vectors_of(device, index))
			notice(device, index);
	}
	about(NULL);
}

TEST(notices_by_all_rows)
{
	with_each_device(notices);
}

/* ---- what a device signals itself ---- */

/*
 * With its queues at QUEUES, and a page for what it tells of itself at NAMES. The interrupt comes first, as of any
 * driver: QEMU's controller asks for MSI-X when it is enabled.
 */
static struct nvme new_controller(u32 index, int event)
{
	struct names names = the_device();
	u8 *queues = memory(2 * PAGE), *page = memory(PAGE);
	int fd = iommu(), device = open_cdev(&names);
	u32 ioas = new_ioas(fd);

	WORKS(bind_cdev(device, fd));
	EXPECT(0, attach_cdev(device, &(u32){ioas}));
	EXPECT(0, map_at(fd, ioas, queues, 2 * PAGE, QUEUES));
	EXPECT(0, map_at(fd, ioas, page, PAGE, NAMES));
	EXPECT(0, set_fd(device, index, event));
	return start_nvme(device, queues, QUEUES);
}

enum { LONG = 60000, SHORT = 30 }; /* milliseconds */

TEST(a_completion_raises_the_line_once_until_it_is_unmasked)
{
	int event = new_event();
	struct nvme nvme = new_controller(INTX, event);

	identify_nvme(&nvme, NAMES);
	EXPECT_TRUE(is_signalled(event, LONG));
	identify_nvme(&nvme, NAMES);
	EXPECT_TRUE(!is_signalled(event, SHORT)); /* it masks itself */
	EXPECT(0, set_none(nvme.device, UNMASK, INTX, 0, 1));
	signals(event);
	/* Whether or not the line was still up, it is not masked for long. */
	EXPECT(0, set_none(nvme.device, UNMASK, INTX, 0, 1));
	identify_nvme(&nvme, NAMES);
	EXPECT_TRUE(is_signalled(event, LONG));
	EXPECT(0, set_none(nvme.device, TRIGGER, INTX, 0, 0));
	identify_nvme(&nvme, NAMES);
	EXPECT_TRUE(!is_signalled(event, SHORT));
	stop_nvme(&nvme);
}

TEST(completions_are_told_by_message)
{
	int event = new_event();
	struct nvme nvme = new_controller(MSIX, event);

	for (unsigned i = 0; i < 3; i++) {
		identify_nvme(&nvme, NAMES);
		EXPECT_TRUE(is_signalled(event, LONG));
	}
	EXPECT(0, set_none(nvme.device, TRIGGER, MSIX, 0, 0));
	identify_nvme(&nvme, NAMES);
	EXPECT_TRUE(!is_signalled(event, SHORT));
	stop_nvme(&nvme);
}

SUITE(irqs, CASE(each_kind_tells_what_it_can), CASE(what_all_kinds_have_in_common_is_looked_at_in_order),
      CASE(what_a_device_has_none_of_is_invalid), CASE(the_line_by_all_rows), CASE(messages_by_all_rows),
      CASE(notices_by_all_rows), CASE(a_completion_raises_the_line_once_until_it_is_unmasked),
      CASE(completions_are_told_by_message));
