/* SPDX-License-Identifier: MIT */
/* Configuration space as vfio-pci shows it, whatever the device is (spec 05 section 4), and its power states (5). */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/conform/vfio.h"

enum {
	VENDOR = 0x00,
	COMMAND = 0x04,
	STATUS = 0x06,
	CLASS = 0x0a,
	BAR0 = 0x10,
	ROM = 0x30,
	LIST = 0x34,
	LINE = 0x3c,
	PIN = 0x3d
};
enum { MEMORY = 2, MASTER = 4, INTX_OFF = 0x400, HAS_LIST = 0x10 };
enum { CAP_PM = 1, CAP_VPD = 3, CAP_MSI = 5, CAP_PCIE = 16, CAP_MSIX = 17 };

static u32 size_of_config(int device)
{
	return (u32)region_of(device, VFIO_PCI_CONFIG_REGION_INDEX).size;
}

static void reads(int device)
{
	u32 size = size_of_config(device);
	u8 whole[4096], part[64];

	EXPECT_TRUE(size == 256 || size == 4096);
	EXPECT(size, read_at(device, CONFIG, whole, size));
	for (u32 offset = 0; offset < 80; offset += 3)
		for (u32 count = 1; count < 40; count += 5) {
			EXPECT(count, read_at(device, CONFIG + offset, part, count));
			EXPECT_TRUE(memcmp(part, whole + offset, count) == 0);
		}
	EXPECT(0, read_at(device, CONFIG + size, part, 0));
	EXPECT(-EFAULT, read_at(device, CONFIG + size, part, 1));
	EXPECT(-EFAULT, read_at(device, CONFIG + size - 2, part, 4));
	EXPECT(-EFAULT, write_at(device, CONFIG + size - 2, part, 4));
	EXPECT(-EFAULT, read_at(device, CONFIG + (1ul << 39), part, 4));
}

TEST(reads_of_any_size_from_any_place)
{
	with_each_device(reads);
}

static void header(int device)
{
	u32 ids = get_config(device, VENDOR, 4), revision = get_config(device, 8, 4), pin = get_config(device, PIN, 1);
	u32 list = get_config(device, LIST, 1), status = get_config(device, STATUS, 2) & 0xfff7;

	set_config(device, VENDOR, 4, ~ids);
	EXPECT_EQUAL(ids, get_config(device, VENDOR, 4));
	set_config(device, 8, 4, ~revision);
	EXPECT_EQUAL(revision, get_config(device, 8, 4));
	set_config(device, PIN, 1, 4);
	EXPECT_EQUAL(pin, get_config(device, PIN, 1));
	set_config(device, LIST, 1, 0xf0);
	EXPECT_EQUAL(list, get_config(device, LIST, 1));
	set_config(device, STATUS, 2, 0xffff);
	EXPECT_EQUAL(status, get_config(device, STATUS, 2) & 0xfff7); /* but the line's level */
	set_config(device, LINE, 1, 0x5a);
	EXPECT_EQUAL(0x5a, get_config(device, LINE, 1));
}

TEST(the_header_tells_who_it_is_and_keeps_to_it)
{
	with_each_device(header);
}

static void command(int device)
{
	u32 found = get_config(device, COMMAND, 2);

	EXPECT_EQUAL(0, found & (MASTER | INTX_OFF));
	set_config(device, COMMAND, 2, found | MASTER | INTX_OFF);
	EXPECT_EQUAL(found | MASTER | INTX_OFF, get_config(device, COMMAND, 2));
	set_config(device, COMMAND + 1, 1, found >> 8);
	EXPECT_EQUAL(found | MASTER, get_config(device, COMMAND, 2));
	set_config(device, COMMAND, 2, found);
	EXPECT_EQUAL(found, get_config(device, COMMAND, 2));
}

TEST(the_bus_is_mastered_when_the_program_says_so)
{
	with_each_device(command);
}

/* The first register of each BAR; what stands behind a 64-bit one is its upper half. */
static void size_bars(int device)
{
	for (u32 bar = 0; bar < 6; bar++) {
		u64 size = region_of(device, bar).size;
		u32 before = get_config(device, BAR0 + 4 * bar, 4), upper, flags = before & (before & 1 ? 3 : 15);

		about("BAR %u of %#lx bytes", bar, (long)size);
		set_config(device, BAR0 + 4 * bar, 4, ~0u);
		EXPECT_EQUAL(size ? ((u32)-size & ~flags) | flags : 0, get_config(device, BAR0 + 4 * bar, 4));
		set_config(device, BAR0 + 4 * bar, 4, before);
		EXPECT_EQUAL(before, get_config(device, BAR0 + 4 * bar, 4));
		if (!size || flags & 1 || !(flags & 4))
			continue;
		bar++;
		EXPECT_EQUAL(0, region_of(device, bar).size);
		upper = get_config(device, BAR0 + 4 * bar, 4);
		set_config(device, BAR0 + 4 * bar, 4, ~0u);
		EXPECT_EQUAL((u32)(-size >> 32), get_config(device, BAR0 + 4 * bar, 4));
		set_config(device, BAR0 + 4 * bar, 4, upper);
	}
	about(NULL);
}

TEST(bars_are_sized_by_writing_ones)
{
	with_each_device(size_bars);
}

static void size_rom(int device)
{
	u64 size = region_of(device, VFIO_PCI_ROM_REGION_INDEX).size;
	u32 before = get_config(device, ROM, 4);

	set_config(device, ROM, 4, 0xfffff800);
	if (size)
		EXPECT_EQUAL((u32)-size, get_config(device, ROM, 4));
	set_config(device, ROM, 4, 1);
	EXPECT_EQUAL(size ? 1 : get_config(device, ROM, 4) & 1, get_config(device, ROM, 4));
	set_config(device, ROM, 4, before);
}

TEST(the_rom_too)
{
	with_each_device(size_rom);
}

static bool is_among(u32 id, const u8 *ids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

static void walk(int device)
{
	static const u8 known[] = {1, 2, 3, 5, 7, 8, 9, 16, 17, 18, 19};
	u32 at = get_config(device, LIST, 1), steps = 0;

	EXPECT_EQUAL(at != 0, (get_config(device, STATUS, 2) & HAS_LIST) != 0);
	for (; at; at = get_config(device, at + 1, 1)) {
		u32 head = get_config(device, at, 2);

		about("capability %#x at %#x", head & 0xff, at);
		EXPECT_TRUE(++steps < 48);
		EXPECT_TRUE(is_among(head & 0xff, known, sizeof(known)));
		set_config(device, at, 2, (u16)~head);
		EXPECT_EQUAL(head, get_config(device, at, 2));
	}
	about(NULL);
}

TEST(the_list_has_only_what_is_known)
{
	with_each_device(walk);
}

static void walk_extended(int device)
{
	static const u8 known[] = {1, 2, 3, 4, 8, 9, 11, 13, 14, 15, 16, 18, 19, 21, 22, 23, 24, 35};
	u32 steps = 0, at = 0x100;

	if (size_of_config(device) == 256)
		return;
	while (at) {
		u32 head = get_config(device, at, 4);

		about("extended capability %#x at %#x", head & 0xffff, at);
		EXPECT_TRUE(++steps < 480);
		/* The first may be one without an id, for want of a way around it. */
		EXPECT_TRUE(is_among(head & 0xffff, known, sizeof(known)) || (at == 0x100 && !(head & 0xfffff)));
		set_config(device, at, 4, ~head);
		EXPECT_EQUAL(head, get_config(device, at, 4));
		at = head >> 20;
	}
	about(NULL);
}

TEST(so_has_the_list_of_extended_ones)
{
	with_each_device(walk_extended);
}

static u32 find(int device, u32 id)
{
	u32 at = get_config(device, LIST, 1);

	while (at && get_config(device, at, 1) != id)
		at = get_config(device, at + 1, 1);
	return at;
}

/* Not one that begins with the table of MSI-X: that is never read. */
static bool is_memory(int device, u32 bar)
{
	u32 msix = find(device, CAP_MSIX), table = msix ? get_config(device, msix + 4, 4) : ~0u;

	return region_of(device, bar).size && bar != table && !(get_config(device, BAR0 + 4 * bar, 4) & 1);
}

/* What a read of four bytes of the first memory BAR answers; 4 when there is none. */
static answer read_memory_bar(int device)
{
	u32 value;

	for (u32 bar = 0; bar < 6; bar++)
		if (is_memory(device, bar))
			return read_at(device, (u64)bar << 40, &value, 4);
	return 4;
}

static bool has_memory(int device)
{
	for (u32 bar = 0; bar < 6; bar++)
		if (is_memory(device, bar))
			return true;
	return false;
}

static void memory_off(int device)
{
	u32 command = get_config(device, COMMAND, 2), value;

	if (!has_memory(device))
		return;
	EXPECT(4, read_memory_bar(device));
	set_config(device, COMMAND, 2, command & ~(u32)MEMORY);
	EXPECT(-EIO, read_memory_bar(device));
	/* Not a copy that firmware left, nor the one that x86 keeps of a display controller's: that can be looked at.
	 */
	if (region_of(device, VFIO_PCI_ROM_REGION_INDEX).size && get_config(device, ROM, 4) > 1)
		EXPECT(get_config(device, CLASS, 2) == 0x0300 ? -EIO : -ENOMEM,
		       read_at(device, (u64)VFIO_PCI_ROM_REGION_INDEX << 40, &value, 4));
	set_config(device, COMMAND, 2, command);
	EXPECT(4, read_memory_bar(device));
}

TEST(without_memory_decoding_nothing_answers)
{
	with_each_device(memory_off);
}

static void sleep_and_wake(int device)
{
	u32 at = find(device, CAP_PM), ids = get_config(device, VENDOR, 4), command = get_config(device, COMMAND, 2);

	if (!at)
		return;
	EXPECT_EQUAL(0, get_config(device, at + 2, 2) & 0xf800);
	set_config(device, at + 4, 2, get_config(device, at + 4, 2) | 0x8103);
	EXPECT_EQUAL(3, get_config(device, at + 4, 2) & 0x8103);
	if (has_memory(device))
		EXPECT(-EIO, read_memory_bar(device));
	EXPECT_EQUAL(ids, get_config(device, VENDOR, 4));
	set_config(device, at + 4, 1, get_config(device, at + 4, 1) & ~3u);
	EXPECT_EQUAL(0, get_config(device, at + 4, 2) & 0x8103);
	EXPECT_EQUAL(command, get_config(device, COMMAND, 2));
	if (has_memory(device))
		EXPECT(4, read_memory_bar(device));
}

TEST(asleep_only_configuration_space_answers)
{
	with_each_device(sleep_and_wake);
}

/* That many vectors, none of them with an eventfd; 0: off. What is positive is how many the host has. */
static answer use_messages(int device, u32 vectors)
{
	struct {
		struct vfio_irq_set head;
		int32_t fd;
	} request = {{sizeof(request), VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_MSI_IRQ_INDEX, 0, 0}, -1};

	request.head.flags |= vectors ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE;
	request.head.start = vectors ? vectors - 1 : 0;
	request.head.count = vectors != 0;
	return ask(device, VFIO_DEVICE_SET_IRQS, &request);
}

/* Vectors and the bit that enables: both are as SET_IRQS has them, the first also as it last had them. */
static void expect_messages(int device, u32 at, u32 bits)
{
	set_config(device, at + 2, 2, get_config(device, at + 2, 2) | 0x71);
	EXPECT_EQUAL(bits, get_config(device, at + 2, 2) & 0x71);
}

static void messages(int device)
{
	u32 at = find(device, CAP_MSI);

	if (!at)
		return;
	EXPECT(0, use_messages(device, 1));
	expect_messages(device, at, 0x01);
	EXPECT(0, use_messages(device, 0));
	expect_messages(device, at, 0);
	if (get_config(device, at + 2, 2) & 0x0e && use_messages(device, 2) == 0) {
		expect_messages(device, at, 0x11);
		EXPECT(0, use_messages(device, 0));
		expect_messages(device, at, 0x10);
	}
	set_config(device, at + 4, 4, 0xfee0000c);
	EXPECT_EQUAL(0xfee0000c, get_config(device, at + 4, 4));
	set_config(device, at + 2, 2, 0);
}

TEST(messages_are_not_enabled_by_their_register)
{
	with_each_device(messages);
}

static void reset_by_register(int device)
{
	u32 at = find(device, CAP_PCIE), command = get_config(device, COMMAND, 2), control;

	if (!at)
		return;
	control = get_config(device, at + 8, 2);
	EXPECT_EQUAL(0, control & 0x8000);
	set_config(device, at + 8, 2, control | 0x8000);
	EXPECT_EQUAL(control, get_config(device, at + 8, 2));
	EXPECT_EQUAL(command, get_config(device, COMMAND, 2));
	/* The payload is the program's to remember; it does not reach the device. */
	set_config(device, at + 8, 2, (control & ~0xe0u) | 0x20);
	EXPECT_EQUAL(0x20, get_config(device, at + 8, 2) & 0xe0);
	set_config(device, at + 8, 2, control);
}

TEST(a_reset_by_register_reads_as_zero)
{
	with_each_device(reset_by_register);
}

static void product_data(int device)
{
	u32 at = find(device, CAP_VPD), first;

	if (!at)
		return;
	set_config(device, at + 2, 2, 0);
	if (!(get_config(device, at + 2, 2) & 0x8000))
		return; /* it has the registers, and nothing in them */
	first = get_config(device, at + 4, 4);
	set_config(device, at + 2, 2, 2);
	EXPECT_EQUAL(first >> 16, get_config(device, at + 4, 4) & 0xffff);
	set_config(device, at + 2, 2, 0x8002);
	EXPECT_EQUAL(0x8002, get_config(device, at + 2, 2));
}

/* The device's own register, which sysfs shows. */
static u32 control_of(const struct names *names, u32 at)
{
	char path[64];
	u16 control = 0;
	int config;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.16s/config", names->bdf);
	config = watch(open_answer(path, O_RDONLY));
	EXPECT_EQUAL(2, pread(config, &control, sizeof(control), at + 8));
	drop(config);
	return control;
}

static void ask_for_reads(int device, const struct names *names, u32 at, u32 size)
{
	u32 before = control_of(names, at), payload = before >> 5 & 7, expected = size < payload ? payload : size;

	about("size %u, of packets %u", size, payload);
	set_config(device, at + 8, 2, (get_config(device, at + 8, 2) & ~0x7000u) | size << 12);
	EXPECT_EQUAL(size, get_config(device, at + 8, 2) >> 12 & 7);
	EXPECT_EQUAL(expected > 5 ? before : (before & ~0x7000u) | expected << 12, control_of(names, at));
	about(NULL);
}

/* What the program asks for and no less than a packet, if there is such a size (pci.c:pcie_set_readrq()). */
TEST(the_size_of_reads_reaches_the_device_and_that_of_packets_does_not)
{
	struct names names = the_device();
	int device = open_cdev(&names);
	u32 at, before;

	WORKS(bind_cdev(device, iommu()));
	at = find(device, CAP_PCIE);
	EXPECT_TRUE(at);
	before = control_of(&names, at);
	set_config(device, at + 8, 2, (before ^ 0x1000) & ~0x8000u);
	if (control_of(&names, at) == before)
		skip("%s reads by packets of one size only", names.bdf);
	for (u32 size = 0; size < 8; size++)
		ask_for_reads(device, &names, at, size);
	before = control_of(&names, at);
	set_config(device, at + 8, 2, (get_config(device, at + 8, 2) & ~0xe0u) | 0x60);
	EXPECT_EQUAL(0x60, get_config(device, at + 8, 2) & 0xe0);
	EXPECT_EQUAL(before, control_of(&names, at));
}

TEST(product_data_come_by_dwords_from_any_byte)
{
	with_each_device(product_data);
}

SUITE(config, CASE(reads_of_any_size_from_any_place), CASE(the_header_tells_who_it_is_and_keeps_to_it),
      CASE(the_bus_is_mastered_when_the_program_says_so), CASE(bars_are_sized_by_writing_ones), CASE(the_rom_too),
      CASE(the_list_has_only_what_is_known), CASE(so_has_the_list_of_extended_ones),
      CASE(without_memory_decoding_nothing_answers), CASE(asleep_only_configuration_space_answers),
      CASE(messages_are_not_enabled_by_their_register), CASE(a_reset_by_register_reads_as_zero),
      CASE(the_size_of_reads_reaches_the_device_and_that_of_packets_does_not),
      CASE(product_data_come_by_dwords_from_any_byte));
