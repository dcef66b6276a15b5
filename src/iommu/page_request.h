/* SPDX-License-Identifier: MIT */
/*
 * Faults that can be repaired (spec 06 section 2): a device with PRI asks for pages, in groups that end with a "last"
 * one; the group goes to the handler of the attachment that its PASID belongs to; somebody answers it, once.
 *
 * All under machine.lock. A device's answers are given inside the calls, so its callback may not call the core.
 */
#ifndef IOMMU_PAGE_REQUEST_H
#define IOMMU_PAGE_REQUEST_H

#include "iommu/pasid.h"

struct page_request {
	u64 iova;
	unsigned permission; /* ISOLDE_PT_READ | ISOLDE_PT_WRITE: what the device wants to do */
	u32 pasid;
	bool has_pasid;
	u32 group; /* the device's own number; requests of one group are answered together */
	bool last;
};

/* Requests that wait for one answer. Valid until that is given. */
struct page_group {
	struct iommu_device *device;
	struct attach_handle *handle;	     /* whose attachment it is */
	const struct page_request *requests; /* owned; in the order they came, the last one is "last" */
	unsigned count;
	struct list_link link; /* the device's, in order */
};

/* Embedded by whoever answers. */
struct page_handler {
	/* Takes the group, to answer it now or later; a refusal answers it FAILURE. */
	int (*handle)(struct page_handler *handler, struct page_group *group, struct why *why);
	/* The core is about to answer a group that was taken: it goes away. NULL: whoever took it need not know. */
	void (*forget)(struct page_handler *handler, struct page_group *group);
};

/* How a device hears its answers. */
typedef void page_respond(void *context, const struct page_request *last, enum page_answer answer);

/* Itself, or its physical function; or its IOMMU's driver says so. */
bool iommu_has_pri(const struct iommu_device *device);

/* PAGE_NO_PRI (ENODEV): it cannot ask; PAGE_ENABLED (EBUSY): it does already. */
int iommu_enable_page_requests(struct iommu_device *device, page_respond *respond, void *context, struct why *why);
/* What is unanswered is answered INVALID; what has no last request yet is dropped. Not enabled: nothing happens. */
void iommu_disable_page_requests(struct iommu_device *device);

/*
 * The device asks. 0 for all but the last of a group, and for a last one whose group found its handler; then
 * PAGE_NO_HANDLER (EINVAL): the device was answered INVALID. Not enabled is PAGE_NO_PRI (ENODEV).
 */
int iommu_report_page_request(struct iommu_device *device, const struct page_request *request, struct why *why);

void iommu_answer_page_group(struct page_group *group, enum page_answer answer); /* group is gone after it */

/* ---- inside the core ---- */

/* An attachment ends: what its handler still has is answered INVALID. */
void page_requests_drop(struct iommu_group *group, u32 pasid);
unsigned page_requests_pending(const struct iommu_device *device);

#endif
