/* SPDX-License-Identifier: MIT */
/*
 * What a user of VFIO waits for: from the first open to the first DMA, by each of the three ways in; switching an
 * interrupt on; the way of an interrupt from the register that causes it to a thread that waits. First with the machine
 * in this process, then the same program in a room. Beside them what two threads that wake each other need, and a fork.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dev/ioat_regs.h"
#include "isolde/abi/iommufd.h"
#include "isolde/abi/vfio.h"
#include "isolde/isolde.h"

#define MACHINE "selftest-vfio"
#define DEVICE	"0000:00:04.0"

enum { RUNS = 200, ROUNDS = 5000, WARM_UP = 16, CONFIG = 7, COMMAND = 4, VECTORS = 4 };

static struct isolde_machine *machine; /* NULL in a room: system calls reach it */
static struct isolde_why why;

/* ---- calls: of the library, or of the system ---- */

static long must(const char *what, long ret)
{
	if (ret >= 0)
		return ret;
	fprintf(stderr, "%s: %s\n", what, machine ? why.text : "see above");
	exit(1);
}

static int open_file(const char *path)
{
	return (int)must(path, machine ? isolde_open(machine, path, O_RDWR, &why) : open(path, O_RDWR));
}

static void close_file(int fd)
{
	must("close", machine ? isolde_close(machine, fd) : close(fd));
}

static long ask(int fd, unsigned long request, void *arg)
{
	return must("ioctl", machine ? isolde_ioctl(machine, fd, request, arg, &why) : ioctl(fd, request, arg));
}

static void put(int fd, unsigned region, u64 offset, unsigned width, u64 value)
{
	u64 at = (u64)region << 40 | offset;

	must("pwrite",
	     machine ? isolde_pwrite(machine, fd, &value, width, at, &why) : pwrite(fd, &value, width, (off_t)at));
}

static ssize_t attribute(const char *path, char *text, size_t size)
{
	char full[128];
	ssize_t ret;
	int fd;

	if (machine)
		return isolde_attribute_read(machine, path, text, size, &why);
	snprintf(full, sizeof(full), "/%s", path);
	fd = open(full, O_RDONLY);
	ret = read(fd, text, size);
	close(fd);
	return ret;
}

/* ---- the device ---- */

/* All a transfer needs, in one page: at IOVA 0 and up. */
struct page {
	struct ioat_descriptor descriptor;
	u64 completion;
	char source[64], destination[64];
};

static struct page *page;

static void prepare(int device)
{
	page->descriptor = (struct ioat_descriptor){
		.size = sizeof(page->source),
		.control = IOAT_CONTROL_COMPLETION | IOAT_CONTROL_INT,
		.source = offsetof(struct page, source),
		.destination = offsetof(struct page, destination),
	};
	put(device, CONFIG, COMMAND, 2, 6); /* memory, bus master */
	put(device, 0, IOAT_INTRCTRL, 1, IOAT_INTRCTRL_MSIX_VECTORS);
	put(device, 0, IOAT_CHANCMD, 1, IOAT_CHANCMD_RESET);
	put(device, 0, IOAT_CHANCMP, 8, offsetof(struct page, completion));
	put(device, 0, IOAT_CHAINADDR, 8, 0);
}

static void start(int device, u16 count)
{
	page->completion = 0;
	put(device, 0, IOAT_CHANCTRL, 2, IOAT_CHANCTRL_INT_DISABLED);
	put(device, 0, IOAT_DMACOUNT, 2, count);
}

static void await_memory(void)
{
	while (!__atomic_load_n(&page->completion, __ATOMIC_ACQUIRE))
		sched_yield();
}

/* ---- the three ways in ---- */

struct opened {
	int container, group, device; /* container: of VFIO or iommufd */
};

static void open_group(struct opened *opened)
{
	char path[32];
	unsigned number = 0;

	/* The only device of the machine's first bus that VFIO has: its group is found once, outside of what is timed.
	 */
	static char found[32];
	if (!found[0]) {
		for (number = 0; number < 16; number++) {
			char attr[64], text[16];

			snprintf(attr, sizeof(attr), "sys/kernel/iommu_groups/%u/devices/" DEVICE "/vendor", number);
			if (attribute(attr, text, sizeof(text)) > 0)
				break;
		}
		snprintf(found, sizeof(found), "/dev/vfio/%u", number);
	}
	memcpy(path, found, sizeof(path));
	opened->group = open_file(path);
	ask(opened->group, VFIO_GROUP_SET_CONTAINER, &opened->container);
	ask(opened->container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU);
	opened->device = (int)ask(opened->group, VFIO_GROUP_GET_DEVICE_FD, (char[]){DEVICE});
}

static void map_container(const struct opened *opened)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)page,
		.size = 4096,
	};

	ask(opened->container, VFIO_IOMMU_MAP_DMA, &map);
}

static void open_container(struct opened *opened)
{
	opened->container = open_file("/dev/vfio/vfio");
	open_group(opened);
	map_container(opened);
}

static void open_compat(struct opened *opened)
{
	opened->container = open_file("/dev/iommu");
	open_group(opened);
	map_container(opened);
}

static void open_cdev(struct opened *opened)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.user_va = (uintptr_t)page,
		.length = 4096,
	};

	opened->group = -1;
	opened->container = open_file("/dev/iommu");
	opened->device = open_file("/dev/vfio/devices/vfio0");
	bind.iommufd = opened->container;
	ask(opened->device, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	ask(opened->container, IOMMU_IOAS_ALLOC, &alloc);
	attach.pt_id = map.ioas_id = alloc.out_ioas_id;
	ask(opened->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
	ask(opened->container, IOMMU_IOAS_MAP, &map);
}

static void close_all(const struct opened *opened)
{
	close_file(opened->device);
	if (opened->group >= 0)
		close_file(opened->group);
	close_file(opened->container);
}

/* ---- measuring ---- */

static u64 now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (u64)time.tv_sec * 1000000000u + (u64)time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return (x > y) - (x < y);
}

static void report(const char *name, u64 *sample, unsigned count)
{
	qsort(sample, count, sizeof(*sample), compare);
	printf("  %-46s%10.2f us%10.2f us (99 %%)\n", name, (double)sample[count / 2] / 1e3,
	       (double)sample[count * 99 / 100] / 1e3);
}

static void measure_open(const char *name, void (*open_device)(struct opened *))
{
	static u64 sample[RUNS];

	for (int i = -WARM_UP; i < RUNS; i++) {
		struct opened opened;
		u64 began = now();

		open_device(&opened);
		prepare(opened.device);
		start(opened.device, 1);
		await_memory();
		if (i >= 0)
			sample[i] = now() - began;
		close_all(&opened);
	}
	report(name, sample, RUNS);
}

static void set_vectors(int device, unsigned count, const int *fds)
{
	struct {
		struct vfio_irq_set set;
		int fds[VECTORS];
	} request = {.set = {.argsz = (u32)(sizeof(request.set) + count * sizeof(int)),
			     .flags = VFIO_IRQ_SET_ACTION_TRIGGER |
				      (count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE),
			     .index = VFIO_PCI_MSIX_IRQ_INDEX,
			     .count = count}};

	memcpy(request.fds, fds, count * sizeof(int));
	ask(device, VFIO_DEVICE_SET_IRQS, &request);
}

static void measure_set_irqs(int device, const int *fds)
{
	static u64 on[ROUNDS], off[ROUNDS];

	for (int i = -WARM_UP; i < ROUNDS; i++) {
		u64 began = now(), between;

		set_vectors(device, 1, fds);
		between = now();
		set_vectors(device, 0, fds);
		if (i < 0)
			continue;
		on[i] = between - began;
		off[i] = now() - between;
	}
	report("SET_IRQS: a vector on", on, ROUNDS);
	report("SET_IRQS: all off", off, ROUNDS);
}

static void await_signal(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	u64 count;

	if (poll(&poll_fd, 1, 5000) != 1 || read(fd, &count, sizeof(count)) != sizeof(count)) {
		fprintf(stderr, "an interrupt did not come\n");
		exit(1);
	}
}

static void measure_interrupt(int device, const int *fds)
{
	static u64 sample[ROUNDS];

	set_vectors(device, 1, fds);
	for (int i = -WARM_UP; i < ROUNDS; i++) {
		u64 began = now();

		start(device,
		      (u16)(i + WARM_UP + 2)); /* descriptors since the reset, the first is in open_container() */
		await_signal(fds[0]);
		if (i >= 0)
			sample[i] = now() - began;
		await_memory();
	}
	report("DMACOUNT stored, copied, interrupt in poll(2)", sample, ROUNDS);
	set_vectors(device, 0, fds);
}

struct echo {
	int there, back;
};

static void wake(int fd, u64 count)
{
	if (write(fd, &count, sizeof(count)) != sizeof(count))
		exit(1);
}

static void *run_echo(void *arg)
{
	struct echo *echo = arg;
	u64 count;

	while (read(echo->there, &count, sizeof(count)) == sizeof(count) && count < 1000)
		wake(echo->back, 1);
	return NULL;
}

/* The least that any device in a thread of its own needs. */
static void measure_echo(void)
{
	struct echo echo = {eventfd(0, 0), eventfd(0, 0)};
	static u64 sample[ROUNDS];
	pthread_t thread;

	pthread_create(&thread, NULL, run_echo, &echo);
	for (int i = -WARM_UP; i < ROUNDS; i++) {
		u64 began = now();

		wake(echo.there, 1);
		await_signal(echo.back);
		if (i >= 0)
			sample[i] = now() - began;
	}
	wake(echo.there, 1000);
	pthread_join(thread, NULL);
	close(echo.there);
	close(echo.back);
	report("peer: a thread woken by an eventfd, and back", sample, ROUNDS);
}

static void measure_fork(void)
{
	static u64 sample[RUNS];

	for (unsigned i = 0; i < RUNS; i++) {
		u64 began = now();
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		waitpid(child, NULL, 0);
		sample[i] = now() - began;
	}
	report("peer: fork, exit, wait", sample, RUNS);
}

static void measure_all(void)
{
	struct opened opened;
	int fds[1] = {eventfd(0, EFD_NONBLOCK)};

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("  %-46s%13s\n", "", "median");
	measure_open("open to first DMA: group and container", open_container);
	measure_open("open to first DMA: group and iommufd", open_compat);
	measure_open("open to first DMA: character device", open_cdev);
	measure_fork();
	open_container(&opened);
	prepare(opened.device);
	start(opened.device, 1);
	await_memory();
	measure_set_irqs(opened.device, fds);
	measure_interrupt(opened.device, fds);
	measure_echo();
	close_all(&opened);
	close(fds[0]);
}

static void measure_in_room(const char *self)
{
	char path[4096], isolde[4200];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (length <= 0)
		exit(1);
	path[length] = '\0';
	*strrchr(path, '/') = '\0'; /* .../bench */
	snprintf(isolde, sizeof(isolde), "%s/../isolde", path);
	fflush(stdout);
	execl(isolde, isolde, "run", "--machine", MACHINE, "--bind", "vfio-pci=" DEVICE, "--", self, "room", NULL);
	perror(isolde);
	exit(1);
}

int main(int argc, char **argv)
{
	const char *const binds[] = {"vfio-pci=" DEVICE, NULL};
	const struct isolde_machine_options options = {.size = sizeof(options), .machine = MACHINE, .binds = binds};

	if (argc > 1) {
		printf("  In a room:\n");
		measure_all();
		return 0;
	}
	must("machine", isolde_machine_new(&options, &machine, &why));
	printf("  In this process:\n");
	measure_all();
	isolde_machine_free(machine);
	measure_in_room(argv[0]);
}
