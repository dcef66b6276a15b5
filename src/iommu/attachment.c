/* SPDX-License-Identifier: MIT */
#include "iommu/attachment.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "iommu/intent.h"
#include "iommu/page_request.h"

/* One device that is attached; the group may have others. */
struct attached {
	struct iommu_device *device;
	struct list_link link; /* attachment->devices */
};

/* What a group's devices are attached to at one PASID. Lives while there is a device. */
struct attachment {
	u32 pasid;
	struct domain *domain;
	struct list devices;   /* struct attached, owned, in order of attach */
	struct list_link link; /* group->attachments */
};

static struct attachment *find_attachment(const struct iommu_group *group, u32 pasid)
{
	struct attachment *attachment;

	list_for_each(attachment, &group->attachments, link)
		if (attachment->pasid == pasid)
			return attachment;
	return NULL;
}

static struct attached *find_attached(const struct attachment *attachment, const struct iommu_device *device)
{
	struct attached *attached;

	list_for_each(attached, &attachment->devices, link)
		if (attached->device == device)
			return attached;
	return NULL;
}

struct domain *iommu_device_domain(const struct iommu_device *device, u32 pasid)
{
	const struct attachment *attachment = find_attachment(device->group, pasid);

	return attachment && find_attached(attachment, device) ? attachment->domain : NULL;
}

/* ---- predicates ---- */

static int refuse_elsewhere(const struct attachment *attachment, const struct iommu_device *device,
			    const struct domain *wanted, struct why *why)
{
	const struct attached *sibling = list_first(&attachment->devices, struct attached, link);
	char present[DOMAIN_TEXT], other[DOMAIN_TEXT];

	return refuse(why, ATTACHED_ELSEWHERE, "%s cannot be attached to %s: %s of the same group %d is attached to %s",
		      device->name, domain_describe(wanted, other), sibling->device->name, device->group->id,
		      domain_describe(attachment->domain, present));
}

/* Where the mappings are: a nested domain's IOVAs are translated by its parent. */
static const struct domain *paging_domain(const struct domain *domain)
{
	return domain->kind == DOMAIN_NESTED ? domain->parent : domain;
}

static int refuse_reserved(const struct iommu_device *device, const struct domain *domain, struct why *why)
{
	const struct reserved_region *region;
	char text[DOMAIN_TEXT];

	for (unsigned i = 0; (region = iommu_device_region(device, i)); i++) {
		const struct itree_node *area = itree_first(&paging_domain(domain)->space->areas, region->start,
							    region->last);

		if (!area || region->kind == RESERVED_DIRECT_RELAXABLE)
			continue;
		return refuse(why, RESERVED_MAPPED, "%s needs [0x%llx, 0x%llx] (%s), but %s maps [0x%llx, 0x%llx]",
			      device->name, (unsigned long long)region->start, (unsigned long long)region->last,
			      reserved_kind_name(region->kind), domain_describe(domain, text),
			      (unsigned long long)area->start, (unsigned long long)area->last);
	}
	return 0;
}

static bool has_pasid_attachment(const struct iommu_group *group)
{
	const struct attachment *attachment;

	list_for_each(attachment, &group->attachments, link)
		if (attachment->pasid)
			return true;
	return false;
}

/* Some formats of the table that holds a device's PASIDs cannot hold just any domain beside them. */
static int refuse_incompatible(const struct iommu_device *device, u32 pasid, const struct domain *domain,
			       struct why *why)
{
	const struct attachment *own = find_attachment(device->group, 0);
	char text[DOMAIN_TEXT];

	if (!domain->pasid_compatible && (pasid || has_pasid_attachment(device->group)))
		return refuse(why, PASID_INCOMPATIBLE, "%s was not made for use with PASIDs, and %s uses them",
			      domain_describe(domain, text), device->name);
	if (pasid && own && !own->domain->pasid_compatible)
		return refuse(
			why, PASID_INCOMPATIBLE,
			"%s cannot have PASID %u: without PASID it is attached to %s, which was not made for that",
			device->name, pasid, domain_describe(own->domain, text));
	return 0;
}

int iommu_device_may_lead(const struct iommu_device *device, u32 pasid, const struct domain *domain,
			  const struct attach_handle *handle, struct why *why)
{
	if (handle && handle->pages && device->function && device->function->physical && iommu_has_pri(device))
		return refuse(why, VF_PAGE_REQUESTS,
			      "%s is a virtual function: its page requests cannot be told from its physical function's",
			      device->name);
	return refuse_incompatible(device, pasid, domain, why);
}

/* ---- attach ---- */

static int attach_group(struct iommu_device *device, u32 pasid, struct domain *domain, struct attach_handle *handle,
			struct why *why)
{
	if (pasid)
		return iommu_attach_pasid(domain, device, pasid, handle, why);
	if (handle)
		return iommu_attach_group_handle(domain, device->group, handle, why);
	return iommu_attach_group(domain, device->group, why);
}

static int attach_first(struct iommu_device *device, u32 pasid, struct domain *domain, struct attach_handle *handle,
			struct attachment **ret, struct why *why)
{
	struct attachment *attachment;
	int err = iommu_device_may_lead(device, pasid, domain, handle, why);

	if (err < 0)
		return err;
	attachment = alloc_new(struct attachment, why);
	if (!attachment)
		return -why->err;
	err = attach_group(device, pasid, domain, handle, why);
	if (err < 0) {
		free(attachment);
		return err;
	}
	*attachment = (struct attachment){.pasid = pasid, .domain = domain};
	list_init(&attachment->devices);
	list_append(&device->group->attachments, &attachment->link);
	*ret = attachment;
	return 0;
}

int iommu_device_may_join(const struct iommu_device *device, u32 pasid, const struct domain *domain, struct why *why)
{
	const struct attachment *attachment = find_attachment(device->group, pasid);
	char text[DOMAIN_TEXT];

	if (attachment && find_attached(attachment, device))
		return refuse(why, ATTACHED_ALREADY, "%s is attached to %s already", device->name,
			      domain_describe(attachment->domain, text));
	if (attachment && attachment->domain != domain)
		return refuse_elsewhere(attachment, device, domain, why);
	return 0;
}

static int may_join(const struct attachment *attachment, const struct iommu_device *device, u32 pasid,
		    const struct domain *domain, struct why *why)
{
	int err = iommu_device_may_join(device, pasid, domain, why);

	if (err == 0 && !pasid)
		err = refuse_reserved(device, domain, why);
	if (err < 0)
		return err;
	/* The first one's declaration is looked at together with its siblings'. */
	return attachment ? intent_check(device, domain, pasid, why) : 0;
}

int iommu_device_attach(struct iommu_device *device, u32 pasid, struct domain *domain, struct attach_handle *handle,
			struct why *why)
{
	struct attachment *attachment = find_attachment(device->group, pasid);
	struct attached *attached;
	int err;

	if (!device->unit)
		return refuse_no_iommu(device, domain, pasid, why);
	attached = alloc_new(struct attached, why);
	if (!attached)
		return -why->err;
	err = may_join(attachment, device, pasid, domain, why);
	if (err == 0 && !attachment)
		err = attach_first(device, pasid, domain, handle, &attachment, why);
	if (err < 0) {
		free(attached);
		return err;
	}
	attached->device = device;
	list_append(&attachment->devices, &attached->link);
	return 0;
}

/* ---- replace ---- */

static int may_replace(const struct attachment *attachment, const struct iommu_device *device, u32 pasid,
		       const struct domain *domain, const struct attach_handle *handle, struct why *why)
{
	const struct attached *sibling;
	int err = 0;

	if (!attachment || !find_attached(attachment, device))
		return refuse(why, NOT_ATTACHED, "%s is attached to nothing that could be replaced", device->name);
	if (attachment->domain == domain)
		return 0;
	/* All of them move. */
	list_for_each(sibling, &attachment->devices, link)
		if (err == 0 && !pasid)
			err = refuse_reserved(sibling->device, domain, why);
	return err < 0 ? err : iommu_device_may_lead(device, pasid, domain, handle, why);
}

int iommu_device_replace(struct iommu_device *device, u32 pasid, struct domain *domain, struct attach_handle *handle,
			 struct why *why)
{
	struct attachment *attachment = find_attachment(device->group, pasid);
	int err;

	if (!device->unit)
		return refuse_no_iommu(device, domain, pasid, why);
	err = may_replace(attachment, device, pasid, domain, handle, why);
	if (err < 0 || attachment->domain == domain)
		return err;
	err = pasid ? iommu_replace_pasid(domain, device, pasid, handle, why)
		    : iommu_replace_group_handle(device->group, domain, handle, why);
	if (err == 0)
		attachment->domain = domain;
	return err;
}

/* ---- detach ---- */

bool iommu_device_detach(struct iommu_device *device, u32 pasid)
{
	struct attachment *attachment = find_attachment(device->group, pasid);
	struct attached *attached = attachment ? find_attached(attachment, device) : NULL;

	if (!attached)
		return false;
	list_remove(&attached->link);
	free(attached);
	if (!list_empty(&attachment->devices))
		return false;
	if (pasid)
		iommu_detach_pasid(device, pasid);
	else
		iommu_detach_group(device->group);
	list_remove(&attachment->link);
	free(attachment);
	return true;
}

bool attachments_have(const struct iommu_device *device)
{
	const struct attachment *attachment;

	list_for_each(attachment, &device->group->attachments, link)
		if (find_attached(attachment, device))
			return true;
	return false;
}

int iommu_may_bypass(const struct iommu_group *group, u32 pasid, struct why *why)
{
	const struct attachment *attachment = find_attachment(group, pasid);
	char text[DOMAIN_TEXT];

	if (!attachment)
		return 0;
	return refuse(why, ATTACHED_BY_DEVICE,
		      "group %d cannot be moved as a whole: %s of it is attached to %s by itself", group->id,
		      list_first(&attachment->devices, struct attached, link)->device->name,
		      domain_describe(attachment->domain, text));
}

void attachments_check(const struct iommu_group *group)
{
	const struct attachment *attachment;

	list_for_each(attachment, &group->attachments, link) {
		const struct attached *attached;

		assert(!list_empty(&attachment->devices));
		assert(find_attachment(group, attachment->pasid) == attachment);
		assert(attachment->pasid ? iommu_pasid_slot(group, attachment->pasid)->domain == attachment->domain
					 : group->domain == attachment->domain);
		list_for_each(attached, &attachment->devices, link) {
			assert(attached->device->group == group);
			assert(find_attached(attachment, attached->device) == attached);
		}
	}
}
