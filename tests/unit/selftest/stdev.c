/* SPDX-License-Identifier: MIT */
/* Mock devices as objects: made, replaced, taken away; PASIDs. */
#include "tests/fixtures/selftest_room.h"

static const struct iommu_hwpt_selftest nested_data = {.iotlb = IOMMU_TEST_IOTLB_DEFAULT};

SELFTEST(stdev, brings_three_ids_in_order)
{
	struct mock_ids first = new_mock(room), second = new_mock(room);

	assert_int_equal(first.stdev, room->ioas + 1);
	assert_int_equal(first.device, room->ioas + 2);
	assert_int_equal(first.hwpt, room->ioas + 3);
	/* The same domain serves both. */
	assert_int_equal(second.stdev, room->ioas + 4);
	assert_int_equal(second.device, room->ioas + 5);
	assert_int_equal(second.hwpt, first.hwpt);
}

SELFTEST(stdev, goes_with_all_it_brought)
{
	struct mock_ids ids = new_mock(room);

	EXPECT_NO(OBJECT_KEPT, destroy(room, ids.device));
	EXPECT_NO(OBJECT_IN_USE, destroy(room, ids.hwpt));
	EXPECT_NO(OBJECT_IN_USE, destroy(room, room->ioas));
	OK(destroy(room, ids.stdev));
	EXPECT_NO(OBJECT_MISSING, destroy(room, ids.stdev));
	EXPECT_NO(OBJECT_MISSING, destroy(room, ids.device));
	EXPECT_NO(OBJECT_MISSING, destroy(room, ids.hwpt));
	OK(destroy(room, room->ioas));
}

SELFTEST(stdev, is_alone_in_a_group_that_is_blocked)
{
	const struct iommu *iommu = &room->machine->machine->iommu;
	unsigned before = (unsigned)list_length(&iommu->groups);
	struct mock_ids ids = new_mock(room);
	struct iommufd_device *device = NULL;

	OK(iommufd_device_find(room_context(room), ids.device, &device, &room->why));
	assert_string_equal(device->core->name, "iommufd_mock0");
	assert_int_equal(device->core->group->ndevices, 1);
	assert_string_equal(iommu_group_type(device->core->group), "blocked");
	assert_int_equal(list_length(&iommu->groups), before + 1);
	OK(destroy(room, ids.stdev));
	assert_int_equal(list_length(&iommu->groups), before);
}

SELFTEST(stdev, names_are_used_again)
{
	struct mock_ids first = new_mock(room), second = new_mock(room);
	struct iommufd_device *device = NULL;

	OK(destroy(room, first.stdev));
	first = new_mock(room);
	OK(iommufd_device_find(room_context(room), first.device, &device, &room->why));
	assert_string_equal(device->core->name, "iommufd_mock0");
	OK(iommufd_device_find(room_context(room), second.device, &device, &room->why));
	assert_string_equal(device->core->name, "iommufd_mock1");
}

SELFTEST(stdev, needs_known_flags_and_something_to_attach_to)
{
	struct mock_ids ids, made;

	EXPECT_NO(MOCK_FLAGS, mock_on(room, room->ioas, 1 << 1, &ids));
	EXPECT_NO(OBJECT_MISSING, mock_on(room, 0, 0, &ids));
	EXPECT_NO(OBJECT_MISSING, mock_on(room, 1000, 0, &ids));
	made = new_mock(room);
	EXPECT_NO(PT_KIND, mock_on(room, made.device, 0, &ids));
	OK(mock_on(room, made.hwpt, 0, &ids));
	assert_int_equal(ids.hwpt, made.hwpt);
	/* Nothing was left behind by those that failed. */
	assert_int_equal(ids.stdev, room->ioas + 4);
}

SELFTEST(stdev, leaves_nothing_when_the_answer_cannot_be_written)
{
	const struct iommu_test_cmd wanted = {
		.size = sizeof(wanted), .op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = room->ioas};
	struct iommu_test_cmd *command = read_only(&wanted, sizeof(wanted));

	EXPECT_NO(CLIENT_FAULT, ask(room, IOMMU_TEST_CMD, command));
	assert_int_equal(new_mock(room).stdev, room->ioas + 1);
	munmap(command, PAGE_SIZE);
}

SELFTEST(stdev, moves_to_another_domain)
{
	u32 other = new_ioas(room), hwpt;
	struct mock_ids ids = new_mock(room);
	struct iommu_test_cmd command = {
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, .id = ids.stdev, .mock_domain_replace = {.pt_id = other}};

	OK(test_cmd(room, &command));
	assert_int_not_equal(command.mock_domain_replace.pt_id, other);
	EXPECT_NO(OBJECT_MISSING, destroy(room, ids.hwpt));
	hwpt = new_hwpt(room, ids.device, room->ioas, 0, NULL);
	OK(replace(room, ids.stdev, hwpt));
	EXPECT_NO(OBJECT_IN_USE, destroy(room, hwpt));
	OK(replace(room, ids.stdev, hwpt));
	OK(replace(room, ids.stdev, room->ioas));
	OK(destroy(room, hwpt));
	EXPECT_NO(OBJECT_MISSING, replace(room, ids.device, other));
	EXPECT_NO(OBJECT_MISSING, replace(room, ids.stdev, 1000));
}

SELFTEST(stdev, without_dirty_tracking_takes_no_domain_with_it)
{
	struct mock_ids ids = new_mock(room), plain;
	u32 tracked = new_hwpt(room, ids.device, room->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, NULL);
	u32 other = new_ioas(room), hwpt;

	EXPECT_NO(MOCK_NO_DIRTY, mock_on(room, tracked, MOCK_FLAGS_DEVICE_NO_DIRTY, &plain));
	NAMES("iommufd_mock1");
	OK(mock_on(room, other, MOCK_FLAGS_DEVICE_NO_DIRTY, &plain));
	EXPECT_NO(MOCK_NO_DIRTY, replace(room, plain.stdev, tracked));
	EXPECT_NO(HWPT_NO_DIRTY,
		  alloc_hwpt(room, plain.device, other, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, NULL, 0, &hwpt));
}

SELFTEST(stdev, requests_are_of_a_known_kind_and_whole)
{
	struct iommu_test_cmd command = {.size = sizeof(command), .op = IOMMU_TEST_OP_DMABUF_REVOKE + 1};

	EXPECT_NO(TEST_OP_UNKNOWN, ask(room, IOMMU_TEST_CMD, &command));
	command.op = 0;
	EXPECT_NO(TEST_OP_UNKNOWN, ask(room, IOMMU_TEST_CMD, &command));
	command.size = offsetof(struct iommu_test_cmd, last) + 3;
	EXPECT_NO(SIZE_SHORT, ask(room, IOMMU_TEST_CMD, &command));
	command.op = IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT;
	command.memory_limit.limit = 100;
	command.size = offsetof(struct iommu_test_cmd, last) + 4;
	OK(ask(room, IOMMU_TEST_CMD, &command));
	/* The number is not that of another request. */
	EXPECT_NO(IOCTL_UNKNOWN, ask(room, IOMMU_TEST_CMD + 1, &command));
	EXPECT_NO(IOCTL_UNKNOWN, ask(room, IOMMU_TEST_CMD - 1, &command));
}

/* ---- PASIDs ---- */

static long attach(struct selftest_room *room, u32 stdev, u32 pasid, u32 pt)
{
	return TEST_OP(room, PASID_ATTACH, .id = stdev, .pasid_attach = {.pasid = pasid, .pt_id = pt});
}

static long replace_pasid(struct selftest_room *room, u32 stdev, u32 pasid, u32 pt)
{
	return TEST_OP(room, PASID_REPLACE, .id = stdev, .pasid_replace = {.pasid = pasid, .pt_id = pt});
}

static long detach(struct selftest_room *room, u32 stdev, u32 pasid)
{
	return TEST_OP(room, PASID_DETACH, .id = stdev, .pasid_detach = {.pasid = pasid});
}

static long check(struct selftest_room *room, u32 stdev, u32 pasid, u32 hwpt)
{
	return TEST_OP(room, PASID_CHECK_HWPT, .id = stdev, .pasid_check = {.pasid = pasid, .hwpt_id = hwpt});
}

/* A device with PASIDs, without one attached to a domain that has them: ids->hwpt. */
static struct mock_ids with_pasids(struct selftest_room *room, u32 *ret_other)
{
	struct mock_ids ids;

	OK(mock_on(room, room->ioas, MOCK_FLAGS_DEVICE_PASID, &ids));
	ids.hwpt = new_hwpt(room, ids.device, room->ioas, IOMMU_HWPT_ALLOC_PASID, NULL);
	*ret_other = new_hwpt(room, ids.device, room->ioas, IOMMU_HWPT_ALLOC_PASID, NULL);
	OK(replace(room, ids.stdev, ids.hwpt));
	return ids;
}

SELFTEST(stdev, attaches_replaces_and_detaches_pasids)
{
	u32 other;
	struct mock_ids ids = with_pasids(room, &other);

	OK(detach(room, ids.stdev, 100));
	OK(check(room, ids.stdev, 100, 0));
	OK(attach(room, ids.stdev, 100, ids.hwpt));
	OK(check(room, ids.stdev, 100, ids.hwpt));
	EXPECT_NO(MOCK_PASID_DIFFERS, check(room, ids.stdev, 100, 0));
	EXPECT_NO(MOCK_PASID_DIFFERS, check(room, ids.stdev, 100, other));
	EXPECT_NO(ATTACHED_ALREADY, attach(room, ids.stdev, 100, other));
	OK(replace_pasid(room, ids.stdev, 100, other));
	OK(check(room, ids.stdev, 100, other));
	EXPECT_NO(PASID_INCOMPATIBLE, replace(room, ids.stdev, room->ioas));
	EXPECT_NO(PASID_INCOMPATIBLE, attach(room, ids.stdev, 101, room->ioas));
	EXPECT_NO(NOT_ATTACHED, replace_pasid(room, ids.stdev, 101, other));
	OK(detach(room, ids.stdev, 100));
	OK(check(room, ids.stdev, 100, 0));
	OK(check(room, ids.stdev, 0, ids.hwpt));
}

SELFTEST(stdev, pasid_questions_name_objects)
{
	u32 other;
	struct mock_ids ids = with_pasids(room, &other);

	EXPECT_NO(OBJECT_MISSING, check(room, ids.device, 1, 0));
	EXPECT_NO(OBJECT_MISSING, check(room, ids.stdev, 1, 1000));
	EXPECT_NO(PT_KIND, check(room, ids.stdev, 1, room->ioas));
	EXPECT_NO(OBJECT_MISSING, attach(room, ids.device, 1, other));
	EXPECT_NO(OBJECT_MISSING, attach(room, ids.stdev, 1, 1000));
	EXPECT_NO(OBJECT_MISSING, replace_pasid(room, 1000, 1, other));
	EXPECT_NO(OBJECT_MISSING, detach(room, 1000, 1));
	EXPECT_NO(MOCK_PASID_DIFFERS, check(room, ids.stdev, 1, other));
	NAMES("iommufd_mock0");
}

SELFTEST(stdev, refuses_every_other_attach_of_pasid_1024)
{
	u32 other;
	struct mock_ids ids = with_pasids(room, &other);

	OK(attach(room, ids.stdev, 1024, ids.hwpt));
	EXPECT_NO(MOCK_PASID_1024, replace_pasid(room, ids.stdev, 1024, other));
	OK(check(room, ids.stdev, 1024, ids.hwpt));
	OK(replace_pasid(room, ids.stdev, 1024, other));
	OK(detach(room, ids.stdev, 1024));
	/* Detaching begins anew. */
	OK(attach(room, ids.stdev, 1024, ids.hwpt));
	OK(detach(room, ids.stdev, 1024));
}

SELFTEST(stdev, without_pasids_has_but_the_one_of_plain_requests)
{
	struct mock_ids ids = new_mock(room);
	u32 hwpt = new_hwpt(room, ids.device, room->ioas, IOMMU_HWPT_ALLOC_PASID, NULL);

	OK(replace(room, ids.stdev, hwpt));
	EXPECT_NO(PASID_TOO_LARGE, attach(room, ids.stdev, 1, hwpt));
}

SELFTEST(stdev, takes_forgotten_pasids_along)
{
	u32 other;
	struct mock_ids ids = with_pasids(room, &other);

	OK(attach(room, ids.stdev, 7, other));
	OK(attach(room, ids.stdev, 1024, ids.hwpt));
	OK(destroy(room, ids.stdev));
	OK(destroy(room, other));
	OK(destroy(room, ids.hwpt));
}

SELFTEST(stdev, undoes_an_attach_that_cannot_be_answered_but_no_replacement)
{
	u32 other;
	struct mock_ids ids = with_pasids(room, &other);
	struct iommu_test_cmd wanted = {.size = sizeof(wanted),
					.op = IOMMU_TEST_OP_PASID_ATTACH,
					.id = ids.stdev,
					.pasid_attach = {.pasid = 5, .pt_id = other}};
	struct iommu_test_cmd *command = read_only(&wanted, sizeof(wanted));

	EXPECT_NO(CLIENT_FAULT, ask(room, IOMMU_TEST_CMD, command));
	OK(check(room, ids.stdev, 5, 0));
	munmap(command, PAGE_SIZE);

	OK(attach(room, ids.stdev, 5, ids.hwpt));
	wanted.op = IOMMU_TEST_OP_PASID_REPLACE;
	command = read_only(&wanted, sizeof(wanted));
	EXPECT_NO(CLIENT_FAULT, ask(room, IOMMU_TEST_CMD, command));
	OK(check(room, ids.stdev, 5, other));
	munmap(command, PAGE_SIZE);
}

/* ---- what fails ---- */

static struct selftest_room *swept;

static int whole_life(struct why *why)
{
	struct selftest_room *room = swept;
	struct mock_ids ids = {.stdev = 0};
	u32 hwpt = 0, nested = 0;
	int err = (int)mock_on(room, room->ioas, MOCK_FLAGS_DEVICE_PASID, &ids);

	if (err == 0)
		err = (int)alloc_hwpt(room, ids.device, room->ioas,
				      IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_ALLOC_NEST_PARENT, NULL, 0, &hwpt);
	if (err == 0)
		err = (int)alloc_hwpt(room, ids.device, hwpt, IOMMU_HWPT_ALLOC_PASID, &nested_data, 0, &nested);
	if (err == 0)
		err = (int)replace(room, ids.stdev, hwpt);
	if (err == 0)
		err = (int)attach(room, ids.stdev, 9, nested);
	if (err == 0)
		err = (int)replace_pasid(room, ids.stdev, 9, hwpt);
	*why = room->why;
	if (ids.stdev)
		destroy_anyway(room, ids.stdev);
	if (nested)
		destroy_anyway(room, nested);
	if (hwpt)
		destroy_anyway(room, hwpt);
	return err;
}

SELFTEST(stdev, survives_every_failure)
{
	swept = room;
	SWEEP_FAILURES(whole_life);
	/* Every id is free again. */
	assert_int_equal(new_mock(room).stdev, room->ioas + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(stdev, brings_three_ids_in_order),
		CASE(stdev, goes_with_all_it_brought),
		CASE(stdev, is_alone_in_a_group_that_is_blocked),
		CASE(stdev, names_are_used_again),
		CASE(stdev, needs_known_flags_and_something_to_attach_to),
		CASE(stdev, leaves_nothing_when_the_answer_cannot_be_written),
		CASE(stdev, moves_to_another_domain),
		CASE(stdev, without_dirty_tracking_takes_no_domain_with_it),
		CASE(stdev, requests_are_of_a_known_kind_and_whole),
		CASE(stdev, attaches_replaces_and_detaches_pasids),
		CASE(stdev, pasid_questions_name_objects),
		CASE(stdev, refuses_every_other_attach_of_pasid_1024),
		CASE(stdev, without_pasids_has_but_the_one_of_plain_requests),
		CASE(stdev, takes_forgotten_pasids_along),
		CASE(stdev, undoes_an_attach_that_cannot_be_answered_but_no_replacement),
		CASE(stdev, survives_every_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
