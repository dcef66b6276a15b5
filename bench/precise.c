/* SPDX-License-Identifier: MIT */
/*
 * What an access to a precise page costs beside one to a polled page of the same BAR (the model "probe"), as the
 * program sees it: the median of many, in nanoseconds. bench/precise.sh runs it under `isolde run`, with plain system
 * calls; without arguments it is the program that has the machine inside;
 * "floor" is what no tracer can do without.
 */
#include <sys/user.h> /* whose words for pages are not ours */
#undef PAGE_SHIFT
#undef PAGE_SIZE
#undef PAGE_MASK

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/os.h"
#include "dev/probe.h"
#include "isolde/abi/iommufd.h"
#include "isolde/abi/vfio.h"
#include "isolde/isolde.h"

#define BDF "0000:00:05.0"

enum { ROUNDS = 20000, BATCH = 16 };

static volatile u8 *bar;

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return (x > y) - (x < y);
}

static void measure(const char *name, void (*access)(unsigned page), unsigned page)
{
	static u64 sample[ROUNDS / BATCH];

	for (unsigned i = 0; i < ARRAY_SIZE(sample); i++) {
		u64 start = os_clock_ns();

		for (unsigned n = 0; n < BATCH; n++)
			access(page);
		sample[i] = (os_clock_ns() - start) / BATCH;
	}
	qsort(sample, ARRAY_SIZE(sample), sizeof(sample[0]), compare);
	printf("%-32s %7llu ns\n", name, (unsigned long long)sample[ARRAY_SIZE(sample) / 2]);
}

static void load(unsigned page)
{
	(void)*(volatile u32 *)(bar + page);
}

static void store(unsigned page)
{
	*(volatile u32 *)(bar + page) = 1;
}

static void move_64(unsigned page)
{
	static u8 command[64] __attribute__((aligned(64)));

	/* movdir64b (%rdx), %rax */
	__asm__ volatile(".byte 0x66, 0x0f, 0x38, 0xf8, 0x02" ::"a"(bar + page), "d"(command) : "memory");
}

static int fail(const char *what)
{
	fprintf(stderr, "precise: %s: %s\n", what, strerror(errno));
	return 1;
}

/* In a room: any VFIO program. */
static int open_by_group(const char *group_path)
{
	int container = open("/dev/vfio/vfio", O_RDWR), group = open(group_path, O_RDWR);
	int device;

	if (container < 0 || group < 0 || ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0 ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
		return fail("the container");
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, BDF);
	if (device < 0)
		return fail("the device");
	bar = mmap(NULL, PROBE_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, device, 0);
	return bar == MAP_FAILED ? fail("mmap") : 0;
}

static int open_inside(void)
{
	static const char *const binds[] = {"vfio-pci=" BDF, NULL};
	struct isolde_machine_options options = {
		.size = sizeof(options), .machine = "tests/data/machines/precise.yaml", .binds = binds};
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct isolde_machine *machine;
	struct isolde_why why;
	void *mapped;
	int device;

	if (isolde_machine_new(&options, &machine, &why) < 0)
		return fail("the machine");
	bind.iommufd = isolde_open(machine, "/dev/iommu", O_RDWR, &why);
	device = isolde_open(machine, "/dev/vfio/devices/vfio0", O_RDWR, &why);
	if (device < 0 || isolde_ioctl(machine, device, VFIO_DEVICE_BIND_IOMMUFD, &bind, &why) < 0 ||
	    isolde_mmap(machine, device, PROBE_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0, &mapped, &why) < 0)
		return fail("the device");
	bar = mapped;
	return 0;
}

/* ---- the floor: a tracer that does nothing but step over a store that faults ---- */

static void store_by_3_bytes(unsigned page)
{
	/* movb $1, (%rax) */
	__asm__ volatile(".byte 0xc6, 0x00, 0x01" ::"a"(bar + page) : "memory");
}

static void step_over(pid_t child)
{
	struct user_regs_struct registers;
	int status;

	while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
		ptrace(PTRACE_GETREGS, child, NULL, &registers);
		registers.rip += 3;
		ptrace(PTRACE_SETREGS, child, NULL, &registers);
		ptrace(PTRACE_CONT, child, NULL, NULL);
	}
}

static int measure_floor(void)
{
	int fd = memfd_create("floor", MFD_CLOEXEC);
	pid_t child;

	bar = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	child = bar == MAP_FAILED ? -1 : fork();
	if (child < 0)
		return fail("the floor");
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		measure("store, ptrace and nothing else", store_by_3_bytes, 0);
		fflush(stdout);
		_exit(0);
	}
	step_over(child);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "floor") == 0)
		return measure_floor();
	if ((argc > 1 ? open_by_group(argv[1]) : open_inside()) != 0)
		return 1;
	measure("load, polled page", load, PROBE_POLLED);
	measure("store, polled page", store, PROBE_POLLED);
	measure("load, precise page", load, PROBE_SCRATCH);
	measure("store, precise page", store, PROBE_SCRATCH);
	measure("MOVDIR64B, precise page", move_64, PROBE_PORTAL);
	return 0;
}
