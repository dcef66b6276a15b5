/* SPDX-License-Identifier: MIT */
/*
 * Precise pages of a program that has the machine inside: its accesses come as signals, to a handler of ours
 * (mem/guard.h), which carries out the instruction and goes on behind it.
 */
#ifndef MACHINE_PRECISE_OWN_H
#define MACHINE_PRECISE_OWN_H

#include "machine/api.h"

/* The machine has pages mapped: it is asked about faults until own_precise_forget(), which is legal at any time. */
void own_precise_expect(struct isolde_machine *machine);
void own_precise_forget(struct isolde_machine *machine);

#endif
