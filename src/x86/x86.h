/* SPDX-License-Identifier: MIT */
/*
 * One instruction of a program that touches a precise page, carried out: decoded from its bytes, its registers changed,
 * its accesses made on a bus. Whoever stopped the program (a tracer, a signal handler) fetches the registers and puts
 * them back; this layer knows neither processes nor devices.
 */
#pragma once

#include <stdbool.h>

#include "base/bits.h"

enum { /* places in gpr[]: as instructions encode them */
       X86_RAX,
       X86_RCX,
       X86_RDX,
       X86_RBX,
       X86_RSP,
       X86_RBP,
       X86_RSI,
       X86_RDI, /* r8 to r15 follow */
       X86_GPRS = 16,

       X86_CODE_MAX = 15, /* bytes of the longest instruction */
       X86_ACCESS_MAX = 64,
       X86_TEXT_MAX = 96,
};

struct x86_state {
	u64 gpr[X86_GPRS];
	u64 rip;
	u64 rflags;
	u64 fs_base, gs_base;

	/*
	 * Vector registers: an XSAVE image in the standard format, of xsave_size bytes. NULL until bus->vectors() has
	 * fetched it, which happens only for instructions that need it; changed is set when it must be put back.
	 */
	u8 *xsave;
	size_t xsave_size;
	bool xsave_changed;
};

/*
 * What the instruction reaches. Addresses are the program's. load and store get any run of 1 to 64 bytes, each one
 * access of the instruction in program order; the bus cuts up what crosses a border. All return 0, or -EFAULT: nobody
 * answers there.
 */
struct x86_bus {
	/* Is this byte on a precise page? All else is ordinary memory of the program, reached by load and store as
	 * well. */
	bool (*is_precise)(void *context, u64 address);
	int (*load)(void *context, u64 address, void *to, unsigned width);
	int (*store)(void *context, u64 address, const void *from, unsigned width);

	/* ENQCMD: *accepted is the device's answer. The process's PASID is in the first dword already. */
	int (*enqueue)(void *context, u64 address, const u8 from[64], bool *accepted);

	/* The process's PASID as in IA32_PASID; false if it has none, and then ENQCMD is #GP. */
	bool (*pasid)(void *context, u32 *pasid);

	/* Fills state->xsave and xsave_size. False: it cannot be had, and the outcome is X86_UNKNOWN. */
	bool (*vectors)(void *context, struct x86_state *state);

	/*
	 * An operation that is one on the bus of hardware too (LOCK, XCHG): nobody else's access comes between
	 * lock(true) and lock(false). NULL: accesses are alone anyway.
	 */
	void (*lock)(void *context, bool held);
};

enum x86_outcome {
	X86_DONE,	/* registers are changed, rip is behind the instruction (or on it: a long REP goes on) */
	X86_UNKNOWN,	/* nothing happened; text says what it is */
	X86_FAULT,	/* nobody answers at fault_address; registers as hardware leaves them at a fault */
	X86_PROTECTION, /* #GP: misaligned, not allowed in user space, or no PASID; nothing happened */
	X86_DIVIDE,	/* #DE: DIV or IDIV by zero, or its quotient has no place (SIGFPE, FPE_INTDIV) */
};

struct x86_result {
	enum x86_outcome outcome;
	u64 fault_address;
	unsigned length;	 /* of the instruction; 0 if it is none */
	char text[X86_TEXT_MAX]; /* the instruction, for people; filled unless X86_DONE */
};

/*
 * code holds what is readable of the 15 bytes at state->rip. A program can be stopped by one instruction and have
 * changed its code since: whatever is there now is what is carried out.
 */
void x86_step(struct x86_state *state, const u8 *code, unsigned size, const struct x86_bus *bus, void *context,
	      struct x86_result *result);
