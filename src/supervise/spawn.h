/* SPDX-License-Identifier: MIT */
/*
 * The program's process, from fork to exec. It prepares its own room and sends what the supervisor needs over a socket:
 * the descriptor to serve the tree from, that to serve queues from and the root of their file system, then the seccomp
 * listener, or why it could not.
 */
#ifndef SUPERVISE_SPAWN_H
#define SUPERVISE_SPAWN_H

#include "machine/node.h"
#include "supervise/inherited.h"

struct spawned {
	pid_t pid;
	int socket; /* owned */
};

/* The program gets what is inherited. The caller has no other thread that holds a lock. */
int spawn(struct node *root, char *const *argv, const struct inherited *inherited, struct spawned *ret,
	  struct why *why);

/* The next descriptor from the child; its refusal, or ROOM_UNAVAILABLE when it died. */
int spawn_receive(const struct spawned *spawned, struct why *why);

/* "I serve both now": the child goes on. */
void spawn_continue(const struct spawned *spawned);

enum { EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

#endif
