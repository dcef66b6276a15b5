/* SPDX-License-Identifier: MIT */
/* SMMUv3: a stream's table of context descriptors (Arm IHI 0070 sections 5.2 and 5.4), one for each substream (PASID).
 */
#include "iommu/kind.h"
#include "iommu/stage1.h"

enum { CFG_ABORT = 0, CFG_BYPASS = 4, CFG_STAGE1 = 5 };
enum { FORMAT_LINEAR, FORMAT_4K, FORMAT_64K };
enum { NO_SUBSTREAM_ABORTS, NO_SUBSTREAM_BYPASSES, NO_SUBSTREAM_IS_0 };

#define STE_VALID	   BIT(0)
#define STE_CONFIG(ste)	   ((ste)[0] >> 1 & 7)
#define STE_FORMAT(ste)	   ((ste)[0] >> 4 & 3)
#define STE_CONTEXTS(ste)  ((ste)[0] & MASK(51, 6))
#define STE_SSID_BITS(ste) ((ste)[0] >> 59)
#define STE_DEFAULT(ste)   ((ste)[1] & 3)

#define CD_SIZE	     64
#define CD_VALID     BIT(31)
#define CD_AA64	     BIT(41)
#define CD_BIG	     BIT(15)
#define CD_HW_ACCESS BIT(43)
#define CD_ASID(cd)  ((u32)((cd)[0] >> 48))

/* Where the descriptor of a substream is; 0, or a reason plus one. */
static int locate(const u64 *ste, struct stage1_reader *reader, u32 substream, u64 *ret)
{
	unsigned leaf_shift = STE_FORMAT(ste) == FORMAT_64K ? 10 : 6;
	u64 entry;

	*ret = STE_CONTEXTS(ste) + (u64)substream * CD_SIZE;
	if (STE_FORMAT(ste) == FORMAT_LINEAR || !STE_SSID_BITS(ste))
		return 0;
	if (!nested_read(reader, STE_CONTEXTS(ste) + (substream >> leaf_shift) * sizeof(entry), &entry, 1))
		return reader->reason;
	if (!(entry & BIT(0)) || STE_FORMAT(ste) > FORMAT_64K)
		return DMA_FAULT_CONTEXT + 1;
	*ret = (entry & MASK(51, 12)) + (substream & MASK(leaf_shift - 1, 0)) * CD_SIZE;
	return 0;
}

/* The granule of TG0 and TG1, whose numbers differ, if the unit has it. */
static unsigned granule_of(u64 field, bool upper, u64 idr5)
{
	static const unsigned granules[2][4] = {{0x1000, 0x10000, 0x4000, 0}, {0, 0x4000, 0x1000, 0x10000}};
	unsigned granule = granules[upper][field & 3];

	return granule && idr5 & (granule == 0x1000 ? BIT(4) : granule == 0x4000 ? BIT(5) : BIT(6)) ? granule : 0;
}

static unsigned output_bits(u64 field)
{
	static const unsigned char bits[] = {32, 36, 40, 42, 44, SMMU_OUTPUT_BITS, SMMU_OUTPUT_BITS, SMMU_OUTPUT_BITS};

	return bits[field & 7];
}

/* One half of the addresses: size, granule and "disabled" are at the same places of two fields. */
static bool read_half(const struct nested_setup *setup, const u64 *cd, bool upper, struct stage1_setup *ret)
{
	u64 control = cd[0] >> (upper ? 16 : 0);
	unsigned unused_bits = control & 0x3f, granule = granule_of(control >> 6, upper, setup->words[3]);
	struct isolde_pt_config *config = &ret->tables[upper].config;

	if (unused_bits < 16 || unused_bits > 39 || !granule)
		return false;
	*config = (struct isolde_pt_config){
		.format = ISOLDE_PT_ARM64_S1,
		.input_bits = 64 - unused_bits,
		.output_bits = output_bits(cd[0] >> 32),
		.granule = granule,
		.half = upper ? ISOLDE_PT_UPPER : ISOLDE_PT_LOWER,
		.memory.big_endian = cd[0] & CD_BIG,
	};
	/* Hardware that can marks pages as accessed and dirty together. */
	if (SMMU_IDR0_HTTU(setup->words[2]) && cd[0] & CD_HW_ACCESS)
		config->features = ISOLDE_PT_DIRTY;
	ret->tables[upper].root = cd[1 + upper] & MASK(51, 4);
	return true;
}

/* A half whose walks are disabled (EPD) translates nothing: as a table would that has no entries. */
static int read_descriptor(const struct nested_setup *setup, const u64 *cd, struct stage1_setup *ret)
{
	bool lower = !(cd[0] & BIT(14)), upper = !(cd[0] & BIT(30));

	if (!(cd[0] & CD_VALID) || !(cd[0] & CD_AA64) || (!lower && !upper))
		return DMA_FAULT_CONTEXT + 1;
	*ret = (struct stage1_setup){.kind = STAGE1_TABLES, .upper = upper, .no_lower = !lower, .asid = CD_ASID(cd)};
	if ((lower && !read_half(setup, cd, false, ret)) || (upper && !read_half(setup, cd, true, ret)))
		return DMA_FAULT_CONTEXT + 1;
	return 0;
}

/* What requests without PASID are; false: like those with substream 0. */
static bool without_substream(const u64 *ste, struct stage1_setup *ret)
{
	if (!STE_SSID_BITS(ste) || STE_DEFAULT(ste) == NO_SUBSTREAM_IS_0)
		return false;
	ret->kind = STE_DEFAULT(ste) == NO_SUBSTREAM_BYPASSES ? STAGE1_BYPASS : STAGE1_ABORT;
	return true;
}

int smmu_find_context(const struct nested_setup *setup, struct stage1_reader *reader, u32 pasid,
		      struct stage1_setup *ret)
{
	const u64 *ste = setup->words;
	u64 cd[3], address;
	int reason;

	*ret = (struct stage1_setup){.kind = STAGE1_ABORT};
	if (!(ste[0] & STE_VALID) || STE_CONFIG(ste) == CFG_ABORT)
		return 0;
	if (STE_CONFIG(ste) == CFG_BYPASS) {
		ret->kind = STAGE1_BYPASS;
		return 0;
	}
	if (!pasid && without_substream(ste, ret))
		return 0;
	if (pasid >> STE_SSID_BITS(ste))
		return DMA_FAULT_CONTEXT + 1;
	reason = locate(ste, reader, pasid, &address);
	if (reason)
		return reason;
	return nested_read(reader, address, cd, 3) ? read_descriptor(setup, cd, ret) : reader->reason;
}
