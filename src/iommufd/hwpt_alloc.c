/* SPDX-License-Identifier: MIT */
/* HWPT_ALLOC: on an IOAS, a paging one; on one of these, or on a virtual IOMMU, a nested one (spec 03 section 6). */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommufd/eventq.h"
#include "iommufd/ioctl.h"
#include "iommufd/viommu.h"

enum { NESTED_FLAGS = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID };

/* ---- nested ---- */

static int refuse_nested(u32 flags, const struct user_data *data, bool able, const char *where, struct why *why)
{
	if (flags & ~(u32)NESTED_FLAGS)
		return refuse(why, HWPT_FLAGS, "flags %#x for a nested domain on %s: bits %#x are not for those", flags,
			      where, flags & ~(u32)NESTED_FLAGS);
	if (!data->size)
		return refuse(why, HWPT_NO_TABLE, "a nested domain on %s, and no data that says where the table is",
			      where);
	if (!able)
		return refuse(why, HWPT_NO_NESTING, "the IOMMU's driver makes no nested domain on %s", where);
	return 0;
}

/* Takes over what `parent` and `viommu` are: exactly one is not NULL. */
static int nested_new(struct context *context, struct hwpt_paging *parent, struct viommu *viommu, u32 flags,
		      struct hwpt_nested **ret, struct why *why)
{
	struct hwpt_nested *nested = alloc_new(struct hwpt_nested, why);
	int err;

	if (!nested)
		return -why->err;
	err = object_init(&nested->hwpt.object, &hwpt_nested_class, context, why);
	if (err < 0) {
		free(nested);
		return err;
	}
	nested->parent = parent;
	nested->viommu = viommu;
	object_use(viommu ? &viommu->object : &parent->hwpt.object);
	nested->hwpt.pasid = flags & IOMMU_HWPT_ALLOC_PASID;
	*ret = nested;
	return 0;
}

static void name_nested(struct hwpt *hwpt)
{
	char text[OBJECT_TEXT];

	hwpt->domain->pasid_compatible = hwpt->pasid;
	snprintf(hwpt->domain->name, sizeof(hwpt->domain->name), "%s of %s", object_describe(&hwpt->object, text),
		 hwpt->object.context->opener);
}

static int refuse_parent(const struct iommufd_device *device, const struct hwpt_paging *parent, struct why *why)
{
	const struct iommu_unit *unit = device->core->unit;
	char text[OBJECT_TEXT];

	object_describe(&parent->hwpt.object, text);
	if (!parent->nest_parent)
		return refuse(why, HWPT_NO_PARENT, "%s was not allocated to have nested ones", text);
	if (parent->hwpt.domain->driver != unit->driver)
		return refuse(why, HWPT_NO_PARENT, "%s is of %s, and %s behind %s, which is %s", text,
			      parent->hwpt.domain->driver->name, device->core->name, unit->name, unit->driver->name);
	return 0;
}

/* The driver has made its domain, or refused to with err. */
static int finish_nested(struct hwpt_nested *nested, int err, struct hwpt **ret)
{
	if (err < 0) {
		hwpt_free(&nested->hwpt);
		return err;
	}
	name_nested(&nested->hwpt);
	*ret = &nested->hwpt;
	return 0;
}

/* Linux: drivers/iommu/iommufd/hw_pagetable.c:iommufd_hwpt_nested_alloc() */
static int alloc_on_parent(const struct iommufd_device *device, struct hwpt_paging *parent, u32 flags,
			   const struct user_data *data, struct hwpt **ret, struct why *why)
{
	const struct iommufd_driver *driver = iommufd_driver_of(device->core->unit->driver);
	struct hwpt_nested *nested;
	char text[OBJECT_TEXT];
	int err = refuse_nested(flags, data, driver->alloc_nested, object_describe(&parent->hwpt.object, text), why);

	if (err == 0)
		err = refuse_parent(device, parent, why);
	if (err == 0)
		err = nested_new(parent->hwpt.object.context, parent, NULL, flags, &nested, why);
	if (err < 0)
		return err;
	err = driver->alloc_nested(device->core, parent->hwpt.domain, flags & ~(u32)IOMMU_HWPT_FAULT_ID_VALID, data,
				   &nested->hwpt.domain, why);
	return finish_nested(nested, err, ret);
}

/* Linux: drivers/iommu/iommufd/hw_pagetable.c:iommufd_viommu_alloc_hwpt_nested() */
static int alloc_on_viommu(const struct iommufd_device *device, struct viommu *viommu, u32 flags,
			   const struct user_data *data, struct hwpt **ret, struct why *why)
{
	struct hwpt_nested *nested;
	char text[OBJECT_TEXT];
	int err;

	object_describe(&viommu->object, text);
	if (viommu->unit != device->core->unit)
		return refuse(why, VIOMMU_UNIT, "%s is a slice of %s, and %s is behind %s", text, viommu->unit->name,
			      device->core->name, device->core->unit->name);
	err = refuse_nested(flags, data, viommu->driver->viommu_alloc_nested, text, why);
	if (err == 0)
		err = nested_new(viommu->object.context, NULL, viommu, flags, &nested, why);
	if (err < 0)
		return err;
	err = viommu->driver->viommu_alloc_nested(viommu, flags & ~(u32)IOMMU_HWPT_FAULT_ID_VALID, data,
						  &nested->hwpt.domain, why);
	return finish_nested(nested, err, ret);
}

/* ---- the request ---- */

static int alloc_on_ioas(const struct iommufd_device *device, struct ioas *ioas, u32 flags,
			 const struct user_data *data, struct hwpt **ret, struct why *why)
{
	struct hwpt_paging *hwpt;
	int err = hwpt_paging_new(ioas, device, flags, data->size ? data : NULL, &hwpt, why);

	if (err < 0)
		return err;
	err = hwpt_paging_fill(hwpt, why);
	if (err < 0) {
		hwpt_free(&hwpt->hwpt);
		return err;
	}
	*ret = &hwpt->hwpt;
	return 0;
}

static int alloc_on(const struct iommufd_device *device, struct object *pt, u32 flags, const struct user_data *data,
		    struct hwpt **ret, struct why *why)
{
	char text[OBJECT_TEXT];

	if (pt->class == &ioas_class)
		return alloc_on_ioas(device, container_of(pt, struct ioas, object), flags, data, ret, why);
	if (pt->class == &hwpt_paging_class)
		return alloc_on_parent(device, container_of(pt, struct hwpt_paging, hwpt.object), flags, data, ret,
				       why);
	if (pt->class == &viommu_class)
		return alloc_on_viommu(device, container_of(pt, struct viommu, object), flags, data, ret, why);
	return refuse(why, PT_KIND, "no domain can be made on %s", object_describe(pt, text));
}

static int take_fault_queue(struct hwpt *hwpt, u32 id, struct why *why)
{
	struct fault_queue *queue;
	int err = fault_queue_find(hwpt->object.context, id, &queue, why);

	if (err < 0)
		return err;
	hwpt->fault = queue;
	hwpt->domain->answers_pages = true;
	object_use(fault_queue_object(queue));
	return 0;
}

static int refuse_data(const struct iommu_hwpt_alloc *alloc, struct why *why)
{
	if ((alloc->data_type == IOMMU_HWPT_DATA_NONE) == (alloc->data_len == 0))
		return 0;
	return refuse(why, HWPT_DATA, "data of type %u with %u bytes: type 0 is no data", alloc->data_type,
		      alloc->data_len);
}

/* An unknown pt_id is EINVAL here: Linux does not pass on what the look-up says. */
static int find_pt(struct context *context, u32 id, struct object **ret, struct why *why)
{
	struct why missing = WHY_INIT;

	if (object_find(context, id, NULL, ret, &missing) == 0)
		return 0;
	return refuse(why, PT_KIND, "pt_id: %s", missing.text);
}

/* Linux: drivers/iommu/iommufd/hw_pagetable.c:iommufd_hwpt_alloc() */
long ioctl_hwpt_alloc(struct request *request, struct why *why)
{
	struct iommu_hwpt_alloc *alloc = &request->command->ioctl_hwpt_alloc_command;
	const struct user_data data = {request->client, alloc->data_type, alloc->data_len, alloc->data_uptr};
	struct iommufd_device *device;
	struct object *pt;
	struct hwpt *hwpt;
	int err = refuse_reserved_field(request, alloc->__reserved, why);

	if (err == 0)
		err = refuse_data(alloc, why);
	if (err == 0)
		err = iommufd_device_find(request->context, alloc->dev_id, &device, why);
	if (err == 0)
		err = find_pt(request->context, alloc->pt_id, &pt, why);
	if (err == 0)
		err = alloc_on(device, pt, alloc->flags, &data, &hwpt, why);
	if (err < 0)
		return err;
	if (alloc->flags & IOMMU_HWPT_FAULT_ID_VALID)
		err = take_fault_queue(hwpt, alloc->fault_id, why);
	if (err == 0) {
		alloc->out_hwpt_id = hwpt->object.id;
		err = request_answer(request, why);
	}
	if (err < 0) {
		hwpt_free(hwpt);
		return err;
	}
	object_publish(&hwpt->object);
	return 0;
}
