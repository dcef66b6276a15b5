/* SPDX-License-Identifier: MIT */
/* Accesses as descriptors: pinning, reading, writing, letting go. */
#include "tests/fixtures/selftest_room.h"

#include <sys/wait.h>

static int new_access(struct selftest_room *room, u32 ioas, bool pins)
{
	struct iommu_test_cmd command = {
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = ioas,
		.create_access = {.flags = pins ? MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES : 0}};

	OK(test_cmd(room, &command));
	return (int)command.create_access.out_access_fd;
}

static void close_access(struct selftest_room *room, int fd)
{
	assert_int_equal(isolde_close(room->machine, fd), 0);
}

static long pin_flags(struct selftest_room *room, int fd, u64 iova, u64 length, const void *memory, u32 flags,
		      u32 *ret_item)
{
	struct iommu_test_cmd command = {
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.id = (u32)fd,
		.access_pages = {.flags = flags, .iova = iova, .length = length, .uptr = (uintptr_t)memory}};
	long ret = test_cmd(room, &command);

	*ret_item = command.access_pages.out_access_pages_id;
	return ret;
}

static u32 pin(struct selftest_room *room, int fd, u64 iova, u64 length, const void *memory)
{
	u32 item;

	OK(pin_flags(room, fd, iova, length, memory, MOCK_FLAGS_ACCESS_WRITE, &item));
	return item;
}

static long let_go(struct selftest_room *room, int fd, u32 item)
{
	return TEST_OP(room, DESTROY_ACCESS_PAGES, .id = (u32)fd, .destroy_access_pages = {.access_pages_id = item});
}

static long move(struct selftest_room *room, int fd, u64 iova, u64 length, void *memory, u32 flags)
{
	return TEST_OP(room, ACCESS_RW, .id = (u32)fd,
		       .access_rw = {.iova = iova, .length = length, .uptr = (uintptr_t)memory, .flags = flags});
}

static long refs(struct selftest_room *room, u64 npages, u32 count)
{
	return TEST_OP(room, MD_CHECK_REFS,
		       .check_refs = {.length = npages * PAGE_SIZE, .uptr = (uintptr_t)room->buffer, .refs = count});
}

SELFTEST(access, is_a_descriptor_that_closes_on_exec)
{
	int fd = new_access(room, room->ioas, false);

	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EXPECT_NO(OBJECT_IN_USE, destroy(room, room->ioas));
	EXPECT_NO(IOCTL_UNKNOWN, told(room, isolde_ioctl(room->machine, fd, IOMMU_TEST_CMD, NULL, &room->said)));
	close_access(room, fd);
	OK(destroy(room, room->ioas));
}

SELFTEST(access, creation_is_refused_in_order)
{
	EXPECT_NO(FLAGS_UNKNOWN, TEST_OP(room, CREATE_ACCESS, .id = 1000, .create_access = {.flags = 2}));
	EXPECT_NO(OBJECT_MISSING, TEST_OP(room, CREATE_ACCESS, .id = 1000));
	OK(map(room, room->buffer + 1, PAGE_SIZE, 0x10001));
	EXPECT_NO(ALIGNMENT_MAPPED, TEST_OP(room, CREATE_ACCESS, .id = room->ioas,
					    .create_access = {.flags = MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES}));
	close_access(room, new_access(room, room->ioas, false));
}

SELFTEST(access, keeps_the_context)
{
	int fd = new_access(room, room->ioas, true);
	struct iommufd *iommufd = &room->machine->machine->iommufd;

	OK(map(room, room->buffer, PAGE_SIZE, BASE));
	pin(room, fd, BASE, PAGE_SIZE, room->buffer);
	assert_int_equal(isolde_close(room->machine, room->fd), 0);
	room->fd = (int)OK(told(room, isolde_open(room->machine, "/dev/iommu", O_RDWR, &room->said)));
	assert_int_equal(list_length(&iommufd->contexts), 2);
	/* From any context: its descriptor is its name. */
	OK(move(room, fd, BASE, 8, room->buffer, 0));
	OK(refs(room, 1, 1));
	close_access(room, fd);
	OK(refs(room, 1, 0));
	assert_int_equal(list_length(&iommufd->contexts), 1);
}

SELFTEST(access, pins_and_lets_go)
{
	int fd = new_access(room, room->ioas, true);
	u32 first, second;

	OK(map(room, room->buffer, BUFFER_SIZE, BASE));
	first = pin(room, fd, BASE, 2 * PAGE_SIZE, room->buffer);
	second = pin(room, fd, BASE + PAGE_SIZE, 2 * PAGE_SIZE, room->buffer + PAGE_SIZE);
	assert_int_equal(first, 0);
	assert_int_equal(second, 1);
	OK(refs(room, 3, 1));
	OK(let_go(room, fd, first));
	EXPECT_NO(TEST_ITEM_MISSING, let_go(room, fd, first));
	EXPECT_NO(TEST_PINS_DIFFER, refs(room, 1, 1));
	OK(let_go(room, fd, second));
	OK(refs(room, BUFFER_PAGES, 0));
	/* Ids are not used again. */
	assert_int_equal(pin(room, fd, BASE, PAGE_SIZE, NULL), 2);
	close_access(room, fd);
}

SELFTEST(access, pins_only_what_it_was_shown)
{
	int fd = new_access(room, room->ioas, true);
	u32 item;

	OK(map(room, room->buffer, BUFFER_SIZE, BASE));
	EXPECT_NO(TEST_OTHER_PAGE, pin_flags(room, fd, BASE, 2 * PAGE_SIZE, room->buffer + PAGE_SIZE, 0, &item));
	EXPECT_NO(CLIENT_FAULT, pin_flags(room, fd, BASE, PAGE_SIZE, (void *)PAGE_SIZE, 0, &item));
	OK(refs(room, BUFFER_PAGES, 0));
	assert_int_equal(pin(room, fd, BASE, PAGE_SIZE, room->buffer), 0);
	close_access(room, fd);
}

SELFTEST(access, pin_is_refused_in_order)
{
	int fd = new_access(room, room->ioas, true), plain = new_access(room, room->ioas, false);
	u32 item;

	OK(map(room, room->buffer, PAGE_SIZE, BASE));
	OK(map_flags(room, room->ioas, room->buffer, PAGE_SIZE, BASE + PAGE_SIZE, IOMMU_IOAS_MAP_READABLE));
	EXPECT_NO(TEST_LENGTH, pin_flags(room, -1, BASE, BIT(24) + 1, NULL, 2, &item));
	EXPECT_NO(FLAGS_UNKNOWN, pin_flags(room, -1, BASE, PAGE_SIZE, NULL, 2, &item));
	EXPECT_NO(TEST_ACCESS_FD, pin_flags(room, -1, BASE, PAGE_SIZE, NULL, 0, &item));
	EXPECT_NO(TEST_ACCESS_FD, pin_flags(room, room->fd, BASE, PAGE_SIZE, NULL, 0, &item));
	EXPECT_NO(TEST_ACCESS_PLAIN, pin_flags(room, plain, BASE, PAGE_SIZE, NULL, 0, &item));
	EXPECT_NO(ACCESS_EMPTY, pin_flags(room, fd, BASE, 0, NULL, 0, &item));
	EXPECT_NO(RANGE_OVERFLOWS, pin_flags(room, fd, ~0ull - 4095, 2 * PAGE_SIZE, NULL, 0, &item));
	EXPECT_NO(AREA_MISSING, pin_flags(room, fd, BASE, 3 * PAGE_SIZE, NULL, 0, &item));
	EXPECT_NO(ACCESS_PERMISSION, pin_flags(room, fd, BASE, 2 * PAGE_SIZE, NULL, MOCK_FLAGS_ACCESS_WRITE, &item));
	OK(refs(room, 1, 0));
	close_access(room, fd);
	close_access(room, plain);
}

SELFTEST(access, is_asked_to_let_go_when_its_area_is_unmapped)
{
	int fd = new_access(room, room->ioas, true);
	u32 item, other;

	OK(map(room, room->buffer, 4 * PAGE_SIZE, BASE));
	OK(map(room, room->buffer, PAGE_SIZE, BASE + 8 * PAGE_SIZE));
	item = pin(room, fd, BASE + PAGE_SIZE, PAGE_SIZE, room->buffer + PAGE_SIZE);
	other = pin(room, fd, BASE + 8 * PAGE_SIZE, PAGE_SIZE, room->buffer);
	OK(unmap(room, room->ioas, BASE, 4 * PAGE_SIZE));
	EXPECT_NO(TEST_ITEM_MISSING, let_go(room, fd, item));
	OK(let_go(room, fd, other));
	close_access(room, fd);
}

SELFTEST(access, moves_to_another_ioas)
{
	int fd = new_access(room, room->ioas, true);
	u32 other = new_ioas(room), item;

	OK(map(room, room->buffer, PAGE_SIZE, BASE));
	item = pin(room, fd, BASE, PAGE_SIZE, room->buffer);
	EXPECT_NO(OBJECT_MISSING,
		  TEST_OP(room, ACCESS_REPLACE_IOAS, .id = (u32)fd, .access_replace_ioas = {.ioas_id = 1000}));
	OK(refs(room, 1, 1));
	OK(TEST_OP(room, ACCESS_REPLACE_IOAS, .id = (u32)fd, .access_replace_ioas = {.ioas_id = other}));
	EXPECT_NO(TEST_ITEM_MISSING, let_go(room, fd, item));
	OK(refs(room, 1, 0));
	OK(destroy(room, room->ioas));
	EXPECT_NO(TEST_ACCESS_FD,
		  TEST_OP(room, ACCESS_REPLACE_IOAS, .id = 1000, .access_replace_ioas = {.ioas_id = other}));
	close_access(room, fd);
}

static void expect_moves(struct selftest_room *room, int fd, u64 iova, u32 flags)
{
	u8 local[256];

	for (u64 start = PAGE_SIZE - 40; start < PAGE_SIZE + 40; start += 7) {
		for (size_t i = 0; i < sizeof(local); i++)
			local[i] = (u8)(i * 3 + start);
		OK(move(room, fd, iova + start, 64, local, flags | MOCK_ACCESS_RW_WRITE));
		assert_memory_equal(room->buffer + start, local, 64);
		room->buffer[start + 5] ^= 0x55;
		memset(local, 0, sizeof(local));
		OK(move(room, fd, iova + start, 64, local, flags));
		assert_memory_equal(room->buffer + start, local, 64);
		assert_int_equal(local[64], 0);
	}
}

SELFTEST(access, reads_and_writes_both_ways)
{
	int fd = new_access(room, room->ioas, false);

	OK(map(room, room->buffer, BUFFER_SIZE, BASE));
	expect_moves(room, fd, BASE, 0);
	expect_moves(room, fd, BASE, MOCK_ACCESS_RW_SLOW_PATH);
	new_mock(room);
	expect_moves(room, fd, BASE, 0);
	expect_moves(room, fd, BASE, MOCK_ACCESS_RW_SLOW_PATH);
	OK(unmap(room, room->ioas, BASE, BUFFER_SIZE));
	OK(map(room, room->buffer, BUFFER_SIZE, BASE + MOCK_PAGE_SIZE));
	expect_moves(room, fd, BASE + MOCK_PAGE_SIZE, 0);
	close_access(room, fd);
}

SELFTEST(access, rw_is_refused_in_order)
{
	int fd = new_access(room, room->ioas, false);

	OK(map(room, room->buffer, PAGE_SIZE, BASE));
	EXPECT_NO(TEST_LENGTH, move(room, -1, BASE, BIT(24) + 1, room->buffer, 2));
	EXPECT_NO(FLAGS_UNKNOWN, move(room, -1, BASE, 8, room->buffer, 2));
	EXPECT_NO(TEST_ACCESS_FD, move(room, -1, BASE, 8, room->buffer, 0));
	EXPECT_NO(CLIENT_FAULT, move(room, fd, 0, 8, (void *)PAGE_SIZE, MOCK_ACCESS_RW_WRITE));
	EXPECT_NO(AREA_MISSING, move(room, fd, 0, 8, (void *)PAGE_SIZE, 0));
	EXPECT_NO(CLIENT_FAULT, move(room, fd, BASE, 8, (void *)PAGE_SIZE, 0));
	EXPECT_NO(ACCESS_EMPTY, move(room, fd, BASE, 0, room->buffer, 0));
	close_access(room, fd);
}

SELFTEST(access, iovas_may_be_numbers_of_areas)
{
	int fd = new_access(room, room->ioas, true);
	u32 item;
	u8 byte = 0;

	OK(map(room, room->buffer, PAGE_SIZE, BASE));
	OK(map(room, room->buffer + PAGE_SIZE, PAGE_SIZE, BASE + 4 * PAGE_SIZE));
	room->buffer[PAGE_SIZE + 3] = 0x77;
	OK(move(room, fd, 1 | 3ull << 32, 1, &byte, MOCK_FLAGS_ACCESS_SYZ));
	assert_int_equal(byte, 0x77);
	OK(pin_flags(room, fd, 1, PAGE_SIZE, room->buffer + PAGE_SIZE, MOCK_FLAGS_ACCESS_SYZ, &item));
	/* There is no third: IOVA 0, where nothing is. */
	EXPECT_NO(AREA_MISSING, move(room, fd, 2 | 3ull << 32, 1, &byte, MOCK_FLAGS_ACCESS_SYZ));
	close_access(room, fd);
}

SELFTEST(access, so_may_those_that_are_copied_from)
{
	struct iommu_ioas_copy command = {.size = sizeof(command),
					  .flags = MAP_RW | IOMMU_IOAS_MAP_FIXED_IOVA | MOCK_FLAGS_ACCESS_SYZ,
					  .dst_ioas_id = new_ioas(room),
					  .src_ioas_id = room->ioas,
					  .length = PAGE_SIZE,
					  .dst_iova = BASE,
					  .src_iova = 1 | PAGE_SIZE << 32};
	int fd = new_access(room, command.dst_ioas_id, false);
	u8 byte = 0;

	OK(map(room, room->buffer, PAGE_SIZE, BASE));
	OK(map(room, room->buffer + PAGE_SIZE, 2 * PAGE_SIZE, BASE + 4 * PAGE_SIZE));
	room->buffer[2 * PAGE_SIZE] = 0x77;
	OK(ask(room, IOMMU_IOAS_COPY, &command));
	OK(move(room, fd, BASE, 1, &byte, 0));
	assert_int_equal(byte, 0x77);
	command.src_iova = 2;
	command.dst_iova += PAGE_SIZE;
	EXPECT_NO(AREA_MISSING, ask(room, IOMMU_IOAS_COPY, &command));
	command.src_ioas_id = 1000;
	EXPECT_NO(OBJECT_MISSING, ask(room, IOMMU_IOAS_COPY, &command));
	command.flags |= 1 << 17;
	EXPECT_NO(FLAGS_UNKNOWN, ask(room, IOMMU_IOAS_COPY, &command));
	close_access(room, fd);
}

SELFTEST(access, items_are_undone_when_the_answer_cannot_be_written)
{
	int fd = new_access(room, room->ioas, true);
	const struct iommu_test_cmd wanted = {
		.size = sizeof(wanted),
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.id = (u32)fd,
		.access_pages = {.iova = BASE, .length = PAGE_SIZE, .uptr = (uintptr_t)room->buffer}};
	struct iommu_test_cmd *command = read_only(&wanted, sizeof(wanted));

	OK(map(room, room->buffer, PAGE_SIZE, BASE));
	EXPECT_NO(CLIENT_FAULT, ask(room, IOMMU_TEST_CMD, command));
	OK(refs(room, 1, 0));
	assert_int_equal(pin(room, fd, BASE, PAGE_SIZE, room->buffer), 0);
	close_access(room, fd);
	munmap(command, PAGE_SIZE);
}

SELFTEST(access, gives_no_descriptor_when_the_answer_cannot_be_written)
{
	const struct iommu_test_cmd wanted = {
		.size = sizeof(wanted), .op = IOMMU_TEST_OP_CREATE_ACCESS, .id = room->ioas};
	struct iommu_test_cmd *command = read_only(&wanted, sizeof(wanted));
	int before = dup(0);

	EXPECT_NO(CLIENT_FAULT, ask(room, IOMMU_TEST_CMD, command));
	close(before);
	assert_int_equal(dup(0), before);
	close(before);
	OK(destroy(room, room->ioas));
	munmap(command, PAGE_SIZE);
}

/* ---- what fails ---- */

static struct selftest_room *swept;

static int whole_life(struct why *why)
{
	struct selftest_room *room = swept;
	struct iommu_test_cmd create = {
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = room->ioas,
		.create_access = {.out_access_fd = UINT32_MAX, .flags = MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES}};
	u8 local[64] = {0};
	u32 item;
	int err = (int)test_cmd(room, &create), fd = (int)create.create_access.out_access_fd;

	if (err == 0)
		err = (int)pin_flags(room, fd, BASE, 2 * PAGE_SIZE, room->buffer, 0, &item);
	if (err == 0)
		err = (int)move(room, fd, BASE + PAGE_SIZE - 32, sizeof(local), local, MOCK_ACCESS_RW_WRITE);
	if (err == 0)
		err = (int)move(room, fd, BASE + PAGE_SIZE - 32, sizeof(local), local, MOCK_ACCESS_RW_SLOW_PATH);
	*why = room->why;
	if (create.create_access.out_access_fd != UINT32_MAX)
		close_access(room, fd);
	return err;
}

SELFTEST(access, survives_every_failure)
{
	swept = room;
	OK(map(room, room->buffer, BUFFER_SIZE, BASE));
	SWEEP_FAILURES(whole_life);
	OK(refs(room, BUFFER_PAGES, 0));
	OK(destroy(room, room->ioas));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(access, is_a_descriptor_that_closes_on_exec),
		CASE(access, creation_is_refused_in_order),
		CASE(access, keeps_the_context),
		CASE(access, pins_and_lets_go),
		CASE(access, pins_only_what_it_was_shown),
		CASE(access, pin_is_refused_in_order),
		CASE(access, is_asked_to_let_go_when_its_area_is_unmapped),
		CASE(access, moves_to_another_ioas),
		CASE(access, reads_and_writes_both_ways),
		CASE(access, rw_is_refused_in_order),
		CASE(access, iovas_may_be_numbers_of_areas),
		CASE(access, so_may_those_that_are_copied_from),
		CASE(access, items_are_undone_when_the_answer_cannot_be_written),
		CASE(access, gives_no_descriptor_when_the_answer_cannot_be_written),
		CASE(access, survives_every_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
