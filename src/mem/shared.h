/* SPDX-License-Identifier: MIT */
/*
 * Shared file mappings of a client (a memfd, hugetlb), mapped directly: DMA is a plain copy. The client may truncate
 * its file at any time, so every access is guarded (mem/guard.h).
 */
#ifndef MEM_SHARED_H
#define MEM_SHARED_H

#include "mem/client.h"

struct vma;

/*
 * An open file description of our own for the file of vma, or -1. Not the client's: our mapping would keep its locks,
 * and a file of the machine, alive after the client has closed it.
 */
int shared_open_file(pid_t pid, const struct vma *vma);
/*
 * Our own mapping of the file pages behind [address, address + size) of the client, if that range lies in one writable
 * shared mapping of a file the client has open; NULL otherwise (the caller copies by process instead).
 */
void *shared_map(struct client *client, u64 address, u64 size);
/* The same for [offset, offset + size) of a file that is no client's mapping; NULL when the host cannot map it. */
void *shared_map_file(int fd, u64 offset, u64 size, bool writable);
/* The same memory once more, for another owner; NULL when the host cannot. */
void *shared_map_again(void *memory, u64 size);
void shared_unmap(void *memory, u64 size); /* NULL is legal */

#endif
