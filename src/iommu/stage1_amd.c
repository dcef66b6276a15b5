/* SPDX-License-Identifier: MIT */
/* AMD: a device's table of GCR3 registers, one for each PASID (48882 section 2.2.6.3), up to three levels of 512. */
#include "iommu/stage1.h"

#define DTE_GV(dte)	BIT(55) & (dte)[0] /* there is a GCR3 table */
#define DTE_GIOV(dte)	BIT(54) & (dte)[0] /* requests without PASID are those of PASID 0 */
#define DTE_LEVELS(dte) ((unsigned)((dte)[0] >> 56 & 3) + 1)
#define DTE_FIVE(dte)	(((dte)[2] >> 54 & 3) == 1)

#define INDEX_BITS  9
#define ENTRY_VALID BIT(0)
#define ENTRY_NEXT  MASK(51, 12)

/* Bits 14:12, 30:15 and 51:31 of the address are in three places. */
static u64 table_of(const u64 *dte)
{
	return (dte[0] >> 58 & MASK(2, 0)) << 12 | (dte[1] >> 16 & MASK(15, 0)) << 15 |
	       (dte[1] >> 43 & MASK(20, 0)) << 31;
}

static int find_root(const u64 *dte, struct stage1_reader *reader, u32 pasid, u64 *ret)
{
	unsigned levels = DTE_LEVELS(dte);

	if (pasid >> INDEX_BITS * levels)
		return DMA_FAULT_CONTEXT + 1;
	*ret = table_of(dte);
	for (unsigned level = levels; level--;) {
		u64 index = pasid >> INDEX_BITS * level & MASK(INDEX_BITS - 1, 0), entry;

		if (!nested_read(reader, *ret + index * sizeof(entry), &entry, 1))
			return reader->reason;
		if (!(entry & ENTRY_VALID))
			return DMA_FAULT_CONTEXT + 1;
		*ret = entry & ENTRY_NEXT;
	}
	return 0;
}

int amd_find_context(const struct nested_setup *setup, struct stage1_reader *reader, u32 pasid,
		     struct stage1_setup *ret)
{
	const u64 *dte = setup->words;
	unsigned bits = DTE_FIVE(dte) ? 57 : 48;

	*ret = (struct stage1_setup){.kind = STAGE1_BYPASS};
	if (!pasid && !(DTE_GIOV(dte)))
		return 0;
	if (!(DTE_GV(dte)))
		return DMA_FAULT_CONTEXT + 1;
	ret->kind = STAGE1_TABLES;
	ret->tables[0].config = (struct isolde_pt_config){
		.format = ISOLDE_PT_X86_64,
		.input_bits = bits,
		.half = ISOLDE_PT_BOTH,
		.features = ISOLDE_PT_DIRTY,
	};
	/* amd_iommu_domain_alloc_paging_v2() says so of PASID 0. */
	if (!pasid)
		ret->unsigned_bits = bits;
	return find_root(dte, reader, pasid, &ret->tables[0].root);
}
