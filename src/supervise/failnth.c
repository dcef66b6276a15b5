/* SPDX-License-Identifier: MIT */
#include "supervise/failnth.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/os.h"

/* A thread that is to fail. */
struct failure {
	pid_t thread;
	unsigned left;	       /* steps; never 0 */
	struct list_link link; /* failures->armed */
};

struct fail_file {
	struct file file;
	struct failures *failures; /* borrowed */
	pid_t thread;
};

void failures_init(struct failures *failures)
{
	mutex_init(&failures->lock, RANK_WATCH);
	list_init(&failures->armed);
}

static void failure_free(struct failure *failure)
{
	list_remove(&failure->link);
	free(failure);
}

void failures_fini(struct failures *failures)
{
	struct failure *failure, *following;

	list_for_each_safe(failure, following, &failures->armed, link)
		failure_free(failure);
	mutex_fini(&failures->lock);
}

static struct failure *find(struct failures *failures, pid_t thread)
{
	struct failure *failure;

	list_for_each(failure, &failures->armed, link)
		if (failure->thread == thread)
			return failure;
	return NULL;
}

static unsigned left_of(struct failures *failures, pid_t thread)
{
	const struct failure *failure;
	unsigned left;

	mutex_lock(&failures->lock);
	failure = find(failures, thread);
	left = failure ? failure->left : 0;
	mutex_unlock(&failures->lock);
	return left;
}

/* Numbers of threads are used again: who has ended takes no count along. */
static void drop_ended(struct failures *failures)
{
	struct failure *failure, *following;
	char path[32];

	list_for_each_safe(failure, following, &failures->armed, link) {
		snprintf(path, sizeof(path), "/proc/%d", failure->thread);
		if (access(path, F_OK) < 0)
			failure_free(failure);
	}
}

static int set_left(struct failures *failures, pid_t thread, unsigned left, struct why *why)
{
	struct failure *fresh = alloc_new(struct failure, why), *failure;

	if (!fresh)
		return -why->err;
	mutex_lock(&failures->lock);
	drop_ended(failures);
	failure = find(failures, thread);
	if (failure)
		failure_free(failure);
	if (left) {
		fresh->thread = thread;
		fresh->left = left;
		list_append(&failures->armed, &fresh->link);
		fresh = NULL;
	}
	mutex_unlock(&failures->lock);
	free(fresh);
	return 0;
}

void failures_enter(struct failures *failures, pid_t thread)
{
	if (failures)
		fail_nth_arm(left_of(failures, thread));
}

void failures_leave(struct failures *failures, pid_t thread)
{
	struct failure *failure;
	unsigned left;

	if (!failures)
		return;
	left = fail_nth_left();
	fail_nth_arm(0);
	mutex_lock(&failures->lock);
	failure = find(failures, thread);
	if (failure && left)
		failure->left = left;
	else if (failure)
		failure_free(failure);
	mutex_unlock(&failures->lock);
}

static s64 fail_read(struct file *file, u64 offset, void *buffer, size_t size, struct why *why)
{
	struct fail_file *self = container_of(file, struct fail_file, file);
	char text[16];
	size_t length = (size_t)snprintf(text, sizeof(text), "%u\n", left_of(self->failures, self->thread));

	if (offset >= length)
		return 0;
	size = min_u64(size, length - offset);
	memcpy(buffer, text + offset, size);
	return (s64)size;
}

/* The whole number in one write, at whatever offset, perhaps with a newline. */
static s64 fail_write(struct file *file, u64 offset, const void *buffer, size_t size, struct why *why)
{
	struct fail_file *self = container_of(file, struct fail_file, file);
	char text[16], *rest;
	unsigned long left;
	int err;

	memcpy(text, buffer, min_u64(size, sizeof(text) - 1));
	text[min_u64(size, sizeof(text) - 1)] = '\0';
	left = strtoul(text, &rest, 0);
	if (text[0] < '0' || text[0] > '9' || size >= sizeof(text) || left > INT32_MAX ||
	    strspn(rest, "\n") != strlen(rest))
		return refuse(why, ATTRIBUTE_VALUE, "%s takes the number of steps until one fails", file->path);
	err = set_left(self->failures, self->thread, (unsigned)left, why);
	return err < 0 ? err : (s64)size;
}

static void fail_release(struct file *file)
{
	os_close(file->memfd);
	free(container_of(file, struct fail_file, file));
}

int failures_file(struct failures *failures, pid_t process, pid_t thread, struct file **ret, struct why *why)
{
	static const struct file_ops ops = {
		.kind = "fail-nth", .text = true, .read = fail_read, .write = fail_write, .release = fail_release};
	struct fail_file *self = alloc_new(struct fail_file, why);
	char path[48];

	if (!self)
		return -why->err;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/fail-nth", process, thread);
	file_init(&self->file, &ops, path, S_IFREG | 0644, 0);
	self->failures = failures;
	self->thread = thread;
	*ret = &self->file;
	return 0;
}
