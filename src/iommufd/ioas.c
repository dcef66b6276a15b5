/* SPDX-License-Identifier: MIT */
#include "iommufd/ioas.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommufd/access.h"
#include "iommufd/ioctl.h"

/* ---- life ---- */

static void free_reservation(struct itree *tree, struct itree_node *node)
{
	itree_remove(tree, node);
	free(container_of(node, struct reservation, node));
}

static void free_all(struct itree *tree)
{
	struct itree_node *node;

	while ((node = itree_first(tree, 0, UINT64_MAX)))
		free_reservation(tree, node);
}

/* Nobody uses it: neither domain nor access is left that could hold a page. */
static void ioas_free(struct object *object)
{
	struct ioas *ioas = ioas_of(object);
	struct context *context = object->context;
	struct why why;
	u64 removed;
	int err = ioas_unmap(ioas, 0, UINT64_MAX, &removed, &why);

	assert(err == 0);
	(void)err;
	if (context->vfio_ioas == object)
		context->vfio_ioas = NULL;
	ioas_unreserve(ioas, NULL);
	assert(!ioas->reserved.root && list_empty(&ioas->hwpts) && list_empty(&ioas->accesses));
	free_all(&ioas->allowed);
	space_fini(&ioas->space);
	object_fini(object);
	free(ioas);
}

static void ioas_describe(const struct object *object, char *text, size_t size)
{
	snprintf(text, size, " of %s", object->context->opener);
}

static void check_object(const struct object *object)
{
	ioas_check(container_of(object, const struct ioas, object));
}

const struct object_class ioas_class = {
	.name = "IOAS",
	.free = ioas_free,
	.describe = ioas_describe,
	.check = check_object,
};

int ioas_new(struct context *context, struct ioas **ret, struct why *why)
{
	struct ioas *ioas = alloc_new(struct ioas, why);
	int err = ioas ? object_init(&ioas->object, &ioas_class, context, why) : -why->err;

	if (err < 0) {
		free(ioas);
		return err;
	}
	space_init(&ioas->space, context->iommufd->iommu);
	space_index_holes(&ioas->space);
	ioas->alignment = 1;
	list_init(&ioas->hwpts);
	list_init(&ioas->accesses);
	*ret = ioas;
	return 0;
}

int ioas_find(struct context *context, u32 id, struct ioas **ret, struct why *why)
{
	struct object *object;
	int err = object_find(context, id, &ioas_class, &object, why);

	if (err == 0)
		*ret = ioas_of(object);
	return err;
}

const char *ioas_name(const struct ioas *ioas, char text[static OBJECT_TEXT])
{
	return object_describe(&ioas->object, text);
}

/* ---- reserved ranges ---- */

static int refuse_overlap(const struct ioas *ioas, u64 start, u64 last, struct why *why)
{
	const struct itree_node *area = itree_lowest(&ioas->space.areas, start, last);
	const struct itree_node *allowed = itree_first(&ioas->allowed, start, last);
	char name[OBJECT_TEXT];

	if (area)
		return refuse(why, RESERVE_MAPPED, "[0x%llx, 0x%llx] must be free, but %s maps [0x%llx, 0x%llx]",
			      (unsigned long long)start, (unsigned long long)last, ioas_name(ioas, name),
			      (unsigned long long)area->start, (unsigned long long)area->last);
	if (allowed)
		return refuse(why, RESERVE_ALLOWED, "[0x%llx, 0x%llx] must be free, but %s allows [0x%llx, 0x%llx]",
			      (unsigned long long)start, (unsigned long long)last, ioas_name(ioas, name),
			      (unsigned long long)allowed->start, (unsigned long long)allowed->last);
	return 0;
}

static int insert_range(struct itree *tree, u64 start, u64 last, const void *owner, struct why *why)
{
	struct reservation *range = alloc_new(struct reservation, why);

	if (!range)
		return -why->err;
	range->node.start = start;
	range->node.last = last;
	range->owner = owner;
	itree_insert(tree, &range->node);
	return 0;
}

int ioas_reserve(struct ioas *ioas, u64 start, u64 last, const void *owner, struct why *why)
{
	int err = refuse_overlap(ioas, start, last, why);

	return err < 0 ? err : insert_range(&ioas->reserved, start, last, owner, why);
}

void ioas_unreserve(struct ioas *ioas, const void *owner)
{
	struct itree_node *node = itree_first(&ioas->reserved, 0, UINT64_MAX), *next;

	for (; node; node = next) {
		next = itree_following(node);
		if (container_of(node, struct reservation, node)->owner == owner)
			free_reservation(&ioas->reserved, node);
	}
}

/* ---- alignment ---- */

static bool is_area_aligned(const struct area *area, u64 alignment)
{
	return is_aligned(area->node.start | area_size(area) | (area->offset & ~PAGE_MASK), alignment);
}

int ioas_check_alignment(const struct ioas *ioas, u64 alignment, struct why *why)
{
	struct itree_node *node;
	char name[OBJECT_TEXT];

	if (alignment <= ioas->alignment)
		return 0;
	itree_for_each(node, &ioas->space.areas, 0, UINT64_MAX) {
		const struct area *area = container_of(node, struct area, node);

		if (!is_area_aligned(area, alignment))
			return refuse(
				why, ALIGNMENT_MAPPED,
				"%s has [0x%llx, 0x%llx] at byte 0x%llx of a page, which is not aligned to 0x%llx",
				ioas_name(ioas, name), (unsigned long long)node->start, (unsigned long long)node->last,
				(unsigned long long)(area->offset & ~PAGE_MASK), (unsigned long long)alignment);
	}
	return 0;
}

static u64 needed_alignment(const struct ioas *ioas)
{
	u64 alignment = ioas->huge_pages_off ? PAGE_SIZE : 1;
	const struct domain *domain;

	list_for_each(domain, &ioas->space.domains, of_space)
		alignment = max_u64(alignment, domain_page_sizes(domain) & -domain_page_sizes(domain));
	return max_u64(alignment, accesses_alignment(ioas));
}

void ioas_update_alignment(struct ioas *ioas)
{
	ioas->alignment = needed_alignment(ioas);
}

int ioas_disable_huge_pages(struct ioas *ioas, struct why *why)
{
	char name[OBJECT_TEXT];
	int err;

	if (ioas->huge_pages_off)
		return 0;
	if (!list_empty(&ioas->space.domains) && ioas->space.areas.count)
		return refuse(why, HUGE_PAGES_LATE, "%s has %zu mappings in its domains already", ioas_name(ioas, name),
			      ioas->space.areas.count);
	err = ioas_check_alignment(ioas, PAGE_SIZE, why);
	if (err < 0)
		return err;
	ioas->huge_pages_off = true;
	ioas->space.small_leaves = true;
	ioas_update_alignment(ioas);
	return 0;
}

void ioas_enable_huge_pages(struct ioas *ioas)
{
	ioas->huge_pages_off = false;
	ioas->space.small_leaves = false;
	ioas_update_alignment(ioas);
}

u64 ioas_page_sizes(const struct ioas *ioas)
{
	const struct domain *domain;
	u64 sizes = UINT64_MAX;

	list_for_each(domain, &ioas->space.domains, of_space)
		sizes &= domain_page_sizes(domain);
	if (sizes & (PAGE_SIZE - 1))
		sizes = (sizes & PAGE_MASK) | PAGE_SIZE;
	return sizes;
}

/* ---- requests ---- */

long ioctl_ioas_alloc(struct request *request, struct why *why)
{
	struct iommu_ioas_alloc *alloc = &request->command->ioctl_ioas_alloc_command;
	struct ioas *ioas;
	int err = refuse_unknown_flags(request, alloc->flags, 0, why);

	client_look_again(request->client);
	if (err == 0)
		err = ioas_new(request->context, &ioas, why);
	if (err < 0)
		return err;
	alloc->out_ioas_id = ioas->object.id;
	err = request_answer(request, why);
	if (err < 0) {
		ioas_free(&ioas->object);
		return err;
	}
	object_publish(&ioas->object);
	return 0;
}

/* Places and counts go out even when there are too few places. */
long ioctl_ioas_iova_ranges(struct request *request, struct why *why)
{
	struct iommu_ioas_iova_ranges *ranges = &request->command->ioctl_ioas_iova_ranges_command;
	u32 places = ranges->num_iovas;
	struct iommu_iova_range hole;
	struct ioas *ioas;
	u64 start, last;
	int err = refuse_reserved_field(request, ranges->__reserved, why);

	if (err == 0)
		err = ioas_find(request->context, ranges->ioas_id, &ioas, why);
	if (err < 0)
		return err;
	ranges->num_iovas = 0;
	ranges->out_iova_alignment = ioas->alignment;
	for (u64 from = 0; ioas_hole(ioas, from, &start, &last); from = last + 1) {
		hole = (struct iommu_iova_range){start, last};
		if (ranges->num_iovas < places)
			err = client_write(request->client,
					   ranges->allowed_iovas + (u64)ranges->num_iovas * sizeof(hole), &hole,
					   sizeof(hole), why);
		if (err < 0)
			return err;
		ranges->num_iovas++;
		if (last == UINT64_MAX)
			break;
	}
	err = request_answer(request, why);
	if (err == 0 && ranges->num_iovas > places)
		return refuse(why, IOVA_RANGES_SHORT, "%u ranges, %u places", ranges->num_iovas, places);
	return err;
}

static int load_allowed(const struct request *request, struct itree *allowed, struct why *why)
{
	const struct iommu_ioas_allow_iovas *allow = &request->command->ioctl_ioas_allow_iovas_command;
	int err = 0;

	for (u32 i = 0; err == 0 && i < allow->num_iovas; i++) {
		const struct itree_node *other;
		struct iommu_iova_range range;

		err = client_read(request->client, allow->allowed_iovas + (u64)i * sizeof(range), &range, sizeof(range),
				  why);
		if (err < 0)
			return err;
		if (range.start >= range.last)
			return refuse(why, ALLOWED_EMPTY, "range %u, [0x%llx, 0x%llx], has less than two bytes", i,
				      (unsigned long long)range.start, (unsigned long long)range.last);
		other = itree_first(allowed, range.start, range.last);
		if (other)
			return refuse(why, ALLOWED_OVERLAP, "range %u, [0x%llx, 0x%llx], overlaps [0x%llx, 0x%llx]", i,
				      (unsigned long long)range.start, (unsigned long long)range.last,
				      (unsigned long long)other->start, (unsigned long long)other->last);
		err = insert_range(allowed, range.start, range.last, NULL, why);
	}
	return err;
}

static int check_allowed(const struct ioas *ioas, const struct itree *allowed, struct why *why)
{
	struct itree_node *node;
	char name[OBJECT_TEXT];

	itree_for_each(node, allowed, 0, UINT64_MAX) {
		const struct itree_node *reserved = itree_first(&ioas->reserved, node->start, node->last);

		if (reserved)
			return refuse(why, ALLOWED_RESERVED,
				      "[0x%llx, 0x%llx] holds [0x%llx, 0x%llx], which is reserved in %s",
				      (unsigned long long)node->start, (unsigned long long)node->last,
				      (unsigned long long)reserved->start, (unsigned long long)reserved->last,
				      ioas_name(ioas, name));
	}
	return 0;
}

long ioctl_ioas_allow_iovas(struct request *request, struct why *why)
{
	const struct iommu_ioas_allow_iovas *allow = &request->command->ioctl_ioas_allow_iovas_command;
	struct itree allowed = ITREE_INIT, old;
	struct ioas *ioas;
	int err = refuse_reserved_field(request, allow->__reserved, why);

	if (err == 0)
		err = ioas_find(request->context, allow->ioas_id, &ioas, why);
	if (err == 0)
		err = load_allowed(request, &allowed, why);
	if (err == 0)
		err = check_allowed(ioas, &allowed, why);
	if (err == 0) {
		old = ioas->allowed;
		ioas->allowed = allowed;
		allowed = old;
	}
	free_all(&allowed);
	return err;
}

/* ---- invariants ---- */

static void check_area(const struct ioas *ioas, const struct ioas_area *area)
{
	const struct pages *pages = area_pages(area);
	struct page_span span = area_span(area);

	pages_check(pages);
	assert(!itree_first(&ioas->reserved, area->area.node.start, area->area.node.last));
	assert(is_area_aligned(&area->area, ioas->alignment));
	assert(area->locks <= area->pins);
	assert(!area->pins || pages_pinned(pages));
	assert(!(area->area.permission & ISOLDE_PT_WRITE) || pages->writable);
	assert(!(area->area.permission & AREA_WITHDRAWN) == !pages->revoked);
	assert(list_empty(&ioas->space.domains) || pages_framed(pages));
	assert(list_empty(&ioas->space.domains) || (pages_covers(pages, span.first) && pages_covers(pages, span.last)));
	(void)span;
}

void ioas_check(const struct ioas *ioas)
{
	const struct itree_node *node;

	space_check(&ioas->space);
	itree_check(&ioas->reserved);
	itree_check(&ioas->allowed);
	assert(ioas->alignment == needed_alignment(ioas));
	itree_for_each(node, &ioas->allowed, 0, UINT64_MAX)
		assert(!itree_first(&ioas->reserved, node->start, node->last));
	itree_for_each(node, &ioas->space.areas, 0, UINT64_MAX)
		check_area(ioas, ioas_area_of((struct itree_node *)(uintptr_t)node));
}
