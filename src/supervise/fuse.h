/* SPDX-License-Identifier: MIT */
/* Serves the machine's tree of names as a file system. */
#ifndef SUPERVISE_FUSE_H
#define SUPERVISE_FUSE_H

#include "machine/machine.h"

struct tree_server;

/*
 * Serves requests from fd, an open /dev/fuse that was mounted already, in threads of its own. Owns fd, also on failure.
 */
int tree_server_start(struct machine *machine, int fd, struct tree_server **ret, struct why *why);

/* Answers everybody who waits with ECONNABORTED, and nobody from now on (fuse_loop_abort()). To be stopped all the
 * same. */
void tree_server_abort(struct tree_server *server);

/* Does the process wait for an answer? */
bool tree_server_serves(struct tree_server *server, pid_t process);

/* Who is still inside, from outside the room, gets ENOTCONN from now on. NULL is legal. */
void tree_server_stop(struct tree_server *server);

#endif
