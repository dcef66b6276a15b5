/* SPDX-License-Identifier: MIT */
/*
 * Nothing is told the stand-in in time, since that would cost each call: it looks every few milliseconds whether the
 * other thread is still at the same work as before. When there has been none for a while it rests, and is woken by the
 * next; so it costs a busy room little, and an idle one nothing.
 *
 * Both receive under the lock, and only what poll(2) says is there: the host's receiving would wait.
 */
#include "supervise/stand_in.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/os.h"

enum { LOOK_MS = 4, LOOKS_UNTIL_REST = 250 };

struct kept {
	struct seccomp_notif request;
	struct list_link link;
};

struct stand_in {
	int listener; /* borrowed */
	int events;   /* owned: an eventfd */
	stand_in_judge *lets_go;
	pthread_t thread;
	atomic_uint turn; /* of the other thread: odd while it works */
	atomic_bool resting;
	struct mutex lock; /* all below, and who receives; a leaf */
	pthread_cond_t woken;
	struct list kept; /* struct kept, owned, the oldest first */
	bool helped;	  /* received since the other thread last did, which may have been promised that call */
	bool stopping;
};

static bool is_readable(int fd)
{
	struct pollfd event = {.fd = fd, .events = POLLIN};

	return poll(&event, 1, 0) > 0 && event.revents & POLLIN;
}

static void answer(const struct stand_in *stand_in, const struct seccomp_notif *request, s32 error)
{
	struct seccomp_notif_resp response = {
		.id = request->id, .error = error, .flags = error ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	/* The caller may have been killed meanwhile: nobody waits then. */
	ioctl(stand_in->listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

static void keep(struct stand_in *stand_in, const struct seccomp_notif *request)
{
	struct why why;
	struct kept *kept = alloc_new(struct kept, &why);

	if (!kept) {
		answer(stand_in, request, -ENOMEM);
		return;
	}
	kept->request = *request;
	mutex_lock(&stand_in->lock);
	list_append(&stand_in->kept, &kept->link);
	mutex_unlock(&stand_in->lock);
	os_eventfd_signal(stand_in->events);
}

/* Under the lock, which is released meanwhile. */
static void help(struct stand_in *stand_in)
{
	struct seccomp_notif request = {.id = 0};

	if (ioctl(stand_in->listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
		return;
	stand_in->helped = true;
	mutex_unlock(&stand_in->lock);
	if (stand_in->lets_go(stand_in->listener, &request))
		answer(stand_in, &request, 0);
	else
		keep(stand_in, &request);
	mutex_lock(&stand_in->lock);
}

/* Under the lock. Whoever begins a turn after this look sees that we rest. */
static void rest(struct stand_in *stand_in, unsigned seen)
{
	atomic_store(&stand_in->resting, true);
	if (atomic_load(&stand_in->turn) != seen)
		atomic_store(&stand_in->resting, false);
	while (atomic_load(&stand_in->resting) && !stand_in->stopping)
		mutex_wait(&stand_in->lock, &stand_in->woken);
}

static void *stand(void *argument)
{
	struct stand_in *stand_in = argument;
	unsigned seen = 0, looks = 0;

	mutex_lock(&stand_in->lock);
	while (!stand_in->stopping) {
		unsigned turn = atomic_load(&stand_in->turn);

		looks = turn == seen ? looks + 1 : 0;
		seen = turn;
		if (looks && turn & 1 && is_readable(stand_in->listener))
			help(stand_in);
		else if (looks >= LOOKS_UNTIL_REST && !(turn & 1))
			rest(stand_in, turn);
		else
			mutex_wait_ms(&stand_in->lock, &stand_in->woken, LOOK_MS);
	}
	mutex_unlock(&stand_in->lock);
	return NULL;
}

static void free_stand_in(struct stand_in *stand_in)
{
	struct kept *kept, *next;

	list_for_each_safe(kept, next, &stand_in->kept, link)
		free(kept);
	os_close(stand_in->events);
	pthread_cond_destroy(&stand_in->woken);
	mutex_fini(&stand_in->lock);
	free(stand_in);
}

int stand_in_start(int listener, stand_in_judge *lets_go, struct stand_in **ret, struct why *why)
{
	struct stand_in *stand_in = alloc_new(struct stand_in, why);
	int err;

	if (!stand_in)
		return -why->err;
	stand_in->listener = listener;
	stand_in->lets_go = lets_go;
	mutex_init(&stand_in->lock, RANK_WATCH);
	condition_init(&stand_in->woken);
	list_init(&stand_in->kept);
	stand_in->events = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = stand_in->events < 0 ? refuse_host(why, errno, "eventfd")
				   : os_thread_start(&stand_in->thread, stand, stand_in, why);
	if (err < 0)
		free_stand_in(stand_in);
	else
		*ret = stand_in;
	return err;
}

static void wake(struct stand_in *stand_in, bool stopping)
{
	mutex_lock(&stand_in->lock);
	atomic_store(&stand_in->resting, false);
	stand_in->stopping = stopping;
	pthread_cond_signal(&stand_in->woken);
	mutex_unlock(&stand_in->lock);
}

void stand_in_stop(struct stand_in *stand_in)
{
	if (!stand_in)
		return;
	wake(stand_in, true);
	pthread_join(stand_in->thread, NULL);
	free_stand_in(stand_in);
}

void stand_in_busy(struct stand_in *stand_in)
{
	atomic_fetch_add(&stand_in->turn, 1);
	if (atomic_load(&stand_in->resting))
		wake(stand_in, false);
}

void stand_in_idle(struct stand_in *stand_in)
{
	atomic_fetch_add(&stand_in->turn, 1);
}

int stand_in_receive(struct stand_in *stand_in, struct seccomp_notif *ret)
{
	int got = 0;

	mutex_lock(&stand_in->lock);
	if (!stand_in->helped || is_readable(stand_in->listener))
		got = ioctl(stand_in->listener, SECCOMP_IOCTL_NOTIF_RECV, ret) < 0 ? -1 : 1;
	stand_in->helped = false;
	mutex_unlock(&stand_in->lock);
	return got;
}

int stand_in_events(const struct stand_in *stand_in)
{
	return stand_in->events;
}

bool stand_in_kept(struct stand_in *stand_in, struct seccomp_notif *ret)
{
	struct kept *kept = NULL;

	mutex_lock(&stand_in->lock);
	if (list_empty(&stand_in->kept)) {
		os_eventfd_consume(stand_in->events);
	} else {
		kept = list_first(&stand_in->kept, struct kept, link);
		list_remove(&kept->link);
		*ret = kept->request;
	}
	mutex_unlock(&stand_in->lock);
	free(kept);
	return kept != NULL;
}
