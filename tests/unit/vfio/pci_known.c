/* SPDX-License-Identifier: MIT */
/* What depends on which device it is, or what it holds: known flaws, VGA, ROMs, product data, virtual functions. */
#include "vfio/pci_known.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "pci/vga.h"
#include "tests/fixtures/room.h"
#include "vfio/pci.h"

#define CONFIG(at, width)	     room_config(room, device, at, width)
#define SET_CONFIG(at, width, value) room_set_config(room, device, at, width, value)
#define BAR(n)			     ((u64)(n) << 40)
#define ROM			     BAR(VFIO_PCI_ROM_REGION_INDEX)
#define VGA			     BAR(VFIO_PCI_VGA_REGION_INDEX)

static struct pci_function *function_of(struct room *room, const char *name)
{
	return room_device(room, name)->function;
}

static int open_device(struct room *room, const char *name)
{
	return room_open_device(room, name, VFIO_TYPE1_IOMMU).device;
}

static struct vfio_region_info region(struct room *room, int device, u32 index)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};

	ASSERT_OK(room->why, room_ioctl(room, device, VFIO_DEVICE_GET_REGION_INFO, &info));
	return info;
}

static u32 intx_count(struct room *room, int device)
{
	struct vfio_irq_info info = {.argsz = sizeof(info), .index = VFIO_PCI_INTX_IRQ_INDEX};

	ASSERT_OK(room->why, room_ioctl(room, device, VFIO_DEVICE_GET_IRQ_INFO, &info));
	return info.count;
}

/* ---- by id ---- */

TEST(pci_known, ids_with_flaws)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_NVME);

	room_unbind(room, ROOM_NVME);
	put_u32(function->config, 0x0b258086);
	EXPECT_REFUSED(VFIO_DENYLISTED, room->why, room_bind(room, ROOM_NVME, &room->why));
	EXPECT_SUBSTR("0b258086", room->why.text);
	/* The vendor counts, too. */
	put_u32(function->config, 0x0b251af4);
	ASSERT_OK(room->why, room_bind(room, ROOM_NVME, &room->why));
	room_unbind(room, ROOM_NVME);
	put_u32(function->config, 0x04438086);
	room->vfio.pci.disable_denylist = true;
	ASSERT_OK(room->why, room_bind(room, ROOM_NVME, &room->why));
	room_free(room);
}

TEST(pci_known, a_broken_line_is_not_there)
{
	struct room *room = room_new();
	struct room_device opened;
	int device;

	put_u32(function_of(room, ROOM_NIC)->config, 0x15838086);
	device = open_device(room, ROOM_NIC);
	assert_int_equal(CONFIG(PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(intx_count(room, device), 0);
	room_free(room);

	/* Who forbids masking has it all the same; what counts is the parameter at the bind. */
	room = room_new();
	put_u32(function_of(room, ROOM_NIC)->config, 0x15838086);
	room->vfio.pci.nointxmask = true;
	opened = room_open_device(room, ROOM_NIC, VFIO_TYPE1_IOMMU);
	assert_int_equal(intx_count(room, opened.device), 0);
	room_close_device(room, &opened);
	room_unbind(room, ROOM_PAIR_A);
	put_u32(function_of(room, ROOM_PAIR_A)->config, 0x15838086);
	pci_set_intx(function_of(room, ROOM_PAIR_A), 1, 10);
	ASSERT_OK(room->why, room_bind(room, ROOM_PAIR_A, &room->why));
	device = open_device(room, ROOM_PAIR_A);
	assert_int_equal(intx_count(room, device), 1);
	room_free(room);
}

/* ---- VGA ---- */

static int open_vga(struct room *room)
{
	struct pci_function *function = function_of(room, ROOM_PLAIN);

	put_u16(function->config + PCI_CLASS, 0x0300);
	ASSERT_OK(room->why, pci_allocate_bars(function, &room->why));
	return open_device(room, ROOM_PLAIN);
}

TEST(pci_known, vga_is_three_ranges)
{
	static const struct {
		u64 offset;
		size_t size;
		s64 ret;
	} table[] = {
		{0xa0000, 16, 16}, {0xbfffc, 16, 4},	{0xc0000, 1, -EINVAL}, {0x9ffff, 2, -EINVAL},
		{0x3b0, 16, 12},   {0x3bb, 1, 1},	{0x3bc, 1, -EINVAL},   {0x3bf, 2, -EINVAL},
		{0x3c0, 64, 32},   {0x3e0, 1, -EINVAL}, {0, 1, -EINVAL},       {1ull << 39, 1, -EINVAL},
		{0, 0, 0},
	};
	struct room *room = room_new();
	int device = open_vga(room);
	struct vfio_region_info info = region(room, device, VFIO_PCI_VGA_REGION_INDEX);
	u8 buffer[64];

	assert_int_equal(info.size, 0xc0000);
	assert_int_equal(info.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
	/* Whether memory is decoded does not count. */
	SET_CONFIG(PCI_COMMAND, 2, 0);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		memset(buffer, (int)i + 1, sizeof(buffer));
		assert_int_equal(room_write(room, device, VGA + table[i].offset, buffer, table[i].size), table[i].ret);
		memset(buffer, 0, sizeof(buffer));
		assert_int_equal(room_read(room, device, VGA + table[i].offset, buffer, table[i].size), table[i].ret);
		for (s64 at = 0; at < table[i].ret; at++)
			assert_int_equal(buffer[at], i + 1);
	}
	assert_int_equal(room_mmap(room, device, VGA, 4096, 3, 1), -EINVAL);
	room_free(room);
}

TEST(pci_known, vga_can_be_withheld)
{
	struct room *room = room_new();
	struct vfio_region_info info = {.argsz = sizeof(info), .index = VFIO_PCI_VGA_REGION_INDEX};
	int device;
	u8 byte;

	room_bound(room, ROOM_PLAIN)->pci.disable_vga = true;
	device = open_vga(room);
	EXPECT_REFUSED(REGION_UNKNOWN, room->why, room_ioctl(room, device, VFIO_DEVICE_GET_REGION_INFO, &info));
	EXPECT_REFUSED(REGION_UNKNOWN, room->why, room_read(room, device, VGA + 0xa0000, &byte, 1));
	EXPECT_REFUSED(REGION_UNKNOWN, room->why, room_write(room, device, VGA + 0xa0000, &byte, 1));
	room_free(room);
}

/* ---- ROM ---- */

TEST(pci_known, a_rom_ends_with_its_images)
{
	struct room *room = room_new();
	int device = open_device(room, ROOM_NIC);
	u8 buffer[8];

	assert_int_equal(region(room, device, VFIO_PCI_ROM_REGION_INDEX).size, ROOM_ROM);
	assert_int_equal(room_read(room, device, ROM + ROOM_IMAGE - 4, buffer, 8), 8);
	assert_memory_equal(buffer, "\0\0\0\0\xff\xff\xff\xff", 8);
	SET_CONFIG(PCI_COMMAND, 2, 0);
	/* It is looked at before it is told of, with memory on for the moment; not so when it is read. */
	assert_int_equal(region(room, device, VFIO_PCI_ROM_REGION_INDEX).size, ROOM_ROM);
	EXPECT_REFUSED(ROM_INVALID, room->why, room_read(room, device, ROM, buffer, 4));
	room_free(room);
}

TEST(pci_known, a_rom_without_an_image)
{
	struct room *room = room_new();
	int device;
	u8 buffer[8];

	function_of(room, ROOM_NIC)->rom[0x1c] = 'Q';
	device = open_device(room, ROOM_NIC);
	assert_int_equal(region(room, device, VFIO_PCI_ROM_REGION_INDEX).size, 0);
	assert_int_equal(region(room, device, VFIO_PCI_ROM_REGION_INDEX).flags, 0);
	EXPECT_REFUSED(ROM_INVALID, room->why, room_read(room, device, ROM, buffer, 4));
	/* Its BAR is there all the same. */
	SET_CONFIG(PCI_ROM_ADDRESS, 4, 0xfffff800);
	assert_int_equal(CONFIG(PCI_ROM_ADDRESS, 4), (u32)-ROOM_ROM);
	room_free(room);
}

TEST(pci_known, a_copy_of_a_rom)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_NVME);
	int device;
	u8 buffer[8];

	function->rom = calloc(1, 3000);
	function->rom_size = 3000;
	function->rom[2999] = 7;
	device = open_device(room, ROOM_NVME);
	assert_int_equal(region(room, device, VFIO_PCI_ROM_REGION_INDEX).size, 4096);
	assert_int_equal(room_read(room, device, ROM + 2999, buffer, 2), 2);
	assert_memory_equal(buffer, "\7\xff", 2);
	SET_CONFIG(PCI_COMMAND, 2, 0);
	assert_int_equal(room_read(room, device, ROM + 4092, buffer, 8), 4);
	EXPECT_REFUSED(REGION_OFFSET, room->why, room_read(room, device, ROM + 4096, buffer, 1));
	SET_CONFIG(PCI_ROM_ADDRESS, 4, UINT32_MAX);
	assert_int_equal(CONFIG(PCI_ROM_ADDRESS, 4), 0xfffff001);
	room_free(room);
}

/* ---- product data ---- */

static const u8 product[] = {0x82, 1, 0, 'x', 0x91, 7, 0, 'Y', 'A', 4, 'a', 's', 's', 'e', 0x78};

static void add_product(struct pci_function *function)
{
	pci_add_vpd(function);
	function->vpd = calloc(1, sizeof(product) + 5);
	memcpy(function->vpd, product, sizeof(product));
	function->vpd_size = sizeof(product) + 5;
}

static int open_with_vpd(struct room *room)
{
	add_product(function_of(room, ROOM_ROOT));
	return open_device(room, ROOM_ROOT);
}

TEST(pci_known, product_data_by_the_window)
{
	struct room *room = room_new();
	int device = open_with_vpd(room);
	struct pci_function *function = function_of(room, ROOM_ROOT);
	unsigned at = function->cap_vpd;

	SET_CONFIG(at + 2, 2, 0x0000);
	assert_int_equal(CONFIG(at + 2, 2), 0x8000);
	assert_int_equal(CONFIG(at + 4, 4), get_u32(product));
	/* From any byte on; after the last tag there is nothing. */
	SET_CONFIG(at + 2, 2, 0x000d);
	assert_int_equal(CONFIG(at + 4, 4), 'e' | 0x7800);
	SET_CONFIG(at + 2, 2, 0x7000);
	assert_int_equal(CONFIG(at + 2, 2), 0xf000);
	assert_int_equal(CONFIG(at + 4, 4), 0);
	/* A write of the low byte is none of the flag. */
	SET_CONFIG(at + 2, 1, 0x04);
	assert_int_equal(CONFIG(at + 2, 2), 0xf004);
	SET_CONFIG(at + 3, 1, 0x00);
	assert_int_equal(CONFIG(at + 2, 2), 0x8004);
	assert_int_equal(CONFIG(at + 4, 4), get_u32(product + 4));

	SET_CONFIG(at + 4, 4, 0x41424344);
	SET_CONFIG(at + 2, 2, 0x8008);
	assert_int_equal(CONFIG(at + 2, 2), 0x0008);
	assert_int_equal(get_u32(function->vpd + 8), 0x41424344);
	/* Neither off a dword nor over the end: the flag stays. */
	SET_CONFIG(at + 2, 2, 0x8009);
	assert_int_equal(CONFIG(at + 2, 2), 0x8009);
	SET_CONFIG(at + 2, 2, 0x800c);
	assert_int_equal(CONFIG(at + 2, 2), 0x800c);
	/* The device's own window was not used. */
	assert_int_equal(get_u32(function->config + at) >> 16, 0);
	room_free(room);
}

/* The capability behind that of MSI, however long that one is: no reset says anything to the window. */
TEST(pci_known, product_data_behind_messages_survive_resets)
{
	for (unsigned kind = 0; kind < 4; kind++) {
		bool wide = kind & 1, masks = kind & 2;
		struct room *room = room_new();
		struct pci_function *function = function_of(room, ROOM_PLAIN);
		unsigned data = wide ? 12 : 8, at;
		int device;

		if (masks)
			pci_add_maskable_msi(function, 0, wide);
		else
			pci_add_msi(function, 0, wide);
		at = function->cap_msi;
		add_product(function);
		assert_int_equal(function->cap_vpd, align_up(at + data + (masks ? 12 : 2), 4));
		device = open_device(room, ROOM_PLAIN);
		pci_config_write(function, (u16)(function->cap_vpd + 2), 2, 4);
		pci_config_write(function, (u16)(at + 4), 4, 0xfee01000);
		pci_config_write(function, (u16)(at + data), 2, 0x4021);
		for (unsigned i = 0; i < 2; i++) {
			ASSERT_OK(room->why, room_ioctl(room, device, VFIO_DEVICE_RESET, NULL));
			assert_int_equal(get_u32(function->config + at + 4), 0xfee01000);
			assert_int_equal(get_u16(function->config + at + data), 0x4021);
			/* As after power-on: no transfer has been asked for. */
			assert_int_equal(get_u32(function->config + function->cap_vpd) >> 16, 0);
			assert_int_equal(get_u32(function->config + function->cap_vpd + 4), 0);
			assert_memory_equal(function->vpd, product, sizeof(product));
		}
		room_free(room);
	}
}

/* Linux has measured them: who erases the tags can write them again. */
TEST(pci_known, product_data_can_be_rewritten)
{
	struct room *room = room_new();
	int device = open_with_vpd(room);
	struct pci_function *function = function_of(room, ROOM_ROOT);
	unsigned at = function->cap_vpd;

	for (unsigned i = 0; i < 2; i++) {
		u32 value = i ? get_u32(product) : UINT32_MAX;

		SET_CONFIG(at + 4, 4, value);
		SET_CONFIG(at + 2, 2, 0x8000);
		assert_int_equal(CONFIG(at + 2, 2), 0);
		assert_int_equal(get_u32(function->vpd), value);
	}
	SET_CONFIG(at + 2, 2, 0x8000 | (sizeof(product) & ~3u));
	assert_int_equal(CONFIG(at + 2, 2) >> 15, 1);
	room_free(room);
}

TEST(pci_known, how_far_product_data_go)
{
	static const struct {
		u8 bytes[8];
		u32 length;
	} table[] = {
		{{0x00, 0x78}, 0},
		{{0xff, 0x78}, 0},
		{{0x78}, 1},
		{{0x82, 1, 0, 'x', 0x78}, 5},
		{{0x79, 0, 1}, 2},
		/* Longer than the window: what came before counts. */
		{{0x82, 0xff, 0xff}, 0},
		{{0x82, 0, 0, 0x90, 0xff, 0xff}, 3},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct pci_function function = {.vpd_size = 8};
		u8 bytes[8];

		memcpy(bytes, table[i].bytes, 8);
		function.vpd = bytes;
		assert_int_equal(pci_vpd_length(&function), table[i].length);
	}
}

/* ---- virtual functions ---- */

TEST(pci_known, a_virtual_function_shows_what_its_own_registers_do_not)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_PAIR_B);
	struct pci_function *physical = function_of(room, ROOM_PAIR_A);
	struct room_device opened;
	int device;
	u32 value;

	room_unbind(room, ROOM_PAIR_A);
	room_unbind(room, ROOM_PAIR_B);
	pci_add_sriov(physical, &(struct pci_sriov){.total = 4, .offset = 1, .stride = 1, .device = 0x1234});
	function->physical = physical;
	pci_set_intx(function, 1, 10);
	put_u32(function->config, UINT32_MAX);
	memset(function->config + PCI_BAR0, 0, 4 * PCI_BARS);
	ASSERT_OK(room->why, room_bind(room, ROOM_PAIR_A, &room->why));
	ASSERT_OK(room->why, room_bind(room, ROOM_PAIR_B, &room->why));
	pci_sriov_enable(physical, 1);
	opened = room_open_device(room, ROOM_PAIR_B, VFIO_TYPE1_IOMMU);
	device = opened.device;
	assert_int_equal(CONFIG(PCI_VENDOR_ID, 4), 0x1234u << 16 | get_u16(physical->config));
	assert_int_equal(CONFIG(PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(CONFIG(PCI_COMMAND, 2) & PCI_COMMAND_MEMORY, PCI_COMMAND_MEMORY);
	SET_CONFIG(PCI_BAR0, 4, UINT32_MAX);
	assert_int_equal(CONFIG(PCI_BAR0, 4), 0xfffff000);
	/* The program sees its bit, the memory is there whatever it says. */
	SET_CONFIG(PCI_COMMAND, 2, 0);
	assert_int_equal(CONFIG(PCI_COMMAND, 2) & PCI_COMMAND_MEMORY, 0);
	assert_int_equal(room_read(room, device, BAR(0), &value, 4), 4);
	room_check(room);
	room_close_device(room, &opened);

	/* Nor can the physical one sleep while it has any. */
	device = open_device(room, ROOM_PAIR_A);
	SET_CONFIG(physical->cap_pm + 4u, 2, 3);
	assert_int_equal(CONFIG(physical->cap_pm + 4u, 2) & 3, 0);
	pci_sriov_enable(physical, 0);
	SET_CONFIG(physical->cap_pm + 4u, 2, 3);
	assert_int_equal(CONFIG(physical->cap_pm + 4u, 2) & 3, 3);
	room_free(room);
}

/* ---- AtomicOps ---- */

static u32 atomic_flags(struct room *room, int device, u32 *ret_flags)
{
	struct {
		struct vfio_device_info info;
		struct vfio_device_info_cap_pci_atomic_comp cap;
	} buffer = {.info.argsz = sizeof(buffer)};

	ASSERT_OK(room->why, room_ioctl(room, device, VFIO_DEVICE_GET_INFO, &buffer));
	*ret_flags = buffer.info.flags;
	if (!buffer.info.cap_offset)
		return 0;
	assert_int_equal(buffer.info.cap_offset, sizeof(buffer.info));
	assert_int_equal(buffer.cap.header.id, VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP);
	return buffer.cap.flags;
}

TEST(pci_known, atomics_are_those_of_device_and_root_port)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_NVME);
	struct vfio_device_info info = {.argsz = sizeof(info)};
	int device = open_device(room, ROOM_NVME);
	u32 flags;

	pci_set_atomics(function, 7);
	assert_int_equal(atomic_flags(room, device, &flags), 0);
	assert_int_equal(flags & VFIO_DEVICE_FLAGS_CAPS, 0);
	pci_set_atomics(function->parent, 2);
	assert_int_equal(atomic_flags(room, device, &flags), VFIO_PCI_ATOMIC_COMP64);
	assert_int_equal(flags & VFIO_DEVICE_FLAGS_CAPS, VFIO_DEVICE_FLAGS_CAPS);
	assert_int_equal(get_u16(function->config + function->cap_pcie + 0x28) & 0x40, 0x40);
	/* No room for it: how much there should be. */
	ASSERT_OK(room->why, room_ioctl(room, device, VFIO_DEVICE_GET_INFO, &info));
	assert_int_equal(info.argsz, 40);
	assert_int_equal(info.cap_offset, 0);
	room_free(room);
}

/* ---- power, resets ---- */

TEST(pci_known, a_device_that_is_closed_asleep_wakes)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_ROOT);
	int device = open_device(room, ROOM_ROOT);

	SET_CONFIG(function->cap_pm + 4u, 2, 3);
	assert_int_equal(get_u16(function->config + function->cap_pm + 4) & 3, 3);
	room_close(room, device);
	assert_int_equal(get_u16(function->config + function->cap_pm + 4) & 3, 0);
	room_free(room);
}

TEST(pci_known, a_device_that_may_not_be_reset)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_NVME);
	struct room_device opened = room_open_device(room, ROOM_NVME, VFIO_TYPE1_IOMMU);
	int device = opened.device;
	unsigned at = function->cap_pcie + 8u;

	function->reset_forbidden = true;
	EXPECT_REFUSED(RESET_UNSUPPORTED, room->why, room_ioctl(room, device, VFIO_DEVICE_RESET, NULL));
	SET_CONFIG(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	SET_CONFIG(at, 2, CONFIG(at, 2) | 0x8000);
	assert_int_equal(CONFIG(at, 2) & 0x8000, 0);
	room_close_device(room, &opened);
	device = open_device(room, ROOM_NVME);
	EXPECT_REFUSED(DEVICE_NOT_RESETTABLE, room->why, room_ioctl(room, device, VFIO_DEVICE_RESET, NULL));
	room_free(room);
}

/* A fatal error: the link was reset under the program, which puts its addresses back by switching memory on. */
TEST(pci_known, a_device_lost_and_found)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_NVME);
	int device = open_device(room, ROOM_NVME);
	u32 bar = get_u32(function->config + PCI_BAR0), value;
	u8 request[sizeof(struct vfio_irq_set) + 4];
	struct vfio_irq_set *set = (void *)request;
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	u64 signals = 0;

	assert_false(vfio_device_error(room_bound(room, ROOM_NVME), false));
	*set = (struct vfio_irq_set){.argsz = sizeof(request),
				     .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				     .index = VFIO_PCI_ERR_IRQ_INDEX,
				     .count = 1};
	put_u32(request + sizeof(*set), (u32)event);
	ASSERT_OK(room->why, room_ioctl(room, device, VFIO_DEVICE_SET_IRQS, set));
	assert_true(vfio_device_error(room_bound(room, ROOM_NVME), false));
	assert_int_equal(read(event, &signals, sizeof(signals)), sizeof(signals));
	assert_int_equal(signals, 1);
	close(event);
	assert_int_equal(room_read(room, device, BAR(0), &value, 4), 4);
	vfio_device_error(room_bound(room, ROOM_NVME), true);
	room_check(room);
	EXPECT_REFUSED(MEMORY_DISABLED, room->why, room_read(room, device, BAR(0), &value, 4));
	SET_CONFIG(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(get_u32(function->config + PCI_BAR0), bar);
	assert_int_equal(room_read(room, device, BAR(0), &value, 4), 4);
	room_check(room);
	room_free(room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pci_known, ids_with_flaws),
		CASE(pci_known, a_broken_line_is_not_there),
		CASE(pci_known, vga_is_three_ranges),
		CASE(pci_known, vga_can_be_withheld),
		CASE(pci_known, a_rom_ends_with_its_images),
		CASE(pci_known, a_rom_without_an_image),
		CASE(pci_known, a_copy_of_a_rom),
		CASE(pci_known, product_data_by_the_window),
		CASE(pci_known, product_data_behind_messages_survive_resets),
		CASE(pci_known, product_data_can_be_rewritten),
		CASE(pci_known, how_far_product_data_go),
		CASE(pci_known, a_virtual_function_shows_what_its_own_registers_do_not),
		CASE(pci_known, atomics_are_those_of_device_and_root_port),
		CASE(pci_known, a_device_that_is_closed_asleep_wakes),
		CASE(pci_known, a_device_that_may_not_be_reset),
		CASE(pci_known, a_device_lost_and_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
