/* SPDX-License-Identifier: MIT */
/*
 * Files of the machine that programs read, write and wait for with plain system calls (file_is_served()): queues, which
 * are streams, and texts. They are files of a small FUSE file system that is mounted nowhere, so nothing is trapped and
 * any program, static or not, can poll them. All else is as with other files: the supervisor's own descriptor is their
 * memory file, which machine/files.c watches and describes.
 */
#ifndef SUPERVISE_SERVE_H
#define SUPERVISE_SERVE_H

#include "machine/machine.h"

struct failures;
struct file_server;

/* What readlink of /proc/PID/fd/N begins with, for one of these. */
#define SERVED_PREFIX "/isolde:"

/* Reads and writes of at most so much reach the file as one, wherever the buffer begins in its page. */
#define SERVED_PIECE ((1u << 20) - 4096)

/*
 * fd is an open /dev/fuse that was mounted, root a descriptor of that mount's root (room_mount_served()). Owns both,
 * also on failure. failures: borrowed; NULL without fail-nth.
 */
int file_server_start(struct machine *machine, struct failures *failures, int fd, int root, struct file_server **ret,
		      struct why *why);

/* Files that somebody outside the room still holds answer ENOTCONN from now on. NULL is legal. */
void file_server_stop(struct file_server *server);

/* Gives a file that has no memory file yet one of ours. Under machine.lock, before files_describe(). */
int file_server_add(struct file_server *server, struct file *file, struct why *why);

/* How many files the host may still ask about, closed ones included; for tests. */
unsigned file_server_count(struct file_server *server);

#endif
