/* SPDX-License-Identifier: MIT */
#include "supervise/inspector.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/describe.h"
#include "base/os.h"
#include "supervise/telling.h"

#define PEERS	   8
#define PATIENCE_S 3 /* for the question, and again for the answer to be taken */

/* A slot is free when fd is -1. */
struct peer {
	int fd; /* owned */
	u64 deadline_ns;
	char question[64];
	size_t asked;
	char *answer; /* owned; NULL: the question is not whole yet */
	size_t size, sent;
};

struct inspector {
	struct tracees *tracees; /* borrowed */
	char *const *argv;	 /* borrowed */
	pid_t program;
	char *path;		  /* owned */
	int listener, timer, all; /* owned; all: an epoll of the others */
	struct peer peers[PEERS];
};

/* ---- what is told ---- */

static void tell_clients(const struct tracees *tracees, struct describer *describer)
{
	const struct tracee *tracee;

	describe_array(describer, "clients");
	list_for_each(tracee, &tracees->all, link) {
		describe_object(describer, NULL);
		describe_number(describer, "pid", (u64)tracee->client.pid);
		describe_text(describer, "name", tracee->client.name);
		describe_number(describer, "pinned_bytes", tracee->client.pinned_bytes);
		describe_number(describer, "locked_bytes", tracee->client.locked_bytes);
		describe_end(describer);
	}
	describe_end(describer);
}

static char *tell(const struct inspector *inspector, u64 mappings)
{
	struct telling telling;
	struct describer *describer = &telling.describer;

	telling_init(&telling, mappings);
	describe_number(describer, "format", 1);
	describe_text(describer, "isolde", ISOLDE_VERSION);
	describe_number(describer, "pid", (u64)getpid());
	describe_object(describer, "program");
	describe_number(describer, "pid", (u64)inspector->program);
	describe_array(describer, "command");
	for (char *const *word = inspector->argv; *word; word++)
		describe_text(describer, NULL, *word);
	describe_end(describer);
	describe_end(describer);
	mutex_lock(&inspector->tracees->machine->lock);
	tell_clients(inspector->tracees, describer);
	mutex_unlock(&inspector->tracees->machine->lock);
	machine_inspect(inspector->tracees->machine, describer);
	return telling_finish(&telling);
}

/* ---- peers ---- */

static void drop(struct peer *peer)
{
	/* Closed, it leaves the epoll by itself. */
	os_close(peer->fd);
	free(peer->answer);
	*peer = (struct peer){.fd = -1};
}

static void wait_for(const struct inspector *inspector, struct peer *peer, u32 events)
{
	struct epoll_event event = {.events = events, .data.ptr = peer};

	peer->deadline_ns = os_clock_ns() + PATIENCE_S * 1000000000ull;
	epoll_ctl(inspector->all, EPOLL_CTL_MOD, peer->fd, &event);
}

static void send_more(struct peer *peer)
{
	ssize_t sent = send(peer->fd, peer->answer + peer->sent, peer->size - peer->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent > 0)
		peer->sent += (size_t)sent;
	if ((sent < 0 && errno != EAGAIN && errno != EINTR) || peer->sent == peer->size)
		drop(peer);
}

static void answer(const struct inspector *inspector, struct peer *peer)
{
	unsigned mappings;
	int length = -1;

	if (sscanf(peer->question, INSPECT_ASK "%n", &mappings, &length) != 1 || peer->question[length] != '\n') {
		drop(peer);
		return;
	}
	peer->answer = tell(inspector, min_u64(mappings, INSPECT_MAPPINGS));
	if (!peer->answer) {
		drop(peer);
		return;
	}
	peer->size = strlen(peer->answer);
	wait_for(inspector, peer, EPOLLOUT);
	send_more(peer);
}

static void receive_more(const struct inspector *inspector, struct peer *peer)
{
	size_t room = sizeof(peer->question) - 1 - peer->asked;
	ssize_t got = recv(peer->fd, peer->question + peer->asked, room, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0)
		peer->asked += (size_t)got;
	if (memchr(peer->question, '\n', peer->asked))
		answer(inspector, peer);
	else if (got <= 0 || peer->asked == sizeof(peer->question) - 1)
		drop(peer);
}

/* The socket's mode says the same, where the file system keeps it. */
static bool may_ask(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == geteuid() || peer.uid == 0);
}

static struct peer *free_slot(struct inspector *inspector)
{
	for (unsigned i = 0; i < PEERS; i++)
		if (inspector->peers[i].fd < 0)
			return &inspector->peers[i];
	return NULL;
}

static void arm_timer(const struct inspector *inspector)
{
	struct itimerspec spec = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}};
	bool busy = false;

	for (unsigned i = 0; i < PEERS; i++)
		busy |= inspector->peers[i].fd >= 0;
	if (!busy)
		spec = (struct itimerspec){{0}, {0}};
	timerfd_settime(inspector->timer, 0, &spec, NULL);
}

static void accept_peer(struct inspector *inspector)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fd = accept4(inspector->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct peer *peer = free_slot(inspector);

	if (fd < 0)
		return;
	event.data.ptr = peer;
	if (!peer || !may_ask(fd) || epoll_ctl(inspector->all, EPOLL_CTL_ADD, fd, &event) < 0) {
		close(fd);
		return;
	}
	peer->fd = fd;
	peer->deadline_ns = os_clock_ns() + PATIENCE_S * 1000000000ull;
}

static void drop_late(struct inspector *inspector)
{
	u64 now = os_clock_ns(), ticks;

	/* What it says is in the clock. */
	if (read(inspector->timer, &ticks, sizeof(ticks)) < 0)
		return;
	for (unsigned i = 0; i < PEERS; i++)
		if (inspector->peers[i].fd >= 0 && now >= inspector->peers[i].deadline_ns)
			drop(&inspector->peers[i]);
}

static void on_peer(struct inspector *inspector, struct peer *peer)
{
	if (peer->fd < 0)
		return;
	if (peer->answer)
		send_more(peer);
	else
		receive_more(inspector, peer);
}

int inspector_events(const struct inspector *inspector)
{
	return inspector->all;
}

void inspector_handle(struct inspector *inspector)
{
	struct epoll_event events[PEERS + 2];
	int count = epoll_wait(inspector->all, events, ARRAY_SIZE(events), 0);

	for (int i = 0; i < count; i++) {
		if (events[i].data.ptr == &inspector->listener)
			accept_peer(inspector);
		else if (events[i].data.ptr == &inspector->timer)
			drop_late(inspector);
		else
			on_peer(inspector, events[i].data.ptr);
	}
	arm_timer(inspector);
}

/* ---- start and end ---- */

/* Through the directory's descriptor: a name may be longer than a socket's address. */
static int bind_at(int fd, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *name = strrchr(path, '/') + 1;
	char directory[4096];
	int parent, err;

	snprintf(directory, sizeof(directory), "%.*s", (int)(name - path), path);
	parent = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%.60s", parent, name);
	unlinkat(parent, name, 0);
	/* The mode of the socket's name is that of the socket. */
	err = fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	close(parent);
	return err;
}

static int open_listener(struct inspector *inspector, const char *path, struct why *why)
{
	int err;

	inspector->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (inspector->listener < 0)
		return refuse_host(why, errno, "socket");
	err = bind_at(inspector->listener, path);
	if (err < 0)
		return refuse_host(why, -err, "bind(%.150s)", path);
	inspector->path = strdup(path);
	if (!inspector->path || listen(inspector->listener, PEERS) < 0)
		return refuse_host(why, errno, "listen(%.150s)", path);
	return 0;
}

static int watch(const struct inspector *inspector, const int *fd, struct why *why)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = (void *)(uintptr_t)fd};

	return epoll_ctl(inspector->all, EPOLL_CTL_ADD, *fd, &event) < 0 ? refuse_host(why, errno, "epoll_ctl") : 0;
}

static int open_all(struct inspector *inspector, const char *path, struct why *why)
{
	int err = open_listener(inspector, path, why);

	if (err < 0)
		return err;
	inspector->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	inspector->all = epoll_create1(EPOLL_CLOEXEC);
	if (inspector->timer < 0 || inspector->all < 0)
		return refuse_host(why, errno, "timerfd_create, epoll_create1");
	err = watch(inspector, &inspector->listener, why);
	return err < 0 ? err : watch(inspector, &inspector->timer, why);
}

int inspector_start(const char *path, struct tracees *tracees, char *const *argv, pid_t program, struct inspector **ret,
		    struct why *why)
{
	struct inspector *inspector = alloc_new(struct inspector, why);
	int err;

	if (!inspector)
		return -why->err;
	inspector->tracees = tracees;
	inspector->argv = argv;
	inspector->program = program;
	inspector->listener = inspector->timer = inspector->all = -1;
	for (unsigned i = 0; i < PEERS; i++)
		inspector->peers[i].fd = -1;
	err = open_all(inspector, path, why);
	if (err < 0)
		inspector_stop(inspector);
	else
		*ret = inspector;
	return err;
}

void inspector_stop(struct inspector *inspector)
{
	if (!inspector)
		return;
	for (unsigned i = 0; i < PEERS; i++)
		drop(&inspector->peers[i]);
	if (inspector->path)
		unlink(inspector->path);
	os_close(inspector->listener);
	os_close(inspector->timer);
	os_close(inspector->all);
	free(inspector->path);
	free(inspector);
}
