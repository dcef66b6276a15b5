/* SPDX-License-Identifier: MIT */
/*
 * Which bits of configuration space are virtual and which can be written: spec 05 section 4 once more, as a table of
 * this file's own, against what a session does. Nothing here looks at pci_perm.c.
 *
 * The device has registers that take every write, but for those that no hardware lets go (headers of capabilities, what
 * a row calls wired). A bit is virtual when a change in the device does not show. It is writable when ones and zeros
 * written through VFIO show, and reaches the device when they are there afterwards. What is behind a capability's
 * exposed length is a gap: not virtual, raw writes; so lengths are tested too.
 */
#include "tests/fixtures/room.h"
#include "vfio/device.h"

#define WHOLE	 0xffffffffu
#define STANDARD 0x40u
#define EXTENDED 0x140u
#define FIRST	 0x100u
#define BEHIND	 8u  /* bytes of the gap that are looked at */
#define SPAN	 80u /* the longest, with what is behind */
#define SERIAL	 3u

/* What a field does; bytes without one read the device and cannot be written. */
struct field {
	u8 at, width;
	u32 virtual, write;
	u32 also; /* virtual, and written to the device as well */
	u32 zero; /* virtual, and 0 whatever the device or the program says */
};

struct layout {
	const char *name;
	u16 id;
	u16 length;
	bool raw;	     /* behind the header */
	struct field own[8]; /* ends with width 0; the way to the next one is understood */
	struct {
		u8 at;
		u32 value;
	} hardware[3]; /* dwords; id and next are added */
	u8 wired_at;   /* a dword of the device ... */
	u32 wired;     /* ... with bits that take no write */
};

/* PM: no PME for the program. Its state changes by the kernel's hand, to what was written. */
#define PM_CAPABLE 2, 2, 0xf800, 0, 0, 0xf800
#define PM_CONTROL 4, 2, 0x8100, 0x7eff, 0, 0x8100
/*
 * MSI: of the control register the low byte; it is enabled by SET_IRQS only, and the queue size goes to the device,
 * which takes no more of the register than bits 6:4 and 0 (PCI Local Bus 3.0 section 6.8.1.3).
 */
#define MSI_CONTROL	 2, 1, 0xff, 0xff, 0x70, 0x01
#define MSI_ADDRESS	 4, 4, WHOLE, WHOLE
#define MSI_UPPER	 8, 4, WHOLE, WHOLE
#define MSI_DATA(at)	 at, 2, 0xffff, 0xffff
#define MSI_MASK(at)	 at, 4, 0, WHOLE /* and the pending bits */
#define MSI_HARDWARE(of) .wired_at = 0, .wired = 0xff8e0000, .hardware = {{0, 0x000e0000u | (u32)(of) << 16}}
#define PCIX_COMMAND	 2, 2, 0, 0xffff
#define PCIX_ECC	 8, 4, 0, WHOLE
/*
 * PCI Express: phantom functions (bit 9) stay as they are; the reset bit (15), payload size (7:5) and read request
 * size (14:12) are virtual. The last goes to the device if it is one, which all ones are not: pci_config has that. In
 * the second register ARI forwarding is bit 5.
 */
#define EXP_CONTROL   8, 2, 0xf0e0, 0x7dff, 0, 0x8000
#define EXP_CONTROL_2 0x28, 2, 0, 0xffdf

static const struct layout standard[] = {
	{"PM", 0x01, 8, .own = {{PM_CAPABLE}, {PM_CONTROL}}, .hardware = {{0, 0xffff0000}, {4, 0x8108}}, .wired_at = 4,
	 .wired = 0xffff0000},
	{"AGP", 0x02, 12},
	{"VPD", 0x03, 8, .own = {{2, 2, 0xffff, 0xffff}, {4, 4, WHOLE, WHOLE}}},
	{"MSI", 0x05, 10, .own = {{MSI_CONTROL}, {MSI_ADDRESS}, {MSI_DATA(8)}}, MSI_HARDWARE(0)},
	{"MSI, 64 bits", 0x05, 14, .own = {{MSI_CONTROL}, {MSI_ADDRESS}, {MSI_UPPER}, {MSI_DATA(12)}},
	 MSI_HARDWARE(0x80)},
	{"MSI, masks", 0x05, 20, .own = {{MSI_CONTROL}, {MSI_ADDRESS}, {MSI_DATA(8)}, {MSI_MASK(12)}, {MSI_MASK(16)}},
	 MSI_HARDWARE(0x100)},
	{"MSI, 64 bits, masks", 0x05, 24,
	 .own = {{MSI_CONTROL}, {MSI_ADDRESS}, {MSI_UPPER}, {MSI_DATA(12)}, {MSI_MASK(16)}, {MSI_MASK(20)}},
	 MSI_HARDWARE(0x180)},
	{"PCI-X", 0x07, 8, .own = {{PCIX_COMMAND}}},
	{"PCI-X with ECC", 0x07, 24, .own = {{PCIX_COMMAND}, {PCIX_ECC}}, .hardware = {{0, 0x10000000}}},
	{"PCI-X 533", 0x07, 24, .own = {{PCIX_COMMAND}, {PCIX_ECC}}, .hardware = {{0, 0x20000000}}},
	{"HT", 0x08, 28},
	{"HT, short", 0x08, 24, .hardware = {{0, 0xa8000000}}},
	{"vendor", 0x09, 16, .raw = true, .hardware = {{0, 0x00100000}}},
	{"PCIe 1", 0x10, 20, .own = {{EXP_CONTROL}}, .hardware = {{0, 0x00010000}, {4, 0x10000000}}},
	{"PCIe 1, integrated", 0x10, 0x0c, .own = {{EXP_CONTROL}}, .hardware = {{0, 0x00910000}, {4, 0x10000000}}},
	{"PCIe 2", 0x10, 0x34, .own = {{EXP_CONTROL}, {EXP_CONTROL_2}}, .hardware = {{0, 0x00020000}, {4, 0x10000000}}},
	{"PCIe 2, integrated", 0x10, 0x2c, .own = {{EXP_CONTROL}, {EXP_CONTROL_2}}, .hardware = {{0, 0x00920000}}},
	{"MSI-X", 0x11, 12, .hardware = {{0, 0x00070000}}},
	{"SATA", 0x12, 8, .hardware = {{0, 0x00100000}, {4, 0x48}}},
	{"SATA, inline", 0x12, 16, .hardware = {{0, 0x00100000}, {4, 0x0f}}},
	{"AF", 0x13, 6, .own = {{4, 1, 0x01, 0, 0, 0x01}}, .hardware = {{0, 0x03060000}}},
};

/* Errors that cannot be corrected: bit 0 (undefined), 4, 5 and 25 to 12. */
#define UNCORRECTABLE 0x03fff031u
/* Receiver; bad TLP, bad DLLP, replays rolled over; replay timeout, advisory, internal, log overflow. */
#define CORRECTABLE (BIT(0) | BIT(6) | BIT(7) | BIT(8) | BIT(12) | BIT(13) | BIT(14) | BIT(15))
/* Generation and check of ECRC. */
#define ECRC (BIT(6) | BIT(8))

static const struct layout extended[] = {
	{"AER", 0x01, 0x2c,
	 .own = {{4, 4, 0, UNCORRECTABLE},
		 {8, 4, 0, UNCORRECTABLE},
		 {12, 4, 0, UNCORRECTABLE},
		 {16, 4, 0, CORRECTABLE},
		 {20, 4, 0, CORRECTABLE},
		 {24, 4, 0, ECRC}}},
	{"VC", 0x02, 0x1c},
	{"serial number", SERIAL, 12},
	{"power budget", 0x04, 16, .own = {{8, 1, 0, 0xff}}}, /* the data, not their selector: as Linux has it */
	{"MFVC", 0x08, 0x1c},
	{"VC, beside MFVC", 0x09, 0x1c},
	{"vendor", 0x0b, 24, .raw = true, .hardware = {{4, 0x01800001}}},
	{"ACS", 0x0d, 8},
	{"ARI", 0x0e, 8},
	{"ATS", 0x0f, 8},
	{"SR-IOV", 0x10, 64},
	{"multicast", 0x12, 40},
	{"PRI", 0x13, 16},
	{"resizable BAR", 0x15, 12, .hardware = {{8, 0x20}}},
	{"DPA", 0x16, 20, .hardware = {{4, 3}}},
	{"TPH", 0x17, 12},
	{"LTR", 0x18, 8},
	{"DVSEC", 0x23, 20, .raw = true, .hardware = {{4, 0x01401e98}}},
};

/* ---- what is expected, for each byte ---- */

struct bits {
	const char *name;
	u16 at;
	unsigned length; /* of the arrays */
	u8 virtual[SPAN], write[SPAN], also[SPAN], zero[SPAN];
};

static void expect_field(struct bits *bits, const struct field *field)
{
	for (unsigned i = 0; i < field->width; i++) {
		bits->virtual[field->at + i] = (u8)(field->virtual >> 8 * i);
		bits->write[field->at + i] = (u8)(field->write >> 8 * i);
		bits->also[field->at + i] = (u8)(field->also >> 8 * i);
		bits->zero[field->at + i] = (u8)(field->zero >> 8 * i);
	}
}

/* A gap: the device itself. */
static void expect_raw(struct bits *bits, unsigned first, unsigned length)
{
	memset(bits->virtual + first, 0, length);
	memset(bits->write + first, 0xff, length);
}

static struct bits expect_layout(const struct layout *layout, bool is_extended)
{
	struct bits bits = {
		.name = layout->name, .at = is_extended ? EXTENDED : STANDARD, .length = layout->length + BEHIND};
	unsigned header = is_extended ? 4 : 2;

	assert_true(bits.length <= SPAN);
	if (layout->raw)
		expect_raw(&bits, header, layout->length - header);
	expect_field(&bits, is_extended ? &(struct field){0, 4, WHOLE, 0} : &(struct field){1, 1, 0xff, 0});
	for (const struct field *field = layout->own; field->width; field++)
		expect_field(&bits, field);
	expect_raw(&bits, layout->length, BEHIND);
	return bits;
}

/* ---- the device ---- */

struct bench {
	struct room *room;
	struct pci_function *function;
	int device;
};

/* Its own idea of itself is a header; what else it is stands in its registers, which all can be written. */
static struct bench bench_new(const char *name)
{
	struct bench bench = {.room = room_new()};
	struct pci_function *function = bench.function = room_device(bench.room, name)->function;

	function->cap_pm = function->cap_msi = function->cap_msix = function->cap_pcie = function->cap_af = 0;
	function->cap_acs = function->cap_ats = function->cap_pasid = function->cap_aer = 0;
	function->reset_forbidden = true;
	memset(function->config + STANDARD, 0, sizeof(function->config) - STANDARD);
	function->config[PCI_CAP_POINTER] = 0;
	put_u16(function->config + PCI_STATUS, 0);
	function->extra_writable = calloc(1, sizeof(function->config));
	assert_non_null(function->extra_writable);
	memset(function->extra_writable, 0xff, sizeof(function->config));
	return bench;
}

static void bench_open(struct bench *bench, const char *name)
{
	bench->device = room_open_device(bench->room, name, VFIO_TYPE1_IOMMU).device;
	/* As if MSI had been enabled before, with as many vectors as there can be. */
	room_bound(bench->room, name)->msi_qmax = 7;
}

static u8 *add_standard(struct bench *bench, u8 id, u16 at)
{
	u8 *config = bench->function->config;
	u8 *pointer = config + PCI_CAP_POINTER;

	while (*pointer)
		pointer = config + *pointer + 1;
	*pointer = (u8)at;
	put_u16(config + PCI_STATUS, PCI_STATUS_CAP_LIST);
	config[at] = id;
	return config + at;
}

static u8 *add_extended(struct bench *bench, u16 id, u16 at, u16 next)
{
	put_u32(bench->function->config + at, (u32)next << 20 | 1u << 16 | id);
	return bench->function->config + at;
}

/* Extended ones exist of an Express device only. */
static void be_express(struct bench *bench)
{
	put_u16(add_standard(bench, 0x10, STANDARD) + 2, 0x92);
}

static void fill(struct bench *bench, const struct layout *layout, u8 *cap, unsigned header)
{
	u8 *writable = bench->function->extra_writable + (cap - bench->function->config);

	for (unsigned i = 0; i < ARRAY_SIZE(layout->hardware); i++)
		put_u32(cap + layout->hardware[i].at,
			get_u32(cap + layout->hardware[i].at) | layout->hardware[i].value);
	put_u32(writable + layout->wired_at, ~layout->wired);
	memset(writable, 0, header);
}

/* ---- what is seen ---- */

static u8 seen(const struct bench *bench, unsigned at)
{
	return (u8)room_config(bench->room, bench->device, at, 1);
}

/* A change in the device shows, or not. */
static void check_virtual(const struct bench *bench, const struct bits *bits)
{
	u8 *hardware = bench->function->config + bits->at;

	for (unsigned i = 0; i < bits->length; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			u8 before = seen(bench, bits->at + i);
			bool is_virtual, expected = bits->virtual[i] >> bit & 1;

			hardware[i] ^= (u8)(1u << bit);
			is_virtual = !((before ^ seen(bench, bits->at + i)) >> bit & 1);
			hardware[i] ^= (u8)(1u << bit);
			if (is_virtual != expected)
				fail_msg("%s: bit %u of byte %#x is %svirtual", bits->name, bit, i,
					 is_virtual ? "" : "not ");
		}
}

/* What two writes, of ones and of zeros, left: a bit follows them or is as before. */
static void check_followed(const char *where, const struct bits *bits, unsigned byte, u8 expected, const u8 was[3])
{
	u8 follows = was[1] & (u8)~was[2], changes = (was[0] ^ was[1]) | (was[0] ^ was[2]);

	if (follows != expected || changes & ~expected)
		fail_msg("%s: byte %#x %s: written bits are %#04x instead of %#04x (%#04x, then %#04x, then %#04x)",
			 bits->name, byte, where, follows, expected, was[0], was[1], was[2]);
}

static void check_writes(const struct bench *bench, const struct bits *bits, unsigned byte, unsigned width)
{
	static const u32 written[] = {0, WHOLE, 0};
	u8 shown[4][3], device[4][3];

	for (unsigned step = 0; step < 3; step++) {
		if (step)
			room_set_config(bench->room, bench->device, bits->at + byte, width, written[step]);
		for (unsigned i = 0; i < width; i++) {
			shown[i][step] = seen(bench, bits->at + byte + i);
			device[i][step] = bench->function->config[bits->at + byte + i];
			if (shown[i][step] & bits->zero[byte + i])
				fail_msg("%s: byte %#x shows %#04x", bits->name, byte + i, shown[i][step]);
		}
	}
	for (unsigned i = 0; i < width; i++) {
		unsigned at = byte + i;
		u8 real = (u8)((bits->write[at] & ~bits->virtual[at]) | bits->also[at]);

		check_followed("in the device", bits, at, real, device[i]);
		check_followed("for the program", bits, at, bits->write[at] & (u8)~bits->zero[at], shown[i]);
	}
}

/* Nothing else of the device changes: writes go where they are meant to. */
static void check(const struct bench *bench, const struct bits *bits)
{
	u8 before[sizeof(bench->function->config)];
	u16 behind = (u16)(bits->at + bits->length);

	memcpy(before, bench->function->config, sizeof(before));
	check_virtual(bench, bits);
	for (unsigned width = 4; width; width /= 2)
		for (unsigned byte = 0; byte + width <= bits->length; byte += width)
			check_writes(bench, bits, byte, width);
	assert_memory_equal(before, bench->function->config, bits->at);
	assert_memory_equal(before + behind, bench->function->config + behind, sizeof(before) - behind);
	room_check(bench->room);
}

TEST(pci_masks, of_each_capability)
{
	for (size_t i = 0; i < ARRAY_SIZE(standard); i++) {
		struct bench bench = bench_new(ROOM_ROOT);
		struct bits bits = expect_layout(&standard[i], false);

		fill(&bench, &standard[i], add_standard(&bench, (u8)standard[i].id, STANDARD), 2);
		bench_open(&bench, ROOM_ROOT);
		check(&bench, &bits);
		room_free(bench.room);
	}
}

TEST(pci_masks, of_each_extended_capability)
{
	for (size_t i = 0; i < ARRAY_SIZE(extended); i++) {
		struct bench bench = bench_new(ROOM_ROOT);
		struct bits bits = expect_layout(&extended[i], true);

		be_express(&bench);
		add_extended(&bench, SERIAL, FIRST, EXTENDED);
		fill(&bench, &extended[i], add_extended(&bench, extended[i].id, EXTENDED, 0), 4);
		bench_open(&bench, ROOM_ROOT);
		check(&bench, &bits);
		room_free(bench.room);
	}
}

/* ---- hidden ones ---- */

static bool is_known(const struct layout *layouts, size_t count, u16 id)
{
	for (size_t i = 0; i < count; i++)
		if (layouts[i].id == id)
			return true;
	return false;
}

/* Out of the chain, and all of its bytes the device's. */
static void check_hidden(u16 id)
{
	struct bench bench = bench_new(ROOM_ROOT);
	struct bits bits = {.name = "hidden", .at = 0x60, .length = 16};

	add_standard(&bench, 0x11, STANDARD);
	put_u32(add_standard(&bench, (u8)id, 0x60) + 4, 0x12345678);
	add_standard(&bench, 0x02, 0x80);
	bench_open(&bench, ROOM_ROOT);
	assert_int_equal(seen(&bench, STANDARD + 1), 0x80);
	expect_raw(&bits, 0, 16);
	check(&bench, &bits);
	room_free(bench.room);
}

static void check_hidden_extended(u16 id)
{
	struct bench bench = bench_new(ROOM_ROOT);
	struct bits bits = {.name = "hidden", .at = EXTENDED, .length = 32};

	be_express(&bench);
	add_extended(&bench, SERIAL, FIRST, EXTENDED);
	put_u32(add_extended(&bench, id, EXTENDED, 0x200) + 4, 0x12345678);
	add_extended(&bench, 0x0e, 0x200, 0);
	bench_open(&bench, ROOM_ROOT);
	assert_int_equal(room_config(bench.room, bench.device, FIRST, 4), 0x20010000 | SERIAL);
	expect_raw(&bits, 0, 32);
	check(&bench, &bits);
	room_free(bench.room);
}

TEST(pci_masks, of_what_is_hidden)
{
	for (u16 id = 0; id < 0x20; id++)
		if (!is_known(standard, ARRAY_SIZE(standard), id))
			check_hidden(id);
	for (u16 id = 0; id < 0x40; id++)
		if (!is_known(extended, ARRAY_SIZE(extended), id))
			check_hidden_extended(id);
	check_hidden(0xff);
	check_hidden_extended(0xfffe);
}

/* What comes first cannot be skipped: it shows the way, and nothing else. */
TEST(pci_masks, of_a_hidden_one_that_comes_first)
{
	struct bench bench = bench_new(ROOM_ROOT);
	struct bits bits = {.name = "placeholder", .at = FIRST, .length = 16};

	be_express(&bench);
	add_extended(&bench, 0x1b, FIRST, EXTENDED);
	add_extended(&bench, SERIAL, EXTENDED, 0);
	memset(bench.function->extra_writable + FIRST, 0, 4);
	bench_open(&bench, ROOM_ROOT);
	assert_int_equal(room_config(bench.room, bench.device, FIRST, 4), EXTENDED << 20);
	expect_field(&bits, &(struct field){0, 4, WHOLE, 0});
	expect_raw(&bits, 4, 12);
	check(&bench, &bits);
	room_free(bench.room);
}

/* ---- the header ---- */

static const struct field header[] = {
	{0x00, 4, WHOLE, 0},	   /* who it is */
	{0x04, 2, 0x0400, 0xffff}, /* command: the interrupt line is switched off for the program only */
	{0x06, 2, 0x0010, 0},	   /* status: whether there are capabilities */
	{0x0c, 2, 0, 0xffff},	   /* cache line size, latency timer */
	{0x0f, 1, 0, 0xff},	   /* self test */
	{0x34, 1, 0xff, 0},	   /* the first capability */
	{0x3c, 2, 0xffff, 0x00ff}, /* interrupt line and pin */
};

/* bars: address bits that each of the registers 0 to 5 has, and the ROM's */
static struct bits expect_header(const char *name, const u32 bars[7])
{
	struct bits bits = {.name = name, .length = 0x40};

	for (size_t i = 0; i < ARRAY_SIZE(header); i++)
		expect_field(&bits, &header[i]);
	for (u8 bar = 0; bar < 6; bar++)
		expect_field(&bits, &(struct field){(u8)(0x10 + 4 * bar), 4, WHOLE, bars[bar]});
	expect_field(&bits, &(struct field){0x30, 4, WHOLE, bars[6]});
	return bits;
}

TEST(pci_masks, of_the_header)
{
	static const struct {
		const char *name;
		u32 bars[7];
	} table[] = {
		/* Memory of 128, 128 and 16 KiB, 32 bytes of I/O; a ROM of 256 KiB that can be enabled. */
		{ROOM_NIC, {0xfffe0000, 0xfffe0000, 0xffffffe0, 0xffffc000, 0, 0, 0xfffc0001}},
		/* 16 KiB, 64 bits wide. */
		{ROOM_NVME, {0xffffc000, WHOLE}},
		{ROOM_ROOT, {0xfffffe00}},
		/* 4 KiB; with a MiB, 64 bits wide, as the last two. */
		{ROOM_PAIR_A, {0xfffff000, 0, 0, 0, 0xfff00000, WHOLE}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct bench bench = bench_new(table[i].name);
		struct bits bits = expect_header(table[i].name, table[i].bars);

		if (table[i].bars[5]) {
			pci_add_bar(bench.function, 4, PCI_BAR_MEMORY64, 1 << 20, true);
			ASSERT_OK(bench.room->why, pci_allocate_bars(bench.function, &bench.room->why));
		}
		bench_open(&bench, table[i].name);
		check(&bench, &bits);
		room_free(bench.room);
	}
}

/* Whether it decodes memory is its physical function's to say: the program is told that it does. It has no line. */
TEST(pci_masks, of_the_header_of_a_virtual_function)
{
	struct bench bench = bench_new(ROOM_NIC);
	struct pci_function *physical = room_device(bench.room, ROOM_NVME)->function;
	struct bits bits = expect_header("VF", (const u32[7]){0});

	bench.function->config[PCI_INTERRUPT_PIN] = 1;
	put_u32(bench.function->config, WHOLE);
	pci_add_sriov(physical, &(struct pci_sriov){.initial = 1, .total = 1, .device = 0x51f1});
	bench.function->physical = physical;
	bench_open(&bench, ROOM_NIC);
	assert_int_equal(room_config(bench.room, bench.device, 0, 4), 0x51f11b36);
	assert_int_equal(seen(&bench, PCI_COMMAND), PCI_COMMAND_MEMORY);
	assert_int_equal(seen(&bench, PCI_INTERRUPT_PIN), 0);
	bits.virtual[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
	check_virtual(&bench, &bits);
	room_free(bench.room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pci_masks, of_each_capability), CASE(pci_masks, of_each_extended_capability),
		CASE(pci_masks, of_what_is_hidden),  CASE(pci_masks, of_a_hidden_one_that_comes_first),
		CASE(pci_masks, of_the_header),	     CASE(pci_masks, of_the_header_of_a_virtual_function),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
