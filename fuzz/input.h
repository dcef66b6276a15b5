/* SPDX-License-Identifier: MIT */
/* What a fuzz target reads its steps from. Behind its end all is 0. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include "base/bits.h"

struct input {
	const u8 *data; /* borrowed; what is left */
	size_t size;
};

static inline u8 input_byte(struct input *input)
{
	if (!input->size)
		return 0;
	input->size--;
	return *input->data++;
}

/* 24 bits */
static inline u32 input_word(struct input *input)
{
	u32 low = input_byte(input), middle = input_byte(input);

	return low | middle << 8 | (u32)input_byte(input) << 16;
}

/* Below limit, or now and then behind unmapped, where nothing is. */
static inline u64 input_address(struct input *input, u32 limit, u64 unmapped)
{
	u32 word = input_word(input);

	return word >> 20 == 0xf ? unmapped + word : word % limit;
}

/* Up to wanted bytes, as they are. */
static inline void input_copy(struct input *input, void *to, size_t wanted)
{
	size_t size = min_u64(wanted, input->size);

	memcpy(to, input->data, size);
	input->data += size;
	input->size -= size;
}

#endif
