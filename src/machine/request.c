/* SPDX-License-Identifier: MIT */
/*
 * Requests of clients. Each is one hold of machine.lock: drain the closes that came before it, do it, journal the
 * reason if there is one. Only a waiting unbind lets the lock go in between.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/os.h"
#include "machine/bus.h"
#include "machine/files.h"
#include "machine/machine.h"
#include "mem/kept.h"
#include "vfio/device.h"
#include "vfio/group.h"

#define DEV_VFIO	 "/dev/vfio/"
#define DEV_VFIO_DEVICE	 DEV_VFIO "devices/"
#define DEV_VFIO_NOIOMMU DEV_VFIO "noiommu-"
#define DEV_IOMMU	 "/dev/iommu"

static void request_start(struct machine *machine, struct why *why)
{
	why_clear(why);
	mutex_lock(&machine->lock);
	files_drain(machine->files);
}

/* ---- the journal ---- */

/* What a refusal has no room for waits until that is told: read from the top, the journal has the reason first. */
struct remark {
	struct why why;
	struct list_link link; /* machine->remarks, which own it */
};

static void append(struct machine *machine, const struct client *client, const char *request, const struct why *why)
{
	journal_append(&machine->journal, client ? client->pid : 0, client ? client->name : "isolde", request, why);
}

void machine_remark(void *context, struct client *client, const char *request, const struct why *why)
{
	struct machine *machine = context;
	struct why ignored;
	struct remark *remark = alloc_new(struct remark, &ignored);

	/* Out of order is better than not at all. */
	if (!remark) {
		append(machine, client, request, why);
		return;
	}
	remark->why = *why;
	list_append(&machine->remarks, &remark->link);
}

static void tell_remarks(struct machine *machine, const struct client *client, const char *request)
{
	struct remark *remark, *following;

	list_for_each_safe(remark, following, &machine->remarks, link) {
		append(machine, client, request, &remark->why);
		list_remove(&remark->link);
		free(remark);
	}
}

static void tell_cuts_of(struct machine *machine, const void *owner)
{
	char name[KEPT_NAME];
	struct why why;

	while (kept_next_cut(owner, name)) {
		refuse(&why, FILE_CUT,
		       "a program cut the file behind %s short; it is whole again, and what was in it reads as zero",
		       name);
		append(machine, NULL, "truncate", &why);
	}
}

void machine_tell_cuts(struct machine *machine)
{
	tell_cuts_of(machine, &machine->vfio);
	tell_cuts_of(machine, &machine->iommufd);
}

/* Refusals and remarks alike enter the journal, under the words the caller gives to the request. */
static void request_finish(struct machine *machine, const struct client *client, const struct why *why,
			   const char *format, ...) __attribute__((format(printf, 4, 5)));

static void request_finish(struct machine *machine, const struct client *client, const struct why *why,
			   const char *format, ...)
{
	char request[sizeof(((struct journal_entry *)NULL)->request)];
	va_list args;

	if (why->code != WHY_NONE) {
		va_start(args, format);
		vsnprintf(request, sizeof(request), format, args);
		va_end(args);
		append(machine, client, request, why);
		tell_remarks(machine, client, request);
	}
	machine_tell_cuts(machine);
	mutex_unlock(&machine->lock);
}

static bool has_prefix(const char *path, const char *prefix)
{
	return strncmp(path, prefix, strlen(prefix)) == 0;
}

/* The directory of character devices is listed like any other. */
bool machine_owns_path(const char *path)
{
	return strcmp(path, DEV_IOMMU) == 0 || (has_prefix(path, DEV_VFIO) && strcmp(path, DEV_VFIO "devices") != 0);
}

/* A number as the kernel writes it: no sign, no leading zeros. */
static bool parse_number(const char *name, int *ret)
{
	char again[16];

	if (sscanf(name, "%9d", ret) != 1 || *ret < 0)
		return false;
	snprintf(again, sizeof(again), "%d", *ret);
	return strcmp(again, name) == 0;
}

static const char *describe_member(const struct machine *machine, const struct iommu_device *member,
				   char text[static DEVICE_DESCRIPTION])
{
	if (member->function)
		return device_describe(device_find(machine, member->function->addr), text);
	snprintf(text, DEVICE_DESCRIPTION, "%s", member->name);
	return text;
}

/* One that vfio has made for a device without an IOMMU. */
static bool is_bare(const struct machine *machine, const struct iommu_group *group)
{
	const struct iommu_device *member = list_first(&group->devices, struct iommu_device, group_link);

	return !member->unit && device_called(machine, member->name);
}

/* The node is not there. If it is that of a group, its devices have the wrong drivers: say which. */
static int refuse_missing(struct machine *machine, const char *path, struct why *why)
{
	const struct iommu_device *member;
	const struct iommu_group *group = NULL;
	char members[160] = "", name[DEVICE_DESCRIPTION], sample[TEXT_SAMPLE];
	size_t used = 0;
	int id;

	if (parse_number(path + strlen(DEV_VFIO), &id))
		group = iommu_group_find(&machine->iommu, id);
	if (!group)
		return refuse(why, NODE_MISSING, "there is no %s in this machine", text_sample(path, sample));
	if (is_bare(machine, group))
		return refuse(why, NODE_MISSING, "group %d has no IOMMU: its file is " DEV_VFIO_NOIOMMU "%d", id, id);
	list_for_each(member, &group->devices, group_link) {
		int length = snprintf(members + used, sizeof(members) - used, "%s%s", used ? ", " : "",
				      describe_member(machine, member, name));

		used = min_u64(used + (size_t)length, sizeof(members) - 1);
	}
	return refuse(why, DEVICE_NOT_BOUND, "%s: no device of group %d is bound to vfio-pci: %s",
		      text_sample(path, sample), id, members);
}

static int open_container(struct machine *machine, struct client *client, struct file **ret, struct why *why)
{
	if (machine->iommufd.provides_vfio)
		return iommufd_vfio_open(&machine->iommufd, client, ret, why);
	return vfio_container_open(&machine->vfio, client, ret, why);
}

static int open_node(struct machine *machine, struct client *client, const char *path, struct file **ret,
		     struct why *why)
{
	const struct node *node = node_at(machine->root, path);
	int number;

	if (!node || node->kind != NODE_DEVICE)
		return refuse_missing(machine, path, why);
	if (strcmp(path, DEV_IOMMU) == 0)
		return iommufd_context_open(&machine->iommufd, client, ret, why);
	if (strcmp(path, DEV_VFIO "vfio") == 0)
		return open_container(machine, client, ret, why);
	if (has_prefix(path, DEV_VFIO_DEVICE "vfio") && parse_number(path + strlen(DEV_VFIO_DEVICE "vfio"), &number))
		return vfio_cdev_open(&machine->vfio, (unsigned)number, client, ret, why);
	if (parse_number(path + strlen(DEV_VFIO), &number))
		return vfio_group_open(&machine->vfio, number, false, client, ret, why);
	if (has_prefix(path, DEV_VFIO_NOIOMMU) && parse_number(path + strlen(DEV_VFIO_NOIOMMU), &number))
		return vfio_group_open(&machine->vfio, number, true, client, ret, why);
	return refuse_missing(machine, path, why);
}

static int decode_open(const char *path, int flags, struct why *why)
{
	char sample[TEXT_SAMPLE];

	text_sample(path, sample);
	if (!machine_owns_path(path))
		return refuse(why, NODE_MISSING, "%s is not a device node of this machine", sample);
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return refuse(why, NODE_EXISTS, "open(%s) with O_EXCL: it cannot be created", sample);
	if (flags & O_DIRECTORY)
		return refuse(why, NODE_NOT_DIRECTORY, "%s is a character device", sample);
	return 0;
}

/* Not given, it is still ours. */
static int give(struct client *client, struct file *file, bool cloexec, struct why *why)
{
	int fd = client->ops->install_file(client, file, cloexec, why);

	if (fd < 0)
		file->ops->release(file);
	return fd;
}

int machine_open(struct machine *machine, struct client *client, const char *path, int flags, struct why *why)
{
	struct file *file = NULL;
	int ret;

	request_start(machine, why);
	client_look_again(client);
	ret = decode_open(path, flags, why);
	if (ret == 0)
		ret = open_node(machine, client, path, &file, why);
	if (ret == 0)
		ret = give(client, file, flags & O_CLOEXEC, why);
	request_finish(machine, client, why, "open %s", path);
	return ret;
}

int machine_give(struct machine *machine, struct client *client, struct file *file, bool cloexec, struct why *why)
{
	char path[sizeof(file->path)];
	int ret;

	memcpy(path, file->path, sizeof(path));
	request_start(machine, why);
	ret = give(client, file, cloexec, why);
	request_finish(machine, client, why, "open %s", path);
	return ret;
}

struct file *machine_find_file(struct machine *machine, u64 host_device, u64 inode)
{
	struct file *file;

	/* Closes can wait for the request that follows: what a descriptor means is not closed. */
	mutex_lock(&machine->lock);
	file = files_find(machine->files, host_device, inode);
	mutex_unlock(&machine->lock);
	return file;
}

bool machine_file_is_vfio(const struct file *file)
{
	return file->ops == &group_file_ops || file->ops == &device_file_ops;
}

/*
 * The caller found the file without the lock; another thread of the program may have closed it since. Only the pointer
 * is compared: there may be no file behind it any more.
 */
static int file_start(struct machine *machine, const struct file *file, struct why *why)
{
	request_start(machine, why);
	if (files_has(machine->files, file))
		return 0;
	return refuse(why, FILE_CLOSED, "the descriptor was closed while the request was on its way");
}

static int refuse_operation(const struct file *file, const char *what, struct why *why)
{
	return refuse(why, FILE_OPERATION, "%s is a %s, which cannot be %s", file->path, file->ops->kind, what);
}

static int refuse_mapping(const struct file *file, struct why *why)
{
	return refuse(why, FILE_UNMAPPABLE, "%s is a %s, which has no memory to map", file->path, file->ops->kind);
}

/* "VFIO_IOMMU_MAP_DMA /dev/vfio/vfio" */
static void name_ioctl(const struct file *file, unsigned int cmd, char *text, size_t size)
{
	const char *name = vfio_ioctl_name(file, cmd);

	if (!name)
		name = iommufd_ioctl_name(file, cmd);
	if (name)
		snprintf(text, size, "%s %s", name, file->path);
	else
		snprintf(text, size, "ioctl %#x %s", cmd, file->path);
}

static long file_ioctl(struct file *file, struct client *client, unsigned int cmd, u64 arg, struct why *why)
{
	if (file->ops->ioctl)
		return file->ops->ioctl(file, client, cmd, arg, why);
	return refuse(why, IOCTL_UNKNOWN, "%s is a %s, which takes no ioctls", file->path, file->ops->kind);
}

long machine_ioctl(struct machine *machine, struct client *client, struct file *file, unsigned int cmd, u64 arg,
		   struct why *why)
{
	char request[96] = "ioctl";
	long ret = file_start(machine, file, why);

	if (ret == 0) {
		name_ioctl(file, cmd, request, sizeof(request));
		ret = file_ioctl(file, client, cmd, arg, why);
	}
	request_finish(machine, client, why, "%s", request);
	return ret;
}

static int refuse_position(const struct file *file, struct why *why)
{
	return refuse(why, FILE_STREAM, "%s is a %s, a stream without positions", file->path, file->ops->kind);
}

/* A queue has no positions: it is only read as a stream. */
static s64 file_read(struct file *file, u64 offset, void *buffer, size_t size, struct why *why)
{
	return file->ops->read ? file->ops->read(file, offset, buffer, size, why) : refuse_operation(file, "read", why);
}

static s64 file_write(struct file *file, u64 offset, const void *buffer, size_t size, struct why *why)
{
	return file->ops->write ? file->ops->write(file, offset, buffer, size, why)
				: refuse_operation(file, "written", why);
}

s64 machine_read(struct machine *machine, struct client *client, struct file *file, u64 offset, void *buffer,
		 size_t size, struct why *why)
{
	s64 ret = file_start(machine, file, why);
	const char *path = ret == 0 ? file->path : "";

	if (ret == 0)
		ret = file->ops->poll ? refuse_position(file, why) : file_read(file, offset, buffer, size, why);
	request_finish(machine, client, why, "read %s", path);
	return ret;
}

s64 machine_write(struct machine *machine, struct client *client, struct file *file, u64 offset, const void *buffer,
		  size_t size, struct why *why)
{
	s64 ret = file_start(machine, file, why);
	const char *path = ret == 0 ? file->path : "";

	if (ret == 0)
		ret = file->ops->poll ? refuse_position(file, why) : file_write(file, offset, buffer, size, why);
	request_finish(machine, client, why, "write %s", path);
	return ret;
}

s64 machine_read_on(struct machine *machine, struct client *client, struct file *file, u64 *position, void *buffer,
		    size_t size, struct why *why)
{
	s64 ret = file_start(machine, file, why);
	const char *path = ret == 0 ? file->path : "";
	bool queue = ret == 0 && file->ops->poll;

	if (ret == 0)
		ret = file_read(file, queue ? 0 : *position, buffer, size, why);
	if (ret > 0 && !queue)
		*position += (u64)ret;
	request_finish(machine, client, why, "read %s", path);
	return ret;
}

s64 machine_write_on(struct machine *machine, struct client *client, struct file *file, u64 *position,
		     const void *buffer, size_t size, struct why *why)
{
	s64 ret = file_start(machine, file, why);
	const char *path = ret == 0 ? file->path : "";
	bool queue = ret == 0 && file->ops->poll;

	if (ret == 0)
		ret = file_write(file, queue ? 0 : *position, buffer, size, why);
	if (ret > 0 && !queue)
		*position += (u64)ret;
	request_finish(machine, client, why, "write %s", path);
	return ret;
}

int machine_ready(struct machine *machine, struct file *file, unsigned events, struct why *why)
{
	int ret = file_start(machine, file, why);

	/* What says nothing of its readiness is always ready, as in Linux. */
	if (ret == 0)
		ret = (int)((file->ops->poll ? file->ops->poll(file) : POLLIN | POLLOUT) & events);
	request_finish(machine, NULL, why, "poll");
	return ret;
}

int machine_poll(struct machine *machine, struct file *file, unsigned events, int timeout_ms, struct why *why)
{
	u64 until = os_clock_ns() + (timeout_ms > 0 ? (u64)timeout_ms * 1000000 : 0);

	for (;;) {
		u64 mark = waiting_mark(&machine->waiting), now;
		int ready = machine_ready(machine, file, events, why);

		if (ready || timeout_ms == 0)
			return ready;
		now = os_clock_ns();
		if (timeout_ms > 0 && now >= until)
			return 0;
		waiting_sleep(&machine->waiting, mark, timeout_ms < 0 ? -1 : (int)((until - now) / 1000000 + 1));
	}
}

int machine_mmap(struct machine *machine, struct client *client, struct file *file, u64 offset, u64 size, int prot,
		 int flags, struct why *why)
{
	int ret = file_start(machine, file, why);
	const char *path = ret == 0 ? file->path : "";

	if (ret == 0)
		ret = file->ops->mmap ? file->ops->mmap(file, offset, size, prot, flags, why)
				      : refuse_mapping(file, why);
	request_finish(machine, client, why, "mmap %s", path);
	return ret;
}

bool machine_precise_run(struct machine *machine, u64 host_device, u64 inode, u64 start, u64 last, struct file_run *ret)
{
	struct file *file;
	bool found;

	mutex_lock(&machine->lock);
	file = files_find(machine->files, host_device, inode);
	found = file && file->ops->precise_run && file->ops->precise_run(file, start, last, ret);
	mutex_unlock(&machine->lock);
	return found;
}

int machine_access(struct machine *machine, const struct client *client, u64 host_device, u64 inode,
		   struct file_access *access, struct why *why)
{
	struct file *file;
	int ret;

	/* A mapping of it is there, so it is open, and no close of others matters: the host is not asked for any. */
	why_clear(why);
	mutex_lock(&machine->lock);
	file = files_find(machine->files, host_device, inode);
	if (!file || !file->ops->access)
		ret = refuse(why, FILE_CLOSED, "no file of this machine is behind the mapping");
	else
		ret = file->ops->access(file, access, why);
	request_finish(machine, client, why, "access %#llx of %s", (unsigned long long)access->alias,
		       file ? file->path : "nothing");
	return ret;
}

static int find_attribute(struct machine *machine, const char *path, struct node **ret, struct why *why)
{
	char sample[TEXT_SAMPLE];

	path += strspn(path, "/"); /* the texts have one of their own */
	*ret = node_walk(machine->root, path);
	if (!*ret)
		return refuse(why, ATTRIBUTE_MISSING, "there is no /%s in this machine", text_sample(path, sample));
	if ((*ret)->kind == NODE_ATTRIBUTE)
		return 0;
	return refuse(why, ATTRIBUTE_DIRECTORY, "/%s is no attribute", text_sample(path, sample));
}

/* The part of what an attribute shows that begins at offset. */
static s64 show_part(struct node *node, u64 offset, void *buffer, size_t size, struct why *why)
{
	char text[NODE_TEXT];
	s64 shown = node->ops->show(node, text, sizeof(text), why);

	if (shown < 0 || offset >= (u64)shown)
		return shown < 0 ? shown : 0;
	size = min_u64(size, (u64)shown - offset);
	memcpy(buffer, text + offset, size);
	return (s64)size;
}

static s64 attribute_read(struct node *node, u64 offset, void *buffer, size_t size, struct why *why)
{
	if (node->ops->read)
		return node->ops->read(node, offset, buffer, size, why);
	if (node->ops->show)
		return show_part(node, offset, buffer, size, why);
	return refuse(why, ATTRIBUTE_NO_SHOW, "%s cannot be read", node->name);
}

/* As sysfs: an empty write does nothing, the offset of a text is ignored, one call takes a page at most. */
static s64 attribute_write(struct node *node, u64 offset, const void *buffer, size_t size, struct why *why)
{
	int err;

	if (node->ops->write)
		return node->ops->write(node, offset, buffer, size, why);
	if (!node->ops->store)
		return refuse(why, ATTRIBUTE_NO_STORE, "%s cannot be written", node->name);
	if (!size)
		return 0;
	size = min_u64(size, NODE_TEXT);
	err = node->ops->store(node, buffer, size, why);
	return err < 0 ? err : (s64)size;
}

s64 machine_attribute_read(struct machine *machine, struct client *client, const char *path, u64 offset, void *buffer,
			   size_t size, struct why *why)
{
	struct node *node;
	s64 ret;

	request_start(machine, why);
	ret = find_attribute(machine, path, &node, why);
	if (ret == 0)
		ret = attribute_read(node, offset, buffer, size, why);
	request_finish(machine, client, why, "read /%s", path + strspn(path, "/"));
	return ret;
}

s64 machine_attribute_write(struct machine *machine, struct client *client, const char *path, u64 offset,
			    const void *buffer, size_t size, struct why *why)
{
	struct node *node;
	s64 ret;

	request_start(machine, why);
	ret = find_attribute(machine, path, &node, why);
	if (ret == 0)
		ret = attribute_write(node, offset, buffer, size, why);
	request_finish(machine, client, why, "write /%s", path + strspn(path, "/"));
	return ret;
}

static int bind_by_hand(struct device *device, struct driver *driver, struct why *why)
{
	struct text override;
	int err;

	if (device->driver == driver)
		return 0;
	err = device->driver ? device_may_unbind(device, why) : 0;
	if (err < 0)
		return err;
	if (device->driver)
		device_unbind(device);
	text_take(&override, driver->name, strlen(driver->name));
	err = bus_set_override(device, &override, why);
	if (err == 0 && device_bind(device, driver, why) != BIND_DONE)
		err = why_context(why, "binding %s to %s", device->name, driver->name);
	return err;
}

int machine_bind(struct machine *machine, struct pci_addr addr, const char *driver_name, struct why *why)
{
	char name[PCI_ADDR_TEXT], sample[TEXT_SAMPLE];
	struct device *device;
	struct driver *driver;
	int ret;

	request_start(machine, why);
	device = device_find(machine, addr);
	driver = driver_find(&machine->drivers, driver_name);
	pci_addr_print(addr, name);
	if (!device) {
		ret = refuse(why, DRIVER_DEVICE_UNKNOWN, "there is no %s in machine %s", name,
			     machine->description->name);
	} else if (!driver) {
		ret = refuse(why, DRIVER_UNKNOWN, "machine %s has no driver \"%s\"", machine->description->name,
			     text_sample(driver_name, sample));
	} else if (!device_lock(device)) {
		ret = refuse(why, DRIVER_DEVICE_UNKNOWN, "%s was taken away", name);
	} else {
		ret = bind_by_hand(device, driver, why);
		device_unlock(device);
	}
	request_finish(machine, NULL, why, "bind %s to %s", name, text_sample(driver_name, sample));
	return ret;
}

int machine_close_events(struct machine *machine)
{
	return files_events(machine->files);
}

void machine_handle_closes(struct machine *machine)
{
	mutex_lock(&machine->lock);
	files_drain(machine->files);
	vfio_handle_events(&machine->vfio);
	machine_tell_cuts(machine);
	mutex_unlock(&machine->lock);
}
