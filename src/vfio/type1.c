/* SPDX-License-Identifier: MIT */
/*
 * The requests of a type 1 container. What a program maps is a mapping: a run of IOVAs, a run of its own addresses, a
 * permission. A mapping is one area in each domain of the container and is only ever removed whole.
 *
 * The two versions differ in unmap alone. TYPE1v2 refuses a range that would cut a mapping. TYPE1 takes any range: a
 * mapping that starts below it ends the walk, one that starts inside goes whole, past the last byte asked for.
 *
 * Each handler decodes first, in the order in which Linux would answer, then performs. The one step that can fail after
 * something has changed is the copy of the answer, as in Linux.
 */
#include "vfio/type1.h"

#include <stdio.h>

#include "base/alloc.h"
#include "vfio/info.h"
#include "vfio/ioctl.h"

#define MAP_FLAGS   (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE | VFIO_DMA_MAP_FLAG_VADDR)
#define UNMAP_FLAGS (VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP | VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_VADDR)

static struct mapping *mapping_of(struct itree_node *node)
{
	return node ? container_of(node, struct mapping, node) : NULL;
}

struct mapping *mapping_at(const struct type1 *type1, u64 iova)
{
	return mapping_of(itree_first(&type1->mappings, iova, iova));
}

const char *mapping_describe(const struct mapping *mapping, char text[static MAPPING_DESCRIPTION])
{
	static const char *const permissions[] = {"", "r", "w", "rw"};

	snprintf(text, MAPPING_DESCRIPTION, "[%#llx, %#llx] (%s)", (unsigned long long)mapping->node.start,
		 (unsigned long long)mapping->node.last, permissions[mapping->permission & 3]);
	return text;
}

long type1_extension(const struct type1 *type1, u64 extension)
{
	const struct type1_domain *domain;

	switch (extension) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_UPDATE_VADDR:
		return type1 && !type1_has_emulated(type1);
	case VFIO_DMA_CC_IOMMU:
		if (!type1)
			return 0;
		list_for_each(domain, &type1->domains, link)
			if (!iommu_unit_capable(domain->unit, CAP_ENFORCE_COHERENCY))
				return 0;
		return 1;
	default:
		return 0;
	}
}

/* ---- GET_INFO ---- */

static int add_migration(const struct type1 *type1, struct info_chain *chain, struct why *why)
{
	struct vfio_iommu_type1_info_cap_migration *cap = info_chain_add(chain, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, 1,
									 sizeof(*cap), why);

	if (!cap)
		return -why->err;
	cap->pgsize_bitmap = type1_page_size(type1);
	cap->max_dirty_bitmap_size = BIT(28); /* of INT_MAX pages */
	return 0;
}

static int add_available(const struct type1 *type1, struct info_chain *chain, struct why *why)
{
	struct vfio_iommu_type1_info_dma_avail *cap = info_chain_add(chain, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1,
								     sizeof(*cap), why);

	if (!cap)
		return -why->err;
	cap->avail = type1->available;
	return 0;
}

static int add_ranges(const struct type1 *type1, struct info_chain *chain, struct why *why)
{
	const struct iova_ranges *ranges = &type1->ranges;
	struct vfio_iommu_type1_info_cap_iova_range *cap =
		info_chain_add(chain, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1,
			       sizeof(*cap) + ranges->count * sizeof(cap->iova_ranges[0]), why);

	if (!cap)
		return -why->err;
	cap->nr_iovas = ranges->count;
	for (unsigned i = 0; i < ranges->count; i++)
		cap->iova_ranges[i] = (struct vfio_iova_range){ranges->at[i].start, ranges->at[i].last};
	return 0;
}

long type1_get_info(struct file *file, struct client *client, const union vfio_head *head, u64 arg, struct why *why)
{
	const struct type1 *type1 = type1_of_file(file);
	struct vfio_iommu_type1_info info = {
		.argsz = head->argsz,
		.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS,
		.iova_pgsizes = type1_page_sizes(type1),
	};
	struct info_chain chain = INFO_CHAIN_INIT;
	int err = add_migration(type1, &chain, why);

	if (err == 0)
		err = add_available(type1, &chain, why);
	/* Until a group with real DMA comes nobody knows any. */
	if (err == 0 && type1->ranges.count)
		err = add_ranges(type1, &chain, why);
	if (err == 0)
		err = info_write(client, arg, &info, sizeof(info), &info.cap_offset, &chain, why);
	info_chain_fini(&chain);
	return err;
}

/* ---- MAP_DMA ---- */

static int decode_map_flags(const struct vfio_iommu_type1_dma_map *map, struct why *why)
{
	bool access = map->flags & (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	bool vaddr = map->flags & VFIO_DMA_MAP_FLAG_VADDR;

	if (access == vaddr)
		return refuse(why, MAP_FLAGS, "flags %#x of the mapping at iova %#llx name %s", map->flags,
			      (unsigned long long)map->iova,
			      access ? "VADDR together with READ or WRITE" : "neither READ nor WRITE nor VADDR");
	return 0;
}

static int decode_map(const struct type1 *type1, const struct vfio_iommu_type1_dma_map *map, struct why *why)
{
	unsigned long long iova = map->iova, vaddr = map->vaddr, size = map->size;
	u64 page = type1_page_size(type1);
	int err;

	if (map->flags & ~(u32)MAP_FLAGS)
		return refuse(why, MAP_FLAGS, "flags %#x: bits %#x are unknown", map->flags,
			      map->flags & ~(u32)MAP_FLAGS);
	if (!size)
		return refuse(why, MAP_EMPTY, "the mapping at iova %#llx has size 0", iova);
	if (range_overflows(iova, size) || range_overflows(vaddr, size))
		return refuse(why, RANGE_OVERFLOWS, "%#llx bytes from iova %#llx or vaddr %#llx pass 2^64", size, iova,
			      vaddr);
	err = decode_map_flags(map, why);
	if (err < 0)
		return err;
	if (!is_aligned(iova | vaddr | size, page))
		return refuse(why, MAP_MISALIGNED,
			      "iova %#llx, vaddr %#llx or size %#llx is no multiple of the page size, %#llx", iova,
			      vaddr, size, (unsigned long long)page);
	return 0;
}

/*
 * Linux pins and counts batch by batch (vfio_pin_map_dma()), so of a limit that is passed and memory that is not there
 * it meets what comes first.
 */
int type1_check_memory(struct client *client, u64 address, u64 size, bool write, u64 paid, u64 *ret_locked,
		       struct why *why)
{
	int err = client_check_lock(client, address, size, write, ret_locked, why);

	if (err < 0 && *ret_locked > paid && charge_check(client, *ret_locked - paid, why) < 0)
		return -why->err;
	return err;
}

static int decode_new_mapping(const struct type1 *type1, struct client *client,
			      const struct vfio_iommu_type1_dma_map *map, u64 *ret_locked, struct why *why)
{
	u64 last = map->iova + map->size - 1;
	struct mapping *hit = mapping_of(itree_first(&type1->mappings, map->iova, last));
	char text[MAPPING_DESCRIPTION];
	int err;

	if (hit)
		return refuse(why, IOVA_MAPPED, "[%#llx, %#llx] overlaps the mapping %s", (unsigned long long)map->iova,
			      (unsigned long long)last, mapping_describe(hit, text));
	if (!type1->available)
		return refuse(why, MAPPING_LIMIT, "the container has %zu mappings, its limit is %u",
			      type1->mappings.count, type1->limit);
	err = type1->ranges.count ? type1_check_range(type1, map->iova, last, why) : 0;
	if (err < 0 || list_empty(&type1->domains))
		return err;
	return type1_check_memory(client, map->vaddr, map->size, map->flags & VFIO_DMA_MAP_FLAG_WRITE, 0, ret_locked,
				  why);
}

static void mapping_free(struct mapping *mapping)
{
	if (!mapping)
		return;
	assert(!mapping->pins.count);
	charge_fini(&mapping->charge);
	client_put(mapping->client);
	free(mapping->dirty);
	free(mapping);
}
DEFINE_FREE(mapping)

static void unmap_areas(const struct type1 *type1, const struct mapping *mapping)
{
	const struct type1_domain *domain;

	list_for_each(domain, &type1->domains, link) {
		struct area *area = domain_area_at(domain->domain, mapping->node.start);

		if (area)
			domain_unmap(domain->domain, area);
	}
}

/* The same area in each domain, or in none. */
static int map_areas(const struct type1 *type1, const struct mapping *mapping, struct why *why)
{
	const struct type1_domain *domain;
	struct area *area;

	list_for_each(domain, &type1->domains, link) {
		int err = domain_map(domain->domain, mapping->node.start, mapping_size(mapping), mapping->client,
				     mapping->address, mapping->permission, 0, &area, why);

		if (err < 0) {
			unmap_areas(type1, mapping);
			return err;
		}
	}
	return 0;
}

/* What the mapping's addresses mean is settled now: vfio_dma_do_map() takes the address space along with them. */
static void mapping_set_client(struct mapping *mapping, struct client *client)
{
	mapping->client = client_get(client);
	if (!client->own)
		client_hold_memory(client);
}

static int map_new(struct type1 *type1, struct client *client, const struct vfio_iommu_type1_dma_map *map, u64 locked,
		   struct why *why)
{
	_free_(mapping) struct mapping *mapping = alloc_new(struct mapping, why);
	int err;

	if (!mapping)
		return -why->err;
	mapping->node.start = map->iova;
	mapping->node.last = map->iova + map->size - 1;
	mapping->address = map->vaddr;
	mapping_set_client(mapping, client);
	if (map->flags & VFIO_DMA_MAP_FLAG_READ)
		mapping->permission |= ISOLDE_PT_READ;
	if (map->flags & VFIO_DMA_MAP_FLAG_WRITE)
		mapping->permission |= ISOLDE_PT_WRITE;
	err = locked ? charge_init(&mapping->charge, client, locked, why) : 0;
	if (err == 0)
		err = map_areas(type1, mapping, why);
	if (err < 0)
		return err;
	err = type1->tracking ? type1_track(type1, mapping, why) : 0;
	if (err < 0) {
		unmap_areas(type1, mapping);
		return err;
	}
	type1->available--;
	itree_insert(&type1->mappings, &take(mapping)->node);
	return 0;
}

/* ---- MAP_DMA with VADDR: a mapping whose address was taken away gets another, perhaps in another process ---- */

static int decode_update(const struct type1 *type1, const struct vfio_iommu_type1_dma_map *map, struct mapping **ret,
			 struct why *why)
{
	u64 last = map->iova + map->size - 1;
	struct mapping *mapping = mapping_of(itree_first(&type1->mappings, map->iova, last));
	char text[MAPPING_DESCRIPTION];

	if (!mapping)
		return refuse(why, VADDR_NO_MAPPING, "nothing is mapped in [%#llx, %#llx]",
			      (unsigned long long)map->iova, (unsigned long long)last);
	mapping_describe(mapping, text);
	if (mapping->node.start != map->iova || mapping->node.last != last)
		return refuse(why, VADDR_MISMATCH, "[%#llx, %#llx] is not the mapping %s",
			      (unsigned long long)map->iova, (unsigned long long)last, text);
	if (!mapping->address_lost)
		return refuse(why, VADDR_MISMATCH, "the mapping %s still has its address %#llx", text,
			      (unsigned long long)mapping->address);
	*ret = mapping;
	return 0;
}

/* Translations stay; only what stands behind the frames changes. */
static void move_areas(const struct type1 *type1, const struct mapping *mapping)
{
	const struct type1_domain *domain;

	list_for_each(domain, &type1->domains, link) {
		struct extent *extent = domain_area_at(domain->domain, mapping->node.start)->extent;
		struct client *before = extent->client;

		space_stop(domain->domain->space);
		extent->client = client_get(mapping->client);
		extent->address = mapping->address;
		space_start(domain->domain->space);
		client_put(before);
	}
}

static int update_address(struct type1 *type1, struct client *client, const struct vfio_iommu_type1_dma_map *map,
			  struct why *why)
{
	struct mapping *mapping = NULL;
	int err = decode_update(type1, map, &mapping, why);

	if (err < 0)
		return err;
	if (client != mapping->client) {
		struct charge charge = {};

		/* Nobody has pinned a page of it: then there would be emulated devices, and it would have its address.
		 */
		err = charge_init(&charge, client, mapping->charge.bytes, why);
		if (err < 0)
			return err;
		charge_fini(&mapping->charge);
		mapping->charge = charge;
		client_put(mapping->client);
		mapping_set_client(mapping, client);
	}
	mapping->address = map->vaddr;
	mapping->address_lost = false;
	type1->lost--;
	move_areas(type1, mapping);
	return 0;
}

long type1_map_dma(struct file *file, struct client *client, const union vfio_head *head, u64 arg, struct why *why)
{
	struct type1 *type1 = type1_of_file(file);
	const struct vfio_iommu_type1_dma_map *map = (const void *)head;
	int err = decode_map(type1, map, why);
	u64 locked = 0;

	if (err < 0)
		return err;
	if (map->flags & VFIO_DMA_MAP_FLAG_VADDR)
		return update_address(type1, client, map, why);
	err = decode_new_mapping(type1, client, map, &locked, why);
	return err < 0 ? err : map_new(type1, client, map, locked, why);
}

/* ---- UNMAP_DMA ---- */

void type1_remove(struct type1 *type1, struct mapping *mapping)
{
	unmap_areas(type1, mapping);
	itree_remove(&type1->mappings, &mapping->node);
	type1->lost -= mapping->address_lost;
	type1->available++;
	mapping_free(mapping);
}

void type1_remove_all(struct type1 *type1)
{
	struct mapping *mapping;

	while ((mapping = mapping_of(itree_first(&type1->mappings, 0, UINT64_MAX))))
		type1_remove(type1, mapping);
}

int type1_check_bisection(const struct type1 *type1, u64 start, u64 last, struct why *why)
{
	const struct mapping *first = mapping_at(type1, start), *second = mapping_at(type1, last);
	const struct mapping *cut = NULL;
	char text[MAPPING_DESCRIPTION];

	if (first && first->node.start != start)
		cut = first;
	else if (second && second->node.last != last)
		cut = second;
	if (!cut)
		return 0;
	return refuse(why, UNMAP_BISECTS, "[%#llx, %#llx] would cut the mapping %s", (unsigned long long)start,
		      (unsigned long long)last, mapping_describe(cut, text));
}

static int decode_unmap_flags(const struct vfio_iommu_type1_dma_unmap *unmap, struct why *why)
{
	u32 flags = unmap->flags;

	if (flags & ~(u32)UNMAP_FLAGS)
		return refuse(why, UNMAP_FLAGS, "flags %#x: bits %#x are unknown", flags, flags & ~(u32)UNMAP_FLAGS);
	if (flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP &&
	    flags & (VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_VADDR))
		return refuse(why, UNMAP_FLAGS, "flags %#x: GET_DIRTY_BITMAP goes with neither ALL nor VADDR", flags);
	return 0;
}

static int decode_unmap_bitmap(const struct vfio_iommu_type1_dma_unmap *unmap, struct client *client, u64 arg,
			       struct vfio_bitmap *ret, struct why *why)
{
	u32 needed = (u32)(sizeof(*unmap) + sizeof(*ret));
	int err;

	if (!(unmap->flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP))
		return 0;
	if (unmap->argsz < needed)
		return refuse(why, ARGSZ_SHORT, "VFIO_IOMMU_UNMAP_DMA with a bitmap: argsz is %u, not %u", unmap->argsz,
			      needed);
	err = client_read(client, arg + sizeof(*unmap), ret, sizeof(*ret), why);
	return err < 0 ? err : type1_check_bitmap(ret, unmap->size, why);
}

static int decode_unmap_range(const struct type1 *type1, const struct vfio_iommu_type1_dma_unmap *unmap,
			      struct iova_range *ret, struct why *why)
{
	unsigned long long iova = unmap->iova, size = unmap->size;
	u64 page = type1_page_size(type1);

	if (!is_aligned(iova, page))
		return refuse(why, UNMAP_RANGE, "iova %#llx is no multiple of the page size, %#llx", iova,
			      (unsigned long long)page);
	*ret = (struct iova_range){iova, iova + size - 1};
	if (unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL) {
		if (iova || size)
			return refuse(why, UNMAP_RANGE, "ALL goes with iova 0 and size 0, not %#llx and %#llx", iova,
				      size);
		*ret = (struct iova_range){0, UINT64_MAX};
		return 0;
	}
	if (!size || !is_aligned(size, page))
		return refuse(why, UNMAP_RANGE, "size %#llx is 0 or no multiple of the page size, %#llx", size,
			      (unsigned long long)page);
	if (range_overflows(iova, size))
		return refuse(why, RANGE_OVERFLOWS, "%#llx bytes from iova %#llx pass 2^64", size, iova);
	return 0;
}

static int decode_unmap(const struct type1 *type1, const struct vfio_iommu_type1_dma_unmap *unmap,
			const struct vfio_bitmap *bitmap, struct iova_range *ret, struct why *why)
{
	int err;

	if (unmap->flags & VFIO_DMA_UNMAP_FLAG_VADDR && type1_has_emulated(type1))
		return refuse(why, VADDR_EMULATED, "[%#llx, +%#llx): emulated devices of the container use addresses",
			      (unsigned long long)unmap->iova, (unsigned long long)unmap->size);
	err = decode_unmap_range(type1, unmap, ret, why);
	if (err < 0)
		return err;
	if (unmap->flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP) {
		if (!type1->tracking)
			return refuse(why, DIRTY_NOT_TRACKED,
				      "VFIO_IOMMU_DIRTY_PAGES has not started on this container");
		if (bitmap->pgsize != type1_page_size(type1))
			return refuse(why, BITMAP_PAGE_SIZE,
				      "the bitmap has pages of %#llx bytes, only %#llx can be had",
				      (unsigned long long)bitmap->pgsize, (unsigned long long)type1_page_size(type1));
	}
	if (type1->v2 && !(unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL))
		return type1_check_bisection(type1, ret->start, ret->last, why);
	return 0;
}

/* Where version 1 stops its walk: at a mapping that starts below the range. Version 2 has none left here. */
static bool walk_ends(const struct mapping *mapping, struct iova_range range)
{
	return mapping->node.start < range.start;
}

static int forget_addresses(struct type1 *type1, struct iova_range range, u64 *ret_size, struct why *why)
{
	char text[MAPPING_DESCRIPTION];
	struct itree_node *node;
	u64 size = 0;

	itree_for_each(node, &type1->mappings, range.start, range.last) {
		const struct mapping *mapping = mapping_of(node);

		if (walk_ends(mapping, range))
			break;
		if (mapping->address_lost)
			return refuse(why, VADDR_LOST, "the mapping %s has lost its address before",
				      mapping_describe(mapping, text));
	}
	itree_for_each(node, &type1->mappings, range.start, range.last) {
		struct mapping *mapping = mapping_of(node);

		if (walk_ends(mapping, range))
			break;
		mapping->address_lost = true;
		type1->lost++;
		size += mapping_size(mapping);
	}
	*ret_size = size;
	return 0;
}

/* With a bitmap each mapping is reported before it goes; what was removed before a fault stays removed, as in Linux. */
static int remove_range(struct type1 *type1, struct iova_range range, struct client *client,
			const struct vfio_bitmap *bitmap, u64 *ret_size, struct why *why)
{
	struct mapping *mapping;
	u64 size = 0;

	while ((mapping = mapping_of(itree_first(&type1->mappings, range.start, range.last)))) {
		if (walk_ends(mapping, range))
			break;
		type1_ask_unpin(type1, mapping);
		if (bitmap) {
			int err = type1_report_dirty(type1, client, bitmap, range.start, mapping, why);

			if (err < 0)
				return err;
		}
		size += mapping_size(mapping);
		type1_remove(type1, mapping);
	}
	*ret_size = size;
	return 0;
}

long type1_unmap_dma(struct file *file, struct client *client, const union vfio_head *head, u64 arg, struct why *why)
{
	struct type1 *type1 = type1_of_file(file);
	struct vfio_iommu_type1_dma_unmap unmap = *(const struct vfio_iommu_type1_dma_unmap *)(const void *)head;
	bool dirty = unmap.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	struct vfio_bitmap bitmap = {};
	struct iova_range range = {};
	u64 size = 0;
	int err = decode_unmap_flags(&unmap, why);

	if (err == 0)
		err = decode_unmap_bitmap(&unmap, client, arg, &bitmap, why);
	if (err == 0)
		err = decode_unmap(type1, &unmap, &bitmap, &range, why);
	if (err < 0)
		return err;
	if (unmap.flags & VFIO_DMA_UNMAP_FLAG_VADDR)
		err = forget_addresses(type1, range, &size, why);
	else
		err = remove_range(type1, range, client, dirty ? &bitmap : NULL, &size, why);
	if (err < 0)
		return err;
	unmap.size = size;
	return client_write(client, arg, &unmap, sizeof(unmap), why);
}
