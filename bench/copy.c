/* SPDX-License-Identifier: MIT */
/*
 * What a copy costs when a device makes it: IOAT and DSA, through the IOMMU, in pieces of several sizes, beside memcpy
 * of the same memory. The driver's memory is this process's own, as for a program that embeds isolde, or another
 * process's, as for one in a room: a shared file, or private, in small pages or huge ones. Gigabytes per second, the
 * best of several runs.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/os.h"
#include "dev/dsa_regs.h"
#include "dev/ioat_regs.h"
#include "dev/model.h"
#include "iommu/attach.h"
#include "iommu/own.h"
#include "mem/client.h"

/* Descriptors and records first, then sources, then destinations: more than any cache of one core. */
enum { HALF = 32 << 20, CONTROL = 2 << 20, MEMORY = CONTROL + 2 * HALF, RUNS = 7, PASSES = 3, MARK = 0x5a };

enum memory { OWN, SHARED_FILE, SMALL_PAGES, HUGE_PAGES };

struct room {
	struct mutex machine;
	struct iommu iommu;
	struct iommu_group *group;
	struct iommu_device *device;
	struct domain *domain;
	struct pci_function function;
	struct client client;
	struct owner owner;
	struct why why;
	u8 *place, *memory; /* the mapping, and the first address in it that may be a huge page's */
	pid_t other;	    /* 0: the memory is our own */
};

static void must(const struct room *room, int ret)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "%s\n", room->why.text);
	exit(1);
}

static const char *describe(const struct owner *owner, char *text, size_t size)
{
	return strncpy(text, "the benchmark", size);
}

static void free_nothing(struct client *client)
{
}

/* ---- the room ---- */

static u64 source(u32 at)
{
	return CONTROL + (u64)at;
}

static u64 destination(u32 at)
{
	return CONTROL + HALF + (u64)at;
}

static void fill(u8 *data)
{
	memset(data, MARK, HALF);
	memset(data + HALF, 0, HALF);
}

/* The other process does nothing but have the memory; where that is private, it makes it its own. */
static void be_the_other(u8 *data, const int ready[2])
{
	fill(data);
	if (write(ready[1], "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void start_other(struct room *room)
{
	int ready[2];
	char byte;

	if (pipe(ready) < 0)
		exit(1);
	room->other = fork();
	if (room->other == 0)
		be_the_other(room->memory + CONTROL, ready);
	if (room->other < 0 || read(ready[0], &byte, 1) != 1)
		exit(1);
	close(ready[0]);
	close(ready[1]);
}

static void must_map(u8 *place, size_t size, int flags, int fd)
{
	if (mmap(place, size, PROT_READ | PROT_WRITE, MAP_FIXED | flags, fd, 0) == MAP_FAILED)
		exit(1);
}

/* Descriptors and records are shared in any case: we write and read them. */
static void make_memory(struct room *room, enum memory kind)
{
	static const struct client_ops ops = {.free = free_nothing};
	int fd = memfd_create("bench", 0);

	room->place = mmap(NULL, MEMORY + CONTROL, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || ftruncate(fd, MEMORY) < 0 || room->place == MAP_FAILED)
		exit(1);
	room->memory = (u8 *)(uintptr_t)align_up((uintptr_t)room->place, CONTROL);
	must_map(room->memory, MEMORY, MAP_SHARED, fd);
	if (kind != SHARED_FILE) {
		must_map(room->memory + CONTROL, 2 * HALF, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		madvise(room->memory + CONTROL, 2 * HALF, kind == HUGE_PAGES ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	}
	if (kind == OWN)
		fill(room->memory + CONTROL);
	else
		start_other(room);
	close(fd);
	client_init(&room->client, &ops, room->other ? room->other : getpid());
}

static bool all_copied(const struct room *room)
{
	static u8 piece[CONTROL];

	for (u32 at = 0; at < HALF; at += sizeof(piece)) {
		struct iovec here = {piece, sizeof(piece)}, there = {room->memory + destination(at), sizeof(piece)};

		if (process_vm_readv(room->client.pid, &here, 1, &there, 1, 0) != sizeof(piece) || piece[0] != MARK ||
		    memcmp(piece, piece + 1, sizeof(piece) - 1) != 0)
			return false;
	}
	return true;
}

static void open_room(struct room *room, const char *name, enum memory kind)
{
	const struct iommu_unit description = {.name = "dmar0", .format = ISOLDE_PT_VTDSS, .width = 48};
	const struct model_options options = {.count = 0};
	const struct model *model = model_find(name);
	struct iommu_unit *unit;
	struct area *area;

	memset(room, 0, sizeof(*room));
	make_memory(room, kind);
	room->owner.describe = describe;
	mutex_init(&room->machine, RANK_MACHINE);
	mutex_lock(&room->machine);
	pci_function_init(&room->function, (struct pci_addr){.bus = 1}, &model->identity);
	pci_add_pcie(&room->function, PCIE_RC_ENDPOINT, 0, true);
	model->build(&room->function, &options);
	must(room, pci_allocate_bars(&room->function, &room->why));
	iommu_init(&room->iommu);
	must(room, iommu_unit_add(&room->iommu, &description, &unit, &room->why));
	must(room, iommu_group_add(&room->iommu, &room->group, &room->why));
	must(room, iommu_device_add(room->group, unit, &room->function, &room->device, &room->why));
	must(room, iommu_group_choose_default(room->group, &room->why));
	must(room, domain_new(&room->iommu, unit, DOMAIN_PAGING, &room->domain, &room->why));
	must(room, domain_map(room->domain, 0, MEMORY, &room->client, (uintptr_t)room->memory,
			      ISOLDE_PT_READ | ISOLDE_PT_WRITE, 0, &area, &room->why));
	must(room, iommu_group_claim(room->group, &room->owner, &room->why));
	must(room, iommu_attach_group(room->domain, room->group, &room->why));
	must(room, model->attach(&room->function, room->device->port, &options, &room->why));
	pci_config_write(&room->function, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	room->function.ops->opened(&room->function);
	mutex_unlock(&room->machine);
}

static void close_room(struct room *room)
{
	mutex_lock(&room->machine);
	room->function.ops->closed(&room->function);
	iommu_detach_group(room->group);
	iommu_group_release(room->group);
	domain_free(room->domain);
	pci_function_fini(&room->function);
	iommu_fini(&room->iommu);
	mutex_unlock(&room->machine);
	client_put(&room->client);
	if (room->other) {
		kill(room->other, SIGKILL);
		waitpid(room->other, NULL, 0);
	}
	munmap(room->place, MEMORY + CONTROL);
}

static void store(struct room *room, unsigned bar, u64 offset, const void *data, unsigned width)
{
	struct pci_access access = {.kind = PCI_ACCESS_STORE, .bar = bar, .offset = offset, .width = width};

	memcpy(access.data, data, width);
	mutex_lock(&room->machine);
	room->function.ops->access(&room->function, &access);
	mutex_unlock(&room->machine);
}

static void store_value(struct room *room, u64 offset, unsigned width, u64 value)
{
	store(room, 0, offset, &value, width);
}

/* ---- one pass over the memory ---- */

struct row {
	const char *device; /* NULL: memcpy */
	enum memory memory;
	void (*start)(struct room *room);
	void (*pass)(struct room *room, u32 size);
};

static void wait_for(const u8 *byte)
{
	while (!__atomic_load_n(byte, __ATOMIC_ACQUIRE))
		os_yield();
}

static void pass_memcpy(struct room *room, u32 size)
{
	for (u32 at = 0; at < HALF; at += size) {
		memcpy(room->memory + destination(at), room->memory + source(at), size);
		__asm__ volatile("" ::: "memory");
	}
}

/* A chain, and one store that starts it; the last descriptor is written to memory. */
static void pass_ioat(struct room *room, u32 size)
{
	struct ioat_descriptor *chain = (void *)room->memory;
	u8 *completion = room->memory + CONTROL - 64;
	u32 count = HALF / size;

	for (u32 i = 0; i < count; i++)
		chain[i] = (struct ioat_descriptor){.size = size,
						    .control = i == count - 1 ? IOAT_CONTROL_COMPLETION : 0,
						    .source = source(i * size),
						    .destination = destination(i * size),
						    .next = (i + 1) * sizeof(*chain)};
	*completion = 0;
	store_value(room, IOAT_CHANCMD, 1, IOAT_CHANCMD_RESET);
	store_value(room, IOAT_CHANCMP, 8, CONTROL - 64);
	store_value(room, IOAT_CHAINADDR, 8, 0);
	store_value(room, IOAT_DMACOUNT, 2, count);
	wait_for(completion);
}

static void start_dsa(struct room *room)
{
	store_value(room, DSA_CMD, 4, DSA_RESET_DEVICE << 20);
	store_value(room, DSA_WQCFG, 4, 128);
	store_value(room, DSA_WQCFG + 4 * DSA_WQ_MODE, 4, 0x11);
	store_value(room, DSA_WQCFG + 4 * DSA_WQ_LIMITS, 4, 10 << 5 | 31);
	store_value(room, DSA_GRPCFG, 8, 1);
	store_value(room, DSA_GRPCFG + 32, 8, 1);
	store_value(room, DSA_CMD, 4, DSA_ENABLE_DEVICE << 20);
	store_value(room, DSA_CMD, 4, DSA_ENABLE_WQ << 20);
}

/* As many as the queue holds, each by a store of 64 bytes; the last of them is waited for. */
static void pass_dsa(struct room *room, u32 size)
{
	enum { DEPTH = 64 };
	u8 *record = room->memory;
	u32 count = HALF / size;

	for (u32 i = 0; i < count; i++) {
		bool last = i % DEPTH == DEPTH - 1 || i == count - 1;
		struct dsa_descriptor descriptor = {.flags = DSA_OP_MOVE << 24 | DSA_RECORD_VALID |
							     (last ? DSA_WANT_RECORD : 0),
						    .source = source(i * size),
						    .destination = destination(i * size),
						    .size = size};

		if (last)
			*record = 0;
		store(room, 2, 0, &descriptor, sizeof(descriptor));
		if (last)
			wait_for(record);
	}
}

/* ---- measuring ---- */

static double measure(struct room *room, const struct row *row, u32 size)
{
	double best = 0;

	for (unsigned run = 0; run < RUNS; run++) {
		u64 start = os_clock_ns();
		double rate;

		for (unsigned i = 0; i < PASSES; i++)
			row->pass(room, size);
		rate = (double)HALF * PASSES / (double)(os_clock_ns() - start);
		best = rate > best ? rate : best;
	}
	if (!all_copied(room))
		exit(1);
	return best;
}

int main(void)
{
	static const struct row rows[] = {
		{NULL, OWN, NULL, pass_memcpy},
		{"ioat", OWN, NULL, pass_ioat},
		{"ioat", SHARED_FILE, NULL, pass_ioat},
		{"ioat", SMALL_PAGES, NULL, pass_ioat},
		{"ioat", HUGE_PAGES, NULL, pass_ioat},
		{"dsa", OWN, start_dsa, pass_dsa},
		{"dsa", SHARED_FILE, start_dsa, pass_dsa},
		{"dsa", SMALL_PAGES, start_dsa, pass_dsa},
		{"dsa", HUGE_PAGES, start_dsa, pass_dsa},
	};
	static const char *const memories[] = {"of our own", "of a file", "of a process", "in huge pages"};
	static const u32 sizes[] = {4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20};

	printf("  GB/s in pieces of");
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		printf("%8u KiB", sizes[i] >> 10);
	printf("\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct room room;

		open_room(&room, rows[i].device ? rows[i].device : "dsa", rows[i].memory);
		if (rows[i].start)
			rows[i].start(&room);
		printf("  %-5s%-13s",
		       rows[i].device ? rows[i].device : "peer:", rows[i].device ? memories[rows[i].memory] : "memcpy");
		for (size_t n = 0; n < ARRAY_SIZE(sizes); n++)
			printf("%12.2f", measure(&room, &rows[i], sizes[n]));
		printf("\n");
		close_room(&room);
	}
	return 0;
}
