/* SPDX-License-Identifier: MIT */
/* The only system calls of the core. Descriptors are close-on-exec. Positive errno values go into refuse_host(). */
#ifndef BASE_OS_H
#define BASE_OS_H

#include <pthread.h>

#include "base/bits.h"
#include "base/why.h"

u64 os_clock_ns(void);	    /* CLOCK_MONOTONIC */
u64 os_wall_clock_ns(void); /* CLOCK_REALTIME */
void os_sleep_ns(u64 ns);
unsigned os_online_cpus(void);		  /* of the host */
void os_random(void *bytes, size_t size); /* of the host, at most 256; nobody can guess them */
void os_yield(void);			  /* lets another thread of this processor run, if one wants to */

/* A thread of our own: it takes no signals of the host program and its sleeps end when they should. 0 or -errno. */
int os_thread_start(pthread_t *ret, void *(*body)(void *argument), void *argument, struct why *why);

/* A sparse memory file of size bytes; returns its descriptor or -errno. */
int os_memfd(const char *name, u64 size, struct why *why);
int os_resize(int fd, u64 size, struct why *why);

/* Drops the pages of [offset, offset + size), which then read as zero. */
void os_punch(int fd, u64 offset, u64 size);

/* Shared read-write mapping; NULL with why filled. os_unmap(NULL) is legal. */
void *os_map_shared(int fd, u64 offset, u64 size, struct why *why);
void os_unmap(void *memory, u64 size);

/* Adds one to an eventfd, as drivers do. Never blocks, whatever others do to it meanwhile. */
void os_eventfd_signal(int fd);

/* Takes what an eventfd has; false when it has nothing. Never blocks either. */
bool os_eventfd_consume(int fd);
bool os_is_eventfd(int fd); /* false also when it is not open */
/* What all descriptors of one eventfd have in common, and no other has; 0 when the host does not tell. */
u64 os_eventfd_id(int fd);

/* A set of descriptors to poll as one: itself a descriptor, readable when one of them is. */
int os_poller(struct why *why);
int os_poller_add(int poller, int fd, void *key, struct why *why);
void os_poller_remove(int poller, int fd);
void *os_poller_next(int poller); /* the key of one that is readable; NULL when none is */

void os_close(int fd); /* -1 is legal */

/*
 * A file behind a disk. Plain calls, no mapping: somebody may truncate it at any time. os_file_open() returns the
 * descriptor or the bare -errno of the host; the other calls are all or nothing, false for any failure.
 */
struct os_file {
	bool regular; /* no directory, device or pipe */
	u64 size;
};
int os_file_open(const char *path, struct os_file *ret);
int os_file_look(const char *path, struct os_file *ret);       /* to read it only; does not wait for a pipe */
bool os_file_read(int fd, u64 offset, void *buffer, u64 size); /* false also when the file has become shorter */
bool os_file_write(int fd, u64 offset, const void *buffer, u64 size);
bool os_file_flush(int fd);
bool os_file_punch(int fd, u64 offset, u64 size); /* reads as zero from then on; false when the file system cannot */

/*
 * A tree of files that somebody else made, only looked at: no link is followed, nothing but directories and regular
 * files is opened, nothing blocks. Failures are the bare -errno of the host.
 */
int os_folder_root(const char *path);		 /* its descriptor; links are followed so far */
int os_folder_open(int above, const char *path); /* downwards only: ".." is refused with ELOOP */
bool os_folder_has(int folder, const char *name);
s64 os_folder_read(int folder, const char *name, void *buffer, size_t size); /* EINVAL: not a regular file */
s64 os_folder_link(int folder, const char *name, char *text, size_t size);   /* where a link points, as a string */

/* The names in a directory, without those that start with a dot, in no order. NULL when it cannot be listed. */
void *os_folder_list(int above, const char *path);
const char *os_folder_next(void *list); /* good until the next call; NULL at the last */
void os_folder_done(void *list);	/* NULL is legal */

/*
 * /proc/TASK/status as text, empty when the task is gone. A value is what stands behind "KEY:" and its blanks, up to
 * the end of text, not of the line; "" and 0 without such a line.
 */
#define OS_STATUS_TEXT 4096
void os_task_status(pid_t task, char text[static OS_STATUS_TEXT]);
const char *os_status_value(const char *text, const char *key);
u64 os_status_number(const char *text, const char *key, int base);

#define OS_RELEASE_TEXT 65
void os_release(char text[static OS_RELEASE_TEXT]); /* of the host's kernel: "6.1.0-13-amd64" */

#endif
