/* SPDX-License-Identifier: MIT */
/*
 * The reset of a device with ATS (spec 02 section 8): the IOMMU must not wait for its answers meanwhile, so it is
 * blocked by itself, while the group keeps its domain and cannot change it.
 */
#include "iommu/pasid.h"

static bool takes_part(const struct iommu_device *device)
{
	return device->unit && device->function && device->function->cap_ats;
}

/* Where it would be. */
static struct domain *own_place(const struct iommu_device *device)
{
	return device->own_domain ? device->own_domain : device->group->domain;
}

int iommu_reset_prepare(struct iommu_device *device, struct why *why)
{
	struct iommu_group *group = device->group;
	int err;

	if (!takes_part(device))
		return 0;
	if (device->reset_depth) {
		device->reset_depth++;
		return 0;
	}
	err = group_prepare_blocking(group, why);
	/* Firmware's memory is out of reach too for as long as it takes: only the driver may object. */
	if (err == 0 && own_place(device) != group->blocking_domain)
		err = ask_driver(device, group->blocking_domain, own_place(device), why);
	if (err < 0)
		return err;
	device->reset_depth = 1;
	device->blocked = true;
	group->recovering++;
	move_hardware(group);
	pasids_park(device);
	return 0;
}

/* What it had, unless that fails. */
static bool returns(struct iommu_device *device)
{
	struct domain *wanted = own_place(device), *blocking = device->group->blocking_domain;
	struct why ignored;

	return !wanted || wanted == blocking || ask_driver(device, wanted, blocking, &ignored) == 0;
}

void iommu_reset_done(struct iommu_device *device)
{
	struct iommu_group *group = device->group;

	if (!takes_part(device))
		return;
	assert(device->reset_depth > 0);
	if (--device->reset_depth)
		return;
	device->stranded = !returns(device);
	device->blocked = false;
	group->recovering--;
	move_hardware(group);
	pasids_resume(device);
}
