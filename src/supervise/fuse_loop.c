/* SPDX-License-Identifier: MIT */
/*
 * All threads do the same: read a request from the host, serve it, read the next. The host wakes one of those that
 * read. Who has read one makes sure that somebody else still listens before it serves, with a new thread if need be;
 * when there are enough threads already, it leaves the request to one that will be done with another, and listens on.
 *
 * A thread is cancelled where it waits for the host, and nowhere else.
 */
#define FUSE_USE_VERSION 35
#include "supervise/fuse_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/os.h"
#include "supervise/tracee.h"

/* Of LeakSanitizer, where it is linked: what this thread allocates in between is no leak. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

/* Those that wait for a program to close (an unbind does) are few; the rest is for who waits for machine.lock. */
enum { MOST_THREADS = 256 };

struct fuse_thread {
	struct fuse_loop *loop;
	pthread_t thread;
	struct fuse_buf buffer; /* its memory is owned */
	struct list_link link;	/* loop->threads */
	pid_t serves;		/* the thread whose request it is at; 0: none. Under loop->lock */
};

/* A request that found all threads busy. */
struct left {
	struct fuse_buf buffer; /* its memory is owned */
	struct list_link link;	/* loop->left */
};

struct fuse_loop {
	struct fuse_session *session; /* borrowed */
	struct mutex lock;	      /* all below; a leaf */
	struct list threads;	      /* struct fuse_thread, owned, ended ones too */
	struct list left;	      /* struct left, owned, the oldest first */
	unsigned count;		      /* of threads */
	unsigned listening;	      /* of those: read from the host, or will at once */
	bool stopping;
	int nowhere; /* owned: /dev/null */
};

static void *run(void *argument);

/* Under loop->lock. The new thread listens. */
static int add_thread(struct fuse_loop *loop, struct why *why)
{
	struct fuse_thread *thread = alloc_new(struct fuse_thread, why);
	int err;

	if (!thread)
		return -why->err;
	thread->loop = loop;
	err = os_thread_start(&thread->thread, run, thread, why);
	if (err < 0) {
		free(thread);
		return err;
	}
	list_append(&loop->threads, &thread->link);
	loop->count++;
	loop->listening++;
	return 0;
}

static void answer(const struct fuse_loop *loop, const struct fuse_in_header *header, int error)
{
	struct fuse_out_header reply = {.len = sizeof(reply), .error = -error, .unique = header->unique};

	/* Whoever asked may have been killed: then nobody waits. */
	if (write(fuse_session_fd(loop->session), &reply, sizeof(reply)) < 0)
		return;
}

/*
 * Only read(2) has an owner. What has none is a fault on a private mapping, and the one who faults may be the
 * supervisor, under machine.lock, reading an argument of the program's. sysfs has no such mappings.
 */
static bool is_fault(const struct fuse_buf *buffer)
{
	const struct fuse_in_header *header = buffer->mem;
	const struct fuse_read_in *read = (const void *)(header + 1);

	return buffer->size >= sizeof(*header) + sizeof(*read) && header->opcode == FUSE_READ &&
	       !(read->read_flags & FUSE_READ_LOCKOWNER);
}

/* Decided from the host's own words, not in libfuse, which holds locks on paths while others wait. */
static bool is_done_at_once(const struct fuse_loop *loop, const struct fuse_buf *buffer)
{
	const struct fuse_in_header *header = buffer->mem;

	/* Nothing here can be interrupted; libfuse would keep those that come late, and lose them at the end. */
	if (header->opcode == FUSE_INTERRUPT)
		return true;
	if (!is_fault(buffer))
		return false;
	answer(loop, header, EIO);
	return true;
}

/* Under loop->lock: for whoever is done first. */
static void leave(struct fuse_loop *loop, struct fuse_buf *buffer)
{
	struct why why;
	struct left *left = alloc_new(struct left, &why);

	if (!left) {
		answer(loop, buffer->mem, ENOMEM);
		return;
	}
	left->buffer = *buffer;
	*buffer = (struct fuse_buf){.mem = NULL};
	list_append(&loop->left, &left->link);
}

static pid_t asker(const struct fuse_buf *buffer)
{
	return (pid_t)((const struct fuse_in_header *)buffer->mem)->pid;
}

/*
 * May this thread serve what it has read? If nobody else listens, nor can, it must not; the request is left, then, to
 * one that is busy. If none is, there is nothing to wait for.
 */
static bool may_serve(struct fuse_thread *self)
{
	struct fuse_loop *loop = self->loop;
	struct why why;
	bool may;

	mutex_lock(&loop->lock);
	may = loop->listening > 1 || loop->stopping || (loop->count < MOST_THREADS && add_thread(loop, &why) == 0) ||
	      loop->listening == loop->count;
	if (may) {
		loop->listening--;
		self->serves = asker(&self->buffer);
	} else {
		leave(loop, &self->buffer);
	}
	mutex_unlock(&loop->lock);
	return may;
}

/*
 * What libfuse has for an open directory is in the host's keeping until the host tells of the close. It does so on its
 * own time, and not at all when the mount goes first: to LeakSanitizer that would be a leak.
 */
static void serve(struct fuse_loop *loop, const struct fuse_buf *buffer)
{
	const struct fuse_in_header *header = buffer->mem;
	bool kept_by_host = header->opcode == FUSE_OPENDIR && __lsan_disable && __lsan_enable;

	if (kept_by_host)
		__lsan_disable();
	fuse_session_process_buf(loop->session, buffer);
	if (kept_by_host)
		__lsan_enable();
}

static void serve_left(struct fuse_loop *loop, struct left *left)
{
	serve(loop, &left->buffer);
	free(left->buffer.mem);
	free(left);
}

/* Back from serving: what was left meanwhile comes first. */
static void listen_again(struct fuse_thread *self)
{
	struct fuse_loop *loop = self->loop;

	mutex_lock(&loop->lock);
	while (!list_empty(&loop->left)) {
		struct left *left = list_first(&loop->left, struct left, link);

		list_remove(&left->link);
		self->serves = asker(&left->buffer);
		mutex_unlock(&loop->lock);
		serve_left(loop, left);
		mutex_lock(&loop->lock);
	}
	self->serves = 0;
	loop->listening++;
	mutex_unlock(&loop->lock);
}

bool fuse_loop_serves(struct fuse_loop *loop, pid_t process)
{
	const struct fuse_thread *thread;
	bool serves = false;

	mutex_lock(&loop->lock);
	list_for_each(thread, &loop->threads, link)
		serves |= thread->serves && process_of_thread(thread->serves) == process;
	mutex_unlock(&loop->lock);
	return serves;
}

/* false: the mount has gone. */
static bool receive(struct fuse_thread *self)
{
	int got;

	do {
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		got = fuse_session_receive_buf(self->loop->session, &self->buffer);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
		if (got < 0 && got != -EINTR && got != -EAGAIN)
			os_sleep_ns(1000000); /* no memory, most likely; somebody must go on listening */
	} while (got < 0);
	return got > 0;
}

static void *run(void *argument)
{
	struct fuse_thread *self = argument;
	struct fuse_loop *loop = self->loop;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	while (receive(self)) {
		if (is_done_at_once(loop, &self->buffer) || !may_serve(self))
			continue;
		serve(loop, &self->buffer);
		listen_again(self);
	}
	return NULL;
}

static void free_loop(struct fuse_loop *loop)
{
	struct left *left, *next_left;

	/* The host answers these when the session goes. */
	list_for_each_safe(left, next_left, &loop->left, link) {
		free(left->buffer.mem);
		free(left);
	}
	os_close(loop->nowhere);
	mutex_fini(&loop->lock);
	free(loop);
}

int fuse_loop_start(struct fuse_session *session, struct fuse_loop **ret, struct why *why)
{
	struct fuse_loop *loop = alloc_new(struct fuse_loop, why);
	int err;

	if (!loop)
		return -why->err;
	loop->session = session;
	mutex_init(&loop->lock, RANK_WATCH);
	list_init(&loop->threads);
	list_init(&loop->left);
	loop->nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	mutex_lock(&loop->lock);
	err = loop->nowhere < 0 ? refuse_host(why, errno, "open(/dev/null)") : add_thread(loop, why);
	mutex_unlock(&loop->lock);
	if (err < 0)
		free_loop(loop);
	else
		*ret = loop;
	return err;
}

/* No new request is read, nor a thread made: the list of threads stays as it is. */
static void stop_listening(struct fuse_loop *loop)
{
	const struct fuse_thread *thread;

	mutex_lock(&loop->lock);
	loop->stopping = true;
	mutex_unlock(&loop->lock);
	list_for_each(thread, &loop->threads, link)
		pthread_cancel(thread->thread);
}

/* The host ends a mount that nobody has open any more. Late answers must not go to who gets the number next. */
void fuse_loop_abort(struct fuse_loop *loop)
{
	stop_listening(loop);
	dup3(loop->nowhere, fuse_session_fd(loop->session), O_CLOEXEC);
}

void fuse_loop_stop(struct fuse_loop *loop)
{
	struct fuse_thread *thread, *next;

	if (!loop)
		return;
	stop_listening(loop);
	list_for_each_safe(thread, next, &loop->threads, link) {
		pthread_join(thread->thread, NULL);
		list_remove(&thread->link);
		free(thread->buffer.mem);
		free(thread);
	}
	free_loop(loop);
}
