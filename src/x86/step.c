/* SPDX-License-Identifier: MIT */
#include "x86/step.h"

#include <stdio.h>

static void commit(struct step *step)
{
	memcpy(step->state->gpr, step->gpr, sizeof(step->gpr));
	step->state->rip = step->rip;
	step->state->rflags = step->rflags;
}

/* LOCK, and XCHG with memory without being asked. LOCK before what may not have it does not decode. */
static bool is_locked(const struct step *step)
{
	if (step->instruction.attributes & ZYDIS_ATTRIB_HAS_LOCK)
		return true;
	return step->instruction.mnemonic == ZYDIS_MNEMONIC_XCHG &&
	       (operand_is_memory(step, 0) || operand_is_memory(step, 1));
}

/* Segments, control registers and MMX have no place in the state; what names one is known before it does anything. */
static bool names_foreign_register(const struct step *step)
{
	for (unsigned i = 0; i < step->instruction.operand_count_visible; i++) {
		ZydisRegister reg = step->operands[i].reg.value;

		if (step->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER && !is_gpr(reg) && !is_vector(reg) &&
		    ZydisRegisterGetClass(reg) != ZYDIS_REGCLASS_MASK)
			return true;
	}
	return false;
}

static enum x86_outcome run(struct step *step)
{
	struct instruction_row row = instruction_find(step->instruction.mnemonic);
	bool locked = is_locked(step) && step->bus->lock;
	enum x86_outcome outcome;

	if (!row.handler || names_foreign_register(step))
		return X86_UNKNOWN;
	if (locked)
		step->bus->lock(step->context, true);
	outcome = row.handler(step, row.what);
	if (locked)
		step->bus->lock(step->context, false);
	return outcome;
}

/* What cannot be decoded is shown as bytes. */
static void write_text(char text[static X86_TEXT_MAX], const u8 *code, unsigned size, u64 rip)
{
	ZydisDisassembledInstruction shown;
	unsigned used;

	if (ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, rip, code, size, &shown))) {
		snprintf(text, X86_TEXT_MAX, "%s", shown.text);
		return;
	}
	used = (unsigned)snprintf(text, X86_TEXT_MAX, "no instruction:");
	for (unsigned i = 0; i < size && i < X86_CODE_MAX; i++)
		used += (unsigned)snprintf(text + used, X86_TEXT_MAX - used, " %02x", code[i]);
}

static bool decode(struct step *step, const u8 *code, unsigned size)
{
	ZydisDecoder decoder;

	return ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) &&
	       ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, size, &step->instruction, step->operands));
}

void x86_step(struct x86_state *state, const u8 *code, unsigned size, const struct x86_bus *bus, void *context,
	      struct x86_result *result)
{
	struct step step;

	step.state = state;
	memcpy(step.gpr, state->gpr, sizeof(step.gpr));
	step.rflags = state->rflags;
	step.has_progress = false;
	step.bus = bus;
	step.context = context;
	step.fault_address = 0;

	*result = (struct x86_result){.outcome = X86_UNKNOWN};
	if (decode(&step, code, size)) {
		result->length = step.instruction.length;
		step.rip = state->rip + result->length;
		result->outcome = run(&step);
		result->fault_address = step.fault_address;
	}
	if (result->outcome == X86_DONE || step.has_progress)
		commit(&step);
	if (result->outcome != X86_DONE)
		write_text(result->text, code, size, state->rip);
}
