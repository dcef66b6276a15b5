/* SPDX-License-Identifier: MIT */
/*
 * Inside the layer: one instruction on its way. Handlers work on copies of the registers, which reach the program when
 * the handler says X86_DONE; so whatever fails has changed nothing, as on hardware. What a handler does to vector
 * registers and to memory comes after everything that can still fail.
 */
#pragma once

#include <Zydis/Zydis.h>

#include "x86/alu.h"
#include "x86/x86.h"

struct step {
	struct x86_state *state; /* as before */
	u64 gpr[X86_GPRS];	 /* as after */
	u64 rip, rflags;
	bool has_progress; /* a repetition that stops in the middle: registers reach the program all the same */
	const struct x86_bus *bus;
	void *context;
	u64 fault_address;
	u32 vector_part[8]; /* of the XSAVE image: where each lies, 0 if it is out of reach */
	ZydisDecodedInstruction instruction;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

/* All return X86_DONE, which is 0, or what stopped them. */
typedef enum x86_outcome instruction_handler(struct step *step, unsigned what);

struct instruction_row {
	instruction_handler *handler; /* NULL: unknown */
	unsigned what;		      /* one handler can do several */
};

struct instruction_row instruction_find(ZydisMnemonic mnemonic);

/* Operands, counted as the manuals write them; widths in bytes. Addresses are linear. */
bool operand_is_memory(const struct step *step, unsigned index);
unsigned operand_width(const struct step *step, unsigned index);
u64 operand_address(const struct step *step, unsigned index);
u64 operand_address_at(const struct step *step, unsigned index, u64 displacement);
enum x86_outcome operand_load(struct step *step, unsigned index, u64 *value);
enum x86_outcome operand_store(struct step *step, unsigned index, u64 value);

u64 segment_base(const struct step *step, ZydisRegister segment);

bool is_gpr(ZydisRegister reg);
bool is_vector(ZydisRegister reg);
u64 gpr_read(const struct step *step, ZydisRegister reg);
void gpr_write(struct step *step, ZydisRegister reg, u64 value);

enum x86_outcome memory_load(struct step *step, u64 address, void *to, unsigned width);
enum x86_outcome memory_store(struct step *step, u64 address, const void *from, unsigned width);

/*
 * The handlers. Those that do several things are told which: a condition, an enum alu_binary, a bit of their own.
 */
enum { UNARY_INC, UNARY_DEC, UNARY_NEG, UNARY_NOT };
enum { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };
enum { COUNT_BSF, COUNT_BSR, COUNT_POPCNT, COUNT_LZCNT, COUNT_TZCNT };
enum { LOWEST_ALONE, LOWEST_CLEARED, LOWEST_MASK };
enum { BMI_ANDN, BMI_BEXTR, BMI_BZHI, BMI_PDEP, BMI_PEXT, BMI_SHIFT /* + enum alu_shift */ };
enum lane_operation {
	LANE_AND,
	LANE_ANDN,
	LANE_OR,
	LANE_XOR,
	LANE_ADD,
	LANE_SUB,
	LANE_EQUAL,
	LANE_GREATER,
	LANE_MIN_SIGNED,
	LANE_MIN,
	LANE_MAX_SIGNED,
	LANE_MAX,
	LANE_TEST,
	LANE_TEST_NOT,
};
enum string_operation { STRING_MOVS, STRING_STOS, STRING_LODS, STRING_CMPS, STRING_SCAS };

enum x86_outcome step_nothing(struct step *step, unsigned what);
enum x86_outcome step_mov(struct step *step, unsigned what);
enum x86_outcome step_movsx(struct step *step, unsigned what);
enum x86_outcome step_movbe(struct step *step, unsigned what);
enum x86_outcome step_xchg(struct step *step, unsigned what);
enum x86_outcome step_xlat(struct step *step, unsigned what);
enum x86_outcome step_movdir64b(struct step *step, unsigned what);
enum x86_outcome step_enqcmd(struct step *step, unsigned what);
enum x86_outcome step_enqcmds(struct step *step, unsigned what);
enum x86_outcome step_binary(struct step *step, unsigned what);
enum x86_outcome step_unary(struct step *step, unsigned what);
enum x86_outcome step_shift(struct step *step, unsigned what);
enum x86_outcome step_shift_double(struct step *step, unsigned what);
enum x86_outcome step_xadd(struct step *step, unsigned what);
enum x86_outcome step_cmpxchg(struct step *step, unsigned what);
enum x86_outcome step_cmpxchg_pair(struct step *step, unsigned what);
enum x86_outcome step_multiply(struct step *step, unsigned what);
enum x86_outcome step_multiply_wide(struct step *step, unsigned what);
enum x86_outcome step_divide(struct step *step, unsigned what);
enum x86_outcome step_add_carry(struct step *step, unsigned what);
enum x86_outcome step_bit(struct step *step, unsigned what);
enum x86_outcome step_count(struct step *step, unsigned what);
enum x86_outcome step_lowest(struct step *step, unsigned what);
enum x86_outcome step_bmi(struct step *step, unsigned what);
enum x86_outcome step_mulx(struct step *step, unsigned what);
enum x86_outcome step_crc32(struct step *step, unsigned what);
enum x86_outcome step_cmov(struct step *step, unsigned what);
enum x86_outcome step_setcc(struct step *step, unsigned what);
enum x86_outcome step_push(struct step *step, unsigned what);
enum x86_outcome step_pop(struct step *step, unsigned what);
enum x86_outcome step_jmp(struct step *step, unsigned what);
enum x86_outcome step_call(struct step *step, unsigned what);
enum x86_outcome step_string(struct step *step, unsigned what);
enum x86_outcome step_string_or_vector(struct step *step, unsigned what);
enum x86_outcome step_vector(struct step *step, unsigned what);
enum x86_outcome step_scalar(struct step *step, unsigned what);
enum x86_outcome step_half(struct step *step, unsigned what);
enum x86_outcome step_broadcast(struct step *step, unsigned what);
enum x86_outcome step_duplicate(struct step *step, unsigned what);
enum x86_outcome step_extend(struct step *step, unsigned what);
enum x86_outcome step_extract(struct step *step, unsigned what);
enum x86_outcome step_insert(struct step *step, unsigned what);
enum x86_outcome step_insertps(struct step *step, unsigned what);
enum x86_outcome step_maskmov(struct step *step, unsigned what);
enum x86_outcome step_maskmovdqu(struct step *step, unsigned what);
enum x86_outcome step_kmov(struct step *step, unsigned what);
enum x86_outcome step_lanes(struct step *step, unsigned what);
enum x86_outcome step_compare_lanes(struct step *step, unsigned what);
enum x86_outcome step_ptest(struct step *step, unsigned what);
enum x86_outcome step_ternary(struct step *step, unsigned what);
