/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic with flags, computed here and not by the CPU we run on: that would take code made at run time, or one
 * piece of assembly for each operation and width, and could not run elsewhere. tests/unit/x86/cpu.c compares each with
 * the CPU. Flags a manual calls undefined are left as they were, or become what most CPUs make of them.
 *
 * Values of `width` bytes come and go with the bits above it clear.
 */
#pragma once

#include "base/bits.h"

enum {
	X86_CF = 1 << 0,
	X86_PF = 1 << 2,
	X86_AF = 1 << 4,
	X86_ZF = 1 << 6,
	X86_SF = 1 << 7,
	X86_DF = 1 << 10,
	X86_OF = 1 << 11,
	X86_ARITHMETIC = X86_CF | X86_PF | X86_AF | X86_ZF | X86_SF | X86_OF,
};

enum alu_binary { ALU_ADD, ALU_ADC, ALU_SUB, ALU_SBB, ALU_CMP, ALU_AND, ALU_OR, ALU_XOR, ALU_TEST };
enum alu_shift { ALU_SHL, ALU_SHR, ALU_SAR, ALU_ROL, ALU_ROR, ALU_RCL, ALU_RCR };

u64 width_mask(unsigned width);
u64 sign_extend(u64 value, unsigned width);
void flags_set(u64 *flags, u64 mask, bool value);

/* SF, ZF and PF say what the result is. */
void flags_of_result(u64 *flags, u64 result, unsigned width);

u64 alu_binary(enum alu_binary operation, u64 a, u64 b, unsigned width, u64 *flags);

/* As the count comes: only its lower 5 or 6 bits count, and 0 leaves all flags. */
u64 alu_shift(enum alu_shift operation, u64 value, u64 count, unsigned width, u64 *flags);

/* SHLD: the bits of `from` come in at the bottom, its highest first; SHRD: at the top. */
u64 alu_shift_double(bool left, u64 value, u64 from, u64 count, unsigned width, u64 *flags);

/* The condition as instructions encode it: 0 is O, 15 NLE. */
bool alu_condition(unsigned condition, u64 flags);

/* Bits under the mask gathered at the bottom, and back. */
u64 alu_extract(u64 value, u64 mask);
u64 alu_deposit(u64 value, u64 mask);

/* CRC32C, bit by bit reflected, as the instruction leaves it. */
u32 alu_crc32(u32 crc, u64 value, unsigned width);
