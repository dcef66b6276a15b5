/* SPDX-License-Identifier: MIT */
/*
 * What whoever started isolde has set up for the program, and the supervisor needs otherwise: which signals are blocked
 * or ignored, how many files may be open and how large they may be. Set aside for the time of a room; the program gets
 * it as if isolde were not there.
 */
#ifndef SUPERVISE_INHERITED_H
#define SUPERVISE_INHERITED_H

#include <signal.h>
#include <sys/resource.h>

enum { INHERITED_ACTIONS = 3, INHERITED_LIMITS = 3 };

struct inherited {
	sigset_t mask;
	struct sigaction actions[INHERITED_ACTIONS];
	struct rlimit limits[INHERITED_LIMITS];
};

/* Limits and what is ignored, before the machine is built: its memory files are large. */
void inherited_set_aside(struct inherited *ret);

/* And these signals are blocked, so that they can be read from a signalfd. */
void inherited_block(struct inherited *inherited, const sigset_t *taken);

/* In this process; safe between fork() and execve(). */
void inherited_restore(const struct inherited *inherited);

#endif
