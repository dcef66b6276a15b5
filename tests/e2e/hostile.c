/* SPDX-License-Identifier: MIT */
/*
 * A program that means harm to whoever serves its device:
 *
 *	hostile cut GROUP BDF PATH		cuts the file behind a device: PATH with the descriptor's number for %d
 *	hostile cut-link GROUP BDF LINK		the same with truncate(2), through a symbolic link that it makes
 *	hostile swap GROUP ATTRIBUTE		gives a container that is another file by the time it is looked at
 *	hostile take GROUP BDF			takes its own events before whoever polls them can
 *	hostile fill GROUP BDF			fills the counter of an interrupt before it is signalled
 *
 * Who hangs is ended from outside. It knows nothing of isolde.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "isolde/abi/vfio.h"

enum { SWAPPED = 100, DURATION_MS = 3000 };

static atomic_ulong rounds;
static int container, group, device, event, other;

static int die(const char *what)
{
	perror(what);
	exit(1);
}

static int check(int result, const char *what)
{
	return result < 0 ? die(what) : result;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void nap_ms(unsigned ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l}, NULL);
}

static void open_group(const char *path)
{
	container = check(open("/dev/vfio/vfio", O_RDWR), "/dev/vfio/vfio");
	group = check(open(path, O_RDWR), path);
}

static void open_device(const char *path, const char *name)
{
	open_group(path);
	check(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), "SET_CONTAINER");
	check(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), "SET_IOMMU");
	device = check(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name), "GET_DEVICE_FD");
}

static void run(void *(*body)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, body, NULL))
		die("pthread_create");
	pthread_detach(thread);
}

/* ---- a file that becomes shorter ---- */

static uint32_t load(off_t offset)
{
	uint32_t value = 0;

	if (pread(device, &value, sizeof(value), offset) != sizeof(value))
		die("reading a register");
	return value;
}

/* A register that never changes is back when the device has looked; one that nobody looks after reads as zero. */
static int show_registers(uint32_t before)
{
	uint64_t last = now_ms() + 20000;

	while (before && load(0) != before && now_ms() < last)
		nap_ms(10);
	printf("registers = %s\n", load(0) == before ? "there" : "gone");
	return 0;
}

static int cut(const char *pattern)
{
	uint32_t before = load(0);
	char path[256];

	snprintf(path, sizeof(path), pattern, device); /* NOLINT: the test's own */
	printf("cut = %s\n", open(path, O_RDWR | O_TRUNC) >= 0 ? "done" : strerror(errno));
	/* The device's own thread is the first to meet it. */
	nap_ms(300);
	return show_registers(before);
}

static int cut_link(const char *link)
{
	uint32_t before = load(0);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", device);
	if (symlink(path, link) < 0)
		die(link);
	printf("cut = %s\n", truncate(link, 0) == 0 ? "done" : strerror(errno));
	nap_ms(300);
	return show_registers(before);
}

/* ---- descriptors that are others ---- */

static void *flip(void *unused)
{
	(void)unused;
	for (;;) {
		dup2(container, SWAPPED);
		dup2(other, SWAPPED);
	}
	return NULL;
}

static int swap(const char *attribute)
{
	uint64_t last = now_ms() + DURATION_MS;
	unsigned long had = 0, had_not = 0;
	int fd = SWAPPED;

	other = check(open(attribute, O_RDONLY), attribute);
	run(flip);
	while (now_ms() < last || !had || !had_not) {
		if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &fd) < 0) {
			had_not++;
			continue;
		}
		had++;
		ioctl(group, VFIO_GROUP_UNSET_CONTAINER);
	}
	printf("swap = survived\n");
	return 0;
}

/* ---- events ---- */

/* Does the other side still answer? Its thread counts rounds. */
static int watch(const char *what, void (*help)(void))
{
	uint64_t last = now_ms() + DURATION_MS, moved = now_ms();
	unsigned long before = 0;

	while (now_ms() < last) {
		unsigned long now = atomic_load(&rounds);

		if (now != before)
			moved = now_ms();
		else if (now_ms() - moved > 20000)
			break;
		else
			last = now_ms() + 1000;
		before = now;
		help();
		nap_ms(1);
	}
	printf("%s = %s\n", what, now_ms() - moved > 20000 ? "stuck" : "survived");
	return 0;
}

static void *take_events(void *unused)
{
	uint64_t count;

	while (read(event, &count, sizeof(count)) > 0)
		;
	return unused;
}

static void *make_events(void *unused)
{
	uint64_t one = 1;

	for (;; atomic_fetch_add(&rounds, 1)) {
		for (unsigned i = 0; i < 50; i++)
			if (write(event, &one, sizeof(one)) < 0)
				die("signalling");
		ioctl(container, VFIO_GET_API_VERSION);
	}
	return unused;
}

static void no_help(void)
{
}

static int take_all(void)
{
	struct vfio_device_ioeventfd listen = {.argsz = sizeof(listen), .flags = 4, .offset = 0x2000};

	event = check(eventfd(0, 0), "eventfd");
	listen.fd = event;
	check(ioctl(device, VFIO_DEVICE_IOEVENTFD, &listen), "IOEVENTFD");
	run(make_events);
	run(take_events);
	return watch("take", no_help);
}

static void *trigger(void *unused)
{
	struct vfio_irq_set now = {
		.argsz = sizeof(now),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
		.count = 1,
	};

	for (;; atomic_fetch_add(&rounds, 1))
		check(ioctl(device, VFIO_DEVICE_SET_IRQS, &now), "triggering");
	return unused;
}

static atomic_ulong fillings;

/* Reads only when the other side has gone on. */
static void *fill_up(void *unused)
{
	for (;; atomic_fetch_add(&fillings, 1)) {
		uint64_t count = UINT64_MAX - 1;
		unsigned long before = atomic_load(&rounds);

		if (write(event, &count, sizeof(count)) < 0)
			die("filling");
		while (atomic_load(&rounds) < before + 2)
			;
		if (read(event, &count, sizeof(count)) < 0)
			die("emptying");
	}
	return unused;
}

/* Whoever fills waits itself while there are events: takes them, if the other side is not what it waits for. */
static void empty(void)
{
	static unsigned long filled, made;
	uint64_t count;

	if (atomic_load(&fillings) == filled && atomic_load(&rounds) > made + 4 &&
	    read(event, &count, sizeof(count)) < 0)
		die("emptying");
	filled = atomic_load(&fillings);
	made = atomic_load(&rounds);
}

static int fill(void)
{
	struct {
		struct vfio_irq_set set;
		int fd;
	} set = {
		.set = {.argsz = sizeof(set),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_MSIX_IRQ_INDEX,
			.count = 1},
		.fd = event = check(eventfd(0, 0), "eventfd"),
	};

	check(ioctl(device, VFIO_DEVICE_SET_IRQS, &set), "SET_IRQS");
	run(trigger);
	run(fill_up);
	return watch("fill", empty);
}

int main(int argc, char **argv)
{
	const char *what = argc > 3 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(what, "swap") == 0) {
		open_group(argv[2]);
		return swap(argv[3]);
	}
	if (!*what)
		return 2;
	open_device(argv[2], argv[3]);
	if (strcmp(what, "take") == 0)
		return take_all();
	if (strcmp(what, "fill") == 0)
		return fill();
	if (argc < 5)
		return 2;
	return strcmp(what, "cut") == 0 ? cut(argv[4]) : cut_link(argv[4]);
}
