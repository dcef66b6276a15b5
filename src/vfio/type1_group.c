/* SPDX-License-Identifier: MIT */
/*
 * Groups enter and leave a type 1 container: its domains, and the IOVAs all of them can have. Spec 04 section 7.1.
 *
 * A group joins the domain of another when their units make the same tables; otherwise it brings a domain of its own,
 * into which all mappings are replayed before the group is attached. The IOVA ranges are what every member can reach
 * and none reserves: computed anew whenever one enters or leaves. A group that would make a present mapping invalid is
 * refused, so ranges only ever shrink around mappings.
 *
 * Entering is decided in full, with the new ranges at hand, before anything changes. Leaving cannot fail: the array of
 * ranges has room for whatever is left when a member goes, unless virtual functions have come to a group meanwhile,
 * with regions of their own; without memory for these the ranges stay as they are. With the last member all mappings
 * go.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "iommufd/device.h"
#include "vfio/type1.h"

int type1_new(struct vfio *vfio, bool v2, struct type1 **ret, struct why *why)
{
	struct type1 *type1 = alloc_new(struct type1, why);

	if (!type1)
		return -why->err;
	type1->vfio = vfio;
	type1->iommu = vfio->iommu;
	type1->v2 = v2;
	type1->limit = type1->available = vfio->dma_entry_limit;
	list_init(&type1->domains);
	list_init(&type1->members);
	list_init(&type1->users);
	*ret = type1;
	return 0;
}

void type1_free(struct type1 *type1)
{
	if (!type1)
		return;
	assert(list_empty(&type1->members) && list_empty(&type1->domains) && list_empty(&type1->users));
	assert(!type1->mappings.root);
	free(type1->ranges.at);
	free(type1);
}

u64 type1_page_sizes(const struct type1 *type1)
{
	const struct type1_domain *domain;
	u64 sizes = UINT64_MAX;

	list_for_each(domain, &type1->domains, link)
		sizes &= isolde_pt_page_sizes(domain->domain->pt);
	/* Smaller than a page of memory, or any at all: whole pages. */
	return sizes & ~PAGE_MASK ? (sizes & PAGE_MASK) | PAGE_SIZE : sizes;
}

u64 type1_page_size(const struct type1 *type1)
{
	u64 sizes = type1_page_sizes(type1);

	return sizes & (~sizes + 1);
}

/* ---- what can be mapped ---- */

static const struct iommu_unit *unit_of(const struct iommu_group *group)
{
	return list_first(&group->devices, struct iommu_device, group_link)->unit;
}

/* Regions a program may not map over. Relaxable ones are only of interest to the firmware. */
static unsigned group_regions(const struct iommu_group *group, struct reserved_region regions[static GROUP_REGIONS])
{
	unsigned total = iommu_group_regions(group, regions, GROUP_REGIONS), kept = 0;

	for (unsigned i = 0; i < total; i++)
		if (regions[i].kind != RESERVED_DIRECT_RELAXABLE)
			regions[kept++] = regions[i];
	return kept;
}

static void ranges_insert(struct iova_ranges *ranges, unsigned at, u64 start, u64 last)
{
	assert(ranges->count < ranges->room);
	memmove(ranges->at + at + 1, ranges->at + at, (ranges->count - at) * sizeof(ranges->at[0]));
	ranges->at[at] = (struct iova_range){start, last};
	ranges->count++;
}

static void ranges_remove(struct iova_ranges *ranges, unsigned at)
{
	ranges->count--;
	memmove(ranges->at + at, ranges->at + at + 1, (ranges->count - at) * sizeof(ranges->at[0]));
}

/* Takes [start, last] out; that can split one range. */
static void ranges_exclude(struct iova_ranges *ranges, u64 start, u64 last)
{
	for (unsigned i = 0; i < ranges->count;) {
		struct iova_range range = ranges->at[i];

		if (!ranges_overlap(range.start, range.last, start, last)) {
			i++;
			continue;
		}
		ranges_remove(ranges, i);
		if (range.start < start)
			ranges_insert(ranges, i++, range.start, start - 1);
		if (range.last > last)
			ranges_insert(ranges, i++, last + 1, range.last);
	}
}

static void ranges_restrict(struct iova_ranges *ranges, const struct iommu_group *group)
{
	struct reserved_region regions[GROUP_REGIONS];
	unsigned count = group_regions(group, regions);
	u64 last = unit_of(group)->last_iova;

	if (last < UINT64_MAX)
		ranges_exclude(ranges, last + 1, UINT64_MAX);
	for (unsigned i = 0; i < count; i++)
		ranges_exclude(ranges, regions[i].start, regions[i].last);
}

/* All members, and one more that is about to be (or NULL). ranges has room. */
static void ranges_fill(const struct type1 *type1, const struct iommu_group *more, struct iova_ranges *ranges)
{
	const struct type1_member *member;

	ranges->count = 0;
	ranges_insert(ranges, 0, 0, UINT64_MAX);
	list_for_each(member, &type1->members, link)
		if (member->domain)
			ranges_restrict(ranges, member->group);
	if (more)
		ranges_restrict(ranges, more);
}

/* Each region and each aperture adds one range at most: room for all members, and one more (or NULL). */
static unsigned ranges_room(const struct type1 *type1, const struct iommu_group *more)
{
	struct reserved_region regions[GROUP_REGIONS];
	const struct type1_member *member;
	unsigned room = 2 + (more ? group_regions(more, regions) : 0);

	list_for_each(member, &type1->members, link)
		if (member->domain)
			room += 1 + group_regions(member->group, regions);
	return room;
}

static void ranges_describe(const struct iova_ranges *ranges, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < ranges->count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, " [%#llx, %#llx]",
					 (unsigned long long)ranges->at[i].start,
					 (unsigned long long)ranges->at[i].last);
}

static int refuse_range(const struct type1 *type1, u64 start, u64 last, struct why *why)
{
	struct reserved_region regions[GROUP_REGIONS];
	const struct type1_member *member;
	char text[120];

	list_for_each(member, &type1->members, link) {
		unsigned count = member->domain ? group_regions(member->group, regions) : 0;

		for (unsigned i = 0; i < count; i++)
			if (ranges_overlap(start, last, regions[i].start, regions[i].last))
				return refuse(why, IOVA_RESERVED,
					      "[%#llx, %#llx] overlaps the %s region [%#llx, %#llx] of group %d",
					      (unsigned long long)start, (unsigned long long)last,
					      reserved_kind_name(regions[i].kind), (unsigned long long)regions[i].start,
					      (unsigned long long)regions[i].last, member->group->id);
	}
	ranges_describe(&type1->ranges, text, sizeof(text));
	return refuse(why, IOVA_OUTSIDE, "[%#llx, %#llx] is not in the IOVA ranges of the container:%s",
		      (unsigned long long)start, (unsigned long long)last, text);
}

int type1_check_range(const struct type1 *type1, u64 start, u64 last, struct why *why)
{
	for (unsigned i = 0; i < type1->ranges.count; i++)
		if (start >= type1->ranges.at[i].start && last <= type1->ranges.at[i].last)
			return 0;
	return refuse_range(type1, start, last, why);
}

/* ---- a group enters ---- */

static const struct mapping *mapping_in(const struct type1 *type1, u64 start, u64 last)
{
	struct itree_node *node = itree_first(&type1->mappings, start, last);

	return node ? container_of(node, struct mapping, node) : NULL;
}

/* Until a group with DMA has come there are no ranges, and Linux does not look (vfio_iommu_aper_conflict()). */
static int decode_attach_mappings(const struct type1 *type1, const struct iommu_group *group, struct why *why)
{
	struct reserved_region regions[GROUP_REGIONS];
	unsigned count = group_regions(group, regions);
	u64 last = unit_of(group)->last_iova;
	bool bounded = type1->ranges.count && last < UINT64_MAX;
	const struct mapping *mapping = bounded ? mapping_in(type1, last + 1, UINT64_MAX) : NULL;
	char text[MAPPING_DESCRIPTION];

	if (mapping)
		return refuse(why, GROUP_APERTURE, "group %d reaches IOVAs up to %#llx, but %s is mapped", group->id,
			      (unsigned long long)last, mapping_describe(mapping, text));
	for (unsigned i = 0; i < count; i++) {
		mapping = mapping_in(type1, regions[i].start, regions[i].last);
		if (mapping)
			return refuse(why, GROUP_RESERVED_MAPPED,
				      "%s is mapped, over the %s region [%#llx, %#llx] of group %d",
				      mapping_describe(mapping, text), reserved_kind_name(regions[i].kind),
				      (unsigned long long)regions[i].start, (unsigned long long)regions[i].last,
				      group->id);
	}
	return 0;
}

/* The ranges as they will be; the caller owns ret->at. */
static int decode_attach(const struct type1 *type1, const struct iommu_group *group, struct iova_ranges *ret,
			 struct why *why)
{
	int err = decode_attach_mappings(type1, group, why);

	if (err < 0)
		return err;
	ret->room = ranges_room(type1, group);
	ret->at = alloc_array(ret->room, sizeof(ret->at[0]), why);
	if (!ret->at)
		return -why->err;
	ranges_fill(type1, group, ret);
	if (!ret->count) {
		free(ret->at);
		return refuse(why, GROUP_NO_IOVA, "with group %d no IOVA is left that all groups can use", group->id);
	}
	err = type1->vfio->unsafe_interrupts ? 0 : iommufd_check_interrupts(group, why);
	if (err < 0)
		free(ret->at);
	return err;
}

static struct type1_domain *find_domain(const struct type1 *type1, const struct iommu_unit *unit)
{
	struct type1_domain *domain;

	list_for_each(domain, &type1->domains, link)
		if (iommu_units_alike(domain->unit, unit))
			return domain;
	return NULL;
}

static void domain_drop(struct type1_domain *domain)
{
	if (!domain)
		return;
	list_remove(&domain->link);
	domain_free(domain->domain);
	free(domain);
}

/* Where the memory of a mapping is for the domains that are there; NULL: there is none. */
static const struct extent *extent_of(const struct type1 *type1, const struct mapping *mapping)
{
	const struct type1_domain *domain;

	if (list_empty(&type1->domains))
		return NULL;
	domain = list_first(&type1->domains, struct type1_domain, link);
	return domain_area_at(domain->domain, mapping->node.start)->extent;
}

/* A new domain translates what the others do already, to the same pages, whatever the mapper has there now. */
static int replay(const struct type1 *type1, struct domain *domain, struct why *why)
{
	struct itree_node *node;
	struct area *area;

	itree_for_each(node, &type1->mappings, 0, UINT64_MAX) {
		const struct mapping *mapping = container_of(node, struct mapping, node);
		const struct extent *pinned = extent_of(type1, mapping);
		int err = domain_map(domain, node->start, mapping_size(mapping), mapping->client, mapping->address,
				     mapping->permission, 0, &area, why);

		if (err < 0)
			return err;
		if (pinned)
			extent_share(area->extent, pinned);
	}
	return 0;
}

/* What of a mapping is charged by itself while there is no domain. */
static u64 pinned_bytes(const struct mapping *mapping)
{
	return mapping->pins.count * PAGE_SIZE;
}

/* The memory of a mapping that no domain had so far. */
static int pin_mapping(struct mapping *mapping, struct why *why)
{
	u64 pinned = pinned_bytes(mapping), locked;
	char text[MAPPING_DESCRIPTION], who[CLIENT_DESCRIPTION];
	int err;

	if (!client_memory_lives(mapping->client, mapping->address))
		return refuse(why, CLIENT_FAULT, "%s, which mapped %s, has ended or executes another program",
			      client_describe(mapping->client, who), mapping_describe(mapping, text));
	err = type1_check_memory(mapping->client, mapping->address, mapping_size(mapping),
				 mapping->permission & ISOLDE_PT_WRITE, pinned, &locked, why);
	if (err < 0 || locked <= pinned)
		return err;
	return charge_grow(&mapping->charge, mapping->client, locked - pinned, why);
}

/* Those below IOVA `before` that were pinned for a domain are so no longer. */
static void unpin_mappings(struct type1 *type1, u64 before)
{
	struct itree_node *node;

	itree_for_each(node, &type1->mappings, 0, UINT64_MAX) {
		struct mapping *mapping = container_of(node, struct mapping, node);

		if (node->start >= before)
			return;
		charge_shrink(&mapping->charge, mapping->charge.bytes - pinned_bytes(mapping));
	}
}

/* Its tables may end before. */
static int check_reach(const struct mapping *mapping, const struct iommu_unit *unit, struct why *why)
{
	char text[MAPPING_DESCRIPTION];

	if (mapping->node.last <= unit->last_iova)
		return 0;
	return refuse(why, MAP_BEYOND, "%s is mapped, and %s translates IOVAs up to %#llx",
		      mapping_describe(mapping, text), unit->name, (unsigned long long)unit->last_iova);
}

/* For the first domain: one after the other is pinned, then mapped (vfio_iommu_replay()). */
static int pin_mappings(struct type1 *type1, const struct iommu_unit *unit, struct why *why)
{
	struct itree_node *node;

	itree_for_each(node, &type1->mappings, 0, UINT64_MAX) {
		struct mapping *mapping = container_of(node, struct mapping, node);
		int err = pin_mapping(mapping, why);

		if (err < 0) {
			unpin_mappings(type1, node->start);
			return err;
		}
		err = check_reach(mapping, unit, why);
		if (err < 0) {
			unpin_mappings(type1, UINT64_MAX);
			return err;
		}
	}
	return 0;
}

static int make_domain(struct type1 *type1, const struct iommu_unit *unit, struct type1_domain **ret, struct why *why)
{
	struct type1_domain *domain = alloc_new(struct type1_domain, why);
	bool first = list_empty(&type1->domains);
	int err;

	if (!domain)
		return -why->err;
	domain->unit = unit;
	err = domain_new(type1->iommu, unit, DOMAIN_PAGING, &domain->domain, why);
	if (err == 0 && first)
		err = pin_mappings(type1, unit, why);
	if (err == 0) {
		err = replay(type1, domain->domain, why);
		if (err < 0 && first)
			unpin_mappings(type1, UINT64_MAX);
	}
	if (err < 0) {
		domain_drop(domain);
		return err;
	}
	list_append(&type1->domains, &domain->link);
	*ret = domain;
	return 0;
}

/* A domain that no group is attached to any more; with the last one nothing is pinned for domains. */
static void domain_leave(struct type1 *type1, struct type1_domain *domain)
{
	domain_drop(domain);
	if (list_empty(&type1->domains))
		unpin_mappings(type1, UINT64_MAX);
}

/* NULL: none of those that are there can have it. */
static struct type1_domain *share_domain(const struct type1 *type1, struct iommu_group *group)
{
	struct type1_domain *domain = find_domain(type1, unit_of(group));
	struct why why = WHY_INIT;

	return domain && iommu_attach_group(domain->domain, group, &why) == 0 ? domain : NULL;
}

static int enter_domain(struct type1 *type1, struct iommu_group *group, struct type1_domain **ret, struct why *why)
{
	struct type1_domain *domain = share_domain(type1, group);
	int err;

	if (!domain) {
		err = make_domain(type1, unit_of(group), &domain, why);
		if (err < 0)
			return err;
		err = iommu_attach_group(domain->domain, group, why);
		if (err < 0) {
			domain_leave(type1, domain);
			return err;
		}
	}
	domain->ngroups++;
	*ret = domain;
	return 0;
}

static int attach_real(struct type1 *type1, struct iommu_group *group, struct type1_member *member, struct why *why)
{
	struct iova_ranges ranges = {};
	int err = decode_attach(type1, group, &ranges, why);

	if (err < 0)
		return err;
	err = enter_domain(type1, group, &member->domain, why);
	if (err < 0) {
		free(ranges.at);
		return err;
	}
	free(type1->ranges.at);
	type1->ranges = ranges;
	return 0;
}

int type1_attach(struct type1 *type1, struct iommu_group *group, struct why *why)
{
	_memory_ struct type1_member *member = NULL;
	int err;

	if (type1->lost)
		return refuse(why, VADDR_PENDING, "%u mappings of the container wait for a new address", type1->lost);
	member = alloc_new(struct type1_member, why);
	if (!member)
		return -why->err;
	err = unit_of(group) ? attach_real(type1, group, member, why) : 0;
	if (err < 0)
		return err;
	member->group = group;
	list_append(&type1->members, &take(member)->link);
	return 0;
}

bool type1_has_emulated(const struct type1 *type1)
{
	const struct type1_member *member;

	list_for_each(member, &type1->members, link)
		if (!member->domain)
			return true;
	return false;
}

/* ---- a group leaves ---- */

static struct type1_member *find_member(const struct type1 *type1, const struct iommu_group *group)
{
	struct type1_member *member;

	list_for_each(member, &type1->members, link)
		if (member->group == group)
			return member;
	return NULL;
}

/* It may have written anywhere. */
static void mark_all_dirty(struct type1 *type1)
{
	struct itree_node *node;

	itree_for_each(node, &type1->mappings, 0, UINT64_MAX)
		type1_mark_dirty(container_of(node, struct mapping, node), node->start, node->last);
}

/* A member has gone. As in Linux, they stay narrow when there is no memory for more of them. */
static void widen_ranges(struct type1 *type1)
{
	struct iova_ranges *ranges = &type1->ranges;
	unsigned room = ranges_room(type1, NULL);
	struct why why = WHY_INIT;
	struct iova_range *at;

	if (room > ranges->room) {
		at = alloc_array(room, sizeof(*at), &why);
		if (!at)
			return;
		free(ranges->at);
		*ranges = (struct iova_ranges){.at = at, .room = room};
	}
	ranges_fill(type1, NULL, ranges);
}

static void leave_domain(struct type1 *type1, struct iommu_group *group, struct type1_domain *domain)
{
	iommu_detach_group(group);
	widen_ranges(type1);
	mark_all_dirty(type1);
	if (--domain->ngroups == 0)
		domain_leave(type1, domain);
}

void type1_detach(struct type1 *type1, struct iommu_group *group)
{
	struct type1_member *member = find_member(type1, group);
	struct type1_domain *domain = member->domain;

	list_remove(&member->link);
	free(member);
	if (domain)
		leave_domain(type1, group, domain);
	if (list_empty(&type1->members)) {
		type1_remove_all(type1);
		type1->ranges.count = 0;
	}
}

/* ---- invariants ---- */

static void check_mapping(const struct type1 *type1, const struct mapping *mapping)
{
	const struct type1_domain *domain;

	list_for_each(domain, &type1->domains, link) {
		const struct area *area __attribute__((unused)) = domain_area_at(domain->domain, mapping->node.start);

		assert(area);
		assert(area->node.start == mapping->node.start && area->node.last == mapping->node.last);
		assert(area->permission == mapping->permission);
		assert(area->extent->client == mapping->client && area->extent->address == mapping->address);
	}
}

/* Charged is all memory of a mapping that a domain has, else its pinned pages. */
static void check_pins(const struct type1 *type1, const struct mapping *mapping)
{
	bool in_domains __attribute__((unused)) = !list_empty(&type1->domains);
	struct itree_node *node;

	itree_check(&mapping->pins);
	itree_for_each(node, &mapping->pins, 0, UINT64_MAX) {
		assert(node->start >= mapping->node.start && mapping->node.last - node->start >= PAGE_SIZE - 1);
		assert(container_of(node, struct type1_pin, node)->count);
	}
	assert(mapping->charge.bytes >= pinned_bytes(mapping));
	assert(mapping->charge.bytes <= (in_domains ? mapping_size(mapping) : pinned_bytes(mapping)));
	assert(!mapping->pins.count || !list_empty(&type1->users));
	assert((mapping->dirty != NULL) == type1->tracking);
}

void type1_check(const struct type1 *type1)
{
	const struct type1_domain *domain;
	const struct type1_member *member;
	const struct itree_node *node;
	unsigned groups = 0, real = 0, lost = 0;

	itree_check(&type1->mappings);
	itree_for_each(node, &type1->mappings, 0, UINT64_MAX) {
		const struct mapping *mapping = container_of(node, struct mapping, node);

		check_mapping(type1, mapping);
		check_pins(type1, mapping);
		lost += mapping->address_lost;
	}
	assert(lost == type1->lost);
	assert(type1->available + type1->mappings.count == type1->limit);
	list_for_each(member, &type1->members, link) {
		assert((unit_of(member->group) == NULL) == (member->domain == NULL));
		assert(!member->domain || member->group->domain == member->domain->domain);
		real += member->domain != NULL;
	}
	list_for_each(domain, &type1->domains, link) {
		assert(domain->domain->space->areas.count == type1->mappings.count);
		groups += domain->ngroups;
	}
	assert(groups == real);
	assert(!lost || real == list_length(&type1->members));
	assert(!type1->mappings.count || !list_empty(&type1->members));
}
