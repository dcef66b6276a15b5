/* SPDX-License-Identifier: MIT */
/*
 * An IOAT channel that is given anything: chains of descriptors that lead anywhere, stores to its registers, resets,
 * and states of another one to go on from. Nothing may keep it from being suspended.
 *
 * Input: steps, each a byte that says which and what it needs from the bytes behind it.
 */
#include "dev/ioat_regs.h"
#include "fuzz/input.h"
#include "tests/fixtures/model_rig.h"

#define OPERANDS    0x80000u
#define CHAIN	    0x100000u
#define DESCRIPTORS 64u

struct play {
	struct model_rig *rig;
	struct input input;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static u8 next(struct play *play)
{
	return input_byte(&play->input);
}

static u32 next_word(struct play *play)
{
	return input_word(&play->input);
}

static u64 next_address(struct play *play)
{
	return input_address(&play->input, OPERANDS, RIG_UNMAPPED);
}

static void expect(bool truth)
{
	if (!truth)
		abort();
}

static void suspend(struct play *play)
{
	rig_store(play->rig, 0, IOAT_CHANCMD, 1, IOAT_CHANCMD_SUSPEND);
	for (unsigned i = 0; (rig_load(play->rig, 0, IOAT_CHANSTS, 8) & 7) == IOAT_ACTIVE; i++) {
		expect(i < 60000);
		usleep(1000);
	}
}

static u64 next_link(struct play *play)
{
	u8 link = next(play);

	return link == 255 ? next_address(play) : CHAIN + link % DESCRIPTORS * sizeof(struct ioat_descriptor);
}

static void write_descriptors(struct play *play)
{
	struct ioat_descriptor *chain = rig_at(play->rig, CHAIN);
	unsigned count = 1 + next(play) % 8, first = next(play);

	for (unsigned i = 0; i < count; i++) {
		struct ioat_descriptor *descriptor = &chain[(first + i) % DESCRIPTORS];
		u8 how = next(play);

		descriptor->size = how & 1 ? next(play) : next_word(play);
		descriptor->control = how & 2 ? next_word(play) << 8 | next(play)
					      : (u32)(how >> 6 & 1) << 24 | (how >> 2 & 0x3f);
		descriptor->source = next_address(play);
		descriptor->destination = next_address(play);
		descriptor->next = next_link(play);
	}
}

static void run(struct play *play)
{
	u64 chain = next_link(play);
	u16 count = next(play);

	rig_store(play->rig, 0, IOAT_CHANCMD, 1, IOAT_CHANCMD_RESET);
	rig_store(play->rig, 0, IOAT_CHANCMP, 8, next_address(play) & ~7ull);
	rig_store(play->rig, 0, IOAT_CHAINADDR, 8, chain);
	rig_store(play->rig, 0, IOAT_CHANCTRL, 2, next(play));
	rig_store(play->rig, 0, IOAT_DMACOUNT, 2, count);
	if (next(play) & 1)
		suspend(play);
}

static void more(struct play *play)
{
	rig_store(play->rig, 0, IOAT_DMACOUNT, 2, next_word(play) & 0xffff);
}

static void store_register(struct play *play)
{
	unsigned width = 1u << next(play) % 4, offset = next(play) & ~(width - 1);

	rig_store(play->rig, 0, offset, width, next_word(play) | (u64)next_word(play) << 32);
	(void)rig_load(play->rig, 0, offset, width);
}

static void restart(struct play *play)
{
	rig_reset_function(play->rig);
	rig_set_command(play->rig, PCI_COMMAND_MEMORY | (next(play) % 8 ? PCI_COMMAND_MASTER : 0));
}

/* As migration does it, with some bytes changed. */
static void move(struct play *play)
{
	const struct pci_migration_ops *ops = play->rig->function.migration;
	static u8 record[PCI_MIGRATION_RECORD];
	struct why why = WHY_INIT;
	unsigned changes = next(play) % 8;
	size_t size;

	mutex_lock(&play->rig->machine);
	ops->activity(&play->rig->function, PCI_STOPPED);
	size = ops->save(&play->rig->function, record);
	for (unsigned i = 0; size && i < changes; i++) {
		size_t at = next_word(play) % size;

		record[at] = next(play);
	}
	expect(ops->load(&play->rig->function, record, size, &why) == 0 || why.code == WHY_DEVICE_STATE);
	ops->activity(&play->rig->function, PCI_ACTIVE);
	mutex_unlock(&play->rig->machine);
}

static void step(struct play *play)
{
	static void (*const steps[])(struct play *) = {write_descriptors, write_descriptors, run,  run, run, more,
						       store_register,	  restart,	     move, move};

	steps[next(play) % ARRAY_SIZE(steps)](play);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const options[] = {"migration", "true", NULL};
	struct play play = {.rig = rig_new("ioat", options), .input = {data, size}};

	rig_interrupts(play.rig, PCI_IRQ_MSIX, 1);
	while (play.input.size)
		step(&play);
	suspend(&play);
	rig_free(play.rig);
	return 0;
}
