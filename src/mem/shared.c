/* SPDX-License-Identifier: MIT */
/* The file behind a shared mapping is found among the client's descriptors by device and inode. */
#include "mem/shared.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "mem/guard.h"
#include "mem/vma.h"

/*
 * Is that name in directory (/proc/PID/fd) a descriptor for the file of vma? AT_STATX_DONT_SYNC: another descriptor of
 * the client may be for a file that we serve ourselves, through FUSE, and must not be asked for here.
 */
static bool is_file_of(int directory, const char *name, const struct vma *vma)
{
	struct statx status;

	return statx(directory, name, AT_STATX_DONT_SYNC | (name[0] ? 0 : AT_EMPTY_PATH), STATX_TYPE | STATX_INO,
		     &status) == 0 &&
	       S_ISREG(status.stx_mode) && status.stx_ino == vma->inode && status.stx_dev_major == vma->device_major &&
	       status.stx_dev_minor == vma->device_minor;
}

/*
 * The number may mean another file by now, one that we serve ourselves: to open that would ask for it. O_PATH asks
 * nobody and holds on to what was found, so that it is still the same when it is opened.
 */
static int open_if_file_of(int directory, const char *name, const struct vma *vma)
{
	_close_ int found = openat(directory, name, O_PATH | O_CLOEXEC);
	char path[40];

	if (found < 0 || !is_file_of(found, "", vma))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", found);
	return open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static int open_descriptor_of(pid_t pid, const struct vma *vma)
{
	struct dirent *entry;
	DIR *directory;
	char path[64];
	int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	directory = opendir(path);
	if (!directory)
		return -1;
	while (fd < 0 && (entry = readdir(directory))) {
		if (is_file_of(dirfd(directory), entry->d_name, vma))
			fd = open_if_file_of(dirfd(directory), entry->d_name, vma);
	}
	closedir(directory);
	return fd;
}

/* What no descriptor is left of, or never was: shared anonymous memory. Only a privileged process may. */
static int open_mapping_of(pid_t pid, const struct vma *vma)
{
	char path[80];

	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", pid, (unsigned long long)vma->start,
		 (unsigned long long)vma->last + 1);
	return open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

int shared_open_file(pid_t pid, const struct vma *vma)
{
	int fd = open_descriptor_of(pid, vma);

	return fd >= 0 ? fd : open_mapping_of(pid, vma);
}

void *shared_map_file(int fd, u64 offset, u64 size, bool writable)
{
	void *memory = mmap(NULL, size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, (off_t)offset);

	if (memory == MAP_FAILED)
		return NULL;
	guard_install();
	return memory;
}

void *shared_map(struct client *client, u64 address, u64 size)
{
	_close_ int fd = -1;
	struct vma vma;

	/* Read-only mappings are rare and not worth a second kind of direct memory. */
	if (!vma_find(client, address, &vma) || !vma.shared || !vma.writable || !vma.inode || vma.start > address ||
	    vma.last < address + size - 1)
		return NULL;
	fd = open_descriptor_of(client->pid, &vma);
	if (fd < 0)
		return NULL;
	return shared_map_file(fd, vma.file_offset + (address - vma.start), size, true);
}

void *shared_map_again(void *memory, u64 size)
{
	/* mremap(2): of nothing of a shared mapping it makes a second one. */
	void *again = mremap(memory, 0, size, MREMAP_MAYMOVE);

	return again == MAP_FAILED ? NULL : again;
}

void shared_unmap(void *memory, u64 size)
{
	if (memory)
		munmap(memory, size);
}
