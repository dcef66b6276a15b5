/* SPDX-License-Identifier: MIT */
/*
 * MOVS, STOS, LODS, CMPS, SCAS, once or repeated. A repetition shows its progress in RCX, RSI and RDI after each
 * element, so that a fault in the middle goes on where it was. One call does a bounded piece and returns with RIP on
 * the instruction: signals get through. It also returns when the next element touches no precise page, which the CPU
 * can do by itself, and faster.
 */
#include "x86/step.h"

enum { PIECE = 4096 }; /* elements of one call: some milliseconds */

/* One side of it. Which pages are precise is asked once a page: finding out is slow. */
struct side {
	unsigned operand; /* as many as there are, if it has none */
	bool is_known, is_precise;
	u64 page;
};

struct string {
	enum string_operation operation;
	unsigned width;
	struct side source, destination;
	u8 prefix; /* 0xf2, 0xf3: repeated */
	ZydisRegister counter;
};

static unsigned operand_at(const struct step *step, ZydisRegister base)
{
	unsigned index = 0;

	while (index < step->instruction.operand_count &&
	       !(operand_is_memory(step, index) &&
		 ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, step->operands[index].mem.base) == base))
		index++;
	return index;
}

/* The last one counts; MOVS, STOS and LODS are repeated by either. */
static u8 repeat_prefix(const ZydisDecodedInstruction *instruction)
{
	u8 prefix = 0;

	for (unsigned i = 0; i < instruction->raw.prefix_count; i++)
		if (instruction->raw.prefixes[i].value == 0xf2 || instruction->raw.prefixes[i].value == 0xf3)
			prefix = instruction->raw.prefixes[i].value;
	return prefix;
}

static void advance(struct step *step, const struct string *string, unsigned operand)
{
	u64 by = step->rflags & X86_DF ? -(u64)string->width : string->width;
	ZydisRegister reg;

	if (!operand_is_memory(step, operand))
		return;
	reg = step->operands[operand].mem.base;
	gpr_write(step, reg, gpr_read(step, reg) + by);
}

/* What the operation reads: the source first, or the accumulator. */
static enum x86_outcome load_element(struct step *step, const struct string *string, u64 *source, u64 *destination)
{
	enum x86_outcome outcome = X86_DONE;

	*source = step->gpr[X86_RAX];
	*destination = 0;
	if (operand_is_memory(step, string->source.operand))
		outcome = operand_load(step, string->source.operand, source);
	if (!outcome && (string->operation == STRING_CMPS || string->operation == STRING_SCAS))
		outcome = operand_load(step, string->destination.operand, destination);
	return outcome;
}

static enum x86_outcome do_element(struct step *step, const struct string *string)
{
	u64 source, destination;
	enum x86_outcome outcome = load_element(step, string, &source, &destination);

	if (outcome)
		return outcome;
	if (string->operation == STRING_CMPS || string->operation == STRING_SCAS)
		alu_binary(ALU_CMP, source, destination, string->width, &step->rflags);
	else
		outcome = operand_store(step, string->operation == STRING_LODS ? 0 : string->destination.operand,
					source);
	if (outcome)
		return outcome;
	advance(step, string, string->source.operand);
	advance(step, string, string->destination.operand);
	return X86_DONE;
}

static bool is_precise(const struct step *step, struct side *side, u64 address)
{
	u64 page = address >> PAGE_SHIFT;

	if (!side->is_known || side->page != page) {
		side->is_known = true;
		side->page = page;
		side->is_precise = step->bus->is_precise(step->context, address);
	}
	return side->is_precise;
}

static bool touches_precise(const struct step *step, struct side *side, unsigned width)
{
	u64 address;

	if (!operand_is_memory(step, side->operand))
		return false;
	address = operand_address(step, side->operand);
	return is_precise(step, side, address) || is_precise(step, side, address + width - 1);
}

static bool is_finished(const struct step *step, const struct string *string)
{
	if (!gpr_read(step, string->counter))
		return true;
	if (string->operation != STRING_CMPS && string->operation != STRING_SCAS)
		return false;
	return !(step->rflags & X86_ZF) == (string->prefix == 0xf3);
}

/* The flags are those of the last comparison, as CPUs of AMD leave them; Intel's bring back those before the first. */
static enum x86_outcome stay(struct step *step, enum x86_outcome outcome)
{
	step->rip = step->state->rip;
	step->has_progress = true;
	return outcome;
}

static enum x86_outcome repeat(struct step *step, struct string *string)
{
	if (!gpr_read(step, string->counter))
		return X86_DONE;
	for (unsigned i = 0; i < PIECE; i++) {
		enum x86_outcome outcome = do_element(step, string);

		if (outcome)
			return stay(step, outcome);
		gpr_write(step, string->counter, gpr_read(step, string->counter) - 1);
		if (is_finished(step, string))
			return X86_DONE;
		if (!touches_precise(step, &string->source, string->width) &&
		    !touches_precise(step, &string->destination, string->width))
			break;
	}
	return stay(step, X86_DONE);
}

enum x86_outcome step_string(struct step *step, unsigned what)
{
	struct string string = {
		.operation = (enum string_operation)what,
		.source.operand = operand_at(step, ZYDIS_REGISTER_RSI),
		.destination.operand = operand_at(step, ZYDIS_REGISTER_RDI),
		.prefix = repeat_prefix(&step->instruction),
		.counter = step->instruction.address_width == 32 ? ZYDIS_REGISTER_ECX : ZYDIS_REGISTER_RCX,
		.width = operand_width(step, 0),
	};

	return string.prefix ? repeat(step, &string) : do_element(step, &string);
}

/* MOVSD and CMPSD are two instructions each, and the other CMPSD is arithmetic. */
enum x86_outcome step_string_or_vector(struct step *step, unsigned what)
{
	if (step->instruction.meta.category == ZYDIS_CATEGORY_STRINGOP)
		return step_string(step, what);
	return what == STRING_MOVS ? step_scalar(step, 0) : X86_UNKNOWN;
}
