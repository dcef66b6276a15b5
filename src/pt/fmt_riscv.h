/* SPDX-License-Identifier: MIT */
/*
 * RISC-V Sv39, Sv48, Sv57 and Sv39x4, Sv48x4, Sv57x4, with Svpbmt and Svnapot (RISC-V privileged architecture 20240411,
 * sections 10.4 "Sv39", 10.5, 10.6, 11 "Svnapot", 12 "Svpbmt", 15.5 "Two-Stage Address Translation"). FORMAT_NAME and
 * RISCV_STAGE2 come from the source that includes this.
 *
 * Only leaves have permissions. Accesses are a user's unless privileged; privileged ones may read and write a user's
 * pages (SUM 1) but never execute them; MXR is taken as 0. To the second stage all accesses are a user's.
 */
#ifndef PT_FMT_RISCV_H
#define PT_FMT_RISCV_H

#include "pt/format.h"

#define FORMAT_GRANULE_SHIFT 12
#define FORMAT_RUNS	     true
#define FORMAT_RUN_STEPS     false
#define FORMAT_GROWS	     false
#define FORMAT_ALWAYS	     RISCV_VALID
#define FORMAT_GRANTS_UNSAID 0u
#define FORMAT_ACCESS_FIRST  false /* section 10.3.2: step 9 is after the permissions */
#define WALK_BEGIN	     0ull

/* Section 10.4.1, figure "Sv39 page table entry"; the same in all modes */
#define RISCV_VALID    BIT(0)
#define RISCV_READ     BIT(1)
#define RISCV_WRITE    BIT(2)
#define RISCV_EXECUTE  BIT(3)
#define RISCV_USER     BIT(4) /* leaves only; the second stage needs it */
#define RISCV_GLOBAL   BIT(5)
#define RISCV_ACCESSED BIT(6) /* leaves only */
#define RISCV_DIRTY    BIT(7) /* leaves only */
/* Bits 9:8 are ignored. */
#define RISCV_PPN	MASK(53, 10)
#define RISCV_RESERVED	MASK(60, 54)
#define RISCV_PBMT	MASK(62, 61) /* Svpbmt, leaves only: 1 NC, 2 IO, 3 reserved; all but 0 reserved without it */
#define RISCV_PBMT_NC	BIT(61)
#define RISCV_PBMT_IO	BIT(62)
#define RISCV_NAPOT	BIT(63)	     /* Svnapot, leaves of level 0: PPN[3:0] is 1000 for 64 KiB, else reserved */
#define RISCV_NAPOT_PPN MASK(13, 10) /* PPN[3:0] */
#define RISCV_NAPOT_64K BIT(13)

enum { RISCV_NAPOT_RUN = 4 };

static const struct pt_shape format_shape = {
	.kind = FORMAT_KIND,
	.granule_shift = 12,
	.levels_min = 3,
	.levels_max = 5,
	.input_default = RISCV_STAGE2 ? 50 : 48,
	.input_min = RISCV_STAGE2 ? 41 : 39,
	.input_max = RISCV_STAGE2 ? 59 : 57,
	.output_default = 56,
	.output_max = 56,
	.root = RISCV_STAGE2 ? ROOT_WIDE : ROOT_WHOLE, /* section 15.5.1: a root of 16 KiB */
	.sign = !RISCV_STAGE2,
	.upper = !RISCV_STAGE2,
	.features = ISOLDE_PT_CONTIGUOUS | ISOLDE_PT_DIRTY | ISOLDE_PT_MEMORY_TYPES,
	.flags = ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_EXECUTE |
		 (RISCV_STAGE2 ? 0 : ISOLDE_PT_PRIVILEGED | ISOLDE_PT_GLOBAL),
	.typed_flags = ISOLDE_PT_UNCACHED | ISOLDE_PT_DEVICE,
	.address = RISCV_PPN,
	.address_shift = 2,
	.leaves = BIT(12) | BIT(21) | BIT(30) | BIT(39) | BIT(48),
	.runs = BIT(16),
};

#define entry_fold(entry) (entry)

static inline bool entry_present(u64 entry, unsigned level)
{
	return entry & RISCV_VALID;
}

static inline bool riscv_is_leaf(u64 entry)
{
	return entry & (RISCV_READ | RISCV_EXECUTE);
}

static inline bool entry_is_table(u64 entry, unsigned level)
{
	return !riscv_is_leaf(entry);
}

static inline bool riscv_leaf_reserved(const struct isolde_pt *pt, u64 entry, unsigned level)
{
	u64 pbmt = entry & RISCV_PBMT;

	if (entry & RISCV_PPN & ((BIT(12 + 9 * level) - 1) >> 2)) /* a misaligned superpage */
		return true;
	if (pbmt == RISCV_PBMT || (pbmt && !(pt->features & ISOLDE_PT_MEMORY_TYPES)))
		return true;
	return entry & RISCV_NAPOT &&
	       (level || !(pt->features & ISOLDE_PT_CONTIGUOUS) || (entry & RISCV_NAPOT_PPN) != RISCV_NAPOT_64K);
}

/* Everything that an entry for a table must not have. */
#define RISCV_NO_TABLE                                                                                                 \
	(RISCV_READ | RISCV_WRITE | RISCV_EXECUTE | RISCV_USER | RISCV_ACCESSED | RISCV_DIRTY | RISCV_RESERVED |       \
	 RISCV_PBMT | RISCV_NAPOT)

static inline enum isolde_pt_fault entry_fault(const struct isolde_pt *pt, u64 entry, unsigned level)
{
	if (likely(level > 0 && !(entry & (RISCV_NO_TABLE | pt->beyond))))
		return ISOLDE_PT_OK;
	if (entry & RISCV_RESERVED || (entry & (RISCV_READ | RISCV_WRITE)) == RISCV_WRITE)
		return ISOLDE_PT_RESERVED;
	if (riscv_is_leaf(entry)) {
		if (riscv_leaf_reserved(pt, entry, level))
			return ISOLDE_PT_RESERVED;
	} else if (level == 0 || entry & RISCV_NO_TABLE) {
		return ISOLDE_PT_RESERVED;
	}
	return entry & pt->beyond ? ISOLDE_PT_OUTPUT : ISOLDE_PT_OK;
}

static inline u64 entry_table(u64 entry)
{
	return (entry & RISCV_PPN) << 2;
}

static inline unsigned entry_next_level(u64 entry, unsigned level)
{
	return level - 1;
}

static inline u64 table_entry(u64 address, unsigned level)
{
	return (address >> 2 & RISCV_PPN) | RISCV_VALID;
}

static inline u64 leaf_bits(const struct isolde_pt *pt, unsigned flags)
{
	bool clean = atomic_load_explicit(&pt->tracking, memory_order_relaxed), write = flags & ISOLDE_PT_WRITE;

	return RISCV_VALID | RISCV_ACCESSED | (flags & (ISOLDE_PT_READ | ISOLDE_PT_WRITE) ? RISCV_READ : 0) |
	       (write ? RISCV_WRITE : 0) | (write && !clean ? RISCV_DIRTY : 0) |
	       (flags & ISOLDE_PT_EXECUTE ? RISCV_EXECUTE : 0) | (flags & ISOLDE_PT_PRIVILEGED ? 0 : RISCV_USER) |
	       (flags & ISOLDE_PT_GLOBAL ? RISCV_GLOBAL : 0) | (flags & ISOLDE_PT_UNCACHED ? RISCV_PBMT_NC : 0) |
	       (flags & ISOLDE_PT_DEVICE ? RISCV_PBMT_IO : 0);
}

static inline u64 leaf_entry(u64 bits, u64 physical, unsigned level, unsigned run)
{
	return bits | physical >> 2 | (run ? RISCV_NAPOT | RISCV_NAPOT_64K : 0);
}

static inline u64 leaf_step(unsigned level)
{
	return PAGE_SIZE << 9 * level >> 2;
}

static inline unsigned leaf_run(u64 entry, unsigned level)
{
	return entry & RISCV_NAPOT ? RISCV_NAPOT_RUN : 0;
}

static inline u64 leaf_reach(u64 entry, unsigned level)
{
	return PAGE_SIZE << 9 * level << leaf_run(entry, level);
}

static inline u64 leaf_physical(u64 entry, unsigned level)
{
	return (entry & RISCV_PPN & ~(entry & RISCV_NAPOT ? RISCV_NAPOT_PPN : 0)) << 2;
}

static inline u64 walk_through(u64 through, u64 entry)
{
	return 0;
}

static inline unsigned walk_grants(const struct isolde_pt *pt, u64 through, u64 entry, unsigned access)
{
	bool user = entry & RISCV_USER, priv = !RISCV_STAGE2 && access & ISOLDE_PT_PRIVILEGED;
	unsigned granted = (entry & RISCV_READ ? ISOLDE_PT_READ : 0u) | (entry & RISCV_WRITE ? ISOLDE_PT_WRITE : 0u) |
			   (entry & RISCV_EXECUTE ? ISOLDE_PT_EXECUTE : 0u);

	if (priv)
		return user ? granted & ~(unsigned)ISOLDE_PT_EXECUTE : granted;
	return user ? granted : 0;
}

/* Section 10.3.2, step 9: without Svadu (SADE, GADE) a page fault. */
static inline bool leaf_refuses(const struct isolde_pt *pt, u64 entry, unsigned access)
{
	if (pt->features & ISOLDE_PT_DIRTY)
		return false;
	return !(entry & RISCV_ACCESSED) || (access & ISOLDE_PT_WRITE && !(entry & RISCV_DIRTY));
}

static inline u64 leaf_used(u64 entry, bool write)
{
	return entry | RISCV_ACCESSED | (write ? RISCV_DIRTY : 0);
}

static inline u64 table_used(u64 entry)
{
	return entry;
}

static inline bool leaf_dirty(u64 entry)
{
	return entry & RISCV_DIRTY;
}

static inline u64 leaf_cleaned(u64 entry)
{
	return entry & ~RISCV_DIRTY;
}

#endif
