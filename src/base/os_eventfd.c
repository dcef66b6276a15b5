/* SPDX-License-Identifier: MIT */
/*
 * Eventfds that a program has as well. It may fill the counter, or take the count, between any look of ours and the
 * call that follows, and O_NONBLOCK is of the description that we share with it: so neither write(2) nor read(2) will
 * do. A program that is quick would stop us with the machine's locks held.
 *
 * A read has a flag for one call, RWF_NOWAIT. A write has none. But a request of AIO may name an eventfd, which is then
 * signalled when it completes, by eventfd_signal(): that adds one unless the counter is at its very top, and never
 * waits. It is what VFIO calls, too (drivers/vfio/pci/vfio_pci_intrs.c), so a program sees the same counts. The request
 * is the least that completes: a read of no bytes from the eventfd itself, which is too short for it.
 *
 * A host may have no AIO (CONFIG_AIO, a sandbox, fs.aio-max-nr), nor has a child of fork() that of its parent: there a
 * thread without locks writes, and is the one that waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/os.h"

#define REQUESTS 64

/* One for the process; the host ends it with us. 0: there is none. */
static pthread_once_t context_once = PTHREAD_ONCE_INIT;
static aio_context_t context;

static void make_context(void)
{
	if (syscall(SYS_io_setup, REQUESTS, &context) < 0)
		context = 0;
}

/* Completed requests keep their places until somebody takes the answers. */
static void drop_answers(void)
{
	struct io_event answers[REQUESTS];
	struct timespec none = {0};

	syscall(SYS_io_getevents, context, 0L, (long)REQUESTS, answers, &none);
}

static bool submit(int fd)
{
	struct iocb request = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (u32)fd,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (u32)fd,
	};
	struct iocb *requests[] = {&request};

	return syscall(SYS_io_submit, context, 1L, requests) == 1;
}

static bool signal_by_request(int fd)
{
	pthread_once(&context_once, make_context);
	if (!context)
		return false;
	/* Other threads may be quicker than we to take the places that we have made free. */
	for (unsigned attempts = 0; attempts < 16; attempts++) {
		if (submit(fd))
			return true;
		if (errno != EAGAIN)
			return false;
		drop_answers();
	}
	return false;
}

static void write_one(int fd)
{
	u64 one = 1;
	ssize_t written;

	do
		written = write(fd, &one, sizeof(one));
	while (written < 0 && errno == EINTR);
}

static void *write_and_close(void *argument)
{
	int fd = (int)(intptr_t)argument;

	write_one(fd);
	close(fd);
	return NULL;
}

/* Without a thread or a descriptor for it, we write ourselves: an event of our own must not be lost. */
static void signal_by_thread(int fd)
{
	struct pollfd room = {.fd = fd, .events = POLLOUT};
	struct why ignored = WHY_INIT;
	pthread_t thread;
	int copy;

	/* Full: its event is pending anyway, and one thread that waits is enough. */
	if (poll(&room, 1, 0) != 1)
		return;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy >= 0 && os_thread_start(&thread, write_and_close, (void *)(intptr_t)copy, &ignored) == 0) {
		pthread_detach(thread);
		return;
	}
	write_one(fd);
	os_close(copy);
}

#if defined(__SANITIZE_THREAD__)
#define RACES_SOUGHT true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RACES_SOUGHT true
#endif
#endif
#ifndef RACES_SOUGHT
#define RACES_SOUGHT false
#endif

/*
 * Who reads the event sees what came before it. The thread sanitizer knows that of write(2), but not of a request; this
 * one is too short to write anything.
 */
static void tell_sanitizer(int fd)
{
	ssize_t refused = RACES_SOUGHT ? write(fd, "", 0) : 0;

	(void)refused;
}

void os_eventfd_signal(int fd)
{
	tell_sanitizer(fd);
	if (!signal_by_request(fd))
		signal_by_thread(fd);
}

bool os_eventfd_consume(int fd)
{
	struct pollfd event = {.fd = fd, .events = POLLIN};
	u64 count;
	struct iovec to = {&count, sizeof(count)};
	ssize_t got = preadv2(fd, &to, 1, -1, RWF_NOWAIT);

	if (got >= 0 || errno != EOPNOTSUPP)
		return got == sizeof(count);
	/* Before Linux 5.8 there was nothing better. */
	return poll(&event, 1, 0) == 1 && read(fd, &count, sizeof(count)) == sizeof(count);
}
