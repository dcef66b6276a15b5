/* SPDX-License-Identifier: MIT */
#include "x86/vectors.h"

#include <stdatomic.h>

/* The image: SDM 1, 13.4. The first 576 bytes and the place of the upper halves of YMM are the same everywhere. */
enum {
	XMM = 160,
	XSTATE_BV = 512,
	XCOMP_BV = 520,
	LEGACY_BYTES = 512,
	EXTENDED = 576,
};

/* Its parts, by their number in XSTATE_BV. */
enum { SSE = 1, AVX = 2, OPMASK = 5, ZMM_HIGH = 6, HIGH_ZMM = 7 };

#if defined(__x86_64__)
#include <cpuid.h>

static u32 cpu_offset(unsigned part)
{
	unsigned size, offset, c, d;

	return __get_cpuid_count(0xd, part, &size, &offset, &c, &d) && size ? offset : 0;
}
#else
static u32 cpu_offset(unsigned part)
{
	return 0;
}
#endif

/*
 * Where the parts of AVX-512 lie differs between CPUs. Asking takes microseconds in a virtual machine, 20 and more for
 * all of them, so what they said is kept. Everybody gets the same answer: it does not matter who asks first.
 */
static _Atomic u32 known_offset[HIGH_ZMM + 1];

static u32 offset_of(unsigned part)
{
	u32 offset = atomic_load_explicit(&known_offset[part], memory_order_relaxed);

	if (!offset) {
		offset = cpu_offset(part);
		atomic_store_explicit(&known_offset[part], offset, memory_order_relaxed);
	}
	return offset;
}

static const u32 part_size[] = {[SSE] = 256, [AVX] = 256, [OPMASK] = 64, [ZMM_HIGH] = 512, [HIGH_ZMM] = 1024};

static u64 present(const struct step *step)
{
	/* What FXSAVE leaves has no header, and all of its one part. */
	return step->state->xsave_size < EXTENDED ? BIT(SSE) : get_u64(step->state->xsave + XSTATE_BV);
}

static void place_part(struct step *step, unsigned part, u32 offset)
{
	if (offset && (u64)offset + part_size[part] <= step->state->xsave_size)
		step->vector_part[part] = offset;
}

/* In use already, or about to be. */
static bool uses_avx512(const struct step *step)
{
	if (present(step) & (BIT(OPMASK) | BIT(ZMM_HIGH) | BIT(HIGH_ZMM)))
		return true;
	for (unsigned i = 0; i < step->instruction.operand_count; i++)
		if (step->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    ZydisRegisterGetClass(step->operands[i].reg.value) == ZYDIS_REGCLASS_MASK)
			return true;
	return step->instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
}

static unsigned number_of(ZydisRegister reg)
{
	return (unsigned)(reg - ZYDIS_REGISTER_XMM0) % 32;
}

static bool has_place(const struct step *step, ZydisRegister reg)
{
	if (ZydisRegisterGetClass(reg) == ZYDIS_REGCLASS_MASK)
		return step->vector_part[OPMASK];
	if (!is_vector(reg))
		return true;
	if (number_of(reg) >= 16 && !step->vector_part[HIGH_ZMM])
		return false;
	if (reg >= ZYDIS_REGISTER_ZMM0 && !step->vector_part[ZMM_HIGH])
		return false;
	return step->vector_part[reg >= ZYDIS_REGISTER_YMM0 ? AVX : SSE];
}

/* Every encoding but the oldest clears the upper halves, which therefore must be within reach. */
static bool image_is_usable(const struct step *step)
{
	const struct x86_state *state = step->state;

	if (state->xsave_size < LEGACY_BYTES || !state->xsave)
		return false;
	if (state->xsave_size >= EXTENDED && get_u64(state->xsave + XCOMP_BV) >> 63)
		return false;
	return state->xsave_size >= EXTENDED || step->instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
}

enum x86_outcome vectors_fetch(struct step *step)
{
	if (!step->bus->vectors || !step->bus->vectors(step->context, step->state) || !image_is_usable(step))
		return X86_UNKNOWN;
	memset(step->vector_part, 0, sizeof(step->vector_part));
	place_part(step, SSE, XMM);
	place_part(step, AVX, EXTENDED);
	for (unsigned part = OPMASK; part <= HIGH_ZMM && uses_avx512(step); part++)
		place_part(step, part, offset_of(part));
	for (unsigned i = 0; i < step->instruction.operand_count; i++)
		if (step->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    !has_place(step, step->operands[i].reg.value))
			return X86_UNKNOWN;
	return X86_DONE;
}

static void read_part(const struct step *step, unsigned part, unsigned at, u8 *to, unsigned size)
{
	if (step->vector_part[part] && present(step) & BIT(part))
		memcpy(to, step->state->xsave + step->vector_part[part] + at, size);
	else
		memset(to, 0, size);
}

static bool is_zero(const u8 *bytes, unsigned size)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* A part in its initial state comes into being when something else than zeros is written. */
static void write_part(struct step *step, unsigned part, unsigned at, const u8 *from, unsigned size)
{
	u8 *place = step->state->xsave + step->vector_part[part];

	step->state->xsave_changed = true;
	if (!(present(step) & BIT(part))) {
		if (is_zero(from, size) || !step->vector_part[part])
			return;
		memset(place, 0, part_size[part]);
		put_u64(step->state->xsave + XSTATE_BV, present(step) | BIT(part));
	}
	if (step->vector_part[part])
		memcpy(place + at, from, size);
}

/* Registers 16 to 31 lie in one piece, the others in three. */
void vector_read(const struct step *step, ZydisRegister reg, u8 to[static VECTOR_BYTES])
{
	unsigned number = number_of(reg);

	if (number >= 16) {
		read_part(step, HIGH_ZMM, 64 * (number - 16), to, 64);
		return;
	}
	read_part(step, SSE, 16 * number, to, 16);
	read_part(step, AVX, 16 * number, to + 16, 16);
	read_part(step, ZMM_HIGH, 32 * number, to + 32, 32);
}

void vector_write(struct step *step, ZydisRegister reg, const u8 from[static VECTOR_BYTES], unsigned width)
{
	u8 whole[VECTOR_BYTES] = {0};
	unsigned number = number_of(reg);

	memcpy(whole, from, width);
	if (number >= 16) {
		write_part(step, HIGH_ZMM, 64 * (number - 16), whole, 64);
		return;
	}
	write_part(step, SSE, 16 * number, whole, 16);
	if (step->instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return;
	write_part(step, AVX, 16 * number, whole + 16, 16);
	write_part(step, ZMM_HIGH, 32 * number, whole + 32, 32);
}

u64 mask_read(const struct step *step, ZydisRegister reg)
{
	u8 value[8];

	read_part(step, OPMASK, 8 * (unsigned)(reg - ZYDIS_REGISTER_K0), value, sizeof(value));
	return get_u64(value);
}

void mask_write(struct step *step, ZydisRegister reg, u64 value)
{
	u8 bytes[8];

	put_u64(bytes, value);
	write_part(step, OPMASK, 8 * (unsigned)(reg - ZYDIS_REGISTER_K0), bytes, sizeof(bytes));
}
