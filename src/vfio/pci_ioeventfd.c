/* SPDX-License-Identifier: MIT */
/* IOEVENTFD: an eventfd of the program that writes a register when it is signalled. Spec 05 section 10. */
#include "base/alloc.h"
#include "vfio/ioctl.h"
#include "vfio/pci.h"

#define IOEVENTFDS 1000 /* Linux's limit for one device */

static void fired(struct vfio_event *event)
{
	const struct pci_ioeventfd *watched = container_of(event, struct pci_ioeventfd, event);
	u64 offset = watched->offset & (BIT(REGION_SHIFT) - 1);

	bar_store(watched->session, (unsigned)(watched->offset >> REGION_SHIFT), offset, watched->width, watched->data);
}

static void drop(struct pci_ioeventfd *watched)
{
	struct pci_session *session = watched->session;

	vfio_event_close(session->device->vfio, &watched->event);
	list_remove(&watched->link);
	session->nioeventfds--;
	free(watched);
}

void ioeventfds_drop(struct pci_session *session)
{
	while (!list_empty(&session->ioeventfds))
		drop(list_first(&session->ioeventfds, struct pci_ioeventfd, link));
}

static struct pci_ioeventfd *find(const struct pci_session *session, const struct vfio_device_ioeventfd *request)
{
	struct pci_ioeventfd *watched;

	list_for_each(watched, &session->ioeventfds, link)
		if (watched->offset == request->offset && watched->data == request->data &&
		    watched->width == (request->flags & VFIO_DEVICE_IOEVENTFD_SIZE_MASK))
			return watched;
	return NULL;
}

static int decode_flags(const struct vfio_device_ioeventfd *request, struct why *why)
{
	u32 sizes = request->flags & VFIO_DEVICE_IOEVENTFD_SIZE_MASK;

	if (request->flags != sizes || __builtin_popcount(sizes) != 1)
		return refuse(why, IOEVENTFD_ARGUMENT, "flags %#x are not exactly one size", request->flags);
	if (request->fd < -1)
		return refuse(why, IOEVENTFD_ARGUMENT, "%d is neither a descriptor nor -1", request->fd);
	return 0;
}

static int decode_register(const struct pci_session *session, const struct vfio_device_ioeventfd *request,
			   struct why *why)
{
	unsigned long long region = request->offset >> REGION_SHIFT;
	u64 start = request->offset & (BIT(REGION_SHIFT) - 1), width = request->flags;
	const char *name = session->device->name;
	struct msix_table table;

	if (region >= PCI_BARS)
		return refuse(why, IOEVENTFD_ARGUMENT, "region %llu of %s is no BAR", region, name);
	if (start + width > bar_size(session->function, (unsigned)region))
		return refuse(why, IOEVENTFD_ARGUMENT, "offset %#llx is not in BAR %llu of %s",
			      (unsigned long long)start, region, name);
	if (msix_table(session->function, &table) && table.bar == region &&
	    ranges_overlap(start, start + width - 1, table.start, table.start + table.size - 1))
		return refuse(why, IOEVENTFD_ARGUMENT, "offset %#llx of BAR %llu of %s is in its MSI-X table",
			      (unsigned long long)start, region, name);
	if (width == 8)
		return refuse(why, IOEVENTFD_ARGUMENT, "%s: 64-bit stores are not offered", name);
	return 0;
}

static int add(struct pci_session *session, struct client *client, const struct vfio_device_ioeventfd *request,
	       struct why *why)
{
	struct pci_ioeventfd *watched = alloc_new(struct pci_ioeventfd, why);
	int err;

	if (!watched)
		return -why->err;
	*watched = (struct pci_ioeventfd){
		.event.fire = fired,
		.session = session,
		.offset = request->offset,
		.data = request->data,
		.width = request->flags,
	};
	watched->event.fd = client->ops->get_eventfd(client, request->fd, why);
	err = watched->event.fd < 0 ? watched->event.fd
				    : vfio_event_listen(session->device->vfio, &watched->event, why);
	if (err < 0) {
		free(watched);
		return err;
	}
	list_append(&session->ioeventfds, &watched->link);
	session->nioeventfds++;
	return 0;
}

long pci_ioeventfd(struct file *file, struct client *client, const union vfio_head *head, u64 arg, struct why *why)
{
	struct pci_session *session = pci_session_of(file);
	const struct vfio_device_ioeventfd *request = (const void *)head;
	struct pci_ioeventfd *same;
	int err = decode_flags(request, why);

	if (err == 0)
		err = decode_register(session, request, why);
	if (err < 0)
		return err;
	same = find(session, request);
	if (same && request->fd == -1) {
		drop(same);
		return 0;
	}
	if (same)
		return refuse(why, IOEVENTFD_EXISTS, "%s: offset %#llx has an eventfd for that value already",
			      session->device->name, (unsigned long long)request->offset);
	if (request->fd == -1)
		return refuse(why, IOEVENTFD_MISSING, "%s: offset %#llx has no eventfd for that value",
			      session->device->name, (unsigned long long)request->offset);
	if (session->nioeventfds >= IOEVENTFDS)
		return refuse(why, IOEVENTFD_LIMIT, "%s has %u ioeventfds", session->device->name,
			      session->nioeventfds);
	return add(session, client, request, why);
}
