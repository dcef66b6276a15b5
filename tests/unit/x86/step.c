/* SPDX-License-Identifier: MIT */
/* What an instruction does on the bus: how many accesses, how wide, in which order; and what stops it. */
#include "tests/helpers.h"

#include "tests/fixtures/x86_rig.h"

#define BASE	    0x7000000000ull
#define STEP(bytes) x86_rig_step(&rig, bytes, sizeof(bytes) - 1)

static struct x86_rig rig;
static u8 memory[512];

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

	assert_int_equal(STEP("\x8b\x83\0\x10\0\0"), X86_FAULT); /* mov eax, [rbx + 4096] */
	assert_int_equal(rig.result.fault_address, BASE + 4096);
	assert_memory_equal(&rig.state, &before, sizeof(before));
	EXPECT_SUBSTR("mov eax", rig.result.text);
}

TEST(step, what_is_unknown_is_told_by_name)
{
	struct x86_state before = rig.state;

	assert_int_equal(STEP("\xd8\x03"), X86_UNKNOWN); /* fadd dword ptr [rbx] */
	assert_string_equal(rig.result.text, "fadd [rbx]");
	assert_int_equal(STEP("\x8e\x1b"), X86_UNKNOWN); /* mov ds, [rbx] */
	EXPECT_SUBSTR("mov ds", rig.result.text);
	assert_int_equal(STEP("\xf0\x8b\x03"), X86_UNKNOWN); /* lock mov */
	assert_int_equal(rig.result.length, 0);
	assert_string_equal(rig.result.text, "no instruction: f0 8b 03");
	assert_int_equal(STEP("\x8b"), X86_UNKNOWN); /* cut off */
	assert_int_equal(x86_rig_step(&rig, "", 0), X86_UNKNOWN);
	assert_memory_equal(&rig.state, &before, sizeof(before));
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
		STEP_CASE(what_is_unknown_is_told_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
