/* SPDX-License-Identifier: MIT */
/*
 * isolde/pt.h alone: an Arm stage 2 table that lives in a guest's memory, a device that walks it, and an unmap that
 * waits for the device before it frees tables.
 */
#include <isolde/pt.h>
#include <stdio.h>
#include <stdlib.h>

/* The guest's memory: 1 MiB at guest address 0x80000000; the first half of it is for tables, handed out once. */
struct guest {
	char *memory;
	size_t used;
};

static const uint64_t guest_base = 0x80000000, guest_size = 0x100000;

static void *allocate(void *context, size_t size, size_t alignment)
{
	struct guest *guest = context;
	size_t at = (guest->used + alignment - 1) & ~(alignment - 1);

	if (at + size > guest_size / 2)
		return NULL;
	guest->used = at + size;
	return guest->memory + at;
}

static void release(void *context, void *table, size_t size)
{
	const struct guest *guest = context;

	printf("%zu bytes at 0x%llx are free again\n", size,
	       (unsigned long long)guest_base + (unsigned long long)((const char *)table - guest->memory));
}

static uint64_t address(void *context, const void *table)
{
	const struct guest *guest = context;

	return guest_base + (uint64_t)((const char *)table - guest->memory);
}

static void *table(void *context, uint64_t at, size_t size)
{
	const struct guest *guest = context;

	if (at < guest_base || at - guest_base > guest_size - size)
		return NULL;
	return guest->memory + (at - guest_base);
}

/* What the device's IOMMU would do; prints it. */
static enum isolde_pt_fault access(const struct isolde_pt *pt, uint64_t iova, unsigned wanted)
{
	static const char *const faults[ISOLDE_PT_FAULTS] = {"",
							     "not present",
							     "permission",
							     "address",
							     "reserved bit",
							     "access flag",
							     "output address",
							     "no table there"};
	struct isolde_pt_walk walk;
	enum isolde_pt_fault fault = isolde_pt_walk(pt, iova, wanted, &walk);

	if (fault == ISOLDE_PT_OK)
		printf("0x%llx -> 0x%llx, in a leaf of 0x%llx bytes\n", (unsigned long long)iova,
		       (unsigned long long)walk.physical, (unsigned long long)walk.leaf_size);
	else
		printf("0x%llx faults: %s\n", (unsigned long long)iova, faults[fault]);
	return fault;
}

static int demonstrate(struct isolde_pt *pt)
{
	const unsigned rw = ISOLDE_PT_READ | ISOLDE_PT_WRITE;
	struct isolde_pt_gather gather = ISOLDE_PT_GATHER_INIT;
	uint64_t removed = 0;

	/* 2 MiB and 64 KiB: one block, and sixteen pages that the contiguous hint makes one leaf. */
	if (isolde_pt_map(pt, 0x40000000, 0x900000000, 0x210000, rw, &gather) < 0 ||
	    isolde_pt_map(pt, 0x50000000, 0xa00001000, 0x200000, ISOLDE_PT_READ, &gather) < 0)
		return 1;
	if (access(pt, 0x40000123, ISOLDE_PT_WRITE) != ISOLDE_PT_OK ||
	    access(pt, 0x40201234, ISOLDE_PT_READ) != ISOLDE_PT_OK ||
	    access(pt, 0x50000000, ISOLDE_PT_WRITE) != ISOLDE_PT_PERMISSION ||
	    access(pt, 0x60000000, ISOLDE_PT_READ) != ISOLDE_PT_NOT_PRESENT)
		return 1;
	if (isolde_pt_unmap(pt, 0x50000000, 0x200000, &gather, &removed) < 0 || removed != 0x200000)
		return 1;
	/* Here a driver invalidates gather.start to gather.last, and table caches when gather.tables is not zero. */
	printf("invalidate 0x%llx to 0x%llx; %zu table waits\n", (unsigned long long)gather.start,
	       (unsigned long long)gather.last, gather.tables);
	if (gather.tables != 1)
		return 1;
	isolde_pt_gather_drain(pt, &gather);
	return access(pt, 0x50000000, ISOLDE_PT_READ) == ISOLDE_PT_NOT_PRESENT ? 0 : 1;
}

int main(void)
{
	struct guest guest = {.memory = aligned_alloc(0x1000, guest_size)};
	const struct isolde_pt_config config = {
		.size = sizeof(config),
		.format = ISOLDE_PT_ARM64_S2,
		.input_bits = 40,
		.features = ISOLDE_PT_CONTIGUOUS,
		.memory = {.allocate = allocate,
			   .release = release,
			   .address = address,
			   .table = table,
			   .context = &guest},
	};
	struct isolde_pt *pt = NULL;
	unsigned levels;
	int failed = 1;

	if (guest.memory && isolde_pt_new(&config, &pt) == 0) {
		printf("VTTBR points to 0x%llx, ", (unsigned long long)isolde_pt_root(pt, &levels));
		printf("%u levels\n", levels);
		failed = demonstrate(pt);
	}
	isolde_pt_free(pt);
	free(guest.memory);
	return failed;
}
