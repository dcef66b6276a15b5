/* SPDX-License-Identifier: MIT */
/* What is mapped, pinned and reserved, as the selftest's requests see it. */
#include "tests/fixtures/selftest_room.h"

static long reserve(struct selftest_room *room, u32 ioas, u64 start, u64 length)
{
	return TEST_OP(room, ADD_RESERVED, .id = ioas, .add_reserved = {.start = start, .length = length});
}

static long check_map(struct selftest_room *room, u32 hwpt, u64 iova, u64 length, const void *memory)
{
	return TEST_OP(room, MD_CHECK_MAP, .id = hwpt,
		       .check_map = {.iova = iova, .length = length, .uptr = (uintptr_t)memory});
}

static long check_refs(struct selftest_room *room, const void *memory, u64 length, u32 refs)
{
	return TEST_OP(room, MD_CHECK_REFS, .check_refs = {.length = length, .uptr = (uintptr_t)memory, .refs = refs});
}

static struct iommu_iova_range only_range(struct selftest_room *room)
{
	struct iommu_iova_range range;
	struct iommu_ioas_iova_ranges command = {
		.size = sizeof(command), .ioas_id = room->ioas, .num_iovas = 1, .allowed_iovas = (uintptr_t)&range};

	OK(ask(room, IOMMU_IOAS_IOVA_RANGES, &command));
	assert_int_equal(command.num_iovas, 1);
	return range;
}

SELFTEST(look, reserves_for_the_life_of_the_ioas)
{
	struct iommu_iova_range range;

	OK(reserve(room, room->ioas, 0x10000, 0ull - 0x10000));
	range = only_range(room);
	assert_int_equal(range.start, 0);
	assert_int_equal(range.last, 0xffff);
	EXPECT_NO(TEST_RANGE, reserve(room, room->ioas, 5, 0));
	EXPECT_NO(RANGE_OVERFLOWS, reserve(room, room->ioas, 0x1000, 0ull - 0xfff));
	EXPECT_NO(OBJECT_MISSING, reserve(room, 1000, 0x1000, 0x1000));
	OK(map(room, room->buffer, PAGE_SIZE, 0x4000));
	EXPECT_NO(RESERVE_MAPPED, reserve(room, room->ioas, 0x3000, 0x1001));
	OK(reserve(room, room->ioas, 0x3000, 0x1000));
}

SELFTEST(look, a_mock_domain_has_its_aperture)
{
	struct iommu_iova_range range;

	new_mock(room);
	range = only_range(room);
	assert_int_equal(range.start, MOCK_APERTURE_START);
	assert_int_equal(range.last, MOCK_APERTURE_LAST);
}

SELFTEST(look, finds_each_page_where_it_is_mapped)
{
	struct mock_ids ids = new_mock(room);

	OK(map(room, room->buffer, 4 * PAGE_SIZE, BASE));
	OK(check_map(room, ids.hwpt, BASE, 4 * PAGE_SIZE, room->buffer));
	OK(check_map(room, ids.hwpt, BASE + MOCK_PAGE_SIZE, MOCK_PAGE_SIZE, room->buffer + MOCK_PAGE_SIZE));
	OK(check_map(room, ids.hwpt, BASE, 0, room->buffer));
	EXPECT_NO(TEST_MAP_DIFFERS, check_map(room, ids.hwpt, BASE, 4 * PAGE_SIZE, room->buffer + PAGE_SIZE));
	EXPECT_NO(TEST_MAP_DIFFERS, check_map(room, ids.hwpt, BASE, MOCK_PAGE_SIZE, room->buffer + MOCK_PAGE_SIZE));
	EXPECT_NO(TEST_MAP_DIFFERS, check_map(room, ids.hwpt, BASE, 5 * PAGE_SIZE, room->buffer));
	NAMES("not mapped");
	OK(unmap(room, room->ioas, BASE, 4 * PAGE_SIZE));
	EXPECT_NO(TEST_MAP_DIFFERS, check_map(room, ids.hwpt, BASE, PAGE_SIZE, room->buffer));
}

SELFTEST(look, pages_are_half_of_the_processors)
{
	struct mock_ids ids = new_mock(room);

	OK(map(room, room->buffer + MOCK_PAGE_SIZE, 3 * MOCK_PAGE_SIZE, BASE + 3 * MOCK_PAGE_SIZE));
	OK(check_map(room, ids.hwpt, BASE + 3 * MOCK_PAGE_SIZE, 3 * MOCK_PAGE_SIZE, room->buffer + MOCK_PAGE_SIZE));
	OK(check_refs(room, room->buffer, 2 * PAGE_SIZE, 1));
	OK(check_refs(room, room->buffer + 2 * PAGE_SIZE, PAGE_SIZE, 0));
}

SELFTEST(look, wants_whole_pages)
{
	struct mock_ids ids = new_mock(room);
	u32 huge = new_hwpt(room, ids.device, room->ioas, 0,
			    &(struct iommu_hwpt_selftest){.pagetable_type = MOCK_IOMMUPT_HUGE});

	EXPECT_NO(TEST_RANGE, check_map(room, ids.hwpt, BASE + 1, PAGE_SIZE, room->buffer));
	EXPECT_NO(TEST_RANGE, check_map(room, ids.hwpt, BASE, 1, room->buffer));
	EXPECT_NO(TEST_RANGE, check_map(room, ids.hwpt, BASE, PAGE_SIZE, room->buffer + 1));
	EXPECT_NO(TEST_RANGE, check_map(room, ids.hwpt, BASE, PAGE_SIZE, (void *)-PAGE_SIZE));
	EXPECT_NO(TEST_RANGE, check_map(room, huge, BASE, MOCK_PAGE_SIZE, room->buffer));
	EXPECT_NO(TEST_RANGE, check_refs(room, room->buffer + MOCK_PAGE_SIZE, PAGE_SIZE, 0));
	EXPECT_NO(TEST_RANGE, check_refs(room, room->buffer, MOCK_PAGE_SIZE, 0));
	EXPECT_NO(TEST_RANGE, check_refs(room, (void *)-PAGE_SIZE, PAGE_SIZE, 0));
}

SELFTEST(look, looks_only_at_mocks)
{
	struct iommu *iommu = &room->machine->machine->iommu;
	struct iommu_device *real = NULL, *member;
	struct iommufd_device *bound = NULL;
	struct iommu_group *group;
	struct mock_ids ids = new_mock(room);
	struct context *context;
	u32 other = new_ioas(room), hwpt = other;

	list_for_each(group, &iommu->groups, link)
		list_for_each(member, &group->devices, group_link)
			if (strcmp(member->name, "0000:01:00.0") == 0)
				real = member;
	context = room_context(room);
	mutex_lock(&room->machine->machine->lock);
	OK(iommufd_device_bind(context, real, &bound, &room->why));
	OK(iommufd_device_attach(bound, 0, &hwpt, &room->why));
	mutex_unlock(&room->machine->machine->lock);

	EXPECT_NO(MOCK_EXPECTED, check_map(room, hwpt, BASE, PAGE_SIZE, room->buffer));
	EXPECT_NO(MOCK_EXPECTED, TEST_OP(room, TRIGGER_IOPF, .trigger_iopf = {.dev_id = bound->object.id}));
	NAMES("no mock");
	EXPECT_NO(MOCK_EXPECTED, TEST_OP(room, TRIGGER_VEVENT, .trigger_vevent = {.dev_id = bound->object.id}));
	EXPECT_NO(MOCK_EXPECTED, TEST_OP(room, DEV_CHECK_CACHE, .id = bound->object.id));
	EXPECT_NO(DOMAIN_FOREIGN, replace(room, ids.stdev, hwpt));
	EXPECT_NO(OBJECT_MISSING, check_map(room, ids.device, BASE, PAGE_SIZE, room->buffer));

	mutex_lock(&room->machine->machine->lock);
	iommufd_device_detach(bound, 0);
	iommufd_device_unbind(bound);
	mutex_unlock(&room->machine->machine->lock);
}

SELFTEST(look, knows_shared_memory_by_any_address)
{
	int memory = memfd_create("look", MFD_CLOEXEC);
	struct mock_ids ids = new_mock(room);
	u8 *once, *again;

	assert_int_equal(ftruncate(memory, 2 * PAGE_SIZE), 0);
	once = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	again = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, memory, PAGE_SIZE);
	assert_true(once != MAP_FAILED && again != MAP_FAILED);
	OK(map(room, once, 2 * PAGE_SIZE, BASE));
	OK(check_map(room, ids.hwpt, BASE + PAGE_SIZE, PAGE_SIZE, again));
	EXPECT_NO(TEST_MAP_DIFFERS, check_map(room, ids.hwpt, BASE, PAGE_SIZE, again));
	OK(check_refs(room, again, PAGE_SIZE, 1));
	OK(unmap(room, room->ioas, BASE, 2 * PAGE_SIZE));
	OK(check_refs(room, again, PAGE_SIZE, 0));
	munmap(once, 2 * PAGE_SIZE);
	munmap(again, PAGE_SIZE);
	close(memory);
}

SELFTEST(look, counts_pins_by_memory_not_by_domain)
{
	struct mock_ids first = new_mock(room);

	/* Two domains, one mapping: once. Two mappings of the same memory: twice. */
	OK(map(room, room->buffer, 2 * PAGE_SIZE, BASE));
	new_hwpt(room, first.device, room->ioas, 0, NULL);
	OK(check_refs(room, room->buffer, 2 * PAGE_SIZE, 1));
	OK(map(room, room->buffer, PAGE_SIZE, BASE + 8 * PAGE_SIZE));
	OK(check_refs(room, room->buffer, PAGE_SIZE, 2));
	OK(check_refs(room, room->buffer + PAGE_SIZE, PAGE_SIZE, 1));
	EXPECT_NO(TEST_PINS_DIFFER, check_refs(room, room->buffer, 2 * PAGE_SIZE, 1));
	EXPECT_NO(TEST_PINS_DIFFER, check_refs(room, room->buffer, 2 * PAGE_SIZE, 2));
	NAMES("pinned 1 times, not 2");
	OK(check_refs(room, room->buffer, 0, 77));
}

SELFTEST(look, nothing_is_pinned_without_a_domain)
{
	OK(map(room, room->buffer, 2 * PAGE_SIZE, BASE));
	OK(check_refs(room, room->buffer, 2 * PAGE_SIZE, 0));
	new_mock(room);
	OK(check_refs(room, room->buffer, 2 * PAGE_SIZE, 1));
}

SELFTEST(look, asks_for_memory_that_is_there)
{
	struct mock_ids ids = new_mock(room);
	u8 *memory = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	OK(map(room, memory, PAGE_SIZE, BASE));
	OK(check_map(room, ids.hwpt, BASE, PAGE_SIZE, memory));
	/* Nothing else may come to the address meanwhile. */
	assert_true(mmap(memory, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == memory);
	EXPECT_NO(CLIENT_FAULT, check_map(room, ids.hwpt, BASE, PAGE_SIZE, memory));
	EXPECT_NO(CLIENT_FAULT, check_refs(room, memory, PAGE_SIZE, 0));
	munmap(memory, PAGE_SIZE);
}

SELFTEST(look, a_private_page_stays_the_same_when_it_is_written)
{
	int self = open("/proc/self/exe", O_RDONLY);
	u8 *memory = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, self, 0);
	struct mock_ids ids = new_mock(room);

	assert_true(memory != MAP_FAILED);
	OK(map_flags(room, room->ioas, memory, PAGE_SIZE, BASE, IOMMU_IOAS_MAP_READABLE));
	OK(check_map(room, ids.hwpt, BASE, PAGE_SIZE, memory));
	memset(memory, 1, PAGE_SIZE);
	OK(check_map(room, ids.hwpt, BASE, PAGE_SIZE, memory));
	munmap(memory, PAGE_SIZE);
	close(self);
}

SELFTEST(look, words_of_devices_and_domains)
{
	const struct iommu_hwpt_selftest data = {.iotlb = 0x1234};
	struct mock_ids ids = new_mock(room);
	u32 parent = new_hwpt(room, ids.device, room->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, NULL);
	u32 nested = new_hwpt(room, ids.device, parent, 0, &data);

#define CACHE(device, index, value)                                                                                    \
	TEST_OP(room, DEV_CHECK_CACHE, .id = (device), .check_dev_cache = {.id = (index), .cache = (value)})
#define IOTLB(hwpt, index, value)                                                                                      \
	TEST_OP(room, MD_CHECK_IOTLB, .id = (hwpt), .check_iotlb = {.id = (index), .iotlb = (value)})
	for (u32 i = 0; i < MOCK_DEV_CACHE_NUM; i++) {
		OK(CACHE(ids.device, i, IOMMU_TEST_DEV_CACHE_DEFAULT));
		OK(IOTLB(nested, i, 0x1234));
	}
	EXPECT_NO(TEST_WORD_DIFFERS, CACHE(ids.device, 0, 0));
	EXPECT_NO(MOCK_INDEX, CACHE(ids.device, MOCK_DEV_CACHE_NUM, IOMMU_TEST_DEV_CACHE_DEFAULT));
	EXPECT_NO(OBJECT_MISSING, CACHE(ids.stdev, 0, IOMMU_TEST_DEV_CACHE_DEFAULT));
	EXPECT_NO(TEST_WORD_DIFFERS, IOTLB(nested, 0, 0x1235));
	EXPECT_NO(MOCK_INDEX, IOTLB(nested, MOCK_NESTED_DOMAIN_IOTLB_NUM, 0x1234));
	EXPECT_NO(OBJECT_MISSING, IOTLB(parent, 0, 0x1234));
}

SELFTEST(look, memory_limit_has_a_floor)
{
	OK(TEST_OP(room, SET_TEMP_MEMORY_LIMIT, .memory_limit = {.limit = 12}));
	assert_int_equal(room->machine->machine->selftest.memory_limit, 12);
	EXPECT_NO(TEST_LIMIT, TEST_OP(room, SET_TEMP_MEMORY_LIMIT, .memory_limit = {.limit = 11}));
	OK(TEST_OP(room, SET_TEMP_MEMORY_LIMIT, .memory_limit = {.limit = 65536}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(look, reserves_for_the_life_of_the_ioas),
		CASE(look, a_mock_domain_has_its_aperture),
		CASE(look, finds_each_page_where_it_is_mapped),
		CASE(look, pages_are_half_of_the_processors),
		CASE(look, wants_whole_pages),
		CASE(look, looks_only_at_mocks),
		CASE(look, knows_shared_memory_by_any_address),
		CASE(look, counts_pins_by_memory_not_by_domain),
		CASE(look, nothing_is_pinned_without_a_domain),
		CASE(look, asks_for_memory_that_is_there),
		CASE(look, a_private_page_stays_the_same_when_it_is_written),
		CASE(look, words_of_devices_and_domains),
		CASE(look, memory_limit_has_a_floor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
