/* SPDX-License-Identifier: MIT */
/*
 * Two stages: stage 1 is walked as ever, but the memory its entries are read from is what stage 2 maps their addresses
 * to, entry by entry, since the pages of stage 2 may be smaller than a table of stage 1.
 */
#include "pt/format.h"

struct nest {
	const struct isolde_pt *stage2;
	const struct isolde_pt_memory *memory;
	enum isolde_pt_fault fault; /* of stage 2, when it is why a table was not found */
	struct isolde_pt_walk walk; /* the last of stage 2 */
	entry_t copy;		    /* of the entry that was read last, where there is no pointer to it */
	unsigned changes;
};

/* A guest that changes its entries all the time shall not keep the walk for ever. */
enum { CHANGES_MAX = 1024 };

static entry_t *entry_through_stage2(const struct isolde_pt *pt, u64 address, bool write)
{
	struct nest *nest = pt->locate_context;
	unsigned access = ISOLDE_PT_READ | (write ? ISOLDE_PT_WRITE : 0u);
	const struct isolde_pt_memory *memory = nest->memory;
	u64 copy;

	nest->fault = isolde_pt_walk(nest->stage2, address, access, &nest->walk);
	if (nest->fault != ISOLDE_PT_OK)
		return NULL;
	if (memory && memory->load) {
		if (!memory->load(memory->context, address, nest->walk.physical, &copy))
			return NULL;
		atomic_store_explicit(&nest->copy, copy, memory_order_relaxed);
		return &nest->copy;
	}
	if (!memory || !memory->table)
		return (entry_t *)(uintptr_t)nest->walk.physical;
	return memory->table(memory->context, nest->walk.physical, sizeof(entry_t));
}

static bool change_through_stage2(const struct isolde_pt *pt, u64 address, u64 expected, u64 wanted,
				  enum isolde_pt_fault *ret)
{
	struct nest *nest = pt->locate_context;
	const struct isolde_pt_memory *memory = nest->memory;
	bool done = false;

	nest->fault = isolde_pt_walk(nest->stage2, address, ISOLDE_PT_READ | ISOLDE_PT_WRITE, &nest->walk);
	if (nest->fault == ISOLDE_PT_OK && nest->changes++ < CHANGES_MAX &&
	    memory->exchange(memory->context, address, nest->walk.physical, expected, wanted, &done))
		return done;
	*ret = ISOLDE_PT_TABLE;
	return true;
}

/* What a format without permission to execute may read, it may execute. */
static unsigned granted_by(const struct isolde_pt *pt, unsigned permission)
{
	return permission & ISOLDE_PT_READ && !(pt->flags & ISOLDE_PT_EXECUTE) ? permission | ISOLDE_PT_EXECUTE
									       : permission;
}

static enum isolde_pt_fault fault_in(unsigned stage, enum isolde_pt_fault fault, const struct isolde_pt_walk *walk,
				     struct isolde_pt_walk *ret)
{
	*ret = *walk;
	ret->stage = stage;
	return fault;
}

enum isolde_pt_fault isolde_pt_walk_nested(const struct isolde_pt *stage1, const struct isolde_pt *stage2,
					   const struct isolde_pt_memory *memory, uint64_t iova, unsigned access,
					   struct isolde_pt_walk *ret)
{
	struct nest nest = {.stage2 = stage2, .memory = memory};
	/* All of stage 1 that a walk looks at, with another way to memory. */
	struct isolde_pt first = {
		.top = atomic_load_explicit(&stage1->top, memory_order_acquire),
		.kind = stage1->kind,
		.features = stage1->features,
		.root_mask = stage1->root_mask,
		.first = stage1->first,
		.span = stage1->span,
		.beyond = stage1->beyond,
		.leaf_levels = stage1->leaf_levels,
		.memory.big_endian = stage1->memory.big_endian,
		.locate = entry_through_stage2,
		.locate_context = &nest,
		.change = memory && memory->load ? change_through_stage2 : NULL,
	};
	struct isolde_pt_walk walk;
	enum isolde_pt_fault fault = isolde_pt_walk(&first, iova, access, &walk);

	if (fault == ISOLDE_PT_TABLE && nest.fault != ISOLDE_PT_OK)
		return fault_in(2, nest.fault, &nest.walk, ret);
	if (fault != ISOLDE_PT_OK)
		return fault_in(1, fault, &walk, ret);
	fault = isolde_pt_walk(stage2, walk.physical, access, &nest.walk);
	if (fault != ISOLDE_PT_OK)
		return fault_in(2, fault, &nest.walk, ret);
	*ret = walk;
	ret->physical = nest.walk.physical;
	ret->leaf_size = min_u64(walk.leaf_size, nest.walk.leaf_size);
	ret->permission = granted_by(stage1, walk.permission) & granted_by(stage2, nest.walk.permission);
	ret->address = nest.walk.address;
	return ISOLDE_PT_OK;
}
