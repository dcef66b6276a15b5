/* SPDX-License-Identifier: MIT */
/* The room's own /sys and /dev: made in the child, in its own mount namespace, before the program starts. */
#ifndef SUPERVISE_ROOM_H
#define SUPERVISE_ROOM_H

#include "machine/node.h"

/* Programs are looked into by /proc, which must know them by our numbers. ROOM_UNAVAILABLE */
int room_check_proc(struct why *why);

/*
 * A private mount namespace; with a user namespace in which the caller is root when it has no right to mount.
 * Single-threaded callers only. ROOM_UNAVAILABLE says what the host forbids.
 */
int room_unshare(struct why *why);

/*
 * A file system for the machine's tree, mounted at a staging place; returns the open /dev/fuse to serve it from, which
 * must be going on before room_furnish().
 */
int room_mount_tree(struct why *why);

/*
 * A file system for what programs read and wait for (supervise/serve.h), mounted nowhere; for the same uid and gid
 * only. Returns the open /dev/fuse, and in *ret_root a descriptor of its root. After room_mount_tree().
 */
int room_mount_served(int *ret_root, struct why *why);

/* Puts the machine's names over the host's in /sys and /dev, then removes the staging place. */
int room_furnish(struct node *root, struct why *why);

#endif
