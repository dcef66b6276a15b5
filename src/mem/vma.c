/* SPDX-License-Identifier: MIT */
/*
 * Asks the host for the mapping at an address: with the PROCMAP_QUERY ioctl (Linux 6.11), which finds it in logarithmic
 * time, or by reading the text of /proc/PID/maps where the kernel is older. The descriptor stays open in the client, so
 * that it keeps meaning the address space it was opened for, whatever the process becomes.
 */
#include "mem/vma.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The kernel's ABI (include/uapi/linux/fs.h since 6.11), which Debian 12's headers do not have. */
struct procmap_query {
	u64 size, query_flags, query_address;
	u64 vma_start, vma_beyond, vma_flags, vma_page_size, vma_offset, inode;
	u32 device_major, device_minor, name_size, build_id_size;
	u64 name_address, build_id_address;
};
_Static_assert(sizeof(struct procmap_query) == 104, "the kernel checks the size");

#define PROCMAP_QUERY _IOWR('f', 17, struct procmap_query)

enum {
	QUERY_READABLE = 0x01,
	QUERY_WRITABLE = 0x02,
	QUERY_EXECUTABLE = 0x04,
	QUERY_SHARED = 0x08,
	QUERY_COVERING_OR_NEXT = 0x10,
};

int vma_open_by(struct client *client, pid_t thread)
{
	char path[32];

	if (client->maps_fd < 0) {
		snprintf(path, sizeof(path), "/proc/%d/maps", thread);
		client->maps_fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return client->maps_fd;
}

int vma_open(struct client *client)
{
	return vma_open_by(client, client->pid);
}

/* 1 found, 0 nothing there, -1 the kernel does not know the request. */
static int query(int fd, u64 address, bool named, struct vma *ret)
{
	struct procmap_query query = {
		.size = sizeof(query),
		.query_flags = QUERY_COVERING_OR_NEXT,
		.query_address = address,
		.name_size = named ? sizeof(ret->name) : 0,
		.name_address = named ? (uintptr_t)ret->name : 0,
	};

	ret->name[0] = '\0';
	if (ioctl(fd, PROCMAP_QUERY, &query) < 0) {
		if (errno != ENAMETOOLONG)
			return errno == ENOENT || errno == ESRCH ? 0 : -1;
		/* A path longer than we print: the rest of the answer is worth having. */
		query.name_size = 0;
		query.name_address = 0;
		if (ioctl(fd, PROCMAP_QUERY, &query) < 0)
			return 0;
	}
	ret->start = query.vma_start;
	ret->last = query.vma_beyond - 1;
	ret->readable = query.vma_flags & QUERY_READABLE;
	ret->writable = query.vma_flags & QUERY_WRITABLE;
	ret->executable = query.vma_flags & QUERY_EXECUTABLE;
	ret->shared = query.vma_flags & QUERY_SHARED;
	ret->file_offset = query.vma_offset;
	ret->inode = query.inode;
	ret->device_major = query.device_major;
	ret->device_minor = query.device_minor;
	ret->page_size = query.vma_page_size;
	return 1;
}

static bool parse_line(const char *line, struct vma *ret)
{
	unsigned long long start, beyond, offset, inode;
	char permissions[5];
	int name_at = 0;

	if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu %n", &start, &beyond, permissions, &offset, &ret->device_major,
		   &ret->device_minor, &inode, &name_at) < 7)
		return false;
	ret->start = start;
	ret->last = beyond - 1;
	ret->readable = permissions[0] == 'r';
	ret->writable = permissions[1] == 'w';
	ret->executable = permissions[2] == 'x';
	ret->shared = permissions[3] == 's';
	ret->file_offset = offset;
	ret->inode = inode;
	snprintf(ret->name, sizeof(ret->name), "%s", line + name_at);
	ret->name[strcspn(ret->name, "\n")] = '\0';
	ret->page_size = strncmp(ret->name, "/anon_hugepage", 14) == 0 ? 2 << 20 : 0;
	return true;
}

bool vma_find_in_text(struct client *client, u64 address, struct vma *ret)
{
	int fd = vma_open(client), copy = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	FILE *maps = copy >= 0 ? fdopen(copy, "r") : NULL;
	_memory_ char *line = NULL;
	bool found = false;
	size_t size = 0;

	if (!maps) {
		close_descriptor(&copy);
		return false;
	}
	/* The position is shared with the descriptor that stays open. */
	rewind(maps);
	while (!found && getline(&line, &size, maps) > 0)
		found = parse_line(line, ret) && ret->last >= address;
	fclose(maps);
	return found;
}

bool vma_find(struct client *client, u64 address, struct vma *ret)
{
	int fd = vma_open(client);
	int found;

	if (fd < 0)
		return false;
	found = query(fd, address, true, ret);
	return found < 0 ? vma_find_in_text(client, address, ret) : found;
}

/* ---- without stdio, for handlers of signals ---- */

static const char *take_number(const char *at, unsigned base, u64 *ret)
{
	for (*ret = 0;; at++) {
		unsigned digit = base;

		if (*at >= '0' && *at <= '9')
			digit = (unsigned)(*at - '0');
		else if (*at >= 'a')
			digit = (unsigned)(*at - 'a') + 10;
		if (digit >= base)
			return at;
		*ret = *ret * base + digit;
	}
}

/* "7f1c2000-7f1c3000 rw-s 100000000000 00:01 2051 /memfd:x", without the name. */
static void take_line(const char *at, struct vma *ret)
{
	u64 beyond, major, minor;

	at = take_number(at, 16, &ret->start);
	at = take_number(at + 1, 16, &beyond);
	ret->last = beyond - 1;
	ret->readable = at[1] == 'r';
	ret->writable = at[2] == 'w';
	ret->executable = at[3] == 'x';
	ret->shared = at[4] == 's';
	at = take_number(at + 6, 16, &ret->file_offset);
	at = take_number(at + 1, 16, &major);
	at = take_number(at + 1, 16, &minor);
	take_number(at + 1, 10, &ret->inode);
	ret->device_major = (u32)major;
	ret->device_minor = (u32)minor;
	ret->page_size = 0;
	ret->name[0] = '\0';
}

struct wanted {
	bool (*is)(const struct wanted *wanted, const struct vma *vma);
	u64 start, last;
};

/* The first that is wanted. Of each line only so much is kept as has numbers in it. */
static bool scan_text(struct client *client, const struct wanted *wanted, struct vma *ret)
{
	char text[1024], line[128];
	size_t used = 0;
	off_t offset = 0;
	ssize_t got;

	while ((got = pread(vma_open(client), text, sizeof(text), offset)) > 0) {
		offset += got;
		for (ssize_t i = 0; i < got; i++) {
			if (used < sizeof(line) - 1)
				line[used++] = text[i];
			if (text[i] != '\n')
				continue;
			line[used] = '\0';
			used = 0;
			take_line(line, ret);
			if (wanted->is(wanted, ret))
				return true;
		}
	}
	return false;
}

static bool reaches(const struct wanted *wanted, const struct vma *vma)
{
	return vma->last >= wanted->start;
}

bool vma_at_in_text(struct client *client, u64 address, struct vma *ret)
{
	return scan_text(client, &(struct wanted){reaches, address, address}, ret) && ret->start <= address;
}

static bool begins_at_offset(const struct wanted *wanted, const struct vma *vma)
{
	return vma->shared && vma->inode && vma->file_offset >= wanted->start && vma->file_offset <= wanted->last;
}

bool vma_has_offsets(struct client *client, u64 start, u64 last)
{
	struct vma vma;

	return scan_text(client, &(struct wanted){begins_at_offset, start, last}, &vma);
}

bool vma_at(struct client *client, u64 address, struct vma *ret)
{
	int fd = vma_open(client);
	int found = fd < 0 ? 0 : query(fd, address, false, ret);

	return found < 0 ? vma_at_in_text(client, address, ret) : found && ret->start <= address;
}

/* ---- who maps a file ---- */

/* Bytes of a file that somebody looks for. */
struct file_range {
	u32 device_major, device_minor;
	u64 inode, start, last;
	u64 ours; /* where we map it ourselves; 0: nowhere */
};

static bool vma_shows(const struct vma *vma, const struct file_range *range, bool self)
{
	return vma->inode == range->inode && vma->device_major == range->device_major &&
	       vma->device_minor == range->device_minor && !(self && vma->start == range->ours) &&
	       ranges_overlap(vma->file_offset, vma->file_offset + (vma->last - vma->start), range->start, range->last);
}

static bool process_maps(const char *pid, const struct file_range *range)
{
	bool self = strtol(pid, NULL, 10) == getpid(), found = false;
	_memory_ char *line = NULL;
	size_t size = 0;
	struct vma vma;
	char path[32];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return false;
	while (!found && getline(&line, &size, maps) > 0)
		found = parse_line(line, &vma) && vma_shows(&vma, range, self);
	fclose(maps);
	return found;
}

bool memfd_is_mapped(int memfd, u64 offset, u64 size, const void *ours)
{
	struct file_range range = {.start = offset, .last = offset + size - 1, .ours = (uintptr_t)ours};
	DIR *processes = opendir("/proc");
	const struct dirent *entry;
	bool found = false;
	struct stat stat;

	/* Without /proc nobody could tell; whoever frees the bytes then leaves a mapping of nothing behind. */
	if (!processes)
		return false;
	if (fstat(memfd, &stat) == 0) {
		range.device_major = gnu_dev_major(stat.st_dev);
		range.device_minor = gnu_dev_minor(stat.st_dev);
		range.inode = stat.st_ino;
		while (!found && (entry = readdir(processes)))
			found = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
				process_maps(entry->d_name, &range);
	}
	closedir(processes);
	return found;
}
