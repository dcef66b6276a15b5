/* SPDX-License-Identifier: MIT */
#include "x86/step.h"

/* The place in gpr[]. */
static unsigned gpr_index(ZydisRegister reg)
{
	return (unsigned)(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg) - ZYDIS_REGISTER_RAX);
}

/* AH, CH, DH, BH: the second byte of a register. */
static unsigned gpr_shift(ZydisRegister reg)
{
	return reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH ? 8 : 0;
}

bool is_vector(ZydisRegister reg)
{
	return reg >= ZYDIS_REGISTER_XMM0 && reg <= ZYDIS_REGISTER_ZMM31;
}

bool is_gpr(ZydisRegister reg)
{
	return reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_R15;
}

static unsigned gpr_width(ZydisRegister reg)
{
	return ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg) / 8;
}

u64 gpr_read(const struct step *step, ZydisRegister reg)
{
	return is_gpr(reg) ? step->gpr[gpr_index(reg)] >> gpr_shift(reg) & width_mask(gpr_width(reg)) : 0;
}

/* Writing four bytes clears the upper four; writing one or two leaves the rest. */
void gpr_write(struct step *step, ZydisRegister reg, u64 value)
{
	unsigned width = gpr_width(reg);
	u64 mask = width_mask(width >= 4 ? 8 : width) << gpr_shift(reg), *place;

	if (!is_gpr(reg))
		return;
	place = &step->gpr[gpr_index(reg)];
	*place = (*place & ~mask) | (value & width_mask(width)) << gpr_shift(reg);
}

bool operand_is_memory(const struct step *step, unsigned index)
{
	return index < step->instruction.operand_count && step->operands[index].type == ZYDIS_OPERAND_TYPE_MEMORY;
}

unsigned operand_width(const struct step *step, unsigned index)
{
	return step->operands[index].size / 8;
}

/* In long mode, the other segments begin at 0. */
u64 segment_base(const struct step *step, ZydisRegister segment)
{
	if (segment == ZYDIS_REGISTER_FS)
		return step->state->fs_base;
	return segment == ZYDIS_REGISTER_GS ? step->state->gs_base : 0;
}

static u64 address_part(const struct step *step, ZydisRegister reg)
{
	if (reg == ZYDIS_REGISTER_NONE)
		return 0;
	if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
		return step->state->rip + step->instruction.length;
	return gpr_read(step, reg);
}

/*
 * [index * scale + disp32], without a base: MOD 0 with 5 as the base, whatever REX.B says. Zydis 4.0 takes REX.B into
 * account, and finds R13 there and no displacement.
 */
static bool has_no_base(const struct step *step, const ZydisDecodedOperand *operand)
{
	return operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM &&
	       step->instruction.attributes & ZYDIS_ATTRIB_HAS_SIB && step->instruction.raw.modrm.mod == 0 &&
	       step->instruction.raw.sib.base == 5;
}

u64 operand_address(const struct step *step, unsigned index)
{
	return operand_address_at(step, index, 0);
}

/* That many bytes behind it: still within four gigabytes if addresses have four bytes. */
u64 operand_address_at(const struct step *step, unsigned index, u64 displacement)
{
	const ZydisDecodedOperandMem *memory = &step->operands[index].mem;
	u64 address = displacement + address_part(step, memory->index) * memory->scale;

	if (has_no_base(step, &step->operands[index]))
		address += (u64)step->instruction.raw.disp.value;
	else
		address += (u64)memory->disp.value + address_part(step, memory->base);
	if (step->instruction.address_width == 32)
		address &= UINT32_MAX;
	return address + segment_base(step, memory->segment);
}

enum x86_outcome memory_load(struct step *step, u64 address, void *to, unsigned width)
{
	if (step->bus->load(step->context, address, to, width) == 0)
		return X86_DONE;
	step->fault_address = address;
	return X86_FAULT;
}

enum x86_outcome memory_store(struct step *step, u64 address, const void *from, unsigned width)
{
	if (step->bus->store(step->context, address, from, width) == 0)
		return X86_DONE;
	step->fault_address = address;
	return X86_FAULT;
}

enum x86_outcome operand_load(struct step *step, unsigned index, u64 *value)
{
	const ZydisDecodedOperand *operand = &step->operands[index];

	*value = 0;
	switch (operand->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		if (!is_gpr(operand->reg.value))
			return X86_UNKNOWN;
		*value = gpr_read(step, operand->reg.value);
		return X86_DONE;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		*value = operand->imm.value.u;
		return X86_DONE;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		if (operand_width(step, index) <= sizeof(*value))
			return memory_load(step, operand_address(step, index), value, operand_width(step, index));
		return X86_UNKNOWN;
	default:
		return X86_UNKNOWN;
	}
}

enum x86_outcome operand_store(struct step *step, unsigned index, u64 value)
{
	const ZydisDecodedOperand *operand = &step->operands[index];

	switch (operand->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		if (!is_gpr(operand->reg.value))
			return X86_UNKNOWN;
		gpr_write(step, operand->reg.value, value);
		return X86_DONE;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		if (operand_width(step, index) <= sizeof(value))
			return memory_store(step, operand_address(step, index), &value, operand_width(step, index));
		return X86_UNKNOWN;
	default:
		return X86_UNKNOWN;
	}
}
