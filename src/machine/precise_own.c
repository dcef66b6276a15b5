/* SPDX-License-Identifier: MIT */
/*
 * All of it runs in a handler of a fault, which any instruction of the program can cause, also one of a handler of its
 * own that has interrupted a call of ours. So nobody is waited for whom this thread keeps waiting: an access made while
 * it holds locks of ours is refused (PAGE_IN_CALL), and the program gets its SIGBUS.
 */
#include "machine/precise_own.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "machine/precise.h"
#include "mem/guard.h"

/* What the kernel puts into the last bytes of an FXSAVE image when an XSAVE one follows (asm/sigcontext.h). */
struct extended {
	u32 magic, extended_size;
	u64 features;
	u32 size;
};
#define EXTENDED_AT    464
#define EXTENDED_MAGIC 0x46505853u

/* Machines with pages mapped; a short walk under a lock that nobody holds for long. */
static pthread_mutex_t knowing = PTHREAD_MUTEX_INITIALIZER;
static struct list machines = LIST_INIT(machines);

struct own_fault {
	struct precise precise; /* first */
	ucontext_t *context;
};

/* ---- registers ---- */

static const int places[X86_GPRS] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
				     REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static void take_bases(struct x86_state *state)
{
	/* The numbers of arch_prctl(2). */
	enum { GET_FS = 0x1003, GET_GS = 0x1004 };

	syscall(SYS_arch_prctl, GET_FS, &state->fs_base);
	syscall(SYS_arch_prctl, GET_GS, &state->gs_base);
}

static void take_registers(const ucontext_t *context, struct x86_state *state)
{
	*state = (struct x86_state){.rip = (u64)context->uc_mcontext.gregs[REG_RIP],
				    .rflags = (u64)context->uc_mcontext.gregs[REG_EFL]};
	for (unsigned i = 0; i < X86_GPRS; i++)
		state->gpr[i] = (u64)context->uc_mcontext.gregs[places[i]];
	take_bases(state);
}

/* Vector registers were changed in place. */
static void put_registers(ucontext_t *context, const struct x86_state *state)
{
	for (unsigned i = 0; i < X86_GPRS; i++)
		context->uc_mcontext.gregs[places[i]] = (greg_t)state->gpr[i];
	context->uc_mcontext.gregs[REG_RIP] = (greg_t)state->rip;
	context->uc_mcontext.gregs[REG_EFL] = (greg_t)state->rflags;
}

static bool find_vectors(struct precise *precise, struct x86_state *state)
{
	u8 *image = (u8 *)((struct own_fault *)precise)->context->uc_mcontext.fpregs;
	struct extended extended;

	if (!image)
		return false;
	memcpy(&extended, image + EXTENDED_AT, sizeof(extended));
	if (extended.magic != EXTENDED_MAGIC)
		return false;
	state->xsave = image;
	state->xsave_size = extended.size;
	return true;
}

/* ---- what is left for the program ---- */

static int leave(siginfo_t *info, int signal, int code, u64 address)
{
	info->si_signo = signal;
	info->si_code = code;
	info->si_errno = 0;
	info->si_addr = (void *)(uintptr_t)address;
	return signal;
}

static int judge(struct own_fault *fault, const struct x86_state *state, siginfo_t *info)
{
	const struct precise *precise = &fault->precise;

	if (!precise_is_ours(precise) && precise->result.outcome != X86_PROTECTION)
		return info->si_signo;
	switch (precise->result.outcome) {
	case X86_DONE:
		put_registers(fault->context, state);
		return 0;
	case X86_FAULT:
		put_registers(fault->context, state);
		return leave(info, precise->lost ? SIGSEGV : SIGBUS, precise->lost ? precise->lost : BUS_ADRERR,
			     precise->result.fault_address);
	case X86_PROTECTION:
		return leave(info, SIGSEGV, SI_KERNEL, 0);
	default:
		return info->si_signo;
	}
}

/* ---- whose page? ---- */

/* The instruction may concern any machine, which only its operands tell. */
static int carry_out(struct own_fault *fault, siginfo_t *info)
{
	struct precise *precise = &fault->precise;
	struct x86_state state;

	take_registers(fault->context, &state);
	precise_step(precise, &state);
	return judge(fault, &state, info);
}

static struct own_fault fault_of(struct isolde_machine *machine, enum precise_stop stop, void *context)
{
	return (struct own_fault){
		.precise = {.machine = machine->machine,
			    .client = &machine->client,
			    .stop = stop,
			    .vectors = find_vectors},
		.context = context,
	};
}

static int ask_machines(enum precise_stop stop, siginfo_t *info, void *context)
{
	struct isolde_machine *machine;
	int left = info->si_signo;

	pthread_mutex_lock(&knowing);
	list_for_each(machine, &machines, precise) {
		struct own_fault fault = fault_of(machine, stop, context);

		if (stop == PRECISE_BUS && !precise_at(&fault.precise, (uintptr_t)info->si_addr))
			continue;
		left = carry_out(&fault, info);
		if (precise_is_ours(&fault.precise))
			break;
	}
	pthread_mutex_unlock(&knowing);
	return left;
}

/* ---- when it must not be asked ---- */

static bool has_alias(struct isolde_machine *machine, u64 address)
{
	struct vma vma;

	return vma_at(&machine->client, address, &vma) && vma.shared && file_offset_is_alias(vma.file_offset);
}

static void refuse_in_call(struct isolde_machine *machine, u64 address)
{
	struct why why = WHY_INIT;

	refuse(&why, PAGE_IN_CALL, "an access to the register page at 0x%llx from inside a call of isolde",
	       (unsigned long long)address);
	journal_append(&machine->machine->journal, machine->client.pid, machine->client.name, "access", &why);
}

/* Whose page it is cannot be asked now; all are told. */
static int leave_to_program(enum precise_stop stop, const siginfo_t *info)
{
	u64 address = (uintptr_t)info->si_addr;
	struct isolde_machine *machine;

	/* Another thread that has `knowing` may wait for what this one holds; then nobody is told. */
	if (stop != PRECISE_BUS || !lock_is_free_to_take(RANK_JOURNAL) || pthread_mutex_trylock(&knowing))
		return info->si_signo;
	list_for_each(machine, &machines, precise)
		if (has_alias(machine, address))
			refuse_in_call(machine, address);
	pthread_mutex_unlock(&knowing);
	return info->si_signo;
}

static int on_fault(int signal, siginfo_t *info, void *context)
{
	enum precise_stop stop;

	if (!precise_stop_of(signal, info->si_code, &stop))
		return signal;
	if (!lock_is_free_to_take(RANK_MACHINE))
		return leave_to_program(stop, info);
	return ask_machines(stop, info, context);
}

/* ---- who is asked ---- */

/* Outside of the handler: no handler may come in between that would want it, too. */
static void know(sigset_t *ret_mask)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, ret_mask);
	pthread_mutex_lock(&knowing);
}

static void known(const sigset_t *mask)
{
	pthread_mutex_unlock(&knowing);
	pthread_sigmask(SIG_SETMASK, mask, NULL);
}

void own_precise_expect(struct isolde_machine *machine)
{
	sigset_t mask;

	/* Here, because a handler must not; and as anybody else does, under machine.lock. */
	mutex_lock(&machine->machine->lock);
	vma_open(&machine->client);
	mutex_unlock(&machine->machine->lock);
	know(&mask);
	if (!list_linked(&machine->precise))
		list_append(&machines, &machine->precise);
	known(&mask);
	guard_ask(on_fault);
}

void own_precise_forget(struct isolde_machine *machine)
{
	sigset_t mask;

	know(&mask);
	list_remove(&machine->precise);
	known(&mask);
}
