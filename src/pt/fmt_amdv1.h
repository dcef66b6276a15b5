/* SPDX-License-Identifier: MIT */
/*
 * AMD I/O page tables, version 1: one to six levels, leaves of any power of two (AMD 48882 section 2.2.3).
 *
 * What the manual calls level n is level n - 1 here. Permissions of all levels are joined. There is no permission to
 * execute: an execute request needs read.
 *
 * A source that defines FORMAT_NAME and FORMAT_GRANULE_SHIFT 11 first gets tables and pages of 2 KiB, which no hardware
 * has, but the mock IOMMU of Linux's selftests: entries are the same, with addresses moved up by the missing bit.
 */
#ifndef PT_FMT_AMDV1_H
#define PT_FMT_AMDV1_H

#include "pt/format.h"

#ifndef FORMAT_NAME
#define FORMAT_NAME	     amdv1
#define FORMAT_KIND	     PT_amdv1
#define FORMAT_GRANULE_SHIFT 12
#endif
#define FORMAT_RUNS	     true
#define FORMAT_RUN_STEPS     false
#define FORMAT_GROWS	     true
#define FORMAT_ALWAYS	     AMDV1_PRESENT
#define FORMAT_GRANTS_UNSAID ISOLDE_PT_EXECUTE
#define FORMAT_ACCESS_FIRST  false
#define WALK_BEGIN	     (AMDV1_READ | AMDV1_WRITE)

/* AMD 48882 section 2.2.3, figures "I/O Page Directory Entry (PDE)" and "I/O Page Translation Entry (PTE), PR=1" */
#define AMDV1_PRESENT	BIT(0)		/* PR */
#define AMDV1_ACCESSED	BIT(5)		/* with HAD, else ignored; in tables, too */
#define AMDV1_DIRTY	BIT(6)		/* of leaves */
#define AMDV1_NEXT(n)	((u64)(n) << 9) /* NextLevel, bits 11:9: 0 and 7 are leaves */
#define AMDV1_NEXT_SIZE 7u		/* a leaf whose size is in its address */
#define AMDV1_ADDRESS	MASK(51, 12)
#define AMDV1_COHERENT	BIT(60) /* FC of leaves: snoop, whatever the request says */
#define AMDV1_READ	BIT(61) /* IR */
#define AMDV1_WRITE	BIT(62) /* IW */
/* Bits 4:1, 8:7 and 63 are ignored; bits 58:52 are reserved, in tables 60:52; bit 59 (U) of leaves is for ATS. */
#define AMDV1_LEAF_RESERVED  MASK(58, 52)
#define AMDV1_TABLE_RESERVED MASK(60, 52)

enum {
	AMDV1_INDEX_BITS = FORMAT_GRANULE_SHIFT - 3,
	AMDV1_UP = 12 - FORMAT_GRANULE_SHIFT, /* how far left of its place an entry has an address */
	AMDV1_INPUT_BITS = FORMAT_GRANULE_SHIFT == 12 ? 64 : FORMAT_GRANULE_SHIFT + 6 * AMDV1_INDEX_BITS,
};

static const struct pt_shape format_shape = {
	.kind = FORMAT_KIND,
	.granule_shift = FORMAT_GRANULE_SHIFT,
	.levels_min = 1, /* DTE.Mode */
	.levels_max = 6,
	.input_default = AMDV1_INPUT_BITS,
	.input_min = FORMAT_GRANULE_SHIFT,
	.input_max = AMDV1_INPUT_BITS,
	.output_default = 52 - AMDV1_UP,
	.output_max = 52 - AMDV1_UP,
	.root = ROOT_TABLE,
	.features = ISOLDE_PT_FORCE_SNOOP | ISOLDE_PT_CONTIGUOUS | ISOLDE_PT_DIRTY | ISOLDE_PT_GROW,
	.flags = ISOLDE_PT_READ | ISOLDE_PT_WRITE,
	.address = AMDV1_ADDRESS,
	.address_up = AMDV1_UP,
	.leaves = BIT(FORMAT_GRANULE_SHIFT) | BIT(FORMAT_GRANULE_SHIFT + AMDV1_INDEX_BITS) |
		  BIT(FORMAT_GRANULE_SHIFT + 2 * AMDV1_INDEX_BITS) | BIT(FORMAT_GRANULE_SHIFT + 3 * AMDV1_INDEX_BITS) |
		  BIT(FORMAT_GRANULE_SHIFT + 4 * AMDV1_INDEX_BITS),
	.runs = MASK(51 - AMDV1_UP, FORMAT_GRANULE_SHIFT),
};

/* Log2 of what one entry of a level maps, as its address field has it. */
static inline unsigned amdv1_shift(unsigned level)
{
	return 12 + AMDV1_INDEX_BITS * level;
}

#define entry_fold(entry) (entry)

static inline unsigned amdv1_next(u64 entry)
{
	return entry >> 9 & 7;
}

/* Table 14 of the manual: the lowest zero from bit 12 on is half of the size. */
static inline unsigned amdv1_size_shift(u64 entry)
{
	return (unsigned)__builtin_ctzll(~(entry >> 12)) + 13;
}

static inline bool entry_present(u64 entry, unsigned level)
{
	return entry & AMDV1_PRESENT;
}

static inline bool entry_is_table(u64 entry, unsigned level)
{
	return amdv1_next(entry) != 0 && amdv1_next(entry) != AMDV1_NEXT_SIZE;
}

/* A size in the address must be above that of the level and below that of the next, or it were no leaf of this level.
 */
static inline enum isolde_pt_fault entry_fault(const struct isolde_pt *pt, u64 entry, unsigned level)
{
	unsigned next = amdv1_next(entry), shift;

	if (likely(next - 1 < level && next != AMDV1_NEXT_SIZE))
		return entry & (AMDV1_TABLE_RESERVED | pt->beyond) ? ISOLDE_PT_RESERVED : ISOLDE_PT_OK;
	if (entry & (AMDV1_LEAF_RESERVED | pt->beyond))
		return ISOLDE_PT_RESERVED;
	if (next == 0)
		return level > 4 || entry & ((BIT(amdv1_shift(level)) - 1) & AMDV1_ADDRESS) ? ISOLDE_PT_RESERVED
											    : ISOLDE_PT_OK;
	shift = amdv1_size_shift(entry);
	if (next != AMDV1_NEXT_SIZE || shift <= amdv1_shift(level) || shift >= amdv1_shift(level + 1) || shift > 51)
		return ISOLDE_PT_RESERVED;
	return ISOLDE_PT_OK;
}

static inline u64 entry_table(u64 entry)
{
	return (entry & AMDV1_ADDRESS) >> AMDV1_UP;
}

static inline unsigned entry_next_level(u64 entry, unsigned level)
{
	return amdv1_next(entry) - 1;
}

static inline u64 table_entry(u64 address, unsigned level)
{
	return (address << AMDV1_UP & AMDV1_ADDRESS) | AMDV1_PRESENT | AMDV1_READ | AMDV1_WRITE | AMDV1_NEXT(level);
}

static inline u64 leaf_bits(const struct isolde_pt *pt, unsigned flags)
{
	return AMDV1_PRESENT | (flags & ISOLDE_PT_READ ? AMDV1_READ : 0) | (flags & ISOLDE_PT_WRITE ? AMDV1_WRITE : 0) |
	       (pt->features & ISOLDE_PT_FORCE_SNOOP ? AMDV1_COHERENT : 0);
}

static inline u64 leaf_entry(u64 bits, u64 physical, unsigned level, unsigned run)
{
	u64 half = BIT(amdv1_shift(level) + run - 1);

	return bits | physical << AMDV1_UP | (run ? AMDV1_NEXT(AMDV1_NEXT_SIZE) | ((half - 1) & AMDV1_ADDRESS) : 0);
}

static inline u64 leaf_step(unsigned level)
{
	return BIT(amdv1_shift(level));
}

static inline unsigned leaf_run(u64 entry, unsigned level)
{
	return amdv1_next(entry) == AMDV1_NEXT_SIZE ? amdv1_size_shift(entry) - amdv1_shift(level) : 0;
}

static inline u64 leaf_reach(u64 entry, unsigned level)
{
	return BIT(amdv1_shift(level) - AMDV1_UP) << leaf_run(entry, level);
}

static inline u64 leaf_physical(u64 entry, unsigned level)
{
	return (entry & AMDV1_ADDRESS) >> AMDV1_UP & ~(leaf_reach(entry, level) - 1);
}

static inline u64 walk_through(u64 through, u64 entry)
{
	return through & entry;
}

static inline unsigned walk_grants(const struct isolde_pt *pt, u64 through, u64 entry, unsigned access)
{
	u64 granted = through & entry;

	return (granted & AMDV1_READ ? ISOLDE_PT_READ | ISOLDE_PT_EXECUTE : 0u) |
	       (granted & AMDV1_WRITE ? ISOLDE_PT_WRITE : 0u);
}

static inline bool leaf_refuses(const struct isolde_pt *pt, u64 entry, unsigned access)
{
	return false;
}

static inline u64 leaf_used(u64 entry, bool write)
{
	return entry | AMDV1_ACCESSED | (write ? AMDV1_DIRTY : 0);
}

static inline u64 table_used(u64 entry)
{
	return entry | AMDV1_ACCESSED;
}

static inline bool leaf_dirty(u64 entry)
{
	return entry & AMDV1_DIRTY;
}

static inline u64 leaf_cleaned(u64 entry)
{
	return entry & ~AMDV1_DIRTY;
}

#endif
