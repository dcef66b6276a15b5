/* SPDX-License-Identifier: MIT */
#include "iommu/own.h"

#include <stdio.h>

#include "iommu/attach.h"

/* "0000:02:00.1 is bound to e1000e, 0000:02:00.2 to igb" */
static const char *list_drivers(const struct iommu_group *group, char *text, size_t size)
{
	const struct iommu_device *device;
	size_t used = 0;

	text[0] = '\0';
	list_for_each(device, &group->devices, group_link)
		if (device->dma_api_driver && used < size)
			used += (size_t)snprintf(text + used, size - used, "%s%s %s %s", used ? ", " : "", device->name,
						 used ? "to" : "is bound to", device->dma_api_driver);
	return text;
}

const char *iommu_describe_owner(const struct iommu_group *group, char text[static OWNER_TEXT])
{
	if (group->owner)
		return group->owner->describe(group->owner, text, OWNER_TEXT);
	if (!group->owner_count)
		return "nobody";
	return list_drivers(group, text, OWNER_TEXT);
}

/* ---- kernel drivers ---- */

static int refuse_use(const struct iommu_device *device, const char *driver, struct why *why)
{
	const struct iommu_group *group = device->group;
	char owner[OWNER_TEXT], domain[DOMAIN_TEXT];

	if (group->owner)
		return refuse(why, GROUP_OWNED, "%s cannot have %s: its group %d is held by %s", driver, device->name,
			      group->id, iommu_describe_owner(group, owner));
	if (device->own_domain)
		return refuse(why, GROUP_PRIVATE, "%s cannot have %s: its alias set is attached to %s of a driver (%s)",
			      driver, device->name, domain_describe(device->own_domain, domain),
			      iommu_describe_owner(group, owner));
	if (group->domain != group->default_domain)
		return refuse(why, GROUP_PRIVATE, "%s cannot have %s: its group %d is attached to %s of a driver (%s)",
			      driver, device->name, group->id, domain_describe(group->domain, domain),
			      iommu_describe_owner(group, owner));
	if (!list_empty(&group->pasids))
		return refuse(why, GROUP_PASIDS, "%s cannot have %s: PASIDs of its group %d are attached (%s)", driver,
			      device->name, group->id, iommu_describe_owner(group, owner));
	return 0;
}

int iommu_use_default_domain(struct iommu_device *device, const char *driver, struct why *why)
{
	struct iommu_group *group = device->group;
	int err;

	if (!group->default_domain)
		return refuse(why, GROUP_UNSETTLED, "%s cannot have %s yet: its group %d has no default domain", driver,
			      device->name, group->id);
	err = group->owner_count ? refuse_use(device, driver, why) : 0;
	if (err < 0)
		return err;
	device->dma_api_driver = driver;
	group->owner_count++;
	return 0;
}

int iommu_may_unuse(const struct iommu_device *device, struct why *why)
{
	if (!device->dma_api_driver)
		return refuse(why, UNUSE_UNCOUNTED, "%s has no driver that uses the DMA API", device->name);
	if (!list_empty(&device->group->pasids))
		return refuse(why, UNUSE_PASIDS, "%s leaves %s while PASIDs of its group %d are attached",
			      device->dma_api_driver, device->name, device->group->id);
	/* Linux keeps it among the PASIDs, as number 0. */
	if (device->group->handle)
		return refuse(why, UNUSE_PASIDS, "%s leaves %s while its group %d is attached with a handle",
			      device->dma_api_driver, device->name, device->group->id);
	return 0;
}

void iommu_unuse_default_domain(struct iommu_device *device)
{
	assert(device->dma_api_driver && device->group->owner_count > 0 && list_empty(&device->group->pasids));
	device->dma_api_driver = NULL;
	device->group->owner_count--;
}

/* ---- owners ---- */

bool iommu_group_claimed(const struct iommu_group *group)
{
	return group->owner_count != 0;
}

int iommu_group_may_claim(const struct iommu_group *group, struct why *why)
{
	char text[OWNER_TEXT];

	if (group->owner)
		return refuse(why, GROUP_CLAIMED, "group %d cannot be claimed: it is held by %s", group->id,
			      iommu_describe_owner(group, text));
	if (!group->owner_count)
		return 0;
	return refuse(why, GROUP_NOT_VIABLE, "group %d cannot be claimed: %s, which use%s the kernel's DMA API",
		      group->id, list_drivers(group, text, sizeof(text)), group->owner_count == 1 ? "s" : "");
}

static int refuse_leftovers(const struct iommu_group *group, struct why *why)
{
	char text[DOMAIN_TEXT];

	if (group->own_domains)
		return refuse(why, GROUP_DOMAIN_BUSY,
			      "group %d cannot be claimed: %u of its devices have a domain of their alias set",
			      group->id, group->own_domains);
	if (group->domain && group->domain != group->default_domain)
		return refuse(why, GROUP_DOMAIN_BUSY,
			      "group %d cannot be claimed: %s is attached, though nobody owns it", group->id,
			      domain_describe(group->domain, text));
	if (!list_empty(&group->pasids))
		return refuse(why, GROUP_PASIDS_BUSY,
			      "group %d cannot be claimed: %zu PASIDs are attached, though "
			      "nobody owns it",
			      group->id, list_length(&group->pasids));
	return 0;
}

static const struct reserved_region *direct_region(const struct iommu_device *device)
{
	const struct reserved_region *region;

	for (unsigned i = 0; (region = iommu_device_region(device, i)); i++)
		if (region->kind == RESERVED_DIRECT)
			break;
	return region;
}

/* Blocking a member would take away memory that it needs at any time, for the firmware. */
static int refuse_direct_regions(const struct iommu_group *group, struct why *why)
{
	const struct iommu_device *device;

	list_for_each(device, &group->devices, group_link) {
		const struct reserved_region *region = direct_region(device);

		if (region)
			return refuse(why, GROUP_NEEDS_DIRECT,
				      "group %d cannot be claimed: %s must keep [0x%llx, 0x%llx] mapped one to one",
				      group->id, device->name, (unsigned long long)region->start,
				      (unsigned long long)region->last);
	}
	return 0;
}

/* The second half of both claims: the group is nobody's. */
static int take_group(struct iommu_group *group, const struct owner *owner, struct why *why)
{
	int err = refuse_leftovers(group, why);

	/* In this order: Linux makes the blocking domain before it finds out, and asks who is reset before the rest. */
	if (err == 0)
		err = group_prepare_blocking(group, why);
	if (err == 0)
		err = refuse_recovering(group, why);
	if (err == 0)
		err = refuse_direct_regions(group, why);
	if (err == 0)
		err = group_set_domain(group, group->blocking_domain, why);
	if (err < 0)
		return err;
	group->owner = owner;
	group->owner_count = 1;
	return 0;
}

static int refuse_no_owner(const struct iommu_group *group, struct why *why)
{
	return refuse(why, OWNER_MISSING, "group %d cannot be claimed for nobody", group->id);
}

int iommu_group_claim(struct iommu_group *group, const struct owner *owner, struct why *why)
{
	int err = owner ? iommu_group_may_claim(group, why) : refuse_no_owner(group, why);

	return err < 0 ? err : take_group(group, owner, why);
}

int iommu_device_claim(struct iommu_device *device, const struct owner *owner, struct why *why)
{
	struct iommu_group *group = device->group;
	int err;

	if (!owner)
		return refuse_no_owner(group, why);
	if (!device->unit)
		return refuse(why, DEVICE_NO_IOMMU, "%s is behind no IOMMU", device->name);
	if (group->owner_count && group->owner == owner) {
		group->owner_count++;
		device->claims++;
		return 0;
	}
	err = iommu_group_may_claim(group, why);
	if (err == 0)
		err = take_group(group, owner, why);
	if (err == 0)
		device->claims++;
	return err;
}

/* With a handle, or device by device: whoever did that still counts on it. */
static int refuse_attached(const struct iommu_group *group, struct why *why)
{
	char owner[OWNER_TEXT], domain[DOMAIN_TEXT];

	if (!group->handle && list_empty(&group->attachments))
		return 0;
	return refuse(why, RELEASE_ATTACHED, "group %d cannot be released by %s: it is attached to %s", group->id,
		      iommu_describe_owner(group, owner), domain_describe(group->domain, domain));
}

int iommu_may_release(const struct iommu_group *group, struct why *why)
{
	char text[OWNER_TEXT];

	if (!group->owner)
		return refuse(why, RELEASE_UNOWNED, "group %d cannot be released: it is held by %s", group->id,
			      iommu_describe_owner(group, text));
	if (!list_empty(&group->pasids))
		return refuse(why, RELEASE_PASIDS, "group %d cannot be released by %s: %zu PASIDs are attached",
			      group->id, iommu_describe_owner(group, text), list_length(&group->pasids));
	return refuse_attached(group, why);
}

int iommu_may_release_device(const struct iommu_device *device, struct why *why)
{
	if (!device->claims)
		return refuse(why, RELEASE_UNOWNED, "%s was not claimed by itself", device->name);
	return device->group->owner_count > 1 ? 0 : iommu_may_release(device->group, why);
}

static void forget_claims(struct iommu_group *group)
{
	struct iommu_device *device;

	list_for_each(device, &group->devices, group_link)
		device->claims = 0;
}

void iommu_group_release(struct iommu_group *group)
{
	assert(group->owner && group->owner_count > 0 && list_empty(&group->pasids));
	assert(!group->handle && list_empty(&group->attachments));
	group->owner = NULL;
	group->owner_count = 0;
	forget_claims(group);
	group_force_domain(group, group->default_domain);
}

void iommu_device_release(struct iommu_device *device)
{
	struct iommu_group *group = device->group;

	assert(group->owner && device->claims > 0);
	if (group->owner_count == 1) {
		iommu_group_release(group);
		return;
	}
	device->claims--;
	group->owner_count--;
}
