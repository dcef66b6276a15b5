/* SPDX-License-Identifier: MIT */
/*
 * The algorithms for one format, whose fmt_NAME.h was included before (see pt/format.h), and its entry points. Each
 * format's source includes this once and so gets its own copy, made of
 *
 *	template_base.h		tables, indices, entries in memory
 *	template_reserve.h	tables for what is planned
 *	template_map.h		map: plan, perform
 *	template_unmap.h	unmap, trim, free, check
 *	template_walk.h		walk, iova_to_phys
 *	template_dirty.h	dirty tracking
 *
 * `plain` is a constant in every function that takes it: true for entries that hold pointers in the host's byte order;
 * the other copy swaps bytes and asks memory.table() for every table.
 */
#include "pt/template_base.h"
#include "pt/template_dirty.h"
#include "pt/template_map.h"
#include "pt/template_unmap.h"
#include "pt/template_walk.h"

#define PT_PASTE_(a, b, c) a##b##c
#define PT_PASTE(a, b, c)  PT_PASTE_(a, b, c)
#define PT_PUBLIC(verb)	   PT_PASTE(isolde_pt_, FORMAT_NAME, verb)

int PT_PUBLIC(_map)(struct isolde_pt *pt, uint64_t iova, uint64_t physical, uint64_t size, unsigned flags,
		    struct isolde_pt_gather *gather)
{
	assert(pt->kind == PT_PASTE(PT_, FORMAT_NAME, ));
	return map(pt, iova, physical, size, flags, gather);
}

int PT_PUBLIC(_unmap)(struct isolde_pt *pt, uint64_t iova, uint64_t size, struct isolde_pt_gather *gather,
		      uint64_t *ret_removed)
{
	assert(pt->kind == PT_PASTE(PT_, FORMAT_NAME, ));
	return unmap(pt, iova, size, gather, ret_removed);
}

uint64_t PT_PUBLIC(_iova_to_phys)(const struct isolde_pt *pt, uint64_t iova)
{
	assert(pt->kind == PT_PASTE(PT_, FORMAT_NAME, ));
	return iova_to_phys(pt, iova);
}

enum isolde_pt_fault PT_PUBLIC(_walk)(const struct isolde_pt *pt, uint64_t iova, unsigned access,
				      struct isolde_pt_walk *ret)
{
	assert(pt->kind == PT_PASTE(PT_, FORMAT_NAME, ));
	return walk(pt, iova, access, ret);
}

const struct pt_ops PT_PASTE(pt_, FORMAT_NAME, _ops) = {
	.shape = &format_shape,
	.leaf_bits = leaf_bits,
	.table_fits = table_fits,
	.free_tables = free_tables,
	.trim = trim,
	.check = check,
	.clean = clean,
	.read_dirty = read_dirty,
};
