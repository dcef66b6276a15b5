/* SPDX-License-Identifier: MIT */
/* The test exporter of dma-bufs, mapped and revoked. */
#include "tests/fixtures/selftest_room.h"

#include "iommufd/hwpt.h"
#include "mem/buffer.h"

static int new_buffer(struct selftest_room *room, u32 size)
{
	return (int)OK(TEST_OP(room, DMABUF_GET, .dmabuf_get = {.length = size, .open_flags = O_CLOEXEC | O_RDWR}));
}

static long withdraw(struct selftest_room *room, int fd, bool revoked)
{
	return TEST_OP(room, DMABUF_REVOKE, .dmabuf_revoke = {.dmabuf_fd = fd, .revoked = revoked});
}

static long map_file(struct selftest_room *room, int fd, u64 start, u64 length, u64 iova)
{
	struct iommu_ioas_map_file command = {.size = sizeof(command),
					      .flags = MAP_RW | IOMMU_IOAS_MAP_FIXED_IOVA,
					      .ioas_id = room->ioas,
					      .fd = fd,
					      .start = start,
					      .length = length,
					      .iova = iova};

	return ask(room, IOMMU_IOAS_MAP_FILE, &command);
}

/* What the table of a HWPT says; 0: nothing. */
static u64 translate(struct selftest_room *room, u32 id, u64 iova)
{
	struct hwpt_paging *hwpt = NULL;

	OK(hwpt_paging_find(room_context(room), id, &hwpt, &room->why));
	return isolde_pt_iova_to_phys(hwpt->hwpt.domain->pt, iova);
}

SELFTEST(dmabuf, is_a_descriptor_of_whole_pages)
{
	int fd = new_buffer(room, 1), other;
	struct file *file = room_file_of(room, fd);
	void *memory = NULL;

	assert_non_null(buffer_of_file(file));
	assert_int_equal(buffer_of_file(file)->size, PAGE_SIZE);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EXPECT_NO(BUFFER_UNMAPPABLE, told(room, isolde_mmap(room->machine, fd, PAGE_SIZE, PROT_READ, MAP_SHARED, 0,
							    &memory, &room->said)));
	other = (int)OK(TEST_OP(room, DMABUF_GET, .dmabuf_get = {.length = 512 * PAGE_SIZE}));
	assert_int_equal(fcntl(other, F_GETFD), 0);
	EXPECT_NO(TEST_BUFFER_SIZE, TEST_OP(room, DMABUF_GET, .dmabuf_get = {.length = 0}));
	EXPECT_NO(TEST_BUFFER_SIZE, TEST_OP(room, DMABUF_GET, .dmabuf_get = {.length = 512 * PAGE_SIZE + 1}));
	EXPECT_NO(TEST_BUFFER_SIZE, TEST_OP(room, DMABUF_GET, .dmabuf_get = {.length = UINT32_MAX}));
	isolde_close(room->machine, fd);
	isolde_close(room->machine, other);
}

SELFTEST(dmabuf, outlives_its_descriptor_while_it_is_mapped)
{
	int fd = new_buffer(room, 4 * PAGE_SIZE);
	struct mock_ids ids = new_mock(room);

	OK(map_file(room, fd, 0, 4 * PAGE_SIZE, BASE));
	isolde_close(room->machine, fd);
	assert_int_not_equal(translate(room, ids.hwpt, BASE + 3 * PAGE_SIZE), 0);
	OK(unmap(room, room->ioas, BASE, 4 * PAGE_SIZE));
}

SELFTEST(dmabuf, leaves_every_domain_when_it_is_revoked)
{
	int fd = new_buffer(room, 4 * PAGE_SIZE);
	struct mock_ids ids = new_mock(room);
	u32 other = new_hwpt(room, ids.device, room->ioas, 0, NULL), late;

	OK(map_file(room, fd, PAGE_SIZE, 2 * PAGE_SIZE, BASE));
	assert_int_equal(translate(room, other, BASE + PAGE_SIZE) - translate(room, other, BASE), PAGE_SIZE);
	OK(withdraw(room, fd, true));
	assert_int_equal(translate(room, ids.hwpt, BASE), 0);
	assert_int_equal(translate(room, other, BASE + PAGE_SIZE), 0);
	EXPECT_NO(BUFFER_REVOKED, map_file(room, fd, 0, PAGE_SIZE, BASE + 8 * PAGE_SIZE));
	late = new_hwpt(room, ids.device, room->ioas, 0, NULL);
	/* Giving it back restores nothing. */
	OK(withdraw(room, fd, false));
	assert_int_equal(translate(room, ids.hwpt, BASE), 0);
	assert_int_equal(translate(room, late, BASE), 0);
	OK(map_file(room, fd, 0, PAGE_SIZE, BASE + 8 * PAGE_SIZE));
	OK(unmap(room, room->ioas, BASE, 2 * PAGE_SIZE));
	OK(map_file(room, fd, PAGE_SIZE, 2 * PAGE_SIZE, BASE));
	assert_int_not_equal(translate(room, late, BASE), 0);
	isolde_close(room->machine, fd);
}

SELFTEST(dmabuf, is_told_from_other_descriptors)
{
	static const struct buffer_ops other_ops = {.exporter = "somebody else"};
	struct shared_buffer other;
	int fd = new_buffer(room, PAGE_SIZE), installed;
	u8 memory[1];

	EXPECT_NO(FD_BAD, withdraw(room, -1, true));
	EXPECT_NO(TEST_NO_BUFFER, withdraw(room, 0, true));
	EXPECT_NO(TEST_NO_BUFFER, withdraw(room, room->fd, true));
	buffer_init(&other, &other_ops, memory, PAGE_SIZE);
	installed =
		(int)OK(room->machine->client.ops->install_file(&room->machine->client, &other.file, true, &room->why));
	other.users++; /* we are not freed */
	EXPECT_NO(TEST_OTHER_BUFFER, withdraw(room, installed, true));
	NAMES("somebody else");
	isolde_close(room->machine, installed);
	OK(withdraw(room, fd, false));
	isolde_close(room->machine, fd);
}

static struct selftest_room *swept;

static int whole_life(struct why *why)
{
	struct selftest_room *room = swept;
	unsigned before = count_descriptors();
	int fd = (int)TEST_OP(room, DMABUF_GET, .dmabuf_get = {.length = PAGE_SIZE}), err = fd;

	if (fd < 0)
		assert_int_equal(count_descriptors(), before);
	if (err >= 0)
		err = (int)map_file(room, fd, 0, PAGE_SIZE, BASE);
	*why = room->why;
	if (err == 0 && unmap(room, room->ioas, BASE, PAGE_SIZE) < 0)
		OK(unmap(room, room->ioas, BASE, PAGE_SIZE));
	if (fd >= 0)
		isolde_close(room->machine, fd);
	return err;
}

SELFTEST(dmabuf, survives_every_failure)
{
	swept = room;
	new_mock(room);
	SWEEP_FAILURES(whole_life);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(dmabuf, is_a_descriptor_of_whole_pages),
		CASE(dmabuf, outlives_its_descriptor_while_it_is_mapped),
		CASE(dmabuf, leaves_every_domain_when_it_is_revoked),
		CASE(dmabuf, is_told_from_other_descriptors),
		CASE(dmabuf, survives_every_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
