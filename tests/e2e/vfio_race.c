/* SPDX-License-Identifier: MIT */
/*
 * Programs that use containers, groups and devices together and without sense, for the end-to-end tests (race.h). It
 *knows nothing of isolde.
 *
 *	vfio_race SEED PROCESSES THREADS MILLISECONDS [NAME GROUP CDEV]...
 */
#include "tests/e2e/race.h"

#include "isolde/abi/iommufd.h"
#include "isolde/abi/vfio.h"

enum { FIRST_IOVA = 0x1000000, WORDS = 12 };

static char **devices; /* three strings each */
static unsigned ndevices;

static const char *some_device(uint64_t *state, unsigned which)
{
	return devices[next_random(state) % ndevices * 3 + which];
}

static uint64_t some_iova(uint64_t *state)
{
	return FIRST_IOVA + next_random(state) % 64 * (uint64_t)PAGE;
}

static void open_one(uint64_t *state)
{
	switch (next_random(state) % 4) {
	case 0:
		remember(state, open("/dev/vfio/vfio", O_RDWR));
		break;
	case 1:
		remember(state, open("/dev/iommu", O_RDWR | O_CLOEXEC));
		break;
	case 2:
		remember(state, open(some_device(state, 1), O_RDWR));
		break;
	default:
		remember(state, open(some_device(state, 2), O_RDWR));
		break;
	}
}

static int get_device(uint64_t *state, int group)
{
	int fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, some_device(state, 0));

	count(fd);
	remember(state, fd);
	return fd;
}

static void use_group(uint64_t *state)
{
	int container = some_file(state), group = some_file(state);

	switch (next_random(state) % 4) {
	case 0:
		count(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
		break;
	case 1:
		count(ioctl(container, VFIO_SET_IOMMU, (unsigned long)next_random(state) % 4));
		break;
	case 2:
		count(ioctl(group, VFIO_GROUP_UNSET_CONTAINER));
		break;
	default:
		get_device(state, group);
		break;
	}
}

/* The straight way, so that the rest is not only refusals. */
static void enter(uint64_t *state)
{
	int container = next_random(state) & 1 ? open("/dev/vfio/vfio", O_RDWR) : some_file(state);
	int group = open(some_device(state, 1), O_RDWR);

	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) == 0) {
		count(ioctl(container, VFIO_SET_IOMMU, next_random(state) & 1 ? VFIO_TYPE1v2_IOMMU : VFIO_TYPE1_IOMMU));
		for (unsigned i = 0; i < ndevices; i++)
			remember(state, ioctl(group, VFIO_GROUP_GET_DEVICE_FD, devices[i * 3]));
	}
	remember(state, container);
	remember(state, group);
}

static void bind_and_attach(uint64_t *state)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = some_file(state)};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach), .pt_id = 1 + next_random(state) % 6};
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	int fd = some_file(state);

	count(ioctl(bind.iommufd, IOMMU_IOAS_ALLOC, &alloc));
	count(ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	count(ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
}

static void map(uint64_t *state)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = next_random(state) % 8 ? 1 + next_random(state) % 3 : VFIO_DMA_MAP_FLAG_VADDR,
		.vaddr = (uintptr_t)arena + next_random(state) % ARENA_PAGES * PAGE,
		.iova = some_iova(state),
		.size = (uint64_t)PAGE << next_random(state) % 4,
	};

	count(ioctl(some_file(state), VFIO_IOMMU_MAP_DMA, &map));
}

static void unmap(uint64_t *state)
{
	uint64_t bits[8];
	struct {
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_bitmap bitmap;
	} request = {
		.unmap = {sizeof(request), next_random(state) % 5, some_iova(state),
			  (uint64_t)PAGE << next_random(state) % 6},
		.bitmap = {PAGE, sizeof(bits), (void *)bits},
	};

	if (request.unmap.flags & VFIO_DMA_UNMAP_FLAG_ALL)
		request.unmap.iova = request.unmap.size = 0;
	count(ioctl(some_file(state), VFIO_IOMMU_UNMAP_DMA, &request));
}

static void track(uint64_t *state)
{
	uint64_t bits[8];
	struct {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} request = {
		.head = {sizeof(request), 1u << next_random(state) % 3},
		.get = {FIRST_IOVA, 64 * PAGE << next_random(state) % 3, {PAGE, sizeof(bits), (void *)bits}},
	};

	count(ioctl(some_file(state), VFIO_IOMMU_DIRTY_PAGES, &request));
}

static void interrupt(uint64_t *state)
{
	struct {
		struct vfio_irq_set set;
		int32_t fds[2];
	} request = {
		.set = {.argsz = sizeof(request),
			.flags = next_random(state) % 8 | 1u << (3 + next_random(state) % 3),
			.index = next_random(state) % 5,
			.count = next_random(state) % 3},
		.fds = {some_file(state), some_file(state)},
	};

	count(ioctl(some_file(state), VFIO_DEVICE_SET_IRQS, &request));
}

static void reset(uint64_t *state)
{
	struct {
		struct vfio_pci_hot_reset reset;
		int32_t fds[3];
	} request = {
		.reset = {.argsz = sizeof(request), .count = next_random(state) % 4},
		.fds = {some_file(state), some_file(state), some_file(state)},
	};

	if (next_random(state) & 1)
		count(ioctl(some_file(state), VFIO_DEVICE_RESET));
	else
		count(ioctl(some_file(state), VFIO_DEVICE_PCI_HOT_RESET, &request));
}

/* Registers of mcopy; to another device just a few writes. */
static void give_command(uint64_t *state)
{
	const uint32_t values[][2] = {{0x10, (uint32_t)some_iova(state)},
				      {0x18, (uint32_t)some_iova(state)},
				      {0x20, 1u << next_random(state) % 15},
				      {0x08, next_random(state) % 5}};
	int fd = some_file(state);

	for (unsigned i = 0; fd > 2 && i < 4; i++)
		count(pwrite(fd, &values[i][1], 4, values[i][0]));
}

static void map_registers(uint64_t *state)
{
	int fd = some_file(state);
	void *at = fd > 2 ? mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				 (off_t)(next_random(state) % 3) << 40)
			  : MAP_FAILED;

	if (at == MAP_FAILED)
		return;
	nap(next_random(state) % 3);
	munmap(at, PAGE);
}

static void ask_anything(uint64_t *state)
{
	uint64_t words[WORDS];
	uint32_t size = 8 + next_random(state) % 12 * 8;

	for (unsigned i = 0; i < WORDS; i++)
		words[i] = some_value(state);
	for (unsigned i = 1; i < WORDS; i += 2)
		words[i] = words[i] << 32 | some_value(state) % 16;
	memcpy(words, &size, sizeof(size));
	count(ioctl(some_file(state), 0x3b00 | (100 + next_random(state) % 22), words));
}

static void act(uint64_t *state)
{
	static void (*const acts[])(uint64_t * state) = {
		open_one,    close_one,	    close_one,	  use_group,	 use_group,    enter,	  bind_and_attach,
		map,	     map,	    map,	  unmap,	 track,	       interrupt, reset,
		move_memory, read_or_write, give_command, map_registers, ask_anything,
	};

	acts[next_random(state) % (sizeof(acts) / sizeof(acts[0]))](state);
}

int main(int argc, char **argv)
{
	if (argc < 8)
		return 2;
	devices = argv + 5;
	ndevices = (unsigned)(argc - 5) / 3;
	race_init();
	for (unsigned i = 0; i < FILES; i++)
		atomic_store(&shared->files[i], open(i % 2 ? "/dev/vfio/vfio" : "/dev/iommu", O_RDWR));
	return race(argv + 1);
}
