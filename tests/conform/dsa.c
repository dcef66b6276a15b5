/* SPDX-License-Identifier: MIT */
#include "tests/conform/dsa.h"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
	CMD = 0xa0,
	CMDSTS = 0xa8,
	SWERR = 0xc0,
	GRPCFG = 0x400,
	WQCFG = 0x500,
	WQCFG_SIZE = 64,
	PORTALS_OF_A_QUEUE = 4 * 4096,
	ENABLE_DEVICE = 1,
	RESET_DEVICE = 5,
	ENABLE_QUEUE = 6,
	ENTRIES = 8,
	DEDICATED = 1,
	PRIORITY = 1 << 4,
	PASID_ENABLE = 1 << 28,
	LIMITS = 1 << 5 | 12, /* batches of 2, transfers of 4 KiB */
	COPY = 3,
	VALID_RECORD = 0xc, /* there is one, and it is wanted */
	PATIENCE = 60,	    /* seconds */
};

struct descriptor {
	u32 pasid, flags;
	u64 record, source, destination;
	u32 size, rest[7];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct descriptor) == 64, "a descriptor is 64 bytes");

static void put(const struct dsa *dsa, unsigned offset, u32 value)
{
	*(volatile u32 *)(dsa->registers + offset) = value;
}

static u32 get(const struct dsa *dsa, unsigned offset)
{
	return *(volatile const u32 *)(dsa->registers + offset);
}

static void wait_a_little(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	EXPECT_TRUE(now.tv_sec - since->tv_sec <= PATIENCE);
	usleep(50);
}

static struct timespec now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now;
}

static void command(const struct dsa *dsa, u32 number, u32 operand)
{
	const struct timespec start = now();

	put(dsa, CMD, number << 20 | operand);
	while (get(dsa, CMDSTS) >> 31)
		wait_a_little(&start);
	EXPECT_EQUAL(0, get(dsa, CMDSTS) & 0xff);
}

static void configure(const struct dsa *dsa, unsigned queue, u32 mode)
{
	unsigned at = WQCFG + queue * WQCFG_SIZE;

	put(dsa, at, ENTRIES);
	put(dsa, at + 4, ENTRIES); /* the threshold of shared ones */
	put(dsa, at + 8, mode | PRIORITY);
	put(dsa, at + 12, LIMITS);
}

static volatile u8 *map_region(int device, u32 index)
{
	struct vfio_region_info info = region_of(device, index);

	return mapped(mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)info.offset), info.size);
}

struct dsa start_dsa(int device, u32 pasid)
{
	struct dsa dsa = {.device = device};

	set_config(device, 4, 2, 6); /* memory, bus master */
	dsa.registers = map_region(device, 0);
	dsa.portals = map_region(device, 2);
	command(&dsa, RESET_DEVICE, 0);
	configure(&dsa, DSA_PLAIN, DEDICATED);
	configure(&dsa, DSA_DEDICATED, DEDICATED | PASID_ENABLE | pasid << 8);
	configure(&dsa, DSA_SHARED, PASID_ENABLE);
	put(&dsa, GRPCFG, (1 << DSA_QUEUES) - 1); /* all of them */
	put(&dsa, GRPCFG + 32, 1);		  /* and an engine */
	command(&dsa, ENABLE_DEVICE, 0);
	for (u32 queue = 0; queue < DSA_QUEUES; queue++)
		command(&dsa, ENABLE_QUEUE, queue);
	return dsa;
}

void unmap_dsa(struct dsa *dsa)
{
	unmap_mapped((void *)(uintptr_t)dsa->registers);
	unmap_mapped((void *)(uintptr_t)dsa->portals);
}

static void store(volatile u8 *portal, const struct descriptor *descriptor)
{
	/* movdir64b (%rdx), %rax */
	__asm__ volatile(".byte 0x66, 0x0f, 0x38, 0xf8, 0x02" : : "a"(portal), "d"(descriptor) : "memory");
}

/* False: the queue is full. */
static bool enqueue(volatile u8 *portal, const struct descriptor *descriptor)
{
	bool retry;

	/* enqcmd (%rdx), %rax */
	__asm__ volatile(".byte 0xf2, 0x0f, 0x38, 0xf8, 0x02\n\tsetz %0"
			 : "=q"(retry)
			 : "a"(portal), "d"(descriptor)
			 : "memory", "cc");
	return !retry;
}

void copy_dsa(const struct dsa *dsa, unsigned queue, u64 destination, u64 source, u64 record)
{
	volatile u8 *portal = dsa->portals + queue * PORTALS_OF_A_QUEUE;
	struct descriptor descriptor = {
		.flags = (u32)COPY << 24 | VALID_RECORD,
		.record = record,
		.source = source,
		.destination = destination,
		.size = 64,
	};

	if (queue == DSA_SHARED)
		EXPECT_TRUE(enqueue(portal, &descriptor));
	else
		store(portal, &descriptor);
}

bool has_dsa_error(const struct dsa *dsa)
{
	return get(dsa, SWERR) & 1;
}

u8 await_dsa(const struct dsa *dsa, volatile const u8 *record)
{
	const struct timespec start = now();

	while (!*record) {
		EXPECT_TRUE(!has_dsa_error(dsa));
		wait_a_little(&start);
	}
	return __atomic_load_n(record, __ATOMIC_ACQUIRE);
}

u32 await_dsa_error(const struct dsa *dsa)
{
	const struct timespec start = now();
	u32 pasid;

	while (!has_dsa_error(dsa))
		wait_a_little(&start);
	pasid = get(dsa, SWERR + 4) >> 8 & 0xfffff;
	put(dsa, SWERR, 3);
	return pasid;
}
