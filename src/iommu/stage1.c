/* SPDX-License-Identifier: MIT */
/*
 * The device's side of nested domains. Entries of the user's tables are read one by one where stage 2 says, in memory
 * that may be a program's own or a file's (mem/word.h); accessed and dirty bits are written there as hardware does.
 */
#include "iommu/stage1.h"

#include <stdlib.h>

#include "mem/word.h"

/* ---- memory at the parent's IOVAs ---- */

struct place {
	const struct extent *extent;
	u64 offset;
};

static bool find_place(const struct domain *parent, u64 address, u64 physical, struct place *ret)
{
	const struct area *area = domain_area_at(parent, address);

	if (!area || physical - area_physical(area) >= area_size(area))
		return false;
	*ret = (struct place){area->extent, physical - extent_physical(area->extent)};
	return true;
}

static bool load_entry(void *context, uint64_t input, uint64_t address, uint64_t *ret)
{
	struct place place;

	return find_place(context, input, address, &place) && extent_load(place.extent, place.offset, ret);
}

static bool exchange_entry(void *context, uint64_t input, uint64_t address, uint64_t expected, uint64_t wanted,
			   bool *ret_done)
{
	struct place place;

	return find_place(context, input, address, &place) &&
	       extent_exchange(place.extent, place.offset, expected, wanted, ret_done);
}

static bool read_word(struct stage1_reader *reader, u64 address, u64 *ret)
{
	const struct domain *parent = reader->context->domain->parent;
	struct isolde_pt_walk walk;

	if (address <= parent->last_iova &&
	    isolde_pt_walk(parent->pt, address, ISOLDE_PT_READ, &walk) == ISOLDE_PT_OK) {
		reader->reason = DMA_FAULT_MEMORY + 1;
		return load_entry((void *)(uintptr_t)parent, address, walk.physical, ret);
	}
	reader->reason = DMA_FAULT_SECOND_STAGE + 1;
	reader->context->port->second = address;
	return false;
}

bool nested_read(struct stage1_reader *reader, u64 address, u64 *ret, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!read_word(reader, address + i * sizeof(u64), &ret[i]))
			return false;
	return true;
}

/* ---- what is known of the user's tables ---- */

static void stage1_free(struct stage1 *stage1)
{
	if (!stage1)
		return;
	isolde_pt_free(stage1->pt[0]);
	isolde_pt_free(stage1->pt[1]);
	free(stage1);
}

static int find(struct dma_context *context, struct stage1_setup *ret)
{
	const struct nested_setup *nested = context->domain->nested;
	struct stage1_reader reader = {.context = context};

	if (nested->find)
		return nested->find(nested, &reader, context->pasid, ret);
	*ret = nested->stage1;
	return 0;
}

/* A table that cannot be where the user says, or that no hardware would take. */
static int adopt(struct stage1 *stage1)
{
	for (unsigned i = 0; i < 2; i++) {
		struct isolde_pt_config config = stage1->setup.tables[i].config;

		if (i ? !stage1->setup.upper : stage1->setup.no_lower)
			continue;
		config.size = sizeof(config);
		if (isolde_pt_adopt(&config, stage1->setup.tables[i].root, &stage1->pt[i]) < 0)
			return DMA_FAULT_CONTEXT + 1;
	}
	return 0;
}

/* What is wrong is not remembered, so that a user who mends it need not say so. */
static int learn(struct dma_context *context)
{
	struct stage1 *stage1 = calloc(1, sizeof(*stage1));
	int reason = stage1 ? find(context, &stage1->setup) : DMA_FAULT_CONTEXT + 1;

	if (!reason && stage1->setup.kind == STAGE1_TABLES)
		reason = adopt(stage1);
	if (reason) {
		stage1_free(stage1);
		return reason;
	}
	context->stage1 = stage1;
	return 0;
}

static void drop_guest(struct dma_context *guest)
{
	list_remove(&guest->of_port);
	guest->port->nguests--;
	stage1_free(guest->stage1);
	free(guest);
}

static void forget_tables(struct dma_context *context)
{
	stage1_free(context->stage1);
	context->stage1 = NULL;
}

void stage1_forget_pasid(struct dma_context *context, u32 pasid)
{
	struct dma_context *guest, *following;

	if (pasid == ANY_PASID || pasid == context->pasid)
		forget_tables(context);
	if (context != &context->port->own)
		return;
	list_for_each_safe(guest, following, &context->port->guests, of_port)
		if (pasid == ANY_PASID || pasid == guest->pasid)
			drop_guest(guest);
}

void stage1_forget(struct dma_context *context)
{
	stage1_forget_pasid(context, ANY_PASID);
}

/* ---- PASIDs of the user's own ---- */

/* More than a device uses at a time; a user could name them all. */
enum { GUESTS_MAX = 64 };

static void make_room(struct dma_port *port)
{
	struct dma_context *oldest = list_first(&port->guests, struct dma_context, of_port);

	dma_forget_range(oldest, oldest->pasid, ANY_ASID, 0, UINT64_MAX);
	drop_guest(oldest);
}

struct dma_context *stage1_guest(struct dma_port *port, u32 pasid)
{
	const struct domain *domain = port->own.domain;
	struct dma_context *guest;

	if (!domain || !domain->nested || !domain->nested->find)
		return NULL;
	list_for_each(guest, &port->guests, of_port)
		if (guest->pasid == pasid)
			return guest;
	if (port->nguests == GUESTS_MAX)
		make_room(port);
	guest = calloc(1, sizeof(*guest));
	if (!guest)
		return NULL;
	*guest = (struct dma_context){.port = port, .pasid = pasid, .domain = port->own.domain, .guest = true};
	list_append(&port->guests, &guest->of_port);
	port->nguests++;
	return guest;
}

/* ---- the walk ---- */

/* The table and the address in it; the top of an address without sign is there as its upper half. */
static int choose(const struct stage1 *stage1, u64 iova, const struct isolde_pt **ret, u64 *ret_address)
{
	unsigned bits = stage1->setup.unsigned_bits;

	*ret_address = iova;
	if (bits && iova >> bits)
		return DMA_FAULT_ADDRESS + 1;
	if (bits && iova >> (bits - 1))
		*ret_address = iova | ~MASK(bits - 1, 0);
	*ret = stage1->pt[stage1->setup.upper && iova >> 63];
	return *ret ? 0 : DMA_FAULT_NOT_PRESENT + 1;
}

static int walk_tables(struct dma_context *context, u64 iova, unsigned permission, struct isolde_pt_walk *ret)
{
	const struct domain *parent = context->domain->parent;
	const struct isolde_pt_memory memory = {
		.load = load_entry,
		.exchange = exchange_entry,
		.context = (void *)(uintptr_t)parent,
	};
	const struct isolde_pt *pt;
	enum isolde_pt_fault fault;
	u64 address;
	int reason = choose(context->stage1, iova, &pt, &address);

	if (reason)
		return reason;
	fault = isolde_pt_walk_nested(pt, parent->pt, &memory, address, permission, ret);
	if (fault == ISOLDE_PT_OK)
		return 0;
	if (ret->stage != 2)
		/* Where stage 2 leads to memory, only its program can have taken it away. */
		return fault == ISOLDE_PT_TABLE ? DMA_FAULT_MEMORY + 1 : dma_reason(fault);
	context->port->second = ret->address;
	return DMA_FAULT_SECOND_STAGE + 1;
}

static int walk_bypass(struct dma_context *context, u64 iova, unsigned permission, struct isolde_pt_walk *ret)
{
	const struct domain *parent = context->domain->parent;

	if (iova <= parent->last_iova && isolde_pt_walk(parent->pt, iova, permission, ret) == ISOLDE_PT_OK)
		return 0;
	context->port->second = iova;
	return DMA_FAULT_SECOND_STAGE + 1;
}

int stage1_walk(struct dma_context *context, u64 iova, unsigned permission, struct tlb_entry *slot)
{
	const struct domain *parent = context->domain->parent;
	struct isolde_pt_walk found;
	int reason;

	dma_count(&context->port->walks, 1);
	if (context->domain->nested->uncached)
		forget_tables(context);
	reason = context->stage1 ? 0 : learn(context);
	if (reason)
		return reason;
	if (context->stage1->setup.kind == STAGE1_ABORT)
		return DMA_FAULT_BLOCKED + 1;
	reason = context->stage1->setup.kind == STAGE1_BYPASS ? walk_bypass(context, iova, permission, &found)
							      : walk_tables(context, iova, permission, &found);
	if (reason)
		return reason;
	/* The first write has to walk: it marks leaves as dirty, the user's and the parent's. */
	found.permission &= permission | ~(unsigned)ISOLDE_PT_WRITE;
	return dma_fill_slot(context, iova, &found, domain_area_at(parent, found.address), slot);
}
