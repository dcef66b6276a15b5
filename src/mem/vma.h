/* SPDX-License-Identifier: MIT */
/* One mapping of a client's address space, as the host's kernel tells it. */
#ifndef MEM_VMA_H
#define MEM_VMA_H

#include "mem/client.h"

struct vma {
	u64 start, last;
	bool readable, writable, executable, shared;
	u64 file_offset; /* of start */
	u64 inode;	 /* 0: no file */
	u32 device_major, device_minor;
	u64 page_size; /* more than PAGE_SIZE: of hugetlbfs; 0: the host does not say */
	char name[64]; /* path or "[stack]"; "" for anonymous memory */
};

/* The descriptor for questions, owned by the client; -1: there is no such process. */
int vma_open(struct client *client);
int vma_open_by(struct client *client, pid_t thread); /* of it that lives: the first one may have ended */

/* The mapping that holds address, or else the next one above it; false when there is none (or the client has gone). */
bool vma_find(struct client *client, u64 address, struct vma *ret);

/*
 * The same without its name, which costs the host as much again; only at the address itself. A handler of signals may
 * ask, once vma_open() has been called.
 */
bool vma_at(struct client *client, u64 address, struct vma *ret);
bool vma_at_in_text(struct client *client, u64 address, struct vma *ret); /* as on kernels before 6.11 */

/* Is there a shared mapping of a file that begins at one of these offsets of it? Reads all of /proc/PID/maps once. */
bool vma_has_offsets(struct client *client, u64 start, u64 last);

/* vma_find() from the text of /proc/PID/maps, as on kernels before 6.11. */
bool vma_find_in_text(struct client *client, u64 address, struct vma *ret);

/*
 * Is any byte of [offset, offset + size) of the file mapped, by any process that we can look into? Our own mapping at
 * `ours` does not count (NULL: there is none). Reads all of /proc: for what is asked rarely.
 */
bool memfd_is_mapped(int memfd, u64 offset, u64 size, const void *ours);

#endif
