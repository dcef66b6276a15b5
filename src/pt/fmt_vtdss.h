/* SPDX-License-Identifier: MIT */
/*
 * Intel VT-d second stage: three to five levels, leaves of 4 KiB, 2 MiB and 1 GiB (VT-d 5.0 sections 3.7 and 9.8).
 *
 * Permissions of all levels are joined. There is no permission to execute (bit 2 is ignored): an execute request needs
 * read.
 */
#ifndef PT_FMT_VTDSS_H
#define PT_FMT_VTDSS_H

#include "pt/format.h"

#define FORMAT_NAME	     vtdss
#define FORMAT_GRANULE_SHIFT 12
#define FORMAT_RUNS	     false
#define FORMAT_RUN_STEPS     false
#define FORMAT_GROWS	     false
#define FORMAT_ALWAYS	     1ull
#define FORMAT_GRANTS_UNSAID ISOLDE_PT_EXECUTE
#define FORMAT_ACCESS_FIRST  false
#define WALK_BEGIN	     (VTDSS_READ | VTDSS_WRITE)

/* VT-d 5.0 section 9.8: the same places in SS-PML5E, SS-PML4E, SS-PDPE, SS-PDE and SS-PTE */
#define VTDSS_READ     BIT(0)
#define VTDSS_WRITE    BIT(1)
#define VTDSS_LARGE    BIT(7)  /* PS: in SS-PDPE a leaf of 1 GiB, in SS-PDE one of 2 MiB, in SS-PTE ignored */
#define VTDSS_ACCESSED BIT(8)  /* with SSADE, else ignored; in tables, too */
#define VTDSS_DIRTY    BIT(9)  /* with SSADE, of leaves */
#define VTDSS_SNOOP    BIT(11) /* SNP of leaves, with ECAP.SC; reserved without, and in tables */
#define VTDSS_ADDRESS  MASK(51, 12)
#define VTDSS_TM       BIT(62) /* transient mapping; reserved, for the unit announces no device TLB */

static const struct pt_shape format_shape = {
	.kind = PT_vtdss,
	.granule_shift = 12,
	.levels_min = 3, /* SAGAW bits 1, 2 and 3: 39, 48 and 57 bits (section 11.4.2) */
	.levels_max = 5,
	.input_default = 48,
	.input_min = 31,
	.input_max = 57,
	.output_default = 52,
	.output_max = 52,
	.root = ROOT_TABLE,
	.features = ISOLDE_PT_FORCE_SNOOP | ISOLDE_PT_DIRTY,
	.flags = ISOLDE_PT_READ | ISOLDE_PT_WRITE,
	.address = VTDSS_ADDRESS,
	.leaves = BIT(12) | BIT(21) | BIT(30), /* SLLPS bits 0 and 1 */
};

#define entry_fold(entry) ((entry) | (entry) >> 1)

static inline bool entry_present(u64 entry, unsigned level)
{
	/* There is no present bit: an entry that permits nothing is none (section 3.7.1). */
	return entry & (VTDSS_READ | VTDSS_WRITE);
}

static inline bool entry_is_table(u64 entry, unsigned level)
{
	return !(entry & VTDSS_LARGE);
}

static inline enum isolde_pt_fault entry_fault(const struct isolde_pt *pt, u64 entry, unsigned level)
{
	u64 reserved = VTDSS_TM | pt->beyond;

	if (level > 0 && !(entry & VTDSS_LARGE))
		return entry & (reserved | VTDSS_SNOOP) ? ISOLDE_PT_RESERVED : ISOLDE_PT_OK;
	if (level > 0)
		reserved |= MASK(12 + 9 * level - 1, 12);
	if (!(pt->features & ISOLDE_PT_FORCE_SNOOP))
		reserved |= VTDSS_SNOOP;
	return entry & reserved || !(pt->leaf_levels >> level & 1) ? ISOLDE_PT_RESERVED : ISOLDE_PT_OK;
}

static inline u64 entry_table(u64 entry)
{
	return entry & VTDSS_ADDRESS;
}

static inline unsigned entry_next_level(u64 entry, unsigned level)
{
	return level - 1;
}

static inline u64 table_entry(u64 address, unsigned level)
{
	return (address & VTDSS_ADDRESS) | VTDSS_READ | VTDSS_WRITE;
}

static inline u64 leaf_bits(const struct isolde_pt *pt, unsigned flags)
{
	return (flags & ISOLDE_PT_READ ? VTDSS_READ : 0) | (flags & ISOLDE_PT_WRITE ? VTDSS_WRITE : 0) |
	       (pt->features & ISOLDE_PT_FORCE_SNOOP ? VTDSS_SNOOP : 0);
}

static inline u64 leaf_entry(u64 bits, u64 physical, unsigned level, unsigned run)
{
	return bits | physical | (level ? VTDSS_LARGE : 0);
}

static inline u64 leaf_step(unsigned level)
{
	return PAGE_SIZE << 9 * level;
}

static inline unsigned leaf_run(u64 entry, unsigned level)
{
	return 0;
}

static inline u64 leaf_reach(u64 entry, unsigned level)
{
	return PAGE_SIZE << 9 * level;
}

static inline u64 leaf_physical(u64 entry, unsigned level)
{
	return entry & VTDSS_ADDRESS;
}

static inline u64 walk_through(u64 through, u64 entry)
{
	return through & entry;
}

static inline unsigned walk_grants(const struct isolde_pt *pt, u64 through, u64 entry, unsigned access)
{
	u64 granted = through & entry;

	return (granted & VTDSS_READ ? ISOLDE_PT_READ | ISOLDE_PT_EXECUTE : 0u) |
	       (granted & VTDSS_WRITE ? ISOLDE_PT_WRITE : 0u);
}

static inline bool leaf_refuses(const struct isolde_pt *pt, u64 entry, unsigned access)
{
	return false;
}

static inline u64 leaf_used(u64 entry, bool write)
{
	return entry | VTDSS_ACCESSED | (write ? VTDSS_DIRTY : 0);
}

static inline u64 table_used(u64 entry)
{
	return entry | VTDSS_ACCESSED;
}

static inline bool leaf_dirty(u64 entry)
{
	return entry & VTDSS_DIRTY;
}

static inline u64 leaf_cleaned(u64 entry)
{
	return entry & ~VTDSS_DIRTY;
}

#endif
