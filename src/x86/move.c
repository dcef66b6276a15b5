/* SPDX-License-Identifier: MIT */
/* Integers from here to there. */
#include "x86/step.h"

/* Prefetches, flushes of a cache line: they have no effect on registers of a device. */
enum x86_outcome step_nothing(struct step *step, unsigned what)
{
	return X86_DONE;
}

/* Also without a sign: what is loaded is extended by zeros. */
enum x86_outcome step_mov(struct step *step, unsigned what)
{
	u64 value;
	enum x86_outcome outcome = operand_load(step, 1, &value);

	return outcome ? outcome : operand_store(step, 0, value);
}

enum x86_outcome step_movsx(struct step *step, unsigned what)
{
	u64 value;
	enum x86_outcome outcome = operand_load(step, 1, &value);

	return outcome ? outcome : operand_store(step, 0, sign_extend(value, operand_width(step, 1)));
}

enum x86_outcome step_movbe(struct step *step, unsigned what)
{
	u64 value;
	enum x86_outcome outcome = operand_load(step, 1, &value);

	if (outcome)
		return outcome;
	return operand_store(step, 0, __builtin_bswap64(value) >> (64 - 8 * operand_width(step, 1)));
}

enum x86_outcome step_xchg(struct step *step, unsigned what)
{
	unsigned memory = operand_is_memory(step, 1), other = !memory;
	u64 from_memory, from_other;
	enum x86_outcome outcome = operand_load(step, memory, &from_memory);

	if (!outcome)
		outcome = operand_load(step, other, &from_other);
	if (!outcome)
		outcome = operand_store(step, memory, from_other);
	return outcome ? outcome : operand_store(step, other, from_memory);
}

/* AL = DS:[RBX + AL]; the operand is hidden, and its index may come without a scale. */
enum x86_outcome step_xlat(struct step *step, unsigned what)
{
	unsigned memory = operand_is_memory(step, 0) ? 0 : 1;
	u64 index = step->operands[memory].mem.scale ? 0 : gpr_read(step, ZYDIS_REGISTER_AL);
	u8 value;
	enum x86_outcome outcome = memory_load(step, operand_address_at(step, memory, index), &value, sizeof(value));

	if (!outcome)
		gpr_write(step, ZYDIS_REGISTER_AL, value);
	return outcome;
}
