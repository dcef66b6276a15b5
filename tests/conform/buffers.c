/* SPDX-License-Identifier: MIT */
/* MAP_FILE of dma-bufs that can be revoked (spec 03 section 3.8). */
#include <fcntl.h>

#include "tests/conform/conform.h"

enum { AT = 0x2000000 };

static answer buffer_get(int fd, u32 length)
{
	return ask_mock(fd, &(struct mock_request){.op = MOCK_BUFFER_GET, .halves = {length, O_CLOEXEC}});
}

static answer set_revoked(int fd, int buffer, u32 revoked)
{
	return ask_mock(fd, &(struct mock_request){.op = MOCK_BUFFER_REVOKE, .halves = {(u32)buffer, revoked}});
}

TEST(buffers_have_a_size)
{
	int fd = iommu();

	need_mock();
	EXPECT(-EINVAL, buffer_get(fd, 0));
	EXPECT(-EINVAL, buffer_get(fd, 512 * PAGE + 1));
	watch(buffer_get(fd, 512 * PAGE));
	watch(buffer_get(fd, 1));
	EXPECT(-EBADF, set_revoked(fd, -1, 1));
	EXPECT(-EINVAL, set_revoked(fd, fd, 1));
	EXPECT(-EINVAL, set_revoked(fd, new_file(PAGE), 1));
}

TEST(maps_of_a_buffer_lie_within_it)
{
	int fd = iommu(), buffer;
	u32 ioas = new_ioas(fd);

	need_mock();
	buffer = watch(buffer_get(fd, 4 * PAGE));
	EXPECT(-EINVAL, map_file_at(fd, ioas, buffer, 0, 0, AT));
	EXPECT(-EOVERFLOW, map_file_at(fd, ioas, buffer, TOP, 2, AT));
	EXPECT(-EINVAL, map_file_at(fd, ioas, buffer, 0, 4 * PAGE + 1, AT));
	EXPECT(-EINVAL, map_file_at(fd, ioas, buffer, 4 * PAGE, PAGE, AT));
	EXPECT(-EINVAL, map_file_at(fd, ioas, buffer, PAGE, 4 * PAGE, AT));
	EXPECT(0, map_file_at(fd, ioas, buffer, 0, 4 * PAGE, AT));
	EXPECT(-EEXIST, map_file_at(fd, ioas, buffer, 0, 4 * PAGE, AT));
	EXPECT(0, map_file_at(fd, ioas, buffer, PAGE, 3 * PAGE, AT + MIB));
	EXPECT(7 * PAGE, unmap(fd, ioas, 0, TOP));
}

TEST(a_buffer_is_for_devices_not_for_software)
{
	char bytes[8] = "";
	int fd = iommu(), buffer, access;
	u32 ioas = new_ioas(fd);

	need_mock();
	new_mock(fd, ioas, 0);
	buffer = watch(buffer_get(fd, PAGE));
	EXPECT(0, map_file_at(fd, ioas, buffer, 0, PAGE, AT));
	access = watch(new_access(fd, ioas, MOCK_NEEDS_PINS));
	EXPECT(-EINVAL, pin_access(fd, access, AT, PAGE, NULL, 0));
	EXPECT(-EINVAL, rw_access(fd, access, AT, bytes, sizeof(bytes), 0));
	EXPECT(-EINVAL, rw_access(fd, access, AT, bytes, sizeof(bytes), MOCK_WRITE));
	EXPECT(PAGE, unmap(fd, ioas, AT, PAGE));
}

TEST(a_buffer_outlives_its_descriptor)
{
	int fd = iommu(), buffer;
	u32 ioas = new_ioas(fd);
	struct mock mock;

	need_mock();
	mock = new_mock(fd, ioas, 0);
	buffer = watch(buffer_get(fd, 2 * PAGE));
	EXPECT(0, map_file_at(fd, ioas, buffer, 0, 2 * PAGE, AT));
	EXPECT(0, copy_at(fd, ioas, AT + MIB, ioas, AT, PAGE));
	drop(buffer);
	WORKS(alloc_hwpt(fd, mock.idev, ioas, 0));
	EXPECT(3 * PAGE, unmap(fd, ioas, 0, TOP));
}

TEST(a_revoked_buffer_stays_unmapped_until_mapped_again)
{
	int fd = iommu(), buffer;
	u32 ioas = new_ioas(fd);
	struct mock mock;

	need_mock();
	mock = new_mock(fd, ioas, 0);
	buffer = watch(buffer_get(fd, 2 * PAGE));
	EXPECT(0, map_file_at(fd, ioas, buffer, 0, 2 * PAGE, AT));
	EXPECT(0, set_revoked(fd, buffer, 1));
	EXPECT(-ENODEV, map_file_at(fd, ioas, buffer, 0, PAGE, AT + MIB));
	WORKS(alloc_hwpt(fd, mock.idev, ioas, 0)); /* without it */
	EXPECT(0, set_revoked(fd, buffer, 0));
	EXPECT(0, map_file_at(fd, ioas, buffer, 0, PAGE, AT + MIB));
	EXPECT(2 * PAGE, unmap(fd, ioas, AT, 2 * PAGE));
	EXPECT(0, map_file_at(fd, ioas, buffer, 0, 2 * PAGE, AT));
	EXPECT(3 * PAGE, unmap(fd, ioas, 0, TOP));
}

TEST(buffers_keep_the_process)
{
	int fd = iommu(), buffer;
	u32 ioas = new_ioas(fd);

	need_mock();
	buffer = watch(buffer_get(fd, PAGE));
	EXPECT(0, map_file_at(fd, ioas, buffer, 0, PAGE, AT));
	EXPECT(-EINVAL, ASK(fd, IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, .__reserved = 0));
}

SUITE(buffers, CASE(buffers_have_a_size), CASE(maps_of_a_buffer_lie_within_it),
      CASE(a_buffer_is_for_devices_not_for_software), CASE(a_buffer_outlives_its_descriptor),
      CASE(a_revoked_buffer_stays_unmapped_until_mapped_again), CASE(buffers_keep_the_process));
