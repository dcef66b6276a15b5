/* SPDX-License-Identifier: MIT */
#include "x86/alu.h"

u64 width_mask(unsigned width)
{
	return width >= sizeof(u64) ? ~0ull : BIT(8 * width) - 1;
}

static u64 sign_bit(unsigned width)
{
	return BIT(8 * width - 1);
}

u64 sign_extend(u64 value, unsigned width)
{
	return ((value & width_mask(width)) ^ sign_bit(width)) - sign_bit(width);
}

void flags_set(u64 *flags, u64 mask, bool value)
{
	*flags = value ? *flags | mask : *flags & ~mask;
}

void flags_of_result(u64 *flags, u64 result, unsigned width)
{
	flags_set(flags, X86_ZF, (result & width_mask(width)) == 0);
	flags_set(flags, X86_SF, result & sign_bit(width));
	flags_set(flags, X86_PF, !__builtin_parityll(result & 0xff));
}

static u64 add(u64 a, u64 b, bool carry, unsigned width, u64 *flags)
{
	u64 result = (a + b + carry) & width_mask(width);

	flags_set(flags, X86_CF, ((a & b) | ((a | b) & ~result)) & sign_bit(width));
	flags_set(flags, X86_OF, (a ^ result) & (b ^ result) & sign_bit(width));
	flags_set(flags, X86_AF, (a ^ b ^ result) & 0x10);
	flags_of_result(flags, result, width);
	return result;
}

static u64 subtract(u64 a, u64 b, bool borrow, unsigned width, u64 *flags)
{
	u64 result = (a - b - borrow) & width_mask(width);

	flags_set(flags, X86_CF, ((~a & b) | ((~a | b) & result)) & sign_bit(width));
	flags_set(flags, X86_OF, (a ^ b) & (a ^ result) & sign_bit(width));
	flags_set(flags, X86_AF, (a ^ b ^ result) & 0x10);
	flags_of_result(flags, result, width);
	return result;
}

static u64 logic(u64 result, unsigned width, u64 *flags)
{
	flags_set(flags, X86_CF | X86_OF | X86_AF, false);
	flags_of_result(flags, result, width);
	return result;
}

u64 alu_binary(enum alu_binary operation, u64 a, u64 b, unsigned width, u64 *flags)
{
	bool carry = *flags & X86_CF;

	a &= width_mask(width);
	b &= width_mask(width);
	switch (operation) {
	case ALU_ADD:
		return add(a, b, false, width, flags);
	case ALU_ADC:
		return add(a, b, carry, width, flags);
	case ALU_SUB:
	case ALU_CMP:
		return subtract(a, b, false, width, flags);
	case ALU_SBB:
		return subtract(a, b, carry, width, flags);
	case ALU_AND:
	case ALU_TEST:
		return logic(a & b, width, flags);
	case ALU_OR:
		return logic(a | b, width, flags);
	case ALU_XOR:
		return logic(a ^ b, width, flags);
	}
	return 0;
}

/* By one place; *carry goes in where the operation takes it, and the bit that falls out is in it afterwards. */
static u64 shift_by_one(enum alu_shift operation, u64 value, unsigned width, bool *carry)
{
	bool leftward = operation == ALU_SHL || operation == ALU_ROL || operation == ALU_RCL;
	bool high = value & sign_bit(width), out = leftward ? high : value & 1, in = false;

	if (operation == ALU_SAR)
		in = high;
	else if (operation == ALU_ROL || operation == ALU_ROR)
		in = out;
	else if (operation == ALU_RCL || operation == ALU_RCR)
		in = *carry;
	*carry = out;
	if (leftward)
		return (value << 1 | in) & width_mask(width);
	return value >> 1 | (in ? sign_bit(width) : 0);
}

static unsigned shift_count(u64 count, unsigned width)
{
	return (unsigned)(count & (width == 8 ? 63 : 31));
}

/* Each place by itself: what the last one makes of the flags is the answer, and no count is a special case. */
u64 alu_shift(enum alu_shift operation, u64 value, u64 count, unsigned width, u64 *flags)
{
	bool carry = *flags & X86_CF, leftward = operation == ALU_SHL || operation == ALU_ROL || operation == ALU_RCL;
	unsigned places = shift_count(count, width);

	value &= width_mask(width);
	if (!places)
		return value;
	for (unsigned i = 0; i < places; i++)
		value = shift_by_one(operation, value, width, &carry);
	flags_set(flags, X86_CF, carry);
	flags_set(flags, X86_OF, (value ^ (leftward ? (carry ? sign_bit(width) : 0) : value << 1)) & sign_bit(width));
	if (operation == ALU_SHL || operation == ALU_SHR || operation == ALU_SAR)
		flags_of_result(flags, value, width);
	return value;
}

u64 alu_shift_double(bool left, u64 value, u64 from, u64 count, unsigned width, u64 *flags)
{
	unsigned places = shift_count(count, width);
	u64 before = value;

	for (unsigned i = 0; i < places; i++) {
		bool carry = left ? from & sign_bit(width) : from & 1;

		before = value;
		value = shift_by_one(left ? ALU_RCL : ALU_RCR, value, width, &carry);
		from = shift_by_one(left ? ALU_ROL : ALU_ROR, from, width, &(bool){false});
		flags_set(flags, X86_CF, carry);
	}
	if (!places)
		return value;
	flags_set(flags, X86_OF, (before ^ value) & sign_bit(width));
	flags_of_result(flags, value, width);
	return value;
}

/* Even conditions are stated, odd ones their negation. */
bool alu_condition(unsigned condition, u64 flags)
{
	bool less = !(flags & X86_SF) != !(flags & X86_OF);
	const bool stated[] = {
		flags & X86_OF, flags & X86_CF, flags & X86_ZF, flags & (X86_CF | X86_ZF),
		flags & X86_SF, flags & X86_PF, less,		less || flags & X86_ZF,
	};

	return stated[condition / 2 % ARRAY_SIZE(stated)] != (condition & 1);
}

u64 alu_extract(u64 value, u64 mask)
{
	u64 result = 0;

	for (unsigned place = 0; mask; mask &= mask - 1)
		result |= (u64) !!(value & mask & -mask) << place++;
	return result;
}

u64 alu_deposit(u64 value, u64 mask)
{
	u64 result = 0;

	for (; mask; mask &= mask - 1, value >>= 1)
		result |= value & 1 ? mask & -mask : 0;
	return result;
}

u32 alu_crc32(u32 crc, u64 value, unsigned width)
{
	for (unsigned i = 0; i < 8 * width; i++, value >>= 1)
		crc = crc >> 1 ^ ((crc ^ value) & 1 ? 0x82f63b78 : 0);
	return crc;
}
