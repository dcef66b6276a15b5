/* SPDX-License-Identifier: MIT */
/* Intel VT-d second stage: four levels, leaves of 4 KiB, 2 MiB and 1 GiB (VT-d 5.0 sections 3.7 and 9.8). */
#ifndef PT_FMT_VTDSS_H
#define PT_FMT_VTDSS_H

#include "pt/format.h"

enum {
	FORMAT_LEVELS = 4,			       /* SAGAW bit 2 */
	FORMAT_LEAF_LEVELS = 1 << 0 | 1 << 1 | 1 << 2, /* SLLPS bits 0 and 1 */
	FORMAT_INPUT_BITS = 48,
	FORMAT_OUTPUT_BITS = 52,
};

/* VT-d 5.0 section 9.8, the same places in SS-PML4E, SS-PDPE, SS-PDE and SS-PTE */
#define VTDSS_READ    BIT(0)
#define VTDSS_WRITE   BIT(1)
#define VTDSS_LARGE   BIT(7) /* PS: in SS-PDPE a leaf of 1 GiB, in SS-PDE one of 2 MiB, in SS-PTE ignored */
#define VTDSS_ADDRESS MASK(51, 12)
#define VTDSS_TM      BIT(62) /* transient mapping; reserved, for the unit announces no device TLB */

static inline bool entry_present(u64 entry)
{
	/* There is no present bit: an entry that permits nothing is none (section 3.7.1). */
	return entry & (VTDSS_READ | VTDSS_WRITE);
}

static inline bool entry_is_leaf(u64 entry, unsigned level)
{
	return level == 0 || entry & VTDSS_LARGE;
}

static inline bool entry_reserved(u64 entry, unsigned level)
{
	if (!entry_is_leaf(entry, level))
		return entry & VTDSS_TM;
	/* No SS-PML4E is a leaf, and the low address bits of a large one are reserved. */
	return level > 2 || entry & (VTDSS_TM | (VTDSS_ADDRESS & ((PAGE_SIZE << 9 * level) - 1)));
}

/*
 * The address field holds the pointer to the table's memory: what hardware would follow there is a physical address,
 * and a user-space pointer, of 47 bits on x86-64, always fits in its 52.
 */
static inline void *entry_table(u64 entry)
{
	return (void *)(uintptr_t)(entry & VTDSS_ADDRESS);
}

static inline u64 entry_physical(u64 entry, unsigned level)
{
	return entry & VTDSS_ADDRESS;
}

static inline unsigned entry_permission(u64 entry)
{
	return (entry & VTDSS_READ ? ISOLDE_PT_READ : 0u) | (entry & VTDSS_WRITE ? ISOLDE_PT_WRITE : 0u);
}

static inline u64 entry_of_table(const void *table)
{
	return (u64)(uintptr_t)table | VTDSS_READ | VTDSS_WRITE;
}

static inline u64 entry_of_leaf(u64 physical, unsigned level, unsigned permission)
{
	return physical | (level ? VTDSS_LARGE : 0) | (permission & ISOLDE_PT_READ ? VTDSS_READ : 0) |
	       (permission & ISOLDE_PT_WRITE ? VTDSS_WRITE : 0);
}

#endif
