/* SPDX-License-Identifier: MIT */
/* HWPT_INVALIDATE: what hardware keeps of tables that user space writes (spec 03 section 9). */
#include "iommufd/ioctl.h"
#include "iommufd/viommu.h"

#define MAX_ENTRIES (1u << 19)

static int refuse_array(const struct iommu_hwpt_invalidate *cmd, struct why *why)
{
	if (!cmd->entry_num ||
	    (cmd->data_uptr && cmd->entry_len && cmd->entry_len <= PAGE_SIZE && cmd->entry_num <= MAX_ENTRIES))
		return 0;
	return refuse(why, INVALIDATE_ARRAY, "%u entries of %u bytes at %#llx", cmd->entry_num, cmd->entry_len,
		      (unsigned long long)cmd->data_uptr);
}

static int refuse_unsupported(const struct object *object, struct why *why)
{
	char text[OBJECT_TEXT];

	return refuse(why, INVALIDATE_UNSUPPORTED, "%s keeps nothing that could be invalidated",
		      object_describe(object, text));
}

static int invalidate_nested(const struct object *object, struct user_array *array, struct why *why)
{
	const struct hwpt *hwpt = container_of(object, struct hwpt, object);
	const struct iommufd_driver *driver = iommufd_driver_of(hwpt->domain->driver);

	if (!driver->invalidate)
		return refuse_unsupported(object, why);
	return driver->invalidate(hwpt->domain, array, why);
}

static int invalidate_viommu(struct object *object, struct user_array *array, struct why *why)
{
	struct viommu *viommu = container_of(object, struct viommu, object);

	if (!viommu->driver->viommu_invalidate)
		return refuse_unsupported(object, why);
	return viommu->driver->viommu_invalidate(viommu, array, why);
}

static int invalidate(struct request *request, const struct iommu_hwpt_invalidate *cmd, struct user_array *array,
		      struct why *why)
{
	struct object *object;
	char text[OBJECT_TEXT];
	int err = refuse_reserved_field(request, cmd->__reserved, why);

	if (err == 0)
		err = refuse_array(cmd, why);
	if (err == 0)
		err = object_find(request->context, cmd->hwpt_id, NULL, &object, why);
	if (err < 0)
		return err;
	if (object->class == &hwpt_nested_class)
		return invalidate_nested(object, array, why);
	if (object->class == &viommu_class)
		return invalidate_viommu(object, array, why);
	return refuse(why, INVALIDATE_TARGET, "%s has no table that the program writes", object_describe(object, text));
}

/*
 * However it ends, the program learns how many entries were done. Linux:
 * drivers/iommu/iommufd/hw_pagetable.c:iommufd_hwpt_invalidate()
 */
long ioctl_hwpt_invalidate(struct request *request, struct why *why)
{
	struct iommu_hwpt_invalidate *cmd = &request->command->ioctl_hwpt_invalidate_command;
	struct user_array array = {.client = request->client,
				   .type = cmd->data_type,
				   .entry_size = cmd->entry_len,
				   .count = cmd->entry_num,
				   .address = cmd->data_uptr};
	int err = invalidate(request, cmd, &array, why), answered;
	struct why unwritable;

	cmd->entry_num = array.done;
	answered = request_answer(request, &unwritable);
	if (answered == 0)
		return err;
	*why = unwritable;
	return answered;
}
