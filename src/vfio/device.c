/* SPDX-License-Identifier: MIT */
#include "vfio/device.h"

#include <stdio.h>
#include <sys/sysmacros.h>

#include "base/alloc.h"
#include "base/os.h"
#include "iommufd/compat.h"
#include "vfio/container.h"
#include "vfio/emulated.h"
#include "vfio/group.h"
#include "vfio/ioctl.h"
#include "vfio/pci.h"

#define MODE_0600	    0000600
#define MODE_CHARACTER_0600 0020600

/* ---- files ---- */

static void init_file(struct device_file *file)
{
	char path[40];

	if (file->by_group) {
		file_init(&file->file, &device_file_ops, "anon_inode:[vfio-device]", MODE_0600, 0);
		return;
	}
	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", file->device->index);
	file_init(&file->file, &device_file_ops, path, MODE_CHARACTER_0600,
		  makedev(VFIO_DEVICE_MAJOR, file->device->index));
}

int device_file_new(struct vfio_device *device, bool by_group, struct client *client, struct device_file **ret,
		    struct why *why)
{
	struct device_file *file = alloc_new(struct device_file, why);
	int memfd;

	if (!file)
		return -why->err;
	file->device = device;
	file->by_group = by_group;
	init_file(file);
	memfd = os_memfd("vfio-device", 0, why);
	if (memfd < 0) {
		free(file);
		return memfd;
	}
	file->file.memfd = memfd;
	client_describe(client, file->opener);
	list_append(&device->files, &file->link);
	*ret = file;
	return 0;
}

void device_file_free(struct device_file *file)
{
	if (!file)
		return;
	assert(!device_file_granted(file));
	list_remove(&file->link);
	os_close(file->file.memfd);
	free(file);
}

struct vfio_device *device_of_file(struct file *file)
{
	return file->ops == &device_file_ops ? device_file_of(file)->device : NULL;
}

static void leave_iommu(struct vfio_device *device)
{
	vfio_iommufd_unbind(device);
	vfio_emulated_leave(device);
}

/* As Linux: first the driver closes, then the device leaves its address spaces and the iommufd. */
static void close_session(struct vfio_device *device)
{
	struct pci_session *session = device->session;

	pci_session_end(session);
	pci_session_free(session);
	leave_iommu(device);
}

static void device_release(struct file *file)
{
	struct device_file *opened = device_file_of(file);
	struct vfio_device *device = opened->device;
	struct group_file *held = opened->held;
	struct vfio *vfio = device->vfio;

	if (device_file_granted(opened))
		close_session(device);
	device_file_free(opened);
	if (held)
		group_file_put(held);
	if (!vfio_device_busy(device) && vfio->listener && vfio->listener->device_closed)
		vfio->listener->device_closed(vfio->listener_context, device);
}

/* ---- through the group ---- */

/* A container has the group attached already; an iommufd gets the device now (spec 04 section 4.2). */
static int use_iommu(struct vfio_device *device, struct why *why)
{
	struct context *context = device->group->context;
	u32 ioas_id;
	int err;

	/* Linux: drivers/vfio/iommufd.c:vfio_df_iommufd_bind() */
	if (vfio_device_untranslated(device))
		return device_decode_open(device, why);
	if (!context) {
		if (device->soft)
			vfio_emulated_enter(device, device->group->container->backend);
		return device_decode_open(device, why);
	}
	err = vfio_iommufd_bind(device, context, why);
	if (err < 0)
		return err;
	err = device_decode_open(device, why);
	if (err == 0)
		err = compat_ioas_id(context, &ioas_id, why);
	if (err == 0)
		err = vfio_iommufd_attach(device, &ioas_id, why);
	if (err < 0)
		vfio_iommufd_unbind(device);
	return err;
}

static int open_new(struct vfio_device *device, struct client *client, struct why *why)
{
	_free_(device_file) struct device_file *file = NULL;
	_free_(pci_session) struct pci_session *session = NULL;
	int fd = device_file_new(device, true, client, &file, why);

	if (fd == 0)
		fd = pci_session_new(device, file, &session, why);
	if (fd == 0)
		fd = use_iommu(device, why);
	if (fd < 0)
		return fd;
	fd = client->ops->install_file(client, &file->file, true, why);
	if (fd < 0) {
		leave_iommu(device);
		return fd;
	}
	if (device->group->container) {
		file->held = device->group->opened;
		group_file_get(file->held);
	}
	pci_session_begin(take(session));
	take(file);
	return fd;
}

long vfio_device_open_by_group(struct vfio_device *device, struct client *client, struct why *why)
{
	if (device->opened)
		return client->ops->install_file(client, &device->opened->file, true, why);
	return open_new(device, client, why);
}

/* ---- requests and accesses ---- */

static int refuse_unbound(const struct device_file *file, const char *what, struct why *why)
{
	const struct device_file *opened = file->device->opened;

	return refuse(why, CDEV_UNBOUND, "%s of %s: this descriptor is not bound to an iommufd%s%s", what,
		      file->device->name, opened ? ", one is of " : "", opened ? opened->opener : "");
}

const struct vfio_ioctl *device_file_request(const struct file *file, unsigned cmd)
{
	const struct device_file *opened = (const void *)file;
	const struct vfio_ioctl *row = vfio_ioctl_find(VFIO_KIND_DEVICE, cmd);

	if (!row && !opened->by_group)
		row = vfio_ioctl_find(VFIO_KIND_CDEV, cmd);
	if (!row && !opened->device->soft)
		row = vfio_ioctl_find(VFIO_KIND_PCI, cmd);
	return row;
}

static long device_ioctl(struct file *file, struct client *client, unsigned int cmd, u64 arg, struct why *why)
{
	const struct device_file *opened = device_file_of(file);
	const struct vfio_ioctl *row = device_file_request(file, cmd);
	long ret;

	if (!device_file_granted(opened) && cmd != VFIO_DEVICE_BIND_IOMMUFD)
		return refuse_unbound(opened, row ? row->name : "a request", why);
	if (cmd != VFIO_DEVICE_BIND_IOMMUFD)
		low_power_resume(opened->device->session);
	ret = vfio_ioctl_dispatch(row ? row->kind : VFIO_KIND_DEVICE, file, client, cmd, arg, why);
	if (cmd != VFIO_DEVICE_BIND_IOMMUFD)
		low_power_suspend(opened->device->session);
	return ret;
}

static s64 device_read(struct file *file, u64 offset, void *buffer, size_t size, struct why *why)
{
	const struct device_file *opened = device_file_of(file);

	if (!device_file_granted(opened))
		return refuse_unbound(opened, "a read", why);
	return pci_read(opened->device->session, offset, buffer, size, why);
}

static s64 device_write(struct file *file, u64 offset, const void *buffer, size_t size, struct why *why)
{
	const struct device_file *opened = device_file_of(file);

	if (!device_file_granted(opened))
		return refuse_unbound(opened, "a write", why);
	return pci_write(opened->device->session, offset, buffer, size, why);
}

static int device_mmap(struct file *file, u64 offset, u64 size, int prot, int flags, struct why *why)
{
	const struct device_file *opened = device_file_of(file);

	if (!device_file_granted(opened))
		return refuse_unbound(opened, "a mapping", why);
	return pci_mmap(opened->device->session, offset, size, flags, why);
}

static bool device_precise_run(struct file *file, u64 start, u64 last, struct file_run *ret)
{
	const struct device_file *opened = device_file_of(file);

	return device_file_granted(opened) && pci_precise_run(opened->device->session, start, last, ret);
}

static int device_access(struct file *file, struct file_access *access, struct why *why)
{
	const struct device_file *opened = device_file_of(file);

	if (!device_file_granted(opened))
		return refuse_unbound(opened, "an access", why);
	return pci_access(opened->device->session, access, why);
}

const struct file_ops device_file_ops = {
	.kind = "device",
	.ioctl = device_ioctl,
	.read = device_read,
	.write = device_write,
	.mmap = device_mmap,
	.precise_run = device_precise_run,
	.access = device_access,
	.release = device_release,
};

/* ---- invariants ---- */

static void check_files(const struct vfio_device *device)
{
	const struct device_file *file;
	unsigned granted = 0;

	list_for_each(file, &device->files, link) {
		assert(file->device == device && file->file.memfd >= 0);
		granted += device_file_granted(file);
		/* One that came through the group has the session from its first moment to its last. */
		assert(!file->by_group || device_file_granted(file));
		assert(!file->held || (file->by_group && file->held == device->group->opened));
	}
	assert(granted == (device->opened != NULL));
	assert((device->opened != NULL) == (device->session != NULL));
}

void vfio_device_check(const struct vfio_device *device)
{
	check_files(device);
	assert(device->group->iommu == device->iommu->group);
	/* Whoever reaches the device has it by a container of the group or by an iommufd, which need not know. */
	if (device->opened && !vfio_device_untranslated(device))
		assert((device->opened->held != NULL) != vfio_iommufd_bound(device));
	assert(!vfio_device_untranslated(device) || !vfio_iommufd_bound(device));
	vfio_iommufd_check(device);
	vf_token_check(device);
	pci_check(device);
}
