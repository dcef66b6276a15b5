/* SPDX-License-Identifier: MIT */
/*
 * The processes of the room that have asked us for something: one client per address space, and their descriptors.
 * Used by the thread that answers notifications, only.
 */
#ifndef SUPERVISE_TRACEE_H
#define SUPERVISE_TRACEE_H

#include <sys/stat.h>

#include "base/list.h"
#include "machine/machine.h"
#include "supervise/serve.h"

struct failures;

struct tracees {
	struct machine *machine;   /* borrowed */
	struct file_server *files; /* borrowed: for those that are read and waited for */
	struct failures *failures; /* borrowed; NULL: fail-nth is not there */
	int listener;		   /* borrowed: the seccomp descriptor */
	int epoll;		   /* borrowed: watches the processes' end */
	struct list all;
};

struct tracee {
	struct client client; /* first: freed with its last reference, which a mapping may hold */
	struct tracees *tracees;
	struct list_link link; /* tracees->all; unlinked when the process has ended */
	int pidfd;	       /* owned */
	u64 notification;      /* of the request under way, for ADDFD */
};

void tracees_init(struct tracees *tracees, struct machine *machine, struct file_server *files, int listener, int epoll);
void tracees_fini(struct tracees *tracees); /* all end */

/* The process of a thread, which the host is asked for. */
pid_t process_of_thread(pid_t thread);

/* Is fd of a thread open, and none of our files? For any thread: asks only the host, and no file system. */
bool descriptor_is_foreign(pid_t thread, int fd);

/* The client of a thread, made at its first request. */
int tracee_of(struct tracees *tracees, pid_t thread, u64 notification, struct tracee **ret, struct why *why);

/* The client that a thread's process is, if it has asked for something yet; NULL. */
struct client *tracee_client(const struct tracees *tracees, pid_t thread);

/* The thread is about to call execve(): its address space may end. */
void tracee_execs(struct tracees *tracees, pid_t thread);

/* The process of this pidfd has ended (from epoll). */
void tracee_ended(struct tracees *tracees, int pidfd);

/*
 * What descriptor fd of a thread is: the file of ours, or NULL. The host's own answer goes to *ret_status when that is
 * not NULL and a file was found.
 */
struct file *tracee_file(struct tracees *tracees, pid_t thread, int fd);

/* The same; -1 when it is not open at all. *ret_status is of its memory file if there is one. */
int tracee_open_file(struct tracees *tracees, pid_t thread, int fd, struct file **ret, struct stat *ret_status);

/* The same as a copy that stays valid whatever is closed meanwhile: how the file looks, and in *ret_status
 * (unless NULL) what the host says of its memory file. false when it is not ours. */
bool tracee_look(struct tracees *tracees, pid_t thread, int fd, struct file *ret, struct stat *ret_status);

#endif
