/* SPDX-License-Identifier: MIT */
/*
 * Two threads. The listener answers what the host needs to know about names and descriptors, and never waits for
 * machine.lock: whoever holds that lock may be opening one of these files, and waits for the listener. Reads, writes
 * and polls go to the worker, which takes the lock for each.
 *
 * Lifetimes: the host asks about a descriptor only while it is open, so a job's handle and its `struct served` live,
 * and so does the file, which dies with its last description (machine/files.c) and before the host forgets the inode.
 * The inode is forgotten with its last descriptor, because names and link counts of 0 are not worth keeping.
 */
#define FUSE_USE_VERSION 35
#include "supervise/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/os.h"
#include "machine/files.h"
#include "supervise/failnth.h"
#include "supervise/stranger.h"

#define FOREVER 1e9 /* seconds that attributes stay true */

enum { BUFFER = 1 << 20 }; /* the host cuts reads and writes into pieces of at most this */

/* An inode. Its number in the host's requests is its address. */
struct served {
	struct file_watcher watcher;
	struct file_server *server;
	struct file *file;   /* borrowed; gone before the last handle is */
	u64 inode;	     /* also its name */
	u64 lookups;	     /* what the host will forget */
	struct list handles; /* struct handle, owned */
	struct list_link link;
};

/* An open file description. */
struct handle {
	struct served *served;
	struct fuse_pollhandle *poll; /* owned: whom to wake; NULL: nobody has waited yet */
	struct list_link link;	      /* served->handles */
};

enum job_kind { JOB_READ, JOB_WRITE, JOB_POLL };

struct job {
	enum job_kind kind;
	fuse_req_t request;
	struct handle *handle;
	pid_t pid;
	u64 offset;
	size_t size;
	unsigned events;
	struct list_link link; /* server->jobs */
	u8 data[];	       /* of a write */
};

struct file_server {
	struct machine *machine;   /* borrowed */
	struct failures *failures; /* borrowed; may be NULL */
	struct fuse_session *session;
	int root, stop; /* owned: the mount; an eventfd */
	pthread_t listener, worker;
	struct mutex lock; /* all below, handles and poll handles; a leaf but for the journal */
	pthread_cond_t work;
	struct list all;  /* struct served */
	struct list jobs; /* struct job, owned, the oldest first */
	u64 last_inode;
	bool stopping;
	u8 buffer[BUFFER]; /* the worker's */
};

static struct file_server *server_of(fuse_req_t request)
{
	return fuse_req_userdata(request);
}

static struct served *served_of(fuse_ino_t number)
{
	return (struct served *)(uintptr_t)number;
}

/* Wakes whoever waits, in the host's queues; they ask again. */
static void wake(struct file_watcher *watcher)
{
	struct served *served = container_of(watcher, struct served, watcher);
	struct handle *handle;

	mutex_lock(&served->server->lock);
	list_for_each(handle, &served->handles, link)
		if (handle->poll)
			fuse_lowlevel_notify_poll(handle->poll);
	mutex_unlock(&served->server->lock);
}

static void free_served(struct served *served)
{
	assert(list_empty(&served->handles));
	list_remove(&served->link);
	free(served);
}

/* ---- the listener ---- */

static void fill_status(fuse_ino_t number, struct stat *status)
{
	*status = (struct stat){.st_blksize = 4096};
	if (number == FUSE_ROOT_ID) {
		status->st_ino = FUSE_ROOT_ID;
		status->st_mode = S_IFDIR | 0700;
		status->st_nlink = 2;
	} else {
		status->st_ino = served_of(number)->inode;
		status->st_mode = S_IFREG | 0600;
	}
}

#define SERVED_NAME 32

static const char *served_name(u64 inode, char name[static SERVED_NAME])
{
	snprintf(name, SERVED_NAME, "%s%llu", SERVED_PREFIX + 1, (unsigned long long)inode);
	return name;
}

static struct served *find_name(struct file_server *server, const char *name)
{
	char own[SERVED_NAME];
	struct served *served;

	list_for_each(served, &server->all, link)
		if (strcmp(served_name(served->inode, own), name) == 0)
			return served;
	return NULL;
}

static void serve_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct file_server *server = server_of(request);
	struct fuse_entry_param entry = {.attr_timeout = FOREVER};
	struct served *served;

	mutex_lock(&server->lock);
	served = find_name(server, name);
	if (served)
		served->lookups++;
	mutex_unlock(&server->lock);
	if (!served) {
		fuse_reply_err(request, ENOENT);
		return;
	}
	entry.ino = (uintptr_t)served;
	fill_status(entry.ino, &entry.attr);
	fuse_reply_entry(request, &entry);
}

static void serve_forget(fuse_req_t request, fuse_ino_t number, u64 count)
{
	struct file_server *server = server_of(request);
	struct served *served = served_of(number);

	mutex_lock(&server->lock);
	served->lookups -= count;
	if (!served->lookups)
		free_served(served);
	mutex_unlock(&server->lock);
	fuse_reply_none(request);
}

static void serve_getattr(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
	struct stat status;

	fill_status(number, &status);
	fuse_reply_attr(request, &status, FOREVER);
}

static void serve_open(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
	struct file_server *server = server_of(request);
	struct served *served = served_of(number);
	struct why why;
	struct handle *handle = alloc_new(struct handle, &why);

	/* Each description must hold a lock of ours (machine/files.c): nobody else makes one, through /proc or so. */
	if (fuse_req_ctx(request)->pid != getpid()) {
		free(handle);
		fuse_reply_err(request, ENXIO);
		return;
	}
	if (!handle) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	handle->served = served;
	mutex_lock(&server->lock);
	list_append(&served->handles, &handle->link);
	mutex_unlock(&server->lock);
	info->fh = (uintptr_t)handle;
	info->direct_io = 1;
	info->nonseekable = served->watcher.woken != NULL;
	fuse_reply_open(request, info);
}

static void free_handle(struct handle *handle)
{
	list_remove(&handle->link);
	if (handle->poll)
		fuse_pollhandle_destroy(handle->poll);
	free(handle);
}

static void serve_release(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
	struct file_server *server = server_of(request);

	mutex_lock(&server->lock);
	free_handle((struct handle *)(uintptr_t)info->fh);
	mutex_unlock(&server->lock);
	fuse_reply_err(request, 0);
}

static struct job *job_new(fuse_req_t request, enum job_kind kind, const struct fuse_file_info *info, size_t data)
{
	struct why why;
	struct job *job = alloc_zero(sizeof(struct job) + data, &why);

	if (!job) {
		fuse_reply_err(request, ENOMEM);
		return NULL;
	}
	job->kind = kind;
	job->request = request;
	job->handle = (struct handle *)(uintptr_t)info->fh;
	job->pid = fuse_req_ctx(request)->pid;
	return job;
}

static void job_post(struct job *job)
{
	struct file_server *server = job->handle->served->server;

	mutex_lock(&server->lock);
	list_append(&server->jobs, &job->link);
	pthread_cond_signal(&server->work);
	mutex_unlock(&server->lock);
}

/*
 * Only read(2) has an owner. What has none is a fault on a private mapping, and the one who faults may be the
 * supervisor, under machine.lock, reading a request's argument that the program has put there: it must not wait for the
 * worker.
 */
static void serve_read(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset, struct fuse_file_info *info)
{
	struct job *job;

	if (!info->lock_owner) {
		fuse_reply_err(request, EIO);
		return;
	}
	job = job_new(request, JOB_READ, info, 0);
	if (!job)
		return;
	job->offset = (u64)offset;
	job->size = min_u64(size, BUFFER);
	job_post(job);
}

static void serve_write(fuse_req_t request, fuse_ino_t number, const char *data, size_t size, off_t offset,
			struct fuse_file_info *info)
{
	struct job *job = job_new(request, JOB_WRITE, info, size);

	if (!job)
		return;
	memcpy(job->data, data, size);
	job->offset = (u64)offset;
	job->size = size;
	job_post(job);
}

/* The host promises that the newest poll handle of a description stands for all of them. */
static void keep_poll_handle(struct handle *handle, struct fuse_pollhandle *poll)
{
	struct file_server *server = handle->served->server;
	struct fuse_pollhandle *old;

	mutex_lock(&server->lock);
	old = handle->poll;
	handle->poll = poll;
	mutex_unlock(&server->lock);
	if (old)
		fuse_pollhandle_destroy(old);
}

static void serve_poll(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info, struct fuse_pollhandle *poll)
{
	struct job *job = job_new(request, JOB_POLL, info, 0);

	/* Before the worker looks: a wake in between must find it. */
	if (poll)
		keep_poll_handle((struct handle *)(uintptr_t)info->fh, poll);
	if (!job)
		return;
	job->events = info->poll_events;
	job_post(job);
}

static const struct fuse_lowlevel_ops operations = {
	.lookup = serve_lookup,
	.forget = serve_forget,
	.getattr = serve_getattr,
	.open = serve_open,
	.release = serve_release,
	.read = serve_read,
	.write = serve_write,
	.poll = serve_poll,
};

/* Not fuse_session_loop(): that ends only with the mount, which a process outside the room may hold. */
static void *listen_to_host(void *argument)
{
	struct file_server *server = argument;
	struct pollfd events[] = {
		{.fd = server->stop, .events = POLLIN},
		{.fd = fuse_session_fd(server->session), .events = POLLIN},
	};
	struct fuse_buf buffer = {.mem = NULL};

	while (!fuse_session_exited(server->session)) {
		if (poll(events, 2, -1) < 0 && errno != EINTR)
			break;
		if (events[0].revents)
			break;
		if (fuse_session_receive_buf(server->session, &buffer) > 0)
			fuse_session_process_buf(server->session, &buffer);
	}
	free(buffer.mem);
	return NULL;
}

/* ---- the worker ---- */

static void do_read(struct file_server *server, const struct job *job)
{
	struct client *client = stranger_new(job->pid);
	struct why why = WHY_INIT;
	u64 position = job->offset;
	s64 got = COUNTED(server->failures, job->pid,
			  machine_read_on(server->machine, client, job->handle->served->file, &position, server->buffer,
					  job->size, &why));

	client_put(client);
	if (got < 0)
		fuse_reply_err(job->request, (int)-got);
	else
		fuse_reply_buf(job->request, (const char *)server->buffer, (size_t)got);
}

static void do_write(struct file_server *server, const struct job *job)
{
	struct client *client = stranger_new(job->pid);
	struct why why = WHY_INIT;
	u64 position = job->offset;
	/* Queues are. The file itself is only known to be there under machine.lock. */
	bool counted = job->handle->served->watcher.woken;
	s64 put = COUNTED(counted ? server->failures : NULL, job->pid,
			  machine_write_on(server->machine, client, job->handle->served->file, &position, job->data,
					   job->size, &why));

	client_put(client);
	if (put < 0)
		fuse_reply_err(job->request, (int)-put);
	else
		fuse_reply_write(job->request, (size_t)put);
}

static void do_poll(struct file_server *server, const struct job *job)
{
	struct why why = WHY_INIT;
	int ready = machine_ready(server->machine, job->handle->served->file, ~0u, &why);

	/* The host may ask for POLLRDNORM, which is the same for all but a few protocols. */
	if (ready > 0)
		ready |= (ready & POLLIN ? POLLRDNORM : 0) | (ready & POLLOUT ? POLLWRNORM : 0);
	fuse_reply_poll(job->request, ready < 0 ? POLLERR : (unsigned)ready & (job->events | POLLERR | POLLHUP));
}

static struct job *next_job(struct file_server *server)
{
	struct job *job = NULL;

	mutex_lock(&server->lock);
	while (!server->stopping && list_empty(&server->jobs))
		mutex_wait(&server->lock, &server->work);
	if (!server->stopping) {
		job = list_first(&server->jobs, struct job, link);
		list_remove(&job->link);
	}
	mutex_unlock(&server->lock);
	return job;
}

static void *work(void *argument)
{
	static void (*const does[])(struct file_server * server, const struct job *job) = {
		[JOB_READ] = do_read,
		[JOB_WRITE] = do_write,
		[JOB_POLL] = do_poll,
	};
	struct file_server *server = argument;
	struct job *job;

	while ((job = next_job(server))) {
		does[job->kind](server, job);
		free(job);
	}
	return NULL;
}

/* ---- start and end ---- */

static struct fuse_session *session_new(struct file_server *server, int fd)
{
	char *words[] = {(char *)"isolde", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, words);
	struct fuse_session *session = fuse_session_new(&args, &operations, sizeof(operations), server);
	char mountpoint[32];

	fuse_opt_free_args(&args);
	snprintf(mountpoint, sizeof(mountpoint), "/dev/fd/%d", fd);
	if (session && fuse_session_mount(session, mountpoint) == 0)
		return session;
	if (session)
		fuse_session_destroy(session);
	return NULL;
}

static int start_threads(struct file_server *server, struct why *why)
{
	int err;

	server->stop = eventfd(0, EFD_CLOEXEC);
	if (server->stop < 0)
		return refuse_host(why, errno, "eventfd");
	err = os_thread_start(&server->listener, listen_to_host, server, why);
	if (err < 0)
		return err;
	err = os_thread_start(&server->worker, work, server, why);
	if (err < 0) {
		os_eventfd_signal(server->stop);
		pthread_join(server->listener, NULL);
	}
	return err;
}

static void free_server(struct file_server *server)
{
	struct served *served, *next_served;
	struct handle *handle, *next_handle;
	struct job *job, *next_job;

	list_for_each_safe(job, next_job, &server->jobs, link) {
		list_remove(&job->link);
		fuse_reply_err(job->request, EIO);
		free(job);
	}
	list_for_each_safe(served, next_served, &server->all, link) {
		list_for_each_safe(handle, next_handle, &served->handles, link)
			free_handle(handle);
		free_served(served);
	}
	/* Closes /dev/fuse: whoever still asks is answered by the host. */
	if (server->session)
		fuse_session_destroy(server->session);
	os_close(server->root);
	os_close(server->stop);
	pthread_cond_destroy(&server->work);
	mutex_fini(&server->lock);
	free(server);
}

int file_server_start(struct machine *machine, struct failures *failures, int fd, int root, struct file_server **ret,
		      struct why *why)
{
	struct file_server *server = alloc_new(struct file_server, why);
	int err;

	if (!server) {
		os_close(fd);
		os_close(root);
		return -why->err;
	}
	server->machine = machine;
	server->failures = failures;
	server->root = root;
	server->stop = -1;
	server->last_inode = FUSE_ROOT_ID;
	mutex_init(&server->lock, RANK_WATCH);
	pthread_cond_init(&server->work, NULL);
	list_init(&server->all);
	list_init(&server->jobs);
	server->session = session_new(server, fd);
	err = server->session ? start_threads(server, why)
			      : refuse_host(why, EIO, "starting the file system of queues");
	if (err < 0)
		free_server(server);
	else
		*ret = server;
	return err;
}

/* Files that live on have nobody to wake any more. */
static void leave_files(struct file_server *server)
{
	struct file *file = NULL;

	mutex_lock(&server->machine->lock);
	while ((file = files_next(server->machine->files, file)))
		if (file->watcher && file->watcher->woken == wake)
			file->watcher = NULL;
	mutex_unlock(&server->machine->lock);
}

void file_server_stop(struct file_server *server)
{
	if (!server)
		return;
	leave_files(server);
	mutex_lock(&server->lock);
	server->stopping = true;
	pthread_cond_signal(&server->work);
	mutex_unlock(&server->lock);
	pthread_join(server->worker, NULL);
	os_eventfd_signal(server->stop);
	pthread_join(server->listener, NULL);
	free_server(server);
}

static int open_served(struct file_server *server, u64 inode, const struct file *file, struct why *why)
{
	char name[SERVED_NAME];
	int fd;

	served_name(inode, name);
	fd = fallible() ? openat(server->root, name, O_RDWR | O_CLOEXEC) : (errno = EMFILE, -1);
	if (fd < 0)
		return refuse_host(why, errno, "open of the queue file for %s", file->path);
	/* The name has done its work: without it the host forgets the file when it is closed. */
	fuse_lowlevel_notify_inval_entry(server->session, FUSE_ROOT_ID, name, strlen(name));
	return fd;
}

/* The host has not heard of it, or has forgotten it already. */
static void give_up(struct file_server *server, u64 inode)
{
	struct served *served, *following;

	mutex_lock(&server->lock);
	list_for_each_safe(served, following, &server->all, link)
		if (served->inode == inode && !served->lookups)
			free_served(served);
	mutex_unlock(&server->lock);
}

int file_server_add(struct file_server *server, struct file *file, struct why *why)
{
	struct served *served = alloc_new(struct served, why);
	u64 inode;
	int fd;

	if (!served)
		return -why->err;
	served->server = server;
	served->file = file;
	list_init(&served->handles);
	if (file->ops->poll)
		served->watcher.woken = wake;
	mutex_lock(&server->lock);
	inode = served->inode = ++server->last_inode;
	list_append(&server->all, &served->link);
	mutex_unlock(&server->lock);
	fd = open_served(server, inode, file, why);
	if (fd < 0) {
		give_up(server, inode);
		return fd;
	}
	file->memfd = fd;
	if (file->ops->poll)
		file->watcher = &served->watcher;
	return 0;
}

unsigned file_server_count(struct file_server *server)
{
	const struct served *served;
	unsigned count = 0;

	mutex_lock(&server->lock);
	list_for_each(served, &server->all, link)
		count++;
	mutex_unlock(&server->lock);
	return count;
}
