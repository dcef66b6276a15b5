/* SPDX-License-Identifier: MIT */
/*
 * Integers side by side: what compilers and C libraries make of loops over memory, memcmp() and strlen() first of all.
 * The first source is a register, the second is memory.
 */
#include "x86/vmove.h"

/* One lane of `width` bytes, upper bits clear. */
static u64 lane_get(const u8 *vector, unsigned at, unsigned width)
{
	u64 value = 0;

	memcpy(&value, vector + at, width);
	return value;
}

static bool is_less(u64 a, u64 b, unsigned width, bool is_signed)
{
	return is_signed ? (int64_t)sign_extend(a, width) < (int64_t)sign_extend(b, width) : a < b;
}

static u64 lane_result(enum lane_operation operation, u64 a, u64 b, unsigned width)
{
	switch (operation) {
	case LANE_AND:
		return a & b;
	case LANE_ANDN:
		return ~a & b;
	case LANE_OR:
		return a | b;
	case LANE_XOR:
		return a ^ b;
	case LANE_ADD:
		return a + b;
	case LANE_SUB:
		return a - b;
	case LANE_EQUAL:
		return a == b ? ~0ull : 0;
	case LANE_GREATER:
		return is_less(b, a, width, true) ? ~0ull : 0;
	case LANE_MIN_SIGNED:
	case LANE_MIN:
		return is_less(a, b, width, operation == LANE_MIN_SIGNED) ? a : b;
	case LANE_MAX_SIGNED:
	case LANE_MAX:
		return is_less(a, b, width, operation == LANE_MAX_SIGNED) ? b : a;
	case LANE_TEST:
		return a & b ? ~0ull : 0;
	case LANE_TEST_NOT:
		return a & b ? 0 : ~0ull;
	}
	return 0;
}

/* The predicate of VPCMP: equal, less, less or equal, never; and their opposites. */
static bool compares(u64 a, u64 b, unsigned width, bool is_signed, unsigned predicate)
{
	bool less = is_less(a, b, width, is_signed);
	const bool stated[] = {a == b, less, less || a == b, false};

	return stated[predicate & 3] != (predicate >> 2 & 1);
}

/* The legacy encodings insist on aligned memory. A single element is loaded for all where the instruction says so. */
static enum x86_outcome load_source(struct step *step, const struct vmove *move, u8 to[static VECTOR_BYTES])
{
	memset(to, 0, VECTOR_BYTES);
	if (step->instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && !is_aligned(move->address, move->width))
		return X86_PROTECTION;
	if (move->width < move->vector_bytes)
		return vmove_load_repeated(step, move, to);
	return vmove_load(step, move, to, move->element, move->width / move->element);
}

/* What the table says: an operation, and the width of a lane. */
static unsigned operation_of(unsigned what)
{
	return what & 0xff;
}

/* Both sources. The destination is one of them in the legacy encodings, and a mask in some of EVEX. */
static enum x86_outcome begin(struct step *step, unsigned what, struct vmove *move, u8 a[static VECTOR_BYTES],
			      u8 b[static VECTOR_BYTES])
{
	enum x86_outcome outcome = vmove_begin(step, move);

	if (outcome || move->is_store)
		return outcome ? outcome : X86_UNKNOWN;
	move->element = what >> 8;
	vector_read(step, move->second == ZYDIS_REGISTER_NONE ? move->reg : move->second, a);
	return load_source(step, move, b);
}

static bool has_mask_destination(const struct step *step)
{
	return ZydisRegisterGetClass(step->operands[0].reg.value) == ZYDIS_REGCLASS_MASK;
}

enum x86_outcome step_lanes(struct step *step, unsigned what)
{
	struct vmove move;
	u8 a[VECTOR_BYTES], b[VECTOR_BYTES], result[VECTOR_BYTES] = {0};
	u64 mask = 0;
	enum x86_outcome outcome = begin(step, what, &move, a, b);

	if (outcome)
		return outcome;
	for (unsigned i = 0; i < move.vector_bytes / move.element; i++) {
		unsigned at = i * move.element;
		u64 lane = lane_result((enum lane_operation)operation_of(what), lane_get(a, at, move.element),
				       lane_get(b, at, move.element), move.element);

		mask |= (lane & move.active >> i & 1) << i;
		memcpy(result + at, &lane, move.element);
	}
	if (has_mask_destination(step))
		mask_write(step, step->operands[0].reg.value, mask);
	else
		vmove_write(step, &move, result);
	return X86_DONE;
}

/* VPCMP and VPCMPU of EVEX. */
enum x86_outcome step_compare_lanes(struct step *step, unsigned what)
{
	unsigned predicate = (unsigned)step->operands[step->instruction.operand_count_visible - 1].imm.value.u & 7;
	struct vmove move;
	u8 a[VECTOR_BYTES], b[VECTOR_BYTES];
	u64 mask = 0;
	enum x86_outcome outcome = begin(step, what, &move, a, b);

	if (outcome || !has_mask_destination(step))
		return outcome ? outcome : X86_UNKNOWN;
	for (unsigned i = 0; i < move.vector_bytes / move.element; i++) {
		unsigned at = i * move.element;

		if (compares(lane_get(a, at, move.element), lane_get(b, at, move.element), move.element,
			     operation_of(what), predicate))
			mask |= BIT(i);
	}
	mask_write(step, step->operands[0].reg.value, mask & move.active);
	return X86_DONE;
}

/* PTEST: is anything of memory under the register, and is anything beside it? */
enum x86_outcome step_ptest(struct step *step, unsigned what)
{
	struct vmove move;
	u8 a[VECTOR_BYTES], b[VECTOR_BYTES];
	u64 both = 0, beside = 0;
	enum x86_outcome outcome = begin(step, what, &move, a, b);

	if (outcome)
		return outcome;
	for (unsigned at = 0; at < move.vector_bytes; at += 8) {
		both |= get_u64(a + at) & get_u64(b + at);
		beside |= ~get_u64(a + at) & get_u64(b + at);
	}
	flags_set(&step->rflags, X86_ARITHMETIC, false);
	flags_set(&step->rflags, X86_ZF, !both);
	flags_set(&step->rflags, X86_CF, !beside);
	return X86_DONE;
}

/* VPTERNLOG: each bit of the immediate is the answer to three bits, the destination's the highest. */
enum x86_outcome step_ternary(struct step *step, unsigned what)
{
	u64 table = step->operands[step->instruction.operand_count_visible - 1].imm.value.u;
	struct vmove move;
	u8 a[VECTOR_BYTES], b[VECTOR_BYTES], result[VECTOR_BYTES];
	enum x86_outcome outcome = begin(step, what, &move, a, b);

	if (outcome)
		return outcome;
	vector_read(step, move.reg, result);
	for (unsigned at = 0; at < VECTOR_BYTES; at++) {
		unsigned bits = 0;

		for (unsigned i = 0; i < 8; i++)
			bits |= (unsigned)(table >> ((result[at] >> i & 1) << 2 | (a[at] >> i & 1) << 1 |
						     (b[at] >> i & 1)) &
					   1)
				<< i;
		result[at] = (u8)bits;
	}
	vmove_write(step, &move, result);
	return X86_DONE;
}
