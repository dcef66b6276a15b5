/* SPDX-License-Identifier: MIT */
/* Virtual IOMMUs: the slice of a physical one that a VM has, and the devices it has there (spec 03 section 11). */
#include "iommufd/viommu.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommufd/ioctl.h"

static struct viommu *viommu_of(const struct object *object)
{
	return container_of((struct object *)(uintptr_t)object, struct viommu, object);
}

int viommu_find(struct context *context, u32 id, struct viommu **ret, struct why *why)
{
	struct object *object;
	int err = object_find(context, id, &viommu_class, &object, why);

	if (err == 0)
		*ret = viommu_of(object);
	return err;
}

struct vdevice *viommu_find_vdevice(const struct viommu *viommu, u64 virt_id)
{
	struct vdevice *vdevice;

	list_for_each(vdevice, &viommu->vdevices, link)
		if (vdevice->virt_id == virt_id)
			return vdevice;
	return NULL;
}

/* Linux: drivers/iommu/iommufd/driver.c:iommufd_viommu_get_vdev_id() */
int viommu_virt_id(const struct viommu *viommu, const struct iommu_device *device, u64 *ret, struct why *why)
{
	const struct vdevice *vdevice;
	char text[OBJECT_TEXT];

	list_for_each(vdevice, &viommu->vdevices, link)
		if (vdevice->device->core == device) {
			*ret = vdevice->virt_id;
			return 0;
		}
	return refuse(why, VDEVICE_MISSING, "%s has no vDEVICE on %s", device->name,
		      object_describe(&viommu->object, text));
}

/* ---- virtual IOMMUs ---- */

static void viommu_abandon(struct viommu *viommu)
{
	object_unuse(&viommu->parent->hwpt.object);
	object_fini(&viommu->object);
	free(viommu);
}

static void viommu_free(struct object *object)
{
	struct viommu *viommu = viommu_of(object);

	assert(list_empty(&viommu->vdevices) && list_empty(&viommu->queues));
	if (viommu->driver->viommu_destroy)
		viommu->driver->viommu_destroy(viommu);
	viommu_abandon(viommu);
}

static void viommu_describe(const struct object *object, char *text, size_t size)
{
	snprintf(text, size, " of %s", viommu_of(object)->unit->name);
}

static void viommu_check(const struct object *object)
{
	const struct viommu *viommu = viommu_of(object);
	const struct vdevice *vdevice;

	assert(viommu->parent->nest_parent && viommu->parent->hwpt.object.users > 0);
	/* 16 */
	list_for_each(vdevice, &viommu->vdevices, link)
		assert(vdevice->viommu == viommu && viommu_find_vdevice(viommu, vdevice->virt_id) == vdevice);
	assert(object->users >= list_length(&viommu->vdevices) + list_length(&viommu->queues));
}

const struct object_class viommu_class = {
	.name = "VIOMMU",
	.free = viommu_free,
	.describe = viommu_describe,
	.check = viommu_check,
};

/* What it will be made of. */
struct viommu_plan {
	const struct iommufd_device *device;
	const struct iommufd_driver *driver;
	struct hwpt_paging *parent;
	size_t size;
};

static int decode_viommu(struct request *request, const struct iommu_viommu_alloc *alloc, struct viommu_plan *plan,
			 struct why *why)
{
	struct iommufd_device *device;
	char text[OBJECT_TEXT];
	int err = refuse_unknown_flags(request, alloc->flags, 0, why);

	if (err == 0 && alloc->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		err = refuse(why, VIOMMU_TYPE, "no vIOMMU for device %u has type 0", alloc->dev_id);
	if (err == 0)
		err = iommufd_device_find(request->context, alloc->dev_id, &device, why);
	if (err < 0)
		return err;
	plan->device = device;
	plan->driver = iommufd_driver_of(device->core->unit->driver);
	plan->size = plan->driver->viommu_size ? plan->driver->viommu_size(device->core, alloc->type) : 0;
	if (!plan->size)
		return refuse(why, VIOMMU_TYPE, "%s, which %s is behind, makes no vIOMMU of type %#x",
			      device->core->unit->name, device->core->name, alloc->type);
	assert(plan->size >= sizeof(struct viommu));
	err = hwpt_paging_find(request->context, alloc->hwpt_id, &plan->parent, why);
	if (err < 0 || plan->parent->nest_parent)
		return err;
	return refuse(why, VIOMMU_PARENT, "%s was not allocated to have nested ones",
		      object_describe(&plan->parent->hwpt.object, text));
}

static int viommu_new(struct request *request, const struct iommu_viommu_alloc *alloc, const struct viommu_plan *plan,
		      struct viommu **ret, struct why *why)
{
	const struct user_data data = {request->client, alloc->type, alloc->data_len, alloc->data_uptr};
	struct viommu *viommu = alloc_zero(plan->size, why);
	int err;

	if (!viommu)
		return -why->err;
	err = object_init(&viommu->object, &viommu_class, request->context, why);
	if (err < 0) {
		free(viommu);
		return err;
	}
	viommu->type = alloc->type;
	viommu->unit = plan->device->core->unit;
	viommu->driver = plan->driver;
	viommu->parent = plan->parent;
	object_use(&plan->parent->hwpt.object);
	list_init(&viommu->vdevices);
	list_init(&viommu->queues);
	if (plan->driver->viommu_init)
		err = plan->driver->viommu_init(viommu, plan->parent->hwpt.domain, data.size ? &data : NULL, why);
	if (err < 0) {
		viommu_abandon(viommu);
		return err;
	}
	*ret = viommu;
	return 0;
}

/* Linux: drivers/iommu/iommufd/viommu.c:iommufd_viommu_alloc_ioctl() */
long ioctl_viommu_alloc(struct request *request, struct why *why)
{
	struct iommu_viommu_alloc *alloc = &request->command->ioctl_viommu_alloc_command;
	struct viommu_plan plan = {};
	struct viommu *viommu;
	int err = decode_viommu(request, alloc, &plan, why);

	if (err == 0)
		err = viommu_new(request, alloc, &plan, &viommu, why);
	if (err < 0)
		return err;
	alloc->out_viommu_id = viommu->object.id;
	err = request_answer(request, why);
	if (err < 0)
		viommu_free(&viommu->object);
	else
		object_publish(&viommu->object);
	return err;
}
