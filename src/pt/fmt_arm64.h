/* SPDX-License-Identifier: MIT */
/*
 * Arm 64-bit (VMSAv8-64), stage 1 and 2, all granules, 48-bit addresses (Arm ARM DDI 0487 section D8.3, "Translation
 * table descriptor formats"). FORMAT_NAME, FORMAT_GRANULE_SHIFT and ARM64_STAGE2 come from the source that includes
 * this.
 *
 * Lookup level 3 of the manual is level 0 here. Fields that are RES0 do not fault, as the manual's pseudocode does not
 * look at them; an encoding that is no descriptor at its level is a translation fault, "not present".
 */
#ifndef PT_FMT_ARM64_H
#define PT_FMT_ARM64_H

#include "pt/format.h"

#define FORMAT_RUNS	     true
#define FORMAT_RUN_STEPS     true
#define FORMAT_GROWS	     false
#define FORMAT_ALWAYS	     ARM64_VALID
#define FORMAT_GRANTS_UNSAID 0u
#define FORMAT_ACCESS_FIRST  true /* section D8.15: access flag faults come before permission faults */
#define WALK_BEGIN	     0ull

/* Section D8.3.1: bits 1:0 are 11 for tables, and for pages, which are in the last level; 01 for blocks above it */
#define ARM64_VALID   BIT(0)
#define ARM64_TABLE   BIT(1)
#define ARM64_ADDRESS MASK(47, FORMAT_GRANULE_SHIFT)

/* Section D8.3.1.1: table descriptors of stage 1 restrict what is below */
#define ARM64_PXN_TABLE	    BIT(59)
#define ARM64_UXN_TABLE	    BIT(60)
#define ARM64_AP_TABLE_PRIV BIT(61) /* APTable[0]: nothing for EL0 */
#define ARM64_AP_TABLE_RO   BIT(62) /* APTable[1]: no writes */

/* Section D8.3.1.2: block and page descriptors, what both stages have */
#define ARM64_OUTER_SHAREABLE (2ull << 8) /* SH */
#define ARM64_INNER_SHAREABLE (3ull << 8)
#define ARM64_ACCESSED	      BIT(10) /* AF */
#define ARM64_DBM	      BIT(51) /* dirty bit modifier: hardware makes it writable at the first write */
#define ARM64_CONTIGUOUS      BIT(52)

/* Stage 1 */
#define ARM64_ATTR(index) ((u64)(index) << 2) /* AttrIndx, into ISOLDE_PT_ARM64_MAIR */
#define ARM64_AP_USER	  BIT(6)	      /* AP[1] */
#define ARM64_AP_RO	  BIT(7)	      /* AP[2] */
#define ARM64_NOT_GLOBAL  BIT(11)
#define ARM64_PXN	  BIT(53)
#define ARM64_UXN	  BIT(54)

/* Stage 2 */
#define ARM64_MEMATTR(value) ((u64)(value) << 2)  /* MemAttr[3:0] with HCR_EL2.FWB 0 (section D8.6.5) */
#define ARM64_S2_READ	     BIT(6)		  /* S2AP[0] */
#define ARM64_S2_WRITE	     BIT(7)		  /* S2AP[1] */
#define ARM64_S2_XN(value)   ((u64)(value) << 53) /* 0 all may execute, 1 EL0, 2 none, 3 EL1 */

/* Table D8-64 "Contiguous": how many entries, by granule and level */
#define ARM64_RUN(level) (FORMAT_GRANULE_SHIFT == 12 ? 4 : FORMAT_GRANULE_SHIFT == 16 ? 5 : (level) ? 5 : 7)

#define ARM64_LEVEL_SHIFT(level) (FORMAT_GRANULE_SHIFT + (FORMAT_GRANULE_SHIFT - 3) * (level))
#define ARM64_BLOCKS		 (FORMAT_GRANULE_SHIFT == 12 ? 2u : 1u) /* highest level with leaves */

#define ARM64_LEAF(level) (ARM64_BLOCKS >= (level) ? BIT(ARM64_LEVEL_SHIFT(level)) : 0)
#define ARM64_RUNS(level) (ARM64_BLOCKS >= (level) ? BIT(ARM64_LEVEL_SHIFT(level) + ARM64_RUN(level)) : 0)

static const struct pt_shape format_shape = {
	.kind = FORMAT_KIND,
	.granule_shift = FORMAT_GRANULE_SHIFT,
	.levels_min = 1,
	.levels_max = FORMAT_GRANULE_SHIFT == 16 ? 3 : 4,
	.input_default = 48,
	.input_min = 25, /* TxSZ of 39 (section D8.2.1) */
	.input_max = 48,
	.output_default = 48,
	.output_max = 48,
	.root = ARM64_STAGE2 ? ROOT_ADJOINED : ROOT_EXACT, /* section D8.2.2: up to 16 concatenated tables */
	.upper = !ARM64_STAGE2,				   /* TTBR1 */
	.features = ISOLDE_PT_CONTIGUOUS | ISOLDE_PT_DIRTY,
	.flags = ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_EXECUTE | ISOLDE_PT_UNCACHED | ISOLDE_PT_DEVICE |
		 (ARM64_STAGE2 ? 0 : ISOLDE_PT_PRIVILEGED | ISOLDE_PT_GLOBAL),
	.address = ARM64_ADDRESS,
	.leaves = ARM64_LEAF(0) | ARM64_LEAF(1) | ARM64_LEAF(2),
	.runs = ARM64_RUNS(0) | ARM64_RUNS(1) | ARM64_RUNS(2),
};

#define entry_fold(entry) (entry)

static inline bool entry_present(u64 entry, unsigned level)
{
	if (level == 0 || level > ARM64_BLOCKS)
		return (entry & (ARM64_VALID | ARM64_TABLE)) == (ARM64_VALID | ARM64_TABLE);
	return entry & ARM64_VALID;
}

static inline bool entry_is_table(u64 entry, unsigned level)
{
	return entry & ARM64_TABLE;
}

static inline enum isolde_pt_fault entry_fault(const struct isolde_pt *pt, u64 entry, unsigned level)
{
	return entry & pt->beyond ? ISOLDE_PT_OUTPUT : ISOLDE_PT_OK;
}

static inline u64 entry_table(u64 entry)
{
	return entry & ARM64_ADDRESS;
}

static inline unsigned entry_next_level(u64 entry, unsigned level)
{
	return level - 1;
}

static inline u64 table_entry(u64 address, unsigned level)
{
	return (address & ARM64_ADDRESS) | ARM64_VALID | ARM64_TABLE;
}

/* With DIRTY every writable leaf is under DBM: dirty means writable, and clean that hardware makes it so. */
static inline u64 arm64_stage1_bits(const struct isolde_pt *pt, unsigned flags, bool clean)
{
	bool priv = flags & ISOLDE_PT_PRIVILEGED, execute = flags & ISOLDE_PT_EXECUTE;
	u64 type = flags & ISOLDE_PT_DEVICE	? ARM64_ATTR(2) | ARM64_OUTER_SHAREABLE
		   : flags & ISOLDE_PT_UNCACHED ? ARM64_ATTR(1) | ARM64_OUTER_SHAREABLE
						: ARM64_ATTR(0) | ARM64_INNER_SHAREABLE;

	return type | (priv ? 0 : ARM64_AP_USER) | (flags & ISOLDE_PT_WRITE && !clean ? 0 : ARM64_AP_RO) |
	       (flags & ISOLDE_PT_GLOBAL ? 0 : ARM64_NOT_GLOBAL) | (execute ? 0 : ARM64_PXN) |
	       (execute && !priv ? 0 : ARM64_UXN);
}

static inline u64 arm64_stage2_bits(unsigned flags, bool clean)
{
	u64 type = flags & ISOLDE_PT_DEVICE	? ARM64_MEMATTR(1) | ARM64_OUTER_SHAREABLE   /* nGnRE */
		   : flags & ISOLDE_PT_UNCACHED ? ARM64_MEMATTR(5) | ARM64_OUTER_SHAREABLE   /* Normal, not cacheable */
						: ARM64_MEMATTR(15) | ARM64_INNER_SHAREABLE; /* Normal, write-back */

	return type | (flags & ISOLDE_PT_READ ? ARM64_S2_READ : 0) |
	       (flags & ISOLDE_PT_WRITE && !clean ? ARM64_S2_WRITE : 0) |
	       ARM64_S2_XN(flags & ISOLDE_PT_EXECUTE ? 0 : 2);
}

static inline u64 leaf_bits(const struct isolde_pt *pt, unsigned flags)
{
	bool clean = atomic_load_explicit(&pt->tracking, memory_order_relaxed);
	bool dbm = pt->features & ISOLDE_PT_DIRTY && flags & ISOLDE_PT_WRITE;

	return ARM64_VALID | ARM64_ACCESSED | (dbm ? ARM64_DBM : 0) |
	       (ARM64_STAGE2 ? arm64_stage2_bits(flags, clean) : arm64_stage1_bits(pt, flags, clean));
}

static inline u64 leaf_entry(u64 bits, u64 physical, unsigned level, unsigned run)
{
	return bits | physical | (level ? 0 : ARM64_TABLE) | (run ? ARM64_CONTIGUOUS : 0);
}

static inline u64 leaf_step(unsigned level)
{
	return BIT(ARM64_LEVEL_SHIFT(level));
}

static inline unsigned leaf_run(u64 entry, unsigned level)
{
	return entry & ARM64_CONTIGUOUS ? ARM64_RUN(level) : 0;
}

static inline u64 leaf_reach(u64 entry, unsigned level)
{
	return BIT(ARM64_LEVEL_SHIFT(level));
}

static inline u64 leaf_physical(u64 entry, unsigned level)
{
	return entry & ARM64_ADDRESS & ~(BIT(ARM64_LEVEL_SHIFT(level)) - 1);
}

/* Stage 2 tables restrict nothing: the bits are ignored. */
static inline u64 walk_through(u64 through, u64 entry)
{
	return ARM64_STAGE2 ? 0 : through | entry;
}

/* Section D8.4.2: direct permissions of stage 1, of stage 2 */
static inline unsigned arm64_stage1_grants(u64 through, u64 entry, bool dbm, bool priv)
{
	bool writable = (!(entry & ARM64_AP_RO) || dbm) && !(through & ARM64_AP_TABLE_RO);
	bool user = entry & ARM64_AP_USER && !(through & ARM64_AP_TABLE_PRIV);
	bool executable = priv ? !(entry & ARM64_PXN) && !(through & ARM64_PXN_TABLE) && !(user && writable)
			       : !(entry & ARM64_UXN) && !(through & ARM64_UXN_TABLE);

	return (user || priv ? ISOLDE_PT_READ : 0u) | ((user || priv) && writable ? ISOLDE_PT_WRITE : 0u) |
	       (executable ? ISOLDE_PT_EXECUTE : 0u);
}

static inline unsigned arm64_stage2_grants(u64 entry, bool dbm, bool priv)
{
	unsigned xn = entry >> 53 & 3;

	return (entry & ARM64_S2_READ ? ISOLDE_PT_READ : 0u) | (entry & ARM64_S2_WRITE || dbm ? ISOLDE_PT_WRITE : 0u) |
	       (xn == 0 || xn == (priv ? 3 : 1) ? ISOLDE_PT_EXECUTE : 0u);
}

static inline unsigned walk_grants(const struct isolde_pt *pt, u64 through, u64 entry, unsigned access)
{
	bool dbm = pt->features & ISOLDE_PT_DIRTY && entry & ARM64_DBM;
	bool priv = access & ISOLDE_PT_PRIVILEGED;

	return ARM64_STAGE2 ? arm64_stage2_grants(entry, dbm, priv) : arm64_stage1_grants(through, entry, dbm, priv);
}

/* Section D8.5.1: without FEAT_HAFDBS a clear access flag is software's to set. */
static inline bool leaf_refuses(const struct isolde_pt *pt, u64 entry, unsigned access)
{
	return !(entry & ARM64_ACCESSED) && !(pt->features & ISOLDE_PT_DIRTY);
}

static inline u64 leaf_used(u64 entry, bool write)
{
	entry |= ARM64_ACCESSED;
	if (!write || !(entry & ARM64_DBM))
		return entry;
	return ARM64_STAGE2 ? entry | ARM64_S2_WRITE : entry & ~ARM64_AP_RO;
}

static inline u64 table_used(u64 entry)
{
	return entry;
}

static inline bool leaf_dirty(u64 entry)
{
	return entry & ARM64_DBM && (ARM64_STAGE2 ? (entry & ARM64_S2_WRITE) != 0 : !(entry & ARM64_AP_RO));
}

static inline u64 leaf_cleaned(u64 entry)
{
	if (!(entry & ARM64_DBM))
		return entry;
	return ARM64_STAGE2 ? entry & ~ARM64_S2_WRITE : entry | ARM64_AP_RO;
}

#endif
