/* SPDX-License-Identifier: MIT */
/*
 * The CPU is the judge. Random instructions, of every encoding, with random registers, flags and memory: those we claim
 * to know are carried out by us, on a copy of memory, and by the CPU; then all registers, the flags that are defined,
 * and memory must agree, or both have refused in the same way. In the end, every instruction of the table has been
 * judged, but for those that this CPU does not have.
 */
#include "tests/helpers.h"

#include <asm/prctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tests/fixtures/x86_cpu.h"
#include "tests/fixtures/x86_rig.h"
#include "x86/step.h"

enum { DATA_PAGES = 2, DATA = DATA_PAGES * PAGE_SIZE, ATTEMPTS = 300000, MORE_ATTEMPTS = 3000000 };

/* One page of code, then the data, then nothing. Low, so that addresses of four bytes reach them. */
static u8 *arena;
static u64 code_at, data_at, fs_base, gs_base;
static u8 copy[DATA], background[DATA];
static struct x86_rig rig;
static struct x86_cpu_parts parts;
static u64 random_state;
static unsigned judged[ZYDIS_MNEMONIC_MAX_VALUE + 1], refused[ZYDIS_MNEMONIC_MAX_VALUE + 1];

/* One case: what is run, and from where. */
struct attempt {
	u8 code[X86_CODE_MAX + 2];
	ZydisDecodedInstruction instruction;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	struct x86_state start, real;
	_Alignas(64) u8 start_image[X86_CPU_XSAVE], real_image[X86_CPU_XSAVE];
	u8 start_data[DATA];
	u64 target; /* where its first operand in memory lies; 0: it has none */
	struct x86_cpu_stop stop;
};

static u64 draw(void)
{
	u64 z = random_state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static u64 below(u64 limit)
{
	return draw() % limit;
}

static void draw_bytes(u8 *to, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = (u8)draw();
}

/* Numbers at which carries, signs and overflows happen more often than by chance. */
static u64 draw_value(void)
{
	switch (below(5)) {
	case 0:
		return below(3) - 1;
	case 1:
		return BIT(below(64)) - below(2);
	case 2:
		return below(2) ? below(256) : 8ull << below(4); /* a number of bits, maybe all of them */
	default:
		return draw();
	}
}

static void draw_prefixes(struct attempt *attempt, unsigned *at)
{
	static const u8 prefixes[] = {0x66, 0xf2, 0xf3, 0xf0, 0x67, 0x64, 0x65, 0x2e, 0x3e};
	unsigned count = (unsigned)below(4);

	for (unsigned i = 0; i < count; i++)
		attempt->code[(*at)++] = prefixes[below(sizeof(prefixes))];
}

/* VEX: C5 or C4. The second source is often none, which is all ones. */
static void draw_vex(u8 *code)
{
	bool is_long = below(4);

	code[0] = is_long ? 0xc4 : 0xc5;
	if (is_long && below(8) == 0) { /* BMI lives at the end of the second map */
		code[1] = (u8)(0xe0 & draw()) | 2;
		code[3] = (u8)(0xf0 + below(8));
	} else if (is_long)
		code[1] = (u8)(0xe0 & draw()) | (u8)(1 + below(3));
	if (below(2))
		code[is_long ? 2 : 1] |= 0x78;
}

/* EVEX: without a mask, without a second source, and without a broadcast, in half of the cases each. */
static void draw_evex(u8 *code)
{
	code[0] = 0x62;
	code[1] = (u8)(0xf0 & draw()) | (u8)(1 + below(3));
	code[2] |= 4;
	if (below(2)) {
		code[2] |= 0x78;
		code[3] |= 8;
	}
	if (below(2))
		code[3] &= 0x78;
	if (below(2))
		code[3] &= 0xef;
}

static void draw_legacy(struct attempt *attempt)
{
	unsigned at = 0;

	draw_prefixes(attempt, &at);
	if (below(2))
		attempt->code[at++] = (u8)(0x40 + below(16));
	if (below(3) == 0)
		return;
	attempt->code[at++] = 0x0f;
	if (below(3) == 0)
		attempt->code[at] = below(2) ? 0x38 : 0x3a;
}

/* Random bytes in which an encoding begins. */
static void draw_code(struct attempt *attempt)
{
	unsigned kind = (unsigned)below(8), at = 0;

	draw_bytes(attempt->code, X86_CODE_MAX);
	if (kind < 4 && below(8) == 0)
		attempt->code[at++] = 0x67;
	if (kind < 2)
		draw_vex(attempt->code + at);
	else if (kind < 4)
		draw_evex(attempt->code + at);
	else
		draw_legacy(attempt);
}

/* SIB without a base: Zydis 4.0 finds one when REX.B is set. */
static void mend_base(struct attempt *attempt)
{
	const ZydisDecodedInstructionRaw *raw = &attempt->instruction.raw;

	if (!(attempt->instruction.attributes & ZYDIS_ATTRIB_HAS_SIB) || raw->modrm.mod != 0 || raw->sib.base != 5)
		return;
	for (unsigned i = 0; i < attempt->instruction.operand_count; i++)
		if (attempt->operands[i].encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM)
			attempt->operands[i].mem.base = ZYDIS_REGISTER_NONE;
}

static bool decode(struct attempt *attempt)
{
	ZydisDecoder decoder;
	bool decoded = ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) &&
		       ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, attempt->code, X86_CODE_MAX, &attempt->instruction,
							   attempt->operands)) &&
		       instruction_find(attempt->instruction.mnemonic).handler;

	if (decoded)
		mend_base(attempt);
	return decoded;
}

static u64 *register_of(struct attempt *attempt, ZydisRegister reg)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	return whole >= ZYDIS_REGISTER_RAX && whole <= ZYDIS_REGISTER_R15
		       ? &attempt->start.gpr[whole - ZYDIS_REGISTER_RAX]
		       : NULL;
}

static u64 base_of_segment(ZydisRegister segment)
{
	return segment == ZYDIS_REGISTER_FS ? fs_base : segment == ZYDIS_REGISTER_GS ? gs_base : 0;
}

/* The displacement is what remains: in the code, if it has the place. */
static bool aim_displacement(struct attempt *attempt, u64 displacement)
{
	unsigned size = attempt->instruction.raw.disp.size;

	if (size < 32 || (size == 32 && (u64)(int64_t)(int32_t)displacement != displacement))
		return false;
	memcpy(attempt->code + attempt->instruction.raw.disp.offset, &displacement, size / 8);
	return decode(attempt);
}

/* Registers, or the displacement, so that the operand lies at the target. False if that cannot be. */
static bool aim(struct attempt *attempt, const ZydisDecodedOperandMem *memory, u64 target)
{
	u64 *base = register_of(attempt, memory->base), *index = register_of(attempt, memory->index), rest;

	if (memory->type == ZYDIS_MEMOP_TYPE_VSIB || (base && base == index) ||
	    (attempt->instruction.address_width == 32 && memory->segment == ZYDIS_REGISTER_FS))
		return false;
	rest = target - base_of_segment(memory->segment);
	if (index) {
		if (!base || base == &attempt->start.gpr[X86_RSP])
			*index = below(64);
		rest -= memory->index == ZYDIS_REGISTER_AL ? *index & 0xff : *index * memory->scale;
	}
	if (memory->base == ZYDIS_REGISTER_RIP || memory->base == ZYDIS_REGISTER_EIP)
		return aim_displacement(attempt, rest - code_at - attempt->instruction.length);
	if (!base)
		return aim_displacement(attempt, rest);
	*base = rest - (u64)memory->disp.value;
	if (attempt->instruction.address_width == 32 && base != &attempt->start.gpr[X86_RSP])
		*base = (*base & UINT32_MAX) | draw() << 32;
	return true;
}

/* What is locked across cache lines is slow, or punished, on some CPUs. */
static bool is_locked(const struct attempt *attempt)
{
	return attempt->instruction.attributes & ZYDIS_ATTRIB_HAS_LOCK ||
	       attempt->instruction.mnemonic == ZYDIS_MNEMONIC_XCHG;
}

/* Now and then where memory ends, so that the operand, or the next element, lies beyond it. */
static u64 draw_target(const struct attempt *attempt, unsigned width)
{
	u64 target = data_at + DATA / 4 + below(DATA / 2);

	if (below(16) == 0)
		target = data_at + DATA - below(80);
	return (below(4) || is_locked(attempt)) && width ? align_down(target, BIT(63 - __builtin_clzll(width)))
							 : target;
}

static bool is_bit_operation(ZydisMnemonic mnemonic)
{
	return mnemonic == ZYDIS_MNEMONIC_BT || mnemonic == ZYDIS_MNEMONIC_BTS || mnemonic == ZYDIS_MNEMONIC_BTR ||
	       mnemonic == ZYDIS_MNEMONIC_BTC;
}

/* Counts of repetitions must be small; and a bit number in a register, which reaches far, not be its own address. */
static bool tame(struct attempt *attempt)
{
	const ZydisDecodedOperand *operands = attempt->operands;
	u64 *number;

	if (attempt->instruction.meta.category == ZYDIS_CATEGORY_STRINGOP)
		attempt->start.gpr[X86_RCX] = below(8) | (attempt->instruction.address_width == 32 ? draw() << 32 : 0);
	if (!is_bit_operation(attempt->instruction.mnemonic) || operands[1].type != ZYDIS_OPERAND_TYPE_REGISTER ||
	    operands[0].type != ZYDIS_OPERAND_TYPE_MEMORY)
		return true;
	number = register_of(attempt, operands[1].reg.value);
	*number = below(8000) - 4000;
	return number != register_of(attempt, operands[0].mem.base) &&
	       number != register_of(attempt, operands[0].mem.index);
}

/* MOVDIR64B takes the address of its destination from a register, which is no operand in memory. */
static bool aim_portal(struct attempt *attempt)
{
	u64 *portal = register_of(attempt, attempt->operands[0].reg.value);

	if (attempt->instruction.mnemonic != ZYDIS_MNEMONIC_MOVDIR64B)
		return true;
	if (portal == register_of(attempt, attempt->operands[1].mem.base) ||
	    portal == register_of(attempt, attempt->operands[1].mem.index))
		return false;
	*portal = align_down(data_at + DATA / 4 + below(DATA / 2), 64) + (below(8) ? 0 : below(64));
	return true;
}

/* PUSH [RSP + 1 GiB]: where the operand is right, the stack would be somebody else's memory. */
static bool has_own_stack(const struct attempt *attempt)
{
	u64 stack = attempt->start.gpr[X86_RSP];

	switch (attempt->instruction.mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
	case ZYDIS_MNEMONIC_POP:
	case ZYDIS_MNEMONIC_CALL:
		return stack >= data_at + 8 && stack <= data_at + DATA;
	default:
		return true;
	}
}

static bool aim_all(struct attempt *attempt)
{
	bool stack_aimed = false;
	u64 target;

	attempt->target = 0;
	if (!tame(attempt))
		return false;
	for (unsigned i = 0; i < attempt->instruction.operand_count; i++) {
		const ZydisDecodedOperand *operand = &attempt->operands[i];

		if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		/* PUSH [RSP + 8]: the stack has been aimed at already. */
		if (stack_aimed && operand->mem.base == ZYDIS_REGISTER_RSP)
			continue;
		target = draw_target(attempt, operand->size / 8);
		if (!aim(attempt, &attempt->operands[i].mem, target))
			return false;
		if (!attempt->target)
			attempt->target = target;
		stack_aimed |= register_of(attempt, operand->mem.base) == &attempt->start.gpr[X86_RSP];
	}
	return has_own_stack(attempt) && aim_portal(attempt);
}

static bool reaches_border(const struct attempt *attempt)
{
	return attempt->target + 64 > data_at + DATA;
}

/* Where a jump goes is invalid, too. */
static void put_jump_target(struct attempt *attempt)
{
	if (attempt->target && attempt->target + 8 <= data_at + DATA &&
	    (attempt->instruction.mnemonic == ZYDIS_MNEMONIC_JMP ||
	     attempt->instruction.mnemonic == ZYDIS_MNEMONIC_CALL))
		put_u64(arena + (attempt->target - code_at), code_at + 256);
}

static void draw_state(struct attempt *attempt)
{
	attempt->start = (struct x86_state){.rip = code_at,
					    .rflags = 0x202 | (draw() & (X86_ARITHMETIC | X86_DF)),
					    .fs_base = fs_base,
					    .gs_base = gs_base};
	for (unsigned i = 0; i < X86_GPRS; i++)
		attempt->start.gpr[i] = draw_value();
	memset(attempt->start_image, 0, sizeof(attempt->start_image));
	draw_bytes(attempt->start_image + 160, 2688 - 160);
	memset(attempt->start_image + 512, 0, 64);
	put_u64(attempt->start_image + 512, (below(4) ? 0xe6 : draw() & 0xe6) | 1);
}

/*
 * New numbers where the operand lies, or all zeros, all ones, or what it may be compared with; elsewhere, the same
 * random bytes each time.
 */
static void draw_data(const struct attempt *attempt)
{
	u8 *at = arena + ((attempt->target ? attempt->target : data_at + DATA / 2) - code_at) - 64;
	unsigned size = (unsigned)min_u64(192, (u64)(arena + PAGE_SIZE + DATA - at));

	memcpy(arena + PAGE_SIZE, background, DATA);
	for (unsigned i = 0; i + 8 <= size; i += 8)
		put_u64(at + i, draw_value());
	if (size == 192 && below(8) == 0)
		memset(at + 64, (int)below(2) * 0xff, 64);
	else if (size == 192 && below(8) == 0) /* what a vector register holds */
		memcpy(at + 64, attempt->start_image + 160 + 16 * below(16), 16);
}

static bool draw_attempt(struct attempt *attempt)
{
	draw_code(attempt);
	if (!decode(attempt))
		return false;
	draw_state(attempt);
	if (!aim_all(attempt))
		return false;
	draw_data(attempt);
	put_jump_target(attempt);
	memcpy(attempt->start_data, arena + PAGE_SIZE, DATA);
	return true;
}

static void run_real(struct attempt *attempt)
{
	unsigned length = attempt->instruction.length;

	memcpy(arena, attempt->code, length);
	memcpy(arena + length, x86_cpu_marker, sizeof(x86_cpu_marker));
	attempt->real = attempt->start;
	memcpy(attempt->real_image, attempt->start_image, sizeof(attempt->real_image));
	attempt->real.xsave = attempt->real_image;
	x86_cpu_run(&attempt->real, length, &attempt->stop);
}

static enum x86_outcome run_ours(struct attempt *attempt)
{
	memcpy(copy, attempt->start_data, DATA);
	rig.memory = copy;
	rig.base = data_at;
	rig.size = DATA;
	rig.precise_first = 0; /* all of it: a repetition does not end early */
	rig.precise_last = UINT64_MAX;
	rig.has_vectors = true;
	rig.state = attempt->start;
	memcpy(rig.xsave, attempt->start_image, sizeof(attempt->start_image));
	return x86_rig_step(&rig, attempt->code, X86_CODE_MAX);
}

static bool is_shift(ZydisMnemonic mnemonic)
{
	return mnemonic == ZYDIS_MNEMONIC_SHL || mnemonic == ZYDIS_MNEMONIC_SHR || mnemonic == ZYDIS_MNEMONIC_SAR;
}

static bool is_double_shift(ZydisMnemonic mnemonic)
{
	return mnemonic == ZYDIS_MNEMONIC_SHLD || mnemonic == ZYDIS_MNEMONIC_SHRD;
}

static bool is_rotation(ZydisMnemonic mnemonic)
{
	return mnemonic == ZYDIS_MNEMONIC_ROL || mnemonic == ZYDIS_MNEMONIC_ROR || mnemonic == ZYDIS_MNEMONIC_RCL ||
	       mnemonic == ZYDIS_MNEMONIC_RCR;
}

/* By how many places: the last operand, in five or six bits. */
static unsigned places(const struct attempt *attempt)
{
	const ZydisDecodedOperand *count = &attempt->operands[is_double_shift(attempt->instruction.mnemonic) ? 2 : 1];
	u64 value = count->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? count->imm.value.u : attempt->start.gpr[X86_RCX];

	return (unsigned)(value & (attempt->operands[0].size == 64 ? 63 : 31));
}

/* What manuals leave undefined depends on the count. */
static u64 undefined_flags(const struct attempt *attempt)
{
	ZydisMnemonic mnemonic = attempt->instruction.mnemonic;
	const ZydisAccessedFlags *flags = attempt->instruction.cpu_flags;
	u64 overflow, carry;

	/* A repeated comparison that faults: CPUs differ. */
	if (attempt->stop.signal && attempt->instruction.meta.category == ZYDIS_CATEGORY_STRINGOP)
		return X86_ARITHMETIC;
	if (!is_shift(mnemonic) && !is_rotation(mnemonic) && !is_double_shift(mnemonic))
		return flags ? flags->undefined : 0;
	if (!places(attempt))
		return 0;
	overflow = places(attempt) > 1 ? X86_OF : 0;
	carry = is_shift(mnemonic) && places(attempt) >= attempt->operands[0].size ? X86_CF : 0;
	return is_rotation(mnemonic) ? overflow : overflow | carry | X86_AF;
}

/*
 * A store under a mask: the CPU looks at all of it before it begins, we have stored the elements before the one that
 * nobody answers.
 */
static bool stores_in_parts(const struct attempt *attempt)
{
	switch (attempt->instruction.mnemonic) {
	case ZYDIS_MNEMONIC_MASKMOVDQU:
	case ZYDIS_MNEMONIC_VMASKMOVDQU:
	case ZYDIS_MNEMONIC_VMASKMOVPS:
	case ZYDIS_MNEMONIC_VMASKMOVPD:
	case ZYDIS_MNEMONIC_VPMASKMOVD:
	case ZYDIS_MNEMONIC_VPMASKMOVQ:
		return true;
	default:
		return attempt->instruction.avx.mask.reg > ZYDIS_REGISTER_K0;
	}
}

static bool is_enqueue(ZydisMnemonic mnemonic)
{
	return mnemonic == ZYDIS_MNEMONIC_ENQCMD || mnemonic == ZYDIS_MNEMONIC_ENQCMDS;
}

static bool is_scan(ZydisMnemonic mnemonic)
{
	return mnemonic == ZYDIS_MNEMONIC_BSF || mnemonic == ZYDIS_MNEMONIC_BSR;
}

/*
 * Where manuals allow anything, or CPUs differ: two bytes shifted by more than sixteen places; flushes of what is not
 * there; repetitions that ECX says are none; and what has no operand in memory is not what this is about.
 */
static bool is_undefined(const struct attempt *attempt)
{
	if (!attempt->target)
		return true;
	if (reaches_border(attempt) &&
	    (stores_in_parts(attempt) || instruction_find(attempt->instruction.mnemonic).handler == step_nothing))
		return true;
	if (attempt->instruction.meta.category == ZYDIS_CATEGORY_STRINGOP && attempt->instruction.address_width == 32 &&
	    !(u32)attempt->start.gpr[X86_RCX])
		return true;
	return is_double_shift(attempt->instruction.mnemonic) && places(attempt) > attempt->operands[0].size;
}

/* The same, seen afterwards: aligned moves that move nothing, and what BSF finds where there is nothing. */
static bool may_differ(const struct attempt *attempt)
{
	if (attempt->instruction.avx.mask.reg > ZYDIS_REGISTER_K0 && attempt->stop.signal == SIGSEGV)
		return rig.result.outcome == X86_DONE && !rig.count;
	return is_scan(attempt->instruction.mnemonic) && rig.result.outcome == X86_DONE && rig.state.rflags & X86_ZF;
}

static enum x86_outcome expected_outcome(const struct attempt *attempt)
{
	if (attempt->stop.signal == SIGFPE)
		return X86_DIVIDE;
	if (attempt->stop.signal == SIGSEGV)
		return attempt->stop.code == SEGV_MAPERR || attempt->stop.code == SEGV_ACCERR ? X86_FAULT
											      : X86_PROTECTION;
	return X86_DONE;
}

/* What an image says of a part, zeros if it is in its initial state. */
static void normalise(u8 *image)
{
	static const struct {
		unsigned number;
		u32 offset, size;
	} fixed[] = {{1, 160, 256}, {2, 576, 256}};
	u64 present = get_u64(image + 512);
	const struct {
		unsigned number;
		u32 offset, size;
	} varying[] = {{5, parts.opmask, 64}, {6, parts.zmm_high, 512}, {7, parts.high_zmm, 1024}};

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (!(present & BIT(fixed[i].number)))
			memset(image + fixed[i].offset, 0, fixed[i].size);
	for (size_t i = 0; i < ARRAY_SIZE(varying); i++)
		if (varying[i].offset && !(present & BIT(varying[i].number)))
			memset(image + varying[i].offset, 0, varying[i].size);
}

static bool same_part(u32 offset, u32 size, const struct attempt *attempt)
{
	return !offset || memcmp(rig.xsave + offset, attempt->real_image + offset, size) == 0;
}

/* The CPU names the first byte that nobody answers, we the whole access it is part of. */
static bool is_fault_address(const struct attempt *attempt)
{
	return attempt->stop.address - rig.result.fault_address < 64;
}

/* The one operand in memory, if that is all there is: no stack, no repetition, no mask that leaves out elements. */
static const ZydisDecodedOperand *only_memory(const struct attempt *attempt)
{
	const ZydisDecodedOperand *found = NULL;

	for (unsigned i = 0; i < attempt->instruction.operand_count; i++) {
		if (attempt->operands[i].type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		if (found)
			return NULL;
		found = &attempt->operands[i];
	}
	if (stores_in_parts(attempt) || attempt->instruction.meta.category == ZYDIS_CATEGORY_STRINGOP ||
	    attempt->instruction.mnemonic == ZYDIS_MNEMONIC_MOVDIR64B)
		return NULL;
	return found;
}

static bool was_seen(unsigned index, char kind, unsigned width)
{
	return rig.seen[index].kind == kind && rig.seen[index].width == width;
}

/* As Zydis has it from the manuals: what is read is loaded once, what is written stored once, then, in one piece. */
static bool accesses_agree(const struct attempt *attempt)
{
	const ZydisDecodedOperand *memory = only_memory(attempt);
	unsigned at = 0, width;

	if (!memory || instruction_find(attempt->instruction.mnemonic).handler == step_nothing)
		return true;
	width = memory->size / 8;
	if (was_seen(0, '(', 0))
		at++;
	if (memory->actions & ZYDIS_OPERAND_ACTION_MASK_READ && !was_seen(at++, 'L', width))
		return false;
	if (memory->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE && !was_seen(at++, 'S', width))
		return false;
	return rig.count == (was_seen(0, '(', 0) ? at + 1 : at);
}

static const char *difference(struct attempt *attempt, enum x86_outcome outcome)
{
	u64 mask = (X86_ARITHMETIC | X86_DF) & ~undefined_flags(attempt);

	if (outcome != expected_outcome(attempt))
		return "outcome";
	if (outcome == X86_DONE && !accesses_agree(attempt))
		return "accesses";
	if (outcome == X86_FAULT && !is_fault_address(attempt))
		return "address of the fault";
	if (memcmp(rig.state.gpr, attempt->real.gpr, sizeof(rig.state.gpr)) != 0)
		return "general registers";
	if (rig.state.rip != attempt->real.rip)
		return "rip";
	if ((rig.state.rflags ^ attempt->real.rflags) & mask)
		return "flags";
	if (memcmp(copy, arena + PAGE_SIZE, DATA) != 0)
		return "memory";
	normalise(rig.xsave);
	if (!same_part(160, 256, attempt) || !same_part(parts.avx ? 576 : 0, 256, attempt) ||
	    !same_part(parts.opmask, 64, attempt) || !same_part(parts.zmm_high, 512, attempt) ||
	    !same_part(parts.high_zmm, 1024, attempt))
		return "vector registers";
	return NULL;
}

static void print_difference(const struct attempt *attempt, const char *what, u64 seed)
{
	static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
	ZydisDisassembledInstruction shown;

	ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, code_at, attempt->code, X86_CODE_MAX, &shown);
	print_message("%s:", shown.text);
	for (unsigned i = 0; i < attempt->instruction.length; i++)
		print_message(" %02x", attempt->code[i]);
	print_message("\n%s differ; again: ISOLDE_SEED=%llu ISOLDE_ROUNDS=1\n", what, (unsigned long long)seed);
	print_message("outcome %d, signal %d code %d at %#llx\n", rig.result.outcome, attempt->stop.signal,
		      attempt->stop.code, (unsigned long long)attempt->stop.address);
	for (unsigned i = 0; i < X86_GPRS; i++)
		print_message("%-4s before %16llx  CPU %16llx  we %16llx%s\n", names[i],
			      (unsigned long long)attempt->start.gpr[i], (unsigned long long)attempt->real.gpr[i],
			      (unsigned long long)rig.state.gpr[i],
			      attempt->real.gpr[i] == rig.state.gpr[i] ? "" : " <");
	print_message("rip  CPU %llx we %llx; flags before %llx CPU %llx we %llx\n",
		      (unsigned long long)attempt->real.rip, (unsigned long long)rig.state.rip,
		      (unsigned long long)attempt->start.rflags, (unsigned long long)attempt->real.rflags,
		      (unsigned long long)rig.state.rflags);
	for (unsigned i = 0; i < DATA; i++)
		if (copy[i] != arena[PAGE_SIZE + i])
			print_message("memory %u: CPU %02x we %02x (operand at %llu)\n", i, arena[PAGE_SIZE + i],
				      copy[i], (unsigned long long)(attempt->target - data_at));
	for (unsigned i = 160; i < 2688 && strcmp(what, "vector registers") == 0; i++)
		if (rig.xsave[i] != attempt->real_image[i])
			print_message("image %u: before %02x CPU %02x we %02x\n", i, attempt->start_image[i],
				      attempt->real_image[i], rig.xsave[i]);
}

/* A CPU without AVX or AVX-512 has no place for its registers, so we do not know the instruction either. */
static bool lacks_vectors(const struct attempt *attempt)
{
	switch (attempt->instruction.encoding) {
	case ZYDIS_INSTRUCTION_ENCODING_VEX:
		return !parts.avx || !parts.opmask;
	case ZYDIS_INSTRUCTION_ENCODING_EVEX:
		return !parts.opmask;
	default:
		return false;
	}
}

/* One seed: perhaps no instruction at all, or one of those the CPU or we do not know. */
static void judge(struct attempt *attempt, u64 seed)
{
	enum x86_outcome outcome;
	const char *what;

	random_state = seed * 0x2545f4914f6cdd1dull;
	if (!draw_attempt(attempt) || is_undefined(attempt))
		return;
	outcome = run_ours(attempt);
	if (outcome == X86_UNKNOWN) {
		refused[attempt->instruction.mnemonic] += lacks_vectors(attempt);
		return;
	}
	/* Whether a process has a PASID is not up to it. */
	if (!is_enqueue(attempt->instruction.mnemonic))
		run_real(attempt);
	if (is_enqueue(attempt->instruction.mnemonic) || attempt->stop.signal == SIGILL) {
		refused[attempt->instruction.mnemonic]++;
		return;
	}
	if (may_differ(attempt))
		return;
	what = difference(attempt, outcome);
	if (what) {
		print_difference(attempt, what, seed);
		fail_msg("%s", what);
	}
	judged[attempt->instruction.mnemonic]++;
}

static u64 number_from(const char *name, u64 otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* Every instruction of the table, unless this CPU says that it is none. Prints those missing when asked. */
static bool all_judged(bool print)
{
	bool all = true;

	for (unsigned i = 0; i <= ZYDIS_MNEMONIC_MAX_VALUE; i++) {
		if (!instruction_find(i).handler || judged[i])
			continue;
		if (print)
			print_message("%s: %s\n", ZydisMnemonicGetString(i),
				      refused[i] ? "this CPU does not have it, or cannot tell" : "never drawn");
		all = all && refused[i];
	}
	return all;
}

TEST(cpu, and_we_agree)
{
	static struct attempt attempt;
	u64 seed = number_from("ISOLDE_SEED", 1), rounds = number_from("ISOLDE_ROUNDS", ATTEMPTS), i;

	x86_cpu_set_up(); /* here: cmocka has just installed handlers of its own */
	for (i = 0; i < rounds; i++)
		judge(&attempt, seed + i);
	for (; rounds >= ATTEMPTS && !all_judged(false) && i < rounds + MORE_ATTEMPTS; i++)
		judge(&attempt, seed + i);
	assert_true(rounds < ATTEMPTS || all_judged(true));
}

static int set_up(void **state)
{
	arena = mmap(NULL, PAGE_SIZE + DATA + PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (arena == MAP_FAILED || mprotect(arena + PAGE_SIZE + DATA, PAGE_SIZE, PROT_NONE) < 0)
		return -1;
	code_at = (u64)arena;
	data_at = code_at + PAGE_SIZE;
	memcpy(arena + 256, x86_cpu_marker, sizeof(x86_cpu_marker));
	gs_base = 0x10000;
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, gs_base) < 0 || syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_base) < 0)
		return -1;
	parts = x86_cpu_parts();
	draw_bytes(background, DATA);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(cpu, and_we_agree),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
