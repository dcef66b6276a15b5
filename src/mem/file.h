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

/*
 * A run of precise pages: [start, last] of the file as programs map it, which nothing is behind. They are mapped at
 * alias instead, beyond the size of the memory file, so that each access is SIGBUS whatever a program does with its
 * mapping, and the mapping's offset says which register it is.
 */
struct file_run {
	u64 start, last;
	u64 alias; /* of start */
};

/* Above every region, below the locks that machine/files.c keeps there. */
#define FILE_ALIAS_MIN (16ull << 40)
#define FILE_ALIAS_MAX ((24ull << 40) - 1)

static inline bool file_offset_is_alias(u64 offset)
{
	return offset >= FILE_ALIAS_MIN && offset <= FILE_ALIAS_MAX;
}

enum file_access_kind { FILE_LOAD, FILE_STORE, FILE_ENQUEUE };

/* One access of an instruction: any 1 to 64 bytes of one page. */
struct file_access {
	enum file_access_kind kind;
	u64 alias;
	unsigned width;
	u8 data[64];   /* what is stored; filled by a load */
	bool accepted; /* filled by FILE_ENQUEUE: what the device answered */
};

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

	/* The first precise pages in [start, last], if there are any. They never change. NULL: there are none. */
	bool (*precise_run)(struct file *file, u64 start, u64 last, struct file_run *ret);
	/* An access to one. Refused: nobody answers, as while the device's memory is off. Not NULL if there are any. */
	int (*access)(struct file *file, struct file_access *access, struct why *why);

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
