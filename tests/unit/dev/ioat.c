/* SPDX-License-Identifier: MIT */
/* The channel driven as Linux's ioatdma and its selftest do: rings, counts, completions, interrupts; and worse. */
#include "base/os.h"
#include "dev/ioat_regs.h"
#include "tests/fixtures/model_rig.h"
#include "tests/fixtures/patience.h"

enum { RUN = 0x001d, SELFTEST_RUN = 0x0009, MSIX = 0x08, MASTER = 0x01 };

static int set_up(void **state)
{
	*state = rig_new("ioat", NULL);
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

static u64 load(struct model_rig *rig, unsigned offset, unsigned width)
{
	return rig_load(rig, 0, offset, width);
}

static void store(struct model_rig *rig, unsigned offset, unsigned width, u64 value)
{
	rig_store(rig, 0, offset, width, value);
}

static enum ioat_state state_of(struct model_rig *rig)
{
	return load(rig, IOAT_CHANSTS, 8) & 7;
}

/* Until the channel is no longer at work. */
static enum ioat_state await_rest(struct model_rig *rig)
{
	for (u64 start = os_clock_ns(); os_clock_ns() - start < PATIENCE_NS; os_yield())
		if (state_of(rig) != IOAT_ACTIVE)
			break;
	return state_of(rig);
}

static void reset_channel(struct model_rig *rig)
{
	store(rig, IOAT_CHANCMD, 1, IOAT_CHANCMD_RESET);
	assert_int_equal(load(rig, IOAT_CHANCMD, 1), 0);
	assert_int_equal(state_of(rig), IOAT_HALTED);
}

static void start(struct model_rig *rig, u64 chain, u16 count)
{
	store(rig, IOAT_CHAINADDR, 8, chain);
	store(rig, IOAT_CHANCTRL, 2, SELFTEST_RUN);
	store(rig, IOAT_DMACOUNT, 2, count);
}

static struct ioat_descriptor *descriptor_at(struct model_rig *rig, u64 iova)
{
	return rig_at(rig, iova);
}

/* One that repeats itself. */
static u64 copy_descriptor(struct model_rig *rig, u64 source, u64 destination, u32 size)
{
	u64 iova = rig_alloc(rig, sizeof(struct ioat_descriptor));

	*descriptor_at(rig, iova) =
		(struct ioat_descriptor){.size = size, .source = source, .destination = destination, .next = iova};
	return iova;
}

static void suspend(struct model_rig *rig)
{
	store(rig, IOAT_CHANCMD, 1, IOAT_CHANCMD_SUSPEND);
	assert_true(rig_await(rig, 0, IOAT_CHANSTS, 8, 7, IOAT_SUSPENDED));
}

static void scramble(struct model_rig *rig, u64 iova, u32 size)
{
	static u32 random = 1;

	for (u32 i = 0; i < size; i++) {
		random = random * 1664525 + 1013904223;
		((u8 *)rig_at(rig, iova))[i] = (u8)(random >> 24);
	}
}

TEST(ioat, registers_are_those_of_a_skylake)
{
	struct model_rig *rig = *state;

	assert_int_equal(load(rig, IOAT_CHANCNT, 1), 1);
	assert_int_equal(load(rig, IOAT_XFERCAP, 1), 20);
	assert_int_equal(load(rig, IOAT_CBVER, 1), 0x32);
	assert_int_equal(load(rig, IOAT_DMACAP, 4), 0x41);
	assert_int_equal(load(rig, IOAT_DMACOMP, 2), 2);
	assert_int_equal(state_of(rig), IOAT_HALTED);
	assert_int_equal(rig_config(rig, PCI_VENDOR_ID, 4), 0x20218086);
	for (unsigned width = 1; width <= 8; width *= 2)
		for (unsigned offset = 0; offset < IOAT_CHANCTRL; offset += width)
			if (offset > IOAT_INTRCTRL)
				store(rig, offset, width, ~0ull);
	assert_int_equal(load(rig, 0, 4), 0x1401);
	assert_int_equal(load(rig, IOAT_CBVER, 1), 0x32);
	assert_int_equal(load(rig, IOAT_DMACAP, 4), 0x41);
	assert_int_equal(load(rig, IOAT_INTRDELAY, 2), 0x3fff);
	store(rig, IOAT_CHANSTS, 8, ~0ull);
	assert_int_equal(load(rig, IOAT_CHANSTS, 8), IOAT_HALTED);
	/* Behind the registers there is nothing, but it is a page all the same. */
	store(rig, 0xff8, 8, ~0ull);
	assert_int_equal(load(rig, 0xff8, 8), 0);
}

TEST(ioat, a_chain_arms_a_halted_channel)
{
	struct model_rig *rig = *state;
	u64 iova = copy_descriptor(rig, 0, 0x4000, 64);

	reset_channel(rig);
	store(rig, IOAT_CHAINADDR + 4, 4, 0);
	assert_int_equal(load(rig, IOAT_CHANSTS, 8), IOAT_ARMED);
	store(rig, IOAT_CHAINADDR, 8, iova);
	store(rig, IOAT_CHANCMD, 1, IOAT_CHANCMD_SUSPEND);
	assert_int_equal(load(rig, IOAT_CHANSTS, 8), IOAT_ARMED);
	store(rig, IOAT_DMACOUNT, 2, 1);
	assert_int_equal(await_rest(rig), IOAT_DONE);
	/* Elsewhere a chain waits for what there is to end. */
	store(rig, IOAT_CHAINADDR, 8, iova + 8);
	assert_int_equal(load(rig, IOAT_CHANSTS, 8), iova | IOAT_DONE);
	suspend(rig);
	store(rig, IOAT_CHAINADDR, 8, iova + 8);
	assert_int_equal(state_of(rig), IOAT_SUSPENDED);
	/* With an error there is nothing to arm. */
	store(rig, IOAT_DMACOUNT, 2, 1);
	assert_int_equal(await_rest(rig), IOAT_HALTED);
	store(rig, IOAT_CHAINADDR, 8, iova);
	assert_int_equal(state_of(rig), IOAT_HALTED);
	store(rig, IOAT_CHANERR, 4, ~0u);
	store(rig, IOAT_CHAINADDR, 8, iova);
	assert_int_equal(load(rig, IOAT_CHANSTS, 8), IOAT_ARMED);
	store(rig, IOAT_DMACOUNT, 2, 1);
	assert_int_equal(await_rest(rig), IOAT_DONE);
	reset_channel(rig);
}

/* Ice Lake's is 3.4: its drivers trust it with errors. */
TEST(ioat, a_machine_says_which_version)
{
	const char *const newer[] = {"minor", "4", NULL};
	struct model_rig *rig = rig_new("ioat", newer);

	assert_int_equal(load(rig, IOAT_CBVER, 1), 0x34);
	rig_reset_function(rig);
	assert_int_equal(load(rig, IOAT_CBVER, 1), 0x34);
	rig_free(rig);
}

TEST(ioat, the_pages_of_the_vector_table_are_memory)
{
	struct model_rig *rig = *state;

	assert_int_equal(pci_page_kind(&rig->function, 0, 0xfff), PCI_PAGE_PRECISE);
	assert_int_equal(pci_page_kind(&rig->function, 0, 0x2000), PCI_PAGE_POLLED);
	assert_int_equal(get_u32(rig->function.config + rig->function.cap_msix + 4), 0x2000);
	assert_int_equal(get_u16(rig->function.config + rig->function.cap_msix + 2) & 0x7ff, 0);
}

TEST(ioat, copies_as_the_selftest_asks)
{
	struct model_rig *rig = *state;
	u64 source = rig_alloc(rig, 1 << 20), destination = rig_alloc(rig, 1 << 20);
	u64 descriptor = copy_descriptor(rig, source, destination, 1 << 20);

	rig_interrupts(rig, PCI_IRQ_MSIX, 1);
	store(rig, IOAT_INTRCTRL, 1, MSIX);
	reset_channel(rig);
	for (unsigned i = 0; i < 50; i++) {
		scramble(rig, source, 1 << 20);
		start(rig, descriptor, 1);
		assert_int_equal(await_rest(rig), IOAT_DONE);
		assert_memory_equal(rig_at(rig, source), rig_at(rig, destination), 1 << 20);
		assert_int_equal(load(rig, IOAT_CHANSTS, 8), descriptor | IOAT_DONE);
		suspend(rig);
	}
	assert_int_equal(rig_signals(rig, 0), 0);
	assert_int_equal(rig_faults(rig), 0);
}

TEST(ioat, one_interrupt_for_a_descriptor_that_asks)
{
	struct model_rig *rig = *state;
	u64 descriptor = copy_descriptor(rig, rig_alloc(rig, 8), rig_alloc(rig, 8), 8);

	rig_interrupts(rig, PCI_IRQ_MSIX, 1);
	store(rig, IOAT_INTRCTRL, 1, MSIX);
	reset_channel(rig);
	descriptor_at(rig, descriptor)->control = IOAT_CONTROL_INT;
	for (unsigned i = 0; i < 20; i++) {
		start(rig, descriptor, 1);
		assert_int_equal(await_rest(rig), IOAT_DONE);
		assert_int_equal(rig_signals(rig, 0), 1);
		suspend(rig);
	}
	/* However many ask: one for each time that it is armed. */
	start(rig, descriptor, 1000);
	assert_int_equal(await_rest(rig), IOAT_DONE);
	assert_int_equal(rig_signals(rig, 0), 1);
	assert_int_equal(load(rig, IOAT_CHANCTRL, 2), SELFTEST_RUN);
	store(rig, IOAT_DMACOUNT, 2, 1001);
	assert_int_equal(await_rest(rig), IOAT_DONE);
	assert_int_equal(rig_signals(rig, 0), 0);
	store(rig, IOAT_CHANCTRL, 2, SELFTEST_RUN);
	assert_int_equal(load(rig, IOAT_CHANCTRL, 2), SELFTEST_RUN & ~1);
	store(rig, IOAT_DMACOUNT, 2, 1002);
	assert_int_equal(await_rest(rig), IOAT_DONE);
	assert_int_equal(rig_signals(rig, 0), 1);
	/* Nobody listens to any vector. */
	store(rig, IOAT_INTRCTRL, 1, 0);
	store(rig, IOAT_CHANCTRL, 2, SELFTEST_RUN);
	store(rig, IOAT_DMACOUNT, 2, 1003);
	assert_int_equal(await_rest(rig), IOAT_DONE);
	assert_int_equal(rig_signals(rig, 0), 0);
}

/* ---- as ioatdma has it: a ring of descriptors, a count that goes on, a completion in memory ---- */

enum { RING = 256 };

struct ring {
	u64 base, completion, source, destination;
	unsigned head;
};

static u64 ring_entry(const struct ring *ring, unsigned index)
{
	return ring->base + index % RING * sizeof(struct ioat_descriptor);
}

static struct ring ring_start(struct model_rig *rig)
{
	struct ring ring = {.base = rig_alloc(rig, RING * sizeof(struct ioat_descriptor)),
			    .completion = rig_alloc(rig, 8),
			    .source = rig_alloc(rig, RING * 64),
			    .destination = rig_alloc(rig, RING * 64)};

	*(u64 *)rig_at(rig, ring.completion) = ~0ull;
	reset_channel(rig);
	store(rig, IOAT_CHANCTRL, 2, RUN);
	store(rig, IOAT_CHANCMP, 4, (u32)ring.completion);
	store(rig, IOAT_CHANCMP + 4, 4, ring.completion >> 32);
	for (unsigned i = 0; i < RING; i++)
		descriptor_at(rig, ring_entry(&ring, i))->next = ring_entry(&ring, i + 1);
	store(rig, IOAT_CHAINADDR, 4, (u32)ring.base);
	store(rig, IOAT_CHAINADDR + 4, 4, ring.base >> 32);
	return ring;
}

/* Copies of 64 bytes, the last with completion and interrupt. */
static void ring_push(struct model_rig *rig, struct ring *ring, unsigned n)
{
	for (unsigned i = 0; i < n; i++, ring->head++) {
		struct ioat_descriptor *descriptor = descriptor_at(rig, ring_entry(ring, ring->head));

		descriptor->size = 64;
		descriptor->control = i == n - 1 ? IOAT_CONTROL_INT | IOAT_CONTROL_COMPLETION : 0;
		descriptor->source = ring->source + ring->head % RING * 64;
		descriptor->destination = ring->destination + ring->head % RING * 64;
	}
}

static bool ring_await(struct model_rig *rig, const struct ring *ring)
{
	const u64 *completion = rig_at(rig, ring->completion);
	u64 expected = ring_entry(ring, ring->head - 1);

	for (u64 start = os_clock_ns(); os_clock_ns() - start < PATIENCE_NS; os_yield())
		if ((__atomic_load_n(completion, __ATOMIC_ACQUIRE) & ~7ull) == expected)
			return true;
	return false;
}

TEST(ioat, a_null_descriptor_gets_a_channel_going)
{
	struct model_rig *rig = *state;
	struct ring ring = ring_start(rig);

	rig_interrupts(rig, PCI_IRQ_MSIX, 1);
	store(rig, IOAT_INTRCTRL, 1, MSIX | MASTER);
	*descriptor_at(rig, ring.base) = (struct ioat_descriptor){.size = 16,
								  .control = IOAT_CONTROL_NULL | IOAT_CONTROL_INT |
									     IOAT_CONTROL_COMPLETION,
								  .source = RIG_UNMAPPED,
								  .destination = RIG_UNMAPPED,
								  .next = ring_entry(&ring, 1)};
	ring.head = 1;
	store(rig, IOAT_DMACOUNT, 2, 1);
	assert_true(ring_await(rig, &ring));
	assert_true(rig_await_signal(rig, 0));
	assert_int_equal(*(u64 *)rig_at(rig, ring.completion), ring.base | IOAT_DONE);
	assert_int_equal(rig_faults(rig), 0);
}

TEST(ioat, the_count_goes_on_past_2_to_the_16th)
{
	struct model_rig *rig = *state;
	struct ring ring = ring_start(rig);
	unsigned pushed = 0;

	while (pushed < 0x10000 + 2 * RING) {
		unsigned n = pushed % 199 + 1;

		/* Once exactly to 2^16, where DMACOUNT becomes 0. */
		if (pushed < 0x10000 && pushed + n > 0x10000)
			n = 0x10000 - pushed;
		scramble(rig, ring.source, RING * 64);
		ring_push(rig, &ring, n);
		pushed += n;
		store(rig, IOAT_DMACOUNT, 2, (u16)pushed);
		assert_true(ring_await(rig, &ring));
		for (unsigned i = ring.head - n; i < ring.head; i++)
			assert_memory_equal(rig_at(rig, ring.source + i % RING * 64),
					    rig_at(rig, ring.destination + i % RING * 64), 64);
	}
	assert_int_equal(await_rest(rig), IOAT_DONE);
	assert_int_equal(rig_faults(rig), 0);
}

TEST(ioat, fills_with_a_pattern)
{
	struct model_rig *rig = *state;
	u64 destination = rig_alloc(rig, 1 << 20), iova;

	iova = copy_descriptor(rig, 0x1122334455667788, destination + 3, 300001);
	descriptor_at(rig, iova)->control = IOAT_OP_FILL << 24;
	start(rig, iova, 1);
	assert_int_equal(await_rest(rig), IOAT_DONE);
	for (u32 i = 0; i < 300001; i++)
		if (((u8 *)rig_at(rig, destination + 3))[i] != (u8)(0x1122334455667788 >> 8 * (i % 8)))
			fail_msg("byte %u is %#x", i, ((u8 *)rig_at(rig, destination + 3))[i]);
	assert_int_equal(((u8 *)rig_at(rig, destination))[2], 0);
	assert_int_equal(((u8 *)rig_at(rig, destination))[300004], 0);
}

/* ---- errors ---- */

static void expect_halt(struct model_rig *rig, u64 chain, u16 count, u32 errors)
{
	start(rig, chain, count);
	assert_int_equal(await_rest(rig), IOAT_HALTED);
	assert_int_equal(load(rig, IOAT_CHANERR, 4), errors);
	assert_int_equal(rig_config(rig, IOAT_CONFIG_CHANERR_INT, 4), errors);
	rig_set_config(rig, IOAT_CONFIG_CHANERR_INT, 4, errors);
	assert_int_equal(rig_config(rig, IOAT_CONFIG_CHANERR_INT, 4), 0);
	/* It stays halted until the error is cleared, bit by bit. */
	store(rig, IOAT_DMACOUNT, 2, 2);
	assert_int_equal(state_of(rig), IOAT_HALTED);
	store(rig, IOAT_CHANERR, 4, ~errors);
	assert_int_equal(load(rig, IOAT_CHANERR, 4), errors);
	store(rig, IOAT_CHANERR, 4, errors);
	assert_int_equal(load(rig, IOAT_CHANERR, 4), 0);
}

TEST(ioat, errors_of_descriptors_halt_the_channel)
{
	static const struct {
		u32 size, control;
		u64 source, destination;
		u32 errors;
	} bad[] = {
		{0, 0, 0, 0, IOAT_ERR_LENGTH},
		{0, IOAT_CONTROL_NULL, 0, 0, IOAT_ERR_LENGTH},
		{0x100001, 0, 0, 0, IOAT_ERR_LENGTH},
		{~0u, 0, 0, 0, IOAT_ERR_LENGTH},
		{64, 0x02000000, 0, 0, IOAT_ERR_CONTROL},
		{64, 0x87000000, 0, 0, IOAT_ERR_CONTROL}, /* XOR */
		{64, 0xff000000, 0, 0, IOAT_ERR_CONTROL},
		{64, 0x00000800, 0, 0, IOAT_ERR_CONTROL},
		{64, 0x00800000, 0, 0, IOAT_ERR_CONTROL},
		{64, 0, ~0ull, 0, IOAT_ERR_SOURCE_ADDRESS},
		{64, 0, 0ull - 63, 0, IOAT_ERR_SOURCE_ADDRESS},
		{64, 0, 0, 0ull - 63, IOAT_ERR_DESTINATION_ADDRESS},
		{64, 0, 0ull - 64, 0, IOAT_ERR_READ_DATA}, /* up to the last byte, but nobody mapped it */
		{64, 0, 0, 0ull - 64, IOAT_ERR_WRITE_DATA},
		{64, 0, RIG_UNMAPPED, 0, IOAT_ERR_READ_DATA},
		{64, 0, 0, RIG_UNMAPPED, IOAT_ERR_WRITE_DATA},
		{128, 0, RIG_MEMORY - 64, 0, IOAT_ERR_READ_DATA},
		{64, 0x01000000, 0, RIG_UNMAPPED, IOAT_ERR_WRITE_DATA},
	};
	struct model_rig *rig = *state;
	u64 iova = rig_alloc(rig, PAGE_SIZE);

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		*descriptor_at(rig, iova) = (struct ioat_descriptor){.size = bad[i].size,
								     .control = bad[i].control,
								     .source = bad[i].source,
								     .destination = bad[i].destination,
								     .next = iova};
		expect_halt(rig, iova, 7, bad[i].errors);
		assert_int_equal(load(rig, IOAT_CHANSTS, 8), IOAT_HALTED);
	}
	assert_int_equal(rig_faults(rig), 6);
	/* And it works again. */
	*descriptor_at(rig, iova) = (struct ioat_descriptor){.size = 64, .destination = 2 * PAGE_SIZE, .next = iova};
	start(rig, iova, 3);
	assert_int_equal(await_rest(rig), IOAT_DONE);
}

TEST(ioat, errors_of_chains_say_which_link)
{
	struct model_rig *rig = *state;
	u64 iova = copy_descriptor(rig, 0, 0x2000, 64);

	expect_halt(rig, iova + 8, 1, IOAT_ERR_CHAIN_ADDRESS);
	expect_halt(rig, RIG_UNMAPPED, 1, IOAT_ERR_CHAIN_ADDRESS);
	expect_halt(rig, 0ull - 64, 1, IOAT_ERR_CHAIN_ADDRESS);
	descriptor_at(rig, iova)->next = iova + 1;
	expect_halt(rig, iova, 2, IOAT_ERR_NEXT_ALIGNMENT);
	assert_int_equal(load(rig, IOAT_CHANSTS, 8), iova | IOAT_HALTED);
	descriptor_at(rig, iova)->next = RIG_UNMAPPED;
	expect_halt(rig, iova, 2, IOAT_ERR_NEXT_ADDRESS);
	assert_int_equal(load(rig, IOAT_CHANSTS, 8), iova | IOAT_HALTED);
	assert_int_equal(load(rig, IOAT_CDAR, 8), RIG_UNMAPPED);
	/* A link nobody follows does not matter. */
	start(rig, iova, 1);
	assert_int_equal(await_rest(rig), IOAT_DONE);
}

TEST(ioat, iova_zero_is_an_address_of_descriptors_too)
{
	struct model_rig *rig = *state;

	rig_alloc(rig, PAGE_SIZE);
	*descriptor_at(rig, 0) = (struct ioat_descriptor){.size = 64, .destination = 128, .next = 7};
	expect_halt(rig, 0, 2, IOAT_ERR_NEXT_ALIGNMENT);
}

TEST(ioat, a_fault_names_the_address)
{
	struct model_rig *rig = *state;
	u64 iova = copy_descriptor(rig, 0, RIG_MEMORY - 2 * PAGE_SIZE, 8 * PAGE_SIZE);

	expect_halt(rig, iova, 1, IOAT_ERR_WRITE_DATA);
	assert_int_equal(rig_faults(rig), 1);
	assert_int_equal(rig_last_fault(rig).iova, RIG_MEMORY);
	assert_int_equal(rig_last_fault(rig).direction, DMA_WRITE);
	rig_map_page(rig, RIG_UNMAPPED, 0, ISOLDE_PT_READ);
	iova = copy_descriptor(rig, 0, RIG_UNMAPPED, 64);
	expect_halt(rig, iova, 1, IOAT_ERR_WRITE_DATA);
	assert_int_equal(rig_last_fault(rig).reason, DMA_FAULT_PERMISSION);
}

TEST(ioat, errors_complete_and_interrupt_when_asked)
{
	struct model_rig *rig = *state;
	u64 iova = copy_descriptor(rig, RIG_UNMAPPED, 0x4000, 64), completion = rig_alloc(rig, 8);

	rig_interrupts(rig, PCI_IRQ_MSIX, 1);
	store(rig, IOAT_INTRCTRL, 1, MSIX);
	reset_channel(rig);
	store(rig, IOAT_CHANCMP, 8, completion);
	store(rig, IOAT_CHAINADDR, 8, iova);
	store(rig, IOAT_CHANCTRL, 2, RUN);
	*(u64 *)rig_at(rig, completion) = ~0ull;
	store(rig, IOAT_DMACOUNT, 2, 1);
	assert_true(rig_await_signal(rig, 0));
	assert_int_equal(*(u64 *)rig_at(rig, completion), IOAT_HALTED);
	/* A masked error is silent. */
	store(rig, IOAT_CHANERR, 4, ~0u);
	store(rig, IOAT_CHANERR_MASK, 4, IOAT_ERR_READ_DATA);
	store(rig, IOAT_CHANCTRL, 2, RUN);
	store(rig, IOAT_DMACOUNT, 2, 1);
	assert_int_equal(await_rest(rig), IOAT_HALTED);
	assert_int_equal(load(rig, IOAT_CHANERR, 4), IOAT_ERR_READ_DATA);
	assert_int_equal(rig_signals(rig, 0), 0);
}

TEST(ioat, completions_need_an_address)
{
	static const u64 bad[] = {4, RIG_UNMAPPED, 0ull - 8};
	struct model_rig *rig = *state;
	u64 iova = copy_descriptor(rig, 0, 0x4000, 64);

	descriptor_at(rig, iova)->control = IOAT_CONTROL_COMPLETION;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		reset_channel(rig);
		store(rig, IOAT_CHANCMP, 8, bad[i]);
		expect_halt(rig, iova, 1, IOAT_ERR_COMPLETION_ADDRESS);
		assert_int_equal(load(rig, IOAT_CHANSTS, 8), iova | IOAT_HALTED);
	}
	/* An error whose completion fails is two. */
	store(rig, IOAT_CHAINADDR, 8, 8);
	store(rig, IOAT_CHANCTRL, 2, RUN);
	store(rig, IOAT_DMACOUNT, 2, 1);
	assert_int_equal(await_rest(rig), IOAT_HALTED);
	assert_int_equal(load(rig, IOAT_CHANERR, 4), IOAT_ERR_CHAIN_ADDRESS | IOAT_ERR_COMPLETION_ADDRESS);
}

TEST(ioat, commands_of_other_versions_are_errors)
{
	struct model_rig *rig = *state;

	reset_channel(rig);
	store(rig, IOAT_CHANCMD, 1, 0x01);
	assert_int_equal(load(rig, IOAT_CHANERR, 4), IOAT_ERR_COMMAND);
	store(rig, IOAT_CHANCMD, 1, 0x06);
	assert_int_equal(state_of(rig), IOAT_HALTED);
	store(rig, IOAT_CHANCMD, 1, 0x21); /* a reset is a reset */
	assert_int_equal(load(rig, IOAT_CHANERR, 4), 0);
	store(rig, IOAT_CHANCMD, 1, IOAT_CHANCMD_SUSPEND);
	assert_int_equal(state_of(rig), IOAT_HALTED);
	assert_int_equal(load(rig, IOAT_CHANERR, 4), 0);
	assert_false(rig_access(rig, PCI_ACCESS_ENQUEUE, 0, 0x80, (u8[64]){0}, 64));
	assert_int_equal(state_of(rig), IOAT_HALTED);
}

/* ---- interrupts without MSI-X ---- */

TEST(ioat, whoever_reads_intrctrl_owns_the_interrupt)
{
	struct model_rig *rig = *state;
	u64 iova = copy_descriptor(rig, 0, 0x4000, 64);

	descriptor_at(rig, iova)->control = IOAT_CONTROL_INT;
	rig_interrupts(rig, PCI_IRQ_INTX, 1);
	store(rig, IOAT_INTRCTRL, 1, MASTER);
	start(rig, iova, 1);
	assert_true(rig_await_signal(rig, 0));
	assert_true(pci_irq_asserted(&rig->function.irq));
	assert_int_equal(load(rig, IOAT_INTRCTRL, 1), 0x07);
	assert_false(pci_irq_asserted(&rig->function.irq));
	assert_int_equal(load(rig, IOAT_INTRCTRL, 1), 0x02);
	/* Written back before the cause is gone, it comes again. */
	store(rig, IOAT_INTRCTRL, 1, 0x07);
	assert_true(pci_irq_asserted(&rig->function.irq));
	assert_int_equal(load(rig, IOAT_ATTNSTATUS, 4), 1);
	assert_int_equal(load(rig, IOAT_ATTNSTATUS, 4), 0);
	assert_false(pci_irq_asserted(&rig->function.irq));
	assert_int_equal(load(rig, IOAT_INTRCTRL, 1), 0x01);
}

TEST(ioat, msi_needs_the_master_bit)
{
	struct model_rig *rig = *state;
	u64 iova = copy_descriptor(rig, 0, 0x4000, 64);

	descriptor_at(rig, iova)->control = IOAT_CONTROL_INT;
	rig_interrupts(rig, PCI_IRQ_MSI, 1);
	start(rig, iova, 1);
	assert_int_equal(await_rest(rig), IOAT_DONE);
	assert_int_equal(rig_signals(rig, 0), 0);
	suspend(rig);
	store(rig, IOAT_INTRCTRL, 1, MASTER);
	start(rig, iova, 1);
	assert_int_equal(await_rest(rig), IOAT_DONE);
	assert_int_equal(rig_signals(rig, 0), 1);
}

/* ---- stopping ---- */

TEST(ioat, suspends_between_descriptors_and_starts_anew)
{
	struct model_rig *rig = *state;
	u64 iova = copy_descriptor(rig, 0, 4 << 20, 1 << 20);

	for (unsigned i = 0; i < 20; i++) {
		start(rig, iova, 0xffff);
		assert_int_equal(state_of(rig), IOAT_ACTIVE);
		suspend(rig);
		assert_int_equal(load(rig, IOAT_CHANERR, 4), 0);
	}
	start(rig, iova, 1);
	assert_int_equal(await_rest(rig), IOAT_DONE);
	/* Nothing is left of what was suspended. */
	store(rig, IOAT_DMACOUNT, 2, 2);
	assert_int_equal(await_rest(rig), IOAT_DONE);
}

TEST(ioat, resets_at_any_moment)
{
	struct model_rig *rig = *state;
	u64 iova = copy_descriptor(rig, 0, 4 << 20, 1 << 20);

	for (unsigned i = 0; i < 30; i++) {
		start(rig, iova, 0xffff);
		os_sleep_ns(i * 20000);
		if (i % 3 == 0) {
			rig_reset_function(rig);
			assert_int_equal(load(rig, IOAT_CHAINADDR, 8), 0);
			rig_set_command(rig, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		} else {
			reset_channel(rig);
		}
		/* No transfer after it. */
		memset(rig_at(rig, 4 << 20), 0xee, 1 << 20);
		os_sleep_ns(100000);
		for (unsigned at = 0; at < 1 << 20; at++)
			if (((u8 *)rig_at(rig, 4 << 20))[at] != 0xee)
				fail_msg("a byte was written after the reset");
	}
}

TEST(ioat, waits_for_bus_mastering)
{
	struct model_rig *rig = *state;
	u64 iova = copy_descriptor(rig, 0, 0x4000, 64);

	rig_set_command(rig, PCI_COMMAND_MEMORY);
	start(rig, iova, 1);
	os_sleep_ns(2000000);
	assert_int_equal(state_of(rig), IOAT_ACTIVE);
	rig_set_command(rig, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(await_rest(rig), IOAT_DONE);
	assert_int_equal(rig_faults(rig), 0);
}

TEST(ioat, works_for_one_program_after_the_other)
{
	struct model_rig *rig = *state;
	u64 iova = copy_descriptor(rig, 0, 4 << 20, 1 << 20);

	for (unsigned i = 0; i < 20; i++) {
		reset_channel(rig);
		start(rig, iova, i % 2 ? 0xffff : 3);
		if (i % 2 == 0)
			assert_int_equal(await_rest(rig), IOAT_DONE);
		rig_close(rig);
		rig_reset_function(rig);
		rig_open(rig);
		rig_set_command(rig, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	}
}

TEST(ioat, internal_errors_survive_a_function_reset)
{
	struct model_rig *rig = *state;

	start(rig, 8, 1);
	assert_int_equal(await_rest(rig), IOAT_HALTED);
	assert_int_equal(rig_config(rig, IOAT_CONFIG_CHANERR_INT, 4), IOAT_ERR_CHAIN_ADDRESS);
	rig_set_config(rig, IOAT_CONFIG_CHANERRMSK_INT, 4, 0x1234);
	rig_reset_function(rig);
	assert_int_equal(rig_config(rig, IOAT_CONFIG_CHANERR_INT, 4), IOAT_ERR_CHAIN_ADDRESS);
	assert_int_equal(rig_config(rig, IOAT_CONFIG_CHANERRMSK_INT, 4), 0x1234);
	assert_int_equal(rig_config(rig, IOAT_CONFIG_UNCERRSTS, 4), 0);
	assert_int_equal(load(rig, IOAT_CHANERR, 4), 0);
}

/* Whatever is stored wherever, and whatever the memory holds: it halts or it works, and then it resets. */
TEST(ioat, nonsense_is_survived)
{
	struct model_rig *rig = *state;
	u32 random = 12345;

	scramble(rig, 0, 64 << 10);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned width;

		random = random * 1664525 + 1013904223;
		width = 1u << (random >> 4 & 3);
		if (random >> 28 == 0) {
			store(rig, IOAT_CHAINADDR, 8, (random >> 6 & 0x3ff) * 64);
			store(rig, IOAT_DMACOUNT, 2, random >> 16);
		} else if (random >> 28 == 1) {
			reset_channel(rig);
		} else if (random >> 28 < 8) {
			load(rig, (u32)align_down(random >> 8 & 0xff, width), width);
		} else {
			store(rig, (u32)align_down(random >> 8 & 0xff, width), width, random * 0x9e3779b97f4a7c15ull);
		}
	}
	reset_channel(rig);
	start(rig, copy_descriptor(rig, 0, 8 << 20, 64), 100);
	assert_int_equal(await_rest(rig), IOAT_DONE);
}

#define TEST_CASE(name) cmocka_unit_test_setup_teardown(ioat_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_CASE(registers_are_those_of_a_skylake),
		TEST_CASE(a_chain_arms_a_halted_channel),
		TEST_CASE(a_machine_says_which_version),
		TEST_CASE(the_pages_of_the_vector_table_are_memory),
		TEST_CASE(copies_as_the_selftest_asks),
		TEST_CASE(one_interrupt_for_a_descriptor_that_asks),
		TEST_CASE(a_null_descriptor_gets_a_channel_going),
		TEST_CASE(the_count_goes_on_past_2_to_the_16th),
		TEST_CASE(fills_with_a_pattern),
		TEST_CASE(errors_of_descriptors_halt_the_channel),
		TEST_CASE(errors_of_chains_say_which_link),
		TEST_CASE(iova_zero_is_an_address_of_descriptors_too),
		TEST_CASE(a_fault_names_the_address),
		TEST_CASE(errors_complete_and_interrupt_when_asked),
		TEST_CASE(completions_need_an_address),
		TEST_CASE(commands_of_other_versions_are_errors),
		TEST_CASE(whoever_reads_intrctrl_owns_the_interrupt),
		TEST_CASE(msi_needs_the_master_bit),
		TEST_CASE(suspends_between_descriptors_and_starts_anew),
		TEST_CASE(resets_at_any_moment),
		TEST_CASE(waits_for_bus_mastering),
		TEST_CASE(works_for_one_program_after_the_other),
		TEST_CASE(internal_errors_survive_a_function_reset),
		TEST_CASE(nonsense_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
