/* SPDX-License-Identifier: MIT */
/*
 * Precise pages are put into a mapping by the program's own hand: when its mmap(2) has returned, it makes a few more
 * before it goes on, one for each run of such pages. For each, the instruction of its call is made to run again with
 * other registers. Its signals are blocked meanwhile; only SIGKILL and SIGSTOP get through, and a stop is made good
 * afterwards. The filter traps the calls like any mmap(2), and the notifier lets them go (tracer_injects()).
 *
 * Another thread of the program may have closed or replaced the descriptor since. Then what was mapped is unmapped, and
 * the program's call fails as it would have a moment later.
 */
#include "supervise/tracing.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "mem/vma.h"

enum { SYSCALL_LENGTH = 2 }; /* of the instruction */

/* The kernel's own, which no program sees: the call will be made again. */
enum { ERESTARTSYS = 512, ERESTART_RESTARTBLOCK = 516 };

static void call(const struct traced *thread, long number, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	struct user_regs_struct registers = thread->injection->registers;

	registers.rip -= SYSCALL_LENGTH;
	registers.rax = (u64)number;
	registers.orig_rax = ~0ull; /* it is in no call now */
	registers.rdi = a;
	registers.rsi = b;
	registers.rdx = c;
	registers.r10 = d;
	registers.r8 = e;
	registers.r9 = f;
	ptrace(PTRACE_SETREGS, thread->id, NULL, &registers);
	trace_resume(thread, PTRACE_SYSCALL, 0);
}

static void resume(struct traced *thread)
{
	/* The group may be stopped: a trap finds out, and if so, is a group stop. */
	if (thread->stopped)
		ptrace(PTRACE_INTERRUPT, thread->id, NULL, NULL);
	thread->stopped = false;
	trace_resume(thread, PTRACE_CONT, 0);
}

static void finish(struct tracer *tracer, struct traced *thread, u64 result)
{
	struct injection *injection = thread->injection;

	injection->registers.rax = result;
	ptrace(PTRACE_SETREGS, thread->id, NULL, &injection->registers);
	ptrace(PTRACE_SETSIGMASK, thread->id, (void *)sizeof(injection->mask), &injection->mask);
	trace_injected(tracer, thread);
	resume(thread);
}

/* ---- what went wrong ---- */

static void journal_failure(struct tracer *tracer, const struct traced *thread, long error)
{
	const struct client *client = thread->process->client;
	struct why why = WHY_INIT;

	if (error == -EBADF)
		refuse(&why, FILE_CLOSED, "descriptor %d of %s was closed while it was being mapped",
		       thread->injection->mapping.fd, client->name);
	else
		refuse_host(&why, (int)-error, "mmap of register pages by %s, descriptor %d", client->name,
			    thread->injection->mapping.fd);
	journal_append(&tracer->machine->journal, client->pid, client->name, "mmap", &why);
}

static void undo(struct tracer *tracer, struct traced *thread, long error)
{
	struct injection *injection = thread->injection;

	journal_failure(tracer, thread, error);
	injection->phase = UNDOING;
	injection->error = error;
	call(thread, SYS_munmap, injection->address, injection->mapping.size, 0, 0, 0, 0);
}

/* ---- run by run ---- */

static u64 address_of(const struct injection *injection, u64 offset)
{
	return injection->address + (offset - injection->mapping.offset);
}

/* The number of a descriptor can mean another file by now. */
static bool is_in_place(const struct traced *thread)
{
	const struct injection *injection = thread->injection;
	struct client *client = thread->process->client;
	u64 address = address_of(injection, injection->run.start);
	struct vma vma;

	return vma_find(client, address, &vma) && vma.start <= address && vma.inode == injection->mapping.inode &&
	       makedev(vma.device_major, vma.device_minor) == injection->mapping.host_device;
}

static void map_from(struct tracer *tracer, struct traced *thread, u64 offset)
{
	struct injection *injection = thread->injection;
	const struct tracer_mapping *mapping = &injection->mapping;
	struct file_run *run = &injection->run;

	if (offset >= mapping->offset + mapping->size ||
	    !machine_precise_run(tracer->machine, mapping->host_device, mapping->inode, offset,
				 mapping->offset + mapping->size - 1, run)) {
		finish(tracer, thread, injection->address);
		return;
	}
	injection->phase = MAPPING;
	call(thread, SYS_mmap, address_of(injection, run->start), run->last + 1 - run->start, (u64)mapping->prot,
	     MAP_SHARED | MAP_FIXED, (u64)mapping->fd, run->alias);
}

/* Signals wait until we have done: a handler must not run on registers of ours, nor make calls that we take for ours.
 */
static void block_signals(const struct traced *thread)
{
	struct injection *injection = thread->injection;
	u64 all = ~0ull;

	if (injection->masked)
		return;
	ptrace(PTRACE_GETSIGMASK, thread->id, (void *)sizeof(injection->mask), &injection->mask);
	ptrace(PTRACE_SETSIGMASK, thread->id, (void *)sizeof(all), &all);
	injection->masked = true;
}

static bool is_error(u64 result)
{
	return result > -4096ull;
}

static bool will_restart(u64 result)
{
	return result <= (u64)-ERESTARTSYS && result >= (u64)-ERESTART_RESTARTBLOCK;
}

void inject_begin(struct tracer *tracer, struct traced *thread, int signal)
{
	struct injection *injection = thread->injection;

	thread->stopped |= signal != SIGTRAP;
	if (ptrace(PTRACE_GETREGS, thread->id, NULL, &injection->registers) < 0)
		return;
	block_signals(thread);
	injection->address = injection->registers.rax;
	if (will_restart(injection->address)) {
		injection->phase = AWAIT_RESTART;
		trace_resume(thread, PTRACE_SYSCALL, 0);
	} else if (is_error(injection->address)) {
		finish(tracer, thread, injection->address);
	} else {
		map_from(tracer, thread, injection->mapping.offset);
	}
}

/* Our call, or the one that was made again, has returned. */
static void returned(struct tracer *tracer, struct traced *thread)
{
	struct injection *injection = thread->injection;
	struct user_regs_struct registers;

	if (ptrace(PTRACE_GETREGS, thread->id, NULL, &registers) < 0)
		return;
	if (injection->phase == AWAIT_RESTART)
		inject_begin(tracer, thread, SIGTRAP);
	else if (injection->phase == UNDOING)
		finish(tracer, thread, (u64)injection->error);
	else if (will_restart(registers.rax)) /* a stop came before the notifier had seen the call */
		map_from(tracer, thread, injection->run.start);
	else if (is_error(registers.rax))
		undo(tracer, thread, (long)registers.rax);
	else if (!is_in_place(thread))
		undo(tracer, thread, -EBADF);
	else
		map_from(tracer, thread, injection->run.last + 1);
}

void inject_continue(struct tracer *tracer, struct traced *thread)
{
	struct __ptrace_syscall_info info = {};

	ptrace(PTRACE_GET_SYSCALL_INFO, thread->id, (void *)sizeof(info), &info);
	if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		returned(tracer, thread);
	else
		trace_resume(thread, PTRACE_SYSCALL, 0);
}
