/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "tests/fixtures/room.h"
#include "vfio/pci.h"

#define CONFIG(at, width)	     room_config(room, device, at, width)
#define SET_CONFIG(at, width, value) room_set_config(room, device, at, width, value)
#define HARDWARE(at)		     (function->config + (at))
#define TYPE1			     VFIO_TYPE1_IOMMU

static struct pci_function *function_of(struct room *room, const char *name)
{
	return room_device(room, name)->function;
}

static int open_device(struct room *room, const char *name)
{
	return room_open_device(room, name, TYPE1).device;
}

TEST(pci_config, a_fresh_device_is_quiet_and_decodes_memory)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_NIC);
	int device;

	pci_config_write(function, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	device = open_device(room, ROOM_NIC);
	assert_int_equal(CONFIG(PCI_COMMAND, 2), PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	SET_CONFIG(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_true(pci_command(function) & PCI_COMMAND_MASTER);
	room_close(room, device);
	assert_false(pci_command(function) & PCI_COMMAND_MASTER);
	room_free(room);
}

TEST(pci_config, identity_cannot_be_written)
{
	struct room *room = room_new();
	int device = open_device(room, ROOM_NVME);

	SET_CONFIG(PCI_VENDOR_ID, 4, 0x12345678);
	assert_int_equal(CONFIG(PCI_VENDOR_ID, 4), 0x00101b36);
	SET_CONFIG(PCI_REVISION, 4, 0);
	assert_int_equal(CONFIG(PCI_REVISION, 4), 0x01080201);
	SET_CONFIG(PCI_INTERRUPT_PIN, 1, 3);
	assert_int_equal(CONFIG(PCI_INTERRUPT_PIN, 1), 1);
	SET_CONFIG(PCI_CAP_POINTER, 1, 0xf0);
	assert_int_equal(CONFIG(PCI_CAP_POINTER, 1), function_of(room, ROOM_NVME)->config[PCI_CAP_POINTER]);
	/* The line is the program's to remember something in. */
	SET_CONFIG(PCI_INTERRUPT_LINE, 1, 0x77);
	assert_int_equal(CONFIG(PCI_INTERRUPT_LINE, 1), 0x77);
	assert_int_equal(function_of(room, ROOM_NVME)->config[PCI_INTERRUPT_LINE], 11);
	room_free(room);
}

TEST(pci_config, bars_are_sized_and_moved_without_the_hardware)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_NIC);
	int device = open_device(room, ROOM_NIC);
	u32 real = get_u32(HARDWARE(PCI_BAR0));

	assert_int_equal(CONFIG(PCI_BAR0, 4), real);
	SET_CONFIG(PCI_BAR0, 4, UINT32_MAX);
	assert_int_equal(CONFIG(PCI_BAR0, 4), 0xfffe0000);
	SET_CONFIG(PCI_BAR0 + 8, 4, UINT32_MAX);
	assert_int_equal(CONFIG(PCI_BAR0 + 8, 4), 0xffffffe1);
	SET_CONFIG(PCI_BAR0 + 16, 4, UINT32_MAX);
	assert_int_equal(CONFIG(PCI_BAR0 + 16, 4), 0);
	SET_CONFIG(PCI_ROM_ADDRESS, 4, 0xfffff800);
	assert_int_equal(CONFIG(PCI_ROM_ADDRESS, 4), 0xfffc0000);
	SET_CONFIG(PCI_ROM_ADDRESS, 4, 1);
	assert_int_equal(CONFIG(PCI_ROM_ADDRESS, 4), 1);
	/* Bytes of a BAR work like the whole. */
	SET_CONFIG(PCI_BAR0, 4, 0);
	SET_CONFIG(PCI_BAR0 + 3, 1, 0xab);
	assert_int_equal(CONFIG(PCI_BAR0, 4), 0xab000000);
	assert_int_equal(get_u32(HARDWARE(PCI_BAR0)), real);
	room_free(room);
}

TEST(pci_config, a_64_bit_bar_is_two_registers)
{
	struct room *room = room_new();
	int device = open_device(room, ROOM_NVME);

	SET_CONFIG(PCI_BAR0, 4, UINT32_MAX);
	SET_CONFIG(PCI_BAR0 + 4, 4, UINT32_MAX);
	assert_int_equal(CONFIG(PCI_BAR0, 4), 0xffffc004);
	assert_int_equal(CONFIG(PCI_BAR0 + 4, 4), UINT32_MAX);
	SET_CONFIG(PCI_BAR0 + 4, 4, 0x12);
	assert_int_equal(CONFIG(PCI_BAR0 + 4, 4), 0x12);
	room_free(room);
}

TEST(pci_config, accesses_that_pass_the_last_byte)
{
	struct room *room = room_new();
	int device = open_device(room, ROOM_PLAIN);
	const u64 config = 7ull << 40;
	u8 buffer[512] = {};

	assert_int_equal(room_read(room, device, config, buffer, 256), 256);
	EXPECT_REFUSED(CONFIG_BEYOND, room->why, room_read(room, device, config, buffer, 257));
	EXPECT_REFUSED(CONFIG_BEYOND, room->why, room_read(room, device, config + 256, buffer, 1));
	EXPECT_REFUSED(CONFIG_BEYOND, room->why, room_read(room, device, config + (1ull << 39), buffer, 4));
	EXPECT_REFUSED(CONFIG_BEYOND, room->why, room_write(room, device, config + 250, buffer, 16));
	assert_int_equal(room_read(room, device, config + 256, buffer, 0), 0);
	room_free(room);
}

TEST(pci_config, odd_offsets_and_sizes)
{
	struct room *room = room_new();
	int device = open_device(room, ROOM_NVME);
	const u64 config = 7ull << 40;
	u8 whole[64], part[64];

	assert_int_equal(room_read(room, device, config, whole, 64), 64);
	for (unsigned start = 0; start < 9; start++)
		for (unsigned size = 1; size < 40; size++) {
			assert_int_equal(room_read(room, device, config + start, part, size), size);
			assert_memory_equal(part, whole + start, size);
		}
	room_free(room);
}

TEST(pci_config, intx_disable_is_virtual)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_NVME);
	int device = open_device(room, ROOM_NVME);

	SET_CONFIG(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(CONFIG(PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	assert_false(pci_command(function) & PCI_COMMAND_INTX_DISABLE);
	room_free(room);
}

TEST(pci_config, power_states_are_changed_for_the_program)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_NVME);
	int device = open_device(room, ROOM_NVME);
	unsigned at = function->cap_pm;
	u64 value;

	/* No PME, whatever the device can do. */
	assert_int_equal(CONFIG(at + 2, 2) & 0xf800, 0);
	SET_CONFIG(at + 4, 2, 0x8103);
	assert_int_equal(CONFIG(at + 4, 2) & 0x8103, 3);
	EXPECT_REFUSED(MEMORY_DISABLED, room->why, room_read(room, device, 0, &value, 8));
	assert_int_equal(CONFIG(PCI_VENDOR_ID, 4), 0x00101b36);
	SET_CONFIG(at + 4, 2, 0);
	assert_int_equal(room_read(room, device, 0, &value, 8), 8);
	assert_int_equal(CONFIG(PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	/* A byte write to the state works too. */
	SET_CONFIG(at + 4, 1, 3);
	assert_int_equal(CONFIG(at + 4, 2) & 3, 3);
	room_check(room);
	room_free(room);
}

static void count_reset(struct pci_function *function)
{
	(*(unsigned *)function->model)++;
}

static const struct pci_model_ops counting = {.name = "counting", .reset = count_reset};

/* A device that forgets in D3hot gets its addresses and COMMAND back from the system. */
TEST(pci_config, a_way_back_from_d3hot_restores_the_device)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_NVME);
	unsigned at = function->cap_pm + 4u, resets = 0;
	struct {
		struct vfio_irq_set head;
		s32 fd;
	} set = {{24, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1}, -1};
	int device;
	u32 value, bar;

	function->config[at] &= (u8)~0x08;
	put_u16(HARDWARE(at - 2), get_u16(HARDWARE(at - 2)) | 0x0600); /* D1 and D2 */
	device = open_device(room, ROOM_NVME);
	function->ops = &counting;
	function->model = &resets;
	bar = get_u32(HARDWARE(PCI_BAR0));
	SET_CONFIG(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	/* It forgets in no other state. */
	SET_CONFIG(at, 2, 2);
	SET_CONFIG(at, 2, 0);
	assert_int_equal(resets, 0);
	SET_CONFIG(at, 2, 3);
	assert_int_equal(get_u32(HARDWARE(PCI_BAR0)), bar);
	/* What is written meanwhile is forgotten, too, unlike what SET_IRQS did. */
	SET_CONFIG(PCI_COMMAND, 2, 0);
	ASSERT_OK(room->why, room_ioctl(room, device, VFIO_DEVICE_SET_IRQS, &set));
	SET_CONFIG(at, 2, 0);
	assert_int_equal(resets, 1);
	assert_int_equal(get_u32(HARDWARE(PCI_BAR0)), bar);
	assert_true(get_u16(HARDWARE(function->cap_msix + 2)) & 0x8000);
	assert_int_equal(CONFIG(PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(room_read(room, device, 0, &value, 4), 4);
	/* The same state again is no change. */
	SET_CONFIG(at, 2, 0);
	room_check(room);
	room_free(room);
}

TEST(pci_config, msi_is_enabled_by_set_irqs_only)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_ROOT);
	int device = open_device(room, ROOM_ROOT);
	unsigned at = function->cap_msi;

	SET_CONFIG(at + 2, 2, 0x0071 | 0x0180);
	assert_int_equal(get_u16(HARDWARE(at + 2)) & 1, 0);
	/* As many vectors as SET_IRQS has asked for, which is none. */
	assert_int_equal(CONFIG(at + 2, 1) & 0x71, 0);
	assert_int_equal(get_u16(HARDWARE(at + 2)) & 0x70, 0);
	SET_CONFIG(at + 4, 4, 0xfee01234);
	assert_int_equal(CONFIG(at + 4, 4), 0xfee01234);
	assert_int_equal(get_u32(HARDWARE(at + 4)), 0);
	room_free(room);
}

/* Linux remembers how many vectors MSI was last enabled with, as long as it has the device. */
TEST(pci_config, msi_has_no_more_vectors_than_set_irqs_gave)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_ROOT);
	struct room_device opened = room_open_device(room, ROOM_ROOT, TYPE1);
	struct {
		struct vfio_irq_set head;
		s32 fds[5];
	} set = {{40, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_MSI_IRQ_INDEX, 0, 5},
		 {-1, -1, -1, -1, -1}};
	int device = opened.device;
	unsigned control = function->cap_msi + 2u;

	ASSERT_OK(room->why, room_ioctl(room, device, VFIO_DEVICE_SET_IRQS, &set));
	assert_int_equal(get_u16(HARDWARE(control)) & 0x71, 0x31);
	SET_CONFIG(control, 2, 0x0051);
	assert_int_equal(CONFIG(control, 1) & 0x71, 0x31);
	SET_CONFIG(control, 2, 0x0021);
	assert_int_equal(get_u16(HARDWARE(control)) & 0x71, 0x21);
	set.head.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	set.head.count = 0;
	ASSERT_OK(room->why, room_ioctl(room, device, VFIO_DEVICE_SET_IRQS, &set));
	SET_CONFIG(control, 2, 0x0051);
	assert_int_equal(CONFIG(control, 1) & 0x71, 0x30);
	room_close_device(room, &opened);
	device = open_device(room, ROOM_ROOT);
	SET_CONFIG(control, 2, 0x0051);
	assert_int_equal(CONFIG(control, 1) & 0x71, 0x30);
	room_close(room, device);
	room_unbind(room, ROOM_ROOT);
	ASSERT_OK(room->why, room_bind(room, ROOM_ROOT, &room->why));
	assert_int_equal(room_bound(room, ROOM_ROOT)->msi_qmax, 0);
	room_free(room);
}

TEST(pci_config, function_level_reset_by_register)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_NVME);
	int device = open_device(room, ROOM_NVME);
	unsigned at = function->cap_pcie;
	u32 marker = 0x11223344;

	memcpy(function->bars[0].memory, &marker, 4);
	SET_CONFIG(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	SET_CONFIG(at + 8, 2, CONFIG(at + 8, 2) | 0x8000);
	assert_int_equal(CONFIG(at + 8, 2) & 0x8000, 0);
	/* What the system set up is back. */
	assert_int_equal(CONFIG(PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_true(get_u32(HARDWARE(PCI_BAR0)) != 0);
	room_check(room);
	room_free(room);
}

TEST(pci_config, request_sizes_have_a_floor)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_NVME);
	unsigned at = function->cap_pcie;
	int device;

	pci_config_write(function, (u16)(at + 8), 2, 0x5040); /* payload 512, requests 4096 */
	device = open_device(room, ROOM_NVME);
	SET_CONFIG(at + 8, 2, 0x0000);
	assert_int_equal(CONFIG(at + 8, 2), 0x0000);
	assert_int_equal(get_u16(HARDWARE(at + 8)) & 0x70e0, 0x2040);
	SET_CONFIG(at + 8, 2, 0x40e0);
	assert_int_equal(get_u16(HARDWARE(at + 8)) & 0x70e0, 0x4040);
	/* What is reserved only the program sees. */
	for (u32 size = 6; size < 8; size++) {
		SET_CONFIG(at + 8, 2, size << 12);
		assert_int_equal(CONFIG(at + 8, 2), size << 12);
		assert_int_equal(get_u16(HARDWARE(at + 8)) & 0x70e0, 0x4040);
	}
	room_free(room);
}

TEST(pci_config, conventional_reset_by_register)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_PLAIN);
	int device = open_device(room, ROOM_PLAIN);

	SET_CONFIG(PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	SET_CONFIG(function->cap_af + 4u, 1, 1);
	assert_int_equal(CONFIG(function->cap_af + 4u, 1), 0);
	assert_int_equal(CONFIG(PCI_COMMAND, 2), PCI_COMMAND_MASTER);
	room_free(room);
}

/* Appends a capability by hand; what stands behind is the test's. */
static u8 *add_cap(struct pci_function *function, u8 id, u8 at, u8 length)
{
	u8 *pointer = HARDWARE(PCI_CAP_POINTER);

	while (*pointer)
		pointer = HARDWARE(*pointer + 1);
	*pointer = at;
	put_u16(HARDWARE(PCI_STATUS), get_u16(HARDWARE(PCI_STATUS)) | PCI_STATUS_CAP_LIST);
	memset(HARDWARE(at), 0, length);
	*HARDWARE(at) = id;
	return HARDWARE(at);
}

TEST(pci_config, hidden_capabilities_are_skipped_but_stay_as_gaps)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_PLAIN);
	u8 *subsystem = add_cap(function, PCI_CAP_SUBSYSTEM, 0xa0, 8);
	u8 *vendor = add_cap(function, PCI_CAP_VENDOR, 0xb0, 16);
	unsigned af = function->cap_af;
	int device;

	put_u32(subsystem + 4, 0xcafe8086);
	vendor[2] = 16;
	device = open_device(room, ROOM_PLAIN);
	assert_int_equal(CONFIG(PCI_CAP_POINTER, 1), af);
	assert_int_equal(CONFIG(af + 1, 1), 0xb0);
	assert_int_equal(CONFIG(0xb1, 1), 0);
	/* Its bytes are still to be read. */
	assert_int_equal(CONFIG(0xa4, 4), 0xcafe8086);
	room_free(room);
}

TEST(pci_config, without_known_capabilities_there_is_no_list)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_PLAIN);
	int device;

	memset(HARDWARE(0x40), 0, 0xc0);
	*HARDWARE(PCI_CAP_POINTER) = 0;
	function->cap_af = 0;
	add_cap(function, PCI_CAP_SUBSYSTEM, 0xa0, 8);
	device = open_device(room, ROOM_PLAIN);
	assert_int_equal(CONFIG(PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, 0);
	assert_int_equal(CONFIG(PCI_CAP_POINTER, 1), 0);
	room_free(room);
}

TEST(pci_config, a_list_without_end_is_cut)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_PLAIN);
	u8 *cap = add_cap(function, PCI_CAP_VENDOR, 0xa0, 8);

	cap[1] = 0xa0;
	cap[2] = 200; /* and longer than the space */
	open_device(room, ROOM_PLAIN);
	room_check(room);
	room_free(room);
}

/* What the header's rules protect stays protected, whatever the device says is there. */
TEST(pci_config, a_list_that_leads_into_the_header_ends_there)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_PLAIN);
	u8 *cap = add_cap(function, PCI_CAP_VENDOR, 0xa0, 8);
	u32 bar = get_u32(HARDWARE(PCI_BAR0));
	int device;

	cap[1] = PCI_BAR0;
	cap[2] = 8;
	device = open_device(room, ROOM_PLAIN);
	assert_int_equal(CONFIG(0xa1, 1), 0);
	SET_CONFIG(PCI_BAR0, 4, 0x12340000);
	assert_int_equal(get_u32(HARDWARE(PCI_BAR0)), bar);
	room_free(room);
}

TEST(pci_config, vital_product_data_that_never_comes)
{
	struct room *room = room_new();
	int device;

	add_cap(function_of(room, ROOM_PLAIN), PCI_CAP_VPD, 0xa0, 8);
	device = open_device(room, ROOM_PLAIN);
	/* The device has none: the flag stays as written. */
	SET_CONFIG(0xa2, 2, 0x0004);
	assert_int_equal(CONFIG(0xa2, 2), 0x0004);
	SET_CONFIG(0xa4, 4, 0x11223344);
	SET_CONFIG(0xa2, 2, 0x8004);
	assert_int_equal(CONFIG(0xa2, 2), 0x8004);
	assert_int_equal(CONFIG(0xa4, 4), 0x11223344);
	room_free(room);
}

static u32 ext_header(u16 id, u16 next)
{
	return (u32)next << 20 | 1u << 16 | id;
}

/* PASID first, then ATS, then a second hidden one, then a vendor-specific one. */
TEST(pci_config, extended_capabilities_are_unlinked_or_become_anchors)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_ROOT);
	int device;

	memset(HARDWARE(0x100), 0, 0x200);
	put_u32(HARDWARE(0x100), ext_header(PCI_EXT_PASID, 0x110));
	put_u32(HARDWARE(0x104), 0x1400);
	put_u32(HARDWARE(0x110), ext_header(PCI_EXT_ATS, 0x120));
	put_u32(HARDWARE(0x120), ext_header(0x001d, 0x140));
	put_u32(HARDWARE(0x140), ext_header(PCI_EXT_VENDOR, 0));
	put_u32(HARDWARE(0x144), 0x0100000a | 0x10 << 20);
	device = open_device(room, ROOM_ROOT);
	assert_int_equal(CONFIG(0x100, 4), 0x11000000);
	assert_int_equal(CONFIG(0x110, 4), ext_header(PCI_EXT_ATS, 0x140));
	assert_int_equal(CONFIG(0x140, 4), ext_header(PCI_EXT_VENDOR, 0));
	SET_CONFIG(0x140, 4, 0);
	assert_int_equal(CONFIG(0x140, 4), ext_header(PCI_EXT_VENDOR, 0));
	/* ATS can be seen, not enabled. */
	SET_CONFIG(0x114, 4, 0x80000000);
	assert_int_equal(get_u32(HARDWARE(0x114)), 0);
	room_free(room);
}

TEST(pci_config, only_hidden_extended_capabilities_are_none)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_ROOT);
	int device;

	memset(HARDWARE(0x100), 0, 0x200);
	put_u32(HARDWARE(0x100), ext_header(PCI_EXT_PASID, 0));
	device = open_device(room, ROOM_ROOT);
	assert_int_equal(CONFIG(0x100, 4), 0);
	room_free(room);
}

/* What makes a capability longer, and what the row behind its length is: a gap, where writes reach the device. */
TEST(pci_config, lengths_by_rule)
{
	static const struct {
		u16 id;
		u32 second, third;
		unsigned length;
	} table[] = {
		{PCI_EXT_ACS, 0x00, 0, 8},
		{PCI_EXT_ACS, 0x0820, 0, 12},
		{PCI_EXT_ACS, 0x0020, 0, 40},
		{PCI_EXT_VC, 0, 0, 0x1c},
		{PCI_EXT_VC, 1, 0, 0x28},
		{PCI_EXT_VC, 0, 2, 0x20 + 16},
		{PCI_EXT_VC, 0, 8, 0x20 + 64},
		{0x0015, 0, 0x20, 12},
		{0x0015, 0, 0x60, 28},
		{0x0016, 3, 0, 20},
		{0x0017, 0, 0, 12},
		{0x0017, 0x00030200, 0, 20},
		{PCI_EXT_VENDOR, 0x01400000, 0, 20},
		{PCI_EXT_DVSEC, 0x03000000, 0, 48},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct room *room = room_new();
		struct pci_function *function = function_of(room, ROOM_ROOT);
		const struct pci_session *session;

		memset(HARDWARE(0x100), 0, 0x200);
		put_u32(HARDWARE(0x100), ext_header(table[i].id, 0));
		put_u32(HARDWARE(0x104), table[i].second);
		put_u32(HARDWARE(0x108), table[i].third);
		open_device(room, ROOM_ROOT);
		session = room_bound(room, ROOM_ROOT)->session;
		assert_true(session->config.owner[0x100 + table[i].length - 1] != 0);
		assert_int_equal(session->config.owner[0x100 + table[i].length], 0);
		room_free(room);
	}
}

/* What a program may write to the device is as before for the next one. */
TEST(pci_config, the_last_close_puts_back_what_was_found)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_NIC);
	struct room_device opened;
	u8 before[CONFIG_SIZE];
	int device;

	opened = room_open_device(room, ROOM_NIC, TYPE1);
	device = opened.device;
	memcpy(before, function->config, sizeof(before));
	for (unsigned at = 0; at < CONFIG_SIZE; at += 4)
		if (at != function->cap_pm + 4u)
			SET_CONFIG(at, 4, ~CONFIG(at, 4) & ~(at == function->cap_pcie + 8u ? 0x8000u : 0));
	assert_true(memcmp(before + function->cap_aer, function->config + function->cap_aer, 0x20) != 0);
	room_close_device(room, &opened);
	for (unsigned at = 0; at < CONFIG_SIZE; at += 4)
		if (get_u32(before + at) != get_u32(function->config + at))
			fail_msg("%#x: %#x was %#x", at, get_u32(function->config + at), get_u32(before + at));
	room_free(room);
}

/* A reset that somebody else did: addresses come back when the program switches memory on again. */
TEST(pci_config, a_reset_behind_the_programs_back)
{
	struct room *room = room_new();
	struct pci_function *function = function_of(room, ROOM_NVME);
	int device = open_device(room, ROOM_NVME);
	u32 address = get_u32(HARDWARE(PCI_BAR0));

	pci_function_reset(function);
	assert_int_equal(get_u32(HARDWARE(PCI_BAR0)) & 0xfffffff0, 0);
	SET_CONFIG(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(get_u32(HARDWARE(PCI_BAR0)), address);
	room_check(room);
	room_free(room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pci_config, a_fresh_device_is_quiet_and_decodes_memory),
		CASE(pci_config, identity_cannot_be_written),
		CASE(pci_config, bars_are_sized_and_moved_without_the_hardware),
		CASE(pci_config, a_64_bit_bar_is_two_registers),
		CASE(pci_config, accesses_that_pass_the_last_byte),
		CASE(pci_config, odd_offsets_and_sizes),
		CASE(pci_config, intx_disable_is_virtual),
		CASE(pci_config, power_states_are_changed_for_the_program),
		CASE(pci_config, a_way_back_from_d3hot_restores_the_device),
		CASE(pci_config, msi_is_enabled_by_set_irqs_only),
		CASE(pci_config, msi_has_no_more_vectors_than_set_irqs_gave),
		CASE(pci_config, function_level_reset_by_register),
		CASE(pci_config, request_sizes_have_a_floor),
		CASE(pci_config, conventional_reset_by_register),
		CASE(pci_config, hidden_capabilities_are_skipped_but_stay_as_gaps),
		CASE(pci_config, without_known_capabilities_there_is_no_list),
		CASE(pci_config, a_list_without_end_is_cut),
		CASE(pci_config, a_list_that_leads_into_the_header_ends_there),
		CASE(pci_config, vital_product_data_that_never_comes),
		CASE(pci_config, extended_capabilities_are_unlinked_or_become_anchors),
		CASE(pci_config, only_hidden_extended_capabilities_are_none),
		CASE(pci_config, lengths_by_rule),
		CASE(pci_config, the_last_close_puts_back_what_was_found),
		CASE(pci_config, a_reset_behind_the_programs_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
