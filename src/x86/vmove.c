/* SPDX-License-Identifier: MIT */
/*
 * Loads and stores of vectors, whole and in parts. Where a mask says that an element is not wanted, it is not accessed;
 * those that are wanted and adjacent make one access.
 */
#include "x86/vmove.h"

/* By its name: the operand is sometimes said to be the part that is used. */
static unsigned vector_width(ZydisRegister reg)
{
	return ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg) / 8u;
}

/* Names: the first vector register, and the next one, if there is one. */
static void name_registers(const struct step *step, struct vmove *move)
{
	move->reg = move->second = ZYDIS_REGISTER_NONE;
	for (unsigned i = 0; i < step->instruction.operand_count; i++) {
		const ZydisDecodedOperand *operand = &step->operands[i];

		if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER || !is_vector(operand->reg.value))
			continue;
		if (move->reg == ZYDIS_REGISTER_NONE) {
			move->reg = operand->reg.value;
			move->vector_bytes = vector_width(operand->reg.value);
			move->element = operand->element_size / 8;
		} else if (move->second == ZYDIS_REGISTER_NONE) {
			move->second = operand->reg.value;
		}
	}
}

static unsigned find_memory(const struct step *step)
{
	unsigned index = 0;

	while (index < step->instruction.operand_count && !operand_is_memory(step, index))
		index++;
	return index;
}

static void read_mask(const struct step *step, struct vmove *move)
{
	ZydisRegister mask = step->instruction.avx.mask.reg;

	move->active = ~0ull;
	move->zeroing = step->instruction.avx.mask.mode == ZYDIS_MASK_MODE_ZEROING;
	if (mask > ZYDIS_REGISTER_K0 && mask <= ZYDIS_REGISTER_K7)
		move->active = mask_read(step, mask);
}

/* What all of them need to know. Registers only, MMX, a broadcast of arithmetic: not here. */
enum x86_outcome vmove_begin(struct step *step, struct vmove *move)
{
	enum x86_outcome outcome;

	name_registers(step, move);
	move->memory = find_memory(step);
	if (move->reg == ZYDIS_REGISTER_NONE || move->memory == step->instruction.operand_count)
		return X86_UNKNOWN;
	outcome = vectors_fetch(step);
	if (outcome)
		return outcome;
	move->is_store = move->memory == 0;
	move->address = operand_address(step, move->memory);
	move->width = operand_width(step, move->memory);
	if (!move->width || move->width > VECTOR_BYTES || !move->element || !move->vector_bytes)
		return X86_UNKNOWN;
	read_mask(step, move);
	return X86_DONE;
}

static u64 last_immediate(const struct step *step)
{
	return step->operands[step->instruction.operand_count_visible - 1].imm.value.u;
}

static u64 low_elements(unsigned count)
{
	return count >= 64 ? ~0ull : BIT(count) - 1;
}

/* The next run of active elements; false: there is none. */
static bool next_run(u64 *active, unsigned *first, unsigned *count)
{
	u64 rest;

	if (!*active)
		return false;
	*first = (unsigned)__builtin_ctzll(*active);
	rest = ~(*active >> *first);
	*count = rest ? (unsigned)__builtin_ctzll(rest) : 64 - *first;
	*active &= ~(low_elements(*count) << *first);
	return true;
}

enum x86_outcome vmove_load(struct step *step, const struct vmove *move, u8 *to, unsigned element, unsigned count)
{
	enum x86_outcome outcome = X86_DONE;
	u64 active = move->active & low_elements(count);
	unsigned first, run;

	while (!outcome && next_run(&active, &first, &run))
		outcome = memory_load(step, move->address + first * element, to + first * element, run * element);
	return outcome;
}

enum x86_outcome vmove_store(struct step *step, const struct vmove *move, const u8 *from, unsigned element,
			     unsigned count)
{
	enum x86_outcome outcome = X86_DONE;
	u64 active = move->active & low_elements(count);
	unsigned first, run;

	while (!outcome && next_run(&active, &first, &run))
		outcome = memory_store(step, move->address + first * element, from + first * element, run * element);
	return outcome;
}

void vmove_write(struct step *step, const struct vmove *move, const u8 value[static VECTOR_BYTES])
{
	u8 result[VECTOR_BYTES];

	vector_read(step, move->reg, result);
	if (move->zeroing)
		memset(result, 0, sizeof(result));
	for (unsigned at = 0; at < move->vector_bytes; at += move->element)
		if (move->active >> at / move->element & 1)
			memcpy(result + at, value + at, move->element);
	vector_write(step, move->reg, result, move->vector_bytes);
}

bool vmove_has_active(const struct vmove *move)
{
	return move->active & low_elements(move->vector_bytes / move->element);
}

/* All of a register, from or to memory that may have to be aligned; not if nothing of it is accessed. */
enum x86_outcome step_vector(struct step *step, unsigned is_aligned_form)
{
	struct vmove move;
	u8 value[VECTOR_BYTES] = {0};
	enum x86_outcome outcome = vmove_begin(step, &move);

	if (outcome)
		return outcome;
	if (is_aligned_form && !is_aligned(move.address, move.width) && vmove_has_active(&move))
		return X86_PROTECTION;
	if (move.is_store) {
		vector_read(step, move.reg, value);
		return vmove_store(step, &move, value, move.element, move.width / move.element);
	}
	outcome = vmove_load(step, &move, value, move.element, move.width / move.element);
	if (!outcome)
		vmove_write(step, &move, value);
	return outcome;
}

/* MOVD, MOVQ, MOVSS, MOVSD: the lowest element; a load clears those above, up to 16 bytes or all. */
enum x86_outcome step_scalar(struct step *step, unsigned what)
{
	struct vmove move;
	u8 value[VECTOR_BYTES] = {0}, old[VECTOR_BYTES];
	enum x86_outcome outcome = vmove_begin(step, &move);
	bool active;

	if (outcome)
		return outcome;
	active = move.active & 1;
	vector_read(step, move.reg, old);
	if (move.is_store)
		return active ? memory_store(step, move.address, old, move.width) : X86_DONE;
	if (active)
		outcome = memory_load(step, move.address, value, move.width);
	else if (!move.zeroing)
		memcpy(value, old, move.width);
	if (outcome)
		return outcome;
	vector_write(step, move.reg, value, 16);
	return X86_DONE;
}

/* MOVLPS, MOVHPS and the like: one half of 16 bytes, the other from the same or the second register. */
enum x86_outcome step_half(struct step *step, unsigned at)
{
	struct vmove move;
	u8 value[VECTOR_BYTES];
	enum x86_outcome outcome = vmove_begin(step, &move);

	if (outcome || move.width != 8)
		return outcome ? outcome : X86_UNKNOWN;
	vector_read(step, move.second == ZYDIS_REGISTER_NONE ? move.reg : move.second, value);
	if (move.is_store)
		return memory_store(step, move.address, value + at, move.width);
	outcome = memory_load(step, move.address, value + at, move.width);
	if (!outcome)
		vector_write(step, move.reg, value, 16);
	return outcome;
}

enum x86_outcome vmove_load_repeated(struct step *step, const struct vmove *move, u8 to[static VECTOR_BYTES])
{
	enum x86_outcome outcome = X86_DONE;

	memset(to, 0, VECTOR_BYTES);
	if (vmove_has_active(move))
		outcome = memory_load(step, move->address, to, move->width);
	for (unsigned at = move->width; at < move->vector_bytes; at++)
		to[at] = to[at - move->width];
	return outcome;
}

static enum x86_outcome broadcast(struct step *step, const struct vmove *move)
{
	u8 value[VECTOR_BYTES];
	enum x86_outcome outcome = vmove_load_repeated(step, move, value);

	if (!outcome)
		vmove_write(step, move, value);
	return outcome;
}

enum x86_outcome step_broadcast(struct step *step, unsigned what)
{
	struct vmove move;
	enum x86_outcome outcome = vmove_begin(step, &move);

	return outcome ? outcome : broadcast(step, &move);
}

/* MOVDDUP, MOVSLDUP: the lower of two elements twice; MOVSHDUP: the upper. All are loaded, whatever the mask. */
enum x86_outcome step_duplicate(struct step *step, unsigned is_upper)
{
	struct vmove move;
	u8 loaded[VECTOR_BYTES] = {0}, value[VECTOR_BYTES] = {0};
	enum x86_outcome outcome = vmove_begin(step, &move);

	if (outcome)
		return outcome;
	if (move.width < move.vector_bytes)
		return broadcast(step, &move);
	if (step->instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && !is_aligned(move.address, move.width))
		return X86_PROTECTION;
	outcome = memory_load(step, move.address, loaded, move.width);
	if (outcome)
		return outcome;
	for (unsigned i = 0; i < move.width / move.element; i++)
		memcpy(value + i * move.element, loaded + ((i & ~1u) + is_upper) * move.element, move.element);
	vmove_write(step, &move, value);
	return X86_DONE;
}

/* PMOVZX, PMOVSX: each element of memory becomes a wider one. */
enum x86_outcome step_extend(struct step *step, unsigned is_signed)
{
	struct vmove move;
	u8 loaded[VECTOR_BYTES] = {0}, value[VECTOR_BYTES] = {0};
	unsigned count, narrow;
	enum x86_outcome outcome = vmove_begin(step, &move);

	if (outcome)
		return outcome;
	count = move.vector_bytes / move.element;
	narrow = move.width / count;
	if (!narrow || narrow > 4 || move.element > 8)
		return X86_UNKNOWN;
	outcome = vmove_load(step, &move, loaded, narrow, count);
	for (unsigned i = 0; i < count; i++) {
		u64 wide = 0;

		memcpy(&wide, loaded + i * narrow, narrow);
		wide = is_signed ? sign_extend(wide, narrow) : wide;
		memcpy(value + i * move.element, &wide, move.element);
	}
	if (!outcome)
		vmove_write(step, &move, value);
	return outcome;
}

/* Which of the pieces as wide as the memory the immediate chooses. */
static unsigned chosen_piece(const struct step *step, const struct vmove *move, unsigned bytes)
{
	return move->width <= bytes ? (unsigned)(last_immediate(step) % (bytes / move->width)) * move->width : 0;
}

/* PEXTR, EXTRACTPS, VEXTRACT: a piece of the register goes out. Not masked by elements of its own: those of the piece.
 */
enum x86_outcome step_extract(struct step *step, unsigned what)
{
	struct vmove move;
	u8 value[VECTOR_BYTES];
	unsigned element;
	enum x86_outcome outcome = vmove_begin(step, &move);

	if (outcome || !move.is_store)
		return outcome ? outcome : X86_UNKNOWN;
	vector_read(step, move.reg, value);
	element = move.element < move.width ? move.element : move.width;
	return vmove_store(step, &move, value + chosen_piece(step, &move, move.vector_bytes), element,
			   move.width / element);
}

/* PINSR, VINSERT: a piece comes in, the rest is the second register's; always loaded. */
enum x86_outcome step_insert(struct step *step, unsigned what)
{
	struct vmove move;
	u8 value[VECTOR_BYTES];
	enum x86_outcome outcome = vmove_begin(step, &move);

	if (outcome || move.is_store)
		return outcome ? outcome : X86_UNKNOWN;
	vector_read(step, move.second == ZYDIS_REGISTER_NONE ? move.reg : move.second, value);
	outcome = memory_load(step, move.address, value + chosen_piece(step, &move, move.vector_bytes), move.width);
	if (!outcome)
		vmove_write(step, &move, value);
	return outcome;
}

/* INSERTPS: bits 5:4 of the immediate say where to, 3:0 what is cleared; 7:6 choose among registers only. */
enum x86_outcome step_insertps(struct step *step, unsigned what)
{
	struct vmove move;
	u8 value[VECTOR_BYTES];
	u64 how = last_immediate(step);
	enum x86_outcome outcome = vmove_begin(step, &move);

	if (outcome)
		return outcome;
	vector_read(step, move.second == ZYDIS_REGISTER_NONE ? move.reg : move.second, value);
	outcome = memory_load(step, move.address, value + 4 * (how >> 4 & 3), 4);
	for (unsigned i = 0; i < 4; i++)
		if (how >> i & 1)
			put_u32(value + 4 * i, 0);
	if (!outcome)
		vector_write(step, move.reg, value, 16);
	return outcome;
}

/* The highest bit of each element of a vector. */
static u64 signs(const u8 *value, unsigned element, unsigned width)
{
	u64 mask = 0;

	for (unsigned i = 0; i < width / element; i++)
		mask |= (u64)(value[(i + 1) * element - 1] >> 7) << i;
	return mask;
}

/* VMASKMOV, VPMASKMOV: the mask is a vector. dest, mask, memory; or memory, mask, source. */
enum x86_outcome step_maskmov(struct step *step, unsigned element)
{
	struct vmove move;
	u8 mask[VECTOR_BYTES], value[VECTOR_BYTES] = {0};
	enum x86_outcome outcome = vmove_begin(step, &move);

	if (outcome || move.second == ZYDIS_REGISTER_NONE)
		return outcome ? outcome : X86_UNKNOWN;
	vector_read(step, move.is_store ? move.reg : move.second, mask);
	move.active = signs(mask, element, move.width);
	if (move.is_store) {
		vector_read(step, move.second, value);
		return vmove_store(step, &move, value, element, move.width / element);
	}
	outcome = vmove_load(step, &move, value, element, move.width / element);
	if (!outcome)
		vector_write(step, move.reg, value, move.width);
	return outcome;
}

/* MASKMOVDQU source, mask: bytes, to DS:[RDI]. */
enum x86_outcome step_maskmovdqu(struct step *step, unsigned what)
{
	struct vmove move;
	u8 mask[VECTOR_BYTES], value[VECTOR_BYTES];
	enum x86_outcome outcome = vmove_begin(step, &move);

	if (outcome || move.second == ZYDIS_REGISTER_NONE)
		return outcome ? outcome : X86_UNKNOWN;
	vector_read(step, move.reg, value);
	vector_read(step, move.second, mask);
	move.active = signs(mask, 1, 16);
	return vmove_store(step, &move, value, 1, 16);
}

/* KMOV between a mask register and memory. */
enum x86_outcome step_kmov(struct step *step, unsigned what)
{
	unsigned memory = find_memory(step), other = !memory;
	u64 value;
	enum x86_outcome outcome = memory > 1 ? X86_UNKNOWN : vectors_fetch(step);

	if (outcome)
		return outcome;
	if (!memory)
		return operand_store(step, memory, mask_read(step, step->operands[other].reg.value));
	outcome = operand_load(step, memory, &value);
	if (!outcome)
		mask_write(step, step->operands[other].reg.value, value);
	return outcome;
}
