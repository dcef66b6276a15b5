/* SPDX-License-Identifier: MIT */
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
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

int os_resize(int fd, u64 size, struct why *why)
{
	if (ftruncate(fd, (off_t)size) < 0)
		return refuse_host(why, errno, "ftruncate to %llu bytes", (unsigned long long)size);
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

void os_eventfd_signal(int fd)
{
	struct pollfd room = {.fd = fd, .events = POLLOUT};
	u64 one = 1;
	ssize_t written;

	/* A full counter would block us for the sake of a program that does not read; its event is pending anyway. */
	if (poll(&room, 1, 0) != 1)
		return;
	do
		written = write(fd, &one, sizeof(one));
	while (written < 0 && errno == EINTR);
}

void os_close(int fd)
{
	if (fd >= 0)
		close(fd);
}
