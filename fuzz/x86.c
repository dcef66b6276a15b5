/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as an instruction, any registers, an XSAVE image of any size and contents. Memory is reached by the bus
 * only, which answers at some addresses and not at others; what is refused has changed nothing, and the work of one
 * call is bounded. The input: a head, then the code; and the image's bytes are made from both.
 */
#include "x86/x86.h"

#include <errno.h>
#include <stdlib.h>

#define ACCESSES_MAX 9000u /* of one call: 4096 elements, two accesses each */

struct head {
	u64 gpr[X86_GPRS];
	u64 rip, rflags, fs_base, gs_base;
	u16 xsave_size;
	u8 flags;    /* enum choice */
	u8 answered; /* of 256 accesses, roughly, how many */
} __attribute__((packed));

enum choice { HAS_VECTORS = 1, HAS_PASID = 2, ACCEPTS = 4, CAN_LOCK = 8, EVERYWHERE_PRECISE = 16 };

struct play {
	struct head head;
	u64 random;
	u8 *image; /* of exactly its size: the sanitizer sees a step beyond */
	size_t image_size;
	unsigned accesses, stores;
	int held;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): it must also hold in a build without assertions. */
static void expect(bool truth)
{
	if (!truth)
		abort();
}

static u64 next(struct play *play)
{
	play->random = play->random * 6364136223846793005ull + 1442695040888963407ull;
	return play->random >> 24;
}

static bool answers(struct play *play)
{
	return (next(play) & 0xff) <= play->head.answered;
}

static int access_memory(struct play *play, unsigned width)
{
	expect(width >= 1 && width <= X86_ACCESS_MAX);
	expect(++play->accesses <= ACCESSES_MAX);
	return answers(play) ? 0 : -EFAULT;
}

static bool bus_is_precise(void *context, u64 address)
{
	const struct play *play = context;

	return play->head.flags & EVERYWHERE_PRECISE || address >> 12 & 1;
}

static int bus_load(void *context, u64 address, void *to, unsigned width)
{
	struct play *play = context;
	int err = access_memory(play, width);

	for (unsigned i = 0; err == 0 && i < width; i++)
		((u8 *)to)[i] = (u8)next(play);
	return err;
}

/* All of what is stored is looked at: it must be there. */
static int bus_store(void *context, u64 address, const void *from, unsigned width)
{
	struct play *play = context;

	for (unsigned i = 0; i < width; i++)
		play->random += ((const u8 *)from)[i];
	play->stores++;
	return access_memory(play, width);
}

static int bus_enqueue(void *context, u64 address, const u8 from[64], bool *accepted)
{
	struct play *play = context;

	expect(address % 64 == 0);
	*accepted = play->head.flags & ACCEPTS;
	return bus_store(context, address, from, 64);
}

static bool bus_pasid(void *context, u32 *pasid)
{
	struct play *play = context;

	*pasid = (u32)next(play);
	return play->head.flags & HAS_PASID;
}

static bool bus_vectors(void *context, struct x86_state *state)
{
	struct play *play = context;

	if (!(play->head.flags & HAS_VECTORS))
		return false;
	for (size_t i = 0; i < play->image_size; i++)
		play->image[i] = (u8)next(play);
	if (play->image_size >= 528) /* else nearly all would be compacted */
		play->image[527] = (u8)((play->head.answered & 1) << 7);
	state->xsave = play->image;
	state->xsave_size = play->image_size;
	return true;
}

static void bus_lock(void *context, bool held)
{
	struct play *play = context;

	play->held += held ? 1 : -1;
	expect(play->held == held);
}

static void check(const struct play *play, const struct x86_state *before, const struct x86_state *after,
		  const struct x86_result *result, unsigned size)
{
	bool same = memcmp(before->gpr, after->gpr, sizeof(before->gpr)) == 0 && before->rflags == after->rflags;

	expect(play->held == 0);
	expect(result->length <= size);
	expect(memchr(result->text, 0, sizeof(result->text)) != NULL);
	expect(before->fs_base == after->fs_base && before->gs_base == after->gs_base);
	if (result->outcome == X86_DONE) {
		expect(result->length > 0);
		return;
	}
	expect(after->rip == before->rip && result->text[0] && !after->xsave_changed);
	if (result->outcome == X86_UNKNOWN)
		expect(play->accesses == 0);
	if (result->outcome == X86_DIVIDE || result->outcome == X86_PROTECTION)
		expect(play->stores == 0);
	if (result->outcome != X86_FAULT)
		expect(same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct play play = {.random = size};
	struct x86_state before = {0}, after;
	struct x86_bus bus = {
		.is_precise = bus_is_precise,
		.load = bus_load,
		.store = bus_store,
		.enqueue = bus_enqueue,
		.pasid = bus_pasid,
		.vectors = bus_vectors,
		.lock = bus_lock,
	};
	struct x86_result result;

	if (size < sizeof(play.head))
		return 0;
	memcpy(&play.head, data, sizeof(play.head));
	data += sizeof(play.head);
	size -= sizeof(play.head);
	if (size > X86_CODE_MAX)
		size = X86_CODE_MAX;
	memcpy(before.gpr, play.head.gpr, sizeof(before.gpr));
	before.rip = play.head.rip;
	before.rflags = play.head.rflags;
	before.fs_base = play.head.fs_base;
	before.gs_base = play.head.gs_base;
	if (!(play.head.flags & CAN_LOCK))
		bus.lock = NULL;
	play.image_size = play.head.xsave_size % 4096;
	play.image = malloc(play.image_size + 1);
	expect(play.image);
	after = before;
	x86_step(&after, data, (unsigned)size, &bus, &play, &result);
	check(&play, &before, &after, &result, (unsigned)size);
	free(play.image);
	return 0;
}
