/* SPDX-License-Identifier: MIT */
/*
 * An NVMe controller that is given anything: commands of both kinds of queues with any fields, doorbells, registers,
 * memory that is taken away. Nothing may keep it from being disabled.
 *
 * Input: steps, each a byte that says which and what it needs from the bytes behind it.
 */
#include "fuzz/input.h"
#include "tests/fixtures/nvme_driver.h"

enum { COMMANDS_MAX = 24 };

struct play {
	struct nvme_driver *driver;
	struct input input;
	bool mapped;
	unsigned pushed; /* since the queues were made */
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

/* Pages of the driver's, those of its queues among them, or nobody's. */
static u64 next_address(struct play *play)
{
	return input_address(&play->input, 1u << 20, NVME_UNMAPPED);
}

static void move_memory(struct play *play)
{
	if (play->mapped)
		driver_unmap(play->driver);
	else
		driver_map(play->driver);
	play->mapped = !play->mapped;
}

static void restart(struct play *play)
{
	if (!play->mapped)
		move_memory(play);
	driver_disable(play->driver);
	play->driver->allocated = 0;
	driver_enable(play->driver, ADMIN_ENTRIES);
	driver_create_queues(play->driver, 1, ADMIN_ENTRIES, 1);
	play->pushed = 0;
}

/* The rings are as long as what is pushed between two restarts: nobody takes completions out. */
static void push(struct play *play)
{
	static const u8 admin[] = {0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0a, 0x0c, 0x80};
	static const u8 io[] = {0x00, 0x01, 0x02, 0x04, 0x05, 0x08, 0x09};
	unsigned queue = next(play) & 1;
	u8 opcode = next(play), how = next(play);
	struct nvme_command command = {.opcode = queue ? io[opcode % sizeof(io)] : admin[opcode % sizeof(admin)]};
	u8 *bytes = (u8 *)&command;

	if (how & 1)
		command.opcode = opcode;
	put_u32(bytes + 4, how & 2 ? next(play) : queue);
	put_u64(bytes + 24, next_address(play) & ~(how & 4 ? 3ull : 0xfffull));
	put_u64(bytes + 32, how & 8 ? next_address(play) & ~7ull : 0);
	for (unsigned dword = 10; dword < 16; dword++)
		put_u32(bytes + 4 * dword, how & 16 && next(play) & 1 ? next_word(play) : next(play));
	if (++play->pushed >= COMMANDS_MAX)
		restart(play);
	driver_push(play->driver, queue, command);
	driver_ring(play->driver, queue);
}

static void store(struct play *play)
{
	unsigned offset = next(play) & 1 ? 0x1000 + next(play) % 32 * 4u : next(play) % 20 * 4u;

	driver_store(play->driver, offset, next_word(play));
}

static void scribble(struct play *play)
{
	u64 at = next_address(play) % (1u << 20);
	size_t wanted = next(play);

	input_copy(&play->input, play->driver->memory + at, wanted);
}

static void reset(struct play *play)
{
	driver_reset_function(play->driver);
	driver_set_command(play->driver, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	restart(play);
}

static void step(struct play *play)
{
	static void (*const steps[])(struct play *) = {push, push,  push,     push,	   push,
						       push, store, scribble, move_memory, reset};

	steps[next(play) % ARRAY_SIZE(steps)](play);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const options[] = {"size", "1M", NULL};
	struct play play = {.driver = nvme_driver_new(options), .input = {data, size}, .mapped = true};

	driver_set_command(play.driver, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	restart(&play);
	while (play.input.size)
		step(&play);
	if (!play.mapped)
		move_memory(&play);
	driver_disable(play.driver);
	nvme_driver_free(play.driver);
	return 0;
}
