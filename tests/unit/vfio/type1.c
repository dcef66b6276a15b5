/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tests/fixtures/room.h"
#include "tests/fixtures/self_client.h"

#define IOCTL(fd, cmd, arg) room_ioctl(room, fd, cmd, (const void *)(uintptr_t)(arg))
#define MAP(iova, size)	    room_map(room, container, memory, iova, size, 3)
#define UNMAP(iova, size)   room_unmap(room, container, iova, size, 0, &unmapped)

#define PAGES 64
#define PAGE  4096ull

static u8 memory[PAGES * PAGE] __attribute__((aligned(4096)));

static int container_of_type(struct room *room, int type)
{
	int container = room_open_container(room), group = room_open_group(room, ROOM_NVME);

	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container));
	ASSERT_OK(room->why, IOCTL(container, VFIO_SET_IOMMU, type));
	return container;
}

static struct domain *domain_of(struct room *room)
{
	return room_device(room, ROOM_NVME)->group->domain;
}

TEST(type1, a_mapping_is_what_the_device_reaches)
{
	struct room *room = room_new();
	int container = container_of_type(room, VFIO_TYPE1v2_IOMMU);
	struct iommu_device *device = room_device(room, ROOM_NVME);
	char text[6] = "hello";
	u64 unmapped = 0;

	pci_config_write(device->function, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(dma_write(device->port, 0x10020, text, 6), DMA_FAULT);
	ASSERT_OK(room->why, room_map(room, container, memory, 0x10000, 2 * PAGE, 3));
	assert_int_equal(dma_write(device->port, 0x10020, text, 6), DMA_OK);
	assert_string_equal((char *)memory + 0x20, "hello");
	ASSERT_OK(room->why, UNMAP(0x10000, 2 * PAGE));
	assert_int_equal(unmapped, 2 * PAGE);
	assert_int_equal(dma_write(device->port, 0x10020, text, 6), DMA_FAULT);
	/* Read-only for the device. */
	ASSERT_OK(room->why, room_map(room, container, memory, 0, PAGE, VFIO_DMA_MAP_FLAG_READ));
	assert_int_equal(dma_read(device->port, 0x20, text, 6), DMA_OK);
	assert_int_equal(dma_write(device->port, 0x20, text, 6), DMA_FAULT);
	room_free(room);
}

TEST(type1, maps_it_refuses)
{
	struct room *room = room_new();
	int container = container_of_type(room, VFIO_TYPE1_IOMMU);
	const u8 *read_only = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT_REFUSED(MAP_FLAGS, room->why, room_map(room, container, memory, 0, PAGE, 8 | 3));
	EXPECT_REFUSED(MAP_EMPTY, room->why, MAP(0, 0));
	/* Size 0 comes before all others, overflow before flags, flags before alignment. */
	EXPECT_REFUSED(MAP_EMPTY, room->why, room_map(room, container, memory, UINT64_MAX, 0, 0));
	EXPECT_REFUSED(RANGE_OVERFLOWS, room->why, room_map(room, container, memory, UINT64_MAX - 4095, 2 * PAGE, 0));
	EXPECT_REFUSED(RANGE_OVERFLOWS, room->why,
		       room_map(room, container, (void *)(UINTPTR_MAX - 4095), 0, 2 * PAGE, 3));
	EXPECT_REFUSED(MAP_FLAGS, room->why, room_map(room, container, memory, 0x10001, PAGE, 0));
	EXPECT_REFUSED(MAP_FLAGS, room->why,
		       room_map(room, container, memory, 0, PAGE, VFIO_DMA_MAP_FLAG_VADDR | VFIO_DMA_MAP_FLAG_READ));
	EXPECT_REFUSED(MAP_MISALIGNED, room->why, MAP(0x10001, PAGE));
	EXPECT_REFUSED(MAP_MISALIGNED, room->why, MAP(0x10000, PAGE + 1));
	EXPECT_REFUSED(MAP_MISALIGNED, room->why, room_map(room, container, memory + 1, 0x10000, PAGE, 3));
	EXPECT_REFUSED(CLIENT_FAULT, room->why, room_map(room, container, (void *)PAGE, 0, PAGE, 3));
	EXPECT_REFUSED(CLIENT_FAULT, room->why, room_map(room, container, read_only, 0, PAGE, 3));
	ASSERT_OK(room->why, room_map(room, container, read_only, 0, PAGE, 1));
	EXPECT_REFUSED(IOVA_MAPPED, room->why, MAP(0, 4 * PAGE));
	EXPECT_SUBSTR("[0, 0xfff] (r)", room->why.text);
	munmap((void *)(uintptr_t)read_only, PAGE);
	room_check(room);
	room_free(room);
}

TEST(type1, iovas_nobody_can_have)
{
	struct room *room = room_new();
	int container = container_of_type(room, VFIO_TYPE1_IOMMU);

	EXPECT_REFUSED(IOVA_RESERVED, room->why, MAP(0xfedff000, 2 * PAGE));
	EXPECT_SUBSTR("msi region [0xfee00000, 0xfeefffff] of group", room->why.text);
	EXPECT_REFUSED(IOVA_OUTSIDE, room->why, MAP(1ull << 48, PAGE));
	EXPECT_SUBSTR("[0, 0xfedfffff] [0xfef00000, 0xffffffffffff]", room->why.text);
	ASSERT_OK(room->why, MAP((1ull << 48) - PAGE, PAGE));
	ASSERT_OK(room->why, MAP(0xfedff000, PAGE));
	ASSERT_OK(room->why, MAP(0xfef00000, PAGE));
	room_free(room);
}

TEST(type1, mappings_are_counted)
{
	struct room *room = room_new();
	struct vfio_iommu_type1_info *info = calloc(1, 200);
	const struct vfio_iommu_type1_info_dma_avail *available = (const void *)((u8 *)info + 56);
	u64 unmapped = 0;
	int container;

	room->vfio.dma_entry_limit = 2;
	container = container_of_type(room, VFIO_TYPE1_IOMMU);
	ASSERT_OK(room->why, MAP(0, PAGE));
	ASSERT_OK(room->why, MAP(PAGE, PAGE));
	EXPECT_REFUSED(MAPPING_LIMIT, room->why, MAP(2 * PAGE, PAGE));
	/* The limit comes behind the overlap and before the range. */
	EXPECT_REFUSED(IOVA_MAPPED, room->why, MAP(0, PAGE));
	EXPECT_REFUSED(MAPPING_LIMIT, room->why, MAP(1ull << 60, PAGE));
	info->argsz = 200;
	ASSERT_OK(room->why, IOCTL(container, VFIO_IOMMU_GET_INFO, info));
	assert_int_equal(available->avail, 0);
	ASSERT_OK(room->why, UNMAP(0, PAGE));
	ASSERT_OK(room->why, MAP(2 * PAGE, PAGE));
	free(info);
	room_free(room);
}

/* Gives and takes this process's CAP_IPC_LOCK; true when it had it. */
static bool allow_locking(bool allow)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	bool had;

	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	had = data[0].effective & 1u << CAP_IPC_LOCK;
	data[0].effective &= ~(1u << CAP_IPC_LOCK);
	if (allow)
		data[0].effective |= 1u << CAP_IPC_LOCK;
	assert_int_equal(syscall(SYS_capset, &header, data), 0);
	return had;
}

TEST(type1, locked_memory_is_charged)
{
	struct room *room = room_new();
	int container = container_of_type(room, VFIO_TYPE1v2_IOMMU);
	struct rlimit before, limit;
	bool had = allow_locking(false);
	u64 unmapped = 0;
	u8 *pages;

	getrlimit(RLIMIT_MEMLOCK, &before);
	limit = (struct rlimit){.rlim_cur = 4 * PAGE, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	ASSERT_OK(room->why, MAP(0, 3 * PAGE));
	assert_int_equal(room->client->locked_bytes, 3 * PAGE);
	EXPECT_REFUSED(MEMLOCK_EXCEEDED, room->why, MAP(0x100000, 2 * PAGE));
	EXPECT_SUBSTR("12288", room->why.text);
	EXPECT_SUBSTR("16384", room->why.text);
	EXPECT_SUBSTR("8192", room->why.text);
	/* Of a bad address and the limit, what comes first: pages are pinned and counted one after the other. */
	EXPECT_REFUSED(CLIENT_FAULT, room->why, room_map(room, container, (void *)PAGE, 0x100000, 2 * PAGE, 3));
	pages = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(pages + 2 * PAGE, PAGE, PROT_NONE);
	EXPECT_REFUSED(MEMLOCK_EXCEEDED, room->why, room_map(room, container, pages, 0x100000, 4 * PAGE, 3));
	EXPECT_REFUSED(CLIENT_FAULT, room->why, room_map(room, container, pages + PAGE, 0x100000, 2 * PAGE, 3));
	munmap(pages, 4 * PAGE);
	assert_int_equal(room->client->locked_bytes, 3 * PAGE);
	ASSERT_OK(room->why, UNMAP(0, 3 * PAGE));
	assert_int_equal(room->client->locked_bytes, 0);
	setrlimit(RLIMIT_MEMLOCK, &before);
	if (had)
		allow_locking(true);
	room_free(room);
}

TEST(type1, unmaps_it_refuses)
{
	struct room *room = room_new();
	int container = container_of_type(room, VFIO_TYPE1v2_IOMMU);
	u64 unmapped = 77;

	ASSERT_OK(room->why, MAP(4 * PAGE, 4 * PAGE));
	EXPECT_REFUSED(UNMAP_FLAGS, room->why, room_unmap(room, container, 0, PAGE, 8, &unmapped));
	EXPECT_REFUSED(UNMAP_FLAGS, room->why, room_unmap(room, container, 0, 0, 1 | 2, &unmapped));
	EXPECT_REFUSED(UNMAP_FLAGS, room->why, room_unmap(room, container, 0, 0, 1 | 4, &unmapped));
	EXPECT_REFUSED(UNMAP_RANGE, room->why, UNMAP(1, PAGE));
	EXPECT_REFUSED(UNMAP_RANGE, room->why, UNMAP(0, 0));
	EXPECT_REFUSED(UNMAP_RANGE, room->why, UNMAP(0, 100));
	EXPECT_REFUSED(RANGE_OVERFLOWS, room->why, UNMAP(UINT64_MAX - 4095, 2 * PAGE));
	EXPECT_REFUSED(UNMAP_RANGE, room->why,
		       room_unmap(room, container, PAGE, 0, VFIO_DMA_UNMAP_FLAG_ALL, &unmapped));
	EXPECT_REFUSED(UNMAP_RANGE, room->why,
		       room_unmap(room, container, 0, PAGE, VFIO_DMA_UNMAP_FLAG_ALL, &unmapped));
	EXPECT_REFUSED(UNMAP_BISECTS, room->why, UNMAP(5 * PAGE, PAGE));
	EXPECT_SUBSTR("[0x4000, 0x7fff] (rw)", room->why.text);
	EXPECT_REFUSED(UNMAP_BISECTS, room->why, UNMAP(0, 5 * PAGE));
	EXPECT_REFUSED(UNMAP_BISECTS, room->why, UNMAP(6 * PAGE, 10 * PAGE));
	assert_int_equal(unmapped, 77);
	assert_non_null(domain_area_at(domain_of(room), 4 * PAGE));
	room_free(room);
}

/* Mappings at pages 4-7 and 8-9; what one unmap does to them by version (spec 04 section 7.3). */
TEST(type1, the_two_versions_of_unmap)
{
	static const struct {
		u64 start, pages;
		u64 v1; /* pages removed */
		int v2; /* pages removed, or -EINVAL */
	} table[] = {
		{0, 4, 0, 0},	    {4, 4, 4, 4},	{4, 6, 6, 6},	    {0, 64, 6, 6},	{8, 2, 2, 2},
		{4, 1, 4, -EINVAL}, {0, 5, 4, -EINVAL}, {5, 1, 0, -EINVAL}, {5, 4, 0, -EINVAL}, {6, 58, 0, -EINVAL},
		{4, 5, 6, -EINVAL}, {0, 9, 6, -EINVAL}, {9, 1, 0, -EINVAL}, {10, 54, 0, 0},
	};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(table); i++) {
		bool v2 = i % 2;
		struct room *room = room_new();
		int container = container_of_type(room, v2 ? VFIO_TYPE1v2_IOMMU : VFIO_TYPE1_IOMMU);
		s64 expected = v2 ? table[i / 2].v2 : (s64)table[i / 2].v1;
		u64 unmapped = 0;
		long ret;

		ASSERT_OK(room->why, MAP(4 * PAGE, 4 * PAGE));
		ASSERT_OK(room->why, MAP(8 * PAGE, 2 * PAGE));
		ret = UNMAP(table[i / 2].start * PAGE, table[i / 2].pages * PAGE);
		assert_int_equal(ret, expected < 0 ? expected : 0);
		if (ret == 0)
			assert_int_equal(unmapped, (u64)expected * PAGE);
		assert_int_equal(room->client->locked_bytes, 6 * PAGE - unmapped);
		room_check(room);
		ASSERT_OK(room->why, room_unmap(room, container, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, &unmapped));
		assert_int_equal(room->client->locked_bytes, 0);
		room_free(room);
	}
}

TEST(type1, addresses_are_taken_and_given_back)
{
	struct room *room = room_new();
	int container = container_of_type(room, VFIO_TYPE1v2_IOMMU), group = room_open_group(room, ROOM_NIC);
	struct iommu_device *device = room_device(room, ROOM_NVME);
	u64 size = 0;
	u8 byte = 0;

	pci_config_write(device->function, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	memory[8 * PAGE] = 0x88;
	ASSERT_OK(room->why, MAP(0, 2 * PAGE));
	EXPECT_REFUSED(VADDR_MISMATCH, room->why, room_map(room, container, memory, 0, 2 * PAGE, 4));
	ASSERT_OK(room->why, room_unmap(room, container, 0, 0, 4 | 2, &size));
	assert_int_equal(size, 2 * PAGE);
	/* Still translated; but nobody may join meanwhile. */
	assert_int_equal(dma_read(device->port, 0, &byte, 1), DMA_OK);
	EXPECT_REFUSED(VADDR_PENDING, room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container));
	EXPECT_REFUSED(VADDR_LOST, room->why, room_unmap(room, container, 0, 2 * PAGE, 4, &size));
	EXPECT_REFUSED(VADDR_NO_MAPPING, room->why, room_map(room, container, memory, 0x100000, PAGE, 4));
	EXPECT_REFUSED(VADDR_MISMATCH, room->why, room_map(room, container, memory, 0, PAGE, 4));
	room_check(room);
	ASSERT_OK(room->why, room_map(room, container, memory + 8 * PAGE, 0, 2 * PAGE, 4));
	assert_int_equal(dma_read(device->port, 0, &byte, 1), DMA_OK);
	assert_int_equal(byte, 0x88);
	ASSERT_OK(room->why, IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container));
	room_check(room);
	ASSERT_OK(room->why, room_unmap(room, container, 0, 2 * PAGE, 4, &size));
	ASSERT_OK(room->why, room_unmap(room, container, 0, 2 * PAGE, 0, &size));
	room_check(room);
	room_free(room);
}

/* The new process pays from then on. */
TEST(type1, an_address_in_another_process)
{
	struct room *room = room_new();
	int container = container_of_type(room, VFIO_TYPE1v2_IOMMU);
	struct client *first = room->client, *second = self_client_new(getpid());
	u64 size = 0;

	ASSERT_OK(room->why, MAP(0, 2 * PAGE));
	ASSERT_OK(room->why, room_unmap(room, container, 0, 0, 4 | 2, &size));
	room->client = second;
	ASSERT_OK(room->why, room_map(room, container, memory + 8 * PAGE, 0, 2 * PAGE, 4));
	room->client = first;
	room_check(room);
	assert_int_equal(first->locked_bytes, 0);
	assert_int_equal(second->locked_bytes, 2 * PAGE);
	ASSERT_OK(room->why, room_unmap(room, container, 0, 2 * PAGE, 0, &size));
	client_put(second);
	room_free(room);
}

/* Version 1 stops at a mapping that starts below the range, also when it only takes addresses. */
TEST(type1, the_first_version_takes_addresses_as_it_unmaps)
{
	struct room *room = room_new();
	int container = container_of_type(room, VFIO_TYPE1_IOMMU);
	u64 size = 77;

	ASSERT_OK(room->why, MAP(0, 4 * PAGE));
	ASSERT_OK(room->why, room_unmap(room, container, PAGE, PAGE, 4, &size));
	assert_int_equal(size, 0);
	ASSERT_OK(room->why, room_unmap(room, container, 0, PAGE, 4, &size));
	assert_int_equal(size, 4 * PAGE);
	room_check(room);
	room_free(room);
}

static struct room *sweep_room;

static int map_and_unmap(struct why *why)
{
	struct room *room = sweep_room;
	int container = ROOM_FD; /* the first descriptor of the room */
	long ret = MAP(0x200000, 8 * PAGE);
	u64 unmapped = 0;

	*why = room->why;
	room_check(room);
	if (ret < 0)
		return (int)ret;
	ret = UNMAP(0x200000, 8 * PAGE);
	*why = room->why;
	assert_int_equal(room->client->locked_bytes, 0);
	return (int)ret;
}

TEST(type1, a_map_that_fails_anywhere_changes_nothing)
{
	sweep_room = room_new();
	assert_int_equal(container_of_type(sweep_room, VFIO_TYPE1v2_IOMMU), ROOM_FD);
	SWEEP_FAILURES(map_and_unmap);
	room_free(sweep_room);
}

TEST(type1, an_answer_that_cannot_be_written)
{
	struct room *room = room_new();
	int container = container_of_type(room, VFIO_TYPE1v2_IOMMU);
	struct vfio_iommu_type1_dma_unmap *unmap = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
							-1, 0);

	ASSERT_OK(room->why, MAP(0, PAGE));
	*unmap = (struct vfio_iommu_type1_dma_unmap){.argsz = sizeof(*unmap), .size = PAGE};
	mprotect(unmap, PAGE, PROT_READ);
	/* Done, but the caller does not learn it: as in Linux. */
	EXPECT_REFUSED(CLIENT_FAULT, room->why, IOCTL(container, VFIO_IOMMU_UNMAP_DMA, unmap));
	assert_null(domain_area_at(domain_of(room), 0));
	munmap(unmap, PAGE);
	room_free(room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(type1, a_mapping_is_what_the_device_reaches),
		CASE(type1, maps_it_refuses),
		CASE(type1, iovas_nobody_can_have),
		CASE(type1, mappings_are_counted),
		CASE(type1, locked_memory_is_charged),
		CASE(type1, unmaps_it_refuses),
		CASE(type1, the_two_versions_of_unmap),
		CASE(type1, addresses_are_taken_and_given_back),
		CASE(type1, an_address_in_another_process),
		CASE(type1, the_first_version_takes_addresses_as_it_unmaps),
		CASE(type1, a_map_that_fails_anywhere_changes_nothing),
		CASE(type1, an_answer_that_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
