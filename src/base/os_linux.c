/* SPDX-License-Identifier: MIT */
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"

static u64 clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

u64 os_clock_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

u64 os_wall_clock_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

void os_sleep_ns(u64 ns)
{
	struct timespec span = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};

	clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL);
}

void os_yield(void)
{
	sched_yield();
}

struct thread_start {
	void *(*body)(void *argument);
	void *argument;
};

static void *thread_main(void *context)
{
	struct thread_start start = *(struct thread_start *)context;

	free(context);
	/* The default lets every sleep run 50 us over, which is ten times the sleeps of a device that watches a page.
	 */
	prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
	return start.body(start.argument);
}

int os_thread_start(pthread_t *ret, void *(*body)(void *argument), void *argument, struct why *why)
{
	struct thread_start *start = alloc_new(struct thread_start, why);
	static const int faults[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE};
	sigset_t all, before;
	int err;

	if (!start)
		return -why->err;
	*start = (struct thread_start){.body = body, .argument = argument};
	sigfillset(&all);
	/* What the thread itself does wrong, or a file that became shorter: blocked, these would end us unheard. */
	for (unsigned i = 0; i < ARRAY_SIZE(faults); i++)
		sigdelset(&all, faults[i]);
	/* A new thread inherits the mask. An attribute would do it too, but newer ASan puts the creator's mask back. */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = fallible() ? pthread_create(ret, NULL, thread_main, start) : EAGAIN;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err) {
		free(start);
		return refuse_host(why, err, "pthread_create");
	}
	return 0;
}

unsigned os_online_cpus(void)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);

	return count > 0 ? (unsigned)count : 1;
}

int os_memfd(const char *name, u64 size, struct why *why)
{
	int fd = fallible() ? memfd_create(name, MFD_CLOEXEC) : (errno = ENFILE, -1);
	int err;

	if (fd < 0)
		return refuse_host(why, errno, "memfd_create(%s)", name);
	err = os_resize(fd, size, why);
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}

/*
 * Past a limit on the size of files (`ulimit -f`) a signal comes besides the error, and would end a program that embeds
 * us. 0 or a positive errno.
 */
static int resize_without_signal(int fd, u64 size)
{
	const struct timespec at_once = {.tv_sec = 0};
	sigset_t limit, before, pending;
	int err;

	sigemptyset(&limit);
	sigaddset(&limit, SIGXFSZ);
	pthread_sigmask(SIG_BLOCK, &limit, &before);
	sigpending(&pending);
	err = ftruncate(fd, (off_t)size) < 0 ? errno : 0;
	if (err == EFBIG && !sigismember(&pending, SIGXFSZ))
		sigtimedwait(&limit, NULL, &at_once);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

int os_resize(int fd, u64 size, struct why *why)
{
	int err = resize_without_signal(fd, size);

	if (err)
		return refuse_host(why, err, "ftruncate to %llu bytes%s", (unsigned long long)size,
				   err == EFBIG ? " (see `ulimit -f`)" : "");
	return 0;
}

void os_punch(int fd, u64 offset, u64 size)
{
	/* Cannot fail on a memory file: it only drops pages. */
	int ret = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);

	assert(ret == 0);
	(void)ret;
}

void *os_map_shared(int fd, u64 offset, u64 size, struct why *why)
{
	void *memory = fallible() ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset)
				  : (errno = ENOMEM, MAP_FAILED);

	if (memory == MAP_FAILED) {
		refuse_host(why, errno, "mmap of %llu bytes", (unsigned long long)size);
		return NULL;
	}
	return memory;
}

void os_unmap(void *memory, u64 size)
{
	if (memory)
		munmap(memory, size);
}

void os_random(void *bytes, size_t size)
{
	ssize_t got;

	assert(size <= 256); /* so many come whole, unless a signal is in the way before there are any */
	do
		got = getrandom(bytes, size, 0);
	while (got < 0 && errno == EINTR);
}

bool os_is_eventfd(int fd)
{
	static const char wanted[] = "anon_inode:[eventfd]";
	char path[40], name[32] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, name, sizeof(name) - 1) > 0 && strncmp(name, wanted, sizeof(wanted) - 1) == 0;
}

u64 os_eventfd_id(int fd)
{
	char path[40], text[512] = "";
	const char *line;
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return 0;
	if (read(info, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(info);
	line = strstr(text, "eventfd-id:");
	return line ? strtoull(line + strlen("eventfd-id:"), NULL, 10) + 1 : 0;
}

int os_poller(struct why *why)
{
	int poller = fallible() ? epoll_create1(EPOLL_CLOEXEC) : (errno = EMFILE, -1);

	return poller < 0 ? refuse_host(why, errno, "epoll_create1") : poller;
}

int os_poller_add(int poller, int fd, void *key, struct why *why)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = key};

	if (!fallible())
		return refuse_host(why, ENOMEM, "epoll_ctl");
	return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0 ? refuse_host(why, errno, "epoll_ctl") : 0;
}

void os_poller_remove(int poller, int fd)
{
	epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL);
}

void *os_poller_next(int poller)
{
	struct epoll_event event;

	return epoll_wait(poller, &event, 1, 0) == 1 ? event.data.ptr : NULL;
}

void os_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

static int file_open(const char *path, int how, struct os_file *ret)
{
	int fd = fallible() ? open(path, how | O_CLOEXEC | O_NOCTTY) : (errno = EMFILE, -1);
	struct stat status;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0) {
		int err = errno;

		close(fd);
		return -err;
	}
	*ret = (struct os_file){.regular = S_ISREG(status.st_mode), .size = (u64)status.st_size};
	return fd;
}

int os_file_open(const char *path, struct os_file *ret)
{
	return file_open(path, O_RDWR, ret);
}

int os_file_look(const char *path, struct os_file *ret)
{
	return file_open(path, O_RDONLY | O_NONBLOCK, ret);
}

bool os_file_read(int fd, u64 offset, void *buffer, u64 size)
{
	u8 *to = buffer;

	while (size) {
		ssize_t moved = pread(fd, to, size, (off_t)offset);

		if (moved < 0 && errno == EINTR)
			continue;
		if (moved <= 0)
			return false;
		to += moved;
		offset += (u64)moved;
		size -= (u64)moved;
	}
	return true;
}

bool os_file_write(int fd, u64 offset, const void *buffer, u64 size)
{
	const u8 *from = buffer;

	while (size) {
		ssize_t moved = pwrite(fd, from, size, (off_t)offset);

		if (moved < 0 && errno == EINTR)
			continue;
		if (moved <= 0)
			return false;
		from += moved;
		offset += (u64)moved;
		size -= (u64)moved;
	}
	return true;
}

bool os_file_flush(int fd)
{
	return fdatasync(fd) == 0;
}

bool os_file_punch(int fd, u64 offset, u64 size)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size) == 0;
}
