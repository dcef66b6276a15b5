/* SPDX-License-Identifier: MIT */
/*
 * Fault queues: page requests of the devices that are attached to HWPTs with the queue. A group of requests is read
 * whole, under one cookie, and answered once, by writing that. When an attachment ends, the core answers what is left
 * of it and tells us to forget it.
 */
#include <poll.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommufd/device.h"
#include "iommufd/eventq.h"
#include "iommufd/ioctl.h"

/* A group that waits to be read, or for its answer. */
struct asked {
	struct page_group *group; /* borrowed from the core until answered or forgotten */
	u32 cookie;		  /* 0: not read yet */
	struct list_link link;	  /* queue->waiting; not once it was read */
};

struct fault_queue {
	struct eventq eventq; /* first */
	struct page_handler handler;
	struct list waiting; /* struct asked, owned, in the order they came */
	struct idmap read;   /* struct asked, owned, by cookie */
};

static struct fault_queue *fault_of(struct eventq *eventq)
{
	return container_of(eventq, struct fault_queue, eventq);
}

struct object *fault_queue_object(struct fault_queue *queue)
{
	return &queue->eventq.object;
}

struct page_handler *fault_queue_handler(struct fault_queue *queue)
{
	return &queue->handler;
}

int fault_queue_find(struct context *context, u32 id, struct fault_queue **ret, struct why *why)
{
	struct object *object;
	int err = object_find(context, id, &fault_class, &object, why);

	if (err == 0)
		*ret = fault_of(eventq_of(object));
	return err;
}

/* ---- the core's side ---- */

static int take_group(struct page_handler *handler, struct page_group *group, struct why *why)
{
	struct fault_queue *queue = container_of(handler, struct fault_queue, handler);
	struct asked *asked = alloc_new(struct asked, why);

	if (!asked)
		return -why->err;
	asked->group = group;
	list_append(&queue->waiting, &asked->link);
	file_wake(&queue->eventq.file);
	return 0;
}

static void asked_free(struct fault_queue *queue, struct asked *asked)
{
	if (asked->cookie)
		idmap_abandon(&queue->read, asked->cookie);
	list_remove(&asked->link);
	free(asked);
}

static struct asked *find_asked(const struct fault_queue *queue, const struct page_group *group)
{
	struct asked *asked;

	list_for_each(asked, &queue->waiting, link)
		if (asked->group == group)
			return asked;
	for (u32 cookie = 0; (asked = idmap_next(&queue->read, &cookie)); cookie++)
		if (asked->group == group)
			break;
	return asked;
}

static void forget_group(struct page_handler *handler, struct page_group *group)
{
	struct fault_queue *queue = container_of(handler, struct fault_queue, handler);

	asked_free(queue, find_asked(queue, group));
	file_wake(&queue->eventq.file);
}

/* ---- reading ---- */

/*
 * The device that asks, if it is bound. Linux tells the first one of the group that was attached, whichever asks
 * (iommufd_fault_fops_read()); of a group with one device that is the same.
 */
static u32 device_id(const struct page_group *group)
{
	const struct device_handle *handle = container_of(group->handle, struct device_handle, core);
	const struct iommufd_device *device = context_device(handle->device->object.context, group->device);

	return (device ? device : handle->device)->object.id;
}

static u32 export_permission(unsigned permission)
{
	return (permission & ISOLDE_PT_READ ? IOMMU_PGFAULT_PERM_READ : 0) |
	       (permission & ISOLDE_PT_WRITE ? IOMMU_PGFAULT_PERM_WRITE : 0) |
	       (permission & ISOLDE_PT_EXECUTE ? IOMMU_PGFAULT_PERM_EXEC : 0) |
	       (permission & ISOLDE_PT_PRIVILEGED ? IOMMU_PGFAULT_PERM_PRIV : 0);
}

/* The buffer may be anywhere in a reply. */
static void export_group(const struct asked *asked, u8 *to)
{
	const struct page_group *group = asked->group;
	u32 dev_id = device_id(group);

	for (unsigned i = 0; i < group->count; i++) {
		const struct page_request *request = &group->requests[i];
		const struct iommu_hwpt_pgfault record = {
			.flags = (request->has_pasid ? IOMMU_PGFAULT_FLAGS_PASID_VALID : 0) |
				 (request->last ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0),
			.dev_id = dev_id,
			.pasid = request->pasid,
			.grpid = request->group,
			.perm = export_permission(request->permission),
			.addr = request->iova,
			.cookie = asked->cookie,
		};

		memcpy(to + i * sizeof(record), &record, sizeof(record));
	}
}

static int read_group(struct fault_queue *queue, u8 *to, size_t room, struct why *why)
{
	struct asked *asked = list_first(&queue->waiting, struct asked, link);
	char text[OBJECT_TEXT];
	int err;

	if (asked->group->count > room)
		return refuse(why, QUEUE_SHORT, "room for %zu records, and the next group of %s has %u", room,
			      object_describe(&queue->eventq.object, text), asked->group->count);
	err = idmap_reserve(&queue->read, 1, &asked->cookie, why);
	if (err < 0)
		return err;
	list_remove(&asked->link);
	idmap_publish(&queue->read, asked->cookie, asked);
	export_group(asked, to);
	return (int)asked->group->count;
}

/* Linux: drivers/iommu/iommufd/eventq.c:iommufd_fault_fops_read() */
static s64 fault_read(struct file *file, u64 offset, void *buffer, size_t size, struct why *why)
{
	struct fault_queue *queue = fault_of(eventq_of_file(file));
	const size_t record = sizeof(struct iommu_hwpt_pgfault);
	size_t room = size / record, done = 0;
	int count = eventq_at_start(&queue->eventq, offset, why);

	if (count < 0)
		return count;
	if (size % record)
		return refuse(why, QUEUE_RECORDS, "a read of %zu bytes: records have %zu", size, record);
	while (!list_empty(&queue->waiting)) {
		count = read_group(queue, (u8 *)buffer + done * record, room - done, why);
		if (count < 0)
			break;
		done += (size_t)count;
	}
	if (!done)
		return count;
	/* The rest stays for the next read. */
	why_clear(why);
	return (s64)(done * record);
}

/* ---- answering ---- */

static int answer(struct fault_queue *queue, const struct iommu_hwpt_page_response *response, struct why *why)
{
	struct asked *asked = idmap_find(&queue->read, response->cookie);
	struct page_group *group;
	char text[OBJECT_TEXT];

	object_describe(&queue->eventq.object, text);
	if (response->code != IOMMUFD_PAGE_RESP_SUCCESS && response->code != IOMMUFD_PAGE_RESP_INVALID)
		return refuse(why, PAGE_ANSWER, "answer %u to cookie %u of %s", response->code, response->cookie, text);
	if (!asked)
		return refuse(why, PAGE_ANSWER, "nothing that was read from %s waits under cookie %u", text,
			      response->cookie);
	group = asked->group;
	asked_free(queue, asked);
	iommu_answer_page_group(group, response->code == IOMMUFD_PAGE_RESP_SUCCESS ? PAGE_SUCCESS : PAGE_INVALID);
	return 0;
}

/* Linux: drivers/iommu/iommufd/eventq.c:iommufd_fault_fops_write() */
static s64 fault_write(struct file *file, u64 offset, const void *buffer, size_t size, struct why *why)
{
	struct fault_queue *queue = fault_of(eventq_of_file(file));
	struct iommu_hwpt_page_response response;
	int err = eventq_at_start(&queue->eventq, offset, why);
	size_t done = 0;

	if (err < 0)
		return err;
	if (size % sizeof(response))
		return refuse(why, QUEUE_RECORDS, "a write of %zu bytes: answers have %zu", size, sizeof(response));
	while (done < size) {
		memcpy(&response, (const u8 *)buffer + done, sizeof(response));
		err = answer(queue, &response, why);
		if (err < 0)
			break;
		done += sizeof(response);
	}
	/* The reason of a short count stays, as a remark. */
	return done ? (s64)done : err;
}

static unsigned fault_poll(struct file *file)
{
	const struct fault_queue *queue = fault_of(eventq_of_file(file));

	return POLLOUT | (list_empty(&queue->waiting) ? 0u : POLLIN);
}

/* ---- life ---- */

static void fault_free(struct object *object)
{
	struct fault_queue *queue = fault_of(eventq_of(object));

	/* No HWPT uses it, so that nothing is attached through it: every group has been answered. */
	assert(list_empty(&queue->waiting));
	idmap_fini(&queue->read);
	eventq_free(&queue->eventq);
}

static void fault_check(const struct object *object)
{
	const struct fault_queue *queue = container_of(container_of(object, struct eventq, object), struct fault_queue,
						       eventq);
	const struct asked *asked;

	/* 14: what was asked is in one place. */
	list_for_each(asked, &queue->waiting, link)
		assert(!asked->cookie && find_asked(queue, asked->group) == asked);
	for (u32 cookie = 0; (asked = idmap_next(&queue->read, &cookie)); cookie++)
		assert(asked->cookie == cookie && find_asked(queue, asked->group) == asked);
	assert(object->users >= queue->eventq.open);
}

const struct object_class fault_class = {
	.name = "FAULT",
	.free = fault_free,
	.check = fault_check,
};

static const struct file_ops fault_file_ops = {
	.kind = "fault queue",
	.read = fault_read,
	.write = fault_write,
	.poll = fault_poll,
	.release = eventq_release,
};

/* Linux: drivers/iommu/iommufd/eventq.c:iommufd_fault_alloc() */
long ioctl_fault_queue_alloc(struct request *request, struct why *why)
{
	struct iommu_fault_alloc *alloc = &request->command->ioctl_fault_queue_alloc_command;
	struct fault_queue *queue;
	struct eventq *eventq;
	int err = refuse_unknown_flags(request, alloc->flags, 0, why);

	if (err == 0)
		err = eventq_new(request->context, sizeof(struct fault_queue), &fault_class, &fault_file_ops,
				 "anon_inode:[iommufd-pgfault]", &eventq, why);
	if (err < 0)
		return err;
	queue = fault_of(eventq);
	queue->handler = (struct page_handler){.handle = take_group, .forget = forget_group};
	list_init(&queue->waiting);
	return eventq_give(eventq, request, &alloc->out_fault_id, &alloc->out_fault_fd, why);
}
