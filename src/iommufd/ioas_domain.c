/* SPDX-License-Identifier: MIT */
/* A domain joins an IOAS, and leaves it (spec 03 section 4); what a buffer's exporter takes back leaves all domains. */
#include <stdlib.h>

#include "base/alloc.h"
#include "iommufd/ioas_area.h"
#include "iommufd/iommufd.h"

static u64 smallest_page(const struct domain *domain)
{
	return domain_page_sizes(domain) & -domain_page_sizes(domain);
}

/* Nobody else's domain holds the areas: with it they are pinned, without it not. */
static bool is_only_one(const struct ioas *ioas, const struct domain *domain)
{
	return ioas->space.domains.head.next == &domain->of_space &&
	       ioas->space.domains.head.previous == &domain->of_space;
}

static int reserve_outside(struct ioas *ioas, const struct domain *domain, struct why *why)
{
	int err = 0;

	if (domain->first_iova)
		err = ioas_reserve(ioas, 0, domain->first_iova - 1, domain, why);
	if (err == 0 && domain->last_iova != UINT64_MAX)
		err = ioas_reserve(ioas, domain->last_iova + 1, UINT64_MAX, domain, why);
	return err;
}

static void empty_area(struct ioas *ioas, struct ioas_area *area, struct domain *domain)
{
	area_clear(area, domain);
	if (is_only_one(ioas, domain))
		area_unpin(ioas, area);
}

static int fill_area(struct ioas *ioas, struct ioas_area *area, struct domain *domain, struct why *why)
{
	bool first = is_only_one(ioas, domain);
	int err = first ? area_pin(ioas, area, why) : 0;

	if (err < 0)
		return err;
	err = area_fill(area, domain, why);
	if (err < 0 && first)
		area_unpin(ioas, area);
	return err;
}

/* All areas below `behind` (NULL: all). */
static void empty_domain(struct ioas *ioas, struct domain *domain, const struct itree_node *behind)
{
	struct itree_node *node;

	itree_for_each(node, &ioas->space.areas, 0, UINT64_MAX) {
		if (node == behind)
			break;
		empty_area(ioas, ioas_area_of(node), domain);
	}
}

static int fill_domain(struct ioas *ioas, struct domain *domain, struct why *why)
{
	struct itree_node *node;

	itree_for_each(node, &ioas->space.areas, 0, UINT64_MAX) {
		int err = fill_area(ioas, ioas_area_of(node), domain, why);

		if (err == 0)
			continue;
		empty_domain(ioas, domain, node);
		return err;
	}
	return 0;
}

int ioas_add_domain(struct ioas *ioas, struct domain *domain, struct why *why)
{
	u64 alignment = max_u64(smallest_page(domain), ioas->alignment);
	char name[OBJECT_TEXT];
	int err;

	assert(domain->space == &ioas->space);
	if (alignment > PAGE_SIZE)
		return refuse(why, DOMAIN_PAGE_SIZE,
			      "the smallest page of the domain for %s is 0x%llx, the CPU's is 0x%llx",
			      ioas_name(ioas, name), (unsigned long long)alignment, (unsigned long long)PAGE_SIZE);
	err = ioas_check_alignment(ioas, alignment, why);
	if (err == 0)
		err = reserve_outside(ioas, domain, why);
	if (err == 0)
		err = fill_domain(ioas, domain, why);
	if (err < 0) {
		ioas_unreserve(ioas, domain);
		return err;
	}
	ioas_update_alignment(ioas);
	return 0;
}

void ioas_remove_domain(struct ioas *ioas, struct domain *domain)
{
	assert(domain->space == &ioas->space);
	empty_domain(ioas, domain, NULL);
	list_remove(&domain->of_space);
	ioas_unreserve(ioas, domain);
	ioas_update_alignment(ioas);
}

/* ---- buffers ---- */

/* An area of a buffer's memory. */
struct buffer_view {
	struct ioas *ioas;
	struct ioas_area *area;
	struct list_link link; /* pages_side.views */
};

int ioas_view_new(struct ioas *ioas, struct ioas_area *area, struct why *why)
{
	struct pages *pages = area_pages(area);
	struct buffer_view *view;

	if (pages->kind != PAGES_BUFFER)
		return 0;
	view = alloc_new(struct buffer_view, why);
	if (!view)
		return -why->err;
	view->ioas = ioas;
	view->area = area;
	list_append(&pages->side->views, &view->link);
	return 0;
}

void ioas_view_free(struct ioas_area *area)
{
	struct pages *pages = area_pages(area);
	struct buffer_view *view, *next;

	if (pages->kind != PAGES_BUFFER)
		return;
	list_for_each_safe(view, next, &pages->side->views, link) {
		if (view->area != area)
			continue;
		list_remove(&view->link);
		free(view);
	}
}

/* The areas stay, and show nothing any more: whoever wants the memory back maps it again. */
void ioas_buffer_revoked(struct buffer_importer *importer)
{
	struct pages_side *side = container_of(importer, struct pages_side, importer);
	struct buffer_view *view;
	struct domain *domain;

	list_for_each(view, &side->views, link) {
		struct space *space = &view->ioas->space;

		space_stop(space);
		list_for_each(domain, &space->domains, of_space)
			area_clear(view->area, domain);
		view->area->area.permission |= AREA_WITHDRAWN;
		space_start(space);
		area_pages(view->area)->revoked = true;
	}
}
