/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/status of a process that has memory pinned or locked through the machine: the host's text, in which VmLck
 * and VmPin say what they would on Linux. The host knows nothing of our pins.
 */
#ifndef SUPERVISE_STATUS_H
#define SUPERVISE_STATUS_H

#include "mem/file.h"

#define STATUS_TEXT 8192 /* of a process in very many groups it may be more: then it ends early */

/* text, of at most STATUS_TEXT - 1 bytes, with so many bytes more in the two lines; returns its new length. */
size_t status_add(char text[static STATUS_TEXT], u64 pinned_bytes, u64 locked_bytes);

/* The file at path (as the host has it) of a process that is that client. */
int status_file(struct client *client, const char *path, struct file **ret, struct why *why);

#endif
