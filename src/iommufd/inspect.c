/* SPDX-License-Identifier: MIT */
/* What each open /dev/iommu has, for `isolde inspect`: every object, with what only its kind has. */
#include "iommufd/inspect.h"

#include "iommufd/access.h"
#include "iommufd/ioas.h"
#include "iommufd/viommu.h"

/* ---- IOAS ---- */

static void inspect_area(struct ioas_area *area, struct describer *describer)
{
	static const char *const kinds[] = {
		[PAGES_USER] = "program", [PAGES_FILE] = "file", [PAGES_BUFFER] = "dma-buf"};
	const struct pages *pages = area_pages(area);
	char who[CLIENT_DESCRIPTION];

	describe_object(describer, NULL);
	describe_address(describer, "iova", area->area.node.start);
	describe_address(describer, "last", area->area.node.last);
	describe_format(describer, "permission", "%s%s", area->area.permission & ISOLDE_PT_READ ? "r" : "",
			area->area.permission & ISOLDE_PT_WRITE ? "w" : "");
	describe_text(describer, "memory", kinds[pages->kind]);
	describe_text(describer, "of", client_describe(pages->client, who));
	/* In the program, the file or the buffer. */
	describe_address(describer, "address", pages->extent.address + area->area.offset);
	if (area->pins)
		describe_number(describer, "access_pins", area->pins);
	describe_flag(describer, "locked", area->locks > 0);
	describe_flag(describer, "revoked", pages->revoked);
	describe_end(describer);
}

static void inspect_areas(const struct ioas *ioas, struct describer *describer)
{
	struct itree_node *node;

	describe_number(describer, "mapping_count", ioas->space.areas.count);
	if (!describer->mappings)
		return;
	describe_array(describer, "mappings");
	itree_for_each(node, &ioas->space.areas, 0, UINT64_MAX) {
		if (!describer->mappings)
			break;
		describer->mappings--;
		inspect_area(ioas_area_of(node), describer);
	}
	describe_end(describer);
}

static void inspect_ranges(const struct itree *ranges, struct describer *describer, const char *name)
{
	struct itree_node *node;

	describe_array(describer, name);
	itree_for_each(node, ranges, 0, UINT64_MAX) {
		describe_object(describer, NULL);
		describe_address(describer, "iova", node->start);
		describe_address(describer, "last", node->last);
		describe_end(describer);
	}
	describe_end(describer);
}

static void inspect_ioas(const struct object *object, struct describer *describer)
{
	const struct ioas *ioas = container_of(object, const struct ioas, object);
	const struct hwpt_paging *hwpt;

	describe_number(describer, "alignment", ioas->alignment);
	describe_flag(describer, "huge_pages", !ioas->huge_pages_off);
	describe_array(describer, "hwpts");
	list_for_each(hwpt, &ioas->hwpts, link)
		describe_number(describer, NULL, hwpt->hwpt.object.id);
	describe_end(describer);
	describe_number(describer, "access_count", list_length(&ioas->accesses));
	inspect_ranges(&ioas->reserved, describer, "reserved");
	inspect_ranges(&ioas->allowed, describer, "allowed");
	inspect_areas(ioas, describer);
}

/* ---- HWPTs and devices ---- */

static void inspect_hwpt(const struct hwpt *hwpt, struct describer *describer)
{
	if (hwpt->fault)
		describe_number(describer, "fault", fault_queue_object(hwpt->fault)->id);
	describe_flag(describer, "pasid", hwpt->pasid);
}

static void inspect_paging(const struct object *object, struct describer *describer)
{
	const struct hwpt_paging *paging = container_of(object, const struct hwpt_paging, hwpt.object);

	describe_number(describer, "ioas", paging->ioas->object.id);
	describe_flag(describer, "automatic", paging->automatic);
	describe_flag(describer, "nest_parent", paging->nest_parent);
	describe_flag(describer, "enforces_coherency", paging->enforces_coherency);
	inspect_hwpt(&paging->hwpt, describer);
}

static void inspect_nested(const struct object *object, struct describer *describer)
{
	const struct hwpt_nested *nested = container_of(object, const struct hwpt_nested, hwpt.object);

	if (nested->viommu)
		describe_number(describer, "viommu", nested->viommu->object.id);
	else
		describe_number(describer, "parent", nested->parent->hwpt.object.id);
	inspect_hwpt(&nested->hwpt, describer);
}

static void inspect_device(const struct object *object, struct describer *describer)
{
	const struct iommufd_device *device = container_of(object, const struct iommufd_device, object);
	const struct device_attachment *attachment;

	describe_text(describer, "name", device->core->name);
	describe_number(describer, "group", (u64)device->core->group->id);
	if (device->vdevice)
		describe_number(describer, "vdevice", device->vdevice->object.id);
	describe_array(describer, "attached");
	list_for_each(attachment, &device->attached, link) {
		describe_object(describer, NULL);
		describe_number(describer, "pasid", attachment->pasid);
		describe_number(describer, "hwpt", attachment->handle->hwpt->object.id);
		describe_end(describer);
	}
	describe_end(describer);
}

/* ---- virtual IOMMUs, queues ---- */

static void inspect_viommu(const struct object *object, struct describer *describer)
{
	const struct viommu *viommu = container_of(object, const struct viommu, object);

	describe_number(describer, "viommu_type", viommu->type);
	describe_text(describer, "unit", viommu->unit->name);
	describe_number(describer, "parent", viommu->parent->hwpt.object.id);
}

static void inspect_vdevice(const struct object *object, struct describer *describer)
{
	const struct vdevice *vdevice = container_of(object, const struct vdevice, object);

	describe_number(describer, "viommu", vdevice->viommu->object.id);
	describe_number(describer, "device", vdevice->device->object.id);
	describe_address(describer, "virt_id", vdevice->virt_id);
}

static void inspect_hw_queue(const struct object *object, struct describer *describer)
{
	const struct hw_queue *queue = container_of(object, const struct hw_queue, object);

	describe_number(describer, "viommu", queue->viommu->object.id);
	describe_number(describer, "queue_type", queue->type);
	describe_address(describer, "iova", queue->iova);
	describe_number(describer, "bytes", queue->size);
}

static void inspect_fault(const struct object *object, struct describer *describer)
{
	const struct eventq *queue = container_of(object, const struct eventq, object);

	describe_flag(describer, "open", queue->open);
}

static void inspect_veventq(const struct object *object, struct describer *describer)
{
	const struct veventq *queue = container_of(object, const struct veventq, eventq.object);

	describe_flag(describer, "open", queue->eventq.open);
	describe_number(describer, "viommu", queue->viommu->object.id);
	describe_number(describer, "event_type", queue->type);
	describe_number(describer, "event_count", queue->nevents);
	describe_number(describer, "depth", queue->depth);
	describe_flag(describer, "lost", queue->lost);
}

static const struct {
	const struct object_class *class;
	void (*inspect)(const struct object *object, struct describer *describer);
} kinds[] = {
	{&ioas_class, inspect_ioas},	     {&hwpt_paging_class, inspect_paging}, {&hwpt_nested_class, inspect_nested},
	{&device_class, inspect_device},     {&viommu_class, inspect_viommu},	   {&vdevice_class, inspect_vdevice},
	{&hw_queue_class, inspect_hw_queue}, {&fault_class, inspect_fault},	   {&veventq_class, inspect_veventq},
};

/* ---- all of them ---- */

static void inspect_object(const struct object *object, struct describer *describer)
{
	char text[OBJECT_TEXT] = "";

	describe_object(describer, NULL);
	describe_number(describer, "id", object->id);
	describe_text(describer, "type", object->class->name);
	describe_number(describer, "users", object->users);
	if (object->class->describe)
		object->class->describe(object, text, sizeof(text));
	describe_text(describer, "what", text[0] ? text + strspn(text, " ") : NULL);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].class == object->class)
			kinds[i].inspect(object, describer);
	describe_end(describer);
}

static void inspect_context(const struct context *context, struct describer *describer)
{
	static const char *const modes[] = {[CHARGE_NONE] = "none", [CHARGE_USER] = "user", [CHARGE_MM] = "process"};
	const struct object *object;
	u32 id = 0;

	describe_object(describer, NULL);
	describe_text(describer, "path", context->file.path);
	describe_text(describer, "opener", context->opener);
	describe_flag(describer, "open", context->open);
	describe_number(describer, "kept_by", context->files - context->open);
	describe_text(describer, "charges", modes[context->charge_mode]);
	if (context->vfio_ioas)
		describe_number(describer, "vfio_ioas", context->vfio_ioas->id);
	describe_array(describer, "objects");
	for (; (object = context_next(context, &id)); id++)
		inspect_object(object, describer);
	describe_end(describer);
	describe_end(describer);
}

void iommufd_inspect(const struct iommufd *iommufd, struct describer *describer)
{
	const struct context *context;

	describe_array(describer, "contexts");
	list_for_each(context, &iommufd->contexts, link)
		inspect_context(context, describer);
	describe_end(describer);
}
