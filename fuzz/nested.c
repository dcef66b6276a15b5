/* SPDX-License-Identifier: MIT */
/*
 * Hostile guests: nested domains of any words at all, tables of any bits, commands of any kind, while a device works
 * and the host maps and unmaps. Nothing breaks, and the machine's invariants hold. The input: one byte chooses the
 * IOMMU, then steps of 16 bytes.
 */
#include "tests/fixtures/vendor_room.h"

#define STEPS	64u
#define DOMAINS 4u

struct step {
	u8 action, which;
	u16 small; /* an index, a PASID */
	u32 middle;
	u64 value;
} __attribute__((packed));

struct play {
	struct vendor_room room;
	enum unit_kind kind;
	u32 parent, viommu, vdevice; /* 0: there is none */
	u32 nested[DOMAINS];
	bool mapped, attached;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct iommu_unit units[] = {
	{.name = "dmar0",
	 .width = 48,
	 .cap = INTEL_CAP_GIGABYTES | INTEL_CAP_FIVE_LEVELS,
	 .ecap = INTEL_ECAP_PASS_THROUGH | INTEL_ECAP_SCALABLE | INTEL_ECAP_FIRST_STAGE | INTEL_ECAP_SECOND_STAGE |
		 INTEL_ECAP_SNOOP_CONTROL | INTEL_ECAP_NESTING | INTEL_ECAP_PASID | INTEL_ECAP_SUPERVISOR |
		 INTEL_ECAP_EXTENDED_A,
	 .max_pasids = 1 << 20},
	{.name = "ivhd0",
	 .kind = KIND_AMD,
	 .width = 64,
	 .efr = AMD_EFR_GUEST | AMD_EFR_GIO | 1ull << 12,
	 .efr2 = AMD_EFR2_GCR3_PHYSICAL,
	 .max_pasids = (1 << 20) - 1},
	{.name = "smmu3.0x0000000009050000",
	 .kind = KIND_SMMU,
	 .width = 48,
	 .idr = {SMMU_IDR0_STAGE1 | SMMU_IDR0_STAGE2 | SMMU_IDR0_COHERENT | 2 << 6, 20 << 6, 0, SMMU_IDR3_FORCE_WB, 0,
		 5 | 7 << 4},
	 .max_pasids = 1 << 20},
};

/* An address in the guest's memory, so that what is random meets something. */
static u64 into_memory(u64 value)
{
	return VENDOR_BASE + (value & (VENDOR_SIZE / 16 - 1) & ~63ull);
}

static void write_memory(struct play *play, const struct step *step)
{
	u64 value = step->value;

	if (step->which & 1)
		value = (value & ~MASK(51, 12)) | (into_memory(step->middle) & MASK(51, 12));
	if (play->mapped)
		put_u64(play->room.memory + (u64)step->small * 8 % (VENDOR_SIZE / 16), value);
}

static void map_or_unmap(struct play *play)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap), .ioas_id = play->room.ioas, .iova = VENDOR_BASE, .length = VENDOR_SIZE};

	if (play->mapped)
		vendor_ask(&play->room, IOMMU_IOAS_UNMAP, &unmap);
	else
		vendor_map(&play->room);
	play->mapped = !play->mapped;
}

/* The vendor's structure from two random numbers, some of whose bits are what makes sense. */
static u32 fill_words(const struct play *play, const struct step *step, u64 words[4])
{
	u64 place = step->which & 4 ? into_memory(step->middle) : (u64)step->middle << 12;

	memset(words, 0, 4 * sizeof(words[0]));
	switch (play->kind) {
	case KIND_INTEL:
		words[0] = step->value & 7;
		words[1] = place;
		words[2] = step->value & 8 ? 57 : 48;
		return 24;
	case KIND_AMD:
		words[0] = (step->value & (MASK(63, 52) | 3)) | BIT(0);
		words[1] = (place >> 15 & 0xffff) << 16 | place >> 31 << 43 | step->small;
		words[2] = (step->value & 1) << 54;
		return 32;
	default:
		words[0] = (step->value & (MASK(5, 0) | MASK(63, 59))) | (place & MASK(51, 6));
		words[1] = step->value >> 8 & (MASK(7, 0) | BIT(27) | MASK(29, 28));
		return 16;
	}
}

static void make_nested(struct play *play, const struct step *step)
{
	static const u32 types[] = {IOMMU_HWPT_DATA_VTD_S1, IOMMU_HWPT_DATA_AMD_GUEST, IOMMU_HWPT_DATA_ARM_SMMUV3};
	u32 *nested = &play->nested[step->small % DOMAINS], on = play->kind == KIND_INTEL ? play->parent : play->viommu;
	struct iommu_hwpt_alloc cmd;
	u64 words[4];

	if (*nested)
		return;
	cmd = vendor_hwpt(&play->room, 0, on, 0, types[play->kind], words, fill_words(play, step, words));
	if (vendor_ask(&play->room, IOMMU_HWPT_ALLOC, &cmd) == 0)
		*nested = cmd.out_hwpt_id;
}

static void attach_or_detach(struct play *play, const struct step *step)
{
	struct iommufd_device *device = play->room.device[0];
	u32 id = play->nested[step->small % DOMAINS];
	struct why why = WHY_INIT;

	if (play->attached && step->which & 1) {
		iommufd_device_detach(device, 0);
		play->attached = false;
	} else if (id && play->attached) {
		iommufd_device_replace(device, 0, &id, &why);
	} else if (id) {
		play->attached = iommufd_device_attach(device, 0, &id, &why) == 0;
	}
}

static void destroy_nested(struct play *play, const struct step *step)
{
	struct iommu_destroy cmd = {sizeof(cmd), play->nested[step->small % DOMAINS]};

	if (vendor_ask(&play->room, IOMMU_DESTROY, &cmd) == 0)
		play->nested[step->small % DOMAINS] = 0;
}

static void invalidate(struct play *play, const struct step *step)
{
	u64 entry[3] = {step->value, (u64)step->middle << 4, step->which};
	bool smmu = play->kind == KIND_SMMU;
	struct iommu_hwpt_invalidate cmd = vendor_invalidate(smmu ? play->viommu : play->nested[step->small % DOMAINS],
							     smmu ? IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3
								  : IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
							     entry, smmu ? 16 : 24, 1);

	vendor_ask(&play->room, IOMMU_HWPT_INVALIDATE, &cmd);
}

static void transfer(struct play *play, const struct step *step)
{
	u8 bytes[64];
	const struct dma_segment segment = {step->value, bytes, 1 + step->which % sizeof(bytes)};
	u32 pasid = step->small & 1 ? step->small >> 1 | (step->middle & 0xf8000) : 0;

	memset(bytes, step->which, sizeof(bytes));
	if (step->action & 0x80)
		dma_writev_pasid(play->room.core[0]->port, pasid, &segment, 1);
	else
		dma_readv_pasid(play->room.core[0]->port, pasid, &segment, 1);
}

static void perform(struct play *play, const struct step *step)
{
	switch (step->action & 7) {
	case 0:
		make_nested(play, step);
		break;
	case 1:
		attach_or_detach(play, step);
		break;
	case 2:
		invalidate(play, step);
		break;
	case 3:
		if (step->which & 2)
			destroy_nested(play, step);
		else if (!(step->which & 0x1c))
			map_or_unmap(play);
		break;
	case 4:
	case 5:
		transfer(play, step);
		break;
	default:
		write_memory(play, step);
	}
}

static void begin(struct play *play, u8 choice)
{
	play->kind = choice % ARRAY_SIZE(units);
	vendor_init(&play->room, &units[play->kind]);
	play->mapped = true;
	play->parent = vendor_parent(&play->room, 0);
	if (play->kind == KIND_INTEL)
		return;
	play->viommu = vendor_viommu(&play->room, 0, 1, play->parent);
	play->vdevice = vendor_vdevice(&play->room, 0, play->viommu, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct play *play;
	struct step step;

	if (!size)
		return 0;
	play = calloc(1, sizeof(*play));
	if (!play)
		return 0;
	begin(play, data[0]);
	for (size_t at = 1, n = 0; at + sizeof(step) <= size && n < STEPS; at += sizeof(step), n++) {
		memcpy(&step, data + at, sizeof(step));
		perform(play, &step);
	}
	vendor_fini(&play->room);
	free(play);
	return 0;
}
