/* SPDX-License-Identifier: MIT */
/*
 * Inside the layer: one instruction on its way. Handlers work on copies of the registers, which reach the program when
 * the handler says X86_DONE; so whatever fails has changed nothing, as on hardware. What a handler does to vector
 * registers and to memory comes after everything that can still fail.
 */
#pragma once

#include <Zydis/Zydis.h>

#include "x86/x86.h"

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

struct step {
	struct x86_state *state; /* as before */
	u64 gpr[X86_GPRS];	 /* as after */
	u64 rip, rflags;
	const struct x86_bus *bus;
	void *context;
	u64 fault_address;
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
enum x86_outcome operand_load(struct step *step, unsigned index, u64 *value);
enum x86_outcome operand_store(struct step *step, unsigned index, u64 value);

u64 segment_base(const struct step *step, ZydisRegister segment);
u64 width_mask(unsigned width);
u64 sign_extend(u64 value, unsigned width);

u64 gpr_read(const struct step *step, ZydisRegister reg);
void gpr_write(struct step *step, ZydisRegister reg, u64 value);

enum x86_outcome memory_load(struct step *step, u64 address, void *to, unsigned width);
enum x86_outcome memory_store(struct step *step, u64 address, const void *from, unsigned width);

/* The handlers. */
enum x86_outcome step_nothing(struct step *step, unsigned what);
enum x86_outcome step_mov(struct step *step, unsigned what);
enum x86_outcome step_movsx(struct step *step, unsigned what);
enum x86_outcome step_movbe(struct step *step, unsigned what);
enum x86_outcome step_xchg(struct step *step, unsigned what);
enum x86_outcome step_movdir64b(struct step *step, unsigned what);
enum x86_outcome step_enqcmd(struct step *step, unsigned what);
enum x86_outcome step_enqcmds(struct step *step, unsigned what);
