/* SPDX-License-Identifier: MIT */
/*
 * Who may use a group's DMA (spec 02). Three parties: kernel drivers that use the DMA API (counted, owner NULL), a
 * user-space owner (VFIO container), nobody. The current domain follows: default for the kernel, blocking or the
 * owner's own for an owner. Each entry point has its own predicate; none takes a mode.
 */
#include <stdio.h>

#include "iommu/domain.h"
#include "iommu/port.h"

/* Moves every member to domain. The table format is one for all units here, so a member cannot refuse. */
static void group_set_domain(struct iommu_group *group, struct domain *domain)
{
	struct iommu_device *device;

	if (group->domain == domain)
		return;
	rwlock_write(&group->iommu->dma);
	list_for_each(device, &group->devices, group_link)
		dma_port_set_domain(device->port, domain);
	rwlock_unlock(&group->iommu->dma);
	group->domain = domain;
}

/* Where a group goes when its own domain is taken away. */
static struct domain *core_domain(const struct iommu_group *group)
{
	return group->owner ? group->blocking_domain : group->default_domain;
}

static const char *describe_owner(const struct iommu_group *group, char *text, size_t size)
{
	return group->owner ? group->owner->describe(group->owner, text, size) : "the kernel's DMA API";
}

int iommu_use_default_domain(struct iommu_device *device, const char *driver, struct why *why)
{
	struct iommu_group *group = device->group;
	char owner[96], bdf[PCI_ADDR_TEXT];

	if (group->owner_count && (group->owner || group->domain != group->default_domain))
		return refuse(why, GROUP_OWNED, "%s cannot have %s: its group %d is held by %s", driver,
			      pci_addr_print(device->function->addr, bdf), group->id,
			      describe_owner(group, owner, sizeof(owner)));
	device->dma_api_driver = driver;
	group->owner_count++;
	return 0;
}

void iommu_unuse_default_domain(struct iommu_device *device)
{
	assert(device->dma_api_driver && device->group->owner_count > 0);
	device->dma_api_driver = NULL;
	device->group->owner_count--;
}

bool iommu_group_claimed(const struct iommu_group *group)
{
	return group->owner_count != 0;
}

/* "0000:02:00.1 is bound to e1000e, 0000:02:00.2 to igb" */
static void list_drivers(const struct iommu_group *group, char *text, size_t size)
{
	const struct iommu_device *device;
	char bdf[PCI_ADDR_TEXT];
	size_t used = 0;

	text[0] = '\0';
	list_for_each(device, &group->devices, group_link)
		if (device->dma_api_driver && used < size)
			used += (size_t)snprintf(text + used, size - used, "%s%s %s %s", used ? ", " : "",
						 pci_addr_print(device->function->addr, bdf),
						 used ? "to" : "is bound to", device->dma_api_driver);
}

int iommu_group_may_claim(const struct iommu_group *group, const struct owner *owner, struct why *why)
{
	char text[160];

	(void)owner; /* the same owner a second time is refused like any other: spec 02 section 3.2 */
	if (group->owner)
		return refuse(why, GROUP_CLAIMED, "group %d cannot be claimed: it is held by %s", group->id,
			      describe_owner(group, text, sizeof(text)));
	if (!group->owner_count)
		return 0;
	list_drivers(group, text, sizeof(text));
	return refuse(why, GROUP_NOT_VIABLE, "group %d cannot be claimed: %s, which use%s the kernel's DMA API",
		      group->id, text, group->owner_count == 1 ? "s" : "");
}

static const struct reserved_region *direct_region(const struct iommu_device *device)
{
	for (unsigned i = 0; i < device->unit->nregions; i++)
		if (device->unit->regions[i].kind == RESERVED_DIRECT)
			return &device->unit->regions[i];
	for (u64 rest = device->region_set; rest; rest &= rest - 1)
		if (device->regions[__builtin_ctzll(rest)].kind == RESERVED_DIRECT)
			return &device->regions[__builtin_ctzll(rest)];
	return NULL;
}

/* Blocking a member would take away memory that it needs at any time, for the firmware. */
static int refuse_direct_regions(const struct iommu_group *group, struct why *why)
{
	const struct iommu_device *device;
	char bdf[PCI_ADDR_TEXT];

	list_for_each(device, &group->devices, group_link) {
		const struct reserved_region *region = direct_region(device);

		if (region)
			return refuse(why, GROUP_NEEDS_DIRECT,
				      "group %d cannot be claimed: %s must keep [0x%llx, 0x%llx] mapped one to one",
				      group->id, pci_addr_print(device->function->addr, bdf),
				      (unsigned long long)region->start, (unsigned long long)region->last);
	}
	return 0;
}

static int prepare_blocking(struct iommu_group *group, struct why *why)
{
	const struct iommu_device *first = list_first(&group->devices, struct iommu_device, group_link);
	int err;

	if (group->blocking_domain)
		return 0;
	err = domain_new(group->iommu, first->unit, DOMAIN_BLOCKING, &group->blocking_domain, why);
	if (err < 0)
		return err;
	group->blocking_domain->users++;
	return 0;
}

int iommu_group_claim(struct iommu_group *group, const struct owner *owner, struct why *why)
{
	int err = iommu_group_may_claim(group, owner, why);

	if (err < 0)
		return err;
	if (group->domain != group->default_domain)
		return refuse(why, GROUP_DOMAIN_BUSY,
			      "group %d cannot be claimed: a private domain of %zu mappings is attached, though nobody "
			      "owns it",
			      group->id, group->domain->areas.count);
	/* In this order: Linux makes the blocking domain before it finds out. */
	err = prepare_blocking(group, why);
	if (err < 0)
		return err;
	err = refuse_direct_regions(group, why);
	if (err < 0)
		return err;
	group->owner = owner;
	group->owner_count = 1;
	group_set_domain(group, group->blocking_domain);
	return 0;
}

void iommu_group_release(struct iommu_group *group)
{
	assert(group->owner && group->owner_count > 0);
	if (group->domain != group->blocking_domain)
		group->domain->users--;
	group->owner = NULL;
	group->owner_count = 0;
	group_set_domain(group, group->default_domain);
}

int iommu_attach_group(struct domain *domain, struct iommu_group *group, struct why *why)
{
	char owner[96];

	if (group->domain != group->default_domain && group->domain != group->blocking_domain)
		return refuse(why, DOMAIN_ATTACHED, "group %d has a domain of %zu mappings attached already, by %s",
			      group->id, group->domain->areas.count, describe_owner(group, owner, sizeof(owner)));
	group_set_domain(group, domain);
	domain->users++;
	return 0;
}

void iommu_detach_group(struct domain *domain, struct iommu_group *group)
{
	assert(group->domain == domain && domain->users > 0);
	group_set_domain(group, core_domain(group));
	domain->users--;
}
