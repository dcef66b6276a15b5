/* SPDX-License-Identifier: MIT */
/*
 * The reset of a device with ATS (spec 02 section 8): the IOMMU must not wait for its answers meanwhile, so it is
 * blocked by itself, while the group keeps its domain and cannot change it.
 */
#include "iommu/pasid.h"
#include "iommu/port.h"

static bool takes_part(const struct iommu_device *device)
{
	return device->unit && device->function->cap_ats;
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
	if (err == 0 && group->domain != group->blocking_domain)
		err = member_attach(device, group->blocking_domain, group->domain, why);
	if (err < 0)
		return err;
	rwlock_write(&group->iommu->dma);
	dma_port_set_domain(device->port, group->blocking_domain);
	pasids_park(device);
	rwlock_unlock(&group->iommu->dma);
	device->reset_depth = 1;
	device->blocked = true;
	group->recovering++;
	return 0;
}

/* Where the device goes: what it had, unless that fails. */
static struct domain *domain_after(struct iommu_device *device)
{
	struct iommu_group *group = device->group;
	struct domain *wanted = device->own_domain ? device->own_domain : group->domain;
	struct why ignored;

	device->stranded = wanted && wanted != group->blocking_domain &&
			   member_attach(device, wanted, group->blocking_domain, &ignored) < 0;
	return device->stranded ? group->blocking_domain : wanted;
}

void iommu_reset_done(struct iommu_device *device)
{
	struct iommu_group *group = device->group;
	struct domain *domain;

	if (!takes_part(device))
		return;
	assert(device->reset_depth > 0);
	if (--device->reset_depth)
		return;
	domain = domain_after(device);
	rwlock_write(&group->iommu->dma);
	dma_port_set_domain(device->port, domain);
	pasids_resume(device);
	rwlock_unlock(&group->iommu->dma);
	device->blocked = false;
	group->recovering--;
}
