/* SPDX-License-Identifier: MIT */
/* Regions, interrupts, ioeventfds and the reset of a device, whatever it is (spec 05 sections 2, 3, 6, 7 and 10). */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conform/vfio.h"

enum { RW_FLAGS = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE };

static answer ask_region(int device, u32 argsz, u32 index)
{
	struct vfio_region_info info = {.argsz = argsz, .index = index};

	return ask(device, VFIO_DEVICE_GET_REGION_INFO, &info);
}

static void describe(int device)
{
	struct vfio_device_info info = {.argsz = 15};

	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_GET_INFO, &info));
	info.argsz = 16;
	EXPECT(0, ask(device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQUAL(VFIO_DEVICE_FLAGS_PCI, info.flags & ~(u32)(VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_CAPS));
	EXPECT_EQUAL(9, info.num_regions);
	EXPECT_EQUAL(5, info.num_irqs);
	EXPECT(-EINVAL, ask_region(device, 31, 0));
	EXPECT(-EINVAL, ask_region(device, 32, 9));
	EXPECT(-EINVAL, ask_region(device, 32, ~0u));
	for (u32 index = 0; index < 8; index++) {
		struct vfio_region_info region = region_of(device, index);

		about("region %u", index);
		EXPECT_EQUAL((u64)index << 40, region.offset);
		if (index == VFIO_PCI_ROM_REGION_INDEX)
			EXPECT_EQUAL(region.size ? VFIO_REGION_INFO_FLAG_READ : 0, region.flags);
		else
			EXPECT_EQUAL(region.size ? RW_FLAGS : 0, region.flags & RW_FLAGS);
		EXPECT_EQUAL(0, region.size & (region.size - 1));
	}
	about(NULL);
}

TEST(what_there_is_to_read_and_write)
{
	with_each_device(describe);
}

/* ---- how much there would be to tell ---- */

/* A structure of `whole` bytes, of which `min` must be taken, with capabilities behind it. */
static const struct told {
	unsigned long request;
	u32 min, whole, offset_at, caps;
} told_device = {VFIO_DEVICE_GET_INFO, 16, 24, 16, VFIO_DEVICE_FLAGS_CAPS},
  told_region = {VFIO_DEVICE_GET_REGION_INFO, 32, 32, 12, VFIO_REGION_INFO_FLAG_CAPS};

static u32 ask_told(int device, const struct told *told, u32 index, u32 argsz, u32 words[static 128])
{
	memset(words, 0xaa, 128 * sizeof(u32));
	words[0] = argsz;
	words[2] = index;
	EXPECT(0, ask(device, told->request, words));
	return words[0];
}

static void expect_chain(const u32 *words, const struct told *told, u32 size)
{
	u32 at = words[told->offset_at / 4], caps = 0;

	EXPECT_EQUAL(told->whole, at);
	for (; at; caps++) {
		const struct vfio_info_cap_header *header = (const void *)((const u8 *)words + at);

		EXPECT_TRUE(at % 8 == 0 && at + sizeof(*header) <= size);
		EXPECT_TRUE(header->id && header->version);
		EXPECT_TRUE(!header->next || header->next > at);
		at = header->next;
	}
	EXPECT_TRUE(caps > 0);
}

/* Whether there was more to tell than the structure. */
static bool tell_more(int device, const struct told *told, u32 index)
{
	u32 words[128], needed = ask_told(device, told, index, told->min, words);

	if (!(words[1] & told->caps)) {
		EXPECT_EQUAL(told->min, needed);
		return false;
	}
	EXPECT_TRUE(needed > told->whole && needed < sizeof(words));
	EXPECT_EQUAL(0xaaaaaaaa, words[told->whole / 4]);
	if (told->min <= told->offset_at)
		EXPECT_EQUAL(0xaaaaaaaa, words[told->offset_at / 4]); /* beyond what was asked for */
	for (u32 argsz = told->whole; argsz < needed; argsz++) {
		EXPECT_EQUAL(needed, ask_told(device, told, index, argsz, words));
		EXPECT_EQUAL(0, words[told->offset_at / 4]);
		EXPECT_TRUE(words[1] & told->caps);
		EXPECT_EQUAL(0xaaaaaaaa, words[told->whole / 4]);
	}
	EXPECT_EQUAL(needed, ask_told(device, told, index, needed, words));
	expect_chain(words, told, needed);
	EXPECT_EQUAL(sizeof(words),
		     ask_told(device, told, index, sizeof(words), words)); /* not a byte more is written */
	expect_chain(words, told, needed);
	EXPECT_EQUAL(0xaaaaaaaa, words[needed / 4]);
	return true;
}

static u32 told_more[2]; /* devices, regions */

static void tell_by_and_by(int device)
{
	told_more[0] += tell_more(device, &told_device, 0);
	for (u32 index = 0; index < 8; index++) {
		about("region %u", index);
		told_more[1] += tell_more(device, &told_region, index);
	}
	about(NULL);
}

TEST(what_there_is_no_room_for_is_told_by_its_size)
{
	memset(told_more, 0, sizeof(told_more));
	with_each_device(tell_by_and_by);
	if (!told_more[0] || !told_more[1])
		skip("no device completes AtomicOps, or none has MSI-X");
}

static void ends(int device)
{
	u8 buffer[16];

	for (u32 index = 0; index < 6; index++) {
		u64 size = region_of(device, index).size, start = (u64)index << 40;

		about("BAR %u", index);
		EXPECT(0, read_at(device, start + size, buffer, 0));
		EXPECT(-EINVAL, read_at(device, start + size, buffer, 4));
		EXPECT(-EINVAL, write_at(device, start + size, buffer, 4));
		EXPECT(-EINVAL, read_at(device, start + (1ul << 39), buffer, 4));
		if (size)
			EXPECT(4, read_at(device, start + size - 4, buffer, 8));
	}
	about(NULL);
	EXPECT(-EINVAL, read_at(device, 9ul << 40, buffer, 4));
	EXPECT(-EINVAL, write_at(device, 9ul << 40, buffer, 4));
	EXPECT(0, read_at(device, 9ul << 40, buffer, 0));
}

TEST(accesses_end_where_the_region_does)
{
	with_each_device(ends);
}

/* There may be one all the same, without an image. */
static void read_blank_rom(int device, u64 start)
{
	u32 before = get_config(device, 0x30, 4), command = get_config(device, 4, 2), value;
	bool blank;

	set_config(device, 0x30, 4, ~0u);
	blank = get_config(device, 0x30, 4);
	set_config(device, 0x30, 4, before);
	EXPECT(blank ? -ENOMEM : -EINVAL, read_at(device, start, &value, 4));
	set_config(device, 4, 2, command & ~2u);
	EXPECT(blank ? -ENOMEM : -EINVAL, read_at(device, start, &value, 4));
	set_config(device, 4, 2, command);
}

static void read_rom(int device)
{
	u64 size = region_of(device, VFIO_PCI_ROM_REGION_INDEX).size, start = (u64)VFIO_PCI_ROM_REGION_INDEX << 40;
	u8 buffer[16];

	EXPECT(-EINVAL, write_at(device, start, buffer, 4));
	EXPECT(-EINVAL, read_at(device, start + (1ul << 39), buffer, 4));
	if (!size) {
		read_blank_rom(device, start);
		return;
	}
	EXPECT(16, read_at(device, start, buffer, 16));
	EXPECT_TRUE(buffer[0] == 0x55 && buffer[1] == 0xaa);
	EXPECT(2, read_at(device, start + size - 2, buffer, 16));
	EXPECT(-EINVAL, read_at(device, start + size, buffer, 1));
}

TEST(a_rom_can_only_be_read)
{
	with_each_device(read_rom);
}

static void vga(int device)
{
	static const struct {
		u64 offset, size;
		answer answer;
	} table[] = {
		{0xa0000, 4, 4},     {0xbfffe, 4, 2}, {0xc0000, 4, -EINVAL}, {0x3b0, 16, 12},
		{0x3bc, 1, -EINVAL}, {0x3c0, 64, 32}, {0x3e0, 1, -EINVAL},   {0, 4, -EINVAL},
	};
	bool there = ask_region(device, 32, VFIO_PCI_VGA_REGION_INDEX) == 0;
	u8 buffer[64];

	if (!there)
		EXPECT(-EINVAL, ask_region(device, 32, VFIO_PCI_VGA_REGION_INDEX));
	FOR_EACH(row, table)
	EXPECT(there ? row->answer : -EINVAL, read_at(device, (8ul << 40) + row->offset, buffer, row->size));
}

TEST(vga_is_for_display_controllers)
{
	with_each_device(vga);
}

static answer map(int device, u64 offset, u64 size, int flags)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, device, (off_t)offset);

	if (at == MAP_FAILED)
		return -errno;
	munmap(at, size);
	return 0;
}

static void maps(int device)
{
	for (u32 index = 0; index < 9; index++) {
		u64 start = (u64)index << 40, size, whole;
		bool can;

		if (index == VFIO_PCI_VGA_REGION_INDEX && ask_region(device, 32, index) != 0)
			continue;
		about("region %u", index);
		size = region_of(device, index).size;
		can = region_of(device, index).flags & VFIO_REGION_INFO_FLAG_MMAP;
		whole = can ? (size + PAGE - 1) & ~(PAGE - 1) : PAGE;
		EXPECT(can ? 0 : -EINVAL, map(device, start, whole, MAP_SHARED));
		EXPECT(-EINVAL, map(device, start, whole, MAP_PRIVATE));
		EXPECT(-EINVAL, map(device, start, whole + PAGE, MAP_SHARED));
		EXPECT(-EINVAL, map(device, start + whole, PAGE, MAP_SHARED));
	}
	about(NULL);
	EXPECT(-EINVAL, map(device, 9ul << 40, PAGE, MAP_SHARED));
}

TEST(bars_of_whole_pages_can_be_mapped_shared)
{
	with_each_device(maps);
}

/* The table itself is not to be read by this way; what lies beside it is. */
static void msix_window(int device)
{
	u32 at = get_config(device, 0x34, 1), table, count, command;
	u64 start, value = 0;

	while (at && get_config(device, at, 1) != 17)
		at = get_config(device, at + 1, 1);
	if (!at)
		return;
	count = (get_config(device, at + 2, 2) & 0x7ff) + 1;
	table = get_config(device, at + 4, 4);
	start = ((u64)(table & 7) << 40) + (table & ~7u);
	EXPECT(8, read_at(device, start, &value, 8));
	EXPECT_EQUAL(TOP, value);
	EXPECT(8, read_at(device, start + 16 * count - 8, &value, 8));
	EXPECT_EQUAL(TOP, value);
	value = 0;
	EXPECT(8, write_at(device, start, &value, 8));
	/* Nothing is read, so memory need not be decoded. */
	command = get_config(device, 4, 2);
	set_config(device, 4, 2, command & ~2u);
	EXPECT(8, read_at(device, start, &value, 8));
	EXPECT_EQUAL(TOP, value);
	EXPECT(8, write_at(device, start, &value, 8));
	set_config(device, 4, 2, command);
}

TEST(the_table_of_msi_x_reads_as_ones)
{
	with_each_device(msix_window);
}

/* ---- mapped registers ---- */

static sigjmp_buf bus_error;
static volatile sig_atomic_t expecting;

static void jump(int number)
{
	if (expecting)
		siglongjmp(bus_error, 1);
	signal(number, SIG_DFL); /* the load is made again, and ends the test */
}

/* Before a device is opened: with the machine inside, that puts its own handler before ours. */
static void catch_bus_errors(void)
{
	struct sigaction catch = {.sa_handler = jump, .sa_flags = SA_NODEFER};

	sigaction(SIGBUS, &catch, NULL);
}

/* Does a load from there end in SIGBUS? */
static bool faults(const volatile u32 *at)
{
	volatile bool fault = true;

	expecting = true;
	if (sigsetjmp(bus_error, 1) == 0) {
		(void)*at;
		fault = false;
	}
	expecting = false;
	return fault;
}

static answer feature(int device, u32 id)
{
	struct vfio_device_feature request = {.argsz = sizeof(request), .flags = id | VFIO_DEVICE_FEATURE_SET};

	return ask(device, VFIO_DEVICE_FEATURE, &request);
}

static answer enter_with_wakeup(int device, int event)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_low_power_entry_with_wakeup entry;
	} request = {
		.head = {sizeof(request), VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP | VFIO_DEVICE_FEATURE_SET},
		.entry.wakeup_eventfd = event};

	return ask(device, VFIO_DEVICE_FEATURE, &request);
}

/*
 * Until it is left, whatever else is asked meanwhile. Whether the kind with a wake-up has ended at the first access
 * depends on how fast Linux lets the device sleep; leaving it ends it in any case.
 */
static void low_power(int device, const volatile u32 *at)
{
	int event = watch(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));

	EXPECT(0, feature(device, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY));
	EXPECT_TRUE(faults(at));
	get_config(device, 0, 4);
	EXPECT_TRUE(faults(at));
	EXPECT(-EINVAL, feature(device, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY));
	EXPECT_TRUE(faults(at));
	EXPECT(0, feature(device, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT));
	EXPECT_TRUE(!faults(at));
	EXPECT(0, feature(device, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT));
	EXPECT(-EINVAL, enter_with_wakeup(device, -1));
	EXPECT(-EBADF, enter_with_wakeup(device, 999));
	EXPECT_TRUE(!faults(at));
	EXPECT(0, enter_with_wakeup(device, event));
	EXPECT_TRUE(faults(at));
	EXPECT(0, feature(device, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT));
	EXPECT_TRUE(!faults(at));
}

/* Where program and device both have the registers as memory, and where each access is the device's to answer. */
static void take_back_page(int device, u64 offset)
{
	u32 command = get_config(device, 4, 2), pm = get_config(device, 0x34, 1);
	volatile u32 *at;

	while (pm && get_config(device, pm, 1) != 1)
		pm = get_config(device, pm + 1, 1);
	at = mapped(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)offset), PAGE);
	EXPECT_TRUE(!faults(at));
	set_config(device, 4, 2, command & ~2u);
	EXPECT_TRUE(faults(at));
	set_config(device, 4, 2, command);
	EXPECT_TRUE(!faults(at));
	if (pm) {
		set_config(device, pm + 4, 2, 3);
		EXPECT_TRUE(faults(at));
		set_config(device, pm + 4, 2, 0);
		EXPECT_TRUE(!faults(at));
	}
	low_power(device, at);
	ask(device, VFIO_DEVICE_RESET, NULL);
	EXPECT_TRUE(!faults(at));
	unmap_mapped((void *)(uintptr_t)at);
}

static void take_back(int device)
{
	u32 bar = 0;

	while (bar < 6 && !(region_of(device, bar).flags & VFIO_REGION_INFO_FLAG_MMAP))
		bar++;
	if (bar == 6)
		return;
	for (u64 page = 0; page < region_of(device, bar).size && page < 4 * PAGE; page += PAGE)
		take_back_page(device, ((u64)bar << 40) + page);
}

TEST(mapped_registers_go_while_nothing_answers)
{
	catch_bus_errors();
	with_each_device(take_back);
}

static void reset(int device)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};

	EXPECT(0, ask(device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT(info.flags & VFIO_DEVICE_FLAGS_RESET ? 0 : -EINVAL, ask(device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQUAL(0, get_config(device, 4, 2) & 4);
}

TEST(a_reset_is_done_if_it_is_offered)
{
	with_each_device(reset);
}

/* ---- interrupts ---- */

static u32 vectors_of(int device, u32 index)
{
	struct vfio_irq_info info = {.argsz = sizeof(info), .index = index};

	return ask(device, VFIO_DEVICE_GET_IRQ_INFO, &info) == 0 ? info.count : 0;
}

static void irqs(int device)
{
	struct vfio_irq_info info = {.argsz = 15};

	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_GET_IRQ_INFO, &info));
	info = (struct vfio_irq_info){.argsz = 16, .index = 5};
	EXPECT(-EINVAL, ask(device, VFIO_DEVICE_GET_IRQ_INFO, &info));
	EXPECT_EQUAL(get_config(device, 0x3d, 1) != 0, vectors_of(device, VFIO_PCI_INTX_IRQ_INDEX));
	EXPECT_EQUAL(1, vectors_of(device, VFIO_PCI_REQ_IRQ_INDEX));
}

TEST(interrupts_and_how_many)
{
	with_each_device(irqs);
}

enum { NONE = 1, BOOL = 2, FD = 4, MASK = 8, UNMASK = 16, TRIGGER = 32 };

static answer set_irqs(int device, u32 flags, u32 index, u32 start, u32 count, int32_t data)
{
	struct {
		struct vfio_irq_set head;
		int32_t fds[4];
	} request = {
		.head = {.argsz = sizeof(request), .flags = flags, .index = index, .start = start, .count = count}};

	for (unsigned i = 0; i < COUNT(request.fds); i++)
		request.fds[i] = data;
	return ask(device, VFIO_DEVICE_SET_IRQS, &request);
}

static u64 signals(int fd)
{
	u64 value = 0;

	return read(fd, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

static void line(int device)
{
	int event = watch(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));

	if (!vectors_of(device, VFIO_PCI_INTX_IRQ_INDEX)) {
		EXPECT(-EINVAL, set_irqs(device, FD | TRIGGER, 0, 0, 1, event));
		EXPECT(-EINVAL, set_irqs(device, NONE | TRIGGER, 0, 0, 0, 0));
		return;
	}
	EXPECT(-EINVAL, set_irqs(device, NONE | TRIGGER, 0, 0, 0, 0));
	EXPECT(-EINVAL, set_irqs(device, NONE | TRIGGER, 0, 0, 1, 0));
	EXPECT(-EINVAL, set_irqs(device, NONE | MASK, 0, 0, 1, 0));
	EXPECT(-EBADF, set_irqs(device, FD | TRIGGER, 0, 0, 1, 999));
	EXPECT(0, set_irqs(device, FD | TRIGGER, 0, 0, 1, event));
	signals(event);
	EXPECT(0, set_irqs(device, NONE | TRIGGER, 0, 0, 1, 0));
	EXPECT_EQUAL(1, signals(event));
	EXPECT(0, set_irqs(device, BOOL | TRIGGER, 0, 0, 1, 0));
	EXPECT_EQUAL(0, signals(event));
	EXPECT(-ENOTTY, set_irqs(device, FD | MASK, 0, 0, 1, event));
	EXPECT(0, set_irqs(device, NONE | MASK, 0, 0, 1, 0));
	EXPECT(0, set_irqs(device, FD | UNMASK, 0, 0, 1, event));
	EXPECT(-EBUSY, set_irqs(device, FD | UNMASK, 0, 0, 1, event));
	EXPECT(0, set_irqs(device, FD | UNMASK, 0, 0, 1, -1));
	EXPECT(0, set_irqs(device, NONE | UNMASK, 0, 0, 1, 0));
	/* COMMAND is above all. */
	set_config(device, 4, 2, get_config(device, 4, 2) | 0x400);
	EXPECT(0, set_irqs(device, NONE | TRIGGER, 0, 0, 1, 0));
	EXPECT_EQUAL(0, signals(event));
	set_config(device, 4, 2, get_config(device, 4, 2) & ~0x400u);
	EXPECT(-EINVAL, set_irqs(device, FD | TRIGGER, 0, 0, 0, event));
	EXPECT(0, set_irqs(device, FD | TRIGGER, 0, 0, 1, -1));
	EXPECT(0, set_irqs(device, NONE | TRIGGER, 0, 0, 0, 0));
	EXPECT(-EINVAL, set_irqs(device, NONE | TRIGGER, 0, 0, 0, 0));
}

TEST(the_line_of_a_device)
{
	with_each_device(line);
}

static void messages(int device)
{
	int event = watch(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));

	for (u32 index = 1; index <= 2; index++) {
		u32 n = vectors_of(device, index);

		about("index %u of %u vectors", index, n);
		if (!n) {
			EXPECT(-EINVAL, set_irqs(device, FD | TRIGGER, index, 0, 1, event));
			continue;
		}
		EXPECT(-ENOTTY, set_irqs(device, NONE | MASK, index, 0, 1, 0));
		EXPECT(-EINVAL, set_irqs(device, NONE | TRIGGER, index, 0, 1, 0));
		EXPECT(-ERANGE, set_irqs(device, FD | TRIGGER, index, 0, 0, event));
		EXPECT(-EINVAL, set_irqs(device, FD | TRIGGER, index, 0, n + 1, event));
		EXPECT(-EBADF, set_irqs(device, FD | TRIGGER, index, 0, 1, 999));
		EXPECT(0, set_irqs(device, FD | TRIGGER, index, 0, 1, event));
		EXPECT(-EINVAL, set_irqs(device, FD | TRIGGER, 3 - index, 0, 1, event));
		EXPECT(0, set_irqs(device, NONE | TRIGGER, index, 0, 1, 0));
		EXPECT_EQUAL(1, signals(event));
		EXPECT(0, set_irqs(device, FD | TRIGGER, index, 0, 0, event));
		if (n > 2) /* MSI does not grow, MSI-X does */
			EXPECT(index == 2 ? 0 : -EINVAL, set_irqs(device, FD | TRIGGER, index, 2, 1, event));
		EXPECT(0, set_irqs(device, FD | TRIGGER, index, 0, 1, -1));
		EXPECT(0, set_irqs(device, NONE | TRIGGER, index, 0, 1, 0));
		EXPECT_EQUAL(0, signals(event));
		EXPECT(0, set_irqs(device, NONE | TRIGGER, index, 0, 0, 0));
		EXPECT(-EINVAL, set_irqs(device, NONE | TRIGGER, index, 0, 0, 0));
	}
	about(NULL);
}

TEST(messages_of_a_device)
{
	with_each_device(messages);
}

static void notices(int device)
{
	int event = watch(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));

	for (u32 index = 3; index <= 4; index++) {
		about("index %u", index);
		if (!vectors_of(device, index)) {
			EXPECT(-EINVAL, set_irqs(device, FD | TRIGGER, index, 0, 1, event));
			continue;
		}
		EXPECT(-ENOTTY, set_irqs(device, NONE | UNMASK, index, 0, 1, 0));
		EXPECT(-EINVAL, set_irqs(device, NONE | TRIGGER, index, 0, 1, 0));
		EXPECT(0, set_irqs(device, BOOL | TRIGGER, index, 0, 1, 1));
		EXPECT(-EINVAL, set_irqs(device, FD | TRIGGER, index, 0, 1, -2));
		EXPECT(-EINVAL, set_irqs(device, FD | TRIGGER, index, 0, 0, event));
		EXPECT(0, set_irqs(device, FD | TRIGGER, index, 0, 1, event));
		EXPECT(0, set_irqs(device, FD | TRIGGER, index, 0, 1, event));
		EXPECT(0, set_irqs(device, NONE | TRIGGER, index, 0, 1, 0));
		EXPECT_EQUAL(1, signals(event));
		EXPECT(0, set_irqs(device, BOOL | TRIGGER, index, 0, 1, 0x01010101));
		EXPECT_EQUAL(1, signals(event));
		EXPECT(0, set_irqs(device, NONE | TRIGGER, index, 0, 0, 0));
		EXPECT(-EINVAL, set_irqs(device, NONE | TRIGGER, index, 0, 0, 0));
	}
	about(NULL);
}

TEST(notices_of_errors_and_requests)
{
	with_each_device(notices);
}

/* ---- stores by eventfd ---- */

static answer store_by(int device, u64 offset, u64 data, u32 flags, int fd)
{
	struct vfio_device_ioeventfd request = {
		.argsz = sizeof(request), .flags = flags, .offset = offset, .data = data, .fd = fd};

	return ask(device, VFIO_DEVICE_IOEVENTFD, &request);
}

static void ioeventfds(int device)
{
	int event = watch(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	u32 bar = 0;
	u64 start;

	while (bar < 6 && (region_of(device, bar).size < 64 || get_config(device, 0x10 + 4 * bar, 4) & 1))
		bar++;
	if (bar == 6)
		return;
	/* At its end: there is no table of MSI-X on any of these. */
	start = ((u64)bar << 40) + region_of(device, bar).size;
	EXPECT(-EINVAL, store_by(device, start - 4, 1, 0, event));
	EXPECT(-EINVAL, store_by(device, start - 4, 1, 4 | 2, event));
	EXPECT(-EINVAL, store_by(device, start - 4, 1, 4 | 16, event));
	EXPECT(-EINVAL, store_by(device, start - 4, 1, 4, -2));
	EXPECT(-EINVAL, store_by(device, start - 2, 1, 4, event));
	EXPECT(-EINVAL, store_by(device, start - 8, 1, 8, event));
	EXPECT(-EINVAL, store_by(device, 7ul << 40, 1, 4, event));
	EXPECT(-ENODEV, store_by(device, start - 4, 1, 4, -1));
	EXPECT(-EBADF, store_by(device, start - 4, 1, 4, 999));
	EXPECT(0, store_by(device, start - 4, 1, 4, event));
	EXPECT(-EEXIST, store_by(device, start - 4, 1, 4, event));
	EXPECT(0, store_by(device, start - 4, 2, 4, event));
	EXPECT(0, store_by(device, start - 4, 1, 2, event));
	EXPECT(0, store_by(device, start - 4, 1, 4, -1));
	EXPECT(-ENODEV, store_by(device, start - 4, 1, 4, -1));
}

TEST(stores_by_eventfd)
{
	with_each_device(ioeventfds);
}

SUITE(regions, CASE(what_there_is_to_read_and_write), CASE(what_there_is_no_room_for_is_told_by_its_size),
      CASE(accesses_end_where_the_region_does), CASE(a_rom_can_only_be_read), CASE(vga_is_for_display_controllers),
      CASE(bars_of_whole_pages_can_be_mapped_shared), CASE(the_table_of_msi_x_reads_as_ones),
      CASE(mapped_registers_go_while_nothing_answers), CASE(a_reset_is_done_if_it_is_offered),
      CASE(interrupts_and_how_many), CASE(the_line_of_a_device), CASE(messages_of_a_device),
      CASE(notices_of_errors_and_requests), CASE(stores_by_eventfd));
