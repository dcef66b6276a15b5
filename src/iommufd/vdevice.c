/* SPDX-License-Identifier: MIT */
/* vDEVICEs: what a device is called on a virtual IOMMU. One per device, for as long as that is bound. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommufd/ioctl.h"
#include "iommufd/viommu.h"

static struct vdevice *vdevice_of(const struct object *object)
{
	return container_of((struct object *)(uintptr_t)object, struct vdevice, object);
}

static void leave(struct vdevice *vdevice)
{
	list_remove(&vdevice->link);
	object_unuse(&vdevice->viommu->object);
	vdevice->device->vdevice = NULL;
}

static void destroy(struct vdevice *vdevice)
{
	if (vdevice->viommu->driver->vdevice_destroy)
		vdevice->viommu->driver->vdevice_destroy(vdevice);
	leave(vdevice);
}

static void vdevice_free(struct object *object)
{
	struct vdevice *vdevice = vdevice_of(object);

	destroy(vdevice);
	object_fini(object);
	free(vdevice);
}

void vdevice_bury(struct vdevice *vdevice)
{
	if (!vdevice)
		return;
	destroy(vdevice);
	object_fini_tombstone(&vdevice->object);
	free(vdevice);
}

static void vdevice_describe(const struct object *object, char *text, size_t size)
{
	const struct vdevice *vdevice = vdevice_of(object);

	snprintf(text, size, " (%s as %#llx on VIOMMU %u)", vdevice->device->core->name,
		 (unsigned long long)vdevice->virt_id, vdevice->viommu->object.id);
}

static void vdevice_check(const struct object *object)
{
	const struct vdevice *vdevice = vdevice_of(object);

	assert(vdevice->device->vdevice == vdevice && vdevice->device->core->unit == vdevice->viommu->unit);
	assert(viommu_find_vdevice(vdevice->viommu, vdevice->virt_id) == vdevice);
	(void)vdevice;
}

const struct object_class vdevice_class = {
	.name = "VDEVICE",
	.free = vdevice_free,
	.describe = vdevice_describe,
	.check = vdevice_check,
};

static int refuse_taken(const struct viommu *viommu, const struct iommufd_device *device, u64 virt_id, struct why *why)
{
	const struct vdevice *taken = device->vdevice;
	char text[OBJECT_TEXT];

	if (taken)
		return refuse(why, VDEVICE_TAKEN, "%s has a vDEVICE already: %s", device->core->name,
			      object_describe(&taken->object, text));
	taken = viommu_find_vdevice(viommu, virt_id);
	if (taken)
		return refuse(why, VDEVICE_TAKEN, "%#llx is taken: %s", (unsigned long long)virt_id,
			      object_describe(&taken->object, text));
	return 0;
}

static int decode(struct request *request, const struct iommu_vdevice_alloc *alloc, struct viommu **ret_viommu,
		  struct iommufd_device **ret_device, struct why *why)
{
	char text[OBJECT_TEXT];
	int err = viommu_find(request->context, alloc->viommu_id, ret_viommu, why);

	if (err == 0)
		err = iommufd_device_find(request->context, alloc->dev_id, ret_device, why);
	if (err < 0)
		return err;
	if ((*ret_viommu)->unit != (*ret_device)->core->unit)
		return refuse(why, VIOMMU_UNIT, "%s is behind %s, and no device of %s", (*ret_device)->core->name,
			      (*ret_device)->core->unit->name, object_describe(&(*ret_viommu)->object, text));
	return refuse_taken(*ret_viommu, *ret_device, alloc->virt_id, why);
}

static int vdevice_new(struct viommu *viommu, struct iommufd_device *device, u64 virt_id, struct vdevice **ret,
		       struct why *why)
{
	size_t size = viommu->driver->vdevice_size ? viommu->driver->vdevice_size(viommu) : sizeof(struct vdevice);
	struct vdevice *vdevice;
	int err;

	assert(size >= sizeof(*vdevice));
	vdevice = alloc_zero(size, why);
	if (!vdevice)
		return -why->err;
	err = object_init(&vdevice->object, &vdevice_class, viommu->object.context, why);
	if (err < 0) {
		free(vdevice);
		return err;
	}
	vdevice->viommu = viommu;
	vdevice->device = device;
	vdevice->virt_id = virt_id;
	object_use(&viommu->object);
	if (viommu->driver->vdevice_init)
		err = viommu->driver->vdevice_init(vdevice, why);
	if (err < 0) {
		leave(vdevice);
		object_fini(&vdevice->object);
		free(vdevice);
		return err;
	}
	list_append(&viommu->vdevices, &vdevice->link);
	device->vdevice = vdevice;
	*ret = vdevice;
	return 0;
}

/* Linux: drivers/iommu/iommufd/viommu.c:iommufd_vdevice_alloc_ioctl() */
long ioctl_vdevice_alloc(struct request *request, struct why *why)
{
	struct iommu_vdevice_alloc *alloc = &request->command->ioctl_vdevice_alloc_command;
	struct iommufd_device *device;
	struct vdevice *vdevice;
	struct viommu *viommu;
	int err = decode(request, alloc, &viommu, &device, why);

	if (err == 0)
		err = vdevice_new(viommu, device, alloc->virt_id, &vdevice, why);
	if (err < 0)
		return err;
	alloc->out_vdevice_id = vdevice->object.id;
	err = request_answer(request, why);
	if (err < 0)
		vdevice_free(&vdevice->object);
	else
		object_publish(&vdevice->object);
	return err;
}
