/* SPDX-License-Identifier: MIT */
/*
 * One trapped call at a time. Whatever is not about a file of ours goes on as if nothing had been there
 * (SECCOMP_USER_NOTIF_FLAG_CONTINUE). The program may change its memory or end at any moment: what is read from it is
 * read once, and after reading we ask the kernel whether the call still waits, because a pid may mean another process
 * by then.
 *
 * Handlers return what the call returns, or -errno, or GO_ON. They may wait for the program's memory, which another
 * program of the room may have to fetch: meanwhile a stand-in (supervise/stand_in.h) lets go on what is_foreign().
 */
#include "supervise/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "supervise/failnth.h"
#include "supervise/path.h"
#include "supervise/procfs.h"
#include "supervise/tracer.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#define SYNC_WAKE_UP 1 /* Linux 6.6 */

#define GO_ON LONG_MIN

#define MAX_TRANSFER 0x7ffff000 /* of one read(2), Linux's own limit */

struct call {
	struct notifier *notifier; /* NULL while the stand-in looks at it */
	int listener;
	struct seccomp_notif request;
	struct tracee *tracee; /* the caller; NULL until a handler needs it */
	struct why why;
	bool hurried; /* memory that is not at hand cannot be read */
};

void notify_tune(int listener)
{
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP);
}

/* A refusal made here, not by the machine: into the journal like the others. Returns -errno. */
static long journalled(struct call *call, const char *request)
{
	struct machine *machine = call->notifier->tracees->machine;
	const char *name = call->tracee ? call->tracee->client.name : "";

	journal_append(&machine->journal, (int)call->request.pid, name, request, &call->why);
	return -call->why.err;
}

static u64 arg(const struct call *call, unsigned index)
{
	return call->request.data.args[index];
}

static bool still_waits(const struct call *call)
{
	u64 id = call->request.id;

	return ioctl(call->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

static struct client *caller(struct call *call)
{
	if (!call->tracee && tracee_of(call->notifier->tracees, (pid_t)call->request.pid, call->request.id,
				       &call->tracee, &call->why) < 0)
		return NULL;
	return &call->tracee->client;
}

static struct machine *machine_of(const struct call *call)
{
	return call->notifier->tracees->machine;
}

static struct failures *failures_of(const struct call *call)
{
	return call->notifier->tracees->failures;
}

/* The file of ours behind a descriptor argument, NULL otherwise. */
static struct file *our_file(struct call *call, unsigned index)
{
	struct file *file = tracee_file(call->notifier->tracees, (pid_t)call->request.pid, (int)arg(call, index));

	return file && still_waits(call) && caller(call) ? file : NULL;
}

static bool is_queue(struct call *call)
{
	struct file file;

	return tracee_look(call->notifier->tracees, (pid_t)call->request.pid, (int)arg(call, 0), &file, NULL) &&
	       file.ops->poll;
}

/* Is the page there in the caller's memory? Asks for its place, which fetches nothing. */
static bool at_hand(const struct call *call, u64 address)
{
	void *page = (void *)(uintptr_t)(address & PAGE_MASK);
	int place;

	return syscall(SYS_move_pages, (pid_t)call->request.pid, 1ul, &page, NULL, &place, 0) == 0 && place >= 0;
}

/* Reads without making the process a client: most paths are none of our business. */
static bool peek(const struct call *call, u64 address, void *buffer, size_t size)
{
	struct iovec local = {buffer, size}, remote = {(void *)(uintptr_t)address, size};

	if (call->hurried && !(at_hand(call, address) && at_hand(call, address + size - 1)))
		return false;
	return process_vm_readv((pid_t)call->request.pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

static bool peek_string(const struct call *call, u64 address, char *buffer, size_t size)
{
	for (size_t used = 0; used < size;) {
		size_t piece = min_u64(size - used, PAGE_SIZE - ((address + used) & ~PAGE_MASK));

		/* Short strings are the rule: do not copy the rest of a page for each. */
		piece = min_u64(piece, 256);
		if (!peek(call, address + used, buffer + used, piece))
			return false;
		if (memchr(buffer + used, '\0', piece))
			return still_waits(call);
		used += piece;
	}
	return false;
}

static bool read_link(char *ret, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

static bool read_link(char *ret, size_t size, const char *format, ...)
{
	char path[64];
	va_list args;
	ssize_t length;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	length = readlink(path, ret, size - 1);
	if (length < 0)
		return false;
	ret[length] = '\0';
	return true;
}

/* The path argument of an *at() call, absolute and folded; links are not followed. */
static bool path_argument(const struct call *call, int directory, u64 address, char *ret, size_t size)
{
	char path[PATH_MAX], base[PATH_MAX] = "/";
	pid_t pid = (pid_t)call->request.pid;

	if (!peek_string(call, address, path, sizeof(path)) || !path[0])
		return false;
	if (path[0] != '/' && directory == AT_FDCWD && !read_link(base, sizeof(base), "/proc/%d/cwd", pid))
		return false;
	if (path[0] != '/' && directory != AT_FDCWD && !read_link(base, sizeof(base), "/proc/%d/fd/%d", pid, directory))
		return false;
	return path_normalise(base, path, ret, size);
}

static long do_open_process(struct call *call, const char *path, int flags)
{
	struct client *client;
	struct file *file;

	if (procfs_file(call->notifier->tracees, (pid_t)call->request.pid, path, flags, &file, &call->why) < 0)
		return journalled(call, "open");
	if (!file)
		return GO_ON;
	client = still_waits(call) ? caller(call) : NULL;
	if (client)
		return machine_give(machine_of(call), client, file, flags & O_CLOEXEC, &call->why);
	file->ops->release(file);
	return GO_ON;
}

static long do_open(struct call *call, int directory, u64 address, int flags)
{
	char path[PATH_MAX];
	struct client *client;
	pid_t owner;
	int fd;

	/* That opens nothing: a node's name is all it gets, and the host has it. */
	if (flags & O_PATH || !path_argument(call, directory, address, path, sizeof(path)))
		return GO_ON;
	/* A device's descriptor cannot be opened again through /proc: it is an anonymous inode. */
	if (path_is_descriptor(path, (pid_t)call->request.pid, "fd", &owner, &fd)) {
		struct file file;

		if (tracee_look(call->notifier->tracees, owner, fd, &file, NULL)) {
			if (file.path[0] != '/' && caller(call)) {
				refuse(&call->why, FILE_ANONYMOUS, "%s is %s: it cannot be opened again", path,
				       file.path);
				return journalled(call, "open");
			}
			snprintf(path, sizeof(path), "%s", file.path);
		} else if (!read_link(path, sizeof(path), "/proc/%d/fd/%d", owner, fd) || !machine_owns_path(path)) {
			return GO_ON;
		}
	}
	if (strncmp(path, "/proc/", strlen("/proc/")) == 0)
		return do_open_process(call, path, flags);
	if (!machine_owns_path(path))
		return GO_ON;
	client = caller(call);
	return client ? COUNTED(failures_of(call), (pid_t)call->request.pid,
				machine_open(machine_of(call), client, path, flags, &call->why))
		      : -call->why.err;
}

static long on_open(struct call *call)
{
	return do_open(call, AT_FDCWD, arg(call, 0), (int)arg(call, 1));
}

static long on_openat(struct call *call)
{
	return do_open(call, (int)arg(call, 0), arg(call, 1), (int)arg(call, 2));
}

static long on_openat2(struct call *call)
{
	struct open_how how;

	if (!peek(call, arg(call, 2), &how, sizeof(how)))
		return GO_ON;
	return do_open(call, (int)arg(call, 0), arg(call, 1), (int)how.flags);
}

static long on_creat(struct call *call)
{
	return do_open(call, AT_FDCWD, arg(call, 0), O_CREAT | O_WRONLY | O_TRUNC);
}

/* Our own descriptor for one of the caller's, or -errno. */
static int copy_descriptor(struct call *call, int fd)
{
	struct client *client = caller(call);

	return client ? client->ops->get_descriptor(client, fd, &call->why) : -call->why.err;
}

/* What a device of KVM of the host's is asked about a file of ours: the host would take it for no file of VFIO. */
static int set_kvm(struct call *call, const struct kvm_device_attr *request, int fd, const struct file *file)
{
	_close_ int device = copy_descriptor(call, (int)arg(call, 0));
	_close_ int copy = device < 0 ? -1 : copy_descriptor(call, fd);

	if (copy < 0)
		return -call->why.err;
	return COUNTED(failures_of(call), (pid_t)call->request.pid,
		       kvm_set_file(&call->notifier->kvm, device, request, copy, file, &call->why));
}

/* All that is wrong before the file is looked at, the host finds as well. */
static long on_kvm(struct call *call)
{
	pid_t pid = (pid_t)call->request.pid;
	struct kvm_device_attr request;
	struct file file;
	char name[32];
	s32 fd;

	if (!read_link(name, sizeof(name), "/proc/%d/fd/%d", pid, (int)arg(call, 0)) || !kvm_is_vfio_device(name) ||
	    !peek(call, arg(call, 2), &request, sizeof(request)) || !kvm_names_file(&request) ||
	    !peek(call, request.addr, &fd, sizeof(fd)))
		return GO_ON;
	if (!tracee_look(call->notifier->tracees, pid, fd, &file, NULL) || !still_waits(call))
		return GO_ON;
	return set_kvm(call, &request, fd, &file) < 0 ? journalled(call, "KVM_SET_DEVICE_ATTR") : 0;
}

static long on_ioctl(struct call *call)
{
	struct file *file;

	if ((unsigned)arg(call, 1) == KVM_SET_DEVICE_ATTR)
		return on_kvm(call);
	file = our_file(call, 0);
	if (!file)
		return GO_ON;
	return COUNTED(
		failures_of(call), (pid_t)call->request.pid,
		machine_ioctl(machine_of(call), caller(call), file, (unsigned)arg(call, 1), arg(call, 2), &call->why));
}

/* What the host does not hand over as it was asked (supervise/filter.c). Only files we serve have such reads here. */
static long on_read(struct call *call)
{
	struct file *file = our_file(call, 0);
	size_t size = min_u64(arg(call, 2), MAX_TRANSFER);
	u64 position = 0;
	_memory_ u8 *buffer = NULL;
	s64 got;

	if (!file || !is_queue(call))
		return GO_ON;
	buffer = alloc_zero(size + 1, &call->why);
	if (!buffer)
		return journalled(call, "read");
	got = machine_read_on(machine_of(call), caller(call), file, &position, buffer, size, &call->why);
	if (got > 0 && client_write(caller(call), arg(call, 1), buffer, (size_t)got, &call->why) < 0)
		return journalled(call, "read");
	return got;
}

static long on_pread(struct call *call)
{
	struct file *file = our_file(call, 0);
	u8 *buffer = call->notifier->buffer;
	s64 got;

	if (!file || (s64)arg(call, 3) < 0)
		return GO_ON;
	got = machine_read(machine_of(call), caller(call), file, arg(call, 3), buffer,
			   min_u64(arg(call, 2), NOTIFY_CHUNK), &call->why);
	if (got > 0 && client_write(caller(call), arg(call, 1), buffer, (size_t)got, &call->why) < 0)
		return journalled(call, "pread");
	return got;
}

static long on_pwrite(struct call *call)
{
	struct file *file = our_file(call, 0);
	u8 *buffer = call->notifier->buffer;
	size_t size = min_u64(arg(call, 2), NOTIFY_CHUNK);

	if (!file || (s64)arg(call, 3) < 0)
		return GO_ON;
	if (size && client_read(caller(call), arg(call, 1), buffer, size, &call->why) < 0)
		return journalled(call, "pwrite");
	return machine_write(machine_of(call), caller(call), file, arg(call, 3), buffer, size, &call->why);
}

/* The first precise page that a program maps is what the tracer is started for. */
static int start_tracer(struct notifier *notifier, struct why *why)
{
	struct epoll_event event = {.events = EPOLLIN};
	int err;

	if (notifier->tracer)
		return 0;
	err = tracer_start(notifier->tracees->machine, notifier->program, &notifier->tracer, why);
	if (err < 0)
		return err;
	event.data.fd = tracer_events(notifier->tracer);
	epoll_ctl(notifier->tracees->epoll, EPOLL_CTL_ADD, event.data.fd, &event);
	return 0;
}

/* Pages whose every access must reach the model are put in place when the call has returned. */
static long map_precise(struct call *call, const struct tracer_mapping *mapping)
{
	struct file_run run;
	int err;

	if (!machine_precise_run(machine_of(call), mapping->host_device, mapping->inode, mapping->offset,
				 mapping->offset + mapping->size - 1, &run))
		return GO_ON;
	err = start_tracer(call->notifier, &call->why);
	if (err == 0)
		err = tracer_expect(call->notifier->tracer, (pid_t)call->request.pid, mapping, &call->why);
	return err < 0 ? journalled(call, "mmap") : GO_ON;
}

/* An answer of the host's own, made here. */
static long refuse_closed(struct call *call, int fd)
{
	refuse(&call->why, FD_BAD, "descriptor %d is not open", fd);
	return journalled(call, "mmap");
}

/*
 * Which file? Not open is an answer, too: let go, the call might find the descriptor open again, and ours, and then
 * nobody would have put its precise pages in place. Another file that becomes ours in between is what no program does.
 */
static int mapped_file(struct call *call, struct file **ret, struct stat *ret_status)
{
	int fd = (int)arg(call, 4);
	int err = tracee_open_file(call->notifier->tracees, (pid_t)call->request.pid, fd, ret, ret_status);

	if (!still_waits(call) || (*ret && !caller(call)))
		*ret = NULL;
	else if (err < 0 && errno == ENOENT && fd >= 0)
		return (int)refuse_closed(call, fd);
	return 0;
}

static long on_mmap(struct call *call)
{
	struct tracer_mapping mapping = {
		.size = arg(call, 1), .prot = (int)arg(call, 2), .fd = (int)arg(call, 4), .offset = arg(call, 5)};
	struct stat status;
	struct file *file;
	long err;

	/* Anonymous memory has no file, whatever descriptor is given with it. */
	if (arg(call, 3) & MAP_ANONYMOUS || tracer_injects(call->notifier->tracer, (pid_t)call->request.pid))
		return GO_ON;
	err = mapped_file(call, &file, &status);
	if (err < 0 || !file)
		return err < 0 ? err : GO_ON;
	err = COUNTED(failures_of(call), (pid_t)call->request.pid,
		      machine_mmap(machine_of(call), caller(call), file, mapping.offset, mapping.size, mapping.prot,
				   (int)arg(call, 3), &call->why));
	if (err < 0)
		return err;
	mapping.host_device = status.st_dev;
	mapping.inode = status.st_ino;
	return map_precise(call, &mapping);
}

/* What the descriptor in argument 0 looks like, if it is ours; then the caller's memory may be written. */
static bool look(struct call *call, struct file *ret, struct stat *ret_status)
{
	return tracee_look(call->notifier->tracees, (pid_t)call->request.pid, (int)arg(call, 0), ret, ret_status) &&
	       still_waits(call) && caller(call);
}

/* Into the caller's memory: 0, or its fault, journalled. */
static long give(struct call *call, const char *request, u64 address, const void *data, size_t size)
{
	return client_write(caller(call), address, data, size, &call->why) < 0 ? journalled(call, request) : 0;
}

/* The character device or anonymous inode that a descriptor stands for. */
static long put_stat(struct call *call, u64 address)
{
	struct stat status;
	struct file file;

	if (!look(call, &file, &status))
		return GO_ON;
	status.st_mode = file.mode;
	status.st_rdev = file.rdev;
	status.st_size = 0;
	status.st_blocks = 0;
	return give(call, "fstat", address, &status, sizeof(status));
}

static bool empty_path(const struct call *call, u64 address)
{
	char first;

	return address == 0 || (peek(call, address, &first, 1) && first == '\0');
}

static long on_fstat(struct call *call)
{
	return put_stat(call, arg(call, 1));
}

static long on_newfstatat(struct call *call)
{
	return empty_path(call, arg(call, 1)) ? put_stat(call, arg(call, 2)) : GO_ON;
}

static long on_statx(struct call *call)
{
	struct statx status;
	struct file file;
	char path[48];

	if (!empty_path(call, arg(call, 1)) || !look(call, &file, NULL))
		return GO_ON;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (pid_t)call->request.pid, (int)arg(call, 0));
	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, (unsigned)arg(call, 3), &status) < 0)
		return GO_ON;
	status.stx_mode = (u16)file.mode;
	status.stx_rdev_major = major(file.rdev);
	status.stx_rdev_minor = minor(file.rdev);
	status.stx_size = status.stx_blocks = 0;
	return give(call, "statx", arg(call, 4), &status, sizeof(status));
}

static long do_readlink(struct call *call, int directory, u64 address, u64 buffer, u64 size)
{
	char path[PATH_MAX];
	struct file file;
	size_t length;
	pid_t owner;
	int fd;

	if (!path_argument(call, directory, address, path, sizeof(path)) ||
	    !path_is_descriptor(path, (pid_t)call->request.pid, "fd", &owner, &fd))
		return GO_ON;
	if (!tracee_look(call->notifier->tracees, owner, fd, &file, NULL) || !caller(call))
		return GO_ON;
	if ((s64)size <= 0) {
		refuse(&call->why, LINK_BUFFER, "readlink(%s) into %lld bytes", path, (long long)size);
		return journalled(call, "readlink");
	}
	length = min_u64(strlen(file.path), size);
	return give(call, "readlink", buffer, file.path, length) < 0 ? -call->why.err : (long)length;
}

static long on_readlink(struct call *call)
{
	return do_readlink(call, AT_FDCWD, arg(call, 0), arg(call, 1), arg(call, 2));
}

static long on_readlinkat(struct call *call)
{
	return do_readlink(call, (int)arg(call, 0), arg(call, 1), arg(call, 2), arg(call, 3));
}

/* A character device or anonymous inode has no size to change. */
static long refuse_resize(struct call *call, const struct file *file, const char *request)
{
	refuse(&call->why, FILE_RESIZE, "%s of %s: it is no regular file", request, file->path);
	return journalled(call, request);
}

static long on_ftruncate(struct call *call)
{
	struct file file;

	return look(call, &file, NULL) ? refuse_resize(call, &file, "ftruncate") : GO_ON;
}

static long on_fallocate(struct call *call)
{
	struct file file;

	if (!look(call, &file, NULL))
		return GO_ON;
	refuse(&call->why, FILE_ALLOCATE, "fallocate of %s: it is no regular file", file.path);
	return journalled(call, "fallocate");
}

static long on_truncate(struct call *call)
{
	char path[PATH_MAX];
	struct file file;
	pid_t owner;
	int fd;

	if (!path_argument(call, AT_FDCWD, arg(call, 0), path, sizeof(path)) ||
	    !path_is_descriptor(path, (pid_t)call->request.pid, "fd", &owner, &fd) ||
	    !tracee_look(call->notifier->tracees, owner, fd, &file, NULL) || !caller(call))
		return GO_ON;
	return refuse_resize(call, &file, "truncate");
}

static long on_exec(struct call *call)
{
	tracee_execs(call->notifier->tracees, (pid_t)call->request.pid);
	return GO_ON;
}

static const struct {
	int number;
	long (*handle)(struct call *call);
} handlers[] = {
	{SYS_truncate, on_truncate},
	{SYS_ftruncate, on_ftruncate},
	{SYS_fallocate, on_fallocate},
	{SYS_ioctl, on_ioctl},
	{SYS_read, on_read},
	{SYS_open, on_open},
	{SYS_openat, on_openat},
	{SYS_openat2, on_openat2},
	{SYS_creat, on_creat},
	{SYS_pread64, on_pread},
	{SYS_pwrite64, on_pwrite},
	{SYS_mmap, on_mmap},
	{SYS_fstat, on_fstat},
	{SYS_newfstatat, on_newfstatat},
	{SYS_statx, on_statx},
	{SYS_readlink, on_readlink},
	{SYS_readlinkat, on_readlinkat},
	{SYS_execve, on_exec},
	{SYS_execveat, on_exec},
};

static long dispatch(struct call *call)
{
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
		if (handlers[i].number == call->request.data.nr)
			return handlers[i].handle(call);
	return GO_ON;
}

static bool has_foreign_path(const struct call *call, int directory, u64 address)
{
	char path[PATH_MAX];

	return path_argument(call, directory, address, path, sizeof(path)) &&
	       strncmp(path, "/proc/", strlen("/proc/")) != 0 && !machine_owns_path(path);
}

static bool has_foreign_descriptor(const struct call *call, unsigned index)
{
	return descriptor_is_foreign((pid_t)call->request.pid, (int)arg(call, index));
}

/* Will its handler say GO_ON? What is not certain, is not. */
static bool is_foreign(const struct call *call)
{
	switch (call->request.data.nr) {
	case SYS_ioctl:
		return (unsigned)arg(call, 1) != KVM_SET_DEVICE_ATTR && has_foreign_descriptor(call, 0);
	case SYS_read:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_fstat:
	case SYS_newfstatat:
	case SYS_statx:
	case SYS_ftruncate:
	case SYS_fallocate:
		return has_foreign_descriptor(call, 0);
	case SYS_mmap:
		return arg(call, 3) & MAP_ANONYMOUS || has_foreign_descriptor(call, 4);
	case SYS_open:
	case SYS_creat:
	case SYS_readlink:
	case SYS_truncate:
		return has_foreign_path(call, AT_FDCWD, arg(call, 0));
	case SYS_openat:
	case SYS_openat2:
	case SYS_readlinkat:
		return has_foreign_path(call, (int)arg(call, 0), arg(call, 1));
	default:
		return false;
	}
}

bool notify_lets_go(int listener, const struct seccomp_notif *request)
{
	const struct call call = {.listener = listener, .request = *request, .hurried = true};

	return is_foreign(&call);
}

static void respond(const struct call *call, long result)
{
	struct seccomp_notif_resp response = {.id = call->request.id};

	if (result == GO_ON)
		response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (result < 0)
		response.error = (s32)result;
	else
		response.val = result;
	/* The caller may have been killed meanwhile: nobody waits then. */
	ioctl(call->listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

bool notify_handle(struct notifier *notifier)
{
	struct call call = {.notifier = notifier, .listener = notifier->listener};
	int got = stand_in_receive(notifier->stand_in, &call.request);

	if (got < 0)
		return errno == EINTR || errno == ENOENT || errno == EAGAIN;
	if (got)
		respond(&call, dispatch(&call));
	return true;
}

void notify_handle_kept(struct notifier *notifier)
{
	struct call call = {.notifier = notifier, .listener = notifier->listener};

	if (stand_in_kept(notifier->stand_in, &call.request))
		respond(&call, dispatch(&call));
}
