/* SPDX-License-Identifier: MIT */
/*
 * What a device is attached to (spec 02 section 5, 03 section 7). User space attaches device by device; the group moves
 * with the first and goes with the last, which is iommu/attachment.h's work. Here is what it means for objects: one
 * user of the HWPT and of the device for each attachment, the device's reserved regions in the IOAS, who gets its page
 * requests - and which HWPT it is, when the program names an IOAS.
 *
 * Where Linux can fail, it is left as it was: what is reserved, installed or enabled first is taken back. There is one
 * difference: Linux, replacing a HWPT by another of the same IOAS, drops the regions of all devices when it fails
 * (iommufd_device_do_replace()); here they stay, because the devices do.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommu/page_request.h"
#include "iommufd/device.h"
#include "iommufd/eventq.h"
#include "iommufd/hwpt.h"

struct device_attachment *device_attachment_at(const struct iommufd_device *device, u32 pasid)
{
	struct device_attachment *attachment;

	list_for_each(attachment, &device->attached, link)
		if (attachment->pasid == pasid)
			return attachment;
	return NULL;
}

struct hwpt *iommufd_device_hwpt(const struct iommufd_device *device, u32 pasid)
{
	const struct device_attachment *attachment = device_attachment_at(device, pasid);

	return attachment ? attachment->handle->hwpt : NULL;
}

struct iommufd_device *device_next_attached(const struct context *context, const struct iommu_group *group, u32 pasid,
					    const struct iommufd_device *after)
{
	const struct list_link *link = after ? after->link.next : context->devices.head.next;

	for (; link != &context->devices.head; link = link->next) {
		struct iommufd_device *device = list_entry((struct list_link *)(uintptr_t)link, struct iommufd_device,
							   link);

		if (device->core->group == group && device_attachment_at(device, pasid))
			return device;
	}
	return NULL;
}

/* The group's devices at that PASID share it; NULL: the next one is the first. */
static struct device_handle *shared_handle(const struct iommufd_device *device, u32 pasid)
{
	const struct iommufd_device *sibling = device_next_attached(device->object.context, device->core->group, pasid,
								    NULL);

	return sibling ? device_attachment_at(sibling, pasid)->handle : NULL;
}

/* ---- reserved regions ---- */

static int refuse_mixed(const struct iommufd_device *device, unsigned hardware, unsigned software, struct why *why)
{
	if (software <= 1 && !(software && hardware))
		return 0;
	return refuse(why, MSI_WINDOWS_MIXED, "%s has %u windows for interrupts of hardware and %u of software",
		      device->core->name, hardware, software);
}

static int reserve_regions(const struct iommufd_device *device, struct ioas *ioas, struct why *why)
{
	const struct reserved_region *region;
	unsigned hardware = 0, software = 0;
	int err = 0;

	for (unsigned i = 0; err == 0 && (region = iommu_device_region(device->core, i)); i++) {
		if (region->kind == RESERVED_DIRECT_RELAXABLE)
			continue;
		hardware += region->kind == RESERVED_MSI;
		software += region->kind == RESERVED_SW_MSI;
		err = ioas_reserve(ioas, region->start, region->last, device, why);
		if (err < 0)
			why_context(why, "%s (%s region)", device->core->name, reserved_kind_name(region->kind));
	}
	if (err == 0)
		err = refuse_mixed(device, hardware, software, why);
	if (err < 0)
		ioas_unreserve(ioas, device);
	return err;
}

static int reserve_siblings(const struct iommufd_device *device, struct ioas *ioas, struct why *why)
{
	struct iommufd_device *sibling = NULL;
	int err = 0;

	while (err == 0 && (sibling = device_next_attached(device->object.context, device->core->group, 0, sibling)))
		err = reserve_regions(sibling, ioas, why);
	return err;
}

static void unreserve_siblings(const struct iommufd_device *device, struct ioas *ioas)
{
	struct iommufd_device *sibling = NULL;

	while ((sibling = device_next_attached(device->object.context, device->core->group, 0, sibling)))
		ioas_unreserve(ioas, sibling);
}

/* ---- page requests ---- */

static void respond(void *context, const struct page_request *last, enum page_answer answer)
{
	struct iommu_device *device = context;

	if (device->unit->driver->answer_page)
		device->unit->driver->answer_page(device, last, answer);
}

static bool somebody_answers(const struct iommu_group *group)
{
	const struct pasid_slot *slot;

	if (group->handle && group->handle->pages)
		return true;
	list_for_each(slot, &group->pasids, link)
		if (slot->handle && slot->handle->pages)
			return true;
	return false;
}

/* Nobody answers any more: nobody asks. */
static void settle_requests(const struct iommu_group *group)
{
	struct iommu_device *member;

	if (somebody_answers(group))
		return;
	list_for_each(member, &group->devices, group_link)
		if (!member->unit->driver->asks_pages)
			iommu_disable_page_requests(member);
}

static int enable_member(struct iommu_device *member, struct why *why)
{
	const struct iommu_driver *driver = member->unit->driver;

	if (member->requests || driver->asks_pages || (driver->pages_optional && !iommu_has_pri(member)))
		return 0;
	return iommu_enable_page_requests(member, respond, member, why);
}

/* In Linux a part of the drivers' attach, which refuses a device that cannot ask (intel_iommu_enable_iopf()). */
static int enable_requests(const struct iommu_group *group, const struct hwpt *hwpt, struct why *why)
{
	struct iommu_device *member;
	int err = 0;

	list_for_each(member, &group->devices, group_link)
		if (err == 0 && hwpt->fault)
			err = enable_member(member, why);
	if (err < 0)
		settle_requests(group);
	return err;
}

/* ---- attach ---- */

static struct device_handle *handle_new(struct iommufd_device *device, struct hwpt *hwpt, struct why *why)
{
	struct device_handle *handle = alloc_new(struct device_handle, why);

	if (!handle)
		return NULL;
	handle->hwpt = hwpt;
	handle->device = device;
	handle->core.pages = hwpt->fault ? fault_queue_handler(hwpt->fault) : NULL;
	return handle;
}

/* From what only the first is asked on. */
static int lead_group(struct iommufd_device *device, u32 pasid, struct hwpt *hwpt, struct device_handle *handle,
		      struct why *why)
{
	const struct iommu_group *group = device->core->group;
	int err = iommu_device_may_lead(device->core, pasid, hwpt->domain, &handle->core, why);

	if (err == 0)
		err = enable_requests(group, hwpt, why);
	if (err == 0)
		err = iommu_device_attach(device->core, pasid, hwpt->domain, &handle->core, why);
	settle_requests(group);
	return err;
}

static int enter_group(struct iommufd_device *device, u32 pasid, struct hwpt *hwpt,
		       struct device_attachment *attachment, struct why *why)
{
	struct device_handle *handle = shared_handle(device, pasid);
	int err;

	if (handle) {
		attachment->handle = handle;
		return iommu_device_attach(device->core, pasid, hwpt->domain, &handle->core, why);
	}
	if (!pasid && (err = sw_msi_install(device, hwpt_paging_of(hwpt), why)) < 0)
		return err;
	handle = handle_new(device, hwpt, why);
	if (!handle)
		return -why->err;
	err = lead_group(device, pasid, hwpt, handle, why);
	if (err < 0)
		free(handle);
	else
		attachment->handle = handle;
	return err;
}

/* Linux: drivers/iommu/iommufd/device.c:iommufd_hw_pagetable_attach() */
int device_attach_hwpt(struct iommufd_device *device, u32 pasid, struct hwpt *hwpt, struct why *why)
{
	struct ioas *ioas = hwpt_paging_of(hwpt)->ioas;
	struct device_attachment *attachment = alloc_new(struct device_attachment, why);
	int err;

	if (!attachment)
		return -why->err;
	attachment->pasid = pasid;
	err = iommu_device_may_join(device->core, pasid, hwpt->domain, why);
	if (err == 0 && !pasid)
		err = reserve_regions(device, ioas, why);
	if (err < 0) {
		free(attachment);
		return err;
	}
	err = enter_group(device, pasid, hwpt, attachment, why);
	if (err < 0) {
		if (!pasid)
			ioas_unreserve(ioas, device);
		free(attachment);
		return err;
	}
	list_append(&device->attached, &attachment->link);
	object_use(&hwpt->object);
	object_use(&device->object);
	return 0;
}

/* ---- detach ---- */

/* Linux: drivers/iommu/iommufd/device.c:iommufd_hw_pagetable_detach() */
void iommufd_device_detach(struct iommufd_device *device, u32 pasid)
{
	struct device_attachment *attachment = device_attachment_at(device, pasid);
	struct device_handle *handle;
	struct hwpt *hwpt;

	if (!attachment)
		return;
	handle = attachment->handle;
	hwpt = handle->hwpt;
	list_remove(&attachment->link);
	free(attachment);
	if (iommu_device_detach(device->core, pasid))
		free(handle);
	else if (handle->device == device)
		handle->device = device_next_attached(device->object.context, device->core->group, pasid, NULL);
	settle_requests(device->core->group);
	if (!pasid)
		ioas_unreserve(hwpt_paging_of(hwpt)->ioas, device);
	object_unuse(&device->object);
	hwpt_put(hwpt);
}

/* ---- replace ---- */

/* All devices have moved in the core; the old handle has nothing outstanding any more. */
static void move_users(struct iommufd_device *device, u32 pasid, struct device_handle *to)
{
	struct device_handle *from = device_attachment_at(device, pasid)->handle;
	struct ioas *old = hwpt_paging_of(from->hwpt)->ioas;
	struct iommufd_device *sibling = NULL;
	struct hwpt *hwpt = from->hwpt;

	if (!pasid && old != hwpt_paging_of(to->hwpt)->ioas)
		unreserve_siblings(device, old);
	free(from);
	while ((sibling = device_next_attached(device->object.context, device->core->group, pasid, sibling))) {
		device_attachment_at(sibling, pasid)->handle = to;
		object_use(&to->hwpt->object);
		hwpt_put(hwpt);
	}
}

static int move_group(struct iommufd_device *device, u32 pasid, struct hwpt *hwpt, struct why *why)
{
	const struct iommu_group *group = device->core->group;
	struct device_handle *handle;
	int err = 0;

	if (!pasid)
		err = sw_msi_install(device, hwpt_paging_of(hwpt), why);
	handle = err == 0 ? handle_new(device, hwpt, why) : NULL;
	if (!handle)
		return -why->err;
	err = iommu_device_may_lead(device->core, pasid, hwpt->domain, &handle->core, why);
	if (err == 0)
		err = enable_requests(group, hwpt, why);
	if (err == 0)
		err = iommu_device_replace(device->core, pasid, hwpt->domain, &handle->core, why);
	if (err < 0)
		free(handle);
	else
		move_users(device, pasid, handle);
	settle_requests(group);
	return err;
}

/* Linux: drivers/iommu/iommufd/device.c:iommufd_device_do_replace() */
int device_replace_hwpt(struct iommufd_device *device, u32 pasid, struct hwpt *hwpt, struct why *why)
{
	const struct device_attachment *attachment = device_attachment_at(device, pasid);
	struct ioas *ioas = hwpt_paging_of(hwpt)->ioas;
	bool moves;
	int err = 0;

	if (!attachment)
		return refuse(why, NOT_ATTACHED, "%s is attached to nothing at PASID %u that could be replaced",
			      device->core->name, pasid);
	if (attachment->handle->hwpt == hwpt)
		return 0;
	moves = !pasid && hwpt_paging_of(attachment->handle->hwpt)->ioas != ioas;
	if (moves)
		err = reserve_siblings(device, ioas, why);
	if (err == 0)
		err = move_group(device, pasid, hwpt, why);
	if (err < 0 && moves)
		unreserve_siblings(device, ioas);
	return err;
}

/* ---- which HWPT ---- */

/* Attach or replace. */
typedef int device_move(struct iommufd_device *device, u32 pasid, struct hwpt *hwpt, struct why *why);

/*
 * An attach that fails with EINVAL says that another domain may do, and any other errno that none will: the errnos
 * of the refusals are what Linux's drivers and core have agreed on here.
 */
static bool another_may_do(const struct why *why)
{
	return why_code_errno(why->code) == EINVAL;
}

/* Attached first and filled then: that decides which errno wins. */
static int use_new(struct iommufd_device *device, u32 pasid, struct hwpt_paging *hwpt, device_move *move,
		   struct why *why)
{
	bool attaches = move == device_attach_hwpt;
	int err = attaches ? move(device, pasid, &hwpt->hwpt, why) : hwpt_paging_fill(hwpt, why);

	if (err < 0)
		return err;
	if (!attaches)
		return move(device, pasid, &hwpt->hwpt, why);
	err = hwpt_paging_fill(hwpt, why);
	if (err < 0)
		iommufd_device_detach(device, pasid);
	return err;
}

/* Linux: drivers/iommu/iommufd/device.c:iommufd_device_auto_get_domain() */
static int use_ioas(struct iommufd_device *device, u32 pasid, struct ioas *ioas, u32 *pt_id, device_move *move,
		    struct why *why)
{
	struct hwpt_paging *hwpt, *following;
	int err;

	list_for_each_safe(hwpt, following, &ioas->hwpts, link) {
		if (!hwpt->automatic)
			continue;
		err = move(device, pasid, &hwpt->hwpt, why);
		if (err == 0)
			*pt_id = hwpt->hwpt.object.id;
		if (err == 0 || !another_may_do(why))
			return err;
	}
	why_clear(why);
	err = hwpt_paging_new(ioas, device, 0, NULL, &hwpt, why);
	if (err < 0)
		return err;
	err = use_new(device, pasid, hwpt, move, why);
	if (err < 0) {
		hwpt_free(&hwpt->hwpt);
		return err;
	}
	hwpt->automatic = true;
	*pt_id = hwpt->hwpt.object.id;
	object_publish(&hwpt->hwpt.object);
	return 0;
}

static int change_pt(struct iommufd_device *device, u32 pasid, u32 *pt_id, device_move *move, struct why *why)
{
	char text[OBJECT_TEXT];
	struct object *pt;
	int err = object_find(device->object.context, *pt_id, NULL, &pt, why);

	if (err < 0)
		return err;
	if (object_is_hwpt(pt))
		return move(device, pasid, hwpt_of(pt), why);
	if (pt->class == &ioas_class)
		return use_ioas(device, pasid, container_of(pt, struct ioas, object), pt_id, move, why);
	return refuse(why, PT_KIND, "%s cannot be attached to %s", device->core->name, object_describe(pt, text));
}

int iommufd_device_attach(struct iommufd_device *device, u32 pasid, u32 *pt_id, struct why *why)
{
	return change_pt(device, pasid, pt_id, device_attach_hwpt, why);
}

int iommufd_device_replace(struct iommufd_device *device, u32 pasid, u32 *pt_id, struct why *why)
{
	return change_pt(device, pasid, pt_id, device_replace_hwpt, why);
}
