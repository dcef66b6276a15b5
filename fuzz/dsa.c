/* SPDX-License-Identifier: MIT */
/*
 * A DSA that is given anything: descriptors and batches of them, stores to its registers, commands, resets. Nothing may
 * keep it from draining, a status is one that there is, and not more is completed than was asked for.
 *
 * Input: steps, each a byte that says which and what it needs from the bytes behind it. Operands lie in the first
 * 512 KiB, or now and then where nothing is mapped; records lie behind.
 */
#include "fuzz/input.h"
#include "tests/fixtures/dsa_driver.h"

#define OPERANDS 0x80000u
#define RECORDS	 0x100000u
#define BATCH	 0x200000u

enum { REGISTERS = 0, BATCH_MAX = 8 };

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

/* The operation's own operands, so that it gets far. */
static void shape(struct play *play, struct dsa_descriptor *descriptor)
{
	u8 *specific = descriptor->specific;

	switch (dsa_opcode(descriptor)) {
	case DSA_OP_CREATE_DELTA:
		put_u64(specific, next_address(play) & ~7ull);
		put_u32(specific + 8, DSA_DELTA_MIN + next(play) * DSA_DELTA_ENTRY);
		break;
	case DSA_OP_APPLY_DELTA: /* often of the deltas that are there */
		put_u64(specific, (1 + next(play)) * DSA_DELTA_ENTRY);
		descriptor->source &= ~7ull;
		descriptor->destination &= ~7ull;
		break;
	case DSA_OP_DUALCAST:
		put_u64(specific, (next_address(play) & ~0xfffull) | (descriptor->destination & 0xfff));
		break;
	case DSA_OP_CACHE_FLUSH:
		descriptor->source = 0;
		break;
	case DSA_OP_CRC:
		descriptor->destination = 0;
		break;
	default:
		break;
	}
}

static struct dsa_descriptor next_descriptor(struct play *play)
{
	static const u8 opcodes[] = {DSA_OP_NOOP,	  DSA_OP_DRAIN,	      DSA_OP_MOVE,
				     DSA_OP_FILL,	  DSA_OP_COMPARE,     DSA_OP_COMPARE_PATTERN,
				     DSA_OP_CREATE_DELTA, DSA_OP_APPLY_DELTA, DSA_OP_DUALCAST,
				     DSA_OP_CRC,	  DSA_OP_COPY_CRC,    DSA_OP_DIF_CHECK,
				     DSA_OP_DIF_INSERT,	  DSA_OP_DIF_STRIP,   DSA_OP_DIF_UPDATE,
				     DSA_OP_CACHE_FLUSH,  DSA_OPCODES};
	u8 opcode = opcodes[next(play) % ARRAY_SIZE(opcodes)], how = next(play);
	struct dsa_descriptor descriptor = {
		.flags = (u32)opcode << 24 | DSA_RECORD_VALID | DSA_WANT_RECORD,
		.record = RECORDS + next(play) * 32u,
		.source = next_address(play),
		.destination = next_address(play),
	};

	if (how & 1)
		descriptor.flags ^= next_word(play);
	if (how & 2)
		descriptor.source &= ~7ull, descriptor.destination &= ~7ull;
	descriptor.size = next(play) | (u32)next(play) << 8;
	if (how & 4) /* as delta records and blocks of data want it */
		descriptor.size &= ~0x1ffu;
	if (how & 8)
		for (size_t i = 0; i < sizeof(descriptor.specific); i++)
			descriptor.specific[i] = next(play);
	if (how & 0x30)
		shape(play, &descriptor);
	return descriptor;
}

static void expect(bool truth)
{
	if (!truth)
		abort();
}

static void judge(const struct play *play, const struct dsa_descriptor *descriptor)
{
	const struct dsa_record *record;

	if (descriptor->record < RECORDS || descriptor->record >= BATCH)
		return;
	record = rig_at(play->rig, descriptor->record);
	expect((record->status & 0x7f) <= DSA_BAD_PRIVILEGE);
	if (dsa_opcode(descriptor) == DSA_OP_MOVE || dsa_opcode(descriptor) == DSA_OP_FILL)
		expect(record->completed <= descriptor->size);
}

static void drain(struct play *play)
{
	dsa_driver_command(play->rig, DSA_DRAIN_ALL, 0);
}

static void submit(struct play *play)
{
	struct dsa_descriptor descriptor = next_descriptor(play);

	memset(rig_at(play->rig, RECORDS), 0, 256 * sizeof(struct dsa_record));
	dsa_driver_submit(play->rig, next(play) % 16 ? 0 : 1, next(play) % 4, &descriptor);
	drain(play);
	judge(play, &descriptor);
}

static void submit_batch(struct play *play)
{
	struct dsa_descriptor *list = rig_at(play->rig, BATCH);
	struct dsa_descriptor batch = {
		.flags = (u32)DSA_OP_BATCH << 24 | DSA_RECORD_VALID | DSA_WANT_RECORD,
		.record = RECORDS + 256 * sizeof(struct dsa_record),
		.source = BATCH,
		.size = 1 + next(play) % BATCH_MAX,
	};

	for (unsigned i = 0; i < BATCH_MAX; i++)
		list[i] = next_descriptor(play);
	if (next(play) % 8 == 0)
		batch.flags ^= next_word(play);
	dsa_driver_submit(play->rig, 0, 0, &batch);
	drain(play);
	judge(play, &batch);
}

/* What operations read: random, or all alike. */
static void scribble(struct play *play)
{
	u64 at = next_address(play) % OPERANDS;
	size_t wanted = next(play);

	input_copy(&play->input, rig_at(play->rig, at), wanted);
}

static void store_register(struct play *play)
{
	static const u16 tables[] = {0, DSA_GENCFG, DSA_GRPCFG, DSA_WQCFG, DSA_MSIXPERM};
	unsigned offset = tables[next(play) % ARRAY_SIZE(tables)] + next(play), width = 1u << next(play) % 4;
	u64 value = next_word(play) | (u64)next_word(play) << 24;

	rig_store(play->rig, REGISTERS, offset & ~(width - 1), width, value);
	(void)rig_load(play->rig, REGISTERS, offset & ~(width - 1), width);
	/* It may have been a command. */
	expect(rig_await(play->rig, REGISTERS, DSA_CMDSTS, 4, DSA_CMDSTS_ACTIVE, 0));
}

static void command(struct play *play)
{
	enum dsa_command which = next(play) % 32;

	dsa_driver_command(play->rig, which, next(play) % 4 ? 1u << next(play) % 20 : 0);
}

static void restart(struct play *play)
{
	struct dsa_queue queue = {.size = 64, .priority = 1, .transfer_shift = 31, .batch_shift = 10};
	u8 how = next(play);

	rig_reset_function(play->rig);
	rig_set_command(play->rig, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	queue.shared = how & 1;
	queue.pasid = how & 2 ? 5 : 0;
	queue.threshold = 32;
	if (how & 4)
		queue.transfer_shift = how >> 3;
	dsa_driver_command(play->rig, DSA_RESET_DEVICE, 0);
	dsa_driver_configure(play->rig, 0, &queue);
	dsa_driver_group(play->rig, 1);
	dsa_driver_command(play->rig, DSA_ENABLE_DEVICE, 0);
	dsa_driver_command(play->rig, DSA_ENABLE_WQ, 0);
}

static void step(struct play *play)
{
	static void (*const steps[])(struct play *) = {submit,	       submit,	     submit,	   submit,
						       submit,	       submit_batch, submit_batch, scribble,
						       store_register, command,	     restart};

	steps[next(play) % ARRAY_SIZE(steps)](play);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct play play = {.rig = rig_new("dsa", NULL), .input = {data, size}};

	rig_interrupts(play.rig, PCI_IRQ_MSIX, 9);
	dsa_driver_start(play.rig);
	while (play.input.size)
		step(&play);
	rig_free(play.rig);
	return 0;
}
