/* SPDX-License-Identifier: MIT */
#include "mem/guard.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "tests/helpers.h"

static u8 *anonymous(size_t pages, int protection)
{
	u8 *memory = mmap(NULL, pages * PAGE_SIZE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

static bool touch(const u8 *memory, u64 size, bool write)
{
	return guard_touch((uintptr_t)memory, size, write);
}

static void exit_with_42(int number)
{
	_exit(42);
}

/* First, because ours are installed once. */
TEST(guard, a_fault_that_is_not_ours_goes_to_who_was_there_before)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		signal(SIGSEGV, exit_with_42);
		guard_install();
		if (touch((u8 *)PAGE_SIZE, 1, false))
			_exit(1);
		*(volatile u8 *)PAGE_SIZE = 1;
		_exit(2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

/* A program that saves and restores handlers around its own, one that has chained ours and is chained by us. */
TEST(guard, replaced_handlers_are_put_back)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct sigaction ours;

		guard_install();
		sigaction(SIGSEGV, &(struct sigaction){.sa_handler = exit_with_42}, &ours);
		guard_install();
		if (touch((u8 *)PAGE_SIZE, 1, false))
			_exit(1);
		*(volatile u8 *)PAGE_SIZE = 1;
		_exit(2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

static struct sigaction before_theirs;

static void hand_back(int number, siginfo_t *info, void *context)
{
	before_theirs.sa_sigaction(number, info, context);
}

TEST(guard, handlers_that_hand_to_each_other_end)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct sigaction theirs = {.sa_sigaction = hand_back, .sa_flags = SA_SIGINFO};

		die_quietly();
		signal(SIGSEGV, SIG_DFL);
		guard_install();
		sigaction(SIGSEGV, &theirs, &before_theirs);
		guard_install();
		*(volatile u8 *)PAGE_SIZE = 1;
		_exit(2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

static sigjmp_buf out;

static void jump_out(int number)
{
	siglongjmp(out, 1);
}

TEST(guard, a_handler_that_jumps_out_may_do_so_again)
{
	volatile unsigned jumps = 0;
	void (*before)(int) = signal(SIGSEGV, jump_out);

	guard_install();
	sigsetjmp(out, 1);
	if (jumps++ < 3)
		*(volatile u8 *)PAGE_SIZE = 1;
	assert_int_equal(jumps, 4);
	signal(SIGSEGV, before);
}

TEST(guard, what_is_not_there_is_an_answer)
{
	u8 *memory = anonymous(3, PROT_READ | PROT_WRITE), byte = 0;

	guard_install();
	munmap(memory + 2 * PAGE_SIZE, PAGE_SIZE);
	mprotect(memory + PAGE_SIZE, PAGE_SIZE, PROT_READ);
	assert_true(touch(memory, PAGE_SIZE, true));
	assert_true(touch(memory, 2 * PAGE_SIZE, false));
	assert_false(touch(memory, PAGE_SIZE + 1, true));
	assert_false(touch(memory + 2 * PAGE_SIZE - 1, 2, false));
	assert_true(touch(memory + 2 * PAGE_SIZE - 1, 1, false));
	mprotect(memory + PAGE_SIZE, PAGE_SIZE, PROT_NONE);
	assert_false(touch(memory, 2 * PAGE_SIZE, false));
	assert_false(guard_copy(&byte, memory + PAGE_SIZE, 1));
	assert_false(guard_copy(memory + PAGE_SIZE, &byte, 1));
	assert_false(touch((u8 *)(UINT64_MAX - PAGE_SIZE + 1), PAGE_SIZE, false));
	munmap(memory, 2 * PAGE_SIZE);
}

/* Pages not touched before get memory, and what is in them stays. */
TEST(guard, touching_leaves_the_contents_alone)
{
	u8 *memory = anonymous(2, PROT_READ | PROT_WRITE);
	unsigned char present[2];

	guard_install();
	memory[5] = 0xa5;
	assert_true(touch(memory, 2 * PAGE_SIZE, true));
	assert_int_equal(memory[5], 0xa5);
	assert_int_equal(mincore(memory, 2 * PAGE_SIZE, present), 0);
	assert_true(present[0] & 1 && present[1] & 1);
	munmap(memory, 2 * PAGE_SIZE);
}

TEST(guard, copies_are_exact_at_any_alignment)
{
	u8 from[64], to[64];

	guard_install();
	for (unsigned i = 0; i < sizeof(from); i++)
		from[i] = (u8)(i * 7 + 1);
	for (size_t start = 0; start < 16; start++) {
		for (size_t size = 0; size < 32; size++) {
			memset(to, 0, sizeof(to));
			assert_true(guard_copy(to + (15 - start), from + start, size));
			assert_memory_equal(to + (15 - start), from + start, size);
			for (size_t i = 0; i < sizeof(to); i++)
				assert_true(to[i] == 0 || (i >= 15 - start && i < 15 - start + size));
		}
	}
}

static void *fault_often(void *argument)
{
	u8 *bad = argument, byte;

	for (unsigned i = 0; i < 2000; i++)
		if (guard_copy(&byte, bad, 1) || guard_touch((uintptr_t)bad, 1, i & 1) || !guard_copy(&byte, &i, 1))
			return bad;
	return NULL;
}

TEST(guard, threads_recover_each_by_itself)
{
	u8 *bad = anonymous(1, PROT_NONE);
	pthread_t threads[4];
	void *failed;

	guard_install();
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fault_often, bad), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	munmap(bad, PAGE_SIZE);
}

/* ---- a program's handler that comes in between, and relies on a fault of its own ---- */

static struct {
	u8 *page;
	atomic_bool copying, over;
	atomic_uint sent, begun, ended, within;
	pthread_t thread;
} interruption;

static void allow_access(int number)
{
	mprotect(interruption.page, PAGE_SIZE, PROT_READ | PROT_WRITE);
}

static void interrupt(int number)
{
	sigset_t faults;

	/* ThreadSanitizer has them blocked in handlers. */
	sigemptyset(&faults);
	sigaddset(&faults, SIGSEGV);
	pthread_sigmask(SIG_UNBLOCK, &faults, NULL);
	atomic_fetch_add(&interruption.begun, 1);
	atomic_fetch_add(&interruption.within, atomic_load(&interruption.copying));
	mprotect(interruption.page, PAGE_SIZE, PROT_NONE);
	*(volatile u8 *)interruption.page = 1;
	atomic_fetch_add(&interruption.ended, 1);
}

static void *interrupt_often(void *argument)
{
	while (!atomic_load(&interruption.over)) {
		if (atomic_load(&interruption.begun) == atomic_load(&interruption.sent)) {
			atomic_fetch_add(&interruption.sent, 1);
			pthread_kill(interruption.thread, SIGUSR1);
		}
		sched_yield();
	}
	return NULL;
}

/* ThreadSanitizer calls such handlers between accesses, never within. */
static bool interrupted_enough(void)
{
	return atomic_load(UNDER_TSAN ? &interruption.ended : &interruption.within) >= 20;
}

TEST(guard, a_fault_of_a_handler_that_interrupts_an_access_is_not_the_accesss)
{
	u8 *from = anonymous(256, PROT_READ | PROT_WRITE), *to = anonymous(256, PROT_READ | PROT_WRITE);
	void (*before)(int) = signal(SIGSEGV, allow_access), (*before_user)(int) = signal(SIGUSR1, interrupt);
	bool copied = true;
	pthread_t thread;

	interruption.page = anonymous(1, PROT_READ | PROT_WRITE);
	interruption.thread = pthread_self();
	guard_install();
	assert_int_equal(pthread_create(&thread, NULL, interrupt_often, NULL), 0);
	while (copied && !interrupted_enough()) {
		atomic_store(&interruption.copying, true);
		copied = guard_copy(to, from, 256 * PAGE_SIZE);
		atomic_store(&interruption.copying, false);
		sched_yield();
	}
	atomic_store(&interruption.over, true);
	pthread_join(thread, NULL);
	while (atomic_load(&interruption.begun) != atomic_load(&interruption.sent))
		sched_yield();
	signal(SIGUSR1, before_user);
	signal(SIGSEGV, before);
	guard_install();
	assert_true(copied);
	assert_int_equal(interruption.ended, interruption.begun);
	munmap(interruption.page, PAGE_SIZE);
	munmap(from, 256 * PAGE_SIZE);
	munmap(to, 256 * PAGE_SIZE);
}

/* From the end of all addresses copies go on at 0, in whatever order they are made. */
TEST(guard, what_passes_the_last_address_is_not_there)
{
	u8 bytes[64];

	guard_install();
	for (u64 below = 1; below < sizeof(bytes); below++)
		for (u64 size = below; size <= sizeof(bytes); size++)
			assert_false(guard_copy(bytes, (const void *)(uintptr_t)(0 - below), size));
	assert_false(guard_copy(bytes, (const void *)BIT(62), sizeof(bytes)));
	assert_false(guard_copy((void *)BIT(62), bytes, sizeof(bytes)));
	assert_true(guard_copy(NULL, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(guard, a_fault_that_is_not_ours_goes_to_who_was_there_before),
		CASE(guard, replaced_handlers_are_put_back),
		CASE(guard, handlers_that_hand_to_each_other_end),
		CASE(guard, a_handler_that_jumps_out_may_do_so_again),
		CASE(guard, what_is_not_there_is_an_answer),
		CASE(guard, touching_leaves_the_contents_alone),
		CASE(guard, copies_are_exact_at_any_alignment),
		CASE(guard, threads_recover_each_by_itself),
		CASE(guard, a_fault_of_a_handler_that_interrupts_an_access_is_not_the_accesss),
		CASE(guard, what_passes_the_last_address_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
