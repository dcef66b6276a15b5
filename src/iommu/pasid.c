/* SPDX-License-Identifier: MIT */
#include "iommu/pasid.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "iommu/intent.h"
#include "iommu/kind.h"
#include "iommu/page_request.h"
#include "iommu/port.h"

struct pasid_slot *iommu_pasid_slot(const struct iommu_group *group, u32 pasid)
{
	struct pasid_slot *slot;

	list_for_each(slot, &group->pasids, link)
		if (slot->pasid == pasid)
			return slot;
	return NULL;
}

static bool takes_part(const struct iommu_device *device)
{
	return device->max_pasids > 0;
}

/* ---- predicates ---- */

/* What attach and replace have in common, up to where they differ. */
static int refuse_common(const struct domain *domain, const struct iommu_device *device, u32 pasid, struct why *why)
{
	char text[DOMAIN_TEXT];
	int err;

	if (!device->unit)
		return refuse_no_iommu(device, domain, pasid, why);
	if (device->unit->driver->lacks_pasids)
		return refuse(why, PASID_UNSUPPORTED, "%s, before %s, attaches no domains to PASIDs",
			      device->unit->name, device->name);
	if (device->unit->driver->takes_pasid && !device->unit->driver->takes_pasid(domain))
		return refuse(why, PASID_UNSUPPORTED, "%s (%s), before %s, attaches no PASIDs to %s",
			      device->unit->name, device->unit->driver->name, device->name,
			      domain_describe(domain, text));
	err = refuse_foreign(domain, device->group, why);
	if (err == 0 && !pasid)
		err = refuse(why, PASID_ZERO, "%s: PASID 0 stands for requests without one", device->name);
	return err;
}

static int refuse_too_large(const struct iommu_group *group, u32 pasid, struct why *why)
{
	const struct iommu_device *device;

	list_for_each(device, &group->devices, group_link)
		if (takes_part(device) && pasid >= device->max_pasids)
			return refuse(why, PASID_TOO_LARGE, "%s of group %d has PASIDs below %u; %u is none of them",
				      device->name, group->id, device->max_pasids, pasid);
	return 0;
}

static int may_attach(const struct domain *domain, const struct iommu_device *device, u32 pasid, struct why *why)
{
	const struct iommu_group *group = device->group;
	const struct pasid_slot *taken = iommu_pasid_slot(group, pasid);
	char text[DOMAIN_TEXT];
	int err = refuse_common(domain, device, pasid, why);

	if (err == 0 && group->recovering)
		err = refuse_recovering(group, why);
	if (err == 0)
		err = refuse_too_large(group, pasid, why);
	if (err == 0 && taken)
		err = refuse(why, PASID_TAKEN, "PASID %u of group %d is attached to %s already", pasid, group->id,
			     domain_describe(taken->domain, text));
	return err < 0 ? err : intent_check(device, domain, pasid, why);
}

int refuse_pasids_off(const struct iommu_device *device, struct why *why)
{
	if (!device->pasids_off)
		return 0;
	return refuse(why, PASID_DISABLED, "%s has PASIDs, but they stay switched off: %s", device->name,
		      device->pasids_off);
}

/* The entry is there, but no request of that member will ask for it. Linux says nothing. */
static void remark_pasids_off(const struct iommu_group *group, struct why *why)
{
	const struct iommu_device *device;

	list_for_each(device, &group->devices, group_link)
		if (takes_part(device) && refuse_pasids_off(device, why) < 0)
			return;
}

/* ---- members ---- */

static int member_attach_pasid(struct iommu_device *device, u32 pasid, struct domain *domain, struct domain *old,
			       struct why *why)
{
	const struct iommu_driver *driver = device->unit->driver;
	int err = driver->attaches_pasids_off ? 0 : refuse_pasids_off(device, why);

	if (err < 0)
		return err;
	if (driver->attach_pasid)
		return driver->attach_pasid(device, pasid, domain, old, why);
	return kind_enter(device, pasid, domain, why);
}

static void member_detach_pasid(struct iommu_device *device, u32 pasid, struct domain *old)
{
	if (device->unit->driver->detach_pasid)
		device->unit->driver->detach_pasid(device, pasid, old);
}

static bool has_place(const struct iommu_device *device, u32 pasid)
{
	return device->port && dma_port_context(device->port, pasid);
}

static void drop_everywhere(const struct iommu_group *group, u32 pasid, struct domain *domain)
{
	struct iommu_device *device;

	dma_stop_group(group);
	list_for_each(device, &group->devices, group_link) {
		if (!has_place(device, pasid))
			continue;
		dma_port_drop_pasid(device->port, pasid);
		member_detach_pasid(device, pasid, domain);
	}
	dma_start_group(group);
}

/* Only who has room for it: members that came later do not. */
static void set_everywhere(const struct iommu_group *group, u32 pasid, struct domain *domain)
{
	const struct iommu_device *device;

	dma_stop_group(group);
	list_for_each(device, &group->devices, group_link)
		if (takes_part(device) && dma_port_context(device->port, pasid))
			dma_port_set_pasid(device->port, pasid, domain);
	dma_start_group(group);
}

static int enter_members(struct iommu_group *group, u32 pasid, struct domain *domain, struct why *why)
{
	struct iommu_device *device;
	int err = 0;

	list_for_each(device, &group->devices, group_link) {
		if (!takes_part(device))
			continue;
		err = member_attach_pasid(device, pasid, domain, NULL, why);
		if (err < 0)
			break;
		err = dma_port_add_pasid(device->port, pasid, why);
		if (err < 0) {
			member_detach_pasid(device, pasid, domain);
			break;
		}
	}
	return err;
}

static void insert_slot(struct iommu_group *group, struct pasid_slot *slot)
{
	struct pasid_slot *after;

	list_for_each(after, &group->pasids, link)
		if (after->pasid > slot->pasid)
			break;
	list_insert_between(&slot->link, after->link.previous, &after->link);
}

/* ---- attach, replace, detach ---- */

int iommu_attach_pasid(struct domain *domain, struct iommu_device *device, u32 pasid, struct attach_handle *handle,
		       struct why *why)
{
	struct iommu_group *group = device->group;
	struct pasid_slot *slot;
	int err = may_attach(domain, device, pasid, why);

	if (err < 0)
		return err;
	slot = alloc_new(struct pasid_slot, why);
	if (!slot)
		return -why->err;
	*slot = (struct pasid_slot){.pasid = pasid, .domain = domain, .handle = handle};
	err = enter_members(group, pasid, domain, why);
	if (err < 0) {
		drop_everywhere(group, pasid, domain);
		free(slot);
		return err;
	}
	set_everywhere(group, pasid, domain);
	if (handle)
		handle->domain = domain;
	domain->users++;
	insert_slot(group, slot);
	remark_pasids_off(group, why);
	return 0;
}

static int may_replace(const struct domain *domain, const struct iommu_device *device, u32 pasid,
		       const struct attach_handle *handle, struct why *why)
{
	const struct iommu_group *group = device->group;
	const struct pasid_slot *slot = iommu_pasid_slot(group, pasid);
	int err = refuse_common(domain, device, pasid, why);

	if (err == 0 && !handle)
		err = refuse(why, HANDLE_MISSING, "PASID %u of group %d: no handle to attach with", pasid, group->id);
	if (err == 0 && group->recovering)
		err = refuse_recovering(group, why);
	if (err == 0 && !slot)
		err = refuse(why, PASID_EMPTY, "PASID %u of group %d is attached to nothing that could be replaced",
			     pasid, group->id);
	if (err == 0 && slot->handle == handle)
		err = refuse(why, HANDLE_REUSED, "PASID %u of group %d is attached with that very handle", pasid,
			     group->id);
	return err < 0 ? err : intent_check(device, domain, pasid, why);
}

/* Members that were plugged in since the attach have had no place for it (spec 01 section 6.1). */
static int make_places(struct iommu_group *group, u32 pasid, struct why *why)
{
	struct iommu_device *device;
	int err = 0;

	list_for_each(device, &group->devices, group_link) {
		if (pasid < device->max_pasids && !dma_port_context(device->port, pasid))
			err = dma_port_add_pasid(device->port, pasid, why);
		if (err < 0)
			break;
	}
	return err;
}

static void drop_empty_places(struct iommu_group *group, u32 pasid)
{
	struct iommu_device *device;

	dma_stop_group(group);
	list_for_each(device, &group->devices, group_link)
		if (device->port && !dma_port_pasid_domain(device->port, pasid))
			dma_port_drop_pasid(device->port, pasid);
	dma_start_group(group);
}

static int ask_members(struct iommu_group *group, u32 pasid, struct domain *domain, struct domain *old, struct why *why)
{
	struct iommu_device *device, *asked;
	struct why ignored;
	int err;

	list_for_each(device, &group->devices, group_link) {
		if (!has_place(device, pasid))
			continue;
		err = member_attach_pasid(device, pasid, domain, old, why);
		if (err == 0)
			continue;
		/* The hardware has not moved yet: telling the drivers is all there is to take back. */
		list_for_each(asked, &group->devices, group_link) {
			if (asked == device)
				return err;
			if (has_place(asked, pasid))
				member_attach_pasid(asked, pasid, old, domain, &ignored);
		}
	}
	return 0;
}

static int move_members(struct iommu_group *group, u32 pasid, struct domain *domain, struct domain *old,
			struct why *why)
{
	int err = make_places(group, pasid, why);

	if (err == 0)
		err = ask_members(group, pasid, domain, old, why);
	if (err < 0)
		drop_empty_places(group, pasid);
	return err;
}

int iommu_replace_pasid(struct domain *domain, struct iommu_device *device, u32 pasid, struct attach_handle *handle,
			struct why *why)
{
	struct iommu_group *group = device->group;
	struct pasid_slot *slot = iommu_pasid_slot(group, pasid);
	int err = may_replace(domain, device, pasid, handle, why);

	if (err == 0 && slot->domain != domain)
		err = move_members(group, pasid, domain, slot->domain, why);
	if (err < 0)
		return err;
	page_requests_drop(group, pasid);
	set_everywhere(group, pasid, domain);
	slot->domain->users--;
	domain->users++;
	slot->domain = domain;
	slot->handle = handle;
	handle->domain = domain;
	remark_pasids_off(group, why);
	return 0;
}

void group_detach_pasid(struct iommu_group *group, u32 pasid)
{
	struct pasid_slot *slot = iommu_pasid_slot(group, pasid);

	if (!slot)
		return;
	page_requests_drop(group, pasid);
	drop_everywhere(group, pasid, slot->domain);
	slot->domain->users--;
	list_remove(&slot->link);
	free(slot);
}

void iommu_detach_pasid(struct iommu_device *device, u32 pasid)
{
	group_detach_pasid(device->group, pasid);
}

/* ---- handles ---- */

int iommu_find_handle(const struct iommu_group *group, u32 pasid, enum domain_kind kind, struct attach_handle **ret,
		      struct why *why)
{
	const struct pasid_slot *slot = pasid ? iommu_pasid_slot(group, pasid) : NULL;
	struct attach_handle *handle = pasid ? (slot ? slot->handle : NULL) : group->handle;

	if (!handle)
		return refuse(why, HANDLE_NONE, "PASID %u of group %d is attached without a handle, or not at all",
			      pasid, group->id);
	if (kind != DOMAIN_ANY && handle->domain->kind != kind)
		return refuse(why, HANDLE_KIND, "PASID %u of group %d is attached to a %s domain, not a %s one", pasid,
			      group->id, domain_kind_name(handle->domain->kind), domain_kind_name(kind));
	*ret = handle;
	return 0;
}

/* ---- PASIDs of all devices ---- */

int iommu_alloc_pasid(struct iommu_device *device, u32 *ret, struct why *why)
{
	struct idmap *pool = &device->group->iommu->global_pasids;
	int err;

	if (!device->max_pasids)
		return refuse(why, PASID_NONE_FREE, "%s has no PASIDs", device->name);
	pool->limit = device->max_pasids;
	err = idmap_reserve(pool, 1, ret, why);
	pool->limit = PASIDS;
	if (err == 0 || why->code != WHY_IDS_EXHAUSTED)
		return err;
	return refuse(why, PASID_NONE_FREE, "all PASIDs of the machine below %u, the limit of %s, are taken",
		      device->max_pasids, device->name);
}

void iommu_free_pasid(struct iommu *iommu, u32 pasid)
{
	const struct idmap *pool = &iommu->global_pasids;

	if (pasid < pool->size && pool->slots[pasid])
		idmap_abandon(&iommu->global_pasids, pasid);
}

/* ---- a member that is being reset ---- */

void pasids_park(struct iommu_device *device)
{
	struct dma_context *context;

	dma_stop_group(device->group);
	list_for_each(context, &device->port->contexts, of_port)
		dma_port_set_pasid(device->port, context->pasid, NULL);
	dma_start_group(device->group);
}

/* A driver that cannot any more leaves the PASID blocked on this device; Linux only warns. */
void pasids_resume(struct iommu_device *device)
{
	const struct iommu_group *group = device->group;
	const struct pasid_slot *slot;
	struct why ignored;

	list_for_each(slot, &group->pasids, link) {
		/* A device that was plugged in later has no room for it. */
		if (!dma_port_context(device->port, slot->pasid) ||
		    member_attach_pasid(device, slot->pasid, slot->domain, NULL, &ignored) < 0)
			continue;
		dma_port_set_pasid(device->port, slot->pasid, slot->domain);
	}
}
