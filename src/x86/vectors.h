/* SPDX-License-Identifier: MIT */
/*
 * The program's vector and mask registers, in the XSAVE image that the bus fetched. A part whose bit in XSTATE_BV is
 * clear is in its initial state: zeros, whatever lies at its place.
 */
#pragma once

#include "x86/step.h"

enum { VECTOR_BYTES = 64 };

/*
 * Fetches them. X86_UNKNOWN if they cannot be had, or the image has no place for a register the instruction names.
 */
enum x86_outcome vectors_fetch(struct step *step);

/* All 64 bytes, zeros where the CPU has no more. */
void vector_read(const struct step *step, ZydisRegister reg, u8 to[static VECTOR_BYTES]);

/* The legacy encodings write 16 bytes and leave what is above; the others write `width` and clear what is above. */
void vector_write(struct step *step, ZydisRegister reg, const u8 from[static VECTOR_BYTES], unsigned width);

u64 mask_read(const struct step *step, ZydisRegister reg);
void mask_write(struct step *step, ZydisRegister reg, u64 value);
