/* SPDX-License-Identifier: MIT */
/* What VFIO has, for `isolde inspect`. */
#include "vfio/inspect.h"

#include "vfio/container.h"
#include "vfio/group.h"
#include "vfio/pci.h"
#include "vfio/type1.h"

static void inspect_mapping(const struct mapping *mapping, struct describer *describer)
{
	char who[CLIENT_DESCRIPTION];

	describe_object(describer, NULL);
	describe_address(describer, "iova", mapping->node.start);
	describe_address(describer, "last", mapping->node.last);
	describe_format(describer, "permission", "%s%s", mapping->permission & ISOLDE_PT_READ ? "r" : "",
			mapping->permission & ISOLDE_PT_WRITE ? "w" : "");
	describe_text(describer, "of", client_describe(mapping->client, who));
	describe_address(describer, "address", mapping->address);
	if (mapping->pins.count)
		describe_number(describer, "pinned_pages", mapping->pins.count);
	describe_end(describer);
}

static void inspect_type1(const struct type1 *type1, struct describer *describer)
{
	struct itree_node *node;

	describe_number(describer, "mapping_count", type1->mappings.count);
	describe_number(describer, "mappings_left", type1->available);
	describe_flag(describer, "dirty_tracking", type1->tracking);
	if (!describer->mappings)
		return;
	describe_array(describer, "mappings");
	itree_for_each(node, &type1->mappings, 0, UINT64_MAX) {
		if (!describer->mappings)
			break;
		describer->mappings--;
		inspect_mapping(container_of(node, struct mapping, node), describer);
	}
	describe_end(describer);
}

static void inspect_container(const struct container *container, struct describer *describer)
{
	const struct vfio_group *group;

	describe_object(describer, NULL);
	describe_text(describer, "iommu",
		      container->noiommu_set   ? "NOIOMMU"
		      : !container->backend    ? NULL
		      : container->backend->v2 ? "TYPE1v2"
					       : "TYPE1");
	describe_flag(describer, "open", container->open);
	describe_array(describer, "groups");
	list_for_each(group, &container->groups, container_link)
		describe_number(describer, NULL, (u64)group->id);
	describe_end(describer);
	if (container->backend)
		inspect_type1(container->backend, describer);
	describe_end(describer);
}

/* Those with groups, each where its first group is; one without can do nothing and is but an open file. */
static void inspect_containers(const struct vfio *vfio, struct describer *describer)
{
	const struct vfio_group *group;

	describe_array(describer, "containers");
	list_for_each(group, &vfio->groups, link)
		if (group->container &&
		    list_first(&group->container->groups, struct vfio_group, container_link) == group)
			inspect_container(group->container, describer);
	describe_end(describer);
}

static void inspect_group(const struct vfio_group *group, struct describer *describer)
{
	describe_object(describer, NULL);
	describe_number(describer, "id", (u64)group->id);
	describe_number(describer, "device_count", group->ndevices);
	describe_text(describer, "opener", group->opened ? group->opened->opener : NULL);
	describe_flag(describer, "open", group->opened && group->opened->open);
	describe_flag(describer, "in_container", group->container != NULL);
	describe_flag(describer, "in_iommufd", group->context != NULL);
	describe_end(describer);
}

static void inspect_device(const struct vfio_device *device, struct describer *describer)
{
	static const char *const modes[] = {"none", "INTx", "MSI", "MSI-X"};
	const struct pci_session *session = device->session;

	describe_object(describer, NULL);
	describe_text(describer, "name", device->name);
	describe_number(describer, "group", (u64)device->group->id);
	describe_number(describer, "index", device->index);
	describe_flag(describer, "emulated", device->soft != NULL);
	describe_number(describer, "file_count", list_length(&device->files));
	describe_flag(describer, "open", session != NULL);
	if (session) {
		describe_text(describer, "opener", device->opened->opener);
		describe_text(describer, "way", device->opened->by_group ? "group" : "character device");
		if (vfio_iommufd_bound(device))
			describe_number(describer, "iommufd_object", vfio_iommufd_id(device));
		describe_text(describer, "interrupts", modes[session->irq_mode]);
		describe_flag(describer, "registers_revoked", session->revoked);
		if (migration_flags(device))
			describe_text(describer, "migration", migration_state_name(session->migration.state));
		describe_flag(describer, "dma_logged", session->migration.log != NULL);
	}
	describe_flag(describer, "leaving", device->hidden);
	describe_end(describer);
}

void vfio_inspect(const struct vfio *vfio, struct describer *describer)
{
	const struct vfio_device *device;
	const struct vfio_group *group;

	describe_object(describer, "vfio");
	inspect_containers(vfio, describer);
	describe_array(describer, "groups");
	list_for_each(group, &vfio->groups, link)
		inspect_group(group, describer);
	describe_end(describer);
	describe_array(describer, "devices");
	list_for_each(device, &vfio->devices, link)
		inspect_device(device, describer);
	describe_end(describer);
	describe_end(describer);
}
