/* SPDX-License-Identifier: MIT */
/* What an instruction does on the bus: how many accesses, how wide, in which order; and what stops it. */
#include "tests/helpers.h"

#include "tests/fixtures/x86_cpu.h"
#include "tests/fixtures/x86_rig.h"

#define BASE	    0x7000000000ull
#define STEP(bytes) x86_rig_step(&rig, bytes, sizeof(bytes) - 1)

static struct x86_rig rig;
static u8 memory[16384];

/* Every byte of memory is its offset; RBX points to its beginning. */
static int set_up(void **state)
{
	memset(&rig, 0, sizeof(rig));
	for (unsigned i = 0; i < sizeof(memory); i++)
		memory[i] = (u8)i;
	rig.base = BASE;
	rig.memory = memory;
	rig.size = sizeof(memory);
	rig.precise_first = BASE;
	rig.precise_last = BASE + sizeof(memory) - 1;
	rig.has_vectors = true;
	rig.state.rip = 0x401000;
	rig.state.rflags = 0x202;
	for (unsigned i = 0; i < X86_GPRS; i++)
		rig.state.gpr[i] = 0x1111111111111111ull * i;
	rig.state.gpr[X86_RBX] = BASE;
	return 0;
}

/* "L0.4 S0.4": kind, offset, width of each access; brackets are the lock. */
static void expect_seen(const char *expected)
{
	char text[512] = "";
	size_t used = 0;

	for (unsigned i = 0; i < rig.count && i < X86_RIG_ACCESSES; i++) {
		const struct x86_access *seen = &rig.seen[i];

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%c", i ? " " : "", seen->kind);
		if (seen->width)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%llu.%u",
						 (unsigned long long)(seen->address - BASE), seen->width);
	}
	assert_string_equal(text, expected);
}

TEST(step, a_load_is_one_access_of_its_width)
{
	assert_int_equal(STEP("\x8b\x43\x04"), X86_DONE); /* mov eax, [rbx + 4] */
	expect_seen("L4.4");
	assert_int_equal(rig.state.gpr[X86_RAX], 0x07060504);
	assert_int_equal(rig.state.rip, 0x401003);
	assert_int_equal(rig.result.length, 3);
}

TEST(step, a_store_leaves_registers_alone)
{
	struct x86_state before = rig.state;

	assert_int_equal(STEP("\x88\x63\x09"), X86_DONE); /* mov [rbx + 9], ah */
	expect_seen("S9.1");
	assert_int_equal(memory[9], 0);
	before.rip += 3;
	assert_memory_equal(&rig.state, &before, sizeof(before));
}

TEST(step, a_portal_gets_64_bytes_at_once)
{
	rig.state.gpr[X86_RAX] = BASE + 64;
	assert_int_equal(STEP("\x66\x0f\x38\xf8\x83\x80\0\0\0"), X86_DONE); /* movdir64b rax, [rbx + 128] */
	expect_seen("L128.64 S64.64");
	assert_memory_equal(memory + 64, memory + 128, 64);
}

TEST(step, a_portal_must_be_aligned)
{
	rig.state.gpr[X86_RAX] = BASE + 65;
	assert_int_equal(STEP("\x66\x0f\x38\xf8\x03"), X86_PROTECTION);
	expect_seen("");
	assert_int_equal(rig.state.rip, 0x401000);
	EXPECT_SUBSTR("movdir64b", rig.result.text);
}

TEST(step, an_enqueue_carries_the_pasid_and_tells_the_answer)
{
	rig.has_pasid = true;
	rig.pasid = 0xfff12345;
	rig.state.gpr[X86_RAX] = BASE + 64;
	rig.state.rflags = 0x202 | 0x8d5;
	assert_int_equal(STEP("\xf2\x0f\x38\xf8\x03"), X86_DONE); /* enqcmd rax, [rbx] */
	expect_seen("L0.64 E64.64");
	assert_int_equal(get_u32(rig.command), 0x12345);
	assert_memory_equal(rig.command + 4, memory + 4, 60);
	assert_int_equal(rig.state.rflags, 0x202 | 0x40);
	rig.accepts = true;
	assert_int_equal(STEP("\xf2\x0f\x38\xf8\x03"), X86_DONE);
	assert_int_equal(rig.state.rflags, 0x202);
}

TEST(step, an_enqueue_without_a_pasid_is_not_allowed)
{
	rig.state.gpr[X86_RAX] = BASE + 64;
	assert_int_equal(STEP("\xf2\x0f\x38\xf8\x03"), X86_PROTECTION);
	rig.has_pasid = true;
	assert_int_equal(STEP("\xf3\x0f\x38\xf8\x03"), X86_PROTECTION); /* enqcmds: the supervisor's */
	expect_seen("");
}

TEST(step, what_nobody_answers_changes_nothing)
{
	struct x86_state before = rig.state;

	assert_int_equal(STEP("\x8b\x83\0\0\x10\0"), X86_FAULT); /* mov eax, [rbx + 1 MiB] */
	assert_int_equal(rig.result.fault_address, BASE + 0x100000);
	assert_memory_equal(&rig.state, &before, sizeof(before));
	EXPECT_SUBSTR("mov eax", rig.result.text);
}

/* Each: RBX points to offset 0, RSP to 256, RSI and RDI to 512 and 768, RCX is 3, RBP 40. */
struct row {
	const char *bytes;
	unsigned size;
	const char *seen;
};

#define ROW(bytes, seen)                                                                                               \
	{                                                                                                              \
		bytes, sizeof(bytes) - 1, seen                                                                         \
	}

static void aim_registers(void)
{
	rig.state.gpr[X86_RSP] = BASE + 256;
	rig.state.gpr[X86_RSI] = BASE + 512;
	rig.state.gpr[X86_RDI] = BASE + 768;
	rig.state.gpr[X86_RCX] = 3;
	rig.state.gpr[X86_RBP] = 40;
}

static void expect_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		set_up(NULL);
		aim_registers();
		put_u64(rig.xsave + 512, 7);
		if (x86_rig_step(&rig, rows[i].bytes, rows[i].size) != X86_DONE)
			fail_msg("row %zu: outcome %d of %s", i, rig.result.outcome, rig.result.text);
		assert_true(rig.state.rip == 0x401000 + rows[i].size || rig.state.rip == get_u64(memory));
		expect_seen(rows[i].seen);
	}
}

TEST(step, integers_reach_the_bus_as_on_hardware)
{
	static const struct row rows[] = {
		ROW("\x0f\xb6\x03", "L0.1"),			/* movzx eax, byte [rbx] */
		ROW("\x0f\xbf\x43\x02", "L2.2"),		/* movsx eax, word [rbx + 2] */
		ROW("\x48\x63\x43\x04", "L4.4"),		/* movsxd rax, [rbx + 4] */
		ROW("\x48\x8b\x43\x08", "L8.8"),		/* mov rax, [rbx + 8] */
		ROW("\x48\xc7\x43\x08\x01\0\0\0", "S8.8"),	/* mov qword [rbx + 8], 1 */
		ROW("\x66\x89\x03", "S0.2"),			/* mov [rbx], ax */
		ROW("\xa1\x10\0\0\0\x70\0\0\0", "L16.4"),	/* mov eax, [absolute] */
		ROW("\x0f\xc3\x03", "S0.4"),			/* movnti [rbx], eax */
		ROW("\x0f\x38\xf9\x03", "S0.4"),		/* movdiri [rbx], eax */
		ROW("\x48\x0f\x38\xf9\x03", "S0.8"),		/* movdiri [rbx], rax */
		ROW("\x0f\x38\xf0\x03", "L0.4"),		/* movbe eax, [rbx] */
		ROW("\x01\x03", "L0.4 S0.4"),			/* add [rbx], eax */
		ROW("\xf0\x01\x03", "( L0.4 S0.4 )"),		/* lock add [rbx], eax */
		ROW("\x03\x03", "L0.4"),			/* add eax, [rbx] */
		ROW("\x83\x3b\x01", "L0.4"),			/* cmp dword [rbx], 1 */
		ROW("\xf6\x03\x01", "L0.1"),			/* test byte [rbx], 1 */
		ROW("\x87\x03", "( L0.4 S0.4 )"),		/* xchg [rbx], eax: locked without being asked */
		ROW("\x48\x0f\xc1\x03", "L0.8 S0.8"),		/* xadd [rbx], rax */
		ROW("\xf0\x0f\xb1\x03", "( L0.4 S0.4 )"),	/* lock cmpxchg [rbx], eax: not equal */
		ROW("\xf0\x48\x0f\xc7\x0b", "( L0.16 S0.16 )"), /* lock cmpxchg16b [rbx] */
		ROW("\xfe\x03", "L0.1 S0.1"),			/* inc byte [rbx] */
		ROW("\xd1\x23", "L0.4 S0.4"),			/* shl dword [rbx], 1 */
		ROW("\x0f\xba\x2b\x21", "L0.4 S0.4"),		/* bts dword [rbx], 33 */
		ROW("\x0f\xab\x2b", "L4.4 S4.4"),		/* bts [rbx], ebp: 40 bits on */
		ROW("\x0f\x44\x03", "L0.4"),			/* cmovz eax, [rbx]: not taken */
		ROW("\x0f\x94\x03", "S0.1"),			/* setz [rbx] */
		ROW("\xf7\x23", "L0.4"),			/* mul dword [rbx] */
		ROW("\xff\x33", "L0.8 S248.8"),			/* push [rbx] */
		ROW("\x8f\x03", "L256.8 S0.8"),			/* pop [rbx] */
		ROW("\xff\x13", "L0.8 S248.8"),			/* call [rbx] */
		ROW("\xff\x23", "L0.8"),			/* jmp [rbx] */
		ROW("\x0f\x18\x0b", ""),			/* prefetcht0 [rbx] */
		ROW("\x0f\xae\x3b", ""),			/* clflush [rbx] */
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

TEST(step, strings_reach_the_bus_element_by_element)
{
	static const struct row rows[] = {
		ROW("\xa5", "L512.4 S768.4"), /* movsd */
		ROW("\xf3\xa5", "L512.4 S768.4 L516.4 S772.4 L520.4 S776.4"),
		ROW("\xf3\x66\xab", "S768.2 S770.2 S772.2"), /* rep stosw */
		ROW("\xf3\x48\xad", "L512.8 L520.8 L528.8"), /* rep lodsq */
		ROW("\xa6", "L512.1 L768.1"),		     /* cmpsb */
		ROW("\xf3\xae", "L768.1 L769.1"),	     /* repe scasb: ends at the first that differs */
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

TEST(step, vectors_reach_the_bus_at_once)
{
	static const struct row rows[] = {
		ROW("\x0f\x10\x03", "L0.16"),		 /* movups xmm0, [rbx] */
		ROW("\x0f\x29\x03", "S0.16"),		 /* movaps [rbx], xmm0 */
		ROW("\x66\x0f\xe7\x03", "S0.16"),	 /* movntdq [rbx], xmm0 */
		ROW("\xc5\xfe\x6f\x03", "L0.32"),	 /* vmovdqu ymm0, [rbx] */
		ROW("\xc5\xfd\xe7\x03", "S0.32"),	 /* vmovntdq [rbx], ymm0 */
		ROW("\xf3\x0f\x10\x03", "L0.4"),	 /* movss xmm0, [rbx] */
		ROW("\xf2\x0f\x11\x03", "S0.8"),	 /* movsd [rbx], xmm0 */
		ROW("\x66\x0f\x6e\x03", "L0.4"),	 /* movd xmm0, [rbx] */
		ROW("\x66\x0f\xd6\x03", "S0.8"),	 /* movq [rbx], xmm0 */
		ROW("\x0f\x17\x43\x08", "S8.8"),	 /* movhps [rbx + 8], xmm0 */
		ROW("\xc4\xe2\x7d\x18\x03", "L0.4"),	 /* vbroadcastss ymm0, [rbx] */
		ROW("\x66\x0f\x3a\x14\x03\x05", "S0.1"), /* pextrb [rbx], xmm0, 5 */
		ROW("\x66\x0f\x3a\x22\x03\x01", "L0.4"), /* pinsrd xmm0, [rbx], 1 */
		ROW("\x66\x0f\x38\x20\x03", "L0.8"),	 /* pmovsxbw xmm0, [rbx] */
		ROW("\x66\x0f\xef\x03", "L0.16"),	 /* pxor xmm0, [rbx] */
		ROW("\xc5\xfd\x74\x03", "L0.32"),	 /* vpcmpeqb ymm0, ymm0, [rbx] */
		ROW("\xc4\xe2\x7d\x17\x03", "L0.32"),	 /* vptest ymm0, [rbx] */
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

TEST(step, masked_elements_make_no_access)
{
	u32 opmask = x86_cpu_parts().opmask;

	if (!opmask)
		skip();
	put_u64(rig.xsave + 512, 0xe7);
	put_u64(rig.xsave + opmask + 8, 0xc0000000000c0063);	      /* k1: only the lowest 16 of its bits count */
	assert_int_equal(STEP("\x62\xf1\x7e\x49\x6f\x03"), X86_DONE); /* vmovdqu32 zmm0 {k1}, [rbx] */
	expect_seen("L0.8 L20.8");
	assert_int_equal(STEP("\x62\xf1\x7e\x49\x7f\x03"), X86_DONE); /* vmovdqu32 [rbx] {k1}, zmm0 */
	expect_seen("S0.8 S20.8");
	assert_int_equal(STEP("\x62\xf1\x7e\x48\x7f\x03"), X86_DONE); /* vmovdqu32 [rbx], zmm0 */
	expect_seen("S0.64");
	assert_int_equal(STEP("\x62\xf1\x7d\x59\xfe\x03"), X86_DONE); /* vpaddd zmm0 {k1}, zmm0, [rbx] {1to16} */
	expect_seen("L0.4");
	put_u64(rig.xsave + opmask + 8, 1ull << 16);
	assert_int_equal(STEP("\x62\xf1\x7e\x49\x6f\x03"), X86_DONE);
	expect_seen("");
}

TEST(step, a_long_repetition_goes_piece_by_piece)
{
	aim_registers();
	rig.state.gpr[X86_RCX] = 5000;
	assert_int_equal(STEP("\xf3\xaa"), X86_DONE); /* rep stosb */
	assert_int_equal(rig.count, 4096);
	assert_int_equal(rig.state.rip, 0x401000);
	assert_int_equal(rig.state.gpr[X86_RCX], 904);
	assert_int_equal(rig.state.gpr[X86_RDI], BASE + 768 + 4096);
	assert_int_equal(STEP("\xf3\xaa"), X86_DONE);
	assert_int_equal(rig.count, 904);
	assert_int_equal(rig.state.rip, 0x401002);
	assert_int_equal(rig.state.gpr[X86_RCX], 0);
}

TEST(step, a_repetition_that_leaves_the_page_is_left_to_the_cpu)
{
	aim_registers();
	rig.state.gpr[X86_RCX] = 100;
	rig.state.gpr[X86_RSI] = BASE + PAGE_SIZE - 8;
	rig.state.gpr[X86_RDI] = BASE + 2 * PAGE_SIZE;
	rig.precise_last = BASE + PAGE_SIZE - 1;
	assert_int_equal(STEP("\xf3\xa4"), X86_DONE); /* rep movsb */
	assert_int_equal(rig.count, 16);
	assert_int_equal(rig.state.rip, 0x401000);
	assert_int_equal(rig.state.gpr[X86_RCX], 92);
	assert_int_equal(rig.state.gpr[X86_RSI], BASE + PAGE_SIZE);
	assert_int_equal(rig.asked, 3); /* a page, which is slow to find out: once each */
}

TEST(step, a_fault_in_the_middle_keeps_what_is_done)
{
	aim_registers();
	rig.hole = BASE + 768 + 8;
	rig.state.gpr[X86_RSI] = BASE;
	assert_int_equal(STEP("\xf3\xa5"), X86_FAULT); /* rep movsd */
	assert_int_equal(rig.result.fault_address, BASE + 768 + 8);
	expect_seen("L0.4 S768.4 L4.4 S772.4 L8.4 S776.4");
	assert_int_equal(rig.state.rip, 0x401000);
	assert_int_equal(rig.state.gpr[X86_RCX], 1);
	assert_int_equal(rig.state.gpr[X86_RSI], BASE + 8);
	assert_int_equal(rig.state.gpr[X86_RDI], BASE + 768 + 8);
}

TEST(step, a_quotient_without_a_place_is_a_divide_error)
{
	struct x86_state before = rig.state;

	put_u32(memory, 0);
	assert_int_equal(STEP("\xf7\x33"), X86_DIVIDE); /* div dword [rbx] */
	put_u32(memory, 1);
	assert_int_equal(STEP("\xf7\x33"), X86_DIVIDE);
	assert_memory_equal(&rig.state, &before, sizeof(before));
	/* idiv byte [rbx]: 128 / 1 is too much by one, 128 / -1 is not */
	rig.state.gpr[X86_RAX] = 0x80;
	memory[0] = 1;
	assert_int_equal(STEP("\xf6\x3b"), X86_DIVIDE);
	memory[0] = 0xff;
	assert_int_equal(STEP("\xf6\x3b"), X86_DONE);
	assert_int_equal(rig.state.gpr[X86_RAX], 0x0080);
}

TEST(step, aligned_moves_insist)
{
	assert_int_equal(STEP("\x0f\x28\x43\x08"), X86_PROTECTION);	/* movaps xmm0, [rbx + 8] */
	assert_int_equal(STEP("\xc5\xfd\x6f\x43\x10"), X86_PROTECTION); /* vmovdqa ymm0, [rbx + 16] */
	assert_int_equal(STEP("\x48\x0f\xc7\x4b\x08"), X86_PROTECTION); /* cmpxchg16b [rbx + 8] */
	expect_seen("");
	assert_int_equal(STEP("\x48\x0f\xc7\x4b\x10"), X86_DONE);
}

TEST(step, vectors_that_cannot_be_had_are_unknown)
{
	rig.has_vectors = false;
	assert_int_equal(STEP("\x0f\x10\x03"), X86_UNKNOWN);
	EXPECT_SUBSTR("movups xmm0", rig.result.text);
	rig.has_vectors = true;
	put_u64(rig.xsave + 520, 1ull << 63); /* a compacted image */
	assert_int_equal(STEP("\x0f\x10\x03"), X86_UNKNOWN);
	expect_seen("");
	assert_false(rig.state.xsave_changed);
}

/* Garbage lies where a part is in its initial state: it counts as zeros, and does not come to light. */
TEST(step, a_register_in_its_initial_state_is_zero)
{
	memset(rig.xsave + 160, 0xaa, 256);
	memset(rig.xsave + 576, 0xbb, 256);
	assert_int_equal(STEP("\x0f\x11\x03"), X86_DONE); /* movups [rbx], xmm0 */
	assert_false(rig.state.xsave_changed);
	assert_int_equal(get_u64(memory), 0);
	assert_int_equal(STEP("\x0f\x16\x43\x10"), X86_DONE); /* movhps xmm0, [rbx + 16] */
	assert_true(rig.state.xsave_changed);
	assert_int_equal(get_u64(rig.xsave + 512), 2);
	assert_int_equal(get_u64(rig.xsave + 160), 0);
	assert_int_equal(get_u64(rig.xsave + 168), 0x1716151413121110);
	assert_int_equal(get_u64(rig.xsave + 176), 0);
}

TEST(step, what_is_unknown_is_told_by_name)
{
	static const struct row rows[] = {
		ROW("\xd8\x03", "fadd [rbx]"),
		ROW("\x8e\x1b", "mov ds, [rbx]"),
		ROW("\x0f\x58\x03", "addps xmm0, [rbx]"),
		ROW("\x0f\x6f\x03", "movq mm0, [rbx]"),
		ROW("\xff\x1b", "call far [rbx]"),
		ROW("\x0f\xae\x03", "fxsave [rbx]"),
		ROW("\x6d", "insd"),
		ROW("\xc4\xe2\x6d\x92\x04\x0b", "vgatherdps ymm0"),
	};
	struct x86_state before = rig.state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(x86_rig_step(&rig, rows[i].bytes, rows[i].size), X86_UNKNOWN);
		EXPECT_SUBSTR(rows[i].seen, rig.result.text);
		assert_int_equal(rig.result.length, rows[i].size);
		expect_seen("");
	}
	assert_memory_equal(rig.state.gpr, before.gpr, sizeof(before.gpr));
	assert_int_equal(rig.state.rip, before.rip);
}

TEST(step, what_is_no_instruction_is_shown_as_bytes)
{
	assert_int_equal(STEP("\xf0\x8b\x03"), X86_UNKNOWN); /* lock mov */
	assert_int_equal(rig.result.length, 0);
	assert_string_equal(rig.result.text, "no instruction: f0 8b 03");
	assert_int_equal(STEP("\xf0\x39\x03"), X86_UNKNOWN); /* lock cmp: it writes nothing */
	assert_int_equal(STEP("\x8b"), X86_UNKNOWN);	     /* cut off */
	assert_int_equal(x86_rig_step(&rig, "", 0), X86_UNKNOWN);
	assert_int_equal(rig.state.rip, 0x401000);
}

#define STEP_CASE(name) cmocka_unit_test_setup(step_##name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STEP_CASE(a_load_is_one_access_of_its_width),
		STEP_CASE(a_store_leaves_registers_alone),
		STEP_CASE(a_portal_gets_64_bytes_at_once),
		STEP_CASE(a_portal_must_be_aligned),
		STEP_CASE(an_enqueue_carries_the_pasid_and_tells_the_answer),
		STEP_CASE(an_enqueue_without_a_pasid_is_not_allowed),
		STEP_CASE(what_nobody_answers_changes_nothing),
		STEP_CASE(integers_reach_the_bus_as_on_hardware),
		STEP_CASE(strings_reach_the_bus_element_by_element),
		STEP_CASE(vectors_reach_the_bus_at_once),
		STEP_CASE(masked_elements_make_no_access),
		STEP_CASE(a_long_repetition_goes_piece_by_piece),
		STEP_CASE(a_repetition_that_leaves_the_page_is_left_to_the_cpu),
		STEP_CASE(a_fault_in_the_middle_keeps_what_is_done),
		STEP_CASE(a_quotient_without_a_place_is_a_divide_error),
		STEP_CASE(aligned_moves_insist),
		STEP_CASE(vectors_that_cannot_be_had_are_unknown),
		STEP_CASE(a_register_in_its_initial_state_is_zero),
		STEP_CASE(what_is_unknown_is_told_by_name),
		STEP_CASE(what_is_no_instruction_is_shown_as_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
