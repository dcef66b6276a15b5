/* SPDX-License-Identifier: MIT */
/* The inside of the tracer, which tracer.c, inject.c and fault.c share. All of it is the tracer thread's, but locks. */
#ifndef SUPERVISE_TRACING_H
#define SUPERVISE_TRACING_H

#include <stdatomic.h>
#include <sys/types.h>
#include <sys/user.h> /* whose words for pages are not ours: before all other headers of isolde */
#undef PAGE_SHIFT
#undef PAGE_SIZE
#undef PAGE_MASK

#include "base/list.h"
#include "base/lock.h"
#include "supervise/tracer.h"

enum { XSAVE_MAX = 32768 }; /* AMX takes 11 KiB */

struct traced_process {
	struct client *client; /* owned: for the journal, and to ask what is mapped */
	unsigned threads;
	struct list_link link; /* tracer->processes */
};

enum injection_phase {
	AWAIT_RETURN,  /* of the program's own mmap(2) */
	AWAIT_RESTART, /* of the same, which a host before Linux 5.19 has interrupted */
	MAPPING,       /* ours */
	UNDOING,       /* munmap(2) of all of it */
};

/* Precise pages on their way into a mapping. */
struct injection {
	pid_t thread;
	struct tracer_mapping mapping;
	enum injection_phase phase;
	u64 address; /* what the program's call returned */
	struct file_run run;
	long error;
	struct user_regs_struct registers; /* of the program, as its call returned */
	bool masked;			   /* its signals are blocked, instead of: */
	u64 mask;
	struct list_link link; /* tracer->injections */
};

struct traced {
	pid_t id; /* thread */
	struct traced_process *process;
	struct injection *injection; /* owned; NULL: none */
	bool known;		     /* it has stopped before */
	bool leaving;		     /* to be let go at its next stop */
	bool stopped;		     /* its group has been stopped while we needed it to run */
	struct list_link link;	     /* tracer->threads, the last that faulted first */
};

struct question;

struct tracer {
	struct machine *machine; /* borrowed */
	pid_t program;
	pthread_t thread;
	pid_t id; /* of the thread */
	struct list threads, processes;
	int events;	   /* owned eventfd */
	atomic_int status; /* of the program; -1: it has not ended */

	struct mutex lock; /* of what follows: others use it, too */
	pthread_cond_t changed;
	struct question *question; /* borrowed; NULL: none */
	bool ready, stopping, finished;
	struct list injections;

	u8 xsave[XSAVE_MAX] __attribute__((aligned(64)));
};

/* Resumes; request is PTRACE_CONT or PTRACE_SYSCALL. A thread that has been killed meanwhile is told by its end. */
void trace_resume(const struct traced *thread, int request, int signal);

/* The injection of the thread is over. */
void trace_injected(struct tracer *tracer, struct traced *thread);

/* inject.c: the thread has stopped, for a group stop if signal is one's. */
void inject_begin(struct tracer *tracer, struct traced *thread, int signal);
void inject_continue(struct tracer *tracer, struct traced *thread); /* at a stop of a system call */

/* fault.c: a signal is about to be delivered. Resumes the thread, with it or without. */
void fault_signal(struct tracer *tracer, struct traced *thread, int signal);

#endif
