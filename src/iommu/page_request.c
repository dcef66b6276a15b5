/* SPDX-License-Identifier: MIT */
#include "iommu/page_request.h"

#include <stdlib.h>

#include "base/alloc.h"

/* A request whose group has no last one yet. */
struct partial {
	struct page_request request;
	struct list_link link;
};

struct page_requests {
	page_respond *respond;
	void *context;
	struct list partial; /* struct partial, owned */
	struct list pending; /* struct page_group, owned: with a handler */
};

bool iommu_has_pri(const struct iommu_device *device)
{
	const struct pci_function *function = device->function;

	if (device->unit && device->unit->driver->asks_pages)
		return device->unit->driver->asks_pages(device);
	/* A virtual function has no such capability: it uses its physical function's (PCIe 5.0 section 10.5.2). */
	if (function && function->physical)
		function = function->physical;
	return device->unit && function && function->cap_pri;
}

int iommu_enable_page_requests(struct iommu_device *device, page_respond *respond, void *context, struct why *why)
{
	if (!iommu_has_pri(device))
		return refuse(why, PAGE_NO_PRI, "%s has no page request interface (PRI)", device->name);
	if (device->requests)
		return refuse(why, PAGE_ENABLED, "%s asks for pages already", device->name);
	device->requests = alloc_new(struct page_requests, why);
	if (!device->requests)
		return -why->err;
	device->requests->respond = respond;
	device->requests->context = context;
	list_init(&device->requests->partial);
	list_init(&device->requests->pending);
	return 0;
}

void iommu_answer_page_group(struct page_group *group, enum page_answer answer)
{
	struct page_requests *requests = group->device->requests;

	list_remove(&group->link);
	requests->respond(requests->context, &group->requests[group->count - 1], answer);
	free((void *)(uintptr_t)group->requests);
	free(group);
}

static void answer_all(struct page_requests *requests, const struct attach_handle *handle)
{
	struct page_group *group, *following;

	list_for_each_safe(group, following, &requests->pending, link) {
		if (handle && group->handle != handle)
			continue;
		if (group->handle->pages->forget)
			group->handle->pages->forget(group->handle->pages, group);
		iommu_answer_page_group(group, PAGE_INVALID);
	}
}

void iommu_disable_page_requests(struct iommu_device *device)
{
	struct page_requests *requests = device->requests;
	struct partial *partial, *following;

	if (!requests)
		return;
	answer_all(requests, NULL);
	list_for_each_safe(partial, following, &requests->partial, link) {
		list_remove(&partial->link);
		free(partial);
	}
	device->requests = NULL;
	free(requests);
}

unsigned page_requests_pending(const struct iommu_device *device)
{
	return device->requests ? (unsigned)list_length(&device->requests->pending) : 0;
}

void page_requests_drop(struct iommu_group *group, u32 pasid)
{
	struct attach_handle *handle;
	struct iommu_device *device;
	struct why ignored;

	if (iommu_find_handle(group, pasid, DOMAIN_ANY, &handle, &ignored) < 0)
		return;
	list_for_each(device, &group->devices, group_link)
		if (device->requests)
			answer_all(device->requests, handle);
}

/* ---- a device asks ---- */

static int keep_partial(struct page_requests *requests, const struct page_request *request, struct why *why)
{
	struct partial *partial = alloc_new(struct partial, why);

	if (!partial)
		return -why->err;
	partial->request = *request;
	list_append(&requests->partial, &partial->link);
	return 0;
}

static unsigned count_partial(const struct page_requests *requests, u32 number)
{
	const struct partial *partial;
	unsigned count = 0;

	list_for_each(partial, &requests->partial, link)
		count += partial->request.group == number;
	return count;
}

/* Those of last's group, in order, then last itself; to NULL: they are dropped. */
static void collect(struct page_requests *requests, const struct page_request *last, struct page_request *to)
{
	struct partial *partial, *following;

	list_for_each_safe(partial, following, &requests->partial, link) {
		if (partial->request.group != last->group)
			continue;
		if (to)
			*to++ = partial->request;
		list_remove(&partial->link);
		free(partial);
	}
	if (to)
		*to = *last;
}

static struct page_group *make_group(struct iommu_device *device, const struct page_request *last, struct why *why)
{
	unsigned count = count_partial(device->requests, last->group) + 1;
	struct page_group *group = alloc_new(struct page_group, why);
	struct page_request *all = group ? alloc_array(count, sizeof(*all), why) : NULL;

	/* The answer to the last one is the answer to all of them, so they go even if there is no memory. */
	collect(device->requests, last, all);
	if (!all) {
		free(group);
		return NULL;
	}
	*group = (struct page_group){.device = device, .requests = all, .count = count};
	return group;
}

/* The handle of an attachment, NULL: none, or of another kind. */
static struct attach_handle *find(const struct iommu_group *group, u32 pasid, enum domain_kind kind)
{
	struct attach_handle *handle;
	struct why ignored;

	return iommu_find_handle(group, pasid, kind, &handle, &ignored) < 0 ? NULL : handle;
}

/*
 * Whose attachment a request belongs to. Where user space keeps the table of PASIDs, the core knows none of them: then
 * it is the nested domain's.
 */
static struct attach_handle *handle_of(const struct iommu_device *device, const struct page_request *request)
{
	struct attach_handle *handle = find(device->group, request->has_pasid ? request->pasid : 0, DOMAIN_ANY);

	if (handle || !request->has_pasid || !device->unit->driver->user_pasid_table)
		return handle;
	return find(device->group, 0, DOMAIN_NESTED);
}

static int refuse_no_handler(const struct iommu_device *device, const struct page_request *request, struct why *why)
{
	return refuse(why, PAGE_NO_HANDLER,
		      "%s asks for a page at IOVA 0x%llx%s, but nobody answers for its attachment", device->name,
		      (unsigned long long)request->iova, request->has_pasid ? " of a PASID" : "");
}

int iommu_report_page_request(struct iommu_device *device, const struct page_request *request, struct why *why)
{
	struct page_requests *requests = device->requests;
	struct page_group *group;

	if (!requests)
		return refuse(why, PAGE_NO_PRI, "%s asks for a page, but was not enabled to", device->name);
	if (!request->last)
		return keep_partial(requests, request, why);
	group = make_group(device, request, why);
	if (!group) {
		requests->respond(requests->context, request, PAGE_FAILURE);
		why_clear(why);
		return 0;
	}
	list_append(&requests->pending, &group->link);
	group->handle = handle_of(device, request);
	if (!group->handle || !group->handle->pages) {
		iommu_answer_page_group(group, PAGE_INVALID);
		return refuse_no_handler(device, request, why);
	}
	if (group->handle->pages->handle(group->handle->pages, group, why) < 0) {
		iommu_answer_page_group(group, PAGE_FAILURE);
		why_clear(why);
	}
	return 0;
}
