/* SPDX-License-Identifier: MIT */
/*
 * Threads that serve a libfuse session whose requests wait for locks. There is always one that listens, and what the
 * holder of any lock may be waiting for is answered by it at once. libfuse's own loop promises neither: its threads are
 * few, and they go only with the mount, which a process outside the room may hold.
 */
#ifndef SUPERVISE_FUSE_LOOP_H
#define SUPERVISE_FUSE_LOOP_H

#include <sys/types.h>

#include "base/why.h"

struct fuse_loop;
struct fuse_session;

/* session: borrowed; mounted, and without FUSE_CAP_SPLICE_READ. */
int fuse_loop_start(struct fuse_session *session, struct fuse_loop **ret, struct why *why);

/*
 * As if the mount had gone: whoever waits for an answer gets ECONNABORTED at once, and nothing is answered any more.
 * For a process that has been killed while it waits for what only its own end brings about.
 */
void fuse_loop_abort(struct fuse_loop *loop);

/* Is a request of the process under way? */
bool fuse_loop_serves(struct fuse_loop *loop, pid_t process);

/* Requests under way are finished, no other is begun. NULL is legal. */
void fuse_loop_stop(struct fuse_loop *loop);

#endif
