/* SPDX-License-Identifier: MIT */
/*
 * Answers `isolde inspect` over a socket, from the room's own loop: a line that says what is wanted, one JSON document
 * back, made under one hold of machine.lock. A peer is never waited for, and one that stalls or talks nonsense is
 * dropped. Only the user who runs the room, and root, are answered.
 */
#ifndef SUPERVISE_INSPECTOR_H
#define SUPERVISE_INSPECTOR_H

#include "supervise/tracee.h"

struct inspector;

/* What is asked: INSPECT_ASK and a newline, with how many mappings are to be told one by one, at most INSPECT_MAPPINGS.
 */
#define INSPECT_ASK	 "isolde inspect 1 mappings %u"
#define INSPECT_MAPPINGS 20000

/* Who runs: the program's words are told, too. tracees and argv are borrowed. */
int inspector_start(const char *path, struct tracees *tracees, char *const *argv, pid_t program, struct inspector **ret,
		    struct why *why);
void inspector_stop(struct inspector *inspector); /* the socket's name goes, too; NULL is legal */

/* To poll; then there is something to handle. */
int inspector_events(const struct inspector *inspector);
void inspector_handle(struct inspector *inspector);

#endif
