/* SPDX-License-Identifier: MIT */
/*
 * x86-64, four or five levels: VT-d first stage (VT-d 5.0 sections 3.6 and 9.7), AMD's v2 guest tables (AMD 48882
 * section 2.2.6), both as processors have them (Intel SDM 3A section 4.5, AMD APM 2 section 5.3).
 *
 * Permissions of all levels are joined: read and write, user, and no-execute the other way round. Accesses are a user's
 * unless privileged; CR0.WP is taken as 1, SMEP and SMAP as 0, EFER.NXE as 1.
 */
#ifndef PT_FMT_X86_64_H
#define PT_FMT_X86_64_H

#include "pt/format.h"

#define FORMAT_NAME	     x86_64
#define FORMAT_GRANULE_SHIFT 12
#define FORMAT_RUNS	     false
#define FORMAT_RUN_STEPS     false
#define FORMAT_GROWS	     false
#define FORMAT_ALWAYS	     X86_PRESENT
#define FORMAT_GRANTS_UNSAID 0u
#define FORMAT_ACCESS_FIRST  false
#define WALK_BEGIN	     (X86_WRITE | X86_USER | X86_NO_EXECUTE) /* no-execute is kept inverted */

/* Intel SDM 3A tables 4-15 to 4-20 ("Format of a ... Entry"), VT-d 5.0 section 9.7 */
#define X86_PRESENT    BIT(0)
#define X86_WRITE      BIT(1) /* R/W */
#define X86_USER       BIT(2) /* U/S */
#define X86_PWT	       BIT(3)
#define X86_PCD	       BIT(4)
#define X86_ACCESSED   BIT(5) /* of tables, too */
#define X86_DIRTY      BIT(6) /* of leaves; ignored in tables */
#define X86_LARGE      BIT(7) /* PS in PDE and PDPTE; reserved in PML4E and PML5E; in PTE it is PAT */
#define X86_GLOBAL     BIT(8) /* of leaves; ignored in tables */
#define X86_ADDRESS    MASK(51, 12)
#define X86_NO_EXECUTE BIT(63) /* XD */
/* Bits 11:9 and 62:52 are ignored; bit 12 of a large leaf is PAT, the address bits above it up to its size reserved. */
#define X86_LARGE_PAT BIT(12)

static const struct pt_shape format_shape = {
	.kind = PT_x86_64,
	.granule_shift = 12,
	.levels_min = 4, /* 48 bits, and 57 with FL5LP or LA57 */
	.levels_max = 5,
	.input_default = 48,
	.input_min = 48,
	.input_max = 57,
	.output_default = 52,
	.output_max = 52,
	.root = ROOT_WHOLE,
	.sign = true,
	.upper = true,
	.features = ISOLDE_PT_DIRTY,
	.flags = ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_EXECUTE | ISOLDE_PT_PRIVILEGED | ISOLDE_PT_GLOBAL |
		 ISOLDE_PT_UNCACHED | ISOLDE_PT_DEVICE,
	.address = X86_ADDRESS,
	.leaves = BIT(12) | BIT(21) | BIT(30), /* 1 GiB with FL1GP */
};

#define entry_fold(entry) (entry)

static inline bool entry_present(u64 entry, unsigned level)
{
	return entry & X86_PRESENT;
}

static inline bool entry_is_table(u64 entry, unsigned level)
{
	return !(entry & X86_LARGE);
}

static inline enum isolde_pt_fault entry_fault(const struct isolde_pt *pt, u64 entry, unsigned level)
{
	u64 reserved = pt->beyond;

	if (level > 0 && entry & X86_LARGE) {
		if (!(pt->leaf_levels >> level & 1))
			return ISOLDE_PT_RESERVED;
		reserved |= MASK(12 + 9 * level - 1, 13);
	}
	return entry & reserved ? ISOLDE_PT_RESERVED : ISOLDE_PT_OK;
}

static inline u64 entry_table(u64 entry)
{
	return entry & X86_ADDRESS;
}

static inline unsigned entry_next_level(u64 entry, unsigned level)
{
	return level - 1;
}

static inline u64 table_entry(u64 address, unsigned level)
{
	return (address & X86_ADDRESS) | X86_PRESENT | X86_WRITE | X86_USER | X86_ACCESSED;
}

/*
 * Memory types with the PAT as it is after reset (Intel SDM 3A table 12-12): index 0 write-back, 2 UC-, 3 UC. Bits of
 * hardware that need not be tracked are set beforehand, which saves it an atomic write.
 */
static inline u64 leaf_bits(const struct isolde_pt *pt, unsigned flags)
{
	bool clean = atomic_load_explicit(&pt->tracking, memory_order_relaxed);

	return X86_PRESENT | X86_ACCESSED | (clean ? 0 : X86_DIRTY) | (flags & ISOLDE_PT_WRITE ? X86_WRITE : 0) |
	       (flags & ISOLDE_PT_PRIVILEGED ? 0 : X86_USER) | (flags & ISOLDE_PT_EXECUTE ? 0 : X86_NO_EXECUTE) |
	       (flags & ISOLDE_PT_GLOBAL ? X86_GLOBAL : 0) | (flags & ISOLDE_PT_UNCACHED ? X86_PCD : 0) |
	       (flags & ISOLDE_PT_DEVICE ? X86_PCD | X86_PWT : 0);
}

static inline u64 leaf_entry(u64 bits, u64 physical, unsigned level, unsigned run)
{
	return bits | physical | (level ? X86_LARGE : 0);
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
	return entry & X86_ADDRESS & ~(level ? X86_LARGE_PAT : 0);
}

static inline u64 walk_through(u64 through, u64 entry)
{
	return through & (entry ^ X86_NO_EXECUTE);
}

static inline unsigned walk_grants(const struct isolde_pt *pt, u64 through, u64 entry, unsigned access)
{
	u64 granted = walk_through(through, entry);

	if (!(granted & X86_USER) && !(access & ISOLDE_PT_PRIVILEGED))
		return 0;
	return ISOLDE_PT_READ | (granted & X86_WRITE ? ISOLDE_PT_WRITE : 0u) |
	       (granted & X86_NO_EXECUTE ? ISOLDE_PT_EXECUTE : 0u);
}

static inline bool leaf_refuses(const struct isolde_pt *pt, u64 entry, unsigned access)
{
	return false;
}

static inline u64 leaf_used(u64 entry, bool write)
{
	return entry | X86_ACCESSED | (write ? X86_DIRTY : 0);
}

static inline u64 table_used(u64 entry)
{
	return entry | X86_ACCESSED;
}

static inline bool leaf_dirty(u64 entry)
{
	return entry & X86_DIRTY;
}

static inline u64 leaf_cleaned(u64 entry)
{
	return entry & ~X86_DIRTY;
}

#endif
