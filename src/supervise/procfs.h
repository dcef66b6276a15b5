/* SPDX-License-Identifier: MIT */
/* Files of /proc that the room has its own way. */
#ifndef SUPERVISE_PROCFS_H
#define SUPERVISE_PROCFS_H

#include "supervise/tracee.h"

/*
 * What open(path, flags) by that thread stands for in the room; *ret is NULL when it is the host's own file. path is
 * absolute and folded.
 */
int procfs_file(struct tracees *tracees, pid_t caller, const char *path, int flags, struct file **ret, struct why *why);

#endif
