/* SPDX-License-Identifier: MIT */
#include "mem/memory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "base/alloc.h"
#include "mem/guard.h"
#include "mem/shared.h"
#include "mem/vma.h"

#define HUGETLBFS_MAGIC 0x958458f6

static struct memory_file *find(const struct list *files, u64 device, u64 inode)
{
	struct memory_file *file;

	list_for_each(file, files, link)
		if (file->device == device && file->inode == inode)
			return file;
	return NULL;
}

/*
 * A description of our own for memory, so that the client's locks go with its own; -1 for any other file, which is
 * never pinned. Only files of memory have seals, and asking for them reaches no file system: a file of FUSE may be
 * served by the very thread that asks.
 */
static int reopen(int fd)
{
	char path[32];
	int again;

	if (fcntl(fd, F_GET_SEALS) < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	return again >= 0 ? again : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

int memory_file_get(struct list *files, int given, struct memory_file **ret, struct why *why)
{
	_close_ int fd = given;
	struct memory_file *file;
	struct statx status = {};

	statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &status);
	file = find(files, makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino);
	if (!file) {
		file = alloc_new(struct memory_file, why);
		if (!file)
			return -why->err;
		file->device = makedev(status.stx_dev_major, status.stx_dev_minor);
		file->inode = status.stx_ino;
		file->fd = reopen(fd);
		list_init(&file->windows);
		list_append(files, &file->link);
	}
	file->users++;
	*ret = file;
	return 0;
}

void memory_file_put(struct memory_file *file)
{
	if (!file || --file->users)
		return;
	assert(list_empty(&file->windows));
	list_remove(&file->link);
	close_descriptor(&file->fd);
	free(file);
}

int memory_file_check(const struct memory_file *file, u64 start, u64 size, struct why *why)
{
	struct stat status = {};

	if (file->fd < 0)
		return refuse(why, FILE_NOT_MEMORY,
			      "the file with inode %llu is no memory: neither memfd nor tmpfs nor hugetlbfs",
			      (unsigned long long)file->inode);
	fstat(file->fd, &status);
	/* mm/gup.c:memfd_pin_folios() */
	if (start + size - 1 >= (u64)status.st_size)
		return refuse(why, FILE_TOO_SHORT, "[0x%llx, 0x%llx] of the file with inode %llu: its size is 0x%llx",
			      (unsigned long long)start, (unsigned long long)(start + size - 1),
			      (unsigned long long)file->inode, (unsigned long long)status.st_size);
	return 0;
}

bool memory_file_huge(const struct memory_file *file)
{
	struct statfs status = {};

	return file->fd >= 0 && fstatfs(file->fd, &status) == 0 && status.f_type == HUGETLBFS_MAGIC;
}

bool memory_file_copy(const struct memory_file *file, u64 offset, void *buffer, u64 size, bool write)
{
	ssize_t done = write ? pwrite(file->fd, buffer, size, (off_t)offset)
			     : pread(file->fd, buffer, size, (off_t)offset);

	return done == (ssize_t)size;
}

/* ---- windows ---- */

/* Read-only where the host allows no more: sealed against writing. Writes of devices fault then. */
static u8 *map(const struct memory_file *file, u64 size)
{
	void *memory = MAP_FAILED;

	for (int prot = PROT_READ | PROT_WRITE; memory == MAP_FAILED && prot; prot = prot & PROT_WRITE ? PROT_READ : 0)
		memory = mmap(NULL, size, prot, MAP_SHARED | MAP_NORESERVE, file->fd, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

/* As large as the file is, so that others need no window of their own. */
static u64 size_of(const struct memory_file *file, u64 wanted)
{
	struct statfs filesystem = {};
	struct stat status = {};
	u64 block = PAGE_SIZE;

	fstat(file->fd, &status);
	if (fstatfs(file->fd, &filesystem) == 0 && filesystem.f_type == HUGETLBFS_MAGIC)
		block = (u64)filesystem.f_bsize;
	return align_up(max_u64(wanted, (u64)status.st_size), block);
}

int file_window_get(struct memory_file *file, u64 size, struct file_window **ret, struct why *why)
{
	_memory_ struct file_window *window = NULL;
	struct file_window *old;

	list_for_each(old, &file->windows, link) {
		if (old->size < size)
			continue;
		old->users++;
		*ret = old;
		return 0;
	}
	window = alloc_new(struct file_window, why);
	if (!window)
		return -why->err;
	window->size = size_of(file, size);
	window->memory = fallible() ? map(file, window->size) : NULL;
	if (!window->memory)
		return refuse_host(why, errno, "mmap of %#llx bytes of the file with inode %llu",
				   (unsigned long long)window->size, (unsigned long long)file->inode);
	guard_install();
	window->file = file;
	window->users = 1;
	file->users++;
	list_append(&file->windows, &window->link);
	*ret = take(window);
	return 0;
}

void file_window_put(struct file_window *window)
{
	if (!window || --window->users)
		return;
	munmap(window->memory, window->size);
	list_remove(&window->link);
	memory_file_put(window->file);
	free(window);
}

/* ---- behind mappings ---- */

int memory_file_behind(struct list *files, const struct client *client, const struct vma *vma, struct memory_file **ret,
		       struct why *why)
{
	struct memory_file *file;
	int fd, err;

	*ret = NULL;
	if (!vma->shared || !vma->inode)
		return 0;
	file = find(files, makedev(vma->device_major, vma->device_minor), vma->inode);
	if (file) {
		file->users++;
	} else {
		fd = shared_open_file(client->pid, vma);
		if (fd < 0)
			return 0;
		err = memory_file_get(files, fd, &file, why);
		if (err < 0)
			return err;
	}
	if (file->fd >= 0)
		*ret = file;
	else
		memory_file_put(file);
	return 0;
}
