/* SPDX-License-Identifier: MIT */
#include "tests/conform/vfio.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CDEVS = 64, ENTRIES = 16 };

static bool has_cdev(const char *bus, const char *name, unsigned index)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/vfio-dev/vfio%u/dev", bus, name, index);
	fd = open(path, O_RDONLY);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool group_on(const char *bus, const char *name, const char *prefix, char ret[static 40])
{
	char path[128], target[128];
	ssize_t length;

	snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/iommu_group", bus, name);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	snprintf(ret, 40, "/dev/vfio/%s%.16s", prefix, strrchr(target, '/') + 1);
	return true;
}

static struct names names_on(const char *bus, const char *name)
{
	struct names names = {.bdf = ""};

	snprintf(names.bdf, sizeof(names.bdf), "%s", name);
	for (unsigned i = 0; i < MOST_CDEVS && !names.cdev[0]; i++)
		if (has_cdev(bus, name, i))
			snprintf(names.cdev, sizeof(names.cdev), "/dev/vfio/devices/vfio%u", i);
	if (!group_on(bus, name, "", names.group) || !names.cdev[0])
		skip("%s has no group or no character device: is it bound to VFIO?", name);
	return names;
}

enum { UUID_LENGTH = 36 };

static bool is_uuid(const char *name)
{
	return strlen(name) == UUID_LENGTH;
}

static struct names names_of(const char *name)
{
	return names_on(is_uuid(name) ? "mdev" : "pci", name);
}

static struct names mdev_named(const char *variable)
{
	const char *uuid = getenv(variable);

	if (!uuid)
		skip("no such emulated device: %s is not set", variable);
	return names_on("mdev", uuid);
}

struct names the_mdev(void)
{
	return mdev_named("ISOLDE_MDEV");
}

struct names the_mcopy(void)
{
	return mdev_named("ISOLDE_MCOPY");
}

static struct names device_named(const char *variable)
{
	const char *bdf = getenv(variable);

	if (!bdf)
		skip("no device: %s is not set", variable);
	return names_of(bdf);
}

struct names the_device(void)
{
	return device_named("ISOLDE_BDF");
}

struct names the_rooted(void)
{
	return device_named("ISOLDE_ROOTED");
}

struct names the_beside(void)
{
	return device_named("ISOLDE_BESIDE");
}

struct names the_fragile(void)
{
	return device_named("ISOLDE_FRAGILE");
}

static void several(const char *variable, struct names (*of)(const char *name), struct names *ret, unsigned count)
{
	char list[4 * (UUID_LENGTH + 1) + 1], *rest = list, *name;

	snprintf(list, sizeof(list), "%s", getenv(variable) ?: "");
	for (unsigned i = 0; i < count; i++) {
		name = strsep(&rest, ",");
		if (!name || !*name)
			skip("no %u devices: %s is not set", count, variable);
		ret[i] = of(name);
	}
}

static void two_of(const char *variable, struct names pair[static 2])
{
	several(variable, names_of, pair, 2);
}

static struct names names_if_any(const char *name)
{
	return strcmp(name, "-") == 0 ? (struct names){.bdf = "-"} : names_of(name);
}

void four_reaches(struct names ret[static 4])
{
	several("ISOLDE_REACHES", names_if_any, ret, 4);
}

void two_short(struct names pair[static 2])
{
	two_of("ISOLDE_SHORT", pair);
}

static struct names bare_names(const char *name)
{
	struct names names = {.bdf = ""};

	snprintf(names.bdf, sizeof(names.bdf), "%s", name);
	if (!group_on("pci", name, "noiommu-", names.group))
		skip("%s has no group: is it bound to VFIO?", name);
	return names;
}

void two_bare(struct names pair[static 2])
{
	several("ISOLDE_BARE", bare_names, pair, 2);
}

void two_siblings(struct names pair[static 2])
{
	two_of("ISOLDE_SIBLINGS", pair);
	EXPECT_TRUE(strcmp(pair[0].group, pair[1].group) == 0);
}

void two_twins(struct names pair[static 2])
{
	two_of("ISOLDE_TWINS", pair);
	EXPECT_TRUE(strcmp(pair[0].group, pair[1].group) != 0);
}

void two_movable(struct names pair[static 2], bool nvme)
{
	two_of("ISOLDE_MOVABLE", pair);
	if (nvme && is_uuid(getenv("ISOLDE_MOVABLE") + UUID_LENGTH + 1))
		skip("%s is no NVMe controller", pair[1].bdf);
}

static void set_number(const char *bdf, const char *number)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs", bdf);
	if (conform_write(path, number) < 0)
		skip("%s has no %s virtual functions: does vfio-pci's enable_sriov say Y?", bdf, number);
}

struct names the_physical(struct names *virtual)
{
	const char *bdf = getenv("ISOLDE_PHYSICAL");
	char path[96], target[128];
	ssize_t length;

	if (!bdf)
		skip("no SR-IOV device: ISOLDE_PHYSICAL is not set");
	set_number(bdf, "0");
	set_number(bdf, "1");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/virtfn0", bdf);
	length = readlink(path, target, sizeof(target) - 1);
	EXPECT_TRUE(length > 0);
	target[length] = '\0';
	*virtual = names_of(strrchr(target, '/') + 1);
	return names_of(bdf);
}

int open_cdev(const struct names *names)
{
	return watch(open_answer(names->cdev, O_RDWR));
}

answer bind_cdev(int device, int iommufd)
{
	struct vfio_device_bind_iommufd request = {.argsz = sizeof(request), .iommufd = iommufd};
	answer got = ask(device, VFIO_DEVICE_BIND_IOMMUFD, &request);

	return got == 0 ? (answer)request.out_devid : got;
}

static answer attach(int device, struct vfio_device_attach_iommufd_pt *request, u32 *pt_id)
{
	answer got;

	request->argsz = sizeof(*request);
	request->pt_id = *pt_id;
	got = ask(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, request);
	if (got == 0)
		*pt_id = request->pt_id;
	return got;
}

answer attach_cdev(int device, u32 *pt_id)
{
	return attach(device, &(struct vfio_device_attach_iommufd_pt){.flags = 0}, pt_id);
}

answer attach_cdev_pasid(int device, u32 pasid, u32 *pt_id)
{
	struct vfio_device_attach_iommufd_pt request = {.flags = VFIO_DEVICE_ATTACH_PASID, .pasid = pasid};

	return attach(device, &request, pt_id);
}

answer detach_cdev(int device)
{
	struct vfio_device_detach_iommufd_pt request = {.argsz = sizeof(request)};

	return ask(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &request);
}

answer detach_cdev_pasid(int device, u32 pasid)
{
	struct vfio_device_detach_iommufd_pt request = {
		.argsz = sizeof(request), .flags = VFIO_DEVICE_DETACH_PASID, .pasid = pasid};

	return ask(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &request);
}

/* ---- groups and containers ---- */

int open_group(const struct names *names)
{
	return watch(open_answer(names->group, O_RDWR));
}

int new_container(void)
{
	return watch(open_answer("/dev/vfio/vfio", O_RDWR));
}

answer set_container(int group, int container)
{
	return ask(group, VFIO_GROUP_SET_CONTAINER, &container);
}

answer unset_container(int group)
{
	return ask(group, VFIO_GROUP_UNSET_CONTAINER, NULL);
}

answer set_iommu(int container, int type)
{
	return ask(container, VFIO_SET_IOMMU, (void *)(intptr_t)type);
}

answer get_device(int group, const char *name)
{
	return ask(group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)name);
}

answer check_extension(int container, u32 extension)
{
	return ask(container, VFIO_CHECK_EXTENSION, (void *)(uintptr_t)extension);
}

struct legacy enter_group(const struct names *names, int type)
{
	struct legacy legacy = {.container = new_container(), .group = open_group(names), .device = -1};

	EXPECT(0, set_container(legacy.group, legacy.container));
	EXPECT(0, set_iommu(legacy.container, type));
	return legacy;
}

void open_device(struct legacy *legacy, const struct names *names)
{
	legacy->device = watch(get_device(legacy->group, names->bdf));
}

answer type1_map_as(int container, u32 flags, const void *address, u64 iova, u64 size)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = flags, .vaddr = (uintptr_t)address, .iova = iova, .size = size};

	return ask(container, VFIO_IOMMU_MAP_DMA, &map);
}

answer type1_map(int container, const void *address, u64 iova, u64 size)
{
	return type1_map_as(container, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE, address, iova, size);
}

answer type1_unmap(int container, u32 flags, u64 iova, u64 size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof(unmap), .flags = flags, .iova = iova, .size = size};
	answer got = ask(container, VFIO_IOMMU_UNMAP_DMA, &unmap);

	return got == 0 ? (answer)unmap.size : got;
}

/* ---- NVMe ---- */

static void store(const struct nvme *nvme, unsigned offset, u32 value)
{
	*(volatile u32 *)(nvme->bar + offset) = value;
}

static u32 load(const struct nvme *nvme, unsigned offset)
{
	return *(volatile u32 *)(nvme->bar + offset);
}

#define PATIENCE 60 /* seconds */

/* Between two looks at a controller: one that says it is dead is not waited for. */
static void go_on_waiting(const struct nvme *nvme, const struct timespec *since)
{
	struct timespec now;

	EXPECT_TRUE(!(load(nvme, 0x1c) & 2));
	clock_gettime(CLOCK_MONOTONIC, &now);
	EXPECT_TRUE(now.tv_sec - since->tv_sec <= PATIENCE);
	usleep(50);
}

static void wait_ready(const struct nvme *nvme, u32 ready)
{
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while ((load(nvme, 0x1c) & 1) != ready)
		go_on_waiting(nvme, &start);
}

struct nvme start_nvme(int device, u8 *queues, u64 iova)
{
	struct nvme nvme = {.device = device, .queues = queues, .phase = 1};
	struct vfio_region_info info = {.argsz = sizeof(info)};
	u16 command = 6; /* memory, bus master */

	EXPECT(0, ask(device, VFIO_DEVICE_GET_REGION_INFO, &info));
	EXPECT_EQUAL(2, pwrite(device, &command, sizeof(command), (off_t)((7ull << 40) + 4)));
	nvme.bar = mapped(mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)info.offset), 0x2000);
	store(&nvme, 0x14, 0);
	wait_ready(&nvme, 0);
	store(&nvme, 0x24, (ENTRIES - 1) << 16 | (ENTRIES - 1));
	store(&nvme, 0x28, (u32)iova);
	store(&nvme, 0x2c, (u32)(iova >> 32));
	store(&nvme, 0x30, (u32)(iova + PAGE));
	store(&nvme, 0x34, (u32)((iova + PAGE) >> 32));
	store(&nvme, 0x14, 0x00460001);
	wait_ready(&nvme, 1);
	return nvme;
}

void identify_nvme(struct nvme *nvme, u64 iova)
{
	u32 *entry = (u32 *)(nvme->queues + 64ul * nvme->tail);
	volatile u16 *status = (volatile u16 *)(nvme->queues + PAGE + 16ul * nvme->head + 14);
	struct timespec start;

	memset(entry, 0, 64);
	entry[0] = 0x06 | (nvme->tail + 1) << 16;
	entry[6] = (u32)iova;
	entry[7] = (u32)(iova >> 32);
	entry[10] = 1;
	nvme->tail = (nvme->tail + 1) % ENTRIES;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	store(nvme, 0x1000, nvme->tail);
	clock_gettime(CLOCK_MONOTONIC, &start);
	while ((*status & 1) != nvme->phase)
		go_on_waiting(nvme, &start);
	nvme->head = (nvme->head + 1) % ENTRIES;
	if (nvme->head == 0)
		nvme->phase = !nvme->phase;
	store(nvme, 0x1004, nvme->head);
}

void stop_nvme(struct nvme *nvme)
{
	store(nvme, 0x14, 0);
	wait_ready(nvme, 0);
}

/* ---- any device ---- */

static void with_device(const char *bdf, void (*body)(int device))
{
	struct names names = names_of(bdf);
	int fd = iommu(), device = open_cdev(&names);

	WORKS(bind_cdev(device, fd));
	body(device);
	drop(device);
	drop(fd);
}

void with_each_device(void (*body)(int device))
{
	static const char *const variables[] = {"ISOLDE_BDF", "ISOLDE_SIBLINGS", "ISOLDE_PCI"};
	unsigned count = 0;

	FOR_EACH(variable, variables)
	{
		char list[256], *rest = list, *name;

		snprintf(list, sizeof(list), "%s", getenv(*variable) ?: "");
		while ((name = strsep(&rest, ",")))
			if (*name) {
				with_device(name, body);
				count++;
			}
	}
	if (!count)
		skip("no device: ISOLDE_BDF is not set");
}

answer read_at(int device, u64 offset, void *buffer, size_t size)
{
	ssize_t got = pread(device, buffer, size, (off_t)offset);

	return got < 0 ? -errno : got;
}

answer write_at(int device, u64 offset, const void *buffer, size_t size)
{
	ssize_t got = pwrite(device, buffer, size, (off_t)offset);

	return got < 0 ? -errno : got;
}

u32 get_config(int device, u32 offset, unsigned width)
{
	u32 value = 0;

	EXPECT(width, read_at(device, CONFIG + offset, &value, width));
	return value;
}

void set_config(int device, u32 offset, unsigned width, u32 value)
{
	EXPECT(width, write_at(device, CONFIG + offset, &value, width));
}

struct vfio_region_info region_of(int device, u32 index)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};

	EXPECT(0, ask(device, VFIO_DEVICE_GET_REGION_INFO, &info));
	return info;
}
