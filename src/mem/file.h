/* SPDX-License-Identifier: MIT */
/*
 * What a descriptor means: an open file of the machine, whoever made it (vfio, iommufd). Requests reach it through
 * file_ops under machine.lock; the host's kernel serves what needs no request (a mapped register page).
 *
 * A file lives from its creation until its last descriptor *and* last mapping are gone; then release() is called,
 * once. Its memory file (memfd) is at once its identity (st_dev, st_ino) and, for a device, its regions: region i of a
 * device is at offset i << 40.
 */
#ifndef MEM_FILE_H
#define MEM_FILE_H

#include <stdio.h>

#include "base/list.h"
#include "mem/client.h"

struct file;

struct file_ops {
	const char *kind; /* "container", "group", "device": for texts; compare file->ops to know the kind */

	/*
	 * One ioctl: cmd is the whole request number, arg its argument as the client gave it. Returns what ioctl(2)
	 * would, or -errno with why filled. A return >= 0 with why->code set is a remark for the journal.
	 */
	long (*ioctl)(struct file *file, struct client *client, unsigned int cmd, u64 arg, struct why *why);

	/*
	 * pread(2), pwrite(2); NULL means EINVAL (FILE_OPERATION). buffer is ours. Short counts are legal. Neither
	 * blocks.
	 */
	s64 (*read)(struct file *file, u64 offset, void *buffer, size_t size, struct why *why);
	s64 (*write)(struct file *file, u64 offset, const void *buffer, size_t size, struct why *why);

	/*
	 * A queue says which of POLLIN and POLLOUT hold now, and calls file_wake() when that may have changed. It is a
	 * stream: read(2), write(2) and poll(2) of any program reach it, offset is always 0, lseek(2) and pread(2) are
	 * ESPIPE. NULL: no queue; whoever polls the file finds it ready.
	 */
	unsigned (*poll)(struct file *file);
	/* Not a queue, but plain read(2), pread(2), write(2) and pwrite(2) of any program and size reach it, too. */
	bool text;

	/*
	 * May the client map [offset, offset + size)? prot and flags as in mmap(2). 0 lets the host's kernel map the
	 * memory file; NULL refuses (FILE_UNMAPPABLE).
	 */
	int (*mmap)(struct file *file, u64 offset, u64 size, int prot, int flags, struct why *why);

	/* The last descriptor and mapping are gone. Frees file. Cannot fail. */
	void (*release)(struct file *file);
};

/* Whoever waits for queues: called from any thread, holding anything below RANK_WATCH. */
struct file_watcher {
	void (*woken)(struct file_watcher *watcher);
};

struct file {
	const struct file_ops *ops;
	char path[48]; /* what readlink of /proc/self/fd/N says: "/dev/vfio/vfio", "anon_inode:[vfio-device]" */
	u32 mode;      /* st_mode and st_rdev as fstat(2) says them */
	u64 rdev;
	int memfd;		/* owned; -1: the table of files makes an empty one at the first install */
	struct list_link link;	/* table of files (machine/files.c) */
	u64 host_device, inode; /* of memfd; set by the table of files */
	int watch;		/* of the close watch; set by the table of files */
	u64 descriptions;	/* open file descriptions handed out so far; the table of files */
	bool close_seen;	/* a description may have died; the table of files */
	/* borrowed: set by whoever installs a queue, before anybody has it; NULL: nobody waits */
	struct file_watcher *watcher;
};

static inline void file_init(struct file *file, const struct file_ops *ops, const char *path, u32 mode, u64 rdev)
{
	*file = (struct file){.ops = ops, .mode = mode, .rdev = rdev, .memfd = -1, .watch = -1};
	snprintf(file->path, sizeof(file->path), "%s", path);
}

/* Does a program reach it by plain read(2) and write(2)? Other files cost the supervisor nothing until then. */
static inline bool file_is_served(const struct file *file)
{
	return file->ops->poll || file->ops->text;
}

/* A queue's readiness may have changed. Until release() any thread may call this, under locks below RANK_WATCH. */
static inline void file_wake(struct file *file)
{
	if (file->watcher)
		file->watcher->woken(file->watcher);
}

#endif
