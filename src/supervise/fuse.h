/* SPDX-License-Identifier: MIT */
/* Serves the machine's tree of names as a file system. */
#ifndef SUPERVISE_FUSE_H
#define SUPERVISE_FUSE_H

#include "machine/machine.h"

struct tree_server;

/*
 * Serves requests from fd, an open /dev/fuse that was mounted already, in threads of its own until the mount has gone.
 * Owns fd, also on failure.
 */
int tree_server_start(struct machine *machine, int fd, struct tree_server **ret, struct why *why);

/* Waits for the mount to be gone (its last process has ended) and frees. NULL is legal. */
void tree_server_stop(struct tree_server *server);

#endif
