/* SPDX-License-Identifier: MIT */
/*
 * What the core costs: taking a group and giving it back, a PASID, a request of a device that the IOTLB knows or that
 * has to walk; and what becomes of requests when two devices make them at once. Nanoseconds per operation, the best of
 * several runs; beside them a copy of the same size and a mutex that nobody else wants.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/os.h"
#include "iommu/dma.h"
#include "iommu/own.h"
#include "iommu/pasid.h"
#include "iommu/port.h"
#include "mem/client.h"
#include "pci/caps.h"

enum { PAGES = 512, SIZE = 64, CYCLES = 2000, REQUESTS = 50000, RUNS = 100, THREADS = 2 };

struct room {
	struct iommu iommu;
	struct iommu_unit *unit;
	struct pci_function functions[THREADS];
	struct iommu_group *groups[THREADS];
	struct iommu_device *devices[THREADS];
	struct domain *domains[THREADS];
	struct client client;
	struct owner owner;
	u8 *memory;
	struct why why;
};

static void must(const struct room *room, int ret)
{
	if (ret == 0)
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

static void add_device(struct room *room, u8 index)
{
	const struct pci_identity identity = {.vendor = 0x1b36, .device = 0x10, .class_code = 0x010802};
	struct pci_function *function = &room->functions[index];

	pci_function_init(function, (struct pci_addr){0, index, 0}, &identity);
	pci_config_write(function, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	pci_add_pcie(function, PCIE_ENDPOINT, 0, true);
	pci_add_pasid(function, 8);
	must(room, iommu_group_add(&room->iommu, &room->groups[index], &room->why));
	must(room, iommu_device_add(room->groups[index], room->unit, function, &room->devices[index], &room->why));
	must(room, iommu_group_choose_default(room->groups[index], &room->why));
}

/* Page by page, so that no leaf of the table serves two. */
static void add_domain(struct room *room, unsigned index)
{
	struct area *area;

	must(room, domain_new(&room->iommu, room->unit, DOMAIN_PAGING, &room->domains[index], &room->why));
	for (u64 at = 0; at < PAGES * PAGE_SIZE; at += PAGE_SIZE)
		must(room, domain_map(room->domains[index], at, PAGE_SIZE, &room->client, (uintptr_t)room->memory + at,
				      ISOLDE_PT_READ, 0, &area, &room->why));
}

static void open_room(struct room *room)
{
	static const struct client_ops ops = {.free = free_nothing};
	const struct iommu_unit unit = {.name = "dmar0", .format = ISOLDE_PT_VTDSS, .width = 48, .max_pasids = 1 << 16};
	int fd = memfd_create("bench", 0);

	memset(room, 0, sizeof(*room));
	room->owner.describe = describe;
	if (fd < 0 || ftruncate(fd, PAGES * PAGE_SIZE) < 0)
		exit(1);
	room->memory = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	client_init(&room->client, &ops, getpid());
	iommu_init(&room->iommu);
	must(room, iommu_unit_add(&room->iommu, &unit, &room->unit, &room->why));
	for (u8 i = 0; i < THREADS; i++) {
		add_device(room, i);
		add_domain(room, i);
	}
	close(fd);
}

static void close_room(struct room *room)
{
	for (u8 i = 0; i < THREADS; i++)
		domain_free(room->domains[i]);
	iommu_fini(&room->iommu);
	for (u8 i = 0; i < THREADS; i++)
		pci_function_fini(&room->functions[i]);
	client_put(&room->client);
	munmap(room->memory, PAGES * PAGE_SIZE);
}

/* ---- one thing many times ---- */

/* What one thread does over and over. */
struct work {
	struct room *room;
	unsigned device;
	unsigned pages;	    /* that requests go round in: few are hits, many are misses */
	struct mutex mutex; /* for the peer */
	u8 buffer[SIZE];
	pthread_t thread;
};

static void own_group(struct work *work)
{
	struct room *room = work->room;

	for (unsigned i = 0; i < CYCLES; i++) {
		must(room, iommu_group_claim(room->groups[0], &room->owner, &room->why));
		must(room, iommu_attach_group(room->domains[0], room->groups[0], &room->why));
		iommu_detach_group(room->groups[0]);
		iommu_group_release(room->groups[0]);
	}
}

static void use_pasid(struct work *work)
{
	struct room *room = work->room;

	for (unsigned i = 0; i < CYCLES; i++) {
		must(room, iommu_attach_pasid(room->domains[0], room->devices[0], 5, NULL, &room->why));
		iommu_detach_pasid(room->devices[0], 5);
	}
}

static void request(struct work *work)
{
	struct dma_port *port = work->room->devices[work->device]->port;

	for (u64 i = 0; i < REQUESTS; i++)
		if (dma_read(port, i % work->pages * PAGE_SIZE, work->buffer, SIZE) != DMA_OK)
			exit(1);
}

static void copy(struct work *work)
{
	for (u64 i = 0; i < REQUESTS; i++) {
		memcpy(work->buffer, work->room->memory + i % work->pages * PAGE_SIZE, SIZE);
		__asm__ volatile("" ::: "memory");
	}
}

static void lock(struct work *work)
{
	for (unsigned i = 0; i < REQUESTS; i++) {
		mutex_lock(&work->mutex);
		mutex_unlock(&work->mutex);
	}
}

/* ---- measuring ---- */

/* Who does what, and on how many threads at once; device i works in domain i, or all in the first. */
struct row {
	const char *name;
	void (*work)(struct work *work);
	unsigned count, pages, threads;
	bool one_domain;
};

struct start {
	struct work work;
	const struct row *row;
	pthread_barrier_t *barrier;
	u64 since, until;
};

static void *run(void *argument)
{
	struct start *start = argument;

	pthread_barrier_wait(start->barrier);
	start->since = os_clock_ns();
	start->row->work(&start->work);
	start->until = os_clock_ns();
	return NULL;
}

/* From the first to begin to the last to end, per operation of each: one after the other would take twice as long. */
static double run_together(struct room *room, const struct row *row)
{
	struct start starts[THREADS];
	pthread_barrier_t barrier;
	u64 first = UINT64_MAX, last = 0;

	pthread_barrier_init(&barrier, NULL, row->threads);
	for (unsigned i = 0; i < row->threads; i++) {
		starts[i] = (struct start){
			.work = {.room = room, .device = i, .pages = row->pages}, .row = row, .barrier = &barrier};
		mutex_init(&starts[i].work.mutex, RANK_DEVICE);
		if (pthread_create(&starts[i].work.thread, NULL, run, &starts[i]))
			exit(1);
	}
	for (unsigned i = 0; i < row->threads; i++) {
		pthread_join(starts[i].work.thread, NULL);
		first = min_u64(first, starts[i].since);
		last = max_u64(last, starts[i].until);
		mutex_fini(&starts[i].work.mutex);
	}
	pthread_barrier_destroy(&barrier);
	return (double)(last - first) / row->count;
}

static void measure(struct room *room, const struct row *row)
{
	double best = 0;

	for (unsigned i = 0; row->work == request && i < THREADS; i++)
		must(room, iommu_attach_group(room->domains[row->one_domain ? 0 : i], room->groups[i], &room->why));
	for (unsigned i = 0; i < RUNS; i++) {
		double ns = run_together(room, row);

		best = i == 0 || ns < best ? ns : best;
	}
	printf("  %-44s %8.1f ns\n", row->name, best);
	for (unsigned i = 0; row->work == request && i < THREADS; i++)
		iommu_detach_group(room->groups[i]);
}

int main(void)
{
	static const struct row rows[] = {
		{"claim + attach + detach + release", own_group, CYCLES, 0, 1},
		{"PASID attach + detach", use_pasid, CYCLES, 0, 1},
		{"64 bytes by DMA, IOTLB hit", request, REQUESTS, 8, 1},
		{"64 bytes by DMA, IOTLB miss", request, REQUESTS, PAGES, 1},
		{"peer: 64 bytes copied", copy, REQUESTS, 8, 1},
		{"peer: mutex locked + unlocked", lock, REQUESTS, 0, 1},
		{"two devices in one domain, hits", request, REQUESTS, 8, 2, true},
		{"two devices in one domain, misses", request, REQUESTS, PAGES, 2, true},
		{"two devices in two domains, hits", request, REQUESTS, 8, 2},
		{"two devices in two domains, misses", request, REQUESTS, PAGES, 2},
		{"peer: 64 bytes copied, two threads", copy, REQUESTS, 8, 2},
		{"peer: a mutex each, two threads", lock, REQUESTS, 0, 2},
	};
	struct room room;

	open_room(&room);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		measure(&room, &rows[i]);
	close_room(&room);
	return 0;
}
