/* SPDX-License-Identifier: MIT */
#include "supervise/spawn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise/filter.h"
#include "supervise/room.h"

/* One message: a descriptor, or (without one) the reason there is none. */
static bool send_message(int socket, int fd, const struct why *why)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec payload = {(void *)(uintptr_t)why, sizeof(*why)};
	struct msghdr message = {.msg_iov = &payload, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *header;

		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(*why);
}

int spawn_receive(const struct spawned *spawned, struct why *why)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec payload = {why, sizeof(*why)};
	struct msghdr message = {
		.msg_iov = &payload, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *header;
	int fd;

	if (recvmsg(spawned->socket, &message, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*why))
		return refuse(why, ROOM_UNAVAILABLE, "process %d ended while it prepared the room", spawned->pid);
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return -why->err;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

void spawn_continue(const struct spawned *spawned)
{
	char byte = 0;

	(void)!write(spawned->socket, &byte, 1);
}

/* The supervisor has died if it does not take it: nobody is left to say so to. */
static void send_descriptor(int socket, int fd, const struct why *why)
{
	if (!send_message(socket, fd, why))
		_exit(EXIT_NOT_EXECUTABLE);
	close(fd);
}

/* What the supervisor serves from now on. */
static int send_mounts(int socket, struct why *why)
{
	int root, fd = room_mount_tree(why);

	if (fd < 0)
		return fd;
	send_descriptor(socket, fd, why);
	fd = room_mount_served(&root, why);
	if (fd < 0)
		return fd;
	send_descriptor(socket, fd, why);
	send_descriptor(socket, root, why);
	return 0;
}

static int prepare(struct node *root, int socket, struct why *why)
{
	char byte;
	int err;

	err = room_unshare(why);
	if (err == 0)
		err = send_mounts(socket, why);
	if (err < 0)
		return err;
	if (read(socket, &byte, 1) != 1)
		_exit(EXIT_NOT_EXECUTABLE);
	err = room_furnish(root, why);
	if (err < 0)
		return err;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return refuse_host(why, errno, "prctl(PR_SET_NO_NEW_PRIVS)");
	return filter_install(why);
}

/* In the child; never returns. */
static void run_child(struct node *root, char *const *argv, const struct inherited *inherited, int socket)
{
	struct why why = WHY_INIT;
	int listener = prepare(root, socket, &why);
	int err;

	if (!send_message(socket, listener, &why) || listener < 0)
		_exit(EXIT_NOT_EXECUTABLE);
	close(listener);
	close(socket);
	inherited_restore(inherited);
	execvp(argv[0], argv);
	err = errno;
	fprintf(stderr, "isolde: %s: %s\n", argv[0], strerror(err));
	_exit(err == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

int spawn(struct node *root, char *const *argv, const struct inherited *inherited, struct spawned *ret, struct why *why)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return refuse_host(why, errno, "socketpair");
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		close(pair[0]);
		close(pair[1]);
		return refuse_host(why, errno, "fork");
	}
	if (pid == 0) {
		close(pair[0]);
		run_child(root, argv, inherited, pair[1]);
	}
	close(pair[1]);
	*ret = (struct spawned){.pid = pid, .socket = pair[0]};
	return 0;
}
