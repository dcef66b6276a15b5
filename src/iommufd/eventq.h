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
	bool open;
};

struct fault_queue; /* fault.c */

int fault_queue_find(struct context *context, u32 id, struct fault_queue **ret, struct why *why);
struct object *fault_queue_object(struct fault_queue *queue);
struct page_handler *fault_queue_handler(struct fault_queue *queue); /* for attach handles */

#endif
