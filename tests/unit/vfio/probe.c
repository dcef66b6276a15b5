/* SPDX-License-Identifier: MIT */
/*
 * What a real Linux 7.2.13 answered to one program, line by line: the program opens a group twice, asks before it may,
 * maps, unmaps, looks at every region and interrupt, probes features, closes the group before the device. The answers
 * were recorded with an NVMe controller as type1v2 and an e1000e as type1; the room's devices look like those two.
 */
#include <errno.h>
#include <sys/mman.h>

#include "tests/fixtures/room.h"

struct answer {
	int ret; /* 0 or -errno */
	u32 flags;
	u64 size;
	bool mappable; /* capability MSIX_MAPPABLE */
};

struct subject {
	const char *name;
	int type;
	struct answer region[VFIO_PCI_NUM_REGIONS + 1];
	struct answer irq[VFIO_PCI_NUM_IRQS + 1];
	int partial_unmap;
	s64 io_read;   /* four bytes of BAR 2 */
	int map_whole; /* 0x10000 bytes of BAR 0 */
	u32 id;
};

static const struct subject nvme = {
	.name = ROOM_NVME,
	.type = VFIO_TYPE1v2_IOMMU,
	.region = {{0, 0xf, 0x4000, true}, {0}, {0}, {0}, {0}, {0}, {0}, {0, 0x3, 0x1000}, {-EINVAL}, {-EINVAL}},
	.irq = {{0, 0x7, 1}, {0, 0x9, 0}, {0, 0x1, 65}, {0, 0x9, 1}, {0, 0x9, 1}, {-EINVAL}},
	.partial_unmap = -EINVAL,
	.io_read = -EINVAL,
	.map_whole = -EINVAL,
	.id = 0x00101b36,
};

static const struct subject e1000e = {
	.name = ROOM_NIC,
	.type = VFIO_TYPE1_IOMMU,
	.region = {{0, 0x7, 0x20000},
		   {0, 0x7, 0x20000},
		   {0, 0x3, 0x20},
		   {0, 0xf, 0x4000, true},
		   {0},
		   {0},
		   {0, 0x1, 0x40000},
		   {0, 0x3, 0x1000},
		   {-EINVAL},
		   {-EINVAL}},
	.irq = {{0, 0x7, 1}, {0, 0x9, 1}, {0, 0x1, 5}, {0, 0x9, 1}, {0, 0x9, 1}, {-EINVAL}},
	.partial_unmap = 0,
	.io_read = 4,
	.map_whole = 0,
	.id = 0x10d38086,
};

static u32 group_flags(struct room *room, int group)
{
	struct vfio_group_status status = {.argsz = 8};

	ASSERT_OK(room->why, room_ioctl(room, group, VFIO_GROUP_GET_STATUS, &status));
	assert_int_equal(room->why.code, WHY_NONE);
	return status.flags;
}

#define IOCTL(fd, cmd, arg) room_ioctl(room, fd, cmd, (const void *)(uintptr_t)(arg))

/* Until the container has its IOMMU. */
static void replay_start(struct room *room, const struct subject *subject, int container, int group)
{
	assert_int_equal(room_open_group(room, subject->name), -EBUSY);
	for (unsigned extension = 1; extension < 14; extension++)
		assert_int_equal(IOCTL(container, VFIO_CHECK_EXTENSION, extension),
				 extension == 1 || extension == 3 || extension == 9);
	assert_int_equal(group_flags(room, group), 0x1);
	assert_int_equal(IOCTL(group, VFIO_GROUP_GET_DEVICE_FD, subject->name), -EINVAL);
	assert_int_equal(IOCTL(container, VFIO_SET_IOMMU, subject->type), -EINVAL);
	assert_int_equal(IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	assert_int_equal(IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container), -EINVAL);
	assert_int_equal(group_flags(room, group), 0x3);
	assert_int_equal(IOCTL(group, VFIO_GROUP_GET_DEVICE_FD, subject->name), -EINVAL);
	assert_int_equal(IOCTL(container, VFIO_SET_IOMMU, 2), -ENODEV);
	assert_int_equal(IOCTL(container, VFIO_SET_IOMMU, subject->type), 0);
	assert_int_equal(IOCTL(container, VFIO_SET_IOMMU, subject->type), -EINVAL);
}

static const void *cap_at(const u8 *buffer, u32 at, u16 id, u32 next)
{
	const struct vfio_info_cap_header *header = (const void *)(buffer + at);

	assert_int_equal(header->id, id);
	assert_int_equal(header->version, 1);
	assert_int_equal(header->next, next);
	return header;
}

static void replay_info(struct room *room, int container)
{
	u8 buffer[4096] = {};
	struct vfio_iommu_type1_info *info = (void *)buffer;
	const struct vfio_iommu_type1_info_cap_migration *migration;
	const struct vfio_iommu_type1_info_dma_avail *available;
	const struct vfio_iommu_type1_info_cap_iova_range *ranges;

	info->argsz = sizeof(buffer);
	assert_int_equal(IOCTL(container, VFIO_IOMMU_GET_INFO, info), 0);
	assert_int_equal(info->argsz, 4096);
	assert_int_equal(info->flags, 0x3);
	assert_int_equal(info->iova_pgsizes, 0x40201000);
	assert_int_equal(info->cap_offset, 24);
	migration = cap_at(buffer, 24, 2, 56);
	assert_int_equal(migration->pgsize_bitmap, 0x1000);
	assert_int_equal(migration->max_dirty_bitmap_size, 268435456);
	available = cap_at(buffer, 56, 3, 72);
	assert_int_equal(available->avail, 65535);
	ranges = cap_at(buffer, 72, 1, 0);
	assert_int_equal(ranges->nr_iovas, 2);
	assert_int_equal(ranges->iova_ranges[0].start, 0);
	assert_int_equal(ranges->iova_ranges[0].end, 0xfedfffff);
	assert_int_equal(ranges->iova_ranges[1].start, 0xfef00000);
	assert_int_equal(ranges->iova_ranges[1].end, 0xffffffffffff);

	memset(buffer, 0, sizeof(buffer));
	info->argsz = 24;
	assert_int_equal(IOCTL(container, VFIO_IOMMU_GET_INFO, info), 0);
	assert_int_equal(info->argsz, 120);
	assert_int_equal(info->flags, 0x3);
	assert_int_equal(info->cap_offset, 0);
}

static void replay_maps(struct room *room, const struct subject *subject, int container, void *memory)
{
	u64 size = 0x1000;

	assert_int_equal(room_map(room, container, memory, 0, 0x4000, 3), 0);
	assert_int_equal(room_map(room, container, memory, 0, 0x4000, 3), -EEXIST);
	assert_int_equal(room_map(room, container, memory, 0x2000, 0x1000, 3), -EEXIST);
	assert_int_equal(room_map(room, container, memory, 0xfee00000, 0x1000, 3), -EINVAL);
	assert_int_equal(room_map(room, container, memory, 1ull << 60, 0x1000, 3), -EINVAL);
	assert_int_equal(room_map(room, container, memory, 0x10001, 0x1000, 3), -EINVAL);
	assert_int_equal(room_map(room, container, (void *)0x1000, 0x100000, 0x1000, 3), -EFAULT);
	assert_int_equal(room_map(room, container, memory, 0x100000, 0x1000, 0), -EINVAL);

	assert_int_equal(room_unmap(room, container, 0x1000, 0x1000, 0, &size), subject->partial_unmap);
	assert_int_equal(size, subject->partial_unmap ? 0x1000 : 0);
	assert_int_equal(room_unmap(room, container, 0x40000000, 0x1000, 0, &size), 0);
	assert_int_equal(size, 0);
	assert_int_equal(room_unmap(room, container, 0, 0x100000, 0, &size), 0);
	assert_int_equal(size, 0x4000);
	assert_int_equal(room_unmap(room, container, 0, 0, 2, &size), 0);
	assert_int_equal(size, 0);
}

static void replay_regions(struct room *room, const struct subject *subject, int device)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};

	assert_int_equal(IOCTL(device, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(info.argsz, 24);
	assert_int_equal(info.flags, 0x3);
	assert_int_equal(info.num_regions, 9);
	assert_int_equal(info.num_irqs, 5);
	assert_int_equal(info.cap_offset, 0);

	for (unsigned i = 0; i < info.num_regions + 1; i++) {
		const struct answer *expected = &subject->region[i];
		u8 buffer[4096] = {};
		struct vfio_region_info *region = (void *)buffer;

		region->argsz = sizeof(buffer);
		region->index = i;
		assert_int_equal(IOCTL(device, VFIO_DEVICE_GET_REGION_INFO, region), expected->ret);
		assert_int_equal(region->flags, expected->flags);
		assert_int_equal(region->size, expected->size);
		assert_int_equal(region->offset, expected->ret ? 0 : (u64)i << 40);
		assert_int_equal(region->argsz, 4096);
		assert_int_equal(region->cap_offset, expected->mappable ? 32 : 0);
		if (expected->mappable)
			cap_at(buffer, 32, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 0);
	}
	for (unsigned i = 0; i < info.num_irqs + 1; i++) {
		struct vfio_irq_info irq = {.argsz = 16, .index = i};

		assert_int_equal(IOCTL(device, VFIO_DEVICE_GET_IRQ_INFO, &irq), subject->irq[i].ret);
		assert_int_equal(irq.flags, subject->irq[i].flags);
		assert_int_equal(irq.count, subject->irq[i].size);
	}
}

static void replay_accesses(struct room *room, const struct subject *subject, int device)
{
	const u64 config = 7ull << 40;
	u8 buffer[4096];
	u32 id;

	assert_int_equal(room_read(room, device, config, &id, 4), 4);
	assert_int_equal(id, subject->id);
	assert_int_equal(room_read(room, device, config, buffer, 4096), 4096);
	assert_int_equal(room_read(room, device, config + 4090, buffer, 16), -EFAULT);
	assert_int_equal(room_read(room, device, 0, buffer, 8), 8);
	assert_int_equal(room_read(room, device, 2ull << 40, buffer, 4), subject->io_read);
	assert_int_equal(room_mmap(room, device, config, 4096, PROT_READ | PROT_WRITE, MAP_SHARED), -EINVAL);
	assert_int_equal(room_mmap(room, device, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE), -EINVAL);
	assert_int_equal(room_mmap(room, device, 0, 0x10000, PROT_READ | PROT_WRITE, MAP_SHARED), subject->map_whole);
	assert_int_equal(room_read(room, device, 0, buffer, 4), 4);
}

static void replay_features(struct room *room, int device)
{
	u8 buffer[64] = {};
	struct vfio_pci_hot_reset_info *reset = (void *)buffer;
	struct vfio_device_feature feature;

	reset->argsz = sizeof(buffer);
	assert_int_equal(IOCTL(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, reset), 0);
	assert_int_equal(reset->count, 1);
	assert_int_equal(reset->flags, 0);
	for (u32 id = 1; id < 12; id++) {
		bool low_power = id >= 3 && id <= 5, dma_buf = id == 11;
		long get = low_power ? -EINVAL
			   : dma_buf ? 0
				     : -ENOTTY,
		     set = low_power ? 0
			   : dma_buf ? -EINVAL
				     : -ENOTTY;

		feature = (struct vfio_device_feature){8, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | id};
		assert_int_equal(IOCTL(device, VFIO_DEVICE_FEATURE, &feature), get);
		feature.flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET | id;
		assert_int_equal(IOCTL(device, VFIO_DEVICE_FEATURE, &feature), set);
	}
}

static void replay(const struct subject *subject)
{
	struct room *room = room_new();
	void *memory = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_device_info info = {.argsz = sizeof(info)};
	int container, group, device, mapping = -1;

	container = room_open_container(room);
	group = (int)ASSERT_OK(room->why, room_open_group(room, subject->name));
	replay_start(room, subject, container, group);
	replay_info(room, container);
	replay_maps(room, subject, container, memory);
	assert_int_equal(IOCTL(group, VFIO_GROUP_GET_DEVICE_FD, "0000:99:00.0"), -ENODEV);
	device = (int)ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_GET_DEVICE_FD, subject->name));
	assert_int_equal(room_file(room, device)->mode, 0600);
	assert_int_equal(room_file(room, device)->rdev, 0);
	replay_regions(room, subject, device);
	replay_accesses(room, subject, device);
	if (subject->map_whole == 0)
		mapping = room_hold(room, device);
	replay_features(room, device);
	room_check(room);

	/* The group is closed while the device is open; a mapping that is left keeps the device open. */
	room_close(room, group);
	assert_int_equal(IOCTL(device, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(room_open_group(room, subject->name), -EBUSY);
	room_close(room, device);
	if (mapping >= 0) {
		assert_int_equal(room_open_group(room, subject->name), -EBUSY);
		room_close(room, mapping);
	}
	ASSERT_OK(room->why, room_open_group(room, subject->name));
	munmap(memory, 0x10000);
	room_free(room);
}

TEST(probe, nvme_as_type1v2)
{
	replay(&nvme);
}

TEST(probe, e1000e_as_type1)
{
	replay(&e1000e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(probe, nvme_as_type1v2),
		CASE(probe, e1000e_as_type1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
