/* SPDX-License-Identifier: MIT */
/*
 * The library in one page: a machine room inside this process, its NVMe controller driven through VFIO's own calls, and
 * what a refusal says. Only public headers are used.
 *
 *	cc embed.c $(pkg-config --cflags --libs isolde) && ./a.out
 */
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <isolde/isolde.h>

#define NVME "0000:01:00.0"
#define IOVA 0x100000ull

/* Controller registers (NVMe 1.4 section 3.1) and the commands we need of it. */
enum { CC = 0x14, CSTS = 0x1c, AQA = 0x24, ASQ = 0x28, ACQ = 0x30, DOORBELLS = 0x1000 };
enum { PAGE = 4096, QUEUE_ENTRIES = 8, IDENTIFY = 0x06, IDENTIFY_CONTROLLER = 1 };

/* One page each; the device reads the first and writes the others. */
struct dma_memory {
	uint32_t submission[PAGE / 4];
	volatile uint32_t completion[PAGE / 4];
	char identify[PAGE];
};

static struct isolde_machine *machine;
static struct isolde_why why;

static void die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n  hint: %s\n", what, why.code, why.text, why.hint);
	exit(1);
}

static long must(const char *what, long ret)
{
	if (ret < 0)
		die(what);
	return ret;
}

static long request(int fd, unsigned long number, void *arg)
{
	return isolde_ioctl(machine, fd, number, arg, &why);
}

/* The number of the device's group is the last word of a link; the tree of the room can be read like any. */
static int open_group(void)
{
	char path[80], vendor[16];

	for (int group = 0; group < 64; group++) {
		snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/devices/" NVME "/vendor", group);
		if (isolde_attribute_read(machine, path, vendor, sizeof(vendor), NULL) < 0)
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/%d", group);
		return (int)must(path, isolde_open(machine, path, O_RDWR, &why));
	}
	fprintf(stderr, NVME " is in no group\n");
	exit(1);
}

static int open_device(int container, int group)
{
	must("SET_CONTAINER", request(group, VFIO_GROUP_SET_CONTAINER, &container));
	must("SET_IOMMU", request(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	return (int)must("GET_DEVICE_FD", request(group, VFIO_GROUP_GET_DEVICE_FD, NVME));
}

static struct dma_memory *map_memory(int container)
{
	struct dma_memory *memory = mmap(NULL, sizeof(*memory), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
					 0);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)memory,
		.iova = IOVA,
		.size = sizeof(*memory),
	};

	must("MAP_DMA", request(container, VFIO_IOMMU_MAP_DMA, &map));
	return memory;
}

static void enable_bus_master(int device)
{
	struct vfio_region_info config = {.argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX};
	uint16_t command;

	must("GET_REGION_INFO", request(device, VFIO_DEVICE_GET_REGION_INFO, &config));
	must("read COMMAND", isolde_pread(machine, device, &command, 2, config.offset + 4, &why));
	command |= 0x6; /* memory, bus master */
	must("write COMMAND", isolde_pwrite(machine, device, &command, 2, config.offset + 4, &why));
}

static volatile uint32_t *map_registers(int device)
{
	struct vfio_region_info bar = {.argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX};
	void *registers;

	must("GET_REGION_INFO", request(device, VFIO_DEVICE_GET_REGION_INFO, &bar));
	must("mmap",
	     isolde_mmap(machine, device, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, bar.offset, &registers, &why));
	return registers;
}

/* Waits for a register or a queue entry to show the wanted bit; the device works in its own time. */
static void wait_for(const char *what, const volatile uint32_t *word, uint32_t mask, uint32_t wanted)
{
	for (int tries = 0; (*word & mask) != wanted; tries++) {
		if (tries == 5000) {
			fprintf(stderr, "%s: the controller does not answer\n", what);
			exit(1);
		}
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

static void start_controller(volatile uint32_t *registers)
{
	registers[CC / 4] = 0;
	wait_for("disable", &registers[CSTS / 4], 1, 0);
	registers[AQA / 4] = (QUEUE_ENTRIES - 1) << 16 | (QUEUE_ENTRIES - 1);
	registers[ASQ / 4] = IOVA;
	registers[ASQ / 4 + 1] = 0;
	registers[ACQ / 4] = IOVA + PAGE;
	registers[ACQ / 4 + 1] = 0;
	registers[CC / 4] = 6 << 16 | 4 << 20 | 1; /* entries of 64 and 16 bytes, enable */
	wait_for("enable", &registers[CSTS / 4], 1, 1);
}

static void identify(volatile uint32_t *registers, struct dma_memory *memory)
{
	memory->submission[0] = IDENTIFY | 1 << 16; /* command id 1 */
	memory->submission[6] = IOVA + 2 * PAGE;    /* PRP 1: where the answer goes */
	memory->submission[10] = IDENTIFY_CONTROLLER;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	registers[DOORBELLS / 4] = 1;
	/* The phase bit of the first completion entry, then its status. */
	wait_for("identify", &memory->completion[3], 1 << 16, 1 << 16);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (memory->completion[3] >> 17) {
		fprintf(stderr, "identify: status %#x\n", memory->completion[3] >> 17);
		exit(1);
	}
	printf("model: %.40s\n", memory->identify + 24);
}

/* Linux would answer EEXIST, and that would be all. */
static void be_refused(int container, struct dma_memory *memory)
{
	struct vfio_iommu_type1_dma_map again = {
		.argsz = sizeof(again),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (uintptr_t)memory,
		.iova = IOVA + PAGE,
		.size = PAGE,
	};
	long ret = request(container, VFIO_IOMMU_MAP_DMA, &again);

	if (ret >= 0) {
		fprintf(stderr, "a second mapping of the same IOVA succeeded\n");
		exit(1);
	}
	printf("refused: %ld %s: %s\n  hint: %s\n  in Linux: %s\n", ret, why.code, why.text, why.hint, why.site);
}

int main(void)
{
	const struct isolde_machine_options options = {
		.size = sizeof(options),
		.binds = (const char *const[]){"vfio-pci=" NVME, NULL},
	};
	volatile uint32_t *registers;
	struct dma_memory *memory;
	int container, group, device;

	must("isolde_machine_new", isolde_machine_new(&options, &machine, &why));
	container = (int)must("/dev/vfio/vfio", isolde_open(machine, "/dev/vfio/vfio", O_RDWR, &why));
	group = open_group();
	device = open_device(container, group);
	memory = map_memory(container);
	enable_bus_master(device);
	registers = map_registers(device);

	start_controller(registers);
	identify(registers, memory);
	be_refused(container, memory);

	registers[CC / 4] = 0;
	munmap((void *)(uintptr_t)registers, 2 * PAGE);
	isolde_close(machine, device);
	isolde_close(machine, group);
	isolde_close(machine, container);
	isolde_machine_check(machine);
	isolde_machine_free(machine);
	munmap(memory, sizeof(*memory));
	return 0;
}
