/* SPDX-License-Identifier: MIT */
/*
 * Queues that programs read: page requests (fault queues, which take answers, too) and events of virtual IOMMUs (spec
 * 03 sections 10 and 11). The descriptor keeps the context and uses the object.
 */
#ifndef IOMMUFD_EVENTQ_H
#define IOMMUFD_EVENTQ_H

#include "iommu/page_request.h"
#include "iommufd/context.h"

struct eventq {
	struct file file; /* first */
	struct object object;
	bool open; /* has descriptors; each of them keeps the context and is one user of the object */
};

static inline struct eventq *eventq_of_file(struct file *file)
{
	return container_of(file, struct eventq, file);
}

static inline struct eventq *eventq_of(struct object *object)
{
	return container_of(object, struct eventq, object);
}

struct request;
/*
 * A new, zeroed queue of size bytes, with an id and a file, which the program does not have yet. On the program's side
 * nothing has changed until eventq_give().
 */
int eventq_new(struct context *context, size_t size, const struct object_class *class, const struct file_ops *ops,
	       const char *path, struct eventq **ret, struct why *why);
/* Its memory, id and file; nobody uses it. The last step of the class's free(). */
void eventq_free(struct eventq *queue);
/*
 * Gives the program a descriptor, fills *id and *fd, which are in the request, answers that and publishes. On failure
 * the queue goes (by its class's free()) - at once, or if the program's answer got lost between two of its threads,
 * with its descriptor.
 */
int eventq_give(struct eventq *queue, struct request *request, u32 *id, u32 *fd, struct why *why);
void eventq_release(struct file *file); /* file_ops.release of all of them */
/* QUEUE_POSITION (ESPIPE): queues have none. */
int eventq_at_start(const struct eventq *queue, u64 offset, struct why *why);

/* ---- page requests (fault.c) ---- */

extern const struct object_class fault_class;
struct fault_queue;

int fault_queue_find(struct context *context, u32 id, struct fault_queue **ret, struct why *why);
struct object *fault_queue_object(struct fault_queue *queue);
struct page_handler *fault_queue_handler(struct fault_queue *queue); /* for attach handles */

#endif
