/* SPDX-License-Identifier: MIT */
/* include/isolde/iommu.h: page requests. Groups wait in their handle until the driver comes for them. */
#include <stdlib.h>

#include "base/alloc.h"
#include "machine/api.h"

struct isolde_page_group {
	struct isolde_machine *machine; /* borrowed */
	struct page_group *core;	/* borrowed; NULL: the attachment ended, and with it the question */
	struct isolde_page_request *requests;
	size_t count;
	struct list_link link;	/* handle->waiting, until taken */
	struct list_link taken; /* handle->taken, from then on */
};

static struct isolde_page_request exported(const struct page_request *request)
{
	return (struct isolde_page_request){
		.iova = request->iova,
		.flags = request->permission,
		.pasid = request->pasid,
		.has_pasid = request->has_pasid,
		.group = (u16)request->group, /* PRI has 9 bits */
		.last = request->last,
	};
}

static void group_free(struct isolde_page_group *group)
{
	list_remove(&group->link);
	list_remove(&group->taken);
	free(group->requests);
	free(group);
}

/* ---- the driver's side ---- */

static int queue_group(struct page_handler *handler, struct page_group *core, struct why *why)
{
	struct isolde_handle *handle = container_of(handler, struct isolde_handle, pages);
	struct isolde_page_group *group = alloc_new(struct isolde_page_group, why);

	if (!group)
		return -why->err;
	group->requests = alloc_array(core->count, sizeof(group->requests[0]), why);
	if (!group->requests) {
		free(group);
		return -why->err;
	}
	for (unsigned i = 0; i < core->count; i++)
		group->requests[i] = exported(&core->requests[i]);
	group->machine = handle->machine;
	group->core = core;
	group->count = core->count;
	list_append(&handle->waiting, &group->link);
	return 0;
}

static void forget(struct list *list, const struct page_group *core, bool waiting)
{
	struct isolde_page_group *group, *following;

	if (waiting) {
		list_for_each_safe(group, following, list, link)
			if (group->core == core)
				group_free(group);
		return;
	}
	list_for_each(group, list, taken)
		if (group->core == core)
			group->core = NULL;
}

/* The attachment answers the group itself: who has taken it finds nothing any more. */
static void forget_group(struct page_handler *handler, struct page_group *core)
{
	struct isolde_handle *handle = container_of(handler, struct isolde_handle, pages);

	forget(&handle->waiting, core, true);
	forget(&handle->taken, core, false);
}

int isolde_handle_new(struct isolde_machine *machine, struct isolde_handle **ret, struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct isolde_handle *handle = alloc_new(struct isolde_handle, &why);
	int err = handle ? 0 : -why.err;

	if (handle) {
		handle->machine = machine;
		handle->pages = (struct page_handler){.handle = queue_group, .forget = forget_group};
		list_init(&handle->waiting);
		list_init(&handle->taken);
		*ret = handle;
	}
	why_export(reason, &why, err);
	return err;
}

/* Attached with it, the core would go on asking it. */
static int refuse_attached(const struct isolde_handle *handle, struct why *why)
{
	const struct iommu_group *group;
	const struct pasid_slot *slot;

	list_for_each(group, &handle->machine->machine->iommu.groups, link) {
		if (group->handle == &handle->core)
			return refuse(why, HANDLE_BUSY, "group %d is attached with the handle", group->id);
		list_for_each(slot, &group->pasids, link)
			if (slot->handle == &handle->core)
				return refuse(why, HANDLE_BUSY, "PASID %u of group %d is attached with the handle",
					      slot->pasid, group->id);
	}
	return 0;
}

/* Groups that were taken are their takers'. */
static void free_handle(struct isolde_handle *handle)
{
	struct isolde_page_group *group, *following;

	assert(list_empty(&handle->waiting));
	list_for_each_safe(group, following, &handle->taken, taken)
		list_remove(&group->taken);
	free(handle);
}

int isolde_handle_free(struct isolde_handle *handle, struct isolde_why *reason)
{
	struct isolde_machine *machine;
	struct why why = WHY_INIT;
	int err;

	if (!handle)
		return 0;
	machine = handle->machine;
	api_begin(machine);
	err = refuse_attached(handle, &why);
	if (err == 0)
		free_handle(handle);
	return api_end(machine, "handle_free", &why, err, reason);
}

void isolde_handle_accept_pages(struct isolde_handle *handle)
{
	api_begin(handle->machine);
	handle->core.pages = &handle->pages;
	mutex_unlock(&handle->machine->machine->lock);
}

struct isolde_page_group *isolde_handle_next_pages(struct isolde_handle *handle)
{
	struct isolde_page_group *group;

	api_begin(handle->machine);
	group = list_first(&handle->waiting, struct isolde_page_group, link);
	if (group) {
		list_remove(&group->link);
		list_append(&handle->taken, &group->taken);
	}
	mutex_unlock(&handle->machine->machine->lock);
	return group;
}

const struct isolde_page_request *isolde_page_group_requests(const struct isolde_page_group *group, size_t *ret_count)
{
	const struct isolde_page_request *requests;

	api_begin(group->machine);
	requests = group->core ? group->requests : NULL;
	*ret_count = group->core ? group->count : 0;
	mutex_unlock(&group->machine->machine->lock);
	return requests;
}

void isolde_page_group_answer(struct isolde_page_group *group, enum isolde_page_answer answer)
{
	struct isolde_machine *machine = group->machine;
	struct page_group *core;

	api_begin(machine);
	core = group->core;
	group_free(group);
	if (core)
		iommu_answer_page_group(core, (enum page_answer)answer);
	mutex_unlock(&machine->machine->lock);
}

/* ---- the device's side ---- */

static void respond(void *context, const struct page_request *last, enum page_answer answer)
{
	const struct isolde_device *device = context;
	const struct isolde_page_request request = exported(last);

	device->respond(device->respond_context, &request, (enum isolde_page_answer)answer);
}

int isolde_page_enable(struct isolde_device *device,
		       void (*answered)(void *context, const struct isolde_page_request *last,
					enum isolde_page_answer answer),
		       void *context, struct isolde_why *reason)
{
	struct why why = WHY_INIT;
	struct iommu_device *core;
	int err;

	api_begin(device->machine);
	err = api_core(device, &core, &why);
	if (err == 0)
		err = iommu_enable_page_requests(core, respond, device, &why);
	if (err == 0) {
		device->respond = answered;
		device->respond_context = context;
	}
	return api_end(device->machine, "page_enable", &why, err, reason);
}

void isolde_page_disable(struct isolde_device *device)
{
	api_begin(device->machine);
	if (device->core)
		iommu_disable_page_requests(device->core);
	mutex_unlock(&device->machine->machine->lock);
}

int isolde_page_request(struct isolde_device *device, const struct isolde_page_request *request,
			struct isolde_why *reason)
{
	const struct page_request wanted = {
		.iova = request->iova,
		.permission = request->flags,
		.pasid = request->pasid,
		.has_pasid = request->has_pasid,
		.group = request->group,
		.last = request->last,
	};
	struct why why = WHY_INIT;
	struct iommu_device *core;
	int err;

	api_begin(device->machine);
	err = api_core(device, &core, &why);
	if (err == 0)
		err = iommu_report_page_request(core, &wanted, &why);
	return api_end(device->machine, "page_request", &why, err, reason);
}
