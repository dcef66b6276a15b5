/* SPDX-License-Identifier: MIT */
/*
 * A signal of a traced thread. Those that say that an instruction could not be carried out may be about a precise page:
 * then it is carried out here and the signal forgotten. All others are delivered as they are.
 *
 * What the kernel has done before we hear of it cannot be undone: where the program had SIGBUS blocked or ignored, it
 * is neither any more, and a handler of it is forgotten.
 */
#include "supervise/tracing.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "base/os.h"
#include "machine/precise.h"

/* ---- registers ---- */

static void registers_to(struct user_regs_struct *to, const struct x86_state *from)
{
	const u64 *gpr = from->gpr;

	to->rax = gpr[X86_RAX];
	to->rcx = gpr[X86_RCX];
	to->rdx = gpr[X86_RDX];
	to->rbx = gpr[X86_RBX];
	to->rsp = gpr[X86_RSP];
	to->rbp = gpr[X86_RBP];
	to->rsi = gpr[X86_RSI];
	to->rdi = gpr[X86_RDI];
	to->r8 = gpr[8];
	to->r9 = gpr[9];
	to->r10 = gpr[10];
	to->r11 = gpr[11];
	to->r12 = gpr[12];
	to->r13 = gpr[13];
	to->r14 = gpr[14];
	to->r15 = gpr[15];
	to->rip = from->rip;
	to->eflags = from->rflags;
}

static struct x86_state state_from(const struct user_regs_struct *from)
{
	return (struct x86_state){
		.gpr = {from->rax, from->rcx, from->rdx, from->rbx, from->rsp, from->rbp, from->rsi, from->rdi,
			from->r8, from->r9, from->r10, from->r11, from->r12, from->r13, from->r14, from->r15},
		.rip = from->rip,
		.rflags = from->eflags,
		.fs_base = from->fs_base,
		.gs_base = from->gs_base,
	};
}

/* A stopped thread, and what is being done for it. */
struct fault {
	struct precise precise; /* first */
	struct tracer *tracer;
	struct traced *thread;
	siginfo_t info;
};

static bool fetch_vectors(struct precise *precise, struct x86_state *state)
{
	struct fault *fault = (struct fault *)precise;
	struct iovec image = {fault->tracer->xsave, XSAVE_MAX};

	if (ptrace(PTRACE_GETREGSET, fault->thread->id, (void *)NT_X86_XSTATE, &image) < 0)
		return false;
	state->xsave = fault->tracer->xsave;
	state->xsave_size = image.iov_len;
	return true;
}

static void put_back(const struct fault *fault, struct user_regs_struct *registers, const struct x86_state *state)
{
	struct iovec image = {state->xsave, state->xsave_size};

	registers_to(registers, state);
	ptrace(PTRACE_SETREGS, fault->thread->id, NULL, registers);
	if (state->xsave_changed)
		ptrace(PTRACE_SETREGSET, fault->thread->id, (void *)NT_X86_XSTATE, &image);
}

/* ---- what the program is told ---- */

/*
 * The host has seen to it that the signal it met can be delivered. One that we put in its place might be blocked, and
 * would wait while the instruction faults again and again.
 */
static void unblock(const struct traced *thread, int signal)
{
	u64 mask;

	if (ptrace(PTRACE_GETSIGMASK, thread->id, (void *)sizeof(mask), &mask) < 0 || !(mask & BIT(signal - 1)))
		return;
	mask &= ~BIT(signal - 1);
	ptrace(PTRACE_SETSIGMASK, thread->id, (void *)sizeof(mask), &mask);
}

static bool is_ignored(const struct traced *thread, int signal)
{
	char text[OS_STATUS_TEXT];

	os_task_status(thread->id, text);
	return os_status_number(text, "SigIgn", 16) & BIT(signal - 1);
}

static void deliver(struct fault *fault, int signal, int code, u64 address)
{
	if (signal != fault->info.si_signo) {
		unblock(fault->thread, signal);
		/* Nor can it be ignored: there is no way on. */
		if (is_ignored(fault->thread, signal)) {
			trace_resume(fault->thread, PTRACE_CONT, SIGKILL);
			return;
		}
	}
	fault->info.si_signo = signal;
	fault->info.si_code = code;
	fault->info.si_errno = 0;
	fault->info.si_addr = (void *)(uintptr_t)address;
	ptrace(PTRACE_SETSIGINFO, fault->thread->id, NULL, &fault->info);
	trace_resume(fault->thread, PTRACE_CONT, signal);
}

static void deliver_fault(struct fault *fault)
{
	int memory = fault->precise.lost;

	deliver(fault, memory ? SIGSEGV : SIGBUS, memory ? memory : BUS_ADRERR, fault->precise.result.fault_address);
}

static void carry_out(struct fault *fault, int signal)
{
	struct traced *thread = fault->thread;
	struct user_regs_struct registers;
	struct x86_state state;
	enum x86_outcome outcome;
	bool ours;

	if (ptrace(PTRACE_GETREGS, thread->id, NULL, &registers) < 0)
		return;
	state = state_from(&registers);
	outcome = precise_step(&fault->precise, &state);
	ours = precise_is_ours(&fault->precise);
	if (ours && (outcome == X86_DONE || outcome == X86_FAULT))
		put_back(fault, &registers, &state);
	if (ours && outcome == X86_DONE)
		trace_resume(thread, PTRACE_CONT, 0);
	else if (ours && outcome == X86_FAULT)
		deliver_fault(fault);
	else if (outcome == X86_PROTECTION && fault->precise.stop != PRECISE_PROTECTION)
		deliver(fault, SIGSEGV, SI_KERNEL, 0);
	else if (ours && outcome == X86_DIVIDE)
		deliver(fault, SIGFPE, FPE_INTDIV, state.rip);
	else
		trace_resume(thread, PTRACE_CONT, signal);
}

void fault_signal(struct tracer *tracer, struct traced *thread, int signal)
{
	struct fault fault = {
		.precise = {.machine = tracer->machine,
			    .client = thread->process->client,
			    .thread = thread->id,
			    .vectors = fetch_vectors},
		.tracer = tracer,
		.thread = thread,
	};

	if ((signal != SIGBUS && signal != SIGSEGV && signal != SIGILL) ||
	    ptrace(PTRACE_GETSIGINFO, thread->id, NULL, &fault.info) < 0 ||
	    !precise_stop_of(signal, fault.info.si_code, &fault.precise.stop) ||
	    (signal == SIGBUS && !precise_at(&fault.precise, (uintptr_t)fault.info.si_addr))) {
		trace_resume(thread, PTRACE_CONT, signal);
		return;
	}
	/* Who faults once does so again. */
	list_remove(&thread->link);
	list_prepend(&tracer->threads, &thread->link);
	carry_out(&fault, signal);
}
