/* SPDX-License-Identifier: MIT */
/*
 * What /dev/iommu costs a program that has the machine inside of it: requests as they come in, with the structure
 * copied in and out, under one hold of the lock. Linux's own iommufd, native on this class of machine and net of the
 * system call, takes 1,199 + 803 ns for a map + unmap of 4 KiB (mock domain), 39 + 30 us of 2 MiB, 19.8 + 14.3 ms of
 * 1 GiB. Beside them what an allocation, a system call and a copy take here and now.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/os.h"
#include "iommu/own.h"
#include "iommufd/device.h"
#include "iommufd/hwpt.h"
#include "iommufd/ioas.h"
#include "iommufd/ioctl.h"
#include "isolde/isolde.h"
#include "pci/caps.h"

enum { RUNS = 30, MILLION = 1000000 };

struct bench {
	struct iommu iommu;
	struct iommu_unit *unit;
	struct pci_function function;
	struct iommu_group *group;
	struct iommu_device *device;
	struct iommufd iommufd;
	struct client client;
	struct file *file;
	struct context *context;
	u8 *memory; /* 1 GiB, of which few pages are there */
	struct why why;
};

static void must(struct bench *bench, long ret)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "%s: %s\n", why_code_name(bench->why.code), bench->why.text);
	exit(1);
}

static void ask(struct bench *bench, unsigned cmd, void *command)
{
	must(bench, bench->file->ops->ioctl(bench->file, &bench->client, cmd, (uintptr_t)command, &bench->why));
}

static void free_nothing(struct client *client)
{
}

static void open_bench(struct bench *bench)
{
	static const struct client_ops ops = {.free = free_nothing};
	const struct pci_identity identity = {.vendor = 0x1b36, .device = 0x10, .class_code = 0x010802};
	/* Scalable mode, coherent walks and dirty bits of the second stage (VT-d 5.0 section 11.4.3). */
	const struct iommu_unit unit = {
		.name = "dmar0",
		.format = ISOLDE_PT_VTDSS,
		.width = 48,
		.ecap = BIT(0) | BIT(6) | BIT(7) | BIT(43) | BIT(45) | BIT(46) | BIT(48),
	};

	memset(bench, 0, sizeof(*bench));
	iommu_init(&bench->iommu);
	client_init(&bench->client, &ops, getpid());
	must(bench, iommu_unit_add(&bench->iommu, &unit, &bench->unit, &bench->why));
	pci_function_init(&bench->function, (struct pci_addr){0, 1, 0}, &identity);
	pci_config_write(&bench->function, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	must(bench, iommu_group_add(&bench->iommu, &bench->group, &bench->why));
	must(bench, iommu_device_add(bench->group, bench->unit, &bench->function, &bench->device, &bench->why));
	must(bench, iommu_group_choose_default(bench->group, &bench->why));
	iommufd_init(&bench->iommufd, &bench->iommu);
	bench->iommufd.unsafe_interrupts = true;
	must(bench, iommufd_context_open(&bench->iommufd, &bench->client, &bench->file, &bench->why));
	bench->context = iommufd_context_of(bench->file);
	bench->memory = mmap(NULL, BIT(30), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bench->memory == MAP_FAILED)
		exit(1);
}

static void close_bench(struct bench *bench)
{
	bench->file->ops->release(bench->file);
	iommufd_fini(&bench->iommufd);
	client_put(&bench->client);
	iommu_fini(&bench->iommu);
	pci_function_fini(&bench->function);
	munmap(bench->memory, BIT(30));
}

static u32 new_ioas(struct bench *bench)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	ask(bench, IOMMU_IOAS_ALLOC, &alloc);
	return alloc.out_ioas_id;
}

static void destroy(struct bench *bench, u32 id)
{
	ask(bench, IOMMU_DESTROY, &(struct iommu_destroy){.size = sizeof(struct iommu_destroy), .id = id});
}

static u64 map(struct bench *bench, u32 ioas, u32 flags, u64 offset, u64 length, u64 iova)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = flags | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)bench->memory + offset,
		.length = length,
		.iova = iova,
	};

	ask(bench, IOMMU_IOAS_MAP, &map);
	return map.iova;
}

static u64 map_fixed(struct bench *bench, u32 ioas, u64 offset, u64 length, u64 iova)
{
	return map(bench, ioas, IOMMU_IOAS_MAP_FIXED_IOVA, offset, length, iova);
}

static void unmap(struct bench *bench, u32 ioas, u64 iova, u64 length)
{
	struct iommu_ioas_unmap unmap = {.size = sizeof(unmap), .ioas_id = ioas, .iova = iova, .length = length};

	ask(bench, IOMMU_IOAS_UNMAP, &unmap);
}

/* An IOAS with a hardware page table that a device is attached to. */
struct attached {
	u32 ioas, hwpt;
	struct iommufd_device *device;
};

static void attach(struct bench *bench, struct attached *attached, u32 flags)
{
	struct iommu_hwpt_alloc alloc = {.size = sizeof(alloc), .flags = flags};

	attached->ioas = new_ioas(bench);
	must(bench, iommufd_device_bind(bench->context, bench->device, &attached->device, &bench->why));
	alloc.dev_id = attached->device->object.id;
	alloc.pt_id = attached->ioas;
	ask(bench, IOMMU_HWPT_ALLOC, &alloc);
	attached->hwpt = alloc.out_hwpt_id;
	must(bench, iommufd_device_attach(attached->device, 0, &alloc.out_hwpt_id, &bench->why));
}

static void detach(struct bench *bench, struct attached *attached)
{
	iommufd_device_detach(attached->device, 0);
	destroy(bench, attached->hwpt);
	iommufd_device_unbind(attached->device);
	destroy(bench, attached->ioas);
}

/* ---- measuring ---- */

static void say(const char *name, double ns)
{
	if (ns < 10000)
		printf("  %-58s %10.1f ns\n", name, ns);
	else if (ns < 10000000)
		printf("  %-58s %10.1f us\n", name, ns / 1e3);
	else
		printf("  %-58s %10.1f ms\n", name, ns / 1e6);
}

/* This thread's own time: others may be building. */
static u64 cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

/* The best of several runs of count operations each. */
#define MEASURE(name, runs, count, ...)                                                                                \
	do {                                                                                                           \
		double best_ = 0;                                                                                      \
		for (unsigned run_ = 0; run_ < (runs); run_++) {                                                       \
			u64 since_ = cpu_ns();                                                                         \
			for (u64 turn = 0; turn < (count); turn++) {                                                   \
				__VA_ARGS__;                                                                           \
			}                                                                                              \
			double ns_ = (double)(cpu_ns() - since_) / (double)(count);                                    \
			best_ = run_ == 0 || ns_ < best_ ? ns_ : best_;                                                \
		}                                                                                                      \
		say(name, best_);                                                                                      \
	} while (0)

static void measure_peers(struct bench *bench)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	static u8 buffer[PAGE_SIZE];

	MEASURE("peer: malloc + free of 184 bytes", RUNS, 10000, {
		void *memory = malloc(184);

		__asm__ volatile("" : : "r"(memory) : "memory");
		free(memory);
	});
	MEASURE("peer: a system call (getppid)", RUNS, 10000, syscall(SYS_getppid));
	MEASURE("peer: a system call (capget), which a map makes", RUNS, 10000, syscall(SYS_capget, &header, data));
	MEASURE("peer: 4 KiB copied", RUNS, 10000, {
		memcpy(buffer, bench->memory, PAGE_SIZE);
		__asm__ volatile("" : : "r"(buffer) : "memory");
	});
}

static void measure_pairs(struct bench *bench)
{
	static const struct {
		u64 size;
		const char *name, *bare;
	} sizes[] = {
		{PAGE_SIZE, "4 KiB map + unmap, attached", "4 KiB map + unmap, no device"},
		{0x10000, "64 KiB map + unmap, attached", "64 KiB map + unmap, no device"},
		{BIT(21), "2 MiB map + unmap, attached", "2 MiB map + unmap, no device"},
		{BIT(30), "1 GiB map + unmap, attached", "1 GiB map + unmap, no device"},
	};
	struct attached attached;
	u32 bare = new_ioas(bench);

	attach(bench, &attached, 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		MEASURE(sizes[i].name, RUNS, 2000, {
			map_fixed(bench, attached.ioas, 0, sizes[i].size, BIT(30));
			unmap(bench, attached.ioas, BIT(30), sizes[i].size);
		});
		MEASURE(sizes[i].bare, RUNS, 2000, {
			map_fixed(bench, bare, 0, sizes[i].size, BIT(30));
			unmap(bench, bare, BIT(30), sizes[i].size);
		});
	}
	map_fixed(bench, bare, 0, BIT(21), BIT(30));
	MEASURE("4 KiB copy + unmap, attached", RUNS, 2000, {
		struct iommu_ioas_copy copy = {
			.size = sizeof(copy),
			.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
			.dst_ioas_id = attached.ioas,
			.src_ioas_id = bare,
			.length = PAGE_SIZE,
			.dst_iova = BIT(31),
			.src_iova = BIT(30) + PAGE_SIZE,
		};

		ask(bench, IOMMU_IOAS_COPY, &copy);
		unmap(bench, attached.ioas, BIT(31), PAGE_SIZE);
	});
	detach(bench, &attached);
	destroy(bench, bare);
}

/* The same as a program's call of the library: which file the descriptor is, and what was closed, is asked of the host.
 */
static void measure_library(void)
{
	static u8 memory[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct isolde_machine *machine;
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.user_va = (uintptr_t)memory,
		.length = PAGE_SIZE,
		.iova = BIT(30),
	};
	struct iommu_ioas_unmap unmap = {.size = sizeof(unmap), .iova = BIT(30), .length = PAGE_SIZE};
	int fd;

	if (isolde_machine_new(NULL, &machine, NULL) < 0)
		exit(1);
	fd = isolde_open(machine, "/dev/iommu", O_RDWR | O_CLOEXEC, NULL);
	if (isolde_ioctl(machine, fd, IOMMU_IOAS_ALLOC, &alloc, NULL) < 0)
		exit(1);
	map.ioas_id = unmap.ioas_id = alloc.out_ioas_id;
	MEASURE("4 KiB map + unmap, no device, by isolde_ioctl()", RUNS, 2000, {
		if (isolde_ioctl(machine, fd, IOMMU_IOAS_MAP, &map, NULL) < 0 ||
		    isolde_ioctl(machine, fd, IOMMU_IOAS_UNMAP, &unmap, NULL) < 0)
			exit(1);
	});
	isolde_close(machine, fd);
	isolde_machine_free(machine);
}

/* ---- many areas ---- */

static size_t heap_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static u64 random_state = 88172645463325252ull;

static u64 draw(u64 below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

/* A million pages of IOVAs from 1 GiB on; their memory goes round in 64 MiB. */
static u64 iova_of(u64 index)
{
	return BIT(30) + index * PAGE_SIZE;
}

static void map_index(struct bench *bench, u32 ioas, u64 index)
{
	map_fixed(bench, ioas, index % 0x4000 * PAGE_SIZE, PAGE_SIZE, iova_of(index));
}

static void measure_million(struct bench *bench)
{
	struct attached attached;
	size_t before, tables;

	attach(bench, &attached, 0);
	before = heap_bytes();
	MEASURE("1,000,000 areas: each map, ascending", 1, MILLION, map_index(bench, attached.ioas, turn));
	tables = 8 * MILLION + MILLION / 512 * 8;
	printf("  %-58s %10.1f bytes\n", "1,000,000 areas: each, without the I/O page table",
	       (double)(heap_bytes() - before - tables) / MILLION);
	MEASURE("1,000,000 areas: unmap + map of one, at random", 1, MILLION / 4, {
		u64 index = draw(MILLION);

		unmap(bench, attached.ioas, iova_of(index), PAGE_SIZE);
		map_index(bench, attached.ioas, index);
	});
	MEASURE("1,000,000 areas: all unmapped in one call", 1, 1, unmap(bench, attached.ioas, 0, UINT64_MAX));
	detach(bench, &attached);
}

static void measure_copies(struct bench *bench)
{
	u32 from = new_ioas(bench), to = new_ioas(bench);
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.dst_ioas_id = to,
		.src_ioas_id = from,
		.length = MILLION / 10 * PAGE_SIZE,
		.dst_iova = BIT(30),
		.src_iova = BIT(30),
	};

	for (u64 i = 0; i < MILLION / 10; i++)
		map_index(bench, from, i);
	MEASURE("100,000 areas copied in one call, and unmapped", 5, 1, {
		ask(bench, IOMMU_IOAS_COPY, &copy);
		unmap(bench, to, 0, UINT64_MAX);
	});
	destroy(bench, from);
	destroy(bench, to);
}

/* ---- chosen IOVAs ---- */

/* 4 GiB are allowed, percent of their pages are mapped, at random; no two neighbours share a mapping. */
static void measure_choice(struct bench *bench, unsigned percent, const char *name)
{
	struct iommu_iova_range range = {BIT(30), BIT(30) + MILLION * PAGE_SIZE - 1};
	struct iommu_ioas_allow_iovas allow = {
		.size = sizeof(allow),
		.num_iovas = 1,
		.allowed_iovas = (uintptr_t)&range,
	};
	u32 ioas = new_ioas(bench);

	allow.ioas_id = ioas;
	ask(bench, IOMMU_IOAS_ALLOW_IOVAS, &allow);
	for (u64 i = 0; i < MILLION; i++)
		if (draw(100) < percent)
			map_index(bench, ioas, i);
	MEASURE(name, RUNS, 1000, unmap(bench, ioas, map(bench, ioas, 0, 0, PAGE_SIZE, 0), PAGE_SIZE));
	destroy(bench, ioas);
}

/* ---- dirty pages ---- */

static void measure_dirty(struct bench *bench)
{
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get),
		.iova = BIT(40),
		.length = BIT(40),
		.page_size = PAGE_SIZE,
	};
	struct iommu_hwpt_set_dirty_tracking set = {.size = sizeof(set), .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE};
	u8 *bitmap = mmap(NULL, BIT(25), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct attached attached;

	if (!bench->unit->driver->user) {
		printf("  dirty bitmap: not measured, %s offers none\n", bench->unit->driver->name);
		return;
	}
	attach(bench, &attached, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	get.hwpt_id = set.hwpt_id = attached.hwpt;
	get.data = (uintptr_t)bitmap;
	for (u64 i = 0; i < 1024; i++)
		map_fixed(bench, attached.ioas, 0, BIT(21), BIT(40) + i * BIT(30));
	ask(bench, IOMMU_HWPT_SET_DIRTY_TRACKING, &set);
	MEASURE("dirty bitmap of 1 TiB, 2 MiB mapped in each GiB", RUNS, 10,
		ask(bench, IOMMU_HWPT_GET_DIRTY_BITMAP, &get));
	munmap(bitmap, BIT(25));
	detach(bench, &attached);
}

/* ---- two threads ---- */

/* Each maps and unmaps a page of its own, one request at a time under the machine's lock. */
struct mapper {
	struct bench *bench;
	struct mutex *lock;
	u32 ioas;
	u64 iova;
	pthread_t thread;
};

enum { PAIRS = 50000 };

static void *map_and_unmap(void *argument)
{
	struct mapper *mapper = argument;

	for (unsigned i = 0; i < PAIRS; i++) {
		mutex_lock(mapper->lock);
		map_fixed(mapper->bench, mapper->ioas, 0, PAGE_SIZE, mapper->iova);
		mutex_unlock(mapper->lock);
		mutex_lock(mapper->lock);
		unmap(mapper->bench, mapper->ioas, mapper->iova, PAGE_SIZE);
		mutex_unlock(mapper->lock);
	}
	return NULL;
}

static void measure_threads(struct bench *bench, unsigned threads, unsigned ioases, const char *name)
{
	struct mapper mappers[2];
	struct mutex lock;
	u64 since;

	mutex_init(&lock, RANK_MACHINE);
	for (unsigned i = 0; i < threads; i++)
		mappers[i] = (struct mapper){bench, &lock, i < ioases ? new_ioas(bench) : mappers[0].ioas,
					     (i + 1) << 20};
	since = os_clock_ns();
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&mappers[i].thread, NULL, map_and_unmap, &mappers[i]))
			exit(1);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(mappers[i].thread, NULL);
	/* All that both did, on the wall's clock: other work on the host counts. */
	say(name, (double)(os_clock_ns() - since) / PAIRS / threads);
	for (unsigned i = 0; i < ioases; i++)
		destroy(bench, mappers[i].ioas);
	mutex_fini(&lock);
}

int main(void)
{
	struct bench bench;

	open_bench(&bench);
	memset(bench.memory, 1, BIT(21));
	measure_peers(&bench);
	measure_pairs(&bench);
	measure_library();
	measure_million(&bench);
	measure_copies(&bench);
	measure_choice(&bench, 1, "chosen IOVA: map + unmap, 1 % of 1,000,000 pages mapped");
	measure_choice(&bench, 50, "chosen IOVA: map + unmap, 50 % mapped");
	measure_choice(&bench, 99, "chosen IOVA: map + unmap, 99 % mapped");
	measure_threads(&bench, 1, 1, "4 KiB map + unmap, no device, one thread with the lock");
	measure_threads(&bench, 2, 1, "4 KiB map + unmap, no device, two threads, one IOAS");
	measure_threads(&bench, 2, 2, "4 KiB map + unmap, no device, two threads, two IOASes");
	measure_dirty(&bench);
	close_bench(&bench);
	return 0;
}
