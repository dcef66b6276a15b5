/* SPDX-License-Identifier: MIT */
/* Single bits, runs of them, and how many there are. */
#include "x86/step.h"

/*
 * BT, BTS, BTR, BTC. A bit number in a register reaches beyond the operand, to either side; an immediate one does not.
 */
enum x86_outcome step_bit(struct step *step, unsigned what)
{
	unsigned width = operand_width(step, 0), bits = 8 * width;
	u64 value, number, address = 0;
	bool is_memory = operand_is_memory(step, 0);
	enum x86_outcome outcome = operand_load(step, 1, &number);

	if (outcome)
		return outcome;
	if (is_memory) {
		u64 from = step->operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER ? sign_extend(number, width) : 0;

		/* Whole operands away: an arithmetic shift to the right. */
		address = operand_address_at(step, 0, (u64)((int64_t)(from & ~(u64)(bits - 1)) / 8));
		value = 0;
		outcome = memory_load(step, address, &value, width);
	} else {
		outcome = operand_load(step, 0, &value);
	}
	if (outcome)
		return outcome;
	number &= bits - 1;
	flags_set(&step->rflags, X86_CF, value & BIT(number));
	if (what == BIT_TEST)
		return X86_DONE;
	if (what == BIT_SET)
		value |= BIT(number);
	else
		value = what == BIT_RESET ? value & ~BIT(number) : value ^ BIT(number);
	return is_memory ? memory_store(step, address, &value, width) : operand_store(step, 0, value);
}

static unsigned count_ones(u64 value)
{
	return (unsigned)__builtin_popcountll(value);
}

/* From the top of `width` bytes, and from the bottom; all of them if there is no one. */
static unsigned zeros_above(u64 value, unsigned width)
{
	return value ? (unsigned)__builtin_clzll(value) - (64 - 8 * width) : 8 * width;
}

static unsigned zeros_below(u64 value, unsigned width)
{
	return value ? (unsigned)__builtin_ctzll(value) : 8 * width;
}

/* BSF, BSR: without a one, the destination stays, all eight bytes of it, and the flags say so. */
static enum x86_outcome scan(struct step *step, u64 value, unsigned width, bool from_above)
{
	flags_set(&step->rflags, X86_ZF, !value);
	if (!value)
		return X86_DONE;
	return operand_store(step, 0,
			     from_above ? 8 * width - 1 - zeros_above(value, width) : zeros_below(value, width));
}

enum x86_outcome step_count(struct step *step, unsigned what)
{
	unsigned width = operand_width(step, 1), count;
	u64 value;
	enum x86_outcome outcome = operand_load(step, 1, &value);

	if (outcome)
		return outcome;
	if (what == COUNT_BSF || what == COUNT_BSR)
		return scan(step, value, width, what == COUNT_BSR);
	if (what == COUNT_POPCNT) {
		count = count_ones(value);
		flags_set(&step->rflags, X86_ARITHMETIC, false);
		flags_set(&step->rflags, X86_ZF, !value);
	} else {
		count = what == COUNT_LZCNT ? zeros_above(value, width) : zeros_below(value, width);
		flags_set(&step->rflags, X86_CF, !value);
		flags_set(&step->rflags, X86_ZF, !count);
	}
	return operand_store(step, 0, count);
}

/* BLSI, BLSR, BLSMSK: the lowest one alone, cleared, and all up to it. */
enum x86_outcome step_lowest(struct step *step, unsigned what)
{
	unsigned width = operand_width(step, 0);
	u64 value, result;
	enum x86_outcome outcome = operand_load(step, 1, &value);

	if (outcome)
		return outcome;
	if (what == LOWEST_ALONE)
		result = value & -value;
	else
		result = what == LOWEST_CLEARED ? value & (value - 1) : value ^ (value - 1);
	flags_set(&step->rflags, X86_CF, (value == 0) != (what == LOWEST_ALONE));
	flags_set(&step->rflags, X86_OF, false);
	flags_set(&step->rflags, X86_ZF, !(result & width_mask(width)));
	flags_set(&step->rflags, X86_SF, sign_extend(result, width) >> 63);
	return operand_store(step, 0, result);
}

static u64 low_bits(u64 value, unsigned count)
{
	return count >= 64 ? value : value & (BIT(count) - 1);
}

/* Start and length are the lowest two bytes of the control. */
static u64 extract_field(u64 value, u64 control)
{
	unsigned start = control & 0xff, length = control >> 8 & 0xff;

	return start >= 64 ? 0 : low_bits(value >> start, length);
}

/* BMI with two sources, which are the second and third operand. */
enum x86_outcome step_bmi(struct step *step, unsigned what)
{
	unsigned width = operand_width(step, 0);
	u64 a, b, result = 0, *flags = &step->rflags;
	enum x86_outcome outcome = operand_load(step, 1, &a);

	if (!outcome)
		outcome = operand_load(step, 2, &b);
	if (outcome)
		return outcome;
	switch (what) {
	case BMI_ANDN:
		result = ~a & b & width_mask(width);
		break;
	case BMI_BEXTR:
		result = extract_field(a, b);
		break;
	case BMI_BZHI:
		result = low_bits(a, b & 0xff);
		break;
	case BMI_PDEP:
		return operand_store(step, 0, alu_deposit(a, b));
	case BMI_PEXT:
		return operand_store(step, 0, alu_extract(a, b));
	default: /* RORX, SARX, SHLX, SHRX: as with flags, but without */
		return operand_store(step, 0, alu_shift((enum alu_shift)(what - BMI_SHIFT), a, b, width, &(u64){0}));
	}
	flags_set(flags, X86_OF, false);
	flags_set(flags, X86_CF, what == BMI_BZHI && (b & 0xff) >= 8 * width);
	flags_set(flags, X86_ZF, !result);
	if (what != BMI_BEXTR)
		flags_set(flags, X86_SF, sign_extend(result, width) >> 63);
	return operand_store(step, 0, result);
}

/* MULX high, low, r/m: with RDX, no flags. The high half wins if both are one register. */
enum x86_outcome step_mulx(struct step *step, unsigned what)
{
	unsigned width = operand_width(step, 0);
	unsigned __int128 product;
	u64 value;
	enum x86_outcome outcome = operand_load(step, 2, &value);

	if (outcome)
		return outcome;
	product = (unsigned __int128)value * (step->gpr[X86_RDX] & width_mask(width));
	operand_store(step, 1, (u64)product);
	return operand_store(step, 0, (u64)(product >> 8 * width));
}

enum x86_outcome step_crc32(struct step *step, unsigned what)
{
	u64 crc, value;
	enum x86_outcome outcome = operand_load(step, 1, &value);

	if (!outcome)
		outcome = operand_load(step, 0, &crc);
	if (outcome)
		return outcome;
	return operand_store(step, 0, alu_crc32((u32)crc, value, operand_width(step, 1)));
}
