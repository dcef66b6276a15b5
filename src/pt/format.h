/* SPDX-License-Identifier: MIT */
/*
 * What a format owes, and what the engine keeps per table.
 *
 * A format is a header fmt_NAME.h that defines the names below, and a source NAME.c that includes it, then
 * pt/template.h. The template knows no format, the format no algorithm. All of it is inlined: mapping calls no function
 * pointer, and every constant is folded. An entry that is not present is zero in the tables we write.
 *
 *	FORMAT_NAME		as in PT_KINDS
 *	FORMAT_GRANULE_SHIFT	log2 of the smallest page, which is also the size of a table
 *	FORMAT_RUNS		true when leaves of several entries ("runs") exist; such a leaf has 2^run entries
 *	FORMAT_RUN_STEPS	the entries of a run hold addresses of their own; else they are equal
 *	FORMAT_GROWS		levels may be added on top
 *	FORMAT_ACCESS_FIRST	a missing accessed bit is told before a missing permission
 *	FORMAT_ALWAYS		a bit that every present entry has, after entry_fold()
 *	entry_fold()		of a u64, or of a vector of them
 *	entry_present()		false for what hardware treats as "nothing here"; zero always is
 *	entry_is_table()	of a present entry that entry_fault() finds good
 *	entry_fault()		of a present entry: ISOLDE_PT_OK, or what hardware would refuse it for
 *	entry_table()		the address of the table below
 *	entry_next_level()	of that table
 *	table_entry()		makes an entry for a table below; it restricts nothing
 *	leaf_bits()		flags, of those the shape has, as bits of an entry without address
 *	leaf_entry()		makes the first entry of a leaf
 *	leaf_step()		the difference between the entries of two neighbours of this level
 *	leaf_run()		0, or log2 of the entries a leaf has
 *	leaf_reach()		the bytes for which the address in this one entry counts
 *	leaf_physical()		the start of those
 *	FORMAT_GRANTS_UNSAID	what walk_grants() may have that the format cannot say: granted, but not reported
 *	walk_through()		joins the permissions of a table entry to those above; begins with WALK_BEGIN
 *	walk_grants()		what this kind of access may do, given those and the leaf
 *	leaf_refuses()		the accessed or dirty bit is missing and hardware may not set it
 *	leaf_used(), table_used()	the entry as hardware leaves it after an access
 *	leaf_dirty(), leaf_cleaned()	was it written; the entry as if it had not been
 */
#ifndef PT_FORMAT_H
#define PT_FORMAT_H

#include <stdatomic.h>

#include "base/bits.h"
#include "isolde/pt.h"

#define always_inline inline __attribute__((always_inline))
#define likely(x)     __builtin_expect(!!(x), 1)
#define unlikely(x)   __builtin_expect(!!(x), 0)

#define PT_LEVELS_MAX 6
#define PT_FLAGS_N    128 /* combinations of ISOLDE_PT_READ ... ISOLDE_PT_DEVICE */

/* Every format with every granule: what has code of its own. */
#define PT_KINDS(X)                                                                                                    \
	X(vtdss)                                                                                                       \
	X(amdv1)                                                                                                       \
	X(amdv1_2k)                                                                                                    \
	X(x86_64)                                                                                                      \
	X(arm64s1_4k)                                                                                                  \
	X(arm64s1_16k)                                                                                                 \
	X(arm64s1_64k)                                                                                                 \
	X(arm64s2_4k)                                                                                                  \
	X(arm64s2_16k)                                                                                                 \
	X(arm64s2_64k)                                                                                                 \
	X(riscv_s1)                                                                                                    \
	X(riscv_s2)

#define PT_KIND_ENUM(name) PT_##name,
enum pt_kind { PT_KINDS(PT_KIND_ENUM) PT_KINDS_N };
#undef PT_KIND_ENUM

typedef _Atomic u64 entry_t;

/* Who is told of dirty leaves: a caller's function, or else a bitmap of pages from the range's start on. */
struct dirty_sink {
	isolde_pt_dirty_visit *visit;
	void *context;
	u64 *bitmap;
	unsigned page_shift;
};

/* What is not on the map path. */
struct pt_ops {
	const struct pt_shape *shape;
	u64 (*leaf_bits)(const struct isolde_pt *pt, unsigned flags);
	bool (*table_fits)(const struct isolde_pt *pt, u64 address);
	void (*free_tables)(struct isolde_pt *pt);
	size_t (*trim)(struct isolde_pt *pt, u64 start, u64 last, struct isolde_pt_gather *gather);
	void (*check)(const struct isolde_pt *pt);
	void (*clean)(struct isolde_pt *pt); /* all dirty bits */
	void (*read_dirty)(struct isolde_pt *pt, u64 start, u64 last, bool clear, const struct dirty_sink *sink,
			   struct isolde_pt_gather *gather);
};

/* How a root may look. */
enum pt_root {
	ROOT_TABLE,    /* a table like any other; the width may be anything up to what the levels translate */
	ROOT_WHOLE,    /* and the width is just that */
	ROOT_WIDE,     /* four tables, the width is two bits more */
	ROOT_EXACT,    /* as many entries as the width needs */
	ROOT_ADJOINED, /* the same, and up to 16 tables in place of a level */
};

/* What a table of this kind can be; numbers for create.c. */
struct pt_shape {
	enum pt_kind kind;
	unsigned granule_shift;
	unsigned levels_min, levels_max;
	unsigned input_default, input_max, input_min;
	unsigned output_default, output_max;
	enum pt_root root;
	bool sign;		/* half of the root's entries are for the upper half */
	bool upper;		/* has an upper half */
	unsigned features;	/* that it may have */
	unsigned flags;		/* for map */
	unsigned typed_flags;	/* only with ISOLDE_PT_MEMORY_TYPES */
	u64 leaves;		/* bit n: leaves of 2^n bytes, of one entry */
	u64 runs;		/* the same, of several entries */
	u64 address;		/* the bits of an entry that hold one */
	unsigned address_shift; /* how far right they were shifted */
	unsigned address_up;	/* or how far left */
};

/* The default allocator of tables: memory.c. */
struct pt_pool {
	atomic_flag lock;
	void *free;		 /* chained by their first words */
	struct pt_chunk *chunks; /* owned */
	size_t handed_out;
};

struct isolde_pt {
	_Atomic u64 top; /* the root's address, which is aligned to 64, with the number of levels */
	bool plain;	 /* entries hold pointers, in the host's byte order: the path without calls */
	enum pt_kind kind;
	u32 features;
	u32 flags;
	u64 root_mask;	 /* of an index into the root */
	u64 first, span; /* IOVAs are first ... first + span, modulo 2^64 */
	u64 output_last;
	u64 page_sizes;
	u64 leaf_bits[PT_FLAGS_N]; /* by flags of a map; 0: refused */
	u64 beyond;		   /* bits of an entry's address field that output_bits do not reach */
	unsigned leaf_levels;	   /* bit n: page_sizes has what one entry of level n maps */
	_Atomic bool tracking;
	bool adopted;
	const struct pt_ops *ops;
	size_t root_size;
	size_t granule;
	_Atomic size_t bytes; /* of tables in use */
	struct isolde_pt_memory memory;
	/* The entry at an address, NULL where there is none: memory.table(), or stage 2 and then that (nested.c). */
	entry_t *(*locate)(const struct isolde_pt *pt, u64 address, bool write);
	void *locate_context;
	/*
	 * Changes an entry, as it is stored, that locate() gave a copy of; false: it has changed meanwhile. NULL:
	 * locate() gives the entry itself.
	 */
	bool (*change)(const struct isolde_pt *pt, u64 address, u64 expected, u64 wanted, enum isolde_pt_fault *ret);
	struct pt_pool pool;
};

/* memory.c. A table's memory is not zeroed. Its address is aligned as its size, at least to 64. */
void *pt_table_new(struct isolde_pt *pt, size_t size);
void pt_table_free(struct isolde_pt *pt, void *table, size_t size);
void pt_pool_fini(struct isolde_pt *pt);
u64 pt_table_address(const struct isolde_pt *pt, const void *table);
void *pt_table_at(const struct isolde_pt *pt, u64 address, size_t size);
entry_t *pt_locate(const struct isolde_pt *pt, u64 address, bool write);
entry_t *pt_locate_adopted(const struct isolde_pt *pt, u64 address, bool write);

/* Adds a table that nobody can reach any more to gather, or frees it. */
void pt_table_discard(struct isolde_pt *pt, void *table, struct isolde_pt_gather *gather);

static inline unsigned pt_top_levels(u64 top)
{
	return top & 63;
}

static inline u64 pt_top_root(u64 top)
{
	return top & ~63ull;
}

static inline bool pt_beyond(const struct isolde_pt *pt, u64 iova, u64 size)
{
	u64 offset = iova - pt->first;

	return offset > pt->span || size - 1 > pt->span - offset || range_overflows(iova, size);
}

static inline void pt_gather_add(struct isolde_pt_gather *gather, u64 start, u64 last, u64 leaf)
{
	gather->start = min_u64(gather->start, start);
	gather->last = max_u64(gather->last, last);
	if (leaf && (!gather->smallest_leaf || leaf < gather->smallest_leaf))
		gather->smallest_leaf = leaf;
}

/* Of no use to those who choose a format for its speed, so isolde/pt.h does not have it. */
ISOLDE_PT_DECLARE(amdv1_2k);

#define PT_OPS_DECLARE(name) extern const struct pt_ops pt_##name##_ops;
PT_KINDS(PT_OPS_DECLARE)
#undef PT_OPS_DECLARE

#endif
