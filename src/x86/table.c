/* SPDX-License-Identifier: MIT */
/* Which handler carries out which instruction. What is not here is reported as unknown. */
#include "x86/step.h"

#define ROW(mnemonic, ...) [ZYDIS_MNEMONIC_##mnemonic] = {__VA_ARGS__}

static const struct instruction_row rows[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
	ROW(MOV, step_mov),
	ROW(MOVZX, step_mov),
	ROW(MOVNTI, step_mov),
	ROW(MOVDIRI, step_mov),
	ROW(MOVSX, step_movsx),
	ROW(MOVSXD, step_movsx),
	ROW(MOVBE, step_movbe),
	ROW(XCHG, step_xchg),

	ROW(MOVDIR64B, step_movdir64b),
	ROW(ENQCMD, step_enqcmd),
	ROW(ENQCMDS, step_enqcmds),

	ROW(PREFETCH, step_nothing),
	ROW(PREFETCHW, step_nothing),
	ROW(PREFETCHWT1, step_nothing),
	ROW(PREFETCHNTA, step_nothing),
	ROW(PREFETCHT0, step_nothing),
	ROW(PREFETCHT1, step_nothing),
	ROW(PREFETCHT2, step_nothing),
	ROW(CLFLUSH, step_nothing),
	ROW(CLFLUSHOPT, step_nothing),
	ROW(CLWB, step_nothing),
	ROW(CLDEMOTE, step_nothing),
	ROW(NOP, step_nothing),
};

struct instruction_row instruction_find(ZydisMnemonic mnemonic)
{
	return (size_t)mnemonic < ARRAY_SIZE(rows) ? rows[mnemonic] : (struct instruction_row){NULL};
}
