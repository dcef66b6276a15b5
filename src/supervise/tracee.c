/* SPDX-License-Identifier: MIT */
#include "supervise/tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/os.h"
#include "machine/files.h"

void tracees_init(struct tracees *tracees, struct machine *machine, struct file_server *files, int listener, int epoll)
{
	*tracees = (struct tracees){.machine = machine, .files = files, .listener = listener, .epoll = epoll};
	list_init(&tracees->all);
}

static struct tracee *tracee_from(struct client *client)
{
	return container_of(client, struct tracee, client);
}

/* The address space has ended: what it mapped faults from now on, and the next request is another client's. */
static void end_tracee(struct tracee *tracee)
{
	struct tracees *tracees = tracee->tracees;

	client_ends(&tracee->client);
	list_remove(&tracee->link);
	epoll_ctl(tracees->epoll, EPOLL_CTL_DEL, tracee->pidfd, NULL);
	close(tracee->pidfd);
	tracee->pidfd = -1;
	mutex_lock(&tracees->machine->lock);
	client_put(&tracee->client);
	mutex_unlock(&tracees->machine->lock);
}

void tracees_fini(struct tracees *tracees)
{
	struct tracee *tracee, *following;

	list_for_each_safe(tracee, following, &tracees->all, link)
		end_tracee(tracee);
}

static struct tracee *tracee_by_pidfd(struct tracees *tracees, int pidfd)
{
	struct tracee *tracee;

	list_for_each(tracee, &tracees->all, link)
		if (tracee->pidfd == pidfd)
			return tracee;
	return NULL;
}

void tracee_ended(struct tracees *tracees, int pidfd)
{
	struct tracee *tracee = tracee_by_pidfd(tracees, pidfd);

	if (tracee)
		end_tracee(tracee);
}

/* Is this a thread of the process? Asks the kernel: thread ids are used again. */
static bool has_thread(pid_t process, pid_t thread)
{
	return thread == process || syscall(SYS_tgkill, process, thread, 0) == 0;
}

static struct tracee *tracee_by_thread(const struct tracees *tracees, pid_t thread)
{
	struct tracee *tracee;

	list_for_each(tracee, &tracees->all, link)
		if (has_thread(tracee->client.pid, thread))
			return tracee;
	return NULL;
}

pid_t process_of_thread(pid_t thread)
{
	char text[OS_STATUS_TEXT];
	pid_t process;

	os_task_status(thread, text);
	process = (pid_t)os_status_number(text, "Tgid", 10);
	return process ? process : thread;
}

static bool begins(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* 1 when fd may be one of our files, by its name, 0 when it is something else, -1 with errno when it is not open. */
static int name_descriptor(pid_t thread, int fd, char path[static 48])
{
	char name[sizeof(SERVED_PREFIX)];
	ssize_t length;

	snprintf(path, 48, "/proc/%d/fd/%d", thread, fd);
	length = readlink(path, name, sizeof(name) - 1);
	if (length < 0)
		return -1;
	name[length] = '\0';
	return begins(name, "/memfd:") || begins(name, SERVED_PREFIX);
}

bool descriptor_is_foreign(pid_t thread, int fd)
{
	char path[48];

	return name_descriptor(thread, fd, path) == 0;
}

static void stat_from(const struct statx *from, struct stat *ret)
{
	*ret = (struct stat){
		.st_dev = makedev(from->stx_dev_major, from->stx_dev_minor),
		.st_ino = from->stx_ino,
		.st_mode = from->stx_mode,
		.st_nlink = from->stx_nlink,
		.st_uid = from->stx_uid,
		.st_gid = from->stx_gid,
		.st_rdev = makedev(from->stx_rdev_major, from->stx_rdev_minor),
		.st_size = (off_t)from->stx_size,
		.st_blksize = (blksize_t)from->stx_blksize,
		.st_blocks = (blkcnt_t)from->stx_blocks,
		.st_atim = {from->stx_atime.tv_sec, from->stx_atime.tv_nsec},
		.st_mtim = {from->stx_mtime.tv_sec, from->stx_mtime.tv_nsec},
		.st_ctim = {from->stx_ctime.tv_sec, from->stx_ctime.tv_nsec},
	};
}

/*
 * The same, and 1 is what the host says of it. By the time we ask, the number may mean a file of the machine's tree,
 * whose server waits for the lock that we may have, or one that a program of the room serves. AT_STATX_DONT_SYNC: no
 * file system is asked, the host says what it knows; of memory files that is all.
 */
static int stat_descriptor(pid_t thread, int fd, struct stat *ret)
{
	char path[48];
	struct statx status;
	int found = name_descriptor(thread, fd, path);

	if (found > 0 && statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &status) < 0)
		return -1;
	if (found > 0)
		stat_from(&status, ret);
	return found;
}

int tracee_open_file(struct tracees *tracees, pid_t thread, int fd, struct file **ret, struct stat *ret_status)
{
	int found = fd < 0 ? -1 : stat_descriptor(thread, fd, ret_status);

	*ret = found > 0 ? machine_find_file(tracees->machine, ret_status->st_dev, ret_status->st_ino) : NULL;
	return found < 0 ? -1 : 0;
}

struct file *tracee_file(struct tracees *tracees, pid_t thread, int fd)
{
	struct stat status;
	struct file *file;

	tracee_open_file(tracees, thread, fd, &file, &status);
	return file;
}

bool tracee_look(struct tracees *tracees, pid_t thread, int fd, struct file *ret, struct stat *ret_status)
{
	struct machine *machine = tracees->machine;
	struct stat status;
	struct file *file;

	if (fd < 0 || stat_descriptor(thread, fd, &status) <= 0)
		return false;
	mutex_lock(&machine->lock);
	file = files_find(machine->files, status.st_dev, status.st_ino);
	if (file)
		*ret = *file;
	mutex_unlock(&machine->lock);
	if (ret_status)
		*ret_status = status;
	return file != NULL;
}

/* client_ops, under machine.lock */

static int find_file(struct client *client, int fd, struct file **ret, struct why *why)
{
	struct tracee *tracee = tracee_from(client);
	struct stat status;
	int found = fd < 0 ? -1 : stat_descriptor(client->pid, fd, &status);

	if (found < 0)
		return refuse(why, FD_BAD, "descriptor %d of %s is not open", fd, client->name);
	*ret = found ? files_find(tracee->tracees->machine->files, status.st_dev, status.st_ino) : NULL;
	return 0;
}

static int install_file(struct client *client, struct file *file, bool cloexec, struct why *why)
{
	struct tracee *tracee = tracee_from(client);
	struct files *files = tracee->tracees->machine->files;
	struct seccomp_notif_addfd request = {
		.id = tracee->notification,
		.newfd_flags = cloexec ? O_CLOEXEC : 0,
	};
	int given, err, fd = 0;

	if (file_is_served(file) && file->memfd < 0)
		fd = file_server_add(tracee->tracees->files, file, why);
	if (fd == 0)
		fd = files_describe(files, file, why);
	if (fd < 0)
		return fd;
	request.srcfd = (u32)fd;
	given = ioctl(tracee->tracees->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &request);
	err = errno;
	close(fd);
	if (given >= 0)
		return given;
	files_undescribe(files, file);
	return refuse_host(why, err, "giving %s a descriptor for %s", client->name, file->path);
}

static int get_descriptor(struct client *client, int fd, struct why *why)
{
	struct tracee *tracee = tracee_from(client);
	int copy = (int)syscall(SYS_pidfd_getfd, tracee->pidfd, fd, 0);

	if (copy < 0 && errno == EBADF)
		return refuse(why, FD_BAD, "descriptor %d of %s is not open", fd, client->name);
	return copy < 0 ? refuse_host(why, errno, "pidfd_getfd(%s, %d)", client->name, fd) : copy;
}

static struct file *file_at(struct client *client, u64 host_device, u64 inode)
{
	return files_find(tracee_from(client)->tracees->machine->files, host_device, inode);
}

static int get_eventfd(struct client *client, int fd, struct why *why)
{
	int copy = get_descriptor(client, fd, why);

	if (copy < 0 || os_is_eventfd(copy))
		return copy;
	close(copy);
	return refuse(why, EVENTFD_BAD, "descriptor %d of %s is no eventfd", fd, client->name);
}

static void free_tracee(struct client *client)
{
	free(tracee_from(client));
}

static const struct client_ops tracee_ops = {
	.find_file = find_file,
	.install_file = install_file,
	.get_eventfd = get_eventfd,
	.get_descriptor = get_descriptor,
	.file_at = file_at,
	.free = free_tracee,
};

static int tracee_new(struct tracees *tracees, pid_t process, struct tracee **ret, struct why *why)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct tracee *tracee;
	int pidfd = (int)syscall(SYS_pidfd_open, process, 0);

	if (pidfd < 0)
		return refuse_host(why, errno, "pidfd_open(%d)", process);
	tracee = alloc_new(struct tracee, why);
	if (!tracee) {
		close(pidfd);
		return -why->err;
	}
	client_init(&tracee->client, &tracee_ops, process);
	tracee->tracees = tracees;
	tracee->pidfd = pidfd;
	event.data.fd = pidfd;
	epoll_ctl(tracees->epoll, EPOLL_CTL_ADD, pidfd, &event);
	list_prepend(&tracees->all, &tracee->link);
	*ret = tracee;
	return 0;
}

/*
 * Has an execve() that was announced replaced the address space? Only that of a client with mappings matters, and such
 * a one has been held since the first of them; of any other nothing is lost when a new client takes its place.
 */
static bool has_new_space(struct tracee *tracee)
{
	char byte;

	if (!atomic_load_explicit(&tracee->client.execed, memory_order_acquire))
		return false;
	return tracee->client.memory_fd < 0 || pread(tracee->client.memory_fd, &byte, 1, 0) == 0;
}

int tracee_of(struct tracees *tracees, pid_t thread, u64 notification, struct tracee **ret, struct why *why)
{
	struct tracee *tracee = tracee_by_thread(tracees, thread);
	int err;

	if (tracee && has_new_space(tracee)) {
		end_tracee(tracee);
		tracee = NULL;
	}
	if (!tracee) {
		err = tracee_new(tracees, process_of_thread(thread), &tracee, why);
		if (err < 0)
			return err;
	}
	tracee->notification = notification;
	tracee->client.thread = thread;
	*ret = tracee;
	return 0;
}

struct client *tracee_client(const struct tracees *tracees, pid_t thread)
{
	struct tracee *tracee = tracee_by_thread(tracees, thread);

	return tracee ? &tracee->client : NULL;
}

void tracee_execs(struct tracees *tracees, pid_t thread)
{
	struct tracee *tracee = tracee_by_thread(tracees, thread);

	if (tracee)
		client_execs(&tracee->client);
}
