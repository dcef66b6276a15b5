/* SPDX-License-Identifier: MIT */
#include "vfio/vfio.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/os.h"
#include "pci/caps.h"
#include "vfio/container.h"
#include "vfio/group.h"
#include "vfio/pci.h"
#include "vfio/pci_known.h"

#define DMA_ENTRY_LIMIT 65535 /* of vfio_iommu_type1, what a container can map at once */

void vfio_init(struct vfio *vfio, struct iommu *iommu, const struct vfio_listener *listener, void *context)
{
	*vfio = (struct vfio){
		.iommu = iommu,
		.dma_entry_limit = DMA_ENTRY_LIMIT,
		.vector_limit = UINT32_MAX,
		.listener = listener,
		.listener_context = context,
		.poller = -1,
	};
	list_init(&vfio->groups);
	list_init(&vfio->devices);
	list_init(&vfio->watches);
}

void vfio_fini(struct vfio *vfio)
{
	assert(list_empty(&vfio->groups) && list_empty(&vfio->devices) && list_empty(&vfio->watches));
	os_close(vfio->poller);
	vfio->poller = -1;
}

/* ---- eventfds of programs that we listen to ---- */

int vfio_events(struct vfio *vfio, struct why *why)
{
	if (vfio->poller < 0) {
		int poller = os_poller(why);

		if (poller < 0)
			return poller;
		vfio->poller = poller;
	}
	return vfio->poller;
}

/*
 * One eventfd, however many listen to it. Each signal is for all of them, as in Linux, where each has an entry of its
 * wait queue (drivers/vfio/virqfd.c:virqfd_wakeup()), and there is one count to take. Nor does epoll take any number of
 * descriptors of one file.
 */
struct eventfd_watch {
	int fd;		       /* owned, polled */
	u64 id;		       /* of the eventfd; 0: not known */
	struct list events;    /* of vfio_event, at least one */
	struct list_link link; /* vfio->watches */
};

static struct eventfd_watch *find_watch(const struct vfio *vfio, u64 id)
{
	struct eventfd_watch *watch;

	list_for_each(watch, &vfio->watches, link)
		if (id && watch->id == id)
			return watch;
	return NULL;
}

static struct eventfd_watch *watch_new(struct vfio *vfio, int fd, u64 id, struct why *why)
{
	int poller = vfio_events(vfio, why);
	struct eventfd_watch *watch = poller < 0 ? NULL : alloc_new(struct eventfd_watch, why);

	if (!watch)
		return NULL;
	*watch = (struct eventfd_watch){.fd = fd, .id = id};
	if (os_poller_add(poller, fd, watch, why) < 0) {
		free(watch);
		return NULL;
	}
	list_init(&watch->events);
	list_append(&vfio->watches, &watch->link);
	return watch;
}

static void watch_free(const struct vfio *vfio, struct eventfd_watch *watch)
{
	os_poller_remove(vfio->poller, watch->fd);
	os_close(watch->fd);
	list_remove(&watch->link);
	free(watch);
}

int vfio_event_listen(struct vfio *vfio, struct vfio_event *event, struct why *why)
{
	u64 id = os_eventfd_id(event->fd);
	struct eventfd_watch *watch = find_watch(vfio, id);

	if (watch)
		os_close(event->fd);
	else
		watch = watch_new(vfio, event->fd, id, why);
	if (!watch) {
		os_close(event->fd);
		event->fd = -1;
		return -why->err;
	}
	event->fd = watch->fd;
	event->watch = watch;
	list_append(&watch->events, &event->link);
	return 0;
}

void vfio_event_close(struct vfio *vfio, struct vfio_event *event)
{
	if (event->fd < 0)
		return;
	list_remove(&event->link);
	event->fd = -1;
	if (list_empty(&event->watch->events))
		watch_free(vfio, event->watch);
	event->watch = NULL;
}

/* At most so many at a time: a program that signals without end must not keep the machine from others. */
#define EVENTS_AT_ONCE 64

void vfio_handle_events(struct vfio *vfio)
{
	if (vfio->poller < 0)
		return;
	for (unsigned n = 0; n < EVENTS_AT_ONCE; n++) {
		struct eventfd_watch *watch = os_poller_next(vfio->poller);
		struct vfio_event *event;

		if (!watch)
			return;
		if (!os_eventfd_consume(watch->fd))
			continue;
		list_for_each(event, &watch->events, link)
			event->fire(event);
	}
}

/* ---- functions bound to vfio-pci ---- */

static unsigned lowest_index(const struct vfio *vfio)
{
	const struct vfio_device *device;
	unsigned index = 0;
	bool taken;

	do {
		taken = false;
		list_for_each(device, &vfio->devices, link)
			taken |= device->index == index;
		index += taken;
	} while (taken);
	return index;
}

int vfio_device_new(struct vfio *vfio, struct iommu_device *iommu, struct pci_function *function,
		    struct soft_memory *soft, const char *name, struct vfio_device **ret, struct why *why)
{
	struct vfio_device *device = alloc_new(struct vfio_device, why);
	enum group_kind kind = soft ? GROUP_EMULATED : iommu->unit ? GROUP_REAL : GROUP_NOIOMMU;
	int err;

	if (!device)
		return -why->err;
	err = group_enter(vfio, iommu->group, kind, &device->group, why);
	if (err < 0) {
		free(device);
		return err;
	}
	snprintf(device->name, sizeof(device->name), "%s", name);
	device->vfio = vfio;
	device->iommu = iommu;
	device->function = function;
	device->soft = soft;
	device->pci = vfio->pci;
	list_init(&device->files);
	err = vf_token_init(device, why);
	if (err < 0) {
		group_leave(device->group);
		free(device);
		return err;
	}
	device->index = lowest_index(vfio);
	list_append(&vfio->devices, &device->link);
	*ret = device;
	if (vfio->listener && vfio->listener->device_added)
		vfio->listener->device_added(vfio->listener_context, device, device->index);
	return 0;
}

void vfio_device_free(struct vfio_device *device)
{
	struct vfio *vfio = device->vfio;

	assert(!vfio_device_busy(device));
	list_remove(&device->link);
	if (vfio->listener && vfio->listener->device_removed)
		vfio->listener->device_removed(vfio->listener_context, device, device->index);
	vf_token_fini(device);
	group_leave(device->group);
	free(device);
}

static int decode_probe(const struct vfio *vfio, const struct pci_function *function, const char *name, struct why *why)
{
	unsigned header = function->config[PCI_HEADER_TYPE] & 0x7fu;

	if (!vfio->pci.disable_denylist && pci_known_to_be_unsafe(function))
		return refuse(why, VFIO_DENYLISTED, "%s is a device that no program should have, by its id %08x", name,
			      get_u32(function->config));
	if (header)
		return refuse(why, VFIO_NOT_ENDPOINT, "%s is a bridge (header type %u)", name, header);
	if (pci_is_physical(function) && pci_sriov_number(function))
		return refuse(why, VFIO_HAS_VIRTUALS, "%s has %u virtual functions, which others may use", name,
			      pci_sriov_number(function));
	return 0;
}

/* A driver starts with a device that is quiet; a native one may have left it mastering the bus. */
static void quiet(struct pci_function *function)
{
	pci_config_write(function, PCI_COMMAND, 2, pci_command(function) & ~(u32)PCI_COMMAND_MASTER);
}

int vfio_pci_probe(struct vfio *vfio, struct iommu_device *iommu, const char *name, struct vfio_device **ret,
		   struct why *why)
{
	struct pci_function *function = iommu->function;
	int err = decode_probe(vfio, function, name, why);

	if (err < 0)
		return err;
	if (!iommu_unit_capable(iommu->unit, CAP_COHERENT))
		return refuse(why, VFIO_INCOHERENT, "%s: the driver of %s, %s, promises no coherent DMA", name,
			      iommu->unit->name, iommu->unit->driver->name);
	quiet(function);
	return vfio_device_new(vfio, iommu, function, NULL, name, ret, why);
}

int vfio_pci_probe_untranslated(struct vfio *vfio, struct pci_function *function, const char *name,
				struct vfio_device **ret, struct why *why)
{
	struct iommu_device *iommu;
	int err = decode_probe(vfio, function, name, why);

	if (err < 0)
		return err;
	if (!vfio->noiommu)
		return refuse(why, NO_IOMMU_GROUP, "%s has no IOMMU group: it is not behind an IOMMU", name);
	err = iommu_untranslated_add(vfio->iommu, name, &iommu, why);
	if (err < 0)
		return err;
	err = vfio_device_new(vfio, iommu, function, NULL, name, ret, why);
	if (err < 0) {
		iommu_device_remove(iommu);
		return err;
	}
	iommu->driver = "vfio-pci";
	quiet(function);
	refuse(why, NO_IOMMU_TAINT,
	       "%s is behind no IOMMU: whoever opens /dev/vfio/noiommu-%d can have it reach all memory", name,
	       iommu->group->id);
	return 0;
}

void vfio_pci_remove(struct vfio_device *device)
{
	struct iommu_device *iommu = vfio_device_untranslated(device) ? device->iommu : NULL;

	assert(!device->soft);
	vfio_device_free(device);
	if (iommu)
		iommu_device_remove(iommu);
}

bool vfio_device_untranslated(const struct vfio_device *device)
{
	return device->group->kind == GROUP_NOIOMMU;
}

bool vfio_device_busy(const struct vfio_device *device)
{
	return !list_empty(&device->files);
}

void vfio_device_hide(struct vfio_device *device)
{
	device->hidden = true;
}

void vfio_device_virtuals_leave(struct vfio_device *device, bool leave)
{
	device->virtuals_leave = leave;
}

bool vfio_device_request(struct vfio_device *device)
{
	if (!device->session || device->session->req_fd < 0)
		return false;
	os_eventfd_signal(device->session->req_fd);
	return true;
}

bool vfio_device_error(struct vfio_device *device, bool fatal)
{
	struct pci_session *session = device->session;
	bool heard = session && session->err_fd >= 0;

	if (heard)
		os_eventfd_signal(session->err_fd);
	if (fatal && session)
		session_lost(session);
	else if (fatal)
		bound_reset(device);
	return heard;
}

/* Linux: drivers/base/power/runtime.c:pm_runtime_forbid(), pm_runtime_allow() */
void vfio_device_keep_awake(struct vfio_device *device, bool keep)
{
	device->kept_awake = keep;
	if (!device->session)
		return;
	if (keep)
		low_power_resume(device->session);
	else
		low_power_suspend(device->session);
}

bool vfio_device_idle(const struct vfio_device *device)
{
	if (device->kept_awake || (device->token && device->token->sriov))
		return false;
	return device->session ? device->session->suspended : !device->pci.disable_idle_d3;
}

const char *vfio_device_name(const struct vfio_device *device)
{
	return device->name;
}

struct iommu_device *vfio_device_iommu(const struct vfio_device *device)
{
	return device->iommu;
}

void vfio_check(const struct vfio *vfio)
{
	const struct vfio_group *group;
	const struct vfio_device *device, *other;

	list_for_each(group, &vfio->groups, link)
		group_check(group);
	list_for_each(device, &vfio->devices, link) {
		vfio_device_check(device);
		list_for_each(other, &vfio->devices, link)
			assert(other == device || other->index != device->index);
	}
}
