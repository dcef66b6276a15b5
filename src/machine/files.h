/* SPDX-License-Identifier: MIT */
/*
 * The table of open files: which memory file (st_dev, st_ino) is which `struct file`, and when its last descriptor and
 * mapping have died.
 *
 * Each file's memfd carries an inotify watch for IN_CLOSE. The host's kernel sends that event when the last reference
 * of an open file description dies: the last dup in any process, the last mapping, also at SIGKILL. We hand out fresh
 * descriptions only (reopened through /proc/self/fd), never our own, each with an OFD lock on a byte of its own: the
 * locks still held tell which are alive.
 */
#ifndef MACHINE_FILES_H
#define MACHINE_FILES_H

#include "mem/file.h"

struct files;

int files_new(struct files **ret, struct why *why);
void files_free(struct files *files); /* NULL is legal; asserts that no file is left */

/*
 * A fresh description of file's memory, ready to be given to a client (made by reopening it); the caller closes its own
 * copy after it was given. The file enters the table. -errno with nothing changed on failure.
 */
int files_describe(struct files *files, struct file *file, struct why *why);
/* The description just made was not given after all (the client had no free descriptor). */
void files_undescribe(struct files *files, struct file *file);

struct file *files_find(const struct files *files, u64 host_device, u64 inode); /* NULL: not ours */

/* Is it still in the table? Compares pointers only: file may be gone. */
bool files_has(const struct files *files, const struct file *file);

/* For poll: readable when files_drain() has something to do, which is to release each file that nobody holds. */
int files_events(const struct files *files);
/* From now on that descriptor is readable when fd is, too. fd is borrowed; it may be closed at any time. */
int files_events_add(struct files *files, int fd, struct why *why);
void files_drain(struct files *files);

/* Releases every file whatever descriptions live; for the end of a machine. */
void files_close_all(struct files *files);

struct file *files_next(const struct files *files, const struct file *after); /* iteration; NULL starts and ends */

#endif
