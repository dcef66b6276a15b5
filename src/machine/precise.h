/* SPDX-License-Identifier: MIT */
/*
 * An instruction that was stopped at a precise page is carried out here: its ordinary operands in the memory of whoever
 * was stopped, the others as accesses to a model. Who stopped it brings the registers and puts them back: a tracer
 * (supervise/tracer.c), or the library's handler of signals (machine/precise_own.c).
 */
#ifndef MACHINE_PRECISE_H
#define MACHINE_PRECISE_H

#include "machine/machine.h"
#include "mem/vma.h"
#include "x86/x86.h"

/* Why it was stopped. */
enum precise_stop {
	PRECISE_BUS,	    /* SIGBUS: a page that nothing is behind */
	PRECISE_PROTECTION, /* SIGSEGV without an address: #GP */
	PRECISE_ILLEGAL,    /* SIGILL: this processor does not know the instruction */
};

struct precise {
	struct machine *machine; /* borrowed */
	struct client *client;	 /* borrowed: of the journal, and to ask what is mapped where */
	pid_t thread;		 /* whose memory, if it is not this very process */
	enum precise_stop stop;
	bool (*vectors)(struct precise *precise, struct x86_state *state);

	bool touched; /* a precise page was reached, so all of the instruction is ours */
	int lost; /* at fault_address is memory that is not there, or not for that: the si_code of SIGSEGV; else 0 */
	bool have_vma;	/* vma is what was looked up last */
	struct vma vma; /* in client */
	struct x86_result result;
};

/* May a signal be about a precise page? It is not when somebody has sent it. */
bool precise_stop_of(int signal, int code, enum precise_stop *ret);

/* The bytes of an instruction at address, as many as are readable of X86_CODE_MAX. */
unsigned precise_fetch(const struct precise *precise, u64 address, u8 code[static X86_CODE_MAX]);

/* If not, then whatever came of it the program gets the signal that stopped it, and nothing has happened. */
bool precise_is_ours(const struct precise *precise);

/* Is there a precise page at that address? */
bool precise_at(struct precise *precise, u64 address);

/*
 * Carries out the instruction at state->rip. X86_DONE: state is to be put back. X86_FAULT: as well, and
 * precise->result.fault_address cannot be reached. Otherwise nothing has happened. What the user ought to know is in
 * the journal.
 */
enum x86_outcome precise_step(struct precise *precise, struct x86_state *state);

#endif
