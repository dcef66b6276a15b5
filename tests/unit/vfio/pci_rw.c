/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "tests/fixtures/room.h"
#include "vfio/pci.h"

#define BAR(n) ((u64)(n) << 40)

/* A model that writes down what reaches it. */
struct seen {
	unsigned count, bar, width[64];
	u64 offset[64];
	u32 value;
};

static struct seen *seen_of(struct pci_function *function)
{
	return function->model;
}

static void note(struct pci_function *function, unsigned bar, u64 offset, unsigned width)
{
	struct seen *seen = seen_of(function);

	assert_true(seen->count < 64);
	seen->bar = bar;
	seen->offset[seen->count] = offset;
	seen->width[seen->count++] = width;
}

static u32 io_read(struct pci_function *function, unsigned bar, u64 offset, unsigned width)
{
	note(function, bar, offset, width);
	return 0xa0a0a0a0;
}

static void io_write(struct pci_function *function, unsigned bar, u64 offset, unsigned width, u32 value)
{
	note(function, bar, offset, width);
	seen_of(function)->value = value;
}

static const struct pci_model_ops model = {
	.name = "seen", .bar_written = note, .io_read = io_read, .io_write = io_write};

/* The second page of BAR 0 is precise; it answers with its own offsets. */
static enum pci_page_kind page_kind(const struct pci_function *function, unsigned bar, u64 page)
{
	return bar == 0 && page == 1 ? PCI_PAGE_PRECISE : PCI_PAGE_POLLED;
}

static bool access_precise(struct pci_function *function, struct pci_access *access)
{
	note(function, access->bar, access->offset, access->width);
	if (access->kind == PCI_ACCESS_STORE)
		seen_of(function)->value = get_u32(access->data);
	for (unsigned i = 0; access->kind == PCI_ACCESS_LOAD && i < access->width; i++)
		access->data[i] = (u8)(access->offset + i);
	return true;
}

static const struct pci_model_ops precise_model = {
	.name = "precise", .bar_written = note, .page_kind = page_kind, .access = access_precise};

static int open_seen(struct room *room, const char *name, struct seen *seen)
{
	struct pci_function *function = room_device(room, name)->function;

	function->ops = &model;
	function->model = seen;
	return room_open_device(room, name, VFIO_TYPE1_IOMMU).device;
}

static void expect_widths(struct seen *seen, unsigned count, const unsigned *widths)
{
	assert_int_equal(seen->count, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(seen->width[i], widths[i]);
	seen->count = 0;
}

TEST(pci_rw, accesses_are_split_into_aligned_units)
{
	struct room *room = room_new();
	struct seen seen = {};
	int device = open_seen(room, ROOM_NIC, &seen);
	u8 buffer[32];

	for (unsigned i = 0; i < sizeof(buffer); i++)
		buffer[i] = (u8)i;
	assert_int_equal(room_write(room, device, BAR(0) + 0x101, buffer, 18), 18);
	expect_widths(&seen, 6, (const unsigned[]){1, 2, 4, 8, 2, 1});
	expect_widths(&seen, 0, NULL);
	memset(buffer, 0, sizeof(buffer));
	assert_int_equal(room_read(room, device, BAR(0) + 0x101, buffer, 18), 18);
	for (unsigned i = 0; i < 18; i++)
		assert_int_equal(buffer[i], i);
	/* The model looks before each load as well. */
	assert_int_equal(seen.count, 6);
	room_free(room);
}

TEST(pci_rw, each_access_to_a_precise_page_reaches_the_model_alone)
{
	struct room *room = room_new();
	struct seen seen = {};
	int device = open_seen(room, ROOM_NIC, &seen);
	struct pci_function *function = room_device(room, ROOM_NIC)->function;
	u8 buffer[16] = {};

	function->ops = &precise_model;
	assert_int_equal(room_write(room, device, BAR(0) + 0x1004, (const u8[]){1, 2, 3, 4}, 4), 4);
	expect_widths(&seen, 1, (const unsigned[]){4});
	assert_int_equal(seen.value, 0x04030201);
	assert_int_equal(get_u32((u8 *)function->bars[0].memory + 0x1004), 0);
	assert_int_equal(room_read(room, device, BAR(0) + 0x1ffa, buffer, 12), 12);
	expect_widths(&seen, 4, (const unsigned[]){2, 4, 4, 2}); /* the last two are bar_written() of a polled page */
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(buffer[i], (u8)(0x1ffa + i));
	for (unsigned i = 6; i < 12; i++)
		assert_int_equal(buffer[i], 0);
	room_free(room);
}

TEST(pci_rw, io_ports_have_no_memory)
{
	struct room *room = room_new();
	struct seen seen = {};
	int device = open_seen(room, ROOM_NIC, &seen);
	u64 value = 0x1122334455667788;

	assert_int_equal(room_write(room, device, BAR(2) + 8, &value, 8), 8);
	expect_widths(&seen, 2, (const unsigned[]){4, 4});
	assert_int_equal(seen.value, 0x11223344);
	assert_int_equal(room_read(room, device, BAR(2), &value, 2), 2);
	assert_int_equal(value & 0xffff, 0xa0a0);
	/* Ports answer also while memory is off. */
	room_set_config(room, device, PCI_COMMAND, 2, 0);
	assert_int_equal(room_read(room, device, BAR(2), &value, 4), 4);
	room_free(room);
}

TEST(pci_rw, accesses_end_with_the_bar)
{
	struct room *room = room_new();
	int device = room_open_device(room, ROOM_NIC, VFIO_TYPE1_IOMMU).device;
	u8 buffer[64] = {};

	assert_int_equal(room_read(room, device, BAR(0) + 0x1fff0, buffer, 64), 16);
	assert_int_equal(room_write(room, device, BAR(0) + 0x1ffff, buffer, 64), 1);
	EXPECT_REFUSED(REGION_OFFSET, room->why, room_read(room, device, BAR(0) + 0x20000, buffer, 1));
	EXPECT_REFUSED(REGION_OFFSET, room->why, room_read(room, device, BAR(4), buffer, 4));
	EXPECT_REFUSED(REGION_OFFSET, room->why, room_write(room, device, BAR(5), buffer, 4));
	EXPECT_REFUSED(REGION_UNKNOWN, room->why, room_read(room, device, BAR(8), buffer, 4));
	EXPECT_REFUSED(REGION_UNKNOWN, room->why, room_write(room, device, UINT64_MAX, buffer, 4));
	assert_int_equal(room_read(room, device, BAR(9), buffer, 0), 0);
	assert_int_equal(room_write(room, device, BAR(9), buffer, 0), 0);
	room_free(room);
}

TEST(pci_rw, memory_that_is_off_is_an_error)
{
	struct room *room = room_new();
	int device = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU).device;
	u64 value = 0x77, again = 0;

	assert_int_equal(room_write(room, device, BAR(0), &value, 8), 8);
	room_set_config(room, device, PCI_COMMAND, 2, 0);
	EXPECT_REFUSED(MEMORY_DISABLED, room->why, room_read(room, device, BAR(0), &again, 8));
	EXPECT_REFUSED(MEMORY_DISABLED, room->why, room_write(room, device, BAR(0), &again, 8));
	room_set_config(room, device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(room_read(room, device, BAR(0), &again, 8), 8);
	assert_int_equal(again, 0x77);
	room_free(room);
}

/* Reads of the MSI-X table are ones, writes are lost; what lies around it is not touched by that. */
TEST(pci_rw, the_msix_table_is_left_out)
{
	struct room *room = room_new();
	struct seen seen = {};
	int device = open_seen(room, ROOM_NVME, &seen);
	struct pci_function *function = room_device(room, ROOM_NVME)->function;
	u64 table = BAR(0) + 0x2000, size = 65 * 16;
	u8 buffer[24];

	memset(function->bars[0].memory, 0x11, 0x4000);
	assert_int_equal(room_read(room, device, table - 4, buffer, 24), 24);
	assert_int_equal(get_u32(buffer), 0x11111111);
	for (unsigned i = 4; i < 24; i++)
		assert_int_equal(buffer[i], 0xff);
	expect_widths(&seen, 1, (const unsigned[]){4});
	assert_int_equal(room_read(room, device, table + size - 4, buffer, 8), 8);
	assert_int_equal(get_u64(buffer), 0x11111111ffffffff);
	seen.count = 0;
	memset(buffer, 0x22, sizeof(buffer));
	assert_int_equal(room_write(room, device, table + size - 8, buffer, 16), 16);
	expect_widths(&seen, 1, (const unsigned[]){8});
	assert_int_equal(get_u64((u8 *)function->bars[0].memory + 0x2000 + size - 8), 0x1111111111111111);
	assert_int_equal(get_u64((u8 *)function->bars[0].memory + 0x2000 + size), 0x2222222222222222);
	/* The pending bits are not part of it. */
	assert_int_equal(room_read(room, device, BAR(0) + 0x3000, buffer, 8), 8);
	assert_int_equal(get_u64(buffer), 0x1111111111111111);
	room_free(room);
}

TEST(pci_rw, the_rom_is_only_read)
{
	struct room *room = room_new();
	int device = room_open_device(room, ROOM_NIC, VFIO_TYPE1_IOMMU).device;
	u8 buffer[16];

	assert_int_equal(room_read(room, device, BAR(6), buffer, 16), 16);
	assert_memory_equal(buffer, "\x55\xaa\x01\xcb", 4);
	assert_int_equal(room_read(room, device, BAR(6) + ROOM_ROM - 4, buffer, 16), 4);
	EXPECT_REFUSED(REGION_OFFSET, room->why, room_read(room, device, BAR(6) + ROOM_ROM, buffer, 1));
	EXPECT_REFUSED(ROM_READ_ONLY, room->why, room_write(room, device, BAR(6), buffer, 4));
	room_free(room);
}

TEST(pci_rw, a_device_without_a_rom)
{
	struct room *room = room_new();
	int device = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU).device;
	u32 value;

	EXPECT_REFUSED(REGION_OFFSET, room->why, room_read(room, device, BAR(6), &value, 4));
	room_free(room);
}

TEST(pci_rw, a_bar_without_an_address)
{
	struct room *room = room_new();
	struct pci_bar *bar = &room_device(room, ROOM_PAIR_A)->function->bars[0];
	struct vfio_region_info info = {.argsz = sizeof(info)};
	int device;
	u32 value;

	free(bar->home);
	bar->home = bar->memory = NULL;
	device = room_open_device(room, ROOM_PAIR_A, VFIO_TYPE1_IOMMU).device;
	EXPECT_REFUSED(BAR_UNMAPPED, room->why, room_read(room, device, BAR(0), &value, 4));
	ASSERT_OK(room->why, room_ioctl(room, device, VFIO_DEVICE_GET_REGION_INFO, &info));
	assert_int_equal(info.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
	room_free(room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pci_rw, accesses_are_split_into_aligned_units),
		CASE(pci_rw, each_access_to_a_precise_page_reaches_the_model_alone),
		CASE(pci_rw, io_ports_have_no_memory),
		CASE(pci_rw, accesses_end_with_the_bar),
		CASE(pci_rw, memory_that_is_off_is_an_error),
		CASE(pci_rw, the_msix_table_is_left_out),
		CASE(pci_rw, the_rom_is_only_read),
		CASE(pci_rw, a_device_without_a_rom),
		CASE(pci_rw, a_bar_without_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
