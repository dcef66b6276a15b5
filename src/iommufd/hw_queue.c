/* SPDX-License-Identifier: MIT */
/*
 * HW_QUEUEs: memory of the program that the hardware of a virtual IOMMU reads by itself, by physical address. So it
 * stays mapped and in one piece for as long as the queue is there: an access of ours locks it in the parent's IOAS.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommufd/access.h"
#include "iommufd/ioctl.h"
#include "iommufd/viommu.h"

/* Linux keeps a pointer for each page, and no array of 2^31 bytes or more. */
#define MAX_PAGES (BIT(31) / sizeof(void *))

static struct hw_queue *queue_of(const struct object *object)
{
	return container_of((struct object *)(uintptr_t)object, struct hw_queue, object);
}

/* ---- for drivers ---- */

/* Linux: drivers/iommu/iommufd/driver.c:_iommufd_object_depend() */
int hw_queue_depend(struct hw_queue *a, struct hw_queue *b, struct why *why)
{
	char text[OBJECT_TEXT];

	if (a == b)
		return refuse(why, DEPEND_SELF, "%s cannot depend on itself", object_describe(&a->object, text));
	object_use(&b->object);
	return 0;
}

void hw_queue_undepend(struct hw_queue *a, struct hw_queue *b)
{
	assert(a != b);
	object_unuse(&b->object);
}

/* ---- the memory ---- */

static u64 first_page(u64 iova)
{
	return align_down(iova, PAGE_SIZE);
}

static u64 whole_pages(u64 iova, u64 size)
{
	return align_up(iova - first_page(iova) + size, PAGE_SIZE);
}

static int refuse_rounding(const struct iommu_hw_queue_alloc *alloc, struct why *why)
{
	u64 iova = alloc->nesting_parent_iova, rounded;

	if (__builtin_add_overflow(iova - first_page(iova), alloc->length, &rounded) ||
	    __builtin_add_overflow(rounded, PAGE_SIZE - 1, &rounded))
		return refuse(why, HW_QUEUE_ROUNDING, "%#llx bytes from %#llx on have no number of pages",
			      (unsigned long long)alloc->length, (unsigned long long)iova);
	if (rounded / PAGE_SIZE >= MAX_PAGES)
		return refuse(why, OUT_OF_MEMORY, "%#llx bytes are too many for a queue",
			      (unsigned long long)alloc->length);
	return 0;
}

/* All of it was pinned just now, so each byte has an area, and its frames. */
static int find_physical(const struct ioas *ioas, u64 iova, u64 size, u64 *ret, struct why *why)
{
	u64 last = iova + size - 1, at = iova, expected = 0;

	for (;;) {
		const struct area *area = &ioas_area_at(ioas, at)->area;
		u64 physical = area_physical(area) + (at - area->node.start);

		if (at == iova)
			*ret = physical;
		else if (physical != expected)
			return refuse(why, HW_QUEUE_SCATTERED,
				      "[%#llx, %#llx] is in pieces: what is at %#llx does not follow what is before it",
				      (unsigned long long)iova, (unsigned long long)last, (unsigned long long)at);
		if (area->node.last >= last)
			return 0;
		expected = physical + (area->node.last - at) + 1;
		at = area->node.last + 1;
	}
}

static int lock_memory(struct hw_queue *queue, struct ioas *ioas, u64 *ret_physical, struct why *why)
{
	u64 start = first_page(queue->iova), size = whole_pages(queue->iova, queue->size);
	int err = access_create_internal(queue->object.context, &queue->access, why);

	if (err == 0)
		err = access_attach_ioas(queue->access, ioas, why);
	if (err == 0)
		err = access_pin(queue->access, start, size, ACCESS_READ, NULL, why);
	if (err < 0)
		return err;
	queue->locked = true;
	err = find_physical(ioas, start, size, ret_physical, why);
	*ret_physical += queue->iova - start;
	return err;
}

static void unlock_memory(struct hw_queue *queue)
{
	if (queue->locked)
		access_unpin(queue->access, first_page(queue->iova), whole_pages(queue->iova, queue->size));
	queue->locked = false;
	access_destroy(queue->access);
}

/* ---- life ---- */

/* What the driver has not heard of, or has let go. */
static void abandon(struct hw_queue *queue)
{
	unlock_memory(queue);
	object_unuse(&queue->viommu->object);
	object_fini(&queue->object);
	free(queue);
}

static void queue_free(struct object *object)
{
	struct hw_queue *queue = queue_of(object);

	if (queue->viommu->driver->hw_queue_destroy)
		queue->viommu->driver->hw_queue_destroy(queue);
	abandon(queue);
}

static void queue_describe(const struct object *object, char *text, size_t size)
{
	snprintf(text, size, " of VIOMMU %u", queue_of(object)->viommu->object.id);
}

static void queue_check(const struct object *object)
{
	const struct hw_queue *queue = queue_of(object);
	const struct ioas_area *area = ioas_area_at(queue->viommu->parent->ioas, queue->iova);

	assert(queue->locked && queue->viommu->object.users > 0);
	assert(area && area->locks > 0);
	(void)area;
}

const struct object_class hw_queue_class = {
	.name = "HW_QUEUE",
	.free = queue_free,
	.describe = queue_describe,
	.check = queue_check,
};

/* ---- HW_QUEUE_ALLOC ---- */

static int decode(struct request *request, const struct iommu_hw_queue_alloc *alloc, struct viommu **ret,
		  size_t *ret_size, struct why *why)
{
	char text[OBJECT_TEXT];
	u64 last;
	int err = refuse_unknown_flags(request, alloc->flags, 0, why);

	if (err < 0)
		return err;
	if (alloc->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return refuse(why, HW_QUEUE_TYPE, "no queue of VIOMMU %u has type 0", alloc->viommu_id);
	if (!alloc->length)
		return refuse(why, HW_QUEUE_EMPTY, "a queue of no bytes at %#llx",
			      (unsigned long long)alloc->nesting_parent_iova);
	if (__builtin_add_overflow(alloc->nesting_parent_iova, alloc->length - 1, &last))
		return refuse(why, HW_QUEUE_OVERFLOW, "%#llx bytes from %#llx on", (unsigned long long)alloc->length,
			      (unsigned long long)alloc->nesting_parent_iova);
	err = viommu_find(request->context, alloc->viommu_id, ret, why);
	if (err < 0)
		return err;
	*ret_size = (*ret)->driver->hw_queue_size ? (*ret)->driver->hw_queue_size(*ret, alloc->type) : 0;
	if (*ret_size)
		return 0;
	return refuse(why, HW_QUEUE_TYPE, "%s has no queues of type %#x", object_describe(&(*ret)->object, text),
		      alloc->type);
}

static int queue_new(const struct iommu_hw_queue_alloc *alloc, struct viommu *viommu, size_t size,
		     struct hw_queue **ret, struct why *why)
{
	struct hw_queue *queue;
	u64 physical = 0;
	int err;

	assert(size >= sizeof(*queue));
	queue = alloc_zero(size, why);
	if (!queue)
		return -why->err;
	err = object_init(&queue->object, &hw_queue_class, viommu->object.context, why);
	if (err < 0) {
		free(queue);
		return err;
	}
	queue->viommu = viommu;
	object_use(&viommu->object);
	queue->type = alloc->type;
	queue->iova = alloc->nesting_parent_iova;
	queue->size = alloc->length;
	err = refuse_rounding(alloc, why);
	if (err == 0)
		err = lock_memory(queue, viommu->parent->ioas, &physical, why);
	if (err == 0 && viommu->driver->hw_queue_init)
		err = viommu->driver->hw_queue_init(queue, alloc->index, physical, why);
	if (err < 0) {
		abandon(queue);
		return err;
	}
	*ret = queue;
	return 0;
}

/* Linux: drivers/iommu/iommufd/viommu.c:iommufd_hw_queue_alloc_ioctl() */
long ioctl_hw_queue_alloc(struct request *request, struct why *why)
{
	struct iommu_hw_queue_alloc *alloc = &request->command->ioctl_hw_queue_alloc_command;
	struct hw_queue *queue;
	struct viommu *viommu;
	size_t size;
	int err = decode(request, alloc, &viommu, &size, why);

	if (err == 0)
		err = queue_new(alloc, viommu, size, &queue, why);
	if (err < 0)
		return err;
	alloc->out_hw_queue_id = queue->object.id;
	err = request_answer(request, why);
	if (err < 0)
		queue_free(&queue->object);
	else
		object_publish(&queue->object);
	return err;
}
