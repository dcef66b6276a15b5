/* SPDX-License-Identifier: MIT */
/* Arithmetic of integers: what is read, then written back, with flags. */
#include "x86/step.h"

static bool is_compare(enum alu_binary operation)
{
	return operation == ALU_CMP || operation == ALU_TEST;
}

enum x86_outcome step_binary(struct step *step, unsigned what)
{
	enum alu_binary operation = (enum alu_binary)what;
	u64 a, b, result;
	enum x86_outcome outcome = operand_load(step, 0, &a);

	if (!outcome)
		outcome = operand_load(step, 1, &b);
	if (outcome)
		return outcome;
	result = alu_binary(operation, a, b, operand_width(step, 0), &step->rflags);
	return is_compare(operation) ? X86_DONE : operand_store(step, 0, result);
}

/* INC and DEC leave the carry; NEG is 0 - x; NOT has no flags. */
enum x86_outcome step_unary(struct step *step, unsigned what)
{
	unsigned width = operand_width(step, 0);
	u64 value, carry = step->rflags & X86_CF;
	enum x86_outcome outcome = operand_load(step, 0, &value);

	if (outcome)
		return outcome;
	if (what == UNARY_NOT)
		return operand_store(step, 0, ~value);
	if (what == UNARY_NEG)
		return operand_store(step, 0, alu_binary(ALU_SUB, 0, value, width, &step->rflags));
	value = alu_binary(what == UNARY_INC ? ALU_ADD : ALU_SUB, value, 1, width, &step->rflags);
	flags_set(&step->rflags, X86_CF, carry);
	return operand_store(step, 0, value);
}

enum x86_outcome step_shift(struct step *step, unsigned what)
{
	u64 value, count;
	enum x86_outcome outcome = operand_load(step, 0, &value);

	if (!outcome)
		outcome = operand_load(step, 1, &count);
	if (outcome)
		return outcome;
	value = alu_shift((enum alu_shift)what, value, count, operand_width(step, 0), &step->rflags);
	return operand_store(step, 0, value);
}

enum x86_outcome step_shift_double(struct step *step, unsigned left)
{
	u64 value, from, count;
	enum x86_outcome outcome = operand_load(step, 0, &value);

	if (!outcome)
		outcome = operand_load(step, 1, &from);
	if (!outcome)
		outcome = operand_load(step, 2, &count);
	if (outcome)
		return outcome;
	value = alu_shift_double(left, value, from, count, operand_width(step, 0), &step->rflags);
	return operand_store(step, 0, value);
}

enum x86_outcome step_xadd(struct step *step, unsigned what)
{
	u64 a, b, sum;
	enum x86_outcome outcome = operand_load(step, 0, &a);

	if (!outcome)
		outcome = operand_load(step, 1, &b);
	if (outcome)
		return outcome;
	sum = alu_binary(ALU_ADD, a, b, operand_width(step, 0), &step->rflags);
	/* Memory first: the other register may be part of its address. Of two registers, the sum comes last. */
	if (!operand_is_memory(step, 0))
		operand_store(step, 1, a);
	outcome = operand_store(step, 0, sum);
	return outcome || !operand_is_memory(step, 0) ? outcome : operand_store(step, 1, a);
}

static const ZydisRegister accumulators[] = {
	[1] = ZYDIS_REGISTER_AL, [2] = ZYDIS_REGISTER_AX, [4] = ZYDIS_REGISTER_EAX, [8] = ZYDIS_REGISTER_RAX};
static const ZydisRegister upper_halves[] = {
	[1] = ZYDIS_REGISTER_AH, [2] = ZYDIS_REGISTER_DX, [4] = ZYDIS_REGISTER_EDX, [8] = ZYDIS_REGISTER_RDX};

static bool is_integer(unsigned width)
{
	return width == 1 || width == 2 || width == 4 || width == 8;
}

/* Memory is written in either case: what was there goes back. A register is not, not even its upper half. */
enum x86_outcome step_cmpxchg(struct step *step, unsigned what)
{
	unsigned width = operand_width(step, 0);
	u64 old, new;
	enum x86_outcome outcome = operand_load(step, 0, &old);

	if (!outcome)
		outcome = operand_load(step, 1, &new);
	if (outcome || !is_integer(width))
		return outcome ? outcome : X86_UNKNOWN;
	alu_binary(ALU_CMP, gpr_read(step, accumulators[width]), old, width, &step->rflags);
	if (step->rflags & X86_ZF)
		return operand_store(step, 0, new);
	if (operand_is_memory(step, 0))
		outcome = operand_store(step, 0, old);
	gpr_write(step, accumulators[width], old);
	return outcome;
}

/* CMPXCHG8B and 16B: RDX:RAX with memory, RCX:RBX into it. */
enum x86_outcome step_cmpxchg_pair(struct step *step, unsigned half)
{
	ZydisRegister low = accumulators[half], high = upper_halves[half];
	u64 address = operand_address(step, 0), expected[2] = {gpr_read(step, low), gpr_read(step, high)}, old[2] = {0};
	u8 pair[16];
	enum x86_outcome outcome;

	if (half == 8 && !is_aligned(address, 16))
		return X86_PROTECTION;
	outcome = memory_load(step, address, pair, 2 * half);
	if (outcome)
		return outcome;
	memcpy(&old[0], pair, half);
	memcpy(&old[1], pair + half, half);
	flags_set(&step->rflags, X86_ZF, old[0] == expected[0] && old[1] == expected[1]);
	if (step->rflags & X86_ZF) {
		memcpy(pair, &step->gpr[X86_RBX], half);
		memcpy(pair + half, &step->gpr[X86_RCX], half);
	} else {
		gpr_write(step, low, old[0]);
		gpr_write(step, high, old[1]);
	}
	return memory_store(step, address, pair, 2 * half);
}

/* Signed or not: the product is too wide for its lower half. */
static void flags_of_product(struct step *step, bool overflow)
{
	flags_set(&step->rflags, X86_CF | X86_OF, overflow);
}

/* MUL and IMUL of one operand: RDX:RAX, or AX for bytes. */
enum x86_outcome step_multiply_wide(struct step *step, unsigned is_signed)
{
	unsigned width = operand_width(step, 0);
	unsigned __int128 product;
	u64 value, low, high;
	enum x86_outcome outcome = operand_load(step, 0, &value);

	if (outcome || !is_integer(width))
		return outcome ? outcome : X86_UNKNOWN;
	low = gpr_read(step, accumulators[width]);
	if (is_signed)
		product = (unsigned __int128)((__int128)(int64_t)sign_extend(value, width) *
					      (int64_t)sign_extend(low, width));
	else
		product = (unsigned __int128)value * low;
	low = (u64)product & width_mask(width);
	high = (u64)(product >> 8 * width) & width_mask(width);
	gpr_write(step, accumulators[width], low);
	gpr_write(step, upper_halves[width], high);
	flags_of_product(step, high != (is_signed && sign_extend(low, width) >> 63 ? width_mask(width) : 0));
	return X86_DONE;
}

/* IMUL r, r/m and IMUL r, r/m, imm. */
enum x86_outcome step_multiply(struct step *step, unsigned what)
{
	unsigned first = step->instruction.operand_count_visible - 2u, width = operand_width(step, 0);
	u64 a, b;
	__int128 product;
	enum x86_outcome outcome;

	if (step->instruction.operand_count_visible == 1)
		return step_multiply_wide(step, true);
	outcome = operand_load(step, first, &a);
	if (!outcome)
		outcome = operand_load(step, first + 1, &b);
	if (outcome)
		return outcome;
	product = (__int128)(int64_t)sign_extend(a, width) * (int64_t)sign_extend(b, width);
	flags_of_product(step, product != (int64_t)sign_extend((u64)product, width));
	return operand_store(step, 0, (u64)product);
}

static unsigned __int128 magnitude(unsigned __int128 value, bool negative)
{
	return negative ? -value : value;
}

/* RDX:RAX, or AX, by the operand; signed ones by their magnitudes. No quotient that fits: #DE. */
enum x86_outcome step_divide(struct step *step, unsigned is_signed)
{
	unsigned width = operand_width(step, 0);
	unsigned __int128 dividend, quotient, remainder, limit;
	bool minus_a, minus_b;
	u64 divisor;
	enum x86_outcome outcome = operand_load(step, 0, &divisor);

	if (outcome || !is_integer(width))
		return outcome ? outcome : X86_UNKNOWN;
	if (!divisor)
		return X86_DIVIDE;
	dividend = (unsigned __int128)gpr_read(step, upper_halves[width]) << 8 * width |
		   gpr_read(step, accumulators[width]);
	minus_a = is_signed && dividend >> (16 * width - 1) & 1;
	minus_b = is_signed && divisor >> (8 * width - 1);
	if (minus_a)
		dividend = (dividend | ~(unsigned __int128)0 << (16 * width - 1));
	if (minus_b)
		divisor = sign_extend(divisor, width);
	dividend = magnitude(dividend, minus_a);
	divisor = minus_b ? -divisor : divisor;
	quotient = dividend / divisor;
	remainder = dividend % divisor;
	limit = is_signed ? BIT(8 * width - 1) - (minus_a == minus_b) : width_mask(width);
	if (quotient > limit)
		return X86_DIVIDE;
	gpr_write(step, accumulators[width], (u64)magnitude(quotient, minus_a != minus_b));
	gpr_write(step, upper_halves[width], (u64)magnitude(remainder, minus_a));
	return X86_DONE;
}

/* ADCX has the carry, ADOX the overflow, and nothing else. */
enum x86_outcome step_add_carry(struct step *step, unsigned flag)
{
	u64 a, b, flags = step->rflags & flag ? X86_CF : 0;
	enum x86_outcome outcome = operand_load(step, 0, &a);

	if (!outcome)
		outcome = operand_load(step, 1, &b);
	if (outcome)
		return outcome;
	a = alu_binary(ALU_ADC, a, b, operand_width(step, 0), &flags);
	flags_set(&step->rflags, flag, flags & X86_CF);
	return operand_store(step, 0, a);
}
