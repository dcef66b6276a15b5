/* SPDX-License-Identifier: MIT */
/* Paths as text: nothing here touches a file system. */
#ifndef SUPERVISE_PATH_H
#define SUPERVISE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * base and path joined (path alone when it is absolute), with "//", "." and ".." folded. false when it does not fit
 * size bytes. Symbolic links are not followed.
 */
bool path_normalise(const char *base, const char *path, char *ret, size_t size);

/*
 * Is this "/proc/PID/FOLDER/N" (or self, thread-self, task/TID)? folder is "fd" or "fdinfo", self the pid that "self"
 * means. Gives the process whose descriptor it is and the number.
 */
bool path_is_descriptor(const char *path, pid_t self, const char *folder, pid_t *ret_pid, int *ret_fd);

/* A directory of /proc: of a thread, or of a process as a whole. */
struct process_path {
	pid_t process, thread; /* thread 0: of the process */
};

/*
 * Is this "/proc/PID/NAME" or "/proc/PID/task/TID/NAME" (or self, thread-self)? self is the thread that asks; for
 * "self" it is given as the process, too: the host's /proc takes any thread's number there.
 */
bool path_is_of_process(const char *path, pid_t self, const char *name, struct process_path *ret);

#endif
