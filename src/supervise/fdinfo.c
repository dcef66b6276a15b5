/* SPDX-License-Identifier: MIT */
#include "supervise/fdinfo.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/os.h"

#define HOST_TEXT 1024 /* "pos", "flags", "mnt_id", "ino", perhaps locks */

struct fdinfo_file {
	struct file file; /* its path is the host's */
	char *lines;	  /* owned */
};

/* 0: there is no such descriptor any more. */
static size_t read_host(const char *path, char text[static HOST_TEXT])
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, text, HOST_TEXT);

	return got > 0 ? (size_t)got : 0;
}

static s64 fdinfo_read(struct file *file, u64 offset, void *buffer, size_t size, struct why *why)
{
	const struct fdinfo_file *self = container_of(file, struct fdinfo_file, file);
	char text[HOST_TEXT + 512];
	size_t length = read_host(file->path, text);

	if (!length)
		return refuse(why, PROCESS_GONE, "%s: the descriptor, or its process, is gone", file->path);
	length += (size_t)snprintf(text + length, sizeof(text) - length, "%s", self->lines);
	if (offset >= length)
		return 0;
	size = min_u64(size, length - offset);
	memcpy(buffer, text + offset, size);
	return (s64)size;
}

static void fdinfo_release(struct file *file)
{
	struct fdinfo_file *self = container_of(file, struct fdinfo_file, file);

	os_close(file->memfd);
	free(self->lines);
	free(self);
}

int fdinfo_file(pid_t process, int fd, const char *lines, struct file **ret, struct why *why)
{
	static const struct file_ops ops = {
		.kind = "fdinfo of a descriptor", .text = true, .read = fdinfo_read, .release = fdinfo_release};
	struct fdinfo_file *self = alloc_new(struct fdinfo_file, why);
	char path[sizeof(self->file.path)];

	if (!self)
		return -why->err;
	self->lines = alloc_string(lines, why);
	if (!self->lines) {
		free(self);
		return -why->err;
	}
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", process, fd);
	file_init(&self->file, &ops, path, S_IFREG | 0444, 0);
	*ret = &self->file;
	return 0;
}
