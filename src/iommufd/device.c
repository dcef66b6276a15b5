/* SPDX-License-Identifier: MIT */
/* Devices enter a context and leave it (spec 03 section 5, 06 section 3). What they are attached to: device_attach.c.
 */
#include "iommufd/device.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommu/own.h"
#include "iommufd/driver.h"
#include "iommufd/hwpt.h"
#include "iommufd/viommu.h"

static struct iommufd_device *device_of(const struct object *object)
{
	return container_of((struct object *)(uintptr_t)object, struct iommufd_device, object);
}

static void device_free(struct object *object)
{
	struct iommufd_device *device = device_of(object);
	struct context *context = object->context;
	bool keeps = device->keeps_context;

	assert(list_empty(&device->attached) && !device->vdevice);
	list_remove(&device->link);
	iommu_device_release(device->core);
	object_fini(object);
	free(device);
	if (keeps)
		context_put(context);
}

static void device_describe(const struct object *object, char *text, size_t size)
{
	snprintf(text, size, " (%s)", device_of(object)->core->name);
}

/* Invariants 3 and 4 of spec 06 section 12 are those of each attachment; 5 is the claim. */
static void device_check(const struct object *object)
{
	const struct iommufd_device *device = device_of(object);
	const struct device_attachment *attachment;
	u32 users = 1;

	assert(device->core->group->owner == &object->context->owner && device->core->claims > 0);
	assert(!device->vdevice || device->vdevice->device == device);
	list_for_each(attachment, &device->attached, link) {
		const struct device_handle *handle = attachment->handle;

		assert(device_attachment_at(device, attachment->pasid) == attachment);
		assert(iommu_device_domain(device->core, attachment->pasid) == handle->hwpt->domain);
		assert(handle->core.domain == handle->hwpt->domain && handle->hwpt->object.users > 0);
		assert(device_attachment_at(handle->device, attachment->pasid)->handle == handle);
		(void)handle;
		users++;
	}
	assert(object->users == users);
	(void)device;
}

const struct object_class device_class = {
	.name = "DEVICE",
	.kept = true,
	.free = device_free,
	.describe = device_describe,
	.check = device_check,
};

int iommufd_device_find(struct context *context, u32 id, struct iommufd_device **ret, struct why *why)
{
	struct object *object;
	int err = object_find(context, id, &device_class, &object, why);

	if (err == 0)
		*ret = device_of(object);
	return err;
}

bool context_has_group(const struct context *context, const struct iommu_group *group)
{
	const struct iommufd_device *device;

	list_for_each(device, &context->devices, link)
		if (device->core->group == group)
			return true;
	return false;
}

struct iommufd_device *context_device(const struct context *context, const struct iommu_device *core)
{
	struct iommufd_device *device;

	list_for_each(device, &context->devices, link)
		if (device->core == core)
			return device;
	return NULL;
}

/* ---- bind and unbind ---- */

int iommufd_check_interrupts(const struct iommu_group *group, struct why *why)
{
	const struct iommu_device *member;

	list_for_each(member, &group->devices, group_link) {
		const struct iommufd_driver *driver = iommufd_driver_of(member->unit->driver);

		if (member->unit->shared_interrupts || (driver->msi_isolated && !driver->msi_isolated(member)))
			return refuse(why, MSI_NOT_ISOLATED,
				      "%s of group %d could raise interrupts of others: %s does not remap them",
				      member->name, group->id, member->unit->name);
	}
	return 0;
}

static int may_bind(const struct context *context, const struct iommu_device *core, struct why *why)
{
	const struct iommufd_driver *driver;

	if (!core->unit)
		return refuse(why, DEVICE_NOT_COHERENT, "%s is behind no IOMMU that would keep memory coherent for it",
			      core->name);
	driver = iommufd_driver_of(core->unit->driver);
	if (!iommu_unit_capable(core->unit, CAP_COHERENT))
		return refuse(why, DEVICE_NOT_COHERENT, "%s does not keep memory coherent for %s", core->unit->name,
			      core->name);
	if (driver->mock || context->iommufd->unsafe_interrupts)
		return 0;
	return iommufd_check_interrupts(core->group, why);
}

static int device_new(struct context *context, struct iommu_device *core, struct iommufd_device **ret, struct why *why)
{
	const struct iommufd_driver *driver = iommufd_driver_of(core->unit->driver);
	struct iommufd_device *device = alloc_new(struct iommufd_device, why);
	int err;

	if (!device)
		return -why->err;
	err = object_init(&device->object, &device_class, context, why);
	if (err < 0) {
		free(device);
		return err;
	}
	device->core = core;
	device->keeps_context = !driver->mock;
	device->enforces_coherency = iommufd_coherency_enforceable(core);
	list_init(&device->attached);
	*ret = device;
	return 0;
}

/* Linux: drivers/iommu/iommufd/device.c:iommufd_device_bind() */
int iommufd_device_bind(struct context *context, struct iommu_device *core, struct iommufd_device **ret,
			struct why *why)
{
	struct iommufd_device *device;
	int err = may_bind(context, core, why);

	if (err == 0)
		err = iommu_device_claim(core, &context->owner, why);
	if (err < 0)
		return err;
	err = device_new(context, core, &device, why);
	if (err < 0) {
		iommu_device_release(core);
		return err;
	}
	object_use(&device->object);
	if (device->keeps_context)
		context_get(context);
	list_append(&context->devices, &device->link);
	object_publish(&device->object);
	*ret = device;
	return 0;
}

void iommufd_device_unbind(struct iommufd_device *device)
{
	vdevice_bury(device->vdevice);
	object_unuse(&device->object);
	device_free(&device->object);
}
