/* SPDX-License-Identifier: MIT */
#include "iommu/attach.h"

#include "base/alloc.h"
#include "iommu/intent.h"
#include "iommu/kind.h"
#include "iommu/own.h"
#include "iommu/page_request.h"
#include "iommu/port.h"

/* ---- moving members ---- */

static bool needs_direct(const struct iommu_device *device)
{
	const struct reserved_region *region;

	for (unsigned i = 0; (region = iommu_device_region(device, i)); i++)
		if (region->kind == RESERVED_DIRECT)
			return true;
	return false;
}

int ask_driver(struct iommu_device *device, struct domain *domain, struct domain *old, struct why *why)
{
	const struct iommu_driver *driver = device->unit->driver;
	int err;

	if (driver->attach)
		return driver->attach(device, domain, old, why);
	err = refuse_other_driver(device, domain, why);
	return err < 0 ? err : kind_enter(device, 0, domain, why);
}

int member_attach(struct iommu_device *device, struct domain *domain, struct domain *old, struct why *why)
{
	if (domain->kind == DOMAIN_BLOCKING && needs_direct(device))
		return refuse(why, DEVICE_NEEDS_DIRECT, "%s cannot be blocked: firmware keeps memory mapped for it",
			      device->name);
	return ask_driver(device, domain, old, why);
}

int refuse_recovering(const struct iommu_group *group, struct why *why)
{
	const struct iommu_device *device;

	list_for_each(device, &group->devices, group_link)
		if (device->blocked)
			return refuse(why, GROUP_RECOVERING, "%s of group %d is being reset", device->name, group->id);
	return 0;
}

/* Whose turn it is: the members of one alias set, or all that have no domain of theirs. */
#define WHOLE_GROUP (-1)

static bool takes_part(const struct iommu_device *device, int alias_set)
{
	return alias_set == WHOLE_GROUP ? !device->own_domain : device->alias_set == alias_set;
}

/* Where the member's DMA belongs at the moment. */
static struct domain *place_of(const struct iommu_device *device)
{
	const struct iommu_group *group = device->group;

	if (device->blocked || device->stranded)
		return group->blocking_domain;
	return device->own_domain ? device->own_domain : group->domain;
}

void move_hardware(struct iommu_group *group)
{
	struct iommu_device *device;

	dma_stop_group(group);
	list_for_each(device, &group->devices, group_link)
		if (device->port && dma_port_domain(device->port) != place_of(device))
			dma_port_set_domain(device->port, place_of(device));
	dma_start_group(group);
}

/* Those before `failed` had agreed: back they go. The driver that cannot even do that loses its device. */
static void put_back(struct iommu_group *group, int alias_set, const struct iommu_device *failed, struct domain *domain)
{
	struct iommu_device *device;
	struct why ignored;

	list_for_each(device, &group->devices, group_link) {
		if (device == failed)
			break;
		if (takes_part(device, alias_set))
			device->stranded = group->domain && member_attach(device, group->domain, domain, &ignored) < 0;
	}
	move_hardware(group);
}

static int ask_members(struct iommu_group *group, int alias_set, struct domain *domain, struct why *why)
{
	struct iommu_device *device;
	int err;

	list_for_each(device, &group->devices, group_link) {
		if (!takes_part(device, alias_set))
			continue;
		err = member_attach(device, domain, group->domain, why);
		if (err < 0) {
			put_back(group, alias_set, device, domain);
			return err;
		}
	}
	list_for_each(device, &group->devices, group_link)
		if (takes_part(device, alias_set))
			device->stranded = false;
	return 0;
}

/* All members have been asked: it is the group's. */
static void move_group(struct iommu_group *group, struct domain *domain)
{
	if (group->domain)
		group->domain->users--;
	if (domain)
		domain->users++;
	group->domain = domain;
	move_hardware(group);
}

int group_set_domain(struct iommu_group *group, struct domain *domain, struct why *why)
{
	int err;

	if (group->domain == domain)
		return 0;
	if (group->recovering)
		return refuse_recovering(group, why);
	err = ask_members(group, WHOLE_GROUP, domain, why);
	if (err == 0)
		move_group(group, domain);
	return err;
}

/* It must go there. One that is being reset follows when that is over. */
static void force_member(struct iommu_device *device, struct domain *domain, struct domain *old)
{
	const struct iommu_group *group = device->group;
	struct why ignored;
	bool follows = !domain || device->blocked || !device->unit || member_attach(device, domain, old, &ignored) == 0;

	device->stranded = !follows && group->blocking_domain && group->blocking_domain != domain;
}

void group_force_domain(struct iommu_group *group, struct domain *domain)
{
	struct iommu_device *device;

	if (group->domain == domain)
		return;
	list_for_each(device, &group->devices, group_link)
		if (takes_part(device, WHOLE_GROUP))
			force_member(device, domain, group->domain);
	move_group(group, domain);
}

int group_prepare_blocking(struct iommu_group *group, struct why *why)
{
	struct domain *domain;
	int err;

	if (group->blocking_domain)
		return 0;
	if (!iommu_group_unit(group))
		return refuse(why, DEVICE_NO_IOMMU, "group %d is behind no IOMMU, so nothing blocks it", group->id);
	err = domain_new(group->iommu, iommu_group_unit(group), DOMAIN_BLOCKING, &domain, why);
	if (err < 0)
		return err;
	domain->users++;
	group->blocking_domain = domain;
	/* Members that could not be put back have waited for it. */
	move_hardware(group);
	return 0;
}

/* ---- attach and detach ---- */

/* Where a group goes when its own domain is taken away. */
static struct domain *core_domain(const struct iommu_group *group)
{
	return group->owner ? group->blocking_domain : group->default_domain;
}

static bool has_own_domain(const struct iommu_group *group)
{
	return group->domain && group->domain != group->default_domain && group->domain != group->blocking_domain;
}

int refuse_foreign(const struct domain *domain, const struct iommu_group *group, struct why *why)
{
	const struct iommu_unit *unit = iommu_group_unit(group);
	char text[DOMAIN_TEXT];

	domain_describe(domain, text);
	if (!unit)
		return refuse(why, DOMAIN_FOREIGN, "%s cannot be attached: group %d is behind no IOMMU", text,
			      group->id);
	if (domain->driver != unit->driver)
		return refuse(why, DOMAIN_FOREIGN, "%s is of %s; group %d is behind %s, which is %s", text,
			      domain->driver->name, group->id, unit->name, unit->driver->name);
	return 0;
}

static int refuse_own_domains(const struct iommu_group *group, struct why *why)
{
	const struct iommu_device *device;
	char text[DOMAIN_TEXT];

	list_for_each(device, &group->devices, group_link)
		if (device->own_domain)
			return refuse(why, DOMAIN_ATTACHED, "%s of group %d has a domain of its alias set already: %s",
				      device->name, group->id, domain_describe(device->own_domain, text));
	return 0;
}

int refuse_no_iommu(const struct iommu_device *device, const struct domain *domain, u32 pasid, struct why *why)
{
	int err = domain ? intent_check(device, domain, pasid, why) : 0;

	return err < 0 ? err : refuse(why, DEVICE_NO_IOMMU, "%s is behind no IOMMU", device->name);
}

static int may_attach(const struct domain *domain, const struct iommu_group *group, struct why *why)
{
	char present[DOMAIN_TEXT], owner[OWNER_TEXT];
	int err;

	if (has_own_domain(group))
		return refuse(why, DOMAIN_ATTACHED, "group %d is attached to %s already, by %s", group->id,
			      domain_describe(group->domain, present), iommu_describe_owner(group, owner));
	err = refuse_own_domains(group, why);
	return err < 0 ? err : refuse_foreign(domain, group, why);
}

int iommu_attach_group(struct domain *domain, struct iommu_group *group, struct why *why)
{
	/* What a device that is no hardware declared tells more than that it has no IOMMU. */
	int err = iommu_group_unit(group) ? 0 : intent_check_group(group, domain, 0, why);

	if (err == 0)
		err = may_attach(domain, group, why);
	if (err == 0)
		err = intent_check_group(group, domain, 0, why);
	return err < 0 ? err : group_set_domain(group, domain, why);
}

void iommu_detach_group(struct iommu_group *group)
{
	page_requests_drop(group, 0);
	group->handle = NULL;
	group_force_domain(group, core_domain(group));
}

/* ---- one device ---- */

static int refuse_shared(const struct iommu_device *device, struct why *why)
{
	const struct iommu_group *group = device->group;
	char owner[OWNER_TEXT];

	if (group->ndevices == 1)
		return 0;
	if (!group->iommu->options.private_domains)
		return refuse(why, GROUP_SHARED, "%s cannot have a domain of its own: its group %d has %u devices",
			      device->name, group->id, group->ndevices);
	/* The count tells who would be hurt, not the number of devices: none of them does DMA. */
	if (group->owner_count == 1 && device->dma_api_driver)
		return 0;
	return refuse(
		why, GROUP_SHARED_USERS,
		"%s cannot have a domain of its own: it is not the only user of its group %d, which is used by %s",
		device->name, group->id, iommu_describe_owner(group, owner));
}

int iommu_attach_device(struct domain *domain, struct iommu_device *device, struct why *why)
{
	int err;

	if (!device->unit)
		return refuse_no_iommu(device, domain, 0, why);
	err = refuse_shared(device, why);
	return err < 0 ? err : iommu_attach_group(domain, device->group, why);
}

int iommu_may_detach_device(const struct domain *domain, const struct iommu_device *device, struct why *why)
{
	const struct iommu_group *group = device->group;
	bool shared = group->ndevices != 1 && !group->iommu->options.private_domains;
	char wanted[DOMAIN_TEXT];

	if (device->unit && domain == group->domain && !shared)
		return 0;
	return refuse(why, NOT_ATTACHED, "%s is not attached to %s by itself", device->name,
		      domain_describe(domain, wanted));
}

void iommu_detach_device(struct iommu_device *device)
{
	iommu_detach_group(device->group);
}

/* ---- with a handle ---- */

int iommu_attach_group_handle(struct domain *domain, struct iommu_group *group, struct attach_handle *handle,
			      struct why *why)
{
	int err;

	if (!handle)
		return refuse(why, HANDLE_MISSING, "group %d: no handle to attach with", group->id);
	if (group->handle)
		return refuse(why, HANDLE_TAKEN, "group %d is attached with a handle already", group->id);
	err = iommu_attach_group(domain, group, why);
	if (err < 0)
		return err;
	handle->domain = domain;
	group->handle = handle;
	return 0;
}

void iommu_detach_group_handle(struct iommu_group *group)
{
	iommu_detach_group(group);
}

int iommu_replace_group_handle(struct iommu_group *group, struct domain *domain, struct attach_handle *handle,
			       struct why *why)
{
	int err;

	if (!domain || !handle)
		return refuse(why, HANDLE_MISSING, "group %d: nothing to attach instead", group->id);
	if (!iommu_group_unit(group))
		return refuse(why, DEVICE_NO_IOMMU, "group %d is behind no IOMMU", group->id);
	err = fallible() ? 0 : refuse(why, OUT_OF_MEMORY, "no memory for the handle of group %d", group->id);
	if (err == 0)
		err = refuse_own_domains(group, why);
	if (err == 0)
		err = intent_check_group(group, domain, 0, why);
	if (err == 0)
		err = group_set_domain(group, domain, why);
	if (err < 0)
		return err;
	page_requests_drop(group, 0);
	handle->domain = domain;
	group->handle = handle;
	return 0;
}

/* ---- one alias set ---- */

static int may_attach_alias_set(const struct domain *domain, const struct iommu_device *device, struct why *why)
{
	const struct iommu_group *group = device->group;
	char text[DOMAIN_TEXT], owner[OWNER_TEXT];

	if (!group->iommu->options.alias_domains)
		return refuse(why, ALIAS_OFF, "%s: this machine attaches whole groups only", device->name);
	if (!device->unit)
		return refuse(why, DEVICE_NO_IOMMU, "%s is behind no IOMMU", device->name);
	if (group->owner)
		return refuse(why, ALIAS_OWNED, "%s: its group %d is held as a whole by %s", device->name, group->id,
			      iommu_describe_owner(group, owner));
	if (has_own_domain(group) || device->own_domain)
		return refuse(why, DOMAIN_ATTACHED, "%s is attached to %s already", device->name,
			      domain_describe(device->own_domain ? device->own_domain : group->domain, text));
	if (group->recovering)
		return refuse_recovering(group, why);
	return refuse_foreign(domain, group, why);
}

static void set_alias_set(struct iommu_group *group, int alias_set, struct domain *domain)
{
	struct iommu_device *device;

	list_for_each(device, &group->devices, group_link) {
		if (!takes_part(device, alias_set))
			continue;
		group->own_domains += domain ? 1 : 0;
		group->own_domains -= device->own_domain ? 1 : 0;
		if (device->own_domain)
			device->own_domain->users--;
		if (domain)
			domain->users++;
		device->own_domain = domain;
	}
	move_hardware(group);
}

static int intent_check_alias_set(const struct iommu_device *device, const struct domain *domain, struct why *why)
{
	const struct iommu_device *member;
	int err = 0;

	list_for_each(member, &device->group->devices, group_link)
		if (err == 0 && takes_part(member, device->alias_set))
			err = intent_check(member, domain, 0, why);
	return err;
}

int iommu_attach_alias_set(struct domain *domain, struct iommu_device *device, struct why *why)
{
	int err = may_attach_alias_set(domain, device, why);

	if (err == 0)
		err = intent_check_alias_set(device, domain, why);
	if (err == 0)
		err = ask_members(device->group, device->alias_set, domain, why);
	if (err == 0)
		set_alias_set(device->group, device->alias_set, domain);
	return err;
}

void iommu_detach_alias_set(struct iommu_device *device)
{
	struct iommu_group *group = device->group;
	struct iommu_device *member;

	if (!device->own_domain)
		return;
	list_for_each(member, &group->devices, group_link)
		if (takes_part(member, device->alias_set))
			force_member(member, group->domain, member->own_domain);
	set_alias_set(group, device->alias_set, NULL);
}
