/* SPDX-License-Identifier: MIT */
/* The emulated device through its registers, on software memory of the test's own. */
#include "tests/helpers.h"

#include <sys/eventfd.h>

#include "dev/mcopy.h"
#include "iommu/soft.h"

#define BASE 0x10000ull /* the first address there is */
#define SIZE 0x80000ull

struct rig {
	struct pci_function function;
	struct soft_memory memory;
	u8 bytes[SIZE];
	u64 pinned, pinned_size; /* what the device has pinned */
	u64 hole;		 /* an address that cannot be reached; 0: none */
	bool read_only;
	unsigned moves, pinned_moves;
	int eventfd;
};

static bool reachable(const struct rig *rig, u64 iova, u64 size)
{
	if (iova < BASE || size > SIZE || iova - BASE > SIZE - size)
		return false;
	return !rig->hole || rig->hole < iova || rig->hole - iova >= size;
}

static enum dma_result rig_move(struct soft_memory *memory, u64 iova, void *buffer, u64 size, unsigned flags)
{
	struct rig *rig = memory->driver;

	rig->moves++;
	if (flags & SOFT_PINNED) {
		rig->pinned_moves++;
		assert_true(iova >= rig->pinned && iova + size <= rig->pinned + rig->pinned_size);
	}
	if (!reachable(rig, iova, size) || (rig->read_only && flags & SOFT_WRITE))
		return DMA_FAULT;
	if (flags & SOFT_WRITE)
		memcpy(rig->bytes + (iova - BASE), buffer, size);
	else
		memcpy(buffer, rig->bytes + (iova - BASE), size);
	return DMA_OK;
}

static enum dma_result rig_pin(struct soft_memory *memory, u64 iova, u64 size, unsigned flags)
{
	struct rig *rig = memory->driver;

	assert_int_equal(rig->pinned_size, 0);
	if (!reachable(rig, iova, size))
		return DMA_FAULT;
	rig->pinned = iova;
	rig->pinned_size = size;
	return DMA_OK;
}

static void rig_unpin(struct soft_memory *memory, u64 iova, u64 size)
{
	struct rig *rig = memory->driver;

	assert_true(iova == rig->pinned && size == rig->pinned_size);
	rig->pinned_size = 0;
}

static const struct soft_memory_ops rig_ops = {.move = rig_move, .pin = rig_pin, .unpin = rig_unpin};

static int set_up(void **state)
{
	static const struct model_options options;
	struct rig *rig = calloc(1, sizeof(*rig));
	struct why why = WHY_INIT;
	int vector;

	pci_function_init(&rig->function, (struct pci_addr){}, &mcopy_model.identity);
	mcopy_model.build(&rig->function, &options);
	ASSERT_OK(why, mcopy_model.attach_soft(&rig->function, &rig->memory, &options, &why));
	rig->memory.ops = &rig_ops;
	rig->memory.driver = rig;
	for (u64 i = 0; i < SIZE; i++)
		rig->bytes[i] = (u8)(i * 7 + i / 256);
	rig->eventfd = vector = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ASSERT_OK(why, pci_irq_enable(&rig->function.irq, PCI_IRQ_MSI, 1, &why));
	pci_irq_set_vector(&rig->function.irq, 0, dup(vector));
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	rig->function.ops->closed(&rig->function);
	assert_int_equal(rig->pinned_size, 0);
	pci_function_fini(&rig->function);
	close(rig->eventfd);
	free(rig);
	return 0;
}

static u32 load(struct rig *rig, unsigned offset)
{
	return rig->function.ops->io_read(&rig->function, 0, offset, 4);
}

static void store(struct rig *rig, unsigned offset, u32 value)
{
	rig->function.ops->io_write(&rig->function, 0, offset, 4, value);
}

static void store_address(struct rig *rig, unsigned offset, u64 value)
{
	store(rig, offset, (u32)value);
	store(rig, offset + 4, (u32)(value >> 32));
}

static u32 command(struct rig *rig, enum mcopy_command code, u64 source, u64 destination, u32 length)
{
	store_address(rig, MCOPY_SOURCE, source);
	store_address(rig, MCOPY_DESTINATION, destination);
	store(rig, MCOPY_LENGTH, length);
	store(rig, MCOPY_COMMAND, code);
	return load(rig, MCOPY_STATUS);
}

static unsigned interrupts(struct rig *rig)
{
	u64 count = 0;

	return read(rig->eventfd, &count, sizeof(count)) == sizeof(count) ? (unsigned)count : 0;
}

TEST(mcopy, registers_are_words_that_remember)
{
	struct rig *rig = *state;

	assert_int_equal(load(rig, MCOPY_MAGIC), MCOPY_MAGIC_VALUE);
	assert_int_equal(load(rig, MCOPY_VERSION), 1);
	store_address(rig, MCOPY_SOURCE, 0x123456789abcdef0);
	assert_int_equal(load(rig, MCOPY_SOURCE), 0x9abcdef0);
	assert_int_equal(load(rig, MCOPY_SOURCE + 4), 0x12345678);
	assert_int_equal(rig->function.ops->io_read(&rig->function, 0, MCOPY_SOURCE + 6, 2), 0x1234);
	store(rig, MCOPY_MAGIC, 7);
	assert_int_equal(load(rig, MCOPY_MAGIC), MCOPY_MAGIC_VALUE);
	/* Half a word is no register. */
	rig->function.ops->io_write(&rig->function, 0, MCOPY_SOURCE, 2, 1);
	assert_int_equal(load(rig, MCOPY_SOURCE), 0x9abcdef0);
	assert_int_equal(load(rig, MCOPY_BAR_SIZE - 4), 0);
	store(rig, MCOPY_BAR_SIZE - 4, 1);
	rig->function.ops->reset(&rig->function);
	assert_int_equal(load(rig, MCOPY_SOURCE), 0);
}

TEST(mcopy, copies_what_is_longer_than_a_piece)
{
	struct rig *rig = *state;
	u32 length = 200001;

	assert_int_equal(command(rig, MCOPY_COPY, BASE + 3, BASE + 0x40001, length), MCOPY_OK);
	assert_memory_equal(rig->bytes + 3, rig->bytes + 0x40001, length);
	assert_int_equal(load(rig, MCOPY_DONE), length);
	assert_int_equal(rig->pinned_moves, 0);
}

TEST(mcopy, fills_with_a_pattern)
{
	struct rig *rig = *state;
	u8 before = rig->bytes[0x1000 + 0x20006];

	store(rig, MCOPY_PATTERN, 0x44332211);
	assert_int_equal(command(rig, MCOPY_FILL, 0, BASE + 0x1000, 0x20006), MCOPY_OK);
	assert_memory_equal(rig->bytes + 0x1000, "\x11\x22\x33\x44\x11", 5);
	assert_memory_equal(rig->bytes + 0x1000 + 0x20004, "\x11\x22", 2);
	assert_int_equal(rig->bytes[0x1000 + 0x20006], before);
}

TEST(mcopy, says_what_was_out_of_reach)
{
	struct rig *rig = *state;

	assert_int_equal(command(rig, MCOPY_COPY, BASE - 8, BASE, 16), MCOPY_NO_SOURCE);
	assert_int_equal(command(rig, MCOPY_COPY, BASE, BASE + SIZE - 8, 16), MCOPY_NO_TARGET);
	assert_int_equal(command(rig, MCOPY_FILL, 0, 0, 16), MCOPY_NO_TARGET);
	assert_int_equal(command(rig, MCOPY_COPY, BASE, BASE, 0), MCOPY_BAD_COMMAND);
	assert_int_equal(command(rig, MCOPY_COPY, BASE, BASE, MCOPY_LONGEST + 1), MCOPY_BAD_COMMAND);
	assert_int_equal(command(rig, 99, BASE, BASE, 16), MCOPY_BAD_COMMAND);
	/* What arrived before is told. */
	rig->hole = BASE + 70000;
	assert_int_equal(command(rig, MCOPY_COPY, BASE, BASE + 0x40000, 200000), MCOPY_NO_SOURCE);
	assert_int_equal(load(rig, MCOPY_DONE), 65536);
	rig->hole = 0;
	rig->read_only = true;
	assert_int_equal(command(rig, MCOPY_COPY, BASE, BASE + 0x40000, 16), MCOPY_NO_TARGET);
	/* Nothing goes around the last address. */
	rig->moves = 0;
	assert_int_equal(command(rig, MCOPY_COPY, UINT64_MAX - 15, BASE, 17), MCOPY_NO_SOURCE);
	assert_int_equal(command(rig, MCOPY_COPY, BASE, UINT64_MAX - 15, 17), MCOPY_NO_TARGET);
	assert_int_equal(command(rig, MCOPY_FILL, 0, UINT64_MAX - 15, 17), MCOPY_NO_TARGET);
	assert_int_equal(command(rig, MCOPY_PIN, UINT64_MAX - 15, 0, 17), MCOPY_NO_WINDOW);
	assert_int_equal(rig->moves, 0);
	/* Nobody drives it. */
	rig->memory.ops = NULL;
	assert_int_equal(command(rig, MCOPY_COPY, BASE, BASE + 0x1000, 16), MCOPY_NO_SOURCE);
	assert_int_equal(command(rig, MCOPY_PIN, BASE, 0, 16), MCOPY_NO_WINDOW);
}

TEST(mcopy, a_window_is_moved_by_its_pinned_pages)
{
	struct rig *rig = *state;

	assert_int_equal(command(rig, MCOPY_UNPIN, 0, 0, 0), MCOPY_NO_WINDOW);
	assert_int_equal(command(rig, MCOPY_PIN, BASE - 4096, 0, 8192), MCOPY_NO_WINDOW);
	assert_int_equal(load(rig, MCOPY_WINDOW_SIZE), 0);
	assert_int_equal(command(rig, MCOPY_PIN, BASE + 0x2000, 0, 0x3000), MCOPY_OK);
	assert_int_equal(load(rig, MCOPY_WINDOW), BASE + 0x2000);
	assert_int_equal(load(rig, MCOPY_WINDOW_SIZE), 0x3000);
	assert_int_equal(command(rig, MCOPY_PIN, BASE, 0, 0x1000), MCOPY_NO_WINDOW);
	/* One side in it, then both, then one that sticks out. */
	assert_int_equal(command(rig, MCOPY_COPY, BASE + 0x4f00, BASE, 0x100), MCOPY_OK);
	assert_int_equal(rig->pinned_moves, 1);
	assert_int_equal(command(rig, MCOPY_COPY, BASE + 0x2000, BASE + 0x3000, 0x1000), MCOPY_OK);
	assert_int_equal(rig->pinned_moves, 3);
	assert_int_equal(command(rig, MCOPY_COPY, BASE + 0x4f01, BASE + 0x1fff, 0x100), MCOPY_OK);
	assert_int_equal(rig->pinned_moves, 3);
	assert_int_equal(command(rig, MCOPY_UNPIN, 0, 0, 0), MCOPY_OK);
	assert_int_equal(rig->pinned_size, 0);
}

TEST(mcopy, lets_go_of_what_is_unmapped)
{
	struct rig *rig = *state;

	store(rig, MCOPY_ENABLE, MCOPY_EVENT_LOST);
	assert_int_equal(command(rig, MCOPY_PIN, BASE + 0x2000, 0, 0x1000), MCOPY_OK);
	rig->memory.unmapped(rig->memory.device, BASE, 0x2000);
	rig->memory.unmapped(rig->memory.device, BASE + 0x3000, 0x1000);
	assert_int_equal(rig->pinned_size, 0x1000);
	assert_int_equal(interrupts(rig), 0);
	rig->memory.unmapped(rig->memory.device, BASE + 0x2fff, 1);
	assert_int_equal(rig->pinned_size, 0);
	assert_int_equal(load(rig, MCOPY_LOST), 1);
	assert_int_equal(interrupts(rig), 1);
	assert_int_equal(load(rig, MCOPY_EVENTS), MCOPY_EVENT_DONE | MCOPY_EVENT_LOST);
	/* All of it at once, as when the address space is replaced. */
	assert_int_equal(command(rig, MCOPY_PIN, BASE + 0x2000, 0, 0x1000), MCOPY_OK);
	rig->memory.unmapped(rig->memory.device, 0, UINT64_MAX);
	assert_int_equal(rig->pinned_size, 0);
	rig->memory.unmapped(rig->memory.device, 0, UINT64_MAX);
	assert_int_equal(load(rig, MCOPY_LOST), 2);
	/* A reset gives it back by itself, which is no loss. */
	assert_int_equal(command(rig, MCOPY_PIN, BASE + 0x2000, 0, 0x1000), MCOPY_OK);
	rig->function.ops->reset(&rig->function);
	assert_int_equal(rig->pinned_size, 0);
	assert_int_equal(load(rig, MCOPY_EVENTS), 0);
}

TEST(mcopy, interrupts_when_it_is_told_to)
{
	struct rig *rig = *state;
	struct why why = WHY_INIT;

	command(rig, MCOPY_COPY, BASE, BASE + 0x1000, 16);
	assert_int_equal(interrupts(rig), 0);
	store(rig, MCOPY_ENABLE, 0xffffffff);
	assert_int_equal(load(rig, MCOPY_ENABLE), MCOPY_EVENT_DONE | MCOPY_EVENT_LOST);
	command(rig, MCOPY_COPY, 0, BASE, 16);
	assert_int_equal(interrupts(rig), 1);
	/* INTx stays up until all is acknowledged. */
	pci_irq_disable(&rig->function.irq);
	ASSERT_OK(why, pci_irq_enable(&rig->function.irq, PCI_IRQ_INTX, 1, &why));
	pci_irq_set_vector(&rig->function.irq, 0, dup(rig->eventfd));
	command(rig, MCOPY_COPY, BASE, BASE + 0x1000, 16);
	assert_true(rig->function.irq.intx_asserted);
	store(rig, MCOPY_EVENTS, MCOPY_EVENT_DONE);
	assert_false(rig->function.irq.intx_asserted);
}

#define RIG_CASE(name) cmocka_unit_test_setup_teardown(mcopy_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_CASE(registers_are_words_that_remember),
		RIG_CASE(copies_what_is_longer_than_a_piece),
		RIG_CASE(fills_with_a_pattern),
		RIG_CASE(says_what_was_out_of_reach),
		RIG_CASE(a_window_is_moved_by_its_pinned_pages),
		RIG_CASE(lets_go_of_what_is_unmapped),
		RIG_CASE(interrupts_when_it_is_told_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
