/* SPDX-License-Identifier: MIT */
/*
 * isolde: the Linux device-assignment stack as a library.
 *
 * A machine is made from its description. Its /dev/vfio and /dev/iommu files are then used with the functions below,
 * which take and return what the system calls of the same names do, except that they return -errno and say why.
 * Descriptors are real ones of this process (memory files): mmap(2), dup(2), fork(2) and passing them over a socket
 * work; ioctl, read, write, poll, open and close go through here. Device models run in threads of this process and do
 * DMA to the memory it mapped.
 *
 * Threads: every function may be called from any thread.
 */
#ifndef ISOLDE_H
#define ISOLDE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "isolde/why.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct isolde_machine;

struct isolde_machine_options {
	size_t size;		  /* sizeof(struct isolde_machine_options) */
	const char *machine;	  /* path of a machine file, or a built-in name; NULL: "default" */
	const char *const *disks; /* NULL-terminated "0000:01:00.0=/path/to.img"; may be NULL */
	const char *const *binds; /* NULL-terminated "vfio-pci=0000:01:00.0"; may be NULL */
};

/* why may be NULL everywhere. Returns 0 or -errno. */
int isolde_machine_new(const struct isolde_machine_options *options, struct isolde_machine **ret,
		       struct isolde_why *why);
/* Closes what is still open. Mappings of this process stay valid memory, without a device behind them. */
void isolde_machine_free(struct isolde_machine *machine); /* NULL is legal */

/* "/dev/vfio/vfio", "/dev/vfio/7", "/dev/vfio/devices/vfio0", "/dev/iommu". flags as in open(2). Returns a descriptor
 * or -errno. */
int isolde_open(struct isolde_machine *machine, const char *path, int flags, struct isolde_why *why);

/* Returns what ioctl(2) would, or -errno. arg is the pointer or integer of the request. */
long isolde_ioctl(struct isolde_machine *machine, int fd, unsigned long request, void *arg, struct isolde_why *why);

ssize_t isolde_pread(struct isolde_machine *machine, int fd, void *buffer, size_t size, uint64_t offset,
		     struct isolde_why *why);
ssize_t isolde_pwrite(struct isolde_machine *machine, int fd, const void *buffer, size_t size, uint64_t offset,
		      struct isolde_why *why);

/*
 * read(2) and write(2). Of a queue (the descriptors of IOMMU_FAULT_QUEUE_ALLOC and IOMMU_VEVENTQ_ALLOC) they take and
 * give whole records and never block; a queue has no positions, so isolde_pread() and isolde_pwrite() of it are
 * -ESPIPE. Of other files they go on from where the descriptor is.
 */
ssize_t isolde_read(struct isolde_machine *machine, int fd, void *buffer, size_t size, struct isolde_why *why);
ssize_t isolde_write(struct isolde_machine *machine, int fd, const void *buffer, size_t size, struct isolde_why *why);

/*
 * poll(2) of one descriptor: which of events (POLLIN, POLLOUT) hold, as soon as one does; 0 when timeout_ms have passed
 * without (-1: no limit), or -errno. -EBADF also when it is closed meanwhile by another thread. Only queues say when
 * they can be read; other files are always ready, as in Linux.
 */
int isolde_poll(struct isolde_machine *machine, int fd, short events, int timeout_ms, struct isolde_why *why);

/* mmap(2) of a device region after VFIO's own checks; *ret is the address. Unmap with munmap(2). */
int isolde_mmap(struct isolde_machine *machine, int fd, size_t size, int prot, int flags, uint64_t offset, void **ret,
		struct isolde_why *why);

/*
 * close(2). What the file stood for ends when its last duplicate and its last mapping are gone, at the latest at the
 * next call into the machine.
 */
int isolde_close(struct isolde_machine *machine, int fd);

/* Attributes, by path from the root: "sys/bus/pci/drivers/nvme/unbind". Returns bytes or -errno. */
ssize_t isolde_attribute_read(struct isolde_machine *machine, const char *path, void *buffer, size_t size,
			      struct isolde_why *why);
ssize_t isolde_attribute_write(struct isolde_machine *machine, const char *path, const void *buffer, size_t size,
			       struct isolde_why *why);

/*
 * The journal: each refusal and each remark of the machine, whoever caused it: calls of this process and faults of
 * devices. A sentence has room for 239 bytes; what a refusal has no room for there follows it here, in entries of the
 * same request.
 */
struct isolde_journal_entry {
	size_t size;	       /* sizeof(struct isolde_journal_entry), set by the caller */
	uint64_t serial;       /* 1, 2, ... in the order they came; never used again */
	uint64_t lost;	       /* entries between the cursor and this one that were overwritten before they were read */
	uint64_t time_ns;      /* since 1970 (CLOCK_REALTIME) */
	int pid;	       /* who asked; 0: the machine itself, as for the DMA of a device */
	char program[16];      /* its name, or that of the device; cut */
	char request[96];      /* "VFIO_DEVICE_PCI_HOT_RESET vfio-device", "write /sys/...", "DMA"; cut */
	struct isolde_why why; /* a remark has its errno, too, although its call succeeded */
};

/*
 * Copies the oldest entry whose serial is above *cursor, and sets *cursor to it. A cursor of 0 begins with the oldest
 * there is; each reader has its own, and reading takes nothing away from others. The machine keeps the last 256
 * entries: who falls behind goes on with the oldest of them, and entry->lost says how many are missing.
 *
 * 1: an entry; 0: none is newer, nothing is changed; OPTIONS_SIZE (-EINVAL). Takes no lock but the journal's: it
 * waits for no call in progress.
 */
int isolde_journal_next(struct isolde_machine *machine, uint64_t *cursor, struct isolde_journal_entry *entry,
			struct isolde_why *why);

/* Asserts every invariant of every layer of the machine. For tests. */
void isolde_machine_check(struct isolde_machine *machine);

/* The library's version, "0.1.0". */
const char *isolde_version(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
