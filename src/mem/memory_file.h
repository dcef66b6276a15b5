/* SPDX-License-Identifier: MIT */
/*
 * Files whose pages devices use: given by descriptor, or found behind a client's shared mapping. Held for as long as
 * pages are, whatever the client does with its descriptor; one of each, and one mapping of each if it does not grow,
 * however many ranges of it are in use. All under machine.lock.
 */
#ifndef MEM_MEMORY_FILE_H
#define MEM_MEMORY_FILE_H

#include "base/list.h"
#include "mem/client.h"

struct vma;

struct memory_file {
	u64 device, inode;
	int fd; /* owned; -1: it is no memory; may be read-only */
	unsigned users;
	struct list windows;   /* struct file_window, owned */
	struct list_link link; /* the list of all */
};

/* Our mapping of [0, size) of the file. */
struct file_window {
	struct memory_file *file; /* used */
	u8 *memory;
	u64 size;
	unsigned users;
	struct list_link link; /* file->windows */
};

/* fd is taken, also when it fails. OUT_OF_MEMORY. */
int memory_file_get(struct list *files, int fd, struct memory_file **ret, struct why *why);
void memory_file_put(struct memory_file *file); /* NULL is legal */

/*
 * May [start, start + size), whole pages, be pinned? FILE_NOT_MEMORY (EINVAL): it is no memfd, nor on tmpfs or
 * hugetlbfs; FILE_TOO_SHORT (EINVAL).
 */
int memory_file_check(const struct memory_file *file, u64 start, u64 size, struct why *why);
bool memory_file_huge(const struct memory_file *file); /* of huge pages */

/* Without a window: false when not all of it is there, or the file is sealed. */
bool memory_file_copy(const struct memory_file *file, u64 offset, void *buffer, u64 size, bool write);

/* A window with at least [0, size); refused by the host. */
int file_window_get(struct memory_file *file, u64 size, struct file_window **ret, struct why *why);
void file_window_put(struct file_window *window); /* NULL is legal */

/*
 * The file behind a shared mapping of another process; *ret NULL: it is private, or nobody lets us open it, and is
 * reached by process. Fails only as memory_file_get() does.
 */
int memory_file_behind(struct list *files, const struct client *client, const struct vma *vma, struct memory_file **ret,
		       struct why *why);

#endif
