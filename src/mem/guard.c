/* SPDX-License-Identifier: MIT */
/*
 * A SIGBUS or SIGSEGV of a guarded access returns to it through a thread-local jump buffer; any other, also one of a
 * handler that has interrupted such an access, goes on to whoever handled it before. A thread that has them blocked
 * would be killed by the host instead: ours leave them open (base/os_linux.c). Who installs a handler of its own after
 * us hands on what it does not know, as we do; one that does not is replaced at the next guard_install().
 */
#include "mem/guard.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <ucontext.h>

#include "mem/kept.h"

/* An access under way, and where it may fault: elsewhere it is a handler that has interrupted it. */
struct access {
	sigjmp_buf jump;
	struct {
		u64 start, last;
	} ranges[2];
};
static _Thread_local struct access *recovery;
static _Thread_local struct {
	void *context;
	u8 *frame;
} handed;
static pthread_mutex_t installing = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction previous_bus, previous_segv, previous_ill;
static guard_asked *_Atomic asked;

/*
 * Handed on already, and back from a handler that had ours before: the same signal, from deeper on the stack. A flag
 * would stay set behind a handler that jumps out.
 */
static bool is_back(void *context, u8 *frame)
{
	bool back = context == handed.context && frame < handed.frame;

	handed.context = context;
	handed.frame = frame;
	return back;
}

/* As the host would have called it: ours has all signals blocked. */
static void block_for(const struct sigaction *previous, int signal, const ucontext_t *context)
{
	sigset_t mask;

	sigorset(&mask, &context->uc_sigmask, &previous->sa_mask);
	if (!(previous->sa_flags & SA_NODEFER))
		sigaddset(&mask, signal);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

/*
 * Nobody's: the instruction faults again, unhandled. But not with the signal that is left, if another one had come:
 * that is sent, and whoever blocks it is ended all the same, as the host does with faults.
 */
static void end_program(int signal, int came, ucontext_t *context)
{
	sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
	if (signal == came)
		return;
	sigdelset(&context->uc_sigmask, signal);
	raise(signal);
}

static bool has_handler(const struct sigaction *action)
{
	return action->sa_flags & SA_SIGINFO || (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static void hand_on(struct sigaction *previous, int signal, int came, siginfo_t *info, ucontext_t *context)
{
	bool back = is_back(context, __builtin_frame_address(0));
	bool blocked = signal != came && sigismember(&context->uc_sigmask, signal) == 1;

	block_for(previous, signal, context);
	if (back || blocked || !has_handler(previous))
		end_program(signal, came, context);
	else if (previous->sa_flags & SA_SIGINFO)
		previous->sa_sigaction(signal, info, context);
	else
		previous->sa_handler(signal);
	/* Not the last thing here: a call at the very end would take our place on the stack, where is_back() looks. */
	__asm__ volatile("" ::: "memory");
}

static struct sigaction *previous_of(int signal)
{
	return signal == SIGBUS ? &previous_bus : signal == SIGSEGV ? &previous_segv : &previous_ill;
}

/* The signal that is left. */
static int ask(int signal, siginfo_t *info, void *context)
{
	guard_asked *ask_it = atomic_load(&asked);
	int before = errno;
	sigset_t faults;

	if (!ask_it)
		return signal;
	sigemptyset(&faults);
	sigaddset(&faults, SIGBUS);
	sigaddset(&faults, SIGSEGV);
	pthread_sigmask(SIG_UNBLOCK, &faults, NULL);
	signal = ask_it(signal, info, context);
	errno = before;
	return signal;
}

/* As far as the host says: of a bad page it may name the first byte, of an address that cannot be, nothing. */
static bool is_of(const struct access *access, const siginfo_t *info)
{
	u64 page = align_down((uintptr_t)info->si_addr, PAGE_SIZE);

	if (info->si_code <= 0) /* somebody has sent it */
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(access->ranges); i++)
		if (page <= access->ranges[i].last && (page | (PAGE_SIZE - 1)) >= access->ranges[i].start)
			return true;
	return info->si_code == SI_KERNEL;
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	int left;

	/* First: a guarded access of a device's registers shall find them, too. */
	if (signal == SIGBUS && info->si_code == BUS_ADRERR && kept_restore(info->si_addr))
		return;
	if (recovery && signal != SIGILL && is_of(recovery, info)) {
		/* What a return would do; whoever calls us may have blocked more than our own flags say. */
		pthread_sigmask(SIG_SETMASK, &((ucontext_t *)context)->uc_sigmask, NULL);
		siglongjmp(recovery->jump, 1);
	}
	left = ask(signal, info, context);
	if (left)
		hand_on(previous_of(left), left, signal, info, context);
	/* As in hand_on(): it must be a call with a place below ours. */
	__asm__ volatile("" ::: "memory");
}

static void install(int signal, struct sigaction *previous)
{
	/* On the alternate stack where there is one: a host program's small stacks (Go's) must not overflow. */
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK}, now;

	if (sigaction(signal, NULL, &now) < 0 || (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault))
		return;
	/* None of the program's handlers runs before we are done: its access would fault while that is blocked. */
	sigfillset(&action.sa_mask);
	*previous = now;
	sigaction(signal, &action, NULL);
}

void guard_install(void)
{
	pthread_mutex_lock(&installing);
	install(SIGBUS, &previous_bus);
	install(SIGSEGV, &previous_segv);
	if (atomic_load(&asked))
		install(SIGILL, &previous_ill);
	pthread_mutex_unlock(&installing);
}

void guard_ask(guard_asked *wanted)
{
	atomic_store(&asked, wanted);
	guard_install();
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#define UNCHECKED __attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined"), noinline))

/* The empty asm keeps compilers from making memcpy() of it, which the sanitizers look at. */
UNCHECKED static void copy_unchecked(void *to, const void *from, size_t size)
{
	typedef u64 __attribute__((may_alias, aligned(1))) word;
	size_t done = 0;

	for (; size - done >= sizeof(word); done += sizeof(word)) {
		*(word *)((u8 *)to + done) = *(const word *)((const u8 *)from + done);
		__asm__ volatile("" ::: "memory");
	}
	for (; done < size; done++) {
		((u8 *)to)[done] = ((const u8 *)from)[done];
		__asm__ volatile("" ::: "memory");
	}
}

/* A range that passes the end of all addresses goes on at 0. */
static void expect(struct access *access, unsigned index, const void *at, u64 size)
{
	u64 start = (uintptr_t)at;

	access->ranges[index].start = range_overflows(start, size) ? 0 : start;
	access->ranges[index].last = range_overflows(start, size) ? UINT64_MAX : start + size - 1;
}

static void expect_one(struct access *access, const void *at, u64 size)
{
	expect(access, 0, at, size);
	expect(access, 1, at, size);
}

bool guard_copy(void *to, const void *from, size_t size)
{
	struct access here;

	if (!size)
		return true;
	expect(&here, 0, to, size);
	expect(&here, 1, from, size);
	if (sigsetjmp(here.jump, 0)) {
		recovery = NULL;
		return false;
	}
	recovery = &here;
	atomic_signal_fence(memory_order_seq_cst);
	if (SANITIZED)
		copy_unchecked(to, from, size);
	else
		memcpy(to, from, size);
	atomic_signal_fence(memory_order_seq_cst);
	recovery = NULL;
	return true;
}

UNCHECKED static u64 load_unchecked(const u64 *from)
{
	return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

bool guard_load(const u64 *from, u64 *ret)
{
	struct access here;

	expect_one(&here, from, sizeof(*from));
	if (sigsetjmp(here.jump, 0)) {
		recovery = NULL;
		return false;
	}
	recovery = &here;
	atomic_signal_fence(memory_order_seq_cst);
	*ret = load_unchecked(from);
	atomic_signal_fence(memory_order_seq_cst);
	recovery = NULL;
	return true;
}

UNCHECKED static bool exchange_unchecked(u64 *at, u64 expected, u64 wanted)
{
	return __atomic_compare_exchange_n(at, &expected, wanted, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

bool guard_exchange(u64 *at, u64 expected, u64 wanted, bool *ret_done)
{
	struct access here;

	expect_one(&here, at, sizeof(*at));
	if (sigsetjmp(here.jump, 0)) {
		recovery = NULL;
		return false;
	}
	recovery = &here;
	atomic_signal_fence(memory_order_seq_cst);
	*ret_done = exchange_unchecked(at, expected, wanted);
	atomic_signal_fence(memory_order_seq_cst);
	recovery = NULL;
	return true;
}

/* Or-ing in nothing is a write that the program's other threads cannot tell from none. */
UNCHECKED static void touch_page(u8 *page, bool write)
{
	if (write)
		__atomic_fetch_or(page, 0, __ATOMIC_RELAXED);
	else
		(void)*(volatile u8 *)page;
}

bool guard_touch(u64 address, u64 size, bool write)
{
	u64 last = address + size - 1;
	struct access here;

	expect_one(&here, (const void *)(uintptr_t)address, size);
	if (sigsetjmp(here.jump, 0)) {
		recovery = NULL;
		return false;
	}
	recovery = &here;
	atomic_signal_fence(memory_order_seq_cst);
	for (u64 page = align_down(address, PAGE_SIZE);; page += PAGE_SIZE) {
		touch_page((u8 *)(uintptr_t)max_u64(page, address), write);
		if (last - page < PAGE_SIZE)
			break;
	}
	atomic_signal_fence(memory_order_seq_cst);
	recovery = NULL;
	return true;
}
