/* SPDX-License-Identifier: MIT */
/* Virtual IOMMUs of the mock: with a page to look at, queues that depend on each other, caches of devices. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "iommufd/ioctl.h"
#include "selftest/mock.h"

#define REGION_SIZE (2 * PAGE_SIZE)

struct mock_hw_queue {
	struct hw_queue queue;	     /* first */
	struct mock_viommu *viommu;  /* borrowed; NULL: not initialised */
	struct mock_hw_queue *below; /* the one with the next lower index; borrowed: it cannot go first */
	u32 index;
};

static struct mock_viommu *mock_viommu_of(struct viommu *viommu)
{
	return container_of(viommu, struct mock_viommu, viommu);
}

static struct mock_hw_queue *mock_hw_queue_of(struct hw_queue *queue)
{
	return container_of(queue, struct mock_hw_queue, queue);
}

/* ---- life ---- */

size_t mock_viommu_size(struct iommu_device *device, u32 type)
{
	return type == IOMMU_VIOMMU_TYPE_SELFTEST ? sizeof(struct mock_viommu) : 0;
}

/* What the program gave comes back in its structure, and in a page that it can map. */
static int loop_back(struct mock_viommu *mock, const struct user_data *data, struct why *why)
{
	struct iommu_viommu_selftest loop;
	void *memory;
	u64 offset;
	int err = user_data_read(data, IOMMU_VIOMMU_TYPE_SELFTEST, THROUGH(struct iommu_viommu_selftest, out_data),
				 &loop, sizeof(loop), why);

	if (err == 0)
		err = mmap_region_new(&mock->viommu.object, REGION_SIZE, &mock->region, &offset, &memory, why);
	if (err < 0)
		return err;
	put_u32(memory, loop.in_data);
	loop.out_data = loop.in_data;
	loop.out_mmap_offset = offset;
	loop.out_mmap_length = REGION_SIZE;
	err = user_data_write(data, &loop, sizeof(loop), why);
	if (err < 0) {
		mmap_region_free(mock->region);
		mock->region = NULL;
	}
	return err;
}

/* Linux: drivers/iommu/iommufd/selftest.c:mock_viommu_init() */
int mock_viommu_init(struct viommu *viommu, struct domain *parent, const struct user_data *data, struct why *why)
{
	struct mock_viommu *mock = mock_viommu_of(viommu);

	mock->parent = parent;
	return data ? loop_back(mock, data, why) : 0;
}

void mock_viommu_destroy(struct viommu *viommu)
{
	mmap_region_free(mock_viommu_of(viommu)->region);
}

int mock_viommu_alloc_nested(struct viommu *viommu, u32 flags, const struct user_data *data, struct domain **ret,
			     struct why *why)
{
	return mock_nested_new(mock_viommu_of(viommu)->parent, viommu->unit, viommu, flags, data, ret, why);
}

/* ---- invalidation of devices' caches ---- */

static int clear_cache(struct viommu *viommu, const struct iommu_viommu_invalidate_selftest *entry, struct why *why)
{
	const struct vdevice *vdevice = viommu_find_vdevice(viommu, entry->vdev_id);
	char text[OBJECT_TEXT];
	int err = mock_refuse_words(entry->flags, entry->cache_id, MOCK_DEV_CACHE_ID_MAX, "device cache", why);

	if (err < 0)
		return err;
	if (!vdevice)
		return refuse(why, MOCK_VDEVICE, "%s has no device with virtual id %#x",
			      object_describe(&viommu->object, text), entry->vdev_id);
	mock_clear_words(mock_device_of(vdevice->device->core)->cache, MOCK_DEV_CACHE_NUM, entry->flags,
			 entry->cache_id);
	return 0;
}

/* All are copied in before the first one is looked at. Linux: selftest.c:mock_viommu_cache_invalidate() */
int mock_viommu_invalidate(struct viommu *viommu, struct user_array *array, struct why *why)
{
	struct iommu_viommu_invalidate_selftest *entries;
	int err;

	array->done = 0;
	if (!array->count && array->type == IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST)
		return 0;
	entries = alloc_array(max_u64(array->count, 1), sizeof(*entries), why);
	if (!entries)
		return -why->err;
	err = user_array_read_all(array, IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST, entries, sizeof(*entries), why);
	while (err == 0 && array->done < array->count) {
		err = clear_cache(viommu, &entries[array->done], why);
		array->done += err == 0;
	}
	free(entries);
	return err;
}

/* ---- hardware queues ---- */

size_t mock_hw_queue_size(struct viommu *viommu, u32 type)
{
	return type == IOMMU_HW_QUEUE_TYPE_SELFTEST ? sizeof(struct mock_hw_queue) : 0;
}

static int refuse_queue(const struct mock_viommu *mock, const struct hw_queue *queue, u32 index, u64 physical,
			struct why *why)
{
	if (index >= IOMMU_TEST_HW_QUEUE_MAX)
		return refuse(why, MOCK_INDEX, "a mock has queues 0 to %u, not %u", IOMMU_TEST_HW_QUEUE_MAX - 1, index);
	if (mock->queues[index])
		return refuse(why, MOCK_QUEUE_TAKEN, "queue %u is HW_QUEUE %u already", index,
			      mock->queues[index]->queue.object.id);
	if (index && !mock->queues[index - 1])
		return refuse(why, MOCK_QUEUE_ORDER, "there is no queue %u yet, on which queue %u would depend",
			      index - 1, index);
	if (isolde_pt_iova_to_phys(mock->parent->pt, queue->iova) != physical)
		return refuse(why, MOCK_QUEUE_ADDRESS, "IOVA 0x%llx of queue %u is not at 0x%llx in the parent's table",
			      (unsigned long long)queue->iova, index, (unsigned long long)physical);
	return 0;
}

/* Linux: drivers/iommu/iommufd/selftest.c:mock_hw_queue_init_phys() */
int mock_hw_queue_init(struct hw_queue *queue, u32 index, u64 physical, struct why *why)
{
	struct mock_viommu *mock = mock_viommu_of(queue->viommu);
	struct mock_hw_queue *self = mock_hw_queue_of(queue);
	int err = refuse_queue(mock, queue, index, physical, why);

	if (err == 0 && index)
		err = hw_queue_depend(queue, &mock->queues[index - 1]->queue, why);
	if (err < 0)
		return err;
	self->below = index ? mock->queues[index - 1] : NULL;
	self->viommu = mock;
	self->index = index;
	mock->queues[index] = self;
	return 0;
}

void mock_hw_queue_destroy(struct hw_queue *queue)
{
	struct mock_hw_queue *self = mock_hw_queue_of(queue);

	if (!self->viommu)
		return;
	self->viommu->queues[self->index] = NULL;
	if (self->below)
		hw_queue_undepend(queue, &self->below->queue);
}
