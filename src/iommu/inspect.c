/* SPDX-License-Identifier: MIT */
#include "iommu/inspect.h"

#include "iommu/attachment.h"
#include "iommu/own.h"

void area_inspect_begin(const struct area *area, struct describer *describer)
{
	const struct extent *extent = area->extent;
	char who[CLIENT_DESCRIPTION];

	describe_object(describer, NULL);
	describe_address(describer, "iova", area->node.start);
	describe_address(describer, "last", area->node.last);
	describe_format(describer, "permission", "%s%s", area->permission & ISOLDE_PT_READ ? "r" : "",
			area->permission & ISOLDE_PT_WRITE ? "w" : "");
	if (!extent->client)
		return;
	describe_text(describer, "of", client_describe(extent->client, who));
	describe_address(describer, "address", extent->address + area->offset);
}

void space_inspect(const struct space *space, struct describer *describer)
{
	struct itree_node *node;

	describe_number(describer, "mapping_count", space->areas.count);
	if (!describer->mappings)
		return;
	describe_array(describer, "mappings");
	itree_for_each(node, &space->areas, 0, UINT64_MAX) {
		if (!describer->mappings)
			break;
		describer->mappings--;
		area_inspect_begin(container_of(node, struct area, node), describer);
		describe_end(describer);
	}
	describe_end(describer);
}

void domain_inspect(const struct domain *domain, struct describer *describer, const char *name)
{
	if (!domain) {
		describe_text(describer, name, NULL);
		return;
	}
	describe_object(describer, name);
	describe_text(describer, "kind", domain_kind_name(domain->kind));
	describe_text(describer, "name", domain->name[0] ? domain->name : NULL);
	if (domain->kind == DOMAIN_PAGING)
		describe_number(describer, "mapping_count", domain->space->areas.count);
	describe_end(describer);
}

static void inspect_attachment(const struct iommu_device *device, u32 pasid, struct describer *describer)
{
	const struct domain *domain = iommu_device_domain(device, pasid);

	if (!domain)
		return;
	describe_object(describer, NULL);
	describe_number(describer, "pasid", pasid);
	domain_inspect(domain, describer, "domain");
	describe_end(describer);
}

/* What the device is attached to by itself, beside what its group is attached to. */
static void inspect_attachments(const struct iommu_device *device, struct describer *describer)
{
	const struct pasid_slot *slot;

	if (!attachments_have(device))
		return;
	describe_array(describer, "attached");
	inspect_attachment(device, 0, describer);
	list_for_each(slot, &device->group->pasids, link)
		inspect_attachment(device, slot->pasid, describer);
	describe_end(describer);
}

static void inspect_device(const struct iommu_device *device, struct describer *describer)
{
	describe_object(describer, NULL);
	describe_text(describer, "name", device->name);
	describe_text(describer, "driver", device->driver);
	describe_flag(describer, "dma_api", device->dma_api_driver != NULL);
	describe_text(describer, "unit", device->unit ? device->unit->name : NULL);
	describe_number(describer, "max_pasids", device->max_pasids);
	if (device->pasids_off)
		describe_text(describer, "pasids_off", device->pasids_off);
	inspect_attachments(device, describer);
	if (device->own_domain)
		domain_inspect(device->own_domain, describer, "own_domain");
	if (device->blocked || device->stranded)
		describe_text(describer, "parked",
			      device->blocked ? "is being reset" : "its domain could not be attached");
	describe_end(describer);
}

static void inspect_pasids(const struct iommu_group *group, struct describer *describer)
{
	const struct pasid_slot *slot;

	if (list_empty(&group->pasids))
		return;
	describe_array(describer, "pasids");
	list_for_each(slot, &group->pasids, link) {
		describe_object(describer, NULL);
		describe_number(describer, "pasid", slot->pasid);
		domain_inspect(slot->domain, describer, "domain");
		describe_end(describer);
	}
	describe_end(describer);
}

static void inspect_group(const struct iommu_group *group, struct describer *describer)
{
	const struct iommu_device *device;
	char owner[OWNER_TEXT];

	describe_object(describer, NULL);
	describe_number(describer, "id", (u64)group->id);
	describe_text(describer, "owner", group->owner_count ? iommu_describe_owner(group, owner) : NULL);
	describe_number(describer, "owner_count", group->owner_count);
	describe_text(describer, "type", group->default_domain ? iommu_group_type(group) : NULL);
	domain_inspect(group->domain, describer, "domain");
	describe_flag(describer, "domain_is_default", group->domain && group->domain == group->default_domain);
	if (group->recovering)
		describe_number(describer, "recovering", group->recovering);
	inspect_pasids(group, describer);
	describe_array(describer, "devices");
	list_for_each(device, &group->devices, group_link)
		inspect_device(device, describer);
	describe_end(describer);
	describe_end(describer);
}

void iommu_inspect(const struct iommu *iommu, struct describer *describer)
{
	const struct iommu_group *group;
	const struct iommu_unit *unit;

	describe_array(describer, "units");
	list_for_each(unit, &iommu->units, link) {
		describe_object(describer, NULL);
		describe_text(describer, "name", unit->name);
		describe_text(describer, "driver", unit->driver->name);
		describe_number(describer, "max_pasids", unit->max_pasids);
		describe_end(describer);
	}
	describe_end(describer);
	describe_array(describer, "groups");
	list_for_each(group, &iommu->groups, link)
		inspect_group(group, describer);
	describe_end(describer);
}
