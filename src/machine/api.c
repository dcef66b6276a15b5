/* SPDX-License-Identifier: MIT */
/* include/isolde/isolde.h: a machine used from inside a process. The process is the one client. */
#include "machine/api.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/os.h"
#include "machine/assign.h"
#include "machine/files.h"
#include "machine/machine.h"
#include "machine/precise_own.h"
#include "mem/client.h"

static struct isolde_machine *owner_of(struct client *client)
{
	return container_of(client, struct isolde_machine, client);
}

static int stat_fd(int fd, struct stat *ret, struct why *why)
{
	return fstat(fd, ret) < 0 ? refuse(why, FD_BAD, "descriptor %d is not open", fd) : 0;
}

static int own_find_file(struct client *client, int fd, struct file **ret, struct why *why)
{
	struct stat stat;
	int err = stat_fd(fd, &stat, why);

	if (err == 0)
		*ret = files_find(owner_of(client)->machine->files, stat.st_dev, stat.st_ino);
	return err;
}

static int own_install_file(struct client *client, struct file *file, bool cloexec, struct why *why)
{
	struct machine *machine = owner_of(client)->machine;
	int fd;

	file->watcher = &machine->waiting.watcher;
	fd = files_describe(machine->files, file, why);
	if (fd >= 0 && !cloexec)
		fcntl(fd, F_SETFD, 0);
	return fd;
}

static int own_get_descriptor(struct client *client, int fd, struct why *why)
{
	int copy = fallible() ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : (errno = EMFILE, -1);

	if (copy < 0 && errno == EBADF)
		return refuse(why, FD_BAD, "descriptor %d is not open", fd);
	return copy < 0 ? refuse_host(why, errno, "dup of descriptor %d", fd) : copy;
}

/*
 * Looked at twice: the close of a copy gives away the locks that the program has of that file (fcntl(2)), so none is
 * made of anything else; but another thread may have opened something else there meanwhile.
 */
static int own_get_eventfd(struct client *client, int fd, struct why *why)
{
	if (fcntl(fd, F_GETFD) < 0 || os_is_eventfd(fd)) {
		int copy = own_get_descriptor(client, fd, why);

		if (copy < 0 || os_is_eventfd(copy))
			return copy;
		os_close(copy);
	}
	return refuse(why, EVENTFD_BAD, "descriptor %d is no eventfd", fd);
}

static struct file *own_file_at(struct client *client, u64 host_device, u64 inode)
{
	return files_find(owner_of(client)->machine->files, host_device, inode);
}

static void own_free(struct client *client)
{
	free(owner_of(client));
}

static const struct client_ops own_ops = {
	.find_file = own_find_file,
	.install_file = own_install_file,
	.get_eventfd = own_get_eventfd,
	.get_descriptor = own_get_descriptor,
	.file_at = own_file_at,
	.free = own_free,
};

/* A caller built against an older header has fewer fields; one built against a newer may only leave them zero. */
static int take_options(const struct isolde_machine_options *options, struct isolde_machine_options *ret,
			struct why *why)
{
	const char *bytes = (const char *)options;

	*ret = (struct isolde_machine_options){.machine = NULL};
	if (!options)
		return 0;
	if (options->size < sizeof(options->size) || options->size > PAGE_SIZE)
		return refuse(why, OPTIONS_SIZE, "the options have a size of %zu bytes", options->size);
	for (size_t i = sizeof(*ret); i < options->size; i++)
		if (bytes[i])
			return refuse(why, OPTIONS_SIZE, "byte %zu of the options is set, this library knows %zu", i,
				      sizeof(*ret));
	memcpy(ret, options, min_u64(options->size, sizeof(*ret)));
	return 0;
}

static int load(const struct isolde_machine_options *options, struct description **ret, struct why *why)
{
	_free_(description) struct description *description = NULL;
	int err = description_load(options->machine ? options->machine : "default", &description, why);

	for (size_t i = 0; err == 0 && options->disks && options->disks[i]; i++)
		err = assign_disk(description, options->disks[i], why);
	if (err == 0)
		*ret = take(description);
	return err;
}

static void *handle_events(void *argument)
{
	struct isolde_machine *machine = argument;
	struct pollfd events[] = {
		{.fd = machine->stop, .events = POLLIN},
		{.fd = machine_close_events(machine->machine), .events = POLLIN},
	};

	while (poll(events, 2, -1) >= 0 || errno == EINTR) {
		if (events[0].revents)
			break;
		if (events[1].revents)
			machine_handle_closes(machine->machine);
	}
	return NULL;
}

static int start_thread(struct isolde_machine *machine, struct why *why)
{
	int err;

	machine->stop = fallible() ? eventfd(0, EFD_CLOEXEC) : (errno = EMFILE, -1);
	if (machine->stop < 0)
		return refuse_host(why, errno, "eventfd");
	err = os_thread_start(&machine->thread, handle_events, machine, why);
	if (err < 0) {
		os_close(machine->stop);
		machine->stop = -1;
	}
	return err;
}

static void stop_thread(struct isolde_machine *machine)
{
	if (machine->stop < 0)
		return;
	os_eventfd_signal(machine->stop);
	pthread_join(machine->thread, NULL);
	os_close(machine->stop);
}

static int build(const struct isolde_machine_options *given, struct isolde_machine *machine, struct why *why)
{
	struct isolde_machine_options options;
	struct description *description;
	int err = take_options(given, &options, why);

	if (err == 0)
		err = load(&options, &description, why);
	if (err == 0)
		err = machine_new(description, &machine->machine, why);
	if (err == 0)
		err = start_thread(machine, why);
	for (size_t i = 0; err == 0 && options.binds && options.binds[i]; i++)
		err = assign_driver(machine->machine, options.binds[i], why);
	return err;
}

int isolde_machine_new(const struct isolde_machine_options *options, struct isolde_machine **ret,
		       struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct isolde_machine *machine = alloc_new(struct isolde_machine, &why);
	int err = machine ? 0 : -why.err;

	if (machine) {
		machine->stop = -1;
		list_init(&machine->devices);
		client_init(&machine->client, &own_ops, getpid());
		err = build(options, machine, &why);
	}
	if (err < 0)
		isolde_machine_free(machine);
	else
		*ret = machine;
	why_export(reason, &why, err);
	return err;
}

void isolde_machine_free(struct isolde_machine *machine)
{
	if (!machine)
		return;
	own_precise_forget(machine);
	stop_thread(machine);
	api_devices_free(machine);
	machine_free(machine->machine);
	client_put(&machine->client);
}

int isolde_open(struct isolde_machine *machine, const char *path, int flags, struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	int ret = machine_open(machine->machine, &machine->client, path, flags, &why);

	why_export(reason, &why, ret);
	return ret;
}

/* The file behind a descriptor of this process, for a request that needs one. */
static int file_of(struct isolde_machine *machine, int fd, struct file **ret, struct why *why)
{
	struct stat stat;
	int err = stat_fd(fd, &stat, why);

	if (err < 0)
		return err;
	*ret = machine_find_file(machine->machine, stat.st_dev, stat.st_ino);
	return *ret ? 0 : refuse(why, FILE_FOREIGN, "descriptor %d is no file of this machine", fd);
}

long isolde_ioctl(struct isolde_machine *machine, int fd, unsigned long request, void *arg, struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct file *file;
	long ret = file_of(machine, fd, &file, &why);

	if (ret == 0)
		ret = machine_ioctl(machine->machine, &machine->client, file, (unsigned int)request, (uintptr_t)arg,
				    &why);
	why_export(reason, &why, ret);
	return ret;
}

ssize_t isolde_pread(struct isolde_machine *machine, int fd, void *buffer, size_t size, uint64_t offset,
		     struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct file *file;
	s64 ret = file_of(machine, fd, &file, &why);

	if (ret == 0)
		ret = machine_read(machine->machine, &machine->client, file, offset, buffer, size, &why);
	why_export(reason, &why, ret);
	return ret;
}

ssize_t isolde_pwrite(struct isolde_machine *machine, int fd, const void *buffer, size_t size, uint64_t offset,
		      struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct file *file;
	s64 ret = file_of(machine, fd, &file, &why);

	if (ret == 0)
		ret = machine_write(machine->machine, &machine->client, file, offset, buffer, size, &why);
	why_export(reason, &why, ret);
	return ret;
}

/* For what has positions: that of the descriptor, as its memory file keeps it. Queues' are always 0. */
static u64 position(int fd)
{
	off_t at = lseek(fd, 0, SEEK_CUR);

	return at < 0 ? 0 : (u64)at;
}

ssize_t isolde_read(struct isolde_machine *machine, int fd, void *buffer, size_t size, struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct file *file;
	u64 at = position(fd);
	s64 ret = file_of(machine, fd, &file, &why);

	if (ret == 0)
		ret = machine_read_on(machine->machine, &machine->client, file, &at, buffer, size, &why);
	if (ret > 0)
		lseek(fd, (off_t)at, SEEK_SET);
	why_export(reason, &why, ret);
	return ret;
}

ssize_t isolde_write(struct isolde_machine *machine, int fd, const void *buffer, size_t size, struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct file *file;
	u64 at = position(fd);
	s64 ret = file_of(machine, fd, &file, &why);

	if (ret == 0)
		ret = machine_write_on(machine->machine, &machine->client, file, &at, buffer, size, &why);
	if (ret > 0)
		lseek(fd, (off_t)at, SEEK_SET);
	why_export(reason, &why, ret);
	return ret;
}

int isolde_poll(struct isolde_machine *machine, int fd, short events, int timeout_ms, struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct file *file;
	int ret = file_of(machine, fd, &file, &why);

	if (ret == 0)
		ret = machine_poll(machine->machine, file, (unsigned short)events, timeout_ms, &why);
	why_export(reason, &why, ret);
	return ret;
}

static int map_checked(int fd, size_t size, int prot, int flags, uint64_t offset, void **ret, struct why *why)
{
	void *address = mmap(NULL, size, prot, flags, fd, (off_t)offset);

	if (address == MAP_FAILED)
		return refuse_host(why, errno, "mmap of %zu bytes at %#llx", size, (unsigned long long)offset);
	*ret = address;
	return 0;
}

static int note_mapping(struct isolde_machine *machine, void *address, size_t size, struct why *why)
{
	int err;

	mutex_lock(&machine->machine->lock);
	err = client_note_mapping(&machine->client, (uintptr_t)address, size, why);
	mutex_unlock(&machine->machine->lock);
	if (err < 0)
		munmap(address, size);
	return err;
}

/* Pages whose every access must reach the model have nothing behind them. */
static int map_precise(struct isolde_machine *machine, int fd, void *address, size_t size, int prot, uint64_t offset,
		       struct why *why)
{
	u64 last = offset + size - 1;
	struct file_run run;
	struct stat stat;
	bool any = false;
	int err = stat_fd(fd, &stat, why);

	for (u64 at = offset;
	     err == 0 && at <= last && machine_precise_run(machine->machine, stat.st_dev, stat.st_ino, at, last, &run);
	     at = run.last + 1) {
		void *to = (char *)address + (run.start - offset);

		any = true;
		if (!fallible() || mmap(to, run.last + 1 - run.start, prot, MAP_SHARED | MAP_FIXED, fd,
					(off_t)run.alias) == MAP_FAILED)
			err = refuse_host(why, errno, "mmap of register pages");
	}
	if (err < 0)
		munmap(address, size);
	else if (any)
		own_precise_expect(machine);
	return err;
}

int isolde_mmap(struct isolde_machine *machine, int fd, size_t size, int prot, int flags, uint64_t offset, void **ret,
		struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct file *file;
	void *address = NULL;
	int err = file_of(machine, fd, &file, &why);

	if (err == 0)
		err = machine_mmap(machine->machine, &machine->client, file, offset, size, prot, flags, &why);
	if (err == 0)
		err = map_checked(fd, size, prot, flags, offset, &address, &why);
	if (err == 0)
		err = map_precise(machine, fd, address, size, prot, offset, &why);
	if (err == 0)
		err = note_mapping(machine, address, size, &why);
	if (err == 0)
		*ret = address;
	why_export(reason, &why, err);
	return err;
}

int isolde_close(struct isolde_machine *machine, int fd)
{
	int ret = close(fd) < 0 ? -errno : 0;

	machine_handle_closes(machine->machine);
	return ret;
}

ssize_t isolde_attribute_read(struct isolde_machine *machine, const char *path, void *buffer, size_t size,
			      struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	s64 ret = machine_attribute_read(machine->machine, &machine->client, path, 0, buffer, size, &why);

	why_export(reason, &why, ret);
	return ret;
}

ssize_t isolde_attribute_write(struct isolde_machine *machine, const char *path, const void *buffer, size_t size,
			       struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	s64 ret = machine_attribute_write(machine->machine, &machine->client, path, 0, buffer, size, &why);

	why_export(reason, &why, ret);
	return ret;
}

void isolde_machine_check(struct isolde_machine *machine)
{
	machine_check(machine->machine);
}

const char *isolde_version(void)
{
	return ISOLDE_VERSION;
}
