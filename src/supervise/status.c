/* SPDX-License-Identifier: MIT */
#include "supervise/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/os.h"

struct status_file {
	struct file file;      /* its path is the host's */
	struct client *client; /* ref */
	char text[STATUS_TEXT];
	size_t length;
};

/* Adds to the number of a line "NAME:\t      12 kB"; without such a line nothing happens. */
static void add_to_line(char text[static STATUS_TEXT], const char *name, u64 bytes)
{
	char *line = strstr(text, name), *number, *rest;
	char changed[32];
	size_t length, old;

	if (!line || !bytes)
		return;
	number = line + strlen(name);
	length = (size_t)snprintf(changed, sizeof(changed), "%8llu", strtoull(number, &rest, 10) + (bytes >> 10));
	old = (size_t)(rest - number);
	if (strlen(text) - old + length >= STATUS_TEXT)
		return;
	memmove(number + length, rest, strlen(rest) + 1);
	memcpy(number, changed, length);
}

size_t status_add(char text[static STATUS_TEXT], u64 pinned_bytes, u64 locked_bytes)
{
	add_to_line(text, "\nVmLck:\t", locked_bytes);
	add_to_line(text, "\nVmPin:\t", pinned_bytes);
	return strlen(text);
}

/* As the kernel's own: the text is made anew whenever it is read from its beginning. */
static int make_text(struct status_file *self, struct why *why)
{
	_close_ int fd = open(self->file.path, O_RDONLY | O_CLOEXEC);
	const struct client *client = self->client;
	size_t used = 0;
	ssize_t got = 0;

	while (fd >= 0 && used < STATUS_TEXT - 1 && (got = read(fd, self->text + used, STATUS_TEXT - 1 - used)) > 0)
		used += (size_t)got;
	if (fd < 0 || got < 0)
		return refuse(why, PROCESS_GONE, "%s: the process has ended", self->file.path);
	self->text[used] = '\0';
	/* After an execve() it has another address space, in which nothing is pinned. */
	if (atomic_load_explicit(&client->gone, memory_order_acquire))
		self->length = used;
	else
		self->length = status_add(self->text, client->pinned_bytes, client->locked_bytes);
	return 0;
}

static s64 status_read(struct file *file, u64 offset, void *buffer, size_t size, struct why *why)
{
	struct status_file *self = container_of(file, struct status_file, file);
	int err = offset == 0 ? make_text(self, why) : 0;

	if (err < 0)
		return err;
	if (offset >= self->length)
		return 0;
	size = min_u64(size, self->length - offset);
	memcpy(buffer, self->text + offset, size);
	return (s64)size;
}

static void status_release(struct file *file)
{
	struct status_file *self = container_of(file, struct status_file, file);

	os_close(file->memfd);
	client_put(self->client);
	free(self);
}

int status_file(struct client *client, const char *path, struct file **ret, struct why *why)
{
	static const struct file_ops ops = {
		.kind = "status of a process", .text = true, .read = status_read, .release = status_release};
	struct status_file *self = alloc_new(struct status_file, why);

	if (!self)
		return -why->err;
	file_init(&self->file, &ops, path, S_IFREG | 0444, 0);
	self->client = client_get(client);
	*ret = &self->file;
	return 0;
}
