/* SPDX-License-Identifier: MIT */
/* Invariants of the core (spec 02 section 10; the numbers are those of its list). */
#include "iommu/attachment.h"
#include "iommu/port.h"

/* 10, with the exceptions that spec 02 allows: a member that is being reset, one that could not follow. */
static const struct domain *expected_domain(const struct iommu_device *device)
{
	const struct iommu_group *group = device->group;

	if (device->blocked || device->stranded)
		return group->blocking_domain;
	return device->own_domain ? device->own_domain : group->domain;
}

static void check_pasids(const struct iommu_device *device)
{
	const struct pasid_slot *slot;

	/* 11: one that was hot-plugged later has none of them. */
	list_for_each(slot, &device->group->pasids, link) {
		const struct domain *domain = dma_port_pasid_domain(device->port, slot->pasid);

		assert(!domain || domain == slot->domain);
		assert(!domain || (!device->blocked && slot->pasid < device->max_pasids));
		(void)domain;
	}
}

static void check_device(const struct iommu_group *group, const struct iommu_device *device)
{
	assert(device->group == group);
	assert(!device->dma_api_driver || device->driver);
	assert(!device->blocked || device->reset_depth > 0);
	assert(!device->claims || group->owner);
	if (!device->port)
		return;
	assert(dma_port_domain(device->port) == expected_domain(device));
	check_pasids(device);
}

static void check_slots(const struct iommu_group *group)
{
	const struct pasid_slot *slot;
	u32 above = 1;

	list_for_each(slot, &group->pasids, link) {
		assert(slot->pasid >= above); /* any 32 bits, if no member has PASIDs */
		assert(slot->domain->users > 0);
		assert(!slot->handle || slot->handle->domain == slot->domain);
		above = slot->pasid + 1;
	}
	assert(!group->handle || group->handle->domain == group->domain);
}

struct census {
	unsigned drivers, claims, blocked, own_domains;
};

static struct census count_members(const struct iommu_group *group)
{
	const struct iommu_device *device;
	struct census census = {};

	list_for_each(device, &group->devices, group_link) {
		check_device(group, device);
		census.drivers += device->dma_api_driver != NULL;
		census.claims += device->claims;
		census.blocked += device->blocked;
		census.own_domains += device->own_domain != NULL;
	}
	return census;
}

static void check_group(const struct iommu_group *group)
{
	struct census census = count_members(group);

	/* 1, 2, 4, 6: one claim may be of the whole group, the rest are of devices. */
	assert(group->owner_count > 0 || !group->owner);
	assert(!group->owner ||
	       (group->domain && (group->domain != group->default_domain || group->domain == group->blocking_domain)));
	assert(!group->owner || (census.drivers == 0 && census.own_domains == 0));
	assert(group->owner || group->owner_count == census.drivers);
	assert(!group->owner || census.claims == group->owner_count || census.claims + 1 == group->owner_count);
	/* 16 */
	assert(group->recovering == census.blocked);
	assert(group->own_domains == census.own_domains);
	assert(group->ndevices == list_length(&group->devices));
	assert(!group->domain || group->domain->users > 0);
	check_slots(group);
	attachments_check(group);
	if (group->domain)
		domain_check(group->domain);
	if (group->default_domain)
		assert(group->default_domain->space->areas.count == 0);
	(void)census;
}

void iommu_check(const struct iommu *iommu)
{
	const struct iommu_group *group;
	int above = 0;

	list_for_each(group, &iommu->groups, link) {
		assert(group->id >= above);
		above = group->id + 1;
		check_group(group);
	}
	itree_check(&iommu->frames.extents);
}
