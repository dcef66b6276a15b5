/* SPDX-License-Identifier: MIT */
/*
 * A program with a device, that goes on in another room: its memory is a file, and so is what the device has.
 *
 *	mover save BDF MEMORY STREAM	writes blocks, leaves commands in the queue, and saves the device
 *	mover restore BDF MEMORY STREAM	restores it, waits for these commands, and reads everything again
 *
 * It knows the kernel by its ABI and NVMe by its registers, and prints what it finds.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "isolde/abi/iommufd.h"
#include "isolde/abi/vfio.h"

enum {
	PAGE = 4096,
	IOVA = 1 << 20,
	ENTRIES = 64,
	BLOCKS = 40,
	LEFT_OVER = 5, /* commands that the device finds in its queue when it goes on */
	ADMIN_SQ = 0,
	ADMIN_CQ = 1,
	IO_SQ = 2,
	IO_CQ = 3,
	DATA = 4, /* pages of MEMORY from here on, one for each block */
	NOTES = DATA + BLOCKS,
	PAGES,
	READ = 2,
	WRITE = 1,
};

struct ring {
	unsigned id, tail, head, phase;
};

/* In the memory, so that it moves along. */
struct notes {
	struct ring admin, io;
};

static uint8_t *memory;
static volatile uint8_t *bar;
static int device;

static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "mover: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, ": %s\n", strerror(errno));
	va_end(args);
	exit(1);
}

static long request(int fd, unsigned long command, void *argument, const char *name)
{
	long ret = ioctl(fd, command, argument);

	if (ret < 0)
		die("%s", name);
	return ret;
}

#define REQUEST(fd, command, ...) request(fd, command, __VA_ARGS__, #command)

static struct notes *notes(void)
{
	return (struct notes *)(void *)(memory + NOTES * PAGE);
}

static uint32_t load(unsigned offset)
{
	return *(volatile uint32_t *)(bar + offset);
}

static void store(unsigned offset, uint32_t value)
{
	*(volatile uint32_t *)(bar + offset) = value;
}

static void open_device(const char *bdf)
{
	char path[300] = "/dev/vfio/devices/";
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
	struct iommu_ioas_map map = {.size = sizeof(map)};
	char folder[100];
	struct dirent *entry;
	DIR *directory;

	snprintf(folder, sizeof(folder), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	directory = opendir(folder);
	while (directory && (entry = readdir(directory)))
		if (strncmp(entry->d_name, "vfio", 4) == 0)
			snprintf(path, sizeof(path), "/dev/vfio/devices/%s", entry->d_name);
	device = open(path, O_RDWR | O_CLOEXEC);
	bind.iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (!directory || device < 0 || bind.iommufd < 0)
		die("%s", path);
	closedir(directory);
	REQUEST(device, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	REQUEST(bind.iommufd, IOMMU_IOAS_ALLOC, &ioas);
	attach.pt_id = ioas.out_ioas_id;
	REQUEST(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
	map.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_FIXED_IOVA;
	map.ioas_id = ioas.out_ioas_id;
	map.user_va = (uintptr_t)memory;
	map.length = PAGES * PAGE;
	map.iova = IOVA;
	REQUEST(bind.iommufd, IOMMU_IOAS_MAP, &map);
}

static void map_memory(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0 || ftruncate(fd, PAGES * PAGE) < 0)
		die("%s", path);
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("mapping %s", path);
	close(fd);
}

static void map_registers(void)
{
	struct vfio_region_info info = {.argsz = sizeof(info)};
	uint16_t command = 6; /* memory, bus master */

	REQUEST(device, VFIO_DEVICE_GET_REGION_INFO, &info);
	if (pwrite(device, &command, 2, (7ll << 40) + 4) != 2)
		die("COMMAND");
	bar = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)info.offset);
	if (bar == MAP_FAILED)
		die("BAR 0");
}

/* ---- NVMe ---- */

static void wait_until(unsigned offset, uint32_t mask, uint32_t value)
{
	for (unsigned i = 0; i < 1000000; i++, usleep(50))
		if ((load(offset) & mask) == value)
			return;
	errno = ETIMEDOUT;
	die("register %#x", offset);
}

static void push(struct ring *ring, const uint32_t command[static 16])
{
	uint32_t *entry = (uint32_t *)(void *)(memory + (ring->id ? IO_SQ : ADMIN_SQ) * PAGE + 64 * ring->tail);

	memcpy(entry, command, 64);
	entry[0] |= ring->tail << 16;
	ring->tail = (ring->tail + 1) % ENTRIES;
}

static void knock(const struct ring *ring)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	store(0x1000 + 8 * ring->id, ring->tail);
}

/* The status of the next completion. */
static unsigned pop(struct ring *ring)
{
	volatile uint16_t *entry =
		(volatile uint16_t *)(void *)(memory + (ring->id ? IO_CQ : ADMIN_CQ) * PAGE + 16 * ring->head);

	for (unsigned i = 0; (entry[7] & 1) != ring->phase; i++, usleep(50))
		if (i == 1000000) {
			errno = ETIMEDOUT;
			die("completion %u of queue %u", ring->head, ring->id);
		}
	ring->head = (ring->head + 1) % ENTRIES;
	if (!ring->head)
		ring->phase ^= 1;
	store(0x1004 + 8 * ring->id, ring->head);
	return entry[7] >> 1;
}

static void admin(uint32_t opcode, uint64_t prp, uint32_t cdw10, uint32_t cdw11)
{
	uint32_t command[16] = {opcode, [6] = (uint32_t)prp, [7] = (uint32_t)(prp >> 32), [10] = cdw10, [11] = cdw11};
	unsigned status;

	push(&notes()->admin, command);
	knock(&notes()->admin);
	status = pop(&notes()->admin);
	if (status) {
		errno = EIO;
		die("admin command %#x: status %#x", opcode, status);
	}
}

static void start_controller(void)
{
	notes()->admin = (struct ring){0, 0, 0, 1};
	notes()->io = (struct ring){1, 0, 0, 1};
	store(0x24, (ENTRIES - 1) << 16 | (ENTRIES - 1));
	store(0x28, IOVA + ADMIN_SQ * PAGE), store(0x2c, 0);
	store(0x30, IOVA + ADMIN_CQ * PAGE), store(0x34, 0);
	store(0x14, 0x00460001);
	wait_until(0x1c, 1, 1);
	admin(0x05, IOVA + IO_CQ * PAGE, (ENTRIES - 1) << 16 | 1, 1);
	admin(0x01, IOVA + IO_SQ * PAGE, (ENTRIES - 1) << 16 | 1, 1 << 16 | 1);
}

/* A page of data, 8 blocks of 512 bytes. */
static void transfer(uint32_t opcode, unsigned block)
{
	uint32_t command[16] = {opcode, 1, [6] = IOVA + (DATA + block) * PAGE, [10] = 8 * block, [12] = 7};

	push(&notes()->io, command);
}

static void wait_for(unsigned count)
{
	while (count--) {
		unsigned status = pop(&notes()->io);

		if (status) {
			errno = EIO;
			die("status %#x", status);
		}
	}
}

static uint8_t pattern(unsigned block, unsigned byte)
{
	return (uint8_t)(block * 7 + byte * 13 + (byte >> 8));
}

/* ---- migration ---- */

static int set_state(uint32_t state)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_mig_state mig;
	} set = {{sizeof(set), VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE},
		 {.device_state = state, .data_fd = -1}};

	REQUEST(device, VFIO_DEVICE_FEATURE, &set);
	return set.mig.data_fd;
}

/* All that is there now. */
static size_t drain(int from, int to)
{
	static char bytes[100000];
	size_t total = 0;
	ssize_t got;

	while ((got = read(from, bytes, sizeof(bytes))) > 0) {
		if (write(to, bytes, (size_t)got) != got)
			die("the file of the stream");
		total += (size_t)got;
	}
	if (got < 0 && errno != ENOMSG)
		die("the stream");
	return total;
}

static void save(const char *path)
{
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), stream;
	size_t before, after;

	start_controller();
	for (unsigned block = 0; block < BLOCKS; block++)
		for (unsigned byte = 0; byte < PAGE; byte++)
			memory[(DATA + block) * PAGE + byte] = pattern(block, byte);
	for (unsigned block = 0; block < BLOCKS / 2; block++) {
		transfer(WRITE, block);
		knock(&notes()->io);
		wait_for(1);
	}
	stream = set_state(VFIO_DEVICE_STATE_PRE_COPY);
	before = drain(stream, file);
	for (unsigned block = BLOCKS / 2; block < BLOCKS - LEFT_OVER; block++)
		transfer(WRITE, block);
	knock(&notes()->io);
	wait_for(BLOCKS / 2 - LEFT_OVER);
	set_state(VFIO_DEVICE_STATE_PRE_COPY_P2P);
	/* The device does nothing of its own any more; these wait. */
	for (unsigned block = BLOCKS - LEFT_OVER; block < BLOCKS; block++)
		transfer(WRITE, block);
	knock(&notes()->io);
	set_state(VFIO_DEVICE_STATE_STOP_COPY);
	after = drain(stream, file);
	printf("saved while running: %s\nsaved when stopped: %s\n", before ? "yes" : "no", after ? "yes" : "no");
	close(file);
}

static void restore(const char *path)
{
	static char bytes[70001];
	int file = open(path, O_RDONLY), stream = set_state(VFIO_DEVICE_STATE_RESUMING);
	ssize_t got;

	while ((got = read(file, bytes, sizeof(bytes))) > 0)
		if (write(stream, bytes, (size_t)got) != got)
			die("the stream");
	close(stream);
	set_state(VFIO_DEVICE_STATE_RUNNING);
	wait_for(LEFT_OVER);
	printf("left-over commands: %u\n", LEFT_OVER);
	memset(memory + DATA * PAGE, 0, BLOCKS * PAGE);
	for (unsigned block = 0; block < BLOCKS; block++)
		transfer(READ, block);
	knock(&notes()->io);
	wait_for(BLOCKS);
	for (unsigned block = 0; block < BLOCKS; block++)
		for (unsigned byte = 0; byte < PAGE; byte++)
			if (memory[(DATA + block) * PAGE + byte] != pattern(block, byte)) {
				printf("block %u differs at %u\n", block, byte);
				exit(1);
			}
	printf("blocks as written: %u\n", BLOCKS);
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "mover save|restore BDF MEMORY STREAM\n");
		return 2;
	}
	map_memory(argv[3]);
	open_device(argv[2]);
	map_registers();
	if (strcmp(argv[1], "save") == 0)
		save(argv[4]);
	else
		restore(argv[4]);
	return 0;
}
