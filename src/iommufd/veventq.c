/* SPDX-License-Identifier: MIT */
/*
 * Events of a virtual IOMMU, for the program that emulates it: what the driver of the real one reports, one queue for
 * each type. Each event has a number; one that found the queue full is lost, and only a mark at the end says so, which
 * goes when the next event comes, because the gap in the numbers says the same.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommufd/ioctl.h"
#include "iommufd/viommu.h"

#define MAX_DEPTH     (1u << 19)
#define LAST_SEQUENCE 0x7fffffffu

struct vevent {
	struct list_link link; /* queue->events */
	u32 sequence;
	size_t size;
	u8 data[];
};

static struct veventq *veventq_of(struct eventq *eventq)
{
	return container_of(eventq, struct veventq, eventq);
}

static struct veventq *find_queue(const struct viommu *viommu, u32 type)
{
	struct veventq *queue;

	list_for_each(queue, &viommu->queues, link)
		if (queue->type == type)
			return queue;
	return NULL;
}

/* ---- the driver's side ---- */

static u32 next_sequence(struct veventq *queue)
{
	u32 sequence = queue->sequence;

	queue->sequence = sequence == LAST_SEQUENCE ? 0 : sequence + 1;
	return sequence;
}

static void lose_event(struct veventq *queue)
{
	queue->lost = true;
	queue->lost_sequence = next_sequence(queue);
}

static void append_event(struct veventq *queue, struct vevent *event)
{
	event->sequence = next_sequence(queue);
	list_append(&queue->events, &event->link);
	queue->nevents++;
	queue->lost = false;
}

/* Linux: drivers/iommu/iommufd/driver.c:iommufd_viommu_report_event() */
int viommu_report_event(struct viommu *viommu, u32 type, const void *data, size_t size, struct why *why)
{
	struct veventq *queue = find_queue(viommu, type);
	char text[OBJECT_TEXT];
	struct vevent *event;

	if (!size || !data)
		return refuse(why, EVENT_EMPTY, "an event of type %#x for %s has no data", type,
			      object_describe(&viommu->object, text));
	if (!queue)
		return refuse(why, EVENT_NO_QUEUE, "%s has no queue for events of type %#x",
			      object_describe(&viommu->object, text), type);
	event = alloc_zero(sizeof(*event) + size, why);
	if (event && queue->nevents < queue->depth) {
		event->size = size;
		memcpy(event->data, data, size);
		append_event(queue, event);
	} else {
		free(event);
		lose_event(queue);
	}
	file_wake(&queue->eventq.file);
	return event ? 0 : -why->err;
}

/* ---- reading ---- */

static void export_header(u8 *to, u32 flags, u32 sequence)
{
	const struct iommufd_vevent_header header = {.flags = flags, .sequence = sequence};

	memcpy(to, &header, sizeof(header));
}

static size_t read_event(struct veventq *queue, struct vevent *event, u8 *to)
{
	size_t size = sizeof(struct iommufd_vevent_header) + event->size;

	export_header(to, 0, event->sequence);
	memcpy(to + sizeof(struct iommufd_vevent_header), event->data, event->size);
	list_remove(&event->link);
	free(event);
	queue->nevents--;
	return size;
}

/* Linux: drivers/iommu/iommufd/eventq.c:iommufd_veventq_fops_read() */
static s64 veventq_read(struct file *file, u64 offset, void *buffer, size_t size, struct why *why)
{
	struct veventq *queue = veventq_of(eventq_of_file(file));
	const size_t header = sizeof(struct iommufd_vevent_header);
	char text[OBJECT_TEXT];
	struct vevent *event;
	size_t done = 0;
	int err = eventq_at_start(&queue->eventq, offset, why);

	if (err < 0)
		return err;
	object_describe(&queue->eventq.object, text);
	if (size < header)
		return refuse(why, QUEUE_SHORT, "a read of %zu bytes from %s: a header has %zu", size, text, header);
	while ((event = list_first(&queue->events, struct vevent, link)) && header + event->size <= size - done)
		done += read_event(queue, event, (u8 *)buffer + done);
	if (event && !done)
		return refuse(why, QUEUE_SHORT, "a read of %zu bytes from %s: the next event has %zu", size, text,
			      header + event->size);
	if (!event && queue->lost && header <= size - done) {
		export_header((u8 *)buffer + done, IOMMU_VEVENTQ_FLAG_LOST_EVENTS, queue->lost_sequence);
		queue->lost = false;
		done += header;
	}
	return (s64)done;
}

static unsigned veventq_poll(struct file *file)
{
	const struct veventq *queue = veventq_of(eventq_of_file(file));

	return list_empty(&queue->events) && !queue->lost ? 0 : POLLIN;
}

/* ---- life ---- */

static void veventq_free(struct object *object)
{
	struct veventq *queue = veventq_of(eventq_of(object));
	struct vevent *event, *following;

	list_for_each_safe(event, following, &queue->events, link) {
		list_remove(&event->link);
		free(event);
	}
	list_remove(&queue->link);
	object_unuse(&queue->viommu->object);
	eventq_free(&queue->eventq);
}

static void veventq_describe(const struct object *object, char *text, size_t size)
{
	const struct veventq *queue = container_of(container_of(object, struct eventq, object), struct veventq, eventq);

	snprintf(text, size, " of VIOMMU %u", queue->viommu->object.id);
}

/* 15: what is in the queue has numbers that only grow. */
static void veventq_check(const struct object *object)
{
	const struct veventq *queue = container_of(container_of(object, struct eventq, object), struct veventq, eventq);

	assert(queue->nevents == list_length(&queue->events) && queue->nevents <= queue->depth);
	assert(find_queue(queue->viommu, queue->type) == queue && queue->viommu->object.users > 0);
	assert(object->users == queue->eventq.open);
	(void)queue;
}

const struct object_class veventq_class = {
	.name = "VEVENTQ",
	.free = veventq_free,
	.describe = veventq_describe,
	.check = veventq_check,
};

static const struct file_ops veventq_file_ops = {
	.kind = "event queue",
	.read = veventq_read,
	.poll = veventq_poll,
	.release = eventq_release,
};

static int decode(struct request *request, const struct iommu_veventq_alloc *alloc, struct viommu **ret,
		  struct why *why)
{
	const struct veventq *taken;
	char text[OBJECT_TEXT];
	int err = refuse_unknown_flags(request, alloc->flags, 0, why);

	if (err == 0)
		err = refuse_reserved_field(request, alloc->__reserved, why);
	if (err == 0 && alloc->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		err = refuse(why, VEVENTQ_TYPE, "no event of VIOMMU %u has type 0", alloc->viommu_id);
	if (err == 0 && (!alloc->veventq_depth || alloc->veventq_depth > MAX_DEPTH))
		err = refuse(why, VEVENTQ_DEPTH, "a queue of %u events", alloc->veventq_depth);
	if (err == 0)
		err = viommu_find(request->context, alloc->viommu_id, ret, why);
	if (err < 0)
		return err;
	taken = find_queue(*ret, alloc->type);
	if (!taken)
		return 0;
	return refuse(why, VEVENTQ_TAKEN, "events of type %#x go to %s already", alloc->type,
		      object_describe(&taken->eventq.object, text));
}

/* Linux: drivers/iommu/iommufd/eventq.c:iommufd_veventq_alloc() */
long ioctl_veventq_alloc(struct request *request, struct why *why)
{
	struct iommu_veventq_alloc *alloc = &request->command->ioctl_veventq_alloc_command;
	struct veventq *queue;
	struct eventq *eventq;
	struct viommu *viommu;
	int err = decode(request, alloc, &viommu, why);

	if (err == 0)
		err = eventq_new(request->context, sizeof(struct veventq), &veventq_class, &veventq_file_ops,
				 "anon_inode:[iommufd-viommu-event]", &eventq, why);
	if (err < 0)
		return err;
	queue = veventq_of(eventq);
	queue->type = alloc->type;
	queue->depth = alloc->veventq_depth;
	queue->viommu = viommu;
	object_use(&viommu->object);
	list_init(&queue->events);
	list_append(&viommu->queues, &queue->link);
	return eventq_give(eventq, request, &alloc->out_veventq_id, &alloc->out_veventq_fd, why);
}
