/* SPDX-License-Identifier: MIT */
/* What depends on conditions, uses the stack or goes elsewhere. */
#include "x86/step.h"

/* The source is loaded whether it is wanted or not, and four bytes are extended whether they are new or not. */
enum x86_outcome step_cmov(struct step *step, unsigned condition)
{
	u64 value, old;
	enum x86_outcome outcome = operand_load(step, 1, &value);

	if (!outcome)
		outcome = operand_load(step, 0, &old);
	if (outcome)
		return outcome;
	return operand_store(step, 0, alu_condition(condition, step->rflags) ? value : old);
}

enum x86_outcome step_setcc(struct step *step, unsigned condition)
{
	return operand_store(step, 0, alu_condition(condition, step->rflags));
}

static enum x86_outcome push(struct step *step, u64 value, unsigned width)
{
	enum x86_outcome outcome = memory_store(step, step->gpr[X86_RSP] - width, &value, width);

	step->gpr[X86_RSP] -= width;
	return outcome;
}

enum x86_outcome step_push(struct step *step, unsigned what)
{
	u64 value;
	enum x86_outcome outcome = operand_load(step, 0, &value);

	return outcome ? outcome : push(step, value, step->instruction.operand_width / 8);
}

/* RSP has moved on when the destination's address is computed. */
enum x86_outcome step_pop(struct step *step, unsigned what)
{
	unsigned width = step->instruction.operand_width / 8;
	u64 value = 0;
	enum x86_outcome outcome = memory_load(step, step->gpr[X86_RSP], &value, width);

	step->gpr[X86_RSP] += width;
	return outcome ? outcome : operand_store(step, 0, value);
}

/*
 * Near, and through memory: a jump elsewhere touches no page but that of the code. With prefix 66 CPUs of AMD go to 16
 * bits, those of Intel to 64.
 */
static enum x86_outcome load_target(struct step *step, u64 *target)
{
	if (!operand_is_memory(step, 0) || operand_width(step, 0) != 8 ||
	    step->instruction.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE)
		return X86_UNKNOWN;
	return operand_load(step, 0, target);
}

enum x86_outcome step_jmp(struct step *step, unsigned what)
{
	return load_target(step, &step->rip);
}

enum x86_outcome step_call(struct step *step, unsigned what)
{
	u64 back = step->rip;
	enum x86_outcome outcome = load_target(step, &step->rip);

	return outcome ? outcome : push(step, back, 8);
}
