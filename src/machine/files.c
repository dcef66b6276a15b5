/* SPDX-License-Identifier: MIT */
/*
 * When does a file die? With its last description, and a description dies with its last descriptor and its last mapping
 * in whatever process. The host's kernel tells us by IN_CLOSE on the memory file. An event says "look again", no more:
 *
 *  - equal events that nobody has read yet are merged, so one event may mean several deaths;
 *  - of too many that nobody has read yet the host drops the rest, and only says so;
 *  - a program can open /proc/self/fd/N and close that again;
 *  - a description can be made while an event is queued.
 *
 * What decides is a lock: each description we hand out carries an OFD lock on a byte of its own, and the file is dead
 * when none is left. The host drops the lock just after it queues the event, so a lock seen at that instant may be a
 * dead one's. Once close(2) has returned it is gone: looking again at each request keeps the order of a program's own
 * closes and requests, and for whoever waits, a timer makes us look again: often for a second, and now and then for a
 * minute, since on a busy host the one who closes may have lost its processor just there.
 */
#include "machine/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include "base/alloc.h"
#include "base/os.h"

/* The locks live far above every region; a memory file is never that large. */
#define LOCK_BASE (1ll << 62)

#define RECHECK_NS    (2 * 1000000)
#define RECHECK_TIMES 500
#define SLOW_NS	      500000000
#define SLOW_TIMES    120

struct files {
	struct list files;
	int inotify, timer; /* owned */
	int epoll;	    /* owned: readable when either is */
	unsigned rechecks;  /* ticks left; 0: the timer is off */
};

static int watch_epoll(int epoll, int fd, struct why *why)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (!fallible())
		return refuse_host(why, ENOMEM, "epoll_ctl");
	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? refuse_host(why, errno, "epoll_ctl") : 0;
}

static int open_descriptors(struct files *files, struct why *why)
{
	int ret;

	files->inotify = fallible() ? inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : (errno = EMFILE, -1);
	if (files->inotify < 0)
		return refuse_host(why, errno, "inotify_init1 (see /proc/sys/fs/inotify/max_user_instances)");
	files->timer = fallible() ? timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK) : (errno = EMFILE, -1);
	if (files->timer < 0)
		return refuse_host(why, errno, "timerfd_create");
	files->epoll = fallible() ? epoll_create1(EPOLL_CLOEXEC) : (errno = EMFILE, -1);
	if (files->epoll < 0)
		return refuse_host(why, errno, "epoll_create1");
	ret = watch_epoll(files->epoll, files->inotify, why);
	return ret < 0 ? ret : watch_epoll(files->epoll, files->timer, why);
}

int files_new(struct files **ret, struct why *why)
{
	struct files *files = alloc_new(struct files, why);
	int err;

	if (!files)
		return -why->err;
	list_init(&files->files);
	files->inotify = files->timer = files->epoll = -1;
	err = open_descriptors(files, why);
	if (err < 0) {
		files_free(files);
		return err;
	}
	*ret = files;
	return 0;
}

void files_free(struct files *files)
{
	if (!files)
		return;
	assert(list_empty(&files->files));
	os_close(files->epoll);
	os_close(files->timer);
	os_close(files->inotify);
	free(files);
}

/* Makes the file one of ours: it has a memory file, an identity and a watch. */
static int files_enter(struct files *files, struct file *file, struct why *why)
{
	char path[32];
	struct stat stat;

	if (file->memfd < 0) {
		int memfd = os_memfd(file->ops->kind, 0, why);

		if (memfd < 0)
			return memfd;
		file->memfd = memfd;
	}
	if (fstat(file->memfd, &stat) < 0)
		return refuse_host(why, errno, "fstat of the memory file of %s", file->path);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->memfd);
	file->watch = fallible() ? inotify_add_watch(files->inotify, path, IN_CLOSE) : (errno = ENOSPC, -1);
	if (file->watch < 0)
		return refuse_host(why, errno, "inotify_add_watch (see /proc/sys/fs/inotify/max_user_watches)");
	file->host_device = stat.st_dev;
	file->inode = stat.st_ino;
	file->descriptions = 0;
	file->close_seen = false;
	list_append(&files->files, &file->link);
	return 0;
}

/* Events still queued for the watch find nobody any more; the host does not use its number again. */
static void files_leave(struct files *files, struct file *file)
{
	inotify_rm_watch(files->inotify, file->watch);
	file->watch = -1;
	list_remove(&file->link);
}

static int describe_once(struct file *file, struct why *why)
{
	struct flock lock = {.l_type = F_RDLCK, .l_start = LOCK_BASE + (off_t)file->descriptions, .l_len = 1};
	char path[32];
	int fd, err;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->memfd);
	fd = fallible() ? open(path, O_RDWR | O_CLOEXEC) : (errno = EMFILE, -1);
	if (fd < 0)
		return refuse_host(why, errno, "open(%s) for %s", path, file->path);
	if (fallible() && fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return fd;
	err = errno ? errno : ENOLCK;
	close(fd);
	return refuse_host(why, err, "lock of a description of %s", file->path);
}

int files_describe(struct files *files, struct file *file, struct why *why)
{
	bool entered = !list_linked(&file->link);
	int fd = entered ? files_enter(files, file, why) : 0;

	if (fd < 0)
		return fd;
	fd = describe_once(file, why);
	if (fd < 0 && entered)
		files_leave(files, file);
	if (fd >= 0)
		file->descriptions++;
	return fd;
}

/* With others out, the close of the one that was not given is an event like any other. */
void files_undescribe(struct files *files, struct file *file)
{
	if (file->descriptions == 1)
		files_leave(files, file);
}

struct file *files_find(const struct files *files, u64 host_device, u64 inode)
{
	struct file *file;

	list_for_each(file, &files->files, link)
		if (file->inode == inode && file->host_device == host_device)
			return file;
	return NULL;
}

bool files_has(const struct files *files, const struct file *wanted)
{
	const struct file *file;

	list_for_each(file, &files->files, link)
		if (file == wanted)
			return true;
	return false;
}

int files_events(const struct files *files)
{
	return files->epoll;
}

int files_events_add(struct files *files, int fd, struct why *why)
{
	return watch_epoll(files->epoll, fd, why);
}

static void set_timer(const struct files *files, long ns)
{
	struct itimerspec spec = {.it_interval = {.tv_nsec = ns}, .it_value = {.tv_nsec = ns}};

	timerfd_settime(files->timer, 0, &spec, NULL);
}

static bool holds_lock(const struct file *file)
{
	struct flock lock = {.l_type = F_WRLCK, .l_start = LOCK_BASE, .l_len = 0};

	return fcntl(file->memfd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static void files_release(struct files *files, struct file *file)
{
	files_leave(files, file);
	/* A thread of this process may wait for what another has closed. */
	file_wake(file);
	file->ops->release(file);
}

static struct file *files_watched(const struct files *files, int watch)
{
	struct file *file;

	list_for_each(file, &files->files, link)
		if (file->watch == watch)
			return file;
	return NULL;
}

static void look_again(struct files *files, struct file *file)
{
	file->close_seen = true;
	files->rechecks = RECHECK_TIMES + SLOW_TIMES;
	set_timer(files, RECHECK_NS);
}

/* The host's queue was full (fs.inotify.max_queued_events), and closes of any file may be among what it has dropped. */
static void handle_loss(struct files *files)
{
	struct file *file;

	list_for_each(file, &files->files, link)
		look_again(files, file);
}

static void handle_event(struct files *files, const struct inotify_event *event)
{
	struct file *file = files_watched(files, event->wd);

	if (event->mask & IN_Q_OVERFLOW)
		handle_loss(files);
	else if (event->mask & IN_CLOSE && file)
		look_again(files, file);
}

static void read_events(struct files *files)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t size;

	while ((size = read(files->inotify, buffer, sizeof(buffer))) > 0) {
		const struct inotify_event *event;

		for (ssize_t at = 0; at < size; at += (ssize_t)(sizeof(*event) + event->len)) {
			event = (const void *)(buffer + at);
			handle_event(files, event);
		}
	}
}

/* One that has ended is released. True when one of the others was closed somewhere, and lives. */
static bool release_ended(struct files *files)
{
	struct file *file, *following;
	bool doubt = false;

	list_for_each_safe(file, following, &files->files, link) {
		if (!file->close_seen)
			continue;
		if (holds_lock(file))
			doubt = true;
		else
			files_release(files, file);
	}
	return doubt;
}

/* What was closed is a copy, as far as anybody can tell. */
static void end_rechecks(struct files *files)
{
	struct file *file;

	files->rechecks = 0;
	list_for_each(file, &files->files, link)
		file->close_seen = false;
	set_timer(files, 0);
}

/* Often at first, at whatever request; then when the timer says so. */
static void recheck(struct files *files)
{
	u64 ticks;
	bool ticked = read(files->timer, &ticks, sizeof(ticks)) == sizeof(ticks);

	if (!files->rechecks || (!ticked && files->rechecks <= SLOW_TIMES))
		return;
	if (!release_ended(files) || (ticked && --files->rechecks == 0))
		end_rechecks(files);
	else if (ticked && files->rechecks == SLOW_TIMES)
		set_timer(files, SLOW_NS);
}

void files_drain(struct files *files)
{
	read_events(files);
	recheck(files);
}

/* Newest first: a device goes before the group it was got from, and a group before its container. */
void files_close_all(struct files *files)
{
	while (!list_empty(&files->files))
		files_release(files, list_entry(files->files.head.previous, struct file, link));
}

struct file *files_next(const struct files *files, const struct file *after)
{
	const struct list_link *next = after ? after->link.next : files->files.head.next;

	return next == &files->files.head ? NULL : list_entry(next, struct file, link);
}
