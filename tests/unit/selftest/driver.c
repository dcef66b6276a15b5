/* SPDX-License-Identifier: MIT */
/* The mock IOMMU as iommufd sees it: what it tells, its domains, its virtual IOMMUs and their queues. */
#include "tests/fixtures/selftest_room.h"

#include "selftest/mock.h"

static const struct iommu_hwpt_selftest nested_data = {.iotlb = IOMMU_TEST_IOTLB_DEFAULT};

SELFTEST(driver, tells_its_register)
{
	struct iommu_test_hw_info info[2];
	struct mock_ids plain = new_mock(room), able;
	struct iommu_hw_info command = {.size = sizeof(command),
					.dev_id = plain.device,
					.data_len = sizeof(info),
					.data_uptr = (uintptr_t)info};

	memset(info, 0xff, sizeof(info));
	OK(ask(room, IOMMU_GET_HW_INFO, &command));
	assert_int_equal(command.out_data_type, IOMMU_HW_INFO_TYPE_SELFTEST);
	assert_int_equal(command.data_len, sizeof(info[0]));
	assert_int_equal(info[0].flags, 0);
	assert_int_equal(info[0].test_reg, IOMMU_HW_INFO_SELFTEST_REGVAL);
	assert_int_equal(info[1].flags | info[1].test_reg, 0);
	assert_int_equal(command.out_max_pasid_log2, 0);
	assert_true(command.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);

	OK(mock_on(room, room->ioas, MOCK_FLAGS_DEVICE_PASID | MOCK_FLAGS_DEVICE_NO_DIRTY, &able));
	command.dev_id = able.device;
	OK(ask(room, IOMMU_GET_HW_INFO, &command));
	assert_int_equal(command.out_max_pasid_log2, MOCK_PASID_WIDTH);
	assert_false(command.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
	command.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
	command.in_data_type = IOMMU_HW_INFO_TYPE_SELFTEST;
	command.data_len = 4;
	OK(ask(room, IOMMU_GET_HW_INFO, &command));
	assert_int_equal(command.data_len, sizeof(info[0]));
	command.in_data_type = IOMMU_HW_INFO_TYPE_SELFTEST + 1;
	EXPECT_NO(HW_INFO_TYPE, ask(room, IOMMU_GET_HW_INFO, &command));
}

/* ---- domains ---- */

static long alloc_raw(struct selftest_room *room, u32 device, u32 pt, u32 flags, u32 type, const void *data, u32 size)
{
	struct iommu_hwpt_alloc command = {.size = sizeof(command),
					   .flags = flags,
					   .dev_id = device,
					   .pt_id = pt,
					   .data_type = type,
					   .data_len = size,
					   .data_uptr = (uintptr_t)data};

	return ask(room, IOMMU_HWPT_ALLOC, &command);
}

SELFTEST(driver, makes_domains_of_two_kinds)
{
	struct iommu_hwpt_selftest data = {.pagetable_type = MOCK_IOMMUPT_HUGE};
	struct mock_ids ids = new_mock(room);
	u32 hwpt = new_hwpt(room, ids.device, room->ioas, 0, &data), type = IOMMU_HWPT_DATA_SELFTEST;
	struct hwpt_paging *huge = NULL, *small = NULL;

	OK(hwpt_paging_find(room_context(room), hwpt, &huge, &room->why));
	assert_int_equal(isolde_pt_page_sizes(huge->hwpt.domain->pt), PAGE_SIZE | MOCK_HUGE_PAGE_SIZE);
	assert_int_equal(huge->hwpt.domain->first_iova, 0);
	assert_int_equal(huge->hwpt.domain->last_iova, BIT(38) - 1);
	OK(hwpt_paging_find(room_context(room), ids.hwpt, &small, &room->why));
	assert_int_equal(isolde_pt_page_sizes(small->hwpt.domain->pt), MASK(36, 11));
	assert_int_equal(small->hwpt.domain->first_iova, MOCK_APERTURE_START);
	assert_int_equal(small->hwpt.domain->last_iova, MOCK_APERTURE_LAST);

	data.pagetable_type = 2;
	EXPECT_NO(MOCK_TABLE_TYPE, alloc_raw(room, ids.device, room->ioas, 0, type, &data, sizeof(data)));
	EXPECT_NO(MOCK_DATA_TYPE, alloc_raw(room, ids.device, room->ioas, 0, type + 1, &data, sizeof(data)));
	OK(alloc_raw(room, ids.device, room->ioas, 0, type, &data, 4));
	EXPECT_NO(USER_DATA_SIZE, alloc_raw(room, ids.device, room->ioas, 0, type, &data, 3));
	EXPECT_NO(USER_DATA_SIZE, alloc_raw(room, ids.device, room->ioas, 0, type, &data, sizeof(data) + 1));
	EXPECT_NO(CLIENT_FAULT, alloc_raw(room, ids.device, room->ioas, 0, type, NULL, sizeof(data)));
	EXPECT_NO(HWPT_FLAGS, alloc_raw(room, ids.device, room->ioas, 1u << 31, 0, NULL, 0));
}

SELFTEST(driver, nested_domains_are_refused_in_order)
{
	const u32 type = IOMMU_HWPT_DATA_SELFTEST;
	struct mock_ids ids = new_mock(room);
	u32 parent = new_hwpt(room, ids.device, room->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, NULL);
	u32 flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;

	EXPECT_NO(HWPT_FLAGS, alloc_raw(room, ids.device, parent, flags, type + 1, &nested_data, sizeof(nested_data)));
	EXPECT_NO(MOCK_DATA_TYPE, alloc_raw(room, ids.device, parent, 0, type + 1, &nested_data, 1));
	EXPECT_NO(USER_DATA_SIZE, alloc_raw(room, ids.device, parent, 0, type, NULL, 3));
	EXPECT_NO(CLIENT_FAULT, alloc_raw(room, ids.device, parent, 0, type, NULL, 4));
	OK(alloc_raw(room, ids.device, parent, IOMMU_HWPT_ALLOC_PASID, type, &nested_data, 4));
}

/* ---- invalidation ---- */

static long invalidate(struct selftest_room *room, u32 id, u32 type, const void *entries, u32 size, u32 *count)
{
	struct iommu_hwpt_invalidate command = {.size = sizeof(command),
						.hwpt_id = id,
						.data_uptr = (uintptr_t)entries,
						.data_type = type,
						.entry_len = size,
						.entry_num = *count};
	long ret = ask(room, IOMMU_HWPT_INVALIDATE, &command);

	*count = command.entry_num;
	return ret;
}

static void expect_iotlb(struct selftest_room *room, u32 hwpt, const u32 *words)
{
	for (u32 i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
		OK(TEST_OP(room, MD_CHECK_IOTLB, .id = hwpt, .check_iotlb = {.id = i, .iotlb = words[i]}));
}

SELFTEST(driver, clears_words_of_an_iotlb)
{
	const u32 type = IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, size = sizeof(struct iommu_hwpt_invalidate_selftest);
	struct mock_ids ids = new_mock(room);
	u32 parent = new_hwpt(room, ids.device, room->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, NULL), count = 2;
	u32 nested = new_hwpt(room, ids.device, parent, 0, &nested_data), x = IOMMU_TEST_IOTLB_DEFAULT;
	struct iommu_hwpt_invalidate_selftest entries[3] = {{0, 1}, {2, 0}};

	EXPECT_NO(FLAGS_UNKNOWN, invalidate(room, nested, type, entries, size, &count));
	assert_int_equal(count, 1);
	expect_iotlb(room, nested, (u32[]){x, 0, x, x});
	entries[1] = (struct iommu_hwpt_invalidate_selftest){0, MOCK_NESTED_DOMAIN_IOTLB_NUM};
	entries[0].iotlb_id = 3;
	count = 2;
	EXPECT_NO(MOCK_INDEX, invalidate(room, nested, type, entries, size, &count));
	assert_int_equal(count, 1);
	expect_iotlb(room, nested, (u32[]){x, 0, x, 0});

	count = 1;
	EXPECT_NO(USER_DATA_TYPE, invalidate(room, nested, type + 1, entries, size, &count));
	assert_int_equal(count, 0);
	EXPECT_NO(USER_DATA_TYPE, invalidate(room, nested, type + 1, NULL, 0, &count));
	OK(invalidate(room, nested, type, NULL, 0, &count));
	count = 1;
	EXPECT_NO(USER_DATA_SIZE, invalidate(room, nested, type, entries, size - 1, &count));
	count = 1;
	EXPECT_NO(USER_DATA_SIZE, invalidate(room, nested, type, entries, size + 1, &count));
	assert_int_equal(count, 0);
	entries[0] = (struct iommu_hwpt_invalidate_selftest){IOMMU_TEST_INVALIDATE_FLAG_ALL, 2};
	count = 1;
	OK(invalidate(room, nested, type, entries, size, &count));
	assert_int_equal(count, 1);
	expect_iotlb(room, nested, (u32[]){0, 0, 0, 0});
}

/* ---- virtual IOMMUs ---- */

static long alloc_viommu(struct selftest_room *room, u32 device, u32 parent, u32 type, void *data, u32 size, u32 *ret)
{
	struct iommu_viommu_alloc command = {.size = sizeof(command),
					     .type = type,
					     .dev_id = device,
					     .hwpt_id = parent,
					     .data_len = size,
					     .data_uptr = (uintptr_t)data};
	long err = ask(room, IOMMU_VIOMMU_ALLOC, &command);

	*ret = command.out_viommu_id;
	return err;
}

struct virtual
{
	struct mock_ids ids;
	u32 parent, viommu;
};

static struct virtual new_virtual(struct selftest_room *room)
{
	struct virtual v = {.ids = new_mock(room)};

	v.parent = new_hwpt(room, v.ids.device, room->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, NULL);
	OK(alloc_viommu(room, v.ids.device, v.parent, IOMMU_VIOMMU_TYPE_SELFTEST, NULL, 0, &v.viommu));
	return v;
}

static u32 new_vdevice(struct selftest_room *room, u32 viommu, u32 device, u64 virt_id)
{
	struct iommu_vdevice_alloc command = {
		.size = sizeof(command), .viommu_id = viommu, .dev_id = device, .virt_id = virt_id};

	OK(ask(room, IOMMU_VDEVICE_ALLOC, &command));
	return command.out_vdevice_id;
}

static void expect_cache(struct selftest_room *room, u32 device, const u32 *words)
{
	for (u32 i = 0; i < MOCK_DEV_CACHE_NUM; i++)
		OK(TEST_OP(room, DEV_CHECK_CACHE, .id = device, .check_dev_cache = {.id = i, .cache = words[i]}));
}

SELFTEST(driver, clears_words_of_a_device)
{
	const u32 type = IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST, size = sizeof(struct iommu_viommu_invalidate_selftest);
	const u32 x = IOMMU_TEST_DEV_CACHE_DEFAULT;
	struct virtual v = new_virtual(room);
	struct iommu_viommu_invalidate_selftest entries[3] = {{0, 0x99, 1}, {2, 0x99, 0}};
	struct {
		struct iommu_viommu_invalidate_selftest entry;
		u32 more;
	} longer[2] = {{{0, 0x99, 3}, 0}, {{0, 0x99, 2}, 0}};
	u32 count = 2;

	new_vdevice(room, v.viommu, v.ids.device, 0x99);
	EXPECT_NO(FLAGS_UNKNOWN, invalidate(room, v.viommu, type, entries, size, &count));
	assert_int_equal(count, 1);
	expect_cache(room, v.ids.device, (u32[]){x, 0, x, x});
	entries[1] = (struct iommu_viommu_invalidate_selftest){0, 0x98, 0};
	count = 2;
	EXPECT_NO(MOCK_VDEVICE, invalidate(room, v.viommu, type, entries, size, &count));
	assert_int_equal(count, 1);
	entries[1] = (struct iommu_viommu_invalidate_selftest){0, 0x98, MOCK_DEV_CACHE_NUM};
	count = 2;
	EXPECT_NO(MOCK_INDEX, invalidate(room, v.viommu, type, entries, size, &count));
	count = 2;
	EXPECT_NO(USER_DATA_TYPE, invalidate(room, v.viommu, type + 1, entries, size, &count));
	assert_int_equal(count, 0);
	EXPECT_NO(USER_DATA_TYPE, invalidate(room, v.viommu, type + 1, NULL, 0, &count));
	OK(invalidate(room, v.viommu, type, NULL, 0, &count));
	/* A first word alone is an entry, too: of a device with virtual id 0. */
	count = 1;
	EXPECT_NO(MOCK_VDEVICE, invalidate(room, v.viommu, type, (u32[]){0}, 4, &count));
	count = 2;
	OK(invalidate(room, v.viommu, type, longer, sizeof(longer[0]), &count));
	expect_cache(room, v.ids.device, (u32[]){x, 0, 0, 0});
	/* All are read before any is done. */
	longer[1].more = 1;
	longer[0].entry.cache_id = 0;
	count = 2;
	EXPECT_NO(FIELD_UNKNOWN, invalidate(room, v.viommu, type, longer, sizeof(longer[0]), &count));
	expect_cache(room, v.ids.device, (u32[]){x, 0, 0, 0});
	entries[0] = (struct iommu_viommu_invalidate_selftest){IOMMU_TEST_INVALIDATE_FLAG_ALL, 0x99, 0};
	count = 1;
	OK(invalidate(room, v.viommu, type, entries, size, &count));
	expect_cache(room, v.ids.device, (u32[]){0, 0, 0, 0});
}

SELFTEST(driver, loops_data_back_by_structure_and_page)
{
	struct iommu_viommu_selftest data = {.in_data = 0xbeef};
	const u32 type = IOMMU_VIOMMU_TYPE_SELFTEST;
	struct virtual v = new_virtual(room);
	void *page = NULL, *unwritable;
	u32 viommu;

	EXPECT_NO(USER_DATA_SIZE, alloc_viommu(room, v.ids.device, v.parent, type, &data, 7, &viommu));
	EXPECT_NO(USER_DATA_SIZE, alloc_viommu(room, v.ids.device, v.parent, type, &data, 25, &viommu));
	EXPECT_NO(CLIENT_FAULT, alloc_viommu(room, v.ids.device, v.parent, type, NULL, sizeof(data), &viommu));
	unwritable = read_only(&data, sizeof(data));
	EXPECT_NO(CLIENT_FAULT, alloc_viommu(room, v.ids.device, v.parent, type, unwritable, sizeof(data), &viommu));
	munmap(unwritable, PAGE_SIZE);
	EXPECT_NO(VIOMMU_TYPE, alloc_viommu(room, v.ids.device, v.parent, type + 1, NULL, 0, &viommu));

	OK(alloc_viommu(room, v.ids.device, v.parent, type, &data, 8, &viommu));
	assert_int_equal(data.out_data, 0xbeef);
	assert_int_equal(data.out_mmap_length, 0);
	data.in_data = 0xcafe;
	OK(alloc_viommu(room, v.ids.device, v.parent, type, &data, sizeof(data), &viommu));
	assert_int_equal(data.out_data, 0xcafe);
	assert_int_equal(data.out_mmap_length, 2 * PAGE_SIZE);
	OK(told(room, isolde_mmap(room->machine, room->fd, data.out_mmap_length, PROT_READ | PROT_WRITE, MAP_SHARED,
				  data.out_mmap_offset, &page, &room->said)));
	assert_int_equal(get_u32(page), 0xcafe);
	EXPECT_NO(OBJECT_IN_USE, destroy(room, viommu));
	munmap(page, data.out_mmap_length);
	OK(destroy(room, viommu));
}

/* ---- hardware queues ---- */

static long alloc_queue(struct selftest_room *room, u32 viommu, u32 type, u32 index, u64 iova, u64 length, u32 *ret)
{
	struct iommu_hw_queue_alloc command = {.size = sizeof(command),
					       .viommu_id = viommu,
					       .type = type,
					       .index = index,
					       .nesting_parent_iova = iova,
					       .length = length};
	long err = ask(room, IOMMU_HW_QUEUE_ALLOC, &command);

	*ret = command.out_hw_queue_id;
	return err;
}

SELFTEST(driver, has_two_queues_that_depend_on_each_other)
{
	const u32 type = IOMMU_HW_QUEUE_TYPE_SELFTEST;
	struct virtual v = new_virtual(room);
	u32 queues[3];

	OK(map(room, room->buffer, PAGE_SIZE, BASE));
	EXPECT_NO(MOCK_QUEUE_ORDER, alloc_queue(room, v.viommu, type, 1, BASE, PAGE_SIZE, &queues[0]));
	EXPECT_NO(MOCK_INDEX, alloc_queue(room, v.viommu, type, IOMMU_TEST_HW_QUEUE_MAX, BASE, PAGE_SIZE, &queues[0]));
	OK(alloc_queue(room, v.viommu, type, 0, BASE, PAGE_SIZE, &queues[0]));
	EXPECT_NO(MOCK_QUEUE_TAKEN, alloc_queue(room, v.viommu, type, 0, BASE, PAGE_SIZE, &queues[1]));
	EXPECT_NO(AREA_LOCKED, unmap(room, room->ioas, BASE, PAGE_SIZE));
	OK(alloc_queue(room, v.viommu, type, 1, BASE + MOCK_PAGE_SIZE, MOCK_PAGE_SIZE, &queues[1]));
	EXPECT_NO(OBJECT_IN_USE, destroy(room, queues[0]));
	EXPECT_NO(OBJECT_IN_USE, destroy(room, v.viommu));
	OK(destroy(room, queues[1]));
	OK(destroy(room, queues[0]));
	OK(unmap(room, room->ioas, BASE, PAGE_SIZE));
}

SELFTEST(driver, knows_where_a_queue_should_be)
{
	struct virtual v = new_virtual(room);
	struct viommu *viommu = NULL;
	struct hw_queue *queue = calloc(1, mock_hw_queue_size(NULL, IOMMU_HW_QUEUE_TYPE_SELFTEST));

	assert_int_equal(mock_hw_queue_size(NULL, 0), 0);
	OK(map(room, room->buffer, PAGE_SIZE, BASE));
	OK(viommu_find(room_context(room), v.viommu, &viommu, &room->why));
	queue->viommu = viommu;
	queue->iova = BASE;
	EXPECT_NO(MOCK_QUEUE_ADDRESS, mock_hw_queue_init(queue, 0, 0x123000, &room->why));
	mock_hw_queue_destroy(queue);
	free(queue);
}

/* ---- what fails ---- */

static struct selftest_room *swept;

static int whole_life(struct why *why)
{
	struct selftest_room *room = swept;
	struct iommu_viommu_selftest data = {.in_data = 1};
	u32 parent = 0, viommu = 0, queue = 0, nested = 0;
	struct mock_ids ids = {.stdev = 0};
	int err = (int)mock_on(room, room->ioas, 0, &ids);

	if (err == 0)
		err = (int)alloc_hwpt(room, ids.device, room->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, NULL, 0, &parent);
	if (err == 0)
		err = (int)alloc_viommu(room, ids.device, parent, IOMMU_VIOMMU_TYPE_SELFTEST, &data, sizeof(data),
					&viommu);
	if (err == 0)
		err = (int)alloc_hwpt(room, ids.device, viommu, 0, &nested_data, 0, &nested);
	if (err == 0)
		err = (int)alloc_queue(room, viommu, IOMMU_HW_QUEUE_TYPE_SELFTEST, 0, BASE, PAGE_SIZE, &queue);
	*why = room->why;
	if (queue)
		destroy_anyway(room, queue);
	if (nested)
		destroy_anyway(room, nested);
	if (viommu)
		destroy_anyway(room, viommu);
	if (parent)
		destroy_anyway(room, parent);
	if (ids.stdev)
		destroy_anyway(room, ids.stdev);
	return err;
}

SELFTEST(driver, survives_every_failure)
{
	swept = room;
	OK(map(room, room->buffer, PAGE_SIZE, BASE));
	SWEEP_FAILURES(whole_life);
	assert_int_equal(new_mock(room).stdev, room->ioas + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(driver, tells_its_register),
		CASE(driver, makes_domains_of_two_kinds),
		CASE(driver, nested_domains_are_refused_in_order),
		CASE(driver, clears_words_of_an_iotlb),
		CASE(driver, clears_words_of_a_device),
		CASE(driver, loops_data_back_by_structure_and_page),
		CASE(driver, has_two_queues_that_depend_on_each_other),
		CASE(driver, knows_where_a_queue_should_be),
		CASE(driver, survives_every_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
