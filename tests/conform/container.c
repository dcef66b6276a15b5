/* SPDX-License-Identifier: MIT */
/* VFIO's own containers (spec 04 section 3): what they are without groups, SET_IOMMU, and when they are new again. */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conform/vfio.h"

#define REQUEST(nr) (0x3b00ul | (nr))

static bool is_own(unsigned nr) /* of every container, whatever its backend */
{
	return nr >= 100 && nr <= 102;
}

static bool is_type1(unsigned nr)
{
	return (nr >= 112 && nr <= 114) || nr == 117;
}

TEST(the_version_is_0)
{
	int container = new_container();

	EXPECT(0, ask(container, VFIO_GET_API_VERSION, NULL));
	EXPECT(0, ask(container, VFIO_GET_API_VERSION, (void *)0xdeadbeef));
}

/* Which of them are types, and what a machine without a group has of the rest. */
TEST(extensions_before_an_iommu_is_set)
{
	const u8 has[16] = {[VFIO_TYPE1_IOMMU] = 1, [VFIO_TYPE1v2_IOMMU] = 1, [VFIO_UNMAP_ALL] = 1};
	struct names names = the_device();
	int container = new_container(), group = open_group(&names);

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned extension = 0; extension < COUNT(has); extension++) {
			about("extension %u, %u groups", extension, round);
			EXPECT(has[extension], check_extension(container, extension));
		}
		EXPECT(0, check_extension(container, 0x7fffffff));
		if (!round)
			EXPECT(0, set_container(group, container));
	}
}

TEST(extensions_of_an_iommu)
{
	const u8 has[16] = {
		[VFIO_TYPE1_IOMMU] = 1, [VFIO_TYPE1v2_IOMMU] = 1, [VFIO_UNMAP_ALL] = 1, [VFIO_UPDATE_VADDR] = 1};
	struct names names = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1_IOMMU);

	for (unsigned extension = 0; extension < COUNT(has); extension++) {
		about("extension %u", extension);
		if (extension != VFIO_DMA_CC_IOMMU) /* that is for the IOMMU to say */
			EXPECT(has[extension], check_extension(legacy.container, extension));
	}
	EXPECT_TRUE(check_extension(legacy.container, VFIO_DMA_CC_IOMMU) >= 0);
}

/* All numbers there are, with an argument and without: nobody looks at it. */
TEST(without_an_iommu_all_requests_are_invalid)
{
	struct names names = the_device();
	int container = new_container(), group = open_group(&names);
	u64 structure[16] = {sizeof(structure)};

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned nr = 0; nr < 256; nr++) {
			about("number %u", nr);
			if (is_own(nr))
				continue;
			EXPECT(-EINVAL, ask(container, REQUEST(nr), structure));
			EXPECT(-EINVAL, ask(container, REQUEST(nr), NULL));
		}
		if (!round)
			EXPECT(0, set_container(group, container));
	}
}

TEST(without_an_iommu_requests_of_other_files_are_invalid_too)
{
	EXPECT(-EINVAL, ask(new_container(), 0x1234, NULL));
}

TEST(with_an_iommu_numbers_that_are_none_of_its_are_unknown)
{
	struct names names = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	u64 structure[16] = {sizeof(structure)};

	for (unsigned nr = 0; nr < 256; nr++) {
		about("number %u", nr);
		if (is_own(nr))
			continue;
		EXPECT(is_type1(nr) ? -EFAULT : -ENOTTY, ask(legacy.container, REQUEST(nr), NULL));
		if (!is_type1(nr))
			EXPECT(-ENOTTY, ask(legacy.container, REQUEST(nr), structure));
	}
	/* Type 1 knows numbers, not sizes and directions. */
	EXPECT(-ENOTTY, ask(legacy.container, _IOWR(';', 113, u64), structure));
}

/* The set of types is told by the extensions; one that is none of both gets as far as the backend. */
TEST(set_iommu_is_refused_in_this_order)
{
	struct names names = the_device();
	int container = new_container(), group = open_group(&names);

	for (int type = 0; type < 16; type++) {
		about("type %d", type);
		EXPECT(-EINVAL, set_iommu(container, type)); /* no group */
	}
	EXPECT(0, set_container(group, container));
	for (int type = 0; type < 16; type++) {
		about("type %d", type);
		if (type == VFIO_TYPE1_IOMMU || type == VFIO_TYPE1v2_IOMMU)
			continue;
		EXPECT(type == VFIO_UNMAP_ALL ? -EINVAL : -ENODEV, set_iommu(container, type));
	}
	about(NULL);
	EXPECT(0, set_iommu(container, VFIO_TYPE1_IOMMU));
	EXPECT(-EINVAL, set_iommu(container, VFIO_TYPE1_IOMMU));
	EXPECT(-EINVAL, set_iommu(container, VFIO_TYPE1v2_IOMMU));
	EXPECT(-EINVAL, set_iommu(container, 99)); /* set already, before the type is looked at */
}

/* There is no way to unset an IOMMU but this. */
TEST(the_last_group_that_leaves_makes_it_new)
{
	struct names names = the_device(), pair[2];
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	void *page = memory(PAGE);
	int other;

	two_siblings(pair);
	other = open_group(&pair[0]);
	EXPECT(0, set_container(other, legacy.container));
	EXPECT(0, type1_map(legacy.container, page, 0, PAGE));
	EXPECT(0, unset_container(legacy.group));
	EXPECT(-EEXIST, type1_map(legacy.container, page, 0, PAGE)); /* one is still there */
	EXPECT(0, unset_container(other));
	EXPECT(-EINVAL, type1_map(legacy.container, page, 0, PAGE));
	EXPECT(-EINVAL, set_iommu(legacy.container, VFIO_TYPE1_IOMMU));
	EXPECT(0, check_extension(legacy.container, VFIO_UPDATE_VADDR));
	EXPECT_EQUAL(0, conform_locked_kib());
	EXPECT(0, set_container(other, legacy.container));
	EXPECT(-EINVAL, type1_map(legacy.container, page, 0, PAGE));
	EXPECT(0, set_iommu(legacy.container, VFIO_TYPE1_IOMMU));
	EXPECT(0, type1_map(legacy.container, page, 0, PAGE));
}

/* Groups keep it, so its mappings work on; what nobody can reach any more is gone. */
TEST(groups_outlive_the_descriptor_of_their_container)
{
	struct names names = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	struct vfio_group_status status = {.argsz = sizeof(status)};
	u8 *queues = memory(2 * PAGE), *page = memory(PAGE);
	struct nvme nvme;

	EXPECT(0, type1_map(legacy.container, queues, 0x100000, 2 * PAGE));
	EXPECT(0, type1_map(legacy.container, page, 0x200000, PAGE));
	drop(legacy.container);
	EXPECT(0, ask(legacy.group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_EQUAL(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET, status.flags);
	open_device(&legacy, &names);
	nvme = start_nvme(legacy.device, queues, 0x100000);
	identify_nvme(&nvme, 0x200000);
	EXPECT_TRUE(page[24] > ' ');
	stop_nvme(&nvme);
	unmap_mapped((void *)(uintptr_t)nvme.bar);
	drop(legacy.device);
	EXPECT_EQUAL(3 * PAGE / KIB, conform_locked_kib());
	EXPECT(0, unset_container(legacy.group));
	EXPECT_EQUAL(0, conform_locked_kib());
}

/* In any order: each keeps what it needs. */
TEST(the_device_keeps_group_and_container)
{
	struct names names = the_device();
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	struct vfio_device_info info = {.argsz = sizeof(info)};
	int other;

	EXPECT(0, type1_map(legacy.container, memory(PAGE), 0, PAGE));
	open_device(&legacy, &names);
	drop(legacy.container);
	drop(legacy.group);
	EXPECT(0, ask(legacy.device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQUAL(PAGE / KIB, conform_locked_kib());
	EXPECT(-EBUSY, open_answer(names.group, 2));
	drop(legacy.device);
	EXPECT_EQUAL(0, conform_locked_kib());
	other = open_group(&names);
	EXPECT(-EINVAL, unset_container(other));
}

TEST(several_groups_share_the_mappings)
{
	struct names names = the_device(), pair[2];
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	int siblings, second;

	two_siblings(pair);
	siblings = open_group(&pair[0]);
	second = new_container();
	EXPECT(0, type1_map(legacy.container, memory(4 * PAGE), 0x100000, 4 * PAGE));
	EXPECT(0, set_container(siblings, legacy.container)); /* replayed */
	EXPECT(-EINVAL, set_container(siblings, second));
	EXPECT_EQUAL(4 * PAGE / KIB, conform_locked_kib()); /* once, not for each */
	EXPECT(0, unset_container(siblings));
	EXPECT(0, set_container(siblings, second)); /* it has its own */
	EXPECT(0, set_iommu(second, VFIO_TYPE1_IOMMU));
	EXPECT(0, type1_map(second, memory(PAGE), 0x100000, PAGE));
	EXPECT(4 * PAGE, type1_unmap(legacy.container, 0, 0x100000, 4 * PAGE));
}

TEST(memory_of_a_replay_is_looked_at_when_it_was_pinned)
{
	struct names names = the_device(), pair[2];
	struct legacy legacy = enter_group(&names, VFIO_TYPE1v2_IOMMU);
	int siblings;

	two_siblings(pair);
	siblings = open_group(&pair[0]);
	EXPECT(0, type1_map(legacy.container, memory(PAGE), 0x100000, PAGE));
	EXPECT(PAGE, type1_unmap(legacy.container, VFIO_DMA_UNMAP_FLAG_VADDR, 0x100000, PAGE));
	EXPECT(-EBUSY, set_container(siblings, legacy.container)); /* an address is lost */
	EXPECT(PAGE, type1_unmap(legacy.container, 0, 0x100000, PAGE));
	EXPECT(0, set_container(siblings, legacy.container));
}

TEST(the_file_maps_nothing)
{
	int container = new_container();

	EXPECT_TRUE(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, container, 0) == MAP_FAILED);
	EXPECT_EQUAL(ENODEV, errno);
}

TEST(the_file_cannot_be_read_written_or_sought)
{
	char buffer[16] = {0};
	int container = new_container();

	EXPECT_TRUE(read(container, buffer, sizeof(buffer)) == -1 && errno == EINVAL);
	EXPECT_TRUE(write(container, buffer, sizeof(buffer)) == -1 && errno == EINVAL);
	EXPECT_TRUE(pread(container, buffer, sizeof(buffer), 0) == -1);
	EXPECT_EQUAL(EINVAL, errno);
}

SUITE(container, CASE(the_version_is_0), CASE(extensions_before_an_iommu_is_set), CASE(extensions_of_an_iommu),
      CASE(without_an_iommu_all_requests_are_invalid), CASE(without_an_iommu_requests_of_other_files_are_invalid_too),
      CASE(with_an_iommu_numbers_that_are_none_of_its_are_unknown), CASE(set_iommu_is_refused_in_this_order),
      CASE(the_last_group_that_leaves_makes_it_new), CASE(groups_outlive_the_descriptor_of_their_container),
      CASE(the_device_keeps_group_and_container), CASE(several_groups_share_the_mappings),
      CASE(memory_of_a_replay_is_looked_at_when_it_was_pinned), CASE(the_file_maps_nothing),
      CASE(the_file_cannot_be_read_written_or_sought));
