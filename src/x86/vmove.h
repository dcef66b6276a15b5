/* SPDX-License-Identifier: MIT */
/* What instructions with a vector and memory have in common: which is which, and the elements a mask lets through. */
#pragma once

#include "x86/vectors.h"

struct vmove {
	unsigned memory; /* operand */
	bool is_store;
	u64 address;
	unsigned width;			/* of the memory */
	unsigned element, vector_bytes; /* of the first vector register: what the mask counts */
	ZydisRegister reg, second;	/* vector registers as they are named */
	u64 active;			/* elements; all if there is no mask */
	bool zeroing;			/* those that are not become zeros; they stay otherwise */
};

/* Finds out. X86_UNKNOWN: registers only, or vectors that cannot be had. */
enum x86_outcome vmove_begin(struct step *step, struct vmove *move);

bool vmove_has_active(const struct vmove *move);

/* Elements from or to the memory's address. What is not active stays in `to`; what is adjacent makes one access. */
enum x86_outcome vmove_load(struct step *step, const struct vmove *move, u8 *to, unsigned element, unsigned count);
enum x86_outcome vmove_store(struct step *step, const struct vmove *move, const u8 *from, unsigned element,
			     unsigned count);

/* One element of `width` bytes, loaded if anybody wants it, as often as the register has place. */
enum x86_outcome vmove_load_repeated(struct step *step, const struct vmove *move, u8 to[static VECTOR_BYTES]);

/* The first register gets the elements that are active. */
void vmove_write(struct step *step, const struct vmove *move, const u8 value[static VECTOR_BYTES]);
