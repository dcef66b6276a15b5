/* SPDX-License-Identifier: MIT */
/* The only system calls of the core. Descriptors are close-on-exec. Positive errno values go into refuse_host(). */
#ifndef BASE_OS_H
#define BASE_OS_H

#include "base/bits.h"
#include "base/why.h"

u64 os_clock_ns(void);	    /* CLOCK_MONOTONIC */
u64 os_wall_clock_ns(void); /* CLOCK_REALTIME */
void os_sleep_ns(u64 ns);

/* A sparse memory file of size bytes; returns its descriptor or -errno. */
int os_memfd(const char *name, u64 size, struct why *why);
int os_resize(int fd, u64 size, struct why *why);

/* Drops the pages of [offset, offset + size), which then read as zero. */
void os_punch(int fd, u64 offset, u64 size);

/* Shared read-write mapping; NULL with why filled. os_unmap(NULL) is legal. */
void *os_map_shared(int fd, u64 offset, u64 size, struct why *why);
void os_unmap(void *memory, u64 size);

/* Adds one to an eventfd. Never blocks: a full counter is already a pending event. */
void os_eventfd_signal(int fd);

void os_close(int fd); /* -1 is legal */

#endif
