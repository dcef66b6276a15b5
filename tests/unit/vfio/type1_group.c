/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fixtures/room.h"

#define IOCTL(fd, cmd, arg) room_ioctl(room, fd, cmd, (const void *)(uintptr_t)(arg))
#define MAP(iova, size)	    room_map(room, container, memory, iova, size, 3)
#define PAGE		    4096ull

static u8 memory[16 * PAGE] __attribute__((aligned(4096)));

static long enter(struct room *room, const char *name, int container)
{
	int group = (int)ASSERT_OK(room->why, room_open_group(room, name));

	return IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container);
}

static int container_with(struct room *room, const char *name)
{
	int container = room_open_container(room);

	ASSERT_OK(room->why, enter(room, name, container));
	ASSERT_OK(room->why, IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	return container;
}

struct ranges {
	struct vfio_iommu_type1_info info;
	u8 chain[400];
};

static const struct vfio_iommu_type1_info_cap_iova_range *ranges_of(struct room *room, int container,
								    struct ranges *ranges)
{
	ranges->info.argsz = sizeof(*ranges);
	ASSERT_OK(room->why, IOCTL(container, VFIO_IOMMU_GET_INFO, ranges));
	return (const void *)((u8 *)ranges + 72);
}

TEST(type1_group, iova_ranges_follow_the_members)
{
	struct room *room = room_new();
	int container = container_with(room, ROOM_NARROW), first = ROOM_FD + 1;
	const struct vfio_iommu_type1_info_cap_iova_range *cap;
	struct ranges ranges;

	cap = ranges_of(room, container, &ranges);
	assert_int_equal(cap->nr_iovas, 3);
	assert_int_equal(cap->iova_ranges[0].end, 0xfffff);
	assert_int_equal(cap->iova_ranges[1].start, 0x200000);
	assert_int_equal(cap->iova_ranges[2].end, (1ull << 39) - 1);
	ASSERT_OK(room->why, enter(room, ROOM_NVME, container));
	assert_int_equal(ranges_of(room, container, &ranges)->nr_iovas, 3);
	/* Two kinds of unit are two domains with the same mappings. */
	ASSERT_OK(room->why, MAP(0x200000, PAGE));
	assert_non_null(domain_area_at(room_device(room, ROOM_NARROW)->group->domain, 0x200000));
	assert_non_null(domain_area_at(room_device(room, ROOM_NVME)->group->domain, 0x200000));
	assert_ptr_not_equal(room_device(room, ROOM_NARROW)->group->domain,
			     room_device(room, ROOM_NVME)->group->domain);
	assert_int_equal(room->client->locked_bytes, PAGE);
	room_check(room);
	ASSERT_OK(room->why, IOCTL(first, VFIO_GROUP_UNSET_CONTAINER, 0));
	cap = ranges_of(room, container, &ranges);
	assert_int_equal(cap->nr_iovas, 2);
	assert_int_equal(cap->iova_ranges[1].end, 0xffffffffffff);
	assert_int_equal(room->client->locked_bytes, PAGE);
	room_check(room);
	room_free(room);
}

/* Its pages are pinned for the first domain, and another is given the same ones. */
TEST(type1_group, shared_memory_of_a_process_that_ended_is_there_for_the_next_domain)
{
	struct room *room = room_new();
	int container = container_with(room, ROOM_NVME), fd = memfd_create("shared", MFD_CLOEXEC);
	const struct extent *first, *second;
	u8 *file;

	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	file = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_OK(room->why, room_map(room, container, file, 0x300000, 2 * PAGE, 3));
	munmap(file, 2 * PAGE);
	atomic_store(&room->client->gone, true);
	ASSERT_OK(room->why, enter(room, ROOM_NARROW, container));
	first = domain_area_at(room_device(room, ROOM_NVME)->group->domain, 0x300000)->extent;
	second = domain_area_at(room_device(room, ROOM_NARROW)->group->domain, 0x300000)->extent;
	assert_ptr_not_equal(first, second);
	assert_non_null(second->direct);
	assert_ptr_not_equal(first->direct, second->direct);
	first->direct[2 * PAGE - 1] = 'x';
	assert_int_equal(second->direct[2 * PAGE - 1], 'x');
	room_check(room);
	room_free(room);
	close(fd);
}

TEST(type1_group, a_member_that_cannot_reach_what_is_mapped)
{
	struct room *room = room_new();
	int container = container_with(room, ROOM_NVME);
	struct iommu_group *narrow = room_device(room, ROOM_NARROW)->group;
	u64 size;

	ASSERT_OK(room->why, MAP(1ull << 40, PAGE));
	EXPECT_REFUSED(GROUP_APERTURE, room->why, enter(room, ROOM_NARROW, container));
	EXPECT_SUBSTR("[0x10000000000, 0x10000000fff] (rw)", room->why.text);
	assert_false(iommu_group_claimed(narrow));
	room_check(room);
	ASSERT_OK(room->why, room_unmap(room, container, 1ull << 40, PAGE, 0, &size));
	ASSERT_OK(room->why, MAP(0x1ff000, PAGE));
	room_close(room, ROOM_FD + 2);
	EXPECT_REFUSED(GROUP_RESERVED_MAPPED, room->why, enter(room, ROOM_NARROW, container));
	EXPECT_SUBSTR("reserved region [0x100000, 0x1fffff]", room->why.text);
	ASSERT_OK(room->why, room_unmap(room, container, 0x1ff000, PAGE, 0, &size));
	room_close(room, ROOM_FD + 2);
	ASSERT_OK(room->why, enter(room, ROOM_NARROW, container));
	room_check(room);
	room_free(room);
}

TEST(type1_group, no_iova_for_all)
{
	struct room *room = room_new();
	int container = container_with(room, ROOM_NVME);

	room->narrow->regions[0] = (struct reserved_region){0, BIT(39) - 1, RESERVED_RESERVED};
	EXPECT_REFUSED(GROUP_NO_IOVA, room->why, enter(room, ROOM_NARROW, container));
	assert_int_equal(room_device(room, ROOM_NVME)->group->owner_count, 1);
	room_check(room);
	room_free(room);
}

TEST(type1_group, set_iommu_takes_all_groups_or_none)
{
	struct room *room = room_new();
	int container = room_open_container(room);

	room->narrow->regions[0] = (struct reserved_region){0, BIT(39) - 1, RESERVED_RESERVED};
	ASSERT_OK(room->why, enter(room, ROOM_NARROW, container));
	ASSERT_OK(room->why, enter(room, ROOM_NVME, container));
	EXPECT_REFUSED(GROUP_NO_IOVA, room->why, IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	room_check(room);
	assert_true(iommu_group_claimed(room_device(room, ROOM_NVME)->group));
	room->narrow->regions[0] = (struct reserved_region){0, 0xfff, RESERVED_DIRECT_RELAXABLE};
	ASSERT_OK(room->why, IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	/* Relaxable regions are the program's to use. */
	ASSERT_OK(room->why, MAP(0, PAGE));
	room_check(room);
	room_free(room);
}

/* Asked last, and only when a group enters. */
TEST(type1_group, interrupts_must_be_isolated_unless_the_module_says_otherwise)
{
	struct room *room = room_new();
	int container = container_with(room, ROOM_NVME);

	room->narrow->shared_interrupts = true;
	EXPECT_REFUSED(MSI_NOT_ISOLATED, room->why, enter(room, ROOM_NARROW, container));
	EXPECT_SUBSTR("0000:04:00.0", room->why.text);
	room_check(room);
	ASSERT_OK(room->why, MAP(0x100000, PAGE));
	room_close(room, ROOM_FD + 2);
	EXPECT_REFUSED(GROUP_RESERVED_MAPPED, room->why, enter(room, ROOM_NARROW, container));
	ASSERT_OK(room->why, room_unmap(room, container, 0x100000, PAGE, 0, NULL));
	room_close(room, ROOM_FD + 2);
	room->vfio.unsafe_interrupts = true;
	ASSERT_OK(room->why, enter(room, ROOM_NARROW, container));
	room_free(room);
}

TEST(type1_group, groups_of_one_kind_of_unit_share_a_domain)
{
	struct room *room = room_new();
	int container = container_with(room, ROOM_NVME);
	struct iommu_group *pair = room_device(room, ROOM_PAIR_A)->group;

	ASSERT_OK(room->why, enter(room, ROOM_PAIR_A, container));
	assert_ptr_equal(pair->domain, room_device(room, ROOM_NVME)->group->domain);
	room_check(room);
	room_free(room);
}

/* The limit is that of the moment of SET_IOMMU. */
TEST(type1_group, the_limit_of_mappings_is_read_once)
{
	struct room *room = room_new();
	int container;

	room->vfio.dma_entry_limit = 1;
	container = container_with(room, ROOM_NVME);
	room->vfio.dma_entry_limit = 100;
	ASSERT_OK(room->why, MAP(0, PAGE));
	EXPECT_REFUSED(MAPPING_LIMIT, room->why, MAP(PAGE, PAGE));
	room_free(room);
}

static struct room *sweep_room;

/* Two kinds of unit and a mapping between: claims, domains, replay, each step failing once. */
static int enter_twice(struct why *why)
{
	struct room *room = sweep_room;
	int container = room_open_container(room), first, second = -1;
	long ret = container;

	first = container < 0 ? -1 : room_open_group(room, ROOM_NVME);
	if (first >= 0)
		ret = IOCTL(first, VFIO_GROUP_SET_CONTAINER, &container);
	else
		ret = first;
	if (ret == 0)
		ret = IOCTL(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
	if (ret == 0)
		ret = MAP(0x200000, 4 * PAGE);
	if (ret == 0)
		ret = second = room_open_group(room, ROOM_NARROW);
	if (second >= 0)
		ret = IOCTL(second, VFIO_GROUP_SET_CONTAINER, &container);
	*why = room->why;
	room_check(room);
	for (int fd = ROOM_FD + ROOM_FILES - 1; fd >= ROOM_FD; fd--)
		if (room_file(room, fd))
			room_close(room, fd);
	room_check(room);
	assert_int_equal(room->client->locked_bytes, 0);
	return (int)ret;
}

TEST(type1_group, entering_can_fail_anywhere)
{
	sweep_room = room_new();
	SWEEP_FAILURES(enter_twice);
	room_free(sweep_room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(type1_group, iova_ranges_follow_the_members),
		CASE(type1_group, shared_memory_of_a_process_that_ended_is_there_for_the_next_domain),
		CASE(type1_group, a_member_that_cannot_reach_what_is_mapped),
		CASE(type1_group, no_iova_for_all),
		CASE(type1_group, set_iommu_takes_all_groups_or_none),
		CASE(type1_group, interrupts_must_be_isolated_unless_the_module_says_otherwise),
		CASE(type1_group, groups_of_one_kind_of_unit_share_a_domain),
		CASE(type1_group, the_limit_of_mappings_is_read_once),
		CASE(type1_group, entering_can_fail_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
