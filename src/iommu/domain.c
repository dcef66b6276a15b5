/* SPDX-License-Identifier: MIT */
#include "iommu/domain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "iommu/port.h"
#include "mem/charge.h"

/* Tables come from the heap, one by one, so that each can be made to fail. */
static void *table_allocate(void *context, size_t size, size_t alignment)
{
	return fallible() ? aligned_alloc(alignment, size) : NULL;
}

static void table_release(void *context, void *table, size_t size)
{
	free(table);
}

static int table_new(struct isolde_pt_config config, struct isolde_pt **ret)
{
	int err;

	config.size = sizeof(config);
	config.memory = (struct isolde_pt_memory){.allocate = table_allocate, .release = table_release};
	err = isolde_pt_new(&config, ret);
	assert(err == 0 || err == -ENOMEM);
	return err;
}

struct domain *domain_alloc(struct iommu *iommu, const struct iommu_unit *unit, enum domain_kind kind, struct why *why)
{
	struct domain *domain = alloc_new(struct domain, why);

	if (!domain)
		return NULL;
	domain->iommu = iommu;
	domain->kind = kind;
	domain->driver = unit->driver;
	domain->unit = unit;
	domain->format = unit->format;
	domain->last_iova = UINT64_MAX;
	domain->pasid_compatible = true;
	list_init(&domain->contexts);
	list_init(&domain->children);
	space_init(&domain->own_space, iommu);
	domain->space = &domain->own_space;
	return domain;
}

/* Below this many bytes empty tables are not worth a look. */
#define TRIM_FROM 0x40000

static int make_paging(struct domain *domain, struct space *space, const struct domain_shape *shape, struct why *why)
{
	if (table_new(shape->table, &domain->pt) < 0)
		return refuse(why, OUT_OF_MEMORY, "no memory for an I/O page table of %s", domain->unit->name);
	domain->format = shape->table.format;
	domain->first_iova = shape->first_iova;
	domain->last_iova = min_u64(isolde_pt_last_iova(domain->pt), shape->last_iova);
	domain->forces_write = shape->forces_write;
	domain->space = space;
	domain->trim_at = TRIM_FROM;
	list_append(&space->domains, &domain->of_space);
	return 0;
}

int domain_new_shaped(struct space *space, const struct iommu_unit *unit, const struct domain_shape *shape,
		      struct domain **ret, struct why *why)
{
	struct domain *domain = domain_alloc(space->iommu, unit, DOMAIN_PAGING, why);
	int err = domain ? make_paging(domain, space, shape, why) : -why->err;

	if (err < 0) {
		free(domain);
		return err;
	}
	*ret = domain;
	return 0;
}

int domain_new_for(struct space *space, const struct iommu_unit *unit, unsigned abilities, struct domain **ret,
		   struct why *why)
{
	struct domain_shape shape;
	int err = iommu_unit_shape(unit, abilities, &shape, why);

	if (err == 0)
		err = domain_new_shaped(space, unit, &shape, ret, why);
	if (err == 0)
		(*ret)->abilities = abilities;
	return err;
}

int domain_new_in(struct space *space, const struct iommu_unit *unit, struct domain **ret, struct why *why)
{
	return domain_new_for(space, unit, 0, ret, why);
}

static int make_usual(struct domain *domain, struct why *why)
{
	struct domain_shape shape;
	int err = iommu_unit_shape(domain->unit, 0, &shape, why);

	return err < 0 ? err : make_paging(domain, &domain->own_space, &shape, why);
}

int domain_new(struct iommu *iommu, const struct iommu_unit *unit, enum domain_kind kind, struct domain **ret,
	       struct why *why)
{
	struct domain *domain = domain_alloc(iommu, unit, kind, why);

	if (!domain)
		return -why->err;
	if (kind == DOMAIN_PAGING && make_usual(domain, why) < 0) {
		free(domain);
		return -why->err;
	}
	if (kind == DOMAIN_IDENTITY)
		list_append(&iommu->identities, &domain->of_iommu);
	*ret = domain;
	return 0;
}

int domain_new_sva(struct iommu *iommu, const struct iommu_unit *unit, struct client *client, struct domain **ret,
		   struct why *why)
{
	struct domain *domain;

	if (unit->driver->lacks_pasids || unit->driver->lacks_sva || !unit->max_pasids)
		return refuse(why, SVA_UNSUPPORTED, "%s (%s) cannot give devices a process's addresses", unit->name,
			      unit->driver->name);
	domain = domain_alloc(iommu, unit, DOMAIN_SVA, why);
	if (!domain)
		return -why->err;
	domain->process = alloc_new(struct extent, why);
	if (!domain->process) {
		free(domain);
		return -why->err;
	}
	domain->last_iova = MASK(46, 0); /* the lower half of x86-64's addresses */
	domain->process->client = client_get(client);
	domain->process->node.last = domain->last_iova;
	*ret = domain;
	return 0;
}

struct domain *domain_free(struct domain *domain)
{
	struct itree_node *node;

	if (!domain)
		return NULL;
	assert(domain->users == 0 && list_empty(&domain->contexts));
	while ((node = itree_first(&domain->own_space.areas, 0, UINT64_MAX)))
		domain_unmap(domain, container_of(node, struct area, node));
	assert(list_empty(&domain->children));
	list_remove(&domain->of_space);
	list_remove(&domain->of_iommu);
	list_remove(&domain->of_parent);
	if (domain->parent)
		domain->parent->users--;
	free(domain->nested);
	space_fini(&domain->own_space);
	isolde_pt_free(domain->pt);
	if (domain->release)
		domain->release(domain);
	free(domain->extra);
	if (domain->process) {
		client_put(domain->process->client);
		free(domain->process);
	}
	free(domain);
	return NULL;
}

const char *domain_kind_name(enum domain_kind kind)
{
	static const char *const names[] = {
		[DOMAIN_ANY] = "any",		[DOMAIN_PAGING] = "paging", [DOMAIN_BLOCKING] = "blocking",
		[DOMAIN_IDENTITY] = "identity", [DOMAIN_SVA] = "SVA",	    [DOMAIN_NESTED] = "nested",
	};

	return names[kind];
}

const char *domain_describe(const struct domain *domain, char text[static DOMAIN_TEXT])
{
	char who[DOMAIN_NAME];

	if (*domain->name)
		snprintf(who, sizeof(who), "%s", domain->name);
	else
		snprintf(who, sizeof(who), "a %s domain", domain_kind_name(domain->kind));
	if (domain->kind == DOMAIN_PAGING)
		snprintf(text, DOMAIN_TEXT, "%s with %zu mappings", who, domain->space->areas.count);
	else
		snprintf(text, DOMAIN_TEXT, "%s", who);
	return text;
}

/* While stopped. What is on top was found through this. */
static void forget_all(struct domain *domain)
{
	struct domain *nested;

	domain->generation++;
	list_for_each(nested, &domain->children, of_parent)
		nested->generation++;
}

void domain_flush(struct domain *domain)
{
	domain_stop(domain);
	forget_all(domain);
	domain_start(domain);
}

static void invalidate(struct domain *domain, u64 start, u64 last)
{
	domain_stop(domain);
	dma_invalidate(domain, start, last);
	domain_start(domain);
}

/* ---- the table ---- */

void domain_trim(struct domain *domain)
{
	u64 half = domain->last_iova / 2 + 1;

	/* Two halves: the size of all 64 bits is no number. */
	domain_stop(domain);
	isolde_pt_trim(domain->pt, 0, half, NULL);
	isolde_pt_trim(domain->pt, half, half, NULL);
	domain_start(domain);
	domain->trim_at = max_u64(2 * isolde_pt_memory(domain->pt), TRIM_FROM);
}

/* Tables that hardware must not walk any more are freed once nobody can be in them. */
static void drain(struct domain *domain, struct isolde_pt_gather *gather)
{
	if (gather->tables) {
		domain_stop(domain);
		isolde_pt_gather_drain(domain->pt, gather);
		domain_start(domain);
	}
	if (isolde_pt_memory(domain->pt) > domain->trim_at)
		domain_trim(domain);
}

static int fill(struct isolde_pt *pt, const struct area *area, u64 leaf, struct isolde_pt_gather *gather)
{
	u64 start = area->node.start, done = 0;
	int err = 0;

	for (; err == 0 && done < area_size(area); done += leaf)
		err = isolde_pt_map(pt, start + done, area_physical(area) + done, leaf, area->permission, gather);
	/* All or nothing: what the failed step left untouched is one leaf. */
	if (err < 0 && done > leaf)
		isolde_pt_unmap(pt, start, done - leaf, gather, NULL);
	return err;
}

static int refuse_outside(const struct domain *domain, u64 start, u64 last, struct why *why)
{
	if (last > domain->last_iova)
		return refuse(why, IOVA_BEYOND_TABLE, "0x%llx is beyond 0x%llx, the last IOVA of the domain",
			      (unsigned long long)last, (unsigned long long)domain->last_iova);
	if (start < domain->first_iova)
		return refuse(why, IOVA_BEYOND_TABLE, "0x%llx is below 0x%llx, the first IOVA of the domain",
			      (unsigned long long)start, (unsigned long long)domain->first_iova);
	return 0;
}

u64 domain_page_sizes(const struct domain *domain)
{
	return isolde_pt_page_sizes(domain->pt);
}

static u64 smallest_leaf(const struct domain *domain)
{
	u64 sizes = domain_page_sizes(domain);

	return sizes & -sizes;
}

static int refuse_area(const struct domain *domain, const struct area *area, struct why *why)
{
	u64 start = area->node.start, last = area->node.last;
	int err = refuse_outside(domain, start, last, why);

	if (err < 0)
		return err;
	if (!is_aligned(start | (last + 1) | area_physical(area), smallest_leaf(domain)))
		return refuse(why, AREA_MISALIGNED,
			      "[0x%llx, 0x%llx] is not of whole pages of 0x%llx bytes, which %s has",
			      (unsigned long long)start, (unsigned long long)last,
			      (unsigned long long)smallest_leaf(domain), domain->unit->name);
	if (!(area->permission & (ISOLDE_PT_READ | ISOLDE_PT_WRITE)))
		return refuse(why, AREA_FORBIDDEN,
			      "[0x%llx, 0x%llx] may neither be read nor written, which tables of %s cannot say",
			      (unsigned long long)start, (unsigned long long)last, domain->unit->name);
	if (domain->forces_write && !(area->permission & ISOLDE_PT_WRITE))
		return refuse(why, AREA_READ_ONLY,
			      "[0x%llx, 0x%llx] is read-only, which a nesting parent of %s cannot have",
			      (unsigned long long)start, (unsigned long long)last, domain->unit->name);
	return 0;
}

int domain_fill(struct domain *domain, const struct area *area, struct why *why)
{
	struct isolde_pt_gather gather = ISOLDE_PT_GATHER_INIT;
	int err = refuse_area(domain, area, why);

	if (err < 0)
		return err;
	/* Leaves of one page: dirty pages are then known one by one. */
	err = fill(domain->pt, area, domain->space->small_leaves ? smallest_leaf(domain) : area_size(area), &gather);
	/* A device may have used the beginning of what is taken back. */
	if (err < 0)
		invalidate(domain, area->node.start, area->node.last);
	drain(domain, &gather);
	/* No area is in the way, and it fits: what can be there is registers, which outlive their device's stay. */
	assert(err == 0 || err == -ENOMEM || err == -EADDRINUSE);
	if (err == -EADDRINUSE)
		return refuse(why, IOVA_MAPPED,
			      "[0x%llx, 0x%llx] overlaps an interrupt controller's page in the domain",
			      (unsigned long long)area->node.start, (unsigned long long)area->node.last);
	if (err < 0)
		return refuse(why, OUT_OF_MEMORY, "no memory for the tables of [0x%llx, 0x%llx]",
			      (unsigned long long)area->node.start, (unsigned long long)area->node.last);
	return 0;
}

void domain_clear(struct domain *domain, const struct area *area)
{
	struct isolde_pt_gather gather = ISOLDE_PT_GATHER_INIT;
	u64 removed = 0;

	isolde_pt_unmap(domain->pt, area->node.start, area_size(area), &gather, &removed);
	assert(removed == area_size(area));
	(void)removed;
	invalidate(domain, area->node.start, area->node.last);
	drain(domain, &gather);
}

int domain_map_registers(struct domain *domain, u64 iova, u64 physical, struct why *why)
{
	int err = refuse_outside(domain, iova, iova + PAGE_SIZE - 1, why);

	if (err < 0)
		return err;
	err = isolde_pt_map(domain->pt, iova, physical, PAGE_SIZE, ISOLDE_PT_READ | ISOLDE_PT_WRITE, NULL);
	assert(err != -EINVAL);
	if (err == -EADDRINUSE)
		return refuse(why, IOVA_MAPPED, "0x%llx is mapped, and was to be an interrupt controller's page",
			      (unsigned long long)iova);
	if (err == -ERANGE)
		return refuse(why, REGISTERS_BEYOND, "the page at physical address 0x%llx is beyond what %s can name",
			      (unsigned long long)physical, domain->driver->name);
	return err < 0 ? refuse(why, OUT_OF_MEMORY, "no memory for the tables of the page at 0x%llx",
				(unsigned long long)iova)
		       : 0;
}

/* ---- dirty pages ---- */

int domain_set_dirty(struct domain *domain, bool on, struct why *why)
{
	char text[DOMAIN_TEXT];

	if (!(domain->abilities & DOMAIN_FOR_DIRTY))
		return refuse(why, DIRTY_INCAPABLE, "%s was not made for dirty tracking",
			      domain_describe(domain, text));
	domain_stop(domain);
	isolde_pt_set_dirty(domain->pt, on);
	domain->tracks_dirty = on;
	/* A translation that is known already would mark nothing. */
	forget_all(domain);
	domain_start(domain);
	return 0;
}

/*
 * Bits are cleared first, IOTLBs after that: a write in between is part of what was told, for the stop waits until its
 * bytes are there.
 */
void domain_read_dirty(struct domain *domain, u64 start, u64 last, bool clear, isolde_pt_dirty_visit *visit,
		       void *context)
{
	struct isolde_pt_gather gather = ISOLDE_PT_GATHER_INIT;
	u64 page = smallest_leaf(domain), size;

	if (!domain->tracks_dirty || start > domain->last_iova)
		return;
	start = align_down(start, page);
	last = min_u64(last | (page - 1), domain->last_iova);
	while (start <= last) {
		/* The size of all 64 bits is no number. */
		size = min_u64(last - start, BIT(63) - 1) + 1;
		isolde_pt_visit_dirty(domain->pt, start, size, clear ? 0 : ISOLDE_PT_NO_CLEAR, visit, context, &gather);
		if (last - start < size)
			break;
		start += size;
	}
	if (gather.start <= gather.last)
		invalidate(domain, gather.start, gather.last);
}

/* ---- areas of a domain of its own ---- */

/* One map call of a domain that has its own space. */
struct mapped {
	struct area area;
	struct extent extent;
	struct charge charge;
};

static int refuse_range(const struct domain *domain, u64 iova, u64 size, struct why *why)
{
	u64 last = iova + size - 1;
	const struct itree_node *taken;
	int err = refuse_outside(domain, iova, last, why);

	if (err < 0)
		return err;
	taken = itree_first(&domain->own_space.areas, iova, last);
	if (taken)
		return refuse(why, IOVA_MAPPED, "[0x%llx, 0x%llx] overlaps the mapping [0x%llx, 0x%llx]",
			      (unsigned long long)iova, (unsigned long long)last, (unsigned long long)taken->start,
			      (unsigned long long)taken->last);
	return 0;
}

static void mapped_free(struct mapped *mapped)
{
	extent_fini(&mapped->extent);
	charge_fini(&mapped->charge);
	free(mapped);
}

static int mapped_new(const struct domain *domain, u64 iova, u64 size, struct client *client, u64 address, u64 charged,
		      struct mapped **ret, struct why *why)
{
	struct mapped *mapped = alloc_new(struct mapped, why);
	int err = mapped ? 0 : -why->err;

	if (err == 0)
		err = extent_init(&mapped->extent, &domain->iommu->frames, iova, size, why);
	if (err == 0 && charged)
		err = charge_init(&mapped->charge, client, charged, why);
	if (err < 0) {
		free(mapped);
		return err;
	}
	extent_set_client(&mapped->extent, client, address);
	mapped->area.node.start = iova;
	mapped->area.node.last = iova + size - 1;
	mapped->area.extent = &mapped->extent;
	*ret = mapped;
	return 0;
}

static void insert_mapped(struct domain *domain, struct mapped *mapped)
{
	space_stop(domain->space);
	iommu_insert_frames(domain->iommu, &mapped->extent);
	space_insert(domain->space, &mapped->area);
	space_start(domain->space);
}

static void remove_mapped(struct domain *domain, struct mapped *mapped)
{
	space_stop(domain->space);
	space_remove(domain->space, &mapped->area);
	iommu_remove_frames(domain->iommu, &mapped->extent);
	space_start(domain->space);
	mapped_free(mapped);
}

int domain_map(struct domain *domain, u64 iova, u64 size, struct client *client, u64 address, unsigned permission,
	       u64 charged, struct area **ret, struct why *why)
{
	struct mapped *mapped = NULL;
	int err;

	assert(domain->space == &domain->own_space);
	err = refuse_range(domain, iova, size, why);
	if (err == 0)
		err = mapped_new(domain, iova, size, client, address, charged, &mapped, why);
	if (err < 0)
		return err;
	mapped->area.permission = permission;
	insert_mapped(domain, mapped);
	err = domain_fill(domain, &mapped->area, why);
	if (err < 0) {
		remove_mapped(domain, mapped);
		return err;
	}
	*ret = &mapped->area;
	return 0;
}

void domain_unmap(struct domain *domain, struct area *area)
{
	space_stop(domain->space);
	domain_clear(domain, area);
	remove_mapped(domain, container_of(area, struct mapped, area));
	space_start(domain->space);
}

/* ---- invariants ---- */

static void check_area(const struct domain *domain, const struct area *area)
{
	bool withdrawn = area->permission & AREA_WITHDRAWN;
	u64 physical = withdrawn ? 0 : area_physical(area);

	assert(area->node.start >= domain->first_iova && area->node.last <= domain->last_iova);
	assert(isolde_pt_iova_to_phys(domain->pt, area->node.start) == physical);
	assert(isolde_pt_iova_to_phys(domain->pt, area->node.last) == (withdrawn ? 0 : physical + area_size(area) - 1));
	(void)physical;
}

void domain_check(const struct domain *domain)
{
	const struct itree_node *node;

	assert((domain->pt != NULL) == (domain->kind == DOMAIN_PAGING));
	assert((domain->process != NULL) == (domain->kind == DOMAIN_SVA));
	assert(list_linked(&domain->of_space) == (domain->kind == DOMAIN_PAGING));
	assert(domain->space == &domain->own_space || domain->own_space.areas.count == 0);
	assert(domain->pt || domain->space->areas.count == 0);
	assert((domain->parent != NULL) == (domain->kind == DOMAIN_NESTED));
	assert(!domain->nested || domain->kind == DOMAIN_NESTED);
	if (!domain->pt)
		return;
	isolde_pt_check(domain->pt);
	space_check(domain->space);
	itree_for_each(node, &domain->space->areas, 0, UINT64_MAX)
		check_area(domain, container_of(node, struct area, node));
}
